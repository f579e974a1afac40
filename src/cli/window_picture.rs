//! The whole window as a picture: its own frames, off screen, until nothing is missing and nothing is being done.

use super::Context;
use super::snapshot::View;
use crate::app::Offscreen;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::export::PngWriter;
use crate::geom::Size;
use crate::session::{Command, Entry, ImageId, Session};
use crate::store::Destination;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

/// Frames are not started more often than this.
const FRAME: Duration = Duration::from_micros(16_667);

/// The window is finished when nothing has happened for this long: between the steps of opening an image its threads
/// hand on to each other in less.
const QUIET: Duration = Duration::from_millis(700);

/// A window that is not finished after this long is given up. Preparing the largest slides takes minutes.
const PATIENCE: Duration = Duration::from_secs(20 * 60);

/// A share of the pixels that counts as all of them: scenes add up areas in floating point.
const ALL: f64 = 0.9999;

/// What is painted.
pub struct WindowPicture<'a> {
    /// The image set.
    pub path: &'a Path,
    /// Which image of it.
    pub image: u32,
    /// The window in pixels.
    pub size: Size,
    /// Its pixels a point.
    pub pixels_per_point: f32,
    /// Where to look.
    pub view: View,
    /// These channels only.
    pub only: Option<&'a [u16]>,
}

/// Paints it and writes it as PNG.
pub fn write_png(context: &Context, what: &WindowPicture<'_>, to: Destination<'_>) -> Result<()> {
    let rgba = paint(context, what)?;
    let mut writer = PngWriter::create(to, what.size, None)?;
    let mut rgb = vec![0; what.size.width as usize * 3];
    for row in rgba.chunks_exact(what.size.width as usize * 4) {
        rgb.chunks_exact_mut(3).zip(row.chunks_exact(4)).for_each(|(to, from)| to.copy_from_slice(&from[..3]));
        writer.write_rows(&rgb)?;
    }
    writer.finish()
}

fn paint(context: &Context, what: &WindowPicture<'_>) -> Result<Vec<u8>> {
    let config = context.config.clone();
    // One waiting word is enough: a frame takes in everything that came.
    let (wake, woken) = sync_channel(1);
    let waker = Arc::new(move || {
        if wake.try_send(()).is_err() {
            tracing::trace!("the window knows already that there is something to take, or has gone");
        }
    });
    let mut window = Offscreen::new(what.size, what.pixels_per_point, move || Engine::new(config, waker))?;
    window.app().command(Command::Open(vec![what.path.to_owned()]));
    let started = Instant::now();
    let mut quiet_since = started;
    let mut is_placed = false;
    loop {
        let repaint = window.frame(started.elapsed().as_secs_f64(), Vec::new());
        window.wait_for_gpu()?;
        let app = window.app();
        if let Some(Entry::Failed { message, .. }) = app.session().entries().first() {
            return Err(Error::format(message.clone(), what.path));
        }
        if !is_placed && app.session().current().is_some() {
            is_placed = true;
            quiet_since = Instant::now();
            for command in commands(app.session(), what) {
                app.command(command);
            }
        }
        let progress = app.progress();
        let whole = progress.covered >= ALL && progress.sharp >= ALL && !app.has_uploads_waiting();
        let idle = app.session().jobs().is_empty() && repaint > FRAME;
        let event_came = wait(&woken);
        if !(is_placed && whole && idle) || event_came {
            quiet_since = Instant::now();
        }
        if quiet_since.elapsed() >= QUIET {
            return window.picture();
        }
        if started.elapsed() >= PATIENCE {
            let minutes = PATIENCE.as_secs() / 60;
            return Err(Error::format(format!("the window was not finished after {minutes} minutes"), what.path));
        }
    }
}

/// Waits for the next frame's time; true when the engine has something to say before.
fn wait(woken: &Receiver<()>) -> bool {
    match woken.recv_timeout(FRAME) {
        Ok(()) => true,
        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => false,
    }
}

/// What a user would do to an image that has just opened to see what was asked for.
fn commands(session: &Session, what: &WindowPicture<'_>) -> Vec<Command> {
    let Some(set) = session.current().map(|image| image.id.set) else { return Vec::new() };
    let id = ImageId { set, field: what.image };
    let Some(image) = session.image(id) else { return Vec::new() };
    let mut commands = vec![Command::Show(id)];
    if !what.view.is_default() {
        commands.push(Command::SetCamera(what.view.camera(image, session.canvas())));
    }
    for channel in image.channels.iter().map(|c| c.index) {
        commands.extend(what.only.map(|only| Command::SetChannelVisible(channel, only.contains(&channel))));
    }
    commands
}
