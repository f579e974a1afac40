//! Exports that are cut short: nothing under the final name, nothing left beside it, and words that say why.
#![cfg(unix)]

use microtome::engine::{EngineConfig, OpenSet, work_pool};
use microtome::error::{Error, Result};
use microtome::export::{
    BandChannel, BandImage, BandPlane, BandSource, Covered, ImagePart, OmeTiffOptions, Original, PixelLayout,
    PngWriter, SlideBands, TiffPage, TileCompression, Written, write_jpeg, write_ome_tiff, write_raw_bands,
    write_rgb_tiff,
};
use microtome::geom::{PixelRect, Point, Size};
use microtome::image_set::positions::{self, NamedPlace, PositionsFormat};
use microtome::pixels::TileFormat;
use microtome::pyramid::{Cancel, SetId};
use microtome::store::{Destination, Persist};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a program may take to come to the awaited place.
const PATIENCE: Duration = Duration::from_secs(120);

/// An image of noise, but for places that are quiet: asked by column and row of the tile where a band begins.
struct Noise {
    image: BandImage,
    quiet: fn(u32, u32) -> bool,
}

fn noise(side: u32, quiet: fn(u32, u32) -> bool) -> Noise {
    let channels = vec![BandChannel { name: "noise".into(), color: None }];
    let layout = PixelLayout::of(TileFormat::Gray16);
    let size = Size::new(side, side);
    Noise {
        image: BandImage {
            size,
            layout,
            channels,
            z_count: 1,
            t_count: 1,
            um_per_px: None,
            objective: None,
            tile_side: 256,
        },
        quiet,
    }
}

impl BandSource for Noise {
    fn image(&self) -> &BandImage {
        &self.image
    }

    fn read_band(
        &self,
        _plane: BandPlane,
        band: PixelRect,
        pixels: &mut [u8],
        _mask: &mut [u8],
        _cancel: &Cancel,
    ) -> Result<Covered> {
        let mut state = (band.x << 16 ^ band.y) | 1;
        let quiet = (self.quiet)(band.x / 256, band.y / 256);
        for sample in pixels.chunks_exact_mut(2) {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            let value = if quiet { 7 } else { (state >> 8) as u16 };
            sample.copy_from_slice(&value.to_ne_bytes());
        }
        Ok(Covered::Whole)
    }
}

fn options() -> OmeTiffOptions {
    OmeTiffOptions { compression: TileCompression::Zstd, verify: true, original: Original::default() }
}

fn write(source: &dyn BandSource, path: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<Written> {
    let pool = work_pool(2).expect("a pool");
    write_ome_tiff(source, &options(), path, &pool, progress, &Cancel::default())
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
}

/// A small disk in memory, gone when this is dropped.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// Mounts one with `options`; nothing, loudly, where that is not allowed.
    fn mount(options: &str) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(folder.path()).output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self(folder));
        }
        println!("SKIPPED: a disk of its own needs the right to mount one");
        None
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("-l").arg(self.0.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()), "{} stays mounted", self.0.path().display());
    }
}

#[test]
fn a_disk_that_has_no_room_is_seen_before_a_pixel_is_written() {
    let Some(disk) = SmallDisk::mount("size=4m") else { return };
    let path = disk.0.path().join("a.ome.tif");
    let mut tiles = 0;
    let error = write(&noise(4096, |_, _| false), &path, &mut |_, _| tiles += 1).expect_err("32 MiB do not fit 4");
    assert!(matches!(error, Error::StorageFull { needed_bytes: 1.., .. }), "{error}");
    assert!(error.to_string().contains("no space left on the disk"), "{error}");
    assert_eq!((tiles, names_in(disk.0.path())), (0, vec![]));
}

#[test]
fn a_disk_that_fills_up_on_the_way_is_said_in_words_and_left_empty() {
    let Some(disk) = SmallDisk::mount("size=4m") else { return };
    let path = disk.0.path().join("a.ome.tif");
    // Of sixteen tiles a side an estimate looks at these, which hold nothing.
    let quiet = |x, y| [1, 4, 6, 9, 12, 14].contains(&x) && [1, 4, 6, 9, 12, 14].contains(&y);
    let mut tiles = 0;
    let error = write(&noise(4096, quiet), &path, &mut |_, _| tiles += 1).expect_err("it does not fit");
    assert!(tiles > 0, "the estimate was too small");
    assert!(error.to_string().contains("no space left on the disk"), "{error}");
    assert_eq!(names_in(disk.0.path()), Vec::<String>::new());
}

/// Rows that no packing makes smaller: 1024 of 1024 pixels in RGB, 3 MiB.
const PICTURE: Size = Size::new(1024, 1024);

fn picture_rows() -> Vec<u8> {
    let mut state = 7_u32;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 11) as u8
    };
    (0..PICTURE.area() * 3).map(|_| next()).collect()
}

/// Writes each kind of file that is not checked for room before; the name says which.
fn write_kind<'a>(kind: &str, to: impl Into<Destination<'a>>) -> Result<()> {
    let to = to.into();
    let rows = picture_rows();
    match kind {
        "raw" => {
            let source = noise(1024, |_, _| false);
            write_raw_bands(&source, TileCompression::None, to, &mut |_, _| {}, &Cancel::default())
        }
        "png" => {
            let mut writer = PngWriter::create(to, PICTURE, None)?;
            writer.write_rows(&rows)?;
            writer.finish()
        }
        "jpeg" => write_jpeg(to, PICTURE, 95, None, &mut |sink| sink(&rows)),
        "tiff" => {
            let page = TiffPage {
                size: PICTURE,
                tile_side: 256,
                layout: PixelLayout::of(TileFormat::Rgb8),
                compression: TileCompression::Deflate,
                um_per_px: None,
                description: None,
            };
            write_rgb_tiff(to, &page, &mut vec![0; 256 * 1024 * 3], &mut |sink| sink(&rows))
        }
        _ => {
            let place = |n: u32| NamedPlace {
                file: format!("field {n}.tif"),
                series: None,
                row_col: None,
                well: None,
                place: Point::new(f64::from(n), 0.0),
            };
            positions::write(to.path, PositionsFormat::Csv, &(0..40_000).map(place).collect::<Vec<_>>())
        }
    }
}

#[test]
fn every_kind_of_file_is_whole_or_not_there_when_the_disk_fills_up() {
    for kind in ["raw", "png", "jpeg", "tiff", "positions"] {
        let Some(disk) = SmallDisk::mount("size=512k") else { return };
        let path = disk.0.path().join("a");
        let error = write_kind(kind, &path).expect_err("it does not fit");
        assert!(error.to_string().contains("no space left on the disk"), "{kind}: {error}");
        assert_eq!(names_in(disk.0.path()), Vec::<String>::new(), "{kind}");
        // And where there is room, over what was there.
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a");
        std::fs::write(&path, "before").expect("written");
        write_kind(kind, Destination::replacing(&path)).expect("written");
        assert_eq!(names_in(folder.path()), ["a"], "{kind}");
        assert!(std::fs::metadata(&path).expect("there").len() > 1 << 19, "{kind}");
    }
}

/// What a disk in memory keeps files in.
const PAGE_BYTES: u64 = 4096;

#[test]
fn a_disk_on_which_only_the_end_does_not_fit_keeps_what_was_there() {
    for kind in ["raw", "png", "jpeg", "tiff"] {
        let folder = tempfile::tempdir().expect("a folder");
        write_kind(kind, &folder.path().join("a")).expect("written");
        let pages = std::fs::metadata(folder.path().join("a")).expect("there").len().div_ceil(PAGE_BYTES);
        // The last of them may lie in what a writer gathers before it writes.
        for missing in [0, 1, 2, 3, 5, 9, 17] {
            // One more page for the file that is there.
            let bytes = (pages + 1 - missing) * PAGE_BYTES;
            let Some(disk) = SmallDisk::mount(&format!("size={bytes}")) else { return };
            let path = disk.0.path().join("a");
            std::fs::write(&path, "before").expect("written");
            let outcome = write_kind(kind, Destination::replacing(&path));
            assert_eq!(names_in(disk.0.path()), ["a"], "{kind}, {missing} pages missing");
            let is_before = std::fs::read(&path).expect("there") == b"before";
            match outcome {
                Ok(()) => assert!(missing == 0 && !is_before, "{kind}, {missing} pages missing"),
                Err(error) => {
                    assert!(missing > 0 && is_before, "{kind}, {missing} pages missing: {error}");
                    assert!(error.to_string().contains("no space left on the disk"), "{kind}: {error}");
                }
            }
        }
    }
}

#[test]
fn a_file_that_appears_while_another_is_written_for_its_name_stays_and_neither_is_lost() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.ome.tif");
    let source = noise(1024, |_, _| false);
    let appears = |done: u64, _| {
        if done == 4 {
            std::fs::write(&path, "another's").expect("written");
        }
    };
    let error = write(&source, &path, &mut { appears }).expect_err("the name is taken").to_string();
    assert!(error.contains("appeared meanwhile") && error.contains("named a (2).ome.tif: "), "{error}");
    assert_eq!(std::fs::read(&path).expect("there"), b"another's");
    let kept = folder.path().join("a (2).ome.tif");
    assert!(std::fs::metadata(&kept).expect("there").len() > 1 << 20);
    // Where it was agreed that a file is replaced, it is.
    std::fs::remove_file(&kept).expect("removed");
    let pool = work_pool(2).expect("a pool");
    let to = Destination::replacing(&path);
    write_ome_tiff(&source, &options(), to, &pool, &mut { appears }, &Cancel::default()).expect("written");
    assert!(std::fs::metadata(&path).expect("there").len() > 1 << 20);
    assert_eq!(names_in(folder.path()), ["a.ome.tif"]);
}

#[test]
fn a_folder_that_cannot_be_written_to_is_said_in_words() {
    let Some(disk) = SmallDisk::mount("size=4m,ro") else { return };
    let path = disk.0.path().join("a.ome.tif");
    let said = |error: Error| {
        assert!(error.to_string().starts_with("cannot write to this folder, choose another: "), "{error}");
        assert!(error.to_string().ends_with(&disk.0.path().display().to_string()), "{error}");
    };
    // It would not have room either, which is not what must be mended.
    said(write(&noise(4096, |_, _| false), &path, &mut |_, _| {}).expect_err("it cannot be written"));
    for kind in ["raw", "png", "jpeg", "tiff", "positions"] {
        said(write_kind(kind, &path).expect_err("it cannot be written"));
    }
}

/// Writes an image that takes long to pack.
fn write_input(path: &Path) {
    let pool = work_pool(2).expect("a pool");
    let options = OmeTiffOptions { compression: TileCompression::None, verify: false, original: Original::default() };
    write_ome_tiff(&noise(6144, |_, _| false), &options, path, &pool, &mut |_, _| {}, &Cancel::default())
        .expect("written");
}

#[test]
fn a_source_that_vanishes_or_is_cut_ends_the_export_in_words() {
    for cut in [false, true] {
        let folder = tempfile::tempdir().expect("a folder");
        let (input, target) = (folder.path().join("input.tif"), folder.path().join("out"));
        write_input(&input);
        std::fs::create_dir(&target).expect("a folder");
        let config = EngineConfig {
            cache_dir: folder.path().join("cache"),
            data_dir: folder.path().join("data"),
            cache_limit_bytes: 1 << 30,
            threads: 2,
            no_cache: true,
        };
        let quota = config.quota().expect("a cache");
        let set = OpenSet::open(SetId(1), &input, &quota, Persist::Discard).expect("it opens");
        let whole = ImagePart::whole(0, set.pyramid.image(0).expect("an image"));
        let path = target.join("a.ome.tif");
        let bands = SlideBands::new(&set.pyramid, whole, None, &path).expect("bands");
        let error = write(&bands, &path, &mut |done, _| {
            if done == 20 && cut {
                let file = std::fs::OpenOptions::new().write(true).open(&input).expect("writable");
                file.set_len(1 << 20).expect("cut");
            } else if done == 20 {
                std::fs::remove_file(&input).expect("removed");
            }
        })
        .expect_err("the source is gone");
        println!("cut {cut}: {error}");
        assert!(!error.to_string().contains('\n') && !error.is_cancelled(), "{error}");
        assert_eq!(names_in(&target), Vec::<String>::new());
    }
}

/// From so many bytes on tiles are being written.
const BEGUN_BYTES: u64 = 1 << 20;

/// The program in the middle of an export, with the folder it writes to.
struct Running {
    child: Child,
    folder: tempfile::TempDir,
}

impl Running {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let input = folder.path().join("input.tif");
        write_input(&input);
        std::fs::create_dir(folder.path().join("out")).expect("a folder");
        let child = Self::export(folder.path()).stderr(Stdio::piped()).spawn().expect("the program starts");
        let running = Self { child, folder };
        let started = Instant::now();
        while running.written_bytes() < BEGUN_BYTES {
            assert!(started.elapsed() < PATIENCE, "it begins to write");
            std::thread::park_timeout(Duration::from_millis(2));
        }
        running
    }

    /// The size of the file that it writes so far, under a hidden name or, on Linux, without one.
    fn written_bytes(&self) -> u64 {
        let out = self.out();
        let hidden = names_in(&out).into_iter().map(|name| out.join(name));
        let open = std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).into_iter().flatten().flatten();
        let nameless = open.map(|entry| entry.path()).filter(|link| {
            let target = std::fs::read_link(link).unwrap_or_default();
            target.starts_with(&out)
        });
        // Files come and go while they are looked at.
        hidden.chain(nameless).filter_map(|path| Some(std::fs::metadata(path).ok()?.len())).max().unwrap_or(0)
    }

    fn export(folder: &Path) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_microtome"));
        command.arg("--cache-dir").arg(folder.join("cache")).arg("export").arg(folder.join("input.tif")).arg("-o");
        command.arg(folder.join("out/a.ome.tif")).args(["--compression", "lzw"]);
        command
    }

    fn out(&self) -> PathBuf {
        self.folder.path().join("out")
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(name).arg(self.child.id().to_string()).status();
        assert!(sent.is_ok_and(|status| status.success()), "{name} is sent");
    }
}

#[test]
fn ctrl_c_and_a_request_to_end_leave_nothing_behind() {
    for signal in ["-INT", "-TERM"] {
        let running = Running::start();
        running.signal(signal);
        let out = running.out();
        let Running { child, folder } = running;
        let ended = child.wait_with_output().expect("it ends");
        assert_eq!(ended.status.code(), Some(130), "{signal}: {}", String::from_utf8_lossy(&ended.stderr));
        assert_eq!(names_in(&out), Vec::<String>::new(), "{signal}");
        drop(folder);
    }
}

#[test]
fn ctrl_c_while_the_demo_is_painted_leaves_no_hidden_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path().join("demo");
    let mut command = Command::new(env!("CARGO_BIN_EXE_microtome"));
    command.arg("--cache-dir").arg(folder.path().join("cache")).args(["demo", "--no-window", "--dir"]).arg(&dir);
    let child = command.stderr(Stdio::piped()).spawn().expect("the program starts");
    let begun = || {
        let hidden = std::fs::read_dir(&dir).into_iter().flatten().flatten().map(|entry| entry.path());
        hidden.flat_map(std::fs::read_dir).flatten().count() > 0
    };
    let started = Instant::now();
    while !begun() {
        assert!(started.elapsed() < PATIENCE, "it begins to paint");
        std::thread::park_timeout(Duration::from_millis(2));
    }
    let running = Running { child, folder };
    running.signal("-INT");
    let Running { child, folder } = running;
    let ended = child.wait_with_output().expect("it ends");
    assert_eq!(ended.status.code(), Some(130), "{}", String::from_utf8_lossy(&ended.stderr));
    assert_eq!(names_in(&dir), Vec::<String>::new());
    drop(folder);
}

/// Whether the file system has files without a name.
#[cfg(target_os = "linux")]
fn has_nameless_files(folder: &Path) -> bool {
    use std::os::unix::fs::OpenOptionsExt as _;
    std::fs::OpenOptions::new().write(true).custom_flags(libc::O_TMPFILE).open(folder).is_ok()
}

#[cfg(not(target_os = "linux"))]
fn has_nameless_files(_folder: &Path) -> bool {
    false
}

#[test]
fn an_export_that_is_killed_leaves_nothing_behind_and_the_next_one_is_whole() {
    let mut running = Running::start();
    running.signal("-KILL");
    let status = running.child.wait().expect("it ends");
    assert!(!status.success());
    let left = names_in(&running.out());
    if has_nameless_files(&running.out()) {
        assert_eq!(left, Vec::<String>::new());
    } else {
        // Under a hidden name, which one that is written a day later sweeps away.
        assert!(left.len() == 1 && left[0].ends_with(".part"), "{left:?}");
        let file = std::fs::OpenOptions::new().write(true).open(running.out().join(&left[0])).expect("a file");
        file.set_modified(std::time::SystemTime::now() - Duration::from_hours(25)).expect("its time");
    }
    let status = Running::export(running.folder.path()).args(["--region", "0,0,600,600"]).status().expect("it runs");
    assert!(status.success());
    assert_eq!(names_in(&running.out()), ["a.ome.tif"]);
}
