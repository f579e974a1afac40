//! Images on disk, the window they are opened in, and the pictures that the binary takes of them.

use crate::cpu::Picture;
use microtome::app::Offscreen;
use microtome::engine::{Engine, EngineConfig};
use microtome::export::{
    OmeImage, PixelLayout, TiffPage, TiffPlan, TileCompression, TileEncoder, TiledTiffWriter, ome_xml,
};
use microtome::geom::Size;
use microtome::pixels::TileFormat;
use microtome::session::{Command, OpenImage, WindowOrigin};
use microtome::view::Camera;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

/// The window in points.
const WINDOW: [u32; 2] = [1200, 700];
/// What the panels take of it on the left, top, right and bottom, in points.
const PANELS: [u32; 4] = [250, 40, 300, 28];
/// The side of a tile in the written files.
const TILE_SIDE: u32 = 128;
/// Frames before a window that shows nothing is a failure; between two of them it waits for the engine.
const MOST_FRAMES: u32 = 5_000;
/// Seconds on the window's clock from frame to frame: so few that no patience of its own ends.
const FRAME_SECS: f64 = 1e-4;

/// Whether there is a graphics adapter; says loudly when there is none.
pub fn has_gpu() -> bool {
    let found = microtome::render::headless();
    if let Err(error) = &found {
        eprintln!("SKIPPED: no GPU adapter ({error})");
    }
    found.is_ok()
}

/// An image to write.
pub struct Image<'a> {
    pub size: Size,
    pub format: TileFormat,
    pub channels: &'a [(&'a str, Option<[u8; 3]>)],
    pub um_per_px: Option<f64>,
    /// A sample by channel, column, row and component.
    pub sample: &'a dyn Fn(u16, u32, u32, u32) -> u16,
}

/// A folder with one image in it; the window and the binary each have a cache of their own.
pub struct Place {
    folder: tempfile::TempDir,
    pub image: PathBuf,
}

impl Place {
    pub fn with(image: &Image<'_>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("image.ome.tif");
        write(image, &path);
        Self { folder, image: path }
    }

    /// Overlapping fields and where a stage would say that they stand.
    pub fn with_fields(fields: &[(Image<'_>, [u32; 2])]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("fields");
        std::fs::create_dir(&path).expect("a folder");
        let mut layout = "dim = 2\n".to_owned();
        for (n, (image, [x, y])) in fields.iter().enumerate() {
            let name = format!("field_{n}.ome.tif");
            write(image, &path.join(&name));
            layout += &format!("{name}; ; ({x}.0, {y}.0)\n");
        }
        std::fs::write(path.join("TileConfiguration.txt"), layout).expect("written");
        Self { folder, image: path }
    }

    /// The binary's cache folder, with its settings.
    pub fn cache(&self) -> PathBuf {
        self.folder.path().join("cache")
    }

    /// Runs the binary: `arguments` after the image and the output. The answer is the picture.
    pub fn run(&self, command: &str, extension: &str, arguments: &[&str]) -> Picture {
        let output = self.folder.path().join(format!("{command}.{extension}"));
        if output.exists() {
            std::fs::remove_file(&output).expect("removed");
        }
        let run = std::process::Command::new(env!("CARGO_BIN_EXE_microtome"))
            .args(["--progress", "none", "--cache-dir"])
            .arg(self.cache())
            .arg(command)
            .arg(&self.image)
            .arg("-o")
            .arg(&output)
            .args(arguments)
            .output()
            .expect("the binary runs");
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        if extension == "png" { read_png(&output) } else { read_tiff(&output) }
    }
}

/// Writes an image as tiled OME-TIFF.
fn write(image: &Image<'_>, path: &Path) {
    let layout = PixelLayout::of(image.format);
    let um_per_px = image.um_per_px.map(|um| [um, um]);
    let Image { size, format, channels, sample, .. } = *image;
    let xml = ome_xml(&OmeImage {
        name: "image",
        size,
        layout,
        z_count: 1,
        t_count: 1,
        channels,
        um_per_px,
        objective: None,
    });
    let compression = TileCompression::Deflate;
    let mut plan = TiffPlan::default();
    let mut description = Some(xml);
    let mut page = || {
        let description = description.take();
        plan.add_page(TiffPage { size, tile_side: TILE_SIDE, layout, compression, um_per_px, description })
    };
    let pages: Vec<_> = channels.iter().map(|_| page()).collect();
    let mut writer = TiledTiffWriter::create(path, &plan).expect("created");
    let mut encoder = TileEncoder::new(compression, layout, TILE_SIDE, path).expect("an encoder");
    for (channel, page) in (0..).zip(pages) {
        for (ty, tx) in
            (0..size.height.div_ceil(TILE_SIDE)).flat_map(|y| (0..size.width.div_ceil(TILE_SIDE)).map(move |x| (y, x)))
        {
            let mut tile = Vec::with_capacity(layout.tile_bytes(TILE_SIDE));
            for (y, x) in (0..TILE_SIDE).flat_map(|y| (0..TILE_SIDE).map(move |x| (y, x))) {
                let value = |component| sample(channel, tx * TILE_SIDE + x, ty * TILE_SIDE + y, component);
                match format {
                    TileFormat::Gray8 => tile.push(value(0) as u8),
                    TileFormat::Gray16 => tile.extend(value(0).to_ne_bytes()),
                    TileFormat::Rgb8 => tile.extend((0..3).map(|component| value(component) as u8)),
                }
            }
            let packed = encoder.encode(&tile, path).expect("packed");
            writer.write_tile(page, tx, ty, &packed).expect("written");
        }
    }
    writer.finish().expect("finished");
}

fn read_png(path: &Path) -> Picture {
    let picture = image::open(path).expect("a PNG").to_rgba8();
    Picture { size: Size::new(picture.width(), picture.height()), rgba: picture.into_raw() }
}

fn read_tiff(path: &Path) -> Picture {
    let mut decoder = tiff::decoder::Decoder::new(std::fs::File::open(path).expect("written")).expect("a TIFF");
    let (width, height) = decoder.dimensions().expect("a size");
    let tiff::decoder::DecodingResult::U8(rgb) = decoder.read_image().expect("pixels") else {
        panic!("rendered pictures have 8 bits");
    };
    let rgba = rgb.chunks_exact(3).flat_map(|px| [px[0], px[1], px[2], 255]).collect();
    Picture { size: Size::new(width, height), rgba }
}

/// The whole window, off screen, with the real engine.
pub struct Window {
    window: Offscreen,
    woken: Receiver<()>,
    scale: u32,
    now_secs: f64,
}

impl Window {
    /// Opens an image on a screen of `scale` pixels a point, and waits for its first whole picture.
    pub fn open(place: &Place, scale: u32) -> Self {
        let config = EngineConfig {
            cache_dir: place.folder.path().join("window"),
            data_dir: place.folder.path().join("window-settings"),
            cache_limit_bytes: 1 << 30,
            threads: 1,
            no_cache: true,
        };
        let (wake, woken) = sync_channel(1);
        let waker = Arc::new(move || {
            // One waiting word is enough.
            wake.try_send(()).unwrap_or_default();
        });
        let size = Size::new(WINDOW[0] * scale, WINDOW[1] * scale);
        let window = Offscreen::new(size, scale as f32, move || Engine::new(config, waker)).expect("a window");
        let mut window = Self { window, woken, scale, now_secs: 0.0 };
        window.window.app().command(Command::SetMotion(false));
        window.does(Command::Open(vec![place.image.clone()]));
        window
    }

    /// Does what a user could do, and waits until all of it is to be seen.
    pub fn does(&mut self, command: Command) {
        self.window.app().command(command);
        let mut frames_whole = 0;
        for _ in 0..MOST_FRAMES {
            self.now_secs += FRAME_SECS;
            self.window.frame(self.now_secs, Vec::new());
            let app = self.window.app();
            let progress = app.progress();
            let is_whole = progress.covered > 0.9999 && progress.sharp > 0.9999 && !app.has_uploads_waiting();
            let is_shown = app.session().current().is_some_and(|i| is_whole && ranges_are_settled(i));
            // What a command changes is there a frame after the command.
            frames_whole = if is_shown { frames_whole + 1 } else { 0 };
            if frames_whole == 3 {
                return;
            }
            if !is_shown {
                // An event of the engine, or time for another look.
                self.woken.recv_timeout(Duration::from_millis(10)).unwrap_or_default();
            }
        }
        panic!("the window did not come to show it all: {:?}", self.window.app().session().problems());
    }

    /// The image on the canvas.
    pub fn image(&mut self) -> OpenImage {
        self.window.app().session().current().expect("an image").clone()
    }

    /// Looks somewhere.
    pub fn looks_at(&mut self, camera: Camera) {
        self.does(Command::SetCamera(camera));
        assert_eq!(self.image().camera, camera, "the view takes this camera as it is");
    }

    /// What the canvas shows now.
    pub fn canvas(&self) -> Picture {
        let [left, top, right, bottom] = PANELS.map(|points| points * self.scale);
        let [width, height] = WINDOW.map(|points| points * self.scale);
        let size = Size::new(width - left - right, height - top - bottom);
        let rgba = self.window.picture().expect("a picture");
        let rows = rgba.chunks_exact(width as usize * 4).skip(top as usize).take(size.height as usize);
        let rgba = rows.flat_map(|row| &row[left as usize * 4..][..size.width as usize * 4]).copied().collect();
        Picture { size, rgba }
    }

    /// The canvas's size as the session knows it, which must be that of [`Self::canvas`].
    pub fn canvas_size(&mut self) -> Size {
        self.window.app().session().canvas()
    }
}

fn ranges_are_settled(image: &OpenImage) -> bool {
    let settled = [WindowOrigin::Settled, WindowOrigin::User, WindowOrigin::Full];
    image.channels.iter().all(|channel| settled.contains(&channel.origin))
}
