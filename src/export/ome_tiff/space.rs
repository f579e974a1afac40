//! How large a file will be, and whether the disk has room for it.

use super::build::level_sizes;
use super::{OmeTiffOptions, tile_format, worst_bytes};
use crate::error::{Error, Result};
use crate::export::band_source::BandSource;
use crate::export::layout::SampleKind;
use crate::export::square::cut;
use crate::export::tile_encoder::{TileCompression, TileEncoder};
use crate::geom::PixelRect;
use crate::pyramid::Cancel;
use crate::store::{folder_of, free_disk_bytes};
use std::path::Path;

/// Tiles along each side of the image that are packed to see how small they get: enough that tissue, what is around it and
/// the edges of the image all have their share. Each is read and packed, which takes some milliseconds.
const PLACES_A_SIDE: u32 = 8;

/// How large a file will be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Estimate {
    /// What to expect; exact where nothing is packed.
    pub bytes: u64,
    /// The most that it can be.
    pub worst_bytes: u64,
}

/// Says how large the file will be, from a few tiles that are read and packed, all planes taking turns.
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
    let (mut packed_bytes, mut packed_px) = (0_u64, 0_u64);
    let planes = image.planes();
    // Of a small image a ninth is enough: an export that is quick anyway is not to wait for this.
    let places = |size: u32| size.div_ceil(side).div_ceil(3).min(PLACES_A_SIDE);
    let (across, down) = (places(image.size.width), places(image.size.height));
    let places = (0..down).flat_map(|row| (0..across).map(move |column| (row, column)));
    for (n, (row, column)) in places.enumerate() {
        cancel.check()?;
        let at = |size: u32, n: u32, places: u32| {
            (u64::from(size.div_ceil(side)) * u64::from(2 * n + 1) / u64::from(2 * places)) as u32 * side
        };
        let (x, y) = (at(image.size.width, column, across), at(image.size.height, row, down));
        let band = PixelRect::new(x, y, side, side).intersect(image.size.rect());
        pixels.resize(band.size().area() as usize * bpp, 0);
        mask.resize(band.size().area() as usize, 0);
        // One after the other; each round begins one further on, so that it is not the same planes that meet the same columns.
        let plane = planes[(n + n / planes.len()) % planes.len()];
        match source.read_band(plane, band, &mut pixels, &mut mask, cancel) {
            Ok(_) => {}
            Err(Error::Format { .. }) => continue,
            Err(error) => return Err(error),
        }
        cut(&pixels, band.width as usize * bpp, band.size(), &mut square, side, bpp);
        if image.layout.kind == SampleKind::Signed && image.layout.bits == 8 {
            square.iter_mut().for_each(|v| *v ^= 0x80);
        }
        packed_bytes += encoder.encode(&square, path)?.len() as u64;
        packed_px += band.size().area();
    }
    if packed_px == 0 {
        return Ok(Estimate { bytes: worst_bytes, worst_bytes });
    }
    // What fills the tiles at an edge repeats it and packs to nearly nothing: pixels count, not tiles.
    let all_px = level_sizes(image.size, side).iter().map(|size| size.area()).sum::<u64>() * planes.len() as u64;
    let bytes = (packed_bytes as f64 / packed_px as f64 * all_px as f64) as u64;
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
