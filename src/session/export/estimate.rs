//! How large an export will be, and how long it will take: measured on a few places where that can be, else the most that
//! it can be.

use super::choices::{Compression, ExportChoices, PictureFormat};
use super::plan::{ExportPlan, ExportWhat, SamplesPlan};
use crate::geom::PixelRect;
use crate::session::ImageId;

/// Bytes of samples a second until an export was timed on this machine: one core packing deflate.
const FIRST_SAMPLES_SPEED: f64 = 60e6;
/// Pixels of a picture a second until one was timed: a processor that draws.
const FIRST_PICTURE_SPEED: f64 = 8e6;
/// A region whose overlap with another is less than this share of both together is packed anew: what it shows is something
/// else.
const SAME_REGION_SHARE: f64 = 0.8;

/// What an export will come to, roughly.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ExportEstimate {
    /// Bytes of the file.
    pub bytes: u64,
    /// Whether that is the most it can be, because nothing of it was packed: it will be less.
    pub is_most: bool,
    /// Seconds.
    pub secs: f64,
}

/// What decides how small samples become by packing.
#[derive(Debug, Clone, PartialEq)]
pub struct Packing {
    image: ImageId,
    region: PixelRect,
    compression: Compression,
    quality: u8,
    channels: Vec<u16>,
    even_illumination: bool,
}

impl Packing {
    /// The packing of a plan; of pictures nothing is measured.
    pub fn of(plan: &ExportPlan) -> Option<Self> {
        let (ExportWhat::OmeTiff(samples) | ExportWhat::Raw(samples)) = &plan.what else { return None };
        Some(Self {
            image: plan.image,
            region: samples.region,
            compression: samples.compression,
            quality: samples.quality,
            channels: samples.channels.clone(),
            even_illumination: samples.even_illumination,
        })
    }

    /// Whether samples are packed alike, of whatever region.
    pub(super) fn is_alike(&self, other: &Self) -> bool {
        *self == Self { region: self.region, ..other.clone() }
    }

    /// Whether what was measured for this holds for the other one: packed alike, and about the same region.
    pub(super) fn holds_for(&self, other: &Self) -> bool {
        let area = |rect: PixelRect| rect.size().area() as f64;
        let both = area(self.region.intersect(other.region));
        let together = area(self.region) + area(other.region) - both;
        self.is_alike(other) && both >= SAME_REGION_SHARE * together
    }
}

impl ExportEstimate {
    /// The estimate for a plan; `share` is what packing leaves of its samples, where that was measured.
    pub fn of(plan: &ExportPlan, choices: &ExportChoices, share: Option<f64>) -> Self {
        let packed_share = |samples: &SamplesPlan| share.unwrap_or_else(|| most_share(samples));
        let is_exact = |samples: &SamplesPlan| samples.compression == Compression::None;
        let (bytes, is_most, speed) = match &plan.what {
            ExportWhat::OmeTiff(samples) => {
                let all = samples.bytes_with_levels();
                let is_most = share.is_none() && !is_exact(samples);
                (all * packed_share(samples), is_most, choices.samples_speed.unwrap_or(FIRST_SAMPLES_SPEED))
            }
            ExportWhat::Raw(samples) => {
                let is_most = share.is_none() && !is_exact(samples);
                (
                    samples.bytes() as f64 * packed_share(samples),
                    is_most,
                    choices.samples_speed.unwrap_or(FIRST_SAMPLES_SPEED),
                )
            }
            ExportWhat::Picture(picture) => {
                let bytes_per_px = match picture.format {
                    // Three colours, and what packing adds where nothing packs.
                    PictureFormat::Png | PictureFormat::Tiff => 3.02,
                    PictureFormat::Jpeg => most_jpeg_bytes_per_px(picture.quality),
                };
                let speed = choices.picture_speed.unwrap_or(FIRST_PICTURE_SPEED);
                (picture.size.area() as f64 * bytes_per_px, true, speed)
            }
        };
        Self { bytes: bytes as u64, is_most, secs: plan.work() as f64 / speed }
    }
}

/// The most that packing leaves of samples: noise does not pack, and gets a little larger.
fn most_share(samples: &SamplesPlan) -> f64 {
    match samples.compression {
        Compression::None => 1.0,
        // Codes of at most twelve bits for a byte.
        Compression::Lzw => 1.5,
        Compression::Deflate | Compression::Zstd => 1.01,
        // Of one channel: three colours take no more for each of their bytes.
        Compression::Jpeg => most_jpeg_bytes_per_gray_px(samples.quality),
    }
}

/// The most bytes that JPEG takes for a pixel of three colours that is not made up: those of white noise.
fn most_jpeg_bytes_per_px(quality: u8) -> f64 {
    let quality = f64::from(quality.clamp(1, 100)) / 100.0;
    // Colour is not halved from this quality on.
    let colors = if quality < 0.9 { 1.5 } else { 3.0 };
    colors * (0.04 + 0.5 * quality + 0.85 * quality.powi(8))
}

/// Likewise for a pixel of one channel.
fn most_jpeg_bytes_per_gray_px(quality: u8) -> f64 {
    let quality = f64::from(quality.clamp(1, 100)) / 100.0;
    0.15 + 0.62 * quality + 0.9 * quality.powi(12)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geom::Size;

    #[test]
    fn jpeg_of_noise_is_no_larger_than_the_most_that_is_said_and_not_much_smaller() {
        let folder = tempfile::tempdir().expect("a folder");
        let size = Size::new(512, 256);
        let mut state = 1_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        let noise: Vec<u8> = (0..size.area() * 3).map(|_| next()).collect();
        for quality in [1, 20, 50, 75, 85, 89, 90, 95, 100] {
            let path = folder.path().join(format!("{quality}.jpg"));
            let to = crate::store::Destination::replacing(&path);
            crate::export::write_jpeg(to, size, quality, None, &mut |sink| sink(&noise)).expect("written");
            let bytes_per_px = std::fs::metadata(&path).expect("there").len() as f64 / size.area() as f64;
            let most = most_jpeg_bytes_per_px(quality);
            assert!(bytes_per_px <= most && bytes_per_px * 2.0 > most, "{quality}: {bytes_per_px} of {most}");
        }
    }

    #[test]
    fn jpeg_of_gray_noise_is_no_larger_than_the_most_that_is_said_and_not_much_smaller() {
        use crate::export::{PixelLayout, TileCompression, TileEncoder};
        let mut state = 1_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        let noise: Vec<u8> = (0..256 * 256).map(|_| next()).collect();
        let layout = PixelLayout::of(crate::pixels::TileFormat::Gray8);
        for quality in [1, 20, 50, 75, 85, 90, 95, 100] {
            let path = std::path::Path::new("x");
            let mut encoder = TileEncoder::new(TileCompression::Jpeg { quality }, layout, 256, path).expect("8 bits");
            let bytes_per_px = encoder.encode(&noise, path).expect("packed").len() as f64 / noise.len() as f64;
            let most = most_jpeg_bytes_per_gray_px(quality);
            assert!(bytes_per_px <= most && bytes_per_px * 1.5 > most, "{quality}: {bytes_per_px} of {most}");
        }
    }
}
