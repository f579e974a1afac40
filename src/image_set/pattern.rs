//! What a user can say of names against every guess: a pattern, "combine as mosaic", "show as separate images".

use super::assemble::{Draft, DraftPlaces, Shot, assemble, common_kind, misfit};
use super::candidate::{self, Head};
use super::field_set::{FieldSet, LeftOut};
use super::names::{ChannelTag, FieldKey, NameTags};
use super::recognise::Folder;
use super::{Entry, common_folder, named};
use crate::error::{Error, Result};
use std::path::{Path, PathBuf};

/// Characters of a pattern; names are shorter.
const MAX_PATTERN_CHARS: usize = 1024;

/// Parts of a pattern that stand for something.
const MAX_SLOTS: usize = 16;

/// What a part of a pattern stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slot {
    Row,
    Col,
    Series,
    Channel,
    Z,
    T,
    Round,
    Well,
    Any,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Literal(String),
    /// What it stands for, and how many characters it has where the pattern says.
    Slot(Slot, Option<usize>),
}

impl Slot {
    fn is_number(self) -> bool {
        matches!(self, Self::Row | Self::Col | Self::Series | Self::Z | Self::T | Self::Round)
    }
}

/// Reads `img_r{row:3}_c{col:3}_{channel}.tif`.
fn parse(pattern: &str) -> std::result::Result<Vec<Piece>, String> {
    if pattern.chars().count() > MAX_PATTERN_CHARS {
        return Err(format!("a pattern has at most {MAX_PATTERN_CHARS} characters"));
    }
    let mut pieces = Vec::new();
    let mut rest = pattern;
    while let Some(start) = rest.find('{') {
        let end = rest[start..].find('}').ok_or("a `{` in the pattern has no `}`")? + start;
        if start > 0 {
            pieces.push(Piece::Literal(rest[..start].to_owned()));
        }
        let (name, width) = match rest[start + 1..end].split_once(':') {
            Some((name, width)) => {
                let width = width.trim_start_matches('0').parse::<usize>();
                (name, Some(width.map_err(|_| format!("{{{}}} has no width", &rest[start + 1..end]))?))
            }
            None => (&rest[start + 1..end], None),
        };
        let slot = match name.trim() {
            "row" => Slot::Row,
            "col" | "column" => Slot::Col,
            "series" => Slot::Series,
            "channel" => Slot::Channel,
            "z" => Slot::Z,
            "t" => Slot::T,
            "round" => Slot::Round,
            "well" => Slot::Well,
            "*" => Slot::Any,
            other => {
                let known = "{row} {col} {series} {channel} {z} {t} {round} {well} {*}";
                return Err(format!("{{{other}}} is not known; known are {known}"));
            }
        };
        pieces.push(Piece::Slot(slot, width));
        rest = &rest[end + 1..];
    }
    if !rest.is_empty() {
        pieces.push(Piece::Literal(rest.to_owned()));
    }
    let has = |slot: Slot| pieces.iter().any(|p| matches!(p, Piece::Slot(s, _) if *s == slot));
    if !has(Slot::Series) && !has(Slot::Row) && !has(Slot::Col) {
        return Err("the pattern says nothing of fields; it needs {row} and {col}, or {series}".into());
    }
    if pieces.iter().filter(|p| matches!(p, Piece::Slot(..))).count() > MAX_SLOTS {
        return Err(format!("a pattern has at most {MAX_SLOTS} parts in braces"));
    }
    Ok(pieces)
}

/// The values of a pattern's slots in a name; nothing where the name does not follow it.
fn values<'n>(pieces: &[Piece], name: &'n str) -> Option<Vec<(Slot, &'n str)>> {
    let Some((piece, rest)) = pieces.split_first() else { return name.is_empty().then(Vec::new) };
    match piece {
        Piece::Literal(text) => {
            let start = name.get(..text.len()).filter(|start| start.eq_ignore_ascii_case(text))?;
            values(rest, &name[start.len()..])
        }
        Piece::Slot(slot, width) => {
            let ends: Vec<usize> = name
                .char_indices()
                .take_while(|(_, c)| !slot.is_number() || c.is_ascii_digit())
                .map(|(at, c)| at + c.len_utf8())
                .collect();
            let fits = |end: &&usize| width.is_none_or(|w| name[..**end].chars().count() == w);
            let mut tried = |end: &usize| {
                let mut found = values(rest, &name[*end..])?;
                found.insert(0, (*slot, &name[..*end]));
                Some(found)
            };
            // Numbers are taken whole, words as short as they can be.
            if slot.is_number() {
                ends.iter().rev().filter(fits).find_map(&mut tried)
            } else {
                ends.iter().filter(fits).find_map(&mut tried)
            }
        }
    }
}

fn tags_of(values: &[(Slot, &str)]) -> NameTags {
    let mut tags = NameTags::default();
    let (mut row, mut col, mut series) = (None, None, None);
    for (slot, text) in values {
        let number = text.parse::<i64>().unwrap_or(0);
        match slot {
            Slot::Row => row = Some(*text),
            Slot::Col => col = Some(*text),
            Slot::Series => series = Some(*text),
            Slot::Channel => {
                tags.channel = Some(ChannelTag::new(text.parse().unwrap_or(ChannelTag::WORD), text));
            }
            Slot::Z => tags.z = number,
            Slot::T => tags.t = number,
            Slot::Round => tags.round = number,
            Slot::Well => tags.set = (*text).to_owned(),
            Slot::Any => {}
        }
    }
    tags.field = FieldKey::of_digits(row, col, series);
    tags
}

impl FieldSet {
    /// The same files, and those of its folder that were left out, read by a pattern for their names:
    /// `img_r{row}_c{col}_{channel}.tif`, with `{row} {col} {series} {channel} {z} {t} {round} {well} {*}`; `{row:3}` has three
    /// characters. Of several wells the set's own is taken, else the first.
    ///
    /// Fails where the pattern is not one, and where fewer than two files follow it.
    pub fn with_pattern(&self, pattern: &str) -> Result<Self> {
        let bad = |reason: String| Error::unsupported(reason, &self.path);
        let pieces = parse(pattern).map_err(bad)?;
        let mut files = self.files.clone();
        files.extend(self.left_out.iter().map(|l| l.path.clone()).filter(|p| candidate::has_image_ending(p)));
        files.sort();
        files.dedup();
        let candidates = candidate::survey(named(files));
        let mut shots: Vec<Shot> = Vec::new();
        for (file, candidate) in candidates.iter().enumerate() {
            let base = candidate.name.rsplit('/').next().unwrap_or(&candidate.name);
            let Some(found) = values(&pieces, &candidate.name).or_else(|| values(&pieces, base)) else { continue };
            let (kind, stage) = match &candidate.head {
                Head::Images(images) => match images.first() {
                    Some(image) => (Some(image.kind.clone()), image.stage),
                    None => continue,
                },
                Head::Unreadable(_) => (None, None),
                _ => continue,
            };
            shots.push(Shot {
                file,
                image: 0,
                at: None,
                kind,
                stage,
                region: String::new(),
                tags: tags_of(&found),
                name: candidate.name.clone(),
            });
        }
        let wells: std::collections::BTreeSet<&str> = shots.iter().map(|s| s.tags.set.as_str()).collect();
        let own = wells.get(self.name.as_str()).or(wells.iter().next()).map(|w| (*w).to_owned()).unwrap_or_default();
        let chosen: Vec<(FieldKey, usize)> = (0..shots.len())
            .filter(|&i| shots[i].tags.set == own)
            .filter_map(|i| shots[i].tags.field.map(|key| (key, i)))
            .collect();
        if chosen.len() < 2 {
            return Err(bad(format!("{} of the names follow this pattern; a mosaic takes two", chosen.len())));
        }
        let draft = Draft {
            name: self.name.clone(),
            evidence: format!("names like {pattern}, as typed"),
            shots: chosen,
            places: DraftPlaces::Grid,
            warnings: Vec::new(),
        };
        self.rebuilt(draft, &shots, &candidates)
    }

    /// The fields as images of their own, by name.
    pub fn separate(&self) -> Vec<Entry> {
        self.files.iter().cloned().map(Entry::File).collect()
    }

    /// A set made anew of this one's files, which keeps what names it.
    fn rebuilt(&self, draft: Draft, shots: &[Shot], candidates: &[candidate::Candidate]) -> Result<Self> {
        let folder = self.files.first().and_then(|f| f.parent()).unwrap_or(Path::new("."));
        let plate = Default::default();
        let set = assemble(folder, self.path.clone(), draft, shots, candidates, &plate);
        let mut set = set.ok_or_else(|| Error::unsupported("these files make no mosaic", &self.path))?;
        set.saved_positions = self.saved_positions.clone();
        let used: std::collections::HashSet<&PathBuf> = set.files.iter().collect();
        let unnamed = |path: &&PathBuf| !used.contains(path) && set.left_out.iter().all(|l| l.path != **path);
        let others: Vec<PathBuf> = self.files.iter().filter(unnamed).cloned().collect();
        let before: Vec<LeftOut> = self.left_out.iter().filter(|l| unnamed(&&l.path)).cloned().collect();
        set.left_out.extend(before);
        let reason = "its name does not follow the pattern";
        set.left_out.extend(others.into_iter().map(|path| LeftOut { path, reason: reason.into() }));
        Ok(set)
    }
}

/// Makes one mosaic of files, whatever their names say: what is recognised among them, else a sequence in the order of
/// their names. For "Combine as mosaic...".
///
/// Fails where fewer than two of the files are images that go together.
pub fn combine(files: &[PathBuf]) -> Result<FieldSet> {
    let mut files = files.to_vec();
    files.sort();
    files.dedup();
    let folder = common_folder(&files).to_owned();
    let resolved = Folder::new(&folder, candidate::survey(named(files.clone()))).resolve();
    let largest = resolved.entries.into_iter().filter_map(|entry| match entry {
        Entry::Fields(set) => Some(set),
        Entry::File(_) => None,
    });
    let largest = largest.max_by_key(|set| set.files.len());
    if let Some(set) = largest.filter(|set| set.files.len() == files.len()) {
        return Ok((*set).clone());
    }
    let mut named = named(files);
    named.sort_by(|a, b| super::names::natural_order(&a.1, &b.1));
    let candidates = candidate::survey(named);
    let mut shots: Vec<Shot> = Vec::new();
    for (file, candidate) in candidates.iter().enumerate() {
        let Head::Images(images) = &candidate.head else { continue };
        for (image, head) in images.iter().enumerate() {
            let name = if images.len() > 1 { format!("{} [{image}]", candidate.name) } else { candidate.name.clone() };
            let tags = NameTags { field: Some(FieldKey::Number(shots.len() as i64)), ..NameTags::default() };
            shots.push(Shot {
                file,
                image: image as u32,
                at: None,
                kind: Some(head.kind.clone()),
                stage: head.stage,
                region: String::new(),
                tags,
                name,
            });
        }
    }
    let no_mosaic = || Error::unsupported("fewer than two of these files are images of one kind", &folder);
    let kind = common_kind(shots.iter()).ok_or_else(no_mosaic)?;
    let fitting: Vec<(FieldKey, usize)> = (0..shots.len())
        .filter(|&i| misfit(&shots[i], &kind).is_none())
        .enumerate()
        .map(|(number, i)| (FieldKey::Number(number as i64), i))
        .collect();
    if fitting.len() < 2 {
        return Err(no_mosaic());
    }
    let draft = Draft {
        name: String::new(),
        evidence: "combined by hand, in the order of the names".into(),
        shots: fitting,
        places: DraftPlaces::Grid,
        warnings: Vec::new(),
    };
    assemble(&folder, folder.clone(), draft, &shots, &candidates, &Default::default()).ok_or_else(no_mosaic)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pattern: &str, name: &str) -> Option<NameTags> {
        values(&parse(pattern).expect("a pattern"), name).map(|v| tags_of(&v))
    }

    #[test]
    fn slots_take_numbers_whole_and_words_short() {
        let tags = read("img_{row}_{col:2}{channel}.tif", "IMG_12_0345_x.tif").expect("follows");
        assert_eq!(tags.field, Some(FieldKey::RowCol(12, 3)));
        assert_eq!(tags.channel.as_ref().map(|c| c.name.as_str()), Some("45_x"));
        let tags = read("{well}_s{series}_{*}.tif", "B03_s7_2024_11.tif").expect("follows");
        assert_eq!((tags.set.as_str(), tags.field), ("B03", Some(FieldKey::Number(7))));
        assert_eq!(read("{series}.tif", "a7.tif"), None);
        assert_eq!(read("é{series}", "è7"), None);
    }

    #[test]
    fn a_pattern_that_says_nothing_or_is_broken_is_refused_in_words() {
        for (pattern, word) in
            [("img.tif", "{series}"), ("{row", "no `}`"), ("{line}", "not known"), ("{row:x}", "width")]
        {
            let reason = parse(pattern).expect_err("refused");
            assert!(reason.contains(word), "{reason}");
        }
    }
}
