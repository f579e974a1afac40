//! From bands of the full resolution to packed tiles of all levels.
//!
//! A **unit** is four tiles of level 0 with the tile of level 1 above them: one worker reads, packs and halves it.
//! What comes of a unit goes into its quadrant of the open tile of level 2; the worker that brings the last quadrant
//! packs that tile and goes on upwards.
//! Tiles are taken in a fixed order, each coarser tile after the last unit beneath it, so that the file does not depend
//! on which worker was faster.

use super::order::DepthFirst;
use super::print::Print;
use crate::error::{Error, Result};
use crate::export::band_source::{BandPlane, BandSource, Covered};
use crate::export::layout::SampleKind;
use crate::export::square::{cut, repeat_edges};
use crate::export::tile_encoder::{TileCompression, TileEncoder};
use crate::geom::{PixelRect, Size};
use crate::pixels::{CoveredArea, TileFormat, halve_area, halve_covered_area};
use crate::pyramid::Cancel;
use parking_lot::{Condvar, Mutex};
use std::collections::{HashMap, VecDeque};
use std::path::Path;
use std::sync::Arc;

/// Units that are in work or wait to be written, a worker: one to work on while another is written.
const UNITS_PER_WORKER: usize = 2;

/// Units in work or waiting beside those.
const SPARE_UNITS: usize = 2;

/// Buffers of packed tiles kept for the next ones.
const MAX_SPARE_BUFFERS: usize = 64;

/// Which tile of which plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TilePlace {
    /// Index into the planes.
    pub plane: u32,
    /// The level, 0 being the full resolution.
    pub level: u8,
    /// Tile column.
    pub x: u32,
    /// Tile row.
    pub y: u32,
}

/// A tile ready to be written.
pub struct PackedTile {
    /// Which.
    pub place: TilePlace,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// What tells later whether it is read back right, for a few of all.
    pub print: Option<Print>,
}

/// What is built and how.
pub struct Build<'a> {
    source: &'a dyn BandSource,
    planes: Vec<BandPlane>,
    levels: Vec<Size>,
    format: TileFormat,
    side: u32,
    compression: TileCompression,
    /// One tile of so many is remembered for the check.
    print_step: u64,
    path: &'a Path,
    cancel: &'a Cancel,
    desk: Mutex<Desk>,
    changed: Condvar,
    open: Mutex<HashMap<TilePlace, Arc<Mutex<OpenTile>>>>,
    benches: Mutex<Vec<Bench>>,
    spare: Mutex<Vec<Vec<u8>>>,
}

/// What is finished and waits to be written.
#[derive(Default)]
struct Desk {
    /// Tiles of levels 0 and 1, by unit.
    units: HashMap<u64, Vec<PackedTile>>,
    /// Tiles of coarser levels.
    coarse: HashMap<TilePlace, PackedTile>,
    /// Why no more comes; the first reason.
    failure: Option<Error>,
    /// Workers stop.
    is_over: bool,
}

/// A coarse tile of which some quadrants are there.
struct OpenTile {
    pixels: Vec<u8>,
    /// One byte a pixel, once a child had gaps; without it everything that is there is covered.
    mask: Option<Vec<u8>>,
    missing: u32,
}

/// A square of pixels on its way up.
struct Square {
    pixels: Vec<u8>,
    mask: Option<Vec<u8>>,
}

/// What a worker works with.
struct Bench {
    encoder: TileEncoder,
    band: Vec<u8>,
    mask: Vec<u8>,
    tile: Vec<u8>,
}

/// The sizes of all levels: each is half the one before, the last fits one tile.
pub fn level_sizes(size: Size, side: u32) -> Vec<Size> {
    let mut sizes = vec![size];
    let mut last = size;
    while last.width.max(last.height) > side {
        last = last.halved();
        sizes.push(last);
    }
    sizes
}

impl<'a> Build<'a> {
    /// Gets ready; the source's image was checked.
    pub fn new(
        source: &'a dyn BandSource,
        format: TileFormat,
        compression: TileCompression,
        print_step: u64,
        path: &'a Path,
        cancel: &'a Cancel,
    ) -> Self {
        let image = source.image();
        Self {
            source,
            planes: image.planes(),
            levels: level_sizes(image.size, image.tile_side),
            format,
            side: image.tile_side,
            compression,
            print_step,
            path,
            cancel,
            desk: Mutex::default(),
            changed: Condvar::new(),
            open: Mutex::default(),
            benches: Mutex::default(),
            spare: Mutex::default(),
        }
    }

    /// Builds everything with the workers of `pool` and hands each tile to `sink`, on this thread, in an order that is
    /// always the same. Must not be called from a thread of the pool.
    pub fn run(&self, pool: &rayon::ThreadPool, sink: &mut dyn FnMut(&PackedTile) -> Result<()>) -> Result<()> {
        let units =
            Size::new(self.levels[0].width.div_ceil(2 * self.side), self.levels[0].height.div_ceil(2 * self.side));
        let mut coming = (0..self.planes.len() as u32)
            .flat_map(|plane| DepthFirst::new(units.width, units.height).map(move |(x, y)| (plane, x, y)))
            .zip(0..);
        let at_once = UNITS_PER_WORKER * pool.current_num_threads() + SPARE_UNITS;
        pool.in_place_scope(|scope| {
            let mut waiting = VecDeque::new();
            let mut missing = HashMap::new();
            let outcome = loop {
                while waiting.len() < at_once
                    && let Some(((plane, x, y), number)) = coming.next()
                {
                    scope.spawn(move |_| self.work(number, TilePlace { plane, level: 1, x, y }));
                    waiting.push_back((number, TilePlace { plane, level: 1, x, y }));
                }
                let Some((number, unit)) = waiting.pop_front() else { break Ok(()) };
                if let Err(error) = self.take(number, unit, &mut missing, sink) {
                    break Err(error);
                }
            };
            if outcome.is_err() {
                self.desk.lock().is_over = true;
            }
            outcome
        })
    }

    /// Waits for a unit and for the coarser tiles that it ends, and hands them on.
    fn take(
        &self,
        number: u64,
        unit: TilePlace,
        missing: &mut HashMap<TilePlace, u32>,
        sink: &mut dyn FnMut(&PackedTile) -> Result<()>,
    ) -> Result<()> {
        for tile in self.wait(|desk| desk.units.remove(&number))? {
            sink(&tile)?;
            self.give_back(tile.bytes);
        }
        let mut child = unit;
        while let Some(parent) = self.parent(child) {
            let left = missing.entry(parent).or_insert_with(|| self.child_count(parent));
            *left -= 1;
            if *left > 0 {
                break;
            }
            missing.remove(&parent);
            let tile = self.wait(|desk| desk.coarse.remove(&parent))?;
            sink(&tile)?;
            self.give_back(tile.bytes);
            child = parent;
        }
        Ok(())
    }

    fn wait<T>(&self, mut ready: impl FnMut(&mut Desk) -> Option<T>) -> Result<T> {
        let mut desk = self.desk.lock();
        loop {
            if let Some(error) = desk.failure.take() {
                return Err(error);
            }
            if let Some(found) = ready(&mut desk) {
                return Ok(found);
            }
            if desk.is_over {
                return Err(Error::Cancelled);
            }
            self.changed.wait(&mut desk);
        }
    }

    /// The place of the tile that a tile is halved into, if there is such a level.
    fn parent(&self, tile: TilePlace) -> Option<TilePlace> {
        (usize::from(tile.level) + 1 < self.levels.len()).then_some(TilePlace {
            level: tile.level + 1,
            x: tile.x / 2,
            y: tile.y / 2,
            ..tile
        })
    }

    fn child_count(&self, tile: TilePlace) -> u32 {
        let below = self.levels[usize::from(tile.level) - 1];
        let (across, down) = (below.width.div_ceil(self.side), below.height.div_ceil(self.side));
        (across - 2 * tile.x).min(2) * (down - 2 * tile.y).min(2)
    }

    /// The pixels of a tile that lie in its level.
    fn valid(&self, tile: TilePlace) -> Size {
        let level = self.levels[usize::from(tile.level)];
        let within = |size: u32, at: u32| (size - at * self.side).min(self.side);
        Size::new(within(level.width, tile.x), within(level.height, tile.y))
    }

    /// Makes one unit, on a worker.
    fn work(&self, number: u64, unit: TilePlace) {
        // Dropped without having been told the outcome, after a panic: nobody must wait for this unit.
        let mut end = UnitEnd { build: self, is_told: false };
        if !self.desk.lock().is_over
            && let Err(error) = self.cancel.check().and_then(|()| self.make_unit(number, unit))
        {
            let mut desk = self.desk.lock();
            desk.failure.get_or_insert(error);
            desk.is_over = true;
        }
        end.is_told = true;
        self.changed.notify_all();
    }

    fn make_unit(&self, number: u64, unit: TilePlace) -> Result<()> {
        let mut bench = self.bench()?;
        let double = 2 * self.side;
        let band = PixelRect::new(unit.x * double, unit.y * double, double, double).intersect(self.levels[0].rect());
        let bpp = self.format.bytes_per_px();
        let area = band.size().area() as usize;
        bench.band.resize(area * bpp, 0);
        bench.mask.resize(area, 0);
        let plane = self.planes[unit.plane as usize];
        let covered = self.source.read_band(plane, band, &mut bench.band, &mut bench.mask, self.cancel)?;
        let stride = band.width as usize * bpp;
        let mut tiles = Vec::new();
        for (dy, dx) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            let place = TilePlace { level: 0, x: 2 * unit.x + dx, y: 2 * unit.y + dy, ..unit };
            if dx * self.side >= band.width || dy * self.side >= band.height {
                continue;
            }
            let valid = self.valid(place);
            let from = (dy * self.side) as usize * stride + (dx * self.side) as usize * bpp;
            cut(&bench.band[from..], stride, valid, &mut bench.tile, self.side, bpp);
            tiles.push(self.packed(&mut bench, place, valid)?);
        }
        if self.levels.len() == 1 {
            self.tell(|desk| drop(desk.units.insert(number, tiles)));
            self.put_back(bench);
            return Ok(());
        }
        let mut square = Square { pixels: self.buffer(), mask: None };
        square.pixels.resize(self.format.tile_bytes(self.side), 0);
        match covered {
            Covered::Whole => {
                let to = (square.pixels.as_mut_slice(), self.side as usize * bpp);
                halve_area(self.format, (&bench.band, stride), band.size(), to);
            }
            Covered::Partly | Covered::Nothing => {
                if covered == Covered::Nothing {
                    bench.mask.fill(0);
                }
                let mut mask = vec![0; (self.side * self.side) as usize];
                let from = CoveredArea {
                    pixels: &bench.band[..],
                    stride,
                    coverage: &bench.mask[..],
                    coverage_stride: band.width as usize,
                };
                let mut to = CoveredArea {
                    pixels: &mut square.pixels[..],
                    stride: self.side as usize * bpp,
                    coverage: &mut mask[..],
                    coverage_stride: self.side as usize,
                };
                halve_covered_area(self.format, &from, band.size(), &mut to);
                square.mask = Some(mask);
            }
        }
        tiles.push(self.packed_square(&mut bench, unit, &mut square)?);
        self.tell(|desk| drop(desk.units.insert(number, tiles)));
        let outcome = self.carry_up(&mut bench, unit, square);
        self.put_back(bench);
        outcome
    }

    /// Halves a tile into its parent; where that has all its children now, packs it and goes on with it.
    fn carry_up(&self, bench: &mut Bench, mut child: TilePlace, mut square: Square) -> Result<()> {
        while let Some(place) = self.parent(child) {
            let open = self.open.lock().entry(place).or_insert_with(|| self.open_tile(place)).clone();
            let is_whole = {
                let mut open = open.lock();
                self.halve_into_quadrant(&square, child, &mut open);
                open.missing -= 1;
                open.missing == 0
            };
            self.give_back(square.pixels);
            if !is_whole {
                return Ok(());
            }
            drop(self.open.lock().remove(&place));
            let mut open = open.lock();
            square = Square { pixels: std::mem::take(&mut open.pixels), mask: open.mask.take() };
            drop(open);
            let tile = self.packed_square(bench, place, &mut square)?;
            self.tell(|desk| drop(desk.coarse.insert(place, tile)));
            child = place;
        }
        self.give_back(square.pixels);
        Ok(())
    }

    fn open_tile(&self, place: TilePlace) -> Arc<Mutex<OpenTile>> {
        let mut pixels = self.buffer();
        pixels.resize(self.format.tile_bytes(self.side), 0);
        Arc::new(Mutex::new(OpenTile { pixels, mask: None, missing: self.child_count(place) }))
    }

    fn halve_into_quadrant(&self, square: &Square, child: TilePlace, open: &mut OpenTile) {
        let (side, bpp) = (self.side as usize, self.format.bytes_per_px());
        let stride = side * bpp;
        let (column, row) = ((child.x % 2) as usize * side / 2, (child.y % 2) as usize * side / 2);
        let valid = self.valid(child);
        if square.mask.is_some() && open.mask.is_none() {
            // Children that came before this one were covered whole.
            open.mask = Some(vec![1; side * side]);
        }
        let pixels = &mut open.pixels[row * stride + column * bpp..];
        match (&square.mask, &mut open.mask) {
            (Some(mask), Some(parent_mask)) => {
                let from =
                    CoveredArea { pixels: &square.pixels[..], stride, coverage: &mask[..], coverage_stride: side };
                let mut to = CoveredArea {
                    pixels,
                    stride,
                    coverage: &mut parent_mask[row * side + column..],
                    coverage_stride: side,
                };
                halve_covered_area(self.format, &from, valid, &mut to);
            }
            // Where the parent has a mask already, it says that this quadrant is covered.
            _ => halve_area(self.format, (&square.pixels, stride), valid, (pixels, stride)),
        }
    }

    /// Packs a square, whose edges are repeated first.
    fn packed_square(&self, bench: &mut Bench, place: TilePlace, square: &mut Square) -> Result<PackedTile> {
        let valid = self.valid(place);
        repeat_edges(&mut square.pixels, self.side, valid, self.format.bytes_per_px());
        bench.tile.copy_from_slice(&square.pixels);
        self.packed(bench, place, valid)
    }

    /// Packs what lies in the bench's tile.
    fn packed(&self, bench: &mut Bench, place: TilePlace, valid: Size) -> Result<PackedTile> {
        let print = self.is_printed(place).then(|| {
            let lossless = !matches!(self.compression, TileCompression::Jpeg { .. });
            Print::of(&bench.tile, self.side, valid, self.format, lossless)
        });
        match (self.source.image().layout.kind, self.format) {
            (SampleKind::Signed, TileFormat::Gray8) => bench.tile.iter_mut().for_each(|v| *v ^= 0x80),
            (SampleKind::Signed, TileFormat::Gray16) => bench.tile.chunks_exact_mut(2).for_each(|v| {
                let shifted = u16::from_ne_bytes([v[0], v[1]]) ^ 0x8000;
                v.copy_from_slice(&shifted.to_ne_bytes());
            }),
            _ => {}
        }
        let mut bytes = self.buffer();
        bench.encoder.encode_into(&bench.tile, &mut bytes, self.path)?;
        Ok(PackedTile { place, bytes, print })
    }

    /// Whether a tile is among those that are read back.
    fn is_printed(&self, place: TilePlace) -> bool {
        let level = self.levels[usize::from(place.level)];
        let across = u64::from(level.width.div_ceil(self.side));
        let index = u64::from(place.y) * across + u64::from(place.x);
        self.print_step > 0 && index.is_multiple_of(self.print_step)
    }

    fn tell(&self, change: impl FnOnce(&mut Desk)) {
        change(&mut self.desk.lock());
        self.changed.notify_all();
    }

    fn bench(&self) -> Result<Bench> {
        if let Some(bench) = self.benches.lock().pop() {
            return Ok(bench);
        }
        let layout = self.source.image().layout;
        Ok(Bench {
            encoder: TileEncoder::new(self.compression, layout, self.side, self.path)?,
            band: Vec::new(),
            mask: Vec::new(),
            tile: vec![0; layout.tile_bytes(self.side)],
        })
    }

    fn put_back(&self, bench: Bench) {
        self.benches.lock().push(bench);
    }

    fn buffer(&self) -> Vec<u8> {
        self.spare.lock().pop().unwrap_or_default()
    }

    fn give_back(&self, buffer: Vec<u8>) {
        let mut spare = self.spare.lock();
        if spare.len() < MAX_SPARE_BUFFERS {
            spare.push(buffer);
        }
    }
}

/// Sees to it that a worker's panic does not leave the writer waiting.
struct UnitEnd<'a, 'b> {
    build: &'a Build<'b>,
    is_told: bool,
}

impl Drop for UnitEnd<'_, '_> {
    fn drop(&mut self) {
        if !self.is_told {
            self.build.tell(|desk| desk.is_over = true);
        }
    }
}
