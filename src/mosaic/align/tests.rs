//! Alignments of synthetic fields of known truth, through a pyramid, as the program does it.

use super::*;
use crate::error::Result;
use crate::image_set::{
    Corner, FieldChannel, FieldPlace as SetField, FieldPlane, FirstAlong, GridLayout, GridOrder, ScanPath,
};
use crate::pixels::{PixelType, TileFormat, ValueCoding};
use crate::pyramid::{
    AssociatedInfo, Calibration, ChannelInfo, ChannelRole, FillUnit, ImageInfo, PlaneId, SetId, Source, TileKey,
    TileSpace, UnitSink, level_plan,
};
use crate::store::{Backing, EvictionOrder, Persist, Quota, QuotaOptions, Store, StoreOptions};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

const SIZE: Size = Size::new(320, 256);
const TILE_SIDE: u32 = 128;
const OVERLAP: f64 = 0.2;

struct Random(u64);
impl Random {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }
    fn normal(&mut self) -> f64 {
        (-2.0 * self.uniform().ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos()
    }
}

/// Gaussian spots; a field sees those around it under noise of its own.
struct Scene(Vec<(Point, f64, f64)>);

impl Scene {
    fn new(seed: u64, area: Point, spots_per_megapixel: f64) -> Self {
        let mut r = Random(seed);
        let spots = (area.x * area.y * spots_per_megapixel / 1e6) as usize;
        let mut spot = || {
            let at = Point::new(r.uniform() * area.x - 100.0, r.uniform() * area.y - 100.0);
            (at, 1.5 + 3.0 * r.uniform(), 300.0 + 2000.0 * r.uniform())
        };
        Self((0..spots).map(|_| spot()).collect())
    }

    fn photograph(&self, corner: Point, seed: u64) -> Vec<u16> {
        let (width, height) = (SIZE.width as usize, SIZE.height as usize);
        let mut clean = vec![20.0; width * height];
        for &(at, sigma, peak) in &self.0 {
            let middle = at - corner;
            let reach = 5.0 * sigma;
            let span =
                |m: f64, n: usize| ((m - reach).max(0.0) as usize).min(n)..((m + reach).max(0.0) as usize).min(n);
            for y in span(middle.y, height) {
                for x in span(middle.x, width) {
                    let d2 = (x as f64 - middle.x).powi(2) + (y as f64 - middle.y).powi(2);
                    clean[y * width + x] += peak * (-0.5 * d2 / (sigma * sigma)).exp();
                }
            }
        }
        let mut r = Random(seed);
        clean.iter().map(|&v| (100.0 + v + (v + 25.0).sqrt() * r.normal()).round().clamp(0.0, 65535.0) as u16).collect()
    }
}

/// Fields in memory, a unit a plane.
struct Fields {
    images: Vec<ImageInfo>,
    /// By field and channel.
    pixels: Vec<Vec<Vec<u16>>>,
    decoded: Vec<AtomicU32>,
}

impl Fields {
    fn new(pixels: Vec<Vec<Vec<u16>>>) -> Self {
        let channel = |c: usize| ChannelInfo {
            name: format!("Channel {c}"),
            color: None,
            format: TileFormat::Gray16,
            role: ChannelRole::Intensity,
            significant_bits: None,
        };
        let image = |channels: usize| ImageInfo {
            name: "field".into(),
            size: SIZE,
            pixel_type: PixelType::U16,
            channels: (0..channels).map(channel).collect(),
            z_count: 1,
            t_count: 1,
            um_per_px: None,
            calibration: Calibration::Unknown,
            objective: None,
            tile_side: TILE_SIDE,
            levels: level_plan(&[SIZE], TILE_SIDE),
        };
        Self {
            images: pixels.iter().map(|p| image(p.len())).collect(),
            decoded: pixels.iter().map(|_| AtomicU32::new(0)).collect(),
            pixels,
        }
    }
}

impl Source for Fields {
    fn images(&self) -> &[ImageInfo] {
        &self.images
    }
    fn coding(&self, _: PlaneId) -> Result<ValueCoding> {
        Ok(ValueCoding::IDENTITY)
    }
    fn unit_of(&self, key: TileKey) -> FillUnit {
        let tiles = self.images[0].tiles(0);
        FillUnit { planes: vec![key.plane], level: 0, first: (0, 0), count: (tiles.width, tiles.height) }
    }
    fn read_unit(&self, unit: &FillUnit, sink: &mut dyn UnitSink, _: &Cancel) -> Result<()> {
        let plane = unit.planes[0];
        self.decoded[plane.field as usize].fetch_add(1, Ordering::Relaxed);
        let pixels = &self.pixels[plane.field as usize][usize::from(plane.channel)];
        if pixels.is_empty() {
            return Err(Error::format("damaged on purpose", Path::new("field")));
        }
        for key in unit.keys() {
            let rect = self.images[0].tile_rect(key);
            let tile = sink.tile_mut(key)?;
            for y in 0..rect.height {
                for x in 0..rect.width {
                    let value = pixels[((rect.y + y) * SIZE.width + rect.x + x) as usize];
                    let at = ((y * TILE_SIDE + x) * 2) as usize;
                    tile[at..at + 2].copy_from_slice(&value.to_ne_bytes());
                }
            }
        }
        Ok(())
    }
    fn sample(&self, _: PlaneId, _: u32, _: u32) -> Result<Vec<f64>> {
        Ok(vec![0.0])
    }
    fn fingerprint(&self) -> Vec<u8> {
        b"fields".to_vec()
    }
    fn check_unchanged(&self) -> Result<()> {
        Ok(())
    }
    fn associated(&self) -> &[AssociatedInfo] {
        &[]
    }
    fn read_associated(&self, _: usize) -> Result<Vec<u8>> {
        Ok(Vec::new())
    }
}

/// A grid with jitter: fields by name, as a recogniser would bring them, and the truth.
struct Case {
    set: Arc<FieldSet>,
    source: Arc<Fields>,
    truth: Vec<Point>,
    _cache: tempfile::TempDir,
    pyramid: Pyramid,
}

fn channels(names: &[&str]) -> Vec<FieldChannel> {
    names.iter().map(|n| FieldChannel { name: (*n).to_owned(), color: None, round: 0 }).collect()
}

fn case(truth: Vec<Point>, given: &[(Point, Option<(i32, i32)>)], layout: Layout, pixels: Vec<Vec<Vec<u16>>>) -> Case {
    let names = ["marker", "Hoechst 33342"];
    let set = Arc::new(FieldSet {
        path: PathBuf::from("synthetic"),
        name: "synthetic".into(),
        evidence: String::new(),
        files: Vec::new(),
        channels: channels(&names[..pixels[0].len()]),
        fields: given
            .iter()
            .enumerate()
            .map(|(k, &(nominal, row_col))| SetField {
                name: format!("f{k:03}"),
                row_col,
                nominal,
                size: SIZE,
                planes: Vec::<FieldPlane>::new(),
            })
            .collect(),
        z_count: 1,
        t_count: 1,
        um_per_px: Some([0.5, 0.5]),
        layout,
        left_out: Vec::new(),
        saved_positions: None,
        warnings: Vec::new(),
    });
    let source = Arc::new(Fields::new(pixels));
    let cache = tempfile::tempdir().expect("a folder");
    let space = TileSpace::new(source.images(), Path::new("synthetic")).expect("small");
    let store = Store::open(StoreOptions {
        quota: Quota::new(QuotaOptions {
            root: cache.path().to_owned(),
            limit_bytes: 1 << 30,
            free_disk_floor_bytes: 0,
        })
        .expect("a cache folder"),
        fingerprint: source.fingerprint(),
        tile_count: space.total(),
        label: "synthetic".into(),
        persist: Persist::Discard,
        backing: Backing::Heap,
        eviction: EvictionOrder::DerivedLast,
    })
    .expect("a store");
    let pyramid = Pyramid::new(SetId(1), source.clone(), store, space);
    Case { set, source, truth, _cache: cache, pyramid }
}

/// True places of a grid, row by row, with jitter of 3 px.
fn true_places(rows: usize, columns: usize, seed: u64) -> Vec<Point> {
    let mut r = Random(seed);
    let pitch = Point::new(f64::from(SIZE.width) * (1.0 - OVERLAP), f64::from(SIZE.height) * (1.0 - OVERLAP));
    (0..rows * columns)
        .map(|k| {
            let cell = Point::new((k % columns) as f64 * pitch.x, (k / columns) as f64 * pitch.y);
            cell + Point::new(3.0 * r.normal(), 3.0 * r.normal())
        })
        .collect()
}

fn photographs(truth: &[Point], seed: u64) -> Vec<Vec<Vec<u16>>> {
    let far = |pick: fn(&Point) -> f64| truth.iter().map(pick).fold(0.0, f64::max);
    let scene = Scene::new(seed, Point::new(far(|p| p.x) + 600.0, far(|p| p.y) + 600.0), 2500.0);
    truth.iter().enumerate().map(|(k, &p)| vec![scene.photograph(p, 1000 * seed + k as u64)]).collect()
}

fn nominal_of(row: usize, column: usize) -> Point {
    let pitch = Point::new(f64::from(SIZE.width) * (1.0 - OVERLAP), f64::from(SIZE.height) * (1.0 - OVERLAP));
    Point::new(column as f64 * pitch.x, row as f64 * pitch.y)
}

struct Silent;
impl AlignWatch for Silent {
    fn progress(&self, _: u64, _: u64) -> Result<()> {
        Ok(())
    }
    fn provisional(&self, _: Alignment) {}
}

fn align_with(case: &Case, options: AlignOptions, threads: usize) -> (Aligner, Alignment) {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
    let mut aligner = Aligner::new(&case.set, options).expect("sound options");
    aligner.measure(&case.pyramid, &pool, &Silent, &Cancel::default()).expect("no error");
    let alignment = aligner.solve(&HandWork::default(), Start::Cold);
    (aligner, alignment)
}

fn align(case: &Case) -> Alignment {
    align_with(case, AlignOptions::default(), 2).1
}

/// The largest error of a displacement between any two fields of which the first is `from`.
fn worst_error(alignment: &Alignment, truth: &[Point], fields: impl Iterator<Item = usize>) -> f64 {
    let first = alignment.positions[0] - truth[0];
    fields.map(|k| (alignment.positions[k] - truth[k]).distance(first)).fold(0.0, f64::max)
}

fn staged(rows: usize, columns: usize, seed: u64) -> Case {
    let truth = true_places(rows, columns, seed);
    let given: Vec<_> = (0..rows * columns).map(|k| (nominal_of(k / columns, k % columns), None)).collect();
    let pixels = photographs(&truth, seed);
    case(truth, &given, Layout::Stage, pixels)
}

#[test]
fn stage_positions_become_exact_places_and_each_field_is_decoded_once() {
    let case = staged(3, 4, 1);
    let alignment = align(&case);
    assert_eq!(alignment.verdict, Verdict::Aligned);
    let worst = worst_error(&alignment, &case.truth, 0..12);
    assert!(worst < 0.1, "{worst}");
    assert!(case.source.decoded.iter().all(|d| d.load(Ordering::Relaxed) == 1));
    assert_eq!(alignment.report.accepted, 17, "nothing was corrected: {:?}", alignment.findings);
    assert!(alignment.findings.is_empty());
}

#[test]
fn the_result_is_the_same_to_the_last_bit_for_any_number_of_threads() {
    let alignments: Vec<Alignment> =
        [1, 2, 4].iter().map(|&n| align_with(&staged(3, 4, 2), AlignOptions::default(), n).1).collect();
    for other in &alignments[1..] {
        assert_eq!(alignments[0].positions, other.positions);
        assert_eq!(alignments[0].report, other.report);
    }
}

#[test]
fn a_mirrored_or_turned_stage_is_found_out_or_not_believed_and_never_taken_as_it_is() {
    for (swapped, flip_x, flip_y) in (0..8).map(|k| (k & 4 != 0, k & 1 != 0, k & 2 != 0)) {
        let truth = true_places(3, 4, 3);
        let given: Vec<_> = (0..12)
            .map(|k| {
                let p = nominal_of(k / 4, k % 4);
                let p = Point::new(if flip_x { -p.x } else { p.x }, if flip_y { -p.y } else { p.y });
                (if swapped { Point::new(p.y, p.x) } else { p }, None)
            })
            .collect();
        let pixels = photographs(&truth, 3);
        let case = case(truth, &given, Layout::Stage, pixels);
        let alignment = align(&case);
        assert_eq!(alignment.verdict, Verdict::Aligned, "{swapped} {flip_x} {flip_y}");
        assert!(worst_error(&alignment, &case.truth, 0..12) < 0.1);
        let changes = [swapped, flip_x, flip_y].iter().filter(|&&c| c).count();
        assert_eq!(alignment.findings.len(), changes, "{:?}", alignment.findings);
    }
}

/// A grid of unknown overlap that is scanned in `order` and given as a raster from the top left.
fn sequence_case(order: GridOrder, rows: u32, columns: u32, given: (u32, u32), seed: u64) -> Case {
    let true_grid = GridLayout { rows, columns, order, overlap: None };
    let raster = GridOrder::Sequence { start: Corner::TopLeft, first: FirstAlong::Row, path: ScanPath::Raster };
    let guess = GridLayout { rows: given.0, columns: given.1, order: raster, overlap: None };
    let count = (rows * columns) as usize;
    let guessed: Vec<(i32, i32)> =
        (0..count).map(|k| ((k / given.1 as usize) as i32, (k % given.1 as usize) as i32)).collect();
    let places = true_places(rows as usize, columns as usize, seed);
    // The true cell of each number, by the candidates' own reading of the true order.
    let first: Vec<(i32, i32)> =
        (0..count).map(|k| ((k / columns as usize) as i32, (k % columns as usize) as i32)).collect();
    let readings = candidates::of_grid(&GridLayout { order: raster, ..true_grid }, &first);
    let reading = readings.iter().find(|c| c.grid == true_grid).expect("every order is read");
    let truth: Vec<Point> = reading.cells.iter().map(|&(r, c)| places[(r * columns as i32 + c) as usize]).collect();
    let far = |cell: (i32, i32)| Point::new(f64::from(cell.1) * 350.0, f64::from(cell.0) * 280.0);
    let given: Vec<_> = guessed.iter().map(|&cell| (far(cell), Some(cell))).collect();
    let pixels = photographs(&truth, seed);
    case(truth, &given, Layout::Grid(guess), pixels)
}

#[test]
fn the_order_of_a_scan_and_its_overlap_are_found_from_the_fields_alone() {
    let order = |start, first, path| GridOrder::Sequence { start, first, path };
    let cases = [
        (order(Corner::TopLeft, FirstAlong::Row, ScanPath::Snake), (3, 4)),
        (order(Corner::BottomRight, FirstAlong::Column, ScanPath::Snake), (3, 4)),
        (order(Corner::TopRight, FirstAlong::Column, ScanPath::Raster), (4, 3)),
        (order(Corner::BottomLeft, FirstAlong::Row, ScanPath::Raster), (2, 6)),
    ];
    for (k, (order, given)) in cases.into_iter().enumerate() {
        let case = sequence_case(order, 3, 4, given, 10 + k as u64);
        let alignment = align(&case);
        assert_eq!(alignment.verdict, Verdict::Aligned, "{order:?}: {:?}", alignment.findings);
        assert!(worst_error(&alignment, &case.truth, 0..12) < 0.1, "{order:?}");
        let grid = alignment.grid.expect("a grid");
        assert_eq!((grid.rows, grid.columns), (3, 4));
        let [x, y] = grid.overlap.expect("found");
        assert!((x - OVERLAP).abs() < 0.02 && (y - OVERLAP).abs() < 0.02, "{x} {y}");
    }
}

#[test]
fn unrelated_images_in_a_grid_are_not_aligned_and_stay_apart() {
    let apart: Vec<Point> = (0..6).map(|k| Point::new(f64::from(k) * 2000.0, 0.0)).collect();
    let given: Vec<_> = (0..6)
        .map(|k| (Point::new(f64::from(k % 3) * 350.0, f64::from(k / 3) * 280.0), Some((k / 3, k % 3))))
        .collect();
    let order = GridOrder::Named { start: Corner::TopLeft, transposed: false };
    let layout = Layout::Grid(GridLayout { rows: 2, columns: 3, order, overlap: None });
    let pixels = photographs(&apart, 4);
    let case = case(apart, &given, layout, pixels);
    let alignment = align(&case);
    assert!(
        matches!(&alignment.verdict, Verdict::NotAligned(why) if why.contains("by hand")),
        "{:?}",
        alignment.verdict
    );
    assert_eq!(alignment.positions, given.iter().map(|g| g.0).collect::<Vec<_>>());
}

#[test]
fn two_unrelated_images_on_the_stage_stay_where_it_says_and_the_rest_is_aligned() {
    let truth = true_places(4, 4, 5);
    let mut pixels = photographs(&truth, 5);
    let strange = Scene::new(99, Point::new(900.0, 900.0), 2500.0);
    for (k, field) in [(3, 1u64), (9, 2)] {
        pixels[k] = vec![strange.photograph(Point::new(0.0, 100.0 * field as f64), field)];
    }
    let given: Vec<_> = (0..16).map(|k| (nominal_of(k / 4, k % 4), None)).collect();
    let case = case(truth, &given, Layout::Stage, pixels);
    let alignment = align(&case);
    assert_eq!(alignment.verdict, Verdict::Aligned);
    assert!(worst_error(&alignment, &case.truth, (0..16).filter(|k| ![3, 9].contains(k))) < 0.1);
    for k in [3, 9] {
        assert_eq!(alignment.report.fields[k].placed_by, PlacedBy::Stage);
        assert!(worst_error(&alignment, &case.truth, std::iter::once(k)) < 20.0);
    }
}

#[test]
fn a_damaged_field_is_placed_by_the_stage_and_fails_alone() {
    let truth = true_places(3, 3, 6);
    let mut pixels = photographs(&truth, 6);
    pixels[4] = vec![Vec::new()];
    let given: Vec<_> = (0..9).map(|k| (nominal_of(k / 3, k % 3), None)).collect();
    let case = case(truth, &given, Layout::Stage, pixels);
    let alignment = align(&case);
    assert_eq!(alignment.report.fields[4].placed_by, PlacedBy::Stage);
    assert!(worst_error(&alignment, &case.truth, (0..9).filter(|&k| k != 4)) < 0.1);
}

#[test]
fn a_stain_of_nuclei_is_gone_by_unless_it_shows_nothing() {
    let truth = true_places(2, 3, 7);
    let both = |nuclei: f64| -> Vec<Vec<Vec<u16>>> {
        let marker = photographs(&truth, 7);
        let scene = Scene::new(70, Point::new(1500.0, 1200.0), nuclei);
        truth
            .iter()
            .zip(marker)
            .enumerate()
            .map(|(k, (&p, marker))| vec![marker[0].clone(), scene.photograph(p, 500 + k as u64)])
            .collect()
    };
    let given: Vec<_> = (0..6).map(|k| (nominal_of(k / 3, k % 3), None)).collect();
    for (nuclei, channel) in [(1500.0, 1), (0.0, 0)] {
        let case = case(truth.clone(), &given, Layout::Stage, both(nuclei));
        let alignment = align(&case);
        assert_eq!(alignment.channel, channel);
        assert!(worst_error(&alignment, &truth, 0..6) < 0.1);
        let named = AlignOptions { channel: Some(0), ..AlignOptions::default() };
        assert_eq!(align_with(&case, named, 1).1.channel, 0);
    }
}

#[test]
fn a_drag_a_refusal_and_its_undoing_are_solved_without_measuring_again() {
    let case = staged(3, 3, 8);
    let (aligner, before) = align_with(&case, AlignOptions::default(), 2);
    let mut hand = HandWork::default();
    for edge in before.report.edges.iter().filter(|e| e.a == 8 || e.b == 8) {
        let shift = before.positions[edge.b] - before.positions[edge.a] + Point::new(30.0, 0.0);
        hand.edges.insert((edge.a as u32, edge.b as u32), Hand::Shift(shift));
    }
    let dragged = aligner.solve(&hand, Start::Warm(&before.positions));
    let moved = (dragged.positions[8] - dragged.positions[0]) - (before.positions[8] - before.positions[0]);
    assert!((moved.x - 30.0).abs() < 0.5 && moved.y.abs() < 0.5, "{moved:?}");
    let others = before.report.edges.iter().filter(|e| e.status.is_accepted() && e.a != 8 && e.b != 8).count();
    assert_eq!((dragged.report.shifted_by_hand, dragged.report.accepted), (hand.edges.len(), others));
    let undone = aligner.solve(&HandWork::default(), Start::Cold);
    assert_eq!(undone.positions, before.positions);
    hand.edges.values_mut().for_each(|h| *h = Hand::Refuse);
    let refused = aligner.solve(&hand, Start::Warm(&before.positions));
    assert_eq!(refused.report.fields[8].placed_by, PlacedBy::Stage);
}

#[test]
fn before_it_is_measured_the_layout_is_nominal_and_a_drag_still_holds() {
    let case = staged(2, 2, 9);
    let aligner = Aligner::new(&case.set, AlignOptions::default()).expect("sound options");
    let nominal = aligner.solve(&HandWork::default(), Start::Cold);
    assert_eq!(nominal.verdict, Verdict::Nominal);
    assert_eq!(nominal.positions, nominal.nominal);
    let hand = HandWork { edges: [((0, 1), Hand::Shift(Point::new(200.0, 5.0)))].into() };
    let moved = aligner.solve(&hand, Start::Cold).positions;
    assert!((moved[1] - moved[0]).distance(Point::new(200.0, 5.0)) < 1.0);
}

#[test]
fn the_largest_shift_is_asked_for_in_either_unit_and_told_in_both() {
    let case = staged(1, 2, 9);
    let shift = |max_shift| {
        let options = AlignOptions { max_shift, ..AlignOptions::default() };
        Aligner::new(&case.set, options).expect("sound options")
    };
    assert_eq!(shift(None).max_shift_px(), Point::new(16.0, 16.0));
    let um = shift(Some(MaxShift::Um(15.0)));
    assert_eq!(um.max_shift_px(), Point::new(30.0, 30.0));
    assert_eq!(um.max_shift_words(), "30.0 px (15.0 um)");
    let mut bare = (*case.set).clone();
    bare.um_per_px = None;
    let options = AlignOptions { max_shift: Some(MaxShift::Um(15.0)), ..AlignOptions::default() };
    assert!(Aligner::new(&Arc::new(bare), options).is_err());
}

#[test]
fn an_alignment_stops_when_it_is_cancelled_and_keeps_nothing() {
    let case = staged(2, 3, 10);
    let mut aligner = Aligner::new(&case.set, AlignOptions::default()).expect("sound options");
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().expect("threads");
    let cancel = Cancel::default();
    cancel.cancel();
    let outcome = aligner.measure(&case.pyramid, &pool, &Silent, &cancel);
    assert!(outcome.is_err_and(|e| e.is_cancelled()));
    assert_eq!(aligner.solve(&HandWork::default(), Start::Cold).verdict, Verdict::Nominal);
}
