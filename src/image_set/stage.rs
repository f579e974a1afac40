//! From places of the stage to pixels, and from pixels to regions.

use super::names::FieldKey;
use crate::formats::{StagePlace, StageUnit};
use crate::geom::{Point, Size};
use std::collections::HashMap;

/// Fields whose edges are this many sides apart, or less, lie in one region.
const REGION_GAP_SIDES: f64 = 4.0;

/// Fields whose edges are this share of a side apart, or less, are neighbours; sites of plates often leave a gap.
const NEIGHBOUR_GAP_SIDES: f64 = 0.25;

/// The step between neighbours, as a share of the side, that a unit must give to be believed: overlaps of up to 60 %, gaps
/// of up to 5 %.
const STEP_SHARES: std::ops::RangeInclusive<f64> = 0.4..=1.05;

/// The step that is taken where neither unit nor pixel size is known: neighbours overlap by a tenth.
const ASSUMED_STEP_SHARE: f64 = 0.9;

/// Fields whose nearest neighbour is looked for, to find the step.
const STEP_SAMPLE: usize = 256;

/// Fields of two rounds that stand this share of a side apart, or less, are the same field.
const SAME_FIELD_SHARE: f64 = 0.5;

/// Two fields that stand closer than this are the same place.
const SAME_PLACE_PX: f64 = 2.0;

/// No place is farther from zero, in pixels: a stage of a metre at the finest pixels there are.
const FARTHEST_PX: f64 = 1e9;

/// Of a mosaic's fields at most one in so many stands where another one stands.
const LEAST_FIELDS_PER_SAME_PLACE: usize = 4;

/// Whether a place in pixels can be one of a field.
pub fn is_usable(place: &Point) -> bool {
    place.x.abs() <= FARTHEST_PX && place.y.abs() <= FARTHEST_PX
}

/// Whether fields of which so many stand where another one stands are times or focus positions of a few places.
pub fn are_crowded(same: usize, fields: usize) -> bool {
    same.saturating_mul(LEAST_FIELDS_PER_SAME_PLACE) > fields
}

/// The cell of a grid that a coordinate lies in, such that the cells beside it have numbers too.
fn cell_at(at: f64, side: f64) -> i64 {
    // Beyond this, neighbouring floats are farther apart than any two fields.
    const FARTHEST_CELL: f64 = 1e15;
    (at / side).floor().clamp(-FARTHEST_CELL, FARTHEST_CELL) as i64
}

/// How places of the stage become pixels.
#[derive(Debug, Clone, PartialEq)]
pub struct StageScale {
    /// Pixels in the stage's unit, x and y.
    px_per_unit: [f64; 2],
    /// What the user should know of how it was found.
    pub note: Option<String>,
}

impl StageScale {
    /// Finds the scale of places of different fields. Signs are kept as they are written.
    pub fn of(stage: &[StagePlace], size: Size, um_per_px: Option<[f64; 2]>) -> Self {
        let unit = match stage.first().map(|p| p.unit) {
            Some(unit) if stage.iter().all(|p| p.unit == unit) => unit,
            _ => StageUnit::Unknown,
        };
        match (unit, um_per_px) {
            (StageUnit::Px, _) => Self { px_per_unit: [1.0; 2], note: None },
            (StageUnit::Um(um), Some([x, y])) => Self { px_per_unit: [um / x, um / y], note: None },
            _ => Self::fitted(stage, unit, size, um_per_px),
        }
    }

    /// Finds the scale by which neighbours stand as neighbours do.
    fn fitted(stage: &[StagePlace], unit: StageUnit, size: Size, um_per_px: Option<[f64; 2]>) -> Self {
        let with = |x: f64, y: f64, note: String| Self { px_per_unit: [x, y], note: Some(note) };
        let Some(share) = step_share(stage, size) else { return Self { px_per_unit: [1.0; 2], note: None } };
        if unit == StageUnit::Unknown {
            if STEP_SHARES.contains(&share) {
                return with(1.0, 1.0, "stage positions have no unit; they fit pixels".into());
            }
            let [x, y] = um_per_px.unwrap_or([f64::NAN; 2]);
            for (um, name) in [(1.0, "micrometres"), (1e3, "millimetres"), (1e6, "metres")] {
                if STEP_SHARES.contains(&(share * um / ((x + y) * 0.5))) {
                    return with(um / x, um / y, format!("stage positions have no unit; they fit {name}"));
                }
            }
        }
        let factor = ASSUMED_STEP_SHARE / share;
        let what =
            if unit == StageUnit::Unknown { "stage positions have no unit" } else { "the pixel size is not known" };
        with(factor, factor, format!("{what}; they are scaled so that neighbours overlap by 10 %"))
    }

    /// A place in pixels.
    pub fn px(&self, place: &StagePlace) -> Point {
        Point::new(place.x * self.px_per_unit[0], place.y * self.px_per_unit[1])
    }
}

/// The same places, counted from the smallest x and y.
pub fn from_zero(places: &[Point]) -> Vec<Point> {
    let least = |of: fn(&Point) -> f64| places.iter().map(of).fold(f64::INFINITY, f64::min);
    let origin = Point::new(least(|p| p.x), least(|p| p.y));
    places.iter().map(|p| *p - origin).collect()
}

/// The middle distance of a field's nearest neighbour along the axis it lies on, as a share of the side.
fn step_share(raw: &[StagePlace], size: Size) -> Option<f64> {
    let every = raw.len().div_ceil(STEP_SAMPLE).max(1);
    let (width, height) = (f64::from(size.width.max(1)), f64::from(size.height.max(1)));
    let mut steps: Vec<f64> = raw
        .iter()
        .step_by(every)
        .filter_map(|a| {
            let away = |b: &StagePlace| ((a.x - b.x).abs() / width).max((a.y - b.y).abs() / height);
            raw.iter().map(away).filter(|d| *d > 0.0).min_by(f64::total_cmp)
        })
        .collect();
    steps.sort_by(f64::total_cmp);
    steps.get(steps.len() / 2).copied().filter(|s| s.is_finite() && *s > 0.0)
}

/// Sorts fields into regions: those that stand near one another, in the order of their first field.
pub fn regions(places: &[Point], size: Size) -> Vec<Vec<usize>> {
    let mut parent: Vec<usize> = (0..places.len()).collect();
    for_pairs(places, size, REGION_GAP_SIDES, |a, b| {
        let (a, b) = (root(&mut parent, a), root(&mut parent, b));
        parent[a.max(b)] = a.min(b);
    });
    let mut regions: Vec<Vec<usize>> = Vec::new();
    let mut number: HashMap<usize, usize> = HashMap::new();
    for index in 0..places.len() {
        let root = root(&mut parent, index);
        let region = *number.entry(root).or_insert_with(|| {
            regions.push(Vec::new());
            regions.len() - 1
        });
        regions[region].push(index);
    }
    regions
}

fn root(parent: &mut [usize], mut at: usize) -> usize {
    while parent[at] != at {
        parent[at] = parent[parent[at]];
        at = parent[at];
    }
    at
}

/// Whether most fields have a neighbour, so that they are a mosaic and not points that were visited.
pub fn are_neighbours(places: &[Point], size: Size) -> bool {
    let mut has = vec![false; places.len()];
    for_pairs(places, size, NEIGHBOUR_GAP_SIDES, |a, b| {
        (has[a], has[b]) = (true, true);
    });
    places.len() > 1 && has.iter().filter(|h| **h).count() * 2 > places.len()
}

/// Fields that stand where an earlier one stands, as pairs (later, earlier).
pub fn same_places(places: &[Point]) -> Vec<(usize, usize)> {
    let cell = |p: &Point| (cell_at(p.x, SAME_PLACE_PX), cell_at(p.y, SAME_PLACE_PX));
    let mut first: HashMap<(i64, i64), Vec<usize>> = HashMap::new();
    let mut found = Vec::new();
    for (index, place) in places.iter().enumerate() {
        let (x, y) = cell(place);
        let near = (x - 1..=x + 1).flat_map(|x| (y - 1..=y + 1).map(move |y| (x, y)));
        let earlier = near
            .filter_map(|cell| first.get(&cell))
            .flatten()
            .find(|&&other| places[other].distance(*place) < SAME_PLACE_PX);
        match earlier {
            Some(&other) => found.push((index, other)),
            None => first.entry((x, y)).or_default().push(index),
        }
    }
    found
}

/// The nearest of `earlier` to a place that is near enough to be the same field in another round.
pub fn same_field(earlier: &[(FieldKey, Point)], place: Point, size: Size) -> Option<FieldKey> {
    let near = |p: &Point| {
        (p.x - place.x).abs() <= f64::from(size.width) * SAME_FIELD_SHARE
            && (p.y - place.y).abs() <= f64::from(size.height) * SAME_FIELD_SHARE
    };
    let nearest =
        earlier.iter().filter(|(_, p)| near(p)).min_by(|a, b| a.1.distance(place).total_cmp(&b.1.distance(place)));
    nearest.map(|(key, _)| *key)
}

/// Calls `pair` for fields whose edges are at most `gap` sides apart along both axes, in a fixed order.
fn for_pairs(places: &[Point], size: Size, gap: f64, mut pair: impl FnMut(usize, usize)) {
    let reach = Point::new(f64::from(size.width.max(1)) * (1.0 + gap), f64::from(size.height.max(1)) * (1.0 + gap));
    let cell = |p: &Point| (cell_at(p.x, reach.x), cell_at(p.y, reach.y));
    let mut cells: HashMap<(i64, i64), Vec<usize>> = HashMap::new();
    for (index, place) in places.iter().enumerate() {
        let (x, y) = cell(place);
        for near in (x - 1..=x + 1).flat_map(|x| (y - 1..=y + 1).map(move |y| (x, y))) {
            for &other in cells.get(&near).into_iter().flatten() {
                let away = Point::new((places[other].x - place.x).abs(), (places[other].y - place.y).abs());
                if away.x <= reach.x && away.y <= reach.y {
                    pair(other, index);
                }
            }
        }
        cells.entry((x, y)).or_default().push(index);
    }
}

/// How far the step between neighbours is from the usual one, as a share of the side, if places are pixels; nothing where
/// it is no step of fields.
pub fn step_is_off(places: &[Point], size: Size) -> Option<f64> {
    let stage = |p: &Point| StagePlace { x: p.x, y: p.y, unit: StageUnit::Px, um_per_px: None };
    let places: Vec<StagePlace> = places.iter().map(stage).collect();
    let share = step_share(&places, size).filter(|share| STEP_SHARES.contains(share))?;
    Some((share - ASSUMED_STEP_SHARE).abs())
}

/// Whether most cells of a named grid have a neighbour beside, above or below.
pub fn are_beside(cells: &HashMap<FieldKey, (i32, i32)>) -> bool {
    let taken: std::collections::HashSet<(i32, i32)> = cells.values().copied().collect();
    let has = |&(row, col): &(i32, i32)| {
        [(row - 1, col), (row + 1, col), (row, col - 1), (row, col + 1)].iter().any(|cell| taken.contains(cell))
    };
    taken.len() > 1 && taken.iter().filter(|cell| has(cell)).count() * 2 > taken.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(step: f64, unit: StageUnit) -> Vec<StagePlace> {
        (0..6)
            .map(|i| StagePlace {
                x: 5e4 + f64::from(i % 3) * step,
                y: -f64::from(i / 3) * step,
                unit,
                um_per_px: None,
            })
            .collect()
    }

    #[test]
    fn micrometres_become_pixels_and_keep_their_sign() {
        let stage = grid(90.0, StageUnit::Um(1.0));
        let scale = StageScale::of(&stage, Size::new(200, 200), Some([0.5, 0.5]));
        let places = from_zero(&stage.iter().map(|p| scale.px(p)).collect::<Vec<_>>());
        assert_eq!((places[2], places[3]), (Point::new(360.0, 180.0), Point::new(0.0, 0.0)));
        assert_eq!(scale.note, None);
    }

    #[test]
    fn a_unit_that_is_not_said_is_the_one_that_fits() {
        let size = Size::new(200, 200);
        for (step, wanted) in [(180.0, "pixels"), (45.0, "micrometres"), (0.045, "millimetres"), (0.3, "scaled")] {
            let stage = grid(step, StageUnit::Unknown);
            let scale = StageScale::of(&stage, size, Some([0.25, 0.25]));
            let found = scale.px(&stage[1]) - scale.px(&stage[0]);
            assert!((found.x - 180.0).abs() < 1e-6, "{step}: {found:?}");
            assert!(scale.note.is_some_and(|n| n.contains(wanted)), "{step}");
        }
    }

    #[test]
    fn far_points_are_regions_and_points_without_neighbours_no_mosaic() {
        let size = Size::new(100, 100);
        let row = |x: f64| [Point::new(x, 0.0), Point::new(x + 90.0, 3.0)];
        let two = [row(0.0), row(5_000.0)].concat();
        assert_eq!(regions(&two, size), [vec![0, 1], vec![2, 3]]);
        assert!(are_neighbours(&two, size));
        assert!(!are_neighbours(&[Point::new(0.0, 0.0), Point::new(300.0, 0.0)], size));
    }

    #[test]
    fn places_beyond_all_sense_are_no_places_and_do_no_harm() {
        let far = [Point::new(1e300, -1e300), Point::new(f64::MIN, f64::MAX), Point::new(0.0, 0.0)];
        assert!(same_places(&far).is_empty());
        assert_eq!(regions(&far, Size::new(100, 100)).len(), 3);
        assert!(!is_usable(&far[0]) && !is_usable(&Point::new(f64::NAN, 0.0)) && is_usable(&far[2]));
    }

    #[test]
    fn a_field_at_the_place_of_another_is_found() {
        let places = [Point::new(0.0, 0.0), Point::new(90.0, 0.0), Point::new(1.0, -1.0)];
        assert_eq!(same_places(&places), [(2, 0)]);
    }
}
