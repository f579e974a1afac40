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
//! - **A bare count in a shape** that one program writes (`XY01_00001_CH1`, `A1_3_2021y03m04d_10h00m`), of at least four; see
//!   `shapes`.
//!
//! A bare count alone (`img_0001`) never does: time series, focus series and collections of slides look just like that.
//! Neither do times, focus positions or channels alone.
//! A count says nothing about rows and columns, so a grid as square as possible is guessed, and the overlaps decide.

mod order;
mod roles;
mod shapes;
mod tags;
#[cfg(test)]
mod tests;

pub use order::{natural_order, steps_of_one};

use super::lexer::{Part, PartKind, parts, words_as_one};
use roles::{
    Role, bare_roles, counts_fields, distinct_tuples, drop_repeats, free_roles, label_of, labelled_roles, letter_label,
};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use tags::{pattern, tags_of};

/// Least fields for a family that only counts them.
pub const LEAST_SEQUENCE: usize = 4;

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

impl FieldKey {
    /// The field by the digits of its row and column, either of which may be missing, else of its number. Nothing where
    /// they are beyond all counting.
    pub fn of_digits(row: Option<&str>, col: Option<&str>, number: Option<&str>) -> Option<Self> {
        let index = |digits: Option<&str>| digits.map_or(Some(0), |d| d.parse::<i32>().ok());
        match (row, col) {
            (None, None) => number?.parse().ok().map(Self::Number),
            _ => Some(Self::RowCol(index(row)?, index(col)?)),
        }
    }
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
    let mut lexed: Vec<Vec<Part>> = names.iter().map(|name| shapes::channel_as_one_word(parts(stem(name)))).collect();
    settle_labels(&mut lexed);
    fold_ends(&mut lexed);
    let mut members: BTreeMap<Vec<PartKind>, BTreeMap<String, Vec<usize>>> = BTreeMap::new();
    for (index, parts) in lexed.iter().enumerate() {
        let signature = signature(parts);
        let ending = ending(names[index]);
        members.entry(signature).or_default().entry(ending).or_default().push(index);
    }
    let mut families = Vec::new();
    let mut tags = vec![NameTags::default(); names.len()];
    for files in members.into_values().flat_map(BTreeMap::into_values) {
        let has_shape = shapes::have_shape(names, &lexed, &files);
        for files in if has_shape { vec![files] } else { split_by_words(&lexed, files) } {
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

/// The ending of a name; the two spellings of one kind are one.
fn ending(name: &str) -> String {
    let ending = name[stem(name).len()..].to_lowercase();
    match ending.as_str() {
        ".tiff" => ".tif".into(),
        ".ome.tiff" => ".ome.tif".into(),
        ".jpeg" => ".jpg".into(),
        _ => ending,
    }
}

fn signature(parts: &[Part]) -> Vec<PartKind> {
    parts.iter().map(|p| p.kind).collect()
}

/// Settles capital letters that are a plate's rows as well as labels: where other names have more digits at that place
/// (`F100` beside `F99`), they are labels.
fn settle_labels(lexed: &mut [Vec<Part>]) {
    let known: HashSet<Vec<PartKind>> = lexed.iter().map(|parts| signature(parts)).collect();
    let mut settled: HashMap<Vec<PartKind>, Vec<PartKind>> = HashMap::new();
    for parts in lexed.iter_mut() {
        let own = signature(parts);
        for column in (0..own.len()).filter(|&c| own[c] == PartKind::WellLike) {
            let Some(label) = letter_label(parts[column].text.as_bytes()[0]) else { continue };
            let mut other = settled.get(&own).unwrap_or(&own).clone();
            other[column] = PartKind::Labelled(label);
            if known.contains(&other) {
                let part = &mut parts[column];
                part.kind = PartKind::Labelled(label);
                part.text.remove(0);
                part.span.0 += 1;
                settled.insert(own.clone(), other);
            }
        }
    }
}

/// Makes one word of what stands before the first and behind the last labelled number, where names that are alike between
/// them differ in kind there: `r1_c1_DAPI` and `r1_c1_Ki-67` are of one family.
fn fold_ends(lexed: &mut [Vec<Part>]) {
    let middle = |parts: &[Part]| {
        let is_label = |p: &Part| matches!(p.kind, PartKind::Labelled(_));
        Some((parts.iter().position(is_label)?, parts.iter().rposition(is_label)? + 1))
    };
    type Kinds = Vec<PartKind>;
    let mut ends: HashMap<Kinds, (HashSet<Kinds>, HashSet<Kinds>)> = HashMap::new();
    for parts in lexed.iter() {
        let Some((start, end)) = middle(parts) else { continue };
        let found = ends.entry(signature(&parts[start..end])).or_default();
        found.0.insert(signature(&parts[..start]));
        found.1.insert(signature(&parts[end..]));
    }
    for parts in lexed.iter_mut() {
        let Some((start, end)) = middle(parts) else { continue };
        let Some((fronts, tails)) = ends.get(&signature(&parts[start..end])) else { continue };
        if tails.len() > 1 && end < parts.len() {
            let word = words_as_one(&parts[end..]);
            parts.truncate(end);
            parts.push(word);
        }
        if fronts.len() > 1 && start > 0 {
            let word = words_as_one(&parts[..start]);
            parts.splice(..start, [word]);
        }
    }
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
    let fewest = |column: usize| files.iter().map(|&f| lexed[f][column].text.len()).min().unwrap_or(0);
    let digits: Vec<usize> = (0..columns).map(fewest).collect();
    let mut roles = labelled_roles(&labels, &distinct, &digits);
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
    let shape = shapes::shape_roles(names, lexed, files, &distinct, &mut roles);
    let mut says = if let Some(says) = shape {
        says
    } else if has(&roles, Role::Row) || has(&roles, Role::Col) {
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
