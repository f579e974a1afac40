//! What a path stands for on the command line: one image set, or several that must be named.

use super::Context;
use crate::engine::Decided;
use crate::error::{Error, Result};
use crate::image_set::{Entry, FieldSet};
use std::path::Path;
use std::sync::Arc;

/// So many images are named in a refusal; the rest are counted.
const MAX_NAMED: usize = 12;

/// The one image set that a command works on. Fails, with their names, where there are several.
pub fn only(mut entries: Vec<Entry>, path: &Path) -> Result<Entry> {
    if entries.len() > 1 {
        return Err(Error::unsupported(several(&entries, path), path));
    }
    entries.pop().ok_or_else(|| Error::unsupported("there is no image in this folder", path))
}

/// What a path stands for that stands for several images, and how to name one of them.
fn several(entries: &[Entry], path: &Path) -> String {
    let mut names: Vec<String> = entries.iter().take(MAX_NAMED).map(|entry| name(entry, path)).collect();
    let first = names.first().cloned().unwrap_or_default();
    if entries.len() > names.len() {
        names.push(format!("{} more", entries.len() - names.len()));
    }
    let example = path.join(first);
    let (count, names) = (entries.len(), names.join(", "));
    format!("there are {count} images here ({names}), name one of them as in {}", example.display())
}

/// What an entry of a folder is called in it.
pub fn name(entry: &Entry, folder: &Path) -> String {
    let path = entry.path();
    let below = path.strip_prefix(folder).ok().filter(|below| !below.as_os_str().is_empty());
    below.unwrap_or(path).display().to_string()
}

/// A set of fields as its user decided about it; what cannot be used any more is told.
pub fn decided(context: &Context, fields: &Arc<FieldSet>) -> Decided {
    Decided::of(fields, &|name| context.config.saved_text(name), &|message| eprintln!("{message}"))
}
