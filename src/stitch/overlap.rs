//! How far fields overlap when nobody says: a wide search between a sample of neighbours, and what they agree on.
//!
//! A layout without positions gives which field is beside which; each axis has one step, the displacement from a field to
//! its neighbour, up to the jitter of the stage.
//! The estimate is believed only if enough of the sample agree, so that a wrong guess is never laid out.

use serde::{Deserialize, Serialize};

use super::pair::{Limits, MIN_SCORE, PairOutcome};
use crate::geom::{Point, Size};

/// The least and the largest overlap that is searched, as shares of a field.
pub const OVERLAP_RANGE: [f64; 2] = [0.02, 0.60];
/// How many neighbours along an axis are worth searching.
pub const SAMPLE_PAIRS: usize = 12;

/// How far neighbours may be off sideways, as a share of a field: camera rotation and jitter.
const SIDEWAYS: f64 = 0.06;
/// Steps that differ by less than this share of a field agree.
const AGREEMENT: f64 = 0.03;
/// This share of the pairs that have something to see must agree.
const MIN_AGREEING: f64 = 0.5;
/// A single pair is believed only if it matches this many times better than it must.
const LONE_SCORE: f64 = 1.6;

/// From a field to its neighbour: which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Axis {
    /// To the right.
    X,
    /// Down.
    Y,
}

/// The step of one axis.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct StepEstimate {
    /// The displacement from a field to its next neighbour, in pixels.
    pub step: Point,
    /// The overlap along the axis, as a share of the field.
    pub overlap: f64,
    /// Pairs that agree on it.
    pub agreeing: usize,
    /// Pairs that had something to see.
    pub of: usize,
}

/// What to ask [`super::pair::measure`] for when the overlap is unknown: a nominal displacement and limits that span
/// [`OVERLAP_RANGE`].
pub fn wide_search(size: Size, axis: Axis, min_score: f64) -> (Point, Limits) {
    let [least, most] = OVERLAP_RANGE;
    let (middle, reach) = (1.0 - 0.5 * (least + most), 0.5 * (most - least));
    let (width, height) = (f64::from(size.width), f64::from(size.height));
    let (nominal, max_shift) = match axis {
        Axis::X => (Point::new(middle * width, 0.0), Point::new(reach * width, SIDEWAYS * height)),
        Axis::Y => (Point::new(0.0, middle * height), Point::new(SIDEWAYS * width, reach * height)),
    };
    (nominal, Limits { max_shift, min_score })
}

/// The step that most of the sampled pairs agree on; `None` where they do not agree, or none matched.
pub fn estimate_step(size: Size, axis: Axis, outcomes: &[PairOutcome]) -> Option<StepEstimate> {
    let of = outcomes.iter().filter(|o| !matches!(o, PairOutcome::NoInformation)).count();
    let measured: Vec<(Point, f64)> = outcomes
        .iter()
        .filter_map(|o| match o {
            PairOutcome::Measured(m) => Some((m.shift, m.score)),
            PairOutcome::NoInformation | PairOutcome::Rejected { .. } => None,
        })
        .collect();
    let length = f64::from(match axis {
        Axis::X => size.width,
        Axis::Y => size.height,
    });
    let near = |p: Point| -> Vec<(Point, f64)> {
        measured.iter().filter(|m| m.0.distance(p) <= AGREEMENT * length).copied().collect()
    };
    let group = measured.iter().map(|m| near(m.0)).reduce(|p, q| if q.len() > p.len() { q } else { p })?;
    let lone = group.len() == 1 && group[0].1 < LONE_SCORE * MIN_SCORE;
    if lone || (group.len() as f64) < MIN_AGREEING * of as f64 {
        return None;
    }
    let median = |pick: fn(&Point) -> f64| {
        let mut values: Vec<f64> = group.iter().map(|(p, _)| pick(p)).collect();
        values.sort_by(f64::total_cmp);
        0.5 * (values[(values.len() - 1) / 2] + values[values.len() / 2])
    };
    let step = Point::new(median(|p| p.x), median(|p| p.y));
    let along = match axis {
        Axis::X => step.x,
        Axis::Y => step.y,
    };
    Some(StepEstimate { step, overlap: 1.0 - along / length, agreeing: group.len(), of })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stitch::pair::{Measurement, Rejection};

    const SIZE: Size = Size::new(1000, 800);

    fn at(x: f64, y: f64, score: f64) -> PairOutcome {
        let covariance = [0.01, 0.0, 0.01];
        PairOutcome::Measured(Measurement { shift: Point::new(x, y), covariance, ncc: 0.7, score, peak_ratio: 3.0 })
    }

    #[test]
    fn the_search_spans_all_overlaps_that_are_promised() {
        let (nominal, limits) = wide_search(SIZE, Axis::Y, MIN_SCORE);
        assert!((nominal.y + limits.max_shift.y - 0.98 * 800.0).abs() < 1e-9);
        assert!((nominal.y - limits.max_shift.y - 0.40 * 800.0).abs() < 1e-9);
    }

    #[test]
    fn the_step_is_that_of_the_majority_and_says_how_large_it_is() {
        let chance = PairOutcome::Rejected { reason: Rejection::Chance, score: 4.0 };
        let outcomes = [at(900.0, 3.0, 20.0), at(904.0, 5.0, 20.0), at(500.0, 0.0, 7.0), at(902.0, 4.0, 20.0), chance];
        let e = estimate_step(SIZE, Axis::X, &outcomes).expect("three of five agree");
        assert_eq!((e.agreeing, e.of), (3, 5));
        assert_eq!(e.step, Point::new(902.0, 4.0));
        assert!((e.overlap - 0.098).abs() < 1e-9);
    }

    #[test]
    fn disagreement_or_one_doubtful_pair_is_no_estimate() {
        let scattered = [at(900.0, 0.0, 9.0), at(700.0, 0.0, 9.0), at(500.0, 0.0, 9.0)];
        assert!(estimate_step(SIZE, Axis::X, &scattered).is_none());
        assert!(estimate_step(SIZE, Axis::X, &[at(900.0, 0.0, 7.0)]).is_none());
        assert!(estimate_step(SIZE, Axis::X, &[at(900.0, 0.0, 20.0)]).is_some());
        assert!(estimate_step(SIZE, Axis::X, &[PairOutcome::NoInformation; 4]).is_none());
    }
}
