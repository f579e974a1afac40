//! What of an original reaches an export: nothing that may say who or what it shows, unless it is asked for.

use image::GenericImageView as _;
use microtome::engine::{Engine, EngineConfig, Event};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, mpsc};
use std::time::Duration;
use tiff::encoder::{DirectoryEncoder, TiffEncoder, TiffKindStandard, colortype};
use tiff::tags::Tag;

/// What stands in every text of the inputs.
const MARKER: &str = "Mrk7f3a";

/// A pixel that only labels and macros are made of.
const LABEL_PIXEL: [u8; 3] = [0xd3, 0x1a, 0x6e];

/// TIFF tags that hold texts: document name, make, model, page name, software, date, artist, host, copyright.
const TEXT_TAGS: [u16; 9] = [269, 271, 272, 285, 305, 306, 315, 316, 33432];

/// How long an image may take to be opened and shown.
const PATIENCE: Duration = Duration::from_secs(60);

type Encoder = TiffEncoder<File, TiffKindStandard>;

/// Adds a page whose every text holds the marker.
fn add_page(
    encoder: &mut Encoder,
    size: (u32, u32),
    description: &str,
    kind: u32,
    pixel: impl Fn(u32, u32) -> [u8; 3],
) {
    let pixels: Vec<u8> =
        (0..size.1).flat_map(|y| (0..size.0).map(move |x| (x, y))).flat_map(|(x, y)| pixel(x, y)).collect();
    let mut image = encoder.new_image::<colortype::RGB8>(size.0, size.1).expect("a page");
    write_texts(image.encoder(), description, kind);
    image.write_data(&pixels).expect("pixels");
}

fn write_texts(page: &mut DirectoryEncoder<'_, File, TiffKindStandard>, description: &str, kind: u32) {
    page.write_tag(Tag::ImageDescription, description).expect("a description");
    page.write_tag(Tag::NewSubfileType, kind).expect("a kind");
    for tag in TEXT_TAGS {
        let text = format!("{MARKER} {tag}");
        page.write_tag(Tag::Unknown(tag), text.as_str()).expect("a text");
    }
}

fn tissue(x: u32, y: u32) -> [u8; 3] {
    [200 + (x % 40) as u8, 150 + (y % 50) as u8, 190]
}

/// A slide as Aperio writes it, with a thumbnail, a label and a macro.
fn write_svs(path: &Path) {
    let mut encoder = Encoder::new(File::create(path).expect("created")).expect("a TIFF");
    let fields = [
        "AppMag = 20",
        "MPP = 0.4990",
        "Date = 12/29/09",
        "Time = 09:59:15",
        "User = ",
        "ScanScope ID = ",
        "Filename = ",
        "Title = ",
        "Patient = ",
        "Barcode = ",
        "Parmset = ",
    ];
    let texts: Vec<String> = fields
        .iter()
        .map(|field| if field.ends_with("= ") { format!("{field}{MARKER}") } else { (*field).to_owned() })
        .collect();
    let description = format!("Aperio Image Library {MARKER}\r\n600x500 {MARKER}|{}", texts.join("|"));
    add_page(&mut encoder, (600, 500), &description, 0, tissue);
    add_page(&mut encoder, (120, 100), &format!("Aperio Image Library\r\n600x500 -> 120x100 {MARKER}"), 0, tissue);
    for (name, kind) in [("label", 1), ("macro", 9)] {
        let description = format!("Aperio Image Library {MARKER}\r\n{name} 90x80");
        add_page(&mut encoder, (90, 80), &description, kind, |_, _| LABEL_PIXEL);
    }
}

/// An OME-TIFF with the marker in everything.
fn write_ome(path: &Path) {
    let channel = format!(r#"<Channel ID="Channel:0:0" Name="{MARKER}" Fluor="{MARKER}" SamplesPerPixel="3"/>"#);
    let xml = ome_xml(path, [600, 500, 3], &channel, "");
    let mut encoder = Encoder::new(File::create(path).expect("created")).expect("a TIFF");
    add_page(&mut encoder, (600, 500), &xml, 0, tissue);
}

/// One field of a mosaic, seen through a window at (`x`, `y`): windows that overlap show the same. Its channel's name is
/// for every export; everything else holds the marker.
fn write_field(path: &Path, x: u32, y: u32) {
    const SIDE: u32 = 300;
    let channel = format!(r#"<Channel ID="Channel:0:0" Name="DAPI" Fluor="{MARKER}" SamplesPerPixel="1"/>"#);
    let place = |at: u32| f64::from(at) * 0.5;
    let plane = format!(
        r#"<Plane TheZ="0" TheT="0" TheC="0" PositionX="{}" PositionXUnit="&#181;m" PositionY="{}" PositionYUnit="&#181;m"/>"#,
        place(x),
        place(y)
    );
    let blot = |x: u32, y: u32| (x / 5).wrapping_mul(0x9e37_79b9) ^ (y / 5).wrapping_mul(0x85eb_ca6b);
    let mixed = |v: u32| (v ^ v >> 15).wrapping_mul(0x2c1b_3c6d) >> 24;
    let pixels: Vec<u8> = (y..y + SIDE).flat_map(|y| (x..x + SIDE).map(move |x| mixed(blot(x, y)) as u8)).collect();
    let mut encoder = Encoder::new(File::create(path).expect("created")).expect("a TIFF");
    let mut image = encoder.new_image::<colortype::Gray8>(SIDE, SIDE).expect("a page");
    write_texts(image.encoder(), &ome_xml(path, [SIDE, SIDE, 1], &channel, &plane), 0);
    image.write_data(&pixels).expect("pixels");
}

/// OME-XML with the marker in every text.
fn ome_xml(path: &Path, [width, height, samples]: [u32; 3], channel: &str, plane: &str) -> String {
    format!(
        concat!(
            r#"<?xml version="1.0"?><!-- {m} --><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" "#,
            r#"UUID="urn:uuid:{m}" Creator="{m}"><Project ID="Project:0" Name="{m}"><Description>{m}</Description></Project>"#,
            r#"<Dataset ID="Dataset:0" Name="{m}"/>"#,
            r#"<Experimenter ID="Experimenter:0" FirstName="{m}" LastName="{m}" Email="{m}@x" Institution="{m}" UserName="{m}"/>"#,
            r#"<Instrument ID="Instrument:0"><Microscope Manufacturer="{m}" Model="{m}" SerialNumber="{m}"/>"#,
            r#"<Objective ID="Objective:0" Model="{m}" SerialNumber="{m}" NominalMagnification="20"/></Instrument>"#,
            r#"<Image ID="Image:0" Name="{m}"><AcquisitionDate>2020-01-01T00:00:00</AcquisitionDate>"#,
            r#"<Description>{m}</Description><ExperimenterRef ID="Experimenter:0"/><InstrumentRef ID="Instrument:0"/>"#,
            r#"<ObjectiveSettings ID="Objective:0"/><StageLabel Name="{m}"/>"#,
            r#"<Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint8" SizeX="{w}" SizeY="{h}" SizeC="{c}" SizeZ="1" SizeT="1" "#,
            r#"PhysicalSizeX="0.5" PhysicalSizeY="0.5">{channel}"#,
            r#"<TiffData IFD="0" PlaneCount="1"><UUID FileName="{file}">urn:uuid:{m}</UUID></TiffData>{plane}</Pixels></Image>"#,
            r#"<StructuredAnnotations><CommentAnnotation ID="Annotation:0" Namespace="{m}"><Value>{m}</Value>"#,
            r#"</CommentAnnotation></StructuredAnnotations></OME>"#
        ),
        m = MARKER,
        w = width,
        h = height,
        c = samples,
        channel = channel,
        plane = plane,
        file = path.file_name().expect("a name").to_string_lossy(),
    )
}

struct Ran {
    stderr: String,
    stdout: String,
}

/// Runs the program with its log at its most talkative.
fn run(cache: &Path, arguments: &[&str]) -> Ran {
    let output = Command::new(env!("CARGO_BIN_EXE_microtome"))
        .env("MICROTOME_LOG", "trace")
        .env("XDG_RUNTIME_DIR", cache.parent().unwrap_or(cache))
        .arg("--cache-dir")
        .arg(cache)
        .args(arguments)
        .output()
        .expect("the program runs");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let ran = Ran { stderr: text(output.stderr), stdout: text(output.stdout) };
    assert!(output.status.success(), "{arguments:?}: {}", ran.stderr);
    ran
}

fn holds(bytes: &[u8], what: &[u8]) -> bool {
    bytes.windows(what.len()).any(|window| window == what)
}

/// Inputs, each with the folder it lies in and what exports must say of it all the same.
fn inputs(folder: &Path) -> Vec<(PathBuf, &'static str)> {
    let (svs, ome) = (folder.join("slide.svs"), folder.join("image.ome.tif"));
    write_svs(&svs);
    write_ome(&ome);
    vec![(svs, "PhysicalSizeX=\"0.499\""), (ome, "PhysicalSizeX=\"0.5\"")]
}

fn word(path: &Path) -> String {
    path.display().to_string()
}

#[test]
fn a_marker_in_every_text_of_an_svs_and_an_ome_file_reaches_no_export_log_or_preview() {
    let folder = tempfile::tempdir().expect("a folder");
    let cache = folder.path().join("cache");
    for (input, kept) in inputs(folder.path()) {
        let info = run(&cache, &["info", "--json", &word(&input)]);
        let count = info.stdout.matches(MARKER).count();
        assert!(count > 5, "the marker is seen when the input is looked at: {count}");
        for (name, options) in [
            ("all.ome.tif", vec!["--compression", "none"]),
            ("region.ome.tif", vec!["--compression", "none", "--region", "10,20,300,200"]),
            ("samples.tif", vec!["--raw", "--compression", "none"]),
            ("shown.tif", vec!["--rendered", "--compression", "none"]),
            ("shown.png", vec![]),
            ("shown.jpg", vec![]),
        ] {
            if options.first() != Some(&"--raw") && !name.ends_with("ome.tif") && microtome::render::headless().is_err()
            {
                println!("SKIPPED: {name}: there is no graphics adapter on this machine");
                continue;
            }
            let out = folder.path().join(name);
            let (input, out_word) = (word(&input), word(&out));
            let arguments: Vec<&str> =
                ["export", "--force", &input, "-o", &out_word].into_iter().chain(options).collect();
            let ran = run(&cache, &arguments);
            assert!(!ran.stderr.contains(MARKER), "the log of {name} of {input}: {}", ran.stderr);
            assert!(!ran.stdout.contains(MARKER), "{name} of {input}: {}", ran.stdout);
            let bytes = std::fs::read(&out).expect("an export");
            assert!(!holds(&bytes, MARKER.as_bytes()), "{name} of {input}");
            // A label's pixels would stand in rows: files are not packed, or opened.
            assert!(!holds(&bytes, &LABEL_PIXEL.repeat(4)), "{name} of {input}");
            if name.ends_with("ome.tif") {
                assert!(holds(&bytes, kept.as_bytes()), "{name} of {input} says {kept}");
            }
            if name.ends_with("png") {
                assert_eq!(png_chunks(&bytes), ["IHDR", "IDAT", "IEND"], "{name} of {input}");
            }
            if let Ok(picture) = image::open(&out) {
                assert!(picture.pixels().all(|(_, _, px)| px.0[..3] != LABEL_PIXEL), "{name} of {input}");
            }
        }
    }
}

/// The kinds of chunks of a PNG, in order, each once: texts may be packed, where no marker would be seen.
fn png_chunks(png: &[u8]) -> Vec<String> {
    const SIGNATURE_BYTES: usize = 8;
    let mut kinds = Vec::new();
    let mut rest = &png[SIGNATURE_BYTES..];
    while let Some((header, after)) = rest.split_at_checked(8) {
        let len = u32::from_be_bytes([header[0], header[1], header[2], header[3]]) as usize;
        kinds.push(String::from_utf8_lossy(&header[4..]).into_owned());
        rest = &after[len + 4..];
    }
    kinds.dedup();
    kinds
}

#[test]
fn a_marker_in_every_text_of_a_mosaics_fields_reaches_nothing_that_stitching_writes_or_says() {
    let folder = tempfile::tempdir().expect("a folder");
    let (cache, fields) = (folder.path().join("cache"), folder.path().join("fields"));
    std::fs::create_dir(&fields).expect("a folder");
    for (row, col) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        write_field(&fields.join(format!("f_r{row}_c{col}.ome.tif")), 240 * col, 240 * row);
    }
    let [image, places, report, shown] =
        ["all.ome.tif", "places.csv", "report.json", "shown.png"].map(|name| word(&folder.path().join(name)));
    let fields = word(&fields);
    let mut commands = vec![
        vec!["stitch", &fields, "--compression", "none", "-o", &image, "--positions", &places, "--report", &report],
        vec!["export", &fields, "--compression", "none", "--force", "-o", &image],
    ];
    if microtome::render::headless().is_ok() {
        commands.push(vec!["export", &fields, "-o", &shown]);
    } else {
        println!("SKIPPED: a picture of the mosaic: there is no graphics adapter on this machine");
    }
    for command in commands {
        let ran = run(&cache, &command);
        assert!(!ran.stderr.contains(MARKER), "the log of {command:?}: {}", ran.stderr);
        assert!(!ran.stdout.contains(MARKER), "{command:?}: {}", ran.stdout);
        for file in [&image, &places, &report, &shown].into_iter().filter(|file| Path::new(file).exists()) {
            let bytes = std::fs::read(file).expect("what was written");
            assert!(!holds(&bytes, MARKER.as_bytes()), "{file} of {command:?}");
        }
        let bytes = std::fs::read(&image).expect("an image");
        for kept in ["PhysicalSizeX=\"0.5\"", "Name=\"DAPI\""] {
            assert!(holds(&bytes, kept.as_bytes()), "{kept}: {command:?}");
        }
    }
}

#[test]
fn pictures_of_the_window_and_of_the_canvas_hold_no_text() {
    if microtome::render::headless().is_err() {
        println!("SKIPPED: snapshots: there is no graphics adapter on this machine");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let cache = folder.path().join("cache");
    for (input, _) in inputs(folder.path()) {
        let out = folder.path().join("shown.png");
        let (input, out_word) = (word(&input), word(&out));
        for options in [&["--size", "300x200"][..], &["--size", "900x700", "--window"]] {
            let ran = run(&cache, &[&["snapshot", &input, "-o", &out_word, "--force"], options].concat());
            assert!(!(ran.stderr + &ran.stdout).contains(MARKER), "the log of {options:?} of {input}");
            let bytes = std::fs::read(&out).expect("a picture");
            assert_eq!(png_chunks(&bytes), ["IHDR", "IDAT", "IEND"], "{options:?} of {input}");
        }
    }
}

#[test]
fn previews_are_kept_without_texts_and_are_made_of_the_tissue() {
    let folder = tempfile::tempdir().expect("a folder");
    let cache = folder.path().join("cache");
    for (input, _) in inputs(folder.path()) {
        let (wake, woken) = mpsc::channel();
        let config = EngineConfig {
            cache_dir: cache.clone(),
            data_dir: folder.path().join("data"),
            cache_limit_bytes: 1 << 30,
            threads: 1,
            no_cache: false,
        };
        // Nobody listens any more once the preview has come.
        let waker = move || wake.send(()).unwrap_or_default();
        let engine = Engine::new(config, Arc::new(waker)).expect("the engine starts");
        engine.open(input);
        let picture = loop {
            let thumbnail = |event| if let Event::Thumbnail { rgba, .. } = event { Some(rgba) } else { None };
            if let Some(picture) = engine.events().into_iter().find_map(thumbnail) {
                break picture;
            }
            woken.recv_timeout(PATIENCE).expect("a preview comes");
        };
        assert!(picture.chunks_exact(4).all(|px| px[..3] != LABEL_PIXEL));
    }
    let previews: Vec<PathBuf> = std::fs::read_dir(cache.join("thumbnails"))
        .expect("previews are kept")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    assert_eq!(previews.len(), 2);
    for preview in previews {
        assert!(!word(&preview).contains(MARKER));
        let bytes = std::fs::read(&preview).expect("a preview");
        let rows = bytes.get(8..).expect("a size, then pixels");
        assert!(!holds(&bytes, MARKER.as_bytes()) && rows.chunks_exact(4).all(|px| px[..3] != LABEL_PIXEL));
        assert!(rows.chunks_exact(4).all(|px| px[0] > 100 && px[2] > 150), "tissue");
    }
}

#[test]
fn what_is_asked_for_goes_along_and_is_listed() {
    let folder = tempfile::tempdir().expect("a folder");
    let cache = folder.path().join("cache");
    for (input, _) in inputs(folder.path()) {
        let out = folder.path().join("all.ome.tif");
        let (input_word, out_word) = (word(&input), word(&out));
        let ran = run(
            &cache,
            &["export", "--include-metadata", "--compression", "none", "--force", &input_word, "-o", &out_word],
        );
        let listed = ran.stderr.lines().skip_while(|line| !line.contains("go along")).skip(1).count();
        assert!(listed > 5, "{}", ran.stderr);
        assert!(holds(&std::fs::read(&out).expect("an export"), MARKER.as_bytes()), "{input_word}");
        let info = run(&cache, &["info", "--json", &out_word]);
        let info: serde_json::Value = serde_json::from_str(&info.stdout).expect("JSON");
        assert_eq!((&info["images"][0]["width"], &info["images"][0]["height"]), (&600.into(), &500.into()));
        if input_word.ends_with("svs") {
            let names: Vec<_> = info["images"].as_array().expect("images").iter().map(|i| i["name"].clone()).collect();
            let pictures = info["associated"].as_array().expect("associated").len();
            println!("{names:?}, {pictures} pictures");
            assert!(names.len() + pictures >= 3, "{info}");
        }
    }
}
