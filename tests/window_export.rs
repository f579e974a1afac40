//! What the window exports is what its command line exports, byte for byte.

use microtome::app::Offscreen;
use microtome::engine::{Engine, EngineConfig};
use microtome::error::Result;
use microtome::export::{
    BandChannel, BandImage, BandPlane, BandSource, Covered, PixelLayout, TileCompression, write_raw_bands,
};
use microtome::geom::{PixelRect, Size};
use microtome::pixels::TileFormat;
use microtome::pyramid::Cancel;
use microtome::session::{
    Command, Compression, ExportChoices, ExportCommand, ExportPreset, ExportStage, PictureFormat, PictureSize,
    ViewMove, command_line,
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
    cache: PathBuf,
}

impl Window {
    fn new(cache: &Path) -> Option<Self> {
        if microtome::render::headless().is_err() {
            eprintln!("SKIPPED: there is no graphics adapter on this machine");
            return None;
        }
        let config = EngineConfig {
            cache_dir: cache.to_owned(),
            data_dir: cache.join("settings"),
            cache_limit_bytes: 1 << 30,
            threads: 2,
            no_cache: true,
        };
        let (wake, woken) = sync_channel(1);
        // One waiting word is enough: a frame takes in everything that came.
        let waker = Arc::new(move || wake.try_send(()).unwrap_or_default());
        let size = Size::new(900, 640);
        let window = Offscreen::new(size, 1.0, move || Engine::new(config, waker)).expect("a window");
        Some(Self { window, woken, started: Instant::now(), cache: cache.to_owned() })
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
            assert!(Instant::now() < until, "waited in vain until {what}");
            // The engine wakes the window; the time only keeps a lost word from hanging the test.
            self.woken.recv_timeout(Duration::from_millis(20)).unwrap_or_default();
            self.frame();
        }
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
        let session = self.window.app().session();
        let line = command_line(&session.export_plan().expect("a plan"), session.current().expect("an image"));
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
            .arg("--no-cache")
            .arg("--cache-dir")
            .arg(self.cache.join("of the command line"))
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
