//! What a store remembers of its source: bytes that lie beside its slabs and are the caller's business.

use super::{Store, catalogue};
use crate::error::{Error, Result};
use std::io::Write as _;
use std::path::Path;

/// The file in a store's folder.
const FILE: &str = "source.json";

/// A larger record is not ours.
const MAX_BYTES: u64 = 64 << 20;

impl Store {
    /// What was remembered; `None` where nothing was, and for stores on the heap.
    pub fn record(&self) -> Option<Vec<u8>> {
        self.shared.folder_path().and_then(read)
    }

    /// Remembers something, whole or not at all.
    pub fn set_record(&self, bytes: &[u8]) -> Result<()> {
        let Some(folder) = self.shared.folder_path() else { return Ok(()) };
        let write = || -> std::io::Result<()> {
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            file.write_all(bytes)?;
            file.persist(folder.join(FILE))?;
            Ok(())
        };
        write().map_err(|error| Error::io("cannot write", error, folder))
    }
}

/// What the most recently used store of a path remembers.
pub fn of_label(root: &Path, label: &str) -> Option<Vec<u8>> {
    let stores = catalogue::list(root).ok()?;
    let latest = stores.iter().filter(|store| store.label == label).max_by_key(|store| store.last_used)?;
    read(&latest.folder)
}

fn read(folder: &Path) -> Option<Vec<u8>> {
    let path = folder.join(FILE);
    if std::fs::metadata(&path).ok()?.len() > MAX_BYTES {
        return None;
    }
    std::fs::read(path).ok()
}
