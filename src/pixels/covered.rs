//! Halving where only some pixels are there: the levels of an exported mosaic.

use super::{TileFormat, halve_row_u8, halve_row_u16};

/// Output pixels that are looked at together: where all of their input is covered the plain kernel does them.
const RUN_PX: usize = 64;

/// A row of pixels, and for each of them 1 where it is covered and 0 where it is not.
#[derive(Debug, Clone, Copy)]
pub struct CoveredRow<'r> {
    /// The samples, without padding.
    pub samples: &'r [u8],
    /// One byte a pixel.
    pub covered: &'r [u8],
}

/// Makes one row of a level from two of the level before it: each sample is the mean of the covered ones among its four,
/// rounded to the nearest and up in the middle; a pixel is covered where any of its four is, else it is 0.
///
/// `bottom` is `None` below an odd last row, and the last column of an odd width counts once: with everything covered
/// that is the rule of [`super::halve_into`]. `out` and `out_covered` hold half as many pixels, rounded up.
pub fn halve_covered(
    format: TileFormat,
    top: CoveredRow<'_>,
    bottom: Option<CoveredRow<'_>>,
    out: &mut [u8],
    out_covered: &mut [u8],
) {
    let width = top.covered.len();
    let px_bytes = format.bytes_per_px();
    let rows = [Some(top), bottom];
    for first in (0..width.div_ceil(2)).step_by(RUN_PX) {
        let end = (first + RUN_PX).min(width.div_ceil(2));
        let input = 2 * first..(2 * end).min(width);
        let (pixels, mask) = (&mut out[first * px_bytes..end * px_bytes], &mut out_covered[first..end]);
        let mut covered = rows.iter().flatten().map(|row| &row.covered[input.clone()]);
        if covered.clone().all(|row| row.iter().all(|&c| c == 1)) {
            let bytes = input.start * px_bytes..input.end * px_bytes;
            let top_bytes = &top.samples[bytes.clone()];
            let bottom_bytes = bottom.map_or(top_bytes, |row| &row.samples[bytes]);
            match format {
                TileFormat::Gray8 => halve_row_u8::<1>(top_bytes, bottom_bytes, pixels),
                TileFormat::Rgb8 => halve_row_u8::<3>(top_bytes, bottom_bytes, pixels),
                TileFormat::Gray16 => halve_row_u16(top_bytes, bottom_bytes, pixels),
            }
            mask.fill(1);
        } else if covered.all(|row| row.iter().all(|&c| c == 0)) {
            pixels.fill(0);
            mask.fill(0);
        } else {
            for (n, (pixel, covered)) in pixels.chunks_exact_mut(px_bytes).zip(mask).enumerate() {
                let x = 2 * (first + n);
                *covered = u8::from(mean_of_four(format, &rows, x..(x + 2).min(width), pixel));
            }
        }
    }
}

/// The mean of the covered pixels; false where there is none.
fn mean_of_four(
    format: TileFormat,
    rows: &[Option<CoveredRow<'_>>; 2],
    columns: std::ops::Range<usize>,
    out: &mut [u8],
) -> bool {
    let (samples, bytes) = match format {
        TileFormat::Gray8 => (1, 1),
        TileFormat::Rgb8 => (3, 1),
        TileFormat::Gray16 => (1, 2),
    };
    let mut sums = [0_u32; 3];
    let mut count = 0;
    for row in rows.iter().flatten() {
        for x in columns.clone().filter(|&x| row.covered[x] != 0) {
            count += 1;
            for (c, sum) in sums.iter_mut().enumerate().take(samples) {
                let at = (x * samples + c) * bytes;
                *sum += match format {
                    TileFormat::Gray16 => u32::from(u16::from_ne_bytes([row.samples[at], row.samples[at + 1]])),
                    TileFormat::Gray8 | TileFormat::Rgb8 => u32::from(row.samples[at]),
                };
            }
        }
    }
    if count == 0 {
        out.fill(0);
        return false;
    }
    for (c, sum) in sums.iter().enumerate().take(samples) {
        let mean = (sum + count / 2) / count;
        match format {
            TileFormat::Gray16 => out.copy_from_slice(&(mean as u16).to_ne_bytes()),
            TileFormat::Gray8 | TileFormat::Rgb8 => out[c] = mean as u8,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::super::halve_into;
    use super::*;
    use crate::geom::Size;

    fn noise(n: usize, seed: u32) -> Vec<u8> {
        let mut state = seed;
        (0..n)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            })
            .collect()
    }

    fn halved(format: TileFormat, rows: [&[u8]; 2], covered: [&[u8]; 2], is_last: bool) -> (Vec<u8>, Vec<u8>) {
        let half = covered[0].len().div_ceil(2);
        let (mut out, mut mask) = (vec![0xA5; half * format.bytes_per_px()], vec![0xA5; half]);
        let row = |n: usize| CoveredRow { samples: rows[n], covered: covered[n] };
        halve_covered(format, row(0), (!is_last).then(|| row(1)), &mut out, &mut mask);
        (out, mask)
    }

    #[test]
    fn with_everything_covered_it_is_plain_halving_at_odd_edges_too() {
        for format in [TileFormat::Gray8, TileFormat::Gray16, TileFormat::Rgb8] {
            let px_bytes = format.bytes_per_px();
            for (width, height) in [(64, 2), (300, 2), (301, 2), (301, 1), (1, 1), (128, 1)] {
                let side = 304;
                let tile = noise(format.tile_bytes(side), 5);
                let row_bytes = side as usize * px_bytes;
                let rows = [&tile[..width * px_bytes], &tile[row_bytes..row_bytes + width * px_bytes]];
                let ones = vec![1; width];
                let (out, mask) = halved(format, rows, [&ones, &ones], height == 1);
                let mut parent = vec![0; tile.len()];
                halve_into(format, side, &tile, Size::new(width as u32, height), &mut parent, (0, 0));
                assert!(out == parent[..out.len()], "{format:?} {width} x {height}");
                assert!(mask.iter().all(|&c| c == 1));
            }
        }
    }

    #[test]
    fn the_mean_is_over_covered_pixels_and_coverage_is_any_of_the_four() {
        let width = 401;
        let samples: Vec<Vec<u16>> = (0..2)
            .map(|n| noise(2 * width, 9 + n).chunks_exact(2).map(|b| u16::from_le_bytes([b[0], b[1]])).collect())
            .collect();
        let bytes: Vec<Vec<u8>> =
            samples.iter().map(|row| row.iter().flat_map(|v| v.to_ne_bytes()).collect()).collect();
        // Covered here and there, with whole runs of either kind.
        let covered: Vec<Vec<u8>> = (0..2)
            .map(|n| {
                let dice = noise(width, 77 + n);
                let cell = |x: usize| {
                    if x < 130 {
                        0
                    } else if x < 270 {
                        1
                    } else {
                        dice[x] & 1
                    }
                };
                (0..width).map(cell).collect()
            })
            .collect();
        let (out, mask) = halved(TileFormat::Gray16, [&bytes[0], &bytes[1]], [&covered[0], &covered[1]], false);
        for x in 0..width.div_ceil(2) {
            let columns = 2 * x..(2 * x + 2).min(width);
            let places = (0..2).flat_map(|n| columns.clone().map(move |x| (n, x)));
            let there: Vec<f64> =
                places.filter(|&(n, x)| covered[n][x] == 1).map(|(n, x)| f64::from(samples[n][x])).collect();
            let got = u16::from_ne_bytes([out[2 * x], out[2 * x + 1]]);
            assert_eq!(mask[x], u8::from(!there.is_empty()), "at {x}");
            let mean = if there.is_empty() { 0.0 } else { there.iter().sum::<f64>() / there.len() as f64 };
            assert_eq!(f64::from(got), (mean + 0.5).floor(), "at {x} of {there:?}");
        }
    }

    #[test]
    fn a_zero_that_is_covered_counts_and_one_that_is_not_does_not() {
        let (out, mask) = halved(TileFormat::Rgb8, [&[9, 90, 200, 0, 0, 0], &[0; 6]], [&[1, 1], &[0, 0]], false);
        assert_eq!((out, mask), (vec![5, 45, 100], vec![1]));
        let (out, mask) = halved(TileFormat::Rgb8, [&[9, 90, 200, 0, 0, 0], &[0; 6]], [&[1, 0], &[0, 0]], false);
        assert_eq!((out, mask), (vec![9, 90, 200], vec![1]));
    }
}
