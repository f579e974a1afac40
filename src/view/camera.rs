//! Which part of an image the viewport shows, and how it moves.

use crate::geom::{Affine, Point, Rect, Size};
use serde::{Deserialize, Serialize};

/// A fitted image leaves this share of the viewport empty, half of it on either side.
const FIT_MARGIN: f64 = 0.04;
/// Zooming out stops when the whole image takes this share of the viewport.
const MIN_FIT_SHARE: f64 = 0.25;
/// Zooming in stops when a level-0 pixel takes this many physical screen pixels.
const MAX_PX_PER_PX: f64 = 64.0;
/// A zoom below this would leave f64 precision behind; no image needs it.
const MIN_ZOOM: f64 = 1e-7;

/// Where we look. Screen coordinates are physical pixels from the viewport's top left corner.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Camera {
    /// The level-0 place at the viewport's middle.
    pub center: Point,
    /// Physical screen pixels a level-0 pixel takes in x.
    pub zoom: f64,
    /// How far the image is turned clockwise on the screen, in radians.
    pub rotation_rad: f64,
    /// Whether the image is mirrored left to right before it is turned.
    pub flipped: bool,
    /// Height over width of a level-0 pixel in micrometres (`um_y / um_x`); 1 when uncalibrated.
    pub pixel_aspect: f64,
}

/// How far a camera may zoom.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ZoomLimits {
    /// Furthest out, in screen pixels a level-0 pixel.
    pub min: f64,
    /// Furthest in.
    pub max: f64,
}

impl ZoomLimits {
    /// From the whole image in a quarter of the viewport, or 1:1 where that is less, to 64 screen pixels a pixel.
    pub fn of(image: Size, viewport: Size, pixel_aspect: f64) -> Self {
        let fit = fit_zoom(image, viewport, pixel_aspect, 0.0);
        Self { min: (fit * MIN_FIT_SHARE).clamp(MIN_ZOOM, 1.0), max: MAX_PX_PER_PX.max(fit) }
    }
}

impl Camera {
    /// A camera that shows the whole image upright.
    pub fn fitted(image: Size, viewport: Size, pixel_aspect: f64) -> Self {
        let mut camera = Self { center: Point::default(), zoom: 1.0, rotation_rad: 0.0, flipped: false, pixel_aspect };
        camera.fit(image, viewport);
        camera
    }

    /// Shows the whole image, turned and mirrored as it is.
    pub fn fit(&mut self, image: Size, viewport: Size) {
        self.center = Point::new(f64::from(image.width) / 2.0, f64::from(image.height) / 2.0);
        self.zoom = fit_zoom(image, viewport, self.pixel_aspect, self.rotation_rad);
    }

    /// Screen pixels that a level-0 pixel takes in x and y before it is turned.
    pub fn zoom_xy(&self) -> [f64; 2] {
        [self.zoom, self.zoom * self.pixel_aspect]
    }

    /// The map from level-0 pixels to physical screen pixels.
    pub fn screen_from_image(&self, viewport: Size) -> Affine {
        let (sin, cos) = self.sin_cos();
        let [zoom_x, zoom_y] = self.zoom_xy();
        let zoom_x = if self.flipped { -zoom_x } else { zoom_x };
        let linear =
            Affine { a: cos * zoom_x, b: -sin * zoom_y, c: sin * zoom_x, d: cos * zoom_y, offset: Point::default() };
        Affine { offset: viewport_middle(viewport) - linear.apply_vector(self.center), ..linear }
    }

    /// The map from physical screen pixels to level-0 pixels.
    pub fn image_from_screen(&self, viewport: Size) -> Affine {
        let (sin, cos) = self.sin_cos();
        let [zoom_x, zoom_y] = self.zoom_xy();
        let zoom_x = if self.flipped { -zoom_x } else { zoom_x };
        let linear =
            Affine { a: cos / zoom_x, b: sin / zoom_x, c: -sin / zoom_y, d: cos / zoom_y, offset: Point::default() };
        Affine { offset: self.center - linear.apply_vector(viewport_middle(viewport)), ..linear }
    }

    /// Zooms by `factor`; the image point under `screen_point` stays there.
    pub fn zoom_about(&mut self, screen_point: Point, factor: f64, viewport: Size, limits: ZoomLimits) {
        if !factor.is_finite() || factor <= 0.0 {
            return;
        }
        let zoom = (self.zoom * factor).clamp(limits.min, limits.max.max(limits.min));
        self.change_about(screen_point, viewport, |camera| camera.zoom = zoom);
    }

    /// Moves the image by `screen_delta` physical pixels, as a drag does.
    pub fn pan_by(&mut self, screen_delta: Point) {
        let moved = self.image_from_screen(Size::default()).apply_vector(screen_delta);
        self.center = self.center - moved;
    }

    /// Turns the image clockwise by `delta_rad`; the image point under `screen_point` stays there.
    pub fn rotate_about(&mut self, screen_point: Point, delta_rad: f64, viewport: Size) {
        let turned = (self.rotation_rad + delta_rad).rem_euclid(std::f64::consts::TAU);
        self.change_about(screen_point, viewport, |camera| camera.rotation_rad = turned);
    }

    /// Mirrors the image left to right as seen on the screen; the viewport's middle stays.
    pub fn flip(&mut self) {
        self.flipped = !self.flipped;
        self.rotation_rad = (-self.rotation_rad).rem_euclid(std::f64::consts::TAU);
    }

    /// The smallest level-0 rectangle that holds everything the viewport shows of the image; `None` when it shows
    /// nothing of it.
    pub fn visible_image_rect(&self, image: Size, viewport: Size) -> Option<Rect> {
        let screen = Rect::new(Point::default(), Point::new(f64::from(viewport.width), f64::from(viewport.height)));
        self.image_rect_of(screen, image, viewport)
    }

    /// The smallest level-0 rectangle that holds what a part of the screen shows of the image.
    pub(super) fn image_rect_of(&self, screen: Rect, image: Size, viewport: Size) -> Option<Rect> {
        let shown = self.shown_rect(screen, viewport)?;
        let all = Rect::new(Point::default(), Point::new(f64::from(image.width), f64::from(image.height)));
        shown.intersect(all)
    }

    /// The smallest rectangle around what a part of the screen shows, whether or not there is image.
    pub(super) fn shown_rect(&self, screen: Rect, viewport: Size) -> Option<Rect> {
        let image_from_screen = self.image_from_screen(viewport);
        Rect::around(screen.corners().map(|corner| image_from_screen.apply(corner)))
    }

    /// Keeps the viewport's middle on the image and the zoom within its limits, so that the image cannot be lost.
    /// Numbers that are no numbers (from a damaged settings file) fall back to the whole image.
    pub fn clamp(&mut self, image: Size, viewport: Size) {
        let finite = [self.center.x, self.center.y, self.zoom, self.rotation_rad, self.pixel_aspect];
        if finite.iter().any(|v| !v.is_finite()) || self.zoom <= 0.0 || self.pixel_aspect <= 0.0 {
            let aspect = if self.pixel_aspect.is_finite() && self.pixel_aspect > 0.0 { self.pixel_aspect } else { 1.0 };
            *self = Self::fitted(image, viewport, aspect);
            return;
        }
        let limits = ZoomLimits::of(image, viewport, self.pixel_aspect);
        self.zoom = self.zoom.clamp(limits.min, limits.max);
        self.center.x = self.center.x.clamp(0.0, f64::from(image.width));
        self.center.y = self.center.y.clamp(0.0, f64::from(image.height));
    }

    /// The nearest camera whose level-0 pixels lie on screen pixels, so that 1:1 (and 2:1, 3:1...) shows them
    /// unblurred; the camera itself where it is turned or its zoom is no whole number.
    pub fn aligned(&self, viewport: Size) -> Self {
        let whole = |zoom: f64| zoom >= 1.0 && (zoom - zoom.round()).abs() < 1e-9;
        let [zoom_x, zoom_y] = self.zoom_xy();
        if self.rotation_rad != 0.0 || !whole(zoom_x) || !whole(zoom_y) {
            return *self;
        }
        let origin = self.screen_from_image(viewport).offset;
        let mut aligned = *self;
        aligned.pan_by(Point::new(origin.x.round() - origin.x, origin.y.round() - origin.y));
        aligned
    }

    fn change_about(&mut self, screen_point: Point, viewport: Size, change: impl FnOnce(&mut Self)) {
        let anchor = self.image_from_screen(viewport).apply(screen_point);
        change(self);
        let now_at = self.screen_from_image(viewport).apply(anchor);
        self.pan_by(screen_point - now_at);
    }

    /// Quarter turns are exact, so that an image turned by 90 degrees is as sharp as an upright one.
    fn sin_cos(&self) -> (f64, f64) {
        let quarters = self.rotation_rad / std::f64::consts::FRAC_PI_2;
        if (quarters - quarters.round()).abs() < 1e-12 {
            return match quarters.round().rem_euclid(4.0) as u8 {
                0 => (0.0, 1.0),
                1 => (1.0, 0.0),
                2 => (0.0, -1.0),
                _ => (-1.0, 0.0),
            };
        }
        self.rotation_rad.sin_cos()
    }
}

fn viewport_middle(viewport: Size) -> Point {
    Point::new(f64::from(viewport.width) / 2.0, f64::from(viewport.height) / 2.0)
}

/// The zoom at which an image turned by `rotation_rad` fits the viewport.
fn fit_zoom(image: Size, viewport: Size, pixel_aspect: f64, rotation_rad: f64) -> f64 {
    let (sin, cos) = rotation_rad.sin_cos();
    let (width, height) = (f64::from(image.width.max(1)), f64::from(image.height.max(1)) * pixel_aspect);
    let turned_width = width * cos.abs() + height * sin.abs();
    let turned_height = width * sin.abs() + height * cos.abs();
    let across = f64::from(viewport.width.max(1)) / turned_width;
    let down = f64::from(viewport.height.max(1)) / turned_height;
    (across.min(down) * (1.0 - FIT_MARGIN)).max(MIN_ZOOM)
}

#[cfg(test)]
mod tests {
    use super::*;

    const VIEWPORT: Size = Size::new(801, 600);
    const IMAGE: Size = Size::new(4001, 3000);

    fn turned() -> Camera {
        Camera { center: Point::new(1234.5, 777.25), zoom: 0.37, rotation_rad: 0.5, flipped: true, pixel_aspect: 1.25 }
    }

    #[test]
    fn the_two_maps_cancel_for_a_turned_mirrored_camera() {
        let camera = turned();
        let p = Point::new(13.0, 2718.0);
        let back = camera.image_from_screen(VIEWPORT).apply(camera.screen_from_image(VIEWPORT).apply(p));
        assert!(back.distance(p) < 1e-9);
    }

    #[test]
    fn a_quarter_turn_is_clockwise_and_exact() {
        let camera = Camera {
            center: Point::default(),
            zoom: 2.0,
            rotation_rad: std::f64::consts::FRAC_PI_2,
            flipped: false,
            pixel_aspect: 1.0,
        };
        // What lay to the right lies below, in whole pixels.
        let screen = camera.screen_from_image(Size::default()).apply(Point::new(10.0, 0.0));
        assert_eq!(screen, Point::new(0.0, 20.0));
    }

    #[test]
    fn the_point_under_the_pointer_stays_while_zooming_and_turning() {
        let pointer = Point::new(611.0, 82.0);
        let mut camera = turned();
        let limits = ZoomLimits::of(IMAGE, VIEWPORT, camera.pixel_aspect);
        let before = camera.image_from_screen(VIEWPORT).apply(pointer);
        for factor in [1.3, 0.4, 7.0] {
            camera.zoom_about(pointer, factor, VIEWPORT, limits);
            camera.rotate_about(pointer, 0.3, VIEWPORT);
        }
        assert!(camera.image_from_screen(VIEWPORT).apply(pointer).distance(before) < 1e-8);
    }

    #[test]
    fn a_drag_of_100_px_moves_the_image_100_px() {
        let mut camera = turned();
        let p = camera.image_from_screen(VIEWPORT).apply(Point::new(200.0, 300.0));
        camera.pan_by(Point::new(100.0, -40.0));
        assert!(camera.screen_from_image(VIEWPORT).apply(p).distance(Point::new(300.0, 260.0)) < 1e-9);
    }

    #[test]
    fn a_fitted_image_lies_in_the_viewport_at_any_angle() {
        for rotation_rad in [0.0, 0.4, 1.2, 3.0] {
            let mut camera = Camera { rotation_rad, ..turned() };
            camera.fit(IMAGE, VIEWPORT);
            let map = camera.screen_from_image(VIEWPORT);
            let all = Rect::new(Point::default(), Point::new(4001.0, 3000.0));
            for corner in all.corners().map(|c| map.apply(c)) {
                assert!(corner.x >= 0.0 && corner.x <= 801.0 && corner.y >= 0.0 && corner.y <= 600.0, "{corner:?}");
            }
        }
    }

    #[test]
    fn a_clamped_camera_always_shows_some_of_the_image() {
        let mut camera = Camera { center: Point::new(-1e9, 1e12), zoom: 1e9, ..turned() };
        camera.clamp(IMAGE, VIEWPORT);
        assert!(camera.visible_image_rect(IMAGE, VIEWPORT).is_some());
        let mut broken = Camera { zoom: f64::NAN, ..turned() };
        broken.clamp(IMAGE, VIEWPORT);
        assert!(broken.visible_image_rect(IMAGE, VIEWPORT).is_some());
    }

    #[test]
    fn mirroring_swaps_left_and_right_on_the_screen() {
        let mut camera = Camera { flipped: false, ..turned() };
        let p = camera.image_from_screen(VIEWPORT).apply(Point::new(100.0, 50.0));
        camera.flip();
        assert!(camera.screen_from_image(VIEWPORT).apply(p).distance(Point::new(701.0, 50.0)) < 1e-9);
    }

    #[test]
    fn an_aligned_camera_puts_pixels_on_pixels() {
        let camera = Camera { zoom: 1.0, rotation_rad: 0.0, flipped: false, pixel_aspect: 1.0, ..turned() };
        let origin = camera.aligned(VIEWPORT).screen_from_image(VIEWPORT).offset;
        assert_eq!(origin, Point::new(origin.x.round(), origin.y.round()));
        assert!(camera.aligned(VIEWPORT).center.distance(camera.center) <= 0.71);
    }
}
