//! Synthetic images on a GPU, and what the tests share.

pub use crate::cpu::{Difference, Picture, Samples, Synthetic, compare, noise, place};

use microtome::geom::{Point, Size};
use microtome::pixels::{PixelType, TileFormat};
use microtome::pyramid::{
    Calibration, ChannelInfo, ChannelRole, Coverage, Gaps, ImageInfo, PlaneId, SetId, TileKey, TilePixels, level_plan,
};
use microtome::render::{
    CanvasId, Fetched, Frame, RenderLimits, SnapshotRequest, Stroke, StrokesId, TileRenderer, Upload,
};
use microtome::view::{Camera, DisplaySettings, Scene, SceneRequest, scene};
use std::sync::Arc;

pub const SET: SetId = SetId(3);

/// A device and a renderer on it.
pub struct Gpu {
    pub device: wgpu::Device,
    pub queue: wgpu::Queue,
    pub renderer: TileRenderer,
}

pub const TARGET: wgpu::TextureFormat = wgpu::TextureFormat::Rgba8Unorm;

/// A renderer, or `None` and a loud word where there is no adapter.
pub fn gpu(limits: RenderLimits) -> Option<Gpu> {
    gpu_for(TARGET, limits)
}

pub fn gpu_for(target: wgpu::TextureFormat, limits: RenderLimits) -> Option<Gpu> {
    match microtome::render::headless() {
        Ok((device, queue)) => {
            let renderer = TileRenderer::new(device.clone(), queue.clone(), target, limits);
            Some(Gpu { device, queue, renderer })
        }
        Err(error) => {
            eprintln!("SKIPPED: no GPU adapter ({error})");
            None
        }
    }
}

impl Synthetic {
    pub fn new(native: &[Size], side: u32, formats: &[TileFormat], samples: Samples) -> Self {
        let channel = |(index, &format): (usize, &TileFormat)| ChannelInfo {
            name: format!("Channel {index}"),
            color: None,
            format,
            role: ChannelRole::Intensity,
            significant_bits: None,
        };
        let info = ImageInfo {
            name: "synthetic".into(),
            size: native[0],
            pixel_type: PixelType::U16,
            channels: formats.iter().enumerate().map(channel).collect(),
            z_count: 1,
            t_count: 1,
            um_per_px: None,
            calibration: Calibration::Unknown,
            objective: None,
            tile_side: side,
            levels: level_plan(native, side),
        };
        Self { info, samples }
    }

    /// One channel of 16-bit noise.
    pub fn noise16(size: Size, side: u32) -> Self {
        Self::new(&[size], side, &[TileFormat::Gray16], noise(TileFormat::Gray16))
    }

    pub fn display(&self) -> DisplaySettings {
        DisplaySettings::of(&self.info)
    }

    pub fn tile(&self, key: TileKey) -> TilePixels {
        let rect = self.info.tile_rect(key);
        let format = self.info.channels[key.plane.channel as usize].format;
        let side = self.info.tile_side;
        let mut bytes = vec![0; format.tile_bytes(side)];
        for y in 0..rect.height {
            for x in 0..rect.width {
                let at = (y * side + x) as usize * format.bytes_per_px();
                let value = |component| (self.samples)(key.plane.channel, key.level, rect.x + x, rect.y + y, component);
                match format {
                    TileFormat::Gray8 => bytes[at] = value(0) as u8,
                    TileFormat::Gray16 => bytes[at..at + 2].copy_from_slice(&value(0).to_ne_bytes()),
                    TileFormat::Rgb8 => {
                        for component in 0..3 {
                            bytes[at + component as usize] = value(component) as u8;
                        }
                    }
                }
            }
        }
        TilePixels {
            set: SET,
            key,
            format,
            side,
            valid: rect.size(),
            coverage: Coverage::FULL,
            gaps: Gaps::Coming,
            generation: 0,
            bytes,
        }
    }

    /// Every tile of a level of a channel.
    pub fn keys(&self, channel: u16, level: u8) -> Vec<TileKey> {
        let tiles = self.info.tiles(level);
        let plane = PlaneId { channel, ..PlaneId::default() };
        let rows = 0..tiles.height;
        rows.flat_map(|y| (0..tiles.width).map(move |x| TileKey { plane, level, x, y })).collect()
    }

    pub fn fetch(&self, keys: &[TileKey]) -> microtome::error::Result<Vec<Fetched>> {
        Ok(keys.iter().map(|&key| Fetched::Tile(Arc::new(self.tile(key)))).collect())
    }

    pub fn request<'a>(&'a self, camera: &'a Camera, display: &'a DisplaySettings, size: Size) -> SnapshotRequest<'a> {
        SnapshotRequest { set: SET, image: &self.info, field: 0, z: 0, t: 0, camera, size, display, outline: None }
    }

    pub fn snapshot(&self, gpu: &mut Gpu, camera: &Camera, display: &DisplaySettings, size: Size) -> Picture {
        let rgba = gpu
            .renderer
            .snapshot(&self.request(camera, display, size), &mut |keys| self.fetch(keys))
            .expect("a snapshot");
        Picture { size, rgba }
    }

    /// The scene for what is resident now.
    pub fn scene(&self, gpu: &Gpu, camera: &Camera, display: &DisplaySettings, size: Size, now_secs: f64) -> Scene {
        scene(&SceneRequest {
            image: &self.info,
            field: 0,
            z: 0,
            t: 0,
            camera,
            viewport: size,
            region: None,
            display,
            outline: None,
            resident: &gpu.renderer.residency(SET),
            cache_budget_bytes: gpu.renderer.cache_budget_bytes(),
            now_secs,
            fade_secs: microtome::view::FADE_SECS,
        })
    }

    /// What a window shows of what is resident now.
    pub fn window(&self, gpu: &mut Gpu, camera: &Camera, display: &DisplaySettings, size: Size, now: f64) -> Picture {
        let scene = self.scene(gpu, camera, display, size, now);
        gpu.paint(TARGET, &Frame { set: SET, scene: &scene, display, camera, viewport: size })
    }

    pub fn upload(&self, gpu: &mut Gpu, key: TileKey) {
        assert!(matches!(gpu.renderer.upload(&self.tile(key), -10.0), Upload::Done { .. }));
    }
}

impl Gpu {
    /// Prepares a frame and paints it the way a window does, into a target of the renderer's format.
    pub fn paint(&mut self, format: wgpu::TextureFormat, frame: &Frame<'_>) -> Picture {
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        self.renderer.prepare(&mut encoder, CanvasId(0), frame);
        // Red shows where nothing is painted.
        self.painted(encoder, format, frame.viewport, wgpu::Color::RED, |renderer, pass| {
            renderer.paint(pass, CanvasId(0))
        })
    }

    /// Paints strokes over black.
    pub fn paint_strokes(&mut self, size: Size, strokes: &[Stroke]) -> Picture {
        let encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        self.renderer.set_strokes(StrokesId(0), size, strokes);
        self.painted(encoder, TARGET, size, wgpu::Color::BLACK, |renderer, pass| {
            renderer.paint_strokes(pass, StrokesId(0))
        })
    }

    /// What a pass over a target of one colour comes to.
    fn painted(
        &mut self,
        mut encoder: wgpu::CommandEncoder,
        format: wgpu::TextureFormat,
        size: Size,
        ground: wgpu::Color,
        draw: impl FnOnce(&TileRenderer, &mut wgpu::RenderPass<'_>),
    ) -> Picture {
        let extent = wgpu::Extent3d { width: size.width, height: size.height, depth_or_array_layers: 1 };
        let target = self.device.create_texture(&wgpu::TextureDescriptor {
            label: None,
            size: extent,
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format,
            usage: wgpu::TextureUsages::RENDER_ATTACHMENT | wgpu::TextureUsages::COPY_SRC,
            view_formats: &[],
        });
        let pitch = (size.width * 4).next_multiple_of(256);
        let buffer = self.device.create_buffer(&wgpu::BufferDescriptor {
            label: None,
            size: u64::from(pitch) * u64::from(size.height),
            usage: wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ,
            mapped_at_creation: false,
        });
        {
            let view = target.create_view(&wgpu::TextureViewDescriptor::default());
            let mut pass = encoder.begin_render_pass(&wgpu::RenderPassDescriptor {
                color_attachments: &[Some(wgpu::RenderPassColorAttachment {
                    view: &view,
                    depth_slice: None,
                    resolve_target: None,
                    ops: wgpu::Operations { load: wgpu::LoadOp::Clear(ground), store: wgpu::StoreOp::Store },
                })],
                ..Default::default()
            });
            draw(&self.renderer, &mut pass);
        }
        let layout =
            wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row: Some(pitch), rows_per_image: Some(size.height) };
        encoder.copy_texture_to_buffer(
            target.as_image_copy(),
            wgpu::TexelCopyBufferInfo { buffer: &buffer, layout },
            extent,
        );
        self.queue.submit([encoder.finish()]);
        buffer.map_async(wgpu::MapMode::Read, .., |outcome| outcome.expect("mapped"));
        self.device.poll(wgpu::PollType::wait_indefinitely()).expect("the GPU finishes");
        let mapped = buffer.get_mapped_range(..).expect("mapped");
        let row = size.width as usize * 4;
        let rgba = mapped.chunks_exact(pitch as usize).flat_map(|r| &r[..row]).copied().collect();
        Picture { size, rgba }
    }
}

/// A camera that is neither mirrored nor stretched.
pub fn camera(center: Point, zoom: f64, degrees: f64) -> Camera {
    Camera { center, zoom, rotation_rad: degrees.to_radians(), flipped: false, pixel_aspect: 1.0 }
}
