//! The menus, and how the image lies: magnification, angle, mirror.

use crate::app::shortcuts::{Action, words_of};
use crate::app::theme::{self, palette};
use crate::app::widgets::{icon_button_ui, segments_ui};
use crate::app::{icons, words};
use crate::session::{
    Background, Command, ExportCommand, Framing, OpenImage, ScrollMode, Session, ThemeChoice, ViewMove,
};
use egui::{Align, Button, DragValue, Layout, RichText, Ui};

/// Magnifications with a button.
const MAGNIFICATIONS: [f64; 6] = [1.0, 2.0, 5.0, 10.0, 20.0, 40.0];
/// A window narrower than this has fewer of them, points.
const NARROW: f32 = 860.0;
/// Scales with a button where no magnification is known.
const SCALES: [f64; 4] = [0.25, 0.5, 1.0, 2.0];
/// What forgetting an image means.
const FORGET: &str = "Removes its thumbnail, its prepared data and its place among the recent files.\n\
                      The file itself is not touched.";

/// The whole bar.
pub fn top_bar_ui(ui: &mut Ui, session: &Session, commands: &mut Vec<Command>) {
    ui.horizontal_centered(|ui| {
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if let Some(image) = session.current() {
                let open = session.export().is_some();
                let hint = format!("Write a file ({})", words_of(Action::Export, ui.ctx()));
                let button = Button::new("Export…").selected(open).min_size(egui::vec2(0.0, theme::CONTROL));
                if ui.add(button).on_hover_text(hint).clicked() {
                    let command = if open { ExportCommand::Close } else { ExportCommand::Open(None) };
                    commands.push(Command::Export(command));
                }
                ui.add_space(theme::GAP);
                lie_ui(ui, image, commands);
                ui.add_space(theme::GAP);
                magnification_ui(ui, image, commands);
            }
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                ui.label(RichText::new("Microtome").font(theme::title_font(theme::BODY)));
                ui.add_space(4.0);
                menus_ui(ui, session, commands);
            });
        });
    });
}

fn menus_ui(ui: &mut Ui, session: &Session, commands: &mut Vec<Command>) {
    egui::MenuBar::new().ui(ui, |ui| {
        ui.menu_button("File", |ui| file_menu_ui(ui, session, commands));
        ui.menu_button("View", |ui| view_menu_ui(ui, session, commands));
        ui.menu_button("Image", |ui| image_menu_ui(ui, session, commands));
        ui.menu_button("Mosaic", |ui| mosaic_menu_ui(ui, session, commands));
        ui.menu_button("Help", |ui| {
            action_ui(ui, session, Action::Keys, commands);
            ui.separator();
            ui.add_enabled(false, Button::new(concat!("Microtome ", env!("CARGO_PKG_VERSION"))));
        });
    });
}

fn file_menu_ui(ui: &mut Ui, session: &Session, commands: &mut Vec<Command>) {
    for action in [Action::OpenFile, Action::OpenFolder, Action::OpenDemo] {
        action_ui(ui, session, action, commands);
    }
    recent_ui(ui, session, commands);
    ui.separator();
    for action in [Action::Export, Action::CopyView] {
        action_ui(ui, session, action, commands);
    }
    ui.separator();
    action_ui(ui, session, Action::CloseImage, commands);
    let path = session.current().map(|i| i.set.path.clone());
    if ui.add_enabled(path.is_some(), Button::new("Forget this image")).on_hover_text(FORGET).clicked() {
        commands.extend(path.map(Command::Forget));
    }
    ui.separator();
    action_ui(ui, session, Action::Quit, commands);
}

fn view_menu_ui(ui: &mut Ui, session: &Session, commands: &mut Vec<Command>) {
    for action in [Action::Fit, Action::OneToOne, Action::ZoomIn, Action::ZoomOut] {
        action_ui(ui, session, action, commands);
    }
    ui.separator();
    for action in [Action::RotateRight, Action::Flip, Action::Upright] {
        action_ui(ui, session, action, commands);
    }
    ui.separator();
    preferences_ui(ui, session, commands);
    ui.separator();
    for action in [Action::LargerInterface, Action::SmallerInterface, Action::NormalInterface, Action::TogglePanels] {
        action_ui(ui, session, action, commands);
    }
}

fn image_menu_ui(ui: &mut Ui, session: &Session, commands: &mut Vec<Command>) {
    for (action, edit) in [(Action::Undo, session.next_undo()), (Action::Redo, session.next_redo())] {
        let what = edit.map_or_else(String::new, |e| format!(": {}", e.words()));
        named_action_ui(ui, session, action, &what, commands);
    }
    ui.separator();
    for action in [Action::AutoRange, Action::FullRange] {
        action_ui(ui, session, action, commands);
    }
    ui.separator();
    for action in [Action::SetPixelSize, Action::MeasurePixelSize, Action::ResetPixelSize] {
        action_ui(ui, session, action, commands);
    }
    ui.separator();
    for action in [Action::ShowChannels, Action::ShowMetadata] {
        action_ui(ui, session, action, commands);
    }
}

fn mosaic_menu_ui(ui: &mut Ui, session: &Session, commands: &mut Vec<Command>) {
    let view = session.current().and_then(|image| image.mosaic.as_ref());
    ticked_ui(ui, session, Action::ToggleSeams, view.is_some_and(|v| v.seams_shown()), commands);
    ticked_ui(ui, session, Action::ShowUnaligned, view.is_some_and(|v| v.edits.show_unaligned), commands);
    ticked_ui(ui, session, Action::EvenIllumination, view.is_some_and(|v| v.edits.even_illumination), commands);
    ui.separator();
    for action in [Action::NextSeam, Action::PreviousSeam, Action::AcceptSeam, Action::RejectSeam, Action::AlignAgain] {
        action_ui(ui, session, action, commands);
    }
    ui.separator();
    for action in [Action::SavePositions, Action::LoadPositions] {
        action_ui(ui, session, action, commands);
    }
    ui.separator();
    for action in [Action::CombineAsMosaic, Action::ShowSeparately] {
        action_ui(ui, session, action, commands);
    }
    ui.separator();
    action_ui(ui, session, Action::ShowMosaic, commands);
}

/// A line of a menu that is on or off.
fn ticked_ui(ui: &mut Ui, session: &Session, action: Action, on: bool, commands: &mut Vec<Command>) {
    let tick = if on { format!("  {}", icons::CHECK) } else { String::new() };
    named_action_ui(ui, session, action, &tick, commands);
}

/// One line of a menu, with its key.
fn action_ui(ui: &mut Ui, session: &Session, action: Action, commands: &mut Vec<Command>) {
    named_action_ui(ui, session, action, "", commands);
}

fn named_action_ui(ui: &mut Ui, session: &Session, action: Action, more: &str, commands: &mut Vec<Command>) {
    let command = action.command(session);
    let label = action.shortcut().map_or_else(String::new, |s| format!("{}{more}", s.words));
    let secondary = palette(ui.visuals()).secondary;
    let keys = RichText::new(words_of(action, ui.ctx())).color(secondary);
    let button = Button::new(label).shortcut_text(keys);
    let mut response = ui.add_enabled(command.is_some(), button);
    if let Some(hint) = action.hint() {
        response = response.on_hover_text(hint).on_disabled_hover_text(hint);
    }
    if response.clicked() {
        commands.extend(command);
    }
}

fn recent_ui(ui: &mut Ui, session: &Session, commands: &mut Vec<Command>) {
    if session.recent().is_empty() {
        ui.add_enabled(false, Button::new("Recent files"));
        return;
    }
    ui.menu_button("Recent files", |ui| {
        for path in session.recent() {
            let name = super::images::file_name(path);
            if ui.button(name).on_hover_text(path.to_string_lossy()).clicked() {
                commands.push(Command::Open(vec![path.clone()]));
            }
        }
    });
}

fn preferences_ui(ui: &mut Ui, session: &Session, commands: &mut Vec<Command>) {
    let p = session.preferences();
    ui.menu_button("Scrolling", |ui| {
        let modes = [
            (ScrollMode::Automatic, "Automatic: a touchpad moves, a wheel zooms"),
            (ScrollMode::Zoom, "Always zooms"),
            (ScrollMode::Pan, "Always moves"),
        ];
        choices_ui(ui, p.scroll, &modes, |mode| commands.push(Command::SetScrollMode(mode)));
        ui.separator();
        toggle_ui(ui, p.invert_scroll, "Inverted", |on| commands.push(Command::SetInvertScroll(on)));
    });
    ui.menu_button("Around the tissue", |ui| {
        let choices = [(Background::Automatic, "Automatic"), (Background::Dark, "Dark"), (Background::Light, "Light")];
        choices_ui(ui, p.background, &choices, |choice| commands.push(Command::SetBackground(choice)));
    });
    ui.menu_button("Colours of the window", |ui| {
        let choices =
            [(ThemeChoice::System, "As the system"), (ThemeChoice::Dark, "Dark"), (ThemeChoice::Light, "Light")];
        choices_ui(ui, p.theme, &choices, |choice| commands.push(Command::SetTheme(choice)));
    });
    toggle_ui(ui, p.overview, "Overview map", |_| commands.push(Command::ToggleOverview));
    toggle_ui(ui, p.smooth_pixels, "Smooth pixels when magnified", |on| commands.push(Command::SetSmoothPixels(on)));
    toggle_ui(ui, p.motion, "Animation", |on| commands.push(Command::SetMotion(on)));
}

fn choices_ui<T: Copy + PartialEq>(ui: &mut Ui, now: T, choices: &[(T, &str)], mut choose: impl FnMut(T)) {
    for &(choice, words) in choices {
        if ui.radio(now == choice, words).clicked() {
            choose(choice);
        }
    }
}

fn toggle_ui(ui: &mut Ui, on: bool, words: &str, set: impl FnOnce(bool)) {
    let mut value = on;
    if ui.checkbox(&mut value, words).changed() {
        set(value);
    }
}

/// Buttons for magnifications, or for scales where the pixel size is not known.
fn magnification_ui(ui: &mut Ui, image: &OpenImage, commands: &mut Vec<Command>) {
    let calibrated = image.um_per_px.is_some();
    let now = image.magnification(&image.camera).unwrap_or(image.camera.zoom);
    let all: &[f64] = if calibrated { &MAGNIFICATIONS } else { &SCALES };
    // On a narrow window every second one has room beside the menus.
    let every = if ui.ctx().content_rect().width() < NARROW { 2 } else { 1 };
    let steps: Vec<f64> = all.iter().copied().step_by(every).collect();
    let mut labels = vec![("Fit".to_owned(), "The whole image".to_owned())];
    labels.extend(steps.iter().map(|&step| {
        if calibrated {
            let hint = format!("{}{}µm a screen pixel", words::significant(10.0 / step, 3), words::THIN);
            (words::magnification(step), hint)
        } else {
            (words::percent(step), format!("{} screen pixels an image pixel", words::significant(step, 2)))
        }
    }));
    let at = steps.iter().position(|step| (now / step - 1.0).abs() < 1e-3);
    let chosen = if image.framing == Framing::Fit { Some(0) } else { at.map(|n| n + 1) };
    match segments_ui(ui, &labels, chosen) {
        Some(0) => commands.push(Command::Move(ViewMove::Fit)),
        Some(n) if calibrated => commands.push(Command::Move(ViewMove::Magnification(steps[n - 1]))),
        Some(n) => commands.push(Command::Move(ViewMove::Scale(steps[n - 1]))),
        None => {}
    }
}

/// The angle, typed or dragged, and the mirror.
fn lie_ui(ui: &mut Ui, image: &OpenImage, commands: &mut Vec<Command>) {
    let p = palette(ui.visuals());
    let flip = icon_button_ui(ui, icons::FLIP, "Mirror left and right");
    if image.camera.flipped {
        ui.painter().rect_stroke(flip.rect, 4.0, egui::Stroke::new(1.0, p.accent), egui::StrokeKind::Inside);
    }
    if flip.clicked() {
        commands.push(Command::Move(ViewMove::Flip));
    }
    let mut degrees = image.camera.rotation_rad.to_degrees();
    let words = |value: f64, _: std::ops::RangeInclusive<usize>| {
        format!("{}°", words::decimal((value * 10.0).round() / 10.0, 1).trim_end_matches(".0"))
    };
    let angle = DragValue::new(&mut degrees)
        .speed(0.5)
        .prefix(format!("{} ", icons::ROTATE))
        .min_size(egui::vec2(72.0, theme::CONTROL))
        .custom_formatter(words)
        .custom_parser(words::parse_number);
    let response = ui.add(angle).on_hover_text("Angle: drag it, or click and type").accessible_name("Angle");
    if response.changed() {
        commands.push(Command::Move(ViewMove::RotateTo(degrees)));
    }
}
