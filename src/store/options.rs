//! What a store is to be, and what it holds.

use super::Quota;
use std::sync::Arc;

/// What becomes of a store when it is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Persist {
    /// It stays, and opens at once the next time.
    Keep,
    /// It goes.
    Discard,
}

/// Where the bytes of a store are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backing {
    /// In mapped files.
    Mapped,
    /// On the heap, for tests and sanitizers: nothing survives, and no file is touched.
    Heap,
}

/// Which slabs are given up last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EvictionOrder {
    /// The least recently used first, whatever it holds.
    Recency,
    /// Derived slabs after all others: for sources without levels of their own, where a derived tile costs a thousand
    /// decoded ones.
    DerivedLast,
}

/// What a store is to be.
#[derive(Clone)]
pub struct StoreOptions {
    /// Where it lives and how much it may take.
    pub quota: Arc<Quota>,
    /// What identifies the source's content.
    pub fingerprint: Vec<u8>,
    /// Tiles of the set.
    pub tile_count: u64,
    /// What the user knows it by: the path that was opened.
    pub label: String,
    /// What becomes of it.
    pub persist: Persist,
    /// Where the bytes are.
    pub backing: Backing,
    /// Which slabs are given up last.
    pub eviction: EvictionOrder,
}

/// What a store holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StoreStatistics {
    /// Tiles that can be read.
    pub ready_tiles: u64,
    /// Slabs.
    pub slabs: u64,
    /// Bytes that are mapped.
    pub mapped_bytes: u64,
    /// Bytes on the disk.
    pub disk_bytes: u64,
    /// Bytes committed and not handed to write-back.
    pub dirty_bytes: u64,
    /// Tiles that were not what was stored, and count as absent since.
    pub hash_failures: u64,
    /// Slabs that were given up to make room.
    pub retired_slabs: u64,
}
