//! How small the samples of an export become: a few places are packed by a worker while the user still chooses.

use super::exporting;
use crate::engine::{Engine, OpenSet};
use crate::session::{Packing, Session};
use std::sync::mpsc::{Receiver, TryRecvError, channel};

/// The measurement that is awaited, and the last one that came to nothing.
#[derive(Default)]
pub struct Estimating {
    awaited: Option<(Packing, Receiver<Option<f64>>)>,
    /// What could not be measured is not tried again and again.
    in_vain: Option<Packing>,
}

impl Estimating {
    /// Takes in what was measured, and has measured what is not known yet.
    pub fn advance(&mut self, session: &mut Session, engine: &Engine, ctx: &egui::Context) {
        if let Some((packing, answer)) = &self.awaited {
            let share = match answer.try_recv() {
                Ok(share) => share,
                Err(TryRecvError::Empty) => return,
                // The image was closed in between.
                Err(TryRecvError::Disconnected) => None,
            };
            match share {
                Some(share) => session.export_measured(packing.clone(), share),
                None => self.in_vain = Some(packing.clone()),
            }
            self.awaited = None;
        }
        let Some((packing, plan)) = session.export_to_measure() else { return };
        if self.in_vain.as_ref() == Some(&packing) {
            return;
        }
        let (set, (send, receive)) = (plan.set(), channel());
        self.awaited = Some((packing, receive));
        let ctx = ctx.clone();
        let work = move |set: &OpenSet| {
            // Without a measurement the rule of thumb stays; what is wrong with the image is said when it is exported.
            let share = exporting::packed_share(set, &plan).unwrap_or_else(|error| {
                tracing::debug!("no estimate: {error}");
                None
            });
            if send.send(share).is_ok() {
                ctx.request_repaint();
            }
        };
        engine.with_set(set, Box::new(work));
    }
}
