//! A channel's histogram with handles for what is black and what is full colour.

use crate::app::theme::palette;
use crate::app::widgets::color_of;
use crate::app::words;
use crate::engine::Window;
use crate::session::ChannelView;
use egui::{Color32, Pos2, Rect, Response, Sense, Shape, Stroke, Ui, pos2, vec2};

/// Its height, points.
const HEIGHT: f32 = 36.0;
/// How far from a handle the pointer takes hold of it, points.
const REACH: f32 = 6.0;
/// A key press moves a handle by this part of the axis.
const KEY_STEP: f32 = 0.01;

/// The histogram; the answer is a window that the user dragged.
pub fn histogram_ui(ui: &mut Ui, channel: &ChannelView) -> Option<Window> {
    let p = palette(ui.visuals());
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), HEIGHT), Sense::hover());
    ui.painter().rect_filled(rect, 2.0, p.sunken);
    let inner = rect.shrink2(vec2(4.0, 2.0));
    let axis = axis_end(channel);
    if let Some(statistics) = &channel.statistics {
        // White would not show on a light theme, and a colour image has no colour of its own.
        let pale = channel.color.iter().all(|&v| v > 200);
        let color = if pale { p.secondary } else { color_of(channel.color) };
        let color = color.gamma_multiply(if channel.visible { 0.55 } else { 0.25 });
        fill(ui, inner, &statistics.histogram, axis / (channel.full_range_of_bins() + 1.0), color);
    } else if channel.waits() {
        let font = egui::FontId::proportional(crate::app::theme::SMALL);
        ui.painter().text(rect.center(), egui::Align2::CENTER_CENTER, "Measuring…", font, p.secondary);
        return None;
    }

    let mut window = channel.window;
    let x_of = |value: f32| egui::remap(value, 0.0..=axis, inner.left()..=inner.right());
    let name = &channel.name;
    let low = handle_ui(ui, inner, x_of(window.min), channel, &format!("Black of {name}"), window.min);
    let high = handle_ui(ui, inner, x_of(window.max), channel, &format!("Full colour of {name}"), window.max);
    let step = axis * KEY_STEP;
    let moved_low = moved(ui, &low, inner, axis, step, window.min);
    let moved_high = moved(ui, &high, inner, axis, step, window.max);
    if let Some(value) = moved_low {
        window.min = value.min(window.max - 1.0);
    }
    if let Some(value) = moved_high {
        window.max = value.max(window.min + 1.0);
    }
    (moved_low.is_some() || moved_high.is_some()).then_some(window)
}

/// The stored value at the right end: all of the data, and the range.
fn axis_end(channel: &ChannelView) -> f32 {
    let data = channel.statistics.as_ref().map_or(channel.full_range, |s| s.range.1 as f32);
    (data * 1.02).max(channel.window.max).clamp(1.0, channel.full_range.max(channel.window.max))
}

/// The counts as a filled outline; `share` is the part of the bins that the axis shows. Heights are logarithmic, so that
/// rare bright cells show beside a large dark background.
fn fill(ui: &Ui, rect: Rect, counts: &[u64], share: f32, color: Color32) {
    if counts.is_empty() {
        return;
    }
    let most = counts.iter().copied().max().unwrap_or(0).max(1);
    let scale = (most as f32).ln_1p();
    let shown = (counts.len() as f32 * share).max(1.0);
    let columns = rect.width().ceil() as usize;
    let mut mesh = egui::Mesh::default();
    for column in 0..=columns {
        let at = column as f32 / columns as f32 * shown - 0.5;
        let at = at.max(0.0);
        let (low, part) = (at.floor(), at - at.floor());
        let count = |n: f32| counts.get(n as usize).copied().unwrap_or(0) as f32;
        let height = (count(low) * (1.0 - part) + count(low + 1.0) * part).ln_1p() / scale;
        let x = egui::lerp(rect.x_range(), column as f32 / columns as f32);
        mesh.colored_vertex(pos2(x, rect.bottom() - height * rect.height()), color);
        mesh.colored_vertex(pos2(x, rect.bottom()), color);
        if column > 0 {
            let n = 2 * column as u32;
            mesh.add_triangle(n - 2, n - 1, n);
            mesh.add_triangle(n - 1, n, n + 1);
        }
    }
    ui.painter().add(Shape::mesh(mesh));
}

fn handle_ui(ui: &Ui, rect: Rect, x: f32, channel: &ChannelView, name: &str, value: f32) -> Response {
    let p = palette(ui.visuals());
    let grip = Rect::from_center_size(pos2(x, rect.center().y), vec2(2.0 * REACH, rect.height() + 4.0));
    let response = ui.interact(grip, ui.scope_id().with((channel.index, name)), Sense::drag() | Sense::FOCUSABLE);
    let strong = response.hovered() || response.dragged() || response.has_focus();
    let width = if strong { 2.0 } else { 1.5 };
    let color = if strong { p.accent } else { p.text };
    let line: [Pos2; 2] = [pos2(x, rect.top() - 2.0), pos2(x, rect.bottom() + 2.0)];
    ui.painter().line_segment(line, Stroke::new(width, color));
    let value = channel.coding().value(f64::from(value));
    response.widget_info(|| egui::WidgetInfo::slider(true, value, name));
    response
        .on_hover_cursor(egui::CursorIcon::ResizeHorizontal)
        .on_hover_text(format!("{name}: {}", words::significant(value, 5)))
}

/// The stored value that a handle was dragged or stepped to.
fn moved(ui: &Ui, handle: &Response, rect: Rect, axis: f32, step: f32, now: f32) -> Option<f32> {
    if handle.dragged() {
        let x = handle.interact_pointer_pos()?.x;
        let value = egui::remap_clamp(x, rect.left()..=rect.right(), 0.0..=axis);
        return (handle.drag_delta().x != 0.0).then_some(value.round());
    }
    if !handle.has_focus() {
        return None;
    }
    let (less, more) = ui.input(|i| (i.num_presses(egui::Key::ArrowLeft), i.num_presses(egui::Key::ArrowRight)));
    let steps = more as f32 - less as f32;
    (steps != 0.0).then(|| (now + steps * step.max(1.0)).round())
}
