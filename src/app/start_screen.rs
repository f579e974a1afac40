//! What is seen before anything is open: where to drop, what to open, what was open before.

use super::panels::images::{file_name, placeholder};
use super::pictures::Pictures;
use super::theme::{self, palette};
use super::{icons, words};
use crate::session::{Command, Entry, Session};
use egui::{Align, Button, Label, Layout, Rect, RichText, Sense, Stroke, Ui, pos2, vec2};
use std::path::Path;

/// The column in the middle, points.
const WIDTH: f32 = 560.0;
/// The drop target, points.
const TARGET: f32 = 184.0;
/// A button of the drop target, points wide.
const BUTTON: f32 = 136.0;
/// Cards of recent files in a row.
const CARDS: usize = 4;
/// A card's picture, points high.
const CARD_PICTURE: f32 = 84.0;

/// The whole screen.
pub fn start_screen_ui(ui: &mut Ui, session: &Session, pictures: &Pictures, commands: &mut Vec<Command>) {
    let width = WIDTH.min(ui.available_width() - 2.0 * theme::GROUP);
    egui::ScrollArea::vertical().auto_shrink([false, false]).show(ui, |ui| {
        let rows = session.recent().len().div_ceil(CARDS).min(2) as f32;
        let content = TARGET + 80.0 + rows * (CARD_PICTURE + 40.0);
        ui.add_space(((ui.available_height() - content) * 0.42).max(theme::GROUP));
        ui.vertical_centered(|ui| {
            ui.set_max_width(width);
            target_ui(ui, width, commands);
            failures_ui(ui, session, commands);
            recent_ui(ui, session, pictures, commands);
        });
        ui.add_space(theme::GROUP);
    });
}

fn target_ui(ui: &mut Ui, width: f32, commands: &mut Vec<Command>) {
    let p = palette(ui.visuals());
    let (rect, _) = ui.allocate_exact_size(vec2(width, TARGET), Sense::hover());
    ui.painter().rect_filled(rect, 8.0, p.panel);
    dashed_frame(ui, rect.shrink(0.5), p.secondary.gamma_multiply(0.6));
    let builder = egui::UiBuilder::new().max_rect(rect.shrink(theme::GROUP)).layout(Layout::top_down(Align::Center));
    contents_ui(&mut ui.new_child(builder), commands);
}

fn contents_ui(ui: &mut Ui, commands: &mut Vec<Command>) {
    let p = palette(ui.visuals());
    ui.add_space(12.0);
    ui.label(RichText::new(icons::DROP).size(32.0).color(p.secondary));
    ui.add_space(8.0);
    ui.label(RichText::new("Drop slides, images or a folder of images here to look at them").size(15.0));
    ui.add_space(16.0);
    let buttons = [
        (icons::FILE, "Open files…", Command::AskForFiles),
        (icons::FOLDER, "Open folder…", Command::AskForFolder),
        (icons::DEMO, "Try the demo", Command::OpenDemo),
    ];
    // Buttons of one width can be centred without being measured first.
    let row = BUTTON * buttons.len() as f32 + theme::GAP * (buttons.len() - 1) as f32;
    ui.allocate_ui_with_layout(vec2(row, 32.0), Layout::left_to_right(Align::Center), |ui| {
        for (icon, text, command) in buttons {
            let button = Button::new(format!("{icon}  {text}")).min_size(vec2(BUTTON, 32.0));
            if ui.add(button).accessible_name(text).clicked() {
                commands.push(command);
            }
        }
    });
}

/// What was asked for and would not open.
fn failures_ui(ui: &mut Ui, session: &Session, commands: &mut Vec<Command>) {
    let p = palette(ui.visuals());
    let failed = session.entries().iter().filter_map(|e| match e {
        Entry::Failed { path, message, try_again } => Some((path, message, *try_again)),
        Entry::Opening(_) | Entry::Open(_) => None,
    });
    for (path, message, try_again) in failed {
        ui.add_space(theme::GAP);
        egui::Frame::new().fill(p.panel).corner_radius(6.0).inner_margin(12.0).show(ui, |ui| {
            ui.set_width(ui.available_width());
            ui.horizontal(|ui| {
                ui.label(RichText::new(icons::ERROR).color(p.error));
                ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                    if ui.button("Dismiss").clicked() {
                        commands.push(Command::DismissFailed(path.clone()));
                    }
                    if try_again && ui.button("Try again").clicked() {
                        commands.push(Command::Open(vec![path.clone()]));
                    }
                    ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                        ui.add(Label::new(words::sentence(message)).wrap());
                    });
                });
            });
        });
    }
}

fn recent_ui(ui: &mut Ui, session: &Session, pictures: &Pictures, commands: &mut Vec<Command>) {
    if session.recent().is_empty() {
        return;
    }
    let p = palette(ui.visuals());
    ui.add_space(24.0);
    ui.with_layout(Layout::top_down(Align::Min), |ui| {
        ui.label(RichText::new("Recent").color(p.secondary));
        ui.add_space(4.0);
        let width = (ui.available_width() - theme::GAP * (CARDS - 1) as f32) / CARDS as f32;
        for row in session.recent().chunks(CARDS) {
            ui.horizontal(|ui| {
                for path in row {
                    card_ui(ui, path, width, pictures, commands);
                }
            });
            ui.add_space(4.0);
        }
    });
}

fn card_ui(ui: &mut Ui, path: &Path, width: f32, pictures: &Pictures, commands: &mut Vec<Command>) {
    let p = palette(ui.visuals());
    let name = file_name(path);
    let (rect, response) = ui.allocate_exact_size(vec2(width, CARD_PICTURE + 28.0), Sense::click());
    let strong = response.hovered() || response.has_focus();
    ui.painter().rect_filled(rect, 6.0, if strong { p.hovered } else { p.panel });
    let picture = Rect::from_min_size(rect.min + vec2(4.0, 4.0), vec2(width - 8.0, CARD_PICTURE - 4.0));
    match pictures.thumbnail(path) {
        Some(texture) => pictures.paint(ui, texture, picture),
        None => {
            ui.painter().rect_filled(picture, 3.0, p.sunken);
            placeholder(ui, picture, icons::PICTURE, p.secondary);
        }
    }
    let text = Rect::from_min_max(pos2(rect.left() + 8.0, picture.bottom() + 4.0), rect.max - vec2(8.0, 4.0));
    let builder = egui::UiBuilder::new().max_rect(text).layout(Layout::left_to_right(Align::Center));
    ui.new_child(builder).add(Label::new(RichText::new(&name).size(12.0)).truncate().selectable(false));
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, &name));
    if response.clicked() {
        commands.push(Command::Open(vec![path.to_owned()]));
    }
    response.on_hover_text(path.to_string_lossy()).context_menu(|ui| {
        if ui.button("Forget this image").clicked() {
            commands.push(Command::Forget(path.to_owned()));
        }
    });
}

fn dashed_frame(ui: &Ui, rect: Rect, color: egui::Color32) {
    let r = 8.0;
    let mut outline = Vec::new();
    let corners = [
        (rect.right_top() + vec2(-r, r), -90.0f32),
        (rect.right_bottom() + vec2(-r, -r), 0.0),
        (rect.left_bottom() + vec2(r, -r), 90.0),
        (rect.left_top() + vec2(r, r), 180.0),
    ];
    for (middle, from) in corners {
        for step in 0..=6 {
            let angle = (from + 15.0 * step as f32).to_radians();
            outline.push(middle + r * vec2(angle.cos(), angle.sin()));
        }
    }
    outline.push(outline[0]);
    ui.painter().extend(egui::Shape::dashed_line(&outline, Stroke::new(1.0, color), 6.0, 4.0));
}
