//! Draws scenes on the GPU; knows nothing of egui.
//!
//! [`TileRenderer`] holds the tiles that are on the GPU and the canvases that show them.
//! A frame goes like this: [`TileRenderer::upload`] what the engine brought (within the caller's budget), ask
//! [`crate::view::scene`] with [`TileRenderer::residency`], [`TileRenderer::prepare`] the scene into a canvas's light, and
//! [`TileRenderer::paint`] the canvas into whatever pass is being drawn.
//! Channels add up in a half-float target; one resolve pass clips the sum in sRGB-encoded values and puts it over the
//! background.
//! Snapshots go the same way into a texture of their own, so they have the window's pixels.

mod cache;
mod canvas;
mod device;
mod gutter;
mod light;
mod pipelines;
mod readback;
mod snapshot;
mod staging;
mod strokes;

pub use cache::{Generations, MAX_PAGE_BYTES, SetResidency, Upload};
pub use canvas::{CanvasId, Frame};
pub use device::{device_descriptor, headless};
pub use light::FieldLight;
pub use readback::read_rgba;
pub use snapshot::{Fetch, Fetched, MAX_SNAPSHOT_BYTES, SnapshotRequest};
pub use strokes::{Stroke, StrokesId};

use crate::geom::{PixelRect, Size};
use crate::pyramid::{SetId, TileKey, TilePixels};
use cache::TileCache;
use canvas::{Canvas, Gpu};
use light::LightPage;
use pipelines::Pipelines;
use std::collections::{HashMap, HashSet};
use strokes::Strokes;

/// What the renderer may hold.
#[derive(Debug, Clone, Copy)]
pub struct RenderLimits {
    /// Bytes of tiles on the GPU.
    pub cache_bytes: u64,
    /// Whether 16-bit tiles may be filtered by the hardware where it can; false takes the path of adapters that cannot.
    pub hardware_16_bit: bool,
}

impl Default for RenderLimits {
    /// Room for a 4K screen of four 16-bit channels.
    fn default() -> Self {
        Self { cache_bytes: 512 << 20, hardware_16_bit: true }
    }
}

/// Tiles on the GPU, and canvases that show them.
pub struct TileRenderer {
    device: wgpu::Device,
    queue: wgpu::Queue,
    pipelines: Pipelines,
    cache: TileCache,
    canvases: HashMap<CanvasId, Canvas>,
    strokes: HashMap<StrokesId, Strokes>,
    /// The light of one set's fields, and of all others.
    lit: (SetId, LightPage),
    unlit: LightPage,
    /// Counts pages of light.
    lights: u64,
    /// The canvases prepared in this frame: seeing one again begins the next.
    prepared: HashSet<CanvasId>,
}

impl TileRenderer {
    /// A renderer for targets of a format. sRGB formats are given linear values, others encoded ones.
    pub fn new(
        device: wgpu::Device,
        queue: wgpu::Queue,
        target_format: wgpu::TextureFormat,
        limits: RenderLimits,
    ) -> Self {
        let pipelines = Pipelines::new(&device, target_format, limits.hardware_16_bit);
        let cache = TileCache::new(device.clone(), queue.clone(), limits.cache_bytes);
        let (lit, unlit) = ((SetId::default(), LightPage::none(&device)), LightPage::none(&device));
        let (canvases, strokes, prepared) = (HashMap::new(), HashMap::new(), HashSet::new());
        Self { device, queue, pipelines, cache, canvases, strokes, lit, unlit, lights: 0, prepared }
    }

    /// A renderer on a device of its own, for snapshots and exports.
    pub fn headless(limits: RenderLimits) -> crate::error::Result<Self> {
        let (device, queue) = headless()?;
        Ok(Self::new(device, queue, pipelines::SNAPSHOT_FORMAT, limits))
    }

    /// Puts a tile on its way to the GPU. `now_secs` is the clock that fades go by.
    ///
    /// Call it in the frame's logic, never while painting: a frame that is not painted would leave tiles that were never
    /// uploaded.
    pub fn upload(&mut self, pixels: &TilePixels, now_secs: f64) -> Upload {
        self.cache.upload(pixels, now_secs, &self.pipelines)
    }

    /// Records the copies of what was uploaded since the last frame; false where there is nothing to submit for it.
    /// [`Self::prepare`] does so for what is left.
    pub fn send(&mut self, encoder: &mut wgpu::CommandEncoder) -> bool {
        self.cache.send(encoder)
    }

    /// A tile cannot be read: it is hatched.
    pub fn mark_failed(&mut self, set: SetId, key: TileKey) {
        self.cache.mark_failed((set, key));
    }

    /// Which states of a mosaic are wanted, before its residency is asked.
    pub fn set_generations(&mut self, set: SetId, generations: Generations) {
        self.cache.set_generations(set, generations);
    }

    /// Has fields of a set that are drawn by themselves evened out from now on; `None`: shown as they are. One set at a time
    /// is lit.
    pub fn set_light(&mut self, set: SetId, light: Option<&FieldLight>) {
        if self.lit.0 == set && self.lit.1.holds(light) {
            return;
        }
        let page = match light {
            Some(light) => {
                self.lights += 1;
                LightPage::new(&self.device, &self.queue, self.lights, light.clone())
            }
            None => LightPage::none(&self.device),
        };
        self.lit = (set, page);
    }

    /// Keeps tiles that are not drawn now, and soon will be, from being evicted in this frame. After [`Self::prepare`].
    pub fn keep(&mut self, set: SetId, tiles: impl IntoIterator<Item = TileKey>) {
        for key in tiles {
            self.cache.touch(&(set, key));
        }
    }

    /// What is resident of a set, for [`crate::view::scene`].
    pub fn residency(&self, set: SetId) -> SetResidency<'_> {
        SetResidency { cache: &self.cache, set }
    }

    /// How many bytes of tiles the GPU may hold, for [`crate::view::SceneRequest`].
    pub fn cache_budget_bytes(&self) -> u64 {
        self.cache.budget_bytes()
    }

    /// Draws a scene into a canvas's light, unless it shows exactly that already; returns whether it drew.
    /// The commands go into `encoder`, with those of [`Self::send`] where that was not called before; its submission must come
    /// before the pass of [`Self::paint`] and before the same canvas is prepared again.
    pub fn prepare(&mut self, encoder: &mut wgpu::CommandEncoder, canvas: CanvasId, frame: &Frame<'_>) -> bool {
        if !self.prepared.insert(canvas) {
            self.prepared.clear();
            self.prepared.insert(canvas);
            self.cache.next_frame();
        }
        self.claim(frame);
        let size = self.clamped(frame.viewport);
        if size.is_empty() {
            self.canvases.remove(&canvas);
            return false;
        }
        self.draw(encoder, canvas, frame, size.rect())
    }

    /// Composites a canvas over its background into a pass whose viewport is the canvas's rectangle.
    pub fn paint(&self, pass: &mut wgpu::RenderPass<'_>, canvas: CanvasId) {
        if let Some(canvas) = self.canvases.get(&canvas) {
            canvas.resolve(pass, &self.pipelines.resolve);
        }
    }

    /// Takes strokes over a canvas of `size` pixels in the place of those before; [`Self::paint_strokes`] draws them.
    ///
    /// Like [`Self::upload`], it belongs in the frame's logic.
    pub fn set_strokes(&mut self, id: StrokesId, size: Size, strokes: &[Stroke]) {
        let Self { device, queue, pipelines, .. } = self;
        let held = self.strokes.entry(id).or_insert_with(|| Strokes::new(device, pipelines));
        held.set(device, queue, size, strokes);
    }

    /// Draws strokes over a canvas into a pass whose viewport is the canvas's rectangle.
    pub fn paint_strokes(&self, pass: &mut wgpu::RenderPass<'_>, id: StrokesId) {
        if let Some(strokes) = self.strokes.get(&id) {
            strokes.paint(pass, &self.pipelines.strokes);
        }
    }

    /// Gives a canvas's memory back.
    pub fn remove_canvas(&mut self, canvas: CanvasId) {
        self.canvases.remove(&canvas);
        self.prepared.remove(&canvas);
    }

    /// Forgets an image set.
    pub fn remove_set(&mut self, set: SetId) {
        self.cache.remove_set(set);
        if self.lit.0 == set {
            self.lit.1 = LightPage::none(&self.device);
        }
    }

    /// Bytes on the GPU: pages of tiles, canvases and strokes.
    pub fn memory_bytes(&self) -> u64 {
        let canvases = self.canvases.values().map(Canvas::bytes);
        self.cache.page_bytes() + canvases.chain(self.strokes.values().map(Strokes::bytes)).sum::<u64>()
    }

    /// What a scene uses is not evicted in this frame; the coarsest tiles stay for good.
    fn claim(&mut self, frame: &Frame<'_>) {
        for quad in &frame.scene.quads {
            self.cache.touch(&(frame.set, quad.key));
        }
        for &key in &frame.scene.pinned {
            self.cache.pin(&(frame.set, key));
        }
    }

    fn draw(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        canvas: CanvasId,
        frame: &Frame<'_>,
        region: PixelRect,
    ) -> bool {
        self.cache.send(encoder);
        let size = region.size();
        let light = if self.lit.0 == frame.set { &self.lit.1 } else { &self.unlit };
        if self.canvases.get(&canvas).is_none_or(|canvas| canvas.size() != size) {
            self.canvases.insert(canvas, Canvas::new(&self.device, &self.pipelines, light, size));
        }
        let Some(canvas) = self.canvases.get_mut(&canvas) else { return false };
        let gpu =
            Gpu { device: &self.device, queue: &self.queue, pipelines: &self.pipelines, cache: &self.cache, light };
        canvas.draw(gpu, encoder, frame, region)
    }

    /// No canvas is larger than the device's textures.
    fn clamped(&self, size: Size) -> Size {
        let most = self.device.limits().max_texture_dimension_2d;
        Size::new(size.width.min(most), size.height.min(most))
    }
}
