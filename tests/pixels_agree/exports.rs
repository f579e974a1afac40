//! Rendered exports against snapshots of the same views, and both against a resample on the CPU.

use crate::cpu::{Picture, Synthetic, compare};
use crate::rig::{Image, Place, has_gpu};
use microtome::geom::{Point, Size};
use microtome::pixels::{PixelType, TileFormat};
use microtome::pyramid::{Calibration, ChannelInfo, ChannelRole, ImageInfo, level_plan};
use microtome::view::{Camera, DisplaySettings};

const SIZE: Size = Size::new(901, 723);

/// What a sampler that weighs in steps of 1/256 and 8 bits of output may differ by.
const TOLERANCE: f64 = 2.0;

/// Views besides the one across a border between pieces.
const VIEWS: usize = 15;

/// Where pieces of a large picture meet.
const PIECE_SIDE: u32 = 2048;

/// Colours that change fast and slowly.
fn sample(x: u32, y: u32, component: u32) -> u16 {
    let wave = f64::from(x * (component + 1)) * 0.11 + f64::from(y) * 0.07;
    let fine = (x * 37 + y * 61 + component * 17) % 64;
    (96.0 + 60.0 * wave.sin()) as u16 + fine as u16
}

/// Numbers that are the same in every run.
struct Random(u64);

impl Random {
    /// A number from 0 up to 1.
    fn share(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn whole(&mut self, from: u32, to: u32) -> u32 {
        from + (self.share() * f64::from(to - from)) as u32
    }
}

/// Rows of a level, three components a pixel.
struct Level {
    size: Size,
    samples: Vec<u16>,
}

impl Level {
    fn at(&self, x: u32, y: u32, component: u32) -> u16 {
        self.samples[((y * self.size.width + x) * 3 + component) as usize]
    }

    fn reduced(&self) -> Self {
        let size = Size::new(self.size.width.div_ceil(2), self.size.height.div_ceil(2));
        let places = (0..size.height).flat_map(|y| (0..size.width).map(move |x| (x, y)));
        let samples = places.flat_map(|(x, y)| {
            let (right, below) = ((2 * x + 1).min(self.size.width - 1), (2 * y + 1).min(self.size.height - 1));
            [0, 1, 2].map(|c| {
                let four = [(2 * x, 2 * y), (right, 2 * y), (2 * x, below), (right, below)];
                let sum: u32 = four.iter().map(|&(x, y)| u32::from(self.at(x, y, c))).sum();
                ((sum + 2) >> 2) as u16
            })
        });
        Self { size, samples: samples.collect() }
    }
}

fn synthetic() -> Synthetic {
    let places = (0..SIZE.height).flat_map(|y| (0..SIZE.width).map(move |x| (x, y)));
    let full = Level { size: SIZE, samples: places.flat_map(|(x, y)| [0, 1, 2].map(|c| sample(x, y, c))).collect() };
    let half = full.reduced();
    let levels = [full, half];
    let channel = ChannelInfo {
        name: "RGB".into(),
        color: None,
        format: TileFormat::Rgb8,
        role: ChannelRole::Intensity,
        significant_bits: None,
    };
    let info = ImageInfo {
        name: "image".into(),
        size: SIZE,
        pixel_type: PixelType::Rgb8,
        channels: vec![channel],
        z_count: 1,
        t_count: 1,
        um_per_px: None,
        calibration: Calibration::Unknown,
        objective: None,
        tile_side: 128,
        levels: level_plan(&[SIZE], 128),
    };
    Synthetic { info, samples: Box::new(move |_, level, x, y, c| levels[usize::from(level)].at(x, y, c)) }
}

/// Takes the export and the snapshot of a region, and compares them and the reference.
fn check(place: &Place, synthetic: &Synthetic, region: [u32; 4], scale: f64, looked_at: &dyn Fn(u32, u32) -> bool) {
    let [x, y, width, height] = region;
    let region_words = format!("{x},{y},{width},{height}");
    let export: Picture = place.run("export", "png", &["--region", &region_words, "--scale", &scale.to_string()]);
    let Size { width: across, height: down } = export.size;
    let center = Point::new(f64::from(x) + f64::from(width) / 2.0, f64::from(y) + f64::from(height) / 2.0);
    let (size_words, center_words) = (format!("{across}x{down}"), format!("{},{}", center.x, center.y));
    let view = ["--size", &size_words, "--center", &center_words, "--zoom", &scale.to_string()];
    let snapshot = place.run("snapshot", "png", &view);
    assert!(export.size == snapshot.size && export.rgba == snapshot.rgba, "{region_words} at {scale}");
    let camera = Camera { center, zoom: scale, rotation_rad: 0.0, flipped: false, pixel_aspect: 1.0 };
    // The reference is drawn from the level whose pixels are nearest to the picture's from above.
    let level = u8::from(scale <= 0.5);
    let display = DisplaySettings::of(&synthetic.info);
    let off = compare(synthetic, &camera, &display, level, &export, looked_at);
    println!("{region_words} at {scale}: {off:?}");
    assert!(off.pixels > 1000, "{off:?}");
    assert!(off.inside.max(off.at_borders) <= TOLERANCE, "{region_words} at {scale}: {off:?}");
}

#[test]
fn exports_of_random_views_equal_snapshots_and_are_within_two_steps_of_a_resample_on_the_cpu() {
    if !has_gpu() {
        return;
    }
    let sample_of = |_, x: u32, y: u32, component| sample(x.min(SIZE.width), y.min(SIZE.height), component);
    let image =
        Image { size: SIZE, format: TileFormat::Rgb8, channels: &[("RGB", None)], um_per_px: None, sample: &sample_of };
    let (place, synthetic) = (Place::with(&image), synthetic());
    let mut random = Random(20_261_123);
    for _ in 0..VIEWS {
        let (width, height) = (random.whole(60, 400), random.whole(60, 400));
        let region = [random.whole(0, SIZE.width - width), random.whole(0, SIZE.height - height), width, height];
        // From a third to nearly three times, in steps that a command line takes exactly.
        let scale = (f64::from(random.whole(300, 2900))) / 1000.0;
        check(&place, &synthetic, region, scale, &|_, _| true);
    }
    // One picture of several pieces, looked at where they meet.
    let near = |at: u32| at.abs_diff(PIECE_SIDE) < 24;
    check(&place, &synthetic, [0, 0, 850, 700], 3.0, &|x, y| near(x) || near(y));
}
