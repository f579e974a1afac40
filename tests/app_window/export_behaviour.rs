//! What the Export panel does.

use crate::support::{Bench, brightfield, fluorescence};
use egui::accesskit::Role;
use egui::{Key, Modifiers, vec2};
use egui_kittest::kittest::Queryable as _;
use microtome::engine::{Event, ExportReport, JobId};
use microtome::geom::PixelRect;
use microtome::pyramid::SetId;
use microtome::session::{Command, ExportCommand, ExportPreset, ExportStage, ExportWhat, PictureSize};
use std::path::PathBuf;

fn bench() -> Option<Bench> {
    let mut bench = Bench::new(1200.0, 760.0, 1.0)?;
    bench.command(Command::SetMotion(false));
    bench.open_bare(&fluorescence(1, "/data/Tonsil 04.ome.tif"));
    bench.key(Modifiers::COMMAND, Key::E);
    Some(bench)
}

fn region(bench: &Bench) -> PixelRect {
    bench.session(|s| s.export().expect("open").region)
}

#[test]
fn the_presets_say_what_is_written() {
    let Some(mut bench) = bench() else { return };
    let what = |bench: &Bench| bench.session(|s| s.export_plan().expect("a plan").what);
    assert!(matches!(what(&bench), ExportWhat::OmeTiff(s) if s.is_whole && s.channels == [0, 1, 2, 3]));
    bench.harness.get_by_role_and_label(Role::RadioButton, "Raw samples of a region").click();
    bench.harness.run_steps(3);
    assert!(matches!(what(&bench), ExportWhat::Raw(s) if !s.is_whole && s.region == region(&bench)));
    bench.harness.get_by_role_and_label(Role::RadioButton, "Picture of the view").click();
    bench.harness.run_steps(3);
    let canvas = bench.camera().1;
    assert!(matches!(what(&bench), ExportWhat::Picture(p) if p.size == canvas && p.camera == bench.camera().0));
}

#[test]
fn the_image_itself_is_never_proposed_to_be_written_over() {
    let Some(bench) = bench() else { return };
    let path = bench.session(|s| s.export().expect("open").path.clone());
    assert_eq!(path, PathBuf::from("/data/Tonsil 04 export.ome.tif"));
}

#[test]
fn the_region_is_dragged_by_its_handles_on_the_image() {
    let Some(mut bench) = bench() else { return };
    bench.command(Command::Export(ExportCommand::Open(Some(ExportPreset::RegionRaw))));
    bench.harness.run_steps(3);
    let (before, camera) = (region(&bench), bench.camera().0);
    let drag = |bench: &mut Bench, name: &str, by: egui::Vec2| {
        let from = bench.harness.get_by_label(name).rect().center();
        bench.drag(from, by);
    };
    let px = |points: f64| points / camera.zoom;
    drag(&mut bench, "Bottom right corner of the region", vec2(40.0, -30.0));
    let after = region(&bench);
    assert_eq!((after.x, after.y), (before.x, before.y));
    assert!((f64::from(after.width) - f64::from(before.width) - px(40.0)).abs() <= 1.0, "{before:?} {after:?}");
    assert!((f64::from(after.height) - f64::from(before.height) + px(30.0)).abs() <= 1.0, "{before:?} {after:?}");
}

#[test]
fn the_region_is_moved_by_any_place_inside_and_the_image_by_any_beside_it() {
    let Some(mut bench) = bench() else { return };
    bench.command(Command::Export(ExportCommand::Open(Some(ExportPreset::RegionRaw))));
    bench.harness.run_steps(3);
    let (before, camera) = (region(&bench), bench.camera().0);
    let inside = bench.harness.get_by_label("Inside of the region").rect();
    bench.drag(inside.min + inside.size() * vec2(0.2, 0.3), vec2(-20.0, 10.0));
    let moved = region(&bench);
    assert_eq!(moved.size(), before.size());
    let by = f64::from(before.x) - f64::from(moved.x);
    assert!((by - 20.0 / camera.zoom).abs() <= 1.0, "{before:?} {moved:?}");
    assert_eq!(bench.camera().0, camera, "the image stays");
    bench.drag(inside.min - vec2(40.0, 40.0), vec2(-20.0, 10.0));
    assert_eq!(region(&bench), moved, "the region stays on the image");
    assert_ne!(bench.camera().0, camera, "the image moves");
    let (camera, at) = (bench.camera().0, bench.harness.get_by_label("Inside of the region").rect().center());
    bench.harness.hover_at(at);
    bench.harness.step();
    bench.scroll(egui::MouseWheelUnit::Line, vec2(0.0, 3.0), Modifiers::NONE);
    bench.harness.run_steps(3);
    assert!(bench.camera().0.zoom > camera.zoom, "the wheel zooms there as anywhere");
}

#[test]
fn channels_are_left_out_by_their_boxes() {
    let Some(mut bench) = bench() else { return };
    bench.harness.get_by_label("Export CD3").click();
    bench.harness.run_steps(3);
    let channels = |bench: &Bench| {
        bench.session(|s| match s.export_plan().map(|p| p.what) {
            Some(ExportWhat::OmeTiff(samples)) => samples.channels,
            _ => vec![],
        })
    };
    assert_eq!(channels(&bench), [0, 2, 3]);
    for name in ["Export DAPI", "Export Ki-67", "Export PanCK"] {
        bench.harness.get_by_label(name).click();
        bench.harness.run_steps(2);
    }
    bench.harness.get_by_label("Choose at least one channel");
    assert!(bench.harness.query_by_label("Start the export").is_none());
}

#[test]
fn an_export_asks_before_it_replaces_and_says_how_it_ends() {
    let Some(mut bench) = bench() else { return };
    let path = bench.session(|s| s.export().expect("open").path.clone());
    let report = |bench: &mut Bench, report| {
        bench.event(Event::Export { path: path.clone(), report });
        bench.harness.run_steps(3);
    };
    let stage = |bench: &Bench| bench.session(|s| s.export().expect("open").stage.clone());
    bench.harness.get_by_label("Start the export").click();
    bench.harness.run_steps(3);
    assert_eq!(stage(&bench), ExportStage::Starting);
    report(&mut bench, ExportReport::Exists);
    bench.harness.get_by_label("Replace").click();
    bench.harness.run_steps(3);
    report(&mut bench, ExportReport::Started(JobId(9)));
    bench.event(Event::Progress { job: JobId(9), set: Some(SetId(1)), title: "Exporting", done: 4, total: 10 });
    bench.harness.run_steps(3);
    bench.harness.get_by_label("Export, 40\u{2009}%");
    report(&mut bench, ExportReport::Done { bytes: 12_000_000, secs: 2.0, unreadable_parts: 0 });
    bench.harness.get_by_label("12\u{2009}MB in 2\u{2009}s");
    bench.harness.get_by_label("Show in folder");
    bench.harness.get_by_label("Export more").click();
    bench.harness.run_steps(3);
    bench.harness.get_by_label("Start the export").click();
    bench.harness.run_steps(3);
    report(&mut bench, ExportReport::Failed("the disk is full: /data/x".into()));
    bench.harness.get_by_label("The disk is full: /data/x");
}

#[test]
fn a_running_export_is_cancelled_and_leaves_the_choices() {
    let Some(mut bench) = bench() else { return };
    let path = bench.session(|s| s.export().expect("open").path.clone());
    bench.harness.get_by_label("Start the export").click();
    bench.harness.run_steps(3);
    bench.event(Event::Export { path: path.clone(), report: ExportReport::Started(JobId(9)) });
    bench.event(Event::Progress { job: JobId(9), set: Some(SetId(1)), title: "Exporting", done: 4, total: 10 });
    bench.harness.run_steps(3);
    bench.harness.get_by_label("Cancel").click();
    bench.harness.run_steps(3);
    bench.event(Event::Export { path, report: ExportReport::Cancelled });
    bench.harness.run_steps(3);
    bench.harness.get_by_label("Start the export");
}

#[test]
fn a_print_is_as_many_pixels_as_its_width_and_its_dots_ask_for() {
    let Some(mut bench) = Bench::new(1200.0, 760.0, 1.0) else { return };
    bench.open_bare(&brightfield(1, "/data/CMU-1.svs", Some(0.5)));
    bench.command(Command::Export(ExportCommand::Open(Some(ExportPreset::RegionPicture))));
    bench.harness.run_steps(3);
    bench.harness.get_by_label("Print").click();
    bench.harness.run_steps(3);
    let size = bench.session(|s| s.export_choices().region_size);
    assert_eq!(size, PictureSize::Print { width_mm: 180.0, dpi: 300.0 });
    let width = bench.session(|s| match s.export_plan().map(|p| p.what) {
        Some(ExportWhat::Picture(picture)) => picture.size.width,
        _ => 0,
    });
    assert_eq!(width, 2126, "180 mm at 300 dots an inch");
}

#[test]
fn escape_closes_the_export_panel_and_an_image_takes_its_panel_with_it() {
    let Some(mut bench) = bench() else { return };
    bench.key(Modifiers::NONE, Key::Escape);
    assert!(bench.session(|s| s.export().is_none()));
    bench.key(Modifiers::COMMAND, Key::E);
    assert!(bench.session(|s| s.export().is_some()));
    bench.command(Command::Close(SetId(1)));
    bench.harness.run_steps(3);
    assert!(bench.session(|s| s.export().is_none()));
}
