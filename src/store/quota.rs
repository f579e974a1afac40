//! How much disk all stores together may take, and who gives way when it is used up.
//!
//! Room is found in this order: smaller slabs while there is some left; closed stores, the least recently used first;
//! slabs of open stores, the least recently used first, with derived slabs last where the source has no levels of its own.

use super::Shared;
use super::catalogue;
use super::folder;
use super::slab::Slab;
use super::slabs::{FIRST_SLAB_BYTES, LAST_SLAB_BYTES, SizeClass};
use super::write_back::WriteBack;
use crate::error::{Error, Result};
use parking_lot::{Mutex, MutexGuard};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

/// Disk that is left to others by default, in bytes.
pub const FREE_DISK_FLOOR_BYTES: u64 = 2 << 30;

/// A slab takes at most this part of the limit, so that giving one up is not giving up everything.
const SLABS_IN_LIMIT: u64 = 16;

/// Where stores live and how much they may take.
#[derive(Debug, Clone)]
pub struct QuotaOptions {
    /// The cache folder.
    pub root: PathBuf,
    /// Bytes that all stores together may take on the disk.
    pub limit_bytes: u64,
    /// Bytes of the disk that stay free.
    pub free_disk_floor_bytes: u64,
}

/// The limits that all stores of a cache folder share, and the thread that writes them out.
pub struct Quota {
    options: QuotaOptions,
    /// Bytes of stores that are not open here (another program may have them open), as they were last counted.
    closed_bytes: AtomicU64,
    /// Bytes of stores and scratch that are open here.
    open_bytes: AtomicU64,
    clock: AtomicU64,
    open: Mutex<Vec<Weak<Shared>>>,
    growth: Mutex<()>,
    write_back: WriteBack,
}

/// Held by the one thread that makes, retires or removes slabs.
pub type Growth<'a> = MutexGuard<'a, ()>;

/// Room on the disk that was set aside.
pub enum Room {
    /// So many bytes may be allocated now.
    Bytes(u64),
    /// A slab of the wanted size class was retired and may be filled again.
    Recycled(Arc<Slab>),
}

impl Quota {
    /// Opens a cache folder, made if it is not there, and sweeps what crashed programs left in it.
    pub fn new(options: QuotaOptions) -> Result<Arc<Self>> {
        folder::make_root(&options.root)?;
        folder::check_writable(&options.root)?;
        catalogue::sweep(&options.root);
        let closed_bytes = AtomicU64::new(catalogue::bytes_but_for(&options.root, &[])?);
        Ok(Arc::new(Self {
            options,
            closed_bytes,
            open_bytes: AtomicU64::new(0),
            clock: AtomicU64::new(1),
            open: Mutex::default(),
            growth: Mutex::default(),
            write_back: WriteBack::start()?,
        }))
    }

    /// The cache folder.
    pub fn root(&self) -> &Path {
        &self.options.root
    }

    /// Bytes that all stores together may take on the disk.
    pub fn limit_bytes(&self) -> u64 {
        self.options.limit_bytes
    }

    /// Bytes that all stores take on the disk, open or closed.
    pub fn used_bytes(&self) -> u64 {
        self.closed_bytes.load(Ordering::Relaxed) + self.open_bytes.load(Ordering::Relaxed)
    }

    /// Bytes that are stored and not known to be on the disk.
    pub fn dirty_bytes(&self) -> u64 {
        self.write_back.dirty_bytes()
    }

    /// Slabs that could not be written out; their tiles count as absent.
    pub fn write_back_failures(&self) -> u64 {
        self.write_back.failures()
    }

    /// The thread that writes slabs out.
    pub(super) fn write_back(&self) -> &WriteBack {
        &self.write_back
    }

    /// A later time than any before.
    pub(super) fn tick(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::Relaxed)
    }

    /// Waits for the right to make and retire slabs.
    pub(super) fn growth(&self) -> Growth<'_> {
        self.growth.lock()
    }

    /// The same, for those who can do without.
    pub(super) fn try_growth(&self) -> Option<Growth<'_>> {
        self.growth.try_lock()
    }

    /// A store was opened that has so many bytes on the disk from before.
    pub(super) fn opened(&self, store: &Arc<Shared>, disk_bytes: u64) {
        self.take(disk_bytes);
        let mut open = self.open.lock();
        let closed_bytes = self.closed_bytes.load(Ordering::Relaxed);
        self.closed_bytes.store(closed_bytes.saturating_sub(disk_bytes), Ordering::Relaxed);
        open.retain(|store| store.strong_count() > 0);
        open.push(Arc::downgrade(store));
    }

    /// A store was closed, with so many bytes on the disk; `is_kept` tells whether they stay there.
    pub(super) fn closed(&self, disk_bytes: u64, is_kept: bool) {
        let _one_at_a_time = self.open.lock();
        self.give(disk_bytes);
        if is_kept {
            self.closed_bytes.fetch_add(disk_bytes, Ordering::Relaxed);
        }
    }

    /// Counts bytes as used.
    pub(super) fn take(&self, bytes: u64) {
        self.open_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Counts bytes as free again.
    pub(super) fn give(&self, bytes: u64) {
        self.open_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Bytes that may still be used without anything giving way.
    pub(super) fn room_bytes(&self, folder: Option<&Path>) -> Result<u64> {
        let in_limit = self.options.limit_bytes.saturating_sub(self.used_bytes());
        let Some(folder) = folder else { return Ok(in_limit) };
        let on_disk = free_disk_bytes(folder)?.saturating_sub(self.options.free_disk_floor_bytes);
        Ok(in_limit.min(on_disk))
    }

    /// Sets room for a slab aside: `wanted_bytes`, or less where nothing else gives way, but at least `least_bytes`.
    /// The room counts as used from here on.
    pub(super) fn make_room(
        &self,
        growth: &Growth<'_>,
        store: &Shared,
        size_class: SizeClass,
        wanted_bytes: u64,
        least_bytes: u64,
    ) -> Result<Room> {
        let share = (self.options.limit_bytes / SLABS_IN_LIMIT).clamp(FIRST_SLAB_BYTES, LAST_SLAB_BYTES);
        let wanted_bytes = wanted_bytes.min(share).max(least_bytes);
        loop {
            let room = self.room_bytes(store.folder_path())?;
            // A smaller slab is better than throwing something away.
            let enough = (wanted_bytes / 4).max(least_bytes);
            if room >= enough {
                let granted = room.min(wanted_bytes);
                self.take(granted);
                return Ok(Room::Bytes(granted));
            }
            if self.remove_oldest_closed()? {
                continue;
            }
            match self.retire_oldest(growth) {
                Some((owner, slab)) => {
                    let is_fitting = std::ptr::eq(Arc::as_ptr(&owner), store) && slab.size_class() == size_class;
                    if is_fitting {
                        return Ok(Room::Recycled(slab));
                    }
                    owner.remove_slab(growth, &slab);
                }
                None if room >= least_bytes => {
                    self.take(room);
                    return Ok(Room::Bytes(room));
                }
                None => {
                    let path = store.folder_path().unwrap_or(self.root()).to_owned();
                    return Err(Error::StorageFull { needed_bytes: wanted_bytes, path });
                }
            }
        }
    }

    /// Sets exactly so much room aside.
    pub(super) fn make_exact_room(&self, store: &Shared, bytes: u64) -> Result<()> {
        let growth = self.growth();
        // Nothing is thrown away for something that will not fit even then.
        let reachable_bytes = self.room_bytes(store.folder_path())?.saturating_add(self.evictable_bytes());
        if reachable_bytes < bytes {
            let path = store.folder_path().unwrap_or(self.root()).to_owned();
            return Err(Error::StorageFull { needed_bytes: bytes, path });
        }
        while self.room_bytes(store.folder_path())? < bytes {
            if self.remove_oldest_closed()? {
                continue;
            }
            match self.retire_oldest(&growth) {
                Some((owner, slab)) => owner.remove_slab(&growth, &slab),
                None => {
                    let path = store.folder_path().unwrap_or(self.root()).to_owned();
                    return Err(Error::StorageFull { needed_bytes: bytes, path });
                }
            }
        }
        self.take(bytes);
        Ok(())
    }

    /// Gives one slab up, whosever it is, after the disk turned out to be fuller than it said.
    pub(super) fn give_way(&self, growth: &Growth<'_>) -> Result<bool> {
        if self.remove_oldest_closed()? {
            return Ok(true);
        }
        let retired = self.retire_oldest(growth);
        if let Some((owner, slab)) = &retired {
            owner.remove_slab(growth, slab);
        }
        Ok(retired.is_some())
    }

    /// Bytes of everything that could give way.
    fn evictable_bytes(&self) -> u64 {
        let stores: Vec<Arc<Shared>> = self.open.lock().iter().filter_map(Weak::upgrade).collect();
        let slabs = stores.iter().flat_map(|store| store.evictable());
        let open_bytes: u64 = slabs.map(|(_, slab)| slab.geometry().disk_bytes()).sum();
        self.closed_bytes.load(Ordering::Relaxed) + open_bytes
    }

    fn remove_oldest_closed(&self) -> Result<bool> {
        let removed = catalogue::remove_oldest(&self.options.root)?;
        if removed {
            let stores: Vec<Arc<Shared>> = self.open.lock().iter().filter_map(Weak::upgrade).collect();
            let own: Vec<&Path> = stores.iter().filter_map(|store| store.folder_path()).collect();
            self.closed_bytes.store(catalogue::bytes_but_for(&self.options.root, &own)?, Ordering::Relaxed);
        }
        Ok(removed)
    }

    fn retire_oldest(&self, _growth: &Growth<'_>) -> Option<(Arc<Shared>, Arc<Slab>)> {
        let stores: Vec<Arc<Shared>> = self.open.lock().iter().filter_map(Weak::upgrade).collect();
        let mut candidates: Vec<_> = stores
            .iter()
            .flat_map(|store| store.evictable().into_iter().map(move |(rank, slab)| (rank, store, slab)))
            .collect();
        candidates.sort_by_key(|(rank, ..)| *rank);
        let (_, owner, slab) = candidates.into_iter().find(|(_, store, slab)| store.retire(slab))?;
        Some((Arc::clone(owner), slab))
    }
}

/// Bytes that we could still write to the disk of a folder.
#[cfg(unix)]
pub fn free_disk_bytes(folder: &Path) -> Result<u64> {
    let disk = rustix::fs::statvfs(folder).map_err(|e| Error::io("cannot read the free space of", e.into(), folder))?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// No portable call tells; the allocation itself fails in time.
#[cfg(not(unix))]
pub fn free_disk_bytes(_folder: &Path) -> Result<u64> {
    Ok(u64::MAX)
}
