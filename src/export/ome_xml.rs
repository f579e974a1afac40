//! The OME-XML that tells readers what the pages of a TIFF are.
//!
//! Only what is listed in [`OmeImage`] goes in: no time stamps, no names of people or machines.

use super::layout::{PixelLayout, SampleKind};
use crate::geom::Size;

/// What the XML says of one image.
#[derive(Debug, Clone, PartialEq)]
pub struct OmeImage<'a> {
    /// Its name; empty where it has none.
    pub name: &'a str,
    /// Its full size.
    pub size: Size,
    /// What its pixels are.
    pub layout: PixelLayout,
    /// Focus positions.
    pub z_count: u16,
    /// Time points.
    pub t_count: u16,
    /// Names and colours of its channels; one for an RGB image, whose samples lie in one page.
    pub channels: &'a [(&'a str, Option<[u8; 3]>)],
    /// Micrometres a pixel, x and y.
    pub um_per_px: Option<[f64; 2]>,
    /// The objective's magnification.
    pub objective: Option<f64>,
}

/// What tells our notes from those of other programs.
const NOTES_NAMESPACE: &str = "microtome/notes";

/// OME-XML, as ASCII, for an image whose pages are its channels, then its focus positions, then its times.
pub fn ome_xml(image: &OmeImage<'_>) -> String {
    ome_xml_of(std::slice::from_ref(image), &[])
}

/// The same for a field whose top-left corner the stage was told to put at a place, x and y in micrometres.
pub fn ome_xml_at_stage(image: &OmeImage<'_>, stage_um: [f64; 2]) -> String {
    let planes: String = (0..image.t_count)
        .flat_map(|t| (0..image.z_count).map(move |z| (t, z)))
        .flat_map(|(t, z)| (0..image.channels.len()).map(move |c| (t, z, c * usize::from(image.layout.samples))))
        .map(|(t, z, c)| {
            let [x, y] = stage_um;
            // The unit of places of the stage is something else unless it is said.
            format!(
                concat!(
                    r#"<Plane TheZ="{}" TheT="{}" TheC="{}" PositionX="{}" PositionXUnit="&#181;m" "#,
                    r#"PositionY="{}" PositionYUnit="&#181;m"/>"#
                ),
                z, t, c, x, y
            )
        })
        .collect();
    // Planes come last among what an image's pixels have.
    ome_xml(image).replacen("</Pixels>", &format!("{planes}</Pixels>"), 1)
}

/// OME-XML for several images whose pages follow each other, with notes (keys and texts) that belong to the first.
pub fn ome_xml_of(images: &[OmeImage<'_>], notes: &[(String, String)]) -> String {
    let mut xml = String::from(r#"<?xml version="1.0" encoding="UTF-8"?>"#);
    xml.push_str(concat!(
        r#"<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" "#,
        r#"xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" "#,
        r#"xsi:schemaLocation="http://www.openmicroscopy.org/Schemas/OME/2016-06 "#,
        r#"http://www.openmicroscopy.org/Schemas/OME/2016-06/ome.xsd" Creator="Microtome">"#
    ));
    for (number, image) in images.iter().enumerate() {
        if let Some(magnification) = image.objective {
            xml.push_str(&format!(
                r#"<Instrument ID="Instrument:{number}"><Objective ID="Objective:{number}" NominalMagnification="{magnification}"/></Instrument>"#
            ));
        }
    }
    let mut page = 0;
    for (number, image) in images.iter().enumerate() {
        push_image(&mut xml, number, image, &mut page, number == 0 && !notes.is_empty());
    }
    if !notes.is_empty() {
        xml.push_str(&format!(
            r#"<StructuredAnnotations><MapAnnotation ID="Annotation:0" Namespace="{NOTES_NAMESPACE}"><Value>"#
        ));
        for (key, text) in notes {
            xml.push_str(&format!(r#"<M K="{}">{}</M>"#, escaped(key), escaped(text)));
        }
        xml.push_str("</Value></MapAnnotation></StructuredAnnotations>");
    }
    xml.push_str("</OME>");
    xml
}

/// One image; `page` is its first page and then the one after its last.
fn push_image(xml: &mut String, number: usize, image: &OmeImage<'_>, page: &mut usize, has_notes: bool) {
    let PixelLayout { kind, bits, samples } = image.layout;
    let samples = usize::from(samples);
    let pixel_type = match (kind, bits) {
        (SampleKind::Unsigned, _) => format!("uint{bits}"),
        (SampleKind::Signed, _) => format!("int{bits}"),
        (SampleKind::Float, 64) => "double".to_owned(),
        (SampleKind::Float, _) => "float".to_owned(),
    };
    let name = if image.name.is_empty() { String::new() } else { format!(r#" Name="{}""#, escaped(image.name)) };
    xml.push_str(&format!(r#"<Image ID="Image:{number}"{name}>"#));
    if image.objective.is_some() {
        xml.push_str(&format!(
            r#"<InstrumentRef ID="Instrument:{number}"/><ObjectiveSettings ID="Objective:{number}"/>"#
        ));
    }
    let Size { width, height } = image.size;
    let size_c = image.channels.len() * samples;
    let big_endian = cfg!(target_endian = "big");
    let interleaved = samples > 1;
    xml.push_str(&format!(
        r#"<Pixels ID="Pixels:{number}" DimensionOrder="XYCZT" Type="{pixel_type}" BigEndian="{big_endian}""#
    ));
    xml.push_str(&format!(
        r#" Interleaved="{interleaved}" SizeX="{width}" SizeY="{height}" SizeC="{size_c}" SizeZ="{}" SizeT="{}""#,
        image.z_count, image.t_count
    ));
    if let Some([x, y]) = image.um_per_px {
        // Micrometres are what OME-XML assumes.
        xml.push_str(&format!(r#" PhysicalSizeX="{x}" PhysicalSizeY="{y}""#));
    }
    xml.push('>');
    for (index, (name, color)) in image.channels.iter().enumerate() {
        xml.push_str(&format!(r#"<Channel ID="Channel:{number}:{index}""#));
        if !name.is_empty() {
            xml.push_str(&format!(r#" Name="{}""#, escaped(name)));
        }
        xml.push_str(&format!(r#" SamplesPerPixel="{samples}""#));
        if let Some([r, g, b]) = color {
            // Red, green, blue and opacity in one signed number.
            xml.push_str(&format!(r#" Color="{}""#, i32::from_be_bytes([*r, *g, *b, 255])));
        }
        xml.push_str("/>");
    }
    for (t, z) in (0..image.t_count).flat_map(|t| (0..image.z_count).map(move |z| (t, z))) {
        for index in 0..image.channels.len() {
            let first_c = index * samples;
            xml.push_str(&format!(
                r#"<TiffData IFD="{page}" FirstC="{first_c}" FirstZ="{z}" FirstT="{t}" PlaneCount="1"/>"#
            ));
            *page += 1;
        }
    }
    xml.push_str("</Pixels>");
    if has_notes {
        xml.push_str(r#"<AnnotationRef ID="Annotation:0"/>"#);
    }
    xml.push_str("</Image>");
}

/// Text as it may stand in an XML attribute of an ASCII file; characters that XML cannot hold are left out.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            ' '..='~' => out.push(c),
            '\t' | '\n' | '\r' | '\u{80}'..='\u{fffd}' | '\u{10000}'.. => {
                out.push_str(&format!("&#{};", c as u32));
            }
            _ => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pixels::TileFormat;

    #[test]
    fn names_survive_as_an_xml_reader_sees_them() {
        let name = "a<b> & \"µm\" 組織\u{1f52c}";
        let xml = ome_xml(&OmeImage {
            name,
            size: Size::new(30, 20),
            layout: PixelLayout::of(TileFormat::Gray16),
            z_count: 1,
            t_count: 1,
            channels: &[("DAPI", Some([0, 0, 255])), ("Ki-67", None)],
            um_per_px: Some([0.5, 0.25]),
            objective: Some(20.0),
        });
        assert!(xml.is_ascii());
        let document = roxmltree::Document::parse(&xml).expect("well formed");
        let find = |tag: &'static str| {
            document
                .descendants()
                .filter(move |n| n.has_tag_name(("http://www.openmicroscopy.org/Schemas/OME/2016-06", tag)))
        };
        assert_eq!(find("Image").next().and_then(|n| n.attribute("Name")), Some(name));
        let pixels = find("Pixels").next().expect("Pixels");
        assert_eq!(pixels.attribute("SizeC"), Some("2"));
        assert_eq!(pixels.attribute("PhysicalSizeY"), Some("0.25"));
        assert_eq!(find("Channel").filter_map(|n| n.attribute("Color")).collect::<Vec<_>>(), ["65535"]);
        assert_eq!(find("TiffData").count(), 2);
    }

    #[test]
    fn an_rgb_image_is_one_channel_of_three_samples() {
        let xml = ome_xml(&OmeImage {
            name: "slide",
            size: Size::new(30, 20),
            layout: PixelLayout::of(TileFormat::Rgb8),
            z_count: 1,
            t_count: 1,
            channels: &[("RGB", None)],
            um_per_px: None,
            objective: None,
        });
        assert!(xml.contains(r#"SizeC="3""#) && xml.contains(r#"SamplesPerPixel="3""#), "{xml}");
        assert!(!xml.contains("PhysicalSize"), "{xml}");
    }

    #[test]
    fn a_field_says_where_the_stage_was_for_each_of_its_planes() {
        let image = OmeImage {
            name: "field",
            size: Size::new(8, 8),
            layout: PixelLayout::of(crate::pixels::TileFormat::Gray16),
            z_count: 2,
            t_count: 1,
            channels: &[("a", None), ("b", None)],
            um_per_px: Some([0.5; 2]),
            objective: None,
        };
        let xml = ome_xml_at_stage(&image, [12.5, -3.0]);
        let document = roxmltree::Document::parse(&xml).expect("XML");
        let planes: Vec<_> = document.descendants().filter(|n| n.has_tag_name("Plane")).collect();
        assert_eq!(planes.len(), 4);
        for plane in planes {
            assert_eq!(plane.attribute("PositionX"), Some("12.5"));
            assert_eq!(plane.attribute("PositionY"), Some("-3"));
            let units = [plane.attribute("PositionXUnit"), plane.attribute("PositionYUnit")];
            assert_eq!(units, [Some("\u{b5}m"); 2]);
        }
    }
}
