//! What an alignment came to, as `stitch --report` writes it; the same from run to run, so it holds no times.

use serde::{Deserialize, Serialize};

use super::pair::{PairOutcome, Rejection};
use super::solve::{Edge, EdgeStatus, FieldPlace, PlacedBy, Solution};
use crate::geom::Point;

/// The whole report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// One a field.
    pub fields: Vec<FieldReport>,
    /// One a pair of neighbours, in the order of their fields.
    pub edges: Vec<EdgeReport>,
    /// Fields that no accepted edge holds.
    pub placed_by_stage: usize,
    /// Edges whose measurement counts.
    pub accepted: usize,
    /// Accepted edges that alone hold what they join: no other that counts could disagree with them.
    pub accepted_alone: usize,
    /// Edges that count by a person's shift: what was measured of them does not.
    pub shifted_by_hand: usize,
    /// The median length of the residuals of accepted edges that do not hold alone; `None` without any.
    pub residual_p50_px: Option<f64>,
    /// Their 95th centile.
    pub residual_p95_px: Option<f64>,
    /// The coarse score that was asked for.
    pub min_score: f64,
    /// The largest shift that was searched, per axis, in pixels.
    pub max_shift_px: [f64; 2],
    /// What the stage model leaves unexplained between neighbours, per axis, in pixels.
    pub stage_scatter_px: [f64; 2],
}

/// One field.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FieldReport {
    /// Its file, or what else names it.
    pub name: String,
    /// Where the layout says it is, in pixels.
    pub nominal: [f64; 2],
    /// Where it stands.
    pub position: [f64; 2],
    /// What holds it.
    pub placed_by: PlacedBy,
}

/// One pair of neighbours.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EdgeReport {
    /// The first field's index in the list of fields.
    pub a: usize,
    /// The second one's.
    pub b: usize,
    /// The displacement that the layout says, in pixels.
    pub nominal: [f64; 2],
    /// The displacement that was measured.
    pub measured: Option<[f64; 2]>,
    /// The standard deviation of the measurement, per axis.
    pub deviation_px: Option<[f64; 2]>,
    /// The length of measured less solved; of what a person set instead, where one did.
    pub residual_px: Option<f64>,
    /// Whether it alone holds what it joins, so that its residual says nothing.
    pub alone: bool,
    /// The normalised correlation of the filtered overlaps.
    pub ncc: Option<f64>,
    /// The coarse peak over the spread of all other lags.
    pub score: Option<f64>,
    /// What became of it.
    pub status: EdgeStatus,
    /// Why it was rejected, where it was.
    pub rejection: Option<Rejection>,
}

impl Report {
    /// The report of a solution; names come in the order of the fields.
    pub fn new(
        names: &[String],
        fields: &[FieldPlace],
        edges: &[Edge],
        solution: &Solution,
        min_score: f64,
        max_shift: Point,
    ) -> Self {
        let pair = |p: Point| [p.x, p.y];
        let field_reports = fields
            .iter()
            .zip(&solution.positions)
            .zip(&solution.placed_by)
            .enumerate()
            .map(|(k, ((field, &position), &placed_by))| FieldReport {
                name: names.get(k).cloned().unwrap_or_default(),
                nominal: pair(field.nominal),
                position: pair(position),
                placed_by,
            })
            .collect();
        let at = |k: usize| fields.get(k).map_or(Point::default(), |f| f.nominal);
        let mut edge_reports: Vec<EdgeReport> = edges
            .iter()
            .zip(&solution.edges)
            .map(|(edge, result)| {
                let measured = match &edge.outcome {
                    PairOutcome::Measured(m) => Some(m),
                    PairOutcome::NoInformation | PairOutcome::Rejected { .. } => None,
                };
                let (rejection, rejected_score) = match edge.outcome {
                    PairOutcome::Rejected { reason, score } => (Some(reason), Some(score)),
                    PairOutcome::Measured(_) | PairOutcome::NoInformation => (None, None),
                };
                EdgeReport {
                    a: edge.a,
                    b: edge.b,
                    nominal: pair(at(edge.b) - at(edge.a)),
                    measured: measured.map(|m| pair(m.shift)),
                    deviation_px: measured.map(|m| [m.covariance[0].sqrt(), m.covariance[2].sqrt()]),
                    residual_px: result.residual.map(|r| r.x.hypot(r.y)),
                    alone: result.is_alone,
                    ncc: measured.map(|m| m.ncc),
                    score: measured.map(|m| m.score).or(rejected_score),
                    status: result.status,
                    rejection,
                }
            })
            .collect();
        edge_reports.sort_by_key(|e| (e.a, e.b));
        let accepted = || edge_reports.iter().filter(|e| e.status.is_accepted());
        let mut residuals: Vec<f64> = accepted().filter(|e| !e.alone).filter_map(|e| e.residual_px).collect();
        residuals.sort_by(f64::total_cmp);
        Self {
            fields: field_reports,
            placed_by_stage: solution.placed_by.iter().filter(|&&p| p == PlacedBy::Stage).count(),
            accepted: accepted().count(),
            accepted_alone: accepted().filter(|e| e.alone).count(),
            shifted_by_hand: edge_reports.iter().filter(|e| e.status == EdgeStatus::ShiftedByHand).count(),
            edges: edge_reports,
            residual_p50_px: centile(&residuals, 0.5),
            residual_p95_px: centile(&residuals, 0.95),
            min_score,
            max_shift_px: pair(max_shift),
            stage_scatter_px: pair(solution.stage.scatter),
        }
    }
}

/// The nearest-rank centile of sorted values.
fn centile(sorted: &[f64], share: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    sorted.get((last as f64 * share).round() as usize).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stitch::pair::Measurement;
    use crate::stitch::solve::{Hand, Start, solve};

    fn measured(x: f64, y: f64) -> PairOutcome {
        let (shift, covariance) = (Point::new(x, y), [0.01, 0.0, 0.04]);
        PairOutcome::Measured(Measurement { shift, covariance, ncc: 0.9, score: 30.0, peak_ratio: 4.0 })
    }

    #[test]
    fn the_report_names_every_field_and_edge_with_its_status() {
        let fields: Vec<FieldPlace> = (0..3)
            .map(|k| FieldPlace { nominal: Point::new(f64::from(k) * 100.0, 0.0), row_col: Some((0, k)) })
            .collect();
        let edges = [
            Edge { a: 0, b: 1, outcome: measured(103.0, 1.0), hand: Hand::Off },
            Edge { a: 1, b: 2, outcome: PairOutcome::NoInformation, hand: Hand::Off },
        ];
        let max_shift = Point::new(20.0, 20.0);
        let solution = solve(&fields, &edges, max_shift, Start::Cold);
        let names: Vec<String> = (0..3).map(|k| format!("f{k}.tif")).collect();
        let report = Report::new(&names, &fields, &edges, &solution, 6.0, max_shift);
        assert_eq!((report.accepted, report.placed_by_stage), (1, 1));
        assert_eq!(report.edges[1].status, EdgeStatus::NoInformation);
        assert_eq!(report.edges[0].deviation_px, Some([0.1, 0.2]));
        // Nothing else says how the two lie, so there is nothing that it could disagree with.
        assert_eq!((report.accepted_alone, report.residual_p50_px), (1, None));
        assert!(report.edges[0].alone && report.edges[0].residual_px.is_some_and(|r| r < 0.01));
        let text = serde_json::to_string(&report).expect("plain data");
        assert!(text.contains(r#""status":"no_information""#) && text.contains(r#""name":"f2.tif""#));
        assert_eq!(serde_json::from_str::<Report>(&text).expect("our own").edges.len(), 2);
    }

    #[test]
    fn what_a_person_moved_and_what_holds_alone_is_not_counted_among_what_fits() {
        // Two rows of four: the last of the upper row was moved by hand, the last of the lower one hangs by one edge.
        let fields: Vec<FieldPlace> = (0..8)
            .map(|k| FieldPlace {
                nominal: Point::new(f64::from(k % 4) * 100.0, f64::from(k / 4) * 100.0),
                row_col: None,
            })
            .collect();
        let right = |a: usize| Edge { a, b: a + 1, outcome: measured(100.0 + 0.1 * a as f64, 0.0), hand: Hand::Off };
        let below = |a: usize| Edge { a, b: a + 4, outcome: measured(0.0, 100.0), hand: Hand::Off };
        let shift = Hand::Shift(Point::new(140.0, 30.0));
        let edges = [
            right(0),
            right(1),
            Edge { hand: shift, ..right(2) },
            right(4),
            right(5),
            right(6),
            below(0),
            below(1),
            below(2),
            Edge { a: 3, b: 7, outcome: PairOutcome::NoInformation, hand: Hand::Off },
        ];
        let max_shift = Point::new(20.0, 20.0);
        let solution = solve(&fields, &edges, max_shift, Start::Cold);
        let report = Report::new(&[], &fields, &edges, &solution, 6.0, max_shift);
        let of = |a: usize, b: usize| report.edges.iter().find(|e| (e.a, e.b) == (a, b)).expect("reported");
        assert_eq!(of(2, 3).status, EdgeStatus::ShiftedByHand);
        assert!(of(2, 3).alone && of(6, 7).alone && !of(5, 6).alone && !of(3, 7).alone);
        assert_eq!((report.accepted, report.accepted_alone, report.shifted_by_hand), (8, 1, 1));
        // The squares do not close by 0.4 px each: no edge of them fits exactly, and those are all that count.
        assert!(report.residual_p50_px.is_some_and(|r| r > 0.05), "{:?}", report.residual_p50_px);
        assert_eq!(report.fields[3].placed_by, PlacedBy::Edges);
    }
}
