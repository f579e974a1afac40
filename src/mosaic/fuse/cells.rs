//! Which fields make which pixels of a rectangle, and with what weights.
//!
//! A rectangle of one level is cut along the edges of fields, so that each cell is covered by the same ones, and those
//! covered by several along their midlines and the ends of soft steps, so that most cells show one field alone and are
//! plain copies.
//! What a pixel gets depends on its centre only, never on the rectangle it was asked for with.

use crate::geom::{PixelRect, Point, Rect};
use crate::mosaic::seam::{self, Across, FEATHER_PX, Midline};
use crate::mosaic::{Blend, Geometry};

/// A rectangle with more fields than this is cut in four first: cutting along all edges at once would be quadratic.
const MAX_FIELDS_AT_ONCE: usize = 16;

/// A rectangle this small is not cut in four any more, in pixels.
const LEAST_SIDE_PX: u32 = 8;

/// Some pixels that are made from the same fields.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    /// The pixels, of the level.
    pub rect: PixelRect,
    /// The fields, in order; one alone is copied as it is.
    pub shares: Vec<Share>,
}

/// What one field gives to a cell.
#[derive(Debug, Clone, PartialEq)]
pub struct Share {
    /// The field.
    pub field: u32,
    /// Its weight: the product of these ramps, each with its reach in pixels of level 0.
    pub ramps: Vec<(Midline, f64)>,
}

/// The cells of a rectangle of a level whose pixels are `downsample` pixels of level 0 a side. Where no field is there is
/// no cell.
pub fn cells(geometry: &Geometry, downsample: f64, rect: PixelRect) -> Vec<Cell> {
    let mut cells = Vec::new();
    if !rect.is_empty() {
        let fields = geometry.fields_in(image_rect(rect, downsample));
        let fields: Vec<(u32, Rect)> = fields.into_iter().map(|f| (f, geometry.rect(f))).collect();
        Cutter { blend: geometry.blend, downsample, cells: &mut cells }.cut(rect, &fields);
    }
    cells
}

/// The place of a rectangle of a level in the image.
pub fn image_rect(rect: PixelRect, downsample: f64) -> Rect {
    let at = |x: u32, y: u32| Point::new(f64::from(x) * downsample, f64::from(y) * downsample);
    Rect::new(at(rect.x, rect.y), at(rect.right(), rect.bottom()))
}

struct Cutter<'c> {
    blend: Blend,
    downsample: f64,
    cells: &'c mut Vec<Cell>,
}

impl Cutter<'_> {
    fn cut(&mut self, rect: PixelRect, fields: &[(u32, Rect)]) {
        if fields.len() > MAX_FIELDS_AT_ONCE && rect.width.max(rect.height) > LEAST_SIDE_PX {
            let (left, top) = (rect.width.div_ceil(2), rect.height.div_ceil(2));
            for part in [
                PixelRect::new(rect.x, rect.y, left, top),
                PixelRect::new(rect.x + left, rect.y, rect.width - left, top),
                PixelRect::new(rect.x, rect.y + top, left, rect.height - top),
                PixelRect::new(rect.x + left, rect.y + top, rect.width - left, rect.height - top),
            ] {
                let place = image_rect(part, self.downsample);
                let inside: Vec<_> = fields.iter().copied().filter(|f| f.1.intersect(place).is_some()).collect();
                if !part.is_empty() && !inside.is_empty() {
                    self.cut(part, &inside);
                }
            }
            return;
        }
        let first = self.cells.len();
        let across = (rect.x, rect.right());
        let down = (rect.y, rect.bottom());
        let xs = self.cuts(across, fields.iter().flat_map(|f| [f.1.min.x, f.1.max.x]));
        let ys = self.cuts(down, fields.iter().flat_map(|f| [f.1.min.y, f.1.max.y]));
        for y in ys.windows(2) {
            let mut run: Option<(PixelRect, Vec<(u32, Rect)>)> = None;
            for x in xs.windows(2) {
                let block = PixelRect::new(x[0], y[0], x[1] - x[0], y[1] - y[0]);
                let centre = self.centre(block.x, block.y);
                let there: Vec<_> = fields.iter().copied().filter(|f| seam::covers(f.1, centre)).collect();
                match &mut run {
                    Some((run, fields)) if *fields == there => run.width += block.width,
                    _ => {
                        if let Some((run, fields)) = run.replace((block, there)) {
                            self.cut_overlap(run, &fields);
                        }
                    }
                }
            }
            if let Some((run, fields)) = run {
                self.cut_overlap(run, &fields);
            }
        }
        self.stack(first);
    }

    /// Cuts a block that is covered by the same fields everywhere.
    fn cut_overlap(&mut self, block: PixelRect, fields: &[(u32, Rect)]) {
        let alone = |field: u32| vec![Share { field, ramps: Vec::new() }];
        if fields.is_empty() {
            return;
        }
        if fields.len() == 1 || matches!(self.blend, Blend::Average | Blend::Maximum) {
            let shares = fields.iter().flat_map(|f| alone(f.0)).collect();
            self.cells.push(Cell { rect: block, shares });
            return;
        }
        let shares: Vec<Share> = fields
            .iter()
            .map(|&one| {
                let others = fields.iter().filter(|other| other.0 != one.0);
                let ramps = others.filter_map(|&other| Midline::between(one, other)).map(|m| (m, self.reach(&m)));
                Share { field: one.0, ramps: ramps.collect() }
            })
            .collect();
        let ends = |across: Across| {
            let ramps = shares.iter().flat_map(|s| &s.ramps).filter(move |(m, _)| m.across == across);
            ramps.flat_map(|(m, reach)| [m.at - reach, m.at, m.at + reach])
        };
        let xs = self.cuts((block.x, block.right()), ends(Across::X));
        let ys = self.cuts((block.y, block.bottom()), ends(Across::Y));
        for y in ys.windows(2) {
            let first = self.cells.len();
            for x in xs.windows(2) {
                let rect = PixelRect::new(x[0], y[0], x[1] - x[0], y[1] - y[0]);
                // In its middle no ramp is at its very end.
                let centre = self.centre(rect.x + rect.width / 2, rect.y + rect.height / 2);
                let mut there: Vec<Share> =
                    shares.iter().filter(|share| weight(share, centre) > 0.0).cloned().collect();
                if there.len() < 2 {
                    let only = there.first().map(|s| s.field).or_else(|| seam::owner(centre, fields.iter().copied()));
                    there = only.map(alone).unwrap_or_default();
                }
                match self.cells[first..].last_mut() {
                    Some(last) if last.shares == there && last.rect.right() == rect.x => last.rect.width += rect.width,
                    _ => self.cells.push(Cell { rect, shares: there }),
                }
            }
        }
    }

    /// Joins cells that lie under each other and are made alike, from the `first` on.
    fn stack(&mut self, first: usize) {
        let mut kept = first;
        for n in first..self.cells.len() {
            let rect = self.cells[n].rect;
            let above = (first..kept).rev().find(|&k| {
                let a = self.cells[k].rect;
                a.x == rect.x && a.width == rect.width && a.bottom() == rect.y
            });
            match above.filter(|&k| self.cells[k].shares == self.cells[n].shares) {
                Some(k) => self.cells[k].rect.height += rect.height,
                None => {
                    self.cells.swap(kept, n);
                    kept += 1;
                }
            }
        }
        self.cells.truncate(kept);
    }

    /// How far a soft step reaches to either side of a midline, in pixels of level 0.
    fn reach(&self, midline: &Midline) -> f64 {
        match self.blend {
            Blend::Feather => midline.half.min(FEATHER_PX),
            Blend::Linear => midline.half,
            Blend::Average | Blend::Maximum | Blend::None => 0.0,
        }
    }

    /// A range of pixels cut at places of the image: the first pixel whose centre is not before a place begins a part.
    fn cuts(&self, (from, to): (u32, u32), places: impl Iterator<Item = f64>) -> Vec<u32> {
        let mut cuts = vec![from, to];
        for place in places {
            let at = (place / self.downsample - 0.5).ceil();
            if at > f64::from(from) && at < f64::from(to) {
                cuts.push(at as u32);
            }
        }
        cuts.sort_unstable();
        cuts.dedup();
        cuts
    }

    /// The place of a pixel's centre in the image.
    fn centre(&self, x: u32, y: u32) -> Point {
        Point::new((f64::from(x) + 0.5) * self.downsample, (f64::from(y) + 0.5) * self.downsample)
    }
}

fn weight(share: &Share, p: Point) -> f32 {
    let along = |across: Across| if across == Across::X { p.x } else { p.y };
    share.ramps.iter().map(|(m, reach)| m.weight(along(m.across), *reach)).product()
}
