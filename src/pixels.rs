//! Pixel types and the kernels over them; pure.

mod covered;
mod samples;

pub use covered::{CoveredRow, halve_covered};
pub use samples::{
    SampleType, Tap, mask_bits, pick, reverse_bits, swap_bytes, undo_differences, undo_float_predictor, unpack_bits,
};

use crate::geom::Size;
use serde::{Deserialize, Serialize};

/// What one sample, or one RGB pixel, is in the source file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PixelType {
    /// Unsigned, 8 bits or fewer.
    U8,
    /// Signed, 8 bits.
    I8,
    /// Unsigned, 9 to 16 bits.
    U16,
    /// Signed, 16 bits.
    I16,
    /// Unsigned, 17 to 32 bits.
    U32,
    /// Signed, 32 bits.
    I32,
    /// Half precision.
    F16,
    /// Single precision.
    F32,
    /// Double precision.
    F64,
    /// Three interleaved 8-bit samples.
    Rgb8,
    /// Three 16-bit samples; stored as three channels.
    Rgb16,
}

impl PixelType {
    /// The name that `info --json` prints.
    pub fn name(self) -> &'static str {
        match self {
            Self::U8 => "u8",
            Self::I8 => "i8",
            Self::U16 => "u16",
            Self::I16 => "i16",
            Self::U32 => "u32",
            Self::I32 => "i32",
            Self::F16 => "f16",
            Self::F32 => "f32",
            Self::F64 => "f64",
            Self::Rgb8 => "rgb8",
            Self::Rgb16 => "rgb16",
        }
    }
}

/// What a tile holds: the three layouts of the store and the GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TileFormat {
    /// One byte a pixel.
    Gray8,
    /// Two bytes a pixel, in the machine's byte order.
    Gray16,
    /// Three interleaved bytes a pixel.
    Rgb8,
}

impl TileFormat {
    /// Bytes of one pixel.
    pub const fn bytes_per_px(self) -> usize {
        match self {
            Self::Gray8 => 1,
            Self::Gray16 => 2,
            Self::Rgb8 => 3,
        }
    }

    /// Bytes of a square tile.
    pub const fn tile_bytes(self, side: u32) -> usize {
        side as usize * side as usize * self.bytes_per_px()
    }
}

/// How a stored sample becomes the value in the file: `value = stored * scale + offset`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ValueCoding {
    /// File units a stored step.
    pub scale: f64,
    /// The value of a stored zero.
    pub offset: f64,
    /// Whether every file value is stored without loss; false for the "16-bit preview" of wider types.
    pub exact: bool,
}

impl ValueCoding {
    /// Stored samples are the file's values.
    pub const IDENTITY: Self = Self { scale: 1.0, offset: 0.0, exact: true };

    /// The file's value of a stored sample.
    pub fn value(&self, stored: f64) -> f64 {
        stored * self.scale + self.offset
    }

    /// The stored sample nearest to a file value, unrounded.
    pub fn stored(&self, value: f64) -> f64 {
        (value - self.offset) / self.scale
    }
}

/// Halves one child tile into its quadrant of the parent: each sample is `(a + b + c + d + 2) >> 2`, and the last row
/// or column of `valid` is repeated where it is odd.
///
/// Both tiles are squares of `side` pixels (even), rows top down. `valid` is what exists of the child; `quadrant` is
/// (column, row), 0 or 1 each. Only the pixels that come from `valid` are written.
pub fn halve_into(format: TileFormat, side: u32, child: &[u8], valid: Size, parent: &mut [u8], quadrant: (u32, u32)) {
    let half = (side / 2) as usize;
    let stride = side as usize * format.bytes_per_px();
    let at = quadrant.1 as usize * half * stride + quadrant.0 as usize * half * format.bytes_per_px();
    halve_area(format, (child, stride), valid, (&mut parent[at..], stride));
}

/// Halves `valid` pixels at the beginning of an area into the beginning of another, by the rule of [`halve_into`]. Each
/// area is its bytes and the bytes from one row to the next.
pub fn halve_area(format: TileFormat, from: (&[u8], usize), valid: Size, to: (&mut [u8], usize)) {
    let (w, h) = (valid.width as usize, valid.height as usize);
    let bpp = format.bytes_per_px();
    for y in 0..h.div_ceil(2) {
        let top = &from.0[2 * y * from.1..][..w * bpp];
        let bottom = &from.0[(2 * y + 1).min(h - 1) * from.1..][..w * bpp];
        let out = &mut to.0[y * to.1..][..w.div_ceil(2) * bpp];
        match format {
            TileFormat::Gray8 => halve_row_u8::<1>(top, bottom, out),
            TileFormat::Rgb8 => halve_row_u8::<3>(top, bottom, out),
            TileFormat::Gray16 => halve_row_u16(top, bottom, out),
        }
    }
}

/// An area of pixels some of which hold nothing: see [`halve_covered_area`].
pub struct CoveredArea<P, C> {
    /// The pixels.
    pub pixels: P,
    /// Bytes from one row of pixels to the next.
    pub stride: usize,
    /// One byte a pixel, zero where there is nothing.
    pub coverage: C,
    /// Bytes from one row of the coverage to the next.
    pub coverage_stride: usize,
}

/// Halves an area like [`halve_area`], with the mean over covered pixels only: `(sum + n / 2) / n`. A halved pixel is
/// covered where any of its four is; where none is, it is the mean of what stands there.
pub fn halve_covered_area(
    format: TileFormat,
    from: &CoveredArea<&[u8], &[u8]>,
    valid: Size,
    to: &mut CoveredArea<&mut [u8], &mut [u8]>,
) {
    let (w, h) = (valid.width as usize, valid.height as usize);
    let (sample_bytes, samples) = match format {
        TileFormat::Gray8 => (1, 1),
        TileFormat::Gray16 => (2, 1),
        TileFormat::Rgb8 => (1, 3),
    };
    let bpp = format.bytes_per_px();
    let sample = |at: usize| match sample_bytes {
        1 => u32::from(from.pixels[at]),
        _ => u32::from(u16::from_ne_bytes([from.pixels[at], from.pixels[at + 1]])),
    };
    for (y, x) in (0..h.div_ceil(2)).flat_map(|y| (0..w.div_ceil(2)).map(move |x| (y, x))) {
        let (rows, columns) = ([2 * y, (2 * y + 1).min(h - 1)], [2 * x, (2 * x + 1).min(w - 1)]);
        let places = [(rows[0], columns[0]), (rows[0], columns[1]), (rows[1], columns[0]), (rows[1], columns[1])];
        let covered = places.map(|(row, column)| from.coverage[row * from.coverage_stride + column] != 0);
        let any = covered.contains(&true);
        let n = covered.iter().filter(|&&c| c || !any).count() as u32;
        for channel in 0..samples {
            let at = |(row, column): (usize, usize)| row * from.stride + column * bpp + channel * sample_bytes;
            let sum: u32 = places.iter().zip(covered).filter(|(_, c)| *c || !any).map(|(&p, _)| sample(at(p))).sum();
            let mean = (sum + n / 2) / n;
            let out = y * to.stride + x * bpp + channel * sample_bytes;
            to.pixels[out..out + sample_bytes].copy_from_slice(&(mean as u16).to_le_bytes()[..sample_bytes]);
            if cfg!(target_endian = "big") && sample_bytes == 2 {
                to.pixels.swap(out, out + 1);
            }
        }
        to.coverage[y * to.coverage_stride + x] = u8::from(any);
    }
}

/// One output row of `C` interleaved channels from two input rows.
fn halve_row_u8<const C: usize>(top: &[u8], bottom: &[u8], out: &mut [u8]) {
    let pairs = top.len() / (2 * C);
    let (body, rest) = out.split_at_mut(pairs * C);
    for ((o, t), b) in body.chunks_exact_mut(C).zip(top.chunks_exact(2 * C)).zip(bottom.chunks_exact(2 * C)) {
        for c in 0..C {
            let sum = u16::from(t[c]) + u16::from(t[C + c]) + u16::from(b[c]) + u16::from(b[C + c]);
            o[c] = ((sum + 2) >> 2) as u8;
        }
    }
    if !rest.is_empty() {
        for c in 0..C {
            let sum = 2 * (u16::from(top[pairs * 2 * C + c]) + u16::from(bottom[pairs * 2 * C + c]));
            rest[c] = ((sum + 2) >> 2) as u8;
        }
    }
}

/// The same for 16-bit samples in the machine's byte order; no alignment is asked of the slices.
fn halve_row_u16(top: &[u8], bottom: &[u8], out: &mut [u8]) {
    let sample = |row: &[u8], at: usize| u32::from(u16::from_ne_bytes([row[at], row[at + 1]]));
    let pairs = top.len() / 4;
    let (body, rest) = out.split_at_mut(pairs * 2);
    for ((o, t), b) in body.chunks_exact_mut(2).zip(top.chunks_exact(4)).zip(bottom.chunks_exact(4)) {
        let sum = sample(t, 0) + sample(t, 2) + sample(b, 0) + sample(b, 2);
        o.copy_from_slice(&(((sum + 2) >> 2) as u16).to_ne_bytes());
    }
    if !rest.is_empty() {
        let sum = 2 * (sample(top, pairs * 4) + sample(bottom, pairs * 4));
        rest.copy_from_slice(&(((sum + 2) >> 2) as u16).to_ne_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rule itself, one sample at a time.
    fn reference(samples: &dyn Fn(usize, usize) -> u32, valid: Size, x: usize, y: usize) -> u32 {
        let (right, bottom) = (valid.width as usize - 1, valid.height as usize - 1);
        let sum: u32 = [(0, 0), (1, 0), (0, 1), (1, 1)]
            .iter()
            .map(|&(dx, dy)| samples((2 * x + dx).min(right), (2 * y + dy).min(bottom)))
            .sum();
        (sum + 2) >> 2
    }

    fn noise(n: usize) -> Vec<u8> {
        let mut state = 0x9e37_79b9_u32;
        (0..n)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            })
            .collect()
    }

    #[test]
    fn halving_follows_the_rule_for_every_format_and_odd_edge() {
        let side = 16;
        for format in [TileFormat::Gray8, TileFormat::Gray16, TileFormat::Rgb8] {
            let bpp = format.bytes_per_px();
            let child = noise(format.tile_bytes(side));
            for valid in [Size::new(16, 16), Size::new(15, 16), Size::new(16, 7), Size::new(1, 1), Size::new(3, 5)] {
                for quadrant in [(0, 0), (1, 0), (0, 1), (1, 1)] {
                    let mut parent = vec![0xA5; child.len()];
                    halve_into(format, side, &child, valid, &mut parent, quadrant);
                    let sample_bytes = if format == TileFormat::Gray16 { 2 } else { 1 };
                    let mut expected = vec![0xA5; child.len()];
                    for y in 0..valid.height.div_ceil(2) as usize {
                        for x in 0..valid.width.div_ceil(2) as usize {
                            for c in 0..bpp / sample_bytes {
                                let get = |x: usize, y: usize| {
                                    let at = (y * side as usize + x) * bpp + c * sample_bytes;
                                    if sample_bytes == 2 {
                                        u32::from(u16::from_ne_bytes([child[at], child[at + 1]]))
                                    } else {
                                        u32::from(child[at])
                                    }
                                };
                                let v = reference(&get, valid, x, y);
                                let (px, py) = (x + quadrant.0 as usize * 8, y + quadrant.1 as usize * 8);
                                let at = (py * side as usize + px) * bpp + c * sample_bytes;
                                expected[at..at + sample_bytes]
                                    .copy_from_slice(&(v as u16).to_ne_bytes()[..sample_bytes]);
                            }
                        }
                    }
                    assert!(parent == expected, "{format:?} {valid:?} {quadrant:?}");
                }
            }
        }
    }

    #[test]
    fn pixels_that_hold_nothing_take_no_part_in_a_mean() {
        // Three columns and one row: the last column stands for two, the row for two.
        for (coverage, expected, covered) in [
            ([1, 1, 1], [15, 31], [1, 1]),
            ([1, 0, 1], [10, 31], [1, 1]),
            ([0, 1, 0], [20, 31], [1, 0]),
            ([0, 0, 1], [15, 31], [0, 1]),
        ] {
            let (mut pixels, mut out_coverage) = ([0; 2], [9; 2]);
            let from =
                CoveredArea { pixels: &[10, 20, 31][..], stride: 3, coverage: &coverage[..], coverage_stride: 3 };
            let mut to =
                CoveredArea { pixels: &mut pixels[..], stride: 2, coverage: &mut out_coverage[..], coverage_stride: 2 };
            halve_covered_area(TileFormat::Gray8, &from, Size::new(3, 1), &mut to);
            assert_eq!((pixels, out_coverage), (expected, covered), "{coverage:?}");
        }
    }

    #[test]
    fn an_area_that_is_covered_whole_is_halved_as_if_there_were_no_coverage() {
        for format in [TileFormat::Gray8, TileFormat::Gray16, TileFormat::Rgb8] {
            let (valid, bpp) = (Size::new(13, 9), format.bytes_per_px());
            let child = noise(13 * 9 * bpp);
            let (mut plain, mut covered, mut coverage) = (vec![0; 7 * 5 * bpp], vec![0; 7 * 5 * bpp], vec![0; 35]);
            halve_area(format, (&child, 13 * bpp), valid, (&mut plain, 7 * bpp));
            let ones = [1; 13 * 9];
            let from = CoveredArea { pixels: &child[..], stride: 13 * bpp, coverage: &ones[..], coverage_stride: 13 };
            let mut to = CoveredArea {
                pixels: &mut covered[..],
                stride: 7 * bpp,
                coverage: &mut coverage[..],
                coverage_stride: 7,
            };
            halve_covered_area(format, &from, valid, &mut to);
            assert!(plain == covered, "{format:?}");
            assert!(coverage.iter().all(|&c| c == 1), "{format:?}");
        }
    }
}
