//! What there is to know about the image at a glance.

use crate::app::widgets::{note_ui, section_ui, value_row_ui};
use crate::app::words;
use crate::pyramid::Calibration;
use crate::session::{Command, PixelSizeTool, Session};
use egui::Ui;

/// The section.
pub fn details_ui(ui: &mut Ui, session: &Session, commands: &mut Vec<Command>) {
    let Some(image) = session.current() else { return };
    section_ui(ui, "Details", |_| {});
    let info = image.info();
    // Of a mosaic the part that holds fields: what a whole export has.
    let whole = image.whole();
    value_row_ui(ui, "Size", words::size(whole.width, whole.height));
    let by_user = image.calibration == Calibration::User;
    let pixel_size = image.um_per_px.map_or_else(|| "not known".to_owned(), words::pixel_size);
    value_row_ui(ui, if by_user { "Pixel size, set by you" } else { "Pixel size" }, pixel_size);
    if let Some([x, y]) = image.um_per_px {
        let millimetres = |px: u32, um: f64| words::significant(f64::from(px) * um / 1000.0, 3);
        let (w, h) = (millimetres(whole.width, x), millimetres(whole.height, y));
        value_row_ui(ui, "Area", format!("{w} × {h}{}mm", words::THIN));
    }
    if let Some(objective) = info.objective {
        value_row_ui(ui, "Objective", words::magnification(objective));
    }
    value_row_ui(ui, "Format", &image.set.format);
    if image.channels.first().is_some_and(|c| !c.coding().exact) {
        note_ui(ui, "16-bit preview: values are rounded on the screen, not in read-outs and exports");
    }
    if image.um_per_px.is_none() && ui.button("Set pixel size…").clicked() {
        commands.push(Command::PixelSizeTool(PixelSizeTool::Typing));
    }
}
