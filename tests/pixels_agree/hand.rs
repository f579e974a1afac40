//! Twenty pixels computed by hand from the display formula.

use crate::cpu::Picture;
use crate::rig::{Image, Place, Window, has_gpu};
use microtome::geom::{Point, Size};
use microtome::pixels::TileFormat;

/// Four by two pixels, looked at from twice as near: eight by four.
const SIZE: Size = Size::new(4, 2);

/// A place of the picture and its colour.
type Expected = (u32, u32, [u8; 3]);

/// Opens an image in the window, takes a snapshot and two exports of it, and looks at their pixels.
fn check(image: &Image<'_>, expected: &[Expected]) {
    let place = Place::with(image);
    let mut window = Window::open(&place, 1);
    let mut camera = window.image().camera;
    (camera.center, camera.zoom) = (Point::new(2.0, 1.0), 2.0);
    window.looks_at(camera);
    let canvas = window.canvas();
    assert_eq!(canvas.size, window.canvas_size(), "the panels are where this test thinks");
    let corner = (canvas.size.width / 2 - 4, canvas.size.height / 2 - 2);
    let whole = (0, 0);
    let snapshot = place.run("snapshot", "png", &["--size", "8x4", "--center", "2,1", "--zoom", "2"]);
    let png = place.run("export", "png", &["--scale", "2"]);
    let tiff = place.run("export", "tif", &["--scale", "2", "--rendered", "--compression", "none"]);
    for picture in [&snapshot, &png, &tiff] {
        assert_eq!(picture.size, Size::new(8, 4));
    }
    let pictures: [(&str, &Picture, (u32, u32)); 4] = [
        ("the window", &canvas, corner),
        ("the snapshot", &snapshot, whole),
        ("the exported PNG", &png, whole),
        ("the exported TIFF", &tiff, whole),
    ];
    for &(x, y, color) in expected {
        for (name, picture, (left, top)) in pictures {
            assert_eq!(picture.at(left + x, top + y), color, "{name} at {x}, {y}");
        }
    }
}

// Screen pixel i of a row shows x = (i + 0.5) / 2, which lies between the centres of two image pixels: i = 0 repeats the
// first one, i = 1 takes 3/4 of pixel 0 and 1/4 of pixel 1, i = 2 takes 1/4 and 3/4, i = 3 takes 3/4 of pixel 1 and 1/4 of
// pixel 2, and so on to i = 7, which repeats the last. Rows go the same way: 0 is the first, 1 is 3/4 of it, 3 the last.

#[test]
fn ten_pixels_of_an_8_bit_image_are_those_computed_by_hand() {
    if !has_gpu() {
        return;
    }
    const ROWS: [[u16; 4]; 2] = [[0, 40, 120, 255], [255, 120, 40, 0]];
    let image = Image {
        size: SIZE,
        format: TileFormat::Gray8,
        channels: &[("Gray", None)],
        um_per_px: None,
        sample: &|_, x, y, _| if x < 4 && y < 2 { ROWS[y as usize][x as usize] } else { 77 },
    };
    // White, from 0 to 255: a value is its own colour.
    check(
        &image,
        &[
            (0, 0, [0; 3]),
            // 0 * 3/4 + 40 * 1/4 = 10
            (1, 0, [10; 3]),
            // 0 * 1/4 + 40 * 3/4 = 30
            (2, 0, [30; 3]),
            // 40 * 3/4 + 120 * 1/4 = 60
            (3, 0, [60; 3]),
            // 40 * 1/4 + 120 * 3/4 = 100
            (4, 0, [100; 3]),
            // 120 * 3/4 + 255 * 1/4 = 153.75
            (5, 0, [154; 3]),
            // 120 * 1/4 + 255 * 3/4 = 221.25
            (6, 0, [221; 3]),
            (7, 0, [255; 3]),
            // Above 10, below 255 * 3/4 + 120 * 1/4 = 221.25: 10 * 3/4 + 221.25 * 1/4 = 62.8
            (1, 1, [63; 3]),
            // Above 100, below 120 * 1/4 + 40 * 3/4 = 60: 100 * 1/4 + 60 * 3/4 = 70
            (4, 2, [70; 3]),
        ],
    );
}

#[test]
fn five_pixels_of_an_rgb_image_are_those_computed_by_hand() {
    if !has_gpu() {
        return;
    }
    const ROWS: [[[u16; 3]; 4]; 2] = [
        [[200, 100, 0], [100, 200, 80], [0, 0, 0], [255, 255, 255]],
        [[10, 20, 30], [50, 60, 70], [90, 100, 110], [130, 140, 150]],
    ];
    let image = Image {
        size: SIZE,
        format: TileFormat::Rgb8,
        channels: &[("RGB", None)],
        um_per_px: Some(0.5),
        sample: &|_, x, y, c| if x < 4 && y < 2 { ROWS[y as usize][x as usize][c as usize] } else { 77 },
    };
    check(
        &image,
        &[
            (0, 0, [200, 100, 0]),
            // (200, 100, 0) * 3/4 + (100, 200, 80) * 1/4
            (1, 0, [175, 125, 20]),
            // (200, 100, 0) * 1/4 + (100, 200, 80) * 3/4
            (2, 0, [125, 175, 60]),
            // (90, 100, 110) * 3/4 + (130, 140, 150) * 1/4
            (5, 3, [100, 110, 120]),
            (7, 3, [130, 140, 150]),
        ],
    );
}

#[test]
fn five_pixels_of_two_16_bit_channels_are_those_computed_by_hand() {
    if !has_gpu() {
        return;
    }
    const ROWS: [[[u16; 4]; 2]; 2] = [
        [[1000, 11_000, 21_000, 41_000], [41_000, 31_000, 21_000, 1000]],
        [[0, 5000, 10_000, 20_000], [20_000, 15_000, 10_000, 0]],
    ];
    let image = Image {
        size: SIZE,
        format: TileFormat::Gray16,
        channels: &[("A", Some([255, 0, 0])), ("B", Some([255, 255, 0]))],
        um_per_px: Some(0.5),
        sample: &|channel, x, y, _| {
            if x < 4 && y < 2 { ROWS[channel as usize][y as usize][x as usize] } else { 50_000 }
        },
    };
    // Of eight samples the automatic range takes all: A from 1 000 to 41 000 in red, B from 0 to 20 000 in yellow. Red is
    // the sum of both, green is B.
    check(
        &image,
        &[
            (0, 0, [0, 0, 0]),
            // A: (1 000 * 3/4 + 11 000 * 1/4 - 1 000) / 40 000 = 1/16, B: 1 250 / 20 000 = 1/16: 2/16 and 1/16 of 255
            (1, 0, [32, 16, 0]),
            // A: (13 500 - 1 000) / 40 000 = 5/16, B: 6 250 / 20 000 = 5/16: 10/16 and 5/16 of 255
            (3, 0, [159, 80, 0]),
            // A: (26 000 - 1 000) / 40 000 = 10/16, B: 12 500 / 20 000 = 10/16: clipped, and 10/16 of 255
            (5, 0, [255, 159, 0]),
            (7, 0, [255, 255, 0]),
        ],
    );
}

#[test]
fn pictures_use_the_ranges_and_colours_that_the_user_left_an_image_with() {
    if !has_gpu() {
        return;
    }
    let image = Image {
        size: SIZE,
        format: TileFormat::Gray16,
        channels: &[("A", None), ("B", None)],
        um_per_px: None,
        sample: &|channel, x, _, _| if channel == 0 { (x % 4) as u16 * 10_000 } else { 60_000 },
    };
    let place = Place::with(&image);
    let settings = place.cache().join("settings");
    std::fs::create_dir_all(&settings).expect("a folder");
    let channel = |visible: bool| serde_json::json!({ "visible": visible, "color": [0, 255, 51], "window": { "min": 10_000.0, "max": 20_000.0 } });
    let shown = serde_json::json!({ "channels": [channel(true), channel(false)] });
    let images = serde_json::json!({ "images": { format!("{}#0", place.image.display()): shown } });
    std::fs::write(settings.join("images"), images.to_string()).expect("written");
    let snapshot = place.run("snapshot", "png", &["--size", "4x2", "--zoom", "1"]);
    let export = place.run("export", "png", &[]);
    for picture in [snapshot, export] {
        // 0 and 10 000 are black, 20 000 and 30 000 are full: the second channel is off.
        assert_eq!([0, 1, 2, 3].map(|x| picture.at(x, 1)), [[0; 3], [0; 3], [0, 255, 51], [0, 255, 51]]);
    }
}
