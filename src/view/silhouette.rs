//! Where a mosaic has image at all.
//!
//! A fused tile is a whole square, and what lies outside of all fields is no image: the canvas shows there.

use crate::geom::{Point, Rect};
use crate::mosaic::Geometry;
use rustc_hash::FxHashMap;
use std::cell::RefCell;
use std::rc::Rc;

/// Outlines remembered; a screen has some hundred cells of a level.
const MAX_REMEMBERED: usize = 4096;
/// An outline of more parts than this a cell is that of fields of a few screen pixels: the cell is drawn whole.
const MAX_PARTS: usize = 256;

/// A part of an image that there is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Part {
    /// Where.
    pub rect: Rect,
    /// Which of its edges (left, top, right, bottom) are edges of all that there is: the samples beyond are no image, and
    /// are not mixed into those within.
    pub ends: [bool; 4],
}

impl Part {
    /// A part that goes on beyond its edges, or whose tiles end there.
    pub fn inner(rect: Rect) -> Self {
        Self { rect, ends: [false; 4] }
    }
}

/// The parts of an image that there are; outside of them nothing is drawn.
pub trait Outline {
    /// The parts of a rectangle of the image that there are, disjoint; `None`: all of it.
    fn parts(&self, rect: Rect) -> Option<Rc<[Part]>>;
}

/// What is known of the parts of rectangles, by the bits of their corners.
pub(super) type KnownParts = RefCell<FxHashMap<[u64; 4], Option<Rc<[Part]>>>>;

/// The outline of all fields of a mosaic.
pub struct Silhouette<'a> {
    geometry: &'a Geometry,
    known: &'a KnownParts,
}

impl<'a> Silhouette<'a> {
    /// The outline under a geometry; `known` was made under the same one.
    pub(super) fn new(geometry: &'a Geometry, known: &'a KnownParts) -> Self {
        Self { geometry, known }
    }
}

impl Outline for Silhouette<'_> {
    fn parts(&self, rect: Rect) -> Option<Rc<[Part]>> {
        let key = [rect.min.x, rect.min.y, rect.max.x, rect.max.y].map(f64::to_bits);
        if let Some(parts) = self.known.borrow().get(&key) {
            return parts.clone();
        }
        let parts = parts_of(self.geometry, rect);
        let mut known = self.known.borrow_mut();
        if known.len() >= MAX_REMEMBERED {
            known.clear();
        }
        known.insert(key, parts.clone());
        parts
    }
}

/// The outline of a mosaic for one picture.
pub struct GeometryOutline {
    geometry: std::sync::Arc<Geometry>,
    known: KnownParts,
}

impl GeometryOutline {
    /// The outline under a geometry.
    pub fn new(geometry: std::sync::Arc<Geometry>) -> Self {
        Self { geometry, known: RefCell::default() }
    }
}

impl Outline for GeometryOutline {
    fn parts(&self, rect: Rect) -> Option<Rc<[Part]>> {
        Silhouette::new(&self.geometry, &self.known).parts(rect)
    }
}

fn parts_of(geometry: &Geometry, rect: Rect) -> Option<Rc<[Part]>> {
    let fields: Vec<Rect> =
        geometry.fields_in(rect).into_iter().filter_map(|field| geometry.rect(field).intersect(rect)).collect();
    let parts = union(&fields);
    let is_whole = parts.len() == 1 && parts[0] == rect;
    (!is_whole && parts.len() <= MAX_PARTS)
        .then(|| parts.iter().flat_map(|part| ends_of(*part, &parts, rect)).collect())
}

/// A band with what is known of its edges within `bounds`: cut where the bands above and below begin and end, so that each
/// edge is an end as a whole or not at all.
fn ends_of(band: Rect, bands: &[Rect], bounds: Rect) -> impl Iterator<Item = Part> {
    let touching = |at: f64, edge: fn(&Rect) -> f64| {
        let meets = move |other: &&Rect| edge(other) == at && other.min.x < band.max.x && other.max.x > band.min.x;
        bands.iter().filter(meets).copied().collect::<Vec<Rect>>()
    };
    let above = touching(band.min.y, |other| other.max.y);
    let below = touching(band.max.y, |other| other.min.y);
    let mut cuts: Vec<f64> = above.iter().chain(&below).flat_map(|other| [other.min.x, other.max.x]).collect();
    cuts.retain(|&x| x > band.min.x && x < band.max.x);
    cuts.extend([band.min.x, band.max.x]);
    cuts.sort_unstable_by(f64::total_cmp);
    cuts.dedup();
    let pieces: Vec<Part> = cuts
        .windows(2)
        .map(|x| {
            let goes_on = |others: &[Rect]| others.iter().any(|other| other.min.x <= x[0] && other.max.x >= x[1]);
            let ends = [
                x[0] == band.min.x && x[0] > bounds.min.x,
                band.min.y > bounds.min.y && !goes_on(&above),
                x[1] == band.max.x && x[1] < bounds.max.x,
                band.max.y < bounds.max.y && !goes_on(&below),
            ];
            Part { rect: Rect::new(Point::new(x[0], band.min.y), Point::new(x[1], band.max.y)), ends }
        })
        .collect();
    pieces.into_iter()
}

/// Disjoint rectangles that cover what some rectangles cover: from top to bottom, each band as high as it can be.
fn union(rects: &[Rect]) -> Vec<Rect> {
    let mut edges: Vec<f64> = rects.iter().flat_map(|r| [r.min.y, r.max.y]).collect();
    edges.sort_unstable_by(f64::total_cmp);
    edges.dedup();
    let mut by_top: Vec<Rect> = rects.to_vec();
    by_top.sort_unstable_by(|a, b| a.min.y.total_cmp(&b.min.y));
    let mut coming = by_top.into_iter().peekable();
    let mut active: Vec<Rect> = Vec::new();
    let mut parts: Vec<Rect> = Vec::new();
    // The band that may still grow: where its parts begin.
    let mut band = 0;
    for pair in edges.windows(2) {
        let (top, bottom) = (pair[0], pair[1]);
        active.retain(|r| r.max.y > top);
        while let Some(rect) = coming.next_if(|r| r.min.y <= top) {
            let at = active.partition_point(|r| r.min.x < rect.min.x);
            active.insert(at, rect);
        }
        let start = parts.len();
        for rect in &active {
            match parts[start..].last_mut() {
                Some(last) if rect.min.x <= last.max.x => last.max.x = last.max.x.max(rect.max.x),
                _ => parts.push(Rect::new(Point::new(rect.min.x, top), Point::new(rect.max.x, bottom))),
            }
        }
        let (above, here) = (&parts[band..start], &parts[start..]);
        let continues = above.len() == here.len()
            && above.iter().zip(here).all(|(a, h)| a.min.x == h.min.x && a.max.x == h.max.x && a.max.y == top);
        if continues && !here.is_empty() {
            parts.truncate(start);
            parts[band..].iter_mut().for_each(|part| part.max.y = bottom);
        } else {
            band = start;
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mosaic::seam::covers;
    use crate::view::fixtures::Random;

    fn rect(x: f64, y: f64, width: f64, height: f64) -> Rect {
        Rect::new(Point::new(x, y), Point::new(x + width, y + height))
    }

    #[test]
    fn a_union_covers_every_point_of_its_rectangles_once_and_no_other() {
        let mut random = Random(9);
        for round in 0..60 {
            let mut rects = Vec::new();
            for _ in 0..1 + round % 9 {
                let side = |random: &mut Random| (random.unit() * 6.0).floor() + 1.0;
                let at = |random: &mut Random| (random.unit() * 12.0).floor();
                rects.push(rect(at(&mut random), at(&mut random), side(&mut random), side(&mut random)));
            }
            let parts = union(&rects);
            for (x, y) in (0..20).flat_map(|y| (0..20).map(move |x| (f64::from(x) + 0.5, f64::from(y) + 0.5))) {
                let p = Point::new(x, y);
                let there = usize::from(rects.iter().any(|r| covers(*r, p)));
                assert_eq!(parts.iter().filter(|r| covers(**r, p)).count(), there, "{rects:?} at {p:?}");
            }
        }
    }

    #[test]
    fn an_edge_of_a_part_is_an_end_where_nothing_lies_beyond_it() {
        let mut random = Random(4);
        let bounds = rect(0.0, 0.0, 16.0, 16.0);
        for _ in 0..60 {
            let at = |random: &mut Random| (random.unit() * 12.0).floor();
            let fields: Vec<Rect> = (0..5)
                .map(|_| rect(at(&mut random), at(&mut random), 6.0, 5.0))
                .filter_map(|field| field.intersect(bounds))
                .collect();
            let bands = union(&fields);
            let parts: Vec<Part> = bands.iter().flat_map(|band| ends_of(*band, &bands, bounds)).collect();
            let there = |p: Point| fields.iter().any(|field| covers(*field, p));
            for part in &parts {
                let middle = part.rect.center();
                let (min, max) = (part.rect.min, part.rect.max);
                let beyond = [
                    Point::new(min.x - 0.5, middle.y),
                    Point::new(middle.x, min.y - 0.5),
                    Point::new(max.x + 0.5, middle.y),
                    Point::new(middle.x, max.y + 0.5),
                ];
                for (ends, p) in part.ends.iter().zip(beyond) {
                    assert_eq!(*ends, covers(bounds, p) && !there(p), "{part:?} of {fields:?}");
                }
            }
        }
    }

    #[test]
    fn fields_that_leave_no_gap_are_one_part() {
        let grid = |step: f64| -> Vec<Rect> {
            (0..6)
                .flat_map(|y| (0..6).map(move |x| rect(f64::from(x) * step, f64::from(y) * step, 10.0, 10.0)))
                .collect()
        };
        assert_eq!(union(&grid(9.0)), [rect(0.0, 0.0, 55.0, 55.0)]);
        assert_eq!(union(&grid(12.0)).len(), 36);
        assert!(union(&[]).is_empty());
    }
}
