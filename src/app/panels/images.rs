//! The list of what is open, opening, or would not open.

use crate::app::pictures::Pictures;
use crate::app::theme::palette;
use crate::app::widgets::{note_ui, quiet_icon_ui, section_ui};
use crate::app::{icons, words};
use crate::engine::OpenedSet;
use crate::pixels::TileFormat;
use crate::session::{Command, Entry, ImageId, OpenImage, Session};
use egui::{Align, Color32, Label, Layout, Rect, RichText, Sense, Ui, vec2};
use std::path::Path;
use std::sync::Arc;

/// The height of a line with a thumbnail, points.
const ROW: f32 = 60.0;
/// A thumbnail, points.
const THUMBNAIL: egui::Vec2 = vec2(64.0, 48.0);

/// The list.
pub fn images_ui(ui: &mut Ui, session: &Session, pictures: &Pictures, commands: &mut Vec<Command>) {
    let count = session.entries().len();
    section_ui(ui, "Images", |ui| {
        if count > 0 {
            let secondary = palette(ui.visuals()).secondary;
            ui.label(RichText::new(count.to_string()).color(secondary));
        }
    });
    if count == 0 {
        note_ui(ui, "Nothing is open yet");
        return;
    }
    for entry in session.entries() {
        match entry {
            Entry::Opening(path) => opening_ui(ui, path),
            Entry::Failed { path, message, try_again } => failed_ui(ui, path, message, *try_again, commands),
            Entry::Open(set) => {
                for field in set.listed() {
                    open_ui(ui, session, set, field, pictures, commands);
                }
            }
        }
    }
}

/// The file's name of a path.
pub fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

fn opening_ui(ui: &mut Ui, path: &Path) {
    let p = palette(ui.visuals());
    row_ui(ui, false, |ui, rect| {
        ui.painter().rect_filled(rect, 3.0, p.sunken);
        placeholder(ui, rect, icons::PICTURE, p.secondary);
        ui.add(Label::new(file_name(path)).truncate());
        ui.label(RichText::new("Opening…").small().color(p.secondary));
    });
}

fn failed_ui(ui: &mut Ui, path: &Path, message: &str, try_again: bool, commands: &mut Vec<Command>) {
    let p = palette(ui.visuals());
    egui::Frame::new().fill(p.raised).corner_radius(4.0).inner_margin(8.0).show(ui, |ui| {
        ui.set_width(ui.available_width());
        ui.horizontal(|ui| {
            ui.label(RichText::new(icons::ERROR).color(p.error));
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                if quiet_icon_ui(ui, icons::CLOSE, "Take it off the list").clicked() {
                    commands.push(Command::DismissFailed(path.to_owned()));
                }
                ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                    ui.add(Label::new(file_name(path)).truncate());
                });
            });
        });
        ui.add(Label::new(RichText::new(words::sentence(message)).small().color(p.secondary)).wrap());
        if try_again {
            ui.add_space(2.0);
            if ui.button("Try again").clicked() {
                commands.push(Command::Open(vec![path.to_owned()]));
            }
        }
    });
}

fn open_ui(
    ui: &mut Ui,
    session: &Session,
    set: &Arc<OpenedSet>,
    field: u32,
    pictures: &Pictures,
    commands: &mut Vec<Command>,
) {
    let id = ImageId { set: set.id, field };
    let Some(image) = session.image(id) else { return };
    let p = palette(ui.visuals());
    let chosen = session.current().is_some_and(|i| i.id == id);
    let whole = image.whole();
    let name = image.name();
    let response = row_ui(ui, chosen, |ui, rect| {
        match pictures.thumbnail(&set.path).filter(|_| field == set.first()) {
            Some(texture) => pictures.paint(ui, texture, rect),
            None => {
                ui.painter().rect_filled(rect, 3.0, p.sunken);
                placeholder(ui, rect, icons::PICTURE, p.secondary);
            }
        }
        ui.add(Label::new(&name).truncate());
        ui.label(RichText::new(words::size(whole.width, whole.height)).small().color(p.secondary));
        ui.label(RichText::new(kind_words(image)).small().color(p.secondary));
    });
    response.widget_info(|| egui::WidgetInfo::selected(egui::Role::ListBoxOption, true, chosen, &name));
    if response.clicked() {
        commands.push(Command::Show(id));
    }
    response.on_hover_text(set.path.to_string_lossy()).context_menu(|ui| {
        if ui.button("Close").clicked() {
            commands.push(Command::Close(set.id));
        }
        if ui.button("Forget this image").clicked() {
            commands.push(Command::Forget(set.path.clone()));
        }
    });
}

/// "4 channels, 16 bit".
fn kind_words(image: &OpenImage) -> String {
    if image.is_rgb() {
        return "Colour, 8 bit".to_owned();
    }
    let n = image.channels.len();
    let bits = if image.channels.iter().any(|c| c.format == TileFormat::Gray16) { 16 } else { 8 };
    format!("{n} channel{}, {bits} bit", if n == 1 { "" } else { "s" })
}

/// A line: a place for a thumbnail at the left, and up to three short lines of text.
fn row_ui(ui: &mut Ui, chosen: bool, contents: impl FnOnce(&mut Ui, Rect)) -> egui::Response {
    let p = palette(ui.visuals());
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), ROW), Sense::click());
    let fill = match (chosen, response.hovered() || response.has_focus()) {
        (true, _) => p.raised,
        (false, true) => p.raised.gamma_multiply(0.6),
        (false, false) => Color32::TRANSPARENT,
    };
    ui.painter().rect_filled(rect, 4.0, fill);
    let picture = Rect::from_min_size(rect.left_top() + vec2(6.0, 6.0), THUMBNAIL);
    let left_top = egui::pos2(picture.right() + 8.0, rect.top() + 5.0);
    let text = Rect::from_min_max(left_top, rect.right_bottom() - vec2(4.0, 4.0));
    let builder = egui::UiBuilder::new().max_rect(text).layout(Layout::top_down(Align::Min));
    let mut ui = ui.new_child(builder);
    ui.spacing_mut().item_spacing.y = 1.0;
    ui.style_mut().interaction.selectable_labels = false;
    contents(&mut ui, picture);
    response
}

/// An icon in the middle of a place for a picture.
pub fn placeholder(ui: &Ui, rect: Rect, icon: &str, color: Color32) {
    ui.painter().text(rect.center(), egui::Align2::CENTER_CENTER, icon, egui::FontId::proportional(18.0), color);
}
