//! The files of a folder with what their headers say, read in parallel.

use super::field_set::LeftOut;
use crate::error::{Error, Result};
use crate::formats::{self, PlaneNote, StagePlace, Survey, Surveyed};
use crate::geom::Size;
use crate::pixels::{PixelType, TileFormat};
use crate::pyramid::{ChannelRole, ImageInfo};
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

/// Files of one folder that are looked at.
pub const MAX_FILES: usize = 100_000;

/// Threads that read headers: disks answer several at once, and more gain nothing.
const MAX_THREADS: usize = 8;

/// Files that one thread takes at a time.
const BATCH_FILES: usize = 16;

/// A file that cannot be read and was written to within this time is taken for one that is still being written.
const WRITING_SECS: u64 = 2;

/// A file of the folder.
#[derive(Debug)]
pub struct Candidate {
    /// Where it is.
    pub path: PathBuf,
    /// Its name below the folder, with `/` between folders.
    pub name: String,
    /// What its headers say.
    pub head: Head,
}

/// What a file's headers say.
#[derive(Debug)]
pub enum Head {
    /// Its images.
    Images(Vec<HeadImage>),
    /// It belongs to another file of the folder that describes it.
    PartOfOther,
    /// It cannot be read, in words.
    Unreadable(String),
    /// It is still being written, or empty.
    Unfinished(String),
    /// No image, and no trace of one.
    NoImage,
}

/// One image of a file.
#[derive(Debug, Clone)]
pub struct HeadImage {
    /// What it is, shared by all images alike.
    pub kind: Arc<Kind>,
    /// Where the stage stood.
    pub stage: Option<StagePlace>,
    /// The well.
    pub region: Option<String>,
    /// Planes at places of their own.
    pub planes: Vec<PlaneNote>,
}

/// What fields of one mosaic share.
#[derive(Debug, Clone, PartialEq)]
pub struct Kind {
    /// Size of the image.
    pub size: Size,
    /// What a pixel is in the file.
    pub pixel_type: PixelType,
    /// The channels that are light: their numbers in the image, names, colours and formats.
    pub channels: Vec<(u16, String, Option<[u8; 3]>, TileFormat)>,
    /// Focus positions.
    pub z_count: u16,
    /// Time points.
    pub t_count: u16,
    /// Micrometres a pixel.
    pub um_per_px: Option<[f64; 2]>,
    /// It brings reduced levels, so it is a slide or a finished mosaic rather than a camera picture.
    pub has_levels: bool,
}

impl Kind {
    fn of(info: &ImageInfo) -> Self {
        let lights = info.channels.iter().enumerate().filter(|(_, c)| c.role == ChannelRole::Intensity);
        Self {
            size: info.size,
            pixel_type: info.pixel_type,
            channels: lights.map(|(i, c)| (i as u16, c.name.clone(), c.color, c.format)).collect(),
            z_count: info.z_count,
            t_count: info.t_count,
            um_per_px: info.um_per_px,
            has_levels: info.has_native_levels(),
        }
    }

    /// Whether both can be fields of one mosaic, whatever their sizes.
    pub fn goes_with(&self, other: &Self) -> bool {
        self.pixel_type == other.pixel_type && self.channels.len() == other.channels.len()
    }
}

/// Kinds that were met, so that 20 000 fields share one.
#[derive(Default)]
struct Kinds(Vec<Arc<Kind>>);

impl Kinds {
    /// Kinds that are searched for a match; a folder has a few, and one with a kind for every file shares none.
    const SEARCHED: usize = 64;

    fn share(&mut self, kind: Kind) -> Arc<Kind> {
        if let Some(known) = self.0.iter().rev().take(Self::SEARCHED).find(|k| ***k == kind) {
            return known.clone();
        }
        let shared = Arc::new(kind);
        self.0.push(shared.clone());
        shared
    }
}

/// Reads the headers of files, each with its name below the folder; in the same order.
pub fn survey(files: Vec<(PathBuf, String)>) -> Vec<Candidate> {
    let kinds = Mutex::new(Kinds::default());
    let next = AtomicUsize::new(0);
    let found = Mutex::new(Vec::with_capacity(files.len()));
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get()).min(MAX_THREADS);
    std::thread::scope(|scope| {
        for _ in 0..threads.min(files.len().div_ceil(BATCH_FILES)).max(1) {
            scope.spawn(|| {
                loop {
                    let start = next.fetch_add(BATCH_FILES, Ordering::Relaxed);
                    let Some(batch) = files.get(start..(start + BATCH_FILES).min(files.len())) else { break };
                    if batch.is_empty() {
                        break;
                    }
                    let heads: Vec<_> =
                        batch.iter().enumerate().map(|(i, (path, _))| (start + i, head_of(path, &kinds))).collect();
                    found.lock().extend(heads);
                }
            });
        }
    });
    let mut heads = found.into_inner();
    heads.sort_by_key(|(index, _)| *index);
    let mut shared: Vec<usize> = heads.iter().filter(|(_, h)| matches!(h, Read::Shared)).map(|(i, _)| *i).collect();
    // A companion file describes the whole set and holds no planes itself, so it stands for the others.
    shared.sort_by_key(|&i| !is_companion(&files[i].0));
    let mut candidates: Vec<Candidate> = files
        .into_iter()
        .zip(heads)
        .map(|((path, name), (_, head))| {
            let head = match head {
                Read::Head(head) => head,
                Read::Shared => Head::NoImage,
            };
            Candidate { path, name, head }
        })
        .collect();
    survey_sets(&mut candidates, shared, &kinds);
    candidates
}

fn is_companion(path: &Path) -> bool {
    path.extension().is_some_and(|e| e.eq_ignore_ascii_case("ome"))
}

/// What the first look at a file gave.
enum Read {
    Head(Head),
    Shared,
}

/// Reads files that share their description: the first of each set stands for the others.
fn survey_sets(candidates: &mut [Candidate], shared: Vec<usize>, kinds: &Mutex<Kinds>) {
    if shared.is_empty() {
        return;
    }
    let mut claimed: HashSet<PathBuf> = HashSet::new();
    let numbers: HashMap<PathBuf, usize> = candidates.iter().enumerate().map(|(i, c)| (c.path.clone(), i)).collect();
    for index in shared {
        let path = candidates[index].path.clone();
        if claimed.contains(&path) {
            continue;
        }
        match formats::survey_set(&path) {
            Ok(survey) => {
                for member in &survey.members {
                    if let Some(&other) = numbers.get(member) {
                        candidates[other].head = Head::PartOfOther;
                    }
                }
                claimed.extend(survey.members.iter().cloned());
                candidates[index].head = Head::Images(images(survey, kinds));
            }
            Err(error) => candidates[index].head = unreadable(&error, &path),
        }
    }
}

fn head_of(path: &Path, kinds: &Mutex<Kinds>) -> Read {
    match std::fs::metadata(path) {
        Ok(meta) if meta.len() == 0 => {
            let words = if is_fresh(path) { "still being written" } else { "an empty file" };
            return Read::Head(if has_image_ending(path) { Head::Unfinished(words.into()) } else { Head::NoImage });
        }
        Ok(_) => {}
        Err(e) => return Read::Head(Head::Unreadable(format!("cannot be read: {e}"))),
    }
    let Some(format) = formats::recognise(path) else {
        return Read::Head(match has_image_ending(path) {
            true => unreadable(&Error::format("this is not an image that Microtome reads", path), path),
            false => Head::NoImage,
        });
    };
    let read = if format.extensions.contains(&"ome") { Ok(Surveyed::PartOfSet) } else { formats::survey(path) };
    match read {
        Ok(Surveyed::Own(survey)) => Read::Head(Head::Images(images(survey, kinds))),
        Ok(Surveyed::PartOfSet) => Read::Shared,
        Err(error) => Read::Head(unreadable(&error, path)),
    }
}

fn images(survey: Survey, kinds: &Mutex<Kinds>) -> Vec<HeadImage> {
    survey
        .images
        .into_iter()
        .map(|image| HeadImage {
            kind: kinds.lock().share(Kind::of(&image.info)),
            stage: image.stage,
            region: image.region,
            planes: image.planes,
        })
        .collect()
}

/// Why a file cannot be read, or that it is not whole yet.
fn unreadable(error: &Error, path: &Path) -> Head {
    if is_fresh(path) {
        return Head::Unfinished("still being written".into());
    }
    Head::Unreadable(reason(error))
}

/// What went wrong, in words without the path.
pub fn reason(error: &Error) -> String {
    match error {
        Error::Io { what, source, .. } => format!("{what}: {source}"),
        Error::Format { what, .. } | Error::Unsupported { what, .. } | Error::TooLarge { what, .. } => what.clone(),
        other => other.to_string(),
    }
}

fn is_fresh(path: &Path) -> bool {
    let modified = std::fs::metadata(path).and_then(|m| m.modified()).ok();
    // A time in the future is a clock that is wrong, not a file that is being written.
    let age = modified.and_then(|t| SystemTime::now().duration_since(t).ok());
    age.is_some_and(|age| age < Duration::from_secs(WRITING_SECS))
}

/// Whether a file is named like an image.
pub fn has_image_ending(path: &Path) -> bool {
    let ending = path.extension().and_then(|e| e.to_str()).unwrap_or("").to_lowercase();
    formats::FORMATS.iter().any(|f| f.extensions.contains(&ending.as_str()))
}

/// The files of a folder by name, with the names below it.
#[derive(Default)]
pub struct Listing {
    /// Those that may be of use.
    pub files: Vec<(PathBuf, String)>,
    /// What systems leave in folders, and hidden files.
    pub clutter: Vec<PathBuf>,
    /// Folders in it that cannot be listed.
    pub unlisted: Vec<LeftOut>,
    /// There is no image in the folder itself, so the files are those of the folders in it.
    pub is_below: bool,
}

/// Lists a folder; where it holds no image, the folders in it.
pub fn list(folder: &Path) -> Result<Listing> {
    let mut listed = Listing::default();
    let folders = listed.add(folder, "")?;
    if !listed.files.iter().any(|(path, _)| has_image_ending(path) || formats::recognise(path).is_some()) {
        listed.is_below = true;
        for (below, name) in folders {
            if let Err(error) = listed.add(&below, &format!("{name}/")) {
                // Too many files are too many wherever they lie.
                if matches!(error, Error::TooLarge { .. }) {
                    return Err(error);
                }
                listed.unlisted.push(LeftOut { path: below, reason: reason(&error) });
            }
        }
    }
    listed.files.sort_by(|a, b| super::names::natural_order(&a.1, &b.1));
    listed.clutter.sort();
    Ok(listed)
}

impl Listing {
    /// Adds the files of a folder and returns the folders in it.
    fn add(&mut self, folder: &Path, prefix: &str) -> Result<Vec<(PathBuf, String)>> {
        let cannot = |e| Error::io("cannot list the folder", e, folder);
        let mut folders = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(cannot)? {
            let entry = entry.map_err(cannot)?;
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            // Links are followed: a folder of links to images is a folder of images.
            let kind = entry.file_type().map_err(cannot)?;
            let is_folder = if kind.is_symlink() { path.is_dir() } else { kind.is_dir() };
            if is_clutter(&name) {
                self.clutter.push(path);
            } else if is_folder {
                folders.push((path, name));
            } else if kind.is_file() || path.is_file() {
                self.files.push((path, format!("{prefix}{name}")));
            }
            if self.files.len() > MAX_FILES {
                return Err(Error::too_large(format!("more than {MAX_FILES} files in one folder"), folder));
            }
        }
        folders.sort();
        Ok(folders)
    }
}

/// Whether a file is one that systems leave in folders, or hidden.
fn is_clutter(name: &str) -> bool {
    name.starts_with('.') || ["thumbs.db", "desktop.ini"].contains(&name.to_lowercase().as_str())
}
