//! The wish list: what the view lacks, replaced whole whenever the view changes.
//!
//! A stale wish disappears with the list it was in, so there is no cancelling of single wishes.

use crate::mosaic::MOSAIC;
use crate::pyramid::{PlaneId, SetId, TileKey, TilePixels};
use parking_lot::{Condvar, Mutex, MutexGuard};
use rustc_hash::{FxHashMap, FxHashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Wishes kept of a list; a view has far fewer.
const MAX_WISHES: usize = 8192;

/// Tiles that loaders have brought and nobody has taken yet; loaders wait at this many (16 MiB of 256 px RGB).
const MAX_UNDELIVERED: usize = 80;

/// How often coarse tiles that are still incomplete are shown anew.
const REFRESH: Duration = Duration::from_millis(250);

/// A fused tile in the making is worked on for this long before all the others are looked at again: fields that lie
/// together are seen sooner than as many that are scattered over the view.
const FOCUS: Duration = Duration::from_millis(400);

/// A loader without anything to do looks again after this long at the earliest.
const LEAST_WAIT: Duration = Duration::from_millis(10);

/// A question for the values of one pixel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SampleRequest {
    /// The image set.
    pub set: SetId,
    /// The planes.
    pub planes: Vec<PlaneId>,
    /// Level-0 column.
    pub x: u32,
    /// Level-0 row.
    pub y: u32,
}

/// What a loader does next.
#[derive(Debug, PartialEq, Eq)]
pub enum Task {
    /// Bring a tile.
    Load(SetId, TileKey),
    /// Answer a question.
    Sample(SampleRequest),
    /// Show anew what is still incomplete.
    Refresh(SetId, Vec<TileKey>),
    /// End.
    Stop,
}

/// When a tile that could not be brought is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// At its next turn: this loader is making it.
    Soon,
    /// In a moment: other threads are making it.
    Later,
    /// Not at all: it cannot be read. A tile of a mosaic is tried again once its fields stand otherwise.
    Never,
}

/// The list that the window replaces and the loaders take from.
#[derive(Default)]
pub struct WishList {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    set: SetId,
    /// Of a mosaic: the oldest generation that will do.
    generation: u64,
    wishes: Vec<TileKey>,
    prefetch: Vec<TileKey>,
    sample: Option<SampleRequest>,
    /// Held by a loader, and the generation that was wanted when it took them.
    taken: FxHashMap<(SetId, TileKey), u64>,
    /// Not to be tried again.
    refused: FxHashSet<(SetId, TileKey)>,
    /// Brought and not yet taken by the window.
    brought: FxHashSet<(SetId, TileKey)>,
    /// Worked on in this round: others come first, so that one coarse tile does not hold up what is ready.
    tried: FxHashSet<TileKey>,
    /// Until when loaders stay with the fused tile where one looks.
    focus_until: Option<Instant>,
    /// The set has just come to be looked at: its first picture goes before everything else.
    is_new: bool,
    /// In the hands of other threads: not tried again for a moment.
    later: FxHashSet<TileKey>,
    /// Tried, and only parts of them are there; shown anew from time to time.
    incomplete: FxHashSet<TileKey>,
    refreshed: Option<Instant>,
    /// Incomplete tiles were shown anew and the window has not taken them yet.
    refresh_pending: bool,
    /// The window has taken a tile of the set since it looks at it.
    is_seen: bool,
    /// Tiles that the window is done with, for a loader to let go of.
    spent: Vec<Arc<TilePixels>>,
    /// Loaders at work on a tile.
    active: usize,
    stopped: bool,
}

impl WishList {
    /// Replaces the list, most wanted first; of a mosaic for `generation` or a later one.
    pub fn replace(&self, set: SetId, generation: u64, mut wishes: Vec<TileKey>, mut prefetch: Vec<TileKey>) {
        wishes.truncate(MAX_WISHES);
        prefetch.truncate(MAX_WISHES);
        let mut state = self.state.lock();
        if state.set != set {
            state.is_seen = false;
            state.later.clear();
            state.incomplete.clear();
            state.tried.clear();
            (state.focus_until, state.is_new) = (Some(Instant::now() + FOCUS), true);
        }
        if state.set != set || state.generation != generation {
            // Other fields lie under a fused tile now, or the same ones elsewhere.
            state.refused.retain(|(of, key)| *of != set || key.plane.field != MOSAIC);
        }
        (state.set, state.generation, state.wishes, state.prefetch) = (set, generation, wishes, prefetch);
        drop(state);
        self.changed.notify_all();
    }

    /// Replaces the question for values.
    pub fn ask(&self, request: SampleRequest) {
        self.state.lock().sample = Some(request);
        self.changed.notify_all();
    }

    /// Takes tiles that the window is done with: a frame that gives memory back which another thread took can stand still for
    /// twenty milliseconds.
    pub fn spend(&self, mut tiles: Vec<Arc<TilePixels>>) {
        self.state.lock().spent.append(&mut tiles);
        self.changed.notify_all();
    }

    /// Waits for something to do.
    pub fn next(&self) -> Task {
        let mut state = self.state.lock();
        loop {
            let spent = std::mem::take(&mut state.spent);
            if !spent.is_empty() {
                MutexGuard::unlocked(&mut state, || drop(spent));
            }
            if state.stopped {
                return Task::Stop;
            }
            if let Some(request) = state.sample.take() {
                return Task::Sample(request);
            }
            if !state.refresh_pending && state.refreshed.is_none_or(|at| at.elapsed() >= REFRESH) {
                let incomplete: Vec<_> =
                    state.wishes.iter().filter(|k| state.incomplete.contains(k)).copied().collect();
                state.incomplete.clear();
                if !incomplete.is_empty() {
                    state.refreshed = Some(Instant::now());
                    state.refresh_pending = true;
                    return Task::Refresh(state.set, incomplete);
                }
            }
            if state.brought.len() < MAX_UNDELIVERED
                && let Some((set, key)) = state.pick()
            {
                let generation = state.generation;
                state.taken.insert((set, key), generation);
                state.active += 1;
                return Task::Load(set, key);
            }
            if state.later.is_empty() && state.incomplete.is_empty() {
                self.changed.wait(&mut state);
                continue;
            }
            let left = REFRESH.saturating_sub(state.refreshed.map_or(Duration::ZERO, |at| at.elapsed()));
            if self.changed.wait_for(&mut state, left.max(LEAST_WAIT)).timed_out() {
                // Something may have become ready.
                state.later.clear();
            }
        }
    }

    /// A loader has brought a tile and puts it where the window takes it.
    pub fn brought(&self, set: SetId, key: TileKey) {
        let mut state = self.state.lock();
        state.active -= 1;
        state.taken.remove(&(set, key));
        state.brought.insert((set, key));
        state.tried.remove(&key);
        drop(state);
        self.changed.notify_all();
    }

    /// A loader could not bring a tile now. True where it will not be tried again as the fields stand now.
    pub fn put_back(&self, set: SetId, key: TileKey, again: Again) -> bool {
        let mut state = self.state.lock();
        state.active -= 1;
        let taken = state.taken.remove(&(set, key));
        let is_newest = state.set != set || taken == Some(state.generation);
        // A fused tile that failed while its fields were moved is not what is wanted now.
        let is_refused = again == Again::Never && (is_newest || key.plane.field != MOSAIC);
        match again {
            Again::Never if is_refused => drop(state.refused.insert((set, key))),
            Again::Never => {}
            Again::Soon => drop(state.tried.insert(key)),
            Again::Later => drop(state.later.insert(key)),
        }
        if again != Again::Never {
            state.incomplete.insert(key);
        }
        drop(state);
        self.changed.notify_all();
        is_refused
    }

    /// The window has taken everything that was there, these whole tiles among it. It may wish for them again, with a new
    /// list.
    pub fn delivered(&self, tiles: impl IntoIterator<Item = (SetId, TileKey)>) {
        let mut state = self.state.lock();
        state.refresh_pending = false;
        let mut keys = FxHashSet::default();
        for tile in tiles {
            state.brought.remove(&tile);
            if tile.0 == state.set {
                keys.insert(tile.1);
            }
        }
        if !keys.is_empty() {
            state.is_seen = true;
            state.wishes.retain(|key| !keys.contains(key));
            state.prefetch.retain(|key| !keys.contains(key));
        }
        drop(state);
        self.changed.notify_all();
    }

    /// The wishes that wait for the background fill.
    pub fn waiting(&self, set: SetId) -> Vec<TileKey> {
        let state = self.state.lock();
        if state.set == set { state.wishes.clone() } else { Vec::new() }
    }

    /// Waits while loaders are at work, at most `timeout`: background work gives way to what is looked at.
    pub fn yield_to_loaders(&self, timeout: Duration) {
        let mut state = self.state.lock();
        if state.active > 0 {
            self.changed.wait_for(&mut state, timeout);
        }
    }

    /// Waits until all that the view of a set lacked was brought and taken, at most `timeout`.
    pub fn wait_for_view(&self, set: SetId, timeout: Duration) {
        let until = Instant::now() + timeout;
        let mut state = self.state.lock();
        let is_up = |state: &State| state.set == set && state.is_seen && state.wishes.is_empty();
        while !state.stopped && !is_up(&state) {
            if self.changed.wait_until(&mut state, until).timed_out() {
                return;
            }
        }
    }

    /// Ends all loaders.
    pub fn stop(&self) {
        self.state.lock().stopped = true;
        self.changed.notify_all();
    }
}

impl State {
    /// The fused tile where one looks: the most wanted one of the finest level.
    fn focus(&self, free: impl Fn(&TileKey) -> bool) -> Option<TileKey> {
        let fused = self.wishes.iter().filter(|key| key.plane.field == MOSAIC && free(key));
        // Of equals, the first is the most wanted.
        fused.min_by_key(|key| key.level).copied()
    }

    fn pick(&mut self) -> Option<(SetId, TileKey)> {
        let set = self.set;
        let free = |state: &Self, key: &TileKey| {
            let tile = (set, *key);
            let is_held = state.taken.contains_key(&tile) || state.brought.contains(&tile);
            !is_held && !state.refused.contains(&tile) && !state.later.contains(key)
        };
        let fresh = self.wishes.iter().find(|key| !self.tried.contains(key) && free(self, key)).copied();
        let now = Instant::now();
        let is_focused = self.focus_until.is_some_and(|until| now < until);
        let focus = self.focus(|key| free(self, key)).filter(|_| is_focused && (self.is_new || fresh.is_none()));
        let wish = focus.or(fresh).or_else(|| {
            // A round is over: all that is left was worked on once.
            let again = self.wishes.iter().find(|key| free(self, key)).copied();
            self.tried.clear();
            (self.focus_until, self.is_new) = (Some(now + FOCUS), false);
            again
        });
        wish.or_else(|| self.prefetch.iter().find(|key| free(self, key)).copied()).map(|key| (set, key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(x: u32) -> TileKey {
        TileKey { plane: PlaneId::default(), level: 0, x, y: 0 }
    }

    #[test]
    fn a_view_is_up_once_all_that_it_lacked_was_taken() {
        const NOT_AT_ALL: Duration = Duration::ZERO;
        let (list, set) = (WishList::default(), SetId(1));
        let is_up = || {
            let began = Instant::now();
            list.wait_for_view(set, Duration::from_secs(60));
            began.elapsed() < Duration::from_secs(30)
        };
        list.replace(set, 1, vec![key(0), key(1)], Vec::new());
        list.wait_for_view(set, NOT_AT_ALL);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(is_up);
            list.delivered([(set, key(0))]);
            list.delivered([(set, key(1))]);
            assert!(waiting.join().expect("no panic"));
        });
        // Another set is looked at: the time is all that ends the wait.
        list.replace(SetId(2), 1, vec![key(0)], Vec::new());
        list.wait_for_view(set, NOT_AT_ALL);
    }

    #[test]
    fn a_new_list_drops_stale_wishes() {
        let list = WishList::default();
        list.replace(SetId(1), 1, vec![key(1), key(2), key(3)], vec![]);
        assert_eq!(list.next(), Task::Load(SetId(1), key(1)));
        list.replace(SetId(1), 1, vec![key(9)], vec![key(1), key(8)]);
        assert_eq!(list.next(), Task::Load(SetId(1), key(9)));
        assert_eq!(list.next(), Task::Load(SetId(1), key(8)), "key 1 is still held by the first loader");
    }

    #[test]
    fn a_tile_that_was_brought_is_not_loaded_again_until_the_window_took_it() {
        let list = WishList::default();
        list.replace(SetId(1), 1, vec![key(1)], vec![key(2)]);
        assert_eq!(list.next(), Task::Load(SetId(1), key(1)));
        list.brought(SetId(1), key(1));
        assert_eq!(list.next(), Task::Load(SetId(1), key(2)));
        list.delivered([(SetId(1), key(1))]);
        list.replace(SetId(1), 1, vec![key(1)], vec![]);
        assert_eq!(list.next(), Task::Load(SetId(1), key(1)));
    }

    #[test]
    fn loaders_wait_when_nobody_takes_what_they_bring() {
        let list = WishList::default();
        list.replace(SetId(1), 1, (0..200).map(key).collect(), vec![]);
        for n in 0..MAX_UNDELIVERED as u32 {
            assert_eq!(list.next(), Task::Load(SetId(1), key(n)));
            list.brought(SetId(1), key(n));
        }
        list.stop();
        assert_eq!(list.next(), Task::Stop);
    }

    #[test]
    fn a_wish_that_must_wait_is_refreshed_and_then_tried_again() {
        let list = WishList::default();
        list.replace(SetId(1), 1, vec![key(1)], vec![]);
        assert_eq!(list.next(), Task::Load(SetId(1), key(1)));
        list.put_back(SetId(1), key(1), Again::Later);
        assert_eq!(list.next(), Task::Refresh(SetId(1), vec![key(1)]));
        assert_eq!(list.next(), Task::Load(SetId(1), key(1)));
    }

    #[test]
    fn a_coarse_wish_in_the_making_does_not_hold_up_the_others() {
        let list = WishList::default();
        list.replace(SetId(1), 1, vec![key(1), key(2)], vec![]);
        assert_eq!(list.next(), Task::Load(SetId(1), key(1)));
        list.put_back(SetId(1), key(1), Again::Soon);
        assert_eq!(list.next(), Task::Refresh(SetId(1), vec![key(1)]));
        assert_eq!(list.next(), Task::Load(SetId(1), key(2)));
        list.brought(SetId(1), key(2));
        assert_eq!(list.next(), Task::Load(SetId(1), key(1)), "its turn comes again");
    }

    fn fused(level: u8, x: u32) -> TileKey {
        TileKey { plane: PlaneId { field: MOSAIC, ..PlaneId::default() }, level, x, y: 0 }
    }

    #[test]
    fn the_fields_where_one_looks_come_before_all_others_of_a_new_mosaic() {
        let list = WishList::default();
        list.replace(SetId(1), 1, vec![fused(3, 0), fused(1, 5), fused(1, 6)], vec![]);
        assert_eq!(list.next(), Task::Load(SetId(1), fused(1, 5)));
        list.put_back(SetId(1), fused(1, 5), Again::Soon);
        assert_eq!(list.next(), Task::Refresh(SetId(1), vec![fused(1, 5)]));
        assert_eq!(list.next(), Task::Load(SetId(1), fused(1, 5)), "loaders stay with it");
        assert_eq!(list.next(), Task::Load(SetId(1), fused(1, 6)), "a second loader takes the next one");
        list.put_back(SetId(1), fused(1, 5), Again::Later);
        assert_eq!(list.next(), Task::Load(SetId(1), fused(3, 0)), "others hold what the best one lacks");
    }

    #[test]
    fn a_provisional_tile_that_is_taken_counts_for_nothing() {
        let list = WishList::default();
        list.replace(SetId(1), 1, (0..3).map(key).collect(), vec![]);
        for _ in 0..2 * MAX_UNDELIVERED {
            assert_eq!(list.next(), Task::Load(SetId(1), key(0)));
            // The window takes a provisional picture of the tile meanwhile: no whole tile is delivered.
            list.delivered([]);
            list.brought(SetId(1), key(0));
            list.delivered([(SetId(1), key(0))]);
            list.replace(SetId(1), 1, (0..3).map(key).collect(), vec![]);
        }
        assert_eq!(list.next(), Task::Load(SetId(1), key(0)));
    }

    #[test]
    fn a_fused_tile_that_failed_is_tried_again_once_the_fields_stand_otherwise() {
        let plane = PlaneId { field: MOSAIC, ..PlaneId::default() };
        let (fused, stored) = (TileKey { plane, ..key(1) }, key(2));
        let list = WishList::default();
        list.replace(SetId(1), 1, vec![fused, stored, key(3)], vec![]);
        for failing in [fused, stored] {
            assert_eq!(list.next(), Task::Load(SetId(1), failing));
            assert!(list.put_back(SetId(1), failing, Again::Never));
        }
        list.replace(SetId(1), 1, vec![fused, stored, key(3)], vec![]);
        assert_eq!(list.next(), Task::Load(SetId(1), key(3)), "nothing changed");
        list.replace(SetId(1), 2, vec![fused, stored, key(4)], vec![]);
        assert_eq!(list.next(), Task::Load(SetId(1), fused));
        assert_eq!(list.next(), Task::Load(SetId(1), key(4)), "a file that cannot be read stays so");
        list.replace(SetId(1), 3, vec![fused, key(5)], vec![]);
        assert!(!list.put_back(SetId(1), fused, Again::Never));
        assert_eq!(list.next(), Task::Load(SetId(1), fused), "it failed under places that are no longer wanted");
    }
}
