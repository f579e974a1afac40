//! "Forget this image" leaves nothing behind, whatever still works on the image.

use microtome::engine::{Engine, EngineConfig, Event};
use microtome::export::{PixelLayout, TiffPage, TiffPlan, TileCompression, TileEncoder, TiledTiffWriter};
use microtome::geom::Size;
use microtome::pixels::TileFormat;
use microtome::store::catalogue;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::Duration;

/// A grey image of 2048 x 2048 pixels.
fn write_image(path: &Path) {
    let layout = PixelLayout::of(TileFormat::Gray16);
    let compression = TileCompression::None;
    let mut plan = TiffPlan::default();
    let size = Size::new(2048, 2048);
    let page =
        plan.add_page(TiffPage { size, tile_side: 256, layout, compression, um_per_px: None, description: None });
    let mut writer = TiledTiffWriter::create(path, &plan).expect("created");
    let mut encoder = TileEncoder::new(compression, layout, 256, path).expect("an encoder");
    let packed = encoder.encode(&vec![7; layout.tile_bytes(256)], path).expect("packed");
    for (y, x) in (0..8).flat_map(|y| (0..8).map(move |x| (y, x))) {
        writer.write_tile(page, x, y, &packed).expect("written");
    }
    writer.finish().expect("finished");
}

#[test]
fn forgetting_an_image_removes_its_store_and_thumbnail_even_while_it_is_being_prepared() {
    let folder = tempfile::tempdir().expect("a folder");
    let (image, cache_dir) = (folder.path().join("a.tif"), folder.path().join("cache"));
    write_image(&image);
    let config = EngineConfig {
        cache_dir: cache_dir.clone(),
        data_dir: folder.path().join("data"),
        cache_limit_bytes: 1 << 30,
        threads: 2,
        no_cache: false,
    };
    let (wake, woken) = mpsc::channel();
    let engine = Engine::new(
        config,
        Arc::new(move || {
            wake.send(()).ok();
        }),
    )
    .expect("an engine");
    engine.open(image.clone());
    let set = loop {
        woken.recv_timeout(Duration::from_secs(30)).expect("the image opens");
        let opened = engine.events().into_iter().find_map(|event| match event {
            Event::Opened(set) => Some(set.id),
            Event::OpenFailed { message, .. } => panic!("{message}"),
            _ => None,
        });
        if let Some(set) = opened {
            break set;
        }
    };
    engine.close(set);
    engine.forget(image);
    // Ends all threads, and so whatever held the store.
    drop(engine);
    assert_eq!(catalogue::list(&cache_dir).expect("listed").len(), 0);
    let thumbnails = std::fs::read_dir(cache_dir.join("thumbnails")).map_or(0, Iterator::count);
    assert_eq!(thumbnails, 0);
}
