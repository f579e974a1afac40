//! A mosaic in the session, driven by commands and events alone.

use super::*;
use crate::engine::{
    Evenness, LoadedPositions, MosaicEdits, MosaicPhase, MosaicSet, MosaicState, OpenAs, SampleSource, Seam,
    SeamQuality, Seams,
};
use crate::geom::{PixelRect, Rect};
use crate::image_set::{FieldChannel, FieldPlace, FieldSet, Layout};
use crate::mosaic::{Blend, Geometry, Placement};
use crate::pixels::{PixelType, TileFormat};
use crate::pyramid::{Calibration, ChannelInfo, ChannelRole, ImageInfo, level_plan};
use crate::stitch::solve::{EdgeStatus, Hand};

const SIDE: u32 = 1000;
const SET: SetId = SetId(1);
const ID: ImageId = ImageId { set: SET, field: MOSAIC };

/// Two rows of three fields with an overlap of 100 px, shifted by `off`.
fn places(off: Point) -> Vec<Point> {
    (0..6).map(|n| Point::new(f64::from(n % 3) * 900.0, f64::from(n / 3) * 900.0) + off).collect()
}

fn field_set(rounds: u16) -> Arc<FieldSet> {
    let field = |(n, &nominal): (usize, &Point)| FieldPlace {
        name: format!("f{n}.tif"),
        row_col: Some((n as i32 / 3, n as i32 % 3)),
        nominal,
        size: Size::new(SIDE, SIDE),
        planes: Vec::new(),
    };
    Arc::new(FieldSet {
        path: "/data/scan".into(),
        name: "scan".into(),
        evidence: String::new(),
        files: (0..6).map(|n| format!("/data/scan/f{n}.tif").into()).collect(),
        channels: (0..2 * rounds).map(|c| FieldChannel { name: format!("c{c}"), color: None, round: c / 2 }).collect(),
        fields: places(Point::default()).iter().enumerate().map(field).collect(),
        z_count: 1,
        t_count: 1,
        um_per_px: None,
        layout: Layout::Stage,
        left_out: vec![],
        saved_positions: Some("/data/scan/solved.csv".into()),
        warnings: vec![],
    })
}

fn info(name: &str, size: Size, channels: usize) -> ImageInfo {
    let channel = |n: usize| ChannelInfo {
        name: format!("c{n}"),
        color: None,
        format: TileFormat::Gray8,
        role: ChannelRole::Intensity,
        significant_bits: None,
    };
    ImageInfo {
        name: name.into(),
        size,
        pixel_type: PixelType::U8,
        channels: (0..channels).map(channel).collect(),
        z_count: 1,
        t_count: 1,
        um_per_px: None,
        calibration: Calibration::Unknown,
        objective: None,
        tile_side: 256,
        levels: level_plan(&[size], 256),
    }
}

/// A state with fields at `positions`; seams between neighbours of the grid are accepted but for `bad`.
fn state(
    generation: u64,
    positions: &[Point],
    margin: f64,
    phase: MosaicPhase,
    bad: Option<(u32, u32)>,
) -> Arc<MosaicState> {
    let sizes = vec![Size::new(SIDE, SIDE); 6];
    let nominal = places(Point::default());
    let geometry = Geometry::new(generation, &nominal, positions, &sizes, Blend::Feather, Placement::SubPixel, margin)
        .expect("fits");
    let seam = |fields: (u32, u32)| {
        let overlap = geometry.rect(fields.0).intersect(geometry.rect(fields.1)).unwrap_or_default();
        let is_bad = bad == Some(fields);
        Seam {
            fields,
            overlap,
            status: Some(if is_bad { EdgeStatus::Dropped } else { EdgeStatus::Accepted }),
            residual_px: Some(if is_bad { 9.0 } else { 0.1 }),
            alone: false,
            ncc: Some(0.9),
            hand: Hand::Off,
            holds: false,
            number: is_bad.then_some(1),
        }
    };
    let seams = [(0, 1), (0, 3), (1, 2), (1, 4), (2, 5), (3, 4), (4, 5)].map(seam);
    let fields: Vec<ImageInfo> = sizes.iter().map(|&s| info("", s, 2)).collect();
    Arc::new(MosaicState {
        info: Arc::new(geometry.image_info("scan", &fields).expect("fields")),
        nominal: nominal.iter().map(|p| *p - geometry.origin).collect(),
        geometry: Arc::new(geometry),
        phase,
        layout: None,
        alignment: None,
        seams: Arc::new(Seams::new(seams.to_vec())),
        max_shift_px: [margin; 2],
        evenness: Evenness::Unknown,
        imported: Arc::new([]),
        illumination: None,
    })
}

fn opened(rounds: u16, saved: MosaicEdits, chosen: bool) -> Arc<OpenedSet> {
    let state = state(1, &places(Point::default()), 50.0, MosaicPhase::LaidOut, None);
    let fields = field_set(rounds);
    let channels = usize::from(2 * rounds);
    let mut whole = state.info.as_ref().clone();
    whole.channels = info("", Size::new(1, 1), channels).channels;
    let state = Arc::new(MosaicState { info: Arc::new(whole.clone()), ..state.as_ref().clone() });
    Arc::new(OpenedSet {
        id: SET,
        path: fields.path.clone(),
        format: "6 fields".into(),
        images: vec![whole],
        mosaic: Some(Arc::new(MosaicSet {
            infos: vec![info("", Size::new(SIDE, SIDE), channels); 6].into(),
            fields,
            chosen,
            fingerprint: "abc".into(),
            saved: Arc::new(saved),
            state,
        })),
        associated: vec![],
        metadata: BTreeMap::new(),
        warnings: vec![],
    })
}

fn session_with(set: Arc<OpenedSet>) -> Session {
    let mut session = Session::new();
    for name in [SETTINGS, IMAGES] {
        session.pump(Event::Text { name: name.into(), text: None });
    }
    session.set_canvas(Size::new(800, 600));
    session.apply(Command::Open(vec![set.path.clone()]));
    session.pump(Event::Opened(set));
    session.take_requests();
    session
}

fn mosaic_session() -> Session {
    session_with(opened(1, MosaicEdits::default(), false))
}

fn view(session: &Session) -> &MosaicView {
    session.image(ID).and_then(|i| i.mosaic.as_ref()).expect("a mosaic")
}

fn mosaic(session: &mut Session, command: MosaicCommand) {
    session.apply(Command::Mosaic(command));
}

fn last_edits(session: &mut Session) -> Option<Arc<MosaicEdits>> {
    let requests = session.take_requests();
    requests.into_iter().rev().find_map(|r| match r {
        Request::EditMosaic { set, edits } if set == SET => Some(edits),
        _ => None,
    })
}

/// Where a place of a field is on the screen.
fn on_screen(session: &Session, field: usize, within: Point) -> Point {
    let image = session.current().expect("an image");
    image.camera.screen_from_image(session.canvas()).apply(view(session).positions()[field] + within)
}

#[test]
fn a_mosaic_is_one_image_of_its_list() {
    let session = mosaic_session();
    let image = session.current().expect("shown");
    assert_eq!((image.id, image.name().as_str()), (ID, "scan"));
    assert_eq!(image.visible_planes()[0].field, MOSAIC);
    assert_eq!(session.entries().len(), 1);
    assert!(!view(&session).is_moving() && !view(&session).draws_fields(0.0));
}

#[test]
fn fields_glide_to_solved_places_and_stop_there_exactly() {
    let mut session = mosaic_session();
    session.advance(1.0);
    let mut to = places(Point::default());
    to[4] = to[4] + Point::new(8.25, -6.5);
    session.pump(Event::Mosaic { set: SET, state: state(2, &to, 50.0, MosaicPhase::Aligned, None) });
    assert!(view(&session).is_moving());
    let from = Point::new(950.0, 950.0);
    assert!(view(&session).positions()[4].distance(from) < 1e-9, "nothing jumps");
    assert!(session.advance(1.1));
    let on_the_way = view(&session).positions()[4].distance(from);
    assert!(on_the_way > 0.5 && on_the_way < 10.0, "{on_the_way}");
    assert!(session.advance(1.5));
    assert!(!view(&session).is_moving() && view(&session).draws_fields(1.5));
    assert_eq!(view(&session).positions()[4], from + Point::new(8.25, -6.5));
    assert!(!session.advance(1.9) && !view(&session).draws_fields(1.9));
}

#[test]
fn a_new_goal_on_the_way_makes_neither_jump_nor_jerk() {
    let mut session = mosaic_session();
    session.advance(0.0);
    let goal = |x: f64| {
        let mut to = places(Point::default());
        to[5] = to[5] + Point::new(x, 0.0);
        to
    };
    session.pump(Event::Mosaic { set: SET, state: state(2, &goal(40.0), 50.0, MosaicPhase::Aligned, None) });
    let step = 0.001;
    let mut x = view(&session).positions()[5].x;
    let mut speed: f64 = 0.0;
    for n in 1..700 {
        if n == 200 {
            session.pump(Event::Mosaic { set: SET, state: state(3, &goal(-20.0), 50.0, MosaicPhase::Aligned, None) });
        }
        session.advance(f64::from(n) * step);
        let now = view(&session).positions()[5].x;
        let new_speed = (now - x) / step;
        assert!((new_speed - speed).abs() < 8.0, "a jerk of {} px/s at step {n}", new_speed - speed);
        (x, speed) = (now, new_speed);
    }
    assert_eq!(x, 1850.0 - 20.0);
}

#[test]
fn without_motion_fields_jump_at_once() {
    let mut session = mosaic_session();
    session.apply(Command::SetMotion(false));
    let to = places(Point::new(3.0, 4.0));
    session.pump(Event::Mosaic { set: SET, state: state(2, &to, 50.0, MosaicPhase::Aligned, None) });
    assert!(!view(&session).is_moving());
    assert_eq!(view(&session).positions()[0], Point::new(53.0, 54.0));
}

#[test]
fn what_is_under_the_pointer_stays_under_it_while_fields_glide() {
    let mut session = mosaic_session();
    session.apply(Command::Move(ViewMove::CenterOn(Point::new(1500.0, 1500.0))));
    session.advance(0.0);
    // 200 px right of and below the corner of field 4.
    let within = Point::new(200.0, 200.0);
    session.apply(Command::PointAt(Some(view(&session).positions()[4] + within)));
    let before = on_screen(&session, 4, within);
    let mut to = places(Point::default());
    to[4] = to[4] + Point::new(30.0, -20.0);
    session.pump(Event::Mosaic { set: SET, state: state(2, &to, 50.0, MosaicPhase::Aligned, None) });
    for n in 1..=50 {
        session.advance(f64::from(n) * 0.01);
        let now = on_screen(&session, 4, within);
        assert!(now.distance(before) < 1e-6, "it moved by {} screen px", now.distance(before));
        let pointer = session.pointer().expect("still there");
        assert!(pointer.distance(view(&session).positions()[4] + within) < 1e-6);
    }
}

#[test]
fn a_frame_that_grows_moves_nothing_on_the_screen() {
    let mut session = mosaic_session();
    session.apply(Command::Move(ViewMove::OneToOne));
    session.apply(Command::PointAt(Some(Point::new(1200.0, 1100.0))));
    let before = on_screen(&session, 2, Point::default());
    let grown = state(2, &places(Point::default()), 500.0, MosaicPhase::LaidOut, None);
    assert_ne!(grown.geometry.origin, view(&session).state.geometry.origin);
    session.pump(Event::Mosaic { set: SET, state: grown });
    assert!(on_screen(&session, 2, Point::default()).distance(before) < 1e-6);
    assert_eq!(session.current().expect("shown").info().size, Size::new(3800, 2900));
    assert_eq!(session.pointer(), Some(Point::new(1650.0, 1550.0)));
    assert!(!view(&session).is_moving());
}

#[test]
fn a_fitted_mosaic_is_fitted_to_its_fields_and_stays_so_while_they_find_their_places() {
    let mut session = mosaic_session();
    let is_fitted = |session: &Session| {
        let (image, canvas) = (session.current().expect("shown"), session.canvas());
        let whole = image.whole();
        let map = image.camera.screen_from_image(canvas);
        let corner = map.apply(Point::new(f64::from(whole.x), f64::from(whole.y)));
        let far = map.apply(Point::new(f64::from(whole.x + whole.width), f64::from(whole.y + whole.height)));
        let margins = [corner.x, corner.y, f64::from(canvas.width) - far.x, f64::from(canvas.height) - far.y];
        let is_centred = (margins[0] - margins[2]).abs() < 1e-6 && (margins[1] - margins[3]).abs() < 1e-6;
        is_centred && margins.iter().all(|m| *m > -1e-6)
    };
    assert!(is_fitted(&session));
    let fitted = session.current().expect("shown").camera.zoom;
    session.apply(Command::PointAt(Some(Point::new(1200.0, 1100.0))));
    let mut to = places(Point::default());
    to[0] = to[0] - Point::new(40.0, 30.0);
    session.pump(Event::Mosaic { set: SET, state: state(2, &to, 50.0, MosaicPhase::Aligned, None) });
    assert!(is_fitted(&session));
    for n in 1..=50 {
        session.advance(f64::from(n) * 0.01);
        assert!(is_fitted(&session));
    }
    assert!(session.current().expect("shown").camera.zoom < fitted, "there is more to show");
}

#[test]
fn decisions_about_seams_go_to_the_engine_and_can_be_taken_back() {
    let mut session = mosaic_session();
    mosaic(&mut session, MosaicCommand::DecideSeam((4, 1), Hand::Refuse));
    let edits = last_edits(&mut session).expect("told");
    assert_eq!(edits.hand.edges.get(&(1, 4)), Some(&Hand::Refuse));
    assert_eq!(session.next_undo().map(Edit::words), Some("reject seam"));
    mosaic(&mut session, MosaicCommand::DecideField(4, Hand::Accept));
    let edits = last_edits(&mut session).expect("told");
    assert_eq!(edits.hand.edges.len(), 3);
    assert!(edits.hand.edges.values().all(|h| *h == Hand::Accept));
    session.apply(Command::Undo);
    assert_eq!(last_edits(&mut session).expect("told").hand.edges.len(), 1);
    session.apply(Command::Undo);
    assert_eq!(*last_edits(&mut session).expect("told"), MosaicEdits::default());
    session.apply(Command::Redo);
    assert_eq!(view(&session).edits.hand.edges.len(), 1);
    mosaic(&mut session, MosaicCommand::DecideSeam((1, 4), Hand::Off));
    assert!(view(&session).edits.hand.edges.is_empty());
}

#[test]
fn a_hundred_and_more_decisions_can_be_taken_back() {
    let mut session = mosaic_session();
    for n in 0..150 {
        mosaic(&mut session, MosaicCommand::SetBlend(if n % 2 == 0 { Blend::Linear } else { Blend::Feather }));
    }
    mosaic(&mut session, MosaicCommand::SetBlend(Blend::Feather));
    for _ in 0..150 {
        assert!(session.next_undo().is_some());
        session.apply(Command::Undo);
    }
    assert!(session.next_undo().is_none());
    assert_eq!(*view(&session).edits, MosaicEdits::default());
}

#[test]
fn a_dragged_field_is_tied_to_the_neighbours_it_was_dropped_on() {
    let mut session = mosaic_session();
    mosaic(&mut session, MosaicCommand::DragField(5, Point::new(10.0, 5.0)));
    mosaic(&mut session, MosaicCommand::DragField(5, Point::new(-12.0, 7.0)));
    assert_eq!(view(&session).positions()[5], Point::new(1850.0 - 12.0, 950.0 + 7.0));
    assert!(view(&session).is_moving() && view(&session).dragged() == Some(5));
    mosaic(&mut session, MosaicCommand::DropField);
    let edits = last_edits(&mut session).expect("told");
    let shift = |x: f64, y: f64| Some(Hand::Shift(Point::new(x, y)));
    assert_eq!(edits.hand.edges.get(&(2, 5)).copied(), shift(-12.0, 907.0));
    assert_eq!(edits.hand.edges.get(&(4, 5)).copied(), shift(900.0 - 12.0, 7.0));
    assert_eq!(edits.hand.edges.len(), 2);
    assert_eq!(view(&session).positions()[5].x, 1838.0, "it stays until the engine has solved");
    session.apply(Command::SetMotion(false));
    mosaic(&mut session, MosaicCommand::DragField(5, Point::new(-12.0, 7.0)));
    mosaic(&mut session, MosaicCommand::DropField);
    assert!(last_edits(&mut session).is_none(), "nothing new is decided");
    assert!(!view(&session).is_moving());
    assert_eq!(view(&session).positions()[5], Point::new(1850.0, 950.0), "it goes back to where it stands");
    mosaic(&mut session, MosaicCommand::DragField(5, Point::new(100.0, 0.0)));
    mosaic(&mut session, MosaicCommand::CancelDrag);
    assert!(last_edits(&mut session).is_none());
}

#[test]
fn fields_that_were_pulled_apart_are_joined_by_a_line_while_their_seam_is_selected() {
    let mut session = mosaic_session();
    session.apply(Command::SetMotion(false));
    let places = |at: Point| {
        let mut places = places(Point::default());
        places[5] = at;
        places
    };
    let mut gap_at = |generation: u64, at: Point| {
        let state = state(generation, &places(at), 50.0, MosaicPhase::Aligned, None);
        session.pump(Event::Mosaic { set: SET, state });
        mosaic(&mut session, MosaicCommand::SelectSeam(Some((4, 5))));
        let gap = view(&session).selected_gap();
        let origin = view(&session).positions()[4];
        mosaic(&mut session, MosaicCommand::SelectSeam(None));
        assert_eq!(view(&session).selected_gap(), None, "nothing is selected");
        gap.map(|(a, b)| (a - origin, b - origin))
    };
    let side = f64::from(SIDE);
    assert_eq!(gap_at(2, Point::new(1800.0, 900.0)), None, "they overlap");
    let beside = gap_at(3, Point::new(900.0 + 3.0 * side, 1000.0));
    let middle = (100.0 + side) / 2.0;
    assert_eq!(beside, Some((Point::new(side, middle), Point::new(3.0 * side, middle))));
    let above_left = gap_at(4, Point::new(900.0 - 2.0 * side, 900.0 - 2.0 * side));
    assert_eq!(above_left, Some((Point::default(), Point::new(-side, -side))));
}

#[test]
fn a_selected_seam_is_gone_to_and_its_fields_flicker_in_turn() {
    let mut session = mosaic_session();
    session.advance(5.0);
    mosaic(&mut session, MosaicCommand::SelectSeam(Some((4, 1))));
    let overlap = Rect::new(Point::new(950.0, 950.0), Point::new(1950.0, 1050.0));
    assert_eq!(view(&session).overlap((1, 4)), Some(overlap));
    let camera = session.current().expect("shown").camera;
    assert!(camera.center.distance(overlap.center()) < 1e-9);
    assert!(camera.zoom * overlap.width() > 400.0, "it fills much of the canvas");
    let at = |session: &Session, now: f64| view(session).flicker(now, true);
    assert_eq!(at(&session, 5.1), Some(Flicker { fields: (1, 4), only: Some(1) }));
    assert_eq!(at(&session, 5.5), Some(Flicker { fields: (1, 4), only: Some(4) }));
    assert_eq!(view(&session).flicker(5.5, false), Some(Flicker { fields: (1, 4), only: None }));
    assert!(session.advance(6.0), "frames are needed while it flickers");
    assert_eq!(at(&session, 99.0), None);
    assert!(!session.advance(99.0));
}

#[test]
fn seams_show_while_aligning_and_go_when_there_is_nothing_to_look_at() {
    let mut session = mosaic_session();
    assert!(!view(&session).seams_shown());
    let nominal = places(Point::default());
    let put = |session: &mut Session, generation: u64, phase: MosaicPhase, bad| {
        session.pump(Event::Mosaic { set: SET, state: state(generation, &nominal, 50.0, phase, bad) });
    };
    put(&mut session, 2, MosaicPhase::Aligning { done: 1, total: 9 }, None);
    assert!(view(&session).seams_shown());
    put(&mut session, 3, MosaicPhase::Aligned, None);
    assert!(!view(&session).seams_shown());
    put(&mut session, 4, MosaicPhase::Aligned, Some((1, 4)));
    assert!(view(&session).seams_shown());
    assert_eq!(view(&session).state.seams.worst().next().expect("a problem").fields, (1, 4));
    assert_eq!(view(&session).state.seams.worst().next().expect("a problem").quality(), SeamQuality::Problem);
    mosaic(&mut session, MosaicCommand::ToggleSeams);
    assert!(!view(&session).seams_shown());
    mosaic(&mut session, MosaicCommand::ToggleSeams);
    put(&mut session, 5, MosaicPhase::Aligned, None);
    assert!(view(&session).seams_shown(), "the user wants them");
}

#[test]
fn places_from_a_file_are_taken_over_and_given_up_undoably() {
    let mut session = mosaic_session();
    mosaic(&mut session, MosaicCommand::UseSavedPositions);
    let path: PathBuf = "/data/scan/solved.csv".into();
    assert!(session.take_requests().contains(&Request::LoadPositions { set: SET, path: path.clone() }));
    assert!(view(&session).edits.positions.is_none(), "nothing is taken before it is read");
    let positions = LoadedPositions { path, places: places(Point::default()).into_iter().map(Some).collect() };
    session.pump(Event::PositionsLoaded { set: SET, positions: Arc::new(positions.clone()) });
    assert_eq!(last_edits(&mut session).expect("told").positions, Some(Arc::new(positions.clone())));
    let text = serde_json::to_string(view(&session).edits.as_ref()).expect("written");
    let back: MosaicEdits = serde_json::from_str(&text).expect("read");
    assert_eq!(back.positions.as_deref(), Some(&positions));
    session.apply(Command::Undo);
    assert_eq!(last_edits(&mut session).expect("told").positions, None);
}

#[test]
fn separate_images_take_the_place_of_a_mosaic_and_give_it_back() {
    let mut session = mosaic_session();
    session.apply(Command::ShowSeparately(SET));
    let files: Vec<PathBuf> = (0..6).map(|n| format!("/data/scan/f{n}.tif").into()).collect();
    let requests = session.take_requests();
    assert!(requests.contains(&Request::Close(SET)));
    assert!(requests.contains(&Request::OpenAs(OpenAs::Separate(files.clone()))));
    let listed = |session: &Session| session.entries().iter().map(|e| e.path().to_owned()).collect::<Vec<_>>();
    assert_eq!(listed(&session), files);
    session.apply(Command::Undo);
    assert_eq!(listed(&session), [PathBuf::from("/data/scan")]);
    assert!(session.take_requests().contains(&Request::OpenAs(OpenAs::Found("/data/scan".into()))));
    session.apply(Command::Redo);
    assert_eq!(listed(&session), files);
}

#[test]
fn images_are_combined_to_a_mosaic_and_taken_apart_again() {
    let mut session = mosaic_session();
    // A mosaic that the user put together goes back to its files' mosaic, not to what a folder of that name is.
    session.apply(Command::Close(SET));
    session.take_requests();
    session.pump(Event::Opened(opened(1, MosaicEdits::default(), true)));
    session.apply(Command::ShowSeparately(SET));
    session.take_requests();
    session.apply(Command::Undo);
    let files: Vec<PathBuf> = (0..6).map(|n| format!("/data/scan/f{n}.tif").into()).collect();
    assert!(session.take_requests().contains(&Request::OpenAs(OpenAs::Together { files, pattern: None })));
}

#[test]
fn rounds_are_shown_one_at_a_time_and_said_to_be() {
    let mut session = session_with(opened(2, MosaicEdits::default(), false));
    let shown = |session: &Session| {
        let image = session.current().expect("shown");
        image.visible_planes().iter().map(|p| p.channel).collect::<Vec<_>>()
    };
    assert_eq!(shown(&session), [0, 1]);
    assert!(view(&session).round_notice().expect("a notice").starts_with("Round 1 of 2"));
    mosaic(&mut session, MosaicCommand::SetBlend(Blend::Linear));
    session.take_requests();
    mosaic(&mut session, MosaicCommand::ShowRound(1));
    assert_eq!(shown(&session), [2, 3]);
    assert_eq!(last_edits(&mut session).expect("it is aligned by itself").round, 1);
    session.apply(Command::Undo);
    let edits = last_edits(&mut session).expect("told");
    assert_eq!((edits.blend, edits.round), (Blend::Feather, 1), "what is taken back leaves the round as it is shown");
    session.apply(Command::SetChannelVisible(1, false));
    assert_eq!(shown(&session), [2, 3], "switching a hidden channel off changes nothing");
    session.apply(Command::SetChannelVisible(0, true));
    assert_eq!(shown(&session), [0], "a channel that is switched on is seen");
    mosaic(&mut session, MosaicCommand::ShowRound(9));
    assert_eq!(view(&session).round, 0);
    assert!(view(&mosaic_session()).round_notice().is_none());
}

#[test]
fn aligning_again_lets_go_of_places_from_a_file() {
    let positions = Some(LoadedPositions { path: "/p.csv".into(), places: vec![None; 6] });
    let saved = MosaicEdits { positions: positions.map(Arc::new), show_unaligned: true, ..MosaicEdits::default() };
    let mut session = session_with(opened(1, saved.clone(), false));
    session.take_requests();
    mosaic(&mut session, MosaicCommand::AlignAgain);
    let requests = session.take_requests();
    assert_eq!(requests.last(), Some(&Request::AlignAgain(SET)), "after what it goes by: {requests:?}");
    assert_eq!(*view(&session).edits, MosaicEdits::default());
    session.apply(Command::Undo);
    assert_eq!(*view(&session).edits, saved);
}

#[test]
fn the_region_of_an_export_stays_on_what_it_shows_when_the_frame_moves() {
    let mut session = mosaic_session();
    session.apply(Command::Export(ExportCommand::Open(Some(ExportPreset::RegionOmeTiff))));
    session.apply(Command::Export(ExportCommand::SetRegion(PixelRect::new(300, 200, 500, 400))));
    let samples = |session: &Session| match session.export_plan().expect("a plan").what {
        ExportWhat::OmeTiff(samples) => samples,
        other => panic!("{other:?}"),
    };
    let before = samples(&session);
    let mut off = places(Point::default());
    off[0] = Point::new(-700.0, -300.0);
    session.pump(Event::Mosaic { set: SET, state: state(2, &off, 50.0, MosaicPhase::Aligned, None) });
    let after = samples(&session);
    let moved = before.origin - after.origin;
    assert!(moved.x >= 500.0 && moved.y >= 200.0, "the frame grew: {moved:?}");
    let expected = PixelRect::new(300 + moved.x as u32, 200 + moved.y as u32, 500, 400);
    assert_eq!(after.region, expected);
}

#[test]
fn what_was_decided_before_is_there_on_opening() {
    let mut saved = MosaicEdits { blend: Blend::Linear, show_unaligned: true, ..MosaicEdits::default() };
    saved.hand.edges.insert((0, 1), Hand::Shift(Point::new(901.5, -2.0)));
    let text = serde_json::to_string(&saved).expect("text");
    let read: MosaicEdits = serde_json::from_str(&text).expect("read back");
    assert_eq!(read, saved);
    let session = session_with(opened(1, read, false));
    assert_eq!(*view(&session).edits, saved);
    assert!(session.next_undo().is_none());
    let older: MosaicEdits = serde_json::from_str("{}").expect("what an older version left out is as it opens");
    assert_eq!(older, MosaicEdits::default());
}

#[test]
fn the_read_out_names_the_field_and_gives_both_values() {
    let mut session = mosaic_session();
    session.apply(Command::PointAt(Some(Point::new(300.5, 400.5))));
    let asked = session.take_requests();
    assert!(asked.iter().any(|r| matches!(r, Request::Sample { planes, .. } if planes[0].field == MOSAIC)));
    let source = SampleSource { field: 0, name: "f0.tif".into(), x: 250, y: 350, corrected: vec![(0, vec![120.0])] };
    let values = vec![(0, vec![100.0])];
    session.pump(Event::Sample { set: SET, field: MOSAIC, x: 300, y: 400, values, source: Some(source.clone()) });
    let read_out = session.current().and_then(|i| i.read_out.as_ref()).expect("read");
    assert_eq!((read_out.source.as_ref(), read_out.values[0].1[0]), (Some(&source), 100.0));
}

#[test]
fn files_dropped_together_are_looked_at_together() {
    let mut session = mosaic_session();
    let files: Vec<PathBuf> = vec!["/b/1.tif".into(), "/b/2.tif".into()];
    session.apply(Command::Open(files.clone()));
    assert_eq!(session.take_requests(), [Request::OpenAs(OpenAs::Several(files.clone()))]);
    // They are one mosaic: the first gives its place to it, the second goes.
    session.pump(Event::Resolved { path: files[0].clone(), paths: vec!["/b".into()] });
    session.pump(Event::Resolved { path: files[1].clone(), paths: vec![] });
    let listed: Vec<_> = session.entries().iter().map(|e| e.path().to_owned()).collect();
    assert_eq!(listed, [PathBuf::from("/data/scan"), PathBuf::from("/b")]);
    session.apply(Command::Open(vec!["/c/1.tif".into()]));
    assert_eq!(session.take_requests(), [Request::Open("/c/1.tif".into())]);
}

#[test]
fn files_of_a_mosaic_that_is_open_show_it() {
    let mut session = mosaic_session();
    session.apply(Command::Open(vec!["/c.tif".into()]));
    let mut other = opened(1, MosaicEdits::default(), false).as_ref().clone();
    (other.id, other.path, other.mosaic) = (SetId(2), "/c.tif".into(), None);
    session.pump(Event::Opened(Arc::new(other)));
    assert_eq!(session.current().map(|i| i.id.set), Some(SetId(2)));
    session.apply(Command::Open(vec!["/data/scan/f0.tif".into(), "/data/scan/f1.tif".into()]));
    session.pump(Event::Resolved { path: "/data/scan/f0.tif".into(), paths: vec!["/data/scan".into()] });
    session.pump(Event::Resolved { path: "/data/scan/f1.tif".into(), paths: vec![] });
    assert_eq!(session.current().map(|i| i.id), Some(ID));
    assert_eq!(session.entries().len(), 2);
}

#[test]
fn another_pattern_opens_the_mosaic_anew_and_can_be_taken_back() {
    let mut session = mosaic_session();
    let pattern = Some("f{series}.tif".to_owned());
    mosaic(&mut session, MosaicCommand::SetPattern(pattern.clone()));
    let named = |pattern| Request::OpenAs(OpenAs::Named { path: "/data/scan".into(), pattern });
    let requests = session.take_requests();
    assert!(requests.contains(&Request::Close(SET)) && requests.contains(&named(pattern)));
    session.apply(Command::Undo);
    assert!(session.take_requests().contains(&named(None)));
}

#[test]
fn values_under_the_pointer_are_asked_for_anew_when_the_mosaic_changes_and_stay_until_then() {
    let mut session = mosaic_session();
    session.apply(Command::PointAt(Some(Point::new(300.5, 400.5))));
    let values = vec![(0, vec![100.0])];
    session.pump(Event::Sample { set: SET, field: MOSAIC, x: 300, y: 400, values, source: None });
    session.take_requests();
    let aligned = state(2, &places(Point::default()), 50.0, MosaicPhase::Aligned, None);
    session.pump(Event::Mosaic { set: SET, state: aligned });
    assert!(session.current().is_some_and(|i| i.read_out.is_some()));
    let asked = session.take_requests();
    assert!(asked.iter().any(|r| matches!(r, Request::Sample { x: 300, y: 400, .. })), "{asked:?}");
}

#[test]
fn a_mosaic_on_the_canvas_is_nothing_to_combine() {
    let mut session = mosaic_session();
    let single = |id: u32, path: &str| {
        let mut single = opened(1, MosaicEdits::default(), false).as_ref().clone();
        (single.id, single.path, single.mosaic) = (SetId(id), path.into(), None);
        Arc::new(single)
    };
    session.pump(Event::Opened(single(2, "/a.tif")));
    session.pump(Event::Opened(single(3, "/b.tif")));
    assert_eq!(session.current().map(|i| i.id), Some(ID));
    assert!(!session.can_combine());
    session.apply(Command::ChooseToCombine(true));
    assert!(!session.combining());
    session.apply(Command::Show(ImageId { set: SetId(2), field: 0 }));
    assert!(session.can_combine());
    session.apply(Command::Close(SetId(3)));
    assert!(!session.can_combine(), "one image alone is nothing to combine either");
}

#[test]
fn chosen_files_are_no_folder_to_come_back_to() {
    let mut session = session_with(opened(1, MosaicEdits::default(), true));
    assert!(session.recent().is_empty());
    session.pump(Event::PartOpened { folder: "/data/all".into(), files: 2 });
    assert_eq!(session.offer(), Some(Path::new("/data/all")));
    session.advance(OFFER_SECS + 1.0);
    assert_eq!(session.offer(), None);
}

#[test]
fn the_demo_shows_its_fields_whatever_opens_after_them() {
    let mut session = Session::new();
    session.set_canvas(Size::new(800, 600));
    session.apply(Command::OpenDemo);
    let fields = opened(1, MosaicEdits::default(), false);
    let mut slide = fields.as_ref().clone();
    (slide.id, slide.path, slide.mosaic) = (SetId(2), "/data/slide.tif".into(), None);
    session.pump(Event::DemoReady { path: fields.path.clone() });
    session.pump(Event::DemoReady { path: slide.path.clone() });
    session.pump(Event::Opened(fields));
    session.pump(Event::Opened(Arc::new(slide)));
    assert_eq!(session.current().map(|i| i.id), Some(ID));
    assert_eq!(session.entries().len(), 2);
}
