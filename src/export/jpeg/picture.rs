//! RGB pictures as JPEG files, row by row.

use super::{EOI, JpegColor, JpegEncoder, SOI, Scan};
use crate::error::{Error, Result};
use crate::export::tile_encoder::TileCompression;
use crate::geom::Size;
use crate::store::{Destination, WholeFile};
use std::io::{BufWriter, Write as _};

/// JPEG counts pixels along a side in 16 bits.
const MAX_SIDE: u32 = 65_535;

/// The marker of the header that says how densely pixels are meant to lie.
const APP0: u8 = 0xe0;

/// Takes whole rows of interleaved RGB, top down.
pub type RowSink<'a> = dyn FnMut(&[u8]) -> Result<()> + 'a;

/// Writes a picture of a quality from 1 to 100, which appears once it is whole. `paint` is given a sink for all
/// its rows; `dpi` notes dots an inch.
pub fn write_jpeg<'a>(
    to: impl Into<Destination<'a>>,
    size: Size,
    quality: u8,
    dpi: Option<f64>,
    paint: &mut dyn FnMut(&mut RowSink<'_>) -> Result<()>,
) -> Result<()> {
    let to = to.into();
    let path = to.path;
    if size.width > MAX_SIDE || size.height > MAX_SIDE {
        let what = format!("a JPEG has at most {MAX_SIDE} pixels a side, choose a smaller scale or PNG or TIFF");
        return Err(Error::too_large(what, path));
    }
    let failed = |e| Error::io("cannot write", e, path);
    let whole = WholeFile::create(to)?;
    let mut file = BufWriter::new(whole.file());
    let color =
        if (TileCompression::Jpeg { quality }).chroma_step() == 1 { JpegColor::Full } else { JpegColor::Halved };
    let mut strips = Strips::new(size, JpegEncoder::new(quality, color));
    let mut packed = vec![0xff, SOI];
    push_density(dpi, &mut packed);
    strips.encoder.push_tables(&mut packed);
    strips.encoder.push_headers(size.width as u16, size.height as u16, &mut packed);
    let row_bytes = size.width as usize * 3;
    paint(&mut |rows| {
        for row in rows.chunks_exact(row_bytes) {
            strips.push_row(row, &mut packed);
            file.write_all(&packed).map_err(failed)?;
            packed.clear();
        }
        Ok(())
    })?;
    if strips.rows_missing > 0 {
        return Err(Error::format(format!("{} rows of a picture were not painted", strips.rows_missing), path));
    }
    strips.scan.bits.finish(&mut packed);
    packed.extend([0xff, EOI]);
    file.write_all(&packed).and_then(|()| file.flush()).map_err(failed)?;
    drop(file);
    whole.publish()
}

/// The header that most readers expect.
fn push_density(dpi: Option<f64>, out: &mut Vec<u8>) {
    // Without a unit the numbers say that pixels are square.
    let (unit, dots) = dpi.map_or((0, 1), |dpi| (1, dpi.round().clamp(1.0, 65_535.0) as u16));
    let [high, low] = dots.to_be_bytes();
    out.extend([0xff, APP0, 0, 16]);
    out.extend(b"JFIF\0");
    out.extend([1, 1, unit, high, low, high, low, 0, 0]);
}

/// Rows gathered to strips, their edges repeated to whole blocks.
struct Strips {
    encoder: JpegEncoder,
    scan: Scan,
    /// Columns with those beyond the edge.
    width: usize,
    rows: Vec<u8>,
    rows_missing: u32,
}

impl Strips {
    fn new(size: Size, encoder: JpegEncoder) -> Self {
        let width = (size.width as usize).next_multiple_of(encoder.color.block_side());
        Self { encoder, scan: Scan::default(), width, rows: Vec::new(), rows_missing: size.height }
    }

    /// Takes a row and packs a strip that is full with it; the last one is filled up with the last row.
    fn push_row(&mut self, row: &[u8], out: &mut Vec<u8>) {
        let strip_bytes = self.width * 3 * self.encoder.color.block_side();
        self.rows_missing = self.rows_missing.saturating_sub(1);
        loop {
            self.rows.extend_from_slice(row);
            let beyond = self.width - row.len() / 3;
            let last = [row[row.len() - 3], row[row.len() - 2], row[row.len() - 1]];
            (0..beyond).for_each(|_| self.rows.extend_from_slice(&last));
            if self.rows.len() == strip_bytes {
                self.encoder.encode_strip(&self.rows, self.width, &mut self.scan, out);
                self.rows.clear();
                return;
            }
            if self.rows_missing > 0 {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn rows_in_any_pieces_become_the_picture() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.jpg");
        for (size, quality) in [(Size::new(301, 203), 95), (Size::new(301, 203), 85), (Size::new(1, 1), 85)] {
            let places = (0..size.height).flat_map(|y| (0..size.width).map(move |x| (x, y)));
            let pixels: Vec<u8> = places.flat_map(|(x, y)| [x / 2, y, (x + y) / 3]).map(|value| value as u8).collect();
            let mut paint = |sink: &mut RowSink<'_>| {
                for rows in pixels.chunks(size.width as usize * 3 * 7) {
                    sink(rows)?;
                }
                Ok(())
            };
            write_jpeg(Destination::replacing(&path), size, quality, Some(300.0), &mut paint).expect("written");
            let got = image::open(&path).expect("a JPEG").into_rgb8();
            assert_eq!(got.dimensions(), (size.width, size.height));
            let off = got.iter().zip(&pixels).map(|(a, b)| u64::from(a.abs_diff(*b))).sum::<u64>() as f64;
            assert!(off / (pixels.len() as f64) < 2.0, "{size:?} {quality}: {off}");
            let bytes = std::fs::read(&path).expect("read");
            assert_eq!(bytes[13..18], [1, 1, 44, 1, 44], "300 dots an inch");
        }
    }

    #[test]
    fn a_painter_that_fails_or_stops_leaves_no_file_and_its_reason() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.jpg");
        let mut fails = |sink: &mut RowSink<'_>| {
            sink(&[0; 30])?;
            Err(Error::graphics("it failed"))
        };
        let error = write_jpeg(&path, Size::new(10, 5000), 80, None, &mut fails).expect_err("it fails");
        assert!(error.to_string().contains("it failed"), "{error}");
        let mut stops = |sink: &mut RowSink<'_>| sink(&[0; 30]);
        let error = write_jpeg(&path, Size::new(10, 5000), 80, None, &mut stops).expect_err("rows are missing");
        assert!(error.to_string().contains("4999 rows"), "{error}");
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0);
    }

    #[test]
    fn a_side_beyond_what_jpeg_counts_is_refused_in_words() {
        let path = Path::new("/nowhere/a.jpg");
        let error = write_jpeg(path, Size::new(65_536, 1), 80, None, &mut |_| Ok(())).expect_err("too wide");
        assert!(error.to_string().contains("65535 pixels a side"), "{error}");
    }
}
