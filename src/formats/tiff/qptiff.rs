//! Akoya (PerkinElmer) QPTIFF: one page a channel a level, with XML in every page.

use super::document::{Chain, Document};
use super::page::tag;
use super::plan::{ImagePlan, is_same_kind};
use crate::pyramid::AssociatedInfo;
use roxmltree::{Document as Xml, ParsingOptions};

/// Bytes of the XML of one page.
const MAX_XML_BYTES: u64 = 1 << 20;

/// Nodes in it: real ones have a few hundred.
const MAX_XML_NODES: u32 = 1 << 16;

/// What a page's XML says.
#[derive(Debug, Default, Clone, PartialEq)]
struct PageText {
    kind: String,
    name: Option<String>,
    color: Option<[u8; 3]>,
    objective: Option<f64>,
}

/// Whether a description is Akoya's.
pub fn is_qptiff(description: &str) -> bool {
    description.contains("<PerkinElmer-QPI-ImageDescription")
}

/// The slide, and the pictures that belong to it as numbers of pages.
pub fn image(document: &Document, chain: &Chain, file_name: &str) -> Option<(ImagePlan, Vec<(AssociatedInfo, u32)>)> {
    let mut levels: Vec<Vec<u32>> = Vec::new();
    let mut texts: Vec<PageText> = Vec::new();
    let mut associated = Vec::new();
    for page in chain.pages.iter().flatten().copied() {
        let layout = &document.pages[page as usize].layout;
        let text = document.text(page, tag::DESCRIPTION, MAX_XML_BYTES).map(|t| parse(&t)).unwrap_or_default();
        let of_slide = match levels.first() {
            None => true,
            Some(full) => is_same_kind(&document.pages[full[0] as usize].layout, layout),
        };
        let word = match text.kind.as_str() {
            "FullResolution" | "ReducedResolution" if of_slide => None,
            "Thumbnail" => Some("thumbnail"),
            "Overview" => Some("macro"),
            "Label" => Some("label"),
            _ => Some("picture"),
        };
        if let Some(word) = word {
            associated.push((AssociatedInfo { name: word.into(), size: layout.size }, page));
            continue;
        }
        if text.kind == "FullResolution" {
            texts.push(text);
        }
        match levels.iter_mut().find(|l| document.pages[l[0] as usize].layout.size == layout.size) {
            Some(level) => level.push(page),
            None => levels.push(vec![page]),
        }
    }
    let first = *levels.first()?.first()?;
    let planes = levels[0].len();
    levels.retain(|l| l.len() == planes);
    // The file's resolution counts pixels a centimetre, and this writer means it.
    let um = |tag: u16| match (document.real(first, tag), document.real(first, tag::RESOLUTION_UNIT)) {
        (Some(per_cm), Some(3.0)) if per_cm.is_finite() && per_cm > 0.0 => Some(1e4 / per_cm),
        _ => None,
    };
    let plan = ImagePlan {
        name: file_name.to_owned(),
        pages: levels,
        groups: planes,
        z_count: 1,
        t_count: 1,
        names: texts.iter().map(|t| t.name.clone()).collect(),
        colors: texts.iter().map(|t| t.color).collect(),
        um_per_px: um(tag::X_RESOLUTION).zip(um(tag::Y_RESOLUTION)).map(|(x, y)| [x, y]),
        objective: texts.iter().find_map(|t| t.objective),
        ..ImagePlan::default()
    };
    Some((plan, associated))
}

fn parse(text: &str) -> PageText {
    let options = ParsingOptions { allow_dtd: false, nodes_limit: MAX_XML_NODES, ..ParsingOptions::default() };
    // A page without readable XML is treated like one of no known kind.
    let Ok(xml) = Xml::parse_with_options(text.trim_start_matches('\u{feff}'), options) else {
        return PageText::default();
    };
    let value = |name: &str| {
        let node = xml.root_element().children().find(|n| n.tag_name().name() == name)?;
        node.text().map(str::trim).filter(|t| !t.is_empty()).map(str::to_owned)
    };
    let color = value("Color").and_then(|v| {
        let parts: Vec<u8> = v.split(',').filter_map(|p| p.trim().parse().ok()).collect();
        <[u8; 3]>::try_from(parts).ok()
    });
    let objective = value("Objective").and_then(|o| o.trim_end_matches(['x', 'X']).trim().parse::<f64>().ok());
    PageText {
        kind: value("ImageType").unwrap_or_default(),
        name: value("Name").or_else(|| value("Biomarker")),
        color,
        objective: objective.filter(|o| o.is_finite() && *o > 0.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_xml_of_a_page_names_its_kind_channel_and_colour() {
        let text = parse(
            "<?xml version=\"1.0\"?><PerkinElmer-QPI-ImageDescription><ImageType>FullResolution</ImageType>\
             <Name>DAPI</Name><Color>0,0,255</Color><Objective>20x</Objective></PerkinElmer-QPI-ImageDescription>",
        );
        let expected = PageText {
            kind: "FullResolution".into(),
            name: Some("DAPI".into()),
            color: Some([0, 0, 255]),
            objective: Some(20.0),
        };
        assert_eq!(text, expected);
    }
}
