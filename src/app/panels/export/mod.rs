//! The Export panel: what to write, how large it will be, how far it has got.

mod ending;
mod options;

use crate::app::theme::{self, palette};
use crate::app::widgets::{choice_ui, quiet_button_ui, quiet_icon_ui, scrolled_ui, section_ui};
use crate::app::{icons, words};
use crate::session::{
    Command, ExportChoices, ExportCommand, ExportPanel, ExportPreset, ExportStage, OpenImage, Session,
};
use egui::{Align, Button, Label, Layout, RichText, TextEdit, Ui};

/// The text of the file's name while it is typed.
#[derive(Debug, Default)]
pub struct ExportDraft {
    name: String,
    /// The name that the text was last filled from.
    from: String,
}

/// The panel, in place of the other ones at the right.
pub fn export_ui(ui: &mut Ui, session: &Session, draft: &mut ExportDraft, commands: &mut Vec<Command>) {
    let Some((panel, image)) = session.export().zip(session.current()) else { return };
    ui.horizontal(|ui| {
        ui.label(RichText::new("Export").font(theme::title_font(theme::BODY)));
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if quiet_icon_ui(ui, icons::CLOSE, "Close the export panel").clicked() {
                commands.push(Command::Export(ExportCommand::Close));
            }
        });
    });
    ui.add_space(4.0);
    if panel.stage != ExportStage::Choosing {
        ending::stage_ui(ui, session, panel, commands);
        return;
    }
    let choices = session.export_choices();
    let mut push = |command| commands.push(Command::Export(command));
    // What starts the export stays in sight, however much there is to choose.
    let foot = egui::Panel::bottom("export start").frame(egui::Frame::new()).show_separator_line(false);
    foot.show(ui, |ui| {
        ui.add_space(theme::GAP);
        ui.separator();
        file_ui(ui, panel, draft, &mut push);
        start_ui(ui, session, image, &mut push);
    });
    ui.add_space(4.0);
    scrolled_ui(ui, |ui| {
        presets_ui(ui, choices, &mut push);
        ui.add_space(theme::GAP);
        if choices.preset.has_region() {
            options::region_ui(ui, panel, image, &mut push);
            ui.add_space(theme::GAP);
        }
        if choices.preset.is_picture() {
            options::picture_ui(ui, session, image, choices, &mut push);
        } else {
            options::samples_ui(ui, panel, image, choices, &mut push);
        }
        ui.add_space(theme::GROUP);
        command_line_ui(ui, session, &mut push);
    });
}

/// What a preset is called, and what it is for.
pub fn preset_words(preset: ExportPreset) -> (&'static str, &'static str) {
    match preset {
        ExportPreset::WholeOmeTiff => ("Whole image as OME-TIFF", "For QuPath, napari, OMERO and pipelines"),
        ExportPreset::RegionOmeTiff => ("Region as OME-TIFF", "A part of it, with its reduced levels"),
        ExportPreset::ViewPicture => ("Picture of the view", "As it is on the screen, for slides and papers"),
        ExportPreset::RegionPicture => ("Picture of a region", "In the colours of the screen, at any size"),
        ExportPreset::RegionRaw => ("Raw samples of a region", "Plain TIFF, unchanged values, for measurements"),
    }
}

fn presets_ui(ui: &mut Ui, choices: &ExportChoices, push: &mut dyn FnMut(ExportCommand)) {
    for preset in ExportPreset::ALL {
        let (title, purpose) = preset_words(preset);
        let chosen = choices.preset == preset;
        if choice_ui(ui, chosen, title, purpose).clicked() && !chosen {
            push(ExportCommand::Choose(ExportChoices { preset, ..choices.clone() }));
        }
    }
}

fn file_ui(ui: &mut Ui, panel: &ExportPanel, draft: &mut ExportDraft, push: &mut dyn FnMut(ExportCommand)) {
    let p = palette(ui.visuals());
    let name = panel.path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    if draft.from != name {
        (draft.name, draft.from) = (name.clone(), name.clone());
    }
    section_ui(ui, "File", |_| {});
    ui.horizontal(|ui| {
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if ui.button("Choose…").on_hover_text("Choose the folder and the name").clicked() {
                push(ExportCommand::AskForFile);
            }
            let field = TextEdit::singleline(&mut draft.name)
                .desired_width(ui.available_width())
                .margin(egui::Margin::symmetric(8, 4));
            let response = ui.add(field).accessible_name("Name of the file");
            let typed = draft.name.trim();
            if response.lost_focus() && typed != name && !typed.is_empty() && !typed.contains(['/', '\\']) {
                push(ExportCommand::SetFile { path: panel.path.with_file_name(typed), agreed_to_replace: false });
            }
        });
    });
    let folder = panel.path.parent().map(|f| f.to_string_lossy().into_owned()).unwrap_or_default();
    let text = RichText::new(format!("in {folder}")).small().color(p.secondary);
    ui.add(Label::new(text).truncate()).on_hover_text(folder);
}

fn start_ui(ui: &mut Ui, session: &Session, image: &OpenImage, push: &mut dyn FnMut(ExportCommand)) {
    ui.add_space(4.0);
    let plan = session.export_plan();
    ui.horizontal(|ui| {
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let p = palette(ui.visuals());
            let button = Button::new(RichText::new("Export").color(p.on_accent)).fill(p.accent);
            let button = button.min_size(egui::vec2(88.0, theme::CONTROL));
            if plan.is_some() && ui.add(button).accessible_name("Start the export").clicked() {
                push(ExportCommand::Start);
            }
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                let text = match &plan {
                    Some(plan) => {
                        let estimate = session.export_estimate(plan);
                        let size = if estimate.is_most { "Up to" } else { "About" };
                        format!("{size} {}, {}", words::bytes(estimate.bytes), words::duration(estimate.secs))
                    }
                    None if image.channels.is_empty() => "There is nothing to export".to_owned(),
                    None => "Choose at least one channel".to_owned(),
                };
                let hint =
                    "From a few places of the image, or the most it can be, and from the speed of the last export";
                ui.add(Label::new(text).truncate()).on_hover_text(hint);
            });
        });
    });
    ui.add_space(4.0);
}

fn command_line_ui(ui: &mut Ui, session: &Session, push: &mut dyn FnMut(ExportCommand)) {
    let Some(line) = session.export_command_line() else { return };
    section_ui(ui, "The same on the command line", |ui| {
        if quiet_button_ui(ui, "Copy").on_hover_text("Copy the command line").clicked() {
            push(ExportCommand::CopyCommandLine);
        }
    });
    egui::Frame::new().fill(palette(ui.visuals()).sunken).corner_radius(4.0).inner_margin(8.0).show(ui, |ui| {
        ui.set_width(ui.available_width());
        ui.add(Label::new(RichText::new(line).small()).wrap());
    });
}
