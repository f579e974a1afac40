//! From what the user dropped, a file or a folder, to what is to be opened.

mod field_set;

pub use field_set::{
    Corner, FieldChannel, FieldPlace, FieldPlane, FieldSet, FirstAlong, GridLayout, GridOrder, Layout, LeftOut, ScanPath,
};

use crate::error::{Error, Result};
use crate::formats;
use std::path::{Path, PathBuf};

/// Files of one folder that are looked at.
const MAX_FOLDER_FILES: usize = 100_000;

/// What a path stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// One image file.
    File(PathBuf),
    /// Image files of a folder that belong to no mosaic, by name; each is opened as an image set of its own.
    Files(Vec<PathBuf>),
}

impl Selection {
    /// The paths to open, in order.
    pub fn paths(&self) -> &[PathBuf] {
        match self {
            Self::File(path) => std::slice::from_ref(path),
            Self::Files(paths) => paths,
        }
    }
}

/// Finds out what a path stands for.
///
/// Fails where there is nothing at the path, and for a folder without a single readable image.
pub fn resolve(path: &Path) -> Result<Selection> {
    let meta = std::fs::metadata(path).map_err(|e| Error::io("cannot open", e, path))?;
    if !meta.is_dir() {
        return Ok(Selection::File(path.to_owned()));
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(path).map_err(|e| Error::io("cannot list the folder", e, path))? {
        let entry = entry.map_err(|e| Error::io("cannot list the folder", e, path))?;
        if !is_clutter(&entry.file_name().to_string_lossy()) && entry.path().is_file() {
            files.push(entry.path());
        }
        if files.len() > MAX_FOLDER_FILES {
            return Err(Error::too_large(format!("more than {MAX_FOLDER_FILES} files in one folder"), path));
        }
    }
    files.sort();
    files.retain(|file| formats::recognise(file).is_some());
    if files.is_empty() {
        return Err(Error::unsupported("there is no image in this folder that Microtome reads", path));
    }
    Ok(Selection::Files(files))
}

/// Whether a file is one that systems leave in folders, or hidden.
fn is_clutter(name: &str) -> bool {
    name.starts_with('.') || ["thumbs.db", "desktop.ini"].contains(&name.to_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_gives_its_images_by_name_and_leaves_clutter_out() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let tiff = b"II*\0\x08\0\0\0\0\0";
        for name in ["b.tif", "a.tif", "._a.tif", ".hidden.tif", "Thumbs.db"] {
            std::fs::write(dir.path().join(name), tiff).expect("written");
        }
        std::fs::write(dir.path().join("notes.txt"), "no image").expect("written");
        let found = resolve(dir.path()).expect("resolved");
        let names: Vec<_> = found.paths().iter().filter_map(|p| p.file_name()).collect();
        assert_eq!(names, ["a.tif", "b.tif"]);
    }

    #[test]
    fn an_empty_folder_and_a_missing_path_are_errors_in_words() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        assert!(resolve(dir.path()).is_err());
        assert!(resolve(&dir.path().join("nothing")).is_err());
        let file = dir.path().join("x");
        std::fs::write(&file, "x").expect("written");
        assert_eq!(resolve(&file).expect("a file"), Selection::File(file));
    }
}
