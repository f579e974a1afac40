//! Plain cross-correlation of two real images by FFT, zero padded so that no shift of interest wraps.
//!
//! Correlation is `c(l) = sum over x of a(x) b(x + l)`.
//! Plain, not phase-normalised: on images that were filtered first it is as sharp and does not raise noise.

use std::sync::Arc;

use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};
use rustfft::{Fft, num_complex::Complex};

/// The largest piece that is ever transformed, padding included: as many pixels as 512 x 1024 has.
///
/// Bounds the scratch of a worker to three spectra, 6 MiB.
pub const MAX_PIECE_PX: usize = 512 * 1024;

/// A rectangle of whole-pixel lags, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LagRange {
    /// The smallest lag along x and y.
    pub min: [i32; 2],
    /// The largest lag along x and y.
    pub max: [i32; 2],
}

impl LagRange {
    /// Lags along x.
    pub fn width(&self) -> usize {
        (self.max[0] - self.min[0] + 1).max(0) as usize
    }

    /// Lags along y.
    pub fn height(&self) -> usize {
        (self.max[1] - self.min[1] + 1).max(0) as usize
    }

    /// The padded size at which images of these sizes do not wrap into the range.
    pub fn padded_size(&self, a: [usize; 2], b: [usize; 2]) -> [usize; 2] {
        std::array::from_fn(|k| {
            let above = a[k] as i64 + i64::from(self.max[k]);
            let below = b[k] as i64 - i64::from(self.min[k]);
            fast_length(above.max(below).max(a[k] as i64).max(b[k] as i64).max(2) as usize)
        })
    }
}

/// Plans and buffers, kept from one pair to the next.
pub struct Correlator {
    planner: RealFftPlanner<f32>,
    columns: rustfft::FftPlanner<f32>,
    plan: Option<Plan>,
    real: Vec<f32>,
    rows: Vec<Complex<f32>>,
    spectrum_a: Vec<Complex<f32>>,
    spectrum_b: Vec<Complex<f32>>,
    scratch: Vec<Complex<f32>>,
}

/// The transforms of one padded size.
struct Plan {
    size: [usize; 2],
    row_forward: Arc<dyn RealToComplex<f32>>,
    row_inverse: Arc<dyn ComplexToReal<f32>>,
    column_forward: Arc<dyn Fft<f32>>,
    column_inverse: Arc<dyn Fft<f32>>,
}

impl Default for Correlator {
    fn default() -> Self {
        Self::new()
    }
}

impl Correlator {
    /// Nothing planned yet.
    pub fn new() -> Self {
        Self {
            planner: RealFftPlanner::new(),
            columns: rustfft::FftPlanner::new(),
            plan: None,
            real: Vec::new(),
            rows: Vec::new(),
            spectrum_a: Vec::new(),
            spectrum_b: Vec::new(),
            scratch: Vec::new(),
        }
    }

    /// The correlation at every lag of `lags`, row by row, into `surface`.
    ///
    /// Images are row-major with their sizes as width, height.
    /// Returns false, and leaves `surface` empty, where the padded size is over the bound or the range is empty.
    pub fn correlate(
        &mut self,
        a: (&[f32], [usize; 2]),
        b: (&[f32], [usize; 2]),
        lags: LagRange,
        surface: &mut Vec<f32>,
    ) -> bool {
        surface.clear();
        let size = lags.padded_size(a.1, b.1);
        if size[0] * size[1] > MAX_PIECE_PX || lags.width() == 0 || lags.height() == 0 {
            return false;
        }
        self.prepare(size);
        let Some(plan) = &self.plan else { return false };
        forward(plan, a, &mut self.real, &mut self.rows, &mut self.spectrum_a, &mut self.scratch);
        forward(plan, b, &mut self.real, &mut self.rows, &mut self.spectrum_b, &mut self.scratch);
        for (p, q) in self.spectrum_a.iter_mut().zip(&self.spectrum_b) {
            *p = p.conj() * q;
        }
        plan.column_inverse.process_with_scratch(&mut self.spectrum_a, &mut self.scratch);
        let [width, height] = size;
        transpose(&self.spectrum_a, height, width / 2 + 1, &mut self.rows);
        let scale = 1.0 / (width * height) as f32;
        let line = &mut self.real[..width];
        surface.reserve(lags.width() * lags.height());
        for lag_y in lags.min[1]..=lags.max[1] {
            let y = lag_y.rem_euclid(height as i32) as usize;
            let row = &mut self.rows[y * (width / 2 + 1)..(y + 1) * (width / 2 + 1)];
            // What a real image cannot have; rounding leaves a trace that the transform would refuse.
            row[0].im = 0.0;
            row[width / 2].im = 0.0;
            if plan.row_inverse.process_with_scratch(row, line, &mut self.scratch).is_err() {
                surface.clear();
                return false;
            }
            surface
                .extend((lags.min[0]..=lags.max[0]).map(|lag_x| line[lag_x.rem_euclid(width as i32) as usize] * scale));
        }
        true
    }

    /// Plans for a padded size, and buffers of that size.
    fn prepare(&mut self, size: [usize; 2]) {
        if self.plan.as_ref().is_some_and(|p| p.size == size) {
            return;
        }
        let [width, height] = size;
        let plan = Plan {
            size,
            row_forward: self.planner.plan_fft_forward(width),
            row_inverse: self.planner.plan_fft_inverse(width),
            column_forward: self.columns.plan_fft_forward(height),
            column_inverse: self.columns.plan_fft_inverse(height),
        };
        let scratch = plan
            .row_forward
            .get_scratch_len()
            .max(plan.row_inverse.get_scratch_len())
            .max(plan.column_forward.get_inplace_scratch_len())
            .max(plan.column_inverse.get_inplace_scratch_len());
        let zero = Complex::new(0.0, 0.0);
        let spectrum = (width / 2 + 1) * height;
        self.real.resize(width, 0.0);
        self.rows.resize(spectrum, zero);
        self.spectrum_a.resize(spectrum, zero);
        self.spectrum_b.resize(spectrum, zero);
        self.scratch.resize(scratch, zero);
        self.plan = Some(plan);
    }
}

/// The spectrum of an image, padded, left transposed: one run of memory a column.
fn forward(
    plan: &Plan,
    (image, [image_width, _]): (&[f32], [usize; 2]),
    line: &mut [f32],
    rows: &mut [Complex<f32>],
    spectrum: &mut [Complex<f32>],
    scratch: &mut [Complex<f32>],
) {
    let [width, height] = plan.size;
    let half = width / 2 + 1;
    let zero = Complex::new(0.0, 0.0);
    let mut samples = image.chunks_exact(image_width);
    for out in rows.chunks_exact_mut(half).take(height) {
        match samples.next() {
            Some(row) => {
                line[..image_width].copy_from_slice(row);
                line[image_width..width].fill(0.0);
                // Lengths come from the plan itself, so the transform cannot refuse them.
                if plan.row_forward.process_with_scratch(&mut line[..width], out, scratch).is_err() {
                    out.fill(zero);
                }
            }
            None => out.fill(zero),
        }
    }
    transpose(rows, half, height, spectrum);
    plan.column_forward.process_with_scratch(spectrum, scratch);
}

/// `to[x][y] = from[y][x]`, in blocks that fit the first cache.
fn transpose(from: &[Complex<f32>], width: usize, height: usize, to: &mut [Complex<f32>]) {
    const BLOCK: usize = 16;
    for y0 in (0..height).step_by(BLOCK) {
        for x0 in (0..width).step_by(BLOCK) {
            for x in x0..(x0 + BLOCK).min(width) {
                for y in y0..(y0 + BLOCK).min(height) {
                    to[x * height + y] = from[y * width + x];
                }
            }
        }
    }
}

/// The next even length of small prime factors, which transforms fast.
fn fast_length(at_least: usize) -> usize {
    let mut n = at_least.next_multiple_of(2);
    loop {
        let mut rest = n;
        for p in [2, 3, 5] {
            while rest.is_multiple_of(p) {
                rest /= p;
            }
        }
        if rest == 1 {
            return n;
        }
        n += 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(n: usize, seed: u32) -> Vec<f32> {
        let mut s = seed;
        (0..n)
            .map(|_| {
                s = s.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (s >> 8) as f32 / (1 << 24) as f32 - 0.5
            })
            .collect()
    }

    #[test]
    fn the_transform_agrees_with_the_sum_at_every_lag_of_unequal_images() {
        let (aw, ah, bw, bh) = (13, 9, 17, 11);
        let (a, b) = (noise(aw * ah, 1), noise(bw * bh, 2));
        let lags = LagRange { min: [-12, -8], max: [16, 10] };
        let mut surface = Vec::new();
        let mut correlator = Correlator::new();
        // Twice, so that reused buffers are seen to be cleared.
        for _ in 0..2 {
            assert!(correlator.correlate((&a, [aw, ah]), (&b, [bw, bh]), lags, &mut surface));
        }
        for (k, &got) in surface.iter().enumerate() {
            let lx = lags.min[0] + (k % lags.width()) as i32;
            let ly = lags.min[1] + (k / lags.width()) as i32;
            let mut want = 0.0;
            for y in 0..ah as i32 {
                for x in 0..aw as i32 {
                    let (u, v) = (x + lx, y + ly);
                    if (0..bw as i32).contains(&u) && (0..bh as i32).contains(&v) {
                        want += a[(y * aw as i32 + x) as usize] * b[(v * bw as i32 + u) as usize];
                    }
                }
            }
            assert!((got - want).abs() < 1e-4, "lag {lx},{ly}: {got} for {want}");
        }
    }

    #[test]
    fn a_piece_over_the_bound_is_refused() {
        let a = noise(800 * 700, 3);
        let lags = LagRange { min: [0, 0], max: [0, 0] };
        assert!(!Correlator::new().correlate((&a, [800, 700]), (&a, [800, 700]), lags, &mut Vec::new()));
    }

    #[test]
    fn lengths_have_no_large_factor_and_are_even() {
        assert_eq!(fast_length(205), 216);
        assert_eq!(fast_length(2), 2);
        assert_eq!(fast_length(1021), 1024);
    }
}
