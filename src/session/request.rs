//! What a session wants done outside it: by the engine, by the system, by the window.

use super::{ExportPlan, PicturePlan};
use crate::engine::{JobId, MosaicEdits, OpenAs};
use crate::pyramid::{PlaneId, SetId};
use std::path::PathBuf;
use std::sync::Arc;

/// What the session wants done outside it.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// Open a path.
    Open(PathBuf),
    /// Make and open the demo.
    Demo,
    /// Close an image set.
    Close(SetId),
    /// Remove a path's prepared data and thumbnail.
    Forget(PathBuf),
    /// Stop a job.
    Cancel(JobId),
    /// Read the values at a pixel.
    Sample { set: SetId, planes: Vec<PlaneId>, x: u32, y: u32 },
    /// Decode an associated picture.
    Associated { set: SetId, index: usize },
    /// Fetch stored thumbnails.
    Thumbnails(Vec<PathBuf>),
    /// Write a settings text.
    SaveText { name: &'static str, text: String },
    /// Read a settings text.
    LoadText(&'static str),
    /// Show the dialog for files.
    AskForFiles,
    /// Show the dialog for a folder.
    AskForFolder,
    /// Take over what the user decided about a mosaic.
    EditMosaic { set: SetId, edits: Arc<MosaicEdits> },
    /// Align a mosaic anew.
    AlignAgain(SetId),
    /// Read places of fields from a file.
    LoadPositions { set: SetId, path: PathBuf },
    /// Write places of fields to a file.
    SavePositions { set: SetId, path: PathBuf },
    /// Open files in a certain way.
    OpenAs(OpenAs),
    /// Show the dialog for a file to read places from.
    AskToLoadPositions,
    /// Show the dialog for a file to write places to.
    AskToSavePositions,
    /// Show the dialog for an image of even light, for some channels.
    AskForProfile(Vec<u16>),
    /// Give the window this size in points.
    ResizeWindow([f32; 2]),
    /// Show the dialog for the file that an export writes, proposing this one.
    AskForExportFile(PathBuf),
    /// Write an export.
    Export(Box<ExportPlan>),
    /// Put a picture of the view on the clipboard.
    CopyView(Box<PicturePlan>),
    /// Put a text on the clipboard.
    CopyText(String),
    /// Show a file in the system's file manager.
    ShowInFolder(PathBuf),
    /// End the program.
    Quit,
}
