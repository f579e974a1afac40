//! What the user should know, line by line, by the image that it is about.

use super::images::file_name;
use crate::app::theme::palette;
use crate::app::widgets::{quiet_button_ui, section_ui};
use crate::app::{icons, words};
use crate::pyramid::SetId;
use crate::session::{Command, Entry, ImageId, Problem, Session};
use egui::{Label, RichText, Sense, Ui};

/// The list; nothing while there is nothing to say.
pub fn problems_ui(ui: &mut Ui, session: &Session, commands: &mut Vec<Command>) {
    let problems = session.problems();
    if problems.is_empty() {
        return;
    }
    let secondary = palette(ui.visuals()).secondary;
    section_ui(ui, "Problems", |ui| {
        if quiet_button_ui(ui, "Clear").clicked() {
            commands.push(Command::ClearProblems);
        }
        ui.label(RichText::new(words::grouped(problems.len() as i128)).color(secondary));
    });
    for (about, lines) in by_image(session) {
        if let Some(about) = about {
            image_ui(ui, &about, commands);
        }
        for problem in lines {
            line_ui(ui, problem);
        }
        ui.add_space(4.0);
    }
}

/// An image that problems are about.
struct About {
    first: ImageId,
    name: String,
    path: String,
}

/// The problems of no image, then those of the image that is shown, then those of the others as they are listed; of each
/// the newest first.
fn by_image(session: &Session) -> Vec<(Option<About>, Vec<&Problem>)> {
    let about = |entry: &Entry| match entry {
        Entry::Open(set) => {
            let first = ImageId { set: set.id, field: set.first() };
            // A file is named as a file, whichever of its images has the problem; a mosaic has a name of its own.
            let mosaic = session.image(first).filter(|image| image.mosaic.is_some());
            let name = mosaic.map_or_else(|| file_name(&set.path), |image| image.name());
            Some(About { first, name, path: set.path.display().to_string() })
        }
        Entry::Opening(_) | Entry::Failed { .. } => None,
    };
    let mut images: Vec<About> = session.entries().iter().filter_map(about).collect();
    let current = session.current().map(|image| image.id.set);
    images.sort_by_key(|about| Some(about.first.set) != current);
    let of = |set: Option<SetId>| session.problems().iter().rev().filter(move |p| p.set == set).collect::<Vec<_>>();
    let of_images = images.into_iter().map(|about| (of(Some(about.first.set)), Some(about)));
    let groups = std::iter::once((of(None), None)).chain(of_images);
    groups.filter(|(lines, _)| !lines.is_empty()).map(|(lines, about)| (about, lines)).collect()
}

/// The name above the lines; a click shows the image.
fn image_ui(ui: &mut Ui, about: &About, commands: &mut Vec<Command>) {
    let label = Label::new(&about.name).truncate().selectable(false).sense(Sense::click());
    let response = ui.add(label).on_hover_text(&about.path);
    let name = format!("Problems of {}", about.name);
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Link, true, &name));
    if response.on_hover_cursor(egui::CursorIcon::PointingHand).clicked() {
        commands.push(Command::Show(about.first));
    }
}

fn line_ui(ui: &mut Ui, problem: &Problem) {
    let p = palette(ui.visuals());
    ui.horizontal_top(|ui| {
        ui.label(RichText::new(icons::WARNING).color(p.warning));
        let mut text = words::sentence(&problem.message);
        if problem.count > 1 {
            text.push_str(&format!(" ({} times)", words::grouped(problem.count.into())));
        }
        ui.add(Label::new(text).wrap());
    });
}
