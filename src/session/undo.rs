//! Changes that can be taken back.

use super::command::ImageId;
use crate::pyramid::Calibration;

/// Changes that are remembered: enough for a morning's work, a few bytes each.
const MAX_EDITS: usize = 200;

/// A micrometre scale and how it is known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PixelSize {
    /// Micrometres a pixel, x and y.
    pub um_per_px: Option<[f64; 2]>,
    /// How that is known.
    pub calibration: Calibration,
}

/// One change, with what is needed to go both ways.
#[derive(Debug, Clone, PartialEq)]
pub enum Edit {
    /// The pixel size of an image was set.
    PixelSize {
        /// Which image.
        image: ImageId,
        /// Before the change.
        before: PixelSize,
        /// After it.
        after: PixelSize,
    },
}

impl Edit {
    /// The image that the change belongs to.
    pub fn image(&self) -> ImageId {
        match self {
            Self::PixelSize { image, .. } => *image,
        }
    }

    /// What it did, in words for a menu.
    pub fn words(&self) -> &'static str {
        match self {
            Self::PixelSize { .. } => "set pixel size",
        }
    }
}

/// What was done and what was taken back.
#[derive(Debug, Default)]
pub struct UndoStack {
    done: Vec<Edit>,
    undone: Vec<Edit>,
}

impl UndoStack {
    /// Remembers a change that was just made.
    pub fn push(&mut self, edit: Edit) {
        self.undone.clear();
        self.done.push(edit);
        if self.done.len() > MAX_EDITS {
            self.done.remove(0);
        }
    }

    /// The change to take back now.
    pub fn undo(&mut self) -> Option<Edit> {
        let edit = self.done.pop()?;
        self.undone.push(edit.clone());
        Some(edit)
    }

    /// The change to make again now.
    pub fn redo(&mut self) -> Option<Edit> {
        let edit = self.undone.pop()?;
        self.done.push(edit.clone());
        Some(edit)
    }

    /// The change that undo would take back.
    pub fn next_undo(&self) -> Option<&Edit> {
        self.done.last()
    }

    /// The change that redo would make again.
    pub fn next_redo(&self) -> Option<&Edit> {
        self.undone.last()
    }

    /// Drops the changes of images that are no longer open.
    pub fn retain(&mut self, is_open: impl Fn(ImageId) -> bool) {
        self.done.retain(|e| is_open(e.image()));
        self.undone.retain(|e| is_open(e.image()));
    }
}
