//! Noise in the whole window against a resample on the CPU.

use crate::cpu::{Synthetic, compare, noise};
use crate::rig::{Image, Place, Window, has_gpu};
use microtome::geom::{Point, Size};
use microtome::pixels::TileFormat;
use microtome::session::Command;
use microtome::view::DisplaySettings;

const SIZE: Size = Size::new(701, 523);
/// A zoom, and the level whose pixels are then nearest to the screen's from above.
const ZOOMS: [(f64, u8); 5] = [(0.37, 1), (0.5, 1), (1.0, 0), (1.9, 0), (7.3, 0)];
/// What a sampler that weighs in steps of 1/256 and 8 bits of output may differ by.
const TOLERANCE: f64 = 2.0;
/// The greatest difference at borders may lie above that inside by this much, since both are the greatest of some thousand
/// chance roundings; a seam would show far more.
const SEAM: f64 = 0.25;

/// Rows of samples, components beside each other.
struct Plane {
    size: Size,
    components: u32,
    samples: Vec<u16>,
}

impl Plane {
    fn at(&self, x: u32, y: u32, component: u32) -> u16 {
        self.samples[((y * self.size.width + x) * self.components + component) as usize]
    }

    /// The next level by its definition: (a + b + c + d + 2) >> 2, the last row and column repeated at an odd edge.
    fn reduced(&self) -> Self {
        let size = Size::new(self.size.width.div_ceil(2), self.size.height.div_ceil(2));
        let mut samples = Vec::new();
        for (y, x) in (0..size.height).flat_map(|y| (0..size.width).map(move |x| (y, x))) {
            let (right, below) = ((2 * x + 1).min(self.size.width - 1), (2 * y + 1).min(self.size.height - 1));
            for c in 0..self.components {
                let four = [(2 * x, 2 * y), (right, 2 * y), (2 * x, below), (right, below)];
                let sum: u32 = four.iter().map(|&(x, y)| u32::from(self.at(x, y, c))).sum();
                samples.push(((sum + 2) >> 2) as u16);
            }
        }
        Self { size, samples, ..*self }
    }
}

fn check(format: TileFormat) {
    if !has_gpu() {
        return;
    }
    let components = if format == TileFormat::Rgb8 { 3 } else { 1 };
    let white = noise(format);
    let file = Image {
        size: SIZE,
        format,
        channels: &[("Noise", None)],
        um_per_px: None,
        sample: &|_, x, y, component| white(0, 0, x, y, component),
    };
    let place = Place::with(&file);
    let places = (0..SIZE.height).flat_map(|y| (0..SIZE.width).map(move |x| (x, y)));
    let samples =
        places.flat_map(|(x, y)| (0..components).map(move |c| (x, y, c))).map(|(x, y, c)| white(0, 0, x, y, c));
    let full = Plane { size: SIZE, components, samples: samples.collect() };
    let levels = [full.reduced(), full];
    let mut window = Window::open(&place, 1);
    window.does(Command::FullWindow(None));
    let image = window.image();
    let display = DisplaySettings::of(image.info());
    let samples = Box::new(move |_, level: u8, x, y, c| levels[1 - usize::from(level)].at(x, y, c));
    let synthetic = Synthetic { info: image.info().clone(), samples };
    for (zoom, level) in ZOOMS {
        for degrees in [0.0, 30.0_f64] {
            let mut camera = image.camera;
            (camera.center, camera.zoom) = (Point::new(381.3, 258.6), zoom);
            camera.rotation_rad = degrees.to_radians();
            window.looks_at(camera);
            let canvas = window.canvas();
            let Size { width, height } = canvas.size;
            assert_eq!(canvas.size, window.canvas_size(), "the panels are where this test thinks");
            // The overview map lies at the top right, the scale bar at the bottom left.
            let is_image = |x: u32, y: u32| !(x + 200 > width && y < 200 || x < 300 && y + 56 > height);
            let difference = compare(&synthetic, &camera, &display, level, &canvas, is_image);
            println!("{format:?}, zoom {zoom}, {degrees} degrees: {difference:?}");
            assert!(difference.pixels + difference.border_pixels > 300_000, "{difference:?}");
            let most = difference.inside.max(difference.at_borders);
            assert!(most <= TOLERANCE, "zoom {zoom}, {degrees} degrees: {difference:?}");
            let seam = difference.at_borders - difference.inside;
            assert!(seam <= SEAM, "zoom {zoom}, {degrees} degrees: {difference:?}");
        }
    }
}

#[test]
fn sixteen_bit_noise_in_the_window_is_resampled_as_on_the_cpu() {
    check(TileFormat::Gray16);
}

#[test]
fn rgb_noise_in_the_window_is_resampled_as_on_the_cpu() {
    check(TileFormat::Rgb8);
}
