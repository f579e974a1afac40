//! Files that are read in place: positioned reads, a bounded set of open handles, and a small cache for headers and
//! offset tables.
//!
//! Source files are never mapped: a file that shrinks while it is open gives an error value, not a fault.

use crate::error::{Error, Result};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// Bytes of one cached block of headers and tables: what the design asks for.
const BLOCK_BYTES: u64 = 64 << 10;

/// Blocks kept; 1 MiB for a source, enough for the tables of a few pages under eight workers.
const MAX_BLOCKS: usize = 16;

/// Handles kept open; the default limit of a process is 1024 on Linux and 256 on macOS.
const MAX_OPEN_HANDLES: usize = 64;

/// Bytes of the file's beginning that go into the fingerprint.
const FINGERPRINT_HEADER_BYTES: u64 = 4096;

/// Raised whenever a decoder's output changes, so that stores made by an older one are not reused.
pub const DECODER_EPOCH: u32 = 1;

/// One file of a set, as it was when it was opened.
#[derive(Debug)]
struct SourceFile {
    path: PathBuf,
    len: u64,
    modified: Option<SystemTime>,
}

/// The files of a source, frozen once it is open.
#[derive(Debug, Default)]
pub struct FileSet {
    files: Vec<SourceFile>,
    handles: Mutex<VecDeque<(u32, Arc<File>)>>,
    blocks: Mutex<VecDeque<Block>>,
}

/// One cached block: file, block number, bytes.
type Block = (u32, u64, Arc<[u8]>);

impl FileSet {
    /// Adds a file; the same path twice gives the same number.
    pub fn add(&mut self, path: &Path) -> Result<u32> {
        if let Some(index) = self.files.iter().position(|f| f.path == path) {
            return Ok(index as u32);
        }
        let meta = std::fs::metadata(path).map_err(|e| Error::io("cannot read", e, path))?;
        if !meta.is_file() {
            return Err(Error::unsupported("this is not a file", path));
        }
        self.files.push(SourceFile { path: path.to_owned(), len: meta.len(), modified: meta.modified().ok() });
        Ok((self.files.len() - 1) as u32)
    }

    /// The path of a file.
    pub fn path(&self, file: u32) -> &Path {
        &self.files[file as usize].path
    }

    /// The paths of all files, in the order they were added.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|f| f.path.as_path())
    }

    /// Bytes in a file when it was opened.
    pub fn len(&self, file: u32) -> u64 {
        self.files[file as usize].len
    }

    /// Fills `buf` from `at`; a file that ends before that gives [`io::ErrorKind::UnexpectedEof`].
    pub fn read_exact_at(&self, file: u32, at: u64, buf: &mut [u8]) -> io::Result<()> {
        let handle = self.handle(file)?;
        let mut done = 0;
        while done < buf.len() {
            match read_at(&handle, &mut buf[done..], at.saturating_add(done as u64)) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(n) => done += n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// Like [`FileSet::read_exact_at`], through the block cache: for headers and offset tables.
    pub fn read_small(&self, file: u32, at: u64, buf: &mut [u8]) -> io::Result<()> {
        let mut done = 0;
        while done < buf.len() {
            let position = at.checked_add(done as u64).ok_or(io::ErrorKind::UnexpectedEof)?;
            let block = self.block(file, position / BLOCK_BYTES)?;
            let start = (position % BLOCK_BYTES) as usize;
            let Some(rest) = block.get(start..).filter(|r| !r.is_empty()) else {
                return Err(io::ErrorKind::UnexpectedEof.into());
            };
            let n = rest.len().min(buf.len() - done);
            buf[done..done + n].copy_from_slice(&rest[..n]);
            done += n;
        }
        Ok(())
    }

    /// What identifies the content: path, size, times, inode and the first bytes of every file.
    pub fn fingerprint(&self) -> Vec<u8> {
        let mut out = DECODER_EPOCH.to_le_bytes().to_vec();
        for (index, file) in self.files.iter().enumerate() {
            out.extend_from_slice(file.path.as_os_str().as_encoded_bytes());
            out.push(0);
            out.extend_from_slice(&file.len.to_le_bytes());
            let nanos = file.modified.and_then(|t| t.duration_since(SystemTime::UNIX_EPOCH).ok());
            out.extend_from_slice(&nanos.map_or(0, |d| d.as_nanos()).to_le_bytes());
            out.extend_from_slice(&inode_and_change_time(&file.path));
            if index == 0 {
                let mut header = vec![0; file.len.min(FINGERPRINT_HEADER_BYTES) as usize];
                // A file that cannot be read any more has another fingerprint; reading its pixels reports why.
                if self.read_exact_at(0, 0, &mut header).is_err() {
                    header.clear();
                }
                out.extend_from_slice(&header);
            }
        }
        out
    }

    /// Fails if a file is no longer the one that was opened.
    pub fn check_unchanged(&self) -> Result<()> {
        for file in &self.files {
            let meta = std::fs::metadata(&file.path)
                .map_err(|e| Error::io("the file went away while it was open, open it again", e, &file.path))?;
            if meta.len() != file.len || meta.modified().ok() != file.modified {
                return Err(Error::format("the file was changed while it was open, open it again", &file.path));
            }
        }
        Ok(())
    }

    fn handle(&self, file: u32) -> io::Result<Arc<File>> {
        let mut handles = self.handles.lock();
        if let Some(place) = handles.iter().position(|(f, _)| *f == file) {
            let handle = handles[place].1.clone();
            if place > 0 {
                handles.swap(0, place);
            }
            return Ok(handle);
        }
        let handle = Arc::new(File::open(&self.files[file as usize].path)?);
        handles.push_front((file, handle.clone()));
        handles.truncate(MAX_OPEN_HANDLES);
        Ok(handle)
    }

    fn block(&self, file: u32, number: u64) -> io::Result<Arc<[u8]>> {
        {
            let mut blocks = self.blocks.lock();
            if let Some(place) = blocks.iter().position(|(f, n, _)| *f == file && *n == number) {
                let bytes = blocks[place].2.clone();
                if place > 0 {
                    blocks.swap(0, place);
                }
                return Ok(bytes);
            }
        }
        let start = number.saturating_mul(BLOCK_BYTES);
        let len = self.len(file).saturating_sub(start).min(BLOCK_BYTES);
        if len == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut bytes = vec![0; len as usize];
        self.read_exact_at(file, start, &mut bytes)?;
        let bytes: Arc<[u8]> = bytes.into();
        let mut blocks = self.blocks.lock();
        blocks.push_front((file, number, bytes.clone()));
        blocks.truncate(MAX_BLOCKS);
        Ok(bytes)
    }
}

/// A part of a file as a buffered, seekable stream, optionally with bytes of ours before it (JPEG tables).
pub struct RegionReader<'a> {
    files: &'a FileSet,
    file: u32,
    /// Bytes that come before the region.
    prefix: &'a [u8],
    start: u64,
    /// Bytes in prefix and region together.
    len: u64,
    position: u64,
    buffer: Vec<u8>,
    /// Stream position of the buffer's first byte.
    buffer_at: u64,
}

impl<'a> RegionReader<'a> {
    /// `prefix`, then `len` bytes of `file` from `start`.
    pub fn new(files: &'a FileSet, file: u32, prefix: &'a [u8], start: u64, len: u64) -> Self {
        let len = len.min(files.len(file).saturating_sub(start)) + prefix.len() as u64;
        Self { files, file, prefix, start, len, position: 0, buffer: Vec::new(), buffer_at: 0 }
    }
}

impl io::BufRead for RegionReader<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let prefix_len = self.prefix.len() as u64;
        if self.position < prefix_len {
            return Ok(&self.prefix[self.position as usize..]);
        }
        let buffered = self.position.checked_sub(self.buffer_at).filter(|&skip| skip < self.buffer.len() as u64);
        let skip = match buffered {
            Some(skip) => skip,
            None => {
                let len = self.len.saturating_sub(self.position).min(BLOCK_BYTES);
                self.buffer.resize(len as usize, 0);
                self.buffer_at = self.position;
                if len > 0 {
                    let at = self.start.saturating_add(self.position - prefix_len);
                    if let Err(e) = self.files.read_exact_at(self.file, at, &mut self.buffer) {
                        self.buffer.clear();
                        return Err(e);
                    }
                }
                0
            }
        };
        Ok(&self.buffer[skip as usize..])
    }

    fn consume(&mut self, amount: usize) {
        self.position += amount as u64;
    }
}

impl io::Read for RegionReader<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let ready = io::BufRead::fill_buf(self)?;
        let n = ready.len().min(buf.len());
        buf[..n].copy_from_slice(&ready[..n]);
        self.position += n as u64;
        Ok(n)
    }
}

impl io::Seek for RegionReader<'_> {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        let position = match to {
            io::SeekFrom::Start(at) => Some(at),
            io::SeekFrom::End(by) => self.len.checked_add_signed(by),
            io::SeekFrom::Current(by) => self.position.checked_add_signed(by),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

#[cfg(unix)]
fn read_at(file: &File, buf: &mut [u8], at: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buf, at)
}

#[cfg(windows)]
fn read_at(file: &File, buf: &mut [u8], at: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buf, at)
}

/// Inode and change time, where the system has them; nothing for a file that is gone.
#[cfg(unix)]
fn inode_and_change_time(path: &Path) -> Vec<u8> {
    use std::os::unix::fs::MetadataExt;
    let Ok(meta) = std::fs::metadata(path) else { return Vec::new() };
    [meta.dev(), meta.ino(), meta.ctime() as u64, meta.ctime_nsec() as u64]
        .iter()
        .flat_map(|v| v.to_le_bytes())
        .collect()
}

#[cfg(not(unix))]
fn inode_and_change_time(_path: &Path) -> Vec<u8> {
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, Read, Seek};

    fn set_of(bytes: &[u8]) -> (tempfile::TempDir, FileSet) {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("source");
        std::fs::write(&path, bytes).expect("written");
        let mut files = FileSet::default();
        files.add(&path).expect("added");
        (dir, files)
    }

    #[test]
    fn small_reads_cross_blocks_and_end_with_the_file() {
        let bytes: Vec<u8> = (0..200_000u32).map(|i| (i % 251) as u8).collect();
        let (_dir, files) = set_of(&bytes);
        let mut out = vec![0; 70_000];
        files.read_small(0, 60_000, &mut out).expect("inside");
        assert_eq!(out, &bytes[60_000..130_000]);
        let past = files.read_small(0, 199_999, &mut [0; 2]).expect_err("past the end");
        assert_eq!(past.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn a_region_reads_its_prefix_first_and_seeks() {
        let (_dir, files) = set_of(b"0123456789");
        let mut region = RegionReader::new(&files, 0, b"ab", 3, 4);
        let mut all = Vec::new();
        region.read_to_end(&mut all).expect("read");
        assert_eq!(all, b"ab3456");
        region.seek(io::SeekFrom::Start(4)).expect("seek");
        assert_eq!(region.fill_buf().expect("more"), b"56");
    }

    #[test]
    fn a_file_that_shrinks_is_reported() {
        let (dir, files) = set_of(&[7; 100]);
        assert!(files.check_unchanged().is_ok());
        std::fs::write(dir.path().join("source"), [7; 50]).expect("truncated");
        assert!(files.check_unchanged().is_err());
        assert!(files.read_exact_at(0, 60, &mut [0; 10]).is_err());
    }
}
