//! Damaged and lying files, files that change under our hands, full and read-only disks: words, never a panic.
//!
//! The built program runs on the corpus, and on good files of it that are cut short or have bytes changed.

mod damaged_slide;
mod disks;
mod files;
mod program;
