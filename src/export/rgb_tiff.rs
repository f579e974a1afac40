//! RGB pictures as tiled TIFF files, row by row.

use super::jpeg::RowSink;
use super::square::cut;
use super::tiff_plan::{TiffPage, TiffPlan};
use super::tiff_writer::TiledTiffWriter;
use super::tile_encoder::TileEncoder;
use crate::error::{Error, Result};
use crate::geom::Size;
use crate::store::Destination;

/// Writes a picture, which appears once it is whole. `paint` is given a sink for all its rows; `tile_row` holds
/// as many rows as a tile has.
pub fn write_rgb_tiff<'a>(
    to: impl Into<Destination<'a>>,
    page: &TiffPage,
    tile_row: &mut [u8],
    paint: &mut dyn FnMut(&mut RowSink<'_>) -> Result<()>,
) -> Result<()> {
    let to = to.into();
    let path = to.path;
    let mut plan = TiffPlan::default();
    let id = plan.add_page(page.clone());
    let mut writer = TiledTiffWriter::create(to, &plan)?;
    let mut encoder = TileEncoder::new(page.compression, page.layout, page.tile_side, path)?;
    let (side, bpp) = (page.tile_side, page.layout.bytes_per_px());
    let mut tile = vec![0; page.layout.tile_bytes(side)];
    let row_bytes = page.size.width as usize * bpp;
    let mut at = 0;
    paint(&mut |rows| {
        for row in rows.chunks_exact(row_bytes) {
            if at >= page.size.height {
                return Err(Error::format("a picture has more rows than it should", path));
            }
            let in_tile = at % side;
            tile_row[in_tile as usize * row_bytes..][..row_bytes].copy_from_slice(row);
            at += 1;
            if at % side != 0 && at < page.size.height {
                continue;
            }
            for x in 0..page.tiles().width {
                let valid = Size::new((page.size.width - x * side).min(side), in_tile + 1);
                cut(&tile_row[(x * side) as usize * bpp..], row_bytes, valid, &mut tile, side, bpp);
                writer.write_tile(id, x, (at - 1) / side, &encoder.encode(&tile, path)?)?;
            }
        }
        Ok(())
    })?;
    writer.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::{PixelLayout, TileCompression};
    use crate::pixels::TileFormat;

    #[test]
    fn rows_in_any_pieces_become_the_picture() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.tif");
        let size = Size::new(301, 303);
        let pixels: Vec<u8> = (0..size.area() * 3).map(|n| (n * n % 251) as u8).collect();
        let page = TiffPage {
            size,
            tile_side: 128,
            layout: PixelLayout::of(TileFormat::Rgb8),
            compression: TileCompression::None,
            um_per_px: None,
            description: None,
        };
        for rows_at_once in [1, 7, 128, 303] {
            let mut tile_row = vec![0; 128 * 301 * 3];
            let mut paint = |sink: &mut RowSink<'_>| pixels.chunks(301 * 3 * rows_at_once).try_for_each(&mut *sink);
            write_rgb_tiff(Destination::replacing(&path), &page, &mut tile_row, &mut paint).expect("written");
            let file = std::fs::File::open(&path).expect("there");
            let read = tiff::decoder::Decoder::new(file).and_then(|mut d| d.read_image()).expect("a TIFF");
            let tiff::decoder::DecodingResult::U8(got) = read else { panic!("another sample type") };
            assert!(got == pixels, "{rows_at_once} at once");
        }
    }
}
