//! Places of the stage, as the microscopes' programs write them.

use super::*;

/// OME-XML of images with places, in micrometres at half a micrometre a pixel.
fn ome(places: &[(f64, f64)], size: (u32, u32)) -> String {
    let image = |(index, (x, y)): (usize, &(f64, f64))| {
        format!(
            r#"<Image ID="Image:{index}" Name="field {index}"><Pixels ID="P:{index}" DimensionOrder="XYCZT" Type="uint16"
            SizeX="{}" SizeY="{}" SizeC="1" SizeZ="1" SizeT="1" PhysicalSizeX="0.5" PhysicalSizeY="0.5">
            <Channel ID="C:{index}" Name="DAPI" SamplesPerPixel="1"/><TiffData IFD="{index}" PlaneCount="1"/>
            <Plane TheC="0" TheZ="0" TheT="0" PositionX="{x}" PositionY="{y}" PositionXUnit="µm" PositionYUnit="µm"/>
            </Pixels></Image>"#,
            size.0, size.1
        )
    };
    format!("<OME>{}</OME>", places.iter().enumerate().map(image).collect::<String>())
}

/// A file with an image at each place.
fn many(places: &[(f64, f64)]) -> Tiff {
    Tiff { description: Some(ome(places, (40, 40))), more: vec![None; places.len() - 1], ..Tiff::new(40, 40) }
}

const SQUARE: [(f64, f64); 4] = [(100.0, -50.0), (118.0, -50.0), (100.0, -32.0), (118.0, -32.0)];

#[test]
fn one_file_with_many_images_is_a_mosaic_of_them() {
    let folder = Folder::new();
    folder.put("scan.ome.tif", &many(&SQUARE));
    let found = resolve(&folder.path().join("scan.ome.tif")).expect("resolved");
    let set = sets(&found)[0].clone();
    assert_eq!((set.fields.len(), set.um_per_px), (4, Some([0.5, 0.5])));
    assert_eq!(set.fields[3].nominal, Point::new(36.0, 36.0));
    assert_eq!(set.fields.iter().map(|f| f.planes[0].image).collect::<Vec<_>>(), [0, 1, 2, 3]);
    assert_eq!((channels(&set), set.path.clone()), (vec!["DAPI"], folder.path().join("scan.ome.tif")));
    assert_eq!(names(&set)[2], "scan.ome.tif [2]");
    assert_eq!(folder.set().fields, set.fields);
}

#[test]
fn one_file_for_each_field_is_a_mosaic_of_files() {
    let folder = Folder::new();
    for (index, place) in SQUARE.iter().enumerate() {
        let tiff = Tiff { description: Some(ome(&[*place], (40, 40))), ..Tiff::new(40, 40) };
        folder.put(&format!("img_{index}.ome.tif"), &tiff);
    }
    let set = folder.set();
    assert_eq!((set.fields.len(), set.files.len(), &set.layout), (4, 4, &Layout::Stage));
    assert_eq!(cells(&set), [(0, 0), (0, 1), (1, 0), (1, 1)]);
}

#[test]
fn images_of_one_file_that_stand_far_apart_are_regions() {
    let folder = Folder::new();
    folder.put("scan.ome.tif", &many(&[SQUARE[0], SQUARE[1], (9000.0, 0.0), (9018.0, 0.0), (-4000.0, 0.0)]));
    let path = folder.path().join("scan.ome.tif");
    let found = resolve(&path).expect("resolved");
    let sets = sets(&found);
    assert_eq!(sets.iter().map(|s| s.fields.len()).collect::<Vec<_>>(), [2, 2, 1]);
    assert_eq!(resolve(&sets[1].path).expect("found by its name").entries, [Entry::Fields(sets[1].clone())]);
}

#[test]
fn points_that_were_visited_are_no_mosaic() {
    let folder = Folder::new();
    folder.put("points.ome.tif", &many(&[(0.0, 0.0), (500.0, 0.0), (0.0, 700.0), (900.0, 900.0)]));
    folder.is_images();
}

#[test]
fn times_and_focus_positions_at_one_place_are_no_mosaic() {
    let folder = Folder::new();
    for index in 0..6 {
        let tiff = Tiff { description: Some(ome(&[(5.0, 5.0)], (40, 40))), ..Tiff::new(40, 40) };
        folder.put(&format!("img_t{index:03}.ome.tif"), &tiff);
    }
    folder.is_images();
    let folder = Folder::new();
    folder.put("series.ome.tif", &many(&[(5.0, 5.0); 5]));
    folder.is_images();
}

#[test]
fn two_scans_in_a_folder_are_two_mosaics_and_two_cycles_are_one() {
    let folder = Folder::new();
    folder.put("left.ome.tif", &many(&SQUARE));
    folder.put("right.ome.tif", &many(&SQUARE));
    assert_eq!(folder.sets().iter().map(|s| s.name.as_str()).collect::<Vec<_>>(), ["left", "right"]);
    let folder = Folder::new();
    folder.put("cycle1.ome.tif", &many(&SQUARE));
    folder.put("cycle2.ome.tif", &many(&SQUARE.map(|(x, y)| (x + 3.0, y - 2.0))));
    let set = folder.set();
    assert_eq!((set.fields.len(), set.channels.len(), set.channels[1].round), (4, 2, 1));
    is_whole(&set);
    assert_eq!(set.fields[3].nominal, Point::new(36.0, 36.0));
}

#[test]
fn meta_morph_places_go_with_the_names_of_sites_and_waves() {
    let folder = Folder::new();
    for (index, (x, y)) in SQUARE.iter().enumerate() {
        for wave in ["w1DAPI", "w2Cy5"] {
            let prop = |id: &str, value: &str| format!(r#"<prop id="{id}" type="float" value="{value}"/>"#);
            let description = format!(
                "<MetaData><PlaneInfo>{}{}{}{}{}</PlaneInfo></MetaData>",
                prop("spatial-calibration-x", "0.5"),
                prop("spatial-calibration-y", "0.5"),
                prop("spatial-calibration-units", "um"),
                prop("stage-position-x", &x.to_string()),
                prop("stage-position-y", &y.to_string()),
            );
            let tiff = Tiff { description: Some(description), ..Tiff::new(40, 40) };
            folder.put(&format!("a_{wave}_s{}_t1.TIF", index + 1), &tiff);
        }
    }
    let set = folder.set();
    assert_eq!((channels(&set), set.um_per_px), (vec!["DAPI", "Cy5"], Some([0.5, 0.5])));
    assert_eq!((set.fields.len(), set.fields[3].nominal), (4, Point::new(36.0, 36.0)));
    is_whole(&set);
}

#[test]
fn a_plate_without_places_is_laid_out_by_its_sites() {
    let folder = Folder::of((1..=3).map(|s| format!("a_B02_s{s}_w1.tif")));
    folder.write(
        "a.HTD",
        b"\"XSites\", 2\r\n\"YSites\", 2\r\n\"SiteSelection1\", TRUE, FALSE\r\n\"SiteSelection2\", TRUE, TRUE\r\n",
    );
    let set = folder.set();
    assert_eq!(cells(&set), [(0, 0), (1, 0), (1, 1)]);
    assert!(set.warnings.is_empty(), "{:?}", set.warnings);
}

#[test]
fn micro_managers_notes_place_files_and_positions_in_a_stack() {
    let folder = Folder::new();
    let mut notes = String::new();
    for (index, (x, y)) in SQUARE.iter().enumerate() {
        let name = format!("img_channel000_position{index:03}_time000000000_z000.tif");
        let note = format!(r#"{{"XPositionUm": {x}, "YPositionUm": {y}, "PixelSizeUm": 0.5}}"#);
        notes += &format!(r#","Metadata-Default/{name}": {note}"#);
        folder.put(&format!("Default/{name}"), &Tiff::new(40, 40));
    }
    folder.write("Default/metadata.txt", format!(r#"{{"Summary": {{}}{notes}}}"#).as_bytes());
    let set = folder.set();
    assert_eq!((set.fields.len(), set.um_per_px, &set.layout), (4, Some([0.5, 0.5]), &Layout::Stage));
    assert_eq!(set.fields[3].nominal, Point::new(36.0, 36.0));

    let note = |(x, y): &(f64, f64), channel: &str| {
        Some(format!(
            r#"{{"XPositionUm": {x}, "YPositionUm": "{y}", "PixelSizeUm": 0.5, "Axes": {{"channel": "{channel}"}}}}"#
        ))
    };
    let all: Vec<_> = SQUARE.iter().flat_map(|place| [note(place, "DAPI"), note(place, "Cy5")]).collect();
    let stack = Tiff { note: all[0].clone(), more: all[1..].to_vec(), ..Tiff::new(40, 40) };
    let folder = Folder::new();
    folder.put("a_NDTiffStack.tif", &stack);
    let set = folder.set();
    assert_eq!((set.fields.len(), channels(&set)), (4, vec!["DAPI", "Cy5"]));
    assert_eq!(set.fields[3].planes.iter().map(|p| p.file_channel).collect::<Vec<_>>(), [6, 7]);
    is_whole(&set);
}
