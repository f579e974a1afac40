//! What the window exports is what its command line exports, byte for byte.

use microtome::app::Offscreen;
use microtome::engine::{Engine, EngineConfig, Evenness, MosaicPhase};
use microtome::error::Result;
use microtome::export::{
    BandChannel, BandImage, BandPlane, BandSource, Covered, PixelLayout, TileCompression, write_raw_bands,
};
use microtome::geom::{PixelRect, Point, Size};
use microtome::mosaic::illumination::LightVerdict;
use microtome::pixels::TileFormat;
use microtome::pyramid::Cancel;
use microtome::session::{
    Command, Compression, ExportChoices, ExportCommand, ExportPreset, ExportStage, MosaicCommand, PictureFormat,
    PictureSize, ViewMove,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

/// The longest that opening or exporting a few hundred pixels may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// An image whose samples come from a function of the place.
struct Painted {
    image: BandImage,
    value: fn(u32, u32, u16) -> [u16; 3],
    corner: (u32, u32),
}

impl BandSource for Painted {
    fn image(&self) -> &BandImage {
        &self.image
    }

    fn read_band(
        &self,
        plane: BandPlane,
        band: PixelRect,
        pixels: &mut [u8],
        _mask: &mut [u8],
        _cancel: &Cancel,
    ) -> Result<Covered> {
        let bpp = self.image.layout.bytes_per_px();
        let places = (band.y..band.bottom()).flat_map(|y| (band.x..band.right()).map(move |x| (x, y)));
        for (to, (x, y)) in pixels.chunks_exact_mut(bpp).zip(places) {
            let value = (self.value)(x + self.corner.0, y + self.corner.1, plane.channel);
            match bpp {
                2 => to.copy_from_slice(&value[0].to_ne_bytes()),
                _ => to.iter_mut().zip(value).for_each(|(to, v)| *to = v as u8),
            }
        }
        Ok(Covered::Whole)
    }
}

fn write(path: &Path, size: Size, format: TileFormat, channels: &[&str], corner: (u32, u32)) {
    let value = match format {
        TileFormat::Rgb8 => |x: u32, y: u32, _| [(x / 3 % 256) as u16, (y / 2 % 256) as u16, ((x ^ y) % 256) as u16],
        _ => |x: u32, y: u32, c: u16| {
            let wave = |v: u32, period: f64| (f64::from(v) / period).sin();
            let level = wave(x, 7.3) * wave(y, 9.1) + wave(x * y % 1013, 3.7) * 0.4 + wave(x + 2 * y, 31.0);
            [(3000.0 + 900.0 * level) as u16 + 500 * c, 0, 0]
        },
    };
    let image = BandImage {
        size,
        layout: PixelLayout::of(format),
        channels: channels.iter().map(|name| BandChannel { name: (*name).into(), color: None }).collect(),
        z_count: 1,
        t_count: 1,
        um_per_px: Some([0.5, 0.5]),
        objective: None,
        tile_side: 128,
    };
    let source = Painted { image, value, corner };
    write_raw_bands(&source, TileCompression::Deflate, path, &mut |_, _| {}, &Cancel::default()).expect("written");
}

/// A window that nobody sees, with its engine.
struct Window {
    window: Offscreen,
    woken: Receiver<()>,
    started: Instant,
    settings: PathBuf,
}

impl Window {
    fn new(cache: &Path) -> Option<Self> {
        if microtome::render::headless().is_err() {
            eprintln!("SKIPPED: there is no graphics adapter on this machine");
            return None;
        }
        let config = EngineConfig {
            cache_dir: cache.to_owned(),
            data_dir: microtome::engine::settings_in(cache),
            cache_limit_bytes: 1 << 30,
            threads: 2,
            no_cache: true,
        };
        let (wake, woken) = sync_channel(1);
        // One waiting word is enough: a frame takes in everything that came.
        let waker = Arc::new(move || wake.try_send(()).unwrap_or_default());
        let size = Size::new(900, 640);
        let window = Offscreen::new(size, 1.0, move || Engine::new(config, waker)).expect("a window");
        let settings = microtome::engine::settings_in(cache);
        Some(Self { window, woken, started: Instant::now(), settings })
    }

    fn command(&mut self, command: Command) {
        self.window.app().command(command);
        self.frame();
    }

    fn frame(&mut self) {
        self.window.frame(self.started.elapsed().as_secs_f64(), Vec::new());
    }

    /// Frames until something holds.
    fn until(&mut self, what: &str, holds: impl Fn(&microtome::session::Session) -> bool) {
        let until = Instant::now() + PATIENCE;
        while !holds(self.window.app().session()) {
            let mut stands = || {
                let view = self.window.app().session().current().and_then(|i| i.mosaic.as_ref());
                view.map(|view| (view.state.phase.clone(), view.state.evenness.clone()))
            };
            assert!(Instant::now() < until, "waited in vain until {what}: {:?}", stands());
            // The engine wakes the window; the time only keeps a lost word from hanging the test.
            self.woken.recv_timeout(Duration::from_millis(20)).unwrap_or_default();
            self.frame();
        }
    }

    /// Waits until a text of what a person decided about a mosaic is on the disk and holds these words.
    fn until_kept(&mut self, words: &str) {
        let settings = self.settings.clone();
        self.until(&format!("{words} is kept"), |_| {
            let files = std::fs::read_dir(&settings).into_iter().flatten().flatten();
            let texts = files.filter(|file| file.file_name().to_string_lossy().starts_with("mosaic-"));
            texts.flat_map(|file| std::fs::read_to_string(file.path())).any(|text| text.contains(words))
        });
    }

    /// Waits until the fields of a mosaic stand, and their light is known.
    fn until_lit(&mut self, stands: impl Fn(&microtome::engine::MosaicState) -> bool) {
        self.until("the light is known", |s| {
            let view = s.current().and_then(|i| i.mosaic.as_ref());
            let state = view.map(|view| &view.state).filter(|state| state.phase == MosaicPhase::Aligned);
            state.is_some_and(|state| stands(state) && matches!(state.evenness, Evenness::Known(_)))
        });
        self.until("nothing is being done", |s| s.jobs().is_empty());
    }

    fn open(&mut self, path: &Path) {
        self.command(Command::SetMotion(false));
        self.command(Command::Open(vec![path.to_owned()]));
        self.until("the image is open and prepared", |s| {
            s.current().is_some_and(|i| i.channels.iter().all(|c| !c.waits())) && s.jobs().is_empty()
        });
    }

    /// Exports through the panel; the command line that the panel shows.
    fn export(&mut self, preset: ExportPreset, choices: ExportChoices, to: &Path) -> String {
        self.command(Command::Export(ExportCommand::Open(Some(preset))));
        self.command(Command::Export(ExportCommand::Choose(ExportChoices { preset, ..choices })));
        self.command(Command::Export(ExportCommand::SetFile { path: to.to_owned(), agreed_to_replace: false }));
        let line = self.window.app().session().export_command_line().expect("a line");
        self.command(Command::Export(ExportCommand::Start));
        self.until("the export has ended", |s| !s.export().expect("the panel is open").stage.is_busy());
        let stage = self.window.app().session().export().expect("open").stage.clone();
        assert!(matches!(stage, ExportStage::Done { .. }), "{preset:?}: {stage:?}");
        self.command(Command::Export(ExportCommand::Again));
        line
    }

    /// Runs a command line of the panel, writing to another file.
    fn run(&self, line: &str, instead_of: &Path, to: &Path) {
        let words = words(line);
        assert_eq!(words[0], "microtome");
        let arguments =
            words[1..].iter().map(|word| if Path::new(word) == instead_of { to.into() } else { word.into() });
        let arguments: Vec<std::ffi::OsString> = arguments.collect();
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_microtome"))
            .args(&arguments)
            .output()
            .expect("the program runs");
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn proves_equal(&mut self, preset: ExportPreset, choices: &ExportChoices, folder: &Path, ending: &str) {
        let by_window = folder.join(format!("by window.{ending}"));
        let by_command = folder.join(format!("by command.{ending}"));
        let line = self.export(preset, choices.clone(), &by_window);
        self.run(&line, &by_window, &by_command);
        let read = |path: &Path| std::fs::read(path).expect("written");
        let (a, b) = (read(&by_window), read(&by_command));
        assert!(a.len() > 500 && a == b, "{line}: {} and {} bytes differ", a.len(), b.len());
        for path in [by_window, by_command] {
            std::fs::remove_file(path).expect("removed");
        }
    }
}

/// The words of a command line, taken apart as a shell does.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            c => words.last_mut().expect("one").push(c),
        }
    }
    words
}

#[test]
fn samples_of_a_slide_are_those_of_the_command_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let slide = folder.path().join("a slide's.tif");
    write(&slide, Size::new(700, 520), TileFormat::Gray16, &["DAPI", "CD3"], (0, 0));
    // A quote in a name would need more of a shell than this test has.
    let plain = folder.path().join("a slide.tif");
    std::fs::rename(&slide, &plain).expect("renamed");
    let Some(mut window) = Window::new(&folder.path().join("cache")) else { return };
    window.open(&plain);
    let choices = ExportChoices { compression: Compression::Zstd, ..ExportChoices::default() };
    window.proves_equal(ExportPreset::WholeOmeTiff, &choices, folder.path(), "ome.tif");
    window.proves_equal(ExportPreset::RegionOmeTiff, &choices, folder.path(), "ome.tif");
    window.command(Command::Export(ExportCommand::ToggleChannel(0)));
    window.proves_equal(ExportPreset::RegionRaw, &choices, folder.path(), "tif");
}

#[test]
fn pictures_of_a_slide_are_those_of_the_command_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let slide = folder.path().join("colour.tif");
    write(&slide, Size::new(900, 640), TileFormat::Rgb8, &["RGB"], (0, 0));
    let Some(mut window) = Window::new(&folder.path().join("cache")) else { return };
    window.open(&slide);
    window.command(Command::Move(ViewMove::Scale(0.8)));
    window.command(Command::Move(ViewMove::RotateTo(15.0)));
    let choices = ExportChoices::default();
    window.proves_equal(ExportPreset::ViewPicture, &choices, folder.path(), "png");
    let larger = ExportChoices { view_size: PictureSize::Scale(1.7), ..ExportChoices::default() };
    window.proves_equal(ExportPreset::ViewPicture, &larger, folder.path(), "tif");
    let print = PictureSize::Print { width_mm: 60.0, dpi: 300.0 };
    let print = ExportChoices { picture: PictureFormat::Jpeg, region_size: print, ..ExportChoices::default() };
    window.proves_equal(ExportPreset::RegionPicture, &print, folder.path(), "jpg");
}

#[test]
fn a_mosaic_is_that_of_the_command_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let fields = folder.path().join("fields");
    std::fs::create_dir(&fields).expect("a folder");
    let mut layout = String::from("dim = 2\n");
    for (row, column) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        let (name, corner) = (format!("f{row}{column}.tif"), (column * 200, row * 200));
        write(&fields.join(&name), Size::new(256, 256), TileFormat::Gray16, &["DAPI"], corner);
        layout.push_str(&format!("{name}; ; ({}.0, {}.0)\n", corner.0, corner.1));
    }
    std::fs::write(fields.join("TileConfiguration.txt"), layout).expect("written");
    let Some(mut window) = Window::new(&folder.path().join("cache")) else { return };
    window.open(&fields);
    window.until("the fields are aligned", |s| {
        s.current()
            .and_then(|i| i.mosaic.as_ref())
            .is_some_and(|m| m.state.alignment.is_some() && !m.state.is_aligning())
    });
    window.until("nothing is being done", |s| s.jobs().is_empty());
    let choices = ExportChoices { outlines: true, ..ExportChoices::default() };
    window.proves_equal(ExportPreset::WholeOmeTiff, &choices, folder.path(), "ome.tif");
    window.proves_equal(ExportPreset::RegionRaw, &choices, folder.path(), "tif");
    window.proves_equal(ExportPreset::RegionPicture, &choices, folder.path(), "png");
}

/// The side of a field that is lit unevenly, and how far apart such fields stand.
const LIT_SIDE: u32 = 256;
const LIT_STEP: u32 = 196;

/// Nine fields of one tissue under a light that is weaker towards the corners, and their layout, a few pixels off.
fn write_lit(folder: &Path) {
    std::fs::create_dir(folder).expect("a folder");
    let mut layout = String::from("dim = 2\n");
    for (n, (row, column)) in (0..3).flat_map(|row| (0..3).map(move |column| (row, column))).enumerate() {
        let (name, n) = (format!("f{row}{column}.tif"), n as u32);
        let corner = (column * LIT_STEP + n * 7 % 5, row * LIT_STEP + n * 5 % 4);
        let size = Size::new(LIT_SIDE, LIT_SIDE);
        let channel = BandChannel { name: "DAPI".into(), color: None };
        let layout_16 = PixelLayout::of(TileFormat::Gray16);
        let image = BandImage {
            size,
            layout: layout_16,
            channels: vec![channel],
            z_count: 1,
            t_count: 1,
            um_per_px: Some([0.5, 0.5]),
            objective: None,
            tile_side: 128,
        };
        write_raw_bands(
            &Lit { image, corner },
            TileCompression::Deflate,
            &folder.join(&name),
            &mut |_, _| {},
            &Cancel::default(),
        )
        .expect("written");
        layout.push_str(&format!("{name}; ; ({}.0, {}.0)\n", column * LIT_STEP, row * LIT_STEP));
    }
    std::fs::write(folder.join("TileConfiguration.txt"), layout).expect("written");
}

/// Tissue without end: round spots at places that a hash gives.
fn tissue(x: u32, y: u32) -> f64 {
    const CELL: u32 = 20;
    let mut level = 9000.0;
    for (i, j) in [0, 1, 2].into_iter().flat_map(|i| [0, 1, 2].map(|j| (x / CELL + i, y / CELL + j))) {
        let mut h = u64::from(i) << 32 | u64::from(j);
        h = (h ^ (h >> 31)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        h = (h ^ (h >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        h ^= h >> 32;
        let part = |shift: u32| (h >> shift & 0xFF) as f64 / 255.0;
        // Cells count from one to the left, so that none of them is negative.
        let at = |cell: u32, along: f64| (f64::from(cell) - 1.0 + along) * f64::from(CELL);
        let (dx, dy) = (f64::from(x) - at(i, part(0)), f64::from(y) - at(j, part(8)));
        let size = 2.0 + 4.0 * part(16);
        level += 6000.0 * part(24) * (-(dx * dx + dy * dy) / (2.0 * size * size)).exp();
    }
    level
}

/// A field of the tissue under uneven light.
struct Lit {
    image: BandImage,
    corner: (u32, u32),
}

impl BandSource for Lit {
    fn image(&self) -> &BandImage {
        &self.image
    }

    fn read_band(
        &self,
        _plane: BandPlane,
        band: PixelRect,
        pixels: &mut [u8],
        _mask: &mut [u8],
        _cancel: &Cancel,
    ) -> Result<Covered> {
        let places = (band.y..band.bottom()).flat_map(|y| (band.x..band.right()).map(move |x| (x, y)));
        for (to, (x, y)) in pixels.chunks_exact_mut(2).zip(places) {
            let level = tissue(x + self.corner.0, y + self.corner.1);
            let from_middle = |v: u32| f64::from(v) / f64::from(LIT_SIDE) * 2.0 - 1.0;
            let light = 1.0 - 0.2 * (from_middle(x).powi(2) + from_middle(y).powi(2));
            to.copy_from_slice(&((level * light) as u16).to_ne_bytes());
        }
        Ok(Covered::Whole)
    }
}

#[test]
fn an_evened_mosaic_is_the_same_in_the_window_later_and_on_the_command_line_also_after_a_field_was_moved() {
    let folder = tempfile::tempdir().expect("a folder");
    let (fields, cache) = (folder.path().join("fields"), folder.path().join("a cache"));
    write_lit(&fields);
    let Some(mut window) = Window::new(&cache) else { return };
    window.open(&fields);
    window.until_lit(|_| true);
    let evenness =
        window.window.app().session().current().and_then(|i| i.mosaic.as_ref()).map(|m| m.state.evenness.clone());
    let Some(Evenness::Known(found)) = &evenness else { panic!("{evenness:?}") };
    assert_eq!(found[0].verdict, LightVerdict::Kept, "{found:?}");
    let choices = ExportChoices { even_illumination: true, ..ExportChoices::default() };
    window.proves_equal(ExportPreset::RegionRaw, &choices, folder.path(), "tif");
    window.proves_equal(ExportPreset::WholeOmeTiff, &choices, folder.path(), "ome.tif");
    // What `stitch` writes of the same fields is the same file.
    let (whole, stitched) = (folder.path().join("whole.ome.tif"), folder.path().join("stitched.ome.tif"));
    window.export(ExportPreset::WholeOmeTiff, choices.clone(), &whole);
    let line = format!("microtome stitch {} -o OUT --even-illumination --cache-dir", fields.display());
    window.run(&format!("{line} '{}'", cache.display()), Path::new("OUT"), &stitched);
    assert!(std::fs::read(&whole).expect("written") == std::fs::read(&stitched).expect("written"));

    // A field is moved by hand, blending and the switch are changed: the command line finds all of it.
    window.command(Command::Mosaic(MosaicCommand::EvenIllumination(true)));
    window.command(Command::Mosaic(MosaicCommand::SetBlend(microtome::mosaic::Blend::Linear)));
    window.command(Command::Mosaic(MosaicCommand::DragField(4, Point::new(9.0, -7.0))));
    window.command(Command::Mosaic(MosaicCommand::DropField));
    window.until_kept("shift");
    window.until_lit(|state| {
        let alignment = state.alignment.as_ref().expect("aligned");
        let by_hand = microtome::stitch::solve::EdgeStatus::ShiftedByHand;
        state.illumination.is_some() && alignment.report.edges.iter().any(|edge| edge.status == by_hand)
    });
    window.proves_equal(ExportPreset::RegionRaw, &choices, folder.path(), "tif");
    window.proves_equal(ExportPreset::RegionPicture, &choices, folder.path(), "png");
    let moved = folder.path().join("moved.tif");
    window.export(ExportPreset::RegionRaw, choices.clone(), &moved);
    let region = window.window.app().session().export_region().expect("a region");
    let line = window.window.app().session().export_command_line().expect("a line");
    assert!(line.contains("--even-illumination") && line.contains("--cache-dir"), "{line}");
    drop(window);

    let mut again = Window::new(&cache).expect("as before");
    again.open(&fields);
    again.until_lit(|state| state.illumination.is_some());
    again.command(Command::Export(ExportCommand::Open(Some(ExportPreset::RegionRaw))));
    again.command(Command::Export(ExportCommand::SetRegion(region)));
    let later = folder.path().join("later.tif");
    again.export(ExportPreset::RegionRaw, choices, &later);
    assert!(std::fs::read(&moved).expect("written") == std::fs::read(&later).expect("written"), "opened again");
}
