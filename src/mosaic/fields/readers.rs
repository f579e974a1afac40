//! A few open readers, the most recently used first.

use crate::error::{Error, Result};
use crate::formats;
use crate::pyramid::Source;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

/// Readers kept open: each has a file handle and up to 1 MiB of headers, most far less. A few for each thread that
/// decodes, since the planes of a field often lie in one file.
const MAX_OPEN_READERS: usize = 16;

/// How a file was when the set was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileStamp {
    bytes: u64,
    modified_ns: u128,
}

impl FileStamp {
    /// What the file system says now.
    pub fn of(path: &Path) -> Result<Self> {
        let meta = std::fs::metadata(path).map_err(|e| Error::io("cannot read", e, path))?;
        let modified = meta.modified().ok().and_then(|t| t.duration_since(SystemTime::UNIX_EPOCH).ok());
        Ok(Self { bytes: meta.len(), modified_ns: modified.map_or(0, |d| d.as_nanos()) })
    }

    /// For a fingerprint.
    pub fn to_bytes(self) -> [u8; 24] {
        let mut bytes = [0; 24];
        bytes[..8].copy_from_slice(&self.bytes.to_le_bytes());
        bytes[8..].copy_from_slice(&self.modified_ns.to_le_bytes());
        bytes
    }
}

/// The open readers of a set, by file.
#[derive(Default)]
pub struct Readers {
    open: Mutex<VecDeque<(u32, Arc<dyn Source>)>>,
}

impl Readers {
    /// The reader of a file, which must still be as it was.
    ///
    /// Two threads that ask for the same closed file at once both open it, and one of the readers is dropped.
    pub fn open(&self, file: u32, path: &Path, stamp: FileStamp) -> Result<Arc<dyn Source>> {
        {
            let mut open = self.open.lock();
            if let Some(at) = open.iter().position(|(f, _)| *f == file)
                && let Some(found) = open.remove(at)
            {
                let reader = found.1.clone();
                open.push_front(found);
                return Ok(reader);
            }
        }
        let reader = formats::open(path)?.source;
        if FileStamp::of(path)? != stamp {
            return Err(Error::format("the file was changed since the fields were opened, open them again", path));
        }
        let mut open = self.open.lock();
        if !open.iter().any(|(f, _)| *f == file) {
            open.push_front((file, reader.clone()));
            open.truncate(MAX_OPEN_READERS);
        }
        Ok(reader)
    }
}
