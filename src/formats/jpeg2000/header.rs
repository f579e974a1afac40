//! What a JPEG 2000 file says before its pixels, and what decoding it will take.
//!
//! The decoder reads the same header; it does not tell of components, tiles and code blocks, which decide how much
//! memory it needs.

use super::SETTINGS;
use crate::geom::Size;
use crate::pixels::SampleType;
use hayro_jpeg2000::{ColorSpace, Image};

/// Tiles of a codestream: their numbers are 16 bits wide.
const MAX_TILES: u64 = 65_535;

/// What the decoder keeps of a component of a tile, in bytes: style, quantisation, precincts of up to 33 resolutions.
const TILE_COMPONENT_BYTES: u64 = 1024;

/// What the decoder keeps of a code block with the precinct and the tag trees that it may have to itself, in bytes.
const BLOCK_BYTES: u64 = 512;

/// The same for each of its quality layers.
const LAYER_BYTES: u64 = 48;

/// Quality layers that the decoder takes.
const MAX_LAYERS: u64 = 32;

/// Bits of a sample that are stored without loss.
pub const MAX_BITS: u8 = 16;

/// What the file says before its first tile.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Header {
    /// The picture's size.
    pub size: Size,
    /// 1 or 3 colour samples.
    pub colors: usize,
    /// Whether another sample says how much of a pixel is there.
    pub alpha: bool,
    /// Bits of a decoded colour sample.
    pub bits: u8,
    /// Memory that the decoder needs for samples and tiles, in bytes.
    pub decoder_bytes: u64,
    /// Samples of a tile, all components together.
    tile_samples: u64,
    /// Components of the codestream.
    components: usize,
}

/// What the decoder does not tell of a codestream before it decodes it: the fields of its SIZ marker.
#[derive(Debug, Clone, PartialEq)]
struct Codestream {
    /// Pixels of the reference grid that a tile has at most.
    tile_px: u64,
    /// Tiles that the reference grid is divided into.
    tiles: u64,
    /// Bits and sign of each component.
    components: Vec<(u8, bool)>,
}

/// Reads a file's beginning; why it is not read, in words.
pub fn read_header(head: &[u8], file_bytes: u64) -> std::result::Result<Header, String> {
    let image = Image::new(head, &SETTINGS).map_err(|e| format!("the JPEG 2000 header is damaged: {e}"))?;
    let codestream = read_codestream(head).ok_or("the JPEG 2000 header has no image size")?;
    let size = Size::new(image.width(), image.height());
    let alpha = image.has_alpha();
    let colors = colors_of(image.color_space())?;
    if codestream.components.iter().any(|&(_, signed)| signed) {
        return Err("JPEG 2000 with signed samples is not read".into());
    }
    let palette = palette_bits(head);
    let bits = match &palette {
        Some(columns) => columns.iter().copied().max(),
        None => codestream.components.iter().take(colors).map(|c| c.0).max(),
    };
    let bits = bits.filter(|bits| (1..=MAX_BITS).contains(bits)).ok_or("JPEG 2000 of more than 16 bits is not read")?;
    let bits = if colors == 3 { bits.max(8) } else { bits };
    // All components as floats, twice while colours are looked up or put in order, then the largest tile's
    // coefficients, their transform and its result.
    let planes = codestream.components.len().max(colors + usize::from(alpha)) as u64;
    let copies = if palette.is_some() || child_box(head, b"cdef").is_some() { 2 } else { 1 };
    let tile_px = codestream.tile_px.min(size.area());
    let float_px = size.area().saturating_mul(planes * copies).saturating_add(tile_px * 3);
    if codestream.tiles > MAX_TILES {
        return Err(format!("{} tiles are more than a JPEG 2000 picture may have", codestream.tiles));
    }
    let components = codestream.components.len();
    let tile_bytes = codestream.tiles * components as u64 * TILE_COMPONENT_BYTES;
    let mut header = Header { size, colors, alpha, bits, decoder_bytes: 0, tile_samples: tile_px * planes, components };
    header.decoder_bytes = float_px.saturating_mul(4).saturating_add(tile_bytes).saturating_add(file_bytes);
    header.decoder_bytes = header.decoder_bytes.saturating_add(header.block_bytes(head));
    Ok(header)
}

fn colors_of(space: &ColorSpace) -> std::result::Result<usize, String> {
    let refused = |what: &str| Err(format!("JPEG 2000 with {what} colours is not read, save it as RGB"));
    match space {
        ColorSpace::Gray => Ok(1),
        ColorSpace::RGB => Ok(3),
        ColorSpace::CMYK => refused("CMYK"),
        ColorSpace::Unknown { num_channels } => refused(&format!("{num_channels} unnamed")),
        ColorSpace::Icc { profile, num_channels } => match (profile.get(16..20), num_channels) {
            (Some(b"GRAY"), 1) => Ok(1),
            (Some(b"RGB "), 3) => Ok(3),
            (Some(name), _) => refused(String::from_utf8_lossy(name).trim()),
            (None, _) => refused("damaged"),
        },
    }
}

/// The boxes that follow each other in `data`: type and content. A box that claims more than there is ends with it, as
/// the decoder has it.
fn boxes(mut data: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    std::iter::from_fn(move || {
        let (&claimed, rest) = data.split_first_chunk::<4>()?;
        let (&kind, rest) = rest.split_first_chunk::<4>()?;
        let (len, rest) = match u32::from_be_bytes(claimed) {
            0 => (rest.len() as u64, rest),
            1 => {
                let (&long, rest) = rest.split_first_chunk::<8>()?;
                (u64::from_be_bytes(long).checked_sub(16)?, rest)
            }
            len => (u64::from(len).checked_sub(8)?, rest),
        };
        let (content, after) = rest.split_at(len.min(rest.len() as u64) as usize);
        data = after;
        Some((kind, content))
    })
}

fn top_box<'a>(head: &'a [u8], kind: &[u8; 4]) -> Option<&'a [u8]> {
    boxes(head).filter(|(k, _)| k == kind).last().map(|(_, content)| content)
}

/// A box of the JP2 header.
fn child_box<'a>(head: &'a [u8], kind: &[u8; 4]) -> Option<&'a [u8]> {
    if head.starts_with(&[0xff, 0x4f]) {
        return None;
    }
    boxes(top_box(head, b"jp2h")?).find(|(k, _)| k == kind).map(|(_, content)| content)
}

/// Bits of each column of the palette, if there is one.
fn palette_bits(head: &[u8]) -> Option<Vec<u8>> {
    let palette = child_box(head, b"pclr")?;
    let columns = usize::from(*palette.get(2)?);
    Some(palette.get(3..3 + columns)?.iter().map(|descriptor| (descriptor & 0x7f) + 1).collect())
}

fn read_codestream(head: &[u8]) -> Option<Codestream> {
    let stream = if head.starts_with(&[0xff, 0x4f]) { head } else { top_box(head, b"jp2c")? };
    // Start of codestream, SIZ, its length and capabilities.
    let siz = stream.strip_prefix(&[0xff, 0x4f, 0xff, 0x51])?.get(4..)?;
    let word = |index: usize| Some(u32::from_be_bytes(siz.get(index * 4..index * 4 + 4)?.try_into().ok()?));
    let tile_px = u64::from(word(4)?) * u64::from(word(5)?);
    let across =
        |axis: usize| Some(u64::from(word(axis)?.checked_sub(word(axis + 6)?)?.div_ceil(word(axis + 4)?.max(1))));
    let tiles = across(0)? * across(1)?;
    let count = usize::from(u16::from_be_bytes(siz.get(32..34)?.try_into().ok()?));
    let components = siz.get(34..34 + count * 3)?.chunks_exact(3).map(|c| ((c[0] & 0x7f) + 1, c[0] & 0x80 != 0));
    Some(Codestream { tile_px, tiles, components: components.collect() })
}

/// How a component's samples are cut into code blocks, as a COD or COC marker segment has it.
struct BlockStyle<'a> {
    levels: u32,
    /// Exponents of a block's sides.
    block: [u32; 2],
    /// Sides of the precincts of each resolution, coarsest first, as pairs of exponents; empty where they are not given.
    precincts: &'a [u8],
}

impl<'a> BlockStyle<'a> {
    /// Reads what follows the marker of a default style (with `layers`), or of one component's.
    fn read(segment: &'a [u8], components: usize, is_default: bool) -> Option<Self> {
        let (flags, rest) = match is_default {
            true => {
                let layers = u16::from_be_bytes([*segment.get(4)?, *segment.get(5)?]);
                let plausible = *segment.get(3)? <= 4 && (1..=MAX_LAYERS).contains(&u64::from(layers));
                plausible.then_some((*segment.get(2)?, segment.get(7..)?))?
            }
            false => {
                let plausible = usize::from(*segment.get(2)?) < components;
                plausible.then_some((*segment.get(3)?, segment.get(4..)?))?
            }
        };
        let &[levels, width, height, _, transform, ref rest @ ..] = rest else { return None };
        if levels > 32 || width > 8 || height > 8 || width + height > 8 || transform > 1 {
            return None;
        }
        let precincts = if flags & 1 == 1 { rest.get(..usize::from(levels) + 1)? } else { &[] };
        Some(Self { levels: levels.into(), block: [u32::from(width) + 2, u32::from(height) + 2], precincts })
    }

    /// Code blocks that so many samples of a tile are cut into, no fewer than the decoder makes.
    fn blocks(&self, samples: u64) -> u64 {
        let of_resolution = |resolution: u32| {
            let sides = self.precincts.get(resolution as usize).map_or([15, 15], |&p| [p & 15, p >> 4]);
            // A precinct lies over four bands, each of half its side.
            let side = |axis: usize| self.block[axis].min(u32::from(sides[axis]).saturating_sub(1));
            let left = samples.checked_shr(2 * (self.levels - resolution)).unwrap_or(0);
            (left >> (side(0) + side(1))) + 4
        };
        (0..=self.levels).map(of_resolution).sum()
    }
}

impl Header {
    /// Memory for the code blocks of a tile, in bytes, for the finest division that `stream` speaks of anywhere. Tiles
    /// may have styles of their own, so all of it is looked through; what merely looks like a style is next to never one
    /// of tiny blocks.
    pub fn block_bytes(&self, stream: &[u8]) -> u64 {
        let marked = stream.iter().enumerate().filter(|&(_, &byte)| byte == 0xff);
        let styles = marked.filter_map(|(at, _)| match stream.get(at + 1)? {
            0x52 => BlockStyle::read(&stream[at + 2..], self.components, true),
            0x53 => BlockStyle::read(&stream[at + 2..], self.components, false),
            _ => None,
        });
        let blocks = styles.map(|style| style.blocks(self.tile_samples)).max().unwrap_or(0);
        blocks.saturating_mul(BLOCK_BYTES + MAX_LAYERS * LAYER_BYTES)
    }

    /// What a stored sample is.
    pub fn kind(&self) -> SampleType {
        if self.bits > 8 { SampleType::U16 } else { SampleType::U8 }
    }

    /// Samples that a pixel interleaves once it is decoded.
    pub fn samples(&self) -> usize {
        self.colors + usize::from(self.alpha)
    }

    /// Bits that the values of a sample are spread over: what is there of a pixel is stored in the full range.
    pub fn bits_of(&self, sample: usize) -> u8 {
        if sample < self.colors { self.bits } else { self.kind().bytes() as u8 * 8 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_box_that_claims_more_than_the_file_holds_ends_with_it() {
        let found: Vec<_> = boxes(b"\0\0\0\x0aabcd12\0\0\x10\0efgh3").collect();
        assert_eq!(found, [(*b"abcd", &b"12"[..]), (*b"efgh", &b"3"[..])]);
        assert_eq!(boxes(b"\0\0\0\x02abcd12").count(), 0);
    }
}
