//! How large a file will be, and whether the disk has room for it.

use super::build::level_sizes;
use super::{OmeTiffOptions, tile_format, worst_bytes};
use crate::error::{Error, Result};
use crate::export::band_source::BandSource;
use crate::export::layout::SampleKind;
use crate::export::square::cut;
use crate::export::tile_encoder::{TileCompression, TileEncoder};
use crate::geom::{PixelRect, Size};
use crate::pyramid::Cancel;
use crate::store::{folder_of, free_disk_bytes};
use std::path::Path;

/// Places along each side of the image that are packed to see how small they get.
const SAMPLES_A_SIDE: u32 = 3;

/// How large a file will be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Estimate {
    /// What to expect; exact where nothing is packed.
    pub bytes: u64,
    /// The most that it can be.
    pub worst_bytes: u64,
}

/// Says how large the file will be, from a few places of the first plane that are read and packed.
///
/// A part that cannot be read is left out of the estimate; the export says so when it comes to it.
pub fn estimate(source: &dyn BandSource, options: &OmeTiffOptions, path: &Path, cancel: &Cancel) -> Result<Estimate> {
    let image = source.image();
    let format = tile_format(image, path)?;
    let worst_bytes = worst_bytes(image, options);
    if options.compression == TileCompression::None {
        return Ok(Estimate { bytes: worst_bytes, worst_bytes });
    }
    let (side, bpp) = (image.tile_side, format.bytes_per_px());
    let mut encoder = TileEncoder::new(options.compression, image.layout, side, path)?;
    let (mut pixels, mut mask) = (Vec::new(), Vec::new());
    let mut square = vec![0; format.tile_bytes(side)];
    let (mut packed_bytes, mut packed_tiles) = (0_u64, 0_u64);
    let planes = image.planes();
    for (row, column) in (0..SAMPLES_A_SIDE).flat_map(|row| (0..SAMPLES_A_SIDE).map(move |column| (row, column))) {
        cancel.check()?;
        let units = |size: u32| size.div_ceil(2 * side);
        let at =
            |size: u32, n: u32| (u64::from(units(size)) * u64::from(2 * n + 1) / u64::from(2 * SAMPLES_A_SIDE)) as u32;
        let (x, y) = (at(image.size.width, column) * 2 * side, at(image.size.height, row) * 2 * side);
        let band = PixelRect::new(x, y, 2 * side, 2 * side).intersect(image.size.rect());
        pixels.resize(band.size().area() as usize * bpp, 0);
        mask.resize(band.size().area() as usize, 0);
        let plane = planes[(row * SAMPLES_A_SIDE + column) as usize % planes.len()];
        match source.read_band(plane, band, &mut pixels, &mut mask, cancel) {
            Ok(_) => {}
            Err(Error::Format { .. }) => continue,
            Err(error) => return Err(error),
        }
        let stride = band.width as usize * bpp;
        for (dy, dx) in [(0, 0), (0, side), (side, 0), (side, side)] {
            if dx >= band.width || dy >= band.height {
                continue;
            }
            let valid = Size::new((band.width - dx).min(side), (band.height - dy).min(side));
            cut(&pixels[dy as usize * stride + dx as usize * bpp..], stride, valid, &mut square, side, bpp);
            if image.layout.kind == SampleKind::Signed && image.layout.bits == 8 {
                square.iter_mut().for_each(|v| *v ^= 0x80);
            }
            packed_bytes += encoder.encode(&square, path)?.len() as u64;
            packed_tiles += 1;
        }
    }
    if packed_tiles == 0 {
        return Ok(Estimate { bytes: worst_bytes, worst_bytes });
    }
    let levels = level_sizes(image.size, side);
    let tiles = |size: &Size| u64::from(size.width.div_ceil(side)) * u64::from(size.height.div_ceil(side));
    let all = levels.iter().map(tiles).sum::<u64>() * planes.len() as u64;
    let bytes = (packed_bytes as f64 / packed_tiles as f64 * all as f64) as u64;
    Ok(Estimate { bytes: bytes.min(worst_bytes), worst_bytes })
}

/// Fails with the missing room where the disk that will hold `path` does not have so many bytes free.
pub fn check_room(path: &Path, bytes: u64) -> Result<()> {
    let free_bytes = free_disk_bytes(folder_of(path))?;
    if bytes > free_bytes {
        return Err(Error::StorageFull { needed_bytes: bytes - free_bytes, path: path.to_owned() });
    }
    Ok(())
}
