//! The engine's threads and what each does.
//!
//! - `opener` answers requests that a person waits for: opening, associated pictures, thumbnails, settings.
//! - `tile-loader-N` bring tiles from the wish list.
//! - `filler` fills one set after the other with the `work-N` pool, which runs at low priority.
//! - `errands` does what may take a moment with an open set: painting the view for the clipboard, estimating a size.
//! - `exporter` writes files, with a pool of its own: jobs of the other hold their threads until they end.
//! - `aligner` aligns one mosaic after the other with the filler's pool, and comes before the filler.
//! - `painter` paints the demo, in a pool of its own at low priority.
//! - `settings` writes small texts.

use super::errands::errands;
use super::export::exporter;
use super::loaders::loader;
use super::mosaic::{aligner, fill_fields};
use super::opener::opener;
use super::painter::painter;
use super::{Event, FillWatch, JobId, OpenAs, OpenSet, Shared, fill_set, tiles_to_fill};
use crate::error::{Error, Result};
use crate::pyramid::{Cancel, SetId, TileKey};
use crate::store::system::{Urgency, cores, set_urgency};
use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Progress is reported at most this often.
pub(super) const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

/// How long background work gives way to loaders between two units.
pub(super) const YIELD: Duration = Duration::from_millis(2);

/// What the opener is asked for.
pub(super) enum Request {
    Open(OpenAs),
    Associated(SetId, usize),
    Thumbnails(Vec<PathBuf>),
    Forget(PathBuf),
    LoadText(String),
    Release(Arc<OpenSet>),
    /// Write the places of a mosaic's fields.
    SavePositions(SetId, PathBuf),
    /// Read places for a mosaic's fields.
    LoadPositions(SetId, PathBuf),
    /// Find the first ranges of a set that was just opened.
    Statistics(Arc<OpenSet>),
    /// Settle the statistics and the thumbnail of a set whose fill has ended.
    Settle(Arc<OpenSet>),
}

/// A queue that one thread waits at. It is as long as what the user asked for and the opener has not yet done.
#[derive(Default)]
pub(super) struct Requests {
    state: Mutex<(VecDeque<Request>, bool)>,
    changed: Condvar,
}

impl Requests {
    pub(super) fn push(&self, request: Request) {
        self.state.lock().0.push_back(request);
        self.changed.notify_one();
    }

    pub(super) fn stop(&self) {
        self.state.lock().1 = true;
        self.changed.notify_all();
    }

    pub(super) fn next(&self) -> Option<Request> {
        let mut state = self.state.lock();
        loop {
            if state.1 {
                // What the user wants gone goes, even when quitting.
                state.0.retain(|request| matches!(request, Request::Forget(_) | Request::Release(_)));
            }
            if let Some(request) = state.0.pop_front() {
                return Some(request);
            }
            if state.1 {
                return None;
            }
            self.changed.wait(&mut state);
        }
    }
}

/// The sets that wait to be filled.
#[derive(Default)]
pub(super) struct Fills {
    state: Mutex<FillQueue>,
    changed: Condvar,
}

#[derive(Default)]
struct FillQueue {
    waiting: Vec<SetId>,
    preferred: SetId,
    stopped: bool,
}

impl Fills {
    pub(super) fn push(&self, set: SetId) {
        self.state.lock().waiting.push(set);
        self.changed.notify_all();
    }

    /// The set that is looked at is filled next.
    pub(super) fn prefer(&self, set: SetId) {
        self.state.lock().preferred = set;
    }

    pub(super) fn stop(&self) {
        self.state.lock().stopped = true;
        self.changed.notify_all();
    }

    fn next(&self) -> Option<SetId> {
        let mut state = self.state.lock();
        loop {
            if state.stopped {
                return None;
            }
            if !state.waiting.is_empty() {
                let at = state.waiting.iter().position(|&s| s == state.preferred).unwrap_or(0);
                return Some(state.waiting.remove(at));
            }
            self.changed.wait(&mut state);
        }
    }

    /// Whether the set being filled should make room for the one that is looked at.
    fn should_switch(&self, from: SetId) -> bool {
        let state = self.state.lock();
        state.preferred != from && state.waiting.contains(&state.preferred)
    }
}

/// Starts all threads.
pub(super) fn start(shared: &Arc<Shared>, loaders: usize, workers: usize) -> Result<Vec<JoinHandle<()>>> {
    let mut threads = Vec::new();
    let pool = Arc::new(work_pool(workers)?);
    let (fillers, exporters) = (pool.clone(), work_pool(workers)?);
    threads.push(spawn("opener", shared, opener)?);
    threads.push(spawn("errands", shared, errands)?);
    threads.push(spawn("filler", shared, move |shared| filler(shared, &fillers))?);
    threads.push(spawn("exporter", shared, move |shared| exporter(shared, &exporters))?);
    threads.push(spawn("aligner", shared, move |shared| aligner(shared, &pool))?);
    threads.push(spawn("painter", shared, painter)?);
    threads.push(spawn("settings", shared, |shared| {
        shared.texts.work(|error| shared.send(Event::Problem { set: None, message: error.to_string() }));
    })?);
    for n in 0..loaders {
        threads.push(spawn(&format!("tile-loader-{n}"), shared, loader)?);
    }
    Ok(threads)
}

/// The threads of background work, for callers that only pass them on.
pub type WorkPool = rayon::ThreadPool;

/// The pool of `work-N` threads, which give way to all others; 0 is one a core.
pub fn work_pool(threads: usize) -> Result<rayon::ThreadPool> {
    let threads = if threads == 0 { cores() } else { threads };
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(|n| format!("work-{n}"))
        .start_handler(|_| set_urgency(Urgency::Background))
        .build()
        .map_err(|error| no_thread(std::io::Error::other(error)))
}

fn no_thread(error: std::io::Error) -> Error {
    Error::io("the system gives no more threads, close other programs and try again", error, std::path::Path::new(""))
}

fn spawn(name: &str, shared: &Arc<Shared>, work: impl FnOnce(&Arc<Shared>) + Send + 'static) -> Result<JoinHandle<()>> {
    let shared = shared.clone();
    let work = move || {
        set_urgency(Urgency::Soon);
        work(&shared);
    };
    std::thread::Builder::new().name(name.into()).spawn(work).map_err(no_thread)
}

/// Runs work and turns a panic into a message: a bug in one job leaves the others alone.
pub(super) fn contained<T>(shared: &Shared, set: Option<SetId>, what: &str, work: impl FnOnce() -> T) -> Option<T> {
    match std::panic::catch_unwind(AssertUnwindSafe(work)) {
        Ok(value) => Some(value),
        Err(_) => {
            let message = format!("{what} stopped because of a fault in Microtome; please report it");
            shared.send(Event::Problem { set, message });
            None
        }
    }
}

/// Adds up what the open stores hold, for the status bar.
pub(super) fn update_memory(shared: &Shared) {
    let sets: Vec<_> = shared.sets.lock().values().cloned().collect();
    let (mut mapped, mut disk) = (0, 0);
    for set in sets {
        let statistics = set.pyramid.store().statistics();
        mapped += statistics.mapped_bytes;
        disk += statistics.disk_bytes;
    }
    shared.mapped_bytes.store(mapped, Ordering::Relaxed);
    shared.disk_bytes.store(disk, Ordering::Relaxed);
}

/// What a background fill asks and tells.
struct Watch<'a> {
    shared: &'a Shared,
    set: SetId,
    job: JobId,
    cancel: &'a Cancel,
    /// It was this that cancelled, to make room for the set that is looked at.
    gave_way: AtomicBool,
    last: Mutex<Instant>,
}

impl FillWatch for Watch<'_> {
    fn wanted(&self) -> Vec<TileKey> {
        // Finest first: the coarsest tile lies over every piece, and says nothing of where one looks.
        let mut wanted = self.shared.wishes.waiting(self.set);
        wanted.sort_by_key(|key| key.level);
        wanted
    }

    fn between(&self, done: u64, total: u64) -> Result<()> {
        if self.shared.fills.should_switch(self.set) || self.shared.alignments.is_busy() {
            self.gave_way.store(true, Ordering::Relaxed);
            self.cancel.cancel();
        }
        if let Some(mut last) = self.last.try_lock()
            && last.elapsed() >= PROGRESS_INTERVAL
        {
            *last = Instant::now();
            let title = "Preparing";
            self.shared.send(Event::Progress { job: self.job, set: Some(self.set), title, done, total });
            update_memory(self.shared);
        }
        self.shared.wishes.yield_to_loaders(YIELD);
        Ok(())
    }
}

fn filler(shared: &Arc<Shared>, pool: &rayon::ThreadPool) {
    while let Some(id) = shared.fills.next() {
        // The pool is the aligner's while it has something to do: what it measures is decoded first.
        while !shared.alignments.wait_idle() {}
        let Some(set) = shared.set(id) else { continue };
        if tiles_to_fill(set.pyramid.source().images()) > set.pyramid.store().statistics().ready_tiles {
            let (job, cancel) = shared.begin_job(&set.cancel);
            let watch = Watch {
                shared,
                set: id,
                job,
                cancel: &cancel,
                gave_way: AtomicBool::new(false),
                last: Mutex::new(Instant::now()),
            };
            let outcome = contained(shared, Some(id), "Preparing the image", || match &set.mosaic {
                Some(mosaic) => fill_fields(&set.pyramid, &|| mosaic.geometry(), pool, &watch, &cancel),
                None => fill_set(&set.pyramid, pool, &watch, &cancel),
            });
            let switched = watch.gave_way.load(Ordering::Relaxed) && !set.cancel.is_cancelled();
            shared.end_job(job, outcome.unwrap_or(Ok(())));
            if switched {
                // The set that is looked at goes first; this one continues where it stopped.
                shared.fills.push(id);
                continue;
            }
        }
        shared.requests.push(Request::Settle(set));
    }
}
