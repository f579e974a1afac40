//! `microtome bench`: what this program does on this machine, in figures.

mod fill;
mod pan;
mod stitch;

use super::Context;
use crate::error::Result;
use clap::Subcommand;
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub enum What {
    /// Open an image and decode all of it, every level, checksums included, down to the disk.
    Fill {
        /// The image.
        path: PathBuf,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Move over an image on a fixed path, cold and warm, and time the window's own work.
    Pan {
        /// The image.
        path: PathBuf,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Put a field set of known truth together, from nothing, and compare.
    Stitch {
        /// The folder of fields, with truth/positions.csv or secret/truth.csv in it; by default the demo's.
        path: Option<PathBuf>,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
}

/// Runs a benchmark.
pub fn run(context: &Context, what: &What) -> Result<()> {
    let (figures, json) = match what {
        What::Fill { path, json } => (fill::run(context, path)?, *json),
        What::Pan { path, json } => (pan::run(context, path)?, *json),
        What::Stitch { path, json } => (stitch::run(context, path.as_deref())?, *json),
    };
    if json {
        println!("{figures:#}");
    } else {
        print_lines(&figures, "");
    }
    Ok(())
}

/// Prints nested figures, one a line.
fn print_lines(figures: &serde_json::Value, prefix: &str) {
    match figures {
        serde_json::Value::Object(map) => {
            for (name, value) in map {
                let name = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
                print_lines(value, &name);
            }
        }
        value => println!("{prefix:<44} {value}"),
    }
}
