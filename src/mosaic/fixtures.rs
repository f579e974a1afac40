//! Fields whose every pixel is known, in a store on the heap.

use super::{Blend, Geometry, Placement};
use crate::error::{Error, Result};
use crate::geom::{Point, Size};
use crate::pixels::{PixelType, TileFormat, ValueCoding};
use crate::pyramid::{
    AssociatedInfo, Calibration, Cancel, ChannelInfo, ChannelRole, FillUnit, ImageInfo, PlaneId, Pyramid, SetId,
    Source, TileKey, TileSpace, UnitSink, level_plan,
};
use crate::store::{Backing, EvictionOrder, Persist, Quota, QuotaOptions, Store, StoreOptions};
use std::path::Path;
use std::sync::Arc;

/// The sample of a field (number, column, row, which of three for RGB).
pub type Sample = fn(u32, u32, u32, usize) -> u16;

/// Fields that compute their pixels.
pub struct KnownFields {
    images: Vec<ImageInfo>,
    sample: Sample,
    /// Tiles of level 0 that cannot be read: field, column, row.
    pub damaged: Vec<(u32, u32, u32)>,
}

impl KnownFields {
    /// One channel of fields of these sizes, in tiles of 128 px.
    pub fn new(sizes: &[Size], format: TileFormat, sample: Sample) -> Self {
        let image = |&size: &Size| ImageInfo {
            name: "field".into(),
            size,
            pixel_type: PixelType::U16,
            channels: vec![ChannelInfo {
                name: "DAPI".into(),
                color: None,
                format,
                role: ChannelRole::Intensity,
                significant_bits: None,
            }],
            z_count: 1,
            t_count: 1,
            um_per_px: Some([0.5, 0.5]),
            calibration: Calibration::File,
            objective: None,
            tile_side: 128,
            levels: level_plan(&[size], 128),
        };
        Self { images: sizes.iter().map(image).collect(), sample, damaged: Vec::new() }
    }

    /// The pyramid of the fields; nothing is decoded yet.
    pub fn into_pyramid(self, root: &Path) -> Pyramid {
        let space = TileSpace::new(&self.images, Path::new("known")).expect("small");
        let quota = Quota::new(QuotaOptions { root: root.to_owned(), limit_bytes: 1 << 30, free_disk_floor_bytes: 0 });
        let store = Store::open(StoreOptions {
            quota: quota.expect("a cache folder"),
            fingerprint: vec![1],
            tile_count: space.total(),
            label: "known".into(),
            persist: Persist::Discard,
            backing: Backing::Heap,
            eviction: EvictionOrder::DerivedLast,
        });
        Pyramid::new(SetId(7), Arc::new(self), store.expect("a store"), space)
    }
}

impl Source for KnownFields {
    fn images(&self) -> &[ImageInfo] {
        &self.images
    }

    fn coding(&self, _: PlaneId) -> Result<ValueCoding> {
        Ok(ValueCoding::IDENTITY)
    }

    fn unit_of(&self, key: TileKey) -> FillUnit {
        let tiles = self.images[key.plane.field as usize].tiles(0);
        FillUnit { planes: vec![key.plane], level: 0, first: (0, 0), count: (tiles.width, tiles.height) }
    }

    fn read_unit(&self, unit: &FillUnit, sink: &mut dyn UnitSink, _: &Cancel) -> Result<()> {
        for key in unit.keys() {
            let field = key.plane.field;
            if self.damaged.contains(&(field, key.x, key.y)) {
                sink.fail(key, "damaged on purpose".into());
                continue;
            }
            let image = &self.images[field as usize];
            let format = image.channels[0].format;
            let (rect, px_bytes) = (image.tile_rect(key), format.bytes_per_px());
            let tile = sink.tile_mut(key)?;
            for (y, x) in (rect.y..rect.bottom()).flat_map(|y| (rect.x..rect.right()).map(move |x| (y, x))) {
                let at = ((y - rect.y) * image.tile_side + x - rect.x) as usize * px_bytes;
                match format {
                    TileFormat::Gray16 => {
                        tile[at..at + 2].copy_from_slice(&(self.sample)(field, x, y, 0).to_ne_bytes());
                    }
                    _ => (0..px_bytes).for_each(|c| tile[at + c] = (self.sample)(field, x, y, c) as u8),
                }
            }
        }
        Ok(())
    }

    fn sample(&self, _: PlaneId, _: u32, _: u32) -> Result<Vec<f64>> {
        Err(Error::format("the store holds every value", Path::new("known")))
    }

    fn fingerprint(&self) -> Vec<u8> {
        vec![1]
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

/// Different everywhere and in every field, over all 16 bits.
pub fn noise(field: u32, x: u32, y: u32, c: usize) -> u16 {
    let mixed = x.wrapping_mul(0x9e37_79b1) ^ y.wrapping_mul(0x85eb_ca77) ^ (field * 7919 + c as u32 * 131 + 1);
    (mixed.wrapping_mul(0xc2b2_ae3d) >> 15) as u16
}

/// Numbers that look random and are the same every time.
pub struct Dice(pub u64);

impl Dice {
    /// The next one, from 0 to 1.
    pub fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as f64 / (1_u64 << 31) as f64
    }

    /// From `low` to `high`.
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + self.next() * (high - low)
    }
}

/// A geometry of fields that stand where they are thought to, without a margin.
pub fn geometry(places: &[(f64, f64)], sizes: &[Size], blend: Blend, placement: Placement) -> Geometry {
    let places: Vec<Point> = places.iter().map(|&(x, y)| Point::new(x, y)).collect();
    Geometry::new(1, &places, &places, sizes, blend, placement, 0.0).expect("a layout")
}

/// A grid of equal fields with some overlap, each moved at random by up to `jitter` px.
pub fn jittered_grid(
    seed: u64,
    (columns, rows): (u32, u32),
    size: Size,
    overlap_px: f64,
    jitter: f64,
) -> (Vec<(f64, f64)>, Vec<Size>) {
    let mut dice = Dice(seed);
    let step = (f64::from(size.width) - overlap_px, f64::from(size.height) - overlap_px);
    let places = (0..rows).flat_map(|row| (0..columns).map(move |column| (column, row)));
    let places: Vec<(f64, f64)> = places
        .map(|(column, row)| {
            let x = f64::from(column) * step.0 + dice.between(-jitter, jitter);
            (x, f64::from(row) * step.1 + dice.between(-jitter, jitter))
        })
        .collect();
    let sizes = vec![size; places.len()];
    (places, sizes)
}
