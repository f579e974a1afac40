use super::*;
use crate::engine::{ChannelStatistics, Window};
use crate::pixels::{PixelType, TileFormat, ValueCoding};
use crate::pyramid::{Calibration, ChannelInfo, ChannelRole, ImageInfo, PlaneId, level_plan};

fn opened(id: u32, path: &str, channels: usize, format: TileFormat) -> Arc<OpenedSet> {
    let size = Size::new(4001, 3001);
    let channel = |n: usize| ChannelInfo {
        name: format!("Marker {n}"),
        color: None,
        format,
        role: ChannelRole::Intensity,
        significant_bits: None,
    };
    let image = ImageInfo {
        name: String::new(),
        size,
        pixel_type: PixelType::U16,
        channels: (0..channels).map(channel).collect(),
        z_count: 1,
        t_count: 1,
        um_per_px: Some([0.5, 0.5]),
        calibration: Calibration::File,
        objective: None,
        tile_side: 256,
        levels: level_plan(&[size], 256),
    };
    Arc::new(OpenedSet {
        id: SetId(id),
        path: path.into(),
        format: "TIFF".into(),
        images: vec![image],
        mosaic: None,
        associated: vec![],
        metadata: BTreeMap::new(),
        warnings: vec![],
    })
}

fn session_with(id: u32, path: &str) -> Session {
    let mut session = Session::new();
    for name in [SETTINGS, IMAGES] {
        session.pump(Event::Text { name: name.into(), text: None });
    }
    session.set_canvas(Size::new(800, 600));
    session.apply(Command::Open(vec![path.into()]));
    session.pump(Event::Opened(opened(id, path, 3, TileFormat::Gray16)));
    session.take_requests();
    session
}

fn statistics(min: f32, max: f32, settled: bool) -> Arc<ChannelStatistics> {
    let window = Window { min, max };
    Arc::new(ChannelStatistics {
        histogram: vec![1; 256],
        bin_values: 20,
        range: (0, 5000),
        window,
        coding: ValueCoding::IDENTITY,
        settled,
    })
}

fn statistics_event(channel: u16, min: f32, max: f32, settled: bool) -> Event {
    Event::Statistics { set: SetId(1), field: 0, channel, statistics: statistics(min, max, settled) }
}

fn channel(session: &Session, index: u16) -> &ChannelView {
    session.current().expect("an image").channel(index).expect("a channel")
}

#[test]
fn a_drop_adds_to_the_list_and_closes_nothing() {
    let mut session = session_with(1, "a.tif");
    session.apply(Command::Open(vec!["b.tif".into(), "a.tif".into()]));
    session.pump(Event::Opened(opened(2, "b.tif", 1, TileFormat::Rgb8)));
    assert_eq!(session.entries().len(), 2);
    let requests = session.take_requests();
    assert!(requests.contains(&Request::Open("b.tif".into())));
    assert!(!requests.iter().any(|r| matches!(r, Request::Close(_) | Request::Cancel(_))));
    assert!(!requests.contains(&Request::Open("a.tif".into())), "an open file is shown, not opened twice");
}

#[test]
fn a_16_bit_channel_is_not_drawn_before_its_first_range() {
    let mut session = session_with(1, "a.tif");
    assert!(!channel(&session, 0).is_shown());
    session.pump(statistics_event(0, 100.0, 900.0, false));
    assert!(channel(&session, 0).is_shown());
    assert_eq!(channel(&session, 0).window, Window { min: 100.0, max: 900.0 });
    session.advance(WINDOW_PATIENCE_SECS + 0.1);
    assert!(channel(&session, 1).is_shown(), "an image is never dark for want of a range");
}

#[test]
fn an_automatic_range_is_refined_once_and_without_a_jump() {
    let mut session = session_with(1, "a.tif");
    session.pump(statistics_event(0, 100.0, 900.0, false));
    session.pump(statistics_event(0, 200.0, 1900.0, true));
    assert_eq!(channel(&session, 0).window.max, 900.0);
    assert!(session.advance(0.05));
    assert!(channel(&session, 0).window.max < 1000.0);
    session.advance(10.0);
    assert_eq!(channel(&session, 0).window, Window { min: 200.0, max: 1900.0 });
    session.pump(statistics_event(0, 0.0, 50.0, true));
    assert_eq!(channel(&session, 0).window.max, 1900.0);
}

#[test]
fn a_range_is_left_alone_once_the_user_touched_anything() {
    let mut session = session_with(1, "a.tif");
    session.pump(statistics_event(0, 100.0, 900.0, false));
    session.apply(Command::SetChannelVisible(1, false));
    session.pump(statistics_event(0, 200.0, 1900.0, true));
    session.advance(10.0);
    assert_eq!(channel(&session, 0).window, Window { min: 100.0, max: 900.0 });
    session.apply(Command::AutoWindow(None));
    assert_eq!(channel(&session, 0).window, Window { min: 200.0, max: 1900.0 });
}

#[test]
fn a_pixel_size_can_be_set_and_taken_back() {
    let mut session = session_with(1, "a.tif");
    session.apply(Command::SetPixelSize([0.25, 0.5]));
    let image = session.current().expect("an image");
    assert_eq!((image.um_per_px, image.calibration), (Some([0.25, 0.5]), Calibration::User));
    assert_eq!(image.camera.pixel_aspect, 2.0);
    session.apply(Command::Undo);
    let image = session.current().expect("an image");
    assert_eq!((image.um_per_px, image.calibration), (Some([0.5, 0.5]), Calibration::File));
    session.apply(Command::Redo);
    assert_eq!(session.current().expect("an image").um_per_px, Some([0.25, 0.5]));
    session.apply(Command::SetPixelSize([f64::NAN, 0.5]));
    assert_eq!(session.current().expect("an image").um_per_px, Some([0.25, 0.5]));
}

#[test]
fn display_settings_and_preferences_survive_a_restart() {
    let mut session = session_with(1, "a.tif");
    session.apply(Command::SetWindow(1, Window { min: 5.0, max: 50.0 }));
    session.apply(Command::SetColor(2, [1, 2, 3]));
    session.apply(Command::Move(ViewMove::RotateTo(30.0)));
    session.apply(Command::SetPixelSize([0.25, 0.25]));
    session.apply(Command::SetScrollMode(ScrollMode::Pan));
    session.apply(Command::SetWindowSize([900.0, 700.0]));
    let saved: Vec<Event> = session
        .take_requests()
        .into_iter()
        .filter_map(|r| match r {
            Request::SaveText { name, text } => Some(Event::Text { name: name.into(), text: Some(text) }),
            _ => None,
        })
        .collect();

    let mut again = Session::new();
    saved.into_iter().for_each(|e| again.pump(e));
    assert_eq!(again.preferences().scroll, ScrollMode::Pan);
    assert_eq!(again.recent(), [PathBuf::from("a.tif")]);
    assert!(again.take_requests().contains(&Request::ResizeWindow([900.0, 700.0])));
    again.pump(Event::Opened(opened(7, "a.tif", 3, TileFormat::Gray16)));
    assert_eq!(channel(&again, 1).window, Window { min: 5.0, max: 50.0 });
    assert_eq!(channel(&again, 2).color, [1, 2, 3]);
    let image = again.current().expect("an image");
    assert!((image.camera.rotation_rad.to_degrees() - 30.0).abs() < 1e-9);
    assert_eq!(image.calibration, Calibration::User);
}

#[test]
fn a_cancelled_job_is_gone_at_once_and_stays_silent() {
    let mut session = session_with(1, "a.tif");
    let job = JobId(3);
    let progress = Event::Progress { job, set: None, title: "Preparing", done: 1, total: 9 };
    session.pump(progress.clone());
    assert_eq!(session.jobs().len(), 1);
    session.apply(Command::CancelJob(job));
    assert!(session.jobs().is_empty());
    session.pump(progress);
    assert!(session.jobs().is_empty());
    assert!(session.take_requests().contains(&Request::Cancel(job)));
    session.pump(Event::Finished { job, outcome: JobOutcome::Failed("late".into()) });
    assert!(session.problems().is_empty());
}

#[test]
fn closing_the_shown_image_shows_its_neighbour() {
    let mut session = session_with(1, "a.tif");
    session.apply(Command::Open(vec!["b.tif".into()]));
    session.pump(Event::Opened(opened(2, "b.tif", 3, TileFormat::Gray16)));
    assert_eq!(session.current().map(|i| i.id.set), Some(SetId(2)));
    session.apply(Command::Close(SetId(2)));
    assert_eq!(session.current().map(|i| i.id.set), Some(SetId(1)));
    session.apply(Command::Close(SetId(1)));
    assert!(session.current().is_none() && session.entries().is_empty());
}

#[test]
fn forgetting_an_image_leaves_no_trace_of_it() {
    let mut session = session_with(1, "secret.tif");
    session.apply(Command::SetColor(0, [9, 9, 9]));
    session.apply(Command::Forget("secret.tif".into()));
    let requests = session.take_requests();
    assert!(requests.contains(&Request::Forget("secret.tif".into())));
    assert!(requests.contains(&Request::Close(SetId(1))));
    for request in &requests {
        if let Request::SaveText { text, .. } = request {
            assert!(!text.contains("secret"), "{text}");
        }
    }
    assert!(session.recent().is_empty() && session.entries().is_empty());
}

#[test]
fn the_values_under_the_pointer_are_those_of_the_pixel_it_is_on() {
    let mut session = session_with(1, "a.tif");
    session.apply(Command::PointAt(Some(Point::new(10.4, 20.6))));
    let asked = session.take_requests();
    assert!(asked.iter().any(|r| matches!(r, Request::Sample { x: 10, y: 20, .. })));
    session.apply(Command::PointAt(Some(Point::new(10.6, 20.6))));
    assert!(session.take_requests().is_empty(), "the same pixel is not asked for twice");
    let late = Event::Sample { set: SetId(1), field: 0, x: 9, y: 20, values: vec![], source: None };
    session.pump(late);
    assert!(session.current().expect("an image").read_out.is_none());
    session.pump(Event::Sample { set: SetId(1), field: 0, x: 10, y: 20, values: vec![(0, vec![7.0])], source: None });
    assert_eq!(session.current().and_then(|i| i.read_out.as_ref()).map(|r| r.values.len()), Some(1));
    session.apply(Command::PointAt(Some(Point::new(-1.0, 3.0))));
    assert!(session.take_requests().is_empty());
}

#[test]
fn a_fitted_image_follows_the_window_until_it_is_moved() {
    let mut session = session_with(1, "a.tif");
    let fitted = session.current().expect("an image").camera.zoom;
    session.set_canvas(Size::new(1600, 1200));
    assert!(session.current().expect("an image").camera.zoom > fitted * 1.9);
    session.apply(Command::Move(ViewMove::Magnification(20.0)));
    let image = session.current().expect("an image");
    assert!((image.camera.zoom - 1.0).abs() < 1e-12, "0.5 µm a pixel at 1:1 is 20x");
    session.set_canvas(Size::new(800, 600));
    assert!((session.current().expect("an image").camera.zoom - 1.0).abs() < 1e-12);
}

#[test]
fn the_same_problem_is_counted_not_repeated() {
    let mut session = session_with(1, "a.tif");
    for x in 0..5 {
        let key = TileKey { plane: PlaneId::default(), level: 0, x, y: 0 };
        session.pump(Event::TileFailed { set: SetId(1), key, reason: "damaged data".into() });
    }
    assert_eq!(session.problems().len(), 1);
    assert_eq!(session.problems()[0].count, 5);
    assert_eq!(session.failed_tiles(SetId(1)).count(), 5);
}

#[test]
fn a_problem_that_comes_after_its_image_was_closed_is_about_no_image() {
    let mut session = session_with(1, "a.tif");
    session.pump(Event::Opened(opened(2, "b.tif", 3, TileFormat::Gray16)));
    session.apply(Command::Close(SetId(1)));
    for set in [1, 2] {
        session.pump(Event::Problem { set: Some(SetId(set)), message: format!("the disk of {set} is full") });
    }
    let about: Vec<_> = session.problems().iter().map(|p| p.set).collect();
    assert_eq!(about, [None, Some(SetId(2))]);
}

#[test]
fn what_is_said_of_an_image_as_it_opens_is_about_that_image() {
    let mut set = Arc::unwrap_or_clone(opened(1, "a.tif", 3, TileFormat::Gray16));
    set.warnings = vec!["a level is missing".into()];
    let mut session = Session::new();
    session.pump(Event::Opened(Arc::new(set)));
    assert_eq!(session.problems().iter().map(|p| p.set).collect::<Vec<_>>(), [Some(SetId(1))]);
}

#[test]
fn nothing_is_saved_over_settings_that_are_still_on_their_way() {
    let mut session = Session::new();
    session.apply(Command::SetWindowSize([900.0, 700.0]));
    session.apply(Command::Open(vec!["new.tif".into()]));
    session.pump(Event::Opened(opened(1, "new.tif", 1, TileFormat::Gray16)));
    session.apply(Command::SetColor(0, [1, 2, 3]));
    assert!(!session.take_requests().iter().any(|r| matches!(r, Request::SaveText { .. })));
    session.pump(Event::Text { name: SETTINGS.into(), text: Some(r#"{"recent":["old.tif"]}"#.into()) });
    session.pump(Event::Text { name: IMAGES.into(), text: None });
    let saved = session.take_requests();
    let text = saved.iter().find_map(|r| match r {
        Request::SaveText { name, text } if *name == SETTINGS => Some(text.as_str()),
        _ => None,
    });
    let text = text.expect("saved once it is known what was there");
    assert!(text.contains("old.tif") && text.contains("new.tif"), "{text}");
    assert!(saved.iter().any(|r| matches!(r, Request::SaveText { name, .. } if *name == IMAGES)));
}

#[test]
fn a_folder_gives_its_place_to_the_images_in_it() {
    let mut session = Session::new();
    session.apply(Command::Open(vec!["/data/slides".into()]));
    session.take_requests();
    let children = || vec!["/data/slides/a.tif".into(), "/data/slides/b.tif".into()];
    session.pump(Event::Resolved { path: "/data/slides".into(), paths: children() });
    let opening: Vec<_> = session.entries().iter().map(|entry| entry.path().to_owned()).collect();
    assert_eq!(opening, children());
    session.pump(Event::Opened(opened(7, "/data/slides/b.tif", 1, TileFormat::Gray16)));
    assert!(matches!(session.entries(), [Entry::Opening(_), Entry::Open(_)]));
}
