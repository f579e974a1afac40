//! `bench pan`: the window's own frames on a fixed path, without a display.
//!
//! A folder of fields is panned over and zoomed first while it is aligned.

use crate::app::{Hand, Offscreen};
use crate::cli::Context;
use crate::engine::{Engine, EngineConfig};
use crate::error::{Error, Result};
use crate::geom::{Point, Size};
use crate::session::{Command, Entry, ViewMove};
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

/// A mosaic that is being aligned is panned over for this long at least, and at most, in seconds.
const ALIGNING_SECS: std::ops::Range<f64> = 3.0..90.0;

/// The zoom changes after this long while a mosaic is aligned.
const ZOOM_SECS: f64 = 0.4;

/// Zooms while a mosaic is aligned, in screen pixels a field's side: fused and by themselves, over several levels.
const FIELD_SCREEN_PX: [f64; 8] = [60.0, 100.0, 150.0, 300.0, 600.0, 1200.0, 2400.0, 400.0];

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
        if self.woken.swap(false, Ordering::Relaxed) {
            self.due = self.due.min(Instant::now() + self.window.pace());
        }
        if !hand.is_empty() || Instant::now() >= self.due {
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

    /// Frames until the image is listed and shown, with nothing of it drawn yet; the seconds since the window was made.
    fn until_open(&mut self, path: &Path) -> Result<f64> {
        let mut shown = false;
        while !shown {
            self.until("opening", path, |_, _| true)?;
            shown = self.window.app().session().current().is_some();
            if self.now_secs() > PATIENCE_SECS {
                return Err(Error::format(format!("opening took more than {PATIENCE_SECS} s"), path));
            }
        }
        Ok(self.now_secs())
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
            // A mosaic may lack a field and still be whole.
            let is_mosaic = session.current().is_some_and(|image| image.mosaic.is_some());
            let failed = session.entries().iter().find_map(|entry| match entry {
                Entry::Failed { message, .. } => Some(message),
                _ => None,
            });
            if let Some(message) =
                failed.or(session.problems().first().filter(|_| !is_mosaic).map(|problem| &problem.message))
            {
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

/// A hand that drags the view to the left, stroke after stroke.
struct Drag {
    hand: Point,
    last_secs: f64,
}

impl Drag {
    fn begin(rig: &mut Rig) -> Result<Self> {
        let hand = Point::new(STROKE_FROM, f64::from(WINDOW.height) / 2.0);
        rig.frame_with(&[Hand::MoveTo(hand), Hand::Press(hand)])?;
        Ok(Self { hand, last_secs: rig.now_secs() })
    }

    /// A frame further; how much of the canvas is covered and sharp.
    fn frame(&mut self, rig: &mut Rig) -> Result<(f64, f64)> {
        let now = rig.now_secs();
        self.hand.x -= PAN_PX_PER_SEC * (now - self.last_secs);
        self.last_secs = now;
        let mut acts = vec![Hand::MoveTo(self.hand)];
        if self.hand.x < STROKE_TO {
            // The hand is at the edge: it lets go and takes hold anew.
            acts.push(Hand::Release(self.hand));
            self.hand.x = STROKE_FROM;
            acts.extend([Hand::MoveTo(self.hand), Hand::Press(self.hand)]);
        }
        rig.frame_with(&acts)
    }

    fn end(self, rig: &mut Rig) -> Result<()> {
        rig.frame_with(&[Hand::Release(self.hand)]).map(drop)
    }
}

/// What a mosaic's frames took while it was aligned: a hand that pans, and a new zoom every now and then.
fn while_aligning(rig: &mut Rig) -> Result<serde_json::Value> {
    rig.ui_ms.clear();
    let begun = rig.now_secs();
    let (mut frames, mut from_fields, mut places) = (0_u64, 0_u64, 0_u64);
    let mut generation = 0;
    let mut zooms = 0_usize;
    let mut drag = Drag::begin(rig)?;
    loop {
        let passed = rig.now_secs() - begun;
        let Some(image) = rig.window.app().session().current() else { break };
        let Some(mosaic) = &image.mosaic else { break };
        if (passed >= ALIGNING_SECS.start && !mosaic.state.is_aligning()) || passed >= ALIGNING_SECS.end {
            break;
        }
        if mosaic.state.geometry.generation != generation {
            generation = mosaic.state.geometry.generation;
            places += 1;
        }
        if passed >= ZOOM_SECS * zooms as f64 {
            let side = mosaic.state.geometry.fields.first().map_or(1, |field| field.size.width.max(1));
            let route = Route::of(image.info().size);
            let zoom = FIELD_SCREEN_PX[zooms % FIELD_SCREEN_PX.len()] / f64::from(side);
            let center = route.jump(zooms as u32 / 3);
            rig.look_at(center, zoom);
            zooms += 1;
        }
        drag.frame(rig)?;
        frames += 1;
        from_fields += u64::from(rig.window.app().draws_fields());
    }
    drag.end(rig)?;
    let ui_ms = std::mem::take(&mut rig.ui_ms);
    Ok(serde_json::json!({
        "secs": rig.now_secs() - begun,
        "frames": frames,
        "frames_from_fields": from_fields,
        "changes_of_place": places,
        "ui_cpu_ms": spread(&ui_ms),
    }))
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
    let layout_secs = rig.until_open(path)?;
    let first_pixels_secs = layout_secs + rig.until("the first pixels", path, |covered, _| covered > 0.0)?;
    let is_mosaic = rig.window.app().session().current().is_some_and(|image| image.mosaic.is_some());
    let aligning = if is_mosaic { Some(while_aligning(&mut rig)?) } else { None };
    if is_mosaic {
        rig.window.app().command(Command::Move(ViewMove::Fit));
        rig.frame()?;
    }
    rig.until("the first picture", path, |covered, _| covered >= 0.9)?;
    let first_picture_secs = rig.now_secs();
    rig.until("the overview", path, |covered, _| covered >= ALL)?;
    let whole_picture_secs = rig.now_secs();
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
    let mut drag = Drag::begin(&mut rig)?;
    while rig.now_secs() - start < PAN_SECS {
        sharp_parts.push(drag.frame(&mut rig)?.1);
    }
    // The hand rests and holds: nothing glides on.
    let settled_secs = rig.until("settling", path, |_, sharp| sharp >= ALL)?;
    let sharp_mean = sharp_parts.iter().sum::<f64>() / sharp_parts.len().max(1) as f64;
    let warm_uncovered = rig.uncovered_frames;
    Ok(serde_json::json!({
        "adapter": adapter,
        "window": [WINDOW.width, WINDOW.height],
        "pyramidal": pyramidal,
        "mosaic": aligning,
        "cold": {
            "layout_secs": layout_secs,
            "first_pixels_secs": first_pixels_secs,
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
