//! A region of anything that can be exported as a plain tiled TIFF for measurement: its samples, one page a plane.

use super::band_source::BandSource;
use super::layout::{PixelLayout, SampleKind};
use super::ome_xml::{OmeImage, ome_xml};
use super::square::cut;
use super::tiff_plan::{PageId, TiffPage, TiffPlan};
use super::tiff_writer::TiledTiffWriter;
use super::tile_encoder::{TileCompression, TileEncoder};
use crate::error::Result;
use crate::geom::PixelRect;
use crate::pyramid::Cancel;
use crate::store::Destination;

/// Writes the samples of a source, without reduced levels; the file appears once it is whole.
///
/// What nothing covers is zero. `progress` is told tiles done and in all.
pub fn write_raw_bands<'a>(
    source: &dyn BandSource,
    compression: TileCompression,
    to: impl Into<Destination<'a>>,
    progress: &mut dyn FnMut(u64, u64),
    cancel: &Cancel,
) -> Result<()> {
    let to = to.into();
    let path = to.path;
    let image = source.image();
    let (side, layout, bpp) = (image.tile_side, image.layout, image.layout.bytes_per_px());
    let channels: Vec<_> = image.channels.iter().map(|c| (c.name.as_str(), c.color)).collect();
    let mut description = Some(ome_xml(&OmeImage {
        name: "",
        size: image.size,
        layout,
        z_count: image.z_count,
        t_count: image.t_count,
        channels: &channels,
        um_per_px: image.um_per_px,
        objective: None,
    }));
    let planes = image.planes();
    let mut plan = TiffPlan::default();
    let pages: Vec<PageId> = planes
        .iter()
        .map(|_| {
            plan.add_page(TiffPage {
                size: image.size,
                tile_side: side,
                layout,
                compression,
                um_per_px: image.um_per_px,
                description: description.take(),
            })
        })
        .collect();
    let mut writer = TiledTiffWriter::create(to, &plan)?;
    let mut encoder = TileEncoder::new(compression, layout, side, path)?;
    // Bands are squares of two tiles a side.
    let band_side = 2 * side;
    let tiles = |length: u32| u64::from(length.div_ceil(side));
    let total = planes.len() as u64 * tiles(image.size.width) * tiles(image.size.height);
    let (mut pixels, mut mask, mut square) = (Vec::new(), Vec::new(), vec![0; layout.tile_bytes(side)]);
    let mut done = 0;
    for (&plane, &page) in planes.iter().zip(&pages) {
        for y in (0..image.size.height).step_by(band_side as usize) {
            for x in (0..image.size.width).step_by(band_side as usize) {
                cancel.check()?;
                let band = PixelRect::new(x, y, band_side, band_side).intersect(image.size.rect());
                pixels.clear();
                pixels.resize(band.size().area() as usize * bpp, 0);
                mask.resize(band.size().area() as usize, 0);
                source.read_band(plane, band, &mut pixels, &mut mask, cancel)?;
                from_zero(layout, &mut pixels);
                let stride = band.width as usize * bpp;
                for (dy, dx) in [(0, 0), (0, side), (side, 0), (side, side)] {
                    let part = PixelRect::new(x + dx, y + dy, side, side).intersect(band);
                    if part.is_empty() {
                        continue;
                    }
                    let from = dy as usize * stride + dx as usize * bpp;
                    cut(&pixels[from..], stride, part.size(), &mut square, side, bpp);
                    writer.write_tile(page, part.x / side, part.y / side, &encoder.encode(&square, path)?)?;
                    done += 1;
                    progress(done, total);
                }
            }
        }
    }
    cancel.check()?;
    writer.finish()
}

/// Signed samples come shifted to start at zero: shift them back.
fn from_zero(layout: PixelLayout, pixels: &mut [u8]) {
    match (layout.kind, layout.bits) {
        (SampleKind::Signed, 8) => pixels.iter_mut().for_each(|v| *v ^= 0x80),
        (SampleKind::Signed, 16) => pixels.chunks_exact_mut(2).for_each(|v| {
            let shifted = u16::from_ne_bytes([v[0], v[1]]) ^ 0x8000;
            v.copy_from_slice(&shifted.to_ne_bytes());
        }),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::band_source::{BandChannel, BandImage, BandPlane, Covered};
    use crate::geom::Size;

    /// A source whose samples say where they are.
    struct Places(BandImage);

    impl BandSource for Places {
        fn image(&self) -> &BandImage {
            &self.0
        }

        fn read_band(
            &self,
            plane: BandPlane,
            band: PixelRect,
            pixels: &mut [u8],
            _mask: &mut [u8],
            _cancel: &Cancel,
        ) -> Result<Covered> {
            let samples = (band.y..band.bottom()).flat_map(|y| (band.x..band.right()).map(move |x| (x, y)));
            for (to, (x, y)) in pixels.chunks_exact_mut(2).zip(samples) {
                to.copy_from_slice(&value(plane.channel, x, y).to_ne_bytes());
            }
            Ok(Covered::Whole)
        }
    }

    fn value(channel: u16, x: u32, y: u32) -> u16 {
        (y * 101 + x) as u16 ^ (channel << 14)
    }

    #[test]
    fn every_sample_of_every_plane_is_where_it_was() {
        let size = Size::new(101, 70);
        let channel = |name: &str| BandChannel { name: name.into(), color: None };
        let source = Places(BandImage {
            size,
            layout: PixelLayout { kind: SampleKind::Unsigned, bits: 16, samples: 1 },
            channels: vec![channel("A"), channel("B")],
            z_count: 1,
            t_count: 1,
            um_per_px: Some([0.5, 0.5]),
            objective: None,
            tile_side: 16,
        });
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("raw.tif");
        let mut seen = Vec::new();
        let mut progress = |done, total| seen.push((done, total));
        write_raw_bands(&source, TileCompression::None, &path, &mut progress, &Cancel::default()).expect("written");
        assert_eq!(seen.last(), Some(&(70, 70)), "2 planes of 7 x 5 tiles");
        let file = std::fs::File::open(&path).expect("there");
        let mut reader = tiff::decoder::Decoder::new(file).expect("a TIFF");
        for plane in 0..2 {
            assert_eq!(reader.dimensions().expect("a size"), (101, 70));
            let tiff::decoder::DecodingResult::U16(read) = reader.read_image().expect("pixels") else {
                panic!("16 bits");
            };
            let expected: Vec<u16> = (0..70).flat_map(|y| (0..101).map(move |x| value(plane, x, y))).collect();
            assert_eq!(read, expected);
            if plane == 0 {
                reader.next_image().expect("two pages");
            }
        }
    }
}
