//! What can go wrong, in a handful of kinds.
//!
//! Every variant reads as one line for a person: what happened, what to do where there is something to do, and the
//! path last.
//! An error is handled exactly once: passed on, or shown.

use std::path::{Path, PathBuf};

/// The result of everything that can fail.
pub type Result<T> = std::result::Result<T, Error>;

/// Why an operation failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused an operation on a file.
    #[error("{what}: {source}: {}", path.display())]
    Io {
        /// What was being done, as in "cannot read".
        what: &'static str,
        /// The system's own reason.
        source: std::io::Error,
        /// The file.
        path: PathBuf,
    },
    /// The bytes are not what the format says they are.
    #[error("{what}: {}", path.display())]
    Format {
        /// What is broken, in words.
        what: String,
        /// The file.
        path: PathBuf,
    },
    /// The file is well formed and Microtome cannot read this kind.
    #[error("{what}: {}", path.display())]
    Unsupported {
        /// What is missing, in words.
        what: String,
        /// The file.
        path: PathBuf,
    },
    /// A size is beyond a limit that keeps memory bounded.
    #[error("{what}: {}", path.display())]
    TooLarge {
        /// Which size and which limit, in words.
        what: String,
        /// The file.
        path: PathBuf,
    },
    /// The disk is full.
    #[error("no space left on the disk{}, free some and try again: {}", room_words(*needed_bytes), path.display())]
    StorageFull {
        /// How much was asked for; 0 where it is not known.
        needed_bytes: u64,
        /// The folder or file.
        path: PathBuf,
    },
    /// The graphics system refused.
    #[error("{what}")]
    Graphics {
        /// What it refused and what to do, in words.
        what: String,
    },
    /// The user cancelled.
    #[error("cancelled")]
    Cancelled,
}

fn room_words(needed_bytes: u64) -> String {
    if needed_bytes == 0 { String::new() } else { format!(" for {needed_bytes} more bytes") }
}

impl Error {
    /// An I/O failure; a full disk becomes [`Error::StorageFull`].
    pub fn io(what: &'static str, source: std::io::Error, path: &Path) -> Self {
        if source.kind() == std::io::ErrorKind::StorageFull {
            return Self::StorageFull { needed_bytes: 0, path: path.to_owned() };
        }
        Self::Io { what, source, path: path.to_owned() }
    }

    /// A broken file.
    pub fn format(what: impl Into<String>, path: &Path) -> Self {
        Self::Format { what: what.into(), path: path.to_owned() }
    }

    /// A file of a kind that is not read.
    pub fn unsupported(what: impl Into<String>, path: &Path) -> Self {
        Self::Unsupported { what: what.into(), path: path.to_owned() }
    }

    /// A size beyond a limit.
    pub fn too_large(what: impl Into<String>, path: &Path) -> Self {
        Self::TooLarge { what: what.into(), path: path.to_owned() }
    }

    /// Whether a file is not there.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound)
    }

    /// Whether the same may work at another time: a file may be back, whole or readable by then. What kind of file it is
    /// stays.
    pub fn may_pass(&self) -> bool {
        !matches!(self, Self::Unsupported { .. } | Self::TooLarge { .. })
    }

    /// A refusal of the graphics system.
    pub fn graphics(what: impl Into<String>) -> Self {
        Self::Graphics { what: what.into() }
    }

    /// Whether the user asked for this.
    pub fn is_cancelled(&self) -> bool {
        matches!(self, Self::Cancelled)
    }
}
