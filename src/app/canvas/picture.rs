//! The picture on the canvas: tiles on their way to the GPU, scenes, and what is still missing.
//!
//! Everything that changes the GPU happens in the frame's logic; painting only reads.
//! (A frame may be laid out without being painted: an upload from a paint callback would then be lost.)

use crate::geom::{Point, Size};
use crate::pyramid::{SetId, TileKey, TilePixels};
use crate::render::{CanvasId, FieldLight, Frame, Generations, RenderLimits, TileRenderer, Upload};
use crate::session::{MosaicView, OpenImage};
use crate::view::{
    Camera, DisplaySettings, DrawnFrom, FADE_SECS, FieldPair, MosaicDrawing, MosaicPlaces, MosaicSceneRequest,
    MosaicScenes, Outline, Presence, Residency, SceneRequest, prefetch, scene,
};
use parking_lot::Mutex;
use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A frame spends no longer than this on uploads, so that panning stays smooth.
const UPLOAD_TIME: Duration = Duration::from_micros(1500);
/// The same while the view moves: an even motion matters more than the last tile, and the driver's work on what was
/// uploaded comes on top.
const UPLOAD_TIME_MOVING: Duration = Duration::from_micros(400);
/// A frame uploads no more than this many bytes.
const UPLOAD_BYTES: usize = 4 << 20;
/// Tiles that wait for their upload; beyond it the oldest are dropped and wished for again.
const MAX_WAITING_BYTES: usize = 64 << 20;

/// The colours of two fields that are compared: where they agree, they add up to white.
const PAIR_TINTS: [[u8; 3]; 2] = [[0, 255, 255], [255, 0, 255]];

/// The canvas of the window.
const MAIN: CanvasId = CanvasId(0);
/// The overview map.
const OVERVIEW: CanvasId = CanvasId(1);

/// What the engine should bring for the view.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    /// For which set.
    pub set: SetId,
    /// Of a mosaic: the oldest generation that will do.
    pub generation: u64,
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

/// What a frame came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Prepared {
    /// How long until the next frame would differ, if nothing arrives; `None`: it would not.
    pub again: Option<Duration>,
    /// What the engine should bring, if that has changed.
    pub wanted: Option<Wanted>,
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
    /// How the mosaic on the canvas is being drawn.
    mosaic: Option<(SetId, MosaicDrawing)>,
    /// Frames are as good as free: tiles may fade in.
    has_gpu: bool,
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
            mosaic: None,
            has_gpu: super::device::pace(&state.adapter.get_info()).is_zero(),
        }
    }

    /// How long tiles take to fade in.
    pub fn fade_secs(&self, motion: bool) -> f64 {
        if motion && self.has_gpu { FADE_SECS } else { 0.0 }
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
        self.mosaic = self.mosaic.take().filter(|(of, _)| *of != set);
    }

    /// What the mosaic on the canvas is drawn from; `None` for a slide.
    pub fn drawn_from(&self) -> Option<DrawnFrom> {
        self.mosaic.as_ref().and_then(|(_, drawing)| drawing.drawn_from())
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
    pub fn upload(&mut self, now_secs: f64, view_moves: bool) -> bool {
        let (start, mut bytes) = (Instant::now(), 0);
        let time = if view_moves { UPLOAD_TIME_MOVING } else { UPLOAD_TIME };
        let mut renderer = self.renderer.lock();
        let lacked = &self.lacked;
        self.waiting.make_contiguous().sort_by_key(|tile| !lacked.contains(&tile.key));
        while let Some(tile) = self.waiting.front() {
            if bytes > 0 && (bytes + tile.bytes.len() > UPLOAD_BYTES || start.elapsed() > time) {
                return true;
            }
            match renderer.upload(tile, now_secs) {
                Upload::Done { bytes: written } => {
                    bytes += written as usize;
                    let residency = renderer.residency(tile.set);
                    if residency.is_stale(tile.key) || residency.presence(tile.key) == Presence::Absent {
                        // It came too late, or is of a frame that is gone: the engine is told once more.
                        self.last_wanted = None;
                    }
                }
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

    /// Draws the view into the canvas's own target.
    pub fn prepare(&mut self, view: &View<'_>, now_secs: f64) -> Prepared {
        let set = view.image.id.set;
        let mut renderer = self.renderer.lock();
        let drawing = begin_mosaic(&mut self.mosaic, view, &mut renderer, now_secs);
        let (scenes, soon, overview) = {
            let (residency, budget) = (renderer.residency(set), renderer.cache_budget_bytes());
            let request = view.request(&residency, budget, view.camera, view.canvas, now_secs);
            let scenes = match drawing.zip(view.image.mosaic.as_ref()) {
                Some((drawing, mosaic)) => drawing.scenes(&MosaicSceneRequest {
                    mosaic: request,
                    images: &mosaic.set.infos,
                    pair: pair_of(mosaic, now_secs, view.motion),
                }),
                None => MosaicScenes { drawn: scene(&request), ..MosaicScenes::default() },
            };
            let outline = self.mosaic.as_ref().and_then(|(_, drawing)| drawing.outline());
            let outline = outline.as_ref().map(|outline| outline as &dyn Outline);
            let request = SceneRequest { outline, ..request };
            // While one scene waits for another there is no room for what may be needed later.
            let rests = scenes.awaited.is_none() && !matches!(self.mosaic, Some((_, ref d)) if d.draws_fields());
            let soon = if rests { prefetch(&request, &scenes.drawn, view.speed) } else { Vec::new() };
            let overview = view.overview.as_ref().map(|(camera, size)| {
                let request = view.request(&residency, budget, camera, *size, now_secs);
                (scene(&SceneRequest { outline, ..request }), camera, *size)
            });
            (scenes, soon, overview)
        };
        let main = &scenes.drawn;
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("canvas") });
        let frame = |scene, camera, viewport| Frame { set, scene, display: view.display, camera, viewport };
        let mut drew = renderer.prepare(&mut encoder, MAIN, &frame(main, view.camera, view.canvas));
        if let Some(awaited) = &scenes.awaited {
            renderer.keep(set, awaited);
        }
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
        let generation = self.mosaic.as_ref().map_or(0, |(_, drawing)| drawing.wanted_generation());
        let wanted = Wanted { set, generation, wishes, prefetch: soon };
        let fading = main.fading || overview.is_some_and(|(scene, ..)| scene.fading);
        let again = if fading { Some(0.0) } else { scenes.again_secs };
        let again = again.map(Duration::from_secs_f64);
        if self.last_wanted.as_ref() == Some(&wanted) {
            return Prepared { again, wanted: None };
        }
        self.last_wanted = Some(wanted.clone());
        Prepared { again, wanted: Some(wanted) }
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
    /// Whether pictures move by themselves.
    pub motion: bool,
    /// How long tiles take to fade in.
    pub fade_secs: f64,
}

impl View<'_> {
    fn request<'b>(
        &'b self,
        residency: &'b dyn Residency,
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
            outline: None,
            resident: residency,
            cache_budget_bytes: budget,
            now_secs,
            fade_secs: self.fade_secs,
        }
    }
}

/// Begins a frame of the mosaic on the canvas, where there is one.
fn begin_mosaic<'a>(
    known: &'a mut Option<(SetId, MosaicDrawing)>,
    view: &View<'_>,
    renderer: &mut TileRenderer,
    now_secs: f64,
) -> Option<&'a mut MosaicDrawing> {
    let set = view.image.id.set;
    let Some(mosaic) = &view.image.mosaic else {
        *known = None;
        return None;
    };
    if known.as_ref().is_none_or(|(of, _)| *of != set) {
        *known = Some((set, MosaicDrawing::default()));
    }
    let (_, drawing) = known.as_mut()?;
    let state = &mosaic.state;
    let places = MosaicPlaces {
        geometry: &state.geometry,
        info: &state.info,
        positions: mosaic.positions(),
        moves: mosaic.draws_fields(now_secs),
    };
    drawing.begin_frame(&places, now_secs);
    let light = state.illumination.clone();
    let light = light.map(|illumination| FieldLight { illumination, fields: mosaic.set.infos.clone() });
    renderer.set_light(set, light.as_ref());
    renderer
        .set_generations(set, Generations { wanted: drawing.wanted_generation(), frame: drawing.frame_generation() });
    Some(drawing)
}

/// The two fields that are compared now, in the channel that they were aligned by.
fn pair_of(mosaic: &MosaicView, now_secs: f64, motion: bool) -> Option<FieldPair> {
    let flicker = mosaic.flicker(now_secs, motion)?;
    let fields = [flicker.fields.0, flicker.fields.1];
    let tint = |index: usize| flicker.only.is_none_or(|only| only == fields[index]).then_some(PAIR_TINTS[index]);
    Some(FieldPair {
        fields,
        tints: [tint(0), tint(1)],
        channel: mosaic.state.alignment.as_ref().map(|alignment| alignment.channel),
    })
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
