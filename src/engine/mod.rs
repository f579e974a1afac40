//! The engine: everything that works in the background, behind one handle.
//!
//! The window and the command line push requests into [`Engine`] and take [`Event`]s out. No call here waits.

mod errands;
mod export;
mod fill;
mod loaders;
mod mosaic;
mod open;
mod opener;
mod opening;
mod painter;
mod queue;
mod record;
mod show;
mod statistics;
mod texts;
mod threads;
mod thumbnails;
mod wishes;

pub use export::{ExportJob, ExportReport, ExportTools};
pub use fill::{FillWatch, fill_set, tiles_to_fill};
pub use mosaic::{
    Evenness, FrozenMosaic, LoadedPositions, MosaicEdits, MosaicPhase, MosaicSet, MosaicState, MosaicWatch, OpenMosaic,
    ProfileFiles, SampleSource, Seam, SeamQuality, Seams, Step as MosaicStep,
};
pub use open::{OpenSet, Opening, format_of, is_one_of, metadata_of};
pub use opening::{Decided, OpenAs};
pub use statistics::{HISTOGRAM_BINS, SampledFields, of_channel, of_fields};
pub use threads::{WorkPool, work_pool};

use crate::error::{Error, Result};
use crate::geom::Size;
use crate::mosaic::MOSAIC;
use crate::pixels::ValueCoding;
use crate::pyramid::{AssociatedInfo, Cancel, Coverage, Gaps, ImageInfo, PlaneId, SetId, TileKey, TilePixels};
use crate::store::{self, FREE_DISK_FLOOR_BYTES, Persist, Quota, QuotaOptions};
use parking_lot::Mutex;
use queue::Queue;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use texts::Texts;
use wishes::{SampleRequest, WishList};

/// How long quitting waits for threads to end before it leaves without them.
const QUIT_WAIT: Duration = Duration::from_secs(2);

/// Loader threads at most: more only compete for one disk.
const MAX_LOADERS: usize = 4;

/// How the engine runs.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// Where stores and thumbnails live.
    pub cache_dir: PathBuf,
    /// Where settings and the session live.
    pub data_dir: PathBuf,
    /// How much disk all stores together may take, in bytes.
    pub cache_limit_bytes: u64,
    /// Worker threads; 0 is one a core.
    pub threads: usize,
    /// Keep nothing on disk after the run.
    pub no_cache: bool,
}

/// The program's allocator: it counts, so that the status bar and the benchmarks can say what the heap holds.
#[global_allocator]
pub static HEAP: peak_alloc::PeakAlloc = peak_alloc::PeakAlloc;

impl EngineConfig {
    /// The cache folder with its limits.
    pub fn quota(&self) -> Result<Arc<Quota>> {
        Quota::new(QuotaOptions {
            root: self.cache_dir.clone(),
            limit_bytes: self.cache_limit_bytes,
            free_disk_floor_bytes: FREE_DISK_FLOOR_BYTES,
        })
    }

    /// Reads a text that [`Engine::save_text`] wrote, for a run without an engine. Waits for the disk.
    pub fn saved_text(&self, name: &str) -> Result<Option<String>> {
        Texts::new(self.data_dir.clone()).load(name)
    }

    /// The folder that a command line has to name to find the same settings and decisions, absolute; `None` where it
    /// finds them without.
    pub fn cache_folder_to_name(&self) -> Option<PathBuf> {
        if home_folders().is_some_and(|(_, data_dir)| data_dir == self.data_dir) {
            return None;
        }
        let folder = self.data_dir.parent().filter(|folder| settings_in(folder) == self.data_dir)?;
        std::path::absolute(folder).ok()
    }

    /// Whether stores outlive the run.
    pub fn persist(&self) -> Persist {
        if self.no_cache { Persist::Discard } else { Persist::Keep }
    }
}

/// Where decoded images, and where settings are kept when nothing else is asked for; `None` where the user has no home.
pub fn home_folders() -> Option<(PathBuf, PathBuf)> {
    let home = directories::ProjectDirs::from("", "", "microtome")?;
    Some((home.cache_dir().to_owned(), home.data_dir().to_owned()))
}

/// Where settings are kept in a cache folder that was named.
pub fn settings_in(cache_dir: &std::path::Path) -> PathBuf {
    cache_dir.join("settings")
}

/// Called from any thread when there are events to take: the window asks for a repaint.
pub type Waker = Arc<dyn Fn() + Send + Sync>;

/// A piece of background work that a user can see and cancel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobId(pub u64);

/// An opened image set as the window knows it: headers and metadata, frozen.
#[derive(Debug, Clone)]
pub struct OpenedSet {
    /// Its number in this run.
    pub id: SetId,
    /// What was opened.
    pub path: PathBuf,
    /// The format in words, "Aperio SVS".
    pub format: String,
    /// Its images; of a mosaic one, as it was when it opened.
    pub images: Vec<ImageInfo>,
    /// What makes it a mosaic, where it is one.
    pub mosaic: Option<Arc<MosaicSet>>,
    /// Its associated pictures.
    pub associated: Vec<AssociatedInfo>,
    /// Metadata as flat text.
    pub metadata: BTreeMap<String, String>,
    /// What the user should know about the file, one line each.
    pub warnings: Vec<String>,
}

impl OpenedSet {
    /// The numbers of the images to list: of a mosaic just [`MOSAIC`].
    pub fn listed(&self) -> Vec<u32> {
        if self.mosaic.is_some() { vec![MOSAIC] } else { (0..self.images.len() as u32).collect() }
    }

    /// The image to show first.
    pub fn first(&self) -> u32 {
        if self.mosaic.is_some() { MOSAIC } else { 0 }
    }

    /// An image by its number: of a mosaic [`MOSAIC`] for the whole, and its fields.
    pub fn info(&self, field: u32) -> Option<&ImageInfo> {
        match &self.mosaic {
            Some(_) if field == MOSAIC => self.images.first(),
            Some(mosaic) => mosaic.infos.get(field as usize),
            None => self.images.get(field as usize),
        }
    }
}

/// A display range in stored sample values.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Window {
    /// Shown black.
    pub min: f32,
    /// Shown at full colour.
    pub max: f32,
}

/// What the engine found out about one channel: enough for automatic windows and a histogram.
#[derive(Debug, Clone, PartialEq)]
pub struct ChannelStatistics {
    /// Counts from stored value 0 up to the greatest that is used, 256 equal bins.
    pub histogram: Vec<u64>,
    /// Stored values a bin.
    pub bin_values: u32,
    /// The least and greatest stored sample seen.
    pub range: (u32, u32),
    /// The window that suits the channel.
    pub window: Window,
    /// How stored samples become file values.
    pub coding: ValueCoding,
    /// True once it comes from the coarsest complete level, false for a first sample.
    pub settled: bool,
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobOutcome {
    /// All of it was done.
    Done,
    /// It stopped on request.
    Cancelled,
    /// It could not be done; the words are for the user.
    Failed(String),
}

/// What the engine reports.
#[derive(Debug, Clone)]
pub enum Event {
    /// A path was opened.
    Opened(Arc<OpenedSet>),
    /// A path stands for these others, each of which is reported by itself; for none where it became part of another.
    Resolved { path: PathBuf, paths: Vec<PathBuf> },
    /// So many files of a folder were opened as a mosaic, and there are more like them.
    PartOpened { folder: PathBuf, files: usize },
    /// A path could not be opened; `try_again` says whether it may work at another time.
    OpenFailed { path: PathBuf, message: String, try_again: bool },
    /// A tile is ready for the GPU.
    Tile(Arc<TilePixels>),
    /// A tile cannot be read: draw it hatched.
    TileFailed { set: SetId, key: TileKey, reason: String },
    /// Statistics of a channel, first from a sample, then settled.
    Statistics { set: SetId, field: u32, channel: u16, statistics: Arc<ChannelStatistics> },
    /// The values under the pointer, file values: one a channel (three for RGB); of a mosaic, where they come from.
    Sample { set: SetId, field: u32, x: u32, y: u32, values: Vec<(u16, Vec<f64>)>, source: Option<SampleSource> },
    /// A mosaic stands otherwise, or more is known of it.
    Mosaic { set: SetId, state: Arc<MosaicState> },
    /// Places were read from a file, for the session to take over.
    PositionsLoaded { set: SetId, positions: Arc<LoadedPositions> },
    /// Places were written.
    PositionsSaved { set: SetId, path: PathBuf },
    /// How far a job is. `total` is 0 while unknown.
    Progress { job: JobId, set: Option<SetId>, title: &'static str, done: u64, total: u64 },
    /// A job ended.
    Finished { job: JobId, outcome: JobOutcome },
    /// How an export of the window gets on.
    Export { path: PathBuf, report: ExportReport },
    /// Something the user should know, for the problems list.
    Problem { set: Option<SetId>, message: String },
    /// A thumbnail of an opened or recent path, RGBA rows.
    Thumbnail { path: PathBuf, size: Size, rgba: Arc<Vec<u8>> },
    /// An associated picture, RGB rows.
    Associated { set: SetId, index: usize, size: Size, rgb: Arc<Vec<u8>> },
    /// A text that [`Engine::load_text`] asked for; `None` where there is no such file.
    Text { name: String, text: Option<String> },
    /// A part of the demo is there, the fields first.
    DemoReady { path: PathBuf },
}

/// What the program holds, for the status bar.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MemoryUse {
    /// The Rust heap now, bytes.
    pub heap_bytes: u64,
    /// Mapped slabs, bytes.
    pub mapped_bytes: u64,
    /// Stores on disk, bytes.
    pub disk_bytes: u64,
}

/// What all threads of the engine share.
struct Shared {
    config: EngineConfig,
    quota: Arc<Quota>,
    waker: Waker,
    events: Mutex<Vec<Event>>,
    sets: Mutex<BTreeMap<SetId, Arc<OpenSet>>>,
    /// Closed sets that some thread may still hold for a moment.
    closing: Mutex<Vec<Weak<OpenSet>>>,
    wishes: WishList,
    jobs: Mutex<BTreeMap<JobId, Cancel>>,
    requests: threads::Requests,
    fills: threads::Fills,
    alignments: mosaic::Alignments,
    exports: Queue<export::ExportJob>,
    paintings: painter::Paintings,
    errands: Queue<errands::Errand>,
    texts: Texts,
    next_set: AtomicU32,
    next_job: AtomicU64,
    mapped_bytes: AtomicU64,
    disk_bytes: AtomicU64,
}

/// The handle to everything that works in the background. Dropping it stops the threads (at most two seconds).
pub struct Engine {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    /// Stands in for a cache folder that cannot be used; it goes when the threads have ended.
    _private_cache: Option<TempDir>,
}

/// Where this run keeps decoded images.
struct CacheFolder {
    config: EngineConfig,
    quota: Arc<Quota>,
    private: Option<TempDir>,
    /// What the user should know about it.
    problem: Option<String>,
}

impl CacheFolder {
    /// The folder that was asked for; where it cannot be used, one of this run's own, so that images still open.
    fn open(config: EngineConfig) -> Result<Self> {
        let error = match config.quota() {
            Ok(quota) => return Ok(Self { config, quota, private: None, problem: None }),
            Err(error) => error,
        };
        let outside = std::env::temp_dir();
        let private = tempfile::Builder::new()
            .prefix("microtome-")
            .tempdir_in(&outside)
            .map_err(|e| Error::io("cannot make a folder for decoded images", e, &outside))?;
        // The store makes this one, closed to other users.
        let config = EngineConfig { cache_dir: private.path().join("cache"), no_cache: true, ..config };
        let quota = config.quota()?;
        let problem =
            format!("decoded images are kept only until Microtome is closed, because of the cache folder: {error}");
        Ok(Self { config, quota, private: Some(private), problem: Some(problem) })
    }
}

impl Engine {
    /// Starts the threads. Where the cache folder cannot be used, a private one takes its place until the end of the
    /// run, and an [`Event::Problem`] says so.
    pub fn new(config: EngineConfig, waker: Waker) -> Result<Self> {
        let CacheFolder { config, quota, private, problem } = CacheFolder::open(config)?;
        let cores = store::system::cores();
        let workers = config.threads;
        let loaders = cores.saturating_sub(1).clamp(1, MAX_LOADERS);
        let texts = Texts::new(config.data_dir.clone());
        let shared = Arc::new(Shared {
            config,
            quota,
            waker,
            events: Mutex::default(),
            sets: Mutex::default(),
            closing: Mutex::default(),
            wishes: WishList::default(),
            jobs: Mutex::default(),
            requests: threads::Requests::default(),
            fills: threads::Fills::default(),
            alignments: mosaic::Alignments::default(),
            exports: Queue::default(),
            paintings: painter::Paintings::default(),
            errands: Queue::default(),
            texts,
            next_set: AtomicU32::new(1),
            next_job: AtomicU64::new(1),
            mapped_bytes: AtomicU64::new(0),
            disk_bytes: AtomicU64::new(0),
        });
        if let Some(message) = problem {
            shared.send(Event::Problem { set: None, message });
        }
        let threads = threads::start(&shared, loaders, workers)?;
        Ok(Self { shared, threads, _private_cache: private })
    }

    /// The folders that the program keeps its own files in.
    pub fn own_folders(&self) -> Vec<PathBuf> {
        vec![self.shared.config.cache_dir.clone(), self.shared.config.data_dir.clone()]
    }

    /// The folder that a command line has to name to find what this engine keeps: [`EngineConfig::cache_folder_to_name`].
    pub fn cache_folder_to_name(&self) -> Option<PathBuf> {
        self.shared.config.cache_folder_to_name()
    }

    /// Opens a file or folder in the background: [`Event::Opened`] or [`Event::OpenFailed`].
    pub fn open(&self, path: PathBuf) {
        self.open_as(OpenAs::Found(path));
    }

    /// Paints the parts of the demo that are not there (with progress), and says of each that it is: [`Event::DemoReady`].
    pub fn demo(&self) {
        self.shared.paintings.want();
    }

    /// Replaces the wish list: what the view lacks, most wanted first; then what it may need soon. Of a mosaic,
    /// `generation` is the oldest that will do (0 of other images): fused tiles that failed are tried again when it goes up.
    pub fn want(&self, set: SetId, generation: u64, wishes: Vec<TileKey>, prefetch: Vec<TileKey>) {
        self.shared.fills.prefer(set);
        self.shared.alignments.prefer(set);
        self.shared.wishes.replace(set, generation, wishes, prefetch);
    }

    /// Takes back tiles that are on the GPU, so that no frame has to let go of their memory.
    pub fn spend(&self, tiles: Vec<Arc<TilePixels>>) {
        if !tiles.is_empty() {
            self.shared.wishes.spend(tiles);
        }
    }

    /// Asks for the values under the pointer; a newer question replaces an older one.
    pub fn want_sample(&self, set: SetId, planes: Vec<PlaneId>, x: u32, y: u32) {
        self.shared.wishes.ask(SampleRequest { set, planes, x, y });
    }

    /// Takes over what the user decided about a mosaic, and keeps it: [`Event::Mosaic`].
    pub fn edit_mosaic(&self, set: SetId, edits: Arc<MosaicEdits>) {
        self.shared.edit_mosaic(set, edits);
    }

    /// Aligns a mosaic anew, from its nominal layout.
    pub fn align_again(&self, set: SetId) {
        self.shared.align_again(set);
    }

    /// Writes the places of a mosaic's fields: `TileConfiguration` for `.txt`, else CSV. [`Event::PositionsSaved`].
    pub fn save_positions(&self, set: SetId, path: PathBuf) {
        self.shared.requests.push(threads::Request::SavePositions(set, path));
    }

    /// Reads places for a mosaic's fields: [`Event::PositionsLoaded`].
    pub fn load_positions(&self, set: SetId, path: PathBuf) {
        self.shared.requests.push(threads::Request::LoadPositions(set, path));
    }

    /// Opens files in the background: for every path [`Event::Opened`], [`Event::OpenFailed`], or [`Event::Resolved`].
    pub fn open_as(&self, how: OpenAs) {
        self.shared.requests.push(threads::Request::Open(how));
    }

    /// Asks for an associated picture.
    pub fn want_associated(&self, set: SetId, index: usize) {
        self.shared.requests.push(threads::Request::Associated(set, index));
    }

    /// Asks for the stored thumbnails of recent paths.
    pub fn want_thumbnails(&self, paths: Vec<PathBuf>) {
        self.shared.requests.push(threads::Request::Thumbnails(paths));
    }

    /// Writes a file from an open set when those before it are written: [`Event::Export`] says how it gets on.
    pub fn export(&self, job: ExportJob) {
        self.shared.exports.push(job);
    }

    /// Shows a written file in the system's file manager.
    pub fn show_in_folder(&self, path: PathBuf) {
        show::show_in_folder(&self.shared, path);
    }

    /// Lends an open set to a piece of work that a person waits for, after those before it.
    pub fn with_set(&self, set: SetId, work: Box<dyn FnOnce(&OpenSet) + Send>) {
        self.shared.errands.push((set, work));
    }

    /// Stops a job.
    pub fn cancel(&self, job: JobId) {
        if let Some(cancel) = self.shared.jobs.lock().get(&job) {
            cancel.cancel();
        }
    }

    /// Closes an image set: its work stops, its store stays for the next time.
    pub fn close(&self, set: SetId) {
        let open = self.shared.sets.lock().remove(&set);
        if let Some(open) = open {
            open.cancel.cancel();
            let mut closing = self.shared.closing.lock();
            closing.retain(|set| set.strong_count() > 0);
            closing.push(Arc::downgrade(&open));
            // Letting go of the store unmaps files: a worker does that.
            self.shared.requests.push(threads::Request::Release(open));
        }
    }

    /// Removes the store and thumbnail of a path (of an open set: when it is closed).
    pub fn forget(&self, path: PathBuf) {
        self.shared.requests.push(threads::Request::Forget(path));
    }

    /// Writes a small text (settings, session) in the user's data folder, atomically, by a worker, at most twice a
    /// second; the last text wins.
    pub fn save_text(&self, name: &str, text: String) {
        self.shared.texts.save(name, text);
    }

    /// Reads such a text back: [`Event::Text`].
    pub fn load_text(&self, name: &str) {
        self.shared.requests.push(threads::Request::LoadText(name.to_owned()));
    }

    /// The events since the last call.
    pub fn events(&self) -> Vec<Event> {
        let events = std::mem::take(&mut *self.shared.events.lock());
        self.shared.wishes.delivered(events.iter().filter_map(|event| match event {
            // Provisional tiles are shown beside the wish, not in its place.
            Event::Tile(tile) if tile.coverage == Coverage::FULL || tile.gaps == Gaps::Unreadable => {
                Some((tile.set, tile.key))
            }
            _ => None,
        }));
        events
    }

    /// What the program holds. The sizes of mapped files are those of a moment ago.
    pub fn memory(&self) -> MemoryUse {
        MemoryUse {
            heap_bytes: HEAP.current_usage() as u64,
            mapped_bytes: self.shared.mapped_bytes.load(Ordering::Relaxed),
            disk_bytes: self.shared.disk_bytes.load(Ordering::Relaxed),
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        for set in self.shared.sets.lock().values() {
            set.cancel.cancel();
        }
        for cancel in self.shared.jobs.lock().values() {
            cancel.cancel();
        }
        self.shared.wishes.stop();
        self.shared.requests.stop();
        self.shared.fills.stop();
        self.shared.alignments.stop();
        self.shared.exports.stop();
        self.shared.paintings.stop();
        self.shared.errands.stop();
        self.shared.texts.stop();
        let until = Instant::now() + QUIT_WAIT;
        for thread in self.threads.drain(..) {
            while !thread.is_finished() && Instant::now() < until {
                std::thread::park_timeout(Duration::from_millis(5));
            }
            if thread.is_finished() && thread.join().is_err() {
                tracing::error!("a background thread ended in a panic");
            }
        }
    }
}

impl Shared {
    /// Reports an event and wakes the window.
    fn send(&self, event: Event) {
        let mut events = self.events.lock();
        // A window that is not drawn takes no events: only the latest progress of a job, and the latest state of a mosaic,
        // is worth keeping.
        match event {
            Event::Progress { job, .. } => {
                events.retain(|other| !matches!(other, Event::Progress { job: of, .. } if *of == job));
            }
            Event::Mosaic { set, .. } => {
                events.retain(|other| !matches!(other, Event::Mosaic { set: of, .. } if *of == set));
            }
            _ => {}
        }
        events.push(event);
        drop(events);
        (self.waker)();
    }

    /// Registers a job that the user can cancel.
    fn begin_job(&self, parent: &Cancel) -> (JobId, Cancel) {
        let job = JobId(self.next_job.fetch_add(1, Ordering::Relaxed));
        let cancel = parent.child();
        self.jobs.lock().insert(job, cancel.clone());
        (job, cancel)
    }

    /// Reports how a job ended. Being cancelled is no failure.
    fn end_job(&self, job: JobId, outcome: Result<()>) {
        self.jobs.lock().remove(&job);
        let outcome = match outcome {
            Ok(()) => JobOutcome::Done,
            Err(Error::Cancelled) => JobOutcome::Cancelled,
            Err(error) => JobOutcome::Failed(error.to_string()),
        };
        self.send(Event::Finished { job, outcome });
    }

    /// An open set by its number.
    fn set(&self, id: SetId) -> Option<Arc<OpenSet>> {
        self.sets.lock().get(&id).cloned()
    }
}
