//! The picture on the canvas: tiles on their way to the GPU, scenes, and what is still missing.
//!
//! Everything that changes the GPU happens in the frame's logic; painting only reads.
//! (A frame may be laid out without being painted: an upload from a paint callback would then be lost.)

use super::Place;
use crate::geom::{Point, Size};
use crate::pyramid::{Coverage, SetId, TileKey, TilePixels};
use crate::render::{CanvasId, FieldLight, Frame, Generations, RenderLimits, Stroke, StrokesId, TileRenderer, Upload};
use crate::session::{ImageId, MosaicView, OpenImage};
use crate::view::{
    Camera, DisplaySettings, DrawnFrom, FADE_SECS, FieldPair, MosaicDrawing, MosaicPlaces, MosaicSceneRequest,
    MosaicScenes, Outline, Presence, Residency, Scene, SceneRequest, prefetch, scene,
};
use parking_lot::Mutex;
use rustc_hash::FxHashSet;
use std::collections::VecDeque;
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

/// While all else is the same, the overview map is drawn anew for tiles that came this often at most: it is small, and its scene
/// takes as long as that of a canvas.
const OVERVIEW_SECS: f64 = 0.25;

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
    /// What the canvases' targets need drawn. It goes to the GPU at the end of the frame: an adapter that draws with the
    /// processor would take it from the rest of the frame otherwise.
    recorded: Recorded,
    waiting: VecDeque<Arc<TilePixels>>,
    waiting_bytes: usize,
    /// Tiles that are on their way to the GPU: the engine takes them back.
    spent: Vec<Arc<TilePixels>>,
    /// What the last scene lacked: these are uploaded before what was only fetched ahead.
    lacked: FxHashSet<TileKey>,
    last_wanted: Option<Wanted>,
    /// Where the last frame looked from.
    camera: Option<Camera>,
    progress: Progress,
    /// The overview map as it was last drawn.
    overview: Option<DrawnOverview>,
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
            recorded: Recorded::default(),
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            spent: Vec::new(),
            lacked: FxHashSet::default(),
            last_wanted: None,
            camera: None,
            progress: Progress::default(),
            overview: None,
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
        self.overview.iter_mut().for_each(|overview| overview.is_behind = true);
        self.renderer.lock().mark_failed(set, key);
    }

    /// A set was closed.
    pub fn set_closed(&mut self, set: SetId) {
        self.waiting.retain(|t| t.set != set);
        self.waiting_bytes = self.waiting.iter().map(|t| t.bytes.len()).sum();
        self.renderer.lock().remove_set(set);
        self.mosaic = self.mosaic.take().filter(|(of, _)| *of != set);
        self.overview = None;
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

    /// Uploads what fits a frame that looks from `camera`. True while more waits.
    pub fn upload(&mut self, now_secs: f64, camera: &Camera) -> bool {
        let (start, mut bytes) = (Instant::now(), 0);
        let view_moves = self.camera.replace(*camera).is_some_and(|last| last != *camera);
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
                    self.overview.iter_mut().for_each(|overview| overview.is_behind = true);
                    let residency = renderer.residency(tile.set);
                    if residency.is_stale(tile.key) || residency.presence(tile.key) == Presence::Absent {
                        // It came too late, or is of a frame that is gone: the engine is told once more.
                        self.last_wanted = None;
                    }
                }
                // The scene fills the cache: the tile is wished for again when there is room.
                Upload::NoRoom => self.last_wanted = None,
                // The renderer hatches it.
                Upload::Malformed => self.overview.iter_mut().for_each(|overview| overview.is_behind = true),
            }
            self.waiting_bytes -= tile.bytes.len();
            self.spent.extend(self.waiting.pop_front());
        }
        false
    }

    /// The tiles that this frame was done with.
    pub fn take_spent(&mut self) -> Vec<Arc<TilePixels>> {
        std::mem::take(&mut self.spent)
    }

    /// Has the view drawn into the canvas's own target, by the frame that paints it.
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
            // Fused tiles that are made ahead while places change would be made again before anyone looks at them.
            let changes = view.image.mosaic.as_ref().is_some_and(|mosaic| mosaic.state.is_aligning());
            let rests =
                !changes && scenes.awaited.is_none() && !matches!(self.mosaic, Some((_, ref d)) if d.draws_fields());
            let soon = if rests { prefetch(&request, &scenes.drawn, view.speed) } else { Vec::new() };
            let shown = self.mosaic.as_ref().map_or(0, |(_, drawing)| drawing.wanted_generation());
            let known = self.overview.take();
            let overview = view.overview.as_ref().map(|(camera, size)| {
                let as_before = known.filter(|known| known.stands(view, camera, *size, shown, now_secs));
                as_before.map_or_else(
                    || {
                        let request = view.request(&residency, budget, camera, *size, now_secs);
                        let drawn = scene(&SceneRequest { outline, ..request });
                        (DrawnOverview::new(view, camera, *size, shown, &drawn, now_secs), Some(drawn))
                    },
                    |mut known| {
                        known.wishes.retain(|&key| is_lacked(&residency, key));
                        (known, None)
                    },
                )
            });
            (scenes, soon, overview)
        };
        let main = &scenes.drawn;
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("canvas") });
        let frame = |scene, camera, viewport| Frame { set, scene, display: view.display, camera, viewport };
        // Those of a frame that was laid out and never painted.
        submit(&self.queue, &self.recorded);
        let mut records = renderer.send(&mut encoder);
        records |= renderer.prepare(&mut encoder, MAIN, &frame(main, view.camera, view.canvas));
        if let Some(awaited) = &scenes.awaited {
            renderer.keep(set, awaited.quads.iter().map(|quad| quad.key));
        }
        match &overview {
            Some((DrawnOverview { camera, size, .. }, Some(scene))) => {
                records |= renderer.prepare(&mut encoder, OVERVIEW, &frame(scene, camera, *size));
            }
            Some((as_before, None)) => renderer.keep(set, as_before.tiles.iter().copied()),
            None => renderer.remove_canvas(OVERVIEW),
        }
        self.overview = overview.map(|(overview, _)| overview);
        if records {
            self.recorded.lock().push(encoder.finish());
        }
        self.progress = Progress { covered: main.covered, sharp: main.sharp };
        drop(renderer);

        let waiting: FxHashSet<TileKey> = self.waiting.iter().filter(|t| t.set == set).map(|t| t.key).collect();
        let both = main.wishes.iter().chain(self.overview.iter().flat_map(|overview| &overview.wishes));
        self.lacked.clear();
        let lacked = &mut self.lacked;
        let wishes = both.copied().filter(|key| lacked.insert(*key) && !waiting.contains(key)).collect();
        let soon = soon.into_iter().filter(|key| !waiting.contains(key)).collect();
        let generation = self.mosaic.as_ref().map_or(0, |(_, drawing)| drawing.wanted_generation());
        let wanted = Wanted { set, generation, wishes, prefetch: soon };
        let overview = self.overview.as_ref();
        let fading = main.fading || overview.is_some_and(|overview| overview.fading);
        let behind = overview.filter(|overview| overview.is_behind);
        let behind = behind.map(|overview| (overview.since_secs + OVERVIEW_SECS - now_secs).max(0.0));
        let again = if fading { Some(0.0) } else { scenes.again_secs.into_iter().chain(behind).reduce(f64::min) };
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

    /// Paints strokes over the canvas, whose rectangle is `place`; those with another number stay as they are.
    pub fn paint_strokes(&self, painter: &egui::Painter, place: Place, id: StrokesId, strokes: &[Stroke]) {
        self.renderer.lock().set_strokes(id, place.size, strokes);
        if !strokes.is_empty() {
            let callback = PaintStrokes { renderer: self.renderer.clone(), id };
            painter.add(egui_wgpu::Callback::new_paint_callback(place.rect, callback));
        }
    }

    fn paint(&self, painter: &egui::Painter, rect: egui::Rect, canvas: CanvasId) {
        let (renderer, recorded) = (self.renderer.clone(), self.recorded.clone());
        let callback = PaintCanvas { renderer, recorded, canvas };
        painter.add(egui_wgpu::Callback::new_paint_callback(rect, callback));
    }
}

/// The overview map as it was drawn.
struct DrawnOverview {
    image: ImageId,
    planes: (u16, u16),
    camera: Camera,
    size: Size,
    display: DisplaySettings,
    /// Of a mosaic: the oldest generation that would do.
    generation: u64,
    since_secs: f64,
    /// Tiles have come since.
    is_behind: bool,
    /// What it shows, and what it lacked.
    tiles: Vec<TileKey>,
    wishes: Vec<TileKey>,
    fading: bool,
}

impl DrawnOverview {
    fn new(view: &View<'_>, camera: &Camera, size: Size, generation: u64, drawn: &Scene, now_secs: f64) -> Self {
        Self {
            image: view.image.id,
            planes: (view.image.z, view.image.t),
            camera: *camera,
            size,
            display: view.display.clone(),
            generation,
            since_secs: now_secs,
            is_behind: false,
            tiles: drawn.quads.iter().map(|quad| quad.key).collect(),
            wishes: drawn.wishes.clone(),
            fading: drawn.fading,
        }
    }

    /// Whether it will do for a frame.
    fn stands(&self, view: &View<'_>, camera: &Camera, size: Size, generation: u64, now_secs: f64) -> bool {
        let is_recent = now_secs - self.since_secs < OVERVIEW_SECS;
        (!self.is_behind || is_recent)
            && !self.fading
            && (self.image, self.planes) == (view.image.id, (view.image.z, view.image.t))
            && (self.camera, self.size, self.generation) == (*camera, size, generation)
            && self.display == *view.display
    }
}

/// Whether a tile that was wished for is still to come.
fn is_lacked(residency: &dyn Residency, key: TileKey) -> bool {
    match residency.presence(key) {
        Presence::Resident { coverage: Coverage::FULL, .. } | Presence::Damaged { .. } => residency.is_stale(key),
        Presence::Failed => false,
        Presence::Absent | Presence::Resident { .. } => true,
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

/// Commands that wait for the end of the frame.
type Recorded = Arc<Mutex<Vec<wgpu::CommandBuffer>>>;

fn submit(queue: &wgpu::Queue, recorded: &Recorded) {
    let commands = std::mem::take(&mut *recorded.lock());
    if !commands.is_empty() {
        queue.submit(commands);
    }
}

struct PaintCanvas {
    renderer: Arc<Mutex<TileRenderer>>,
    recorded: Recorded,
    canvas: CanvasId,
}

impl egui_wgpu::CallbackTrait for PaintCanvas {
    fn prepare(
        &self,
        _device: &wgpu::Device,
        queue: &wgpu::Queue,
        _screen: &egui_wgpu::ScreenDescriptor,
        _encoder: &mut wgpu::CommandEncoder,
        _resources: &mut egui_wgpu::CallbackResources,
    ) -> Vec<wgpu::CommandBuffer> {
        // Not handed on: where the window's surface cannot be had, what goes with the frame is dropped.
        submit(queue, &self.recorded);
        Vec::new()
    }

    fn paint(
        &self,
        _info: egui::PaintCallbackInfo,
        pass: &mut wgpu::RenderPass<'static>,
        _resources: &egui_wgpu::CallbackResources,
    ) {
        self.renderer.lock().paint(pass, self.canvas);
    }
}

struct PaintStrokes {
    renderer: Arc<Mutex<TileRenderer>>,
    id: StrokesId,
}

impl egui_wgpu::CallbackTrait for PaintStrokes {
    fn paint(
        &self,
        _info: egui::PaintCallbackInfo,
        pass: &mut wgpu::RenderPass<'static>,
        _resources: &egui_wgpu::CallbackResources,
    ) {
        self.renderer.lock().paint_strokes(pass, self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use egui_wgpu::CallbackTrait as _;

    #[test]
    fn what_was_recorded_is_done_also_where_the_frame_is_never_shown() {
        let Ok((device, queue)) = crate::render::headless() else {
            eprintln!("SKIPPED: no GPU adapter");
            return;
        };
        let target = device.create_texture(&wgpu::TextureDescriptor {
            label: None,
            size: wgpu::Extent3d { width: 4, height: 1, depth_or_array_layers: 1 },
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format: wgpu::TextureFormat::Rgba8Unorm,
            usage: wgpu::TextureUsages::RENDER_ATTACHMENT | wgpu::TextureUsages::COPY_SRC,
            view_formats: &[],
        });
        let view = target.create_view(&wgpu::TextureViewDescriptor::default());
        let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        drop(encoder.begin_render_pass(&wgpu::RenderPassDescriptor {
            color_attachments: &[Some(wgpu::RenderPassColorAttachment {
                view: &view,
                depth_slice: None,
                resolve_target: None,
                ops: wgpu::Operations { load: wgpu::LoadOp::Clear(wgpu::Color::RED), store: wgpu::StoreOp::Store },
            })],
            ..Default::default()
        }));
        let format = wgpu::TextureFormat::Rgba8Unorm;
        let renderer = TileRenderer::new(device.clone(), queue.clone(), format, RenderLimits::default());
        let recorded = Recorded::default();
        recorded.lock().push(encoder.finish());
        let callback = PaintCanvas { renderer: Arc::new(Mutex::new(renderer)), recorded, canvas: MAIN };
        let screen = egui_wgpu::ScreenDescriptor { size_in_pixels: [4, 1], pixels_per_point: 1.0 };
        let mut of_frame = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let resources = &mut egui_wgpu::CallbackResources::default();
        // The window's surface cannot be had: what the frame came to is dropped.
        drop(callback.prepare(&device, &queue, &screen, &mut of_frame, resources));
        let rgba = crate::render::read_rgba(&device, &queue, &target).expect("read back");
        assert_eq!(rgba, [255, 0, 0, 255].repeat(4));
    }
}
