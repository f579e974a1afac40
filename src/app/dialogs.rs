//! The system's Open dialogs, on a thread of their own: the window never waits for them.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, TryRecvError, channel};

/// What a dialog asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// Files.
    Files,
    /// A folder.
    Folder,
}

/// The dialog that is open, if one is.
#[derive(Default)]
pub struct Dialogs {
    open: Option<Receiver<Vec<PathBuf>>>,
}

impl Dialogs {
    /// Shows a dialog, unless one is open already. An error is in words for the user.
    pub fn ask(&mut self, ask: Ask, ctx: &egui::Context) -> Result<(), String> {
        if self.open.is_some() {
            return Ok(());
        }
        let (send, receive) = channel();
        let ctx = ctx.clone();
        let run = move || {
            let dialog = rfd::FileDialog::new();
            let chosen = match ask {
                Ask::Files => dialog.set_title("Open files").pick_files().unwrap_or_default(),
                Ask::Folder => dialog.set_title("Open folder").pick_folder().into_iter().collect(),
            };
            // The window may be gone by now; then nobody wants the answer.
            if send.send(chosen).is_ok() {
                ctx.request_repaint();
            }
        };
        match std::thread::Builder::new().name("dialog".into()).spawn(run) {
            Ok(_) => {
                self.open = Some(receive);
                Ok(())
            }
            Err(e) => Err(format!("The dialog could not be opened: {e}. Drop the files on the window instead")),
        }
    }

    /// What was chosen, once a dialog has closed; nothing where it was cancelled.
    pub fn chosen(&mut self) -> Vec<PathBuf> {
        let Some(open) = &self.open else { return Vec::new() };
        match open.try_recv() {
            Ok(paths) => {
                self.open = None;
                paths
            }
            Err(TryRecvError::Disconnected) => {
                self.open = None;
                Vec::new()
            }
            Err(TryRecvError::Empty) => Vec::new(),
        }
    }
}
