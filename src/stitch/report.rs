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
    /// Edges that count.
    pub accepted: usize,
    /// The median length of the accepted edges' residuals; `None` without any.
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
    /// The length of measured less solved.
    pub residual_px: Option<f64>,
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
                    ncc: measured.map(|m| m.ncc),
                    score: measured.map(|m| m.score).or(rejected_score),
                    status: result.status,
                    rejection,
                }
            })
            .collect();
        edge_reports.sort_by_key(|e| (e.a, e.b));
        let counts = |s: EdgeStatus| matches!(s, EdgeStatus::Accepted | EdgeStatus::AcceptedByHand);
        let mut residuals: Vec<f64> =
            edge_reports.iter().filter(|e| counts(e.status)).filter_map(|e| e.residual_px).collect();
        residuals.sort_by(f64::total_cmp);
        Self {
            fields: field_reports,
            placed_by_stage: solution.placed_by.iter().filter(|&&p| p == PlacedBy::Stage).count(),
            accepted: edge_reports.iter().filter(|e| counts(e.status)).count(),
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

    #[test]
    fn the_report_names_every_field_and_edge_with_its_status() {
        let fields: Vec<FieldPlace> = (0..3)
            .map(|k| FieldPlace { nominal: Point::new(f64::from(k) * 100.0, 0.0), row_col: Some((0, k)) })
            .collect();
        let m = Measurement {
            shift: Point::new(103.0, 1.0),
            covariance: [0.01, 0.0, 0.04],
            ncc: 0.9,
            score: 30.0,
            peak_ratio: 4.0,
        };
        let edges = [
            Edge { a: 0, b: 1, outcome: PairOutcome::Measured(m), hand: Hand::Off },
            Edge { a: 1, b: 2, outcome: PairOutcome::NoInformation, hand: Hand::Off },
        ];
        let max_shift = Point::new(20.0, 20.0);
        let solution = solve(&fields, &edges, max_shift, Start::Cold);
        let names: Vec<String> = (0..3).map(|k| format!("f{k}.tif")).collect();
        let report = Report::new(&names, &fields, &edges, &solution, 6.0, max_shift);
        assert_eq!((report.accepted, report.placed_by_stage), (1, 1));
        assert_eq!(report.edges[1].status, EdgeStatus::NoInformation);
        assert_eq!(report.edges[0].deviation_px, Some([0.1, 0.2]));
        assert!(report.residual_p50_px.is_some_and(|r| r < 0.01));
        let text = serde_json::to_string(&report).expect("plain data");
        assert!(text.contains(r#""status":"no_information""#) && text.contains(r#""name":"f2.tif""#));
        assert_eq!(serde_json::from_str::<Report>(&text).expect("our own").edges.len(), 2);
    }
}
