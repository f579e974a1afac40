//! Writing a large file of the user's without filling the memory with pages that wait for the disk.

#![cfg_attr(target_os = "linux", allow(unsafe_code))]
// `sync_file_range` has no safe binding.

use super::files::write_all_at;
use std::fs::File;
use std::io;

/// So many bytes are handed to the disk at once.
const PIECE_BYTES: u64 = 32 << 20;

/// Pieces that may be on their way to the disk; with the one being written they stay below
/// [`super::MAX_DIRTY_BYTES`].
const PIECES_ON_THE_WAY: u64 = 3;

/// A file that is written mostly front to back.
pub struct WriteBehind {
    file: File,
    /// How far it is written.
    end: u64,
    /// How far it was handed to the disk.
    handed: u64,
}

impl WriteBehind {
    /// Writes to `file` through a descriptor of its own.
    pub fn new(file: &File) -> io::Result<Self> {
        Ok(Self { file: file.try_clone()?, end: 0, handed: 0 })
    }

    /// Writes all of `bytes` at a place; waits while too much is on its way to the disk.
    pub fn write_all_at(&mut self, bytes: &[u8], at: u64) -> io::Result<()> {
        write_all_at(&self.file, bytes, at)?;
        self.end = self.end.max(at + bytes.len() as u64);
        if self.end - self.handed >= PIECE_BYTES {
            hand_over(&self.file, self.handed, self.end - self.handed, Until::Started)?;
            let waited_to = self.handed.saturating_sub((PIECES_ON_THE_WAY - 1) * PIECE_BYTES);
            hand_over(&self.file, waited_to.saturating_sub(PIECE_BYTES), PIECE_BYTES, Until::Written)?;
            self.handed = self.end;
        }
        Ok(())
    }
}

/// How far to go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Until {
    Started,
    Written,
}

/// Has the system write a range out.
#[cfg(target_os = "linux")]
fn hand_over(file: &File, from: u64, bytes: u64, until: Until) -> io::Result<()> {
    use std::os::fd::AsRawFd as _;
    let flags = match until {
        Until::Started => libc::SYNC_FILE_RANGE_WRITE,
        Until::Written => {
            libc::SYNC_FILE_RANGE_WAIT_BEFORE | libc::SYNC_FILE_RANGE_WRITE | libc::SYNC_FILE_RANGE_WAIT_AFTER
        }
    };
    // SAFETY: the descriptor is open while `file` lives; the call takes no memory of ours.
    match unsafe { libc::sync_file_range(file.as_raw_fd(), from as i64, bytes as i64, flags) } {
        0 => Ok(()),
        _ => match io::Error::last_os_error() {
            // Not every file system can; then the system's own limits hold.
            error if error.raw_os_error() == Some(libc::ESPIPE) => Ok(()),
            error => Err(error),
        },
    }
}

/// Elsewhere only a whole file can be written out, and is where the wait is.
#[cfg(not(target_os = "linux"))]
fn hand_over(file: &File, _from: u64, _bytes: u64, until: Until) -> io::Result<()> {
    match until {
        Until::Started => Ok(()),
        Until::Written => file.sync_data(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    #[test]
    fn what_is_written_across_pieces_is_there() {
        let mut file = tempfile::tempfile().expect("a file");
        let mut behind = WriteBehind::new(&file).expect("a descriptor");
        let block = vec![3; 5 << 20];
        for n in 0..40_u64 {
            behind.write_all_at(&block, n * block.len() as u64).expect("written");
        }
        behind.write_all_at(&[9], 7).expect("written");
        let mut got = Vec::new();
        file.read_to_end(&mut got).expect("read");
        assert_eq!(got.len(), 200 << 20);
        assert!(got.iter().enumerate().all(|(at, &byte)| byte == if at == 7 { 9 } else { 3 }));
    }
}
