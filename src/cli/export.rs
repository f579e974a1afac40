//! `microtome export`: an image, or a region of it at a scale, as stored or as shown.

use super::interrupt::cancel_on_signal;
use super::shown::{pixel_size, shown};
use super::{
    CompressionArg, Context, check_not_source, check_output, image_number, mosaic, open, parse_numbers,
    parse_pixels_per_point, progress::Progress,
};
use crate::app::{self, PaintedPicture};
use crate::engine::{OpenSet, work_pool};
use crate::error::{Error, Result};
use crate::export::{
    BandSource, ImagePart, OmeTiffOptions, Original, RawExport, TileCompression, export_raw, write_ome_tiff,
    write_raw_bands,
};
use crate::geom::{PixelRect, Point, Rect};
use crate::pyramid::{Cancel, ChannelRole, ImageInfo};
use crate::store::{Destination, Existing};
use clap::Args;
use std::path::{Path, PathBuf};

/// How far a level's factor may be from the asked scale for the level to be the one meant.
const SCALE_TOLERANCE: f64 = 0.01;

#[derive(Debug, Args)]
pub struct ExportArgs {
    /// The image.
    path: PathBuf,
    /// The file to write: .ome.tif for all samples with reduced levels, .tif for samples or a picture, .png or .jpg for a
    /// picture.
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,
    /// Which image of the file, counted from 0.
    #[arg(long, value_name = "N", default_value_t = 0)]
    image: u32,
    /// Left, top, width and height in full-resolution pixels, of a mosaic counted from the corner of its fields; the whole
    /// image by default.
    #[arg(long, value_name = "X,Y,W,H", value_parser = |t: &str| parse_numbers::<4>(t, ','))]
    region: Option<[f64; 4]>,
    /// Output pixels a full-resolution pixel.
    #[arg(long, value_name = "F", default_value_t = 1.0)]
    scale: f64,
    /// Only these channels, by number from 1 or by name; of a mosaic of several rounds those of one.
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    channels: Vec<String>,
    /// Only this focus position, counted from 1 (OME-TIFF), or the one to paint.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    z: Option<u16>,
    /// Only this time point, counted from 1 (OME-TIFF), or the one to paint.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    t: Option<u16>,
    /// An OME-TIFF with reduced levels, whatever the name ends in.
    #[arg(long, conflicts_with_all = ["raw", "rendered"])]
    ome: bool,
    /// As the window shows it: colours, contrast (the default for PNG and JPEG).
    #[arg(long, conflicts_with = "raw")]
    rendered: bool,
    /// Paint a scale bar.
    #[arg(long, conflicts_with = "raw")]
    scale_bar: bool,
    /// Paint the outlines of the fields of a mosaic.
    #[arg(long, conflicts_with = "raw")]
    outlines: bool,
    /// Paint them for a screen of so many pixels a point: 2 for one of 200 %.
    #[arg(long, value_name = "F", default_value = "1", value_parser = parse_pixels_per_point)]
    pixels_per_point: f32,
    /// Note so many dots an inch in a picture.
    #[arg(long, value_name = "N", value_parser = parse_dpi)]
    dpi: Option<f64>,
    /// The stored samples, unchanged (the default for TIFF).
    #[arg(long)]
    raw: bool,
    /// How a TIFF is packed.
    #[arg(long, value_enum, default_value_t = CompressionArg::Deflate)]
    compression: CompressionArg,
    /// The quality of JPEG, from 1 to 100.
    #[arg(long, value_name = "N", default_value_t = super::DEFAULT_QUALITY, value_parser = clap::value_parser!(u8).range(1..=100))]
    quality: u8,
    /// Read nothing back of a written OME-TIFF.
    #[arg(long)]
    no_verify: bool,
    /// Let the original's names, identifiers, dates, comments, label and macro go along in an OME-TIFF; they are listed.
    #[arg(long)]
    include_metadata: bool,
    /// Write the values of a mosaic with its illumination evened out.
    #[arg(long)]
    even_illumination: bool,
    /// Replace a file that is already there.
    #[arg(long)]
    force: bool,
}

/// What kind of file is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    OmeTiff,
    Raw,
    Png,
    Jpeg,
    Tiff,
}

/// Runs the command.
pub fn run(context: &Context, args: &ExportArgs) -> Result<()> {
    let kind = kind(args)?;
    check_output(&args.path, &args.output, args.force)?;
    if !(args.scale.is_finite() && args.scale > 0.0) {
        return Err(Error::unsupported("the scale must be more than 0", &args.output));
    }
    let cancel = cancel_on_signal()?;
    let set = open(context, &args.path)?;
    check_not_source(&args.output, set.files())?;
    let number = image_number(&set, args.image, &args.path)?;
    let no_image = || Error::unsupported("there is no such image", &args.path);
    if !args.channels.is_empty() {
        let image = set.image(number).ok_or_else(no_image)?;
        mosaic::choose_round(&set, &channels(&image, &args.channels, &args.path)?)?;
    }
    mosaic::align(context, &set, args.even_illumination, &cancel)?;
    let image = set.image(number).ok_or_else(no_image)?;
    let export = Export { context, args, set: &set, number, image: &image, cancel };
    let progress = Progress::new(context.progress, "Exporting");
    let done = match kind {
        Kind::OmeTiff => export.ome_tiff(&progress),
        Kind::Raw => export.raw(&progress),
        Kind::Png | Kind::Jpeg | Kind::Tiff => export.picture(kind, &progress),
    };
    progress.finish();
    done
}

/// The kind of file that the name and the options ask for.
fn kind(args: &ExportArgs) -> Result<Kind> {
    let name = args.output.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let ends = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
    let kind = if ends(&[".ome.tif", ".ome.tiff"]) && !args.rendered && !args.raw {
        Kind::OmeTiff
    } else if ends(&[".tif", ".tiff"]) {
        match () {
            () if args.ome => Kind::OmeTiff,
            () if args.rendered => Kind::Tiff,
            () => Kind::Raw,
        }
    } else if ends(&[".png"]) {
        Kind::Png
    } else if ends(&[".jpg", ".jpeg"]) {
        Kind::Jpeg
    } else {
        let what = "the file to write must end in .ome.tif, .tif, .png or .jpg";
        return Err(Error::unsupported(what, &args.output));
    };
    let refuse = |what: &str| Err(Error::unsupported(what, &args.output));
    let is_jpeg_tiff = matches!(args.compression, CompressionArg::Jpeg);
    match kind {
        Kind::Png | Kind::Jpeg if args.raw || args.ome => refuse("samples are written as TIFF, name the file .tif"),
        Kind::OmeTiff if args.scale != 1.0 => {
            refuse("an OME-TIFF holds the full resolution and levels of it, leave --scale out")
        }
        Kind::Raw if is_jpeg_tiff => {
            refuse("JPEG changes samples, choose another compression or name the file .ome.tif")
        }
        Kind::OmeTiff | Kind::Raw if args.scale_bar => refuse("samples have no scale bar, add --rendered"),
        Kind::OmeTiff | Kind::Raw if args.dpi.is_some() => refuse("only a picture has dots an inch, add --rendered"),
        kind if kind != Kind::OmeTiff && args.include_metadata => {
            refuse("only an OME-TIFF takes the original metadata, name the file .ome.tif")
        }
        kind => Ok(kind),
    }
}

/// An export that is about to begin.
struct Export<'a> {
    context: &'a Context,
    args: &'a ExportArgs,
    set: &'a OpenSet,
    /// The image's number in its set.
    number: u32,
    image: &'a ImageInfo,
    cancel: Cancel,
}

impl Export<'_> {
    fn ome_tiff(&self, progress: &Progress) -> Result<()> {
        let Self { context, args, set, cancel, .. } = self;
        let mut original = if args.include_metadata { self.original()? } else { Original::default() };
        let frozen = set.frozen();
        let channels = self.channels()?;
        original.notes.extend(frozen.iter().flat_map(|mosaic| mosaic.notes(&channels, args.even_illumination)));
        let options = OmeTiffOptions { compression: self.compression(), verify: !args.no_verify, original };
        let pool = work_pool(context.config.threads)?;
        let mut watch = |done, total| progress.set(done, total);
        let written = write_ome_tiff(&*self.bands()?, &options, self.to(), &pool, &mut watch, cancel)?;
        say_unreadable(written.unreadable_parts);
        Ok(())
    }

    /// What is read: all of the image, or the part of it that is asked for.
    fn bands(&self) -> Result<Box<dyn BandSource + '_>> {
        let Self { context, args, set, number, image, .. } = self;
        let one = |asked: Option<u16>, count: u16| asked.map_or(0..count, |n| n - 1..n);
        let whole = ImagePart::whole(*number, image);
        let part = ImagePart {
            region: self.region()?,
            channels: self.channels()?,
            z: one(args.z, image.z_count),
            t: one(args.t, image.t_count),
            ..whole
        };
        let um_per_px = pixel_size(context, set, *number)?;
        if let Some(mosaic) = set.frozen().filter(|_| args.even_illumination) {
            mosaic.light_told(&part.channels).lines().iter().for_each(|line| eprintln!("microtome: {line}"));
        }
        set.bands(set.frozen().as_ref(), part, um_per_px, args.even_illumination, &args.output)
    }

    /// The channels that are written: of a mosaic those of one round, where none is named.
    fn channels(&self) -> Result<Vec<u16>> {
        let Self { args, set, number, image, .. } = self;
        if !args.channels.is_empty() {
            return channels(image, &args.channels, &args.path);
        }
        let all = ImagePart::whole(*number, image).channels;
        Ok(all.into_iter().filter(|&channel| mosaic::is_of_round(set, channel)).collect())
    }

    /// What goes along of the original, which is listed on standard error.
    fn original(&self) -> Result<Original> {
        let (opened, source) = (&self.set.opened, &**self.set.pyramid.source());
        eprintln!("These go along from the original:");
        for field in Original::listed(&self.image.name, &opened.metadata, source) {
            eprintln!("  {field}");
        }
        Original::of(&self.image.name, &opened.metadata, source, &self.args.path)
    }

    fn raw(&self, progress: &Progress) -> Result<()> {
        let Self { context, args, set, number, image, cancel } = self;
        if set.mosaic.is_some() {
            if args.scale != 1.0 {
                let what = "samples of a mosaic are written at full resolution, leave --scale out";
                return Err(Error::unsupported(what, &args.output));
            }
            let mut watch = |done, total| progress.set(done, total);
            let bands = self.bands()?;
            write_raw_bands(&*bands, self.compression(), self.to(), &mut watch, cancel)?;
            say_unreadable(bands.unreadable_parts());
            return Ok(());
        }
        let region = self.region()?;
        let (level, region) = level_region(image, region, args.scale, &args.path)?;
        let what = RawExport {
            field: *number,
            level,
            region,
            channels: channels(image, &args.channels, &args.path)?,
            compression: self.compression(),
            um_per_px: pixel_size(context, set, *number)?,
        };
        export_raw(&set.pyramid, &what, self.to(), &mut |done, total| progress.set(done, total), cancel)
    }

    fn picture(&self, kind: Kind, progress: &Progress) -> Result<()> {
        let Self { context, args, set, number, image, cancel } = self;
        let region = self.region()?;
        let channels = channels(image, &args.channels, &args.path)?;
        let full = Rect::new(
            Point::new(f64::from(region.x), f64::from(region.y)),
            Point::new(f64::from(region.right()), f64::from(region.bottom())),
        );
        let only = (!args.channels.is_empty()).then_some(&channels[..]);
        let shown = shown(context, set, *number, only)?.at(args.z, args.t, &args.path)?;
        let mut picture =
            PaintedPicture::of_region(set, &shown.painted, shown.image.camera.pixel_aspect, full, args.scale)?
                .cancelled_by(cancel);
        if args.scale_bar {
            picture.add_scale_bar(args.pixels_per_point)?;
        }
        if args.outlines {
            picture.add_outlines(&shown.image.field_outlines(), args.pixels_per_point);
        }
        if let Some(dpi) = args.dpi {
            picture.set_dpi(dpi);
        }
        let watch = |done, total| progress.set(done, total);
        match kind {
            Kind::Png => app::write_png(&picture, self.to(), &watch),
            Kind::Jpeg => app::write_jpeg(&picture, self.to(), args.quality, &watch),
            Kind::Tiff | Kind::OmeTiff | Kind::Raw => app::write_tiff(&picture, self.to(), self.compression(), &watch),
        }
    }

    /// The asked region in whole pixels, cut at the image's edge; all of it by default.
    fn region(&self) -> Result<PixelRect> {
        let mosaic = self.set.mosaic.as_ref();
        let whole = mosaic.map_or(self.image.size.rect(), |mosaic| mosaic.geometry().extent);
        let Some(asked) = self.args.region else { return Ok(whole) };
        let [x, y, w, h] = asked.map(|v| v.round().clamp(0.0, f64::from(u32::MAX)) as u32);
        let region = PixelRect::new(x.saturating_add(whole.x), y.saturating_add(whole.y), w, h).intersect(whole);
        if region.is_empty() {
            return Err(Error::unsupported("the region lies outside the image", &self.args.path));
        }
        if (region.width, region.height) != (w, h) {
            eprintln!(
                "microtome: the region is cut at the edge of the image, to {} x {} px",
                region.width, region.height
            );
        }
        Ok(region)
    }

    fn to(&self) -> Destination<'_> {
        Destination { path: &self.args.output, existing: Existing::replaced_if(self.args.force) }
    }

    fn compression(&self) -> TileCompression {
        self.args.compression.with_quality(self.args.quality)
    }
}

/// Tells of holes that would look like data.
fn say_unreadable(parts: u64) {
    if parts > 0 {
        eprintln!("microtome: some fields cannot be read in part; those parts are left empty");
    }
}

/// Reads dots an inch, within what printers and screens have.
pub(super) fn parse_dpi(text: &str) -> std::result::Result<f64, String> {
    let inside = |f: &f64| (1.0..=10_000.0).contains(f);
    text.parse().ok().filter(inside).ok_or_else(|| format!("{text} is not a number from 1 to 10000"))
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
