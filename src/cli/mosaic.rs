//! Mosaics without a window: aligned before anything is made of them.

use super::Context;
use super::progress::Progress;
use crate::engine::{MosaicEdits, MosaicPhase, MosaicState, MosaicStep, MosaicWatch, OpenSet, work_pool};
use crate::error::{Error, Result};
use crate::pyramid::Cancel;
use std::sync::Arc;

/// Has an open mosaic aligned by the round of these channels, since rounds are not registered to one another; without any
/// by the one that its user looked at. Fails where they are of several.
pub fn choose_round(set: &OpenSet, channels: &[u16]) -> Result<()> {
    let (Some(mosaic), Some(&first)) = (&set.mosaic, channels.first()) else { return Ok(()) };
    let round = mosaic.set.round_of(first);
    if channels.iter().any(|&channel| mosaic.set.round_of(channel) != round) {
        let what = "these channels are of several rounds, which are not registered to one another: choose those of one";
        return Err(Error::unsupported(what, &set.opened.path));
    }
    mosaic.set_edits(Arc::new(MosaicEdits { round, ..mosaic.edits().as_ref().clone() }));
    Ok(())
}

/// Whether a channel is one of the round that an open mosaic is aligned by; of other images every channel is.
pub fn is_of_round(set: &OpenSet, channel: u16) -> bool {
    set.mosaic.as_ref().is_none_or(|mosaic| mosaic.set.round_of(channel) == mosaic.edits().round)
}

/// Aligns an open mosaic by what its user decided, with progress; its light is measured where it is to be evened out.
/// Where it is not aligned, one line says why, and the fields stand at their nominal places. A set that is no mosaic is
/// left as it is.
pub fn align(context: &Context, set: &OpenSet, even_illumination: bool, cancel: &Cancel) -> Result<()> {
    let Some(mosaic) = &set.mosaic else { return Ok(()) };
    if even_illumination {
        // A picture is painted by what is shown.
        mosaic.set_edits(Arc::new(MosaicEdits { even_illumination, ..mosaic.edits().as_ref().clone() }));
    }
    let pool = work_pool(context.config.threads)?;
    let progress = Progress::new(context.progress, "Aligning");
    let watch = Watch { progress, wants_light: even_illumination, cancel };
    mosaic.serve(&set.pyramid, &pool, &watch);
    watch.progress.finish();
    cancel.check()?;
    if let MosaicPhase::NotAligned(why) = &mosaic.state().phase {
        eprintln!("not aligned: {why}");
    }
    Ok(())
}

/// Shows the nominal layout of an open mosaic, whatever its user decided.
pub fn show_unaligned(set: &OpenSet) {
    if let Some(mosaic) = &set.mosaic {
        mosaic.lay_out();
    }
}

struct Watch<'a> {
    progress: Progress,
    wants_light: bool,
    cancel: &'a Cancel,
}

impl MosaicWatch for Watch<'_> {
    fn wants_light(&self) -> bool {
        self.wants_light
    }

    fn begin(&self) -> Cancel {
        self.cancel.clone()
    }

    fn progress(&self, _: MosaicStep, done: u64, total: u64) -> Result<()> {
        self.progress.set(done, total);
        self.cancel.check()
    }

    fn end(&self, _: Result<()>) {}

    fn changed(&self, _: &Arc<MosaicState>) {}

    fn problem(&self, error: &Error) {
        eprintln!("{error}");
    }
}
