//! The graphics device: what we ask of it, and one without a window.

use crate::error::{Error, Result};

/// What every device of ours is asked for: 16-bit textures that filter, where the adapter has them, and the adapter's own
/// limits on sizes and layers (a window larger than the default limit would panic).
pub fn device_descriptor(adapter: &wgpu::Adapter) -> wgpu::DeviceDescriptor<'static> {
    const MAX_TEXTURE_SIDE: u32 = 16_384;
    const MAX_ARRAY_LAYERS: u32 = 2_048;
    let limits = adapter.limits();
    wgpu::DeviceDescriptor {
        label: Some("microtome"),
        required_features: adapter.features() & wgpu::Features::TEXTURE_FORMAT_16BIT_NORM,
        required_limits: wgpu::Limits {
            max_texture_dimension_2d: limits.max_texture_dimension_2d.min(MAX_TEXTURE_SIDE),
            max_texture_array_layers: limits.max_texture_array_layers.min(MAX_ARRAY_LAYERS),
            ..wgpu::Limits::default()
        },
        ..Default::default()
    }
}

/// A device without a window, for snapshots, exports and tests.
pub fn headless() -> Result<(wgpu::Device, wgpu::Queue)> {
    let adapter = adapter(wgpu::Backends::PRIMARY).or_else(|_| adapter(wgpu::Backends::all())).map_err(|e| {
        Error::graphics(format!(
            "no graphics adapter was found, install a driver (on Debian: libvulkan1 mesa-vulkan-drivers): {e}"
        ))
    })?;
    pollster::block_on(adapter.request_device(&device_descriptor(&adapter)))
        .map_err(|e| Error::graphics(format!("the graphics adapter {} cannot be used: {e}", adapter.get_info().name)))
}

/// An adapter of some backends. OpenGL is asked for only where nothing else is there: it looks for a display and complains
/// on standard error when there is none.
fn adapter(backends: wgpu::Backends) -> std::result::Result<wgpu::Adapter, wgpu::RequestAdapterError> {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle_from_env();
    descriptor.backends &= backends;
    let instance = wgpu::Instance::new(descriptor);
    pollster::block_on(instance.request_adapter(&wgpu::RequestAdapterOptions::default()))
}
