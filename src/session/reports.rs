//! What the engine said that a user sees for a while: work in the background, and problems.

use crate::engine::JobId;
use crate::pyramid::SetId;

/// Something the user should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The set it is about.
    pub set: Option<SetId>,
    /// What it is, in words.
    pub message: String,
    /// How often it happened.
    pub count: u32,
}

/// Work in the background.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// Its number.
    pub id: JobId,
    /// The set it works on.
    pub set: Option<SetId>,
    /// What it does, in words.
    pub title: &'static str,
    /// Steps done.
    pub done: u64,
    /// Steps in all; 0 while unknown.
    pub total: u64,
    /// When it was first heard of, and how many steps were done then.
    pub started: (f64, u64),
}

impl Job {
    /// Seconds still to go, once enough has been done to tell.
    pub fn secs_left(&self, now_secs: f64) -> Option<f64> {
        let (since, before) = self.started;
        let (elapsed, done) = (now_secs - since, self.done.saturating_sub(before));
        let left = self.total.checked_sub(self.done)?;
        (elapsed > 1.0 && done > 0 && self.total > 0).then(|| elapsed / done as f64 * left as f64)
    }
}
