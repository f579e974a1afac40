//! Fusing: tiles and bands of the mosaic from the fields' own tiles.
//!
//! For the window a tile of level n samples the fields' own tiles of level n at their exact places, bilinearly and never
//! rounded, so that nothing jumps between levels; level 0 under [`Placement::Whole`] is the fields' samples themselves.
//! Exports take bands of level 0, bit by bit the same whatever rectangles they are cut into, and derive their levels from
//! those.
//!
//! What no field covers is zero, and drawn as black. For a band, what is covered is told by a mask, never by the pixels.
//! A tile of the window only says which eighths lack pixels that a field would have.

mod blend;
mod cells;
mod gather;
mod reduced;
mod sampler;

pub use reduced::Reduced;

use super::{Geometry, Illumination, MOSAIC_TILE_SIDE, Placement};
use crate::error::{Error, Result};
use crate::geom::{PixelRect, Point, Size};
use crate::pixels::TileFormat;
use crate::pyramid::{
    Cancel, Gaps, LevelInfo, LevelOrigin, Loaded, Made, PlaneId, Pyramid, Step, TileKey, TilePixels, children,
};
use blend::Canvas;
use gather::{Lack, Partly, Recipe, Work, blank, coverage_without};
use sampler::Filter;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How long a band waits for another thread that decodes a field before it looks again.
const WAIT: Duration = Duration::from_millis(20);

/// Tiles that one step derives at most, if it decodes nothing: a few milliseconds of work.
const MAX_DERIVED_A_STEP: u32 = 32;

/// Times that a band decodes a field again which the store gave up meanwhile.
const MAX_TRIES: usize = 8;

/// Puts fields together under one geometry. Cheap to make; the work is in its calls.
#[derive(Clone)]
pub struct Fuser<'p> {
    pyramid: &'p Pyramid,
    geometry: Arc<Geometry>,
    illumination: Option<Arc<Illumination>>,
    reduced: Arc<Reduced>,
    levels: Arc<[LevelInfo]>,
}

/// Some pixels of level 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Band {
    /// Which.
    pub rect: PixelRect,
    /// How they are laid out.
    pub format: TileFormat,
    /// The pixels, rows without padding; zero where there is none.
    pub bytes: Vec<u8>,
    /// 1 for each pixel that a field gave, else 0.
    pub covered: Vec<u8>,
    /// Parts that fields have and that cannot be read; not covered.
    pub holes: Vec<PixelRect>,
}

/// What is at a place of the mosaic.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadOut {
    /// The field that shows there.
    pub field: u32,
    /// The pixel of that field, column and row.
    pub at: (u32, u32),
    /// The file's own values.
    pub stored: Vec<f64>,
    /// The same evened out, where that is switched on.
    pub corrected: Option<Vec<f64>>,
}

impl<'p> Fuser<'p> {
    /// Fuses the fields of `pyramid`, evened out where there are profiles.
    pub fn new(pyramid: &'p Pyramid, geometry: Arc<Geometry>, illumination: Option<Arc<Illumination>>) -> Self {
        let levels = geometry.levels().into();
        Self { pyramid, geometry, illumination, reduced: Arc::default(), levels }
    }

    /// Shares small pictures of fields with other fusers of the same pyramid: keep one [`Reduced`] a mosaic.
    pub fn with_reduced(mut self, reduced: Arc<Reduced>) -> Self {
        self.reduced = reduced;
        self
    }

    /// Where the fields stand.
    pub fn geometry(&self) -> &Arc<Geometry> {
        &self.geometry
    }

    /// Brings a tile if all that it needs is in the store; never decodes.
    ///
    /// The tile is final: where its coverage is not full, the rest cannot be read. [`Loaded::Later`] where something is
    /// still missing: see [`Self::step_towards`] and [`Self::provisional`].
    pub fn load(&self, key: TileKey) -> Result<Loaded> {
        let Some(tile) = self.tile(key)? else { return Ok(Loaded::Failed("there is no such tile".into())) };
        Ok(match tile.state {
            State::Final => Loaded::Tile(tile.pixels),
            State::Unreadable => Loaded::Failed(self.reason(key)),
            State::Coming => Loaded::Later(Made::NotYet),
        })
    }

    /// A tile from what is there of its fields; `None` where nothing is. For the eye only: its coverage says where
    /// something is missing.
    pub fn provisional(&self, key: TileKey) -> Result<Option<TilePixels>> {
        Ok(self.tile(key)?.filter(|tile| tile.some).map(|tile| tile.pixels))
    }

    /// Whether all that a tile needs is in the store.
    pub fn is_ready(&self, key: TileKey) -> bool {
        self.work(key).is_some_and(|(work, _)| work.needed().all(|(needed, _)| self.pyramid.is_ready(needed)))
    }

    /// The tiles of fields that a tile still needs, those nearest to its middle first.
    pub fn missing(&self, key: TileKey) -> Vec<TileKey> {
        let Some((work, rect)) = self.work(key) else { return Vec::new() };
        let middle = cells::image_rect(rect, f64::from(key.level).exp2()).center();
        let mut missing: Vec<(TileKey, Point)> =
            work.needed().filter(|(needed, _)| !self.pyramid.is_ready(*needed)).collect();
        missing.sort_by(|a, b| a.1.distance(middle).total_cmp(&b.1.distance(middle)).then(a.0.cmp(&b.0)));
        missing.into_iter().map(|(needed, _)| needed).collect()
    }

    /// Makes one part of what a tile needs, nearest to its middle first: decodes one unit of a field, or derives a few of
    /// its tiles. The fields' side of [`Pyramid::step_towards`].
    pub fn step_towards(&self, key: TileKey, cancel: &Cancel) -> Result<Step> {
        let (mut busy, mut incomplete) = (false, false);
        let units_before = self.pyramid.units_decoded();
        let mut steps = 0;
        for needed in self.missing(key) {
            loop {
                match self.pyramid.step_towards(needed, cancel)? {
                    Step::Ready => break,
                    Step::Progressed => steps += 1,
                    Step::Busy => {
                        busy = true;
                        break;
                    }
                    Step::Incomplete => {
                        incomplete = true;
                        break;
                    }
                }
                // To find out what a tile needs is dearer than to derive one of those.
                if steps >= MAX_DERIVED_A_STEP || self.pyramid.units_decoded() != units_before {
                    return Ok(Step::Progressed);
                }
            }
        }
        Ok(match (steps, busy, incomplete) {
            (1.., _, _) => Step::Progressed,
            (_, true, _) => Step::Busy,
            (_, _, true) => Step::Incomplete,
            _ => Step::Ready,
        })
    }

    /// Some pixels of level 0, decoding what is not in the store. The field of `plane` plays no part.
    pub fn band(&self, plane: PlaneId, rect: PixelRect, cancel: &Cancel) -> Result<Band> {
        let rect = rect.intersect(self.geometry.size.rect());
        let format = self.format(plane).unwrap_or(TileFormat::Gray8);
        let work = Work::new(self.recipe(plane, 0), rect);
        for _ in 0..MAX_TRIES {
            for (key, _) in work.needed() {
                self.bring(key, cancel)?;
            }
            cancel.check()?;
            let mut bytes = blank(format, rect.size());
            let mut covered = vec![0; rect.size().area() as usize];
            let mut canvas = Canvas {
                format,
                at: (rect.x, rect.y),
                stride: rect.width as usize,
                bytes: &mut bytes,
                covered: Some(&mut covered),
            };
            let outcome = work.make(&mut canvas, &mut |key| self.partly(key))?;
            // The store may have given a field up in between.
            if outcome.coming.is_empty() {
                return Ok(Band { rect, format, bytes, covered, holes: outcome.holes });
            }
        }
        let what = "the cache gives fields up faster than they can be put together, give it more room and try again";
        Err(Error::too_large(what, Path::new("the mosaic")))
    }

    /// What is at a pixel of level 0; `None` outside of all fields. The field of `plane` plays no part.
    pub fn sample(&self, plane: PlaneId, x: u32, y: u32) -> Result<Option<ReadOut>> {
        let place = Point::new(f64::from(x) + 0.5, f64::from(y) + 0.5);
        let Some(field) = self.geometry.owner(place) else { return Ok(None) };
        let (rect, size) = (self.geometry.rect(field), self.geometry.fields[field as usize].size);
        let at = (place.x - rect.min.x, place.y - rect.min.y);
        let at = ((at.0 as u32).min(size.width - 1), (at.1 as u32).min(size.height - 1));
        let plane = PlaneId { field, ..plane };
        let Some(stored) = self.pyramid.sample(plane, at.0, at.1)? else { return Ok(None) };
        let corrected = match &self.illumination {
            Some(illumination) if illumination.profile(plane.channel).is_some() => {
                let coding = self.pyramid.source().coding(plane)?;
                let correct = |value: &f64| {
                    let mut sample = [coding.stored(*value) as f32];
                    let (x, y) = (f64::from(at.0) + 0.5, f64::from(at.1) + 0.5);
                    illumination.correct(plane.channel, size, x, y, 1.0, &mut sample);
                    coding.value(f64::from(sample[0]))
                };
                Some(stored.iter().map(correct).collect())
            }
            _ => None,
        };
        Ok(Some(ReadOut { field, at, stored, corrected }))
    }

    fn recipe(&self, plane: PlaneId, level: u8) -> Recipe<'_> {
        let filter = match (level, self.geometry.placement) {
            (0, Placement::SubPixel) => Filter::Lanczos3,
            _ => Filter::Linear,
        };
        Recipe {
            pyramid: self.pyramid,
            geometry: &self.geometry,
            illumination: self.illumination.as_deref(),
            reduced: &self.reduced,
            plane,
            level,
            filter,
        }
    }

    fn format(&self, plane: PlaneId) -> Option<TileFormat> {
        Some(self.pyramid.image(0)?.channels.get(plane.channel as usize)?.format)
    }

    /// What a tile of the mosaic is made from, and its pixels in its level.
    fn work(&self, key: TileKey) -> Option<(Work<'_>, PixelRect)> {
        let level = self.levels.get(key.level as usize)?;
        let side = MOSAIC_TILE_SIDE;
        let rect = PixelRect::new(key.x.saturating_mul(side), key.y.saturating_mul(side), side, side)
            .intersect(level.size.rect());
        if rect.is_empty() {
            return None;
        }
        Some((Work::new(self.recipe(key.plane, key.level), rect), rect))
    }

    fn tile(&self, key: TileKey) -> Result<Option<Fused>> {
        let (Some((work, rect)), Some(format)) = (self.work(key), self.format(key.plane)) else { return Ok(None) };
        let side = MOSAIC_TILE_SIDE;
        let mut bytes = blank(format, Size::new(side, side));
        let mut canvas =
            Canvas { format, at: (rect.x, rect.y), stride: side as usize, bytes: &mut bytes, covered: None };
        let outcome = work.make(&mut canvas, &mut |needed| self.partly(needed))?;
        let coming = !outcome.coming.is_empty();
        let nothing = !outcome.some && !outcome.holes.is_empty();
        let lacking: Vec<PixelRect> = outcome.coming.iter().chain(&outcome.holes).copied().collect();
        let pixels = TilePixels {
            set: self.pyramid.set(),
            key,
            format,
            side,
            valid: rect.size(),
            coverage: coverage_without(&lacking, rect, side),
            gaps: if coming { Gaps::Coming } else { Gaps::Unreadable },
            generation: self.geometry.generation,
            bytes,
        };
        let state = match (coming, nothing) {
            (true, _) => State::Coming,
            (false, true) => State::Unreadable,
            (false, false) => State::Final,
        };
        Ok(Some(Fused { pixels, state, some: !nothing }))
    }

    /// What is there of a tile that is not in the store.
    fn partly(&self, key: TileKey) -> Result<Partly> {
        let lack = self.lack(key);
        Ok(match self.pyramid.provisional(key)? {
            Some(pixels) => Partly::Some(pixels, lack),
            None => Partly::Nothing(lack),
        })
    }

    /// Why a tile is not in the store: everything beneath one that is final was tried.
    fn lack(&self, key: TileKey) -> Lack {
        if self.pyramid.failure(key).is_some() {
            return Lack::Unreadable;
        }
        let Some(image) = self.pyramid.image(key.plane.field) else { return Lack::Unreadable };
        if image.levels[key.level as usize].origin != LevelOrigin::Derived {
            return Lack::Coming;
        }
        let mut failed = false;
        for child in children(image, key).filter(|&child| !self.pyramid.is_ready(child)) {
            match self.lack(child) {
                Lack::Coming => return Lack::Coming,
                Lack::Unreadable => failed = true,
            }
        }
        if failed { Lack::Unreadable } else { Lack::Coming }
    }

    /// Why nothing of a tile can be read, in words.
    fn reason(&self, key: TileKey) -> String {
        let first = self.missing(key).into_iter().find_map(|needed| self.pyramid.failure(needed));
        first.unwrap_or_else(|| "nothing beneath it can be read".into())
    }

    /// Has a tile of level 0 decoded unless it cannot be.
    fn bring(&self, key: TileKey, cancel: &Cancel) -> Result<()> {
        while !self.pyramid.is_ready(key) {
            cancel.check()?;
            match self.pyramid.fill(key, &|_| cancel.check(), cancel)? {
                Made::Ready | Made::Incomplete => return Ok(()),
                Made::Busy | Made::NotYet => self.pyramid.wait_for_release(WAIT),
            }
        }
        Ok(())
    }
}

/// A tile of the mosaic as far as it can be made.
struct Fused {
    pixels: TilePixels,
    state: State,
    /// Whether there is anything to see.
    some: bool,
}

/// What a tile is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// All there will be.
    Final,
    /// More will come.
    Coming,
    /// Nothing of it can be read.
    Unreadable,
}

#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_partial;
