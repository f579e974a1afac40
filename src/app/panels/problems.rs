//! What the user should know, line by line.

use crate::app::theme::palette;
use crate::app::widgets::{quiet_button_ui, section_ui};
use crate::app::{icons, words};
use crate::session::{Command, Session};
use egui::{Label, RichText, Ui};

/// The list; nothing while there is nothing to say.
pub fn problems_ui(ui: &mut Ui, session: &Session, commands: &mut Vec<Command>) {
    if session.problems().is_empty() {
        return;
    }
    let p = palette(ui.visuals());
    section_ui(ui, "Problems", |ui| {
        if quiet_button_ui(ui, "Clear").clicked() {
            commands.push(Command::ClearProblems);
        }
    });
    for problem in session.problems().iter().rev() {
        ui.horizontal_top(|ui| {
            ui.label(RichText::new(icons::WARNING).color(p.warning));
            let mut text = words::sentence(&problem.message);
            if problem.count > 1 {
                text.push_str(&format!(" ({} times)", words::grouped(problem.count.into())));
            }
            ui.add(Label::new(text).wrap());
        });
    }
}
