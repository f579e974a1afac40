//! A folder of fields in the engine: opened, shown, aligned, decided about, and opened again.

use microtome::demo::demo_folder;
use microtome::engine::{
    Engine, EngineConfig, Event, LoadedPositions, MosaicEdits, MosaicPhase, MosaicState, MosaicStep, MosaicWatch,
    OpenAs, OpenSet, OpenedSet, Opening, work_pool,
};
use microtome::error::{Error, Result};
use microtome::export::{PixelLayout, TiffPage, TiffPlan, TileCompression, TileEncoder, TiledTiffWriter};
use microtome::geom::{Point, Size};
use microtome::image_set::{self, Entry};
use microtome::mosaic::{Blend, MOSAIC};
use microtome::pixels::TileFormat;
use microtome::pyramid::{Cancel, Coverage, PlaneId, SetId, TileKey, TilePixels};
use microtome::stitch::solve::Hand;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

const SIDE: u32 = 400;
const STEP: u32 = 340;
const PATIENCE: Duration = Duration::from_secs(60);

/// Tissue without end: round spots at places that a hash gives.
fn tissue(x: u32, y: u32) -> u16 {
    const CELL: u32 = 24;
    let mut light = 400.0;
    let (cx, cy) = (x / CELL, y / CELL);
    for (i, j) in [0, 1, 2].into_iter().flat_map(|i| [0, 1, 2].map(|j| (cx + i, cy + j))) {
        let mut h = u64::from(i) << 32 | u64::from(j);
        h = (h ^ (h >> 31)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        h = (h ^ (h >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        h ^= h >> 32;
        let part = |shift: u32| (h >> shift & 0xFF) as f64 / 255.0;
        // Cells count from one to the left, so that none of them is negative.
        let at = |cell: u32, along: f64| (f64::from(cell) - 1.0 + along) * f64::from(CELL);
        let (dx, dy) = (f64::from(x) - at(i, part(0)), f64::from(y) - at(j, part(8)));
        let size = 2.0 + 4.0 * part(16);
        light += 3000.0 * part(24) * (-(dx * dx + dy * dy) / (2.0 * size * size)).exp();
    }
    light.round() as u16
}

fn write_field(path: &Path, value: impl Fn(u32, u32) -> u16) {
    let layout = PixelLayout::of(TileFormat::Gray16);
    let compression = TileCompression::Deflate;
    let mut plan = TiffPlan::default();
    let size = Size::new(SIDE, SIDE);
    let page =
        plan.add_page(TiffPage { size, tile_side: 256, layout, compression, um_per_px: None, description: None });
    let mut writer = TiledTiffWriter::create(path, &plan).expect("created");
    let mut encoder = TileEncoder::new(compression, layout, 256, path).expect("an encoder");
    for (ty, tx) in (0..2).flat_map(|y| (0..2).map(move |x| (y, x))) {
        let mut tile = vec![0; layout.tile_bytes(256)];
        for (n, px) in tile.chunks_exact_mut(2).enumerate() {
            let (x, y) = (tx * 256 + n as u32 % 256, ty * 256 + n as u32 / 256);
            if x < SIDE && y < SIDE {
                px.copy_from_slice(&value(x, y).to_ne_bytes());
            }
        }
        let packed = encoder.encode(&tile, path).expect("packed");
        writer.write_tile(page, tx, ty, &packed).expect("written");
    }
    writer.finish().expect("finished");
}

/// Where each field of the 2 x 3 grid really is.
fn truth() -> Vec<(u32, u32)> {
    let off = [(0, 0), (3, 5), (6, 2), (1, 4), (5, 7), (2, 1)];
    (0..6).map(|n| (100 + n % 3 * STEP + off[n as usize].0, 100 + n / 3 * STEP + off[n as usize].1)).collect()
}

fn name(n: usize) -> String {
    format!("tile_r{}_c{}.tif", n / 3, n % 3)
}

/// Fields that stand a few pixels off where the layout file says.
fn write_fields(folder: &Path) {
    std::fs::create_dir_all(folder).expect("made");
    let mut layout = "dim = 2\n".to_owned();
    for (n, (x0, y0)) in truth().into_iter().enumerate() {
        write_field(&folder.join(name(n)), |x, y| tissue(x0 + x, y0 + y));
        layout += &format!("{};;({}, {})\n", name(n), n as u32 % 3 * STEP, n as u32 / 3 * STEP);
    }
    std::fs::write(folder.join("TileConfiguration.txt"), layout).expect("written");
}

struct Bench {
    engine: Engine,
    woken: mpsc::Receiver<()>,
    seen: Vec<Event>,
}

impl Bench {
    fn new(folder: &Path) -> Self {
        let config = EngineConfig {
            cache_dir: folder.join("cache"),
            data_dir: folder.join("data"),
            cache_limit_bytes: 1 << 30,
            threads: 2,
            no_cache: false,
        };
        let (wake, woken) = mpsc::channel();
        let waker = Arc::new(move || {
            wake.send(()).ok();
        });
        Self { engine: Engine::new(config, waker).expect("an engine"), woken, seen: Vec::new() }
    }

    /// Waits for an event.
    fn wait<T>(&mut self, what: &str, take: impl Fn(&Event) -> Option<T>) -> T {
        loop {
            self.seen.extend(self.engine.events());
            if let Some(at) = self.seen.iter().position(|event| take(event).is_some()) {
                let event = self.seen.remove(at);
                return take(&event).expect("just taken");
            }
            if self.woken.recv_timeout(PATIENCE).is_err() {
                panic!("{what}: never came, only {:?}", self.seen);
            }
        }
    }

    fn open(&mut self, path: &Path) -> Arc<OpenedSet> {
        self.engine.open(path.to_owned());
        self.opened()
    }

    fn opened(&mut self) -> Arc<OpenedSet> {
        self.wait("opening", |event| match event {
            Event::Opened(set) => Some(set.clone()),
            Event::OpenFailed { message, .. } => panic!("{message}"),
            _ => None,
        })
    }

    fn state(&mut self, what: &str, is_it: impl Fn(&MosaicState) -> bool) -> Arc<MosaicState> {
        self.wait(what, |event| match event {
            Event::Mosaic { state, .. } if is_it(state) => Some(state.clone()),
            _ => None,
        })
    }

    /// A whole tile of a generation.
    fn tile(&mut self, set: SetId, key: TileKey, generation: u64) -> Arc<TilePixels> {
        self.engine.want(set, generation, vec![key], vec![]);
        self.wait("a tile", |event| match event {
            Event::Tile(tile) if tile.key == key && tile.coverage == Coverage::FULL => {
                (tile.generation == generation).then(|| tile.clone())
            }
            _ => None,
        })
    }
}

fn plane() -> PlaneId {
    PlaneId { field: MOSAIC, channel: 0, z: 0, t: 0 }
}

/// How far fields are from where they truly are, relative to the first.
fn worst_error(state: &MosaicState) -> f64 {
    let places = &state.alignment.as_ref().expect("aligned").positions;
    let truth = truth();
    let error = |n: usize| {
        let expected = Point::new(f64::from(truth[n].0 - truth[0].0), f64::from(truth[n].1 - truth[0].1));
        (places[n] - places[0]).distance(expected)
    };
    (0..6).map(error).fold(0.0, f64::max)
}

fn scan() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let scan = folder.path().join("scan");
    write_fields(&scan);
    (folder, scan)
}

#[test]
fn a_folder_of_fields_is_one_image_that_aligns_itself_and_shows_the_tissue() {
    let (folder, scan) = scan();
    let mut bench = Bench::new(folder.path());
    let set = bench.open(&scan);
    let mosaic = set.mosaic.as_ref().expect("a mosaic");
    assert_eq!((set.images.len(), set.listed(), mosaic.infos.len()), (1, vec![MOSAIC], 6));
    assert_eq!(mosaic.state.phase, MosaicPhase::LaidOut);
    let state = bench.state("the alignment", |s| s.phase == MosaicPhase::Aligned);
    assert!(worst_error(&state) < 0.1, "{}", worst_error(&state));
    assert!(state.geometry.generation > 1 && state.seams.len() == 7);
    assert_eq!(state.seams.worst().next(), None);
    // The middle of the first field, and what is fused there.
    let key = TileKey { plane: plane(), level: 0, x: 0, y: 0 };
    let tile = bench.tile(set.id, key, state.geometry.generation);
    let corner = state.geometry.fields[0].position;
    let (x, y) = (200 - corner.x as u32, 150 - corner.y as u32);
    let at = (150 * 256 + 200) * 2;
    let value = u16::from_ne_bytes([tile.bytes[at], tile.bytes[at + 1]]);
    assert_eq!(value, tissue(truth()[0].0 + x, truth()[0].1 + y));
    bench.engine.want_sample(set.id, vec![plane()], 200, 150);
    let source = bench.wait("a read-out", |event| match event {
        Event::Sample { values, source, .. } => Some((values.clone(), source.clone())),
        _ => None,
    });
    let (values, source) = (source.0, source.1.expect("a source"));
    assert_eq!((source.name.as_str(), source.x, source.y), ("tile_r0_c0.tif", x, y));
    assert_eq!(values, [(0, vec![f64::from(value)])]);
    bench.wait("a thumbnail", |event| matches!(event, Event::Thumbnail { .. }).then_some(()));
}

#[test]
fn decisions_are_solved_at_once_and_kept_under_the_content_of_the_files() {
    let (folder, scan) = scan();
    let mut edits = MosaicEdits::default();
    let asked = Point::new(f64::from(STEP) + 20.0, 9.0);
    edits.hand.edges.insert((1, 2), Hand::Shift(asked));
    edits.hand.edges.insert((2, 5), Hand::Refuse);
    let follows = |state: &MosaicState| {
        let places = &state.alignment.as_ref().expect("solved").positions;
        (places[2] - places[1]).distance(asked) < 0.5
    };
    {
        let mut bench = Bench::new(folder.path());
        let set = bench.open(&scan);
        bench.state("the alignment", |s| s.phase == MosaicPhase::Aligned);
        bench.engine.edit_mosaic(set.id, Arc::new(edits.clone()));
        bench.state("the solution", |s| s.phase == MosaicPhase::Aligned && follows(s));
    }
    let moved = folder.path().join("moved");
    std::fs::rename(&scan, &moved).expect("moved");
    let mut bench = Bench::new(folder.path());
    let set = bench.open(&moved);
    assert_eq!(*set.mosaic.as_ref().expect("a mosaic").saved, edits);
    bench.state("the alignment", |s| s.phase == MosaicPhase::Aligned && follows(s));
    bench.engine.forget(moved.clone());
    bench.engine.close(set.id);
    drop(bench);
    let mut bench = Bench::new(folder.path());
    let set = bench.open(&moved);
    assert_eq!(*set.mosaic.as_ref().expect("a mosaic").saved, edits, "decisions are work: only what is prepared goes");
}

#[test]
fn places_go_out_to_a_file_and_come_back_from_it() {
    let (folder, scan) = scan();
    let mut bench = Bench::new(folder.path());
    let set = bench.open(&scan);
    let aligned = bench.state("the alignment", |s| s.phase == MosaicPhase::Aligned);
    for ending in ["csv", "txt"] {
        let file = folder.path().join(format!("places.{ending}"));
        bench.engine.save_positions(set.id, file.clone());
        bench.wait("the file", |event| matches!(event, Event::PositionsSaved { .. }).then_some(()));
        bench.engine.load_positions(set.id, file);
        let positions = bench.wait("the places", |event| match event {
            Event::PositionsLoaded { positions, .. } => Some(positions.clone()),
            _ => None,
        });
        let solved = &aligned.alignment.as_ref().expect("solved").positions;
        let first = positions.places[0].expect("listed");
        for (place, solved_place) in positions.places.iter().zip(solved) {
            // Three decimals are written.
            assert!((place.expect("listed") - first).distance(*solved_place - solved[0]) < 0.002);
        }
        let edits = MosaicEdits { positions: Some(positions.clone()), ..MosaicEdits::default() };
        bench.engine.edit_mosaic(set.id, Arc::new(edits));
        let loaded = bench.state("the loaded places", |s| s.phase == MosaicPhase::Loaded);
        let step = |s: &MosaicState| s.geometry.fields[5].position - s.geometry.fields[0].position;
        assert_eq!(step(&loaded), step(&aligned));
    }
}

#[test]
fn places_that_make_no_mosaic_are_refused_and_never_keep_a_folder_from_opening() {
    let (folder, scan) = scan();
    let list = folder.path().join("far.csv");
    std::fs::write(&list, format!("file,x,y\n{},0,0\n{},1e9,0\n", name(0), name(1))).expect("written");
    let mut bench = Bench::new(folder.path());
    let set = bench.open(&scan);
    bench.engine.load_positions(set.id, list.clone());
    let told = bench.wait("a problem", |event| match event {
        Event::PositionsLoaded { .. } => panic!("taken over"),
        Event::Problem { message, .. } => Some(message.clone()),
        _ => None,
    });
    assert!(told.starts_with("The positions were not loaded") && told.ends_with("far.csv"), "{told}");
    // An older run kept such places.
    let places = vec![Some(Point::default()), Some(Point::new(1e9, 0.0)), None, None, None, None];
    let positions = Some(LoadedPositions { path: list, places });
    bench
        .engine
        .edit_mosaic(set.id, Arc::new(MosaicEdits { positions: positions.map(Arc::new), ..MosaicEdits::default() }));
    drop(bench);
    let mut bench = Bench::new(folder.path());
    let set = bench.open(&scan);
    assert!(set.warnings.iter().any(|w| w.starts_with("The loaded positions are left out")), "{:?}", set.warnings);
    assert_eq!(set.mosaic.as_ref().expect("a mosaic").saved.positions, None);
}

/// A fault strikes at the first step of a measurement.
struct Faulty;

impl MosaicWatch for Faulty {
    fn begin(&self) -> Cancel {
        Cancel::default()
    }

    fn progress(&self, _: MosaicStep, _: u64, _: u64) -> Result<()> {
        panic!("a fault, as this test wants it")
    }

    fn end(&self, _: Result<()>) {}

    fn changed(&self, _: &Arc<MosaicState>) {}

    fn problem(&self, _: &Error) {}
}

/// A folder of fields as a set that no engine works on.
fn open_by_hand(folder: &Path, scan: &Path) -> OpenSet {
    let config = EngineConfig {
        cache_dir: folder.join("cache"),
        data_dir: folder.join("data"),
        cache_limit_bytes: 1 << 30,
        threads: 2,
        no_cache: true,
    };
    let resolved = image_set::resolve(scan).expect("found");
    let [Entry::Fields(fields)] = &resolved.entries[..] else { panic!("one mosaic: {:?}", resolved.entries) };
    let quota = config.quota().expect("a cache");
    let how = Opening { id: SetId(1), quota: &quota, persist: config.persist() };
    OpenSet::open_fields(&how, fields, "f".into(), MosaicEdits::default(), false).expect("opens")
}

#[test]
fn a_fault_ends_an_alignment_and_the_mosaic_says_so() {
    let (folder, scan) = scan();
    let set = open_by_hand(folder.path(), &scan);
    let mosaic = set.mosaic.as_ref().expect("a mosaic");
    let pool = work_pool(2).expect("a pool");
    let serve = || mosaic.serve(&set.pyramid, &pool, &Faulty);
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(serve)).expect_err("the fault");
    assert!(mosaic.state().is_aligning());
    mosaic.stopped_by_fault(&Faulty);
    assert!(matches!(&mosaic.state().phase, MosaicPhase::NotAligned(why) if why.contains("fault")));
    // It is not begun again by itself: that would strike again.
    serve();
    assert!(!mosaic.state().is_aligning());
}

#[test]
fn a_mosaic_shown_unaligned_keeps_its_solution() {
    let (folder, scan) = scan();
    let mut bench = Bench::new(folder.path());
    let set = bench.open(&scan);
    let aligned = bench.state("the alignment", |s| s.phase == MosaicPhase::Aligned);
    let unaligned = MosaicEdits { show_unaligned: true, ..MosaicEdits::default() };
    bench.engine.edit_mosaic(set.id, Arc::new(unaligned));
    let state = bench.state("the layout", |s| s.phase == MosaicPhase::Unaligned);
    assert_eq!(state.geometry.fields[2].position - state.geometry.fields[0].position, Point::new(680.0, 0.0));
    assert!(state.geometry.generation > aligned.geometry.generation);
    assert_eq!(state.geometry.origin, aligned.geometry.origin, "the frame stays where it is");
    bench.engine.edit_mosaic(set.id, Arc::new(MosaicEdits::default()));
    let again = bench.state("the solution", |s| {
        s.phase == MosaicPhase::Aligned && s.geometry.generation > state.geometry.generation
    });
    assert_eq!(again.geometry.fields, aligned.geometry.fields);
}

#[test]
fn files_are_opened_each_by_itself_and_put_together_again() {
    let (folder, scan) = scan();
    let files: Vec<PathBuf> = (0..6).map(|n| scan.join(name(n))).collect();
    let mut bench = Bench::new(folder.path());
    bench.engine.open_as(OpenAs::Separate(files.clone()));
    for file in &files {
        let set = bench.opened();
        assert!(set.mosaic.is_none() && set.path == *file);
        bench.engine.close(set.id);
    }
    bench.engine.open_as(OpenAs::Together { files: files.clone(), pattern: None });
    let set = bench.opened();
    let mosaic = set.mosaic.as_ref().expect("a mosaic");
    assert!(mosaic.chosen && mosaic.fields.fields.len() == 6);
    assert_eq!(OpenAs::of(&set), OpenAs::Together { files: mosaic.fields.files.clone(), pattern: None });
    bench.engine.close(set.id);
    bench.engine.open_as(OpenAs::Several(files.clone()));
    let set = bench.opened();
    assert_eq!(set.mosaic.as_ref().expect("a mosaic").fields.fields.len(), 6, "they are recognised");
    let replaced = bench.wait("the list", |event| match event {
        Event::Resolved { path, paths } if !paths.is_empty() => Some((path.clone(), paths.clone())),
        _ => None,
    });
    assert!(files.contains(&replaced.0));
}

#[test]
fn a_damaged_field_is_a_hole_that_is_told_once_by_its_name() {
    let (folder, scan) = scan();
    let victim = scan.join(name(4));
    let mut bytes = std::fs::read(&victim).expect("read");
    // The headers are good, some of the packed pixels are not.
    let quarter = bytes.len() / 4;
    bytes[quarter..2 * quarter].fill(0xFF);
    std::fs::write(&victim, &bytes).expect("damaged");
    let mut bench = Bench::new(folder.path());
    let set = bench.open(&scan);
    let told = bench.wait("the problem", |event| match event {
        Event::Problem { message, .. } if message.contains("tile_r1_c1") => Some(message.clone()),
        _ => None,
    });
    assert!(told.starts_with("The field tile_r1_c1.tif cannot be read"), "{told}");
    let state = bench.state("an end", |s| !s.is_aligning() && s.phase != MosaicPhase::LaidOut);
    assert_eq!(state.geometry.fields.len(), 6);
    let key = TileKey { plane: plane(), level: 0, x: 0, y: 0 };
    bench.tile(set.id, key, state.geometry.generation);
}

/// Calls the first alignment off as soon as it has begun.
#[derive(Default)]
struct Impatient {
    begun: Mutex<Vec<Cancel>>,
    outcomes: Mutex<Vec<bool>>,
}

impl MosaicWatch for Impatient {
    fn wants_light(&self) -> bool {
        false
    }

    fn begin(&self) -> Cancel {
        let cancel = Cancel::default();
        self.begun.lock().expect("no panic").push(cancel.clone());
        cancel
    }

    fn progress(&self, _: MosaicStep, _: u64, _: u64) -> Result<()> {
        let begun = self.begun.lock().expect("no panic");
        if let [only] = &begun[..] {
            only.cancel();
        }
        Ok(())
    }

    fn end(&self, outcome: Result<()>) {
        self.outcomes.lock().expect("no panic").push(outcome.is_ok());
    }

    fn changed(&self, _: &Arc<MosaicState>) {}

    fn problem(&self, error: &Error) {
        panic!("{error}");
    }
}

#[test]
fn a_cancelled_alignment_leaves_the_layout_and_is_not_begun_again_by_itself() {
    let (folder, scan) = scan();
    let set = open_by_hand(folder.path(), &scan);
    let mosaic = set.mosaic.as_ref().expect("a mosaic");
    let (pool, watch) = (work_pool(2).expect("threads"), Impatient::default());
    mosaic.serve(&set.pyramid, &pool, &watch);
    assert_eq!(mosaic.state().phase, MosaicPhase::LaidOut);
    mosaic.set_edits(Arc::new(MosaicEdits { blend: Blend::Linear, ..MosaicEdits::default() }));
    mosaic.serve(&set.pyramid, &pool, &watch);
    assert_eq!(*watch.outcomes.lock().expect("no panic"), [false], "another blend is no reason to begin again");
    assert_eq!(mosaic.state().geometry.blend, Blend::Linear);
    mosaic.align_again();
    mosaic.serve(&set.pyramid, &pool, &watch);
    assert_eq!(mosaic.state().phase, MosaicPhase::Aligned);
    assert_eq!(*watch.outcomes.lock().expect("no panic"), [false, true]);
}

#[test]
fn a_long_errand_on_an_open_set_does_not_hold_up_the_opening_of_another() {
    let (folder, scan) = scan();
    let mut bench = Bench::new(folder.path());
    let set = bench.open(&scan);
    let (release, wait) = mpsc::channel::<()>();
    let (tell, told) = mpsc::channel();
    let errand = move |set: &OpenSet| {
        // It lasts until it is let go, or the test has failed.
        wait.recv().ok();
        tell.send(set.opened.id).ok();
    };
    bench.engine.with_set(set.id, Box::new(errand));
    let single = folder.path().join("single.tif");
    write_field(&single, tissue);
    let opened = bench.open(&single);
    assert_eq!(opened.path, single);
    release.send(()).expect("it waits");
    assert_eq!(told.recv_timeout(PATIENCE), Ok(set.id));
}

#[test]
fn files_that_are_a_part_of_a_folder_open_as_just_these() {
    let (folder, scan) = scan();
    let mut bench = Bench::new(folder.path());
    let all = bench.open(&scan);
    let two: Vec<PathBuf> = [0, 1].map(|n| scan.join(name(n))).into();
    bench.engine.open_as(OpenAs::Several(two.clone()));
    let part = bench.opened();
    let mosaic = part.mosaic.as_ref().expect("a mosaic");
    assert_eq!((mosaic.fields.fields.len(), mosaic.fields.files.clone()), (2, two.clone()));
    assert_ne!(part.path, all.path, "the folder stands for all of them");
    assert_eq!(mosaic.fields.name, "tile_r0_c0 + tile_r0_c1");
    assert_eq!(OpenAs::of(&part), OpenAs::Together { files: two, pattern: None });
    let offered = bench.wait("the offer", |event| match event {
        Event::PartOpened { folder, files } => Some((folder.clone(), *files)),
        _ => None,
    });
    assert_eq!(offered, (scan, 2));
}

#[test]
fn a_mosaic_gets_a_thumbnail_of_what_its_fields_cover() {
    let (folder, scan) = scan();
    let mut bench = Bench::new(folder.path());
    bench.open(&scan);
    let state = bench.state("the alignment", |s| s.phase == MosaicPhase::Aligned);
    let (size, rgba) = bench.wait("the thumbnail", |event| match event {
        Event::Thumbnail { path, size, rgba } if *path == scan => Some((*size, rgba.clone())),
        _ => None,
    });
    let extent = state.geometry.extent;
    let aspect = f64::from(extent.width) / f64::from(extent.height);
    assert!((f64::from(size.width) / f64::from(size.height) - aspect).abs() < 0.03, "{size:?} {extent:?}");
    let lit = rgba.chunks_exact(4).filter(|px| px[..3].iter().any(|&v| v > 0)).count();
    assert!(lit as u64 * 10 > size.area() * 9, "tissue goes to its edges: {lit} of {}", size.area());
}

#[test]
fn the_demos_fields_are_open_and_aligned_before_its_slides_are_painted() {
    let (folder, _) = scan();
    let demo = demo_folder(&folder.path().join("data"));
    // Some fields are there already, so that the test need not wait until they are painted.
    write_fields(&demo.join("demo-fields"));
    let mut bench = Bench::new(folder.path());
    bench.engine.demo();
    let path = bench.wait("the fields", |event| match event {
        Event::DemoReady { path } => Some(path.clone()),
        _ => None,
    });
    assert_eq!(path, demo.join("demo-fields"));
    bench.open(&path);
    bench.state("the alignment", |s| s.phase == MosaicPhase::Aligned);
    let is_slide = |event: &Event| matches!(event, Event::DemoReady { .. });
    assert!(!bench.seen.iter().any(is_slide), "a slide was painted first");
}

#[test]
fn what_is_no_image_is_not_to_be_tried_again_and_what_is_gone_is() {
    let (folder, _) = scan();
    let text = folder.path().join("report.txt");
    std::fs::write(&text, "no image").expect("written");
    let mut bench = Bench::new(folder.path());
    for (path, expected) in [(text, false), (folder.path().join("gone.tif"), true)] {
        bench.engine.open(path.clone());
        let try_again = bench.wait("the failure", |event| match event {
            Event::OpenFailed { path: of, try_again, .. } if *of == path => Some(*try_again),
            _ => None,
        });
        assert_eq!(try_again, expected, "{}", path.display());
    }
}

/// Calls the measuring of the light off as soon as it says something.
#[derive(Default)]
struct InTheDark {
    begun: Mutex<Vec<Cancel>>,
    words_of_light: AtomicUsize,
}

impl MosaicWatch for InTheDark {
    fn begin(&self) -> Cancel {
        let cancel = Cancel::default();
        self.begun.lock().expect("no panic").push(cancel.clone());
        cancel
    }

    fn progress(&self, step: MosaicStep, _: u64, _: u64) -> Result<()> {
        if step == MosaicStep::Light {
            self.words_of_light.fetch_add(1, Ordering::Relaxed);
            self.begun.lock().expect("no panic").iter().for_each(Cancel::cancel);
        }
        Ok(())
    }

    fn end(&self, _: Result<()>) {}

    fn changed(&self, _: &Arc<MosaicState>) {}

    fn problem(&self, _: &Error) {}
}

#[test]
fn measuring_the_light_stops_at_once_when_it_is_called_off() {
    let (folder, scan) = scan();
    let set = open_by_hand(folder.path(), &scan);
    let mosaic = set.mosaic.as_ref().expect("a mosaic");
    let watch = InTheDark::default();
    mosaic.serve(&set.pyramid, &work_pool(2).expect("a pool"), &watch);
    assert_eq!(mosaic.state().phase, MosaicPhase::Aligned);
    assert_eq!(watch.words_of_light.load(Ordering::Relaxed), 1);
}
