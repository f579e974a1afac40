//! Measures what it costs to put fields together: decoding them, bands of level 0 as an export takes them, and tiles of every
//! level as the window does.
//!
//! `cargo bench --bench mosaic_fuse -- DIR [--blend feather|linear|average|maximum|none] [--sub-pixel]`
//! DIR holds a `TileConfiguration.txt` and its fields, one channel each, all of one size. CPU seconds are this process's.

use microtome::geom::{PixelRect, Point, Size};
use microtome::image_set::{FieldChannel, FieldPlace, FieldPlane, FieldSet, Layout};
use microtome::mosaic::{Blend, FieldsSource, Fuser, Geometry, MOSAIC, MOSAIC_TILE_SIDE, Placement, Reduced};
use microtome::pixels::{CoveredRow, halve_covered};
use microtome::pyramid::{Cancel, Loaded, PlaneId, Pyramid, SetId, Source, TileKey, TileSpace};
use microtome::store::{Backing, EvictionOrder, Persist, Quota, QuotaOptions, Store, StoreOptions};
use std::path::Path;
use std::sync::Arc;

const PLANE: PlaneId = PlaneId { field: MOSAIC, channel: 0, z: 0, t: 0 };

/// CPU seconds of the process; the kernel counts in hundredths.
fn cpu_secs() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<f64> = stat.rsplit(')').next().unwrap_or("").split(' ').filter_map(|f| f.parse().ok()).collect();
    // Without the state letter, user and system time are the 11th and 12th.
    fields.iter().skip(10).take(2).sum::<f64>() / 100.0
}

fn timed<R>(what: &str, work: impl FnOnce() -> R) -> R {
    let (cpu, wall) = (cpu_secs(), std::time::Instant::now());
    let result = work();
    println!("{what:50} {:8.2} CPU-s {:8.2} s", cpu_secs() - cpu, wall.elapsed().as_secs_f64());
    result
}

fn field_set(dir: &Path) -> FieldSet {
    let text = std::fs::read_to_string(dir.join("TileConfiguration.txt")).expect("DIR has a TileConfiguration.txt");
    let mut entries: Vec<(String, Point)> = text
        .lines()
        .filter_map(|line| {
            let (name, rest) = line.split_once(';')?;
            let numbers = rest.rsplit(';').next()?.trim().trim_matches(|c| c == '(' || c == ')');
            let (x, y) = numbers.split_once(',')?;
            Some((name.trim().to_owned(), Point::new(x.trim().parse().ok()?, y.trim().parse().ok()?)))
        })
        .collect();
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    let files: Vec<_> = entries.iter().map(|(name, _)| dir.join(name)).collect();
    let size = microtome::formats::open(&files[0]).expect("the first field").source.images()[0].size;
    let plane = |file| FieldPlane { channel: 0, z: 0, t: 0, file, image: 0, file_channel: 0, file_z: 0, file_t: 0 };
    let place = |(n, (name, nominal)): (usize, (String, Point))| FieldPlace {
        name,
        row_col: None,
        nominal,
        size,
        planes: vec![plane(n as u32)],
    };
    FieldSet {
        path: dir.to_owned(),
        name: "bench".into(),
        evidence: "a layout file".into(),
        files,
        channels: vec![FieldChannel { name: "C".into(), color: None, round: 0 }],
        fields: entries.into_iter().enumerate().map(place).collect(),
        z_count: 1,
        t_count: 1,
        um_per_px: None,
        layout: Layout::Stage,
        left_out: Vec::new(),
        saved_positions: None,
        warnings: Vec::new(),
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let Some(dir) = arguments.first() else {
        println!("usage: mosaic_fuse DIR [--blend feather|linear|average|maximum|none] [--sub-pixel]");
        return;
    };
    let blend = match arguments.iter().skip_while(|a| *a != "--blend").nth(1).map(String::as_str) {
        Some("linear") => Blend::Linear,
        Some("average") => Blend::Average,
        Some("maximum") => Blend::Maximum,
        Some("none") => Blend::None,
        _ => Blend::Feather,
    };
    let placement = if arguments.iter().any(|a| a == "--sub-pixel") { Placement::SubPixel } else { Placement::Whole };
    let set = Arc::new(field_set(Path::new(dir)));
    let source = Arc::new(timed("open", || FieldsSource::open(set.clone()).expect("fields")));
    let space = TileSpace::new(source.images(), Path::new(dir)).expect("tiles");
    let root = tempfile::tempdir().expect("a folder");
    let store = Store::open(StoreOptions {
        quota: Quota::new(QuotaOptions {
            root: root.path().to_owned(),
            limit_bytes: 64 << 30,
            free_disk_floor_bytes: 0,
        })
        .expect("a cache folder"),
        fingerprint: source.fingerprint(),
        tile_count: space.total(),
        label: "bench".into(),
        persist: Persist::Discard,
        backing: Backing::Mapped,
        eviction: EvictionOrder::DerivedLast,
    })
    .expect("a store");
    let pyramid = Pyramid::new(SetId(1), source.clone(), store, space);
    let cancel = Cancel::default();
    timed("decode level 0", || {
        for field in 0..set.fields.len() as u32 {
            let plane = PlaneId { field, ..PlaneId::default() };
            pyramid.fill(TileKey { plane, level: 0, x: 0, y: 0 }, &|_| Ok(()), &cancel).expect("decoded");
        }
    });
    let places: Vec<Point> = set.fields.iter().map(|f| f.nominal + Point::new(0.37, 0.61)).collect();
    let sizes: Vec<Size> = set.fields.iter().map(|f| f.size).collect();
    let geometry = timed("geometry", || {
        let nominal: Vec<Point> = set.fields.iter().map(|f| f.nominal).collect();
        Arc::new(Geometry::new(1, &nominal, &places, &sizes, blend, placement, 16.0).expect("a layout"))
    });
    let reduced = Arc::new(Reduced::default());
    let fuser = Fuser::new(&pyramid, geometry.clone(), None).with_reduced(reduced);
    let extent = geometry.extent;
    let bands = |width: u32| {
        let mut bytes = 0;
        for y in (extent.y..extent.bottom()).step_by(256) {
            for x in (extent.x..extent.right()).step_by(width as usize) {
                let rect = PixelRect::new(x, y, width, 256).intersect(extent);
                bytes += fuser.band(PLANE, rect, &cancel).expect("a band").bytes.len();
            }
        }
        bytes
    };
    let bytes = timed("bands of level 0, 256 px wide", || bands(256));
    timed("bands of level 0, 2048 px wide", || bands(2048));
    println!("{} MB in {} x {}", bytes >> 20, extent.width, extent.height);
    timed("halving rows", || {
        let row = vec![7; extent.width as usize * 2];
        let ones = vec![1; extent.width as usize];
        let (mut out, mut mask) = (vec![0; row.len() / 2 + 2], vec![0; ones.len() / 2 + 1]);
        let format = source.images()[0].channels[0].format;
        let half = ones.len().div_ceil(2);
        for _ in 0..extent.height / 2 {
            let input = CoveredRow { samples: &row, covered: &ones };
            halve_covered(format, input, Some(input), &mut out[..half * 2], &mut mask[..half]);
        }
    });
    timed("derive all levels of all fields", || {
        for (field, image) in source.images().iter().enumerate() {
            let plane = PlaneId { field: field as u32, ..PlaneId::default() };
            let coarsest = TileKey { plane, level: image.levels.len() as u8 - 1, x: 0, y: 0 };
            pyramid.fill(coarsest, &|_| Ok(()), &cancel).expect("derived");
        }
    });
    for (level, info) in geometry.levels().iter().enumerate() {
        let side = MOSAIC_TILE_SIDE;
        let (across, down) = (info.size.width.div_ceil(side), info.size.height.div_ceil(side));
        let keys: Vec<TileKey> = (0..down)
            .flat_map(|y| (0..across).map(move |x| TileKey { plane: PLANE, level: level as u8, x, y }))
            .collect();
        let step = (keys.len() / 200).max(1);
        let some: Vec<&TileKey> = keys.iter().step_by(step).collect();
        let what = format!("level {level}: {} of {} tiles", some.len(), keys.len());
        timed(&what, || {
            for key in &some {
                assert!(matches!(fuser.load(**key).expect("asked"), Loaded::Tile(_)), "{key:?}");
            }
        });
        timed("  the same, what they need", || some.iter().filter(|key| fuser.is_ready(***key)).count());
    }
}
