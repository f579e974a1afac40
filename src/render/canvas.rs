//! One place where a scene is drawn: the light it accumulates, and what was drawn last.

use super::cache::TileCache;
use super::light::LightPage;
use super::pipelines::{LIGHT_FORMAT, Pipelines, QuadInstance, ResolveUniform, ViewUniform};
use crate::geom::{PixelRect, Point, Size};
use crate::pixels::TileFormat;
use crate::pyramid::SetId;
use crate::view::{Camera, ChannelDisplay, DisplaySettings, Quad, QuadKind, Scene};

/// Which canvas: the window may show several, and a snapshot has one of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CanvasId(pub u32);

/// The bytes of one instance buffer at first; it doubles as scenes need more.
const FIRST_INSTANCES: usize = 1024;
/// A display range narrower than this, in stored values, counts as this wide: a step.
const MIN_RANGE: f32 = 1e-6;
/// How much larger than its rectangle a quad is rasterised, in screen pixels; the shader keeps what it owns.
const MARGIN_SCREEN_PX: f64 = 1.0;

/// What a canvas shows.
#[derive(Clone, Copy)]
pub struct Frame<'a> {
    /// The image set that the scene's tiles belong to.
    pub set: SetId,
    /// What to draw.
    pub scene: &'a Scene,
    /// How it is shown.
    pub display: &'a DisplaySettings,
    /// Where we look.
    pub camera: &'a Camera,
    /// The viewport in physical pixels.
    pub viewport: Size,
}

/// What a canvas draws with.
#[derive(Clone, Copy)]
pub(super) struct Gpu<'a> {
    pub device: &'a wgpu::Device,
    pub queue: &'a wgpu::Queue,
    pub pipelines: &'a Pipelines,
    pub cache: &'a TileCache,
    /// How the fields of the set that is drawn are lit.
    pub light: &'a LightPage,
}

/// Quads that are drawn with one pipeline and page.
struct Batch {
    kind: QuadKind,
    format: TileFormat,
    page: Option<u32>,
    instances: std::ops::Range<u32>,
}

/// A quad with what decides when it is drawn: light channel by channel, so that sums come out the same whatever page a tile
/// is on, then patterns, then alpha.
struct Draw {
    order: (u8, u16, u32, u32),
    kind: QuadKind,
    format: TileFormat,
    instance: QuadInstance,
}

pub(super) struct Canvas {
    size: Size,
    light_view: wgpu::TextureView,
    view_buffer: wgpu::Buffer,
    view_group: wgpu::BindGroup,
    /// The page of light in the group.
    lit_by: u64,
    resolve_buffer: wgpu::Buffer,
    resolve_group: wgpu::BindGroup,
    instance_buffer: wgpu::Buffer,
    view: Option<ViewUniform>,
    resolve: Option<ResolveUniform>,
    draws: Vec<Draw>,
    instances: Vec<QuadInstance>,
    drawn_instances: Vec<QuadInstance>,
    batches: Vec<Batch>,
    /// The newest write among the tiles that are to be drawn, and among those that were.
    newest: u64,
    drawn_newest: u64,
}

impl Canvas {
    pub fn new(device: &wgpu::Device, pipelines: &Pipelines, light_page: &LightPage, size: Size) -> Self {
        let uniform = |label: &str, bytes: usize| {
            device.create_buffer(&wgpu::BufferDescriptor {
                label: Some(label),
                size: bytes as u64,
                usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            })
        };
        let light = device.create_texture(&wgpu::TextureDescriptor {
            label: Some("light"),
            size: wgpu::Extent3d { width: size.width, height: size.height, depth_or_array_layers: 1 },
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format: LIGHT_FORMAT,
            usage: wgpu::TextureUsages::RENDER_ATTACHMENT | wgpu::TextureUsages::TEXTURE_BINDING,
            view_formats: &[],
        });
        let light_view = light.create_view(&wgpu::TextureViewDescriptor::default());
        let view_buffer = uniform("view", size_of::<ViewUniform>());
        let resolve_buffer = uniform("resolve", size_of::<ResolveUniform>());
        let view_group = view_group(device, pipelines, &view_buffer, light_page);
        let resolve_group = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("resolve"),
            layout: &pipelines.resolve_layout,
            entries: &[
                wgpu::BindGroupEntry { binding: 0, resource: resolve_buffer.as_entire_binding() },
                wgpu::BindGroupEntry { binding: 1, resource: wgpu::BindingResource::TextureView(&light_view) },
            ],
        });
        Self {
            size,
            light_view,
            view_buffer,
            view_group,
            lit_by: light_page.id,
            resolve_buffer,
            resolve_group,
            instance_buffer: instance_buffer(device, FIRST_INSTANCES),
            view: None,
            resolve: None,
            draws: Vec::new(),
            instances: Vec::new(),
            drawn_instances: Vec::new(),
            batches: Vec::new(),
            newest: 0,
            drawn_newest: 0,
        }
    }

    pub fn size(&self) -> Size {
        self.size
    }

    /// Bytes on the GPU.
    pub fn bytes(&self) -> u64 {
        self.size.area() * 8 + self.instance_buffer.size()
    }

    /// Draws a frame's scene into the light, unless nothing has changed since the last time; `region` is the part of the
    /// viewport that the canvas shows. Returns whether it drew.
    pub fn draw(
        &mut self,
        gpu: Gpu<'_>,
        encoder: &mut wgpu::CommandEncoder,
        frame: &Frame<'_>,
        region: PixelRect,
    ) -> bool {
        let Gpu { device, queue, pipelines, cache, light } = gpu;
        let [r, g, b] = frame.display.background.map(|c| f32::from(c) / 255.0);
        let resolve = ResolveUniform {
            background: [r, g, b, 1.0],
            size: [self.size.width as f32, self.size.height as f32],
            padding: [0.0; 2],
        };
        if self.resolve != Some(resolve) {
            queue.write_buffer(&self.resolve_buffer, 0, bytemuck::bytes_of(&resolve));
            self.resolve = Some(resolve);
        }

        let is_lit_alike = self.lit_by == light.id;
        if !is_lit_alike {
            self.view_group = view_group(device, pipelines, &self.view_buffer, light);
            self.lit_by = light.id;
        }
        self.collect(gpu, frame);
        let view = view_uniform(frame, region);
        let same_tiles = self.newest == self.drawn_newest && self.instances == self.drawn_instances;
        if self.view == Some(view) && same_tiles && is_lit_alike {
            return false;
        }
        if self.view != Some(view) {
            queue.write_buffer(&self.view_buffer, 0, bytemuck::bytes_of(&view));
            self.view = Some(view);
        }
        let bytes: &[u8] = bytemuck::cast_slice(&self.instances);
        if bytes.len() as u64 > self.instance_buffer.size() {
            self.instance_buffer = instance_buffer(device, self.instances.len().next_power_of_two());
        }
        if !bytes.is_empty() {
            queue.write_buffer(&self.instance_buffer, 0, bytes);
        }
        self.drawn_newest = self.newest;
        std::mem::swap(&mut self.drawn_instances, &mut self.instances);
        self.record(encoder, pipelines, cache);
        true
    }

    /// Puts the light over its background into a pass whose viewport is the canvas.
    pub fn resolve(&self, pass: &mut wgpu::RenderPass<'_>, pipeline: &wgpu::RenderPipeline) {
        pass.set_pipeline(pipeline);
        pass.set_bind_group(0, &self.resolve_group, &[]);
        pass.draw(0..3, 0..1);
    }

    /// Turns the scene's quads into instances and batches.
    fn collect(&mut self, gpu: Gpu<'_>, frame: &Frame<'_>) {
        let Gpu { pipelines, cache, light, .. } = gpu;
        self.draws.clear();
        self.newest = 0;
        for (index, quad) in frame.scene.quads.iter().enumerate() {
            let Some(channel) = frame.display.channels.get(usize::from(quad.key.plane.channel)) else { continue };
            let (format, page, layer) = match quad.kind {
                QuadKind::Hatch => (TileFormat::Gray8, u32::MAX, 0),
                QuadKind::Intensity | QuadKind::Coverage => {
                    let Some(tile) = cache.drawable(&(frame.set, quad.key)) else { continue };
                    self.newest = self.newest.max(tile.written);
                    (tile.format, tile.place.page, tile.place.layer)
                }
            };
            let unit = pipelines.stored_unit(format);
            let (curve, color) = match quad.kind {
                QuadKind::Coverage => ([0.0, unit / full_range(format), 1.0, 1.0], [1.0; 4]),
                QuadKind::Intensity | QuadKind::Hatch => curve_and_color(channel, format, unit, quad),
            };
            let step = match quad.kind {
                QuadKind::Intensity => 0,
                QuadKind::Hatch => 1,
                QuadKind::Coverage => 2,
            };
            let channel = if quad.kind == QuadKind::Hatch { 0 } else { quad.key.plane.channel };
            let mut instance = instance(quad, frame.camera.center, curve, color, layer);
            if quad.kind == QuadKind::Intensity {
                light.even_out(quad, frame.camera.center, unit, &mut instance);
            }
            self.draws.push(Draw { order: (step, channel, page, index as u32), kind: quad.kind, format, instance });
        }
        self.draws.sort_unstable_by_key(|draw| draw.order);
        self.instances.clear();
        self.batches.clear();
        for draw in &self.draws {
            let at = self.instances.len() as u32;
            self.instances.push(draw.instance);
            let page = (draw.kind != QuadKind::Hatch).then_some(draw.order.2);
            match self.batches.last_mut() {
                Some(last) if last.kind == draw.kind && last.page == page => last.instances.end = at + 1,
                _ => self.batches.push(Batch { kind: draw.kind, format: draw.format, page, instances: at..at + 1 }),
            }
        }
    }

    fn record(&self, encoder: &mut wgpu::CommandEncoder, pipelines: &Pipelines, cache: &TileCache) {
        let mut pass = encoder.begin_render_pass(&wgpu::RenderPassDescriptor {
            label: Some("tiles"),
            color_attachments: &[Some(wgpu::RenderPassColorAttachment {
                view: &self.light_view,
                depth_slice: None,
                resolve_target: None,
                ops: wgpu::Operations {
                    load: wgpu::LoadOp::Clear(wgpu::Color::TRANSPARENT),
                    store: wgpu::StoreOp::Store,
                },
            })],
            depth_stencil_attachment: None,
            timestamp_writes: None,
            occlusion_query_set: None,
            multiview_mask: None,
        });
        if self.batches.is_empty() {
            return;
        }
        pass.set_bind_group(0, &self.view_group, &[]);
        pass.set_vertex_buffer(0, self.instance_buffer.slice(..));
        for batch in &self.batches {
            if let Some(page) = batch.page {
                let Some(group) = cache.bind_group(page) else { continue };
                pass.set_pipeline(pipelines.quads(batch.kind, batch.format));
                pass.set_bind_group(1, group, &[]);
            } else {
                pass.set_pipeline(pipelines.quads(batch.kind, batch.format));
            }
            pass.draw(0..4, batch.instances.clone());
        }
    }
}

fn view_group(
    device: &wgpu::Device,
    pipelines: &Pipelines,
    view_buffer: &wgpu::Buffer,
    light: &LightPage,
) -> wgpu::BindGroup {
    device.create_bind_group(&wgpu::BindGroupDescriptor {
        label: Some("view"),
        layout: &pipelines.view_layout,
        entries: &[
            wgpu::BindGroupEntry { binding: 0, resource: view_buffer.as_entire_binding() },
            wgpu::BindGroupEntry { binding: 1, resource: wgpu::BindingResource::TextureView(&light.view) },
        ],
    })
}

fn instance_buffer(device: &wgpu::Device, instances: usize) -> wgpu::Buffer {
    device.create_buffer(&wgpu::BufferDescriptor {
        label: Some("quads"),
        size: (instances * size_of::<QuadInstance>()) as u64,
        usage: wgpu::BufferUsages::VERTEX | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    })
}

/// A channel's display in the shader's terms. Numbers that are no numbers, from a damaged settings file, count as untouched.
fn curve_and_color(channel: &ChannelDisplay, format: TileFormat, unit: f32, quad: &Quad) -> ([f32; 4], [f32; 4]) {
    let usable = channel.min.is_finite() && channel.max.is_finite();
    let (min, max) = if usable { (channel.min, channel.max) } else { (0.0, full_range(format)) };
    let range = if (max - min).abs() < MIN_RANGE { MIN_RANGE } else { max - min };
    let inverse_gamma = if channel.gamma.is_finite() && channel.gamma > 0.0 { 1.0 / channel.gamma } else { 1.0 };
    let weight = if channel.weight.is_finite() { channel.weight } else { 1.0 };
    let [r, g, b] = quad.tint.unwrap_or(channel.color).map(|c| f32::from(c) / 255.0 * weight);
    ([min / unit, unit / range, inverse_gamma, quad.opacity], [r, g, b, 1.0])
}

/// The greatest value a format stores.
fn full_range(format: TileFormat) -> f32 {
    match format {
        TileFormat::Gray8 | TileFormat::Rgb8 => 255.0,
        TileFormat::Gray16 => 65_535.0,
    }
}

/// A quad relative to the anchor. Everything is taken apart in f64 first: f32 would not hold a place on a large slide to a
/// hundredth of a pixel.
fn instance(quad: &Quad, anchor: Point, curve: [f32; 4], color: [f32; 4], layer: u32) -> QuadInstance {
    const GUTTER: f64 = 1.0;
    let [down_x, down_y] = quad.downsample;
    let (min, max) = (quad.image.min - anchor, quad.image.max - anchor);
    QuadInstance {
        rect: [min.x as f32, min.y as f32, max.x as f32, max.y as f32],
        texel: [
            (1.0 / down_x) as f32,
            (1.0 / down_y) as f32,
            (quad.uv.min.x + GUTTER - min.x / down_x) as f32,
            (quad.uv.min.y + GUTTER - min.y / down_y) as f32,
        ],
        curve,
        color,
        layer: [layer, u32::from(quad.nearest), 0, 0],
        samples: quad.samples.map_or([f32::MIN, f32::MIN, f32::MAX, f32::MAX], |samples| {
            [samples.min.x, samples.min.y, samples.max.x, samples.max.y].map(|v| (v + GUTTER) as f32)
        }),
        light: [0.0; 4],
    }
}

fn view_uniform(frame: &Frame<'_>, region: PixelRect) -> ViewUniform {
    let from_screen = frame.camera.image_from_screen(frame.viewport);
    let from_image = frame.camera.screen_from_image(frame.viewport);
    let [zoom_x, zoom_y] = frame.camera.zoom_xy();
    ViewUniform {
        image_from_screen: [from_screen.a, from_screen.c, from_screen.b, from_screen.d].map(|v| v as f32),
        screen_from_image: [from_image.a, from_image.c, from_image.b, from_image.d].map(|v| v as f32),
        margin: [(MARGIN_SCREEN_PX / zoom_x) as f32, (MARGIN_SCREEN_PX / zoom_y) as f32],
        screen_offset: [
            (f64::from(region.x) - f64::from(frame.viewport.width) / 2.0) as f32,
            (f64::from(region.y) - f64::from(frame.viewport.height) / 2.0) as f32,
        ],
        target_size: [region.width as f32, region.height as f32],
        padding: [0.0; 2],
    }
}
