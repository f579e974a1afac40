//! RGB pictures as PNG, row by row.

use crate::error::{Error, Result};
use crate::geom::Size;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};

/// PNG counts by the metre.
const METRES_PER_INCH: f64 = 0.0254;

/// Writes a picture; it appears under its name with [`PngWriter::finish`], and not at all otherwise.
pub struct PngWriter {
    rows: png::StreamWriter<'static, BufWriter<std::fs::File>>,
    temporary: tempfile::NamedTempFile,
    path: PathBuf,
}

impl PngWriter {
    /// Starts a picture that will be `path`; the folder must exist.
    ///
    /// `dpi` notes dots an inch.
    pub fn create(path: &Path, size: Size, dpi: Option<f64>) -> Result<Self> {
        let temporary = super::temporary_beside(path)?;
        let file = temporary.as_file().try_clone().map_err(|e| Error::io("cannot write", e, path))?;
        let mut encoder = png::Encoder::new(BufWriter::new(file), size.width, size.height);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_compression(png::Compression::Fast);
        if let Some(dpi) = dpi {
            let per_metre = (dpi / METRES_PER_INCH).round() as u32;
            encoder.set_pixel_dims(Some(png::PixelDimensions {
                xppu: per_metre,
                yppu: per_metre,
                unit: png::Unit::Meter,
            }));
        }
        let rows = encoder.write_header().and_then(png::Writer::into_stream_writer).map_err(|e| failed(e, path))?;
        Ok(Self { rows, temporary, path: path.to_owned() })
    }

    /// Appends whole rows of interleaved RGB.
    pub fn write_rows(&mut self, rgb: &[u8]) -> Result<()> {
        self.rows.write_all(rgb).map_err(|e| Error::io("cannot write", e, &self.path))
    }

    /// Ends the picture, waits for the disk and gives the file its name.
    pub fn finish(self) -> Result<()> {
        self.rows.finish().map_err(|e| failed(e, &self.path))?;
        super::keep_temporary(self.temporary, &self.path)
    }
}

fn failed(error: png::EncodingError, path: &Path) -> Error {
    match error {
        png::EncodingError::IoError(e) => Error::io("cannot write", e, path),
        e => Error::format(format!("cannot write PNG: {e}"), path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_written_in_bands_are_read_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.png");
        let pixels: Vec<u8> = (0..7 * 5 * 3).map(|i| (i * 37 % 256) as u8).collect();
        let mut writer = PngWriter::create(&path, Size::new(7, 5), None).expect("created");
        writer.write_rows(&pixels[..7 * 3 * 2]).expect("two rows");
        assert!(!path.exists());
        writer.write_rows(&pixels[7 * 3 * 2..]).expect("three rows");
        writer.finish().expect("finished");
        assert_eq!(image::open(&path).expect("a PNG").into_rgb8().into_raw(), pixels);
    }

    #[test]
    fn a_picture_that_lacks_rows_is_an_error_and_leaves_no_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.png");
        let mut writer = PngWriter::create(&path, Size::new(7, 5), None).expect("created");
        writer.write_rows(&[0; 7 * 3]).expect("a row");
        assert!(writer.finish().is_err());
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0);
    }
}
