//! The life of a slot, as a state machine over one atomic word each; no bytes, no files.
//!
//! ```text
//!            claim               publish                pin / unpin
//!   Free ------------> Writing ------------> Ready <------------------> Ready, pinned
//!    ^                    |                    |                             |
//!    |      abandon       |                    | retire (whole slab)         | doom
//!    +--------------------+                    v                             v
//!    ^                    ^                 Retired                   Ready, doomed: no new pins
//!    |       reset        |                    |                             |
//!    +--------------------|--------------------+                             |
//!                         +------------------- the last unpin ---------------+
//! ```
//!
//! A slot in Writing belongs to exactly one thread, which alone may touch its bytes mutably.
//! Bytes of a Ready slot are shared and only read while a pin is held.
//! `publish` releases what the writer wrote and `pin` acquires it.
//! `tests/loom_slots.rs` runs this file under loom, which is why the atomics come from a sibling module.

use super::atomics::{AtomicU32, Ordering};

const STATE: u32 = 0b11;
const FREE: u32 = 0;
const WRITING: u32 = 1;
const READY: u32 = 2;
/// Committed by this run and not handed to write-back since.
const FRESH: u32 = 1 << 2;
/// The tile was taken out of the index; the last pin's holder erases the slot.
const DOOMED: u32 = 1 << 3;
/// The slab is being retired.
const RETIRED: u32 = 1 << 4;
/// The slot's bytes were written before, so they are not zero.
const TOUCHED: u32 = 1 << 5;
/// One pin; the count fills the rest of the word.
const PIN: u32 = 1 << 8;

/// A slot that now belongs to the caller, in Writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// Which slot.
    pub slot: u32,
    /// Whether older bytes may be in it.
    pub touched: bool,
}

/// What a pin found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pinned {
    /// Whether this run committed the tile and its slab was not handed to write-back since.
    pub fresh: bool,
}

/// What remains to be done after a pin was given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Unpinned {
    /// Nothing.
    Done,
    /// It was the last pin of a doomed slot, which is now in Writing and the caller's: erase its entry, then
    /// [`Slots::abandon`] it.
    Erase,
}

/// The slots of one slab.
#[derive(Clone, Copy)]
pub struct Slots<'a> {
    words: &'a [AtomicU32],
}

impl<'a> Slots<'a> {
    /// The machine over these words; all zero is all Free.
    pub fn new(words: &'a [AtomicU32]) -> Self {
        Self { words }
    }

    /// Takes a Free slot, looking from `from` onwards and then from the start.
    pub fn claim(&self, from: u32) -> Option<Claim> {
        let count = self.words.len();
        let from = if (from as usize) < count { from as usize } else { 0 };
        (from..count).chain(0..from).find_map(|slot| {
            let word = &self.words[slot];
            let seen = word.load(Ordering::Relaxed);
            // Acquire: what the last owner of the slot did to its bytes and its entry is over.
            let taken = seen & !TOUCHED == FREE
                && word
                    .compare_exchange(seen, WRITING | (seen & TOUCHED), Ordering::Acquire, Ordering::Relaxed)
                    .is_ok();
            taken.then_some(Claim { slot: slot as u32, touched: seen & TOUCHED != 0 })
        })
    }

    /// Writing to Free, by its owner.
    pub fn abandon(&self, slot: u32) {
        self.words[slot as usize].store(FREE | TOUCHED, Ordering::Release);
    }

    /// Writing to Ready, by its owner, who holds a pin from here on: the slab cannot be retired before the tile is in
    /// the index.
    pub fn publish(&self, slot: u32) {
        self.words[slot as usize].store(READY | FRESH | TOUCHED | PIN, Ordering::Release);
    }

    /// Free to Ready without a pin: an entry of an earlier run, while nobody else uses the slab.
    pub fn adopt(&self, slot: u32) {
        self.words[slot as usize].store(READY | TOUCHED, Ordering::Release);
    }

    /// Shares a Ready slot; `None` in every other state.
    pub fn pin(&self, slot: u32) -> Option<Pinned> {
        let word = self.words.get(slot as usize)?;
        let mut seen = word.load(Ordering::Relaxed);
        loop {
            let shared = seen & STATE == READY && seen & (DOOMED | RETIRED) == 0 && seen < u32::MAX - PIN;
            if !shared {
                return None;
            }
            match word.compare_exchange_weak(seen, seen + PIN, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return Some(Pinned { fresh: seen & FRESH != 0 }),
                Err(now) => seen = now,
            }
        }
    }

    /// Gives a pin back.
    pub fn unpin(&self, slot: u32) -> Unpinned {
        let word = &self.words[slot as usize];
        let mut seen = word.load(Ordering::Relaxed);
        loop {
            let last_of_doomed = seen & DOOMED != 0 && seen / PIN == 1;
            let next = if last_of_doomed { WRITING | TOUCHED } else { seen - PIN };
            // Release: reads of the bytes come before the next owner's writes. Acquire: the one who erases comes
            // after everybody's reads.
            match word.compare_exchange_weak(seen, next, Ordering::AcqRel, Ordering::Relaxed) {
                Ok(_) if last_of_doomed => return Unpinned::Erase,
                Ok(_) => return Unpinned::Done,
                Err(now) => seen = now,
            }
        }
    }

    /// Marks a slot for erasure, by somebody who holds a pin and took its tile out of the index.
    pub fn doom(&self, slot: u32) {
        self.words[slot as usize].fetch_or(DOOMED, Ordering::Relaxed);
    }

    /// Retires all slots, or none: it fails where one is written or pinned. One thread at a time.
    pub fn retire(&self) -> bool {
        for (slot, word) in self.words.iter().enumerate() {
            let mut seen = word.load(Ordering::Relaxed);
            let retired = loop {
                if seen & STATE == WRITING || seen >= PIN || seen & RETIRED != 0 {
                    break false;
                }
                match word.compare_exchange_weak(seen, seen | RETIRED, Ordering::Acquire, Ordering::Relaxed) {
                    Ok(_) => break true,
                    Err(now) => seen = now,
                }
            };
            if !retired {
                for word in &self.words[..slot] {
                    word.fetch_and(!RETIRED, Ordering::Release);
                }
                return false;
            }
        }
        true
    }

    /// Retired to Free, all slots, once nothing refers to their tiles.
    pub fn reset(&self) {
        for word in self.words {
            word.store(FREE | TOUCHED, Ordering::Release);
        }
    }

    /// No slot is fresh from here on: its pages may leave memory.
    pub fn settle(&self) {
        for word in self.words {
            word.fetch_and(!FRESH, Ordering::Relaxed);
        }
    }
}
