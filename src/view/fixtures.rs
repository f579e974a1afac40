//! Images and residencies for tests.

use super::scene::{Presence, Residency};
use crate::geom::Size;
use crate::pixels::{PixelType, TileFormat};
use crate::pyramid::{Calibration, ChannelInfo, ChannelRole, Coverage, ImageInfo, PlaneId, TileKey, level_plan};
use std::collections::HashMap;

/// A 16-bit image with `channels` channels, halved down to one tile.
pub fn image(size: Size, tile_side: u32, channels: usize) -> ImageInfo {
    image_with_levels(&[size], tile_side, channels)
}

/// A 16-bit image with native levels of the given sizes.
pub fn image_with_levels(native: &[Size], tile_side: u32, channels: usize) -> ImageInfo {
    let channel = |index: usize| ChannelInfo {
        name: format!("Channel {index}"),
        color: None,
        format: TileFormat::Gray16,
        role: ChannelRole::Intensity,
        significant_bits: None,
    };
    ImageInfo {
        name: "synthetic".into(),
        size: native[0],
        pixel_type: PixelType::U16,
        channels: (0..channels).map(channel).collect(),
        z_count: 1,
        t_count: 1,
        um_per_px: None,
        calibration: Calibration::Unknown,
        objective: None,
        tile_side,
        levels: level_plan(native, tile_side),
    }
}

/// What is on an imagined GPU.
#[derive(Default)]
pub struct Tiles(pub HashMap<TileKey, Presence>);

impl Tiles {
    /// A whole tile that has been there for long.
    pub fn add(&mut self, key: TileKey) {
        self.0.insert(key, Presence::Resident { coverage: Coverage::FULL, since_secs: 0.0 });
    }

    /// All tiles of a level of channel 0.
    pub fn add_level(&mut self, image: &ImageInfo, level: u8) {
        let tiles = image.tiles(level);
        for y in 0..tiles.height {
            for x in 0..tiles.width {
                self.add(TileKey { plane: PlaneId::default(), level, x, y });
            }
        }
    }
}

impl Residency for Tiles {
    fn presence(&self, key: TileKey) -> Presence {
        self.0.get(&key).copied().unwrap_or(Presence::Absent)
    }
}

/// A small generator, so that a failure repeats.
pub struct Random(pub u64);

impl Random {
    /// 31 bits.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    /// From 0 up to 1.
    pub fn unit(&mut self) -> f64 {
        self.next() as f64 / f64::from(1u32 << 31)
    }
}
