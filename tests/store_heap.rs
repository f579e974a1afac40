//! A store of ten million tiles costs no heap.
//!
//! A test of its own because it counts what the whole process allocates.

use microtome::engine::HEAP;
use microtome::store::{Backing, EvictionOrder, Persist, Quota, QuotaOptions, SlabClass, Store, StoreOptions};

/// What a store may take, in bytes, whatever its size: open slabs, names, one directory being read.
const HEAP_LIMIT_BYTES: usize = 2 << 20;

#[test]
fn ten_million_tiles_cost_no_heap() {
    const TILES: u64 = 10_000_000;
    const TILE_BYTES: usize = 16 << 10;
    let root = tempfile::tempdir().expect("a folder");
    let options = || StoreOptions {
        quota: Quota::new(QuotaOptions {
            root: root.path().to_owned(),
            limit_bytes: 4 << 30,
            free_disk_floor_bytes: 0,
        })
        .expect("a cache folder"),
        fingerprint: b"large".to_vec(),
        tile_count: TILES,
        label: "large".to_owned(),
        persist: Persist::Keep,
        backing: Backing::Mapped,
        eviction: EvictionOrder::Recency,
    };
    let tile = vec![7; TILE_BYTES];
    let mut out = vec![0; TILE_BYTES];
    let before = HEAP.current_usage();
    HEAP.reset_peak_usage();

    let store = Store::open(options()).expect("a store");
    let stored: Vec<u64> = (0..10_000).map(|i| i * 997).collect();
    for &tile_number in &stored {
        store.put(tile_number, &tile, SlabClass::Base).expect("a tile");
    }
    drop(store);
    let store = Store::open(options()).expect("a store");
    for &tile_number in &stored {
        assert!(store.read_into(tile_number, &mut out).expect("a readable store"));
    }
    assert_eq!((0..TILES).filter(|&tile| store.is_ready(tile)).count(), stored.len());

    let grown = HEAP.peak_usage().saturating_sub(before);
    assert!(grown < HEAP_LIMIT_BYTES, "{grown} bytes of heap for {TILES} tiles");
    assert!(store.statistics().mapped_bytes > TILES * 4);
}
