//! Rendered pictures: the canvas as the window would show it, off screen, written piece by piece.

use super::outlines::Outlines;
use super::{Patch, ScaleBarPatch};
use crate::engine::{FrozenMosaic, OpenSet};
use crate::error::{Error, Result};
use crate::export::{PixelLayout, PngWriter, TiffPage, TileCompression, write_rgb_tiff};
use crate::geom::{PixelRect, Point, Rect, Size};
use crate::mosaic::{Fuser, MOSAIC};
use crate::pixels::TileFormat;
use crate::pyramid::{Cancel, Loaded, TileKey};
use crate::render::{Fetched, RenderLimits, SnapshotRequest, TileRenderer};
use crate::session::OpenImage;
use crate::store::Destination;
use crate::view::{Camera, DisplaySettings, GeometryOutline, Outline};
use std::sync::Arc;

/// GPU memory for the tiles of a picture: a piece of 2048 x 2048 pixels of four 16-bit channels takes a quarter.
const CACHE_BYTES: u64 = 128 << 20;

/// Tiles brought at once, so that the heap holds few of them.
const TILES_AT_ONCE: usize = 16;

/// Pictures are at most this many pixels a side.
const MAX_SIDE: u32 = 1_000_000;

/// Micrometres an inch.
const UM_PER_INCH: f64 = 25_400.0;

/// A tile of a written TIFF.
const TIFF_TILE_SIDE: u32 = 256;

/// An image as a window shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct ShownImage {
    /// Its number in its set.
    pub field: u32,
    /// The focus position.
    pub z: u16,
    /// The time point.
    pub t: u16,
    /// Micrometres a level-0 pixel, x and y.
    pub um_per_px: Option<[f64; 2]>,
    /// Its colours and ranges, what is around it, how it is magnified.
    pub display: DisplaySettings,
}

impl ShownImage {
    /// An open image with some settings for its channels.
    pub fn new(image: &OpenImage, display: DisplaySettings) -> Self {
        Self { field: image.id.field, z: image.z, t: image.t, um_per_px: image.um_per_px, display }
    }
}

/// What is painted.
pub struct PaintedPicture<'a> {
    set: &'a OpenSet,
    shown: &'a ShownImage,
    /// Of a mosaic: how it stood when this was begun, and what puts its fields together.
    frozen: Option<(FrozenMosaic, Fuser<'a>)>,
    camera: Camera,
    /// How far the frame moved since the picture was planned, in pixels.
    moved: Point,
    size: Size,
    scale_bar: Option<Patch>,
    outlines: Option<Outlines>,
    /// Dots an inch that are noted in the file.
    dpi: Option<f64>,
    cancel: Cancel,
}

impl<'a> PaintedPicture<'a> {
    /// The view of a camera.
    pub fn new(set: &'a OpenSet, shown: &'a ShownImage, camera: Camera, size: Size) -> Result<Self> {
        if size.width > MAX_SIDE || size.height > MAX_SIDE {
            let Size { width, height } = size;
            let what = format!("a picture of {width} x {height} pixels is too large, choose a smaller scale");
            return Err(Error::too_large(what, &set.opened.path));
        }
        let cancel = Cancel::default();
        let frozen = set.frozen().filter(|_| shown.field == MOSAIC).map(|mosaic| {
            let fuser = mosaic.fuser(&set.pyramid);
            (mosaic, fuser)
        });
        let moved = Point::default();
        Ok(Self { set, shown, frozen, camera, moved, size, scale_bar: None, outlines: None, dpi: None, cancel })
    }

    /// The same picture, whose painting can be stopped.
    pub fn cancelled_by(self, cancel: &Cancel) -> Self {
        Self { cancel: cancel.clone(), ..self }
    }

    /// The same picture, whose camera and outlines are those of a frame at `origin` (layout coordinates), of a mosaic.
    pub fn planned_at(mut self, origin: Point) -> Self {
        if let Some((mosaic, _)) = &self.frozen {
            self.moved = mosaic.moved_since(origin);
            self.camera.center = self.camera.center + self.moved;
        }
        self
    }

    /// A region of the full resolution, `scale` output pixels a pixel.
    pub fn of_region(
        set: &'a OpenSet,
        shown: &'a ShownImage,
        pixel_aspect: f64,
        region: Rect,
        scale: f64,
    ) -> Result<Self> {
        let side = |length: f64| (length * scale).round().clamp(1.0, f64::from(u32::MAX)) as u32;
        let (width, height) = (side(region.width()), side(region.height() * pixel_aspect));
        let camera = Camera { center: region.center(), zoom: scale, rotation_rad: 0.0, flipped: false, pixel_aspect };
        Self::new(set, shown, camera, Size::new(width, height))
    }

    /// Notes dots an inch in the file.
    pub fn set_dpi(&mut self, dpi: f64) {
        self.dpi = Some(dpi);
    }

    /// Micrometres of tissue a picture pixel where they are known; of paper where dots an inch were asked for.
    fn noted_um_per_px(&self) -> Option<[f64; 2]> {
        match self.dpi {
            Some(dpi) => Some([UM_PER_INCH / dpi; 2]),
            None => self.shown.um_per_px.map(|[x, _]| [x / self.camera.zoom; 2]),
        }
    }

    /// Lays a scale bar over its bottom left, for a screen of so many picture pixels a point.
    pub fn add_scale_bar(&mut self, pixels_per_point: f32) -> Result<()> {
        let bar = ScaleBarPatch {
            picture: self.size,
            background: self.shown.display.background,
            um_per_px: self.shown.um_per_px.map(|um| um[0]),
            zoom: self.camera.zoom,
            pixels_per_point,
        };
        self.scale_bar = Some(bar.paint()?);
        Ok(())
    }

    /// Draws the outlines of rectangles (level-0 pixels) over it, for a screen of so many picture pixels a point.
    pub fn add_outlines(&mut self, rects: &[Rect], pixels_per_point: f32) {
        let map = self.camera.screen_from_image(self.size);
        let rects: Vec<Rect> = rects.iter().map(|r| Rect::new(r.min + self.moved, r.max + self.moved)).collect();
        self.outlines = Some(Outlines::new(&rects, &map, self.shown.display.background, pixels_per_point));
    }

    /// Paints it; `sink` gets each piece's place and its RGBA rows, row of pieces by row of pieces.
    pub fn paint(&self, sink: &mut dyn FnMut(PixelRect, &[u8]) -> Result<()>) -> Result<()> {
        let limits = RenderLimits { cache_bytes: CACHE_BYTES, ..RenderLimits::default() };
        let mut renderer = TileRenderer::headless(limits)?;
        let mosaic = self.frozen.as_ref().map(|(mosaic, _)| &mosaic.state);
        let image = mosaic
            .map(|state| state.info.as_ref().clone())
            .or_else(|| self.set.image(self.shown.field))
            .ok_or_else(|| Error::unsupported("there is no such image", &self.set.opened.path))?;
        let outline = mosaic.map(|state| GeometryOutline::new(state.geometry.clone()));
        let request = SnapshotRequest {
            set: self.set.opened.id,
            image: &image,
            field: self.shown.field,
            z: self.shown.z,
            t: self.shown.t,
            camera: &self.camera,
            size: self.size,
            display: &self.shown.display,
            outline: outline.as_ref().map(|outline| outline as &dyn Outline),
        };
        let under = |patch: &&Patch, piece| !patch.place().intersect(piece).is_empty();
        renderer.snapshot_pieces(&request, &mut |keys| self.fetch(keys), &mut |piece, rgba| {
            let patch = self.scale_bar.as_ref().filter(|patch| under(patch, piece));
            if patch.is_none() && self.outlines.is_none() {
                return sink(piece, rgba);
            }
            let mut rgba = rgba.to_vec();
            if let Some(outlines) = &self.outlines {
                outlines.lay_over(piece, &mut rgba);
            }
            if let Some(patch) = patch {
                patch.lay_over(piece, &mut rgba);
            }
            sink(piece, &rgba)
        })
    }

    fn fetch(&self, keys: &[TileKey]) -> Result<Vec<Fetched>> {
        let mut fetched = Vec::new();
        let fuser = self.frozen.as_ref().map(|(_, fuser)| fuser);
        for &key in keys.iter().take(TILES_AT_ONCE) {
            self.cancel.check()?;
            fetched.push(match self.set.bring_with(fuser, key, &self.cancel)? {
                Loaded::Tile(tile) => Fetched::Tile(Arc::new(tile)),
                Loaded::Failed(_) | Loaded::Later(_) => Fetched::Failed(key),
            });
        }
        Ok(fetched)
    }
}

/// Writes the picture as PNG.
pub fn write_png(picture: &PaintedPicture<'_>, to: Destination<'_>, progress: &dyn Fn(u64, u64)) -> Result<()> {
    let mut writer = PngWriter::create(to, picture.size, picture.dpi)?;
    in_rows(picture, progress, &mut |rows| writer.write_rows(rows))?;
    writer.finish()
}

/// Writes the picture as JPEG of a quality from 1 to 100.
pub fn write_jpeg(
    picture: &PaintedPicture<'_>,
    to: Destination<'_>,
    quality: u8,
    progress: &dyn Fn(u64, u64),
) -> Result<()> {
    crate::export::write_jpeg(to, picture.size, quality, picture.dpi, &mut |sink| in_rows(picture, progress, sink))
}

/// Paints whole rows of RGB. Bands of pieces are gathered in mapped scratch, because rows run from edge to edge.
fn in_rows(
    picture: &PaintedPicture<'_>,
    progress: &dyn Fn(u64, u64),
    sink: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let Size { width, height } = picture.size;
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
        progress(u64::from(piece.bottom()) * u64::from(piece.right()), u64::from(width) * u64::from(height));
        if piece.right() == width {
            sink(&scratch[..row_bytes * piece.height as usize])?;
        }
        Ok(())
    })
}

/// Writes the picture as a tiled RGB TIFF.
pub fn write_tiff(
    picture: &PaintedPicture<'_>,
    to: Destination<'_>,
    compression: TileCompression,
    progress: &dyn Fn(u64, u64),
) -> Result<()> {
    let layout = PixelLayout::of(TileFormat::Rgb8);
    let page = TiffPage {
        size: picture.size,
        tile_side: TIFF_TILE_SIDE,
        layout,
        compression,
        um_per_px: picture.noted_um_per_px(),
        description: None,
    };
    let row_bytes = u64::from(picture.size.width) * layout.bytes_per_px() as u64;
    let mut tile_row = picture.set.pyramid.store().scratch(row_bytes * u64::from(TIFF_TILE_SIDE))?;
    write_rgb_tiff(to, &page, &mut tile_row, &mut |sink| in_rows(picture, progress, sink))
}
