//! Files that are no fields though they lie among them: masks, overviews, reduced copies, files that are not whole.

use super::candidate::{Candidate, Head};
use super::mask::looks_like_a_mask;
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
pub fn left_out_reason(candidate: &Candidate, is_mask: bool, has_fields: bool) -> Verdict {
    match &candidate.head {
        Head::NoImage | Head::PartOfOther => Verdict::NoImage,
        Head::Unfinished(reason) => Verdict::LeftOut(reason.clone()),
        Head::Unreadable(reason) if has_fields => Verdict::LeftOut(reason.clone()),
        // Without a mosaic it is opened like any file, and says itself what is wrong.
        Head::Unreadable(_) => Verdict::Image,
        Head::Images(_) if has_fields && (is_mask || has_word(&candidate.name, MASK_WORDS)) => {
            Verdict::LeftOut("a mask".into())
        }
        Head::Images(_) if has_fields && has_word(&candidate.name, OVERVIEW_WORDS) => {
            Verdict::LeftOut("an overview".into())
        }
        Head::Images(_) if has_fields && has_word(&candidate.name, COMPOSITE_WORDS) => {
            Verdict::LeftOut("a picture of several channels".into())
        }
        Head::Images(_) => Verdict::Image,
    }
}

/// What programs call a picture that they made of the channels of a field.
const COMPOSITE_WORDS: &[&str] = &["overlay", "composite", "merged"];

const MASK_WORDS: &[&str] = &["mask", "masks", "seg", "segmentation", "segmented", "labels", "labelmap", "outlines"];

const OVERVIEW_WORDS: &[&str] =
    &["overview", "thumb", "thumbnail", "preview", "macro", "montage", "stitched", "fused", "mosaic", "downsampled"];

/// What masks may be called, and fields too: the pixels decide.
const DOUBTFUL_WORDS: &[&str] =
    &["label", "annotation", "annotations", "outline", "binary", "objects", "prediction", "predictions", "classes"];

/// Files of each doubtful word whose pixels are looked at; all must be masks.
const LOOKED_AT: usize = 4;

/// What reduced copies of fields are called.
const COPY_WORDS: &[&str] = &["downsampled", "thumb", "thumbnail", "preview"];

fn has_word(name: &str, words: &[&str]) -> bool {
    // MetaXpress writes an identity behind `thumb` without anything between them.
    let is_thumb = |word: &str| word.starts_with("thumb") && words.contains(&"thumb");
    let lower = name.to_lowercase();
    lower.split(|c: char| !c.is_alphanumeric()).any(|word| words.contains(&word) || is_thumb(word))
}

/// Files that are named as masks may be, and have the pixels of one.
pub fn masks_by_pixels(candidates: &[Candidate]) -> HashSet<usize> {
    let mut found = HashSet::new();
    for word in DOUBTFUL_WORDS {
        let is_named = |c: &Candidate| matches!(c.head, Head::Images(_)) && has_word(&c.name, &[word]);
        let named: Vec<usize> = (0..candidates.len()).filter(|&i| is_named(&candidates[i])).collect();
        let every = named.len().div_ceil(LOOKED_AT).max(1);
        if named.iter().step_by(every).all(|&i| looks_like_a_mask(&candidates[i].path)) {
            found.extend(named);
        }
    }
    found
}

/// Files that are named as masks, or are some of `masks`, or are named as reduced copies, as indices; none where nothing
/// else would be there.
pub fn set_apart(names: &[&str], masks: &HashSet<usize>) -> HashSet<usize> {
    let is_mask = |i: &usize| masks.contains(i) || has_word(names[*i], MASK_WORDS);
    let masks: HashSet<usize> = (0..names.len()).filter(is_mask).collect();
    let masks = if masks.len() == names.len() { HashSet::new() } else { masks };
    let is_copy = |i: &usize| has_word(names[*i], COPY_WORDS) || has_word(names[*i], COMPOSITE_WORDS);
    let copies: HashSet<usize> = (0..names.len()).filter(is_copy).collect();
    if copies.union(&masks).count() == names.len() { masks } else { masks.union(&copies).copied().collect() }
}
