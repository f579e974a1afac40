//! The stage model: where a field should stand relative to its neighbour, learnt from the overlaps that were measured.
//!
//! A stage moves by a linear map of what it was told (camera rotated against the stage, wrong pixel size, wrong overlap),
//! plus backlash that depends on the direction of travel: odd rows of a snake scan, odd columns of a vertical one.
//! What it leaves unexplained is its scatter, which says how far to trust it.

use serde::{Deserialize, Serialize};

use crate::geom::{Affine, Point};

/// Coefficients of one axis: of nominal x, of nominal y, of odd rows, of odd columns.
const TERMS: usize = 4;
/// How wrong scale, rotation and shear of a nominal layout may be before anything was measured.
const LINEAR_PRIOR: f64 = 0.03;
/// How large backlash may be before anything was measured, in pixels.
const BACKLASH_PRIOR_PX: f64 = 20.0;
/// The scatter of a stage is never believed to be smaller, in pixels.
const MIN_SCATTER_PX: f64 = 1.0;
/// As many observations' worth of trust the first guess of the scatter gets.
const SCATTER_PRIOR_EDGES: f64 = 3.0;
/// Rounds of fitting and reweighting.
const ROUNDS: usize = 12;
/// Observations beyond this many deviations lose their weight (Tukey's biweight).
const BIWEIGHT: f64 = 4.7;
const SIGMA_PER_MAD: f64 = 1.4826;

/// One pair of neighbours as the model sees it.
#[derive(Debug, Clone, Copy)]
pub struct Step {
    /// The nominal displacement in pixels.
    pub nominal: Point,
    /// How much the parity of row and column changes: -1, 0 or 1.
    pub parity: [f64; 2],
}

/// What the stage does.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct StageModel {
    x: [f64; TERMS],
    y: [f64; TERMS],
    /// The standard deviation of what one displacement leaves unexplained, per axis, in pixels.
    pub scatter: Point,
}

impl StageModel {
    /// The nominal layout, believed to this many pixels.
    pub fn nominal(scatter: Point) -> Self {
        Self { x: [1.0, 0.0, 0.0, 0.0], y: [0.0, 1.0, 0.0, 0.0], scatter }
    }

    /// The linear part: what nominal displacements become.
    pub fn linear(&self) -> Affine {
        Affine { a: self.x[0], b: self.x[1], c: self.y[0], d: self.y[1], offset: Point::default() }
    }

    /// What odd rows and odd columns are off by, in pixels.
    pub fn backlash(&self) -> [Point; 2] {
        [Point::new(self.x[2], self.y[2]), Point::new(self.x[3], self.y[3])]
    }

    /// The displacement to expect.
    pub fn expect(&self, step: &Step) -> Point {
        let t = terms(step);
        let sum = |c: &[f64; TERMS]| c.iter().zip(&t).map(|(c, t)| c * t).sum();
        Point::new(sum(&self.x), sum(&self.y))
    }

    /// Fits the model to measured displacements; robust against false ones, and sane for any number of them.
    ///
    /// `first_scatter` is the scatter to assume before anything was measured.
    /// Observations must come in a fixed order, since sums are taken in it.
    pub fn fit(observations: &[(Step, Point)], first_scatter: Point) -> Self {
        let axis = |pick: fn(Point) -> f64, own: usize| {
            let residuals: Vec<([f64; TERMS], f64)> =
                observations.iter().map(|(s, m)| (terms(s), pick(*m) - pick(s.nominal))).collect();
            let (mut coefficients, scatter) = fit_axis(&residuals, pick(first_scatter));
            coefficients[own] += 1.0;
            (coefficients, scatter)
        };
        let (x, scatter_x) = axis(|p| p.x, 0);
        let (y, scatter_y) = axis(|p| p.y, 1);
        Self { x, y, scatter: Point::new(scatter_x, scatter_y) }
    }
}

fn terms(step: &Step) -> [f64; TERMS] {
    [step.nominal.x, step.nominal.y, step.parity[0], step.parity[1]]
}

/// Iteratively reweighted ridge regression of one axis; coefficients and scatter.
fn fit_axis(observations: &[([f64; TERMS], f64)], first_scatter: f64) -> ([f64; TERMS], f64) {
    let mut coefficients = [0.0; TERMS];
    let mut scatter = first_scatter.max(MIN_SCATTER_PX);
    let mut deviations: Vec<f64> = Vec::with_capacity(observations.len());
    let residual =
        |c: &[f64; TERMS], (t, v): &([f64; TERMS], f64)| v - c.iter().zip(t).map(|(c, t)| c * t).sum::<f64>();
    for round in 0..ROUNDS {
        let mut normal = [[0.0; TERMS]; TERMS];
        let mut right = [0.0; TERMS];
        for (k, row) in normal.iter_mut().enumerate() {
            let prior = if k < 2 { LINEAR_PRIOR } else { BACKLASH_PRIOR_PX };
            row[k] = (scatter / prior).powi(2);
        }
        for o in observations {
            let u = residual(&coefficients, o) / (BIWEIGHT * scatter);
            // The first round has no idea yet: it counts everything, less the farther off.
            let weight = if round == 0 {
                1.0 / (1.0 + u * u)
            } else if u.abs() < 1.0 {
                (1.0 - u * u).powi(2)
            } else {
                0.0
            };
            for i in 0..TERMS {
                normal[i].iter_mut().zip(&o.0).for_each(|(n, t)| *n += weight * o.0[i] * t);
                right[i] += weight * o.0[i] * o.1;
            }
        }
        coefficients = solve_small(normal, right);
        deviations.clear();
        deviations.extend(observations.iter().map(|o| residual(&coefficients, o).abs()));
        deviations.sort_by(f64::total_cmp);
        let count = deviations.len() as f64;
        if let Some(&median) = deviations.get(deviations.len() / 2) {
            // Each fitted coefficient takes away some of the scatter.
            let free = (count - 3.0).max(count * 0.4);
            let measured = (SIGMA_PER_MAD * median).powi(2) * count / free;
            let prior = SCATTER_PRIOR_EDGES * first_scatter * first_scatter / 9.0;
            scatter = ((measured * count + prior) / (count + SCATTER_PRIOR_EDGES)).sqrt().max(MIN_SCATTER_PX);
        }
    }
    (coefficients, scatter)
}

/// Gaussian elimination with row pivots; the ridge keeps the matrix regular.
fn solve_small(mut matrix: [[f64; TERMS]; TERMS], mut right: [f64; TERMS]) -> [f64; TERMS] {
    for k in 0..TERMS {
        let pivot = (k..TERMS).max_by(|&i, &j| matrix[i][k].abs().total_cmp(&matrix[j][k].abs())).unwrap_or(k);
        matrix.swap(k, pivot);
        right.swap(k, pivot);
        if matrix[k][k] == 0.0 {
            continue;
        }
        for i in k + 1..TERMS {
            let pivot_row = matrix[k];
            let factor = matrix[i][k] / pivot_row[k];
            matrix[i].iter_mut().zip(&pivot_row).skip(k).for_each(|(m, p)| *m -= factor * p);
            right[i] -= factor * right[k];
        }
    }
    let mut solution = [0.0; TERMS];
    for k in (0..TERMS).rev() {
        let rest: f64 = (k + 1..TERMS).map(|j| matrix[k][j] * solution[j]).sum();
        solution[k] = if matrix[k][k] == 0.0 { 0.0 } else { (right[k] - rest) / matrix[k][k] };
    }
    solution
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(false_every: usize) -> Vec<(Step, Point)> {
        let mut seed = 1u32;
        let mut jitter = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (f64::from(seed >> 8) / f64::from(1 << 24) - 0.5) * 8.0
        };
        let mut all = Vec::new();
        for k in 0..60usize {
            let odd = if k % 2 == 0 { 1.0 } else { -1.0 };
            let down = k % 3 == 0;
            let nominal = if down { Point::new(0.0, 900.0) } else { Point::new(900.0, 0.0) };
            let parity = if down { [odd, 0.0] } else { [0.0, odd] };
            let rotated = Point::new(nominal.x * 1.002 - nominal.y * 0.01, nominal.y * 0.998 + nominal.x * 0.01);
            let backlash = if down { 12.0 * odd } else { 0.0 };
            let mut m = rotated + Point::new(backlash + jitter(), jitter());
            if false_every > 0 && k % false_every == 0 {
                m = nominal + Point::new(70.0, -55.0);
            }
            all.push((Step { nominal, parity }, m));
        }
        all
    }

    #[test]
    fn rotation_scale_and_backlash_are_learnt_in_spite_of_false_shifts() {
        for false_every in [0, 7] {
            let model = StageModel::fit(&steps(false_every), Point::new(30.0, 30.0));
            let linear = model.linear();
            assert!((linear.a - 1.002).abs() < 1.5e-3 && (linear.b + 0.01).abs() < 2e-3, "{model:?}");
            assert!((model.backlash()[0].x - 12.0).abs() < 1.5, "{model:?}");
            assert!(model.scatter.x > 1.0 && model.scatter.x < 7.0, "{model:?}");
        }
    }

    #[test]
    fn nothing_measured_is_the_nominal_layout() {
        let model = StageModel::fit(&[], Point::new(30.0, 20.0));
        let step = Step { nominal: Point::new(900.0, 5.0), parity: [1.0, -1.0] };
        assert_eq!(model.expect(&step), step.nominal);
        assert_eq!(model.scatter, Point::new(30.0, 20.0));
    }
}
