//! From what the user dropped, files or a folder, to what is to be opened: images, and sets of fields that are one mosaic.
//!
//! ```text
//! names --lexer--> parts --names--> families, tags --+
//! headers --candidate--> sizes, stage places --------+--recognise--> drafts --assemble--> FieldSet
//! TileConfiguration.txt, CSV, HTD, nd, index, notes ---+
//! ```
//!
//! Files become fields on positive evidence only; `names` states the rules for names, `recognise` the order of evidence.
//! Only headers are read.

mod apart;
mod assemble;
mod by_name;
mod candidate;
mod field_set;
mod fingerprint;
mod grid;
mod harmony;
mod lexer;
mod mask;
mod names;
mod ndtiff;
mod notes;
mod pattern;
mod plate;
pub mod positions;
mod recognise;
mod shots;
mod stage;
#[cfg(test)]
mod tests;

pub use field_set::{
    Corner, FieldChannel, FieldPlace, FieldPlane, FieldSet, FirstAlong, GridLayout, GridOrder, Layout, LeftOut,
    ScanPath,
};
pub use grid::{GAP_SHARE, cells_of_places};
pub use pattern::combine;

use crate::error::{Error, Result};
use crate::store::folder_of;
use recognise::Folder;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One thing to open.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry {
    /// A file that is an image, or a set of images, of its own.
    File(PathBuf),
    /// Fields that are one mosaic.
    Fields(Arc<FieldSet>),
}

impl Entry {
    /// The path that [`resolve`] finds it by.
    pub fn path(&self) -> &Path {
        match self {
            Self::File(path) => path,
            Self::Fields(set) => &set.path,
        }
    }
}

/// What paths stand for.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Resolved {
    /// What to open: mosaics first, then single images by name.
    pub entries: Vec<Entry>,
    /// Files that are part of nothing, with the reason. What a mosaic itself leaves out stands in [`FieldSet::left_out`].
    pub left_out: Vec<LeftOut>,
}

/// Finds out what a path stands for: a file, a folder, a mosaic inside a folder (`folder/B03`, which need not be a path on
/// disk), or a layout file, which stands for its folder.
///
/// Fails where there is nothing at the path, and for a folder without a single readable image.
pub fn resolve(path: &Path) -> Result<Resolved> {
    let meta = match std::fs::metadata(path) {
        Ok(meta) => meta,
        Err(error) => {
            // Below a file nothing can be, on disk; a mosaic of its fields can.
            let may_be_set = matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory);
            let set = if may_be_set { virtual_set(path) } else { None };
            return set.ok_or_else(|| Error::io("cannot open", error, path));
        }
    };
    if meta.is_dir() {
        return resolve_folder(path);
    }
    if is_layout_file(path) {
        return resolve_folder(folder_of(path));
    }
    // Only a file with several images can be more than itself.
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let resolved = Folder::new(path, candidate::survey(vec![(path.to_owned(), name)])).resolve();
    let is_mosaic = resolved.entries.iter().any(|e| matches!(e, Entry::Fields(_)));
    Ok(if is_mosaic { resolved } else { file(path) })
}

/// Finds out what several dropped paths stand for: files are looked at together, each folder for itself.
///
/// A path that leads nowhere, or that cannot be read, is left out with the reason. Fails where nothing is found.
pub fn resolve_files(paths: &[PathBuf]) -> Result<Resolved> {
    if let [path] = paths {
        return resolve(path);
    }
    let mut found = Resolved::default();
    let mut files = Vec::new();
    let mut first_error = None;
    for path in paths {
        if path.is_file() {
            files.push(path.clone());
        } else {
            match resolve(path) {
                Ok(of_folder) => {
                    found.entries.extend(of_folder.entries);
                    found.left_out.extend(of_folder.left_out);
                }
                Err(error) => {
                    found.left_out.push(LeftOut { path: path.clone(), reason: candidate::reason(&error) });
                    first_error.get_or_insert(error);
                }
            }
        }
    }
    files.sort();
    files.dedup();
    let of_files = Folder::new(common_folder(&files), candidate::survey(named(files.clone()))).resolve();
    found.entries.extend(of_files.entries);
    found.left_out.extend(of_files.left_out);
    match (first_error, paths.first()) {
        (Some(error), _) if found.entries.is_empty() => Err(error),
        (None, Some(first)) if found.entries.is_empty() => {
            Err(Error::unsupported("there is no image among these files that Microtome reads", first))
        }
        _ => Ok(found),
    }
}

fn resolve_folder(folder: &Path) -> Result<Resolved> {
    let candidate::Listing { files, clutter, unlisted, is_below } = candidate::list(folder)?;
    let mut resolved = Folder::new(folder, candidate::survey(files)).resolve();
    if is_below {
        // The folders in a folder are of interest where they make a mosaic; nobody asked for every image in them.
        resolved.entries.retain(|e| matches!(e, Entry::Fields(_)));
    }
    resolved.left_out.extend(clutter.into_iter().map(|path| LeftOut { path, reason: "a hidden file".into() }));
    resolved.left_out.extend(unlisted);
    if resolved.entries.is_empty() {
        return Err(Error::unsupported("there is no image in this folder that Microtome reads", folder));
    }
    Ok(resolved)
}

/// The mosaic that its folder, or its file, knows by this path.
fn virtual_set(path: &Path) -> Option<Resolved> {
    let parent = path.parent().filter(|p| p.exists())?;
    // Where even the parent is of no use, that the path is not there says it all.
    let entries = resolve(parent).ok()?.entries.into_iter().filter(|e| e.path() == path).collect::<Vec<_>>();
    (!entries.is_empty()).then_some(Resolved { entries, left_out: Vec::new() })
}

fn file(path: &Path) -> Resolved {
    Resolved { entries: vec![Entry::File(path.to_owned())], left_out: Vec::new() }
}

/// Whether a file says where the images beside it stand.
fn is_layout_file(path: &Path) -> bool {
    let ending = path.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default();
    match ending.as_str() {
        "htd" | "nd" => true,
        "txt" | "csv" | "tsv" => positions::read(path).is_ok(),
        _ => false,
    }
}

/// The folder that holds all files.
fn common_folder(files: &[PathBuf]) -> &Path {
    let parent = |f: &'_ PathBuf| f.parent().map(Path::to_owned);
    let first = files.first().and_then(|f| f.parent()).unwrap_or(Path::new("."));
    let holds_all = |folder: &&Path| files.iter().filter_map(parent).all(|p| p.starts_with(folder));
    first.ancestors().find(holds_all).unwrap_or(first)
}

/// Files with their names below their common folder.
fn named(files: Vec<PathBuf>) -> Vec<(PathBuf, String)> {
    let folder = common_folder(&files).to_owned();
    let name = |path: PathBuf| {
        let below = path.strip_prefix(&folder).unwrap_or(&path).to_string_lossy().replace('\\', "/");
        (path, below)
    };
    files.into_iter().map(name).collect()
}
