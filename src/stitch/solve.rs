//! All shifts become positions that agree with them.
//!
//! Robust least squares over every edge, started from the stage model: while a tolerance shrinks from the scatter of the
//! stage to that of good measurements, edges that disagree lose their weight (Geman-McClure).
//! Weak springs of the stage model between all neighbours hold what no measurement holds: an empty field stands where
//! the stage says, an island keeps its place, and neither is a special case.
//! At the end edges are in or out, and one plain weighted solution over those that are in gives the positions.

use serde::{Deserialize, Serialize};

use super::graph::{bridges, loop_noise, parts};
use super::pair::{Measurement, PairOutcome};
use super::sparse::{SparseScratch, Spring, minimise};
use super::stage::{StageModel, Step};
use crate::geom::Point;

/// No measurement is believed to be better than this, in pixels: lenses and interpolation are not.
const MIN_DEVIATION_PX: f64 = 0.02;
/// A shift set by hand is this sure, in pixels.
const HAND_DEVIATION_PX: f64 = 0.25;
/// The tolerance shrinks by this factor a step.
const SHRINK: f64 = 1.6;
/// A warm start shrinks the tolerance too if more than this share of the edges contradict it: many of them are new then.
const ANNEAL_SHARE: f64 = 0.15;
/// Where the tolerance ends: this many pixels, or this many deviations of the edges' own noise.
const LAST_TOLERANCE_PX: f64 = 0.6;
const LAST_TOLERANCE_DEVIATIONS: f64 = 4.0;
/// An edge is out if its residual exceeds this many deviations of the edges' noise, and this many pixels.
const OUT_DEVIATIONS: f64 = 5.0;
const OUT_PX: f64 = 0.5;
/// An edge that says itself that it is unsure is allowed this many of its own deviations.
const OWN_DEVIATIONS: f64 = 3.5;
/// An edge that alone holds a part of the mosaic must lie within this many deviations of the stage model...
const BRIDGE_DEVIATIONS: f64 = 4.0;
/// ...unless it matches so clearly that chance is out of the question.
const CLEAR_SCORE: f64 = 14.0;
/// At the end the stage model's springs are weakened to this share, so that they pull nothing that was measured.
const LAST_STAGE_SHARE: f64 = 0.01;
/// Every field is held near its stage position by this share of a stage spring: it fixes the whole, and little else.
const ANCHOR_SHARE: f64 = 1e-4;
/// Rounds in which edges may change between in and out.
const MAX_ROUNDS: usize = 8;
/// Rounds in which parts may be joined; each joins every part that can be.
const MAX_JOINT_ROUNDS: usize = 24;
/// Solutions on the way are this exact, the last one is [`LAST_EXACT_PX`].
const EXACT_PX: f64 = 0.02;
const LAST_EXACT_PX: f64 = 1e-6;

/// A field as the solver sees it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FieldPlace {
    /// Where the layout says it is.
    pub nominal: Point,
    /// Its row and column where they are known; backlash is learnt from their parity.
    pub row_col: Option<(i32, i32)>,
}

/// What a person decided about an edge.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hand {
    /// Nothing.
    #[default]
    Off,
    /// The measurement is right.
    Accept,
    /// The measurement is wrong.
    Refuse,
    /// This is the displacement: a field was dragged.
    Shift(Point),
}

/// Two neighbours and what is known of their displacement.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Edge {
    /// The first field's index.
    pub a: usize,
    /// The second field's index.
    pub b: usize,
    /// What was measured.
    pub outcome: PairOutcome,
    /// What a person decided.
    pub hand: Hand,
}

/// What became of an edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EdgeStatus {
    /// Its measurement counts.
    Accepted,
    /// It was measured, and the other edges or the stage contradict it.
    Dropped,
    /// Texture that does not match.
    Rejected,
    /// Nothing to see.
    NoInformation,
    /// Its measurement counts because a person said so.
    AcceptedByHand,
    /// A person's shift counts in the place of a measurement.
    ShiftedByHand,
    /// A person refused it.
    RefusedByHand,
}

impl EdgeStatus {
    /// Whether the measurement counts, whoever accepted it.
    pub fn is_accepted(self) -> bool {
        matches!(self, Self::Accepted | Self::AcceptedByHand)
    }
}

/// An edge in the solution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EdgeResult {
    /// What became of it.
    pub status: EdgeStatus,
    /// Its shift less that of the solution, in pixels; `None` where it has none.
    pub residual: Option<Point>,
    /// Whether it counts and nothing else that counts joins what it joins: its residual is nothing then, and says nothing.
    pub is_alone: bool,
}

/// What holds a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlacedBy {
    /// At least one accepted edge.
    Edges,
    /// The stage model alone.
    Stage,
}

/// Where everything stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Solution {
    /// One a field, in the order given; top-left corners in pixels.
    pub positions: Vec<Point>,
    /// One a field.
    pub placed_by: Vec<PlacedBy>,
    /// One an edge, in the order given.
    pub edges: Vec<EdgeResult>,
    /// What was learnt of the stage.
    pub stage: StageModel,
}

/// Where a solution starts.
#[derive(Debug, Clone, Copy)]
pub enum Start<'a> {
    /// From the nominal layout: the only one that is the same whatever happened before.
    Cold,
    /// From earlier positions: while edges still arrive, or after a person changed something.
    Warm(&'a [Point]),
}

/// One measured or set displacement during the solution.
struct Link {
    /// Its place in the caller's list.
    index: usize,
    a: usize,
    b: usize,
    shift: Point,
    /// The inverse covariance.
    weight: [f64; 3],
    /// Its standard deviation over both axes.
    deviation_px: f64,
    /// How much a doubtful match counts while the tolerance is wide.
    confidence: f64,
    score: f64,
    by_hand: bool,
    is_in: bool,
}

/// The positions that agree best with all edges.
///
/// `max_shift` is the largest shift that was searched: before anything is measured the stage is believed to a third of it.
/// Edges to fields that do not exist are left out; their result is [`EdgeStatus::Rejected`].
/// Edges may come in any order: they are sorted first, and the result is the same to the last bit.
pub fn solve(fields: &[FieldPlace], edges: &[Edge], max_shift: Point, start: Start<'_>) -> Solution {
    let valid = |e: &Edge| e.a < fields.len() && e.b < fields.len() && e.a != e.b;
    let mut order: Vec<usize> = (0..edges.len()).filter(|&k| valid(&edges[k])).collect();
    order.sort_by_key(|&k| (edges[k].a.min(edges[k].b), edges[k].a.max(edges[k].b), k));
    let mut links: Vec<Link> = order.iter().filter_map(|&k| link_of(k, &edges[k])).collect();

    let step = |a: usize, b: usize| step_between(&fields[a], &fields[b]);
    let observations: Vec<(Step, Point)> = links.iter().map(|l| (step(l.a, l.b), l.shift)).collect();
    let stage = StageModel::fit(&observations, max_shift * (1.0 / 3.0));
    let anchors: Vec<Point> = fields.iter().map(|f| stage.expect(&step_between(&ORIGIN, f))).collect();
    let stage_weight = [stage.scatter.x.powi(-2), 0.0, stage.scatter.y.powi(-2)];
    let stage_springs: Vec<Spring> = order
        .iter()
        .map(|&k| {
            let (a, b) = (edges[k].a, edges[k].b);
            Spring { a, b, shift: anchors[b] - anchors[a], weight: stage_weight }
        })
        .collect();

    let mut work = Work {
        scratch: SparseScratch::default(),
        springs: Vec::with_capacity(stage_springs.len() + links.len()),
        positions: anchors.clone(),
        anchors,
        stage_springs,
        anchor_weight: ANCHOR_SHARE * stage_weight[0].min(stage_weight[2]),
        noise_px: loop_noise(fields.len(), &links.iter().map(|l| (l.a, l.b, l.shift)).collect::<Vec<_>>()),
    };
    match start {
        Start::Cold => work.anneal(&mut links),
        Start::Warm(from) => {
            work.start_from(from);
            work.judge(&mut links, &stage);
            let out = links.iter().filter(|l| !l.is_in).count();
            if out as f64 > ANNEAL_SHARE * links.len() as f64 {
                work.anneal(&mut links);
            }
        }
    }
    work.judge(&mut links, &stage);
    work.settle(&mut links, &stage);
    for _ in 0..MAX_JOINT_ROUNDS {
        if !work.reconnect(&mut links, &stage) {
            break;
        }
        work.settle(&mut links, &stage);
    }
    work.solve_accepted(&links, LAST_EXACT_PX);

    let mut placed_by = vec![PlacedBy::Stage; fields.len()];
    let mut results: Vec<EdgeResult> =
        edges.iter().map(|e| EdgeResult { status: status_without_link(e), residual: None, is_alone: false }).collect();
    let joined: Vec<(usize, usize)> = links.iter().filter(|l| l.is_in).map(|l| (l.a, l.b)).collect();
    let mut is_bridge = bridges(fields.len(), &joined).into_iter();
    for link in &links {
        let residual = link.shift - (work.positions[link.b] - work.positions[link.a]);
        let status = match (link.is_in, edges[link.index].hand) {
            (true, Hand::Shift(_)) => EdgeStatus::ShiftedByHand,
            (true, Hand::Accept) => EdgeStatus::AcceptedByHand,
            (true, Hand::Off | Hand::Refuse) => EdgeStatus::Accepted,
            (false, _) => EdgeStatus::Dropped,
        };
        let is_alone = link.is_in && is_bridge.next().unwrap_or(false);
        results[link.index] = EdgeResult { status, residual: Some(residual), is_alone };
        if link.is_in {
            placed_by[link.a] = PlacedBy::Edges;
            placed_by[link.b] = PlacedBy::Edges;
        }
    }
    Solution { positions: work.positions, placed_by, edges: results, stage }
}

/// A field at the origin of an even row and column.
const ORIGIN: FieldPlace = FieldPlace { nominal: Point::new(0.0, 0.0), row_col: None };

fn step_between(a: &FieldPlace, b: &FieldPlace) -> Step {
    let parity = |f: &FieldPlace| {
        let (row, column) = f.row_col.unwrap_or((0, 0));
        [f64::from(row.rem_euclid(2)), f64::from(column.rem_euclid(2))]
    };
    let (pa, pb) = (parity(a), parity(b));
    Step { nominal: b.nominal - a.nominal, parity: [pb[0] - pa[0], pb[1] - pa[1]] }
}

fn status_without_link(edge: &Edge) -> EdgeStatus {
    match (edge.hand, edge.outcome) {
        (Hand::Refuse, _) => EdgeStatus::RefusedByHand,
        (_, PairOutcome::NoInformation) => EdgeStatus::NoInformation,
        _ => EdgeStatus::Rejected,
    }
}

fn link_of(index: usize, edge: &Edge) -> Option<Link> {
    let Edge { a, b, .. } = *edge;
    let link = |shift: Point, covariance: [f64; 3], score: f64, by_hand: bool| {
        let floor = MIN_DEVIATION_PX * MIN_DEVIATION_PX;
        let (xx, xy, yy) = (covariance[0] + floor, covariance[1], covariance[2] + floor);
        let determinant = xx * yy - xy * xy;
        let usable = shift.x.is_finite() && shift.y.is_finite() && determinant.is_finite() && determinant > 0.0;
        usable.then_some(Link {
            index,
            a,
            b,
            shift,
            weight: [yy / determinant, -xy / determinant, xx / determinant],
            deviation_px: (xx + yy).sqrt(),
            confidence: if by_hand { 1.0 } else { (score / CLEAR_SCORE).powi(2).min(1.0) },
            score,
            by_hand,
            is_in: true,
        })
    };
    let measured = |m: &Measurement, by_hand| link(m.shift, m.covariance, m.score, by_hand);
    match (edge.hand, &edge.outcome) {
        (Hand::Shift(shift), _) => {
            let variance = HAND_DEVIATION_PX * HAND_DEVIATION_PX;
            link(shift, [variance, 0.0, variance], f64::INFINITY, true)
        }
        (Hand::Accept, PairOutcome::Measured(m)) => measured(m, true),
        (Hand::Off, PairOutcome::Measured(m)) => measured(m, false),
        _ => None,
    }
}

/// The state of one solution.
struct Work {
    scratch: SparseScratch,
    springs: Vec<Spring>,
    positions: Vec<Point>,
    anchors: Vec<Point>,
    stage_springs: Vec<Spring>,
    anchor_weight: f64,
    /// The deviation of an edge that is not false, per axis.
    noise_px: f64,
}

impl Work {
    /// Takes positions that fit; others leave the anchors.
    fn start_from(&mut self, from: &[Point]) {
        if from.len() == self.positions.len() && from.iter().all(|p| p.x.is_finite() && p.y.is_finite()) {
            self.positions.copy_from_slice(from);
        }
    }

    fn residual(&self, link: &Link) -> f64 {
        link.shift.distance(self.positions[link.b] - self.positions[link.a])
    }

    /// Shrinks the tolerance from the scatter of the stage to that of the measurements.
    fn anneal(&mut self, links: &mut [Link]) {
        let stage_weight = self.stage_springs.first().map_or([1.0, 0.0, 1.0], |s| s.weight);
        let mut tolerance = 3.0 / stage_weight[0].min(stage_weight[2]).sqrt();
        let last = LAST_TOLERANCE_PX.max(LAST_TOLERANCE_DEVIATIONS * self.noise_px);
        loop {
            self.springs.clear();
            self.springs.extend_from_slice(&self.stage_springs);
            for link in links.iter() {
                let length = self.residual(link);
                let agreement = (tolerance * tolerance / (tolerance * tolerance + length * length)).powi(2);
                let trust = if link.by_hand { 1.0 } else { agreement * link.confidence };
                let weight = trust * (3.0 / tolerance).powi(2);
                self.springs.push(Spring { a: link.a, b: link.b, shift: link.shift, weight: [weight, 0.0, weight] });
            }
            self.minimise(1.0, EXACT_PX);
            if tolerance <= last {
                break;
            }
            tolerance /= SHRINK;
        }
    }

    /// Puts edges in or out by their residuals; returns whether any changed.
    fn judge(&self, links: &mut [Link], stage: &StageModel) -> bool {
        let limit = OUT_PX.max(OUT_DEVIATIONS * self.noise_px);
        let before: Vec<bool> = links.iter().map(|l| l.is_in).collect();
        for link in links.iter_mut() {
            let own_limit = limit.max(OWN_DEVIATIONS * link.deviation_px);
            link.is_in = link.by_hand || self.residual(link) <= own_limit;
        }
        self.drop_weak_bridges(links, stage);
        links.iter().zip(&before).any(|(l, &b)| l.is_in != b)
    }

    /// Solves and judges until nothing changes.
    fn settle(&mut self, links: &mut [Link], stage: &StageModel) {
        for _ in 0..MAX_ROUNDS {
            self.solve_accepted(links, EXACT_PX * 0.05);
            if !self.judge(links, stage) {
                break;
            }
        }
    }

    /// Takes back edges that were dropped but join parts which no accepted edge joins: nothing but the stage spoke against
    /// them. Where several join the same parts, the largest group that agrees is taken.
    ///
    /// A part takes part in one joint at a time, since the joint moves it. Returns whether anything changed.
    fn reconnect(&self, links: &mut [Link], stage: &StageModel) -> bool {
        let joined: Vec<(usize, usize)> = links.iter().filter(|l| l.is_in).map(|l| (l.a, l.b)).collect();
        let parts = parts(self.positions.len(), &joined);
        // How far the second part would have to move, for each edge between two parts; parts in rising order.
        let mut offers: Vec<(usize, usize, Point, usize)> = links
            .iter()
            .enumerate()
            .filter(|(_, l)| !l.is_in && parts[l.a] != parts[l.b])
            .map(|(k, l)| {
                let gap = l.shift - (self.positions[l.b] - self.positions[l.a]);
                let (pa, pb) = (parts[l.a], parts[l.b]);
                if pa < pb { (pa, pb, gap, k) } else { (pb, pa, gap * -1.0, k) }
            })
            .collect();
        offers.sort_by_key(|o| (o.0, o.1, o.3));
        let mut joints: Vec<(Vec<usize>, f64, usize, usize)> = Vec::new();
        for group in offers.chunk_by(|p, q| (p.0, p.1) == (q.0, q.1)) {
            let best = group
                .iter()
                .map(|o| {
                    let agree: Vec<usize> =
                        group.iter().filter(|q| q.2.distance(o.2) <= 2.0 * OUT_PX).map(|q| q.3).collect();
                    (agree, self.deviations(&links[o.3], stage), o.0, o.1)
                })
                .reduce(|p, q| if better_joint(&q, &p) { q } else { p });
            if let Some(joint) = best {
                let clear = joint.0.iter().any(|&k| links[k].score >= CLEAR_SCORE);
                if joint.0.len() > 1 || clear || joint.1 <= BRIDGE_DEVIATIONS {
                    joints.push(joint);
                }
            }
        }
        joints.sort_by(|p, q| q.0.len().cmp(&p.0.len()).then(p.1.total_cmp(&q.1)).then((p.2, p.3).cmp(&(q.2, q.3))));
        // While edges confirm one another somewhere, edges that stand alone wait: they may find company.
        if joints.first().is_some_and(|j| j.0.len() > 1) {
            joints.retain(|j| j.0.len() > 1);
        }
        let mut moved = vec![false; self.positions.len()];
        let mut changed = false;
        for (agree, _, first, second) in joints {
            if !moved[first] && !moved[second] {
                moved[first] = true;
                moved[second] = true;
                changed = true;
                agree.into_iter().for_each(|k| links[k].is_in = true);
            }
        }
        changed
    }

    /// How many deviations of the stage an edge is off the stage model.
    fn deviations(&self, link: &Link, stage: &StageModel) -> f64 {
        let off = link.shift - (self.anchors[link.b] - self.anchors[link.a]);
        (off.x / stage.scatter.x).hypot(off.y / stage.scatter.y)
    }

    fn solve_accepted(&mut self, links: &[Link], exact_px: f64) {
        self.springs.clear();
        self.springs
            .extend(self.stage_springs.iter().map(|s| Spring { weight: s.weight.map(|w| w * LAST_STAGE_SHARE), ..*s }));
        self.springs.extend(links.iter().filter(|l| l.is_in).map(|l| Spring {
            a: l.a,
            b: l.b,
            shift: l.shift,
            weight: l.weight,
        }));
        self.minimise(LAST_STAGE_SHARE, exact_px);
    }

    fn minimise(&mut self, anchor_share: f64, exact_px: f64) {
        let weight = self.anchor_weight * anchor_share;
        minimise(&mut self.scratch, &mut self.positions, &self.springs, &self.anchors, weight, exact_px);
    }

    /// Takes out edges that alone hold a part of the mosaic, have no clear match and contradict the stage.
    fn drop_weak_bridges(&self, links: &mut [Link], stage: &StageModel) {
        let joined: Vec<(usize, usize)> = links.iter().filter(|l| l.is_in).map(|l| (l.a, l.b)).collect();
        let bridges = bridges(self.positions.len(), &joined);
        for (link, is_bridge) in links.iter_mut().filter(|l| l.is_in).zip(bridges) {
            if !is_bridge || link.by_hand || link.score >= CLEAR_SCORE {
                continue;
            }
            link.is_in &= self.deviations(link, stage) <= BRIDGE_DEVIATIONS;
        }
    }
}

/// Whether the first joint is the better one: more edges agree on it, or the stage likes it more.
fn better_joint(p: &(Vec<usize>, f64, usize, usize), q: &(Vec<usize>, f64, usize, usize)) -> bool {
    (p.0.len(), -p.1) > (q.0.len(), -q.1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stitch::pair::Rejection;

    /// Pseudo-random numbers, uniform and normal.
    struct Random(u64);
    impl Random {
        fn uniform(&mut self) -> f64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((self.0 >> 11) as f64 + 0.5) / (1u64 << 53) as f64
        }
        fn normal(&mut self) -> f64 {
            (-2.0 * self.uniform().ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos()
        }
    }

    struct Grid {
        fields: Vec<FieldPlace>,
        truth: Vec<Point>,
        edges: Vec<Edge>,
    }

    /// A grid of 1000 px steps with jitter 8 px, backlash 12 px, a slight rotation and edges good to 0.03 px.
    fn grid(rows: usize, cols: usize, false_share: f64, seed: u64) -> Grid {
        grid_with_noise(rows, cols, false_share, 0.03, seed)
    }

    fn grid_with_noise(rows: usize, cols: usize, false_share: f64, noise_px: f64, seed: u64) -> Grid {
        let mut random = Random(seed);
        let (mut fields, mut truth, mut edges) = (Vec::new(), Vec::new(), Vec::new());
        for r in 0..rows {
            for c in 0..cols {
                let nominal = Point::new(c as f64 * 1000.0, r as f64 * 1000.0);
                fields.push(FieldPlace { nominal, row_col: Some((r as i32, c as i32)) });
                truth.push(Point::new(
                    nominal.x - 0.001 * nominal.y + 12.0 * (r % 2) as f64 + 8.0 * random.normal(),
                    nominal.y + 0.001 * nominal.x + 8.0 * random.normal(),
                ));
            }
        }
        for i in 0..rows * cols {
            let (r, c) = (i / cols, i % cols);
            for j in [(c + 1 < cols).then_some(i + 1), (r + 1 < rows).then_some(i + cols)].into_iter().flatten() {
                let mut shift = truth[j] - truth[i];
                if random.uniform() < false_share {
                    let wild = Point::new(random.uniform() * 160.0 - 80.0, random.uniform() * 160.0 - 80.0);
                    shift = fields[j].nominal - fields[i].nominal + wild;
                } else {
                    shift = shift + Point::new(noise_px * random.normal(), noise_px * random.normal());
                }
                edges.push(edge(i, j, shift, 10.0));
            }
        }
        Grid { fields, truth, edges }
    }

    fn edge(a: usize, b: usize, shift: Point, score: f64) -> Edge {
        let covariance = [9e-4, 0.0, 9e-4];
        let m = Measurement { shift, covariance, ncc: 0.8, score, peak_ratio: 3.0 };
        Edge { a, b, outcome: PairOutcome::Measured(m), hand: Hand::Off }
    }

    const MAX_SHIFT: Point = Point::new(80.0, 80.0);

    fn pair_errors(grid: &Grid, solution: &Solution) -> Vec<f64> {
        let p = &solution.positions;
        grid.edges.iter().map(|e| (p[e.b] - p[e.a]).distance(grid.truth[e.b] - grid.truth[e.a])).collect()
    }

    #[test]
    fn redundant_edges_average_out() {
        let grid = grid(12, 12, 0.0, 1);
        let solution = solve(&grid.fields, &grid.edges, MAX_SHIFT, Start::Cold);
        let errors = pair_errors(&grid, &solution);
        let rms = (errors.iter().map(|e| e * e).sum::<f64>() / errors.len() as f64).sqrt();
        // One edge alone errs by 0.042 over both axes.
        assert!(rms < 0.034, "rms {rms}");
        assert!(solution.edges.iter().all(|e| e.status == EdgeStatus::Accepted));
    }

    #[test]
    fn one_false_edge_in_ten_is_dropped_and_moves_nothing() {
        for seed in 1..=5 {
            let grid = grid(10, 10, 0.1, seed);
            let solution = solve(&grid.fields, &grid.edges, MAX_SHIFT, Start::Cold);
            let mut errors = pair_errors(&grid, &solution);
            errors.sort_by(f64::total_cmp);
            // A corner field whose two edges are both false can only stand where the stage says.
            assert!(errors[errors.len() * 97 / 100] < 0.2, "seed {seed}: {:?}", &errors[errors.len() * 9 / 10..]);
        }
    }

    #[test]
    fn a_lens_that_distorts_every_seam_by_two_pixels_costs_few_edges() {
        for seed in 1..=3 {
            let grid = grid_with_noise(10, 10, 0.03, 2.0, seed);
            let solution = solve(&grid.fields, &grid.edges, MAX_SHIFT, Start::Cold);
            let accepted = solution.edges.iter().filter(|e| e.status == EdgeStatus::Accepted).count();
            assert!(accepted * 100 >= grid.edges.len() * 88, "seed {seed}: {accepted} of {}", grid.edges.len());
            let mut errors = pair_errors(&grid, &solution);
            errors.sort_by(f64::total_cmp);
            assert!(errors[errors.len() * 98 / 100] < 7.0, "seed {seed}: {:?}", &errors[errors.len() * 9 / 10..]);
        }
    }

    #[test]
    fn an_empty_field_stands_where_the_stage_says_backlash_included() {
        let mut grid = grid(7, 7, 0.0, 3);
        let empty = 3 * 7 + 3;
        for e in grid.edges.iter_mut().filter(|e| e.a == empty || e.b == empty) {
            e.outcome = PairOutcome::NoInformation;
        }
        let solution = solve(&grid.fields, &grid.edges, MAX_SHIFT, Start::Cold);
        assert_eq!(solution.placed_by[empty], PlacedBy::Stage);
        assert_eq!(solution.placed_by.iter().filter(|&&p| p == PlacedBy::Stage).count(), 1);
        for (e, error) in grid.edges.iter().zip(pair_errors(&grid, &solution)) {
            let limit = if e.a == empty || e.b == empty { 32.0 } else { 0.2 };
            assert!(error < limit, "{} {}: {error}", e.a, e.b);
        }
    }

    #[test]
    fn two_islands_keep_their_distance_by_the_stage_model() {
        let mut grid = grid(6, 9, 0.0, 4);
        for e in &mut grid.edges {
            if e.a % 9 == 4 || e.b % 9 == 4 {
                e.outcome = PairOutcome::Rejected { reason: Rejection::Chance, score: 4.0 };
            }
        }
        let solution = solve(&grid.fields, &grid.edges, MAX_SHIFT, Start::Cold);
        let p = &solution.positions;
        for r in 0..6 {
            let (a, b) = (r * 9 + 3, r * 9 + 5);
            let error = (p[b] - p[a]).distance(grid.truth[b] - grid.truth[a]);
            assert!(error < 25.0, "row {r}: {error}");
        }
    }

    #[test]
    fn the_order_of_the_edges_does_not_change_a_bit() {
        let mut grid = grid(8, 8, 0.05, 5);
        let first = solve(&grid.fields, &grid.edges, MAX_SHIFT, Start::Cold);
        grid.edges.reverse();
        let second = solve(&grid.fields, &grid.edges, MAX_SHIFT, Start::Cold);
        assert_eq!(first.positions, second.positions);
        assert_eq!(first.edges[0], second.edges[second.edges.len() - 1]);
    }

    #[test]
    fn a_refusal_and_a_shift_by_hand_are_obeyed_from_a_warm_start() {
        let mut grid = grid(8, 8, 0.0, 6);
        let first = solve(&grid.fields, &grid.edges, MAX_SHIFT, Start::Cold);
        let corner = 63;
        let wanted = grid.fields[corner].nominal - grid.fields[62].nominal + Point::new(30.0, -20.0);
        for e in grid.edges.iter_mut().filter(|e| e.b == corner) {
            e.hand = if e.a == 62 { Hand::Shift(wanted) } else { Hand::Refuse };
        }
        let second = solve(&grid.fields, &grid.edges, MAX_SHIFT, Start::Warm(&first.positions));
        assert!((second.positions[corner] - second.positions[62]).distance(wanted) < 0.05);
        let statuses: Vec<_> =
            grid.edges.iter().zip(&second.edges).filter(|(e, _)| e.b == corner).map(|(_, r)| r.status).collect();
        assert!(statuses.contains(&EdgeStatus::RefusedByHand) && statuses.contains(&EdgeStatus::ShiftedByHand));
        let moved = (second.positions[9] - second.positions[0]).distance(first.positions[9] - first.positions[0]);
        assert!(moved < 0.01, "the rest moved by {moved}");
    }

    #[test]
    fn a_weak_match_that_alone_holds_a_field_and_contradicts_the_stage_is_dropped() {
        let mut grid = grid(6, 6, 0.0, 7);
        for e in grid.edges.iter_mut().filter(|e| e.b == 35) {
            e.outcome = PairOutcome::NoInformation;
            if e.a == 34 {
                *e = edge(34, 35, Point::new(1075.0, -70.0), 7.0);
            }
        }
        let solution = solve(&grid.fields, &grid.edges, MAX_SHIFT, Start::Cold);
        assert_eq!(solution.placed_by[35], PlacedBy::Stage);
        let index = grid.edges.iter().position(|e| (e.a, e.b) == (34, 35)).expect("it is there");
        assert_eq!(solution.edges[index].status, EdgeStatus::Dropped);
    }

    #[test]
    fn provisional_positions_agree_with_the_cold_solution_once_all_edges_are_there() {
        let grid = grid(10, 10, 0.05, 8);
        let cold = solve(&grid.fields, &grid.edges, MAX_SHIFT, Start::Cold);
        let half: Vec<Edge> = grid.edges.iter().take(grid.edges.len() / 2).copied().collect();
        let first = solve(&grid.fields, &half, MAX_SHIFT, Start::Cold);
        let all = solve(&grid.fields, &grid.edges, MAX_SHIFT, Start::Warm(&first.positions));
        for e in &grid.edges {
            let d = (all.positions[e.b] - all.positions[e.a]).distance(cold.positions[e.b] - cold.positions[e.a]);
            assert!(d < 0.01, "{} {}: {d}", e.a, e.b);
        }
    }

    #[test]
    fn nothing_at_all_is_solved_too() {
        assert!(solve(&[], &[], MAX_SHIFT, Start::Cold).positions.is_empty());
        let one = FieldPlace { nominal: Point::new(5.0, 6.0), row_col: None };
        assert_eq!(solve(&[one], &[], MAX_SHIFT, Start::Cold).positions, vec![one.nominal]);
    }
}
