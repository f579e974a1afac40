//! A source of pixels with its levels in a store.
//!
//! [`Source`] is what a file format or a mosaic implements: it describes its images and decodes [`FillUnit`]s into
//! tiles.

mod fill;
mod levels;
mod space;

pub use fill::{Between, Keep, Loaded, Made, Pyramid, Step, children};
pub use levels::{MAX_DERIVED_STEP, level_plan};
pub use space::TileSpace;

use crate::error::Result;
use crate::geom::{PixelRect, Size};
use crate::pixels::{PixelType, TileFormat, ValueCoding};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Which plane: one channel of one image at one z and t.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct PlaneId {
    /// The image within its set: a scene of a slide, or a field of a mosaic.
    pub field: u32,
    /// The channel within the image.
    pub channel: u16,
    /// The focus position.
    pub z: u16,
    /// The time point.
    pub t: u16,
}

/// Which tile: a square of one level of one plane. `x` and `y` count tiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TileKey {
    /// The plane.
    pub plane: PlaneId,
    /// Index into [`ImageInfo::levels`].
    pub level: u8,
    /// Tile column.
    pub x: u32,
    /// Tile row.
    pub y: u32,
}

/// Where the pixels of a level come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum LevelOrigin {
    /// The file brings it; the number is the source's own.
    Native(u32),
    /// Halved from the level before.
    Derived,
}

/// One level of an image.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LevelInfo {
    /// Its size in its own pixels.
    pub size: Size,
    /// Level-0 pixels a pixel of this level, x and y: the size of level 0 over this size for native levels, exact
    /// powers of two times the parent's for derived ones.
    pub downsample: [f64; 2],
    /// Where its pixels come from.
    pub origin: LevelOrigin,
}

/// What a channel's samples mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ChannelRole {
    /// Light: shown with a colour and a window.
    Intensity,
    /// Alpha: how much of the pixel is there. Not listed among the channels the user switches.
    Coverage,
}

/// One channel of an image.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChannelInfo {
    /// The file's name for it, or one that we give.
    pub name: String,
    /// The file's colour for it.
    pub color: Option<[u8; 3]>,
    /// How its tiles are stored.
    pub format: TileFormat,
    /// What its samples mean.
    pub role: ChannelRole,
    /// Significant bits of a stored sample where the file says so (12 of 16, say).
    pub significant_bits: Option<u8>,
}

/// How an image's pixel size is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Calibration {
    /// Not known: lengths are in pixels.
    Unknown,
    /// The file says so.
    File,
    /// The user set it.
    User,
}

/// One scene: sizes, channels, calibration, levels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImageInfo {
    /// The file's name for it, or the file's own name.
    pub name: String,
    /// Level-0 size.
    pub size: Size,
    /// What a pixel is in the file.
    pub pixel_type: PixelType,
    /// The channels; one of [`TileFormat::Rgb8`] for an RGB image.
    pub channels: Vec<ChannelInfo>,
    /// Focus positions, at least 1.
    pub z_count: u16,
    /// Time points, at least 1.
    pub t_count: u16,
    /// Micrometres a pixel, x and y.
    pub um_per_px: Option<[f64; 2]>,
    /// How that is known.
    pub calibration: Calibration,
    /// The objective's magnification, for Details only.
    pub objective: Option<f64>,
    /// The side of a tile in pixels: a multiple of 16 from 128 to 512.
    pub tile_side: u32,
    /// Finest first.
    pub levels: Vec<LevelInfo>,
}

impl ImageInfo {
    /// Tile columns and rows of a level.
    pub fn tiles(&self, level: u8) -> Size {
        let size = self.levels[level as usize].size;
        Size::new(size.width.div_ceil(self.tile_side), size.height.div_ceil(self.tile_side))
    }

    /// The pixels of a tile in its level; smaller than a square at the right and bottom edge.
    pub fn tile_rect(&self, key: TileKey) -> PixelRect {
        let side = self.tile_side;
        PixelRect::new(key.x.saturating_mul(side), key.y.saturating_mul(side), side, side)
            .intersect(self.levels[key.level as usize].size.rect())
    }

    /// The bytes of a tile of a plane; every slot of a plane has this size, edge tiles included.
    pub fn tile_bytes(&self, plane: PlaneId) -> usize {
        self.channels[plane.channel as usize].format.tile_bytes(self.tile_side)
    }

    /// Whether the file brings a reduced level of its own.
    pub fn has_native_levels(&self) -> bool {
        self.levels.iter().skip(1).any(|l| matches!(l.origin, LevelOrigin::Native(_)))
    }
}

/// A picture that belongs to a slide without being one of its images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssociatedInfo {
    /// `label`, `macro`, `thumbnail`, or the file's own word.
    pub name: String,
    /// Its size.
    pub size: Size,
}

/// The smallest set of tiles that is closed under the overlap of tiles with chunks: what one thread decodes in one go.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FillUnit {
    /// The planes decoded together: several where the file interleaves channels.
    pub planes: Vec<PlaneId>,
    /// A native level, as an index into [`ImageInfo::levels`].
    pub level: u8,
    /// First tile column and row.
    pub first: (u32, u32),
    /// Tile columns and rows.
    pub count: (u32, u32),
}

impl FillUnit {
    /// Every tile of the unit, plane by plane, row by row.
    pub fn keys(&self) -> impl Iterator<Item = TileKey> + '_ {
        let ((x0, y0), (nx, ny), level) = (self.first, self.count, self.level);
        self.planes.iter().flat_map(move |&plane| {
            (y0..y0 + ny).flat_map(move |y| (x0..x0 + nx).map(move |x| TileKey { plane, level, x, y }))
        })
    }
}

/// What is done with scratch memory, and with the sink meanwhile.
pub type WithScratch<'a> = dyn FnMut(&mut [u8], &mut dyn UnitSink) -> Result<()> + 'a;

/// Where a source puts what it decodes.
///
/// Tiles are whole squares of [`ImageInfo::tile_side`], rows top down, without padding between rows; a sink hands out
/// zeroed memory for edge tiles, so a source writes only the pixels that exist.
pub trait UnitSink {
    /// The memory of one tile of the unit. Asking again for the same tile continues it.
    fn tile_mut(&mut self, key: TileKey) -> Result<&mut [u8]>;

    /// Mapped memory of our own for a chunk that is too big for the heap (over [`MAX_HEAP_CHUNK_BYTES`]); valid until
    /// `then` returns.
    fn with_scratch(&mut self, bytes: u64, then: &mut WithScratch<'_>) -> Result<()>;

    /// Declares one tile unreadable, with the reason in words; the rest of the unit goes on.
    fn fail(&mut self, key: TileKey, reason: String);
}

/// A chunk larger than this is streamed by rows or decoded into mapped scratch, never onto the heap.
pub const MAX_HEAP_CHUNK_BYTES: u64 = 8 << 20;

/// A flag that stops work: set by the Session, looked at by workers at least every 50 ms of their own work.
#[derive(Debug, Clone, Default)]
pub struct Cancel {
    flag: Arc<AtomicBool>,
    parent: Option<Arc<AtomicBool>>,
}

impl Cancel {
    /// A flag that others set, such as the handler of a signal.
    pub fn of_flag(flag: Arc<AtomicBool>) -> Self {
        Self { flag, parent: None }
    }

    /// A flag that is also set when this one is: a job on an image set stops when the set is closed.
    pub fn child(&self) -> Self {
        Self { flag: Arc::default(), parent: Some(self.flag.clone()) }
    }

    /// Asks the work to stop.
    pub fn cancel(&self) {
        self.flag.store(true, Ordering::Relaxed);
    }

    /// Whether it was asked to.
    pub fn is_cancelled(&self) -> bool {
        self.flag.load(Ordering::Relaxed) || self.parent.as_ref().is_some_and(|p| p.load(Ordering::Relaxed))
    }

    /// [`crate::error::Error::Cancelled`] once it was asked to.
    pub fn check(&self) -> Result<()> {
        if self.is_cancelled() { Err(crate::error::Error::Cancelled) } else { Ok(()) }
    }
}

/// What can fill tiles: a slide reader, or a mosaic. Frozen once made, shared by all workers.
pub trait Source: Send + Sync {
    /// The images, in the file's order.
    fn images(&self) -> &[ImageInfo];

    /// How a plane's stored samples become file values. May look at pixels the first time (a sample of chunks, for
    /// types wider than 16 bits), so it is never called on the UI thread.
    fn coding(&self, plane: PlaneId) -> Result<ValueCoding>;

    /// The unit that a tile of a native level belongs to.
    fn unit_of(&self, key: TileKey) -> FillUnit;

    /// Decodes a unit into `sink`. An error fails the unit as a whole; [`UnitSink::fail`] one tile.
    fn read_unit(&self, unit: &FillUnit, sink: &mut dyn UnitSink, cancel: &Cancel) -> Result<()>;

    /// The file's own value of one pixel of level 0, channel by sample (three for RGB): for types that are stored as a
    /// preview, and for read-outs.
    fn sample(&self, plane: PlaneId, x: u32, y: u32) -> Result<Vec<f64>>;

    /// What identifies the source's content for the store: path, size, times, inode, header bytes.
    fn fingerprint(&self) -> Vec<u8>;

    /// Fails if the source is no longer the file that was opened (size, modification time).
    fn check_unchanged(&self) -> Result<()>;

    /// The associated pictures.
    fn associated(&self) -> &[AssociatedInfo];

    /// Decodes an associated picture whole, as RGB rows.
    fn read_associated(&self, index: usize) -> Result<Vec<u8>>;
}

/// An opened image set within this run of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct SetId(pub u32);

/// Which eighths of a tile hold pixels: bit `8 * row + column` of an 8 x 8 grid over the whole square.
///
/// Tiles that are whole have all bits set, whether or not the image's edge cuts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Coverage(pub u64);

impl Coverage {
    /// Every cell is there.
    pub const FULL: Self = Self(u64::MAX);
    /// Cells along one side.
    pub const CELLS: u32 = 8;

    /// Whether a cell is there.
    pub fn has(self, column: u32, row: u32) -> bool {
        self.0 >> (row * Self::CELLS + column) & 1 == 1
    }
}

/// Why eighths of a tile are not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gaps {
    /// They have not been decoded yet.
    Coming,
    /// They cannot be read; this is all there will be.
    Unreadable,
}

/// One tile on its way to the screen: a heap copy that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TilePixels {
    /// The image set it belongs to.
    pub set: SetId,
    /// Which tile.
    pub key: TileKey,
    /// How the bytes are laid out.
    pub format: TileFormat,
    /// Pixels along one side of the square that `bytes` holds.
    pub side: u32,
    /// The pixels of the square that exist; the rest is zero.
    pub valid: Size,
    /// Less than full for a provisional tile: a coarse one with children still missing, for the eye only.
    pub coverage: Coverage,
    /// What the uncovered eighths are.
    pub gaps: Gaps,
    /// The generation of the mosaic's geometry it was fused under; 0 for a tile of the store.
    pub generation: u64,
    /// `side * side * bytes_per_px` bytes, rows top down.
    pub bytes: Vec<u8>,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A grey 16-bit image of the given size, with levels as [`level_plan`] makes them.
    pub(crate) fn image(width: u32, height: u32, tile_side: u32, channels: u16) -> ImageInfo {
        let size = Size::new(width, height);
        let channel = |n| ChannelInfo {
            name: format!("Channel {n}"),
            color: None,
            format: TileFormat::Gray16,
            role: ChannelRole::Intensity,
            significant_bits: None,
        };
        ImageInfo {
            name: "test".into(),
            size,
            pixel_type: PixelType::U16,
            channels: (1..=channels).map(channel).collect(),
            z_count: 1,
            t_count: 1,
            um_per_px: None,
            calibration: Calibration::Unknown,
            objective: None,
            tile_side,
            levels: level_plan(&[size], tile_side),
        }
    }
}
