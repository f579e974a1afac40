//! What is left out of a mosaic, and what becomes of files that cannot be read.

use super::*;

fn grid() -> Folder {
    Folder::of((0..6).map(|i| format!("r{}_c{}.tif", i / 3, i % 3)))
}

fn reasons(found: &Resolved) -> Vec<(String, String)> {
    found.left_out.iter().map(|l| (base(&l.path), l.reason.clone())).collect()
}

#[test]
fn masks_and_overviews_are_left_out_with_the_reason() {
    let folder = grid();
    for i in 0..2 {
        folder.put(&format!("r0_c{i}_mask.tif"), &Tiff { bits: 8, ..Tiff::new(32, 24) });
    }
    folder.put("overview.tif", &Tiff::new(50, 30));
    let found = folder.resolve();
    let told: Vec<(String, String)> =
        [("overview.tif", "an overview"), ("r0_c0_mask.tif", "a mask"), ("r0_c1_mask.tif", "a mask")]
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
            .to_vec();
    assert_eq!(reasons(&found), told);
    assert_eq!(found.entries.len(), 1);
    assert_eq!(sets(&found)[0].left_out, found.left_out);
}

#[test]
fn masks_alone_are_a_mosaic_like_any_other() {
    assert_eq!(Folder::of((0..4).map(|i| format!("mask_r{}_c{}.tif", i / 2, i % 2))).set().fields.len(), 4);
}

#[test]
fn a_field_of_other_pixels_or_another_size_is_left_out_by_name() {
    let folder = grid();
    folder.put("r0_c3.tif", &Tiff { bits: 8, ..Tiff::new(32, 24) });
    folder.put("r1_c3.tif", &Tiff::new(300, 24));
    let set = folder.set();
    assert_eq!(set.fields.len(), 6);
    let told: Vec<_> = set.left_out.iter().map(|l| (base(&l.path), l.reason.as_str())).collect();
    assert_eq!(
        told,
        [
            ("r0_c3.tif".to_owned(), "other pixels than the fields"),
            ("r1_c3.tif".to_owned(), "another size than the fields")
        ]
    );
}

#[test]
fn a_field_that_was_cut_a_little_stays() {
    let folder = grid();
    folder.put("r0_c3.tif", &Tiff::new(20, 24));
    let set = folder.set();
    assert_eq!(set.fields.iter().find(|f| f.name == "r0_c3.tif").expect("there").size, Size::new(20, 24));
}

#[test]
fn a_damaged_field_keeps_its_place_and_is_announced() {
    let folder = grid();
    folder.write("r1_c1.tif", b"II*\0\xff\xff\xff\x7f");
    let set = folder.set();
    let field = set.fields.iter().find(|f| f.name == "r1_c1.tif").expect("there");
    assert_eq!((field.row_col, field.size, field.planes.len()), (Some((1, 1)), Size::new(32, 24), 1));
    assert!(set.warnings.iter().any(|w| w.starts_with("r1_c1.tif cannot be read")), "{:?}", set.warnings);
}

#[test]
fn files_still_being_written_and_empty_ones_are_left_out() {
    let folder = grid();
    folder.write("r1_c1.tif", b"");
    // Written right now, and not whole.
    fs::write(folder.path().join("r1_c2.tif"), b"II*\0\xff\xff").expect("written");
    fs::File::options()
        .write(true)
        .open(folder.path().join("r1_c2.tif"))
        .and_then(|f| f.set_modified(std::time::SystemTime::now()))
        .expect("dated");
    let found = folder.resolve();
    assert_eq!(sets(&found)[0].fields.len(), 4);
    let told = reasons(&found);
    assert_eq!(told[0], ("r1_c1.tif".into(), "an empty file".into()));
    assert_eq!(told[1], ("r1_c2.tif".into(), "still being written".into()));
}

#[test]
fn a_solved_layout_is_offered_and_never_taken() {
    let folder = grid();
    let list: String =
        (0..6).map(|i| format!("r{}_c{}.tif,{},{},{}.5,7\n", i / 3, i % 3, i / 3, i % 3, i * 30)).collect();
    folder.write("positions.csv", format!("{}\n{list}", positions::CSV_HEADER).as_bytes());
    let set = folder.set();
    assert!(matches!(set.layout, Layout::Grid(_)));
    let saved = set.saved_positions.as_ref().expect("offered");
    let places = positions::read(saved).expect("read").places_of(&set).expect("named");
    assert_eq!(places[4], Some(Point::new(120.5, 7.0)));
}

#[test]
fn a_solved_layout_that_is_all_there_is_lays_out() {
    let folder = Folder::of(["a.tif", "b.tif", "c.tif"]);
    folder
        .write("TileConfiguration.registered.txt", b"dim = 2\na.tif; ; (0, 0)\nb.tif; ; (29.5, 1)\nc.tif; ; (58, 2)\n");
    let set = folder.set();
    assert_eq!(nominal(&set, "b"), Point::new(29.5, 1.0));
    assert_eq!(set.saved_positions, None);
}

#[test]
fn a_layout_comes_before_names_and_takes_the_other_channels_along() {
    let folder = Folder::of((0..4).flat_map(|i| [0, 1].map(|ch| format!("r{}_c{}_ch{ch}.tif", i / 2, i % 2))));
    let lines: String =
        (0..4).map(|i| format!("r{}_c{}_ch0.tif; ; ({}, {})\n", i / 2, i % 2, i % 2 * 29, i / 2 * 21)).collect();
    folder.write("TileConfiguration.txt", format!("dim = 2\n{lines}gone.tif; ; (58, 0)\n").as_bytes());
    let set = folder.set();
    assert_eq!((set.fields.len(), set.channels.len()), (4, 2));
    is_whole(&set);
    assert_eq!(nominal(&set, "r1_c1"), Point::new(29.0, 21.0));
    assert!(set.warnings.iter().any(|w| w.starts_with("1 of the 5 files")), "{:?}", set.warnings);
    let by_layout = resolve(&folder.path().join("TileConfiguration.txt")).expect("its folder");
    assert_eq!(sets(&by_layout)[0], set);
}

#[test]
fn a_list_in_micrometres_is_scaled_by_the_pixel_size_or_by_the_step() {
    let folder = Folder::of(["a.tif", "b.tif", "c.tif"]);
    folder.write("list.csv", b"file,x,y,unit\na.tif,0,0,um\nb.tif,10,0,um\nc.tif,20,0,um\n");
    let set = folder.set();
    assert!((nominal(&set, "b").x - 0.9 * 32.0).abs() < 1e-9, "{:?}", nominal(&set, "b"));
    assert!(set.warnings.iter().any(|w| w.contains("pixel size is not known")), "{:?}", set.warnings);
}

#[test]
fn a_layout_whose_places_coincide_or_are_beyond_all_sense_is_not_followed_and_says_so() {
    for place in ["0, 0", "1e300, 0", "1e12, 5"] {
        let names = || (0..6).map(|i| format!("r{}_c{}.tif", i / 3, i % 3));
        let folder = Folder::of(names());
        let lines: String = names().map(|name| format!("{name}; ; ({place})\n")).collect();
        folder.write("TileConfiguration.txt", format!("dim = 2\n{lines}").as_bytes());
        let set = folder.set();
        assert!(matches!(set.layout, Layout::Grid(_)), "{place}: {:?}", set.layout);
        let is_told = |w: &String| w.starts_with("TileConfiguration.txt is not followed");
        assert!(set.warnings.iter().any(is_told), "{place}: {:?}", set.warnings);
    }
}

#[test]
fn a_layout_in_a_folder_below_means_the_images_beside_it() {
    let names = ["a.tif", "b.tif", "c.tif"];
    let folder = Folder::of(["one", "two"].iter().flat_map(|f| names.map(|name| format!("{f}/{name}"))));
    let layout = |step: i32| -> String {
        let line = |(i, name): (usize, &&str)| format!("{name}; ; ({}, 0)\n", i as i32 * step);
        format!("dim = 2\n{}", names.iter().enumerate().map(line).collect::<String>())
    };
    folder.write("one/TileConfiguration.txt", layout(28).as_bytes());
    folder.write("two/TileConfiguration.txt", layout(30).as_bytes());
    let sets = folder.sets();
    assert_eq!(sets.len(), 2);
    for set in &sets {
        let Layout::File(of) = &set.layout else { panic!("{:?}", set.layout) };
        assert!(set.files.iter().all(|file| file.parent() == of.parent()), "{of:?}: {:?}", set.files);
    }
}

#[test]
fn an_image_that_is_named_and_drawn_like_a_mask_is_left_out_and_one_that_is_only_named_so_is_not() {
    // The pixels of a picture that was taken: no two neighbours are alike.
    let taken = Tiff { is_noise: true, ..Tiff::new(32, 24) };
    for (masks, fields, channels) in [(Tiff::new(32, 24), 6, 1), (taken.clone(), 6, 2)] {
        let folder = Folder::new();
        for i in 0..6 {
            folder.put(&format!("r{}_c{}_DAPI.tif", i / 3, i % 3), &taken);
            folder.put(&format!("r{}_c{}_label.tif", i / 3, i % 3), &masks);
        }
        let found = folder.resolve();
        let set = sets(&found)[0].clone();
        assert_eq!((set.fields.len(), set.channels.len()), (fields, channels));
        assert_eq!(found.left_out.iter().filter(|l| l.reason == "a mask").count(), 6 * (2 - channels));
    }
}

#[test]
fn dim_and_blank_fields_are_fields_whatever_their_pixels() {
    let folder = Folder::new();
    for i in 0..6 {
        let value = if i == 2 { 0 } else { 1 };
        folder.put(&format!("r{}_c{}.tif", i / 3, i % 3), &Tiff { bits: 8, value, ..Tiff::new(32, 24) });
    }
    assert_eq!(folder.set().fields.len(), 6);
}

#[test]
fn masks_of_two_kinds_thumbnails_and_overlays_of_every_field_are_left_out() {
    let folder = grid();
    for i in 0..6 {
        for kind in ["cp_masks", "seg", "Overlay"] {
            folder.put(&format!("r{}_c{}_{kind}.tif", i / 3, i % 3), &Tiff::new(32, 24));
        }
        folder.put(&format!("r{}_c{}_thumb0F3A.tif", i / 3, i % 3), &Tiff::new(8, 6));
    }
    let found = folder.resolve();
    assert_eq!((sets(&found).len(), images(&found).len()), (1, 0));
    let count = |reason: &str| found.left_out.iter().filter(|l| l.reason == reason).count();
    assert_eq!(
        ["a mask", "an overview", "a picture of several channels"].map(count),
        [12, 6, 6],
        "{:?}",
        found.left_out
    );
}

#[test]
fn a_row_that_is_no_index_and_a_file_of_several_images_are_no_cells() {
    let names = ["row1_s1.tif", "row2_s2.tif", "row3_s3.tif", "row99999999999_s4.tif"];
    let found = Folder::of(names).resolve();
    assert_eq!((sets(&found)[0].fields.len(), images(&found)), (3, vec![names[3].to_owned()]));

    let folder = grid();
    let image = |index: usize| {
        format!(
            r#"<Image ID="Image:{index}"><Pixels ID="P:{index}" DimensionOrder="XYCZT" Type="uint16" SizeX="32"
            SizeY="24" SizeC="1" SizeZ="1" SizeT="1"><Channel ID="C:{index}" SamplesPerPixel="1"/>
            <TiffData IFD="{index}" PlaneCount="1"/></Pixels></Image>"#
        )
    };
    let text = format!("<OME>{}{}</OME>", image(0), image(1));
    folder.put("r1_c2.tif", &Tiff { description: Some(text), more: vec![None], ..Tiff::new(32, 24) });
    let found = folder.resolve();
    assert_eq!((sets(&found)[0].fields.len(), images(&found)), (5, vec!["r1_c2.tif".to_owned()]));
}
