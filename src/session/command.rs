//! What the user can ask for: the only way to change a [`super::Session`].

use super::export::ExportCommand;
use super::preferences::{Background, ScrollMode, ThemeChoice};
use crate::engine::{JobId, ProfileFiles, Window};
use crate::geom::{Point, Rect};
use crate::image_set::GridLayout;
use crate::mosaic::{AlignOptions, Blend, Placement};
use crate::pyramid::SetId;
use crate::stitch::solve::Hand;
use crate::view::Camera;
use std::path::PathBuf;

/// One image of an opened set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ImageId {
    /// The set it belongs to.
    pub set: SetId,
    /// Its number within the set.
    pub field: u32,
}

/// A change of the view that is given by its goal, so that it can be animated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ViewMove {
    /// The whole image, as large as it fits; it follows the window's size until the view is moved.
    Fit,
    /// One image pixel on one physical screen pixel, about the centre.
    OneToOne,
    /// A magnification as on a microscope: 10 / (micrometres a physical screen pixel). Needs a pixel size.
    Magnification(f64),
    /// Physical screen pixels an image pixel, as a fraction: 0.5 is 50 %.
    Scale(f64),
    /// Doublings of the zoom about the centre; negative ones zoom out.
    Zoom(f64),
    /// A pan by fractions of the canvas, to the right and down.
    Pan(f64, f64),
    /// Turns the image to an angle, degrees clockwise, about the centre.
    RotateTo(f64),
    /// Mirrors the image about the vertical line through the centre.
    Flip,
    /// Neither turned nor mirrored.
    Upright,
    /// Brings a place of the image (level-0 pixels) to the centre.
    CenterOn(Point),
    /// Shows a part of the image (level-0 pixels) as large as it fits.
    Frame(Rect),
}

/// Which tab the right panel shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RightTab {
    /// Channels, or brightness of a colour image.
    #[default]
    Channels,
    /// How the fields of a mosaic fit.
    Mosaic,
    /// What the file says about itself.
    Metadata,
}

/// Something about a mosaic, for [`Command::Mosaic`]: it is about the mosaic on the canvas.
#[derive(Debug, Clone, PartialEq)]
pub enum MosaicCommand {
    /// Accepts, rejects or frees (`Hand::Off`) the seam of two fields; undoable.
    DecideSeam((u32, u32), Hand),
    /// Decides about all seams of a field; undoable.
    DecideField(u32, Hand),
    /// While a field is dragged: how far it is from where it stood, in image pixels.
    DragField(u32, Point),
    /// The dragged field stays where it is; undoable.
    DropField,
    /// The dragged field goes back.
    CancelDrag,
    /// Takes back all decisions about seams; undoable.
    ForgetHandWork,
    /// Corrects the grid; `None`: as it was recognised; undoable.
    SetLayout(Option<GridLayout>),
    /// Corrects the name pattern; `None`: as it was recognised; undoable.
    SetPattern(Option<String>),
    /// Sets how to align; undoable.
    SetAlignOptions(AlignOptions),
    /// Measures all seams anew.
    AlignAgain,
    /// Shows the nominal layout, or the solved places; undoable.
    ShowUnaligned(bool),
    /// Sets how overlaps are put together; undoable.
    SetBlend(Blend),
    /// Sets whether fields stand on whole pixels; undoable.
    SetPlacement(Placement),
    /// Evens out the illumination on the screen; undoable.
    EvenIllumination(bool),
    /// Takes profile images for some channels, or the estimate for `None`; undoable.
    SetProfiles(Vec<u16>, Option<ProfileFiles>),
    /// Shows the system's dialog for a profile image for some channels.
    AskForProfile(Vec<u16>),
    /// Shows or hides the seams.
    ToggleSeams,
    /// Selects a seam: the view goes there and its two fields flicker for a while.
    SelectSeam(Option<(u32, u32)>),
    /// Selects a field.
    SelectField(Option<u32>),
    /// Shows a round by itself.
    ShowRound(u16),
    /// Takes the solved layout that lies in the folder.
    UseSavedPositions,
    /// Reads places from a file; undoable.
    LoadPositions(PathBuf),
    /// Goes back from places of a file to measured ones; undoable.
    ForgetPositions,
    /// Writes the places to a file: `TileConfiguration` for `.txt`, else CSV.
    SavePositions(PathBuf),
    /// Shows the system's dialog for a file to read places from.
    AskToLoadPositions,
    /// Shows the system's dialog for a file to write places to.
    AskToSavePositions,
}

/// How the pixel size is being set, while it is.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum PixelSizeTool {
    /// It is not being set.
    #[default]
    Closed,
    /// A number is being typed.
    Typing,
    /// A line is drawn along a known length: its ends in image pixels, once the first is set.
    Drawing(Option<(Point, Point)>),
}

/// Everything a user can ask for.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Opens files and folders beside what is open.
    Open(Vec<PathBuf>),
    /// Shows the system's dialog for files.
    AskForFiles,
    /// Shows the system's dialog for a folder.
    AskForFolder,
    /// Opens the synthetic demo images, making them on first use.
    OpenDemo,
    /// Shows an image on the canvas.
    Show(ImageId),
    /// Closes an image set; its prepared data stays for the next time.
    Close(SetId),
    /// Takes a file that could not be opened off the Images list.
    DismissFailed(PathBuf),
    /// Removes every trace of a file: its recent entry, thumbnail, settings and prepared data.
    Forget(PathBuf),
    /// Moves the view to a goal at once; the window animates such moves where motion is on.
    Move(ViewMove),
    /// Puts the view exactly here: a frame of a drag or of an animation.
    SetCamera(Camera),
    /// Switches a channel on or off.
    SetChannelVisible(u16, bool),
    /// Switches the nth channel of the list (from 0).
    ToggleChannel(usize),
    /// Gives a channel a colour.
    SetColor(u16, [u8; 3]),
    /// Sets what a channel shows black and at full colour, in stored values.
    SetWindow(u16, Window),
    /// Sets a channel's automatic range; all channels for `None`.
    AutoWindow(Option<u16>),
    /// Shows a channel's full range; all channels for `None`.
    FullWindow(Option<u16>),
    /// Shows another focus position.
    SetFocus(u16),
    /// Shows another time point.
    SetTime(u16),
    /// Does something with the mosaic on the canvas.
    Mosaic(MosaicCommand),
    /// Opens or closes the choice of images to combine as a mosaic.
    ChooseToCombine(bool),
    /// Opens the files of some open image sets as one mosaic in their place; undoable.
    CombineAsMosaic(Vec<SetId>),
    /// Opens the files of a mosaic each by itself in its place; undoable.
    ShowSeparately(SetId),
    /// Opens, changes or closes the pixel size tool.
    PixelSizeTool(PixelSizeTool),
    /// Sets micrometres a pixel, x and y; undoable.
    SetPixelSize([f64; 2]),
    /// Goes back to the pixel size of the file; undoable.
    ResetPixelSize,
    /// Takes back the last undoable change.
    Undo,
    /// Makes the last change that was taken back again.
    Redo,
    /// Says which place of the image (level-0 pixels) the pointer is on.
    PointAt(Option<Point>),
    /// Sets what scrolling does.
    SetScrollMode(ScrollMode),
    /// Turns the direction of scrolling round.
    SetInvertScroll(bool),
    /// Sets the colour around the tissue.
    SetBackground(Background),
    /// Switches animation on or off.
    SetMotion(bool),
    /// Sets how pixels are drawn above 1:1: smooth, or as squares.
    SetSmoothPixels(bool),
    /// Sets the colours of the window.
    SetTheme(ThemeChoice),
    /// Sets the size of the interface; 1 is normal.
    SetInterfaceScale(f32),
    /// Shows or hides all panels.
    TogglePanels,
    /// Shows or hides the overview map.
    ToggleOverview,
    /// Shows a tab of the right panel.
    ShowTab(RightTab),
    /// Shows or hides the list of keys.
    ToggleKeys,
    /// Stops a job.
    CancelJob(JobId),
    /// Empties the problems list.
    ClearProblems,
    /// Shows an associated picture of the current slide by its number, or none.
    ShowAssociated(Option<usize>),
    /// Remembers the window's size in points.
    SetWindowSize([f32; 2]),
    /// Something of the Export panel.
    Export(ExportCommand),
    /// Ends the program.
    Quit,
}
