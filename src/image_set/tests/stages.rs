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

/// An entry of an NDTiff index: the axes, the file, where the pixels are, and what no reader here needs.
fn entry(axes: &str, file: &str, at: u32) -> Vec<u8> {
    let text = |t: &str| [(t.len() as u32).to_le_bytes().to_vec(), t.as_bytes().to_vec()].concat();
    [text(axes), text(file), at.to_le_bytes().to_vec(), vec![0; 28]].concat()
}

#[test]
fn a_recording_in_several_stacks_is_one_mosaic_by_its_index() {
    let folder = Folder::new();
    let mut index = Vec::new();
    for (file, positions) in [("a_NDTiffStack.tif", [0, 1]), ("a_NDTiffStack_1.tif", [2, 3])] {
        let mut notes = Vec::new();
        for (n, (position, channel)) in positions.iter().flat_map(|&p| ["DAPI", "Cy5"].map(|c| (p, c))).enumerate() {
            // The stage comes to rest a little elsewhere for every channel.
            let (x, y) = (SQUARE[position].0 + n as f64 * 0.01, SQUARE[position].1);
            notes.push(Some(format!(r#"{{"XPositionUm": {x}, "YPositionUm": {y}, "PixelSizeUm": 0.5}}"#)));
            index.extend(entry(
                &format!(r#"{{"position": {position}, "channel": "{channel}"}}"#),
                file,
                500 * n as u32,
            ));
        }
        folder.put(file, &Tiff { note: notes[0].clone(), more: notes[1..].to_vec(), ..Tiff::new(40, 40) });
    }
    folder.write("NDTiff.index", &index);
    let set = folder.set();
    assert_eq!((set.fields.len(), set.files.len(), channels(&set)), (4, 2, vec!["DAPI", "Cy5"]));
    is_whole(&set);
    let step = set.fields[3].nominal - set.fields[0].nominal;
    assert!((step.x - 36.0).abs() < 0.1 && (step.y - 36.0).abs() < 0.1, "{step:?}");
    // Without a whole index the notes in the stacks say what they can: every file for itself.
    folder.write("NDTiff.index", &index[..index.len() / 2 - 7]);
    assert!(folder.sets().iter().all(|s| s.files.len() == 1));
}

#[test]
fn harmony_places_the_fields_of_a_well_and_names_the_channels() {
    let folder = Folder::new();
    let mut images = String::new();
    for well in ["r02c03", "r02c04"] {
        for (field, (x, y)) in SQUARE.iter().enumerate() {
            for channel in [1, 2] {
                let name = format!("{well}f{:02}p01-ch{channel}sk1fk1fl1.tiff", field + 1);
                images += &format!(
                    "<Image Version=\"1\"><URL>{name}</URL><ChannelID>{channel}</ChannelID>\
                     <PositionX Unit=\"m\">{}</PositionX><PositionY Unit=\"m\">{}</PositionY></Image>",
                    x * 1e-6,
                    y * 1e-6
                );
                folder.put(&format!("Images/{name}"), &Tiff::new(40, 40));
            }
        }
    }
    let channel = |id: u32, name: &str| {
        let size = |axis: &str| format!("<ImageResolution{axis} Unit=\"m\">5E-07</ImageResolution{axis}>");
        format!("<Entry ChannelID=\"{id}\"><ChannelName>{name}</ChannelName>{}{}</Entry>", size("X"), size("Y"))
    };
    let map = format!("<Map>{}{}</Map>", channel(1, "HOECHST 33342"), channel(2, "Alexa 647"));
    let text = format!("<EvaluationInputData><Images>{map}{images}</Images></EvaluationInputData>");
    folder.write("Images/Index.idx.xml", text.as_bytes());
    let sets = folder.sets();
    assert_eq!(sets.len(), 2);
    for set in &sets {
        assert_eq!((set.fields.len(), &set.layout, set.um_per_px), (4, &Layout::Stage, Some([0.5, 0.5])));
        assert_eq!(channels(set), ["HOECHST 33342", "Alexa 647"]);
        // Harmony counts upwards: the first field, with the lower y, is below the third.
        let step = set.fields[2].nominal - set.fields[0].nominal;
        assert!(step.x.abs() < 1e-6 && (step.y + 36.0).abs() < 1e-6, "{step:?}");
        is_whole(set);
    }
}

#[test]
fn names_of_meta_morphs_stage_positions_are_rows_and_columns() {
    let folder = Folder::new();
    let mut list = "\"NDInfoFile\", Version 2.0\r\n\"NStagePositions\", 5\r\n\"WaveName1\", \"DAPI\"\r\n".to_owned();
    let stages = ["Row0_Col0", "Row0_Col1", "Row1_Col1", "Row1_Col0", "Overview"];
    for (n, stage) in stages.iter().enumerate() {
        list += &format!("\"Stage{}\", \"{stage}\"\r\n", n + 1);
        folder.put(&format!("scan_w1DAPI_s{}_t1.TIF", n + 1), &Tiff::new(40, 40));
    }
    folder.write("scan.nd", list.as_bytes());
    folder.write("other.nd", b"\"Stage1\", \"Row5_Col5\"\r\n");
    let found = folder.resolve();
    let set = sets(&found)[0].clone();
    assert_eq!(cells(&set), [(0, 0), (0, 1), (1, 1), (1, 0)]);
    assert_eq!(images(&found), ["scan_w1DAPI_s5_t1.TIF"]);
    assert!(set.warnings.iter().any(|w| w.starts_with("1 positions")), "{:?}", set.warnings);
}

#[test]
fn points_that_names_count_and_the_stage_says_lie_apart_stay_images() {
    let points = |step: f64| {
        let folder = Folder::new();
        for n in 0..5 {
            let place = (f64::from(n) * step, f64::from(n % 2) * step);
            folder.put(
                &format!("a_s{n}.ome.tif"),
                &Tiff { description: Some(ome(&[place], (40, 40))), ..Tiff::new(40, 40) },
            );
        }
        folder
    };
    points(500.0).is_images();
    assert_eq!(points(18.0).set().layout, Layout::Stage);
}

#[test]
fn rows_and_columns_in_names_that_the_stage_denies_stay_images() {
    let with = |name: &dyn Fn(u32, u32) -> String, place: &dyn Fn(f64, f64) -> (f64, f64)| {
        let folder = Folder::new();
        for (a, b) in (1..=4).flat_map(|a| (1..=5).map(move |b| (a, b))) {
            let text = ome(&[place(f64::from(a), f64::from(b))], (40, 40));
            folder.put(&name(a, b), &Tiff { description: Some(text), ..Tiff::new(40, 40) });
        }
        folder
    };
    let tile = |a: u32, b: u32| format!("tile_{a:02}_{b:02}.tif");
    // Five focus positions of each tile, points that were visited, and one place.
    with(&tile, &|a, _| (a * 18.0, 7.0)).is_images();
    with(&tile, &|a, b| (a * 500.0, b * 500.0)).is_images();
    with(&tile, &|_, _| (5.0, 5.0)).is_images();
    with(&|a, b| format!("1-Pos{a:03}_{b:03}.tif"), &|_, _| (5.0, 5.0)).is_images();
    let damaged = with(&tile, &|_, _| (5.0, 5.0));
    damaged.write(&tile(2, 2), b"II*\0\xff\xff\xff\x7f");
    damaged.is_images();
    // Zeros are written where there is no stage.
    let set = with(&tile, &|_, _| (0.0, 0.0)).set();
    assert!(matches!(&set.layout, Layout::Grid(grid) if (grid.rows, grid.columns) == (5, 4)), "{:?}", set.layout);
}

#[test]
fn tiles_in_micrometres_in_brackets_stand_at_their_places() {
    let folder = Folder::new();
    for (x, y) in [(46_000, 13_000), (46_018, 13_000), (46_000, 13_018), (46_018, 13_018)] {
        let text = ome(&[(0.0, 0.0)], (40, 40)).replace("PositionX=\"0\" PositionY=\"0\"", "");
        folder
            .put(&format!("Lung_[{x},{y}]_component_data.tif"), &Tiff { description: Some(text), ..Tiff::new(40, 40) });
    }
    let set = folder.set();
    assert_eq!((nominal(&set, "Lung_[46018,13018]"), &set.layout), (Point::new(92_036.0, 26_036.0), &Layout::Stage));
}
