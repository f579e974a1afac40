//! A mosaic on the screen: fields by themselves, fused tiles, and what is seen when one takes the other's place.

use crate::cpu::Picture;
use crate::reference::{Gpu, SET, TARGET, camera, gpu};
use microtome::geom::{Point, Size};
use microtome::mosaic::{Blend, Geometry, Illumination, MOSAIC, Placement, Profile};
use microtome::pixels::{PixelType, TileFormat};
use microtome::pyramid::{
    Calibration, ChannelInfo, ChannelRole, Coverage, Gaps, ImageInfo, TileKey, TilePixels, level_plan,
};
use microtome::render::{FieldLight, Frame, Generations, RenderLimits, Upload};
use microtome::view::{
    Camera, DisplaySettings, DrawnFrom, FADE_SECS, FieldPair, MosaicDrawing, MosaicPlaces, MosaicSceneRequest,
    MosaicScenes, SceneRequest,
};
use std::sync::Arc;

const FIELD: Size = Size::new(640, 600);
/// How far the frame reaches beyond the nominal layout.
const MARGIN_PX: f64 = 40.0;
const BACKGROUND: [u8; 3] = [26; 3];

/// Fields of a scene that is a function of the place, and what a window knows of them.
struct Mosaic {
    /// By field and level: rows of samples.
    levels: Vec<Vec<(Size, Vec<u16>)>>,
    images: Vec<ImageInfo>,
    nominal: Vec<Point>,
    geometry: Arc<Geometry>,
    info: Arc<ImageInfo>,
    positions: Vec<Point>,
    display: DisplaySettings,
    drawing: MosaicDrawing,
    moves: bool,
    pair: Option<FieldPair>,
    now_secs: f64,
}

impl Mosaic {
    /// Two by two fields that show `scene`, a function of the place in the image.
    fn new(placement: Placement, scene: impl Fn(Point) -> f64) -> Self {
        let nominal: Vec<Point> =
            (0..4).map(|n| Point::new(f64::from(n % 2) * 560.0, f64::from(n / 2) * 530.0)).collect();
        let solved: Vec<Point> =
            nominal.iter().enumerate().map(|(n, p)| *p + Point::new(n as f64 * 3.37, n as f64 * -2.61)).collect();
        let geometry =
            Geometry::new(1, &nominal, &solved, &[FIELD; 4], Blend::None, placement, MARGIN_PX).expect("a layout");
        let channel = ChannelInfo {
            name: "DAPI".into(),
            color: None,
            format: TileFormat::Gray16,
            role: ChannelRole::Intensity,
            significant_bits: None,
        };
        let image = ImageInfo {
            name: "field".into(),
            size: FIELD,
            pixel_type: PixelType::U16,
            channels: vec![channel],
            z_count: 1,
            t_count: 1,
            um_per_px: None,
            calibration: Calibration::Unknown,
            objective: None,
            tile_side: 128,
            levels: level_plan(&[FIELD], 128),
        };
        let images = vec![image; 4];
        let info = Arc::new(geometry.image_info("mosaic", &images).expect("fields"));
        let mut display = DisplaySettings::of(&info);
        display.background = BACKGROUND;
        let levels = geometry.fields.iter().map(|field| {
            let exact = |x: u32, y: u32| {
                let p = field.position + Point::new(f64::from(x) + 0.5, f64::from(y) + 0.5);
                scene(p).round().clamp(0.0, 65_535.0) as u16
            };
            let first: Vec<u16> = (0..FIELD.height)
                .flat_map(|y| (0..FIELD.width).map(move |x| (x, y)))
                .map(|(x, y)| exact(x, y))
                .collect();
            halvings(FIELD, first, images[0].levels.len())
        });
        Self {
            levels: levels.collect(),
            positions: geometry.fields.iter().map(|f| f.position).collect(),
            nominal,
            geometry: Arc::new(geometry),
            images,
            info,
            display,
            drawing: MosaicDrawing::default(),
            moves: false,
            pair: None,
            now_secs: 100.0,
        }
    }

    /// A field's sample, its edge repeated.
    fn sample(&self, field: usize, level: u8, x: f64, y: f64) -> f64 {
        let (size, rows) = &self.levels[field][level as usize];
        let column = x.clamp(0.0, f64::from(size.width - 1)) as usize;
        let row = y.clamp(0.0, f64::from(size.height - 1)) as usize;
        f64::from(rows[row * size.width as usize + column])
    }

    /// What a fused tile shows at a place of the image: the owner's level, bilinear.
    fn fused(&self, level: u8, at: Point) -> f64 {
        let Some(owner) = self.geometry.owner(at) else { return 0.0 };
        let down = f64::from(1u32 << level);
        let p = (at - self.geometry.fields[owner as usize].position) * (1.0 / down);
        let (x, y) = (p.x - 0.5, p.y - 0.5);
        let (column, row) = (x.floor(), y.floor());
        let (right, below) = (x - column, y - row);
        let s = |dx: f64, dy: f64| self.sample(owner as usize, level, column + dx, row + dy);
        let top = s(0.0, 0.0) * (1.0 - right) + s(1.0, 0.0) * right;
        let bottom = s(0.0, 1.0) * (1.0 - right) + s(1.0, 1.0) * right;
        top * (1.0 - below) + bottom * below
    }

    fn tile(&self, key: TileKey) -> TilePixels {
        let is_fused = key.plane.field == MOSAIC;
        let image = if is_fused { &self.info } else { &self.images[key.plane.field as usize] };
        let (rect, side) = (image.tile_rect(key), image.tile_side);
        let mut bytes = vec![0; TileFormat::Gray16.tile_bytes(side)];
        let down = image.levels[key.level as usize].downsample[0];
        for (x, y) in (0..rect.height).flat_map(|y| (0..rect.width).map(move |x| (x, y))) {
            let (column, row) = (f64::from(rect.x + x), f64::from(rect.y + y));
            let value = if is_fused {
                self.fused(key.level, Point::new(column + 0.5, row + 0.5) * down)
            } else {
                self.sample(key.plane.field as usize, key.level, column, row)
            };
            let at = (y * side + x) as usize * 2;
            bytes[at..at + 2].copy_from_slice(&(value.round() as u16).to_ne_bytes());
        }
        TilePixels {
            set: SET,
            key,
            format: TileFormat::Gray16,
            side,
            valid: rect.size(),
            coverage: Coverage::FULL,
            gaps: Gaps::Coming,
            generation: if is_fused { self.geometry.generation } else { 0 },
            bytes,
        }
    }

    fn scenes(&mut self, gpu: &mut Gpu, view: &Camera, size: Size) -> MosaicScenes {
        let places =
            MosaicPlaces { geometry: &self.geometry, info: &self.info, positions: &self.positions, moves: self.moves };
        self.drawing.begin_frame(&places, self.now_secs);
        let drawing = &self.drawing;
        let generations = Generations { wanted: drawing.wanted_generation(), frame: drawing.frame_generation() };
        gpu.renderer.set_generations(SET, generations);
        self.drawing.scenes(&MosaicSceneRequest {
            mosaic: SceneRequest {
                image: &self.info,
                field: MOSAIC,
                z: 0,
                t: 0,
                camera: view,
                viewport: size,
                region: None,
                display: &self.display,
                outline: None,
                resident: &gpu.renderer.residency(SET),
                cache_budget_bytes: gpu.renderer.cache_budget_bytes(),
                now_secs: self.now_secs,
                fade_secs: FADE_SECS,
            },
            images: &self.images,
            pair: self.pair,
        })
    }

    fn paint(&self, gpu: &mut Gpu, scenes: &MosaicScenes, view: &Camera, size: Size) -> Picture {
        gpu.paint(
            TARGET,
            &Frame { set: SET, scene: &scenes.drawn, display: &self.display, camera: view, viewport: size },
        )
    }

    /// Brings everything that is missing, then draws.
    fn settled(&mut self, gpu: &mut Gpu, view: &Camera, size: Size) -> Picture {
        for _ in 0..12 {
            let scenes = self.scenes(gpu, view, size);
            if scenes.drawn.wishes.is_empty() && scenes.awaited.is_none() {
                return self.paint(gpu, &scenes, view, size);
            }
            self.bring(gpu, &scenes.drawn.wishes);
        }
        panic!("it never settles");
    }

    fn bring(&self, gpu: &mut Gpu, keys: &[TileKey]) {
        for &key in keys {
            assert!(matches!(gpu.renderer.upload(&self.tile(key), -10.0), Upload::Done { .. }));
        }
    }

    fn move_by(&mut self, by: impl Fn(usize) -> Point) {
        let origin = self.geometry.origin;
        let moved: Vec<Point> =
            self.geometry.fields.iter().enumerate().map(|(n, f)| f.position + origin + by(n)).collect();
        let (generation, placement) = (self.geometry.generation + 1, self.geometry.placement);
        let next = Geometry::new(generation, &self.nominal, &moved, &[FIELD; 4], Blend::None, placement, MARGIN_PX);
        self.geometry = Arc::new(next.expect("a layout"));
        self.info = Arc::new(self.geometry.image_info("mosaic", &self.images).expect("fields"));
        self.positions = self.geometry.fields.iter().map(|f| f.position).collect();
    }
}

/// The image places that the pixels of a picture show.
fn places(view: &Camera, size: Size) -> impl Iterator<Item = (u32, u32, Point)> {
    let map = view.image_from_screen(size);
    let pixels = (0..size.height).flat_map(move |y| (0..size.width).map(move |x| (x, y)));
    pixels.map(move |(x, y)| (x, y, map.apply(Point::new(f64::from(x) + 0.5, f64::from(y) + 0.5))))
}

/// An image and its halvings, each sample the rounded mean of four.
fn halvings(size: Size, first: Vec<u16>, count: usize) -> Vec<(Size, Vec<u16>)> {
    let mut levels = vec![(size, first)];
    while levels.len() < count {
        let (size, from) = &levels[levels.len() - 1];
        let half = size.halved();
        let at = |x: u32, y: u32| {
            let (x, y) = (x.min(size.width - 1), y.min(size.height - 1));
            u32::from(from[(y * size.width + x) as usize])
        };
        let places = (0..half.height).flat_map(|y| (0..half.width).map(move |x| (2 * x, 2 * y)));
        let mean = |(x, y)| ((at(x, y) + at(x + 1, y) + at(x, y + 1) + at(x + 1, y + 1) + 2) >> 2) as u16;
        let next = (half, places.map(mean).collect());
        levels.push(next);
    }
    levels
}

/// The middle of the light around a place of the screen.
fn centroid(picture: &Picture, around: Point, reach: f64) -> Option<Point> {
    let (mut sum, mut at) = (0.0, Point::default());
    let range = |v: f64, most: u32| (v - reach).floor().max(0.0) as u32..((v + reach).ceil() as u32).min(most);
    for y in range(around.y, picture.size.height) {
        for x in range(around.x, picture.size.width) {
            let light = f64::from(picture.at(x, y)[0]);
            sum += light;
            at = at + Point::new(f64::from(x) + 0.5, f64::from(y) + 0.5) * light;
        }
    }
    (sum > 60.0).then(|| at * (1.0 / sum))
}

/// Dots, far from one another, at all fractions of a pixel.
fn dots() -> Vec<Point> {
    let fraction = |n: f64, k: f64| (n * k).fract();
    let places = (0..5).flat_map(|y| (0..5).map(move |x| (f64::from(x), f64::from(y))));
    places
        .map(|(x, y)| {
            let n = y * 5.0 + x + 1.0;
            Point::new(
                100.0 + 220.0 * x + 2.0 * fraction(n, 0.618_034),
                100.0 + 210.0 * y + 2.0 * fraction(n, 0.754_878),
            )
        })
        .collect()
}

fn light_of(dots: &[Point], sigma: f64) -> impl Fn(Point) -> f64 + '_ {
    move |p| dots.iter().map(|d| 60_000.0 * (-0.5 * (d.distance(p) / sigma).powi(2)).exp()).sum()
}

#[test]
fn a_bright_dot_stays_where_it_is_across_every_level_and_every_switch() {
    let Some(mut gpu) = gpu(RenderLimits::default()) else { return };
    let dots = dots();
    let size = Size::new(900, 800);
    for placement in [Placement::Whole, Placement::SubPixel] {
        let mut mosaic = Mosaic::new(placement, light_of(&dots, 2.5));
        gpu.renderer.remove_set(SET);
        let middle = Point::new(641.3, 602.7);
        let mut worst: f64 = 0.0;
        for zoom in [0.51_f64, 0.49, 0.26, 0.249] {
            let view = camera(middle, zoom, 0.0);
            let map = view.screen_from_image(size);
            let mut seen = Vec::new();
            for moves in [false, true] {
                mosaic.moves = moves;
                let picture = mosaic.settled(&mut gpu, &view, size);
                let from = if moves { DrawnFrom::Fields } else { DrawnFrom::Fused };
                assert_eq!(mosaic.drawing.drawn_from(), Some(from));
                seen.push(dots.iter().map(|&d| centroid(&picture, map.apply(d), 9.0)).collect::<Vec<_>>());
            }
            let mut found = 0;
            for ((dot, fused), field) in dots.iter().zip(&seen[0]).zip(&seen[1]) {
                let (Some(fused), Some(field)) = (fused, field) else { continue };
                found += 1;
                let truth = map.apply(*dot);
                worst = worst.max(fused.distance(truth)).max(field.distance(truth)).max(fused.distance(*field));
            }
            assert!(found >= 9, "{found} dots at zoom {zoom}");
        }
        // Two states of the picture are each this far from the truth at most.
        assert!(worst < 0.125, "{placement:?}: a dot is {worst} px off");
    }
}

/// How far a place is inside of all fields together; negative outside.
fn depth(fields: &[Point], p: Point) -> f64 {
    let inside = |at: &Point| {
        let (x, y) = (p.x - at.x, p.y - at.y);
        x.min(y).min(f64::from(FIELD.width) - x).min(f64::from(FIELD.height) - y)
    };
    fields.iter().map(inside).fold(f64::NEG_INFINITY, f64::max)
}

#[test]
fn nothing_flashes_while_a_mosaic_begins_to_move_moves_and_comes_to_rest() {
    let Some(mut gpu) = gpu(RenderLimits::default()) else { return };
    let mut mosaic = Mosaic::new(Placement::Whole, |_| 32_768.0);
    let size = Size::new(240, 180);
    // Where the four fields meet; around it there is image however they move.
    let view = camera(Point::new(640.0, 600.0), 0.9, 10.0);
    mosaic.settled(&mut gpu, &view, size);
    let mut frames = 0;
    let mut check = |mosaic: &mut Mosaic, gpu: &mut Gpu| {
        let scenes = mosaic.scenes(gpu, &view, size);
        let picture = mosaic.paint(gpu, &scenes, &view, size);
        frames += 1;
        for y in 0..size.height {
            for x in 0..size.width {
                assert_eq!(picture.at(x, y), [128; 3], "at {x}, {y} of frame {frames}");
            }
        }
        scenes
    };
    mosaic.moves = true;
    for step in 1..=3 {
        mosaic.move_by(|n| Point::new(f64::from(step) + n as f64, -f64::from(step)));
        mosaic.now_secs += 0.1;
        // Tiles come one by one.
        while let Some(&key) = check(&mut mosaic, &mut gpu).drawn.wishes.first() {
            mosaic.bring(&mut gpu, &[key]);
        }
    }
    assert_eq!(mosaic.drawing.drawn_from(), Some(DrawnFrom::Fields));
    mosaic.moves = false;
    while let Some(&key) = check(&mut mosaic, &mut gpu).drawn.wishes.first() {
        mosaic.bring(&mut gpu, &[key]);
    }
    check(&mut mosaic, &mut gpu);
    assert_eq!(mosaic.drawing.drawn_from(), Some(DrawnFrom::Fused));
    assert!(frames > 10);
}

#[test]
fn outside_of_all_fields_the_canvas_shows_whatever_the_mosaic_is_drawn_from() {
    let Some(mut gpu) = gpu(RenderLimits::default()) else { return };
    let mut mosaic = Mosaic::new(Placement::Whole, |_| 32_768.0);
    let size = Size::new(420, 400);
    for (zoom, degrees) in [(0.3, 0.0), (0.3, 33.0), (2.0, 0.0)] {
        let view = camera(if zoom < 1.0 { Point::new(640.0, 600.0) } else { Point::new(45.0, 640.0) }, zoom, degrees);
        for moves in [false, true] {
            mosaic.moves = moves;
            let picture = mosaic.settled(&mut gpu, &view, size);
            let (mut inside, mut outside, mut in_corners) = (0, 0, 0);
            for (x, y, p) in places(&view, size) {
                let depth = depth(&mosaic.positions, p);
                if depth.abs() < 1e-3 {
                    continue;
                }
                let expected = if depth > 0.0 { [128; 3] } else { BACKGROUND };
                if picture.at(x, y) != expected {
                    // In a corner that points inwards a fused sample may be a mean with what is no image.
                    assert!(!moves && (0.0..1.0 / zoom).contains(&depth), "at {x}, {y}, {depth} px inside");
                    in_corners += 1;
                }
                if depth > 0.0 { inside += 1 } else { outside += 1 }
            }
            assert!(in_corners <= 8, "{in_corners} pixels");
            assert!(inside > 1000 && outside > 1000, "{inside} inside, {outside} outside");
        }
    }
}

#[test]
fn at_a_seam_each_field_shows_its_own_pixels_and_none_of_its_neighbour() {
    let Some(mut gpu) = gpu(RenderLimits::default()) else { return };
    let mut mosaic = Mosaic::new(Placement::Whole, |_| 0.0);
    for (field, levels) in mosaic.levels.iter_mut().enumerate() {
        levels.iter_mut().for_each(|(_, rows)| rows.fill(10_000 + 13_107 * field as u16));
    }
    mosaic.moves = true;
    let shown = |field: u32| ((10_000.0 + 13_107.0 * f64::from(field)) / 65_535.0 * 255.0).round() as u8;
    let size = Size::new(300, 200);
    for (zoom, degrees) in [(6.0, 0.0), (0.7, 0.0), (3.0, 25.0)] {
        let view = camera(Point::new(640.0, 600.0), zoom, degrees);
        let picture = mosaic.settled(&mut gpu, &view, size);
        let mut owners = std::collections::BTreeSet::new();
        for (x, y, p) in places(&view, size) {
            let nearby = [(-1e-3, 0.0), (1e-3, 0.0), (0.0, -1e-3), (0.0, 1e-3)];
            let Some(owner) = mosaic.geometry.owner(p) else { continue };
            if nearby.iter().any(|&(dx, dy)| mosaic.geometry.owner(p + Point::new(dx, dy)) != Some(owner)) {
                continue;
            }
            owners.insert(owner);
            assert_eq!(picture.at(x, y), [shown(owner); 3], "at {x}, {y}: {p:?}");
        }
        assert_eq!(owners.len(), 4);
    }
}

#[test]
fn two_fields_that_are_compared_add_up_where_they_agree() {
    let Some(mut gpu) = gpu(RenderLimits::default()) else { return };
    let mut mosaic = Mosaic::new(Placement::Whole, |_| 65_535.0);
    let size = Size::new(300, 200);
    let overlap = mosaic.geometry.rect(0).intersect(mosaic.geometry.rect(1)).expect("neighbours");
    let view = camera(overlap.center(), 0.5, 0.0);
    let (cyan, magenta) = ([0, 255, 255], [255, 0, 255]);
    for (tints, expected) in
        [([Some(cyan), Some(magenta)], [255; 3]), ([Some(cyan), None], cyan), ([None, Some(magenta)], magenta)]
    {
        mosaic.pair = Some(FieldPair { fields: [0, 1], tints, channel: Some(0) });
        let picture = mosaic.settled(&mut gpu, &view, size);
        for (x, y, p) in places(&view, size) {
            if microtome::mosaic::seam::covers(overlap, p) {
                assert_eq!(picture.at(x, y), expected, "at {x}, {y}");
            } else if depth(&mosaic.positions, p) > 1e-3 && (p.x - overlap.center().x).abs() > 60.0 {
                assert_eq!(picture.at(x, y), [255; 3], "at {x}, {y}");
            }
        }
    }
}

#[test]
fn what_is_there_of_a_fused_tile_stays_until_its_replacement_is_whole() {
    let Some(mut gpu) = gpu(RenderLimits::default()) else { return };
    let mut mosaic = Mosaic::new(Placement::Whole, |_| 32_768.0);
    let size = Size::new(200, 160);
    let view = camera(Point::new(640.0, 600.0), 0.15, 0.0);
    let before = mosaic.settled(&mut gpu, &view, size).rgba;
    let keys: Vec<TileKey> = mosaic.scenes(&mut gpu, &view, size).drawn.quads.iter().map(|q| q.key).collect();
    mosaic.move_by(|_| Point::new(1.0, 0.0));
    mosaic.now_secs += 1.0;
    let scenes = mosaic.scenes(&mut gpu, &view, size);
    assert!(keys.iter().all(|key| scenes.drawn.wishes.contains(key)));
    for &key in &keys {
        let half = TilePixels { coverage: Coverage(0xffff_ffff), bytes: vec![0; 256 * 256 * 2], ..mosaic.tile(key) };
        assert_eq!(gpu.renderer.upload(&half, 0.0), Upload::Done { bytes: 0 });
        // One of a state that is long past, too.
        assert_eq!(
            gpu.renderer.upload(&TilePixels { generation: 0, ..mosaic.tile(key) }, 0.0),
            Upload::Done { bytes: 0 }
        );
    }
    let scenes = mosaic.scenes(&mut gpu, &view, size);
    assert_eq!(scenes.drawn.covered, 1.0);
    let picture = mosaic.paint(&mut gpu, &scenes, &view, size);
    let middle = |rgba: &[u8]| rgba[(80 * 200 + 100) * 4..][..3].to_vec();
    assert_eq!(middle(&picture.rgba), middle(&before));
    mosaic.bring(&mut gpu, &scenes.drawn.wishes);
    assert!(mosaic.scenes(&mut gpu, &view, size).drawn.wishes.is_empty());
}

/// Light that falls off to the corners, over a camera level that slopes.
fn profile() -> Profile {
    let cells = || (0..128).flat_map(|y| (0..128).map(move |x| (x as f32 / 127.0 - 0.5, y as f32 / 127.0 - 0.5)));
    let flat = cells().map(|(x, y)| 1.0 - 0.8 * (x * x + y * y) + 0.1 * x).collect();
    Profile::new(flat, cells().map(|(x, _)| 900.0 + 300.0 * x).collect()).expect("there is light")
}

#[test]
fn fields_by_themselves_are_evened_out_as_the_fuser_does_it() {
    for hardware_16_bit in [true, false] {
        let Some(mut gpu) = gpu(RenderLimits { hardware_16_bit, ..RenderLimits::default() }) else { return };
        let mut mosaic = Mosaic::new(Placement::Whole, |p| 20_000.0 + 9000.0 * (p.x * 0.05).sin() * (p.y * 0.04).cos());
        let illumination = Arc::new(Illumination::new(vec![Some(Arc::new(profile()))]));
        mosaic.moves = true;
        let size = Size::new(300, 240);
        let light = FieldLight { illumination: illumination.clone(), fields: mosaic.images.clone().into() };
        for (zoom, level, degrees) in [(1.0, 0, 0.0), (3.0, 0, 20.0), (0.5, 1, 0.0)] {
            let view = camera(Point::new(640.0, 600.0), zoom, degrees);
            gpu.renderer.set_light(SET, None);
            let plain = mosaic.settled(&mut gpu, &view, size);
            gpu.renderer.set_light(SET, Some(&light));
            let even = mosaic.settled(&mut gpu, &view, size);
            let mut largest_change = 0.0_f64;
            for (x, y, p) in places(&view, size) {
                let Some(owner) = mosaic.geometry.owner(p) else { continue };
                let nearby = [(-0.01, 0.0), (0.01, 0.0), (0.0, -0.01), (0.0, 0.01)];
                if nearby.iter().any(|&(dx, dy)| mosaic.geometry.owner(p + Point::new(dx, dy)) != Some(owner)) {
                    continue;
                }
                let in_field = p - mosaic.geometry.fields[owner as usize].position;
                let mut sample = [mosaic.fused(level, p) as f32];
                let stored = f64::from(sample[0]) / 65_535.0 * 255.0;
                illumination.correct(0, FIELD, in_field.x, in_field.y, 1.0, &mut sample);
                let expected = f64::from(sample[0]).clamp(0.0, 65_535.0) / 65_535.0 * 255.0;
                let got = [&plain, &even].map(|picture| f64::from(picture.at(x, y)[0]));
                assert!((got[0] - stored).abs() < 1.1, "{got:?} but {stored} at {x}, {y}");
                assert!((got[1] - expected).abs() < 1.1, "{got:?} but {expected} at {x}, {y}, zoom {zoom}");
                largest_change = largest_change.max((expected - stored).abs());
            }
            assert!(largest_change > 20.0, "the profile changes {largest_change} at most");
        }
        // A light that is switched off is off.
        gpu.renderer.set_light(SET, None);
        let view = camera(Point::new(640.0, 600.0), 1.0, 0.0);
        let off = mosaic.settled(&mut gpu, &view, size);
        gpu.renderer.set_light(SET, Some(&light));
        assert!(off.rgba != mosaic.settled(&mut gpu, &view, size).rgba);
    }
}
