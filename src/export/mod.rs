//! Writing images: to a temporary file beside the target, renamed once it is whole.

mod band_source;
mod image_part;
mod jpeg;
mod layout;
mod mosaic_bands;
mod ome_tiff;
mod ome_xml;
mod original;
mod png;
mod raw;
mod raw_bands;
mod rgb_tiff;
mod slide_bands;
mod square;
mod tiff_plan;
mod tiff_writer;
mod tile_encoder;

pub use band_source::{BandChannel, BandImage, BandPlane, BandSource, Covered};
pub use image_part::ImagePart;
pub use jpeg::{RowSink, write_jpeg};
pub use layout::{PixelLayout, SampleKind};
pub use mosaic_bands::MosaicBands;
pub use ome_tiff::{Estimate, OmeTiffOptions, Written, check_room, estimate, worst_bytes, write_ome_tiff};
pub use ome_xml::{OmeImage, ome_xml, ome_xml_at_stage};
pub use original::{Original, OriginalPicture};
pub use png::PngWriter;
pub use raw::{RawExport, export_raw};
pub use raw_bands::write_raw_bands;
pub use rgb_tiff::write_rgb_tiff;
pub use slide_bands::SlideBands;
pub use square::repeat_edges;
pub use tiff_plan::{PageId, TiffPage, TiffPlan};
pub use tiff_writer::TiledTiffWriter;
pub use tile_encoder::{TileCompression, TileEncoder};

use crate::error::{Error, Result};
use std::ffi::OsStr;
use std::path::Path;
use tempfile::NamedTempFile;

/// How the names of temporary files begin and end.
const TEMPORARY_PREFIX: &str = ".microtome-";
const TEMPORARY_SUFFIX: &str = ".part";

/// The folder that a file lies in.
fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A file beside `path` that will become it; it goes when it is dropped.
///
/// It is locked while it lives, so that one which a killed program left behind is told from one that is being written.
fn temporary_beside(path: &Path) -> Result<NamedTempFile> {
    sweep_beside(path);
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMPORARY_PREFIX).suffix(TEMPORARY_SUFFIX);
    // A temporary file is for the user's eyes only; what becomes of this one gets the usual rights.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    loop {
        let temporary = builder.tempfile_in(folder_of(path)).map_err(|e| Error::io("cannot write here", e, path))?;
        if let Err(error) = temporary.as_file().lock() {
            // Where nothing can be locked, nothing is swept either.
            tracing::debug!("a temporary file is not locked: {error}");
        }
        // Another program may have swept it in the moment before it was locked.
        if temporary.path().exists() {
            return Ok(temporary);
        }
    }
}

/// Removes temporary files beside `path` that a killed program left behind.
fn sweep_beside(path: &Path) {
    // What cannot be looked at is left alone: writing says in time what is wrong with the folder.
    let Ok(entries) = std::fs::read_dir(folder_of(path)) else { return };
    for entry in entries.flatten() {
        if !is_temporary(&entry.file_name()) {
            continue;
        }
        // Opened for writing: some systems lock for nothing less.
        let Ok(file) = std::fs::OpenOptions::new().write(true).open(entry.path()) else { continue };
        if file.try_lock().is_ok()
            && let Err(error) = std::fs::remove_file(entry.path())
        {
            tracing::debug!("a temporary file that was left behind stays: {error}");
        }
    }
}

fn is_temporary(name: &OsStr) -> bool {
    name.to_str().is_some_and(|name| name.starts_with(TEMPORARY_PREFIX) && name.ends_with(TEMPORARY_SUFFIX))
}

/// Waits for the disk and gives the finished file its name.
fn keep_temporary(temporary: NamedTempFile, path: &Path) -> Result<()> {
    temporary.as_file().sync_all().map_err(|e| Error::io("cannot write", e, path))?;
    temporary.persist(path).map_err(|e| Error::io("cannot give the finished file its name", e.error, path))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_program_left_is_swept_and_what_another_writes_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.tif");
        let left = folder.path().join(".microtome-left.part");
        let others = folder.path().join("microtome.part");
        std::fs::write(&left, "half").expect("written");
        std::fs::write(&others, "not ours").expect("written");
        let first = temporary_beside(&path).expect("a file");
        assert!(!left.exists() && others.exists());
        let second = temporary_beside(&path).expect("another file");
        assert!(first.path().exists() && second.path().exists());
    }
}
