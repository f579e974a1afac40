//! How overlapping fields become one picture: blending, whole or parts of pixels, even illumination.

use super::{Part, push};
use crate::app::widgets::{labelled_check_ui, section_ui, segments_ui, small_note_ui};
use crate::app::words;
use crate::engine::Evenness;
use crate::mosaic::illumination::{ChannelLight, LightVerdict};
use crate::mosaic::{Blend, Placement};
use crate::session::{Command, MosaicCommand};
use egui::{Align, ComboBox, Layout, RichText, Ui};

const BLENDS: [Blend; 5] = [Blend::Feather, Blend::Linear, Blend::Average, Blend::Maximum, Blend::None];

/// The section.
pub fn fusing_ui(ui: &mut Ui, part: &Part<'_>, commands: &mut Vec<Command>) {
    let edits = &part.view.edits;
    section_ui(ui, "Overlaps", |_| {});
    ui.horizontal(|ui| {
        ui.label("Blending");
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let now = blend_words(edits.blend).0;
            let response = ComboBox::from_id_salt("blend").selected_text(now).width(160.0).show_ui(ui, |ui| {
                ui.set_min_width(252.0);
                for blend in BLENDS {
                    let (name, what) = blend_words(blend);
                    let secondary = crate::app::theme::palette(ui.visuals()).secondary;
                    let line = egui::Button::selectable(edits.blend == blend, name)
                        .shortcut_text(RichText::new(what).color(secondary));
                    if ui.add(line).clicked() && edits.blend != blend {
                        push(commands, MosaicCommand::SetBlend(blend));
                    }
                }
            });
            response.response.accessible_name("Blending");
        });
    });
    ui.horizontal(|ui| {
        ui.label("Placement");
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
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
    });
    let on = edits.even_illumination;
    if labelled_check_ui(ui, on, "Even illumination", "Even illumination on the screen") {
        push(commands, MosaicCommand::EvenIllumination(!on));
    }
    small_note_ui(ui, &verdict_words(&part.view.state.evenness));
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

/// What was found out about the light of all channels, in one sentence.
fn light_words(channels: &[ChannelLight]) -> String {
    let kept: Vec<&ChannelLight> = channels.iter().filter(|c| c.verdict == LightVerdict::Kept).collect();
    let steps: Vec<[f64; 2]> = kept.iter().filter_map(|c| c.seam_step).collect();
    let mean = |at: usize| steps.iter().map(|step| step[at]).sum::<f64>() / steps.len() as f64;
    let why = channels.iter().find_map(|c| match &c.verdict {
        LightVerdict::NotKept(why) => Some(why),
        LightVerdict::Kept => None,
    });
    match (kept.is_empty(), why) {
        (false, _) if !steps.is_empty() => format!(
            "Overlaps agree better with it: steps across seams fall from {} to {} of the signal. \
             Stored values stay as they are",
            words::percent(mean(0)),
            words::percent(mean(1))
        ),
        (false, _) => "Light is evened out by profiles. Stored values stay as they are".to_owned(),
        (true, Some(why)) => words::sentence(why),
        (true, None) => "There is nothing to estimate it from".to_owned(),
    }
}

/// What is known about the illumination.
fn verdict_words(evenness: &Evenness) -> String {
    match evenness {
        Evenness::Unknown => "Estimated from the fields once they are aligned".to_owned(),
        Evenness::Estimating => "Being estimated from the fields…".to_owned(),
        Evenness::Known(channels) => light_words(channels),
        Evenness::Failed(why) => words::sentence(why),
    }
}
