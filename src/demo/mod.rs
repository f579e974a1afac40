//! The demo: imagined tissue, drawn by rule, so that there is something to look at before the first slide is at hand.
//!
//! A set of overlapping fields, to be put together, and two pictures of the same section: with four fluorescent markers,
//! and stained with haematoxylin and eosin.
//! Nothing in them comes from a patient, and every run writes the same bytes.

mod anatomy;
mod fields;
mod noise;
mod stain;

pub use fields::{DemoField, FIELD_COLUMNS, FIELD_DARK, FIELD_ROWS, FIELD_SIDE, TRUTH_FILE, demo_fields, demo_light};

use crate::error::{Error, Result};
use crate::export::{
    OmeImage, PageId, PixelLayout, TiffPage, TiffPlan, TileCompression, TileEncoder, TiledTiffWriter, ome_xml,
    repeat_edges,
};
use crate::geom::Size;
use crate::pixels::{TileFormat, halve_into};
use crate::pyramid::Cancel;
use crate::store::Destination;
use rayon::prelude::*;
use std::path::{Path, PathBuf};

/// Raised whenever the pictures change, so that a folder of older ones is not taken for these.
const DEMO_EPOCH: u32 = 3;

/// Columns of each picture.
const WIDTH: u32 = 12_000;

/// Rows of each picture.
const HEIGHT: u32 = 8_000;

/// Micrometres a pixel, as under a 20x objective.
const UM_PER_PX: f64 = 0.5;

/// The side of a tile in pixels.
const TILE_SIDE: u32 = 256;

/// Tiles along one side of the square that one task draws: a tile of level 1 with its children.
const UNIT_TILES: u32 = 2;

/// Units along one side of the square that is drawn at once: a tile of level 3, whose 16 tasks hold about 40 MiB.
const BLOCK_UNITS: u32 = 4;

/// A picture of the demo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DemoKind {
    /// Four channels of 16 bits.
    Fluorescence,
    /// RGB.
    Brightfield,
}

impl DemoKind {
    /// The pictures, the one to look at first being first.
    pub const ALL: [Self; 2] = [Self::Fluorescence, Self::Brightfield];

    fn file_name(self) -> &'static str {
        match self {
            Self::Fluorescence => "demo-fluorescence.ome.tif",
            Self::Brightfield => "demo-brightfield.ome.tif",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Fluorescence => "Demo: fluorescence",
            Self::Brightfield => "Demo: haematoxylin and eosin",
        }
    }

    fn format(self) -> TileFormat {
        match self {
            Self::Fluorescence => TileFormat::Gray16,
            Self::Brightfield => TileFormat::Rgb8,
        }
    }

    fn compression(self) -> TileCompression {
        match self {
            Self::Fluorescence => TileCompression::Zstd,
            Self::Brightfield => TileCompression::Jpeg { quality: 85 },
        }
    }

    fn channels(self) -> &'static [(&'static str, Option<[u8; 3]>)] {
        match self {
            Self::Fluorescence => &[
                ("DAPI", Some([0x4a, 0x6a, 0xff])),
                ("CD3", Some([0x22, 0xdd, 0x55])),
                ("Ki-67", Some([0xff, 0x3b, 0x52])),
                ("PanCK", Some([0xff, 0xb4, 0x2a])),
            ],
            Self::Brightfield => &[("RGB", None)],
        }
    }

    /// Draws a square: whole pages one after another, samples in the machine's byte order.
    fn draw(self, x: u32, y: u32, side: u32) -> Vec<Vec<u8>> {
        let area = (side * side) as usize;
        match self {
            Self::Fluorescence => {
                let mut samples = vec![0_u16; area * self.channels().len()];
                stain::fluorescence(x as i32, y as i32, side as i32, &mut samples);
                samples.chunks_exact(area).map(|page| bytemuck::cast_slice(page).to_vec()).collect()
            }
            Self::Brightfield => {
                let mut pixels = vec![0; area * 3];
                stain::brightfield(x as i32, y as i32, side as i32, &mut pixels);
                vec![pixels]
            }
        }
    }
}

/// The folder of the field set.
const FIELDS_NAME: &str = "demo-fields";

/// The folder of the demo among the program's own files.
pub fn demo_folder(data_dir: &Path) -> PathBuf {
    data_dir.join(format!("demo-{DEMO_EPOCH}"))
}

/// Where the parts of a demo in `dir` lie: the field set, then the pictures in the order of [`DemoKind::ALL`].
pub fn demo_paths(dir: &Path) -> Vec<PathBuf> {
    let names = DemoKind::ALL.iter().map(|kind| kind.file_name());
    std::iter::once(FIELDS_NAME).chain(names).map(|name| dir.join(name)).collect()
}

/// Writes those parts of the demo that `dir` does not hold yet, and makes the folder where there is none.
///
/// Runs on the current rayon pool.
/// `progress` hears how much is done, of how much in all, some hundred times; `ready` hears of every part as soon as it
/// is there, those that were there included. A part appears only when it is whole.
pub fn write_demo(
    dir: &Path,
    progress: &mut (dyn FnMut(u64, u64) + Send),
    ready: &mut (dyn FnMut(&Path) + Send),
    cancel: &Cancel,
) -> Result<Vec<PathBuf>> {
    std::fs::create_dir_all(dir).map_err(|e| Error::io("cannot make the demo's folder", e, dir))?;
    let paths = demo_paths(dir);
    let parts = std::iter::once(None).chain(DemoKind::ALL.iter().copied().map(Some));
    let steps = |kind: Option<DemoKind>| match kind {
        None => u64::from(FIELD_ROWS * FIELD_COLUMNS),
        Some(_) => blocks().count() as u64,
    };
    let missing = |path: &Path| !path.exists();
    let total = parts.clone().zip(&paths).filter(|(_, path)| missing(path)).map(|(kind, _)| steps(kind)).sum();
    let mut done = 0;
    progress(done, total);
    for (kind, path) in parts.zip(&paths) {
        if missing(path) {
            let mut step_done = || {
                done += 1;
                progress(done, total);
            };
            match kind {
                None => fields::write_fields(path, cancel, &mut step_done)?,
                Some(kind) => write_picture(kind, Size::new(WIDTH, HEIGHT), path, cancel, &mut step_done)?,
            }
        }
        ready(path);
    }
    Ok(paths)
}

/// Writes the demo's field set alone where `dir` does not hold it yet, and says where it is.
pub fn write_demo_fields(dir: &Path, progress: &mut dyn FnMut(u64, u64), cancel: &Cancel) -> Result<PathBuf> {
    std::fs::create_dir_all(dir).map_err(|e| Error::io("cannot make the demo's folder", e, dir))?;
    let path = dir.join(FIELDS_NAME);
    if !path.exists() {
        let (mut done, total) = (0, u64::from(FIELD_ROWS * FIELD_COLUMNS));
        fields::write_fields(&path, cancel, &mut || {
            done += 1;
            progress(done, total);
        })?;
    }
    Ok(path)
}

fn blocks() -> impl Iterator<Item = (u32, u32)> {
    blocks_of(Size::new(WIDTH, HEIGHT))
}

/// The squares that are drawn one after another, as columns and rows of tiles of level 3.
fn blocks_of(size: Size) -> impl Iterator<Item = (u32, u32)> {
    let side = TILE_SIDE * UNIT_TILES * BLOCK_UNITS;
    let (across, down) = (size.width.div_ceil(side), size.height.div_ceil(side));
    (0..down).flat_map(move |y| (0..across).map(move |x| (x, y)))
}

/// A tile of a level with its pages' pixels.
struct DrawnTile {
    x: u32,
    y: u32,
    pages: Vec<Vec<u8>>,
}

/// The file as far as it is written: a page and its levels for every channel.
struct Picture<'a> {
    kind: DemoKind,
    path: &'a Path,
    writer: TiledTiffWriter,
    /// By level, then by page.
    pages: Vec<Vec<PageId>>,
    sizes: Vec<Size>,
}

fn write_picture(kind: DemoKind, size: Size, path: &Path, cancel: &Cancel, block_done: &mut dyn FnMut()) -> Result<()> {
    let mut picture = Picture::create(kind, size, path)?;
    let mut top = Vec::new();
    for (block_x, block_y) in blocks_of(size) {
        let units: Vec<(u32, u32)> = (0..BLOCK_UNITS)
            .flat_map(|y| (0..BLOCK_UNITS).map(move |x| (block_x * BLOCK_UNITS + x, block_y * BLOCK_UNITS + y)))
            .filter(|&(x, y)| picture.has_tile(1, x, y))
            .collect();
        let drawn: Vec<_> = units
            .par_iter()
            .map(|&(x, y)| {
                cancel.check()?;
                draw_unit(kind, &picture.sizes, x, y, path)
            })
            .collect::<Result<_>>()?;
        let mut tiles = Vec::new();
        for (packed, reduced) in drawn {
            for (x, y, page, bytes) in packed {
                picture.writer.write_tile(picture.pages[0][page], x, y, &bytes)?;
            }
            tiles.extend(reduced);
        }
        for level in 1..3 {
            picture.write_level(level, &tiles)?;
            tiles = halved_level(kind.format(), &picture.sizes, level, &tiles);
        }
        top.extend(tiles);
        block_done();
    }
    for level in 3..picture.sizes.len() {
        picture.write_level(level, &top)?;
        top = halved_level(kind.format(), &picture.sizes, level, &top);
    }
    cancel.check()?;
    picture.writer.finish()
}

impl<'a> Picture<'a> {
    fn create(kind: DemoKind, size: Size, path: &'a Path) -> Result<Self> {
        let mut sizes = vec![size];
        while let Some(last) = sizes.last().copied().filter(|s| s.width.max(s.height) > TILE_SIDE || sizes.len() < 4) {
            sizes.push(last.halved());
        }
        let um_per_px = Some([UM_PER_PX; 2]);
        let format = kind.format();
        let layout = PixelLayout::of(format);
        let channels = kind.channels();
        let xml = ome_xml(&OmeImage {
            name: kind.name(),
            size,
            layout,
            z_count: 1,
            t_count: 1,
            channels,
            um_per_px,
            objective: None,
        });
        let mut plan = TiffPlan::default();
        let full: Vec<PageId> = (0..kind.channels().len())
            .map(|channel| {
                plan.add_page(TiffPage {
                    size,
                    tile_side: TILE_SIDE,
                    layout,
                    compression: kind.compression(),
                    um_per_px,
                    description: (channel == 0).then(|| xml.clone()),
                })
            })
            .collect();
        let mut pages = vec![full.clone()];
        for &level in &sizes[1..] {
            pages.push(full.iter().map(|&page| plan.add_level(page, level)).collect());
        }
        let writer = TiledTiffWriter::create(Destination::replacing(path), &plan)?;
        Ok(Self { kind, path, writer, pages, sizes })
    }

    fn has_tile(&self, level: usize, x: u32, y: u32) -> bool {
        x < self.sizes[level].width.div_ceil(TILE_SIDE) && y < self.sizes[level].height.div_ceil(TILE_SIDE)
    }

    fn write_level(&mut self, level: usize, tiles: &[DrawnTile]) -> Result<()> {
        let mut encoder =
            TileEncoder::new(self.kind.compression(), PixelLayout::of(self.kind.format()), TILE_SIDE, self.path)?;
        for tile in tiles {
            for (page, pixels) in tile.pages.iter().enumerate() {
                let packed = encoder.encode(pixels, self.path)?;
                self.writer.write_tile(self.pages[level][page], tile.x, tile.y, &packed)?;
            }
        }
        Ok(())
    }
}

/// A packed tile of level 0: its column, row and page.
type PackedTile = (u32, u32, usize, Vec<u8>);

/// Draws the tiles of level 0 below a tile of level 1: packed, and reduced to that tile.
fn draw_unit(kind: DemoKind, sizes: &[Size], x: u32, y: u32, path: &Path) -> Result<(Vec<PackedTile>, Vec<DrawnTile>)> {
    let format = kind.format();
    let side = TILE_SIDE * UNIT_TILES;
    let squares = kind.draw(x * side, y * side, side);
    let tiles: Vec<DrawnTile> = (0..UNIT_TILES)
        .flat_map(|row| (0..UNIT_TILES).map(move |column| (column, row)))
        .filter(|(column, row)| {
            x * side + column * TILE_SIDE < sizes[0].width && y * side + row * TILE_SIDE < sizes[0].height
        })
        .map(|(column, row)| DrawnTile {
            x: x * UNIT_TILES + column,
            y: y * UNIT_TILES + row,
            pages: squares.iter().map(|s| cut(s, side, column * TILE_SIDE, row * TILE_SIDE, format)).collect(),
        })
        .collect();
    let mut encoder = TileEncoder::new(kind.compression(), PixelLayout::of(format), TILE_SIDE, path)?;
    let mut packed = Vec::new();
    for tile in &tiles {
        for (page, pixels) in tile.pages.iter().enumerate() {
            packed.push((tile.x, tile.y, page, encoder.encode(pixels, path)?));
        }
    }
    Ok((packed, halved_level(format, sizes, 0, &tiles)))
}

/// The level after `level`: four tiles become one.
fn halved_level(format: TileFormat, sizes: &[Size], level: usize, tiles: &[DrawnTile]) -> Vec<DrawnTile> {
    let Some(&next) = sizes.get(level + 1) else { return Vec::new() };
    let mut halved: Vec<DrawnTile> = Vec::new();
    for tile in tiles {
        let (x, y) = (tile.x / 2, tile.y / 2);
        let at = halved.iter().position(|t| (t.x, t.y) == (x, y)).unwrap_or_else(|| {
            let pages = tile.pages.iter().map(|_| vec![0; format.tile_bytes(TILE_SIDE)]).collect();
            halved.push(DrawnTile { x, y, pages });
            halved.len() - 1
        });
        let valid = valid_of(sizes[level], tile);
        for (pixels, parent) in tile.pages.iter().zip(&mut halved[at].pages) {
            halve_into(format, TILE_SIDE, pixels, valid, parent, (tile.x % 2, tile.y % 2));
        }
    }
    // JPEG works on blocks: black beyond the image's edge would show as ripples inside it.
    for tile in &mut halved {
        let valid = valid_of(next, tile);
        tile.pages.iter_mut().for_each(|pixels| repeat_edges(pixels, TILE_SIDE, valid, format.bytes_per_px()));
    }
    halved
}

/// The pixels of a tile that lie in a level.
fn valid_of(level: Size, tile: &DrawnTile) -> Size {
    let within = |size: u32, at: u32| (size - at * TILE_SIDE).min(TILE_SIDE);
    Size::new(within(level.width, tile.x), within(level.height, tile.y))
}

/// A tile of a larger square.
fn cut(square: &[u8], side: u32, x: u32, y: u32, format: TileFormat) -> Vec<u8> {
    let px = format.bytes_per_px();
    let rows = square.chunks_exact(side as usize * px).skip(y as usize).take(TILE_SIDE as usize);
    rows.flat_map(|row| &row[x as usize * px..(x + TILE_SIDE) as usize * px]).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture of an odd size that takes more than one block; written whole in well under a second.
    const SMALL: Size = Size::new(2305, 300);

    fn written(kind: DemoKind, path: &Path, threads: usize) -> Vec<u8> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("pool");
        pool.install(|| write_picture(kind, SMALL, path, &Cancel::default(), &mut || {})).expect("written");
        std::fs::read(path).expect("read")
    }

    #[test]
    fn the_same_bytes_are_written_by_any_number_of_threads() {
        let folder = tempfile::tempdir().expect("folder");
        for kind in DemoKind::ALL {
            let one = written(kind, &folder.path().join("one.tif"), 1);
            let three = written(kind, &folder.path().join("three.tif"), 3);
            assert!(one == three, "{kind:?} differs");
        }
    }

    #[test]
    fn a_cancelled_demo_leaves_no_file() {
        let folder = tempfile::tempdir().expect("folder");
        let cancel = Cancel::default();
        cancel.cancel();
        let result = write_demo(folder.path(), &mut |_, _| {}, &mut |_| {}, &cancel);
        assert!(matches!(result, Err(Error::Cancelled)));
        assert_eq!(std::fs::read_dir(folder.path()).expect("folder").count(), 0);
    }

    #[test]
    fn a_demo_that_is_there_is_not_written_again() {
        let folder = tempfile::tempdir().expect("folder");
        for path in demo_paths(folder.path()) {
            std::fs::write(path, "here").expect("written");
        }
        let mut told = Vec::new();
        let mut ready = Vec::new();
        let paths = write_demo(
            folder.path(),
            &mut |done, total| told.push((done, total)),
            &mut |path| ready.push(path.to_owned()),
            &Cancel::default(),
        );
        assert_eq!(paths.expect("paths"), demo_paths(folder.path()));
        assert_eq!(ready, demo_paths(folder.path()));
        assert_eq!(told, [(0, 0)]);
    }
}
