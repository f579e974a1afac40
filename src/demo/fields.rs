//! The demo's field set: what a motorised microscope makes of the imagined tissue, with the truth beside it.
//!
//! A snake of overlapping fields, whose files say where the stage was told to go.
//! The stage went somewhere near that: it scatters, has play when it turns round, and the camera is turned against it.
//! Light falls off towards the corners and the camera adds a level and noise of its own, new in every field.
//! Where the fields really are is a matter of the seed alone; it is written to `truth/positions.csv`.

use super::noise::{hash, unit};
use super::stain::{self, Square};
use super::{DemoKind, TILE_SIDE, UM_PER_PX};
use crate::error::{Error, Result};
use crate::export::{
    OmeImage, PageId, PixelLayout, TiffPage, TiffPlan, TileCompression, TileEncoder, TiledTiffWriter, ome_xml_at_stage,
};
use crate::geom::{Point, Size};
use crate::pixels::TileFormat;
use crate::pyramid::Cancel;
use crate::store::Destination;
use rayon::prelude::*;
use std::path::Path;

/// Rows of fields.
pub const FIELD_ROWS: u32 = 5;
/// Columns of fields.
pub const FIELD_COLUMNS: u32 = 6;
/// A field's side in pixels.
pub const FIELD_SIDE: u32 = 1024;
/// The camera's level, in samples.
pub const FIELD_DARK: f64 = 100.0;
/// Where the true places are told, below the field set's folder.
pub const TRUTH_FILE: &str = "truth/positions.csv";

/// How far the light falls off in a corner, about.
const VIGNETTE: f64 = 0.3;
/// Neighbours overlap by this share of the side.
const OVERLAP: f64 = 0.10;
/// How far the stage misses, in pixels an axis: a standard deviation. A poor stage, so that the fields are seen to find
/// their places in a window that shows a pixel for four of theirs.
const JITTER_PX: f64 = 7.0;
/// The stage's play: rows that are scanned backwards are moved by this, in pixels.
const BACKLASH_PX: f64 = 14.0;
/// How much the camera is turned against the stage, in radians.
const TURN: f64 = 0.0009;
/// Where in the tissue the first field lies, in pixels.
const ORIGIN: Point = Point::new(3200.0, 1650.0);
/// Light a sample of the tissue's own: the fields are lit better than the slides are.
const GAIN: f32 = 2.0;
/// The camera's own noise, in samples: a standard deviation.
const READ_NOISE: f32 = 4.0;
/// Seeds of the camera's noise begin here, apart from those of the tissue.
const CAMERA_SEED: u32 = 1000;

/// One field of the demo.
#[derive(Debug, Clone, PartialEq)]
pub struct DemoField {
    /// Its file's name.
    pub file: String,
    /// Its row, from 0.
    pub row: u32,
    /// Its column, from 0.
    pub column: u32,
    /// Where its file says it is: the top-left corner in pixels.
    pub nominal: Point,
    /// Where it really is, in the same pixels.
    pub truth: Point,
}

/// The fields of the demo, row by row.
pub fn demo_fields() -> Vec<DemoField> {
    let step = f64::from(FIELD_SIDE) * (1.0 - OVERLAP);
    (0..FIELD_ROWS)
        .flat_map(|row| (0..FIELD_COLUMNS).map(move |column| (row, column)))
        .map(|(row, column)| {
            let nominal = Point::new(f64::from(column) * step, f64::from(row) * step);
            let turned = Point::new(nominal.x - TURN * nominal.y, nominal.y + TURN * nominal.x);
            let play = Point::new(BACKLASH_PX * f64::from(row % 2), 0.0);
            let miss = Point::new(normal(row, column, 1), normal(row, column, 2)) * JITTER_PX;
            let file = format!("field_r{}_c{}.ome.tif", row + 1, column + 1);
            DemoField { file, row, column, nominal, truth: turned + play + miss }
        })
        .collect()
}

/// How much light reaches a place of a field, 1 at most; `x` and `y` go from 0 to 1 over the field.
pub fn demo_light(x: f64, y: f64) -> f64 {
    let (x, y) = (2.0 * x - 1.0, 2.0 * y - 1.0);
    let squared = (x - 0.08).powi(2) + (y + 0.05).powi(2);
    (1.0 - VIGNETTE * squared / 2.0 + 0.03 * x) / 1.004
}

/// A number of about unit deviation for a field: the sum of twelve even ones.
fn normal(row: u32, column: u32, salt: u32) -> f64 {
    let at = |n: u32| f64::from(unit(hash(row as i32, column as i32, 7000 + 12 * salt + n)));
    (0..12).map(at).sum::<f64>() - 6.0
}

/// Writes the field set as the folder `path`, which appears when it is whole. Runs on the current rayon pool.
pub(super) fn write_fields(path: &Path, cancel: &Cancel, field_done: &mut dyn FnMut()) -> Result<()> {
    let parent = path.parent().unwrap_or(Path::new("."));
    let cannot = |e| Error::io("cannot make the demo's folder", e, path);
    let temporary = tempfile::Builder::new().prefix(".demo-fields").tempdir_in(parent).map_err(cannot)?;
    let fields = demo_fields();
    for (number, field) in fields.iter().enumerate() {
        cancel.check()?;
        write_field(number as u32, field, &temporary.path().join(&field.file), cancel)?;
        field_done();
    }
    let truth = temporary.path().join(TRUTH_FILE);
    std::fs::create_dir_all(truth.parent().unwrap_or(&truth)).map_err(cannot)?;
    std::fs::write(&truth, truth_text(&fields)).map_err(cannot)?;
    readable(temporary.path()).map_err(cannot)?;
    let whole = temporary.keep();
    std::fs::rename(&whole, path).map_err(|e| {
        // What happened to the folder matters more than what may remain of its copy.
        if let Err(error) = std::fs::remove_dir_all(&whole) {
            tracing::warn!("{} remains: {error}", whole.display());
        }
        cannot(e)
    })
}

/// A temporary folder is its user's alone; a demo may be looked at like any other folder.
#[cfg(unix)]
fn readable(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755))
}

#[cfg(not(unix))]
fn readable(_: &Path) -> std::io::Result<()> {
    Ok(())
}

fn truth_text(fields: &[DemoField]) -> String {
    let mut text = String::from("file,row,col,x,y,nx,ny\n");
    for DemoField { file, row, column, nominal, truth } in fields {
        let line = format!("{file},{row},{column},{:.4},{:.4},{:.4},{:.4}\n", truth.x, truth.y, nominal.x, nominal.y);
        text.push_str(&line);
    }
    text
}

fn write_field(number: u32, field: &DemoField, path: &Path, cancel: &Cancel) -> Result<()> {
    let (size, layout) = (Size::new(FIELD_SIDE, FIELD_SIDE), PixelLayout::of(TileFormat::Gray16));
    let um_per_px = Some([UM_PER_PX; 2]);
    let channels = DemoKind::Fluorescence.channels();
    let name = field.file.trim_end_matches(".ome.tif");
    let image = OmeImage { name, size, layout, z_count: 1, t_count: 1, channels, um_per_px, objective: None };
    let xml = ome_xml_at_stage(&image, [field.nominal.x * UM_PER_PX, field.nominal.y * UM_PER_PX]);
    let mut plan = TiffPlan::default();
    let pages: Vec<PageId> = (0..channels.len())
        .map(|channel| {
            plan.add_page(TiffPage {
                size,
                tile_side: TILE_SIDE,
                layout,
                compression: TileCompression::Zstd,
                um_per_px,
                description: (channel == 0).then(|| xml.clone()),
            })
        })
        .collect();
    let mut writer = TiledTiffWriter::create(Destination::replacing(path), &plan)?;
    let across = FIELD_SIDE / TILE_SIDE;
    let drawn: Vec<Vec<Vec<u8>>> = (0..across * across)
        .into_par_iter()
        .map(|n| {
            cancel.check()?;
            let mut encoder = TileEncoder::new(TileCompression::Zstd, layout, TILE_SIDE, path)?;
            let tile = exposed(number, field.truth, n % across * TILE_SIDE, n / across * TILE_SIDE, TILE_SIDE);
            tile.iter().map(|samples| encoder.encode(bytemuck::cast_slice(samples), path)).collect()
        })
        .collect::<Result<_>>()?;
    for (n, tile) in (0..).zip(&drawn) {
        for (&page, packed) in pages.iter().zip(tile) {
            writer.write_tile(page, n % across, n / across, packed)?;
        }
    }
    writer.finish()
}

/// What the camera makes of a square of `side` pixels from (x, y) of a field that lies at `corner`, channel by channel.
fn exposed(number: u32, corner: Point, x: u32, y: u32, side: u32) -> Vec<Vec<u16>> {
    let place = corner + ORIGIN;
    let whole = Point::new(place.x.floor(), place.y.floor());
    let square = Square {
        x: whole.x as i32 + x as i32,
        y: whole.y as i32 + y as i32,
        dx: (place.x - whole.x) as f32,
        dy: (place.y - whole.y) as f32,
        side: side as i32,
    };
    let mut channels = vec![vec![0; (side * side) as usize]; stain::CHANNELS];
    stain::over_light(square, |column, row, levels| {
        let (fx, fy) = (x as i32 + column, y as i32 + row);
        let share = |at: i32| (f64::from(at) + 0.5) / f64::from(FIELD_SIDE);
        let flat = demo_light(share(fx), share(fy)) as f32;
        for (channel, (samples, level)) in (0..).zip(channels.iter_mut().zip(levels)) {
            let light = GAIN * level * flat;
            let seed = CAMERA_SEED + number * stain::CHANNELS as u32 + channel;
            let noise = stain::grain(fx, fy, seed) * (0.5 * light.max(0.0) + READ_NOISE * READ_NOISE).sqrt();
            let sample = light + FIELD_DARK as f32 + noise;
            samples[(row * side as i32 + column) as usize] = (sample + 0.5).clamp(0.0, 65_535.0) as u16;
        }
    });
    channels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_overlap_their_neighbours_and_miss_their_places_by_parts_of_pixels() {
        let fields = demo_fields();
        assert_eq!(fields.len(), 30);
        let misses: Vec<Point> = fields.iter().map(|f| f.truth - f.nominal).collect();
        assert!(misses.iter().all(|m| m.x.abs() < 50.0 && m.y.abs() < 50.0), "{misses:?}");
        assert!(misses.iter().filter(|m| m.x.fract().abs() > 0.1).count() > 15);
        let right = |n: usize| fields[n + 1].truth.x - fields[n].truth.x;
        assert!((0..5).map(right).all(|step| (860.0..985.0).contains(&step)));
    }

    #[test]
    fn two_fields_show_the_same_tissue_with_noise_and_light_of_their_own() {
        // The same square of tissue at opposite ends of two fields, a whole number of pixels apart.
        let (corner, moved) = (Point::new(800.3, 700.8), Point::new(800.3 + 900.0, 700.8));
        let right = exposed(1, corner, 920, 400, 64);
        let left = exposed(2, moved, 20, 400, 64);
        let light = |x: u32, y: u32| demo_light(f64::from(x) / 1024.0, f64::from(y) / 1024.0);
        for (right, left) in right.iter().zip(&left) {
            assert_ne!(right, left);
            let mean = |samples: &[u16]| {
                samples.iter().map(|&v| f64::from(v)).sum::<f64>() / samples.len() as f64 - FIELD_DARK
            };
            let (right, left) = (mean(right) / light(952, 432), mean(left) / light(52, 432));
            assert!((right / left - 1.0).abs() < 0.02, "{right} {left}");
        }
    }

    #[test]
    fn a_field_is_drawn_at_its_fraction_of_a_pixel() {
        // Half a pixel on is between a pixel and the next, where the tissue is smooth.
        let at = |x: f64| {
            let mut light = Vec::new();
            let square = Square { x: 4000 + x as i32, y: 3000, dx: x.fract() as f32, dy: 0.0, side: 64 };
            stain::over_light(square, |_, _, levels| light.push(levels[0]));
            light
        };
        let (here, half, next) = (at(0.0), at(0.5), at(1.0));
        assert_eq!(here[1..64], next[0..63]);
        let error = |n: usize| (half[n] - (here[n] + next[n]) / 2.0).abs();
        let moved = (0..64 * 64).map(|n| (here[n] - next[n]).abs()).sum::<f32>();
        assert!((0..64 * 64).map(error).sum::<f32>() < 0.2 * moved);
    }
}
