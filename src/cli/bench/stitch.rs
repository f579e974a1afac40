//! `bench stitch`: a field set of known truth, aligned, evened out and written, in seconds, bytes and pixels.

use crate::cli::interrupt::cancel_on_signal;
use crate::cli::stitch::{self, Job, StitchArgs};
use crate::cli::{Context, progress::Progress};
use crate::demo::{self, TRUTH_FILE};
use crate::engine::{HEAP, work_pool};
use crate::error::{Error, Result};
use crate::geom::Point;
use crate::image_set::FieldSet;
use crate::mosaic::{Illumination, Verdict, illumination::PROFILE_CELLS};
use crate::pyramid::Cancel;
use crate::store::{catalogue, system};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Where the truth of a field set may be told, below its folder.
const TRUTH_FILES: [&str; 2] = [TRUTH_FILE, "secret/truth.csv"];

/// The largest file of truth that is read, in bytes: a line a field.
const MAX_TRUTH_BYTES: u64 = 4 << 20;

/// A neighbour that is off by more than this is wrong, not imprecise, in pixels.
const WRONG_PX: f64 = 1.0;

/// Puts the field set `path` together from nothing, or the demo's, and reports what it took and how well it went.
pub fn run(context: &Context, path: Option<&Path>) -> Result<serde_json::Value> {
    let cancel = cancel_on_signal()?;
    let folder = match path {
        Some(path) => path.to_owned(),
        None => demo_folder(context, &cancel)?,
    };
    let truth = truth_of(&folder)?;
    let data_dir = &context.config.data_dir;
    std::fs::create_dir_all(data_dir).map_err(|e| Error::io("cannot make the folder", e, data_dir))?;
    let scratch =
        tempfile::tempdir_in(data_dir).map_err(|e| Error::io("cannot make a temporary folder in", e, data_dir))?;
    let output = scratch.path().join("stitched.ome.tif");
    let args = StitchArgs::plain(folder.clone());
    catalogue::forget(&context.config.cache_dir, &folder.display().to_string())?;
    let pool = work_pool(context.config.threads)?;
    let job = Job { context, args: &args, pool: &pool, cancel: &cancel };

    HEAP.reset_peak_usage();
    let whole = Stopwatch::start();
    let watch = Stopwatch::start();
    let set = stitch::sets_of(&args)?.swap_remove(0);
    let recognise = watch.figures();
    let watch = Stopwatch::start();
    let stitched = job.align(&set)?;
    let align = watch.figures();
    let watch = Stopwatch::start();
    job.fuse(&stitched, &output)?;
    let mut fuse = watch.figures();
    let (wall_secs, cpu_secs) = whole.secs();
    let heap_peak_bytes = HEAP.peak_usage();
    // Evening out is asked for, so it is no part of the whole.
    let watch = Stopwatch::start();
    let found = job.light_of(&stitched)?;
    let mut light = watch.figures();
    light["channels"] = json!(found.channels);
    if path.is_none() {
        light["flat_errors"] = (0..set.channels.len()).map(|c| flat_error(&found.illumination, c)).collect();
    }
    let written = std::fs::metadata(&output).map_err(|e| Error::io("cannot look at", e, &output))?;
    fuse["bytes"] = written.len().into();

    let alignment = &stitched.alignment;
    let px: u64 = set.fields.iter().map(|f| f.size.area() * set.channels.len() as u64).sum();
    Ok(json!({
        "fields": set.fields.len(),
        "samples": px,
        "threads": pool.current_num_threads(),
        "cpu_secs": cpu_secs,
        "wall_secs": wall_secs,
        "recognise": recognise,
        "align": align,
        "fuse": fuse,
        "light": light,
        "heap_peak_bytes": heap_peak_bytes,
        "mapped_peak_bytes": system::mapped_bytes_peak(),
        "verdict": match &alignment.verdict {
            Verdict::Aligned => "aligned".to_owned(),
            Verdict::Nominal => "nominal".to_owned(),
            Verdict::NotAligned(why) => format!("not aligned: {why}"),
        },
        "overlaps": alignment.report.edges.len(),
        "overlaps_accepted": alignment.report.accepted,
        "fields_placed_by_stage": alignment.report.placed_by_stage,
        "accuracy": accuracy(&set, &alignment.positions, &truth),
    }))
}

/// The demo's field set, painted where it is not there yet.
fn demo_folder(context: &Context, cancel: &Cancel) -> Result<PathBuf> {
    let progress = Progress::new(context.progress, "Painting the demo");
    let dir = crate::demo::demo_folder(&context.config.data_dir);
    let painted = demo::write_demo_fields(&dir, &mut |done, total| progress.set(done, total), cancel);
    progress.finish();
    painted
}

/// Wall-clock and processor seconds since it was started.
struct Stopwatch {
    wall: Instant,
    cpu_secs: f64,
}

impl Stopwatch {
    fn start() -> Self {
        Self { wall: Instant::now(), cpu_secs: system::process_cpu_secs() }
    }

    fn secs(&self) -> (f64, f64) {
        (self.wall.elapsed().as_secs_f64(), system::process_cpu_secs() - self.cpu_secs)
    }

    fn figures(&self) -> serde_json::Value {
        let (wall_secs, cpu_secs) = self.secs();
        json!({ "wall_secs": wall_secs, "cpu_secs": cpu_secs })
    }
}

/// Where a field really is.
#[derive(Debug, Clone, PartialEq)]
struct TrueField {
    /// What its file's name is, or holds.
    name: String,
    row_col: (i32, i32),
    place: Point,
    nominal: Point,
}

fn truth_of(folder: &Path) -> Result<Vec<TrueField>> {
    let Some(path) = TRUTH_FILES.iter().map(|name| folder.join(name)).find(|path| path.exists()) else {
        let what = format!("there is no {} that says where the fields really are", TRUTH_FILES.join(" or "));
        return Err(Error::unsupported(what, folder));
    };
    let failed = |e| Error::io("cannot read", e, &path);
    if std::fs::metadata(&path).map_err(failed)?.len() > MAX_TRUTH_BYTES {
        return Err(Error::too_large("the file is too large for a list of true places", &path));
    }
    let text = std::fs::read_to_string(&path).map_err(failed)?;
    truth_in(&text).ok_or_else(|| Error::format("this is no list of row,col,x,y,nx,ny", &path))
}

fn truth_in(text: &str) -> Option<Vec<TrueField>> {
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next()?.split(',').map(str::trim).collect();
    let column = |name: &str| header.iter().position(|h| *h == name);
    let numbers = ["row", "col", "x", "y", "nx", "ny"].map(column);
    lines
        .filter(|line| !line.trim().is_empty())
        .map(|line| {
            let cells: Vec<&str> = line.split(',').map(str::trim).collect();
            let number = |n: usize| numbers[n].and_then(|at| cells.get(at)?.parse::<f64>().ok());
            let row_col = (number(0)? as i32, number(1)? as i32);
            let name = match column("file") {
                Some(at) => (*cells.get(at)?).to_owned(),
                None => format!("r{:02}_c{:02}", row_col.0, row_col.1),
            };
            let (place, nominal) = (Point::new(number(2)?, number(3)?), Point::new(number(4)?, number(5)?));
            Some(TrueField { name, row_col, place, nominal })
        })
        .collect()
}

/// How far neighbours are from where they really stand to each other. A field that is missing is told apart: it has no
/// place to be wrong about.
fn accuracy(set: &FieldSet, positions: &[Point], truth: &[TrueField]) -> serde_json::Value {
    let file_of = |field: usize| {
        let file = set.fields[field].planes.first().and_then(|plane| set.files.get(plane.file as usize));
        file.and_then(|path| path.file_name()).map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    };
    let names: Vec<String> = (0..set.fields.len()).map(file_of).collect();
    let placed: BTreeMap<(i32, i32), (Point, &TrueField)> = truth
        .iter()
        .filter_map(|field| {
            let number = names.iter().position(|name| name.contains(&field.name))?;
            Some((field.row_col, (*positions.get(number)?, field)))
        })
        .collect();
    let (mut solved, mut nominal) = (Vec::new(), Vec::new());
    for (&(row, column), &(place, field)) in &placed {
        for next in [(row, column + 1), (row + 1, column)] {
            if let Some(&(other, beside)) = placed.get(&next) {
                let truth = beside.place - field.place;
                solved.push((other - place).distance(truth));
                nominal.push((beside.nominal - field.nominal).distance(truth));
            }
        }
    }
    json!({
        "fields_missing": truth.len() - placed.len(),
        "pairs": solved.len(),
        "pairs_wrong": solved.iter().filter(|&&error| error > WRONG_PX).count(),
        "pair_px": spread(solved),
        "pair_before_px": spread(nominal),
    })
}

/// The root mean square of errors, their middle, their 95th centile and the greatest.
fn spread(mut errors: Vec<f64>) -> serde_json::Value {
    if errors.is_empty() {
        return serde_json::Value::Null;
    }
    errors.sort_by(f64::total_cmp);
    let at = |share: f64| errors[((errors.len() - 1) as f64 * share) as usize];
    let rms = (errors.iter().map(|e| e * e).sum::<f64>() / errors.len() as f64).sqrt();
    json!({ "rms": rms, "p50": at(0.5), "p95": at(0.95), "max": at(1.0) })
}

/// How far the flat of a channel is from the light that the demo was painted with; null where none was kept.
fn flat_error(illumination: &Illumination, channel: usize) -> serde_json::Value {
    let Some(profile) = u16::try_from(channel).ok().and_then(|channel| illumination.profile(channel)) else {
        return serde_json::Value::Null;
    };
    let place = |cell: usize| (cell as f64 + 0.5) / PROFILE_CELLS as f64;
    let cells = PROFILE_CELLS * PROFILE_CELLS;
    let truth: Vec<f64> =
        (0..cells).map(|n| demo::demo_light(place(n % PROFILE_CELLS), place(n / PROFILE_CELLS))).collect();
    let mean = truth.iter().sum::<f64>() / cells as f64;
    let errors = truth.iter().zip(profile.flat()).map(|(t, &f)| (f64::from(f) * mean / t - 1.0).abs());
    spread(errors.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn truth_is_read_with_and_without_the_names_of_files() {
        let named = truth_in("file,row,col,x,y,nx,ny\nfield_1.tif,0,1,921.5,-3,920,0\n").expect("truth");
        assert_eq!(named[0].name, "field_1.tif");
        assert_eq!((named[0].row_col, named[0].place), ((0, 1), Point::new(921.5, -3.0)));
        let counted = truth_in("row,col,x,y,nx,ny\n3,12,1,2,3,4\n\n").expect("truth");
        assert_eq!((counted[0].name.as_str(), counted[0].nominal), ("r03_c12", Point::new(3.0, 4.0)));
        assert_eq!(truth_in("row,col\n1,2\n"), None);
        assert_eq!(truth_in(""), None);
    }

    #[test]
    fn errors_are_summed_up_by_size() {
        let figures = spread(vec![3.0, 4.0, 0.0, 0.0]);
        assert_eq!((figures["rms"].as_f64(), figures["max"].as_f64()), (Some(2.5), Some(4.0)));
        assert_eq!(spread(Vec::new()), serde_json::Value::Null);
    }
}
