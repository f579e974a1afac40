//! Histograms of channels, and the display window that suits them.

use super::{ChannelStatistics, Window};
use crate::error::Result;
use crate::geom::Size;
use crate::pixels::{TileFormat, ValueCoding};
use crate::pyramid::{
    Cancel, ChannelInfo, ImageInfo, LevelOrigin, Loaded, Made, PlaneId, Pyramid, TileKey, TilePixels,
};
use std::time::Duration;

/// Bins of a histogram: one a value for 8 bits, over the values that are used for 16.
pub const HISTOGRAM_BINS: usize = 256;

/// Tiles looked at for the statistics of one channel; spread regularly over the plane.
const MAX_SAMPLED_TILES: u32 = 64;

/// A level has enough pixels for a histogram from here on; coarser ones have averaged the brightest nuclei away.
const LEAST_SAMPLED_PX: u64 = 1 << 20;

/// Native tiles decoded for a first sample of an image that brings no levels: a person waits for these.
const FIRST_SAMPLE_TILES: u32 = 9;

/// The share of samples below the window.
const LOW_QUANTILE: f64 = 0.002;

/// The share of samples not above the window.
const HIGH_QUANTILE: f64 = 0.999;

/// A window is at least this share of its lower end wide, so that the noise of an empty channel is not blown up into
/// a picture.
const LEAST_RELATIVE_SPREAD: f64 = 0.5;

/// Nor is it narrower than this many stored steps of 65536.
const LEAST_SPREAD_16: f64 = 64.0;

/// Fields of a mosaic looked at for the statistics of one channel; spread regularly over their numbers.
const MAX_SAMPLED_FIELDS: u32 = 64;

/// Fields decoded for a first sample: a person waits for these.
const FIRST_SAMPLE_FIELDS: u32 = 4;

/// How long to wait for a unit that another thread decodes.
const BUSY_WAIT: Duration = Duration::from_millis(20);

/// Counts of every stored value of one channel.
#[derive(Debug, Clone)]
pub struct Counts {
    format: TileFormat,
    counts: Vec<u32>,
    total: u64,
}

impl Counts {
    /// No samples yet.
    pub fn new(format: TileFormat) -> Self {
        let values = if format == TileFormat::Gray16 { 1 << 16 } else { 1 << 8 };
        Self { format, counts: vec![0; values], total: 0 }
    }

    /// Counts the pixels that exist of a tile.
    pub fn add(&mut self, tile: &TilePixels) {
        let bpp = self.format.bytes_per_px();
        for y in 0..tile.valid.height as usize {
            let row = &tile.bytes[y * tile.side as usize * bpp..][..tile.valid.width as usize * bpp];
            match self.format {
                TileFormat::Gray16 => row.chunks_exact(2).for_each(|s| {
                    let count = &mut self.counts[usize::from(u16::from_ne_bytes([s[0], s[1]]))];
                    *count = count.saturating_add(1);
                }),
                TileFormat::Gray8 | TileFormat::Rgb8 => row.iter().for_each(|&s| {
                    let count = &mut self.counts[usize::from(s)];
                    *count = count.saturating_add(1);
                }),
            }
        }
        self.total += tile.valid.area() * if self.format == TileFormat::Rgb8 { 3 } else { 1 };
    }

    /// The least value that `quantile` of all samples do not exceed.
    fn quantile(&self, quantile: f64) -> u32 {
        let wanted = (self.total as f64 * quantile).ceil().max(1.0) as u64;
        let mut seen = 0u64;
        for (value, &count) in self.counts.iter().enumerate() {
            seen += u64::from(count);
            if seen >= wanted {
                return value as u32;
            }
        }
        self.counts.len() as u32 - 1
    }

    /// The statistics of these counts.
    pub fn summarise(&self, channel: &ChannelInfo, coding: ValueCoding, settled: bool) -> ChannelStatistics {
        let least = self.counts.iter().position(|&count| count > 0).unwrap_or(0) as u32;
        let most = self.counts.iter().rposition(|&count| count > 0).unwrap_or(0) as u32;
        // Bins over what is used: a dim camera fills a hundredth of the 16 bits.
        let bin_values = if self.format == TileFormat::Gray16 { (most + 1).div_ceil(HISTOGRAM_BINS as u32) } else { 1 };
        let histogram = self
            .counts
            .chunks(bin_values as usize)
            .take(HISTOGRAM_BINS)
            .map(|bin| bin.iter().map(|&c| u64::from(c)).sum())
            .collect();
        ChannelStatistics {
            histogram,
            bin_values,
            range: (least, most),
            window: self.window(channel, coding),
            coding,
            settled,
        }
    }

    fn window(&self, channel: &ChannelInfo, coding: ValueCoding) -> Window {
        if self.format != TileFormat::Gray16 || self.total == 0 {
            return Window { min: 0.0, max: (self.counts.len() - 1) as f32 };
        }
        let low = f64::from(self.quantile(LOW_QUANTILE));
        let high = f64::from(self.quantile(HIGH_QUANTILE));
        let full = f64::from(u16::MAX);
        // Wider types are scaled to the range they use, where the lower end says nothing of the noise. Few significant
        // bits leave little room for a least spread.
        let least = if coding.exact {
            let room = channel.significant_bits.map_or(full, |bits| f64::from(1u32 << bits.min(16)) - 1.0);
            (low * LEAST_RELATIVE_SPREAD).max(LEAST_SPREAD_16).min(room / 4.0)
        } else {
            1.0
        };
        let high = high.max(low + least).min(full);
        Window { min: low.min(high - 1.0) as f32, max: high as f32 }
    }
}

/// Statistics of one channel from its coarsest level that is there, or, where none is, from a few tiles of level 0
/// that are decoded for it.
pub fn of_channel(pyramid: &Pyramid, plane: PlaneId, cancel: &Cancel) -> Result<Option<ChannelStatistics>> {
    let Some(image) = pyramid.image(plane.field) else { return Ok(None) };
    let Some(channel) = image.channels.get(plane.channel as usize) else { return Ok(None) };
    let coding = pyramid.source().coding(plane)?;
    let (level, most, settled) = level_to_sample(pyramid, image, plane);
    let mut counts = Counts::new(channel.format);
    for key in regular_sample(image, plane, level, most) {
        count(pyramid, key, &mut counts, cancel)?;
    }
    Ok((counts.total > 0).then(|| counts.summarise(channel, coding, settled)))
}

/// How many fields of a mosaic are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SampledFields {
    /// Many where they are in the store, else a few that are decoded for it: a person waits.
    Ready,
    /// Many, decoded where need be: the same whatever was looked at before.
    Many,
}

/// Statistics of one channel of a mosaic, from coarse levels of some of its fields. `plane` names the channel, focus
/// position and time point.
pub fn of_fields(
    pyramid: &Pyramid,
    plane: PlaneId,
    sampled: SampledFields,
    cancel: &Cancel,
) -> Result<Option<ChannelStatistics>> {
    let images = pyramid.source().images();
    let Some(channel) = images.first().and_then(|i| i.channels.get(plane.channel as usize)) else { return Ok(None) };
    let coding = pyramid.source().coding(PlaneId { field: 0, ..plane })?;
    let keys = |most: u32| -> Vec<TileKey> {
        let count = (images.len() as u32).min(most);
        (0..count).flat_map(|n| coarse_tiles(images, spread(n, count, images.len() as u32), plane, count)).collect()
    };
    let many = keys(MAX_SAMPLED_FIELDS);
    let is_there = |key: &TileKey| pyramid.is_ready(*key) || pyramid.failure(*key).is_some();
    let settled = sampled == SampledFields::Many || many.iter().all(is_there);
    let mut counts = Counts::new(channel.format);
    for key in if settled { many } else { keys(FIRST_SAMPLE_FIELDS) } {
        while pyramid.fill(key, &|_| Ok(()), cancel)? == Made::Busy {
            pyramid.wait_for_release(BUSY_WAIT);
            cancel.check()?;
        }
        count(pyramid, key, &mut counts, cancel)?;
    }
    Ok((counts.total > 0).then(|| counts.summarise(channel, coding, settled)))
}

/// The tiles of a field's coarsest level that still has its share of the pixels for a histogram.
fn coarse_tiles(images: &[ImageInfo], field: u32, plane: PlaneId, fields: u32) -> Vec<TileKey> {
    let Some(image) = images.get(field as usize) else { return Vec::new() };
    let share = LEAST_SAMPLED_PX / u64::from(fields.max(1));
    let enough = |level: &u8| image.levels[*level as usize].size.area() >= share;
    let level = (0..image.levels.len() as u8).rev().find(enough).unwrap_or(0);
    regular_sample(image, PlaneId { field, ..plane }, level, MAX_SAMPLED_TILES)
}

/// The place of the nth of some among many, regularly spread, the ends left out.
fn spread(n: u32, of: u32, among: u32) -> u32 {
    ((2 * u64::from(n) + 1) * u64::from(among) / (2 * u64::from(of))) as u32
}

/// Counts a tile, where it can be had.
fn count(pyramid: &Pyramid, key: TileKey, counts: &mut Counts, cancel: &Cancel) -> Result<()> {
    loop {
        match pyramid.load(key, cancel)? {
            Loaded::Tile(tile) => counts.add(&tile),
            Loaded::Later(Made::Busy) => {
                pyramid.wait_for_release(BUSY_WAIT);
                cancel.check()?;
                continue;
            }
            Loaded::Later(_) | Loaded::Failed(_) => {}
        }
        return Ok(());
    }
}

/// Which level to look at, how many of its tiles, and whether the result is the last word.
fn level_to_sample(pyramid: &Pyramid, image: &ImageInfo, plane: PlaneId) -> (u8, u32, bool) {
    let enough = |level: &u8| image.levels[*level as usize].size.area() >= LEAST_SAMPLED_PX;
    let native = |level: &u8| matches!(image.levels[*level as usize].origin, LevelOrigin::Native(_));
    let coarsest_first = || (0..image.levels.len() as u8).rev();
    if image.has_native_levels() {
        // Whatever is in the store, so that the same file has the same ranges.
        return (coarsest_first().filter(native).find(enough).unwrap_or(0), MAX_SAMPLED_TILES, true);
    }
    let level = coarsest_first().find(enough).unwrap_or(0);
    if regular_sample(image, plane, level, MAX_SAMPLED_TILES).into_iter().all(|key| pyramid.is_ready(key)) {
        return (level, MAX_SAMPLED_TILES, true);
    }
    (0, FIRST_SAMPLE_TILES, image.tiles(0).area() <= u64::from(FIRST_SAMPLE_TILES))
}

/// At most `most` tiles of a level on a regular grid that leaves the borders out where it can.
fn regular_sample(image: &ImageInfo, plane: PlaneId, level: u8, most: u32) -> Vec<TileKey> {
    let tiles = image.tiles(level);
    let Size { width, height } = tiles;
    if tiles.area() <= u64::from(most) {
        return (0..height).flat_map(|y| (0..width).map(move |x| TileKey { plane, level, x, y })).collect();
    }
    let side = most.isqrt();
    let across = side.min(width).max(1);
    let down = (most / across).min(height).max(1);
    (0..down)
        .flat_map(|j| {
            (0..across).map(move |i| TileKey { plane, level, x: spread(i, across, width), y: spread(j, down, height) })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pyramid::{ChannelRole, Coverage, Gaps, SetId};

    fn channel() -> ChannelInfo {
        ChannelInfo {
            name: "DAPI".into(),
            color: None,
            format: TileFormat::Gray16,
            role: ChannelRole::Intensity,
            significant_bits: None,
        }
    }

    fn tile(values: impl Fn(usize) -> u16) -> TilePixels {
        let bytes = (0..256 * 256).flat_map(|i| values(i).to_ne_bytes()).collect();
        TilePixels {
            set: SetId(0),
            key: TileKey { plane: PlaneId::default(), level: 0, x: 0, y: 0 },
            format: TileFormat::Gray16,
            side: 256,
            valid: Size::new(256, 256),
            coverage: Coverage::FULL,
            gaps: Gaps::Coming,
            generation: 0,
            bytes,
        }
    }

    #[test]
    fn a_bright_channel_gets_a_window_from_background_to_its_brightest_nuclei() {
        let mut counts = Counts::new(TileFormat::Gray16);
        counts.add(&tile(|i| if i % 10 == 0 { 9000 } else { 200 + (i % 7) as u16 }));
        let s = counts.summarise(&channel(), ValueCoding::IDENTITY, true);
        assert_eq!((s.window.min, s.window.max), (200.0, 9000.0));
        assert_eq!(s.range, (200, 9000));
        assert_eq!(s.histogram.iter().sum::<u64>(), 65536);
    }

    #[test]
    fn the_noise_of_an_empty_channel_is_not_blown_up() {
        let mut counts = Counts::new(TileFormat::Gray16);
        counts.add(&tile(|i| 400 + (i % 21) as u16));
        let s = counts.summarise(&channel(), ValueCoding::IDENTITY, true);
        assert!(s.window.max - s.window.min >= 200.0, "{:?}", s.window);
    }

    #[test]
    fn a_constant_channel_has_a_window_that_is_not_empty() {
        let mut counts = Counts::new(TileFormat::Gray16);
        counts.add(&tile(|_| 65535));
        let s = counts.summarise(&channel(), ValueCoding::IDENTITY, true);
        assert!(s.window.min < s.window.max);
    }

    #[test]
    fn a_regular_sample_is_bounded_and_spread() {
        let image = crate::pyramid::tests::image(20_000, 10_000, 256, 1);
        let sample = regular_sample(&image, PlaneId::default(), 0, 9);
        assert_eq!(sample.len(), 9);
        assert!(sample.iter().any(|k| k.x > 60) && sample.iter().any(|k| k.x < 20));
    }
}
