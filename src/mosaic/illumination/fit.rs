//! The smooth light and the dark level that make overlaps agree best.
//!
//! `stored = exp(shape) * light + dark`, where `shape` is a polynomial over the field. Of two views of the same tissue the
//! light is the same, so `(stored - dark) / exp(shape)` must be: that is what is fitted, over all overlaps at once.
//! What the tissue looks like drops out.
//! The dark level is told by dim and bright tissue at the same two places of the field: light scales, a level does not.
//!
//! Overlaps cover only the field's border. The middle follows from the shape being smooth; what is not seen at the
//! border at all, a bright spot in the middle, stays as it is.

use super::overlap::Sample;
use crate::error::Result;

/// The highest degree of the shape, x and y together.
const DEGREE: usize = 6;
/// Terms of the shape; the constant one is not among them, for only ratios are seen.
const TERMS: usize = (DEGREE + 1) * (DEGREE + 2) / 2 - 1;
/// The terms and the dark level.
const UNKNOWNS: usize = TERMS + 1;

/// How strong a term of degree n may be expected to be: this over n to the fourth. Light falls off smoothly, and what is
/// bent so that it hardly shows at the border is not made up.
const EXPECTED_STRENGTH: f64 = 1.0;

/// Samples are weighed in so many classes by their texture: each has its own spread, which is measured.
const TEXTURE_CLASSES: usize = 12;
/// A class below this count is not worth a spread of its own.
const LEAST_CLASS: usize = 32;
/// No class is trusted beyond this spread: rounding and drifting lamps are always there.
const LEAST_SPREAD: f64 = 0.003;
/// Residuals beyond so many spreads count less (Huber).
const HUBER_SPREADS: f64 = 1.5;
/// The median deviation of normal noise is its spread over this.
const MAD_TO_SPREAD: f64 = 1.4826;

/// Rounds of the fit; it settles in about eight.
const MAX_ROUNDS: usize = 20;
/// Settled: no term moves more than this,
const SETTLED_SHAPE: f64 = 1e-4;
/// nor the dark level by more than this share of its range.
const SETTLED_DARK: f64 = 1e-3;

/// The dark level lies below this share of all samples: hardly a cell is darker than the camera.
const DARK_CEILING_SHARE: f64 = 0.001;
/// Samples with less light than this share of the median tell nothing but noise.
const LEAST_LIGHT_SHARE: f64 = 0.02;
/// The dark level counts as known when its standard deviation is at most this share of the median light.
const DARK_DEVIATION_SHARE: f64 = 0.03;

/// Fewer samples than this are no basis for a shape.
const LEAST_SAMPLES: usize = 10 * UNKNOWNS;

/// What was fitted.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fit {
    shape: [f64; TERMS],
    /// The camera's level in stored samples.
    pub dark: f64,
    /// Whether the overlaps say what the dark level is; else it is taken to be 0.
    pub dark_known: bool,
}

/// Whether to fit the dark level too.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Dark {
    Fitted { most: f64 },
    Zero,
}

/// Fits the light. `None` where there is too little to go by. `between` is called every round.
pub(super) fn fit(samples: &[&Sample], between: &dyn Fn() -> Result<()>) -> Result<Option<Fit>> {
    if samples.len() < LEAST_SAMPLES {
        return Ok(None);
    }
    let mut stored: Vec<f64> = samples.iter().flat_map(|s| s.stored.map(f64::from)).collect();
    let most = centile(&mut stored, DARK_CEILING_SHARE).max(0.0);
    if most > 0.0
        && let Some(found) = settle(samples, Dark::Fitted { most }, between)?
        && found.dark_known
    {
        return Ok(Some(found));
    }
    settle(samples, Dark::Zero, between)
}

/// Gauss-Newton with robust weights.
fn settle(samples: &[&Sample], dark: Dark, between: &dyn Fn() -> Result<()>) -> Result<Option<Fit>> {
    let most = match dark {
        Dark::Fitted { most } => most,
        Dark::Zero => 0.0,
    };
    let mut found = Fit { shape: [0.0; TERMS], dark: most / 2.0, dark_known: false };
    let mut views = vec![View::default(); samples.len()];
    for _ in 0..MAX_ROUNDS {
        between()?;
        for (view, sample) in views.iter_mut().zip(samples) {
            *view = View::of(&found, sample);
        }
        let Some(median_light) = weigh(&mut views, samples) else { return Ok(None) };
        let mut normal = Normal::default();
        for (view, sample) in views.iter().zip(samples).filter(|(view, _)| view.weight > 0.0) {
            let [a, b] = terms_of(sample);
            let mut slope = [0.0; UNKNOWNS];
            for (slope, (a, b)) in slope.iter_mut().zip(a.iter().zip(&b)) {
                *slope = b - a;
            }
            slope[TERMS] = match dark {
                Dark::Fitted { .. } => view.dark_slope,
                Dark::Zero => 0.0,
            };
            normal.add(&slope, view.residual, view.weight);
        }
        for (k, strength) in expected_strengths().enumerate() {
            normal.matrix[k][k] += strength.powi(-2);
            normal.right[k] += found.shape[k] * strength.powi(-2);
        }
        // Without a shape the dark level has no effect: it is held where it is, and no more than that.
        normal.matrix[TERMS][TERMS] += most.max(1.0).powi(-2);
        let Some((step, dark_variance)) = normal.solve() else { return Ok(None) };
        for (term, step) in found.shape.iter_mut().zip(&step) {
            *term -= step;
        }
        let before = found.dark;
        if let Dark::Fitted { .. } = dark {
            found.dark = (before - step[TERMS]).clamp(0.0, most);
            found.dark_known = dark_variance.sqrt() <= DARK_DEVIATION_SHARE * median_light;
        }
        let moved = step[..TERMS].iter().fold(0.0_f64, |most, s| most.max(s.abs()));
        if moved < SETTLED_SHAPE && (found.dark - before).abs() <= SETTLED_DARK * most {
            break;
        }
    }
    Ok(Some(found))
}

/// One sample under the present fit.
#[derive(Debug, Clone, Copy, Default)]
struct View {
    /// The two lights' difference over their mean.
    residual: f64,
    /// How the residual changes with the dark level.
    dark_slope: f64,
    /// The mean of the two lights.
    light: f64,
    weight: f64,
}

impl View {
    fn of(fit: &Fit, sample: &Sample) -> Self {
        let flat = terms_of(sample).map(|terms| fit.flat_of(&terms));
        let [a, b] = [0, 1].map(|n| (f64::from(sample.stored[n]) - fit.dark) / flat[n]);
        let light = (a + b) / 2.0;
        if light <= 0.0 {
            return Self::default();
        }
        Self { residual: (a - b) / light, dark_slope: (1.0 / flat[1] - 1.0 / flat[0]) / light, light, weight: 0.0 }
    }
}

/// Weighs all samples, by the spread of those of like texture; gives the median light. `None` where there is no light.
fn weigh(views: &mut [View], samples: &[&Sample]) -> Option<f64> {
    let mut lights: Vec<f64> = views.iter().map(|v| v.light).filter(|&l| l > 0.0).collect();
    if lights.len() < LEAST_SAMPLES {
        return None;
    }
    let median_light = centile(&mut lights, 0.5);
    let mut order: Vec<(f64, usize)> = views
        .iter()
        .enumerate()
        .filter(|(_, view)| view.light > LEAST_LIGHT_SHARE * median_light)
        .map(|(n, view)| (f64::from(samples[n].texture) / view.light, n))
        .collect();
    order.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let class = order.len().div_ceil(TEXTURE_CLASSES).max(LEAST_CLASS);
    for class in order.chunks(class) {
        let mut sizes: Vec<f64> = class.iter().map(|&(_, n)| views[n].residual.abs()).collect();
        let spread = (centile(&mut sizes, 0.5) * MAD_TO_SPREAD).max(LEAST_SPREAD);
        for &(_, n) in class {
            let beyond = views[n].residual.abs() / (HUBER_SPREADS * spread);
            views[n].weight = spread.powi(-2) / beyond.max(1.0);
        }
    }
    Some(median_light)
}

/// The value that a share of all lie below.
pub(super) fn centile(values: &mut [f64], share: f64) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    let at = ((values.len() - 1) as f64 * share) as usize;
    *values.select_nth_unstable_by(at, f64::total_cmp).1
}

fn expected_strengths() -> impl Iterator<Item = f64> {
    degrees().map(|(i, j)| EXPECTED_STRENGTH / ((i + j) as f64).powi(4))
}

/// The degrees of the terms in x and y, in their order.
fn degrees() -> impl Iterator<Item = (usize, usize)> {
    (0..=DEGREE).flat_map(|i| (0..=DEGREE - i).map(move |j| (i, j))).skip(1)
}

/// The terms at a place: products of Legendre polynomials, which hardly mix with each other.
fn terms(x: f64, y: f64) -> [f64; TERMS] {
    let (px, py) = (legendre(x), legendre(y));
    let mut terms = [0.0; TERMS];
    for (term, (i, j)) in terms.iter_mut().zip(degrees()) {
        *term = px[i] * py[j];
    }
    terms
}

/// The terms at either place of a sample.
fn terms_of(sample: &Sample) -> [[f64; TERMS]; 2] {
    sample.at.map(|[x, y]| terms(f64::from(x), f64::from(y)))
}

fn legendre(x: f64) -> [f64; DEGREE + 1] {
    let mut p = [1.0; DEGREE + 1];
    p[1] = x;
    for n in 1..DEGREE {
        let m = n as f64;
        p[n + 1] = ((2.0 * m + 1.0) * x * p[n] - m * p[n - 1]) / (m + 1.0);
    }
    p
}

impl Fit {
    /// The light's shape at a place, -1 to 1 from edge to edge; its mean is near 1 and not exactly.
    pub fn flat(&self, x: f64, y: f64) -> f64 {
        self.flat_of(&terms(x, y))
    }

    /// How two views of the same tissue differ, ln(a / b) of the light: as stored, and evened out. `None` without light.
    pub fn log_ratios(&self, sample: &Sample) -> [Option<f64>; 2] {
        let [a, b] = sample.stored.map(|stored| f64::from(stored) - self.dark);
        let [flat_a, flat_b] = terms_of(sample).map(|terms| self.flat_of(&terms));
        let ratio = |a: f64, b: f64| (a > 0.0 && b > 0.0).then(|| (a / b).ln());
        [ratio(a, b), ratio(a / flat_a, b / flat_b)]
    }

    fn flat_of(&self, terms: &[f64; TERMS]) -> f64 {
        terms.iter().zip(&self.shape).map(|(t, s)| t * s).sum::<f64>().exp()
    }
}

/// Normal equations, the lower triangle.
struct Normal {
    matrix: [[f64; UNKNOWNS]; UNKNOWNS],
    right: [f64; UNKNOWNS],
}

impl Default for Normal {
    fn default() -> Self {
        Self { matrix: [[0.0; UNKNOWNS]; UNKNOWNS], right: [0.0; UNKNOWNS] }
    }
}

impl Normal {
    fn add(&mut self, slope: &[f64; UNKNOWNS], residual: f64, weight: f64) {
        for (k, row) in self.matrix.iter_mut().enumerate() {
            let weighted = slope[k] * weight;
            for (cell, other) in row[..=k].iter_mut().zip(slope) {
                *cell += weighted * other;
            }
            self.right[k] += weighted * residual;
        }
    }

    /// The step and the variance of the last unknown, by Cholesky; `None` where the equations are singular.
    fn solve(mut self) -> Option<([f64; UNKNOWNS], f64)> {
        for k in 0..UNKNOWNS {
            for j in 0..=k {
                let known: f64 = (0..j).map(|m| self.matrix[k][m] * self.matrix[j][m]).sum();
                let rest = self.matrix[k][j] - known;
                if j < k {
                    self.matrix[k][j] = rest / self.matrix[j][j];
                } else if rest > 0.0 {
                    self.matrix[k][k] = rest.sqrt();
                } else {
                    return None;
                }
            }
        }
        let mut step = self.right;
        for k in 0..UNKNOWNS {
            let known: f64 = (0..k).map(|m| self.matrix[k][m] * step[m]).sum();
            step[k] = (step[k] - known) / self.matrix[k][k];
        }
        for k in (0..UNKNOWNS).rev() {
            let known: f64 = (k + 1..UNKNOWNS).map(|m| self.matrix[m][k] * step[m]).sum();
            step[k] = (step[k] - known) / self.matrix[k][k];
        }
        let last = self.matrix[UNKNOWNS - 1][UNKNOWNS - 1];
        step.iter().all(|s| s.is_finite()).then_some((step, (last * last).recip()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Samples of a given light and dark level; tissue from `light`, seen 0.9 of a field apart both ways.
    fn samples(flat: &dyn Fn(f64, f64) -> f64, dark: f64, light: &dyn Fn(usize) -> f64) -> Vec<Sample> {
        let mut all = Vec::new();
        for n in 0..6000 {
            let (u, v) = ((n % 10) as f64 / 50.0, (n / 10 % 60) as f64 / 30.0 - 1.0);
            let (a, b) = ((0.8 + u, v), (u - 1.0, (v + 0.01).min(1.0)));
            let [a, b] = if n % 2 == 0 { [a, b] } else { [(a.1, a.0), (b.1, b.0)] };
            let seen = |(x, y): (f64, f64)| (flat(x, y) * light(n) + dark) as f32;
            let place = |(x, y): (f64, f64)| [x as f32, y as f32];
            all.push(Sample { at: [place(a), place(b)], stored: [seen(a), seen(b)], texture: 1.0 });
        }
        all
    }

    fn vignette(x: f64, y: f64) -> f64 {
        1.0 - 0.15 * ((x - 0.08).powi(2) + (y + 0.05).powi(2)) + 0.03 * x
    }

    /// The greatest error of a shape against the truth, both by their mean.
    fn error(fit: &Fit, truth: &dyn Fn(f64, f64) -> f64) -> f64 {
        let places: Vec<(f64, f64)> =
            (0..400).map(|n| ((n % 20) as f64 / 9.5 - 1.0, (n / 20) as f64 / 9.5 - 1.0)).collect();
        let mean = |of: &dyn Fn(f64, f64) -> f64| places.iter().map(|&(x, y)| of(x, y)).sum::<f64>() / 400.0;
        let flat = |x, y| fit.flat(x, y);
        let scale = mean(truth) / mean(&flat);
        places.iter().map(|&(x, y)| (flat(x, y) * scale / truth(x, y) - 1.0).abs()).fold(0.0, f64::max)
    }

    fn fitted(samples: &[Sample]) -> Fit {
        fit(&samples.iter().collect::<Vec<_>>(), &|| Ok(())).expect("not cancelled").expect("a fit")
    }

    #[test]
    fn light_and_dark_level_are_found_from_overlaps_alone() {
        let light = |n: usize| if n % 7 < 3 { 120.0 } else { 400.0 + (n * 131 % 3000) as f64 };
        let found = fitted(&samples(&vignette, 100.0, &light));
        assert!(found.dark_known);
        assert!((found.dark - 100.0).abs() < 1.0, "{}", found.dark);
        assert!(error(&found, &vignette) < 0.01, "{}", error(&found, &vignette));
    }

    #[test]
    fn where_all_tissue_is_as_bright_the_dark_level_is_not_guessed() {
        let found = fitted(&samples(&vignette, 100.0, &|n| 500.0 + (n % 3) as f64));
        assert!(!found.dark_known);
        assert_eq!(found.dark, 0.0);
    }

    #[test]
    fn one_wild_sample_in_eleven_hardly_moves_the_light() {
        let light = |n: usize| if n % 7 < 3 { 120.0 } else { 400.0 + (n * 131 % 3000) as f64 };
        let mut samples = samples(&vignette, 100.0, &light);
        samples.iter_mut().step_by(11).for_each(|s| s.stored[0] *= 1.7);
        let found = fitted(&samples);
        assert!(error(&found, &vignette) < 0.01, "{}", error(&found, &vignette));
    }

    #[test]
    fn an_even_light_is_found_even() {
        let light = |n: usize| if n % 7 < 3 { 120.0 } else { 400.0 + (n * 131 % 3000) as f64 };
        let found = fitted(&samples(&|_, _| 1.0, 100.0, &light));
        assert!(error(&found, &|_, _| 1.0) < 1e-4);
    }

    #[test]
    fn too_few_samples_or_no_light_give_no_fit() {
        let samples = samples(&vignette, 100.0, &|_| 500.0);
        let few: Vec<&Sample> = samples.iter().take(50).collect();
        assert_eq!(fit(&few, &|| Ok(())).expect("not cancelled"), None);
        let black: Vec<Sample> = samples.iter().map(|s| Sample { stored: [0.0; 2], ..*s }).collect();
        assert_eq!(fit(&black.iter().collect::<Vec<_>>(), &|| Ok(())).expect("not cancelled"), None);
    }

    #[test]
    fn a_cancelled_fit_stops() {
        let samples = samples(&vignette, 100.0, &|_| 500.0);
        let stop = || Err(crate::error::Error::Cancelled);
        assert!(fit(&samples.iter().collect::<Vec<_>>(), &stop).is_err_and(|e| e.is_cancelled()));
    }
}
