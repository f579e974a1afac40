//! A tiled TIFF, written front to back: its directories first, then tiles as they come.
//!
//! Tiles of all pages and levels may come in any order, so a pyramid is written in one pass over the image.
//! Nothing is kept of a tile once it is written: where it lies goes straight into the tables of the file.

use super::tiff_plan::{LaidOut, PageId, TiffPlan};
use super::tile_encoder::TileCompression;
use crate::error::{Error, Result};
use crate::geom::Size;
use crate::store::{Destination, WholeFile, WriteBehind, read_exact_at};
use std::path::PathBuf;

/// Writes a file; it appears under its name with [`TiledTiffWriter::finish`], and not at all otherwise.
pub struct TiledTiffWriter {
    whole: WholeFile,
    behind: WriteBehind,
    path: PathBuf,
    laid_out: LaidOut,
    pages: Vec<Page>,
    /// Where the next tile goes.
    end: u64,
}

/// A page as far as it is written.
struct Page {
    tiles: Size,
    /// Tiles that are still to come.
    missing: u64,
    compression: TileCompression,
}

impl TiledTiffWriter {
    /// Starts a file; the folder must exist.
    pub fn create<'a>(to: impl Into<Destination<'a>>, plan: &TiffPlan) -> Result<Self> {
        let to = to.into();
        let path = to.path;
        let mut laid_out = plan.lay_out(path)?;
        let whole = WholeFile::create(to)?;
        let mut behind = WriteBehind::new(whole.file()).map_err(|e| Error::io("cannot write", e, path))?;
        for (at, bytes) in laid_out.blocks.drain(..) {
            behind.write_all_at(&bytes, at).map_err(|e| Error::io("cannot write", e, path))?;
        }
        let pages = plan.pages.iter().map(|planned| {
            let tiles = planned.page.tiles();
            Page { tiles, missing: tiles.area(), compression: planned.page.compression }
        });
        let (pages, end) = (pages.collect(), laid_out.tiles_at);
        Ok(Self { whole, behind, path: path.to_owned(), laid_out, pages, end })
    }

    /// Writes a packed tile; `x` and `y` count tiles. Each tile is written once.
    pub fn write_tile(&mut self, page: PageId, x: u32, y: u32, packed: &[u8]) -> Result<()> {
        let written = &mut self.pages[page.0];
        let index = u64::from(written.tiles.width) * u64::from(y) + u64::from(x);
        let tables = self.laid_out.tables[page.0];
        let failed = |e| Error::io("cannot write", e, &self.path);
        // An empty tile stays a hole in the file, which takes no room where the system knows holes.
        if written.compression != TileCompression::None || packed.iter().any(|&byte| byte != 0) {
            self.behind.write_all_at(packed, self.end).map_err(failed)?;
        }
        let count = packed.len() as u32;
        if self.laid_out.is_big {
            self.behind.write_all_at(&self.end.to_ne_bytes(), tables.offsets_at + 8 * index).map_err(failed)?;
        } else {
            // A classic file is one whose offsets fit, by its worst size.
            let offset = self.end as u32;
            self.behind.write_all_at(&offset.to_ne_bytes(), tables.offsets_at + 4 * index).map_err(failed)?;
        }
        self.behind.write_all_at(&count.to_ne_bytes(), tables.byte_counts_at + 4 * index).map_err(failed)?;
        self.end = (self.end + packed.len() as u64).next_multiple_of(2);
        written.missing -= 1;
        Ok(())
    }

    /// Bytes written so far.
    pub fn bytes(&self) -> u64 {
        self.end
    }

    /// Ends the file, which has no name yet, and returns a path to read it by.
    ///
    /// Fails when a tile was never written.
    pub(super) fn complete(&mut self) -> Result<PathBuf> {
        let missing: u64 = self.pages.iter().map(|page| page.missing).sum();
        if missing > 0 {
            return Err(Error::format(format!("{missing} tiles were not written"), &self.path));
        }
        // Holes at the end count too.
        self.whole.file().set_len(self.end).map_err(|e| Error::io("cannot write", e, &self.path))?;
        Ok(self.whole.path_to_read())
    }

    /// Reads the tables of tiles back from the file: every tile must lie where tiles are, and together they must fill that
    /// part.
    pub(super) fn check_tables(&self) -> Result<()> {
        let failed = |e| Error::io("cannot read back", e, &self.path);
        let file = self.whole.file();
        let mut taken_bytes = 0;
        for (page, tables) in self.pages.iter().zip(&self.laid_out.tables) {
            for index in 0..page.tiles.area() {
                let (mut offset, mut count) = ([0; 8], [0; 4]);
                let offset = if self.laid_out.is_big {
                    read_exact_at(file, &mut offset, tables.offsets_at + 8 * index).map_err(failed)?;
                    u64::from_ne_bytes(offset)
                } else {
                    let mut short = [0; 4];
                    read_exact_at(file, &mut short, tables.offsets_at + 4 * index).map_err(failed)?;
                    u64::from(u32::from_ne_bytes(short))
                };
                read_exact_at(file, &mut count, tables.byte_counts_at + 4 * index).map_err(failed)?;
                let count = u64::from(u32::from_ne_bytes(count));
                if count == 0 || offset < self.laid_out.tiles_at || offset + count > self.end {
                    return Err(Error::format(
                        "the written file did not pass its check (a tile lies outside)",
                        &self.path,
                    ));
                }
                taken_bytes += count.next_multiple_of(2);
            }
        }
        if taken_bytes != self.end - self.laid_out.tiles_at {
            return Err(Error::format("the written file did not pass its check (tiles are missing)", &self.path));
        }
        Ok(())
    }

    /// Ends the file, waits for the disk and gives the file its name.
    ///
    /// Fails when a tile was never written.
    pub fn finish(mut self) -> Result<()> {
        self.complete()?;
        self.whole.publish()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tiff_plan::TiffPage;
    use super::*;
    use crate::export::{PixelLayout, TileEncoder};
    use crate::pixels::TileFormat;
    use std::fs::File;
    use std::path::Path;
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

    fn start(page: &TiffPage, path: &Path) -> (TiledTiffWriter, PageId) {
        let mut plan = TiffPlan::default();
        let id = plan.add_page(page.clone());
        (TiledTiffWriter::create(Destination::replacing(path), &plan).expect("create"), id)
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
            let (mut writer, id) = start(&page, &path);
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
        let (mut writer, id) = start(&page, &path);
        write_all(&mut writer, id, TileFormat::Gray8, &page, &path);
        assert!(!path.exists());
        drop(writer);
        assert_eq!(std::fs::read_dir(folder.path()).expect("folder").count(), 0);
    }

    #[test]
    fn a_missing_tile_is_an_error_and_leaves_no_file() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("a.tif");
        let (writer, _) = start(&page(TileFormat::Gray8, TileCompression::None), &path);
        let error = writer.finish().expect_err("no tile was written");
        assert!(error.to_string().contains("6 tiles were not written"), "{error}");
        assert_eq!(std::fs::read_dir(folder.path()).expect("folder").count(), 0);
    }

    #[test]
    fn an_empty_tile_takes_no_room_and_is_read_back_as_zeros() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("a.tif");
        let mut page = page(TileFormat::Gray8, TileCompression::None);
        (page.size, page.tile_side) = (Size::new(2048, 1024), 1024);
        let (mut writer, id) = start(&page, &path);
        writer.write_tile(id, 0, 0, &vec![7; 1 << 20]).expect("written");
        writer.write_tile(id, 1, 0, &vec![0; 1 << 20]).expect("written");
        writer.finish().expect("finished");
        let mut decoder = Decoder::new(File::open(&path).expect("open")).expect("a TIFF");
        let DecodingResult::U8(pixels) = decoder.read_image().expect("pixels") else { panic!("another sample type") };
        assert!(pixels.chunks(1024).zip([7, 0].iter().cycle()).all(|(half, v)| half.iter().all(|p| p == v)));
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt as _;
            let taken_bytes = std::fs::metadata(&path).expect("there").blocks() * 512;
            println!("{taken_bytes} bytes on the disk");
        }
    }
}
