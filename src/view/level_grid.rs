//! Where the tiles of a level lie on level 0, for native levels of any factor.

use crate::geom::{Point, Rect};
use crate::pixels::TileFormat;
use crate::pyramid::ImageInfo;

/// Bytes that a tile takes on the GPU: a gutter of one pixel all around, RGB padded to four bytes.
pub const fn gpu_tile_bytes(format: TileFormat, side: u32) -> u64 {
    let texel_bytes = match format {
        TileFormat::Gray8 => 1,
        TileFormat::Gray16 => 2,
        TileFormat::Rgb8 => 4,
    };
    (side as u64 + 2) * (side as u64 + 2) * texel_bytes
}

/// A wanted level may be magnified by this much before a finer one is wanted: native levels are seldom whole fractions of
/// level 0, and a zoom of exactly 1/4 shall use the level that is 1/4.0003.
const LEVEL_TOLERANCE: f64 = 1.01;

/// The coarsest level that is not magnified in x or y; level 0 where all would be.
pub(super) fn level_for_zoom(image: &ImageInfo, zoom_xy: [f64; 2]) -> u8 {
    let fits = |downsample: [f64; 2]| {
        downsample[0] * zoom_xy[0] <= LEVEL_TOLERANCE && downsample[1] * zoom_xy[1] <= LEVEL_TOLERANCE
    };
    let level = image.levels.iter().rposition(|level| fits(level.downsample)).unwrap_or(0);
    u8::try_from(level).unwrap_or(u8::MAX)
}

/// The tiles of one level as rectangles of level 0.
///
/// A boundary between two tiles is the same f64 from either side, which is what lets neighbouring quads share an edge to
/// the last bit.
#[derive(Debug, Clone, Copy)]
pub(super) struct LevelGrid {
    /// Level-0 pixels a pixel of the level, x and y.
    pub downsample: [f64; 2],
    /// Tile columns and rows.
    pub tiles: [u32; 2],
    /// Level-0 pixels a tile covers, x and y.
    pitch: [f64; 2],
    /// The image's size.
    extent: [f64; 2],
}

impl LevelGrid {
    /// The grid of a level of an image. The level must exist.
    pub fn new(image: &ImageInfo, level: u8) -> Self {
        let info = &image.levels[level as usize];
        let tiles = image.tiles(level);
        Self {
            downsample: info.downsample,
            tiles: [tiles.width, tiles.height],
            pitch: info.downsample.map(|d| d * f64::from(image.tile_side)),
            extent: [f64::from(image.size.width), f64::from(image.size.height)],
        }
    }

    /// The columns (axis 0) or rows (axis 1) that meet an interval of level 0.
    pub fn range(&self, axis: usize, low: f64, high: f64) -> std::ops::Range<u32> {
        let tiles = self.tiles[axis];
        let first = (low / self.pitch[axis]).floor().clamp(0.0, f64::from(tiles.saturating_sub(1)));
        let end = (high / self.pitch[axis]).ceil().clamp(0.0, f64::from(tiles));
        first as u32..end as u32
    }

    /// The part of level 0 that a tile covers.
    pub fn tile_rect(&self, x: u32, y: u32) -> Rect {
        Rect::new(Point::new(self.edge(0, x), self.edge(1, y)), Point::new(self.edge(0, x + 1), self.edge(1, y + 1)))
    }

    /// A rectangle of level 0 in the pixels of a tile.
    pub fn tile_px(&self, x: u32, y: u32, side: u32, rect: Rect) -> Rect {
        let corner = |p: Point| {
            Point::new(
                p.x / self.downsample[0] - f64::from(x) * f64::from(side),
                p.y / self.downsample[1] - f64::from(y) * f64::from(side),
            )
        };
        Rect::new(corner(rect.min), corner(rect.max))
    }

    /// Where an eighth of a tile begins, as a place on level 0: what a coverage mask counts in.
    pub fn eighth(&self, axis: usize, tile: u32, eighth: u32) -> f64 {
        if eighth == 0 {
            return self.edge(axis, tile);
        }
        if eighth >= 8 {
            return self.edge(axis, tile + 1);
        }
        ((f64::from(tile) + f64::from(eighth) / 8.0) * self.pitch[axis]).min(self.extent[axis])
    }

    fn edge(&self, axis: usize, tile: u32) -> f64 {
        if tile >= self.tiles[axis] {
            return self.extent[axis];
        }
        (f64::from(tile) * self.pitch[axis]).min(self.extent[axis])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geom::Size;
    use crate::view::fixtures::image;

    #[test]
    fn the_wanted_level_is_never_magnified_before_level_0_is() {
        let image = image(Size::new(40_000, 30_000), 256, 1);
        for (zoom, level) in [(7.3, 0), (1.0, 0), (0.51, 0), (0.5, 1), (0.37, 1), (0.25, 2), (0.1, 3)] {
            assert_eq!(level_for_zoom(&image, [zoom, zoom]), level, "at {zoom}");
        }
        // A pixel twice as tall takes twice the screen: y decides.
        assert_eq!(level_for_zoom(&image, [0.25, 0.5]), 1);
    }

    #[test]
    fn tiles_of_an_odd_level_partition_the_image() {
        let image = image(Size::new(1025, 777), 128, 1);
        for level in 0..image.levels.len() as u8 {
            let grid = LevelGrid::new(&image, level);
            for x in 0..grid.tiles[0] {
                let right = grid.tile_rect(x, 0).max.x;
                let next = if x + 1 < grid.tiles[0] { grid.tile_rect(x + 1, 0).min.x } else { 1025.0 };
                assert_eq!(right.to_bits(), next.to_bits());
            }
        }
    }
}
