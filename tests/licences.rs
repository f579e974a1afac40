//! Every dependency must come under a licence that lets Microtome be given away under its own.
//!
//! Reads what `cargo metadata` says of the locked packages, without the network.
//! Packages of other platforms are checked too where they have been fetched (`cargo fetch` gets them).

use std::process::Command;

/// Licences that a dependency may come under, by their SPDX names.
const ALLOWED: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Licences that only the named packages may come under, each with the reason why that is all right.
const ALLOWED_FOR: &[(&str, &str, &str)] = &[
    ("option-ext", "MPL-2.0", "used unchanged, and the MPL binds only its own files"),
    ("colored", "MPL-2.0", "comes with the test harness alone and is not shipped; the MPL binds only its own files"),
    ("jpeg-encoder", "IJG", "permissive; the README says whose work it is based on, as the licence asks"),
    ("epaint_default_fonts", "OFL-1.1", "fonts inside the program; the licence forbids selling them alone"),
    ("epaint_default_fonts", "Ubuntu-font-1.0", "fonts inside the program; they keep their names"),
];

#[test]
fn every_dependency_has_an_allowed_licence() {
    let packages = locked_packages();
    assert!(packages.len() > 50, "cargo metadata named only {} packages", packages.len());
    let refused: Vec<String> = packages
        .iter()
        .filter(|(name, licence)| !allows(licence, &|word| is_allowed(name, word)))
        .map(|(name, licence)| format!("{name}: {licence}"))
        .collect();
    assert!(refused.is_empty(), "\n{}\n", refused.join("\n"));
}

/// Names and licence expressions of all locked packages, those of other platforms included where they are fetched.
fn locked_packages() -> Vec<(String, String)> {
    let text = metadata(&[]).or_else(|_| {
        println!("SKIPPED: licences of packages for other platforms, which are not fetched here");
        metadata(&["--filter-platform", &host()])
    });
    let text = text.expect("cargo metadata");
    let value: serde_json::Value = serde_json::from_str(&text).expect("cargo metadata prints JSON");
    let packages = value["packages"].as_array().expect("metadata lists packages");
    packages
        .iter()
        .map(|p| {
            let name = p["name"].as_str().expect("packages have names").to_owned();
            (name, p["license"].as_str().unwrap_or("none given").to_owned())
        })
        .collect()
}

fn metadata(more: &[&str]) -> Result<String, String> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--offline", "--locked", "--format-version", "1", "--manifest-path"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .args(more)
        .output()
        .map_err(|e| e.to_string())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    String::from_utf8(output.stdout).map_err(|e| e.to_string())
}

/// The platform that this compiler builds for.
fn host() -> String {
    let output = Command::new("rustc").arg("-vV").output().expect("rustc is on PATH beside cargo");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc -vV names the host").to_owned()
}

fn is_allowed(package: &str, licence: &str) -> bool {
    ALLOWED.contains(&licence) || ALLOWED_FOR.iter().any(|&(p, l, _)| p == package && l == licence)
}

/// Whether a licence expression can be met: `A OR B` by either, `A AND B` by both; `/` is an old form of `OR`.
fn allows(expression: &str, allowed: &dyn Fn(&str) -> bool) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    let met = either(&words, &mut at, allowed);
    met && at == words.len()
}

fn either(words: &[&str], at: &mut usize, allowed: &dyn Fn(&str) -> bool) -> bool {
    let mut met = both(words, at, allowed);
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        met |= both(words, at, allowed);
    }
    met
}

fn both(words: &[&str], at: &mut usize, allowed: &dyn Fn(&str) -> bool) -> bool {
    let mut met = one(words, at, allowed);
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        met &= one(words, at, allowed);
    }
    met
}

fn one(words: &[&str], at: &mut usize, allowed: &dyn Fn(&str) -> bool) -> bool {
    let Some(&word) = words.get(*at) else { return false };
    *at += 1;
    if word == "(" {
        let met = either(words, at, allowed);
        let closed = words.get(*at) == Some(&")");
        *at += 1;
        return met && closed;
    }
    // An exception only adds permissions, so the licence alone decides.
    if words.get(*at) == Some(&"WITH") {
        *at += 2;
    }
    allowed(word)
}

#[test]
fn licence_expressions_are_met_as_their_words_say() {
    let mit = |word: &str| word == "MIT";
    for (expression, met) in [
        ("MIT", true),
        ("GPL-3.0", false),
        ("GPL-3.0 OR MIT", true),
        ("GPL-3.0 AND MIT", false),
        ("GPL-3.0/MIT", true),
        ("(GPL-3.0 OR MIT) AND MIT", true),
        ("(GPL-3.0 OR MIT) AND GPL-3.0", false),
        ("MIT OR GPL-3.0 AND BSD", true),
        ("MIT WITH LLVM-exception", true),
        ("(MIT", false),
        ("MIT )", false),
        ("none given", false),
        ("", false),
    ] {
        assert_eq!(allows(expression, &mit), met, "{expression}");
    }
}

#[test]
fn a_licence_allowed_for_one_package_is_not_allowed_for_another() {
    assert!(is_allowed("option-ext", "MPL-2.0"));
    assert!(!is_allowed("tiff", "MPL-2.0"));
}
