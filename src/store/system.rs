//! What the operating system knows of this process and machine, and the little we ask it for besides files.
//!
//! Each has its counterpart on every system; where a system offers none, the answer is `None` or zero, never a guess.

#![allow(unsafe_code)]

use crate::error::{Error, Result};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often the memory of the process is looked at while a report is wanted.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(20);

/// How urgent a thread's work is; the window's own is more urgent than all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// Somebody waits for it.
    Soon,
    /// It can wait.
    Background,
}

impl Urgency {
    /// How much lower than the window such threads run on Linux, in steps of nice.
    #[cfg(target_os = "linux")]
    fn nice(self) -> i32 {
        match self {
            Self::Soon => 5,
            Self::Background => 10,
        }
    }
}

/// Memory that was given back by a frame and that the next one will want, bytes: a window's shapes and uploads take two or
/// three megabytes.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const KEPT_FREE_BYTES: i32 = 8 << 20;

/// Blocks from this size on go back to the system at once, bytes: decoded chunks do, what a frame is made of does not.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const RETURNED_BLOCK_BYTES: i32 = 4 << 20;

/// Keeps a few megabytes of freed memory in the process. A window frees and asks for the same memory sixty times a second,
/// and every page that comes anew from the system costs more than what is written to it.
pub fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        // SAFETY: mallopt takes plain numbers and may be called at any time. Where it refuses, memory is managed as before.
        unsafe {
            libc::mallopt(libc::M_TRIM_THRESHOLD, KEPT_FREE_BYTES);
            libc::mallopt(libc::M_MMAP_THRESHOLD, RETURNED_BLOCK_BYTES);
        }
    }
}

/// Processor cores that this process may use.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Makes the calling thread give way to more urgent ones.
pub fn set_urgency(urgency: Urgency) {
    #[cfg(target_os = "linux")]
    {
        // SAFETY: setpriority takes plain numbers; 0 means the calling thread on Linux. It cannot fail in a way that
        // matters: a thread that keeps its priority does the same work.
        unsafe {
            libc::setpriority(libc::PRIO_PROCESS, 0, urgency.nice());
        }
    }
    #[cfg(target_os = "macos")]
    {
        // SAFETY: plain numbers again; the call concerns the calling thread alone.
        unsafe {
            let class = match urgency {
                Urgency::Soon => libc::qos_class_t::QOS_CLASS_USER_INITIATED,
                Urgency::Background => libc::qos_class_t::QOS_CLASS_UTILITY,
            };
            libc::pthread_set_qos_class_self_np(class, 0);
        }
    }
    #[cfg(not(any(target_os = "linux", target_os = "macos")))]
    let _: Urgency = urgency;
}

/// Makes a folder, and those above it, that the user alone can look into.
pub fn create_private_dir(dir: &Path) -> Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir).map_err(|error| Error::io("cannot make the folder", error, dir))
}

/// Processor time that this process has used so far, user and system, in seconds.
pub fn process_cpu_secs() -> f64 {
    cpu_secs(Clock::Process)
}

/// Processor time that the calling thread has used so far, in seconds.
pub fn thread_cpu_secs() -> f64 {
    cpu_secs(Clock::Thread)
}

enum Clock {
    Process,
    Thread,
}

#[cfg(unix)]
fn cpu_secs(clock: Clock) -> f64 {
    let id = match clock {
        Clock::Process => rustix::time::ClockId::ProcessCPUTime,
        Clock::Thread => rustix::time::ClockId::ThreadCPUTime,
    };
    let time = rustix::time::clock_gettime(id);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

#[cfg(not(unix))]
fn cpu_secs(_: Clock) -> f64 {
    0.0
}

/// Resident memory of this process, by kind, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ResidentMemory {
    /// Heap and other private pages, which can only go to swap.
    pub anon_bytes: u64,
    /// Pages of files, which the system can drop.
    pub file_bytes: u64,
}

/// What is resident now; `None` where the system does not tell.
pub fn resident_memory() -> Option<ResidentMemory> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kib = |name: &str| -> Option<u64> {
        let line = status.lines().find(|l| l.starts_with(name))?;
        line.split_whitespace().nth(1)?.parse().ok()
    };
    let anon_bytes = (kib("RssAnon:")? + kib("RssShmem:")?) * 1024;
    Some(ResidentMemory { anon_bytes, file_bytes: kib("RssFile:")? * 1024 })
}

/// Bytes of our own files that are mapped now, and the most that ever were.
static MAPPED_BYTES: AtomicU64 = AtomicU64::new(0);
static MAPPED_BYTES_PEAK: AtomicU64 = AtomicU64::new(0);

/// The most bytes of our own files that were mapped at once in this run.
pub fn mapped_bytes_peak() -> u64 {
    MAPPED_BYTES_PEAK.load(Ordering::Relaxed)
}

/// A map was made.
pub(super) fn count_mapped(bytes: usize) {
    let now = MAPPED_BYTES.fetch_add(bytes as u64, Ordering::Relaxed) + bytes as u64;
    MAPPED_BYTES_PEAK.fetch_max(now, Ordering::Relaxed);
}

/// A map was given up.
pub(super) fn count_unmapped(bytes: usize) {
    MAPPED_BYTES.fetch_sub(bytes as u64, Ordering::Relaxed);
}

/// Watches the resident memory from a thread of its own and remembers the peaks.
pub struct MemoryWatch {
    peaks: Arc<Peaks>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Peaks {
    anon_bytes: AtomicU64,
    file_bytes: AtomicU64,
    stop: AtomicBool,
}

impl Peaks {
    fn look(&self) {
        if let Some(now) = resident_memory() {
            self.anon_bytes.fetch_max(now.anon_bytes, Ordering::Relaxed);
            self.file_bytes.fetch_max(now.file_bytes, Ordering::Relaxed);
        }
    }
}

impl MemoryWatch {
    /// Starts watching.
    pub fn start() -> Result<Self> {
        let peaks = Arc::new(Peaks::default());
        let watched = peaks.clone();
        let thread = std::thread::Builder::new().name("memory-watch".into()).spawn(move || {
            while !watched.stop.load(Ordering::Relaxed) {
                watched.look();
                std::thread::park_timeout(SAMPLE_INTERVAL);
            }
        });
        let thread = thread.map_err(|error| Error::io("the system gives no more threads", error, Path::new("")))?;
        Ok(Self { peaks, thread: Some(thread) })
    }

    /// The peaks so far.
    pub fn peaks(&self) -> ResidentMemory {
        self.peaks.look();
        ResidentMemory {
            anon_bytes: self.peaks.anon_bytes.load(Ordering::Relaxed),
            file_bytes: self.peaks.file_bytes.load(Ordering::Relaxed),
        }
    }
}

impl Drop for MemoryWatch {
    fn drop(&mut self) {
        self.peaks.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            if thread.join().is_err() {
                tracing::error!("the memory watch ended in a panic");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn processor_time_grows_with_work() {
        let before = thread_cpu_secs();
        let mut x = 1u64;
        while thread_cpu_secs() < before + 0.002 {
            x = std::hint::black_box(x.wrapping_mul(3));
        }
        assert!(process_cpu_secs() >= thread_cpu_secs() - before);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_watch_sees_a_peak() {
        let watch = MemoryWatch::start().expect("a thread");
        let block = std::hint::black_box(vec![1u8; 32 << 20]);
        let peak = watch.peaks().anon_bytes;
        assert!(peak >= block.len() as u64);
    }
}
