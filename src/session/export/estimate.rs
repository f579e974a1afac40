//! How large an export will be, and how long it will take: measured on a few places where that can be, else a rule of
//! thumb; shown as an estimate either way.

use super::choices::{Compression, ExportChoices, PictureFormat};
use super::plan::{ExportPlan, ExportWhat, SamplesPlan};
use crate::session::ImageId;

/// Bytes of samples a second until an export was timed on this machine: one core packing deflate.
const FIRST_SAMPLES_SPEED: f64 = 60e6;
/// Pixels of a picture a second until one was timed: a processor that draws.
const FIRST_PICTURE_SPEED: f64 = 8e6;
/// All reduced levels together, as a share of the full resolution: 1/4 + 1/16 + ...
const LEVELS_SHARE: f64 = 1.0 / 3.0;

/// What an export will come to, roughly.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ExportEstimate {
    /// Bytes of the file.
    pub bytes: u64,
    /// Seconds.
    pub secs: f64,
}

/// What decides how small samples become by packing.
#[derive(Debug, Clone, PartialEq)]
pub struct Packing {
    image: ImageId,
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
            compression: samples.compression,
            quality: samples.quality,
            channels: samples.channels.clone(),
            even_illumination: samples.even_illumination,
        })
    }
}

impl ExportEstimate {
    /// The estimate for a plan; `share` is what packing leaves of its samples, where that was measured.
    pub fn of(plan: &ExportPlan, choices: &ExportChoices, share: Option<f64>) -> Self {
        let packed_share = |samples: &SamplesPlan| share.unwrap_or_else(|| usual_share(samples));
        let (bytes, speed) = match &plan.what {
            ExportWhat::OmeTiff(samples) => {
                let all = samples.bytes() as f64 * (1.0 + LEVELS_SHARE);
                (all * packed_share(samples), choices.samples_speed.unwrap_or(FIRST_SAMPLES_SPEED))
            }
            ExportWhat::Raw(samples) => {
                let all = samples.bytes() as f64;
                (all * packed_share(samples), choices.samples_speed.unwrap_or(FIRST_SAMPLES_SPEED))
            }
            ExportWhat::Picture(picture) => {
                let bytes_per_px = match picture.format {
                    PictureFormat::Png | PictureFormat::Tiff => 1.6,
                    PictureFormat::Jpeg => jpeg_bytes_per_px(picture.quality),
                };
                let speed = choices.picture_speed.unwrap_or(FIRST_PICTURE_SPEED);
                (picture.size.area() as f64 * bytes_per_px, speed)
            }
        };
        Self { bytes: bytes as u64, secs: plan.work() as f64 / speed }
    }
}

/// What packing leaves of samples: microscope pictures are noisy, and noise does not pack.
fn usual_share(samples: &SamplesPlan) -> f64 {
    match samples.compression {
        Compression::None => 1.0,
        Compression::Lzw => 0.75,
        Compression::Deflate => 0.6,
        Compression::Zstd => 0.62,
        // Per pixel of one or three bytes.
        Compression::Jpeg => jpeg_bytes_per_px(samples.quality) / 3.0,
    }
}

/// Bytes that JPEG takes for a pixel of stained tissue.
fn jpeg_bytes_per_px(quality: u8) -> f64 {
    let quality = f64::from(quality.clamp(1, 100)) / 100.0;
    0.05 + 0.12 * quality + 1.1 * quality.powi(6)
}
