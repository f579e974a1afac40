//! Storing, reading, reopening.

use super::*;
use crate::store::SlabClass;

const TILE_BYTES: usize = 100_000;

#[test]
fn what_is_committed_is_read_back_and_nothing_else_is_there() {
    for backing in [Backing::Mapped, Backing::Heap] {
        let root = tempfile::tempdir().expect("a folder");
        let quota = open_quota(root.path());
        let store = Store::open(StoreOptions { backing, ..options(&quota, 40) }).expect("a store");
        for tile in 0..20 {
            let mut slot = store.begin(tile, TILE_BYTES, SlabClass::Base).expect("room");
            slot.copy_from_slice(&pixels(tile, TILE_BYTES));
            assert!(!store.is_ready(tile), "a tile that is being written is not there yet");
            slot.commit().expect("a tile");
            store.put(39 - tile, &pixels(39 - tile, TILE_BYTES), SlabClass::Derived).expect("a tile");
        }
        for tile in 0..40 {
            assert!(store.is_ready(tile));
            assert_eq!(read(&store, tile, TILE_BYTES), Some(pixels(tile, TILE_BYTES)), "tile {tile} {backing:?}");
            let seen = store.with_pinned(tile, |bytes| bytes == pixels(tile, TILE_BYTES));
            assert_eq!(seen.expect("a readable store"), Some(true));
        }
        assert!(!store.is_ready(40) && read(&store, 40, TILE_BYTES).is_none());
        assert!(store.begin(40, TILE_BYTES, SlabClass::Base).is_err(), "outside of the set");
        assert_eq!(store.statistics().ready_tiles, 40);
        assert_eq!(store.statistics().hash_failures, 0);
    }
}

#[test]
fn a_store_is_there_again_after_it_was_closed() {
    let root = tempfile::tempdir().expect("a folder");
    let quota = open_quota(root.path());
    let store = open_store(&quota, 100);
    for tile in 0..70 {
        store.put(tile, &pixels(tile, TILE_BYTES), SlabClass::Base).expect("a tile");
    }
    let before = store.statistics();
    drop(store);
    for quota in [Arc::clone(&quota), open_quota(root.path())] {
        let store = open_store(&quota, 100);
        let after = store.statistics();
        assert_eq!((after.ready_tiles, after.slabs, after.disk_bytes), (70, before.slabs, before.disk_bytes));
        for tile in 0..100 {
            assert_eq!(read(&store, tile, TILE_BYTES), (tile < 70).then(|| pixels(tile, TILE_BYTES)));
        }
        assert!(
            Store::open(StoreOptions { fingerprint: b"other".to_vec(), ..options(&quota, 100) })
                .is_ok_and(|other| !other.is_ready(0))
        );
    }
}

#[test]
fn a_slot_that_is_not_committed_is_free_again() {
    let root = tempfile::tempdir().expect("a folder");
    let quota = open_quota(root.path());
    let store = open_store(&quota, 10);
    for _ in 0..200 {
        let mut slot = store.begin(3, TILE_BYTES, SlabClass::Base).expect("room");
        slot.fill(1);
    }
    assert!(!store.is_ready(3));
    assert_eq!(store.statistics().slabs, 1);
    let mut slot = store.begin(3, TILE_BYTES, SlabClass::Base).expect("room");
    assert!(slot.zero().iter().all(|&byte| byte == 0), "what others left is not seen");
}

#[test]
fn storing_a_tile_again_replaces_it_and_frees_its_slot() {
    let root = tempfile::tempdir().expect("a folder");
    let quota = open_quota(root.path());
    let store = open_store(&quota, 10);
    for version in 0..300 {
        store.put(3, &pixels(version, TILE_BYTES), SlabClass::Base).expect("a tile");
        assert_eq!(read(&store, 3, TILE_BYTES), Some(pixels(version, TILE_BYTES)));
    }
    assert_eq!(store.statistics().ready_tiles, 1);
    assert!(store.statistics().slabs <= 2, "{:?}", store.statistics());
    drop(store);
    assert_eq!(read(&open_store(&quota, 10), 3, TILE_BYTES), Some(pixels(299, TILE_BYTES)));
}

#[test]
fn a_discarded_tile_is_absent_and_stays_so() {
    let root = tempfile::tempdir().expect("a folder");
    let quota = open_quota(root.path());
    let store = open_store(&quota, 10);
    store.put(3, &pixels(3, TILE_BYTES), SlabClass::Base).expect("a tile");
    let still_there = store.with_pinned(3, |bytes| {
        store.discard(3);
        assert!(!store.is_ready(3));
        store.put(4, &pixels(4, TILE_BYTES), SlabClass::Base).expect("a tile");
        bytes == pixels(3, TILE_BYTES)
    });
    assert_eq!(still_there.expect("a readable store"), Some(true), "a reader keeps what it has pinned");
    drop(store);
    assert_eq!(read(&open_store(&quota, 10), 3, TILE_BYTES), None);
}

#[test]
fn scratch_is_zeroed_writable_and_counted_while_it_lives() {
    let root = tempfile::tempdir().expect("a folder");
    let quota = open_quota(root.path());
    let store = open_store(&quota, 10);
    let before = quota.used_bytes();
    let mut scratch = store.scratch(5_000_000).expect("room");
    assert_eq!(quota.used_bytes() - before, 5_000_000);
    assert!(scratch.len() == 5_000_000 && scratch.iter().all(|&byte| byte == 0));
    scratch.fill(7);
    assert!(scratch.iter().all(|&byte| byte == 7));
    drop(scratch);
    assert_eq!(quota.used_bytes(), before);
    store.sync().expect("a disk that works");
}
