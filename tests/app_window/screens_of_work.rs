//! Pictures of mosaics and exports in their states, under `target/screens`, for eyes.

use crate::mosaic::{self, Story, mosaic};
use crate::screens::{each_scale, settle};
use crate::support::{Bench, brightfield, fluorescence, stained, tissue};
use microtome::engine::{Evenness, Event, ExportReport, JobId, MosaicPhase};
use microtome::mosaic::illumination::LightVerdict;
use microtome::pyramid::SetId;
use microtome::session::{
    Command, ExportChoices, ExportCommand, ExportPreset, MosaicCommand, PictureFormat, RightTab, ViewMove,
};

fn open_mosaic(bench: &mut Bench, story: &Story) {
    bench.command(Command::SetMotion(false));
    bench.open(&mosaic(1, "/data/Tonsil 04", story), tissue);
}

#[test]
fn an_aligned_mosaic_can_be_drawn() {
    each_scale("mosaic-aligned", |bench| {
        open_mosaic(bench, &Story::default());
        let middle = bench.canvas_middle();
        bench.harness.hover_at(middle + egui::vec2(-40.0, 20.0));
        settle(bench);
    });
}

#[test]
fn the_mosaic_panel_can_be_drawn_in_all_its_states() {
    each_scale("mosaic-panel", |bench| {
        open_mosaic(bench, &Story::default());
        bench.command(Command::ShowTab(RightTab::Mosaic));
        bench.command(Command::Mosaic(MosaicCommand::SelectSeam(Some((1, 5)))));
        settle(bench);
    });
    let story =
        Story { phase: MosaicPhase::Aligning { done: 31, total: 50 }, evenness: Evenness::Unknown, ..Story::default() };
    each_scale("mosaic-aligning", |bench| {
        open_mosaic(bench, &story);
        bench.command(Command::ShowTab(RightTab::Mosaic));
        let progress =
            |done| Event::Progress { job: JobId(7), set: Some(SetId(1)), title: "Aligning fields", done, total: 50 };
        bench.event(progress(10));
        settle(bench);
        bench.event(progress(31));
        settle(bench);
    });
    let why = "11 of 17 overlaps show nothing that could be matched, and the others contradict each other; \
               name the channel with the most texture, or correct the layout";
    let story = Story {
        phase: MosaicPhase::NotAligned(why.into()),
        saved_positions: true,
        rounds: 2,
        evenness: mosaic::light(LightVerdict::NotKept("overlaps agree no better with it, so it stays off".into())),
    };
    each_scale("mosaic-not-aligned", |bench| {
        open_mosaic(bench, &story);
        bench.command(Command::ShowTab(RightTab::Mosaic));
        settle(bench);
    });
}

#[test]
fn the_lower_half_of_the_mosaic_panel_can_be_drawn() {
    let Some(mut bench) = Bench::new(1280.0, 1500.0, 1.0) else { return };
    open_mosaic(&mut bench, &Story { saved_positions: true, ..Story::default() });
    bench.command(Command::ShowTab(RightTab::Mosaic));
    settle(&mut bench);
    bench.save("mosaic-panel-tall-1x");
    let Some(mut bench) = Bench::new(900.0, 1500.0, 1.0) else { return };
    open_mosaic(&mut bench, &Story { saved_positions: true, ..Story::default() });
    bench.command(Command::ShowTab(RightTab::Mosaic));
    settle(&mut bench);
    bench.save("mosaic-panel-tall-small");
}

#[test]
fn seams_of_every_quality_can_be_drawn_close_by_and_on_a_light_window() {
    each_scale("seams-close", |bench| {
        open_mosaic(bench, &Story::default());
        bench.command(Command::Move(ViewMove::Scale(2.5)));
        settle(bench);
    });
    let Some(mut bench) = Bench::with_theme(1280.0, 800.0, 1.0, egui::Theme::Light) else { return };
    open_mosaic(&mut bench, &Story::default());
    bench.command(Command::SetBackground(microtome::session::Background::Light));
    bench.command(Command::ShowTab(RightTab::Mosaic));
    bench.command(Command::Move(ViewMove::RotateTo(25.0)));
    settle(&mut bench);
    bench.save("seams-light-1x");
}

#[test]
fn images_to_combine_can_be_drawn() {
    each_scale("combine", |bench| {
        bench.open(&fluorescence(1, "/data/a_01.tif"), tissue);
        bench.event(Event::Opened(fluorescence(2, "/data/a_02.tif")));
        bench.event(Event::Opened(fluorescence(3, "/data/a_03.tif")));
        settle(bench);
        bench.command(Command::ChooseToCombine(true));
        settle(bench);
    });
}

fn open_export(bench: &mut Bench, preset: ExportPreset) {
    bench.command(Command::SetMotion(false));
    bench.open(&fluorescence(1, "/data/Tonsil 04.ome.tif"), tissue);
    bench.command(Command::Export(ExportCommand::Open(Some(preset))));
    settle(bench);
}

#[test]
fn every_export_can_be_drawn() {
    let names = ["whole", "region", "view", "region-picture", "raw"];
    for (preset, name) in ExportPreset::ALL.into_iter().zip(names) {
        each_scale(&format!("export-{name}"), |bench| open_export(bench, preset));
    }
    let Some(mut bench) = Bench::new(1280.0, 900.0, 1.0) else { return };
    bench.open(&brightfield(1, "/data/CMU-1.svs", Some(0.499)), stained);
    bench.command(Command::Move(ViewMove::RotateTo(20.0)));
    bench.command(Command::Export(ExportCommand::Open(Some(ExportPreset::RegionOmeTiff))));
    let compression = microtome::session::Compression::Jpeg;
    let preset = ExportPreset::RegionOmeTiff;
    let choices = ExportChoices { original_metadata: true, compression, preset, ..ExportChoices::default() };
    bench.command(Command::Export(ExportCommand::Choose(choices)));
    settle(&mut bench);
    bench.save("export-metadata-1x");
    let print = microtome::session::PictureSize::Print { width_mm: 85.0, dpi: 600.0 };
    let preset = ExportPreset::ViewPicture;
    let choices = ExportChoices { preset, picture: PictureFormat::Jpeg, view_size: print, ..ExportChoices::default() };
    bench.command(Command::Export(ExportCommand::Choose(choices)));
    settle(&mut bench);
    bench.save("export-print-1x");
}

#[test]
fn an_export_under_way_and_its_ends_can_be_drawn() {
    let path = || std::path::PathBuf::from("/data/Tonsil 04 export.ome.tif");
    let report = |bench: &mut Bench, report| bench.event(Event::Export { path: path(), report });
    let Some(mut bench) = Bench::new(1280.0, 800.0, 1.0) else { return };
    open_export(&mut bench, ExportPreset::WholeOmeTiff);
    bench.command(Command::Export(ExportCommand::Start));
    settle(&mut bench);
    report(&mut bench, ExportReport::Exists);
    settle(&mut bench);
    bench.save("export-replace-1x");
    bench.command(Command::Export(ExportCommand::Replace));
    settle(&mut bench);
    report(&mut bench, ExportReport::Started(JobId(4)));
    let progress = |done| Event::Progress { job: JobId(4), set: Some(SetId(1)), title: "Exporting", done, total: 100 };
    bench.event(progress(1));
    settle(&mut bench);
    bench.harness.run_steps(100);
    bench.event(progress(38));
    settle(&mut bench);
    bench.save("export-running-1x");
    report(&mut bench, ExportReport::Done { bytes: 21_400_000, secs: 4.2, unreadable_parts: 0 });
    settle(&mut bench);
    bench.save("export-done-1x");
    bench.command(Command::Export(ExportCommand::Again));
    bench.command(Command::Export(ExportCommand::Start));
    settle(&mut bench);
    let message = "no space left on the disk for 8123000 more bytes, free some and try again: /data/Tonsil 04.ome.tif";
    report(&mut bench, ExportReport::Failed(message.into()));
    settle(&mut bench);
    bench.save("export-failed-1x");
}

#[test]
fn the_keys_of_mosaics_can_be_drawn() {
    let Some(mut bench) = Bench::new(1280.0, 800.0, 1.0) else { return };
    open_mosaic(&mut bench, &Story::default());
    bench.command(Command::ToggleKeys);
    settle(&mut bench);
    bench.save("mosaic-keys-1x");
}
