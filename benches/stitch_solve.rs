//! Times the global solution on a grid of made-up shifts: cold, provisional, and after one change by hand.
//!
//! `cargo bench --bench stitch_solve -- [SIDE] [SHARE_OF_FALSE_EDGES]`

use std::time::Instant;

use microtome::geom::Point;
use microtome::stitch::pair::{Measurement, PairOutcome};
use microtome::stitch::solve::{Edge, FieldPlace, Hand, Start, solve};

fn main() {
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    let side: usize = args.next().map_or(45, |v| v.parse().expect("a number"));
    let false_share: f64 = args.next().map_or(0.03, |v| v.parse().expect("a share"));
    let mut seed = 7u64;
    let mut uniform = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((seed >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    };
    let (mut fields, mut truth, mut edges) = (Vec::new(), Vec::new(), Vec::new());
    for r in 0..side {
        for c in 0..side {
            let nominal = Point::new(c as f64 * 1843.0, r as f64 * 1843.0);
            fields.push(FieldPlace { nominal, row_col: Some((r as i32, c as i32)) });
            truth
                .push(nominal + Point::new(30.0 * (uniform() - 0.5) + 12.0 * (r % 2) as f64, 30.0 * (uniform() - 0.5)));
        }
    }
    for i in 0..side * side {
        for (j, there) in [(i + 1, i % side + 1 < side), (i + side, i / side + 1 < side)] {
            if !there {
                continue;
            }
            let wrong = if uniform() < false_share { 160.0 } else { 0.06 };
            let error = Point::new(wrong * (uniform() - 0.5), wrong * (uniform() - 0.5));
            let shift = truth[j] - truth[i] + error;
            let m = Measurement { shift, covariance: [3e-4, 0.0, 3e-4], ncc: 0.9, score: 12.0, peak_ratio: 3.0 };
            let outcome = if uniform() < 0.02 { PairOutcome::NoInformation } else { PairOutcome::Measured(m) };
            edges.push(Edge { a: i, b: j, outcome, hand: Hand::Off });
        }
    }
    let limit = Point::new(100.0, 100.0);
    let time = |name: &str, edges: &[Edge], start: Start<'_>| {
        let started = Instant::now();
        let solution = solve(&fields, edges, limit, start);
        let secs = started.elapsed().as_secs_f64();
        let p = &solution.positions;
        let mut errors: Vec<f64> = edges.iter().map(|e| (p[e.b] - p[e.a]).distance(truth[e.b] - truth[e.a])).collect();
        errors.sort_by(f64::total_cmp);
        let bad = errors.iter().filter(|&&e| e > 1.0).count();
        println!(
            "{name}: {:.1} ms, p50 {:.3} px, {bad} of {} over 1 px",
            secs * 1e3,
            errors[errors.len() / 2],
            errors.len()
        );
        solution
    };
    let cold = time("cold", &edges, Start::Cold);
    let half: Vec<Edge> = edges.iter().take(edges.len() / 2).copied().collect();
    let first = time("half of the edges", &half, Start::Cold);
    time("all edges from there", &edges, Start::Warm(&first.positions));
    time("the same edges again", &edges, Start::Warm(&cold.positions));
    let middle = edges.len() / 2;
    edges[middle].hand = Hand::Refuse;
    time("one refused by hand", &edges, Start::Warm(&cold.positions));
    let (a, b) = (edges[middle].a, edges[middle].b);
    edges[middle].hand = Hand::Shift(truth[b] - truth[a] + Point::new(0.3, 0.0));
    time("one shifted by hand", &edges, Start::Warm(&cold.positions));
}
