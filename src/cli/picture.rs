//! Rendered pictures: the canvas as the window would show it, off screen, written piece by piece.

use super::progress::Progress;
use super::shown::Shown;
use crate::app::{Patch, ScaleBarPatch};
use crate::engine::OpenSet;
use crate::error::{Error, Result};
use crate::export::{PixelLayout, PngWriter, TiffPage, TileCompression, TileEncoder, TiledTiffWriter};
use crate::geom::{PixelRect, Rect, Size};
use crate::pixels::TileFormat;
use crate::pyramid::{Cancel, Loaded, Made, TileKey};
use crate::render::{Fetched, RenderLimits, SnapshotRequest, TileRenderer};
use crate::view::Camera;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// GPU memory for the tiles of a picture: a piece of 2048 x 2048 pixels of four 16-bit channels takes a quarter.
const CACHE_BYTES: u64 = 128 << 20;

/// Tiles brought at once, so that the heap holds few of them.
const TILES_AT_ONCE: usize = 16;

/// Pictures are at most this many pixels a side.
const MAX_SIDE: f64 = 1_000_000.0;

/// How long to wait for a part that another thread decodes.
const BUSY_WAIT: Duration = Duration::from_millis(20);

/// A tile of a written TIFF.
const TIFF_TILE_SIDE: u32 = 256;

/// What is painted.
pub struct Picture<'a> {
    set: &'a OpenSet,
    shown: &'a Shown,
    camera: Camera,
    size: Size,
    scale_bar: Option<Patch>,
}

impl<'a> Picture<'a> {
    /// The view of a camera.
    pub fn new(set: &'a OpenSet, shown: &'a Shown, camera: Camera, size: Size) -> Self {
        Self { set, shown, camera, size, scale_bar: None }
    }

    /// A region of the full resolution, `scale` output pixels a pixel.
    pub fn of_region(set: &'a OpenSet, shown: &'a Shown, region: Rect, scale: f64) -> Result<Self> {
        let pixel_aspect = shown.image.camera.pixel_aspect;
        let side = |length: f64| (length * scale).round().max(1.0);
        let (width, height) = (side(region.width()), side(region.height() * pixel_aspect));
        if width > MAX_SIDE || height > MAX_SIDE {
            let what = format!("a picture of {width} x {height} pixels is too large, choose a smaller scale");
            return Err(Error::too_large(what, &set.opened.path));
        }
        let camera = Camera { center: region.center(), zoom: scale, rotation_rad: 0.0, flipped: false, pixel_aspect };
        Ok(Self::new(set, shown, camera, Size::new(width as u32, height as u32)))
    }

    /// Lays a scale bar over its bottom left, for a screen of so many picture pixels a point.
    pub fn add_scale_bar(&mut self, pixels_per_point: f32) -> Result<()> {
        let bar = ScaleBarPatch {
            picture: self.size,
            background: self.shown.display.background,
            um_per_px: self.shown.image.um_per_px.map(|um| um[0]),
            zoom: self.camera.zoom,
            pixels_per_point,
        };
        self.scale_bar = Some(bar.paint()?);
        Ok(())
    }

    /// Paints it; `sink` gets each piece's place and its RGBA rows, row of pieces by row of pieces.
    fn paint(&self, sink: &mut dyn FnMut(PixelRect, &[u8]) -> Result<()>) -> Result<()> {
        let limits = RenderLimits { cache_bytes: CACHE_BYTES, ..RenderLimits::default() };
        let mut renderer = TileRenderer::headless(limits)?;
        let image = &self.shown.image;
        let request = SnapshotRequest {
            set: self.set.opened.id,
            image: image.info(),
            field: image.id.field,
            z: image.z,
            t: image.t,
            camera: &self.camera,
            size: self.size,
            display: &self.shown.display,
        };
        let under = |patch: &&Patch, piece| !patch.place().intersect(piece).is_empty();
        renderer.snapshot_pieces(&request, &mut |keys| self.fetch(keys), &mut |piece, rgba| {
            let Some(patch) = self.scale_bar.as_ref().filter(|patch| under(patch, piece)) else {
                return sink(piece, rgba);
            };
            let mut rgba = rgba.to_vec();
            patch.lay_over(piece, &mut rgba);
            sink(piece, &rgba)
        })
    }

    fn fetch(&self, keys: &[TileKey]) -> Result<Vec<Fetched>> {
        let cancel = Cancel::default();
        let pyramid = &self.set.pyramid;
        let mut fetched = Vec::new();
        for &key in keys.iter().take(TILES_AT_ONCE) {
            fetched.push(loop {
                match pyramid.fill(key, &|_| Ok(()), &cancel)? {
                    Made::Ready => {
                        if let Some(tile) = pyramid.read(key)? {
                            break Fetched::Tile(Arc::new(tile));
                        }
                    }
                    Made::Incomplete => match pyramid.load(key, &cancel)? {
                        Loaded::Tile(tile) => break Fetched::Tile(Arc::new(tile)),
                        Loaded::Failed(_) | Loaded::Later(_) => break Fetched::Failed(key),
                    },
                    Made::Busy | Made::NotYet => pyramid.wait_for_release(BUSY_WAIT),
                }
            });
        }
        Ok(fetched)
    }
}

/// Writes the picture as PNG. Bands of pieces are gathered in mapped scratch, because a PNG's rows run from edge to edge.
pub fn write_png(picture: &Picture<'_>, output: &Path, progress: &Progress) -> Result<()> {
    let Size { width, height } = picture.size;
    let mut writer = PngWriter::create(output, picture.size)?;
    let mut band: Option<(u32, crate::store::Scratch)> = None;
    let row_bytes = width as usize * 3;
    picture.paint(&mut |piece, rgba| {
        let scratch = match &mut band {
            Some((top, scratch)) if *top == piece.y => scratch,
            _ => {
                let bytes = row_bytes as u64 * u64::from(piece.height);
                &mut band.insert((piece.y, picture.set.pyramid.store().scratch(bytes)?)).1
            }
        };
        for (row, from) in rgba.chunks_exact(piece.width as usize * 4).enumerate() {
            let at = row * row_bytes + piece.x as usize * 3;
            let to = &mut scratch[at..at + piece.width as usize * 3];
            to.chunks_exact_mut(3).zip(from.chunks_exact(4)).for_each(|(to, from)| to.copy_from_slice(&from[..3]));
        }
        progress.set(u64::from(piece.bottom()) * u64::from(piece.right()), u64::from(width) * u64::from(height));
        if piece.right() == width {
            writer.write_rows(&scratch[..row_bytes * piece.height as usize])?;
        }
        Ok(())
    })?;
    writer.finish()
}

/// Writes the picture as a tiled RGB TIFF.
pub fn write_tiff(
    picture: &Picture<'_>,
    output: &Path,
    compression: TileCompression,
    progress: &Progress,
) -> Result<()> {
    let Size { width, height } = picture.size;
    let layout = PixelLayout::of(TileFormat::Rgb8);
    let side = TIFF_TILE_SIDE;
    let mut writer = TiledTiffWriter::create(output)?;
    let um_per_px = picture.shown.image.um_per_px.map(|[x, _]| [x / picture.camera.zoom; 2]);
    let page = writer.add_page(TiffPage {
        size: picture.size,
        tile_side: side,
        layout,
        compression,
        um_per_px,
        description: None,
    });
    let mut encoder = TileEncoder::new(compression, layout, side, output)?;
    let mut tile = vec![0; layout.tile_bytes(side)];
    picture.paint(&mut |piece, rgba| {
        // Pieces are powers of two of at least a tile a side, so tiles never lie across them.
        for (ty, tx) in
            (0..piece.height.div_ceil(side)).flat_map(|y| (0..piece.width.div_ceil(side)).map(move |x| (y, x)))
        {
            tile.fill(0);
            let part = PixelRect::new(tx * side, ty * side, side, side).intersect(piece.size().rect());
            for y in 0..part.height {
                let from = ((part.y + y) * piece.width + part.x) as usize * 4;
                let from = &rgba[from..from + part.width as usize * 4];
                let to = (y * side) as usize * 3;
                let to = &mut tile[to..to + part.width as usize * 3];
                to.chunks_exact_mut(3).zip(from.chunks_exact(4)).for_each(|(to, from)| to.copy_from_slice(&from[..3]));
            }
            let packed = encoder.encode(&tile, output)?;
            writer.write_tile(page, piece.x / side + tx, piece.y / side + ty, &packed)?;
        }
        progress.set(u64::from(piece.bottom()) * u64::from(piece.right()), u64::from(width) * u64::from(height));
        Ok(())
    })?;
    writer.finish()
}
