//! The parts of a file's name: words, numbers with their labels, wells.

/// What kind of part it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PartKind {
    /// A number behind a label that is known: `r01`, `ch0`, `tile 3`.
    Labelled(&'static str),
    /// A capital letter of a plate's row and one or two digits: a well, or a short label.
    WellLike,
    /// Digits alone.
    Number,
    /// Anything else: words, and words with a number (`CD45`, `A001`, `img12`).
    Word,
}

/// One part of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// What it is.
    pub kind: PartKind,
    /// Its digits, or its text.
    pub text: String,
    /// The name that follows the number of a channel, as in `w1DAPI`.
    pub suffix: String,
    /// Where in the name its digits or text are: start and end in bytes.
    pub span: (usize, usize),
}

/// Labels in front of numbers, in small letters.
const LABELS: &[&str] = &[
    "r",
    "row",
    "c",
    "col",
    "column",
    "x",
    "y",
    "s",
    "site",
    "series",
    "pos",
    "position",
    "p",
    "f",
    "field",
    "fov",
    "tile",
    "m",
    "scene",
    "region",
    "roi",
    "well",
    "ch",
    "channel",
    "chan",
    "w",
    "wave",
    "wavelength",
    "z",
    "slice",
    "plane",
    "zplane",
    "t",
    "time",
    "timepoint",
    "tp",
    "frame",
    "cycle",
    "cyc",
    "round",
    "rnd",
    "hyb",
    "a",
    "l",
    "sk",
    "fk",
    "fl",
    "g",
    "grid",
    "cam",
    "level",
];

/// Digits of a time point in the names of Micro-Manager 1.4.
const MICRO_MANAGER_DIGITS: usize = 9;

/// Labels that some microscopes write in a row with others (`A01Z01C01`, `ch1sk1fk1fl1`); alone they are just letters.
const ONLY_IN_A_ROW: &[&str] = &["a", "l", "g", "sk", "fk", "fl"];

/// The label as it is listed, of letters in any case.
fn label(letters: &str) -> Option<&'static str> {
    LABELS.iter().find(|l| l.eq_ignore_ascii_case(letters)).copied()
}

/// Splits a name (without its extension) into parts.
pub fn parts(name: &str) -> Vec<Part> {
    let mut found: Vec<Part> = Vec::new();
    let is_split = |c: char| !c.is_alphanumeric();
    let mut at = 0;
    for token in name.split(is_split) {
        if !token.is_empty() {
            split_token(token, at, &mut found);
        }
        at += token.len();
        at += name[at..].chars().next().map_or(0, char::len_utf8);
    }
    join_labels(found)
}

/// One stretch of letters and digits.
fn split_token(token: &str, at: usize, found: &mut Vec<Part>) {
    let whole = |kind| Part { kind, text: token.to_owned(), suffix: String::new(), span: (at, at + token.len()) };
    if token.bytes().all(|b| b.is_ascii_digit()) {
        found.push(whole(PartKind::Number));
        return;
    }
    if is_well_like(token) {
        found.push(whole(PartKind::WellLike));
        return;
    }
    match labelled_runs(token, at) {
        Some(parts) => found.extend(parts),
        None => found.push(whole(PartKind::Word)),
    }
}

/// Whether a token looks like a well of a plate of up to 16 rows and 48 columns.
fn is_well_like(token: &str) -> bool {
    let bytes = token.as_bytes();
    (2..=3).contains(&bytes.len()) && matches!(bytes[0], b'A'..=b'P') && bytes[1..].iter().all(u8::is_ascii_digit)
}

/// A token as labels with their numbers, `r01c02f03`; nothing where it is anything else.
fn labelled_runs(token: &str, at: usize) -> Option<Vec<Part>> {
    let mut parts = Vec::new();
    let mut rest = token;
    let mut start = at;
    while !rest.is_empty() {
        let letters_len = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let (letters, after) = rest.split_at(letters_len);
        let digits_len = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
        let (digits, after) = after.split_at(digits_len);
        let digits_at = start + letters_len;
        let known = match label(letters) {
            Some(known) if !digits.is_empty() => known,
            // `imgR01C02`: the word ends where a capital letter begins the label.
            _ if parts.is_empty() => {
                if digits.is_empty() {
                    return None;
                }
                let split = letters.char_indices().rev().find(|(_, c)| c.is_uppercase()).map(|(i, _)| i)?;
                let is_turn = letters[..split].chars().next_back().is_some_and(char::is_lowercase);
                let known = label(&letters[split..]).filter(|_| is_turn)?;
                parts.push(Part {
                    kind: PartKind::Word,
                    text: letters[..split].to_owned(),
                    suffix: String::new(),
                    span: (start, start + split),
                });
                known
            }
            _ => {
                // `w2Cy5`: what follows the number of a channel is its name.
                let last: &mut Part = parts.last_mut()?;
                if !matches!(last.kind, PartKind::Labelled("w" | "wave" | "ch")) {
                    return None;
                }
                last.suffix = rest.to_owned();
                return Some(parts);
            }
        };
        parts.push(Part {
            kind: PartKind::Labelled(known),
            text: digits.to_owned(),
            suffix: String::new(),
            span: (digits_at, digits_at + digits_len),
        });
        start = digits_at + digits_len;
        rest = after;
    }
    let is_lone = |p: &Part| matches!(p.kind, PartKind::Labelled(label) if ONLY_IN_A_ROW.contains(&label));
    (!matches!(parts.as_slice(), [one] if is_lone(one))).then_some(parts)
}

/// Gives numbers that follow a label as a word of its own that label: `tile_003`, `[Grid@0 1]`, `1-Pos_000_001`.
fn join_labels(parts: Vec<Part>) -> Vec<Part> {
    let mut joined: Vec<Part> = Vec::new();
    let mut at = 0;
    let is_number = |index: usize| parts.get(index).is_some_and(|p: &Part| p.kind == PartKind::Number);
    while at < parts.len() {
        let part = &parts[at];
        let known = if part.kind == PartKind::Word { label(&part.text) } else { None };
        let known = known.filter(|label| !ONLY_IN_A_ROW.contains(label));
        match known {
            // Both programs that write pairs write the column first.
            Some("grid" | "pos") if is_pair(&parts, at + 1) => {
                for (number, kind) in [(at + 1, "col"), (at + 2, "row")] {
                    joined.push(Part { kind: PartKind::Labelled(kind), ..parts[number].clone() });
                }
                at += 3;
            }
            // Micro-Manager 1.4: `img_{time}_{channel}_{focus}`.
            None if part.text == "img" && is_number(at + 1) && parts[at + 1].text.len() == MICRO_MANAGER_DIGITS => {
                joined.push(part.clone());
                let last = parts.len() - 1;
                for (index, later) in parts.iter().enumerate().skip(at + 1) {
                    let kind = match index {
                        i if i == at + 1 => PartKind::Labelled("t"),
                        i if i == last && later.kind == PartKind::Number => PartKind::Labelled("z"),
                        _ => later.kind,
                    };
                    joined.push(Part { kind, ..later.clone() });
                }
                return joined;
            }
            Some(known) if is_number(at + 1) => {
                joined.push(Part { kind: PartKind::Labelled(known), ..parts[at + 1].clone() });
                at += 2;
            }
            _ => {
                joined.push(part.clone());
                at += 1;
            }
        }
    }
    joined
}

/// Whether two numbers of as many digits follow: a pair of indices.
fn is_pair(parts: &[Part], at: usize) -> bool {
    let is_last = parts.get(at + 2).is_none_or(|p| p.kind != PartKind::Number);
    match parts.get(at..at + 2) {
        Some([a, b]) => {
            is_last && a.kind == PartKind::Number && b.kind == PartKind::Number && a.text.len() == b.text.len()
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(name: &str) -> Vec<String> {
        let tell = |p: Part| match p.kind {
            PartKind::Labelled(label) => format!("{label}={}{}", p.text, p.suffix),
            PartKind::WellLike => format!("well={}", p.text),
            PartKind::Number => format!("#{}", p.text),
            PartKind::Word => p.text,
        };
        parts(name).into_iter().map(tell).collect()
    }

    #[test]
    fn numbers_are_told_by_their_labels() {
        assert_eq!(told("img_r001_c002"), ["img", "r=001", "c=002"]);
        assert_eq!(told("r01c02f03p01-ch1sk1fk1fl1"), ["r=01", "c=02", "f=03", "p=01", "ch=1", "sk=1", "fk=1", "fl=1"]);
        assert_eq!(told("imgR01C02"), ["img", "r=01", "c=02"]);
        assert_eq!(told("tile_003 Channel 2"), ["tile=003", "channel=2"]);
        assert_eq!(told("ex[Grid@0 1]"), ["ex", "col=0", "row=1"]);
        assert_eq!(told("1-Pos_000_001"), ["#1", "col=000", "row=001"]);
        assert_eq!(told("9987_B02_s1_w1DAPI"), ["#9987", "well=B02", "s=1", "w=1DAPI"]);
        assert_eq!(told("a_w2Cy5_AF488"), ["a", "w=2Cy5", "AF488"]);
        assert_eq!(told("x100_epr-10pct_001_A001_I"), ["x=100", "epr", "10pct", "#001", "A001", "I"]);
        assert_eq!(told("Pos0/img_000000002_DAPI_013"), ["pos=0", "img", "t=000000002", "DAPI", "z=013"]);
        assert_eq!(told("r1_c2_CD45"), ["r=1", "c=2", "CD45"]);
    }

    #[test]
    fn names_in_other_scripts_are_split_between_characters() {
        assert_eq!(told("größe_µ_r1ñ"), ["größe", "µ", "r1ñ"]);
    }
}
