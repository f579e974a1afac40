//! `bench pan`: the window's own frames on a fixed path, without a display.

use crate::app::{Hand, Offscreen};
use crate::cli::Context;
use crate::engine::{Engine, EngineConfig};
use crate::error::{Error, Result};
use crate::geom::{Point, Size};
use crate::session::{Command, Entry};
use crate::store::{catalogue, system};
use crate::view::Camera;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The window, in physical pixels: the design's budget is for this size.
const WINDOW: Size = Size::new(1600, 1000);

/// Frames are not started more often than this.
const FRAME: Duration = Duration::from_micros(16_667);

/// A window that wants nothing is drawn after this long all the same.
const IDLE: Duration = Duration::from_secs(1);

/// How fast the view pans, in screen pixels a second.
const PAN_PX_PER_SEC: f64 = 1000.0;

/// Each stroke of the hand goes from here to there, in screen pixels from the window's left: over the canvas.
const STROKE_FROM: f64 = 1250.0;
const STROKE_TO: f64 = 320.0;

/// How long it pans.
const PAN_SECS: f64 = 4.0;

/// Jumps to distant places of a cold image.
const JUMPS: u32 = 8;

/// Waiting longer than this for a picture is a failure.
const PATIENCE_SECS: f64 = 120.0;

/// A share of the pixels that counts as all of them: scenes add up areas in floating point.
const ALL: f64 = 0.9999;

/// A window with an image in it, and what its frames took.
struct Rig {
    window: Offscreen,
    /// The engine has something new.
    woken: Arc<AtomicBool>,
    started: Instant,
    next: Instant,
    /// When the window wants to be drawn again.
    due: Instant,
    ui_ms: Vec<f64>,
    pictured: bool,
    uncovered_frames: u64,
}

impl Rig {
    fn open(config: &EngineConfig, path: &Path) -> Result<Self> {
        let config = config.clone();
        let woken = Arc::new(AtomicBool::new(true));
        let waker = woken.clone();
        let wake = move || waker.store(true, Ordering::Relaxed);
        let mut window = Offscreen::new(WINDOW, 1.0, move || Engine::new(config, Arc::new(wake)))?;
        window.app().command(Command::Open(vec![path.to_owned()]));
        let now = Instant::now();
        Ok(Self {
            window,
            woken,
            started: now,
            next: now,
            due: now,
            ui_ms: Vec::new(),
            pictured: false,
            uncovered_frames: 0,
        })
    }

    fn now_secs(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }

    /// One frame at its time, if the window wants one; how much of the canvas is covered and sharp.
    fn frame(&mut self) -> Result<(f64, f64)> {
        self.frame_with(&[])
    }

    /// A frame with what the user did since the last one.
    fn frame_with(&mut self, hand: &[Hand]) -> Result<(f64, f64)> {
        std::thread::sleep(self.next.saturating_duration_since(Instant::now()));
        self.next = Instant::now() + FRAME;
        if !hand.is_empty() || self.woken.swap(false, Ordering::Relaxed) || Instant::now() >= self.due {
            let now = self.now_secs();
            let before = system::thread_cpu_secs();
            let again = self.window.frame_by_hand(now, hand);
            self.ui_ms.push((system::thread_cpu_secs() - before) * 1e3);
            self.due = Instant::now() + again.min(IDLE);
            self.window.wait_for_gpu()?;
        }
        let progress = self.window.app().progress();
        if progress.covered >= ALL {
            self.pictured = true;
        } else if self.pictured {
            self.uncovered_frames += 1;
        }
        Ok((progress.covered, progress.sharp))
    }

    /// Frames until `done` of (covered, sharp); the seconds that took.
    fn until(&mut self, what: &str, path: &Path, done: impl Fn(f64, f64) -> bool) -> Result<f64> {
        let start = self.now_secs();
        loop {
            let (covered, sharp) = self.frame()?;
            let passed = self.now_secs() - start;
            if done(covered, sharp) {
                return Ok(passed);
            }
            let session = self.window.app().session();
            let failed = session.entries().iter().find_map(|entry| match entry {
                Entry::Failed { message, .. } => Some(message),
                _ => None,
            });
            if let Some(message) = failed.or(session.problems().first().map(|problem| &problem.message)) {
                return Err(Error::format(message.clone(), path));
            }
            if passed > PATIENCE_SECS {
                return Err(Error::format(format!("{what} took more than {PATIENCE_SECS} s"), path));
            }
        }
    }

    fn look_at(&mut self, center: Point, zoom: f64) {
        if let Some(camera) = self.window.app().session().current().map(|image| image.camera) {
            self.window.app().command(Command::SetCamera(Camera { center, zoom, ..camera }));
            self.due = Instant::now();
        }
    }
}

/// The fixed path over an image: where the pan starts, and its zoom.
struct Route {
    size: Size,
    zoom: f64,
}

impl Route {
    fn of(size: Size) -> Self {
        // Full resolution, or closer where the image is too small to pan over.
        let needed = PAN_PX_PER_SEC * PAN_SECS + f64::from(WINDOW.width);
        Self { size, zoom: (needed / f64::from(size.width)).max(1.0) }
    }

    /// The place after so many seconds of panning.
    fn at(&self, secs: f64) -> Point {
        let (width, height) = (f64::from(self.size.width), f64::from(self.size.height));
        let half = f64::from(WINDOW.width) / 2.0 / self.zoom;
        let x = (half + PAN_PX_PER_SEC * secs / self.zoom).min(width - half);
        Point::new(x.max(half.min(width / 2.0)), height * 0.5)
    }

    /// Places far from one another, the same in every run.
    fn jump(&self, n: u32) -> Point {
        let part = |k: f64| 0.1 + 0.8 * (f64::from(n + 1) * k).fract();
        Point::new(f64::from(self.size.width) * part(0.618_034), f64::from(self.size.height) * part(0.754_878))
    }
}

/// Runs the path cold, then warm.
pub fn run(context: &Context, path: &Path) -> Result<serde_json::Value> {
    catalogue::forget(&context.config.cache_dir, &path.display().to_string())?;
    let mut rig = Rig::open(&context.config, path)?;
    let first_picture_secs = rig.until("the first picture", path, |covered, _| covered >= 0.9)?;
    let whole_picture_secs = first_picture_secs + rig.until("the overview", path, |covered, _| covered >= ALL)?;
    let image = rig.window.app().session().current().map(|image| (image.info().size, image.info().has_native_levels()));
    let Some((size, pyramidal)) = image else { return Err(Error::format("the image did not open", path)) };
    let route = Route::of(size);
    let mut jumps = Vec::new();
    for n in 0..JUMPS {
        rig.look_at(route.jump(n), route.zoom);
        rig.frame()?;
        jumps.push(rig.until("a jump", path, |_, sharp| sharp >= ALL)?);
    }
    // The path once, slowly, so that the second window finds all of it in the store.
    let mut secs = 0.0;
    while secs < PAN_SECS {
        rig.look_at(route.at(secs), route.zoom);
        rig.frame()?;
        rig.until("the path", path, |_, sharp| sharp >= ALL)?;
        secs += 0.25;
    }
    let cold_ui_ms = std::mem::take(&mut rig.ui_ms);
    let cold_uncovered = rig.uncovered_frames;
    let adapter = rig.window.adapter();
    drop(rig);

    let mut rig = Rig::open(&context.config, path)?;
    let reopened_secs = rig.until("reopening", path, |covered, _| covered >= 0.9)?;
    rig.look_at(route.at(0.0), route.zoom);
    rig.frame()?;
    rig.until("the start of the path", path, |_, sharp| sharp >= ALL)?;
    rig.ui_ms.clear();
    let start = rig.now_secs();
    let mut sharp_parts = Vec::new();
    let mut hand = Point::new(STROKE_FROM, f64::from(WINDOW.height) / 2.0);
    rig.frame_with(&[Hand::MoveTo(hand), Hand::Press(hand)])?;
    let mut last = rig.now_secs();
    while rig.now_secs() - start < PAN_SECS {
        let now = rig.now_secs();
        hand.x -= PAN_PX_PER_SEC * (now - last);
        last = now;
        let mut acts = vec![Hand::MoveTo(hand)];
        if hand.x < STROKE_TO {
            // The hand is at the edge: it lets go and takes hold anew.
            acts.push(Hand::Release(hand));
            hand.x = STROKE_FROM;
            acts.extend([Hand::MoveTo(hand), Hand::Press(hand)]);
        }
        sharp_parts.push(rig.frame_with(&acts)?.1);
    }
    // The hand rests and holds: nothing glides on.
    let settled_secs = rig.until("settling", path, |_, sharp| sharp >= ALL)?;
    let sharp_mean = sharp_parts.iter().sum::<f64>() / sharp_parts.len().max(1) as f64;
    let warm_uncovered = rig.uncovered_frames;
    Ok(serde_json::json!({
        "adapter": adapter,
        "window": [WINDOW.width, WINDOW.height],
        "pyramidal": pyramidal,
        "cold": {
            "first_picture_secs": first_picture_secs,
            "whole_picture_secs": whole_picture_secs,
            "jump_sharp_median_secs": centile(&jumps, 0.5),
            "jump_sharp_slowest_secs": centile(&jumps, 1.0),
            "ui_cpu_ms": spread(&cold_ui_ms),
            "uncovered_frames": cold_uncovered,
        },
        "warm": {
            "reopened_secs": reopened_secs,
            "sharp_while_panning_mean": sharp_mean,
            "sharp_while_panning_least": centile(&sharp_parts, 0.0),
            "sharp_after_stopping_secs": settled_secs,
            "frames": sharp_parts.len(),
            "ui_cpu_ms": spread(&rig.ui_ms),
            "uncovered_frames": warm_uncovered,
        },
    }))
}

fn spread(ms: &[f64]) -> serde_json::Value {
    serde_json::json!({ "median": centile(ms, 0.5), "p99": centile(ms, 0.99), "max": centile(ms, 1.0) })
}

/// The value that a part of all values do not exceed.
fn centile(values: &[f64], part: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1);
    sorted.get((last as f64 * part).ceil() as usize).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_stays_on_the_image() {
        for size in [Size::new(20_000, 20_000), Size::new(300, 5000), Size::new(4000, 64)] {
            let route = Route::of(size);
            for n in 0..200 {
                for p in [route.at(f64::from(n) * 0.05), route.jump(n)] {
                    assert!((0.0..=f64::from(size.width)).contains(&p.x), "{size:?} {p:?}");
                    assert!((0.0..=f64::from(size.height)).contains(&p.y), "{size:?} {p:?}");
                }
            }
        }
    }

    #[test]
    fn centiles_come_from_the_sorted_values() {
        assert_eq!(centile(&[3.0, 1.0, 2.0], 0.5), 2.0);
        assert_eq!(centile(&[3.0, 1.0, 2.0], 1.0), 3.0);
        assert_eq!(centile(&[], 0.5), 0.0);
    }
}
