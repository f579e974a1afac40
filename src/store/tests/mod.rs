//! What the store promises, on real files and on the heap.

mod basics;
mod damage;
mod sharing;

use super::{Backing, EvictionOrder, Persist, Quota, QuotaOptions, Store, StoreOptions};
use std::path::Path;
use std::sync::Arc;

/// A cache folder without limits.
fn open_quota(root: &Path) -> Arc<Quota> {
    limited_quota(root, u64::MAX >> 1)
}

fn limited_quota(root: &Path, limit_bytes: u64) -> Arc<Quota> {
    let options = QuotaOptions { root: root.to_owned(), limit_bytes, free_disk_floor_bytes: 0 };
    Quota::new(options).expect("a cache folder")
}

fn options(quota: &Arc<Quota>, tile_count: u64) -> StoreOptions {
    StoreOptions {
        quota: Arc::clone(quota),
        fingerprint: b"slide.tif 1234".to_vec(),
        tile_count,
        label: "/slides/slide.tif".to_owned(),
        persist: Persist::Keep,
        backing: Backing::Mapped,
        eviction: EvictionOrder::Recency,
    }
}

fn open_store(quota: &Arc<Quota>, tile_count: u64) -> Store {
    Store::open(options(quota, tile_count)).expect("a store")
}

/// What tile `tile` holds: different for every tile, and nowhere periodic in pages.
fn pixels(tile: u64, bytes: usize) -> Vec<u8> {
    let mut state = tile.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut out = Vec::with_capacity(bytes + 8);
    while out.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        out.extend_from_slice(&state.to_le_bytes());
    }
    out.truncate(bytes);
    out
}

/// Reads a tile; `None` where it is absent.
fn read(store: &Store, tile: u64, bytes: usize) -> Option<Vec<u8>> {
    let mut out = vec![0; bytes];
    store.read_into(tile, &mut out).expect("a readable store").then_some(out)
}
