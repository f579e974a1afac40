//! The GPU cache: gutters, eviction, pins, budgets.

use crate::reference::{Gpu, SET, Synthetic, camera, gpu, noise};
use microtome::geom::{Point, Size};
use microtome::mosaic::MOSAIC;
use microtome::pixels::TileFormat;
use microtome::pyramid::{Coverage, SetId, TileKey, TilePixels};
use microtome::render::{Frame, Generations, RenderLimits, Upload};
use microtome::view::{FORMER_MOSAIC, Presence, Residency, Scene};

const TILE_BYTES_128: u64 = 130 * 130 * 2;

fn with_room_for(tiles: u64) -> RenderLimits {
    RenderLimits { cache_bytes: tiles * TILE_BYTES_128, ..RenderLimits::default() }
}

/// All orders of four things.
fn orders() -> Vec<[usize; 4]> {
    let all = (0..256).map(|n| [n % 4, n / 4 % 4, n / 16 % 4, n / 64]);
    all.filter(|o| (0..4).all(|i| o.contains(&i))).collect()
}

#[test]
fn gutters_are_the_same_in_whatever_order_neighbours_come() {
    for format in [TileFormat::Gray16, TileFormat::Gray8, TileFormat::Rgb8] {
        let Some(mut gpu) = gpu(RenderLimits::default()) else { return };
        // The second row and column are narrow: their gutter lies inside the layer.
        let image = Synthetic::new(&[Size::new(200, 150)], 128, &[format], noise(format));
        let display = image.display();
        let size = Size::new(300, 200);
        let view = camera(Point::new(128.0, 128.0), 7.3, 10.0);
        let reference = image.snapshot(&mut gpu, &view, &display, size);
        let orders = orders();
        assert_eq!(orders.len(), 24);
        for (order, in_one_frame) in orders.into_iter().flat_map(|order| [(order, true), (order, false)]) {
            gpu.renderer.remove_set(SET);
            for tile in order {
                image.upload(&mut gpu, image.keys(0, 0)[tile]);
                if !in_one_frame {
                    image.window(&mut gpu, &view, &display, size, 0.0);
                }
            }
            let picture = image.window(&mut gpu, &view, &display, size, 0.0);
            assert!(picture.rgba == reference.rgba, "{format:?} in the order {order:?}, in one frame: {in_one_frame}");
        }
    }
}

#[test]
fn until_a_neighbour_comes_a_tile_repeats_its_own_edge() {
    let Some(mut gpu) = gpu(RenderLimits::default()) else { return };
    let samples = Box::new(|_, _, x, _, _| if x < 128 { 20_000 } else { 60_000 });
    let image = Synthetic::new(&[Size::new(256, 128)], 128, &[TileFormat::Gray16], samples);
    let display = image.display();
    let view = camera(Point::new(128.0, 64.0), 8.0, 0.0);
    let size = Size::new(32, 8);
    image.upload(&mut gpu, image.keys(0, 0)[0]);
    let alone = image.window(&mut gpu, &view, &display, size, 0.0);
    // The last screen pixel left of the border, at 127.94: all of it is the tile's own.
    assert_eq!(alone.at(15, 4), [78; 3]);
    image.upload(&mut gpu, image.keys(0, 0)[1]);
    let together = image.window(&mut gpu, &view, &display, size, 0.0);
    // Now 7/16 of it is the neighbour's: 20 000 + 40 000 * 7/16 = 37 500.
    assert_eq!(together.at(15, 4), [146; 3]);
}

/// Uploads and draws a scene of some tiles of level 0, so that they count as used in this frame.
fn use_tiles(gpu: &mut Gpu, image: &Synthetic, center: Point, size: Size) -> Scene {
    let (view, display) = (camera(center, 1.0, 0.0), image.display());
    for key in image.scene(gpu, &view, &display, size, 0.0).wishes {
        image.upload(gpu, key);
    }
    let scene = image.scene(gpu, &view, &display, size, 0.0);
    gpu.paint(
        crate::reference::TARGET,
        &Frame { set: SET, scene: &scene, display: &display, camera: &view, viewport: size },
    );
    scene
}

fn resident(gpu: &Gpu, key: TileKey) -> bool {
    matches!(gpu.renderer.residency(SET).presence(key), Presence::Resident { .. })
}

#[test]
fn what_is_on_the_screen_is_never_evicted_and_the_least_recent_goes_first() {
    let Some(mut gpu) = gpu(with_room_for(20)) else { return };
    let image = Synthetic::noise16(Size::new(2560, 2560), 128);
    let early = use_tiles(&mut gpu, &image, Point::new(128.0, 128.0), Size::new(200, 200));
    let late = use_tiles(&mut gpu, &image, Point::new(1408.0, 1408.0), Size::new(200, 200));
    let mut refused = 0;
    for key in image.keys(0, 0).into_iter().filter(|key| key.y == 19) {
        match gpu.renderer.upload(&image.tile(key), 0.0) {
            Upload::Done { .. } => {}
            Upload::NoRoom => refused += 1,
            Upload::Malformed => panic!("the tile is well formed"),
        }
    }
    assert!(refused > 0, "there are more tiles than room");
    for quad in &late.quads {
        assert!(resident(&gpu, quad.key));
    }
    let gone = early.quads.iter().filter(|q| q.key.level == 0 && !resident(&gpu, q.key)).count();
    assert_eq!(gone, early.quads.iter().filter(|q| q.key.level == 0).count());
    // The coarsest level stays, though nothing has drawn it for long.
    assert_eq!(early.pinned.len(), 1);
    assert!(resident(&gpu, early.pinned[0]));
    // In the next frame the tiles that came now are the ones that may go.
    use_tiles(&mut gpu, &image, Point::new(1408.0, 1408.0), Size::new(200, 200));
    let key = image.keys(0, 0)[200];
    assert!(matches!(gpu.renderer.upload(&image.tile(key), 0.0), Upload::Done { .. }));
}

#[test]
fn the_budget_holds_and_a_closed_set_gives_its_memory_back() {
    let limits = with_room_for(100);
    let Some(mut gpu) = gpu(limits) else { return };
    let image = Synthetic::noise16(Size::new(2560, 2560), 128);
    for (index, key) in image.keys(0, 0).into_iter().enumerate() {
        gpu.renderer.upload(&image.tile(key), 0.0);
        if index % 40 == 0 {
            use_tiles(&mut gpu, &image, Point::new(200.0, 200.0), Size::new(16, 16));
        }
        assert!(gpu.renderer.memory_bytes() <= limits.cache_bytes + (1 << 20));
    }
    gpu.renderer.remove_set(SET);
    assert!(gpu.renderer.memory_bytes() < 1 << 20);
    assert!(!resident(&gpu, image.keys(0, 0)[399]));
}

#[test]
fn tiles_of_another_format_take_the_pages_of_those_that_went_out_of_sight() {
    let Some(mut gpu) = gpu(with_room_for(30)) else { return };
    let gray = Synthetic::noise16(Size::new(2560, 2560), 128);
    for key in gray.keys(0, 0).into_iter().take(30) {
        gray.upload(&mut gpu, key);
    }
    let rgb = Synthetic::new(&[Size::new(512, 512)], 128, &[TileFormat::Rgb8], noise(TileFormat::Rgb8));
    let other = |key| TilePixels { set: SetId(9), ..rgb.tile(key) };
    let key = rgb.keys(0, 0)[0];
    // All of it came in this frame.
    assert_eq!(gpu.renderer.upload(&other(key), 0.0), Upload::NoRoom);
    let (view, display, size) = (camera(Point::new(9e9, 0.0), 1.0, 0.0), rgb.display(), Size::new(8, 8));
    for _ in 0..2 {
        let scene = Scene::default();
        let frame = Frame { set: SetId(9), scene: &scene, display: &display, camera: &view, viewport: size };
        gpu.paint(crate::reference::TARGET, &frame);
    }
    assert!(matches!(gpu.renderer.upload(&other(key), 0.0), Upload::Done { .. }));
    assert!(matches!(gpu.renderer.residency(SetId(9)).presence(key), Presence::Resident { .. }));
}

#[test]
fn a_pinned_tile_of_another_format_makes_room_only_when_nothing_else_can() {
    let Some(mut gpu) = gpu(with_room_for(30)) else { return };
    let gray = Synthetic::noise16(Size::new(2560, 2560), 128);
    let early = use_tiles(&mut gpu, &gray, Point::new(128.0, 128.0), Size::new(200, 200));
    for key in gray.keys(0, 0) {
        gpu.renderer.upload(&gray.tile(key), 0.0);
    }
    let blank = Scene::default();
    let rgb = Synthetic::new(&[Size::new(512, 512)], 128, &[TileFormat::Rgb8], noise(TileFormat::Rgb8));
    let (view, display) = (camera(Point::new(0.0, 0.0), 1.0, 0.0), rgb.display());
    for _ in 0..2 {
        let frame = Frame { set: SetId(9), scene: &blank, display: &display, camera: &view, viewport: Size::new(8, 8) };
        gpu.paint(crate::reference::TARGET, &frame);
    }
    assert!(resident(&gpu, early.pinned[0]));
    let tile = TilePixels { set: SetId(9), ..rgb.tile(rgb.keys(0, 0)[0]) };
    assert!(matches!(gpu.renderer.upload(&tile, 0.0), Upload::Done { .. }));
    assert!(!resident(&gpu, early.pinned[0]));
}

#[test]
fn a_tile_whose_bytes_do_not_fit_its_words_counts_as_failed() {
    let Some(mut gpu) = gpu(RenderLimits::default()) else { return };
    let image = Synthetic::noise16(Size::new(512, 512), 128);
    let keys = image.keys(0, 0);
    let good = image.tile(keys[0]);
    let bad = [
        TilePixels { bytes: vec![0; 17], ..good.clone() },
        TilePixels { key: keys[1], valid: Size::new(129, 1), ..good.clone() },
        TilePixels { key: keys[2], valid: Size::new(0, 1), ..good.clone() },
        TilePixels { key: keys[3], side: 0, bytes: Vec::new(), ..good.clone() },
    ];
    for tile in bad {
        assert_eq!(gpu.renderer.upload(&tile, 0.0), Upload::Malformed);
        assert_eq!(gpu.renderer.residency(SET).presence(tile.key), Presence::Failed);
    }
    // A good one that comes after all is taken.
    image.upload(&mut gpu, keys[0]);
    assert!(resident(&gpu, keys[0]));
}

#[test]
fn a_provisional_tile_is_replaced_where_it_is() {
    let Some(mut gpu) = gpu(RenderLimits::default()) else { return };
    let image = Synthetic::noise16(Size::new(512, 512), 128);
    let key = image.keys(0, 0)[0];
    let provisional = TilePixels { coverage: Coverage(0xff), ..image.tile(key) };
    assert!(matches!(gpu.renderer.upload(&provisional, 1.0), Upload::Done { .. }));
    let memory = gpu.renderer.memory_bytes();
    let at = |coverage| Presence::Resident { coverage, since_secs: 1.0 };
    assert_eq!(gpu.renderer.residency(SET).presence(key), at(Coverage(0xff)));
    assert!(matches!(gpu.renderer.upload(&image.tile(key), 2.0), Upload::Done { .. }));
    assert_eq!(gpu.renderer.residency(SET).presence(key), at(Coverage::FULL));
    assert_eq!(gpu.renderer.memory_bytes(), memory);
}

#[test]
fn an_upload_says_what_it_wrote() {
    let Some(mut gpu) = gpu(RenderLimits::default()) else { return };
    let image = Synthetic::noise16(Size::new(256, 128), 128);
    let keys = image.keys(0, 0);
    assert_eq!(gpu.renderer.upload(&image.tile(keys[0]), 0.0), Upload::Done { bytes: TILE_BYTES_128 });
    assert_eq!(gpu.renderer.upload(&image.tile(keys[1]), 0.0), Upload::Done { bytes: TILE_BYTES_128 });
}

#[test]
fn more_than_a_frame_uploads_is_all_there_in_the_next() {
    let Some(mut gpu) = gpu(RenderLimits::default()) else { return };
    // Thirteen mebibytes of tiles: some are sent before any frame is drawn.
    let image = Synthetic::noise16(Size::new(2600, 2500), 256);
    let display = image.display();
    let view = camera(Point::new(1300.0, 1250.0), 0.9, 0.0);
    let size = Size::new(700, 600);
    let reference = image.snapshot(&mut gpu, &view, &display, size);
    gpu.renderer.remove_set(SET);
    for key in image.keys(0, 0) {
        image.upload(&mut gpu, key);
    }
    let picture = image.window(&mut gpu, &view, &display, size, 0.0);
    assert!(picture.rgba == reference.rgba);
}

#[test]
fn a_tile_that_comes_as_its_mosaics_frame_moves_is_drawn_as_what_it_was() {
    let Some(mut gpu) = gpu(RenderLimits::default()) else { return };
    let image = Synthetic::noise16(Size::new(100, 90), 128);
    let display = image.display();
    let (view, size) = (camera(Point::new(50.0, 45.0), 2.0, 0.0), Size::new(160, 140));
    let key = image.keys(0, 0)[0];
    image.upload(&mut gpu, key);
    let reference = image.window(&mut gpu, &view, &display, size, 0.0);
    let mut scene = image.scene(&gpu, &view, &display, size, 0.0);
    gpu.renderer.remove_set(SET);
    // What the layer held before is not what the tile shows.
    let dark = TilePixels { bytes: vec![0; 128 * 128 * 2], ..image.tile(key) };
    assert!(matches!(gpu.renderer.upload(&dark, 0.0), Upload::Done { .. }));
    image.window(&mut gpu, &view, &display, size, 0.0);
    gpu.renderer.remove_set(SET);

    let of = |field: u32| {
        let mut key = key;
        key.plane.field = field;
        key
    };
    gpu.renderer.set_generations(SET, Generations { wanted: 1, frame: 1 });
    let fused = TilePixels { key: of(MOSAIC), generation: 1, ..image.tile(key) };
    assert!(matches!(gpu.renderer.upload(&fused, 0.0), Upload::Done { .. }));
    gpu.renderer.set_generations(SET, Generations { wanted: 2, frame: 2 });
    scene.quads.iter_mut().for_each(|quad| quad.key = of(FORMER_MOSAIC));
    let frame = Frame { set: SET, scene: &scene, display: &display, camera: &view, viewport: size };
    assert!(gpu.paint(crate::reference::TARGET, &frame).rgba == reference.rgba);
}
