//! Where two strips may match, to a reduced pixel or so: several candidates, best first.

use super::correlate::{Correlator, LagRange};
use super::filter::{Reduced, squares_table, table_sum};
use crate::geom::Point;

/// How many places are looked at in full resolution.
pub const MAX_CANDIDATES: usize = 3;

/// Matches that share fewer reduced pixels than this along an axis are not considered.
const MIN_SHARED: i32 = 5;
/// A displacement this close to zero puts both fields' same camera pixels on each other: dirt and hot pixels match there.
const FIXED_PATTERN_RADIUS_PX: f64 = 8.0;
/// Lags this close to a peak belong to it, when the height of chance peaks is measured.
const PEAK_RADIUS: i32 = 6;

/// One possible place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Candidate {
    /// The displacement of `b` against `a`, in full-resolution pixels.
    pub displacement: Point,
    /// The height of its peak over the spread of all other lags.
    pub score: f64,
}

/// The search in one pair: what is searched, and how a lag of reduced pixels becomes a displacement.
#[derive(Debug, Clone, Copy)]
pub struct Search {
    /// The displacement at lag zero: the first strip's corner minus the second's.
    pub origin: Point,
    /// Where the second field should stand.
    pub nominal: Point,
    /// How far it may be off, per axis.
    pub max_shift: Point,
    /// Full-resolution pixels a reduced one, per axis.
    pub reduction: usize,
}

impl Search {
    /// The lags to look at, cut to those at which the strips share enough.
    pub fn lags(&self, a: &Reduced, b: &Reduced) -> LagRange {
        let r = self.reduction as f64;
        let axis = |origin: f64, nominal: f64, max_shift: f64, a_len: usize, b_len: usize| {
            let low = ((origin - nominal - max_shift) / r).floor() as i32;
            let high = ((origin - nominal + max_shift) / r).ceil() as i32;
            let shared = MIN_SHARED.min(a_len as i32).min(b_len as i32);
            (low.max(shared - a_len as i32), high.min(b_len as i32 - shared))
        };
        let (x0, x1) = axis(self.origin.x, self.nominal.x, self.max_shift.x, a.width, b.width);
        let (y0, y1) = axis(self.origin.y, self.nominal.y, self.max_shift.y, a.height, b.height);
        LagRange { min: [x0, y0], max: [x1, y1] }
    }

    fn displacement(&self, lag_x: f64, lag_y: f64) -> Point {
        self.origin - Point::new(lag_x, lag_y) * self.reduction as f64
    }

    /// Whether a displacement maps the camera onto itself, which no overlap that is worth searching does.
    fn is_fixed_pattern(&self, displacement: Point) -> bool {
        let near = FIXED_PATTERN_RADIUS_PX + self.reduction as f64;
        let at_zero = |p: Point| p.x.abs() <= near && p.y.abs() <= near;
        at_zero(displacement) && !at_zero(self.nominal)
    }
}

/// Buffers of the search.
#[derive(Debug, Default)]
pub struct CoarseScratch {
    surface: Vec<f32>,
    table_a: Vec<f64>,
    table_b: Vec<f64>,
}

/// The best places, highest peak first; empty where the strips share too little or the piece is over the bound.
pub fn candidates(
    correlator: &mut Correlator,
    scratch: &mut CoarseScratch,
    a: &Reduced,
    b: &Reduced,
    search: &Search,
) -> Vec<Candidate> {
    let lags = search.lags(a, b);
    let CoarseScratch { surface, table_a, table_b } = scratch;
    if !correlator.correlate((&a.texture, [a.width, a.height]), (&b.texture, [b.width, b.height]), lags, surface) {
        return Vec::new();
    }
    squares_table(&a.texture, a.width, a.height, table_a);
    squares_table(&b.texture, b.width, b.height, table_b);
    let (width, height) = (lags.width() as i32, lags.height() as i32);
    for y in 0..height {
        for x in 0..width {
            let lag = [lags.min[0] + x, lags.min[1] + y];
            let value = &mut surface[(y * width + x) as usize];
            *value = if search.is_fixed_pattern(search.displacement(f64::from(lag[0]), f64::from(lag[1]))) {
                0.0
            } else {
                significance(*value, a, b, lag, table_a, table_b)
            };
        }
    }
    let peaks = local_maxima(surface, width, height);
    let Some(&(best_x, best_y)) = peaks.first() else { return Vec::new() };
    let spread = spread_without(surface, width, height, best_x, best_y);
    let at = |x: i32, y: i32| surface[(y * width + x) as usize];
    peaks
        .iter()
        .map(|&(x, y)| {
            let middle = at(x, y);
            let dx = if x > 0 && x + 1 < width { vertex(at(x - 1, y), middle, at(x + 1, y)) } else { 0.0 };
            let dy = if y > 0 && y + 1 < height { vertex(at(x, y - 1), middle, at(x, y + 1)) } else { 0.0 };
            let lag = (f64::from(lags.min[0] + x) + dx, f64::from(lags.min[1] + y) + dy);
            Candidate { displacement: search.displacement(lag.0, lag.1), score: f64::from(middle) / spread }
        })
        .collect()
}

/// The correlation over its energies, times the square root of the shared pixels: chance peaks are equally high at all
/// lags, whether the shared part is large or small.
fn significance(sum: f32, a: &Reduced, b: &Reduced, lag: [i32; 2], table_a: &[f64], table_b: &[f64]) -> f32 {
    let span = |lag: i32, a_len: usize, b_len: usize| {
        ((-lag).max(0) as usize, (b_len as i32 - lag).clamp(0, a_len as i32) as usize)
    };
    let (x0, x1) = span(lag[0], a.width, b.width);
    let (y0, y1) = span(lag[1], a.height, b.height);
    if x1 <= x0 || y1 <= y0 {
        return 0.0;
    }
    let moved = |x: usize, lag: i32| (x as i32 + lag) as usize;
    let energy_a = table_sum(table_a, a.width, [x0, y0], [x1, y1]);
    let energy_b =
        table_sum(table_b, b.width, [moved(x0, lag[0]), moved(y0, lag[1])], [moved(x1, lag[0]), moved(y1, lag[1])]);
    let energy = (energy_a * energy_b).sqrt();
    if energy <= f64::from(f32::EPSILON) {
        return 0.0;
    }
    (f64::from(sum) / energy * (((x1 - x0) * (y1 - y0)) as f64).sqrt()) as f32
}

/// The highest points that no neighbour exceeds, best first, ties by place.
fn local_maxima(surface: &[f32], width: i32, height: i32) -> Vec<(i32, i32)> {
    let mut peaks: Vec<(f32, i32, i32)> = Vec::with_capacity(MAX_CANDIDATES + 1);
    for y in 0..height {
        for x in 0..width {
            let value = surface[(y * width + x) as usize];
            if value <= 0.0 || (peaks.len() == MAX_CANDIDATES && value <= peaks[MAX_CANDIDATES - 1].0) {
                continue;
            }
            let is_peak = ((y - 1).max(0)..=(y + 1).min(height - 1))
                .all(|v| ((x - 1).max(0)..=(x + 1).min(width - 1)).all(|u| surface[(v * width + u) as usize] <= value));
            if is_peak {
                let place = peaks.partition_point(|p| p.0 >= value);
                peaks.insert(place, (value, x, y));
                peaks.truncate(MAX_CANDIDATES);
            }
        }
    }
    peaks.into_iter().map(|(_, x, y)| (x, y)).collect()
}

/// The root mean square of the surface away from its best peak.
fn spread_without(surface: &[f32], width: i32, height: i32, peak_x: i32, peak_y: i32) -> f64 {
    let (mut sum, mut count) = (0.0f64, 0u32);
    for y in 0..height {
        for x in 0..width {
            if (x - peak_x).abs() > PEAK_RADIUS || (y - peak_y).abs() > PEAK_RADIUS {
                sum += f64::from(surface[(y * width + x) as usize]).powi(2);
                count += 1;
            }
        }
    }
    // Where the whole surface is the peak's neighbourhood there is nothing to measure; one is the value for white noise.
    if count < 30 || sum <= 0.0 { 1.0 } else { (sum / f64::from(count)).sqrt() }
}

/// Where the parabola through three equidistant values has its top, in steps from the middle one.
fn vertex(before: f32, middle: f32, after: f32) -> f64 {
    let curvature = f64::from(before) - 2.0 * f64::from(middle) + f64::from(after);
    if curvature >= -f64::from(f32::EPSILON) {
        return 0.0;
    }
    (0.5 * (f64::from(before) - f64::from(after)) / curvature).clamp(-0.5, 0.5)
}
