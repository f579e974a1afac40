//! The real sets of the corpus.

use super::*;

/// A folder of the corpus; says loudly that a test did nothing where the corpus is not there.
fn corpus(folder: &str) -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|above| above.join("shared/corpus"));
    let named = std::env::var_os("MICROTOME_CORPUS").map(PathBuf::from);
    let Some(root) = named.or_else(|| beside.into_iter().find(|path| path.is_dir())) else {
        eprintln!("SKIPPED: there is no corpus; name one with MICROTOME_CORPUS");
        return None;
    };
    let path = root.join(folder);
    if !path.exists() {
        eprintln!("SKIPPED: the corpus is not at {}", root.display());
        return None;
    }
    Some(path)
}

fn one_set(path: &Path) -> Arc<FieldSet> {
    let found = resolve(path).expect("resolved");
    let sets = sets(&found);
    assert_eq!(sets.len(), 1, "{:?}", found.entries.iter().map(Entry::path).collect::<Vec<_>>());
    sets[0].clone()
}

#[test]
fn a_fiji_layout_places_four_fields_and_says_that_eight_are_missing() {
    let Some(path) = corpus("tiles/lscm_10pct1_2x2") else { return };
    let set = one_set(&path);
    assert_eq!(set.fields.len(), 4);
    assert_eq!(nominal(&set, "x100_epr-jerem_10pct_001_A007"), Point::new(921.0, 921.0));
    assert_eq!(cells(&set), [(0, 0), (0, 1), (1, 1), (1, 0)]);
    assert!(set.warnings.iter().any(|w| w.starts_with("8 of the 12")), "{:?}", set.warnings);
    assert_eq!(set.saved_positions.as_deref().map(base).as_deref(), Some("TileConfiguration.registered.txt"));
    assert_eq!(set.layout, Layout::File(path.join("TileConfiguration.txt")));
}

#[test]
fn the_wells_of_a_plate_stand_where_their_stage_stood() {
    let Some(path) = corpus("tiles/imagexpress_3435_tp1") else { return };
    let found = resolve(&path).expect("resolved");
    let sets = sets(&found);
    assert_eq!(sets.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(), ["B02", "B03"]);
    for set in &sets {
        is_whole(set);
        assert_eq!(channels(set), ["DAPI", "FITC"]);
        assert_eq!((set.fields.len(), &set.layout), (2, &Layout::Stage));
        let step = set.fields[1].nominal - set.fields[0].nominal;
        assert!((step.x - 230.4).abs() < 0.1 && step.y.abs() < 0.1, "{step:?}");
        assert!(set.um_per_px.is_some_and(|[x, _]| (x - 1.3672).abs() < 1e-6));
    }
    let again = resolve(&path.join("B03")).expect("found by its name");
    assert_eq!(again.entries, [Entry::Fields(sets[1].clone())]);
}

#[test]
fn a_grid_in_brackets_counts_columns_first() {
    let Some(path) = corpus("tiles/stitch2d_2x3") else { return };
    let set = one_set(&path);
    assert_eq!(cells(&set), [(0, 0), (1, 0), (2, 0), (0, 1), (1, 1), (2, 1)]);
    let Layout::Grid(grid) = set.layout else { panic!("{:?}", set.layout) };
    assert_eq!((grid.rows, grid.columns, grid.overlap), (3, 2, None));
    let step = nominal(&set, "stitch2d_ex[Grid@1 1]");
    assert!(step.x > f64::from(set.fields[0].size.width), "fields stand apart: {step:?}");
}

#[test]
fn columns_and_rows_with_large_numbers_make_a_grid_and_the_mask_is_left_out() {
    let Some(path) = corpus("tiles/em_2x2") else { return };
    let found = resolve(&path).expect("resolved");
    let set = one_set(&path);
    assert_eq!(set.fields.len(), 4);
    assert_eq!(cells(&set), [(0, 0), (1, 0), (0, 1), (1, 1)]);
    assert_eq!(found.left_out.iter().map(|l| l.reason.as_str()).collect::<Vec<_>>(), ["a mask"]);
    assert_eq!(found.entries.len(), 1);
}

#[test]
fn positions_in_one_stack_of_micro_manager_are_fields() {
    let Some(path) = corpus("ndtiff/magellan_explore_rgb/Full resolution") else { return };
    let set = one_set(&path);
    assert_eq!((set.fields.len(), &set.layout), (3, &Layout::Stage));
    assert_eq!(set.fields[1].nominal - set.fields[0].nominal, Point::new(31.0, 31.0));
    assert_eq!(set.fields[2].planes[0].file_z, 2);
    let whole = one_set(&corpus("ndtiff/magellan_explore_rgb").expect("there"));
    assert_eq!(whole.fields.len(), 3);
}

#[test]
fn slides_and_stacks_of_the_corpus_are_no_mosaics() {
    for folder in
        ["wsi", "ome-tiff", "ome-tiff/companion", "ome-tiff/qupath_cells", "fluor", "brightfield", "jp2", "qptiff"]
    {
        let Some(path) = corpus(folder) else { return };
        let found = resolve(&path).expect("resolved");
        assert!(
            sets(&found).is_empty(),
            "{folder}: {:?}",
            sets(&found).iter().map(|s| &s.evidence).collect::<Vec<_>>()
        );
    }
}
