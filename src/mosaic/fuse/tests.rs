use super::reference::Reference;
use super::*;
use crate::geom::Rect;
use crate::mosaic::fixtures::{KnownFields, Sample, geometry, jittered_grid, noise};
use crate::mosaic::{Blend, MOSAIC, Profile, illumination::PROFILE_CELLS};
use crate::pyramid::Coverage;
use rayon::prelude::*;

const PLANE: PlaneId = PlaneId { field: MOSAIC, channel: 0, z: 0, t: 0 };
const BLENDS: [Blend; 5] = [Blend::Feather, Blend::Linear, Blend::Average, Blend::Maximum, Blend::None];

/// A pyramid of fields, decoded on every level.
fn filled(fields: KnownFields, root: &std::path::Path) -> Pyramid {
    let pyramid = fields.into_pyramid(root);
    for (n, image) in pyramid.source().images().iter().enumerate() {
        let plane = PlaneId { field: n as u32, ..PlaneId::default() };
        let key = TileKey { plane, level: image.levels.len() as u8 - 1, x: 0, y: 0 };
        pyramid.fill(key, &|_| Ok(()), &Cancel::default()).expect("filled");
    }
    pyramid
}

fn keys(geometry: &Geometry) -> Vec<TileKey> {
    let tiles = |level: u8, size: Size| {
        let across = size.width.div_ceil(MOSAIC_TILE_SIDE);
        let all = (0..size.height.div_ceil(MOSAIC_TILE_SIDE)).flat_map(move |y| (0..across).map(move |x| (x, y)));
        all.map(move |(x, y)| TileKey { plane: PLANE, level, x, y })
    };
    geometry.levels().iter().enumerate().flat_map(|(n, level)| tiles(n as u8, level.size)).collect()
}

fn loaded(fuser: &Fuser<'_>, key: TileKey) -> TilePixels {
    match fuser.load(key).expect("loaded") {
        Loaded::Tile(tile) => tile,
        other => panic!("{key:?} is not there: {other:?}"),
    }
}

fn value(format: TileFormat, bytes: &[u8], at: usize, c: usize) -> f64 {
    match format {
        TileFormat::Gray16 => f64::from(u16::from_ne_bytes([bytes[2 * at], bytes[2 * at + 1]])),
        TileFormat::Gray8 => f64::from(bytes[at]),
        TileFormat::Rgb8 => f64::from(bytes[3 * at + c]),
    }
}

/// Every pixel of every tile of every level is what the rules say.
fn assert_as_the_rules_say(geometry: Geometry, format: TileFormat, sample: Sample) {
    let sizes: Vec<Size> = geometry.fields.iter().map(|f| f.size).collect();
    let (channels, most) = match format {
        TileFormat::Gray16 => (1, u16::MAX),
        TileFormat::Gray8 => (1, 255),
        TileFormat::Rgb8 => (3, 255),
    };
    let reference = Reference::new(&geometry, sample, channels, most, geometry.levels().len());
    let root = tempfile::tempdir().expect("a folder");
    let pyramid = filled(KnownFields::new(&sizes, format, sample), root.path());
    let fuser = Fuser::new(&pyramid, Arc::new(geometry.clone()), None);
    for key in keys(&geometry) {
        let tile = loaded(&fuser, key);
        assert_eq!((tile.coverage, tile.generation, tile.set), (Coverage::FULL, 1, pyramid.set()));
        for (y, x) in (0..tile.valid.height).flat_map(|y| (0..tile.valid.width).map(move |x| (y, x))) {
            for c in 0..channels {
                let (px, py) = (key.x * MOSAIC_TILE_SIDE + x, key.y * MOSAIC_TILE_SIDE + y);
                let wanted = reference.pixel(key.level as usize, px, py, c).unwrap_or(0.0);
                let got = value(format, &tile.bytes, (y * MOSAIC_TILE_SIDE + x) as usize, c);
                let blend = geometry.blend;
                assert!((got - wanted).abs() < 0.52, "{blend:?} {key:?} at {px},{py}: {got} not {wanted}");
            }
        }
        let beyond = (tile.valid.height * MOSAIC_TILE_SIDE) as usize * format.bytes_per_px();
        assert!(tile.bytes[beyond..].iter().all(|&v| v == 0));
    }
}

#[test]
fn every_blend_on_every_level_is_what_the_rules_say() {
    for blend in BLENDS {
        // Overlaps of 90 px, wider than a soft step, with four fields in the corners.
        let (places, sizes) = jittered_grid(5, (3, 2), Size::new(231, 193), 90.0, 9.0);
        assert_as_the_rules_say(geometry(&places, &sizes, blend, Placement::Whole), TileFormat::Gray16, noise);
        let (places, sizes) = jittered_grid(6, (2, 3), Size::new(150, 131), 17.0, 6.0);
        assert_as_the_rules_say(geometry(&places, &sizes, blend, Placement::Whole), TileFormat::Rgb8, noise);
    }
}

#[test]
fn fields_of_unequal_and_odd_sizes_with_gaps_between_them_are_put_together() {
    let places = [(0.0, 0.0), (90.0, 30.0), (20.0, 95.0), (300.0, 120.0), (40.0, 40.0), (40.0, 40.0), (299.0, 119.0)];
    let sizes = [(129, 101), (257, 64), (33, 150), (1, 1), (70, 60), (70, 60), (3, 5)].map(|(w, h)| Size::new(w, h));
    for blend in BLENDS {
        assert_as_the_rules_say(geometry(&places, &sizes, blend, Placement::Whole), TileFormat::Gray8, noise);
    }
    let one = geometry(&[(0.0, 0.0)], &[Size::new(1, 1)], Blend::Feather, Placement::Whole);
    assert_as_the_rules_say(one, TileFormat::Gray16, noise);
}

#[test]
fn many_fields_in_one_tile_are_put_together_from_fields_of_a_few_pixels() {
    let (places, sizes) = jittered_grid(8, (12, 11), Size::new(40, 36), 6.0, 2.0);
    for blend in [Blend::Feather, Blend::Maximum] {
        assert_as_the_rules_say(geometry(&places, &sizes, blend, Placement::Whole), TileFormat::Gray16, noise);
    }
}

#[test]
fn samples_of_one_field_alone_are_copied_exactly_and_bands_are_the_tiles_of_level_zero() {
    let (places, sizes) = jittered_grid(11, (3, 3), Size::new(210, 190), 40.0, 5.0);
    let root = tempfile::tempdir().expect("a folder");
    let pyramid = filled(KnownFields::new(&sizes, TileFormat::Gray16, noise), root.path());
    for blend in BLENDS {
        let geometry = Arc::new(geometry(&places, &sizes, blend, Placement::Whole));
        let fuser = Fuser::new(&pyramid, geometry.clone(), None);
        let band = fuser.band(PLANE, geometry.size.rect(), &Cancel::default()).expect("a band");
        let width = geometry.size.width;
        for (y, x) in (0..geometry.size.height).flat_map(|y| (0..width).map(move |x| (y, x))) {
            let p = Point::new(f64::from(x) + 0.5, f64::from(y) + 0.5);
            let there = geometry.fields_in(Rect::new(p, p + Point::new(1e-9, 1e-9)));
            let at = (y * width + x) as usize;
            assert_eq!(band.covered[at], u8::from(!there.is_empty()));
            let got = value(TileFormat::Gray16, &band.bytes, at, 0);
            if there.len() == 1 || (blend == Blend::None && !there.is_empty()) {
                let field = geometry.owner(p).expect("a field");
                let corner = geometry.fields[field as usize].position;
                let own = noise(field, x - corner.x as u32, y - corner.y as u32, 0);
                assert_eq!(got, f64::from(own), "{blend:?} at {x},{y}");
            } else if there.is_empty() {
                assert_eq!(got, 0.0);
            }
        }
        for key in keys(&geometry).into_iter().filter(|key| key.level == 0) {
            let tile = loaded(&fuser, key);
            for y in 0..tile.valid.height {
                let row = (y * MOSAIC_TILE_SIDE) as usize * 2;
                let at = ((key.y * MOSAIC_TILE_SIDE + y) * width + key.x * MOSAIC_TILE_SIDE) as usize * 2;
                let bytes = tile.valid.width as usize * 2;
                assert!(tile.bytes[row..row + bytes] == band.bytes[at..at + bytes], "{blend:?} {key:?} row {y}");
            }
        }
    }
}

#[test]
fn a_feather_is_a_straight_step_of_32_px_either_side_of_the_midline() {
    let sizes = [Size::new(300, 200); 2];
    let geometry = Arc::new(geometry(&[(0.0, 0.0), (180.0, 0.0)], &sizes, Blend::Feather, Placement::Whole));
    let root = tempfile::tempdir().expect("a folder");
    let pyramid =
        filled(KnownFields::new(&sizes, TileFormat::Gray16, |field, _, _, _| field as u16 * 6400), root.path());
    let band = Fuser::new(&pyramid, geometry, None).band(PLANE, PixelRect::new(0, 30, 480, 1), &Cancel::default());
    let band = band.expect("a band");
    for x in 0..480_u32 {
        // The overlap is 180 to 300, the midline at 240.
        let share = ((f64::from(x) + 0.5 - 208.0) / 64.0).clamp(0.0, 1.0);
        assert_eq!(value(TileFormat::Gray16, &band.bytes, x as usize, 0), (share * 6400.0).round(), "at {x}");
    }
}

#[test]
fn extremes_stay_within_the_type_whatever_the_blend_and_filter() {
    fn stripes(field: u32, x: u32, y: u32, _: usize) -> u16 {
        if (x / 3 + y / 2 + field).is_multiple_of(2) { u16::MAX } else { 0 }
    }
    let sizes = [Size::new(200, 150); 2];
    for blend in BLENDS {
        let geometry = Arc::new(geometry(&[(0.0, 0.0), (150.5, 1.25)], &sizes, blend, Placement::SubPixel));
        let root = tempfile::tempdir().expect("a folder");
        let white = filled(KnownFields::new(&sizes, TileFormat::Gray16, |_, _, _, _| u16::MAX), root.path());
        let band = Fuser::new(&white, geometry.clone(), None).band(PLANE, geometry.size.rect(), &Cancel::default());
        let band = band.expect("a band");
        for (n, &covered) in band.covered.iter().enumerate() {
            assert_eq!(value(TileFormat::Gray16, &band.bytes, n, 0), f64::from(covered) * 65535.0);
        }
        // Overshoot is cut off, it does not wrap: next to a white pixel and its white neighbours there is no black one.
        let root = tempfile::tempdir().expect("a folder");
        let striped = filled(KnownFields::new(&sizes, TileFormat::Gray16, stripes), root.path());
        let rect = PixelRect::new(0, 0, 150, 140);
        let band = Fuser::new(&striped, geometry, None).band(PLANE, rect, &Cancel::default()).expect("a band");
        for (y, x) in (2..138).flat_map(|y| (2..140).map(move |x| (y, x))) {
            assert_eq!(
                value(TileFormat::Gray16, &band.bytes, y * 150 + x, 0),
                f64::from(stripes(0, x as u32, y as u32, 0))
            );
        }
    }
}

/// The centre of the light of a level, in pixels of level 0, and the brightest pixel.
fn centre_of_light(fuser: &Fuser<'_>, level: u8) -> (Point, f64) {
    let (mut sum, mut x_sum, mut y_sum, mut most) = (0.0, 0.0, 0.0, 0.0_f64);
    for key in keys(fuser.geometry()).into_iter().filter(|key| key.level == level) {
        let tile = loaded(fuser, key);
        for (y, x) in (0..256_u32).flat_map(|y| (0..256_u32).map(move |x| (y, x))) {
            let v = value(TileFormat::Gray16, &tile.bytes, (y * 256 + x) as usize, 0);
            sum += v;
            x_sum += v * (f64::from(key.x * 256 + x) + 0.5);
            y_sum += v * (f64::from(key.y * 256 + y) + 0.5);
            most = most.max(v);
        }
    }
    let scale = f64::from(level).exp2();
    (Point::new(x_sum / sum * scale, y_sum / sum * scale), most)
}

/// A round dot with its centre at 101.3, 90.8.
fn dot(x: u32, y: u32, sigma: f64) -> u16 {
    let (dx, dy) = (f64::from(x) + 0.5 - 101.3, f64::from(y) + 0.5 - 90.8);
    (60_000.0 * (-(dx * dx + dy * dy) / (2.0 * sigma * sigma)).exp()).round() as u16
}

#[test]
fn a_bright_dot_stays_in_its_place_on_every_level_and_at_every_fraction_of_a_pixel() {
    let sizes = [Size::new(900, 700)];
    let root = tempfile::tempdir().expect("a folder");
    let pyramid = filled(KnownFields::new(&sizes, TileFormat::Gray16, |_, x, y, _| dot(x, y, 12.0)), root.path());
    for (x, y) in [(0.0, 0.0), (13.37, 5.81), (31.5, 17.0), (7.99, 63.01)] {
        for placement in [Placement::SubPixel, Placement::Whole] {
            let nominal = [Point::new(0.0, 0.0)];
            let geometry = Geometry::new(1, &nominal, &[Point::new(x, y)], &sizes, Blend::Feather, placement, 100.0);
            let geometry = Arc::new(geometry.expect("a layout"));
            let fuser = Fuser::new(&pyramid, geometry.clone(), None);
            let corner = geometry.fields[0].position;
            let true_place = corner + Point::new(101.3, 90.8);
            for level in 0..geometry.levels().len() as u8 {
                let (centre, _) = centre_of_light(&fuser, level);
                let off = centre.distance(true_place) / f64::from(level).exp2();
                assert!(off < 0.1, "level {level} at {x},{y}: {off} px of the level");
            }
        }
    }
}

#[test]
fn placed_between_pixels_a_dot_keeps_its_height_on_level_zero() {
    let sizes = [Size::new(300, 300)];
    let root = tempfile::tempdir().expect("a folder");
    let pyramid = filled(KnownFields::new(&sizes, TileFormat::Gray16, |_, x, y, _| dot(x, y, 1.5)), root.path());
    let nominal = [Point::new(0.0, 0.0)];
    let place = [Point::new(0.5, 0.5)];
    let geometry = Geometry::new(1, &nominal, &place, &sizes, Blend::None, Placement::SubPixel, 4.0).expect("a layout");
    let (_, most) = centre_of_light(&Fuser::new(&pyramid, Arc::new(geometry), None), 0);
    // The true peak between pixels; two taps would leave a tenth less.
    assert!(most > 57_500.0, "{most}");
}

#[test]
fn bands_are_the_same_whatever_rectangles_and_threads_they_are_cut_into() {
    let (places, sizes) = jittered_grid(12, (3, 3), Size::new(210, 190), 60.0, 5.0);
    let root = tempfile::tempdir().expect("a folder");
    let pyramid = KnownFields::new(&sizes, TileFormat::Gray16, noise).into_pyramid(root.path());
    let cells = PROFILE_CELLS * PROFILE_CELLS;
    let flat = (0..cells).map(|n| 1.0 - ((n % 128) as f32 - 60.0).powi(2) / 9000.0).collect();
    let profile = Profile::new(flat, vec![90.0; cells]).expect("a profile");
    let light = Arc::new(Illumination::new(vec![Some(Arc::new(profile))]));
    for (blend, placement) in [(Blend::Feather, Placement::Whole), (Blend::Linear, Placement::SubPixel)] {
        for light in [None, Some(light.clone())] {
            let geometry = Arc::new(geometry(&places, &sizes, blend, placement));
            let fuser = Fuser::new(&pyramid, geometry.clone(), light);
            let Size { width, height } = geometry.size;
            let whole = fuser.band(PLANE, geometry.size.rect(), &Cancel::default()).expect("a band");
            for (side, threads) in [(97, 1), (64, 4), (251, 3)] {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
                let parts: Vec<PixelRect> = (0..height)
                    .step_by(side)
                    .flat_map(|y| (0..width).step_by(side).map(move |x| PixelRect::new(x, y, side as u32, side as u32)))
                    .collect();
                let made = |rect: &PixelRect| fuser.band(PLANE, *rect, &Cancel::default()).expect("a band");
                let parts: Vec<Band> = pool.install(|| parts.par_iter().map(made).collect());
                for part in parts {
                    for y in 0..part.rect.height {
                        let from = (y * part.rect.width) as usize;
                        let at = ((part.rect.y + y) * width + part.rect.x) as usize;
                        let n = part.rect.width as usize;
                        assert!(part.bytes[2 * from..2 * (from + n)] == whole.bytes[2 * at..2 * (at + n)]);
                        assert!(part.covered[from..from + n] == whole.covered[at..at + n]);
                    }
                }
            }
        }
    }
}

#[test]
fn small_pictures_of_fields_are_kept_within_their_bound_and_give_the_same_tile_again() {
    let (places, sizes) = jittered_grid(3, (40, 30), Size::new(24, 30), 5.0, 1.0);
    let geometry = Arc::new(geometry(&places, &sizes, Blend::Feather, Placement::Whole));
    let root = tempfile::tempdir().expect("a folder");
    let pyramid = filled(KnownFields::new(&sizes, TileFormat::Gray16, noise), root.path());
    let kept = Arc::new(Reduced::default());
    let fuser = Fuser::new(&pyramid, geometry.clone(), None).with_reduced(kept.clone());
    let coarse: Vec<TileKey> = keys(&geometry).into_iter().filter(|key| key.level == 2).collect();
    let first: Vec<TilePixels> = coarse.iter().map(|&key| loaded(&fuser, key)).collect();
    assert_eq!(kept.count(), 1200);
    let again: Vec<TilePixels> = coarse.iter().map(|&key| loaded(&fuser, key)).collect();
    assert!(first == again);
    // A kept picture of 6 x 8 pixels of 16 bits.
    assert_eq!(kept.bytes(), 1200 * 6 * 8 * 2);
}
