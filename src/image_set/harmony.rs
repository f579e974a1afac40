//! What Harmony writes beside the images of an Operetta or an Opera Phenix: `Index.idx.xml`, `Index.ref.xml`.
//!
//! Of a large plate it has hundreds of megabytes, so it is read as a stream; one that was cut off is read up to there.

use super::candidate::Candidate;
use super::notes::{Notes, beside};
use super::positions::{key_of, um_of};
use crate::formats::{PlaneNote, StagePlace, StageUnit};
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

/// Bytes of an index; an image takes one thousand.
const MAX_INDEX_BYTES: u64 = 4 << 30;

/// Bytes of one tag, or of the text between two; names of files are the longest that is kept.
const MAX_PIECE_BYTES: u64 = 16 << 10;

/// Channels that are described; a plate has ten at most.
const MAX_CHANNELS: usize = 256;

/// Metres are what Harmony measures in, where it does not say otherwise.
const UM_PER_METRE: f64 = 1e6;

/// What is said of an image, or of all images of a channel.
#[derive(Debug, Clone, Default)]
struct Said {
    file: String,
    channel_id: String,
    channel: Option<String>,
    x_um: Option<f64>,
    y_um: Option<f64>,
    um_per_px: [Option<f64>; 2],
}

/// Reads the indexes among the files of a folder.
pub fn read_notes_of(candidates: &[Candidate], found: &mut Notes) {
    let is_index = |c: &&Candidate| {
        let name = key_of(&c.name);
        name.starts_with("index.") && name.ends_with(".xml") || name == "index.xml"
    };
    for candidate in candidates.iter().filter(is_index) {
        read_index(&candidate.path, |file, note| found.add(beside(&candidate.name, file), note));
    }
}

fn read_index(path: &Path, keep: impl FnMut(&str, PlaneNote)) {
    // Where it cannot be read the names stand alone.
    let Ok(file) = std::fs::File::open(path) else { return };
    read_images(BufReader::new(file.take(MAX_INDEX_BYTES)), keep);
}

fn read_images(mut reader: impl BufRead, mut keep: impl FnMut(&str, PlaneNote)) {
    let mut channels: HashMap<String, Said> = HashMap::new();
    // The image or the channel that is being read, and whether it is an image.
    let mut open: Option<(Said, bool)> = None;
    let mut unit = UM_PER_METRE;
    while let Some((text, tag)) = next_piece(&mut reader) {
        let name = tag.split(|c: char| c.is_whitespace() || c == '/').find(|n| !n.is_empty()).unwrap_or("");
        let is_end = tag.starts_with('/');
        match (is_end, name) {
            (false, "Image") if !tag.ends_with('/') => open = Some((Said::default(), true)),
            (false, "Entry") => {
                let said = Said { channel_id: attribute(&tag, "ChannelID").unwrap_or_default(), ..Said::default() };
                open = Some((said, false));
            }
            (false, _) => unit = attribute(&tag, "Unit").and_then(|u| um_of(&u)).unwrap_or(UM_PER_METRE),
            (true, "Image") => {
                if let Some((said, true)) = open.take() {
                    let of_channel = channels.get(&said.channel_id);
                    if let Some((file, note)) = said.note(of_channel) {
                        keep(&file, note);
                    }
                }
            }
            (true, "Entry") => {
                if let Some((said, false)) = open.take()
                    && channels.len() < MAX_CHANNELS
                {
                    channels.insert(said.channel_id.clone(), said);
                }
            }
            (true, element) => {
                if let Some((said, _)) = &mut open {
                    said.take(element, text.trim(), unit);
                }
            }
        }
    }
}

impl Said {
    fn take(&mut self, element: &str, text: &str, um: f64) {
        let length = || text.parse::<f64>().ok().map(|v| v * um).filter(|v| v.is_finite());
        match element {
            "URL" => self.file = plain(text),
            "ChannelID" => self.channel_id = text.to_owned(),
            "ChannelName" => self.channel = Some(plain(text)).filter(|name| !name.is_empty()),
            "PositionX" => self.x_um = length(),
            "PositionY" => self.y_um = length(),
            "ImageResolutionX" => self.um_per_px[0] = length().filter(|v| *v > 0.0),
            "ImageResolutionY" => self.um_per_px[1] = length().filter(|v| *v > 0.0),
            _ => {}
        }
    }

    /// The file's name, and the note on it with what its channel adds.
    fn note(self, of_channel: Option<&Said>) -> Option<(String, PlaneNote)> {
        let size = |axis: usize| self.um_per_px[axis].or_else(|| of_channel?.um_per_px[axis]);
        let um_per_px = size(0).zip(size(1)).map(|(x, y)| [x, y]);
        // Harmony counts upwards.
        let stage = self.x_um.zip(self.y_um).map(|(x, y)| StagePlace { x, y: -y, unit: StageUnit::Um(1.0), um_per_px });
        let channel = self.channel.clone().or_else(|| of_channel?.channel.clone());
        // Older versions write the whole address of a file.
        let file = key_of(&self.file);
        (!file.is_empty()).then(|| (file, PlaneNote { stage, channel, ..PlaneNote::default() }))
    }
}

/// The text up to the next tag, and the tag without its brackets; nothing at the end, or where a piece is too long to be
/// one.
fn next_piece(reader: &mut impl BufRead) -> Option<(String, String)> {
    let mut piece = |until: u8| {
        let mut bytes = Vec::new();
        reader.by_ref().take(MAX_PIECE_BYTES).read_until(until, &mut bytes).ok()?;
        (bytes.pop()? == until).then(|| String::from_utf8_lossy(&bytes).into_owned())
    };
    Some((piece(b'<')?, piece(b'>')?))
}

/// The value of an attribute of a tag.
fn attribute(tag: &str, name: &str) -> Option<String> {
    let start = tag.find(&format!(" {name}=\""))? + name.len() + 3;
    Some(plain(tag[start..].split('"').next()?))
}

/// A text without the entities of XML.
fn plain(text: &str) -> String {
    [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")]
        .iter()
        .fold(text.to_owned(), |text, (entity, character)| text.replace(entity, character))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notes(text: &str) -> Vec<(String, PlaneNote)> {
        let mut found = Vec::new();
        read_images(text.as_bytes(), |file, note| found.push((file.to_owned(), note)));
        found
    }

    #[test]
    fn places_sizes_and_channels_are_read_from_either_version() {
        let image = |more: &str| {
            format!(
                "<Wells><Well><Image id=\"x\" /></Well></Wells><Images><Image Version=\"1\"><URL>r01c02f03p01-ch2.tiff</URL>\
                 <ChannelID>2</ChannelID>{more}<PositionX Unit=\"m\">0.0002</PositionX><PositionY Unit=\"mm\">0.1</PositionY></Image>"
            )
        };
        let channel = "<ChannelName>GFP &amp; co</ChannelName><ImageResolutionX Unit=\"m\">5E-07</ImageResolutionX>\
                       <ImageResolutionY Unit=\"m\">5E-07</ImageResolutionY>";
        let map = format!("<Map><Entry ChannelID=\"1\"></Entry><Entry ChannelID=\"2\">{channel}</Entry></Map>");
        for text in [image(channel), map + &image("")] {
            let found = notes(&text);
            assert_eq!(found.len(), 1, "{text}");
            let stage = found[0].1.stage.expect("a place");
            assert_eq!(found[0].0, "r01c02f03p01-ch2.tiff");
            assert!((stage.x - 200.0).abs() < 1e-9 && (stage.y + 100.0).abs() < 1e-9, "{stage:?}");
            assert_eq!(stage.um_per_px, Some([0.5, 0.5]));
            assert_eq!(found[0].1.channel.as_deref(), Some("GFP & co"));
        }
    }

    #[test]
    fn an_index_that_was_cut_off_or_is_no_index_is_read_up_to_there() {
        let one = "<Image><URL>a.tiff</URL><PositionX>1</PositionX><PositionY>NaN</PositionY></Image>";
        assert_eq!(notes(&format!("{one}<Image><URL>b.tiff</UR")).len(), 1);
        assert_eq!(notes(one)[0].1.stage, None);
        assert!(notes(&"x".repeat(1 << 20)).is_empty());
        assert!(notes("").is_empty());
    }
}
