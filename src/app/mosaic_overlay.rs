//! Field outlines and seams over a mosaic, by quality.
//!
//! A seam is two ticks beside its line, so that the seam itself stays to be seen.
//! Quality is told by brightness and by a dash pattern, never by hue: good ones are faint and whole, doubtful ones
//! brighter and dashed, those without information dotted, problems bright, dashed and numbered.

use super::canvas::Place;
use super::overlays::Ink;
use super::theme;
use crate::engine::{Seam, SeamQuality};
use crate::geom::{Affine, Point, Rect as ImageRect};
use crate::session::{Command, MosaicCommand, MosaicView, OpenImage, Selection};
use egui::{Align2, Color32, FontId, Mesh, Pos2, Rect, Sense, Shape, Stroke, Ui, Vec2, vec2};

/// How far beside its seam a tick is, points.
const BESIDE: f32 = 5.0;
/// Where the ticks of a seam begin and end, as shares of its length: clear of its middle, where the number is, and of its
/// ends, where four fields meet.
const TICKS: [[f32; 2]; 2] = [[0.22, 0.36], [0.64, 0.78]];
/// A seam shorter than this on the screen has no ticks, points; a problem keeps its number.
const LEAST_SEAM: f32 = 24.0;
/// The circle around a problem's number, points.
const NUMBER_RADIUS: f32 = 9.0;
/// Fields smaller than this on the screen have no outlines, points.
const LEAST_FIELD: f32 = 20.0;

/// Pieces of one tick at most: more are not told apart.
const MOST_DASHES: usize = 64;

/// Problems that are numbered on the image at most, the worst first: more than anyone looks at.
const MOST_NUMBERED: u32 = 200;

/// The two fields of a selected seam, told apart on black and on white.
const FIRST_FIELD: Color32 = Color32::from_rgb(0x40, 0xd8, 0xe0);
const SECOND_FIELD: Color32 = Color32::from_rgb(0xf0, 0x70, 0xd8);

/// Outlines, seams, and what is selected, while they are shown.
pub fn mosaic_overlay_ui(ui: &mut Ui, place: Place, image: &OpenImage, ink: Ink, commands: &mut Vec<Command>) {
    let Some(view) = &image.mosaic else { return };
    let overlay = Overlay { to_screen: image.camera.screen_from_image(place.size), place, ink };
    if view.seams_shown() {
        let canvas = place.rect.expand(2.0 * NUMBER_RADIUS);
        let corners = [canvas.left_top(), canvas.right_top(), canvas.right_bottom(), canvas.left_bottom()];
        let to_image = image.camera.image_from_screen(place.size);
        let seen = ImageRect::around(corners.map(|p| to_image.apply(place.screen_from_ui(p)))).unwrap_or_default();
        let is_seen = |field: &u32| view.field_rect(*field).is_some_and(|rect| rect.intersect(seen).is_some());
        let fields: Vec<u32> = (0..view.positions().len() as u32).filter(is_seen).collect();
        overlay.outlines(ui, view, &fields);
        overlay.seams(ui, view, &fields, commands);
    }
    overlay.selection(ui, view);
}

struct Overlay {
    to_screen: Affine,
    place: Place,
    ink: Ink,
}

impl Overlay {
    fn ui(&self, p: Point) -> Pos2 {
        self.place.ui_from_screen(self.to_screen.apply(p))
    }

    fn corners(&self, view: &MosaicView, field: u32) -> Option<[Pos2; 4]> {
        Some(view.field_rect(field)?.corners().map(|c| self.ui(c)))
    }

    /// Whether any of a shape's points, or what lies between them, is on the canvas.
    fn is_seen(&self, points: &[Pos2]) -> bool {
        self.place.rect.expand(2.0 * NUMBER_RADIUS).intersects(Rect::from_points(points))
    }

    fn outlines(&self, ui: &Ui, view: &MosaicView, fields: &[u32]) {
        // Hundreds of outlines as one mesh: strokes that are smoothed one by one take longer than all else in a frame.
        let mut mesh = Mesh::default();
        let color = self.ink.stroke().gamma_multiply(0.22);
        for &field in fields {
            let Some(corners) = self.corners(view, field).filter(|c| self.is_seen(c)) else { continue };
            if (corners[1] - corners[0]).length().min((corners[2] - corners[1]).length()) < LEAST_FIELD {
                return;
            }
            for n in 0..4 {
                stripe(&mut mesh, [corners[n], corners[(n + 1) % 4]], Stroke::new(1.0, color));
            }
        }
        ui.painter_at(self.place.rect).add(mesh);
    }

    /// The seams of the fields that are seen.
    fn seams(&self, ui: &mut Ui, view: &MosaicView, fields: &[u32], commands: &mut Vec<Command>) {
        let all = &view.state.seams;
        let is_numbered = |seam: &&Seam| seam.number.is_some_and(|number| number <= MOST_NUMBERED);
        // Where no field is as long as the shortest seam with ticks, numbers are all that there is to see.
        let longest = |field: &u32| {
            let corners = self.corners(view, *field).unwrap_or_default();
            (corners[1] - corners[0]).length().max((corners[2] - corners[1]).length())
        };
        if fields.iter().all(|field| longest(field) < LEAST_SEAM) {
            for seam in all.iter().filter(is_numbered) {
                let Some(ends) = self.ends(view, seam) else { continue };
                self.number_ui(ui, view, seam, ends, commands);
            }
            return;
        }
        let mut numbered: Vec<(&Seam, [Pos2; 2])> = Vec::new();
        for &field in fields {
            // Seams come in the order of their fields.
            let first = all.partition_point(|seam| seam.fields.0 < field);
            for seam in all[first..].iter().take_while(|seam| seam.fields.0 == field) {
                let Some(ends) = self.ends(view, seam) else { continue };
                if is_numbered(&seam) {
                    numbered.push((seam, ends));
                    continue;
                }
                self.ticks(ui, ends, seam.quality(), 1.0);
                self.seam_to_click_ui(ui, view, seam, ends, commands);
            }
        }
        // Problems come last, over everything else.
        for (seam, ends) in numbered {
            self.ticks(ui, ends, SeamQuality::Problem, 1.0);
            self.number_ui(ui, view, seam, ends, commands);
        }
    }

    /// The ends of a seam on the screen; `None` where it is not seen.
    fn ends(&self, view: &MosaicView, seam: &Seam) -> Option<[Pos2; 2]> {
        let (a, b) = view.seam_segment(seam.fields)?;
        Some([self.ui(a), self.ui(b)]).filter(|ends| self.is_seen(ends))
    }

    fn ticks(&self, ui: &Ui, [from, to]: [Pos2; 2], quality: SeamQuality, strength: f32) {
        let along = to - from;
        if along.length() < LEAST_SEAM {
            return;
        }
        let beside = vec2(-along.y, along.x).normalized() * BESIDE;
        let Look { width, brightness, dash } = Look::of(quality);
        let mut mesh = Mesh::default();
        for [start, end] in TICKS {
            let line = [from + along * start + beside, from + along * end + beside];
            let halo = Stroke::new(width + 2.0, self.ink.halo().gamma_multiply(brightness));
            let stroke = Stroke::new(width, self.ink.stroke().gamma_multiply(brightness * strength));
            for (n, piece) in dashes(line, dash).enumerate() {
                if n < MOST_DASHES {
                    stripe(&mut mesh, piece, halo);
                    stripe(&mut mesh, piece, stroke);
                }
            }
        }
        ui.painter_at(self.place.rect).add(mesh);
    }

    /// A problem's number in a circle on its seam, to be clicked.
    fn number_ui(&self, ui: &mut Ui, view: &MosaicView, seam: &Seam, ends: [Pos2; 2], commands: &mut Vec<Command>) {
        let Some(number) = seam.number else { return };
        let middle = ends[0] + (ends[1] - ends[0]) * 0.5;
        if !self.place.rect.contains(middle) {
            return;
        }
        let rect = Rect::from_center_size(middle, Vec2::splat(2.0 * NUMBER_RADIUS + 2.0));
        let response = ui.interact(rect, ui.scope_id().with(("seam", seam.fields)), Sense::click());
        let name = format!("Seam {number} on the image");
        response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, &name));
        let accent = theme::palette(ui.visuals()).accent;
        let ring = if response.hovered() || is_selected(view, seam) { accent } else { self.ink.stroke() };
        let painter = ui.painter_at(self.place.rect);
        // Dark on any picture, with a light ring: the number is read on black and on white.
        painter.circle_filled(middle, NUMBER_RADIUS + 2.0, Color32::from_black_alpha(0xb0));
        painter.circle_filled(middle, NUMBER_RADIUS, Color32::from_gray(0x24));
        painter.circle_stroke(middle, NUMBER_RADIUS, Stroke::new(1.5, ring_on_dark(ring)));
        let font = FontId::proportional(theme::SMALL);
        painter.text(middle, Align2::CENTER_CENTER, number.to_string(), font, Color32::from_gray(0xf4));
        select_on_click(view, seam, response, commands);
    }

    /// A seam that is no problem can be clicked on its ticks.
    fn seam_to_click_ui(
        &self,
        ui: &mut Ui,
        view: &MosaicView,
        seam: &Seam,
        [from, to]: [Pos2; 2],
        commands: &mut Vec<Command>,
    ) {
        let along = to - from;
        // Ticks of small fields would leave no room to move the image.
        if along.length() < 6.0 * LEAST_SEAM {
            return;
        }
        for (n, [start, end]) in TICKS.into_iter().enumerate() {
            let rect = Rect::from_two_pos(from + along * start, from + along * end).expand(BESIDE + 2.0);
            if !self.place.rect.contains_rect(rect) {
                continue;
            }
            let response = ui.interact(rect, ui.scope_id().with(("seam", seam.fields, n)), Sense::click());
            if response.hovered() {
                self.ticks(ui, [from, to], SeamQuality::Problem, 1.0);
            }
            select_on_click(view, seam, response, commands);
        }
    }

    /// The selected seam with its two fields, or the selected field.
    fn selection(&self, ui: &Ui, view: &MosaicView) {
        let painter = ui.painter_at(self.place.rect);
        let outline = |field: u32, color: Color32| {
            if let Some(corners) = self.corners(view, field) {
                painter.add(Shape::closed_line(corners.to_vec(), Stroke::new(3.5, self.ink.halo())));
                painter.add(Shape::closed_line(corners.to_vec(), Stroke::new(1.5, color)));
            }
        };
        match view.selection {
            Selection::Seam { fields, .. } => {
                outline(fields.0, FIRST_FIELD);
                outline(fields.1, SECOND_FIELD);
            }
            Selection::Field(field) => outline(field, theme::palette(ui.visuals()).accent),
            Selection::Nothing => {}
        }
        if let Some(field) = view.dragged() {
            outline(field, theme::palette(ui.visuals()).accent);
        }
    }
}

/// How a seam's ticks look.
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
            SeamQuality::Good => Self { width: 1.5, brightness: 0.5, dash: None },
            SeamQuality::Fair => Self { width: 1.5, brightness: 0.75, dash: Some([7.0, 3.0]) },
            SeamQuality::NoInformation => Self { width: 1.5, brightness: 0.45, dash: Some([1.5, 4.0]) },
            SeamQuality::Unmeasured => Self { width: 1.0, brightness: 0.3, dash: None },
            SeamQuality::Problem => Self { width: 2.0, brightness: 1.0, dash: Some([4.0, 3.0]) },
        }
    }
}

/// The pieces of a line, points on and off; the whole line without.
fn dashes([from, to]: [Pos2; 2], dash: Option<[f32; 2]>) -> impl Iterator<Item = [Pos2; 2]> {
    let length = (to - from).length();
    let [on, off] = dash.unwrap_or([length, 0.0]);
    let along = (to - from).normalized();
    let period = (on + off).max(1.0);
    (0..(length / period).ceil() as usize).map(move |n| {
        let start = n as f32 * period;
        [from + along * start, from + along * (start + on).min(length)]
    })
}

/// A straight line as two triangles.
fn stripe(mesh: &mut Mesh, [from, to]: [Pos2; 2], stroke: Stroke) {
    let aside = (to - from).normalized().rot90() * (stroke.width / 2.0);
    let first = mesh.vertices.len() as u32;
    for corner in [from + aside, to + aside, to - aside, from - aside] {
        mesh.colored_vertex(corner, stroke.color);
    }
    mesh.add_triangle(first, first + 1, first + 2);
    mesh.add_triangle(first, first + 2, first + 3);
}

/// The ring of a number is light, whatever the canvas: it lies on a dark disc.
fn ring_on_dark(color: Color32) -> Color32 {
    if color.intensity() < 0.3 { Color32::from_gray(0xf4) } else { color }
}

fn is_selected(view: &MosaicView, seam: &Seam) -> bool {
    matches!(view.selection, Selection::Seam { fields, .. } if fields == seam.fields)
}

fn select_on_click(view: &MosaicView, seam: &Seam, response: egui::Response, commands: &mut Vec<Command>) {
    if response.clicked() {
        commands.push(Command::Mosaic(MosaicCommand::SelectSeam(Some(seam.fields))));
    }
    response.on_hover_ui(|ui| {
        let name = |field: u32| view.set.fields.fields.get(field as usize).map_or("", |f| f.name.as_str());
        let (a, b) = seam.fields;
        ui.label(format!("{} and {}: {}", name(a), name(b), super::panels::mosaic::seam_words(seam)));
    });
}
