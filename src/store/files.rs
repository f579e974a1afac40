//! Positioned reads and writes, and a bounded number of open files.
//!
//! A store of 100 GB has some 1 600 slabs with a directory each, more than a process may have open by default.

use crate::error::{Error, Result};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::path::PathBuf;
use std::sync::Arc;

/// Files of one store that are kept open: the slabs being filled and the directories read last. The usual limit of a
/// process is 1024 for everything.
pub const MAX_OPEN_FILES: usize = 64;

/// Which file of a slab.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileRole {
    /// The slots.
    Data,
    /// The directory.
    Directory,
}

/// The open files of one store, the latest used first.
pub struct OpenFiles {
    folder: PathBuf,
    open: Mutex<VecDeque<(u32, FileRole, Arc<File>)>>,
}

impl OpenFiles {
    /// Nothing is open yet.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder, open: Mutex::new(VecDeque::with_capacity(MAX_OPEN_FILES + 1)) }
    }

    /// Where a file of a slab lies.
    pub fn path(&self, slab: u32, role: FileRole) -> PathBuf {
        self.folder.join(file_name(slab, role))
    }

    /// A file, opened for reading and writing if it was not.
    pub fn get(&self, slab: u32, role: FileRole) -> Result<Arc<File>> {
        if let Some(file) = self.find(slab, role) {
            return Ok(file);
        }
        let path = self.path(slab, role);
        let file = OpenOptions::new().read(true).write(true).open(&path);
        let file = Arc::new(file.map_err(|e| Error::io("cannot open", e, &path))?);
        self.keep(slab, role, Arc::clone(&file));
        Ok(file)
    }

    /// Keeps a file that was just created.
    pub fn keep(&self, slab: u32, role: FileRole, file: Arc<File>) {
        let mut open = self.open.lock();
        open.push_front((slab, role, file));
        open.truncate(MAX_OPEN_FILES);
    }

    /// Closes the files of a slab.
    pub fn close(&self, slab: u32) {
        self.open.lock().retain(|(open, ..)| *open != slab);
    }

    fn find(&self, slab: u32, role: FileRole) -> Option<Arc<File>> {
        let mut open = self.open.lock();
        let place = open.iter().position(|(s, r, _)| (*s, *r) == (slab, role))?;
        let found = open.remove(place)?;
        let file = Arc::clone(&found.2);
        open.push_front(found);
        Some(file)
    }
}

/// The name of a file of a slab.
pub fn file_name(slab: u32, role: FileRole) -> String {
    match role {
        FileRole::Data => format!("slab-{slab:06}"),
        FileRole::Directory => format!("slab-{slab:06}.directory"),
    }
}

/// What [`file_name`] made.
pub fn parse_file_name(name: &str) -> Option<(u32, FileRole)> {
    let name = name.strip_prefix("slab-")?;
    let (number, role) = match name.strip_suffix(".directory") {
        Some(number) => (number, FileRole::Directory),
        None => (name, FileRole::Data),
    };
    let slab = number.parse().ok()?;
    (number.len() >= 6).then_some((slab, role))
}

/// Fills `out` from a place in a file.
#[cfg(unix)]
pub fn read_exact_at(file: &File, out: &mut [u8], at: u64) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, out, at)
}

/// Writes all of `bytes` at a place in a file.
#[cfg(unix)]
pub fn write_all_at(file: &File, bytes: &[u8], at: u64) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, at)
}

/// Fills `out` from a place in a file.
#[cfg(windows)]
pub fn read_exact_at(file: &File, mut out: &mut [u8], mut at: u64) -> std::io::Result<()> {
    while !out.is_empty() {
        let got = std::os::windows::fs::FileExt::seek_read(file, out, at)?;
        if got == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        out = &mut out[got..];
        at += got as u64;
    }
    Ok(())
}

/// Writes all of `bytes` at a place in a file.
#[cfg(windows)]
pub fn write_all_at(file: &File, mut bytes: &[u8], mut at: u64) -> std::io::Result<()> {
    while !bytes.is_empty() {
        let put = std::os::windows::fs::FileExt::seek_write(file, bytes, at)?;
        if put == 0 {
            return Err(std::io::ErrorKind::WriteZero.into());
        }
        bytes = &bytes[put..];
        at += put as u64;
    }
    Ok(())
}
