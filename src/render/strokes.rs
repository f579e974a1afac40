//! Straight strokes over a canvas: hundreds of dashed lines are an instance each, and not thousands of triangles that the
//! UI thread would have to lay out in every frame.

use super::pipelines::Pipelines;
use crate::geom::Size;
use bytemuck::{Pod, Zeroable};

/// Strokes drawn together at most: a canvas has room for some hundreds, and 65 536 take 3 MiB.
const MAX_STROKES: usize = 65_536;
/// Room for so many at first; it doubles as more are drawn.
const FIRST_STROKES: usize = 256;

/// A straight line with a halo. Lengths and places are pixels of the canvas, from its top left.
#[derive(Debug, Clone, Copy, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct Stroke {
    /// Where it starts; dashes count from there.
    pub from: [f32; 2],
    /// Where it ends.
    pub to: [f32; 2],
    /// Half its width.
    pub half_width: f32,
    /// How far its halo reaches beyond it.
    pub halo_width: f32,
    /// The length of a dash, and of a dash with the gap after it; both 0 for a whole line.
    pub dash: [f32; 2],
    /// Its colour: sRGB-encoded, premultiplied RGBA.
    pub color: [u8; 4],
    /// Its halo's colour, likewise.
    pub halo: [u8; 4],
}

/// Which strokes: a canvas may have some beneath other things and some above.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StrokesId(pub u32);

/// What all strokes share, as `strokes.wgsl` reads it.
#[derive(Debug, Clone, Copy, PartialEq, Pod, Zeroable)]
#[repr(C)]
struct StrokeView {
    size: [f32; 2],
    padding: [f32; 2],
}

/// Strokes on the GPU.
pub(super) struct Strokes {
    view_buffer: wgpu::Buffer,
    group: wgpu::BindGroup,
    buffer: wgpu::Buffer,
    view: Option<StrokeView>,
    /// What the buffer holds.
    held: Vec<Stroke>,
}

impl Strokes {
    pub fn new(device: &wgpu::Device, pipelines: &Pipelines) -> Self {
        let view_buffer = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("strokes' view"),
            size: size_of::<StrokeView>() as u64,
            usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let group = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("strokes"),
            layout: &pipelines.strokes_layout,
            entries: &[wgpu::BindGroupEntry { binding: 0, resource: view_buffer.as_entire_binding() }],
        });
        Self { view_buffer, group, buffer: buffer(device, FIRST_STROKES), view: None, held: Vec::new() }
    }

    /// Takes the strokes of a canvas of `size` pixels in the place of those before.
    pub fn set(&mut self, device: &wgpu::Device, queue: &wgpu::Queue, size: Size, strokes: &[Stroke]) {
        let strokes = &strokes[..strokes.len().min(MAX_STROKES)];
        let view = StrokeView { size: [size.width as f32, size.height as f32], padding: [0.0; 2] };
        if self.view != Some(view) {
            queue.write_buffer(&self.view_buffer, 0, bytemuck::bytes_of(&view));
            self.view = Some(view);
        }
        if self.held == strokes {
            return;
        }
        let bytes: &[u8] = bytemuck::cast_slice(strokes);
        if bytes.len() as u64 > self.buffer.size() {
            self.buffer = buffer(device, strokes.len().next_power_of_two());
        }
        if !bytes.is_empty() {
            queue.write_buffer(&self.buffer, 0, bytes);
        }
        self.held.clear();
        self.held.extend_from_slice(strokes);
    }

    /// Draws them into a pass whose viewport is the canvas.
    pub fn paint(&self, pass: &mut wgpu::RenderPass<'_>, pipeline: &wgpu::RenderPipeline) {
        if self.held.is_empty() {
            return;
        }
        pass.set_pipeline(pipeline);
        pass.set_bind_group(0, &self.group, &[]);
        pass.set_vertex_buffer(0, self.buffer.slice(..));
        pass.draw(0..4, 0..self.held.len() as u32);
    }

    /// Bytes on the GPU.
    pub fn bytes(&self) -> u64 {
        self.buffer.size()
    }
}

/// How the shader reads strokes.
pub(super) fn stroke_layout() -> wgpu::VertexBufferLayout<'static> {
    const ATTRIBUTES: [wgpu::VertexAttribute; 4] =
        wgpu::vertex_attr_array![0 => Float32x4, 1 => Float32x4, 2 => Unorm8x4, 3 => Unorm8x4];
    wgpu::VertexBufferLayout {
        array_stride: size_of::<Stroke>() as u64,
        step_mode: wgpu::VertexStepMode::Instance,
        attributes: &ATTRIBUTES,
    }
}

fn buffer(device: &wgpu::Device, strokes: usize) -> wgpu::Buffer {
    device.create_buffer(&wgpu::BufferDescriptor {
        label: Some("strokes"),
        size: (strokes * size_of::<Stroke>()) as u64,
        usage: wgpu::BufferUsages::VERTEX | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    })
}
