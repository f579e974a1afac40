//! What a raw export says about its pixels.

use microtome::export::{PixelLayout, TiffPage, TiffPlan, TileCompression, TileEncoder, TiledTiffWriter};
use microtome::geom::Size;
use microtome::pixels::TileFormat;
use std::path::Path;
use std::process::Command;

const SIDE: u32 = 128;

/// A grey image of one tile, without a pixel size.
fn write_image(path: &Path) {
    let layout = PixelLayout::of(TileFormat::Gray8);
    let compression = TileCompression::None;
    let mut plan = TiffPlan::default();
    let size = Size::new(SIDE, SIDE);
    let page =
        plan.add_page(TiffPage { size, tile_side: SIDE, layout, compression, um_per_px: None, description: None });
    let mut writer = TiledTiffWriter::create(path, &plan).expect("created");
    let mut encoder = TileEncoder::new(compression, layout, SIDE, path).expect("an encoder");
    let packed = encoder.encode(&vec![9; layout.tile_bytes(SIDE)], path).expect("packed");
    writer.write_tile(page, 0, 0, &packed).expect("written");
    writer.finish().expect("finished");
}

#[test]
fn a_pixel_size_that_the_user_set_goes_into_raw_exports() {
    let folder = tempfile::tempdir().expect("a folder");
    let cache = folder.path().join("cache");
    let (image, exported) = (folder.path().join("image.tif"), folder.path().join("exported.tif"));
    write_image(&image);
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_microtome"));
        let output = command.arg("--cache-dir").arg(&cache).args(arguments).output().expect("the program runs");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    let text = |path: &Path| path.display().to_string();
    let um_per_px = |scale: &str| {
        run(&["export", &text(&image), "--raw", "--scale", scale, "--force", "-o", &text(&exported)]);
        let info = run(&["info", "--json", &text(&exported)]);
        let info: serde_json::Value = serde_json::from_slice(&info).expect("JSON");
        info["images"][0]["um_per_px"].clone()
    };
    assert_eq!(um_per_px("1"), serde_json::Value::Null);

    let saved = serde_json::json!({ "channels": [], "um_per_px": [0.25, 0.5] });
    let images = serde_json::json!({ "images": { format!("{}#0", image.display()): saved } });
    std::fs::create_dir_all(cache.join("settings")).expect("a folder");
    std::fs::write(cache.join("settings").join("images"), images.to_string()).expect("written");
    assert_eq!(um_per_px("1"), serde_json::json!([0.25, 0.5]));
}
