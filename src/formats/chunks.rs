//! How tiles and chunks lie over each other: the tile side of an image, and its fill units.

use crate::geom::Size;

/// The tile side where nothing else speaks for another one.
pub const DEFAULT_TILE_SIDE: u32 = 256;

/// Tile sides lie between these and are multiples of [`SIDE_STEP`].
const MIN_SIDE: u32 = 128;
const MAX_SIDE: u32 = 512;
const SIDE_STEP: u32 = 16;

/// A closed unit may hold this many bytes of pixels; where closing takes more, some chunks are decoded twice instead.
/// A quarter of the dirty pages that the store may have.
const MAX_UNIT_BYTES: u64 = 64 << 20;

/// In a unit that is not closed, at least this many chunks lie along each side, so that few are decoded twice.
const LOOSE_UNIT_CHUNKS: u64 = 4;

/// The tile side for a source made of square or oblong chunks: the chunk's own side where that is allowed, else the
/// side whose tiles close with the fewest chunks, near [`DEFAULT_TILE_SIDE`].
pub fn tile_side(chunk: Size) -> u32 {
    if chunk.width == chunk.height
        && chunk.width.is_multiple_of(SIDE_STEP)
        && (MIN_SIDE..=MAX_SIDE).contains(&chunk.width)
    {
        return chunk.width;
    }
    let cost = |side: u32| {
        let area = lcm(chunk.width, side).saturating_mul(lcm(chunk.height, side));
        // Below the default tile nothing is gained by a smaller unit.
        area.max(u64::from(MAX_SIDE) * u64::from(MAX_SIDE))
    };
    (MIN_SIDE..=MAX_SIDE)
        .step_by(SIDE_STEP as usize)
        .min_by_key(|&side| (cost(side), side.abs_diff(DEFAULT_TILE_SIDE)))
        .unwrap_or(DEFAULT_TILE_SIDE)
}

/// The tiles, from `first` on and `count` in number, of the unit that tile (`x`, `y`) belongs to.
///
/// `bytes_per_px` is over all planes that are decoded together.
pub fn unit_of(tile: (u32, u32), chunk: Size, side: u32, level: Size, bytes_per_px: u64) -> ((u32, u32), (u32, u32)) {
    let tiles = (level.width.div_ceil(side).max(1), level.height.div_ceil(side).max(1));
    let closed = |chunk: u32, tiles: u32| (lcm(chunk, side) / u64::from(side)).clamp(1, u64::from(tiles)) as u32;
    let (mut nx, mut ny) = (closed(chunk.width, tiles.0), closed(chunk.height, tiles.1));
    let tile_bytes = u64::from(side) * u64::from(side) * bytes_per_px;
    if u64::from(nx) * u64::from(ny) > MAX_UNIT_BYTES / tile_bytes.max(1) {
        let loose = |chunk: u32| (LOOSE_UNIT_CHUNKS * u64::from(chunk)).div_ceil(u64::from(side)).max(1);
        nx = u64::from(nx).min(loose(chunk.width)) as u32;
        ny = u64::from(ny).min(loose(chunk.height)) as u32;
    }
    let first = (tile.0 / nx * nx, tile.1 / ny * ny);
    (first, (nx.min(tiles.0.saturating_sub(first.0)), ny.min(tiles.1.saturating_sub(first.1))))
}

fn lcm(a: u32, b: u32) -> u64 {
    let (mut x, mut y) = (a.max(1), b.max(1));
    let product = u64::from(x) * u64::from(y);
    while y != 0 {
        (x, y) = (y, x % y);
    }
    product / u64::from(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tile_side_is_the_chunks_own_or_closes_soon() {
        let square = |side| tile_side(Size::new(side, side));
        assert_eq!([240, 256, 512, 128].map(square), [240, 256, 512, 128]);
        assert_eq!([1024, 64, 16, 2048].map(square), [256; 4]);
        assert_eq!(square(1000), 400);
        assert_eq!(tile_side(Size::new(512, 256)), 256);
        for side in (16..2100).step_by(16).map(square) {
            assert!(side % 16 == 0 && (128..=512).contains(&side));
        }
    }

    #[test]
    fn units_are_closed_under_overlap_and_cover_every_tile_once() {
        let level = Size::new(1900, 1300);
        for chunk in [Size::new(1024, 1024), Size::new(64, 64), Size::new(1900, 48), Size::new(1000, 600)] {
            let side = 256;
            let mut owner = std::collections::HashMap::new();
            for y in 0..level.height.div_ceil(side) {
                for x in 0..level.width.div_ceil(side) {
                    let (first, count) = unit_of((x, y), chunk, side, level, 3);
                    assert!((first.0..first.0 + count.0).contains(&x) && (first.1..first.1 + count.1).contains(&y));
                    owner.insert((x, y), first);
                }
            }
            for cy in 0..level.height.div_ceil(chunk.height) {
                for cx in 0..level.width.div_ceil(chunk.width) {
                    let columns =
                        cx * chunk.width / side..=((cx + 1) * chunk.width).min(level.width).div_ceil(side) - 1;
                    let rows =
                        cy * chunk.height / side..=((cy + 1) * chunk.height).min(level.height).div_ceil(side) - 1;
                    let owners: std::collections::HashSet<_> =
                        rows.flat_map(|y| columns.clone().map(move |x| (x, y))).map(|tile| owner[&tile]).collect();
                    assert_eq!(owners.len(), 1, "chunk {chunk:?} at {cx},{cy} lies in several units");
                }
            }
        }
    }

    #[test]
    fn awkward_strips_of_a_wide_image_make_small_units() {
        let (_, count) = unit_of((0, 0), Size::new(20_000, 23), 256, Size::new(20_000, 20_000), 3);
        assert_eq!(count, (79, 1));
        let (_, whole) = unit_of((0, 0), Size::new(20_000, 20_000), 256, Size::new(20_000, 20_000), 3);
        assert_eq!(whole, (79, 79));
    }
}
