//! JPEG pieces of a TIFF file, and JPEG files: the colour question, the memory question, and the decoder.

use super::decode::{Chunk, ChunkError, contained, read_compressed};
use super::document::Document;
use super::page::Photometric;
use crate::formats::blocks::{Block, BlockTarget};
use crate::formats::source_file::RegionReader;
use crate::geom::PixelRect;
use crate::pixels::SampleType;
use crate::pyramid::MAX_HEAP_CHUNK_BYTES;
use std::io::Read;
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::{ZByteReaderTrait, ZCursor};
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

/// A JPEG whose coefficients must all be held at once (progressive, or a scan for each colour) may have this many
/// pixels.
pub const MAX_BUFFERED_PX: u64 = 64 << 20;

/// The header of a JPEG is looked for in this many bytes: profiles and thumbnails can take a few segments of 64 KiB.
pub const MAX_HEAD_BYTES: u64 = 1 << 20;

/// The frame header of a piece of a TIFF file stands within this many bytes.
const MAX_PROBE_BYTES: u64 = 4096;

/// What a JPEG stream says before its first scan.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JpegHead {
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// Bits of a sample.
    pub precision: u8,
    /// Number and sampling factors of each component.
    pub components: Vec<(u8, u8, u8)>,
    /// All coefficients are needed before the first pixel.
    pub buffered: bool,
    /// The colour transform of an Adobe segment.
    pub adobe: Option<u8>,
    /// A JFIF segment stands at the front.
    pub jfif: bool,
}

impl JpegHead {
    /// Whether some component is sampled more coarsely than another.
    fn is_subsampled(&self) -> bool {
        self.components.iter().any(|c| (c.1, c.2) != (self.components[0].1, self.components[0].2))
    }

    /// Whether the three components are luma and chroma, for a page that calls itself RGB: files of Aperio keep plain
    /// RGB there without saying so.
    fn is_ycbcr_in_rgb_page(&self) -> bool {
        self.adobe == Some(1) || (self.adobe.is_none() && self.jfif) || self.is_subsampled()
    }
}

/// What is said of the kinds of JPEG that no page of can be shown.
pub const NOT_READ: &str = "this kind of JPEG (lossless or arithmetic) is not read";

/// Reads the segments before the first scan.
pub fn read_head(bytes: &[u8]) -> Result<JpegHead, String> {
    const CUT: &str = "the JPEG header ends early";
    if !bytes.starts_with(&[0xff, 0xd8]) {
        return Err("this is not JPEG data".into());
    }
    let mut head = JpegHead::default();
    let mut at = 2;
    loop {
        while *bytes.get(at).ok_or(CUT)? != 0xff {
            at += 1;
        }
        while *bytes.get(at).ok_or(CUT)? == 0xff {
            at += 1;
        }
        let marker = bytes[at];
        at += 1;
        if matches!(marker, 0 | 1 | 0xd0..=0xd8) {
            continue;
        }
        let len = usize::from(u16::from_be_bytes([*bytes.get(at).ok_or(CUT)?, *bytes.get(at + 1).ok_or(CUT)?]));
        let segment = bytes.get(at + 2..at + len.max(2)).ok_or(CUT)?;
        at += len.max(2);
        match (marker, segment) {
            (0xc0..=0xc2, &[precision, h1, h0, w1, w0, count, ref rest @ ..]) => {
                head.precision = precision;
                head.height = u32::from(u16::from_be_bytes([h1, h0]));
                head.width = u32::from(u16::from_be_bytes([w1, w0]));
                head.buffered = marker == 0xc2;
                head.components =
                    rest.chunks_exact(3).take(count.into()).map(|c| (c[0], c[1] >> 4, c[1] & 15)).collect();
            }
            (0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf, _) => {
                return Err(NOT_READ.into());
            }
            (0xe0, [b'J', b'F', b'I', b'F', 0, ..]) => head.jfif = true,
            (0xee, [b'A', b'd', b'o', b'b', b'e', _, _, _, _, _, _, transform, ..]) => head.adobe = Some(*transform),
            (0xda, &[in_scan, ..]) => {
                if head.components.is_empty() || head.width == 0 || head.height == 0 {
                    return Err("the JPEG data does not say how large it is".into());
                }
                head.buffered |= usize::from(in_scan) < head.components.len();
                return Ok(head);
            }
            (0xd9, _) => return Err(CUT.into()),
            _ => {}
        }
    }
}

/// Whether the first chunk of a page is of a kind that is not read: then no chunk of it can be shown.
pub fn is_not_read(document: &Document, page: u32) -> bool {
    let Ok(chunk) = document.chunk(page, 0, 0, 0) else { return false };
    let mut start = Vec::new();
    let region = RegionReader::new(chunk.files, chunk.file, &[], chunk.offset, chunk.len);
    // A chunk that cannot be read is reported when it is drawn.
    region.take(MAX_PROBE_BYTES).read_to_end(&mut start).is_ok() && read_head(&start).is_err_and(|e| e == NOT_READ)
}

/// Decodes a chunk: into a tile where one lies exactly under it, onto the heap while it is small, else into scratch.
pub fn decode(
    chunk: &Chunk<'_>,
    target: &mut dyn BlockTarget,
    raw: &mut Vec<u8>,
    pixels: &mut Vec<u8>,
) -> Result<(), ChunkError> {
    let layout = chunk.layout;
    // The tables without their end marker come first, then the data without its start marker.
    let tables = match layout.jpeg_tables.as_slice() {
        [start @ .., 0xff, 0xd9] if start.len() >= 2 => start,
        tables if tables.len() >= 2 => tables,
        _ => &[],
    };
    let skipped = if tables.is_empty() { 0 } else { 2 };
    let at_most = u64::from(chunk.rect.width) * u64::from(layout.chunk.height) * layout.samples as u64;
    if chunk.len < 4 {
        return Err(ChunkError::Damaged("the JPEG data is missing".into()));
    }
    if chunk.len + at_most <= MAX_HEAP_CHUNK_BYTES {
        let before = tables.len().saturating_sub(skipped);
        read_compressed(chunk, raw, before)?;
        if !tables.is_empty() {
            if raw[before..before + 2] != [0xff, 0xd8] {
                return Err(ChunkError::Damaged("this is not JPEG data".into()));
            }
            raw[..tables.len()].copy_from_slice(tables);
        }
        let head = read_head(raw).map_err(ChunkError::Damaged)?;
        let wanted = check(chunk, &head)?;
        let bytes = u64::from(head.width) * u64::from(head.height) * head.components.len() as u64;
        if bytes <= MAX_HEAP_CHUNK_BYTES {
            let exact = (head.width, head.height) == (chunk.rect.width, chunk.rect.height);
            if exact && let Some(memory) = target.direct(chunk.rect, layout.chunk_samples(), SampleType::U8)? {
                return decode_into(ZCursor::new(raw.as_slice()), &head, wanted, memory);
            }
            pixels.resize(bytes as usize, 0);
            decode_into(ZCursor::new(raw.as_slice()), &head, wanted, pixels)?;
            return put(chunk, &head, pixels, target);
        }
    }
    let region = || {
        RegionReader::new(chunk.files, chunk.file, tables, chunk.offset + skipped as u64, chunk.len - skipped as u64)
    };
    let mut start = Vec::new();
    region()
        .take(MAX_HEAD_BYTES)
        .read_to_end(&mut start)
        .map_err(|e| ChunkError::Damaged(format!("cannot read: {e}")))?;
    let head = read_head(&start).map_err(ChunkError::Damaged)?;
    drop(start);
    let wanted = check(chunk, &head)?;
    let bytes = u64::from(head.width) * u64::from(head.height) * head.components.len() as u64;
    let mut damage = None;
    target.with_scratch(bytes, &mut |memory, target| {
        let decoded = decode_into(region(), &head, wanted, memory).and_then(|()| put(chunk, &head, memory, target));
        match decoded {
            Err(ChunkError::Stop(error)) => Err(error),
            Err(ChunkError::Damaged(reason) | ChunkError::Cut(_, reason)) => {
                damage = Some(reason);
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    })?;
    damage.map_or(Ok(()), |reason| Err(ChunkError::Damaged(reason)))
}

/// What is to become of the components.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colors {
    /// They are handed over as they are.
    AsStored,
    /// Luma and chroma become red, green and blue.
    FromYCbCr,
}

/// What a JPEG file's components are, by the rules of JFIF and Adobe.
pub fn colors_of_file(head: &JpegHead) -> Colors {
    let is_rgb = head.adobe == Some(0)
        || (head.adobe.is_none() && !head.jfif && head.components.iter().map(|c| c.0).eq(*b"RGB"));
    if head.components.len() == 3 && !is_rgb { Colors::FromYCbCr } else { Colors::AsStored }
}

fn check(chunk: &Chunk<'_>, head: &JpegHead) -> Result<Colors, ChunkError> {
    let damaged = |reason: String| Err(ChunkError::Damaged(reason));
    let layout = chunk.layout;
    if head.components.len() != layout.chunk_samples() {
        return damaged(format!(
            "the JPEG data has {} colours where {} belong",
            head.components.len(),
            layout.chunk_samples()
        ));
    }
    if head.precision != 8 {
        return damaged(format!("JPEG data of {} bits is not read", head.precision));
    }
    let (width, height) = (layout.chunk.width.max(chunk.rect.width), layout.chunk.height.max(chunk.rect.height));
    let fits = head.width >= chunk.rect.width && head.height >= chunk.rect.height;
    // Encoders may round up to whole blocks of at most 32 pixels.
    if !fits || head.width > width.saturating_add(32) || head.height > height.saturating_add(32) {
        return damaged(format!(
            "the JPEG data is {} x {} pixels instead of {width} x {height}",
            head.width, head.height
        ));
    }
    if head.buffered && u64::from(head.width) * u64::from(head.height) > MAX_BUFFERED_PX {
        return damaged("progressive JPEG of more than 64 megapixels is not read, save it as baseline JPEG".into());
    }
    let convert = head.components.len() == 3
        && match layout.photometric {
            Photometric::YCbCr => true,
            Photometric::Rgb => head.is_ycbcr_in_rgb_page(),
            _ => false,
        };
    Ok(if convert { Colors::FromYCbCr } else { Colors::AsStored })
}

/// Decodes to the front of `out`, which holds at least the pixels that `head` announces.
pub fn decode_into(
    input: impl ZByteReaderTrait,
    head: &JpegHead,
    colors: Colors,
    out: &mut [u8],
) -> Result<(), ChunkError> {
    let bytes = head.width as usize * head.height as usize * head.components.len();
    let out = out.get_mut(..bytes).ok_or_else(|| ChunkError::Damaged("the JPEG data is too large".into()))?;
    contained(|| {
        let options = DecoderOptions::new_fast()
            .set_max_width(head.width as usize)
            .set_max_height(head.height as usize)
            .set_strict_mode(true)
            .jpeg_set_out_colorspace(if head.components.len() == 1 { ColorSpace::Luma } else { ColorSpace::RGB });
        let words = |e: zune_jpeg::errors::DecodeErrors| format!("the JPEG data is damaged: {e}");
        let mut decoder = JpegDecoder::new_with_options(input, options);
        decoder.decode_headers().map_err(words)?;
        let stored = decoder.input_colorspace().unwrap_or(ColorSpace::Unknown);
        // What the decoder takes the components for decides whether it converts; asking for the same leaves them alone.
        let converts = colors == Colors::FromYCbCr && stored == ColorSpace::YCbCr;
        if head.components.len() > 1 && !converts {
            decoder.set_options(decoder.options().jpeg_set_out_colorspace(stored));
        }
        if decoder.output_buffer_size() != Some(bytes) {
            return Err("the JPEG data contradicts itself".into());
        }
        decoder.decode_into(out).map_err(words)?;
        if colors == Colors::FromYCbCr && !converts {
            out.chunks_exact_mut(3).for_each(ycbcr_to_rgb);
        }
        Ok(())
    })
}

/// One pixel by the formula of JFIF.
fn ycbcr_to_rgb(px: &mut [u8]) {
    let (y, cb, cr) = (f32::from(px[0]), f32::from(px[1]) - 128.0, f32::from(px[2]) - 128.0);
    px[0] = (y + 1.402 * cr).round() as u8;
    px[1] = (y - 0.344_136 * cb - 0.714_136 * cr).round() as u8;
    px[2] = (y + 1.772 * cb).round() as u8;
}

fn put(chunk: &Chunk<'_>, head: &JpegHead, pixels: &[u8], target: &mut dyn BlockTarget) -> Result<(), ChunkError> {
    let row_bytes = head.width as usize * head.components.len();
    Ok(target.put(&Block {
        rect: PixelRect::new(chunk.rect.x, chunk.rect.y, chunk.rect.width, chunk.rect.height),
        first_sample: chunk.first_sample,
        samples: head.components.len(),
        kind: SampleType::U8,
        row_bytes,
        bytes: pixels,
    })?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head_of(segments: &[&[u8]]) -> Result<JpegHead, String> {
        read_head(&[&[0xff, 0xd8][..], &segments.concat()].concat())
    }

    const SOF_444: &[u8] = &[0xff, 0xc0, 0, 17, 8, 0, 16, 0, 24, 3, 0, 0x11, 0, 1, 0x11, 0, 2, 0x11, 0];
    const SOF_420: &[u8] = &[0xff, 0xc0, 0, 17, 8, 0, 16, 0, 24, 3, 1, 0x22, 0, 2, 0x11, 0, 3, 0x11, 0];
    const ADOBE_YCBCR: &[u8] = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x01";
    const SOS: &[u8] = &[0xff, 0xda, 0, 12, 3, 0, 0, 1, 0, 2, 0, 0, 63, 0];

    #[test]
    fn an_rgb_page_keeps_its_components_unless_the_data_says_otherwise() {
        let plain = head_of(&[SOF_444, SOS]).expect("a header");
        assert_eq!((plain.width, plain.height, plain.components.len()), (24, 16, 3));
        assert!(!plain.is_ycbcr_in_rgb_page() && !plain.buffered);
        assert!(head_of(&[SOF_420, SOS]).expect("a header").is_ycbcr_in_rgb_page());
        assert!(head_of(&[ADOBE_YCBCR, SOF_444, SOS]).expect("a header").is_ycbcr_in_rgb_page());
    }

    #[test]
    fn a_header_that_is_cut_anywhere_is_an_error_value() {
        let whole = [&[0xff, 0xd8][..], ADOBE_YCBCR, SOF_444, SOS].concat();
        assert!(read_head(&whole).is_ok());
        for len in 0..whole.len() {
            assert!(read_head(&whole[..len]).is_err());
        }
    }
}
