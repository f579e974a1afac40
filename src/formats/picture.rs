//! Ordinary pictures: PNG, JPEG, BMP, WebP. The whole file is one chunk.
//!
//! PNG is streamed by rows; the others are decoded on the heap while they are small, else into mapped scratch.

use super::Opened;
use super::blocks::{BAND_BYTES, Block, BlockTarget, ChannelTap, PixelTarget, PlaneTap, TileTarget};
use super::chunks::DEFAULT_TILE_SIDE;
use super::source_file::{FileSet, RegionReader};
use super::tiff::jpeg::{self, Colors, JpegHead};
use super::tiff::{ChunkError, contained};
use crate::error::{Error, Result};
use crate::geom::{PixelRect, Size};
use crate::pixels::{PixelType, SampleType, TileFormat, ValueCoding, swap_bytes};
use crate::pyramid::{
    AssociatedInfo, Calibration, Cancel, ChannelInfo, ChannelRole, FillUnit, ImageInfo, MAX_HEAP_CHUNK_BYTES, PlaneId,
    Source, TileKey, UnitSink, level_plan,
};
use image::codecs::{bmp::BmpDecoder, webp::WebPDecoder};
use image::{ColorType, ImageDecoder};
use std::collections::{BTreeMap, HashSet};
use std::io::{Cursor, Read};
use std::path::Path;
use std::sync::Arc;

/// Pixels of one picture. A file may claim far more than it holds, and each pixel takes room in the cache.
const MAX_PICTURE_PX: u64 = 1 << 32;

/// WebP and interlaced PNG, which are held whole while they are decoded, may have this many pixels.
const MAX_HELD_PX: u64 = jpeg::MAX_BUFFERED_PX;

/// Memory that a PNG's own decoder may take, rows and side information together, in bytes.
const MAX_PNG_BYTES: usize = 32 << 20;

/// How the file is decoded.
#[derive(Debug, Clone, PartialEq)]
enum Codec {
    Png { interlaced: bool },
    Jpeg(JpegHead, Colors),
    Bmp,
    WebP,
}

/// One picture file.
struct PictureSource {
    files: FileSet,
    codec: Codec,
    /// Samples that a pixel interleaves once it is decoded.
    samples: usize,
    kind: SampleType,
    taps: Vec<ChannelTap>,
    info: [ImageInfo; 1],
}

/// Whether a file that begins like this is a PNG file.
pub fn detect_png(head: &[u8], _path: &Path) -> bool {
    head.starts_with(b"\x89PNG\r\n\x1a\n")
}

/// Whether a file that begins like this is a JPEG file.
pub fn detect_jpeg(head: &[u8], _path: &Path) -> bool {
    head.starts_with(&[0xff, 0xd8, 0xff])
}

/// Whether a file that begins like this is a BMP file.
pub fn detect_bmp(head: &[u8], _path: &Path) -> bool {
    // The four reserved bytes are zero in every real one; two letters alone are a text.
    head.starts_with(b"BM") && head.get(6..10) == Some(&[0; 4])
}

/// Whether a file that begins like this is a WebP file.
pub fn detect_webp(head: &[u8], _path: &Path) -> bool {
    head.starts_with(b"RIFF") && head.get(8..12) == Some(b"WEBP")
}

/// Opens a picture: reads its header.
pub fn open(path: &Path) -> Result<Opened> {
    let mut files = FileSet::default();
    files.add(path)?;
    let mut head = [0; 16];
    let len = files.len(0).min(16) as usize;
    files.read_small(0, 0, &mut head[..len]).map_err(|e| Error::io("cannot read", e, path))?;
    let (format, opened) = if detect_png(&head, path) {
        ("PNG", open_png(&files))
    } else if detect_jpeg(&head, path) {
        ("JPEG", open_jpeg(&files))
    } else if detect_webp(&head, path) {
        (
            "WebP",
            open_with(&files, Codec::WebP, |input| {
                let decoder = WebPDecoder::new(input)?;
                Ok((decoder.dimensions(), decoder.color_type()))
            }),
        )
    } else {
        (
            "BMP",
            open_with(&files, Codec::Bmp, |input| {
                let decoder = BmpDecoder::new(input)?;
                Ok((decoder.dimensions(), decoder.color_type()))
            }),
        )
    };
    let header = opened.map_err(|e| match e {
        ChunkError::Damaged(reason) | ChunkError::Cut(_, reason) => Error::unsupported(reason, path),
        ChunkError::Stop(error) => error,
    })?;
    let source = PictureSource::new(files, header, path)?;
    Ok(Opened { format: format.into(), source: Arc::new(source), metadata: BTreeMap::new(), warnings: Vec::new() })
}

/// What a header says.
struct Header {
    codec: Codec,
    size: Size,
    /// 1 or 3 colour samples.
    colors: usize,
    alpha: bool,
    kind: SampleType,
    significant_bits: Option<u8>,
}

fn whole_file(files: &FileSet) -> RegionReader<'_> {
    RegionReader::new(files, 0, &[], 0, files.len(0))
}

fn damaged(reason: impl ToString) -> ChunkError {
    ChunkError::Damaged(reason.to_string())
}

fn png_decoder(files: &FileSet) -> png::Decoder<RegionReader<'_>> {
    let mut decoder = png::Decoder::new_with_limits(whole_file(files), png::Limits { bytes: MAX_PNG_BYTES });
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    // Palettes become colours, and one, two or four bits become eight.
    decoder.set_transformations(png::Transformations::EXPAND);
    decoder
}

fn open_png(files: &FileSet) -> std::result::Result<Header, ChunkError> {
    contained(|| {
        let reader = png_decoder(files).read_info().map_err(|e| format!("the PNG header is damaged: {e}"))?;
        let info = reader.info();
        let (color, depth) = reader.output_color_type();
        let (colors, alpha) = match color {
            png::ColorType::Grayscale => (1, false),
            png::ColorType::GrayscaleAlpha => (1, true),
            png::ColorType::Rgb => (3, false),
            png::ColorType::Rgba => (3, true),
            png::ColorType::Indexed => return Err("this PNG palette is not read".into()),
        };
        Ok(Header {
            codec: Codec::Png { interlaced: info.interlaced },
            size: Size::new(info.width, info.height),
            colors,
            alpha,
            kind: if depth == png::BitDepth::Sixteen { SampleType::U16 } else { SampleType::U8 },
            significant_bits: None,
        })
    })
}

fn open_jpeg(files: &FileSet) -> std::result::Result<Header, ChunkError> {
    let mut start = Vec::new();
    whole_file(files).take(jpeg::MAX_HEAD_BYTES).read_to_end(&mut start).map_err(damaged)?;
    let head = jpeg::read_head(&start).map_err(damaged)?;
    if head.precision != 8 {
        return Err(damaged(format!("JPEG of {} bits is not read", head.precision)));
    }
    if !matches!(head.components.len(), 1 | 3) {
        return Err(damaged("JPEG with CMYK colours is not read, save it as RGB"));
    }
    if head.buffered && u64::from(head.width) * u64::from(head.height) > MAX_HELD_PX {
        return Err(damaged("progressive JPEG of more than 64 megapixels is not read, save it as baseline JPEG"));
    }
    Ok(Header {
        size: Size::new(head.width, head.height),
        colors: head.components.len(),
        alpha: false,
        kind: SampleType::U8,
        significant_bits: None,
        codec: Codec::Jpeg(head.clone(), jpeg::colors_of_file(&head)),
    })
}

fn open_with(
    files: &FileSet,
    codec: Codec,
    read: impl FnOnce(RegionReader<'_>) -> image::ImageResult<((u32, u32), ColorType)>,
) -> std::result::Result<Header, ChunkError> {
    let ((width, height), color) = contained(|| read(whole_file(files)).map_err(|e| e.to_string()))?;
    let (colors, alpha) = match color {
        ColorType::L8 => (1, false),
        ColorType::La8 => (1, true),
        ColorType::Rgb8 => (3, false),
        ColorType::Rgba8 => (3, true),
        other => return Err(damaged(format!("pictures of {other:?} pixels are not read"))),
    };
    let size = Size::new(width, height);
    Ok(Header { codec, size, colors, alpha, kind: SampleType::U8, significant_bits: None })
}

impl PictureSource {
    fn new(files: FileSet, header: Header, path: &Path) -> Result<Self> {
        let Header { codec, size, colors, alpha, kind, significant_bits } = header;
        let held = matches!(codec, Codec::WebP | Codec::Png { interlaced: true });
        if size.is_empty() {
            return Err(Error::format("the picture has no pixels", path));
        }
        if size.area() > if held { MAX_HELD_PX } else { MAX_PICTURE_PX } {
            let kind = if held { "interlaced or WebP pictures" } else { "pictures" };
            let what = format!("{} x {} pixels are more than {kind} may have", size.width, size.height);
            return Err(Error::too_large(what, path));
        }
        let samples = colors + usize::from(alpha);
        if u64::from(size.width) * (samples * kind.bytes()) as u64 > MAX_HEAP_CHUNK_BYTES {
            return Err(Error::too_large(format!("rows of {} pixels are too long", size.width), path));
        }
        let (pixel_type, channels, taps) = channels(colors, alpha, kind, significant_bits);
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let info = ImageInfo {
            name,
            size,
            pixel_type,
            channels,
            z_count: 1,
            t_count: 1,
            um_per_px: None,
            calibration: Calibration::Unknown,
            objective: None,
            tile_side: DEFAULT_TILE_SIDE,
            levels: level_plan(&[size], DEFAULT_TILE_SIDE),
        };
        Ok(Self { files, codec, samples, kind, taps, info: [info] })
    }

    fn size(&self) -> Size {
        self.info[0].size
    }

    fn path(&self) -> &Path {
        self.files.path(0)
    }

    fn row_bytes(&self) -> usize {
        self.size().width as usize * self.samples * self.kind.bytes()
    }

    /// Decodes the picture down to row `last`; the row that is damaged, and why, where it stops early.
    fn decode(&self, last: u32, target: &mut dyn BlockTarget) -> Result<Option<(u32, String)>> {
        let mut done = 0;
        let decoded = match &self.codec {
            Codec::Png { interlaced: false } => self.stream_png(last, target, &mut done),
            _ => self.decode_held(target),
        };
        match decoded {
            Ok(()) => Ok(None),
            Err(ChunkError::Damaged(reason) | ChunkError::Cut(_, reason)) => Ok(Some((done, reason))),
            Err(ChunkError::Stop(error)) => Err(error),
        }
    }

    fn stream_png(
        &self,
        last: u32,
        target: &mut dyn BlockTarget,
        done: &mut u32,
    ) -> std::result::Result<(), ChunkError> {
        let words = |e: png::DecodingError| format!("the PNG data is damaged: {e}");
        let mut reader = contained(|| png_decoder(&self.files).read_info().map_err(words))?;
        let row_bytes = self.row_bytes();
        let band_rows = (BAND_BYTES / row_bytes).max(1) as u32;
        let mut band = Vec::new();
        while *done <= last {
            let rows = band_rows.min(self.size().height - *done);
            band.clear();
            contained(|| {
                for _ in 0..rows {
                    let row = reader.next_row().map_err(words)?.ok_or("the PNG data ends early")?;
                    band.extend_from_slice(row.data().get(..row_bytes).ok_or("the PNG rows are too short")?);
                }
                Ok(())
            })?;
            self.put(*done, rows, &mut band, target)?;
            *done += rows;
        }
        Ok(())
    }

    /// Decodes a picture that must be held whole: on the heap, or in scratch.
    fn decode_held(&self, target: &mut dyn BlockTarget) -> std::result::Result<(), ChunkError> {
        let bytes = self.row_bytes() as u64 * u64::from(self.size().height);
        let rows = self.size().height;
        if bytes <= MAX_HEAP_CHUNK_BYTES {
            let mut pixels = vec![0; bytes as usize];
            self.decode_into(&mut pixels)?;
            return Ok(self.put(0, rows, &mut pixels, target)?);
        }
        let mut damage = None;
        target.with_scratch(bytes, &mut |memory, target| {
            let memory = &mut memory[..bytes as usize];
            match self.decode_into(memory) {
                Ok(()) => self.put(0, rows, memory, target),
                Err(ChunkError::Stop(error)) => Err(error),
                Err(ChunkError::Damaged(reason) | ChunkError::Cut(_, reason)) => {
                    damage = Some(reason);
                    Ok(())
                }
            }
        })?;
        damage.map_or(Ok(()), |reason| Err(ChunkError::Damaged(reason)))
    }

    fn decode_into(&self, out: &mut [u8]) -> std::result::Result<(), ChunkError> {
        let input = whole_file(&self.files);
        match &self.codec {
            Codec::Jpeg(head, colors) => jpeg::decode_into(input, head, *colors, out),
            Codec::Png { .. } => contained(|| {
                let words = |e: png::DecodingError| format!("the PNG data is damaged: {e}");
                png_decoder(&self.files).read_info().map_err(words)?.next_frame(out).map_err(words).map(|_| ())
            }),
            Codec::Bmp => contained(|| read_image(BmpDecoder::new(input).map_err(|e| e.to_string())?, out)),
            Codec::WebP => contained(|| read_image(WebPDecoder::new(input).map_err(|e| e.to_string())?, out)),
        }
    }

    fn put(&self, y: u32, height: u32, bytes: &mut [u8], target: &mut dyn BlockTarget) -> Result<()> {
        // PNG, the only format here with samples of two bytes, has the most significant first.
        if self.kind == SampleType::U16 && cfg!(target_endian = "little") {
            swap_bytes(bytes, 2);
        }
        target.put(&Block {
            rect: PixelRect::new(0, y, self.size().width, height),
            first_sample: 0,
            samples: self.samples,
            kind: self.kind,
            row_bytes: self.row_bytes(),
            bytes,
        })
    }
}

fn read_image(decoder: impl ImageDecoder, out: &mut [u8]) -> std::result::Result<(), String> {
    if decoder.total_bytes() != out.len() as u64 {
        return Err("the picture contradicts its header".into());
    }
    decoder.read_image(out).map_err(|e| format!("the picture is damaged: {e}"))
}

/// Decodes a WebP piece of a TIFF file to rows of `samples` interleaved samples; the piece must have the width, and at
/// least the height, that is asked for.
pub fn decode_webp_into(
    raw: &[u8],
    (width, height): (u32, u32),
    samples: usize,
    out: &mut [u8],
) -> std::result::Result<(), String> {
    let decoder = WebPDecoder::new(Cursor::new(raw)).map_err(|e| e.to_string())?;
    let (w, h) = decoder.dimensions();
    let row_bytes = width as usize * samples;
    if w != width || h < height || u64::from(h) * row_bytes as u64 > out.len() as u64 {
        return Err(format!("the WebP data is {w} x {h} pixels instead of {width} x {height}"));
    }
    let has = usize::from(decoder.color_type().channel_count());
    if has == samples {
        return read_image(decoder, &mut out[..h as usize * row_bytes]);
    }
    if (has, samples) != (3, 4) {
        return Err(format!("the WebP data has {has} colours where {samples} belong"));
    }
    // Writers leave the alpha of opaque pieces away.
    let mut rgb = vec![0; w as usize * h as usize * 3];
    read_image(decoder, &mut rgb)?;
    for (o, px) in out.chunks_exact_mut(4).zip(rgb.chunks_exact(3)) {
        o.copy_from_slice(&[px[0], px[1], px[2], 255]);
    }
    Ok(())
}

fn channels(
    colors: usize,
    alpha: bool,
    kind: SampleType,
    significant_bits: Option<u8>,
) -> (PixelType, Vec<ChannelInfo>, Vec<ChannelTap>) {
    let format = kind.tile_format();
    let channel =
        |name: &str, color, format, role| ChannelInfo { name: name.into(), color, format, role, significant_bits };
    let (pixel_type, mut channels, mut taps) = match (colors, kind) {
        (3, SampleType::U8) => (
            PixelType::Rgb8,
            vec![channel("RGB", None, TileFormat::Rgb8, ChannelRole::Intensity)],
            vec![ChannelTap::Rgb(0)],
        ),
        (3, _) => (
            PixelType::Rgb16,
            [("Red", [255, 0, 0]), ("Green", [0, 255, 0]), ("Blue", [0, 0, 255])]
                .map(|(name, color)| channel(name, Some(color), format, ChannelRole::Intensity))
                .to_vec(),
            vec![ChannelTap::Gray(0), ChannelTap::Gray(1), ChannelTap::Gray(2)],
        ),
        _ => {
            (kind.pixel_type(), vec![channel("Gray", None, format, ChannelRole::Intensity)], vec![ChannelTap::Gray(0)])
        }
    };
    if alpha {
        channels.push(channel("Alpha", None, format, ChannelRole::Coverage));
        taps.push(ChannelTap::Gray(colors));
    }
    (pixel_type, channels, taps)
}

impl Source for PictureSource {
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
        let last = target.unit_rect().bottom().saturating_sub(1);
        if let Some((row, reason)) = self.decode(last, &mut target)? {
            let Size { width, height } = self.size();
            let lost = PixelRect::new(0, row, width, height.saturating_sub(row));
            target.fail(lost, 0..self.samples, &reason);
        }
        Ok(())
    }

    fn sample(&self, plane: PlaneId, x: u32, y: u32) -> Result<Vec<f64>> {
        let samples = match self.taps[plane.channel as usize] {
            ChannelTap::Rgb(first) => first..first + 3,
            ChannelTap::Gray(sample) | ChannelTap::Palette(sample, _) => sample..sample + 1,
        };
        let mut target = PixelTarget { at: (x, y), samples: samples.clone(), values: vec![None; samples.len()] };
        let damage = self.decode(y, &mut target)?;
        match (target.values.into_iter().collect::<Option<Vec<f64>>>(), damage) {
            (Some(values), _) => Ok(values),
            (None, Some((_, reason))) => Err(Error::format(reason, self.path())),
            (None, None) => Err(Error::format("there is no such pixel", self.path())),
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
