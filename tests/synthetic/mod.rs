//! Sources whose every pixel is known.

use microtome::error::{Error, Result};
use microtome::geom::Size;
use microtome::pixels::{PixelType, TileFormat, ValueCoding};
use microtome::pyramid::{
    AssociatedInfo, Calibration, Cancel, ChannelInfo, ChannelRole, FillUnit, ImageInfo, LevelOrigin, PlaneId, Source,
    TileKey, UnitSink, level_plan,
};
use std::collections::HashMap;
use std::path::Path;
use std::sync::Mutex;

/// How tiles group into units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Units {
    /// Each tile alone, as in a tiled file.
    Tiles,
    /// Whole rows of tiles, as in a stripped file.
    Rows,
}

/// A source that computes its pixels, and counts what it was asked to decode.
pub struct Synthetic {
    pub images: Vec<ImageInfo>,
    pub units: Units,
    /// Level-0 tiles that cannot be read.
    pub damaged: Vec<(u32, u32)>,
    pub decoded: Mutex<HashMap<TileKey, u32>>,
}

impl Synthetic {
    /// One 16-bit image with these native levels.
    pub fn new(native: &[Size], tile_side: u32, channels: u16, units: Units) -> Self {
        let channel = |n| ChannelInfo {
            name: format!("Channel {n}"),
            color: None,
            format: TileFormat::Gray16,
            role: ChannelRole::Intensity,
            significant_bits: None,
        };
        let image = ImageInfo {
            name: "synthetic".into(),
            size: native[0],
            pixel_type: PixelType::U16,
            channels: (1..=channels).map(channel).collect(),
            z_count: 1,
            t_count: 1,
            um_per_px: None,
            calibration: Calibration::Unknown,
            objective: None,
            tile_side,
            levels: level_plan(native, tile_side),
        };
        Self { images: vec![image], units, damaged: Vec::new(), decoded: Mutex::default() }
    }

    /// The stored sample of a native level.
    pub fn value(plane: PlaneId, level: u8, x: u32, y: u32) -> u16 {
        let mixed = x.wrapping_mul(0x9e37_79b1) ^ y.wrapping_mul(0x85eb_ca77) ^ (u32::from(plane.channel) << 7);
        (mixed.wrapping_add(u32::from(level) * 977).wrapping_mul(0xc2b2_ae3d) >> 16) as u16
    }

    /// How often the busiest unit was decoded.
    pub fn most_decoded(&self) -> u32 {
        self.decoded.lock().expect("no panic").values().copied().max().unwrap_or(0)
    }
}

impl Source for Synthetic {
    fn images(&self) -> &[ImageInfo] {
        &self.images
    }

    fn coding(&self, _: PlaneId) -> Result<ValueCoding> {
        Ok(ValueCoding::IDENTITY)
    }

    fn unit_of(&self, key: TileKey) -> FillUnit {
        let tiles = self.images[key.plane.field as usize].tiles(key.level);
        let (first, count) = match self.units {
            Units::Tiles => ((key.x, key.y), (1, 1)),
            Units::Rows => ((0, key.y), (tiles.width, 1)),
        };
        FillUnit { planes: vec![key.plane], level: key.level, first, count }
    }

    fn read_unit(&self, unit: &FillUnit, sink: &mut dyn UnitSink, cancel: &Cancel) -> Result<()> {
        cancel.check()?;
        let first = unit.keys().next().expect("a unit has tiles");
        *self.decoded.lock().expect("no panic").entry(first).or_default() += 1;
        for key in unit.keys() {
            let image = &self.images[key.plane.field as usize];
            assert!(matches!(image.levels[key.level as usize].origin, LevelOrigin::Native(_)));
            if key.level == 0 && self.damaged.contains(&(key.x, key.y)) {
                sink.fail(key, "damaged on purpose".into());
                continue;
            }
            let rect = image.tile_rect(key);
            let tile = sink.tile_mut(key)?;
            for y in rect.y..rect.bottom() {
                for x in rect.x..rect.right() {
                    let at = ((y - rect.y) * image.tile_side + x - rect.x) as usize * 2;
                    tile[at..at + 2].copy_from_slice(&Self::value(key.plane, key.level, x, y).to_ne_bytes());
                }
            }
        }
        Ok(())
    }

    fn sample(&self, plane: PlaneId, x: u32, y: u32) -> Result<Vec<f64>> {
        if self.damaged.contains(&(x / self.images[0].tile_side, y / self.images[0].tile_side)) {
            return Err(Error::format("damaged on purpose", Path::new("synthetic")));
        }
        Ok(vec![f64::from(Self::value(plane, 0, x, y))])
    }

    fn fingerprint(&self) -> Vec<u8> {
        format!("{:?}", self.images).into_bytes()
    }

    fn check_unchanged(&self) -> Result<()> {
        Ok(())
    }

    fn associated(&self) -> &[AssociatedInfo] {
        &[]
    }

    fn read_associated(&self, _: usize) -> Result<Vec<u8>> {
        Ok(Vec::new())
    }
}
