//! A mosaic as it is exported: its fields put together, band by band.

use super::band_source::{BandImage, BandPlane, BandSource, Covered};
use super::image_part::ImagePart;
use crate::error::Result;
use crate::geom::PixelRect;
use crate::mosaic::Fuser;
use crate::pyramid::{Cancel, ImageInfo};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// A region of a mosaic.
///
/// What no field covers is zero. So is what a field has and that cannot be read: see [`Self::unreadable_parts`].
pub struct MosaicBands<'a> {
    fuser: Fuser<'a>,
    what: ImagePart,
    image: BandImage,
    unreadable: AtomicU64,
}

impl<'a> MosaicBands<'a> {
    /// `info` describes the mosaic as one image ([`crate::mosaic::Geometry::image_info`]); a whole export takes the
    /// geometry's extent as its region. Fails like [`super::SlideBands::new`].
    pub fn new(
        fuser: Fuser<'a>,
        info: &ImageInfo,
        what: ImagePart,
        um_per_px: Option<[f64; 2]>,
        path: &Path,
    ) -> Result<Self> {
        let image = what.band_image(info, um_per_px, path)?;
        let what = ImagePart { region: what.region.intersect(info.size.rect()), ..what };
        Ok(Self { fuser, what, image, unreadable: AtomicU64::new(0) })
    }
}

impl BandSource for MosaicBands<'_> {
    fn image(&self) -> &BandImage {
        &self.image
    }

    fn unreadable_parts(&self) -> u64 {
        self.unreadable.load(Ordering::Relaxed)
    }

    fn read_band(
        &self,
        plane: BandPlane,
        band: PixelRect,
        pixels: &mut [u8],
        mask: &mut [u8],
        cancel: &Cancel,
    ) -> Result<Covered> {
        let rect = PixelRect { x: band.x + self.what.region.x, y: band.y + self.what.region.y, ..band };
        let fused = self.fuser.band(self.what.plane(plane), rect, cancel)?;
        self.unreadable.fetch_add(fused.holes.len() as u64, Ordering::Relaxed);
        pixels.copy_from_slice(&fused.bytes);
        mask.copy_from_slice(&fused.covered);
        let covered = mask.iter().filter(|&&c| c != 0).count();
        Ok(match covered {
            0 => Covered::Nothing,
            n if n == mask.len() => Covered::Whole,
            _ => Covered::Partly,
        })
    }
}
