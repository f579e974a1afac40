//! Setting the pixel size: typed, or from a line drawn along a known length.

use crate::app::theme::palette;
use crate::app::widgets::note_ui;
use crate::app::words;
use crate::geom::Point;
use crate::session::{Command, OpenImage, PixelSizeTool, Session, is_pixel_size};
use egui::{RichText, TextEdit, Ui};

/// What is being typed.
#[derive(Debug, Default)]
pub struct PixelSizeDraft {
    /// Micrometres a pixel across.
    across: String,
    /// Micrometres a pixel down, where it differs.
    down: String,
    /// The known length in micrometres.
    length: String,
    /// Whether the fields were filled for this opening of the tool.
    filled: bool,
}

/// The panel over the canvas, while the tool is open.
pub fn pixel_size_ui(
    ctx: &egui::Context,
    canvas: egui::Rect,
    session: &Session,
    draft: &mut PixelSizeDraft,
    commands: &mut Vec<Command>,
) {
    let (tool, Some(image)) = (session.pixel_size_tool(), session.current()) else { return };
    if tool == PixelSizeTool::Closed {
        *draft = PixelSizeDraft::default();
        return;
    }
    egui::Window::new("Pixel size")
        .title_bar(false)
        .resizable(false)
        .pivot(egui::Align2::CENTER_TOP)
        .fixed_pos(canvas.center_top() + egui::vec2(0.0, 16.0))
        .show(ctx, |ui| {
            ui.set_width(280.0);
            ui.heading("Pixel size");
            ui.add_space(4.0);
            match tool {
                PixelSizeTool::Typing => typing_ui(ui, image, draft, commands),
                PixelSizeTool::Drawing(line) => drawing_ui(ui, image, line, draft, commands),
                PixelSizeTool::Closed => {}
            }
        });
}

fn typing_ui(ui: &mut Ui, image: &OpenImage, draft: &mut PixelSizeDraft, commands: &mut Vec<Command>) {
    let first = !std::mem::replace(&mut draft.filled, true);
    if first && let Some([x, y]) = image.um_per_px {
        draft.across = words::significant(x, 6);
        draft.down = if (x - y).abs() > x * 1e-6 { words::significant(y, 6) } else { String::new() };
    }
    let across = field_ui(ui, "Width of a pixel", "Width of a pixel in micrometres", &mut draft.across, "0.25");
    if first {
        across.request_focus();
    }
    field_ui(ui, "Height, if different", "Height of a pixel in micrometres", &mut draft.down, "the same");
    let across = words::parse_number(&draft.across);
    let down = if draft.down.trim().is_empty() { across } else { words::parse_number(&draft.down) };
    let size = across.zip(down).map(|(x, y)| [x, y]).filter(|s| is_pixel_size(*s));
    if size.is_none() && !draft.across.trim().is_empty() {
        complain_ui(ui, "A number between 0.0001 and 1 000 000 is needed");
    }
    ui.add_space(4.0);
    ui.horizontal(|ui| {
        buttons_ui(ui, size, commands);
        if ui.button("Draw instead").on_hover_text("Draw a line along a known length").clicked() {
            commands.push(Command::PixelSizeTool(PixelSizeTool::Drawing(None)));
        }
    });
}

fn drawing_ui(
    ui: &mut Ui,
    image: &OpenImage,
    line: Option<(Point, Point)>,
    draft: &mut PixelSizeDraft,
    commands: &mut Vec<Command>,
) {
    let Some((from, to)) = line else {
        note_ui(ui, "Drag along something whose length you know, such as a printed scale bar");
        ui.add_space(4.0);
        ui.horizontal(|ui| {
            buttons_ui(ui, None, commands);
            if ui.button("Type instead").clicked() {
                commands.push(Command::PixelSizeTool(PixelSizeTool::Typing));
            }
        });
        return;
    };
    // Lengths are measured in the image's proportions: down counts as much as its pixels are taller.
    let aspect = image.camera.pixel_aspect;
    let length_px = (to.x - from.x).hypot((to.y - from.y) * aspect);
    field_ui(ui, "Its length", "Known length in micrometres", &mut draft.length, "100");
    ui.label(RichText::new(format!("{} px long", words::decimal(length_px, 1))).color(palette(ui.visuals()).secondary));
    let size = words::parse_number(&draft.length).map(|um| [um / length_px, um / length_px * aspect]);
    let size = size.filter(|s| length_px >= 1.0 && is_pixel_size(*s));
    if let Some(size) = size {
        ui.label(format!("A pixel is {}", words::pixel_size(size)));
    }
    ui.add_space(4.0);
    ui.horizontal(|ui| buttons_ui(ui, size, commands));
}

fn field_ui(ui: &mut Ui, label: &str, name: &str, text: &mut String, hint: &str) -> egui::Response {
    ui.horizontal(|ui| {
        crate::app::widgets::fixed_label_ui(ui, 128.0, label);
        let field =
            TextEdit::singleline(text).hint_text(hint).desired_width(88.0).margin(egui::Margin::symmetric(8, 4));
        let response = ui.add(field).accessible_name(name);
        ui.label("µm");
        response
    })
    .inner
}

fn complain_ui(ui: &mut Ui, text: &str) {
    let error = palette(ui.visuals()).error;
    ui.label(RichText::new(text).small().color(error));
}

fn buttons_ui(ui: &mut Ui, size: Option<[f64; 2]>, commands: &mut Vec<Command>) {
    let enter = ui.input(|i| i.key_pressed(egui::Key::Enter));
    let set = ui.add_enabled(size.is_some(), egui::Button::new("Set"));
    if (set.clicked() || enter)
        && let Some(size) = size
    {
        commands.push(Command::SetPixelSize(size));
    }
    if ui.button("Cancel").clicked() {
        commands.push(Command::PixelSizeTool(PixelSizeTool::Closed));
    }
}
