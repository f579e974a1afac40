//! What one directory says about its pixels, checked, and in our words.

use super::ifd::{Dialect, Ifd, Reason, Table, TagReader};
use crate::geom::Size;
use crate::pixels::SampleType;
use crate::pyramid::MAX_HEAP_CHUNK_BYTES;

/// Samples of one pixel; spectral images have some hundred.
const MAX_SAMPLES: u64 = 1024;

/// Sides of an image; 2^26 pixels of glass at 0.1 um would be seven metres.
const MAX_IMAGE_SIDE: u64 = 1 << 26;

/// Sides of a tile of the file; the largest seen in the wild are 4096.
const MAX_CHUNK_SIDE: u64 = 1 << 16;

/// Bytes of shared JPEG tables: four of each kind fit in far less.
const MAX_JPEG_TABLES_BYTES: u64 = 64 << 10;

/// The tags that are read.
pub mod tag {
    pub const NEW_SUBFILE_TYPE: u16 = 254;
    pub const SUBFILE_TYPE: u16 = 255;
    pub const WIDTH: u16 = 256;
    pub const HEIGHT: u16 = 257;
    pub const BITS: u16 = 258;
    pub const COMPRESSION: u16 = 259;
    pub const PHOTOMETRIC: u16 = 262;
    pub const FILL_ORDER: u16 = 266;
    pub const DESCRIPTION: u16 = 270;
    pub const MAKE: u16 = 271;
    pub const MODEL: u16 = 272;
    pub const STRIP_OFFSETS: u16 = 273;
    pub const ORIENTATION: u16 = 274;
    pub const SAMPLES: u16 = 277;
    pub const ROWS_PER_STRIP: u16 = 278;
    pub const STRIP_COUNTS: u16 = 279;
    pub const X_RESOLUTION: u16 = 282;
    pub const Y_RESOLUTION: u16 = 283;
    pub const PLANAR: u16 = 284;
    pub const PAGE_NAME: u16 = 285;
    pub const RESOLUTION_UNIT: u16 = 296;
    pub const SOFTWARE: u16 = 305;
    pub const DATE_TIME: u16 = 306;
    pub const ARTIST: u16 = 315;
    pub const PREDICTOR: u16 = 317;
    pub const COLOR_MAP: u16 = 320;
    pub const TILE_WIDTH: u16 = 322;
    pub const TILE_HEIGHT: u16 = 323;
    pub const TILE_OFFSETS: u16 = 324;
    pub const TILE_COUNTS: u16 = 325;
    pub const SUB_IFDS: u16 = 330;
    pub const EXTRA_SAMPLES: u16 = 338;
    pub const SAMPLE_FORMAT: u16 = 339;
    pub const JPEG_TABLES: u16 = 347;
    pub const COPYRIGHT: u16 = 33432;
    pub const IMAGEJ_COUNTS: u16 = 50838;
    pub const IMAGEJ_DATA: u16 = 50839;
    pub const MICRO_MANAGER: u16 = 51123;
    pub const NDPI_FORMAT: u16 = 65420;
    pub const IMAGE_DEPTH: u16 = 32997;
}

/// How chunks are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Compression {
    None,
    Lzw,
    Deflate,
    PackBits,
    Zstd,
    Jpeg,
    WebP,
}

/// What is done to rows before they are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Predictor {
    None,
    Horizontal,
    Float,
}

/// How samples become colours, of those that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Photometric {
    WhiteIsZero,
    BlackIsZero,
    Rgb,
    Palette,
    YCbCr,
}

/// What the samples after the first one or three are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Extra {
    Unspecified,
    AssociatedAlpha,
    Alpha,
}

/// What page of a file this is for (NewSubfileType).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Purpose {
    /// A smaller version of another page.
    pub reduced: bool,
    /// A mask of another page.
    pub mask: bool,
    /// The raw number: Aperio writes 9 for a macro image.
    pub raw: u64,
}

/// The layout of a page's pixels. Pages of a stack share one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PageLayout {
    pub dialect: Dialect,
    pub size: Size,
    /// Size of a chunk; strips are as wide as the page.
    pub chunk: Size,
    pub tiled: bool,
    /// Each sample in chunks of its own.
    pub planar: bool,
    pub samples: usize,
    /// Bits of a sample as it is packed in the file.
    pub bits: u32,
    pub sample: SampleType,
    pub photometric: Photometric,
    pub compression: Compression,
    pub predictor: Predictor,
    /// The bits of every byte are reversed (FillOrder 2).
    pub reversed_bits: bool,
    pub extra: Vec<Extra>,
    pub palette: Option<Vec<[u8; 3]>>,
    pub jpeg_tables: Vec<u8>,
    pub orientation: u64,
    pub purpose: Purpose,
}

impl PageLayout {
    /// Chunks across and down.
    pub fn chunks(&self) -> (u32, u32) {
        (self.size.width.div_ceil(self.chunk.width), self.size.height.div_ceil(self.chunk.height))
    }

    /// Samples that a pixel of one chunk interleaves.
    pub fn chunk_samples(&self) -> usize {
        if self.planar { 1 } else { self.samples }
    }

    /// Chunks in all.
    pub fn chunk_count(&self) -> u64 {
        let (across, down) = self.chunks();
        u64::from(across) * u64::from(down) * if self.planar { self.samples as u64 } else { 1 }
    }

    /// Bytes of a chunk's row as it is in the file, uncompressed.
    pub fn packed_row_bytes(&self) -> usize {
        (self.chunk.width as usize * self.chunk_samples() * self.bits as usize).div_ceil(8)
    }

    /// Bytes of a chunk's row once its samples are whole bytes.
    pub fn row_bytes(&self) -> usize {
        self.chunk.width as usize * self.chunk_samples() * self.sample.bytes()
    }

    /// Whether the samples are already whole bytes in the file.
    pub fn is_whole_bytes(&self) -> bool {
        self.bits as usize == self.sample.bytes() * 8
    }
}

/// Reads a page's layout and where its chunks are.
pub fn parse(reader: TagReader<'_>, ifd: &Ifd) -> Result<(PageLayout, Table, Option<Table>), Reason> {
    let one = |tag: u16, default: u64| match ifd.get(tag) {
        Some(table) if table.count > 0 => reader.integer(table, 0),
        _ => Ok(default),
    };
    let required = |tag: u16, what: &str| {
        let table = ifd.get(tag).filter(|t| t.count > 0).ok_or_else(|| format!("the file does not say {what}"))?;
        reader.integer(table, 0)
    };
    if one(tag::IMAGE_DEPTH, 1)? > 1 {
        return Err("volumes within one TIFF page are not read".into());
    }
    let size = (required(tag::WIDTH, "how wide it is")?, required(tag::HEIGHT, "how high it is")?);
    if size.0 == 0 || size.1 == 0 {
        return Err("the image has no pixels".into());
    }
    if size.0 > MAX_IMAGE_SIDE || size.1 > MAX_IMAGE_SIDE {
        return Err(format!("{} x {} pixels are more than {MAX_IMAGE_SIDE} along a side", size.0, size.1));
    }
    let size = Size::new(size.0 as u32, size.1 as u32);
    let compression = compression(one(tag::COMPRESSION, 1)?)?;
    let samples = one(tag::SAMPLES, 1)?;
    if samples == 0 || samples > MAX_SAMPLES {
        return Err(format!("{samples} samples a pixel; 1 to {MAX_SAMPLES} are read"));
    }
    let bits = uniform(reader, ifd.get(tag::BITS), 1, "samples of different depths are not read")?;
    let format = uniform(reader, ifd.get(tag::SAMPLE_FORMAT), 1, "samples of different types are not read")?;
    let sample = sample_type(bits, format)?;
    let photometric = photometric(reader, ifd, samples)?;
    let planar = samples > 1 && one(tag::PLANAR, 1)? == 2;
    if photometric == Photometric::YCbCr && (compression != Compression::Jpeg || samples != 3 || planar) {
        return Err("YCbCr colours without JPEG compression are not read".into());
    }
    let tile = (one(tag::TILE_WIDTH, 0)?, one(tag::TILE_HEIGHT, 0)?);
    let tiled = tile != (0, 0);
    let chunk = if tiled {
        if tile.0 == 0 || tile.1 == 0 || tile.0 > MAX_CHUNK_SIDE || tile.1 > MAX_CHUNK_SIDE {
            return Err(format!("tiles of {} x {} pixels cannot be read", tile.0, tile.1));
        }
        Size::new(tile.0 as u32, tile.1 as u32)
    } else {
        let rows = one(tag::ROWS_PER_STRIP, u64::from(size.height))?;
        let rows = if rows == 0 { u64::from(size.height) } else { rows.min(u64::from(size.height)) };
        Size::new(size.width, rows as u32)
    };
    let predictor = match (one(tag::PREDICTOR, 1)?, compression) {
        (_, Compression::Jpeg | Compression::WebP) => Predictor::None,
        (0 | 1, _) => Predictor::None,
        // Few writers set it without compressing; tifffile undoes it there too.
        (2, _) => Predictor::Horizontal,
        (3, _) if matches!(sample, SampleType::F16 | SampleType::F32 | SampleType::F64) => Predictor::Float,
        (other, _) => return Err(format!("TIFF predictor {other} is not read")),
    };
    let purpose = one(tag::NEW_SUBFILE_TYPE, 0)?;
    let layout = PageLayout {
        dialect: reader.dialect,
        size,
        chunk,
        tiled,
        planar,
        samples: samples as usize,
        bits: bits as u32,
        sample,
        photometric,
        compression,
        predictor,
        reversed_bits: one(tag::FILL_ORDER, 1)? == 2 && compression != Compression::Jpeg,
        extra: extra_samples(reader, ifd, samples, photometric)?,
        palette: if photometric == Photometric::Palette { Some(palette(reader, ifd, bits)?) } else { None },
        jpeg_tables: match ifd.get(tag::JPEG_TABLES) {
            Some(table) if compression == Compression::Jpeg => reader.bytes(table, MAX_JPEG_TABLES_BYTES)?,
            _ => Vec::new(),
        },
        orientation: one(tag::ORIENTATION, 1)?,
        purpose: Purpose {
            reduced: purpose & 1 != 0 || one(tag::SUBFILE_TYPE, 1)? == 2,
            mask: purpose & 4 != 0,
            raw: purpose,
        },
    };
    check_layout(&layout)?;
    let (offsets, counts) =
        if tiled { (tag::TILE_OFFSETS, tag::TILE_COUNTS) } else { (tag::STRIP_OFFSETS, tag::STRIP_COUNTS) };
    // Some writers put tile positions under the strips' tags, and the other way round.
    let offsets = [offsets, tag::STRIP_OFFSETS, tag::TILE_OFFSETS].into_iter().find_map(|t| ifd.get(t));
    let counts = [counts, tag::STRIP_COUNTS, tag::TILE_COUNTS].into_iter().find_map(|t| ifd.get(t));
    let offsets = offsets.ok_or("the file does not say where its pixels are")?;
    if offsets.count < layout.chunk_count() {
        return Err(format!(
            "the file has {} of the {} pieces that the image is made of",
            offsets.count,
            layout.chunk_count()
        ));
    }
    for table in [Some(offsets), counts].into_iter().flatten().filter(|t| t.count > 0) {
        // The last value exists, so all of them lie within the file.
        reader.integer(table, table.count - 1)?;
    }
    // Lengths are of use only where every chunk has one.
    let chunks = layout.chunk_count();
    Ok((layout, offsets, counts.filter(|t| t.count >= chunks)))
}

fn check_layout(layout: &PageLayout) -> Result<(), Reason> {
    if layout.packed_row_bytes().max(layout.row_bytes()) as u64 > MAX_HEAP_CHUNK_BYTES {
        return Err(format!("rows of more than {} MiB are not read", MAX_HEAP_CHUNK_BYTES >> 20));
    }
    let eight_bits = layout.sample == SampleType::U8 && layout.bits == 8;
    match layout.compression {
        Compression::Jpeg if !eight_bits => Err(format!("JPEG with {}-bit samples is not read", layout.bits)),
        Compression::Jpeg if !matches!(layout.chunk_samples(), 1 | 3) => {
            Err(format!("JPEG with {} samples a pixel is not read", layout.chunk_samples()))
        }
        Compression::WebP if !eight_bits || !matches!(layout.chunk_samples(), 3 | 4) => {
            Err("WebP that is not 8-bit RGB is not read".into())
        }
        _ => Ok(()),
    }
}

fn compression(number: u64) -> Result<Compression, Reason> {
    Ok(match number {
        0 | 1 => Compression::None,
        5 => Compression::Lzw,
        7 => Compression::Jpeg,
        8 | 32946 => Compression::Deflate,
        32773 => Compression::PackBits,
        50000 => Compression::Zstd,
        50001 => Compression::WebP,
        other => {
            let name = match other {
                2 | 3 | 4 | 32771 => "fax",
                6 => "old-style JPEG",
                9 | 10 => "JBIG",
                99 | 34892 => "lossless or lossy DNG JPEG",
                32809 => "ThunderScan",
                34676 | 34677 => "SGI LogLuv",
                33003 | 33004 | 33005 | 34712 => "JPEG 2000",
                34887 => "LERC",
                34925 => "LZMA",
                34934 | 22610 => "JPEG XR",
                50002 | 52546 => "JPEG XL",
                _ => return Err(format!("TIFF compression {other} is not read")),
            };
            return Err(format!("{name} compression (TIFF {other}) is not read"));
        }
    })
}

fn photometric(reader: TagReader<'_>, ifd: &Ifd, samples: u64) -> Result<Photometric, Reason> {
    let Some(table) = ifd.get(tag::PHOTOMETRIC).filter(|t| t.count > 0) else {
        return Ok(Photometric::BlackIsZero);
    };
    Ok(match reader.integer(table, 0)? {
        0 => Photometric::WhiteIsZero,
        // Transparency masks are gray pictures of one bit.
        1 | 4 => Photometric::BlackIsZero,
        2 if samples >= 3 => Photometric::Rgb,
        2 => return Err(format!("RGB with {samples} samples a pixel")),
        3 => Photometric::Palette,
        6 => Photometric::YCbCr,
        5 => return Err("CMYK colours are not read".into()),
        8..=10 => return Err("CIE L*a*b* colours are not read".into()),
        32803 | 34892 => return Err("raw camera pixels are not read".into()),
        32844 | 32845 => return Err("SGI LogLuv colours are not read".into()),
        other => return Err(format!("TIFF colours of kind {other} are not read")),
    })
}

fn sample_type(bits: u64, format: u64) -> Result<SampleType, Reason> {
    Ok(match (format, bits) {
        // Void samples (4) are taken as whole numbers, as other readers do.
        (0 | 1 | 4, 1..=8) => SampleType::U8,
        (0 | 1 | 4, 9..=16) => SampleType::U16,
        (0 | 1 | 4, 17..=32) => SampleType::U32,
        (2, 8) => SampleType::I8,
        (2, 16) => SampleType::I16,
        (2, 32) => SampleType::I32,
        (3, 16) => SampleType::F16,
        (3, 32) => SampleType::F32,
        (3, 64) => SampleType::F64,
        (5 | 6, _) => return Err("complex numbers are not read".into()),
        (3, _) => return Err(format!("{bits}-bit floating point samples are not read")),
        (2, _) => return Err(format!("{bits}-bit signed samples are not read")),
        _ => return Err(format!("{bits}-bit samples are not read")),
    })
}

/// The one value that all entries of a table have.
fn uniform(reader: TagReader<'_>, table: Option<Table>, default: u64, otherwise: &str) -> Result<u64, Reason> {
    let Some(table) = table.filter(|t| t.count > 0) else { return Ok(default) };
    let values = reader.integers(table, MAX_SAMPLES)?;
    if values.iter().any(|v| *v != values[0]) {
        return Err(otherwise.into());
    }
    Ok(values[0])
}

fn extra_samples(
    reader: TagReader<'_>,
    ifd: &Ifd,
    samples: u64,
    photometric: Photometric,
) -> Result<Vec<Extra>, Reason> {
    let color_samples = match photometric {
        Photometric::Rgb | Photometric::YCbCr => 3,
        _ => 1,
    };
    let declared = match ifd.get(tag::EXTRA_SAMPLES) {
        Some(table) => reader.integers(table, MAX_SAMPLES)?,
        None => Vec::new(),
    };
    Ok((color_samples..samples)
        .map(|i| match declared.get((i - color_samples) as usize) {
            Some(1) => Extra::AssociatedAlpha,
            Some(2) => Extra::Alpha,
            _ => Extra::Unspecified,
        })
        .collect())
}

fn palette(reader: TagReader<'_>, ifd: &Ifd, bits: u64) -> Result<Vec<[u8; 3]>, Reason> {
    let table = ifd.get(tag::COLOR_MAP).ok_or("a palette image without its palette")?;
    if bits > 16 {
        return Err(format!("palettes of {bits} bits are not read"));
    }
    let count = 1usize << bits;
    let values = reader.integers(table, 3 << 16)?;
    if values.len() < 3 * count {
        return Err("the palette is too short".into());
    }
    // Old writers put 8-bit colours in the 16-bit fields.
    let shift = if values.iter().all(|&v| v < 256) { 0 } else { 8 };
    Ok((0..count).map(|i| [0, 1, 2].map(|c| (values[c * count + i] >> shift) as u8)).collect())
}
