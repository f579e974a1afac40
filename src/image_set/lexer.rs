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
    "stage",
    "xy",
    "p",
    "f",
    "field",
    "fov",
    "fld",
    "tile",
    "m",
    "scene",
    "reg",
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
    "zstep",
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
    "d",
    "g",
    "grid",
    "cam",
    "level",
];

/// Digits of a time point in the names of Micro-Manager 1.4.
const MICRO_MANAGER_DIGITS: usize = 9;

/// Labels that some microscopes write in a row with others (`A01Z01C01`, `ch1sk1fk1fl1`, `f00d0`); alone they are just
/// letters.
const ONLY_IN_A_ROW: &[&str] = &["a", "l", "d", "g", "sk", "fk", "fl"];

/// The label of a date or time that is written with its units, `2021y03m04d_10h00m`; no number has it.
pub const STAMP: &str = "stamp";

/// Digits of each half of a pair of indices that stands behind `Pos` in one word, `1-Pos000_001`.
const LEAST_PAIR_DIGITS: usize = 3;

/// Lengths of the groups of an identity, `f81d4fae-7dec-11d0-a765-00a0c91e6bf6`.
const IDENTITY_GROUPS: [usize; 5] = [8, 4, 4, 4, 12];

/// The label as it is listed, of letters in any case.
fn label(letters: &str) -> Option<&'static str> {
    LABELS.iter().find(|l| l.eq_ignore_ascii_case(letters)).copied()
}

/// Splits a name (without its extension) into parts.
pub fn parts(name: &str) -> Vec<Part> {
    let mut found: Vec<Part> = Vec::new();
    // An identity is another one in every name and says nothing.
    let identity = identity_at(name);
    let is_split = |c: char| !c.is_alphanumeric();
    let mut at = 0;
    for token in name.split(is_split) {
        let end = at + token.len();
        let token = match identity {
            Some((start, stop)) if at >= start && end <= stop => "",
            // `w1` and its identity are written without anything between them.
            Some((start, _)) if (at..end).contains(&start) => &name[at..start],
            _ => token,
        };
        if !token.is_empty() {
            split_token(token, at, &mut found);
        }
        at = end + name[end..].chars().next().map_or(0, char::len_utf8);
    }
    join_labels(name, brackets(name, found))
}

/// Where an identity lies in a name.
fn identity_at(name: &str) -> Option<(usize, usize)> {
    let bytes = name.as_bytes();
    let is_hex =
        |from: usize, len: usize| bytes.get(from..from + len).is_some_and(|b| b.iter().all(u8::is_ascii_hexdigit));
    let total: usize = IDENTITY_GROUPS.iter().sum::<usize>() + IDENTITY_GROUPS.len() - 1;
    let dash = bytes.windows(1).enumerate().filter(|(_, b)| b == b"-").map(|(at, _)| at);
    let starts_at = |dash: usize| {
        let start = dash.checked_sub(IDENTITY_GROUPS[0])?;
        let mut at = start;
        for (index, len) in IDENTITY_GROUPS.into_iter().enumerate() {
            if !is_hex(at, len) || (index + 1 < IDENTITY_GROUPS.len() && bytes.get(at + len) != Some(&b'-')) {
                return None;
            }
            at += len + 1;
        }
        Some((start, start + total))
    };
    dash.into_iter().find_map(starts_at)
}

/// Gives pairs of numbers in brackets their labels: `[00 x 01]` is row and column, `[12345,678]` a place.
fn brackets(name: &str, parts: Vec<Part>) -> Vec<Part> {
    let opens = |part: &Part| part.span.0 > 0 && name[..part.span.0].ends_with('[');
    let closes = |part: &Part| name[part.span.1..].starts_with(']');
    let labelled = |part: &Part, label| Part { kind: PartKind::Labelled(label), ..part.clone() };
    let mut found = Vec::with_capacity(parts.len());
    let mut at = 0;
    while at < parts.len() {
        match &parts[at..] {
            [a, b, ..]
                if (a.kind, b.kind) == (PartKind::Number, PartKind::Number)
                    && opens(a)
                    && closes(b)
                    && name[a.span.1..b.span.0].trim() == "," =>
            {
                found.extend([labelled(a, "x"), labelled(b, "y")]);
                at += 2;
            }
            [a, x, b, ..]
                if (a.kind, b.kind) == (PartKind::Number, PartKind::Number)
                    && x.text.eq_ignore_ascii_case("x")
                    && opens(a)
                    && closes(b) =>
            {
                found.extend([labelled(a, "row"), labelled(b, "col")]);
                at += 3;
            }
            _ => {
                found.push(parts[at].clone());
                at += 1;
            }
        }
    }
    found
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
    if let Some(digits) = stamp(token) {
        found.push(Part { text: digits, ..whole(PartKind::Labelled(STAMP)) });
        return;
    }
    match behind_a_well(token, at).or_else(|| labelled_runs(token, at)).or_else(|| behind_a_word(token, at)) {
        Some(parts) => found.extend(parts),
        None => found.push(whole(PartKind::Word)),
    }
}

/// The digits of a date or a time with units: `2021y03m04d`, `10h00m`, `00d10h00m`.
fn stamp(token: &str) -> Option<String> {
    let units: String = token.chars().filter(|c| !c.is_ascii_digit()).collect();
    let is_stamp =
        matches!(units.as_str(), "ymd" | "hm" | "dhm" | "ymdhm") && token.starts_with(|c: char| c.is_ascii_digit());
    let digits: String = token.chars().filter(char::is_ascii_digit).collect();
    (is_stamp && digits.len() == if units == "ymd" { 8 } else { digits.len() }).then_some(digits)
}

/// The field and the channel that follow a well without anything between them: `A24f00d0`.
fn behind_a_well(token: &str, at: usize) -> Option<Vec<Part>> {
    let len = token.find('f').filter(|&len| is_well_like(&token[..len]))?;
    let behind = labelled_runs(&token[len..], at + len)?;
    let well =
        Part { kind: PartKind::WellLike, text: token[..len].to_owned(), suffix: String::new(), span: (at, at + len) };
    Some(std::iter::once(well).chain(behind).collect())
}

/// Labelled numbers that follow a word with a number without anything between them: `exp001xy01c1`.
fn behind_a_word(token: &str, at: usize) -> Option<Vec<Part>> {
    let letters = token.find(|c: char| c.is_ascii_digit()).filter(|&letters| letters > 1)?;
    let digits = token[letters..].find(|c: char| !c.is_ascii_digit())?;
    let (first, rest) = token.split_at(letters + digits);
    let behind = labelled_runs(rest, at + first.len())?;
    let is_all_labels = behind.iter().all(|p| matches!(p.kind, PartKind::Labelled(_)) && p.suffix.is_empty());
    // One letter alone is as likely part of the word.
    let speaks = behind.len() > 1 || rest.find(|c: char| c.is_ascii_digit()).is_some_and(|len| len > 1);
    let word =
        Part { kind: PartKind::Word, text: first.to_owned(), suffix: String::new(), span: (at, at + first.len()) };
    (is_all_labels && speaks).then(|| std::iter::once(word).chain(behind).collect())
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
fn join_labels(name: &str, parts: Vec<Part>) -> Vec<Part> {
    let mut joined: Vec<Part> = Vec::new();
    let mut at = 0;
    let is_number = |index: usize| parts.get(index).is_some_and(|p: &Part| p.kind == PartKind::Number);
    while at < parts.len() {
        let part = &parts[at];
        // `1-Pos000_001`: one half of the pair is in the word.
        if let (PartKind::Labelled("pos"), Some(row)) = (part.kind, parts.get(at + 1))
            && row.kind == PartKind::Number
            && row.text.len() == part.text.len()
            && row.text.len() >= LEAST_PAIR_DIGITS
            && !is_number(at + 2)
            && is_grid_position(name, &parts, at)
        {
            joined.push(Part { kind: PartKind::Labelled("col"), ..part.clone() });
            joined.push(Part { kind: PartKind::Labelled("row"), ..row.clone() });
            at += 2;
            continue;
        }
        let known = if part.kind == PartKind::Word { label(&part.text) } else { None };
        let known = known.filter(|label| !ONLY_IN_A_ROW.contains(label));
        match known {
            // Both programs that write pairs write the column first.
            Some(label)
                if is_pair(&parts, at + 1)
                    && (label == "grid" || label == "pos" && is_grid_position(name, &parts, at)) =>
            {
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
            // The size of a region, `[x=0,y=0,w=512,h=512]`, is no channel.
            Some("w") if parts.get(at + 2).is_some_and(|p| p.text == "h") => {
                joined.push(part.clone());
                at += 1;
            }
            // `A - 01(fld 1 wv Texas Red - Texas Red z 2)`: the well, and the words of the channel.
            None if is_letter_of_a_well(&parts, at) => {
                let number = &parts[at + 1];
                joined.push(Part {
                    kind: PartKind::WellLike,
                    text: format!("{}{}", part.text, number.text),
                    suffix: String::new(),
                    span: (part.span.0, number.span.1),
                });
                at += 2;
            }
            None if part.text == "wv" && at + 1 < parts.len() => {
                let is_axis =
                    |p: &Part| matches!(p.text.as_str(), "z" | "t" | "time") || matches!(p.kind, PartKind::Labelled(_));
                let end = (at + 2..parts.len()).find(|&i| is_axis(&parts[i])).unwrap_or(parts.len());
                joined.push(words_as_one(&parts[at + 1..end]));
                at = end;
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

/// Whether a capital letter and a number in front of `fld` are a well.
fn is_letter_of_a_well(parts: &[Part], at: usize) -> bool {
    let [letter, number, field, ..] = &parts[at..] else { return false };
    matches!(letter.text.as_bytes(), [b'A'..=b'P'])
        && number.kind == PartKind::Number
        && number.text.len() <= 2
        && field.text.eq_ignore_ascii_case("fld")
}

/// Parts that are one name, as a word with single spaces.
pub fn words_as_one(parts: &[Part]) -> Part {
    let text = parts.iter().map(|p| p.text.as_str()).collect::<Vec<_>>().join(" ");
    let span = (parts.first().map_or(0, |p| p.span.0), parts.last().map_or(0, |p| p.span.1 + p.suffix.len()));
    Part { kind: PartKind::Word, text, suffix: String::new(), span }
}

/// Whether a number and a dash stand in front of `Pos`, as Micro-Manager names the positions of a grid: behind any other
/// `Pos`, and its number, may stand a time as well.
fn is_grid_position(name: &str, parts: &[Part], at: usize) -> bool {
    let Some(before) = at.checked_sub(1).map(|before| &parts[before]) else { return false };
    let letters = match parts[at].kind {
        PartKind::Labelled(label) => parts[at].span.0 - label.len(),
        _ => parts[at].span.0,
    };
    before.kind == PartKind::Number && name.get(before.span.1..letters) == Some("-")
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
        assert_eq!(told("x_A24f00d0"), ["x", "well=A24", "f=00", "d=0"]);
        assert_eq!(told("exp001xy01c1"), ["exp001", "xy=01", "c=1"]);
        assert_eq!(
            told("A - 01(fld 1 wv Texas Red - Texas Red z 2)"),
            ["well=A01", "fld=1", "Texas Red Texas Red", "z=2"]
        );
        assert_eq!(told("V_A1_1_2020y01m02d_03h04m"), ["V", "well=A1", "#1", "stamp=20200102", "stamp=0304"]);
        assert_eq!(told("S_[123,4567]_a"), ["S", "x=123", "y=4567", "a"]);
        assert_eq!(told("s[00 x 01]_C00"), ["s", "row=00", "col=01", "well=C00"]);
        assert_eq!(told("MMStack_1-Pos000_001"), ["MMStack", "#1", "col=000", "row=001"]);
        assert_eq!(told("x_Pos001_002"), ["x", "pos=001", "#002"]);
        assert_eq!(told("1_Pos_001_002"), ["#1", "pos=001", "#002"]);
        assert_eq!(told("1-Pos000_001_002"), ["#1", "pos=000", "#001", "#002"]);
        assert_eq!(told("B02_s1_w1F81D4FAE-7DEC-11D0-A765-00A0C91E6BF6"), ["well=B02", "s=1", "w=1"]);
        assert_eq!(told("CD45_AF488_Ki67"), ["CD45", "AF488", "Ki67"]);
    }

    #[test]
    fn names_in_other_scripts_are_split_between_characters() {
        assert_eq!(told("größe_µ_r1ñ"), ["größe", "µ", "r1ñ"]);
    }
}
