//! Several threads, several openers, limits, and what is left on the disk.

use super::*;
use crate::error::Error;
use crate::store::{MAX_DIRTY_BYTES, SlabClass, StoreNote, catalogue};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

const TILE_BYTES: usize = 60_000;

fn store_folders(root: &Path) -> Vec<PathBuf> {
    let items = std::fs::read_dir(root).expect("a folder");
    let mut folders: Vec<PathBuf> = items.map(|item| item.expect("an item").path()).collect();
    folders.sort();
    folders
}

#[test]
fn threads_that_store_read_discard_and_evict_never_see_another_tile() {
    for backing in [Backing::Mapped, Backing::Heap] {
        let root = tempfile::tempdir().expect("a folder");
        let quota = limited_quota(root.path(), 6 << 20);
        let store = Store::open(StoreOptions { backing, ..options(&quota, 300) }).expect("a store");
        let tiles: Vec<Vec<u8>> = (0..300).map(|tile| pixels(tile, TILE_BYTES)).collect();
        let found = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for thread in 0..4_u64 {
                let (store, tiles, found) = (&store, &tiles, &found);
                scope.spawn(move || {
                    let mut out = vec![0; TILE_BYTES];
                    for step in 0..1500_u64 {
                        let tile = (step * 7 + thread * 13 + step * step % 31) % 300;
                        let pixels = &tiles[tile as usize];
                        match step % 8 {
                            0 => store.put(tile, pixels, SlabClass::Base).expect("a tile"),
                            1 => {
                                let mut slot = store.begin(tile, TILE_BYTES, SlabClass::Derived).expect("room");
                                slot.copy_from_slice(pixels);
                                if thread != 2 {
                                    slot.commit().expect("a tile");
                                }
                            }
                            2 if thread == 1 => store.discard(tile),
                            3..6 => {
                                let same = store.with_pinned(tile, |bytes| bytes == &pixels[..]);
                                assert_ne!(same.expect("a readable store"), Some(false), "tile {tile}");
                            }
                            _ => {
                                if store.read_into(tile, &mut out).expect("a readable store") {
                                    assert!(out == *pixels, "tile {tile}");
                                    found.fetch_add(1, Ordering::Relaxed);
                                }
                            }
                        }
                    }
                });
            }
        });
        let statistics = store.statistics();
        assert_eq!(statistics.hash_failures, 0, "no tile was ever seen half");
        assert!(statistics.retired_slabs > 0 && found.into_inner() > 0, "{statistics:?}");
        let ready = (0..300).filter(|&tile| store.is_ready(tile)).count() as u64;
        assert_eq!(statistics.ready_tiles, ready);
        let readable = (0..300).filter(|&tile| read(&store, tile, TILE_BYTES).is_some()).count() as u64;
        assert_eq!(readable, ready, "no place leads nowhere");
    }
}

#[test]
fn the_limit_is_kept_and_the_least_recently_used_slabs_go_first() {
    let root = tempfile::tempdir().expect("a folder");
    let limit_bytes = 5 << 20;
    let quota = limited_quota(root.path(), limit_bytes);
    let store = open_store(&quota, 1000);
    for tile in 0..400 {
        store.put(tile, &pixels(tile, TILE_BYTES), SlabClass::Base).expect("a tile");
        // Tile 0 is looked at all the time.
        assert!(read(&store, 0, TILE_BYTES).is_some(), "after {tile}");
        assert!(quota.used_bytes() <= limit_bytes);
        let on_disk: u64 =
            store_folders(root.path()).iter().map(|f| catalogue::folder_bytes(f).expect("a folder")).sum();
        assert!(on_disk <= limit_bytes + 4096, "{on_disk}");
    }
    let ready: Vec<u64> = (0..400).filter(|&tile| store.is_ready(tile)).collect();
    assert!((380..400).all(|tile| ready.contains(&tile)), "the latest are there");
    assert!(!ready.contains(&200), "old ones are not");
    assert!(ready.len() > 40, "most of the room is in use: {}", ready.len());
    assert!(store.statistics().retired_slabs > 0);
}

#[test]
fn derived_slabs_go_last_where_they_are_dear() {
    let root = tempfile::tempdir().expect("a folder");
    let quota = limited_quota(root.path(), 5 << 20);
    let dear = StoreOptions { eviction: EvictionOrder::DerivedLast, ..options(&quota, 1000) };
    let store = Store::open(dear).expect("a store");
    for tile in 0..10 {
        store.put(900 + tile, &pixels(tile, TILE_BYTES), SlabClass::Derived).expect("a tile");
    }
    for tile in 0..400 {
        store.put(tile, &pixels(tile, TILE_BYTES), SlabClass::Base).expect("a tile");
    }
    assert!((900..910).all(|tile| store.is_ready(tile)));
    assert!(!store.is_ready(0));
}

#[test]
fn closed_stores_give_way_before_open_ones_the_oldest_first() {
    let root = tempfile::tempdir().expect("a folder");
    let quota = limited_quota(root.path(), 8 << 20);
    let named = |name: &str| StoreOptions {
        fingerprint: name.as_bytes().to_vec(),
        label: name.to_owned(),
        ..options(&quota, 1000)
    };
    for (name, age_secs) in [("older", 2000), ("newer", 1000)] {
        let store = Store::open(named(name)).expect("a store");
        for tile in 0..40 {
            store.put(tile, &pixels(tile, TILE_BYTES), SlabClass::Base).expect("a tile");
        }
        drop(store);
        let folder = root.path().join(crate::store::store_id(name.as_bytes(), 1000).folder_name());
        let lock = std::fs::File::options().write(true).open(folder.join("lock")).expect("a lock");
        let used = std::time::SystemTime::now() - std::time::Duration::from_secs(age_secs);
        lock.set_modified(used).expect("a time");
    }
    let store = Store::open(named("open")).expect("a store");
    let labels = || -> Vec<String> {
        catalogue::list(root.path()).expect("a list").into_iter().map(|entry| entry.label).collect()
    };
    assert_eq!(labels(), ["open", "newer", "older"]);
    let mut seen = vec![labels()];
    for tile in 0..100 {
        store.put(tile, &pixels(tile, TILE_BYTES), SlabClass::Base).expect("a tile");
        if seen.last() != Some(&labels()) {
            seen.push(labels());
        }
    }
    assert_eq!(seen, [vec!["open", "newer", "older"], vec!["open", "newer"], vec!["open"]]);
    assert_eq!(store.statistics().retired_slabs, 0);
}

#[test]
fn what_is_pinned_or_being_written_is_not_evicted_and_the_disk_is_full_then() {
    let root = tempfile::tempdir().expect("a folder");
    let quota = limited_quota(root.path(), 2 << 20);
    let store = open_store(&quota, 1000);
    let mut slots = Vec::new();
    let error = loop {
        match store.begin(slots.len() as u64, TILE_BYTES, SlabClass::Base) {
            Ok(slot) => slots.push(slot),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::StorageFull { .. }), "{error}");
    assert!(slots.len() > 20, "{}", slots.len());
    drop(slots);
    store.put(0, &pixels(0, TILE_BYTES), SlabClass::Base).expect("room again");
    assert!(matches!(store.scratch(3 << 20), Err(Error::StorageFull { .. })));
    assert!(store.is_ready(0), "nothing is thrown away for what will not fit");
}

#[test]
fn a_full_disk_is_an_error_and_not_the_end() {
    let Some(disk) = SmallDisk::mount(8 << 20) else {
        println!("SKIPPED: a_full_disk_is_an_error_and_not_the_end: mounting a small tmpfs needs root");
        return;
    };
    let quota = open_quota(disk.path());
    let store = open_store(&quota, 10_000);
    let mut slots = Vec::new();
    let error = loop {
        match store.begin(slots.len() as u64, TILE_BYTES, SlabClass::Base) {
            Ok(mut slot) => {
                slot.fill(9);
                slots.push(slot);
            }
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::StorageFull { .. }), "{error}");
    assert!(slots.len() * TILE_BYTES > 5 << 20, "{} slots", slots.len());
    let held = slots.len() as u64;
    slots.into_iter().for_each(|slot| slot.commit().expect("a tile"));
    assert!((0..held).all(|tile| read(&store, tile, TILE_BYTES) == Some(vec![9; TILE_BYTES])));
    assert!(store.scratch(6 << 20).is_ok(), "committed slabs give way");
    // With nothing in use, a fill goes on in the place of the oldest tiles.
    for tile in 0..500 {
        store.put(tile, &pixels(tile, TILE_BYTES), SlabClass::Base).expect("a tile");
    }
    assert_eq!(read(&store, 499, TILE_BYTES), Some(pixels(499, TILE_BYTES)));
    drop(store);
    // Somebody else's file takes the last byte.
    let filler = disk.path().join("filler");
    let mut file = std::fs::File::create(&filler).expect("a file");
    while std::io::Write::write(&mut file, &[1; 4096]).is_ok_and(|written| written > 0) {}
    let opened = Store::open(StoreOptions { fingerprint: b"another".to_vec(), ..options(&quota, 10_000) });
    assert!(matches!(opened, Err(Error::StorageFull { .. })));
}

/// A file system in memory of a given size.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount(bytes: u64) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let mut mount = std::process::Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={bytes}"), "tmpfs"]).arg(folder.path());
        let is_mounted = cfg!(target_os = "linux") && mount.output().is_ok_and(|output| output.status.success());
        is_mounted.then_some(Self(folder))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = std::process::Command::new("umount").arg("-l").arg(self.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()));
    }
}

#[test]
fn a_second_opener_gets_a_store_of_its_own_that_goes_with_it() {
    let root = tempfile::tempdir().expect("a folder");
    let quota = open_quota(root.path());
    let first = open_store(&quota, 100);
    first.put(1, &pixels(1, TILE_BYTES), SlabClass::Base).expect("a tile");
    let second = open_store(&open_quota(root.path()), 100);
    assert_eq!((first.note(), second.note()), (None, Some(&StoreNote::InUse)));
    assert!(!second.is_ready(1));
    second.put(1, &pixels(2, TILE_BYTES), SlabClass::Base).expect("a tile");
    assert_eq!(read(&first, 1, TILE_BYTES), Some(pixels(1, TILE_BYTES)));
    assert_eq!(store_folders(root.path()).len(), 2);
    drop(second);
    assert_eq!(store_folders(root.path()).len(), 1);
    drop(first);
    let third = open_store(&quota, 100);
    assert!(third.note().is_none() && third.is_ready(1));
}

#[test]
fn private_stores_of_programs_that_are_gone_are_swept() {
    let root = tempfile::tempdir().expect("a folder");
    let orphan = root.path().join("tmp-orphan");
    std::fs::create_dir(&orphan).expect("a folder");
    std::fs::write(orphan.join("slab-000000"), [1; 100]).expect("a file");
    let quota = open_quota(root.path());
    assert!(!orphan.exists());
    let alive = Store::open(StoreOptions { persist: Persist::Discard, ..options(&quota, 10) }).expect("a store");
    alive.put(1, &pixels(1, TILE_BYTES), SlabClass::Base).expect("a tile");
    let other = open_quota(root.path());
    assert_eq!(store_folders(root.path()).len(), 1, "one that is open stays");
    assert_eq!(read(&alive, 1, TILE_BYTES), Some(pixels(1, TILE_BYTES)));
    drop(alive);
    assert_eq!(store_folders(root.path()).len(), 0);
    assert_eq!((quota.used_bytes(), other.used_bytes()), (0, 0));
}

#[cfg(unix)]
#[test]
fn nobody_else_can_read_what_is_stored() {
    use std::os::unix::fs::PermissionsExt as _;
    let root = tempfile::tempdir().expect("a folder");
    let cache = root.path().join("a").join("cache");
    let store = open_store(&open_quota(&cache), 100);
    store.put(1, &pixels(1, TILE_BYTES), SlabClass::Base).expect("a tile");
    let mode = |path: &Path| std::fs::metadata(path).expect("a file").permissions().mode() & 0o777;
    assert_eq!(mode(&cache), 0o700);
    for folder in store_folders(&cache) {
        assert_eq!(mode(&folder), 0o700);
        for file in store_folders(&folder) {
            assert_eq!(mode(&file), 0o600, "{}", file.display());
        }
    }
    let folder = store_folders(&cache).remove(0);
    drop(store);
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755)).expect("a folder");
    let store = open_store(&open_quota(&cache), 100);
    assert_eq!(mode(&folder), 0o700, "closed again");
    drop(store);
}

#[test]
fn more_than_the_budget_is_never_dirty_and_nothing_after_a_sync() {
    let root = tempfile::tempdir().expect("a folder");
    let quota = open_quota(root.path());
    let tile_bytes = 3 << 20;
    let store = open_store(&quota, 120);
    let tile = pixels(0, tile_bytes);
    for number in 0..120 {
        store.put(number, &tile, SlabClass::Base).expect("a tile");
        assert!(quota.dirty_bytes() <= MAX_DIRTY_BYTES + tile_bytes as u64);
    }
    store.sync().expect("a disk that works");
    assert_eq!(store.statistics().dirty_bytes, 0);
    assert_eq!(quota.write_back_failures(), 0);
    assert_eq!(read(&store, 0, tile_bytes), Some(tile));
}

#[test]
fn the_catalogue_lists_checks_forgets_and_clears_what_nobody_uses() {
    let root = tempfile::tempdir().expect("a folder");
    let quota = open_quota(root.path());
    let open = |name: &str| {
        let store = Store::open(StoreOptions {
            fingerprint: name.as_bytes().to_vec(),
            label: name.to_owned(),
            ..options(&quota, 100)
        });
        let store = store.expect("a store");
        for tile in 0..10 {
            store.put(tile, &pixels(tile, TILE_BYTES), SlabClass::Base).expect("a tile");
        }
        store
    };
    drop(open("a"));
    drop(open("b"));
    let kept = open("c");
    let entries = catalogue::list(root.path()).expect("a list");
    let mut seen: Vec<_> = entries.iter().map(|e| (e.label.as_str(), e.tiles, e.in_use)).collect();
    seen.sort_unstable();
    assert_eq!(seen, [("a", 10, false), ("b", 10, false), ("c", 10, true)]);
    assert!(entries.iter().all(|entry| entry.bytes > 10 * TILE_BYTES as u64));

    let damaged = entries.iter().find(|entry| entry.label == "a").expect("an entry").folder.join("slab-000001");
    let mut bytes = std::fs::read(&damaged).expect("a file");
    bytes[100] ^= 1;
    std::fs::write(&damaged, bytes).expect("a file");
    let checked = catalogue::verify(root.path()).expect("a check");
    let checked: Vec<_> = checked.iter().map(|v| (v.label.as_str(), v.checked, v.bad, v.in_use)).collect();
    assert_eq!(checked, [("a", 10, 1, false), ("b", 10, 0, false), ("c", 0, 0, true)]);

    let removal = catalogue::forget(root.path(), "b").expect("a removal");
    assert_eq!((removal.removed, removal.in_use), (1, 0));
    let removal = catalogue::clear(root.path()).expect("a removal");
    assert_eq!((removal.removed, removal.in_use), (1, 1));
    kept.discard_on_close();
    drop(kept);
    assert!(catalogue::list(root.path()).expect("a list").is_empty());
    assert!(store_folders(root.path()).is_empty());
}

#[test]
fn stores_that_were_not_used_for_long_expire() {
    let root = tempfile::tempdir().expect("a folder");
    let quota = open_quota(root.path());
    drop(open_store(&quota, 100));
    let now = std::time::SystemTime::now();
    let day = std::time::Duration::from_secs(86_400);
    assert_eq!(catalogue::expire(root.path(), now - day).expect("a removal").removed, 0);
    assert_eq!(catalogue::expire(root.path(), now + day).expect("a removal").removed, 1);
}

/// Small enough for Miri: `cargo +nightly miri test --lib a_heap_store` with `MIRIFLAGS=-Zmiri-disable-isolation`.
#[test]
fn a_heap_store_is_shared_by_threads_without_touching_a_file() {
    const SMALL_TILE_BYTES: usize = 64;
    let root = tempfile::tempdir().expect("a folder");
    let quota = limited_quota(root.path(), 700 << 10);
    let store = Store::open(StoreOptions { backing: Backing::Heap, ..options(&quota, 64) }).expect("a store");
    std::thread::scope(|scope| {
        for thread in 0..3_u64 {
            let store = &store;
            scope.spawn(move || {
                for step in 0..40 {
                    let tile = (step * 5 + thread) % 64;
                    let expected = pixels(tile, SMALL_TILE_BYTES);
                    let mut slot = store.begin(tile, SMALL_TILE_BYTES, SlabClass::Base).expect("room");
                    slot.zero().copy_from_slice(&expected);
                    slot.commit().expect("a tile");
                    assert!(read(store, tile, SMALL_TILE_BYTES).is_none_or(|bytes| bytes == expected));
                    let same = store.with_pinned((tile + 1) % 64, |b| b == pixels((tile + 1) % 64, SMALL_TILE_BYTES));
                    assert_ne!(same.expect("a readable store"), Some(false));
                    if step % 7 == thread {
                        store.discard(tile);
                    }
                }
            });
        }
    });
    assert!(store.statistics().retired_slabs > 0, "{:?}", store.statistics());
    assert_eq!((store.statistics().hash_failures, store.statistics().disk_bytes), (0, 0));
    assert!(store_folders(root.path()).is_empty());
}
