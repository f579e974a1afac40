//! The slabs of one store: which there are, which are being filled, which tile lies where.

use super::directory::{Entry, Geometry, SlabClass, StoreId};
use super::files::{FileRole, OpenFiles, parse_file_name};
use super::index::{Index, Location, MAX_SLABS, MAX_SLOTS};
use super::region::PAGE_BYTES;
use super::slab::{Hold, Pin, Slab, remove_files};
use super::words::WordPool;
use crate::error::{Error, Result};
use parking_lot::{Mutex, RwLock};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of the first slab of a size class: a small picture should cost little disk.
pub const FIRST_SLAB_BYTES: u64 = 256 << 10;

/// Bytes of the largest slab: large enough that 100 GB need 1 600 maps of the 65 530 that Linux allows, small enough
/// that four of them are the budget for dirty pages.
pub const LAST_SLAB_BYTES: u64 = 64 << 20;

/// Slabs of one class and slot size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SizeClass {
    /// What they hold.
    pub class: SlabClass,
    /// Bytes of a slot, a multiple of [`PAGE_BYTES`].
    pub slot_bytes: u32,
}

impl SizeClass {
    /// The class for tiles of so many bytes.
    pub fn of_tile(class: SlabClass, bytes: u32) -> Self {
        Self { class, slot_bytes: bytes.next_multiple_of(PAGE_BYTES as u32) }
    }

    /// The slab of this class that fits into so many bytes; at least one slot.
    pub fn geometry(self, bytes: u64) -> Geometry {
        let slots = (bytes / u64::from(self.slot_bytes)).clamp(1, u64::from(MAX_SLOTS)) as u32;
        Geometry { class: self.class, slot_bytes: self.slot_bytes, slots }
    }
}

/// What is being filled in one size class.
struct Filling {
    size_class: SizeClass,
    slab: Option<Arc<Slab>>,
    /// Where the next free slot is probably.
    next_slot: u32,
    /// Slabs made so far.
    made: u32,
}

/// The slabs of one store.
pub struct Slabs {
    /// The store's name.
    pub id: StoreId,
    /// Where each tile lies.
    pub index: Index,
    /// Tiles that have a place.
    pub ready_tiles: AtomicU64,
    /// The highest generation in use.
    pub generation: AtomicU64,
    files: Option<Arc<OpenFiles>>,
    words: WordPool,
    table: RwLock<Vec<Option<Arc<Slab>>>>,
    filling: Mutex<Vec<Filling>>,
}

impl Slabs {
    /// No slabs yet. `folder` is where they go; `None` keeps them on the heap.
    pub fn new(id: StoreId, index: Index, folder: Option<&Path>) -> Self {
        Self {
            id,
            index,
            ready_tiles: AtomicU64::new(0),
            generation: AtomicU64::new(0),
            files: folder.map(|folder| Arc::new(OpenFiles::new(folder.to_owned()))),
            words: WordPool::new(folder.map(Path::to_owned)),
            table: RwLock::default(),
            filling: Mutex::default(),
        }
    }

    /// Takes over what an earlier run left in the folder; what is damaged is removed.
    pub fn adopt_all(&self, folder: &Path) -> Result<()> {
        let Some(files) = &self.files else { return Ok(()) };
        for (number, roles) in list_files(folder)? {
            let whole = roles == [true, true] && number < MAX_SLABS;
            match if whole { Slab::open(self.id, number, files, &self.words)? } else { None } {
                Some(slab) => self.adopt(Arc::new(slab))?,
                None => remove_files(number, files),
            }
        }
        Ok(())
    }

    fn adopt(&self, slab: Arc<Slab>) -> Result<()> {
        let mut erased = Vec::new();
        let mut found = Vec::new();
        slab.directory.read_all(|slot, entry, is_blank| match entry {
            Some(entry) => found.push((slot, entry)),
            None if is_blank => {}
            None => erased.push(slot),
        })?;
        self.insert(Arc::clone(&slab));
        for (slot, entry) in found {
            if !self.adopt_tile(&slab, slot, entry)? {
                erased.push(slot);
            }
        }
        for slot in erased {
            slab.directory.erase(slot)?;
        }
        let mut filling = self.filling.lock();
        let filling = find_filling(&mut filling, slab.size_class());
        filling.made += 1;
        Ok(())
    }

    /// Gives a tile its place, unless a higher generation of it has one or it is not of this set.
    fn adopt_tile(&self, slab: &Arc<Slab>, slot: u32, entry: Entry) -> Result<bool> {
        let place = Location { slab: slab.number, slot };
        self.generation.fetch_max(entry.generation, Ordering::Relaxed);
        let older = self.index.get(entry.tile);
        if let Some(older) = older
            && let Some(other) = self.slab(older.slab)
        {
            if other.directory.read(older.slot)?.is_some_and(|o| o.generation > entry.generation) {
                return Ok(false);
            }
            other.directory.erase(older.slot)?;
            other.slots().abandon(older.slot);
            other.free_slots.fetch_add(1, Ordering::Relaxed);
        }
        if !self.index.replace(entry.tile, older, Some(place)) {
            return Ok(false);
        }
        if older.is_none() {
            self.ready_tiles.fetch_add(1, Ordering::Relaxed);
        }
        slab.slots().adopt(slot);
        slab.free_slots.fetch_sub(1, Ordering::Relaxed);
        Ok(true)
    }

    /// All slabs.
    pub fn all(&self) -> Vec<Arc<Slab>> {
        self.table.read().iter().flatten().cloned().collect()
    }

    /// A slab by number.
    pub fn slab(&self, number: u32) -> Option<Arc<Slab>> {
        self.table.read().get(number as usize)?.clone()
    }

    /// Shares the slot that a tile lies in; `None` where it has none.
    pub fn pin(&self, tile: u64) -> Option<Pin> {
        let place = self.index.get(tile)?;
        let pin = self.slab(place.slab)?.pin(place.slot)?;
        // The slab may have been retired and filled with other tiles since we looked.
        (self.index.get(tile) == Some(place)).then_some(pin)
    }

    /// Takes a tile out of the index, if it still lies where the pin is, and its slot with it.
    pub fn discard(&self, tile: u64, pin: Pin) {
        let place = Location { slab: pin.slab().number, slot: pin.slot() };
        if self.index.replace(tile, Some(place), None) {
            self.ready_tiles.fetch_sub(1, Ordering::Relaxed);
            pin.doom();
        }
    }

    /// Puts a tile in its place, and takes the one it had before away.
    pub fn publish(&self, tile: u64, pin: &Pin) {
        let place = Location { slab: pin.slab().number, slot: pin.slot() };
        loop {
            let older = self.index.get(tile);
            let older_pin = self.pin(tile);
            if self.index.replace(tile, older, Some(place)) {
                match older_pin {
                    Some(older_pin) => older_pin.doom(),
                    None if older.is_none() => {
                        self.ready_tiles.fetch_add(1, Ordering::Relaxed);
                    }
                    // Its slab is just being retired.
                    None => {}
                }
                return;
            }
        }
    }

    /// A free slot of the slab that is being filled. The flag tells whether older bytes may be in it.
    pub fn claim(&self, size_class: SizeClass) -> Option<(Hold, bool)> {
        let mut filling = self.filling.lock();
        let filling = find_filling(&mut filling, size_class);
        let slab = filling.slab.as_ref().filter(|slab| !slab.is_poisoned())?;
        let (hold, touched) = slab.claim(filling.next_slot)?;
        filling.next_slot = hold.slot() + 1;
        Some((hold, touched))
    }

    /// Whether [`Self::claim`] would probably find a slot.
    pub fn has_room(&self, size_class: SizeClass) -> bool {
        let mut filling = self.filling.lock();
        let slab = find_filling(&mut filling, size_class).slab.as_ref();
        slab.is_some_and(|slab| slab.free_slots.load(Ordering::Relaxed) > 0 && !slab.is_poisoned())
    }

    /// Stops filling a slab, and goes on with another one that has free slots if there is one.
    pub fn put_aside(&self, size_class: SizeClass) -> (Option<Arc<Slab>>, bool) {
        let partial = self.all().into_iter().find(|slab| {
            slab.size_class() == size_class && slab.free_slots.load(Ordering::Relaxed) > 0 && !slab.is_poisoned()
        });
        let mut filling = self.filling.lock();
        let filling = find_filling(&mut filling, size_class);
        let full = filling.slab.take();
        let goes_on = partial.is_some();
        filling.slab = partial;
        filling.next_slot = 0;
        (full, goes_on)
    }

    /// Bytes of the next slab of a class: doubling.
    pub fn next_slab_bytes(&self, size_class: SizeClass) -> u64 {
        let made = find_filling(&mut self.filling.lock(), size_class).made;
        let bytes = FIRST_SLAB_BYTES << made.min(LAST_SLAB_BYTES.ilog2());
        bytes.min(LAST_SLAB_BYTES).max(u64::from(size_class.slot_bytes))
    }

    /// Makes a slab and fills it from now on. One thread at a time.
    pub fn grow(&self, geometry: Geometry) -> Result<()> {
        let number = self.free_number()?;
        let slab = Arc::new(match &self.files {
            Some(files) => Slab::create(self.id, number, geometry, files, &self.words)?,
            None => Slab::heap(self.id, number, geometry, &self.words)?,
        });
        self.insert(Arc::clone(&slab));
        let mut filling = self.filling.lock();
        let filling = find_filling(&mut filling, slab.size_class());
        filling.made += 1;
        filling.slab = Some(slab);
        filling.next_slot = 0;
        Ok(())
    }

    /// Fills a slab that was retired and emptied.
    pub fn refill(&self, slab: Arc<Slab>) -> Result<()> {
        slab.recycle()?;
        let mut filling = self.filling.lock();
        let filling = find_filling(&mut filling, slab.size_class());
        filling.slab = Some(slab);
        filling.next_slot = 0;
        Ok(())
    }

    /// Whether a slab is being filled.
    pub fn is_filling(&self, slab: &Arc<Slab>) -> bool {
        self.filling.lock().iter().any(|filling| filling.slab.as_ref().is_some_and(|s| Arc::ptr_eq(s, slab)))
    }

    /// Takes all tiles of a slab out of the index; false, with nothing done, where one of them is in use. One thread at
    /// a time.
    pub fn retire(&self, slab: &Arc<Slab>) -> bool {
        if !slab.slots().retire() {
            return false;
        }
        let mut tiles = Vec::new();
        let listed = slab.directory.read_all(|_, entry, _| tiles.extend(entry.map(|entry| entry.tile)));
        if let Err(error) = listed {
            tracing::warn!("{error}");
            // Without its directory, whatever points into the slab tells what was in it.
            tiles = (0..self.index.tiles()).collect();
        }
        for tile in tiles {
            if let Some(place) = self.index.get(tile)
                && place.slab == slab.number
                && self.index.replace(tile, Some(place), None)
            {
                self.ready_tiles.fetch_sub(1, Ordering::Relaxed);
            }
        }
        true
    }

    /// Removes a retired slab; its files go when its last user is gone.
    pub fn remove(&self, slab: &Arc<Slab>) {
        slab.retired.store(true, Ordering::Relaxed);
        if let Some(place) = self.table.write().get_mut(slab.number as usize) {
            *place = None;
        }
        for filling in self.filling.lock().iter_mut() {
            if filling.slab.as_ref().is_some_and(|s| Arc::ptr_eq(s, slab)) {
                filling.slab = None;
            }
        }
    }

    /// Lets all slabs go.
    pub fn take_all(&self) -> Vec<Arc<Slab>> {
        self.filling.lock().clear();
        self.table.write().drain(..).flatten().collect()
    }

    fn insert(&self, slab: Arc<Slab>) {
        let mut table = self.table.write();
        let place = slab.number as usize;
        if table.len() <= place {
            table.resize(place + 1, None);
        }
        table[place] = Some(slab);
    }

    /// A number that no file has. Numbers are used again only when there are no others: the files of a retired slab may
    /// still be there.
    fn free_number(&self) -> Result<u32> {
        let table = self.table.read();
        if table.len() < MAX_SLABS as usize {
            return Ok(table.len() as u32);
        }
        let free = table.iter().enumerate().position(|(number, slab)| {
            let is_gone = |role| self.files.as_ref().is_none_or(|f| !f.path(number as u32, role).exists());
            slab.is_none() && is_gone(FileRole::Data) && is_gone(FileRole::Directory)
        });
        let folder = self.files.as_ref().map(|f| f.path(0, FileRole::Data)).unwrap_or_default();
        free.map(|number| number as u32)
            .ok_or_else(|| Error::too_large("a cache has no number for one more file", &folder))
    }
}

/// Which slab files a folder has: data and directory by number.
fn list_files(folder: &Path) -> Result<std::collections::BTreeMap<u32, [bool; 2]>> {
    let fail = |e| Error::io("cannot list", e, folder);
    let mut numbers = std::collections::BTreeMap::new();
    for item in std::fs::read_dir(folder).map_err(fail)? {
        let name = item.map_err(fail)?.file_name();
        if let Some((number, role)) = name.to_str().and_then(parse_file_name) {
            let roles: &mut [bool; 2] = numbers.entry(number).or_default();
            roles[usize::from(role == FileRole::Directory)] = true;
        }
    }
    Ok(numbers)
}

fn find_filling(all: &mut Vec<Filling>, size_class: SizeClass) -> &mut Filling {
    let place = all.iter().position(|f| f.size_class == size_class).unwrap_or_else(|| {
        all.push(Filling { size_class, slab: None, next_slot: 0, made: 0 });
        all.len() - 1
    });
    &mut all[place]
}
