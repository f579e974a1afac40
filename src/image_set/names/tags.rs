//! What one name says, once the roles of its family's columns are known.

use super::roles::Role;
use super::{ChannelTag, FieldKey, NameTags};
use crate::image_set::lexer::{Part, PartKind, STAMP};

/// What a date counts beside the hours, minutes and days that are written behind it.
const STAMP_TIME: i64 = 1_000_000;

pub fn tags_of(parts: &[Part], roles: &[Option<Role>], labels: &[Option<&str>], family: usize) -> NameTags {
    let mut tags = NameTags { family, ..NameTags::default() };
    let (mut row, mut col, mut number) = (None, None, None);
    let mut channel: Option<ChannelTag> = None;
    for (column, part) in parts.iter().enumerate() {
        let Some(role) = roles[column] else { continue };
        let digits = part.text.trim_start_matches(|c: char| !c.is_ascii_digit());
        let value = digits.parse::<i64>().unwrap_or(0);
        match role {
            Role::Row => row = Some(digits),
            Role::Col => col = Some(digits),
            Role::Number => number = Some(digits),
            Role::Z => tags.z = value,
            // A date and a time of the day are one time.
            Role::T if part.kind == PartKind::Labelled(STAMP) => {
                tags.t = tags.t.saturating_mul(STAMP_TIME).saturating_add(value);
            }
            Role::T => tags.t = value,
            Role::Round => tags.round = value,
            Role::Set => {
                let label = labels[column].filter(|l| !matches!(*l, "well" | "scene" | "reg" | "region")).unwrap_or("");
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
    tags.field = FieldKey::of_digits(row, col, number);
    tags
}

/// A name with words in place of what varies.
pub fn pattern(name: &str, parts: &[Part], roles: &[Option<Role>], distinct: &[usize]) -> String {
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
