//! The seams that are worth a look, the worst first: each is a click away.

use super::{Part, field_name, push};
use crate::app::theme::{self, palette};
use crate::app::widgets::{quiet_button_ui, quiet_icon_ui, section_ui, small_note_ui};
use crate::app::{icons, words};
use crate::engine::{MosaicPhase, Seam};
use crate::session::{Command, MosaicCommand, Selection};
use crate::stitch::solve::{EdgeStatus, Hand};
use egui::{Align, Align2, FontId, Label, Layout, Rect, RichText, Sense, Stroke, Ui, UiBuilder, pos2, vec2};

/// Seams in the list; what is worse than the twentieth is seldom looked at.
const MOST_SHOWN: usize = 20;
/// The height of a line, points.
const ROW: f32 = 40.0;

/// The list, and what is selected.
pub fn seams_ui(ui: &mut Ui, part: &Part<'_>, commands: &mut Vec<Command>) {
    let view = part.view;
    let seams = &view.state.seams;
    let worst = seams.worst().len();
    section_ui(ui, "Worst seams", |ui| {
        ui.spacing_mut().item_spacing.x = 4.0;
        let (text, hint) =
            if view.seams_shown() { ("Hide", "Hide the seams (S)") } else { ("Show", "Show the seams (S)") };
        if quiet_button_ui(ui, text).on_hover_text(hint).accessible_name(format!("{text} the seams")).clicked() {
            push(commands, MosaicCommand::ToggleSeams);
        }
        if !view.edits.hand.edges.is_empty()
            && quiet_button_ui(ui, "Forget decisions").on_hover_text("Leave all seams to the measurement").clicked()
        {
            push(commands, MosaicCommand::ForgetHandWork);
        }
    });
    for seam in seams.worst().take(MOST_SHOWN) {
        row_ui(ui, part, seam, commands);
    }
    if worst > MOST_SHOWN {
        small_note_ui(ui, &format!("and {} more", words::grouped((worst - MOST_SHOWN) as i128)));
    }
    if worst == 0 {
        small_note_ui(ui, none_words(part));
    }
    // One that was clicked on the image may be none of the worst, or beyond the end of the list.
    let is_listed = |s: &Seam| s.number.is_some_and(|n| n as usize <= MOST_SHOWN);
    let selected = view.selected_seam().filter(|s| !is_listed(s));
    if let Some(seam) = selected {
        small_note_ui(ui, "Selected");
        row_ui(ui, part, seam, commands);
    }
    // What was decided is found again, so that it can be left to the measurement.
    let is_selected = |s: &Seam| selected.is_some_and(|selected| selected.fields == s.fields);
    let is_decided = |s: &&Seam| s.hand != Hand::Off && s.number.is_none() && !is_selected(s);
    let by_hand = view.edits.hand.edges.keys().filter_map(|&fields| seams.of(fields));
    let mut decided = by_hand.filter(is_decided).peekable();
    if decided.peek().is_some() {
        small_note_ui(ui, "Decided by you");
    }
    for seam in decided.take(MOST_SHOWN) {
        row_ui(ui, part, seam, commands);
    }
    ui.add_space(theme::GROUP);
}

/// "1 seam", "20 seams".
pub fn count_words(n: usize) -> String {
    format!("{} seam{}", words::grouped(n as i128), if n == 1 { "" } else { "s" })
}

fn none_words(part: &Part<'_>) -> &'static str {
    let state = &part.view.state;
    match (state.seams.is_empty(), state.seams.is_measured()) {
        (true, _) => "No two fields overlap",
        (false, false) if state.is_aligning() => "Seams are being measured…",
        (false, false) => "No seam is measured. Align again to compare the fields",
        (false, true) if state.is_aligning() => "No seam stands out so far",
        (false, true) if state.alignment.as_ref().is_none_or(|a| a.report.accepted + a.report.shifted_by_hand == 0) => {
            "No seam could be used"
        }
        (false, true) if state.phase == MosaicPhase::Unaligned => "No seam stands out once the fields are aligned",
        (false, true) => "No seam stands out: every one that was used fits",
    }
}

fn row_ui(ui: &mut Ui, part: &Part<'_>, seam: &Seam, commands: &mut Vec<Command>) {
    let p = palette(ui.visuals());
    let view = part.view;
    let chosen = matches!(view.selection, Selection::Seam { fields, .. } if fields == seam.fields);
    let names = format!("{} and {}", field_name(view, seam.fields.0), field_name(view, seam.fields.1));
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), ROW), Sense::click());
    let fill = match (chosen, response.hovered() || response.has_focus()) {
        (true, _) => p.raised,
        (false, true) => p.raised.gamma_multiply(0.6),
        (false, false) => egui::Color32::TRANSPARENT,
    };
    ui.painter().rect_filled(rect, 4.0, fill);
    let number = pos2(rect.left() + 16.0, rect.center().y);
    ui.painter().circle_stroke(number, 9.0, Stroke::new(1.0, if chosen { p.accent } else { p.secondary }));
    let text = seam.number.map_or_else(|| "–".to_owned(), |n| n.to_string());
    ui.painter().text(number, Align2::CENTER_CENTER, text, FontId::proportional(theme::SMALL), p.text);

    let inner = Rect::from_min_max(pos2(rect.left() + 32.0, rect.top() + 3.0), rect.max - vec2(4.0, 3.0));
    let mut row = ui.new_child(UiBuilder::new().max_rect(inner).layout(Layout::right_to_left(Align::Center)));
    row.spacing_mut().item_spacing.x = 2.0;
    decide_ui(&mut row, seam, commands);
    row.with_layout(Layout::top_down(Align::Min), |ui| {
        ui.spacing_mut().item_spacing.y = 0.0;
        ui.style_mut().interaction.selectable_labels = false;
        ui.add_space(1.0);
        ui.add(Label::new(&names).truncate());
        ui.add(Label::new(RichText::new(state_words(seam)).small().color(p.secondary)).truncate());
    });
    let label = format!("Seam {}", seam.number.map_or_else(|| "selected".to_owned(), |n| n.to_string()));
    response.widget_info(|| egui::WidgetInfo::selected(egui::Role::ListBoxOption, true, chosen, &label));
    if response.clicked() {
        push(commands, MosaicCommand::SelectSeam(Some(seam.fields)));
    }
    response.on_hover_text(format!("{names}: {}. Go there and compare the two fields", seam_words(seam)));
}

/// Yes, no, or what was decided. Placed from the right.
fn decide_ui(ui: &mut Ui, seam: &Seam, commands: &mut Vec<Command>) {
    let (a, b) = seam.fields;
    if seam.hand != Hand::Off {
        if quiet_icon_ui(ui, icons::CLOSE, "Leave this seam to the measurement").clicked() {
            push(commands, MosaicCommand::DecideSeam((a, b), Hand::Off));
        }
        return;
    }
    if quiet_icon_ui(ui, icons::REJECT, "Reject: these two do not fit like this").clicked() {
        push(commands, MosaicCommand::DecideSeam((a, b), Hand::Refuse));
    }
    let measured = seam.residual_px.is_some();
    if measured && quiet_icon_ui(ui, icons::CHECK, "Accept: the measurement is right").clicked() {
        push(commands, MosaicCommand::DecideSeam((a, b), Hand::Accept));
    }
}

/// What became of a seam, in words, with its numbers.
pub fn seam_words(seam: &Seam) -> String {
    // How well they match was measured somewhere else than where a person put them.
    let ncc = seam.ncc.filter(|_| !matches!(seam.hand, Hand::Shift(_)));
    let matched = ncc.map_or_else(String::new, |ncc| format!(", match {}", words::decimal(ncc, 2)));
    state_words(seam) + &matched
}

/// How far off it is, and what became of it.
fn state_words(seam: &Seam) -> String {
    let mut parts = Vec::new();
    if let Some(px) = seam.disagreement_px() {
        parts.push(format!("{}{}px off", words::significant(px, 2), words::THIN));
    }
    parts.push(
        match (seam.status, seam.hand) {
            (_, Hand::Shift(_)) => "moved by hand",
            (_, Hand::Accept) => "accepted by you",
            (_, Hand::Refuse) => "rejected by you",
            (None, _) => "not measured yet",
            (Some(EdgeStatus::Accepted | EdgeStatus::AcceptedByHand), _) => "accepted",
            (Some(EdgeStatus::ShiftedByHand), _) => "moved by hand",
            (Some(EdgeStatus::Dropped), _) => "contradicts the others",
            (Some(EdgeStatus::Rejected), _) => "does not match",
            (Some(EdgeStatus::NoInformation), _) => "nothing to see",
            (Some(EdgeStatus::RefusedByHand), _) => "rejected",
        }
        .to_owned(),
    );
    if seam.alone && seam.status.is_some_and(EdgeStatus::is_accepted) {
        parts.push("held by this seam alone".to_owned());
    }
    parts.join(", ")
}
