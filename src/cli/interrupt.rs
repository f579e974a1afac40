//! Ctrl-C and a request to end: the work in hand stops and leaves nothing half done.

use super::CANCELLED;
use crate::error::{Error, Result};
use crate::pyramid::Cancel;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// What is set by Ctrl-C or a request to end. A second one ends the program at once.
pub fn cancel_on_signal() -> Result<Cancel> {
    let asked = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // In this order: the first signal finds the flag unset, and sets it.
        flag::register_conditional_shutdown(signal, CANCELLED.into(), asked.clone())
            .and_then(|_| flag::register(signal, asked.clone()))
            .map_err(|e| Error::io("the system refuses a handler for Ctrl-C", e, Path::new("")))?;
    }
    Ok(Cancel::of_flag(asked))
}
