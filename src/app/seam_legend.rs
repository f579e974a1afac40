//! What the lines beside the seams mean: a few words at the bottom right, while seams are shown.

use super::canvas::Place;
use super::canvas::picture::Picture;
use super::overlays::Ink;
use super::seam_lines::quality_line;
use super::theme;
use crate::engine::SeamQuality;
use crate::render::StrokesId;
use crate::session::MosaicView;
use egui::{Align2, Color32, FontId, Pos2, Rect, Sense, Stroke, Ui, pos2, vec2};

/// From the canvas's edges, points.
const MARGIN: f32 = 16.0;
/// Around the words, points.
const PADDING: f32 = 8.0;
/// The height of a line, points.
const ROW: f32 = 16.0;
/// A sample of a line, points.
const SAMPLE: f32 = 36.0;
/// There is no legend on a canvas that is smaller, points: it would cover too much of it.
const LEAST_CANVAS: [f32; 2] = [420.0, 320.0];

/// The samples of lines.
const SAMPLES: StrokesId = StrokesId(1);

/// The qualities with their words, what to look at first.
const LINES: [(SeamQuality, &str); 5] = [
    (SeamQuality::Problem, "Look here, 1 is the worst"),
    (SeamQuality::Fair, "Fits, a little off"),
    (SeamQuality::Good, "Fits"),
    (SeamQuality::NoInformation, "Nothing to see, not used"),
    (SeamQuality::Unmeasured, "Not measured, or moved by hand"),
];

/// The legend: of the qualities that there are.
pub fn seam_legend_ui(ui: &mut Ui, place: Place, view: &MosaicView, picture: Option<&Picture>, ink: Ink) {
    let room = place.rect.size();
    let lines: Vec<_> = LINES.iter().filter(|(quality, _)| view.state.seams.qualities().contains(quality)).collect();
    if room.x < LEAST_CANVAS[0] || room.y < LEAST_CANVAS[1] || lines.is_empty() {
        return;
    }
    let font = FontId::proportional(theme::SMALL);
    let galleys: Vec<_> = lines
        .iter()
        .map(|(_, words)| ui.painter().layout_no_wrap((*words).to_owned(), font.clone(), ink.stroke()))
        .collect();
    let words_width = galleys.iter().map(|g| g.size().x).fold(0.0, f32::max);
    let size = vec2(SAMPLE + PADDING + words_width, ROW * lines.len() as f32) + vec2(2.0 * PADDING, PADDING);
    let rect = Rect::from_min_size(place.rect.right_bottom() - size - vec2(MARGIN, MARGIN), size);
    let painter = ui.painter_at(place.rect);
    painter.rect_filled(rect, 4.0, ink.halo());
    // The ground of the legend is halo enough.
    let colors = [ink.stroke(), Color32::TRANSPARENT];
    let mut samples = Vec::new();
    for (n, ((quality, _), galley)) in lines.iter().zip(galleys).enumerate() {
        let y = rect.top() + PADDING / 2.0 + ROW * (n as f32 + 0.5);
        let left = rect.left() + PADDING;
        samples.push(quality_line(place, [pos2(left, y), pos2(left + SAMPLE, y)], *quality, colors));
        painter.galley(pos2(left + SAMPLE + PADDING, y - galley.size().y / 2.0), galley, ink.stroke());
    }
    if let Some(picture) = picture {
        picture.paint_strokes(&painter, place, SAMPLES, &samples);
    }
    if lines.iter().any(|(quality, _)| *quality == SeamQuality::Problem) {
        number(ui, pos2(rect.left() + PADDING + SAMPLE / 2.0, rect.top() + PADDING / 2.0 + ROW / 2.0));
    }
    let response = ui.interact(rect, ui.scope_id().with("seam legend"), Sense::hover());
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Label, true, "What the lines beside the seams mean"));
}

/// A number as on a problem.
fn number(ui: &Ui, middle: Pos2) {
    ui.painter().circle(middle, 6.5, Color32::from_gray(0x24), Stroke::new(1.0, Color32::from_gray(0xf4)));
    let font = FontId::proportional(9.0);
    ui.painter().text(middle, Align2::CENTER_CENTER, "1", font, Color32::from_gray(0xf4));
}
