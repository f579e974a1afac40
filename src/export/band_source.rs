//! What an image is read from while it is exported: a slide, or a mosaic.

use super::layout::PixelLayout;
use crate::error::Result;
use crate::geom::{PixelRect, Size};
use crate::pyramid::Cancel;

/// One channel as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BandChannel {
    /// Its name; empty where it has none.
    pub name: String,
    /// Its colour.
    pub color: Option<[u8; 3]>,
}

/// What is written: its size, what its pixels are and mean.
#[derive(Debug, Clone, PartialEq)]
pub struct BandImage {
    /// The full resolution.
    pub size: Size,
    /// What its pixels are in the written file: 8- or 16-bit grey, or 8-bit RGB.
    pub layout: PixelLayout,
    /// The channels in the order they are written; one for RGB.
    pub channels: Vec<BandChannel>,
    /// Focus positions, at least 1.
    pub z_count: u16,
    /// Time points, at least 1.
    pub t_count: u16,
    /// Micrometres a pixel, x and y.
    pub um_per_px: Option<[f64; 2]>,
    /// The objective's magnification.
    pub objective: Option<f64>,
    /// The side of a written tile: a multiple of 16. Bands are read in squares of twice this side.
    pub tile_side: u32,
}

impl BandImage {
    /// The planes in the order they are written: channels fastest, then focus positions, then times.
    pub fn planes(&self) -> Vec<BandPlane> {
        let zt = (0..self.t_count).flat_map(|t| (0..self.z_count).map(move |z| (z, t)));
        zt.flat_map(|(z, t)| (0..self.channels.len() as u16).map(move |channel| BandPlane { channel, z, t })).collect()
    }
}

/// One plane of what is written. All count from 0 in the order of [`BandImage`], whatever their numbers in the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct BandPlane {
    /// Index into [`BandImage::channels`].
    pub channel: u16,
    /// Focus position.
    pub z: u16,
    /// Time point.
    pub t: u16,
}

/// How much of a band holds pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Covered {
    /// All of it; the mask was left alone.
    Whole,
    /// Some of it: the mask tells which.
    Partly,
    /// Nothing; the pixels are the background, and the mask was left alone.
    Nothing,
}

/// What an image is read from, piece by piece, by several workers at once.
pub trait BandSource: Sync {
    /// What is written.
    fn image(&self) -> &BandImage;

    /// Parts of bands that could not be read so far and were left empty; 0 where reading one fails instead.
    fn unreadable_parts(&self) -> u64 {
        0
    }

    /// Reads a rectangle of a plane of the full resolution, at most twice [`BandImage::tile_side`] a side, its corner at
    /// multiples of that.
    ///
    /// `pixels` takes rows of exactly `band.width` pixels, without padding, samples in the machine's byte order, signed
    /// ones shifted to start at zero as tiles of the store are. `mask` takes one byte a pixel, zero where there is
    /// nothing; what it holds before is unspecified.
    ///
    /// Fails where a part cannot be read, because a hole would look like data.
    fn read_band(
        &self,
        plane: BandPlane,
        band: PixelRect,
        pixels: &mut [u8],
        mask: &mut [u8],
        cancel: &Cancel,
    ) -> Result<Covered>;
}
