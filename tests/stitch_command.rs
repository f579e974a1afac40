//! `microtome stitch` as a user runs it.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// An 8-bit picture of blots, seen through a window at (`x`, `y`): windows that overlap show the same.
fn write_view(path: &Path, x: i32, y: i32, seed: u32) {
    let (width, height) = (400, 320);
    let mut state = seed;
    let mut random = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as i32
    };
    let mut pixels = vec![60u8; (width * height) as usize];
    for _ in 0..5000 {
        let (bx, by, light, radius) = (random() % 1400 - x, random() % 1100 - y, 80 + random() % 150, 2 + random() % 5);
        for (dy, dx) in (-radius..=radius).flat_map(|dy| (-radius..=radius).map(move |dx| (dy, dx))) {
            let (px, py) = (bx + dx, by + dy);
            if dx * dx + dy * dy <= radius * radius && (0..width).contains(&px) && (0..height).contains(&py) {
                pixels[(py * width + px) as usize] = light as u8;
            }
        }
    }
    let file = std::fs::File::create(path).expect("created");
    let mut encoder = tiff::encoder::TiffEncoder::new(file).expect("a TIFF");
    encoder.write_image::<tiff::encoder::colortype::Gray8>(width as u32, height as u32, &pixels).expect("written");
}

/// True places of a grid of two rows and three columns: 20 % of overlap, off by a few pixels.
const PLACES: [(i32, i32); 6] = [(10, 10), (327, 14), (652, 7), (6, 265), (331, 270), (648, 262)];

/// Fields named by row and column; of one scene, or each of its own.
fn fields(related: bool) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (k, (x, y)) in PLACES.into_iter().enumerate() {
        let name = format!("img_r{:02}_c{:02}.tif", k / 3, k % 3);
        write_view(&folder.path().join(name), x, y, if related { 1 } else { k as u32 + 1 });
    }
    folder
}

fn stitch(fields: &Path, arguments: &[&str]) -> Output {
    let cache = tempfile::tempdir().expect("a folder");
    Command::new(env!("CARGO_BIN_EXE_microtome"))
        .arg("stitch")
        .arg(fields)
        .args(arguments)
        .arg("--cache-dir")
        .arg(cache.path())
        .arg("--no-cache")
        .output()
        .expect("it runs")
}

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn places_of(csv: &str) -> Vec<(String, f64, f64)> {
    csv.lines()
        .skip(1)
        .map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            (cells[0].to_owned(), cells[3].parse().expect("x"), cells[4].parse().expect("y"))
        })
        .collect()
}

fn assert_right(places: &[(String, f64, f64)]) {
    assert_eq!(places.len(), 6, "every field is in the list");
    for (k, (name, x, y)) in places.iter().enumerate() {
        let (tx, ty) = (f64::from(PLACES[k].0 - PLACES[0].0), f64::from(PLACES[k].1 - PLACES[0].1));
        let (x, y) = (x - places[0].1, y - places[0].2);
        assert!((x - tx).hypot(y - ty) < 0.3, "{name}: {x}, {y} for {tx}, {ty}");
    }
}

fn path_text(path: &Path) -> &str {
    path.to_str().expect("plain")
}

#[test]
fn without_options_the_places_go_to_standard_output() {
    let output = stitch(fields(true).path(), &[]);
    assert_eq!(output.status.code(), Some(0), "{}", words(&output));
    assert_right(&places_of(&String::from_utf8_lossy(&output.stdout)));
    assert!(words(&output).contains("overlap 20."), "the overlap was found and told: {}", words(&output));
}

#[test]
fn any_number_of_threads_writes_the_same_bytes() {
    let (fields, out) = (fields(true), tempfile::tempdir().expect("a folder"));
    let runs: Vec<[Vec<u8>; 3]> = ["1", "2", "4"]
        .iter()
        .map(|threads| {
            let file = |name: &str| out.path().join(format!("{threads}{name}"));
            let (image, list, report) = (file(".ome.tif"), file(".csv"), file(".json"));
            let output = stitch(
                fields.path(),
                &[
                    "-o",
                    path_text(&image),
                    "--positions",
                    path_text(&list),
                    "--report",
                    path_text(&report),
                    "--threads",
                    threads,
                ],
            );
            assert_eq!(output.status.code(), Some(0), "{}", words(&output));
            [image, list, report].map(|file| std::fs::read(file).expect("written"))
        })
        .collect();
    for run in &runs[1..] {
        for (k, what) in ["image", "places", "report"].iter().enumerate() {
            assert!(run[k] == runs[0][k], "the {what} differs");
        }
    }
}

#[test]
fn a_guess_that_no_overlap_confirms_is_refused_unless_it_is_asked_for() {
    let (fields, out) = (fields(false), tempfile::tempdir().expect("a folder"));
    let (image, report) = (out.path().join("o.ome.tif"), out.path().join("r.json"));
    let output = stitch(fields.path(), &["-o", path_text(&image), "--report", path_text(&report)]);
    assert_eq!(output.status.code(), Some(1));
    assert!(words(&output).contains("not aligned"), "{}", words(&output));
    assert!(!image.exists());
    let report: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&report).expect("the report says why")).expect("JSON");
    assert_eq!(report["verdict"], "not_aligned");
    let output = stitch(fields.path(), &["-o", path_text(&image), "--no-align", "--layout", "10%"]);
    assert_eq!(output.status.code(), Some(0), "{}", words(&output));
    assert!(image.exists());
}

#[test]
fn a_registered_layout_is_written_and_read_again() {
    let (fields, out) = (fields(true), tempfile::tempdir().expect("a folder"));
    let list = out.path().join("TileConfiguration.registered.txt");
    let output = stitch(fields.path(), &["--positions", path_text(&list)]);
    assert_eq!(output.status.code(), Some(0), "{}", words(&output));
    let text = std::fs::read_to_string(&list).expect("written");
    assert!(text.contains("dim = 2") && text.contains("img_r01_c02.tif; ; ("), "{text}");
    let output = stitch(fields.path(), &["--no-align", "--layout", path_text(&list)]);
    assert_eq!(output.status.code(), Some(0), "{}", words(&output));
    assert_right(&places_of(&String::from_utf8_lossy(&output.stdout)));
}

#[test]
fn a_file_that_is_there_is_kept_unless_force_is_given() {
    let (fields, out) = (fields(true), tempfile::tempdir().expect("a folder"));
    let list: PathBuf = out.path().join("p.csv");
    std::fs::write(&list, "mine").expect("written");
    let output = stitch(fields.path(), &["--positions", path_text(&list)]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(std::fs::read(&list).expect("still there"), b"mine");
    let output = stitch(fields.path(), &["--positions", path_text(&list), "--force"]);
    assert_eq!(output.status.code(), Some(0), "{}", words(&output));
    assert_right(&places_of(&std::fs::read_to_string(&list).expect("replaced")));
}

#[test]
fn a_field_is_never_written_over_and_outputs_have_names_of_their_own() {
    let folder = fields(true);
    let field = folder.path().join("img_r00_c00.tif");
    let before = std::fs::read(&field).expect("read");
    for option in ["-o", "--positions", "--report"] {
        let run = stitch(folder.path(), &[option, path_text(&field), "--force", "--no-align"]);
        assert!(!run.status.success() && words(&run).contains("one of the images themselves"), "{}", words(&run));
    }
    let both = folder.path().join("both.csv");
    let run = stitch(folder.path(), &["--positions", path_text(&both), "--report", path_text(&both), "--no-align"]);
    assert!(!run.status.success() && words(&run).contains("two of the files to write are one"), "{}", words(&run));
    assert!(!both.exists() && std::fs::read(&field).expect("read") == before);
}

#[test]
fn every_blend_and_packing_is_taken_and_a_wrong_word_is_a_usage_error() {
    let (fields, out) = (fields(true), tempfile::tempdir().expect("a folder"));
    for (blend, packing) in [("linear", "zstd"), ("average", "none"), ("max", "deflate"), ("none", "lzw")] {
        let image = out.path().join(format!("{blend}.ome.tif"));
        let arguments = ["-o", path_text(&image), "--blend", blend, "--compression", packing, "--sub-pixel"];
        let output = stitch(fields.path(), &arguments);
        assert_eq!(output.status.code(), Some(0), "{}", words(&output));
        assert!(image.exists());
    }
    for wrong in [["--blend", "paste"], ["--max-shift", "3mm"], ["--layout", "4x"], ["--round", "0"]] {
        assert_eq!(stitch(fields.path(), &wrong).status.code(), Some(2), "{wrong:?}");
    }
    assert_eq!(stitch(fields.path(), &["--align-channel", "9"]).status.code(), Some(1));
}

#[test]
fn a_folder_with_several_mosaics_lists_all_fields_and_names_each_image() {
    let (folder, out) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    for well in ["A01", "A02"] {
        for (k, (x, y)) in PLACES.into_iter().enumerate() {
            let name = format!("{well}_r{:02}_c{:02}.tif", k / 3, k % 3);
            write_view(&folder.path().join(name), x, y, if well == "A01" { 1 } else { 2 });
        }
    }
    let (image, list) = (out.path().join("o.ome.tif"), out.path().join("p.csv"));
    let output = stitch(folder.path(), &["-o", path_text(&image), "--positions", path_text(&list)]);
    assert_eq!(output.status.code(), Some(0), "{}", words(&output));
    let places = places_of(&std::fs::read_to_string(&list).expect("written"));
    assert_eq!(places.len(), 12);
    assert_right(&places[..6]);
    assert_right(&places[6..]);
    assert!(out.path().join("o-A01.ome.tif").exists() && out.path().join("o-A02.ome.tif").exists() && !image.exists());
    let one = stitch(&folder.path().join("A02"), &[]);
    assert_right(&places_of(&String::from_utf8_lossy(&one.stdout)));
}
