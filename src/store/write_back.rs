//! Writing slabs out early, on a thread of its own.
//!
//! Stored tiles are dirty pages of the system's file cache, and it is dirty pages that push other programs out of memory.
//! So the write-back of a slab is started as soon as it is full; some slabs later its end is awaited and its pages leave
//! this process.
//! They are clean cache then: fast to read again, and free for the system to take.
//! Whoever stores tiles waits while more than [`MAX_DIRTY_BYTES`] are on their way.

// `sync_file_range` has no safe binding.
#![cfg_attr(target_os = "linux", allow(unsafe_code))]

use super::pressure;
use super::slab::Slab;
use crate::error::{Error, Result};
use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Stored and not known to be on the disk, in bytes, over all stores: the budget of the design.
pub const MAX_DIRTY_BYTES: u64 = 256 << 20;

/// From here on slabs are written out before they are full, in bytes: nobody should have to wait.
const EARLY_DIRTY_BYTES: u64 = MAX_DIRTY_BYTES / 4 * 3;

/// Slabs whose write-back runs while later ones are filled. Awaiting it at once would stop the disk between slabs.
const MAX_STARTED_SLABS: usize = 4;

/// The thread and what it works on. Dropping it stops the thread after the slab it is at.
pub struct WriteBack {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    work: Condvar,
    room: Condvar,
    /// Bytes in all slabs that are dirty or started.
    dirty_bytes: AtomicU64,
    failures: AtomicU64,
}

#[derive(Default)]
struct Queue {
    /// Slabs with tiles that no write-back was started for, the earliest first.
    dirty: VecDeque<Arc<Slab>>,
    /// Those among them that are full, by number of arrival.
    full: VecDeque<Arc<Slab>>,
    /// Started, with the bytes that were dirty then.
    started: VecDeque<(Arc<Slab>, u64)>,
    stopped: bool,
}

enum Step {
    Start(Arc<Slab>),
    Finish(Arc<Slab>, u64),
}

impl WriteBack {
    /// Starts the thread.
    pub fn start() -> Result<Self> {
        let shared = Arc::new(Shared::default());
        let of_thread = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("write-back".into())
            .spawn(move || of_thread.run())
            .map_err(|e| Error::io("cannot start a thread", e, Path::new("write-back")))?;
        Ok(Self { shared })
    }

    /// Bytes that are stored and not known to be on the disk.
    pub fn dirty_bytes(&self) -> u64 {
        self.shared.dirty_bytes.load(Ordering::Relaxed)
    }

    /// Slabs that could not be written out.
    pub fn failures(&self) -> u64 {
        self.shared.failures.load(Ordering::Relaxed)
    }

    /// A tile was stored in a slab.
    pub fn wrote(&self, slab: &Arc<Slab>, bytes: u64) {
        let total = self.shared.dirty_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        slab.unsynced.store(true, Ordering::Relaxed);
        if slab.dirty_bytes.fetch_add(bytes, Ordering::Relaxed) == 0 {
            self.shared.queue.lock().dirty.push_back(Arc::clone(slab));
        }
        if total > EARLY_DIRTY_BYTES {
            self.shared.work.notify_one();
        }
    }

    /// A slab has no free slot left.
    pub fn slab_is_full(&self, slab: Arc<Slab>) {
        self.shared.queue.lock().full.push_back(slab);
        self.shared.work.notify_one();
    }

    /// Waits while too much is dirty.
    pub fn wait_for_room(&self) {
        if self.dirty_bytes() <= MAX_DIRTY_BYTES {
            return;
        }
        let mut queue = self.shared.queue.lock();
        while self.dirty_bytes() > MAX_DIRTY_BYTES && !queue.stopped {
            self.shared.work.notify_one();
            self.shared.room.wait(&mut queue);
        }
    }

    /// Lets go of slabs whose store is closed. What is dirty in them is still written out, by the system.
    pub fn forget(&self, slabs: &[Arc<Slab>]) {
        let is_other = |slab: &Arc<Slab>| !slabs.iter().any(|gone| Arc::ptr_eq(gone, slab));
        let mut bytes: u64 = slabs.iter().map(|slab| start(slab)).sum();
        let mut queue = self.shared.queue.lock();
        queue.dirty.retain(is_other);
        queue.full.retain(is_other);
        queue.started.retain(|(slab, started_bytes)| {
            let kept = is_other(slab);
            bytes += if kept { 0 } else { *started_bytes };
            kept
        });
        self.shared.dirty_bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.shared.room.notify_all();
    }

    /// Writes slabs out now, on this thread.
    pub fn write_out(&self, slabs: &[Arc<Slab>]) -> Result<()> {
        // All at once first, so that the disk can order them.
        let started: Vec<(Arc<Slab>, u64)> = slabs.iter().map(|slab| (Arc::clone(slab), start(slab))).collect();
        // Every slab is finished, whatever became of another: bytes that stayed counted as dirty would block fillers.
        let outcomes: Vec<Result<()>> = started.iter().map(|(slab, bytes)| self.shared.finish(slab, *bytes)).collect();
        outcomes.into_iter().collect()
    }
}

impl Drop for WriteBack {
    fn drop(&mut self) {
        self.shared.queue.lock().stopped = true;
        self.shared.work.notify_all();
        self.shared.room.notify_all();
    }
}

impl Shared {
    fn run(&self) {
        while let Some(step) = self.next_step() {
            match step {
                Step::Start(slab) => {
                    let bytes = start(&slab);
                    self.queue.lock().started.push_back((slab, bytes));
                }
                Step::Finish(slab, bytes) => {
                    if let Err(error) = self.finish(&slab, bytes) {
                        tracing::warn!("{error}");
                    }
                }
            }
        }
    }

    fn next_step(&self) -> Option<Step> {
        let mut queue = self.queue.lock();
        loop {
            if queue.stopped {
                return None;
            }
            if let Some(slab) = queue.full.pop_front() {
                queue.dirty.retain(|dirty| !Arc::ptr_eq(dirty, &slab));
                return Some(Step::Start(slab));
            }
            let hurry = self.dirty_bytes.load(Ordering::Relaxed) > EARLY_DIRTY_BYTES;
            if (hurry || queue.started.len() > MAX_STARTED_SLABS)
                && let Some((slab, bytes)) = queue.started.pop_front()
            {
                return Some(Step::Finish(slab, bytes));
            }
            if hurry && let Some(slab) = queue.dirty.pop_front() {
                return Some(Step::Start(slab));
            }
            self.work.wait(&mut queue);
        }
    }

    /// Waits until what was dirty at the start is on the disk; then the pages leave this process.
    fn finish(&self, slab: &Slab, bytes: u64) -> Result<()> {
        let written = if slab.retired.load(Ordering::Relaxed) { Ok(()) } else { finish(slab) };
        self.dirty_bytes.fetch_sub(bytes, Ordering::Relaxed);
        // Under the lock, or a thread that is about to wait would miss it.
        drop(self.queue.lock());
        self.room.notify_all();
        written.map_err(|error| {
            // The system may have given the pages up: what they held is unknown now.
            self.failures.fetch_add(1, Ordering::Relaxed);
            slab.poisoned.store(true, Ordering::Relaxed);
            Error::io("cannot write out a cache file", error, &slab.data_path())
        })
    }
}

/// Starts the write-back of what is dirty, and says how much that is.
fn start(slab: &Slab) -> u64 {
    let bytes = slab.dirty_bytes.swap(0, Ordering::Relaxed);
    if bytes == 0 {
        return 0;
    }
    // From here on pages may become clean, be dropped and be read again from the disk: readers check hashes again.
    slab.slots().settle();
    if slab.retired.load(Ordering::Relaxed) {
        return bytes;
    }
    // A page that a thread can still reach is taken from all processors, one interrupt a page, before it is written out: the
    // window felt it. What is unmapped at once costs next to nothing, and a reader maps it again sixteen pages at a time.
    slab.region().release_pages();
    if let Err(error) = start_pages(slab) {
        // The wait that follows meets the same error, and reports it.
        tracing::debug!("write-back did not start: {error}");
    }
    bytes
}

fn finish(slab: &Slab) -> std::io::Result<()> {
    if !slab.region().is_mapped() {
        return Ok(());
    }
    finish_pages(slab)?;
    slab.region().release_pages();
    if pressure::memory_is_short() {
        drop_cache(slab)?;
    }
    Ok(())
}

#[cfg(target_os = "linux")]
fn start_pages(slab: &Slab) -> std::io::Result<()> {
    sync_pages(slab, libc::SYNC_FILE_RANGE_WRITE)
}

#[cfg(target_os = "linux")]
fn finish_pages(slab: &Slab) -> std::io::Result<()> {
    let all = libc::SYNC_FILE_RANGE_WAIT_BEFORE | libc::SYNC_FILE_RANGE_WRITE | libc::SYNC_FILE_RANGE_WAIT_AFTER;
    sync_pages(slab, all)
}

#[cfg(target_os = "linux")]
fn sync_pages(slab: &Slab, flags: libc::c_uint) -> std::io::Result<()> {
    use std::os::fd::AsRawFd as _;
    let Some(file) = slab.data_file() else { return Ok(()) };
    let file = file.map_err(std::io::Error::other)?;
    // SAFETY: the descriptor is open while `file` lives; the call takes no memory of ours.
    match unsafe { libc::sync_file_range(file.as_raw_fd(), 0, 0, flags) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}

#[cfg(not(target_os = "linux"))]
fn start_pages(slab: &Slab) -> std::io::Result<()> {
    slab.region().start_write_back()
}

#[cfg(not(target_os = "linux"))]
fn finish_pages(slab: &Slab) -> std::io::Result<()> {
    slab.region().write_back()
}

/// Gives clean pages back to the system at once.
#[cfg(target_os = "linux")]
fn drop_cache(slab: &Slab) -> std::io::Result<()> {
    let Some(file) = slab.data_file() else { return Ok(()) };
    let file = file.map_err(std::io::Error::other)?;
    Ok(rustix::fs::fadvise(&*file, 0, None, rustix::fs::Advice::DontNeed)?)
}

#[cfg(not(target_os = "linux"))]
fn drop_cache(_slab: &Slab) -> std::io::Result<()> {
    Ok(())
}
