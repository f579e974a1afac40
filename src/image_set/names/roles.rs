//! What the columns of a family's names are for: by their labels, and what is left by how they vary.

use super::Says;
use crate::image_set::lexer::{Part, PartKind, STAMP};
use std::collections::BTreeSet;

/// Least cells of a grid of bare numbers, and the share of them that must be there.
const LEAST_BARE_CELLS: usize = 6;
const BARE_FILL_SHARE: f64 = 0.9;

/// Digits behind `W` that count wells.
const LEAST_WELL_DIGITS: usize = 4;

/// Digits behind a capital letter that count positions.
const LEAST_COUNT_DIGITS: usize = 3;

/// What a column of a family's names is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Row,
    Col,
    Number,
    Channel,
    Z,
    T,
    Round,
    Set,
    Ignored,
}

/// The label of a column: that of its parts, or the one capital letter that all its short wells share.
pub fn label_of(lexed: &[Vec<Part>], files: &[usize], column: usize) -> Option<&'static str> {
    match lexed[files[0]][column].kind {
        PartKind::Labelled(label) => Some(label),
        PartKind::WellLike => {
            let letters: BTreeSet<u8> = files.iter().map(|&f| lexed[f][column].text.as_bytes()[0]).collect();
            match letters.into_iter().collect::<Vec<_>>()[..] {
                [letter] => letter_label(letter),
                _ => None,
            }
        }
        PartKind::Number | PartKind::Word => None,
    }
}

/// The label that a capital letter with one or two digits may be, rather than a row of a plate.
pub fn letter_label(letter: u8) -> Option<&'static str> {
    match letter {
        b'C' => Some("c"),
        b'F' => Some("f"),
        b'M' => Some("m"),
        b'P' => Some("p"),
        _ => None,
    }
}

/// Roles of columns by their labels.
///
/// `digits` are the fewest digits of each column.
pub fn labelled_roles(labels: &[Option<&str>], distinct: &[usize], digits: &[usize]) -> Vec<Option<Role>> {
    let any = |wanted: &[&str]| labels.iter().flatten().any(|l| wanted.contains(l));
    let has_rows = any(&["r", "row"]);
    let has_columns = any(&["c", "col", "column"]);
    let has_fields = any(&["f", "field", "fov", "fld"]);
    // `c` is a column beside a row, unless another label is.
    let is_c_col = has_rows && !any(&["col", "column"]);
    let has_named_columns = any(&["col", "column"]) || (has_rows && any(&["c"]));
    let has_channels = any(&["ch", "channel", "chan"]) || (any(&["c"]) && !is_c_col);
    let has_both = any(&["x"]) && any(&["y"]);
    let numbers: Vec<usize> = (0..labels.len())
        .filter(|&i| distinct[i] > 1)
        .filter(|&i| {
            labels[i].is_some_and(|l| {
                matches!(
                    l,
                    "s" | "site"
                        | "series"
                        | "pos"
                        | "position"
                        | "stage"
                        | "xy"
                        | "f"
                        | "field"
                        | "fov"
                        | "fld"
                        | "tile"
                        | "m"
                        | "grid"
                ) || (l == "p" && !has_fields)
            })
        })
        .collect();
    let role = |index: usize, label: &str| match label {
        "row" => Role::Row,
        "col" | "column" => Role::Col,
        "r" if has_columns => Role::Row,
        "r" => Role::Round,
        "c" if is_c_col => Role::Col,
        "c" => Role::Channel,
        "x" if has_both && !has_named_columns => Role::Col,
        "y" if has_both && !has_rows => Role::Row,
        // A well's number, `W0001F0001C1`; waves have a digit or two.
        "w" if has_channels || digits[index] >= LEAST_WELL_DIGITS => Role::Set,
        "d" if has_fields => Role::Channel,
        "ch" | "channel" | "chan" | "w" | "wave" | "wavelength" => Role::Channel,
        "p" if has_fields => Role::Z,
        "z" | "slice" | "plane" | "zplane" | "zstep" => Role::Z,
        "t" | "time" | "timepoint" | "tp" | "frame" | STAMP => Role::T,
        "cycle" | "cyc" | "round" | "rnd" | "hyb" => Role::Round,
        "scene" | "reg" | "region" | "roi" | "well" => Role::Set,
        // The innermost count is the field's: a site lies within a position.
        _ if numbers.last() == Some(&index) => Role::Number,
        _ if numbers.contains(&index) => Role::Set,
        _ => Role::Ignored,
    };
    let of = |index: usize| {
        let label = labels[index]?;
        let role = role(index, label);
        (distinct[index] > 1 || matches!(role, Role::Row | Role::Col | Role::Channel)).then_some(role)
    };
    let mut roles: Vec<Option<Role>> = (0..labels.len()).map(of).collect();
    // A row that never changes says something only beside a column that does.
    let varies = |wanted: Role| (0..labels.len()).any(|i| roles[i] == Some(wanted) && distinct[i] > 1);
    if !varies(Role::Row) && !varies(Role::Col) {
        roles.iter_mut().filter(|r| matches!(r, Some(Role::Row | Role::Col))).for_each(|r| *r = None);
    }
    roles
}

/// Numbers that repeat another one, as the folder's and the file's own of one position, tell nothing apart.
pub fn drop_repeats(lexed: &[Vec<Part>], files: &[usize], labels: &[Option<&str>], roles: &mut [Option<Role>]) {
    for column in 0..roles.len() {
        let is_place = labels[column].is_some_and(|l| matches!(l, "well" | "scene" | "reg" | "region" | "roi"));
        if roles[column] != Some(Role::Set) || labels[column].is_none() || is_place {
            continue;
        }
        let with = distinct_tuples(lexed, files, roles, |r| r != Role::Ignored);
        roles[column] = Some(Role::Ignored);
        if distinct_tuples(lexed, files, roles, |r| r != Role::Ignored) < with {
            roles[column] = Some(Role::Set);
        }
    }
}

/// Whether a labelled count is one of fields: some letters count much else.
pub fn counts_fields(lexed: &[Vec<Part>], files: &[usize], labels: &[Option<&str>], roles: &[Option<Role>]) -> bool {
    let Some(column) = roles.iter().position(|r| *r == Some(Role::Number)) else { return false };
    let label = labels[column].unwrap_or("");
    let is_other = |(index, part): (usize, &Part)| {
        index != column && matches!(part.kind, PartKind::Labelled(_) | PartKind::WellLike)
    };
    let has_others = lexed[files[0]].iter().enumerate().any(is_other);
    // Zeiss' programs end the names of what was taken so.
    let is_original = lexed[files[0]].last().is_some_and(|p| p.text == "ORG");
    let needs_others = matches!(label, "f" | "p" | "m") && !is_original;
    (has_others || !needs_others) && (label.len() > 1 || !names_a_collection(lexed, files))
}

/// Roles of numbers without a label, where no labelled one names the field.
pub fn bare_roles(lexed: &[Vec<Part>], files: &[usize], distinct: &[usize], roles: &mut [Option<Role>]) -> Says {
    let kind = |c: usize| lexed[files[0]][c].kind;
    let bare: Vec<usize> = (0..roles.len()).filter(|&c| distinct[c] > 1 && kind(c) == PartKind::Number).collect();
    if let [row, col] = bare[..]
        && roles.iter().flatten().all(|r| matches!(r, Role::Channel | Role::Z | Role::Round))
    {
        let cells = distinct[row] * distinct[col];
        let pairs: BTreeSet<_> = files.iter().map(|&f| (&lexed[f][row].text, &lexed[f][col].text)).collect();
        let fills = pairs.len() as f64 >= cells as f64 * BARE_FILL_SHARE && cells >= LEAST_BARE_CELLS;
        if fills && !names_a_collection(lexed, files) {
            (roles[row], roles[col]) = (Some(Role::Row), Some(Role::Col));
            return Says::Grid;
        }
    }
    let counts = |c: usize| {
        let mut texts = files.iter().map(|&f| lexed[f][c].text.as_str());
        let first = texts.clone().next().unwrap_or("");
        let is_count = |text: &str| {
            let digits = text.get(1..).unwrap_or("");
            text.as_bytes().first().is_some_and(u8::is_ascii_uppercase)
                && text.as_bytes()[0] == first.as_bytes()[0]
                && digits.len() >= LEAST_COUNT_DIGITS
                && digits.bytes().all(|b| b.is_ascii_digit())
        };
        texts.all(is_count)
    };
    let lettered = (0..roles.len()).find(|&c| distinct[c] > 1 && kind(c) == PartKind::Word && counts(c));
    match lettered {
        Some(column) => {
            roles[column] = Some(Role::Number);
            Says::Count
        }
        None => Says::Nothing,
    }
}

/// Whether names speak of slides and cases rather than of fields.
fn names_a_collection(lexed: &[Vec<Part>], files: &[usize]) -> bool {
    const WORDS: &[&str] =
        &["case", "patient", "slide", "sample", "specimen", "block", "core", "section", "subject", "mouse"];
    let first = &lexed[files[0]];
    first.iter().any(|p| {
        let word = p.text.trim_end_matches(|c: char| c.is_ascii_digit()).to_lowercase();
        p.kind == PartKind::Word && WORDS.contains(&word.trim_end_matches('s'))
    })
}

/// Roles of the columns that are left and vary: a channel's word, the name of a scene, or a stamp that says nothing.
pub fn free_roles(lexed: &[Vec<Part>], files: &[usize], distinct: &[usize], roles: &mut [Option<Role>]) {
    let is_field = |r: &Option<Role>| matches!(r, Some(Role::Row | Role::Col | Role::Number));
    let last_field = roles.iter().rposition(is_field);
    // Where nothing names fields, only what is named as a place tells sets apart: the stage does the rest.
    let names_fields = last_field.is_some();
    let first_free = roles.iter().position(is_field).unwrap_or(roles.len());
    for column in 0..roles.len() {
        if distinct[column] < 2 || roles[column].is_some_and(|r| r != Role::Ignored) {
            continue;
        }
        let kind = lexed[files[0]][column].kind;
        let values = || files.iter().map(|&f| lexed[f][column].text.as_str());
        if kind == PartKind::Word && values().any(is_channel_word) {
            roles[column] = Some(Role::Channel);
            continue;
        }
        let without = distinct_tuples(lexed, files, roles, |r| r != Role::Ignored);
        let is_stamp = distinct[column] * 2 > files.len() && without == files.len();
        let after = last_field.is_some_and(|last| column > last);
        roles[column] = Some(match kind {
            _ if is_stamp => Role::Ignored,
            PartKind::WellLike => Role::Set,
            _ if !names_fields => Role::Ignored,
            PartKind::Word if after && !roles.contains(&Some(Role::Channel)) && without < files.len() => Role::Channel,
            _ if column < first_free || without < files.len() => Role::Set,
            _ => Role::Ignored,
        });
    }
}

/// How many combinations of the columns whose role passes there are.
pub fn distinct_tuples(
    lexed: &[Vec<Part>],
    files: &[usize],
    roles: &[Option<Role>],
    counts: impl Fn(Role) -> bool,
) -> usize {
    let columns: Vec<usize> = (0..roles.len()).filter(|&c| roles[c].is_some_and(&counts)).collect();
    let tuple = |&file: &usize| {
        columns.iter().map(|&c| (lexed[file][c].text.as_str(), lexed[file][c].suffix.as_str())).collect::<Vec<_>>()
    };
    files.iter().map(tuple).collect::<std::collections::HashSet<_>>().len()
}

/// Whether a word is a dye, a protein or a way of taking light.
fn is_channel_word(word: &str) -> bool {
    const WORDS: &[&str] = &[
        "dapi",
        "hoechst",
        "fitc",
        "gfp",
        "egfp",
        "yfp",
        "eyfp",
        "cfp",
        "ecfp",
        "rfp",
        "mcherry",
        "tritc",
        "txred",
        "texasred",
        "tomato",
        "tdtomato",
        "draq",
        "pi",
        "bf",
        "brightfield",
        "phase",
        "dic",
        "trans",
        "tl",
        "he",
        "af",
        "alexa",
        "cy",
        "opal",
        "red",
        "green",
        "blue",
        "farred",
        "uv",
    ];
    let lower = word.to_lowercase();
    WORDS.contains(&lower.trim_end_matches(|c: char| c.is_ascii_digit()))
}
