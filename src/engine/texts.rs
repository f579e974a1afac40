//! Small texts that survive a restart: settings, session, recent files.
//!
//! They are written by a worker, to a temporary file that is renamed, so a kill leaves the old text or the new one.

use crate::error::{Error, Result};
use parking_lot::{Condvar, Mutex};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Texts are written at most this often.
const SAVE_INTERVAL: Duration = Duration::from_millis(500);

/// A text larger than this is not ours: refuse to read it.
const MAX_TEXT_BYTES: u64 = 16 << 20;

/// Makes a text, on the worker: the UI thread does no work that grows with what is saved.
pub type Write = Arc<dyn Fn() -> serde_json::Result<String> + Send + Sync>;

/// Texts on their way to the data folder.
pub struct Texts {
    dir: PathBuf,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: BTreeMap<String, Write>,
    /// Taken by the worker, and perhaps not yet on the disk.
    writing: BTreeMap<String, Write>,
    stopped: bool,
}

impl Texts {
    /// Texts in `dir`, which is made when the first is written.
    pub fn new(dir: PathBuf) -> Self {
        Self { dir, state: Mutex::default(), changed: Condvar::new() }
    }

    /// Hands a text to the worker; one that waits under the same name is replaced.
    pub fn save(&self, name: &str, text: String) {
        self.save_with(name, Arc::new(move || Ok(text.clone())));
    }

    /// Hands over a text that the worker makes.
    pub fn save_with(&self, name: &str, write: Write) {
        self.state.lock().waiting.insert(name.to_owned(), write);
        self.changed.notify_all();
    }

    /// Reads a text; `None` where there is none.
    pub fn load(&self, name: &str) -> Result<Option<String>> {
        let on_its_way = {
            let state = self.state.lock();
            state.waiting.get(name).or_else(|| state.writing.get(name)).cloned()
        };
        if let Some(Ok(text)) = on_its_way.map(|write| write()) {
            return Ok(Some(text));
        }
        let path = self.dir.join(name);
        match std::fs::metadata(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io("cannot read", error, &path)),
            Ok(metadata) if metadata.len() > MAX_TEXT_BYTES => {
                return Err(Error::too_large("this settings file is too large, move it away", &path));
            }
            Ok(_) => {}
        }
        std::fs::read_to_string(&path).map(Some).map_err(|error| Error::io("cannot read", error, &path))
    }

    /// Ends the worker once everything is written.
    pub fn stop(&self) {
        self.state.lock().stopped = true;
        self.changed.notify_all();
    }

    /// The worker: writes what waits until it is stopped. `failed` is told of what could not be written.
    pub fn work(&self, failed: impl Fn(Error)) {
        loop {
            let mut state = self.state.lock();
            while state.waiting.is_empty() && !state.stopped {
                self.changed.wait(&mut state);
            }
            let texts = std::mem::take(&mut state.waiting);
            if texts.is_empty() {
                return;
            }
            state.writing.clone_from(&texts);
            drop(state);
            for (name, write) in texts {
                let written = write()
                    .map_err(|error| Error::io("cannot save", error.into(), &self.dir.join(&name)))
                    .and_then(|text| write_private(&self.dir, &name, text.as_bytes()));
                if let Err(error) = written {
                    failed(error);
                }
            }
            self.state.lock().writing.clear();
            let next = Instant::now() + SAVE_INTERVAL;
            let mut state = self.state.lock();
            while !state.stopped && !self.changed.wait_until(&mut state, next).timed_out() {}
        }
    }
}

/// Writes a file that the user alone can read, whole or not at all.
pub fn write_private(dir: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    crate::store::system::create_private_dir(dir)?;
    let path = dir.join(name);
    let write = || -> std::io::Result<()> {
        // tempfile makes its files readable by the user alone.
        let mut file = tempfile::NamedTempFile::new_in(dir)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(&path)?;
        Ok(())
    };
    write().map_err(|error| Error::io("cannot save", error, &path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_text_wins_and_is_written_before_the_worker_ends() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let texts = Texts::new(dir.path().join("data"));
        texts.save("session.json", "old".into());
        texts.save("session.json", "new".into());
        texts.stop();
        texts.work(|error| panic!("{error}"));
        assert_eq!(texts.load("session.json").expect("readable").as_deref(), Some("new"));
        assert_eq!(texts.load("other").expect("no error"), None);
    }

    #[cfg(unix)]
    #[test]
    fn texts_are_readable_by_the_user_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().expect("a temporary folder");
        let data = dir.path().join("data");
        write_private(&data, "a", b"b").expect("written");
        let mode = |p: &Path| std::fs::metadata(p).expect("there").permissions().mode() & 0o777;
        assert_eq!((mode(&data), mode(&data.join("a"))), (0o700, 0o600));
    }
}
