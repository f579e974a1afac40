//! Which tiles the next moment may need.

use super::level_grid::{LevelGrid, gpu_tile_bytes};
use super::scene::{Presence, SCENE_CACHE_SHARE, Scene, SceneRequest};
use crate::geom::{Point, Rect};
use crate::pyramid::{PlaneId, TileKey};
use rustc_hash::FxHashSet;

/// The prefetch list holds no more tiles than this.
pub const MAX_PREFETCH_TILES: usize = 256;
/// A pan is followed this far ahead, in seconds: about what a cold tile takes to arrive.
const AHEAD_SECS: f64 = 0.5;
/// Prefetch takes at most this share of the cache beside the scene, so that it does not push out what was just seen.
const CACHE_SHARE: f64 = 0.5;

/// Missing tiles that are likely to be wanted soon: where a pan leads, a ring around the view, the middle of the next
/// finer level, the next coarser one; at most [`MAX_PREFETCH_TILES`].
///
/// `velocity` is how the view moves over the image, in level-0 pixels a second.
pub fn prefetch(request: &SceneRequest<'_>, scene: &Scene, velocity: Point) -> Vec<TileKey> {
    let Some(visible) = request.visible() else { return Vec::new() };
    let level = scene.wanted_level;
    let coarsest = (request.image.levels.len() - 1) as u8;
    let grid = LevelGrid::new(request.image, level);
    let ring = |rect: Rect| grow(rect, tile_extent(&grid, request.image.tile_side));
    let ahead = shifted(visible, velocity);
    let middle = grow(visible, Point::new(visible.width() / -4.0, visible.height() / -4.0));

    let mut list =
        List { request, keys: Vec::new(), listed: FxHashSet::default(), room_bytes: room_bytes(request, scene) };
    if velocity.x != 0.0 || velocity.y != 0.0 {
        list.add(level, ahead, visible.center());
    }
    list.add(level, ring(visible), ahead.center());
    if level > scene.ideal_level {
        // The zoom asks for more than there is room for: finer tiles would only be thrown out again.
        return list.keys;
    }
    if level > 0 {
        list.add(level - 1, middle, visible.center());
    }
    if level < coarsest {
        list.add(level + 1, ring(visible), visible.center());
    }
    list.keys
}

struct List<'a> {
    request: &'a SceneRequest<'a>,
    keys: Vec<TileKey>,
    /// The same keys.
    listed: FxHashSet<TileKey>,
    room_bytes: u64,
}

impl List<'_> {
    /// Adds what is missing of a level in a region, nearest to `from` first.
    fn add(&mut self, level: u8, region: Rect, from: Point) {
        let grid = LevelGrid::new(self.request.image, level);
        let planes: Vec<PlaneId> = self.request.planes().map(|(plane, _)| plane).collect();
        let columns = grid.range(0, region.min.x, region.max.x);
        let mut cells: Vec<(f64, u32, u32)> = grid
            .range(1, region.min.y, region.max.y)
            .flat_map(|y| columns.clone().map(move |x| (x, y)))
            .filter(|&(x, y)| {
                // What is there needs no second look: an outline is worth more time than a table.
                let lacks = |plane: &PlaneId| self.lacks(TileKey { plane: *plane, level, x, y });
                if !planes.iter().any(lacks) {
                    return false;
                }
                let parts = self.request.outline.and_then(|outline| outline.parts(grid.tile_rect(x, y)));
                parts.is_none_or(|parts| !parts.is_empty())
            })
            .map(|(x, y)| (grid.tile_rect(x, y).center().distance(from), x, y))
            .collect();
        cells.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then((a.2, a.1).cmp(&(b.2, b.1))));
        for (_, x, y) in cells {
            for &plane in &planes {
                let key = TileKey { plane, level, x, y };
                if !self.lacks(key) || !self.listed.insert(key) {
                    continue;
                }
                let format = self.request.image.channels[plane.channel as usize].format;
                let bytes = gpu_tile_bytes(format, self.request.image.tile_side);
                if self.keys.len() >= MAX_PREFETCH_TILES || bytes > self.room_bytes {
                    return;
                }
                self.room_bytes -= bytes;
                self.keys.push(key);
            }
        }
    }

    fn lacks(&self, key: TileKey) -> bool {
        self.request.resident.presence(key) == Presence::Absent
    }
}

/// What the cache may hold beside the scene, for tiles that nobody has asked for yet.
fn room_bytes(request: &SceneRequest<'_>, scene: &Scene) -> u64 {
    let tile = request.bytes_per_cell();
    let planes = request.planes().count().max(1) as u64;
    let scene_bytes = (scene.quads.len() as u64 + scene.wishes.len() as u64) * tile / planes;
    let rest = request.cache_budget_bytes.saturating_sub(scene_bytes);
    ((rest as f64 * CACHE_SHARE) as u64).min((request.cache_budget_bytes as f64 * SCENE_CACHE_SHARE) as u64)
}

fn tile_extent(grid: &LevelGrid, side: u32) -> Point {
    Point::new(grid.downsample[0] * f64::from(side), grid.downsample[1] * f64::from(side))
}

fn grow(rect: Rect, by: Point) -> Rect {
    Rect::new(rect.min - by, rect.max + by)
}

/// Where the view will be, at most one view further.
fn shifted(view: Rect, velocity: Point) -> Rect {
    let step = |v: f64, extent: f64| (v * AHEAD_SECS).clamp(-extent, extent);
    let by = Point::new(step(velocity.x, view.width()), step(velocity.y, view.height()));
    Rect::new(view.min + by, view.max + by)
}
