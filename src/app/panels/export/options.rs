//! What can be chosen about an export: its region, its channels, how it is packed, how large it is.

use crate::app::theme::{self, palette};
use crate::app::widgets::{labelled_check_ui, quiet_button_ui, section_ui, segments_ui, short_list, small_note_ui};
use crate::app::words;
use crate::geom::PixelRect;
use crate::session::{
    Compression, ExportChoices, ExportCommand, ExportPanel, ExportPreset, ExportWhat, OpenImage, PictureFormat,
    PictureSize, Session,
};
use egui::{Align, ComboBox, DragValue, Label, Layout, RichText, Ui};

/// The width of a print that is proposed, millimetres: a page of a journal.
const PRINT_WIDTH_MM: f64 = 180.0;
/// Dots an inch that are proposed: what journals ask of pictures.
const PRINT_DPI: f64 = 300.0;
/// The list of metadata is no higher than this, points.
const METADATA_HEIGHT: f32 = 120.0;
/// The list of channels is no higher than this, points.
const CHANNELS_HEIGHT: f32 = 180.0;

/// The region: numbers, and two buttons for what it is most often.
pub fn region_ui(ui: &mut Ui, panel: &ExportPanel, image: &OpenImage, push: &mut dyn FnMut(ExportCommand)) {
    let r = panel.region;
    section_ui(ui, "Region", |ui| {
        ui.spacing_mut().item_spacing.x = 4.0;
        if quiet_button_ui(ui, "All").on_hover_text("The whole image").clicked() {
            push(ExportCommand::SetRegion(image.whole()));
        }
        if quiet_button_ui(ui, "View").on_hover_text("What is on the screen now").clicked() {
            push(ExportCommand::RegionOfView);
        }
    });
    let whole = image.whole();
    // Places count from the corner of what is there, as in the status bar and on the command line.
    let mut numbers = [r.x.saturating_sub(whole.x), r.y.saturating_sub(whole.y), r.width, r.height];
    let names = [("Left", "Left edge of the region"), ("Top", "Top edge of the region")];
    let more = [("Width", "Width of the region"), ("Height", "Height of the region")];
    let mut changed = false;
    for row in 0..2 {
        ui.horizontal(|ui| {
            // Two columns of a label and a number, as wide as there is room for.
            let half = ((ui.available_width() - theme::GAP) / 2.0).max(80.0);
            for (column, (label, name)) in [names[row], more[row]].into_iter().enumerate() {
                let most = if row == 0 { whole.width } else { whole.height };
                let field = DragValue::new(&mut numbers[row + 2 * column])
                    .range(u32::from(column > 0)..=most)
                    .speed(f64::from(most) / 800.0)
                    .custom_formatter(|v, _| words::grouped(v as i128))
                    .custom_parser(words::parse_number);
                let room = egui::vec2(half, theme::CONTROL);
                ui.allocate_ui_with_layout(room, Layout::right_to_left(Align::Center), |ui| {
                    let response = ui.add_sized([80.0, theme::CONTROL], field);
                    changed |= response.on_hover_text(format!("{name}, px")).accessible_name(name).changed();
                    ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                        ui.label(RichText::new(label).color(palette(ui.visuals()).secondary));
                    });
                });
            }
        });
    }
    if changed {
        let [x, y, w, h] = numbers;
        push(ExportCommand::SetRegion(PixelRect::new(whole.x + x, whole.y + y, w, h)));
    }
    let extent = image.um_per_px.map(|[x, y]| {
        let (w, h) = (f64::from(r.width) * x / 1000.0, f64::from(r.height) * y / 1000.0);
        format!("{} × {}{}mm. ", words::significant(w, 3), words::significant(h, 3), words::THIN)
    });
    small_note_ui(ui, &format!("{}Drag the frame on the image", extent.unwrap_or_default()));
}

/// Channels, packing, and what goes along.
pub fn samples_ui(
    ui: &mut Ui,
    panel: &ExportPanel,
    image: &OpenImage,
    choices: &ExportChoices,
    push: &mut dyn FnMut(ExportCommand),
) {
    if image.channels.len() > 1 {
        channels_ui(ui, panel, image, push);
        ui.add_space(theme::GAP);
    }
    let is_8_bit = image.channels.iter().all(|c| c.format != crate::pixels::TileFormat::Gray16);
    ui.horizontal(|ui| {
        ui.label("Compression");
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let (now, _) = compression_words(choices.compression);
            let response = ComboBox::from_id_salt("compression").selected_text(now).width(128.0).show_ui(ui, |ui| {
                ui.set_min_width(264.0);
                for compression in Compression::ALL {
                    let (name, what) = compression_words(compression);
                    let possible = compression != Compression::Jpeg || (is_8_bit && choices.preset.is_ome());
                    let label = egui::Button::selectable(choices.compression == compression, name)
                        .shortcut_text(RichText::new(what).color(palette(ui.visuals()).secondary));
                    if ui.add_enabled(possible, label).clicked() {
                        push(ExportCommand::Choose(ExportChoices { compression, ..choices.clone() }));
                    }
                }
            });
            response.response.accessible_name("Compression");
        });
    });
    if choices.compression == Compression::Jpeg && is_8_bit {
        quality_ui(ui, choices, push);
    }
    if image.mosaic.is_some() {
        let on = choices.even_illumination;
        if labelled_check_ui(ui, on, "Even illumination", "Write values with the illumination evened out") {
            push(ExportCommand::Choose(ExportChoices { even_illumination: !on, ..choices.clone() }));
        }
        if on {
            small_note_ui(ui, "Where the light is known, values are corrected; the file says which");
        }
    }
    if choices.preset.is_ome() {
        metadata_ui(ui, image, choices, push);
    }
}

/// A compression's name and what it is good for.
fn compression_words(compression: Compression) -> (&'static str, &'static str) {
    match compression {
        Compression::Deflate => ("Deflate", "lossless, opens everywhere"),
        Compression::Zstd => ("Zstd", "lossless, fastest"),
        Compression::Lzw => ("LZW", "lossless, for old programs"),
        Compression::Jpeg => ("JPEG", "lossy, small"),
        Compression::None => ("None", "fast, large"),
    }
}

fn channels_ui(ui: &mut Ui, panel: &ExportPanel, image: &OpenImage, push: &mut dyn FnMut(ExportCommand)) {
    let chosen = panel.channels(image).len();
    section_ui(ui, "Channels", |ui| {
        let text = format!("{chosen} of {}", image.channels.len());
        ui.label(RichText::new(text).color(palette(ui.visuals()).secondary));
    });
    short_list("export channels", CHANNELS_HEIGHT).show(ui, |ui| {
        for channel in image.channels.iter().filter(|c| c.round_shown) {
            let on = !panel.left_out.contains(&channel.index);
            let name = format!("Export {}", channel.name);
            if labelled_check_ui(ui, on, &channel.name, &name) {
                push(ExportCommand::ToggleChannel(channel.index));
            }
        }
    });
}

fn quality_ui(ui: &mut Ui, choices: &ExportChoices, push: &mut dyn FnMut(ExportCommand)) {
    let mut quality = choices.quality;
    ui.horizontal(|ui| {
        ui.label("Quality");
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            ui.spacing_mut().slider_width = 112.0;
            let slider = egui::Slider::new(&mut quality, 1..=100);
            if ui.add(slider).accessible_name("Quality of JPEG").changed() {
                push(ExportCommand::Choose(ExportChoices { quality, ..choices.clone() }));
            }
        });
    });
}

fn metadata_ui(ui: &mut Ui, image: &OpenImage, choices: &ExportChoices, push: &mut dyn FnMut(ExportCommand)) {
    let on = choices.original_metadata;
    if labelled_check_ui(ui, on, "Include original metadata", "Include original metadata") {
        push(ExportCommand::Choose(ExportChoices { original_metadata: !on, ..choices.clone() }));
    }
    let fields = &image.set.metadata;
    if !on {
        small_note_ui(ui, "Names, identifiers, dates and comments stay behind");
        return;
    }
    let name = &image.info().name;
    let named = (!name.is_empty()).then(|| ("Name".to_owned(), name.clone()));
    let pictures = image.set.associated.iter().map(|picture| {
        let size = words::size(picture.size.width, picture.size.height);
        (words::sentence(&picture.name), format!("a picture of {size}"))
    });
    let listed: Vec<(String, String)> =
        named.into_iter().chain(pictures).chain(fields.iter().map(|(k, v)| (k.clone(), v.clone()))).collect();
    if listed.is_empty() {
        small_note_ui(ui, "The file brings none");
        return;
    }
    small_note_ui(ui, "These go into the file. They may name a patient:");
    let frame = egui::Frame::new().fill(palette(ui.visuals()).sunken).corner_radius(4.0).inner_margin(8.0);
    frame.show(ui, |ui| {
        ui.set_width(ui.available_width());
        short_list("export metadata", METADATA_HEIGHT).show(ui, |ui| {
            for (key, value) in &listed {
                let text = RichText::new(format!("{key}: {}", words::with_micro(value))).small();
                ui.add(Label::new(text).truncate()).on_hover_text(value);
            }
        });
    });
}

/// Format and size of a picture, and what is painted over it.
pub fn picture_ui(
    ui: &mut Ui,
    session: &Session,
    image: &OpenImage,
    choices: &ExportChoices,
    push: &mut dyn FnMut(ExportCommand),
) {
    ui.horizontal(|ui| {
        ui.label("Format");
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let labels = PictureFormat::ALL.map(|f| {
                let (name, what) = format_words(f);
                (name.to_owned(), what.to_owned())
            });
            let now = PictureFormat::ALL.iter().position(|f| *f == choices.picture);
            if let Some(n) = segments_ui(ui, &labels, now) {
                push(ExportCommand::Choose(ExportChoices { picture: PictureFormat::ALL[n], ..choices.clone() }));
            }
        });
    });
    if choices.picture == PictureFormat::Jpeg {
        quality_ui(ui, choices, push);
    }
    size_ui(ui, session, choices, push);
    if labelled_check_ui(ui, choices.scale_bar, "Scale bar", "Paint a scale bar") {
        push(ExportCommand::Choose(ExportChoices { scale_bar: !choices.scale_bar, ..choices.clone() }));
    }
    if image.mosaic.is_some()
        && labelled_check_ui(ui, choices.outlines, "Outlines of the fields", "Paint the outlines of the fields")
    {
        push(ExportCommand::Choose(ExportChoices { outlines: !choices.outlines, ..choices.clone() }));
    }
}

fn format_words(format: PictureFormat) -> (&'static str, &'static str) {
    match format {
        PictureFormat::Png => ("PNG", "Lossless, for documents"),
        PictureFormat::Jpeg => ("JPEG", "Small, for mail and slides"),
        PictureFormat::Tiff => ("TIFF", "Lossless, for printers"),
    }
}

fn size_ui(ui: &mut Ui, session: &Session, choices: &ExportChoices, push: &mut dyn FnMut(ExportCommand)) {
    let size = choices.picture_size();
    let of_view = choices.preset == ExportPreset::ViewPicture;
    ui.horizontal(|ui| {
        ui.label("Size");
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let scaled = if of_view { "So many pixels a screen pixel" } else { "So many pixels an image pixel" };
            let labels = [
                ("Scale".to_owned(), scaled.to_owned()),
                ("Print".to_owned(), "So wide on paper, at so many dots an inch".to_owned()),
            ];
            let now = usize::from(matches!(size, PictureSize::Print { .. }));
            let clicked = segments_ui(ui, &labels, Some(now)).filter(|n| *n != now);
            if let Some(n) = clicked {
                let size = if n == 0 {
                    PictureSize::Scale(1.0)
                } else {
                    PictureSize::Print { width_mm: PRINT_WIDTH_MM, dpi: PRINT_DPI }
                };
                push(ExportCommand::Choose(choices.clone().with_picture_size(size)));
            }
        });
    });
    let mut changed = None;
    ui.horizontal(|ui| {
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            match size {
                PictureSize::Scale(scale) => {
                    let mut percent = scale * 100.0;
                    if number_ui(ui, &mut percent, 1.0, "%", "Scale of the picture") {
                        changed = Some(PictureSize::Scale(percent / 100.0));
                    }
                }
                PictureSize::Print { mut width_mm, mut dpi } => {
                    let finer = number_ui(ui, &mut dpi, 2.0, "dpi", "Dots an inch");
                    let wider = number_ui(ui, &mut width_mm, 1.0, "mm", "Width on paper");
                    if finer || wider {
                        changed = Some(PictureSize::Print { width_mm, dpi });
                    }
                }
            }
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                if let Some(ExportWhat::Picture(picture)) = session.export_plan().map(|p| p.what) {
                    let text = words::size(picture.size.width, picture.size.height);
                    let text = RichText::new(text).small().color(palette(ui.visuals()).secondary);
                    ui.add(Label::new(text).truncate());
                }
            });
        });
    });
    if let Some(size) = changed {
        push(ExportCommand::Choose(choices.clone().with_picture_size(size)));
    }
}

fn number_ui(ui: &mut Ui, value: &mut f64, speed: f64, unit: &str, name: &str) -> bool {
    let field = DragValue::new(value)
        .speed(speed)
        .suffix(format!("{}{unit}", words::THIN))
        .custom_formatter(|v, _| words::significant(v, 5))
        .custom_parser(|text| words::parse_number(text.trim_end_matches(|c: char| c.is_alphabetic())));
    ui.add(field.min_size(egui::vec2(72.0, theme::CONTROL))).on_hover_text(name).accessible_name(name).changed()
}
