//! Where fields stand before anything is measured exactly: the given layout if its overlaps match, else the reading of it
//! whose overlaps do.

use super::candidates::{of_grid, of_stage, words_of};
use super::evidence::{AxisEvidence, Choice, ENOUGH_INFORMATIVE, Evidence, SAMPLE_PAIRS, SAMPLE_ROUNDS, choose};
use super::neighbours::{adjacent, axis_of, far_apart, overlapping};
use super::strips::{FieldReader, Probe};
use super::team::Team;
use crate::error::Result;
use crate::geom::{Point, Size};
use crate::image_set::{FieldSet, GridLayout, Layout};
use crate::stitch::null::{CHANCE_PAIRS, Null, chance_pairs};
use crate::stitch::overlap::{Axis, StepEstimate, estimate_step, wide_search};
use crate::stitch::pair::{Limits, MIN_SCORE, PairOutcome};
use std::collections::HashMap;

/// What a probe is remembered by: its fields and the bits of its displacement.
type Key = (usize, usize, u64, u64);

/// A layout to measure from.
#[derive(Debug, Clone)]
pub struct FoundLayout {
    /// Places in pixels.
    pub nominal: Vec<Point>,
    /// Row and column of each field, for a grid.
    pub cells: Option<Vec<(i32, i32)>>,
    /// The grid, where there is one.
    pub grid: Option<GridLayout>,
    /// What was found out, one line each.
    pub findings: Vec<String>,
    /// Why nothing is to be measured, in words.
    pub trouble: Option<String>,
    /// How high matches can be by chance.
    pub null: Null,
}

/// Samples overlaps, each once.
pub struct Sampler<'a> {
    team: &'a Team<'a>,
    reader: &'a FieldReader<'a>,
    sizes: &'a [Size],
    limits: Limits,
    /// Outcomes under the present limits.
    known: HashMap<Key, PairOutcome>,
}

/// Another reading of a layout whose overlap is known.
struct OtherReading {
    nominal: Vec<Point>,
    cells: Option<Vec<(i32, i32)>>,
    grid: Option<GridLayout>,
    words: Vec<String>,
}

/// What a grid of unknown overlap looks like under one reading.
struct Reading {
    evidence: Evidence,
    steps: [Option<StepEstimate>; 2],
}

impl<'a> Sampler<'a> {
    /// Nothing sampled yet; shifts up to `max_shift` are searched.
    pub fn new(team: &'a Team<'a>, reader: &'a FieldReader<'a>, sizes: &'a [Size], max_shift: Point) -> Self {
        Self { team, reader, sizes, limits: Limits { max_shift, min_score: MIN_SCORE }, known: HashMap::new() }
    }

    /// What is allowed, once the null distribution is known.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// What was measured of a probe on the way.
    pub fn known(&self, probe: &Probe) -> Option<PairOutcome> {
        self.known.get(&key(probe)).copied()
    }

    /// The layout to measure from. One that is to be kept is not read another way; what the overlaps say is told.
    pub fn find(&mut self, set: &FieldSet, keep: bool) -> Result<FoundLayout> {
        let nominal: Vec<Point> = set.fields.iter().map(|f| f.nominal).collect();
        let cells: Option<Vec<(i32, i32)>> = set.fields.iter().map(|f| f.row_col).collect();
        let grid = match &set.layout {
            Layout::Grid(grid) => Some(*grid),
            Layout::Stage | Layout::File(_) => None,
        };
        let given = FoundLayout { nominal, cells, grid, findings: Vec::new(), trouble: None, null: Null::DEFAULT };
        match (given.grid, &given.cells) {
            (Some(grid), Some(cells)) if grid.overlap.is_none() => {
                self.find_overlap(&grid, &cells.clone(), given, keep)
            }
            _ => self.find_orientation(given, keep),
        }
    }

    /// The threshold of chance for a layout; what was known under another one is forgotten.
    fn learn_chance(&mut self, nominal: &[Point], probes: &[Probe]) -> Result<Null> {
        let pairs: Vec<(usize, usize)> = probes.iter().map(|p| (p.a, p.b)).collect();
        let reach = self.limits.max_shift * 2.0;
        let far = |a: usize, b: usize| far_apart(nominal[b] - nominal[a], self.sizes[a], self.sizes[b], reach);
        let chance = chance_pairs(&pairs, nominal.len(), far);
        let limits = Limits { min_score: MIN_SCORE, ..self.limits };
        let scores = self.team.run(chance.len(), |scratch, k| {
            let (edge, stand_in) = chance[k];
            self.reader.chance(scratch, &probes[edge], stand_in, &limits)
        })?;
        let null = Null::from_scores(&scores.into_iter().flatten().collect::<Vec<f64>>());
        if null.threshold.to_bits() != self.limits.min_score.to_bits() {
            self.known.clear();
        }
        self.limits.min_score = null.threshold;
        Ok(null)
    }

    /// The given places, or the mirrored ones that match.
    fn find_orientation(&mut self, mut given: FoundLayout, keep: bool) -> Result<FoundLayout> {
        let probes = overlapping(&given.nominal, self.sizes);
        if probes.is_empty() {
            given.trouble = Some("no two fields overlap where the layout puts them".to_owned());
            return Ok(given);
        }
        self.team.expect(probes.len() + CHANCE_PAIRS);
        given.null = self.learn_chance(&given.nominal, &probes)?;
        let first = self.look_at(&probes)?;
        if first.is_clear() {
            return Ok(given);
        }
        let others: Vec<OtherReading> = match (given.grid, &given.cells) {
            (Some(grid), Some(cells)) => {
                let pitch = pitch_of(&grid, self.sizes);
                let read = of_grid(&grid, cells).into_iter().skip(1);
                read.map(|c| {
                    let words = words_of(&grid, &c.grid);
                    OtherReading { nominal: laid_out(&c.cells, pitch), cells: Some(c.cells), grid: Some(c.grid), words }
                })
                .collect()
            }
            _ => {
                let read = of_stage(&given.nominal, self.sizes).into_iter().skip(1);
                read.map(|c| OtherReading { nominal: c.positions, cells: None, grid: None, words: c.words }).collect()
            }
        };
        let mut evidence = vec![first];
        for other in &others {
            let probes = overlapping(&other.nominal, self.sizes);
            evidence.push(self.look_at(&probes)?);
        }
        match choose(&evidence) {
            Choice::Best(0) => {}
            Choice::Best(k) if keep => {
                let words = others.get(k - 1).map(|other| other.words.as_slice()).unwrap_or_default();
                given.findings.push(words_against(words));
            }
            // A person said how the fields lie.
            Choice::Ambiguous | Choice::Nothing if keep => {}
            Choice::Best(k) => {
                if let Some(other) = others.into_iter().nth(k - 1) {
                    given.nominal = with_corner_of(other.nominal, &given.nominal);
                    given.cells = other.cells.or(given.cells);
                    given.grid = other.grid.or(given.grid);
                    given.findings.extend(other.words);
                    let probes = overlapping(&given.nominal, self.sizes);
                    given.null = self.learn_chance(&given.nominal, &probes)?;
                }
            }
            Choice::Ambiguous => {
                given.trouble =
                    Some("the overlaps match about equally well in several orders of the fields".to_owned());
            }
            Choice::Nothing => {
                // A grid whose overlap was guessed may have another one.
                if let (Some(grid), Some(cells)) = (given.grid, &given.cells) {
                    let found = self.find_overlap(&grid, &cells.clone(), given.clone(), keep)?;
                    if found.trouble.is_none() {
                        return Ok(found);
                    }
                }
            }
        }
        Ok(given)
    }

    /// The overlap of a grid and the order of its fields, where nothing is known but which field has which name.
    fn find_overlap(
        &mut self,
        grid: &GridLayout,
        cells: &[(i32, i32)],
        mut given: FoundLayout,
        keep: bool,
    ) -> Result<FoundLayout> {
        let limits = self.limits;
        self.known.clear();
        self.team.expect(4 * SAMPLE_PAIRS);
        let read = of_grid(grid, cells);
        let mut readings = Vec::with_capacity(read.len());
        for (k, candidate) in read.iter().enumerate() {
            readings.push(self.look_widely(&candidate.cells)?);
            if k == 0 && readings[0].evidence.is_clear() {
                break;
            }
        }
        self.known.clear();
        self.limits = limits;
        let evidence: Vec<Evidence> = readings.iter().map(|r| r.evidence).collect();
        let choice = match choose(&evidence) {
            // A person said which of several readings it is.
            Choice::Ambiguous if keep => choose(&evidence[..1]),
            choice => choice,
        };
        let best = match choice {
            Choice::Best(k) => k,
            Choice::Ambiguous => {
                given.trouble =
                    Some("the overlaps match about equally well in several orders of the fields".to_owned());
                return Ok(given);
            }
            Choice::Nothing => {
                given.trouble = Some(
                    "neighbours share nothing that matches, so neither their overlap nor their order is known; set rows, \
                     columns, order and overlap by hand"
                        .to_owned(),
                );
                return Ok(given);
            }
        };
        let side = self.sizes.first().copied().unwrap_or_default();
        let [x, y] = readings[best].steps;
        let steps = [
            x.map_or(Point::new(f64::from(side.width), 0.0), |s| s.step),
            y.map_or(Point::new(0.0, f64::from(side.height)), |s| s.step),
        ];
        let found = &read[if keep { 0 } else { best }];
        let overlap = [x.map_or(0.0, |s| s.overlap), y.map_or(0.0, |s| s.overlap)];
        if keep && best != 0 {
            given.findings.push(words_against(&words_of(grid, &read[best].grid)));
        } else {
            given.findings.extend(words_of(grid, &found.grid));
        }
        given.findings.push(words_of_overlap(&[x, y]));
        given.nominal = with_corner_of(laid_out(&found.cells, steps), &given.nominal);
        given.cells = Some(found.cells.clone());
        given.grid = Some(GridLayout { overlap: Some(overlap), ..found.grid });
        let probes = overlapping(&given.nominal, self.sizes);
        self.team.expect(probes.len());
        given.null = self.learn_chance(&given.nominal, &probes)?;
        Ok(given)
    }

    /// What a sample of the overlaps at these places says.
    fn look_at(&mut self, probes: &[Probe]) -> Result<Evidence> {
        let mut evidence = Evidence::default();
        for axis in [Axis::X, Axis::Y] {
            let along: Vec<Probe> =
                probes.iter().filter(|p| axis_of(p.nominal, self.sizes[p.a]) == axis).copied().collect();
            let limits = self.limits;
            let outcomes = self.sample(&along, |sampler, probe| {
                let (reader, team) = (sampler.reader, sampler.team);
                team.run(probe.len(), |scratch, k| reader.measure(scratch, &probe[k], &limits))
            })?;
            let informative = outcomes.iter().filter(|o| !matches!(o, PairOutcome::NoInformation)).count();
            let matched = outcomes.iter().filter_map(score_of);
            evidence.best_score = matched.clone().map(|s| s / limits.min_score).fold(evidence.best_score, f64::max);
            evidence.axes[axis as usize] = AxisEvidence { pairs: along.len(), informative, matched: matched.count() };
        }
        Ok(evidence)
    }

    /// What a sample of the neighbours in a grid of unknown overlap says.
    fn look_widely(&mut self, cells: &[(i32, i32)]) -> Result<Reading> {
        let size = self.sizes.first().copied().unwrap_or_default();
        let pairs = adjacent(cells);
        let mut reading = Reading { evidence: Evidence { needs_both: true, ..Evidence::default() }, steps: [None; 2] };
        for axis in [Axis::X, Axis::Y] {
            let (nominal, limits) = wide_search(size, axis, MIN_SCORE);
            let along: Vec<Probe> =
                pairs.iter().filter(|p| p.2 == axis).map(|&(a, b, _)| Probe { a, b, nominal }).collect();
            let outcomes = self.sample(&along, |sampler, probes| {
                let (reader, team) = (sampler.reader, sampler.team);
                team.run(probes.len(), |scratch, k| reader.measure_wide(scratch, &probes[k], &limits))
            })?;
            let step = estimate_step(size, axis, &outcomes);
            let informative = outcomes.iter().filter(|o| !matches!(o, PairOutcome::NoInformation)).count();
            let best = outcomes.iter().filter_map(score_of).map(|s| s / MIN_SCORE).fold(0.0, f64::max);
            reading.evidence.best_score = reading.evidence.best_score.max(best);
            reading.evidence.axes[axis as usize] =
                AxisEvidence { pairs: along.len(), informative, matched: step.map_or(0, |s| s.agreeing) };
            reading.steps[axis as usize] = step;
        }
        Ok(reading)
    }

    /// Outcomes of an even sample of probes, taken in rounds until enough of them show something.
    fn sample(
        &mut self,
        probes: &[Probe],
        measure: impl Fn(&Self, &[Probe]) -> Result<Vec<PairOutcome>>,
    ) -> Result<Vec<PairOutcome>> {
        let order = even_order(probes.len());
        let mut outcomes = Vec::new();
        for round in order.chunks(SAMPLE_PAIRS).take(SAMPLE_ROUNDS) {
            let wanted: Vec<Probe> =
                round.iter().map(|&k| probes[k]).filter(|p| !self.known.contains_key(&key(p))).collect();
            let measured = measure(self, &wanted)?;
            self.known.extend(wanted.iter().map(key).zip(measured));
            outcomes.extend(round.iter().filter_map(|&k| self.known(&probes[k])));
            let informative = outcomes.iter().filter(|o| !matches!(o, PairOutcome::NoInformation)).count();
            if informative >= ENOUGH_INFORMATIVE {
                break;
            }
        }
        Ok(outcomes)
    }
}

/// What is told where overlaps contradict a layout that is kept.
fn words_against(words: &[String]) -> String {
    format!("the overlaps say: {}; the layout that was set holds", words.join(", "))
}

fn key(probe: &Probe) -> Key {
    (probe.a, probe.b, probe.nominal.x.to_bits(), probe.nominal.y.to_bits())
}

fn score_of(outcome: &PairOutcome) -> Option<f64> {
    match outcome {
        PairOutcome::Measured(m) => Some(m.score),
        PairOutcome::NoInformation | PairOutcome::Rejected { .. } => None,
    }
}

/// The numbers below `count` in an order of which every beginning is spread over all of them.
fn even_order(count: usize) -> Vec<usize> {
    const GOLDEN: f64 = 0.618_033_988_749_894_9;
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by(|&p, &q| {
        let place = |k: usize| (k as f64 * GOLDEN).fract();
        place(p).total_cmp(&place(q))
    });
    // Sorting by the golden sequence gives for each place the number that stands there; its inverse is the order.
    let mut inverse = vec![0; count];
    order.iter().enumerate().for_each(|(place, &k)| inverse[k] = place);
    inverse
}

/// The step from column to column and from row to row of a grid with a known overlap.
fn pitch_of(grid: &GridLayout, sizes: &[Size]) -> [Point; 2] {
    let [x, y] = grid.overlap.unwrap_or([0.0, 0.0]);
    let width = sizes.iter().map(|s| s.width).max().unwrap_or(0);
    let height = sizes.iter().map(|s| s.height).max().unwrap_or(0);
    [Point::new(f64::from(width) * (1.0 - x), 0.0), Point::new(0.0, f64::from(height) * (1.0 - y))]
}

fn laid_out(cells: &[(i32, i32)], [across, down]: [Point; 2]) -> Vec<Point> {
    cells.iter().map(|&(row, column)| across * f64::from(column) + down * f64::from(row)).collect()
}

/// Places moved so that their top-left corner is where another layout has it.
fn with_corner_of(mut places: Vec<Point>, other: &[Point]) -> Vec<Point> {
    let corner = |all: &[Point]| {
        let least = |pick: fn(&Point) -> f64| all.iter().map(pick).fold(f64::INFINITY, f64::min);
        Point::new(least(|p| p.x), least(|p| p.y))
    };
    let by = corner(other) - corner(&places);
    if by.x.is_finite() && by.y.is_finite() {
        places.iter_mut().for_each(|p| *p = *p + by);
    }
    places
}

fn words_of_overlap(steps: &[Option<StepEstimate>; 2]) -> String {
    let one = |step: &StepEstimate| {
        let pairs = if step.of == 1 { "pair" } else { "pairs" };
        format!("{:.1} % (agreed on by {} of {} {pairs})", 100.0 * step.overlap, step.agreeing, step.of)
    };
    match steps {
        [Some(x), Some(y)] => format!("overlap {} across, {} down", one(x), one(y)),
        [Some(x), None] => format!("overlap {} across", one(x)),
        [None, Some(y)] => format!("overlap {} down", one(y)),
        [None, None] => "no overlap".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_beginning_of_the_order_is_spread_over_all_and_all_are_in_it() {
        for count in [0, 1, 2, 7, 180, 1000] {
            let order = even_order(count);
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..count).collect::<Vec<_>>());
        }
        let mut first: Vec<usize> = even_order(1000)[..12].to_vec();
        first.sort_unstable();
        assert!(first.windows(2).all(|w| w[1] - w[0] < 160), "{first:?}");
    }
}
