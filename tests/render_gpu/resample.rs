//! The canvas against the CPU reference: 2/255 everywhere, and borders between tiles no worse than their insides.

use crate::reference::{Difference, Gpu, Synthetic, camera, compare, gpu, noise};
use microtome::geom::{Point, Size};
use microtome::pixels::TileFormat;
use microtome::render::RenderLimits;
use microtome::view::{Camera, DisplaySettings};

const VIEWPORT: Size = Size::new(501, 403);
const ZOOMS: [f64; 5] = [0.37, 0.5, 1.0, 1.9, 7.3];
/// What a sampler that weighs in steps of 1/256 and 8 bits of output may differ by.
const TOLERANCE: f64 = 2.0;

/// Takes a picture at every zoom and angle and compares it with the reference.
fn check(image: &Synthetic, display: &DisplaySettings, gpu: &mut Gpu) {
    let size = image.info.size;
    for zoom in ZOOMS {
        for degrees in [0.0, 30.0] {
            // Around a corner where four tiles meet, off the pixel grid.
            let center = Point::new(f64::from(size.width) * 0.5 + 0.3, f64::from(size.height) * 0.5 - 17.2);
            let camera = camera(center, zoom, degrees);
            check_view(image, display, gpu, &camera);
        }
    }
}

fn check_view(image: &Synthetic, display: &DisplaySettings, gpu: &mut Gpu, camera: &Camera) {
    let level = image.scene(gpu, camera, display, VIEWPORT, 0.0).wanted_level;
    let picture = image.snapshot(gpu, camera, display, VIEWPORT);
    let difference = compare(image, camera, display, level, &picture, |_, _| true);
    report(camera, &difference);
    assert!(difference.inside <= TOLERANCE && difference.at_borders <= TOLERANCE, "{camera:?}: {difference:?}");
    // A hundredth of a step is what rounding of the reference itself may add.
    assert!(difference.at_borders <= difference.inside + 0.01, "{camera:?}: {difference:?}");
    assert!(difference.border_pixels > 0, "the view must show borders between tiles: {camera:?}");
}

fn report(camera: &Camera, difference: &Difference) {
    println!("zoom {} at {:.2} rad: {difference:?}", camera.zoom, camera.rotation_rad);
}

#[test]
fn sixteen_bit_noise_is_resampled_as_on_the_cpu() {
    let Some(mut gpu) = gpu(RenderLimits::default()) else { return };
    let image = Synthetic::noise16(Size::new(1031, 777), 128);
    check(&image, &image.display(), &mut gpu);
}

#[test]
fn sixteen_bit_noise_is_resampled_alike_without_hardware_filtering() {
    let Some(mut gpu) = gpu(RenderLimits { hardware_16_bit: false, ..RenderLimits::default() }) else { return };
    let image = Synthetic::noise16(Size::new(1031, 777), 128);
    check(&image, &image.display(), &mut gpu);
}

#[test]
fn rgb_noise_is_resampled_as_on_the_cpu() {
    let Some(mut gpu) = gpu(RenderLimits::default()) else { return };
    let image = Synthetic::new(&[Size::new(1031, 777)], 128, &[TileFormat::Rgb8], noise(TileFormat::Rgb8));
    check(&image, &image.display(), &mut gpu);
}

#[test]
fn a_mirrored_view_of_oblong_pixels_is_resampled_as_on_the_cpu() {
    let Some(mut gpu) = gpu(RenderLimits::default()) else { return };
    let image = Synthetic::noise16(Size::new(1031, 777), 128);
    let mut view = camera(Point::new(512.25, 384.5), 0.8, 200.0);
    view.flipped = true;
    view.pixel_aspect = 1.21;
    check_view(&image, &image.display(), &mut gpu, &view);
}

#[test]
fn native_levels_of_any_factor_are_resampled_as_on_the_cpu() {
    let Some(mut gpu) = gpu(RenderLimits::default()) else { return };
    let native = [Size::new(2003, 1501), Size::new(871, 653), Size::new(150, 113)];
    let image = Synthetic::new(&native, 144, &[TileFormat::Gray16], noise(TileFormat::Gray16));
    for zoom in [0.43, 0.2, 0.9] {
        check_view(&image, &image.display(), &mut gpu, &camera(Point::new(1001.7, 750.2), zoom, 30.0));
    }
}

#[test]
fn channels_windows_weights_and_gamma_add_up_as_on_the_cpu() {
    let Some(mut gpu) = gpu(RenderLimits::default()) else { return };
    let formats = [TileFormat::Gray16, TileFormat::Gray8, TileFormat::Gray16];
    // Smooth samples: gamma is steep near black and would magnify the sampler's steps in noise, and in 8 bits.
    let samples = Box::new(|channel: u16, _: u8, x: u32, y: u32, _: u32| {
        let wave = (f64::from(x) * 0.11 + f64::from(channel)).sin() * (f64::from(y) * 0.07).cos() * 0.5 + 0.5;
        (wave * if channel == 1 { 255.0 } else { 40_000.0 }) as u16
    });
    let image = Synthetic::new(&[Size::new(700, 500)], 128, &formats, samples);
    let mut display = image.display();
    for (channel, (min, max, gamma, weight)) in display.channels.iter_mut().zip([
        (1000.0, 30_000.0, 1.0, 1.0),
        (3.0, 200.0, 0.8, 0.7),
        (0.0, 65_535.0, 1.5, 1.3),
    ]) {
        (channel.min, channel.max, channel.gamma, channel.weight) = (min, max, gamma, weight);
    }
    display.channels[0].color = [255, 40, 0];
    display.channels[1].color = [0, 255, 80];
    display.channels[2].color = [90, 90, 255];
    check_view(&image, &display, &mut gpu, &camera(Point::new(350.0, 250.0), 1.7, 12.0));
    // An inverted window: dark on bright.
    (display.channels[0].min, display.channels[0].max) = (30_000.0, 1000.0);
    check_view(&image, &display, &mut gpu, &camera(Point::new(350.0, 250.0), 1.7, 12.0));
}

#[test]
fn a_place_far_out_on_a_large_slide_is_as_exact_as_the_first_one() {
    let Some(mut gpu) = gpu(RenderLimits::default()) else { return };
    let image = Synthetic::noise16(Size::new(250_001, 180_003), 256);
    for (zoom, degrees) in [(7.3, 30.0), (1.9, 0.0), (0.6, 30.0)] {
        check_view(&image, &image.display(), &mut gpu, &camera(Point::new(249_856.4, 179_968.3), zoom, degrees));
    }
}

#[test]
fn the_edge_of_the_image_is_repeated_across_borders_between_tiles() {
    let Some(mut gpu) = gpu(RenderLimits::default()) else { return };
    // The last column and row of tiles are narrow.
    let image = Synthetic::noise16(Size::new(300, 268), 128);
    for (x, y) in [(128.2, 0.4), (0.3, 128.1), (256.4, 267.3), (299.6, 128.0)] {
        for degrees in [0.0, 30.0] {
            check_view(&image, &image.display(), &mut gpu, &camera(Point::new(x, y), 19.0, degrees));
        }
    }
}
