//! `microtome export`: a region at a scale, as shown or as stored.

use super::picture::{self, Picture};
use super::shown::{pixel_size, shown};
use super::{CompressionArg, Context, check_output, open, parse_numbers, parse_pixels_per_point, progress::Progress};
use crate::error::{Error, Result};
use crate::export::{RawExport, TileCompression, export_raw};
use crate::geom::{PixelRect, Point, Rect};
use crate::pyramid::{Cancel, ChannelRole, ImageInfo};
use clap::Args;
use std::path::{Path, PathBuf};

/// How far a level's factor may be from the asked scale for the level to be the one meant.
const SCALE_TOLERANCE: f64 = 0.01;

#[derive(Debug, Args)]
pub struct ExportArgs {
    /// The image.
    path: PathBuf,
    /// The file to write: .png, .tif or .tiff.
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,
    /// Which image of the file, counted from 0.
    #[arg(long, value_name = "N", default_value_t = 0)]
    image: u32,
    /// Left, top, width and height in full-resolution pixels; the whole image by default.
    #[arg(long, value_name = "X,Y,W,H", value_parser = |t: &str| parse_numbers::<4>(t, ','))]
    region: Option<[f64; 4]>,
    /// Output pixels a full-resolution pixel.
    #[arg(long, value_name = "F", default_value_t = 1.0)]
    scale: f64,
    /// Only these channels, by number from 1 or by name.
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    channels: Vec<String>,
    /// As the window shows it: colours, contrast (the default for PNG).
    #[arg(long, conflicts_with = "raw")]
    rendered: bool,
    /// Paint a scale bar at the bottom left.
    #[arg(long, conflicts_with = "raw")]
    scale_bar: bool,
    /// Paint it for a screen of so many pixels a point: 2 for one of 200 %.
    #[arg(long, value_name = "F", default_value = "1", value_parser = parse_pixels_per_point, requires = "scale_bar")]
    pixels_per_point: f32,
    /// The stored samples, unchanged (the default for TIFF).
    #[arg(long)]
    raw: bool,
    /// How a TIFF is packed.
    #[arg(long, value_enum, default_value_t = CompressionArg::Deflate)]
    compression: CompressionArg,
    /// Replace a file that is already there.
    #[arg(long)]
    force: bool,
}

/// What kind of file the name asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Png,
    Tiff,
}

/// Runs the command.
pub fn run(context: &Context, args: &ExportArgs) -> Result<()> {
    let kind = kind(&args.output)?;
    if args.raw && kind == Kind::Png {
        return Err(Error::unsupported("stored samples are written as TIFF, name the file .tif", &args.output));
    }
    check_output(&args.path, &args.output, args.force)?;
    if !(args.scale.is_finite() && args.scale > 0.0) {
        return Err(Error::unsupported("the scale must be more than 0", &args.output));
    }
    let set = open(context, &args.path)?;
    let image = set
        .pyramid
        .image(args.image)
        .ok_or_else(|| Error::unsupported(format!("there is no image {} in this file", args.image), &args.path))?
        .clone();
    let raw = args.raw || (kind == Kind::Tiff && !args.rendered);
    if raw && args.scale_bar {
        return Err(Error::unsupported("stored samples have no scale bar, add --rendered", &args.output));
    }
    let region = region(&image, args.region, &args.path)?;
    let channels = channels(&image, &args.channels, &args.path)?;
    let progress = Progress::new(context.progress, "Exporting");
    let done = if raw {
        let (level, region) = level_region(&image, region, args.scale, &args.path)?;
        let what = RawExport {
            field: args.image,
            level,
            region,
            channels,
            compression: compression(args.compression),
            um_per_px: pixel_size(context, &set, args.image)?,
        };
        export_raw(&set.pyramid, &what, &args.output, &mut |done, total| progress.set(done, total), &Cancel::default())
    } else {
        let full = Rect::new(
            Point::new(f64::from(region.x), f64::from(region.y)),
            Point::new(f64::from(region.right()), f64::from(region.bottom())),
        );
        let only = (!args.channels.is_empty()).then_some(&channels[..]);
        let shown = shown(context, &set, args.image, only)?;
        let mut picture = Picture::of_region(&set, &shown, full, args.scale)?;
        if args.scale_bar {
            picture.add_scale_bar(args.pixels_per_point)?;
        }
        match kind {
            Kind::Png => picture::write_png(&picture, &args.output, &progress),
            Kind::Tiff => picture::write_tiff(&picture, &args.output, compression(args.compression), &progress),
        }
    };
    progress.finish();
    done
}

fn kind(output: &Path) -> Result<Kind> {
    match output.extension().map(|e| e.to_string_lossy().to_ascii_lowercase()).as_deref() {
        Some("png") => Ok(Kind::Png),
        Some("tif" | "tiff") => Ok(Kind::Tiff),
        _ => Err(Error::unsupported("the file to write must end in .png, .tif or .tiff", output)),
    }
}

fn compression(arg: CompressionArg) -> TileCompression {
    match arg {
        CompressionArg::None => TileCompression::None,
        CompressionArg::Lzw => TileCompression::Lzw,
        CompressionArg::Deflate => TileCompression::Deflate,
        CompressionArg::Zstd => TileCompression::Zstd,
    }
}

/// The asked region in whole pixels, cut at the image's edge.
fn region(image: &ImageInfo, asked: Option<[f64; 4]>, path: &Path) -> Result<PixelRect> {
    let Some(asked) = asked else { return Ok(image.size.rect()) };
    let [x, y, w, h] = asked.map(|v| v.round().clamp(0.0, f64::from(u32::MAX)) as u32);
    let region = PixelRect::new(x, y, w, h).intersect(image.size.rect());
    if region.is_empty() {
        return Err(Error::unsupported("the region lies outside the image", path));
    }
    Ok(region)
}

/// The channels that are asked for by number or name; all of them, opacity too, when none is named.
pub(super) fn channels(image: &ImageInfo, asked: &[String], path: &Path) -> Result<Vec<u16>> {
    if asked.is_empty() {
        return Ok((0..image.channels.len() as u16).collect());
    }
    asked
        .iter()
        .map(|text| {
            let text = text.trim();
            let by_name = image.channels.iter().position(|c| c.name.eq_ignore_ascii_case(text));
            let by_number = || text.parse::<usize>().ok().and_then(|n| n.checked_sub(1));
            by_name
                .or_else(by_number)
                .filter(|&n| image.channels.get(n).is_some_and(|c| c.role == ChannelRole::Intensity))
                .map(|n| n as u16)
                .ok_or_else(|| Error::unsupported(format!("there is no channel \"{text}\" in this image"), path))
        })
        .collect()
}

/// The level whose samples a scale asks for, and the region in its pixels.
fn level_region(image: &ImageInfo, region: PixelRect, scale: f64, path: &Path) -> Result<(u8, PixelRect)> {
    let close = |factor: f64| (factor * scale - 1.0).abs() < SCALE_TOLERANCE;
    let level = image.levels.iter().position(|l| l.downsample.iter().all(|&d| close(d))).ok_or_else(|| {
        let scales: Vec<_> = image.levels.iter().map(|l| format!("{:.4}", 1.0 / l.downsample[0])).collect();
        let what = format!("samples are stored at the scales {}; use one of them, or --rendered", scales.join(", "));
        Error::unsupported(what, path)
    })?;
    let info = image.levels[level];
    let [dx, dy] = info.downsample;
    let x = (f64::from(region.x) / dx).floor() as u32;
    let y = (f64::from(region.y) / dy).floor() as u32;
    let right = (f64::from(region.right()) / dx).ceil() as u32;
    let bottom = (f64::from(region.bottom()) / dy).ceil() as u32;
    let rect = PixelRect::new(x, y, right.saturating_sub(x), bottom.saturating_sub(y)).intersect(info.size.rect());
    Ok((level as u8, rect))
}
