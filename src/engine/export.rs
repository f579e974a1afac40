//! Exports: one after the other, on a thread of their own.

use super::open::is_one_of;
use super::threads::{PROGRESS_INTERVAL, contained};
use super::{Event, FrozenMosaic, JobId, OpenMosaic, OpenSet, Shared};
use crate::error::{Error, Result};
use crate::export::{BandSource, ImagePart, MosaicBands, SlideBands};
use crate::mosaic::MOSAIC;
use crate::pyramid::{Cancel, SetId};
use crate::store::{Destination, Existing};
use parking_lot::Mutex;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// What is said of an export.
#[derive(Debug, Clone, PartialEq)]
pub enum ExportReport {
    /// It is being written by this job, which can be cancelled.
    Started(JobId),
    /// A file of that name is there, and nobody said that it may be replaced.
    Exists,
    /// It is written.
    Done {
        /// The file's size.
        bytes: u64,
        /// How long it took.
        secs: f64,
        /// Parts of a mosaic's fields that could not be read and were left empty.
        unreadable_parts: u64,
    },
    /// It stopped on request; nothing is left of it.
    Cancelled,
    /// It could not be written, or not under its name; the words are for the user. Nothing is left of it, but for a whole
    /// file whose name the words say.
    Failed(String),
}

/// What an export writes with: the set, the file, how far it has got, and whether to stop.
pub struct ExportTools<'a> {
    /// The image set.
    pub set: &'a OpenSet,
    /// The file to write.
    pub to: Destination<'a>,
    /// The pool for packing tiles.
    pub pool: &'a rayon::ThreadPool,
    /// Told units of work done and in all.
    pub progress: &'a (dyn Fn(u64, u64) + Sync),
    /// Told what the user should know of the file, in words.
    pub tell: &'a dyn Fn(String),
    /// Stops the work.
    pub cancel: &'a Cancel,
}

impl OpenSet {
    /// The mosaic as it stands now; an export takes everything from one of them.
    pub fn frozen(&self) -> Option<FrozenMosaic> {
        self.mosaic.as_ref().map(OpenMosaic::frozen)
    }

    /// What is read of an image while it is exported: a slide's own samples, or the fields of a mosaic as it stood, put
    /// together with the illumination evened out where that is asked for.
    pub fn bands(
        &self,
        frozen: Option<&FrozenMosaic>,
        part: ImagePart,
        um_per_px: Option<[f64; 2]>,
        even_illumination: bool,
        path: &Path,
    ) -> Result<Box<dyn BandSource + '_>> {
        match frozen {
            Some(mosaic) if part.field == MOSAIC => {
                let fuser = mosaic.fuser_of_export(&self.pyramid, even_illumination)?;
                Ok(Box::new(MosaicBands::new(fuser, &mosaic.state.info, part, um_per_px, path)?))
            }
            _ => Ok(Box::new(SlideBands::new(&self.pyramid, part, um_per_px, path)?)),
        }
    }
}

/// Writes a file and says how many parts could not be read and were left empty. It is a function, because pictures are painted by a layer that the engine does not know.
pub type Write = Box<dyn FnOnce(&ExportTools<'_>) -> Result<u64> + Send>;

/// An export that waits for its turn.
pub struct ExportJob {
    /// The set that it reads.
    pub set: SetId,
    /// The file to write.
    pub path: PathBuf,
    /// What becomes of a file of that name.
    pub existing: Existing,
    /// What writes it.
    pub write: Write,
}

/// The thread: writes what waits, until the program ends.
pub(super) fn exporter(shared: &Arc<Shared>, pool: &rayon::ThreadPool) {
    while let Some(job) = shared.exports.next() {
        let path = job.path.clone();
        let say = |report| shared.send(Event::Export { path: path.clone(), report });
        if contained(shared, Some(job.set), "Exporting", || write(shared, pool, job, &say)).is_none() {
            say(ExportReport::Failed("it stopped because of a fault in Microtome, please report it".into()));
        }
    }
}

fn write(shared: &Shared, pool: &rayon::ThreadPool, job: ExportJob, say: &dyn Fn(ExportReport)) {
    let Some(set) = shared.set(job.set) else {
        return say(ExportReport::Failed("the image was closed before it could be written".into()));
    };
    match check_target(&set, &job) {
        Ok(Target::Free) => {}
        Ok(Target::Taken) => return say(ExportReport::Exists),
        Err(error) => return say(ExportReport::Failed(error.to_string())),
    }
    let (id, cancel) = shared.begin_job(&set.cancel);
    say(ExportReport::Started(id));
    let started = Instant::now();
    let last = Mutex::new(None::<Instant>);
    let progress = |done: u64, total: u64| {
        let Some(mut last) = last.try_lock() else { return };
        if last.is_some_and(|at| at.elapsed() < PROGRESS_INTERVAL) {
            return;
        }
        *last = Some(Instant::now());
        shared.send(Event::Progress { job: id, set: Some(job.set), title: "Exporting", done, total });
    };
    progress(0, 0);
    let tell = |message: String| {
        shared.send(Event::Problem { set: Some(job.set), message: format!("{message}, {}", job.path.display()) });
    };
    let to = Destination { path: &job.path, existing: job.existing };
    let tools = ExportTools { set: &set, to, pool, progress: &progress, tell: &tell, cancel: &cancel };
    // A fault in a writer leaves a file half written that has not got its name, and goes with the writer.
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| (job.write)(&tools)));
    let outcome = outcome.unwrap_or_else(|_| {
        Err(Error::unsupported("writing stopped because of a fault in Microtome, please report it", &job.path))
    });
    let report = match outcome.and_then(|unreadable_parts| {
        let file = std::fs::metadata(&job.path);
        let file = file.map_err(|e| Error::io("cannot read back what was written", e, &job.path))?;
        Ok((file.len(), unreadable_parts))
    }) {
        Ok((bytes, unreadable_parts)) => {
            ExportReport::Done { bytes, secs: started.elapsed().as_secs_f64(), unreadable_parts }
        }
        Err(Error::Cancelled) => ExportReport::Cancelled,
        Err(error) => ExportReport::Failed(error.to_string()),
    };
    // The panel says how it ended; the list of jobs only forgets it.
    shared.end_job(id, if report == ExportReport::Cancelled { Err(Error::Cancelled) } else { Ok(()) });
    say(report);
}

/// Whether a name is free.
enum Target {
    Free,
    Taken,
}

/// Looks at what is there under the file's name. An image is never written over itself, whatever was agreed.
fn check_target(set: &OpenSet, job: &ExportJob) -> Result<Target> {
    let folder = job.path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
        return Err(Error::unsupported("there is no such folder, choose another", folder));
    }
    if is_one_of(&job.path, set.files()) {
        return Err(Error::unsupported("this is the image itself, choose another name", &job.path));
    }
    match std::fs::symlink_metadata(&job.path) {
        Ok(there) if there.is_dir() => Err(Error::unsupported("this is a folder, choose another name", &job.path)),
        Ok(_) if job.existing == Existing::Keep => Ok(Target::Taken),
        Ok(_) => Ok(Target::Free),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Target::Free),
        Err(e) => Err(Error::io("cannot look at", e, &job.path)),
    }
}
