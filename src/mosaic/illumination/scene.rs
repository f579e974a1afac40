//! Imagined fields of known light, for tests: nuclei on a faint ground, seen through a vignette by a noisy camera.

use super::overlap::FieldOverlap;
use super::reduced::{Reduced, ReducedFields};
use crate::error::Result;
use crate::geom::{Point, Size};

/// The falling off of the light in the demo and the generator: -1 to 1 from edge to edge.
pub fn vignette(x: f64, y: f64) -> f64 {
    1.0 - 0.15 * ((x - 0.08).powi(2) + (y + 0.05).powi(2)) + 0.03 * x
}

/// Cells a side of a field, and pixels a cell.
const CELLS: u32 = 128;
const CELL_PX: f64 = 8.0;
/// Nuclei stand on a jittered lattice of this pitch, in pixels.
const PITCH: f64 = 40.0;

/// What the fields show, and through what.
pub struct Scene {
    pub seed: u64,
    pub flat: fn(f64, f64) -> f64,
    pub dark: f64,
    pub overlap: f64,
    pub channels: u16,
}

impl Default for Scene {
    fn default() -> Self {
        Self { seed: 1, flat: vignette, dark: 100.0, overlap: 0.1, channels: 1 }
    }
}

/// Fields with their true places; a plane that is `None` cannot be read.
pub struct Fields {
    pub planes: Vec<Option<Vec<Reduced>>>,
    places: Vec<Point>,
    columns: usize,
}

impl ReducedFields for Fields {
    fn reduced(&self, field: u32, channel: u16) -> Result<Option<Reduced>> {
        Ok(self.planes[field as usize].as_ref().map(|planes| planes[usize::from(channel)].clone()))
    }
}

impl Fields {
    /// Every field with its right and its lower neighbour, at their true places.
    pub fn overlaps(&self) -> Vec<FieldOverlap> {
        let all = 0..self.places.len();
        let pairs = all.flat_map(|a| {
            let right = ((a + 1) % self.columns != 0).then_some(a + 1);
            let below = (a + self.columns < self.places.len()).then_some(a + self.columns);
            [right, below].into_iter().flatten().map(move |b| (a, b))
        });
        pairs.map(|(a, b)| FieldOverlap { a: a as u32, b: b as u32, shift: self.places[b] - self.places[a] }).collect()
    }
}

impl Scene {
    /// Overlapping fields in rows, jittered by some pixels.
    pub fn fields(&self, rows: u32, columns: u32) -> Fields {
        let step = f64::from(CELLS) * CELL_PX * (1.0 - self.overlap);
        let places: Vec<Point> = (0..rows * columns)
            .map(|n| {
                let jitter = |salt| (self.random(u64::from(n), 0, salt) - 0.5) * 20.0;
                Point::new(f64::from(n % columns) * step + jitter(1), f64::from(n / columns) * step + jitter(2))
            })
            .collect();
        let planes = places.iter().map(|&place| Some((0..self.channels).map(|c| self.plane(place, c)).collect()));
        Fields { planes: planes.collect(), places, columns: columns as usize }
    }

    fn plane(&self, corner: Point, channel: u16) -> Reduced {
        let side = f64::from(CELLS) * CELL_PX;
        let lattice = self.lattice(corner, side, channel);
        let cells = (0..CELLS).flat_map(|y| (0..CELLS).map(move |x| (x, y)));
        let samples = cells.map(|(x, y)| {
            let at = Point::new((f64::from(x) + 0.5) * CELL_PX, (f64::from(y) + 0.5) * CELL_PX);
            let flat = (self.flat)(at.x / side * 2.0 - 1.0, at.y / side * 2.0 - 1.0);
            // The second channel is lit from another side.
            let flat = flat + f64::from(channel) * 0.05 * (at.y / side);
            let light = lattice.light(at) * flat;
            let noise = self.random((corner.x * 64.0) as u64, u64::from(y * CELLS + x), 3) - 0.5;
            (light + self.dark + 2.0 * noise * light.sqrt() / CELL_PX) as f32
        });
        let size = side as u32;
        Reduced {
            field: Size::new(size, size),
            cell_px: [CELL_PX; 2],
            cells: Size::new(CELLS, CELLS),
            samples: samples.collect(),
            clipped: 64_000.0,
        }
    }

    /// The nuclei in and around a field.
    fn lattice(&self, corner: Point, side: f64, channel: u16) -> Lattice {
        let count = (side / PITCH) as i64 + 5;
        let first = ((corner.x / PITCH).floor() as i64 - 2, (corner.y / PITCH).floor() as i64 - 2);
        let nuclei = (0..count * count).map(|n| {
            let (column, row) = (first.0 + n % count, first.1 + n / count);
            let random = |salt| self.random(column as u64, row as u64, salt + 16 * u64::from(channel));
            // Tissue is where a slow wave is high; elsewhere there are no nuclei.
            let wave = (column as f64 * 0.11).sin() + (row as f64 * 0.13).cos();
            let bright = if wave + random(4) > 0.4 { 300.0 + 2500.0 * random(5) } else { 0.0 };
            let place = Point::new((column as f64 + random(6)) * PITCH, (row as f64 + random(7)) * PITCH) - corner;
            (place, bright)
        });
        Lattice { nuclei: nuclei.collect(), count, origin: Point::new(first.0 as f64, first.1 as f64) * PITCH - corner }
    }

    /// A number from 0 up to 1 for a place.
    fn random(&self, x: u64, y: u64, salt: u64) -> f64 {
        let mut mixed =
            self.seed ^ x.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ y.wrapping_mul(0xc2b2_ae3d_27d4_eb4f) ^ salt << 56;
        for _ in 0..2 {
            mixed = (mixed ^ mixed >> 32).wrapping_mul(0xd6e8_feb8_6659_fd93);
        }
        (mixed >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Nuclei on a lattice, by row and column; places are in pixels of the field.
struct Lattice {
    nuclei: Vec<(Point, f64)>,
    count: i64,
    origin: Point,
}

impl Lattice {
    fn light(&self, at: Point) -> f64 {
        let (column, row) = (((at.x - self.origin.x) / PITCH) as i64, ((at.y - self.origin.y) / PITCH) as i64);
        let mut light = 120.0;
        for (x, y) in (row - 1..=row + 1).flat_map(|y| (column - 1..=column + 1).map(move |x| (x, y))) {
            let (place, bright) = self.nuclei[(y * self.count + x) as usize];
            let squared = (place.x - at.x).powi(2) + (place.y - at.y).powi(2);
            if bright > 0.0 {
                light += bright * (-squared / 450.0).exp();
            }
        }
        light
    }
}
