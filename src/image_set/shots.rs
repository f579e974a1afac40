//! From files to shots: one for each image, or for each position in a stack.

use super::assemble::Shot;
use super::candidate::{Candidate, Head, HeadImage};
use super::names::{ChannelTag, FieldKey, NameTags};
use super::notes::{Notes, StackPlane};
use crate::formats::{PlaneNote, StagePlace, StageUnit};
use std::borrow::Cow;
use std::collections::HashMap;

/// Whether a file is an image, readable or not.
pub fn is_image(candidate: &Candidate) -> bool {
    matches!(candidate.head, Head::Images(_) | Head::Unreadable(_))
}

/// Makes shots of files.
pub struct ShotMaker<'a> {
    notes: &'a Notes,
    /// What was made so far.
    pub shots: Vec<Shot>,
    /// The positions of stacks, each with its number; files of one recording share them.
    positions: HashMap<(usize, Position), u32>,
    /// The first file of each recording of several positions.
    homes: HashMap<&'a str, Option<usize>>,
}

/// What tells the positions of a stack apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Position {
    /// What the program calls it, and its cell.
    Named(Option<String>, Option<(i32, i32)>),
    /// The bits of the stage's place; nothing where that is not known.
    Stage(Option<(u64, u64)>),
}

impl<'a> ShotMaker<'a> {
    pub fn new(notes: &'a Notes) -> Self {
        let mut first: HashMap<&str, &StackPlane> = HashMap::new();
        let mut homes = HashMap::new();
        for (data_set, plane) in notes.stacks.values().flat_map(|s| s.planes.iter().map(|p| (s.data_set.as_str(), p))) {
            let known = *first.entry(data_set).or_insert(plane);
            if (&known.position, known.row_col) != (&plane.position, plane.row_col) {
                homes.insert(data_set, None);
            }
        }
        Self { notes, shots: Vec::new(), positions: HashMap::new(), homes }
    }

    /// Adds the shots of a file: one for each image, or for each position in a stack.
    pub fn add(&mut self, candidate: &Candidate, file: usize, mut tags: NameTags) {
        let note = self.notes.file(&candidate.name);
        // Names number the channels; what is written beside them says what they are.
        if let (Some(tag), Some(channel)) = (&mut tags.channel, note.and_then(|n| n.channel.as_deref()))
            && tag.number != ChannelTag::WORD
        {
            *tag = ChannelTag::new(tag.number, channel);
        }
        let shot = |image: u32, name: String| Shot {
            file,
            image,
            at: None,
            kind: None,
            stage: None,
            region: String::new(),
            tags: tags.clone(),
            name,
        };
        let images = match &candidate.head {
            Head::Images(images) => images.as_slice(),
            _ => {
                self.shots.push(shot(0, candidate.name.clone()));
                return;
            }
        };
        if let [image] = images {
            let (planes, data_set) = self.planes_of(&candidate.name, image);
            let is_stack = planes.iter().any(|p| place_of(p) != place_of(&planes[0]));
            if is_stack || data_set.is_some_and(|name| self.homes.contains_key(name)) {
                self.add_positions(candidate, file, image, &planes, data_set, &tags);
                return;
            }
            let noted = note.and_then(|n| n.stage.or_else(|| n.row_col.map(|(row, col)| in_steps(row, col))));
            self.shots.push(Shot {
                kind: Some(image.kind.clone()),
                stage: image.stage.or(noted),
                region: image.region.clone().unwrap_or_default(),
                ..shot(0, candidate.name.clone())
            });
            return;
        }
        for (index, image) in images.iter().enumerate() {
            let mut own = shot(index as u32, format!("{} [{index}]", candidate.name));
            own.tags.field = Some(FieldKey::Image(file as u32, index as u32, 0));
            own.kind = Some(image.kind.clone());
            own.stage = image.stage;
            own.region = image.region.clone().unwrap_or_default();
            self.shots.push(own);
        }
    }

    /// The planes of a stack with what the index of its recording adds, and what names the recording.
    fn planes_of<'i>(&self, name: &str, image: &'i HeadImage) -> (Cow<'i, [PlaneNote]>, Option<&'a str>) {
        let (channels, z_count) = (image.kind.channels.len().max(1), usize::from(image.kind.z_count.max(1)));
        let pages = channels * z_count * usize::from(image.kind.t_count.max(1));
        let Some(stack) = self.notes.stack(name, pages) else { return (Cow::Borrowed(&image.planes), None) };
        let plane = |(index, axes): (usize, &StackPlane)| {
            let at = [index % channels, index / channels % z_count, index / channels / z_count].map(|n| n as u16);
            let own = image.planes.get(index).cloned().unwrap_or_else(|| PlaneNote { at, ..PlaneNote::default() });
            PlaneNote {
                position: axes.position.clone().or(own.position),
                row_col: axes.row_col.or(own.row_col),
                channel: axes.channel.clone().or(own.channel),
                z: axes.z,
                t: axes.t,
                ..own
            }
        };
        (Cow::Owned(stack.planes.iter().enumerate().map(plane).collect()), Some(&stack.data_set))
    }

    /// The shots of a stack whose planes stand at several places.
    fn add_positions(
        &mut self,
        candidate: &Candidate,
        file: usize,
        image: &HeadImage,
        planes: &[PlaneNote],
        data_set: Option<&'a str>,
        tags: &NameTags,
    ) {
        let recording = data_set.and_then(|name| self.homes.get_mut(name));
        let is_of_several = recording.is_some();
        let home = recording.map_or(file, |home| *home.get_or_insert(file));
        // The stage comes to rest a little elsewhere for every channel; names of positions do not.
        let name = |p: &PlaneNote| Position::Named(p.position.clone(), p.row_col);
        let are_named = is_of_several || planes.iter().any(|p| name(p) != name(&planes[0]));
        for plane in planes {
            let bits = plane.stage.map(|s| (s.x.to_bits(), s.y.to_bits()));
            let position = if are_named { name(plane) } else { Position::Stage(bits) };
            let next = self.positions.len() as u32;
            let number = *self.positions.entry((home, position)).or_insert(next);
            let mut tags = tags.clone();
            tags.field = Some(FieldKey::Image(home as u32, 0, number));
            tags.z = plane.z;
            tags.t = plane.t;
            tags.channel = plane.channel.as_ref().filter(|c| !c.is_empty()).map(|c| {
                let number = c.parse().unwrap_or(ChannelTag::WORD);
                ChannelTag::new(number, c)
            });
            self.shots.push(Shot {
                file,
                image: 0,
                at: Some(plane.at),
                kind: Some(image.kind.clone()),
                stage: plane.stage.or_else(|| plane.row_col.map(|(row, col)| in_steps(row, col))),
                region: String::new(),
                tags,
                name: format!("{} [{number}]", candidate.name),
            });
        }
    }
}

/// Where a plane of a stack stands.
fn place_of(plane: &PlaneNote) -> (Option<StagePlace>, Option<(i32, i32)>) {
    (plane.stage, plane.row_col)
}

/// A cell of a grid as a place of the stage, in steps; the overlap is found later.
fn in_steps(row: i32, col: i32) -> StagePlace {
    StagePlace { x: f64::from(col), y: f64::from(row), unit: StageUnit::Unknown, um_per_px: None }
}
