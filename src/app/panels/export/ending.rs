//! An export that was started: a question, its progress, its end.

use crate::app::theme::{self, palette};
use crate::app::widgets::{progress_ui, small_note_ui};
use crate::app::{icons, words};
use crate::session::{Command, ExportCommand, ExportPanel, ExportStage, ExportWhat, Session};
use egui::{Label, RichText, Ui};

/// What takes the place of the choices once an export was started.
pub fn stage_ui(ui: &mut Ui, session: &Session, panel: &ExportPanel, commands: &mut Vec<Command>) {
    let name = panel.path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    match &panel.stage {
        ExportStage::Choosing => {}
        ExportStage::Starting => title_ui(ui, &format!("Writing {name}")),
        ExportStage::AskingToReplace => {
            title_ui(ui, &format!("Replace {name}?"));
            small_note_ui(ui, "A file of this name is already there. What is in it would be gone.");
            ui.add_space(theme::GAP);
            ui.horizontal_wrapped(|ui| {
                if ui.button("Replace").clicked() {
                    commands.push(Command::Export(ExportCommand::Replace));
                }
                if ui.button("Choose another name…").clicked() {
                    commands.push(Command::Export(ExportCommand::Again));
                    commands.push(Command::Export(ExportCommand::AskForFile));
                }
                if ui.button("Back").clicked() {
                    commands.push(Command::Export(ExportCommand::Again));
                }
            });
        }
        ExportStage::Running { job, since_secs } => {
            title_ui(ui, &format!("Writing {name}"));
            let running = session.jobs().iter().find(|j| j.id == *job);
            let share = running.filter(|j| j.total > 0).map(|j| j.done as f32 / j.total as f32);
            ui.add_space(4.0);
            let width = ui.available_width();
            progress_ui(ui, width, share, "Export");
            ui.add_space(4.0);
            small_note_ui(ui, &progress_words(session, share, session.now_secs() - since_secs, *job));
            ui.add_space(theme::GAP);
            if ui.button("Cancel").on_hover_text("Stop, and leave nothing behind").clicked() {
                commands.push(Command::CancelJob(*job));
            }
        }
        ExportStage::Done { bytes, secs } => {
            title_ui(ui, &format!("{name} is written"));
            small_note_ui(ui, &format!("{} in {}", words::bytes(*bytes), words::duration(*secs)));
            ui.add_space(theme::GAP);
            ui.horizontal(|ui| {
                if ui.button("Show in folder").clicked() {
                    commands.push(Command::Export(ExportCommand::ShowInFolder(panel.path.clone())));
                }
                if ui.button("Export more").clicked() {
                    commands.push(Command::Export(ExportCommand::Again));
                }
            });
        }
        ExportStage::Failed(message) => {
            let error = palette(ui.visuals()).error;
            ui.horizontal_top(|ui| {
                ui.label(RichText::new(icons::ERROR).color(error));
                ui.add(Label::new(format!("{name} was not written")).wrap());
            });
            small_note_ui(ui, &words::sentence(message));
            small_note_ui(ui, "Nothing of it is left on the disk.");
            ui.add_space(theme::GAP);
            if ui.button("Back").clicked() {
                commands.push(Command::Export(ExportCommand::Again));
            }
        }
    }
}

/// "38 %, 42 MB/s, 2 min left".
fn progress_words(session: &Session, share: Option<f32>, elapsed_secs: f64, job: crate::engine::JobId) -> String {
    let Some(share) = share else { return "Getting ready…".to_owned() };
    let mut parts = vec![format!("{:.0}{}%", share * 100.0, words::THIN)];
    if elapsed_secs > 1.0
        && let Some(plan) = session.export_plan()
    {
        let speed = plan.work() as f64 * f64::from(share) / elapsed_secs;
        parts.push(match plan.what {
            ExportWhat::Picture(_) => format!("{} Mpx/s", words::significant(speed / 1e6, 2)),
            ExportWhat::OmeTiff(_) | ExportWhat::Raw(_) => format!("{}/s", words::bytes(speed as u64)),
        });
    }
    if let Some(left) = session.jobs().iter().find(|j| j.id == job).and_then(|j| j.secs_left(session.now_secs())) {
        parts.push(words::time_left(left));
    }
    parts.join(", ")
}

fn title_ui(ui: &mut Ui, text: &str) {
    ui.add(Label::new(text).wrap());
    ui.add_space(2.0);
}
