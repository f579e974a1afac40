//! What is remembered of a tile to tell later whether it is read back right.

use crate::geom::Size;
use crate::pixels::TileFormat;

/// Cells along each side of a tile of which a lossy print keeps the means.
const CELLS: u32 = 4;

/// How far a cell's mean may be off after lossy packing. Edges and colours move pixels by far more, means by little.
const MAX_MEAN_DIFFERENCE: u8 = 12;

/// What a tile holds, in short.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Print {
    /// The hash of its pixels.
    Exact(u64),
    /// Means of its cells, channel by channel.
    Means(Vec<u8>),
}

impl Print {
    /// The print of the `valid` pixels of a square in stored samples.
    pub fn of(square: &[u8], side: u32, valid: Size, format: TileFormat, lossless: bool) -> Self {
        let bpp = format.bytes_per_px();
        let row_bytes = side as usize * bpp;
        let rows = square.chunks_exact(row_bytes).take(valid.height as usize);
        let rows = rows.map(|row| &row[..valid.width as usize * bpp]);
        if lossless {
            let mut hash = xxhash_rust::xxh3::Xxh3::new();
            rows.for_each(|row| hash.update(row));
            return Self::Exact(hash.digest());
        }
        let cell = |at: usize, length: u32| at * CELLS as usize / length as usize;
        let mut sums = vec![(0_u64, 0_u64); (CELLS * CELLS) as usize * bpp];
        for (y, row) in rows.enumerate() {
            for (x, px) in row.chunks_exact(bpp).enumerate() {
                let at = (cell(y, valid.height) * CELLS as usize + cell(x, valid.width)) * bpp;
                for ((sum, count), &value) in sums[at..at + bpp].iter_mut().zip(px) {
                    *sum += u64::from(value);
                    *count += 1;
                }
            }
        }
        Self::Means(sums.into_iter().map(|(sum, count)| (sum / count.max(1)) as u8).collect())
    }

    /// Whether a tile that was read back is the one that was written.
    pub fn agrees(&self, read: &Self) -> bool {
        match (self, read) {
            (Self::Exact(a), Self::Exact(b)) => a == b,
            (Self::Means(a), Self::Means(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.abs_diff(*b) <= MAX_MEAN_DIFFERENCE)
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lossy_print_sees_swapped_colours_and_a_moved_tile_but_not_a_little_noise() {
        let (side, valid) = (32, Size::new(32, 20));
        let pixels: Vec<u8> = (0..side * side).flat_map(|n| [(n % side * 7) as u8, (n / side * 9) as u8, 90]).collect();
        let print = |pixels: &[u8]| Print::of(pixels, side, valid, TileFormat::Rgb8, false);
        let noisy: Vec<u8> = pixels.iter().enumerate().map(|(n, &v)| v.saturating_add((n % 5) as u8)).collect();
        let swapped: Vec<u8> = pixels.chunks_exact(3).flat_map(|p| [p[2], p[1], p[0]]).collect();
        let mut moved = pixels.clone();
        moved.rotate_right(8 * 3);
        assert!(print(&pixels).agrees(&print(&noisy)));
        assert!(!print(&pixels).agrees(&print(&swapped)));
        assert!(!print(&pixels).agrees(&print(&moved)));
    }
}
