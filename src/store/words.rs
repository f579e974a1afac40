//! Slot words, four bytes a slot, in mapped unnamed files: ten million slots cost no heap.
//!
//! They live apart from the slots, so that opening a store does not read a page of every slab from the disk.

use super::atomics::{AtomicU32, Ordering};
use super::region::{self, Region, WordRegion};
use crate::error::Result;
use parking_lot::Mutex;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

/// Words of the first piece; the next ones double.
const FIRST_PIECE_WORDS: usize = region::PAGE_BYTES / 4;
/// Words of the largest piece, a mebibyte.
const LAST_PIECE_WORDS: usize = 256 << 10;

/// Hands out runs of words for slabs.
pub struct WordPool {
    /// Where the pieces are mapped from; `None` takes them from the heap.
    folder: Option<PathBuf>,
    free: Arc<Mutex<Free>>,
}

#[derive(Default)]
struct Free {
    runs: Vec<(Arc<WordRegion>, Range<usize>)>,
    pieces: u32,
}

/// A run of words of one slab, given back when it is dropped.
pub struct Words {
    piece: Arc<WordRegion>,
    range: Range<usize>,
    free: Arc<Mutex<Free>>,
}

impl WordPool {
    /// An empty pool.
    pub fn new(folder: Option<PathBuf>) -> Self {
        Self { folder, free: Arc::default() }
    }

    /// A run of zeroed words.
    pub fn take(&self, count: usize) -> Result<Words> {
        let mut free = self.free.lock();
        let place = match free.runs.iter().position(|(_, run)| run.len() >= count) {
            Some(place) => place,
            None => {
                let words = (FIRST_PIECE_WORDS << free.pieces.min(8)).min(LAST_PIECE_WORDS).max(count);
                let piece = match &self.folder {
                    Some(folder) => region::map_unnamed(folder, words as u64 * 4)?,
                    None => Region::heap(words * 4),
                };
                free.pieces += 1;
                free.runs.push((Arc::new(WordRegion::new(piece)), 0..words));
                free.runs.len() - 1
            }
        };
        let (piece, run) = free.runs[place].clone();
        let range = run.start..run.start + count;
        if range.end < run.end {
            free.runs[place].1.start = range.end;
        } else {
            free.runs.swap_remove(place);
        }
        let words = Words { piece, range, free: Arc::clone(&self.free) };
        words.get().iter().for_each(|word| word.store(0, Ordering::Relaxed));
        Ok(words)
    }
}

impl Words {
    /// The words.
    pub fn get(&self) -> &[AtomicU32] {
        &self.piece.words()[self.range.clone()]
    }
}

impl Drop for Words {
    fn drop(&mut self) {
        self.free.lock().runs.push((Arc::clone(&self.piece), self.range.clone()));
    }
}
