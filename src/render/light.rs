//! The light of a mosaic's fields on the GPU, so that fields drawn by themselves are evened out like fused tiles.

use super::pipelines::QuadInstance;
use crate::geom::{Point, Size};
use crate::mosaic::illumination::PROFILE_CELLS;
use crate::mosaic::{Illumination, Profile};
use crate::pyramid::ImageInfo;
use crate::view::Quad;
use std::sync::Arc;

/// Cells along each side of a profile.
const CELLS: u32 = PROFILE_CELLS as u32;
/// What a texel holds: what samples are multiplied by, and what is added then.
const FORMAT: wgpu::TextureFormat = wgpu::TextureFormat::Rg32Float;

/// How the fields of a mosaic are lit.
#[derive(Debug, Clone)]
pub struct FieldLight {
    /// The profiles, by channel.
    pub illumination: Arc<Illumination>,
    /// The fields, by number.
    pub fields: Arc<[ImageInfo]>,
}

/// Profiles on the GPU, a layer each.
pub(super) struct LightPage {
    /// Tells one page from another.
    pub id: u64,
    pub view: wgpu::TextureView,
    light: Option<FieldLight>,
    /// The layer of each channel's profile.
    layers: Vec<Option<u32>>,
}

impl LightPage {
    /// The page of fields that are shown as they are.
    pub fn none(device: &wgpu::Device) -> Self {
        Self { id: 0, view: view_of(&texture(device, 1, 1)), light: None, layers: Vec::new() }
    }

    /// The page of some profiles.
    pub fn new(device: &wgpu::Device, queue: &wgpu::Queue, id: u64, light: FieldLight) -> Self {
        let channels = light.fields.first().map_or(0, |field| field.channels.len().min(usize::from(u16::MAX))) as u16;
        let profiles: Vec<Option<&Arc<Profile>>> = (0..channels).map(|n| light.illumination.profile(n)).collect();
        let most = device.limits().max_texture_array_layers;
        let mut layers: Vec<Option<u32>> = Vec::new();
        let mut count = 0;
        for profile in &profiles {
            let layer = (profile.is_some() && count < most).then_some(count);
            count += u32::from(layer.is_some());
            layers.push(layer);
        }
        let page = texture(device, CELLS, count.max(1));
        for (layer, profile) in layers.iter().zip(&profiles) {
            if let (Some(layer), Some(profile)) = (layer, profile) {
                write(queue, &page, *layer, profile);
            }
        }
        Self { id, view: view_of(&page), light: Some(light), layers }
    }

    /// Whether it holds this light.
    pub fn holds(&self, light: Option<&FieldLight>) -> bool {
        match (&self.light, light) {
            (Some(own), Some(other)) => {
                Arc::ptr_eq(&own.illumination, &other.illumination) && Arc::ptr_eq(&own.fields, &other.fields)
            }
            (None, None) => true,
            _ => false,
        }
    }

    /// Has an instance of a field's quad evened out. `anchor` is the place that instances are relative to, `unit` the stored
    /// value that the shader sees as 1.
    pub fn even_out(&self, quad: &Quad, anchor: Point, unit: f32, instance: &mut QuadInstance) {
        let plane = quad.key.plane;
        let Some(layer) = self.layers.get(usize::from(plane.channel)).copied().flatten() else { return };
        let Some(field) = self.light.as_ref().and_then(|light| light.fields.get(plane.field as usize)) else { return };
        let Size { width, height } = field.size;
        let cells = f64::from(CELLS);
        // Where the anchor lies in the field, in its pixels.
        let along = |tile: u32, uv: f64, down: f64, min: f64, anchor: f64| {
            (f64::from(tile) * f64::from(field.tile_side) + uv) * down + anchor - min
        };
        let x = along(quad.key.x, quad.uv.min.x, quad.downsample[0], quad.image.min.x, anchor.x);
        let y = along(quad.key.y, quad.uv.min.y, quad.downsample[1], quad.image.min.y, anchor.y);
        let (across, down) = (cells / f64::from(width.max(1)), cells / f64::from(height.max(1)));
        instance.light = [across as f32, down as f32, (x * across) as f32, (y * down) as f32];
        instance.layer[2] = layer + 1;
        instance.layer[3] = (1.0 / unit).to_bits();
    }
}

fn texture(device: &wgpu::Device, cells: u32, layers: u32) -> wgpu::Texture {
    device.create_texture(&wgpu::TextureDescriptor {
        label: Some("light of fields"),
        size: wgpu::Extent3d { width: cells, height: cells, depth_or_array_layers: layers },
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format: FORMAT,
        usage: wgpu::TextureUsages::TEXTURE_BINDING | wgpu::TextureUsages::COPY_DST,
        view_formats: &[],
    })
}

fn view_of(texture: &wgpu::Texture) -> wgpu::TextureView {
    texture.create_view(&wgpu::TextureViewDescriptor {
        dimension: Some(wgpu::TextureViewDimension::D2Array),
        ..Default::default()
    })
}

fn write(queue: &wgpu::Queue, texture: &wgpu::Texture, layer: u32, profile: &Profile) {
    let cells = profile.flat().iter().zip(profile.dark());
    let texels: Vec<[f32; 2]> = cells.map(|(flat, dark)| [1.0 / flat, dark - dark / flat]).collect();
    queue.write_texture(
        wgpu::TexelCopyTextureInfo {
            texture,
            mip_level: 0,
            origin: wgpu::Origin3d { x: 0, y: 0, z: layer },
            aspect: wgpu::TextureAspect::All,
        },
        bytemuck::cast_slice(&texels),
        wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row: Some(CELLS * 8), rows_per_image: Some(CELLS) },
        wgpu::Extent3d { width: CELLS, height: CELLS, depth_or_array_layers: 1 },
    );
}
