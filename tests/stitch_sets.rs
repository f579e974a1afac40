//! Real sets of microscope fields, dropped as they are or with their order disturbed: aligned rightly, or said not to be.

use microtome::engine::{MosaicEdits, OpenSet, Opening, work_pool};
use microtome::error::Result;
use microtome::geom::Point;
use microtome::image_set::{Entry, FieldSet, resolve};
use microtome::mosaic::{AlignOptions, AlignWatch, Aligner, Alignment, HandWork, Verdict};
use microtome::pyramid::{Cancel, SetId};
use microtome::stitch::solve::Start;
use microtome::store::{Persist, Quota, QuotaOptions};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

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

struct Silent;
impl AlignWatch for Silent {
    fn progress(&self, _: u64, _: u64) -> Result<()> {
        Ok(())
    }
    fn provisional(&self, _: Alignment) {}
}

/// A set as it was found, aligned with no options, and where its files stand.
struct Aligned {
    set: Arc<FieldSet>,
    alignment: Alignment,
}

impl Aligned {
    fn place(&self, file: &str) -> Point {
        let k = self.set.fields.iter().position(|f| f.name == file).unwrap_or_else(|| panic!("{file} is no field"));
        self.alignment.positions[k]
    }

    fn is_aligned(&self) -> bool {
        self.alignment.verdict == Verdict::Aligned
    }
}

fn align(folder: &Path) -> Vec<Aligned> {
    let cache = tempfile::tempdir().expect("a folder");
    let quota =
        Quota::new(QuotaOptions { root: cache.path().to_owned(), limit_bytes: 1 << 30, free_disk_floor_bytes: 0 })
            .expect("a cache folder");
    let pool = work_pool(2).expect("threads");
    let sets = resolve(folder).expect("a folder of images").entries.into_iter().filter_map(|entry| match entry {
        Entry::Fields(set) => Some(set),
        Entry::File(_) => None,
    });
    sets.map(|set| {
        let how = Opening { id: SetId(1), quota: &quota, persist: Persist::Discard };
        let open = OpenSet::open_fields(&how, &set, String::new(), MosaicEdits::default(), false).expect("it opens");
        let mut aligner = Aligner::new(&set, AlignOptions::default()).expect("no options");
        aligner.measure(&open.pyramid, &pool, &Silent, &Cancel::default()).expect("measured");
        Aligned { alignment: aligner.solve(&HandWork::default(), Start::Cold), set }
    })
    .collect()
}

fn align_one(folder: &Path) -> Aligned {
    let mut sets = align(folder);
    assert_eq!(sets.len(), 1, "one mosaic in {}", folder.display());
    sets.remove(0)
}

/// A copy of some files under new names.
fn copy(from: &Path, names: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (old, new) in names {
        std::fs::copy(from.join(old), folder.path().join(new)).expect("copied");
    }
    folder
}

const LSCM: [&str; 4] = [
    "x100_epr-jerem_10pct_001_A001_I.tif",
    "x100_epr-jerem_10pct_001_A002_I.tif",
    "x100_epr-jerem_10pct_001_A007_I.tif",
    "x100_epr-jerem_10pct_001_A008_I.tif",
];
const LSCM_REGISTERED: [(f64, f64); 4] = [(0.0, 0.0), (920.51, 0.04), (923.83, 924.48), (1.80, 924.43)];
const LSCM_NOMINAL: [(f64, f64); 4] = [(0.0, 0.0), (921.0, 0.0), (921.0, 921.0), (0.0, 921.0)];

/// The shifts that were measured by other means: pairs of files and the second's place relative to the first's.
fn truth(tiles: &Path, set: &str) -> Vec<(String, String, Point)> {
    let text = std::fs::read_to_string(tiles.parent().expect("the corpus").join("TRUTH-tiles.json"))
        .or_else(|_| std::fs::read_to_string(tiles.join("TRUTH-tiles.json")))
        .expect("the truth");
    let all: BTreeMap<String, Vec<serde_json::Value>> = serde_json::from_str(&text).expect("JSON");
    all[set]
        .iter()
        .map(|pair| {
            let text = |key: &str| pair[key].as_str().expect("a name").to_owned();
            let number = |k: usize| pair["measured"][k].as_f64().expect("a number");
            (text("a"), text("b"), Point::new(number(0), number(1)))
        })
        .collect()
}

/// Every pair of the truth stands as it was measured, under the files' new names.
fn assert_right(aligned: &Aligned, pairs: &[(String, String, Point)], renamed: &[(&str, &str)], tolerance_px: f64) {
    let new = |old: &str| renamed.iter().find(|r| r.0 == old).map_or(old.to_owned(), |r| r.1.to_owned());
    for (a, b, shift) in pairs {
        let got = aligned.place(&new(b)) - aligned.place(&new(a));
        assert!(got.distance(*shift) < tolerance_px, "{a} {b}: {got:?} for {shift:?} {:?}", aligned.alignment.findings);
    }
}

fn lscm_truth() -> Vec<(String, String, Point)> {
    let place = |k: usize| Point::new(LSCM_REGISTERED[k].0, LSCM_REGISTERED[k].1);
    [(0, 1), (0, 3), (1, 2), (3, 2)].map(|(a, b)| (LSCM[a].into(), LSCM[b].into(), place(b) - place(a))).into()
}

fn lscm_with_places(tiles: &Path, places: &[(f64, f64)]) -> TempDir {
    let folder = copy(&tiles.join("lscm_10pct1_2x2"), &LSCM.map(|n| (n, n)));
    let lines: Vec<String> = LSCM.iter().zip(places).map(|(n, (x, y))| format!("{n}; ; ({x}, {y})")).collect();
    let text = format!("dim = 2\n{}\n", lines.join("\n"));
    std::fs::write(folder.path().join("TileConfiguration.txt"), text).expect("written");
    folder
}

#[test]
fn confocal_fields_stand_within_three_pixels_of_their_registered_layout() {
    let Some(tiles) = tiles() else { return };
    let names = LSCM.map(|n| (n, n));
    let folder = copy(&tiles.join("lscm_10pct1_2x2"), &names);
    let layout = tiles.join("lscm_10pct1_2x2/TileConfiguration.txt");
    std::fs::copy(layout, folder.path().join("TileConfiguration.txt")).expect("copied");
    let aligned = align_one(folder.path());
    assert!(aligned.is_aligned(), "{:?}", aligned.alignment.verdict);
    assert_right(&aligned, &lscm_truth(), &[], 3.0);
}

#[test]
fn a_layout_that_is_mirrored_or_turned_is_put_right() {
    let Some(tiles) = tiles() else { return };
    for k in 1..8 {
        let turn = |&(x, y): &(f64, f64)| {
            let (x, y) = (if k & 1 != 0 { -x } else { x }, if k & 2 != 0 { -y } else { y });
            if k & 4 != 0 { (y, x) } else { (x, y) }
        };
        let folder = lscm_with_places(&tiles, &LSCM_NOMINAL.iter().map(turn).collect::<Vec<_>>());
        let aligned = align_one(folder.path());
        assert!(aligned.is_aligned(), "{k}: {:?}", aligned.alignment.verdict);
        assert_right(&aligned, &lscm_truth(), &[], 3.0);
        assert!(!aligned.alignment.findings.is_empty(), "{k} was corrected in silence");
    }
}

#[test]
fn a_layout_that_mixes_the_files_up_is_not_believed() {
    let Some(tiles) = tiles() else { return };
    // Two neighbours change places: no mirroring makes that right.
    let mixed = [LSCM_NOMINAL[1], LSCM_NOMINAL[0], LSCM_NOMINAL[2], LSCM_NOMINAL[3]];
    let aligned = align_one(lscm_with_places(&tiles, &mixed).path());
    if aligned.is_aligned() {
        assert_right(&aligned, &lscm_truth(), &[], 3.0);
    }
}

#[test]
fn a_well_with_cells_is_aligned_and_an_empty_one_stays_at_its_stage_position() {
    let Some(tiles) = tiles() else { return };
    let source = tiles.join("imagexpress_3435_tp1");
    let names: Vec<String> = std::fs::read_dir(&source)
        .expect("a folder")
        .map(|e| e.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    let folder = copy(&source, &names.iter().map(|n| (n.as_str(), n.as_str())).collect::<Vec<_>>());
    let wells = align(folder.path());
    let step = |well: &str| {
        let aligned = wells.iter().find(|w| w.set.name.contains(well)).unwrap_or_else(|| panic!("no {well}"));
        let at = |site: &str| {
            let k = aligned.set.fields.iter().position(|f| f.name.contains(site)).expect("a site");
            aligned.alignment.positions[k]
        };
        (at("_s2") - at("_s1"), aligned.is_aligned())
    };
    let (b03, is_aligned) = step("B03");
    assert!(is_aligned && b03.distance(Point::new(233.0, 0.0)) < 1.0, "{b03:?}");
    let (b02, is_aligned) = step("B02");
    assert!(!is_aligned && b02.distance(Point::new(230.4, 0.0)) < 1.0, "{b02:?}");
}

const JPEGS: [&str; 6] = [
    "stitch2d_ex[Grid@0 0].jpg",
    "stitch2d_ex[Grid@0 1].jpg",
    "stitch2d_ex[Grid@0 2].jpg",
    "stitch2d_ex[Grid@1 0].jpg",
    "stitch2d_ex[Grid@1 1].jpg",
    "stitch2d_ex[Grid@1 2].jpg",
];
const MICROGRAPHS: [&str; 4] = [
    "col0060_row0140_cam0.tif_level_1_mipmap.tif",
    "col0060_row0141_cam0.tif_level_1_mipmap.tif",
    "col0061_row0140_cam0.tif_level_1_mipmap.tif",
    "col0061_row0141_cam0.tif_level_1_mipmap.tif",
];

#[test]
fn fields_without_any_layout_are_aligned_and_a_mask_among_them_is_none() {
    let Some(tiles) = tiles() else { return };
    let jpegs = align_one(copy(&tiles.join("stitch2d_2x3"), &JPEGS.map(|n| (n, n))).path());
    assert!(jpegs.is_aligned(), "{:?}", jpegs.alignment.verdict);
    assert_right(&jpegs, &truth(&tiles, "stitch2d_2x3"), &[], 3.0);

    let mask = "mask.tif_level_1_mipmap.tif";
    let mut names = MICROGRAPHS.map(|n| (n, n)).to_vec();
    names.push((mask, mask));
    let micrographs = align_one(copy(&tiles.join("em_2x2"), &names).path());
    assert!(micrographs.is_aligned(), "{:?}", micrographs.alignment.verdict);
    assert_eq!(micrographs.set.fields.len(), 4);
    assert_right(&micrographs, &truth(&tiles, "em_2x2"), &[], 3.0);
}

/// Columns 0 and 1, rows 0 to 2: the number of each file of [`JPEGS`] in some scans of the same sample.
const SCANS: [(&str, [usize; 6]); 4] = [
    ("snake by columns", [0, 1, 2, 5, 4, 3]),
    ("raster by rows", [0, 2, 4, 1, 3, 5]),
    ("snake by rows", [0, 3, 4, 1, 2, 5]),
    ("raster by columns from the bottom right", [5, 4, 3, 2, 1, 0]),
];

#[test]
fn fields_that_are_only_numbered_are_put_in_order_or_said_not_to_be_aligned() {
    let Some(tiles) = tiles() else { return };
    for (scan, numbers) in SCANS {
        let new: Vec<String> = numbers.iter().map(|n| format!("tile_{n:02}.jpg")).collect();
        let renamed: Vec<(&str, &str)> = JPEGS.iter().copied().zip(new.iter().map(String::as_str)).collect();
        let aligned = align_one(copy(&tiles.join("stitch2d_2x3"), &renamed).path());
        assert!(aligned.is_aligned(), "{scan}: {:?}", aligned.alignment.verdict);
        assert_right(&aligned, &truth(&tiles, "stitch2d_2x3"), &renamed, 3.0);
    }
}

#[test]
fn names_that_count_rows_from_below_or_columns_from_the_right_are_read_that_way() {
    let Some(tiles) = tiles() else { return };
    for (flip_x, flip_y, swap) in [(true, false, false), (false, true, false), (true, true, true), (false, false, true)]
    {
        let name = |k: usize| {
            let (column, row) = (k / 3, k % 3);
            let (column, row) = (if flip_x { 1 - column } else { column }, if flip_y { 2 - row } else { row });
            if swap { format!("img_r{column:02}_c{row:02}.jpg") } else { format!("img_r{row:02}_c{column:02}.jpg") }
        };
        let new: Vec<String> = (0..6).map(name).collect();
        let renamed: Vec<(&str, &str)> = JPEGS.iter().copied().zip(new.iter().map(String::as_str)).collect();
        let aligned = align_one(copy(&tiles.join("stitch2d_2x3"), &renamed).path());
        assert!(aligned.is_aligned(), "{flip_x} {flip_y} {swap}: {:?}", aligned.alignment.verdict);
        assert_right(&aligned, &truth(&tiles, "stitch2d_2x3"), &renamed, 3.0);
    }
}

/// An 8-bit picture of blots that belongs to nothing.
fn write_unrelated(path: &Path, width: u32, height: u32, seed: u32) {
    let mut state = seed;
    let mut random = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state >> 8
    };
    let mut pixels = vec![90u8; (width * height) as usize];
    for _ in 0..6000 {
        let (x, y, light) = (random() % (width - 12), random() % (height - 12), 60 + random() % 150);
        for (dy, dx) in (0..12).flat_map(|dy| (0..12).map(move |dx| (dy, dx))) {
            if (dx as i32 - 6).pow(2) + (dy as i32 - 6).pow(2) < 30 {
                pixels[((y + dy) * width + x + dx) as usize] = light as u8;
            }
        }
    }
    let file = std::fs::File::create(path).expect("created");
    let mut encoder = tiff::encoder::TiffEncoder::new(file).expect("a TIFF");
    encoder.write_image::<tiff::encoder::colortype::Gray8>(width, height, &pixels).expect("written");
}

#[test]
fn two_unrelated_images_thrown_in_leave_the_others_right() {
    let Some(tiles) = tiles() else { return };
    // Once under names of their own, once as if they were a third column.
    for names in [
        ["overview.tif", "other.tif"],
        ["col0062_row0140_cam0.tif_level_1_mipmap.tif", "col0062_row0141_cam0.tif_level_1_mipmap.tif"],
    ] {
        let folder = copy(&tiles.join("em_2x2"), &MICROGRAPHS.map(|n| (n, n)));
        for (k, name) in names.iter().enumerate() {
            write_unrelated(&folder.path().join(name), 1280, 1080, 7 + k as u32);
        }
        let aligned = align_one(folder.path());
        if aligned.is_aligned() {
            assert_right(&aligned, &truth(&tiles, "em_2x2"), &[], 3.0);
        } else {
            eprintln!("not aligned with {names:?}: {:?}", aligned.alignment.verdict);
        }
    }
}

#[test]
fn unrelated_images_alone_are_never_aligned() {
    let folder = tempfile::tempdir().expect("a folder");
    for k in 0..9 {
        let name = format!("img_r{:02}_c{:02}.tif", k / 3, k % 3);
        write_unrelated(&folder.path().join(name), 640, 512, 100 + k);
    }
    let aligned = align_one(folder.path());
    assert!(matches!(aligned.alignment.verdict, Verdict::NotAligned(_)), "{:?}", aligned.alignment.verdict);
}
