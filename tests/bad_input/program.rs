//! The built program as its user runs it, watched from outside.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// A file that takes longer hangs.
const MAX_TIME: Duration = Duration::from_secs(10);

/// The most memory that may be resident, in bytes.
const MAX_RESIDENT_BYTES: u64 = 1 << 30;

/// How often a running program is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(2);

/// Programs at once.
const AT_ONCE: usize = 4;

/// How a run ended.
pub struct Ended {
    /// The exit code; nothing after a signal.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    pub time: Duration,
    /// The most memory that was seen resident; 0 where the system does not tell.
    pub resident_bytes: u64,
}

/// The folder of the corpus, or nothing after saying that the test is skipped.
pub fn corpus() -> Option<PathBuf> {
    let path = std::env::var_os("MICROTOME_CORPUS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus"), PathBuf::from);
    if path.join("corrupt").exists() {
        return Some(path);
    }
    println!("SKIPPED: the files of the corpus, which is not at {}", path.display());
    None
}

/// All files in a folder and those below it, by name.
pub fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder of the corpus") {
            let path = entry.expect("an entry").path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    files
}

/// Runs the program with a cache folder.
pub fn run(cache: &Path, arguments: &[&OsStr]) -> Ended {
    let started = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_microtome"))
        .env_remove("RUST_BACKTRACE")
        // Without one, the graphics driver's window system complains on standard error.
        .env("XDG_RUNTIME_DIR", cache.parent().unwrap_or(cache))
        .arg("--cache-dir")
        .arg(cache)
        .args(["--progress", "none"])
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let (stdout, stderr) = (child.stdout.take().expect("piped"), child.stderr.take().expect("piped"));
    let text = |mut from: Box<dyn std::io::Read + Send>| {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            from.read_to_end(&mut bytes).expect("its output is read");
            String::from_utf8_lossy(&bytes).into_owned()
        })
    };
    let (stdout, stderr) = (text(Box::new(stdout)), text(Box::new(stderr)));
    let (code, resident_bytes) = watch(&mut child, started);
    let join = |text: std::thread::JoinHandle<String>| text.join().expect("its output is text");
    Ended { code, stdout: join(stdout), stderr: join(stderr), time: started.elapsed(), resident_bytes }
}

/// Waits for a program to end, and ends it when it takes far too long.
fn watch(child: &mut Child, started: Instant) -> (Option<i32>, u64) {
    let mut resident_bytes = 0;
    loop {
        resident_bytes = resident_bytes.max(peak_resident_bytes(child.id()));
        if let Some(status) = child.try_wait().expect("it can be waited for") {
            return (status.code(), resident_bytes);
        }
        if started.elapsed() > MAX_TIME * 2 {
            child.kill().expect("it can be ended");
        }
        std::thread::park_timeout(LOOK_INTERVAL);
    }
}

/// What Linux says a process has had resident at most.
fn peak_resident_bytes(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok()).map_or(0, |kib| kib << 10)
}

impl Ended {
    /// What is wrong with how the program took a bad file; nothing where it opened it or said why not.
    pub fn fault(&self) -> Option<String> {
        let lines: Vec<&str> = self.stderr.lines().collect();
        match self.code {
            None => return Some(format!("ended by a signal: {}", self.stderr)),
            Some(0) => {}
            Some(1) if lines.len() == 1 && lines[0].starts_with("microtome: ") => {}
            Some(code) => return Some(format!("exit code {code} with: {}", self.stderr)),
        }
        if self.stderr.contains("panicked") || self.stderr.contains("fault in Microtome") {
            return Some(format!("a fault: {}", self.stderr));
        }
        if self.time > MAX_TIME {
            return Some(format!("took {:.1} s", self.time.as_secs_f64()));
        }
        let too_much = self.resident_bytes > MAX_RESIDENT_BYTES;
        too_much.then(|| format!("{} MiB were resident", self.resident_bytes >> 20))
    }
}

/// What is done with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    Info,
    Export,
    Snapshot,
}

impl Task {
    fn arguments(self, path: &Path, folder: &Path) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = match self {
            Self::Info => vec!["info".into(), "--json".into()],
            Self::Export => ["export", "--raw", "--compression", "none", "-o"].map(OsString::from).to_vec(),
            Self::Snapshot => ["snapshot", "--size", "200x150", "-o"].map(OsString::from).to_vec(),
        };
        match self {
            Self::Info => {}
            Self::Export => arguments.push(folder.join("out.tif").into()),
            Self::Snapshot => arguments.push(folder.join("out.png").into()),
        }
        arguments.push(path.into());
        arguments
    }
}

/// How many runs ended in which way.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub done: usize,
    pub refused: usize,
}

/// Runs every task on every file, several at once; panics with a list of those that went wrong.
pub fn run_all(jobs: &[(PathBuf, Task)]) -> Tally {
    let next = AtomicUsize::new(0);
    let ended: Vec<(String, bool)> = std::thread::scope(|scope| {
        let worker = || {
            let mut found = Vec::new();
            while let Some((path, task)) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                let folder = tempfile::tempdir().expect("a temporary folder");
                let arguments = task.arguments(path, folder.path());
                let arguments: Vec<&OsStr> = arguments.iter().map(OsString::as_os_str).collect();
                let ended = run(&folder.path().join("cache"), &arguments);
                let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).is_ok();
                let fault = match ended.fault() {
                    None if *task == Task::Info && ended.code == Some(0) && !json(&ended.stdout) => {
                        Some(format!("not JSON: {}", ended.stdout))
                    }
                    fault => fault,
                };
                let words = fault.map_or_else(String::new, |fault| format!("{task:?} {}: {fault}", path.display()));
                found.push((words, ended.code == Some(0)));
            }
            found
        };
        let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().flat_map(|w| w.join().expect("a worker ends")).collect()
    });
    let faults: Vec<&str> = ended.iter().map(|(words, _)| words.as_str()).filter(|words| !words.is_empty()).collect();
    assert!(faults.is_empty(), "{} of {}:\n{}", faults.len(), jobs.len(), faults.join("\n"));
    let done = ended.iter().filter(|(_, done)| *done).count();
    Tally { done, refused: ended.len() - done }
}
