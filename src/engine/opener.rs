//! The `opener` thread: it answers requests that a person waits for.

use super::loaders::report_failures;
use super::threads::{Request, contained, update_memory};
use super::{Event, LoadedPositions, OpenSet, SampledFields, Shared, opening, statistics, thumbnails};
use crate::error::Error;
use crate::image_set::positions::{self, PositionsFormat};
use crate::pyramid::{ChannelRole, PlaneId, SetId};
use crate::store;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

/// The thread.
pub(super) fn opener(shared: &Arc<Shared>) {
    while let Some(request) = shared.requests.next() {
        contained(shared, None, "Opening", || answer(shared, request));
    }
}

fn answer(shared: &Arc<Shared>, request: Request) {
    match request {
        Request::Open(how) => opening::open(shared, how),
        Request::Associated(id, index) => associated(shared, id, index),
        Request::Thumbnails(paths) => {
            for path in paths {
                if let Some((size, rgba)) = thumbnails::load(&shared.config.cache_dir, &path) {
                    shared.send(Event::Thumbnail { path, size, rgba: Arc::new(rgba) });
                }
            }
        }
        Request::Forget(path) => forget(shared, &path),
        Request::LoadText(name) => match shared.texts.load(&name) {
            Ok(text) => shared.send(Event::Text { name, text }),
            Err(error) => {
                shared.send(Event::Problem { set: None, message: error.to_string() });
                shared.send(Event::Text { name, text: None });
            }
        },
        Request::Release(set) => drop(set),
        Request::SavePositions(id, path) => save_positions(shared, id, path),
        Request::LoadPositions(id, path) => load_positions(shared, id, path),
        Request::Statistics(set) => report_statistics(shared, &set),
        Request::Settle(set) => {
            report_statistics(shared, &set);
            report_failures(shared, &set);
            if !set.cancel.is_cancelled() {
                make_thumbnail(shared, &set);
            }
        }
    }
    update_memory(shared);
}

/// Removes what was prepared of a path. What a person decided about a mosaic is work, and stays.
fn forget(shared: &Arc<Shared>, path: &Path) {
    let label = path.display().to_string();
    // A store that a thread still holds goes when that thread lets go of it.
    let mut held: Vec<_> = shared.closing.lock().iter().filter_map(Weak::upgrade).collect();
    held.extend(shared.sets.lock().values().cloned());
    for set in held.iter().filter(|set| set.opened.path == path) {
        set.pyramid.store().discard_on_close();
    }
    let forgotten = thumbnails::forget(&shared.config.cache_dir, path)
        .and_then(|()| store::catalogue::forget(&shared.config.cache_dir, &label).map(drop));
    if let Err(error) = forgotten {
        shared.send(Event::Problem { set: None, message: error.to_string() });
    }
}

/// Writes the places of a mosaic's fields as they are shown, to fractions of a pixel.
fn save_positions(shared: &Shared, id: SetId, path: PathBuf) {
    let Some(set) = shared.set(id) else { return };
    let Some(mosaic) = &set.mosaic else { return };
    let (fields, places) = mosaic.places();
    let is_text = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("txt"));
    let format = if is_text { PositionsFormat::TileConfiguration } else { PositionsFormat::Csv };
    match positions::write(&path, format, &positions::lines_of(&fields, &places)) {
        Ok(()) => shared.send(Event::PositionsSaved { set: id, path }),
        Err(error) => shared.send(Event::Problem { set: Some(id), message: error.to_string() }),
    }
}

/// Reads places for a mosaic's fields; the session decides what to do with them.
fn load_positions(shared: &Shared, id: SetId, path: PathBuf) {
    let Some(set) = shared.set(id) else { return };
    let Some(mosaic) = &set.mosaic else { return };
    match positions::read(&path).and_then(|list| list.places_of(&mosaic.set.fields)) {
        Ok(places) => {
            let positions = Arc::new(LoadedPositions { path, places });
            // What cannot be shown is not kept either.
            shared.send(match mosaic.check_positions(&positions) {
                Ok(()) => Event::PositionsLoaded { set: id, positions },
                Err(error) => {
                    let message = format!("The positions were not loaded, {error}: {}", positions.path.display());
                    Event::Problem { set: Some(id), message }
                }
            });
        }
        Err(error) => shared.send(Event::Problem { set: Some(id), message: error.to_string() }),
    }
}

fn associated(shared: &Shared, id: SetId, index: usize) {
    let Some(set) = shared.set(id) else { return };
    let Some(info) = set.opened.associated.get(index) else { return };
    match set.pyramid.source().read_associated(index) {
        Ok(rgb) => shared.send(Event::Associated { set: id, index, size: info.size, rgb: Arc::new(rgb) }),
        Err(error) => shared.send(Event::Problem { set: Some(id), message: error.to_string() }),
    }
}

/// Statistics of the channels of the first planes, as far as the levels that are there allow.
fn report_statistics(shared: &Shared, set: &OpenSet) {
    for field in set.opened.listed() {
        let Some(image) = set.opened.info(field) else { continue };
        for (channel, info) in image.channels.iter().enumerate() {
            if info.role != ChannelRole::Intensity || image.size.is_empty() {
                continue;
            }
            let channel = channel as u16;
            let plane = PlaneId { field, channel, z: image.z_count / 2, t: 0 };
            let found = match &set.mosaic {
                Some(_) => statistics::of_fields(&set.pyramid, plane, SampledFields::Ready, &set.cancel),
                None => statistics::of_channel(&set.pyramid, plane, &set.cancel),
            };
            match found {
                Ok(Some(found)) => {
                    shared.send(Event::Statistics { set: set.opened.id, field, channel, statistics: Arc::new(found) })
                }
                Ok(None) | Err(Error::Cancelled) => {}
                Err(error) => shared.send(Event::Problem { set: Some(set.opened.id), message: error.to_string() }),
            }
        }
    }
}

fn make_thumbnail(shared: &Shared, set: &OpenSet) {
    match thumbnails::make(set, &shared.config.cache_dir) {
        Ok(Some((size, rgba))) => {
            shared.send(Event::Thumbnail { path: set.opened.path.clone(), size, rgba: Arc::new(rgba) });
        }
        Ok(None) => {}
        Err(error) => shared.send(Event::Problem { set: Some(set.opened.id), message: error.to_string() }),
    }
}
