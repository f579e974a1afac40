//! What Micro-Manager writes beside its images: `metadata.txt`, and the index of NDTiff stacks.

use super::candidate::Candidate;
use super::notes::{Notes, Stack, StackPlane, beside};
use super::positions::key_of;
use crate::formats::PlaneNote;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::{self, BufReader, Read};
use std::path::Path;

/// Bytes of Micro-Manager's notes; a thousand planes take four megabytes.
const MAX_NOTES_BYTES: u64 = 1 << 30;

/// Bytes of an index of stacks; a million planes take 150 megabytes.
const MAX_INDEX_BYTES: u64 = 1 << 30;

/// Bytes of the axes of one plane, and of the name of its file; a hundred are usual.
const MAX_INDEX_TEXT_BYTES: u32 = 16 << 10;

/// Bytes that are kept of all indexes of a folder; a million planes take a hundred megabytes.
const MAX_KEPT_BYTES: usize = 256 << 20;

/// Bytes of the notes on one plane; ten thousand are usual.
const MAX_NOTE_BYTES: u64 = 1 << 20;

/// Bytes of what stands between them; ten thousand positions are listed in twenty megabytes.
const MAX_PASSED_BYTES: u64 = 128 << 20;

/// The name of an index, in small letters.
const INDEX_NAME: &str = "ndtiff.index";

/// What Micro-Manager notes beside single files, by their names in small letters.
pub fn read_notes_of(candidates: &[Candidate], found: &mut Notes) {
    for candidate in candidates {
        if key_of(&candidate.name).ends_with("metadata.txt") {
            // Notes that cannot be read leave the names to speak for themselves.
            read_notes(&candidate.path, |file, note| found.add(beside(&candidate.name, file), note));
        }
    }
}

/// The notes of one `metadata.txt`, one plane at a time: the file may be far larger than what is kept of it.
fn read_notes(path: &Path, keep: impl FnMut(&str, PlaneNote)) {
    let Ok(file) = std::fs::File::open(path) else { return };
    if !file.metadata().is_ok_and(|m| m.len() <= MAX_NOTES_BYTES) {
        return;
    }
    let left = Cell::new(0);
    let mut reader = serde_json::Deserializer::from_reader(Measured { reader: BufReader::new(file), left: &left });
    // A recording that was cut off lacks its last brace: what was read until then counts.
    left.set(MAX_NOTE_BYTES);
    let _end = reader.deserialize_map(NoteReader { keep, left: &left });
}

/// Reads so many bytes and no more; then the file seems to end.
struct Measured<'a, R> {
    reader: R,
    left: &'a Cell<u64>,
}

impl<R: Read> Read for Measured<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left.get()).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.reader.read(&mut buffer[..most])?;
        self.left.set(self.left.get() - read as u64);
        Ok(read)
    }
}

/// Takes the planes out of the object and passes over everything else.
struct NoteReader<'a, K> {
    keep: K,
    /// Bytes that may yet be read: what is kept in memory while it is read must not grow with the file.
    left: &'a Cell<u64>,
}

impl<'de, K: FnMut(&str, PlaneNote)> Visitor<'de> for NoteReader<'_, K> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object of planes")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        loop {
            self.left.set(MAX_NOTE_BYTES);
            let Some(key) = map.next_key::<String>()? else { return Ok(()) };
            let (is_frame, is_plane) = (key.starts_with("FrameKey-"), key.starts_with("Metadata-"));
            if !is_frame && !is_plane {
                self.left.set(MAX_PASSED_BYTES);
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let value: serde_json::Value = map.next_value()?;
            let file = match key.strip_prefix("Metadata-") {
                Some(name) => name.to_owned(),
                None => value.get("FileName").and_then(|v| v.as_str()).unwrap_or_default().to_owned(),
            };
            let note = PlaneNote::of_micro_manager(&value);
            if !file.is_empty() && (note.stage.is_some() || note.row_col.is_some()) {
                // Newer versions write `folder/file`, older ones the file alone.
                (self.keep)(file.rsplit('/').next().unwrap_or(&file), note);
            }
        }
    }
}

/// What the indexes of NDTiff stacks say of the files beside them.
pub fn read_indexes_of(candidates: &[Candidate], found: &mut Notes) {
    let mut left = MAX_KEPT_BYTES;
    for candidate in candidates.iter().filter(|c| key_of(&c.name) == INDEX_NAME) {
        let is_there = |file: &str| found.knows(&beside(&candidate.name, &key_of(file)));
        // An index that is damaged is read up to the damage; stacks it does not describe whole speak for themselves.
        for (file, mut planes) in read_index(&candidate.path, &mut left, is_there).unwrap_or_default() {
            planes.sort_by_key(|(at, _)| *at);
            let planes = planes.into_iter().map(|(_, plane)| plane).collect();
            let stack = Stack { data_set: candidate.name.to_lowercase(), planes };
            found.stacks.insert(beside(&candidate.name, &key_of(&file)), stack);
        }
    }
}

/// The planes of an index by the names of their files, each with the place of its pixels.
type IndexPlanes = BTreeMap<String, Vec<(u32, StackPlane)>>;

/// Reads the planes of files that are there, of which so many bytes may be kept.
fn read_index(path: &Path, left: &mut usize, is_there: impl Fn(&str) -> bool) -> Option<IndexPlanes> {
    let file = std::fs::File::open(path).ok()?;
    if file.metadata().ok()?.len() > MAX_INDEX_BYTES {
        return None;
    }
    let mut reader = BufReader::new(file);
    let mut found = IndexPlanes::new();
    // A recording that was cut off ends within an entry: what was read until then counts.
    while let Ok((axes, name, at)) = read_entry(&mut reader) {
        let name = String::from_utf8_lossy(&name).into_owned();
        if !is_there(&name) {
            continue;
        }
        let Ok(axes) = serde_json::from_slice::<Value>(&axes) else { break };
        let plane = StackPlane::of_axes(&axes);
        let texts = [&plane.position, &plane.channel].map(|text| text.as_ref().map_or(0, String::capacity));
        let Some(less) = left.checked_sub(size_of::<(u32, StackPlane)>() + texts[0] + texts[1]) else { break };
        *left = less;
        found.entry(name).or_default().push((at, plane));
    }
    Some(found)
}

/// One entry: the axes and the file's name, each behind its length; the place of the pixels; seven more numbers.
fn read_entry(reader: &mut impl Read) -> io::Result<(Vec<u8>, Vec<u8>, u32)> {
    let axes = read_text(reader)?;
    let name = read_text(reader)?;
    let mut numbers = [0; 4 * 8];
    reader.read_exact(&mut numbers)?;
    Ok((axes, name, u32::from_le_bytes([numbers[0], numbers[1], numbers[2], numbers[3]])))
}

fn read_text(reader: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut len = [0; 4];
    reader.read_exact(&mut len)?;
    let len = u32::from_le_bytes(len);
    if len > MAX_INDEX_TEXT_BYTES {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut text = vec![0; len as usize];
    reader.read_exact(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::super::candidate::survey;
    use super::*;

    #[test]
    fn notes_of_single_files_are_read_even_where_the_end_is_missing() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("metadata.txt");
        let text = r#"{"Summary": {"Prefix": "a"}, "Coords-Default/img_channel000.tif": {"time": 0},
            "Metadata-Default/img_channel000.tif": {"XPositionUm": 3.5, "YPositionUm": -1, "PixelSizeUm": 0.5},
            "FrameKey-0-0-0": {"FileName": "b.tif", "XPositionUm": "7", "YPositionUm": 8}"#;
        std::fs::write(&path, text).expect("written");
        let mut places = Vec::new();
        read_notes(&path, |file, note| places.push((file.to_owned(), note.stage.map(|s| (s.x, s.y)))));
        let told = [("img_channel000.tif", Some((3.5, -1.0))), ("b.tif", Some((7.0, 8.0)))];
        assert_eq!(places, told.map(|(file, place)| (file.to_owned(), place)));
        assert_eq!(beside("Pos0/metadata.txt", "B.tif"), "pos0/b.tif");
    }

    /// What is kept of the notes in a folder with two images.
    fn notes_of(files: &[(&str, &[u8])]) -> Notes {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let images = [("a.tif", [].as_slice()), ("b.tif", &[])];
        let put = |(name, bytes): &(&str, &[u8])| {
            let path = dir.path().join(name);
            std::fs::write(&path, bytes).expect("written");
            (path, (*name).to_owned())
        };
        Notes::of(&survey(files.iter().chain(&images).map(put).collect()))
    }

    #[test]
    fn of_files_that_are_not_there_nothing_is_kept() {
        let index = [entry("{}", "a.tif", 8), entry("{}", "gone.tif", 8)].concat();
        let notes = notes_of(&[("NDTiff.index", &index)]);
        assert_eq!(notes.stacks.keys().collect::<Vec<_>>(), ["a.tif"]);
    }

    #[test]
    fn notes_of_a_size_that_nobody_writes_are_not_kept() {
        let note = |channel: &str| format!(r#"{{"XPositionUm": 1, "YPositionUm": 2, "Channel": "{channel}"}}"#);
        let (long, huge) = ("x".repeat(5_000), "x".repeat(4 << 20));
        let text =
            format!(r#"{{"Summary": "{huge}", "Metadata-a.tif": {}, "Metadata-b.tif": {}}}"#, note(&long), note(&huge));
        let notes = notes_of(&[("metadata.txt", text.as_bytes())]);
        let kept = notes.file("a.tif").expect("kept");
        assert_eq!((kept.stage.map(|s| (s.x, s.y)), kept.channel.as_ref()), (Some((1.0, 2.0)), None));
        assert_eq!(notes.file("b.tif"), None);
    }

    fn entry(axes: &str, file: &str, at: u32) -> Vec<u8> {
        let text = |t: &str| [(t.len() as u32).to_le_bytes().to_vec(), t.as_bytes().to_vec()].concat();
        [text(axes), text(file), at.to_le_bytes().to_vec(), vec![0; 28]].concat()
    }

    #[test]
    fn an_index_of_stacks_is_read_up_to_where_it_is_damaged() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("NDTiff.index");
        let whole = [
            entry(r#"{"position": 1, "channel": "DAPI", "z": 2, "time": 3}"#, "a.tif", 900),
            entry(r#"{"row": 4, "column": 5}"#, "a.tif", 100),
        ];
        let read = |bytes: &[u8]| {
            std::fs::write(&path, bytes).expect("written");
            read_index(&path, &mut { MAX_KEPT_BYTES }, |_| true).expect("read")
        };
        let found = read(&whole.concat());
        let first = StackPlane {
            position: Some("1".into()),
            channel: Some("DAPI".into()),
            z: 2,
            t: 3,
            ..StackPlane::default()
        };
        assert_eq!(
            found["a.tif"],
            [(900, first), (100, StackPlane { row_col: Some((4, 5)), ..StackPlane::default() })]
        );
        assert_eq!(read(&whole.concat()[..whole[0].len() + 20])["a.tif"].len(), 1);
        assert!(read(&[0xff; 64]).is_empty());
        assert!(read(b"").is_empty());
        // One bound holds for all indexes.
        std::fs::write(&path, whole.concat()).expect("written");
        let mut left = 2 * size_of::<(u32, StackPlane)>() + 20;
        let mut count = || {
            let found = read_index(&path, &mut left, |_| true).expect("read");
            found.values().map(Vec::len).sum::<usize>()
        };
        assert_eq!([count(), count()], [2, 0]);
    }
}
