//! All state a user can change.
//!
//! A [`Command`] changes it, through [`Session::apply`]; what the engine reports comes in through [`Session::pump`].
//! Nothing here waits or touches a file: what the engine is to do is left in a list of [`Request`]s, which the window
//! passes on after every frame.
//! So a test can drive a session without threads, with commands and events of its own.

mod apply;
mod apply_mosaic;
mod command;
mod export;
mod image;
mod mosaic;
mod preferences;
mod reports;
mod request;
mod undo;

pub use command::{Command, ImageId, MosaicCommand, PixelSizeTool, RightTab, ViewMove};
pub use export::{
    Compression, ExportChoices, ExportCommand, ExportEstimate, ExportPanel, ExportPlan, ExportPreset, ExportStage,
    ExportWhat, Packing, PictureFormat, PicturePlan, PictureSize, SamplesPlan,
};
pub use image::{ChannelView, Framing, OpenImage, ReadOut, WINDOW_PATIENCE_SECS, WindowOrigin, is_pixel_size};
pub use mosaic::{Flicker, MosaicView, SETTLE_SECS, SeamsOverlay, Selection};
pub use preferences::{Background, INTERFACE_SCALE, MAX_RECENT, Preferences, ScrollMode, ThemeChoice};
pub use reports::{Job, Problem};
pub use request::Request;
pub use undo::{Edit, PixelSize};

use crate::engine::{Event, JobId, JobOutcome, OpenedSet};
use crate::geom::{Point, Size};
use crate::mosaic::MOSAIC;
use crate::pyramid::{SetId, TileKey};
use preferences::{IMAGES, SETTINGS, SavedImages, SavedSettings};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use undo::UndoStack;

/// Lines of the problems list; older ones are dropped.
pub const MAX_PROBLEMS: usize = 200;
/// Unreadable places of one image that are remembered for hatching; a file with more is beyond drawing.
const MAX_FAILED_TILES: usize = 4096;
/// How long it is said that something was done: long enough to read.
const NOTICE_SECS: f64 = 5.0;
/// How long the rest of a folder is offered: long enough to see that something is missing.
const OFFER_SECS: f64 = 20.0;
/// Paths in the Images list, open ones and failed ones.
const MAX_ENTRIES: usize = 1000;

/// One line of the Images list.
#[derive(Debug, Clone)]
pub enum Entry {
    /// Its headers are being read.
    Opening(PathBuf),
    /// It could not be opened.
    Failed {
        /// The file or folder.
        path: PathBuf,
        /// Why, in words.
        message: String,
        /// Whether it may work at another time.
        try_again: bool,
    },
    /// It is open.
    Open(Arc<OpenedSet>),
}

impl Entry {
    /// The file or folder.
    pub fn path(&self) -> &Path {
        match self {
            Self::Opening(path) | Self::Failed { path, .. } => path,
            Self::Open(set) => &set.path,
        }
    }
}

/// Folders of the system that files are proposed in.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Folders {
    /// The program's own: nobody looks for a file there.
    pub own: Vec<PathBuf>,
    /// Where the user keeps pictures.
    pub pictures: Option<PathBuf>,
}

impl Folders {
    /// Where a file is proposed that comes of an image: beside it, or among the user's pictures where that is a folder of
    /// the program, as for the demo.
    pub fn beside(&self, image: &Path) -> PathBuf {
        let beside = image.parent().unwrap_or(Path::new(""));
        let is_own = self.own.iter().any(|own| beside.starts_with(own));
        self.pictures.as_deref().filter(|_| is_own).unwrap_or(beside).to_owned()
    }
}

/// All state a user can change.
#[derive(Debug)]
pub struct Session {
    entries: Vec<Entry>,
    images: BTreeMap<ImageId, OpenImage>,
    current: Option<ImageId>,
    /// The next image that opens is shown, because the user just asked for it.
    show_next: bool,
    settings: SavedSettings,
    shown: SavedImages,
    problems: Vec<Problem>,
    failed_tiles: BTreeMap<SetId, BTreeSet<TileKey>>,
    jobs: Vec<Job>,
    /// Cancelled jobs whose end was not reported yet: what they still say is ignored.
    cancelled: BTreeSet<JobId>,
    undo: UndoStack,
    pixel_size_tool: PixelSizeTool,
    panels_hidden: bool,
    right_tab: RightTab,
    keys_shown: bool,
    associated_shown: Option<usize>,
    export: Option<ExportPanel>,
    combining: bool,
    /// Something that was done, and when it was said.
    notice: Option<(String, f64)>,
    /// A folder that holds more than what was just opened of it, and since when it is offered.
    offer: Option<(PathBuf, f64)>,
    pointer: Option<Point>,
    canvas: Size,
    pixels_per_point: f32,
    /// The cache folder that a command line has to name to find what this run keeps.
    command_folder: Option<PathBuf>,
    now_secs: f64,
    folders: Folders,
    requests: Vec<Request>,
    /// Images whose display is to be saved.
    display_changed: BTreeSet<ImageId>,
    settings_changed: bool,
    settings_text: SavedText,
    images_text: SavedText,
}

/// Whether a text of the last run is known. Nothing is saved over one that is still on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SavedText {
    Awaited,
    Known,
}

impl Session {
    /// An empty session that has asked for its settings.
    pub fn new() -> Self {
        Self {
            entries: Vec::new(),
            images: BTreeMap::new(),
            current: None,
            show_next: true,
            settings: SavedSettings::default(),
            shown: SavedImages::default(),
            problems: Vec::new(),
            failed_tiles: BTreeMap::new(),
            jobs: Vec::new(),
            cancelled: BTreeSet::new(),
            undo: UndoStack::default(),
            pixel_size_tool: PixelSizeTool::default(),
            panels_hidden: false,
            right_tab: RightTab::default(),
            keys_shown: false,
            associated_shown: None,
            export: None,
            combining: false,
            notice: None,
            offer: None,
            pointer: None,
            canvas: Size::new(1, 1),
            pixels_per_point: 1.0,
            command_folder: None,
            now_secs: 0.0,
            folders: Folders::default(),
            requests: vec![Request::LoadText(SETTINGS), Request::LoadText(IMAGES)],
            display_changed: BTreeSet::new(),
            settings_changed: false,
            settings_text: SavedText::Awaited,
            images_text: SavedText::Awaited,
        }
    }

    /// Says which folders files are proposed in.
    pub fn set_folders(&mut self, folders: Folders) {
        self.folders = folders;
    }

    /// The folders that files are proposed in.
    pub fn folders(&self) -> &Folders {
        &self.folders
    }

    /// The lines of the Images list.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// An open image.
    pub fn image(&self, id: ImageId) -> Option<&OpenImage> {
        self.images.get(&id)
    }

    /// The image on the canvas.
    pub fn current(&self) -> Option<&OpenImage> {
        self.images.get(&self.current?)
    }

    /// What the user prefers.
    pub fn preferences(&self) -> &Preferences {
        &self.settings.preferences
    }

    /// Recently opened paths, the last one first.
    pub fn recent(&self) -> &[PathBuf] {
        &self.settings.recent
    }

    /// What the user should know, oldest first.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// Places of a set that cannot be read.
    pub fn failed_tiles(&self, set: SetId) -> impl Iterator<Item = TileKey> + '_ {
        self.failed_tiles.get(&set).into_iter().flatten().copied()
    }

    /// Work in the background.
    pub fn jobs(&self) -> &[Job] {
        &self.jobs
    }

    /// The change that undo would take back.
    pub fn next_undo(&self) -> Option<&Edit> {
        self.undo.next_undo()
    }

    /// The change that redo would make again.
    pub fn next_redo(&self) -> Option<&Edit> {
        self.undo.next_redo()
    }

    /// How the pixel size is being set.
    pub fn pixel_size_tool(&self) -> PixelSizeTool {
        self.pixel_size_tool
    }

    /// Whether all panels are hidden.
    pub fn panels_hidden(&self) -> bool {
        self.panels_hidden
    }

    /// The tab of the right panel.
    pub fn right_tab(&self) -> RightTab {
        self.right_tab
    }

    /// Whether the list of keys is shown.
    pub fn keys_shown(&self) -> bool {
        self.keys_shown
    }

    /// The associated picture that is shown.
    pub fn associated_shown(&self) -> Option<usize> {
        self.associated_shown
    }

    /// Something that was done a moment ago.
    pub fn notice(&self) -> Option<&str> {
        let (text, since_secs) = self.notice.as_ref()?;
        (self.now_secs - since_secs < NOTICE_SECS).then_some(text)
    }

    /// The folder of what was just opened, where it holds more and is not open.
    pub fn offer(&self) -> Option<&Path> {
        let (folder, since_secs) = self.offer.as_ref()?;
        let is_listed = self.entries.iter().any(|entry| entry.path() == folder);
        (!is_listed && self.now_secs - since_secs < OFFER_SECS).then_some(folder)
    }

    /// Says for a moment that something was done.
    pub fn tell(&mut self, text: String) {
        self.notice = Some((text, self.now_secs));
    }

    /// Whether images are being chosen to be combined as a mosaic.
    pub fn combining(&self) -> bool {
        self.combining
    }

    /// The open sets that can become fields of one mosaic: files of one image each.
    pub fn combinable(&self) -> impl Iterator<Item = &Arc<OpenedSet>> {
        self.entries.iter().filter_map(|entry| match entry {
            Entry::Open(set) if set.mosaic.is_none() && set.images.len() == 1 => Some(set),
            _ => None,
        })
    }

    /// Whether the image on the canvas can become a field, and another one beside it.
    pub fn can_combine(&self) -> bool {
        self.combinable().filter(|set| self.fits_current(set)).nth(1).is_some()
    }

    /// Whether a set has the size, the type and the channels of the image on the canvas, so that both can be fields of
    /// one mosaic; nothing has where that is none to combine.
    pub fn fits_current(&self, set: &OpenedSet) -> bool {
        let current = self.current.and_then(|id| self.combinable().find(|other| other.id == id.set));
        current.is_some_and(|current| apply_mosaic::are_alike(current, set))
    }

    /// The place of the image under the pointer, level-0 pixels.
    pub fn pointer(&self) -> Option<Point> {
        self.pointer
    }

    /// The canvas in physical pixels.
    pub fn canvas(&self) -> Size {
        self.canvas
    }

    /// Seconds on the window's clock.
    pub fn now_secs(&self) -> f64 {
        self.now_secs
    }

    /// Says how large the canvas is, in physical pixels. A fitted image is fitted again.
    pub fn set_canvas(&mut self, canvas: Size) {
        if self.canvas == canvas || canvas.is_empty() {
            return;
        }
        self.canvas = canvas;
        for image in self.images.values_mut() {
            image.reframe(canvas);
        }
    }

    /// Moves what moves by itself to a time in seconds on the window's clock. True while another frame is needed.
    pub fn advance(&mut self, now_secs: f64) -> bool {
        self.now_secs = now_secs;
        let moves = self.advance_mosaic(now_secs);
        let Some(image) = self.current.and_then(|id| self.images.get_mut(&id)) else { return false };
        image.channels.iter_mut().fold(moves, |more, channel| channel.advance(now_secs) | more)
    }

    /// What is to be done outside, since the last call; settings that changed are saved here, once a frame.
    pub fn take_requests(&mut self) -> Vec<Request> {
        if self.images_text == SavedText::Known && !self.display_changed.is_empty() {
            let changed = std::mem::take(&mut self.display_changed);
            for image in changed.iter().filter_map(|id| self.images.get(id)) {
                self.shown.put(&image.set.path, image.id.field, image.to_saved());
            }
            save(&mut self.requests, IMAGES, &self.shown);
        }
        if self.settings_text == SavedText::Known && std::mem::take(&mut self.settings_changed) {
            save(&mut self.requests, SETTINGS, &self.settings);
        }
        std::mem::take(&mut self.requests)
    }

    /// Takes in what the engine reports, tiles and pictures excepted: those go to whoever draws them.
    pub fn pump(&mut self, event: Event) {
        match event {
            Event::Opened(set) => self.opened(set),
            Event::Resolved { path, paths } => self.resolved(&path, paths),
            Event::PartOpened { folder, files } => {
                let name = folder.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
                self.tell(format!("{files} files of {name} are shown, as they were chosen"));
                self.offer = Some((folder, self.now_secs));
            }
            Event::OpenFailed { path, message, try_again } => self.open_failed(path, message, try_again),
            Event::TileFailed { set, key, reason } => {
                let failed = self.failed_tiles.entry(set).or_default();
                if failed.len() < MAX_FAILED_TILES && failed.insert(key) {
                    self.add_problem(Some(set), format!("A part of the image cannot be read: {reason}"));
                }
            }
            Event::Statistics { set, field, channel, statistics } => {
                let (motion, now) = (self.settings.preferences.motion, self.now_secs);
                if let Some(image) = self.images.get_mut(&ImageId { set, field }) {
                    let may_refine = !image.display_touched;
                    if let Some(channel) = image.channel_mut(channel) {
                        channel.statistics_arrived(statistics, may_refine, motion, now);
                    }
                }
            }
            Event::Sample { set, field, x, y, values, source } => {
                let under = self.pointer.map(|p| (p.x.floor(), p.y.floor()));
                if let Some(image) = self.images.get_mut(&ImageId { set, field })
                    && under == Some((f64::from(x), f64::from(y)))
                {
                    image.read_out = Some(ReadOut { x, y, values, source });
                }
            }
            Event::Progress { job, set, title, done, total } => self.progress(job, set, title, done, total),
            Event::Finished { job, outcome } => {
                let set = self.jobs.iter().find(|j| j.id == job).and_then(|j| j.set);
                self.jobs.retain(|j| j.id != job);
                let cancelled = self.cancelled.remove(&job);
                if let JobOutcome::Failed(message) = outcome
                    && !cancelled
                {
                    self.add_problem(set, message);
                }
            }
            Event::Mosaic { set, state } => self.mosaic_changed(ImageId { set, field: MOSAIC }, state),
            Event::PositionsLoaded { set, positions } => self.positions_loaded(set, positions),
            Event::Problem { set, message } => self.add_problem(set, message),
            Event::Export { path, report } => self.export_reported(&path, report),
            Event::Text { name, text } => self.text_loaded(&name, text.as_deref()),
            Event::DemoReady { path } => self.want_open(path),
            Event::PositionsSaved { path, .. } => {
                let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
                self.tell(format!("Positions are saved in {name}"));
            }
            Event::Tile(_) | Event::Thumbnail { .. } | Event::Associated { .. } => {}
        }
    }

    /// A folder's place in the list goes to the images in it.
    fn resolved(&mut self, folder: &Path, paths: Vec<PathBuf>) {
        let place = self.entries.iter().position(|e| matches!(e, Entry::Opening(path) if path == folder));
        let place = place.unwrap_or(self.entries.len());
        self.entries.retain(|e| !matches!(e, Entry::Opening(path) if path == folder));
        let listed = |path: &PathBuf| self.entries.iter().any(|e| e.path() == path);
        let new: Vec<Entry> = paths.iter().filter(|path| !listed(path)).cloned().map(Entry::Opening).collect();
        let open = paths.iter().find(|path| listed(path)).filter(|_| new.is_empty() && self.show_next).cloned();
        self.entries.splice(place..place, new);
        if let Some(path) = open {
            self.want_open(path);
        }
    }

    fn opened(&mut self, set: Arc<OpenedSet>) {
        // The path of files that the user put together leads to the folder at best, which is something else.
        if set.mosaic.as_ref().is_none_or(|mosaic| !mosaic.chosen) {
            self.settings.remember(&set.path);
            self.settings_changed = true;
        }
        for field in set.listed() {
            if let Some(mut image) = OpenImage::new(&set, field, self.now_secs) {
                if let Some(saved) = self.shown.get(&set.path, field) {
                    image.restore(saved);
                }
                image.reframe(self.canvas);
                self.images.insert(image.id, image);
            }
        }
        let first = ImageId { set: set.id, field: set.first() };
        let entry = Entry::Open(set.clone());
        let waiting = |e: &Entry| !matches!(e, Entry::Open(_)) && e.path() == entry.path();
        match self.entries.iter().position(waiting) {
            Some(place) => self.entries[place] = entry,
            None => self.entries.push(entry),
        }
        for warning in &set.warnings {
            self.add_problem(Some(set.id), warning.clone());
        }
        if self.images.contains_key(&first) && (self.show_next || self.current.is_none()) {
            self.show_next = false;
            self.show(first);
        }
    }

    fn open_failed(&mut self, path: PathBuf, message: String, try_again: bool) {
        let failed = Entry::Failed { path: path.clone(), message, try_again };
        match self.entries.iter().position(|e| !matches!(e, Entry::Open(_)) && e.path() == path) {
            Some(place) => self.entries[place] = failed,
            None => self.entries.push(failed),
        }
    }

    fn progress(&mut self, id: JobId, set: Option<SetId>, title: &'static str, done: u64, total: u64) {
        if self.cancelled.contains(&id) {
            return;
        }
        match self.jobs.iter_mut().find(|j| j.id == id) {
            Some(job) => (job.title, job.done, job.total) = (title, done, total),
            None => self.jobs.push(Job { id, set, title, done, total, started: (self.now_secs, done) }),
        }
    }

    fn text_loaded(&mut self, name: &str, text: Option<&str>) {
        match name {
            SETTINGS => self.settings_text = SavedText::Known,
            IMAGES => self.images_text = SavedText::Known,
            _ => {}
        }
        let Some(text) = text else {
            if name == SETTINGS {
                self.want_thumbnails();
            }
            return;
        };
        let broken = match name {
            SETTINGS => match serde_json::from_str::<SavedSettings>(text) {
                Ok(saved) => {
                    let opened_meanwhile = std::mem::replace(&mut self.settings, saved.checked()).recent;
                    for path in opened_meanwhile.iter().rev() {
                        self.settings.remember(path);
                    }
                    self.requests.extend(self.settings.window_size.map(Request::ResizeWindow));
                    self.want_thumbnails();
                    false
                }
                Err(_) => true,
            },
            IMAGES => match serde_json::from_str::<SavedImages>(text) {
                Ok(saved) => {
                    self.shown = saved;
                    for image in self.images.values_mut().filter(|i| !i.display_touched) {
                        if let Some(saved) = self.shown.get(&image.set.path, image.id.field) {
                            image.restore(saved);
                        }
                    }
                    false
                }
                Err(_) => true,
            },
            _ => false,
        };
        if broken {
            self.add_problem(None, format!("The saved {name} could not be understood and start afresh"));
        }
    }

    fn want_thumbnails(&mut self) {
        if !self.settings.recent.is_empty() {
            self.requests.push(Request::Thumbnails(self.settings.recent.clone()));
        }
    }

    /// Adds a line to the problems list, or counts it up where it is there already. What comes late, of a set that was
    /// closed, is about no image that is listed.
    fn add_problem(&mut self, set: Option<SetId>, message: String) {
        let is_open = |id: &SetId| self.entries.iter().any(|e| matches!(e, Entry::Open(set) if set.id == *id));
        let set = set.filter(is_open);
        if let Some(problem) = self.problems.iter_mut().find(|p| p.set == set && p.message == message) {
            problem.count = problem.count.saturating_add(1);
            return;
        }
        if self.problems.len() >= MAX_PROBLEMS {
            self.problems.remove(0);
        }
        self.problems.push(Problem { set, message, count: 1 });
    }
}

impl Default for Session {
    fn default() -> Self {
        Self::new()
    }
}

fn save<T: serde::Serialize>(requests: &mut Vec<Request>, name: &'static str, value: &T) {
    // Only a map with keys that are no text could fail here, and there is none.
    if let Ok(text) = serde_json::to_string(value) {
        requests.push(Request::SaveText { name, text });
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod mosaic_tests;
