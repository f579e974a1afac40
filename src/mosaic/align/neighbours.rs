//! Which fields lie beside which.

use super::strips::Probe;
use crate::geom::{Point, Size};
use crate::stitch::overlap::Axis;
use std::collections::BTreeMap;

/// Neighbours share at least this much of a side, as a share of the shorter one; fields that touch at a corner do not.
const LEAST_SHARED_SIDE: f64 = 0.3;

/// All pairs of fields that overlap along a good part of a side, by their numbers, in rising order.
pub fn overlapping(positions: &[Point], sizes: &[Size]) -> Vec<Probe> {
    let side = sizes.iter().map(|s| s.width.max(s.height)).max().unwrap_or(1).max(1);
    // The cells beside one must have numbers too, however far out a place is.
    const FARTHEST_CELL: f64 = 1e15;
    let along = |at: f64| (at / f64::from(side)).floor().clamp(-FARTHEST_CELL, FARTHEST_CELL) as i64;
    let cell = |p: Point| (along(p.x), along(p.y));
    let mut cells: BTreeMap<(i64, i64), Vec<usize>> = BTreeMap::new();
    for (k, &p) in positions.iter().enumerate() {
        cells.entry(cell(p)).or_default().push(k);
    }
    let mut probes = Vec::new();
    for (a, &p) in positions.iter().enumerate() {
        let (cx, cy) = cell(p);
        let near = (-1..=1).flat_map(|dy| (-1..=1).map(move |dx| (cx + dx, cy + dy)));
        let mut beside: Vec<usize> = near
            .filter_map(|c| cells.get(&c))
            .flatten()
            .copied()
            .filter(|&b| b > a && overlaps(positions[b] - p, sizes[a], sizes[b]))
            .collect();
        beside.sort_unstable();
        probes.extend(beside.into_iter().map(|b| Probe { a, b, nominal: positions[b] - p }));
    }
    probes
}

/// The pairs of cells beside one another: to the right and below, by rising numbers of their fields.
pub fn adjacent(cells: &[(i32, i32)]) -> Vec<(usize, usize, Axis)> {
    let at: BTreeMap<(i32, i32), usize> = cells.iter().enumerate().map(|(k, &c)| (c, k)).collect();
    let mut pairs: Vec<(usize, usize, Axis)> = cells
        .iter()
        .enumerate()
        .flat_map(|(a, &(row, column))| {
            let right = at.get(&(row, column + 1)).map(|&b| (a, b, Axis::X));
            let below = at.get(&(row + 1, column)).map(|&b| (a, b, Axis::Y));
            right.into_iter().chain(below)
        })
        .collect();
    pairs.sort_by_key(|&(a, b, axis)| (a.min(b), a.max(b), axis == Axis::Y));
    pairs
}

/// Whether two fields cannot overlap even where each stands `reach` off its place.
pub fn far_apart(displacement: Point, a: Size, b: Size, reach: Point) -> bool {
    let beyond = |d: f64, a: u32, b: u32, reach: f64| d > f64::from(a) + reach || -d > f64::from(b) + reach;
    beyond(displacement.x, a.width, b.width, reach.x) || beyond(displacement.y, a.height, b.height, reach.y)
}

/// The axis along which a displacement goes, in shares of the field.
pub fn axis_of(displacement: Point, size: Size) -> Axis {
    let share = |d: f64, side: u32| d.abs() / f64::from(side.max(1));
    if share(displacement.x, size.width) >= share(displacement.y, size.height) { Axis::X } else { Axis::Y }
}

fn overlaps(d: Point, a: Size, b: Size) -> bool {
    let shared = |d: f64, a: u32, b: u32| (f64::from(a)).min(d + f64::from(b)) - d.max(0.0);
    let (x, y) = (shared(d.x, a.width, b.width), shared(d.y, a.height, b.height));
    let shortest = |a: u32, b: u32| f64::from(a.min(b)) * LEAST_SHARED_SIDE;
    x > 0.0 && y > 0.0 && (x >= shortest(a.width, b.width) || y >= shortest(a.height, b.height))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size::new(100, 80);

    #[test]
    fn neighbours_share_a_side_and_not_a_corner() {
        let places = [(0.0, 0.0), (90.0, 3.0), (0.0, 72.0), (90.0, 72.0), (500.0, 0.0)];
        let places: Vec<Point> = places.iter().map(|&(x, y)| Point::new(x, y)).collect();
        let pairs: Vec<_> = overlapping(&places, &[SIZE; 5]).iter().map(|p| (p.a, p.b)).collect();
        assert_eq!(pairs, [(0, 1), (0, 2), (1, 3), (2, 3)]);
    }

    #[test]
    fn a_small_field_on_the_edge_of_a_large_one_and_bricks_are_neighbours() {
        let places =
            [Point::new(0.0, 0.0), Point::new(950.0, 400.0), Point::new(-500.0, 760.0), Point::new(500.0, 760.0)];
        let sizes = [Size::new(1000, 800), Size::new(100, 80), Size::new(1000, 800), Size::new(1000, 800)];
        let pairs: Vec<_> = overlapping(&places, &sizes).iter().map(|p| (p.a, p.b)).collect();
        assert_eq!(pairs, [(0, 1), (0, 2), (0, 3)]);
    }

    #[test]
    fn a_place_beyond_all_sense_has_no_neighbours_and_does_no_harm() {
        let places =
            [Point::new(-1e300, 1e300), Point::new(0.0, 0.0), Point::new(90.0, 0.0), Point::new(f64::MAX, 0.0)];
        let pairs: Vec<_> = overlapping(&places, &[SIZE; 4]).iter().map(|p| (p.a, p.b)).collect();
        assert_eq!(pairs, [(1, 2)]);
    }

    #[test]
    fn cells_are_joined_to_the_right_and_down_over_no_gap() {
        let cells = [(0, 0), (0, 1), (1, 1), (3, 1)];
        assert_eq!(adjacent(&cells), [(0, 1, Axis::X), (1, 2, Axis::Y)]);
    }

    #[test]
    fn fields_are_far_apart_only_beyond_every_doubt() {
        let reach = Point::new(10.0, 10.0);
        assert!(!far_apart(Point::new(109.0, 0.0), SIZE, SIZE, reach));
        assert!(far_apart(Point::new(111.0, 0.0), SIZE, SIZE, reach));
        assert!(far_apart(Point::new(0.0, -91.0), SIZE, SIZE, reach));
    }
}
