//! Pixels from the GPU back to the heap.

use crate::error::{Error, Result};

/// The rows of a four-byte texture that was made with `COPY_SRC`. Blocks until the GPU is done, so it is not for the UI
/// thread.
pub fn read_rgba(device: &wgpu::Device, queue: &wgpu::Queue, texture: &wgpu::Texture) -> Result<Vec<u8>> {
    let refused = |e: &dyn std::fmt::Display| Error::graphics(format!("the picture could not be read back: {e}"));
    let row_bytes = texture.width() * 4;
    let pitch = row_bytes.next_multiple_of(wgpu::COPY_BYTES_PER_ROW_ALIGNMENT);
    let buffer = device.create_buffer(&wgpu::BufferDescriptor {
        label: Some("readback"),
        size: u64::from(pitch) * u64::from(texture.height()),
        usage: wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ,
        mapped_at_creation: false,
    });
    let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    encoder.copy_texture_to_buffer(
        texture.as_image_copy(),
        wgpu::TexelCopyBufferInfo {
            buffer: &buffer,
            layout: wgpu::TexelCopyBufferLayout {
                offset: 0,
                bytes_per_row: Some(pitch),
                rows_per_image: Some(texture.height()),
            },
        },
        texture.size(),
    );
    queue.submit([encoder.finish()]);
    let (sender, receiver) = std::sync::mpsc::channel();
    buffer.map_async(wgpu::MapMode::Read, .., move |outcome| {
        // The receiver waits below; it can only be gone after a panic there.
        drop(sender.send(outcome));
    });
    device.poll(wgpu::PollType::wait_indefinitely()).map_err(|e| refused(&e))?;
    receiver.recv().map_err(|e| refused(&e))?.map_err(|e| refused(&e))?;
    let mapped = buffer.get_mapped_range(..).map_err(|e| refused(&e))?;
    Ok(mapped.chunks_exact(pitch as usize).flat_map(|row| &row[..row_bytes as usize]).copied().collect())
}
