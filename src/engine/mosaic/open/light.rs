//! The light of an open mosaic: it follows from the fields and from what their places are known by, and from nothing
//! else, so that the window, a later run and the command line even out alike.

use super::{AtWork, OpenMosaic, Work, same};
use crate::engine::mosaic::publish::Facts;
use crate::engine::mosaic::{Evenness, MosaicEdits, Step};
use crate::error::Error;
use crate::geom::Size;
use crate::mosaic::illumination::{FieldOverlap, PyramidFields, accepted_overlaps, estimate, overlaps_of_places};
use crate::mosaic::{Illumination, Verdict};
use crate::pyramid::Cancel;
use std::sync::Arc;

/// What was found out about the light, and from which overlaps.
pub(super) struct KnownLight {
    basis: Vec<FieldOverlap>,
    evenness: Evenness,
    estimated: Option<Arc<Illumination>>,
}

impl KnownLight {
    /// Nothing came of these facts; it is not tried again.
    pub(super) fn nothing(facts: &Facts, edits: &MosaicEdits, evenness: Evenness) -> Option<Self> {
        basis(facts, edits).map(|basis| Self { basis, evenness, estimated: None })
    }
}

/// The overlaps that the light is told from: the seams that the places were solved by, or, where places were read from a
/// file, the overlaps of those. `None` where the fields stand at places that nothing speaks for.
fn basis(facts: &Facts, edits: &MosaicEdits) -> Option<Vec<FieldOverlap>> {
    if edits.show_unaligned {
        return None;
    }
    if let Some(loaded) = &edits.positions {
        let sizes: Vec<Size> = facts.field_set.fields.iter().map(|f| f.size).collect();
        return Some(overlaps_of_places(&loaded.places, &sizes));
    }
    let alignment = facts.alignment.as_ref().filter(|alignment| alignment.verdict == Verdict::Aligned)?;
    Some(accepted_overlaps(alignment, &edits.hand))
}

impl OpenMosaic {
    /// Estimates the light of the fields anew where what it is told from has changed.
    pub(super) fn follow_light(&self, work: &mut Work, edits: &MosaicEdits, at_work: AtWork<'_>) {
        let Some(basis) = basis(&self.facts.lock(), edits) else { return self.put_light(Evenness::Unknown, None) };
        if let Some(known) = work.light.as_ref().filter(|known| known.basis == basis) {
            return self.put_light(known.evenness.clone(), known.estimated.clone());
        }
        let Some(first) = self.set.infos.first() else { return };
        if !edits.even_illumination && !at_work.watch.wants_light() {
            return self.put_light(Evenness::Unknown, None);
        }
        let cancel = at_work.watch.begin();
        // What is evened out on the screen stays so until something better is known.
        self.facts.lock().evenness = Evenness::Estimating;
        self.publish(at_work.watch);
        let fields = PyramidFields { pyramid: at_work.pyramid, z: first.z_count / 2, t: 0, cancel: &cancel };
        let progress = |done: u64, total: u64| {
            cancel.check()?;
            // Decisions about seams are solved at once; the light comes after them.
            if self.is_told_otherwise(edits) {
                return Err(Error::Cancelled);
            }
            self.follow_trifles(at_work.watch);
            at_work.watch.progress(Step::Light, done, total)
        };
        let channels = first.channels.len() as u16;
        let found = cancel.check().and_then(|()| estimate(&fields, &basis, channels, at_work.pool, &progress));
        let (known, outcome) = match found {
            Ok(found) => {
                let evenness = Evenness::Known(found.channels.into());
                (Some((evenness, Some(Arc::new(found.illumination)))), Ok(()))
            }
            Err(error) => (after_failure(&error, &cancel), Err(error)),
        };
        if let Some((evenness, estimated)) = known {
            self.put_light(evenness.clone(), estimated.clone());
            work.light = Some(KnownLight { basis, evenness, estimated });
        }
        at_work.watch.end(outcome);
    }

    /// Whether what the light is told from is being decided otherwise.
    fn is_told_otherwise(&self, by: &MosaicEdits) -> bool {
        let (again, now) = {
            let wanted = self.wanted.lock();
            (wanted.again, wanted.edits.clone())
        };
        if std::ptr::eq(now.as_ref(), by) {
            return again;
        }
        again
            || self.asked(&now) != self.asked(by)
            || now.hand != by.hand
            || now.layout != by.layout
            || now.positions != by.positions
            || now.show_unaligned != by.show_unaligned
    }

    /// Takes in what is known of the light. Nothing is painted anew where it is the same.
    fn put_light(&self, evenness: Evenness, estimated: Option<Arc<Illumination>>) {
        let mut facts = self.facts.lock();
        facts.evenness = evenness;
        if !same(&facts.estimated, &estimated) {
            facts.estimated = estimated;
            facts.mix_light(self.set.infos.first().map_or(0, |image| image.channels.len() as u16));
        }
    }
}

/// What is known where an estimate did not come to its end; `None` where it only gave way and comes again.
fn after_failure(error: &Error, cancel: &Cancel) -> Option<(Evenness, Option<Arc<Illumination>>)> {
    if !error.is_cancelled() {
        return Some((Evenness::Failed(error.to_string()), None));
    }
    cancel.is_cancelled().then_some((Evenness::Unknown, None))
}
