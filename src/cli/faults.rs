//! Faults of the program itself, reported as every other error is: in one line.
//!
//! A reader's panic on damaged data is contained where the reader is called, so it must not be printed as well.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

/// Runs the program. A panic that nobody contains ends it with a line that says so; the system's own report, with the
/// place, comes where `RUST_BACKTRACE` asks for it.
pub fn contain(program: impl FnOnce() -> ExitCode) -> ExitCode {
    if std::env::var_os("RUST_BACKTRACE").is_none_or(|asked| asked == "0") {
        std::panic::set_hook(Box::new(|fault| tracing::error!("{fault}")));
    }
    catch_unwind(AssertUnwindSafe(program)).unwrap_or_else(|_| {
        eprintln!(
            "microtome: stopped because of a fault in Microtome; run it with RUST_BACKTRACE=1 and report what it says"
        );
        ExitCode::FAILURE
    })
}
