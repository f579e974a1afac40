//! The mosaic at a glance, among the details of the image.

use super::{push, seams};
use crate::app::theme;
use crate::app::widgets::{section_ui, small_note_ui, value_row_ui};
use crate::app::words;
use crate::engine::MosaicPhase;
use crate::session::{Command, MosaicCommand, MosaicView, RightTab, Session};
use egui::Ui;

/// The section; nothing for an image that is whole.
pub fn summary_ui(ui: &mut Ui, session: &Session, commands: &mut Vec<Command>) {
    let Some(view) = session.current().and_then(|image| image.mosaic.as_ref()) else { return };
    section_ui(ui, "Mosaic", |_| {});
    let fields = view.set.fields.fields.len();
    value_row_ui(ui, "Fields", words::grouped(fields as i128));
    value_row_ui(ui, "State", state_words(view));
    if let Some(report) = view.state.alignment.as_ref().map(|a| &a.report) {
        let (accepted, all) = (report.accepted as i128, report.edges.len() as i128);
        value_row_ui(ui, "Seams accepted", format!("{} of {}", words::grouped(accepted), words::grouped(all)));
        if let Some(px) = report.residual_p50_px {
            value_row_ui(ui, "Seam disagreement", words::disagreement(px));
        }
        if report.accepted_alone > 0 {
            value_row_ui(ui, "Held by one seam alone", seams::count_words(report.accepted_alone));
        }
        if report.placed_by_stage > 0 {
            value_row_ui(ui, "Placed by stage only", fields_words(report.placed_by_stage));
        }
    }
    if let MosaicPhase::NotAligned(why) = &view.state.phase {
        small_note_ui(ui, &words::sentence(why));
    }
    ui.add_space(4.0);
    ui.horizontal_wrapped(|ui| {
        let worst = view.state.seams.worst().len();
        if worst > 0 && ui.button("Worst seams").on_hover_text(seams::count_words(worst)).clicked() {
            commands.push(Command::ShowTab(RightTab::Mosaic));
        }
        unaligned_ui(ui, view, commands);
    });
    ui.add_space(theme::GROUP);
}

/// How the mosaic stands, with what was moved by hand.
pub fn state_words(view: &MosaicView) -> String {
    let words = phase_words(&view.state.phase);
    match view.moved_by_hand() {
        n if n > 0 && view.state.phase == MosaicPhase::Aligned => format!("{words}, {} moved by hand", fields_words(n)),
        _ => words.to_owned(),
    }
}

/// How the alignment stands, in a word or two.
fn phase_words(phase: &MosaicPhase) -> &'static str {
    match phase {
        MosaicPhase::LaidOut => "Laid out, not aligned",
        MosaicPhase::Aligning { .. } => "Aligning",
        MosaicPhase::Aligned => "Aligned",
        MosaicPhase::NotAligned(_) => "Not aligned",
        MosaicPhase::Loaded => "Positions of a file",
        MosaicPhase::Unaligned => "Shown unaligned",
    }
}

/// The button between the nominal layout and the solved places.
pub fn unaligned_ui(ui: &mut Ui, view: &MosaicView, commands: &mut Vec<Command>) {
    let unaligned = view.edits.show_unaligned;
    if !unaligned && view.state.alignment.is_none() {
        return;
    }
    let (text, hint) = if unaligned {
        ("Show aligned", "Show the fields at their solved places")
    } else {
        ("Show unaligned", "Show the fields where the layout says; the solved places are kept")
    };
    if ui.button(text).on_hover_text(hint).clicked() {
        push(commands, MosaicCommand::ShowUnaligned(!unaligned));
    }
}

pub fn fields_words(n: usize) -> String {
    format!("{} field{}", words::grouped(n as i128), if n == 1 { "" } else { "s" })
}
