//! The command line: the same engine without a window.
//!
//! Exit codes: 0 done, 1 failed (one line on standard error says why and what to do), 2 usage, 130 cancelled.
//! Standard output carries results only; progress goes to standard error.

mod bench;
mod cache;
mod entries;
mod export;
mod faults;
mod info;
mod interrupt;
mod layout_arg;
mod mosaic;
mod progress;
mod shown;
mod snapshot;
mod stitch;
mod window_picture;

pub use faults::contain;

use crate::engine::{Decided, EngineConfig, HEAP, OpenSet, Opening, home_folders, is_one_of, settings_in};
use crate::error::{Error, Result};
use crate::export::TileCompression;
use crate::image_set::{self, Entry};
use crate::pyramid::SetId;
use crate::store::{self, Destination, Existing, WholeFile, system, system::MemoryWatch};
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

/// Disk that all caches together may take unless the user says otherwise: 64 GiB holds a dozen large slides.
const DEFAULT_CACHE_LIMIT_BYTES: u64 = 64 << 30;

/// The exit code of work that was cancelled.
const CANCELLED: u8 = 130;

/// The quality of JPEG where none is asked for: no eye sees what it leaves out.
const DEFAULT_QUALITY: u8 = 85;

/// A viewer for tissue images that are larger than memory.
#[derive(Debug, Parser)]
#[command(name = "microtome", bin_name = "microtome", version, subcommand_precedence_over_arg = true)]
pub struct Cli {
    /// Slides or folders to open in the window.
    pub paths: Vec<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    global: Global,
}

/// Options of every command.
#[derive(Debug, Args)]
struct Global {
    /// Keep decoded images in this folder.
    #[arg(long, global = true, value_name = "DIR")]
    cache_dir: Option<PathBuf>,
    /// The most disk that all decoded images together may take, as in 20G.
    #[arg(long, global = true, value_name = "SIZE", value_parser = parse_bytes)]
    cache_limit: Option<u64>,
    /// Worker threads, one a core by default.
    #[arg(long, global = true, value_name = "N", default_value_t = 0)]
    threads: usize,
    /// Keep nothing on disk after the run.
    #[arg(long, global = true)]
    no_cache: bool,
    /// Write what the run needed of memory, disk and time to this file.
    #[arg(long, global = true, value_name = "FILE.json")]
    memory_report: Option<PathBuf>,
    /// How progress is shown on standard error.
    #[arg(long, global = true, value_enum, default_value_t = progress::Style::Bar)]
    progress: progress::Style,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Paint the demo images, if they are not there, and open them.
    Demo {
        /// Where the demo images are kept.
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
        /// Only write them, open no window, and print their paths.
        #[arg(long)]
        no_window: bool,
    },
    /// Say what is in a file or a folder without decoding its pixels.
    Info {
        /// The slide, or a folder: every image in it is listed.
        path: PathBuf,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Paint the canvas, or the whole window, as a screen would show it, all parts sharp.
    Snapshot(snapshot::SnapshotArgs),
    /// Write a region at a scale to PNG or TIFF, as shown or as stored.
    Export(export::ExportArgs),
    /// Find where overlapping fields stand, and put them together.
    #[command(verbatim_doc_comment)]
    Stitch(Box<stitch::StitchArgs>),
    /// List, clear or verify the decoded images kept on disk.
    Cache {
        #[command(subcommand)]
        action: cache::Action,
    },
    /// Measure this program on this machine.
    Bench {
        #[command(subcommand)]
        what: bench::What,
    },
}

/// What `main` does after the command line was read.
pub enum Outcome {
    /// The command ran; end with this code.
    Exit(ExitCode),
    /// Open the window on these paths.
    Window(EngineConfig, Vec<PathBuf>),
    /// Open the window on the demo.
    Demo(EngineConfig),
}

/// What a command needs to know of the run.
struct Context {
    config: EngineConfig,
    progress: progress::Style,
}

/// Reads the command line and runs a headless command, or says that the window is wanted.
pub fn run() -> Outcome {
    let cli = Cli::parse();
    log_to_standard_error();
    let started = Instant::now();
    let watch = match cli.global.memory_report.as_ref().map(|_| MemoryWatch::start()).transpose() {
        Ok(watch) => watch,
        Err(error) => return Outcome::Exit(report(&error)),
    };
    let config = match config(&cli.global) {
        Ok(config) => config,
        Err(error) => return Outcome::Exit(report(&error)),
    };
    let context = Context { config, progress: cli.global.progress };
    let result = match cli.command {
        None => return Outcome::Window(context.config, cli.paths),
        // Painted in the window, where each part shows as soon as it is there.
        Some(Command::Demo { dir: None, no_window: false }) => return Outcome::Demo(context.config),
        Some(Command::Demo { dir, no_window }) => match demo(&context, dir) {
            Ok(paths) if no_window => {
                paths.iter().for_each(|path| println!("{}", path.display()));
                Ok(())
            }
            Ok(paths) => return Outcome::Window(context.config, paths),
            Err(error) => Err(error),
        },
        Some(Command::Info { path, json }) => info::run(&context, &path, json),
        Some(Command::Snapshot(args)) => snapshot::run(&context, &args),
        Some(Command::Export(args)) => export::run(&context, &args),
        Some(Command::Stitch(args)) => stitch::run(&context, &args),
        Some(Command::Cache { action }) => cache::run(&context, &action),
        Some(Command::Bench { what }) => bench::run(&context, &what),
    };
    let result = result.and_then(|()| match (&cli.global.memory_report, &watch) {
        (Some(file), Some(watch)) => write_memory_report(file, &context, watch, started),
        _ => Ok(()),
    });
    Outcome::Exit(match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => report(&error),
    })
}

/// What the program notes for its developers goes to standard error, where `MICROTOME_LOG` asks for it (as in
/// `MICROTOME_LOG=debug`); otherwise nowhere, since what a user must know is shown to them.
fn log_to_standard_error() {
    if let Ok(filter) = tracing_subscriber::EnvFilter::try_from_env("MICROTOME_LOG") {
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    }
}

/// Refuses to write over a file that is there unless `force` says so, and over the image itself whatever is said.
fn check_output(input: &Path, output: &Path, force: bool) -> Result<()> {
    let same = match (input.canonicalize(), output.canonicalize()) {
        (Ok(input), Ok(output)) => input == output,
        _ => false,
    };
    if same {
        return Err(Error::unsupported("this is the image itself, choose another name", output));
    }
    if output.exists() && !force {
        return Err(Error::unsupported("this file is already there, choose another name or add --force", output));
    }
    let folder = output.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
        return Err(Error::unsupported("there is no such folder to write to", folder));
    }
    // Before the work, not after it.
    WholeFile::create(Destination { path: output, existing: Existing::Replace }).map(drop)
}

/// Refuses to write over one of the files that are read, whatever `force` says.
fn check_not_source<'a>(output: &Path, files: impl IntoIterator<Item = &'a Path>) -> Result<()> {
    if is_one_of(output, files) {
        return Err(Error::unsupported("this is one of the images themselves, choose another name", output));
    }
    Ok(())
}

/// Opens one path for a headless command, which must stand for one image set. A mosaic is as its user left it in the window, but
/// not aligned yet: see [`mosaic::align`].
fn open(context: &Context, path: &Path) -> Result<OpenSet> {
    let (quota, persist) = (context.config.quota()?, context.config.persist());
    let entry = match image_set::resolve(path) {
        // A path where nothing is stands for itself: its store may be there.
        Err(error) if error.is_not_found() => Entry::File(path.to_owned()),
        resolved => entries::only(resolved?.entries, path)?,
    };
    match entry {
        Entry::File(path) => OpenSet::open(SetId(1), &path, &quota, persist),
        Entry::Fields(fields) => {
            let Decided { fields, fingerprint, edits } = entries::decided(context, &fields);
            let how = Opening { id: SetId(1), quota: &quota, persist };
            OpenSet::open_fields(&how, &fields, fingerprint, edits, false)
        }
    }
}

/// The number in its set of the image that is asked for, counted from 0: a mosaic is one image.
fn image_number(set: &OpenSet, asked: u32, path: &Path) -> Result<u32> {
    let number = set.opened.listed().get(asked as usize).copied();
    number.ok_or_else(|| Error::unsupported(format!("there is no image {asked} in this file"), path))
}

fn demo(context: &Context, dir: Option<PathBuf>) -> Result<Vec<PathBuf>> {
    let dir = dir.unwrap_or_else(|| crate::demo::demo_folder(&context.config.data_dir));
    let cancel = interrupt::cancel_on_signal()?;
    let bar = progress::Progress::new(context.progress, "Painting the demo image");
    let mut progress = |done, total| bar.set(done, total);
    let paths = crate::demo::write_demo(&dir, &mut progress, &mut |_| {}, &cancel);
    bar.finish();
    // A window may be next, and looks at no flag: Ctrl-C ends it at once, as a second one would have ended this.
    cancel.cancel();
    paths
}

fn report(error: &Error) -> ExitCode {
    if error.is_cancelled() {
        return ExitCode::from(CANCELLED);
    }
    // One line, whatever a file's own texts brought into it.
    let line: String = error.to_string().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    eprintln!("microtome: {line}");
    ExitCode::FAILURE
}

fn config(global: &Global) -> Result<EngineConfig> {
    let home = home_folders();
    let none = || {
        Error::unsupported(
            "there is no home folder to keep decoded images in, name one with --cache-dir",
            Path::new(""),
        )
    };
    // With a cache folder of its own a run leaves the user's settings alone.
    let own = global.cache_dir.as_ref().map(|dir| (dir.clone(), settings_in(dir)));
    let (cache_dir, data_dir) = own.or(home).ok_or_else(none)?;
    Ok(EngineConfig {
        cache_dir,
        data_dir,
        cache_limit_bytes: global.cache_limit.unwrap_or(DEFAULT_CACHE_LIMIT_BYTES),
        threads: global.threads,
        no_cache: global.no_cache,
    })
}

/// Reads a size such as `512M`, `20G` or a plain number of bytes.
fn parse_bytes(text: &str) -> std::result::Result<u64, String> {
    let text = text.trim();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match text[digits.len()..].to_ascii_uppercase().as_str() {
        "" | "B" => 0,
        "K" | "KB" | "KIB" => 10,
        "M" | "MB" | "MIB" => 20,
        "G" | "GB" | "GIB" => 30,
        "T" | "TB" | "TIB" => 40,
        unit => return Err(format!("{unit} is no unit of size, use K, M, G or T")),
    };
    let number: u64 = digits.parse().map_err(|_| format!("{text} is no size, write it as in 20G"))?;
    number.checked_mul(1 << shift).ok_or_else(|| format!("{text} is more than any disk holds"))
}

/// Reads `A,B` or `AxB` and so on: exactly `N` numbers.
fn parse_numbers<const N: usize>(text: &str, separator: char) -> std::result::Result<[f64; N], String> {
    let numbers: Vec<f64> = text
        .split(separator)
        .map(|part| part.trim().parse().ok().filter(|n: &f64| n.is_finite()))
        .collect::<Option<_>>()
        .ok_or_else(|| format!("{text} is not {N} numbers with '{separator}' between them"))?;
    numbers.try_into().map_err(|_| format!("{text} is not {N} numbers with '{separator}' between them"))
}

/// Reads how many pixels a point takes, within what screens have.
fn parse_pixels_per_point(text: &str) -> std::result::Result<f32, String> {
    let inside = |f: &f32| (0.25..=8.0).contains(f);
    text.parse().ok().filter(inside).ok_or_else(|| format!("{text} is not a number from 0.25 to 8"))
}

fn write_memory_report(file: &Path, context: &Context, watch: &MemoryWatch, started: Instant) -> Result<()> {
    let peaks = watch.peaks();
    let cache_disk_bytes: u64 = store::catalogue::list(&context.config.cache_dir)?.iter().map(|e| e.bytes).sum();
    let report = serde_json::json!({
        "heap_peak_bytes": HEAP.peak_usage(),
        "rss_anon_peak_bytes": peaks.anon_bytes,
        "rss_file_peak_bytes": peaks.file_bytes,
        "mapped_bytes": system::mapped_bytes_peak(),
        "cache_disk_bytes": cache_disk_bytes,
        "elapsed_secs": started.elapsed().as_secs_f64(),
    });
    std::fs::write(file, format!("{report:#}\n"))
        .map_err(|error| Error::io("cannot write the memory report", error, file))
}

/// A choice that several commands offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum CompressionArg {
    /// As they are.
    None,
    /// Read by everything.
    Lzw,
    /// Small, read by everything.
    Deflate,
    /// Small and fast, read by recent programs.
    Zstd,
    /// Smallest, not exact; for 8-bit and colour images.
    Jpeg,
}

impl CompressionArg {
    /// What the writer is told; the quality counts for JPEG alone.
    fn with_quality(self, quality: u8) -> TileCompression {
        match self {
            Self::None => TileCompression::None,
            Self::Lzw => TileCompression::Lzw,
            Self::Deflate => TileCompression::Deflate,
            Self::Zstd => TileCompression::Zstd,
            Self::Jpeg => TileCompression::Jpeg { quality },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }

    #[test]
    fn sizes_are_read_with_their_units() {
        assert_eq!(parse_bytes("20G"), Ok(20 << 30));
        assert_eq!(parse_bytes("512MiB"), Ok(512 << 20));
        assert_eq!(parse_bytes("7"), Ok(7));
        assert!(parse_bytes("20X").is_err() && parse_bytes("G").is_err() && parse_bytes("99999999999T").is_err());
    }

    #[test]
    fn lists_of_numbers_are_read_whole_or_not_at_all() {
        assert_eq!(parse_numbers::<4>("1,2,3.5,4", ','), Ok([1.0, 2.0, 3.5, 4.0]));
        assert_eq!(parse_numbers::<2>("1600x1000", 'x'), Ok([1600.0, 1000.0]));
        assert!(parse_numbers::<2>("1,2,3", ',').is_err() && parse_numbers::<2>("1,nan", ',').is_err());
    }
}
