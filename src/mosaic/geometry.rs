//! Where the fields of a mosaic stand, and how they are put together: frozen, one generation of it.

use crate::geom::{PixelRect, Point, Size};
use std::sync::Arc;

/// How the pixels of overlapping fields become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub enum Blend {
    /// A soft step of at most 32 px either side of the seam midline; every other pixel is one field's own.
    #[default]
    Feather,
    /// Weighted over the whole overlap.
    Linear,
    /// The mean.
    Average,
    /// The greatest.
    Maximum,
    /// A hard step at the seam midline: every pixel is one field's own.
    None,
}

/// Whether fields stand on whole pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub enum Placement {
    /// Rounded to whole pixels: level-0 samples are the fields' own.
    #[default]
    Whole,
    /// Resampled to the solved fraction of a pixel.
    SubPixel,
}

/// One field in the mosaic.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Placed {
    /// Its top-left corner in image coordinates. Whole numbers under [`Placement::Whole`].
    pub position: Point,
    /// Its size.
    pub size: Size,
}

/// Where all fields stand.
#[derive(Debug, Clone, PartialEq)]
pub struct Geometry {
    /// Goes up with every change, from 1.
    pub generation: u64,
    /// The fields, by their number.
    pub fields: Arc<[Placed]>,
    /// The image's size: the frame.
    pub size: Size,
    /// Layout coordinates of the frame's top-left corner: image = layout - origin.
    pub origin: Point,
    /// The part of the frame that holds fields: what a whole export covers.
    pub extent: PixelRect,
    /// How overlaps are put together.
    pub blend: Blend,
    /// Whether fields stand on whole pixels.
    pub placement: Placement,
}
