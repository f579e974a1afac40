//! What the window does, asked through its controls and through recorded input.

use crate::support::{Bench, brightfield, fluorescence, stained};
use egui::accesskit::Role;
use egui::{Key, Modifiers, MouseWheelUnit, pos2, vec2};
use egui_kittest::kittest::Queryable as _;
use microtome::engine::{Event, JobId};
use microtome::geom::Point;
use microtome::pyramid::SetId;
use microtome::session::{Command, Framing, PixelSizeTool, RightTab, ViewMove};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const POINTER: egui::Pos2 = pos2(520.0, 300.0);

fn bench(pixels_per_point: f32) -> Option<Bench> {
    let mut bench = Bench::new(1100.0, 640.0, pixels_per_point)?;
    bench.open_bare(&fluorescence(1, "/data/Tonsil 04.ome.tif"));
    Some(bench)
}

fn near(a: Point, b: Point, px: f64) -> bool {
    a.distance(b) < px
}

#[test]
fn a_drag_of_100_points_moves_the_image_with_the_pointer() {
    for scale in [1.0, 2.0] {
        let Some(mut bench) = bench(scale) else { return };
        bench.command(Command::SetMotion(false));
        bench.harness.hover_at(POINTER);
        bench.harness.step();
        let grabbed = bench.image_at(POINTER);
        bench.harness.drag_at(POINTER);
        bench.harness.step();
        for (dx, dy) in [(4.0, 1.0), (37.0, 20.0), (100.0, -60.0)] {
            bench.harness.hover_at(POINTER + vec2(dx, dy));
            bench.harness.step();
        }
        let to = POINTER + vec2(100.0, -60.0);
        bench.harness.drop_at(to);
        bench.harness.run_steps(3);
        assert!(near(bench.image_at(to), grabbed, 1e-3), "{:?} {grabbed:?}", bench.image_at(to));
        assert_eq!(bench.session(|s| s.current().map(|i| i.framing)), Some(Framing::Free));
    }
}

#[test]
fn a_drag_that_a_slow_frame_swallowed_in_part_still_ends_where_the_pointer_does() {
    let Some(mut bench) = bench(1.0) else { return };
    bench.command(Command::SetMotion(false));
    bench.harness.hover_at(POINTER);
    bench.harness.step();
    let grabbed = bench.image_at(POINTER);
    let button = |pos: egui::Pos2, pressed: bool| egui::Event::PointerButton {
        pos,
        button: egui::PointerButton::Primary,
        pressed,
        modifiers: Modifiers::NONE,
    };
    let at = |part: f32| POINTER + vec2(-100.0, 60.0) * part;
    let press = [button(POINTER, true), egui::Event::PointerMoved(at(0.1)), egui::Event::PointerMoved(at(0.3))];
    bench.harness.input_mut().events.extend(press);
    bench.harness.step();
    bench.harness.input_mut().events.push(egui::Event::PointerMoved(at(0.7)));
    bench.harness.step();
    let release = [egui::Event::PointerMoved(at(1.0)), button(at(1.0), false)];
    bench.harness.input_mut().events.extend(release);
    bench.harness.run_steps(3);
    assert!(near(bench.image_at(at(1.0)), grabbed, 1e-3), "{:?} {grabbed:?}", bench.image_at(at(1.0)));
}

#[test]
fn the_wheel_zooms_about_the_pointer() {
    for scale in [1.0, 2.0] {
        let Some(mut bench) = bench(scale) else { return };
        bench.harness.hover_at(POINTER);
        bench.harness.run_steps(2);
        let (held, before) = (bench.image_at(POINTER), bench.camera().0.zoom);
        for _ in 0..4 {
            bench.scroll(MouseWheelUnit::Line, vec2(0.0, 1.0), Modifiers::NONE);
            bench.harness.step();
            assert!(near(bench.image_at(POINTER), held, 0.01));
        }
        bench.harness.run_steps(3);
        assert!(near(bench.image_at(POINTER), held, 0.01));
        assert!((bench.camera().0.zoom / before - 4.0).abs() < 1e-9);
    }
}

#[test]
fn a_touchpad_pans_and_pinches() {
    let Some(mut bench) = bench(2.0) else { return };
    bench.command(Command::Move(ViewMove::OneToOne));
    bench.harness.hover_at(POINTER);
    bench.harness.run_steps(3);
    let held = bench.image_at(POINTER);
    for _ in 0..5 {
        bench.scroll(MouseWheelUnit::Point, vec2(-4.0, 6.0), Modifiers::NONE);
        bench.harness.step();
    }
    bench.harness.run_steps(2);
    assert!(near(bench.image_at(POINTER + vec2(-20.0, 30.0)), held, 1e-3));

    let held = bench.image_at(POINTER);
    for factor in [1.02, 1.1, 1.3] {
        bench.harness.event(egui::Event::Zoom(factor));
        bench.harness.step();
    }
    bench.harness.run_steps(2);
    assert!(near(bench.image_at(POINTER), held, 1e-3));
    assert!((bench.camera().0.zoom - 1.02 * 1.1 * 1.3).abs() < 1e-5);
}

#[test]
fn a_swipe_with_ctrl_zooms_as_far_in_one_event_as_in_twenty() {
    let mut zooms = Vec::new();
    for events in [1, 20] {
        let Some(mut bench) = bench(1.0) else { return };
        bench.harness.hover_at(POINTER);
        bench.harness.run_steps(2);
        for _ in 0..events {
            bench.scroll(MouseWheelUnit::Point, vec2(0.0, 120.0 / events as f32), Modifiers::COMMAND);
            bench.harness.step();
        }
        bench.harness.run_steps(2);
        zooms.push(bench.camera().0.zoom);
    }
    assert!((zooms[0] / zooms[1] - 1.0).abs() < 1e-6, "{zooms:?}");
}

#[test]
fn a_key_in_a_text_field_is_only_text() {
    let Some(mut bench) = bench(1.0) else { return };
    bench.command(Command::ShowTab(RightTab::Metadata));
    bench.harness.run_steps(2);
    bench.harness.get_by_label("Search the metadata").click();
    bench.harness.run_steps(2);
    let before = bench.camera().0;
    for (text, key) in [("1", Key::Num1), ("+", Key::Plus), ("0", Key::Num0), ("\\", Key::Backslash)] {
        bench.harness.event(egui::Event::Text(text.into()));
        bench.key(Modifiers::NONE, key);
    }
    assert_eq!(bench.camera().0, before);
    assert!(bench.session(|s| s.current().is_some_and(|i| i.channels[0].visible) && !s.panels_hidden()));
    assert_eq!(bench.harness.get_by_label("Search the metadata").value().as_deref(), Some("1+0\\"));
}

#[test]
fn channels_are_switched_by_number_keys_and_by_their_boxes() {
    let Some(mut bench) = bench(1.0) else { return };
    let visible = |bench: &Bench| {
        bench.session(|s| s.current().expect("open").channels.iter().map(|c| c.visible).collect::<Vec<_>>())
    };
    bench.key(Modifiers::NONE, Key::Num2);
    assert_eq!(visible(&bench), [true, false, true, true]);
    bench.harness.get_by_label("Show CD3").click();
    bench.harness.run_steps(2);
    bench.harness.get_by_label("Show PanCK").click();
    bench.harness.run_steps(2);
    assert_eq!(visible(&bench), [true, true, true, false]);
}

#[test]
fn a_magnification_button_shows_that_magnification() {
    let Some(mut bench) = bench(2.0) else { return };
    bench.harness.get_by_role_and_label(Role::Button, "20x").click();
    bench.harness.run_steps(4);
    assert!((bench.camera().0.zoom - 1.0).abs() < 1e-9, "0.5 µm a pixel at one physical pixel is 20x");
    bench.harness.get_by_label("Fit").click();
    bench.harness.run_steps(4);
    assert_eq!(bench.session(|s| s.current().map(|i| i.framing)), Some(Framing::Fit));
    bench.key(Modifiers::COMMAND | Modifiers::ALT, Key::Num0);
    assert!((bench.camera().0.zoom - 1.0).abs() < 1e-9);
}

#[test]
fn an_uncalibrated_image_has_scales_and_a_bar_in_pixels() {
    let Some(mut bench) = bench(1.0) else { return };
    bench.open_bare(&brightfield(2, "/data/photo.tif", None));
    bench.harness.get_by_label("100\u{2009}%").click();
    bench.harness.run_steps(4);
    assert!((bench.camera().0.zoom - 1.0).abs() < 1e-9);
    assert!(bench.harness.query_by_role_and_label(Role::Button, "20x").is_none());
    bench.harness.get_by_label("Scale bar, 200\u{2009}px");
}

#[test]
fn the_scale_bar_is_as_long_as_it_says() {
    for scale in [1.0, 2.0] {
        let Some(mut bench) = bench(scale) else { return };
        for (zoom, label) in [(0.3, "200\u{2009}µm"), (1.0, "100\u{2009}µm"), (7.3, "10\u{2009}µm")] {
            let zoom = zoom * f64::from(scale);
            bench.command(Command::Move(ViewMove::Scale(zoom)));
            bench.harness.run_steps(4);
            let width = bench.harness.get_by_label(&format!("Scale bar, {label}")).rect().width();
            let um = f64::from(width * scale) / zoom * 0.5;
            let stated: f64 = label.split('\u{2009}').next().expect("a number").parse().expect("a number");
            assert!((um / stated - 1.0).abs() < 0.005, "{um} is not {label}");
        }
    }
}

#[derive(Debug)]
struct Dropped(PathBuf);

impl egui::DroppedFile for Dropped {
    fn path(&self) -> &Path {
        &self.0
    }

    fn bytes(&self) -> Result<Vec<u8>, String> {
        Err("the window reads no file".into())
    }
}

#[test]
fn a_drop_opens_beside_what_is_open() {
    let Some(mut bench) = bench(1.0) else { return };
    for path in ["/data/b c.tif", "/data/folder"] {
        bench.harness.input_mut().dropped_files.push(Arc::new(Dropped(path.into())));
    }
    bench.harness.run_steps(3);
    bench.harness.get_by_role_and_label(Role::ListBoxOption, "Tonsil 04.ome.tif");
    assert_eq!(bench.session(|s| s.entries().len()), 3);
    bench.event(Event::Opened(brightfield(2, "/data/b c.tif", Some(0.5))));
    bench.harness.run_steps(3);
    assert_eq!(bench.session(|s| s.current().map(|i| i.id.set)), Some(SetId(2)));
    bench.harness.get_by_role_and_label(Role::ListBoxOption, "Tonsil 04.ome.tif").click();
    bench.harness.run_steps(3);
    assert_eq!(bench.session(|s| s.current().map(|i| i.id.set)), Some(SetId(1)));
}

#[test]
fn the_overview_map_jumps_where_it_is_clicked() {
    let Some(mut bench) = bench(1.0) else { return };
    bench.command(Command::Move(ViewMove::Scale(4.0)));
    bench.harness.run_steps(4);
    let map = bench.harness.get_by_label("Overview map").rect();
    let at = map.min + map.size() * vec2(0.25, 0.75);
    bench.harness.hover_at(at);
    bench.harness.drag_at(at);
    bench.harness.drop_at(at);
    bench.harness.run_steps(4);
    let center = bench.camera().0.center;
    assert!(near(center, Point::new(0.25 * 1401.0, 0.75 * 1051.0), 12.0), "{center:?}");
}

#[test]
fn the_overview_map_covers_nothing_of_an_image_that_is_seen_whole() {
    let Some(mut bench) = bench(1.0) else { return };
    let is_there = |bench: &Bench| bench.harness.query_by_label("Overview map").is_some();
    assert!(!is_there(&bench), "the image opens fitted to the canvas");
    let middle = bench.canvas_middle();
    bench.drag(middle, vec2(60.0, 40.0));
    bench.harness.run_steps(4);
    assert!(!is_there(&bench), "a drag does not bring it");
    bench.command(Command::Move(ViewMove::Fit));
    bench.harness.run_steps(4);
    let (camera, canvas) = bench.camera();
    let filled = (f64::from(canvas.width) / 1401.0).min(f64::from(canvas.height) / 1051.0);
    assert!(camera.zoom < filled);
    for (share, shown) in [(1.0, false), (1.005, false), (1.05, true), (1.005, false)] {
        bench.command(Command::Move(ViewMove::Scale(filled * share)));
        bench.harness.run_steps(4);
        assert_eq!(is_there(&bench), shown, "at {share} of the canvas");
    }
}

#[test]
fn the_overview_map_lies_as_the_image_does() {
    let Some(mut bench) = bench(1.0) else { return };
    bench.command(Command::Move(ViewMove::Scale(4.0)));
    bench.harness.run_steps(4);
    let upright = bench.harness.get_by_label("Overview map").rect();
    assert!(upright.width() > upright.height());
    bench.command(Command::Move(ViewMove::RotateTo(90.0)));
    bench.command(Command::Move(ViewMove::Scale(4.0)));
    bench.harness.run_steps(4);
    let map = bench.harness.get_by_label("Overview map").rect();
    assert!((map.height() - upright.width()).abs() < 1.0 && (map.width() - upright.height()).abs() < 1.0, "{map:?}");
    // The image's top left corner lies at the top right now.
    let at = map.min + map.size() * vec2(0.75, 0.25);
    bench.harness.hover_at(at);
    bench.harness.drag_at(at);
    bench.harness.drop_at(at);
    bench.harness.run_steps(4);
    let center = bench.camera().0.center;
    assert!(near(center, Point::new(0.25 * 1401.0, 0.25 * 1051.0), 12.0), "{center:?}");
}

#[test]
fn trying_again_is_offered_where_it_may_help() {
    let Some(mut bench) = bench(1.0) else { return };
    let mut fail = |path: &str, try_again: bool| {
        bench.command(Command::Open(vec![path.into()]));
        bench.harness.step();
        bench.event(Event::OpenFailed { path: path.into(), message: "no".into(), try_again });
        bench.harness.run_steps(3);
        bench.harness.query_all_by_label("Try again").count()
    };
    assert_eq!(fail("/data/report.docx", false), 0);
    assert_eq!(fail("/data/on a disk that was off.tif", true), 1);
}

#[test]
fn problems_are_listed_by_image_and_counted_as_the_status_bar_does() {
    let Some(mut bench) = bench(1.0) else { return };
    let other = crate::support::brightfield(2, "/data/CMU-1.svs", None);
    bench.event(Event::Opened(other.clone()));
    let set = bench.session(|s| s.current().map(|i| i.id.set));
    for (set, message) in [
        (Some(other.id), "a tile cannot be read"),
        (set, "a channel has no name"),
        (set, "a page was skipped"),
        (None, "the disk is nearly full"),
    ] {
        bench.event(Event::Problem { set, message: message.into() });
    }
    bench.harness.run_steps(3);
    bench.harness.get_by_label_contains("4 problems");
    assert_eq!(bench.harness.query_all_by_label("4").count(), 1, "the list says how many there are");
    let of_other = bench.harness.get_by_label("Problems of CMU-1.svs");
    let top = |bench: &Bench, label: &str| bench.harness.get_by_label(label).rect().top();
    let own = bench.session(|s| s.current().map(|i| i.name())).expect("an image");
    assert!(top(&bench, &format!("Problems of {own}")) < top(&bench, "A channel has no name"));
    assert!(top(&bench, "A channel has no name") < of_other.rect().top());
    assert!(of_other.rect().top() < top(&bench, "A tile cannot be read"));
    of_other.click();
    bench.harness.run_steps(3);
    assert_eq!(bench.session(|s| s.current().map(|i| i.id.set)), Some(other.id));
}

#[test]
fn one_key_hides_the_panels_and_brings_them_back() {
    let Some(mut bench) = bench(1.0) else { return };
    let canvas = bench.camera().1;
    bench.key(Modifiers::NONE, Key::Backslash);
    assert!(bench.harness.query_by_label("Metadata tab").is_none());
    assert!(bench.camera().1.width > canvas.width + 400);
    bench.key(Modifiers::NONE, Key::Backslash);
    bench.harness.get_by_label("Metadata tab");
}

#[test]
fn the_list_of_keys_opens_and_closes() {
    let Some(mut bench) = bench(1.0) else { return };
    bench.key(Modifiers::SHIFT, Key::Questionmark);
    bench.harness.get_by_label("Fit the whole image");
    bench.key(Modifiers::NONE, Key::Escape);
    assert!(bench.harness.query_by_label("Fit the whole image").is_none());
}

#[test]
fn a_job_can_be_cancelled_from_the_status_bar() {
    let Some(mut bench) = bench(1.0) else { return };
    bench.event(Event::Progress { job: JobId(4), set: None, title: "Preparing", done: 1, total: 10 });
    bench.harness.run_steps(2);
    bench.harness.get_by_label("Cancel preparing").click();
    bench.harness.run_steps(2);
    assert!(bench.session(|s| s.jobs().is_empty()));
    assert!(bench.harness.query_by_label("Cancel preparing").is_none());
}

#[test]
fn a_pixel_size_is_typed_and_undone() {
    let Some(mut bench) = bench(1.0) else { return };
    bench.command(Command::PixelSizeTool(PixelSizeTool::Typing));
    bench.harness.run_steps(3);
    let name = "Width of a pixel in micrometres";
    assert_eq!(bench.harness.get_by_label(name).value().as_deref(), Some("0.5"));
    bench.key(Modifiers::COMMAND, Key::A);
    bench.harness.event(egui::Event::Text("0,25".into()));
    bench.harness.run_steps(2);
    bench.harness.get_by_label("Set").click();
    bench.harness.run_steps(3);
    let size = |bench: &Bench| bench.session(|s| s.current().and_then(|i| i.um_per_px));
    assert_eq!(size(&bench), Some([0.25, 0.25]));
    bench.harness.get_by_label("Pixel size, set by you");
    bench.key(Modifiers::COMMAND, Key::Z);
    assert_eq!(size(&bench), Some([0.5, 0.5]));
}

#[test]
fn a_known_length_is_drawn_and_space_still_pans() {
    let Some(mut bench) = bench(1.0) else { return };
    bench.command(Command::Move(ViewMove::OneToOne));
    bench.harness.run_steps(4);
    bench.command(Command::PixelSizeTool(PixelSizeTool::Drawing(None)));
    bench.harness.run_steps(2);
    let from = pos2(400.0, 400.0);
    let drag = |bench: &mut Bench, to: egui::Pos2| {
        bench.harness.hover_at(from);
        bench.harness.drag_at(from);
        bench.harness.step();
        bench.harness.hover_at(from + (to - from) * 0.5);
        bench.harness.step();
        bench.harness.hover_at(to);
        bench.harness.step();
        bench.harness.drop_at(to);
        bench.harness.run_steps(2);
    };
    let before = bench.camera().0;
    drag(&mut bench, from + vec2(200.0, 0.0));
    assert_eq!(bench.camera().0, before, "drawing does not move the image");
    let Some((a, b)) = bench.session(|s| match s.pixel_size_tool() {
        PixelSizeTool::Drawing(line) => line,
        _ => None,
    }) else {
        panic!("a line was drawn");
    };
    assert!((a.distance(b) - 200.0).abs() < 1e-3);
    bench.harness.get_by_label("Known length in micrometres").click();
    bench.harness.run_steps(2);
    bench.harness.event(egui::Event::Text("50".into()));
    bench.harness.run_steps(2);
    bench.harness.get_by_label("Set").click();
    bench.harness.run_steps(3);
    assert_eq!(bench.session(|s| s.current().and_then(|i| i.um_per_px)), Some([0.25, 0.25]));

    bench.command(Command::PixelSizeTool(PixelSizeTool::Drawing(None)));
    bench.harness.key_down(Key::Space);
    bench.harness.run_steps(2);
    let held = bench.image_at(from);
    drag(&mut bench, from + vec2(60.0, 10.0));
    assert!(near(bench.image_at(from + vec2(60.0, 10.0)), held, 40.0), "it may have glided on");
    assert_eq!(bench.session(|s| s.pixel_size_tool()), PixelSizeTool::Drawing(None));
}

#[test]
fn ctrl_with_plus_and_0_scales_the_interface_and_not_the_image() {
    let Some(mut bench) = bench(1.0) else { return };
    bench.key(Modifiers::COMMAND, Key::Plus);
    assert!((bench.session(|s| s.preferences().interface_scale) - 1.1).abs() < 1e-5);
    assert!((bench.harness.ctx.zoom_factor() - 1.1).abs() < 1e-5);
    assert_eq!(bench.session(|s| s.current().map(|i| i.framing)), Some(Framing::Fit));
    bench.key(Modifiers::COMMAND, Key::Num0);
    assert_eq!(bench.session(|s| s.preferences().interface_scale), 1.0);
}

#[test]
fn the_picture_shows_the_pixels_of_the_tiles() {
    let Some(mut bench) = Bench::new(1100.0, 640.0, 1.0) else { return };
    bench.command(Command::SetMotion(false));
    bench.open(&brightfield(1, "/data/CMU-1.svs", Some(0.5)), stained);
    bench.command(Command::Move(ViewMove::OneToOne));
    bench.command(Command::Move(ViewMove::CenterOn(Point::new(650.0, 550.0))));
    bench.harness.run_steps(10);
    let picture = bench.harness.render().expect("it renders");
    let corner = bench.canvas_corner();
    let (camera, canvas) = bench.camera();
    let map = camera.aligned(canvas).image_from_screen(canvas);
    let mut worst = 0;
    for (x, y) in [(120, 150), (200, 300), (333, 222), (400, 450), (261, 97)] {
        let at = map.apply(Point::new(f64::from(x) + 0.5, f64::from(y) + 0.5));
        let truth = stained(0, at.x.floor() + 0.5, at.y.floor() + 0.5);
        let shown = picture.get_pixel(corner.x as u32 + x, corner.y as u32 + y).0;
        worst = (0..3).map(|n| (i32::from(truth[n]) - i32::from(shown[n])).abs()).max().unwrap_or(0).max(worst);
    }
    assert!(worst <= 2, "a pixel is off by {worst}");
}

#[test]
fn no_value_lies_under_a_scroll_bar_and_nothing_moves_when_it_appears() {
    let Some(mut tall) = bench(1.0) else { return };
    let right_of = |bench: &Bench, label: &str| bench.harness.get_by_label(label).rect().right();
    let labels = ["More for DAPI", "Auto", "OME-TIFF"];
    let without = labels.map(|label| right_of(&tall, label));
    let canvas = tall.harness.get_by_label("Canvas").rect();
    tall.harness.set_size(vec2(1100.0, 230.0));
    tall.harness.run_steps(4);
    let last = tall.harness.get_by_label("More for PanCK").rect();
    assert!(last.bottom() > 230.0, "the panel is longer than the window: {last:?}");
    assert_eq!(labels.map(|label| right_of(&tall, label)), without);
    // The bar takes 8 of the margin's 12 points.
    assert!(without[0] <= 1100.0 - 12.0 && without[2] <= canvas.left() - 12.0, "{without:?}");
    let later = tall.harness.get_by_label("Canvas").rect();
    assert_eq!((later.left(), later.right()), (canvas.left(), canvas.right()), "the panels keep their width");
}
