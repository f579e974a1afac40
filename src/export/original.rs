//! What of an original may say who or what it shows: it goes along only when the user asks for it.

use crate::error::{Error, Result};
use crate::geom::Size;
use crate::pyramid::Source;
use std::collections::BTreeMap;
use std::path::Path;

/// A label or macro picture beyond this many bytes is not carried along: it has to be held whole.
const MAX_PICTURE_BYTES: u64 = 48 << 20;

/// Texts and pictures of the original: names, identifiers, dates, comments, label and macro. Nothing by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Original {
    /// The image's name.
    pub name: String,
    /// Keys and texts.
    pub notes: Vec<(String, String)>,
    /// Label, macro and the like.
    pub pictures: Vec<OriginalPicture>,
}

/// A picture that goes along with an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginalPicture {
    /// What it is: `label`, `macro`.
    pub name: String,
    /// Its size.
    pub size: Size,
    /// Its pixels, rows of RGB.
    pub rgb: Vec<u8>,
}

impl Original {
    /// All that there is of an image and its set.
    pub fn of(name: &str, metadata: &BTreeMap<String, String>, source: &dyn Source, path: &Path) -> Result<Self> {
        let notes = metadata.iter().map(|(key, text)| (key.clone(), text.clone())).collect();
        let mut pictures = Vec::new();
        for (index, picture) in source.associated().iter().enumerate() {
            if picture.size.area().saturating_mul(3) > MAX_PICTURE_BYTES {
                let what =
                    format!("its {} picture is too large to go along, leave the original metadata", picture.name);
                return Err(Error::too_large(what, path));
            }
            let rgb = source.read_associated(index)?;
            pictures.push(OriginalPicture { name: picture.name.clone(), size: picture.size, rgb });
        }
        Ok(Self { name: name.to_owned(), notes, pictures })
    }

    /// What goes along, for people: the names of all texts and pictures.
    pub fn listed(name: &str, metadata: &BTreeMap<String, String>, source: &dyn Source) -> Vec<String> {
        let name = (!name.is_empty()).then(|| "image name".to_owned());
        let pictures = source.associated().iter().map(|picture| format!("{} picture", picture.name));
        name.into_iter().chain(metadata.keys().cloned()).chain(pictures).collect()
    }
}
