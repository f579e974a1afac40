//! The region of an export, as a frame on the canvas: dragged by its handles, or as a whole by its inside.

use super::canvas::Place;
use super::overlays::Ink;
use crate::geom::{PixelRect, Point};
use crate::session::{Command, ExportCommand, Session};
use egui::{CursorIcon, PointerButton, Pos2, Rect, Sense, Shape, Stroke, Ui, Vec2};

/// A handle's side, points.
const HANDLE: f32 = 8.0;
/// How far around a handle the pointer takes hold of it, points.
const REACH: f32 = 9.0;
/// How dark the image is beside the region: what is outside is still seen.
const SHADE: u8 = 0x70;

/// Where a drag takes hold: -1, 0, 1 is the left, neither, the right edge, then the same from the top; [0, 0] moves all.
type Hold = [i8; 2];

const HANDLES: [(Hold, &str); 8] = [
    ([-1, -1], "Top left corner of the region"),
    ([0, -1], "Top edge of the region on the image"),
    ([1, -1], "Top right corner of the region"),
    ([1, 0], "Right edge of the region on the image"),
    ([1, 1], "Bottom right corner of the region"),
    ([0, 1], "Bottom edge of the region on the image"),
    ([-1, 1], "Bottom left corner of the region"),
    ([-1, 0], "Left edge of the region on the image"),
];

/// A drag of the frame: what the region was and where the pointer took hold, level-0 pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RegionDrag {
    region: PixelRect,
    from: Point,
}

/// The frame. What is dragged takes its way through the session like everything else.
pub fn region_frame_ui(
    ui: &mut Ui,
    place: Place,
    session: &Session,
    drag: &mut Option<RegionDrag>,
    ink: Ink,
    commands: &mut Vec<Command>,
) {
    let (Some(region), Some(image)) = (session.export_region(), session.current()) else {
        *drag = None;
        return;
    };
    let to_screen = image.camera.screen_from_image(place.size);
    let to_image = image.camera.image_from_screen(place.size);
    let on_canvas = |x: f64, y: f64| place.ui_from_screen(to_screen.apply(Point::new(x, y)));
    let (left, top) = (f64::from(region.x), f64::from(region.y));
    let (right, bottom) = (f64::from(region.right()), f64::from(region.bottom()));
    let corners = [on_canvas(left, top), on_canvas(right, top), on_canvas(right, bottom), on_canvas(left, bottom)];
    paint(ui, place.rect, corners, ink);

    let mut moved = None;
    let mut take = |ui: &Ui, response: &egui::Response, hold: Hold| {
        let Some(pointer) = response.interact_pointer_pos() else { return };
        let at = to_image.apply(place.screen_from_ui(pointer));
        if response.drag_started() {
            let origin = ui.input(|i| i.pointer.press_origin()).unwrap_or(pointer);
            *drag = Some(RegionDrag { region, from: to_image.apply(place.screen_from_ui(origin)) });
        }
        if let Some(drag) = *drag
            && (response.dragged() || response.drag_stopped())
        {
            moved = Some(dragged(drag.region, hold, at - drag.from, image.whole()));
        }
        if response.drag_stopped() {
            *drag = None;
        }
    };
    // The inside moves the frame; with Space held, as with the middle button, a drag moves the image.
    let middle = corners[0] + (corners[2] - corners[0]) * 0.5;
    let bounds = Rect::from_points(&corners).intersect(place.rect);
    let is_inside = |p: Pos2| {
        let at = to_image.apply(place.screen_from_ui(p));
        (left..right).contains(&at.x) && (top..bottom).contains(&at.y)
    };
    let (pointer, space) = ui.input(|i| (i.pointer.interact_pos(), i.key_down(egui::Key::Space)));
    let id = ui.scope_id().with("region inside");
    // A turned frame fills its bounds only in part: what lies beside it is the image.
    let is_held = ui.ctx().is_being_dragged(id);
    if bounds.is_positive() && (is_held || (!space && pointer.is_none_or(is_inside))) {
        let response = ui.interact(bounds, id, Sense::drag());
        response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Unknown, true, "Inside of the region"));
        if response.dragged_by(PointerButton::Primary) || response.drag_stopped_by(PointerButton::Primary) {
            take(ui, &response, [0, 0]);
        }
        if response.dragged_by(PointerButton::Middle) {
            let by = response.drag_delta();
            let mut camera = image.camera;
            camera.pan_by(Point::new(f64::from(by.x), f64::from(by.y)) * place.pixels_per_point);
            commands.push(Command::SetCamera(camera));
        }
        paint_cross(ui, middle, ink, response.hovered() || response.dragged());
        response.on_hover_cursor(CursorIcon::Move);
    } else {
        paint_cross(ui, middle, ink, false);
    }
    for (hold, name) in HANDLES {
        let along = |low: f64, high: f64, n: i8| low + (high - low) * (f64::from(n) + 1.0) / 2.0;
        let at = on_canvas(along(left, right, hold[0]), along(top, bottom, hold[1]));
        if !place.rect.contains(at) {
            continue;
        }
        let grip = Rect::from_center_size(at, Vec2::splat(2.0 * REACH));
        let response = ui.interact(grip, ui.scope_id().with(name), Sense::drag());
        response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Unknown, true, name));
        paint_handle(ui, at, ink, response.hovered() || response.dragged());
        take(ui, &response, hold);
        response.on_hover_cursor(cursor(at - middle, hold));
    }
    commands.extend(moved.map(|region| Command::Export(ExportCommand::SetRegion(region))));
}

/// A region after a drag by `by` pixels of some of its edges, inside all that there is and at least a pixel a side.
fn dragged(region: PixelRect, hold: Hold, by: Point, whole: PixelRect) -> PixelRect {
    let axis = |(start, length): (u32, u32), (least, most): (u32, u32), hold: i8, both: bool, by: f64| {
        let by = by.round().clamp(-f64::from(u32::MAX), f64::from(u32::MAX)) as i64;
        let (low, high) = (i64::from(start), i64::from(start) + i64::from(length));
        let (least, most) = (i64::from(least), i64::from(most));
        let (low, high) = match (hold, both) {
            (_, true) => {
                let by = by.clamp((least - low).min(0), (most - high).max(0));
                (low + by, high + by)
            }
            (-1, _) => ((low + by).clamp(least.min(high - 1), high - 1), high),
            (1, _) => (low, (high + by).clamp(low + 1, most.max(low + 1))),
            _ => (low, high),
        };
        (low as u32, (high - low) as u32)
    };
    let all = hold == [0, 0];
    let (x, width) = axis((region.x, region.width), (whole.x, whole.right()), hold[0], all, by.x);
    let (y, height) = axis((region.y, region.height), (whole.y, whole.bottom()), hold[1], all, by.y);
    PixelRect::new(x, y, width, height)
}

fn paint(ui: &Ui, canvas: Rect, corners: [Pos2; 4], ink: Ink) {
    let painter = ui.painter_at(canvas);
    // Four bands around an upright frame; a turned one is drawn as lines alone.
    let bounds = Rect::from_points(&corners);
    let upright = corners.iter().all(|c| bounds.distance_to_pos(*c) < 0.01 && is_corner(bounds, *c));
    if upright {
        let shade = egui::Color32::from_black_alpha(SHADE);
        let (b, c) = (bounds.intersect(canvas), canvas);
        if b.is_positive() {
            for band in [
                Rect::from_min_max(c.min, egui::pos2(c.right(), b.top())),
                Rect::from_min_max(egui::pos2(c.left(), b.bottom()), c.max),
                Rect::from_min_max(egui::pos2(c.left(), b.top()), egui::pos2(b.left(), b.bottom())),
                Rect::from_min_max(egui::pos2(b.right(), b.top()), egui::pos2(c.right(), b.bottom())),
            ] {
                painter.rect_filled(band, 0.0, shade);
            }
        } else {
            painter.rect_filled(c, 0.0, shade);
        }
    }
    for (width, color) in [(3.0, ink.halo()), (1.25, ink.stroke())] {
        painter.add(Shape::closed_line(corners.to_vec(), Stroke::new(width, color)));
    }
}

fn is_corner(rect: Rect, p: Pos2) -> bool {
    let near = |a: f32, b: f32| (a - b).abs() < 0.01;
    (near(p.x, rect.left()) || near(p.x, rect.right())) && (near(p.y, rect.top()) || near(p.y, rect.bottom()))
}

fn paint_handle(ui: &Ui, at: Pos2, ink: Ink, strong: bool) {
    let accent = super::theme::palette(ui.visuals()).accent;
    let side = if strong { HANDLE + 2.0 } else { HANDLE };
    let rect = Rect::from_center_size(at, Vec2::splat(side));
    ui.painter().rect_filled(rect.expand(1.0), 1.0, ink.halo());
    ui.painter().rect_filled(rect, 1.0, if strong { accent } else { ink.stroke() });
}

fn paint_cross(ui: &Ui, at: Pos2, ink: Ink, strong: bool) {
    let reach = if strong { 8.0 } else { 6.0 };
    for step in [egui::vec2(reach, 0.0), egui::vec2(0.0, reach)] {
        ink.line(ui, [at - step, at + step], 1.5);
    }
}

/// The cursor that says which way a handle goes, on an image that may be turned.
fn cursor(out: Vec2, hold: Hold) -> CursorIcon {
    if hold[0] == 0 || hold[1] == 0 {
        return if out.x.abs() > out.y.abs() { CursorIcon::ResizeHorizontal } else { CursorIcon::ResizeVertical };
    }
    if out.x * out.y > 0.0 { CursorIcon::ResizeNwSe } else { CursorIcon::ResizeNeSw }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IMAGE: PixelRect = PixelRect { x: 0, y: 0, width: 100, height: 80 };

    #[test]
    fn a_handle_moves_its_own_edges_only() {
        let region = PixelRect::new(20, 30, 40, 20);
        assert_eq!(dragged(region, [1, 1], Point::new(5.4, -3.0), IMAGE), PixelRect::new(20, 30, 45, 17));
        assert_eq!(dragged(region, [-1, 0], Point::new(-5.0, 99.0), IMAGE), PixelRect::new(15, 30, 45, 20));
    }

    #[test]
    fn a_region_stays_in_the_image_and_never_turns_inside_out() {
        let region = PixelRect::new(20, 30, 40, 20);
        assert_eq!(dragged(region, [0, 0], Point::new(-500.0, 500.0), IMAGE), PixelRect::new(0, 60, 40, 20));
        assert_eq!(dragged(region, [-1, -1], Point::new(500.0, 500.0), IMAGE), PixelRect::new(59, 49, 1, 1));
        assert_eq!(dragged(region, [1, 0], Point::new(f64::MAX, 0.0), IMAGE), PixelRect::new(20, 30, 80, 20));
        let fields = PixelRect::new(10, 12, 60, 60);
        assert_eq!(dragged(region, [0, 0], Point::new(-50.0, 90.0), fields), PixelRect::new(10, 52, 40, 20));
        assert_eq!(dragged(region, [-1, 1], Point::new(-50.0, 90.0), fields), PixelRect::new(10, 30, 50, 42));
    }
}
