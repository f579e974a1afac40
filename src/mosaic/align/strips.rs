//! Strips of fields, read from the store: one value a pixel, whatever the fields are made of.

use crate::error::Result;
use crate::geom::{PixelRect, Point, Size};
use crate::pixels::TileFormat;
use crate::pyramid::{Cancel, ImageInfo, Loaded, Made, PlaneId, Pyramid, TileKey};
use crate::stitch::pair::{Limits, Measurement, PairOutcome, PairScratch, chance_score, measure};
use crate::stitch::strip::{Strip, strips_of_overlap};
use std::time::Duration;

/// The most pixels of one strip: 2 MiB of samples, two strips a worker.
///
/// What is larger is looked at in sections, or in a reduced level where the whole of it is needed.
pub const MAX_STRIP_PX: u64 = 1 << 20;

/// How long to wait for a field that another thread decodes before looking again.
const BUSY_WAIT: Duration = Duration::from_millis(20);

/// Two fields and where the second is thought to stand relative to the first, in level-0 pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Probe {
    /// The first field.
    pub a: usize,
    /// The second field.
    pub b: usize,
    /// The displacement, top-left corner to top-left corner.
    pub nominal: Point,
}

/// The buffers of one worker.
#[derive(Default)]
pub struct Scratch {
    pair: PairScratch,
    a: Vec<u16>,
    b: Vec<u16>,
}

/// Reads one channel of all fields.
pub struct FieldReader<'a> {
    pyramid: &'a Pyramid,
    cancel: &'a Cancel,
    channel: u16,
    z: u16,
    t: u16,
}

impl<'a> FieldReader<'a> {
    /// Reads `channel` at one focus position and time point.
    pub fn new(pyramid: &'a Pyramid, cancel: &'a Cancel, channel: u16, z: u16, t: u16) -> Self {
        Self { pyramid, cancel, channel, z, t }
    }

    /// What one overlap says, searched in full resolution, section by section from the middle where it is large.
    pub fn measure(&self, scratch: &mut Scratch, probe: &Probe, limits: &Limits) -> Result<PairOutcome> {
        let mut worst = PairOutcome::NoInformation;
        let Some((a, b)) = self.strips(probe, limits.max_shift) else { return Ok(worst) };
        for (a, b) in sections(a, b, probe.nominal, limits.max_shift) {
            let Some((pair, a, b)) = self.read_both(scratch, probe, 0, a, b)? else { continue };
            match measure(pair, &a, &b, probe.nominal, limits) {
                measured @ PairOutcome::Measured(_) => return Ok(measured),
                rejected @ PairOutcome::Rejected { .. } => worst = rejected,
                PairOutcome::NoInformation => {}
            }
        }
        Ok(worst)
    }

    /// What one overlap says within limits that span most of the field: in the finest level whose strips are within
    /// bounds.
    pub fn measure_wide(&self, scratch: &mut Scratch, probe: &Probe, limits: &Limits) -> Result<PairOutcome> {
        let Some(level) = self.level_within_bounds(probe, limits.max_shift) else {
            return Ok(PairOutcome::NoInformation);
        };
        let [dx, dy] = self.downsample(probe.a, level);
        let reduced = |p: Point| Point::new(p.x / dx, p.y / dy);
        let (nominal, limits) =
            (reduced(probe.nominal), Limits { max_shift: reduced(limits.max_shift), min_score: limits.min_score });
        let Some((a, b)) = self.strips_at(probe, level, nominal, limits.max_shift) else {
            return Ok(PairOutcome::NoInformation);
        };
        let Some((pair, a, b)) = self.read_both(scratch, probe, level, a, b)? else {
            return Ok(PairOutcome::NoInformation);
        };
        Ok(match measure(pair, &a, &b, nominal, &limits) {
            PairOutcome::Measured(m) => PairOutcome::Measured(Measurement {
                shift: Point::new(m.shift.x * dx, m.shift.y * dy),
                covariance: [m.covariance[0] * dx * dx, m.covariance[1] * dx * dy, m.covariance[2] * dy * dy],
                ..m
            }),
            other => other,
        })
    }

    /// The best score of a pair that cannot overlap: `probe` with `stand_in` in place of its second field.
    pub fn chance(
        &self,
        scratch: &mut Scratch,
        probe: &Probe,
        stand_in: usize,
        limits: &Limits,
    ) -> Result<Option<f64>> {
        let probe = Probe { b: stand_in, ..*probe };
        let Some((a, b)) = self.strips(&probe, limits.max_shift) else { return Ok(None) };
        let Some((a, b)) = sections(a, b, probe.nominal, limits.max_shift).next() else { return Ok(None) };
        let Some((pair, a, b)) = self.read_both(scratch, &probe, 0, a, b)? else { return Ok(None) };
        Ok(chance_score(pair, &a, &b, probe.nominal, limits))
    }

    /// The samples of a rectangle of one level, row by row; false where a part of it cannot be read.
    pub fn read(&self, field: usize, level: u8, rect: PixelRect, out: &mut Vec<u16>) -> Result<bool> {
        let Some(image) = self.image(field) else { return Ok(false) };
        out.clear();
        out.resize(rect.size().area() as usize, 0);
        let side = image.tile_side;
        for y in rect.y / side..rect.bottom().div_ceil(side) {
            for x in rect.x / side..rect.right().div_ceil(side) {
                let key = TileKey { plane: self.plane(field), level, x, y };
                let Some((bytes, format)) = self.tile(key)? else { return Ok(false) };
                let part = image.tile_rect(key).intersect(rect);
                copy_part(&bytes, format, side, (x * side, y * side), part, rect, out);
            }
        }
        Ok(true)
    }

    /// The description of a field, where there is one.
    pub fn image(&self, field: usize) -> Option<&'a ImageInfo> {
        let field = u32::try_from(field).ok()?;
        let image = self.pyramid.image(field)?;
        (usize::from(self.channel) < image.channels.len() && !image.size.is_empty()).then_some(image)
    }

    fn plane(&self, field: usize) -> PlaneId {
        PlaneId { field: field as u32, channel: self.channel, z: self.z, t: self.t }
    }

    fn downsample(&self, field: usize, level: u8) -> [f64; 2] {
        self.image(field).and_then(|i| i.levels.get(usize::from(level))).map_or([1.0, 1.0], |l| l.downsample)
    }

    fn size_at(&self, field: usize, level: u8) -> Option<Size> {
        Some(self.image(field)?.levels.get(usize::from(level))?.size)
    }

    fn strips(&self, probe: &Probe, max_shift: Point) -> Option<(PixelRect, PixelRect)> {
        self.strips_at(probe, 0, probe.nominal, max_shift)
    }

    fn strips_at(&self, probe: &Probe, level: u8, nominal: Point, max_shift: Point) -> Option<(PixelRect, PixelRect)> {
        strips_of_overlap(self.size_at(probe.a, level)?, self.size_at(probe.b, level)?, nominal, max_shift)
    }

    /// The finest level at which both strips are within bounds; `None` where they do not meet at all.
    fn level_within_bounds(&self, probe: &Probe, max_shift: Point) -> Option<u8> {
        let (a, b) = self.strips(probe, max_shift)?;
        let area = a.size().area().max(b.size().area()) as f64;
        let levels = self.image(probe.a)?.levels.len().min(self.image(probe.b)?.levels.len());
        (0..levels as u8)
            .find(|&level| {
                let [dx, dy] = self.downsample(probe.a, level);
                area / (dx * dy) <= MAX_STRIP_PX as f64
            })
            .or_else(|| u8::try_from(levels.saturating_sub(1)).ok())
    }

    /// Both strips of a probe; `None` where either cannot be read.
    fn read_both<'s>(
        &self,
        scratch: &'s mut Scratch,
        probe: &Probe,
        level: u8,
        a: PixelRect,
        b: PixelRect,
    ) -> Result<Option<(&'s mut PairScratch, Strip<'s>, Strip<'s>)>> {
        let Scratch { pair, a: samples_a, b: samples_b } = scratch;
        // While another worker decodes the first field, this one decodes the second.
        if !self.is_started(probe.a, level, a)? && !self.read(probe.b, level, b, samples_b)? {
            return Ok(None);
        }
        if !self.read(probe.a, level, a, samples_a)? || !self.read(probe.b, level, b, samples_b)? {
            return Ok(None);
        }
        Ok(Strip::new(a, samples_a).zip(Strip::new(b, samples_b)).map(|(a, b)| (pair, a, b)))
    }

    /// Whether the first tile of a rectangle is there, having tried to make it; false while another thread makes it.
    fn is_started(&self, field: usize, level: u8, rect: PixelRect) -> Result<bool> {
        let Some(image) = self.image(field) else { return Ok(true) };
        let (x, y) = (rect.x / image.tile_side, rect.y / image.tile_side);
        let key = TileKey { plane: self.plane(field), level, x, y };
        Ok(self.pyramid.is_ready(key) || self.pyramid.fill(key, &|_| self.cancel.check(), self.cancel)? != Made::Busy)
    }

    /// One tile, waited for; `None` where it cannot be read.
    fn tile(&self, key: TileKey) -> Result<Option<(Vec<u8>, TileFormat)>> {
        loop {
            self.cancel.check()?;
            match self.pyramid.fill(key, &|_| self.cancel.check(), self.cancel)? {
                Made::Ready => match self.pyramid.load(key, self.cancel)? {
                    Loaded::Tile(tile) => return Ok(Some((tile.bytes, tile.format))),
                    Loaded::Failed(_) => return Ok(None),
                    Loaded::Later(_) => {}
                },
                Made::Incomplete => return Ok(None),
                Made::Busy | Made::NotYet => self.pyramid.wait_for_release(BUSY_WAIT),
            }
        }
    }
}

/// Copies the part of a tile that lies in `rect`, as one value a pixel.
fn copy_part(
    bytes: &[u8],
    format: TileFormat,
    side: u32,
    corner: (u32, u32),
    part: PixelRect,
    rect: PixelRect,
    out: &mut [u16],
) {
    let bpp = format.bytes_per_px();
    let width = part.width as usize;
    for y in part.y..part.bottom() {
        let from = ((y - corner.1) as usize * side as usize + (part.x - corner.0) as usize) * bpp;
        let to = (y - rect.y) as usize * rect.width as usize + (part.x - rect.x) as usize;
        let (from, to) = (&bytes[from..from + width * bpp], &mut out[to..to + width]);
        match format {
            TileFormat::Gray8 => to.iter_mut().zip(from).for_each(|(v, &s)| *v = u16::from(s)),
            TileFormat::Gray16 => {
                let pairs = from.as_chunks::<2>().0;
                to.iter_mut().zip(pairs).for_each(|(v, &s)| *v = u16::from_ne_bytes(s));
            }
            // The sum serves tissue in transmitted light as well as one marker shown in a colour.
            TileFormat::Rgb8 => {
                let colours = from.as_chunks::<3>().0;
                to.iter_mut().zip(colours).for_each(|(v, s)| *v = s.iter().copied().map(u16::from).sum());
            }
        }
    }
}

/// Cuts a pair of strips along its longer side into pieces within [`MAX_STRIP_PX`], the middle one first, so that each
/// piece of the first strip meets all of the second that it may overlap.
fn sections(
    a: PixelRect,
    b: PixelRect,
    nominal: Point,
    max_shift: Point,
) -> impl Iterator<Item = (PixelRect, PixelRect)> {
    let along_y = a.height >= a.width;
    let (long, short) = if along_y { (a.height, a.width.max(b.width)) } else { (a.width, a.height.max(b.height)) };
    let reach = 2.0 * if along_y { max_shift.y } else { max_shift.x };
    let room = (MAX_STRIP_PX as f64 / f64::from(short.max(1)) - reach).max(MIN_SECTION_PX);
    let count = (f64::from(long) / room).ceil().clamp(1.0, MAX_SECTIONS) as u32;
    let mut order: Vec<u32> = (0..count).collect();
    order.sort_by_key(|&k| (2 * k + 1).abs_diff(count));
    order.into_iter().filter_map(move |k| {
        if count == 1 {
            return Some((a, b));
        }
        let (first, last) = (cut(long, k, count), cut(long, k + 1, count));
        if along_y {
            let (y, height) = facing(a.y + first, a.y + last, nominal.y, max_shift.y, b.y, b.bottom())?;
            Some((PixelRect::new(a.x, a.y + first, a.width, last - first), PixelRect::new(b.x, y, b.width, height)))
        } else {
            let (x, width) = facing(a.x + first, a.x + last, nominal.x, max_shift.x, b.x, b.right())?;
            Some((PixelRect::new(a.x + first, a.y, last - first, a.height), PixelRect::new(x, b.y, width, b.height)))
        }
    })
}

/// A section is at least this long, in pixels: shorter ones hold too little to match.
const MIN_SECTION_PX: f64 = 512.0;
/// As many sections of one overlap are looked at.
const MAX_SECTIONS: f64 = 64.0;

fn cut(length: u32, part: u32, parts: u32) -> u32 {
    (u64::from(length) * u64::from(part) / u64::from(parts)) as u32
}

/// Where the second field may show what the first shows from `first` to `last`: start and length.
fn facing(first: u32, last: u32, nominal: f64, max_shift: f64, least: u32, most: u32) -> Option<(u32, u32)> {
    let clamp = |v: f64| v.clamp(f64::from(least), f64::from(most)) as u32;
    let start = clamp((f64::from(first) - nominal - max_shift).floor());
    let end = clamp((f64::from(last) - nominal + max_shift).ceil());
    (end > start).then(|| (start, end - start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_overlap_is_one_section_and_a_large_one_is_covered_by_bounded_ones_from_the_middle() {
        let (a, b) = (PixelRect::new(1700, 0, 300, 2000), PixelRect::new(0, 0, 300, 2000));
        let shift = Point::new(100.0, 100.0);
        assert_eq!(sections(a, b, Point::new(1800.0, 5.0), shift).collect::<Vec<_>>(), [(a, b)]);

        let (a, b) = (PixelRect::new(9000, 0, 1000, 9990), PixelRect::new(0, 10, 1000, 9990));
        let nominal = Point::new(9400.0, -10.0);
        let parts: Vec<_> = sections(a, b, nominal, shift).collect();
        assert_eq!(parts.iter().map(|p| u64::from(p.0.height)).sum::<u64>(), 9990);
        assert!(parts[0].0.y < 5000 && parts[0].0.bottom() > 4990, "{:?}", parts[0]);
        for (a, b) in parts {
            assert!(a.size().area().max(b.size().area()) <= MAX_STRIP_PX, "{a:?} {b:?}");
            let low = (f64::from(a.y) + 10.0 - 100.0).max(10.0);
            let high = (f64::from(a.bottom()) + 10.0 + 100.0).min(10_000.0);
            assert_eq!((f64::from(b.y), f64::from(b.bottom())), (low, high));
        }
    }

    #[test]
    fn colours_are_summed_and_bytes_widened() {
        let rect = PixelRect::new(1, 0, 2, 1);
        let mut out = [0; 2];
        copy_part(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 0, 0], TileFormat::Rgb8, 4, (0, 0), rect, rect, &mut out);
        assert_eq!(out, [15, 24]);
        copy_part(&[9, 200, 100, 7], TileFormat::Gray8, 4, (0, 0), rect, rect, &mut out);
        assert_eq!(out, [200, 100]);
    }
}
