use super::*;
use crate::engine::{Event, OpenedSet};
use crate::pixels::{PixelType, TileFormat};
use crate::pyramid::{Calibration, ChannelInfo, ChannelRole, ImageInfo, SetId, level_plan};
use crate::session::{Command, Folders, RightTab, ViewMove};
use std::collections::BTreeMap;
use std::sync::Arc;

fn session(format: TileFormat, channels: usize) -> Session {
    let size = Size::new(4000, 3000);
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
        pixel_type: if format == TileFormat::Rgb8 { PixelType::Rgb8 } else { PixelType::U16 },
        channels: (0..channels).map(channel).collect(),
        z_count: 1,
        t_count: 1,
        um_per_px: Some([0.5, 0.5]),
        calibration: Calibration::File,
        objective: None,
        tile_side: 256,
        levels: level_plan(&[size], 256),
    };
    let set = OpenedSet {
        id: SetId(1),
        path: "/data/slide.ome.tif".into(),
        format: "TIFF".into(),
        images: vec![image],
        mosaic: None,
        associated: vec![],
        metadata: BTreeMap::new(),
        warnings: vec![],
    };
    let mut session = Session::new();
    session.set_canvas(Size::new(800, 600));
    session.pump(Event::Opened(Arc::new(set)));
    session.take_requests();
    session
}

fn export(session: &mut Session, command: ExportCommand) {
    session.apply(Command::Export(command));
}

fn choose(session: &mut Session, change: impl FnOnce(&mut ExportChoices)) {
    let mut choices = session.export_choices().clone();
    change(&mut choices);
    export(session, ExportCommand::Choose(choices));
}

fn path(session: &Session) -> String {
    session.export().expect("open").path.display().to_string()
}

#[test]
fn the_files_name_follows_what_is_chosen_until_the_user_names_it() {
    let mut session = session(TileFormat::Gray16, 3);
    export(&mut session, ExportCommand::Open(Some(ExportPreset::WholeOmeTiff)));
    assert_eq!(path(&session), "/data/slide export.ome.tif", "never the image itself");
    choose(&mut session, |c| c.preset = ExportPreset::ViewPicture);
    assert_eq!(path(&session), "/data/slide view.png");
    let named = ExportCommand::SetFile { path: "/figures/Fig. 2.jpg".into(), agreed_to_replace: false };
    export(&mut session, named);
    assert_eq!(session.export_choices().picture, PictureFormat::Jpeg, "the name says so");
    choose(&mut session, |c| c.picture = PictureFormat::Tiff);
    assert_eq!(path(&session), "/figures/Fig. 2.tif");
    choose(&mut session, |c| c.preset = ExportPreset::RegionOmeTiff);
    assert_eq!(path(&session), "/figures/Fig. 2.ome.tif");
    export(&mut session, ExportCommand::Close);
    export(&mut session, ExportCommand::Open(None));
    assert_eq!(path(&session), "/figures/slide region.ome.tif", "the folder and the preset are remembered");
}

#[test]
fn a_file_is_replaced_only_if_that_was_agreed_for_this_very_name() {
    let mut session = session(TileFormat::Gray16, 1);
    export(&mut session, ExportCommand::Open(Some(ExportPreset::RegionRaw)));
    let replaces = |session: &mut Session| {
        let found = session.take_requests().into_iter().find_map(|r| match r {
            Request::Export(plan) => Some(plan.replace),
            _ => None,
        });
        found.expect("an export was asked for")
    };
    export(&mut session, ExportCommand::Start);
    assert!(!replaces(&mut session));
    let report = |session: &mut Session, report| {
        let path = session.export().expect("open").path.clone();
        session.pump(Event::Export { path, report });
    };
    report(&mut session, ExportReport::Exists);
    assert_eq!(session.export().map(|p| p.stage.clone()), Some(ExportStage::AskingToReplace));
    export(&mut session, ExportCommand::Replace);
    assert!(replaces(&mut session));
    report(&mut session, ExportReport::Failed("no".into()));
    export(&mut session, ExportCommand::Again);
    export(&mut session, ExportCommand::Start);
    assert!(!replaces(&mut session), "one agreement is for one time");
    report(&mut session, ExportReport::Exists);
    export(&mut session, ExportCommand::Again);
    export(&mut session, ExportCommand::SetFile { path: "/data/other.tif".into(), agreed_to_replace: true });
    export(&mut session, ExportCommand::SetFile { path: "/data/third.tif".into(), agreed_to_replace: false });
    export(&mut session, ExportCommand::Start);
    assert!(!replaces(&mut session));
}

#[test]
fn a_region_stays_inside_the_image() {
    let mut session = session(TileFormat::Gray16, 1);
    export(&mut session, ExportCommand::Open(Some(ExportPreset::RegionRaw)));
    assert_eq!(session.export_region(), Some(PixelRect::new(1000, 750, 2000, 1500)), "the middle of what is seen");
    export(&mut session, ExportCommand::SetRegion(PixelRect::new(3900, u32::MAX, 500, 0)));
    assert_eq!(session.export_region(), Some(PixelRect::new(3500, 2999, 500, 1)));
    session.apply(Command::Move(ViewMove::OneToOne));
    export(&mut session, ExportCommand::RegionOfView);
    assert_eq!(session.export_region(), Some(PixelRect::new(1600, 1200, 800, 600)));
    choose(&mut session, |c| c.preset = ExportPreset::WholeOmeTiff);
    assert_eq!(session.export_region(), None, "all of an image has no frame to drag");
}

#[test]
fn sixteen_bits_are_never_packed_as_jpeg() {
    let packing = |format| {
        let mut session = session(format, 1);
        export(&mut session, ExportCommand::Open(Some(ExportPreset::WholeOmeTiff)));
        choose(&mut session, |c| c.compression = Compression::Jpeg);
        match session.export_plan().map(|p| p.what) {
            Some(ExportWhat::OmeTiff(samples)) => samples.compression,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(packing(TileFormat::Rgb8), Compression::Jpeg);
    assert_eq!(packing(TileFormat::Gray16), Compression::Deflate);
}

#[test]
fn an_estimate_grows_with_the_region_and_learns_the_speed() {
    let mut session = session(TileFormat::Gray16, 2);
    export(&mut session, ExportCommand::Open(Some(ExportPreset::RegionRaw)));
    choose(&mut session, |c| c.compression = Compression::None);
    let estimate = |session: &Session| session.export_estimate(&session.export_plan().expect("a plan"));
    export(&mut session, ExportCommand::SetRegion(PixelRect::new(0, 0, 1000, 1000)));
    assert_eq!(estimate(&session).bytes, 4_000_000, "two channels of two bytes");
    export(&mut session, ExportCommand::SetRegion(PixelRect::new(0, 0, 2000, 1000)));
    assert_eq!(estimate(&session).bytes, 8_000_000);
    export(&mut session, ExportCommand::Start);
    let path = session.export().expect("open").path.clone();
    session
        .pump(Event::Export { path, report: ExportReport::Done { bytes: 8_000_000, secs: 2.0, unreadable_parts: 0 } });
    assert!((estimate(&session).secs - 2.0).abs() < 1e-9, "as fast as the last time");
}

#[test]
fn holes_in_what_was_written_are_told() {
    let mut session = session(TileFormat::Gray16, 1);
    let report = ExportReport::Done { bytes: 1, secs: 1.0, unreadable_parts: 3 };
    session.pump(Event::Export { path: "/e/holes.tif".into(), report });
    assert!(session.problems().iter().any(|p| p.message.ends_with("are empty: /e/holes.tif")));
}

#[test]
fn a_measured_packing_counts_until_another_region_is_measured_and_not_for_another_packing() {
    let mut session = session(TileFormat::Gray16, 2);
    export(&mut session, ExportCommand::Open(Some(ExportPreset::RegionRaw)));
    export(&mut session, ExportCommand::SetRegion(PixelRect::new(0, 0, 1000, 1000)));
    let bytes = |session: &Session| session.export_estimate(&session.export_plan().expect("a plan")).bytes;
    let (packing, _) = session.export_to_measure().expect("nothing is known yet");
    session.export_measured(packing, 0.25);
    assert_eq!(bytes(&session), 1_000_000);
    assert!(session.export_to_measure().is_none());
    export(&mut session, ExportCommand::SetRegion(PixelRect::new(50, 0, 1000, 1000)));
    assert!(session.export_to_measure().is_none(), "nearly the same");
    export(&mut session, ExportCommand::SetRegion(PixelRect::new(0, 0, 2000, 1000)));
    assert_eq!(bytes(&session), 2_000_000);
    let (packing, _) = session.export_to_measure().expect("half of it was never looked at");
    session.export_measured(packing, 0.125);
    assert_eq!(bytes(&session), 1_000_000);
    choose(&mut session, |c| c.compression = Compression::Zstd);
    assert!(session.export_to_measure().is_some());
    let most = session.export_estimate(&session.export_plan().expect("a plan"));
    assert!(most.is_most && most.bytes >= 8_000_000, "{most:?}");
    choose(&mut session, |c| c.preset = ExportPreset::ViewPicture);
    assert!(session.export_to_measure().is_none(), "pictures are not measured");
}

#[test]
fn a_failure_is_told_after_the_panel_was_closed() {
    let mut session = session(TileFormat::Gray16, 1);
    export(&mut session, ExportCommand::Open(None));
    export(&mut session, ExportCommand::Start);
    let path = session.export().expect("open").path.clone();
    export(&mut session, ExportCommand::Close);
    session.pump(Event::Export { path, report: ExportReport::Failed("the disk is full: /data".into()) });
    assert_eq!(session.problems().last().map(|p| p.message.as_str()), Some("the disk is full: /data"));
}

#[test]
fn choices_from_outside_their_limits_are_mended() {
    let text = r#"{"quality":0,"view_size":{"Scale":-3.0},"region_size":{"Print":{"width_mm":1e9,"dpi":1.0}},
                   "samples_speed":-1.0}"#;
    let choices = serde_json::from_str::<ExportChoices>(text).expect("parses").checked();
    assert_eq!((choices.quality, choices.view_size), (1, PictureSize::Scale(0.001)));
    assert_eq!(choices.region_size, PictureSize::Print { width_mm: 5000.0, dpi: 30.0 });
    assert_eq!(choices.samples_speed, None);
}

#[test]
fn the_command_line_quotes_what_a_shell_would_take_apart() {
    let mut session = session(TileFormat::Gray16, 3);
    export(&mut session, ExportCommand::Open(Some(ExportPreset::RegionRaw)));
    export(&mut session, ExportCommand::ToggleChannel(1));
    export(&mut session, ExportCommand::SetRegion(PixelRect::new(1, 2, 30, 40)));
    export(&mut session, ExportCommand::SetFile { path: "/out/it's.tif".into(), agreed_to_replace: false });
    let line = session.export_command_line().expect("a line");
    let expected = r"microtome export /data/slide.ome.tif -o '/out/it'\''s.tif' --raw --region 1,2,30,40 --channels 1,3 --compression deflate";
    assert_eq!(line, expected);
    session.set_command_folder(Some("/a cache".into()));
    let line = session.export_command_line().expect("a line");
    assert_eq!(line, format!("{expected} --cache-dir '/a cache'"));
    session.apply(Command::ShowTab(RightTab::Metadata));
    assert!(session.export().is_some(), "another tab closes nothing");
}

#[test]
fn an_export_of_the_programs_own_images_is_proposed_among_the_users_pictures() {
    let mut session = session(TileFormat::Gray16, 1);
    let folders = |own: &str| Folders { own: vec![own.into()], pictures: Some("/home/me/Pictures".into()) };
    session.set_folders(folders("/cache"));
    export(&mut session, ExportCommand::Open(Some(ExportPreset::RegionRaw)));
    assert_eq!(path(&session), "/data/slide raw.tif", "beside an image of the user's own");
    export(&mut session, ExportCommand::Close);
    session.set_folders(folders("/data"));
    export(&mut session, ExportCommand::Open(Some(ExportPreset::RegionRaw)));
    assert_eq!(path(&session), "/home/me/Pictures/slide raw.tif");
    let chosen = ExportCommand::SetFile { path: "/reports/one.tif".into(), agreed_to_replace: false };
    export(&mut session, chosen);
    export(&mut session, ExportCommand::Close);
    export(&mut session, ExportCommand::Open(Some(ExportPreset::RegionRaw)));
    assert_eq!(path(&session), "/reports/slide raw.tif", "what was chosen is remembered");
}
