//! From pixels to the numbers that are coded: brightness and colours, cosines, steps.

use super::huffman::{BitWriter, Codes};
use std::f64::consts::{PI, SQRT_2};

/// The order in which the 64 numbers of a block are coded, from coarse to fine: a path to and fro across the block.
pub const ZIGZAG: [u8; 64] = zigzag();

/// Where in that order each number of a block stands.
const PLACE: [u8; 64] = {
    let mut place = [0; 64];
    let mut n = 0;
    while n < 64 {
        place[ZIGZAG[n] as usize] = n as u8;
        n += 1;
    }
    place
};

const fn zigzag() -> [u8; 64] {
    let mut order = [0; 64];
    let (mut n, mut diagonal) = (0, 0);
    while diagonal < 15 {
        let (mut step, first) = (0, if diagonal < 8 { 0 } else { diagonal - 7 });
        while step <= diagonal - 2 * first {
            // Even diagonals run upwards, odd ones downwards.
            let along = first + step;
            let row = if diagonal % 2 == 0 { diagonal - along } else { along };
            order[n] = (row * 8 + diagonal - row) as u8;
            n += 1;
            step += 1;
        }
        diagonal += 1;
    }
    order
}

/// The steps that the JPEG standard proposes at quality 50, row by row, for brightness,
const LUMA_STEPS: [u8; 64] = [
    16, 11, 10, 16, 24, 40, 51, 61, //
    12, 12, 14, 19, 26, 58, 60, 55, //
    14, 13, 16, 24, 40, 57, 69, 56, //
    14, 17, 22, 29, 51, 87, 80, 62, //
    18, 22, 37, 56, 68, 109, 103, 77, //
    24, 35, 55, 64, 81, 104, 113, 92, //
    49, 64, 78, 87, 103, 121, 120, 101, //
    72, 92, 95, 98, 112, 100, 103, 99,
];
/// and for colours.
const CHROMA_STEPS: [u8; 64] = [
    17, 18, 24, 47, 99, 99, 99, 99, //
    18, 21, 26, 66, 99, 99, 99, 99, //
    24, 26, 56, 99, 99, 99, 99, 99, //
    47, 66, 99, 99, 99, 99, 99, 99, //
    99, 99, 99, 99, 99, 99, 99, 99, //
    99, 99, 99, 99, 99, 99, 99, 99, //
    99, 99, 99, 99, 99, 99, 99, 99, //
    99, 99, 99, 99, 99, 99, 99, 99,
];

/// Added to a small number, this leaves the number rounded in the lowest bits.
const ROUNDING: f32 = 12_582_912.0;

/// Turns blocks, whose columns are transformed, into numbers to code.
pub struct Quantised {
    steps: [u8; 64],
    /// One over each step, with what [`columns`] scales its rows by.
    reciprocals: [[f32; 8]; 8],
    /// By place in a row, then by frequency.
    cosines: [[f32; 8]; 8],
}

/// The numbers of a block, row by row.
pub struct Block([i32; 64]);

impl Quantised {
    pub fn luma(quality: u8) -> Self {
        Self::of(&LUMA_STEPS, quality)
    }

    pub fn chroma(quality: u8) -> Self {
        Self::of(&CHROMA_STEPS, quality)
    }

    fn of(steps: &[u8; 64], quality: u8) -> Self {
        // How all programs understand a quality.
        let quality = u32::from(quality.clamp(1, 100));
        let percent = if quality < 50 { 5000 / quality } else { 200 - 2 * quality };
        let steps = steps.map(|step| ((u32::from(step) * percent + 50) / 100).clamp(1, 255) as u8);
        let scaled_by = |row: usize| {
            let cosine = if row == 0 { 1.0 } else { (row as f64 * PI / 16.0).cos() * SQRT_2 };
            cosine * 8_f64.sqrt()
        };
        let reciprocals = std::array::from_fn(|row| {
            std::array::from_fn(|column| (1.0 / (f64::from(steps[row * 8 + column]) * scaled_by(row))) as f32)
        });
        let cosines = std::array::from_fn(|at| {
            std::array::from_fn(|frequency| {
                let scale = if frequency == 0 { 0.125_f64.sqrt() } else { 0.5 };
                (scale * ((2 * at + 1) as f64 * frequency as f64 * PI / 16.0).cos()) as f32
            })
        });
        Self { steps, reciprocals, cosines }
    }

    /// The steps in the order in which numbers are coded.
    pub fn in_zigzag(&self) -> [u8; 64] {
        ZIGZAG.map(|at| self.steps[usize::from(at)])
    }

    /// The block at the beginning of eight rows that lie `stride` apart and whose columns are transformed.
    #[inline(always)]
    pub fn block(&self, rows: &[f32], stride: usize) -> Block {
        let mut numbers = [0; 64];
        let rows = rows.chunks(stride).zip(numbers.chunks_exact_mut(8)).zip(&self.reciprocals);
        for ((row, numbers), reciprocals) in rows {
            let mut pixels = [0.0; 8];
            pixels.copy_from_slice(&row[..8]);
            let mut sums = [0.0_f32; 8];
            for (pixel, cosines) in pixels.iter().zip(&self.cosines) {
                for (sum, cosine) in sums.iter_mut().zip(cosines) {
                    *sum += pixel * cosine;
                }
            }
            for ((number, sum), reciprocal) in numbers.iter_mut().zip(sums).zip(reciprocals) {
                *number = (sum * reciprocal + ROUNDING).to_bits() as i32 - ROUNDING.to_bits() as i32;
            }
        }
        Block(numbers)
    }
}

impl Block {
    /// Codes the block; `mean` is that of the block before.
    #[inline(always)]
    pub fn code(&self, codes: &Codes, mean: &mut i32, bits: &mut BitWriter, out: &mut Vec<u8>) {
        let Self(numbers) = self;
        codes.code_mean(numbers[0] - *mean, bits, out);
        *mean = numbers[0];
        let mut places = self.places();
        let mut before = 0;
        while places != 0 {
            let place = places.trailing_zeros();
            places &= places - 1;
            let number = numbers[usize::from(ZIGZAG[place as usize & 63]) & 63];
            codes.code_number(place - before - 1, number, bits, out);
            before = place;
        }
        if before != 63 {
            codes.code_end(bits, out);
        }
    }

    /// Which places of the zigzag hold something, but for the mean.
    #[inline(always)]
    fn places(&self) -> u64 {
        let mut there = 0_u64;
        for (row, numbers) in self.0.chunks_exact(8).enumerate() {
            let mut in_row = 0;
            for (column, number) in numbers.iter().enumerate() {
                in_row |= u64::from(*number != 0) << column;
            }
            there |= in_row << (8 * row);
        }
        there &= !1;
        let mut places = 0;
        while there != 0 {
            places |= 1 << PLACE[there.trailing_zeros() as usize & 63];
            there &= there - 1;
        }
        places
    }
}

/// Grey pixels around zero.
#[inline(always)]
pub fn to_gray(pixels: &[u8], luma: &mut [f32]) {
    for (luma, pixel) in luma.iter_mut().zip(pixels) {
        *luma = f32::from(*pixel) - 128.0;
    }
}

/// RGB pixels as brightness, blue and red, all around zero.
#[inline(always)]
pub fn to_colors(pixels: &[u8], luma: &mut [f32], blue: &mut [f32], red: &mut [f32]) {
    for (((px, luma), blue), red) in pixels.chunks_exact(3).zip(luma).zip(blue).zip(red) {
        let [r, g, b] = [f32::from(px[0]), f32::from(px[1]), f32::from(px[2])];
        *luma = 0.299 * r + 0.587 * g + 0.114 * b - 128.0;
        *blue = -0.168_735_9 * r - 0.331_264_1 * g + 0.5 * b;
        *red = 0.5 * r - 0.418_687_6 * g - 0.081_312_4 * b;
    }
}

/// The means of squares of four.
#[inline(always)]
pub fn halve(full: &[f32], width: usize, halved: &mut [f32]) {
    for (rows, out) in full.chunks_exact(2 * width).zip(halved.chunks_exact_mut(width / 2)) {
        let (top, bottom) = rows.split_at(width);
        for ((out, a), b) in out.iter_mut().zip(top.chunks_exact(2)).zip(bottom.chunks_exact(2)) {
            *out = (a[0] + a[1] + (b[0] + b[1])) * 0.25;
        }
    }
}

/// Transforms the columns of eight rows in place: from eight pixels to eight frequencies, each scaled by what
/// [`Quantised`] takes back. The flow of Arai, Agui and Nakajima, which needs five multiplications.
#[inline(always)]
pub fn columns(rows: &mut [f32], width: usize) {
    let mut parts = rows.chunks_exact_mut(width);
    let [r0, r1, r2, r3, r4, r5, r6, r7]: [&mut [f32]; 8] = std::array::from_fn(|_| parts.next().unwrap_or_default());
    // All have this length; saying so spares the checks inside the loop.
    let lengths = [r0.len(), r1.len(), r2.len(), r3.len(), r4.len(), r5.len(), r6.len(), r7.len()];
    for x in 0..lengths.into_iter().fold(width, usize::min) {
        let (sum_07, sum_16, sum_25, sum_34) = (r0[x] + r7[x], r1[x] + r6[x], r2[x] + r5[x], r3[x] + r4[x]);
        let (off_07, off_16, off_25, off_34) = (r0[x] - r7[x], r1[x] - r6[x], r2[x] - r5[x], r3[x] - r4[x]);
        let (outer, inner) = (sum_07 + sum_34, sum_16 + sum_25);
        let (off_outer, off_inner) = (sum_07 - sum_34, sum_16 - sum_25);
        let even = (off_inner + off_outer) * 0.707_106_77;
        let (low, middle, high) = (off_34 + off_25, off_25 + off_16, off_16 + off_07);
        let shared = (low - high) * 0.382_683_43;
        let low = low * 0.541_196_1 + shared;
        let high = high * 1.306_563 + shared;
        let middle = middle * 0.707_106_77;
        let (near, far) = (off_07 + middle, off_07 - middle);
        r0[x] = outer + inner;
        r1[x] = near + high;
        r2[x] = off_outer + even;
        r3[x] = far - low;
        r4[x] = outer - inner;
        r5[x] = far + low;
        r6[x] = off_outer - even;
        r7[x] = near - high;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_zigzag_goes_to_and_fro_from_corner_to_corner() {
        assert_eq!(ZIGZAG[..10], [0, 1, 8, 16, 9, 2, 3, 10, 17, 24]);
        assert_eq!(ZIGZAG[60..], [47, 55, 62, 63]);
        let mut sorted = ZIGZAG;
        sorted.sort_unstable();
        assert!(sorted.iter().enumerate().all(|(n, &at)| n == usize::from(at)));
    }

    #[test]
    fn a_block_is_its_cosine_transform_over_the_steps() {
        let pixels: Vec<f32> = (0..64).map(|n| (n * n * 37 % 251) as f32 - 128.0).collect();
        let mut rows = pixels.clone();
        columns(&mut rows, 8);
        let quantised = Quantised::luma(100);
        let Block(numbers) = quantised.block(&rows, 8);
        for (n, number) in numbers.iter().enumerate() {
            let (v, u) = (n / 8, n % 8);
            let wave = |k: usize, at: usize| {
                let scale = if k == 0 { 0.125_f64.sqrt() } else { 0.5 };
                scale * ((2 * at + 1) as f64 * k as f64 * PI / 16.0).cos()
            };
            let sum: f64 = (0..64).map(|i| f64::from(pixels[i]) * wave(v, i / 8) * wave(u, i % 8)).sum();
            assert!((sum - f64::from(*number)).abs() < 0.51, "{n}: {number} for {sum}");
        }
    }
}
