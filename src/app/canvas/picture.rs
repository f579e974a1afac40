//! The picture on the canvas: tiles on their way to the GPU, scenes, and what is still missing.
//!
//! Everything that changes the GPU happens in the frame's logic; painting only reads.
//! (A frame may be laid out without being painted: an upload from a paint callback would then be lost.)

use crate::geom::{Point, Size};
use crate::pyramid::{SetId, TileKey, TilePixels};
use crate::render::{CanvasId, Frame, RenderLimits, TileRenderer, Upload};
use crate::session::OpenImage;
use crate::view::{Camera, DisplaySettings, FADE_SECS, SceneRequest, prefetch, scene};
use parking_lot::Mutex;
use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A frame spends no longer than this on uploads, so that panning stays smooth.
const UPLOAD_TIME: Duration = Duration::from_micros(1500);
/// A frame uploads no more than this many bytes.
const UPLOAD_BYTES: usize = 4 << 20;
/// Tiles that wait for their upload; beyond it the oldest are dropped and wished for again.
const MAX_WAITING_BYTES: usize = 64 << 20;

/// The canvas of the window.
const MAIN: CanvasId = CanvasId(0);
/// The overview map.
const OVERVIEW: CanvasId = CanvasId(1);

/// What the engine should bring for the view.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    /// For which set.
    pub set: SetId,
    /// What is missing, most wanted first.
    pub wishes: Vec<TileKey>,
    /// What may be needed soon.
    pub prefetch: Vec<TileKey>,
}

/// How much of the picture is there.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Progress {
    /// The part of the visible image that shows anything, 0 to 1.
    pub covered: f64,
    /// The part that is as sharp as it gets, 0 to 1.
    pub sharp: f64,
}

/// The GPU side of the canvas.
pub struct Picture {
    device: wgpu::Device,
    queue: wgpu::Queue,
    /// Shared with the paint callbacks, which run on the same thread: never contended.
    renderer: Arc<Mutex<TileRenderer>>,
    waiting: VecDeque<Arc<TilePixels>>,
    waiting_bytes: usize,
    /// What the last scene lacked: these are uploaded before what was only fetched ahead.
    lacked: HashSet<TileKey>,
    last_wanted: Option<Wanted>,
    progress: Progress,
}

impl Picture {
    /// A picture for the window's device and target.
    pub fn new(state: &egui_wgpu::RenderState) -> Self {
        let (device, queue) = (state.device.clone(), state.queue.clone());
        let renderer = TileRenderer::new(device.clone(), queue.clone(), state.target_format, RenderLimits::default());
        Self {
            device,
            queue,
            renderer: Arc::new(Mutex::new(renderer)),
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            lacked: HashSet::new(),
            last_wanted: None,
            progress: Progress::default(),
        }
    }

    /// A tile arrived from the engine.
    pub fn tile_arrived(&mut self, tile: Arc<TilePixels>) {
        self.waiting_bytes += tile.bytes.len();
        self.waiting.push_back(tile);
        while self.waiting_bytes > MAX_WAITING_BYTES {
            let Some(dropped) = self.waiting.pop_front() else { break };
            self.waiting_bytes -= dropped.bytes.len();
            self.last_wanted = None;
        }
    }

    /// A tile cannot be read.
    pub fn tile_failed(&mut self, set: SetId, key: TileKey) {
        self.renderer.lock().mark_failed(set, key);
    }

    /// A set was closed.
    pub fn set_closed(&mut self, set: SetId) {
        self.waiting.retain(|t| t.set != set);
        self.waiting_bytes = self.waiting.iter().map(|t| t.bytes.len()).sum();
        self.renderer.lock().remove_set(set);
    }

    /// Bytes on the GPU.
    pub fn memory_bytes(&self) -> u64 {
        self.renderer.lock().memory_bytes()
    }

    /// How much of the picture is there.
    pub fn progress(&self) -> Progress {
        self.progress
    }

    /// Whether tiles wait for their upload.
    pub fn has_uploads_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Uploads what fits this frame. True while more waits.
    pub fn upload(&mut self, now_secs: f64) -> bool {
        let (start, mut bytes) = (Instant::now(), 0);
        let mut renderer = self.renderer.lock();
        let lacked = &self.lacked;
        self.waiting.make_contiguous().sort_by_key(|tile| !lacked.contains(&tile.key));
        while let Some(tile) = self.waiting.front() {
            if bytes > 0 && (bytes + tile.bytes.len() > UPLOAD_BYTES || start.elapsed() > UPLOAD_TIME) {
                return true;
            }
            match renderer.upload(tile, now_secs) {
                Upload::Done { bytes: written } => bytes += written as usize,
                // The scene fills the cache: the tile is wished for again when there is room.
                Upload::NoRoom => self.last_wanted = None,
                // The renderer hatches it.
                Upload::Malformed => {}
            }
            self.waiting_bytes -= tile.bytes.len();
            self.waiting.pop_front();
        }
        false
    }

    /// Draws the view into the canvas's own target. The answer: whether a fade is under way, and what the engine should
    /// bring if that has changed.
    pub fn prepare(&mut self, view: &View<'_>, now_secs: f64) -> (bool, Option<Wanted>) {
        let set = view.image.id.set;
        let mut renderer = self.renderer.lock();
        let (main, soon, overview) = {
            let (residency, budget) = (renderer.residency(set), renderer.cache_budget_bytes());
            let request = view.request(&residency, budget, view.camera, view.canvas, now_secs);
            let main = scene(&request);
            let soon = prefetch(&request, &main, view.speed);
            let overview = view.overview.as_ref().map(|(camera, size)| {
                (scene(&view.request(&residency, budget, camera, *size, now_secs)), camera, *size)
            });
            (main, soon, overview)
        };
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("canvas") });
        let frame = |scene, camera, viewport| Frame { set, scene, display: view.display, camera, viewport };
        let mut drew = renderer.prepare(&mut encoder, MAIN, &frame(&main, view.camera, view.canvas));
        match &overview {
            Some((scene, camera, size)) => {
                drew |= renderer.prepare(&mut encoder, OVERVIEW, &frame(scene, camera, *size));
            }
            None => renderer.remove_canvas(OVERVIEW),
        }
        if drew {
            self.queue.submit([encoder.finish()]);
        }
        self.progress = Progress { covered: main.covered, sharp: main.sharp };
        drop(renderer);

        let waiting: HashSet<TileKey> = self.waiting.iter().filter(|t| t.set == set).map(|t| t.key).collect();
        let both = main.wishes.iter().chain(overview.iter().flat_map(|(scene, ..)| &scene.wishes));
        self.lacked.clear();
        let lacked = &mut self.lacked;
        let wishes = both.copied().filter(|key| lacked.insert(*key) && !waiting.contains(key)).collect();
        let soon = soon.into_iter().filter(|key| !waiting.contains(key)).collect();
        let wanted = Wanted { set, wishes, prefetch: soon };
        let fading = main.fading || overview.is_some_and(|(scene, ..)| scene.fading);
        if self.last_wanted.as_ref() == Some(&wanted) {
            return (fading, None);
        }
        self.last_wanted = Some(wanted.clone());
        (fading, Some(wanted))
    }

    /// Paints the canvas into its rectangle.
    pub fn paint_main(&self, painter: &egui::Painter, rect: egui::Rect) {
        self.paint(painter, rect, MAIN);
    }

    /// Paints the overview map into its rectangle.
    pub fn paint_overview(&self, painter: &egui::Painter, rect: egui::Rect) {
        self.paint(painter, rect, OVERVIEW);
    }

    fn paint(&self, painter: &egui::Painter, rect: egui::Rect, canvas: CanvasId) {
        let callback = PaintCanvas { renderer: self.renderer.clone(), canvas };
        painter.add(egui_wgpu::Callback::new_paint_callback(rect, callback));
    }
}

/// What is looked at, and how.
pub struct View<'a> {
    /// The image.
    pub image: &'a OpenImage,
    /// How it is shown.
    pub display: &'a DisplaySettings,
    /// Where we look.
    pub camera: &'a Camera,
    /// The canvas in physical pixels.
    pub canvas: Size,
    /// The overview map: its camera, and its size in physical pixels.
    pub overview: Option<(Camera, Size)>,
    /// How fast the view moves, level-0 pixels a second.
    pub speed: Point,
    /// Whether tiles fade in.
    pub motion: bool,
}

impl View<'_> {
    fn request<'b>(
        &'b self,
        residency: &'b dyn crate::view::Residency,
        budget: u64,
        camera: &'b Camera,
        viewport: Size,
        now_secs: f64,
    ) -> SceneRequest<'b> {
        SceneRequest {
            image: self.image.info(),
            field: self.image.id.field,
            z: self.image.z,
            t: self.image.t,
            camera,
            viewport,
            region: None,
            display: self.display,
            resident: residency,
            cache_budget_bytes: budget,
            now_secs,
            fade_secs: if self.motion { FADE_SECS } else { 0.0 },
        }
    }
}

struct PaintCanvas {
    renderer: Arc<Mutex<TileRenderer>>,
    canvas: CanvasId,
}

impl egui_wgpu::CallbackTrait for PaintCanvas {
    fn paint(
        &self,
        _info: egui::PaintCallbackInfo,
        pass: &mut wgpu::RenderPass<'static>,
        _resources: &egui_wgpu::CallbackResources,
    ) {
        self.renderer.lock().paint(pass, self.canvas);
    }
}
