//! What names say, family by family.

use super::*;

fn one_family(names: &[&str]) -> (Family, Vec<NameTags>) {
    let (families, tags) = read(names);
    assert_eq!(families.len(), 1, "{families:?}");
    (families[0].clone(), tags)
}

#[test]
fn rows_columns_and_channels_are_read_from_their_labels() {
    let (family, tags) = one_family(&["r00_c01_ch0.tif", "r01_c01_ch0.tif", "r01_c01_ch1.tif", "r00_c00_ch1.tif"]);
    assert_eq!((family.pattern.as_str(), family.says), ("r{row}_c{col}_ch{channel}.tif", Says::Grid));
    assert_eq!(tags[2].field, Some(FieldKey::RowCol(1, 1)));
    assert_eq!(tags[2].channel, Some(ChannelTag::new(1, "ch1")));
}

#[test]
fn a_word_that_varies_behind_the_field_is_a_channel_and_before_it_a_scene() {
    let (_, tags) = one_family(&["s_r1_c1_CD45.tif", "s_r1_c1_CD8.tif", "s_r1_c2_CD45.tif", "s_r1_c2_CD8.tif"]);
    assert!(tags.iter().all(|t| t.set.is_empty()));
    assert_eq!(tags[0].channel.as_ref().map(|c| c.name.as_str()), Some("CD45"));
    let (_, tags) = one_family(&["left_r1_c1.tif", "right_r1_c1.tif", "left_r1_c2.tif", "right_r1_c2.tif"]);
    assert_eq!(tags.iter().map(|t| t.set.as_str()).collect::<Vec<_>>(), ["left", "right", "left", "right"]);
}

#[test]
fn a_stamp_of_its_own_in_every_name_says_nothing() {
    let (family, tags) = one_family(&["r1_c1_1731.tif", "r1_c2_1802.tif", "r2_c1_1944.tif", "r2_c2_2001.tif"]);
    assert!(tags.iter().all(|t| t.set.is_empty()), "{tags:?}");
    assert_eq!(family.pattern, "r{row}_c{col}_{*}.tif");
}

#[test]
fn wells_sites_and_waves_are_told_apart() {
    let (family, tags) =
        one_family(&["9987_B02_s1_w1.TIF", "9987_B02_s2_w2.TIF", "9987_C03_s1_w1DAPI.TIF", "9987_C03_s2_w2.TIF"]);
    assert_eq!(family.says, Says::Count);
    assert_eq!((tags[2].set.as_str(), tags[2].field), ("C03", Some(FieldKey::Number(1))));
    assert_eq!(tags[2].channel.as_ref().map(|c| c.name.as_str()), Some("DAPI"));
}

#[test]
fn rows_and_columns_of_a_plate_are_wells_where_fields_have_numbers() {
    let names = ["r01c01f01p01-ch1.tiff", "r01c01f02p01-ch1.tiff", "r01c02f01p01-ch1.tiff", "r01c02f02p01-ch1.tiff"];
    let (_, tags) = one_family(&names);
    assert_eq!((tags[3].set.as_str(), tags[3].field), ("r01_c02", Some(FieldKey::Number(2))));
}

#[test]
fn a_capital_c_is_a_column_beside_rows_and_a_channel_beside_sites() {
    let (_, tags) = one_family(&["R01_C01.tif", "R01_C02.tif", "R02_C01.tif"]);
    assert_eq!(tags[1].field, Some(FieldKey::RowCol(1, 2)));
    let (_, tags) = one_family(&["s1_C01.tif", "s1_C02.tif", "s2_C01.tif", "s2_C02.tif"]);
    assert_eq!(tags[1].channel.as_ref().map(|c| c.number), Some(2));
}

#[test]
fn rounds_are_told_from_rows() {
    let (_, tags) = one_family(&["cycle1_r1_c1.tif", "cycle1_r1_c2.tif", "cycle2_r1_c1.tif", "cycle2_r1_c2.tif"]);
    assert_eq!((tags[2].round, tags[2].set.as_str()), (2, ""));
    let (_, tags) = one_family(&["R1_s1.tif", "R1_s2.tif", "R2_s1.tif", "R2_s2.tif"]);
    assert_eq!((tags[2].round, tags[2].field), (2, Some(FieldKey::Number(1))));
}

#[test]
fn a_position_that_folder_and_file_both_name_is_one_number() {
    let (family, tags) = one_family(&[
        "Pos0/img_channel000_position000_time000000000_z000.tif",
        "Pos1/img_channel000_position001_time000000000_z000.tif",
    ]);
    assert_eq!((family.says, tags[1].set.as_str()), (Says::Count, ""));
    assert_eq!(tags[1].field, Some(FieldKey::Number(1)));
}

#[test]
fn bare_counts_say_nothing_and_lettered_ones_count() {
    for names in [
        ["img_0001.tif", "img_0002.tif"],
        ["t001.tif", "t002.tif"],
        ["img_z1.tif", "img_z2.tif"],
        ["mouse_m1.tif", "mouse_m2.tif"],
        ["case7_s1.tif", "case7_s2.tif"],
        ["p01.tif", "p02.tif"],
    ] {
        assert_eq!(one_family(&names).0.says, Says::Nothing, "{names:?}");
    }
    let (family, tags) = one_family(&["x100_e_001_A001_I.tif", "x100_e_001_A008_I.tif"]);
    assert_eq!((family.says, tags[1].field), (Says::Count, Some(FieldKey::Number(8))));
    assert_eq!(family.pattern, "x100_e_001_A{series}_I.tif");
}

#[test]
fn two_bare_numbers_are_a_grid_only_where_they_fill_one_and_name_no_cases() {
    let grid: Vec<String> = (0..6).map(|i| format!("img_{}_{}.tif", i / 3, i % 3)).collect();
    let names: Vec<&str> = grid.iter().map(String::as_str).collect();
    assert_eq!(one_family(&names).0.says, Says::Grid);
    assert_eq!(one_family(&names[..5]).0.says, Says::Nothing);
    let cases: Vec<String> = (0..6).map(|i| format!("case_{}_{}.tif", i / 3, i % 3)).collect();
    assert_eq!(one_family(&cases.iter().map(String::as_str).collect::<Vec<_>>()).0.says, Says::Nothing);
}

#[test]
fn numbers_order_names_by_value() {
    let mut names = ["s10", "s2", "s1", "a", "s02b"];
    names.sort_by(|a, b| natural_order(a, b));
    assert_eq!(names, ["a", "s1", "s2", "s02b", "s10"]);
}
