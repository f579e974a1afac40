//! A mosaic on the canvas: where its fields are drawn while they glide, what is selected, what is being dragged.

use crate::engine::{MosaicEdits, MosaicPhase, MosaicSet, MosaicState, OpenedSet, Seam};
use crate::geom::{Point, Rect, Size};
use crate::mosaic::seam::Midline;
use crate::stitch::solve::Hand;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How long fields take to their new places: long enough to follow, short enough not to wait for.
const GLIDE_SECS: f64 = 0.4;
/// Fused tiles are worth making once nothing has moved for this long.
pub const SETTLE_SECS: f64 = 0.3;
/// How long the two fields of a selected seam flicker.
const FLICKER_SECS: f64 = 4.0;
/// How long each of the two is seen: slow enough for everyone's eyes.
const FLICKER_TURN_SECS: f64 = 0.4;
/// A field that is to move less than this, in pixels, does not glide.
const STILL_PX: f64 = 1e-6;

/// Whether seams are drawn over the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SeamsOverlay {
    /// While the alignment works, and after it where there is something to look at.
    #[default]
    Auto,
    /// The user wants them.
    Shown,
    /// The user wants them gone.
    Hidden,
}

/// What of a mosaic is selected.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Selection {
    /// Nothing.
    #[default]
    Nothing,
    /// The seam of two fields, since when in seconds.
    Seam { fields: (u32, u32), since_secs: f64 },
    /// A field.
    Field(u32),
}

/// Two fields that are compared: the first in cyan, the second in magenta.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flicker {
    /// The fields.
    pub fields: (u32, u32),
    /// The one that is seen now; `None`: both, one over the other, where motion is off.
    pub only: Option<u32>,
}

/// A mosaic as the window shows it.
#[derive(Debug, Clone)]
pub struct MosaicView {
    /// What of it stays as it is.
    pub set: Arc<MosaicSet>,
    /// How it stands, as the engine last said.
    pub state: Arc<MosaicState>,
    /// What the user decided.
    pub edits: Arc<MosaicEdits>,
    /// Whether seams are drawn.
    pub overlay: SeamsOverlay,
    /// What is selected.
    pub selection: Selection,
    /// The round that is shown.
    pub round: u16,
    /// Top-left corners of the fields as they are drawn now, image coordinates of the state's geometry.
    shown: Vec<Point>,
    glide: Option<Glide>,
    drag: Option<(u32, Point)>,
    moved_secs: Option<f64>,
}

/// Fields on their way.
#[derive(Debug, Clone)]
struct Glide {
    from: Vec<Point>,
    /// Pixels a second at the start, so that a new goal makes no jerk.
    speed: Vec<Point>,
    since_secs: f64,
}

impl MosaicView {
    pub(super) fn new(set: &OpenedSet) -> Option<Self> {
        let mosaic = set.mosaic.as_ref()?;
        Some(Self {
            set: mosaic.clone(),
            state: mosaic.state.clone(),
            edits: mosaic.saved.clone(),
            overlay: SeamsOverlay::Auto,
            selection: Selection::Nothing,
            round: mosaic.saved.round,
            shown: places(&mosaic.state),
            glide: None,
            drag: None,
            moved_secs: None,
        })
    }

    /// Where the fields are drawn now: top-left corners in image coordinates of `state.geometry`, animated.
    pub fn positions(&self) -> &[Point] {
        &self.shown
    }

    /// Whether fields are on their way or being dragged.
    pub fn is_moving(&self) -> bool {
        self.glide.is_some() || self.drag.is_some()
    }

    /// When fields last moved, seconds on the window's clock.
    pub fn moved_secs(&self) -> Option<f64> {
        self.moved_secs
    }

    /// Whether the fields' own tiles are to be drawn, where a field is large enough on the screen: while they move and
    /// for [`SETTLE_SECS`] after.
    pub fn draws_fields(&self, now_secs: f64) -> bool {
        self.is_moving() || self.moved_secs.is_some_and(|at| now_secs - at < SETTLE_SECS)
    }

    /// The field that is being dragged.
    pub fn dragged(&self) -> Option<u32> {
        self.drag.map(|(field, _)| field)
    }

    /// The rectangle of a field as it is drawn now.
    pub fn field_rect(&self, field: u32) -> Option<Rect> {
        let min = *self.shown.get(field as usize)?;
        let size = self.state.geometry.fields.get(field as usize)?.size;
        Some(Rect::new(min, min + extent(size)))
    }

    /// The field under a place of the image: of several the one whose middle is nearest.
    pub fn field_at(&self, place: Point) -> Option<u32> {
        let inside = |r: &Rect| (r.min.x..r.max.x).contains(&place.x) && (r.min.y..r.max.y).contains(&place.y);
        (0..self.shown.len() as u32)
            .filter_map(|field| self.field_rect(field).filter(inside).map(|r| (r.center().distance(place), field)))
            .min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)))
            .map(|(_, field)| field)
    }

    /// The ends of a seam as the fields are drawn now; `None` where they do not overlap.
    pub fn seam_segment(&self, fields: (u32, u32)) -> Option<(Point, Point)> {
        let of = |field: u32| Some((field, self.field_rect(field)?));
        Some(Midline::between(of(fields.0)?, of(fields.1)?)?.ends(self.overlap(fields)?))
    }

    /// The overlap of two fields as they are drawn now.
    pub fn overlap(&self, (a, b): (u32, u32)) -> Option<Rect> {
        self.field_rect(a)?.intersect(self.field_rect(b)?)
    }

    /// What lies between the fields of the selected seam where they were pulled apart: the shortest line across; `None`
    /// where they meet, or nothing is known of the two.
    pub fn selected_gap(&self) -> Option<(Point, Point)> {
        let seam = self.selected_seam().filter(|s| s.status.is_some() && self.overlap(s.fields).is_none())?;
        let (a, b) = (self.field_rect(seam.fields.0)?, self.field_rect(seam.fields.1)?);
        // Along an axis in which both reach over the same stretch, the line lies in its middle.
        let across = |a: [f64; 2], b: [f64; 2]| match (a[0].max(b[0]), a[1].min(b[1])) {
            (start, end) if start <= end => ((start + end) / 2.0, (start + end) / 2.0),
            _ if a[1] < b[0] => (a[1], b[0]),
            _ => (a[0], b[1]),
        };
        let (ax, bx) = across([a.min.x, a.max.x], [b.min.x, b.max.x]);
        let (ay, by) = across([a.min.y, a.max.y], [b.min.y, b.max.y]);
        Some((Point::new(ax, ay), Point::new(bx, by)))
    }

    /// What the view shows of a selected seam: its overlap with some of the fields around it.
    pub fn seam_frame(&self, fields: (u32, u32)) -> Option<Rect> {
        let overlap = self.overlap(fields).or_else(|| {
            // They were pulled apart: what lies between their middles.
            let (a, b) = (self.field_rect(fields.0)?, self.field_rect(fields.1)?);
            Rect::around([a.center(), b.center()])
        })?;
        let margin = overlap.width().min(overlap.height());
        let margin = Point::new(margin, margin);
        Some(Rect::new(overlap.min - margin, overlap.max + margin))
    }

    /// Whether seams are drawn.
    pub fn seams_shown(&self) -> bool {
        match self.overlay {
            SeamsOverlay::Shown => true,
            SeamsOverlay::Hidden => false,
            SeamsOverlay::Auto => match self.state.phase {
                MosaicPhase::Aligning { .. } | MosaicPhase::NotAligned(_) => true,
                MosaicPhase::Aligned => self.state.seams.worst().len() > 0,
                MosaicPhase::LaidOut | MosaicPhase::Loaded | MosaicPhase::Unaligned => false,
            },
        }
    }

    /// The seam that is selected.
    pub fn selected_seam(&self) -> Option<&Seam> {
        match self.selection {
            Selection::Seam { fields, .. } => self.state.seams.of(fields),
            Selection::Nothing | Selection::Field(_) => None,
        }
    }

    /// The comparison of the two fields of the selected seam, for a while after it was selected.
    pub fn flicker(&self, now_secs: f64, motion: bool) -> Option<Flicker> {
        let Selection::Seam { fields, since_secs } = self.selection else { return None };
        let elapsed = now_secs - since_secs;
        if !(0.0..FLICKER_SECS).contains(&elapsed) {
            return None;
        }
        let second = (elapsed / FLICKER_TURN_SECS) as u64 % 2 == 1;
        let only = motion.then_some(if second { fields.1 } else { fields.0 });
        Some(Flicker { fields, only })
    }

    /// How many fields were moved by hand: the fewest that explain all shifts that were set.
    pub fn moved_by_hand(&self) -> usize {
        let is_shift = |(_, hand): &(&(u32, u32), &Hand)| matches!(hand, Hand::Shift(_));
        let mut shifts: Vec<(u32, u32)> = self.edits.hand.edges.iter().filter(is_shift).map(|(&f, _)| f).collect();
        let mut moved = 0;
        // A moved field has a shift to each of its neighbours, so the one with the most of them is it.
        while !shifts.is_empty() {
            let mut counts = BTreeMap::new();
            shifts.iter().for_each(|&(a, b)| [a, b].iter().for_each(|&f| *counts.entry(f).or_insert(0) += 1));
            let most = counts.into_iter().max_by_key(|&(field, count)| (count, std::cmp::Reverse(field)));
            let Some((field, _)) = most else { break };
            shifts.retain(|&(a, b)| a != field && b != field);
            moved += 1;
        }
        moved
    }

    /// What the user should know about rounds, while there are several.
    pub fn round_notice(&self) -> Option<String> {
        let rounds = self.set.rounds();
        (rounds > 1).then(|| {
            format!("Round {} of {rounds} is shown by itself: rounds are not registered to each other", self.round + 1)
        })
    }

    /// Takes in how the mosaic stands now. Returns how far the image's coordinates moved.
    pub(super) fn take(&mut self, state: Arc<MosaicState>, motion: bool, now_secs: f64) -> Point {
        let reframed = self.state.geometry.origin - state.geometry.origin;
        let speed = self.speeds(now_secs);
        self.state = state;
        let goal = self.goal();
        if self.shown.len() != goal.len() {
            self.shown = goal;
            self.glide = None;
            self.moved_secs = Some(now_secs);
            return reframed;
        }
        self.shown.iter_mut().for_each(|p| *p = *p + reframed);
        let is_there = self.shown.iter().zip(&goal).all(|(a, b)| a.distance(*b) < STILL_PX);
        if is_there {
            self.shown = goal;
            self.glide = None;
        } else if motion {
            self.glide = Some(Glide { from: self.shown.clone(), speed, since_secs: now_secs });
            self.moved_secs = Some(now_secs);
        } else {
            self.shown = goal;
            self.glide = None;
            self.moved_secs = Some(now_secs);
        }
        reframed
    }

    /// Moves the fields to a time. Returns how far the field under `anchor` moved; true while there is more to come.
    pub(super) fn advance(&mut self, now_secs: f64, anchor: Option<Point>) -> (Point, bool) {
        let mut moved = Point::default();
        if let Some(glide) = &self.glide {
            let held = anchor.and_then(|place| self.field_at(place)).map(|f| f as usize);
            let before = held.and_then(|f| self.shown.get(f).copied());
            let goal = self.goal();
            let s = ((now_secs - glide.since_secs) / GLIDE_SECS).clamp(0.0, 1.0);
            let shown: Vec<Point> = if s >= 1.0 {
                goal
            } else {
                let starts = glide.from.iter().zip(&glide.speed);
                starts.zip(&goal).map(|((&from, &speed), &to)| on_the_way(from, speed, to, s)).collect()
            };
            self.shown = shown;
            self.moved_secs = Some(now_secs);
            if s >= 1.0 {
                self.glide = None;
            }
            if let (Some(before), Some(after)) = (before, held.and_then(|f| self.shown.get(f))) {
                moved = *after - before;
            }
        }
        let settling = self.moved_secs.is_some_and(|at| now_secs - at < SETTLE_SECS);
        let flickers =
            matches!(self.selection, Selection::Seam { since_secs, .. } if now_secs - since_secs < FLICKER_SECS);
        (moved, self.glide.is_some() || settling || flickers)
    }

    /// Moves a field by hand, from where it stands.
    pub(super) fn drag(&mut self, field: u32, by: Point, now_secs: f64) {
        if by.x.is_finite() && by.y.is_finite() && (field as usize) < self.shown.len() {
            self.glide = None;
            self.drag = Some((field, by));
            self.shown = self.goal();
            self.moved_secs = Some(now_secs);
        }
    }

    /// The decisions about seams that come of letting go of the field now.
    pub(super) fn dropped(&self) -> Vec<((u32, u32), Hand)> {
        let Some((field, _)) = self.drag else { return Vec::new() };
        let shift = |fields: (u32, u32)| {
            let place = |f: u32| self.shown.get(f as usize).copied();
            Some((fields, Hand::Shift(place(fields.1)? - place(fields.0)?)))
        };
        let of_field: Vec<(u32, u32)> =
            self.state.seams.iter().map(|s| s.fields).filter(|f| f.0 == field || f.1 == field).collect();
        let meeting: Vec<(u32, u32)> = of_field.iter().copied().filter(|&f| self.overlap(f).is_some()).collect();
        // A field that was pulled off all its neighbours keeps its distance to them.
        let held = if meeting.is_empty() { of_field } else { meeting };
        held.into_iter().filter_map(shift).collect()
    }

    /// Ends a drag; the field stays where it was dropped until the engine has solved anew.
    pub(super) fn end_drag(&mut self) {
        self.drag = None;
    }

    /// Ends a drag without a trace.
    pub(super) fn cancel_drag(&mut self, motion: bool, now_secs: f64) {
        if self.drag.take().is_some() {
            let state = self.state.clone();
            self.take(state, motion, now_secs);
        }
    }

    /// Where the fields are going.
    fn goal(&self) -> Vec<Point> {
        let mut goal = places(&self.state);
        if let Some((field, by)) = self.drag
            && let Some(place) = goal.get_mut(field as usize)
        {
            *place = *place + by;
        }
        goal
    }

    fn speeds(&self, now_secs: f64) -> Vec<Point> {
        let Some(glide) = &self.glide else { return vec![Point::default(); self.shown.len()] };
        let goal = self.goal();
        let s = ((now_secs - glide.since_secs) / GLIDE_SECS).clamp(0.0, 1.0);
        let starts = glide.from.iter().zip(&glide.speed);
        starts.zip(&goal).map(|((&from, &speed), &to)| speed_on_the_way(from, speed, to, s)).collect()
    }
}

/// A place on the way from one point with a speed to another at rest; `s` is the share of [`GLIDE_SECS`] that is over.
fn on_the_way(from: Point, speed: Point, to: Point, s: f64) -> Point {
    let (s2, s3) = (s * s, s * s * s);
    from * (2.0 * s3 - 3.0 * s2 + 1.0) + speed * (GLIDE_SECS * (s3 - 2.0 * s2 + s)) + to * (3.0 * s2 - 2.0 * s3)
}

/// The speed there, pixels a second.
fn speed_on_the_way(from: Point, speed: Point, to: Point, s: f64) -> Point {
    let s2 = s * s;
    (to - from) * ((6.0 * s - 6.0 * s2) / GLIDE_SECS) + speed * (3.0 * s2 - 4.0 * s + 1.0)
}

fn places(state: &MosaicState) -> Vec<Point> {
    state.geometry.fields.iter().map(|f| f.position).collect()
}

fn extent(size: Size) -> Point {
    Point::new(f64::from(size.width), f64::from(size.height))
}
