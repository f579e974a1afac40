//! Disks that are full or may not be written to.

use crate::program::{corpus, run};
use microtome::engine::{Engine, EngineConfig, Event, JobOutcome};
use microtome::pyramid::{PlaneId, TileKey};
use std::collections::VecDeque;
use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, mpsc};
use std::time::Duration;

/// How long the engine may take to report what is awaited.
const PATIENCE: Duration = Duration::from_secs(60);

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

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg("-l").arg(self.path()).status();
        assert!(unmounted.is_ok_and(|status| status.success()), "{} stays mounted", self.path().display());
    }
}

fn export<'a>(from: &'a Path, to: &'a Path) -> [&'a OsStr; 7] {
    let word = |w: &'static str| OsStr::new(w);
    [word("export"), word("--raw"), word("--compression"), word("none"), from.as_os_str(), word("-o"), to.as_os_str()]
}

#[test]
fn a_full_disk_is_said_in_words() {
    let Some(corpus) = corpus() else { return };
    let Some(disk) = SmallDisk::mount("size=4m") else { return };
    let slide = corpus.join("wsi/CMU-1-Small-Region.svs");
    let dir = tempfile::tempdir().expect("a temporary folder");
    // Once the exported file, once the decoded image has no room.
    for (cache, to) in [
        (dir.path().join("cache"), disk.path().join("out.tif")),
        (disk.path().join("cache"), dir.path().join("out.tif")),
    ] {
        // A region that begins inside a tile: its tiles are kept for their neighbours.
        let region = ["--region", "1,1,2200,2900"].map(OsStr::new);
        let ended = run(&cache, &[&export(&slide, &to)[..], &region].concat());
        println!("{}", ended.stderr.trim_end());
        assert_eq!((ended.code, ended.fault()), (Some(1), None), "{}", ended.stderr);
        assert!(ended.stderr.contains("no space left on the disk"), "{}", ended.stderr);
        assert!(!ended.stderr.contains(" 0 more"), "{}", ended.stderr);
        assert!(!to.exists(), "nothing half written is left");
    }
}

#[test]
fn a_read_only_cache_folder_is_said_in_words() {
    let Some(corpus) = corpus() else { return };
    let Some(disk) = SmallDisk::mount("size=4m,ro") else { return };
    let dir = tempfile::tempdir().expect("a temporary folder");
    let picture = corpus.join("brightfield/ihc.png");
    for cache in [disk.path().to_owned(), disk.path().join("below")] {
        let ended = run(&cache, &export(&picture, &dir.path().join("out.tif")));
        println!("{}", ended.stderr.trim_end());
        assert_eq!((ended.code, ended.fault()), (Some(1), None), "{}", ended.stderr);
        assert!(ended.stderr.contains("cache folder"), "{}", ended.stderr);
    }
}

/// An engine whose events are awaited.
struct Watched {
    engine: Engine,
    woken: mpsc::Receiver<()>,
    /// Reported and not yet looked at.
    waiting: VecDeque<Event>,
}

impl Watched {
    fn new(cache: &Path, data: &Path) -> Self {
        let (wake, woken) = mpsc::channel();
        let config = EngineConfig {
            cache_dir: cache.to_owned(),
            data_dir: data.to_owned(),
            cache_limit_bytes: 1 << 30,
            threads: 1,
            no_cache: false,
        };
        // Nobody listens any more once the test has what it awaits.
        let waker = move || wake.send(()).unwrap_or_default();
        let engine = Engine::new(config, Arc::new(waker)).expect("the engine starts");
        Self { engine, woken, waiting: VecDeque::new() }
    }

    /// The first event that `pick` takes.
    fn wait<T>(&mut self, pick: impl Fn(Event) -> Option<T>) -> T {
        loop {
            while let Some(event) = self.waiting.pop_front() {
                if let Some(found) = pick(event) {
                    return found;
                }
            }
            self.waiting.extend(self.engine.events());
            if !self.waiting.is_empty() {
                continue;
            }
            self.woken.recv_timeout(PATIENCE).expect("the awaited event comes");
        }
    }
}

#[test]
fn a_cache_folder_that_cannot_be_used_leaves_the_window_alive() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let file = dir.path().join("a file");
    std::fs::write(&file, "no folder").expect("written");
    let mut folders = vec![file.join("cache")];
    let disk = SmallDisk::mount("size=4m,ro");
    folders.extend(disk.as_ref().map(|disk| disk.path().to_owned()));
    let picture = dir.path().join("picture.png");
    image::GrayImage::from_pixel(300, 200, image::Luma([77])).save(&picture).expect("written");
    for folder in folders {
        let mut watched = Watched::new(&folder, &dir.path().join("data"));
        let problem = watched.wait(|event| match event {
            Event::Problem { set: None, message } => Some(message),
            _ => None,
        });
        println!("{problem}");
        assert!(problem.contains("cache folder") && !problem.contains('\n'), "{problem}");
        watched.engine.open(picture.clone());
        let set = watched.wait(|event| match event {
            Event::Opened(set) => Some(set),
            Event::OpenFailed { message, .. } => panic!("{message}"),
            _ => None,
        });
        let finished = watched.wait(|event| match event {
            Event::Finished { outcome, .. } => Some(outcome),
            _ => None,
        });
        assert_eq!(finished, JobOutcome::Done, "{:?}", set.path);
    }
}

#[test]
fn a_full_disk_leaves_the_window_alive() {
    let Some(corpus) = corpus() else { return };
    let Some(disk) = SmallDisk::mount("size=4m") else { return };
    let dir = tempfile::tempdir().expect("a temporary folder");
    let mut watched = Watched::new(&disk.path().join("cache"), &dir.path().join("data"));
    watched.engine.open(corpus.join("wsi/CMU-1-Small-Region.svs"));
    let set = watched.wait(|event| match event {
        Event::Opened(set) => Some(set.id),
        Event::OpenFailed { message, .. } => panic!("{message}"),
        _ => None,
    });
    let words = watched.wait(|event| match event {
        Event::Finished { outcome: JobOutcome::Failed(words), .. } => Some(words),
        Event::Finished { outcome, .. } => panic!("{outcome:?}"),
        _ => None,
    });
    println!("{words}");
    assert!(words.contains("no space left on the disk"), "{words}");
    // It goes on answering: a part of the image comes, or why it cannot.
    let key = TileKey { plane: PlaneId { field: 0, channel: 0, z: 0, t: 0 }, level: 0, x: 9, y: 12 };
    watched.engine.want(set, 0, vec![key], Vec::new());
    let answer = watched.wait(|event| match event {
        Event::Tile(tile) if tile.key == key => Some("it came".to_owned()),
        Event::TileFailed { key: failed, reason, .. } if failed == key => Some(reason),
        _ => None,
    });
    println!("{answer}");
    assert!(answer == "it came" || answer.contains("no space left on the disk"), "{answer}");
}
