//! The TIFF source: from tiles to pages to chunks, and back into tiles.

use super::decode::{Chunk, ChunkError, decode_chunk};
use super::document::Document;
use super::page::{Compression, PageLayout};
use crate::error::{Error, Result};
use crate::formats::blocks::{
    BlockTarget, ChannelTap, PixelTarget, PlaneTap, RangeTarget, RgbTarget, TileTarget, unit_rect,
};
use crate::formats::chunks;
use crate::geom::{PixelRect, Size};
use crate::pixels::ValueCoding;
use crate::pyramid::{AssociatedInfo, Cancel, FillUnit, ImageInfo, LevelOrigin, PlaneId, Source, TileKey, UnitSink};
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

/// A place in the page table of an image that no file has a page for.
pub const NO_PAGE: u32 = u32::MAX;

/// Chunks that are decoded, spread over the image, to find the range of a 16-bit preview.
const RANGE_CHUNKS: u32 = 16;

/// Where not every chunk was looked at, the range of a preview is made wider on either side by this part of it.
const RANGE_MARGIN: f64 = 0.1;

/// An associated picture may have this many pixels; label and macro pictures have about one million.
const MAX_ASSOCIATED_PX: u64 = 16 << 20;

/// Told of pixels that cannot be read: where in the level, of which samples of the page, and why.
type OnDamage<'f, T> = dyn FnMut(&mut T, PixelRect, std::ops::Range<usize>, String) + 'f;

/// What the pixels of one image are made of.
#[derive(Debug)]
pub struct TiffImage {
    /// For each native level, the page of every group of channels: `(t * z_count + z) * groups + group`.
    pub pages: Vec<Vec<u32>>,
    /// The channels within one page.
    pub taps: Vec<ChannelTap>,
    /// Pages that together hold all channels of one z and t.
    pub groups: usize,
}

/// A TIFF file, or several that belong together.
pub struct TiffSource {
    document: Document,
    infos: Vec<ImageInfo>,
    images: Vec<TiffImage>,
    associated: Vec<AssociatedInfo>,
    associated_pages: Vec<u32>,
    /// The codings of 16-bit previews found so far, by image and channel.
    previews: Mutex<HashMap<(u32, u16), ValueCoding>>,
}

impl TiffSource {
    /// Puts together what a dialect found.
    pub fn new(
        document: Document,
        images: Vec<(ImageInfo, TiffImage)>,
        associated: Vec<(AssociatedInfo, u32)>,
    ) -> Self {
        let (infos, images) = images.into_iter().unzip();
        let (associated, associated_pages) = associated.into_iter().unzip();
        Self { document, infos, images, associated, associated_pages, previews: Mutex::default() }
    }

    fn path(&self) -> &Path {
        self.document.files.path(0)
    }

    fn native_level(&self, field: u32, level: u8) -> usize {
        match self.infos[field as usize].levels[level as usize].origin {
            LevelOrigin::Native(native) => native as usize,
            // Derived levels are never asked for; the finest level is what they come from.
            LevelOrigin::Derived => 0,
        }
    }

    /// The page that holds a plane.
    fn page(&self, plane: PlaneId, native: usize) -> Option<u32> {
        let info = &self.infos[plane.field as usize];
        let image = &self.images[plane.field as usize];
        let group = plane.channel as usize / image.taps.len();
        let index = (plane.t as usize * info.z_count as usize + plane.z as usize) * image.groups + group;
        image.pages.get(native)?.get(index).copied().filter(|&p| p != NO_PAGE)
    }

    fn tap(&self, plane: PlaneId) -> &ChannelTap {
        let taps = &self.images[plane.field as usize].taps;
        &taps[plane.channel as usize % taps.len()]
    }

    fn layout(&self, page: u32) -> &PageLayout {
        &self.document.pages[page as usize].layout
    }

    /// Decodes the chunks of a page that hold `samples` and touch `wanted`; calls `damaged` for those that cannot be.
    fn read_page<T: BlockTarget>(
        &self,
        page: u32,
        wanted: PixelRect,
        samples: &dyn Fn(usize) -> bool,
        target: &mut T,
        cancel: &Cancel,
        damaged: &mut OnDamage<'_, T>,
    ) -> Result<()> {
        let layout = self.layout(page);
        let wanted = wanted.intersect(layout.size.rect());
        let firsts = if layout.planar { 0..layout.samples } else { 0..1 };
        for first in firsts {
            let held = first..first + layout.chunk_samples();
            if !held.clone().any(samples) {
                continue;
            }
            for row in wanted.y / layout.chunk.height..wanted.bottom().div_ceil(layout.chunk.height) {
                for column in wanted.x / layout.chunk.width..wanted.right().div_ceil(layout.chunk.width) {
                    cancel.check()?;
                    let rect = chunk_rect(layout, column, row);
                    let decoded = match self.document.chunk(page, column, row, first) {
                        Ok(chunk) => decode_chunk(&chunk, wanted, target),
                        Err(reason) => Err(ChunkError::Damaged(reason)),
                    };
                    let (lost, reason) = match decoded {
                        Ok(()) => continue,
                        Err(ChunkError::Stop(error)) => return Err(error),
                        Err(ChunkError::Damaged(reason)) => (rect, reason),
                        Err(ChunkError::Cut(y, reason)) => {
                            (PixelRect { y, height: rect.bottom().saturating_sub(y), ..rect }, reason)
                        }
                    };
                    damaged(target, lost, held.clone(), reason);
                }
            }
        }
        Ok(())
    }

    /// Looks at chunks spread over the first planes of a channel.
    fn preview_coding(&self, plane: PlaneId) -> Result<ValueCoding> {
        let Some(page) = self.page(plane, 0) else { return Ok(preview_of(None, true)) };
        let &ChannelTap::Gray(sample) = self.tap(plane) else { return Ok(ValueCoding::IDENTITY) };
        let layout = self.layout(page);
        let mut target = RangeTarget { sample, range: None };
        let (across, down) = layout.chunks();
        // Rows of uncompressed strips are looked at one by one, whatever the strips are.
        let by_rows = is_free_of_chunks(layout);
        let pieces = if by_rows { u64::from(layout.size.height) } else { u64::from(across) * u64::from(down) };
        let looked_at = pieces.min(if by_rows { u64::from(RANGE_CHUNKS) * 16 } else { u64::from(RANGE_CHUNKS) });
        for k in 0..looked_at {
            // The middle one of each equal part of the pieces.
            let index = (2 * k + 1) * pieces / (2 * looked_at);
            let wanted = if by_rows {
                PixelRect::new(0, index as u32, layout.size.width, 1)
            } else {
                chunk_rect(layout, (index % u64::from(across)) as u32, (index / u64::from(across)) as u32)
            };
            // Damaged chunks are reported when they are drawn; here they only say nothing about the range.
            self.read_page(page, wanted, &|s| s == sample, &mut target, &Cancel::default(), &mut |_, _, _, _| {})?;
        }
        Ok(preview_of(target.range, looked_at == pieces))
    }
}

/// The coding that spreads a range of values over 16 bits; whole numbers that fit keep steps of one.
fn preview_of(range: Option<(f64, f64)>, complete: bool) -> ValueCoding {
    let (mut low, mut high) = range.unwrap_or((0.0, 1.0));
    if !complete {
        let margin = (high - low) * RANGE_MARGIN;
        low = if low >= 0.0 { (low - margin).max(0.0) } else { low - margin };
        high += margin;
    }
    let whole_numbers = low.fract() == 0.0 && high.fract() == 0.0 && high - low > 1.0;
    let scale = if whole_numbers && (high - low) <= 65535.0 { 1.0 } else { (high - low) / 65535.0 };
    let scale = if scale.is_finite() && scale > 0.0 { scale } else { 1.0 };
    ValueCoding { scale, offset: low, exact: false }
}

fn chunk_rect(layout: &PageLayout, column: u32, row: u32) -> PixelRect {
    let Size { width, height } = layout.chunk;
    PixelRect::new(column * width, row * height, width, height).intersect(layout.size.rect())
}

/// Whether any row can be read on its own.
fn is_free_of_chunks(layout: &PageLayout) -> bool {
    layout.compression == Compression::None && !layout.tiled
}

impl Source for TiffSource {
    fn images(&self) -> &[ImageInfo] {
        &self.infos
    }

    fn coding(&self, plane: PlaneId) -> Result<ValueCoding> {
        let first = PlaneId { z: 0, t: 0, ..plane };
        let found = (0..self.infos[plane.field as usize].z_count)
            .map(|z| PlaneId { z, ..first })
            .find(|&p| self.page(p, 0).is_some());
        let Some(first) = found else { return Ok(ValueCoding::IDENTITY) };
        let Some(page) = self.page(first, 0) else { return Ok(ValueCoding::IDENTITY) };
        if let Some(coding) = self.layout(page).sample.exact_coding() {
            return Ok(coding);
        }
        let key = (plane.field, plane.channel);
        if let Some(&coding) = self.previews.lock().get(&key) {
            return Ok(coding);
        }
        let coding = self.preview_coding(first)?;
        self.previews.lock().insert(key, coding);
        Ok(coding)
    }

    fn unit_of(&self, key: TileKey) -> FillUnit {
        let info = &self.infos[key.plane.field as usize];
        let native = self.native_level(key.plane.field, key.level);
        let Some(page) = self.page(key.plane, native) else {
            return FillUnit { planes: vec![key.plane], level: key.level, first: (key.x, key.y), count: (1, 1) };
        };
        let layout = self.layout(page);
        let taps = self.images[key.plane.field as usize].taps.len() as u16;
        let planes: Vec<PlaneId> = if layout.planar {
            vec![key.plane]
        } else {
            let first = key.plane.channel / taps * taps;
            (first..first + taps).map(|channel| PlaneId { channel, ..key.plane }).collect()
        };
        let bytes_per_px: usize = planes.iter().map(|p| info.channels[p.channel as usize].format.bytes_per_px()).sum();
        let chunk = if is_free_of_chunks(layout) { Size::new(layout.size.width, 1) } else { layout.chunk };
        let size = info.levels[key.level as usize].size;
        let (first, count) = chunks::unit_of((key.x, key.y), chunk, info.tile_side, size, bytes_per_px as u64);
        FillUnit { planes, level: key.level, first, count }
    }

    fn read_unit(&self, unit: &FillUnit, sink: &mut dyn UnitSink, cancel: &Cancel) -> Result<()> {
        let Some(&some_plane) = unit.planes.first() else { return Ok(()) };
        let native = self.native_level(some_plane.field, unit.level);
        let mut by_page: BTreeMap<u32, Vec<PlaneTap<'_>>> = BTreeMap::new();
        for &plane in &unit.planes {
            match self.page(plane, native) {
                Some(page) => {
                    let tap = PlaneTap { plane, tap: self.tap(plane), coding: self.coding(plane)? };
                    by_page.entry(page).or_default().push(tap);
                }
                None => {
                    let one = FillUnit { planes: vec![plane], ..unit.clone() };
                    one.keys().for_each(|key| sink.fail(key, "this plane is missing from the file".into()));
                }
            }
        }
        let image = &self.infos[some_plane.field as usize];
        let mut failed = HashSet::new();
        for (page, planes) in &by_page {
            let mut target = TileTarget { sink: &mut *sink, image, unit, planes, failed: &mut failed, cancel };
            let uses = |sample: usize| planes.iter().any(|p| p.tap.uses(sample));
            self.read_page(*page, unit_rect(image, unit), &uses, &mut target, cancel, &mut |t, rect, samples, why| {
                t.fail(rect, samples, &why);
            })?;
        }
        Ok(())
    }

    fn sample(&self, plane: PlaneId, x: u32, y: u32) -> Result<Vec<f64>> {
        let page =
            self.page(plane, 0).ok_or_else(|| Error::format("this plane is missing from the file", self.path()))?;
        let (samples, colors) = match self.tap(plane) {
            ChannelTap::Gray(s) => (*s..*s + 1, None),
            ChannelTap::Rgb(s) => (*s..*s + 3, None),
            ChannelTap::Palette(s, colors) => (*s..*s + 1, Some(colors)),
        };
        let mut target = PixelTarget { at: (x, y), samples: samples.clone(), values: vec![None; samples.len()] };
        let mut damage = None;
        let wanted = PixelRect::new(x, y, 1, 1);
        self.read_page(
            page,
            wanted,
            &|s| samples.contains(&s),
            &mut target,
            &Cancel::default(),
            &mut |_, _, _, why| {
                damage = Some(why);
            },
        )?;
        let values: Option<Vec<f64>> = target.values.into_iter().collect();
        match (values, damage) {
            (Some(values), None) => Ok(match colors {
                Some(colors) => {
                    let color = colors.get(values[0] as usize).copied().unwrap_or_default();
                    color.iter().map(|&c| f64::from(c)).collect()
                }
                None => values,
            }),
            (_, Some(why)) => Err(Error::format(why, self.path())),
            (None, None) => Err(Error::format("there is no such pixel", self.path())),
        }
    }

    fn fingerprint(&self) -> Vec<u8> {
        self.document.files.fingerprint()
    }

    fn check_unchanged(&self) -> Result<()> {
        self.document.files.check_unchanged()
    }

    fn associated(&self) -> &[AssociatedInfo] {
        &self.associated
    }

    fn read_associated(&self, index: usize) -> Result<Vec<u8>> {
        let &page = self
            .associated_pages
            .get(index)
            .ok_or_else(|| Error::format("there is no such associated picture", self.path()))?;
        let layout = self.layout(page);
        if layout.size.area() > MAX_ASSOCIATED_PX {
            return Err(Error::too_large("this associated picture has more than 16 megapixels", self.path()));
        }
        let mut rgb = vec![0; layout.size.area() as usize * 3];
        let (_, _, taps) = super::channels::of_page(layout, false);
        let Some(tap) = taps.first() else { return Ok(rgb) };
        let coding =
            layout.sample.exact_coding().unwrap_or(ValueCoding { scale: 1.0 / 65535.0, offset: 0.0, exact: false });
        let mut target = RgbTarget { rect: layout.size.rect(), rgb: &mut rgb, tap, coding };
        let mut damage = None;
        let uses = |s: usize| tap.uses(s);
        self.read_page(page, layout.size.rect(), &uses, &mut target, &Cancel::default(), &mut |_, _, _, why| {
            damage.get_or_insert(why);
        })?;
        match damage {
            Some(why) => Err(Error::format(why, self.path())),
            None => Ok(rgb),
        }
    }
}

// Chunks borrow from the document; this states that workers may share it.
const _: fn() = || {
    fn shared<T: Send + Sync>() {}
    shared::<TiffSource>();
    shared::<Chunk<'static>>();
};
