//! How the alignment stands: progress or numbers, what it goes by, what it found out.

use super::summary::{fields_words, state_words, unaligned_ui};
use super::{NumberField, Part, control_row_ui, icon_line_ui, length_words, push};
use crate::app::theme::{self, palette};
use crate::app::widgets::{progress_ui, quiet_button_ui, section_ui, segments_ui, small_note_ui, value_row_ui};
use crate::app::{icons, words};
use crate::engine::MosaicPhase;
use crate::mosaic::{AlignOptions, MaxShift};
use crate::session::{Command, MosaicCommand};
use crate::stitch::solve::Hand;
use egui::{Align, ComboBox, Layout, Ui};

/// A shift of more than this many pixels is no stage's.
const MOST_SHIFT_PX: f64 = 4096.0;

/// The section.
pub fn alignment_ui(ui: &mut Ui, part: &Part<'_>, commands: &mut Vec<Command>) {
    section_ui(ui, "Alignment", |_| {});
    state_ui(ui, part, commands);
    numbers_ui(ui, part);
    ui.add_space(4.0);
    channel_ui(ui, part, commands);
    shift_ui(ui, part, commands);
    ui.add_space(4.0);
    ui.horizontal_wrapped(|ui| {
        let aligning = part.view.state.is_aligning();
        let again = ui.add_enabled(!aligning, egui::Button::new("Align again"));
        if again.on_hover_text("Measure all seams anew").clicked() {
            push(commands, MosaicCommand::AlignAgain);
        }
        unaligned_ui(ui, part.view, commands);
    });
    rounds_ui(ui, part, commands);
    findings_ui(ui, part);
}

fn state_ui(ui: &mut Ui, part: &Part<'_>, commands: &mut Vec<Command>) {
    let p = palette(ui.visuals());
    match &part.view.state.phase {
        MosaicPhase::Aligning { done, total } => {
            let share = (*total > 0).then(|| *done as f32 / *total as f32);
            let set = part.image.id.set;
            let job = part.session.jobs().iter().find(|j| j.set == Some(set) && j.title.starts_with("Align"));
            ui.horizontal(|ui| {
                ui.label("Aligning");
                ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                    if let Some(job) = job
                        && ui.button("Cancel").on_hover_text("Stop, and leave the fields where they are").clicked()
                    {
                        commands.push(Command::CancelJob(job.id));
                    }
                    let text = words::how_far(share, job.and_then(|j| j.secs_left(part.session.now_secs())));
                    ui.label(egui::RichText::new(text).color(p.secondary));
                });
            });
            let width = ui.available_width();
            progress_ui(ui, width, share, "Alignment");
            ui.add_space(4.0);
        }
        MosaicPhase::NotAligned(why) => {
            icon_line_ui(ui, icons::WARNING, p.warning, "Not aligned: the fields stand where the layout says");
            small_note_ui(ui, &words::sentence(why));
        }
        MosaicPhase::Loaded => {
            let file = part.view.edits.positions.as_ref().and_then(|p| p.path.file_name());
            let from = file.map_or_else(|| "a file".to_owned(), |f| f.to_string_lossy().into_owned());
            ui.add(egui::Label::new(format!("Positions of {from}")).wrap());
        }
        MosaicPhase::Aligned => {
            ui.label(state_words(part.view));
        }
        MosaicPhase::LaidOut => {
            ui.label(state_words(part.view));
            small_note_ui(ui, "The fields stand where the layout says. Align again to measure how they fit");
        }
        MosaicPhase::Unaligned => {
            ui.label(state_words(part.view));
            small_note_ui(ui, "The fields stand where the layout says; their solved places are kept");
        }
    }
}

fn numbers_ui(ui: &mut Ui, part: &Part<'_>) {
    let Some(report) = part.view.state.alignment.as_ref().map(|a| &a.report) else { return };
    let px = words::disagreement;
    let (accepted, all) = (report.accepted as i128, report.edges.len() as i128);
    value_row_ui(ui, "Seams accepted", format!("{} of {}", words::grouped(accepted), words::grouped(all)));
    if let Some(median) = report.residual_p50_px {
        value_row_ui(ui, "Median disagreement", px(median))
            .on_hover_text("How far fields are from where each seam by itself would want them");
    }
    if let Some(most) = report.residual_p95_px {
        value_row_ui(ui, "95 % disagree by less than", px(most));
    }
    if report.accepted_alone > 0 {
        value_row_ui(ui, "Held by one seam alone", super::seams::count_words(report.accepted_alone))
            .on_hover_text("Seams that alone hold what they join: no other that counts could disagree with them");
    }
    if report.placed_by_stage > 0 {
        value_row_ui(ui, "Placed by stage only", fields_words(report.placed_by_stage))
            .on_hover_text("Fields without a seam that could be measured stand where the stage says");
    }
    if report.shifted_by_hand > 0 {
        value_row_ui(ui, "Moved by hand", super::seams::count_words(report.shifted_by_hand))
            .on_hover_text("Seams of fields that you moved: they hold, and are not counted among those that fit");
    }
    let is_verdict = |hand: &&Hand| matches!(hand, Hand::Accept | Hand::Refuse);
    let by_hand = part.view.edits.hand.edges.values().filter(is_verdict).count();
    if by_hand > 0 {
        value_row_ui(ui, "Decided by hand", super::seams::count_words(by_hand));
    }
}

/// Which channel positions are measured in.
fn channel_ui(ui: &mut Ui, part: &Part<'_>, commands: &mut Vec<Command>) {
    let channels = &part.view.set.fields.channels;
    if channels.len() < 2 {
        return;
    }
    let options = &part.view.edits.options;
    let name = |c: u16| channels.get(usize::from(c)).map_or_else(String::new, |c| c.name.clone());
    let used = part.view.state.alignment.as_ref().map(|a| name(a.channel));
    let automatic = used.map_or_else(|| "Automatic".to_owned(), |name| format!("Automatic: {name}"));
    let now = options.channel.map_or(automatic.clone(), name);
    let hint = "The channel that positions are measured in; they hold for all";
    control_row_ui(ui, "Go by", Some(hint), 176.0, |ui| {
        let response = ComboBox::from_id_salt("align channel").selected_text(now).width(160.0).show_ui(ui, |ui| {
            let mut choose = |channel: Option<u16>| {
                let options = AlignOptions { channel, ..options.clone() };
                push(commands, MosaicCommand::SetAlignOptions(options));
            };
            if ui.selectable_label(options.channel.is_none(), automatic).clicked() {
                choose(None);
            }
            for (index, channel) in channels.iter().enumerate() {
                let index = index as u16;
                if ui.selectable_label(options.channel == Some(index), &channel.name).clicked() {
                    choose(Some(index));
                }
            }
        });
        response.response.accessible_name("Channel to align by");
    });
}

/// How far from its place a neighbour is searched.
fn shift_ui(ui: &mut Ui, part: &Part<'_>, commands: &mut Vec<Command>) {
    let options = &part.view.edits.options;
    let um_per_px = part.image.um_per_px.map(|um| um[0]);
    let [x, y] = part.view.state.max_shift_px;
    let now = match options.max_shift {
        Some(MaxShift::Px(px)) => px,
        Some(MaxShift::Um(um)) => um_per_px.map_or(x.max(y), |per_px| um / per_px),
        None => x.max(y),
    };
    control_row_ui(ui, "Largest shift", None, 88.0, |ui| {
        let field = NumberField {
            name: "Largest shift in pixels",
            hint: "How far from its nominal place a neighbour is searched",
            value: now,
            range: 1.0..=MOST_SHIFT_PX,
            speed: 1.0,
            unit: "px",
            decimals: 0,
        };
        if let Some(px) = field.ui(ui) {
            let max_shift = Some(MaxShift::Px(px.round()));
            push(commands, MosaicCommand::SetAlignOptions(AlignOptions { max_shift, ..options.clone() }));
        }
    });
    if options.max_shift.is_some() {
        ui.horizontal(|ui| {
            let length = length_words(now, um_per_px);
            small_note_ui(ui, &format!("Set by you: {length}"));
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                if quiet_button_ui(ui, "Automatic").clicked() {
                    let options = AlignOptions { max_shift: None, ..options.clone() };
                    push(commands, MosaicCommand::SetAlignOptions(options));
                }
            });
        });
    } else {
        let both = if x == y {
            length_words(x, um_per_px)
        } else {
            format!("{} across, {} down", length_words(x, um_per_px), length_words(y, um_per_px))
        };
        small_note_ui(ui, &format!("Automatic: {both}"));
    }
}

/// Several rounds: which is shown, and why alone.
fn rounds_ui(ui: &mut Ui, part: &Part<'_>, commands: &mut Vec<Command>) {
    let Some(notice) = part.view.round_notice() else { return };
    ui.add_space(theme::GAP);
    section_ui(ui, "Rounds", |_| {});
    let labels: Vec<(String, String)> =
        (1..=part.view.set.rounds()).map(|n| (n.to_string(), format!("Show round {n} by itself"))).collect();
    let now = usize::from(part.view.round);
    let clicked = ui.horizontal(|ui| segments_ui(ui, &labels, Some(now))).inner;
    if let Some(n) = clicked.filter(|n| *n != now) {
        push(commands, MosaicCommand::ShowRound(n as u16));
    }
    small_note_ui(ui, &notice);
}

fn findings_ui(ui: &mut Ui, part: &Part<'_>) {
    let Some(alignment) = part.view.state.alignment.as_ref().filter(|a| !a.findings.is_empty()) else { return };
    ui.add_space(theme::GAP);
    section_ui(ui, "Found out", |_| {});
    for finding in &alignment.findings {
        ui.add(egui::Label::new(words::sentence(finding)).wrap());
    }
}
