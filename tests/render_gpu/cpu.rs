//! A picture of a synthetic image, computed on the CPU.
//!
//! It is written from the definition (pixel centres, bilinear weights, display formula) and shares no code with the shaders
//! or the camera.

use microtome::geom::{Point, Size};
use microtome::pixels::TileFormat;
use microtome::pyramid::ImageInfo;
use microtome::view::{Camera, DisplaySettings};

/// Which sample: channel, level, x, y, component.
pub type Samples = Box<dyn Fn(u16, u8, u32, u32, u32) -> u16>;

/// An image whose samples are a function of their place, each level on its own: drawing the wrong level shows.
pub struct Synthetic {
    pub info: ImageInfo,
    pub samples: Samples,
}

/// White noise; full range of the format.
pub fn noise(format: TileFormat) -> Samples {
    Box::new(move |channel, level, x, y, component| {
        let mut h = u64::from(x) << 32 | u64::from(y);
        h ^= u64::from(channel) << 20 ^ u64::from(level) << 50 ^ u64::from(component) << 60;
        for _ in 0..2 {
            h = (h ^ (h >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
        let value = (h >> 40) as u16;
        if format == TileFormat::Gray16 { value } else { value & 0xff }
    })
}

impl Synthetic {
    /// The light of a level at a place of level 0, channel by channel bilinear, before it is clipped.
    fn light(&self, display: &DisplaySettings, level: u8, place: Point) -> [f64; 3] {
        let info = self.info.levels[level as usize];
        let x = place.x / info.downsample[0] - 0.5;
        let y = place.y / info.downsample[1] - 0.5;
        let (column, row) = (x.floor(), y.floor());
        let (right, down) = (x - column, y - row);
        let mut sum = [0.0; 3];
        for (index, channel) in self.info.channels.iter().enumerate() {
            let shown = display.channels[index];
            if !shown.visible {
                continue;
            }
            for (component, out) in sum.iter_mut().enumerate() {
                let sample = |dx: f64, dy: f64| {
                    let px = (column + dx).clamp(0.0, f64::from(info.size.width - 1)) as u32;
                    let py = (row + dy).clamp(0.0, f64::from(info.size.height - 1)) as u32;
                    let component = if channel.format == TileFormat::Rgb8 { component as u32 } else { 0 };
                    f64::from((self.samples)(index as u16, level, px, py, component))
                };
                let top = sample(0.0, 0.0) * (1.0 - right) + sample(1.0, 0.0) * right;
                let bottom = sample(0.0, 1.0) * (1.0 - right) + sample(1.0, 1.0) * right;
                let value = top * (1.0 - down) + bottom * down;
                let range = f64::from(shown.max) - f64::from(shown.min);
                let linear = ((value - f64::from(shown.min)) / range).clamp(0.0, 1.0);
                let color = f64::from(shown.color[component]) / 255.0;
                *out += linear.powf(1.0 / f64::from(shown.gamma)) * f64::from(shown.weight) * color;
            }
        }
        sum
    }
}

/// The place of level 0 that a screen pixel's centre shows.
pub fn place(camera: &Camera, size: Size, x: u32, y: u32) -> Point {
    let dx = f64::from(x) + 0.5 - f64::from(size.width) / 2.0;
    let dy = f64::from(y) + 0.5 - f64::from(size.height) / 2.0;
    let (sin, cos) = (camera.rotation_rad.sin(), camera.rotation_rad.cos());
    let across = cos * dx + sin * dy;
    let down = cos * dy - sin * dx;
    let across = if camera.flipped { -across } else { across };
    Point::new(camera.center.x + across / camera.zoom, camera.center.y + down / (camera.zoom * camera.pixel_aspect))
}

/// RGBA rows.
pub struct Picture {
    pub size: Size,
    pub rgba: Vec<u8>,
}

impl Picture {
    pub fn at(&self, x: u32, y: u32) -> [u8; 3] {
        let start = (y * self.size.width + x) as usize * 4;
        [self.rgba[start], self.rgba[start + 1], self.rgba[start + 2]]
    }
}

/// How far a picture is from the reference, in 1/255.
#[derive(Debug, Default)]
pub struct Difference {
    pub inside: f64,
    /// Within one and a half level pixels of a border between tiles.
    pub at_borders: f64,
    pub pixels: u64,
    pub border_pixels: u64,
}

/// Compares a picture with the reference drawn from one level, where `is_image` says that nothing lies over it.
pub fn compare(
    image: &Synthetic,
    camera: &Camera,
    display: &DisplaySettings,
    level: u8,
    got: &Picture,
    is_image: impl Fn(u32, u32) -> bool,
) -> Difference {
    let mut out = Difference::default();
    let bounds = image.info.size;
    let info = image.info.levels[level as usize];
    let side = f64::from(image.info.tile_side);
    let background = display.background.map(f64::from);
    for y in 0..got.size.height {
        for x in (0..got.size.width).filter(|&x| is_image(x, y)) {
            let p = place(camera, got.size, x, y);
            let beyond = |v: f64, extent: u32| (-v).max(v - f64::from(extent));
            let outside = beyond(p.x, bounds.width).max(beyond(p.y, bounds.height));
            // A pixel centre on the very edge of the image may fall to either side.
            if outside.abs() < 1e-3 {
                continue;
            }
            let expected = if outside > 0.0 {
                background
            } else {
                image.light(display, level, p).map(|v| v.clamp(0.0, 1.0) * 255.0)
            };
            let pixel = got.at(x, y);
            let difference = (0..3).map(|c| (expected[c] - f64::from(pixel[c])).abs()).fold(0.0, f64::max);
            let to_border = |v: f64, downsample: f64| {
                let tiles = v / downsample / side;
                (tiles - tiles.round()).abs() * side
            };
            let near = to_border(p.x, info.downsample[0]).min(to_border(p.y, info.downsample[1])) < 1.5;
            out.pixels += 1;
            if near && outside < 0.0 {
                out.border_pixels += 1;
                out.at_borders = out.at_borders.max(difference);
            } else {
                out.inside = out.inside.max(difference);
            }
        }
    }
    out
}
