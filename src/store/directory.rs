//! What lies in a slab's slots, and how to tell that it really does.
//!
//! A directory is a file of 64-byte records written with positioned writes, never mapped: first a header, then an entry a
//! slot.
//! All zero is "nothing here".
//! Each record carries a hash of itself, keyed with the store and its own place, so that a record of another store, slab
//! or slot is as invalid as a torn one.
//! An entry also holds a hash of the tile's bytes, keyed with store, tile and generation: a slot that was not written out
//! in time, or belongs to another tile, does not match it.
//! That is why no tile has to be synced: after a power cut it is whole, or absent.

use super::files::{self, FileRole, OpenFiles};
use super::index::MAX_SLOTS;
use crate::error::{Error, Result};
use parking_lot::Mutex;
use std::path::PathBuf;
use std::sync::Arc;
use xxhash_rust::xxh3::{xxh3_64_with_seed, xxh3_128_with_seed};

/// Bytes of a record.
pub const RECORD_BYTES: usize = 64;

const ENTRY_MAGIC: [u8; 8] = *b"uT-tile\x01";
const HEADER_MAGIC: [u8; 8] = *b"uT-slab\x01";

/// What a store is named by: a hash of everything its bytes depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StoreId(pub u128);

impl StoreId {
    /// The name of the store's folder.
    pub fn folder_name(self) -> String {
        format!("{:032x}", self.0)
    }

    /// What [`Self::folder_name`] made.
    pub fn of_folder_name(name: &str) -> Option<Self> {
        let plain = name.len() == 32 && name.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if plain { u128::from_str_radix(name, 16).ok().map(Self) } else { None }
    }
}

/// Which kind of tile a slab holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SlabClass {
    /// Tiles that were decoded from the source.
    Base,
    /// Tiles that were derived from others.
    Derived,
}

/// How a slab is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    /// What it holds.
    pub class: SlabClass,
    /// Bytes of a slot.
    pub slot_bytes: u32,
    /// Slots.
    pub slots: u32,
}

impl Geometry {
    /// Bytes of the slots together.
    pub fn data_bytes(self) -> u64 {
        u64::from(self.slot_bytes) * u64::from(self.slots)
    }

    /// Bytes of the directory.
    pub fn directory_bytes(self) -> u64 {
        (u64::from(self.slots) + 1) * RECORD_BYTES as u64
    }

    /// Bytes on the disk.
    pub fn disk_bytes(self) -> u64 {
        self.data_bytes() + self.directory_bytes()
    }
}

/// What is in a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The tile.
    pub tile: u64,
    /// Grows with every commit of the store; of two entries for a tile the higher one is right.
    pub generation: u64,
    /// Bytes of the tile, at most those of the slot.
    pub bytes: u32,
    /// [`content_hash`] of them.
    pub hash: u128,
}

/// The keyed hash of a tile's bytes.
pub fn content_hash(store: StoreId, tile: u64, generation: u64, bytes: &[u8]) -> u128 {
    let mut key = [0; 40];
    key[..16].copy_from_slice(&store.0.to_le_bytes());
    key[16..24].copy_from_slice(&tile.to_le_bytes());
    key[24..32].copy_from_slice(&generation.to_le_bytes());
    key[32..].copy_from_slice(&(bytes.len() as u64).to_le_bytes());
    xxh3_128_with_seed(bytes, xxh3_64_with_seed(&key, 0))
}

/// The directory of one slab.
pub struct Directory {
    store: StoreId,
    slab: u32,
    geometry: Geometry,
    records: Records,
}

enum Records {
    File(Arc<OpenFiles>),
    Heap(Mutex<Vec<u8>>),
}

impl Directory {
    /// A new directory on disk without entries; its header is there when this returns.
    pub fn create(store: StoreId, slab: u32, geometry: Geometry, files: Arc<OpenFiles>) -> Result<Self> {
        let path = files.path(slab, FileRole::Directory);
        let file = Arc::new(super::region::create_private_file(&path)?);
        // Allocated, so that the write of an entry cannot fail on a full disk after the tile was written.
        super::region::allocate(&file, geometry.directory_bytes(), &path)?;
        files.keep(slab, FileRole::Directory, file);
        let directory = Self { store, slab, geometry, records: Records::File(files) };
        directory.write_header()?;
        Ok(directory)
    }

    /// A directory on the heap.
    pub fn heap(store: StoreId, slab: u32, geometry: Geometry) -> Self {
        let records = Records::Heap(Mutex::new(vec![0; geometry.directory_bytes() as usize]));
        Self { store, slab, geometry, records }
    }

    /// Opens a directory of an earlier run; `None` where its header is not valid.
    pub fn open(store: StoreId, slab: u32, files: Arc<OpenFiles>) -> Result<Option<Self>> {
        let path = files.path(slab, FileRole::Directory);
        let file = files.get(slab, FileRole::Directory)?;
        let mut record = [0; RECORD_BYTES];
        match files::read_exact_at(&file, &mut record, 0) {
            Ok(()) => {}
            Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(e) => return Err(Error::io("cannot read", e, &path)),
        }
        let Some(geometry) = decode_header(store, slab, &record) else { return Ok(None) };
        Ok(Some(Self { store, slab, geometry, records: Records::File(files) }))
    }

    /// How the slab is divided.
    pub fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// The entry of a slot; `None` where there is no valid one.
    pub fn read(&self, slot: u32) -> Result<Option<Entry>> {
        let mut record = [0; RECORD_BYTES];
        self.read_at(&mut record, place(slot))?;
        Ok(decode_entry(self.store, self.slab, slot, self.geometry.slot_bytes, &record))
    }

    /// All entries in slot order, `None` where there is no valid one, and whether the record is all zero.
    pub fn read_all(&self, mut each: impl FnMut(u32, Option<Entry>, bool)) -> Result<()> {
        let mut records = vec![0; self.geometry.slots as usize * RECORD_BYTES];
        self.read_at(&mut records, place(0))?;
        for (slot, record) in (0..).zip(records.as_chunks::<RECORD_BYTES>().0) {
            let entry = decode_entry(self.store, self.slab, slot, self.geometry.slot_bytes, record);
            each(slot, entry, record.iter().all(|&b| b == 0));
        }
        Ok(())
    }

    /// Writes the entry of a slot.
    pub fn write(&self, slot: u32, entry: Entry) -> Result<()> {
        self.write_at(&encode_entry(self.store, self.slab, slot, entry), place(slot))
    }

    /// Makes the entry of a slot invalid; before the slot is written again.
    pub fn erase(&self, slot: u32) -> Result<()> {
        self.write_at(&[0; RECORD_BYTES], place(slot))
    }

    /// Makes all entries invalid.
    pub fn erase_all(&self) -> Result<()> {
        self.write_at(&vec![0; self.geometry.slots as usize * RECORD_BYTES], place(0))
    }

    /// Makes it durable.
    pub fn sync(&self) -> Result<()> {
        match &self.records {
            Records::File(files) => {
                let synced = files.get(self.slab, FileRole::Directory)?.sync_data();
                synced.map_err(|e| Error::io("cannot write out", e, &self.path()))
            }
            Records::Heap(_) => Ok(()),
        }
    }

    fn write_header(&self) -> Result<()> {
        self.write_at(&encode_header(self.store, self.slab, self.geometry), 0)
    }

    fn path(&self) -> PathBuf {
        match &self.records {
            Records::File(files) => files.path(self.slab, FileRole::Directory),
            Records::Heap(_) => PathBuf::new(),
        }
    }

    fn read_at(&self, out: &mut [u8], at: u64) -> Result<()> {
        match &self.records {
            Records::File(files) => {
                let file = files.get(self.slab, FileRole::Directory)?;
                match files::read_exact_at(&file, out, at) {
                    Ok(()) => Ok(()),
                    // Somebody cut the file short: what is missing says nothing, and reads do not say how much they got.
                    Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => {
                        let length = file.metadata().map_or(0, |m| m.len());
                        let there = length.saturating_sub(at).min(out.len() as u64) as usize;
                        out[there..].fill(0);
                        Ok(())
                    }
                    Err(e) => Err(Error::io("cannot read", e, &self.path())),
                }
            }
            Records::Heap(records) => {
                out.copy_from_slice(&records.lock()[at as usize..][..out.len()]);
                Ok(())
            }
        }
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> Result<()> {
        match &self.records {
            Records::File(files) => {
                #[cfg(test)]
                super::journal::record(&self.path(), at, bytes);
                let file = files.get(self.slab, FileRole::Directory)?;
                files::write_all_at(&file, bytes, at).map_err(|e| Error::io("cannot write", e, &self.path()))
            }
            Records::Heap(records) => {
                records.lock()[at as usize..][..bytes.len()].copy_from_slice(bytes);
                Ok(())
            }
        }
    }
}

fn place(slot: u32) -> u64 {
    (u64::from(slot) + 1) * RECORD_BYTES as u64
}

/// The hash at the end of a record, keyed with where the record belongs; `slot` is `None` for the header.
fn record_hash(store: StoreId, slab: u32, slot: Option<u32>, record: &[u8; RECORD_BYTES]) -> u64 {
    let mut key = [0; 24];
    key[..16].copy_from_slice(&store.0.to_le_bytes());
    key[16..20].copy_from_slice(&slab.to_le_bytes());
    key[20..].copy_from_slice(&slot.unwrap_or(u32::MAX).to_le_bytes());
    xxh3_64_with_seed(&record[..RECORD_BYTES - 8], xxh3_64_with_seed(&key, 0))
}

fn sealed(store: StoreId, slab: u32, slot: Option<u32>, mut record: [u8; RECORD_BYTES]) -> [u8; RECORD_BYTES] {
    let hash = record_hash(store, slab, slot, &record);
    record[RECORD_BYTES - 8..].copy_from_slice(&hash.to_le_bytes());
    record
}

fn is_sealed(store: StoreId, slab: u32, slot: Option<u32>, record: &[u8; RECORD_BYTES]) -> bool {
    u64_at(record, RECORD_BYTES - 8) == record_hash(store, slab, slot, record)
}

fn encode_entry(store: StoreId, slab: u32, slot: u32, entry: Entry) -> [u8; RECORD_BYTES] {
    let mut record = [0; RECORD_BYTES];
    record[..8].copy_from_slice(&ENTRY_MAGIC);
    record[8..16].copy_from_slice(&entry.tile.to_le_bytes());
    record[16..24].copy_from_slice(&entry.generation.to_le_bytes());
    record[24..28].copy_from_slice(&entry.bytes.to_le_bytes());
    record[32..48].copy_from_slice(&entry.hash.to_le_bytes());
    sealed(store, slab, Some(slot), record)
}

fn decode_entry(store: StoreId, slab: u32, slot: u32, slot_bytes: u32, record: &[u8; RECORD_BYTES]) -> Option<Entry> {
    let entry = Entry {
        tile: u64_at(record, 8),
        generation: u64_at(record, 16),
        bytes: u32_at(record, 24),
        hash: u128::from(u64_at(record, 32)) | u128::from(u64_at(record, 40)) << 64,
    };
    let valid = record[..8] == ENTRY_MAGIC
        && is_sealed(store, slab, Some(slot), record)
        && (1..=slot_bytes).contains(&entry.bytes);
    valid.then_some(entry)
}

fn encode_header(store: StoreId, slab: u32, geometry: Geometry) -> [u8; RECORD_BYTES] {
    let mut record = [0; RECORD_BYTES];
    record[..8].copy_from_slice(&HEADER_MAGIC);
    record[8..12].copy_from_slice(&geometry.slot_bytes.to_le_bytes());
    record[12..16].copy_from_slice(&geometry.slots.to_le_bytes());
    record[16] = match geometry.class {
        SlabClass::Base => 0,
        SlabClass::Derived => 1,
    };
    sealed(store, slab, None, record)
}

fn decode_header(store: StoreId, slab: u32, record: &[u8; RECORD_BYTES]) -> Option<Geometry> {
    let class = match record[16] {
        0 => SlabClass::Base,
        1 => SlabClass::Derived,
        _ => return None,
    };
    let geometry = Geometry { class, slot_bytes: u32_at(record, 8), slots: u32_at(record, 12) };
    let valid = record[..8] == HEADER_MAGIC
        && is_sealed(store, slab, None, record)
        && (1..=MAX_SLOTS).contains(&geometry.slots)
        && geometry.slot_bytes > 0
        && (geometry.slot_bytes as usize).is_multiple_of(super::region::PAGE_BYTES);
    valid.then_some(geometry)
}

fn u32_at(record: &[u8; RECORD_BYTES], at: usize) -> u32 {
    let mut bytes = [0; 4];
    bytes.copy_from_slice(&record[at..at + 4]);
    u32::from_le_bytes(bytes)
}

fn u64_at(record: &[u8; RECORD_BYTES], at: usize) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&record[at..at + 8]);
    u64::from_le_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORE: StoreId = StoreId(77);
    const ENTRY: Entry = Entry { tile: 5, generation: 9, bytes: 100, hash: u128::MAX / 3 };

    #[test]
    fn a_record_is_valid_in_its_own_place_only_and_with_every_bit_right() {
        let record = encode_entry(STORE, 1, 2, ENTRY);
        assert_eq!(decode_entry(STORE, 1, 2, 1 << 14, &record), Some(ENTRY));
        assert_eq!(decode_entry(StoreId(78), 1, 2, 1 << 14, &record), None);
        assert_eq!(decode_entry(STORE, 2, 2, 1 << 14, &record), None);
        assert_eq!(decode_entry(STORE, 1, 3, 1 << 14, &record), None);
        assert_eq!(decode_entry(STORE, 1, 2, 99, &record), None, "more than the slot holds");
        assert_eq!(decode_entry(STORE, 1, 2, 1 << 14, &[0; RECORD_BYTES]), None);
        let geometry = Geometry { class: SlabClass::Derived, slot_bytes: 1 << 14, slots: 20 };
        let header = encode_header(STORE, 1, geometry);
        assert_eq!(decode_header(STORE, 1, &header), Some(geometry));
        assert_eq!((decode_header(STORE, 2, &header), decode_header(STORE, 1, &record)), (None, None));
        for bit in 0..RECORD_BYTES * 8 {
            let (mut record, mut header) = (record, header);
            record[bit / 8] ^= 1 << (bit % 8);
            header[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode_entry(STORE, 1, 2, 1 << 14, &record), None, "bit {bit}");
            assert_eq!(decode_header(STORE, 1, &header), None, "bit {bit}");
        }
    }

    #[test]
    fn a_tile_hash_depends_on_whose_tile_it_is() {
        let bytes = [1; 1000];
        let hash = content_hash(STORE, 5, 9, &bytes);
        assert_ne!(hash, content_hash(StoreId(78), 5, 9, &bytes));
        assert_ne!(hash, content_hash(STORE, 6, 9, &bytes));
        assert_ne!(hash, content_hash(STORE, 5, 8, &bytes));
        assert_ne!(hash, content_hash(STORE, 5, 9, &bytes[1..]));
    }
}
