//! `microtome cache`: the decoded images kept on disk.

use super::Context;
use crate::error::{Error, Result};
use crate::store::catalogue;
use clap::Subcommand;
use std::path::Path;

#[derive(Debug, Subcommand)]
pub enum Action {
    /// What is kept, and how much disk it takes.
    List {
        /// Print one JSON list.
        #[arg(long)]
        json: bool,
    },
    /// Delete everything that no running program uses.
    Clear,
    /// Read every decoded part back and compare it with its checksum.
    Verify,
}

/// Runs `cache list`, `clear` or `verify`.
pub fn run(context: &Context, action: &Action) -> Result<()> {
    let root = &context.config.cache_dir;
    match action {
        Action::List { json } => list(root, *json),
        Action::Clear => {
            let cleared = catalogue::clear(root)?;
            println!("{} removed, {} in use and kept", cleared.removed, cleared.in_use);
            Ok(())
        }
        Action::Verify => {
            let mut bad = 0;
            for entry in catalogue::verify(root)? {
                println!("{}: {} parts checked, {} damaged", entry.label, entry.checked, entry.bad);
                bad += entry.bad;
            }
            if bad > 0 {
                let what = format!("{bad} decoded parts are damaged; they will be decoded anew when they are needed");
                return Err(Error::format(what, root));
            }
            Ok(())
        }
    }
}

fn list(root: &Path, as_json: bool) -> Result<()> {
    let entries = catalogue::list(root)?;
    if as_json {
        let entries: Vec<_> = entries
            .iter()
            .map(|e| serde_json::json!({ "path": e.label, "bytes": e.bytes, "tiles": e.tiles, "in_use": e.in_use }))
            .collect();
        println!("{:#}", serde_json::Value::from(entries));
        return Ok(());
    }
    for entry in &entries {
        let in_use = if entry.in_use { "  (in use)" } else { "" };
        println!("{:>9.1} MB  {}{in_use}", entry.bytes as f64 / 1e6, entry.label);
    }
    println!("{:>9.1} MB  in all", entries.iter().map(|e| e.bytes).sum::<u64>() as f64 / 1e6);
    Ok(())
}
