//! What fields and fusing take of the heap: a little for each field, and nothing that grows with the mosaic.
//!
//! One test in a process of its own, because the allocator counts for all threads.

use microtome::engine::HEAP;
use microtome::geom::{PixelRect, Point, Size};
use microtome::image_set::{FieldChannel, FieldPlace, FieldPlane, FieldSet, Layout};
use microtome::mosaic::{Blend, FieldsSource, Fuser, Geometry, MOSAIC, Placement};
use microtome::pyramid::{Cancel, PlaneId, Pyramid, SetId, Source, TileSpace};
use microtome::store::{Backing, EvictionOrder, Persist, Quota, QuotaOptions, Store, StoreOptions};
use std::path::Path;
use std::sync::Arc;

/// Fields of the large set.
const FIELDS: u32 = 20_000;

/// What a field may take: its description, four channels, its levels, its tiles' numbers, its place in the index.
const BYTES_PER_FIELD: usize = 1200;

/// What one band of 2048 x 256 px may take: 1 MiB of pixels, half of it coverage, the same staged, and rows.
const BAND_BYTES: usize = 6 << 20;

const SIZE: Size = Size::new(512, 512);

fn set(folder: &Path, count: u32) -> FieldSet {
    let planes = |_| {
        let plane = |c| FieldPlane { channel: c, z: 0, t: 0, file: 0, image: 0, file_channel: 0, file_z: 0, file_t: 0 };
        (0..4).map(plane).collect()
    };
    let place = |n: u32| FieldPlace {
        name: format!("field_{n:05}.png"),
        row_col: None,
        nominal: Point::new(f64::from(n % 141) * 460.0, f64::from(n / 141) * 460.0),
        size: SIZE,
        planes: planes(n),
    };
    FieldSet {
        path: folder.to_owned(),
        name: "many".into(),
        evidence: "a test".into(),
        files: vec![folder.join("field.png")],
        channels: (0..4).map(|n| FieldChannel { name: format!("C{n}"), color: None, round: 0 }).collect(),
        fields: (0..count).map(place).collect(),
        z_count: 1,
        t_count: 1,
        um_per_px: None,
        layout: Layout::Stage,
        left_out: Vec::new(),
        saved_positions: None,
        warnings: Vec::new(),
    }
}

#[test]
fn many_fields_take_little_and_a_band_takes_the_same_of_a_large_mosaic_as_of_a_small_one() {
    let dir = tempfile::tempdir().expect("a folder");
    let picture = image::GrayImage::from_fn(SIZE.width, SIZE.height, |x, y| image::Luma([(x * 7 + y * 3) as u8]));
    picture.save(dir.path().join("field.png")).expect("written");
    let mut peaks = Vec::new();
    for count in [141 * 4, FIELDS] {
        let set = Arc::new(set(dir.path(), count));
        let before = HEAP.current_usage();
        let source = Arc::new(FieldsSource::open(set.clone()).expect("opened"));
        let space = TileSpace::new(source.images(), dir.path()).expect("tiles");
        let places: Vec<Point> = set.fields.iter().map(|f| f.nominal).collect();
        let sizes = vec![SIZE; places.len()];
        let (blend, placement) = (Blend::Feather, Placement::Whole);
        let geometry = Geometry::new(1, &places, &places, &sizes, blend, placement, 10.0).expect("a layout");
        drop((places, sizes));
        let bytes = HEAP.current_usage() - before;
        if count == FIELDS {
            let each = bytes / FIELDS as usize;
            assert!(each <= BYTES_PER_FIELD, "{each} bytes a field");
        }
        let store = Store::open(StoreOptions {
            quota: Quota::new(QuotaOptions {
                root: dir.path().join("cache"),
                limit_bytes: 1 << 30,
                free_disk_floor_bytes: 0,
            })
            .expect("a cache folder"),
            fingerprint: source.fingerprint(),
            tile_count: space.total(),
            label: "many".into(),
            persist: Persist::Discard,
            backing: Backing::Mapped,
            eviction: EvictionOrder::DerivedLast,
        })
        .expect("a store");
        let pyramid = Pyramid::new(SetId(1), source, store, space);
        let fuser = Fuser::new(&pyramid, Arc::new(geometry), None);
        let plane = PlaneId { field: MOSAIC, channel: 1, z: 0, t: 0 };
        let band = |y| fuser.band(plane, PixelRect::new(10, y, 2048, 256), &Cancel::default()).expect("a band");
        // Once for what is kept from then on: readers, spare buffers.
        band(0);
        HEAP.reset_peak_usage();
        let before = HEAP.current_usage();
        let made = band(700);
        assert_eq!(made.bytes.len(), 2048 * 256);
        peaks.push(HEAP.peak_usage() - before);
    }
    let (small, large) = (peaks[0], peaks[1]);
    assert!(large <= BAND_BYTES, "{large} bytes for a band");
    assert!(large <= small + (64 << 10), "{small} bytes for a band of the small mosaic, {large} of the large one");
}
