//! Which of the open images become fields of one mosaic.

use super::images::file_name;
use crate::app::widgets::{labelled_check_ui, note_ui, short_list};
use crate::engine::OpenedSet;
use crate::pyramid::SetId;
use crate::session::{Command, Session};
use egui::Ui;
use std::collections::BTreeMap;

/// The list of images is no higher than this, points.
const LIST_HEIGHT: f32 = 320.0;

/// The images that were ticked on and off.
#[derive(Debug, Default)]
pub struct CombineDraft {
    ticked: BTreeMap<SetId, bool>,
}

impl CombineDraft {
    /// Whether an image is to be combined: unless the user says otherwise, those that are like the one that is shown.
    fn has(&self, session: &Session, set: &OpenedSet) -> bool {
        self.ticked.get(&set.id).copied().unwrap_or_else(|| session.fits_current(set))
    }
}

/// The choice, over the canvas, while it is open.
pub fn combine_ui(
    ctx: &egui::Context,
    canvas: egui::Rect,
    session: &Session,
    draft: &mut CombineDraft,
    commands: &mut Vec<Command>,
) {
    if !session.combining() {
        *draft = CombineDraft::default();
        return;
    }
    egui::Window::new("Combine as mosaic")
        .title_bar(false)
        .resizable(false)
        .pivot(egui::Align2::CENTER_TOP)
        .fixed_pos(canvas.center_top() + egui::vec2(0.0, 16.0))
        .show(ctx, |ui| {
            ui.set_width(320.0);
            ui.heading("Combine as mosaic");
            note_ui(ui, "These images become fields of one mosaic. Its layout can be corrected in the Mosaic panel.");
            ui.add_space(4.0);
            list_ui(ui, session, draft);
            ui.add_space(8.0);
            let chosen: Vec<SetId> =
                session.combinable().filter(|set| draft.has(session, set)).map(|set| set.id).collect();
            ui.horizontal(|ui| {
                let button = egui::Button::new(format!("Combine {} images", chosen.len()));
                if ui.add_enabled(chosen.len() > 1, button).clicked() {
                    commands.push(Command::CombineAsMosaic(chosen));
                    commands.push(Command::ChooseToCombine(false));
                }
                if ui.button("Cancel").clicked() {
                    commands.push(Command::ChooseToCombine(false));
                }
            });
        });
}

fn list_ui(ui: &mut Ui, session: &Session, draft: &mut CombineDraft) {
    short_list("to combine", LIST_HEIGHT).show(ui, |ui| {
        for set in session.combinable() {
            let on = draft.has(session, set);
            let name = file_name(&set.path);
            if labelled_check_ui(ui, on, &name, &format!("Combine {name}")) {
                draft.ticked.insert(set.id, !on);
            }
        }
    });
}
