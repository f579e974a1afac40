//! The dense numbering of all tiles of an image set, which is what the store is keyed by.

use super::{ImageInfo, TileKey};
use crate::error::{Error, Result};
use crate::store::MAX_TILES;
use std::path::Path;

/// The place of every tile of a set in one row of numbers.
#[derive(Debug, Clone)]
pub struct TileSpace {
    images: Vec<ImageSpace>,
    total: u64,
}

/// One image's share of the row.
#[derive(Debug, Clone)]
struct ImageSpace {
    first: u64,
    channels: u64,
    z_count: u64,
    t_count: u64,
    /// For each level: tiles before it in the plane, and tile columns and rows.
    levels: Vec<(u64, u64, u64)>,
    tiles_per_plane: u64,
}

impl TileSpace {
    /// Numbers the tiles of `images`; fails where there are more than [`MAX_TILES`].
    pub fn new(images: &[ImageInfo], path: &Path) -> Result<Self> {
        let mut total = 0u64;
        let mut spaces = Vec::with_capacity(images.len());
        for image in images {
            let mut before = 0u64;
            let mut levels = Vec::with_capacity(image.levels.len());
            for level in 0..image.levels.len() {
                let tiles = image.tiles(level as u8);
                levels.push((before, u64::from(tiles.width), u64::from(tiles.height)));
                before += tiles.area();
            }
            let (channels, z_count, t_count) =
                (image.channels.len() as u64, u64::from(image.z_count), u64::from(image.t_count));
            let planes = channels.checked_mul(z_count).and_then(|n| n.checked_mul(t_count));
            let end = planes.and_then(|n| n.checked_mul(before)).and_then(|n| n.checked_add(total));
            let end = end.filter(|&n| n <= MAX_TILES).ok_or_else(|| {
                Error::too_large("the image has more pixels in all its planes than Microtome can index", path)
            })?;
            spaces.push(ImageSpace { first: total, channels, z_count, t_count, levels, tiles_per_plane: before });
            total = end;
        }
        Ok(Self { images: spaces, total })
    }

    /// How many tiles there are.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The number of a tile; `None` where the key lies outside the set.
    pub fn ordinal(&self, key: TileKey) -> Option<u64> {
        let image = self.images.get(key.plane.field as usize)?;
        let &(before, across, down) = image.levels.get(key.level as usize)?;
        let (c, z, t) = (u64::from(key.plane.channel), u64::from(key.plane.z), u64::from(key.plane.t));
        let (x, y) = (u64::from(key.x), u64::from(key.y));
        if c >= image.channels || z >= image.z_count || t >= image.t_count || x >= across || y >= down {
            return None;
        }
        let plane = (t * image.z_count + z) * image.channels + c;
        Some(image.first + plane * image.tiles_per_plane + before + y * across + x)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::image;
    use super::*;
    use crate::pyramid::PlaneId;

    #[test]
    fn every_tile_of_a_set_has_a_number_of_its_own_and_they_are_dense() {
        let mut stack = image(700, 300, 256, 2);
        (stack.z_count, stack.t_count) = (3, 2);
        let images = [stack, image(100, 900, 128, 1)];
        let space = TileSpace::new(&images, Path::new("x")).expect("small");
        let mut seen = vec![false; space.total() as usize];
        for (field, image) in images.iter().enumerate() {
            for t in 0..image.t_count {
                for z in 0..image.z_count {
                    for channel in 0..image.channels.len() as u16 {
                        let plane = PlaneId { field: field as u32, channel, z, t };
                        for level in 0..image.levels.len() as u8 {
                            let tiles = image.tiles(level);
                            for (x, y) in (0..tiles.height).flat_map(|y| (0..tiles.width).map(move |x| (x, y))) {
                                let n = space.ordinal(TileKey { plane, level, x, y }).expect("inside") as usize;
                                assert!(!std::mem::replace(&mut seen[n], true), "{n} twice");
                            }
                        }
                    }
                }
            }
        }
        assert!(seen.iter().all(|&s| s));
    }

    #[test]
    fn keys_outside_the_set_have_no_number() {
        let space = TileSpace::new(&[image(256, 256, 256, 1)], Path::new("x")).expect("small");
        let inside = TileKey { plane: PlaneId::default(), level: 0, x: 0, y: 0 };
        assert_eq!(space.ordinal(inside), Some(0));
        assert_eq!(space.ordinal(TileKey { x: 1, ..inside }), None);
        assert_eq!(space.ordinal(TileKey { level: 1, ..inside }), None);
        assert_eq!(space.ordinal(TileKey { plane: PlaneId { channel: 1, ..PlaneId::default() }, ..inside }), None);
    }
}
