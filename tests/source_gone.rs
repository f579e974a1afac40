//! What was decoded can be exported exactly when the file is gone.

use microtome::export::{PixelLayout, TiffPage, TiffPlan, TileCompression, TileEncoder, TiledTiffWriter};
use microtome::geom::Size;
use microtome::pixels::TileFormat;
use std::path::Path;
use std::process::{Command, Output};

const SIZE: Size = Size::new(1000, 700);
const SIDE: u32 = 128;

/// An RGB image whose every sample is known.
fn write_image(path: &Path) {
    let layout = PixelLayout::of(TileFormat::Rgb8);
    let compression = TileCompression::Deflate;
    let mut plan = TiffPlan::default();
    let page = plan.add_page(TiffPage {
        size: SIZE,
        tile_side: SIDE,
        layout,
        compression,
        um_per_px: None,
        description: None,
    });
    let mut writer = TiledTiffWriter::create(path, &plan).expect("created");
    let mut encoder = TileEncoder::new(compression, layout, SIDE, path).expect("an encoder");
    for (ty, tx) in (0..SIZE.height.div_ceil(SIDE)).flat_map(|y| (0..SIZE.width.div_ceil(SIDE)).map(move |x| (y, x))) {
        let pixels: Vec<u8> = (0..SIDE * SIDE)
            .flat_map(|i| {
                let (x, y) = (tx * SIDE + i % SIDE, ty * SIDE + i / SIDE);
                [x * 7 + y, x ^ (y * 3), (x * y) >> 5].map(|v| v as u8)
            })
            .collect();
        writer.write_tile(page, tx, ty, &encoder.encode(&pixels, path).expect("packed")).expect("written");
    }
    writer.finish().expect("finished");
}

fn microtome(cache: &Path, arguments: &[&str]) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_microtome")).arg("--cache-dir").arg(cache).args(arguments).output();
    let output = output.expect("the program runs");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

#[test]
fn a_filled_image_is_verified_and_exported_exactly_after_its_file_is_deleted() {
    let folder = tempfile::tempdir().expect("a folder");
    let cache = folder.path().join("cache");
    let image = folder.path().join("image.tif");
    let text = |name: &str| folder.path().join(name).display().to_string();
    write_image(&image);
    let image_text = image.display().to_string();
    let export = |scale: &str, output: &str| {
        let arguments = ["export", &image_text, "--raw", "--scale", scale, "--compression", "none", "-o", output];
        microtome(&cache, &arguments);
        std::fs::read(output).expect("exported")
    };

    let figures = microtome(&cache, &["bench", "fill", &image_text, "--json"]).stdout;
    let figures: serde_json::Value = serde_json::from_slice(&figures).expect("JSON");
    assert_eq!(figures["tiles"], figures["tiles_expected"]);
    let raw_bytes = SIZE.area() * 3;
    assert!(figures["bytes"].as_u64().expect("a number") * 100 >= raw_bytes * 133, "{figures}");
    microtome(&cache, &["cache", "verify"]);

    let scales = ["1", "0.5", "0.25", "0.125"];
    let before: Vec<_> = scales.iter().map(|scale| export(scale, &text(&format!("before-{scale}.tif")))).collect();
    std::fs::remove_file(&image).expect("deleted");
    for (scale, before) in scales.iter().zip(before) {
        assert!(export(scale, &text(&format!("after-{scale}.tif"))) == before, "scale {scale}");
    }
}
