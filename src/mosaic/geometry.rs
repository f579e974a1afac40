//! Where the fields of a mosaic stand, and how they are put together: frozen, one generation of it.

use super::field_index::{FieldIndex, crowd_words};
use super::seam;
use crate::error::{Error, Result};
use crate::geom::{PixelRect, Point, Rect, Size};
use crate::pyramid::{Calibration, ImageInfo, LevelInfo, LevelOrigin, level_plan};
use std::path::Path;
use std::sync::Arc;

/// A frame may have this many pixels a side: forty times the largest slide scans.
/// A layout that says more has a stray position or the wrong unit.
pub const MAX_FRAME_SIDE_PX: u32 = 1 << 22;

/// The side of a mosaic's tiles.
pub const MOSAIC_TILE_SIDE: u32 = 256;

/// Where solved places leave the frame, it grows by whole steps of this, so that small changes do not move it again.
const FRAME_STEP_PX: f64 = 1024.0;

/// How the pixels of overlapping fields become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub enum Blend {
    /// A soft step of at most 32 px either side of the seam midline; every other pixel is one field's own.
    #[default]
    Feather,
    /// Weighted over the whole overlap.
    Linear,
    /// The mean.
    Average,
    /// The greatest.
    Maximum,
    /// A hard step at the seam midline: every pixel is one field's own.
    None,
}

/// Whether fields stand on whole pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub enum Placement {
    /// Rounded to whole pixels: level-0 samples are the fields' own.
    #[default]
    Whole,
    /// Resampled to the solved fraction of a pixel.
    SubPixel,
}

/// One field in the mosaic.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Placed {
    /// Its top-left corner in image coordinates. Whole numbers under [`Placement::Whole`].
    pub position: Point,
    /// Its size.
    pub size: Size,
}

impl Placed {
    /// What it covers, in image coordinates.
    pub fn rect(&self) -> Rect {
        let size = Point::new(f64::from(self.size.width), f64::from(self.size.height));
        Rect::new(self.position, self.position + size)
    }
}

/// Where all fields stand.
#[derive(Debug, Clone, PartialEq)]
pub struct Geometry {
    /// Goes up with every change, from 1.
    pub generation: u64,
    /// The fields, by their number.
    pub fields: Arc<[Placed]>,
    /// The image's size: the frame.
    pub size: Size,
    /// Layout coordinates of the frame's top-left corner: image = layout - origin. Whole numbers.
    pub origin: Point,
    /// The part of the frame that holds fields: what a whole export covers.
    pub extent: PixelRect,
    /// How overlaps are put together.
    pub blend: Blend,
    /// Whether fields stand on whole pixels.
    pub placement: Placement,
    index: Arc<FieldIndex>,
}

impl Geometry {
    /// Fields of `sizes` at `positions`, in a frame that holds them and the `nominal` layout grown by `margin_px` on every
    /// side. Positions are top-left corners in layout coordinates.
    ///
    /// The frame depends on the nominal layout alone as long as the positions stay within the margin.
    /// Fails where there is no field, a position is no number, the layout is larger than [`MAX_FRAME_SIDE_PX`], or
    /// hundreds of fields stand on one place, where every pair of them would be a seam.
    pub fn new(
        generation: u64,
        nominal: &[Point],
        positions: &[Point],
        sizes: &[Size],
        blend: Blend,
        placement: Placement,
        margin_px: f64,
    ) -> Result<Self> {
        let refused = |what: String| Err(Error::too_large(what, Path::new("the layout of the fields")));
        if nominal.len() != sizes.len() || positions.len() != sizes.len() {
            let (n, p, s) = (nominal.len(), positions.len(), sizes.len());
            return refused(format!("{p} positions and {n} nominal places do not fit {s} fields"));
        }
        let stray = |p: &Point| !(p.x.abs() < f64::from(u32::MAX) && p.y.abs() < f64::from(u32::MAX));
        if let Some(field) = (0..sizes.len()).find(|&i| stray(&nominal[i]) || stray(&positions[i])) {
            return refused(format!("field {} has no usable position", field + 1));
        }
        let bounds = |corners: &[Point]| {
            Rect::around(corners.iter().zip(sizes).flat_map(|(&position, &size)| {
                let rect = Placed { position, size }.rect();
                [rect.min, rect.max]
            }))
        };
        let (Some(base), Some(solved)) = (bounds(nominal), bounds(positions)) else {
            return refused("there is no field".into());
        };
        let frame = frame_of(base, solved, margin_px.max(0.0));
        if frame.width().max(frame.height()) > f64::from(MAX_FRAME_SIDE_PX) {
            return refused(format!(
                "the fields are spread over {:.0} x {:.0} pixels, more than the {MAX_FRAME_SIDE_PX} a mosaic may have: \
                 check the positions and their unit",
                frame.width(),
                frame.height()
            ));
        }
        let nominal_rects: Vec<Rect> =
            nominal.iter().zip(sizes).map(|(&position, &size)| Placed { position, size }.rect()).collect();
        if let Some(crowd) = crowd_words(&nominal_rects) {
            return refused(crowd);
        }
        let place = |p: Point| match placement {
            Placement::Whole => Point::new((p.x - frame.min.x).round(), (p.y - frame.min.y).round()),
            Placement::SubPixel => p - frame.min,
        };
        let fields: Arc<[Placed]> =
            positions.iter().zip(sizes).map(|(&p, &size)| Placed { position: place(p), size }).collect();
        let rects: Vec<Rect> = fields.iter().map(Placed::rect).collect();
        if let Some(crowd) = crowd_words(&rects) {
            return refused(crowd);
        }
        let size = Size::new(frame.width() as u32, frame.height() as u32);
        let extent = Rect::around(rects.iter().flat_map(|r| [r.min, r.max])).unwrap_or_default();
        Ok(Self {
            generation,
            size,
            origin: frame.min,
            extent: whole_pixels(extent).intersect(size.rect()),
            blend,
            placement,
            index: Arc::new(FieldIndex::new(&rects)),
            fields,
        })
    }

    /// What a field covers, in image coordinates.
    pub fn rect(&self, field: u32) -> Rect {
        self.fields.get(field as usize).map(Placed::rect).unwrap_or_default()
    }

    /// The fields that touch a rectangle, by their numbers, in order.
    pub fn fields_in(&self, rect: Rect) -> Vec<u32> {
        let mut found = self.index.candidates(rect);
        found.retain(|&field| self.rect(field).intersect(rect).is_some());
        found
    }

    /// The fields that overlap one, in order.
    pub fn neighbours(&self, field: u32) -> Vec<u32> {
        let mut found = self.fields_in(self.rect(field));
        found.retain(|&other| other != field);
        found
    }

    /// The field that shows at a place: see [`seam`]. `None` outside of all fields.
    pub fn owner(&self, at: Point) -> Option<u32> {
        let near = self.index.candidates(Rect::new(at, at));
        seam::owner(at, near.into_iter().map(|field| (field, self.rect(field))))
    }

    /// The mosaic as an image: the channels and planes of its fields, all levels made from the fields', tiles of
    /// [`MOSAIC_TILE_SIDE`]. `None` without fields.
    pub fn image_info(&self, name: &str, fields: &[ImageInfo]) -> Option<ImageInfo> {
        let first = fields.first()?;
        Some(ImageInfo {
            name: name.to_owned(),
            size: self.size,
            pixel_type: first.pixel_type,
            channels: first.channels.clone(),
            z_count: first.z_count,
            t_count: first.t_count,
            um_per_px: first.um_per_px,
            calibration: if first.um_per_px.is_some() { first.calibration } else { Calibration::Unknown },
            objective: first.objective,
            tile_side: MOSAIC_TILE_SIDE,
            levels: self.levels(),
        })
    }

    /// The same of what a whole export covers: without the frame's margin.
    pub fn extent_info(&self, info: &ImageInfo) -> ImageInfo {
        let size = self.extent.size();
        let mut levels = level_plan(&[size], MOSAIC_TILE_SIDE);
        levels.iter_mut().for_each(|level| level.origin = LevelOrigin::Derived);
        ImageInfo { size, levels, ..info.clone() }
    }

    /// The levels of the image, finest first, none of them native.
    pub fn levels(&self) -> Vec<LevelInfo> {
        let mut levels = level_plan(&[self.size], MOSAIC_TILE_SIDE);
        levels.iter_mut().for_each(|level| level.origin = LevelOrigin::Derived);
        levels
    }
}

/// The nominal layout with its margin, and as many steps more on each side as the solved places need.
fn frame_of(nominal: Rect, solved: Rect, margin_px: f64) -> Rect {
    let steps = |beyond: f64| (beyond / FRAME_STEP_PX).ceil().max(0.0) * FRAME_STEP_PX;
    let low = |nominal: f64, solved: f64| {
        let edge = (nominal - margin_px).floor();
        edge - steps(edge - solved.floor())
    };
    let high = |nominal: f64, solved: f64| {
        let edge = (nominal + margin_px).ceil();
        edge + steps(solved.ceil() - edge)
    };
    Rect::new(
        Point::new(low(nominal.min.x, solved.min.x), low(nominal.min.y, solved.min.y)),
        Point::new(high(nominal.max.x, solved.max.x), high(nominal.max.y, solved.max.y)),
    )
}

/// The smallest rectangle of whole pixels around a rectangle within the frame.
fn whole_pixels(rect: Rect) -> PixelRect {
    let (x, y) = (rect.min.x.floor().max(0.0) as u32, rect.min.y.floor().max(0.0) as u32);
    let (right, bottom) = (rect.max.x.ceil().max(0.0) as u32, rect.max.y.ceil().max(0.0) as u32);
    PixelRect::new(x, y, right.saturating_sub(x), bottom.saturating_sub(y))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mosaic::fixtures::{KnownFields, jittered_grid, noise};
    use crate::pixels::TileFormat;
    use crate::pyramid::Source;

    const SIZE: Size = Size::new(100, 80);

    fn at(places: &[(f64, f64)]) -> Vec<Point> {
        places.iter().map(|&(x, y)| Point::new(x, y)).collect()
    }

    fn made(nominal: &[(f64, f64)], positions: &[(f64, f64)], placement: Placement, margin: f64) -> Result<Geometry> {
        let sizes = vec![SIZE; nominal.len()];
        Geometry::new(1, &at(nominal), &at(positions), &sizes, Blend::Feather, placement, margin)
    }

    #[test]
    fn the_frame_is_the_nominal_layout_with_its_margin_and_alignment_does_not_move_it() {
        let nominal = [(-50.25, 10.5), (40.0, 12.0)];
        let geometry = made(&nominal, &nominal, Placement::Whole, 20.0).expect("a layout");
        assert_eq!((geometry.origin, geometry.size), (Point::new(-71.0, -10.0), Size::new(231, 122)));
        let solved = made(&nominal, &[(-60.0, 3.0), (58.0, 30.0)], Placement::Whole, 20.0).expect("a layout");
        assert_eq!((solved.origin, solved.size), (geometry.origin, geometry.size));
        assert_eq!(geometry.extent, PixelRect::new(21, 21, 190, 81));
        assert_eq!(geometry.fields[0].position, Point::new(21.0, 21.0));
    }

    #[test]
    fn places_that_leave_the_frame_grow_it_by_whole_steps() {
        let nominal = [(0.0, 0.0), (90.0, 0.0)];
        let first = made(&nominal, &[(-30.0, 0.0), (90.0, 0.0)], Placement::SubPixel, 10.0).expect("a layout");
        let second = made(&nominal, &[(-35.5, 0.0), (95.0, 0.0)], Placement::SubPixel, 10.0).expect("a layout");
        assert_eq!((first.origin, first.size), (second.origin, second.size));
        assert_eq!(first.origin, Point::new(-10.0 - 1024.0, -10.0));
        for field in second.fields.iter() {
            let rect = field.rect();
            assert!(rect.min.x >= 0.0 && rect.max.x <= f64::from(second.size.width));
        }
        let low = made(&[(12.3, 0.2)], &[(11.9, 0.2)], Placement::SubPixel, 0.0).expect("a layout");
        assert!(low.fields[0].position.x >= 0.0);
    }

    #[test]
    fn whole_placement_rounds_and_sub_pixel_placement_keeps_the_fraction() {
        let nominal = [(0.0, 0.0), (90.4, 1.6)];
        let whole = made(&nominal, &nominal, Placement::Whole, 0.0).expect("a layout");
        assert_eq!(whole.fields[1].position, Point::new(90.0, 2.0));
        let exact = made(&nominal, &nominal, Placement::SubPixel, 0.0).expect("a layout");
        assert_eq!(exact.fields[1].position, Point::new(90.4, 1.6));
    }

    #[test]
    fn a_stray_field_or_a_position_that_is_no_number_is_refused_in_words() {
        for stray in [1e9, 5e6, f64::NAN, f64::INFINITY, -1e300] {
            let places = [(0.0, 0.0), (stray, 0.0)];
            assert!(made(&places, &places, Placement::Whole, 10.0).is_err(), "{stray}");
            assert!(made(&[(0.0, 0.0); 2], &places, Placement::Whole, 10.0).is_err(), "{stray}");
        }
        let words = made(&[(0.0, 0.0), (1e7, 0.0)], &[(0.0, 0.0); 2], Placement::Whole, 0.0).expect_err("too wide");
        assert!(words.to_string().contains("check the positions"), "{words}");
        assert!(made(&[], &[], Placement::Whole, 0.0).is_err());
        assert!(Geometry::new(1, &at(&[(0.0, 0.0)]), &[], &[SIZE], Blend::None, Placement::Whole, 0.0).is_err());
    }

    #[test]
    fn fields_on_one_place_are_refused_in_words() {
        let apart: Vec<(f64, f64)> = (0..400).map(|n| (f64::from(n % 20) * 90.0, f64::from(n / 20) * 70.0)).collect();
        assert!(made(&apart, &apart, Placement::Whole, 0.0).is_ok());
        for (nominal, positions) in [(vec![(0.0, 0.0); 400], apart.clone()), (apart, vec![(0.0, 0.0); 400])] {
            let words = made(&nominal, &positions, Placement::Whole, 0.0).expect_err("a crowd").to_string();
            assert!(words.contains("400 fields stand on one place"), "{words}");
        }
    }

    #[test]
    fn fields_in_a_rectangle_and_neighbours_are_those_that_touch_it() {
        let (places, sizes) = jittered_grid(2, (7, 5), SIZE, 10.0, 4.0);
        let geometry = crate::mosaic::fixtures::geometry(&places, &sizes, Blend::None, Placement::Whole);
        let touching = |rect: Rect, but: Option<u32>| -> Vec<u32> {
            let all = (0..35).filter(|&n| Some(n) != but && geometry.rect(n).intersect(rect).is_some());
            all.collect()
        };
        for n in 0..35 {
            assert_eq!(geometry.neighbours(n), touching(geometry.rect(n), Some(n)));
        }
        let some = Rect::new(Point::new(150.0, 60.0), Point::new(333.0, 71.0));
        assert_eq!(geometry.fields_in(some), touching(some, None));
    }

    #[test]
    fn as_an_image_it_has_the_channels_of_its_fields_and_levels_of_its_own() {
        let (places, sizes) = jittered_grid(2, (7, 9), SIZE, 10.0, 4.0);
        let geometry = crate::mosaic::fixtures::geometry(&places, &sizes, Blend::None, Placement::Whole);
        let fields = KnownFields::new(&sizes, TileFormat::Gray16, noise);
        let info = geometry.image_info("well B03", fields.images()).expect("fields");
        assert_eq!((info.name.as_str(), info.size, info.tile_side), ("well B03", geometry.size, 256));
        assert_eq!(info.channels, fields.images()[0].channels);
        assert!(info.levels.iter().all(|l| l.origin == LevelOrigin::Derived) && info.levels.len() == 3);
        assert!(geometry.image_info("nothing", &[]).is_none());
    }
}
