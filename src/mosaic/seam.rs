//! Who shows where: seams between fields, and the weights of a soft step across them.
//!
//! The seam of two overlapping fields is the **midline** of their overlap. It cuts across the side of the overlap that is
//! the thinner one as a share of the smaller field, so that neighbours in a row are parted by a vertical line, however
//! flat they are.
//! A place that several fields cover belongs to the one that has it on its own side of its midline with each of the
//! others; where three or more fields quarrel so that nobody wins, it belongs to the lowest number.
//! That is a function of the place alone, so it does not matter who asks: quads of moving fields, fused tiles and
//! exported bands agree to the pixel.
//!
//! Every edge is half open: a field covers `min <= p < max`, and a place on a midline belongs to the right or lower side.

use crate::geom::{Point, Rect};

/// A soft step is this wide on either side of a midline, in pixels of level 0, unless the overlap is thinner.
pub const FEATHER_PX: f64 = 32.0;

/// Across which axis a midline cuts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Across {
    /// A vertical line at an x.
    X,
    /// A horizontal line at a y.
    Y,
}

/// The line between two overlapping fields, as the first of them sees it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Midline {
    /// What it cuts.
    pub across: Across,
    /// Where.
    pub at: f64,
    /// Half the overlap's thickness.
    pub half: f64,
    /// Whether the first field has the side of lower coordinates.
    pub first_is_low: bool,
}

impl Midline {
    /// The midline of field `a` with field `b`, each a number and what it covers; `None` where they do not overlap.
    pub fn between(a: (u32, Rect), b: (u32, Rect)) -> Option<Self> {
        let overlap = a.1.intersect(b.1)?;
        let centre = overlap.center();
        let width = overlap.width() * a.1.height().min(b.1.height());
        let height = overlap.height() * a.1.width().min(b.1.width());
        let (across, at, half, a_at, b_at) = if width <= height {
            (Across::X, centre.x, overlap.width() / 2.0, a.1.min.x + a.1.max.x, b.1.min.x + b.1.max.x)
        } else {
            (Across::Y, centre.y, overlap.height() / 2.0, a.1.min.y + a.1.max.y, b.1.min.y + b.1.max.y)
        };
        let first_is_low = if a_at == b_at { a.0 < b.0 } else { a_at < b_at };
        Some(Self { across, at, half, first_is_low })
    }

    /// The ends of the line within the overlap of its fields.
    pub fn ends(&self, overlap: Rect) -> (Point, Point) {
        match self.across {
            Across::X => (Point::new(self.at, overlap.min.y), Point::new(self.at, overlap.max.y)),
            Across::Y => (Point::new(overlap.min.x, self.at), Point::new(overlap.max.x, self.at)),
        }
    }

    /// Whether a place lies on the first field's side.
    pub fn is_on_first_side(&self, p: Point) -> bool {
        let along = match self.across {
            Across::X => p.x,
            Across::Y => p.y,
        };
        (along < self.at) == self.first_is_low
    }

    /// The first field's weight at a coordinate: a ramp from 0 to 1 that is one half on the line and reaches `reach` px
    /// to either side.
    pub fn weight(&self, along: f64, reach: f64) -> f32 {
        let inwards = if self.first_is_low { self.at - along } else { along - self.at };
        if reach <= 0.0 {
            return if (along < self.at) == self.first_is_low { 1.0 } else { 0.0 };
        }
        (0.5 + inwards / (2.0 * reach)).clamp(0.0, 1.0) as f32
    }

    /// The part of `rect` on the other field's side.
    fn other_side(&self, rect: Rect) -> Rect {
        let mut cut = rect;
        match (self.across, self.first_is_low) {
            (Across::X, true) => cut.min.x = cut.min.x.max(self.at),
            (Across::X, false) => cut.max.x = cut.max.x.min(self.at),
            (Across::Y, true) => cut.min.y = cut.min.y.max(self.at),
            (Across::Y, false) => cut.max.y = cut.max.y.min(self.at),
        }
        cut
    }
}

/// Whether a rectangle covers a place.
pub fn covers(rect: Rect, p: Point) -> bool {
    p.x >= rect.min.x && p.x < rect.max.x && p.y >= rect.min.y && p.y < rect.max.y
}

/// The field that shows at a place, of some fields given in order; those that do not cover it play no part.
pub fn owner(p: Point, fields: impl Iterator<Item = (u32, Rect)>) -> Option<u32> {
    let there: Vec<(u32, Rect)> = fields.filter(|(_, rect)| covers(*rect, p)).collect();
    let wins = |a: &(u32, Rect)| {
        let mut others = there.iter().filter(|b| b.0 != a.0);
        others.all(|b| Midline::between(*a, *b).is_none_or(|m| m.is_on_first_side(p)))
    };
    there.iter().find(|a| wins(a)).or(there.first()).map(|a| a.0)
}

/// The part that shows `field`, as disjoint rectangles; `others` are all fields that overlap it.
pub fn owned_rects(field: (u32, Rect), others: &[(u32, Rect)]) -> Vec<Rect> {
    let mut owned = won(field, field.1, others);
    // Where it wins nothing it may still be the lowest number of those that quarrel.
    let mut quarrel = vec![field.1];
    owned.iter().for_each(|&rect| subtract(&mut quarrel, rect));
    others.iter().filter(|b| b.0 < field.0).for_each(|b| subtract(&mut quarrel, b.1));
    for &higher in others.iter().filter(|b| b.0 > field.0) {
        for piece in quarrel.clone() {
            let Some(piece) = piece.intersect(higher.1) else { continue };
            let rivals = others.iter().copied().filter(|b| b.0 != higher.0).chain([field]);
            let rivals: Vec<(u32, Rect)> = rivals.collect();
            won(higher, piece, &rivals).into_iter().for_each(|rect| subtract(&mut quarrel, rect));
        }
    }
    owned.append(&mut quarrel);
    merge(&mut owned);
    owned
}

/// The part of `piece` where `field`, which covers all of it, wins against each of the others.
fn won(field: (u32, Rect), piece: Rect, others: &[(u32, Rect)]) -> Vec<Rect> {
    let mut left = vec![piece];
    for &other in others {
        if let (Some(overlap), Some(midline)) = (field.1.intersect(other.1), Midline::between(field, other)) {
            subtract(&mut left, midline.other_side(overlap));
        }
    }
    left
}

/// Takes a hole out of disjoint rectangles.
fn subtract(rects: &mut Vec<Rect>, hole: Rect) {
    let mut parts = Vec::with_capacity(rects.len() + 3);
    for rect in rects.drain(..) {
        let Some(cut) = rect.intersect(hole) else {
            parts.push(rect);
            continue;
        };
        let around = [
            Rect::new(rect.min, Point::new(rect.max.x, cut.min.y)),
            Rect::new(Point::new(rect.min.x, cut.max.y), rect.max),
            Rect::new(Point::new(rect.min.x, cut.min.y), Point::new(cut.min.x, cut.max.y)),
            Rect::new(Point::new(cut.max.x, cut.min.y), Point::new(rect.max.x, cut.max.y)),
        ];
        parts.extend(around.into_iter().filter(|r| r.min.x < r.max.x && r.min.y < r.max.y));
    }
    *rects = parts;
}

/// Joins rectangles that share a whole edge, until no two do.
fn merge(rects: &mut Vec<Rect>) {
    let mut n = 0;
    while n < rects.len() {
        let one = rects[n];
        let joined = (n + 1..rects.len()).find_map(|m| {
            let two = rects[m];
            let side_by_side =
                one.min.y == two.min.y && one.max.y == two.max.y && (one.max.x == two.min.x || two.max.x == one.min.x);
            let stacked =
                one.min.x == two.min.x && one.max.x == two.max.x && (one.max.y == two.min.y || two.max.y == one.min.y);
            (side_by_side || stacked).then(|| (m, Rect::around([one.min, one.max, two.min, two.max])))
        });
        match joined {
            Some((m, Some(both))) => {
                rects.swap_remove(m);
                rects[n] = both;
                // The larger one may fit an earlier one now.
                n = 0;
            }
            _ => n += 1,
        }
    }
}

#[cfg(test)]
mod tests;
