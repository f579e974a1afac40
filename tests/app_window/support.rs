//! The whole window off screen, with synthetic images whose tiles a test brings.

use egui_kittest::{Harness, wgpu::WgpuTestRenderer};
use microtome::app::App;
use microtome::engine::{ChannelStatistics, Event, OpenedSet, Window};
use microtome::geom::Size;
use microtome::pixels::{PixelType, TileFormat, ValueCoding};
use microtome::pyramid::{
    AssociatedInfo, Calibration, ChannelInfo, ChannelRole, Coverage, Gaps, ImageInfo, PlaneId, SetId, TileKey,
    TilePixels, level_plan,
};
use microtome::session::Command;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

pub const TILE: u32 = 256;

/// The window in a harness. `None`, loudly, where there is no graphics adapter.
pub struct Bench {
    pub harness: Harness<'static, ()>,
    pub app: Rc<RefCell<Option<App>>>,
}

impl Bench {
    pub fn new(width: f32, height: f32, pixels_per_point: f32) -> Option<Self> {
        Self::with_theme(width, height, pixels_per_point, egui::Theme::Dark)
    }

    pub fn with_theme(width: f32, height: f32, pixels_per_point: f32, theme: egui::Theme) -> Option<Self> {
        let mut setup = egui_kittest::wgpu::default_wgpu_setup();
        if let egui_wgpu::WgpuSetup::CreateNew(new) = &mut setup {
            new.device_descriptor = Arc::new(microtome::render::device_descriptor);
        }
        if microtome::render::headless().is_err() {
            eprintln!("SKIPPED: there is no graphics adapter on this machine");
            return None;
        }
        let state = egui_kittest::wgpu::create_render_state(setup, egui_wgpu::RendererOptions::PREDICTABLE);
        let app = Rc::new(RefCell::new(None::<App>));
        let (made, shown, for_app) = (app.clone(), app.clone(), state.clone());
        let harness = Harness::builder()
            .with_size(egui::vec2(width, height))
            .with_pixels_per_point(pixels_per_point)
            .with_theme(theme)
            .with_max_steps(200)
            .renderer(WgpuTestRenderer::from_render_state(state))
            .with_context_setup(move |ctx| *made.borrow_mut() = Some(App::new(ctx, Some(&for_app), None)))
            .build_ui(move |ui| {
                if let Some(app) = shown.borrow_mut().as_mut() {
                    // The harness leaves a margin that a window has not.
                    let rect = ui.ctx().content_rect();
                    ui.scope_builder(egui::UiBuilder::new().max_rect(rect), |ui| {
                        ui.set_clip_rect(rect);
                        app.frame_ui(ui);
                    });
                }
            });
        Some(Self { harness, app })
    }

    pub fn event(&mut self, event: Event) {
        let ctx = self.harness.ctx.clone();
        self.app.borrow_mut().as_mut().expect("an app").take_event(&ctx, event);
    }

    pub fn command(&mut self, command: Command) {
        self.app.borrow_mut().as_mut().expect("an app").command(command);
    }

    pub fn session<R>(&self, read: impl FnOnce(&microtome::session::Session) -> R) -> R {
        read(self.app.borrow().as_ref().expect("an app").session())
    }

    /// Opens a set with all its tiles.
    pub fn open(&mut self, set: &Arc<OpenedSet>, value: impl Fn(u16, f64, f64) -> [u16; 3]) {
        let field = set.first();
        self.command(Command::Open(vec![set.path.clone()]));
        self.harness.step();
        self.event(Event::Opened(set.clone()));
        for (channel, info) in set.images[0].channels.iter().enumerate() {
            let statistics = statistics(set, channel as u16, info.format, &value);
            self.event(Event::Statistics { set: set.id, field, channel: channel as u16, statistics });
        }
        for tile in tiles(set, &value) {
            self.event(Event::Tile(Arc::new(tile)));
        }
        // A frame uploads at least one tile; fades end long before the last one.
        while self.app.borrow().as_ref().is_some_and(App::has_uploads_waiting) {
            self.harness.step();
        }
        self.harness.run_steps(12);
    }

    pub fn save(&mut self, name: &str) {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("target/screens");
        std::fs::create_dir_all(&folder).expect("target is writable");
        let picture = self.harness.render().expect("it renders");
        picture.save(folder.join(format!("{name}.png"))).expect("it is written");
    }
}

fn channel(name: &str, format: TileFormat, color: Option<[u8; 3]>) -> ChannelInfo {
    ChannelInfo { name: name.into(), color, format, role: ChannelRole::Intensity, significant_bits: None }
}

fn set(id: u32, path: &str, size: Size, channels: Vec<ChannelInfo>, um_per_px: Option<f64>) -> Arc<OpenedSet> {
    let rgb = channels[0].format == TileFormat::Rgb8;
    let image = ImageInfo {
        name: String::new(),
        size,
        pixel_type: if rgb { PixelType::Rgb8 } else { PixelType::U16 },
        channels,
        z_count: 1,
        t_count: 1,
        um_per_px: um_per_px.map(|um| [um, um]),
        calibration: if um_per_px.is_some() { Calibration::File } else { Calibration::Unknown },
        objective: um_per_px.map(|_| 20.0),
        tile_side: TILE,
        levels: level_plan(&[size], TILE),
    };
    let metadata =
        [("Acquired", "2026-10-02T09:14:00"), ("Exposure of DAPI", "12 ms"), ("Stage", "X 12430 um, Y 8112 um")];
    Arc::new(OpenedSet {
        id: SetId(id),
        path: path.into(),
        format: if rgb { "Aperio SVS".into() } else { "OME-TIFF".into() },
        images: vec![image],
        mosaic: None,
        associated: if rgb { vec![AssociatedInfo { name: "label".into(), size: Size::new(387, 463) }] } else { vec![] },
        metadata: metadata.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect::<BTreeMap<_, _>>(),
        warnings: vec![],
    })
}

pub fn fluorescence(id: u32, path: &str) -> Arc<OpenedSet> {
    let channels = vec![
        channel("DAPI", TileFormat::Gray16, Some([77, 107, 255])),
        channel("CD3", TileFormat::Gray16, Some([40, 220, 90])),
        channel("Ki-67", TileFormat::Gray16, Some([255, 70, 90])),
        channel("PanCK", TileFormat::Gray16, Some([255, 190, 50])),
    ];
    set(id, path, Size::new(1401, 1051), channels, Some(0.5))
}

pub fn brightfield(id: u32, path: &str, um_per_px: Option<f64>) -> Arc<OpenedSet> {
    set(id, path, Size::new(1301, 1101), vec![channel("RGB", TileFormat::Rgb8, None)], um_per_px)
}

fn noise(x: i64, y: i64, seed: i64) -> f64 {
    let mut h = (x.wrapping_mul(0x9E37_79B9_7F4A_7C15u64 as i64) ^ y.wrapping_mul(0x2545_F491_4F6C_DD1D) ^ seed) as u64;
    h = (h ^ (h >> 31)).wrapping_mul(0xD6E8_FEB8_6659_FD93);
    ((h ^ (h >> 29)) & 0xFFFF) as f64 / 65535.0
}

fn smooth(x: f64, y: f64, cell: f64, seed: i64) -> f64 {
    let (cx, cy) = ((x / cell).floor(), (y / cell).floor());
    let (fx, fy) = (x / cell - cx, y / cell - cy);
    let (fx, fy) = (fx * fx * (3.0 - 2.0 * fx), fy * fy * (3.0 - 2.0 * fy));
    let at = |dx: i64, dy: i64| noise(cx as i64 + dx, cy as i64 + dy, seed);
    let top = at(0, 0) * (1.0 - fx) + at(1, 0) * fx;
    let bottom = at(0, 1) * (1.0 - fx) + at(1, 1) * fx;
    top * (1.0 - fy) + bottom * fy
}

/// Round nuclei, one in every cell of a grid: how bright a place is, 0 to 1, and which nucleus it is.
fn nuclei(x: f64, y: f64) -> (f64, f64) {
    const CELL: f64 = 22.0;
    let (cx, cy) = ((x / CELL).floor() as i64, (y / CELL).floor() as i64);
    let mut best = (0.0, 0.0);
    for dy in -1..=1 {
        for dx in -1..=1 {
            let (nx, ny) = (cx + dx, cy + dy);
            let at = |n: i64, s: i64| (n as f64 + 0.2 + 0.6 * noise(nx, ny, s)) * CELL;
            let radius = 5.0 + 4.0 * noise(nx, ny, 3);
            let d = (x - at(nx, 1)).hypot((y - at(ny, 2)) * 1.15) / radius;
            let light = (1.2 - d).clamp(0.0, 1.0);
            if light > best.0 {
                best = (light, noise(nx, ny, 4));
            }
        }
    }
    best
}

/// Stored values of a synthetic tissue.
pub fn tissue(channel: u16, x: f64, y: f64) -> [u16; 3] {
    let (nucleus, kind) = nuclei(x, y);
    let region = smooth(x, y, 260.0, 7);
    let fibres = smooth(x * 0.3 + y, y * 0.2 - x * 0.1, 24.0, 9);
    let v = match channel {
        0 => nucleus * (0.5 + 0.5 * kind) * if region > 0.25 { 1.0 } else { 0.3 },
        1 => fibres.powi(2) * if region < 0.5 { 0.9 } else { 0.15 },
        2 => nucleus * if kind > 0.86 && region > 0.4 { 1.0 } else { 0.02 },
        _ => (1.0 - nucleus) * if region > 0.62 { 0.7 * fibres } else { 0.03 },
    };
    [(180.0 + 5200.0 * v + 40.0 * noise(x as i64, y as i64, i64::from(channel))) as u16, 0, 0]
}

/// Colours of a synthetic stained slide.
pub fn stained(_channel: u16, x: f64, y: f64) -> [u16; 3] {
    let (nucleus, kind) = nuclei(x, y);
    let edge = (x - 650.0).hypot(y - 550.0) + 90.0 * smooth(x, y, 90.0, 3);
    if edge > 540.0 {
        return [242, 242, 243];
    }
    let fibres = smooth(x + y * 0.4, y, 30.0, 5);
    let eosin = [236.0 - 20.0 * fibres, 168.0 - 60.0 * fibres, 198.0 - 30.0 * fibres];
    let hematoxylin = [92.0 + 40.0 * kind, 70.0 + 40.0 * kind, 140.0 + 30.0 * kind];
    std::array::from_fn(|n| (eosin[n] * (1.0 - nucleus) + hematoxylin[n] * nucleus) as u16)
}

fn tiles(set: &OpenedSet, value: &impl Fn(u16, f64, f64) -> [u16; 3]) -> Vec<TilePixels> {
    let image = &set.images[0];
    let mut tiles = Vec::new();
    for level in (0..image.levels.len() as u8).rev() {
        for channel in 0..image.channels.len() as u16 {
            let count = image.tiles(level);
            for y in 0..count.height {
                for x in 0..count.width {
                    let plane = PlaneId { field: set.first(), channel, z: 0, t: 0 };
                    tiles.push(tile(set, TileKey { plane, level, x, y }, value));
                }
            }
        }
    }
    tiles
}

pub fn tile(set: &OpenedSet, key: TileKey, value: &impl Fn(u16, f64, f64) -> [u16; 3]) -> TilePixels {
    let image = &set.images[0];
    let format = image.channels[key.plane.channel as usize].format;
    let rect = image.tile_rect(key);
    let [dx, dy] = image.levels[key.level as usize].downsample;
    let mut bytes = vec![0; format.tile_bytes(TILE)];
    let step = format.bytes_per_px();
    for row in 0..rect.height {
        for column in 0..rect.width {
            let (x, y) = ((f64::from(rect.x + column) + 0.5) * dx, (f64::from(rect.y + row) + 0.5) * dy);
            let v = value(key.plane.channel, x, y);
            let at = (row * TILE + column) as usize * step;
            match format {
                TileFormat::Gray8 => bytes[at] = v[0] as u8,
                TileFormat::Gray16 => bytes[at..at + 2].copy_from_slice(&v[0].to_ne_bytes()),
                TileFormat::Rgb8 => bytes[at..at + 3].copy_from_slice(&v.map(|v| v as u8)),
            }
        }
    }
    TilePixels {
        set: set.id,
        key,
        format,
        side: TILE,
        valid: rect.size(),
        coverage: Coverage::FULL,
        gaps: Gaps::Coming,
        generation: set.mosaic.as_ref().map_or(0, |mosaic| mosaic.state.geometry.generation),
        bytes,
    }
}

fn statistics(
    set: &OpenedSet,
    channel: u16,
    format: TileFormat,
    value: &impl Fn(u16, f64, f64) -> [u16; 3],
) -> Arc<ChannelStatistics> {
    let size = set.images[0].size;
    let mut values: Vec<u16> = Vec::new();
    for y in (0..size.height).step_by(7) {
        for x in (0..size.width).step_by(7) {
            let v = value(channel, f64::from(x), f64::from(y));
            values.push(if format == TileFormat::Rgb8 { (v[0] + v[1] + v[2]) / 3 } else { v[0] });
        }
    }
    values.sort_unstable();
    let mut histogram = vec![0; 256];
    let per_bin = if format == TileFormat::Gray16 { 256 } else { 1 };
    values.iter().for_each(|v| histogram[usize::from(v / per_bin)] += 1);
    let at = |share: f64| values[((values.len() - 1) as f64 * share) as usize];
    Arc::new(ChannelStatistics {
        histogram,
        bin_values: per_bin.into(),
        range: (at(0.0).into(), at(1.0).into()),
        window: Window { min: at(0.02).into(), max: at(0.997).into() },
        coding: ValueCoding::IDENTITY,
        settled: true,
    })
}

impl Bench {
    /// Opens a set without bringing any tile.
    pub fn open_bare(&mut self, set: &Arc<OpenedSet>) {
        self.command(Command::Open(vec![set.path.clone()]));
        self.harness.step();
        self.event(Event::Opened(set.clone()));
        self.harness.run_steps(3);
    }

    /// The camera of the image on the canvas, and the canvas in physical pixels.
    pub fn camera(&self) -> (microtome::view::Camera, Size) {
        self.session(|s| (s.current().expect("an image").camera, s.canvas()))
    }

    /// The canvas's corner in points.
    pub fn canvas_corner(&self) -> egui::Pos2 {
        use egui_kittest::kittest::Queryable as _;
        self.harness.get_by_label("Canvas").rect().min
    }

    /// The canvas's middle in points.
    pub fn canvas_middle(&self) -> egui::Pos2 {
        use egui_kittest::kittest::Queryable as _;
        self.harness.get_by_label("Canvas").rect().center()
    }

    /// Drags with the primary button, as a hand does: over several frames.
    pub fn drag(&mut self, from: egui::Pos2, by: egui::Vec2) {
        self.harness.hover_at(from);
        self.harness.step();
        self.harness.drag_at(from);
        self.harness.step();
        for part in [0.5, 1.0] {
            self.harness.hover_at(from + by * part);
            self.harness.step();
        }
        self.harness.drop_at(from + by);
        self.harness.run_steps(2);
    }

    /// The place of the image (level-0 pixels) under a place of the window in points.
    pub fn image_at(&self, at: egui::Pos2) -> microtome::geom::Point {
        let (camera, canvas) = self.camera();
        let v = (at - self.canvas_corner()) * self.harness.ctx.pixels_per_point();
        camera.image_from_screen(canvas).apply(microtome::geom::Point::new(v.x.into(), v.y.into()))
    }

    pub fn key(&mut self, modifiers: egui::Modifiers, key: egui::Key) {
        self.harness.key_press_modifiers(modifiers, key);
        self.harness.run_steps(3);
    }

    pub fn scroll(&mut self, unit: egui::MouseWheelUnit, delta: egui::Vec2, modifiers: egui::Modifiers) {
        let (phase, source) = (egui::TouchPhase::Move, egui::MouseWheelSource::Unknown);
        self.harness.event(egui::Event::MouseWheel { unit, delta, phase, source, modifiers });
    }
}
