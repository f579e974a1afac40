//! The native window: its options, the engine behind it, and passing requests on.

use super::App;
use super::canvas::device;
use crate::engine::{Engine, EngineConfig};
use crate::session::{Command, Request};
use std::path::PathBuf;
use std::sync::Arc;

/// The window's size in points, until the last one is known.
const FIRST_SIZE: [f32; 2] = [1280.0, 820.0];
/// No smaller: the panels and a canvas between them.
const LEAST_SIZE: [f32; 2] = [720.0, 480.0];

/// Opens the window on paths and stays until it is closed. `demo` opens the demo as well.
pub fn run(config: EngineConfig, paths: Vec<PathBuf>, demo: bool) -> Result<(), String> {
    let viewport = egui::ViewportBuilder::default()
        .with_title("Microtome")
        .with_app_id("microtome")
        .with_inner_size(FIRST_SIZE)
        .with_min_inner_size(LEAST_SIZE)
        .with_drag_and_drop(true);
    let options = eframe::NativeOptions {
        renderer: eframe::Renderer::Wgpu,
        viewport,
        // The session remembers the window's size.
        persist_window: false,
        wgpu_options: device::configuration(),
        ..Default::default()
    };
    let create = move |cc: &eframe::CreationContext<'_>| {
        let ctx = cc.egui_ctx.clone();
        let pace =
            cc.wgpu_render_state.as_ref().map(|state| device::pace(&state.adapter.get_info())).unwrap_or_default();
        let engine = Engine::new(config, Arc::new(move || ctx.request_repaint_after(pace)))?;
        let mut app = App::new(&cc.egui_ctx, cc.wgpu_render_state.as_ref(), Some(engine));
        if !paths.is_empty() {
            app.command(Command::Open(paths));
        }
        if demo {
            app.command(Command::OpenDemo);
        }
        Ok(Box::new(app) as Box<dyn eframe::App>)
    };
    eframe::run_native("microtome", options, Box::new(create)).map_err(|e| {
        format!("the window could not be opened ({e}); try `microtome snapshot` where there is no display")
    })
}

/// Passes a request on to the engine; what the window does itself is no business of the engine's.
pub(super) fn send(engine: &Engine, request: Request) {
    match request {
        Request::Open(path) => engine.open(path),
        Request::Demo => engine.demo(),
        Request::Close(set) => engine.close(set),
        Request::Forget(path) => engine.forget(path),
        Request::Cancel(job) => engine.cancel(job),
        Request::Sample { set, planes, x, y } => engine.want_sample(set, planes, x, y),
        Request::Associated { set, index } => engine.want_associated(set, index),
        Request::Thumbnails(paths) => engine.want_thumbnails(paths),
        Request::SaveText { name, text } => engine.save_text(name, text),
        Request::LoadText(name) => engine.load_text(name),
        Request::EditMosaic { set, edits } => engine.edit_mosaic(set, edits),
        Request::AlignAgain(set) => engine.align_again(set),
        Request::LoadPositions { set, path } => engine.load_positions(set, path),
        Request::SavePositions { set, path } => engine.save_positions(set, path),
        Request::OpenAs(how) => engine.open_as(how),
        Request::AskForFiles
        | Request::AskForFolder
        | Request::AskToLoadPositions
        | Request::AskToSavePositions
        | Request::AskForProfile(_)
        | Request::AskForExportFile(_)
        | Request::Export(_)
        | Request::CopyView(_)
        | Request::CopyText(_)
        | Request::ShowInFolder(_)
        | Request::ResizeWindow(_)
        | Request::Quit => {}
    }
}
