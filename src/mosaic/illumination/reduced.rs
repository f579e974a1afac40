//! Fields at a coarse level: what an estimate of the light looks at.

use crate::error::Result;
use crate::geom::Size;
use crate::pixels::TileFormat;
use crate::pyramid::{Cancel, Coverage, Made, PlaneId, Pyramid, TileKey};
use std::time::Duration;

/// A reduced plane has at least so many cells along its longer side, where the field has as many pixels.
///
/// Finer cells cost reads and bring little; with half as many the texture between two cells is three times the error.
pub const REDUCED_CELLS: u32 = 256;

/// Shares of the largest stored sample from which a cell may hold clipped pixels.
const CLIPPED_SHARE: f32 = 0.98;

/// How long to wait for another thread's unit before looking again.
const BUSY_WAIT: Duration = Duration::from_millis(50);

/// One plane of a field, reduced to cells that are the means of the pixels beneath them.
#[derive(Debug, Clone, PartialEq)]
pub struct Reduced {
    /// The field's size in pixels of level 0.
    pub field: Size,
    /// Pixels of level 0 a cell, x and y.
    pub cell_px: [f64; 2],
    /// Cells across and down: whole ones only.
    pub cells: Size,
    /// Stored samples, row by row.
    pub samples: Vec<f32>,
    /// Cells from this value on are left out: some of their pixels may be clipped.
    pub clipped: f32,
}

/// What brings reduced planes. Called from the threads of a pool.
pub trait ReducedFields: Sync {
    /// A field's plane of a channel; `None` where it is missing or damaged.
    fn reduced(&self, field: u32, channel: u16) -> Result<Option<Reduced>>;
}

/// The fields of a pyramid, at one focus position and time point.
#[derive(Clone, Copy)]
pub struct PyramidFields<'a> {
    /// The pyramid of fields.
    pub pyramid: &'a Pyramid,
    /// The focus position.
    pub z: u16,
    /// The time point.
    pub t: u16,
    /// Stops the decoding.
    pub cancel: &'a Cancel,
}

impl ReducedFields for PyramidFields<'_> {
    fn reduced(&self, field: u32, channel: u16) -> Result<Option<Reduced>> {
        let plane = PlaneId { field, channel, z: self.z, t: self.t };
        let Some(image) = self.pyramid.image(field).filter(|i| usize::from(channel) < i.channels.len()) else {
            return Ok(None);
        };
        let longer = |size: Size| size.width.max(size.height);
        let level = image.levels.iter().rposition(|l| longer(l.size) >= REDUCED_CELLS).unwrap_or(0);
        let (info, side) = (image.levels[level], image.tile_side);
        let tiles = image.tiles(level as u8);
        let mut samples = vec![0.0; info.size.area() as usize];
        for (y, x) in (0..tiles.height).flat_map(|y| (0..tiles.width).map(move |x| (y, x))) {
            let key = TileKey { plane, level: level as u8, x, y };
            let Some(bytes) = self.tile(key)? else { return Ok(None) };
            let rect = image.tile_rect(key);
            for row in 0..rect.height {
                let at = (rect.y + row) as usize * info.size.width as usize + rect.x as usize;
                let out = &mut samples[at..at + rect.width as usize];
                widen(image.channels[usize::from(channel)].format, &bytes, (row * side) as usize, out);
            }
        }
        let largest = match (
            image.channels[usize::from(channel)].format,
            image.channels[usize::from(channel)].significant_bits,
        ) {
            (TileFormat::Gray16, Some(bits @ 1..=15)) => ((1_u32 << bits) - 1) as f32,
            (TileFormat::Gray16, _) => f32::from(u16::MAX),
            (TileFormat::Gray8 | TileFormat::Rgb8, _) => f32::from(u8::MAX),
        };
        let plane = Reduced {
            field: image.size,
            cell_px: info.downsample,
            cells: info.size,
            samples,
            clipped: largest * CLIPPED_SHARE,
        };
        Ok(Some(plane.binned((longer(info.size) / REDUCED_CELLS).max(1))))
    }
}

impl PyramidFields<'_> {
    /// A whole tile's bytes, made where it is not there yet; `None` where a part of it cannot be read.
    fn tile(&self, key: TileKey) -> Result<Option<Vec<u8>>> {
        loop {
            match self.pyramid.fill(key, &|_| self.cancel.check(), self.cancel)? {
                Made::Ready => {
                    if let Some(tile) = self.pyramid.read(key)?.filter(|t| t.coverage == Coverage::FULL) {
                        return Ok(Some(tile.bytes));
                    }
                }
                Made::Incomplete => return Ok(None),
                Made::Busy | Made::NotYet => self.pyramid.wait_for_release(BUSY_WAIT),
            }
            self.cancel.check()?;
        }
    }
}

/// Pixels of a tile from `first` on, as numbers; of an RGB pixel the mean.
fn widen(format: TileFormat, bytes: &[u8], first: usize, out: &mut [f32]) {
    let px = format.bytes_per_px();
    let pixels = bytes[first * px..].chunks_exact(px);
    for (out, px) in out.iter_mut().zip(pixels) {
        *out = match format {
            TileFormat::Gray8 => f32::from(px[0]),
            TileFormat::Gray16 => f32::from(u16::from_ne_bytes([px[0], px[1]])),
            TileFormat::Rgb8 => px.iter().map(|&v| f32::from(v)).sum::<f32>() / 3.0,
        };
    }
}

impl Reduced {
    /// Squares of `side` cells become one. Cells that the field's edge cuts are dropped: they hold repeated pixels.
    fn binned(self, side: u32) -> Self {
        let whole = |field: u32, cell_px: f64, cells: u32| ((f64::from(field) / cell_px) as u32).min(cells) / side;
        let cells = Size::new(
            whole(self.field.width, self.cell_px[0], self.cells.width),
            whole(self.field.height, self.cell_px[1], self.cells.height),
        );
        let (stride, n) = (self.cells.width as usize, side as usize);
        let mean = |x: usize, y: usize| {
            let rows = (y * n..(y + 1) * n).map(|row| &self.samples[row * stride + x * n..][..n]);
            rows.flatten().sum::<f32>() / (n * n) as f32
        };
        let samples = (0..cells.height as usize).flat_map(|y| (0..cells.width as usize).map(move |x| (x, y)));
        Self {
            field: self.field,
            cell_px: self.cell_px.map(|px| px * f64::from(side)),
            cells,
            samples: samples.map(|(x, y)| mean(x, y)).collect(),
            clipped: self.clipped,
        }
    }

    /// The same plane, evened out.
    pub(super) fn evened(&self, light: &super::Illumination, channel: u16) -> Self {
        let mut plane = self.clone();
        if !self.cells.is_empty() {
            for (row, samples) in plane.samples.chunks_exact_mut(self.cells.width as usize).enumerate() {
                let y = (row as f64 + 0.5) * self.cell_px[1];
                light.correct(channel, self.field, self.cell_px[0] * 0.5, y, self.cell_px[0], samples);
            }
        }
        plane
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mosaic::fixtures::KnownFields;

    #[test]
    fn cells_are_means_and_those_cut_by_the_edge_are_dropped() {
        let plane = Reduced {
            field: Size::new(11, 8),
            cell_px: [2.0, 2.0],
            cells: Size::new(6, 4),
            samples: (0..24).map(|v| v as f32).collect(),
            clipped: 250.0,
        };
        let binned = plane.binned(2);
        assert_eq!(binned.cells, Size::new(2, 2));
        assert_eq!(binned.cell_px, [4.0, 4.0]);
        assert_eq!(binned.samples, [3.5, 5.5, 15.5, 17.5]);
    }

    #[test]
    fn pixels_of_every_format_become_numbers() {
        let mut out = [0.0; 2];
        widen(TileFormat::Gray8, &[9, 7, 5], 1, &mut out);
        assert_eq!(out, [7.0, 5.0]);
        let wide: Vec<u8> = [1_u16, 500, 60_000].iter().flat_map(|v| v.to_ne_bytes()).collect();
        widen(TileFormat::Gray16, &wide, 1, &mut out);
        assert_eq!(out, [500.0, 60_000.0]);
        widen(TileFormat::Rgb8, &[0, 0, 0, 3, 6, 9, 1, 1, 1], 1, &mut out);
        assert_eq!(out, [6.0, 1.0]);
    }

    #[test]
    fn the_fields_of_a_pyramid_are_reduced_to_the_means_of_their_pixels() {
        let folder = tempfile::tempdir().expect("a folder");
        let size = Size::new(1100, 521);
        let mut fields =
            KnownFields::new(&[size, size], TileFormat::Gray16, |f, x, y, _| (1000 * f + 2 * x + 4 * y) as u16);
        fields.damaged.push((1, 3, 2));
        let pyramid = fields.into_pyramid(folder.path());
        let cancel = Cancel::default();
        let fields = PyramidFields { pyramid: &pyramid, z: 0, t: 0, cancel: &cancel };
        let plane = fields.reduced(0, 0).expect("no error").expect("a plane");
        assert_eq!(plane.cells, Size::new(275, 130));
        assert_eq!(plane.cell_px, [4.0; 2]);
        for (x, y) in [(0, 0), (274, 129), (100, 50)] {
            let want = 2.0 * (4.0 * f64::from(x) + 1.5) + 4.0 * (4.0 * f64::from(y) + 1.5);
            let got = f64::from(plane.samples[(y * 275 + x) as usize]);
            assert!((got - want).abs() <= 1.0, "{x},{y}: {got} not {want}");
        }
        assert_eq!(fields.reduced(1, 0).expect("no error"), None, "a damaged field is no basis");
        assert_eq!(fields.reduced(0, 1).expect("no error"), None, "there is no such channel");
        cancel.cancel();
        assert!(fields.reduced(0, 0).is_ok_and(|p| p.is_some()), "what is in the store needs no decoding");
    }
}
