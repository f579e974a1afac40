//! The shift of one overlap.
//!
//! Texture gate, coarse search in reduced strips, several candidates compared in full resolution, the best one refined to
//! a fraction of a pixel with its covariance.
//! Pure: strips in, an outcome out; the same input gives the same output on one build and processor family.

use serde::{Deserialize, Serialize};

use super::coarse::{self, Candidate, CoarseScratch, Search};
use super::correlate::{Correlator, MAX_PIECE_PX};
use super::filter::{LogKernel, Reduced};
use super::fine::{self, FinePair, FineScratch};
use super::strip::Strip;
use crate::geom::Point;

/// The least coarse score that is believed before a null distribution is known: chance peaks reach 5, of tissue 6.
pub const MIN_SCORE: f64 = 6.5;

/// The filter of the coarse search, in reduced pixels.
const COARSE_SIGMA_PX: f64 = 1.0;
/// The filter of the refinement, in full-resolution pixels.
const FINE_SIGMA_PX: f64 = 1.3;
/// How much strips are reduced where they are wide enough.
const REDUCTION: usize = 4;
/// Reduced strips are kept at least this wide, in reduced pixels.
const MIN_REDUCED_SIDE: usize = 40;
/// Reductions beyond this lose the texture that there is to match.
const MAX_REDUCTION: usize = 32;
/// A strip has texture if at least one of its blocks has this many times the energy of bare noise: five deviations.
const MIN_TEXTURE: f32 = 2.0;
/// A further candidate is looked at in full resolution if its score is at least this share of the best one's.
const RIVAL_SHARE: f64 = 0.6;
/// A match that has no sharp peak is taken from the reduced strips if its score is this many times the least.
const COARSE_SHARE: f64 = 1.6;
/// A shift that is less sure than this along an axis is no measurement, in pixels.
const MAX_DEVIATION_PX: f64 = 1.0;

/// What the caller allows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// How far the nominal displacement may be wrong, per axis, in pixels.
    pub max_shift: Point,
    /// The least coarse score: [`MIN_SCORE`], or the threshold of the image set's null distribution.
    pub min_score: f64,
}

/// A shift that was measured.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    /// Where `b` stands relative to `a`, top-left corner to top-left corner, in pixels.
    pub shift: Point,
    /// The covariance of the shift in square pixels: xx, xy, yy.
    pub covariance: [f64; 3],
    /// The normalised correlation of the filtered overlaps at the shift; zero where only the reduced strips matched.
    pub ncc: f64,
    /// The coarse peak over the spread of all other lags.
    pub score: f64,
    /// The coarse peak over the next best one.
    pub peak_ratio: f64,
}

/// Why a shift was not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rejection {
    /// The best match is no better than chance.
    Chance,
    /// There is a coarse match, and no sharp one in full resolution.
    NoPeak,
    /// The match leaves the allowed shift.
    TooFar,
}

/// What came of one overlap.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PairOutcome {
    /// A shift.
    Measured(Measurement),
    /// There is nothing to see in at least one of the strips.
    NoInformation,
    /// There is texture, and it does not match.
    Rejected {
        /// Why.
        reason: Rejection,
        /// The best coarse score there was.
        score: f64,
    },
}

/// Plans and buffers of one worker, reused from pair to pair; bounded whatever the size of the strips' fields.
pub struct PairScratch {
    correlator: Correlator,
    coarse: CoarseScratch,
    fine: FineScratch,
    a: Reduced,
    b: Reduced,
    coarse_kernel: LogKernel,
    fine_kernel: LogKernel,
}

impl Default for PairScratch {
    fn default() -> Self {
        Self {
            correlator: Correlator::new(),
            coarse: CoarseScratch::default(),
            fine: FineScratch::default(),
            a: Reduced::default(),
            b: Reduced::default(),
            coarse_kernel: LogKernel::new(COARSE_SIGMA_PX),
            fine_kernel: LogKernel::new(FINE_SIGMA_PX),
        }
    }
}

/// Measures where `b`'s field stands relative to `a`'s, given about where it should.
pub fn measure(
    scratch: &mut PairScratch,
    a: &Strip<'_>,
    b: &Strip<'_>,
    nominal: Point,
    limits: &Limits,
) -> PairOutcome {
    let Some(candidates) = search(scratch, a, b, nominal, limits) else { return PairOutcome::NoInformation };
    let Some(best) = candidates.first() else {
        return PairOutcome::Rejected { reason: Rejection::Chance, score: 0.0 };
    };
    let rejected = |reason| PairOutcome::Rejected { reason, score: best.score };
    if best.score < limits.min_score {
        return rejected(Rejection::Chance);
    }
    let PairScratch { fine: fine_scratch, a: a_maps, b: b_maps, fine_kernel, .. } = scratch;
    let pair = FinePair { a, b, a_maps, b_maps, kernel: fine_kernel };
    let rivals = candidates.iter().filter(|c| c.score >= RIVAL_SHARE * best.score);
    let placed = rivals.filter_map(|c| fine::place(fine_scratch, &pair, c.displacement));
    let Some((place, _)) = placed.reduce(|p, q| if q.1 > p.1 { q } else { p }) else {
        return rejected(Rejection::NoPeak);
    };
    let sure = |r: &fine::Refined| {
        let limit = MAX_DEVIATION_PX * MAX_DEVIATION_PX;
        r.covariance.iter().all(|v| v.is_finite()) && r.covariance[0].max(r.covariance[2]) <= limit
    };
    let refined = match fine::refine(fine_scratch, &pair, place).filter(sure) {
        Some(refined) => refined,
        // The texture that is left in dim light is coarser than a pixel; a clear match is then known to half a reduced pixel.
        None if best.score >= COARSE_SHARE * limits.min_score => {
            let variance = (0.5 * reduction_for(a, b, limits.max_shift) as f64).powi(2);
            fine::Refined {
                displacement: best.displacement,
                covariance: [variance, 0.0, variance],
                ncc: 0.0,
                blocks: 0,
            }
        }
        None => return rejected(Rejection::NoPeak),
    };
    let off = refined.displacement - nominal;
    if off.x.abs() > limits.max_shift.x + 1.0 || off.y.abs() > limits.max_shift.y + 1.0 {
        return rejected(Rejection::TooFar);
    }
    let next = candidates.get(1).map_or(1.0, |c| c.score.max(1.0));
    PairOutcome::Measured(Measurement {
        shift: refined.displacement,
        covariance: refined.covariance,
        ncc: refined.ncc,
        score: best.score,
        peak_ratio: best.score / next,
    })
}

/// The best coarse score of two strips that are known not to overlap, searched as a real pair would be; `None` where
/// either has no texture. [`super::null`] makes a threshold of many.
pub fn chance_score(
    scratch: &mut PairScratch,
    a: &Strip<'_>,
    b: &Strip<'_>,
    nominal: Point,
    limits: &Limits,
) -> Option<f64> {
    search(scratch, a, b, nominal, limits).map(|candidates| candidates.first().map_or(0.0, |c| c.score))
}

/// The coarse candidates; `None` where either strip has no texture.
fn search(
    scratch: &mut PairScratch,
    a: &Strip<'_>,
    b: &Strip<'_>,
    nominal: Point,
    limits: &Limits,
) -> Option<Vec<Candidate>> {
    let origin =
        Point::new(f64::from(a.rect().x) - f64::from(b.rect().x), f64::from(a.rect().y) - f64::from(b.rect().y));
    let reduction = reduction_for(a, b, limits.max_shift);
    if [a, b].iter().any(|s| s.width() < reduction || s.height() < reduction) {
        return None;
    }
    scratch.a.prepare(a, reduction, &scratch.coarse_kernel);
    scratch.b.prepare(b, reduction, &scratch.coarse_kernel);
    let has_texture = |r: &Reduced| r.energy.values().iter().any(|&e| e >= MIN_TEXTURE);
    if !has_texture(&scratch.a) || !has_texture(&scratch.b) {
        return None;
    }
    let search = Search { origin, nominal, max_shift: limits.max_shift, reduction };
    let PairScratch { correlator, coarse, a, b, .. } = scratch;
    Some(coarse::candidates(correlator, coarse, a, b, &search))
}

/// How much to reduce: by four, less where a strip would become too narrow, more where a piece would become too large.
fn reduction_for(a: &Strip<'_>, b: &Strip<'_>, max_shift: Point) -> usize {
    let narrow = a.width().min(a.height()).min(b.width()).min(b.height());
    let mut reduction = REDUCTION;
    while reduction > 1 && narrow / reduction < MIN_REDUCED_SIDE {
        reduction /= 2;
    }
    // The padded piece is at most both strips' sum and at most one strip and the searched lags.
    let padded = |a: usize, b: usize, shift: f64| (a.max(b) + 2 * shift.ceil().max(0.0) as usize).min(a + b);
    let width = padded(a.width(), b.width(), max_shift.x);
    let height = padded(a.height(), b.height(), max_shift.y);
    // A fast length is at most an eighth longer than asked for, at these sizes.
    let fits = |r: usize| (width / r + 4) * (height / r + 4) / 64 * 81 <= MAX_PIECE_PX;
    while reduction < MAX_REDUCTION && !fits(reduction) {
        reduction *= 2;
    }
    reduction
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geom::{PixelRect, Size};
    use crate::stitch::strip::strips_of_overlap;

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

    /// Gaussian spots at real-valued places: a scene that can be sampled anywhere without interpolation.
    struct Scene(Vec<(Point, f64, f64)>);
    impl Scene {
        fn new(area: Point, spots: usize, seed: u64) -> Self {
            let mut r = Random(seed);
            let mut spot = || {
                let at = Point::new(r.uniform() * area.x, r.uniform() * area.y);
                (at, 1.5 + 3.0 * r.uniform(), 300.0 + 2000.0 * r.uniform())
            };
            Self((0..spots).map(|_| spot()).collect())
        }

        /// What a camera at `corner` sees: spots under uneven light, shot and read noise, never the same twice.
        fn photograph(&self, corner: Point, size: Size, light: f64, seed: u64) -> Vec<u16> {
            let (width, height) = (size.width as usize, size.height as usize);
            let mut clean = vec![20.0; width * height];
            for &(at, sigma, peak) in &self.0 {
                let middle = at - corner;
                let reach = 5.0 * sigma;
                let span = |m: f64, n: usize| {
                    let low = (m - reach).max(0.0) as usize;
                    low.min(n)..((m + reach).max(0.0) as usize).min(n)
                };
                for y in span(middle.y, height) {
                    for x in span(middle.x, width) {
                        let d2 = (x as f64 - middle.x).powi(2) + (y as f64 - middle.y).powi(2);
                        clean[y * width + x] += peak * (-0.5 * d2 / (sigma * sigma)).exp();
                    }
                }
            }
            let mut r = Random(seed);
            (0..width * height)
                .map(|k| {
                    let across = (k % width) as f64 / width as f64 - 0.5;
                    let lit = clean[k] * light * (1.0 - 0.6 * across * across);
                    (100.0 + lit + (lit + 36.0).sqrt() * r.normal()).round().clamp(0.0, 65535.0) as u16
                })
                .collect()
        }
    }

    fn cut(field: &[u16], size: Size, rect: PixelRect) -> Vec<u16> {
        (rect.y..rect.bottom())
            .flat_map(|y| &field[(y * size.width + rect.x) as usize..][..rect.width as usize])
            .copied()
            .collect()
    }

    const SIZE: Size = Size::new(640, 512);
    const LIMITS: Limits = Limits { max_shift: Point::new(40.0, 40.0), min_score: MIN_SCORE };

    fn measure_fields(a: &[u16], b: &[u16], nominal: Point) -> PairOutcome {
        let (ra, rb) = strips_of_overlap(SIZE, SIZE, nominal, LIMITS.max_shift).expect("they overlap");
        let (sa, sb) = (cut(a, SIZE, ra), cut(b, SIZE, rb));
        let (sa, sb) = (Strip::new(ra, &sa).expect("it fits"), Strip::new(rb, &sb).expect("it fits"));
        measure(&mut PairScratch::default(), &sa, &sb, nominal, &LIMITS)
    }

    fn expect_measured(outcome: PairOutcome) -> Measurement {
        match outcome {
            PairOutcome::Measured(m) => m,
            other => panic!("not measured: {other:?}"),
        }
    }

    #[test]
    fn a_shift_is_found_to_a_hundredth_of_a_pixel_at_any_fraction_and_side() {
        let scene = Scene::new(Point::new(1300.0, 1100.0), 2500, 1);
        let nominals = [Point::new(560.0, 0.0), Point::new(0.0, 440.0), Point::new(-560.0, 3.0)];
        let offs = [Point::new(0.25, -0.5), Point::new(-17.37, 8.61), Point::new(31.9, -33.13), Point::new(3.5, 3.5)];
        for (k, &nominal) in nominals.iter().enumerate() {
            for (i, &off) in offs.iter().enumerate() {
                let corner = Point::new(600.0, 20.0 + 13.7 * i as f64);
                let a = scene.photograph(corner, SIZE, 1.0, 10 + i as u64);
                let b = scene.photograph(corner + nominal + off, SIZE, 1.0, 50 + i as u64);
                let m = expect_measured(measure_fields(&a, &b, nominal));
                let error = (m.shift - nominal - off).distance(Point::default());
                assert!(error < 0.03, "case {k} {i}: off by {error}, {m:?}");
                assert!(m.score > 2.0 * MIN_SCORE && m.peak_ratio > 1.5 && m.ncc > 0.5, "{m:?}");
            }
        }
    }

    #[test]
    fn the_covariance_is_that_of_the_errors() {
        let scene = Scene::new(Point::new(1300.0, 600.0), 700, 2);
        let nominal = Point::new(560.0, 0.0);
        let mut squares = 0.0;
        let runs = 24;
        for i in 0..runs {
            let off = Point::new(4.0 * (f64::from(i) * 0.7).sin(), 3.0 * (f64::from(i) * 1.3).cos());
            let a = scene.photograph(Point::new(30.0, 30.0), SIZE, 0.05, 100 + i as u64);
            let b = scene.photograph(Point::new(30.0, 30.0) + nominal + off, SIZE, 0.05, 200 + i as u64);
            let m = expect_measured(measure_fields(&a, &b, nominal));
            let error = m.shift - nominal - off;
            squares += error.x.powi(2) / m.covariance[0] + error.y.powi(2) / m.covariance[2];
        }
        let ratio = (squares / f64::from(2 * runs)).sqrt();
        assert!((0.6..1.6).contains(&ratio), "errors are {ratio} times what the covariance says");
    }

    #[test]
    fn bare_noise_is_no_information() {
        let empty = Scene(Vec::new());
        let a = empty.photograph(Point::default(), SIZE, 1.0, 1);
        let b = empty.photograph(Point::default(), SIZE, 1.0, 2);
        assert_eq!(measure_fields(&a, &b, Point::new(560.0, 0.0)), PairOutcome::NoInformation);
    }

    #[test]
    fn unrelated_scenes_are_rejected_as_chance() {
        for seed in 0..8 {
            let a = Scene::new(Point::new(700.0, 600.0), 1500, 20 + seed).photograph(Point::default(), SIZE, 1.0, 1);
            let b = Scene::new(Point::new(700.0, 600.0), 1500, 40 + seed).photograph(Point::default(), SIZE, 1.0, 2);
            let outcome = measure_fields(&a, &b, Point::new(560.0, 0.0));
            assert!(matches!(outcome, PairOutcome::Rejected { reason: Rejection::Chance, .. }), "{outcome:?}");
        }
    }

    #[test]
    fn a_pattern_fixed_to_the_camera_does_not_pose_as_a_shift_of_zero() {
        // Hot pixels and dust, the same in both; overlap of nine tenths, so that zero lies within the search.
        let scene = Scene::new(Point::new(900.0, 700.0), 900, 3);
        let dust = Scene::new(Point::new(640.0, 512.0), 900, 4);
        let nominal = Point::new(30.0, 0.0);
        let off = Point::new(2.3, -5.8);
        let corner = Point::new(50.0, 50.0);
        let with_dust = |corner: Point, seed: u64| {
            let fixed = dust.photograph(Point::default(), SIZE, 1.0, 9);
            let seen = scene.photograph(corner, SIZE, 1.0, seed);
            seen.iter().zip(&fixed).map(|(s, f)| s + f).collect::<Vec<u16>>()
        };
        let m = expect_measured(measure_fields(&with_dust(corner, 1), &with_dust(corner + nominal + off, 2), nominal));
        assert!((m.shift - nominal).distance(off) < 0.3, "{m:?}");
    }

    #[test]
    fn texture_in_one_corner_of_the_overlap_is_enough() {
        let mut scene = Scene::new(Point::new(1300.0, 600.0), 2500, 5);
        scene.0.retain(|s| s.0.y < 100.0);
        let (nominal, off) = (Point::new(560.0, 0.0), Point::new(-6.4, 9.7));
        let a = scene.photograph(Point::new(10.0, 20.0), SIZE, 1.0, 1);
        let b = scene.photograph(Point::new(10.0, 20.0) + nominal + off, SIZE, 1.0, 2);
        let m = expect_measured(measure_fields(&a, &b, nominal));
        assert!((m.shift - nominal).distance(off) < 0.1, "{m:?}");
    }

    #[test]
    fn strips_smaller_than_a_filter_are_no_information_or_rejected_and_never_a_panic() {
        let mut scratch = PairScratch::default();
        for (w, h) in [(1, 1), (1, 300), (3, 2), (12, 9), (30, 7)] {
            let samples: Vec<u16> = (0..w * h).map(|k| (k * 7919 % 1000) as u16).collect();
            let rect = PixelRect::new(0, 0, w, h);
            let strip = Strip::new(rect, &samples).expect("it fits");
            let outcome = measure(&mut scratch, &strip, &strip, Point::new(3.0, 0.0), &LIMITS);
            assert!(!matches!(outcome, PairOutcome::Measured(_)), "{w} x {h}: {outcome:?}");
        }
    }
}
