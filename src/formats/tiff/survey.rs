//! Surveys of TIFF files: the images that an open gives, and where the stage stood for each.

use super::document::Document;
use super::page::tag;
use super::{First, Found, finish, ome, open_parts};
use crate::error::{Error, Result};
use crate::formats::units::um_of_unit;
use crate::formats::{PlaneNote, StagePlace, StageUnit, Survey, Surveyed, SurveyedImage, source_file::FileSet};
use crate::pyramid::ImageInfo;
use roxmltree::{Document as Xml, ParsingOptions};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

/// Bytes of a description that are looked at to find out whether a file is one of a set.
const MAX_GLANCE_BYTES: u64 = 64 << 10;

/// Bytes of what Micro-Manager notes beside a plane; four thousand are usual.
const MAX_NOTE_BYTES: u64 = 256 << 10;

/// Nodes of MetaMorph's XML; a hundred are usual.
const MAX_META_NODES: u32 = 1 << 16;

/// Surveys a file, unless it is one of several that share a description.
pub fn survey(path: &Path) -> Result<Surveyed> {
    if shares_description(path)? { Ok(Surveyed::PartOfSet) } else { survey_set(path).map(Surveyed::Own) }
}

/// Surveys a file with all files that its description names.
pub fn survey_set(path: &Path) -> Result<Survey> {
    let (document, found, first) = open_parts(path)?;
    let stages: Vec<_> = found.plans.iter().map(|plan| (plan.name.clone(), plan.stage.clone())).collect();
    let notes = plane_notes(&document, &first);
    let members = document.files.paths().filter(|p| *p != path).map(Path::to_owned).collect();
    let meta = meta_morph(&first.description);
    let Found { format, plans, associated, metadata, warnings } = found;
    let opened = finish(document, Found { format, plans, associated, metadata, warnings }, path)?;
    let infos = opened.source.images();
    // Images that cannot be read are missing among those that were opened: both lists run in the same order.
    let mut stages = stages.into_iter();
    let mut images = Vec::with_capacity(infos.len());
    for info in infos {
        let (stage, region) = stages.find(|(name, _)| *name == info.name).map(|(_, stage)| stage).unwrap_or_default();
        images.push(SurveyedImage { info: info.clone(), stage, region, planes: Vec::new() });
    }
    if let [image] = images.as_mut_slice() {
        image.planes = places_in_image(&image.info, notes);
        if image.stage.is_none() {
            image.stage = meta.or_else(|| image.planes.first().and_then(|p| p.stage));
        }
    }
    Ok(Survey { images, members })
}

/// Whether a file's OME-XML gives planes to other files, from its first bytes.
fn shares_description(path: &Path) -> Result<bool> {
    let bad = |reason: String| Error::format(reason, path);
    let mut files = FileSet::default();
    let file = files.add(path)?;
    let (dialect, at) = super::ifd::read_header(&files, file).map_err(bad)?;
    let reader = super::TagReader { files: &files, file, dialect };
    let first = reader.ifd(at).map_err(bad)?;
    let Some(text) = first.get(tag::DESCRIPTION).and_then(|t| reader.text(t, MAX_GLANCE_BYTES).ok()) else {
        return Ok(false);
    };
    if !ome::is_ome(&text) {
        return Ok(false);
    }
    let identities: BTreeSet<&str> =
        text.match_indices("urn:uuid:").filter_map(|(at, _)| text.get(at + 9..at + 45)).collect();
    Ok(text.contains("BinaryOnly") || identities.len() > 1)
}

/// What Micro-Manager notes beside each page, in the order of the pages.
fn plane_notes(document: &Document, first: &First) -> Vec<PlaneNote> {
    if !first.has_plane_notes {
        return Vec::new();
    }
    let mut notes = Vec::with_capacity(first.pages.len());
    for &page in &first.pages {
        let note = document.ifd(page).ok().and_then(|(reader, ifd)| {
            let bytes = reader.bytes(ifd.get(tag::MICRO_MANAGER)?, MAX_NOTE_BYTES).ok()?;
            let end = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
            serde_json::from_slice::<Value>(&bytes[..end]).ok()
        });
        // A page without its note stands nowhere that is known, so none of them counts.
        let Some(note) = note else { return Vec::new() };
        notes.push(PlaneNote::of_micro_manager(&note));
    }
    notes
}

/// Gives notes their channel, focus and time within the image that was made of the pages; nothing where the pages are
/// not all planes of it.
fn places_in_image(info: &ImageInfo, mut notes: Vec<PlaneNote>) -> Vec<PlaneNote> {
    let channels = info.channels.len();
    let (z_count, t_count) = (usize::from(info.z_count), usize::from(info.t_count));
    if notes.len() != channels * z_count * t_count {
        return Vec::new();
    }
    for (index, note) in notes.iter_mut().enumerate() {
        let at = [index % channels, index / channels % z_count, index / channels / z_count];
        note.at = at.map(|n| n as u16);
    }
    notes
}

/// Where MetaMorph and MetaXpress say that the stage stood.
fn meta_morph(description: &str) -> Option<StagePlace> {
    let text = description.trim_start();
    if !text.starts_with("<MetaData>") {
        return None;
    }
    let options = ParsingOptions { allow_dtd: false, nodes_limit: MAX_META_NODES, ..ParsingOptions::default() };
    let xml = Xml::parse_with_options(text.trim_end_matches(['\0', ' ', '\n', '\r']), options).ok()?;
    let value = |id: &str| {
        let node = xml.descendants().find(|n| n.tag_name().name() == "prop" && n.attribute("id") == Some(id))?;
        node.attribute("value")
    };
    let number = |id: &str| value(id)?.trim().parse::<f64>().ok().filter(|v| v.is_finite());
    let unit = value("spatial-calibration-units").and_then(um_of_unit);
    let is_on = value("spatial-calibration-state") != Some("off");
    let size = number("spatial-calibration-x")
        .zip(number("spatial-calibration-y"))
        .zip(unit)
        .filter(|((x, y), _)| is_on && *x > 0.0 && *y > 0.0)
        .map(|((x, y), um)| [x * um, y * um]);
    Some(StagePlace {
        x: number("stage-position-x")?,
        y: number("stage-position-y")?,
        unit: StageUnit::Um(1.0),
        um_per_px: size,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stage_and_the_pixel_size_of_meta_morph_are_read() {
        let text = r#"<MetaData><PlaneInfo><prop id="spatial-calibration-state" type="bool" value="on"/>
            <prop id="spatial-calibration-x" type="float" value="0.5"/><prop id="spatial-calibration-y" value="0.5"/>
            <prop id="spatial-calibration-units" type="string" value="um"/>
            <prop id="stage-position-x" type="float" value="-12.5"/><prop id="stage-position-y" value="7"/>
            </PlaneInfo></MetaData>"#;
        let place = meta_morph(text).expect("a place");
        assert_eq!((place.x, place.y, place.unit, place.um_per_px), (-12.5, 7.0, StageUnit::Um(1.0), Some([0.5, 0.5])));
        assert_eq!(meta_morph("something else"), None);
    }
}
