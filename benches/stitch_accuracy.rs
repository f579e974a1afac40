//! Measures the alignment core on a folder of generated fields of known truth, and prints its errors and its costs.
//!
//! `cargo bench --bench stitch_accuracy -- DIR [--max-shift PX] [--threads N] [--csv OUT.csv] [--truth TRUTH.csv] [--pairs]`
//! DIR holds `TileConfiguration.txt` with the nominal positions; truth defaults to `DIR/secret/truth.csv`.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use microtome::geom::{PixelRect, Point, Size};
use microtome::stitch::null::{Null, chance_pairs};
use microtome::stitch::pair::{self, Limits, PairOutcome, PairScratch};
use microtome::stitch::report::Report;
use microtome::stitch::solve::{Edge, EdgeStatus, FieldPlace, Hand, PlacedBy, Start, solve};
use microtome::stitch::strip::{Strip, strips_of_overlap};
use rayon::prelude::*;

struct Field {
    name: String,
    nominal: Point,
    row_col: (i32, i32),
    size: Size,
    samples: Samples,
}

enum Samples {
    Raw { file: File, offset: u64 },
    Memory(Vec<u16>),
}

impl Field {
    fn open(dir: &Path, name: &str, nominal: Point) -> Self {
        let path = dir.join(name);
        let (size, samples) = open_samples(&path);
        let digits = |c: char| {
            let mut rest = name;
            while let Some(at) = rest.find(c) {
                let number: String = rest[at + 1..].chars().take_while(char::is_ascii_digit).collect();
                if let Ok(n) = number.parse() {
                    return n;
                }
                rest = &rest[at + 1..];
            }
            0
        };
        Self { name: name.to_owned(), nominal, row_col: (digits('r'), digits('c')), size, samples }
    }

    fn read(&self, rect: PixelRect) -> Vec<u16> {
        match &self.samples {
            Samples::Memory(all) => (rect.y..rect.bottom())
                .flat_map(|y| {
                    let start = (y * self.size.width + rect.x) as usize;
                    all[start..start + rect.width as usize].iter().copied()
                })
                .collect(),
            Samples::Raw { file, offset } => {
                let mut bytes = vec![0u8; rect.size().area() as usize * 2];
                let at = |y: u32| offset + 2 * (u64::from(y) * u64::from(self.size.width) + u64::from(rect.x));
                if rect.width == self.size.width {
                    file.read_exact_at(&mut bytes, at(rect.y)).expect("the field is whole");
                } else {
                    for (line, y) in bytes.chunks_exact_mut(rect.width as usize * 2).zip(rect.y..) {
                        file.read_exact_at(line, at(y)).expect("the field is whole");
                    }
                }
                bytes.as_chunks::<2>().0.iter().map(|&b| u16::from_le_bytes(b)).collect()
            }
        }
    }
}

fn open_samples(path: &Path) -> (Size, Samples) {
    if let Ok(file) = File::open(path)
        && let Ok(mut decoder) = tiff::decoder::Decoder::new(&file)
        && let Ok(tiff::ColorType::Gray(16)) = decoder.colortype()
        && let Ok((width, height)) = decoder.dimensions()
        && let Ok(offsets) = decoder.get_tag_u64_vec(tiff::tags::Tag::StripOffsets)
        && let Ok(counts) = decoder.get_tag_u64_vec(tiff::tags::Tag::StripByteCounts)
        && offsets.windows(2).zip(&counts).all(|(o, c)| o[0] + c == o[1])
        && counts.iter().sum::<u64>() == u64::from(width) * u64::from(height) * 2
    {
        let offset = offsets[0];
        drop(decoder);
        return (Size::new(width, height), Samples::Raw { file, offset });
    }
    let image = match image_of(path) {
        Some(image) => image,
        None => panic!("cannot read {}", path.display()),
    };
    (image.0, Samples::Memory(image.1))
}

fn image_of(path: &Path) -> Option<(Size, Vec<u16>)> {
    if let Ok(image) = image::open(path) {
        let gray = image.to_luma8();
        let size = Size::new(gray.width(), gray.height());
        return Some((size, gray.into_raw().into_iter().map(u16::from).collect()));
    }
    let mut decoder = tiff::decoder::Decoder::new(File::open(path).ok()?).ok()?;
    let (width, height) = decoder.dimensions().ok()?;
    let samples = match decoder.colortype().ok()? {
        tiff::ColorType::RGB(_) => 3,
        _ => 1,
    };
    let gray = |v: Vec<u16>| v.chunks_exact(samples).map(|c| *c.iter().max().unwrap_or(&0)).collect();
    let data = match decoder.read_image().ok()? {
        tiff::decoder::DecodingResult::U8(v) => gray(v.into_iter().map(u16::from).collect()),
        tiff::decoder::DecodingResult::U16(v) => gray(v),
        _ => return None,
    };
    Some((Size::new(width, height), data))
}

fn csv_truth(path: &Path) -> Option<Vec<((i32, i32), Point)>> {
    let text = std::fs::read_to_string(path).ok()?;
    let rows = text.lines().skip(1).filter_map(|l| {
        let v: Vec<f64> = l.split(',').filter_map(|x| x.parse().ok()).collect();
        Some(((*v.first()? as i32, *v.get(1)? as i32), Point::new(*v.get(2)?, *v.get(3)?)))
    });
    Some(rows.collect())
}

fn cpu_secs() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after = stat.rsplit(')').next().unwrap_or_default();
    let ticks = |k: usize| after.split_whitespace().nth(k).and_then(|v| v.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / 100.0
}

fn percentile(values: &mut [f64], share: f64) -> f64 {
    if values.is_empty() {
        return f64::NAN;
    }
    values.sort_by(f64::total_cmp);
    values[((values.len() - 1) as f64 * share).round() as usize]
}

fn rms(values: &[f64]) -> f64 {
    (values.iter().map(|v| v * v).sum::<f64>() / values.len().max(1) as f64).sqrt()
}

fn main() {
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    let dir = PathBuf::from(args.next().expect("a folder"));
    let (mut max_shift, mut threads, mut truth_path, mut pairs) = (100.0, 1, dir.join("secret/truth.csv"), false);
    let mut csv = None;
    while let Some(arg) = args.next() {
        let mut value = || args.next().expect("a value");
        match arg.as_str() {
            "--max-shift" => max_shift = value().parse().expect("pixels"),
            "--threads" => threads = value().parse().expect("a number"),
            "--truth" => truth_path = value().into(),
            "--pairs" => pairs = true,
            "--csv" => csv = Some(PathBuf::from(value())),
            other => panic!("unknown {other}"),
        }
    }
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().expect("a pool");

    let text = std::fs::read_to_string(dir.join("TileConfiguration.txt")).expect("a layout");
    let fields: Vec<Field> = text
        .lines()
        .filter_map(|line| {
            let (name, rest) = line.split_once(';')?;
            let (x, y) = rest.split_once('(')?.1.trim_end().trim_end_matches(')').split_once(',')?;
            let nominal = Point::new(x.trim().parse().ok()?, y.trim().parse().ok()?);
            dir.join(name).exists().then(|| Field::open(&dir, name, nominal))
        })
        .collect();
    let truth: Option<Vec<Point>> = csv_truth(&truth_path).map(|rows| {
        fields
            .iter()
            .map(|f| rows.iter().find(|r| r.0 == f.row_col).map_or(Point::new(f64::NAN, 0.0), |r| r.1))
            .collect()
    });

    let (cpu0, wall0) = (cpu_secs(), Instant::now());
    let edges: Vec<(usize, usize)> = (0..fields.len())
        .flat_map(|i| (i + 1..fields.len()).map(move |j| (i, j)))
        .filter(|&(i, j)| {
            let d = fields[j].nominal - fields[i].nominal;
            let (w, h) = (f64::from(fields[i].size.width), f64::from(fields[i].size.height));
            let (ox, oy) = (w - d.x.abs(), h - d.y.abs());
            ox > 0.0 && oy > 0.0 && (ox > w / 2.0 || oy > h / 2.0)
        })
        .collect();
    let mut limits = Limits { max_shift: Point::new(max_shift, max_shift), min_score: pair::MIN_SCORE };
    let far = |i: usize, j: usize| {
        let d = fields[j].nominal - fields[i].nominal;
        let reach = |size: u32| f64::from(size) + 2.0 * max_shift;
        d.x.abs() > reach(fields[i].size.width) || d.y.abs() > reach(fields[i].size.height)
    };
    let scores: Vec<f64> = chance_pairs(&edges, fields.len(), far)
        .par_iter()
        .map_init(PairScratch::default, |scratch, &(edge, other)| {
            let (a, b, c) = (&fields[edges[edge].0], &fields[edges[edge].1], &fields[other]);
            let nominal = b.nominal - a.nominal;
            let (ra, rb) = strips_of_overlap(a.size, c.size, nominal, limits.max_shift)?;
            let (sa, sc) = (a.read(ra), c.read(rb));
            let strips = (Strip::new(ra, &sa).expect("it fits"), Strip::new(rb, &sc).expect("it fits"));
            pair::chance_score(scratch, &strips.0, &strips.1, nominal, &limits)
        })
        .flatten()
        .collect();
    let null = Null::from_scores(&scores);
    limits.min_score = null.threshold;
    let cpu_null = cpu_secs() - cpu0;
    let outcomes: Vec<PairOutcome> = edges
        .par_iter()
        .map_init(PairScratch::default, |scratch, &(i, j)| {
            let (a, b) = (&fields[i], &fields[j]);
            let nominal = b.nominal - a.nominal;
            let Some((ra, rb)) = strips_of_overlap(a.size, b.size, nominal, limits.max_shift) else {
                return PairOutcome::NoInformation;
            };
            let (sa, sb) = (a.read(ra), b.read(rb));
            let strips = (Strip::new(ra, &sa).expect("it fits"), Strip::new(rb, &sb).expect("it fits"));
            pair::measure(scratch, &strips.0, &strips.1, nominal, &limits)
        })
        .collect();
    let solve_started = Instant::now();
    let places: Vec<FieldPlace> =
        fields.iter().map(|f| FieldPlace { nominal: f.nominal, row_col: Some(f.row_col) }).collect();
    let links: Vec<Edge> =
        edges.iter().zip(&outcomes).map(|(&(a, b), &outcome)| Edge { a, b, outcome, hand: Hand::Off }).collect();
    let solution = solve(&places, &links, limits.max_shift, Start::Cold);
    let solve_secs = solve_started.elapsed().as_secs_f64();
    let (cpu_pairs, wall_pairs) = (cpu_secs() - cpu0, wall0.elapsed().as_secs_f64());

    let mut errors = Vec::new();
    let mut sigmas = Vec::new();
    let (mut none, mut rejected) = (0, 0);
    for (&(i, j), outcome) in edges.iter().zip(&outcomes) {
        let true_shift = truth.as_ref().map(|t| t[j] - t[i]);
        match outcome {
            PairOutcome::Measured(m) => {
                if let Some(t) = true_shift {
                    let e = m.shift - t;
                    errors.push(e.x.hypot(e.y));
                    sigmas.push(e.x / m.covariance[0].sqrt());
                    sigmas.push(e.y / m.covariance[2].sqrt());
                }
            }
            PairOutcome::NoInformation => none += 1,
            PairOutcome::Rejected { .. } => rejected += 1,
        }
        if pairs {
            let d = fields[j].nominal - fields[i].nominal;
            let t = true_shift.unwrap_or(d);
            match outcome {
                PairOutcome::Measured(m) => println!(
                    "{} {} nom {:.1},{:.1} off {:.2},{:.2} err {:.3},{:.3} sd {:.3},{:.3} ncc {:.3} score {:.1} ratio {:.2}",
                    fields[i].name,
                    fields[j].name,
                    d.x,
                    d.y,
                    m.shift.x - d.x,
                    m.shift.y - d.y,
                    m.shift.x - t.x,
                    m.shift.y - t.y,
                    m.covariance[0].sqrt(),
                    m.covariance[2].sqrt(),
                    m.ncc,
                    m.score,
                    m.peak_ratio
                ),
                other => println!(
                    "{} {} true off {:.1},{:.1} {other:?}",
                    fields[i].name,
                    fields[j].name,
                    t.x - d.x,
                    t.y - d.y
                ),
            }
        }
    }
    let count = |s: EdgeStatus| solution.edges.iter().filter(|e| e.status == s).count();
    let by_stage = solution.placed_by.iter().filter(|&&p| p == PlacedBy::Stage).count();
    let names: Vec<String> = fields.iter().map(|f| f.name.clone()).collect();
    let report = Report::new(&names, &places, &links, &solution, limits.min_score, limits.max_shift);
    println!(
        "accepted {} dropped {} by stage {by_stage} | residual p50 {:.4} p95 {:.4} | chance {} max {:.2} threshold {:.2} | stage scatter {:.1},{:.1} backlash {:.1} | solve {:.1} ms",
        report.accepted,
        count(EdgeStatus::Dropped),
        report.residual_p50_px.unwrap_or(f64::NAN),
        report.residual_p95_px.unwrap_or(f64::NAN),
        null.pairs,
        scores.iter().copied().fold(0.0, f64::max),
        null.threshold,
        solution.stage.scatter.x,
        solution.stage.scatter.y,
        solution.stage.backlash()[0].x,
        solve_secs * 1e3
    );
    if let Some(t) = &truth {
        let p = &solution.positions;
        let (mut held, mut loose) = (Vec::new(), Vec::new());
        for &(i, j) in &edges {
            let error = (p[j] - p[i]).distance(t[j] - t[i]);
            let both = [i, j].iter().all(|&k| solution.placed_by[k] == PlacedBy::Edges);
            if both { held.push(error) } else { loose.push(error) }
        }
        println!(
            "solved: {} pairs rms {:.4} p99 {:.4} max {:.3} | {} pairs of fields placed by the stage: max {:.1}",
            held.len(),
            rms(&held),
            percentile(&mut held, 0.99),
            percentile(&mut held, 1.0),
            loose.len(),
            percentile(&mut loose, 1.0)
        );
    }
    if let Some(path) = csv {
        let mut text = String::from("file,row,col,x,y\n");
        for (f, p) in fields.iter().zip(&solution.positions) {
            text += &format!("{},{},{},{:.4},{:.4}\n", f.name, f.row_col.0, f.row_col.1, p.x, p.y);
        }
        std::fs::write(path, text).expect("the CSV is written");
    }
    println!(
        "pairs {} none {none} rejected {rejected} | rms {:.4} p50 {:.4} p95 {:.4} p99 {:.4} max {:.3} | err/sd rms {:.2} | {cpu_pairs:.2} CPU-s (chance {cpu_null:.2}) {wall_pairs:.2} s, peak RSS {} MB",
        edges.len(),
        rms(&errors),
        percentile(&mut errors, 0.5),
        percentile(&mut errors, 0.95),
        percentile(&mut errors, 0.99),
        percentile(&mut errors, 1.0),
        rms(&sigmas),
        peak_rss_mb()
    );
}

fn peak_rss_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmHWM")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|v| v.parse::<u64>().ok()).unwrap_or(0) / 1024
}
