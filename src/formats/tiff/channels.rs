//! From the samples of a page to channels and tiles.

use super::page::{Extra, PageLayout, Photometric};
use crate::formats::blocks::ChannelTap;
use crate::pixels::{PixelType, SampleType, TileFormat};
use crate::pyramid::{ChannelInfo, ChannelRole};
use std::sync::Arc;

/// RGB with more samples than this is taken for a spectral image whose writer had no better word.
const MAX_RGB_SAMPLES: usize = 4;

/// The channels that one page holds.
///
/// `indices`: a palette is only a way to colour gray values (ImageJ, OME), not the picture itself.
pub fn of_page(layout: &PageLayout, indices: bool) -> (PixelType, Vec<ChannelInfo>, Vec<ChannelTap>) {
    let mut channels = Vec::new();
    let mut taps = Vec::new();
    let format = layout.sample.tile_format();
    let significant_bits = (!matches!(layout.bits, 8 | 16) && layout.bits < 16).then_some(layout.bits as u8);
    let gray = |name: String, color: Option<[u8; 3]>, role| ChannelInfo { name, color, format, role, significant_bits };
    let rgb = || ChannelInfo {
        name: "RGB".into(),
        color: None,
        format: TileFormat::Rgb8,
        role: ChannelRole::Intensity,
        significant_bits: None,
    };
    let mut pixel_type = layout.sample.pixel_type();
    let colored = matches!(layout.photometric, Photometric::Rgb | Photometric::YCbCr);
    let extras_from = match (&layout.palette, colored) {
        (Some(palette), _) if !indices && matches!(layout.sample, SampleType::U8 | SampleType::U16) => {
            pixel_type = PixelType::Rgb8;
            channels.push(rgb());
            taps.push(ChannelTap::Palette(0, Arc::new(palette.clone())));
            1
        }
        (_, true) if layout.sample == SampleType::U8 && layout.bits == 8 && layout.samples <= MAX_RGB_SAMPLES => {
            pixel_type = PixelType::Rgb8;
            channels.push(rgb());
            taps.push(ChannelTap::Rgb(0));
            3
        }
        (_, true) => {
            if layout.sample == SampleType::U16 {
                pixel_type = PixelType::Rgb16;
            }
            let primaries = [("Red", [255, 0, 0]), ("Green", [0, 255, 0]), ("Blue", [0, 0, 255])];
            for (sample, (name, color)) in primaries.into_iter().enumerate() {
                channels.push(gray(name.into(), Some(color), ChannelRole::Intensity));
                taps.push(ChannelTap::Gray(sample));
            }
            3
        }
        (palette, false) => {
            let color = palette.as_deref().and_then(brightest);
            let name = if layout.samples == 1 { "Gray" } else { "Channel 1" };
            channels.push(gray(name.into(), color, ChannelRole::Intensity));
            taps.push(ChannelTap::Gray(0));
            1
        }
    };
    for sample in extras_from..layout.samples {
        let extra = layout.extra.get(sample - extras_from).copied().unwrap_or(Extra::Unspecified);
        let (name, role) = match extra {
            Extra::Unspecified => (format!("Channel {}", sample + 1), ChannelRole::Intensity),
            Extra::AssociatedAlpha | Extra::Alpha => ("Alpha".to_owned(), ChannelRole::Coverage),
        };
        channels.push(gray(name, None, role));
        taps.push(ChannelTap::Gray(sample));
    }
    (pixel_type, channels, taps)
}

/// The colour at the bright end of a look-up table.
pub fn brightest(colors: &[[u8; 3]]) -> Option<[u8; 3]> {
    let sum = |c: &[u8; 3]| c.iter().map(|&v| u32::from(v)).sum::<u32>();
    colors.iter().copied().max_by_key(|c| sum(c)).filter(|c| sum(c) > 0)
}
