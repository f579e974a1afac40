//! The exact shift of two strips, once it is known to a few pixels: block by block, in full resolution.
//!
//! The overlap is cut into blocks of about [`BLOCK_PX`]; each is filtered and compared at a few whole shifts, and only a
//! handful of numbers is kept of it, so that scratch does not grow with the strips.
//! What is compared is the squared difference after bringing both blocks to one contrast, weighted by their noise: unlike
//! a bare correlation it has its minimum at the true shift whatever stands at the block's border.
//! The scatter of the blocks' own opinions about the sum gives the covariance of the result; nothing about lens or
//! camera is assumed.

use super::filter::{BLOCK_PX, LOG_HALO, LogKernel, Reduced};
use super::strip::Strip;
use crate::geom::Point;

/// Blocks that are looked at to place a candidate.
const MAX_BLOCKS_TO_PLACE: usize = 12;
/// How far, in whole pixels, the refinement compares on each side of its middle.
const REFINE_RADIUS: usize = 2;
/// How far the placing of a candidate compares.
const PLACE_RADIUS: usize = 4;
/// A block counts if the energy of both strips there is at least this many times that of bare noise.
const MIN_BLOCK_ENERGY: f32 = 1.3;
/// Overlaps narrower than this after the filter's halo are not measured.
const MIN_BLOCK_SIDE: i64 = 8;
/// How often the middle may move before the place is given up.
const MAX_MOVES: usize = 4;
/// The dot products run over this many lanes.
const LANES: usize = 8;

/// The number of whole shifts along one axis for a radius.
const fn lags_of(radius: usize) -> usize {
    2 * radius + 1
}
const REFINE_LAGS: usize = lags_of(REFINE_RADIUS);
const PLACE_LAGS: usize = lags_of(PLACE_RADIUS);

/// The result of a refinement.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Refined {
    /// The displacement of `b` against `a` in pixels.
    pub displacement: Point,
    /// Its covariance in square pixels: xx, xy, yy.
    pub covariance: [f64; 3],
    /// The normalised correlation of the filtered blocks at the peak.
    pub ncc: f64,
    /// Blocks that took part.
    pub blocks: usize,
}

/// One pair as the refinement sees it.
#[derive(Clone, Copy)]
pub struct FinePair<'a> {
    /// The first strip.
    pub a: &'a Strip<'a>,
    /// The second strip.
    pub b: &'a Strip<'a>,
    /// The first strip's noise and texture by block.
    pub a_maps: &'a Reduced,
    /// The second strip's.
    pub b_maps: &'a Reduced,
    /// The full-resolution filter.
    pub kernel: &'a LogKernel,
}

/// Buffers of the refinement.
#[derive(Debug, Default)]
pub struct FineScratch {
    input: Vec<f32>,
    lines: Vec<f32>,
    a: Vec<f32>,
    b: Vec<f32>,
    a_rows: Vec<f32>,
    b_rows: Vec<f32>,
    row_energy: Vec<f32>,
    blocks: Vec<Block>,
    opinions: Vec<Surface<REFINE_LAGS>>,
}

/// A rectangle of the first field's pixels.
#[derive(Debug, Clone, Copy)]
struct Block {
    x: i64,
    y: i64,
    width: usize,
    height: usize,
    energy: f32,
}

/// What one block says about each whole shift: the larger, the better the match.
#[derive(Debug, Clone, Copy)]
struct Surface<const N: usize> {
    merit: [[f64; N]; N],
    /// The weighted correlation and energy at each shift, for the score.
    product: [[f64; N]; N],
    energy: f64,
}

impl<const N: usize> Surface<N> {
    const ZERO: Self = Self { merit: [[0.0; N]; N], product: [[0.0; N]; N], energy: 0.0 };

    fn add(&mut self, other: &Self) {
        for (row, add) in self.merit.iter_mut().zip(&other.merit) {
            row.iter_mut().zip(add).for_each(|(v, w)| *v += w);
        }
        for (row, add) in self.product.iter_mut().zip(&other.product) {
            row.iter_mut().zip(add).for_each(|(v, w)| *v += w);
        }
        self.energy += other.energy;
    }

    /// Column and row of the best shift, and its normalised correlation.
    fn best(&self) -> (usize, usize, f64) {
        let mut best = (0, 0);
        for y in 0..N {
            for x in 0..N {
                if self.merit[y][x] > self.merit[best.1][best.0] {
                    best = (x, y);
                }
            }
        }
        let ncc = if self.energy > 0.0 { self.product[best.1][best.0] / self.energy } else { 0.0 };
        (best.0, best.1, ncc)
    }
}

/// Moves a candidate to the best whole pixel, judged by the blocks with the most texture, and scores it.
///
/// `None` where the strips share too little there.
pub fn place(scratch: &mut FineScratch, pair: &FinePair<'_>, near: Point) -> Option<(Point, f64)> {
    let mut middle = Point::new(near.x.round(), near.y.round());
    let mut last = None;
    for _ in 0..MAX_MOVES {
        let mut blocks = std::mem::take(&mut scratch.blocks);
        find_blocks(pair, middle, PLACE_RADIUS, &mut blocks);
        blocks.sort_by(|p, q| q.energy.total_cmp(&p.energy).then((p.y, p.x).cmp(&(q.y, q.x))));
        blocks.truncate(MAX_BLOCKS_TO_PLACE);
        let mut sum = Surface::<PLACE_LAGS>::ZERO;
        for block in &blocks {
            sum.add(&compare(scratch, pair, middle, block));
        }
        let found = !blocks.is_empty();
        scratch.blocks = blocks;
        if !found {
            break;
        }
        let (x, y, ncc) = sum.best();
        let move_by = Point::new(x as f64 - PLACE_RADIUS as f64, y as f64 - PLACE_RADIUS as f64);
        // A lag is where the second strip's sample lies, a displacement where the second field stands: opposite signs.
        middle = middle - move_by;
        last = Some((middle, ncc));
        if move_by.x.abs().max(move_by.y.abs()) < PLACE_RADIUS as f64 {
            break;
        }
    }
    last
}

/// The displacement to a fraction of a pixel from a whole one that [`place`] found.
///
/// `None` where the strips share too little, or where the blocks together have no peak near the start.
pub fn refine(scratch: &mut FineScratch, pair: &FinePair<'_>, start: Point) -> Option<Refined> {
    let mut middle = Point::new(start.x.round(), start.y.round());
    for _ in 0..MAX_MOVES {
        let mut blocks = std::mem::take(&mut scratch.blocks);
        let mut opinions = std::mem::take(&mut scratch.opinions);
        find_blocks(pair, middle, REFINE_RADIUS, &mut blocks);
        opinions.clear();
        let mut sum = Surface::<REFINE_LAGS>::ZERO;
        for block in &blocks {
            let surface = compare(scratch, pair, middle, block);
            sum.add(&surface);
            opinions.push(surface);
        }
        let (x, y, ncc) = sum.best();
        let best = Point::new(x as f64 - REFINE_RADIUS as f64, y as f64 - REFINE_RADIUS as f64);
        // Beyond the next pixel the polynomial is not trusted; between two pixels the middle must not go to and fro.
        let result = peak_of(&sum, best).map(|peak| {
            let covariance = covariance_at(peak, &sum, &opinions);
            Refined { displacement: middle - peak, covariance, ncc, blocks: blocks.len() }
        });
        let stop = blocks.is_empty() || result.is_some();
        scratch.blocks = blocks;
        scratch.opinions = opinions;
        if stop {
            return result;
        }
        middle = middle - best;
    }
    None
}

/// Cuts the overlap at a whole displacement into blocks and keeps those with texture in both strips.
fn find_blocks(pair: &FinePair<'_>, displacement: Point, radius: usize, blocks: &mut Vec<Block>) {
    blocks.clear();
    let (ra, rb) = (pair.a.rect(), pair.b.rect());
    let (dx, dy) = (displacement.x as i64, displacement.y as i64);
    let halo = LOG_HALO as i64;
    let margin = halo + radius as i64;
    let x0 = (i64::from(ra.x) + halo).max(i64::from(rb.x) + dx + margin);
    let x1 = (i64::from(ra.right()) - halo).min(i64::from(rb.right()) + dx - margin);
    let y0 = (i64::from(ra.y) + halo).max(i64::from(rb.y) + dy + margin);
    let y1 = (i64::from(ra.bottom()) - halo).min(i64::from(rb.bottom()) + dy - margin);
    if x1 - x0 < MIN_BLOCK_SIDE || y1 - y0 < MIN_BLOCK_SIDE {
        return;
    }
    let parts = |length: i64| ((length + BLOCK_PX as i64 / 2) / BLOCK_PX as i64).max(1);
    let (columns, rows) = (parts(x1 - x0), parts(y1 - y0));
    for row in 0..rows {
        let (top, bottom) = (y0 + (y1 - y0) * row / rows, y0 + (y1 - y0) * (row + 1) / rows);
        for column in 0..columns {
            let (left, right) = (x0 + (x1 - x0) * column / columns, x0 + (x1 - x0) * (column + 1) / columns);
            let mut block =
                Block { x: left, y: top, width: (right - left) as usize, height: (bottom - top) as usize, energy: 0.0 };
            let [in_a, in_b] = centres(pair, &block, dx, dy);
            let energy_a = pair.a_maps.energy.at(in_a.0, in_a.1);
            let energy_b = pair.b_maps.energy.at(in_b.0, in_b.1);
            block.energy = energy_a.min(energy_b);
            if block.energy >= MIN_BLOCK_ENERGY {
                blocks.push(block);
            }
        }
    }
}

/// The middle of a block in the pixels of either strip.
fn centres(pair: &FinePair<'_>, block: &Block, dx: i64, dy: i64) -> [(usize, usize); 2] {
    let (x, y) = (block.x + block.width as i64 / 2, block.y + block.height as i64 / 2);
    let within = |v: i64, origin: u32| (v - i64::from(origin)).max(0) as usize;
    let (ra, rb) = (pair.a.rect(), pair.b.rect());
    [(within(x, ra.x), within(y, ra.y)), (within(x - dx, rb.x), within(y - dy, rb.y))]
}

/// Compares one block at every whole shift about a displacement.
fn compare<const N: usize>(
    scratch: &mut FineScratch,
    pair: &FinePair<'_>,
    displacement: Point,
    block: &Block,
) -> Surface<N> {
    let radius = (N / 2) as i64;
    let (dx, dy) = (displacement.x as i64, displacement.y as i64);
    let (width, height) = (block.width, block.height);
    let FineScratch { input, lines, a, b, a_rows, b_rows, row_energy, .. } = scratch;
    filtered(pair.a, pair.kernel, [block.x, block.y], [width, height], input, lines, a);
    let b_first = [block.x - dx - radius, block.y - dy - radius];
    let (b_width, b_height) = (width + N - 1, height + N - 1);
    filtered(pair.b, pair.kernel, b_first, [b_width, b_height], input, lines, b);
    // Rows are padded with zeros to whole lanes, so that the inner loop has no rest.
    let stride = width.next_multiple_of(LANES);
    let b_stride = stride + LANES * N.div_ceil(LANES);
    pad_rows(a, width, stride, a_rows);
    pad_rows(b, b_width, b_stride, b_rows);

    let mut products = [[0.0f64; N]; N];
    for (lag_y, product_row) in products.iter_mut().enumerate() {
        let mut lanes = [[0.0f32; LANES]; N];
        for y in 0..height {
            let row_a = &a_rows[y * stride..(y + 1) * stride];
            let row_b = &b_rows[(y + lag_y) * b_stride..(y + lag_y + 1) * b_stride];
            for (k, chunk) in row_a.chunks_exact(LANES).enumerate() {
                let near = &row_b[k * LANES..k * LANES + LANES + N - 1];
                for (lag_x, sums) in lanes.iter_mut().enumerate() {
                    let other = &near[lag_x..lag_x + LANES];
                    for i in 0..LANES {
                        sums[i] += chunk[i] * other[i];
                    }
                }
            }
        }
        for (product, sums) in product_row.iter_mut().zip(&lanes) {
            *product = sums.iter().map(|&v| f64::from(v)).sum();
        }
    }

    let energy_a: f64 = row_energies(a, width, 0, width, row_energy);
    let mut energies = [[0.0f64; N]; N];
    for lag_x in 0..N {
        row_energies(b, b_width, lag_x, width, row_energy);
        let mut sum: f64 = row_energy[..height].iter().map(|&v| f64::from(v)).sum();
        for (lag_y, row) in energies.iter_mut().enumerate() {
            if lag_y > 0 {
                sum += f64::from(row_energy[lag_y + height - 1]) - f64::from(row_energy[lag_y - 1]);
            }
            row[lag_x] = sum;
        }
    }

    let energy_b = energies[N / 2][N / 2];
    if energy_a <= 0.0 || energy_b <= 0.0 {
        return Surface::ZERO;
    }
    let gain = (energy_a / energy_b).sqrt();
    let [in_a, in_b] = centres(pair, block, dx, dy);
    let noise_a = f64::from(pair.a_maps.noise.at(in_a.0, in_a.1));
    let noise_b = f64::from(pair.b_maps.noise.at(in_b.0, in_b.1));
    let weight = 1.0 / (noise_a.powi(2) + (gain * noise_b).powi(2));
    let mut surface = Surface::ZERO;
    surface.energy = weight * energy_a;
    for y in 0..N {
        for x in 0..N {
            surface.product[y][x] = weight * gain * products[y][x];
            surface.merit[y][x] = surface.product[y][x] - 0.5 * weight * gain * gain * energies[y][x];
        }
    }
    surface
}

/// The filtered samples of a rectangle of a strip's field; the filter's halo must lie in the strip too.
fn filtered(
    strip: &Strip<'_>,
    kernel: &LogKernel,
    first: [i64; 2],
    size: [usize; 2],
    input: &mut Vec<f32>,
    lines: &mut Vec<f32>,
    out: &mut Vec<f32>,
) {
    let (width, height) = (size[0] + 2 * LOG_HALO, size[1] + 2 * LOG_HALO);
    let x = (first[0] - i64::from(strip.rect().x) - LOG_HALO as i64) as usize;
    let y = (first[1] - i64::from(strip.rect().y) - LOG_HALO as i64) as usize;
    input.resize(width * height, 0.0);
    for (k, line) in input.chunks_exact_mut(width).enumerate() {
        for (to, &from) in line.iter_mut().zip(&strip.row(y + k)[x..x + width]) {
            *to = f32::from(from);
        }
    }
    kernel.apply(input, width, height, lines, out);
}

/// Copies rows of `width` into rows of `stride`, zeros behind.
fn pad_rows(from: &[f32], width: usize, stride: usize, to: &mut Vec<f32>) {
    let rows = from.len() / width;
    to.resize(rows * stride, 0.0);
    for (row, out) in from.chunks_exact(width).zip(to.chunks_exact_mut(stride)) {
        out[..width].copy_from_slice(row);
        out[width..].fill(0.0);
    }
}

/// The energy of `length` samples of each row from `start` on, one a row into `out`; returns their sum.
fn row_energies(image: &[f32], width: usize, start: usize, length: usize, out: &mut Vec<f32>) -> f64 {
    out.clear();
    let mut total = 0.0;
    for row in image.chunks_exact(width) {
        let part = &row[start..start + length];
        let chunks = part.chunks_exact(LANES);
        let rest: f32 = chunks.remainder().iter().map(|v| v * v).sum();
        let mut lanes = [0.0f32; LANES];
        for chunk in chunks {
            for i in 0..LANES {
                lanes[i] += chunk[i] * chunk[i];
            }
        }
        let sum = lanes.iter().sum::<f32>() + rest;
        total += f64::from(sum);
        out.push(sum);
    }
    total
}

/// Where the surface has its top, in pixels from its middle, searched from its best whole shift; `None` where it has none
/// within [`MAX_PEAK_PX`].
fn peak_of(surface: &Surface<REFINE_LAGS>, best: Point) -> Option<Point> {
    if best.x.abs().max(best.y.abs()) > 1.0 {
        return None;
    }
    let mut at = best;
    for _ in 0..20 {
        let d = derivatives(surface, at);
        let determinant = d.xx * d.yy - d.xy * d.xy;
        if d.xx >= 0.0 || determinant <= 0.0 {
            return None;
        }
        let step = Point::new((d.yy * d.x - d.xy * d.y) / determinant, (d.xx * d.y - d.xy * d.x) / determinant);
        at = at - step;
        if (at - best).x.abs().max((at - best).y.abs()) > 1.0 {
            return None;
        }
        if step.x.abs().max(step.y.abs()) < 1e-7 {
            break;
        }
    }
    (at.x.abs().max(at.y.abs()) <= MAX_PEAK_PX).then_some(at)
}

/// How far from the middle the polynomial through all values is still as exact as the rest.
const MAX_PEAK_PX: f64 = 0.75;

/// The covariance of the peak from the scatter of the blocks' gradients there (a sandwich estimate).
fn covariance_at(peak: Point, sum: &Surface<REFINE_LAGS>, opinions: &[Surface<REFINE_LAGS>]) -> [f64; 3] {
    let d = derivatives(sum, peak);
    let determinant = d.xx * d.yy - d.xy * d.xy;
    let inverse = [d.yy / determinant, -d.xy / determinant, d.xx / determinant];
    let mut scatter = [0.0f64; 3];
    for opinion in opinions {
        let g = derivatives(opinion, peak);
        scatter[0] += g.x * g.x;
        scatter[1] += g.x * g.y;
        scatter[2] += g.y * g.y;
    }
    // Few blocks scatter too little by chance; the squared differences' own curvature is added as if it were more blocks.
    let count = opinions.len() as f64;
    let share = [-d.xx, -d.xy, -d.yy];
    for (s, h) in scatter.iter_mut().zip(share) {
        *s = (*s * count + PRIOR_BLOCKS * SCATTER_OF_CURVATURE * h) / (count + PRIOR_BLOCKS) * (count + 1.0) / count;
    }
    let [ia, ib, ic] = inverse;
    let [sa, sb, sc] = scatter;
    let (ta, tb, tc, td) = (ia * sa + ib * sb, ia * sb + ib * sc, ib * sa + ic * sb, ib * sb + ic * sc);
    let systematic = SYSTEMATIC_PX * SYSTEMATIC_PX;
    [ta * ia + tb * ib + systematic, ta * ib + tb * ic, tc * ib + td * ic + systematic]
}

/// What is left however much texture there is, per axis: interpolation in the polynomial and uneven light.
const SYSTEMATIC_PX: f64 = 0.004;

/// As many blocks' worth of trust the curvature gets in the covariance.
const PRIOR_BLOCKS: f64 = 4.0;
/// The scatter of the gradient over the curvature, as measured on generated fields of known truth.
const SCATTER_OF_CURVATURE: f64 = 1.0;

/// First and second derivatives of a surface.
struct Derivatives {
    x: f64,
    y: f64,
    xx: f64,
    xy: f64,
    yy: f64,
}

/// The derivatives of the polynomial of degree four along each axis through all values.
///
/// The filter leaves nothing near the Nyquist frequency, so this is exact to a thousandth of a pixel, where a parabola
/// through three values leans towards whole pixels.
fn derivatives(surface: &Surface<REFINE_LAGS>, at: Point) -> Derivatives {
    let (x0, x1, x2) = lagrange(at.x);
    let (y0, y1, y2) = lagrange(at.y);
    let mut d = Derivatives { x: 0.0, y: 0.0, xx: 0.0, xy: 0.0, yy: 0.0 };
    for (j, row) in surface.merit.iter().enumerate() {
        let (mut f, mut fx, mut fxx) = (0.0, 0.0, 0.0);
        for (i, v) in row.iter().enumerate() {
            f += v * x0[i];
            fx += v * x1[i];
            fxx += v * x2[i];
        }
        d.x += fx * y0[j];
        d.xx += fxx * y0[j];
        d.y += f * y1[j];
        d.xy += fx * y1[j];
        d.yy += f * y2[j];
    }
    d
}

/// Values, first and second derivatives of the five Lagrange polynomials on -2, -1, 0, 1, 2.
fn lagrange(t: f64) -> ([f64; REFINE_LAGS], [f64; REFINE_LAGS], [f64; REFINE_LAGS]) {
    let (t2, t3, t4) = (t * t, t * t * t, t * t * t * t);
    (
        [
            (t4 - 2.0 * t3 - t2 + 2.0 * t) / 24.0,
            (-t4 + t3 + 4.0 * t2 - 4.0 * t) / 6.0,
            (t4 - 5.0 * t2 + 4.0) / 4.0,
            (-t4 - t3 + 4.0 * t2 + 4.0 * t) / 6.0,
            (t4 + 2.0 * t3 - t2 - 2.0 * t) / 24.0,
        ],
        [
            (4.0 * t3 - 6.0 * t2 - 2.0 * t + 2.0) / 24.0,
            (-4.0 * t3 + 3.0 * t2 + 8.0 * t - 4.0) / 6.0,
            (4.0 * t3 - 10.0 * t) / 4.0,
            (-4.0 * t3 - 3.0 * t2 + 8.0 * t + 4.0) / 6.0,
            (4.0 * t3 + 6.0 * t2 - 2.0 * t - 2.0) / 24.0,
        ],
        [
            (12.0 * t2 - 12.0 * t - 2.0) / 24.0,
            (-12.0 * t2 + 6.0 * t + 8.0) / 6.0,
            (12.0 * t2 - 10.0) / 4.0,
            (-12.0 * t2 - 6.0 * t + 8.0) / 6.0,
            (12.0 * t2 + 12.0 * t - 2.0) / 24.0,
        ],
    )
}
