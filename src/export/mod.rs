//! Writing images: to a temporary file beside the target, renamed once it is whole.

mod layout;
mod ome_xml;
mod png;
mod raw;
mod tiff_writer;
mod tile_encoder;

pub use layout::{PixelLayout, SampleKind};
pub use ome_xml::{OmeImage, ome_xml};
pub use png::PngWriter;
pub use raw::{RawExport, export_raw};
pub use tiff_writer::{PageId, TiffPage, TiledTiffWriter};
pub use tile_encoder::{TileCompression, TileEncoder};

use crate::error::{Error, Result};
use std::path::Path;
use tempfile::NamedTempFile;

/// A file beside `path` that will become it; it goes when it is dropped.
fn temporary_beside(path: &Path) -> Result<NamedTempFile> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(".microtome-").suffix(".part");
    // A temporary file is for the user's eyes only; what becomes of this one gets the usual rights.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder).map_err(|e| Error::io("cannot write here", e, path))
}

/// Waits for the disk and gives the finished file its name.
fn keep_temporary(temporary: NamedTempFile, path: &Path) -> Result<()> {
    temporary.as_file().sync_all().map_err(|e| Error::io("cannot write", e, path))?;
    temporary.persist(path).map_err(|e| Error::io("cannot give the finished file its name", e.error, path))?;
    Ok(())
}
