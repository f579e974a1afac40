//! Colours, type and space: a quiet instrument around the tissue.
//!
//! All greys are neutral, so that no tint of the window biases how a stain is seen.
//! Distances are multiples of four points.

use crate::session::ThemeChoice;
use egui::{
    Color32, CornerRadius, FontData, FontDefinitions, FontFamily, FontId, Margin, Shadow, Stroke, Style, TextStyle,
    Theme, ThemePreference, Visuals, style::WidgetVisuals, vec2,
};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Body text, points.
pub const BODY: f32 = 13.0;
/// Secondary text, points.
pub const SMALL: f32 = 11.0;
/// Icons, points: as high as capitals look beside them.
const ICON_SCALE: f32 = 1.18;
/// The width of a thin space in spaces: enough to part thousands at body size.
const THIN_SPACE: f32 = 0.8;
/// The least height of a control, points.
pub const CONTROL: f32 = 24.0;
/// Between controls, points.
pub const GAP: f32 = 8.0;
/// Between groups, points.
pub const GROUP: f32 = 16.0;
/// Between the edge of a side panel and what is in it, points.
pub const PANEL_MARGIN: i8 = 12;
/// Beside what scrolls, whether it has a bar or not: no value lies under the bar, and nothing moves when it appears.
pub const BAR_ROOM: Margin = Margin { left: 0, right: PANEL_MARGIN, top: 0, bottom: 0 };
/// Corners of controls, points.
const CORNER: u8 = 4;

/// The colours of a theme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Palette {
    /// Behind the panels.
    pub panel: Color32,
    /// Controls and the selected line of a list.
    pub raised: Color32,
    /// A control under the pointer.
    pub hovered: Color32,
    /// Lines between panels, borders.
    pub line: Color32,
    /// Text fields, histograms.
    pub sunken: Color32,
    /// Text.
    pub text: Color32,
    /// Labels beside values, notes.
    pub secondary: Color32,
    /// What is chosen, links, progress.
    pub accent: Color32,
    /// Text on the accent.
    pub on_accent: Color32,
    /// Something to know about.
    pub warning: Color32,
    /// Something that failed.
    pub error: Color32,
}

const DARK: Palette = Palette {
    panel: Color32::from_gray(0x24),
    raised: Color32::from_gray(0x2e),
    hovered: Color32::from_gray(0x38),
    line: Color32::from_gray(0x3a),
    sunken: Color32::from_gray(0x1c),
    text: Color32::from_gray(0xe6),
    secondary: Color32::from_gray(0xa0),
    accent: Color32::from_rgb(0x4c, 0x9b, 0xe8),
    on_accent: Color32::from_gray(0x10),
    warning: Color32::from_rgb(0xe0, 0xa0, 0x30),
    error: Color32::from_rgb(0xe8, 0x6a, 0x5f),
};

const LIGHT: Palette = Palette {
    panel: Color32::from_gray(0xf0),
    raised: Color32::from_gray(0xe2),
    hovered: Color32::from_gray(0xd6),
    line: Color32::from_gray(0xcc),
    sunken: Color32::from_gray(0xfa),
    text: Color32::from_gray(0x1c),
    secondary: Color32::from_gray(0x5c),
    accent: Color32::from_rgb(0x1c, 0x6b, 0xb8),
    on_accent: Color32::WHITE,
    warning: Color32::from_rgb(0x8a, 0x56, 0x00),
    error: Color32::from_rgb(0xb3, 0x2d, 0x24),
};

/// The colours in use.
pub fn palette(visuals: &Visuals) -> Palette {
    if visuals.dark_mode { DARK } else { LIGHT }
}

/// The font family of titles.
fn title_family() -> FontFamily {
    FontFamily::Name("title".into())
}

/// The font of titles.
pub fn title_font(size: f32) -> FontId {
    FontId::new(size, title_family())
}

/// Loads the fonts and both themes into a fresh context.
pub fn install(ctx: &egui::Context) {
    ctx.set_fonts(fonts());
    for (theme, palette) in [(Theme::Dark, DARK), (Theme::Light, LIGHT)] {
        ctx.set_style_of(theme, style(theme, palette));
    }
    ctx.options_mut(|o| {
        // Ctrl with + - 0 is a command of ours, so that it is remembered.
        o.zoom_with_keyboard = false;
        o.fallback_theme = Theme::Dark;
    });
}

/// Chooses the theme and the size of the interface.
pub fn choose(ctx: &egui::Context, choice: ThemeChoice, scale: f32) {
    let preference = match choice {
        ThemeChoice::System => ThemePreference::System,
        ThemeChoice::Dark => ThemePreference::Dark,
        ThemeChoice::Light => ThemePreference::Light,
    };
    if ctx.options(|o| o.theme_preference) != preference {
        ctx.set_theme(preference);
    }
    if ctx.zoom_factor() != scale {
        ctx.set_zoom_factor(scale);
    }
}

fn fonts() -> FontDefinitions {
    let mut fonts = FontDefinitions::default();
    let mut add = |name: &str, data: FontData| fonts.font_data.insert(name.to_owned(), Arc::new(data));
    let text = |bytes: &'static [u8]| {
        let tweak = egui::FontTweak { thin_space_width: THIN_SPACE, ..Default::default() };
        FontData::from_static(bytes).tweak(tweak)
    };
    add("inter", text(include_bytes!("../../assets/fonts/Inter-Regular.otf")));
    add("inter-semibold", text(include_bytes!("../../assets/fonts/Inter-SemiBold.otf")));
    let icons = FontData::from_static(include_bytes!("../../assets/fonts/Phosphor.ttf"));
    add("phosphor", icons.tweak(egui::FontTweak { scale: ICON_SCALE, y_offset_factor: 0.08, ..Default::default() }));
    let fallbacks = fonts.families.get(&FontFamily::Proportional).cloned().unwrap_or_default();
    let family = |first: &str| {
        let mut names = vec![first.to_owned(), "phosphor".to_owned()];
        names.extend(fallbacks.iter().cloned());
        names
    };
    // Inter's figures are tabular here, so nothing needs a font of fixed width.
    fonts.families.insert(FontFamily::Proportional, family("inter"));
    fonts.families.insert(FontFamily::Monospace, family("inter"));
    fonts.families.insert(title_family(), family("inter-semibold"));
    fonts
}

fn style(theme: Theme, p: Palette) -> Style {
    let mut style = theme.default_style();
    style.text_styles = BTreeMap::from([
        (TextStyle::Body, FontId::proportional(BODY)),
        (TextStyle::Button, FontId::proportional(BODY)),
        (TextStyle::Small, FontId::proportional(SMALL)),
        (TextStyle::Monospace, FontId::proportional(BODY)),
        (TextStyle::Heading, title_font(BODY)),
    ]);
    style.drag_value_text_style = TextStyle::Body;
    style.animation_time = 0.12;
    style.compact_menu_style = false;
    let s = &mut style.spacing;
    s.item_spacing = vec2(GAP, 4.0);
    s.button_padding = vec2(8.0, 2.0);
    s.interact_size = vec2(CONTROL, CONTROL);
    s.menu_margin = Margin::same(4);
    s.window_margin = Margin::same(16);
    s.icon_width = 16.0;
    s.icon_width_inner = 8.0;
    s.icon_spacing = 8.0;
    s.tooltip_width = 320.0;
    s.menu_width = 240.0;
    s.combo_width = 96.0;
    s.scroll.bar_width = 8.0;
    s.scroll.floating_width = 4.0;
    s.scroll.bar_outer_margin = 2.0;
    style.visuals = visuals(theme, p);
    style
}

fn visuals(theme: Theme, p: Palette) -> Visuals {
    let mut v = if theme == Theme::Dark { Visuals::dark() } else { Visuals::light() };
    let corner = CornerRadius::same(CORNER);
    let state = |fill: Color32, text: Color32, border: Color32| WidgetVisuals {
        bg_fill: fill,
        weak_bg_fill: fill,
        bg_stroke: Stroke::new(1.0, border),
        corner_radius: corner,
        fg_stroke: Stroke::new(1.0, text),
        expansion: 0.0,
    };
    v.widgets.noninteractive = state(p.panel, p.text, p.line);
    v.widgets.inactive = state(p.raised, p.text, Color32::TRANSPARENT);
    v.widgets.hovered = state(p.hovered, p.text, Color32::TRANSPARENT);
    v.widgets.active = state(p.line, p.text, p.accent);
    v.widgets.open = state(p.hovered, p.text, Color32::TRANSPARENT);
    v.override_text_color = None;
    v.weak_text_color = Some(p.secondary);
    v.selection.bg_fill = p.accent.gamma_multiply(if v.dark_mode { 0.45 } else { 0.35 });
    v.selection.stroke = Stroke::new(1.0, p.text);
    v.hyperlink_color = p.accent;
    v.faint_bg_color = p.raised;
    v.extreme_bg_color = p.sunken;
    v.text_edit_bg_color = Some(p.sunken);
    v.code_bg_color = p.sunken;
    v.warn_fg_color = p.warning;
    v.error_fg_color = p.error;
    v.panel_fill = p.panel;
    v.window_fill = p.panel;
    v.window_stroke = Stroke::new(1.0, p.line);
    v.window_corner_radius = CornerRadius::same(8);
    v.menu_corner_radius = CornerRadius::same(6);
    let shadow = Shadow { offset: [0, 4], blur: 16, spread: 0, color: Color32::from_black_alpha(96) };
    v.window_shadow = shadow;
    v.popup_shadow = shadow;
    v.slider_trailing_fill = true;
    v.striped = false;
    v
}

#[cfg(test)]
mod tests {
    use super::*;

    fn luminance(c: Color32) -> f64 {
        let linear = |v: u8| {
            let v = f64::from(v) / 255.0;
            if v <= 0.04045 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * linear(c.r()) + 0.7152 * linear(c.g()) + 0.0722 * linear(c.b())
    }

    fn contrast(a: Color32, b: Color32) -> f64 {
        let (a, b) = (luminance(a) + 0.05, luminance(b) + 0.05);
        a.max(b) / a.min(b)
    }

    #[test]
    fn text_stands_out_from_every_surface_it_is_on() {
        for p in [DARK, LIGHT] {
            for surface in [p.panel, p.raised, p.sunken] {
                for ink in [p.text, p.secondary, p.warning, p.error, p.accent] {
                    assert!(contrast(ink, surface) >= 4.0, "{ink:?} on {surface:?} is {}", contrast(ink, surface));
                }
                assert!(contrast(p.text, surface) >= 7.0);
                assert!(contrast(p.secondary, surface) >= 4.5, "{:?}", contrast(p.secondary, surface));
            }
            assert!(contrast(p.on_accent, p.accent) >= 4.5);
        }
    }

    #[test]
    fn greys_have_no_tint() {
        for p in [DARK, LIGHT] {
            for c in [p.panel, p.raised, p.hovered, p.line, p.sunken, p.text, p.secondary] {
                assert!(c.r() == c.g() && c.g() == c.b());
            }
        }
    }
}
