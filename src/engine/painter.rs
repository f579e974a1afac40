//! The `painter` thread: it paints the demo, the fields first and the slides once nothing that is looked at waits.
//!
//! The opener is free meanwhile: the fields open as soon as they are painted, and align before the user's eyes.

use super::threads::{PROGRESS_INTERVAL, YIELD, contained, work_pool};
use super::{Event, Shared};
use crate::demo::{demo_folder, write_demo};
use crate::error::Result;
use crate::pyramid::Cancel;
use parking_lot::{Condvar, Mutex};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How long the slides wait for the fields to be opened: a window does that at once, and without one nobody does.
const OPENING_WAIT: Duration = Duration::from_secs(2);

/// How often it is looked whether the fields are open.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What is to be painted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Wanted {
    #[default]
    Nothing,
    Demo,
    /// The thread is to end.
    Stop,
}

/// What the painter waits at. Asking twice is asking once.
#[derive(Default)]
pub(super) struct Paintings {
    wanted: Mutex<Wanted>,
    changed: Condvar,
}

impl Paintings {
    pub(super) fn want(&self) {
        let mut wanted = self.wanted.lock();
        if *wanted == Wanted::Nothing {
            *wanted = Wanted::Demo;
        }
        drop(wanted);
        self.changed.notify_all();
    }

    pub(super) fn stop(&self) {
        *self.wanted.lock() = Wanted::Stop;
        self.changed.notify_all();
    }

    /// True once there is something to paint, false at the end.
    fn next(&self) -> bool {
        let mut wanted = self.wanted.lock();
        loop {
            match *wanted {
                Wanted::Nothing => self.changed.wait(&mut wanted),
                Wanted::Demo => {
                    *wanted = Wanted::Nothing;
                    return true;
                }
                Wanted::Stop => return false,
            }
        }
    }
}

/// The thread.
pub(super) fn painter(shared: &Arc<Shared>) {
    while shared.paintings.next() {
        let (job, cancel) = shared.begin_job(&Cancel::default());
        let painted = contained(shared, None, "Painting the demo", || {
            let mut last = Instant::now();
            paint(shared, &cancel, &mut |done, total| {
                if last.elapsed() >= PROGRESS_INTERVAL {
                    last = Instant::now();
                    shared.send(Event::Progress { job, set: None, title: "Painting the demo", done, total });
                }
            })
        });
        shared.end_job(job, painted.unwrap_or(Ok(())));
    }
}

fn paint(shared: &Shared, cancel: &Cancel, told: &mut (dyn FnMut(u64, u64) + Send)) -> Result<()> {
    // A pool of its own, which is gone afterwards: that of the fills is the aligner's while the slides are painted.
    let pool = work_pool(shared.config.threads)?;
    let are_fields_ready = AtomicBool::new(false);
    let mut progress = |done, total| {
        told(done, total);
        if are_fields_ready.load(Ordering::Relaxed) {
            give_way(shared, cancel);
        }
    };
    let mut ready = |path: &Path| {
        shared.send(Event::DemoReady { path: path.to_owned() });
        if !are_fields_ready.swap(true, Ordering::Relaxed) {
            wait_until_open(shared, path, cancel);
        }
    };
    pool.install(|| write_demo(&demo_folder(&shared.config.data_dir), &mut progress, &mut ready, cancel)).map(drop)
}

/// Waits a moment until a window has opened a path.
fn wait_until_open(shared: &Shared, path: &Path, cancel: &Cancel) {
    let is_open = || shared.sets.lock().values().any(|set| set.opened.path == path);
    let until = Instant::now() + OPENING_WAIT;
    while !is_open() && !cancel.is_cancelled() && Instant::now() < until {
        std::thread::park_timeout(LOOK_EVERY);
    }
    give_way(shared, cancel);
}

/// Waits while a mosaic is aligned, and for a moment while tiles are brought.
fn give_way(shared: &Shared, cancel: &Cancel) {
    while !cancel.is_cancelled() && !shared.alignments.wait_idle() {}
    shared.wishes.yield_to_loaders(YIELD);
}
