//! A process that fills a store is killed, again and again; what it had stored is there, and exact.

use microtome::store::{Backing, EvictionOrder, Persist, Quota, QuotaOptions, SlabClass, Store, StoreOptions};
use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

/// Set for the child; holds the cache folder.
const CHILD_VARIABLE: &str = "MICROTOME_TEST_KILL_ROOT";
const KILLS: u64 = 50;
/// Tiles that each child reports before it is killed, on average; it goes on storing until the signal arrives.
const TILES_A_KILL: u64 = 24;
const TILES: u64 = 4 * KILLS * TILES_A_KILL;
const TILE_BYTES: usize = 48 << 10;

fn open(root: &Path) -> Store {
    let quota = Quota::new(QuotaOptions { root: root.to_owned(), limit_bytes: 4 << 30, free_disk_floor_bytes: 0 });
    let options = StoreOptions {
        quota: quota.expect("a cache folder"),
        fingerprint: b"killed".to_vec(),
        tile_count: TILES,
        label: "killed".to_owned(),
        persist: Persist::Keep,
        backing: Backing::Mapped,
        eviction: EvictionOrder::Recency,
    };
    let store = Store::open(options).expect("a store");
    assert!(store.note().is_none(), "the lock of a killed process is gone with it");
    store
}

fn pixels(tile: u64) -> Vec<u8> {
    let words = (0..TILE_BYTES as u64 / 8).map(|i| (tile << 32 | i).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    words.flat_map(u64::to_le_bytes).collect()
}

/// The child: two threads store tile after tile, and say so once each is committed.
#[test]
fn child_that_fills_until_it_is_killed() {
    let Some(root) = std::env::var_os(CHILD_VARIABLE) else { return };
    let store = open(Path::new(&root));
    std::thread::scope(|scope| {
        for thread in 0..2 {
            let store = &store;
            scope.spawn(move || {
                for tile in (thread..TILES).step_by(2).filter(|&tile| !store.is_ready(tile)) {
                    let class = if tile % 5 == 0 { SlabClass::Derived } else { SlabClass::Base };
                    if tile % 3 == 0 {
                        store.put(tile, &pixels(tile), class).expect("a tile");
                    } else {
                        let mut slot = store.begin(tile, TILE_BYTES, class).expect("room");
                        slot.copy_from_slice(&pixels(tile));
                        slot.commit().expect("a tile");
                    }
                    // One write a line: lines of two threads do not mix.
                    let mut out = std::io::stdout().lock();
                    out.write_all(format!("tile {tile}\n").as_bytes()).and_then(|()| out.flush()).expect("a pipe");
                }
            });
        }
    });
}

#[test]
fn a_store_survives_fifty_kills_of_the_process_that_fills_it() {
    let root = tempfile::tempdir().expect("a folder");
    let mut reported = BTreeSet::new();
    for kill in 0..KILLS {
        let mut child = Command::new(std::env::current_exe().expect("this test"))
            .args(["child_that_fills_until_it_is_killed", "--exact", "--nocapture", "--test-threads=1"])
            .env(CHILD_VARIABLE, root.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a child");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        // Some are killed at once, some late, so that the kill hits a slab in every state.
        let wanted = kill * 7 % (2 * TILES_A_KILL);
        let mut tiles = (&mut lines).map_while(Result::ok).filter_map(|line| {
            // The harness may print in front of it.
            line.rsplit_once("tile ").and_then(|(_, tile)| tile.parse::<u64>().ok())
        });
        reported.extend((&mut tiles).take(wanted as usize + 1));
        child.kill().expect("a child to kill");
        // What it had written into the pipe before it died counts as well.
        reported.extend(tiles);
        child.wait().expect("a dead child");
    }

    let store = open(root.path());
    let mut bytes = vec![0; TILE_BYTES];
    let mut ready = BTreeSet::new();
    for tile in (0..TILES).filter(|&tile| store.is_ready(tile)) {
        assert!(store.read_into(tile, &mut bytes).expect("a readable store"), "tile {tile} is damaged");
        assert!(bytes == pixels(tile), "tile {tile} is wrong");
        ready.insert(tile);
    }
    let reused = reported.intersection(&ready).count();
    println!("{reused} of {} reported tiles are there after {KILLS} kills; {} are ready", reported.len(), ready.len());
    assert!(reported.len() as u64 >= KILLS * TILES_A_KILL / 2, "{} tiles were reported", reported.len());
    assert!(reused * 100 >= reported.len() * 80, "{reused} of {} reported tiles are there", reported.len());
}
