//! Times what the UI thread does for a frame of a mosaic that glides: scenes, and their way to the GPU.
//!
//! `cargo bench --bench mosaic_frame -- [COLUMNS] [ROWS] [ZOOM]`
//!
//! Fields of 2048 x 2048 px in four channels, 10 % overlap, all of them at new places in every frame, while the view pans over
//! them. Every tile is on the GPU as soon as it is wished for, so that scenes are as large as they get.

use microtome::geom::{Point, Size};
use microtome::mosaic::{Blend, Geometry, MOSAIC, Placement};
use microtome::pixels::{PixelType, TileFormat};
use microtome::pyramid::{
    Calibration, ChannelInfo, ChannelRole, Coverage, Gaps, ImageInfo, SetId, TileKey, TilePixels, level_plan,
};
use microtome::render::{CanvasId, Frame, Generations, RenderLimits, TileRenderer};
use microtome::store::system;
use microtome::view::{
    Camera, DisplaySettings, FADE_SECS, MosaicDrawing, MosaicPlaces, MosaicSceneRequest, MosaicScenes, SceneRequest,
};
use std::sync::Arc;

const SET: SetId = SetId(1);
const VIEWPORT: Size = Size::new(1600, 1000);
const FIELD: Size = Size::new(2048, 2048);
const STEP_PX: f64 = 1843.0;
const CHANNELS: u16 = 4;
const FRAMES: u32 = 600;
/// Pan, in screen pixels a frame.
const PAN_SCREEN_PX: f64 = 16.0;

fn main() {
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    let columns: u32 = args.next().map_or(40, |v| v.parse().expect("a number"));
    let rows: u32 = args.next().map_or(25, |v| v.parse().expect("a number"));
    let zoom: f64 = args.next().map_or(128.5 / 2048.0, |v| v.parse().expect("a number"));
    let nominal: Vec<Point> = (0..rows * columns)
        .map(|n| Point::new(f64::from(n % columns) * STEP_PX, f64::from(n / columns) * STEP_PX))
        .collect();
    let images: Vec<ImageInfo> = vec![field_image(); nominal.len()];
    let sizes = vec![FIELD; nominal.len()];
    let placed = |generation: u64| {
        let made = Geometry::new(generation, &nominal, &nominal, &sizes, Blend::Feather, Placement::Whole, 102.0);
        Arc::new(made.expect("a layout"))
    };
    let geometry = placed(1);
    let info = Arc::new(geometry.image_info("mosaic", &images).expect("fields"));
    let display = DisplaySettings::of(&info);
    let Ok((device, queue)) = microtome::render::headless() else {
        eprintln!("SKIPPED: no GPU adapter");
        return;
    };
    let target = wgpu::TextureFormat::Rgba8Unorm;
    let renderer = TileRenderer::new(device.clone(), queue.clone(), target, RenderLimits::default());
    let mut show = Show { geometry, info, images, display, drawing: MosaicDrawing::default(), renderer, device, queue };
    for (what, moves) in [("gliding", true), ("settled", false)] {
        let (mut scene_ms, mut draw_ms, mut quads, mut wishes) = (Vec::new(), Vec::new(), 0, 0);
        for frame in 0..FRAMES {
            let across = f64::from(show.info.size.width) - f64::from(VIEWPORT.width) / zoom;
            let x = (f64::from(frame) * PAN_SCREEN_PX / zoom).rem_euclid(across.max(1.0));
            let center = Point::new(f64::from(VIEWPORT.width) / 2.0 / zoom + x, f64::from(show.info.size.height) / 2.0);
            let camera = Camera { center, zoom, rotation_rad: 0.0, flipped: false, pixel_aspect: 1.0 };
            let now_secs = f64::from(frame) / 60.0;
            // What is missing comes before the frame that is timed.
            let missing = show.scenes(&camera, frame, moves, now_secs);
            wishes += missing.drawn.wishes.len();
            show.bring(&missing.drawn.wishes);
            let begun = system::thread_cpu_secs();
            let scenes = show.scenes(&camera, frame, moves, now_secs);
            scene_ms.push((system::thread_cpu_secs() - begun) * 1e3);
            let begun = system::thread_cpu_secs();
            show.draw(&scenes, &camera);
            draw_ms.push((system::thread_cpu_secs() - begun) * 1e3);
            show.device.poll(wgpu::PollType::wait_indefinitely()).expect("the GPU finishes");
            quads = quads.max(scenes.drawn.quads.len());
        }
        println!("{what}: {quads} quads at most, {wishes} tiles brought");
        println!("  scenes:        {}", spread(&mut scene_ms));
        println!("  to the GPU:    {}", spread(&mut draw_ms));
    }
}

struct Show {
    geometry: Arc<Geometry>,
    info: Arc<ImageInfo>,
    images: Vec<ImageInfo>,
    display: DisplaySettings,
    drawing: MosaicDrawing,
    renderer: TileRenderer,
    device: wgpu::Device,
    queue: wgpu::Queue,
}

impl Show {
    fn scenes(&mut self, camera: &Camera, frame: u32, moves: bool, now_secs: f64) -> MosaicScenes {
        let sway = |n: usize| {
            let phase = f64::from(frame) * 0.1 + n as f64;
            if moves { Point::new(phase.sin() * 12.0, phase.cos() * 12.0) } else { Point::default() }
        };
        let positions: Vec<Point> =
            self.geometry.fields.iter().enumerate().map(|(n, field)| field.position + sway(n)).collect();
        let places = MosaicPlaces { geometry: &self.geometry, info: &self.info, positions: &positions, moves };
        self.drawing.begin_frame(&places, now_secs);
        let generations =
            Generations { wanted: self.drawing.wanted_generation(), frame: self.drawing.frame_generation() };
        self.renderer.set_generations(SET, generations);
        self.drawing.scenes(&MosaicSceneRequest {
            mosaic: SceneRequest {
                image: &self.info,
                field: MOSAIC,
                z: 0,
                t: 0,
                camera,
                viewport: VIEWPORT,
                region: None,
                display: &self.display,
                outline: None,
                resident: &self.renderer.residency(SET),
                cache_budget_bytes: self.renderer.cache_budget_bytes(),
                now_secs,
                fade_secs: FADE_SECS,
            },
            images: &self.images,
            pair: None,
        })
    }

    fn draw(&mut self, scenes: &MosaicScenes, camera: &Camera) {
        let frame = Frame { set: SET, scene: &scenes.drawn, display: &self.display, camera, viewport: VIEWPORT };
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        self.renderer.prepare(&mut encoder, CanvasId(0), &frame);
        self.queue.submit([encoder.finish()]);
        if let Some(awaited) = &scenes.awaited {
            self.renderer.keep(SET, awaited.quads.iter().map(|quad| quad.key));
        }
    }

    fn bring(&mut self, keys: &[TileKey]) {
        for &key in keys {
            let image = if key.plane.field == MOSAIC { &*self.info } else { &self.images[key.plane.field as usize] };
            let tile = TilePixels {
                set: SET,
                key,
                format: TileFormat::Gray16,
                side: image.tile_side,
                valid: image.tile_rect(key).size(),
                coverage: Coverage::FULL,
                gaps: Gaps::Coming,
                generation: if key.plane.field == MOSAIC { self.geometry.generation } else { 0 },
                bytes: vec![64; TileFormat::Gray16.tile_bytes(image.tile_side)],
            };
            self.renderer.upload(&tile, -10.0);
        }
    }
}

fn field_image() -> ImageInfo {
    let channel = |n| ChannelInfo {
        name: format!("Channel {n}"),
        color: None,
        format: TileFormat::Gray16,
        role: ChannelRole::Intensity,
        significant_bits: None,
    };
    ImageInfo {
        name: "field".into(),
        size: FIELD,
        pixel_type: PixelType::U16,
        channels: (0..CHANNELS).map(channel).collect(),
        z_count: 1,
        t_count: 1,
        um_per_px: None,
        calibration: Calibration::Unknown,
        objective: None,
        tile_side: 256,
        levels: level_plan(&[FIELD], 256),
    }
}

fn spread(ms: &mut [f64]) -> String {
    ms.sort_by(f64::total_cmp);
    let at = |part: f64| ms[((ms.len() - 1) as f64 * part) as usize];
    format!("median {:.2} ms, 99th centile {:.2} ms, most {:.2} ms", at(0.5), at(0.99), at(1.0))
}
