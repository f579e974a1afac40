//! A record of everything a thread wrote into store files, for the tests that replay it with parts missing.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

/// One write.
pub struct Write {
    /// The file.
    pub path: PathBuf,
    /// Where in it.
    pub at: u64,
    /// What.
    pub bytes: Vec<u8>,
}

thread_local! {
    static JOURNAL: RefCell<Option<Vec<Write>>> = const { RefCell::new(None) };
}

/// Starts recording on this thread.
pub fn start() {
    JOURNAL.with_borrow_mut(|journal| *journal = Some(Vec::new()));
}

/// What was recorded on this thread so far.
pub fn len() -> usize {
    JOURNAL.with_borrow(|journal| journal.as_ref().map_or(0, Vec::len))
}

/// Stops recording on this thread.
pub fn take() -> Vec<Write> {
    JOURNAL.with_borrow_mut(|journal| journal.take().unwrap_or_default())
}

/// Records a write, if this thread records.
pub fn record(path: &Path, at: u64, bytes: &[u8]) {
    JOURNAL.with_borrow_mut(|journal| {
        if let Some(journal) = journal {
            journal.push(Write { path: path.to_owned(), at, bytes: bytes.to_vec() });
        }
    });
}
