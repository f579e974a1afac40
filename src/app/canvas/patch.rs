//! Overlays for pictures: painted by the window's own code on a small see-through screen, laid over rows of pixels.

use super::Place;
use super::screen::{Drawing, Screen};
use crate::app::{overlays, theme};
use crate::error::{Error, Result};
use crate::geom::{PixelRect, Size};
use std::num::NonZero;

/// A part of a picture that lies over the rest of it.
#[derive(Debug, Clone)]
pub struct Patch {
    place: PixelRect,
    /// RGBA rows, premultiplied.
    rgba: Vec<u8>,
}

/// The scale bar of a picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScaleBarPatch {
    /// The picture.
    pub picture: Size,
    /// What it is on, which chooses its ink.
    pub background: [u8; 3],
    /// Micrometres a level-0 pixel in x; `None` where that is not known: the bar counts pixels then.
    pub um_per_px: Option<f64>,
    /// Picture pixels a level-0 pixel.
    pub zoom: f64,
    /// Picture pixels a point: 2 for a picture that is looked at on a screen of 200 %.
    pub pixels_per_point: f32,
}

impl ScaleBarPatch {
    /// Paints it. A picture with no room for the bar is an error.
    pub fn paint(&self) -> Result<Patch> {
        let no_room = || {
            let Size { width, height } = self.picture;
            Error::graphics(format!("a picture of {width} x {height} pixels has no room for a scale bar"))
        };
        let [width, height] = overlays::SCALE_BAR_CORNER.map(|points| (points * self.pixels_per_point).ceil() as u32);
        let size = Size::new(width.min(self.picture.width), height.min(self.picture.height));
        let (Some(_), Some(_)) = (NonZero::new(size.width), NonZero::new(size.height)) else { return Err(no_room()) };
        let mut screen = Screen::new(Drawing::headless()?, size, self.pixels_per_point, wgpu::Color::TRANSPARENT)?;
        theme::install(screen.ctx());
        let ink = overlays::Ink::on(self.background);
        let mut painted = false;
        // The first frame of a context may still lack its fonts.
        for _ in 0..2 {
            screen.frame(0.0, Vec::new(), |ui| {
                let place = Place::of(ui.ctx().content_rect(), self.pixels_per_point);
                painted = overlays::scale_bar_ui(ui, place, self.um_per_px, self.zoom, ink);
            });
        }
        if !painted {
            return Err(no_room());
        }
        let place = PixelRect::new(0, self.picture.height - size.height, size.width, size.height);
        Ok(Patch { place, rgba: screen.rgba()? })
    }
}

impl Patch {
    /// Where it lies in the picture.
    pub fn place(&self) -> PixelRect {
        self.place
    }

    /// Lays it over a piece of the picture: opaque RGBA rows.
    pub fn lay_over(&self, piece: PixelRect, rows: &mut [u8]) {
        let both = piece.intersect(self.place);
        for y in both.y..both.y + both.height {
            let start =
                |rect: PixelRect| ((y - rect.y) as usize * rect.width as usize + (both.x - rect.x) as usize) * 4;
            let bytes = both.width as usize * 4;
            let over = &self.rgba[start(self.place)..][..bytes];
            let under = &mut rows[start(piece)..][..bytes];
            for (under, over) in under.chunks_exact_mut(4).zip(over.chunks_exact(4)) {
                let shows = 255 - u32::from(over[3]);
                for (under, &over) in under.iter_mut().zip(over).take(3) {
                    let sum = u32::from(over) + (u32::from(*under) * shows + 127) / 255;
                    *under = sum.min(255) as u8;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_across_pieces_is_the_same_as_on_the_whole() {
        let place = PixelRect::new(3, 2, 6, 5);
        let rgba = (0..6 * 5).flat_map(|i: u8| [i * 2, i, 0, i * 8]).collect();
        let patch = Patch { place, rgba };
        let whole = PixelRect::new(0, 0, 12, 8);
        let mut expected = vec![200; 12 * 8 * 4];
        patch.lay_over(whole, &mut expected);
        let at = |x: usize, y: usize| &expected[(y * 12 + x) * 4..][..4];
        // The patch's first pixel is see-through, and alpha is never touched.
        assert_eq!((at(3, 2), at(2, 4), at(9, 4)), (&[200; 4][..], &[200; 4][..], &[200; 4][..]));
        // Its last: 58 + 200 * 23 / 255, 29 + 18, 18.
        assert_eq!(at(8, 6), [76, 47, 18, 200]);
        let mut got = vec![0; expected.len()];
        for (x, y) in [(0, 0), (5, 0), (0, 4), (5, 4)] {
            let piece = PixelRect::new(x, y, if x == 0 { 5 } else { 7 }, 4);
            let mut rows = vec![200; piece.width as usize * 16];
            patch.lay_over(piece, &mut rows);
            for (row, from) in rows.chunks_exact(piece.width as usize * 4).enumerate() {
                got[((y as usize + row) * 12 + x as usize) * 4..][..from.len()].copy_from_slice(from);
            }
        }
        assert_eq!(got, expected);
    }
}
