//! The `tile-loader-N` threads: they bring what the view waits for.

use super::mosaic::SampleSource;
use super::threads::contained;
use super::wishes::{Again, SampleRequest, Task};
use super::{Event, OpenSet, Shared};
use crate::error::{Error, Result};
use crate::mosaic::{Fuser, MOSAIC};
use crate::pyramid::{Gaps, Loaded, Made, SetId, Step, TileKey, TilePixels};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a loader works on what one coarse tile needs before it looks at the wish list again.
const LOADER_TURN: Duration = Duration::from_millis(15);

/// A fused tile is shown anew when one in so many of the parts that it lacked has come.
const LEAST_NEWS: usize = 16;

/// Incomplete coarse tiles that are shown anew in one round.
const MAX_REFRESHED: usize = 16;

pub(super) fn loader(shared: &Arc<Shared>) {
    // What was last shown of an incomplete tile, so that the same picture is not sent twice.
    let mut shown: HashMap<(SetId, TileKey), There> = HashMap::new();
    loop {
        match shared.wishes.next() {
            Task::Stop => return,
            Task::Load(id, key) => {
                if contained(shared, Some(id), "Loading a part of the image", || load(shared, id, key)).is_none() {
                    let reason = "reading it stopped because of a fault in Microtome".into();
                    give_up(shared, id, key, reason);
                }
            }
            Task::Sample(request) => {
                contained(shared, Some(request.set), "Reading values", || sample(shared, &request));
            }
            Task::Refresh(id, keys) => {
                if shown.len() > 4 * MAX_REFRESHED * MAX_REFRESHED {
                    shown.clear();
                }
                let sent = contained(shared, Some(id), "Showing progress", || refresh(shared, id, &keys, &mut shown));
                if sent != Some(true) {
                    // Nothing waits for the window to take it: the next round may come.
                    shared.wishes.delivered([]);
                }
            }
        }
    }
}

/// Loads a tile or works towards it, and says to the wish list what came of it.
fn load(shared: &Shared, id: SetId, key: TileKey) {
    let Some(set) = shared.set(id) else {
        shared.wishes.put_back(id, key, Again::Never);
        return;
    };
    let loaded = match set.fuser().filter(|_| key.plane.field == MOSAIC) {
        Some(fuser) => load_fused(&set, &fuser, key),
        None => load_stored(&set, key),
    };
    match loaded {
        Ok(Turn::Tile(tile)) => {
            shared.wishes.brought(id, key);
            let has_holes = tile.gaps == Gaps::Unreadable;
            shared.send(Event::Tile(Arc::new(tile)));
            if has_holes {
                report_failures(shared, &set);
            }
        }
        Ok(Turn::Failed(reason)) => give_up(shared, id, key, reason),
        Ok(Turn::Again(again)) => {
            shared.wishes.put_back(id, key, again);
        }
        Err(Error::Cancelled) => {
            shared.wishes.put_back(id, key, Again::Never);
        }
        // The file as a whole has become unreadable: say it once for the tile, and stop asking for it.
        Err(error) => give_up(shared, id, key, error.to_string()),
    }
}

/// Says of a tile that it cannot be read, unless its fields were moved meanwhile.
fn give_up(shared: &Shared, id: SetId, key: TileKey, reason: String) {
    if shared.wishes.put_back(id, key, Again::Never) {
        shared.send(Event::TileFailed { set: id, key, reason });
    }
}

/// What a loader's turn at a tile came to.
enum Turn {
    Tile(TilePixels),
    Failed(String),
    Again(Again),
}

/// A tile of the store.
fn load_stored(set: &OpenSet, key: TileKey) -> Result<Turn> {
    match set.pyramid.load(key, &set.cancel)? {
        Loaded::Tile(tile) => return Ok(Turn::Tile(tile)),
        Loaded::Failed(reason) => return Ok(Turn::Failed(reason)),
        Loaded::Later(Made::NotYet) => {}
        Loaded::Later(_) => return Ok(Turn::Again(Again::Later)),
    }
    // It needs a lot: some of that for a moment, then the wish list decides what is most wanted.
    let until = Instant::now() + LOADER_TURN;
    while Instant::now() < until {
        match set.pyramid.step_towards(key, &set.cancel)? {
            Step::Progressed => {}
            Step::Ready | Step::Incomplete => break,
            Step::Busy => return Ok(Turn::Again(Again::Later)),
        }
    }
    Ok(Turn::Again(Again::Soon))
}

/// A tile of a mosaic, which is fused from the fields' own and never stored.
fn load_fused(set: &OpenSet, fuser: &Fuser<'_>, key: TileKey) -> Result<Turn> {
    let until = Instant::now() + LOADER_TURN;
    loop {
        match fuser.step_towards(key, &set.cancel)? {
            Step::Ready | Step::Incomplete => {
                return Ok(match fuser.load(key)? {
                    Loaded::Tile(tile) => Turn::Tile(tile),
                    Loaded::Failed(reason) => Turn::Failed(reason),
                    Loaded::Later(_) => Turn::Again(Again::Later),
                });
            }
            Step::Busy => return Ok(Turn::Again(Again::Later)),
            Step::Progressed if Instant::now() >= until => return Ok(Turn::Again(Again::Soon)),
            Step::Progressed => {}
        }
    }
}

/// Fields that cannot be read are holes: each is told once by its name.
pub(super) fn report_failures(shared: &Shared, set: &OpenSet) {
    let Some(mosaic) = &set.mosaic else { return };
    for message in mosaic.new_failures(&set.pyramid) {
        shared.send(Event::Problem { set: Some(set.opened.id), message });
    }
}

fn sample(shared: &Shared, request: &SampleRequest) {
    let Some(set) = shared.set(request.set) else { return };
    let field = request.planes.first().map_or(0, |p| p.field);
    let (mut values, mut source) = (Vec::new(), None);
    for &plane in &request.planes {
        let found = match set.fuser().filter(|_| plane.field == MOSAIC) {
            Some(fuser) => fuser.sample(plane, request.x, request.y).map(|read| {
                read.map(|read| {
                    let name = || set.mosaic.as_ref().map_or_else(String::new, |m| m.field_name(read.field));
                    let source = source.get_or_insert_with(|| SampleSource {
                        field: read.field,
                        name: name(),
                        x: read.at.0,
                        y: read.at.1,
                        corrected: Vec::new(),
                    });
                    source.corrected.extend(read.corrected.map(|values| (plane.channel, values)));
                    read.stored
                })
            }),
            None => set.pyramid.sample(plane, request.x, request.y),
        };
        match found {
            Ok(Some(sample)) => values.push((plane.channel, sample)),
            Ok(None) => {}
            // An unreadable place has no value to show; the tile itself says why.
            Err(error) => tracing::debug!("no value: {error}"),
        }
    }
    shared.send(Event::Sample { set: request.set, field, x: request.x, y: request.y, values, source });
}

/// How much was there of an incomplete tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum There {
    /// Of a stored tile: the bits of its coverage.
    Parts(u64),
    /// Of a fused tile: of which generation it is, and how many tiles of fields it lacks.
    Without { generation: u64, lacking: usize },
}

impl There {
    /// Whether so much more is there than `before` that the tile is worth putting together again.
    fn is_worth_showing(self, before: Option<Self>) -> bool {
        match (self, before) {
            (Self::Parts(0), _) => false,
            // A coarse tile of a large mosaic is made of hundreds of fields: not anew for each of them.
            (Self::Without { generation, lacking }, Some(Self::Without { generation: shown, lacking: lacked }))
                if generation == shown =>
            {
                lacking + (lacked / LEAST_NEWS).max(1) <= lacked
            }
            (there, before) => Some(there) != before,
        }
    }
}

/// Shows anew what is there of incomplete tiles, where more is there than was last shown. Whether any was.
fn refresh(shared: &Shared, id: SetId, keys: &[TileKey], shown: &mut HashMap<(SetId, TileKey), There>) -> bool {
    let mut sent = false;
    let Some(set) = shared.set(id) else { return sent };
    for &key in keys.iter().take(MAX_REFRESHED) {
        let fuser = set.fuser().filter(|_| key.plane.field == MOSAIC);
        let there = match &fuser {
            // Fewer missing fields are more to show, and so are other places.
            Some(fuser) => {
                let generation = fuser.geometry().generation;
                There::Without { generation, lacking: fuser.missing(key).len() }
            }
            None => There::Parts(set.pyramid.provisional_coverage(key)),
        };
        if !there.is_worth_showing(shown.get(&(id, key)).copied()) {
            continue;
        }
        let provisional = match &fuser {
            Some(fuser) => fuser.provisional(key),
            None => set.pyramid.provisional(key),
        };
        match provisional {
            Ok(Some(tile)) => {
                shown.insert((id, key), there);
                shared.send(Event::Tile(Arc::new(tile)));
                sent = true;
            }
            Ok(None) => {}
            Err(error) => {
                shared.send(Event::Problem { set: Some(id), message: error.to_string() });
                return sent;
            }
        }
    }
    sent
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fused_tile_of_many_fields_is_not_put_together_again_for_each_of_them() {
        let lacks = |lacking| There::Without { generation: 1, lacking };
        assert!(lacks(800).is_worth_showing(None));
        assert!(!lacks(790).is_worth_showing(Some(lacks(800))));
        assert!(lacks(750).is_worth_showing(Some(lacks(800))));
        assert!(lacks(2).is_worth_showing(Some(lacks(3))), "of the last few, every one shows");
        assert!(!lacks(3).is_worth_showing(Some(lacks(3))));
        assert!(
            There::Without { generation: 2, lacking: 800 }.is_worth_showing(Some(lacks(3))),
            "the fields stand otherwise"
        );
    }

    #[test]
    fn a_stored_tile_is_shown_anew_whenever_its_parts_differ() {
        assert!(!There::Parts(0).is_worth_showing(None));
        assert!(There::Parts(1).is_worth_showing(None));
        assert!(!There::Parts(1).is_worth_showing(Some(There::Parts(1))));
        assert!(There::Parts(3).is_worth_showing(Some(There::Parts(1))));
    }
}
