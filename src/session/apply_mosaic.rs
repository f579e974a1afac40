//! What commands about a mosaic do.

use super::command::{Command, ImageId, MosaicCommand, ViewMove};
use super::image::OpenImage;
use super::mosaic::{MosaicView, SeamsOverlay, Selection};
use super::undo::Edit;
use super::{Entry, MAX_ENTRIES, Request, Session};
use crate::engine::{LoadedPositions, MosaicEdits, MosaicState, OpenAs, OpenedSet};
use crate::geom::Point;
use crate::mosaic::HandWork;
use crate::pyramid::SetId;
use crate::stitch::solve::Hand;
use std::path::PathBuf;
use std::sync::Arc;

impl Session {
    /// Does what a command says to the mosaic on the canvas.
    pub(super) fn mosaic_command(&mut self, command: MosaicCommand) {
        let (now, motion) = (self.now_secs, self.settings.preferences.motion);
        let Some(image) = self.current.and_then(|id| self.images.get_mut(&id)) else { return };
        let (id, Some(view)) = (image.id, image.mosaic.as_mut()) else { return };
        match command {
            MosaicCommand::DecideSeam(fields, hand) => {
                let words = match hand {
                    Hand::Accept => "accept seam",
                    Hand::Refuse => "reject seam",
                    Hand::Off => "leave seam to the measurement",
                    Hand::Shift(_) => "shift fields",
                };
                let fields = (fields.0.min(fields.1), fields.0.max(fields.1));
                self.edit_mosaic(id, words, |edits| decide(&mut edits.hand, fields, hand));
            }
            MosaicCommand::DecideField(field, hand) => {
                let seams: Vec<(u32, u32)> =
                    view.state.seams.iter().map(|s| s.fields).filter(|f| f.0 == field || f.1 == field).collect();
                let words = match hand {
                    Hand::Accept => "accept field",
                    Hand::Refuse => "reject field",
                    Hand::Off | Hand::Shift(_) => "leave field to the measurement",
                };
                self.edit_mosaic(id, words, |edits| {
                    seams.iter().for_each(|&fields| decide(&mut edits.hand, fields, hand))
                });
            }
            MosaicCommand::DragField(field, by) => view.drag(field, by, now),
            MosaicCommand::DropField => {
                let decisions = view.dropped();
                let mut hand_work = view.edits.hand.clone();
                decisions.iter().for_each(|&(fields, hand)| decide(&mut hand_work, fields, hand));
                if hand_work == view.edits.hand {
                    // The engine has nothing to solve, so the field goes back to where it stands.
                    view.cancel_drag(motion, now);
                } else {
                    view.end_drag();
                    self.edit_mosaic(id, "move field", |edits| edits.hand = hand_work);
                }
            }
            MosaicCommand::CancelDrag => view.cancel_drag(motion, now),
            MosaicCommand::ForgetHandWork => {
                self.edit_mosaic(id, "forget decisions about seams", |edits| edits.hand.edges.clear());
            }
            MosaicCommand::SetLayout(layout) => self.edit_mosaic(id, "change layout", |edits| edits.layout = layout),
            MosaicCommand::SetPattern(pattern) => self.set_pattern(id.set, pattern),
            MosaicCommand::SetAlignOptions(options) => {
                self.edit_mosaic(id, "change alignment", |edits| edits.options = options);
            }
            MosaicCommand::AlignAgain => {
                // Places from a file and the nominal layout would hide what comes of it.
                self.edit_mosaic(id, "align again", |edits| {
                    (edits.positions, edits.show_unaligned) = (None, false);
                });
                self.requests.push(Request::AlignAgain(id.set));
            }
            MosaicCommand::ShowUnaligned(unaligned) => {
                let words = if unaligned { "show unaligned" } else { "show aligned" };
                self.edit_mosaic(id, words, |edits| edits.show_unaligned = unaligned);
            }
            MosaicCommand::SetBlend(blend) => self.edit_mosaic(id, "change blending", |edits| edits.blend = blend),
            MosaicCommand::SetPlacement(placement) => {
                self.edit_mosaic(id, "change placement", |edits| edits.placement = placement);
            }
            MosaicCommand::EvenIllumination(even) => {
                self.edit_mosaic(id, "even illumination", |edits| edits.even_illumination = even);
            }
            MosaicCommand::SetProfiles(channels, profiles) => {
                let words = if profiles.is_some() { "import profile" } else { "forget profile" };
                self.edit_mosaic(id, words, |edits| match profiles {
                    Some(profiles) => edits.profiles.extend(channels.into_iter().map(|c| (c, profiles.clone()))),
                    None => edits.profiles.retain(|channel, _| !channels.contains(channel)),
                });
            }
            MosaicCommand::AskForProfile(channels) => self.requests.push(Request::AskForProfile(channels)),
            MosaicCommand::ToggleSeams => {
                view.overlay = if view.seams_shown() { SeamsOverlay::Hidden } else { SeamsOverlay::Shown };
            }
            MosaicCommand::SelectSeam(fields) => {
                view.selection = fields.map_or(Selection::Nothing, |(a, b)| Selection::Seam {
                    fields: (a.min(b), a.max(b)),
                    since_secs: now,
                });
                if let Some(frame) = fields.and_then(|fields| view.seam_frame(fields)) {
                    self.apply(Command::Move(ViewMove::Frame(frame)));
                }
            }
            MosaicCommand::SelectField(field) => {
                view.selection = field.map_or(Selection::Nothing, Selection::Field);
            }
            MosaicCommand::ShowRound(round) => self.show_round(id, round),
            MosaicCommand::UseSavedPositions => {
                let path = view.set.fields.saved_positions.clone();
                self.requests.extend(path.map(|path| Request::LoadPositions { set: id.set, path }));
            }
            MosaicCommand::LoadPositions(path) => self.requests.push(Request::LoadPositions { set: id.set, path }),
            MosaicCommand::ForgetPositions => {
                self.edit_mosaic(id, "forget loaded positions", |edits| edits.positions = None);
            }
            MosaicCommand::SavePositions(path) => self.requests.push(Request::SavePositions { set: id.set, path }),
            MosaicCommand::AskToLoadPositions => self.requests.push(Request::AskToLoadPositions),
            MosaicCommand::AskToSavePositions => self.requests.push(Request::AskToSavePositions),
        }
    }

    /// The engine says how a mosaic stands.
    pub(super) fn mosaic_changed(&mut self, id: ImageId, state: Arc<MosaicState>) {
        let (now, motion, canvas) = (self.now_secs, self.settings.preferences.motion, self.canvas);
        let is_current = self.current == Some(id);
        let Some(image) = self.images.get_mut(&id) else { return };
        let before = image.info().size;
        let Some(view) = image.mosaic.as_mut() else { return };
        // A mosaic that nobody looks at does not glide.
        let reframed = view.take(state, motion && is_current, now);
        if reframed != Point::default() {
            image.camera.center = image.camera.center + reframed;
            if is_current {
                self.pointer = self.pointer.map(|p| p + reframed);
            }
        }
        // A fitted mosaic stays fitted while its fields find their places; nothing moves under a field that is dragged.
        let is_dragged = image.mosaic.as_ref().is_some_and(|view| view.dragged().is_some());
        if image.info().size != before || (image.framing == super::Framing::Fit && !is_dragged) {
            image.reframe(canvas);
        }
        self.export_reframed(id, reframed);
        // What stood under the pointer stays to be read until the answer for how the mosaic stands now has come.
        if is_current {
            self.ask_for_sample();
        }
    }

    /// Places were read from a file: they take the place of measured ones.
    pub(super) fn positions_loaded(&mut self, set: SetId, positions: Arc<LoadedPositions>) {
        let id = ImageId { set, field: crate::mosaic::MOSAIC };
        self.edit_mosaic(id, "load positions", |edits| {
            edits.positions = Some(positions);
            edits.show_unaligned = false;
        });
    }

    /// Changes what is decided about a mosaic, so that it can be taken back.
    fn edit_mosaic(&mut self, id: ImageId, words: &'static str, change: impl FnOnce(&mut MosaicEdits)) {
        let Some(view) = self.images.get(&id).and_then(|i| i.mosaic.as_ref()) else { return };
        let before = view.edits.clone();
        let mut after = MosaicEdits::clone(&before);
        change(&mut after);
        if after == *before {
            return;
        }
        let edit = Edit::Mosaic { image: id, words, before, after: Arc::new(after) };
        self.make(&edit, true);
        self.undo.push(edit);
    }

    /// Makes decisions about a mosaic those that hold. Which round is shown is no decision: it is not taken back.
    pub(super) fn put_edits(&mut self, id: ImageId, edits: &Arc<MosaicEdits>) {
        if let Some(view) = self.images.get_mut(&id).and_then(|i: &mut OpenImage| i.mosaic.as_mut()) {
            view.edits = match edits.round == view.round {
                true => edits.clone(),
                false => Arc::new(MosaicEdits { round: view.round, ..edits.as_ref().clone() }),
            };
            self.requests.push(Request::EditMosaic { set: id.set, edits: view.edits.clone() });
        }
    }

    /// Shows a round by itself, at places of its own.
    pub(super) fn show_round(&mut self, id: ImageId, round: u16) {
        let Some(image) = self.images.get_mut(&id) else { return };
        image.show_round(round);
        let Some(view) = &image.mosaic else { return };
        if view.edits.round != view.round {
            let edits = view.edits.clone();
            self.put_edits(id, &edits);
        }
    }

    /// Opens the files of some sets as one mosaic, in the place of the first.
    pub(super) fn combine(&mut self, sets: &[SetId]) {
        let mut closed = Vec::new();
        let mut files = Vec::new();
        let mut unlike = Vec::new();
        let chosen: Vec<&Arc<OpenedSet>> = self.open_sets().filter(|set| sets.contains(&set.id)).collect();
        let current = self.current.and_then(|id| chosen.iter().find(|set| set.id == id.set));
        let Some(model) = current.or(chosen.first()) else { return };
        for &set in &chosen {
            if !are_alike(model, set) {
                unlike.push((set.id, set.path.clone()));
                continue;
            }
            closed.push(OpenAs::of(set));
            match &set.mosaic {
                Some(mosaic) => files.extend(mosaic.fields.files.iter().cloned()),
                None => files.push(set.path.clone()),
            }
        }
        // What does not fit stays in the list as it is.
        for (set, path) in unlike {
            let message = format!("Not combined, since its size or type is another: {}", path.display());
            self.add_problem(Some(set), message);
        }
        if files.len() < 2 {
            return;
        }
        self.regroup(Edit::Regroup {
            words: "combine as mosaic",
            before: closed,
            after: vec![OpenAs::Together { files, pattern: None }],
        });
    }

    /// Opens the files of a mosaic each by itself, in its place.
    pub(super) fn separate(&mut self, set: SetId) {
        let Some(open) = self.open_sets().find(|open| open.id == set) else { return };
        let Some(mosaic) = &open.mosaic else { return };
        let files = mosaic.fields.files.clone();
        let room = MAX_ENTRIES.saturating_sub(self.entries.len() - 1);
        if files.len() > room {
            let message = format!(
                "These are {} images, and {MAX_ENTRIES} can be open at once: they stay together, {}",
                files.len(),
                open.path.display()
            );
            return self.add_problem(Some(set), message);
        }
        let before = vec![OpenAs::of(open)];
        self.regroup(Edit::Regroup { words: "show as separate images", before, after: vec![OpenAs::Separate(files)] });
    }

    /// Opens a mosaic anew, its fields named by a pattern.
    fn set_pattern(&mut self, set: SetId, pattern: Option<String>) {
        let Some(open) = self.open_sets().find(|open| open.id == set) else { return };
        let Some(mosaic) = &open.mosaic else { return };
        if mosaic.saved.pattern == pattern {
            return;
        }
        let named = |pattern: Option<String>| match OpenAs::of(open) {
            OpenAs::Together { files, .. } => OpenAs::Together { files, pattern },
            _ => OpenAs::Named { path: open.path.clone(), pattern },
        };
        let (before, after) = (vec![named(mosaic.saved.pattern.clone())], vec![named(pattern)]);
        self.regroup(Edit::Regroup { words: "change name pattern", before, after });
    }

    fn regroup(&mut self, edit: Edit) {
        self.make(&edit, true);
        self.undo.push(edit);
    }

    /// Closes some groups and opens others in their place.
    pub(super) fn put_groups(&mut self, closed: &[OpenAs], opened: &[OpenAs]) {
        let paths: Vec<PathBuf> = closed.iter().flat_map(OpenAs::paths).collect();
        let is_closed = |entry: &Entry| match entry {
            Entry::Open(set) => closed.iter().any(|group| is_group(group, set)) || paths.contains(&set.path),
            Entry::Opening(path) | Entry::Failed { path, .. } => paths.contains(path),
        };
        let place = self.entries.iter().position(is_closed).unwrap_or(self.entries.len());
        let sets: Vec<SetId> = self
            .entries
            .iter()
            .filter(|e| is_closed(e))
            .filter_map(|e| match e {
                Entry::Open(set) => Some(set.id),
                Entry::Opening(_) | Entry::Failed { .. } => None,
            })
            .collect();
        self.entries.retain(|e| !is_closed(e) || matches!(e, Entry::Open(_)));
        sets.into_iter().for_each(|set| self.close(set));
        let mut place = place.min(self.entries.len());
        for group in opened {
            for path in group.paths() {
                if !self.entries.iter().any(|e| e.path() == path) {
                    self.entries.insert(place, Entry::Opening(path));
                    place += 1;
                }
            }
            self.requests.push(Request::OpenAs(group.clone()));
        }
        self.show_next = true;
    }

    fn open_sets(&self) -> impl Iterator<Item = &Arc<OpenedSet>> {
        self.entries.iter().filter_map(|e| match e {
            Entry::Open(set) => Some(set),
            Entry::Opening(_) | Entry::Failed { .. } => None,
        })
    }

    /// Moves the fields of the shown mosaic on; the view follows the field under the pointer. True while there is more to
    /// come.
    pub(super) fn advance_mosaic(&mut self, now_secs: f64) -> bool {
        let Some(image) = self.current.and_then(|id| self.images.get_mut(&id)) else { return false };
        let dragged = image.mosaic.as_ref().is_some_and(|m: &MosaicView| m.dragged().is_some());
        let anchor = match image.framing {
            _ if dragged => None,
            // What is fitted is all in view, and stays where it is.
            super::Framing::Fit => None,
            super::Framing::Free => self.pointer.or(Some(image.camera.center)),
        };
        let Some(view) = image.mosaic.as_mut() else { return false };
        let (moved, more) = view.advance(now_secs, anchor);
        if moved != Point::default() {
            image.camera.center = image.camera.center + moved;
            self.pointer = self.pointer.map(|p| p + moved);
        }
        more
    }
}

/// Whether the images of two sets can be fields of one mosaic.
pub(super) fn are_alike(a: &OpenedSet, b: &OpenedSet) -> bool {
    let field = |set: &OpenedSet| {
        let info = match &set.mosaic {
            Some(mosaic) => mosaic.infos.first(),
            None => set.images.first(),
        };
        info.map(|info| (info.size, info.pixel_type, info.channels.len()))
    };
    field(a) == field(b)
}

/// Whether an open set is what a group was opened as. A mosaic of chosen files is told by its files, in whatever order
/// they were put: its path is the program's own.
fn is_group(group: &OpenAs, set: &OpenedSet) -> bool {
    match (group, &set.mosaic) {
        (OpenAs::Together { files, .. }, Some(mosaic)) if mosaic.chosen => {
            !mosaic.fields.files.is_empty() && mosaic.fields.files.iter().all(|file| files.contains(file))
        }
        _ => *group == OpenAs::of(set),
    }
}

fn decide(hand_work: &mut HandWork, fields: (u32, u32), hand: Hand) {
    match hand {
        Hand::Off => drop(hand_work.edges.remove(&fields)),
        hand => drop(hand_work.edges.insert(fields, hand)),
    }
}
