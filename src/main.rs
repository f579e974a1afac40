//! Arguments, then a headless command or the window.

use microtome::cli::{self, Outcome};
use std::process::ExitCode;

fn main() -> ExitCode {
    cli::contain(run)
}

fn run() -> ExitCode {
    let closed = match cli::run() {
        Outcome::Exit(code) => return code,
        Outcome::Window(config, paths) => microtome::app::run(config, paths, false),
        Outcome::Demo(config) => microtome::app::run(config, Vec::new(), true),
    };
    match closed {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("microtome: {message}");
            ExitCode::FAILURE
        }
    }
}
