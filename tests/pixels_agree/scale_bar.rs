//! The scale bar, measured in the pixels.

use crate::cpu::Picture;
use crate::rig::{Image, Place, Window, has_gpu};
use microtome::geom::{Point, Size};
use microtome::pixels::TileFormat;

const UM_PER_PX: f64 = 0.2527;
/// A zoom, the screen's pixels a point, and the micrometres that the bar's label says there: the longest round length of
/// at most 250 points.
const BARS: [(f64, u32, f64); 6] =
    [(0.37, 1, 100.0), (1.0, 1, 50.0), (3.3, 1, 10.0), (0.37, 2, 200.0), (1.0, 2, 100.0), (3.3, 2, 20.0)];
/// The bar's grey; it lies on black.
const INK: f64 = 244.0;

/// A black image, so that all light is the bar's and its label's.
fn black(um_per_px: Option<f64>) -> Place {
    let size = Size::new(3600, 3500);
    let channels = &[("Black", None)];
    Place::with(&Image { size, format: TileFormat::Gray8, channels, um_per_px, sample: &|_, _, _, _| 0 })
}

/// The length of the bar in pixels: the light of its middle row. Its end may cover a part of a pixel.
fn bar_px(picture: &Picture, scale: u32) -> f64 {
    // Sixteen points from the corner, three high.
    let row = picture.size.height - 16 * scale - 2 * scale;
    assert_eq!(picture.at(16 * scale - 2, row), [0; 3], "nothing before the bar");
    assert_eq!(f64::from(picture.at(16 * scale, row)[0]), INK, "the bar begins on a whole pixel");
    (0..300 * scale).map(|x| f64::from(picture.at(x, row)[0]) / INK).sum()
}

/// Lit pixels above the bar.
fn label_px(picture: &Picture, scale: u32) -> usize {
    let Size { width, height } = picture.size;
    let rows = height - 48 * scale..height - 21 * scale;
    rows.flat_map(|y| (0..width.min(282 * scale)).map(move |x| (x, y)))
        .filter(|&(x, y)| picture.at(x, y)[0] > 128)
        .count()
}

fn check(name: &str, picture: &Picture, (zoom, scale, label_um): (f64, u32, f64)) {
    let um = bar_px(picture, scale) / zoom * UM_PER_PX;
    assert!((um / label_um - 1.0).abs() < 0.005, "{name}: {um} um, labelled {label_um}, zoom {zoom}, scale {scale}");
    assert!(label_px(picture, scale) > 20, "{name} has a label");
    let label = microtome::view::scale_bar(Some(UM_PER_PX), zoom, 250.0 * f64::from(scale)).map(|bar| bar.label);
    assert_eq!(label, Some(format!("{label_um}\u{2009}µm")));
}

#[test]
fn the_bar_is_as_long_as_its_label_says_in_window_snapshot_and_export() {
    if !has_gpu() {
        return;
    }
    let place = black(Some(UM_PER_PX));
    for scale in [1, 2] {
        let mut window = Window::open(&place, scale);
        for bar in BARS.into_iter().filter(|bar| bar.1 == scale) {
            let zoom = bar.0;
            let mut camera = window.image().camera;
            (camera.center, camera.zoom) = (Point::new(1800.0, 1750.0), zoom);
            window.looks_at(camera);
            check("the window", &window.canvas(), bar);
            let (zoom, scale) = (zoom.to_string(), scale.to_string());
            let options = ["--scale-bar", "--pixels-per-point", &scale];
            let snapshot = [&options[..], &["--size", "700x400", "--zoom", &zoom]].concat();
            check("the snapshot", &place.run("snapshot", "png", &snapshot), bar);
            // A region of about 700 by 350 output pixels.
            let region = format!("1000,1000,{:.0},{:.0}", 700.0 / bar.0, 350.0 / bar.0);
            let export = [&options[..], &["--region", &region, "--scale", &zoom]].concat();
            check("the exported PNG", &place.run("export", "png", &export), bar);
            let export = [&export[..], &["--rendered", "--compression", "none"]].concat();
            check("the exported TIFF", &place.run("export", "tif", &export), bar);
        }
    }
}

#[test]
fn the_bar_of_a_picture_taken_in_pieces_is_whole() {
    if !has_gpu() {
        return;
    }
    let place = black(Some(UM_PER_PX));
    let low = place.run("export", "png", &["--scale-bar", "--region", "100,100,700,300"]);
    // Pieces are 2 048 pixels a side: the label lies across the border of two.
    let tall = ["--scale-bar", "--rendered", "--compression", "none", "--region", "100,100,700,2076"];
    for extension in ["png", "tif"] {
        let picture = place.run("export", extension, &tall);
        let corner = |picture: &Picture| {
            let top = picture.size.height - 60;
            (0..60 * 300).map(|i| picture.at(i % 300, top + i / 300)).collect::<Vec<_>>()
        };
        assert!(corner(&picture) == corner(&low), "{extension}");
        assert!(label_px(&picture, 1) > 20);
    }
}

#[test]
fn an_image_without_a_pixel_size_gets_a_bar_in_pixels() {
    if !has_gpu() {
        return;
    }
    let place = black(None);
    let picture = place.run("snapshot", "png", &["--scale-bar", "--size", "700x400", "--zoom", "1.5"]);
    // 250 / 1.5 = 166.7: the bar counts 100 image pixels.
    assert!((bar_px(&picture, 1) - 150.0).abs() < 0.1, "{}", bar_px(&picture, 1));
}
