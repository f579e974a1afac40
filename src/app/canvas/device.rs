//! The graphics device of the window.

use crate::render::device_descriptor;
use std::sync::Arc;

/// What eframe is asked for: our device, and frames that are never waited for.
pub fn configuration() -> egui_wgpu::WgpuConfiguration {
    let mut setup = egui_wgpu::WgpuSetupCreateNew::without_display_handle();
    setup.device_descriptor = Arc::new(device_descriptor);
    let mut configuration = egui_wgpu::WgpuConfiguration { wgpu_setup: setup.into(), ..Default::default() };
    // Waiting for the screen would be waiting on the UI thread; the window limits its frames itself.
    configuration.surface.present_mode = wgpu::PresentMode::AutoNoVsync;
    configuration
}
