//! Proves the layers of the architecture by reading `src/**`.
//!
//! A module may import only modules earlier in [`LAYERS`], an external crate only where [`CRATES`] says so, and the word
//! `unsafe` may stand only in the store.
//! The rules are checked on tokens, with comments and texts taken out, so a mention in prose is no violation.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The modules from the bottom up: each may use only those before it.
const LAYERS: &[&str] = &[
    "error",
    "geom",
    "pixels",
    "store",
    "pyramid",
    "formats",
    "image_set",
    "stitch",
    "mosaic",
    "view",
    "export",
    "demo",
    "engine",
    "session",
    "render",
    "app",
    "cli",
];

/// Where an external crate may be used: the module, or the part of it, as a path below `src`.
const CRATES: &[(&str, &[&str])] = &[
    ("memmap2", &["store"]),
    ("libc", &["store"]),
    ("rustix", &["store"]),
    ("tiff", &["formats", "export"]),
    ("image", &["formats", "export"]),
    ("zune_jpeg", &["formats", "export"]),
    ("hayro_jpeg2000", &["formats"]),
    ("weezl", &["formats", "export"]),
    ("libdeflater", &["formats", "export"]),
    ("flate2", &["formats", "export"]),
    ("zstd", &["formats", "export"]),
    ("png", &["formats", "export"]),
    ("pulp", &["export"]),
    ("roxmltree", &["formats", "export"]),
    ("wgpu", &["render", "app/canvas"]),
    ("egui", &["app", "main"]),
    ("eframe", &["app", "main"]),
    ("egui_wgpu", &["app", "main"]),
    ("egui_phosphor", &["app", "main"]),
    ("rfd", &["app", "main"]),
    ("rayon", &["mosaic", "stitch", "export", "demo", "engine"]),
];

/// Where `unsafe` may stand.
const UNSAFE_IN: &[&str] = &["store"];

/// File and folder names that say nothing.
const EMPTY_NAMES: &[&str] = &["util", "utils", "helper", "helpers", "manager", "managers", "misc", "common", "stuff"];

#[test]
fn imports_go_down_the_list_of_layers_only() {
    let sources = sources();
    assert!(sources.iter().any(|(place, _)| place == "error"), "src/ was not found or is empty");
    let found: Vec<String> = sources.iter().flat_map(|(place, text)| violations(place, text)).collect();
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
}

/// Every source file: its place (`store/slab` of `src/store/slab.rs`, `store` of `src/store/mod.rs`) and its text.
fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    files.sort();
    files
        .into_iter()
        .map(|path| {
            let text = std::fs::read_to_string(&path).expect("source files are readable text");
            let relative = path.strip_prefix(&root).expect("collected below src").with_extension("");
            let place = relative.to_string_lossy().replace('\\', "/");
            (place.strip_suffix("/mod").unwrap_or(&place).to_owned(), text)
        })
        .collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("src can be listed") {
        let path = entry.expect("src can be listed").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
}

/// What one source file does that it must not, one line each.
fn violations(place: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let tokens = tokens(text);
    let module = place.split('/').next().unwrap_or(place);
    let layer = match module {
        "lib" => return empty_names(place),
        "main" => LAYERS.len(),
        _ => match LAYERS.iter().position(|&l| l == module) {
            Some(layer) => layer,
            None => return vec![format!("src/{place}.rs: module {module} is not in the list of layers")],
        },
    };

    for name in internal_references(place, &tokens) {
        match LAYERS.iter().position(|&l| l == name) {
            Some(other) if other > layer => {
                found.push(format!("src/{place}.rs uses crate::{name}, which is a higher layer than {module}"));
            }
            _ => {}
        }
    }
    let local = local_names(&tokens);
    for root in path_roots(&tokens) {
        let Some((_, allowed)) = CRATES.iter().find(|(name, _)| *name == root) else { continue };
        if !local.contains(root) && !within(place, allowed) {
            found.push(format!("src/{place}.rs uses the crate {root}, which belongs in {}", allowed.join(", ")));
        }
    }
    if tokens.contains(&"unsafe") && !within(place, UNSAFE_IN) {
        found.push(format!("src/{place}.rs says unsafe, which belongs in {}", UNSAFE_IN.join(", ")));
    }
    found.extend(empty_names(place));
    found
}

fn within(place: &str, allowed: &[&str]) -> bool {
    allowed.iter().any(|a| place == *a || place.strip_prefix(a).is_some_and(|rest| rest.starts_with('/')))
}

fn empty_names(place: &str) -> Vec<String> {
    place
        .split(['/', '_'])
        .filter(|part| EMPTY_NAMES.contains(part))
        .map(|part| format!("src/{place}.rs: a name with {part} says nothing about what is in it"))
        .collect()
}

/// The modules at the root of the crate that a file names: by `crate::x`, by `crate::{x, y::z}`, or by climbing with
/// `super::` from as deep as the file lies.
fn internal_references<'a>(place: &str, tokens: &[&'a str]) -> BTreeSet<&'a str> {
    // From src/a.rs one step up is the root, from src/a/b.rs two. Inline modules lie one deeper for every level, and
    // there the number of steps says nothing, so more steps than that count as reaching the root too.
    let steps_to_root = place.split('/').count();
    let mut found = BTreeSet::new();
    let mut at = 0;
    while at < tokens.len() {
        let starts_path = at == 0 || tokens[at - 1] != "::";
        let reaches_root = match tokens[at] {
            "crate" if starts_path => true,
            "super" if starts_path => {
                let mut steps = 1;
                while tokens.get(at + 1) == Some(&"::") && tokens.get(at + 2) == Some(&"super") {
                    at += 2;
                    steps += 1;
                }
                steps >= steps_to_root
            }
            _ => false,
        };
        at += 1;
        if !reaches_root || tokens.get(at) != Some(&"::") {
            continue;
        }
        match tokens.get(at + 1) {
            Some(&"{") => found.extend(group_heads(&tokens[at + 1..])),
            Some(name) => {
                found.insert(*name);
            }
            None => {}
        }
    }
    found
}

/// The first names of every item of a `{...}` group that `tokens` starts with.
fn group_heads<'a>(tokens: &[&'a str]) -> Vec<&'a str> {
    let mut heads = Vec::new();
    let mut depth = 0_usize;
    for (index, &token) in tokens.iter().enumerate() {
        match token {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ if depth == 1 && matches!(tokens[index - 1], "{" | ",") => heads.push(token),
            _ => {}
        }
        if depth == 0 {
            break;
        }
    }
    heads
}

/// Every name that a path starts with, in `use` and elsewhere.
fn path_roots<'a>(tokens: &[&'a str]) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    // Braces open in a `use` group: names there continue the path before the brace, unless the group is the root.
    let mut in_use = false;
    let mut grouped = 0_usize;
    for (index, &token) in tokens.iter().enumerate() {
        let before = if index == 0 { "" } else { tokens[index - 1] };
        let after = tokens.get(index + 1).copied().unwrap_or("");
        match token {
            "use" | "extern" => (in_use, grouped) = (true, 0),
            ";" => in_use = false,
            "{" if in_use && (grouped > 0 || before == "::") => grouped += 1,
            "}" if in_use && grouped > 0 => grouped -= 1,
            _ if !is_name(token) || before == "::" && !leads(tokens, index) || grouped > 0 => {}
            _ if after == "::" || in_use => {
                found.insert(token);
            }
            _ => {}
        }
    }
    found
}

/// Whether the `::` before a name opens the path, as in `use ::tiff::x`.
fn leads(tokens: &[&str], index: usize) -> bool {
    index < 2 || !(is_name(tokens[index - 2]) || tokens[index - 2] == ">") || tokens[index - 2] == "use"
}

/// Names that a file gives to modules and imports of its own, which hide crates of the same name.
fn local_names<'a>(tokens: &[&'a str]) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    for (index, pair) in tokens.windows(2).enumerate() {
        if pair[0] == "mod" {
            found.insert(pair[1]);
        }
        // `use crate::a::tiff;` and `use crate::a::{tiff, b};` bring a module of ours.
        let ends = matches!(pair[1], ";" | "," | "}");
        let continues = index > 0 && matches!(tokens[index - 1], "::" | "{" | ",");
        if is_name(pair[0]) && ends && continues && in_own_use(tokens, index) {
            found.insert(pair[0]);
        }
    }
    found
}

/// Whether a token lies in a `use` that starts at this crate.
fn in_own_use(tokens: &[&str], index: usize) -> bool {
    let start = tokens[..index].iter().rposition(|&t| t == ";").map_or(0, |s| s + 1);
    tokens[start..index]
        .iter()
        .position(|&t| t == "use")
        .is_some_and(|at| matches!(tokens[start + at + 1], "crate" | "super" | "self"))
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Splits source text into names, `::` and single signs; comments, texts, characters and lifetimes are left out.
fn tokens(text: &str) -> Vec<&str> {
    let bytes = text.as_bytes();
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &text[at..];
        if rest.starts_with("//") {
            at += rest.find('\n').unwrap_or(rest.len());
        } else if rest.starts_with("/*") {
            at += block_comment_len(rest);
        } else if let Some(len) = text_len(rest) {
            at += len;
        } else if rest.starts_with('\'') {
            at += quote_len(rest);
        } else if rest.starts_with("::") {
            tokens.push("::");
            at += 2;
        } else if let Some(first) = rest.chars().next() {
            let len = if first.is_alphanumeric() || first == '_' {
                rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len())
            } else {
                first.len_utf8()
            };
            if !first.is_whitespace() {
                tokens.push(&rest[..len]);
            }
            at += len;
        }
    }
    tokens
}

/// The length of a block comment, nested ones included.
fn block_comment_len(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < text.len() {
        if text.as_bytes()[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if text.as_bytes()[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    text.len()
}

/// The length of a text in quotes that `text` starts with, raw and byte forms included.
fn text_len(text: &str) -> Option<usize> {
    let prefix = ["br", "cr", "b", "c", "r", ""].into_iter().find(|p| {
        text.strip_prefix(p).is_some_and(|rest| {
            let quoted = rest.trim_start_matches(if p.ends_with('r') { '#' } else { '"' });
            rest.starts_with('"') || p.ends_with('r') && quoted.starts_with('"') && rest.starts_with('#')
        })
    })?;
    let body = &text[prefix.len()..];
    if prefix.ends_with('r') {
        let hashes = body.len() - body.trim_start_matches('#').len();
        let end = format!("\"{}", "#".repeat(hashes));
        let from = hashes + 1;
        let len = body[from..].find(&end).map_or(body.len(), |found| from + found + end.len());
        return Some(prefix.len() + len);
    }
    let mut escaped = false;
    for (index, c) in body.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some(prefix.len() + index + 1),
            _ => {}
        }
    }
    Some(text.len())
}

/// The length of a character in quotes, or of a lifetime.
fn quote_len(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    match chars.next() {
        Some((_, '\\')) => {
            chars.next();
            text[3.min(text.len())..].find('\'').map_or(text.len(), |end| 3 + end + 1)
        }
        Some((start, c)) => {
            let end = start + c.len_utf8();
            if text[end..].starts_with('\'') {
                end + 1
            } else {
                1 + text[1..].find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len() - 1)
            }
        }
        None => 1,
    }
}

#[test]
fn an_import_from_a_higher_layer_is_found() {
    for text in [
        "use crate::engine::Engine;",
        "use crate::{geom::Size, engine};",
        "use crate::{\n    geom::{Point, Size},\n    engine::{Engine, Event},\n};",
        "fn f() { crate::engine::start(); }",
        "use super::super::engine::Engine;",
        "mod tests { use super::super::engine::Engine; }",
    ] {
        assert_eq!(violations("store/slab", text).len(), 1, "{text}");
    }
    assert_eq!(violations("pixels", "use super::engine;").len(), 1);
}

#[test]
fn an_import_from_a_lower_layer_or_the_own_module_is_no_violation() {
    for text in [
        "use crate::geom::{Size, Point};",
        "use crate::store::slots::Slot;",
        "use super::engine_part;",
        "use super::*;",
        "// use crate::engine::Engine;",
        "/* crate::app /* nested */ crate::cli */",
        "const TEXT: &str = \"use crate::engine;\";",
        "const RAW: &str = r#\"crate::engine \"quoted\" crate::app\"#;",
        "fn f<'a>(x: &'a str) -> char { '\"' }",
    ] {
        assert_eq!(violations("store/slab", text), Vec::<String>::new(), "{text}");
    }
}

#[test]
fn a_crate_outside_its_place_is_found() {
    for (place, text) in [
        ("engine/loader", "use memmap2::MmapMut;"),
        ("engine", "fn f() { let m = ::memmap2::MmapOptions::new(); }"),
        ("view", "use std::{fs, io};\nuse rayon::prelude::*;"),
        ("pyramid", "fn f() { rayon::join(a, b); }"),
        ("render/cache", "use egui::Rect;"),
        ("app/panels", "use wgpu::Texture;"),
        ("session", "use {rfd::FileDialog, std::fs};"),
        ("store/slab", "use tiff;"),
        ("cli", "extern crate image;"),
        ("view", "impl From<image::RgbImage> for View {}"),
    ] {
        assert_eq!(violations(place, text).len(), 1, "{place}: {text}");
    }
}

#[test]
fn a_crate_in_its_place_or_a_module_of_the_same_name_is_no_violation() {
    for (place, text) in [
        ("store/slab", "use memmap2::MmapMut;"),
        ("app/canvas", "use wgpu::Texture;"),
        ("app/canvas/upload", "use egui_wgpu::wgpu;"),
        ("main", "fn main() { eframe::run_native(); }"),
        ("session", "use crate::formats::{tiff, png};\nfn f() { tiff::open(); }"),
        ("session", "use std::{image::a, fs};\nfn f() { self::tiff::open(); }"),
        ("view", "mod image;\nfn f() { image::draw(); }"),
        ("view", "struct S { image: u32 }\nfn f(tiff: S) { tiff.image; }"),
    ] {
        assert_eq!(violations(place, text), Vec::<String>::new(), "{place}: {text}");
    }
}

#[test]
fn unsafe_outside_the_store_is_found_but_not_the_lint_of_that_name() {
    assert_eq!(violations("engine", "fn f() { unsafe { g() } }").len(), 1);
    assert_eq!(violations("engine", "#![deny(unsafe_code)] // unsafe"), Vec::<String>::new());
    assert_eq!(violations("store/map", "unsafe impl Send for Map {}"), Vec::<String>::new());
}

#[test]
fn names_that_say_nothing_and_modules_outside_the_list_are_found() {
    assert_eq!(violations("engine/utils", "").len(), 1);
    assert_eq!(violations("app/tile_manager", "").len(), 1);
    assert_eq!(violations("helpers", "").len(), 1);
    assert_eq!(violations("elsewhere/part", "").len(), 1);
}
