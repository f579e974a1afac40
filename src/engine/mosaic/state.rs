//! What the engine says of a mosaic, frozen: where its fields stand now, how far the alignment is, how good its seams are.

use crate::geom::{Point, Rect};
use crate::image_set::{FieldSet, GridLayout};
use crate::mosaic::illumination::ChannelLight;
use crate::mosaic::{Alignment, Geometry, Illumination};
use crate::pyramid::ImageInfo;
use crate::stitch::solve::{EdgeStatus, Hand};
use std::sync::Arc;

/// What of a mosaic stays as it is while it is open.
#[derive(Debug, Clone)]
pub struct MosaicSet {
    /// The fields as they were recognised.
    pub fields: Arc<FieldSet>,
    /// The images of the fields, by their number: tiles with `PlaneId::field` below their count are a field's own.
    pub infos: Arc<[ImageInfo]>,
    /// Whether the user said that these files belong together, and nothing else does.
    pub chosen: bool,
    /// What the edits are kept under.
    pub fingerprint: String,
    /// What a person decided in an earlier run.
    pub saved: Arc<super::MosaicEdits>,
    /// How the mosaic stands when it opens.
    pub state: Arc<MosaicState>,
}

impl MosaicSet {
    /// How many rounds there are; they are told apart and never merged.
    pub fn rounds(&self) -> u16 {
        self.fields.channels.iter().map(|c| c.round).max().map_or(1, |last| last.saturating_add(1))
    }

    /// The round of a channel.
    pub fn round_of(&self, channel: u16) -> u16 {
        self.fields.channels.get(usize::from(channel)).map_or(0, |c| c.round)
    }
}

/// How far the alignment of a mosaic is.
#[derive(Debug, Clone, PartialEq)]
pub enum MosaicPhase {
    /// The fields stand where the set says; nothing was measured.
    LaidOut,
    /// Seams are being measured.
    Aligning {
        /// Steps done.
        done: u64,
        /// Steps in all; 0 while unknown.
        total: u64,
    },
    /// The fields stand at solved places.
    Aligned,
    /// The seams say nothing, or contradict each other: the fields stand where the set says, and why, in words.
    NotAligned(String),
    /// The fields stand at places that were read from a file.
    Loaded,
    /// The user wants to see the nominal layout; solved places are kept.
    Unaligned,
}

/// How good a seam is, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SeamQuality {
    /// Accepted, and nothing contradicts it.
    Good,
    /// Accepted, and a little off.
    Fair,
    /// It says nothing, and other seams hold its fields or nothing does.
    NoInformation,
    /// Not measured yet, or a person moved its fields: no measurement says how they fit.
    Unmeasured,
    /// It contradicts the others or does not match.
    Problem,
}

/// An accepted seam that is off by more than this is fair, no longer good, in pixels.
const FAIR_RESIDUAL_PX: f64 = 0.5;
/// An accepted seam that is off by more than this is a problem, in pixels.
const PROBLEM_RESIDUAL_PX: f64 = 2.0;

/// Two overlapping fields and how well they fit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Seam {
    /// The fields' numbers, the smaller first.
    pub fields: (u32, u32),
    /// The overlap, or what lies between their middles, in image coordinates of the geometry it came with.
    pub overlap: Rect,
    /// What became of the measurement; `None` before there is one.
    pub status: Option<EdgeStatus>,
    /// How far the fields are from where this seam wants them, in pixels.
    pub residual_px: Option<f64>,
    /// Whether it alone holds what it joins: the fields stand where it wants them then, and nothing was compared.
    pub alone: bool,
    /// How well the overlaps match, at most 1.
    pub ncc: Option<f64>,
    /// What a person decided.
    pub hand: Hand,
    /// Whether one of the two fields has nothing else to hold it.
    pub holds: bool,
    /// Problem seams are numbered from 1, the worst first.
    pub number: Option<u32>,
}

impl Seam {
    /// How good it is.
    pub fn quality(&self) -> SeamQuality {
        let off_px = self.residual_px.unwrap_or(0.0);
        match self.status {
            None => SeamQuality::Unmeasured,
            Some(EdgeStatus::Accepted | EdgeStatus::AcceptedByHand | EdgeStatus::ShiftedByHand)
                if off_px > PROBLEM_RESIDUAL_PX =>
            {
                SeamQuality::Problem
            }
            Some(EdgeStatus::ShiftedByHand) => SeamQuality::Unmeasured,
            Some(EdgeStatus::Accepted | EdgeStatus::AcceptedByHand) if off_px > FAIR_RESIDUAL_PX => SeamQuality::Fair,
            Some(EdgeStatus::Accepted | EdgeStatus::AcceptedByHand) => SeamQuality::Good,
            Some(EdgeStatus::NoInformation | EdgeStatus::RefusedByHand) => SeamQuality::NoInformation,
            Some(EdgeStatus::Dropped) => SeamQuality::Problem,
            // A poor match between fields that others hold says nothing against their places.
            Some(EdgeStatus::Rejected) if self.holds => SeamQuality::Problem,
            Some(EdgeStatus::Rejected) => SeamQuality::NoInformation,
        }
    }

    /// How far off it is by what it can be compared with, in pixels; `None` where there is nothing: it holds alone, or
    /// its fields stand where a person put them.
    pub fn disagreement_px(&self) -> Option<f64> {
        let is_obeyed = self.status == Some(EdgeStatus::ShiftedByHand) && self.quality() != SeamQuality::Problem;
        self.residual_px.filter(|_| !self.alone && !is_obeyed)
    }
}

/// What is known about the illumination of the fields.
#[derive(Debug, Clone, PartialEq)]
pub enum Evenness {
    /// Nothing yet.
    Unknown,
    /// It is being estimated.
    Estimating,
    /// What was found, by channel: whether evening it out makes overlaps agree better.
    Known(Arc<[ChannelLight]>),
    /// It could not be found out, and why, in words.
    Failed(String),
}

/// How a mosaic stands.
#[derive(Debug, Clone)]
pub struct MosaicState {
    /// Where the fields are shown.
    pub geometry: Arc<Geometry>,
    /// The mosaic as an image under this geometry.
    pub info: Arc<ImageInfo>,
    /// How far the alignment is.
    pub phase: MosaicPhase,
    /// The grid that the fields are laid out on now, where there is one.
    pub layout: Option<GridLayout>,
    /// The nominal layout, image coordinates of this geometry.
    pub nominal: Arc<[Point]>,
    /// Solved places with their report and findings, once there are any.
    pub alignment: Option<Arc<Alignment>>,
    /// All pairs of overlapping fields.
    pub seams: Arc<super::Seams>,
    /// The largest shift that is searched, in pixels per axis.
    pub max_shift_px: [f64; 2],
    /// What is known about the illumination.
    pub evenness: Evenness,
    /// The channels whose profile images were read and stand in for the estimate.
    pub imported: Arc<[u16]>,
    /// The light that is evened out on the screen, where that is switched on.
    pub illumination: Option<Arc<Illumination>>,
}

impl MosaicState {
    /// Whether work on the places is still going on.
    pub fn is_aligning(&self) -> bool {
        matches!(self.phase, MosaicPhase::Aligning { .. })
    }
}

/// Where a value under the pointer comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct SampleSource {
    /// The field's number.
    pub field: u32,
    /// Its name.
    pub name: String,
    /// Column in the field.
    pub x: u32,
    /// Row in the field.
    pub y: u32,
    /// The values with the illumination evened out, by channel, while that is switched on.
    pub corrected: Vec<(u16, Vec<f64>)>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seam_that_nothing_was_compared_with_has_no_disagreement_and_a_moved_one_does_not_fit() {
        let seam = |status: EdgeStatus, residual_px: f64, alone: bool| Seam {
            fields: (0, 1),
            overlap: Rect::default(),
            status: Some(status),
            residual_px: Some(residual_px),
            alone,
            ncc: Some(0.9),
            hand: Hand::Off,
            holds: false,
            number: None,
        };
        let said = |seam: Seam| (seam.quality(), seam.disagreement_px());
        assert_eq!(said(seam(EdgeStatus::Accepted, 0.1, false)), (SeamQuality::Good, Some(0.1)));
        assert_eq!(said(seam(EdgeStatus::Accepted, 0.0, true)), (SeamQuality::Good, None));
        assert_eq!(said(seam(EdgeStatus::ShiftedByHand, 0.1, false)), (SeamQuality::Unmeasured, None));
        assert_eq!(said(seam(EdgeStatus::ShiftedByHand, 0.0, true)), (SeamQuality::Unmeasured, None));
        // Two shifts by hand that contradict each other: a problem, and how far is worth knowing.
        assert_eq!(said(seam(EdgeStatus::ShiftedByHand, 9.0, false)), (SeamQuality::Problem, Some(9.0)));
        assert_eq!(said(seam(EdgeStatus::Dropped, 11.0, false)), (SeamQuality::Problem, Some(11.0)));
    }
}
