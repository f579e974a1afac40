//! The graphics device of the window.

use crate::render::device_descriptor;
use std::sync::Arc;
use std::time::Duration;

/// On an adapter that draws with the processor, a picture that only becomes more complete is drawn anew this often: every
/// frame takes time from decoding what is to come.
const SOFTWARE_PACE: Duration = Duration::from_millis(100);

/// How long parts of a picture that have come wait to be drawn at most. What a person does is drawn at once.
pub fn pace(adapter: &wgpu::AdapterInfo) -> Duration {
    if adapter.device_type == wgpu::DeviceType::Cpu { SOFTWARE_PACE } else { Duration::ZERO }
}

/// What eframe is asked for: our device, and frames that are never waited for.
pub fn configuration() -> egui_wgpu::WgpuConfiguration {
    let mut setup = egui_wgpu::WgpuSetupCreateNew::without_display_handle();
    setup.device_descriptor = Arc::new(device_descriptor);
    let mut configuration = egui_wgpu::WgpuConfiguration { wgpu_setup: setup.into(), ..Default::default() };
    // Waiting for the screen would be waiting on the UI thread; the window limits its frames itself.
    configuration.surface.present_mode = wgpu::PresentMode::AutoNoVsync;
    configuration
}
