//! A picture of a window, and what can be found in it.

use microtome::geom::Point;
use std::path::Path;

/// Rows of blue, green, red and a byte of nothing, as X servers give them.
#[derive(PartialEq)]
pub struct Picture {
    width: usize,
    height: usize,
    bgrx: Vec<u8>,
}

impl Picture {
    /// A picture of `width * height * 4` bytes.
    pub fn new(width: usize, height: usize, bgrx: Vec<u8>) -> Self {
        assert_eq!(bgrx.len(), width * height * 4);
        Self { width, height, bgrx }
    }

    fn pixel(&self, x: usize, y: usize) -> [u8; 3] {
        let at = (y * self.width + x) * 4;
        [self.bgrx[at + 2], self.bgrx[at + 1], self.bgrx[at]]
    }

    /// The colour at a place; black outside.
    pub fn at(&self, place: Point) -> [u8; 3] {
        let (x, y) = (place.x.floor(), place.y.floor());
        if x < 0.0 || y < 0.0 || x >= self.width as f64 || y >= self.height as f64 {
            return [0; 3];
        }
        self.pixel(x as usize, y as usize)
    }

    /// The middle of the largest connected patch of pixels of a kind, if it has more than a few.
    pub fn middle_of(&self, is_it: impl Fn([u8; 3]) -> bool) -> Option<Point> {
        const FEWEST_PIXELS: usize = 16;
        let mut seen = vec![false; self.width * self.height];
        let mut largest = (FEWEST_PIXELS, None);
        for start in 0..seen.len() {
            if seen[start] || !is_it(self.pixel(start % self.width, start / self.width)) {
                continue;
            }
            let (mut count, mut sum_x, mut sum_y) = (0_usize, 0.0, 0.0);
            let mut todo = vec![start];
            seen[start] = true;
            while let Some(at) = todo.pop() {
                let (x, y) = (at % self.width, at / self.width);
                count += 1;
                sum_x += x as f64 + 0.5;
                sum_y += y as f64 + 0.5;
                let left = (x > 0).then(|| at - 1);
                let right = (x + 1 < self.width).then_some(at + 1);
                let above = (y > 0).then(|| at - self.width);
                let below = (y + 1 < self.height).then_some(at + self.width);
                for next in [left, right, above, below].into_iter().flatten() {
                    if !seen[next] && is_it(self.pixel(next % self.width, next / self.width)) {
                        seen[next] = true;
                        todo.push(next);
                    }
                }
            }
            if count > largest.0 {
                largest = (count, Some(Point::new(sum_x / count as f64, sum_y / count as f64)));
            }
        }
        largest.1
    }

    /// Saves it as a PNG for a person to look at.
    pub fn save(&self, path: &Path) -> Result<(), image::ImageError> {
        let rgb: Vec<u8> = self.bgrx.chunks_exact(4).flat_map(|p| [p[2], p[1], p[0]]).collect();
        image::save_buffer(path, &rgb, self.width as u32, self.height as u32, image::ColorType::Rgb8)
    }
}

#[test]
fn the_largest_patch_is_found_to_half_a_pixel() {
    let (width, height) = (60, 40);
    let mut bgrx = vec![0; width * height * 4];
    // A patch of 10 x 6 and one of 5 x 5.
    for (x0, y0, across, down) in [(20, 10, 10, 6), (50, 30, 5, 5)] {
        for (x, y) in (x0..x0 + across).flat_map(|x| (y0..y0 + down).map(move |y| (x, y))) {
            bgrx[(y * width + x) * 4 + 2] = 255;
        }
    }
    let picture = Picture::new(width, height, bgrx);
    assert_eq!(picture.middle_of(|[r, ..]| r > 200), Some(Point::new(25.0, 13.0)));
    assert_eq!(picture.middle_of(|[_, g, _]| g > 200), None);
}
