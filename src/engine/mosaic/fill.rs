//! Filling a mosaic's fields in the background: whole fields, those nearest to where one looks first.

use crate::engine::FillWatch;
use crate::error::{Error, Result};
use crate::geom::Point;
use crate::mosaic::{Geometry, MOSAIC};
use crate::pyramid::{Cancel, ImageInfo, Made, PlaneId, Pyramid, TileKey};
use parking_lot::Mutex;
use rayon::ThreadPool;
use std::time::Duration;

/// How long a filler waits for a field that another thread holds before it looks at other fields again.
const BUSY_WAIT: Duration = Duration::from_millis(20);

/// Makes every tile of every field's planes. Tiles that cannot be read are left out.
pub fn fill_fields(
    pyramid: &Pyramid,
    geometry: &(dyn Fn() -> std::sync::Arc<Geometry> + Sync),
    pool: &ThreadPool,
    watch: &dyn FillWatch,
    cancel: &Cancel,
) -> Result<()> {
    let images = pyramid.source().images();
    let total = crate::engine::tiles_to_fill(images);
    let there = pyramid.store().statistics().ready_tiles.min(total);
    let before = pyramid.tiles_made();
    let between = |_: u64| {
        cancel.check()?;
        watch.between((there + pyramid.tiles_made() - before).min(total), total)
    };
    let queue = Mutex::new(planes(images));
    let failure: Mutex<Option<Error>> = Mutex::new(None);
    let work = || -> Result<()> {
        loop {
            let Some(plane) = take(&queue, &watch.wanted(), &geometry(), images) else { return Ok(()) };
            if fill_plane(pyramid, &images[plane.field as usize], plane, &between, cancel)? == Made::Busy {
                queue.lock().insert(0, plane);
                pyramid.wait_for_release(BUSY_WAIT);
            }
            cancel.check()?;
        }
    };
    pool.scope(|scope| {
        for _ in 0..pool.current_num_threads() {
            scope.spawn(|_| {
                if let Err(error) = work() {
                    queue.lock().clear();
                    failure.lock().get_or_insert(error);
                }
            });
        }
    });
    failure.into_inner().map_or(Ok(()), Err)
}

/// All planes, in reverse order of work: focus positions from the middle one outwards, then channels, then fields.
fn planes(images: &[ImageInfo]) -> Vec<PlaneId> {
    let mut planes = Vec::new();
    for (field, image) in images.iter().enumerate().filter(|(_, i)| !i.size.is_empty()) {
        for (t, z) in (0..image.t_count).flat_map(|t| (0..image.z_count).map(move |z| (t, z))) {
            for channel in 0..image.channels.len() as u16 {
                planes.push(PlaneId { field: field as u32, channel, z, t });
            }
        }
    }
    let middle = |p: &PlaneId| images[p.field as usize].z_count / 2;
    planes.sort_by_key(|p| std::cmp::Reverse((p.t, p.z.abs_diff(middle(p)), p.z, p.channel, p.field)));
    planes
}

/// The next plane: of those that the view shows the nearest to what it waits for, else the first in order.
fn take(queue: &Mutex<Vec<PlaneId>>, wanted: &[TileKey], geometry: &Geometry, images: &[ImageInfo]) -> Option<PlaneId> {
    let mut queue = queue.lock();
    // The finest wish says best where one looks.
    let wish = wanted.iter().min_by_key(|key| key.level);
    if let Some(wish) = wish {
        let at = place_of(wish, geometry, images);
        let shown =
            |p: &PlaneId| wanted.iter().any(|w| (w.plane.channel, w.plane.z, w.plane.t) == (p.channel, p.z, p.t));
        let away = |p: &PlaneId| geometry.rect(p.field).center().distance(at);
        let nearest = (0..queue.len())
            .filter(|&n| shown(&queue[n]))
            .min_by(|&a, &b| away(&queue[a]).total_cmp(&away(&queue[b])).then(b.cmp(&a)));
        if let Some(nearest) = nearest {
            return Some(queue.remove(nearest));
        }
    }
    queue.pop()
}

/// Where a wished tile lies, image coordinates.
fn place_of(key: &TileKey, geometry: &Geometry, images: &[ImageInfo]) -> Point {
    let middle = |side: u32| {
        let px = f64::from(side) * f64::from(key.level).exp2();
        Point::new((f64::from(key.x) + 0.5) * px, (f64::from(key.y) + 0.5) * px)
    };
    if key.plane.field == MOSAIC {
        return middle(crate::mosaic::MOSAIC_TILE_SIDE);
    }
    let side = images.get(key.plane.field as usize).map_or(0, |i| i.tile_side);
    geometry.rect(key.plane.field).min + middle(side)
}

/// Makes a plane of a field with its levels.
fn fill_plane(
    pyramid: &Pyramid,
    image: &ImageInfo,
    plane: PlaneId,
    between: &(dyn Fn(u64) -> Result<()> + Sync),
    cancel: &Cancel,
) -> Result<Made> {
    let level = image.levels.len() as u8 - 1;
    let tiles = image.tiles(level);
    let mut worst = Made::Ready;
    for (x, y) in (0..tiles.height).flat_map(|y| (0..tiles.width).map(move |x| (x, y))) {
        if pyramid.fill(TileKey { plane, level, x, y }, between, cancel)? == Made::Busy {
            worst = Made::Busy;
        }
    }
    Ok(worst)
}
