//! ImageJ hyperstacks: a description of `key=value` lines, pages ordered channel, focus, time, or one page for all of
//! them.

use super::channels::brightest;
use super::document::{Chain, Document, Page};
use super::ifd::Reason;
use super::page::{Compression, tag};
use super::plan::ImagePlan;
use crate::formats::units::um_of_unit;
use std::collections::BTreeMap;

/// Bytes of ImageJ's own block of metadata (overlays, labels, tables).
const MAX_IJ_BYTES: u64 = 4 << 20;

/// Whether a description is ImageJ's.
pub fn is_imagej(description: &str) -> bool {
    description.starts_with("ImageJ=")
}

/// The lines of a description.
pub fn parse(description: &str) -> BTreeMap<String, String> {
    description
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()))
        .collect()
}

/// The image of a file; nothing where the description does not fit the pages.
pub fn image(
    document: &mut Document,
    chain: &Chain,
    fields: &BTreeMap<String, String>,
    file_name: &str,
    warnings: &mut Vec<String>,
) -> Option<ImagePlan> {
    let mut pages: Vec<u32> = chain.pages.iter().flatten().copied().collect();
    let first = *pages.first()?;
    let number = |key: &str| fields.get(key).and_then(|v| v.parse::<usize>().ok()).filter(|&n| n > 0);
    let images = number("images").unwrap_or(1);
    let mut dims = [number("channels").unwrap_or(1), number("slices").unwrap_or(1), number("frames").unwrap_or(1)];
    let product = |dims: &[usize; 3]| dims.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
    // Each RGB page counts as three channels in some versions.
    if document.pages[first as usize].layout.samples == dims[0] && dims[0] > 1 && product(&dims) != Some(images) {
        dims[0] = 1;
    }
    if product(&dims) != Some(images) {
        dims = [1, images, 1];
    }
    if pages.len() < images {
        match contiguous(document, first, images) {
            Ok(all) => pages = all,
            Err(reason) => {
                warnings.push(format!("{} of {images} planes are there: {reason}", pages.len()));
                dims = [1, pages.len(), 1];
            }
        }
    }
    let [channels, slices, frames] = dims;
    let planes = channels * slices * frames;
    if planes > pages.len() {
        return None;
    }
    pages.truncate(planes);
    let layout = document.pages[first as usize].layout.clone();
    let size = |tag: u16| document.real(first, tag).filter(|r| r.is_finite() && *r > 0.0).map(|r| 1.0 / r);
    let unit = fields.get("unit").and_then(|u| um_of_unit(u));
    // Inches and centimetres are what ImageJ writes for pictures that came without a calibration.
    let is_microscopes = fields.get("unit").is_some_and(|u| !matches!(u.as_str(), "inch" | "cm"));
    let um_per_px = match (unit, size(tag::X_RESOLUTION), size(tag::Y_RESOLUTION)) {
        (Some(um), Some(x), Some(y)) if is_microscopes => Some([x * um, y * um]),
        _ => None,
    };
    let colors = if layout.samples == 1 { lut_colors(document, first).unwrap_or_default() } else { Vec::new() };
    Some(ImagePlan {
        name: file_name.to_owned(),
        pages: vec![pages],
        groups: channels,
        z_count: slices,
        t_count: frames,
        indices: true,
        colors: colors.into_iter().take(channels).collect(),
        um_per_px,
        ..ImagePlan::default()
    })
}

/// Pages for planes that follow the first page's pixels without directories of their own.
fn contiguous(document: &mut Document, first: u32, images: usize) -> Result<Vec<u32>, Reason> {
    let page = document.pages[first as usize].clone();
    let layout = &page.layout;
    if layout.compression != Compression::None || layout.tiled {
        return Err("the others have no directory".into());
    }
    let (planes, rows) = (if layout.planar { layout.samples as u64 } else { 1 }, u64::from(layout.size.height));
    let plane_bytes = layout.packed_row_bytes() as u64 * rows * planes;
    let start = document.reader(page.file, layout.dialect).integer(page.offsets, 0)?;
    let end = plane_bytes.checked_mul(images as u64).and_then(|len| len.checked_add(start));
    if end.is_none_or(|end| end > document.files.len(page.file)) {
        return Err("the file is too short for the others".into());
    }
    if images > super::document::MAX_PAGES {
        return Err("there are too many".into());
    }
    let mut all = vec![first];
    for index in 1..images as u64 {
        all.push(document.pages.len() as u32);
        document.pages.push(Page { shift: index * plane_bytes, ..page.clone() });
    }
    Ok(all)
}

/// The bright ends of the look-up tables in ImageJ's metadata block.
fn lut_colors(document: &Document, page: u32) -> Option<Vec<Option<[u8; 3]>>> {
    let (reader, ifd) = document.ifd(page).ok()?;
    let counts = reader.integers(ifd.get(tag::IMAGEJ_COUNTS)?, 1 << 16).ok()?;
    let data = reader.bytes(ifd.get(tag::IMAGEJ_DATA)?, MAX_IJ_BYTES).ok()?;
    let big_endian = reader.dialect.big_endian;
    let word = |at: usize| {
        let bytes = <[u8; 4]>::try_from(data.get(at..at + 4)?).ok()?;
        Some(if big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    };
    let header = usize::try_from(*counts.first()?).ok()?;
    if word(0)? != u32::from_be_bytes(*b"IJIJ") || header > data.len() {
        return None;
    }
    let (mut at, mut next) = (header, 1);
    let mut colors = Vec::new();
    for entry in (4..header.saturating_sub(7)).step_by(8) {
        let (kind, count) = (word(entry)?, word(entry + 4)?);
        for _ in 0..count {
            let len = usize::try_from(*counts.get(next)?).ok()?;
            let bytes = data.get(at..at.checked_add(len)?)?;
            if kind == u32::from_be_bytes(*b"luts") && len == 768 {
                let table: Vec<[u8; 3]> = (0..256).map(|i| [bytes[i], bytes[256 + i], bytes[512 + i]]).collect();
                colors.push(brightest(&table));
            }
            at += len;
            next += 1;
        }
    }
    Some(colors)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_description_is_read_line_by_line() {
        let fields = parse("ImageJ=1.53k\nimages=6\nslices=6\nunit=micron\nloop=false\n");
        assert_eq!(fields.get("unit").map(String::as_str), Some("micron"));
        assert_eq!(fields.get("images").map(String::as_str), Some("6"));
    }
}
