//! The atomic word that [`super::slots`] works on: the standard one here, loom's in `tests/loom_slots.rs`, which
//! includes that file beside a module of this name.

pub use std::sync::atomic::{AtomicU32, Ordering};
