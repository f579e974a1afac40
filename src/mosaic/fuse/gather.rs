//! From cells to pixels: which tiles of which fields are needed, and what becomes of those that are not there.

use super::blend::{Canvas, Input, make_cell};
use super::cells::{Cell, cells};
use super::reduced::Reduced;
use super::sampler::{Evening, Filter, Placement};
use crate::error::Result;
use crate::geom::{PixelRect, Point, Size};
use crate::mosaic::{Geometry, Illumination};
use crate::pixels::TileFormat;
use crate::pyramid::{Coverage, ImageInfo, PlaneId, Pyramid, TileKey, TilePixels};
use std::collections::BTreeMap;

/// A tile of a field, and how often it is halved beyond the field's own coarsest level.
pub type Needed = (TileKey, u8);

/// What is put together, and how.
#[derive(Clone, Copy)]
pub struct Recipe<'r> {
    /// The pyramid of fields.
    pub pyramid: &'r Pyramid,
    /// Where they stand.
    pub geometry: &'r Geometry,
    /// How they are evened out.
    pub illumination: Option<&'r Illumination>,
    /// Small pictures of fields.
    pub reduced: &'r Reduced,
    /// Channel, focus position and time point; the field plays no part.
    pub plane: PlaneId,
    /// The level of the mosaic.
    pub level: u8,
    /// Between pixels.
    pub filter: Filter,
}

/// What is there of a tile that is not whole.
pub enum Partly {
    /// Nothing, and it may come or not.
    Nothing(Lack),
    /// Some of it; what its coverage lacks may come or not.
    Some(TilePixels, Lack),
}

/// Why pixels are lacking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lack {
    /// They have not been decoded yet.
    Coming,
    /// They cannot be read.
    Unreadable,
}

/// What came of putting a rectangle together.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Pixels that will change when more has been decoded, in the level.
    pub coming: Vec<PixelRect>,
    /// Pixels for which nothing could be read, in the level.
    pub holes: Vec<PixelRect>,
    /// Whether there is any pixel of any field.
    pub some: bool,
}

/// A rectangle of the mosaic with all that it needs.
pub struct Work<'r> {
    recipe: Recipe<'r>,
    cells: Vec<Cell>,
    uses: Vec<Use>,
    /// For each tile, what is taken from it.
    takes: BTreeMap<Needed, Vec<Take>>,
    staged_bytes: usize,
}

/// One share of one cell.
struct Use {
    cell: usize,
    place: Placement,
    /// Where its window lies in the staging memory; `None` where it is copied straight to the canvas.
    staged: Option<usize>,
}

/// A part of a tile that a use takes.
struct Take {
    of: usize,
    /// The pixels, in the field's level.
    part: PixelRect,
}

impl<'r> Work<'r> {
    /// Finds out what a rectangle of the level needs.
    pub fn new(recipe: Recipe<'r>, rect: PixelRect) -> Self {
        let downsample = recipe.downsample();
        let cells = cells(recipe.geometry, downsample, rect);
        let mut work = Self { recipe, cells, uses: Vec::new(), takes: BTreeMap::new(), staged_bytes: 0 };
        let Some(image) = recipe.pyramid.image(0) else { return work };
        let Some(channel) = image.channels.get(recipe.plane.channel as usize) else { return work };
        let format = channel.format;
        let evened = recipe.illumination.is_some_and(|i| i.profile(recipe.plane.channel).is_some());
        for n in 0..work.cells.len() {
            let cell = &work.cells[n];
            let (rect, alone) = (cell.rect, cell.shares.len() == 1);
            for field in cell.shares.iter().map(|s| s.field).collect::<Vec<_>>() {
                work.add_use(n, field, rect, alone, evened, format);
            }
        }
        work
    }

    fn add_use(&mut self, cell: usize, field: u32, rect: PixelRect, alone: bool, evened: bool, format: TileFormat) {
        let recipe = self.recipe;
        let Some(image) = recipe.pyramid.image(field) else { return };
        let downsample = recipe.downsample();
        let (level, halvings) = field_level(image, recipe.level);
        let size = (0..halvings).fold(image.levels[level as usize].size, |size, _| size.halved());
        let corner = recipe.geometry.rect(field).min * (1.0 / downsample);
        let place = Placement::new(rect, corner, size, recipe.filter, evened);
        let staged = (!alone || evened || !place.is_copy()).then_some(self.staged_bytes);
        if staged.is_some() {
            self.staged_bytes += place.window.size().area() as usize * format.bytes_per_px();
        }
        let of = self.uses.len();
        let plane = PlaneId { field, ..recipe.plane };
        let window = place.window;
        if halvings > 0 {
            let key = TileKey { plane, level, x: 0, y: 0 };
            self.takes.entry((key, halvings)).or_default().push(Take { of, part: window });
        } else {
            let side = image.tile_side;
            for y in window.y / side..window.bottom().div_ceil(side) {
                for x in window.x / side..window.right().div_ceil(side) {
                    let part = PixelRect::new(x * side, y * side, side, side).intersect(window);
                    let key = TileKey { plane, level, x, y };
                    self.takes.entry((key, 0)).or_default().push(Take { of, part });
                }
            }
        }
        self.uses.push(Use { cell, place, staged });
    }

    /// The tiles of fields that it needs, with the place of each in the image.
    pub fn needed(&self) -> impl Iterator<Item = (TileKey, Point)> + '_ {
        self.takes.iter().map(|(&(key, _), takes)| {
            let rect = self.cells[self.uses[takes[0].of].cell].rect;
            let downsample = self.recipe.downsample();
            let at = |from: u32, length: u32| (f64::from(from) + f64::from(length) / 2.0) * downsample;
            (key, Point::new(at(rect.x, rect.width), at(rect.y, rect.height)))
        })
    }

    /// Puts it together on a canvas of zeros. `partly` is asked for tiles that are not in the store.
    pub fn make(&self, canvas: &mut Canvas<'_>, partly: &mut dyn FnMut(TileKey) -> Result<Partly>) -> Result<Outcome> {
        let mut outcome = Outcome::default();
        let mut staging = vec![0; self.staged_bytes];
        let mut lacks: Vec<Vec<PixelRect>> = vec![Vec::new(); self.uses.len()];
        for (&needed, takes) in &self.takes {
            self.take_all(needed, takes, canvas, &mut staging, &mut lacks, &mut outcome, partly)?;
        }
        if canvas.covered.is_some() {
            self.cells.iter().for_each(|cell| canvas.cover(cell.rect, true));
        }
        let mut first = 0;
        for (n, cell) in self.cells.iter().enumerate() {
            let count = self.uses[first..].iter().take_while(|u| u.cell == n).count();
            let uses = first..first + count;
            first += count;
            self.make_one(cell, uses, canvas, &staging, &lacks, &mut outcome);
        }
        Ok(outcome)
    }

    fn make_one(
        &self,
        cell: &Cell,
        uses: std::ops::Range<usize>,
        canvas: &mut Canvas<'_>,
        staging: &[u8],
        lacks: &[Vec<PixelRect>],
        outcome: &mut Outcome,
    ) {
        let format = canvas.format;
        let mut inputs = Vec::with_capacity(uses.len());
        for (n, share) in uses.clone().zip(&cell.shares) {
            let used = &self.uses[n];
            let Some(at) = used.staged else {
                for lacking in &lacks[n] {
                    canvas.clear(*lacking);
                    outcome.holes.push(*lacking);
                }
                return;
            };
            let bytes = used.place.window.size().area() as usize * format.bytes_per_px();
            let evening = self.recipe.illumination.map(|illumination| Evening {
                illumination,
                channel: self.recipe.plane.channel,
                field: self.recipe.geometry.fields[share.field as usize].size,
                downsample: self.recipe.downsample(),
            });
            inputs.push(Input { place: &used.place, bytes: &staging[at..at + bytes], evening, lacks: &lacks[n] });
        }
        if inputs.len() == cell.shares.len() {
            let blend = self.recipe.geometry.blend;
            make_cell(cell, &inputs, blend, self.recipe.downsample(), canvas, &mut |hole| outcome.holes.push(hole));
        }
    }

    /// Copies what is needed of one tile to where it is needed.
    #[allow(clippy::too_many_arguments, reason = "the parts of a work in hand, borrowed one by one")]
    fn take_all(
        &self,
        (key, halvings): Needed,
        takes: &[Take],
        canvas: &mut Canvas<'_>,
        staging: &mut [u8],
        lacks: &mut [Vec<PixelRect>],
        outcome: &mut Outcome,
        partly: &mut dyn FnMut(TileKey) -> Result<Partly>,
    ) -> Result<()> {
        let Some(image) = self.recipe.pyramid.image(key.plane.field) else { return Ok(()) };
        let side = image.tile_side;
        let format = canvas.format;
        let mut copy = |at: (u32, u32), stride: u32, bytes: &[u8]| {
            takes.iter().for_each(|take| self.copy(take, at, stride, bytes, canvas, staging));
        };
        if halvings > 0 {
            let found = self.recipe.reduced.of(self.recipe.pyramid, key, halvings, |small, stride| {
                copy((0, 0), stride, small);
            })?;
            if found {
                outcome.some = true;
                return Ok(());
            }
        } else {
            let at = (key.x * side, key.y * side);
            if self.recipe.pyramid.with_tile(key, |bytes| copy(at, side, bytes))?.is_some() {
                outcome.some = true;
                return Ok(());
            }
        }
        let (lack, coverage) = match partly(key)? {
            Partly::Nothing(lack) => (lack, Coverage(0)),
            Partly::Some(pixels, lack) => {
                outcome.some = true;
                let at = (key.x * side, key.y * side);
                if halvings > 0 {
                    let valid = image.tile_rect(key).size();
                    let small = super::reduced::halved(format, side, &pixels.bytes, valid, halvings);
                    copy((0, 0), side, &small);
                } else {
                    copy(at, side, &pixels.bytes);
                }
                (lack, pixels.coverage)
            }
        };
        for take in takes {
            let used = &self.uses[take.of];
            let rect = self.cells[used.cell].rect;
            for part in uncovered(coverage, key, side, halvings).map(|part| part.intersect(take.part)) {
                let touched = used.place.touched(rect, part);
                if part.is_empty() || touched.is_empty() {
                    continue;
                }
                lacks[take.of].push(touched);
                if lack == Lack::Coming {
                    outcome.coming.push(touched);
                }
            }
        }
        Ok(())
    }

    /// Copies one part; `at` is the pixel of the field's level at the first byte.
    fn copy(
        &self,
        take: &Take,
        at: (u32, u32),
        stride: u32,
        bytes: &[u8],
        canvas: &mut Canvas<'_>,
        staging: &mut [u8],
    ) {
        let used = &self.uses[take.of];
        let px_bytes = canvas.format.bytes_per_px();
        let (part, window) = (take.part, used.place.window);
        let row_bytes = part.width as usize * px_bytes;
        let rect = self.cells[used.cell].rect;
        for y in part.y..part.bottom() {
            let from = ((y - at.1) as usize * stride as usize + (part.x - at.0) as usize) * px_bytes;
            let row = &bytes[from..from + row_bytes];
            match used.staged {
                Some(staged) => {
                    let to = (y - window.y) as usize * window.width as usize + (part.x - window.x) as usize;
                    staging[staged + to * px_bytes..][..row_bytes].copy_from_slice(row);
                }
                // A copy: the window is the cell, pixel by pixel.
                None => {
                    canvas.row(rect.x + (part.x - window.x), rect.y + (y - window.y), part.width).copy_from_slice(row)
                }
            }
        }
    }
}

impl Recipe<'_> {
    /// Pixels of level 0 a pixel of the level.
    pub fn downsample(&self) -> f64 {
        f64::from(self.level).exp2()
    }
}

/// The level of a field that serves a level of the mosaic, and how often it has to be halved then.
fn field_level(image: &ImageInfo, level: u8) -> (u8, u8) {
    let own = level.min(image.levels.len().saturating_sub(1) as u8);
    (own, level - own)
}

/// The eighths of a tile that are not covered, in pixels of the field's level, halved so many times.
fn uncovered(coverage: Coverage, key: TileKey, side: u32, halvings: u8) -> impl Iterator<Item = PixelRect> {
    let eighth = side / Coverage::CELLS;
    let cells = (0..Coverage::CELLS).flat_map(|row| (0..Coverage::CELLS).map(move |column| (column, row)));
    let all = (coverage.0 == 0).then(|| PixelRect::new(key.x * side, key.y * side, side, side));
    let some =
        cells.filter(move |&(column, row)| coverage.0 != 0 && !coverage.has(column, row)).map(move |(column, row)| {
            PixelRect::new(key.x * side + column * eighth, key.y * side + row * eighth, eighth, eighth)
        });
    all.into_iter().chain(some).map(move |rect| {
        let shrink = |from: u32, to: u32| (from >> halvings, ((to - 1) >> halvings) + 1);
        let ((x, right), (y, bottom)) = (shrink(rect.x, rect.right()), shrink(rect.y, rect.bottom()));
        PixelRect::new(x, y, right - x, bottom - y)
    })
}

/// The eighths of a tile of the mosaic that some rectangles of its level leave whole.
pub fn coverage_without(rects: &[PixelRect], tile: PixelRect, side: u32) -> Coverage {
    let eighth = side / Coverage::CELLS;
    let mut cells = u64::MAX;
    for rect in rects.iter().map(|r| r.intersect(tile)).filter(|r| !r.is_empty()) {
        let columns = (rect.x - tile.x) / eighth..(rect.right() - tile.x).div_ceil(eighth);
        for row in (rect.y - tile.y) / eighth..(rect.bottom() - tile.y).div_ceil(eighth) {
            for column in columns.clone() {
                cells &= !(1 << (row * Coverage::CELLS + column));
            }
        }
    }
    Coverage(cells)
}

/// A square of zeros for a tile.
pub fn blank(format: TileFormat, size: Size) -> Vec<u8> {
    vec![0; size.area() as usize * format.bytes_per_px()]
}
