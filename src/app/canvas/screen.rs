//! A screen that nobody sees: egui's frames, drawn into a texture.

use crate::error::{Error, Result};
use crate::geom::Size;
use crate::render::read_rgba;
use egui::mutex::RwLock;
use egui_wgpu::Renderer;
use std::sync::Arc;
use std::time::Duration;

/// Where frames go, and what draws them.
pub struct Screen {
    ctx: egui::Context,
    device: wgpu::Device,
    queue: wgpu::Queue,
    renderer: Arc<RwLock<Renderer>>,
    target: wgpu::Texture,
    view: wgpu::TextureView,
    pixels_per_point: f32,
    /// What a frame starts from.
    clear: wgpu::Color,
}

/// What draws on a screen.
pub struct Drawing {
    /// The device.
    pub device: wgpu::Device,
    /// Its queue.
    pub queue: wgpu::Queue,
    /// egui's shapes on that device, for targets of `format`.
    pub renderer: Arc<RwLock<Renderer>>,
    /// What the target is made of.
    pub format: wgpu::TextureFormat,
}

impl Drawing {
    /// A device of its own, without a window.
    pub fn headless() -> Result<Self> {
        let (device, queue) = crate::render::headless()?;
        let format = wgpu::TextureFormat::Rgba8Unorm;
        let renderer = Renderer::new(&device, format, egui_wgpu::RendererOptions::PREDICTABLE);
        Ok(Self { device, queue, renderer: Arc::new(RwLock::new(renderer)), format })
    }
}

impl Screen {
    /// A screen of `size` physical pixels.
    pub fn new(drawing: Drawing, size: Size, pixels_per_point: f32, clear: wgpu::Color) -> Result<Self> {
        let Drawing { device, queue, renderer, format } = drawing;
        let most = device.limits().max_texture_dimension_2d;
        if size.is_empty() || size.width > most || size.height > most {
            return Err(Error::graphics(format!("this graphics adapter draws 1 to {most} pixels a side")));
        }
        let target = device.create_texture(&wgpu::TextureDescriptor {
            label: Some("screen"),
            size: wgpu::Extent3d { width: size.width, height: size.height, depth_or_array_layers: 1 },
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format,
            usage: wgpu::TextureUsages::RENDER_ATTACHMENT | wgpu::TextureUsages::COPY_SRC,
            view_formats: &[],
        });
        let view = target.create_view(&wgpu::TextureViewDescriptor::default());
        Ok(Self { ctx: egui::Context::default(), device, queue, renderer, target, view, pixels_per_point, clear })
    }

    /// Physical pixels a point.
    pub fn pixels_per_point(&self) -> f32 {
        self.pixels_per_point
    }

    /// egui's state.
    pub fn ctx(&self) -> &egui::Context {
        &self.ctx
    }

    /// One frame at a time on the screen's clock, with what the user does meanwhile. The answer: how long until the next
    /// frame would differ, if nothing happens.
    pub fn frame(&mut self, now_secs: f64, events: Vec<egui::Event>, ui: impl FnMut(&mut egui::Ui)) -> Duration {
        let size = self.target.size();
        // The interface may be scaled besides the screen.
        let points =
            egui::vec2(size.width as f32, size.height as f32) / (self.pixels_per_point * self.ctx.zoom_factor());
        let mut input = egui::RawInput {
            screen_rect: Some(egui::Rect::from_min_size(egui::Pos2::ZERO, points)),
            time: Some(now_secs),
            focused: true,
            events,
            ..Default::default()
        };
        if let Some(viewport) = input.viewports.get_mut(&input.viewport_id) {
            viewport.native_pixels_per_point = Some(self.pixels_per_point);
        }
        let mut output = self.ctx.run_ui(input, ui);
        let jobs = self.ctx.tessellate(output.shapes, output.pixels_per_point);
        let (device, queue) = (&self.device, &self.queue);
        let screen = egui_wgpu::ScreenDescriptor {
            size_in_pixels: [size.width, size.height],
            pixels_per_point: output.pixels_per_point,
        };
        let mut renderer = self.renderer.write();
        for (id, deltas) in &output.textures_delta.set {
            deltas.iter().for_each(|delta| renderer.update_texture(device, queue, *id, delta));
        }
        let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("screen") });
        let extra = renderer.update_buffers(device, queue, &mut encoder, &jobs, &screen);
        {
            let pass = encoder.begin_render_pass(&wgpu::RenderPassDescriptor {
                label: Some("screen"),
                color_attachments: &[Some(wgpu::RenderPassColorAttachment {
                    view: &self.view,
                    depth_slice: None,
                    resolve_target: None,
                    ops: wgpu::Operations { load: wgpu::LoadOp::Clear(self.clear), store: wgpu::StoreOp::Store },
                })],
                depth_stencil_attachment: None,
                timestamp_writes: None,
                occlusion_query_set: None,
                multiview_mask: None,
            });
            renderer.render(&mut pass.forget_lifetime(), &jobs, &screen);
        }
        queue.submit(extra.into_iter().chain([encoder.finish()]));
        for id in &output.textures_delta.free {
            renderer.free_texture(id);
        }
        output.textures_delta.clear();
        output.viewport_output.get(&egui::ViewportId::ROOT).map_or(Duration::MAX, |viewport| viewport.repaint_delay)
    }

    /// Waits until the GPU has drawn what was submitted: a display would set this pace.
    pub fn wait_for_gpu(&self) -> Result<()> {
        self.device
            .poll(wgpu::PollType::wait_indefinitely())
            .map(drop)
            .map_err(|e| Error::graphics(format!("the graphics adapter stopped: {e}")))
    }

    /// What the last frame showed: RGBA rows, premultiplied where the screen is see-through.
    pub fn rgba(&self) -> Result<Vec<u8>> {
        let mut rgba = read_rgba(&self.device, &self.queue, &self.target)?;
        if matches!(self.target.format(), wgpu::TextureFormat::Bgra8Unorm | wgpu::TextureFormat::Bgra8UnormSrgb) {
            rgba.chunks_exact_mut(4).for_each(|px| px.swap(0, 2));
        }
        Ok(rgba)
    }
}
