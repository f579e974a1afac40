//! Bright dots in a mosaic, through the aligner, the store, the fuser and the window.

use crate::cpu::Picture;
use crate::rig::{Image, Place, Window, has_gpu};
use microtome::geom::{Point, Size};
use microtome::pixels::TileFormat;
use microtome::session::{Command, MosaicCommand};

const FIELD: Size = Size::new(640, 600);
/// Where the stage says that the fields stand, and where they do.
const NOMINAL: [[u32; 2]; 4] = [[0, 0], [560, 0], [0, 520], [560, 520]];
const TRUE: [[u32; 2]; 4] = [[0, 0], [566, 3], [4, 513], [561, 527]];
/// The distance from dot to dot, about.
const PITCH: f64 = 68.0;
const SIGMA: f64 = 2.5;
/// Zooms on either side of each change of level.
const SWITCHES: [[f64; 2]; 3] = [[1.01, 0.99], [0.51, 0.49], [0.26, 0.249]];
/// Screen pixels around a dot that hold all of its light and none of another's at the least zoom.
const REACH: f64 = 7.0;
/// Columns and rows of the scene that are clear of the outline of all fields at every zoom.
const INNER: [std::ops::Range<f64>; 2] = [40.0..1160.0, 40.0..1070.0];
/// The most that a dot may move from one side of a change to the other, screen pixels.
const MOST_MOVED: f64 = 0.25;

/// Dots at all fractions of a pixel, by their place in the scene.
fn dots() -> Vec<Point> {
    let fraction = |n: f64, k: f64| (n * k).fract();
    (0..17)
        .flat_map(|y| (0..18).map(move |x| (f64::from(x), f64::from(y))))
        .map(|(x, y)| {
            let n = y * 18.0 + x + 1.0;
            Point::new(PITCH * x + 9.0 * fraction(n, 0.618_034), PITCH * y + 9.0 * fraction(n, 0.754_878))
                + Point::new(24.0, 24.0)
        })
        .collect()
}

fn light(dots: &[Point], x: u32, y: u32) -> u16 {
    let at = Point::new(f64::from(x) + 0.5, f64::from(y) + 0.5);
    let sum: f64 = dots.iter().map(|d| 60_000.0 * (-0.5 * (d.distance(at) / SIGMA).powi(2)).exp()).sum();
    // A camera's noise, far below what a screen shows.
    let noise = (x.wrapping_mul(0x9e37_79b1) ^ y.wrapping_mul(0x85eb_ca77)) >> 25;
    (sum + f64::from(noise)).round().min(65_535.0) as u16
}

/// The middle of the light around a place.
fn centroid(picture: &Picture, around: Point) -> Option<Point> {
    let (mut sum, mut at) = (0.0, Point::default());
    let range = |v: f64, most: u32| {
        (v - REACH >= 0.0 && v + REACH < f64::from(most)).then(|| (v - REACH) as u32..(v + REACH).ceil() as u32)
    };
    for y in range(around.y, picture.size.height)? {
        for x in range(around.x, picture.size.width)? {
            let light = f64::from(picture.at(x, y)[0]);
            sum += light;
            at = at + Point::new(f64::from(x) + 0.5, f64::from(y) + 0.5) * light;
        }
    }
    (sum > 60.0).then(|| at * (1.0 / sum))
}

/// Whether a dot here is clear of the overview map at the top right, and of the scale bar at the bottom left.
fn is_image(at: Point, canvas: Size) -> bool {
    let (width, height) = (f64::from(canvas.width), f64::from(canvas.height));
    !(at.x + 220.0 > width && at.y < 220.0 || at.x < 310.0 && at.y + 70.0 > height)
}

#[test]
fn a_dot_of_an_aligned_mosaic_stays_where_it_is_at_every_change_of_level() {
    if !has_gpu() {
        return;
    }
    let scene = dots();
    // What surrounds a mosaic is not black: a dot near it would be weighed with it.
    let inner: Vec<Point> =
        scene.iter().copied().filter(|d| INNER[0].contains(&d.x) && INNER[1].contains(&d.y)).collect();
    let samples: Vec<Vec<u16>> = TRUE
        .iter()
        .map(|[left, top]| {
            let reach = 6.0 * SIGMA;
            let near = |d: &&Point, y: u32| (d.y - f64::from(y)).abs() < reach;
            (0..FIELD.height)
                .flat_map(|y| {
                    let row: Vec<Point> = scene.iter().filter(|d| near(d, top + y)).copied().collect();
                    (0..FIELD.width).map(move |x| light(&row, left + x, top + y)).collect::<Vec<_>>()
                })
                .collect()
        })
        .collect();
    let sample = |n: usize| {
        let samples = &samples;
        move |_: u16, x: u32, y: u32, _: u32| {
            let (x, y) = (x.min(FIELD.width - 1), y.min(FIELD.height - 1));
            samples[n][(y * FIELD.width + x) as usize]
        }
    };
    let samplers = [0, 1, 2, 3].map(sample);
    let fields: Vec<(Image<'_>, [u32; 2])> = samplers
        .iter()
        .zip(NOMINAL)
        .map(|(sample, at)| {
            let channels = &[("Dots", None)];
            (Image { size: FIELD, format: TileFormat::Gray16, channels, um_per_px: None, sample }, at)
        })
        .collect();
    let place = Place::with_fields(&fields);
    let mut window = Window::open(&place, 1);
    window.does(Command::FullWindow(None));
    while window.image().mosaic.expect("a mosaic").state.is_aligning() {
        window.does(Command::Mosaic(MosaicCommand::SelectSeam(None)));
    }
    let image = window.image();
    let geometry = image.mosaic.as_ref().expect("a mosaic").state.geometry.clone();
    for (n, field) in geometry.fields.iter().enumerate() {
        let stands = field.position - geometry.fields[0].position;
        let [x, y] = TRUE[n].map(f64::from);
        assert!(stands.distance(Point::new(x, y)) < 0.1, "field {n} stands at {stands:?}");
    }
    let corner = geometry.fields[0].position;
    let mut worst: f64 = 0.0;
    for zooms in SWITCHES {
        let mut seen = Vec::new();
        for zoom in zooms {
            let mut camera = image.camera;
            // Where the four fields meet.
            (camera.center, camera.zoom) = (corner + Point::new(602.3, 561.7), zoom);
            window.looks_at(camera);
            let canvas = window.canvas();
            let (to_screen, to_image) = (camera.screen_from_image(canvas.size), camera.image_from_screen(canvas.size));
            let place = |dot: &Point| {
                let at = Some(to_screen.apply(corner + *dot)).filter(|at| is_image(*at, canvas.size))?;
                centroid(&canvas, at).map(|p| to_image.apply(p))
            };
            seen.push(inner.iter().map(place).collect::<Vec<_>>());
        }
        let moved: Vec<f64> = seen[0]
            .iter()
            .zip(&seen[1])
            .filter_map(|(before, after)| Some((*before)?.distance((*after)?) * zooms[0]))
            .collect();
        assert!(moved.len() >= 40, "{} dots at zoom {zooms:?}", moved.len());
        let most = moved.iter().copied().fold(0.0, f64::max);
        println!("zoom {zooms:?}: {} dots, {most:.3} screen px", moved.len());
        worst = worst.max(most);
    }
    assert!(worst <= MOST_MOVED, "a dot moved by {worst} screen px");
}
