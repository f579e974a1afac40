//! The few controls that several panels share.

use super::theme::{self, palette};
use super::words;
use egui::{
    Align, Button, Color32, CornerRadius, Label, Layout, Rect, Response, RichText, ScrollArea, Sense, Stroke, Ui,
    UiBuilder, Vec2, WidgetText, vec2,
};

/// The title of a section, with an optional note at the right.
pub fn section_ui(ui: &mut Ui, title: &str, right: impl FnOnce(&mut Ui)) {
    let secondary = palette(ui.visuals()).secondary;
    ui.horizontal(|ui| {
        ui.label(RichText::new(title).color(secondary));
        ui.with_layout(Layout::right_to_left(Align::Center), right);
    });
}

/// What is in a side panel, as far as it fits: the bar lies in the panel's margin.
pub fn scrolled_ui(ui: &mut Ui, content: impl FnOnce(&mut Ui)) {
    let rect = ui.available_rect_before_wrap();
    let with_margin = Rect::from_min_max(rect.min, rect.max + vec2(f32::from(theme::PANEL_MARGIN), 0.0));
    // A child that the panel does not measure: one that is wider than its content would widen it in every frame.
    let mut child = ui.new_child(UiBuilder::new().max_rect(with_margin));
    ScrollArea::vertical().auto_shrink([false, false]).content_margin(theme::BAR_ROOM).show(&mut child, content);
    ui.advance_cursor_after_rect(rect);
}

/// A list that scrolls from so many points of height on.
pub fn short_list(id: &str, height: f32) -> ScrollArea {
    let list = ScrollArea::vertical().id_salt(id).max_height(height);
    list.auto_shrink([false, true]).content_margin(theme::BAR_ROOM)
}

/// A name and its value on one line.
pub fn value_row_ui(ui: &mut Ui, name: &str, value: impl Into<String>) -> Response {
    let p = palette(ui.visuals());
    let value = value.into();
    let height = std::mem::replace(&mut ui.spacing_mut().interact_size.y, 18.0);
    let response = ui.horizontal(|ui| {
        ui.label(RichText::new(name).color(p.secondary));
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            ui.add(Label::new(RichText::new(&value).color(p.text)).truncate()).on_hover_text(&value)
        })
        .inner
    });
    ui.spacing_mut().interact_size.y = height;
    response.inner
}

/// A box with a tick: filled where it is on, so that it is seen at a glance.
pub fn check_ui(ui: &mut Ui, on: bool, name: &str, hint: &str) -> bool {
    let p = palette(ui.visuals());
    let (rect, response) = ui.allocate_exact_size(Vec2::splat(16.0), Sense::click());
    let (fill, border) = match (on, response.hovered() || response.has_focus()) {
        (true, _) => (p.accent, p.accent),
        (false, true) => (p.hovered, p.secondary),
        (false, false) => (p.raised, p.line),
    };
    ui.painter().rect(rect, 3.0, fill, Stroke::new(1.0, border), egui::StrokeKind::Inside);
    if on {
        let at = |x: f32, y: f32| rect.min + vec2(x, y);
        let tick = vec![at(4.0, 8.4), at(7.0, 11.2), at(12.0, 5.2)];
        ui.painter().line(tick, Stroke::new(1.6, p.on_accent));
    }
    if response.has_focus() {
        ui.painter().rect_stroke(rect.expand(2.0), 4.0, Stroke::new(1.0, p.accent), egui::StrokeKind::Outside);
    }
    response.widget_info(|| egui::WidgetInfo::selected(egui::Role::CheckBox, true, on, name));
    response.on_hover_text(hint).clicked()
}

/// A choice of several: a ring, filled where it is chosen, its title, and what it is for in a smaller line below.
pub fn choice_ui(ui: &mut Ui, on: bool, title: &str, purpose: &str) -> Response {
    let p = palette(ui.visuals());
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 36.0), Sense::click());
    let strong = response.hovered() || response.has_focus();
    let center = rect.min + vec2(8.0, 9.0);
    let ring = if on || strong { p.accent } else { p.secondary };
    ui.painter().circle(center, 7.0, if strong { p.hovered } else { p.raised }, Stroke::new(1.0, ring));
    if on {
        ui.painter().circle_filled(center, 4.0, p.accent);
    }
    let text = Rect::from_min_max(rect.min + vec2(24.0, 0.0), rect.max);
    let mut words = ui.new_child(UiBuilder::new().max_rect(text).layout(Layout::top_down(Align::Min)));
    words.spacing_mut().item_spacing.y = 1.0;
    words.style_mut().interaction.selectable_labels = false;
    words.add(Label::new(title).truncate());
    words.add(Label::new(RichText::new(purpose).small().color(p.secondary)).truncate());
    response.widget_info(|| egui::WidgetInfo::selected(egui::Role::RadioButton, true, on, title));
    response
}

/// A box with a tick and its label; a click on either changes it.
pub fn labelled_check_ui(ui: &mut Ui, on: bool, label: &str, name: &str) -> bool {
    ui.horizontal(|ui| {
        let ticked = check_ui(ui, on, name, name);
        let label = Label::new(label).truncate().selectable(false).sense(Sense::click());
        ui.add(label).clicked() | ticked
    })
    .inner
}

/// A smaller line of less weight, over as many lines as it needs.
pub fn small_note_ui(ui: &mut Ui, text: &str) -> Response {
    let secondary = palette(ui.visuals()).secondary;
    ui.add(Label::new(RichText::new(text).small().color(secondary)).wrap())
}

/// A sentence in place of what is not there.
pub fn note_ui(ui: &mut Ui, text: &str) {
    let secondary = palette(ui.visuals()).secondary;
    ui.add(Label::new(RichText::new(text).color(secondary)).wrap());
}

/// A button that is an icon, with its name on hover and for screen readers.
pub fn icon_button_ui(ui: &mut Ui, icon: &str, name: &str) -> Response {
    let size = Vec2::splat(theme::CONTROL);
    ui.add(Button::new(icon).min_size(size)).on_hover_text(name).accessible_name(name)
}

/// An icon button without a frame until the pointer is on it.
pub fn quiet_icon_ui(ui: &mut Ui, icon: &str, name: &str) -> Response {
    let size = Vec2::splat(20.0);
    let button = Button::new(RichText::new(icon)).frame_when_inactive(false).min_size(size);
    ui.scope(|ui| {
        ui.spacing_mut().button_padding = vec2(2.0, 0.0);
        ui.add(button)
    })
    .inner
    .on_hover_text(name)
    .accessible_name(name)
}

/// A text button without a frame until the pointer is on it.
pub fn quiet_button_ui(ui: &mut Ui, text: &str) -> Response {
    ui.scope(|ui| {
        ui.spacing_mut().button_padding = vec2(6.0, 0.0);
        ui.spacing_mut().interact_size.y = 20.0;
        ui.add(Button::new(text).frame_when_inactive(false))
    })
    .inner
}

/// A row of joined buttons; the answer is the one that was clicked.
pub fn segments_ui(ui: &mut Ui, labels: &[(String, String)], chosen: Option<usize>) -> Option<usize> {
    let mut clicked = None;
    ui.scope(|ui| {
        ui.spacing_mut().item_spacing.x = 1.0;
        ui.spacing_mut().button_padding.x = 7.0;
        let last = labels.len().saturating_sub(1);
        // Inside a right-to-left row the last button is placed first.
        let order: Vec<usize> = if ui.layout().prefer_right_to_left() {
            (0..labels.len()).rev().collect()
        } else {
            (0..labels.len()).collect()
        };
        for n in order {
            let (label, name) = &labels[n];
            let (left, right) = (if n == 0 { 4 } else { 0 }, if n == last { 4 } else { 0 });
            let corner = CornerRadius { nw: left, sw: left, ne: right, se: right };
            let on = chosen == Some(n);
            let p = palette(ui.visuals());
            let text = RichText::new(label).color(if on { p.on_accent } else { p.text });
            let mut button = Button::new(text).corner_radius(corner).min_size(vec2(28.0, theme::CONTROL));
            if on {
                button = button.fill(p.accent);
            }
            if ui.add(button).on_hover_text(name).clicked() {
                clicked = Some(n);
            }
        }
    });
    clicked
}

/// A label that keeps its place whatever it says, so that its neighbours do not move.
pub fn fixed_label_ui(ui: &mut Ui, width: f32, text: impl Into<WidgetText>) -> Response {
    ui.allocate_ui_with_layout(vec2(width, ui.available_height()), Layout::left_to_right(Align::Center), |ui| {
        ui.set_min_width(width);
        ui.add(Label::new(text).extend())
    })
    .inner
}

/// A thin bar of progress; it goes to and fro while the end is not known.
pub fn progress_ui(ui: &mut Ui, width: f32, share: Option<f32>, name: &str) -> Response {
    let p = palette(ui.visuals());
    let (rect, response) = ui.allocate_exact_size(vec2(width, 4.0), Sense::hover());
    ui.painter().rect_filled(rect, 2.0, p.line);
    let (from, to) = match share {
        Some(share) => (0.0, share.clamp(0.0, 1.0)),
        None => (0.35, 0.65),
    };
    let mut bar = rect;
    bar.min.x = egui::lerp(rect.x_range(), from);
    bar.max.x = egui::lerp(rect.x_range(), to);
    ui.painter().rect_filled(bar, 2.0, p.accent);
    let label = share.map_or_else(|| name.to_owned(), |s| format!("{name}, {}", words::percent(f64::from(s))));
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::ProgressIndicator, true, &label));
    response
}

/// The colour of a channel, as dark or light as can be read on a panel.
pub fn color_of(rgb: [u8; 3]) -> Color32 {
    Color32::from_rgb(rgb[0], rgb[1], rgb[2])
}
