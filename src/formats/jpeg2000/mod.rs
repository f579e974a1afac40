//! JPEG 2000 pictures: JP2 and JPX files, and bare codestreams. The whole file is one chunk.
//!
//! The decoder holds the whole picture as floats on the heap, so the size is checked from the header before it starts,
//! and large pictures are decoded one at a time.

mod header;

use self::header::{Header, MAX_BITS, read_header};
use super::Opened;
use super::blocks::{BAND_BYTES, Block, BlockTarget, ChannelTap, PixelTarget, PlaneTap, TileTarget};
use super::chunks::DEFAULT_TILE_SIDE;
use super::source_file::FileSet;
use super::tiff::{ChunkError, contained};
use crate::error::{Error, Result};
use crate::geom::{PixelRect, Size};
use crate::pixels::{PixelType, SampleType, TileFormat, ValueCoding};
use crate::pyramid::{
    AssociatedInfo, Calibration, Cancel, ChannelInfo, ChannelRole, FillUnit, ImageInfo, MAX_HEAP_CHUNK_BYTES, PlaneId,
    Source, TileKey, UnitSink, level_plan,
};
use hayro_jpeg2000::{DecodeSettings, DecoderContext, Image};
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::Arc;

/// Pixels that a picture may have: the decoder works on the whole of it.
const MAX_HELD_PX: u64 = 64 << 20;

/// Memory that the decoder may need for a picture, in bytes: with it the program stays below 1 GiB.
const MAX_DECODER_BYTES: u64 = 832 << 20;

/// Bytes at a file's beginning that must hold everything up to the first tile: boxes, palette, colour profile.
const MAX_HEAD_BYTES: u64 = 4 << 20;

/// Held while a picture is decoded that is too large for the heap budget of a worker, so that two such never add up.
static LARGE_PICTURE: Mutex<()> = Mutex::new(());

const SETTINGS: DecodeSettings =
    DecodeSettings { resolve_palette_indices: true, strict: false, target_resolution: None };

/// One JPEG 2000 file.
struct Jpeg2000Source {
    files: FileSet,
    header: Header,
    taps: Vec<ChannelTap>,
    info: [ImageInfo; 1],
}

/// Whether a file that begins like this is a JPEG 2000 file or codestream.
pub fn detect(head: &[u8], _path: &Path) -> bool {
    head.starts_with(b"\0\0\0\x0cjP  ") || head.starts_with(&[0xff, 0x4f, 0xff, 0x51])
}

/// Opens a picture: reads its header.
pub fn open(path: &Path) -> Result<Opened> {
    let mut files = FileSet::default();
    files.add(path)?;
    let mut head = vec![0; files.len(0).min(MAX_HEAD_BYTES) as usize];
    files.read_exact_at(0, 0, &mut head).map_err(|e| Error::io("cannot read", e, path))?;
    let header = contained(|| read_header(&head, files.len(0))).map_err(|e| match e {
        ChunkError::Damaged(reason) | ChunkError::Cut(_, reason) => Error::unsupported(reason, path),
        ChunkError::Stop(error) => error,
    })?;
    let source = Jpeg2000Source::new(files, header, path)?;
    Ok(Opened { format: "JPEG 2000".into(), source: Arc::new(source), metadata: BTreeMap::new(), warnings: Vec::new() })
}

impl Jpeg2000Source {
    fn new(files: FileSet, header: Header, path: &Path) -> Result<Self> {
        let Size { width, height } = header.size;
        if header.size.is_empty() {
            return Err(Error::format("the picture has no pixels", path));
        }
        if header.size.area() > MAX_HELD_PX {
            let what =
                format!("{width} x {height} pixels are more than the 64 megapixels a JPEG 2000 picture may have");
            return Err(Error::too_large(what, path));
        }
        if header.decoder_bytes > MAX_DECODER_BYTES {
            let what = format!(
                "decoding these {width} x {height} pixels takes {} MiB of memory, more than the {} MiB that are allowed, \
                 save the picture as a tiled TIFF",
                header.decoder_bytes >> 20,
                MAX_DECODER_BYTES >> 20
            );
            return Err(Error::too_large(what, path));
        }
        let (pixel_type, channels, taps) = channels(&header);
        let info = ImageInfo {
            name: path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default(),
            size: header.size,
            pixel_type,
            channels,
            z_count: 1,
            t_count: 1,
            um_per_px: None,
            calibration: Calibration::Unknown,
            objective: None,
            tile_side: DEFAULT_TILE_SIDE,
            levels: level_plan(&[header.size], DEFAULT_TILE_SIDE),
        };
        Ok(Self { files, header, taps, info: [info] })
    }

    fn path(&self) -> &Path {
        self.files.path(0)
    }

    /// Decodes the picture; why it cannot be, where it is damaged.
    fn decode(&self, target: &mut dyn BlockTarget) -> Result<Option<String>> {
        let _alone = (self.header.decoder_bytes > MAX_HEAP_CHUNK_BYTES).then(|| LARGE_PICTURE.lock());
        let mut stream = vec![0; self.files.len(0) as usize];
        let read = self.files.read_exact_at(0, 0, &mut stream).map_err(|e| format!("cannot read: {e}"));
        let decoded = read.map_err(ChunkError::Damaged).and_then(|()| {
            if self.header.block_bytes(&stream) > MAX_DECODER_BYTES {
                return Err(ChunkError::Damaged("the JPEG 2000 data is cut into too many small blocks".into()));
            }
            let image = contained(|| Image::new(&stream, &SETTINGS).map_err(words))?;
            if (image.width(), image.height()) != (self.header.size.width, self.header.size.height) {
                return Err(ChunkError::Damaged("the picture contradicts its header".into()));
            }
            let mut context = DecoderContext::default();
            let decoded = contained(|| image.decode(&mut context).map_err(words))?;
            let planes: Vec<_> = decoded.components().iter().map(|c| (c.samples(), c.bit_depth())).collect();
            self.put(&planes, target)
        });
        match decoded {
            Ok(()) => Ok(None),
            Err(ChunkError::Damaged(reason) | ChunkError::Cut(_, reason)) => Ok(Some(reason)),
            Err(ChunkError::Stop(error)) => Err(error),
        }
    }

    /// Hands the planes over as interleaved rows.
    fn put(&self, planes: &[(&[f32], u8)], target: &mut dyn BlockTarget) -> std::result::Result<(), ChunkError> {
        let Size { width, height } = self.header.size;
        let (samples, kind) = (self.header.samples(), self.header.kind());
        let px = width as usize * height as usize;
        let fits = |&(plane, bits): &(&[f32], u8)| plane.len() == px && (1..=MAX_BITS).contains(&bits);
        if planes.len() < samples || !planes.iter().take(samples).all(fits) {
            return Err(ChunkError::Damaged("the picture contradicts its header".into()));
        }
        let row_bytes = width as usize * samples * kind.bytes();
        let band_rows = (BAND_BYTES / row_bytes).max(1) as u32;
        let mut band = Vec::new();
        for y in (0..height).step_by(band_rows as usize) {
            let rows = band_rows.min(height - y);
            let of_band = y as usize * width as usize..(y + rows) as usize * width as usize;
            band.clear();
            band.resize(row_bytes * rows as usize, 0);
            for (sample, &(plane, bits)) in planes.iter().take(samples).enumerate() {
                let values = Values::new(bits, self.header.bits_of(sample));
                values.put(&plane[of_band.clone()], &mut band, sample, samples, kind);
            }
            let rect = PixelRect::new(0, y, width, rows);
            target.put(&Block { rect, first_sample: 0, samples, kind, row_bytes, bytes: &band })?;
        }
        Ok(())
    }
}

fn words(error: impl std::fmt::Display) -> String {
    format!("the JPEG 2000 data is damaged: {error}")
}

/// From decoded floats to stored samples.
#[derive(Debug, Clone, Copy)]
struct Values {
    full: f32,
    scale: f32,
}

impl Values {
    fn new(bits: u8, stored_bits: u8) -> Self {
        let full = |bits: u8| ((1u32 << bits) - 1) as f32;
        Self { full: full(bits), scale: if bits == stored_bits { 1.0 } else { full(stored_bits) / full(bits) } }
    }

    fn stored(self, value: f32) -> u16 {
        // Half a step more and the cut at the integer round what is not negative.
        let value = (value.clamp(0.0, self.full) + 0.5).floor();
        (value * self.scale + 0.5) as u16
    }

    /// Writes every value into sample `sample` of the pixels of `out`.
    fn put(self, values: &[f32], out: &mut [u8], sample: usize, samples: usize, kind: SampleType) {
        let bytes = kind.bytes();
        for (px, &value) in out.chunks_exact_mut(samples * bytes).zip(values) {
            let stored = self.stored(value);
            match kind {
                SampleType::U16 => px[sample * 2..sample * 2 + 2].copy_from_slice(&stored.to_ne_bytes()),
                _ => px[sample] = stored as u8,
            }
        }
    }
}

fn channels(header: &Header) -> (PixelType, Vec<ChannelInfo>, Vec<ChannelTap>) {
    let format = header.kind().tile_format();
    let significant_bits = (!matches!(header.bits, 8 | 16)).then_some(header.bits);
    let gray = |name: &str, color| ChannelInfo {
        name: name.into(),
        color,
        format,
        role: ChannelRole::Intensity,
        significant_bits,
    };
    let (pixel_type, mut channels, mut taps) = match (header.colors, header.kind()) {
        (3, SampleType::U8) => (
            PixelType::Rgb8,
            vec![ChannelInfo { format: TileFormat::Rgb8, ..gray("RGB", None) }],
            vec![ChannelTap::Rgb(0)],
        ),
        (3, _) => (
            PixelType::Rgb16,
            [("Red", [255, 0, 0]), ("Green", [0, 255, 0]), ("Blue", [0, 0, 255])]
                .map(|(name, color)| gray(name, Some(color)))
                .to_vec(),
            vec![ChannelTap::Gray(0), ChannelTap::Gray(1), ChannelTap::Gray(2)],
        ),
        (_, kind) => (kind.pixel_type(), vec![gray("Gray", None)], vec![ChannelTap::Gray(0)]),
    };
    if header.alpha {
        channels.push(ChannelInfo { role: ChannelRole::Coverage, significant_bits: None, ..gray("Alpha", None) });
        taps.push(ChannelTap::Gray(header.colors));
    }
    (pixel_type, channels, taps)
}

impl Source for Jpeg2000Source {
    fn images(&self) -> &[ImageInfo] {
        &self.info
    }

    fn coding(&self, _plane: PlaneId) -> Result<ValueCoding> {
        Ok(ValueCoding::IDENTITY)
    }

    fn unit_of(&self, key: TileKey) -> FillUnit {
        let tiles = self.info[0].tiles(0);
        let planes = (0..self.taps.len() as u16).map(|channel| PlaneId { channel, ..key.plane }).collect();
        FillUnit { planes, level: 0, first: (0, 0), count: (tiles.width, tiles.height) }
    }

    fn read_unit(&self, unit: &FillUnit, sink: &mut dyn UnitSink, cancel: &Cancel) -> Result<()> {
        let planes: Vec<PlaneTap<'_>> = unit
            .planes
            .iter()
            .map(|&plane| PlaneTap { plane, tap: &self.taps[plane.channel as usize], coding: ValueCoding::IDENTITY })
            .collect();
        let mut failed = HashSet::new();
        let mut target = TileTarget { sink, image: &self.info[0], unit, planes: &planes, failed: &mut failed, cancel };
        if let Some(reason) = self.decode(&mut target)? {
            target.fail(self.header.size.rect(), 0..self.header.samples(), &reason);
        }
        Ok(())
    }

    fn sample(&self, plane: PlaneId, x: u32, y: u32) -> Result<Vec<f64>> {
        let samples = match self.taps[plane.channel as usize] {
            ChannelTap::Rgb(first) => first..first + 3,
            ChannelTap::Gray(sample) | ChannelTap::Palette(sample, _) => sample..sample + 1,
        };
        let mut target = PixelTarget { at: (x, y), samples: samples.clone(), values: vec![None; samples.len()] };
        let damage = self.decode(&mut target)?;
        match (target.values.into_iter().collect::<Option<Vec<f64>>>(), damage) {
            (Some(values), _) => Ok(values),
            (None, reason) => {
                Err(Error::format(reason.unwrap_or_else(|| "there is no such pixel".into()), self.path()))
            }
        }
    }

    fn fingerprint(&self) -> Vec<u8> {
        self.files.fingerprint()
    }

    fn check_unchanged(&self) -> Result<()> {
        self.files.check_unchanged()
    }

    fn associated(&self) -> &[AssociatedInfo] {
        &[]
    }

    fn read_associated(&self, _index: usize) -> Result<Vec<u8>> {
        Err(Error::format("there is no such associated picture", self.path()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A codestream's beginning: one tile, components of 8 bits.
    fn stream(width: u32, height: u32, components: u8) -> Vec<u8> {
        let mut bytes = vec![0xff, 0x4f, 0xff, 0x51, 0, 38 + 3 * components, 0, 0];
        for word in [width, height, 0, 0, width, height, 0, 0] {
            bytes.extend_from_slice(&word.to_be_bytes());
        }
        bytes.extend_from_slice(&[0, components]);
        (0..components).for_each(|_| bytes.extend_from_slice(&[7, 1, 1]));
        // COD: no layers' extras, one decomposition of the reversible kind; QCD: one step for each of its four bands.
        bytes.extend_from_slice(&[0xff, 0x52, 0, 12, 0, 0, 0, 1, 0, 1, 4, 4, 0, 1]);
        bytes.extend_from_slice(&[0xff, 0x5c, 0, 7, 0x40, 64, 72, 72, 80]);
        // The first tile-part, and no data.
        bytes.extend_from_slice(&[0xff, 0x90, 0, 10, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0x93, 0xff, 0xd9]);
        bytes
    }

    fn opened(bytes: &[u8]) -> Result<Opened> {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("picture.j2k");
        std::fs::write(&path, bytes).expect("written");
        open(&path)
    }

    #[test]
    fn a_picture_larger_than_memory_allows_is_refused_by_its_header() {
        let words = opened(&stream(9_000, 8_000, 1)).expect_err("72 megapixels").to_string();
        assert!(words.contains("64 megapixels"), "{words}");
        let words = opened(&stream(8_000, 8_000, 3)).expect_err("1.5 GiB of floats").to_string();
        assert!(words.contains("MiB of memory"), "{words}");
        assert!(opened(&stream(5_000, 5_000, 3)).is_ok());
    }

    #[test]
    fn a_picture_of_countless_tiles_or_blocks_is_refused_by_its_header() {
        let mut tiles = stream(8_000, 8_000, 1);
        tiles[24..32].copy_from_slice(&[0, 0, 0, 1, 0, 0, 0, 1]);
        let words = opened(&tiles).expect_err("64 million tiles").to_string();
        assert!(words.contains("64000000 tiles"), "{words}");
        // Precincts of one sample, in a style that comes anywhere in the file.
        let mut blocks = stream(3_000, 3_000, 1);
        assert!(opened(&blocks).is_ok());
        blocks.extend_from_slice(&[0xff, 0x52, 0, 14, 1, 0, 0, 1, 0, 1, 4, 4, 0, 1, 0x11, 0x11]);
        let words = opened(&blocks).expect_err("9 million blocks").to_string();
        assert!(words.contains("MiB of memory"), "{words}");
        let of_component = [0xff, 0x53, 0, 11, 0, 1, 1, 4, 4, 0, 1, 0x11, 0x11];
        blocks.truncate(blocks.len() - 16);
        blocks.extend_from_slice(&of_component);
        assert!(opened(&blocks).is_err());
    }

    #[test]
    fn values_are_rounded_and_spread_over_the_stored_bits() {
        assert_eq!([-3.0, 254.4, 254.6, 400.0].map(|v| Values::new(8, 8).stored(v)), [0, 254, 255, 255]);
        assert_eq!([0.0, 1.0].map(|v| Values::new(1, 8).stored(v)), [0, 255]);
        assert_eq!(Values::new(12, 12).stored(4095.0), 4095);
        assert_eq!(Values::new(16, 16).stored(65_535.0), 65_535);
    }
}
