//! How the view moves by itself, and what scrolling means: pure state machines over time stamps.
//!
//! A drag leaves the view gliding until a touch stops it; a wheel step or a button starts a short eased move that the
//! next input may interrupt or extend.
//! Nothing here reads a clock: every call brings its time in seconds.

use crate::geom::{Point, Size};
use crate::session::ScrollMode;
use crate::view::{Camera, ZoomLimits};

/// How long an eased move takes: long enough to follow, short enough not to wait for.
const MOVE_SECS: f64 = 0.16;
/// The time in which a glide loses two thirds of its speed.
const GLIDE_DECAY_SECS: f64 = 0.28;
/// A glide slower than this, in physical pixels a second, has ended.
const GLIDE_END_PX_PER_SEC: f64 = 12.0;
/// A release slower than this leaves no glide.
const GLIDE_START_PX_PER_SEC: f64 = 120.0;
/// The speed of a drag is measured over its last moments.
const SPEED_WINDOW_SECS: f64 = 0.08;
/// A pointer that rested this long before it was released was not thrown.
const REST_SECS: f64 = 0.05;
/// Drag samples that are kept to measure speed.
const MAX_SAMPLES: usize = 32;

/// Doublings a wheel line.
const DOUBLINGS_PER_LINE: f64 = 0.5;
/// Doublings a point of a swipe.
const DOUBLINGS_PER_POINT: f64 = 1.0 / 140.0;
/// Points that a wheel line pans.
const POINTS_PER_LINE: f64 = 60.0;

/// What a scroll delta counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScrollUnit {
    /// Points: a touchpad.
    Points,
    /// Lines: a wheel.
    Lines,
}

/// One scroll event.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScrollInput {
    /// What the delta counts.
    pub unit: ScrollUnit,
    /// How far the content should move, to the right and down.
    pub delta: [f64; 2],
    /// Whether Ctrl (Command on a Mac) is held.
    pub command: bool,
    /// Whether Shift is held.
    pub shift: bool,
}

/// What a scroll event does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ScrollEffect {
    /// Moves the content by points, to the right and down, at once.
    Pan([f64; 2]),
    /// Zooms by doublings at once: the fingers do the easing.
    ZoomAtOnce(f64),
    /// Zooms by doublings in an eased move.
    ZoomEased(f64),
}

/// What a scroll event does, by the user's choice.
pub fn scroll_effect(input: ScrollInput, mode: ScrollMode, inverted: bool) -> ScrollEffect {
    let sign = if inverted { -1.0 } else { 1.0 };
    let [x, y] = input.delta.map(|d| d * sign);
    let lines = input.unit == ScrollUnit::Lines;
    let points = |x: f64, y: f64| {
        let each = if lines { POINTS_PER_LINE } else { 1.0 };
        ScrollEffect::Pan([x * each, y * each])
    };
    if input.shift && !input.command {
        // Some systems turn the axes round themselves.
        return points(if x == 0.0 { y } else { x }, 0.0);
    }
    let zooms = input.command
        || match mode {
            ScrollMode::Automatic => lines && y != 0.0,
            ScrollMode::Zoom => true,
            ScrollMode::Pan => false,
        };
    match (zooms, lines) {
        (false, _) => points(x, y),
        (true, true) => ScrollEffect::ZoomEased(y * DOUBLINGS_PER_LINE),
        (true, false) => ScrollEffect::ZoomAtOnce(y * DOUBLINGS_PER_POINT),
    }
}

/// What the moves of a camera need to know around them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stage {
    /// The canvas in physical pixels.
    pub canvas: Size,
    /// How far the view may zoom.
    pub limits: ZoomLimits,
}

/// The view moving by itself, or not.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Motion {
    Still,
    /// Thrown, and slowing down: physical pixels a second at `since`, and how far it has come.
    Glide {
        speed: Point,
        since: f64,
        travelled: Point,
    },
    /// An eased zoom about a place of the screen.
    Zoom {
        anchor: Point,
        from: f64,
        to: f64,
        since: f64,
    },
    /// An eased way to another camera.
    Travel {
        from: Camera,
        to: Camera,
        since: f64,
    },
}

/// The state of what moves the camera.
#[derive(Debug)]
pub struct CameraMotion {
    motion: Motion,
    /// Where the pointer was when, during a drag.
    samples: Vec<(f64, Point)>,
}

impl Default for CameraMotion {
    fn default() -> Self {
        Self { motion: Motion::Still, samples: Vec::new() }
    }
}

impl CameraMotion {
    /// Whether the view moves by itself.
    pub fn is_moving(&self) -> bool {
        self.motion != Motion::Still
    }

    /// A touch: whatever moves stops where it is.
    pub fn stop(&mut self) {
        self.motion = Motion::Still;
        self.samples.clear();
    }

    /// Where the view will be once its move has ended: the base for the next move.
    pub fn goal(&self, camera: &Camera, stage: Stage) -> Camera {
        match self.motion {
            Motion::Travel { to, .. } => to,
            Motion::Zoom { anchor, to, .. } => {
                let mut goal = *camera;
                goal.zoom_about(anchor, to / camera.zoom, stage.canvas, stage.limits);
                goal
            }
            Motion::Still | Motion::Glide { .. } => *camera,
        }
    }

    /// A drag to a place of the screen (physical pixels): the image follows the pointer exactly.
    pub fn drag(&mut self, camera: &mut Camera, delta_px: Point, pointer: Point, now_secs: f64) {
        self.motion = Motion::Still;
        camera.pan_by(delta_px);
        if self.samples.len() >= MAX_SAMPLES {
            self.samples.remove(0);
        }
        self.samples.push((now_secs, pointer));
    }

    /// The end of a drag; with `inertia` the view glides on if it was thrown.
    pub fn release(&mut self, inertia: bool, now_secs: f64) {
        let speed = self.speed(now_secs);
        self.samples.clear();
        self.motion = if inertia && speed.x.hypot(speed.y) >= GLIDE_START_PX_PER_SEC {
            Motion::Glide { speed, since: now_secs, travelled: Point::default() }
        } else {
            Motion::Still
        };
    }

    /// Moves the image by physical pixels at once.
    pub fn pan(&mut self, camera: &mut Camera, delta_px: Point) {
        self.motion = Motion::Still;
        camera.pan_by(delta_px);
    }

    /// Zooms by doublings about a place of the screen at once: a pinch, a swipe.
    pub fn zoom_at_once(&mut self, camera: &mut Camera, anchor: Point, doublings: f64, stage: Stage) {
        self.motion = Motion::Still;
        camera.zoom_about(anchor, doublings.exp2(), stage.canvas, stage.limits);
    }

    /// Zooms by doublings about a place of the screen in an eased move; a zoom under way is extended.
    pub fn zoom_eased(&mut self, camera: &Camera, anchor: Point, doublings: f64, stage: Stage, now_secs: f64) {
        let base = if let Motion::Zoom { to, .. } = self.motion { to } else { camera.zoom };
        let to = (base * doublings.exp2()).clamp(stage.limits.min, stage.limits.max.max(stage.limits.min));
        self.motion = Motion::Zoom { anchor, from: camera.zoom, to, since: now_secs };
    }

    /// Goes to another camera in an eased move.
    pub fn travel(&mut self, from: Camera, to: Camera, now_secs: f64) {
        self.motion = Motion::Travel { from, to, since: now_secs };
    }

    /// Moves the camera to where it is at a time. True while it moves on.
    pub fn advance(&mut self, camera: &mut Camera, stage: Stage, now_secs: f64) -> bool {
        match &mut self.motion {
            Motion::Still => return false,
            Motion::Glide { speed, since, travelled } => {
                let elapsed = (now_secs - *since).max(0.0);
                let left = (-elapsed / GLIDE_DECAY_SECS).exp();
                let total = *speed * (GLIDE_DECAY_SECS * (1.0 - left));
                camera.pan_by(total - *travelled);
                *travelled = total;
                if speed.x.hypot(speed.y) * left < GLIDE_END_PX_PER_SEC {
                    self.motion = Motion::Still;
                }
            }
            Motion::Zoom { anchor, from, to, since } => {
                let share = eased(now_secs - *since);
                let zoom = *from * (*to / *from).powf(share);
                camera.zoom_about(*anchor, zoom / camera.zoom, stage.canvas, stage.limits);
                if share >= 1.0 {
                    self.motion = Motion::Still;
                }
            }
            Motion::Travel { from, to, since } => {
                let share = eased(now_secs - *since);
                *camera = between(from, to, share);
                if share >= 1.0 {
                    self.motion = Motion::Still;
                }
            }
        }
        self.is_moving()
    }

    /// Physical pixels a second over the last moments of a drag.
    fn speed(&self, now_secs: f64) -> Point {
        let Some(&(last_secs, last)) = self.samples.last() else { return Point::default() };
        if now_secs - last_secs > REST_SECS {
            return Point::default();
        }
        let first = self.samples.iter().find(|(t, _)| last_secs - t <= SPEED_WINDOW_SECS);
        match first {
            Some(&(first_secs, first)) if last_secs - first_secs > 1e-3 => {
                (last - first) * (1.0 / (last_secs - first_secs))
            }
            _ => Point::default(),
        }
    }
}

/// How much of an eased move is done after a time: fast at first, gentle at the end.
fn eased(elapsed_secs: f64) -> f64 {
    let t = (elapsed_secs / MOVE_SECS).clamp(0.0, 1.0);
    1.0 - (1.0 - t).powi(3)
}

/// A camera on the way between two, such that a place which lies at the same point of the screen in both stays there.
fn between(from: &Camera, to: &Camera, share: f64) -> Camera {
    if share >= 1.0 {
        return *to;
    }
    let zoom = from.zoom * (to.zoom / from.zoom).powf(share);
    let (start, end) = (1.0 / from.zoom, 1.0 / to.zoom);
    let moved = if (end - start).abs() > start * 1e-9 { (1.0 / zoom - start) / (end - start) } else { share };
    let half = std::f64::consts::PI;
    let turn = (to.rotation_rad - from.rotation_rad + half).rem_euclid(2.0 * half) - half;
    Camera {
        center: from.center + (to.center - from.center) * moved,
        zoom,
        rotation_rad: from.rotation_rad + turn * share,
        ..*to
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CANVAS: Size = Size::new(1001, 700);
    const IMAGE: Size = Size::new(20_000, 15_000);

    fn stage() -> Stage {
        Stage { canvas: CANVAS, limits: ZoomLimits::of(IMAGE, CANVAS, 1.0) }
    }

    fn camera() -> Camera {
        Camera { zoom: 0.4, rotation_rad: 0.3, ..Camera::fitted(IMAGE, CANVAS, 1.0) }
    }

    fn under(camera: &Camera, p: Point) -> Point {
        camera.image_from_screen(CANVAS).apply(p)
    }

    fn scroll(unit: ScrollUnit, x: f64, y: f64) -> ScrollInput {
        ScrollInput { unit, delta: [x, y], command: false, shift: false }
    }

    /// A drag as a mouse reports it: times in seconds and places in physical pixels.
    const RECORDED_THROW: [(f64, f64, f64); 6] = [
        (1.000, 400.0, 300.0),
        (1.016, 412.0, 303.0),
        (1.032, 431.0, 309.0),
        (1.048, 455.0, 316.0),
        (1.064, 480.0, 322.0),
        (1.080, 500.0, 330.0),
    ];

    fn play(motion: &mut CameraMotion, camera: &mut Camera) {
        for pair in RECORDED_THROW.windows(2) {
            let ((_, x0, y0), (t, x, y)) = (pair[0], pair[1]);
            motion.drag(camera, Point::new(x - x0, y - y0), Point::new(x, y), t);
        }
    }

    #[test]
    fn a_drag_of_100_px_moves_the_image_100_px() {
        let (mut motion, mut camera) = (CameraMotion::default(), camera());
        let grabbed = under(&camera, Point::new(400.0, 300.0));
        play(&mut motion, &mut camera);
        assert!(under(&camera, Point::new(500.0, 330.0)).distance(grabbed) < 1e-6);
    }

    #[test]
    fn a_thrown_image_glides_on_and_stops_at_a_touch() {
        let (mut motion, mut camera) = (CameraMotion::default(), camera());
        play(&mut motion, &mut camera);
        motion.release(true, 1.081);
        let start = camera.center;
        assert!(motion.advance(&mut camera, stage(), 1.2));
        let glided = camera.center.distance(start) * camera.zoom;
        assert!(glided > 50.0 && glided < 400.0, "{glided}");
        motion.stop();
        let stopped = camera.center;
        assert!(!motion.advance(&mut camera, stage(), 1.4));
        assert_eq!(camera.center, stopped);
    }

    #[test]
    fn a_glide_goes_as_far_at_any_frame_rate_and_ends() {
        let far = |frames: usize| {
            let (mut motion, mut camera) = (CameraMotion::default(), camera());
            play(&mut motion, &mut camera);
            motion.release(true, 1.081);
            for n in 1..=frames {
                motion.advance(&mut camera, stage(), 1.081 + 3.0 * n as f64 / frames as f64);
            }
            assert!(!motion.is_moving());
            camera.center
        };
        assert!(far(7).distance(far(500)) * 0.4 < GLIDE_END_PX_PER_SEC * GLIDE_DECAY_SECS + 1.0);
    }

    #[test]
    fn a_pointer_that_rested_before_its_release_throws_nothing() {
        let (mut motion, mut camera) = (CameraMotion::default(), camera());
        play(&mut motion, &mut camera);
        motion.release(true, 1.3);
        assert!(!motion.is_moving());
        play(&mut motion, &mut camera);
        motion.release(false, 1.081);
        assert!(!motion.is_moving(), "inertia can be switched off");
    }

    #[test]
    fn the_pixel_under_the_pointer_stays_there_through_an_eased_zoom() {
        let (mut motion, mut camera) = (CameraMotion::default(), camera());
        let pointer = Point::new(733.0, 121.0);
        let held = under(&camera, pointer);
        motion.zoom_eased(&camera, pointer, 1.0, stage(), 5.0);
        for n in 1..=12 {
            motion.advance(&mut camera, stage(), 5.0 + 0.015 * f64::from(n));
            assert!(under(&camera, pointer).distance(held) < 1e-6);
        }
        assert!(!motion.is_moving());
        assert!((camera.zoom - 0.8).abs() < 1e-12);
    }

    #[test]
    fn wheel_steps_add_up_however_fast_they_come() {
        let (mut motion, mut camera) = (CameraMotion::default(), camera());
        let pointer = Point::new(10.0, 20.0);
        for n in 0..4 {
            let now = 5.0 + 0.02 * f64::from(n);
            motion.advance(&mut camera, stage(), now);
            motion.zoom_eased(&camera, pointer, 0.5, stage(), now);
        }
        motion.advance(&mut camera, stage(), 9.0);
        assert!((camera.zoom / 1.6 - 1.0).abs() < 1e-12, "{}", camera.zoom);
    }

    #[test]
    fn an_eased_move_can_be_interrupted_by_a_drag() {
        let (mut motion, mut camera) = (CameraMotion::default(), camera());
        motion.zoom_eased(&camera, Point::new(10.0, 20.0), 3.0, stage(), 5.0);
        motion.advance(&mut camera, stage(), 5.05);
        let zoom = camera.zoom;
        motion.drag(&mut camera, Point::new(3.0, 0.0), Point::new(13.0, 20.0), 5.06);
        assert!(!motion.advance(&mut camera, stage(), 6.0));
        assert_eq!(camera.zoom, zoom);
    }

    #[test]
    fn a_swipe_zooms_as_far_in_one_event_as_in_twenty() {
        let zoomed = |events: usize| {
            let (mut motion, mut camera) = (CameraMotion::default(), camera());
            for _ in 0..events {
                let mut input = scroll(ScrollUnit::Points, 0.0, 180.0 / events as f64);
                input.command = true;
                let ScrollEffect::ZoomAtOnce(doublings) = scroll_effect(input, ScrollMode::Automatic, false) else {
                    panic!("Ctrl with a swipe zooms at once");
                };
                motion.zoom_at_once(&mut camera, Point::new(200.0, 100.0), doublings, stage());
            }
            camera
        };
        let (one, twenty) = (zoomed(1), zoomed(20));
        assert!((one.zoom / twenty.zoom - 1.0).abs() < 1e-12 && one.zoom > 0.8);
        assert!(one.center.distance(twenty.center) < 1e-6);
    }

    #[test]
    fn a_touchpad_pans_and_a_wheel_zooms_unless_told_otherwise() {
        use ScrollEffect::*;
        let (pad, wheel) = (scroll(ScrollUnit::Points, 4.0, -9.0), scroll(ScrollUnit::Lines, 0.0, 1.0));
        assert_eq!(scroll_effect(pad, ScrollMode::Automatic, false), Pan([4.0, -9.0]));
        assert_eq!(scroll_effect(pad, ScrollMode::Automatic, true), Pan([-4.0, 9.0]));
        assert_eq!(scroll_effect(wheel, ScrollMode::Automatic, false), ZoomEased(0.5));
        assert_eq!(scroll_effect(wheel, ScrollMode::Automatic, true), ZoomEased(-0.5));
        assert_eq!(scroll_effect(wheel, ScrollMode::Pan, false), Pan([0.0, 60.0]));
        assert_eq!(scroll_effect(pad, ScrollMode::Zoom, false), ZoomAtOnce(-9.0 / 140.0));
        let ctrl = ScrollInput { command: true, ..wheel };
        assert_eq!(scroll_effect(ctrl, ScrollMode::Pan, false), ZoomEased(0.5));
        let shift = ScrollInput { shift: true, ..wheel };
        assert_eq!(scroll_effect(shift, ScrollMode::Automatic, false), Pan([60.0, 0.0]));
        let tilt = scroll(ScrollUnit::Lines, 1.0, 0.0);
        assert_eq!(scroll_effect(tilt, ScrollMode::Automatic, false), Pan([60.0, 0.0]));
    }

    #[test]
    fn a_way_to_another_view_ends_exactly_there() {
        let (mut motion, mut camera) = (CameraMotion::default(), camera());
        let to = Camera { center: Point::new(3000.0, 9000.0), zoom: 2.0, rotation_rad: 6.2, ..camera };
        motion.travel(camera, to, 1.0);
        motion.advance(&mut camera, stage(), 1.08);
        assert!(camera.rotation_rad < 0.3, "it turns the short way round");
        assert_eq!(motion.goal(&camera, stage()), to);
        motion.advance(&mut camera, stage(), 2.0);
        assert_eq!(camera, to);
    }
}
