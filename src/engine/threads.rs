//! The engine's threads and what each does.
//!
//! - `opener` answers requests that a person waits for: opening, associated pictures, thumbnails, settings.
//! - `tile-loader-N` bring tiles from the wish list.
//! - `filler` fills one set after the other with the `work-N` pool, which runs at low priority.
//! - `settings` writes small texts.

use super::open::paths_of;
use super::{Event, FillWatch, JobId, OpenSet, Shared, fill_set, statistics, thumbnails, tiles_to_fill};
use crate::error::{Error, Result};
use crate::pyramid::{Cancel, ChannelRole, Loaded, Made, PlaneId, SetId, Step, TileKey};
use crate::store;
use parking_lot::{Condvar, Mutex};
use std::collections::{HashMap, VecDeque};
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::wishes::{Again, SampleRequest, Task};

/// Progress is reported at most this often.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);

/// How long a filler gives way to loaders between two units.
const YIELD: Duration = Duration::from_millis(2);

/// How long a loader works on what one coarse tile needs before it looks at the wish list again.
const LOADER_TURN: Duration = Duration::from_millis(15);

/// Incomplete coarse tiles that are shown anew in one round.
const MAX_REFRESHED: usize = 16;

/// What the opener is asked for.
pub(super) enum Request {
    Open(PathBuf),
    Demo,
    Associated(SetId, usize),
    Thumbnails(Vec<PathBuf>),
    Forget(PathBuf),
    LoadText(String),
    Release(Arc<OpenSet>),
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

    fn next(&self) -> Option<Request> {
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
    fn push(&self, set: SetId) {
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
    let pool = work_pool(workers)?;
    threads.push(spawn("opener", shared, opener)?);
    threads.push(spawn("filler", shared, move |shared| filler(shared, &pool))?);
    threads.push(spawn("settings", shared, |shared| {
        shared.texts.work(|error| shared.send(Event::Problem { set: None, message: error.to_string() }));
    })?);
    for n in 0..loaders {
        threads.push(spawn(&format!("tile-loader-{n}"), shared, loader)?);
    }
    Ok(threads)
}

/// The pool of `work-N` threads, which give way to all others; 0 is one a core.
pub fn work_pool(threads: usize) -> Result<rayon::ThreadPool> {
    let threads = if threads == 0 { store::system::cores() } else { threads };
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(|n| format!("work-{n}"))
        .start_handler(|_| store::system::lower_priority())
        .build()
        .map_err(|error| no_thread(std::io::Error::other(error)))
}

fn no_thread(error: std::io::Error) -> Error {
    Error::io("the system gives no more threads, close other programs and try again", error, std::path::Path::new(""))
}

fn spawn(name: &str, shared: &Arc<Shared>, work: impl FnOnce(&Arc<Shared>) + Send + 'static) -> Result<JoinHandle<()>> {
    let shared = shared.clone();
    std::thread::Builder::new().name(name.into()).spawn(move || work(&shared)).map_err(no_thread)
}

/// Runs work and turns a panic into a message: a bug in one job leaves the others alone.
fn contained<T>(shared: &Shared, set: Option<SetId>, what: &str, work: impl FnOnce() -> T) -> Option<T> {
    match std::panic::catch_unwind(AssertUnwindSafe(work)) {
        Ok(value) => Some(value),
        Err(_) => {
            let message = format!("{what} stopped because of a fault in Microtome; please report it");
            shared.send(Event::Problem { set, message });
            None
        }
    }
}

fn opener(shared: &Arc<Shared>) {
    while let Some(request) = shared.requests.next() {
        contained(shared, None, "Opening", || answer(shared, request));
    }
}

fn answer(shared: &Arc<Shared>, request: Request) {
    match request {
        Request::Open(path) => open(shared, path),
        Request::Demo => demo(shared),
        Request::Associated(id, index) => associated(shared, id, index),
        Request::Thumbnails(paths) => {
            for path in paths {
                if let Some((size, rgba)) = thumbnails::load(&shared.config.cache_dir, &path) {
                    shared.send(Event::Thumbnail { path, size, rgba: Arc::new(rgba) });
                }
            }
        }
        Request::Forget(path) => {
            let label = path.display().to_string();
            // A store that a thread still holds goes when that thread lets go of it.
            let mut held: Vec<_> = shared.closing.lock().iter().filter_map(Weak::upgrade).collect();
            held.extend(shared.sets.lock().values().cloned());
            for set in held {
                if set.opened.path == path {
                    set.pyramid.store().discard_on_close();
                }
            }
            let forgotten = thumbnails::forget(&shared.config.cache_dir, &path)
                .and_then(|()| store::catalogue::forget(&shared.config.cache_dir, &label).map(drop));
            if let Err(error) = forgotten {
                shared.send(Event::Problem { set: None, message: error.to_string() });
            }
        }
        Request::LoadText(name) => match shared.texts.load(&name) {
            Ok(text) => shared.send(Event::Text { name, text }),
            Err(error) => {
                shared.send(Event::Problem { set: None, message: error.to_string() });
                shared.send(Event::Text { name, text: None });
            }
        },
        Request::Release(set) => drop(set),
        Request::Statistics(set) => report_statistics(shared, &set),
        Request::Settle(set) => {
            report_statistics(shared, &set);
            if !set.cancel.is_cancelled() {
                make_thumbnail(shared, &set);
            }
        }
    }
    update_memory(shared);
}

fn open(shared: &Arc<Shared>, path: PathBuf) {
    let paths = match paths_of(&path) {
        Ok(paths) => paths,
        Err(error) => return shared.send(Event::OpenFailed { path, message: error.to_string() }),
    };
    let is_open = |path: &PathBuf| shared.sets.lock().values().any(|set| set.opened.path == *path);
    let paths: Vec<PathBuf> = if paths != [path.clone()] {
        let new: Vec<_> = paths.into_iter().filter(|path| !is_open(path)).collect();
        shared.send(Event::Resolved { path, paths: new.clone() });
        new
    } else {
        paths
    };
    for path in paths {
        let id = SetId(shared.next_set.fetch_add(1, Ordering::Relaxed));
        let opened = std::panic::catch_unwind(AssertUnwindSafe(|| {
            OpenSet::open(id, &path, &shared.quota, shared.config.persist())
        }));
        match opened {
            Ok(Ok(set)) => {
                let set = Arc::new(set);
                shared.sets.lock().insert(id, set.clone());
                shared.send(Event::Opened(set.opened.clone()));
                // Other files are opened first; this is asked for at once after them.
                shared.requests.push(Request::Statistics(set));
                shared.fills.push(id);
            }
            Ok(Err(error)) => shared.send(Event::OpenFailed { path, message: error.to_string() }),
            Err(_) => {
                let message = format!("this file stops its reader, please report it: {}", path.display());
                shared.send(Event::OpenFailed { path, message });
            }
        }
    }
}

fn demo(shared: &Arc<Shared>) {
    let (job, cancel) = shared.begin_job(&Cancel::default());
    let mut last = Instant::now();
    let mut progress = |done: u64, total: u64| {
        if last.elapsed() >= PROGRESS_INTERVAL {
            last = Instant::now();
            shared.send(Event::Progress { job, set: None, title: "Painting the demo image", done, total });
        }
    };
    match crate::demo::write_demo(&shared.config.data_dir.join("demo"), &mut progress, &cancel) {
        Ok(paths) => {
            shared.end_job(job, Ok(()));
            for path in paths {
                shared.send(Event::DemoReady { path });
            }
        }
        Err(error) => shared.end_job(job, Err(error)),
    }
}

fn associated(shared: &Shared, id: SetId, index: usize) {
    let Some(set) = shared.set(id) else { return };
    let Some(info) = set.opened.associated.get(index) else { return };
    match set.pyramid.source().read_associated(index) {
        Ok(rgb) => shared.send(Event::Associated { set: id, index, size: info.size, rgb: Arc::new(rgb) }),
        Err(error) => shared.send(Event::Problem { set: Some(id), message: error.to_string() }),
    }
}

/// Statistics of the channels of the first planes, as far as the levels that are there allow.
fn report_statistics(shared: &Shared, set: &OpenSet) {
    for (field, image) in set.opened.images.iter().enumerate() {
        for (channel, info) in image.channels.iter().enumerate() {
            if info.role != ChannelRole::Intensity || image.size.is_empty() {
                continue;
            }
            let (field, channel) = (field as u32, channel as u16);
            let plane = PlaneId { field, channel, z: image.z_count / 2, t: 0 };
            match statistics::of_channel(&set.pyramid, plane, &set.cancel) {
                Ok(Some(found)) => {
                    shared.send(Event::Statistics { set: set.opened.id, field, channel, statistics: Arc::new(found) })
                }
                Ok(None) | Err(Error::Cancelled) => {}
                Err(error) => shared.send(Event::Problem { set: Some(set.opened.id), message: error.to_string() }),
            }
        }
    }
}

fn make_thumbnail(shared: &Shared, set: &OpenSet) {
    match thumbnails::make(set, &shared.config.cache_dir) {
        Ok(Some((size, rgba))) => {
            shared.send(Event::Thumbnail { path: set.opened.path.clone(), size, rgba: Arc::new(rgba) });
        }
        Ok(None) => {}
        Err(error) => shared.send(Event::Problem { set: Some(set.opened.id), message: error.to_string() }),
    }
}

/// Adds up what the open stores hold, for the status bar.
fn update_memory(shared: &Shared) {
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

fn loader(shared: &Arc<Shared>) {
    // What was last shown of an incomplete tile, so that the same picture is not sent twice.
    let mut shown: HashMap<(SetId, TileKey), u64> = HashMap::new();
    loop {
        match shared.wishes.next() {
            Task::Stop => return,
            Task::Load(id, key) => {
                if contained(shared, Some(id), "Loading a part of the image", || load(shared, id, key)).is_none() {
                    let reason = "reading it stopped because of a fault in Microtome".into();
                    shared.send(Event::TileFailed { set: id, key, reason });
                    shared.wishes.put_back(id, key, Again::Never);
                }
            }
            Task::Sample(request) => {
                contained(shared, Some(request.set), "Reading values", || sample(shared, &request));
            }
            Task::Refresh(id, keys) => {
                if shown.len() > 4 * MAX_REFRESHED * MAX_REFRESHED {
                    shown.clear();
                }
                contained(shared, Some(id), "Showing progress", || refresh(shared, id, &keys, &mut shown));
            }
        }
    }
}

fn load(shared: &Shared, id: SetId, key: TileKey) {
    let Some(set) = shared.set(id) else { return shared.wishes.put_back(id, key, Again::Never) };
    match set.pyramid.load(key, &set.cancel) {
        Ok(Loaded::Tile(tile)) => {
            shared.wishes.brought(id, key);
            shared.send(Event::Tile(Arc::new(tile)));
        }
        Ok(Loaded::Failed(reason)) => {
            shared.send(Event::TileFailed { set: id, key, reason });
            shared.wishes.put_back(id, key, Again::Never);
        }
        Ok(Loaded::Later(Made::NotYet)) => work_towards(shared, &set, key),
        Ok(Loaded::Later(_)) => shared.wishes.put_back(id, key, Again::Later),
        Err(Error::Cancelled) => shared.wishes.put_back(id, key, Again::Never),
        Err(error) => {
            // The file as a whole has become unreadable: say it once for the tile, and stop asking for it.
            shared.send(Event::TileFailed { set: id, key, reason: error.to_string() });
            shared.wishes.put_back(id, key, Again::Never);
        }
    }
}

/// Makes parts of what a coarse tile needs, for a moment; then the wish list decides what is most wanted.
fn work_towards(shared: &Shared, set: &OpenSet, key: TileKey) {
    let id = set.opened.id;
    let until = Instant::now() + LOADER_TURN;
    while Instant::now() < until {
        match set.pyramid.step_towards(key, &set.cancel) {
            Ok(Step::Progressed) => {}
            Ok(Step::Ready | Step::Incomplete) => break,
            Ok(Step::Busy) => return shared.wishes.put_back(id, key, Again::Later),
            Err(Error::Cancelled) => return shared.wishes.put_back(id, key, Again::Never),
            Err(error) => {
                shared.send(Event::TileFailed { set: id, key, reason: error.to_string() });
                return shared.wishes.put_back(id, key, Again::Never);
            }
        }
    }
    shared.wishes.put_back(id, key, Again::Soon);
}

fn sample(shared: &Shared, request: &SampleRequest) {
    let Some(set) = shared.set(request.set) else { return };
    let mut values = Vec::new();
    for &plane in &request.planes {
        match set.pyramid.sample(plane, request.x, request.y) {
            Ok(Some(sample)) => values.push((plane.channel, sample)),
            Ok(None) => {}
            // An unreadable place has no value to show; the tile itself says why.
            Err(error) => tracing::debug!("no value: {error}"),
        }
    }
    let field = request.planes.first().map_or(0, |p| p.field);
    shared.send(Event::Sample { set: request.set, field, x: request.x, y: request.y, values });
}

fn refresh(shared: &Shared, id: SetId, keys: &[TileKey], shown: &mut HashMap<(SetId, TileKey), u64>) {
    let Some(set) = shared.set(id) else { return };
    for &key in keys.iter().take(MAX_REFRESHED) {
        let there = set.pyramid.provisional_coverage(key);
        if there == 0 || shown.get(&(id, key)) == Some(&there) {
            continue;
        }
        match set.pyramid.provisional(key) {
            Ok(Some(tile)) => {
                shown.insert((id, key), there);
                shared.send(Event::Tile(Arc::new(tile)));
            }
            Ok(None) => {}
            Err(error) => return shared.send(Event::Problem { set: Some(id), message: error.to_string() }),
        }
    }
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
        if self.shared.fills.should_switch(self.set) {
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
        let Some(set) = shared.set(id) else { continue };
        if tiles_to_fill(&set.opened.images) > set.pyramid.store().statistics().ready_tiles {
            let (job, cancel) = shared.begin_job(&set.cancel);
            let watch = Watch {
                shared,
                set: id,
                job,
                cancel: &cancel,
                gave_way: AtomicBool::new(false),
                last: Mutex::new(Instant::now()),
            };
            let outcome =
                contained(shared, Some(id), "Preparing the image", || fill_set(&set.pyramid, pool, &watch, &cancel));
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
