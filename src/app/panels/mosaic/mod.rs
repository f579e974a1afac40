//! The Mosaic panel: how the alignment stands, which seams to look at, how fields are put together and laid out.

mod alignment;
mod fusing;
mod layout;
mod seams;
mod summary;

pub use seams::seam_words;
pub use summary::summary_ui;

use crate::app::theme;
use crate::app::widgets::note_ui;
use crate::app::words;
use crate::session::{Command, MosaicCommand, MosaicView, OpenImage, Session};
use egui::{Align, DragValue, Label, Layout, RichText, TextStyle, TextWrapMode, Ui, WidgetText};

/// Texts of the panel while they are typed.
#[derive(Debug, Default)]
pub struct MosaicDraft {
    pattern: String,
    /// The pattern that the text was last filled from.
    from: String,
}

/// The panel.
pub fn mosaic_ui(ui: &mut Ui, session: &Session, draft: &mut MosaicDraft, commands: &mut Vec<Command>) {
    let Some(image) = session.current() else {
        note_ui(ui, "Open a folder of overlapping fields to see how they fit");
        return;
    };
    let Some(view) = &image.mosaic else {
        note_ui(ui, "This image is whole. A mosaic is a folder of fields that overlap");
        return;
    };
    let part = Part { session, image, view };
    alignment::alignment_ui(ui, &part, commands);
    ui.add_space(theme::GROUP);
    seams::seams_ui(ui, &part, commands);
    fusing::fusing_ui(ui, &part, commands);
    ui.add_space(theme::GROUP);
    fusing::light_ui(ui, &part, commands);
    ui.add_space(theme::GROUP);
    layout::positions_ui(ui, &part, commands);
    ui.add_space(theme::GROUP);
    layout::layout_ui(ui, &part, draft, commands);
    layout::left_out_ui(ui, &part);
    ui.add_space(theme::GROUP);
    let hint = "Opens every file by itself, in the place of the mosaic";
    if ui.button("Show as separate images").on_hover_text(hint).clicked() {
        commands.push(Command::ShowSeparately(image.id.set));
    }
}

/// What every part of the panel looks at.
struct Part<'a> {
    session: &'a Session,
    image: &'a OpenImage,
    view: &'a MosaicView,
}

fn push(commands: &mut Vec<Command>, command: MosaicCommand) {
    commands.push(Command::Mosaic(command));
}

/// The name of a field, without the ending that all of them have.
fn field_name(view: &MosaicView, field: u32) -> &str {
    let name = view.set.fields.fields.get(field as usize).map_or("", |f| f.name.as_str());
    let stem = name.rsplit_once('.').filter(|(stem, ending)| !stem.is_empty() && ending.len() <= 4);
    let stem = stem.map_or(name, |(stem, _)| stem);
    stem.strip_suffix(".ome").unwrap_or(stem)
}

/// A line of a list: an icon in a colour, and a text beside it that may run over several lines.
fn icon_line_ui(ui: &mut Ui, icon: &str, color: egui::Color32, text: &str) {
    ui.horizontal_top(|ui| {
        ui.label(RichText::new(icon).color(color));
        ui.add(Label::new(text).wrap());
    });
}

/// A name with its controls at the right of it, or below where the panel is too narrow for both; `room` is what the
/// controls take, points. They are placed from the right.
fn control_row_ui(ui: &mut Ui, name: &str, hint: Option<&str>, room: f32, controls: impl FnOnce(&mut Ui)) {
    let galley = WidgetText::from(name).into_galley(ui, Some(TextWrapMode::Extend), f32::INFINITY, TextStyle::Body);
    let label = |ui: &mut Ui, text: std::sync::Arc<egui::Galley>| {
        let response = ui.label(text);
        if let Some(hint) = hint {
            response.on_hover_text(hint);
        }
    };
    let fits = galley.size().x + theme::GAP + room <= ui.available_width();
    if !fits {
        label(ui, galley.clone());
    }
    ui.horizontal(|ui| {
        if fits {
            label(ui, galley);
        }
        ui.with_layout(Layout::right_to_left(Align::Center), controls);
    });
}

/// A length in pixels, and in micrometres where they are known.
fn length_words(px: f64, um_per_px: Option<f64>) -> String {
    let thin = words::THIN;
    match um_per_px {
        Some(um) => format!("{}{thin}px, {}{thin}µm", words::significant(px, 3), words::significant(px * um, 3)),
        None => format!("{}{thin}px", words::significant(px, 3)),
    }
}

/// A number field that answers once it is settled: a value on the way would start work that the next one ends.
struct NumberField<'a> {
    name: &'a str,
    hint: &'a str,
    value: f64,
    range: std::ops::RangeInclusive<f64>,
    speed: f64,
    unit: &'a str,
    decimals: usize,
}

impl NumberField<'_> {
    fn ui(self, ui: &mut Ui) -> Option<f64> {
        let id = ui.scope_id().with(self.name);
        let held: Option<f64> = ui.data(|d| d.get_temp(id));
        let mut value = held.unwrap_or(self.value);
        let decimals = self.decimals;
        let field = DragValue::new(&mut value)
            .speed(self.speed)
            .range(self.range)
            .suffix(if self.unit.is_empty() { String::new() } else { format!("{}{}", words::THIN, self.unit) })
            .custom_formatter(move |v, _| words::decimal(v, decimals))
            .custom_parser(|text| words::parse_number(text.trim_end_matches(|c: char| c.is_alphabetic())))
            .min_size(egui::vec2(64.0, theme::CONTROL));
        let response = ui.add(field).on_hover_text(self.hint).accessible_name(self.name);
        if response.changed() {
            ui.data_mut(|d| d.insert_temp(id, value));
        }
        let ended = response.drag_stopped() || response.lost_focus();
        let settled: Option<f64> = ended.then(|| ui.data_mut(|d| d.remove_temp(id))).flatten();
        settled.filter(|v| *v != self.value)
    }
}
