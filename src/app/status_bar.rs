//! The line at the bottom: where the pointer is and what is there, what is being done, what the program holds.

use super::theme::palette;
use super::widgets::{fixed_label_ui, progress_ui, quiet_button_ui, quiet_icon_ui};
use super::{icons, words};
use crate::engine::MemoryUse;
use crate::geom::Point;
use crate::session::{Command, Job, OpenImage, Session};
use egui::{Align, Label, Layout, RichText, TextStyle, TextWrapMode, Ui};

/// Channels whose values are shown; the rest are in the text on hover.
const MAX_VALUES: usize = 6;

/// The name of a field, points.
const FIELD_WIDTH: f32 = 120.0;
/// A place in pixels or in micrometres, points.
const PLACE_WIDTH: f32 = 112.0;
/// Two jobs are shown where there is so much room, points; else one.
const TWO_JOBS_WIDTH: f32 = 1200.0;

/// What the program holds, the graphics memory included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Memory {
    /// The engine's part.
    pub engine: MemoryUse,
    /// Tiles and canvases on the GPU, bytes.
    pub gpu_bytes: u64,
}

/// The whole line.
pub fn status_bar_ui(ui: &mut Ui, session: &Session, memory: Memory, commands: &mut Vec<Command>) {
    ui.style_mut().override_text_style = Some(egui::TextStyle::Small);
    ui.style_mut().interaction.selectable_labels = false;
    ui.horizontal_centered(|ui| {
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            ui.spacing_mut().item_spacing.x = 16.0;
            memory_ui(ui, memory);
            if let Some(image) = session.current() {
                zoom_ui(ui, image);
            }
            problems_ui(ui, session);
            if let Some(notice) = session.notice() {
                ui.add(Label::new(RichText::new(notice).color(palette(ui.visuals()).text)).extend());
            }
            if let Some(folder) = session.offer() {
                let hint = folder.to_string_lossy();
                if quiet_button_ui(ui, "Open the whole folder").on_hover_text(hint).clicked() {
                    commands.push(Command::Open(vec![folder.to_owned()]));
                }
            }
            let shown = session.jobs().len().min(if ui.available_width() < TWO_JOBS_WIDTH { 1 } else { 2 });
            for job in session.jobs().iter().rev().take(shown) {
                job_ui(ui, job, session.now_secs(), commands);
            }
            if session.jobs().len() > shown {
                ui.label(format!("and {} more", session.jobs().len() - shown));
            }
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                if let Some(image) = session.current() {
                    position_ui(ui, session, image);
                }
            });
        });
    });
}

fn position_ui(ui: &mut Ui, session: &Session, image: &OpenImage) {
    let p = palette(ui.visuals());
    let whole = image.whole();
    let inside = |x: f64, least: u32, most: u32| (f64::from(least)..f64::from(most)).contains(&x);
    let is_inside = |at: &Point| inside(at.x, whole.x, whole.right()) && inside(at.y, whole.y, whole.bottom());
    let Some(at) = session.pointer().filter(is_inside) else { return };
    // Places of a mosaic count from the corner of its fields, as those of its export do.
    let from_corner = at - image.corner();
    let (x, y) = (from_corner.x.floor() as i128, from_corner.y.floor() as i128);
    let px = format!("{}, {}{}px", words::grouped(x), words::grouped(y), words::THIN);
    // What there is no room for is left out, from the right.
    if ui.available_width() < PLACE_WIDTH {
        return;
    }
    fixed_label_ui(ui, PLACE_WIDTH, RichText::new(px).color(p.text));
    if let Some([ux, uy]) = image.um_per_px.filter(|_| ui.available_width() >= PLACE_WIDTH) {
        let um = words::place_um(from_corner.x * ux, from_corner.y * uy);
        fixed_label_ui(ui, PLACE_WIDTH, RichText::new(um).color(p.text));
    }
    if let Some(view) = image.mosaic.as_ref().filter(|_| ui.available_width() >= FIELD_WIDTH) {
        let source = image.read_out.as_ref().and_then(|r| r.source.as_ref());
        let under = || view.field_at(at).and_then(|f| view.set.fields.fields.get(f as usize)).map(|f| f.name.as_str());
        if let Some(name) = source.map(|s| s.name.as_str()).or_else(under) {
            let text = RichText::new(name).color(p.text);
            ui.add_sized([FIELD_WIDTH, 16.0], Label::new(text).truncate()).on_hover_text(format!("Field {name}"));
        }
    }
    let Some(read_out) = &image.read_out else { return };
    for (channel, values) in read_out.values.iter().take(MAX_VALUES) {
        let Some(view) = image.channel(*channel) else { continue };
        let mut text = values_words(values);
        let corrected = read_out.source.as_ref().map(|s| &s.corrected);
        let corrected = corrected.and_then(|all| all.iter().find(|(c, _)| c == channel));
        if let Some((_, values)) = corrected {
            text.push_str(&format!(" → {}", values_words(values)));
        }
        ui.spacing_mut().item_spacing.x = 4.0;
        let name = if image.is_rgb() { "RGB" } else { view.name.as_str() };
        let name = RichText::new(name).color(p.secondary);
        let galley =
            egui::WidgetText::from(name).into_galley(ui, Some(TextWrapMode::Extend), f32::INFINITY, TextStyle::Small);
        let width = if values.len() > 1 { 80.0 } else { 40.0 };
        let (width, hint) = match corrected {
            Some(_) => (2.0 * width + 8.0, "The stored value, and what it is with the illumination evened out"),
            None => (width, "The stored value"),
        };
        if ui.available_width() < galley.size().x + width + 8.0 {
            return;
        }
        ui.label(galley);
        fixed_label_ui(ui, width, RichText::new(text).color(p.text)).on_hover_text(hint);
        ui.add_space(4.0);
    }
}

/// One value, or three of a colour image.
fn values_words(values: &[f64]) -> String {
    values.iter().map(|v| value_words(*v)).collect::<Vec<_>>().join(", ")
}

/// A value of a file: whole numbers whole.
fn value_words(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 1e15 {
        words::grouped(value as i128)
    } else {
        words::significant(value, 5)
    }
}

fn zoom_ui(ui: &mut Ui, image: &OpenImage) {
    let text = match image.magnification(&image.camera) {
        Some(times) => words::magnification(times),
        None => words::percent(image.camera.zoom),
    };
    let per_px = format!("{} screen pixels an image pixel", words::significant(image.camera.zoom, 3));
    ui.add(Label::new(text).extend()).on_hover_text(per_px);
}

fn problems_ui(ui: &mut Ui, session: &Session) {
    let n = session.problems().len();
    if n > 0 {
        let warning = palette(ui.visuals()).warning;
        let text = format!("{} {n} problem{}", icons::WARNING, if n == 1 { "" } else { "s" });
        ui.add(Label::new(RichText::new(text).color(warning)).extend()).on_hover_text("See the list at the left");
    }
}

/// What, how far, how long still, cancel; placed from the right.
fn job_ui(ui: &mut Ui, job: &Job, now_secs: f64, commands: &mut Vec<Command>) {
    let p = palette(ui.visuals());
    let share = (job.total > 0).then(|| job.done as f32 / job.total as f32);
    ui.spacing_mut().item_spacing.x = 8.0;
    if quiet_icon_ui(ui, icons::CLOSE, &format!("Cancel {}", job.title.to_lowercase())).clicked() {
        commands.push(Command::CancelJob(job.id));
    }
    let text = words::how_far(share, job.secs_left(now_secs));
    fixed_label_ui(ui, 88.0, text);
    progress_ui(ui, 96.0, share, job.title);
    ui.add(Label::new(RichText::new(job.title).color(p.text)).extend());
    ui.spacing_mut().item_spacing.x = 16.0;
}

fn memory_ui(ui: &mut Ui, memory: Memory) {
    let text = format!("Memory {}", words::bytes(memory.engine.heap_bytes));
    ui.add(Label::new(text).extend()).on_hover_ui(|ui| {
        let rows = [
            ("Program", memory.engine.heap_bytes, "what only this program can use"),
            ("Mapped files", memory.engine.mapped_bytes, "the system takes it back when others need it"),
            ("Graphics memory", memory.gpu_bytes, "pictures that are on the screen or near it"),
            ("On the disk", memory.engine.disk_bytes, "prepared images, so that they open at once next time"),
        ];
        egui::Grid::new("memory").num_columns(3).spacing([16.0, 4.0]).show(ui, |ui| {
            for (name, bytes, what) in rows {
                ui.label(name);
                ui.label(words::bytes(bytes));
                ui.weak(what);
                ui.end_row();
            }
        });
    });
}
