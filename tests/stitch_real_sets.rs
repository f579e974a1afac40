//! The alignment core on microscope fields of the corpus, against the shifts that were measured by other means.

use std::path::{Path, PathBuf};

use microtome::geom::{PixelRect, Point, Size};
use microtome::stitch::overlap::{Axis, estimate_step, wide_search};
use microtome::stitch::pair::{Limits, MIN_SCORE, PairOutcome, PairScratch, measure};
use microtome::stitch::solve::{Edge, FieldPlace, Hand, PlacedBy, Start, solve};
use microtome::stitch::strip::{Strip, strips_of_overlap};

struct Field {
    size: Size,
    samples: Vec<u16>,
}

fn tiles() -> Option<PathBuf> {
    let corpus = std::env::var_os("MICROTOME_CORPUS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus"), PathBuf::from);
    let tiles = corpus.join("tiles");
    if !tiles.is_dir() {
        eprintln!("SKIPPED: no corpus at {}; set MICROTOME_CORPUS", tiles.display());
        return None;
    }
    Some(tiles)
}

/// Any field as one value a pixel: RGB becomes its largest sample.
fn read(path: &Path) -> Field {
    if path.extension().is_some_and(|e| e == "jpg") {
        let gray = image::open(path).expect("a JPEG").to_luma8();
        let size = Size::new(gray.width(), gray.height());
        return Field { size, samples: gray.into_raw().into_iter().map(u16::from).collect() };
    }
    let mut decoder = tiff::decoder::Decoder::new(std::fs::File::open(path).expect("it exists")).expect("a TIFF");
    let (width, height) = decoder.dimensions().expect("a size");
    let samples_per_px = if let Ok(tiff::ColorType::RGB(_)) = decoder.colortype() { 3 } else { 1 };
    let samples: Vec<u16> = match decoder.read_image().expect("samples") {
        tiff::decoder::DecodingResult::U8(v) => v.into_iter().map(u16::from).collect(),
        tiff::decoder::DecodingResult::U16(v) => v,
        _ => panic!("8 or 16 bit: {}", path.display()),
    };
    let gray = samples.chunks_exact(samples_per_px).map(|c| *c.iter().max().expect("one at least")).collect();
    Field { size: Size::new(width, height), samples: gray }
}

fn cut(field: &Field, rect: PixelRect) -> Vec<u16> {
    (rect.y..rect.bottom())
        .flat_map(|y| &field.samples[(y * field.size.width + rect.x) as usize..][..rect.width as usize])
        .copied()
        .collect()
}

fn measure_fields(a: &Field, b: &Field, nominal: Point, limits: &Limits) -> PairOutcome {
    let (ra, rb) = strips_of_overlap(a.size, b.size, nominal, limits.max_shift).expect("they overlap");
    let (sa, sb) = (cut(a, ra), cut(b, rb));
    let (sa, sb) = (Strip::new(ra, &sa).expect("it fits"), Strip::new(rb, &sb).expect("it fits"));
    measure(&mut PairScratch::default(), &sa, &sb, nominal, limits)
}

fn shift_of(outcome: &PairOutcome) -> Point {
    match outcome {
        PairOutcome::Measured(m) => m.shift,
        other => panic!("not measured: {other:?}"),
    }
}

fn limits(max_shift: f64) -> Limits {
    Limits { max_shift: Point::new(max_shift, max_shift), min_score: MIN_SCORE }
}

#[test]
fn confocal_fields_land_within_three_pixels_of_their_registered_layout() {
    let Some(tiles) = tiles() else { return };
    let dir = tiles.join("lscm_10pct1_2x2");
    let fields: Vec<Field> =
        [1, 2, 8, 7].iter().map(|k| read(&dir.join(format!("x100_epr-jerem_10pct_001_A00{k}_I.tif")))).collect();
    let nominal = [(0.0, 0.0), (921.0, 0.0), (0.0, 921.0), (921.0, 921.0)].map(|(x, y)| Point::new(x, y));
    let registered = [(0.0, 0.0), (920.51, 0.04), (1.80, 924.43), (923.83, 924.48)].map(|(x, y)| Point::new(x, y));
    let edges: Vec<Edge> = [(0, 1), (0, 2), (1, 3), (2, 3)]
        .map(|(a, b)| Edge {
            a,
            b,
            outcome: measure_fields(&fields[a], &fields[b], nominal[b] - nominal[a], &limits(50.0)),
            hand: Hand::Off,
        })
        .into();
    let places = nominal.map(|nominal| FieldPlace { nominal, row_col: None });
    let solution = solve(&places, &edges, Point::new(50.0, 50.0), Start::Cold);
    let p = &solution.positions;
    for e in &edges {
        let off = (p[e.b] - p[e.a]).distance(registered[e.b] - registered[e.a]);
        assert!(off < 3.0, "{} {}: {off}", e.a, e.b);
    }
}

#[test]
fn a_well_with_cells_is_measured_and_an_empty_one_stays_at_its_stage_position() {
    let Some(tiles) = tiles() else { return };
    let dir = tiles.join("imagexpress_3435_tp1");
    let stage = Point::new(230.4, 0.0);
    for channel in [1, 2] {
        for max_shift in [16.0, 40.0, 100.0] {
            let field = |well: &str, site: u32| read(&dir.join(format!("9987_{well}_s{site}_w{channel}.TIF")));
            let b03 = measure_fields(&field("B03", 1), &field("B03", 2), stage, &limits(max_shift));
            assert!(shift_of(&b03).distance(Point::new(233.0, 0.0)) < 1.0, "{b03:?}");
            let b02 = measure_fields(&field("B02", 1), &field("B02", 2), stage, &limits(max_shift));
            let places = [Point::default(), stage].map(|nominal| FieldPlace { nominal, row_col: None });
            let edge = Edge { a: 0, b: 1, outcome: b02, hand: Hand::Off };
            let solution = solve(&places, &[edge], Point::new(max_shift, max_shift), Start::Cold);
            assert_eq!(solution.placed_by, [PlacedBy::Stage; 2], "{b02:?}");
            assert_eq!(solution.positions[1] - solution.positions[0], stage);
        }
    }
}

/// Neighbours without any layout: the overlap is found, then every pair is measured from it.
fn check_without_layout(fields: &[Field], pairs: &[(usize, usize, Axis, Point)], tolerance_px: f64) {
    for axis in [Axis::X, Axis::Y] {
        let of_axis: Vec<_> = pairs.iter().filter(|p| p.2 == axis).collect();
        let size = fields[0].size;
        let (nominal, wide) = wide_search(size, axis, MIN_SCORE);
        let outcomes: Vec<PairOutcome> =
            of_axis.iter().map(|p| measure_fields(&fields[p.0], &fields[p.1], nominal, &wide)).collect();
        let step = estimate_step(size, axis, &outcomes).expect("the neighbours agree");
        assert!(step.agreeing == of_axis.len() && step.overlap > 0.02 && step.overlap < 0.3, "{step:?} {outcomes:?}");
        for p in of_axis {
            let shift = shift_of(&measure_fields(&fields[p.0], &fields[p.1], step.step, &limits(30.0)));
            assert!(shift.distance(p.3) < tolerance_px, "{} {}: {shift:?} for {:?}", p.0, p.1, p.3);
        }
    }
}

#[test]
fn electron_micrographs_without_a_layout_are_aligned() {
    let Some(tiles) = tiles() else { return };
    let dir = tiles.join("em_2x2");
    let fields: Vec<Field> = [(60, 140), (61, 140), (60, 141), (61, 141)]
        .iter()
        .map(|(c, r)| read(&dir.join(format!("col00{c}_row0{r}_cam0.tif_level_1_mipmap.tif"))))
        .collect();
    let pairs = [
        (0, 1, Axis::X, Point::new(979.0, 22.0)),
        (2, 3, Axis::X, Point::new(976.0, 16.0)),
        (0, 2, Axis::Y, Point::new(-7.0, 971.0)),
        (1, 3, Axis::Y, Point::new(-10.0, 966.0)),
    ];
    check_without_layout(&fields, &pairs, 3.0);
}

#[test]
fn micrographs_in_jpeg_without_a_layout_are_aligned() {
    let Some(tiles) = tiles() else { return };
    let dir = tiles.join("stitch2d_2x3");
    let names = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)];
    let fields: Vec<Field> =
        names.iter().map(|(u, v)| read(&dir.join(format!("stitch2d_ex[Grid@{u} {v}].jpg")))).collect();
    let (down, right) = (Point::new(-5.0, 396.0), Point::new(380.0, 3.0));
    let pairs = [
        (0, 1, Axis::Y, down),
        (1, 2, Axis::Y, down),
        (3, 4, Axis::Y, down),
        (4, 5, Axis::Y, down),
        (0, 3, Axis::X, right),
        (1, 4, Axis::X, right),
        (2, 5, Axis::X, right),
    ];
    check_without_layout(&fields, &pairs, 3.0);
}
