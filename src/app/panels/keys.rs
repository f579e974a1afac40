//! The list of keys.

use crate::app::shortcuts::{Action, GESTURES, Group, TABLE, key_words};
use crate::app::theme::palette;
use crate::app::widgets::short_list;
use crate::session::{Command, Session};
use egui::{RichText, Ui};

/// The list, over everything, while it is asked for.
pub fn keys_ui(ctx: &egui::Context, session: &Session, commands: &mut Vec<Command>) {
    if !session.keys_shown() {
        return;
    }
    let frame = egui::Frame::window(&ctx.global_style()).inner_margin(24.0);
    let modal = egui::Modal::new(egui::Id::unique("keys")).frame(frame).show(ctx, |ui| {
        ui.set_width(660.0_f32.min(ui.ctx().content_rect().width() - 64.0));
        ui.heading("Keys");
        ui.add_space(8.0);
        let height = ui.ctx().content_rect().height() - 160.0;
        short_list("keys", height.max(120.0)).show(ui, |ui| {
            ui.columns(2, |columns| {
                group_ui(&mut columns[0], Group::File);
                group_ui(&mut columns[0], Group::Mosaic);
                group_ui(&mut columns[0], Group::Window);
                group_ui(&mut columns[1], Group::View);
                group_ui(&mut columns[1], Group::Image);
                gestures_ui(&mut columns[1]);
            });
        });
        ui.add_space(8.0);
        ui.button("Close").clicked()
    });
    if modal.inner || modal.should_close() {
        commands.push(Command::ToggleKeys);
    }
}

fn group_ui(ui: &mut Ui, group: Group) {
    title_ui(ui, group.words());
    let mac = ui.ctx().os().is_mac();
    for shortcut in TABLE.iter().filter(|s| s.group == group) {
        let Some(&(modifiers, key)) = shortcut.keys.first() else { continue };
        match shortcut.action {
            // Nine lines of the table are one line here.
            Action::ToggleChannel(0) => row_ui(ui, "1 – 9", "Channel on or off"),
            Action::ToggleChannel(_) => {}
            _ => row_ui(ui, &key_words(modifiers, key, mac), shortcut.words.trim_end_matches('…')),
        }
    }
    ui.add_space(12.0);
}

fn gestures_ui(ui: &mut Ui) {
    title_ui(ui, "Mouse and touchpad");
    for (gesture, what) in GESTURES {
        let secondary = palette(ui.visuals()).secondary;
        ui.label(*what);
        ui.label(RichText::new(*gesture).small().color(secondary));
        ui.add_space(3.0);
    }
}

fn title_ui(ui: &mut Ui, text: &str) {
    let secondary = palette(ui.visuals()).secondary;
    ui.label(RichText::new(text).color(secondary));
}

fn row_ui(ui: &mut Ui, keys: &str, what: &str) {
    ui.spacing_mut().interact_size.y = 17.0;
    ui.spacing_mut().item_spacing.y = 3.0;
    ui.horizontal(|ui| {
        crate::app::widgets::fixed_label_ui(ui, 96.0, keys);
        ui.label(what);
    });
}
