//! What fusing must give, pixel by pixel, by the rules as they are written: slow, and without a line of the real code.

use crate::geom::{Point, Rect};
use crate::mosaic::fixtures::Sample;
use crate::mosaic::{Blend, Geometry};

/// One field's level: width, height, samples with three values each (one for grey).
struct Plane {
    width: usize,
    height: usize,
    samples: Vec<f64>,
    channels: usize,
}

impl Plane {
    fn at(&self, x: i64, y: i64, c: usize) -> f64 {
        let x = x.clamp(0, self.width as i64 - 1) as usize;
        let y = y.clamp(0, self.height as i64 - 1) as usize;
        self.samples[(y * self.width + x) * self.channels + c]
    }

    fn halved(&self) -> Self {
        let (width, height) = (self.width.div_ceil(2), self.height.div_ceil(2));
        let mut samples = Vec::new();
        for y in 0..height as i64 {
            for x in 0..width as i64 {
                for c in 0..self.channels {
                    let sum = self.at(2 * x, 2 * y, c)
                        + self.at(2 * x + 1, 2 * y, c)
                        + self.at(2 * x, 2 * y + 1, c)
                        + self.at(2 * x + 1, 2 * y + 1, c);
                    samples.push(((sum + 2.0) / 4.0).floor());
                }
            }
        }
        Self { width, height, samples, channels: self.channels }
    }
}

/// A mosaic whose every pixel can be computed.
pub struct Reference<'g> {
    geometry: &'g Geometry,
    levels: Vec<Vec<Plane>>,
}

impl<'g> Reference<'g> {
    /// All fields, on levels 0 to `coarsest`.
    pub fn new(geometry: &'g Geometry, sample: Sample, channels: usize, most: u16, coarsest: usize) -> Self {
        let level_zero = geometry.fields.iter().enumerate().map(|(n, field)| {
            let (width, height) = (field.size.width as usize, field.size.height as usize);
            let places = (0..height).flat_map(|y| (0..width).map(move |x| (x as u32, y as u32)));
            let values = places.flat_map(|(x, y)| (0..channels).map(move |c| sample(n as u32, x, y, c) & most));
            Plane { width, height, samples: values.map(f64::from).collect(), channels }
        });
        let mut levels = vec![level_zero.collect::<Vec<_>>()];
        for n in 0..coarsest {
            let next = levels[n].iter().map(Plane::halved).collect();
            levels.push(next);
        }
        Self { geometry, levels }
    }

    /// A pixel of a level, unrounded; `None` where no field is.
    pub fn pixel(&self, level: usize, x: u32, y: u32, c: usize) -> Option<f64> {
        let downsample = f64::from(1_u32 << level);
        let p = Point::new((f64::from(x) + 0.5) * downsample, (f64::from(y) + 0.5) * downsample);
        let inside = |r: &Rect| p.x >= r.min.x && p.x < r.max.x && p.y >= r.min.y && p.y < r.max.y;
        let rects: Vec<(usize, Rect)> =
            self.geometry.fields.iter().map(|f| f.rect()).enumerate().filter(|(_, r)| inside(r)).collect();
        if rects.is_empty() {
            return None;
        }
        let value = |field: usize| self.sampled(level, field, p, c);
        let blend = self.geometry.blend;
        match blend {
            Blend::Maximum => return rects.iter().map(|r| value(r.0)).reduce(f64::max),
            Blend::Average => return Some(rects.iter().map(|r| value(r.0)).sum::<f64>() / rects.len() as f64),
            Blend::Feather | Blend::Linear | Blend::None => {}
        }
        let mut sum = 0.0;
        let mut weights = 0.0;
        let mut wins = None;
        for &(a, ra) in &rects {
            let mut weight = 1.0;
            let mut wins_all = true;
            for &(b, rb) in rects.iter().filter(|r| r.0 != a) {
                let (width, left) = (ra.max.x.min(rb.max.x) - ra.min.x.max(rb.min.x), ra.min.x.max(rb.min.x));
                let (height, top) = (ra.max.y.min(rb.max.y) - ra.min.y.max(rb.min.y), ra.min.y.max(rb.min.y));
                let sides = |r: Rect| (r.max.x - r.min.x, r.max.y - r.min.y);
                let (least_width, least_height) = (sides(ra).0.min(sides(rb).0), sides(ra).1.min(sides(rb).1));
                let (thin, middle, at, ca, cb) = if width / least_width <= height / least_height {
                    (width, left + width / 2.0, p.x, ra.min.x + ra.max.x, rb.min.x + rb.max.x)
                } else {
                    (height, top + height / 2.0, p.y, ra.min.y + ra.max.y, rb.min.y + rb.max.y)
                };
                let low = if ca == cb { a < b } else { ca < cb };
                let inwards = if low { middle - at } else { at - middle };
                wins_all &= (at < middle) == low;
                let reach = match blend {
                    Blend::Feather => f64::min(32.0, thin / 2.0),
                    _ => thin / 2.0,
                };
                weight *= (0.5 + inwards / (2.0 * reach)).clamp(0.0, 1.0);
            }
            if wins_all {
                wins = Some(a);
            }
            sum += weight * value(a);
            weights += weight;
        }
        let owner = wins.unwrap_or(rects[0].0);
        Some(if blend == Blend::None || weights == 0.0 { value(owner) } else { sum / weights })
    }

    /// A field's value at a place of the image, between the four nearest pixels of its level.
    fn sampled(&self, level: usize, field: usize, p: Point, c: usize) -> f64 {
        let downsample = f64::from(1_u32 << level);
        let plane = &self.levels[level][field];
        let corner = self.geometry.fields[field].position;
        let (u, v) = ((p.x - corner.x) / downsample - 0.5, (p.y - corner.y) / downsample - 0.5);
        let (x, y) = (u.floor(), v.floor());
        let (fx, fy) = (u - x, v - y);
        let (x, y) = (x as i64, y as i64);
        let top = plane.at(x, y, c) * (1.0 - fx) + plane.at(x + 1, y, c) * fx;
        let bottom = plane.at(x, y + 1, c) * (1.0 - fx) + plane.at(x + 1, y + 1, c) * fx;
        top * (1.0 - fy) + bottom * fy
    }
}
