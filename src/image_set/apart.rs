//! Files that are no fields though they lie among them: masks, overviews, reduced copies, files that are not whole.

use super::candidate::{Candidate, Head};
use std::collections::HashSet;

/// What becomes of a file that is in no mosaic.
pub enum Verdict {
    /// It is an image of its own.
    Image,
    /// It is left out, with the reason.
    LeftOut(String),
    /// It is no image, or one that stands in another file.
    NoImage,
}

/// What becomes of a file; masks and overviews are images like others where there is no mosaic.
pub fn left_out_reason(candidate: &Candidate, has_fields: bool) -> Verdict {
    match &candidate.head {
        Head::NoImage | Head::PartOfOther => Verdict::NoImage,
        Head::Unfinished(reason) => Verdict::LeftOut(reason.clone()),
        Head::Unreadable(reason) if has_fields => Verdict::LeftOut(reason.clone()),
        // Without a mosaic it is opened like any file, and says itself what is wrong.
        Head::Unreadable(_) => Verdict::Image,
        Head::Images(_) if has_fields && has_word(&candidate.name, MASK_WORDS) => Verdict::LeftOut("a mask".into()),
        Head::Images(_) if has_fields && has_word(&candidate.name, OVERVIEW_WORDS) => {
            Verdict::LeftOut("an overview".into())
        }
        Head::Images(_) => Verdict::Image,
    }
}

const MASK_WORDS: &[&str] = &["mask", "masks", "seg", "segmentation", "segmented", "labels", "labelmap", "outlines"];

const OVERVIEW_WORDS: &[&str] =
    &["overview", "thumb", "thumbnail", "preview", "macro", "montage", "stitched", "fused", "mosaic", "downsampled"];

fn has_word(name: &str, words: &[&str]) -> bool {
    name.to_lowercase().split(|c: char| !c.is_alphanumeric()).any(|word| words.contains(&word))
}

/// Files that are named as masks or as reduced copies, as indices; none where nothing else would be there.
pub fn set_apart(names: &[&str]) -> HashSet<usize> {
    let masks: HashSet<usize> = (0..names.len()).filter(|&i| has_word(names[i], MASK_WORDS)).collect();
    let masks = if masks.len() * 2 > names.len() { HashSet::new() } else { masks };
    let copies: HashSet<usize> = (0..names.len()).filter(|&i| has_word(names[i], &["downsampled"])).collect();
    if copies.len() + masks.len() >= names.len() { masks } else { masks.union(&copies).copied().collect() }
}
