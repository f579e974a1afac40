//! The canvas as a picture, drawn off screen with all tiles sharp, in pieces that no device is too small for.

use super::canvas::{CanvasId, Frame};
use super::pipelines::SNAPSHOT_FORMAT;
use super::{TileRenderer, Upload, read_rgba};
use crate::error::{Error, Result};
use crate::geom::{PixelRect, Size};
use crate::pyramid::{Coverage, Gaps, ImageInfo, SetId, TileKey, TilePixels};
use crate::view::{Camera, DisplaySettings, Outline, Presence, Residency, Scene, SceneRequest, scene};
use std::sync::Arc;

/// A picture kept in memory is at most this large; larger ones are taken band by band.
pub const MAX_SNAPSHOT_BYTES: u64 = 1 << 30;
/// Pieces are at most this many pixels a side: 32 MiB of light.
const MAX_PIECE_SIDE: u32 = 2048;
/// Pieces are not made smaller than this to fit the cache.
const MIN_PIECE_SIDE: u32 = 64;
/// The canvas that snapshots use.
const SNAPSHOT_CANVAS: CanvasId = CanvasId(u32::MAX);

/// What to take a picture of.
#[derive(Clone, Copy)]
pub struct SnapshotRequest<'a> {
    /// The image set.
    pub set: SetId,
    /// The image.
    pub image: &'a ImageInfo,
    /// Its number in its set.
    pub field: u32,
    /// The focus position.
    pub z: u16,
    /// The time point.
    pub t: u16,
    /// Where we look.
    pub camera: &'a Camera,
    /// The picture's size, which is the camera's viewport.
    pub size: Size,
    /// How it is shown.
    pub display: &'a DisplaySettings,
    /// Where there is image at all; `None`: everywhere.
    pub outline: Option<&'a dyn Outline>,
}

/// A tile that a snapshot asked for.
#[derive(Debug, Clone)]
pub enum Fetched {
    /// Its pixels.
    Tile(Arc<TilePixels>),
    /// It cannot be read: it is hatched.
    Failed(TileKey),
}

/// Brings whole tiles, some at least of those that are asked for (provisional ones are passed over); an error ends the
/// snapshot.
pub type Fetch<'a> = dyn FnMut(&[TileKey]) -> Result<Vec<Fetched>> + 'a;

impl TileRenderer {
    /// Takes a picture whole: RGBA rows, opaque. Blocks until it is there, so it is not for the UI thread; a window's
    /// background work makes a renderer of its own from the same device.
    pub fn snapshot(&mut self, request: &SnapshotRequest<'_>, fetch: &mut Fetch<'_>) -> Result<Vec<u8>> {
        let bytes = request.size.area() * 4;
        if bytes > MAX_SNAPSHOT_BYTES {
            return Err(Error::graphics(format!(
                "a picture of {} x {} pixels is too large, ask for a smaller one",
                request.size.width, request.size.height
            )));
        }
        let mut picture = vec![0; bytes as usize];
        let pitch = request.size.width as usize * 4;
        self.snapshot_pieces(request, fetch, &mut |piece, rows| {
            let width = piece.width as usize * 4;
            for (row, from) in rows.chunks_exact(width).enumerate() {
                let start = (piece.y as usize + row) * pitch + piece.x as usize * 4;
                picture[start..start + width].copy_from_slice(from);
            }
            Ok(())
        })?;
        Ok(picture)
    }

    /// Takes a picture piece by piece, row by row from the top left: `sink` gets each piece's place and its RGBA rows.
    pub fn snapshot_pieces(
        &mut self,
        request: &SnapshotRequest<'_>,
        fetch: &mut Fetch<'_>,
        sink: &mut dyn FnMut(PixelRect, &[u8]) -> Result<()>,
    ) -> Result<()> {
        let outcome = self.take_pieces(request, fetch, sink);
        self.remove_canvas(SNAPSHOT_CANVAS);
        outcome
    }

    fn take_pieces(
        &mut self,
        request: &SnapshotRequest<'_>,
        fetch: &mut Fetch<'_>,
        sink: &mut dyn FnMut(PixelRect, &[u8]) -> Result<()>,
    ) -> Result<()> {
        let side = self.piece_side(request)?;
        for y in (0..request.size.height).step_by(side as usize) {
            for x in (0..request.size.width).step_by(side as usize) {
                let piece = PixelRect::new(x, y, side, side).intersect(request.size.rect());
                let scene = self.sharp_scene(request, piece, fetch)?;
                sink(piece, &self.draw_piece(request, &scene, piece)?)?;
            }
        }
        Ok(())
    }

    /// The largest piece whose tiles fit the cache at the level that the zoom asks for.
    fn piece_side(&self, request: &SnapshotRequest<'_>) -> Result<u32> {
        let mut side = MAX_PIECE_SIDE.min(self.device.limits().max_texture_dimension_2d);
        let fits = |side: u32| {
            (0..request.size.height).step_by(side as usize).all(|y| {
                (0..request.size.width).step_by(side as usize).all(|x| {
                    let scene = self.scene_of(request, PixelRect::new(x, y, side, side).intersect(request.size.rect()));
                    scene.wanted_level == scene.ideal_level
                })
            })
        };
        while !fits(side) {
            side /= 2;
            if side < MIN_PIECE_SIDE {
                return Err(no_room());
            }
        }
        Ok(side)
    }

    fn scene_of(&self, request: &SnapshotRequest<'_>, piece: PixelRect) -> Scene {
        scene(&SceneRequest {
            image: request.image,
            field: request.field,
            z: request.z,
            t: request.t,
            camera: request.camera,
            viewport: request.size,
            region: Some(piece),
            display: request.display,
            outline: request.outline,
            resident: &self.residency(request.set),
            cache_budget_bytes: self.cache_budget_bytes(),
            now_secs: 0.0,
            fade_secs: 0.0,
        })
    }

    /// Fetches what a piece lacks until nothing of the wanted level is missing.
    fn sharp_scene(&mut self, request: &SnapshotRequest<'_>, piece: PixelRect, fetch: &mut Fetch<'_>) -> Result<Scene> {
        self.cache.next_frame();
        loop {
            let scene = self.scene_of(request, piece);
            let frame = self.frame_of(request, &scene);
            self.claim(&frame);
            let wanted: Vec<TileKey> =
                scene.wishes.iter().filter(|key| key.level == scene.wanted_level).copied().collect();
            if wanted.is_empty() {
                return Ok(scene);
            }
            let mut came = 0;
            for fetched in fetch(&wanted)? {
                match fetched {
                    // Provisional, unless what it lacks is lost for good.
                    Fetched::Tile(pixels) if pixels.coverage != Coverage::FULL && pixels.gaps == Gaps::Coming => {
                        continue;
                    }
                    Fetched::Tile(pixels) => {
                        if self.upload(&pixels, 0.0) == Upload::NoRoom {
                            return Err(no_room());
                        }
                    }
                    Fetched::Failed(key) => self.mark_failed(request.set, key),
                }
                came += 1;
            }
            let residency = self.residency(request.set);
            if came == 0 || wanted.iter().all(|&key| residency.presence(key) == Presence::Absent) {
                return Err(Error::graphics("the tiles of a picture did not come, try again"));
            }
        }
    }

    fn frame_of<'a>(&self, request: &SnapshotRequest<'a>, scene: &'a Scene) -> Frame<'a> {
        Frame { set: request.set, scene, display: request.display, camera: request.camera, viewport: request.size }
    }

    /// Draws a piece and reads it back.
    fn draw_piece(&mut self, request: &SnapshotRequest<'_>, scene: &Scene, piece: PixelRect) -> Result<Vec<u8>> {
        let extent = wgpu::Extent3d { width: piece.width, height: piece.height, depth_or_array_layers: 1 };
        let picture = self.device.create_texture(&wgpu::TextureDescriptor {
            label: Some("snapshot"),
            size: extent,
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format: SNAPSHOT_FORMAT,
            usage: wgpu::TextureUsages::RENDER_ATTACHMENT | wgpu::TextureUsages::COPY_SRC,
            view_formats: &[],
        });
        let view = picture.create_view(&wgpu::TextureViewDescriptor::default());
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let frame = self.frame_of(request, scene);
        self.draw(&mut encoder, SNAPSHOT_CANVAS, &frame, piece);
        {
            let mut pass = encoder.begin_render_pass(&wgpu::RenderPassDescriptor {
                label: Some("snapshot"),
                color_attachments: &[Some(wgpu::RenderPassColorAttachment {
                    view: &view,
                    depth_slice: None,
                    resolve_target: None,
                    ops: wgpu::Operations {
                        load: wgpu::LoadOp::Clear(wgpu::Color::BLACK),
                        store: wgpu::StoreOp::Store,
                    },
                })],
                depth_stencil_attachment: None,
                timestamp_writes: None,
                occlusion_query_set: None,
                multiview_mask: None,
            });
            if let Some(canvas) = self.canvases.get(&SNAPSHOT_CANVAS) {
                canvas.resolve(&mut pass, &self.pipelines.resolve_snapshot);
            }
        }
        self.queue.submit([encoder.finish()]);
        read_rgba(&self.device, &self.queue, &picture)
    }
}

fn no_room() -> Error {
    Error::graphics("the graphics cache has no room for the tiles of a picture, give it more")
}
