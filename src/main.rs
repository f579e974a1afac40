//! Arguments, then a headless command or the window.

use microtome::cli::{self, Outcome};
use std::process::ExitCode;

fn main() -> ExitCode {
    cli::contain(run)
}

fn run() -> ExitCode {
    match cli::run() {
        Outcome::Exit(code) => code,
        Outcome::Window(config, paths) => match microtome::app::run(config, paths, false) {
            Ok(()) => ExitCode::SUCCESS,
            Err(message) => {
                eprintln!("microtome: {message}");
                ExitCode::FAILURE
            }
        },
    }
}
