//! Weighted least squares over displacements: the linear step of the global solution.
//!
//! Minimises the sum over springs of `(p_b - p_a - m)' W (p_b - p_a - m)` and over fields of `w |p - q|^2` by conjugate
//! gradients with 2 x 2 blocks of the diagonal as preconditioner.
//! Sums are taken in the order of the springs, so the same input gives the same bits.

use crate::geom::Point;

/// Iterations after which the result is taken as it is.
const MAX_ITERATIONS: usize = 3000;

/// What pulls two fields to a displacement.
#[derive(Debug, Clone, Copy)]
pub struct Spring {
    /// The first field.
    pub a: usize,
    /// The second field.
    pub b: usize,
    /// Where the second should stand relative to the first.
    pub shift: Point,
    /// The inverse covariance: xx, xy, yy.
    pub weight: [f64; 3],
}

/// A spring's pull at a stretch.
fn pull(w: &[f64; 3], d: Point) -> Point {
    Point::new(w[0] * d.x + w[1] * d.y, w[1] * d.x + w[2] * d.y)
}

/// Buffers, kept from solution to solution.
#[derive(Debug, Default)]
pub struct SparseScratch {
    inverse_diagonal: Vec<[f64; 3]>,
    residual: Vec<Point>,
    direction: Vec<Point>,
    product: Vec<Point>,
}

/// Moves `positions` to the minimum, from where they are; every field is held at its anchor with weight `anchor_weight`,
/// which must be positive.
///
/// Stops when the step that is left is below `tolerance_px` everywhere, as far as the preconditioner can tell.
/// Returns the iterations it took.
pub fn minimise(
    scratch: &mut SparseScratch,
    positions: &mut [Point],
    springs: &[Spring],
    anchors: &[Point],
    anchor_weight: f64,
    tolerance_px: f64,
) -> usize {
    let n = positions.len();
    let SparseScratch { inverse_diagonal, residual, direction, product } = scratch;
    inverse_diagonal.clear();
    inverse_diagonal.resize(n, [anchor_weight, 0.0, anchor_weight]);
    residual.clear();
    residual.extend(anchors.iter().zip(positions.iter()).map(|(&q, &p)| (q - p) * anchor_weight));
    for s in springs {
        let force = pull(&s.weight, s.shift - (positions[s.b] - positions[s.a]));
        residual[s.b] = residual[s.b] + force;
        residual[s.a] = residual[s.a] - force;
        for end in [s.a, s.b] {
            inverse_diagonal[end].iter_mut().zip(s.weight).for_each(|(d, w)| *d += w);
        }
    }
    for d in inverse_diagonal.iter_mut() {
        let determinant = d[0] * d[2] - d[1] * d[1];
        *d = [d[2] / determinant, -d[1] / determinant, d[0] / determinant];
    }
    direction.clear();
    direction.extend(residual.iter().zip(inverse_diagonal.iter()).map(|(&r, d)| pull(d, r)));
    let dot = |u: &[Point], v: &[Point]| u.iter().zip(v).map(|(p, q)| p.x * q.x + p.y * q.y).sum::<f64>();
    let mut gain = dot(residual, direction);
    product.resize(n, Point::default());
    for iteration in 0..MAX_ITERATIONS {
        let largest = residual
            .iter()
            .zip(inverse_diagonal.iter())
            .map(|(&r, d)| {
                let step = pull(d, r);
                step.x.abs().max(step.y.abs())
            })
            .fold(0.0, f64::max);
        if largest <= tolerance_px || gain <= 0.0 {
            return iteration;
        }
        for (y, &d) in product.iter_mut().zip(direction.iter()) {
            *y = d * anchor_weight;
        }
        for s in springs {
            let force = pull(&s.weight, direction[s.b] - direction[s.a]);
            product[s.b] = product[s.b] + force;
            product[s.a] = product[s.a] - force;
        }
        let curvature = dot(direction, product);
        if curvature <= 0.0 {
            return iteration;
        }
        let step = gain / curvature;
        for i in 0..n {
            positions[i] = positions[i] + direction[i] * step;
            residual[i] = residual[i] - product[i] * step;
        }
        let mut next = 0.0;
        for (r, d) in residual.iter().zip(inverse_diagonal.iter()) {
            let z = pull(d, *r);
            next += z.x * r.x + z.y * r.y;
        }
        let ratio = next / gain;
        gain = next;
        for i in 0..n {
            direction[i] = pull(&inverse_diagonal[i], residual[i]) + direction[i] * ratio;
        }
    }
    MAX_ITERATIONS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_of_springs_shares_its_closing_error() {
        let shift = [Point::new(10.0, 0.0), Point::new(0.0, 10.0), Point::new(-10.0, 0.0), Point::new(0.0, -9.0)];
        let springs: Vec<Spring> =
            (0..4).map(|k| Spring { a: k, b: (k + 1) % 4, shift: shift[k], weight: [4.0, 0.0, 4.0] }).collect();
        let mut positions = vec![Point::default(); 4];
        minimise(&mut SparseScratch::default(), &mut positions, &springs, &[Point::default(); 4], 1e-9, 1e-9);
        let d = positions[1] - positions[0];
        assert!((d.x - 10.0).abs() < 1e-5 && (d.y + 0.25).abs() < 1e-5, "{positions:?}");
        let d = positions[0] - positions[3];
        assert!((d.y + 9.25).abs() < 1e-5, "{positions:?}");
    }

    #[test]
    fn a_weight_that_is_sure_along_one_axis_only_leaves_the_other_to_the_rest() {
        let springs = [
            Spring { a: 0, b: 1, shift: Point::new(5.0, 100.0), weight: [100.0, 0.0, 1e-6] },
            Spring { a: 0, b: 1, shift: Point::new(90.0, 7.0), weight: [1e-6, 0.0, 100.0] },
        ];
        let mut positions = vec![Point::default(); 2];
        minimise(&mut SparseScratch::default(), &mut positions, &springs, &[Point::default(); 2], 1e-9, 1e-9);
        let d = positions[1] - positions[0];
        assert!((d.x - 5.0).abs() < 1e-3 && (d.y - 7.0).abs() < 1e-3, "{d:?}");
    }
}
