//! The OME-XML that tells readers what the pages of a TIFF are.
//!
//! Only what is listed in [`OmeImage`] goes in: no time stamps, no names of people or machines.

use super::layout::{PixelLayout, SampleKind};
use crate::geom::Size;

/// What the XML says of one image.
#[derive(Debug, Clone, PartialEq)]
pub struct OmeImage<'a> {
    /// Its name.
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
}

/// OME-XML, as ASCII, for an image whose pages are its channels, then its focus positions, then its times.
pub fn ome_xml(image: &OmeImage<'_>) -> String {
    let PixelLayout { kind, bits, samples } = image.layout;
    let samples = usize::from(samples);
    let pixel_type = match (kind, bits) {
        (SampleKind::Unsigned, _) => format!("uint{bits}"),
        (SampleKind::Signed, _) => format!("int{bits}"),
        (SampleKind::Float, 64) => "double".to_owned(),
        (SampleKind::Float, _) => "float".to_owned(),
    };
    let mut xml = String::from(r#"<?xml version="1.0" encoding="UTF-8"?>"#);
    xml.push_str(concat!(
        r#"<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" "#,
        r#"xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" "#,
        r#"xsi:schemaLocation="http://www.openmicroscopy.org/Schemas/OME/2016-06 "#,
        r#"http://www.openmicroscopy.org/Schemas/OME/2016-06/ome.xsd" Creator="Microtome">"#
    ));
    let size_c = image.channels.len() * samples;
    let Size { width, height } = image.size;
    xml.push_str(&format!(r#"<Image ID="Image:0" Name="{}">"#, escaped(image.name)));
    xml.push_str(&format!(
        concat!(
            r#"<Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="{}" BigEndian="{}" Interleaved="{}" "#,
            r#"SizeX="{}" SizeY="{}" SizeC="{}" SizeZ="{}" SizeT="{}""#
        ),
        pixel_type,
        cfg!(target_endian = "big"),
        samples > 1,
        width,
        height,
        size_c,
        image.z_count,
        image.t_count
    ));
    if let Some([x, y]) = image.um_per_px {
        // The unit of both is the micrometre unless something else is said.
        xml.push_str(&format!(r#" PhysicalSizeX="{x}" PhysicalSizeY="{y}""#));
    }
    xml.push('>');
    for (index, (name, color)) in image.channels.iter().enumerate() {
        xml.push_str(&format!(
            r#"<Channel ID="Channel:0:{index}" Name="{}" SamplesPerPixel="{samples}""#,
            escaped(name)
        ));
        if let Some([r, g, b]) = color {
            // Red, green, blue and opacity in one signed number.
            xml.push_str(&format!(r#" Color="{}""#, i32::from_be_bytes([*r, *g, *b, 255])));
        }
        xml.push_str("/>");
    }
    let mut page = 0;
    for (t, z) in (0..image.t_count).flat_map(|t| (0..image.z_count).map(move |z| (t, z))) {
        for index in 0..image.channels.len() {
            let first_c = index * samples;
            xml.push_str(&format!(
                r#"<TiffData IFD="{page}" FirstC="{first_c}" FirstZ="{z}" FirstT="{t}" PlaneCount="1"/>"#
            ));
            page += 1;
        }
    }
    xml.push_str("</Pixels></Image></OME>");
    xml
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
        });
        assert!(xml.contains(r#"SizeC="3""#) && xml.contains(r#"SamplesPerPixel="3""#), "{xml}");
        assert!(!xml.contains("PhysicalSize"), "{xml}");
    }
}
