//! What the file says about itself, with a search; and the pictures that come with a slide.

use crate::app::theme::{self, palette};
use crate::app::widgets::{note_ui, section_ui, value_row_ui};
use crate::app::{icons, words};
use crate::session::{Command, Session};
use egui::{Label, RichText, TextEdit, Ui};

/// The panel; `search` is the text being typed.
pub fn metadata_ui(ui: &mut Ui, session: &Session, search: &mut String, commands: &mut Vec<Command>) {
    let Some(image) = session.current() else {
        section_ui(ui, "Metadata", |_| {});
        note_ui(ui, "Open an image to see what its file says about it");
        return;
    };
    let set = &image.set;
    if !set.associated.is_empty() {
        section_ui(ui, "Pictures of the slide", |_| {});
        for (index, picture) in set.associated.iter().enumerate() {
            ui.horizontal(|ui| {
                let name = capitalised(&picture.name);
                value_row_ui(ui, &name, words::size(picture.size.width, picture.size.height));
            });
            let shown = session.associated_shown() == Some(index);
            let text = format!("{} {}", if shown { "Hide" } else { "Show" }, picture.name);
            if ui.button(&text).clicked() {
                commands.push(Command::ShowAssociated((!shown).then_some(index)));
            }
        }
        ui.add_space(theme::GROUP);
    }
    section_ui(ui, "Metadata", |ui| {
        ui.label(RichText::new(set.metadata.len().to_string()).color(palette(ui.visuals()).secondary));
    });
    if set.metadata.is_empty() {
        note_ui(ui, "The file brings no metadata");
        return;
    }
    let field = TextEdit::singleline(search)
        .hint_text(format!("{} Search", icons::SEARCH))
        .desired_width(f32::INFINITY)
        .margin(egui::Margin::symmetric(8, 4));
    ui.add(field).accessible_name("Search the metadata");
    ui.add_space(4.0);
    let wanted = search.to_lowercase();
    let found: Vec<_> = set
        .metadata
        .iter()
        .filter(|(k, v)| wanted.is_empty() || k.to_lowercase().contains(&wanted) || v.to_lowercase().contains(&wanted))
        .collect();
    if found.is_empty() {
        note_ui(ui, "Nothing matches");
    }
    for (key, value) in found {
        let secondary = palette(ui.visuals()).secondary;
        ui.add(Label::new(RichText::new(key).small().color(secondary)).wrap());
        ui.add(Label::new(words::with_micro(value)).wrap());
        ui.add_space(4.0);
    }
}

fn capitalised(name: &str) -> String {
    let mut chars = name.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}
