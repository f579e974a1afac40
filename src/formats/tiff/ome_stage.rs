//! Where OME-XML says that the stage stood: per plane, per image, or per sample of a well.

use super::ome::{child, children};
use crate::formats::units::um_of_unit;
use crate::formats::{StagePlace, StageUnit};
use roxmltree::Node;
use std::collections::HashMap;

/// Samples of wells by the images they name.
pub type Wells<'a> = HashMap<&'a str, WellSample>;

/// One field of a well.
pub struct WellSample {
    /// The well as people write it, `B03`, after its plate where there are several.
    pub well: String,
    /// Where the stage stood.
    pub place: Option<StagePlace>,
}

/// The samples of all wells.
pub fn wells<'a>(root: Node<'a, 'a>) -> Wells<'a> {
    let plates: Vec<_> = children(root, "Plate").collect();
    let mut found = HashMap::new();
    for (number, plate) in plates.iter().enumerate() {
        for well in children(*plate, "Well") {
            let at = |name: &str| well.attribute(name).and_then(|v| v.trim().parse::<u32>().ok()).unwrap_or(0);
            let name = well_name(at("Row"), at("Column"));
            for sample in children(well, "WellSample") {
                let Some(image) = child(sample, "ImageRef").and_then(|r| r.attribute("ID")) else { continue };
                let well = if plates.len() > 1 { format!("plate {} {name}", number + 1) } else { name.clone() };
                found.insert(image, WellSample { well, place: place_of(sample, ["PositionX", "PositionY"]) });
            }
        }
    }
    found
}

/// Where an image was taken: its planes' places, those of the first channel, focus and time before others, else its
/// label's.
pub fn place(image: Node<'_, '_>, pixels: Node<'_, '_>) -> Option<StagePlace> {
    let is_first =
        |n: &Node<'_, '_>| ["TheC", "TheZ", "TheT"].iter().all(|a| n.attribute(*a).is_none_or(|v| v.trim() == "0"));
    let of = |plane: Node<'_, '_>| place_of(plane, ["PositionX", "PositionY"]);
    children(pixels, "Plane")
        .filter(is_first)
        .find_map(of)
        .or_else(|| children(pixels, "Plane").find_map(of))
        .or_else(|| child(image, "StageLabel").and_then(|label| place_of(label, ["X", "Y"])))
}

fn place_of(node: Node<'_, '_>, names: [&str; 2]) -> Option<StagePlace> {
    let mut places = [0.0; 2];
    let mut units = [None; 2];
    for axis in 0..2 {
        places[axis] = node.attribute(names[axis])?.trim().parse::<f64>().ok().filter(|v| v.is_finite())?;
        units[axis] = node.attribute(format!("{}Unit", names[axis]).as_str());
    }
    // Without a unit OME means its "reference frame": nothing that is known.
    let unit = match units[0].or(units[1]) {
        Some("pixel" | "px") => StageUnit::Px,
        Some(name) => um_of_unit(name).map_or(StageUnit::Unknown, StageUnit::Um),
        None => StageUnit::Unknown,
    };
    Some(StagePlace { x: places[0], y: places[1], unit, um_per_px: None })
}

/// `B03` of row 1 and column 2.
fn well_name(row: u32, column: u32) -> String {
    let letter = |n: u32| char::from(b'A' + (n % 26) as u8);
    let rows = if row < 26 { letter(row).to_string() } else { format!("{}{}", letter(row / 26 - 1), letter(row)) };
    format!("{rows}{:02}", u64::from(column) + 1)
}

#[cfg(test)]
mod tests {
    use super::super::ome::parse;
    use super::*;

    #[test]
    fn a_place_comes_from_the_first_plane_in_its_unit() {
        let ome = parse(
            r#"<OME><Image ID="I:0"><StageLabel X="1" Y="2" Name="s"/><Pixels SizeX="5" SizeY="6">
            <Plane TheC="1" TheZ="0" TheT="0" PositionX="9" PositionY="9" PositionXUnit="mm" PositionYUnit="mm"/>
            <Plane TheC="0" TheZ="0" TheT="0" PositionX="-3.5" PositionY="4" PositionXUnit="mm" PositionYUnit="mm"/>
            </Pixels></Image><Image ID="I:1"><StageLabel X="1" Y="2" Name="s"/><Pixels SizeX="5" SizeY="6"/></Image></OME>"#,
        )
        .expect("read");
        let place = ome.images[0].stage.expect("a place");
        assert_eq!((place.x, place.y, place.unit), (-3.5, 4.0, StageUnit::Um(1e3)));
        assert_eq!(ome.images[1].stage.map(|p| (p.x, p.y, p.unit)), Some((1.0, 2.0, StageUnit::Unknown)));
    }

    #[test]
    fn a_well_sample_names_the_well_and_the_place_of_its_image() {
        let ome = parse(
            r#"<OME><Plate><Well Row="1" Column="2"><WellSample PositionX="7" PositionY="8" PositionXUnit="µm"
            PositionYUnit="µm"><ImageRef ID="I:0"/></WellSample></Well></Plate>
            <Image ID="I:0"><Pixels SizeX="5" SizeY="6"/></Image></OME>"#,
        )
        .expect("read");
        assert_eq!(ome.images[0].region.as_deref(), Some("B03"));
        assert_eq!(ome.images[0].stage.map(|p| (p.x, p.y, p.unit)), Some((7.0, 8.0, StageUnit::Um(1.0))));
    }

    #[test]
    fn wells_past_the_26th_row_have_two_letters() {
        assert_eq!(well_name(0, 0), "A01");
        assert_eq!(well_name(31, 47), "AF48");
    }
}
