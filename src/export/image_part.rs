//! Which part of an image is exported: a region of some of its planes.

use super::band_source::{BandChannel, BandImage, BandPlane};
use super::layout::PixelLayout;
use crate::error::{Error, Result};
use crate::geom::PixelRect;
use crate::pixels::{PixelType, TileFormat};
use crate::pyramid::{ChannelRole, ImageInfo, PlaneId};
use std::ops::Range;
use std::path::Path;

/// The side of written tiles where nothing speaks for another.
pub const TILE_SIDE: u32 = 256;

/// Which part of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImagePart {
    /// The image within its set.
    pub field: u32,
    /// The region in pixels of the full resolution.
    pub region: PixelRect,
    /// The channels, in the order they are written.
    pub channels: Vec<u16>,
    /// The focus positions.
    pub z: Range<u16>,
    /// The time points.
    pub t: Range<u16>,
}

impl ImagePart {
    /// All of an image.
    pub fn whole(field: u32, image: &ImageInfo) -> Self {
        let shown = image.channels.iter().enumerate().filter(|(_, c)| c.role == ChannelRole::Intensity);
        Self {
            field,
            region: image.size.rect(),
            channels: shown.map(|(index, _)| index as u16).collect(),
            z: 0..image.z_count,
            t: 0..image.t_count,
        }
    }

    /// What is written of an image. `um_per_px` is the file's, or what the user set.
    ///
    /// Fails where the region, a plane or a channel is not there, where channels are of several kinds, and for samples
    /// wider than 16 bits, of which a preview is kept only.
    pub(super) fn band_image(&self, info: &ImageInfo, um_per_px: Option<[f64; 2]>, path: &Path) -> Result<BandImage> {
        use PixelType::{F16, F32, F64, I32, U32};
        if matches!(info.pixel_type, U32 | I32 | F16 | F32 | F64) {
            let name = info.pixel_type.name();
            let what =
                format!("{name} samples are kept as a 16-bit preview, which is not exact; export the view rendered");
            return Err(Error::unsupported(what, path));
        }
        let region = self.region.intersect(info.size.rect());
        if region.is_empty() {
            return Err(Error::unsupported("the region lies outside the image", path));
        }
        if self.z.is_empty() || self.z.end > info.z_count || self.t.is_empty() || self.t.end > info.t_count {
            let what = format!(
                "there is no such focus position or time point, the image has {} and {}",
                info.z_count, info.t_count
            );
            return Err(Error::unsupported(what, path));
        }
        let channels: Option<Vec<_>> = self.channels.iter().map(|&c| info.channels.get(usize::from(c))).collect();
        let channels = channels.ok_or_else(|| Error::unsupported("there is no such channel", path))?;
        let Some(format) = channels.first().map(|c| c.format) else {
            return Err(Error::unsupported("no channel is to be exported", path));
        };
        if channels.iter().any(|c| c.format != format) {
            let what = "colour and other channels do not go into one file, choose one of them";
            return Err(Error::unsupported(what, path));
        }
        let layout = match format {
            TileFormat::Rgb8 => PixelLayout::of(format),
            TileFormat::Gray8 | TileFormat::Gray16 => {
                PixelLayout { samples: 1, ..PixelLayout::of_source(info.pixel_type) }
            }
        };
        Ok(BandImage {
            size: region.size(),
            layout,
            channels: channels.iter().map(|c| BandChannel { name: c.name.clone(), color: c.color }).collect(),
            z_count: self.z.end - self.z.start,
            t_count: self.t.end - self.t.start,
            um_per_px,
            objective: info.objective,
            tile_side: TILE_SIDE,
        })
    }

    /// The image's plane that a written one is.
    pub(super) fn plane(&self, plane: BandPlane) -> PlaneId {
        PlaneId {
            field: self.field,
            channel: self.channels[usize::from(plane.channel)],
            z: self.z.start + plane.z,
            t: self.t.start + plane.t,
        }
    }
}
