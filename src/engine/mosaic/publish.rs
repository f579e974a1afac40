//! From what is known of a mosaic to what is shown: pure, and quick enough to be done at every change.

use super::{Evenness, MosaicEdits, MosaicPhase, MosaicState, Seam, Seams};
use crate::error::{Error, Result};
use crate::geom::{Point, Size};
use crate::image_set::{FieldSet, GridLayout, Layout};
use crate::mosaic::{Alignment, Geometry, Illumination, MaxShift, Profile, Verdict};
use crate::pyramid::ImageInfo;
use crate::stitch::report::EdgeReport;
use crate::stitch::solve::{Hand, PlacedBy};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Two fields whose overlap is longer than this share of a field's side have a seam; those that meet at a corner have not.
const LEAST_SEAM_SHARE: f64 = 0.25;

/// How far the measurement of a mosaic is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Measured {
    /// Nothing was measured, or it was called off.
    No,
    /// It is going on: steps done, and in all.
    Now(u64, u64),
    /// It is done.
    Yes,
    /// It could not be done, in words.
    Failed(String),
}

/// What is known of a mosaic.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    /// The fields with corrections of the layout.
    pub field_set: Arc<FieldSet>,
    /// How far the measurement is.
    pub measured: Measured,
    /// What came of it so far.
    pub alignment: Option<Arc<Alignment>>,
    /// What is known about the illumination.
    pub evenness: Evenness,
    /// The light that may be evened out: what the user brought, else what was estimated.
    pub illumination: Option<Arc<Illumination>>,
    /// The estimate alone.
    pub estimated: Option<Arc<Illumination>>,
    /// Profiles that the user brought, by channel.
    pub imported: BTreeMap<u16, Arc<Profile>>,
    /// The corrected grid that `field_set` was laid out by.
    pub laid_out_by: Option<GridLayout>,
    /// The decisions that were last looked at during a measurement.
    pub revision: u64,
}

impl Facts {
    /// Puts the light together from the estimate and what the user brought, for a mosaic of so many channels.
    pub fn mix_light(&mut self, channels: u16) {
        let estimated = |channel: u16| self.estimated.as_ref().and_then(|light| light.profile(channel));
        let profile = |channel: u16| self.imported.get(&channel).or_else(|| estimated(channel)).cloned();
        let profiles: Vec<Option<Arc<Profile>>> = (0..channels).map(profile).collect();
        self.illumination = profiles.iter().any(Option::is_some).then(|| Arc::new(Illumination::new(profiles)));
    }
}

/// How a mosaic stands by these facts and decisions; `before` is how it stood, whose geometry is kept where nothing of it
/// changes. `repaint` asks for a new generation in any case.
pub(super) fn state_of(
    facts: &Facts,
    edits: &MosaicEdits,
    fields: &[ImageInfo],
    before: Option<&MosaicState>,
    repaint: bool,
) -> Result<MosaicState> {
    let set = &facts.field_set;
    let sizes: Vec<Size> = set.fields.iter().map(|f| f.size).collect();
    let nominal = nominal_of(facts);
    let places = places(facts, edits, &nominal);
    let max_shift_px = max_shift_px(edits, set)?;
    let margin = max_shift_px[0].max(max_shift_px[1]).ceil();
    let generation = before.map_or(1, |b| b.geometry.generation + 1);
    let geometry = Geometry::new(generation, &nominal, &places, &sizes, edits.blend, edits.placement, margin)?;
    let (geometry, info) = match before {
        Some(before) if !repaint && is_same(&before.geometry, &geometry) => {
            (before.geometry.clone(), before.info.clone())
        }
        _ => {
            let info = geometry.image_info(&set.name, fields);
            let info = info.ok_or_else(|| Error::format("there is no field in this set", &set.path))?;
            (Arc::new(geometry), Arc::new(info))
        }
    };
    let nominal: Arc<[Point]> = nominal.iter().map(|p| *p - geometry.origin).collect();
    let layout = match (&facts.alignment, &set.layout) {
        (Some(alignment), Layout::Grid(grid)) => Some(alignment.grid.unwrap_or(*grid)),
        (None, Layout::Grid(grid)) => Some(*grid),
        (Some(alignment), Layout::Stage | Layout::File(_)) => alignment.grid,
        (None, Layout::Stage | Layout::File(_)) => None,
    };
    Ok(MosaicState {
        seams: seams(&geometry, facts.alignment.as_deref(), edits).into(),
        phase: phase(facts, edits),
        layout,
        nominal,
        alignment: facts.alignment.clone(),
        max_shift_px,
        evenness: facts.evenness.clone(),
        imported: facts.imported.keys().copied().collect(),
        illumination: facts.illumination.clone().filter(|_| edits.even_illumination),
        geometry,
        info,
    })
}

/// Where the fields are shown, layout coordinates.
pub(super) fn shown_places(facts: &Facts, edits: &MosaicEdits) -> Vec<Point> {
    places(facts, edits, &nominal_of(facts))
}

/// The nominal layout: the set's, or as it was found out to be.
fn nominal_of(facts: &Facts) -> Vec<Point> {
    let of_set = || facts.field_set.fields.iter().map(|f| f.nominal);
    match &facts.alignment {
        Some(alignment) if alignment.nominal.len() == of_set().len() => alignment.nominal.clone(),
        _ => of_set().collect(),
    }
}

/// The largest shift that is searched, in pixels per axis; the default where what was decided makes no sense here.
fn max_shift_px(edits: &MosaicEdits, set: &FieldSet) -> Result<[f64; 2]> {
    let shift = MaxShift::in_px(edits.options.max_shift, set).or_else(|_| MaxShift::in_px(None, set))?;
    Ok([shift.x, shift.y])
}

fn phase(facts: &Facts, edits: &MosaicEdits) -> MosaicPhase {
    if let Measured::Now(done, total) = facts.measured {
        return MosaicPhase::Aligning { done, total };
    }
    if edits.show_unaligned {
        return MosaicPhase::Unaligned;
    }
    if edits.positions.is_some() {
        return MosaicPhase::Loaded;
    }
    match (&facts.measured, facts.alignment.as_ref().map(|a| &a.verdict)) {
        (Measured::Failed(why), _) => MosaicPhase::NotAligned(why.clone()),
        (_, Some(Verdict::Aligned)) => MosaicPhase::Aligned,
        (_, Some(Verdict::NotAligned(why))) => MosaicPhase::NotAligned(why.clone()),
        (_, Some(Verdict::Nominal) | None) => MosaicPhase::LaidOut,
    }
}

/// Where the fields are to be shown, layout coordinates.
fn places(facts: &Facts, edits: &MosaicEdits, nominal: &[Point]) -> Vec<Point> {
    if edits.show_unaligned {
        return nominal.to_vec();
    }
    if let Some(loaded) = &edits.positions {
        return filled_up(&loaded.places, nominal);
    }
    match &facts.alignment {
        Some(alignment) if alignment.positions.len() == nominal.len() => match alignment.verdict {
            Verdict::Aligned => alignment.positions.clone(),
            Verdict::Nominal | Verdict::NotAligned(_) => nominal.to_vec(),
        },
        _ => nominal.to_vec(),
    }
}

/// Places from a file may be anywhere, and some may be missing: those stand where the layout says, shifted as the median
/// of the others is.
fn filled_up(places: &[Option<Point>], nominal: &[Point]) -> Vec<Point> {
    let known = || places.iter().zip(nominal).filter_map(|(place, nominal)| Some(place.as_ref().copied()? - *nominal));
    let median = |of: fn(Point) -> f64| {
        let mut all: Vec<f64> = known().map(of).collect();
        all.sort_by(f64::total_cmp);
        all.get(all.len() / 2).copied().unwrap_or(0.0)
    };
    let shift = Point::new(median(|p| p.x), median(|p| p.y));
    nominal
        .iter()
        .enumerate()
        // The mosaic stays where it is; only the fields' places to each other count.
        .map(|(field, nominal)| places.get(field).copied().flatten().map_or(*nominal, |place| place - shift))
        .collect()
}

fn is_same(a: &Geometry, b: &Geometry) -> bool {
    a.fields == b.fields && a.size == b.size && a.origin == b.origin && a.blend == b.blend && a.placement == b.placement
}

/// All seams under a geometry.
fn seams(geometry: &Geometry, alignment: Option<&Alignment>, edits: &MosaicEdits) -> Seams {
    let mut measured: BTreeMap<(u32, u32), &EdgeReport> = BTreeMap::new();
    let mut by_stage: Vec<bool> = Vec::new();
    if let Some(alignment) = alignment {
        for edge in &alignment.report.edges {
            let (a, b) = (edge.a.min(edge.b) as u32, edge.a.max(edge.b) as u32);
            measured.insert((a, b), edge);
        }
        by_stage = alignment.report.fields.iter().map(|f| f.placed_by == PlacedBy::Stage).collect();
    }
    let mut seams = Vec::new();
    for a in 0..geometry.fields.len() as u32 {
        let others = geometry.neighbours(a).into_iter().filter(|&b| b > a);
        let mut others: Vec<u32> =
            others.filter(|&b| is_seam(geometry, a, b) || measured.contains_key(&(a, b))).collect();
        // Fields that were pulled apart are still a pair that was measured.
        let apart = measured.range((a, 0)..=(a, u32::MAX)).map(|(&(_, b), _)| b);
        others.extend(apart.filter(|&b| geometry.rect(a).intersect(geometry.rect(b)).is_none()));
        others.sort_unstable();
        others.dedup();
        for b in others {
            let edge = measured.get(&(a, b));
            let (rect_a, rect_b) = (geometry.rect(a), geometry.rect(b));
            let gap = || crate::geom::Rect::around([rect_a.center(), rect_b.center()]).unwrap_or_default();
            let overlap = rect_a.intersect(rect_b).unwrap_or_else(gap);
            let is_loose = |field: u32| by_stage.get(field as usize).copied().unwrap_or(false);
            seams.push(Seam {
                fields: (a, b),
                overlap,
                status: edge.map(|e| e.status),
                residual_px: edge.and_then(|e| e.residual_px),
                alone: edge.is_some_and(|e| e.alone),
                ncc: edge.and_then(|e| e.ncc),
                hand: edits.hand.edges.get(&(a, b)).copied().unwrap_or(Hand::Off),
                holds: is_loose(a) || is_loose(b),
                number: None,
            });
        }
    }
    Seams::new(seams)
}

/// Whether two overlapping fields lie side by side.
fn is_seam(geometry: &Geometry, a: u32, b: u32) -> bool {
    let (rect_a, rect_b) = (geometry.rect(a), geometry.rect(b));
    rect_a.intersect(rect_b).is_some_and(|overlap| {
        overlap.width() >= LEAST_SEAM_SHARE * rect_a.width().min(rect_b.width())
            || overlap.height() >= LEAST_SEAM_SHARE * rect_a.height().min(rect_b.height())
    })
}
