//! Shaders, layouts and pipelines, made once a device.

use super::strokes::stroke_layout;
use crate::pixels::TileFormat;
use crate::view::QuadKind;
use bytemuck::{Pod, Zeroable};

/// What a canvas accumulates light in: four halves a pixel, enough for channels to add up beyond white.
pub(super) const LIGHT_FORMAT: wgpu::TextureFormat = wgpu::TextureFormat::Rgba16Float;

/// One quad, as `tiles.wgsl` reads it.
#[derive(Debug, Clone, Copy, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub(super) struct QuadInstance {
    /// Left, top, right, bottom in level-0 pixels relative to the anchor.
    pub rect: [f32; 4],
    /// Texels a level-0 pixel in x and y, and the texel place of the anchor.
    pub texel: [f32; 4],
    /// The sample shown black, 1 over the range, 1 over gamma, opacity.
    pub curve: [f32; 4],
    /// Colour times weight.
    pub color: [f32; 4],
    /// Layer of the page, 1 for nearest-neighbour, 1 + the layer of the field's light (0: as it is), and the bits
    /// of what a stored value is multiplied by for the shader.
    pub layer: [u32; 4],
    /// The least and the greatest texel place that is sampled in x and y.
    pub samples: [f32; 4],
    /// Cells of light a level-0 pixel in x and y, and the cell place of the anchor.
    pub light: [f32; 4],
}

/// What all quads of a canvas share, as `tiles.wgsl` reads it.
#[derive(Debug, Clone, Copy, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub(super) struct ViewUniform {
    /// Columns of the linear map from screen pixels to level-0 pixels.
    pub image_from_screen: [f32; 4],
    /// Columns of the map back.
    pub screen_from_image: [f32; 4],
    /// How far to grow a quad, in level-0 pixels.
    pub margin: [f32; 2],
    /// From target pixels to screen pixels relative to the anchor.
    pub screen_offset: [f32; 2],
    /// The target's size in pixels.
    pub target_size: [f32; 2],
    pub padding: [f32; 2],
}

/// What the resolve pass goes by, as `resolve.wgsl` reads it.
#[derive(Debug, Clone, Copy, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub(super) struct ResolveUniform {
    pub background: [f32; 4],
    pub size: [f32; 2],
    pub padding: [f32; 2],
}

/// Shaders, layouts and pipelines.
pub(super) struct Pipelines {
    /// Whether 16-bit tiles filter in hardware; else they are loaded as integers and filtered in the shader.
    norm16: bool,
    gray: wgpu::RenderPipeline,
    gray_uint: wgpu::RenderPipeline,
    rgb: wgpu::RenderPipeline,
    coverage: wgpu::RenderPipeline,
    coverage_uint: wgpu::RenderPipeline,
    hatch: wgpu::RenderPipeline,
    /// For the caller's target.
    pub resolve: wgpu::RenderPipeline,
    /// For snapshots.
    pub resolve_snapshot: wgpu::RenderPipeline,
    /// For the caller's target.
    pub strokes: wgpu::RenderPipeline,
    pub strokes_layout: wgpu::BindGroupLayout,
    pub view_layout: wgpu::BindGroupLayout,
    pub resolve_layout: wgpu::BindGroupLayout,
    filtered_layout: wgpu::BindGroupLayout,
    uint_layout: wgpu::BindGroupLayout,
    sampler: wgpu::Sampler,
}

/// What a snapshot resolves into: encoded values as they are.
pub(super) const SNAPSHOT_FORMAT: wgpu::TextureFormat = wgpu::TextureFormat::Rgba8Unorm;

impl Pipelines {
    pub fn new(device: &wgpu::Device, target_format: wgpu::TextureFormat, allow_norm16: bool) -> Self {
        let norm16 = allow_norm16 && device.features().contains(wgpu::Features::TEXTURE_FORMAT_16BIT_NORM);
        let tiles = device.create_shader_module(wgpu::include_wgsl!("tiles.wgsl"));
        let resolving = device.create_shader_module(wgpu::include_wgsl!("resolve.wgsl"));

        let stages = wgpu::ShaderStages::VERTEX_FRAGMENT;
        let view_layout = layout(
            device,
            "view",
            &[
                uniform_entry(0, stages),
                texture_entry(
                    1,
                    wgpu::TextureSampleType::Float { filterable: false },
                    wgpu::TextureViewDimension::D2Array,
                ),
            ],
        );
        let filtered_layout = layout(
            device,
            "filtered page",
            &[
                texture_entry(
                    0,
                    wgpu::TextureSampleType::Float { filterable: true },
                    wgpu::TextureViewDimension::D2Array,
                ),
                wgpu::BindGroupLayoutEntry {
                    binding: 1,
                    visibility: wgpu::ShaderStages::FRAGMENT,
                    ty: wgpu::BindingType::Sampler(wgpu::SamplerBindingType::Filtering),
                    count: None,
                },
            ],
        );
        let uint_layout = layout(
            device,
            "integer page",
            &[texture_entry(2, wgpu::TextureSampleType::Uint, wgpu::TextureViewDimension::D2Array)],
        );
        let resolve_layout = layout(
            device,
            "resolve",
            &[
                uniform_entry(0, wgpu::ShaderStages::FRAGMENT),
                texture_entry(1, wgpu::TextureSampleType::Float { filterable: false }, wgpu::TextureViewDimension::D2),
            ],
        );

        let quads = |entry: &'static str, page: Option<&wgpu::BindGroupLayout>, blend: wgpu::BlendState| {
            let groups: &[Option<&wgpu::BindGroupLayout>] = &[Some(&view_layout), page];
            let groups = if page.is_some() { groups } else { &groups[..1] };
            let shader = Shader { module: &tiles, vertex: "vs_quad", fragment: entry };
            pipeline(device, shader, groups, &[Some(quad_layout())], LIGHT_FORMAT, Some(blend))
        };
        let cover = |format: wgpu::TextureFormat| {
            let fragment = if format.is_srgb() { "fs_resolve_srgb" } else { "fs_resolve" };
            let shader = Shader { module: &resolving, vertex: "vs_cover", fragment };
            pipeline(device, shader, &[Some(&resolve_layout)], &[], format, None)
        };
        let strokes_layout = layout(device, "strokes", &[uniform_entry(0, wgpu::ShaderStages::VERTEX)]);
        let stroking = device.create_shader_module(wgpu::include_wgsl!("strokes.wgsl"));
        let fragment = if target_format.is_srgb() { "fs_stroke_srgb" } else { "fs_stroke" };
        let shader = Shader { module: &stroking, vertex: "vs_stroke", fragment };
        let over = Some(wgpu::BlendState::PREMULTIPLIED_ALPHA_BLENDING);
        let groups = [Some(&strokes_layout)];
        let strokes = pipeline(device, shader, &groups, &[Some(stroke_layout())], target_format, over);
        let sampler = device.create_sampler(&wgpu::SamplerDescriptor {
            label: Some("tiles"),
            mag_filter: wgpu::FilterMode::Linear,
            min_filter: wgpu::FilterMode::Linear,
            ..Default::default()
        });
        Self {
            norm16,
            gray: quads("fs_gray", Some(&filtered_layout), ADD_LIGHT),
            gray_uint: quads("fs_gray_uint", Some(&uint_layout), ADD_LIGHT),
            rgb: quads("fs_rgb", Some(&filtered_layout), ADD_LIGHT),
            coverage: quads("fs_coverage", Some(&filtered_layout), MULTIPLY_ALPHA),
            coverage_uint: quads("fs_coverage_uint", Some(&uint_layout), MULTIPLY_ALPHA),
            hatch: quads("fs_hatch", None, KEEP_BRIGHTER),
            resolve: cover(target_format),
            resolve_snapshot: cover(SNAPSHOT_FORMAT),
            strokes,
            strokes_layout,
            view_layout,
            resolve_layout,
            filtered_layout,
            uint_layout,
            sampler,
        }
    }

    /// The texture format of a page.
    pub fn page_format(&self, format: TileFormat) -> wgpu::TextureFormat {
        match format {
            TileFormat::Gray8 => wgpu::TextureFormat::R8Unorm,
            TileFormat::Gray16 if self.norm16 => wgpu::TextureFormat::R16Unorm,
            TileFormat::Gray16 => wgpu::TextureFormat::R16Uint,
            TileFormat::Rgb8 => wgpu::TextureFormat::Rgba8Unorm,
        }
    }

    /// The stored value that the shader sees as 1.
    pub fn stored_unit(&self, format: TileFormat) -> f32 {
        match format {
            TileFormat::Gray8 | TileFormat::Rgb8 => 255.0,
            TileFormat::Gray16 if self.norm16 => 65_535.0,
            TileFormat::Gray16 => 1.0,
        }
    }

    pub fn page_bind_group(
        &self,
        device: &wgpu::Device,
        format: TileFormat,
        texture: &wgpu::Texture,
    ) -> wgpu::BindGroup {
        let view = texture.create_view(&wgpu::TextureViewDescriptor {
            dimension: Some(wgpu::TextureViewDimension::D2Array),
            ..Default::default()
        });
        let page = wgpu::BindingResource::TextureView(&view);
        if self.is_integer(format) {
            return device.create_bind_group(&wgpu::BindGroupDescriptor {
                label: Some("integer page"),
                layout: &self.uint_layout,
                entries: &[wgpu::BindGroupEntry { binding: 2, resource: page }],
            });
        }
        device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("filtered page"),
            layout: &self.filtered_layout,
            entries: &[
                wgpu::BindGroupEntry { binding: 0, resource: page },
                wgpu::BindGroupEntry { binding: 1, resource: wgpu::BindingResource::Sampler(&self.sampler) },
            ],
        })
    }

    /// The pipeline that draws a kind of quad from tiles of a format.
    pub fn quads(&self, kind: QuadKind, format: TileFormat) -> &wgpu::RenderPipeline {
        match (kind, self.is_integer(format)) {
            (QuadKind::Hatch, _) => &self.hatch,
            (QuadKind::Coverage, true) => &self.coverage_uint,
            (QuadKind::Coverage, false) => &self.coverage,
            (QuadKind::Intensity, true) => &self.gray_uint,
            (QuadKind::Intensity, false) if format == TileFormat::Rgb8 => &self.rgb,
            (QuadKind::Intensity, false) => &self.gray,
        }
    }

    fn is_integer(&self, format: TileFormat) -> bool {
        format == TileFormat::Gray16 && !self.norm16
    }
}

const fn component(
    src: wgpu::BlendFactor,
    dst: wgpu::BlendFactor,
    operation: wgpu::BlendOperation,
) -> wgpu::BlendComponent {
    wgpu::BlendComponent { src_factor: src, dst_factor: dst, operation }
}

use wgpu::{BlendFactor as Factor, BlendOperation as Operation};

/// Light adds up; alpha says whether any channel has image here.
const ADD_LIGHT: wgpu::BlendState = wgpu::BlendState {
    color: component(Factor::One, Factor::One, Operation::Add),
    alpha: component(Factor::One, Factor::One, Operation::Max),
};
/// A pattern over whatever is there, once however many channels failed.
const KEEP_BRIGHTER: wgpu::BlendState = wgpu::BlendState {
    color: component(Factor::One, Factor::One, Operation::Max),
    alpha: component(Factor::One, Factor::One, Operation::Max),
};
/// An alpha channel thins out what all channels together show.
const MULTIPLY_ALPHA: wgpu::BlendState = wgpu::BlendState {
    color: component(Factor::Zero, Factor::One, Operation::Add),
    alpha: component(Factor::Zero, Factor::SrcAlpha, Operation::Add),
};

struct Shader<'a> {
    module: &'a wgpu::ShaderModule,
    vertex: &'static str,
    fragment: &'static str,
}

fn pipeline(
    device: &wgpu::Device,
    shader: Shader<'_>,
    groups: &[Option<&wgpu::BindGroupLayout>],
    buffers: &[Option<wgpu::VertexBufferLayout<'_>>],
    format: wgpu::TextureFormat,
    blend: Option<wgpu::BlendState>,
) -> wgpu::RenderPipeline {
    let layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label: Some(shader.fragment),
        bind_group_layouts: groups,
        immediate_size: 0,
    });
    let topology =
        if buffers.is_empty() { wgpu::PrimitiveTopology::TriangleList } else { wgpu::PrimitiveTopology::TriangleStrip };
    device.create_render_pipeline(&wgpu::RenderPipelineDescriptor {
        label: Some(shader.fragment),
        layout: Some(&layout),
        vertex: wgpu::VertexState {
            module: shader.module,
            entry_point: Some(shader.vertex),
            compilation_options: wgpu::PipelineCompilationOptions::default(),
            buffers,
        },
        primitive: wgpu::PrimitiveState { topology, ..Default::default() },
        depth_stencil: None,
        multisample: wgpu::MultisampleState::default(),
        fragment: Some(wgpu::FragmentState {
            module: shader.module,
            entry_point: Some(shader.fragment),
            compilation_options: wgpu::PipelineCompilationOptions::default(),
            targets: &[Some(wgpu::ColorTargetState { format, blend, write_mask: wgpu::ColorWrites::ALL })],
        }),
        multiview_mask: None,
        cache: None,
    })
}

fn quad_layout() -> wgpu::VertexBufferLayout<'static> {
    const ATTRIBUTES: [wgpu::VertexAttribute; 7] = wgpu::vertex_attr_array![
        0 => Float32x4, 1 => Float32x4, 2 => Float32x4, 3 => Float32x4, 4 => Uint32x4, 5 => Float32x4, 6 => Float32x4
    ];
    wgpu::VertexBufferLayout {
        array_stride: size_of::<QuadInstance>() as u64,
        step_mode: wgpu::VertexStepMode::Instance,
        attributes: &ATTRIBUTES,
    }
}

fn layout(device: &wgpu::Device, label: &str, entries: &[wgpu::BindGroupLayoutEntry]) -> wgpu::BindGroupLayout {
    device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label: Some(label), entries })
}

fn uniform_entry(binding: u32, visibility: wgpu::ShaderStages) -> wgpu::BindGroupLayoutEntry {
    wgpu::BindGroupLayoutEntry {
        binding,
        visibility,
        ty: wgpu::BindingType::Buffer {
            ty: wgpu::BufferBindingType::Uniform,
            has_dynamic_offset: false,
            min_binding_size: None,
        },
        count: None,
    }
}

fn texture_entry(
    binding: u32,
    sample_type: wgpu::TextureSampleType,
    view_dimension: wgpu::TextureViewDimension,
) -> wgpu::BindGroupLayoutEntry {
    wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::FRAGMENT,
        ty: wgpu::BindingType::Texture { sample_type, view_dimension, multisampled: false },
        count: None,
    }
}

#[cfg(test)]
mod tests {
    use wgpu::naga;

    fn validate(source: &str) {
        let module = naga::front::wgsl::parse_str(source).expect("the shader parses");
        let mut validator =
            naga::valid::Validator::new(naga::valid::ValidationFlags::all(), naga::valid::Capabilities::empty());
        validator.validate(&module).expect("the shader is valid");
    }

    #[test]
    fn the_tile_shader_is_valid_wgsl() {
        validate(include_str!("tiles.wgsl"));
    }

    #[test]
    fn the_stroke_shader_is_valid_wgsl() {
        validate(include_str!("strokes.wgsl"));
    }

    #[test]
    fn the_resolve_shader_is_valid_wgsl() {
        validate(include_str!("resolve.wgsl"));
    }
}
