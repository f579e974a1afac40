//! The pixel around a tile: from its neighbours where they are there, else its own edge again.
//!
//! The edges of resident tiles are kept on the heap for this (1.6 % of a 256-pixel tile), so that a neighbour that comes or
//! goes costs strips of one pixel and never a second look at the source.

use super::staging::Rows;
use crate::geom::Size;
use crate::pixels::TileFormat;
use crate::pyramid::TilePixels;

/// Bytes a texel; RGB is padded to four.
pub(super) const fn texel_bytes(format: TileFormat) -> usize {
    match format {
        TileFormat::Gray8 => 1,
        TileFormat::Gray16 => 2,
        TileFormat::Rgb8 => 4,
    }
}

/// Puts a tile's pixels into the middle of a layer; the gutter is still to be written.
pub(super) fn write_pixels(pixels: &TilePixels, layer: &mut Rows) {
    if pixels.valid != Size::new(pixels.side, pixels.side) {
        layer.clear();
    }
    let mut rgba = Vec::new();
    for y in 0..pixels.valid.height as usize {
        let row = row(pixels, y);
        if pixels.format == TileFormat::Rgb8 {
            rgba.clear();
            push_texels(pixels.format, row, &mut rgba);
            layer.write(1, y + 1, &rgba);
        } else {
            layer.write(1, y + 1, row);
        }
    }
}

/// The valid pixels of a row of a tile.
fn row(pixels: &TilePixels, y: usize) -> &[u8] {
    let px_bytes = pixels.format.bytes_per_px();
    let start = y * pixels.side as usize * px_bytes;
    &pixels.bytes[start..start + pixels.valid.width as usize * px_bytes]
}

/// Appends pixels as texels.
fn push_texels(format: TileFormat, pixels: &[u8], texels: &mut Vec<u8>) {
    match format {
        TileFormat::Gray8 | TileFormat::Gray16 => texels.extend_from_slice(pixels),
        TileFormat::Rgb8 => texels.extend(pixels.chunks_exact(3).flat_map(|rgb| [rgb[0], rgb[1], rgb[2], 255])),
    }
}

/// One side of a tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Left,
    Right,
    Top,
    Bottom,
}

impl Side {
    pub const ALL: [Self; 4] = [Self::Left, Self::Right, Self::Top, Self::Bottom];

    /// The side in a direction; `None` for a corner.
    pub fn towards(dx: i32, dy: i32) -> Option<Self> {
        match (dx, dy) {
            (-1, 0) => Some(Self::Left),
            (1, 0) => Some(Self::Right),
            (0, -1) => Some(Self::Top),
            (0, 1) => Some(Self::Bottom),
            _ => None,
        }
    }

    /// Where the gutter of a side lies in a layer, corners included.
    pub fn region(self, valid: Size) -> ((u32, u32), Size) {
        let column = Size::new(1, valid.height + 2);
        let row = Size::new(valid.width + 2, 1);
        match self {
            Self::Left => ((0, 0), column),
            Self::Right => ((valid.width + 1, 0), column),
            Self::Top => ((0, 0), row),
            Self::Bottom => ((0, valid.height + 1), row),
        }
    }

    /// Writes a strip into a layer that is being laid out.
    pub fn write_into(self, layer: &mut Rows, valid: Size, strip: &[u8]) {
        let ((x, y), size) = self.region(valid);
        if size.width == 1 {
            layer.write_column(x as usize, y as usize, strip);
        } else {
            layer.write(x as usize, y as usize, strip);
        }
    }
}

/// The outermost pixels of a tile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Edges {
    texel_bytes: usize,
    left: Box<[u8]>,
    right: Box<[u8]>,
    top: Box<[u8]>,
    bottom: Box<[u8]>,
}

impl Edges {
    /// The edges of a tile.
    pub fn of(pixels: &TilePixels) -> Self {
        let (format, px_bytes) = (pixels.format, pixels.format.bytes_per_px());
        let (width, height) = (pixels.valid.width as usize, pixels.valid.height as usize);
        let texel_bytes = texel_bytes(format);
        let line = |y: usize| {
            let mut texels = Vec::with_capacity(width * texel_bytes);
            push_texels(format, row(pixels, y), &mut texels);
            texels.into_boxed_slice()
        };
        let column = |x: usize| {
            let mut texels = Vec::with_capacity(height * texel_bytes);
            for y in 0..height {
                push_texels(format, &row(pixels, y)[x * px_bytes..(x + 1) * px_bytes], &mut texels);
            }
            texels.into_boxed_slice()
        };
        Self { texel_bytes, left: column(0), right: column(width - 1), top: line(0), bottom: line(height - 1) }
    }

    fn side(&self, side: Side) -> &[u8] {
        match side {
            Side::Left => &self.left,
            Side::Right => &self.right,
            Side::Top => &self.top,
            Side::Bottom => &self.bottom,
        }
    }

    /// The pixel at a corner.
    fn corner(&self, dx: i32, dy: i32) -> &[u8] {
        let row = if dy < 0 { &self.top } else { &self.bottom };
        if dx < 0 { &row[..self.texel_bytes] } else { &row[row.len() - self.texel_bytes..] }
    }
}

/// A tile's edges among those of the tiles around it.
pub(super) struct Neighbourhood<'a> {
    own: &'a Edges,
    /// Rows from above, columns from the left; the middle is unused.
    around: [[Option<&'a Edges>; 3]; 3],
}

impl<'a> Neighbourhood<'a> {
    pub fn new(own: &'a Edges, at: impl Fn(i32, i32) -> Option<&'a Edges>) -> Self {
        let same_layout = |edges: &&Edges| edges.texel_bytes == own.texel_bytes;
        let at = |dx: i32, dy: i32| if (dx, dy) == (0, 0) { None } else { at(dx, dy).filter(same_layout) };
        Self { own, around: [-1, 0, 1].map(|dy| [-1, 0, 1].map(|dx| at(dx, dy))) }
    }

    /// The gutter of a side, from corner to corner.
    pub fn strip(&self, side: Side, out: &mut Vec<u8>) {
        let (dx, dy, facing) = match side {
            Side::Left => (-1, 0, Side::Right),
            Side::Right => (1, 0, Side::Left),
            Side::Top => (0, -1, Side::Bottom),
            Side::Bottom => (0, 1, Side::Top),
        };
        let own = self.own.side(side);
        let middle = self.at(dx, dy).map(|edges| edges.side(facing)).and_then(|edge| edge.get(..own.len()));
        let (first, last) = if dx == 0 { ((-1, dy), (1, dy)) } else { ((dx, -1), (dx, 1)) };
        out.clear();
        out.extend_from_slice(self.corner(first.0, first.1));
        out.extend_from_slice(middle.unwrap_or(own));
        out.extend_from_slice(self.corner(last.0, last.1));
    }

    /// The pixel diagonally off a corner: the diagonal tile's; at the image's border, where there is none, that of the
    /// tile beside; else the tile's own.
    pub fn corner(&self, dx: i32, dy: i32) -> &'a [u8] {
        let diagonal = self.at(dx, dy).map(|edges| edges.corner(-dx, -dy));
        let beside = || self.at(dx, 0).map(|edges| edges.corner(-dx, dy));
        let above_or_below = || self.at(0, dy).map(|edges| edges.corner(dx, -dy));
        diagonal.or_else(beside).or_else(above_or_below).unwrap_or_else(|| self.own.corner(dx, dy))
    }

    fn at(&self, dx: i32, dy: i32) -> Option<&'a Edges> {
        self.around[(dy + 1) as usize][(dx + 1) as usize]
    }
}
