//! Aligning a mosaic: from the fields in the store to places, with everything found out on the way.
//!
//! ```text
//! channel -> layout (orientation, order, overlap, by a sample) -> chance -> every overlap -> solve
//! ```
//!
//! Workers measure overlaps in any order; outcomes are kept in the order of the fields, and the last solution starts cold,
//! so the result depends neither on the number of threads nor on how they took turns.

mod candidates;
mod channel;
mod evidence;
mod layout;
mod neighbours;
mod strips;
mod team;

use super::field_index::crowd_words;
use super::{AlignOptions, AlignWatch, Alignment, HandWork, MaxShift, Verdict};
use crate::error::{Error, Result};
use crate::geom::{Point, Rect, Size};
use crate::image_set::{FieldSet, Layout, cells_of_places};
use crate::pyramid::{Cancel, Pyramid};
use crate::stitch::overlap::Axis;
use crate::stitch::pair::{Limits, PairOutcome};
use crate::stitch::report::Report;
use crate::stitch::solve::{Edge, EdgeStatus, FieldPlace, Hand, PlacedBy, Solution, Start, solve};
use layout::{FoundLayout, Sampler};
use neighbours::{axis_of, overlapping};
use parking_lot::Mutex;
use rayon::ThreadPool;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use strips::{FieldReader, Probe};
use team::Team;

/// Provisional places are told at most this often.
const PROVISIONAL_INTERVAL: Duration = Duration::from_millis(100);

/// After provisional places were solved and told, this many times as long passes before the next ones: on large sets the
/// work on them must stay a small part of the whole.
const PROVISIONAL_REST: u32 = 10;

/// A mosaic is aligned if at least this share of the overlaps with something to see agree.
const LEAST_ACCEPTED_SHARE: f64 = 0.1;
/// So few accepted overlaps are believed only if one of them is clear:
const FEW_ACCEPTED: usize = 2;
/// its score is this many times the least one that counts.
const CLEAR_SHARE: f64 = 1.5;

/// Where so many overlaps along an axis show something and none matches, the layout is wrong along that axis.
const ENOUGH_SHOWING: usize = 6;

/// Aligns one round of one set of fields, and keeps what it measured, so that a person's decisions are solved at once.
pub struct Aligner {
    set: Arc<FieldSet>,
    options: AlignOptions,
    round: u16,
    sizes: Vec<Size>,
    max_shift: Point,
    found: Found,
}

/// What was measured.
#[derive(Debug, Clone)]
struct Found {
    channel: u16,
    layout: FoundLayout,
    places: Vec<FieldPlace>,
    edges: Vec<Edge>,
    min_score: f64,
    /// Whether [`Aligner::measure`] ran to its end.
    is_measured: bool,
}

impl Aligner {
    /// Nothing measured: [`Self::solve`] gives the nominal layout.
    ///
    /// Fails where the largest shift is given in micrometres and the set has no pixel size, where the channel that is
    /// named does not exist, and where hundreds of fields stand on one place.
    pub fn new(set: &Arc<FieldSet>, options: AlignOptions) -> Result<Self> {
        let sizes: Vec<Size> = set.fields.iter().map(|f| f.size).collect();
        let max_shift = MaxShift::in_px(options.max_shift, set)?;
        if options.channel.is_some_and(|c| usize::from(c) >= set.channels.len()) {
            return Err(Error::unsupported("there is no such channel to align by", &set.path));
        }
        let round = options.channel.map_or(0, |c| set.channels[usize::from(c)].round);
        let nominal: Vec<Point> = set.fields.iter().map(|f| f.nominal).collect();
        let rect = |(&min, size): (&Point, &Size)| {
            Rect::new(min, min + Point::new(f64::from(size.width), f64::from(size.height)))
        };
        if let Some(crowd) = crowd_words(&nominal.iter().zip(&sizes).map(rect).collect::<Vec<_>>()) {
            return Err(Error::too_large(crowd, &set.path));
        }
        let grid = match &set.layout {
            Layout::Grid(grid) => Some(*grid),
            Layout::Stage | Layout::File(_) => None,
        };
        let layout = FoundLayout {
            nominal,
            cells: set.fields.iter().map(|f| f.row_col).collect(),
            grid,
            findings: Vec::new(),
            trouble: None,
            null: crate::stitch::null::Null::DEFAULT,
        };
        let edges = unmeasured(&overlapping(&layout.nominal, &sizes));
        let found = Found {
            channel: options.channel.unwrap_or(0),
            places: places_of(&layout, &sizes),
            min_score: layout.null.threshold,
            layout,
            edges,
            is_measured: false,
        };
        Ok(Self { set: Arc::clone(set), options, round, sizes, max_shift, found })
    }

    /// Aligns by the channels of another round than the first, where no channel is named.
    pub fn of_round(mut self, round: u16) -> Self {
        if self.options.channel.is_none() {
            self.round = round;
        }
        self
    }

    /// The largest shift that is searched, per axis, in pixels.
    pub fn max_shift_px(&self) -> Point {
        self.max_shift
    }

    /// The largest shift in words, in pixels and, where a pixel size is known, in micrometres.
    pub fn max_shift_words(&self) -> String {
        let Point { x, y } = self.max_shift;
        let pair = |x: f64, y: f64, unit: &str| {
            if (x - y).abs() < 0.05 { format!("{x:.1} {unit}") } else { format!("{x:.1} x {y:.1} {unit}") }
        };
        match self.set.um_per_px {
            Some([ux, uy]) => format!("{} ({})", pair(x, y, "px"), pair(x * ux, y * uy, "um")),
            None => pair(x, y, "px"),
        }
    }

    /// Measures every overlap, on all threads of `pool`.
    ///
    /// `watch` is asked between pieces of work and may stop it; it gets provisional places while overlaps are measured.
    /// Nothing is kept of an alignment that ends with an error.
    pub fn measure(
        &mut self,
        pyramid: &Pyramid,
        pool: &ThreadPool,
        watch: &dyn AlignWatch,
        cancel: &Cancel,
    ) -> Result<()> {
        let team = Team::new(pool, watch, cancel);
        let plane = (self.set.z_count / 2, 0);
        let channel = match self.options.channel {
            Some(channel) => channel,
            None => channel::best(&self.set, self.round, pyramid, plane, &team)?,
        };
        let reader = FieldReader::new(pyramid, cancel, channel, plane.0, plane.1);
        let mut sampler = Sampler::new(&team, &reader, &self.sizes, self.max_shift);
        let layout = sampler.find(&self.set, self.options.keep_layout)?;
        let probes = if layout.trouble.is_some() { Vec::new() } else { overlapping(&layout.nominal, &self.sizes) };
        let mut found = Found {
            channel,
            places: places_of(&layout, &self.sizes),
            min_score: layout.null.threshold,
            edges: unmeasured(&probes),
            layout,
            is_measured: true,
        };
        let known: Vec<Option<PairOutcome>> = probes.iter().map(|p| sampler.known(p)).collect();
        for (edge, outcome) in found.edges.iter_mut().zip(&known) {
            edge.outcome = outcome.unwrap_or(PairOutcome::NoInformation);
        }
        let rest: Vec<usize> = (0..probes.len()).filter(|&k| known[k].is_none()).collect();
        team.expect(rest.len());
        let limits = sampler.limits();
        let outcomes = self.measure_rest(&team, &reader, &probes, &rest, &limits, &found)?;
        for (&k, outcome) in rest.iter().zip(outcomes) {
            found.edges[k].outcome = outcome;
        }
        self.found = found;
        Ok(())
    }

    /// The places that agree with everything measured and decided: in milliseconds where it starts warm.
    ///
    /// A cold start gives the same places whatever happened before.
    pub fn solve(&self, hand: &HandWork, start: Start<'_>) -> Alignment {
        self.solve_found(&self.found, hand, start)
    }

    /// Measures the probes that are not known yet, and tells provisional places meanwhile.
    fn measure_rest(
        &self,
        team: &Team<'_>,
        reader: &FieldReader<'_>,
        probes: &[Probe],
        rest: &[usize],
        limits: &Limits,
        found: &Found,
    ) -> Result<Vec<PairOutcome>> {
        /// What is told, by one worker at a time.
        struct Told {
            found: Found,
            positions: Vec<Point>,
            due: Instant,
        }
        let tell = |told: &mut Told, alignment: Alignment, began: Instant| {
            told.positions.clone_from(&alignment.positions);
            team.watch().provisional(alignment);
            let now = Instant::now();
            told.due = now + PROVISIONAL_INTERVAL.max((now - began) * PROVISIONAL_REST);
        };
        let began = Instant::now();
        let first = self.solve_found(found, &HandWork::default(), Start::Cold);
        let mut told = Told { found: found.clone(), positions: Vec::new(), due: began };
        tell(&mut told, first, began);
        let told = Mutex::new(told);
        // What was measured since places were last told; no worker waits for the one that solves.
        let fresh: Mutex<Vec<(usize, PairOutcome)>> = Mutex::default();
        team.run(rest.len(), |scratch, k| {
            let outcome = reader.measure(scratch, &probes[rest[k]], limits)?;
            fresh.lock().push((rest[k], outcome));
            let began = Instant::now();
            if let Some(mut told) = told.try_lock().filter(|told| began >= told.due) {
                for (edge, outcome) in std::mem::take(&mut *fresh.lock()) {
                    told.found.edges[edge].outcome = outcome;
                }
                let alignment = self.solve_found(&told.found, &HandWork::default(), Start::Warm(&told.positions));
                tell(&mut told, alignment, began);
            }
            Ok(outcome)
        })
    }

    fn solve_found(&self, found: &Found, hand: &HandWork, start: Start<'_>) -> Alignment {
        let mut edges = with_hand_work(&found.edges, hand, found.places.len());
        let mut solution = solve(&found.places, &edges, self.max_shift, start);
        let mut verdict = self.verdict(found, &edges, &solution);
        if verdict != Verdict::Aligned {
            // What is not believed moves nothing; what a person set does.
            let by_hand = edges.iter().any(|e| matches!(e.hand, Hand::Shift(_) | Hand::Accept));
            edges.iter_mut().filter(|e| e.hand == Hand::Off).for_each(|e| e.hand = Hand::Refuse);
            solution = solve(&found.places, &edges, self.max_shift, Start::Cold);
            edges.iter().zip(&mut solution.edges).filter(|(e, _)| e.hand == Hand::Refuse).for_each(|(e, r)| {
                r.status = match (hand.edges.get(&(e.a as u32, e.b as u32)), e.outcome) {
                    (Some(Hand::Refuse), _) => EdgeStatus::RefusedByHand,
                    (_, PairOutcome::Measured(_)) => EdgeStatus::Dropped,
                    (_, PairOutcome::Rejected { .. }) => EdgeStatus::Rejected,
                    (_, PairOutcome::NoInformation) => EdgeStatus::NoInformation,
                };
            });
            if by_hand {
                verdict = Verdict::Aligned;
            } else {
                solution.positions.clone_from(&found.layout.nominal);
                solution.placed_by.fill(PlacedBy::Stage);
            }
        }
        let names: Vec<String> = self.set.fields.iter().map(|f| f.name.clone()).collect();
        let report = Report::new(&names, &found.places, &edges, &solution, found.min_score, self.max_shift);
        Alignment {
            nominal: found.layout.nominal.clone(),
            grid: found.layout.grid,
            positions: solution.positions,
            verdict,
            channel: found.channel,
            report: Arc::new(report),
            findings: found.layout.findings.clone(),
        }
    }

    /// Whether the measured overlaps are to be believed.
    fn verdict(&self, found: &Found, edges: &[Edge], solution: &Solution) -> Verdict {
        if !found.is_measured {
            return Verdict::Nominal;
        }
        if let Some(trouble) = &found.layout.trouble {
            return Verdict::NotAligned(trouble.clone());
        }
        let informative = edges.iter().filter(|e| !matches!(e.outcome, PairOutcome::NoInformation)).count();
        let accepted: Vec<&Edge> = edges
            .iter()
            .zip(&solution.edges)
            .filter(|(_, r)| r.status.is_accepted() || r.status == EdgeStatus::ShiftedByHand)
            .map(|(e, _)| e)
            .collect();
        let is_clear = |e: &&Edge| match e.outcome {
            PairOutcome::Measured(m) => m.score >= CLEAR_SHARE * found.min_score,
            PairOutcome::NoInformation | PairOutcome::Rejected { .. } => e.hand != Hand::Off,
        };
        if informative == 0 && accepted.is_empty() {
            return Verdict::NotAligned("there is nothing to see where fields overlap".to_owned());
        }
        let few = accepted.len() <= FEW_ACCEPTED && !accepted.iter().any(is_clear);
        // One or two matches do not outvote overlaps that show something else.
        let outvoted = accepted.len() <= FEW_ACCEPTED && 2 * accepted.len() < informative;
        if few || outvoted || (accepted.len() as f64) < LEAST_ACCEPTED_SHARE * informative as f64 {
            let words = format!(
                "only {} of {informative} overlaps with something to see match within {}",
                accepted.len(),
                self.max_shift_words()
            );
            return Verdict::NotAligned(words);
        }
        for (axis, name) in [(Axis::X, "beside"), (Axis::Y, "above")] {
            let along = |e: &&Edge| {
                let step = found.places[e.b].nominal - found.places[e.a].nominal;
                axis_of(step, self.sizes[e.a]) == axis
            };
            let showing =
                edges.iter().filter(|e| !matches!(e.outcome, PairOutcome::NoInformation)).filter(along).count();
            if showing >= ENOUGH_SHOWING && !accepted.iter().any(along) {
                let words =
                    format!("none of the {showing} overlaps of fields {name} one another match: their order is wrong");
                return Verdict::NotAligned(words);
            }
        }
        Verdict::Aligned
    }
}

fn unmeasured(probes: &[Probe]) -> Vec<Edge> {
    let edge = |p: &Probe| Edge { a: p.a, b: p.b, outcome: PairOutcome::NoInformation, hand: Hand::Off };
    probes.iter().map(edge).collect()
}

/// Fields as the solver sees them: rows and columns from the grid, else from the places.
fn places_of(layout: &FoundLayout, sizes: &[Size]) -> Vec<FieldPlace> {
    let cells: Vec<Option<(i32, i32)>> = match (&layout.cells, sizes.first()) {
        (Some(cells), _) if layout.grid.is_some() => cells.iter().copied().map(Some).collect(),
        (_, Some(&size)) => cells_of_places(&layout.nominal, size),
        (_, None) => Vec::new(),
    };
    layout.nominal.iter().zip(cells).map(|(&nominal, row_col)| FieldPlace { nominal, row_col }).collect()
}

/// The measured edges with a person's decisions; pairs that were not measured are added.
fn with_hand_work(edges: &[Edge], hand: &HandWork, fields: usize) -> Vec<Edge> {
    let mut edges = edges.to_vec();
    let at: BTreeMap<(usize, usize), usize> = edges.iter().enumerate().map(|(k, e)| ((e.a, e.b), k)).collect();
    for (&(a, b), &decision) in &hand.edges {
        let (a, b) = (a as usize, b as usize);
        match at.get(&(a, b)) {
            Some(&k) => edges[k].hand = decision,
            None if a < fields && b < fields && a != b => {
                edges.push(Edge { a, b, outcome: PairOutcome::NoInformation, hand: decision });
            }
            None => {}
        }
    }
    edges
}

#[cfg(test)]
mod tests;
