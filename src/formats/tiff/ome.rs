//! OME-XML: what a block of it says about images, without looking at pixels.

use super::ome_stage;
use crate::formats::StagePlace;
use crate::formats::units::um_of_unit;
use roxmltree::{Document as Xml, Node, ParsingOptions};

/// Bytes of one OME-XML block; 27 MB describe 100 000 planes.
pub const MAX_XML_BYTES: u64 = 64 << 20;

/// Nodes of one block: some bytes each, and more than a million planes need.
const MAX_XML_NODES: u32 = 4 << 20;

/// What an OME-XML block says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ome {
    /// The identity of the file that holds the block.
    pub uuid: Option<String>,
    /// The file that holds the real description, where this one does not.
    pub metadata_file: Option<String>,
    /// The program that wrote it.
    pub creator: Option<String>,
    /// Its images.
    pub images: Vec<OmeImage>,
}

/// One image.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OmeImage {
    pub name: Option<String>,
    pub width: u64,
    pub height: u64,
    /// Sizes of C, Z and T.
    pub sizes: [usize; 3],
    /// C, Z, T as 0, 1, 2, the fastest first.
    pub order: [usize; 3],
    pub um_per_px: Option<[f64; 2]>,
    pub objective: Option<f64>,
    pub channels: Vec<OmeChannel>,
    pub data: Vec<OmeData>,
    pub acquired: Option<String>,
    /// Where the stage stood.
    pub stage: Option<StagePlace>,
    /// The well it lies in.
    pub region: Option<String>,
}

/// One channel, which may have several samples.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OmeChannel {
    pub name: Option<String>,
    pub color: Option<[u8; 3]>,
    pub samples: usize,
}

/// Where some planes are.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct OmeData {
    /// Number of the page in its file.
    pub ifd: Option<u64>,
    /// How many planes; all of them where nothing is said.
    pub count: Option<u64>,
    /// C, Z, T of the first one.
    pub first: [usize; 3],
    /// The file, where it is not the one at hand.
    pub file: Option<String>,
    pub uuid: Option<String>,
}

/// Whether a description is OME-XML.
pub fn is_ome(description: &str) -> bool {
    let start = description.trim_start_matches(['\u{feff}', ' ', '\r', '\n', '\t']);
    start.starts_with('<') && (start.contains("<OME") || start.contains("<ome:OME") || start.contains(":OME "))
}

/// Reads a block.
pub fn parse(text: &str) -> Result<Ome, String> {
    let options = ParsingOptions { allow_dtd: false, nodes_limit: MAX_XML_NODES, ..ParsingOptions::default() };
    let text = text.trim_start_matches(['\u{feff}', ' ', '\r', '\n', '\t']);
    let xml = Xml::parse_with_options(text, options).map_err(|e| format!("the OME-XML is broken: {e}"))?;
    let root = xml.root_element();
    if root.tag_name().name() != "OME" {
        return Err("the XML is not OME-XML".into());
    }
    let wells = ome_stage::wells(root);
    let text_of = |node: Node<'_, '_>, name: &str| node.attribute(name).map(str::to_owned);
    Ok(Ome {
        uuid: text_of(root, "UUID"),
        metadata_file: child(root, "BinaryOnly").and_then(|b| text_of(b, "MetadataFile")),
        creator: text_of(root, "Creator"),
        images: children(root, "Image").filter_map(|node| image(root, node, &wells)).collect(),
    })
}

fn image(root: Node<'_, '_>, node: Node<'_, '_>, wells: &ome_stage::Wells<'_>) -> Option<OmeImage> {
    let pixels = child(node, "Pixels")?;
    let size = |name: &str| pixels.attribute(name).and_then(|v| v.parse::<u64>().ok());
    let dim = |name: &str| size(name).and_then(|n| usize::try_from(n).ok()).filter(|&n| n > 0).unwrap_or(1);
    let mut channels: Vec<OmeChannel> = children(pixels, "Channel").map(channel).collect();
    // White is what writers put where they know nothing; for several channels it tells nothing apart.
    if channels.len() > 1 && channels.iter().all(|c| c.color == Some([255; 3])) {
        channels.iter_mut().for_each(|c| c.color = None);
    }
    let sample = node.attribute("ID").and_then(|id| wells.get(id));
    Some(OmeImage {
        stage: ome_stage::place(node, pixels).or_else(|| sample.and_then(|s| s.place)),
        region: sample.map(|s| s.well.clone()),
        name: node.attribute("Name").map(str::trim).filter(|n| !n.is_empty()).map(str::to_owned),
        width: size("SizeX")?,
        height: size("SizeY")?,
        sizes: [dim("SizeC"), dim("SizeZ"), dim("SizeT")],
        order: order(pixels.attribute("DimensionOrder").unwrap_or("XYCZT")),
        um_per_px: physical_size(pixels, "X").zip(physical_size(pixels, "Y")).map(|(x, y)| [x, y]),
        objective: objective(root, node),
        channels,
        data: children(pixels, "TiffData").map(data).collect(),
        acquired: child(node, "AcquisitionDate").and_then(|n| n.text()).map(|t| t.trim().to_owned()),
    })
}

fn order(text: &str) -> [usize; 3] {
    let dims: Vec<usize> = text.chars().filter_map(|c| "CZT".find(c)).collect();
    match dims.as_slice() {
        &[a, b, c] if a != b && b != c && a != c => [a, b, c],
        _ => [0, 1, 2],
    }
}

fn physical_size(pixels: Node<'_, '_>, axis: &str) -> Option<f64> {
    let size: f64 = pixels.attribute(format!("PhysicalSize{axis}").as_str())?.trim().parse().ok()?;
    let um = um_of_unit(pixels.attribute(format!("PhysicalSize{axis}Unit").as_str()).unwrap_or("µm"))?;
    Some(size * um).filter(|s| s.is_finite() && *s > 0.0)
}

fn objective(root: Node<'_, '_>, image: Node<'_, '_>) -> Option<f64> {
    let wanted = child(image, "ObjectiveSettings").or_else(|| child(image, "ObjectiveRef"))?.attribute("ID")?;
    let objective = root
        .children()
        .filter(|n| n.tag_name().name() == "Instrument")
        .flat_map(|n| n.children())
        .find(|n| n.tag_name().name() == "Objective" && n.attribute("ID") == Some(wanted))?;
    let power = objective.attribute("NominalMagnification")?.parse::<f64>().ok()?;
    Some(power).filter(|p| p.is_finite() && *p > 0.0)
}

fn channel(node: Node<'_, '_>) -> OmeChannel {
    let color = node.attribute("Color").and_then(|v| v.trim().parse::<i64>().ok()).map(|v| {
        let [red, green, blue, _alpha] = (v as u32).to_be_bytes();
        [red, green, blue]
    });
    OmeChannel {
        name: node.attribute("Name").map(str::trim).filter(|n| !n.is_empty()).map(str::to_owned),
        // Black would show nothing.
        color: color.filter(|c| *c != [0; 3]),
        samples: node.attribute("SamplesPerPixel").and_then(|v| v.parse().ok()).filter(|&n| n > 0).unwrap_or(1),
    }
}

fn data(node: Node<'_, '_>) -> OmeData {
    let number = |name: &str| node.attribute(name).and_then(|v| v.trim().parse::<u64>().ok());
    let first = |name: &str| number(name).and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
    let uuid = child(node, "UUID");
    OmeData {
        ifd: number("IFD"),
        count: number("PlaneCount").or_else(|| number("NumPlanes")),
        first: [first("FirstC"), first("FirstZ"), first("FirstT")],
        file: uuid.and_then(|n| n.attribute("FileName")).map(str::to_owned),
        uuid: uuid.and_then(|n| n.text()).map(|t| t.trim().to_owned()),
    }
}

pub fn child<'a, 'i>(node: Node<'a, 'i>, name: &str) -> Option<Node<'a, 'i>> {
    node.children().find(|n| n.tag_name().name() == name)
}

pub fn children<'a, 'i: 'a>(node: Node<'a, 'i>, name: &'static str) -> impl Iterator<Item = Node<'a, 'i>> {
    node.children().filter(move |n| n.tag_name().name() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_colours_sizes_and_places_are_read() {
        let ome = parse(
            r#"<?xml version="1.0"?><OME xmlns="http://x" UUID="urn:uuid:1"><Instrument ID="I:0">
            <Objective ID="O:1" NominalMagnification="20"/></Instrument>
            <Image ID="Image:0" Name="a"><ObjectiveSettings ID="O:1"/><Pixels DimensionOrder="XYZTC" SizeX="5" SizeY="6"
            SizeC="2" SizeZ="3" SizeT="4" PhysicalSizeX="250" PhysicalSizeXUnit="nm" PhysicalSizeY="0.5">
            <Channel Name="DAPI" Color="65535"/><Channel Color="-16776961"/>
            <TiffData IFD="7" FirstC="1" PlaneCount="1"><UUID FileName="b.tif">urn:uuid:2</UUID></TiffData>
            </Pixels></Image></OME>"#,
        )
        .expect("read");
        let image = &ome.images[0];
        assert_eq!((image.sizes, image.order), ([2, 3, 4], [1, 2, 0]));
        assert_eq!(image.um_per_px, Some([0.25, 0.5]));
        assert_eq!(image.objective, Some(20.0));
        assert_eq!(image.channels[0].name.as_deref(), Some("DAPI"));
        assert_eq!(image.channels[0].color, Some([0, 0, 255]));
        assert_eq!(image.channels[1].color, Some([255, 0, 0]));
        let data = &image.data[0];
        assert_eq!((data.ifd, data.first, data.file.as_deref()), (Some(7), [1, 0, 0], Some("b.tif")));
    }

    #[test]
    fn sizes_in_pixels_are_no_calibration() {
        let ome = parse(
            r#"<OME><Image><Pixels SizeX="5" SizeY="6" PhysicalSizeX="1" PhysicalSizeXUnit="pixel" PhysicalSizeY="1"/></Image></OME>"#,
        );
        assert_eq!(ome.expect("read").images[0].um_per_px, None);
    }

    #[test]
    fn document_types_are_refused() {
        assert!(parse("<!DOCTYPE a [<!ENTITY b \"c\">]><OME>&b;</OME>").is_err());
    }
}
