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
    run("stitch", fields, arguments)
}

fn run(command: &str, fields: &Path, arguments: &[&str]) -> Output {
    let cache = tempfile::tempdir().expect("a folder");
    Command::new(env!("CARGO_BIN_EXE_microtome"))
        .arg(command)
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
    let text = std::fs::read_to_string(&list).expect("written");
    assert!(text.starts_with("file,row,col,x,y,well\n"), "{text}");
    assert_eq!((text.matches(",A01\n").count(), text.matches(",A02\n").count()), (6, 6), "{text}");
    let places = places_of(&text);
    assert_eq!(places.len(), 12);
    assert_right(&places[..6]);
    assert_right(&places[6..]);
    assert!(out.path().join("o-A01.ome.tif").exists() && out.path().join("o-A02.ome.tif").exists() && !image.exists());
    let fiji = stitch(folder.path(), &["--positions", path_text(&out.path().join("p.txt"))]);
    assert!(!fiji.status.success() && words(&fiji).contains("let the name end in .csv"), "{}", words(&fiji));
    // A list of several is read for one of them.
    let again = stitch(&folder.path().join("A02"), &["--no-align", "--layout", path_text(&list)]);
    assert_right(&places_of(&String::from_utf8_lossy(&again.stdout)));
    let one = stitch(&folder.path().join("A02"), &[]);
    assert_right(&places_of(&String::from_utf8_lossy(&one.stdout)));
}

#[test]
fn a_folder_of_several_images_is_listed_and_no_command_takes_the_first_of_them() {
    let (folder, out) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    for well in ["A01", "A02"] {
        for (k, (x, y)) in PLACES.into_iter().enumerate() {
            let name = format!("{well}_r{:02}_c{:02}.tif", k / 3, k % 3);
            write_view(&folder.path().join(name), x, y, if well == "A01" { 1 } else { 2 });
        }
    }
    write_view(&folder.path().join("slide.tif"), 0, 0, 7);
    let listed = run("info", folder.path(), &[]);
    assert_eq!(listed.status.code(), Some(0), "{}", words(&listed));
    let lines = String::from_utf8_lossy(&listed.stdout).into_owned();
    for name in ["A01", "A02"] {
        let line = lines.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name}: {lines}"));
        assert!(line.contains(" px  6 fields"), "{line}");
    }
    assert!(lines.contains("slide.tif  400 x 320 px"), "{lines}");
    let json = run("info", folder.path(), &["--json"]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).expect("JSON");
    assert_eq!(json["entries"].as_array().map(Vec::len), Some(3), "{json:#}");
    let picture = out.path().join("o.png");
    for command in ["export", "snapshot"] {
        let run = run(command, folder.path(), &["-o", path_text(&picture)]);
        assert_eq!(run.status.code(), Some(1));
        let said = words(&run);
        assert!(said.contains("there are 3 images here (A01, A02, slide.tif), name one of them as in "), "{said}");
        assert!(said.contains(path_text(&folder.path().join("A01"))) && !picture.exists(), "{said}");
    }
    let one = run("export", &folder.path().join("A02"), &["-o", path_text(&picture)]);
    assert_eq!(one.status.code(), Some(0), "{}", words(&one));
}

#[test]
fn info_of_a_folder_of_fields_has_the_size_of_what_is_exported() {
    let (fields, out) = (fields(true), tempfile::tempdir().expect("a folder"));
    // Where nothing moves the fields both are the same to the pixel.
    let layout: String = (0..6)
        .map(|k| format!("img_r{:02}_c{:02}.tif; ; ({}, {})\n", k / 3, k % 3, PLACES[k].0, PLACES[k].1))
        .collect();
    std::fs::write(fields.path().join("TileConfiguration.txt"), format!("dim = 2\n{layout}")).expect("written");
    let info = run("info", fields.path(), &["--json"]);
    let json: serde_json::Value = serde_json::from_slice(&info.stdout).expect("JSON");
    let image = &json["images"][0];
    let (width, height) = (652 - 6 + 400, 270 - 7 + 320);
    assert_eq!((image["width"].as_u64(), image["height"].as_u64()), (Some(width), Some(height)), "{json:#}");
    let picture = out.path().join("o.png");
    let export = run("export", fields.path(), &["-o", path_text(&picture)]);
    assert_eq!(export.status.code(), Some(0), "{}", words(&export));
    let size = image::image_dimensions(&picture).expect("a picture");
    assert_eq!((u64::from(size.0), u64::from(size.1)), (width, height));
}

#[test]
fn an_even_light_is_left_as_it_is_in_words_and_in_the_file_by_every_command() {
    let (fields, out) = (fields(true), tempfile::tempdir().expect("a folder"));
    let written: Vec<Vec<u8>> = ["stitch", "export"]
        .iter()
        .map(|command| {
            let image = out.path().join(format!("{command}.ome.tif"));
            let output = run(command, fields.path(), &["-o", path_text(&image), "--even-illumination"]);
            assert_eq!(output.status.code(), Some(0), "{}", words(&output));
            assert!(words(&output).contains("is left as it is: "), "{}", words(&output));
            std::fs::read(&image).expect("written")
        })
        .collect();
    assert!(written[0] == written[1], "the same mosaic by either command");
    let text = String::from_utf8_lossy(&written[0]);
    assert!(text.contains("as stored") && text.contains("is left as it is: "), "the file says so");
}

#[test]
fn regions_count_from_the_corner_of_the_fields() {
    let (fields, out) = (fields(true), tempfile::tempdir().expect("a folder"));
    let (whole, part) = (out.path().join("whole.tif"), out.path().join("part.tif"));
    for (image, more) in [(&whole, &[][..]), (&part, &["--region", "0,0,300,200"][..])] {
        let arguments = [&["-o", path_text(image), "--raw", "--compression", "none"][..], more].concat();
        let output = run("export", fields.path(), &arguments);
        assert_eq!(output.status.code(), Some(0), "{}", words(&output));
    }
    let read = |path: &Path| {
        let mut file = tiff::decoder::Decoder::new(std::fs::File::open(path).expect("written")).expect("a TIFF");
        let (width, height) = file.dimensions().expect("a size");
        let tiff::decoder::DecodingResult::U8(samples) = file.read_image().expect("samples") else { panic!("8 bits") };
        (width as usize, height as usize, samples)
    };
    let (whole, part) = (read(&whole), read(&part));
    assert_eq!((part.0, part.1), (300, 200));
    for (row, of_part) in part.2.chunks_exact(part.0).enumerate() {
        assert!(of_part == &whole.2[row * whole.0..][..part.0], "row {row}");
    }
}
