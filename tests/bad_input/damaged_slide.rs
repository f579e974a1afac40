//! A slide of which one part is lost, from the beginning or while it is open.

use crate::program::{corpus, run};
use image::RgbImage;
use microtome::engine::{EngineConfig, OpenSet};
use microtome::geom::PixelRect;
use microtome::pyramid::{Cancel, Loaded, PlaneId, SetId, TileKey};
use microtome::store::Persist;
use std::path::{Path, PathBuf};

const SLIDE: &str = "wsi/CMU-1-Small-Region.svs";

/// The slide's tiles.
const TILE_SIDE: u32 = 240;
const TILES_ACROSS: u32 = 10;

/// Column and row of the tile that is damaged.
const LOST: (u32, u32) = (5, 6);

/// A level-0 tile of the slide by column and row: where it lies in the file, and its bytes.
fn tile_in_file(bytes: &[u8], (x, y): (u32, u32)) -> std::ops::Range<usize> {
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes")) as usize;
    let short = |at: usize| usize::from(u16::from_le_bytes(bytes[at..at + 2].try_into().expect("two bytes")));
    assert_eq!(&bytes[..4], b"II*\0", "a classic TIFF file");
    let directory = word(4);
    let list = |tag: usize| {
        let entry = (0..short(directory)).map(|n| directory + 2 + 12 * n).find(|&at| short(at) == tag);
        word(entry.expect("the tag is there") + 8)
    };
    let index = (y * TILES_ACROSS + x) as usize;
    let (offset, len) = (word(list(324) + 4 * index), word(list(325) + 4 * index));
    offset..offset + len
}

/// A copy of the slide without one of its tiles.
fn damaged_copy(corpus: &Path, folder: &Path) -> PathBuf {
    let mut bytes = std::fs::read(corpus.join(SLIDE)).expect("the slide");
    let lost = tile_in_file(&bytes, LOST);
    bytes[lost].fill(0x55);
    let path = folder.join("damaged.svs");
    std::fs::write(&path, bytes).expect("written");
    path
}

fn arguments<'a>(words: &'a [&'a str], path: &'a Path) -> Vec<&'a std::ffi::OsStr> {
    words.iter().map(|word| word.as_ref()).chain([path.as_os_str()]).collect()
}

#[test]
fn a_slide_with_a_damaged_tile_shows_the_rest() {
    let Some(corpus) = corpus() else { return };
    if microtome::render::headless().is_err() {
        println!("SKIPPED: painting a damaged slide: there is no graphics adapter on this machine");
        return;
    }
    let dir = tempfile::tempdir().expect("a temporary folder");
    let damaged = damaged_copy(&corpus, dir.path());
    let lost = PixelRect::new(LOST.0 * TILE_SIDE, LOST.1 * TILE_SIDE, TILE_SIDE, TILE_SIDE);
    // At full size about the tile, and all of the slide from coarser levels.
    for (center, zoom, size) in [((1320.0, 1560.0), 1.0, (800, 700)), ((1110.0, 1483.0), 0.25, (560, 750))] {
        let paint = |path: &Path, name: &str| -> RgbImage {
            let out = dir.path().join(format!("{name}-{zoom}.png"));
            let out_word = out.display().to_string();
            let (size, center) = (format!("{}x{}", size.0, size.1), format!("{},{}", center.0, center.1));
            let zoom = zoom.to_string();
            let words = ["snapshot", "--size", &size, "--center", &center, "--zoom", &zoom, "-o", &out_word];
            let ended = run(&dir.path().join(format!("cache-{name}")), &arguments(&words, path));
            assert_eq!(ended.code, Some(0), "{}", ended.stderr);
            image::open(&out).expect("a picture").to_rgb8()
        };
        let (whole, holed) = (paint(&corpus.join(SLIDE), "whole"), paint(&damaged, "damaged"));
        // Where the lost tile lies on the picture, with a pixel for the blend at its edges on either side.
        let on_picture = |image: f64, center: f64, side: u32| (image - center) * zoom + f64::from(side) / 2.0;
        let (left, right) =
            (on_picture(lost.x.into(), center.0, size.0), on_picture(lost.right().into(), center.0, size.0));
        let (top, bottom) =
            (on_picture(lost.y.into(), center.1, size.1), on_picture(lost.bottom().into(), center.1, size.1));
        let margin = if zoom < 1.0 { 4.0 } else { 2.0 };
        let (mut changed_inside, mut inside, mut changed_outside) = (0, 0, 0);
        for (x, y, px) in holed.enumerate_pixels() {
            let (cx, cy) = (f64::from(x) + 0.5, f64::from(y) + 0.5);
            let within = |by: f64| cx > left - by && cx < right + by && cy > top - by && cy < bottom + by;
            let differs = px.0.iter().zip(whole.get_pixel(x, y).0).any(|(a, b)| a.abs_diff(b) > 2);
            if within(-margin) {
                inside += 1;
                changed_inside += u32::from(differs);
            } else if differs && !within(margin) {
                changed_outside += 1;
            }
        }
        // A coarse tile with a hole does not blend with its neighbours: a pixel's width along its border may differ.
        let allowed = if zoom < 1.0 { size.0 * size.1 / 1000 } else { 0 };
        assert!(changed_outside <= allowed, "zoom {zoom}: {changed_outside} pixels are not as on the whole slide");
        assert!(inside > 2000, "the lost tile is on the picture: {inside}");
        assert!(f64::from(changed_inside) > 0.9 * f64::from(inside), "{changed_inside} of {inside} are hatched");
    }
}

#[test]
fn raw_export_refuses_the_damaged_part_and_writes_a_region_without_it() {
    let Some(corpus) = corpus() else { return };
    let dir = tempfile::tempdir().expect("a temporary folder");
    let damaged = damaged_copy(&corpus, dir.path());
    let export = |path: &Path, name: &str, region: &str| {
        let out = dir.path().join(name);
        let out_word = out.display().to_string();
        let words = ["export", "--raw", "--compression", "none", "--region", region, "-o", &out_word];
        let ended = run(&dir.path().join(format!("cache-{name}")), &arguments(&words, path));
        (ended, out)
    };
    let (ended, out) = export(&damaged, "all.tif", "0,0,2220,2967");
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert_eq!(ended.fault(), None);
    assert!(ended.stderr.contains("a part of the image cannot be read"), "{}", ended.stderr);
    assert!(!out.exists(), "nothing half written is left");
    let beside = "0,0,1200,2967";
    let ((ended, holed), (_, whole)) =
        (export(&damaged, "beside.tif", beside), export(&corpus.join(SLIDE), "whole.tif", beside));
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let read = |path: &Path| std::fs::read(path).expect("an exported file");
    assert!(read(&holed) == read(&whole), "the region is as on the whole slide");
}

#[test]
fn a_file_that_is_cut_or_removed_while_it_is_open_fails_in_words_and_keeps_what_was_read() {
    let Some(corpus) = corpus() else { return };
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("slide.svs");
    std::fs::copy(corpus.join(SLIDE), &path).expect("copied");
    let config = EngineConfig {
        cache_dir: dir.path().join("cache"),
        data_dir: dir.path().join("data"),
        cache_limit_bytes: 1 << 30,
        threads: 1,
        no_cache: true,
    };
    let set = OpenSet::open(SetId(1), &path, &config.quota().expect("a cache"), Persist::Discard).expect("it opens");
    let key = |x, y| TileKey { plane: PlaneId { field: 0, channel: 0, z: 0, t: 0 }, level: 0, x, y };
    let load = |x, y| set.pyramid.load(key(x, y), &Cancel::default());
    let Ok(Loaded::Tile(first)) = load(0, 0) else { panic!("the first tile is there") };
    let words = |loaded: microtome::error::Result<Loaded>| match loaded {
        Ok(Loaded::Failed(words)) => words,
        Ok(_) => panic!("the tile cannot be there"),
        Err(error) => error.to_string(),
    };

    let bytes = std::fs::read(&path).expect("the slide");
    let last = tile_in_file(&bytes, (9, 12));
    let file = std::fs::OpenOptions::new().write(true).open(&path).expect("writable");
    file.set_len(last.start as u64 + 10).expect("cut");
    let cut = words(load(9, 12));
    println!("cut: {cut}");
    assert!(!cut.is_empty() && !cut.contains('\n'), "{cut}");

    std::fs::remove_file(&path).expect("removed");
    let gone = words(load(8, 12));
    println!("gone: {gone}");
    assert!(!gone.is_empty() && !gone.contains('\n'), "{gone}");

    let Ok(Loaded::Tile(again)) = load(0, 0) else { panic!("what was read stays") };
    assert!(first.bytes == again.bytes, "what was read stays as it was");
}
