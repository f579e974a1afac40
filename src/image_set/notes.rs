//! What stands beside images and not in them: where files stand, and what the planes of stacks are.

use super::candidate::Candidate;
use super::{harmony, ndtiff};
use crate::formats::PlaneNote;
use serde_json::Value;
use std::collections::{HashMap, HashSet};

/// Bytes of the name of a position or a channel; longer ones are not kept.
pub const MAX_TEXT_BYTES: usize = 1024;

/// Everything that was noted beside the images of a folder.
#[derive(Debug, Default)]
pub struct Notes {
    /// Notes on files, by their names below the folder in small letters.
    files: HashMap<String, PlaneNote>,
    /// Stacks that an index describes, by the same names.
    pub stacks: HashMap<String, Stack>,
    /// The names of the files that are there; notes on others are not kept.
    known: HashSet<String>,
}

/// A file of planes as an index describes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Stack {
    /// What names the recording that it is a part of.
    pub data_set: String,
    /// Its planes in the order of its pages.
    pub planes: Vec<StackPlane>,
}

/// The axes of a plane of a stack.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StackPlane {
    /// The name or number of the position.
    pub position: Option<String>,
    /// Grid row and column.
    pub row_col: Option<(i32, i32)>,
    /// The name or number of the channel.
    pub channel: Option<String>,
    /// Focus position and time point.
    pub z: i64,
    pub t: i64,
}

impl StackPlane {
    /// Reads `{"position": 0, "channel": "DAPI", "z": 3, "time": 0}`.
    pub fn of_axes(axes: &Value) -> Self {
        let told = |name: &str| axes.get(name).map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned));
        let text = |name: &str| told(name).filter(|t| t.len() <= MAX_TEXT_BYTES);
        let number = |name: &str| {
            let value = axes.get(name)?;
            value.as_i64().or_else(|| value.as_str()?.trim().parse().ok())
        };
        let cell = |name: &str| number(name).and_then(|n| i32::try_from(n).ok());
        Self {
            position: text("position"),
            row_col: cell("row").zip(cell("column")),
            channel: text("channel"),
            z: number("z").unwrap_or(0),
            t: number("time").unwrap_or(0),
        }
    }
}

impl Notes {
    /// Reads all notes among the files of a folder.
    pub fn of(candidates: &[Candidate]) -> Self {
        let known = candidates.iter().map(|c| c.name.to_lowercase()).collect();
        let mut notes = Self { known, ..Self::default() };
        ndtiff::read_notes_of(candidates, &mut notes);
        ndtiff::read_indexes_of(candidates, &mut notes);
        harmony::read_notes_of(candidates, &mut notes);
        notes
    }

    /// Keeps a note on a file that is there; the first one counts.
    pub fn add(&mut self, name: String, mut note: PlaneNote) {
        if self.knows(&name) {
            for text in [&mut note.position, &mut note.channel] {
                text.take_if(|t| t.len() > MAX_TEXT_BYTES);
            }
            self.files.entry(name).or_insert(note);
        }
    }

    /// Whether a file of this name, in small letters, is there.
    pub fn knows(&self, name: &str) -> bool {
        self.known.contains(name)
    }

    /// What is noted on a file.
    pub fn file(&self, name: &str) -> Option<&PlaneNote> {
        self.files.get(&name.to_lowercase())
    }

    /// The planes of a stack of so many pages; nothing where the index does not know all of them.
    pub fn stack(&self, name: &str, pages: usize) -> Option<&Stack> {
        self.stacks.get(&name.to_lowercase()).filter(|s| s.planes.len() == pages)
    }
}

/// The name, as notes have it, of a file that lies beside the one of this name.
pub fn beside(name: &str, file: &str) -> String {
    let folder = name.rfind('/').map_or("", |at| &name[..=at]);
    format!("{folder}{file}").to_lowercase()
}
