//! Keys: one table for the menus, the list of keys and what a key does.

use crate::session::{
    Command, ExportCommand, MosaicCommand, MosaicView, PixelSizeTool, RightTab, Selection, Session, ViewMove,
};
use crate::stitch::solve::Hand;
use egui::{Key, Modifiers};

/// The interface grows and shrinks by this factor a key press.
const INTERFACE_STEP: f32 = 1.1;
/// Doublings a press of a zoom key.
const ZOOM_STEP: f64 = 0.5;
/// Part of the canvas that an arrow key pans.
const PAN_STEP: f64 = 0.125;

/// Something that a key or a menu line does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    OpenFile,
    OpenFolder,
    OpenDemo,
    Export,
    CopyView,
    ToggleSeams,
    ShowMosaic,
    ShowUnaligned,
    AlignAgain,
    EvenIllumination,
    NextSeam,
    PreviousSeam,
    AcceptSeam,
    RejectSeam,
    SavePositions,
    LoadPositions,
    CombineAsMosaic,
    ShowSeparately,
    CloseImage,
    Quit,
    Undo,
    Redo,
    ZoomIn,
    ZoomOut,
    Fit,
    OneToOne,
    PanLeft,
    PanRight,
    PanUp,
    PanDown,
    Flip,
    RotateRight,
    Upright,
    ToggleChannel(usize),
    AutoRange,
    FullRange,
    ShowChannels,
    ShowMetadata,
    SetPixelSize,
    MeasurePixelSize,
    ResetPixelSize,
    TogglePanels,
    ToggleOverview,
    LargerInterface,
    SmallerInterface,
    NormalInterface,
    Keys,
    Escape,
}

/// Groups of the list of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    File,
    View,
    Image,
    Mosaic,
    Window,
}

impl Group {
    /// Its title.
    pub fn words(self) -> &'static str {
        match self {
            Self::File => "Files",
            Self::View => "View",
            Self::Image => "Image",
            Self::Mosaic => "Mosaic",
            Self::Window => "Window",
        }
    }
}

/// One line of the table.
pub struct Shortcut {
    /// What it does.
    pub action: Action,
    /// Which group of the list it is in.
    pub group: Group,
    /// What it does, in words.
    pub words: &'static str,
    /// The keys, the first of which is shown.
    pub keys: &'static [(Modifiers, Key)],
}

const NONE: Modifiers = Modifiers::NONE;
const CTRL: Modifiers = Modifiers::COMMAND;
const SHIFT: Modifiers = Modifiers::SHIFT;
const CTRL_SHIFT: Modifiers = Modifiers::COMMAND.plus(Modifiers::SHIFT);
const CTRL_ALT: Modifiers = Modifiers::COMMAND.plus(Modifiers::ALT);

macro_rules! table {
    ($($group:ident $action:expr, $words:literal, [$(($mods:expr, $key:ident)),*];)*) => {
        &[$(Shortcut { action: $action, group: Group::$group, words: $words, keys: &[$(($mods, Key::$key)),*] }),*]
    };
}

/// Every key and menu line.
pub const TABLE: &[Shortcut] = table! {
    File Action::OpenFile, "Open files…", [(CTRL, O)];
    File Action::OpenFolder, "Open folder…", [(CTRL_SHIFT, O)];
    File Action::OpenDemo, "Open the demo", [];
    File Action::Export, "Export…", [(CTRL, E)];
    File Action::CopyView, "Copy the view", [(CTRL, C)];
    File Action::CloseImage, "Close image", [(CTRL, W)];
    File Action::Undo, "Undo", [(CTRL, Z)];
    File Action::Redo, "Redo", [(CTRL_SHIFT, Z), (CTRL, Y)];
    File Action::Quit, "Quit", [(CTRL, Q)];
    View Action::Fit, "Fit the whole image", [(NONE, Num0), (NONE, Home)];
    View Action::OneToOne, "One image pixel on one screen pixel", [(CTRL_ALT, Num0)];
    View Action::ZoomIn, "Zoom in", [(NONE, Plus), (NONE, Equals), (SHIFT, ArrowUp)];
    View Action::ZoomOut, "Zoom out", [(NONE, Minus), (SHIFT, ArrowDown)];
    View Action::PanLeft, "Move left", [(NONE, ArrowLeft)];
    View Action::PanRight, "Move right", [(NONE, ArrowRight)];
    View Action::PanUp, "Move up", [(NONE, ArrowUp)];
    View Action::PanDown, "Move down", [(NONE, ArrowDown)];
    View Action::Flip, "Mirror left and right", [(SHIFT, F)];
    View Action::RotateRight, "Turn right by 90°", [(SHIFT, R)];
    View Action::Upright, "Upright, not mirrored", [];
    View Action::ToggleOverview, "Overview map", [];
    Image Action::ToggleChannel(0), "Channel 1 on or off", [(NONE, Num1)];
    Image Action::ToggleChannel(1), "Channel 2 on or off", [(NONE, Num2)];
    Image Action::ToggleChannel(2), "Channel 3 on or off", [(NONE, Num3)];
    Image Action::ToggleChannel(3), "Channel 4 on or off", [(NONE, Num4)];
    Image Action::ToggleChannel(4), "Channel 5 on or off", [(NONE, Num5)];
    Image Action::ToggleChannel(5), "Channel 6 on or off", [(NONE, Num6)];
    Image Action::ToggleChannel(6), "Channel 7 on or off", [(NONE, Num7)];
    Image Action::ToggleChannel(7), "Channel 8 on or off", [(NONE, Num8)];
    Image Action::ToggleChannel(8), "Channel 9 on or off", [(NONE, Num9)];
    Image Action::AutoRange, "Automatic range for all channels", [(SHIFT, A)];
    Image Action::FullRange, "Full range for all channels", [];
    Image Action::SetPixelSize, "Set pixel size…", [];
    Image Action::MeasurePixelSize, "Draw a known length…", [];
    Image Action::ResetPixelSize, "Pixel size of the file", [];
    Mosaic Action::ToggleSeams, "Seams and outlines", [(NONE, S)];
    Mosaic Action::NextSeam, "Next seam to look at", [(NONE, N)];
    Mosaic Action::PreviousSeam, "Seam before it", [(SHIFT, N)];
    Mosaic Action::AcceptSeam, "Accept the seam", [(NONE, Y)];
    Mosaic Action::RejectSeam, "Reject the seam", [(NONE, X)];
    Mosaic Action::ShowUnaligned, "Show unaligned", [(NONE, U)];
    Mosaic Action::AlignAgain, "Align again", [];
    Mosaic Action::EvenIllumination, "Even illumination", [(NONE, I)];
    Mosaic Action::SavePositions, "Save positions…", [];
    Mosaic Action::LoadPositions, "Load positions…", [];
    Mosaic Action::CombineAsMosaic, "Combine as mosaic…", [];
    Mosaic Action::ShowSeparately, "Show as separate images", [];
    Mosaic Action::ShowMosaic, "Mosaic panel", [(CTRL_SHIFT, M)];
    Window Action::ShowChannels, "Channels", [(SHIFT, C)];
    Window Action::ShowMetadata, "Metadata", [(SHIFT, M)];
    Window Action::TogglePanels, "Hide or show the panels", [(NONE, Backslash)];
    Window Action::LargerInterface, "Larger interface", [(CTRL, Plus), (CTRL, Equals)];
    Window Action::SmallerInterface, "Smaller interface", [(CTRL, Minus)];
    Window Action::NormalInterface, "Normal interface", [(CTRL, Num0)];
    Window Action::Keys, "Keys", [(NONE, Questionmark), (NONE, F1)];
    Window Action::Escape, "Close what is open on the image", [(NONE, Escape)];
};

/// What a mouse or touchpad does, for the list of keys.
pub const GESTURES: &[(&str, &str)] = &[
    ("Drag, or Space and drag", "Move the image"),
    ("Wheel, pinch, Ctrl and scroll", "Zoom about the pointer"),
    ("Two fingers, Shift and scroll", "Move the image"),
    ("Double-click", "Zoom in"),
    ("Ctrl and drag", "Move a field of a mosaic"),
    ("Click on a seam", "Compare the two fields there"),
];

impl Action {
    /// The command it stands for; `None` while there is nothing to do it to.
    pub fn command(self, session: &Session) -> Option<Command> {
        let image = session.current();
        let view = |step: ViewMove| image.map(|_| Command::Move(step));
        let view_of_mosaic = image.and_then(|i| i.mosaic.as_ref());
        let mosaic = |command: MosaicCommand| view_of_mosaic.map(|_| Command::Mosaic(command));
        let scale = session.preferences().interface_scale;
        match self {
            Self::OpenFile => Some(Command::AskForFiles),
            Self::OpenFolder => Some(Command::AskForFolder),
            Self::OpenDemo => Some(Command::OpenDemo),
            Self::Export => image.map(|_| Command::Export(ExportCommand::Open(None))),
            Self::CopyView => image.map(|_| Command::Export(ExportCommand::CopyView)),
            Self::ToggleSeams => mosaic(MosaicCommand::ToggleSeams),
            Self::ShowMosaic => view_of_mosaic.map(|_| Command::ShowTab(RightTab::Mosaic)),
            Self::ShowUnaligned => {
                let view = view_of_mosaic.filter(|v| v.edits.show_unaligned || v.state.alignment.is_some());
                view.and_then(|v| mosaic(MosaicCommand::ShowUnaligned(!v.edits.show_unaligned)))
            }
            Self::AlignAgain => {
                view_of_mosaic.filter(|v| !v.state.is_aligning()).and_then(|_| mosaic(MosaicCommand::AlignAgain))
            }
            Self::EvenIllumination => {
                view_of_mosaic.and_then(|v| mosaic(MosaicCommand::EvenIllumination(!v.edits.even_illumination)))
            }
            Self::NextSeam => view_of_mosaic.and_then(|v| seam_beside(v, 1)),
            Self::PreviousSeam => view_of_mosaic.and_then(|v| seam_beside(v, -1)),
            Self::AcceptSeam => {
                let seam = view_of_mosaic.and_then(|v| v.selected_seam()).filter(|s| s.residual_px.is_some());
                seam.and_then(|s| mosaic(MosaicCommand::DecideSeam(s.fields, Hand::Accept)))
            }
            Self::RejectSeam => {
                let seam = view_of_mosaic.and_then(|v| v.selected_seam());
                seam.and_then(|s| mosaic(MosaicCommand::DecideSeam(s.fields, Hand::Refuse)))
            }
            Self::SavePositions => mosaic(MosaicCommand::AskToSavePositions),
            Self::LoadPositions => mosaic(MosaicCommand::AskToLoadPositions),
            Self::CombineAsMosaic => session.can_combine().then_some(Command::ChooseToCombine(true)),
            Self::ShowSeparately => image.filter(|i| i.mosaic.is_some()).map(|i| Command::ShowSeparately(i.id.set)),
            Self::CloseImage => image.map(|i| Command::Close(i.id.set)),
            Self::Quit => Some(Command::Quit),
            Self::Undo => session.next_undo().map(|_| Command::Undo),
            Self::Redo => session.next_redo().map(|_| Command::Redo),
            Self::ZoomIn => view(ViewMove::Zoom(ZOOM_STEP)),
            Self::ZoomOut => view(ViewMove::Zoom(-ZOOM_STEP)),
            Self::Fit => view(ViewMove::Fit),
            Self::OneToOne => view(ViewMove::OneToOne),
            Self::PanLeft => view(ViewMove::Pan(-PAN_STEP, 0.0)),
            Self::PanRight => view(ViewMove::Pan(PAN_STEP, 0.0)),
            Self::PanUp => view(ViewMove::Pan(0.0, -PAN_STEP)),
            Self::PanDown => view(ViewMove::Pan(0.0, PAN_STEP)),
            Self::Flip => view(ViewMove::Flip),
            Self::RotateRight => {
                image.and_then(|i| view(ViewMove::RotateTo(i.camera.rotation_rad.to_degrees() + 90.0)))
            }
            Self::Upright => view(ViewMove::Upright),
            Self::ToggleChannel(n) => image.filter(|i| n < i.channels.len()).map(|_| Command::ToggleChannel(n)),
            Self::AutoRange => image.filter(|i| !i.is_rgb()).map(|_| Command::AutoWindow(None)),
            Self::FullRange => image.map(|_| Command::FullWindow(None)),
            Self::ShowChannels => Some(Command::ShowTab(RightTab::Channels)),
            Self::ShowMetadata => Some(Command::ShowTab(RightTab::Metadata)),
            Self::SetPixelSize => image.map(|_| Command::PixelSizeTool(PixelSizeTool::Typing)),
            Self::MeasurePixelSize => image.map(|_| Command::PixelSizeTool(PixelSizeTool::Drawing(None))),
            Self::ResetPixelSize => {
                image.filter(|i| i.calibration == crate::pyramid::Calibration::User).map(|_| Command::ResetPixelSize)
            }
            Self::TogglePanels => Some(Command::TogglePanels),
            Self::ToggleOverview => Some(Command::ToggleOverview),
            Self::LargerInterface => Some(Command::SetInterfaceScale(scale * INTERFACE_STEP)),
            Self::SmallerInterface => Some(Command::SetInterfaceScale(scale / INTERFACE_STEP)),
            Self::NormalInterface => Some(Command::SetInterfaceScale(1.0)),
            Self::Keys => Some(Command::ToggleKeys),
            Self::Escape => {
                if session.keys_shown() {
                    Some(Command::ToggleKeys)
                } else if session.pixel_size_tool() != PixelSizeTool::Closed {
                    Some(Command::PixelSizeTool(PixelSizeTool::Closed))
                } else if view_of_mosaic.is_some_and(|v| v.dragged().is_some()) {
                    mosaic(MosaicCommand::CancelDrag)
                } else if session.combining() {
                    Some(Command::ChooseToCombine(false))
                } else if view_of_mosaic.is_some_and(|v| v.selection != Selection::Nothing) {
                    mosaic(MosaicCommand::SelectSeam(None))
                } else if session.export().is_some() {
                    Some(Command::Export(ExportCommand::Close))
                } else {
                    session.associated_shown().map(|_| Command::ShowAssociated(None))
                }
            }
        }
    }

    /// What its name leaves open: what it does, and what it needs.
    pub fn hint(self) -> Option<&'static str> {
        match self {
            Self::CombineAsMosaic => Some(
                "Puts open images together as the fields of one mosaic.\n\
                 Needs two images of one size and type, one of them shown",
            ),
            Self::ShowSeparately => Some("Opens every file of the mosaic by itself, in its place"),
            Self::AlignAgain => Some("Measures all seams anew"),
            _ => None,
        }
    }

    /// Its line of the table.
    pub fn shortcut(self) -> Option<&'static Shortcut> {
        TABLE.iter().find(|s| s.action == self)
    }
}

/// The seam to look at after the selected one, or before it: round and round through the list.
fn seam_beside(view: &MosaicView, step: i64) -> Option<Command> {
    let worst = || view.state.seams.worst();
    let count = worst().len() as i64;
    let now = match view.selection {
        Selection::Seam { fields, .. } => worst().position(|s| s.fields == fields).map(|n| n as i64),
        Selection::Nothing | Selection::Field(_) => None,
    };
    let next = now.map_or(if step > 0 { 0 } else { count - 1 }, |n| n + step);
    let seam = worst().nth(next.checked_rem_euclid(count)? as usize)?;
    Some(Command::Mosaic(MosaicCommand::SelectSeam(Some(seam.fields))))
}

/// Keys in words, "Ctrl+Shift+O".
pub fn key_words(modifiers: Modifiers, key: Key, mac: bool) -> String {
    let mut out = String::new();
    let mut add = |held: bool, there: &str, elsewhere: &str| {
        if held {
            out.push_str(if mac { there } else { elsewhere });
        }
    };
    add(modifiers.command, "⌘", "Ctrl+");
    add(modifiers.alt, "⌥", "Alt+");
    add(modifiers.shift, "⇧", "Shift+");
    out.push_str(match key {
        Key::Plus => "+",
        Key::Minus => "−",
        Key::Backslash => "\\",
        Key::Questionmark => "?",
        Key::ArrowLeft => "←",
        Key::ArrowRight => "→",
        Key::ArrowUp => "↑",
        Key::ArrowDown => "↓",
        Key::Escape => "Esc",
        other => other.name(),
    });
    out
}

/// The first key of an action in words; empty where it has none.
pub fn words_of(action: Action, ctx: &egui::Context) -> String {
    let mac = ctx.os().is_mac();
    let first = action.shortcut().and_then(|s| s.keys.first());
    first.map_or_else(String::new, |&(modifiers, key)| key_words(modifiers, key, mac))
}

/// Whether a key press is one of the table's keys. Symbols may need Shift on some keyboards, so it is not asked for.
fn matches(wanted: (Modifiers, Key), held: Modifiers, key: Key) -> bool {
    let (modifiers, wanted_key) = wanted;
    let symbol = matches!(wanted_key, Key::Plus | Key::Equals | Key::Minus | Key::Backslash | Key::Questionmark);
    key == wanted_key
        && modifiers.command == held.command
        && modifiers.alt == held.alt
        && (symbol || modifiers.shift == held.shift)
}

/// Takes the keys of the table out of the input and turns them into commands.
///
/// Nothing is taken while a text field has the focus; arrows are left to a focused control.
pub fn take_shortcuts(ctx: &egui::Context, session: &Session, commands: &mut Vec<Command>) {
    if ctx.text_edit_focused() {
        return;
    }
    let text_selected = ctx.plugin::<egui::text_selection::LabelSelectionState>().lock().has_selection();
    let focused = ctx.memory(|m| m.focused()).is_some();
    ctx.input_mut(|input| {
        input.events.retain(|event| {
            // The system's copy key comes as a wish of its own; text that is selected is copied by whoever shows it.
            if matches!(event, egui::Event::Copy) && !text_selected {
                let command = Action::CopyView.command(session);
                commands.extend(command);
                return true;
            }
            let egui::Event::Key { key, pressed: true, modifiers, .. } = *event else { return true };
            let arrow = matches!(key, Key::ArrowLeft | Key::ArrowRight | Key::ArrowUp | Key::ArrowDown);
            if focused && arrow {
                return true;
            }
            let found = TABLE.iter().find(|s| s.keys.iter().any(|&k| matches(k, modifiers, key)));
            let command = found.and_then(|s| s.action.command(session));
            let taken = command.is_some();
            commands.extend(command);
            !taken
        });
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_stands_for_two_things() {
        let keys: Vec<_> = TABLE.iter().flat_map(|s| s.keys.iter().map(move |k| (s.words, *k))).collect();
        for (place, (words, wanted)) in keys.iter().enumerate() {
            for (other, (modifiers, key)) in &keys[place + 1..] {
                assert!(!matches(*wanted, *modifiers, *key), "{words} and {other}");
            }
        }
    }

    #[test]
    fn keys_are_written_as_people_know_them() {
        assert_eq!(key_words(CTRL_SHIFT, Key::O, false), "Ctrl+Shift+O");
        assert_eq!(key_words(CTRL, Key::O, true), "⌘O");
        assert_eq!(key_words(NONE, Key::ArrowLeft, false), "←");
    }
}
