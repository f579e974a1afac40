//! Mapped files that hold decoded tiles.
//!
//! One [`Store`] per image set.
//! A tile is named by its ordinal in the set's dense tile space; what that means is the pyramid's business.
//! A store is a set of slabs, files divided into equal slots, one tile a slot; the operating system decides which of
//! their pages stay in memory.
//!
//! # Who looks after what
//!
//! | file | |
//! |---|---|
//! | `slots` | who may touch a slot's bytes: a state machine over atomics |
//! | `region` | memory, mapped or heap; files allocated before they are mapped |
//! | `slab` | slots, their words and their directory together; pins and holds |
//! | `directory` | what lies in the slots, and proof that it does |
//! | `index` | where each tile lies |
//! | `slabs` | all slabs of a store |
//! | `write_back` | dirty pages go to the disk early |
//! | `quota` | how much disk, and who gives way |
//! | `folder`, `catalogue` | locks, names, and stores that are not open |
//! | `whole_file`, `write_behind` | files of the user's, which appear whole or not at all |
//!
//! # What can be relied on
//!
//! - A tile that is handed out is byte for byte what was committed under this ordinal, or it is absent.
//!   That holds after a crash, a power cut, a damaged file.
//! - No reference into a map leaves this module but under a pin ([`Store::with_pinned`]) or as the sole hold on a slot
//!   ([`SlotWriter`]).
//! - Nothing is synced a tile; [`Store::sync`] makes everything durable.
//! - Nothing here holds a lock while it copies or hashes.

mod atomics;
pub mod catalogue;
mod directory;
mod files;
mod folder;
mod index;
#[cfg(test)]
mod journal;
mod options;
mod pressure;
mod quota;
pub mod record;
mod region;
mod slab;
mod slabs;
mod slots;
pub mod system;
#[cfg(test)]
mod tests;
mod whole_file;
mod words;
mod write_back;
mod write_behind;
mod writer;

pub use directory::SlabClass;
pub use files::read_exact_at;
pub use folder::StoreNote;
pub use index::MAX_SLOTS;
pub use options::{Backing, EvictionOrder, Persist, StoreOptions, StoreStatistics};
pub use quota::{FREE_DISK_FLOOR_BYTES, Quota, QuotaOptions, free_disk_bytes};
pub use slabs::{FIRST_SLAB_BYTES, LAST_SLAB_BYTES};
pub use whole_file::{Destination, Existing, WholeFile, folder_of, write_whole};
pub use write_back::MAX_DIRTY_BYTES;
pub use write_behind::WriteBehind;
pub use writer::{Scratch, SlotWriter};

use crate::error::{Error, Result};
use directory::{StoreId, content_hash};
use folder::{About, Folder};
use index::Index;
use parking_lot::Mutex;
use quota::{Growth, Room};
use region::{Region, WordRegion};
use slab::{Hold, Pin, Slab};
use slabs::{SizeClass, Slabs};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use xxhash_rust::xxh3::Xxh3;

/// Raised whenever the layout of a store's files changes.
pub const STORE_FORMAT: u32 = 1;

/// Raised whenever a decoder's output changes, so that no store holds tiles of two kinds.
pub const DECODER_EPOCH: u32 = 1;

/// The largest tile, in bytes: 512 x 512 in RGB is 768 KiB, and a scale of eight is left for other sizes.
pub const MAX_TILE_BYTES: usize = 6 << 20;

/// Tiles that a set can have: an index of 4 GiB.
pub const MAX_TILES: u64 = 1 << 30;

/// The decoded tiles of one image set. Shared by all threads.
pub struct Store {
    shared: Arc<Shared>,
}

/// What the quota sees of a store.
struct Shared {
    quota: Arc<Quota>,
    slabs: Slabs,
    tile_count: u64,
    eviction: EvictionOrder,
    /// `None` on the heap, and once the store is closed.
    folder: Option<Folder>,
    discards: AtomicBool,
    /// Bytes of the slabs and their directories.
    disk_bytes: AtomicU64,
    hash_failures: AtomicU64,
    retired_slabs: AtomicU64,
    /// One [`Store::sync`] at a time: a second one must not find nothing to do while the first still waits.
    syncing: Mutex<()>,
}

impl Store {
    /// Opens the store of a source, with everything that earlier runs put into it, or makes one.
    ///
    /// Where another program has it open, or nothing can be locked, it is an empty private one; [`Store::note`] says so.
    pub fn open(options: StoreOptions) -> Result<Self> {
        let StoreOptions { quota, tile_count, label, .. } = options;
        if tile_count > MAX_TILES {
            return Err(Error::too_large(format!("{tile_count} tiles, more than {MAX_TILES}"), Path::new(&label)));
        }
        let id = store_id(&options.fingerprint, tile_count);
        let index_bytes = Index::bytes_for(tile_count);
        let folder = match (options.backing, options.persist) {
            (Backing::Heap, _) => None,
            (Backing::Mapped, Persist::Keep) => Some(Folder::open(quota.root(), id)?),
            (Backing::Mapped, Persist::Discard) => Some(Folder::private(quota.root())?),
        };
        let path = folder.as_ref().map(Folder::path);
        let index = match path {
            Some(path) => region::map_unnamed(path, index_bytes)?,
            None => Region::heap(region::mappable(index_bytes, Path::new(&label))?),
        };
        let slabs = Slabs::new(id, Index::new(WordRegion::new(index)), path);
        if let Some(folder) = &folder {
            folder.describe(&About { label, tile_count })?;
            slabs.adopt_all(folder.path())?;
        }
        let disk_bytes = slabs.all().iter().map(|slab| slab.geometry().disk_bytes()).sum();
        let shared = Arc::new(Shared {
            slabs,
            tile_count,
            eviction: options.eviction,
            discards: AtomicBool::new(folder.as_ref().is_some_and(Folder::is_private)),
            folder,
            disk_bytes: AtomicU64::new(disk_bytes),
            hash_failures: AtomicU64::new(0),
            retired_slabs: AtomicU64::new(0),
            syncing: Mutex::default(),
            quota: Arc::clone(&quota),
        });
        quota.opened(&shared, disk_bytes);
        quota.take(index_bytes);
        Ok(Self { shared })
    }

    /// Tiles of the set, stored or not.
    pub fn tile_count(&self) -> u64 {
        self.shared.tile_count
    }

    /// What the user should know about where this store is.
    pub fn note(&self) -> Option<&StoreNote> {
        self.shared.note()
    }

    /// Whether a tile is stored. No lock, no file.
    pub fn is_ready(&self, tile: u64) -> bool {
        self.shared.slabs.index.get(tile).is_some()
    }

    /// Room for a tile, to decode into. What is in it is unspecified; see [`SlotWriter::zero`].
    ///
    /// Waits while more than [`MAX_DIRTY_BYTES`] are on their way to the disk.
    pub fn begin(&self, tile: u64, bytes: usize, class: SlabClass) -> Result<SlotWriter<'_>> {
        let (mut hold, touched) = self.shared.claim(tile, bytes, class)?;
        if !touched {
            hold.fill_with_zeros(bytes)?;
        }
        Ok(SlotWriter::new(&self.shared, hold, tile, bytes, !touched))
    }

    /// Stores a tile that is whole on the heap: cheaper than [`Self::begin`] and a copy.
    pub fn put(&self, tile: u64, bytes: &[u8], class: SlabClass) -> Result<()> {
        let (mut hold, _) = self.shared.claim(tile, bytes.len(), class)?;
        hold.fill(bytes)?;
        self.shared.commit(hold, tile, bytes.len(), Some(bytes))
    }

    /// Copies a tile out and checks it; false where it is absent, and where it is not what was stored.
    pub fn read_into(&self, tile: u64, out: &mut [u8]) -> Result<bool> {
        let Some(pin) = self.shared.pin(tile) else { return Ok(false) };
        let slab = Arc::clone(pin.slab());
        let entry = slab.directory.read(pin.slot())?;
        if let Some(entry) = entry
            && entry.tile == tile
            && entry.bytes as usize == out.len()
        {
            out.copy_from_slice(pin.bytes(out.len()));
            let is_right = content_hash(self.shared.slabs.id, tile, entry.generation, out) == entry.hash;
            if is_right && !slab.is_poisoned() {
                return Ok(true);
            }
        }
        self.shared.reject(tile, pin);
        Ok(false)
    }

    /// Lets `read` look at a tile in place; `None` where it is absent, and where it is not what was stored.
    ///
    /// The bytes are hashed first, unless this run committed the tile and its slab was not handed to write-back since:
    /// then its pages are still the ones that were written and hashed.
    /// (Should the system have written them out and dropped them of its own accord in those moments, it read them back
    /// from the same disk in the same run; a loader that reads the tile later hashes it whatever happened.)
    pub fn with_pinned<R>(&self, tile: u64, read: impl FnOnce(&[u8]) -> R) -> Result<Option<R>> {
        let Some(pin) = self.shared.pin(tile) else { return Ok(None) };
        let slab = Arc::clone(pin.slab());
        let entry = slab.directory.read(pin.slot())?;
        if let Some(entry) = entry
            && entry.tile == tile
        {
            let bytes = pin.bytes(entry.bytes as usize);
            let is_right =
                pin.found.fresh || content_hash(self.shared.slabs.id, tile, entry.generation, bytes) == entry.hash;
            if is_right && !slab.is_poisoned() {
                let result = read(bytes);
                // A fault in the middle gave zeros.
                if !slab.is_poisoned() {
                    return Ok(Some(result));
                }
            }
        }
        self.shared.reject(tile, pin);
        Ok(None)
    }

    /// Removes a tile that was found to be wrong.
    pub fn discard(&self, tile: u64) {
        if let Some(pin) = self.shared.pin(tile) {
            self.shared.slabs.discard(tile, pin);
        }
    }

    /// Mapped memory of our own for something that is too large for the heap; zeroed, and gone with the value.
    pub fn scratch(&self, bytes: u64) -> Result<Scratch> {
        Scratch::new(&self.shared, bytes)
    }

    /// Makes everything durable that is committed.
    pub fn sync(&self) -> Result<()> {
        let _one = self.shared.syncing.lock();
        let slabs: Vec<Arc<Slab>> =
            self.shared.slabs.all().into_iter().filter(|slab| slab.unsynced.swap(false, Ordering::Relaxed)).collect();
        let synced = self.shared.sync(&slabs);
        if synced.is_err() {
            slabs.iter().for_each(|slab| slab.unsynced.store(true, Ordering::Relaxed));
        }
        synced
    }

    /// Whether so many more bytes fit without giving anything up: the fill of a source that does not fit keeps derived
    /// levels only.
    pub fn has_room_for(&self, bytes: u64) -> Result<bool> {
        Ok(self.shared.quota.room_bytes(self.shared.folder_path())? >= bytes)
    }

    /// What it holds.
    pub fn statistics(&self) -> StoreStatistics {
        let shared = &self.shared;
        let slabs = shared.slabs.all();
        let disk_bytes = shared.disk_bytes.load(Ordering::Relaxed) + shared.slabs.index.len() as u64;
        let mapped = slabs.iter().filter(|slab| slab.region().is_mapped()).map(|slab| slab.region().len() as u64);
        StoreStatistics {
            ready_tiles: shared.slabs.ready_tiles.load(Ordering::Relaxed),
            slabs: slabs.len() as u64,
            mapped_bytes: mapped.sum::<u64>() + shared.slabs.index.len() as u64,
            disk_bytes: if shared.folder.is_some() { disk_bytes } else { 0 },
            dirty_bytes: slabs.iter().map(|slab| slab.dirty_bytes.load(Ordering::Relaxed)).sum(),
            hash_failures: shared.hash_failures.load(Ordering::Relaxed),
            retired_slabs: shared.retired_slabs.load(Ordering::Relaxed),
        }
    }

    /// Has the store removed when the last user lets go of it: its source changed, or the user wants it forgotten.
    pub fn discard_on_close(&self) {
        self.shared.discards.store(true, Ordering::Relaxed);
    }
}

impl Shared {
    fn folder_path(&self) -> Option<&Path> {
        self.folder.as_ref().map(Folder::path)
    }

    fn note(&self) -> Option<&StoreNote> {
        self.folder.as_ref()?.note()
    }

    /// A slot for a tile. The flag tells whether older bytes may be in it.
    fn claim(&self, tile: u64, bytes: usize, class: SlabClass) -> Result<(Hold, bool)> {
        let path = self.folder_path().unwrap_or(self.quota.root());
        if tile >= self.tile_count {
            return Err(Error::too_large(format!("tile {tile} of {}", self.tile_count), path));
        }
        if bytes == 0 || bytes > MAX_TILE_BYTES {
            return Err(Error::too_large(format!("a tile of {bytes} bytes, limit {MAX_TILE_BYTES}"), path));
        }
        let size_class = SizeClass::of_tile(class, bytes as u32);
        self.quota.write_back().wait_for_room();
        loop {
            if let Some((hold, touched)) = self.slabs.claim(size_class) {
                hold.slab().last_used.store(self.quota.tick(), Ordering::Relaxed);
                return Ok((hold, touched));
            }
            self.grow(size_class)?;
        }
    }

    /// Gets the next slab of a size class going.
    fn grow(&self, size_class: SizeClass) -> Result<()> {
        let growth = self.quota.growth();
        if self.slabs.has_room(size_class) {
            return Ok(());
        }
        let (full, goes_on) = self.slabs.put_aside(size_class);
        if let Some(full) = full {
            self.quota.write_back().slab_is_full(full);
        }
        if goes_on {
            return Ok(());
        }
        let least_bytes = size_class.geometry(0).disk_bytes();
        let mut wanted_bytes = self.slabs.next_slab_bytes(size_class);
        loop {
            let granted = match self.quota.make_room(&growth, self, size_class, wanted_bytes, least_bytes)? {
                Room::Recycled(slab) => return self.slabs.refill(slab),
                Room::Bytes(granted) => granted,
            };
            let geometry = size_class.geometry(granted.saturating_sub(granted / 256));
            let grown = self.slabs.grow(geometry);
            self.quota.give(granted);
            match grown {
                Ok(()) => {
                    self.quota.take(geometry.disk_bytes());
                    self.disk_bytes.fetch_add(geometry.disk_bytes(), Ordering::Relaxed);
                    return Ok(());
                }
                // The disk was fuller than it said.
                Err(Error::StorageFull { .. }) if wanted_bytes > least_bytes => {
                    wanted_bytes = (wanted_bytes / 2).max(least_bytes);
                }
                Err(full @ Error::StorageFull { .. }) => {
                    if !self.quota.give_way(&growth)? {
                        return Err(full);
                    }
                }
                Err(other) => return Err(other),
            }
        }
    }

    /// Makes the bytes in a slot a tile. `heap` holds the same bytes where the caller has them at hand.
    fn commit(&self, hold: Hold, tile: u64, bytes: usize, heap: Option<&[u8]>) -> Result<()> {
        let slab = Arc::clone(hold.slab());
        let generation = self.slabs.generation.fetch_add(1, Ordering::Relaxed) + 1;
        let hash = content_hash(self.slabs.id, tile, generation, heap.unwrap_or_else(|| hold.bytes(bytes)));
        #[cfg(test)]
        hold.record();
        slab.directory.write(hold.slot(), directory::Entry { tile, generation, bytes: bytes as u32, hash })?;
        if slab.is_poisoned() {
            return Err(Error::format("a cache file was damaged while it was written; try again", &slab.data_path()));
        }
        let pin = hold.publish();
        self.slabs.publish(tile, &pin);
        self.quota.write_back().wrote(&slab, bytes as u64);
        Ok(())
    }

    fn pin(&self, tile: u64) -> Option<Pin> {
        match self.slabs.pin(tile) {
            Some(pin) => {
                pin.slab().last_used.store(self.quota.tick(), Ordering::Relaxed);
                Some(pin)
            }
            None => {
                self.retire_poisoned(tile);
                None
            }
        }
    }

    /// A tile that lies in a poisoned slab is absent, and so are all others of the slab.
    fn retire_poisoned(&self, tile: u64) {
        let place = self.slabs.index.get(tile);
        if let Some(slab) = place.and_then(|place| self.slabs.slab(place.slab))
            && slab.is_poisoned()
            && let Some(growth) = self.quota.try_growth()
            && self.retire(&slab)
        {
            self.remove_slab(&growth, &slab);
        }
    }

    fn reject(&self, tile: u64, pin: Pin) {
        self.hash_failures.fetch_add(1, Ordering::Relaxed);
        self.slabs.discard(tile, pin);
    }

    fn sync(&self, slabs: &[Arc<Slab>]) -> Result<()> {
        self.quota.write_back().write_out(slabs)?;
        for slab in slabs {
            if let Some(file) = slab.data_file() {
                file?.sync_data().map_err(|e| Error::io("cannot write out", e, &slab.data_path()))?;
            }
            slab.directory.sync()?;
        }
        self.folder.as_ref().map_or(Ok(()), Folder::sync)
    }

    /// Slabs that could be given up, with their turn.
    fn evictable(&self) -> Vec<((bool, u64), Arc<Slab>)> {
        let is_last =
            |slab: &Slab| self.eviction == EvictionOrder::DerivedLast && slab.geometry().class == SlabClass::Derived;
        let candidates = self.slabs.all().into_iter().filter(|slab| !self.slabs.is_filling(slab));
        candidates.map(|slab| ((is_last(&slab), slab.last_used.load(Ordering::Relaxed)), slab)).collect()
    }

    fn retire(&self, slab: &Arc<Slab>) -> bool {
        let is_retired = self.slabs.retire(slab);
        self.retired_slabs.fetch_add(u64::from(is_retired), Ordering::Relaxed);
        is_retired
    }

    fn remove_slab(&self, _growth: &Growth<'_>, slab: &Arc<Slab>) {
        self.slabs.remove(slab);
        self.quota.write_back().forget(std::slice::from_ref(slab));
        let bytes = slab.geometry().disk_bytes();
        self.disk_bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.quota.give(bytes);
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let is_kept = !self.discards.load(Ordering::Relaxed);
        let slabs = self.slabs.take_all();
        if !is_kept {
            slabs.iter().for_each(|slab| slab.retired.store(true, Ordering::Relaxed));
        }
        self.quota.write_back().forget(&slabs);
        // Unmapped before the folder goes: Windows deletes no mapped file.
        drop(slabs);
        self.quota.give(self.slabs.index.len() as u64);
        self.quota.closed(self.disk_bytes.load(Ordering::Relaxed), is_kept && self.folder.is_some());
        if let Some(folder) = self.folder.take()
            && !is_kept
            && let Err(error) = folder.remove()
        {
            tracing::warn!("{error}");
        }
    }
}

/// The name of a store: a hash of all that its bytes depend on.
fn store_id(fingerprint: &[u8], tile_count: u64) -> StoreId {
    let mut hash = Xxh3::new();
    hash.update(b"microtome store");
    hash.update(&STORE_FORMAT.to_le_bytes());
    hash.update(&DECODER_EPOCH.to_le_bytes());
    // 16-bit samples are stored in the machine's order.
    hash.update(&1_u16.to_ne_bytes());
    hash.update(&tile_count.to_le_bytes());
    hash.update(fingerprint);
    StoreId(hash.digest128())
}
