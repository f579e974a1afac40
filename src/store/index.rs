//! Where each tile lies: four bytes a tile in one dense, mapped, unnamed file.
//!
//! It is rebuilt from the directories when a store is opened, so nothing in it has to survive or to be trusted.

use super::atomics::{AtomicU32, Ordering};
use super::region::WordRegion;

const SLOT_BITS: u32 = 12;

/// Slots a slab can have.
pub const MAX_SLOTS: u32 = 1 << SLOT_BITS;

/// Slab numbers are below this.
pub const MAX_SLABS: u32 = (1 << (32 - SLOT_BITS)) - 1;

/// The place of a tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Location {
    /// The slab's number, below [`MAX_SLABS`].
    pub slab: u32,
    /// The slot in it, below [`MAX_SLOTS`].
    pub slot: u32,
}

impl Location {
    fn word(self) -> u32 {
        (self.slab << SLOT_BITS | self.slot) + 1
    }

    fn of_word(word: u32) -> Option<Self> {
        let place = word.checked_sub(1)?;
        Some(Self { slab: place >> SLOT_BITS, slot: place & (MAX_SLOTS - 1) })
    }
}

/// All places of a store.
pub struct Index {
    words: WordRegion,
}

impl Index {
    /// An index over zeroed words, in which no tile has a place.
    pub fn new(words: WordRegion) -> Self {
        Self { words }
    }

    /// Memory for so many tiles, in bytes.
    pub fn bytes_for(tiles: u64) -> u64 {
        tiles.max(1) * size_of::<AtomicU32>() as u64
    }

    /// How much memory it is, in bytes.
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// How many tiles it has room for.
    pub fn tiles(&self) -> u64 {
        self.words.words().len() as u64
    }

    /// The place of a tile; `None` for one that has none or is out of range.
    pub fn get(&self, tile: u64) -> Option<Location> {
        Location::of_word(self.word(tile)?.load(Ordering::Acquire))
    }

    /// Moves a tile from one place (or none) to another (or none); false where it was not at `from`.
    pub fn replace(&self, tile: u64, from: Option<Location>, to: Option<Location>) -> bool {
        let [from, to] = [from, to].map(|place| place.map_or(0, Location::word));
        self.word(tile).is_some_and(|word| word.compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed).is_ok())
    }

    fn word(&self, tile: u64) -> Option<&AtomicU32> {
        self.words.words().get(usize::try_from(tile).ok()?)
    }
}
