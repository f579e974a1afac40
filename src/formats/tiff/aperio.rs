//! Aperio SVS: tiled pages are levels; the others are the thumbnail, the label and the macro picture.

use super::document::{Chain, Document};
use super::page::tag;
use super::plan::{ImagePlan, is_same_kind};
use crate::pyramid::AssociatedInfo;
use std::collections::BTreeMap;

/// Bytes of a page's description.
const MAX_DESCRIPTION_BYTES: u64 = 64 << 10;

/// How far the two sides' factors may differ: Aperio crops levels to whole tiles.
const MAX_SHAPE_ERROR: f64 = 0.02;

/// Whether a description is Aperio's.
pub fn is_aperio(description: &str) -> bool {
    description.starts_with("Aperio")
}

/// The `key = value` parts of a description.
pub fn parse(description: &str) -> BTreeMap<String, String> {
    description
        .split('|')
        .skip(1)
        .filter_map(|part| part.split_once('='))
        .map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()))
        .collect()
}

/// The slide, and the pictures that belong to it as numbers of pages; nothing where the first page cannot be read.
pub fn image(
    document: &Document,
    chain: &Chain,
    fields: &BTreeMap<String, String>,
    file_name: &str,
) -> Option<(ImagePlan, Vec<(AssociatedInfo, u32)>)> {
    let base = chain.pages.first().copied().flatten()?;
    let layout = &document.pages[base as usize].layout;
    let mut levels = vec![vec![base]];
    let mut associated = Vec::new();
    for (number, page) in chain.pages.iter().enumerate().skip(1) {
        let Some(page) = *page else { continue };
        let other = &document.pages[page as usize].layout;
        let smallest = &document.pages[levels[levels.len() - 1][0] as usize].layout;
        let factors = [
            f64::from(layout.size.width) / f64::from(other.size.width),
            f64::from(layout.size.height) / f64::from(other.size.height),
        ];
        let same_shape = (factors[0] / factors[1] - 1.0).abs() < MAX_SHAPE_ERROR;
        let is_level = other.tiled && other.size.width < smallest.size.width && same_shape;
        if is_level && is_same_kind(layout, other) {
            levels.push(vec![page]);
            continue;
        }
        let text = document.text(page, tag::DESCRIPTION, MAX_DESCRIPTION_BYTES).unwrap_or_default();
        let second_line = text.lines().nth(1).unwrap_or_default().trim().to_lowercase();
        let name = match other.purpose.raw {
            _ if second_line.starts_with("label") => "label",
            _ if second_line.starts_with("macro") => "macro",
            1 if number > 1 => "label",
            9 => "macro",
            _ if number == 1 => "thumbnail",
            _ => "picture",
        };
        associated.push((AssociatedInfo { name: name.into(), size: other.size }, page));
    }
    let positive =
        |key: &str| fields.get(key).and_then(|v| v.parse::<f64>().ok()).filter(|v| v.is_finite() && *v > 0.0);
    let plan = ImagePlan {
        pages: levels,
        um_per_px: positive("MPP").map(|um| [um, um]),
        objective: positive("AppMag"),
        ..ImagePlan::of_page(file_name.to_owned(), base)
    };
    Some((plan, associated))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_a_description_are_separated_by_bars() {
        let text =
            "Aperio Image Library v11.2.1\r\n46000x32914 [0,0 46000x32893] JPEG/RGB Q=70|AppMag = 20|MPP = 0.4990";
        let fields = parse(text);
        assert_eq!(fields.get("MPP").map(String::as_str), Some("0.4990"));
        assert_eq!(fields.get("AppMag").map(String::as_str), Some("20"));
        assert_eq!(fields.len(), 2);
    }
}
