//! Corrections: another grid, another pattern, fields or images, and what identifies a set.

use super::*;

fn sequence() -> Folder {
    Folder::of((1..=12).filter(|n| *n != 5).map(|n| format!("scan_s{n}.tif")))
}

fn order(start: Corner, first: FirstAlong, path: ScanPath) -> GridOrder {
    GridOrder::Sequence { start, first, path }
}

#[test]
fn a_sequence_is_laid_out_again_without_losing_its_gaps() {
    let set = sequence().set();
    let snake = order(Corner::BottomRight, FirstAlong::Column, ScanPath::Snake);
    let grid = GridLayout { rows: 6, columns: 2, order: snake, overlap: Some([0.25, 0.5]) };
    let again = set.with_layout(grid).expect("it fits");
    let cell = |name: &str| again.fields.iter().find(|f| f.name == name).and_then(|f| f.row_col);
    assert_eq!(cell("scan_s1.tif"), Some((5, 1)));
    assert_eq!(cell("scan_s6.tif"), Some((0, 1)));
    assert_eq!(cell("scan_s7.tif"), Some((0, 0)));
    assert_eq!(nominal(&again, "scan_s1.tif"), Point::new(24.0, 60.0));
    let Layout::Grid(first) = set.layout else { panic!("{:?}", set.layout) };
    assert_eq!(again.with_layout(first).expect("back"), *set);
    let small = GridLayout { rows: 2, columns: 3, ..grid };
    assert!(set.with_layout(small).is_err());
    assert!(set.with_layout(GridLayout { overlap: Some([0.95, 0.1]), ..grid }).is_err());
}

#[test]
fn named_rows_and_columns_can_be_mirrored_and_swapped() {
    let set = Folder::of((0..6).map(|i| format!("r{}_c{}.tif", i / 3, i % 3))).set();
    let order = GridOrder::Named { start: Corner::TopRight, transposed: true };
    let grid = GridLayout { rows: 3, columns: 2, order, overlap: Some([0.0, 0.0]) };
    let again = set.with_layout(grid).expect("it fits");
    assert_eq!(cells(&again), [(0, 1), (1, 1), (2, 1), (0, 0), (1, 0), (2, 0)]);
    assert_eq!(nominal(&again, "r0_c2"), Point::new(32.0, 48.0));
    let Layout::Grid(first) = set.layout else { panic!("{:?}", set.layout) };
    assert_eq!(again.with_layout(first).expect("back"), *set);
}

#[test]
fn a_pattern_that_the_user_types_reads_the_names_again() {
    let folder = sequence();
    let set = folder.set();
    let again = set.with_pattern("scan_s{col}.tif").expect("follows");
    assert_eq!(cells(&again)[10], (0, 11));
    let some = set.with_pattern("scan_s1{series}.tif").expect("follows");
    assert_eq!(names(&some), ["scan_s10.tif", "scan_s11.tif", "scan_s12.tif"]);
    assert_eq!(some.left_out.len(), 8);
    let back = some.with_pattern("scan_s{series}.tif").expect("what was left out comes back");
    assert_eq!(back.fields.len(), 11);
    assert!(set.with_pattern("other{series}.tif").is_err());
}

#[test]
fn fields_become_images_and_images_fields() {
    let folder = Folder::of(["b.tif", "a.tif", "c.tif"]);
    folder.is_images();
    let files: Vec<PathBuf> = ["b.tif", "a.tif", "c.tif"].iter().map(|n| folder.path().join(n)).collect();
    let set = combine(&files).expect("combined");
    assert_eq!((names(&set), cells(&set)), (vec!["a.tif", "b.tif", "c.tif"], vec![(0, 0), (0, 1), (1, 0)]));
    assert_eq!(set.separate().iter().map(|e| base(e.path())).collect::<Vec<_>>(), ["a.tif", "b.tif", "c.tif"]);
    assert!(combine(&files[..1]).is_err());
}

#[test]
fn a_fingerprint_survives_renaming_and_moving_and_no_change_of_content() {
    let names = |prefix: &'static str| (0..6).map(move |i| format!("{prefix}_r{}_c{}.tif", i / 3, i % 3));
    let made = |prefix: &'static str, last: u8| {
        let folder = Folder::new();
        for (value, name) in names(prefix).enumerate() {
            let value = if value == 5 { last } else { value as u8 };
            folder.put(&name, &Tiff { value, ..Tiff::new(32, 24) });
        }
        let set = folder.set();
        set.fingerprint().expect("read")
    };
    assert_eq!(made("a", 5), made("other", 5));
    assert_ne!(made("a", 5), made("a", 6));
}
