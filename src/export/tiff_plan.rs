//! Where everything goes in a TIFF: its directories and their tables of tiles come first, so that all but the tiles
//! themselves is laid out before the first pixel is known.

use super::layout::{PixelLayout, SampleKind};
use super::tile_encoder::{TileCompression, TileEncoder};
use crate::error::Result;
use crate::geom::Size;
use std::path::Path;

/// Offsets of a classic TIFF end here.
const MAX_CLASSIC_BYTES: u64 = u32::MAX as u64;

/// One image in the file.
#[derive(Debug, Clone, PartialEq)]
pub struct TiffPage {
    /// Its size; tiles at the right and bottom edge are whole squares all the same.
    pub size: Size,
    /// The side of a tile, a multiple of 16.
    pub tile_side: u32,
    /// What a pixel is.
    pub layout: PixelLayout,
    /// How its tiles are packed.
    pub compression: TileCompression,
    /// Micrometres a pixel, x and y.
    pub um_per_px: Option<[f64; 2]>,
    /// ASCII text for the page, such as OME-XML.
    pub description: Option<String>,
}

impl TiffPage {
    /// Tile columns and rows.
    pub fn tiles(&self) -> Size {
        Size::new(self.size.width.div_ceil(self.tile_side), self.size.height.div_ceil(self.tile_side))
    }

    /// The most bytes that its tiles can take.
    fn worst_bytes(&self) -> u64 {
        let tile = self.layout.tile_bytes(self.tile_side) as u64;
        self.tiles().area().saturating_mul(self.compression.worst_tile_bytes(tile))
    }
}

/// A page or a level of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PageId(pub(super) usize);

/// The pages of a file that is about to be written.
#[derive(Debug, Clone, Default)]
pub struct TiffPlan {
    pub(super) pages: Vec<PlannedPage>,
}

/// A page with its place among the others.
#[derive(Debug, Clone)]
pub(super) struct PlannedPage {
    pub page: TiffPage,
    /// The page that it is a reduced level of.
    pub parent: Option<usize>,
}

impl TiffPlan {
    /// Adds a page. Readers see pages in the order in which they were added.
    pub fn add_page(&mut self, page: TiffPage) -> PageId {
        self.add(page, None)
    }

    /// Adds a reduced level to a page, finest first; it lies in the page's SubIFDs.
    pub fn add_level(&mut self, of: PageId, size: Size) -> PageId {
        let page = &self.pages[of.0].page;
        let um_per_px = page.um_per_px.map(|[x, y]| {
            let factor = |full: u32, reduced: u32| f64::from(full) / f64::from(reduced.max(1));
            [x * factor(page.size.width, size.width), y * factor(page.size.height, size.height)]
        });
        self.add(TiffPage { size, um_per_px, description: None, ..page.clone() }, Some(of.0))
    }

    fn add(&mut self, page: TiffPage, parent: Option<usize>) -> PageId {
        self.pages.push(PlannedPage { page, parent });
        PageId(self.pages.len() - 1)
    }

    /// The bytes of the file if no tile gets smaller by packing, and all that is beside the tiles.
    pub fn worst_bytes(&self) -> u64 {
        let beside: u64 = self.pages.iter().map(|p| overhead_bytes(&p.page)).fold(0, u64::saturating_add);
        self.pages.iter().map(|p| p.page.worst_bytes()).fold(beside, u64::saturating_add)
    }

    /// Whether the file must be a BigTIFF: classic offsets end at 4 GiB.
    pub fn is_big(&self) -> bool {
        self.worst_bytes() > MAX_CLASSIC_BYTES
    }

    /// Lays the file out; `path` is where it will be, for messages.
    pub(super) fn lay_out(&self, path: &Path) -> Result<LaidOut> {
        let kind = if self.is_big() { Kind::Big } else { Kind::Classic };
        let mut levels_of: Vec<Vec<usize>> = vec![Vec::new(); self.pages.len()];
        for (index, planned) in self.pages.iter().enumerate() {
            if let Some(parent) = planned.parent {
                levels_of[parent].push(index);
            }
        }
        let mut directories = Vec::new();
        for (planned, levels) in self.pages.iter().zip(&levels_of) {
            directories.push(Directory::of(planned, levels.len(), kind, path)?);
        }
        // A page's levels follow it in the file.
        let top = || (0..self.pages.len()).filter(|&n| self.pages[n].parent.is_none());
        let mut at = kind.header_bytes();
        for index in top() {
            for member in std::iter::once(index).chain(levels_of[index].iter().copied()) {
                at = directories[member].place(at, kind);
            }
        }
        let mut bytes = kind.header(top().next().map_or(0, |n| directories[n].at));
        let tops: Vec<usize> = top().collect();
        let mut blocks = Vec::new();
        for (nth, &index) in tops.iter().enumerate() {
            let levels: Vec<u64> = levels_of[index].iter().map(|&n| directories[n].at).collect();
            if !levels.is_empty() {
                directories[index].set_levels(&levels, kind);
            }
            let next = tops.get(nth + 1).map_or(0, |&n| directories[n].at);
            blocks.extend(directories[index].blocks(next, kind));
        }
        for (planned, directory) in self.pages.iter().zip(&directories) {
            if planned.parent.is_some() {
                blocks.extend(directory.blocks(0, kind));
            }
        }
        blocks.insert(0, (0, std::mem::take(&mut bytes)));
        let tables = directories.iter().map(Directory::tables).collect();
        Ok(LaidOut { is_big: kind == Kind::Big, blocks, tables, tiles_at: at.next_multiple_of(TILE_ALIGN_BYTES) })
    }
}

/// Tiles begin at a whole page of memory.
const TILE_ALIGN_BYTES: u64 = 4096;

/// Bytes of a directory with its tables, an upper bound.
fn overhead_bytes(page: &TiffPage) -> u64 {
    const DIRECTORY_BYTES: u64 = 4096;
    const PER_TILE_BYTES: u64 = 16;
    let text = page.description.as_ref().map_or(0, |d| d.len() as u64);
    DIRECTORY_BYTES + text + page.tiles().area().saturating_mul(PER_TILE_BYTES)
}

/// A file that is laid out.
pub(super) struct LaidOut {
    pub is_big: bool,
    /// What is written before any tile: places and bytes.
    pub blocks: Vec<(u64, Vec<u8>)>,
    /// For each page where its tables lie.
    pub tables: Vec<Tables>,
    /// Where tiles begin.
    pub tiles_at: u64,
}

/// Where a page's tables of tiles lie in the file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tables {
    pub offsets_at: u64,
    pub byte_counts_at: u64,
}

/// The two kinds of TIFF.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Classic,
    Big,
}

impl Kind {
    fn header_bytes(self) -> u64 {
        match self {
            Self::Classic => 8,
            Self::Big => 16,
        }
    }

    fn offset_bytes(self) -> u64 {
        match self {
            Self::Classic => 4,
            Self::Big => 8,
        }
    }

    fn entry_bytes(self) -> u64 {
        match self {
            Self::Classic => 12,
            Self::Big => 20,
        }
    }

    fn offset(self, value: u64) -> Vec<u8> {
        match self {
            // A classic file is one whose offsets fit, by its worst size.
            Self::Classic => (value as u32).to_ne_bytes().to_vec(),
            Self::Big => value.to_ne_bytes().to_vec(),
        }
    }

    fn header(self, first: u64) -> Vec<u8> {
        let mut bytes = if cfg!(target_endian = "big") { b"MM".to_vec() } else { b"II".to_vec() };
        match self {
            Self::Classic => bytes.extend(42_u16.to_ne_bytes()),
            Self::Big => {
                bytes.extend(43_u16.to_ne_bytes());
                bytes.extend(8_u16.to_ne_bytes());
                bytes.extend(0_u16.to_ne_bytes());
            }
        }
        bytes.extend(self.offset(first));
        bytes
    }
}

/// The types of values that are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ValueType {
    Ascii = 2,
    Short = 3,
    Long = 4,
    Rational = 5,
    Undefined = 7,
    Long8 = 16,
}

impl ValueType {
    fn bytes(self) -> u64 {
        match self {
            Self::Ascii | Self::Undefined => 1,
            Self::Short => 2,
            Self::Long => 4,
            Self::Rational | Self::Long8 => 8,
        }
    }
}

/// What stands in an entry.
enum Value {
    Bytes(Vec<u8>),
    /// Numbers that are filled in as tiles come.
    Later,
}

struct Entry {
    tag: u16,
    kind: ValueType,
    count: u64,
    value: Value,
    /// Where the value lies in the file.
    at: u64,
}

impl Entry {
    fn bytes(&self) -> u64 {
        self.count * self.kind.bytes()
    }
}

/// One directory.
struct Directory {
    entries: Vec<Entry>,
    at: u64,
}

/// TIFF's numbers for its tags.
mod tag {
    pub const NEW_SUBFILE_TYPE: u16 = 254;
    pub const IMAGE_WIDTH: u16 = 256;
    pub const IMAGE_LENGTH: u16 = 257;
    pub const BITS_PER_SAMPLE: u16 = 258;
    pub const COMPRESSION: u16 = 259;
    pub const PHOTOMETRIC: u16 = 262;
    pub const DESCRIPTION: u16 = 270;
    pub const SAMPLES_PER_PIXEL: u16 = 277;
    pub const X_RESOLUTION: u16 = 282;
    pub const Y_RESOLUTION: u16 = 283;
    pub const PLANAR_CONFIGURATION: u16 = 284;
    pub const RESOLUTION_UNIT: u16 = 296;
    pub const PREDICTOR: u16 = 317;
    pub const TILE_WIDTH: u16 = 322;
    pub const TILE_LENGTH: u16 = 323;
    pub const TILE_OFFSETS: u16 = 324;
    pub const TILE_BYTE_COUNTS: u16 = 325;
    pub const SUB_IFDS: u16 = 330;
    pub const EXTRA_SAMPLES: u16 = 338;
    pub const SAMPLE_FORMAT: u16 = 339;
    pub const JPEG_TABLES: u16 = 347;
    pub const YCBCR_SUBSAMPLING: u16 = 530;
}

impl Directory {
    fn of(planned: &PlannedPage, levels: usize, kind: Kind, path: &Path) -> Result<Self> {
        let page = &planned.page;
        let PixelLayout { kind: sample_kind, bits, samples } = page.layout;
        let jpeg = matches!(page.compression, TileCompression::Jpeg { .. });
        let tiles = page.tiles().area();
        let photometric = match samples {
            1 | 2 => BLACK_IS_ZERO,
            _ if jpeg => YCBCR,
            _ => RGB,
        };
        let sample_format: u16 = match sample_kind {
            SampleKind::Unsigned => 1,
            SampleKind::Signed => 2,
            SampleKind::Float => 3,
        };
        let each_sample = |value: u16| vec![value; usize::from(samples)];
        let mut new = Self { entries: Vec::new(), at: 0 };
        new.longs(tag::NEW_SUBFILE_TYPE, &[u32::from(planned.parent.is_some())]);
        new.longs(tag::IMAGE_WIDTH, &[page.size.width]);
        new.longs(tag::IMAGE_LENGTH, &[page.size.height]);
        new.shorts(tag::BITS_PER_SAMPLE, &each_sample(bits));
        new.shorts(tag::COMPRESSION, &[page.compression.method()]);
        new.shorts(tag::PHOTOMETRIC, &[photometric]);
        if let Some(text) = &page.description {
            let mut bytes = text.clone().into_bytes();
            bytes.push(0);
            new.push(tag::DESCRIPTION, ValueType::Ascii, bytes.len() as u64, Value::Bytes(bytes));
        }
        new.shorts(tag::SAMPLES_PER_PIXEL, &[samples]);
        if let Some(um_per_px) = page.um_per_px {
            for (tag, um) in [tag::X_RESOLUTION, tag::Y_RESOLUTION].into_iter().zip(um_per_px) {
                let (n, d) = per_cm(um);
                let bytes = [n.to_ne_bytes(), d.to_ne_bytes()].concat();
                new.push(tag, ValueType::Rational, 1, Value::Bytes(bytes));
            }
            new.shorts(tag::RESOLUTION_UNIT, &[CENTIMETRE]);
        }
        new.shorts(tag::PLANAR_CONFIGURATION, &[CHUNKY]);
        if page.compression.uses_differences(page.layout) {
            new.shorts(tag::PREDICTOR, &[HORIZONTAL]);
        }
        new.longs(tag::TILE_WIDTH, &[page.tile_side]);
        new.longs(tag::TILE_LENGTH, &[page.tile_side]);
        let offset = if kind == Kind::Big { ValueType::Long8 } else { ValueType::Long };
        new.push(tag::TILE_OFFSETS, offset, tiles, Value::Later);
        new.push(tag::TILE_BYTE_COUNTS, ValueType::Long, tiles, Value::Later);
        if levels > 0 {
            let none = vec![0; levels * offset.bytes() as usize];
            new.push(tag::SUB_IFDS, offset, levels as u64, Value::Bytes(none));
        }
        if samples.is_multiple_of(2) {
            new.shorts(tag::EXTRA_SAMPLES, &[UNASSOCIATED_ALPHA]);
        }
        new.shorts(tag::SAMPLE_FORMAT, &each_sample(sample_format));
        if let Some(tables) = TileEncoder::jpeg_tables(page.compression, page.layout, page.tile_side, path)? {
            new.push(tag::JPEG_TABLES, ValueType::Undefined, tables.len() as u64, Value::Bytes(tables));
        }
        if photometric == YCBCR {
            let factor = page.compression.chroma_step();
            new.shorts(tag::YCBCR_SUBSAMPLING, &[factor, factor]);
        }
        new.entries.sort_by_key(|entry| entry.tag);
        Ok(new)
    }

    fn push(&mut self, tag: u16, kind: ValueType, count: u64, value: Value) {
        self.entries.push(Entry { tag, kind, count, value, at: 0 });
    }

    fn shorts(&mut self, tag: u16, values: &[u16]) {
        let bytes = values.iter().flat_map(|v| v.to_ne_bytes()).collect();
        self.push(tag, ValueType::Short, values.len() as u64, Value::Bytes(bytes));
    }

    fn longs(&mut self, tag: u16, values: &[u32]) {
        let bytes = values.iter().flat_map(|v| v.to_ne_bytes()).collect();
        self.push(tag, ValueType::Long, values.len() as u64, Value::Bytes(bytes));
    }

    fn set_levels(&mut self, levels: &[u64], kind: Kind) {
        for entry in self.entries.iter_mut().filter(|entry| entry.tag == tag::SUB_IFDS) {
            entry.value = Value::Bytes(levels.iter().flat_map(|&at| kind.offset(at)).collect());
        }
    }

    fn count_bytes(kind: Kind) -> u64 {
        match kind {
            Kind::Classic => 2,
            Kind::Big => 8,
        }
    }

    /// Places the directory and what its entries point at from `at` on; returns what comes after.
    fn place(&mut self, at: u64, kind: Kind) -> u64 {
        self.at = at.next_multiple_of(8);
        let entries_at = self.at + Self::count_bytes(kind);
        let mut free = entries_at + self.entries.len() as u64 * kind.entry_bytes() + kind.offset_bytes();
        for (index, entry) in self.entries.iter_mut().enumerate() {
            if entry.bytes() <= kind.offset_bytes() {
                entry.at = entries_at + (index as u64 + 1) * kind.entry_bytes() - kind.offset_bytes();
            } else {
                entry.at = free.next_multiple_of(8);
                free = entry.at + entry.bytes();
            }
        }
        free
    }

    /// The bytes of the directory and of what it points at, with their places.
    fn blocks(&self, next: u64, kind: Kind) -> Vec<(u64, Vec<u8>)> {
        let count = self.entries.len();
        let mut bytes = match kind {
            Kind::Classic => (count as u16).to_ne_bytes().to_vec(),
            Kind::Big => (count as u64).to_ne_bytes().to_vec(),
        };
        let mut blocks = Vec::new();
        for entry in &self.entries {
            bytes.extend(entry.tag.to_ne_bytes());
            bytes.extend((entry.kind as u16).to_ne_bytes());
            bytes.extend(kind.offset(entry.count));
            let inline = entry.bytes() <= kind.offset_bytes();
            let mut value = match &entry.value {
                Value::Bytes(value) if inline => value.clone(),
                Value::Later if inline => Vec::new(),
                Value::Bytes(value) => {
                    blocks.push((entry.at, value.clone()));
                    kind.offset(entry.at)
                }
                Value::Later => kind.offset(entry.at),
            };
            value.resize(kind.offset_bytes() as usize, 0);
            bytes.extend(value);
        }
        bytes.extend(kind.offset(next));
        blocks.push((self.at, bytes));
        blocks
    }

    fn tables(&self) -> Tables {
        let at = |tag: u16| self.entries.iter().find(|entry| entry.tag == tag).map_or(0, |entry| entry.at);
        Tables { offsets_at: at(tag::TILE_OFFSETS), byte_counts_at: at(tag::TILE_BYTE_COUNTS) }
    }
}

/// Photometric interpretations.
const BLACK_IS_ZERO: u16 = 1;
const RGB: u16 = 2;
const YCBCR: u16 = 6;

/// Samples of a pixel lie side by side.
const CHUNKY: u16 = 1;

/// Samples are differences from the pixel to their left.
const HORIZONTAL: u16 = 2;

/// Resolutions are pixels a centimetre.
const CENTIMETRE: u16 = 3;

/// The last sample of a pixel is its opacity, and colours are not multiplied by it.
const UNASSOCIATED_ALPHA: u16 = 2;

/// Pixels a centimetre, as a fraction that is good to one in ten thousand down to a kilometre a pixel.
fn per_cm(um_per_px: f64) -> (u32, u32) {
    let pixels = 10_000.0 / um_per_px;
    let d = if pixels < 4_000.0 { 1_000_000 } else { 1_000 };
    ((pixels * f64::from(d)).round().clamp(1.0, f64::from(u32::MAX)) as u32, d)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pixels::TileFormat;

    fn page(side: u32, compression: TileCompression) -> TiffPage {
        TiffPage {
            size: Size::new(side, side),
            tile_side: 256,
            layout: PixelLayout::of(TileFormat::Gray8),
            compression,
            um_per_px: None,
            description: None,
        }
    }

    #[test]
    fn a_file_is_a_big_tiff_only_where_it_may_pass_four_gib() {
        let is_big = |side: u32, compression| {
            let mut plan = TiffPlan::default();
            plan.add_page(page(side, compression));
            plan.is_big()
        };
        assert!(!is_big(65_280, TileCompression::None), "4.26e9 bytes of pixels fit");
        assert!(is_big(65_536, TileCompression::None));
        assert!(is_big(65_280, TileCompression::Lzw), "noise grows under LZW");
    }

    #[test]
    fn resolutions_keep_four_digits_from_nanometres_to_centimetres_a_pixel() {
        for um_per_px in [0.05, 0.2527, 0.5, 1.3, 40.0, 10_000.0] {
            let (n, d) = per_cm(um_per_px);
            let back = 10_000.0 * f64::from(d) / f64::from(n);
            assert!((back / um_per_px - 1.0).abs() < 1e-4, "{um_per_px} became {back}");
        }
    }
}
