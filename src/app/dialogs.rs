//! The system's dialogs for files, on a thread of their own: the window never waits for them.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::{Duration, Instant};

/// What a dialog asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// Files to open.
    Files,
    /// A folder to open.
    Folder,
    /// The file that an export writes; this one is proposed.
    ExportTo(PathBuf),
    /// A file with places of fields.
    PositionsFrom,
    /// The file to write the places of fields to; this one is proposed.
    PositionsTo(PathBuf),
    /// An image of even light, for some channels.
    Profile(Vec<u16>),
}

/// The dialog that is open, if one is.
#[derive(Default)]
pub struct Dialogs {
    open: Option<(Ask, Receiver<Answer>)>,
}

/// No person cancels a dialog sooner than this: where there is no dialog on the system, the answer comes at once.
const LEAST_ANSWER: Duration = Duration::from_millis(50);

/// What came of a dialog.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Answer {
    /// What was chosen: nothing where it was cancelled.
    Chosen(Vec<PathBuf>),
    /// The system has none.
    NoDialog,
}

impl Answer {
    fn of(chosen: Vec<PathBuf>, after: Duration) -> Self {
        if chosen.is_empty() && after < LEAST_ANSWER { Self::NoDialog } else { Self::Chosen(chosen) }
    }
}

impl Dialogs {
    /// Shows a dialog, unless one is open already. An error is in words for the user.
    pub fn ask(&mut self, ask: Ask, ctx: &egui::Context) -> Result<(), String> {
        if self.open.is_some() {
            return Ok(());
        }
        let (send, receive) = channel();
        let (ctx, asked) = (ctx.clone(), ask.clone());
        let run = move || {
            let began = Instant::now();
            let chosen = show(&ask);
            // The window may be gone by now; then nobody wants the answer.
            if send.send(Answer::of(chosen, began.elapsed())).is_ok() {
                ctx.request_repaint();
            }
        };
        match std::thread::Builder::new().name("dialog".into()).spawn(run) {
            Ok(_) => {
                self.open = Some((asked, receive));
                Ok(())
            }
            Err(e) => Err(format!("The dialog could not be opened: {e}. Drop the files on the window instead")),
        }
    }

    /// What was chosen, once a dialog has closed; no paths where it was cancelled. An error is in words for the user.
    pub fn chosen(&mut self) -> Option<Result<(Ask, Vec<PathBuf>), String>> {
        let (_, open) = self.open.as_ref()?;
        let answer = match open.try_recv() {
            Ok(answer) => answer,
            Err(TryRecvError::Disconnected) => Answer::NoDialog,
            Err(TryRecvError::Empty) => return None,
        };
        let (ask, _) = self.open.take()?;
        Some(match answer {
            Answer::Chosen(paths) => Ok((ask, paths)),
            Answer::NoDialog => Err(format!("No file dialog is there on this system; {}", instead_of(&ask))),
        })
    }
}

/// What a person can do where there is no dialog.
fn instead_of(ask: &Ask) -> &'static str {
    match ask {
        Ask::Files | Ask::Folder => "drop files or a folder on the window, or name them on the command line",
        Ask::ExportTo(_) => "type the file's name in the Export panel, or use microtome export on the command line",
        Ask::PositionsFrom => "use microtome stitch with --layout on the command line",
        Ask::PositionsTo(_) => "use microtome stitch with --positions on the command line",
        Ask::Profile(_) => "install xdg-desktop-portal or zenity and try again",
    }
}

/// Shows a dialog and waits for it.
fn show(ask: &Ask) -> Vec<PathBuf> {
    let dialog = rfd::FileDialog::new();
    let proposed = |path: &Path| {
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let dialog = rfd::FileDialog::new().set_file_name(name);
        match path.parent() {
            Some(folder) => dialog.set_directory(folder),
            None => dialog,
        }
    };
    match ask {
        Ask::Files => dialog.set_title("Open files").pick_files().unwrap_or_default(),
        Ask::Folder => dialog.set_title("Open folder").pick_folder().into_iter().collect(),
        Ask::ExportTo(path) => proposed(path).set_title("Export").save_file().into_iter().collect(),
        Ask::PositionsFrom => {
            let dialog = dialog.set_title("Load positions").add_filter("Positions", &["csv", "txt"]);
            dialog.add_filter("All files", &["*"]).pick_file().into_iter().collect()
        }
        Ask::Profile(_) => {
            let dialog = dialog.set_title("Import profile").add_filter("Images", &["tif", "tiff", "png"]);
            dialog.add_filter("All files", &["*"]).pick_file().into_iter().collect()
        }
        Ask::PositionsTo(path) => {
            let dialog = proposed(path).set_title("Save positions").add_filter("Table", &["csv"]);
            dialog.add_filter("TileConfiguration", &["txt"]).save_file().into_iter().collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_at_once_means_that_there_is_no_dialog_and_nothing_later_that_it_was_cancelled() {
        assert_eq!(Answer::of(Vec::new(), Duration::from_millis(1)), Answer::NoDialog);
        assert_eq!(Answer::of(Vec::new(), Duration::from_secs(2)), Answer::Chosen(Vec::new()));
        let chosen = vec![PathBuf::from("/a.tif")];
        assert_eq!(Answer::of(chosen.clone(), Duration::ZERO), Answer::Chosen(chosen));
    }
}
