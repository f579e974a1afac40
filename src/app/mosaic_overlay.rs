//! Field outlines and seams over a mosaic, by quality.
//!
//! A seam is marked by a line beside it, along all of it, so that the seam itself stays to be seen.
//! Quality is told by brightness and by a dash pattern, never by hue: good ones are faint and whole, doubtful ones
//! brighter and dashed, those without information dotted, problems bright, dashed and numbered.
//! A legend says so while seams are shown.

use super::canvas::Place;
use super::overlays::Ink;
use super::theme;
use crate::engine::{Seam, SeamQuality};
use crate::geom::{Affine, Point, Rect as ImageRect};
use crate::session::{Command, MosaicCommand, MosaicView, OpenImage, Selection};
use egui::{Align2, Color32, FontId, Mesh, Pos2, Rect, Sense, Shape, Stroke, Ui, Vec2, vec2};

/// How far beside its seam the line is, points.
const BESIDE: f32 = 4.0;
/// What the line leaves free at the ends of its seam, where four fields meet, as a share of its length.
const ENDS: f32 = 0.06;
/// A seam shorter than this on the screen has no line, points: it would be a speck. A problem keeps its number.
const LEAST_SEAM: f32 = 48.0;
/// Lines of seams shorter than this are thin enough to be seen without a halo, points. Hundreds of them are on the screen.
const LEAST_HALO: f32 = 96.0;
/// Seams shorter than this cannot be clicked, points: they would leave no room to move the image.
const LEAST_TO_CLICK: f32 = 144.0;
/// The circle around a problem's number, points.
const NUMBER_RADIUS: f32 = 9.0;
/// Fields smaller than this on the screen have no outlines, points: the lines of their seams tell them apart, and hundreds of
/// outlines more would take a frame's time.
const LEAST_FIELD: f32 = 96.0;

/// Pieces of one line at most, all of them on the canvas: one of 8000 points, finely dotted.
const MOST_DASHES: usize = 2048;

/// Of the outline of a field, and of the plain lines of the two seams that most fields have of their own.
const VERTICES_A_FIELD: usize = 16;

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
        super::seam_legend::seam_legend_ui(ui, place, view, ink);
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
        mesh.reserve_vertices(fields.len() * VERTICES_A_FIELD);
        mesh.reserve_triangles(fields.len() * VERTICES_A_FIELD / 2);
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
        // Where no field is as long as the shortest seam with a line, numbers are all that there is to see.
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
        // All lines are one mesh: one a seam takes a frame's time where a thousand seams are seen.
        let mut lines = Mesh::default();
        lines.reserve_vertices(fields.len() * VERTICES_A_FIELD);
        lines.reserve_triangles(fields.len() * VERTICES_A_FIELD / 2);
        let place_of_lines = ui.painter_at(self.place.rect).add(Shape::Noop);
        for &field in fields {
            // Seams come in the order of their fields.
            let first = all.partition_point(|seam| seam.fields.0 < field);
            for seam in all[first..].iter().take_while(|seam| seam.fields.0 == field) {
                let Some(ends) = self.ends(view, seam) else { continue };
                if is_numbered(&seam) {
                    numbered.push((seam, ends));
                    continue;
                }
                let is_pointed_at = self.seam_to_click_ui(ui, view, seam, ends, commands);
                self.line(&mut lines, ends, if is_pointed_at { SeamQuality::Problem } else { seam.quality() });
            }
        }
        // Problems come last, over everything else.
        for (_, ends) in &numbered {
            self.line(&mut lines, *ends, SeamQuality::Problem);
        }
        ui.painter_at(self.place.rect).set(place_of_lines, lines);
        for (seam, ends) in numbered {
            self.number_ui(ui, view, seam, ends, commands);
        }
    }

    /// The ends of a seam on the screen; `None` where it is not seen.
    fn ends(&self, view: &MosaicView, seam: &Seam) -> Option<[Pos2; 2]> {
        let (a, b) = view.seam_segment(seam.fields)?;
        Some([self.ui(a), self.ui(b)]).filter(|ends| self.is_seen(ends))
    }

    fn line(&self, mesh: &mut Mesh, [from, to]: [Pos2; 2], quality: SeamQuality) {
        let along = to - from;
        if along.length() < LEAST_SEAM {
            return;
        }
        let beside = vec2(-along.y, along.x).normalized() * BESIDE;
        let line = [from + along * ENDS + beside, to - along * ENDS + beside];
        let Some(shown) = part_inside(line, self.place.rect.expand(BESIDE)) else { return };
        let halo = if along.length() < LEAST_HALO { Color32::TRANSPARENT } else { self.ink.halo() };
        quality_line(mesh, line, shown, quality, [self.ink.stroke(), halo]);
    }

    /// A problem's number in a circle on its seam, to be clicked.
    fn number_ui(&self, ui: &mut Ui, view: &MosaicView, seam: &Seam, ends: [Pos2; 2], commands: &mut Vec<Command>) {
        let Some(number) = seam.number else { return };
        // In the middle of what is seen of the seam.
        let Some([start, end]) = part_inside(ends, self.place.rect.shrink(NUMBER_RADIUS)) else { return };
        let middle = ends[0] + (ends[1] - ends[0]) * ((start + end) / 2.0);
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

    /// A seam that is no problem can be clicked around its middle. Whether the pointer is there.
    fn seam_to_click_ui(
        &self,
        ui: &mut Ui,
        view: &MosaicView,
        seam: &Seam,
        [from, to]: [Pos2; 2],
        commands: &mut Vec<Command>,
    ) -> bool {
        let along = to - from;
        if along.length() < LEAST_TO_CLICK {
            return false;
        }
        // A turned seam fills a rectangle around it only in part: a square in its middle will do.
        let half = along * 0.25;
        let is_upright = half.x.abs().min(half.y.abs()) < BESIDE;
        let half = if is_upright { half } else { Vec2::splat(BESIDE) };
        let middle = from + along * 0.5;
        let rect = Rect::from_two_pos(middle - half, middle + half).expand(BESIDE + 2.0);
        if !self.place.rect.contains_rect(rect) {
            return false;
        }
        let response = ui.interact(rect, ui.scope_id().with(("seam", seam.fields)), Sense::click());
        let is_pointed_at = response.hovered();
        select_on_click(view, seam, response, commands);
        is_pointed_at
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

/// How a seam's line looks.
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
            SeamQuality::Good => Self { width: 1.25, brightness: 0.45, dash: None },
            SeamQuality::Fair => Self { width: 1.5, brightness: 0.75, dash: Some([10.0, 4.0]) },
            SeamQuality::NoInformation => Self { width: 1.5, brightness: 0.55, dash: Some([1.5, 4.5]) },
            SeamQuality::Unmeasured => Self { width: 1.0, brightness: 0.25, dash: None },
            SeamQuality::Problem => Self { width: 2.5, brightness: 1.0, dash: Some([5.0, 3.0]) },
        }
    }
}

/// A line in the look of a quality, from one share of it to another, in a colour and that of its halo.
pub fn quality_line(mesh: &mut Mesh, line: [Pos2; 2], shown: [f32; 2], quality: SeamQuality, colors: [Color32; 2]) {
    let Look { width, brightness, dash } = Look::of(quality);
    let [stroke, halo] = colors.map(|color| color.gamma_multiply(brightness));
    for piece in dashes(line, shown, dash).take(MOST_DASHES) {
        if halo != Color32::TRANSPARENT {
            stripe(mesh, piece, Stroke::new(width + 2.0, halo));
        }
        stripe(mesh, piece, Stroke::new(width, stroke));
    }
}

/// The pieces of a line from one share of it to another, points on and off; in one piece without. They keep their places
/// on the line whatever part of it is shown.
fn dashes([from, to]: [Pos2; 2], [start, end]: [f32; 2], dash: Option<[f32; 2]>) -> impl Iterator<Item = [Pos2; 2]> {
    let length = (to - from).length();
    let (start, end) = (start * length, end * length);
    let along = (to - from).normalized();
    let (on, period) = dash.map_or((length, length.max(1.0)), |[on, off]| (on, on + off));
    let first = (start / period).floor();
    let count = ((end / period).ceil() - first).max(0.0) as usize;
    (0..count).filter_map(move |n| {
        let at = (first + n as f32) * period;
        let (begin, stop) = (at.max(start), (at + on).min(end));
        (begin < stop).then(|| [from + along * begin, from + along * stop])
    })
}

/// The part of a line that lies in a rectangle, as shares of it; `None` where nothing does.
fn part_inside([from, to]: [Pos2; 2], rect: Rect) -> Option<[f32; 2]> {
    let along = to - from;
    let (mut start, mut end) = (0.0_f32, 1.0_f32);
    for (origin, step, low, high) in
        [(from.x, along.x, rect.left(), rect.right()), (from.y, along.y, rect.top(), rect.bottom())]
    {
        if step.abs() < f32::EPSILON {
            if origin < low || origin > high {
                return None;
            }
            continue;
        }
        let (a, b) = ((low - origin) / step, (high - origin) / step);
        start = start.max(a.min(b));
        end = end.min(a.max(b));
    }
    (start < end).then_some([start, end])
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

#[cfg(test)]
mod tests {
    use super::*;
    use egui::pos2;

    #[test]
    fn a_line_is_dashed_along_all_of_what_is_seen_of_it() {
        let line = [pos2(-10_000.0, 50.0), pos2(20_000.0, 50.0)];
        let canvas = Rect::from_min_max(pos2(0.0, 0.0), pos2(800.0, 600.0));
        let shown = part_inside(line, canvas).expect("it crosses the canvas");
        let pieces: Vec<_> = dashes(line, shown, Some([5.0, 3.0])).collect();
        assert!(pieces.len() < MOST_DASHES);
        let (first, last) = (pieces[0][0].x, pieces[pieces.len() - 1][1].x);
        assert!(first.abs() < 4.0 && (last - 800.0).abs() < 4.0, "{first} {last}");
        assert_eq!(dashes(line, shown, None).count(), 1);
        assert!(part_inside([pos2(0.0, 700.0), pos2(800.0, 700.0)], canvas).is_none());
        assert!(part_inside([pos2(0.0, 700.0), pos2(800.0, -100.0)], canvas).is_some());
    }
}
