//! The pixels of a cell from the fields that share it.

use super::cells::{Cell, Share};
use super::sampler::{Evening, Placement, Sampler, samples_per_px};
use crate::geom::PixelRect;
use crate::mosaic::Blend;
use crate::mosaic::seam::Across;
use crate::pixels::TileFormat;

/// A field that has a share in a cell weighs at least this much there, so that weights never add up to nothing.
const LEAST_WEIGHT: f32 = 1e-12;

/// What one field brings to a cell.
pub struct Input<'s> {
    /// Where its samples are.
    pub place: &'s Placement,
    /// The bytes of its window.
    pub bytes: &'s [u8],
    /// How it is evened out.
    pub evening: Option<Evening<'s>>,
    /// Pixels that it lacks, in the level.
    pub lacks: &'s [PixelRect],
}

impl<'s> Input<'s> {
    fn sampler(&self, format: TileFormat, width: u32) -> Sampler<'s> {
        Sampler::new(self.place, format, self.bytes, width, self.evening)
    }
}

/// Pixels to write, and how a level lies in them.
pub struct Canvas<'c> {
    /// How the pixels are laid out.
    pub format: TileFormat,
    /// The first pixel's place in the level.
    pub at: (u32, u32),
    /// Pixels from row to row.
    pub stride: usize,
    /// The pixels.
    pub bytes: &'c mut [u8],
    /// For each pixel 1 where there is a field and 0 where there is none, if that is asked for.
    pub covered: Option<&'c mut [u8]>,
}

impl Canvas<'_> {
    fn offset(&self, x: u32, y: u32) -> usize {
        (y - self.at.1) as usize * self.stride + (x - self.at.0) as usize
    }

    /// The bytes of some pixels of a row.
    pub fn row(&mut self, x: u32, y: u32, width: u32) -> &mut [u8] {
        let px_bytes = self.format.bytes_per_px();
        let at = self.offset(x, y) * px_bytes;
        &mut self.bytes[at..at + width as usize * px_bytes]
    }

    /// Says of a rectangle whether it is covered.
    pub fn cover(&mut self, rect: PixelRect, there: bool) {
        for y in rect.y..rect.bottom() {
            let at = self.offset(rect.x, y);
            if let Some(covered) = self.covered.as_deref_mut() {
                covered[at..at + rect.width as usize].fill(u8::from(there));
            }
        }
    }

    /// Takes the pixels of a rectangle out.
    pub fn clear(&mut self, rect: PixelRect) {
        for y in rect.y..rect.bottom() {
            self.row(rect.x, y, rect.width).fill(0);
        }
        self.cover(rect, false);
    }
}

/// Makes a cell; `inputs` are in the order of its shares. Pixels that every field lacks are taken out, and `hole` is told
/// of them.
pub fn make_cell(
    cell: &Cell,
    inputs: &[Input<'_>],
    blend: Blend,
    downsample: f64,
    canvas: &mut Canvas<'_>,
    hole: &mut dyn FnMut(PixelRect),
) {
    let rect = cell.rect;
    let channels = samples_per_px(canvas.format);
    let samples = rect.width as usize * channels;
    let format = canvas.format;
    let mut row = vec![0.0; samples];
    if let [input] = inputs {
        let mut sampler = input.sampler(format, rect.width);
        for y in 0..rect.height {
            sampler.row(y, &mut row);
            round(&row, canvas.format, canvas.row(rect.x, rect.y + y, rect.width));
        }
        for lacking in input.lacks.iter().map(|l| l.intersect(rect)).filter(|l| !l.is_empty()) {
            canvas.clear(lacking);
            hole(lacking);
        }
        return;
    }
    let mut samplers: Vec<Sampler<'_>> = inputs.iter().map(|input| input.sampler(format, rect.width)).collect();
    let across: Vec<Vec<f32>> =
        cell.shares.iter().map(|share| weights_across(share, rect, downsample, channels)).collect();
    let lacking = inputs.iter().any(|input| !input.lacks.is_empty());
    let (mut sum, mut weight, mut own) = (vec![0.0; samples], vec![0.0; samples], vec![0.0; samples]);
    for y in rect.y..rect.bottom() {
        sum.fill(0.0);
        weight.fill(0.0);
        for (n, sampler) in samplers.iter_mut().enumerate() {
            sampler.row(y - rect.y, &mut row);
            let down = weight_down(&cell.shares[n], y, downsample);
            own.iter_mut().zip(&across[n]).for_each(|(o, w)| *o = w * down);
            for lack in inputs[n].lacks.iter().filter(|l| (l.y..l.bottom()).contains(&y)) {
                let part = lack.intersect(rect);
                let from = (part.x - rect.x) as usize * channels;
                own[from..from + part.width as usize * channels].fill(0.0);
            }
            if blend == Blend::Maximum {
                for ((s, w), (v, o)) in sum.iter_mut().zip(&mut weight).zip(row.iter().zip(&own)) {
                    if *o > 0.0 {
                        *s = if *w > 0.0 { f32::max(*s, *v) } else { *v };
                        *w = 1.0;
                    }
                }
            } else {
                sum.iter_mut().zip(row.iter().zip(&own)).for_each(|(s, (v, o))| *s += v * o);
                weight.iter_mut().zip(&own).for_each(|(w, o)| *w += o);
            }
        }
        if lacking {
            report_holes(&weight, channels, PixelRect { y, height: 1, ..rect }, canvas, hole);
            // What nobody has is taken out below: zero by one is zero.
            weight.iter_mut().filter(|w| **w == 0.0).for_each(|w| *w = 1.0);
        }
        sum.iter_mut().zip(&weight).for_each(|(s, w)| *s /= w);
        round(&sum, canvas.format, canvas.row(rect.x, y, rect.width));
    }
}

/// Finds the runs of a row without any weight.
fn report_holes(
    weight: &[f32],
    channels: usize,
    row: PixelRect,
    canvas: &mut Canvas<'_>,
    hole: &mut dyn FnMut(PixelRect),
) {
    let empty = |x: u32| weight[x as usize * channels] == 0.0;
    let mut x = 0;
    while x < row.width {
        let from = x;
        while x < row.width && empty(x) {
            x += 1;
        }
        if x > from {
            let run = PixelRect { x: row.x + from, width: x - from, ..row };
            canvas.cover(run, false);
            hole(run);
        }
        x += 1;
    }
}

/// The part of a share's weight that changes along a row, for every sample of it.
fn weights_across(share: &Share, rect: PixelRect, downsample: f64, channels: usize) -> Vec<f32> {
    let mut weights = Vec::with_capacity(rect.width as usize * channels);
    for x in rect.x..rect.right() {
        let weight = product(share, Across::X, (f64::from(x) + 0.5) * downsample);
        weights.extend(std::iter::repeat_n(weight, channels));
    }
    weights
}

/// The part that changes from row to row.
fn weight_down(share: &Share, y: u32, downsample: f64) -> f32 {
    product(share, Across::Y, (f64::from(y) + 0.5) * downsample)
}

fn product(share: &Share, across: Across, along: f64) -> f32 {
    let ramps = share.ramps.iter().filter(|(m, _)| m.across == across);
    ramps.map(|(m, reach)| m.weight(along, *reach)).product::<f32>().max(LEAST_WEIGHT)
}

/// Rounds to the nearest value that can be stored.
fn round(samples: &[f32], format: TileFormat, out: &mut [u8]) {
    match format {
        TileFormat::Gray16 => out.chunks_exact_mut(2).zip(samples).for_each(|(o, v)| {
            let value = (v + 0.5).clamp(0.0, 65535.0) as i32 as u16;
            o.copy_from_slice(&value.to_ne_bytes());
        }),
        TileFormat::Gray8 | TileFormat::Rgb8 => {
            out.iter_mut().zip(samples).for_each(|(o, v)| *o = (v + 0.5).clamp(0.0, 255.0) as i32 as u8);
        }
    }
}
