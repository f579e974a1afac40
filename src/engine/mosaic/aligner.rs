//! The `aligner` thread: it measures and solves open mosaics, the one that is looked at first.

use super::{MosaicEdits, MosaicPhase, MosaicState, MosaicWatch, Step, edits_text};
use crate::engine::threads::{PROGRESS_INTERVAL, YIELD, contained};
use crate::engine::{Event, JobId, OpenSet, Shared};
use crate::error::{Error, Result};
use crate::pyramid::{Cancel, SetId};
use parking_lot::{Condvar, Mutex};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long a filler sleeps before it asks again whether the aligner has done.
const TURN_WAIT: Duration = Duration::from_millis(100);

/// How long the first alignment of a mosaic waits for what is looked at: one sees where fields come from before they move,
/// and the first picture has the machine for itself.
const FIRST_VIEW_WAIT: Duration = Duration::from_secs(1);

/// The mosaics that wait for the aligner.
#[derive(Default)]
pub(in crate::engine) struct Alignments {
    state: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    sets: Vec<SetId>,
    preferred: SetId,
    /// The one that is worked on.
    active: Option<SetId>,
    stopped: bool,
}

impl Alignments {
    /// Has the aligner look at a mosaic.
    pub fn push(&self, set: SetId) {
        let mut state = self.state.lock();
        if !state.sets.contains(&set) {
            state.sets.push(set);
        }
        drop(state);
        self.changed.notify_all();
    }

    /// The mosaic that is looked at comes next.
    pub fn prefer(&self, set: SetId) {
        self.state.lock().preferred = set;
    }

    pub fn stop(&self) {
        self.state.lock().stopped = true;
        self.changed.notify_all();
    }

    /// Whether the pool is the aligner's now: background fills give way.
    pub fn is_busy(&self) -> bool {
        let state = self.state.lock();
        !state.stopped && (state.active.is_some() || !state.sets.is_empty())
    }

    /// Waits a moment while the aligner is busy; true once it is not, or all is to stop.
    pub fn wait_idle(&self) -> bool {
        let mut state = self.state.lock();
        if !state.stopped && (state.active.is_some() || !state.sets.is_empty()) {
            self.changed.wait_for(&mut state, TURN_WAIT);
        }
        state.stopped || (state.active.is_none() && state.sets.is_empty())
    }

    fn next(&self) -> Option<SetId> {
        let mut state = self.state.lock();
        state.active = None;
        self.changed.notify_all();
        loop {
            if state.stopped {
                return None;
            }
            if !state.sets.is_empty() {
                let at = state.sets.iter().position(|&s| s == state.preferred).unwrap_or(0);
                let set = state.sets.remove(at);
                state.active = Some(set);
                return Some(set);
            }
            self.changed.wait(&mut state);
        }
    }

    /// Whether another mosaic should be worked on now.
    fn should_switch(&self, from: SetId) -> bool {
        let state = self.state.lock();
        state.preferred != from && state.sets.contains(&state.preferred)
    }
}

impl Shared {
    /// Takes over what was decided about a mosaic, and keeps it.
    pub(in crate::engine) fn edit_mosaic(&self, id: SetId, edits: Arc<MosaicEdits>) {
        let Some(set) = self.set(id) else { return };
        let Some(mosaic) = &set.mosaic else { return };
        mosaic.set_edits(edits.clone());
        let name = edits_text(&mosaic.set.fingerprint, edits.pattern.as_deref());
        let for_text = set.clone();
        let text = move || match &for_text.mosaic {
            Some(mosaic) => mosaic.kept_text(&edits),
            None => serde_json::to_string(&*edits),
        };
        self.texts.save_with(&name, Arc::new(text));
        self.alignments.push(id);
    }

    /// Has a mosaic's seams measured anew.
    pub(in crate::engine) fn align_again(&self, id: SetId) {
        if let Some(mosaic) = self.set(id).as_ref().and_then(|set| set.mosaic.as_ref()) {
            mosaic.align_again();
            self.alignments.push(id);
        }
    }
}

/// The thread.
pub(in crate::engine) fn aligner(shared: &Arc<Shared>, pool: &rayon::ThreadPool) {
    while let Some(id) = shared.alignments.next() {
        let Some(set) = shared.set(id) else { continue };
        let Some(mosaic) = &set.mosaic else { continue };
        if mosaic.state().phase == MosaicPhase::LaidOut {
            shared.wishes.wait_for_view(id, FIRST_VIEW_WAIT);
        }
        let watch = Watch {
            shared,
            set: &set,
            job: Mutex::new(None),
            last: Mutex::new(Instant::now()),
            is_postponed: AtomicBool::new(false),
        };
        if contained(shared, Some(id), "Aligning", || mosaic.serve(&set.pyramid, pool, &watch)).is_none() {
            mosaic.stopped_by_fault(&watch);
        }
        // A fault must not leave the job in the list for ever.
        watch.end(Err(Error::Cancelled));
        if watch.is_postponed.load(Ordering::Relaxed) {
            shared.alignments.push(id);
        }
    }
}

/// What the work on a mosaic asks and tells.
struct Watch<'a> {
    shared: &'a Shared,
    set: &'a OpenSet,
    job: Mutex<Option<(JobId, Cancel)>>,
    last: Mutex<Instant>,
    /// It made room for the mosaic that is looked at.
    is_postponed: AtomicBool,
}

impl MosaicWatch for Watch<'_> {
    fn begin(&self) -> Cancel {
        let (job, cancel) = self.shared.begin_job(&self.set.cancel);
        *self.job.lock() = Some((job, cancel.clone()));
        cancel
    }

    fn progress(&self, step: Step, done: u64, total: u64) -> Result<()> {
        if self.shared.alignments.should_switch(self.set.opened.id) {
            self.is_postponed.store(true, Ordering::Relaxed);
            return Err(Error::Cancelled);
        }
        let job = self.job.lock().as_ref().map(|(job, _)| *job);
        if let (Some(job), Some(mut last)) = (job, self.last.try_lock())
            && last.elapsed() >= PROGRESS_INTERVAL
        {
            *last = Instant::now();
            let set = Some(self.set.opened.id);
            self.shared.send(Event::Progress { job, set, title: step.title(), done, total });
        }
        self.shared.wishes.yield_to_loaders(YIELD);
        Ok(())
    }

    fn end(&self, outcome: Result<()>) {
        let job = self.job.lock().take();
        if let Some((job, _)) = job {
            self.shared.end_job(job, outcome);
        }
    }

    fn changed(&self, state: &Arc<MosaicState>) {
        self.shared.send(Event::Mosaic { set: self.set.opened.id, state: state.clone() });
    }

    fn problem(&self, error: &Error) {
        self.shared.send(Event::Problem { set: Some(self.set.opened.id), message: error.to_string() });
    }
}
