//! A slide as it is exported: a region of some of its planes.

use super::band_source::{BandImage, BandPlane, BandSource, Covered};
use super::image_part::{ImagePart, TILE_SIDE};
use crate::error::{Error, Result};
use crate::geom::PixelRect;
use crate::pyramid::{Cancel, ImageInfo, Keep, Pyramid, TileKey};
use std::path::Path;

/// Tiles smaller than this are put together by fours.
const MIN_TILE_SIDE: u32 = 192;

/// A region of a slide, read tile by tile through its pyramid.
pub struct SlideBands<'a> {
    pyramid: &'a Pyramid,
    info: &'a ImageInfo,
    what: ImagePart,
    image: BandImage,
    /// The bytes of a pixel.
    bytes_per_px: usize,
    /// Tiles that lie in several bands are kept, so that they are decoded once.
    keep: Keep,
}

impl<'a> SlideBands<'a> {
    /// Fails where the region or a channel is not there, where the channels are of several kinds, and for samples wider
    /// than 16 bits, which are kept as a preview only. `um_per_px` is the file's, or what the user set.
    pub fn new(pyramid: &'a Pyramid, what: ImagePart, um_per_px: Option<[f64; 2]>, path: &Path) -> Result<Self> {
        let info = pyramid.image(what.field).ok_or_else(|| Error::unsupported("there is no such image", path))?;
        let mut image = what.band_image(info, um_per_px, path)?;
        let what = ImagePart { region: what.region.intersect(info.size.rect()), ..what };
        let starts_on_tiles =
            what.region.x.is_multiple_of(info.tile_side) && what.region.y.is_multiple_of(info.tile_side);
        if starts_on_tiles {
            image.tile_side = written_tile_side(info.tile_side);
        }
        let bytes_per_px = image.layout.bytes_per_px();
        let keep = if starts_on_tiles { Keep::IfDecodedWithOthers } else { Keep::Always };
        Ok(Self { pyramid, info, what, image, bytes_per_px, keep })
    }
}

/// The side of written tiles so that bands begin and end where the source's tiles do and no tile is decoded twice.
fn written_tile_side(side: u32) -> u32 {
    match side {
        512 => TILE_SIDE,
        side if side < MIN_TILE_SIDE => 2 * side,
        side => side,
    }
}

impl BandSource for SlideBands<'_> {
    fn image(&self) -> &BandImage {
        &self.image
    }

    fn read_band(
        &self,
        plane: BandPlane,
        band: PixelRect,
        pixels: &mut [u8],
        _mask: &mut [u8],
        cancel: &Cancel,
    ) -> Result<Covered> {
        let plane = self.what.plane(plane);
        let (side, bpp) = (self.info.tile_side, self.bytes_per_px);
        let rect = PixelRect { x: band.x + self.what.region.x, y: band.y + self.what.region.y, ..band };
        for ty in rect.y / side..=(rect.bottom() - 1) / side {
            for tx in rect.x / side..=(rect.right() - 1) / side {
                let key = TileKey { plane, level: 0, x: tx, y: ty };
                let tile = self.info.tile_rect(key);
                let part = tile.intersect(rect);
                self.pyramid.visit_tile(key, self.keep, cancel, &mut |bytes| {
                    for y in part.y..part.bottom() {
                        let from = ((y - tile.y) * side + part.x - tile.x) as usize * bpp;
                        let to = ((y - rect.y) * rect.width + part.x - rect.x) as usize * bpp;
                        let count = part.width as usize * bpp;
                        pixels[to..to + count].copy_from_slice(&bytes[from..from + count]);
                    }
                })?;
            }
        }
        Ok(Covered::Whole)
    }
}
