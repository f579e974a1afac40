//! What names say, and what they do not.

use super::*;

#[test]
fn rows_columns_and_channels_make_a_grid_with_gaps() {
    let all = (0..3).flat_map(|r| (0..4).flat_map(move |c| [0, 1].map(|ch| format!("r{r:02}_c{c:02}_ch{ch}.tif"))));
    let folder = Folder::of(all.filter(|name| !name.starts_with("r01_c02")));
    let set = folder.set();
    assert_eq!((set.fields.len(), channels(&set)), (11, vec!["ch0", "ch1"]));
    is_whole(&set);
    assert!(matches!(set.layout, Layout::Grid(GridLayout { rows: 3, columns: 4, overlap: None, .. })));
    // Fields whose overlap is not known stand a twentieth of their side apart.
    assert_eq!(nominal(&set, "r01_c03"), Point::new((3.0 * 32.0 * 1.05_f64).round(), (24.0 * 1.05_f64).round()));
    assert_eq!(set.path, folder.path());
    assert_eq!(set.evidence, "names like r{row}_c{col}_ch{channel}.tif");
}

#[test]
fn the_families_of_names_that_programs_write_are_grids() {
    type Named = (&'static str, [&'static str; 4], [(i32, i32); 4]);
    let families: [Named; 6] = [
        (
            "MIST",
            ["img_r001_c001.tif", "img_r001_c002.tif", "img_r002_c001.tif", "img_r002_c002.tif"],
            [(0, 0), (0, 1), (1, 0), (1, 1)],
        ),
        (
            "TrakEM",
            ["col0061_row0140.tif", "col0061_row0142.tif", "col0062_row0140.tif", "col0062_row0142.tif"],
            [(0, 0), (1, 0), (0, 1), (1, 1)],
        ),
        (
            "x and y",
            ["tile_x003_y008.tif", "tile_x003_y009.tif", "tile_x004_y008.tif", "tile_x004_y009.tif"],
            [(0, 0), (1, 0), (0, 1), (1, 1)],
        ),
        (
            "stitch2d",
            ["e[Grid@0 0].tif", "e[Grid@0 1].tif", "e[Grid@1 0].tif", "e[Grid@1 1].tif"],
            [(0, 0), (1, 0), (0, 1), (1, 1)],
        ),
        (
            "Micro-Manager",
            ["1-Pos_000_000.tif", "1-Pos_000_001.tif", "1-Pos_001_000.tif", "1-Pos_001_001.tif"],
            [(0, 0), (1, 0), (0, 1), (1, 1)],
        ),
        (
            "words",
            ["Row 1 Column 1.tif", "Row 1 Column 2.tif", "Row 2 Column 1.tif", "Row 2 Column 2.tif"],
            [(0, 0), (0, 1), (1, 0), (1, 1)],
        ),
    ];
    for (program, files, wanted) in families {
        let set = Folder::of(files).set();
        assert_eq!(cells(&set), wanted, "{program}");
    }
}

#[test]
fn a_labelled_count_is_a_sequence_with_gaps_and_says_that_rows_are_guessed() {
    let folder = Folder::of((1..=12).filter(|n| *n != 5).map(|n| format!("scan_s{n}.tif")));
    let set = folder.set();
    assert_eq!(set.fields.len(), 11);
    let Layout::Grid(grid) = set.layout else { panic!("{:?}", set.layout) };
    assert_eq!((grid.rows, grid.columns), (3, 4));
    assert!(matches!(grid.order, GridOrder::Sequence { start: Corner::TopLeft, .. }));
    assert_eq!(set.fields[4].row_col, Some((1, 1)), "6 stands where 6 belongs");
    assert!(set.warnings.iter().any(|w| w.contains("guessed")), "{:?}", set.warnings);
    assert_eq!(Folder::of((1..=4).map(|n| format!("x_A{n:03}_I.tif"))).set().fields.len(), 4);
}

#[test]
fn wells_and_scenes_are_sets_of_their_own() {
    let names = |well: &'static str| (1..=4).map(move |s| format!("p_{well}_s{s}_w1.tif"));
    let folder = Folder::of(names("B02").chain(names("C11")));
    let sets = folder.sets();
    assert_eq!(sets.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(), ["B02", "C11"]);
    assert_eq!(sets[1].path, folder.path().join("C11"));
    let found = resolve(&folder.path().join("C11")).expect("found by its name");
    assert_eq!(found.entries, [Entry::Fields(sets[1].clone())]);
    assert!(resolve(&folder.path().join("C12")).expect_err("no such well").is_not_found());
}

#[test]
fn rounds_are_told_apart_and_announced() {
    let folder = Folder::of(
        [1, 2].into_iter().flat_map(|n| (0..4).map(move |i| format!("cycle{n}_r{}_c{}_DAPI.tif", i / 2, i % 2))),
    );
    let set = folder.set();
    assert_eq!(set.fields.len(), 4);
    assert_eq!(set.channels.iter().map(|c| c.round).collect::<Vec<_>>(), [0, 1]);
    assert!(set.warnings.iter().any(|w| w.starts_with("2 staining rounds")), "{:?}", set.warnings);
    is_whole(&set);
}

#[test]
fn rounds_in_folders_of_their_own_are_one_set() {
    let folder = Folder::of(
        [1, 2].into_iter().flat_map(|n| (0..4).map(move |i| format!("round{n:02}/r{}_c{}.tif", i / 2, i % 2))),
    );
    let set = folder.set();
    assert_eq!((set.fields.len(), set.channels.len()), (4, 2));
}

#[test]
fn channel_words_come_with_dapi_first() {
    let folder = Folder::of(
        ["CD45", "DAPI", "AF488"]
            .into_iter()
            .flat_map(|dye| (0..4).map(move |i| format!("a_r{}_c{}_{dye}.tif", i / 2, i % 2))),
    );
    let set = folder.set();
    assert_eq!(channels(&set), ["DAPI", "AF488", "CD45"]);
    is_whole(&set);
}

#[test]
fn focus_and_time_of_names_become_planes() {
    let folder =
        Folder::of((0..24).map(|i| format!("r{}_c{}_z{}_t{}.tif", i % 2, i / 2 % 2, i / 4 % 3 + 5, i / 12 + 1)));
    let set = folder.set();
    assert_eq!((set.fields.len(), set.z_count, set.t_count), (4, 3, 2));
    is_whole(&set);
}

#[test]
fn fields_in_one_file_with_channels_keep_both() {
    let folder = Folder::new();
    for i in 0..4 {
        let tiff = Tiff { more: vec![None], ..Tiff::new(32, 24) };
        folder.put(&format!("r{}_c{}.tif", i / 2, i % 2), &tiff);
    }
    let set = folder.set();
    assert_eq!(channels(&set), ["Channel 1", "Channel 2"]);
    assert_eq!(set.fields[3].planes.iter().map(|p| (p.channel, p.file_channel)).collect::<Vec<_>>(), [(0, 0), (1, 1)]);
}

#[test]
fn places_in_names_are_places() {
    let folder = Folder::new();
    for (x, y) in [(0, 0), (183, 3), (2, 178), (181, 182)] {
        folder.put(&format!("tile_x{x}_y{y}.tif"), &Tiff::new(200, 200));
    }
    let set = folder.set();
    assert_eq!((nominal(&set, "tile_x181"), &set.layout), (Point::new(181.0, 182.0), &Layout::Stage));
}

#[test]
fn slides_times_and_single_pictures_stay_images() {
    let numbered = |pattern: &str, count: u32| {
        Folder::of((1..=count).map(|n| pattern.replace("{}", &format!("{n:02}")).replace("{n}", &n.to_string())))
    };
    for pattern in [
        "case_{}.tif",
        "slide{}.tif",
        "img_00{}.tif",
        "t{}.tif",
        "time_{}.tif",
        "a_z{}.tif",
        "a_ch{n}.tif",
        "patient_s{n}.tif",
        "mouse_m{n}.tif",
        "cycle{n}.tif",
        "stack_z{}_t1.tif",
        "{}.tif",
        "B{}.tif",
        "R{n}.tif",
    ] {
        let folder = numbered(pattern, 8);
        let found = folder.resolve();
        assert!(sets(&found).is_empty(), "{pattern}: {:?}", sets(&found)[0].evidence);
        assert_eq!(found.entries.len(), 8, "{pattern}");
    }
    numbered("tile_{}.tif", 3).is_images();
    Folder::of(["left.tif", "right.tif"]).is_images();
    Folder::of(["case_01_1.tif", "case_01_2.tif", "case_02_1.tif", "case_02_2.tif", "case_03_1.tif", "case_03_2.tif"])
        .is_images();
}

#[test]
fn cells_that_lie_far_apart_are_no_grid() {
    Folder::of(["a_r1_c1.tif", "a_r5_c7.tif", "a_r12_c3.tif"]).is_images();
}

#[test]
fn pictures_of_all_sizes_are_no_grid_whatever_their_names() {
    let folder = Folder::new();
    for i in 0..6 {
        folder.put(&format!("r{}_c{}.tif", i / 3, i % 3), &Tiff::new(32 + 9 * i, 24));
    }
    folder.is_images();
}

#[test]
fn two_strangers_among_fields_stay_images_of_their_own() {
    let folder = Folder::of((0..6).map(|i| format!("r{}_c{}.tif", i / 3, i % 3)));
    folder.put("holiday.tif", &Tiff::new(32, 24));
    folder.put("result_2.tif", &Tiff::new(90, 70));
    let found = folder.resolve();
    assert_eq!(sets(&found)[0].fields.len(), 6);
    assert_eq!(images(&found), ["holiday.tif", "result_2.tif"]);
}

#[test]
fn dropped_files_are_looked_at_together_and_a_single_one_alone() {
    let folder = Folder::of((0..6).map(|i| format!("r{}_c{}.tif", i / 3, i % 3)));
    let path = |name: &str| folder.path().join(name);
    let some: Vec<PathBuf> = ["r0_c0.tif", "r0_c1.tif", "r1_c0.tif"].iter().map(|n| path(n)).collect();
    let found = resolve_files(&some).expect("resolved");
    assert_eq!(sets(&found)[0].fields.len(), 3);
    let one = resolve_files(&some[..1]).expect("resolved");
    assert_eq!(one.entries, [Entry::File(path("r0_c0.tif"))]);
    let found = resolve_files(&[path("gone.tif"), path("r0_c0.tif")]).expect("one of them is there");
    assert_eq!(found.entries, [Entry::File(path("r0_c0.tif"))]);
    assert_eq!(found.left_out.iter().map(|l| base(&l.path)).collect::<Vec<_>>(), ["gone.tif"]);
    assert!(resolve_files(&[path("gone.tif"), path("away.tif")]).expect_err("neither").is_not_found());
}

#[test]
fn a_folder_gives_its_images_by_name_and_leaves_clutter_out() {
    let folder = Folder::new();
    for name in ["b.tif", "a.tif", "._a.tif", ".hidden.tif", "Thumbs.db"] {
        folder.put(name, &Tiff::new(8, 8));
    }
    folder.write("notes.txt", b"no image");
    let found = folder.resolve();
    assert_eq!(images(&found), ["a.tif", "b.tif"]);
    assert_eq!(
        found.left_out.iter().map(|l| base(&l.path)).collect::<Vec<_>>(),
        ["._a.tif", ".hidden.tif", "Thumbs.db"]
    );
}

#[test]
fn an_empty_folder_and_a_missing_path_are_errors_in_words() {
    let folder = Folder::new();
    assert!(resolve(folder.path()).is_err());
    assert!(resolve(&folder.path().join("nothing")).expect_err("nothing there").is_not_found());
    folder.write("x", b"x");
    let file = folder.path().join("x");
    assert_eq!(resolve(&file).expect("a file").entries, [Entry::File(file)]);
}

#[test]
fn images_in_folders_below_are_not_opened_unless_they_are_fields() {
    let folder = Folder::of(["a/one.tif", "b/two.tif"]);
    assert!(resolve(folder.path()).is_err());
}

#[test]
fn twenty_thousand_fields_are_laid_out() {
    let folder = Folder::new();
    let bytes = Tiff::new(8, 8).bytes();
    let (rows, columns) = if std::env::var_os("MICROTOME_LARGE").is_some() { (125, 160) } else { (20, 50) };
    for i in 0..rows * columns {
        folder.write(&format!("img_r{:03}_c{:03}.tif", i / columns, i % columns), &bytes);
    }
    let start = std::time::Instant::now();
    let set = folder.set();
    eprintln!("{} fields in {:?}", set.fields.len(), start.elapsed());
    assert_eq!(set.fields.len(), (rows * columns) as usize);
}
