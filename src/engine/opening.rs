//! From what the user asked for to open image sets.

use super::threads::Request;
use super::{Event, MosaicEdits, OpenSet, OpenedSet, Opening, Shared, mosaic::edits_text};
use crate::error::{Error, Result};
use crate::image_set::{self, Entry, FieldSet, LeftOut, Resolved};
use crate::pyramid::SetId;
use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use xxhash_rust::xxh3::xxh3_128;

/// Files that are left out of what was opened and told by name.
const MAX_NAMED_LEFT_OUT: usize = 5;

/// How files are opened.
#[derive(Debug, Clone, PartialEq)]
pub enum OpenAs {
    /// A path, as whatever it turns out to be.
    Found(PathBuf),
    /// Paths that were chosen at once: files among them may be fields of one mosaic.
    Several(Vec<PathBuf>),
    /// Files as one mosaic, because the user says so.
    Together {
        /// The files.
        files: Vec<PathBuf>,
        /// The pattern of their names, where the user gave one.
        pattern: Option<String>,
    },
    /// Files each by itself, because the user says so.
    Separate(Vec<PathBuf>),
    /// A mosaic, its fields named by a pattern; `None`: as they are recognised.
    Named {
        /// What identifies the mosaic.
        path: PathBuf,
        /// The pattern.
        pattern: Option<String>,
    },
}

impl OpenAs {
    /// How an open set was opened.
    pub fn of(set: &OpenedSet) -> Self {
        match &set.mosaic {
            Some(mosaic) if mosaic.chosen => {
                Self::Together { files: mosaic.fields.files.clone(), pattern: mosaic.saved.pattern.clone() }
            }
            Some(mosaic) if mosaic.saved.pattern.is_some() => {
                Self::Named { path: set.path.clone(), pattern: mosaic.saved.pattern.clone() }
            }
            _ => Self::Found(set.path.clone()),
        }
    }

    /// The paths that stand for it until it is open.
    pub fn paths(&self) -> Vec<PathBuf> {
        match self {
            Self::Found(path) | Self::Named { path, .. } => vec![path.clone()],
            Self::Together { files, .. } => files.first().cloned().into_iter().collect(),
            Self::Several(paths) | Self::Separate(paths) => paths.clone(),
        }
    }
}

/// Opens what was asked for, and says of every path what became of it.
pub(super) fn open(shared: &Arc<Shared>, how: OpenAs) {
    let asked = how.paths();
    // Names and pixels of any file are looked at: a fault in that must not leave the place open for ever.
    let resolved = std::panic::catch_unwind(AssertUnwindSafe(|| resolve(&how)));
    let resolved = match resolved {
        Ok(Ok(resolved)) => resolved,
        failed => {
            let (message, try_again) = match failed {
                Ok(Err(error)) => (error.to_string(), error.may_pass()),
                _ => (
                    "telling what these files are stopped because of a fault in Microtome, please report it".into(),
                    false,
                ),
            };
            return asked.into_iter().for_each(|path| {
                shared.send(Event::OpenFailed { path, message: message.clone(), try_again });
            });
        }
    };
    tell_left_out(shared, &asked, &resolved.left_out);
    let mut entries = resolved.entries;
    let parts = match &how {
        OpenAs::Several(files) | OpenAs::Together { files, .. } => name_parts(shared, files, &mut entries),
        OpenAs::Found(_) | OpenAs::Separate(_) | OpenAs::Named { .. } => Vec::new(),
    };
    let is_open = |path: &Path| shared.sets.lock().values().any(|set| set.opened.path == path);
    let is_asked = |entry: &Entry| asked.iter().any(|path| path == entry.path());
    // A folder's place goes to what is in it; files that make one mosaic give theirs to it.
    let mut new: Vec<PathBuf> =
        entries.iter().filter(|entry| !is_asked(entry)).map(|entry| entry.path().to_owned()).collect();
    for path in asked.iter().cloned() {
        if !entries.iter().any(|entry| entry.path() == path) {
            shared.send(Event::Resolved { path, paths: std::mem::take(&mut new) });
        }
    }
    let pattern = match &how {
        OpenAs::Together { pattern, .. } | OpenAs::Named { pattern, .. } => Pattern::Given(pattern.clone()),
        OpenAs::Found(_) | OpenAs::Several(_) | OpenAs::Separate(_) => Pattern::AsKept,
    };
    for entry in
        entries.into_iter().filter(|entry| asked.iter().any(|path| path == entry.path()) || !is_open(entry.path()))
    {
        let part = parts.iter().find(|part| part.path == entry.path());
        let chosen = part.is_some() || matches!(how, OpenAs::Together { .. });
        let is_open = open_entry(shared, &entry, chosen, &pattern);
        if let Some(part) = part.filter(|_| is_open) {
            shared.send(Event::PartOpened { folder: part.folder.clone(), files: part.files });
        }
    }
}

/// Fields that were opened by themselves, where there are more files like theirs.
struct Part {
    /// What it is called instead of its folder.
    path: PathBuf,
    folder: PathBuf,
    files: usize,
}

/// Fields of chosen files are called after the files where their folder holds others: the folder stands for all of them.
fn name_parts(shared: &Shared, chosen: &[PathBuf], entries: &mut [Entry]) -> Vec<Part> {
    let mut parts = Vec::new();
    for entry in entries {
        let Entry::Fields(fields) = entry else { continue };
        if chosen.iter().any(|path| fields.path.starts_with(path)) || !has_more(fields, chosen) {
            continue;
        }
        let folder = fields.path.clone();
        let stem = |path: &PathBuf| path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let (Some(first), Some(last)) = (fields.files.iter().min(), fields.files.iter().max()) else { continue };
        let between = if fields.files.len() == 2 { "+" } else { "…" };
        let name = format!("{} {between} {}", stem(first), stem(last));
        // Other files between the same two are another mosaic.
        let is_taken = |path: &Path| {
            let sets = shared.sets.lock();
            let of = |set: &OpenSet| set.mosaic.as_ref().map(|m| m.set.fields.files.clone());
            sets.values().any(|set| set.opened.path == path && of(set).as_ref() != Some(&fields.files))
        };
        let numbered = |n: usize| if n == 1 { name.clone() } else { format!("{name} ({n})") };
        let Some(name) = (1..).map(numbered).find(|name| !is_taken(&folder.join(name))) else { continue };
        let path = folder.join(&name);
        parts.push(Part { path: path.clone(), folder, files: fields.files.len() });
        *fields = Arc::new(FieldSet { path, name, ..FieldSet::clone(fields) });
    }
    parts
}

/// Whether there are files like those of the fields beside them that were not chosen.
fn has_more(fields: &FieldSet, chosen: &[PathBuf]) -> bool {
    let chosen: BTreeSet<&Path> = chosen.iter().chain(&fields.files).map(PathBuf::as_path).collect();
    let ending = |path: &Path| path.extension().map(|ending| ending.to_ascii_lowercase());
    let endings: BTreeSet<_> = fields.files.iter().map(|file| ending(file)).collect();
    let is_more = |path: &Path| {
        let is_hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        !is_hidden && endings.contains(&ending(path)) && !chosen.contains(path) && path.is_file()
    };
    let folders: BTreeSet<&Path> = fields.files.iter().filter_map(|file| file.parent()).collect();
    // A folder that cannot be listed has nothing more to offer.
    let listed = folders.into_iter().filter_map(|folder| std::fs::read_dir(folder).ok());
    listed.flatten().filter_map(|file| file.ok()).any(|file| is_more(&file.path()))
}

/// The pattern of a mosaic's names.
enum Pattern {
    /// What was decided in an earlier run.
    AsKept,
    /// What the user says now.
    Given(Option<String>),
}

fn resolve(how: &OpenAs) -> Result<Resolved> {
    let entries = |entries: Vec<Entry>| Ok(Resolved { entries, left_out: Vec::new() });
    match how {
        OpenAs::Found(path) | OpenAs::Named { path, .. } => match image_set::resolve(path) {
            // A path where nothing is stands for itself: its store may be there.
            Err(error) if error.is_not_found() => entries(vec![Entry::File(path.clone())]),
            resolved => resolved,
        },
        OpenAs::Several(paths) => image_set::resolve_files(paths),
        OpenAs::Together { files, .. } => entries(vec![Entry::Fields(Arc::new(image_set::combine(files)?))]),
        OpenAs::Separate(files) => entries(files.iter().cloned().map(Entry::File).collect()),
    }
}

/// Opens it, or says why not; whether it is open.
fn open_entry(shared: &Arc<Shared>, entry: &Entry, chosen: bool, pattern: &Pattern) -> bool {
    let path = entry.path().to_owned();
    let id = SetId(shared.next_set.fetch_add(1, Ordering::Relaxed));
    let opened = std::panic::catch_unwind(AssertUnwindSafe(|| match entry {
        Entry::File(path) => OpenSet::open(id, path, &shared.quota, shared.config.persist()),
        Entry::Fields(fields) => {
            let Decided { fields, fingerprint, edits } = as_decided(shared, fields, pattern);
            let how = Opening { id, quota: &shared.quota, persist: shared.config.persist() };
            OpenSet::open_fields(&how, &fields, fingerprint, edits, chosen)
        }
    }));
    match opened {
        Ok(Ok(set)) => {
            let set = Arc::new(set);
            shared.sets.lock().insert(id, set.clone());
            shared.send(Event::Opened(set.opened.clone()));
            if set.mosaic.is_some() {
                shared.alignments.push(id);
            }
            // Other files are opened first; this is asked for at once after them.
            shared.requests.push(Request::Statistics(set));
            shared.fills.push(id);
            true
        }
        Ok(Err(error)) => {
            let try_again = error.may_pass();
            shared.send(Event::OpenFailed { path, message: error.to_string(), try_again });
            false
        }
        Err(_) => {
            let message = format!("this file stops its reader, please report it: {}", path.display());
            shared.send(Event::OpenFailed { path, message, try_again: false });
            false
        }
    }
}

/// A set of fields with what was decided about it in earlier runs, and what that is kept under.
fn as_decided(shared: &Shared, fields: &Arc<FieldSet>, pattern: &Pattern) -> Decided {
    let problem = |message: String| shared.send(Event::Problem { set: None, message });
    if let Pattern::Given(pattern) = pattern {
        let fingerprint = fingerprint_of(fields);
        let name = edits_text(&fingerprint, None);
        let edits = saved_edits(shared.texts.load(&name), &fields.name, &problem);
        if edits.pattern != *pattern {
            // Only which pattern holds is changed: what was decided under the others is there when they come back.
            match serde_json::to_string(&MosaicEdits { pattern: pattern.clone(), ..edits }) {
                Ok(text) => shared.texts.save(&name, text),
                Err(error) => problem(format!("the name pattern could not be kept: {error}")),
            }
        }
    }
    Decided::of(fields, &|name| shared.texts.load(name), &problem)
}

/// A set of fields as a person decided about it.
pub struct Decided {
    /// The fields, named by the pattern that holds.
    pub fields: Arc<FieldSet>,
    /// What the decisions are kept under.
    pub fingerprint: String,
    /// The decisions.
    pub edits: MosaicEdits,
}

impl Decided {
    /// What `load` finds of earlier runs. What cannot be used any more is told and left out.
    pub fn of(fields: &Arc<FieldSet>, load: &dyn Fn(&str) -> Result<Option<String>>, problem: &dyn Fn(String)) -> Self {
        let fingerprint = fingerprint_of(fields);
        let of_pattern =
            |pattern: Option<&str>| saved_edits(load(&edits_text(&fingerprint, pattern)), &fields.name, problem);
        let mut edits = of_pattern(None);
        let mut named = fields.clone();
        if let Some(pattern) = edits.pattern.take() {
            match fields.with_pattern(&pattern) {
                Ok(fields) => {
                    named = Arc::new(fields);
                    edits = MosaicEdits { pattern: Some(pattern.clone()), ..of_pattern(Some(&pattern)) };
                }
                Err(error) => problem(error.to_string()),
            }
        }
        let order = edits.field_order.is_some().then(|| named.order_mark().ok()).flatten();
        if edits.keep_only_of(order.as_deref()) {
            problem(format!(
                "The fields of {} have other numbers than before: decisions about its seams and loaded positions start \
                 afresh",
                named.name
            ));
        }
        Self { fields: named, fingerprint, edits }
    }
}

/// What was decided about a mosaic, from the text that was kept. What cannot be read is told, and starts afresh.
fn saved_edits(text: Result<Option<String>>, name: &str, problem: &dyn Fn(String)) -> MosaicEdits {
    match text {
        Ok(None) => MosaicEdits::default(),
        Ok(Some(text)) => serde_json::from_str(&text).unwrap_or_else(|_| {
            problem(format!("The saved decisions about {name} could not be understood and start afresh"));
            MosaicEdits::default()
        }),
        Err(error) => {
            problem(error.to_string());
            MosaicEdits::default()
        }
    }
}

/// What decisions about a set of fields are kept under. Where its content cannot be read, its path has to do.
fn fingerprint_of(fields: &FieldSet) -> String {
    let by_path = |_: Error| xxh3_128(fields.path.as_os_str().as_encoded_bytes());
    format!("{:032x}", fields.fingerprint().unwrap_or_else(by_path))
}

/// One line about files that are part of nothing.
fn tell_left_out(shared: &Shared, asked: &[PathBuf], left_out: &[LeftOut]) {
    let is_hidden = |l: &&LeftOut| l.path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
    let told: Vec<&LeftOut> = left_out.iter().filter(|l| !is_hidden(l)).collect();
    let Some(first) = told.first() else { return };
    let name = |l: &&LeftOut| {
        let name = l.path.file_name().unwrap_or(l.path.as_os_str()).to_string_lossy().into_owned();
        format!("{name} ({})", l.reason)
    };
    let mut names: Vec<String> = told.iter().take(MAX_NAMED_LEFT_OUT).map(name).collect();
    if told.len() > names.len() {
        names.push(format!("{} more", told.len() - names.len()));
    }
    // The folder that they lie in, or the file itself where it was asked for by its name.
    let is_asked = asked.contains(&first.path);
    let place = if is_asked && told.len() == 1 { Some(first.path.as_path()) } else { first.path.parent() };
    let place = place.unwrap_or(&first.path).display();
    let message = format!("Left out: {}, {place}", names.join(", "));
    shared.send(Event::Problem { set: None, message });
}
