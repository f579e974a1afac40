//! `bench fill`: the decode speed of all cores, into the store.

use crate::cli::{Context, open, progress::Progress};
use crate::engine::{FillWatch, HEAP, fill_set, tiles_to_fill, work_pool};
use crate::error::Result;
use crate::pyramid::{Cancel, TileKey};
use crate::store::{catalogue, system};
use std::path::Path;
use std::time::Instant;

/// Fills the store of `path` from nothing and reports what it took.
pub fn run(context: &Context, path: &Path) -> Result<serde_json::Value> {
    catalogue::forget(&context.config.cache_dir, &path.display().to_string())?;
    let progress = Progress::new(context.progress, "Decoding");
    let (wall, cpu) = (Instant::now(), system::process_cpu_secs());
    let set = open(context, path)?;
    let pool = work_pool(context.config.threads)?;
    fill_set(&set.pyramid, &pool, &Bar(&progress), &Cancel::default())?;
    let filled = wall.elapsed().as_secs_f64();
    set.pyramid.store().sync()?;
    let (wall_secs, cpu_secs) = (wall.elapsed().as_secs_f64(), system::process_cpu_secs() - cpu);
    progress.finish();
    let statistics = set.pyramid.store().statistics();
    let failures = set.pyramid.failures();
    Ok(serde_json::json!({
        "cpu_secs": cpu_secs,
        "wall_secs": wall_secs,
        "wall_before_sync_secs": filled,
        "heap_peak_bytes": HEAP.peak_usage(),
        "threads": pool.current_num_threads(),
        "tiles": statistics.ready_tiles,
        "tiles_expected": tiles_to_fill(set.pyramid.source().images()),
        "tiles_unreadable": failures.len(),
        "units": set.pyramid.units_decoded(),
        "bytes": statistics.disk_bytes,
        "mapped_bytes": statistics.mapped_bytes,
        "heap_after_bytes": HEAP.current_usage(),
    }))
}

struct Bar<'a>(&'a Progress);

impl FillWatch for Bar<'_> {
    fn wanted(&self) -> Vec<TileKey> {
        Vec::new()
    }

    fn between(&self, done: u64, total: u64) -> Result<()> {
        self.0.set(done, total);
        Ok(())
    }
}
