//! Where fields are thought to be: the grid and how it was scanned, places from files, what was left out.

use super::{MosaicDraft, NumberField, Part, control_row_ui, push};
use crate::app::theme::{self, palette};
use crate::app::widgets::{quiet_button_ui, section_ui, segments_ui, short_list, small_note_ui};
use crate::app::words;
use crate::image_set::{Corner, FirstAlong, GridLayout, GridOrder, Layout as FieldLayout, ScanPath};
use crate::session::{Command, MosaicCommand};
use egui::{Align, ComboBox, Label, Layout, RichText, TextEdit, Ui};

/// Rows and columns that a grid may have.
const MOST_ROWS: f64 = 10_000.0;
/// Overlaps that are believed, in percent.
const OVERLAP_PERCENT: std::ops::RangeInclusive<f64> = 0.0..=60.0;
/// Two numbers with a sign between them, points.
const TWO_NUMBERS: f32 = 176.0;
/// A choice between two words, points.
const TWO_WORDS: f32 = 168.0;
/// The list of files that were left out is no higher than this, points.
const LEFT_OUT_HEIGHT: f32 = 120.0;
/// The evidence begins like this where it is a pattern of names.
const PATTERN_EVIDENCE: &str = "names like ";

const CORNERS: [(Corner, &str); 4] = [
    (Corner::TopLeft, "Top left"),
    (Corner::TopRight, "Top right"),
    (Corner::BottomLeft, "Bottom left"),
    (Corner::BottomRight, "Bottom right"),
];

/// Places that come from files and go to files.
pub fn positions_ui(ui: &mut Ui, part: &Part<'_>, commands: &mut Vec<Command>) {
    let (edits, fields) = (&part.view.edits, &part.view.set.fields);
    section_ui(ui, "Positions", |_| {});
    if let Some(saved) = fields.saved_positions.as_ref().filter(|_| edits.positions.is_none()) {
        let name = saved.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let frame = egui::Frame::new().fill(palette(ui.visuals()).sunken).corner_radius(4.0).inner_margin(8.0);
        frame.show(ui, |ui| {
            ui.set_width(ui.available_width());
            ui.add(Label::new(format!("{name} in the folder holds solved positions")).wrap());
            if ui.button("Use saved positions").clicked() {
                push(commands, MosaicCommand::UseSavedPositions);
            }
        });
        ui.add_space(4.0);
    }
    if edits.positions.is_some() {
        let hint = "Go back to measured positions";
        if ui.button("Forget loaded positions").on_hover_text(hint).clicked() {
            push(commands, MosaicCommand::ForgetPositions);
        }
    }
    ui.horizontal_wrapped(|ui| {
        if ui.button("Save positions…").on_hover_text("As a table, or as TileConfiguration for Fiji").clicked() {
            push(commands, MosaicCommand::AskToSavePositions);
        }
        if ui.button("Load positions…").on_hover_text("From a table or a TileConfiguration").clicked() {
            push(commands, MosaicCommand::AskToLoadPositions);
        }
    });
}

/// The grid, where there is one, to be corrected.
pub fn layout_ui(ui: &mut Ui, part: &Part<'_>, draft: &mut MosaicDraft, commands: &mut Vec<Command>) {
    let view = part.view;
    let corrected = view.edits.layout.is_some() || view.edits.pattern.is_some();
    section_ui(ui, "Layout", |ui| {
        if corrected && quiet_button_ui(ui, "As recognised").on_hover_text("Forget your corrections").clicked() {
            if view.edits.layout.is_some() {
                push(commands, MosaicCommand::SetLayout(None));
            }
            if view.edits.pattern.is_some() {
                push(commands, MosaicCommand::SetPattern(None));
            }
        }
    });
    if !view.set.fields.evidence.starts_with(PATTERN_EVIDENCE) || view.state.layout.is_none() {
        small_note_ui(ui, &format!("Recognised by {}", view.set.fields.evidence));
    }
    let Some(grid) = view.state.layout else {
        let from = match &view.set.fields.layout {
            FieldLayout::Stage => "Places come from the stage".to_owned(),
            FieldLayout::File(path) => {
                let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
                format!("Places come from {name}")
            }
            FieldLayout::Grid(_) => "The grid is being worked out".to_owned(),
        };
        small_note_ui(ui, &from);
        return;
    };
    pattern_ui(ui, part, draft, commands);
    let mut change = |grid: GridLayout| push(commands, MosaicCommand::SetLayout(Some(grid)));
    size_ui(ui, grid, &mut change);
    order_ui(ui, grid, &mut change);
    overlap_ui(ui, grid, &mut change);
}

fn pattern_ui(ui: &mut Ui, part: &Part<'_>, draft: &mut MosaicDraft, commands: &mut Vec<Command>) {
    let edits = &part.view.edits;
    let found = part.view.set.fields.evidence.strip_prefix(PATTERN_EVIDENCE);
    let Some(now) = edits.pattern.as_deref().or(found) else { return };
    if draft.from != now {
        (draft.pattern, draft.from) = (now.to_owned(), now.to_owned());
    }
    ui.label("Names of the files");
    let field =
        TextEdit::singleline(&mut draft.pattern).desired_width(f32::INFINITY).margin(egui::Margin::symmetric(8, 4));
    let response = ui
        .add(field)
        .on_hover_text("{row}, {col}, {series} and {channel} stand for what differs from file to file")
        .accessible_name("Pattern of the files' names");
    let typed = draft.pattern.trim();
    if response.lost_focus() && typed != now {
        let pattern = (!typed.is_empty() && Some(typed) != found).then(|| typed.to_owned());
        push(commands, MosaicCommand::SetPattern(pattern));
    }
}

fn size_ui(ui: &mut Ui, grid: GridLayout, change: &mut dyn FnMut(GridLayout)) {
    control_row_ui(ui, "Rows × columns", None, TWO_NUMBERS, |ui| {
        let count = |name, value: u32| NumberField {
            name,
            hint: name,
            value: value.into(),
            range: 1.0..=MOST_ROWS,
            speed: 0.1,
            unit: "",
            decimals: 0,
        };
        let columns = count("Columns of the grid", grid.columns).ui(ui);
        ui.label("×");
        let rows = count("Rows of the grid", grid.rows).ui(ui);
        if let Some(columns) = columns {
            change(GridLayout { columns: columns as u32, ..grid });
        }
        if let Some(rows) = rows {
            change(GridLayout { rows: rows as u32, ..grid });
        }
    });
}

fn order_ui(ui: &mut Ui, grid: GridLayout, change: &mut dyn FnMut(GridLayout)) {
    let start = match grid.order {
        GridOrder::Named { start, .. } | GridOrder::Sequence { start, .. } => start,
    };
    let with = |order: GridOrder| GridLayout { order, ..grid };
    let at_corner = |corner: Corner| match grid.order {
        GridOrder::Named { transposed, .. } => GridOrder::Named { start: corner, transposed },
        GridOrder::Sequence { first, path, .. } => GridOrder::Sequence { start: corner, first, path },
    };
    control_row_ui(ui, "Starts at", None, 144.0, |ui| {
        let now = CORNERS.iter().find(|(c, _)| *c == start).map_or("", |(_, words)| words);
        let response = ComboBox::from_id_salt("start corner").selected_text(now).width(128.0).show_ui(ui, |ui| {
            for (corner, words) in CORNERS {
                if ui.selectable_label(corner == start, words).clicked() && corner != start {
                    change(with(at_corner(corner)));
                }
            }
        });
        response.response.accessible_name("Corner where the grid starts");
    });
    let mut two = |ui: &mut Ui, label: &str, words: [(&str, &str); 2], now: usize, orders: [GridOrder; 2]| {
        control_row_ui(ui, label, None, TWO_WORDS, |ui| {
            let labels = words.map(|(name, hint)| (name.to_owned(), hint.to_owned()));
            if let Some(n) = segments_ui(ui, &labels, Some(now)).filter(|n| *n != now) {
                change(with(orders[n]));
            }
        });
    };
    match grid.order {
        GridOrder::Named { start, transposed } => {
            let words = [("As named", "Rows are rows"), ("Exchanged", "What the names call a row is a column")];
            let orders = [false, true].map(|transposed| GridOrder::Named { start, transposed });
            two(ui, "Axes", words, usize::from(transposed), orders);
        }
        GridOrder::Sequence { start, first, path } => {
            let words = [("Rows", "Numbers run along a row first"), ("Columns", "Numbers run along a column first")];
            let orders = [FirstAlong::Row, FirstAlong::Column].map(|first| GridOrder::Sequence { start, first, path });
            two(ui, "Runs along", words, usize::from(first == FirstAlong::Column), orders);
            let words = [("Raster", "Every line from the same side"), ("Snake", "There and back again")];
            let orders = [ScanPath::Raster, ScanPath::Snake].map(|path| GridOrder::Sequence { start, first, path });
            two(ui, "Scan", words, usize::from(path == ScanPath::Snake), orders);
        }
    }
}

fn overlap_ui(ui: &mut Ui, grid: GridLayout, change: &mut dyn FnMut(GridLayout)) {
    let now = grid.overlap.unwrap_or([0.0; 2]);
    control_row_ui(ui, "Overlap", None, TWO_NUMBERS, |ui| {
        let axis = |name, share: f64| NumberField {
            name,
            hint: name,
            value: share * 100.0,
            range: OVERLAP_PERCENT,
            speed: 0.2,
            unit: "%",
            decimals: 1,
        };
        let down = axis("Overlap of rows", now[1]).ui(ui);
        ui.label("×");
        let across = axis("Overlap of columns", now[0]).ui(ui);
        if across.is_some() || down.is_some() {
            let overlap = [across.map_or(now[0], |v| v / 100.0), down.map_or(now[1], |v| v / 100.0)];
            change(GridLayout { overlap: Some(overlap), ..grid });
        }
    });
    if grid.overlap.is_none() {
        small_note_ui(ui, "Not known: it is estimated, and until then the fields stand apart");
    } else {
        ui.horizontal(|ui| {
            let secondary = palette(ui.visuals()).secondary;
            ui.label(RichText::new("Across × down, of a field").small().color(secondary));
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                if quiet_button_ui(ui, "Estimate").on_hover_text("Estimate the overlap from the fields").clicked() {
                    change(GridLayout { overlap: None, ..grid });
                }
            });
        });
    }
}

/// Files of the folder that are no part of it, with the reason.
pub fn left_out_ui(ui: &mut Ui, part: &Part<'_>) {
    let left_out = &part.view.set.fields.left_out;
    if left_out.is_empty() {
        return;
    }
    ui.add_space(theme::GROUP);
    let secondary = palette(ui.visuals()).secondary;
    section_ui(ui, "Left out", |ui| {
        ui.label(RichText::new(words::grouped(left_out.len() as i128)).color(secondary));
    });
    short_list("left out", LEFT_OUT_HEIGHT).show_rows(ui, 34.0, left_out.len(), |ui, range| {
        for file in left_out.get(range).unwrap_or_default() {
            ui.spacing_mut().item_spacing.y = 0.0;
            let name = file.path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
            ui.add(Label::new(name).truncate()).on_hover_text(file.path.to_string_lossy());
            ui.add(Label::new(RichText::new(words::sentence(&file.reason)).small().color(secondary)).truncate());
            ui.add_space(4.0);
        }
    });
}
