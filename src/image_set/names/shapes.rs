//! Programs that write numbers without labels are known by the whole shape of their names.
//!
//! A bare count says nothing of fields; behind a well, or in front of a channel written as one program writes it, it does.

use super::Says;
use super::roles::Role;
use crate::image_set::lexer::{Part, PartKind, STAMP, words_as_one};

/// Columns of a family, next to one another, and what they are for.
struct Shape {
    columns: &'static [(Look, Option<Role>)],
    /// Nothing follows them.
    is_last: bool,
}

/// What a column must look like in every name.
#[derive(Debug, Clone, Copy)]
enum Look {
    /// A well.
    Well,
    /// Digits alone, at least and at most so many.
    Digits(usize, usize),
    /// A word.
    Word,
    /// This word.
    Text(&'static str),
    /// A letter with so many digits.
    Lettered(u8, usize),
    /// A number behind this label; the third: written in capitals.
    Label(&'static str, bool),
}

/// What Keyence's names end with: the field, the focus position, the channel.
const KEYENCE_COUNT: (Look, Option<Role>) = (Look::Digits(5, 5), Some(Role::Number));
const KEYENCE_Z: (Look, Option<Role>) = (Look::Label("z", true), None);
const KEYENCE_CHANNEL: (Look, Option<Role>) = (Look::Label("ch", true), None);

/// The shapes that are known, with the programs that write them.
const SHAPES: &[Shape] = &[
    // Keyence: `Image_00001_CH1`, `XY01_00001_Z001_CH4`. Behind any other word such a number may count times.
    Shape { columns: &[(Look::Text("Image"), None), KEYENCE_COUNT, KEYENCE_CHANNEL], is_last: true },
    Shape { columns: &[(Look::Text("Image"), None), KEYENCE_COUNT, KEYENCE_Z, KEYENCE_CHANNEL], is_last: true },
    Shape { columns: &[(Look::Label("xy", true), None), KEYENCE_COUNT, KEYENCE_CHANNEL], is_last: true },
    Shape { columns: &[(Look::Label("xy", true), None), KEYENCE_COUNT, KEYENCE_Z, KEYENCE_CHANNEL], is_last: true },
    // CODEX, as Keyence takes it: the region in front, `1_00001_Z001_CH1`.
    Shape { columns: &[(Look::Digits(1, 2), None), KEYENCE_COUNT, KEYENCE_Z, KEYENCE_CHANNEL], is_last: true },
    // Olympus: `Stitch_A01_G001_0001`.
    Shape {
        columns: &[
            (Look::Well, Some(Role::Set)),
            (Look::Lettered(b'G', 3), Some(Role::Set)),
            (Look::Digits(4, 4), Some(Role::Number)),
        ],
        is_last: true,
    },
    // SBEMimage: `stack_g0001_t0002_s00003`: grid, tile, slice.
    Shape {
        columns: &[
            (Look::Lettered(b'g', 4), Some(Role::Set)),
            (Look::Label("t", false), Some(Role::Number)),
            (Look::Label("s", false), Some(Role::Z)),
        ],
        is_last: true,
    },
    // Incucyte: `VID12_A1_3_2021y03m04d_10h00m`.
    Shape {
        columns: &[
            (Look::Well, Some(Role::Set)),
            (Look::Digits(1, 3), Some(Role::Number)),
            (Look::Label(STAMP, false), None),
        ],
        is_last: false,
    },
    // BioTek: `A1_02_1_3_DAPI_001`, with the name of the channel as one word.
    Shape {
        columns: &[
            (Look::Well, Some(Role::Set)),
            (Look::Digits(1, 2), None),
            (Look::Digits(1, 3), None),
            (Look::Digits(1, 4), Some(Role::Number)),
            (Look::Word, Some(Role::Channel)),
            (Look::Digits(3, 3), Some(Role::T)),
        ],
        is_last: true,
    },
];

/// Digits at the end of the names that BioTek's programs write.
const BIOTEK_TIME_DIGITS: usize = 3;

/// Least share of the cells that two numbers behind `tile` must fill to be its column and its row.
const TILE_FILL_SHARE: f64 = 0.5;

/// Makes one word of the words of a channel, where the program that wrote the name has no other way to end them.
pub fn channel_as_one_word(mut parts: Vec<Part>) -> Vec<Part> {
    let is_number = |part: Option<&Part>| part.is_some_and(|p| p.kind == PartKind::Number);
    let Some(well) = parts.iter().position(|p| p.kind == PartKind::WellLike) else { return parts };
    let has_numbers = (1..=3).all(|i| is_number(parts.get(well + i)));
    let has_time = is_number(parts.last()) && parts.last().is_some_and(|p| p.text.len() == BIOTEK_TIME_DIGITS);
    let (start, end) = (well + 4, parts.len().saturating_sub(1));
    if has_numbers && has_time && start + 1 < end && parts[start].kind == PartKind::Word {
        let word = words_as_one(&parts[start..end]);
        parts.splice(start..end, [word]);
    }
    parts
}

/// The first shape that all names have and whose count varies, and the column that it begins at.
fn shape_of(names: &[&str], lexed: &[Vec<Part>], files: &[usize]) -> Option<(&'static Shape, usize)> {
    let columns = lexed[*files.first()?].len();
    SHAPES.iter().find_map(|shape| {
        let last = columns.checked_sub(shape.columns.len())?;
        let from = if shape.is_last { last } else { 0 };
        let fits = |&start: &usize| {
            let looks = |(i, (look, role)): (usize, &(Look, Option<Role>))| {
                let text = |file: usize| &lexed[file][start + i].text;
                let varies = || files.iter().any(|&file| text(file) != text(files[0]));
                files.iter().all(|&file| look.is_of(&lexed[file][start + i], names[file]))
                    && (*role != Some(Role::Number) || varies())
            };
            shape.columns.iter().enumerate().all(looks)
        };
        (from..=last).find(fits).map(|start| (shape, start))
    })
}

/// Whether all names have one shape, so that no word in them tells strangers apart.
pub fn have_shape(names: &[&str], lexed: &[Vec<Part>], files: &[usize]) -> bool {
    shape_of(names, lexed, files).is_some()
}

/// Gives the columns of a family the roles of the first shape that all its names have.
pub fn shape_roles(
    names: &[&str],
    lexed: &[Vec<Part>],
    files: &[usize],
    distinct: &[usize],
    roles: &mut [Option<Role>],
) -> Option<Says> {
    let Some((shape, start)) = shape_of(names, lexed, files) else {
        return index_pair(names, lexed, files, distinct, roles);
    };
    // What else counts, `XY01` in front of it, tells sets apart.
    roles.iter_mut().filter(|r| **r == Some(Role::Number)).for_each(|r| *r = Some(Role::Set));
    for (i, role) in shape.columns.iter().enumerate().filter_map(|(i, (_, role))| Some((i, (*role)?))) {
        roles[start + i] = (distinct[start + i] > 1 || role == Role::Channel).then_some(role);
    }
    Some(Says::Count)
}

/// Two numbers of as many digits behind `tile` or `Pos`: `tile_01_02` and `Pos_001_002` are column and row, `Tile_001-002`
/// row and column.
///
/// The second may count times or focus positions as well: where the stage is known it says so, see `by_name`.
fn index_pair(
    names: &[&str],
    lexed: &[Vec<Part>],
    files: &[usize],
    distinct: &[usize],
    roles: &mut [Option<Role>],
) -> Option<Says> {
    let of_first = &lexed[*files.first()?];
    let labelled = |label| of_first.iter().position(|p| p.kind == PartKind::Labelled(label));
    let tile = labelled("tile").or_else(|| labelled("pos"))?;
    let second = of_first.get(tile + 1).filter(|p| p.kind == PartKind::Number)?;
    let is_tile = of_first[tile].kind == PartKind::Labelled("tile");
    // `Pos001` is a position of its own, and what follows it its time; three numbers are no pair of indices.
    let is_lone = names[files[0]][..of_first[tile].span.0].ends_with(char::is_alphabetic);
    let goes_on = of_first.get(tile + 2).is_some_and(|p| p.kind == PartKind::Number);
    if !is_tile && (is_lone || goes_on) {
        return None;
    }
    if distinct[tile] < 2 || distinct[tile + 1] < 2 {
        return None;
    }
    let least = |column: usize| files.iter().map(|&f| lexed[f][column].text.len()).min();
    let pairs: std::collections::HashSet<(&str, &str)> =
        files.iter().map(|&f| (lexed[f][tile].text.as_str(), lexed[f][tile + 1].text.as_str())).collect();
    let fills = pairs.len() as f64 >= (distinct[tile] * distinct[tile + 1]) as f64 * TILE_FILL_SHARE;
    if least(tile) != least(tile + 1) || !fills {
        return None;
    }
    let between = &names[files[0]][of_first[tile].span.1..second.span.0];
    (roles[tile], roles[tile + 1]) =
        if between == "-" && is_tile { (Some(Role::Row), Some(Role::Col)) } else { (Some(Role::Col), Some(Role::Row)) };
    Some(Says::Grid)
}

impl Look {
    fn is_of(self, part: &Part, name: &str) -> bool {
        let letters = |len: usize| name.get(part.span.0.saturating_sub(len)..part.span.0).unwrap_or("");
        match self {
            Self::Well => part.kind == PartKind::WellLike,
            Self::Digits(least, most) => part.kind == PartKind::Number && (least..=most).contains(&part.text.len()),
            Self::Word => part.kind == PartKind::Word,
            Self::Text(text) => part.kind == PartKind::Word && part.text == text,
            Self::Lettered(letter, digits) => {
                let text = part.text.as_bytes();
                part.kind == PartKind::Word
                    && text.first() == Some(&letter)
                    && text.len() == digits + 1
                    && text[1..].iter().all(u8::is_ascii_digit)
            }
            Self::Label(label, is_capital) => {
                part.kind == PartKind::Labelled(label)
                    && (!is_capital || letters(label.len()).bytes().all(|b| b.is_ascii_uppercase()))
            }
        }
    }
}
