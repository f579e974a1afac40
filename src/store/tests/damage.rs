//! Power cuts and damaged files: a tile is exact, or absent.

use super::*;
use crate::store::journal::{self, Write};
use crate::store::{SlabClass, store_id};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;

const PAGE_BYTES: usize = 4096;
const TILES: u64 = 60;
const TILE_BYTES: usize = 20_000;

/// A small, seeded stream of numbers.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % below.max(1)
    }
}

fn class_of(tile: u64) -> SlabClass {
    if tile.is_multiple_of(4) { SlabClass::Derived } else { SlabClass::Base }
}

/// Every version of every 4 KiB page of every file: the number of the write that made it, and the bytes.
type Pages = BTreeMap<(PathBuf, u64), Vec<(usize, Vec<u8>)>>;

fn page_versions(writes: &[Write]) -> Pages {
    let mut pages = Pages::new();
    for (number, write) in writes.iter().enumerate() {
        let mut done = 0;
        while done < write.bytes.len() {
            let at = write.at as usize + done;
            let (page, offset) = (at / PAGE_BYTES, at % PAGE_BYTES);
            let length = (PAGE_BYTES - offset).min(write.bytes.len() - done);
            let versions = pages.entry((write.path.clone(), page as u64)).or_default();
            let mut bytes = versions.last().map_or_else(|| vec![0; PAGE_BYTES], |(_, bytes)| bytes.clone());
            bytes[offset..offset + length].copy_from_slice(&write.bytes[done..done + length]);
            versions.push((number, bytes));
            done += length;
        }
    }
    pages
}

#[test]
fn after_a_power_cut_with_pages_lost_or_out_of_order_every_tile_is_exact_or_absent() {
    let root = tempfile::tempdir().expect("a folder");
    // Small enough that slabs are retired and filled again.
    let quota = limited_quota(root.path(), 1_200_000);
    let store = open_store(&quota, TILES);
    let mut dice = Dice(7);
    // The number of writes before a version of a tile was begun.
    let mut committed: Vec<(usize, u64, Vec<u8>)> = Vec::new();
    journal::start();
    for step in 0..500_u64 {
        let tile = dice.roll(TILES as usize) as u64;
        let bytes = pixels(tile + step * TILES, TILE_BYTES);
        let before = journal::len();
        match dice.roll(10) {
            0 => store.discard(tile),
            1 => {
                let mut slot = store.begin(tile, TILE_BYTES, class_of(tile)).expect("room");
                slot[..dice.roll(TILE_BYTES)].fill(0xee);
            }
            2..6 => {
                let mut slot = store.begin(tile, TILE_BYTES, class_of(tile)).expect("room");
                slot.copy_from_slice(&bytes);
                slot.commit().expect("a tile");
                committed.push((before, tile, bytes));
            }
            _ => {
                store.put(tile, &bytes, class_of(tile)).expect("a tile");
                committed.push((before, tile, bytes));
            }
        }
    }
    assert!(store.statistics().retired_slabs > 0, "the test is to cover slabs that are filled again");
    let writes = journal::take();
    let ready = store.statistics().ready_tiles;
    drop(store);
    let pages = page_versions(&writes);
    let lengths = writes.iter().fold(HashMap::<&Path, u64>::new(), |mut lengths, write| {
        let length = lengths.entry(&write.path).or_default();
        *length = (*length).max(write.at + write.bytes.len() as u64);
        lengths
    });

    let (mut exact, mut absent) = (0, 0);
    for round in 0..150_u64 {
        let mut dice = Dice(round * 77 + 1);
        let cut = if round == 0 { writes.len() } else { dice.roll(writes.len() + 1) };
        let lost_of_16 = if round == 0 { 0 } else { [0, 1, 4, 8][dice.roll(4)] };
        let replayed = tempfile::tempdir().expect("a folder");
        let folder = replayed.path().join(store_id(b"slide.tif 1234", TILES).folder_name());
        std::fs::create_dir(&folder).expect("a folder");
        for (path, &length) in &lengths {
            let mut image = vec![0; length as usize];
            for ((_, page), versions) in pages.range(((*path).to_owned(), 0)..=((*path).to_owned(), u64::MAX)) {
                let there = versions.iter().take_while(|(number, _)| *number < cut).count();
                let kept = if dice.roll(16) < lost_of_16 { dice.roll(there + 1) } else { there };
                if let Some((_, bytes)) = kept.checked_sub(1).map(|last| &versions[last]) {
                    let at = *page as usize * PAGE_BYTES;
                    let end = (at + PAGE_BYTES).min(image.len());
                    image[at..end].copy_from_slice(&bytes[..end - at]);
                }
            }
            std::fs::write(folder.join(path.file_name().expect("a name")), image).expect("a file");
        }
        let store = open_store(&open_quota(replayed.path()), TILES);
        for tile in 0..TILES {
            let versions = committed.iter().filter(|(before, of, _)| *of == tile && *before < cut);
            match read(&store, tile, TILE_BYTES) {
                None => absent += 1,
                Some(bytes) => {
                    let known: HashSet<&Vec<u8>> = versions.map(|(_, _, bytes)| bytes).collect();
                    assert!(known.contains(&bytes), "round {round}: tile {tile} is wrong");
                    exact += 1;
                }
            }
        }
        if round == 0 {
            // Slabs that were given up are back, with tiles that are right.
            assert!(exact >= ready, "nothing is lost where nothing was dropped: {exact} of {ready}");
        }
    }
    assert!(exact > 500 && absent > 500, "both must occur: {exact} exact, {absent} absent");
}

#[test]
fn a_thousand_corruptions_of_slabs_and_directories_give_exact_or_absent_tiles() {
    let root = tempfile::tempdir().expect("a folder");
    let store = open_store(&open_quota(root.path()), TILES);
    let tiles: Vec<Vec<u8>> = (0..TILES).map(|tile| pixels(tile, TILE_BYTES)).collect();
    for (tile, bytes) in (0..).zip(&tiles) {
        store.put(tile, bytes, class_of(tile)).expect("a tile");
    }
    drop(store);
    let folder = root.path().join(store_id(b"slide.tif 1234", TILES).folder_name());
    let files: Vec<(PathBuf, Vec<u8>)> = std::fs::read_dir(&folder)
        .expect("a folder")
        .map(|item| item.expect("a file").path())
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("slab-")))
        .map(|path| (path.clone(), std::fs::read(path).expect("a file")))
        .collect();
    let mut dice = Dice(3);
    let (mut absent, mut rounds_with_loss) = (0, 0);
    for round in 0..1000 {
        for (path, bytes) in &files {
            replace(path, bytes);
        }
        // Directories are small: half of the rounds should meet one.
        let is_directory = |path: &Path| path.extension().is_some();
        let wanted = dice.roll(2) == 0;
        let meant: Vec<_> = files.iter().filter(|(path, _)| is_directory(path) == wanted).collect();
        let (path, bytes) = meant[dice.roll(meant.len())];
        replace(path, &corrupted(bytes, &mut dice));

        let store = open_store(&open_quota(root.path()), TILES);
        let lost = (0..TILES).filter(|&tile| match read(&store, tile, TILE_BYTES) {
            None => true,
            Some(bytes) => {
                assert!(bytes == tiles[tile as usize], "round {round}: tile {tile} is wrong");
                false
            }
        });
        let lost = lost.count();
        absent += lost;
        rounds_with_loss += usize::from(lost > 0);
        assert!(lost < TILES as usize, "one damaged file does not cost everything");
    }
    assert!(rounds_with_loss > 500, "the corruptions are to be felt: {absent} tiles in {rounds_with_loss} rounds");
}

/// Puts a new file in the place of one. (Truncating it instead would have ext4 wait for the disk.)
fn replace(path: &Path, bytes: &[u8]) {
    if path.exists() {
        std::fs::remove_file(path).expect("a file");
    }
    std::fs::write(path, bytes).expect("a file");
}

fn corrupted(bytes: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let length = bytes.len();
    let at = dice.roll(length);
    match dice.roll(7) {
        0 => bytes[at] ^= 1 << dice.roll(8),
        1 => bytes[at..].iter_mut().take(PAGE_BYTES).for_each(|byte| *byte = 0),
        2 => bytes[at..].iter_mut().take(64).for_each(|byte| *byte = dice.roll(256) as u8),
        3 => bytes.truncate(at),
        4 => bytes.extend(std::iter::repeat_n(0xa5, dice.roll(PAGE_BYTES))),
        5 => {
            // A record in the place of another.
            let (from, to) = (dice.roll(length / 64) * 64, dice.roll(length / 64) * 64);
            bytes.copy_within(from..from + 64, to);
        }
        _ => {
            // A page in the place of another.
            let from = at / PAGE_BYTES * PAGE_BYTES;
            let to = dice.roll(length) / PAGE_BYTES * PAGE_BYTES;
            let count = PAGE_BYTES.min(length - from).min(length - to);
            bytes.copy_within(from..from + count, to);
        }
    }
    bytes
}

#[test]
fn a_store_of_another_source_does_not_pass_for_this_one() {
    let root = tempfile::tempdir().expect("a folder");
    let quota = open_quota(root.path());
    let store = open_store(&quota, TILES);
    for tile in 0..TILES {
        store.put(tile, &pixels(tile, TILE_BYTES), SlabClass::Base).expect("a tile");
    }
    drop(store);
    let name = |fingerprint: &[u8]| root.path().join(store_id(fingerprint, TILES).folder_name());
    std::fs::rename(name(b"slide.tif 1234"), name(b"slide.tif 5678")).expect("a folder");
    let other = StoreOptions { fingerprint: b"slide.tif 5678".to_vec(), ..options(&quota, TILES) };
    assert_eq!(Store::open(other).expect("a store").statistics().ready_tiles, 0);
}

#[test]
fn a_tile_that_is_damaged_while_the_store_is_open_is_counted_and_can_be_stored_again() {
    let root = tempfile::tempdir().expect("a folder");
    let quota = open_quota(root.path());
    let store = open_store(&quota, TILES);
    store.put(5, &pixels(5, TILE_BYTES), SlabClass::Base).expect("a tile");
    store.sync().expect("a disk that works");
    let slab = store.shared.slabs.all().remove(0);
    std::fs::write(slab.data_path(), vec![1; slab.region().len()]).expect("a file");
    assert_eq!(store.with_pinned(5, <[u8]>::len).expect("a readable store"), None);
    assert!(!store.is_ready(5));
    assert_eq!(store.statistics().hash_failures, 1);
    store.put(5, &pixels(5, TILE_BYTES), SlabClass::Base).expect("a tile");
    assert_eq!(read(&store, 5, TILE_BYTES), Some(pixels(5, TILE_BYTES)));
}

#[test]
fn tiles_of_a_poisoned_slab_are_absent_and_the_slab_goes() {
    use std::sync::atomic::Ordering;
    let root = tempfile::tempdir().expect("a folder");
    let quota = open_quota(root.path());
    let store = open_store(&quota, TILES);
    store.put(5, &pixels(5, TILE_BYTES), SlabClass::Base).expect("a tile");
    let slab = store.shared.slabs.all().remove(0);
    slab.poisoned.store(true, Ordering::Relaxed);
    assert_eq!(read(&store, 5, TILE_BYTES), None);
    assert!(!store.is_ready(5));
    assert_eq!(store.statistics().slabs, 0);
    let path = slab.data_path();
    drop(slab);
    assert!(!path.exists());
    store.put(5, &pixels(5, TILE_BYTES), SlabClass::Base).expect("a tile");
    assert_eq!(read(&store, 5, TILE_BYTES), Some(pixels(5, TILE_BYTES)));
}
