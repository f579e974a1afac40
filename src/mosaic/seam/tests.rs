use super::*;
use crate::geom::Size;
use crate::mosaic::fixtures::{Dice, jittered_grid};

fn rect(x: f64, y: f64, width: f64, height: f64) -> Rect {
    Rect::new(Point::new(x, y), Point::new(x + width, y + height))
}

/// Every place belongs to exactly the field that [`owner`] names, and rectangles of one field do not overlap.
fn assert_exact_cover(rects: &[Rect], dice: &mut Dice) -> usize {
    let others = |field: usize| -> Vec<(u32, Rect)> {
        let near = rects.iter().enumerate().filter(|&(n, r)| n != field && r.intersect(rects[field]).is_some());
        near.map(|(n, r)| (n as u32, *r)).collect()
    };
    let owned: Vec<Vec<Rect>> = (0..rects.len()).map(|n| owned_rects((n as u32, rects[n]), &others(n))).collect();
    let all: Vec<Rect> = owned.iter().flatten().copied().collect();
    for (n, a) in all.iter().enumerate() {
        for b in &all[n + 1..] {
            assert!(a.intersect(*b).is_none(), "{a:?} and {b:?} overlap in {rects:?}");
        }
    }
    let bounds = Rect::around(rects.iter().flat_map(|r| [r.min, r.max])).expect("some");
    let mut places: Vec<Point> = (0..400)
        .map(|_| Point::new(dice.between(bounds.min.x, bounds.max.x), dice.between(bounds.min.y, bounds.max.y)))
        .collect();
    // Corners are where it would go wrong.
    places.extend(all.iter().flat_map(|r| r.corners()));
    for p in places {
        let by_point = owner(p, rects.iter().enumerate().map(|(n, r)| (n as u32, *r)));
        let by_rect: Vec<u32> =
            (0..rects.len()).filter(|&n| owned[n].iter().any(|r| covers(*r, p))).map(|n| n as u32).collect();
        assert_eq!(by_rect, by_point.into_iter().collect::<Vec<_>>(), "at {p:?} of {rects:?}");
    }
    owned.iter().map(Vec::len).max().unwrap_or(0)
}

#[test]
fn owned_rectangles_cover_every_layout_exactly_and_agree_with_the_owner_of_each_place() {
    let mut dice = Dice(3);
    for _ in 0..300 {
        let count = 2 + (dice.next() * 6.0) as usize;
        // All near each other: overlaps of three, four and more fields, some of them quarrelling.
        let rects: Vec<Rect> = (0..count)
            .map(|_| {
                let (x, y) = (dice.between(0.0, 60.0).round(), dice.between(0.0, 60.0));
                rect(x, y, dice.between(20.0, 90.0).round(), dice.between(20.0, 90.0))
            })
            .collect();
        assert_exact_cover(&rects, &mut dice);
    }
}

#[test]
fn fields_on_top_of_each_other_or_inside_each_other_are_covered_exactly() {
    let mut dice = Dice(9);
    let a = rect(10.0, 10.0, 50.0, 40.0);
    assert_exact_cover(&[a, a], &mut dice);
    assert_exact_cover(&[a, a, a], &mut dice);
    assert_exact_cover(&[a, rect(20.0, 15.0, 8.0, 9.0), a], &mut dice);
    assert_exact_cover(&[a, rect(10.0 + 1e-9, 10.0, 50.0, 40.0), rect(10.0, 10.0 - 1e-9, 50.0, 40.0)], &mut dice);
    assert_exact_cover(&[a, rect(60.0, 10.0, 50.0, 40.0)], &mut dice);
}

#[test]
fn a_field_of_a_jittered_grid_shows_in_few_rectangles() {
    for seed in 1..6 {
        let (places, sizes) = jittered_grid(seed, (5, 4), Size::new(2048, 2048), 205.0, 12.0);
        let rects: Vec<Rect> =
            places.iter().zip(&sizes).map(|(p, s)| rect(p.0, p.1, f64::from(s.width), f64::from(s.height))).collect();
        let most = assert_exact_cover(&rects, &mut Dice(seed));
        assert!(most <= 9, "{most} rectangles");
    }
}

#[test]
fn the_midline_cuts_across_the_thinner_share_and_both_fields_see_the_same_line() {
    let (a, b) = ((0, rect(0.0, 0.0, 100.0, 100.0)), (1, rect(90.0, 4.0, 100.0, 100.0)));
    let line = Midline::between(a, b).expect("they overlap");
    assert_eq!((line.across, line.at, line.half, line.first_is_low), (Across::X, 95.0, 5.0, true));
    let other = Midline::between(b, a).expect("they overlap");
    assert_eq!((other.across, other.at, other.half, other.first_is_low), (Across::X, 95.0, 5.0, false));
    for x in [85.0, 91.0, 94.99, 95.0, 95.5, 99.0] {
        let p = Point::new(x, 50.0);
        assert_ne!(line.is_on_first_side(p), other.is_on_first_side(p));
        assert!((line.weight(x, 5.0) + other.weight(x, 5.0) - 1.0).abs() < 1e-6);
    }
    assert_eq!((line.weight(90.0, 5.0), line.weight(95.0, 5.0), line.weight(100.0, 5.0)), (1.0, 0.5, 0.0));
    // Of flat fields too the neighbours in a row are parted by a vertical line.
    let flat = Midline::between((0, rect(0.0, 0.0, 500.0, 40.0)), (1, rect(400.0, 1.0, 500.0, 40.0)));
    assert_eq!(flat.map(|line| line.across), Some(Across::X));
    assert_eq!((line.weight(94.9, 0.0), line.weight(95.0, 0.0)), (1.0, 0.0));
}

#[test]
fn flat_neighbours_in_a_row_are_parted_by_an_upright_line() {
    let at = |x: f64| Rect::new(Point::new(x, 0.0), Point::new(x + 1000.0, 100.0));
    let (a, b) = (at(0.0), at(850.0));
    let midline = Midline::between((0, a), (1, b)).expect("they overlap");
    let overlap = a.intersect(b).expect("they overlap");
    assert!(overlap.width() > overlap.height());
    assert_eq!(midline.ends(overlap), (Point::new(925.0, 0.0), Point::new(925.0, 100.0)));
}
