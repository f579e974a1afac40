//! Field outlines and seams over a mosaic, by quality.
//!
//! A seam is marked by a line beside it, along all of it, so that the seam itself stays to be seen.
//! Its look tells its quality ([`super::seam_lines`]), and problems are numbered; a legend says so while seams are shown.

use super::canvas::Place;
use super::canvas::picture::Picture;
use super::overlays::Ink;
use super::seam_lines::{gap_line, plain_line, quality_line};
use super::theme;
use crate::engine::{Seam, SeamQuality};
use crate::geom::{Affine, Point, Rect as ImageRect};
use crate::render::{Stroke as Line, StrokesId};
use crate::session::{Command, MosaicCommand, MosaicView, OpenImage, Selection};
use egui::{Align2, Color32, FontId, Pos2, Rect, Sense, Shape, Stroke, Ui, Vec2, vec2};

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
/// The width of its line, points.
const RING: f32 = 1.5;
/// Fields smaller than this on the screen have no outlines, points: the lines of their seams tell them apart, and hundreds of
/// outlines more would take a frame's time.
const LEAST_FIELD: f32 = 96.0;

/// The outlines of fields and the lines beside seams.
const LINES: StrokesId = StrokesId(0);
/// The line between two selected fields that were pulled apart.
const GAP: StrokesId = StrokesId(2);

/// Problems that are numbered on the image at most, the worst first: more than anyone looks at.
const MOST_NUMBERED: u32 = 200;

/// The two fields of a selected seam, told apart on black and on white.
const FIRST_FIELD: Color32 = Color32::from_rgb(0x40, 0xd8, 0xe0);
const SECOND_FIELD: Color32 = Color32::from_rgb(0xf0, 0x70, 0xd8);

/// Outlines, seams, and what is selected, while they are shown.
pub fn mosaic_overlay_ui(
    ui: &mut Ui,
    place: Place,
    image: &OpenImage,
    picture: Option<&Picture>,
    ink: Ink,
    commands: &mut Vec<Command>,
) {
    let Some(view) = &image.mosaic else { return };
    let overlay = Overlay { to_screen: image.camera.screen_from_image(place.size), place, ink };
    if view.seams_shown() {
        let canvas = place.rect.expand(2.0 * NUMBER_RADIUS);
        let corners = [canvas.left_top(), canvas.right_top(), canvas.right_bottom(), canvas.left_bottom()];
        let to_image = image.camera.image_from_screen(place.size);
        let seen = ImageRect::around(corners.map(|p| to_image.apply(place.screen_from_ui(p)))).unwrap_or_default();
        let is_seen = |field: &u32| view.field_rect(*field).is_some_and(|rect| rect.intersect(seen).is_some());
        let fields: Vec<u32> = (0..view.positions().len() as u32).filter(is_seen).collect();
        let mut lines = overlay.outlines(view, &fields);
        let numbered = overlay.seams_ui(ui, view, &fields, &mut lines, commands);
        if let Some(picture) = picture {
            picture.paint_strokes(&ui.painter_at(place.rect), place, LINES, &lines);
        }
        // Numbers come last, over everything else.
        for (seam, ends) in numbered {
            overlay.number_ui(ui, view, seam, ends, commands);
        }
        super::seam_legend::seam_legend_ui(ui, place, view, picture, ink);
    }
    overlay.selection(ui, view, picture);
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

    fn outlines(&self, view: &MosaicView, fields: &[u32]) -> Vec<Line> {
        let mut lines = Vec::new();
        let color = self.ink.stroke().gamma_multiply(0.22);
        for &field in fields {
            let Some(corners) = self.corners(view, field).filter(|c| self.is_seen(c)) else { continue };
            if (corners[1] - corners[0]).length().min((corners[2] - corners[1]).length()) < LEAST_FIELD {
                continue;
            }
            lines.extend((0..4).map(|n| plain_line(self.place, [corners[n], corners[(n + 1) % 4]], 1.0, color)));
        }
        lines
    }

    /// The seams of the fields that are seen: adds their lines, and answers with those that are numbered and their ends.
    fn seams_ui<'v>(
        &self,
        ui: &mut Ui,
        view: &'v MosaicView,
        fields: &[u32],
        lines: &mut Vec<Line>,
        commands: &mut Vec<Command>,
    ) -> Vec<(&'v Seam, [Pos2; 2])> {
        let all = &view.state.seams;
        let is_numbered = |seam: &&Seam| seam.number.is_some_and(|number| number <= MOST_NUMBERED);
        // Where no field is as long as the shortest seam with a line, numbers are all that there is to see.
        let longest = |field: &u32| {
            let corners = self.corners(view, *field).unwrap_or_default();
            (corners[1] - corners[0]).length().max((corners[2] - corners[1]).length())
        };
        if fields.iter().all(|field| longest(field) < LEAST_SEAM) {
            return all.worst().filter(is_numbered).filter_map(|s| Some((s, self.ends(view, s)?))).collect();
        }
        let mut numbered: Vec<(&Seam, [Pos2; 2])> = Vec::new();
        for &field in fields {
            for seam in all.after(field) {
                let Some(ends) = self.ends(view, seam) else { continue };
                if is_numbered(&seam) {
                    numbered.push((seam, ends));
                    continue;
                }
                let is_pointed_at = self.seam_to_click_ui(ui, view, seam, ends, commands);
                lines.extend(self.line(ends, if is_pointed_at { SeamQuality::Problem } else { seam.quality() }));
            }
        }
        // The lines of problems lie over those of others.
        lines.extend(numbered.iter().filter_map(|(_, ends)| self.line(*ends, SeamQuality::Problem)));
        numbered
    }

    /// The ends of a seam on the screen; `None` where it is not seen.
    fn ends(&self, view: &MosaicView, seam: &Seam) -> Option<[Pos2; 2]> {
        let (a, b) = view.seam_segment(seam.fields)?;
        Some([self.ui(a), self.ui(b)]).filter(|ends| self.is_seen(ends))
    }

    /// The line beside a seam; `None` where it would be a speck.
    fn line(&self, [from, to]: [Pos2; 2], quality: SeamQuality) -> Option<Line> {
        let along = to - from;
        let length = along.length();
        if length < LEAST_SEAM {
            return None;
        }
        let beside = vec2(-along.y, along.x) * (BESIDE / length);
        let line = [from + along * ENDS + beside, to - along * ENDS + beside];
        let halo = if length < LEAST_HALO { Color32::TRANSPARENT } else { self.ink.halo() };
        Some(quality_line(self.place, line, quality, [self.ink.stroke(), halo]))
    }

    /// A problem's number in a circle on its seam, to be clicked.
    fn number_ui(&self, ui: &mut Ui, view: &MosaicView, seam: &Seam, ends: [Pos2; 2], commands: &mut Vec<Command>) {
        let Some(number) = seam.number else { return };
        // In the middle of what is seen of the seam.
        let Some([start, end]) = part_inside(ends, self.place.rect.shrink(NUMBER_RADIUS)) else { return };
        let middle = ends[0] + (ends[1] - ends[0]) * ((start + end) / 2.0);
        let rect = Rect::from_center_size(middle, Vec2::splat(2.0 * NUMBER_RADIUS + 2.0));
        let response = ui.interact(rect, ui.scope_id().with(("seam", seam.fields)), Sense::click());
        let name = || format!("Seam {number} on the image");
        response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, name()));
        let accent = theme::palette(ui.visuals()).accent;
        let ring = if response.hovered() || is_selected(view, seam) { accent } else { self.ink.stroke() };
        let painter = ui.painter_at(self.place.rect);
        // Dark on any picture, with a light ring: the number is read on black and on white. Discs over one another cost next to
        // nothing, an outline is laid out anew in every frame.
        painter.circle_filled(middle, NUMBER_RADIUS + 2.0, Color32::from_black_alpha(0xb0));
        painter.circle_filled(middle, NUMBER_RADIUS + RING / 2.0, ring_on_dark(ring));
        painter.circle_filled(middle, NUMBER_RADIUS - RING / 2.0, Color32::from_gray(0x24));
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
    fn selection(&self, ui: &Ui, view: &MosaicView, picture: Option<&Picture>) {
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
                // Pulled apart they have no seam to be seen: a faint line says that they belong together.
                if let (Some((a, b)), Some(picture)) = (view.selected_gap(), picture) {
                    let line = gap_line(self.place, [self.ui(a), self.ui(b)], [self.ink.stroke(), self.ink.halo()]);
                    picture.paint_strokes(&painter, self.place, GAP, &[line]);
                }
            }
            Selection::Field(field) => outline(field, theme::palette(ui.visuals()).accent),
            Selection::Nothing => {}
        }
        if let Some(field) = view.dragged() {
            outline(field, theme::palette(ui.visuals()).accent);
        }
    }
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
    fn the_part_of_a_line_that_is_seen_ends_at_the_canvas() {
        let line = [pos2(-10_000.0, 50.0), pos2(20_000.0, 50.0)];
        let canvas = Rect::from_min_max(pos2(0.0, 0.0), pos2(800.0, 600.0));
        let [start, end] = part_inside(line, canvas).expect("it crosses the canvas");
        let at = |share: f32| line[0].x + (line[1].x - line[0].x) * share;
        assert!(at(start).abs() < 0.01 && (at(end) - 800.0).abs() < 0.01, "{start} {end}");
        assert!(part_inside([pos2(0.0, 700.0), pos2(800.0, 700.0)], canvas).is_none());
        assert!(part_inside([pos2(0.0, 700.0), pos2(800.0, -100.0)], canvas).is_some());
    }
}
