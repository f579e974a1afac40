//! `microtome snapshot`: the canvas as the window would show it, or the window itself.

use super::shown::shown;
use super::window_picture::{self, WindowPicture};
use super::{
    Context, check_not_source, check_output, export::channels, image_number, mosaic, open, parse_numbers,
    parse_pixels_per_point, progress::Progress,
};
use crate::app::{self, PaintedPicture};
use crate::error::{Error, Result};
use crate::export::TileCompression;
use crate::geom::{Point, Size};
use crate::pyramid::Cancel;
use crate::session::OpenImage;
use crate::store::{Destination, Existing};
use crate::view::Camera;
use clap::Args;
use std::path::PathBuf;

/// Snapshots are at most this many pixels a side; larger pictures are exports.
const MAX_SIDE: f64 = 65_536.0;

#[derive(Debug, Args)]
pub struct SnapshotArgs {
    /// The image, or a folder of fields.
    path: PathBuf,
    /// The PNG, JPEG or TIFF to write.
    #[arg(short, long, value_name = "view.png")]
    output: PathBuf,
    /// Which image of the file, counted from 0.
    #[arg(long, value_name = "N", default_value_t = 0)]
    image: u32,
    /// Size of the picture in pixels.
    #[arg(long, value_name = "WxH", default_value = "1600x1000", value_parser = |t: &str| parse_numbers::<2>(t, 'x'))]
    size: [f64; 2],
    /// The full-resolution pixel in the middle, of a mosaic counted from the corner of its fields; the image's middle by
    /// default.
    #[arg(long, value_name = "X,Y", value_parser = |t: &str| parse_numbers::<2>(t, ','))]
    center: Option<[f64; 2]>,
    /// Picture pixels a full-resolution pixel; the whole image by default.
    #[arg(long, value_name = "Z")]
    zoom: Option<f64>,
    /// Turn the image clockwise by so many degrees; as it was left in the window by default.
    #[arg(long, value_name = "DEGREES", allow_negative_numbers = true)]
    rotate: Option<f64>,
    /// Only these channels, by number from 1 or by name.
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    channels: Vec<String>,
    /// This focus position, counted from 1; the one that the window opens with by default.
    #[arg(long, value_name = "N", conflicts_with = "window", value_parser = clap::value_parser!(u16).range(1..))]
    z: Option<u16>,
    /// This time point, counted from 1; the first by default.
    #[arg(long, value_name = "N", conflicts_with = "window", value_parser = clap::value_parser!(u16).range(1..))]
    t: Option<u16>,
    /// Paint a scale bar at the bottom left.
    #[arg(long, conflicts_with = "window")]
    scale_bar: bool,
    /// Paint the outlines of the fields of a mosaic.
    #[arg(long, conflicts_with = "window")]
    outlines: bool,
    /// Note so many dots an inch in the picture.
    #[arg(long, value_name = "N", value_parser = super::export::parse_dpi)]
    dpi: Option<f64>,
    /// The quality of JPEG, from 1 to 100.
    #[arg(long, value_name = "N", default_value_t = super::DEFAULT_QUALITY, value_parser = clap::value_parser!(u8).range(1..=100))]
    quality: u8,
    /// Paint the whole window, with its panels.
    #[arg(long)]
    window: bool,
    /// Paint for a screen of so many pixels a point: 2 for one of 200 %.
    #[arg(long, value_name = "F", default_value = "1", value_parser = parse_pixels_per_point)]
    pixels_per_point: f32,
    /// Of a folder of fields: leave them where the layout says.
    #[arg(long)]
    unaligned: bool,
    /// Replace a file that is already there.
    #[arg(long)]
    force: bool,
}

/// What kind of file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Png,
    Jpeg,
    Tiff,
}

/// Runs the command.
pub fn run(context: &Context, args: &SnapshotArgs) -> Result<()> {
    let bad = |what: &str| Error::unsupported(what, &args.output);
    if !args.size.iter().all(|side| (1.0..=MAX_SIDE).contains(side)) {
        return Err(bad("a snapshot is 1 to 65536 pixels a side, use export for larger pictures"));
    }
    let kind = args.output.extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase);
    let kind = match kind.as_deref() {
        Some("png") => Kind::Png,
        Some("jpg" | "jpeg") if !args.window => Kind::Jpeg,
        Some("tif" | "tiff") if !args.window => Kind::Tiff,
        _ if args.window => return Err(bad("a snapshot of the window is a PNG, let the name end in .png")),
        _ => return Err(bad("a snapshot is a PNG, JPEG or TIFF, let the name end in .png, .jpg or .tif")),
    };
    check_output(&args.path, &args.output, args.force)?;
    let to = Destination { path: &args.output, existing: Existing::replaced_if(args.force) };
    let rotation_rad = args.rotate.map(f64::to_radians);
    if args.zoom.is_some_and(|zoom| !(zoom.is_finite() && zoom > 0.0)) {
        return Err(bad("the zoom must be more than 0"));
    }
    if rotation_rad.is_some_and(|angle| !angle.is_finite()) {
        return Err(bad("the angle must be a number"));
    }
    let size = Size::new(args.size[0] as u32, args.size[1] as u32);
    let view = View { center: args.center.map(|[x, y]| Point::new(x, y)), zoom: args.zoom, rotation_rad };
    let set = open(context, &args.path)?;
    check_not_source(&args.output, set.files())?;
    let number = image_number(&set, args.image, &args.path)?;
    let image = set.image(number).ok_or_else(|| Error::unsupported("there is no such image", &args.path))?;
    let channels = channels(&image, &args.channels, &args.path)?;
    let only = (!args.channels.is_empty()).then_some(&channels[..]);
    if args.window {
        let path = set.opened.path.clone();
        // The window's engine opens the image itself: its store has one owner.
        drop(set);
        let what =
            WindowPicture { path: &path, image: number, size, pixels_per_point: args.pixels_per_point, view, only };
        return window_picture::write_png(context, &what, to);
    }
    if only.is_some() {
        mosaic::choose_round(&set, &channels)?;
    }
    if args.unaligned {
        mosaic::show_unaligned(&set);
    } else {
        mosaic::align(context, &set, false, &Cancel::default())?;
    }
    let shown = shown(context, &set, number, only)?.at(args.z, args.t, &args.path)?;
    let mut picture = PaintedPicture::new(&set, &shown.painted, view.camera(&shown.image, size), size)?;
    if args.scale_bar {
        picture.add_scale_bar(args.pixels_per_point)?;
    }
    if args.outlines {
        picture.add_outlines(&shown.image.field_outlines(), args.pixels_per_point);
    }
    if let Some(dpi) = args.dpi {
        picture.set_dpi(dpi);
    }
    let progress = Progress::new(context.progress, "Painting");
    let watch = |done, total| progress.set(done, total);
    let done = match kind {
        Kind::Png => app::write_png(&picture, to, &watch),
        Kind::Jpeg => app::write_jpeg(&picture, to, args.quality, &watch),
        Kind::Tiff => app::write_tiff(&picture, to, TileCompression::Deflate, &watch),
    };
    progress.finish();
    done
}

/// Where to look, as far as it was asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct View {
    /// The level-0 pixel in the middle, from the corner of what is there.
    center: Option<Point>,
    /// Picture pixels a level-0 pixel.
    zoom: Option<f64>,
    /// How far the image is turned clockwise.
    rotation_rad: Option<f64>,
}

impl View {
    /// The camera for a viewport: the whole image, as it lay last, where nothing else was asked for.
    pub(super) fn camera(&self, image: &OpenImage, viewport: Size) -> Camera {
        let mut camera = image.camera;
        camera.rotation_rad = self.rotation_rad.unwrap_or(camera.rotation_rad);
        camera = image.fitted(camera, viewport);
        camera.zoom = self.zoom.unwrap_or(camera.zoom);
        camera.center = self.center.map_or(camera.center, |center| center + image.corner());
        camera
    }

    /// Whether the whole image is to be seen as it lay last.
    pub(super) fn is_default(&self) -> bool {
        *self == Self { center: None, zoom: None, rotation_rad: None }
    }
}
