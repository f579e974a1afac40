//! A tiled BigTIFF, written front to back: tiles as they come, directories at the end.
//!
//! Tiles of all pages and levels may come in any order, so a pyramid is written in one pass over the image.
//! Memory is 16 bytes a tile, whatever the image's size.

use super::layout::{PixelLayout, SampleKind};
use super::tile_encoder::TileCompression;
use crate::error::{Error, Result};
use crate::geom::Size;
use std::fs::File;
use std::path::{Path, PathBuf};
use tiff::encoder::{Rational, TiffEncoder, TiffKindBig};
use tiff::tags::{PhotometricInterpretation, PlanarConfiguration, Predictor, ResolutionUnit, SampleFormat, Tag};
use tiff::{TiffError, TiffResult};

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

/// A page or a level of the file that is being written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageId(usize);

/// Writes a file; it appears under its name with [`TiledTiffWriter::finish`], and not at all otherwise.
pub struct TiledTiffWriter {
    encoder: TiffEncoder<File, TiffKindBig>,
    temporary: tempfile::NamedTempFile,
    path: PathBuf,
    pages: Vec<Directory>,
}

/// A page as far as it is written.
struct Directory {
    page: TiffPage,
    /// The page that it is a reduced level of.
    parent: Option<usize>,
    offsets: Vec<u64>,
    byte_counts: Vec<u64>,
}

impl TiledTiffWriter {
    /// Starts a file that will be `path`; the folder must exist.
    pub fn create(path: &Path) -> Result<Self> {
        let temporary = super::temporary_beside(path)?;
        let file = temporary.as_file().try_clone().map_err(|e| Error::io("cannot write", e, path))?;
        let encoder = TiffEncoder::new_big(file).map_err(|e| failed(e, path))?;
        Ok(Self { encoder, temporary, path: path.to_owned(), pages: Vec::new() })
    }

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
        let tiles = (columns(&page) * u64::from(page.size.height.div_ceil(page.tile_side))) as usize;
        self.pages.push(Directory { page, parent, offsets: vec![0; tiles], byte_counts: vec![0; tiles] });
        PageId(self.pages.len() - 1)
    }

    /// Writes a packed tile; `x` and `y` count tiles.
    pub fn write_tile(&mut self, page: PageId, x: u32, y: u32, packed: &[u8]) -> Result<()> {
        let offset = append(&mut self.encoder, packed).map_err(|e| failed(e, &self.path))?;
        let directory = &mut self.pages[page.0];
        let index = (columns(&directory.page) * u64::from(y) + u64::from(x)) as usize;
        directory.offsets[index] = offset;
        directory.byte_counts[index] = packed.len() as u64;
        Ok(())
    }

    /// Writes the directories, waits for the disk and gives the file its name.
    ///
    /// Fails when a tile was never written.
    pub fn finish(mut self) -> Result<()> {
        let missing: usize = self.pages.iter().flat_map(|d| &d.byte_counts).filter(|&&n| n == 0).count();
        if missing > 0 {
            return Err(Error::format(format!("{missing} tiles were not written"), &self.path));
        }
        self.write_directories().map_err(|e| failed(e, &self.path))?;
        let Self { temporary, path, .. } = self;
        super::keep_temporary(temporary, &path)
    }

    fn write_directories(&mut self) -> TiffResult<()> {
        for index in 0..self.pages.len() {
            if self.pages[index].parent.is_some() {
                continue;
            }
            let mut levels = Vec::new();
            for level in self.pages.iter().filter(|d| d.parent == Some(index)) {
                let mut directory = self.encoder.extra_directory()?;
                write_tags(&mut directory, level)?;
                levels.push(directory.finish_with_offsets()?.pointer.0);
            }
            let mut directory = self.encoder.image_directory()?;
            write_tags(&mut directory, &self.pages[index])?;
            if !levels.is_empty() {
                directory.write_tag(Tag::SubIfd, levels.as_slice())?;
            }
            directory.finish()?;
        }
        Ok(())
    }
}

fn columns(page: &TiffPage) -> u64 {
    u64::from(page.size.width.div_ceil(page.tile_side))
}

/// Appends bytes to the file and tells where they start.
fn append(encoder: &mut TiffEncoder<File, TiffKindBig>, bytes: &[u8]) -> TiffResult<u64> {
    // The crate appends data through a directory only. This one is never finished, because dropping it would write it;
    // it is empty, so forgetting it leaks nothing.
    let mut directory = encoder.extra_directory()?;
    let offset = directory.write_data(bytes);
    std::mem::forget(directory);
    offset
}

fn write_tags(
    directory: &mut tiff::encoder::DirectoryEncoder<'_, File, TiffKindBig>,
    written: &Directory,
) -> TiffResult<()> {
    let page = &written.page;
    let PixelLayout { kind, bits, samples } = page.layout;
    let jpeg = matches!(page.compression, TileCompression::Jpeg { .. });
    let photometric = match samples {
        1 | 2 => PhotometricInterpretation::BlackIsZero,
        _ if jpeg => PhotometricInterpretation::YCbCr,
        _ => PhotometricInterpretation::RGB,
    };
    let sample_format = match kind {
        SampleKind::Unsigned => SampleFormat::Uint,
        SampleKind::Signed => SampleFormat::Int,
        SampleKind::Float => SampleFormat::IEEEFP,
    };
    directory.write_tag(Tag::NewSubfileType, u32::from(written.parent.is_some()))?;
    directory.write_tag(Tag::ImageWidth, page.size.width)?;
    directory.write_tag(Tag::ImageLength, page.size.height)?;
    directory.write_tag(Tag::BitsPerSample, vec![bits; usize::from(samples)].as_slice())?;
    directory.write_tag(Tag::Compression, page.compression.method())?;
    directory.write_tag(Tag::PhotometricInterpretation, photometric)?;
    directory.write_tag(Tag::SamplesPerPixel, samples)?;
    directory.write_tag(Tag::PlanarConfiguration, PlanarConfiguration::Chunky)?;
    directory.write_tag(Tag::SampleFormat, vec![sample_format; usize::from(samples)].as_slice())?;
    if samples.is_multiple_of(2) {
        directory.write_tag(Tag::ExtraSamples, [UNASSOCIATED_ALPHA].as_slice())?;
    }
    directory.write_tag(Tag::TileWidth, page.tile_side)?;
    directory.write_tag(Tag::TileLength, page.tile_side)?;
    directory.write_tag(Tag::TileOffsets, written.offsets.as_slice())?;
    directory.write_tag(Tag::TileByteCounts, written.byte_counts.as_slice())?;
    if photometric == PhotometricInterpretation::YCbCr {
        // The JPEG encoder keeps colour at full resolution; TIFF would assume half.
        directory.write_tag(Tag::Unknown(YCBCR_SUBSAMPLING), [1_u16, 1].as_slice())?;
    }
    if page.compression.uses_differences(page.layout) {
        directory.write_tag(Tag::Predictor, Predictor::Horizontal)?;
    }
    if let Some([x, y]) = page.um_per_px {
        directory.write_tag(Tag::XResolution, per_cm(x))?;
        directory.write_tag(Tag::YResolution, per_cm(y))?;
        directory.write_tag(Tag::ResolutionUnit, ResolutionUnit::Centimeter)?;
    }
    if let Some(text) = &page.description {
        directory.write_tag(Tag::ImageDescription, text.as_str())?;
    }
    Ok(())
}

/// TIFF's number for the chroma subsampling tag, which the crate has no name for.
const YCBCR_SUBSAMPLING: u16 = 530;

/// The last sample of a pixel is its opacity, and colours are not multiplied by it.
const UNASSOCIATED_ALPHA: u16 = 2;

/// Pixels a centimetre, as a fraction that is good to one in ten thousand down to a kilometre a pixel.
fn per_cm(um_per_px: f64) -> Rational {
    let pixels = 10_000.0 / um_per_px;
    let d = if pixels < 4_000.0 { 1_000_000 } else { 1_000 };
    Rational { n: (pixels * f64::from(d)).round().clamp(1.0, f64::from(u32::MAX)) as u32, d }
}

fn failed(error: TiffError, path: &Path) -> Error {
    match error {
        TiffError::IoError(e) => Error::io("cannot write", e, path),
        e => Error::format(format!("cannot write TIFF: {e}"), path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::TileEncoder;
    use crate::pixels::TileFormat;
    use tiff::decoder::{Decoder, DecodingResult};

    fn page(format: TileFormat, compression: TileCompression) -> TiffPage {
        TiffPage {
            size: Size::new(40, 20),
            tile_side: 16,
            layout: PixelLayout::of(format),
            compression,
            um_per_px: Some([0.5, 0.25]),
            description: Some("words".into()),
        }
    }

    /// A sample that varies along both axes and uses both bytes.
    fn sample(x: u32, y: u32) -> u16 {
        (x * 1621 + y * 3319) as u16
    }

    fn tile(tx: u32, ty: u32, format: TileFormat) -> Vec<u8> {
        let mut pixels = Vec::new();
        for y in ty * 16..ty * 16 + 16 {
            for x in tx * 16..tx * 16 + 16 {
                let value = sample(x, y);
                match format {
                    TileFormat::Gray8 => pixels.push(value as u8),
                    TileFormat::Gray16 => pixels.extend(value.to_ne_bytes()),
                    TileFormat::Rgb8 => pixels.extend([value as u8, (value >> 8) as u8, (value >> 4) as u8]),
                }
            }
        }
        pixels
    }

    /// Writes all tiles of a page in an order of their own.
    fn write_all(writer: &mut TiledTiffWriter, id: PageId, format: TileFormat, page: &TiffPage, path: &Path) {
        let mut encoder = TileEncoder::new(page.compression, page.layout, 16, path).expect("encoder");
        let (across, down) = (page.size.width.div_ceil(16), page.size.height.div_ceil(16));
        for y in (0..down).rev() {
            for x in 0..across {
                let packed = encoder.encode(&tile(x, y, format), path).expect("encode");
                writer.write_tile(id, x, y, &packed).expect("write");
            }
        }
    }

    fn decoded(path: &Path) -> DecodingResult {
        let mut decoder = Decoder::new(File::open(path).expect("open")).expect("a TIFF");
        assert_eq!(decoder.dimensions().expect("size"), (40, 20));
        decoder.read_image().expect("pixels")
    }

    #[test]
    fn tiles_written_in_any_order_are_read_back_in_their_places() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("a.tif");
        let expected: Vec<u16> = (0..20).flat_map(|y| (0..40).map(move |x| sample(x, y))).collect();
        for format in [TileFormat::Gray8, TileFormat::Gray16, TileFormat::Rgb8] {
            let page = page(format, TileCompression::None);
            let mut writer = TiledTiffWriter::create(&path).expect("create");
            let id = writer.add_page(page.clone());
            write_all(&mut writer, id, format, &page, &path);
            writer.finish().expect("finish");
            match (format, decoded(&path)) {
                (TileFormat::Gray16, DecodingResult::U16(got)) => assert_eq!(got, expected),
                (TileFormat::Gray8, DecodingResult::U8(got)) => {
                    assert!(got.into_iter().eq(expected.iter().map(|&v| v as u8)));
                }
                (TileFormat::Rgb8, DecodingResult::U8(got)) => {
                    let rgb = expected.iter().flat_map(|&v| [v as u8, (v >> 8) as u8, (v >> 4) as u8]);
                    assert!(got.into_iter().eq(rgb));
                }
                _ => panic!("another sample type"),
            }
        }
    }

    #[test]
    fn a_file_appears_only_when_it_is_finished() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("a.tif");
        let page = page(TileFormat::Gray8, TileCompression::None);
        let mut writer = TiledTiffWriter::create(&path).expect("create");
        let id = writer.add_page(page.clone());
        write_all(&mut writer, id, TileFormat::Gray8, &page, &path);
        assert!(!path.exists());
        drop(writer);
        assert_eq!(std::fs::read_dir(folder.path()).expect("folder").count(), 0);
    }

    #[test]
    fn a_missing_tile_is_an_error_and_leaves_no_file() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("a.tif");
        let mut writer = TiledTiffWriter::create(&path).expect("create");
        writer.add_page(page(TileFormat::Gray8, TileCompression::None));
        let error = writer.finish().expect_err("no tile was written");
        assert!(error.to_string().contains("6 tiles were not written"), "{error}");
        assert_eq!(std::fs::read_dir(folder.path()).expect("folder").count(), 0);
    }

    #[test]
    fn resolutions_keep_four_digits_from_nanometres_to_centimetres_a_pixel() {
        for um_per_px in [0.05, 0.2527, 0.5, 1.3, 40.0, 10_000.0] {
            let Rational { n, d } = per_cm(um_per_px);
            let back = 10_000.0 * f64::from(d) / f64::from(n);
            assert!((back / um_per_px - 1.0).abs() < 1e-4, "{um_per_px} became {back}");
        }
    }
}
