//! Changes that can be taken back.

use super::command::ImageId;
use crate::engine::{MosaicEdits, OpenAs};
use crate::pyramid::Calibration;
use std::sync::Arc;

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
    /// Something was decided about a mosaic.
    Mosaic {
        /// Which mosaic.
        image: ImageId,
        /// What it was, in words for a menu.
        words: &'static str,
        /// All decisions before the change.
        before: Arc<MosaicEdits>,
        /// All decisions after it.
        after: Arc<MosaicEdits>,
    },
    /// Files were opened another way.
    Regroup {
        /// What it was, in words for a menu.
        words: &'static str,
        /// How they were open before.
        before: Vec<OpenAs>,
        /// How they are open after.
        after: Vec<OpenAs>,
    },
}

impl Edit {
    /// The image that the change belongs to, where it belongs to one.
    pub fn image(&self) -> Option<ImageId> {
        match self {
            Self::PixelSize { image, .. } | Self::Mosaic { image, .. } => Some(*image),
            Self::Regroup { .. } => None,
        }
    }

    /// What it did, in words for a menu.
    pub fn words(&self) -> &'static str {
        match self {
            Self::PixelSize { .. } => "set pixel size",
            Self::Mosaic { words, .. } | Self::Regroup { words, .. } => words,
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
        self.done.retain(|e| e.image().is_none_or(&is_open));
        self.undone.retain(|e| e.image().is_none_or(&is_open));
    }
}
