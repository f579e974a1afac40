//! Measures the estimate of the light on a folder of generated fields of known truth, and prints its errors and its cost.
//!
//! `cargo bench --bench illumination -- DIR... [--threads N]`
//! DIR holds `r00_c00_ch0.tif`..., `secret/truth.csv` and `secret/flat.npy`, as `make_fields.py` writes them.

use microtome::error::Result;
use microtome::geom::{Point, Size};
use microtome::mosaic::illumination::{
    FieldOverlap, LightVerdict, PROFILE_CELLS, REDUCED_CELLS, Reduced, ReducedFields, estimate,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

struct Planes(Vec<Reduced>);

impl ReducedFields for Planes {
    fn reduced(&self, field: u32, _channel: u16) -> Result<Option<Reduced>> {
        Ok(self.0.get(field as usize).cloned())
    }
}

fn reduced(path: &Path) -> Reduced {
    let mut decoder = tiff::decoder::Decoder::new(std::fs::File::open(path).expect("a field")).expect("a TIFF");
    let (width, height) = decoder.dimensions().expect("a size");
    let tiff::decoder::DecodingResult::U16(px) = decoder.read_image().expect("pixels") else { panic!("not 16 bit") };
    let bin = (width.max(height) / REDUCED_CELLS).max(1);
    let cells = Size::new(width / bin, height / bin);
    let mean = |x: u32, y: u32| {
        let rows = (y * bin..(y + 1) * bin).map(|row| &px[(row * width + x * bin) as usize..][..bin as usize]);
        rows.flatten().map(|&v| u32::from(v)).sum::<u32>() as f32 / (bin * bin) as f32
    };
    let samples = (0..cells.height).flat_map(|y| (0..cells.width).map(move |x| (x, y))).map(|(x, y)| mean(x, y));
    let cell_px = [f64::from(bin); 2];
    Reduced { field: Size::new(width, height), cell_px, cells, samples: samples.collect(), clipped: 64_000.0 }
}

/// The cells' means of the square of 32-bit floats that a `.npy` file of version 1 holds, 1 on average.
fn true_flat(path: &Path) -> Vec<f64> {
    let bytes = std::fs::read(path).expect("flat.npy");
    let header = usize::from(u16::from_le_bytes([bytes[8], bytes[9]])) + 10;
    let values: Vec<f64> =
        bytes[header..].as_chunks::<4>().0.iter().map(|&b| f64::from(f32::from_le_bytes(b))).collect();
    let side = values.len().isqrt();
    let bin = side / PROFILE_CELLS;
    let mut flat: Vec<f64> = (0..PROFILE_CELLS * PROFILE_CELLS)
        .map(|n| (n % PROFILE_CELLS * bin, n / PROFILE_CELLS * bin))
        .map(|(x, y)| (y..y + bin).flat_map(|row| &values[row * side + x..][..bin]).sum::<f64>())
        .collect();
    let mean = flat.iter().sum::<f64>() / flat.len() as f64;
    flat.iter_mut().for_each(|v| *v /= mean);
    flat
}

fn main() {
    let mut dirs: Vec<PathBuf> = Vec::new();
    let mut threads = 2;
    let mut args = std::env::args().skip(1).filter(|a| a != "--bench");
    while let Some(arg) = args.next() {
        if arg == "--threads" {
            threads = args.next().and_then(|n| n.parse().ok()).expect("a number of threads");
        } else {
            dirs.push(arg.into());
        }
    }
    for dir in dirs {
        let text = std::fs::read_to_string(dir.join("secret/truth.csv")).expect("truth.csv");
        let truth: BTreeMap<(i32, i32), Point> = text
            .lines()
            .skip(1)
            .map(|line| line.split(',').map(|v| v.parse::<f64>().expect("a number")).collect::<Vec<_>>())
            .map(|v| ((v[0] as i32, v[1] as i32), Point::new(v[2], v[3])))
            .collect();
        let places: Vec<((i32, i32), Point)> = truth.iter().map(|(&k, &v)| (k, v)).collect();
        let fields =
            Planes(places.iter().map(|((r, c), _)| reduced(&dir.join(format!("r{r:02}_c{c:02}_ch0.tif")))).collect());
        let number = |row_col: (i32, i32)| places.iter().position(|&(k, _)| k == row_col);
        let mut overlaps = Vec::new();
        for (a, &((row, column), place)) in places.iter().enumerate() {
            for next in [(row, column + 1), (row + 1, column)] {
                if let Some(b) = number(next) {
                    overlaps.push(FieldOverlap { a: a as u32, b: b as u32, shift: places[b].1 - place });
                }
            }
        }
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
        let start = Instant::now();
        let found = estimate(&fields, &overlaps, 1, &pool, &|_, _| Ok(())).expect("not cancelled");
        let secs = start.elapsed().as_secs_f64();
        let light = &found.channels[0];
        let share =
            |v: Option<[f64; 2]>| v.map_or("none".into(), |[a, b]| format!("{:.3} -> {:.3} %", a * 100.0, b * 100.0));
        println!("{} ({} fields, {} overlaps, {secs:.2} s)", dir.display(), places.len(), light.overlaps);
        println!(
            "  dark {:.2?}, overlaps disagree {}, step {}",
            light.dark,
            share(light.disagreement),
            share(light.seam_step)
        );
        match (&light.verdict, found.illumination.profile(0)) {
            (LightVerdict::Kept, Some(profile)) => {
                let flat = true_flat(&dir.join("secret/flat.npy"));
                let errors: Vec<f64> =
                    flat.iter().zip(profile.flat()).map(|(truth, &found)| f64::from(found) / truth - 1.0).collect();
                let rms = (errors.iter().map(|e| e * e).sum::<f64>() / errors.len() as f64).sqrt();
                let worst = errors.iter().fold(0.0_f64, |w, e| w.max(e.abs()));
                println!("  kept: flat wrong by {:.3} % rms, {:.3} % at worst", rms * 100.0, worst * 100.0);
            }
            (verdict, _) => println!("  {verdict:?}"),
        }
    }
}
