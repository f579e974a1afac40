//! Pixels whose value is known: by hand, or because every pixel must be the same.

use crate::reference::{Gpu, SET, Samples, Synthetic, TARGET, camera, gpu, gpu_for, noise, place};
use microtome::geom::{Point, Size};
use microtome::pixels::TileFormat;
use microtome::pyramid::{ChannelRole, Coverage, TileKey, TilePixels};
use microtome::render::{CanvasId, Fetched, Frame, RenderLimits, Upload};
use microtome::view::{DisplaySettings, FADE_SECS, MagnifyFilter, QuadKind};

/// Four by two pixels, shown from 0 to 40 000.
fn small_image() -> (Synthetic, DisplaySettings) {
    const ROWS: [[u16; 4]; 2] = [[0, 10_000, 20_000, 40_000], [40_000, 30_000, 20_000, 10_000]];
    let samples: Samples = Box::new(|_, _, x, y, _| ROWS[y as usize][x as usize]);
    let image = Synthetic::new(&[Size::new(4, 2)], 128, &[TileFormat::Gray16], samples);
    let mut display = image.display();
    display.channels[0].max = 40_000.0;
    (image, display)
}

fn constant(formats: &[TileFormat], value: u16, size: Size) -> Synthetic {
    Synthetic::new(&[size], 128, formats, Box::new(move |_, _, _, _, _| value))
}

#[test]
fn twenty_four_hand_computed_pixels_are_the_same_in_window_and_snapshot() {
    let Some(mut gpu) = gpu(RenderLimits::default()) else { return };
    let (image, mut display) = small_image();
    let view = camera(Point::new(2.0, 1.0), 2.0, 0.0);
    let size = Size::new(8, 4);
    // Screen pixel i shows x = (i + 0.5) / 2: a quarter of the way from one pixel centre to the next, then three quarters.
    // The outermost repeat the edge. 255 * value / 40 000, rounded.
    const SMOOTH: [[u8; 8]; 2] = [
        // 0, 2 500, 7 500, 12 500, 17 500, 25 000, 35 000, 40 000
        [0, 16, 48, 80, 112, 159, 223, 255],
        // 10 000, 11 250, 13 750, 16 250, 18 750, 23 125, 29 375, 32 500
        [64, 72, 88, 104, 120, 147, 187, 207],
    ];
    let snapshot = image.snapshot(&mut gpu, &view, &display, size);
    let window = image.window(&mut gpu, &view, &display, size, 0.0);
    for (y, row) in SMOOTH.iter().enumerate() {
        for (x, &value) in row.iter().enumerate() {
            assert_eq!(snapshot.at(x as u32, y as u32), [value; 3], "smooth, {x}, {y}");
            assert_eq!(window.at(x as u32, y as u32), [value; 3], "smooth, {x}, {y}");
        }
    }
    display.filter = MagnifyFilter::Nearest;
    let snapshot = image.snapshot(&mut gpu, &view, &display, size);
    let window = image.window(&mut gpu, &view, &display, size, 0.0);
    // 0, 10 000, 20 000, 40 000, each twice.
    for (x, value) in [0, 0, 64, 64, 128, 128, 255, 255].into_iter().enumerate() {
        assert_eq!(snapshot.at(x as u32, 1), [value; 3], "nearest, {x}");
        assert_eq!(window.at(x as u32, 1), [value; 3], "nearest, {x}");
    }
}

#[test]
fn nearest_neighbour_shows_every_pixel_as_a_square_at_any_angle() {
    let Some(mut gpu) = gpu(RenderLimits::default()) else { return };
    for hardware_16_bit in [true, false] {
        if !hardware_16_bit {
            let Some(other) = crate::reference::gpu(RenderLimits { hardware_16_bit, ..RenderLimits::default() }) else {
                return;
            };
            gpu = other;
        }
        let image = Synthetic::noise16(Size::new(300, 300), 128);
        let display = DisplaySettings { filter: MagnifyFilter::Nearest, ..image.display() };
        let size = Size::new(401, 301);
        for (zoom, degrees) in [(7.3, 30.0), (3.0, 0.0), (1.5, 77.0)] {
            let view = camera(Point::new(128.3, 128.6), zoom, degrees);
            let picture = image.snapshot(&mut gpu, &view, &display, size);
            for (x, y) in (0..size.height).flat_map(|y| (0..size.width).map(move |x| (x, y))) {
                let p = place(&view, size, x, y);
                let to_edge = |v: f64| (v - v.round()).abs();
                if to_edge(p.x) < 1e-3 || to_edge(p.y) < 1e-3 || p.x < 0.0 || p.y < 0.0 || p.x > 300.0 || p.y > 300.0 {
                    continue;
                }
                let sample = (image.samples)(0, 0, p.x as u32, p.y as u32, 0);
                let expected = f64::from(sample) / 65_535.0 * 255.0;
                let got = f64::from(picture.at(x, y)[0]);
                assert!((expected - got).abs() < 0.7, "{expected} but {got} at {x}, {y}, zoom {zoom}");
            }
        }
    }
}

#[test]
fn below_one_to_one_nearest_neighbour_is_not_used() {
    let Some(mut gpu) = gpu(RenderLimits::default()) else { return };
    let image = Synthetic::noise16(Size::new(300, 300), 128);
    let nearest = DisplaySettings { filter: MagnifyFilter::Nearest, ..image.display() };
    let view = camera(Point::new(150.2, 149.7), 0.8, 0.0);
    let size = Size::new(200, 200);
    let with = image.snapshot(&mut gpu, &view, &nearest, size).rgba;
    assert_eq!(with, image.snapshot(&mut gpu, &view, &image.display(), size).rgba);
}

#[test]
fn two_channels_add_up_and_clip() {
    let Some(mut gpu) = gpu(RenderLimits::default()) else { return };
    let samples: Samples = Box::new(|channel, _, x, _, _| if channel == 0 { 80 + (x as u16 / 10) * 19 } else { 100 });
    let image = Synthetic::new(&[Size::new(100, 20)], 128, &[TileFormat::Gray8; 2], samples);
    let mut display = image.display();
    display.channels[0].color = [255, 0, 255];
    display.channels[1].color = [255, 255, 0];
    let view = camera(Point::new(50.0, 10.0), 1.0, 0.0);
    let picture = image.snapshot(&mut gpu, &view, &display, Size::new(100, 20));
    for step in 0..10u16 {
        let first = 80 + step * 19;
        let red = (first + 100).min(255) as u8;
        assert_eq!(picture.at(u32::from(step) * 10 + 5, 10), [red, 100, first as u8]);
    }
}

/// The pixels that lie inside the image by more than a rounding error.
fn inside(image: &Synthetic, view: &microtome::view::Camera, size: Size) -> Vec<(u32, u32)> {
    let within = |v: f64, extent: u32| v > 1e-2 && v < f64::from(extent) - 1e-2;
    (0..size.height)
        .flat_map(|y| (0..size.width).map(move |x| (x, y)))
        .filter(|&(x, y)| {
            let p = place(view, size, x, y);
            within(p.x, image.info.size.width) && within(p.y, image.info.size.height)
        })
        .collect()
}

#[test]
fn an_even_image_of_three_channels_is_even_at_every_angle_and_zoom() {
    let Some(mut gpu) = gpu(RenderLimits::default()) else { return };
    let image = constant(&[TileFormat::Gray16; 3], 16_384, Size::new(1000, 700));
    let mut display = image.display();
    for channel in &mut display.channels {
        channel.color = [255; 3];
    }
    let size = Size::new(400, 300);
    for step in 0..24 {
        let zoom = [0.31, 0.77, 1.0, 2.6, 9.0, 41.0][step % 6];
        let view = camera(Point::new(511.9 + step as f64 / 7.0, 384.1), zoom, step as f64 * 15.0);
        let picture = image.snapshot(&mut gpu, &view, &display, size);
        for (x, y) in inside(&image, &view, size) {
            // 3 * 16 384 / 65 535 * 255: a pixel that a border gave away or gave twice would differ by 64.
            assert_eq!(picture.at(x, y), [191; 3], "at {x}, {y}, step {step}");
        }
    }
}

#[test]
fn tiles_of_many_levels_side_by_side_leave_no_gap_and_no_double_light() {
    let Some(mut gpu) = gpu(RenderLimits::default()) else { return };
    let sizes = [Size::new(1000, 700), Size::new(347, 243)];
    let mut image = constant(&[TileFormat::Gray16; 2], 24_576, sizes[0]);
    image.info.levels = microtome::pyramid::level_plan(&sizes, 128);
    let mut display = image.display();
    for channel in &mut display.channels {
        channel.color = [255; 3];
    }
    let coarsest = (image.info.levels.len() - 1) as u8;
    let mut state = 5u64;
    let mut next = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    for channel in 0..2 {
        for level in 0..=coarsest {
            for key in image.keys(channel, level) {
                let choice = if level == coarsest { 0 } else { next() % 4 };
                let coverage = if choice == 1 { Coverage(next() << 32 | next()) } else { Coverage::FULL };
                if choice < 2 {
                    let tile = TilePixels { coverage, ..image.tile(key) };
                    // Some are still fading in.
                    let since = if next() % 2 == 0 { 0.0 } else { -10.0 };
                    assert!(matches!(gpu.renderer.upload(&tile, since), Upload::Done { .. }));
                }
            }
        }
    }
    let size = Size::new(400, 300);
    for step in 0..24 {
        let zoom = [0.31, 0.5, 1.0, 2.6, 9.0, 0.2][step % 6];
        let view = camera(Point::new(511.9 + step as f64 / 7.0, 384.1), zoom, step as f64 * 15.0);
        let scene = image.scene(&gpu, &view, &display, size, FADE_SECS / 3.0);
        assert_eq!(scene.covered, 1.0);
        let frame = Frame { set: SET, scene: &scene, display: &display, camera: &view, viewport: size };
        let picture = gpu.paint(TARGET, &frame);
        for (x, y) in inside(&image, &view, size) {
            let got = i32::from(picture.at(x, y)[0]);
            // 2 * 24 576 / 65 535 * 255 = 191.25; shares of a fade are rounded.
            assert!((got - 191).abs() <= 1, "{got} at {x}, {y}, step {step}");
        }
    }
}

#[test]
fn a_fade_is_a_share_of_the_old_and_a_share_of_the_new() {
    let Some(mut gpu) = gpu(RenderLimits::default()) else { return };
    let samples: Samples = Box::new(|_, level, _, _, _| if level == 0 { 48_000 } else { 8_000 });
    let image = Synthetic::new(&[Size::new(256, 256)], 128, &[TileFormat::Gray16], samples);
    let display = image.display();
    image.upload(&mut gpu, image.keys(0, 1)[0]);
    let new = image.keys(0, 0)[0];
    assert!(matches!(gpu.renderer.upload(&image.tile(new), 5.0), Upload::Done { .. }));
    let view = camera(Point::new(128.0, 128.0), 1.0, 0.0);
    let size = Size::new(256, 256);
    // Half way in time is seven eighths of the way in light: 0.125 * 8 000 + 0.875 * 48 000 = 43 000.
    let picture = image.window(&mut gpu, &view, &display, size, 5.0 + FADE_SECS / 2.0);
    assert_eq!(picture.at(40, 40), [167; 3]);
    assert_eq!(picture.at(200, 40), [31; 3]);
    let picture = image.window(&mut gpu, &view, &display, size, 5.0 + FADE_SECS);
    assert_eq!(picture.at(40, 40), [187; 3]);
}

#[test]
fn a_failed_tile_is_hatched_and_the_rest_stays_usable() {
    let Some(mut gpu) = gpu(RenderLimits::default()) else { return };
    let image = Synthetic::noise16(Size::new(256, 128), 128);
    let display = image.display();
    let failed = image.keys(0, 0)[1];
    let view = camera(Point::new(128.0, 64.0), 1.0, 0.0);
    let size = Size::new(256, 128);
    let whole = image.snapshot(&mut gpu, &view, &display, size);
    gpu.renderer.remove_set(SET);
    image.upload(&mut gpu, image.keys(0, 0)[0]);
    gpu.renderer.mark_failed(SET, failed);
    let picture = image.window(&mut gpu, &view, &display, size, 0.0);
    let mut tones = std::collections::BTreeMap::new();
    for y in 0..128 {
        for x in 0..256 {
            if x < 126 {
                assert_eq!(picture.at(x, y), whole.at(x, y));
            } else if x >= 128 {
                *tones.entry(picture.at(x, y)).or_insert(0) += 1;
            }
        }
    }
    // Two tones of gray, lines a sixth of the surface, neither of them the background.
    assert_eq!(tones.len(), 2, "{tones:?}");
    assert!(!tones.contains_key(&display.background));
    let lines = tones.values().min().copied().unwrap_or(0);
    assert!((2500..3000).contains(&lines), "{tones:?}");
}

#[test]
fn an_alpha_channel_thins_the_image_over_the_background() {
    for (format, hardware_16_bit) in
        [(TileFormat::Gray8, true), (TileFormat::Gray16, true), (TileFormat::Gray16, false)]
    {
        let Some(mut gpu) = gpu(RenderLimits { hardware_16_bit, ..RenderLimits::default() }) else { return };
        let quarter = if format == TileFormat::Gray8 { 51 } else { 13_107 };
        let samples: Samples = Box::new(move |channel, _, _, _, _| if channel == 2 { quarter } else { 200 });
        let formats = [TileFormat::Rgb8, TileFormat::Gray8, format];
        let mut image = Synthetic::new(&[Size::new(64, 64)], 128, &formats, samples);
        image.info.channels[2].role = ChannelRole::Coverage;
        let mut display = image.display();
        display.channels[1].visible = false;
        display.background = [100, 0, 250];
        let view = camera(Point::new(32.0, 32.0), 1.0, 0.0);
        let picture = image.snapshot(&mut gpu, &view, &display, Size::new(96, 64));
        // A fifth of 200 and four fifths of the background.
        assert_eq!(picture.at(48, 32), [120, 40, 240]);
        assert_eq!(picture.at(4, 32), [100, 0, 250]);
    }
}

#[test]
fn a_snapshot_in_pieces_has_the_pixels_of_the_window() {
    let Some(mut gpu) = gpu(RenderLimits::default()) else { return };
    let image = Synthetic::noise16(Size::new(3000, 400), 256);
    let display = image.display();
    let view = camera(Point::new(1500.3, 200.4), 1.13, 2.0);
    // Wider than a piece.
    let size = Size::new(2600, 300);
    let snapshot = image.snapshot(&mut gpu, &view, &display, size);
    let window = image.window(&mut gpu, &view, &display, size, 0.0);
    assert!(snapshot.rgba == window.rgba);
    assert!(snapshot.rgba.chunks_exact(4).all(|px| px[3] == 255));
}

#[test]
fn a_snapshot_with_a_small_cache_has_the_same_pixels() {
    let Some(mut gpu) = gpu(RenderLimits::default()) else { return };
    let image = Synthetic::noise16(Size::new(1500, 1100), 128);
    let view = camera(Point::new(750.0, 550.0), 1.0, 20.0);
    let size = Size::new(900, 700);
    let roomy = image.snapshot(&mut gpu, &view, &image.display(), size);
    // Room for thirty tiles where the picture needs sixty-odd.
    let limits = RenderLimits { cache_bytes: 30 * 130 * 130 * 2, ..RenderLimits::default() };
    let Some(mut tight) = crate::reference::gpu(limits) else { return };
    let pieced = image.snapshot(&mut tight, &view, &image.display(), size);
    // A driver may round a place differently in a smaller target; a seam would differ by more.
    let most = roomy.rgba.iter().zip(&pieced.rgba).map(|(a, b)| a.abs_diff(*b)).max();
    assert!(most <= Some(1), "{most:?}");
}

#[test]
fn a_target_that_encodes_shows_the_same_colours() {
    let format = wgpu::TextureFormat::Rgba8UnormSrgb;
    let (Some(mut plain), Some(mut encoding)) =
        (gpu(RenderLimits::default()), gpu_for(format, RenderLimits::default()))
    else {
        return;
    };
    let image = Synthetic::new(&[Size::new(100, 100)], 128, &[TileFormat::Rgb8], noise(TileFormat::Rgb8));
    let view = camera(Point::new(50.0, 50.0), 1.0, 0.0);
    let size = Size::new(120, 100);
    let paint = |gpu: &mut Gpu, format| {
        image.upload(gpu, image.keys(0, 0)[0]);
        let display = image.display();
        let scene = image.scene(gpu, &view, &display, size, 0.0);
        gpu.paint(format, &Frame { set: SET, scene: &scene, display: &display, camera: &view, viewport: size })
    };
    let (a, b) = (paint(&mut plain, TARGET), paint(&mut encoding, format));
    let most = a.rgba.iter().zip(&b.rgba).map(|(a, b)| a.abs_diff(*b)).max();
    assert!(most <= Some(1), "{most:?}");
}

#[test]
fn a_scene_that_stands_is_not_drawn_again() {
    let Some(mut gpu) = gpu(RenderLimits::default()) else { return };
    let image = Synthetic::noise16(Size::new(512, 512), 128);
    let mut display = image.display();
    let mut view = camera(Point::new(256.0, 256.0), 1.0, 0.0);
    image.upload(&mut gpu, image.keys(0, 2)[0]);
    let draws = |gpu: &mut Gpu, display: &DisplaySettings, view: &microtome::view::Camera| {
        let size = Size::new(200, 200);
        let scene = image.scene(gpu, view, display, size, 0.0);
        let mut encoder = gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let frame = Frame { set: SET, scene: &scene, display, camera: view, viewport: size };
        let drew = gpu.renderer.prepare(&mut encoder, CanvasId(0), &frame);
        gpu.queue.submit([encoder.finish()]);
        drew
    };
    assert!(draws(&mut gpu, &display, &view));
    assert!(!draws(&mut gpu, &display, &view));
    display.channels[0].max = 1000.0;
    assert!(draws(&mut gpu, &display, &view));
    view.pan_by(Point::new(1.0, 0.0));
    assert!(draws(&mut gpu, &display, &view));
    image.upload(&mut gpu, image.keys(0, 0)[5]);
    assert!(draws(&mut gpu, &display, &view));
    assert!(!draws(&mut gpu, &display, &view));
    // A prefetched tile out of sight changes nothing; beside a tile in sight it changes a gutter.
    image.upload(&mut gpu, image.keys(0, 0)[15]);
    assert!(!draws(&mut gpu, &display, &view));
    image.upload(&mut gpu, image.keys(0, 0)[4]);
    assert!(draws(&mut gpu, &display, &view));
    // The background is not part of the light.
    display.background = [9; 3];
    assert!(!draws(&mut gpu, &display, &view));
}

#[test]
fn a_view_beside_the_image_shows_the_background() {
    let Some(mut gpu) = gpu(RenderLimits::default()) else { return };
    let image = Synthetic::noise16(Size::new(256, 256), 128);
    let mut display = image.display();
    display.background = [1, 20, 255];
    let view = camera(Point::new(-900.0, 90.0), 1.0, 10.0);
    let picture = image.window(&mut gpu, &view, &display, Size::new(40, 30), 0.0);
    assert!(picture.rgba.chunks_exact(4).all(|px| px == [1, 20, 255, 255]));
}

#[test]
fn the_hatch_of_a_turned_view_covers_its_tile_and_nothing_else() {
    let Some(mut gpu) = gpu(RenderLimits::default()) else { return };
    let image = constant(&[TileFormat::Gray16], 65_535, Size::new(384, 384));
    let display = image.display();
    let middle = TileKey { x: 1, y: 1, ..image.keys(0, 0)[0] };
    for key in image.keys(0, 0) {
        if key == middle {
            gpu.renderer.mark_failed(SET, key);
        } else {
            image.upload(&mut gpu, key);
        }
    }
    let view = camera(Point::new(192.0, 192.0), 1.0, 30.0);
    let size = Size::new(220, 220);
    let scene = image.scene(&gpu, &view, &display, size, 0.0);
    assert_eq!(scene.quads.iter().filter(|q| q.kind == QuadKind::Hatch).count(), 1);
    let picture = image.window(&mut gpu, &view, &display, size, 0.0);
    for (x, y) in (0..220).flat_map(|y| (0..220).map(move |x| (x, y))) {
        let p = place(&view, size, x, y);
        let hatched = (128.0..256.0).contains(&p.x) && (128.0..256.0).contains(&p.y);
        assert_eq!(picture.at(x, y) == [255; 3], !hatched, "at {x}, {y}");
    }
}

#[test]
fn a_display_full_of_nonsense_shows_the_image_untouched() {
    let Some(mut gpu) = gpu(RenderLimits::default()) else { return };
    let image = Synthetic::noise16(Size::new(64, 64), 128);
    let view = camera(Point::new(32.0, 32.0), 1.0, 0.0);
    let size = Size::new(64, 64);
    let plain = image.snapshot(&mut gpu, &view, &image.display(), size);
    let mut broken = image.display();
    let channel = &mut broken.channels[0];
    (channel.min, channel.max, channel.gamma, channel.weight) = (f32::NAN, f32::INFINITY, -1.0, 1.0);
    assert!(image.snapshot(&mut gpu, &view, &broken, size).rgba == plain.rgba);
}

#[test]
fn a_snapshot_whose_tiles_do_not_come_says_so() {
    let Some(mut gpu) = gpu(RenderLimits::default()) else { return };
    let image = Synthetic::noise16(Size::new(300, 300), 128);
    let (view, display) = (camera(Point::new(150.0, 150.0), 1.0, 0.0), image.display());
    let request = image.request(&view, &display, Size::new(200, 200));
    assert!(gpu.renderer.snapshot(&request, &mut |_| Ok(Vec::new())).is_err());
    // Provisional tiles are not what a picture is made of.
    let provisional = |keys: &[TileKey]| {
        let tile = |&key| TilePixels { coverage: Coverage(1), ..image.tile(key) };
        Ok(keys.iter().map(tile).map(|tile| Fetched::Tile(std::sync::Arc::new(tile))).collect())
    };
    assert!(gpu.renderer.snapshot(&request, &mut { provisional }).is_err());
    // A tile that cannot be read is no reason to give up.
    let failed = |keys: &[TileKey]| Ok(keys.iter().copied().map(Fetched::Failed).collect());
    assert!(gpu.renderer.snapshot(&request, &mut { failed }).is_ok());
    let huge = image.request(&view, &display, Size::new(1 << 20, 1 << 20));
    assert!(gpu.renderer.snapshot(&huge, &mut |keys| image.fetch(keys)).is_err());
}
