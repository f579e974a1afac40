//! The channels: which are on, in which colour, from which value to which.

use super::histogram::histogram_ui;
use crate::app::theme::{self, palette};
use crate::app::widgets::{check_ui, note_ui, quiet_button_ui, quiet_icon_ui, section_ui};
use crate::app::{icons, words};
use crate::engine::Window;
use crate::session::{ChannelView, Command, OpenImage, Session};
use egui::{Align, DragValue, Label, Layout, RichText, Ui, vec2};

/// The panel.
pub fn channels_ui(ui: &mut Ui, session: &Session, commands: &mut Vec<Command>) {
    let Some(image) = session.current() else {
        note_ui(ui, "Open an image to see its channels");
        return;
    };
    if image.is_rgb() {
        brightness_ui(ui, image, commands);
    } else {
        for (place, channel) in image.channels.iter().enumerate() {
            channel_ui(ui, image, place, channel, commands);
            ui.add_space(theme::GAP);
        }
    }
    planes_ui(ui, image, commands);
}

/// What goes beside the tabs: ranges for all channels at once. Placed from the right.
pub fn ranges_ui(ui: &mut Ui, image: &OpenImage, commands: &mut Vec<Command>) {
    let full = if image.is_rgb() { "The colours as they are in the file" } else { "The full range for all channels" };
    ui.spacing_mut().item_spacing.x = 4.0;
    if quiet_button_ui(ui, "Full").on_hover_text(full).clicked() {
        commands.push(Command::FullWindow(None));
    }
    let auto = "A range that suits the data, for all channels";
    if !image.is_rgb() && quiet_button_ui(ui, "Auto").on_hover_text(auto).clicked() {
        commands.push(Command::AutoWindow(None));
    }
}

fn brightness_ui(ui: &mut Ui, image: &OpenImage, commands: &mut Vec<Command>) {
    let Some(channel) = image.channels.first() else { return };
    ui.horizontal(|ui| {
        ui.label("Brightness");
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| range_ui(ui, channel, commands));
    });
    if let Some(window) = histogram_ui(ui, channel) {
        commands.push(Command::SetWindow(channel.index, window));
    }
}

fn channel_ui(ui: &mut Ui, image: &OpenImage, place: usize, channel: &ChannelView, commands: &mut Vec<Command>) {
    let p = palette(ui.visuals());
    let name = &channel.name;
    ui.horizontal(|ui| {
        let key = if place < 9 { format!(" ({})", place + 1) } else { String::new() };
        if check_ui(ui, channel.visible, &format!("Show {name}"), &format!("Show {name}{key}")) {
            commands.push(Command::SetChannelVisible(channel.index, !channel.visible));
        }
        color_ui(ui, channel, commands);
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            ui.spacing_mut().item_spacing.x = 2.0;
            more_ui(ui, image, channel, commands);
            if !channel.waits() {
                range_ui(ui, channel, commands);
            }
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                ui.add_space(4.0);
                let color = if channel.visible { p.text } else { p.secondary };
                ui.add(Label::new(RichText::new(name).color(color)).truncate()).on_hover_text(name);
            });
        });
    });
    if channel.visible
        && let Some(window) = histogram_ui(ui, channel)
    {
        commands.push(Command::SetWindow(channel.index, window));
    }
}

fn color_ui(ui: &mut Ui, channel: &ChannelView, commands: &mut Vec<Command>) {
    let mut color = channel.color;
    let name = format!("Colour of {}", channel.name);
    ui.scope(|ui| {
        ui.spacing_mut().interact_size = vec2(16.0, 16.0);
        ui.spacing_mut().button_padding = vec2(0.0, 0.0);
        if ui.color_edit_button_srgb(&mut color).on_hover_text(&name).accessible_name(&name).changed() {
            commands.push(Command::SetColor(channel.index, color));
        }
    });
}

/// The two ends of the range as numbers to drag or type, in the file's units. Placed from the right.
fn range_ui(ui: &mut Ui, channel: &ChannelView, commands: &mut Vec<Command>) {
    let secondary = palette(ui.visuals()).secondary;
    let Window { min, max } = channel.window;
    let (mut low, mut high) = (f64::from(min), f64::from(max));
    let speed = f64::from(channel.full_range.min(max * 2.0 + 64.0)) / 400.0;
    ui.scope(|ui| {
        let quiet = &mut ui.visuals_mut().widgets.inactive;
        quiet.weak_bg_fill = egui::Color32::TRANSPARENT;
        ui.spacing_mut().button_padding = vec2(3.0, 0.0);
        ui.spacing_mut().interact_size = vec2(16.0, 20.0);
        ui.spacing_mut().item_spacing.x = 0.0;
        let high_changed = number_ui(ui, channel, &mut high, speed, "Maximum");
        ui.add_space(3.0);
        ui.label(RichText::new("–").color(secondary));
        let low_changed = number_ui(ui, channel, &mut low, speed, "Minimum");
        if low_changed || high_changed {
            let window = Window { min: low as f32, max: high as f32 };
            commands.push(Command::SetWindow(channel.index, window));
        }
    });
}

fn number_ui(ui: &mut Ui, channel: &ChannelView, stored: &mut f64, speed: f64, which: &str) -> bool {
    let coding = channel.coding();
    let name = format!("{which} of {}", channel.name);
    let whole = coding.scale == 1.0;
    let field = DragValue::new(stored)
        .speed(speed)
        .range(0.0..=f64::from(channel.full_range))
        .custom_formatter(move |stored, _| {
            let value = coding.value(stored);
            if whole { words::decimal(value.round(), 0) } else { words::significant(value, 5) }
        })
        .custom_parser(move |text| words::parse_number(text).map(|value| coding.stored(value)));
    ui.add(field).on_hover_text(format!("{name}: drag it, or click and type")).accessible_name(&name).changed()
}

fn more_ui(ui: &mut Ui, image: &OpenImage, channel: &ChannelView, commands: &mut Vec<Command>) {
    let button = quiet_icon_ui(ui, icons::MORE, &format!("More for {}", channel.name));
    egui::Popup::menu(&button).show(|ui| {
        ui.set_min_width(160.0);
        if ui.button("Automatic range").clicked() {
            commands.push(Command::AutoWindow(Some(channel.index)));
        }
        if ui.button("Full range").clicked() {
            commands.push(Command::FullWindow(Some(channel.index)));
        }
        ui.separator();
        if ui.button("Only this channel").clicked() {
            let others = image.channels.iter().map(|c| Command::SetChannelVisible(c.index, c.index == channel.index));
            commands.extend(others);
        }
        if ui.button("All channels").clicked() {
            commands.extend(image.channels.iter().map(|c| Command::SetChannelVisible(c.index, true)));
        }
    });
}

/// Focus position and time point, where there is more than one.
fn planes_ui(ui: &mut Ui, image: &OpenImage, commands: &mut Vec<Command>) {
    let info = image.info();
    for (name, now, count, command) in [
        ("Focus position", image.z, info.z_count, Command::SetFocus as fn(u16) -> Command),
        ("Time point", image.t, info.t_count, Command::SetTime),
    ] {
        if count <= 1 {
            continue;
        }
        ui.add_space(theme::GAP);
        section_ui(ui, name, |ui| {
            ui.label(format!("{} of {count}", now + 1));
        });
        let mut place = now + 1;
        ui.spacing_mut().slider_width = ui.available_width();
        let slider = egui::Slider::new(&mut place, 1..=count).show_value(false);
        if ui.add(slider).accessible_name(name).changed() {
            commands.push(command(place - 1));
        }
    }
}
