//! Filling a whole image set in the background, each chunk read once, all cores at work.

use crate::error::{Error, Result};
use crate::pyramid::{Cancel, ImageInfo, LevelOrigin, Made, PlaneId, Pyramid, TileKey};
use parking_lot::Mutex;
use rayon::ThreadPool;
use std::time::Duration;

/// Pieces of work a thread, so that all threads end at about the same time.
const PIECES_PER_THREAD: u64 = 8;

/// How long a filler waits for a unit that another thread holds before it looks at other work again.
const BUSY_WAIT: Duration = Duration::from_millis(20);

/// A part of a plane that one thread fills in one go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece {
    /// A tile with everything beneath it.
    Subtree(TileKey),
    /// A whole row of tiles with everything beneath it, for sources whose units span several columns.
    Row(PlaneId, u8, u32),
}

/// What the filler asks and tells while it works.
pub trait FillWatch: Sync {
    /// The tiles that somebody is waiting for, most wanted first: their parts are filled first.
    fn wanted(&self) -> Vec<TileKey>;
    /// Called between units. `done` of `total` tiles are there.
    fn between(&self, done: u64, total: u64) -> Result<()>;
}

/// The levels that a fill makes of an image: all of a flat one, and of one that brings its own levels just those that
/// are coarser than its coarsest.
fn levels_to_fill(image: &ImageInfo) -> std::ops::Range<u8> {
    let last = image.levels.len() as u8;
    if !image.has_native_levels() {
        return 0..last;
    }
    let coarsest = image.levels.iter().rposition(|l| matches!(l.origin, LevelOrigin::Native(_))).unwrap_or(0);
    coarsest as u8..last
}

/// The planes of all images, those shown first in front.
fn planes(images: &[ImageInfo]) -> Vec<PlaneId> {
    let mut planes = Vec::new();
    for (field, image) in images.iter().enumerate() {
        for (t, z) in (0..image.t_count).flat_map(|t| (0..image.z_count).map(move |z| (t, z))) {
            for channel in 0..image.channels.len() as u16 {
                planes.push(PlaneId { field: field as u32, channel, z, t });
            }
        }
    }
    planes
}

/// How many tiles a fill of these images makes.
pub fn tiles_to_fill(images: &[ImageInfo]) -> u64 {
    images
        .iter()
        .map(|image| {
            let planes = image.channels.len() as u64 * u64::from(image.z_count) * u64::from(image.t_count);
            planes * levels_to_fill(image).map(|level| image.tiles(level).area()).sum::<u64>()
        })
        .sum()
}

/// Makes every tile that a fill makes, plane after plane. Tiles that cannot be read are left out.
pub fn fill_set(pyramid: &Pyramid, pool: &ThreadPool, watch: &dyn FillWatch, cancel: &Cancel) -> Result<()> {
    let images = pyramid.source().images();
    let total = tiles_to_fill(images);
    let there = pyramid.store().statistics().ready_tiles.min(total);
    let before = pyramid.tiles_made();
    let between = |_: u64| {
        cancel.check()?;
        watch.between((there + pyramid.tiles_made() - before).min(total), total)
    };
    for plane in planes(images) {
        let image = &images[plane.field as usize];
        let range = levels_to_fill(image);
        if image.size.is_empty() || range.is_empty() {
            continue;
        }
        let pieces = pieces(pyramid, image, plane, range.clone(), pool.current_num_threads() as u64);
        let queue = Mutex::new(pieces);
        let failure: Mutex<Option<Error>> = Mutex::new(None);
        pool.scope(|scope| {
            for _ in 0..pool.current_num_threads() {
                scope.spawn(|_| {
                    if let Err(error) = work(pyramid, image, &queue, watch, &between, cancel) {
                        queue.lock().clear();
                        failure.lock().get_or_insert(error);
                    }
                });
            }
        });
        if let Some(error) = failure.into_inner() {
            return Err(error);
        }
        // The few tiles above the pieces.
        let top = range.end - 1;
        let tiles = image.tiles(top);
        for (x, y) in (0..tiles.height).flat_map(|y| (0..tiles.width).map(move |x| (x, y))) {
            let key = TileKey { plane, level: top, x, y };
            while pyramid.fill(key, &between, cancel)? == Made::Busy {
                pyramid.wait_for_release(BUSY_WAIT);
                cancel.check()?;
            }
        }
    }
    Ok(())
}

/// Cuts a plane into pieces, in reverse order of work (a queue is popped from its end).
fn pieces(
    pyramid: &Pyramid,
    image: &ImageInfo,
    plane: PlaneId,
    levels: std::ops::Range<u8>,
    threads: u64,
) -> Vec<Piece> {
    let enough = threads * PIECES_PER_THREAD;
    let base = TileKey { plane, level: levels.start, x: 0, y: 0 };
    let spans_columns = pyramid.source().unit_of(base).count.0 > 1;
    let mut pieces: Vec<Piece> = if spans_columns {
        let level = levels.clone().rev().find(|&l| u64::from(image.tiles(l).height) >= enough).unwrap_or(levels.start);
        (0..image.tiles(level).height).map(|y| Piece::Row(plane, level, y)).collect()
    } else {
        let level = levels.clone().rev().find(|&l| image.tiles(l).area() >= enough).unwrap_or(levels.start);
        let tiles = image.tiles(level);
        (0..tiles.height)
            .flat_map(|y| (0..tiles.width).map(move |x| Piece::Subtree(TileKey { plane, level, x, y })))
            .collect()
    };
    pieces.reverse();
    pieces
}

fn work(
    pyramid: &Pyramid,
    image: &ImageInfo,
    queue: &Mutex<Vec<Piece>>,
    watch: &dyn FillWatch,
    between: &(dyn Fn(u64) -> Result<()> + Sync),
    cancel: &Cancel,
) -> Result<()> {
    loop {
        let Some(piece) = take(queue, &watch.wanted()) else { return Ok(()) };
        let made = match piece {
            Piece::Subtree(key) => pyramid.fill(key, between, cancel)?,
            Piece::Row(plane, level, y) => fill_row(pyramid, image, plane, level, y, between, cancel)?,
        };
        if made == Made::Busy {
            // Another thread holds something beneath it: do other pieces first.
            queue.lock().insert(0, piece);
            pyramid.wait_for_release(BUSY_WAIT);
        }
        cancel.check()?;
    }
}

/// The next piece: one that somebody waits for, else the first in order.
fn take(queue: &Mutex<Vec<Piece>>, wanted: &[TileKey]) -> Option<Piece> {
    let mut queue = queue.lock();
    for key in wanted {
        if let Some(at) = queue.iter().rposition(|piece| covers(piece, *key)) {
            return Some(queue.remove(at));
        }
    }
    queue.pop()
}

/// Whether filling a piece brings a tile, or part of what is beneath it.
fn covers(piece: &Piece, key: TileKey) -> bool {
    let (plane, level, column, row) = match *piece {
        Piece::Subtree(root) => (root.plane, root.level, Some(root.x), root.y),
        Piece::Row(plane, level, y) => (plane, level, None, y),
    };
    let meets = |piece_at: u32, key_at: u32| {
        if level >= key.level {
            piece_at == key_at >> (level - key.level).min(31)
        } else {
            piece_at >> (key.level - level).min(31) == key_at
        }
    };
    plane == key.plane && meets(row, key.y) && column.is_none_or(|x| meets(x, key.x))
}

/// Fills a row of tiles depth first by rows, so that a unit's tiles are halved soon after they were decoded.
fn fill_row(
    pyramid: &Pyramid,
    image: &ImageInfo,
    plane: PlaneId,
    level: u8,
    y: u32,
    between: &(dyn Fn(u64) -> Result<()> + Sync),
    cancel: &Cancel,
) -> Result<Made> {
    let mut worst = Made::Ready;
    if image.levels[level as usize].origin == LevelOrigin::Derived {
        for below in [2 * y, 2 * y + 1] {
            if below < image.tiles(level - 1).height {
                let made = fill_row(pyramid, image, plane, level - 1, below, between, cancel)?;
                worst = if made == Made::Busy { made } else { worst };
            }
        }
    }
    for x in 0..image.tiles(level).width {
        let made = pyramid.fill(TileKey { plane, level, x, y }, between, cancel)?;
        worst = if made == Made::Busy { made } else { worst };
    }
    Ok(worst)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_that_holds_a_wanted_tile_comes_first() {
        let plane = PlaneId::default();
        let root = |x, y| Piece::Subtree(TileKey { plane, level: 3, x, y });
        let queue = Mutex::new(vec![root(1, 1), root(0, 1), root(1, 0), root(0, 0)]);
        let key = |level, x, y| TileKey { plane, level, x, y };
        assert_eq!(take(&queue, &[key(0, 8, 8)]), Some(root(1, 1)), "eight finer tiles a side lie under a piece");
        assert_eq!(take(&queue, &[key(4, 0, 0)]), Some(root(0, 0)), "any piece under a coarser wish helps it");
        assert_eq!(take(&queue, &[]), Some(root(1, 0)));
    }
}
