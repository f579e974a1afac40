//! What can be opened: a table of formats, each with a way to recognise it and a way to open it.
//!
//! A format turns a path into a [`Source`]: it reads headers when it is opened and pixels when it is asked for tiles.
//! Nothing is mapped, and every size that a file claims is checked before memory is taken for it.

mod blocks;
mod chunks;
mod jpeg2000;
mod picture;
mod source_file;
mod survey;
mod tiff;
mod units;

pub use source_file::DECODER_EPOCH;
pub use survey::{PlaneNote, StagePlace, StageUnit, Survey, Surveyed, SurveyedImage};

use crate::error::{Error, Result};
use crate::pyramid::{ImageInfo, Source};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

/// Bytes at a file's beginning that formats recognise it by.
const HEAD_BYTES: u64 = 1024;

/// Something that was opened.
pub struct Opened {
    /// The format in words, "Aperio SVS".
    pub format: String,
    /// Its images and associated pictures.
    pub source: Arc<dyn Source>,
    /// Metadata as flat text; names of people may be among it, so exports choose what they take.
    pub metadata: BTreeMap<String, String>,
    /// What the user should know about the file, one line each.
    pub warnings: Vec<String>,
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opened").field("format", &self.format).field("warnings", &self.warnings).finish_non_exhaustive()
    }
}

/// One format family.
pub struct Format {
    /// Its name for file dialogs.
    pub name: &'static str,
    /// The endings of its files' names, in small letters, without the dot.
    pub extensions: &'static [&'static str],
    /// Whether a file that begins like this is of the family.
    pub detect: fn(&[u8], &Path) -> bool,
    /// Opens a file.
    pub open: fn(&Path) -> Result<Opened>,
}

/// All formats; the first that recognises a file opens it.
pub const FORMATS: &[Format] = &[
    Format {
        name: "TIFF, OME-TIFF, SVS, QPTIFF",
        extensions: &["tif", "tiff", "svs", "qptiff", "btf", "tf8", "ndpi", "scn", "bif"],
        detect: tiff::detect,
        open: tiff::open,
    },
    Format { name: "OME-TIFF set", extensions: &["ome"], detect: tiff::detect_companion, open: tiff::open_companion },
    Format { name: "PNG", extensions: &["png"], detect: picture::detect_png, open: picture::open },
    Format { name: "JPEG", extensions: &["jpg", "jpeg", "jfif"], detect: picture::detect_jpeg, open: picture::open },
    Format { name: "BMP", extensions: &["bmp"], detect: picture::detect_bmp, open: picture::open },
    Format { name: "WebP", extensions: &["webp"], detect: picture::detect_webp, open: picture::open },
    Format {
        name: "JPEG 2000",
        extensions: &["jp2", "j2k", "j2c", "jpc", "jpf", "jpx"],
        detect: jpeg2000::detect,
        open: jpeg2000::open,
    },
];

/// Opens a file: headers only.
pub fn open(path: &Path) -> Result<Opened> {
    let head = read_head(path)?;
    if head.is_empty() {
        return Err(Error::format("the file is empty", path));
    }
    match format_of(&head, path) {
        Some(format) => (format.open)(path),
        None => Err(Error::unsupported(unknown_words(&head), path)),
    }
}

/// Reads headers only, keeps nothing open, and says where the stage stood.
pub fn survey(path: &Path) -> Result<Surveyed> {
    let head = read_head(path)?;
    if tiff::detect(&head, path) {
        return tiff::survey(path);
    }
    Ok(Surveyed::Own(plain_survey(path, &head)?))
}

/// [`survey`] of a file together with those that share its description.
pub fn survey_set(path: &Path) -> Result<Survey> {
    let head = read_head(path)?;
    if tiff::detect(&head, path) || tiff::detect_companion(&head, path) {
        return tiff::survey_set(path);
    }
    plain_survey(path, &head)
}

/// The survey of a file that knows nothing of stages.
fn plain_survey(path: &Path, head: &[u8]) -> Result<Survey> {
    if head.is_empty() {
        return Err(Error::format("the file is empty", path));
    }
    let format = format_of(head, path).ok_or_else(|| Error::unsupported(unknown_words(head), path))?;
    let opened = (format.open)(path)?;
    let of = |info: &ImageInfo| SurveyedImage { info: info.clone(), stage: None, region: None, planes: Vec::new() };
    Ok(Survey { images: opened.source.images().iter().map(of).collect(), members: Vec::new() })
}

/// The format that recognises a file, by its content; nothing where none does or it cannot be read.
pub fn recognise(path: &Path) -> Option<&'static Format> {
    let head = read_head(path).ok()?;
    format_of(&head, path)
}

fn format_of(head: &[u8], path: &Path) -> Option<&'static Format> {
    FORMATS.iter().find(|f| (f.detect)(head, path))
}

fn read_head(path: &Path) -> Result<Vec<u8>> {
    let file = File::open(path).map_err(|e| Error::io("cannot open", e, path))?;
    let mut head = Vec::new();
    file.take(HEAD_BYTES).read_to_end(&mut head).map_err(|e| Error::io("cannot read", e, path))?;
    Ok(head)
}

/// What a file is that no format recognises, if it can be told.
fn unknown_words(head: &[u8]) -> &'static str {
    match head {
        [b'Z', b'I', b'S', b'R', b'A', b'W', ..] => "Zeiss CZI files are not read yet",
        h if h.get(128..132) == Some(b"DICM") => "DICOM files are not read yet",
        _ => "this is not an image that Microtome reads",
    }
}
