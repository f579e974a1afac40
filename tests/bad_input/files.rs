//! Files that are damaged, lie about themselves or are of kinds that few readers know.

use crate::program::{Task, corpus, files_below, run_all};
use std::path::{Path, PathBuf};

/// Good files, one of each kind that is decoded differently.
const GOOD: &[&str] = &[
    "wsi/CMU-1-Small-Region.svs",
    "ome-tiff/single-channel.ome.tif",
    "ome-tiff/qupath_cells/cells.jpg",
    "jp2/world.jp2",
    "jp2/test-card-lossless.jp2",
    "brightfield/ihc.png",
];

/// Parts of a file that are left of it, in thousandths.
const LEFT: &[u64] = &[1, 10, 100, 500, 900, 999];

/// Copies of a file with changed bytes.
const FLIPPED: u64 = 14;

/// Bytes at the beginning that every second copy has its changes in: headers.
const HEADER_BYTES: u64 = 600;

/// Files whose view is painted, among the worst.
const SNAPSHOTS: usize = 8;

#[test]
fn every_corrupt_and_odd_file_opens_or_is_refused_in_one_line() {
    let Some(corpus) = corpus() else { return };
    let mut files = files_below(&corpus.join("corrupt"));
    files.extend(files_below(&corpus.join("tiff-zoo")));
    files.extend(files_below(&corpus.join("jp2")));
    assert!(files.len() > 100, "only {} files", files.len());
    let mut jobs: Vec<_> = files.iter().flat_map(|f| [(f.clone(), Task::Info), (f.clone(), Task::Export)]).collect();
    let corrupt = files.iter().filter(|f| f.starts_with(corpus.join("corrupt")));
    jobs.extend(corrupt.step_by(files.len() / (2 * SNAPSHOTS)).take(SNAPSHOTS).map(|f| (f.clone(), Task::Snapshot)));
    let tally = run_all(&jobs);
    println!("{tally:?}");
    assert!(tally.done > 100 && tally.refused > 100, "{tally:?}");
}

#[test]
fn good_files_that_are_cut_or_changed_open_or_are_refused_in_one_line() {
    let Some(corpus) = corpus() else { return };
    let dir = tempfile::tempdir().expect("a temporary folder");
    let mut jobs = Vec::new();
    for (number, name) in GOOD.iter().enumerate() {
        let bytes = std::fs::read(corpus.join(name)).expect(name);
        let ending = Path::new(name).extension().expect("an ending").to_string_lossy().into_owned();
        let mut add = |label: String, bytes: &[u8]| {
            let path: PathBuf = dir.path().join(format!("{number}-{label}.{ending}"));
            std::fs::write(&path, bytes).expect("written");
            jobs.push((path.clone(), Task::Info));
            jobs.push((path, Task::Export));
        };
        for thousandths in LEFT {
            let left = (bytes.len() as u64 * thousandths / 1000) as usize;
            add(format!("cut-{thousandths}"), &bytes[..left]);
        }
        for seed in 0..FLIPPED {
            add(format!("flip-{seed}"), &flipped(&bytes, seed * 1000 + number as u64));
        }
    }
    jobs.push((jobs[1].0.clone(), Task::Snapshot));
    let tally = run_all(&jobs);
    println!("{tally:?}");
    assert!(tally.done > 20 && tally.refused > 20, "{tally:?}");
}

/// A copy with some bytes changed, the same for the same seed.
fn flipped(bytes: &[u8], seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut out = bytes.to_vec();
    let range = if seed.is_multiple_of(2) { HEADER_BYTES.min(bytes.len() as u64) } else { bytes.len() as u64 };
    for _ in 0..1 + random() % 30 {
        let at = (random() % range) as usize;
        out[at] ^= 1 + (random() % 255) as u8;
    }
    out
}
