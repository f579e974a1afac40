//! The canvas: what the mouse, the touchpad and the fingers do to the view, and the picture itself.

pub mod device;
pub mod offscreen;
pub mod patch;
pub mod picture;
mod screen;

use super::camera_motion::{CameraMotion, ScrollEffect, ScrollInput, ScrollUnit, Stage, scroll_effect};
use super::field_drag::FieldDrag;
use crate::geom::{Point, Size};
use crate::session::{Command, OpenImage, PixelSizeTool, Session, ViewMove};
use crate::view::Camera;
use egui::{CursorIcon, Event, Key, MouseWheelSource, MouseWheelUnit, PointerButton, Rect, Response, Sense, Ui};

/// Doublings of a double-click.
const DOUBLE_CLICK_ZOOM: f64 = 1.0;

/// The canvas between frames.
#[derive(Default)]
pub struct Canvas {
    motion: CameraMotion,
    /// Fit once the eased move to it has ended, so that the view follows the window again.
    fit_at_end: bool,
    /// Where the drag that moves the view was last.
    grabbed: Option<Point>,
    /// The camera and time of the last frame, for the speed that prefetching goes by.
    last: Option<(Camera, f64)>,
    speed: Point,
    field_drag: FieldDrag,
}

/// The canvas's place on the screen.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// In points, on whole physical pixels.
    pub rect: Rect,
    /// In physical pixels.
    pub size: Size,
    /// Physical pixels a point.
    pub pixels_per_point: f64,
}

impl Place {
    /// The place of a rectangle in points.
    pub fn of(rect: Rect, pixels_per_point: f32) -> Self {
        use egui::emath::GuiRounding as _;
        let rect = rect.round_to_pixels(pixels_per_point);
        let px = |points: f32| (points * pixels_per_point).round().max(0.0) as u32;
        Self { rect, size: Size::new(px(rect.width()), px(rect.height())), pixels_per_point: pixels_per_point.into() }
    }

    /// Physical pixels from the canvas's corner.
    pub fn screen_from_ui(&self, p: egui::Pos2) -> Point {
        let v = p - self.rect.min;
        Point::new(f64::from(v.x), f64::from(v.y)) * self.pixels_per_point
    }

    /// Points in the window.
    pub fn ui_from_screen(&self, p: Point) -> egui::Pos2 {
        let v = p * (1.0 / self.pixels_per_point);
        self.rect.min + egui::vec2(v.x as f32, v.y as f32)
    }
}

impl Canvas {
    /// Whether the view moves by itself.
    pub fn is_moving(&self) -> bool {
        self.motion.is_moving()
    }

    /// How fast the view moves, level-0 pixels a second.
    pub fn speed(&self) -> Point {
        self.speed
    }

    /// Another image is shown: what moved has stopped.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// A move that was asked for by a key, a menu or a button: eased where motion is on, else at once.
    pub fn start_move(&mut self, session: &mut Session, step: ViewMove) {
        let Some(image) = session.current() else { return };
        let stage = stage_of(image, session.canvas());
        let eases =
            session.preferences().motion && !matches!(step, ViewMove::Flip | ViewMove::RotateTo(_) | ViewMove::Upright);
        if !eases {
            self.motion.stop();
            self.fit_at_end = false;
            session.apply(Command::Move(step));
            return;
        }
        let from = image.camera;
        let (to, _) = image.camera_after(self.motion.goal(&from, stage), step, stage.canvas);
        self.motion.travel(from, to, session.now_secs());
        self.fit_at_end = step == ViewMove::Fit;
    }

    /// Moves on what moves by itself.
    pub fn advance(&mut self, session: &mut Session) {
        let Some(image) = session.current() else { return };
        let (mut camera, stage, now) = (image.camera, stage_of(image, session.canvas()), session.now_secs());
        if self.motion.is_moving() {
            let more = self.motion.advance(&mut camera, stage, now);
            session.apply(Command::SetCamera(camera));
            if !more && std::mem::take(&mut self.fit_at_end) {
                session.apply(Command::Move(ViewMove::Fit));
            }
        }
        self.speed = match self.last {
            Some((last, then)) if now > then && now - then < 0.2 => {
                (camera.center - last.center) * (1.0 / (now - then))
            }
            _ => Point::default(),
        };
        self.last = Some((camera, now));
    }

    /// Takes the canvas's place and its input. What it does to the view is done at once, so that the frame shows it.
    pub fn input_ui(&mut self, ui: &mut Ui, place: Place, session: &mut Session) -> Response {
        // The canvas takes no keyboard focus: its keys work wherever the focus is.
        let response = ui.interact(place.rect, ui.scope_id().with("canvas"), Sense::CLICK | Sense::DRAG);
        response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Canvas, true, "Canvas"));
        let Some(image) = session.current() else { return response };
        let (mut camera, stage) = (image.camera, stage_of(image, place.size));
        let before = camera;
        let preferences = session.preferences().clone();
        let now = session.now_secs();
        let tool = session.pixel_size_tool();
        let space = ui.input(|i| i.key_down(Key::Space)) && !ui.text_edit_focused() && !ui.any_focus();
        let drawing = matches!(tool, PixelSizeTool::Drawing(_)) && !space;

        self.scroll(ui, &response, place, &mut camera, stage, &preferences, now);
        if drawing {
            draw_length(&response, place, &camera, tool, session);
        } else if self.field_drag.input(ui, &response, place, &camera, session) {
            self.motion.stop();
        } else {
            self.drag(ui, &response, place, &mut camera, &preferences, now);
            if response.double_clicked()
                && let Some(p) = response.interact_pointer_pos()
            {
                let anchor = place.screen_from_ui(p);
                if preferences.motion {
                    self.motion.zoom_eased(&camera, anchor, DOUBLE_CLICK_ZOOM, stage, now);
                } else {
                    self.motion.zoom_at_once(&mut camera, anchor, DOUBLE_CLICK_ZOOM, stage);
                }
            }
        }
        if camera != before {
            self.fit_at_end = false;
            session.apply(Command::SetCamera(camera));
        }
        self.point(ui, &response, place, session);
        let over_field = ui.input(|i| i.modifiers.command) && self.field_drag.is_possible(session);
        let cursor = match (drawing, response.dragged()) {
            (true, _) => CursorIcon::Crosshair,
            _ if over_field => CursorIcon::Move,
            (false, true) => CursorIcon::Grabbing,
            (false, false) if space => CursorIcon::Grab,
            (false, false) => CursorIcon::Default,
        };
        response.on_hover_cursor(cursor)
    }

    fn drag(
        &mut self,
        ui: &Ui,
        response: &Response,
        place: Place,
        camera: &mut Camera,
        preferences: &crate::session::Preferences,
        now: f64,
    ) {
        if response.is_pointer_button_down_on() && ui.input(|i| i.pointer.any_pressed()) {
            self.motion.stop();
            self.fit_at_end = false;
            // Where the button went down: by the end of a long frame the pointer may be elsewhere.
            self.grabbed = ui.input(|i| i.pointer.press_origin()).map(|p| place.screen_from_ui(p));
        }
        let buttons = [PointerButton::Primary, PointerButton::Middle];
        // The last stretch may come in the same frame as the release.
        if buttons.iter().any(|&b| response.dragged_by(b) || response.drag_stopped_by(b))
            && let (Some(from), Some(to)) = (self.grabbed, response.interact_pointer_pos())
        {
            let to = place.screen_from_ui(to);
            if to != from {
                self.motion.drag(camera, to - from, to, now);
                self.grabbed = Some(to);
            }
        }
        if response.drag_stopped() {
            self.grabbed = None;
            self.motion.release(preferences.motion, now);
        }
    }

    #[allow(clippy::too_many_arguments, reason = "one frame's input, taken apart")]
    fn scroll(
        &mut self,
        ui: &Ui,
        response: &Response,
        place: Place,
        camera: &mut Camera,
        stage: Stage,
        preferences: &crate::session::Preferences,
        now: f64,
    ) {
        if !response.contains_pointer() {
            return;
        }
        let Some(pointer) = ui.input(|i| i.pointer.latest_pos()) else { return };
        let anchor = place.screen_from_ui(pointer);
        let events = ui.input(|i| i.events.clone());
        for event in &events {
            match event {
                Event::MouseWheel { unit, delta, source, modifiers, .. } => {
                    let input = scroll_input(*unit, *source, *delta, *modifiers, place);
                    match scroll_effect(input, preferences.scroll, preferences.invert_scroll) {
                        ScrollEffect::Pan([x, y]) => {
                            self.motion.pan(camera, Point::new(x, y) * place.pixels_per_point);
                        }
                        ScrollEffect::ZoomEased(doublings) if preferences.motion => {
                            self.motion.zoom_eased(camera, anchor, doublings, stage, now);
                        }
                        ScrollEffect::ZoomEased(doublings) | ScrollEffect::ZoomAtOnce(doublings) => {
                            self.motion.zoom_at_once(camera, anchor, doublings, stage);
                        }
                    }
                    self.fit_at_end = false;
                }
                Event::Zoom(factor) if *factor > 0.0 => {
                    self.motion.zoom_at_once(camera, anchor, f64::from(*factor).log2(), stage);
                }
                _ => {}
            }
        }
        if let Some(touch) = ui.input(|i| i.multi_touch()) {
            let middle = place.screen_from_ui(touch.center_pos);
            self.motion.zoom_at_once(camera, middle, f64::from(touch.zoom_delta).log2(), stage);
        }
    }

    fn point(&self, ui: &Ui, response: &Response, place: Place, session: &mut Session) {
        let Some(image) = session.current() else { return };
        let hovered = response.contains_pointer() || response.dragged();
        let pointer = ui.input(|i| i.pointer.latest_pos()).filter(|_| hovered);
        let to_image = image.camera.image_from_screen(place.size);
        let at = pointer.map(|p| to_image.apply(place.screen_from_ui(p)));
        if at != session.pointer() {
            session.apply(Command::PointAt(at));
        }
    }
}

/// A known length is being drawn: its ends are kept in image pixels.
fn draw_length(response: &Response, place: Place, camera: &Camera, tool: PixelSizeTool, session: &mut Session) {
    let Some(pointer) = response.interact_pointer_pos() else { return };
    let to_image = camera.image_from_screen(place.size);
    let at = to_image.apply(place.screen_from_ui(pointer));
    let line = match tool {
        _ if response.drag_started() => {
            let origin = response.total_drag_delta().map_or(pointer, |d| pointer - d);
            Some((to_image.apply(place.screen_from_ui(origin)), at))
        }
        PixelSizeTool::Drawing(Some((from, _))) if response.dragged() => Some((from, at)),
        PixelSizeTool::Drawing(line) => line,
        PixelSizeTool::Closed | PixelSizeTool::Typing => return,
    };
    if tool != PixelSizeTool::Drawing(line) {
        session.apply(Command::PixelSizeTool(PixelSizeTool::Drawing(line)));
    }
}

fn stage_of(image: &OpenImage, canvas: Size) -> Stage {
    Stage { canvas, limits: image.zoom_limits(canvas) }
}

/// A scroll event in our terms: the device says what it is, where the system knows; else the unit does.
fn scroll_input(
    unit: MouseWheelUnit,
    source: MouseWheelSource,
    delta: egui::Vec2,
    modifiers: egui::Modifiers,
    place: Place,
) -> ScrollInput {
    let lines = match source {
        MouseWheelSource::Wheel => unit != MouseWheelUnit::Point,
        MouseWheelSource::Trackpad | MouseWheelSource::Momentum => false,
        MouseWheelSource::Unknown => unit != MouseWheelUnit::Point,
    };
    let page = f64::from(place.rect.height()) * 0.8;
    let scale = match (unit, lines) {
        (MouseWheelUnit::Point, _) | (MouseWheelUnit::Line, true) => 1.0,
        (MouseWheelUnit::Line, false) => 16.0,
        (MouseWheelUnit::Page, _) => page,
    };
    let lines = lines && unit != MouseWheelUnit::Page;
    ScrollInput {
        unit: if lines { ScrollUnit::Lines } else { ScrollUnit::Points },
        delta: [f64::from(delta.x) * scale, f64::from(delta.y) * scale],
        command: modifiers.command || modifiers.ctrl,
        shift: modifiers.shift,
    }
}

/// What the canvas asks egui about the focus.
trait Focus {
    fn text_edit_focused(&self) -> bool;
    fn any_focus(&self) -> bool;
}

impl Focus for Ui {
    fn text_edit_focused(&self) -> bool {
        self.ctx().text_edit_focused()
    }

    fn any_focus(&self) -> bool {
        self.ctx().memory(|m| m.focused()).is_some()
    }
}
