//! The outlines of fields, drawn into the pixels of a picture piece by piece.
//!
//! What a pixel becomes depends on its place in the picture alone, so pieces have no seams, and memory does not grow with
//! the picture.

use super::overlays::Ink;
use crate::geom::{Affine, PixelRect, Point, Rect};
use egui::Color32;

/// A line's width, points.
const WIDTH_POINTS: f64 = 1.0;
/// How much of the picture shows through a line.
const OPACITY: f64 = 0.5;
/// How far a line's soft edge reaches, pixels.
const SOFT_PX: f64 = 0.5;

/// Lines over a picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Outlines {
    /// Ends in picture pixels.
    lines: Vec<[Point; 2]>,
    half_width_px: f64,
    color: [f64; 3],
}

impl Outlines {
    /// The outlines of rectangles of an image, for a picture that a camera makes of it.
    pub fn new(rects: &[Rect], picture_from_image: &Affine, background: [u8; 3], pixels_per_point: f32) -> Self {
        let lines = rects.iter().flat_map(|rect| {
            let [a, b, c, d] = rect.corners().map(|p| picture_from_image.apply(p));
            [[a, b], [b, c], [c, d], [d, a]]
        });
        let stroke: Color32 = Ink::on(background).stroke();
        Self {
            lines: lines.collect(),
            half_width_px: (WIDTH_POINTS * f64::from(pixels_per_point) / 2.0).max(SOFT_PX),
            color: [stroke.r(), stroke.g(), stroke.b()].map(f64::from),
        }
    }

    /// Draws what crosses a piece of the picture into its opaque RGBA rows.
    pub fn lay_over(&self, piece: PixelRect, rows: &mut [u8]) {
        for &[from, to] in &self.lines {
            self.line(from, to, piece, rows);
        }
    }

    /// One line: along its steeper axis, pixel by pixel, a few pixels across.
    fn line(&self, from: Point, to: Point, piece: PixelRect, rows: &mut [u8]) {
        let upright = (to.y - from.y).abs() > (to.x - from.x).abs();
        let along = |p: Point| if upright { p.y } else { p.x };
        let across = |p: Point| if upright { p.x } else { p.y };
        let length = along(to) - along(from);
        let reach = (self.half_width_px + SOFT_PX) * std::f64::consts::SQRT_2;
        let (first, count) = if upright { (piece.y, piece.height) } else { (piece.x, piece.width) };
        let (cross_first, cross_count) = if upright { (piece.x, piece.width) } else { (piece.y, piece.height) };
        let low = (along(from).min(along(to)) - reach).floor().max(f64::from(first));
        let high = (along(from).max(along(to)) + reach).ceil().min(f64::from(first) + f64::from(count));
        let mut at = low;
        while at < high {
            let share = if length == 0.0 { 0.0 } else { ((at + 0.5 - along(from)) / length).clamp(0.0, 1.0) };
            let middle = across(from) + (across(to) - across(from)) * share;
            let nearest = (middle - reach - 0.5).floor().max(f64::from(cross_first));
            let farthest = (middle + reach + 0.5).ceil().min(f64::from(cross_first) + f64::from(cross_count));
            let mut beside = nearest;
            while beside < farthest {
                let p = if upright { (beside, at) } else { (at, beside) };
                let cover = self.cover(Point::new(p.0 + 0.5, p.1 + 0.5), from, to);
                if cover > 0.0 {
                    let column = (p.0 - f64::from(piece.x)) as usize;
                    let row = (p.1 - f64::from(piece.y)) as usize;
                    self.blend(rows, (row * piece.width as usize + column) * 4, cover);
                }
                beside += 1.0;
            }
            at += 1.0;
        }
    }

    /// How much of a pixel a line covers, from how far its middle is away.
    fn cover(&self, p: Point, from: Point, to: Point) -> f64 {
        let (along, off) = (to - from, p - from);
        let squared = along.x * along.x + along.y * along.y;
        let share = if squared == 0.0 { 0.0 } else { ((off.x * along.x + off.y * along.y) / squared).clamp(0.0, 1.0) };
        let distance = (from + along * share).distance(p);
        ((self.half_width_px + SOFT_PX - distance) / (2.0 * SOFT_PX)).clamp(0.0, 1.0)
    }

    fn blend(&self, rows: &mut [u8], at: usize, cover: f64) {
        let Some(pixel) = rows.get_mut(at..at + 3) else { return };
        for (under, over) in pixel.iter_mut().zip(self.color) {
            let mixed = f64::from(*under) + (over - f64::from(*under)) * cover * OPACITY;
            *under = mixed.round().clamp(0.0, 255.0) as u8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geom::Size;

    fn outlines(turn: f64) -> Outlines {
        let rects = [Rect::new(Point::new(4.0, 4.0), Point::new(30.0, 20.0))];
        let camera = crate::view::Camera {
            center: Point::new(18.0, 12.0),
            zoom: 1.0,
            rotation_rad: turn,
            flipped: false,
            pixel_aspect: 1.0,
        };
        Outlines::new(&rects, &camera.screen_from_image(Size::new(40, 32)), [0x1a; 3], 2.0)
    }

    #[test]
    fn outlines_across_pieces_are_the_same_as_on_the_whole() {
        for turn in [0.0, 0.4, 1.2] {
            let outlines = outlines(turn);
            let whole = PixelRect::new(0, 0, 40, 32);
            let mut expected = vec![100; 40 * 32 * 4];
            outlines.lay_over(whole, &mut expected);
            assert!(expected.iter().any(|v| *v != 100));
            let mut got = vec![0; expected.len()];
            for (x, y) in [(0, 0), (17, 0), (0, 13), (17, 13)] {
                let piece = PixelRect::new(x, y, if x == 0 { 17 } else { 23 }, if y == 0 { 13 } else { 19 });
                let mut rows = vec![100; piece.width as usize * piece.height as usize * 4];
                outlines.lay_over(piece, &mut rows);
                for (row, from) in rows.chunks_exact(piece.width as usize * 4).enumerate() {
                    got[((y as usize + row) * 40 + x as usize) * 4..][..from.len()].copy_from_slice(from);
                }
            }
            assert_eq!(got, expected, "turned by {turn}");
        }
    }

    #[test]
    fn a_line_of_two_pixels_lies_half_and_half_on_both_sides_of_an_edge() {
        let mut rows = vec![0; 40 * 32 * 4];
        outlines(0.0).lay_over(PixelRect::new(0, 0, 40, 32), &mut rows);
        // The picture's middle is the image's (18, 12): the left edge at 4 lies at 6.
        let red = |x: usize, y: usize| rows[(y * 40 + x) * 4];
        assert_eq!([red(4, 16), red(5, 16), red(6, 16), red(7, 16)], [0, 122, 122, 0]);
    }
}
