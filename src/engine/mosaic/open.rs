//! What an open mosaic holds beside its pyramid of fields: decisions, measurements, and where the fields are shown.

mod light;

use super::publish::{Facts, Measured, shown_places, state_of};
use super::{Evenness, FrozenMosaic, LoadedPositions, MosaicEdits, MosaicSet, MosaicState, ProfileFiles};
use crate::error::{Error, Result};
use crate::geom::Point;
use crate::image_set::{FieldSet, GridLayout};
use crate::mosaic::illumination::import_profiles;
use crate::mosaic::{AlignOptions, AlignWatch, Aligner, Alignment, Fuser, Geometry, HandWork, Illumination, Reduced};
use crate::pyramid::{Cancel, ImageInfo, PlaneId, Pyramid};
use crate::stitch::solve::Start;
use light::KnownLight;
use parking_lot::Mutex;
use rayon::ThreadPool;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};
use xxhash_rust::xxh3::xxh3_64;

/// The name of the text that keeps the decisions about a mosaic: those under a typed name pattern have one of their own,
/// since other names are other fields. The text without a pattern says which pattern holds.
pub fn edits_text(fingerprint: &str, pattern: Option<&str>) -> String {
    match pattern {
        None => format!("mosaic-{fingerprint}.json"),
        Some(pattern) => format!("mosaic-{fingerprint}-{:016x}.json", xxh3_64(pattern.as_bytes())),
    }
}

/// What of the work on a mosaic is going on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Seams are being measured.
    Seams,
    /// The light is being estimated.
    Light,
}

impl Step {
    /// What it is called.
    pub fn title(self) -> &'static str {
        match self {
            Self::Seams => "Aligning",
            Self::Light => "Measuring the light",
        }
    }
}

/// Whom the work on a mosaic tells, and who stops it. Called from worker threads.
pub trait MosaicWatch: Sync {
    /// Whether the light is to be looked into even where it is not evened out yet.
    fn wants_light(&self) -> bool {
        true
    }
    /// Something that takes a while is begun; the answer stops it.
    fn begin(&self) -> Cancel;
    /// Between two pieces of work: gives way to what is looked at. An error stops the measurement.
    fn progress(&self, step: Step, done: u64, total: u64) -> Result<()>;
    /// It ended.
    fn end(&self, outcome: Result<()>);
    /// The mosaic stands otherwise.
    fn changed(&self, state: &Arc<MosaicState>);
    /// Something that the user should know.
    fn problem(&self, error: &Error);
}

/// What is wanted of a mosaic.
struct Wanted {
    edits: Arc<MosaicEdits>,
    /// Goes up with every change.
    revision: u64,
    /// Measure, whatever was measured before.
    again: bool,
}

/// What the fields are laid out by.
type LayoutChoice = Option<GridLayout>;

/// What an alignment goes by.
#[derive(Debug, Clone, PartialEq)]
struct Asked {
    options: AlignOptions,
    /// Rounds are not registered to one another: each has places of its own.
    round: u16,
}

/// Measured seams, and what they were measured with.
struct Kept {
    aligner: Aligner,
    asked: Asked,
}

/// What the one who works on the mosaic keeps to himself.
#[derive(Default)]
struct Work {
    kept: Option<Kept>,
    /// What was measured of rounds that were shown before, by round.
    others: BTreeMap<u16, Kept>,
    /// The decisions about seams that the places agree with.
    solved: Option<HandWork>,
    /// What the user called off; it is not begun again by itself.
    called_off: Option<Asked>,
    /// What was last found out about the light.
    light: Option<KnownLight>,
    /// The profile images that were read.
    profiles: BTreeMap<u16, ProfileFiles>,
}

/// Where the fields are shown, and with what light.
#[derive(Clone)]
struct Shown {
    state: Arc<MosaicState>,
    illumination: Option<Arc<Illumination>>,
}

/// An open mosaic.
pub struct OpenMosaic {
    /// What of it stays as it is.
    pub set: Arc<MosaicSet>,
    /// What the user should know about how it opened, one line each.
    pub warnings: Vec<String>,
    wanted: Mutex<Wanted>,
    facts: Mutex<Facts>,
    shown: Mutex<Shown>,
    work: Mutex<Work>,
    /// Small pictures of fields, for coarse tiles.
    reduced: Arc<Reduced>,
    /// Fields that cannot be read and were reported.
    reported: Mutex<BTreeSet<u32>>,
    /// What the numbers of its fields mean, once it was asked for.
    field_order: OnceLock<Option<String>>,
}

impl OpenMosaic {
    /// A mosaic as it opens: at its nominal layout, by what was decided about it in earlier runs.
    pub fn new(
        fields: &Arc<FieldSet>,
        infos: Arc<[ImageInfo]>,
        fingerprint: String,
        saved: MosaicEdits,
        chosen: bool,
    ) -> Result<Self> {
        let mut warnings = Vec::new();
        let (mut saved, field_set) = match laid_out(fields, &choice(&saved)) {
            Ok(field_set) => (saved, field_set),
            // A correction of an older set must not keep this one from opening.
            Err(error) => {
                tracing::debug!("a saved layout does not fit: {error}");
                (MosaicEdits { layout: None, ..saved }, fields.clone())
            }
        };
        if fields.channels.iter().all(|channel| channel.round != saved.round) {
            saved.round = 0;
        }
        let facts = Facts {
            field_set,
            laid_out_by: choice(&saved),
            measured: Measured::No,
            alignment: None,
            evenness: Evenness::Unknown,
            illumination: None,
            estimated: None,
            imported: BTreeMap::new(),
            revision: 0,
        };
        let state = state_of(&facts, &saved, &infos, None, false).or_else(|error| {
            if saved.positions.take().is_none() {
                return Err(error);
            }
            // Places that cannot be shown must not keep the set from opening.
            warnings.push(format!("The loaded positions are left out: {error}"));
            state_of(&facts, &saved, &infos, None, false)
        });
        let state = Arc::new(state?);
        let saved = Arc::new(saved);
        let wanted = Wanted { edits: saved.clone(), revision: 0, again: false };
        let set = MosaicSet { fields: fields.clone(), infos, chosen, fingerprint, saved, state: state.clone() };
        Ok(Self {
            set: Arc::new(set),
            warnings,
            wanted: Mutex::new(wanted),
            facts: Mutex::new(facts),
            shown: Mutex::new(Shown { state, illumination: None }),
            work: Mutex::default(),
            reduced: Arc::default(),
            reported: Mutex::default(),
            field_order: OnceLock::new(),
        })
    }

    /// How it stands.
    pub fn state(&self) -> Arc<MosaicState> {
        self.shown.lock().state.clone()
    }

    /// Where the fields are shown.
    pub fn geometry(&self) -> Arc<Geometry> {
        self.shown.lock().state.geometry.clone()
    }

    /// What puts the fields of its pyramid together as they are shown now.
    pub fn fuser<'p>(&self, pyramid: &'p Pyramid) -> Fuser<'p> {
        let shown = self.shown.lock().clone();
        Fuser::new(pyramid, shown.state.geometry.clone(), shown.illumination).with_reduced(self.reduced.clone())
    }

    /// How it stands now, for something that takes longer than it may stay so.
    pub fn frozen(&self) -> FrozenMosaic {
        // Both are changed under this lock.
        let facts = self.facts.lock();
        let shown = self.shown.lock().clone();
        FrozenMosaic {
            state: shown.state,
            path: self.set.fields.path.clone(),
            shown: shown.illumination,
            known: facts.illumination.clone(),
            reduced: self.reduced.clone(),
        }
    }

    /// The fields that cannot be read and why, each of them once: what was told before is left out.
    pub fn new_failures(&self, pyramid: &Pyramid) -> Vec<String> {
        let mut reported = self.reported.lock();
        let failures = pyramid.failures().into_iter().filter(|(key, _)| reported.insert(key.plane.field));
        failures
            .map(|(key, why)| format!("The field {} cannot be read: {why}", self.field_name(key.plane.field)))
            .collect()
    }

    /// The fields as they are laid out, and their places as they are shown, to fractions of a pixel.
    pub fn places(&self) -> (Arc<FieldSet>, Vec<Point>) {
        let facts = self.facts.lock();
        (facts.field_set.clone(), shown_places(&facts, &self.edits()))
    }

    /// What a field is called.
    pub fn field_name(&self, field: u32) -> String {
        self.set.fields.fields.get(field as usize).map_or_else(String::new, |f| f.name.clone())
    }

    /// What is decided about it as it is kept. Reads files at the first call.
    pub fn kept_text(&self, edits: &MosaicEdits) -> serde_json::Result<String> {
        // Without a mark it is taken as it is: what cannot be read now may be read again.
        let field_order = self.field_order.get_or_init(|| self.set.fields.order_mark().ok()).clone();
        serde_json::to_string(&MosaicEdits { field_order, ..edits.clone() })
    }

    /// What is decided about it.
    pub fn edits(&self) -> Arc<MosaicEdits> {
        self.wanted.lock().edits.clone()
    }

    /// Changes what is decided; [`Self::serve`] makes it so.
    pub fn set_edits(&self, edits: Arc<MosaicEdits>) {
        let mut wanted = self.wanted.lock();
        wanted.edits = edits;
        wanted.revision += 1;
    }

    /// Whether places from a file can be shown: fails, in words, where they make no mosaic.
    pub fn check_positions(&self, positions: &LoadedPositions) -> Result<()> {
        let positions = Some(positions.clone());
        let edits =
            MosaicEdits { positions: positions.map(Arc::new), show_unaligned: false, ..self.edits().as_ref().clone() };
        let facts = self.facts.lock().clone();
        state_of(&facts, &edits, &self.set.infos, None, false).map(drop)
    }

    /// Shows the nominal layout at once, whatever is decided; nothing is measured.
    pub fn lay_out(&self) {
        let edits = MosaicEdits { show_unaligned: true, ..self.edits().as_ref().clone() };
        self.set_edits(Arc::new(edits));
        self.publish(&Unwatched);
    }

    /// Has the seams measured anew; [`Self::serve`] does it.
    pub fn align_again(&self) {
        let mut wanted = self.wanted.lock();
        wanted.again = true;
        wanted.revision += 1;
    }

    /// Does what is wanted: measures, solves, and says how the mosaic stands meanwhile. Returns once nothing more is
    /// wanted. One thread at a time works; a second one waits.
    pub fn serve(&self, pyramid: &Pyramid, pool: &ThreadPool, watch: &dyn MosaicWatch) {
        let mut work = self.work.lock();
        loop {
            let (edits, revision, again) = {
                let mut wanted = self.wanted.lock();
                (wanted.edits.clone(), wanted.revision, std::mem::take(&mut wanted.again))
            };
            let at_work = AtWork { pyramid, pool, watch };
            self.follow_layout(&mut work, &edits, watch);
            self.follow_seams(&mut work, &edits, again, at_work);
            self.follow_profiles(&mut work, &edits, at_work);
            self.follow_light(&mut work, &edits, at_work);
            self.publish(watch);
            if self.wanted.lock().revision == revision {
                return;
            }
        }
    }

    /// A fault in [`Self::serve`] ended it: what was going on has failed, and is not begun again by itself.
    pub fn stopped_by_fault(&self, watch: &dyn MosaicWatch) {
        const FAULT: &str = "the work stopped because of a fault in Microtome, please report it";
        let edits = self.edits();
        let asked = self.asked(&edits);
        let mut work = self.work.lock();
        let mut facts = self.facts.lock();
        if matches!(facts.measured, Measured::Now(..)) {
            (facts.alignment, facts.measured) = (None, Measured::Failed(FAULT.to_owned()));
            (work.kept, work.solved, work.called_off) = (None, None, Some(asked));
        }
        if facts.evenness == Evenness::Estimating {
            facts.evenness = Evenness::Failed(FAULT.to_owned());
            work.light = KnownLight::nothing(&facts, &edits, facts.evenness.clone());
        }
        drop(facts);
        drop(work);
        self.publish(watch);
    }

    /// Lays the fields out as it is decided.
    fn follow_layout(&self, work: &mut Work, edits: &MosaicEdits, watch: &dyn MosaicWatch) {
        let choice = choice(edits);
        if self.facts.lock().laid_out_by == choice {
            return;
        }
        match laid_out(&self.set.fields, &choice) {
            Ok(field_set) => {
                *work = Work::default();
                let mut facts = self.facts.lock();
                (facts.field_set, facts.laid_out_by) = (field_set, choice);
                (facts.alignment, facts.measured) = (None, Measured::No);
            }
            Err(error) => {
                self.facts.lock().laid_out_by = choice;
                watch.problem(&error);
            }
        }
        self.publish(watch);
    }

    /// Measures seams and solves places as it is decided.
    fn follow_seams(&self, work: &mut Work, edits: &MosaicEdits, again: bool, at_work: AtWork<'_>) {
        let asked = self.asked(edits);
        let is_kept = work.kept.as_ref().is_some_and(|kept| kept.asked == asked) || self.recalled(work, &asked);
        let is_wanted = edits.positions.is_none()
            && !(edits.show_unaligned && self.facts.lock().alignment.is_none())
            && work.called_off.as_ref() != Some(&asked);
        if again || (!is_kept && is_wanted) {
            work.called_off = None;
            self.measure(work, &asked, at_work);
        }
        let Some(kept) = &work.kept else { return };
        if work.solved.as_ref() == Some(&edits.hand) {
            return;
        }
        let before = self.facts.lock().alignment.clone();
        if let (Some(before), true) = (before, work.solved.is_some()) {
            // At once from where the fields stand, then the places that do not depend on what happened before.
            self.solved(kept.aligner.solve(&edits.hand, Start::Warm(&before.positions)));
            self.publish(at_work.watch);
        }
        self.settled(kept.aligner.solve(&edits.hand, Start::Cold), edits, at_work.watch);
        work.solved = Some(edits.hand.clone());
        self.publish(at_work.watch);
    }

    /// What the alignment goes by: a channel of another round than the one that is shown says nothing of its places.
    fn asked(&self, edits: &MosaicEdits) -> Asked {
        let channel = edits.options.channel.filter(|&channel| self.set.round_of(channel) == edits.round);
        Asked { options: AlignOptions { channel, ..edits.options.clone() }, round: edits.round }
    }

    /// Takes up what was measured of a round when it was shown before; false where there is nothing.
    fn recalled(&self, work: &mut Work, asked: &Asked) -> bool {
        let Some(kept) = work.others.remove(&asked.round).filter(|kept| kept.asked == *asked) else { return false };
        put_by(work, asked.round);
        (work.kept, work.solved) = (Some(kept), None);
        self.facts.lock().measured = Measured::Yes;
        true
    }

    fn solved(&self, alignment: Alignment) {
        self.facts.lock().alignment = Some(Arc::new(alignment));
    }

    /// Takes in the places that hold. The light follows from them, so until it is known nothing is written by an older one.
    fn settled(&self, alignment: Alignment, edits: &MosaicEdits, watch: &dyn MosaicWatch) {
        let mut facts = self.facts.lock();
        facts.alignment = Some(Arc::new(alignment));
        if edits.even_illumination || watch.wants_light() {
            facts.evenness = Evenness::Estimating;
        }
    }

    /// Measures all seams anew.
    fn measure(&self, work: &mut Work, asked: &Asked, at_work: AtWork<'_>) {
        put_by(work, asked.round);
        let (field_set, keep_layout) = {
            let mut facts = self.facts.lock();
            facts.measured = Measured::Now(0, 0);
            (facts.field_set.clone(), facts.laid_out_by.is_some())
        };
        let cancel = at_work.watch.begin();
        let watch = Measuring { mosaic: self, watch: at_work.watch, asked };
        self.publish(at_work.watch);
        let how = AlignOptions { keep_layout, ..asked.options.clone() };
        let measured = Aligner::new(&field_set, how).and_then(|aligner| {
            let mut aligner = aligner.of_round(asked.round);
            aligner.measure(at_work.pyramid, at_work.pool, &watch, &cancel)?;
            Ok(aligner)
        });
        (work.kept, work.solved, work.light) = (None, None, None);
        let mut facts = self.facts.lock();
        let outcome = match measured {
            Ok(aligner) => {
                facts.measured = Measured::Yes;
                work.kept = Some(Kept { aligner, asked: asked.clone() });
                Ok(())
            }
            Err(error) => {
                // Half an alignment is none: the fields go back to where the set says.
                facts.alignment = None;
                facts.measured = if error.is_cancelled() { Measured::No } else { Measured::Failed(error.to_string()) };
                // What stopped to make room for something else comes again; what a person called off does not.
                if cancel.is_cancelled() || !error.is_cancelled() {
                    work.called_off = Some(asked.clone());
                }
                Err(error)
            }
        };
        drop(facts);
        at_work.watch.end(outcome);
    }

    /// Reads the profile images that the user chose. One that cannot be read is told and left out.
    fn follow_profiles(&self, work: &mut Work, edits: &MosaicEdits, at_work: AtWork<'_>) {
        if work.profiles == edits.profiles {
            return;
        }
        work.profiles.clone_from(&edits.profiles);
        let channels = self.set.infos.first().map_or(0, |image| image.channels.len() as u16);
        let source = at_work.pyramid.source();
        let codings = (0..channels).map(|channel| source.coding(PlaneId { channel, ..PlaneId::default() }));
        let imported = codings.collect::<Result<Vec<_>>>().map(|codings| {
            let read = |(&channel, files): (&u16, &ProfileFiles)| {
                let cancel = Cancel::default();
                match import_profiles(Some(&files.flat), files.dark.as_deref(), &codings, &cancel) {
                    Ok(light) => light.profile(channel).map(|profile| (channel, profile.clone())),
                    Err(error) => {
                        at_work.watch.problem(&error);
                        None
                    }
                }
            };
            edits.profiles.iter().filter_map(read).collect()
        });
        let imported = imported.unwrap_or_else(|error| {
            at_work.watch.problem(&error);
            BTreeMap::new()
        });
        let mut facts = self.facts.lock();
        facts.imported = imported;
        facts.mix_light(channels);
    }

    /// Shows what changed of blending and the like: it does not wait for the end of long work.
    fn follow_trifles(&self, watch: &dyn MosaicWatch) {
        let revision = self.wanted.lock().revision;
        let is_due = std::mem::replace(&mut self.facts.lock().revision, revision) != revision;
        if is_due {
            self.publish(watch);
        }
    }

    /// Whether a measurement of this makes no sense any more.
    fn is_overtaken(&self, asked: &Asked) -> bool {
        let (again, edits) = {
            let wanted = self.wanted.lock();
            (wanted.again, wanted.edits.clone())
        };
        again
            || self.asked(&edits) != *asked
            || edits.positions.is_some()
            || self.facts.lock().laid_out_by != choice(&edits)
    }

    /// Says how the mosaic stands by what is known and decided now.
    fn publish(&self, watch: &dyn MosaicWatch) {
        // One at a time, so that an older state never comes after a newer one.
        let facts = self.facts.lock();
        let edits = self.edits();
        let before = self.shown.lock().clone();
        let illumination = facts.illumination.clone().filter(|_| edits.even_illumination);
        let is_repainted = !same(&illumination, &before.illumination);
        match state_of(&facts, &edits, &self.set.infos, Some(&before.state), is_repainted) {
            Ok(state) => {
                let state = Arc::new(state);
                *self.shown.lock() = Shown { state: state.clone(), illumination };
                watch.changed(&state);
            }
            Err(error) => watch.problem(&error),
        }
    }
}

/// What the work on a mosaic is done with.
#[derive(Clone, Copy)]
struct AtWork<'a> {
    pyramid: &'a Pyramid,
    pool: &'a ThreadPool,
    watch: &'a dyn MosaicWatch,
}

/// Nobody is told.
struct Unwatched;

impl MosaicWatch for Unwatched {
    fn begin(&self) -> Cancel {
        Cancel::default()
    }

    fn progress(&self, _: Step, _: u64, _: u64) -> Result<()> {
        Ok(())
    }

    fn end(&self, _: Result<()>) {}

    fn changed(&self, _: &Arc<MosaicState>) {}

    fn problem(&self, error: &Error) {
        tracing::debug!("the layout cannot be shown: {error}");
    }
}

/// A measurement that is going on.
struct Measuring<'a> {
    mosaic: &'a OpenMosaic,
    watch: &'a dyn MosaicWatch,
    asked: &'a Asked,
}

impl AlignWatch for Measuring<'_> {
    fn progress(&self, done: u64, total: u64) -> Result<()> {
        if self.mosaic.is_overtaken(self.asked) {
            return Err(Error::Cancelled);
        }
        self.mosaic.facts.lock().measured = Measured::Now(done, total);
        self.mosaic.follow_trifles(self.watch);
        self.watch.progress(Step::Seams, done, total)
    }

    fn provisional(&self, alignment: Alignment) {
        self.mosaic.solved(alignment);
        self.mosaic.publish(self.watch);
    }
}

/// Puts by what was measured, before another round is looked at.
fn put_by(work: &mut Work, round: u16) {
    if let Some(kept) = work.kept.take().filter(|kept| kept.asked.round != round) {
        work.others.insert(kept.asked.round, kept);
    }
}

fn same(a: &Option<Arc<Illumination>>, b: &Option<Arc<Illumination>>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => Arc::ptr_eq(a, b),
        (None, None) => true,
        _ => false,
    }
}

/// The fields in the layout that was chosen.
fn laid_out(fields: &Arc<FieldSet>, choice: &LayoutChoice) -> Result<Arc<FieldSet>> {
    match choice {
        None => Ok(fields.clone()),
        Some(layout) => fields.with_layout(*layout).map(Arc::new),
    }
}

fn choice(edits: &MosaicEdits) -> LayoutChoice {
    edits.layout
}
