//! Sizes, rectangles, points and transforms, with rounding in one place.
//!
//! Pixel counts are `u32`, places are `f64`.
//! Pixel (0, 0) covers the square from (0.0, 0.0) to (1.0, 1.0): its centre is at (0.5, 0.5) in every space.

use serde::{Deserialize, Serialize};

/// Width and height in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct Size {
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
}

impl Size {
    /// A size of `width` by `height` pixels.
    pub const fn new(width: u32, height: u32) -> Self {
        Self { width, height }
    }

    /// The number of pixels.
    pub const fn area(self) -> u64 {
        self.width as u64 * self.height as u64
    }

    /// Half of it, rounded up: the size of a derived level.
    pub const fn halved(self) -> Self {
        Self { width: self.width.div_ceil(2), height: self.height.div_ceil(2) }
    }

    /// Whether there is no pixel in it.
    pub const fn is_empty(self) -> bool {
        self.width == 0 || self.height == 0
    }

    /// The rectangle from (0, 0).
    pub const fn rect(self) -> PixelRect {
        PixelRect { x: 0, y: 0, width: self.width, height: self.height }
    }
}

/// A rectangle of whole pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct PixelRect {
    /// The leftmost column.
    pub x: u32,
    /// The topmost row.
    pub y: u32,
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

impl PixelRect {
    /// A rectangle from its corner and size.
    pub const fn new(x: u32, y: u32, width: u32, height: u32) -> Self {
        Self { x, y, width, height }
    }

    /// The first column right of it.
    pub const fn right(self) -> u32 {
        self.x.saturating_add(self.width)
    }

    /// The first row below it.
    pub const fn bottom(self) -> u32 {
        self.y.saturating_add(self.height)
    }

    /// Its size.
    pub const fn size(self) -> Size {
        Size { width: self.width, height: self.height }
    }

    /// Whether there is no pixel in it.
    pub const fn is_empty(self) -> bool {
        self.width == 0 || self.height == 0
    }

    /// The pixels in both; empty where they do not meet.
    pub fn intersect(self, other: Self) -> Self {
        let x = self.x.max(other.x);
        let y = self.y.max(other.y);
        let right = self.right().min(other.right());
        let bottom = self.bottom().min(other.bottom());
        Self { x, y, width: right.saturating_sub(x), height: bottom.saturating_sub(y) }
    }

    /// Whether all of `other` lies in it.
    pub fn contains(self, other: Self) -> bool {
        other.x >= self.x && other.y >= self.y && other.right() <= self.right() && other.bottom() <= self.bottom()
    }
}

/// A place or a vector in the plane.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Point {
    /// To the right.
    pub x: f64,
    /// Down.
    pub y: f64,
}

impl Point {
    /// A point from its coordinates.
    pub const fn new(x: f64, y: f64) -> Self {
        Self { x, y }
    }

    /// The distance to another point.
    pub fn distance(self, other: Self) -> f64 {
        (self.x - other.x).hypot(self.y - other.y)
    }
}

impl std::ops::Add for Point {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self::new(self.x + other.x, self.y + other.y)
    }
}

impl std::ops::Sub for Point {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self::new(self.x - other.x, self.y - other.y)
    }
}

impl std::ops::Mul<f64> for Point {
    type Output = Self;
    fn mul(self, k: f64) -> Self {
        Self::new(self.x * k, self.y * k)
    }
}

/// An axis-aligned rectangle with real corners.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Rect {
    /// Left and top.
    pub min: Point,
    /// Right and bottom.
    pub max: Point,
}

impl Rect {
    /// A rectangle from two corners.
    pub const fn new(min: Point, max: Point) -> Self {
        Self { min, max }
    }

    /// Across.
    pub fn width(self) -> f64 {
        self.max.x - self.min.x
    }

    /// Down.
    pub fn height(self) -> f64 {
        self.max.y - self.min.y
    }

    /// Its middle.
    pub fn center(self) -> Point {
        (self.min + self.max) * 0.5
    }

    /// What lies in both, or nothing.
    pub fn intersect(self, other: Self) -> Option<Self> {
        let min = Point::new(self.min.x.max(other.min.x), self.min.y.max(other.min.y));
        let max = Point::new(self.max.x.min(other.max.x), self.max.y.min(other.max.y));
        (min.x < max.x && min.y < max.y).then_some(Self { min, max })
    }

    /// The smallest rectangle that holds all points; `None` of none.
    pub fn around(points: impl IntoIterator<Item = Point>) -> Option<Self> {
        points.into_iter().fold(None, |acc, p| {
            Some(match acc {
                None => Self::new(p, p),
                Some(r) => Self::new(
                    Point::new(r.min.x.min(p.x), r.min.y.min(p.y)),
                    Point::new(r.max.x.max(p.x), r.max.y.max(p.y)),
                ),
            })
        })
    }

    /// The four corners, clockwise from the top left.
    pub fn corners(self) -> [Point; 4] {
        [self.min, Point::new(self.max.x, self.min.y), self.max, Point::new(self.min.x, self.max.y)]
    }
}

/// A linear map with an offset: `x' = a x + b y + tx`, `y' = c x + d y + ty`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Affine {
    /// x from x.
    pub a: f64,
    /// x from y.
    pub b: f64,
    /// y from x.
    pub c: f64,
    /// y from y.
    pub d: f64,
    /// Where the origin goes.
    pub offset: Point,
}

impl Affine {
    /// The map that changes nothing.
    pub const IDENTITY: Self = Self { a: 1.0, b: 0.0, c: 0.0, d: 1.0, offset: Point::new(0.0, 0.0) };

    /// Where a point goes.
    pub fn apply(&self, p: Point) -> Point {
        self.apply_vector(p) + self.offset
    }

    /// Where a direction goes: the offset plays no part.
    pub fn apply_vector(&self, v: Point) -> Point {
        Point::new(self.a * v.x + self.b * v.y, self.c * v.x + self.d * v.y)
    }

    /// The map back; `None` where the map flattens the plane.
    pub fn inverse(&self) -> Option<Self> {
        let det = self.a * self.d - self.b * self.c;
        if !det.is_finite() || det.abs() < f64::MIN_POSITIVE {
            return None;
        }
        let (a, b, c, d) = (self.d / det, -self.b / det, -self.c / det, self.a / det);
        let linear = Self { a, b, c, d, offset: Point::default() };
        Some(Self { offset: linear.apply_vector(self.offset) * -1.0, ..linear })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_and_its_inverse_cancel() {
        let m = Affine { a: 2.0, b: -0.5, c: 0.25, d: 3.0, offset: Point::new(7.0, -11.0) };
        let back = m.inverse().expect("not flat").apply(m.apply(Point::new(5.0, 9.0)));
        assert!(back.distance(Point::new(5.0, 9.0)) < 1e-12);
    }

    #[test]
    fn rectangles_that_do_not_meet_have_an_empty_intersection() {
        let a = PixelRect::new(0, 0, 4, 4);
        assert!(a.intersect(PixelRect::new(4, 0, 4, 4)).is_empty());
        assert_eq!(a.intersect(PixelRect::new(2, 3, 9, 9)), PixelRect::new(2, 3, 2, 1));
    }
}
