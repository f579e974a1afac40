//! How the window would show an image: the same session, fed with what the user saved and what the channels hold.

use super::Context;
use crate::app::ShownImage;
use crate::engine::{Event, OpenSet, SampledFields, of_channel, of_fields};
use crate::error::{Error, Result};
use crate::pixels::TileFormat;
use crate::pyramid::{ChannelRole, Made, TileKey};
use crate::session::{Command, ImageId, OpenImage, Request, Session, WINDOW_PATIENCE_SECS};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How long to wait for a part that another thread decodes.
const BUSY_WAIT: Duration = Duration::from_millis(20);

/// An image as the window would show it.
pub struct Shown {
    /// The way it lies.
    pub image: OpenImage,
    /// What is painted of it, and how.
    pub painted: ShownImage,
}

impl Shown {
    /// The same at another focus position and time point, both counted from 1, where one is asked for.
    pub fn at(mut self, z: Option<u16>, t: Option<u16>, path: &Path) -> Result<Self> {
        let info = self.image.info();
        let one = |asked: Option<u16>, now: u16, count: u16, what: &str| match asked {
            Some(n) if n > count => Err(Error::unsupported(format!("there is no {what} {n} in this image"), path)),
            asked => Ok(asked.map_or(now, |n| n.saturating_sub(1))),
        };
        let z = one(z, self.painted.z, info.z_count.max(1), "focus position")?;
        let t = one(t, self.painted.t, info.t_count.max(1), "time point")?;
        (self.painted.z, self.painted.t) = (z, t);
        Ok(self)
    }
}

/// Micrometres a pixel of an image, x and y: what the user set, else what the file says.
pub fn pixel_size(context: &Context, set: &OpenSet, field: u32) -> Result<Option<[f64; 2]>> {
    let session = session_of(context, set)?;
    Ok(session.image(ImageId { set: set.opened.id, field }).and_then(|image| image.um_per_px))
}

/// The session that a window would have after opening a set: with what the user saved.
fn session_of(context: &Context, set: &OpenSet) -> Result<Session> {
    let mut session = Session::new();
    for request in session.take_requests() {
        if let Request::LoadText(name) = request {
            let text = context.config.saved_text(name)?;
            session.pump(Event::Text { name: name.to_owned(), text });
        }
    }
    session.pump(Event::Opened(set.opened.clone()));
    if let Some(mosaic) = &set.mosaic {
        session.apply(Command::SetMotion(false));
        session.pump(Event::Mosaic { set: set.opened.id, state: mosaic.state() });
    }
    Ok(session)
}

/// An image with the settings that the user left it with, or those that it opens with; `only` these channels are shown,
/// where some were asked for.
pub fn shown(context: &Context, set: &OpenSet, field: u32, only: Option<&[u16]>) -> Result<Shown> {
    let path = &set.opened.path;
    let nothing = || Error::unsupported("there is nothing to paint", path);
    let id = ImageId { set: set.opened.id, field };
    let mut session = session_of(context, set)?;
    session.apply(Command::Show(id));
    let image = session.image(id).filter(|image| !image.info().size.is_empty()).ok_or_else(nothing)?;
    let is_asked_for = |index: u16, visible: bool| only.map_or(visible, |only| only.contains(&index));
    let measured: Vec<u16> = image
        .channels
        .iter()
        .filter(|c| is_asked_for(c.index, c.visible) && c.waits() && c.format == TileFormat::Gray16)
        .map(|c| c.index)
        .collect();
    for channel in measured {
        if let Some(event) = statistics(&session, set, id, channel)? {
            session.pump(event);
        }
    }
    // What has found no range by now is shown in full.
    session.advance(WINDOW_PATIENCE_SECS);
    let preferences = session.preferences();
    let image = session.image(id).ok_or_else(nothing)?;
    let background = preferences.background.color(image.is_rgb());
    let mut display = image.display_settings(background, preferences.magnify_filter());
    for (index, (channel, shown)) in image.info().channels.iter().zip(&mut display.channels).enumerate() {
        shown.visible = channel.role == ChannelRole::Coverage || is_asked_for(index as u16, shown.visible);
    }
    Ok(Shown { painted: ShownImage::new(image, display), image: image.clone() })
}

/// Statistics of a channel from the whole of its coarsest level, so that the same file gives the same picture whatever was
/// looked at before.
fn statistics(session: &Session, set: &OpenSet, id: ImageId, channel: u16) -> Result<Option<Event>> {
    let Some(image) = session.image(id) else { return Ok(None) };
    let (plane, info) = (image.plane(channel), image.info());
    let found = if set.mosaic.is_some() {
        of_fields(&set.pyramid, plane, SampledFields::Many, &set.cancel)?
    } else {
        let level = info.levels.len() as u8 - 1;
        let tiles = info.tiles(level);
        for (x, y) in (0..tiles.height).flat_map(|y| (0..tiles.width).map(move |x| (x, y))) {
            let key = TileKey { plane, level, x, y };
            while set.pyramid.fill(key, &|_| Ok(()), &set.cancel)? == Made::Busy {
                set.pyramid.wait_for_release(BUSY_WAIT);
            }
        }
        of_channel(&set.pyramid, plane, &set.cancel)?
    };
    Ok(found.map(|statistics| Event::Statistics {
        set: id.set,
        field: id.field,
        channel,
        statistics: Arc::new(statistics),
    }))
}
