//! How overlapping fields become one picture: blending, whole or parts of pixels, even light.

use super::{Part, control_row_ui, push};
use crate::app::theme::palette;
use crate::app::widgets::{labelled_check_ui, quiet_icon_ui, section_ui, segments_ui, small_note_ui};
use crate::app::{icons, words};
use crate::engine::{Evenness, MosaicPhase};
use crate::mosaic::illumination::{ChannelLight, LightVerdict};
use crate::mosaic::{Blend, Placement};
use crate::session::{Command, MosaicCommand};
use egui::{Align, ComboBox, Label, Layout, RichText, Ui};

const BLENDS: [Blend; 5] = [Blend::Feather, Blend::Linear, Blend::Average, Blend::Maximum, Blend::None];

/// A reason of no more letters than this fits in a channel's line.
const SHORT_REASON: usize = 24;

/// The section.
pub fn fusing_ui(ui: &mut Ui, part: &Part<'_>, commands: &mut Vec<Command>) {
    let edits = &part.view.edits;
    section_ui(ui, "Overlaps", |_| {});
    control_row_ui(ui, "Blending", None, 176.0, |ui| {
        let now = blend_words(edits.blend).0;
        let response = ComboBox::from_id_salt("blend").selected_text(now).width(160.0).show_ui(ui, |ui| {
            ui.set_min_width(252.0);
            for blend in BLENDS {
                let (name, what) = blend_words(blend);
                let secondary = palette(ui.visuals()).secondary;
                let line = egui::Button::selectable(edits.blend == blend, name)
                    .shortcut_text(RichText::new(what).color(secondary));
                if ui.add(line).clicked() && edits.blend != blend {
                    push(commands, MosaicCommand::SetBlend(blend));
                }
            }
        });
        response.response.accessible_name("Blending");
    });
    control_row_ui(ui, "Placement", None, 184.0, |ui| {
        let labels = [
            ("Whole pixels".to_owned(), "Values are the camera's own".to_owned()),
            ("Sub-pixel".to_owned(), "Values are resampled to the solved place".to_owned()),
        ];
        let now = usize::from(edits.placement == Placement::SubPixel);
        if let Some(n) = segments_ui(ui, &labels, Some(now)).filter(|n| *n != now) {
            let placement = if n == 0 { Placement::Whole } else { Placement::SubPixel };
            push(commands, MosaicCommand::SetPlacement(placement));
        }
    });
}

/// The light of the fields: whether it is evened out on the screen, and by what, channel by channel.
pub fn light_ui(ui: &mut Ui, part: &Part<'_>, commands: &mut Vec<Command>) {
    section_ui(ui, "Light", |_| {});
    let on = part.view.edits.even_illumination;
    if labelled_check_ui(ui, on, "Even illumination", "Even illumination on the screen") {
        push(commands, MosaicCommand::EvenIllumination(!on));
    }
    let channels = &part.view.set.fields.channels;
    for (channel, name) in (0..).zip(channels.iter().map(|c| &c.name)) {
        channel_ui(ui, part, channel, name, commands);
    }
    for words in notes(part) {
        small_note_ui(ui, &words);
    }
    let hint = "Take a picture of even light instead of the estimate";
    match channels.as_slice() {
        [] => {}
        [_] => {
            if ui.button("Import profile…").on_hover_text(hint).clicked() {
                push(commands, MosaicCommand::AskForProfile(vec![0]));
            }
        }
        several => {
            let menu = ui.menu_button("Import profile…", |ui| {
                for (channel, name) in (0..).zip(several.iter().map(|c| &c.name)) {
                    if ui.button(format!("For {name}…")).clicked() {
                        push(commands, MosaicCommand::AskForProfile(vec![channel]));
                    }
                }
                ui.separator();
                if ui.button("For all channels…").clicked() {
                    push(commands, MosaicCommand::AskForProfile((0..).take(several.len()).collect()));
                }
            });
            menu.response.on_hover_text(hint);
        }
    }
}

/// What evens out the light of a channel.
#[derive(Debug, Clone, PartialEq)]
enum Light {
    /// Nothing is known yet; what is being done about it, in words.
    Awaited(&'static str),
    Estimated,
    /// A profile image that was read, by its name.
    Imported(String),
    /// A profile image that was chosen and could not be read, or was not yet.
    Unread(String),
    /// Nothing, and why, in words.
    Left(String),
}

impl Light {
    fn of(part: &Part<'_>, channel: u16) -> Self {
        let state = &part.view.state;
        if let Some(files) = part.view.edits.profiles.get(&channel) {
            let name = files.flat.file_name().unwrap_or(files.flat.as_os_str()).to_string_lossy().into_owned();
            return if state.imported.contains(&channel) { Self::Imported(name) } else { Self::Unread(name) };
        }
        match &state.evenness {
            Evenness::Unknown if matches!(state.phase, MosaicPhase::NotAligned(_)) => {
                Self::Left("the fields are not aligned".to_owned())
            }
            Evenness::Unknown => Self::Awaited("Estimated once aligned"),
            Evenness::Estimating => Self::Awaited("Being estimated…"),
            Evenness::Failed(why) => Self::Left(why.clone()),
            Evenness::Known(channels) => match channels.iter().find(|c| c.channel == channel).map(|c| &c.verdict) {
                Some(LightVerdict::Kept) => Self::Estimated,
                Some(LightVerdict::NotKept(why)) => Self::Left(why.clone()),
                None => Self::Left("it was not measured".to_owned()),
            },
        }
    }

    fn words(&self) -> String {
        match self {
            Self::Awaited(words) => (*words).to_owned(),
            Self::Estimated => "Estimated".to_owned(),
            Self::Imported(name) => format!("Imported from {name}"),
            Self::Unread(name) => format!("Not read: {name}"),
            Self::Left(why) => format!("Left as it is: {why}"),
        }
    }
}

/// A channel's name and what evens out its light; what was imported can be let go of.
fn channel_ui(ui: &mut Ui, part: &Part<'_>, channel: u16, name: &str, commands: &mut Vec<Command>) {
    let p = palette(ui.visuals());
    let light = Light::of(part, channel);
    let words = light.words();
    ui.horizontal(|ui| {
        ui.label(RichText::new(name).color(p.secondary));
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if matches!(light, Light::Imported(_) | Light::Unread(_))
                && quiet_icon_ui(ui, icons::CLOSE, &format!("Forget the profile of {name}")).clicked()
            {
                push(commands, MosaicCommand::SetProfiles(vec![channel], None));
            }
            ui.add(Label::new(RichText::new(&words).color(p.text)).truncate()).on_hover_text(&words);
        });
    });
}

/// What the lines of the channels leave no room for.
fn notes(part: &Part<'_>) -> Vec<String> {
    let lights: Vec<Light> = (0..).take(part.view.set.fields.channels.len()).map(|c| Light::of(part, c)).collect();
    let mut notes: Vec<String> = Vec::new();
    if let Evenness::Known(channels) = &part.view.state.evenness {
        let kept = |c: &&ChannelLight| lights.get(usize::from(c.channel)) == Some(&Light::Estimated);
        let steps: Vec<[f64; 2]> = channels.iter().filter(kept).filter_map(|c| c.seam_step).collect();
        if !steps.is_empty() {
            let mean = |at: usize| words::percent(steps.iter().map(|step| step[at]).sum::<f64>() / steps.len() as f64);
            notes.push(format!("Steps across seams fall from {} to {} of the signal", mean(0), mean(1)));
        }
    }
    for light in &lights {
        // The lines are short: a longer reason is said in full once, for all channels that it is about.
        if let Light::Left(why) = light
            && why.chars().count() > SHORT_REASON
            && !notes.contains(&light.words())
        {
            notes.push(light.words());
        }
    }
    if lights.iter().any(|light| matches!(light, Light::Estimated | Light::Imported(_))) {
        notes.push("Stored values stay as they are".to_owned());
    }
    notes
}

/// A blend's name and what it does.
fn blend_words(blend: Blend) -> (&'static str, &'static str) {
    match blend {
        Blend::Feather => ("Narrow feather", "soft at the seam only"),
        Blend::Linear => ("Linear", "over the whole overlap"),
        Blend::Average => ("Average", "of all fields"),
        Blend::Maximum => ("Maximum", "the brightest field"),
        Blend::None => ("None", "a hard edge"),
    }
}
