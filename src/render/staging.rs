//! Texels on their way to the GPU: written once into buffers that are used again, and copied from there by the frame that
//! draws them.
//!
//! A write of its own for every tile and every strip of a gutter has the driver find and clear memory each time; in
//! software that took longer than the copies themselves.

use crate::geom::Size;
use std::num::NonZeroU64;
use wgpu::util::StagingBelt;

/// One staging buffer. A frame of a fast pan fills a few of them; making one costs a pass over it, so it is small.
const CHUNK_BYTES: u64 = 1 << 20;
/// Rows of a copy begin at multiples of this in their buffer.
const ROW_ALIGNMENT: usize = wgpu::COPY_BYTES_PER_ROW_ALIGNMENT as usize;
/// Where the rows of a copy may begin: any texel of ours fits.
const START_ALIGNMENT: NonZeroU64 = NonZeroU64::new(16).unwrap();

/// Where texels go.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub texture: wgpu::Texture,
    pub layer: u32,
    pub origin: (u32, u32),
}

/// Rows of texels in a staging buffer that are still being written.
pub(super) struct Rows {
    view: wgpu::BufferViewMut,
    buffer: wgpu::Buffer,
    offset: u64,
    pitch: usize,
    texel_bytes: usize,
    size: Size,
}

impl Rows {
    /// Writes texels into a row, from a column on.
    pub fn write(&mut self, x: usize, y: usize, texels: &[u8]) {
        let start = y * self.pitch + x * self.texel_bytes;
        self.view.slice(start..start + texels.len()).copy_from_slice(texels);
    }

    /// Writes texels into a column, from a row on.
    pub fn write_column(&mut self, x: usize, y: usize, texels: &[u8]) {
        for (row, texel) in texels.chunks_exact(self.texel_bytes).enumerate() {
            self.write(x, y + row, texel);
        }
    }

    /// Sets all texels to zero. What a buffer held before is still in it.
    pub fn clear(&mut self) {
        self.view.slice(..).fill(0);
    }

    /// Bytes of texels, without what lies between rows.
    pub fn bytes(&self) -> u64 {
        self.size.area() * self.texel_bytes as u64
    }
}

/// A copy that waits for its frame.
struct Copy {
    buffer: wgpu::Buffer,
    layout: wgpu::TexelCopyBufferLayout,
    size: Size,
    target: Target,
}

/// Buffers that are used again, and the copies from them that are still to be recorded.
pub(super) struct Staging {
    belt: StagingBelt,
    copies: Vec<Copy>,
}

impl Staging {
    pub fn new(device: wgpu::Device) -> Self {
        Self { belt: StagingBelt::new(device, CHUNK_BYTES), copies: Vec::new() }
    }

    /// Room for `size` texels; `None` where the buffer cannot be written, as after the device was lost.
    pub fn rows(&mut self, size: Size, texel_bytes: usize) -> Option<Rows> {
        let pitch = (size.width as usize * texel_bytes).next_multiple_of(ROW_ALIGNMENT);
        let bytes = NonZeroU64::new(pitch as u64 * u64::from(size.height))?;
        let room = self.belt.allocate(bytes, START_ALIGNMENT);
        let view = room.get_mapped_range_mut().ok()?;
        Some(Rows { view, buffer: room.buffer().clone(), offset: room.offset(), pitch, texel_bytes, size })
    }

    /// Has rows copied by the next frame, after those before them.
    pub fn copy(&mut self, rows: Rows, target: Target) {
        let layout = wgpu::TexelCopyBufferLayout {
            offset: rows.offset,
            bytes_per_row: Some(rows.pitch as u32),
            rows_per_image: Some(rows.size.height),
        };
        self.copies.push(Copy { buffer: rows.buffer, layout, size: rows.size, target });
    }

    /// Records the copies that wait; false where there are none. All rows must have been handed over, and the encoder must be
    /// submitted.
    pub fn record(&mut self, encoder: &mut wgpu::CommandEncoder) -> bool {
        if self.copies.is_empty() {
            return false;
        }
        for Copy { buffer, layout, size, target } in self.copies.drain(..) {
            let (x, y) = target.origin;
            encoder.copy_buffer_to_texture(
                wgpu::TexelCopyBufferInfo { buffer: &buffer, layout },
                wgpu::TexelCopyTextureInfo {
                    texture: &target.texture,
                    mip_level: 0,
                    origin: wgpu::Origin3d { x, y, z: target.layer },
                    aspect: wgpu::TextureAspect::All,
                },
                wgpu::Extent3d { width: size.width, height: size.height, depth_or_array_layers: 1 },
            );
        }
        self.belt.finish_and_recall_on_submit(encoder);
        true
    }
}
