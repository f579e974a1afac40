//! Mosaics of which something is missing, read-outs, and light evened out.

use super::*;
use crate::mosaic::fixtures::{KnownFields, geometry, noise};
use crate::mosaic::illumination::PROFILE_CELLS;
use crate::mosaic::{Blend, MOSAIC, Profile};
use crate::pyramid::Coverage;

const PLANE: PlaneId = PlaneId { field: MOSAIC, channel: 0, z: 0, t: 0 };
const SIZES: [Size; 2] = [Size::new(256, 256); 2];

/// Two fields of 256 px side by side that overlap by 64; the midline lies at 224.
fn pair(blend: Blend) -> Arc<Geometry> {
    Arc::new(geometry(&[(0.0, 0.0), (192.0, 0.0)], &SIZES, blend, Placement::Whole))
}

fn key(level: u8, x: u32) -> TileKey {
    TileKey { plane: PLANE, level, x, y: 0 }
}

fn gray(bytes: &[u8], at: usize) -> u16 {
    u16::from_ne_bytes([bytes[2 * at], bytes[2 * at + 1]])
}

/// Columns of eighths that are covered from top to bottom, first bit left.
fn columns(coverage: Coverage) -> Vec<u32> {
    (0..8).filter(|&column| (0..8).all(|row| coverage.has(column, row))).collect()
}

#[test]
fn a_tile_shows_what_is_there_and_says_which_eighths_are_still_coming() {
    let root = tempfile::tempdir().expect("a folder");
    let pyramid = KnownFields::new(&SIZES, TileFormat::Gray16, noise).into_pyramid(root.path());
    let fuser = Fuser::new(&pyramid, pair(Blend::None), None);
    let cancel = Cancel::default();
    assert!(!fuser.is_ready(key(1, 0)));
    assert!(matches!(fuser.load(key(1, 0)).expect("asked"), Loaded::Later(Made::NotYet)));
    assert_eq!(fuser.provisional(key(1, 0)).expect("asked"), None);
    // The first field's level 0 alone: its level 1 is not derived yet, and shown from beneath all the same.
    let first = TileKey { plane: PlaneId::default(), level: 0, x: 0, y: 0 };
    pyramid.fill(first, &|_| Ok(()), &cancel).expect("filled");
    let tile = fuser.provisional(key(1, 0)).expect("asked").expect("something");
    // On level 1 the midline is at 112 of the tile's 256 px, an eighth is 32 px, and the image ends at 224.
    assert_eq!((columns(tile.coverage), tile.gaps), (vec![0, 1, 2, 7], Gaps::Coming));
    assert!(matches!(fuser.load(key(1, 0)).expect("asked"), Loaded::Later(Made::NotYet)));
    let mut steps = 0;
    while fuser.step_towards(key(1, 0), &cancel).expect("a step") == Step::Progressed {
        steps += 1;
    }
    assert!(steps >= 2, "{steps} steps");
    assert!(fuser.is_ready(key(1, 0)) && fuser.missing(key(1, 0)).is_empty());
    let Loaded::Tile(tile) = fuser.load(key(1, 0)).expect("asked") else { panic!("not there") };
    assert_eq!(tile.coverage, Coverage::FULL);
}

#[test]
fn the_tiles_that_are_missing_come_nearest_to_the_middle_first_and_only_those_that_are_needed() {
    let root = tempfile::tempdir().expect("a folder");
    let pyramid = KnownFields::new(&SIZES, TileFormat::Gray16, noise).into_pyramid(root.path());
    let fuser = Fuser::new(&pyramid, pair(Blend::None), None);
    // Tile 1 of level 0 begins at 256, where only the second field shows; of it the columns from 64 on.
    let missing = fuser.missing(key(0, 1));
    assert!(missing.iter().all(|k| k.plane.field == 1 && k.level == 0));
    let mut tiles: Vec<(u32, u32)> = missing.iter().map(|k| (k.x, k.y)).collect();
    tiles.sort_unstable();
    assert_eq!(tiles, [(0, 0), (0, 1), (1, 0), (1, 1)]);
    // Tile 0 shows the first field up to the midline, and it is nearer to the tile's middle.
    let missing = fuser.missing(key(0, 0));
    assert_eq!(missing.first().map(|k| k.plane.field), Some(0));
    assert!(missing.iter().any(|k| k.plane.field == 1));
}

#[test]
fn a_damaged_field_is_a_hole_with_a_reason_and_its_neighbour_fills_what_it_can() {
    let root = tempfile::tempdir().expect("a folder");
    let mut fields = KnownFields::new(&SIZES, TileFormat::Gray16, noise);
    fields.damaged = vec![(1, 0, 0), (1, 0, 1), (1, 1, 0), (1, 1, 1)];
    let pyramid = fields.into_pyramid(root.path());
    let cancel = Cancel::default();
    for (blend, covered) in [(Blend::None, 224), (Blend::Average, 256)] {
        let fuser = Fuser::new(&pyramid, pair(blend), None);
        while fuser.step_towards(key(1, 0), &cancel).expect("a step") == Step::Progressed {}
        assert_eq!(fuser.step_towards(key(1, 0), &cancel).expect("a step"), Step::Incomplete);
        let Loaded::Tile(tile) = fuser.load(key(1, 0)).expect("asked") else { panic!("not there") };
        let holes = covered / 2 / 32..7;
        let whole: Vec<u32> = (0..8).filter(|c| !holes.contains(c)).collect();
        assert_eq!((columns(tile.coverage), tile.gaps), (whole, Gaps::Unreadable), "{blend:?}");
        // Level 0 right of the first field has nothing at all.
        let Loaded::Failed(reason) = fuser.load(key(0, 1)).expect("asked") else { panic!("there is something") };
        assert_eq!(reason, "damaged on purpose");
        let band = fuser.band(PLANE, PixelRect::new(0, 9, 448, 1), &cancel).expect("a band");
        for x in 0..448_usize {
            assert_eq!(band.covered[x], u8::from(x < covered as usize), "{blend:?} at {x}");
            let own = if x < covered as usize { noise(0, x as u32, 9, 0) } else { 0 };
            assert_eq!(gray(&band.bytes, x), own, "{blend:?} at {x}");
        }
        assert!(!band.holes.is_empty() && band.holes.iter().all(|h| h.x >= covered));
    }
}

#[test]
fn where_no_field_is_a_tile_is_black_and_whole() {
    let root = tempfile::tempdir().expect("a folder");
    let pyramid = KnownFields::new(&SIZES, TileFormat::Gray16, noise).into_pyramid(root.path());
    let apart = geometry(&[(0.0, 0.0), (2000.0, 0.0)], &SIZES, Blend::Feather, Placement::Whole);
    let fuser = Fuser::new(&pyramid, Arc::new(apart), None);
    let Loaded::Tile(tile) = fuser.load(key(0, 3)).expect("asked") else { panic!("not there") };
    assert_eq!(tile.coverage, Coverage::FULL);
    assert!(tile.bytes.iter().all(|&v| v == 0));
    assert!(matches!(fuser.load(key(0, 900)).expect("asked"), Loaded::Failed(_)));
    let band = fuser.band(PLANE, PixelRect::new(250, 0, 20, 2), &Cancel::default()).expect("a band");
    assert_eq!(band.covered, [[1; 6].as_slice(), &[0; 14], &[1; 6], &[0; 14]].concat());
}

#[test]
fn a_band_of_a_plane_that_a_stopped_job_asks_for_is_not_made() {
    let root = tempfile::tempdir().expect("a folder");
    let pyramid = KnownFields::new(&SIZES, TileFormat::Gray16, noise).into_pyramid(root.path());
    let cancel = Cancel::default();
    cancel.cancel();
    let band = Fuser::new(&pyramid, pair(Blend::None), None).band(PLANE, PixelRect::new(0, 0, 9, 9), &cancel);
    assert!(band.expect_err("stopped").is_cancelled());
}

#[test]
fn a_read_out_names_the_field_and_gives_its_own_sample_and_the_corrected_one_beside_it() {
    let root = tempfile::tempdir().expect("a folder");
    let pyramid = KnownFields::new(&SIZES, TileFormat::Gray16, noise).into_pyramid(root.path());
    pyramid
        .fill(
            TileKey { plane: PlaneId { field: 1, ..PlaneId::default() }, level: 1, x: 0, y: 0 },
            &|_| Ok(()),
            &Cancel::default(),
        )
        .expect("filled");
    let cells = PROFILE_CELLS * PROFILE_CELLS;
    let flat = (0..cells).map(|n| if n % PROFILE_CELLS < 64 { 0.5 } else { 1.5 }).collect();
    let profile = Profile::new(flat, vec![100.0; cells]).expect("a profile");
    let light = Arc::new(Illumination::new(vec![Some(Arc::new(profile))]));
    let plain = Fuser::new(&pyramid, pair(Blend::Feather), None);
    let found = plain.sample(PLANE, 230, 17).expect("read").expect("a field");
    let stored = f64::from(noise(1, 38, 17, 0));
    assert_eq!(found, ReadOut { field: 1, at: (38, 17), stored: vec![stored], corrected: None });
    let evened = Fuser::new(&pyramid, pair(Blend::Feather), Some(light));
    let found = evened.sample(PLANE, 230, 17).expect("read").expect("a field");
    let corrected = found.corrected.expect("switched on")[0];
    assert_eq!(found.stored, [stored]);
    assert!((corrected - ((stored - 100.0) / 0.5 + 100.0)).abs() < 0.1, "{corrected} from {stored}");
    assert_eq!(plain.sample(PLANE, 500, 17).expect("asked"), None);
}

/// Light that falls towards the right and the bottom, 1 on average.
fn light(x: f64, y: f64) -> f64 {
    (1.3 - 0.6 * x) * (1.25 - 0.5 * y)
}

#[test]
fn evening_out_gives_the_scene_back_on_every_level_in_grey_and_in_colour() {
    // A flat scene: 2000 above a dark level of 100, or three colours above 10.
    fn shaded(_: u32, x: u32, y: u32, c: usize) -> u16 {
        let light = light((f64::from(x) + 0.5) / 256.0, (f64::from(y) + 0.5) / 256.0);
        if c == 0 { (light * 2000.0 + 100.0).round() as u16 } else { 0 }
    }
    fn shaded_color(_: u32, x: u32, y: u32, c: usize) -> u16 {
        let light = light((f64::from(x) + 0.5) / 256.0, (f64::from(y) + 0.5) / 256.0);
        (light * [100.0, 60.0, 30.0][c] + 10.0).round() as u16
    }
    let cells = PROFILE_CELLS * PROFILE_CELLS;
    let flat =
        |n: usize| light(((n % PROFILE_CELLS) as f64 + 0.5) / 128.0, ((n / PROFILE_CELLS) as f64 + 0.5) / 128.0) as f32;
    let cancel = Cancel::default();
    for (format, sample, dark, scene) in [
        (TileFormat::Gray16, shaded as crate::mosaic::fixtures::Sample, 100.0, [2100.0; 3]),
        (TileFormat::Rgb8, shaded_color, 10.0, [110.0, 70.0, 40.0]),
    ] {
        let root = tempfile::tempdir().expect("a folder");
        let pyramid = KnownFields::new(&SIZES, format, sample).into_pyramid(root.path());
        let profile = Profile::new((0..cells).map(flat).collect(), vec![dark; cells]).expect("a profile");
        let profiles = Arc::new(Illumination::new(vec![Some(Arc::new(profile))]));
        for (profiles, evened) in [(Some(profiles), true), (None, false)] {
            for placement in [Placement::Whole, Placement::SubPixel] {
                let geometry = geometry(&[(0.0, 0.0), (192.0, 0.3)], &SIZES, Blend::Feather, placement);
                let fuser = Fuser::new(&pyramid, Arc::new(geometry), profiles.clone());
                for level in 0..2 {
                    while fuser.step_towards(key(level, 0), &cancel).expect("a step") == Step::Progressed {}
                    let Loaded::Tile(tile) = fuser.load(key(level, 0)).expect("asked") else { panic!("not there") };
                    let mut worst = 0.0_f64;
                    for y in [3, 20, 50, 100] {
                        for x in 2..tile.valid.width as usize - 2 {
                            for (c, wanted) in scene.iter().enumerate() {
                                let at = y * 256 + x;
                                let got = match format {
                                    TileFormat::Rgb8 => f64::from(tile.bytes[3 * at + c]),
                                    _ => f64::from(gray(&tile.bytes, at)),
                                };
                                worst = worst.max((got - wanted).abs() / wanted);
                            }
                        }
                    }
                    // A stored step is up to 1 in 15 of the dimmest colour in the corner.
                    let within = if format == TileFormat::Rgb8 { 0.07 } else { 0.002 };
                    assert_eq!(worst < within, evened, "{format:?} level {level} {placement:?}: off by {worst}");
                }
            }
        }
    }
}

#[test]
fn a_ramp_across_fields_placed_between_pixels_is_a_ramp_on_every_level() {
    fn ramp(field: u32, x: u32, y: u32, _: usize) -> u16 {
        // The second field stands at 192.4, 0.6, so that both show one scene.
        let (x, y) = if field == 0 { (f64::from(x), f64::from(y)) } else { (f64::from(x) + 192.4, f64::from(y) + 0.6) };
        (5000.0 + 40.0 * (x + 0.5) + 25.0 * (y + 0.5)).round() as u16
    }
    let root = tempfile::tempdir().expect("a folder");
    let pyramid = KnownFields::new(&SIZES, TileFormat::Gray16, ramp).into_pyramid(root.path());
    let geometry = geometry(&[(0.0, 0.0), (192.4, 0.6)], &SIZES, Blend::Feather, Placement::SubPixel);
    let fuser = Fuser::new(&pyramid, Arc::new(geometry), None);
    let cancel = Cancel::default();
    for level in 0..2_u8 {
        let scale = f64::from(level).exp2();
        while fuser.step_towards(key(level, 0), &cancel).expect("a step") == Step::Progressed {}
        let Loaded::Tile(tile) = fuser.load(key(level, 0)).expect("asked") else { panic!("not there") };
        let inner = (f64::from(level) * -128.0 + 250.0) as usize;
        for (y, x) in (4..inner.min(tile.valid.height as usize - 4))
            .flat_map(|y| (4..tile.valid.width as usize - 4).map(move |x| (y, x)))
        {
            let wanted = 5000.0 + 40.0 * (x as f64 + 0.5) * scale + 25.0 * (y as f64 + 0.5) * scale;
            let got = f64::from(gray(&tile.bytes, y * 256 + x));
            assert!((got - wanted).abs() <= 1.5, "level {level} at {x},{y}: {got} not {wanted}");
        }
    }
}
