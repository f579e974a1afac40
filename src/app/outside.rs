//! What the session wants done outside it: by the engine, by the system, by the window itself.

use super::dialogs::Ask;
use super::{App, exporting, window};
use crate::engine::{Engine, Event, ProfileFiles};
use crate::session::{Command, ExportCommand, Folders, MosaicCommand, Request};
use std::path::PathBuf;

impl App {
    /// Passes on what the session wants done outside it.
    pub(super) fn pass_on(&mut self, ctx: &egui::Context) {
        for request in self.session.take_requests() {
            match &request {
                Request::Close(set) => {
                    if let Some(picture) = &mut self.picture {
                        picture.set_closed(*set);
                    }
                }
                Request::Forget(path) => self.pictures.forget(path),
                Request::AskForFiles => self.ask(Ask::Files, ctx),
                Request::AskForFolder => self.ask(Ask::Folder, ctx),
                Request::AskForExportFile(path) => self.ask(Ask::ExportTo(path.clone()), ctx),
                Request::AskToLoadPositions => self.ask(Ask::PositionsFrom, ctx),
                Request::AskToSavePositions => {
                    if let Some(image) = self.session.current() {
                        let name = format!("{} positions.csv", image.name());
                        let folder = self.session.folders().beside(&image.set.path);
                        self.ask(Ask::PositionsTo(folder.join(name)), ctx);
                    }
                }
                Request::AskForProfile(channels) => self.ask(Ask::Profile(channels.clone()), ctx),
                Request::CopyText(text) => ctx.copy_text(text.clone()),
                Request::ResizeWindow(size) => {
                    let size = egui::vec2(size[0], size[1]) / ctx.zoom_factor();
                    ctx.send_viewport_cmd(egui::ViewportCommand::InnerSize(size));
                }
                Request::Quit => ctx.send_viewport_cmd(egui::ViewportCommand::Close),
                _ => {}
            }
            let kept_back = !self.saves && matches!(request, Request::SaveText { .. });
            let Some(engine) = self.engine.as_ref().filter(|_| !kept_back) else { continue };
            match request {
                Request::Export(plan) => engine.export(exporting::job(*plan)),
                Request::CopyView(plan) => self.copying.start(engine, *plan, ctx),
                Request::ShowInFolder(path) => engine.show_in_folder(path),
                request => window::send(engine, request),
            }
        }
    }

    fn ask(&mut self, ask: Ask, ctx: &egui::Context) {
        if let Err(message) = self.dialogs.ask(ask, ctx) {
            self.session.pump(Event::Problem { set: None, message });
        }
    }
}

/// Where files are proposed on this system.
pub(super) fn folders(engine: &Engine) -> Folders {
    let user = directories::UserDirs::new();
    let pictures = user.map(|user| user.picture_dir().unwrap_or(user.home_dir()).to_owned());
    Folders { own: engine.own_folders(), pictures }
}

/// What the user wants with what was chosen in a dialog.
pub(super) fn answered(ask: Ask, paths: Vec<PathBuf>) -> Option<Command> {
    let first = paths.first().cloned();
    match ask {
        Ask::Files | Ask::Folder => (!paths.is_empty()).then_some(Command::Open(paths)),
        // The system's dialog asks before it gives the name of a file that is there.
        Ask::ExportTo(_) => first.map(|path| Command::Export(ExportCommand::SetFile { path, agreed_to_replace: true })),
        Ask::PositionsFrom => first.map(|path| Command::Mosaic(MosaicCommand::LoadPositions(path))),
        Ask::PositionsTo(_) => first.map(|path| Command::Mosaic(MosaicCommand::SavePositions(path))),
        Ask::Profile(channels) => first.map(|flat| {
            let files = ProfileFiles { flat, dark: None };
            Command::Mosaic(MosaicCommand::SetProfiles(channels, Some(files)))
        }),
    }
}
