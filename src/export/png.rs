//! RGB pictures as PNG, row by row.

use crate::error::{Error, Result};
use crate::geom::Size;
use crate::store::{Destination, WholeFile};
use parking_lot::Mutex;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// PNG counts by the metre.
const METRES_PER_INCH: f64 = 0.0254;

/// Writes a picture; it appears under its name with [`PngWriter::finish`], and not at all otherwise.
pub struct PngWriter {
    rows: Rows<File>,
    whole: WholeFile,
}

impl PngWriter {
    /// Starts a picture; the folder must exist.
    ///
    /// `dpi` notes dots an inch.
    pub fn create<'a>(to: impl Into<Destination<'a>>, size: Size, dpi: Option<f64>) -> Result<Self> {
        let to = to.into();
        let whole = WholeFile::create(to)?;
        let file = whole.file().try_clone().map_err(|e| Error::io("cannot write", e, to.path))?;
        Ok(Self { rows: Rows::new(file, size, dpi, to.path)?, whole })
    }

    /// Appends whole rows of interleaved RGB.
    pub fn write_rows(&mut self, rgb: &[u8]) -> Result<()> {
        self.rows.write(rgb)
    }

    /// Ends the picture, waits for the disk and gives the file its name.
    pub fn finish(self) -> Result<()> {
        self.rows.finish()?;
        self.whole.publish()
    }
}

/// A picture that is packed into a file.
struct Rows<W: Write + 'static> {
    encoder: png::StreamWriter<'static, Watched<W>>,
    file: Watched<W>,
    path: PathBuf,
}

impl<W: Write + 'static> Rows<W> {
    fn new(file: W, size: Size, dpi: Option<f64>, path: &Path) -> Result<Self> {
        let file = Watched(Arc::new(Mutex::new(Held { file: BufWriter::new(file), refusal: None })));
        let mut encoder = png::Encoder::new(file.clone(), size.width, size.height);
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
        let begun = encoder.write_header().and_then(png::Writer::into_stream_writer);
        Ok(Self { encoder: begun.map_err(|e| file.reason(e, path))?, file, path: path.to_owned() })
    }

    fn write(&mut self, rgb: &[u8]) -> Result<()> {
        self.encoder.write_all(rgb).map_err(|e| self.file.reason(e.into(), &self.path))
    }

    /// Writes the end. The encoder writes the last of it as it goes, when it can report nothing: what was refused then is
    /// known here.
    fn finish(self) -> Result<()> {
        let Self { encoder, mut file, path } = self;
        encoder.finish().map_err(|e| file.reason(e, &path))?;
        let flushed = file.flush();
        match file.0.lock().refusal.take() {
            Some(error) => Err(Error::io("cannot write", error, &path)),
            None => flushed.map_err(|e| Error::io("cannot write", e, &path)),
        }
    }
}

/// A file whose first refusal is remembered, because the encoder passes on its words at best and a full disk is to be told
/// from other reasons. Nothing is written after it.
struct Watched<W: Write>(Arc<Mutex<Held<W>>>);

struct Held<W: Write> {
    file: BufWriter<W>,
    refusal: Option<io::Error>,
}

impl<W: Write> Clone for Watched<W> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<W: Write> Watched<W> {
    /// Why writing failed.
    fn reason(&self, error: png::EncodingError, path: &Path) -> Error {
        match (self.0.lock().refusal.take(), error) {
            (Some(refusal), _) | (None, png::EncodingError::IoError(refusal)) => {
                Error::io("cannot write", refusal, path)
            }
            (None, error) => Error::format(format!("cannot write PNG: {error}"), path),
        }
    }

    fn watch<T>(&self, act: impl FnOnce(&mut BufWriter<W>) -> io::Result<T>) -> io::Result<T> {
        let Held { file, refusal } = &mut *self.0.lock();
        if let Some(error) = refusal {
            return Err(error.kind().into());
        }
        act(file).map_err(|error| {
            let kind = error.kind();
            // What was interrupted is tried again.
            if kind == io::ErrorKind::Interrupted {
                return error;
            }
            *refusal = Some(error);
            kind.into()
        })
    }
}

impl<W: Write> Write for Watched<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.watch(|file| file.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.watch(BufWriter::flush)
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

    /// A disk with so much room; what it refuses with has no number of the system's.
    struct Room(usize);

    impl Write for Room {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = bytes.len().min(self.0);
            self.0 -= taken;
            if taken == 0 && !bytes.is_empty() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(taken) }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_picture_that_lacks_room_for_any_of_its_bytes_is_an_error() {
        const SIZE: Size = Size::new(97, 61);
        let pixels: Vec<u8> = (0..97_u32 * 61 * 3).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.png");
        let mut writer = PngWriter::create(&path, SIZE, None).expect("created");
        writer.write_rows(&pixels).and_then(|()| writer.finish()).expect("written");
        let whole = std::fs::metadata(&path).expect("there").len() as usize;
        let write_to = |room: usize| {
            let mut rows = Rows::new(Room(room), SIZE, None, &path)?;
            rows.write(&pixels)?;
            rows.finish()
        };
        write_to(whole).expect("it fits");
        for room in 0..whole {
            let error = write_to(room).expect_err("it does not fit");
            assert!(matches!(error, Error::StorageFull { .. }), "{room} of {whole}: {error}");
        }
    }
}
