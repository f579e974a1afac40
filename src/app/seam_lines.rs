//! How the lines beside seams look.
//!
//! Quality is told by brightness and by a dash pattern, never by hue: good ones are faint and whole, doubtful ones
//! brighter and dashed, those without information dotted, problems bright and dashed.

use super::canvas::Place;
use crate::engine::SeamQuality;
use crate::render::Stroke;
use egui::{Color32, Pos2};

/// How far a line's halo reaches beyond it, points.
const HALO: f32 = 1.0;

/// How a seam's line looks.
struct Look {
    /// Points.
    width: f32,
    /// 0 to 1.
    brightness: f32,
    /// Points on and off; whole without.
    dash: Option<[f32; 2]>,
}

impl Look {
    fn of(quality: SeamQuality) -> Self {
        match quality {
            SeamQuality::Good => Self { width: 1.25, brightness: 0.45, dash: None },
            SeamQuality::Fair => Self { width: 1.5, brightness: 0.75, dash: Some([10.0, 4.0]) },
            SeamQuality::NoInformation => Self { width: 1.5, brightness: 0.55, dash: Some([1.5, 4.5]) },
            SeamQuality::Unmeasured => Self { width: 1.0, brightness: 0.25, dash: None },
            SeamQuality::Problem => Self { width: 2.5, brightness: 1.0, dash: Some([5.0, 3.0]) },
        }
    }
}

/// A line in the look of a quality, in a colour and that of its halo.
pub fn quality_line(place: Place, line: [Pos2; 2], quality: SeamQuality, colors: [Color32; 2]) -> Stroke {
    let Look { width, brightness, dash } = Look::of(quality);
    let [color, halo] = colors.map(|color| color.gamma_multiply(brightness));
    let dash = dash.map_or([0.0; 2], |[on, off]| [on, on + off]);
    stroke(place, line, width, dash, [color, halo])
}

/// A whole line of a width in points, without a halo.
pub fn plain_line(place: Place, line: [Pos2; 2], width: f32, color: Color32) -> Stroke {
    stroke(place, line, width, [0.0; 2], [color, Color32::TRANSPARENT])
}

/// The faint line between two fields that were pulled apart, in a colour and that of its halo.
pub fn gap_line(place: Place, line: [Pos2; 2], colors: [Color32; 2]) -> Stroke {
    stroke(place, line, 1.25, [6.0, 11.0], colors.map(|color| color.gamma_multiply(0.7)))
}

fn stroke(place: Place, [from, to]: [Pos2; 2], width: f32, dash: [f32; 2], [color, halo]: [Color32; 2]) -> Stroke {
    let scale = place.pixels_per_point as f32;
    let px = |p: Pos2| {
        let p = place.screen_from_ui(p);
        [p.x as f32, p.y as f32]
    };
    Stroke {
        from: px(from),
        to: px(to),
        half_width: width * scale / 2.0,
        halo_width: if halo == Color32::TRANSPARENT { 0.0 } else { HALO * scale },
        dash: dash.map(|length| length * scale),
        color: color.to_array(),
        halo: halo.to_array(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use egui::{Rect, pos2};

    #[test]
    fn a_line_has_the_same_look_on_a_screen_of_twice_the_pixels() {
        let rect = Rect::from_min_max(pos2(100.0, 40.0), pos2(500.0, 340.0));
        let line = [pos2(110.0, 50.0), pos2(310.0, 50.0)];
        let on =
            |scale| quality_line(Place::of(rect, scale), line, SeamQuality::Problem, [Color32::WHITE, Color32::BLACK]);
        let (single, double) = (on(1.0), on(2.0));
        assert_eq!((single.from, single.to), ([10.0, 10.0], [210.0, 10.0]));
        assert_eq!((double.from, double.to), ([20.0, 20.0], [420.0, 20.0]));
        assert_eq!(double.half_width, 2.0 * single.half_width);
        assert_eq!(double.dash, [10.0, 16.0]);
        assert_eq!(single.dash, [5.0, 8.0]);
    }

    #[test]
    fn no_two_qualities_look_alike_without_their_colour() {
        let all = [
            SeamQuality::Good,
            SeamQuality::Fair,
            SeamQuality::NoInformation,
            SeamQuality::Unmeasured,
            SeamQuality::Problem,
        ];
        let place = Place::of(Rect::from_min_max(pos2(0.0, 0.0), pos2(100.0, 100.0)), 1.0);
        let colors = [Color32::WHITE, Color32::TRANSPARENT];
        let of = |quality| quality_line(place, [pos2(0.0, 0.0), pos2(50.0, 0.0)], quality, colors);
        for (n, a) in all.iter().enumerate() {
            for b in &all[..n] {
                let (a, b) = (of(*a), of(*b));
                assert!(a.dash != b.dash || a.color[3].abs_diff(b.color[3]) > 40, "{a:?} {b:?}");
            }
        }
    }
}
