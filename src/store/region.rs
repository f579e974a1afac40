//! Memory for slots, slot words, the index and scratch: a mapped file of our own, or the heap for tests and sanitizers.
//!
//! A file is allocated on disk before it is mapped: a write into a hole of a mapped file on a full disk kills the
//! process with SIGBUS, an allocation that fails is an error value.

// Maps and shared bytes cannot be had without it.
#![allow(unsafe_code)]

use super::system;
use crate::error::{Error, Result};
use memmap2::{MmapOptions, MmapRaw};
use std::cell::UnsafeCell;
use std::fs::{File, OpenOptions};
use std::ops::{Deref, DerefMut, Range};
use std::path::Path;
use std::sync::atomic::AtomicU32;

/// Slots, and everything else that is mapped, start at multiples of this: the largest page of the systems we run on.
pub const PAGE_BYTES: usize = 16 << 10;

const HEAP_PAGE_BYTES: usize = 4 << 10;

/// A page of the heap variant, aligned like a mapped one.
#[repr(C, align(4096))]
struct HeapPage(UnsafeCell<[u8; HEAP_PAGE_BYTES]>);

enum Memory {
    Mapped(MmapRaw),
    Heap(Box<[HeapPage]>),
}

/// Some shared memory. Who may touch which bytes when is decided elsewhere: by the slot state machine for slabs, by
/// ownership for scratch; slot words and the index are atomics throughout.
pub struct Region {
    memory: Memory,
    bytes: usize,
}

impl Drop for Region {
    fn drop(&mut self) {
        if self.is_mapped() {
            system::count_unmapped(self.bytes);
        }
    }
}

// SAFETY: the memory is plain bytes, and every access goes through an `unsafe` function whose caller proves that it is
// not written by another thread meanwhile, or through atomics.
unsafe impl Send for Region {}
// SAFETY: as above.
unsafe impl Sync for Region {}

impl Region {
    /// Maps the first `bytes` of a file of ours that [`allocate`] has allocated.
    pub fn map(file: &File, bytes: usize, path: &Path) -> Result<Self> {
        let map = MmapOptions::new().len(bytes).map_raw(file).map_err(|e| Error::io("cannot map", e, path))?;
        system::count_mapped(bytes);
        Ok(Self { memory: Memory::Mapped(map), bytes })
    }

    /// Zeroed heap memory.
    pub fn heap(bytes: usize) -> Self {
        let pages = Box::<[HeapPage]>::new_zeroed_slice(bytes.div_ceil(HEAP_PAGE_BYTES));
        // SAFETY: a page is bytes, for which zero is a valid value.
        let pages = unsafe { pages.assume_init() };
        Self { memory: Memory::Heap(pages), bytes }
    }

    /// How much there is, in bytes.
    pub fn len(&self) -> usize {
        self.bytes
    }

    /// Whether it is a mapped file.
    pub fn is_mapped(&self) -> bool {
        matches!(self.memory, Memory::Mapped(_))
    }

    fn start(&self) -> *mut u8 {
        match &self.memory {
            Memory::Mapped(map) => map.as_mut_ptr(),
            Memory::Heap(pages) => pages.as_ptr().cast_mut().cast(),
        }
    }

    /// Some of the bytes, to read.
    ///
    /// # Safety
    ///
    /// Nobody writes them while the slice lives.
    pub unsafe fn bytes(&self, range: Range<usize>) -> &[u8] {
        assert!(range.start <= range.end && range.end <= self.bytes);
        // SAFETY: in bounds; initialised, as files and heap start zeroed; not written meanwhile, says the caller.
        unsafe { std::slice::from_raw_parts(self.start().add(range.start), range.len()) }
    }

    /// Some of the bytes, to write.
    ///
    /// # Safety
    ///
    /// Nobody else reads or writes them while the slice lives.
    #[allow(clippy::mut_from_ref)] // Slots of one region are written by different threads; the caller owns the slot.
    pub unsafe fn bytes_mut(&self, range: Range<usize>) -> &mut [u8] {
        assert!(range.start <= range.end && range.end <= self.bytes);
        // SAFETY: in bounds, initialised, and the caller's alone.
        unsafe { std::slice::from_raw_parts_mut(self.start().add(range.start), range.len()) }
    }

    /// Starts writing dirty pages of a mapped region out; nothing for the heap.
    #[cfg(not(target_os = "linux"))]
    pub fn start_write_back(&self) -> std::io::Result<()> {
        match &self.memory {
            Memory::Mapped(map) => map.flush_async(),
            Memory::Heap(_) => Ok(()),
        }
    }

    /// Writes dirty pages of a mapped region out and waits; nothing for the heap.
    #[cfg(not(target_os = "linux"))]
    pub fn write_back(&self) -> std::io::Result<()> {
        match &self.memory {
            Memory::Mapped(map) => map.flush(),
            Memory::Heap(_) => Ok(()),
        }
    }

    /// Drops a mapped region's pages from this process. They stay in the system's cache, from where the next access
    /// takes them.
    pub fn release_pages(&self) {
        #[cfg(unix)]
        if let Memory::Mapped(map) = &self.memory {
            // SAFETY: the map is shared and file-backed, so its pages are only unmapped, never thrown away.
            let advised = unsafe { map.unchecked_advise(memmap2::UncheckedAdvice::DontNeed) };
            if let Err(error) = advised {
                tracing::debug!("the system kept the pages of a slab in memory: {error}");
            }
        }
    }
}

/// A region that holds nothing but atomic words.
pub struct WordRegion(Region);

impl WordRegion {
    /// Takes a region over. Its bytes are never seen as anything but words again.
    pub fn new(region: Region) -> Self {
        Self(region)
    }

    /// The words.
    pub fn words(&self) -> &[AtomicU32] {
        let count = self.0.bytes / size_of::<AtomicU32>();
        // SAFETY: pages are aligned for words, `AtomicU32` has the layout of `u32`, any bits are a valid one, and
        // this type gives no other access to the bytes.
        unsafe { std::slice::from_raw_parts(self.0.start().cast::<AtomicU32>(), count) }
    }

    /// How much memory it is, in bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

/// A region with one owner, like a vector.
pub struct OwnedRegion(Region);

impl OwnedRegion {
    /// Takes a region over.
    pub fn new(region: Region) -> Self {
        Self(region)
    }
}

impl Deref for OwnedRegion {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the region is in nobody else's hands, and `&self` excludes the slice of `deref_mut`.
        unsafe { self.0.bytes(0..self.0.bytes) }
    }
}

impl DerefMut for OwnedRegion {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: the region is in nobody else's hands, and `&mut self` excludes every other slice.
        unsafe { self.0.bytes_mut(0..self.0.bytes) }
    }
}

/// Creates a file that only the user can read, with copy-on-write switched off where the file system has it: it must be
/// new, because that can only be switched on an empty file.
pub fn create_private_file(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let file = options.open(path).map_err(|e| Error::io("cannot create", e, path))?;
    switch_copy_on_write_off(&file);
    Ok(file)
}

/// A mapped file without a name, which vanishes with the region.
pub fn map_unnamed(folder: &Path, bytes: u64) -> Result<Region> {
    let file = tempfile::tempfile_in(folder).map_err(|e| Error::io("cannot create a file in", e, folder))?;
    switch_copy_on_write_off(&file);
    allocate(&file, bytes, folder)?;
    Region::map(&file, mappable(bytes, folder)?, folder)
}

/// A file size as a size in memory.
pub fn mappable(bytes: u64, path: &Path) -> Result<usize> {
    usize::try_from(bytes).map_err(|_| Error::too_large("more than this machine can address", path))
}

/// On btrfs a rewrite of an allocated block needs a new block, so that a map can still fault when the disk is full.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn switch_copy_on_write_off(file: &File) {
    use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};
    // Most file systems have no such flag and say so; there is nothing to switch off then.
    if let Ok(flags) = ioctl_getflags(file)
        && !flags.contains(IFlags::NOCOW)
        && let Err(error) = ioctl_setflags(file, flags | IFlags::NOCOW)
    {
        tracing::trace!("copy-on-write cannot be switched off here: {error}");
    }
}

/// Elsewhere it cannot be switched off.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn switch_copy_on_write_off(_file: &File) {}

/// Makes a file `bytes` long with every block on the disk.
pub fn allocate(file: &File, bytes: u64, path: &Path) -> Result<()> {
    let full = |error: std::io::Error| match Error::io("cannot make room in", error, path) {
        Error::StorageFull { path, .. } => Error::StorageFull { needed_bytes: bytes, path },
        other => other,
    };
    #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple", target_os = "freebsd"))]
    match rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, bytes) {
        Ok(()) => return file.set_len(bytes).map_err(full),
        // The file system cannot: write zeros below.
        Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => {}
        Err(error) => return Err(full(error.into())),
    }
    write_zeros(file, bytes).map_err(full)
}

/// Extends a file to `bytes` with zeros that are really written, keeping what is in it.
fn write_zeros(file: &File, bytes: u64) -> std::io::Result<()> {
    let mut at = file.metadata()?.len();
    while at < bytes {
        let piece = ZEROS.len().min((bytes - at) as usize);
        super::files::write_all_at(file, &ZEROS[..piece], at)?;
        at += piece as u64;
    }
    Ok(())
}

/// Zeros to write from: four pieces make a megabyte.
pub static ZEROS: [u8; 256 << 10] = [0; 256 << 10];
