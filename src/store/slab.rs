//! One slab: equal slots in one file, their words, their directory.

// Slots are handed out as slices of one shared region.
#![allow(unsafe_code)]

use super::directory::{Directory, Geometry, StoreId};
use super::files::{self, FileRole, OpenFiles};
use super::region::{self, Region};
use super::slabs::SizeClass;
use super::slots::{Pinned, Slots, Unpinned};
use super::words::{WordPool, Words};
use crate::error::{Error, Result};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

/// A slab in use. Whoever holds the `Arc` keeps the memory mapped.
pub struct Slab {
    /// Its number in the store.
    pub number: u32,
    /// Its entries.
    pub directory: Directory,
    /// When it was used last, on the quota's clock.
    pub last_used: AtomicU64,
    /// Bytes committed and not handed to write-back.
    pub dirty_bytes: AtomicU64,
    /// Whether something was written since the last sync.
    pub unsynced: AtomicBool,
    /// Free slots, for a guess: the words know.
    pub free_slots: AtomicU32,
    /// Its bytes cannot be trusted any more: every tile in it counts as absent, and it is retired.
    pub poisoned: AtomicBool,
    /// It was retired: its files go when the last user is gone.
    pub retired: AtomicBool,
    region: Region,
    words: Words,
    files: Option<Arc<OpenFiles>>,
}

/// A shared hold on a Ready slot; its bytes stay as they are while it lives.
pub struct Pin {
    slab: Arc<Slab>,
    slot: u32,
    /// What was found when it was taken.
    pub found: Pinned,
}

/// The sole hold on a slot in Writing; the slot is given up when this is dropped.
pub struct Hold {
    slab: Arc<Slab>,
    slot: u32,
    published: bool,
}

impl Slab {
    /// Makes a slab on disk, allocated before it is mapped, and nothing else when that fails.
    pub fn create(
        store: StoreId,
        number: u32,
        geometry: Geometry,
        files: &Arc<OpenFiles>,
        words: &WordPool,
    ) -> Result<Self> {
        let made = Self::create_files(store, number, geometry, files, words);
        if made.is_err() {
            remove_files(number, files);
        }
        made
    }

    fn create_files(
        store: StoreId,
        number: u32,
        geometry: Geometry,
        files: &Arc<OpenFiles>,
        words: &WordPool,
    ) -> Result<Self> {
        let path = files.path(number, FileRole::Data);
        let file = Arc::new(region::create_private_file(&path)?);
        region::allocate(&file, geometry.data_bytes(), &path)?;
        let region = Region::map(&file, region::mappable(geometry.data_bytes(), &path)?, &path)?;
        files.keep(number, FileRole::Data, file);
        let directory = Directory::create(store, number, geometry, Arc::clone(files))?;
        let words = words.take(geometry.slots as usize)?;
        Ok(Self::new(number, directory, region, words, Some(Arc::clone(files))))
    }

    /// Opens a slab of an earlier run, with no tile in it; `None` where its directory says nothing valid.
    pub fn open(store: StoreId, number: u32, files: &Arc<OpenFiles>, words: &WordPool) -> Result<Option<Self>> {
        let Some(directory) = Directory::open(store, number, Arc::clone(files))? else { return Ok(None) };
        let geometry = directory.geometry();
        let path = files.path(number, FileRole::Data);
        let file = files.get(number, FileRole::Data)?;
        // Somebody may have cut it short or punched holes into it.
        region::allocate(&file, geometry.data_bytes(), &path)?;
        let region = Region::map(&file, region::mappable(geometry.data_bytes(), &path)?, &path)?;
        let words = words.take(geometry.slots as usize)?;
        Ok(Some(Self::new(number, directory, region, words, Some(Arc::clone(files)))))
    }

    /// A slab on the heap.
    pub fn heap(store: StoreId, number: u32, geometry: Geometry, words: &WordPool) -> Result<Self> {
        let region = Region::heap(region::mappable(geometry.data_bytes(), &PathBuf::new())?);
        let words = words.take(geometry.slots as usize)?;
        Ok(Self::new(number, Directory::heap(store, number, geometry), region, words, None))
    }

    fn new(number: u32, directory: Directory, region: Region, words: Words, files: Option<Arc<OpenFiles>>) -> Self {
        let free_slots = AtomicU32::new(directory.geometry().slots);
        Self {
            number,
            directory,
            last_used: AtomicU64::new(0),
            dirty_bytes: AtomicU64::new(0),
            unsynced: AtomicBool::new(false),
            free_slots,
            poisoned: AtomicBool::new(false),
            retired: AtomicBool::new(false),
            region,
            words,
            files,
        }
    }

    /// The state machine of its slots.
    pub fn slots(&self) -> Slots<'_> {
        Slots::new(self.words.get())
    }

    /// How it is divided.
    pub fn geometry(&self) -> Geometry {
        self.directory.geometry()
    }

    /// Which slabs it is one of.
    pub fn size_class(&self) -> SizeClass {
        let geometry = self.geometry();
        SizeClass { class: geometry.class, slot_bytes: geometry.slot_bytes }
    }

    /// Its memory.
    pub fn region(&self) -> &Region {
        &self.region
    }

    /// Its data file, where it has one.
    pub fn data_file(&self) -> Option<Result<Arc<std::fs::File>>> {
        self.files.as_ref().map(|files| files.get(self.number, FileRole::Data))
    }

    /// Where its data file lies.
    pub fn data_path(&self) -> PathBuf {
        self.files.as_ref().map_or_else(PathBuf::new, |files| files.path(self.number, FileRole::Data))
    }

    /// Whether its bytes can still be trusted.
    pub fn is_poisoned(&self) -> bool {
        self.poisoned.load(Ordering::Relaxed)
    }

    /// Takes a free slot, looking from `from` onwards. The flag tells whether older bytes may be in it.
    pub fn claim(self: &Arc<Self>, from: u32) -> Option<(Hold, bool)> {
        let claim = self.slots().claim(from)?;
        self.free_slots.fetch_sub(1, Ordering::Relaxed);
        Some((Hold { slab: Arc::clone(self), slot: claim.slot, published: false }, claim.touched))
    }

    /// Shares a Ready slot.
    pub fn pin(self: &Arc<Self>, slot: u32) -> Option<Pin> {
        if self.is_poisoned() {
            return None;
        }
        let found = self.slots().pin(slot)?;
        Some(Pin { slab: Arc::clone(self), slot, found })
    }

    /// Makes all slots free after a successful retirement, for new tiles.
    pub fn recycle(&self) -> Result<()> {
        self.directory.erase_all()?;
        self.free_slots.store(self.geometry().slots, Ordering::Relaxed);
        self.slots().reset();
        Ok(())
    }

    fn give_up(&self, slot: u32) {
        self.free_slots.fetch_add(1, Ordering::Relaxed);
        self.slots().abandon(slot);
    }

    fn range(&self, slot: u32, bytes: usize) -> Range<usize> {
        let start = slot as usize * self.geometry().slot_bytes as usize;
        start..start + bytes
    }

    fn file_range(&self, slot: u32) -> u64 {
        u64::from(slot) * u64::from(self.geometry().slot_bytes)
    }
}

impl Drop for Slab {
    fn drop(&mut self) {
        if let Some(files) = &self.files
            && self.retired.load(Ordering::Relaxed)
        {
            // Windows deletes no mapped file.
            self.region = Region::heap(0);
            remove_files(self.number, files);
        }
    }
}

/// Removes the files of a slab, the directory first: data without a directory is nothing.
pub fn remove_files(slab: u32, files: &OpenFiles) {
    files.close(slab);
    for role in [FileRole::Directory, FileRole::Data] {
        let path = files.path(slab, role);
        if let Err(error) = std::fs::remove_file(&path)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!("a cache file is left for the next start: {error}: {}", path.display());
        }
    }
}

impl Hold {
    /// The slab.
    pub fn slab(&self) -> &Arc<Slab> {
        &self.slab
    }

    /// The slot.
    pub fn slot(&self) -> u32 {
        self.slot
    }

    /// The first bytes of the slot.
    pub fn bytes(&self, bytes: usize) -> &[u8] {
        // SAFETY: the slot is in Writing and this is the only hold on it; `&self` excludes `bytes_mut`.
        unsafe { self.slab.region.bytes(self.slab.range(self.slot, bytes)) }
    }

    /// The first bytes of the slot, to write.
    pub fn bytes_mut(&mut self, bytes: usize) -> &mut [u8] {
        // SAFETY: the slot is in Writing and this is the only hold on it.
        unsafe { self.slab.region.bytes_mut(self.slab.range(self.slot, bytes)) }
    }

    /// Writes bytes into the start of the slot through the file, not the map.
    ///
    /// The system then takes new pages in large pieces and without a fault each: for 1.6 GB in new slabs 0.4 CPU-s
    /// instead of 1.5 to 2.3 by storing into the map.
    /// Only Unix systems promise that the map shows them.
    pub fn fill(&mut self, bytes: &[u8]) -> Result<()> {
        if cfg!(unix)
            && let Some(file) = self.slab.data_file()
        {
            let written = files::write_all_at(&*file?, bytes, self.slab.file_range(self.slot));
            return written.map_err(|e| Error::io("cannot write", e, &self.slab.data_path()));
        }
        self.bytes_mut(bytes.len()).copy_from_slice(bytes);
        Ok(())
    }

    /// Zeroes the start of a slot that was never written before: through the file, for the reason given at
    /// [`Self::fill`]. What is then stored through the map finds its pages there.
    pub fn fill_with_zeros(&mut self, bytes: usize) -> Result<()> {
        if cfg!(unix)
            && let Some(file) = self.slab.data_file()
        {
            let (file, start) = (file?, self.slab.file_range(self.slot));
            let written = (0..bytes).step_by(region::ZEROS.len()).try_for_each(|at| {
                let piece = &region::ZEROS[..region::ZEROS.len().min(bytes - at)];
                files::write_all_at(&file, piece, start + at as u64)
            });
            return written.map_err(|e| Error::io("cannot write", e, &self.slab.data_path()));
        }
        // New files and new heap are zero already.
        Ok(())
    }

    /// Tells the tests' journal what is in the slot now.
    #[cfg(test)]
    pub fn record(&self) {
        let slot_bytes = self.slab.geometry().slot_bytes as usize;
        super::journal::record(&self.slab.data_path(), self.slab.file_range(self.slot), self.bytes(slot_bytes));
    }

    /// Makes the slot Ready, and the hold a pin.
    pub fn publish(mut self) -> Pin {
        self.slab.slots().publish(self.slot);
        self.published = true;
        Pin { slab: Arc::clone(&self.slab), slot: self.slot, found: Pinned { fresh: true } }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        if !self.published {
            #[cfg(test)]
            self.record();
            self.slab.give_up(self.slot);
        }
    }
}

impl Pin {
    /// The slab.
    pub fn slab(&self) -> &Arc<Slab> {
        &self.slab
    }

    /// The slot.
    pub fn slot(&self) -> u32 {
        self.slot
    }

    /// The first bytes of the slot.
    pub fn bytes(&self, bytes: usize) -> &[u8] {
        // SAFETY: the slot is Ready and pinned: nobody writes it before the pin is given back.
        unsafe { self.slab.region.bytes(self.slab.range(self.slot, bytes)) }
    }

    /// Has the slot erased once nobody uses it; the caller has taken its tile out of the index.
    pub fn doom(self) {
        self.slab.slots().doom(self.slot);
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        match self.slab.slots().unpin(self.slot) {
            Unpinned::Done => {}
            Unpinned::Erase => {
                if let Err(error) = self.slab.directory.erase(self.slot) {
                    // An entry that outlives its tile does no harm: its hash fits no other bytes.
                    tracing::warn!("{error}");
                }
                self.slab.give_up(self.slot);
            }
        }
    }
}
