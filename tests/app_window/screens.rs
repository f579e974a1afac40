//! Pictures of the window in its states, under `target/screens`, for eyes.
//! Here it is only checked that they can be drawn and are not empty.

use crate::support::{Bench, brightfield, fluorescence, stained, tissue};
use microtome::engine::{Event, JobId};
use microtome::session::{Command, PixelSizeTool, RightTab, ViewMove};

/// The window in points, its pixels a point, and what its picture is called.
const SIZES: [([f32; 2], f32, &str); 3] =
    [([1280.0, 800.0], 1.0, "1x"), ([1280.0, 800.0], 2.0, "2x"), ([900.0, 600.0], 1.0, "small")];

pub fn each_scale(name: &str, mut draw: impl FnMut(&mut Bench)) {
    for ([width, height], scale, suffix) in SIZES {
        let Some(mut bench) = Bench::new(width, height, scale) else { return };
        draw(&mut bench);
        bench.save(&format!("{name}-{suffix}"));
    }
}

pub fn settle(bench: &mut Bench) {
    bench.harness.run_steps(20);
}

#[test]
fn the_start_screen_can_be_drawn() {
    each_scale("start", |bench| {
        let recent =
            ["/data/Tonsil 04.ome.tif", "/data/CMU-1.svs", "/data/a very long name of a slide from the archive.tif"];
        let text = serde_json::json!({ "recent": recent }).to_string();
        bench.event(Event::Text { name: "settings".into(), text: Some(text) });
        let rgba: Vec<u8> = (0..64 * 48)
            .flat_map(|n| {
                let [r, g, b] = stained(0, f64::from(n % 64) * 20.0, f64::from(n / 64) * 20.0);
                [r as u8, g as u8, b as u8, 255]
            })
            .collect();
        let size = microtome::geom::Size::new(64, 48);
        bench.event(Event::Thumbnail { path: recent[1].into(), size, rgba: rgba.into() });
        settle(bench);
    });
}

#[test]
fn four_channels_can_be_drawn() {
    each_scale("channels", |bench| {
        bench.open(&fluorescence(1, "/data/Tonsil 04.ome.tif"), tissue);
        bench.event(Event::Opened(brightfield(2, "/data/CMU-1.svs", Some(0.499))));
        bench.command(Command::SetChannelVisible(3, false));
        bench.command(Command::Move(ViewMove::Magnification(20.0)));
        bench.event(Event::Progress { job: JobId(1), set: None, title: "Preparing Tonsil 04", done: 62, total: 100 });
        let middle = bench.canvas_middle();
        bench.harness.hover_at(middle);
        settle(bench);
        let (x, y) = bench.session(|s| s.pointer()).map(|p| (p.x as u32, p.y as u32)).expect("over the image");
        let values = (0..4).map(|c| (c, vec![f64::from(tissue(c, f64::from(x), f64::from(y))[0])])).collect();
        bench.event(Event::Sample { set: microtome::pyramid::SetId(1), field: 0, x, y, values, source: None });
        settle(bench);
    });
}

#[test]
fn a_colour_slide_can_be_drawn() {
    each_scale("slide", |bench| {
        bench.open(&brightfield(1, "/data/CMU-1.svs", None), stained);
        bench.command(Command::Move(ViewMove::RotateTo(30.0)));
        settle(bench);
    });
}

#[test]
fn metadata_can_be_drawn() {
    each_scale("metadata", |bench| {
        bench.open(&brightfield(1, "/data/CMU-1.svs", Some(0.499)), stained);
        bench.command(Command::ShowTab(RightTab::Metadata));
        bench.command(Command::PixelSizeTool(PixelSizeTool::Typing));
        settle(bench);
    });
}

#[test]
fn problems_can_be_drawn() {
    each_scale("problems", |bench| {
        let set = fluorescence(1, "/data/Tonsil 04.ome.tif");
        bench.open(&set, tissue);
        let key = microtome::pyramid::TileKey { plane: Default::default(), level: 0, x: 2, y: 2 };
        bench.event(Event::TileFailed { set: set.id, key, reason: "the compressed data is damaged".into() });
        bench.event(Event::Problem {
            set: None,
            message: "The disk is full: prepared images are kept only until the program ends".into(),
        });
        bench.command(Command::Open(vec!["/data/broken.tif".into()]));
        bench.harness.step();
        bench.event(Event::OpenFailed {
            path: "/data/broken.tif".into(),
            message: "the file ends in the middle of its directory, copy it again: /data/broken.tif".into(),
            try_again: true,
        });
        settle(bench);
    });
}

#[test]
fn loading_and_failing_can_be_drawn() {
    each_scale("opening", |bench| {
        bench.command(Command::Open(vec!["/data/Tonsil 04.ome.tif".into()]));
        settle(bench);
    });
    each_scale("loading", |bench| {
        bench.command(Command::Open(vec!["/data/Tonsil 04.ome.tif".into()]));
        bench.harness.step();
        bench.event(Event::Opened(fluorescence(1, "/data/Tonsil 04.ome.tif")));
        bench.harness.run_steps(3);
    });
    each_scale("failed", |bench| {
        bench.command(Command::Open(vec!["/data/broken.tif".into()]));
        bench.harness.step();
        bench.event(Event::OpenFailed {
            path: "/data/broken.tif".into(),
            message: "the file ends in the middle of its directory, copy it again: /data/broken.tif".into(),
            try_again: true,
        });
        settle(bench);
    });
}

#[test]
fn the_keys_can_be_drawn() {
    each_scale("keys", |bench| {
        bench.open(&fluorescence(1, "/data/Tonsil 04.ome.tif"), tissue);
        bench.command(Command::ToggleKeys);
        settle(bench);
    });
}

#[test]
fn the_light_theme_can_be_drawn() {
    let Some(mut bench) = Bench::with_theme(1280.0, 800.0, 1.0, egui::Theme::Light) else { return };
    bench.command(Command::SetTheme(microtome::session::ThemeChoice::Light));
    bench.open(&brightfield(1, "/data/CMU-1.svs", Some(0.499)), stained);
    settle(&mut bench);
    bench.save("light-1x");
}
