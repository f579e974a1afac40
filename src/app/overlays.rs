//! What lies over the image: scale bar, overview map, the line of a known length.
//!
//! Strokes have a thin halo, so that they can be read on black and on white: light ones with a dark halo over
//! fluorescence, dark ones with a light halo over brightfield.

use super::canvas::Place;
use super::canvas::picture::Picture;
use super::theme;
use crate::geom::{Point, Rect as ImageRect, Size};
use crate::session::{Command, OpenImage, PixelSizeTool, Session, ViewMove};
use crate::view::{Camera, scale_bar};
use egui::epaint::RectShape;
use egui::{Align2, Color32, CornerRadius, FontId, Pos2, Rect, Sense, Stroke, StrokeKind, Ui, pos2, vec2};

/// From the canvas's edges, points.
const MARGIN: f32 = 16.0;
/// The longest scale bar, points. The shortest is two fifths of it: counted in whole pixels, that is right to 0.5 %.
const LONGEST_BAR: f32 = 250.0;
/// The scale bar's height, points.
const BAR_THICKNESS: f32 = 3.0;
/// The corner that the scale bar, its label and their halos stay in: width and height in points.
pub const SCALE_BAR_CORNER: [f32; 2] = [LONGEST_BAR + 2.0 * MARGIN, MARGIN + BAR_THICKNESS + 32.0];
/// The overview map's longer side, points.
const MAP_SIDE: f32 = 176.0;
/// The map is left out where it would take more than this part of the canvas's shorter side.
const MAP_SHARE: f32 = 0.45;
/// There is no map of an image that takes no more than this share of the canvas: it is seen as it is, and the map would
/// cover some of it. The hundredth above all of it is not missed.
const SEEN_WHOLE: f64 = 1.01;

/// What overlays are drawn with.
#[derive(Debug, Clone, Copy)]
pub struct Ink {
    stroke: Color32,
    halo: Color32,
}

impl Ink {
    /// The ink for a canvas of a colour.
    pub fn on(background: [u8; 3]) -> Self {
        let light = background.iter().map(|&v| u32::from(v)).sum::<u32>() > 3 * 128;
        if light {
            Self { stroke: Color32::from_gray(0x14), halo: Color32::from_white_alpha(0xc0) }
        } else {
            Self { stroke: Color32::from_gray(0xf4), halo: Color32::from_black_alpha(0xb0) }
        }
    }

    /// The strokes.
    pub fn stroke(self) -> Color32 {
        self.stroke
    }

    /// What is around them.
    pub fn halo(self) -> Color32 {
        self.halo
    }

    /// Words with a halo.
    pub fn text(self, ui: &Ui, at: Pos2, align: Align2, text: &str, size: f32) {
        let font = FontId::proportional(size);
        for step in 0..8 {
            let around = egui::Vec2::angled(std::f32::consts::FRAC_PI_4 * step as f32);
            ui.painter().text(at + around, align, text, font.clone(), self.halo);
        }
        ui.painter().text(at, align, text, font, self.stroke);
    }

    /// A line with a halo.
    pub fn line(self, ui: &Ui, ends: [Pos2; 2], width: f32) {
        ui.painter().line_segment(ends, Stroke::new(width + 2.0, self.halo));
        ui.painter().line_segment(ends, Stroke::new(width, self.stroke));
    }
}

/// The scale bar at the bottom left, for `um_per_px` micrometres (`None`: not known) and `zoom` physical pixels a level-0
/// pixel. False where there is no room for one.
pub fn scale_bar_ui(ui: &mut Ui, place: Place, um_per_px: Option<f64>, zoom: f64, ink: Ink) -> bool {
    use egui::emath::GuiRounding as _;
    let room = (place.rect.width() - 2.0 * MARGIN).min(LONGEST_BAR);
    let longest = f64::from(room) * place.pixels_per_point;
    let Some(bar) = scale_bar(um_per_px, zoom, longest) else { return false };
    let length = (bar.length_screen_px / place.pixels_per_point) as f32;
    let pixels_per_point = place.pixels_per_point as f32;
    let left = (place.rect.left_bottom() + vec2(MARGIN, -MARGIN)).round_to_pixels(pixels_per_point);
    let thick = BAR_THICKNESS.round_to_pixels(pixels_per_point);
    let rect = Rect::from_min_size(left - vec2(0.0, thick), vec2(length, thick));
    // Its end lies where the length says, between pixels too: whole pixels would make a short bar wrong by a hundredth.
    for (rect, radius, color) in [(rect.expand(1.0), 1.0, ink.halo), (rect, 0.0, ink.stroke)] {
        ui.painter().add(RectShape::filled(rect, radius, color).with_round_to_pixels(false));
    }
    // A label that is longer than its bar still begins inside the canvas.
    let galley = ui.painter().layout_no_wrap(bar.label.clone(), FontId::proportional(theme::BODY), ink.stroke);
    let middle = rect.center().x.max(place.rect.left() + galley.size().x / 2.0 + 2.0);
    ink.text(ui, pos2(middle, rect.top() - 4.0), Align2::CENTER_BOTTOM, &bar.label, theme::BODY);
    let response = ui.interact(rect.expand2(vec2(0.0, 10.0)), ui.scope_id().with("scale bar"), Sense::hover());
    let name = format!("Scale bar, {}", bar.label);
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Label, true, &name));
    true
}

/// The map's place at the top right, the camera that shows the whole image in it, and its size in physical pixels. The map
/// lies as the image does on the canvas: turned and mirrored. `None` while all of the image fits on the canvas.
pub fn overview_place(place: Place, image: &OpenImage) -> Option<(Place, Camera)> {
    let whole = image.whole();
    let side = MAP_SIDE.min(place.rect.width().min(place.rect.height()) * MAP_SHARE);
    if side < 48.0 || whole.is_empty() {
        return None;
    }
    let middle = |start: u32, length: u32| f64::from(start) + f64::from(length) / 2.0;
    let center = Point::new(middle(whole.x, whole.width), middle(whole.y, whole.height));
    let camera = Camera { center, zoom: 1.0, ..image.camera };
    // What the image takes on the screen at 1:1, as it is turned.
    let corner = Point::new(f64::from(whole.width), f64::from(whole.height));
    let to_screen = camera.screen_from_image(Size::default());
    let turned = ImageRect::around(ImageRect::new(Point::default(), corner).corners().map(|c| to_screen.apply(c)))?;
    // By its size alone, wherever it lies: a drag that moves an edge off the canvas does not make the map come and go.
    let fits = |length: f64, canvas: u32| length * image.camera.zoom <= f64::from(canvas) * SEEN_WHOLE;
    if fits(turned.width(), place.size.width) && fits(turned.height(), place.size.height) {
        return None;
    }
    let scale = f64::from(side) / turned.width().max(turned.height());
    // A strip stays wide enough to be hit.
    let extent = vec2(((turned.width() * scale) as f32).max(16.0), ((turned.height() * scale) as f32).max(16.0));
    let corner = place.rect.right_top() + vec2(-MARGIN - extent.x, MARGIN);
    let map = Place::of(Rect::from_min_size(corner, extent), place.pixels_per_point as f32);
    let across = f64::from(map.size.width) / turned.width();
    let down = f64::from(map.size.height) / turned.height();
    Some((map, Camera { zoom: across.min(down), ..camera }))
}

/// The overview map: the whole image, and the part of it that is on the canvas. A click or a drag jumps there.
pub fn overview_ui(
    ui: &mut Ui,
    place: Place,
    map: Place,
    camera: &Camera,
    image: &OpenImage,
    picture: Option<&Picture>,
    ink: Ink,
) -> Option<Command> {
    let rect = map.rect;
    ui.painter().rect_filled(rect.expand(2.0), 2.0, ink.halo);
    if let Some(picture) = picture {
        picture.paint_overview(ui.painter(), rect);
    }
    ui.painter().rect_stroke(rect, 0.0, Stroke::new(1.0, ink.stroke.gamma_multiply(0.5)), StrokeKind::Outside);
    let to_map = camera.screen_from_image(map.size);
    let from_canvas = image.camera.image_from_screen(place.size);
    let canvas = ImageRect::new(Point::default(), corner_of(place.size));
    let corners = canvas.corners().map(|c| map.ui_from_screen(to_map.apply(from_canvas.apply(c))));
    let painter = ui.painter_at(rect);
    for (width, color) in [(3.5, ink.halo), (1.5, ink.stroke)] {
        painter.add(egui::Shape::closed_line(corners.to_vec(), Stroke::new(width, color)));
    }
    let response = ui.interact(rect, ui.scope_id().with("overview"), Sense::CLICK | Sense::DRAG);
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Canvas, true, "Overview map"));
    let p = response.interact_pointer_pos()?;
    if response.drag_started() || response.dragged() {
        let at = camera.image_from_screen(map.size).apply(map.screen_from_ui(p));
        let mut to = image.camera;
        to.center = at;
        return Some(Command::SetCamera(to));
    }
    if response.clicked() {
        let at = camera.image_from_screen(map.size).apply(map.screen_from_ui(p));
        return Some(Command::Move(ViewMove::CenterOn(at)));
    }
    None
}

fn corner_of(size: Size) -> Point {
    Point::new(size.width.into(), size.height.into())
}

/// The line along a known length, while it is drawn.
pub fn known_length_ui(ui: &mut Ui, place: Place, session: &Session, ink: Ink) {
    let (Some(image), PixelSizeTool::Drawing(Some((from, to)))) = (session.current(), session.pixel_size_tool()) else {
        return;
    };
    let to_screen = image.camera.screen_from_image(place.size);
    let ends = [from, to].map(|p| place.ui_from_screen(to_screen.apply(p)));
    ink.line(ui, ends, 1.5);
    let along = (ends[1] - ends[0]).normalized();
    for end in ends {
        let across = vec2(-along.y, along.x) * 6.0;
        ink.line(ui, [end - across, end + across], 1.5);
    }
}

/// Words in the middle of an empty canvas.
pub fn message_ui(ui: &mut Ui, rect: Rect, title: &str, more: &str, ink: Ink) {
    ink.text(ui, rect.center() - vec2(0.0, 2.0), Align2::CENTER_BOTTOM, title, theme::BODY);
    ink.text(ui, rect.center() + vec2(0.0, 4.0), Align2::CENTER_TOP, more, theme::SMALL);
}

/// The frame that says a drop will be taken.
pub fn drop_frame_ui(ui: &mut Ui, rect: Rect) {
    let accent = theme::palette(ui.visuals()).accent;
    let layer = egui::LayerId::new(egui::Order::Foreground, egui::Id::unique("drop"));
    let painter = ui.ctx().layer_painter(layer);
    painter.rect_filled(rect, CornerRadius::ZERO, accent.gamma_multiply(0.12));
    painter.rect_stroke(rect.shrink(4.0), 6.0, Stroke::new(2.0, accent), StrokeKind::Inside);
    let font = FontId::proportional(16.0);
    let galley = painter.layout_no_wrap("Drop to open beside what is open".to_owned(), font, Color32::WHITE);
    let at = Align2::CENTER_CENTER.anchor_size(rect.center(), galley.size());
    painter.rect_filled(at.expand2(vec2(16.0, 8.0)), 6.0, Color32::from_gray(0x20));
    painter.galley(at.min, galley, Color32::WHITE);
}
