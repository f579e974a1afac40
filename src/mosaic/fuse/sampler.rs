//! One field's samples at the pixels of a cell: read from a window of the field's own level, evened out, and resampled by
//! the same fraction of a pixel everywhere.

use crate::geom::{PixelRect, Point, Size};
use crate::mosaic::Illumination;
use crate::pixels::TileFormat;

/// Samples are evened out in runs that begin at multiples of this column of the field's level, so that the same sample
/// gives the same bits whatever rectangle was asked for.
const EVENING_RUN_PX: u32 = 64;

/// Fractions nearer to a whole pixel than this are whole.
const LEAST_FRACTION: f64 = 1e-6;

/// How samples between pixels are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Filter {
    /// From the two nearest: for looking.
    Linear,
    /// From the six nearest, which keeps small bright things bright: for level 0.
    Lanczos3,
}

/// Where and how one field is sampled along one axis.
#[derive(Debug, Clone, PartialEq)]
struct Axis {
    /// The field's pixel under the first tap of the first pixel; may lie outside of the field.
    start: i64,
    /// The weight of each tap; one alone is a copy.
    taps: Vec<f32>,
}

impl Axis {
    /// The pixels from `first` on of a level, in a field whose corner is at `corner`, in pixels of the level.
    fn new(first: u32, corner: f64, filter: Filter) -> Self {
        // Centre of pixel k is at k + 0.5 in both spaces, so pixel k falls on the field's k - corner.
        let mut whole = (-corner).floor();
        let mut fraction = -corner - whole;
        if fraction > 1.0 - LEAST_FRACTION {
            whole += 1.0;
            fraction = 0.0;
        }
        let start = i64::from(first) + whole as i64;
        if fraction < LEAST_FRACTION {
            return Self { start, taps: vec![1.0] };
        }
        match filter {
            Filter::Linear => Self { start, taps: vec![(1.0 - fraction) as f32, fraction as f32] },
            Filter::Lanczos3 => {
                let weights = (-2..=3).map(|n| lanczos3(f64::from(n) - fraction));
                let weights: Vec<f64> = weights.collect();
                let sum: f64 = weights.iter().sum();
                Self { start: start - 2, taps: weights.iter().map(|w| (w / sum) as f32).collect() }
            }
        }
    }

    /// The field's pixels that are needed for `count` pixels, within a field of `size`.
    fn window(&self, count: u32, size: u32) -> (u32, u32) {
        let last = i64::from(size) - 1;
        let end = self.start + i64::from(count) + self.taps.len() as i64 - 2;
        let (from, to) = (self.start.clamp(0, last), end.clamp(0, last));
        (from as u32, (to + 1 - from) as u32)
    }
}

fn lanczos3(x: f64) -> f64 {
    let sinc =
        |x: f64| if x.abs() < 1e-12 { 1.0 } else { (std::f64::consts::PI * x).sin() / (std::f64::consts::PI * x) };
    if x.abs() < 3.0 { sinc(x) * sinc(x / 3.0) } else { 0.0 }
}

/// How to even a field out.
#[derive(Clone, Copy)]
pub struct Evening<'i> {
    /// The profiles.
    pub illumination: &'i Illumination,
    /// The channel.
    pub channel: u16,
    /// The field's size.
    pub field: Size,
    /// Pixels of level 0 a pixel of the level.
    pub downsample: f64,
}

/// Where a cell's pixels come from in one field.
#[derive(Debug, Clone, PartialEq)]
pub struct Placement {
    x: Axis,
    y: Axis,
    /// The field's size on its level.
    field: Size,
    /// The part of the field's level that is needed.
    pub window: PixelRect,
}

impl Placement {
    /// For the pixels of `rect` of a level, from a field with its corner at `corner` (in pixels of that level) and `field`
    /// pixels on it. `evened` widens the window to whole runs.
    pub fn new(rect: PixelRect, corner: Point, field: Size, filter: Filter, evened: bool) -> Self {
        let (x, y) = (Axis::new(rect.x, corner.x, filter), Axis::new(rect.y, corner.y, filter));
        let (mut left, mut width) = x.window(rect.width, field.width);
        let (top, height) = y.window(rect.height, field.height);
        if evened {
            let right = (left + width).next_multiple_of(EVENING_RUN_PX).min(field.width);
            left = left / EVENING_RUN_PX * EVENING_RUN_PX;
            width = right - left;
        }
        Self { x, y, field, window: PixelRect::new(left, top, width, height) }
    }

    /// Whether samples are taken as they are.
    pub fn is_copy(&self) -> bool {
        self.x.taps.len() == 1 && self.y.taps.len() == 1
    }

    /// The pixels of `rect` (what this is the placement for) that need pixels of `part` of the field's level.
    pub fn touched(&self, rect: PixelRect, part: PixelRect) -> PixelRect {
        let along = |axis: &Axis, first: u32, count: u32, from: u32, to: u32, size: u32| {
            let taps = axis.taps.len() as i64;
            // Pixels beyond the field's edge repeat the edge.
            let low = if from == 0 { i64::MIN / 2 } else { i64::from(from) };
            let high = if to >= size { i64::MAX / 2 } else { i64::from(to) };
            let begin = (low - axis.start - (taps - 1)).clamp(0, i64::from(count)) as u32;
            let end = (high - axis.start).clamp(i64::from(begin), i64::from(count)) as u32;
            (first + begin, end - begin)
        };
        let (x, width) = along(&self.x, rect.x, rect.width, part.x, part.right(), self.field.width);
        let (y, height) = along(&self.y, rect.y, rect.height, part.y, part.bottom(), self.field.height);
        PixelRect::new(x, y, width, height)
    }
}

/// Makes the rows of a cell from one field's window.
pub struct Sampler<'s> {
    place: &'s Placement,
    format: TileFormat,
    /// The window's bytes, rows without padding.
    bytes: &'s [u8],
    evening: Option<Evening<'s>>,
    width: usize,
    /// Rows of the field that are resampled along x, by row modulo their number.
    rows: Vec<(i64, Vec<f32>)>,
    source: Vec<f32>,
}

impl<'s> Sampler<'s> {
    /// For `width` pixels of a row.
    pub fn new(
        place: &'s Placement,
        format: TileFormat,
        bytes: &'s [u8],
        width: u32,
        evening: Option<Evening<'s>>,
    ) -> Self {
        let width = width as usize;
        let rows = vec![(i64::MIN, vec![0.0; width * samples_per_px(format)]); place.y.taps.len()];
        Self { place, format, bytes, evening, width, rows, source: Vec::new() }
    }

    /// Row `y` of the cell, counted from its top.
    pub fn row(&mut self, y: u32, out: &mut [f32]) {
        let last = i64::from(self.place.field.height) - 1;
        for (tap, &weight) in self.place.y.taps.iter().enumerate() {
            let row = (self.place.y.start + i64::from(y) + tap as i64).clamp(0, last);
            let slot = (row % self.rows.len() as i64) as usize;
            if self.rows[slot].0 != row {
                self.fill_row(row, slot);
            }
            let from = &self.rows[slot].1;
            if tap == 0 {
                out.iter_mut().zip(from).for_each(|(o, v)| *o = v * weight);
            } else {
                out.iter_mut().zip(from).for_each(|(o, v)| *o += v * weight);
            }
        }
    }

    /// Resamples one row of the field along x.
    fn fill_row(&mut self, row: i64, slot: usize) {
        let channels = samples_per_px(self.format);
        let PixelRect { x: left, y: top, width, .. } = self.place.window;
        let row_bytes = width as usize * self.format.bytes_per_px();
        let bytes = &self.bytes[(row - i64::from(top)) as usize * row_bytes..][..row_bytes];
        // The edge is repeated for taps that lie outside of the field.
        let taps = &self.place.x.taps;
        let needed = self.width + taps.len() - 1;
        let skip = self.place.x.start - i64::from(left);
        let before = ((-skip).max(0) as usize).min(needed);
        let inside = skip.max(0) as usize;
        self.source.clear();
        self.source.resize(before * channels, 0.0);
        let begin = self.source.len();
        match self.format {
            TileFormat::Gray8 | TileFormat::Rgb8 => self.source.extend(bytes.iter().map(|&v| f32::from(v))),
            TileFormat::Gray16 => {
                self.source.extend(bytes.chunks_exact(2).map(|v| f32::from(u16::from_ne_bytes([v[0], v[1]]))));
            }
        }
        if let Some(evening) = self.evening {
            even_out(evening, channels, left, row, &mut self.source[begin..]);
        }
        self.source.drain(begin..begin + inside * channels);
        for n in 0..before * channels {
            self.source[n] = self.source[begin + n % channels];
        }
        while self.source.len() < needed * channels {
            self.source.push(self.source[self.source.len() - channels]);
        }
        let (place, out) = &mut self.rows[slot];
        *place = row;
        for (tap, &weight) in taps.iter().enumerate() {
            let from = &self.source[tap * channels..];
            if tap == 0 {
                out.iter_mut().zip(from).for_each(|(o, v)| *o = v * weight);
            } else {
                out.iter_mut().zip(from).for_each(|(o, v)| *o += v * weight);
            }
        }
    }
}

/// Samples of a pixel.
pub fn samples_per_px(format: TileFormat) -> usize {
    if format == TileFormat::Rgb8 { 3 } else { 1 }
}

/// Evens out a row of the field's level from column `left` on, run by run.
fn even_out(evening: Evening<'_>, channels: usize, left: u32, row: i64, samples: &mut [f32]) {
    let Evening { illumination, channel, field, downsample } = evening;
    let y = (row as f64 + 0.5) * downsample;
    let mut part = [0.0; EVENING_RUN_PX as usize];
    for (n, run) in samples.chunks_mut(EVENING_RUN_PX as usize * channels).enumerate() {
        let x = (f64::from(left + n as u32 * EVENING_RUN_PX) + 0.5) * downsample;
        if channels == 1 {
            illumination.correct(channel, field, x, y, downsample, run);
            continue;
        }
        let pixels = run.len() / channels;
        for c in 0..channels {
            let part = &mut part[..pixels];
            part.iter_mut().zip(run.iter().skip(c).step_by(channels)).for_each(|(p, v)| *p = *v);
            illumination.correct(channel, field, x, y, downsample, part);
            run.iter_mut().skip(c).step_by(channels).zip(part.iter()).for_each(|(v, p)| *v = *p);
        }
    }
}
