//! What the window does with mosaics.

use crate::mosaic::{Story, mosaic};
use crate::support::Bench;
use egui::accesskit::Role;
use egui::{Key, Modifiers, vec2};
use egui_kittest::kittest::Queryable as _;
use microtome::engine::{Event, MosaicPhase, MosaicState, SampleSource, Seams};
use microtome::geom::{Point, Size};
use microtome::mosaic::{Blend, Geometry, MOSAIC, Placement};
use microtome::pyramid::SetId;
use microtome::session::{Command, ImageId, MosaicCommand, RightTab, Selection};
use microtome::stitch::report::Report;
use microtome::stitch::solve::{EdgeStatus, Hand};
use std::sync::Arc;

fn bench(story: &Story) -> Option<Bench> {
    let mut bench = Bench::new(1200.0, 720.0, 1.0)?;
    bench.command(Command::SetMotion(false));
    bench.open_bare(&mosaic(1, "/data/Tonsil 04", story));
    bench.command(Command::ShowTab(RightTab::Mosaic));
    bench.harness.run_steps(4);
    Some(bench)
}

fn edits(bench: &Bench) -> microtome::engine::MosaicEdits {
    let id = ImageId { set: SetId(1), field: MOSAIC };
    bench.session(|s| (*s.image(id).and_then(|i| i.mosaic.as_ref()).expect("a mosaic").edits).clone())
}

fn selection(bench: &Bench) -> Selection {
    bench.session(|s| s.current().and_then(|i| i.mosaic.as_ref()).map(|v| v.selection).expect("a mosaic"))
}

fn ui_of(bench: &Bench, p: Point) -> egui::Pos2 {
    let (camera, canvas) = bench.camera();
    let at = camera.screen_from_image(canvas).apply(p);
    bench.canvas_corner() + vec2(at.x as f32, at.y as f32) / bench.harness.ctx.pixels_per_point()
}

#[test]
fn a_worst_seam_is_a_click_away() {
    let Some(mut bench) = bench(&Story::default()) else { return };
    let before = bench.camera().0;
    bench.harness.get_by_role_and_label(Role::ListBoxOption, "Seam 1").click();
    bench.harness.run_steps(4);
    let Selection::Seam { fields, .. } = selection(&bench) else { panic!("a seam is selected") };
    let seam =
        bench.session(|s| *s.current().and_then(|i| i.mosaic.as_ref()?.state.seams.of(fields)).expect("it is one"));
    assert_eq!(seam.number, Some(1));
    let camera = bench.camera().0;
    assert!(camera.zoom > before.zoom, "the view goes there");
    let middle = seam.overlap.center();
    assert!(camera.center.distance(middle) < 30.0, "{:?} {middle:?}", camera.center);
    bench.key(Modifiers::NONE, Key::Escape);
    assert_eq!(selection(&bench), Selection::Nothing);
}

#[test]
fn the_number_on_the_image_selects_its_seam() {
    let Some(mut bench) = bench(&Story::default()) else { return };
    bench.harness.get_by_label("Seam 2 on the image").click();
    bench.harness.run_steps(4);
    let Selection::Seam { fields, .. } = selection(&bench) else { panic!("a seam is selected") };
    let number = bench.session(|s| s.current().and_then(|i| i.mosaic.as_ref()?.state.seams.of(fields)?.number));
    assert_eq!(number, Some(2));
}

#[test]
fn s_hides_the_seams_and_shows_them_again() {
    let Some(mut bench) = bench(&Story::default()) else { return };
    assert!(bench.harness.query_by_label("Seam 1 on the image").is_some(), "there is a problem to look at");
    bench.key(Modifiers::NONE, Key::S);
    assert!(bench.harness.query_by_label("Seam 1 on the image").is_none());
    bench.key(Modifiers::NONE, Key::S);
    assert!(bench.harness.query_by_label("Seam 1 on the image").is_some());
}

#[test]
fn a_seam_is_rejected_by_its_button_and_taken_back_by_undo() {
    let Some(mut bench) = bench(&Story::default()) else { return };
    let seam = bench.session(|s| s.current().and_then(|i| i.mosaic.as_ref()?.state.seams.worst().next().copied()));
    let fields = seam.expect("a worst seam").fields;
    bench.harness.query_all_by_label("Reject: these two do not fit like this").next().expect("a button").click();
    bench.harness.run_steps(4);
    assert_eq!(edits(&bench).hand.edges.get(&fields), Some(&Hand::Refuse));
    bench.key(Modifiers::COMMAND, Key::Z);
    assert!(edits(&bench).hand.edges.is_empty());
    bench.key(Modifiers::NONE, Key::N);
    bench.key(Modifiers::NONE, Key::Y);
    assert_eq!(edits(&bench).hand.edges.get(&fields), Some(&Hand::Accept));
}

#[test]
fn a_field_is_dragged_with_ctrl_and_without_it_the_image_moves() {
    let Some(mut bench) = bench(&Story::default()) else { return };
    let place = |bench: &Bench, n: usize| {
        bench.session(|s| s.current().and_then(|i| i.mosaic.as_ref()).map(|v| v.positions()[n]).expect("a mosaic"))
    };
    let before = (place(&bench, 5), bench.camera().0);
    let from = ui_of(&bench, before.0 + Point::new(200.0, 200.0));
    let drag = |bench: &mut Bench, modifiers: Modifiers, by: egui::Vec2| {
        bench.harness.event(egui::Event::ModifiersChanged(modifiers));
        bench.harness.hover_at(from);
        bench.harness.step();
        let button = |pos: egui::Pos2, pressed: bool| egui::Event::PointerButton {
            pos,
            button: egui::PointerButton::Primary,
            pressed,
            modifiers,
        };
        bench.harness.event(button(from, true));
        bench.harness.step();
        for part in [0.3, 0.7, 1.0] {
            bench.harness.hover_at(from + by * part);
            bench.harness.step();
        }
        bench.harness.event(button(from + by, false));
        bench.harness.run_steps(3);
        bench.harness.event(egui::Event::ModifiersChanged(Modifiers::NONE));
    };
    drag(&mut bench, Modifiers::COMMAND, vec2(30.0, -12.0));
    assert_eq!(bench.camera().0, before.1, "the image stays");
    let zoom = bench.camera().0.zoom;
    let moved = place(&bench, 5) - before.0;
    assert!(moved.distance(Point::new(30.0 / zoom, -12.0 / zoom)) < 0.1, "{moved:?}");
    let decided = edits(&bench).hand.edges;
    assert!(decided.values().all(|hand| matches!(hand, Hand::Shift(_))) && decided.len() >= 3, "{decided:?}");
    assert!(decided.keys().all(|(a, b)| *a == 5 || *b == 5));
    bench.key(Modifiers::COMMAND, Key::Z);
    assert!(edits(&bench).hand.edges.is_empty());

    drag(&mut bench, Modifiers::NONE, vec2(30.0, -12.0));
    assert!(edits(&bench).hand.edges.is_empty());
    assert_ne!(bench.camera().0, before.1, "the image moves");
}

#[test]
fn choices_about_overlaps_are_made_in_the_panel_and_undone() {
    let Some(mut bench) = bench(&Story::default()) else { return };
    bench.harness.get_by_label("Even illumination on the screen").click();
    bench.harness.run_steps(3);
    assert!(edits(&bench).even_illumination);
    bench.key(Modifiers::NONE, Key::I);
    assert!(!edits(&bench).even_illumination);
    bench.harness.get_by_role_and_label(Role::ComboBox, "Blending").scroll_to_me();
    bench.harness.run_steps(3);
    bench.harness.get_by_role_and_label(Role::ComboBox, "Blending").click();
    bench.harness.run_steps(3);
    bench.harness.get_by_label_contains("Maximum").click();
    bench.harness.run_steps(3);
    assert_eq!(edits(&bench).blend, Blend::Maximum);
    bench.key(Modifiers::COMMAND, Key::Z);
    assert_eq!(edits(&bench).blend, Blend::Feather);
}

#[test]
fn what_is_missing_is_said_where_a_mosaic_is_not_aligned() {
    let phase = MosaicPhase::NotAligned("no overlap shows any texture".into());
    let Some(bench) = bench(&Story { phase, saved_positions: true, ..Story::default() }) else { return };
    bench.harness.get_by_label("Not aligned: the fields stand where the layout says");
    assert!(bench.harness.query_all_by_label("No overlap shows any texture").next().is_some());
    bench.harness.get_by_label("Use saved positions");
    assert!(bench.harness.query_by_label("Show unaligned").is_none(), "there is nothing else to show");
}

#[test]
fn the_status_bar_names_the_field_and_both_values_under_the_pointer() {
    let Some(mut bench) = bench(&Story::default()) else { return };
    let at = ui_of(&bench, Point::new(600.0, 500.0));
    bench.harness.hover_at(at);
    bench.harness.run_steps(3);
    bench.harness.get_by_label("tonsil_r1_c1.tif");
    let p = bench.session(|s| s.pointer()).expect("over the image");
    bench.event(Event::Sample {
        set: SetId(1),
        field: MOSAIC,
        x: p.x as u32,
        y: p.y as u32,
        values: vec![(0, vec![1204.0])],
        source: Some(SampleSource {
            field: 6,
            name: "tonsil_r1_c2.tif".into(),
            x: 1,
            y: 2,
            corrected: vec![(0, vec![1310.4])],
        }),
    });
    bench.harness.run_steps(3);
    bench.harness.get_by_label("tonsil_r1_c2.tif");
    bench.harness.get_by_label("1\u{2009}204 → 1\u{2009}310.4");
}

#[test]
fn open_images_are_combined_as_a_mosaic() {
    let Some(mut bench) = Bench::new(1200.0, 720.0, 1.0) else { return };
    for (n, name) in ["/data/a.tif", "/data/b.tif", "/data/c.tif"].into_iter().enumerate() {
        bench.open_bare(&crate::support::fluorescence(n as u32 + 1, name));
    }
    bench.command(Command::ChooseToCombine(true));
    bench.harness.run_steps(3);
    bench.harness.get_by_label("Combine b.tif").click();
    bench.harness.run_steps(3);
    bench.harness.get_by_label("Combine 2 images").click();
    bench.harness.run_steps(3);
    let open = bench.session(|s| s.entries().iter().map(|e| e.path().to_owned()).collect::<Vec<_>>());
    assert_eq!(open.len(), 2, "{open:?}");
    assert!(open.iter().any(|p| p.ends_with("b.tif")));
    assert!(!bench.session(|s| s.combining()));
}

#[test]
fn a_mosaic_has_its_thumbnail_in_the_list() {
    let Some(mut bench) = bench(&Story::default()) else { return };
    let size = microtome::geom::Size::new(64, 48);
    let rgba = [200, 30, 60, 255].repeat(64 * 48);
    bench.event(Event::Thumbnail { path: "/data/Tonsil 04".into(), size, rgba: rgba.into() });
    bench.harness.run_steps(3);
    let row = bench.harness.get_by_role_and_label(Role::ListBoxOption, "Tonsil 04").rect();
    let at = row.left_top() + vec2(38.0, 30.0);
    let picture = bench.harness.render().expect("it renders");
    assert_eq!(picture.get_pixel(at.x as u32, at.y as u32).0, [200, 30, 60, 255]);
}

#[test]
fn values_under_the_pointer_stay_while_the_mosaic_changes() {
    let Some(mut bench) = bench(&Story::default()) else { return };
    let at = ui_of(&bench, Point::new(600.0, 500.0));
    bench.harness.hover_at(at);
    bench.harness.run_steps(3);
    let p = bench.session(|s| s.pointer()).expect("over the image");
    let (x, y) = (p.x as u32, p.y as u32);
    bench.event(Event::Sample { set: SetId(1), field: MOSAIC, x, y, values: vec![(0, vec![777.0])], source: None });
    bench.harness.run_steps(2);
    bench.harness.get_by_label("777");
    let set = mosaic(1, "/data/Tonsil 04", &Story::default());
    let state = crate::mosaic::state(&set, &Story::default());
    bench.key(Modifiers::NONE, Key::I);
    bench.event(Event::Mosaic { set: SetId(1), state: std::sync::Arc::new(state) });
    bench.harness.run_steps(2);
    bench.harness.get_by_label("777");
}

#[test]
fn what_evens_out_the_light_is_said_channel_by_channel_and_profiles_are_forgotten() {
    let Some(mut bench) = bench(&Story::default()) else { return };
    bench.harness.get_by_label("Estimated");
    bench.harness.get_by_label("Import profile…");
    let flat = std::path::PathBuf::from("/data/even light.tif");
    let files = microtome::engine::ProfileFiles { flat, dark: None };
    bench.command(Command::Mosaic(MosaicCommand::SetProfiles(vec![0, 1], Some(files))));
    bench.harness.run_steps(3);
    assert_eq!(bench.harness.query_all_by_label("Not read: even light.tif").count(), 2);
    let set = mosaic(1, "/data/Tonsil 04", &Story::default());
    let read =
        microtome::engine::MosaicState { imported: [0, 1].into(), ..crate::mosaic::state(&set, &Story::default()) };
    bench.event(Event::Mosaic { set: SetId(1), state: std::sync::Arc::new(read) });
    bench.harness.run_steps(3);
    assert_eq!(bench.harness.query_all_by_label("Imported from even light.tif").count(), 2);
    bench.harness.get_by_label("Forget the profile of DAPI").scroll_to_me();
    bench.harness.run_steps(3);
    bench.harness.get_by_label("Forget the profile of DAPI").click();
    bench.harness.run_steps(3);
    assert_eq!(edits(&bench).profiles.keys().copied().collect::<Vec<_>>(), [1]);
    bench.key(Modifiers::COMMAND, Key::Z);
    bench.key(Modifiers::COMMAND, Key::Z);
    assert!(edits(&bench).profiles.is_empty(), "both channels were one decision");
}

#[test]
fn the_rest_of_a_folder_is_offered_where_a_part_of_it_was_opened() {
    let Some(mut bench) = bench(&Story::default()) else { return };
    bench.event(Event::PartOpened { folder: "/data/Tonsil 05".into(), files: 2 });
    bench.harness.run_steps(3);
    bench.harness.get_by_label("2 files of Tonsil 05 are shown, as they were chosen");
    bench.harness.get_by_label("Open the whole folder").click();
    bench.harness.run_steps(3);
    assert!(bench.session(|s| s.entries().iter().any(|e| e.path() == std::path::Path::new("/data/Tonsil 05"))));
    assert!(bench.harness.query_by_label("Open the whole folder").is_none());
}

#[test]
fn what_was_moved_by_hand_or_holds_alone_is_not_told_as_a_fit() {
    let Some(mut bench) = bench(&Story::default()) else { return };
    let (set, state) = bench.session(|s| {
        let view = s.current().and_then(|i| i.mosaic.as_ref()).expect("a mosaic");
        (view.set.clone(), (*view.state).clone())
    });
    // The last field was pulled off all others.
    let nominal: Vec<Point> = set.fields.fields.iter().map(|f| f.nominal).collect();
    let mut places = nominal.clone();
    places[11] = places[11] + Point::new(250.0, 330.0);
    let sizes: Vec<Size> = set.fields.fields.iter().map(|f| f.size).collect();
    let geometry = Geometry::new(9, &nominal, &places, &sizes, Blend::Feather, Placement::Whole, 8.0).expect("small");
    let mut seams = state.seams.to_vec();
    for seam in seams.iter_mut().filter(|s| s.fields.1 == 11) {
        seam.status = Some(EdgeStatus::ShiftedByHand);
        seam.hand = Hand::Shift(Point::new(1.0, 1.0));
        (seam.residual_px, seam.number) = (Some(0.0), None);
    }
    let alone = seams.iter_mut().find(|s| s.fields == (0, 1)).expect("a seam");
    (alone.alone, alone.residual_px) = (true, Some(0.0));
    let mut alignment = (**state.alignment.as_ref().expect("aligned")).clone();
    let report = Report { shifted_by_hand: 2, accepted_alone: 1, ..(*alignment.report).clone() };
    alignment.report = Arc::new(report);
    let (geometry, alignment) = (Arc::new(geometry), Some(Arc::new(alignment)));
    let state = Arc::new(MosaicState { geometry, seams: Arc::new(Seams::new(seams)), alignment, ..state });
    bench.event(Event::Mosaic { set: SetId(1), state });
    bench.command(Command::Mosaic(MosaicCommand::SelectSeam(Some((0, 1)))));
    bench.harness.run_steps(4);
    let says = |bench: &Bench, text: &str| bench.harness.query_all_by_label(text).next().is_some();
    assert!(says(&bench, "accepted, held by this seam alone"), "and no number of pixels");
    bench.command(Command::Mosaic(MosaicCommand::SelectSeam(Some((10, 11)))));
    bench.harness.run_steps(4);
    assert!(says(&bench, "moved by hand") && says(&bench, "Moved by hand") && says(&bench, "2 seams"));
    assert!(says(&bench, "Held by one seam alone") && says(&bench, "1 seam"));
}
