//! Decoded rows on their way to tiles.
//!
//! Every decoder hands over [`Block`]s: a rectangle of level pixels with some interleaved samples.
//! What becomes of them is up to a [`BlockTarget`]: tiles of a unit, a picture, one pixel, a range of values.

use crate::error::{Error, Result};
use crate::geom::PixelRect;
use crate::pixels::{SampleType, Tap, ValueCoding, pick};
use crate::pyramid::{Cancel, FillUnit, ImageInfo, PlaneId, TileKey, UnitSink};
use std::collections::HashSet;
use std::sync::Arc;

/// Rows are decoded and handed over in pieces of about this size, so that they are still in the CPU's cache when they
/// are copied into tiles.
pub const BAND_BYTES: usize = 1 << 20;

/// Some decoded rows.
#[derive(Debug, Clone, Copy)]
pub struct Block<'a> {
    /// Where they lie in their level.
    pub rect: PixelRect,
    /// Which of the page's samples the first interleaved one is.
    pub first_sample: usize,
    /// Interleaved samples a pixel.
    pub samples: usize,
    /// What a sample is.
    pub kind: SampleType,
    /// Bytes from row to row; a row may be longer than the rectangle is wide.
    pub row_bytes: usize,
    /// The rows, samples in the machine's byte order.
    pub bytes: &'a [u8],
}

impl<'a> Block<'a> {
    /// The bytes of the pixels of one row of the rectangle from column `x` on, both counted in the level.
    pub fn row_from(&self, x: u32, y: u32) -> &'a [u8] {
        let px_bytes = self.samples * self.kind.bytes();
        let row = (y - self.rect.y) as usize * self.row_bytes;
        &self.bytes[row + (x - self.rect.x) as usize * px_bytes..row + self.rect.width as usize * px_bytes]
    }
}

/// Scratch memory with the target it was lent by.
pub type ScratchUse<'f> = dyn FnMut(&mut [u8], &mut dyn BlockTarget) -> Result<()> + 'f;

/// What becomes of decoded rows.
pub trait BlockTarget {
    /// Takes some rows.
    fn put(&mut self, block: &Block<'_>) -> Result<()>;

    /// The memory where exactly these rows can be decoded, tightly packed, if there is such memory.
    fn direct(&mut self, rect: PixelRect, samples: usize, kind: SampleType) -> Result<Option<&mut [u8]>> {
        let _ = (rect, samples, kind);
        Ok(None)
    }

    /// Lends memory for a chunk that is too big for the heap.
    fn with_scratch(&mut self, bytes: u64, then: &mut ScratchUse<'_>) -> Result<()>;
}

/// Which samples of a page make a channel.
#[derive(Debug, Clone, PartialEq)]
pub enum ChannelTap {
    /// One sample.
    Gray(usize),
    /// Three samples from this one on.
    Rgb(usize),
    /// One sample that is an index into colours.
    Palette(usize, Arc<Vec<[u8; 3]>>),
}

impl ChannelTap {
    /// Whether the sample `sample` of a page plays a part in the channel.
    pub fn uses(&self, sample: usize) -> bool {
        match *self {
            Self::Gray(s) | Self::Palette(s, _) => s == sample,
            Self::Rgb(first) => (first..first + 3).contains(&sample),
        }
    }

    /// How to pick it out of a block, if the block has anything of it.
    pub fn of(&self, block: &Block<'_>, coding: ValueCoding) -> Option<Tap<'_>> {
        let within = |s: usize| s.checked_sub(block.first_sample).filter(|&s| s < block.samples);
        match self {
            Self::Gray(sample) => within(*sample).map(|sample| Tap::Gray { sample, coding }),
            Self::Palette(sample, colors) => within(*sample).map(|sample| Tap::Palette { sample, colors }),
            Self::Rgb(first) if block.samples == 1 => {
                let part = block.first_sample.checked_sub(*first).filter(|&p| p < 3)?;
                Some(Tap::RgbPart { sample: 0, part })
            }
            Self::Rgb(first) => within(*first).filter(|f| f + 3 <= block.samples).map(|first| Tap::Rgb { first }),
        }
    }
}

/// A plane of a unit, with the samples that make it.
#[derive(Debug, Clone)]
pub struct PlaneTap<'a> {
    /// The plane.
    pub plane: PlaneId,
    /// Its samples.
    pub tap: &'a ChannelTap,
    /// How they are stored.
    pub coding: ValueCoding,
}

/// The tiles of a unit.
pub struct TileTarget<'a> {
    /// Where the tiles' memory comes from.
    pub sink: &'a mut dyn UnitSink,
    /// The image that the unit belongs to.
    pub image: &'a ImageInfo,
    /// The unit.
    pub unit: &'a FillUnit,
    /// The planes that come out of the chunks being decoded.
    pub planes: &'a [PlaneTap<'a>],
    /// Tiles that were declared unreadable; they take no more pixels.
    pub failed: &'a mut HashSet<TileKey>,
    /// Asked between blocks.
    pub cancel: &'a Cancel,
}

impl TileTarget<'_> {
    /// The pixels of the unit.
    pub fn unit_rect(&self) -> PixelRect {
        unit_rect(self.image, self.unit)
    }

    /// Declares the tiles that touch `rect` unreadable, in the planes that use the samples of the chunk.
    pub fn fail(&mut self, rect: PixelRect, samples: std::ops::Range<usize>, reason: &str) {
        let touched = tiles_in(rect.intersect(self.unit_rect()), self.image.tile_side);
        for plane in self.planes.iter().filter(|p| samples.clone().any(|s| p.tap.uses(s))) {
            for (x, y) in touched.clone() {
                let key = TileKey { plane: plane.plane, level: self.unit.level, x, y };
                if self.failed.insert(key) {
                    self.sink.fail(key, reason.to_owned());
                }
            }
        }
    }
}

impl BlockTarget for TileTarget<'_> {
    fn put(&mut self, block: &Block<'_>) -> Result<()> {
        self.cancel.check()?;
        let side = self.image.tile_side;
        let rect = block.rect.intersect(self.unit_rect());
        for plane in self.planes {
            let Some(tap) = plane.tap.of(block, plane.coding) else { continue };
            let px_bytes = self.image.channels[plane.plane.channel as usize].format.bytes_per_px();
            for (x, y) in tiles_in(rect, side) {
                let key = TileKey { plane: plane.plane, level: self.unit.level, x, y };
                if self.failed.contains(&key) {
                    continue;
                }
                let part = self.image.tile_rect(key).intersect(rect);
                let memory = self.sink.tile_mut(key)?;
                for row in part.y..part.bottom() {
                    let at = ((row - y * side) as usize * side as usize + (part.x - x * side) as usize) * px_bytes;
                    let out = &mut memory[at..at + part.width as usize * px_bytes];
                    pick(block.row_from(part.x, row), block.samples, block.kind, tap, out);
                }
            }
        }
        Ok(())
    }

    fn direct(&mut self, rect: PixelRect, samples: usize, kind: SampleType) -> Result<Option<&mut [u8]>> {
        let side = self.image.tile_side;
        let whole_tile =
            rect.width == side && rect.height == side && rect.x.is_multiple_of(side) && rect.y.is_multiple_of(side);
        let [plane] = self.planes else { return Ok(None) };
        let as_stored = match plane.tap {
            ChannelTap::Gray(_) => samples == 1 && matches!(kind, SampleType::U8 | SampleType::U16),
            ChannelTap::Rgb(first) => *first == 0 && samples == 3 && kind == SampleType::U8,
            ChannelTap::Palette(..) => false,
        };
        if !whole_tile || !as_stored || !self.unit_rect().contains(rect) {
            return Ok(None);
        }
        let key = TileKey { plane: plane.plane, level: self.unit.level, x: rect.x / side, y: rect.y / side };
        if self.failed.contains(&key) {
            return Ok(None);
        }
        self.sink.tile_mut(key).map(Some)
    }

    fn with_scratch(&mut self, bytes: u64, then: &mut ScratchUse<'_>) -> Result<()> {
        let (image, unit, planes, cancel) = (self.image, self.unit, self.planes, self.cancel);
        let failed = &mut *self.failed;
        self.sink.with_scratch(bytes, &mut |memory, sink| {
            then(memory, &mut TileTarget { sink, image, unit, planes, failed: &mut *failed, cancel })
        })
    }
}

/// The pixels that the tiles of a unit hold.
pub fn unit_rect(image: &ImageInfo, unit: &FillUnit) -> PixelRect {
    let side = image.tile_side;
    PixelRect::new(
        unit.first.0.saturating_mul(side),
        unit.first.1.saturating_mul(side),
        unit.count.0.saturating_mul(side),
        unit.count.1.saturating_mul(side),
    )
    .intersect(image.levels[unit.level as usize].size.rect())
}

/// Column and row of every tile that touches a rectangle.
fn tiles_in(rect: PixelRect, side: u32) -> impl Iterator<Item = (u32, u32)> + Clone {
    let columns = rect.x / side..rect.right().div_ceil(side);
    let rows = if rect.is_empty() { 0..0 } else { rect.y / side..rect.bottom().div_ceil(side) };
    rows.flat_map(move |y| columns.clone().map(move |x| (x, y)))
}

/// A whole small picture as RGB rows.
pub struct RgbTarget<'a> {
    /// Where the rows lie, from (0, 0).
    pub rect: PixelRect,
    /// RGB rows of that size.
    pub rgb: &'a mut [u8],
    /// The channel that is shown.
    pub tap: &'a ChannelTap,
    /// How wider samples are shown.
    pub coding: ValueCoding,
}

impl BlockTarget for RgbTarget<'_> {
    fn put(&mut self, block: &Block<'_>) -> Result<()> {
        let Some(tap) = self.tap.of(block, self.coding) else { return Ok(()) };
        let rect = block.rect.intersect(self.rect);
        let width = self.rect.width as usize;
        let mut gray = vec![0; rect.width as usize * 2];
        for row in rect.y..rect.bottom() {
            let at = (row as usize * width + rect.x as usize) * 3;
            let out = &mut self.rgb[at..at + rect.width as usize * 3];
            let from = block.row_from(rect.x, row);
            if let Tap::Gray { .. } = tap {
                pick(from, block.samples, block.kind, tap, &mut gray);
                let step = block.kind.tile_format().bytes_per_px();
                let high = if cfg!(target_endian = "little") { step - 1 } else { 0 };
                out.chunks_exact_mut(3).zip(gray.chunks_exact(step)).for_each(|(o, g)| o.fill(g[high]));
            } else {
                pick(from, block.samples, block.kind, tap, out);
            }
        }
        Ok(())
    }

    fn with_scratch(&mut self, bytes: u64, then: &mut ScratchUse<'_>) -> Result<()> {
        heap_scratch(self, bytes, then)
    }
}

/// The values of one pixel.
pub struct PixelTarget {
    /// Which pixel of the level.
    pub at: (u32, u32),
    /// The samples that are wanted, by their number in the page.
    pub samples: std::ops::Range<usize>,
    /// The values, by sample.
    pub values: Vec<Option<f64>>,
}

impl BlockTarget for PixelTarget {
    fn put(&mut self, block: &Block<'_>) -> Result<()> {
        if !block.rect.contains(PixelRect::new(self.at.0, self.at.1, 1, 1)) {
            return Ok(());
        }
        let px = block.row_from(self.at.0, self.at.1);
        for (sample, value) in self.samples.clone().zip(&mut self.values) {
            if let Some(within) = sample.checked_sub(block.first_sample).filter(|&s| s < block.samples) {
                *value = Some(block.kind.value(&px[within * block.kind.bytes()..]));
            }
        }
        Ok(())
    }

    fn with_scratch(&mut self, bytes: u64, then: &mut ScratchUse<'_>) -> Result<()> {
        heap_scratch(self, bytes, then)
    }
}

/// The least and greatest finite value of one sample.
pub struct RangeTarget {
    /// The sample, by its number in the page.
    pub sample: usize,
    /// What was seen.
    pub range: Option<(f64, f64)>,
}

impl BlockTarget for RangeTarget {
    fn put(&mut self, block: &Block<'_>) -> Result<()> {
        let Some(within) = self.sample.checked_sub(block.first_sample).filter(|&s| s < block.samples) else {
            return Ok(());
        };
        let size = block.kind.bytes();
        for row in block.rect.y..block.rect.bottom() {
            for px in block.row_from(block.rect.x, row).chunks_exact(block.samples * size) {
                let value = block.kind.value(&px[within * size..]);
                if value.is_finite() {
                    let (low, high) = self.range.unwrap_or((value, value));
                    self.range = Some((low.min(value), high.max(value)));
                }
            }
        }
        Ok(())
    }

    fn with_scratch(&mut self, bytes: u64, then: &mut ScratchUse<'_>) -> Result<()> {
        heap_scratch(self, bytes, then)
    }
}

/// Scratch for targets that are not tiles and have no store behind them: small label pictures and single values.
const MAX_HEAP_SCRATCH_BYTES: u64 = 64 << 20;

fn heap_scratch(target: &mut dyn BlockTarget, bytes: u64, then: &mut ScratchUse<'_>) -> Result<()> {
    if bytes > MAX_HEAP_SCRATCH_BYTES {
        let what = format!("a piece of {} MiB is too large to be read on its own", bytes >> 20);
        return Err(Error::too_large(what, std::path::Path::new("(within the image)")));
    }
    then(&mut vec![0; bytes as usize], target)
}
