//! Filling and deriving tiles: exact values, each unit decoded once, a damaged tile alone.

mod synthetic;

use microtome::engine::{FillWatch, fill_set, tiles_to_fill, work_pool};
use microtome::error::Result;
use microtome::geom::Size;
use microtome::pyramid::{Cancel, Coverage, Loaded, Made, PlaneId, Pyramid, SetId, Source, TileKey, TileSpace};
use microtome::store::{Backing, EvictionOrder, Persist, Quota, QuotaOptions, Store, StoreOptions};
use std::path::Path;
use std::sync::Arc;
use synthetic::{Synthetic, Units};

struct Unwatched;

impl FillWatch for Unwatched {
    fn wanted(&self) -> Vec<TileKey> {
        Vec::new()
    }
    fn between(&self, _: u64, _: u64) -> Result<()> {
        Ok(())
    }
}

fn pyramid(source: Arc<Synthetic>, root: &Path) -> Pyramid {
    let space = TileSpace::new(source.images(), Path::new("synthetic")).expect("small");
    let store = Store::open(StoreOptions {
        quota: Quota::new(QuotaOptions { root: root.to_owned(), limit_bytes: 1 << 30, free_disk_floor_bytes: 0 })
            .expect("a cache folder"),
        fingerprint: source.fingerprint(),
        tile_count: space.total(),
        label: "synthetic".into(),
        persist: Persist::Keep,
        backing: Backing::Mapped,
        eviction: EvictionOrder::DerivedLast,
    })
    .expect("a store");
    Pyramid::new(SetId(1), source, store, space)
}

fn fill(pyramid: &Pyramid) {
    let pool = work_pool(3).expect("threads");
    fill_set(pyramid, &pool, &Unwatched, &Cancel::default()).expect("filled");
}

/// The whole of a level as the rule has it: native values, or halved from the level before.
fn expected(source: &Synthetic, plane: PlaneId, level: u8) -> Vec<u16> {
    let image = &source.images[0];
    let info = image.levels[level as usize];
    let (w, h) = (info.size.width as usize, info.size.height as usize);
    if matches!(info.origin, microtome::pyramid::LevelOrigin::Native(_)) {
        return (0..h * w).map(|i| Synthetic::value(plane, level, (i % w) as u32, (i / w) as u32)).collect();
    }
    let finer = expected(source, plane, level - 1);
    let size = image.levels[level as usize - 1].size;
    let (fw, fh) = (size.width as usize, size.height as usize);
    let at = |x: usize, y: usize| u32::from(finer[y.min(fh - 1) * fw + x.min(fw - 1)]);
    (0..h * w)
        .map(|i| {
            let (x, y) = (2 * (i % w), 2 * (i / w));
            ((at(x, y) + at(x + 1, y) + at(x, y + 1) + at(x + 1, y + 1) + 2) >> 2) as u16
        })
        .collect()
}

fn assert_level_is_exact(pyramid: &Pyramid, source: &Synthetic, plane: PlaneId, level: u8) {
    let image = &source.images[0];
    let expected = expected(source, plane, level);
    let width = image.levels[level as usize].size.width;
    let tiles = image.tiles(level);
    for (x, y) in (0..tiles.height).flat_map(|y| (0..tiles.width).map(move |x| (x, y))) {
        let key = TileKey { plane, level, x, y };
        let tile = pyramid.read(key).expect("readable").unwrap_or_else(|| panic!("{key:?} is missing"));
        let rect = image.tile_rect(key);
        for row in 0..rect.height {
            for column in 0..rect.width {
                let at = (row * tile.side + column) as usize * 2;
                let got = u16::from_ne_bytes([tile.bytes[at], tile.bytes[at + 1]]);
                let want = expected[((rect.y + row) * width + rect.x + column) as usize];
                assert_eq!(got, want, "{key:?} at {column}, {row}");
            }
        }
    }
}

#[test]
fn a_filled_flat_image_holds_every_level_exactly_and_each_unit_was_decoded_once() {
    for units in [Units::Tiles, Units::Rows] {
        let folder = tempfile::tempdir().expect("a folder");
        let source = Arc::new(Synthetic::new(&[Size::new(1157, 903)], 128, 2, units));
        let pyramid = pyramid(source.clone(), folder.path());
        fill(&pyramid);
        assert_eq!(pyramid.store().statistics().ready_tiles, tiles_to_fill(&source.images));
        for channel in 0..2 {
            let plane = PlaneId { channel, ..PlaneId::default() };
            (0..source.images[0].levels.len() as u8)
                .for_each(|level| assert_level_is_exact(&pyramid, &source, plane, level));
        }
        assert_eq!(source.most_decoded(), 1, "{units:?}");
    }
}

#[test]
fn a_reopened_store_is_read_without_decoding_anything() {
    let folder = tempfile::tempdir().expect("a folder");
    let source = || Arc::new(Synthetic::new(&[Size::new(700, 500)], 128, 1, Units::Tiles));
    fill(&pyramid(source(), folder.path()));
    let again = source();
    let pyramid = pyramid(again.clone(), folder.path());
    fill(&pyramid);
    assert_eq!(again.most_decoded(), 0);
    assert_level_is_exact(&pyramid, &again, PlaneId::default(), 0);
}

#[test]
fn loaders_and_the_fill_together_decode_each_unit_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let source = Arc::new(Synthetic::new(&[Size::new(1500, 1500)], 128, 1, Units::Tiles));
    let pyramid = pyramid(source.clone(), folder.path());
    let tiles = source.images[0].tiles(0);
    std::thread::scope(|scope| {
        scope.spawn(|| fill(&pyramid));
        for start in 0..3 {
            let pyramid = &pyramid;
            scope.spawn(move || {
                for n in 0..tiles.area() as u32 {
                    let n = (n * 7 + start * 31) % tiles.area() as u32;
                    let key = TileKey { plane: PlaneId::default(), level: 0, x: n % tiles.width, y: n / tiles.width };
                    match pyramid.load(key, &Cancel::default()).expect("no error") {
                        Loaded::Tile(_) | Loaded::Later(Made::Busy) => {}
                        other => panic!("{other:?}"),
                    }
                }
            });
        }
    });
    assert_eq!(source.most_decoded(), 1);
}

#[test]
fn a_damaged_tile_fails_alone_and_what_lies_above_it_says_where_the_hole_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut source = Synthetic::new(&[Size::new(1024, 1024)], 128, 1, Units::Rows);
    source.damaged.push((5, 2));
    let source = Arc::new(source);
    let pyramid = pyramid(source.clone(), folder.path());
    fill(&pyramid);
    let key = |level, x, y| TileKey { plane: PlaneId::default(), level, x, y };
    let Loaded::Failed(reason) = pyramid.load(key(0, 5, 2), &Cancel::default()).expect("no error") else {
        panic!("a damaged tile was loaded")
    };
    assert_eq!(reason, "damaged on purpose");
    assert!(matches!(pyramid.load(key(0, 4, 2), &Cancel::default()), Ok(Loaded::Tile(_))), "its neighbour is whole");
    assert!(pyramid.is_ready(key(1, 0, 0)) && !pyramid.is_ready(key(1, 2, 1)), "no hole is ever stored");
    let hole = pyramid.provisional(key(3, 0, 0)).expect("no error").expect("most of it is there");
    for (row, column) in (0..8).flat_map(|r| (0..8).map(move |c| (r, c))) {
        assert_eq!(hole.coverage.has(column, row), (column, row) != (5, 2), "{column}, {row}");
    }
}

#[test]
fn between_distant_native_levels_tiles_are_derived_on_demand_and_never_filled() {
    let folder = tempfile::tempdir().expect("a folder");
    let native = [Size::new(2048, 2048), Size::new(512, 512)];
    let source = Arc::new(Synthetic::new(&native, 128, 1, Units::Tiles));
    let pyramid = pyramid(source.clone(), folder.path());
    fill(&pyramid);
    // The coarsest native level and the two halved ones above it.
    assert_eq!(pyramid.store().statistics().ready_tiles, 16 + 4 + 1);
    let key = TileKey { plane: PlaneId::default(), level: 1, x: 3, y: 2 };
    assert!(matches!(pyramid.load(key, &Cancel::default()), Ok(Loaded::Tile(_))));
    assert_eq!(pyramid.store().statistics().ready_tiles, 21 + 4 + 1, "four native tiles and the one they make");
    assert_eq!(source.most_decoded(), 1);
}

#[test]
fn a_wish_for_a_coarse_part_of_a_flat_image_waits_for_the_fill_and_is_shown_as_it_comes() {
    let folder = tempfile::tempdir().expect("a folder");
    let source = Arc::new(Synthetic::new(&[Size::new(2048, 2048)], 128, 1, Units::Tiles));
    let pyramid = pyramid(source, folder.path());
    let top = TileKey { plane: PlaneId::default(), level: 4, x: 0, y: 0 };
    assert!(matches!(pyramid.load(top, &Cancel::default()), Ok(Loaded::Later(Made::NotYet))));
    assert!(pyramid.provisional(top).expect("no error").is_none());
    let part = TileKey { plane: PlaneId::default(), level: 2, x: 1, y: 0 };
    assert_eq!(pyramid.fill(part, &|_| Ok(()), &Cancel::default()).expect("filled"), Made::Ready);
    let shown = pyramid.provisional(top).expect("no error").expect("a quarter of a quarter is there");
    assert_ne!(shown.coverage, Coverage::FULL);
    for (row, column) in (0..8).flat_map(|r| (0..8).map(move |c| (r, c))) {
        assert_eq!(shown.coverage.has(column, row), (2..4).contains(&column) && row < 2, "{column}, {row}");
    }
    assert_eq!(shown.coverage.0, pyramid.provisional_coverage(top));
}
