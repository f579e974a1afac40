//! What is done to samples before they are compared: reduction, Laplacian of Gaussian, noise, texture.
//!
//! Noise is measured, not assumed: the mixed difference of four neighbours hardly sees an image that a lens has
//! blurred, and sees white noise in full.

use super::strip::Strip;

/// Taps of the Gaussian: four on each side of the middle one.
pub const GAUSS_RADIUS: usize = 4;
/// Samples that [`LogKernel::apply`] uses up on each side: the Gaussian's and one for the Laplacian.
pub const LOG_HALO: usize = GAUSS_RADIUS + 1;
/// Side of the squares over which noise and texture are measured, in full-resolution pixels.
pub const BLOCK_PX: usize = 64;
/// The least noise of any sample, in steps of the camera: that of rounding to whole steps, 1 / sqrt(12).
pub const MIN_NOISE: f32 = 0.29;

/// Standard deviation over median absolute deviation, for a normal distribution.
const SIGMA_PER_MAD: f32 = 1.4826;
/// Distance of the samples of noise, in pixels: 256 of them in a block.
const NOISE_STRIDE_PX: usize = 4;
/// Radius of the square over which the reduced image's contrast is evened out, in reduced pixels.
const CONTRAST_RADIUS: usize = 10;
/// Noise counts this many times in the local contrast, so that bare noise stays small where there is no texture.
const NOISE_IN_CONTRAST: f32 = 6.0;

/// A Laplacian of Gaussian: a nine-tap Gaussian along each axis, then the five-point Laplacian, negated so that bright
/// spots stay bright.
#[derive(Debug, Clone, Copy)]
pub struct LogKernel {
    /// The middle tap and the four to one side; they sum to one over both sides.
    taps: [f32; GAUSS_RADIUS + 1],
    noise_gain: f32,
}

impl LogKernel {
    /// The kernel of a Gaussian with this standard deviation in pixels.
    pub fn new(sigma_px: f64) -> Self {
        let mut taps = [0.0f64; GAUSS_RADIUS + 1];
        for (k, tap) in taps.iter_mut().enumerate() {
            *tap = (-0.5 * (k as f64 / sigma_px).powi(2)).exp();
        }
        let sum = taps[0] + 2.0 * taps[1..].iter().sum::<f64>();
        let taps = taps.map(|t| (t / sum) as f32);
        let mut kernel = Self { taps, noise_gain: 0.0 };
        // The response to one bright pixel is the kernel itself.
        let side = 4 * LOG_HALO + 1;
        let mut impulse = vec![0.0; side * side];
        impulse[side * (side / 2) + side / 2] = 1.0;
        let (mut scratch, mut out) = (Vec::new(), Vec::new());
        kernel.apply(&impulse, side, side, &mut scratch, &mut out);
        kernel.noise_gain = out.iter().map(|v| v * v).sum();
        kernel
    }

    /// The variance that white noise of variance one has after the filter.
    pub fn noise_gain(&self) -> f32 {
        self.noise_gain
    }

    /// Filters `image`; `out` is smaller by [`LOG_HALO`] on each side. Both sides of `image` must exceed twice that.
    pub fn apply(&self, image: &[f32], width: usize, height: usize, scratch: &mut Vec<f32>, out: &mut Vec<f32>) {
        let blurred_width = width - 2 * GAUSS_RADIUS;
        let blurred_height = height - 2 * GAUSS_RADIUS;
        let [t0, t1, t2, t3, t4] = self.taps;
        scratch.resize(blurred_width * height + blurred_width * blurred_height, 0.0);
        let (across, blurred) = scratch.split_at_mut(blurred_width * height);
        for (row, line) in image.chunks_exact(width).zip(across.chunks_exact_mut(blurred_width)) {
            let s = |k: usize| &row[k..k + blurred_width];
            let (a, b, c, d, e, f, g, h, i) = (s(0), s(1), s(2), s(3), s(4), s(5), s(6), s(7), s(8));
            for x in 0..blurred_width {
                line[x] = t0 * e[x] + t1 * (d[x] + f[x]) + t2 * (c[x] + g[x]) + t3 * (b[x] + h[x]) + t4 * (a[x] + i[x]);
            }
        }
        for (y, line) in blurred.chunks_exact_mut(blurred_width).enumerate() {
            let s = |k: usize| &across[(y + k) * blurred_width..][..blurred_width];
            let (a, b, c, d, e, f, g, h, i) = (s(0), s(1), s(2), s(3), s(4), s(5), s(6), s(7), s(8));
            for x in 0..blurred_width {
                line[x] = t0 * e[x] + t1 * (d[x] + f[x]) + t2 * (c[x] + g[x]) + t3 * (b[x] + h[x]) + t4 * (a[x] + i[x]);
            }
        }
        let (out_width, out_height) = (width - 2 * LOG_HALO, height - 2 * LOG_HALO);
        out.resize(out_width * out_height, 0.0);
        for (y, line) in out.chunks_exact_mut(out_width).enumerate() {
            let s = |dy: usize, dx: usize| &blurred[(y + dy) * blurred_width + dx..][..out_width];
            let (up, left, middle, right, down) = (s(0, 1), s(1, 0), s(1, 1), s(1, 2), s(2, 1));
            for x in 0..out_width {
                line[x] = 4.0 * middle[x] - (up[x] + down[x]) - (left[x] + right[x]);
            }
        }
    }
}

/// A value for each [`BLOCK_PX`] square of a strip.
#[derive(Debug, Clone, Default)]
pub struct BlockMap {
    width: usize,
    height: usize,
    values: Vec<f32>,
}

impl BlockMap {
    /// The value at a pixel of the strip, the nearest block's where it lies outside.
    pub fn at(&self, x_px: usize, y_px: usize) -> f32 {
        let x = (x_px / BLOCK_PX).min(self.width.saturating_sub(1));
        let y = (y_px / BLOCK_PX).min(self.height.saturating_sub(1));
        self.values.get(y * self.width + x).copied().unwrap_or(0.0)
    }

    /// All values, row by row.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Fills the map of a strip of this size; the callback gets the block's first pixel and the one after its last.
    fn fill(&mut self, width_px: usize, height_px: usize, mut value: impl FnMut([usize; 2], [usize; 2]) -> f32) {
        // A narrow rest joins the block before it.
        self.width = ((width_px + BLOCK_PX / 2) / BLOCK_PX).max(1);
        self.height = ((height_px + BLOCK_PX / 2) / BLOCK_PX).max(1);
        self.values.clear();
        for by in 0..self.height {
            for bx in 0..self.width {
                let end = |k: usize, n: usize, size: usize| if k + 1 == n { size } else { (k + 1) * BLOCK_PX };
                let last = [end(bx, self.width, width_px), end(by, self.height, height_px)];
                self.values.push(value([bx * BLOCK_PX, by * BLOCK_PX], last));
            }
        }
    }
}

/// One strip made ready for the coarse search.
#[derive(Debug, Clone, Default)]
pub struct Reduced {
    /// Reduced pixels across.
    pub width: usize,
    /// Reduced pixels down.
    pub height: usize,
    /// The filtered image, contrast evened out, noise kept small; row by row.
    pub texture: Vec<f32>,
    /// The noise of a full-resolution sample, as a standard deviation, by block.
    pub noise: BlockMap,
    /// Energy of the filtered image over that of bare noise, by block: about one where there is nothing to see.
    pub energy: BlockMap,
    scratch: Scratch,
}

/// Buffers of [`Reduced::prepare`].
#[derive(Debug, Clone, Default)]
struct Scratch {
    padded: Vec<f32>,
    lines: Vec<f32>,
    sums: Vec<f64>,
    deviations: Vec<i32>,
}

impl Reduced {
    /// Reduces, filters and measures a strip. `reduction` must not exceed either side of the strip.
    pub fn prepare(&mut self, strip: &Strip<'_>, reduction: usize, kernel: &LogKernel) {
        measure_noise(strip, &mut self.scratch.deviations, &mut self.noise);
        self.width = strip.width() / reduction;
        self.height = strip.height() / reduction;
        let padded_width = self.width + 2 * LOG_HALO;
        let padded_height = self.height + 2 * LOG_HALO;
        reduce_padded(strip, reduction, self.width, self.height, &mut self.scratch.padded);
        let Scratch { padded, lines, sums, .. } = &mut self.scratch;
        kernel.apply(padded, padded_width, padded_height, lines, &mut self.texture);
        let variance_scale = kernel.noise_gain() / (reduction * reduction) as f32;
        squares_table(&self.texture, self.width, self.height, sums);
        let (width, height) = (self.width, self.height);
        let noise = &self.noise;
        self.energy.fill(strip.width(), strip.height(), |first, last| {
            let to_reduced = |p: [usize; 2]| [(p[0] / reduction).min(width), (p[1] / reduction).min(height)];
            let (first_reduced, last_reduced) = (to_reduced(first), to_reduced(last));
            let count = (last_reduced[0] - first_reduced[0]) * (last_reduced[1] - first_reduced[1]);
            let energy = table_sum(sums, width, first_reduced, last_reduced) / count.max(1) as f64;
            energy as f32 / (noise.at(first[0], first[1]).powi(2) * variance_scale)
        });
        // Contrast is evened out by the energy of the neighbourhood, so that one bright speck does not outvote a tissue.
        for y in 0..height {
            let (top, bottom) = (y.saturating_sub(CONTRAST_RADIUS), (y + CONTRAST_RADIUS + 1).min(height));
            for x in 0..width {
                let (left, right) = (x.saturating_sub(CONTRAST_RADIUS), (x + CONTRAST_RADIUS + 1).min(width));
                let mean = table_sum(sums, width, [left, top], [right, bottom]) as f32
                    / ((right - left) * (bottom - top)) as f32;
                let noise_variance = noise.at(x * reduction, y * reduction).powi(2) * variance_scale;
                self.texture[y * width + x] /= (mean + NOISE_IN_CONTRAST * noise_variance).sqrt();
            }
        }
    }
}

/// Area means, with the border repeated by [`LOG_HALO`] on each side.
fn reduce_padded(strip: &Strip<'_>, reduction: usize, width: usize, height: usize, out: &mut Vec<f32>) {
    let padded_width = width + 2 * LOG_HALO;
    out.clear();
    out.resize(padded_width * (height + 2 * LOG_HALO), 0.0);
    let scale = 1.0 / (reduction * reduction) as f32;
    let mut sums = vec![0u32; width * reduction];
    for y in 0..height {
        sums.fill(0);
        for dy in 0..reduction {
            let row = &strip.row(y * reduction + dy)[..width * reduction];
            for (sum, &sample) in sums.iter_mut().zip(row) {
                *sum += u32::from(sample);
            }
        }
        let line = &mut out[(y + LOG_HALO) * padded_width..][..padded_width];
        for (value, cell) in line[LOG_HALO..].iter_mut().zip(sums.chunks_exact(reduction)) {
            *value = cell.iter().sum::<u32>() as f32 * scale;
        }
        let (first, last) = (line[LOG_HALO], line[LOG_HALO + width - 1]);
        line[..LOG_HALO].fill(first);
        line[LOG_HALO + width..].fill(last);
    }
    for y in 0..LOG_HALO {
        out.copy_within(LOG_HALO * padded_width..(LOG_HALO + 1) * padded_width, y * padded_width);
        let last = (LOG_HALO + height - 1) * padded_width;
        out.copy_within(last..last + padded_width, (LOG_HALO + height + y) * padded_width);
    }
}

/// The noise of each block, from the median of mixed differences.
fn measure_noise(strip: &Strip<'_>, deviations: &mut Vec<i32>, noise: &mut BlockMap) {
    noise.fill(strip.width(), strip.height(), |first, last| {
        deviations.clear();
        for y in (first[1]..last[1].saturating_sub(1)).step_by(NOISE_STRIDE_PX) {
            let (upper, lower) = (strip.row(y), strip.row(y + 1));
            for x in (first[0]..last[0].saturating_sub(1)).step_by(NOISE_STRIDE_PX) {
                let [a, b, c, d] = [upper[x], upper[x + 1], lower[x], lower[x + 1]].map(i32::from);
                deviations.push((a - b - c + d).abs());
            }
        }
        if deviations.is_empty() {
            return MIN_NOISE;
        }
        let middle = deviations.len() / 2;
        let median = *deviations.select_nth_unstable(middle).1;
        // The mixed difference of four samples has twice their standard deviation.
        (SIGMA_PER_MAD * median as f32 * 0.5).max(MIN_NOISE)
    });
}

/// Sums of squares over every rectangle that starts at the origin, with a row and a column of zeros before them.
pub fn squares_table(image: &[f32], width: usize, height: usize, table: &mut Vec<f64>) {
    let stride = width + 1;
    table.clear();
    table.resize(stride * (height + 1), 0.0);
    for y in 0..height {
        let (above, below) = table.split_at_mut((y + 1) * stride);
        let above = &above[y * stride..];
        let mut sum = 0.0;
        for x in 0..width {
            sum += f64::from(image[y * width + x]).powi(2);
            below[x + 1] = above[x + 1] + sum;
        }
    }
}

/// The sum of squares from `first` up to but without `last`, out of a [`squares_table`] of an image `width` wide.
pub fn table_sum(table: &[f64], width: usize, first: [usize; 2], last: [usize; 2]) -> f64 {
    let at = |x: usize, y: usize| table[y * (width + 1) + x];
    at(last[0], last[1]) - at(first[0], last[1]) - at(last[0], first[1]) + at(first[0], first[1])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geom::PixelRect;

    /// Normal deviates from a counter, so that every test has its own and always the same.
    fn normal(seed: &mut u64) -> f64 {
        let mut uniform = || {
            *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((*seed >> 11) as f64 + 0.5) / (1u64 << 53) as f64
        };
        (-2.0 * uniform().ln()).sqrt() * (std::f64::consts::TAU * uniform()).cos()
    }

    fn noisy(width: u32, height: u32, level: f64, sigma: f64, seed: u64) -> Vec<u16> {
        let mut s = seed;
        (0..width * height).map(|_| (level + sigma * normal(&mut s)).round() as u16).collect()
    }

    #[test]
    fn noise_is_measured_to_a_tenth_and_bare_noise_has_energy_one() {
        let rect = PixelRect::new(0, 0, 256, 512);
        let samples = noisy(256, 512, 1000.0, 30.0, 5);
        let strip = Strip::new(rect, &samples).expect("it fits");
        let mut reduced = Reduced::default();
        reduced.prepare(&strip, 4, &LogKernel::new(1.0));
        let mean = reduced.noise.values().iter().sum::<f32>() / reduced.noise.values().len() as f32;
        assert!((mean - 30.0).abs() < 1.5, "noise {mean}");
        let energy = reduced.energy.values().iter().sum::<f32>() / reduced.energy.values().len() as f32;
        assert!((energy - 1.0).abs() < 0.15, "energy {energy}");
    }

    #[test]
    fn a_flat_field_and_a_ramp_leave_nothing_after_the_filter() {
        let kernel = LogKernel::new(1.2);
        let ramp: Vec<f32> = (0..40 * 30).map(|i| 5.0 + 3.0 * (i % 40) as f32 - 2.0 * (i / 40) as f32).collect();
        let (mut scratch, mut out) = (Vec::new(), Vec::new());
        kernel.apply(&ramp, 40, 30, &mut scratch, &mut out);
        assert_eq!(out.len(), (40 - 2 * LOG_HALO) * (30 - 2 * LOG_HALO));
        assert!(out.iter().all(|v| v.abs() < 1e-3));
    }

    #[test]
    fn reduction_takes_area_means_and_repeats_the_border() {
        let samples: Vec<u16> = (0..8 * 8).map(|i| (i % 8 * 10) as u16).collect();
        let strip = Strip::new(PixelRect::new(0, 0, 8, 8), &samples).expect("it fits");
        let mut out = Vec::new();
        reduce_padded(&strip, 4, 2, 2, &mut out);
        let width = 2 + 2 * LOG_HALO;
        assert_eq!(out[LOG_HALO * width], 15.0);
        assert_eq!(out[LOG_HALO * width + LOG_HALO + 1], 55.0);
        assert_eq!(out[out.len() - 1], 55.0);
    }

    #[test]
    fn a_table_of_squares_gives_the_sum_over_any_rectangle() {
        let image: Vec<f32> = (0..20).map(|i| i as f32).collect();
        let mut table = Vec::new();
        squares_table(&image, 5, 4, &mut table);
        assert_eq!(table_sum(&table, 5, [1, 1], [3, 3]), f64::from(6 * 6 + 7 * 7 + 11 * 11 + 12 * 12));
    }
}
