//! The samples of one field along one of its edges: all that an alignment ever looks at.

use crate::geom::PixelRect;

/// A rectangle of one field's samples, borrowed from the caller's buffer.
///
/// The caller cuts the nominal overlap grown by the largest allowed shift on the inner side, clamped to the field.
/// Eight-bit fields are widened by the caller; RGB is reduced to one value a pixel.
#[derive(Debug, Clone, Copy)]
pub struct Strip<'a> {
    rect: PixelRect,
    samples: &'a [u16],
}

impl<'a> Strip<'a> {
    /// A strip that covers `rect` of its field, row by row; `None` where the number of samples does not fit the
    /// rectangle or the rectangle is empty.
    pub fn new(rect: PixelRect, samples: &'a [u16]) -> Option<Self> {
        let fits = !rect.is_empty() && samples.len() as u64 == rect.size().area();
        fits.then_some(Self { rect, samples })
    }

    /// Where in its field it lies.
    pub fn rect(&self) -> PixelRect {
        self.rect
    }

    /// Pixels across.
    pub fn width(&self) -> usize {
        self.rect.width as usize
    }

    /// Pixels down.
    pub fn height(&self) -> usize {
        self.rect.height as usize
    }

    /// One row, counted from the strip's own top; `y` must lie in the strip.
    pub fn row(&self, y: usize) -> &'a [u16] {
        &self.samples[y * self.width()..(y + 1) * self.width()]
    }
}

/// The parts of two fields that an alignment needs: of `a` and of `b`, each in its own field's pixels.
///
/// `nominal` is where `b` stands relative to `a`, `max_shift` how far each axis may be wrong, all in pixels.
/// `None` where the fields cannot overlap within the allowed shift.
pub fn strips_of_overlap(
    a: crate::geom::Size,
    b: crate::geom::Size,
    nominal: crate::geom::Point,
    max_shift: crate::geom::Point,
) -> Option<(PixelRect, PixelRect)> {
    let (ax, bx, aw, bw) = span_of_overlap(a.width, b.width, nominal.x, max_shift.x)?;
    let (ay, by, ah, bh) = span_of_overlap(a.height, b.height, nominal.y, max_shift.y)?;
    Some((PixelRect::new(ax, ay, aw, ah), PixelRect::new(bx, by, bw, bh)))
}

/// One axis of [`strips_of_overlap`]: starts and lengths in `a` and `b`.
fn span_of_overlap(a: u32, b: u32, nominal: f64, max_shift: f64) -> Option<(u32, u32, u32, u32)> {
    let clamp = |v: f64, size: u32| v.clamp(0.0, f64::from(size)) as u32;
    let a_start = clamp((nominal - max_shift).floor(), a);
    let a_end = clamp((nominal + max_shift + f64::from(b)).ceil(), a);
    let b_start = clamp((-nominal - max_shift).floor(), b);
    let b_end = clamp((-nominal + max_shift + f64::from(a)).ceil(), b);
    (a_end > a_start && b_end > b_start).then_some((a_start, b_start, a_end - a_start, b_end - b_start))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geom::{Point, Size};

    #[test]
    fn strips_are_the_nominal_overlap_grown_inwards_by_the_allowed_shift() {
        let size = Size::new(100, 80);
        let (a, b) = strips_of_overlap(size, size, Point::new(90.0, 3.0), Point::new(5.0, 5.0)).expect("they overlap");
        assert_eq!((a.x, a.width), (85, 15));
        assert_eq!((b.x, b.width), (0, 15));
        assert_eq!((a.y, a.height, b.y, b.height), (0, 80, 0, 80));
    }

    #[test]
    fn fields_too_far_apart_to_meet_have_no_strips() {
        let size = Size::new(100, 80);
        assert!(strips_of_overlap(size, size, Point::new(106.0, 0.0), Point::new(5.0, 5.0)).is_none());
        assert!(strips_of_overlap(size, size, Point::new(104.0, 0.0), Point::new(5.0, 5.0)).is_some());
    }

    #[test]
    fn a_buffer_of_the_wrong_length_is_no_strip() {
        assert!(Strip::new(PixelRect::new(0, 0, 3, 2), &[0; 5]).is_none());
        assert!(Strip::new(PixelRect::new(0, 0, 3, 2), &[0; 6]).is_some());
    }
}
