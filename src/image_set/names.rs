//! Families of names: files whose names differ only in numbers and in a word or two, and what those numbers mean.
//!
//! A name alone never makes a field.
//! A family does, under one of these rules, and only for files that are single camera pictures of equal size:
//!
//! - **Row and column** are labelled (`r01_c02`, `img_R1C2`, `col0061_row0140`, `x2_y3`, `[Grid@0 1]`), or two bare
//!   numbers vary and fill at least nine tenths of a grid of six cells or more.
//! - **A labelled count** (`s1`, `site2`, `tile_003`, `fov7`, `pos4`) of at least four; the letters `f`, `p` and `m` count
//!   fields only beside another label (`B03_f2`, `ch0_m7`), and no single letter does in names that speak of cases,
//!   patients or slides.
//! - **A capital letter with three digits or more** (`A001`), as some confocals count their positions, of at least four.
//!
//! A bare count (`img_0001`) never does: time series, focus series and collections of slides look just like that.
//! Neither do times, focus positions or channels alone.
//! A count says nothing about rows and columns, so a grid as square as possible is guessed, and the overlaps decide.

use super::lexer::{Part, PartKind, parts};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Least fields for a family that only counts them.
pub const LEAST_SEQUENCE: usize = 4;

/// Least cells of a grid of bare numbers, and the share of them that must be there.
const LEAST_BARE_CELLS: usize = 6;
const BARE_FILL_SHARE: f64 = 0.9;

/// Digits behind a capital letter that count positions.
const LEAST_COUNT_DIGITS: usize = 3;

/// What names a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FieldKey {
    /// Row and column.
    RowCol(i32, i32),
    /// Its number in a sequence.
    Number(i64),
    /// One image of one file, or one position in it.
    Image(u32, u32, u32),
}

/// What names a channel. Numbers come before words, DAPI before other words.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelTag {
    /// Its number; [`ChannelTag::WORD`] where a word alone names it.
    pub number: i64,
    /// Whether it is not the stain of the nuclei, which comes first.
    pub is_other: bool,
    /// Its name in the file's name.
    pub name: String,
}

impl ChannelTag {
    /// The number of channels that have none.
    pub const WORD: i64 = i64::MAX;

    /// A channel by what the file's name says.
    pub fn new(number: i64, name: &str) -> Self {
        let lower = name.to_lowercase();
        Self { number, is_other: !(lower.starts_with("dapi") || lower.starts_with("hoechst")), name: name.to_owned() }
    }
}

/// What one file's name says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NameTags {
    /// Which family: index into the families.
    pub family: usize,
    /// What tells its set from others of the family: the well, the scene, a word.
    pub set: String,
    /// The field.
    pub field: Option<FieldKey>,
    /// The channel.
    pub channel: Option<ChannelTag>,
    /// Focus position, time point, round.
    pub z: i64,
    pub t: i64,
    pub round: i64,
}

/// How much a family's names say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Says {
    /// Nothing of fields.
    Nothing,
    /// A count of fields.
    Count,
    /// Rows and columns.
    Grid,
}

/// Files with names alike.
#[derive(Debug, Clone)]
pub struct Family {
    /// Its names in words, `img_r{row}_c{col}.tif`.
    pub pattern: String,
    /// What they say.
    pub says: Says,
    /// Rows and columns are labelled x and y, so they may be places.
    pub is_xy: bool,
}

/// Sorts names into families and reads them.
pub fn read(names: &[&str]) -> (Vec<Family>, Vec<NameTags>) {
    let lexed: Vec<Vec<Part>> = names.iter().map(|name| parts(stem(name))).collect();
    let mut members: BTreeMap<Vec<PartKind>, BTreeMap<String, Vec<usize>>> = BTreeMap::new();
    for (index, parts) in lexed.iter().enumerate() {
        // A label that is a plate's letter as well is settled once all names are seen.
        let signature = parts.iter().map(|p| p.kind).collect();
        let ending = names[index][stem(names[index]).len()..].to_lowercase();
        members.entry(signature).or_default().entry(ending).or_default().push(index);
    }
    let mut families = Vec::new();
    let mut tags = vec![NameTags::default(); names.len()];
    for files in members.into_values().flat_map(BTreeMap::into_values) {
        for files in split_by_words(&lexed, files) {
            read_family(names, &lexed, &files, &mut families, &mut tags);
        }
    }
    (families, tags)
}

/// A name without its ending. Two endings of images belong together: `.ome.tif`.
pub fn stem(name: &str) -> &str {
    let cut =
        |name: &str| name.rfind('.').filter(|&at| at > name.rfind('/').map_or(0, |s| s + 1)).unwrap_or(name.len());
    let once = &name[..cut(name)];
    if once.to_lowercase().ends_with(".ome") { &once[..cut(once)] } else { once }
}

/// What a column of a family's names is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
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

/// Splits files of one signature where the words in front of all numbers differ without a pattern: `case` and `photo`.
fn split_by_words(lexed: &[Vec<Part>], files: Vec<usize>) -> Vec<Vec<usize>> {
    let Some(&first) = files.first() else { return Vec::new() };
    let Some(column) = lexed[first].iter().position(|p| p.kind == PartKind::Word) else { return vec![files] };
    let has_labels = lexed[first].iter().any(|p| matches!(p.kind, PartKind::Labelled(_)));
    // With labels a first word that varies is a scene or a channel; without, it tells strangers apart.
    if has_labels {
        return vec![files];
    }
    let mut groups: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for &file in &files {
        let text = lexed[file][column].text.as_str();
        groups.entry(text.trim_end_matches(|c: char| c.is_ascii_digit())).or_default().push(file);
    }
    groups.into_values().collect()
}

fn read_family(
    names: &[&str],
    lexed: &[Vec<Part>],
    files: &[usize],
    families: &mut Vec<Family>,
    tags: &mut [NameTags],
) {
    let columns = lexed[files[0]].len();
    let values = |column: usize| files.iter().map(|&f| lexed[f][column].text.as_str()).collect::<BTreeSet<&str>>();
    let distinct: Vec<usize> = (0..columns).map(|c| values(c).len()).collect();
    let labels: Vec<Option<&str>> = (0..columns).map(|c| label_of(lexed, files, c)).collect();
    let mut roles = labelled_roles(&labels, &distinct);
    let has = |roles: &[Option<Role>], wanted: Role| roles.contains(&Some(wanted));
    drop_repeats(lexed, files, &labels, &mut roles);
    // Rows and columns that repeat under other field numbers are those of a plate.
    if has(&roles, Role::Row) && has(&roles, Role::Col) && has(&roles, Role::Number) {
        let cells = distinct_tuples(lexed, files, &roles, |r| !matches!(r, Role::Number | Role::Ignored));
        let becomes = if cells < files.len() { (Role::Set, Role::Number) } else { (Role::Row, Role::Ignored) };
        for role in roles.iter_mut().flatten() {
            match role {
                Role::Row | Role::Col if becomes.0 == Role::Set => *role = Role::Set,
                Role::Number => *role = becomes.1,
                _ => {}
            }
        }
    }
    let mut says = if has(&roles, Role::Row) || has(&roles, Role::Col) {
        Says::Grid
    } else if has(&roles, Role::Number) && counts_fields(lexed, files, &labels, &roles) {
        Says::Count
    } else {
        Says::Nothing
    };
    if says == Says::Nothing {
        says = bare_roles(lexed, files, &distinct, &mut roles);
    }
    free_roles(lexed, files, &distinct, &mut roles);
    let family = families.len();
    for &file in files {
        tags[file] = tags_of(&lexed[file], &roles, &labels, family);
    }
    let is_xy = (0..columns).any(|c| labels[c] == Some("x") && roles[c] == Some(Role::Col));
    families.push(Family { pattern: pattern(names[files[0]], &lexed[files[0]], &roles, &distinct), says, is_xy });
}

/// The label of a column: that of its parts, or the one capital letter that all its short wells share.
fn label_of(lexed: &[Vec<Part>], files: &[usize], column: usize) -> Option<&'static str> {
    match lexed[files[0]][column].kind {
        PartKind::Labelled(label) => Some(label),
        PartKind::WellLike => {
            let letters: BTreeSet<u8> = files.iter().map(|&f| lexed[f][column].text.as_bytes()[0]).collect();
            match letters.into_iter().collect::<Vec<_>>()[..] {
                [b'C'] => Some("c"),
                [b'F'] => Some("f"),
                [b'M'] => Some("m"),
                [b'P'] => Some("p"),
                _ => None,
            }
        }
        PartKind::Number | PartKind::Word => None,
    }
}

/// Roles of columns by their labels.
fn labelled_roles(labels: &[Option<&str>], distinct: &[usize]) -> Vec<Option<Role>> {
    let any = |wanted: &[&str]| labels.iter().flatten().any(|l| wanted.contains(l));
    let has_rows = any(&["r", "row"]);
    let has_columns = any(&["c", "col", "column"]);
    let has_fields = any(&["f", "field", "fov"]);
    let has_both = any(&["x"]) && any(&["y"]);
    let numbers: Vec<usize> = (0..labels.len())
        .filter(|&i| distinct[i] > 1)
        .filter(|&i| {
            labels[i].is_some_and(|l| {
                matches!(
                    l,
                    "s" | "site" | "series" | "pos" | "position" | "f" | "field" | "fov" | "tile" | "m" | "grid"
                ) || (l == "p" && !has_fields)
            })
        })
        .collect();
    let role = |index: usize, label: &str| match label {
        "row" => Role::Row,
        "col" | "column" => Role::Col,
        "r" if has_columns => Role::Row,
        "r" => Role::Round,
        "c" if has_rows => Role::Col,
        "c" => Role::Channel,
        "x" if has_both && !has_columns => Role::Col,
        "y" if has_both && !has_rows => Role::Row,
        "ch" | "channel" | "chan" | "w" | "wave" | "wavelength" => Role::Channel,
        "p" if has_fields => Role::Z,
        "z" | "slice" | "plane" | "zplane" => Role::Z,
        "t" | "time" | "timepoint" | "tp" | "frame" => Role::T,
        "cycle" | "cyc" | "round" | "rnd" | "hyb" => Role::Round,
        "scene" | "region" | "roi" | "well" => Role::Set,
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
fn drop_repeats(lexed: &[Vec<Part>], files: &[usize], labels: &[Option<&str>], roles: &mut [Option<Role>]) {
    for column in 0..roles.len() {
        let is_place = labels[column].is_some_and(|l| matches!(l, "well" | "scene" | "region" | "roi"));
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
fn counts_fields(lexed: &[Vec<Part>], files: &[usize], labels: &[Option<&str>], roles: &[Option<Role>]) -> bool {
    let Some(column) = roles.iter().position(|r| *r == Some(Role::Number)) else { return false };
    let label = labels[column].unwrap_or("");
    let is_other = |(index, part): (usize, &Part)| {
        index != column && matches!(part.kind, PartKind::Labelled(_) | PartKind::WellLike)
    };
    let has_others = lexed[files[0]].iter().enumerate().any(is_other);
    let needs_others = matches!(label, "f" | "p" | "m");
    (has_others || !needs_others) && (label.len() > 1 || !names_a_collection(lexed, files))
}

/// Roles of numbers without a label, where no labelled one names the field.
fn bare_roles(lexed: &[Vec<Part>], files: &[usize], distinct: &[usize], roles: &mut [Option<Role>]) -> Says {
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
fn free_roles(lexed: &[Vec<Part>], files: &[usize], distinct: &[usize], roles: &mut [Option<Role>]) {
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
fn distinct_tuples(
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

fn tags_of(parts: &[Part], roles: &[Option<Role>], labels: &[Option<&str>], family: usize) -> NameTags {
    let mut tags = NameTags { family, ..NameTags::default() };
    let (mut row, mut col, mut number) = (None, None, None);
    let mut channel: Option<ChannelTag> = None;
    for (column, part) in parts.iter().enumerate() {
        let Some(role) = roles[column] else { continue };
        let digits = part.text.trim_start_matches(|c: char| !c.is_ascii_digit());
        let value = digits.parse::<i64>().unwrap_or(0);
        match role {
            Role::Row => row = i32::try_from(value).ok(),
            Role::Col => col = i32::try_from(value).ok(),
            Role::Number => number = Some(value),
            Role::Z => tags.z = value,
            Role::T => tags.t = value,
            Role::Round => tags.round = value,
            Role::Set => {
                let label = labels[column].filter(|l| !matches!(*l, "well" | "scene" | "region")).unwrap_or("");
                let text = match (part.kind, label) {
                    (PartKind::WellLike, _) => part.text.clone(),
                    (_, "") => part.text.clone(),
                    _ => format!("{label}{}", part.text),
                };
                if !tags.set.is_empty() {
                    tags.set.push('_');
                }
                tags.set += &text;
            }
            Role::Channel => {
                let name = match part.kind {
                    PartKind::Labelled(_) if !part.suffix.is_empty() => part.suffix.clone(),
                    PartKind::Labelled(label) => format!("{label}{}", part.text),
                    _ => part.text.clone(),
                };
                let own = match part.kind {
                    PartKind::Word => ChannelTag::new(ChannelTag::WORD, &name),
                    _ => ChannelTag::new(value, &name),
                };
                // A number and a word together, `ch1_DAPI`: the number orders, the word names.
                channel = Some(match channel {
                    Some(before) => {
                        let word = if part.kind == PartKind::Word { &own.name } else { &before.name };
                        ChannelTag::new(before.number.min(own.number), word)
                    }
                    None => own,
                });
            }
            Role::Ignored => {}
        }
    }
    tags.channel = channel;
    tags.field = match (row, col) {
        (None, None) => number.map(FieldKey::Number),
        (row, col) => Some(FieldKey::RowCol(row.unwrap_or(0), col.unwrap_or(0))),
    };
    tags
}

/// A name with words in place of what varies.
fn pattern(name: &str, parts: &[Part], roles: &[Option<Role>], distinct: &[usize]) -> String {
    let mut out = String::new();
    let mut at = 0;
    for (column, part) in parts.iter().enumerate() {
        let word = match roles[column] {
            Some(Role::Row) => "{row}",
            Some(Role::Col) => "{col}",
            Some(Role::Number) => "{series}",
            Some(Role::Channel) => "{channel}",
            Some(Role::Z) => "{z}",
            Some(Role::T) => "{t}",
            Some(Role::Round) => "{round}",
            Some(Role::Set) => "{well}",
            Some(Role::Ignored) if distinct[column] > 1 => "{*}",
            _ => continue,
        };
        let (start, end) = part.span;
        let letters = part.text.len() - part.text.trim_start_matches(|c: char| !c.is_ascii_digit()).len();
        let keeps_letter = roles[column] == Some(Role::Number) && letters > 0;
        let start = if keeps_letter || word_is_cell(word, part) { start + letters } else { start };
        out += &name[at..start];
        out += word;
        at = end + part.suffix.len();
    }
    out + &name[at..]
}

/// Whether a short well stands for a labelled number (`C02` as a column).
fn word_is_cell(word: &str, part: &Part) -> bool {
    part.kind == PartKind::WellLike && matches!(word, "{row}" | "{col}" | "{channel}")
}

/// Rows or columns (or any indices) as steps of one: `140, 141`, `0, 10, 30` -> `0, 1, 3`.
pub fn steps_of_one(values: impl Iterator<Item = i64>) -> HashMap<i64, i64> {
    let values: BTreeSet<i64> = values.collect();
    let first = values.iter().next().copied().unwrap_or(0);
    let divisor = values.iter().fold(0, |gcd, v| greatest_divisor(gcd, v - first)).max(1);
    values.into_iter().map(|v| (v, (v - first) / divisor)).collect()
}

fn greatest_divisor(a: i64, b: i64) -> i64 {
    if b == 0 { a.abs() } else { greatest_divisor(b, a % b) }
}

/// Orders names as people do: numbers by their value.
pub fn natural_order(a: &str, b: &str) -> std::cmp::Ordering {
    use std::cmp::Ordering::Equal;
    let (mut left, mut right) = (a, b);
    while !left.is_empty() && !right.is_empty() {
        let digits = |s: &str| s.len() - s.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (dl, dr) = (digits(left), digits(right));
        let (len_left, len_right) = if dl > 0 && dr > 0 {
            let (nl, nr) = (left[..dl].trim_start_matches('0'), right[..dr].trim_start_matches('0'));
            let order = nl.len().cmp(&nr.len()).then_with(|| nl.cmp(nr));
            if order != Equal {
                return order;
            }
            (dl, dr)
        } else {
            let (cl, cr) = (left.chars().next(), right.chars().next());
            if cl != cr {
                return cl.cmp(&cr);
            }
            (cl.map_or(0, char::len_utf8), cr.map_or(0, char::len_utf8))
        };
        (left, right) = (&left[len_left..], &right[len_right..]);
    }
    left.len().cmp(&right.len()).then_with(|| a.cmp(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one_family(names: &[&str]) -> (Family, Vec<NameTags>) {
        let (families, tags) = read(names);
        assert_eq!(families.len(), 1, "{families:?}");
        (families[0].clone(), tags)
    }

    #[test]
    fn rows_columns_and_channels_are_read_from_their_labels() {
        let (family, tags) = one_family(&["r00_c01_ch0.tif", "r01_c01_ch0.tif", "r01_c01_ch1.tif", "r00_c00_ch1.tif"]);
        assert_eq!((family.pattern.as_str(), family.says), ("r{row}_c{col}_ch{channel}.tif", Says::Grid));
        assert_eq!(tags[2].field, Some(FieldKey::RowCol(1, 1)));
        assert_eq!(tags[2].channel, Some(ChannelTag::new(1, "ch1")));
    }

    #[test]
    fn a_word_that_varies_behind_the_field_is_a_channel_and_before_it_a_scene() {
        let (_, tags) = one_family(&["s_r1_c1_CD45.tif", "s_r1_c1_CD8.tif", "s_r1_c2_CD45.tif", "s_r1_c2_CD8.tif"]);
        assert!(tags.iter().all(|t| t.set.is_empty()));
        assert_eq!(tags[0].channel.as_ref().map(|c| c.name.as_str()), Some("CD45"));
        let (_, tags) = one_family(&["left_r1_c1.tif", "right_r1_c1.tif", "left_r1_c2.tif", "right_r1_c2.tif"]);
        assert_eq!(tags.iter().map(|t| t.set.as_str()).collect::<Vec<_>>(), ["left", "right", "left", "right"]);
    }

    #[test]
    fn a_stamp_of_its_own_in_every_name_says_nothing() {
        let (family, tags) = one_family(&["r1_c1_1731.tif", "r1_c2_1802.tif", "r2_c1_1944.tif", "r2_c2_2001.tif"]);
        assert!(tags.iter().all(|t| t.set.is_empty()), "{tags:?}");
        assert_eq!(family.pattern, "r{row}_c{col}_{*}.tif");
    }

    #[test]
    fn wells_sites_and_waves_are_told_apart() {
        let (family, tags) =
            one_family(&["9987_B02_s1_w1.TIF", "9987_B02_s2_w2.TIF", "9987_C03_s1_w1DAPI.TIF", "9987_C03_s2_w2.TIF"]);
        assert_eq!(family.says, Says::Count);
        assert_eq!((tags[2].set.as_str(), tags[2].field), ("C03", Some(FieldKey::Number(1))));
        assert_eq!(tags[2].channel.as_ref().map(|c| c.name.as_str()), Some("DAPI"));
    }

    #[test]
    fn rows_and_columns_of_a_plate_are_wells_where_fields_have_numbers() {
        let names =
            ["r01c01f01p01-ch1.tiff", "r01c01f02p01-ch1.tiff", "r01c02f01p01-ch1.tiff", "r01c02f02p01-ch1.tiff"];
        let (_, tags) = one_family(&names);
        assert_eq!((tags[3].set.as_str(), tags[3].field), ("r01_c02", Some(FieldKey::Number(2))));
    }

    #[test]
    fn a_capital_c_is_a_column_beside_rows_and_a_channel_beside_sites() {
        let (_, tags) = one_family(&["R01_C01.tif", "R01_C02.tif", "R02_C01.tif"]);
        assert_eq!(tags[1].field, Some(FieldKey::RowCol(1, 2)));
        let (_, tags) = one_family(&["s1_C01.tif", "s1_C02.tif", "s2_C01.tif", "s2_C02.tif"]);
        assert_eq!(tags[1].channel.as_ref().map(|c| c.number), Some(2));
    }

    #[test]
    fn rounds_are_told_from_rows() {
        let (_, tags) = one_family(&["cycle1_r1_c1.tif", "cycle1_r1_c2.tif", "cycle2_r1_c1.tif", "cycle2_r1_c2.tif"]);
        assert_eq!((tags[2].round, tags[2].set.as_str()), (2, ""));
        let (_, tags) = one_family(&["R1_s1.tif", "R1_s2.tif", "R2_s1.tif", "R2_s2.tif"]);
        assert_eq!((tags[2].round, tags[2].field), (2, Some(FieldKey::Number(1))));
    }

    #[test]
    fn a_position_that_folder_and_file_both_name_is_one_number() {
        let (family, tags) = one_family(&[
            "Pos0/img_channel000_position000_time000000000_z000.tif",
            "Pos1/img_channel000_position001_time000000000_z000.tif",
        ]);
        assert_eq!((family.says, tags[1].set.as_str()), (Says::Count, ""));
        assert_eq!(tags[1].field, Some(FieldKey::Number(1)));
    }

    #[test]
    fn bare_counts_say_nothing_and_lettered_ones_count() {
        for names in [
            ["img_0001.tif", "img_0002.tif"],
            ["t001.tif", "t002.tif"],
            ["img_z1.tif", "img_z2.tif"],
            ["mouse_m1.tif", "mouse_m2.tif"],
            ["case7_s1.tif", "case7_s2.tif"],
            ["p01.tif", "p02.tif"],
        ] {
            assert_eq!(one_family(&names).0.says, Says::Nothing, "{names:?}");
        }
        let (family, tags) = one_family(&["x100_e_001_A001_I.tif", "x100_e_001_A008_I.tif"]);
        assert_eq!((family.says, tags[1].field), (Says::Count, Some(FieldKey::Number(8))));
        assert_eq!(family.pattern, "x100_e_001_A{series}_I.tif");
    }

    #[test]
    fn two_bare_numbers_are_a_grid_only_where_they_fill_one_and_name_no_cases() {
        let grid: Vec<String> = (0..6).map(|i| format!("img_{}_{}.tif", i / 3, i % 3)).collect();
        let names: Vec<&str> = grid.iter().map(String::as_str).collect();
        assert_eq!(one_family(&names).0.says, Says::Grid);
        assert_eq!(one_family(&names[..5]).0.says, Says::Nothing);
        let cases: Vec<String> = (0..6).map(|i| format!("case_{}_{}.tif", i / 3, i % 3)).collect();
        assert_eq!(one_family(&cases.iter().map(String::as_str).collect::<Vec<_>>()).0.says, Says::Nothing);
    }

    #[test]
    fn numbers_order_names_by_value() {
        let mut names = ["s10", "s2", "s1", "a", "s02b"];
        names.sort_by(|a, b| natural_order(a, b));
        assert_eq!(names, ["a", "s1", "s2", "s02b", "s10"]);
    }
}
