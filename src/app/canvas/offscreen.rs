//! The whole window without a display: the same frames, into a texture.
//!
//! `microtome snapshot --window` takes its pictures here, and `bench pan` its times.

use super::device;
use super::screen::{Drawing, Screen};
use crate::app::App;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::geom::{Point, Size};
use std::time::Duration;

/// What a hand does with the mouse's first button; places are physical pixels of the window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Hand {
    /// It presses the button.
    Press(Point),
    /// It moves the mouse.
    MoveTo(Point),
    /// It lets go of the button.
    Release(Point),
}

/// A window that nobody sees. It reads the user's settings and changes none of them.
pub struct Offscreen {
    screen: Screen,
    adapter: wgpu::AdapterInfo,
    app: App,
}

impl Offscreen {
    /// A window of `size` physical pixels. `engine` gets the waker that a window would give it.
    pub fn new(size: Size, pixels_per_point: f32, engine: impl FnOnce() -> Result<Engine>) -> Result<Self> {
        let refused = |e: &dyn std::fmt::Display| {
            Error::graphics(format!(
                "no graphics adapter was found, install a driver (on Debian: libvulkan1 mesa-vulkan-drivers): {e}"
            ))
        };
        let configuration = device::configuration();
        let instance = pollster::block_on(configuration.wgpu_setup.new_instance());
        let options = egui_wgpu::RendererOptions::PREDICTABLE;
        let state = pollster::block_on(egui_wgpu::RenderState::create(&configuration, &instance, None, options))
            .map_err(|e| refused(&e))?;
        let drawing = Drawing {
            device: state.device.clone(),
            queue: state.queue.clone(),
            renderer: state.renderer.clone(),
            format: state.target_format,
        };
        let screen = Screen::new(drawing, size, pixels_per_point, wgpu::Color::BLACK)?;
        let mut app = App::new(screen.ctx(), Some(&state), Some(engine()?));
        app.save_nothing();
        Ok(Self { screen, adapter: state.adapter.get_info(), app })
    }

    /// The window's program.
    pub fn app(&mut self) -> &mut App {
        &mut self.app
    }

    /// One frame at a time on the window's clock, with what the user does meanwhile; all of the UI thread's work.
    /// The answer: how long until the next frame would differ, if nothing happens.
    pub fn frame(&mut self, now_secs: f64, events: Vec<egui::Event>) -> Duration {
        let app = &mut self.app;
        self.screen.frame(now_secs, events, |ui| app.frame_ui(ui))
    }

    /// A frame in which the mouse does something; places are physical pixels of the window.
    pub fn frame_by_hand(&mut self, now_secs: f64, hand: &[Hand]) -> Duration {
        let scale = self.screen.pixels_per_point();
        let at = |p: Point| egui::pos2(p.x as f32, p.y as f32) / scale;
        let button = |p: Point, pressed: bool| egui::Event::PointerButton {
            pos: at(p),
            button: egui::PointerButton::Primary,
            pressed,
            modifiers: egui::Modifiers::NONE,
        };
        let events = hand.iter().map(|act| match *act {
            Hand::Press(p) => button(p, true),
            Hand::MoveTo(p) => egui::Event::PointerMoved(at(p)),
            Hand::Release(p) => button(p, false),
        });
        let events = events.collect();
        self.frame(now_secs, events)
    }

    /// Waits until the GPU has drawn what was submitted: a display would set this pace.
    pub fn wait_for_gpu(&self) -> Result<()> {
        self.screen.wait_for_gpu()
    }

    /// The graphics adapter's name.
    pub fn adapter(&self) -> String {
        self.adapter.name.clone()
    }

    /// How long after the engine woke it a window is drawn.
    pub fn pace(&self) -> Duration {
        device::pace(&self.adapter)
    }

    /// What the last frame showed: RGBA rows.
    pub fn picture(&self) -> Result<Vec<u8>> {
        self.screen.rgba()
    }
}
