//! How stored samples become colours. Display never changes data.

use crate::pixels::TileFormat;
use crate::pyramid::{ChannelInfo, ChannelRole, ImageInfo};
use serde::{Deserialize, Serialize};

/// The canvas around fluorescence.
pub const FLUORESCENCE_BACKGROUND: [u8; 3] = [0x1a; 3];
/// The canvas around brightfield tissue.
pub const BRIGHTFIELD_BACKGROUND: [u8; 3] = [0xf2; 3];

/// Colours for channels that bring none, told apart by brightness as well as hue.
const DEFAULT_COLORS: [[u8; 3]; 7] =
    [[60, 110, 255], [0, 230, 90], [255, 60, 60], [255, 200, 0], [230, 80, 255], [0, 220, 230], [255, 255, 255]];

/// How one channel is shown: `clamp((v - min) / (max - min)) ^ (1 / gamma) * weight * color`, summed over the channels
/// and clipped in sRGB-encoded values.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ChannelDisplay {
    /// Whether it is shown.
    pub visible: bool,
    /// Its colour, sRGB-encoded. White for RGB images.
    pub color: [u8; 3],
    /// The stored value shown black.
    pub min: f32,
    /// The stored value shown at full colour; below `min` it inverts.
    pub max: f32,
    /// Above 1 lifts the dark end.
    pub gamma: f32,
    /// Its share in the merge, 1 for all of it.
    pub weight: f32,
}

/// What happens above 1:1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum MagnifyFilter {
    /// Smooth.
    #[default]
    Linear,
    /// Level-0 pixels are squares.
    Nearest,
}

/// How an image is shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DisplaySettings {
    /// One for each of [`ImageInfo::channels`], in that order; those that are missing are not shown.
    pub channels: Vec<ChannelDisplay>,
    /// The canvas where no image is, sRGB-encoded.
    pub background: [u8; 3],
    /// What happens above 1:1.
    pub filter: MagnifyFilter,
}

impl DisplaySettings {
    /// The settings of an image that nobody has touched: all channels on, their whole range, the file's colours.
    pub fn of(image: &ImageInfo) -> Self {
        let intensities = image.channels.iter().filter(|c| c.role == ChannelRole::Intensity).count();
        let rgb = image.channels.iter().any(|c| c.format == TileFormat::Rgb8);
        let mut next = 0;
        let channels = image
            .channels
            .iter()
            .map(|channel| {
                let plain = channel.format == TileFormat::Rgb8 || intensities < 2;
                let fallback = if plain { [255; 3] } else { DEFAULT_COLORS[next % DEFAULT_COLORS.len()] };
                if channel.role == ChannelRole::Intensity {
                    next += 1;
                }
                ChannelDisplay {
                    visible: true,
                    color: if channel.format == TileFormat::Rgb8 {
                        [255; 3]
                    } else {
                        channel.color.unwrap_or(fallback)
                    },
                    min: 0.0,
                    max: full_range(channel),
                    gamma: 1.0,
                    weight: 1.0,
                }
            })
            .collect();
        let background = if rgb { BRIGHTFIELD_BACKGROUND } else { FLUORESCENCE_BACKGROUND };
        Self { channels, background, filter: MagnifyFilter::Linear }
    }
}

/// The greatest stored value a channel can have.
fn full_range(channel: &ChannelInfo) -> f32 {
    let format_bits = if channel.format == TileFormat::Gray16 { 16 } else { 8 };
    let bits = channel.significant_bits.map_or(format_bits, |bits| bits.clamp(1, format_bits));
    ((1u32 << bits) - 1) as f32
}
