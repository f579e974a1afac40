//! Progress on standard error: a bar on a terminal, JSON lines on request, nothing otherwise.

use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};
use std::io::IsTerminal as _;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Lines and redraws at most this often.
const INTERVAL: Duration = Duration::from_millis(100);

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Style {
    /// A bar where standard error is a terminal.
    Bar,
    /// One JSON object a line.
    Json,
    /// Not at all.
    None,
}

/// Progress of one piece of work; may be told from any thread.
pub struct Progress {
    title: &'static str,
    style: Style,
    bar: ProgressBar,
    last: Mutex<Instant>,
}

impl Progress {
    /// Nothing is shown until the first [`Self::set`].
    pub fn new(style: Style, title: &'static str) -> Self {
        let bar = if style == Style::Bar && std::io::stderr().is_terminal() {
            let bar = ProgressBar::new(0);
            if let Ok(look) = ProgressStyle::with_template("{msg}  {bar:40}  {percent} %  {eta} left") {
                bar.set_style(look);
            }
            bar.set_message(title);
            bar
        } else {
            ProgressBar::hidden()
        };
        Self { title, style, bar, last: Mutex::new(Instant::now()) }
    }

    /// `done` of `total` units are finished.
    pub fn set(&self, done: u64, total: u64) {
        let Ok(mut last) = self.last.try_lock() else { return };
        if last.elapsed() < INTERVAL && done < total {
            return;
        }
        *last = Instant::now();
        if self.style == Style::Json {
            eprintln!("{}", serde_json::json!({ "title": self.title, "done": done, "total": total }));
        }
        self.bar.set_length(total);
        self.bar.set_position(done);
    }

    /// The work has ended, well or not.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
