//! What microscopes write beside their images: ImageXpress `.HTD`, MetaMorph `.nd`, Micro-Manager `metadata.txt`.

use super::candidate::Candidate;
use super::positions::key_of;
use crate::formats::PlaneNote;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use std::collections::HashMap;
use std::path::Path;

/// Bytes of a list of sites and waves.
const MAX_PLATE_BYTES: u64 = 4 << 20;

/// Bytes of Micro-Manager's notes; a thousand planes take four megabytes.
const MAX_NOTES_BYTES: u64 = 1 << 30;

/// What a plate's file says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plate {
    /// Names of the waves, `w1` first.
    pub waves: Vec<String>,
    /// Rows and columns of sites in a well.
    pub sites: Option<(u32, u32)>,
    /// The sites that were taken, row by row; a site's number in file names counts them from 1.
    pub selected: Vec<bool>,
}

impl Plate {
    /// The name of a channel that file names call `w1`, `w2` and so on.
    pub fn wave(&self, name: &str) -> Option<&str> {
        let number: usize = name.strip_prefix(['w', 'W'])?.parse().ok()?;
        self.waves.get(number.checked_sub(1)?).map(String::as_str).filter(|w| !w.is_empty())
    }

    /// The row and column of the site that file names call `number`.
    pub fn cell_of_site(&self, number: i64) -> Option<(i32, i32)> {
        let (rows, columns) = self.sites?;
        let taken = |index: &usize| self.selected.get(*index).copied().unwrap_or(self.selected.is_empty());
        let all = usize::try_from(u64::from(rows) * u64::from(columns)).ok()?.min(1 << 16);
        let index = (0..all).filter(taken).nth(usize::try_from(number.checked_sub(1)?).ok()?)?;
        let columns = columns as usize;
        Some(((index / columns) as i32, (index % columns) as i32))
    }
}

/// The plate's file among the files of a folder.
pub fn plate_of(candidates: &[Candidate]) -> Plate {
    let ending = |c: &Candidate| c.path.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default();
    let read = |c: &Candidate| {
        let small = std::fs::metadata(&c.path).is_ok_and(|m| m.len() <= MAX_PLATE_BYTES);
        // It is of help and no more: where it cannot be read the names stand alone.
        let bytes = if small { std::fs::read(&c.path).ok()? } else { return None };
        Some(parse_plate(&String::from_utf8_lossy(&bytes)))
    };
    candidates.iter().filter(|c| matches!(ending(c).as_str(), "htd" | "nd")).find_map(read).unwrap_or_default()
}

/// Lines of `"key", value, value`.
fn parse_plate(text: &str) -> Plate {
    let mut plate = Plate::default();
    let mut sides = [None; 2];
    let mut rows: Vec<(u32, Vec<bool>)> = Vec::new();
    for line in text.lines() {
        let Some((key, value)) = line.split_once(',') else { continue };
        let (key, value) = (key.trim().trim_matches('"'), value.trim());
        let text = value.trim_matches('"').trim();
        let number = |prefix: &str| key.strip_prefix(prefix)?.parse::<u32>().ok();
        match key {
            "XSites" => sides[1] = text.parse().ok().filter(|n| (1..=256).contains(n)),
            "YSites" => sides[0] = text.parse().ok().filter(|n| (1..=256).contains(n)),
            _ => {
                if let Some(wave) = number("WaveName").filter(|n| (1..=64).contains(n)) {
                    let index = wave as usize - 1;
                    plate.waves.resize(plate.waves.len().max(index + 1), String::new());
                    plate.waves[index] = text.to_owned();
                } else if let Some(row) = number("SiteSelection") {
                    rows.push((row, value.split(',').map(|v| v.trim().eq_ignore_ascii_case("true")).collect()));
                }
            }
        }
    }
    plate.sites = sides[0].zip(sides[1]);
    rows.sort();
    plate.selected = rows.into_iter().flat_map(|(_, row)| row).collect();
    plate
}

/// What Micro-Manager notes beside single files, by their names in small letters.
pub fn plane_notes(candidates: &[Candidate]) -> HashMap<String, PlaneNote> {
    let mut notes = HashMap::new();
    for candidate in candidates {
        let name = key_of(&candidate.name);
        if name.ends_with("metadata.txt") {
            let folder = candidate.name.rfind('/').map_or("", |at| &candidate.name[..=at]);
            // Notes that cannot be read leave the names to speak for themselves.
            notes.extend(read_notes(&candidate.path, folder).unwrap_or_default());
        }
    }
    notes
}

/// The notes of one `metadata.txt`, one plane at a time: the file may be far larger than what is kept of it.
fn read_notes(path: &Path, folder: &str) -> Option<HashMap<String, PlaneNote>> {
    let file = std::fs::File::open(path).ok()?;
    if file.metadata().ok()?.len() > MAX_NOTES_BYTES {
        return None;
    }
    let mut reader = serde_json::Deserializer::from_reader(std::io::BufReader::new(file));
    // A recording that was cut off lacks its last brace: what was read until then counts.
    let mut found = HashMap::new();
    let _end = reader.deserialize_map(Notes { folder, found: &mut found });
    Some(found)
}

/// Takes the planes out of the object and passes over everything else.
struct Notes<'a> {
    folder: &'a str,
    found: &'a mut HashMap<String, PlaneNote>,
}

impl<'de> Visitor<'de> for Notes<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object of planes")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            let (is_frame, is_plane) = (key.starts_with("FrameKey-"), key.starts_with("Metadata-"));
            if !is_frame && !is_plane {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let value: serde_json::Value = map.next_value()?;
            let file = match key.strip_prefix("Metadata-") {
                Some(name) => name.to_owned(),
                None => value.get("FileName").and_then(|v| v.as_str()).unwrap_or_default().to_owned(),
            };
            let note = PlaneNote::of_micro_manager(&value);
            if !file.is_empty() && note.stage.is_some() {
                // Newer versions write `folder/file`, older ones the file alone.
                let name = file.rsplit('/').next().unwrap_or(&file);
                self.found.insert(format!("{}{name}", self.folder).to_lowercase(), note);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sites_waves_and_gaps_of_a_plate_are_read() {
        let text = "\"XSites\", 2\r\n\"YSites\", 2\r\n\"SiteSelection2\", TRUE, TRUE\r\n\"SiteSelection1\", FALSE, TRUE\r\n\
                    \"WaveName2\", \"Texas Red\"\r\n\"WaveName1\", \"DAPI\"\r\n";
        let plate = parse_plate(text);
        assert_eq!((plate.wave("w1"), plate.wave("w2"), plate.wave("w3")), (Some("DAPI"), Some("Texas Red"), None));
        assert_eq!([1, 2, 3, 4].map(|n| plate.cell_of_site(n)), [Some((0, 1)), Some((1, 0)), Some((1, 1)), None]);
    }

    #[test]
    fn notes_of_single_files_are_read_even_where_the_end_is_missing() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("metadata.txt");
        let text = r#"{"Summary": {"Prefix": "a"}, "Coords-Default/img_channel000.tif": {"time": 0},
            "Metadata-Default/img_channel000.tif": {"XPositionUm": 3.5, "YPositionUm": -1, "PixelSizeUm": 0.5},
            "FrameKey-0-0-0": {"FileName": "b.tif", "XPositionUm": "7", "YPositionUm": 8}"#;
        std::fs::write(&path, text).expect("written");
        let notes = read_notes(&path, "Pos0/").expect("read");
        let place = |name: &str| notes.get(name).and_then(|n| n.stage).map(|s| (s.x, s.y));
        assert_eq!(place("pos0/img_channel000.tif"), Some((3.5, -1.0)));
        assert_eq!(place("pos0/b.tif"), Some((7.0, 8.0)));
    }
}
