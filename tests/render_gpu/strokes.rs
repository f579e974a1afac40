//! Strokes over a canvas: where they are, how wide, with which gaps.

use crate::reference::gpu;
use microtome::geom::Size;
use microtome::render::{RenderLimits, Stroke};

const SIZE: Size = Size::new(64, 32);

fn stroke(dash: [f32; 2]) -> Stroke {
    Stroke {
        from: [8.0, 16.0],
        to: [56.0, 16.0],
        half_width: 1.0,
        halo_width: 2.0,
        dash,
        color: [255; 4],
        halo: [0, 128, 0, 128],
    }
}

#[test]
fn a_stroke_is_as_wide_as_it_says_within_its_halo_and_ends_where_it_ends() {
    let Some(mut gpu) = gpu(RenderLimits::default()) else { return };
    let picture = gpu.paint_strokes(SIZE, &[stroke([0.0; 2])]);
    for x in [8, 30, 55] {
        for (y, color) in [(12, [0; 3]), (13, [0, 128, 0]), (14, [0, 128, 0]), (15, [255; 3]), (16, [255; 3])] {
            assert_eq!(picture.at(x, y), color, "{x}, {y}");
            assert_eq!(picture.at(x, 31 - y), color, "{x}, {} below", 31 - y);
        }
    }
    for x in [0, 6, 57, 63] {
        assert_eq!(picture.at(x, 16), [0; 3], "{x}");
    }
}

#[test]
fn dashes_count_from_where_a_stroke_starts_and_are_as_long_as_their_gaps_leave() {
    let Some(mut gpu) = gpu(RenderLimits::default()) else { return };
    let picture = gpu.paint_strokes(SIZE, &[stroke([5.0, 8.0])]);
    let shown: Vec<u32> = (0..64).filter(|&x| picture.at(x, 15) == [255; 3]).collect();
    let expected: Vec<u32> = (0..6).flat_map(|n| (8 + 8 * n)..(13 + 8 * n)).collect();
    assert_eq!(shown, expected);
    assert_eq!(picture.at(14, 15), [0; 3], "a gap has no halo either");
}

#[test]
fn a_stroke_lies_beside_its_line_as_it_is_turned() {
    let Some(mut gpu) = gpu(RenderLimits::default()) else { return };
    let upright = Stroke { from: [32.0, 4.0], to: [32.0, 28.0], halo_width: 0.0, ..stroke([0.0; 2]) };
    let slanted = Stroke { from: [4.0, 4.0], to: [28.0, 28.0], halo_width: 0.0, ..stroke([0.0; 2]) };
    let picture = gpu.paint_strokes(SIZE, &[upright, slanted]);
    for y in 5..27 {
        assert_eq!(picture.at(31, y), [255; 3]);
        assert_eq!(picture.at(32, y), [255; 3]);
        assert_eq!(picture.at(34, y), [0; 3]);
        assert!(picture.at(y, y)[0] > 200, "on the slanted line at {y}: {:?}", picture.at(y, y));
    }
    let none = gpu.paint_strokes(SIZE, &[]);
    assert!(none.rgba.chunks_exact(4).all(|px| px[..3] == [0; 3]), "they took the place of those before");
}
