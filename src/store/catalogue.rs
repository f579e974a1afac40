//! All stores of a cache folder: listing, checking, clearing them without opening one.

use super::directory::{Directory, Entry, StoreId, content_hash};
use super::files::{self, FileRole, OpenFiles, parse_file_name};
use super::folder::{self, Folder, Locking, PRIVATE_PREFIX, STRAY_PREFIX};
use crate::error::{Error, Result};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// A store on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreEntry {
    /// What it holds: the path that was opened; empty where the store does not say.
    pub label: String,
    /// Bytes on the disk.
    pub bytes: u64,
    /// When it was opened last.
    pub last_used: SystemTime,
    /// Tiles that are stored.
    pub tiles: u64,
    /// Whether a window or command has it open now.
    pub in_use: bool,
    /// Its folder.
    pub folder: PathBuf,
}

/// What became of stores that were to be removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Removal {
    /// Stores removed.
    pub removed: u64,
    /// Bytes that were freed.
    pub freed_bytes: u64,
    /// Stores that stay because they are in use.
    pub in_use: u64,
}

/// The outcome of checking one store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verification {
    /// What it holds.
    pub label: String,
    /// Tiles that were checked.
    pub checked: u64,
    /// Tiles that are not what was stored; they will be decoded again when they are wanted.
    pub bad: u64,
    /// Whether it was left out because a window or command has it open now.
    pub in_use: bool,
}

/// All stores of a cache folder, the latest used first.
pub fn list(root: &Path) -> Result<Vec<StoreEntry>> {
    let mut entries = Vec::new();
    for (folder, id) in store_folders(root)? {
        let mut tiles = 0;
        for slab in slab_numbers(&folder)? {
            let Some(directory) = open_directory(&folder, id, slab)? else { continue };
            directory.read_all(|_, entry, _| tiles += u64::from(entry.is_some()))?;
        }
        entries.push(StoreEntry {
            label: folder::read_about(&folder).map(|about| about.label).unwrap_or_default(),
            bytes: folder_bytes(&folder)?,
            last_used: folder::last_used(&folder),
            tiles,
            in_use: !matches!(Folder::lock(&folder)?, Locking::Ours(_)),
            folder,
        });
    }
    entries.sort_by(|a, b| b.last_used.cmp(&a.last_used).then_with(|| a.folder.cmp(&b.folder)));
    Ok(entries)
}

/// Removes all stores that nobody uses.
pub fn clear(root: &Path) -> Result<Removal> {
    remove_where(root, |_| true)
}

/// Removes the stores of one path, in all versions of the file that were ever opened.
pub fn forget(root: &Path, label: &str) -> Result<Removal> {
    remove_where(root, |folder| folder::read_about(folder).is_some_and(|about| about.label == label))
}

/// Removes the stores that were not used since a time.
pub fn expire(root: &Path, unused_since: SystemTime) -> Result<Removal> {
    remove_where(root, |folder| folder::last_used(folder) < unused_since)
}

/// Reads every stored tile of every store that nobody uses, and checks it.
pub fn verify(root: &Path) -> Result<Vec<Verification>> {
    let mut outcomes = Vec::new();
    for (folder, id) in store_folders(root)? {
        let label = folder::read_about(&folder).map(|about| about.label).unwrap_or_default();
        let outcome = match Folder::lock(&folder)? {
            Locking::Ours(_lock) => {
                let (checked, bad) = verify_store(&folder, id)?;
                Verification { label, checked, bad, in_use: false }
            }
            Locking::Busy | Locking::Refused => Verification { label, checked: 0, bad: 0, in_use: true },
        };
        outcomes.push(outcome);
    }
    outcomes.sort_by(|a, b| a.label.cmp(&b.label));
    Ok(outcomes)
}

/// Removes private stores whose programs are gone. What cannot be removed stays for the next start.
pub fn sweep(root: &Path) {
    for (parent, prefix) in [(root, PRIVATE_PREFIX), (&std::env::temp_dir(), STRAY_PREFIX)] {
        let items = match std::fs::read_dir(parent) {
            Ok(items) => items,
            Err(error) => {
                tracing::warn!("leftovers cannot be looked for: {error}: {}", parent.display());
                continue;
            }
        };
        for item in items.flatten() {
            let is_left_over = item.file_name().to_str().is_some_and(|name| name.starts_with(prefix));
            if is_left_over
                && is_own_folder(&item.path())
                && let Err(error) = remove_if_unused(&item.path())
            {
                tracing::warn!("{error}");
            }
        }
    }
}

/// Bytes of all stores but those in these folders.
pub(super) fn bytes_but_for(root: &Path, folders: &[&Path]) -> Result<u64> {
    let others = store_folders(root)?.into_iter().filter(|(folder, _)| !folders.contains(&folder.as_path()));
    others.map(|(folder, _)| folder_bytes(&folder)).sum()
}

/// Removes the store that nobody used for the longest time; false where all are in use.
pub(super) fn remove_oldest(root: &Path) -> Result<bool> {
    let mut folders: Vec<_> = store_folders(root)?.into_iter().map(|(f, _)| (folder::last_used(&f), f)).collect();
    folders.sort();
    for (_, folder) in folders {
        if remove_if_unused(&folder)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Bytes of the files in a folder.
pub(super) fn folder_bytes(folder: &Path) -> Result<u64> {
    let fail = |e| Error::io("cannot list", e, folder);
    let mut bytes = 0;
    let items = match std::fs::read_dir(folder) {
        Ok(items) => items,
        // Another program removed it.
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        Err(e) => return Err(fail(e)),
    };
    for item in items {
        match item.map_err(fail)?.metadata() {
            Ok(metadata) => bytes += metadata.len(),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            Err(e) => return Err(fail(e)),
        }
    }
    Ok(bytes)
}

fn remove_where(root: &Path, is_meant: impl Fn(&Path) -> bool) -> Result<Removal> {
    let mut removal = Removal::default();
    for (folder, _) in store_folders(root)? {
        if !is_meant(&folder) {
            continue;
        }
        let bytes = folder_bytes(&folder)?;
        if remove_if_unused(&folder)? {
            removal.removed += 1;
            removal.freed_bytes += bytes;
        } else {
            removal.in_use += 1;
        }
    }
    Ok(removal)
}

fn remove_if_unused(folder: &Path) -> Result<bool> {
    match Folder::lock(folder)? {
        Locking::Ours(folder) => folder.remove().map(|()| true),
        Locking::Busy | Locking::Refused => Ok(false),
    }
}

/// Checks a locked store; returns the tiles checked and the bad ones among them.
fn verify_store(folder: &Path, id: StoreId) -> Result<(u64, u64)> {
    let mut checked = 0;
    // A crash can leave an older entry of a tile that is stored again elsewhere: bad, but of no consequence.
    let mut bad: HashMap<u64, u64> = HashMap::new();
    let mut buffer = Vec::new();
    each_tile(
        folder,
        id,
        &mut |entry, good| {
            checked += 1;
            if !good {
                let generation = bad.entry(entry.tile).or_default();
                *generation = entry.generation.max(*generation);
            }
        },
        &mut buffer,
    )?;
    if !bad.is_empty() {
        each_tile(
            folder,
            id,
            &mut |entry, good| {
                if good && bad.get(&entry.tile).is_some_and(|generation| *generation < entry.generation) {
                    bad.remove(&entry.tile);
                    checked -= 1;
                }
            },
            &mut buffer,
        )?;
    }
    Ok((checked, bad.len() as u64))
}

fn each_tile(folder: &Path, id: StoreId, each: &mut dyn FnMut(Entry, bool), buffer: &mut Vec<u8>) -> Result<()> {
    let open_files = Arc::new(OpenFiles::new(folder.to_owned()));
    for slab in slab_numbers(folder)? {
        let Some(directory) = Directory::open(id, slab, Arc::clone(&open_files))? else { continue };
        let geometry = directory.geometry();
        let mut entries = Vec::new();
        directory.read_all(|slot, entry, _| entries.extend(entry.map(|entry| (slot, entry))))?;
        let data = open_files.get(slab, FileRole::Data);
        for (slot, entry) in entries {
            buffer.resize(entry.bytes as usize, 0);
            let at = u64::from(slot) * u64::from(geometry.slot_bytes);
            let is_read = data.as_ref().is_ok_and(|data| files::read_exact_at(data, buffer, at).is_ok());
            let is_good = is_read && content_hash(id, entry.tile, entry.generation, buffer) == entry.hash;
            each(entry, is_good);
        }
    }
    Ok(())
}

fn open_directory(folder: &Path, id: StoreId, slab: u32) -> Result<Option<Directory>> {
    Directory::open(id, slab, Arc::new(OpenFiles::new(folder.to_owned())))
}

fn store_folders(root: &Path) -> Result<Vec<(PathBuf, StoreId)>> {
    let fail = |e| Error::io("cannot list", e, root);
    let mut folders = Vec::new();
    let items = match std::fs::read_dir(root) {
        Ok(items) => items,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(folders),
        Err(e) => return Err(fail(e)),
    };
    for item in items {
        let item = item.map_err(fail)?;
        if let Some(id) = item.file_name().to_str().and_then(StoreId::of_folder_name)
            && is_own_folder(&item.path())
        {
            folders.push((item.path(), id));
        }
    }
    folders.sort();
    Ok(folders)
}

fn slab_numbers(folder: &Path) -> Result<Vec<u32>> {
    let fail = |e| Error::io("cannot list", e, folder);
    let mut numbers = Vec::new();
    for item in std::fs::read_dir(folder).map_err(fail)? {
        let name = item.map_err(fail)?.file_name();
        if let Some((number, FileRole::Directory)) = name.to_str().and_then(parse_file_name) {
            numbers.push(number);
        }
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// A real folder of this user: in the folder for temporary files anybody may put a link with our name.
fn is_own_folder(path: &Path) -> bool {
    let Ok(metadata) = std::fs::symlink_metadata(path) else { return false };
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        metadata.is_dir() && metadata.uid() == rustix::process::geteuid().as_raw()
    }
    #[cfg(not(unix))]
    metadata.is_dir()
}
