//! An export as it is handed to a worker: everything it needs, frozen.

use super::ExportPanel;
use super::choices::{Compression, ExportChoices, ExportPreset, PictureFormat, PictureSize};
use crate::geom::{PixelRect, Point, Rect, Size};
use crate::pixels::TileFormat;
use crate::pyramid::SetId;
use crate::session::{Folders, ImageId, OpenImage};
use crate::view::{Camera, DisplaySettings, MagnifyFilter};
use std::path::{Path, PathBuf};

/// All reduced levels together, as a share of the full resolution: 1/4 + 1/16 + ...
const LEVELS_SHARE: f64 = 1.0 / 3.0;
/// What lies over a picture is meant for a screen of this many dots an inch.
const SCREEN_DPI: f64 = 96.0;
/// A picture is thought of as seen whole on a screen of this many points.
const SCREEN_POINTS: f32 = 1600.0;
/// Pixels a point, at the least and the most.
const PIXELS_PER_POINT: std::ops::RangeInclusive<f32> = 0.25..=8.0;

/// What is to be written, and where.
#[derive(Debug, Clone, PartialEq)]
pub struct ExportPlan {
    /// The image.
    pub image: ImageId,
    /// The file to write.
    pub path: PathBuf,
    /// Whether a file of that name is replaced.
    pub replace: bool,
    /// What is written.
    pub what: ExportWhat,
}

/// What is written.
#[derive(Debug, Clone, PartialEq)]
pub enum ExportWhat {
    /// An OME-TIFF with reduced levels.
    OmeTiff(SamplesPlan),
    /// Stored samples as a plain TIFF.
    Raw(SamplesPlan),
    /// The canvas, painted.
    Picture(Box<PicturePlan>),
}

/// Samples to write.
#[derive(Debug, Clone, PartialEq)]
pub struct SamplesPlan {
    /// The region, level-0 pixels.
    pub region: PixelRect,
    /// Of a mosaic: where its frame was when that was said, layout coordinates.
    pub origin: Point,
    /// Whether that is all of the image.
    pub is_whole: bool,
    /// The channels, in order.
    pub channels: Vec<u16>,
    /// Bytes of one pixel of all those channels, at all focus positions and time points.
    pub bytes_per_px: u64,
    /// Whether the samples have three colours or eight bits, which JPEG needs.
    pub is_8_bit: bool,
    /// How they are packed.
    pub compression: Compression,
    /// The quality of JPEG.
    pub quality: u8,
    /// Micrometres a pixel, x and y.
    pub um_per_px: Option<[f64; 2]>,
    /// Whether names, identifiers, dates and comments go along.
    pub original_metadata: bool,
    /// Whether the illumination is evened out.
    pub even_illumination: bool,
}

/// A picture to paint.
#[derive(Debug, Clone, PartialEq)]
pub struct PicturePlan {
    /// The image.
    pub image: ImageId,
    /// The focus position.
    pub z: u16,
    /// The time point.
    pub t: u16,
    /// Micrometres a level-0 pixel, x and y.
    pub um_per_px: Option<[f64; 2]>,
    /// Its colours and ranges.
    pub display: DisplaySettings,
    /// Where we look.
    pub camera: Camera,
    /// Of a mosaic: where its frame was when that was said, layout coordinates.
    pub origin: Point,
    /// The picture in pixels.
    pub size: Size,
    /// The region, where it is a picture of one.
    pub region: Option<PixelRect>,
    /// What kind of file.
    pub format: PictureFormat,
    /// The quality of JPEG.
    pub quality: u8,
    /// Dots an inch that are noted in the file.
    pub dpi: Option<f64>,
    /// Paint a scale bar.
    pub scale_bar: bool,
    /// Picture pixels a point, for what is painted over the image.
    pub pixels_per_point: f32,
    /// Fields whose outlines are painted, level-0 pixels.
    pub outlines: Vec<Rect>,
}

impl ExportPlan {
    /// How much is to be done: bytes of samples, pixels of a picture.
    pub fn work(&self) -> u64 {
        match &self.what {
            ExportWhat::OmeTiff(samples) | ExportWhat::Raw(samples) => samples.bytes(),
            ExportWhat::Picture(picture) => picture.size.area(),
        }
    }

    /// The set that it reads.
    pub fn set(&self) -> SetId {
        self.image.set
    }
}

impl SamplesPlan {
    /// Bytes of samples at full resolution.
    pub fn bytes(&self) -> u64 {
        self.region.size().area().saturating_mul(self.bytes_per_px)
    }

    /// Bytes of samples at all levels, about.
    pub fn bytes_with_levels(&self) -> f64 {
        self.bytes() as f64 * (1.0 + LEVELS_SHARE)
    }
}

/// What pictures take over from the screen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Screen {
    /// The canvas in physical pixels.
    pub canvas: Size,
    /// Physical pixels a point.
    pub pixels_per_point: f32,
    /// What is around the image.
    pub background: [u8; 3],
    /// How it is magnified.
    pub filter: MagnifyFilter,
}

/// What would be written now; `None` where nothing is left to write.
pub(super) fn plan(
    panel: &ExportPanel,
    choices: &ExportChoices,
    image: &OpenImage,
    screen: &Screen,
) -> Option<ExportPlan> {
    let what = match choices.preset {
        ExportPreset::WholeOmeTiff => ExportWhat::OmeTiff(samples(panel, choices, image, image.whole())?),
        ExportPreset::RegionOmeTiff => ExportWhat::OmeTiff(samples(panel, choices, image, panel.region)?),
        ExportPreset::RegionRaw => ExportWhat::Raw(samples(panel, choices, image, panel.region)?),
        ExportPreset::ViewPicture => ExportWhat::Picture(Box::new(view_picture(choices, image, screen))),
        ExportPreset::RegionPicture => {
            ExportWhat::Picture(Box::new(region_picture(choices, image, panel.region, screen)))
        }
    };
    Some(ExportPlan { image: image.id, path: panel.path.clone(), replace: false, what })
}

/// The view as it is on the canvas, for the clipboard.
pub(super) fn view_plan(image: &OpenImage, screen: &Screen) -> PicturePlan {
    let choices = ExportChoices { view_size: PictureSize::Scale(1.0), ..ExportChoices::default() };
    view_picture(&choices, image, screen)
}

fn view_picture(choices: &ExportChoices, image: &OpenImage, screen: &Screen) -> PicturePlan {
    let canvas = screen.canvas;
    let (scale, dpi) = choices.view_size.scale(canvas.width);
    let side = |px: u32| (f64::from(px) * scale).round().clamp(1.0, f64::from(u32::MAX)) as u32;
    let size = Size::new(side(canvas.width), side(canvas.height));
    let camera = Camera { zoom: image.camera.zoom * scale, ..image.camera };
    // What lies over the image grows with it, unless paper says how large it is.
    let pixels_per_point = dpi.map_or(screen.pixels_per_point * scale as f32, on_paper);
    picture(choices, image, screen, (camera, size), None, dpi, pixels_per_point)
}

fn region_picture(choices: &ExportChoices, image: &OpenImage, region: PixelRect, screen: &Screen) -> PicturePlan {
    let (scale, dpi) = choices.region_size.scale(region.width);
    let (camera, size) = camera_of(region, scale, image.camera.pixel_aspect);
    let longer = size.width.max(size.height) as f32;
    let pixels_per_point = dpi.map_or_else(|| (longer / SCREEN_POINTS).max(1.0), on_paper);
    picture(choices, image, screen, (camera, size), Some(region), dpi, pixels_per_point)
}

/// Pixels a point, so that words are as large on paper as in print.
fn on_paper(dpi: f64) -> f32 {
    (dpi / SCREEN_DPI) as f32
}

/// The camera and the size of a picture of a region, upright, at `scale` pixels a level-0 pixel.
fn camera_of(region: PixelRect, scale: f64, pixel_aspect: f64) -> (Camera, Size) {
    let side = |length: f64| (length * scale).round().clamp(1.0, f64::from(u32::MAX)) as u32;
    let (w, h) = (f64::from(region.width), f64::from(region.height));
    let center = Point::new(f64::from(region.x) + w / 2.0, f64::from(region.y) + h / 2.0);
    let camera = Camera { center, zoom: scale, rotation_rad: 0.0, flipped: false, pixel_aspect };
    (camera, Size::new(side(w), side(h * pixel_aspect)))
}

fn samples(panel: &ExportPanel, choices: &ExportChoices, image: &OpenImage, region: PixelRect) -> Option<SamplesPlan> {
    let (info, channels) = (image.info(), panel.channels(image));
    if channels.is_empty() || region.is_empty() {
        return None;
    }
    let format = |c: &u16| info.channels.get(usize::from(*c)).map(|c| c.format);
    let planes = u64::from(info.z_count.max(1)) * u64::from(info.t_count.max(1));
    let bytes: u64 = channels.iter().filter_map(format).map(|f| f.bytes_per_px() as u64).sum();
    let is_8_bit = channels.iter().filter_map(format).all(|f| f != TileFormat::Gray16);
    // Samples of 16 bits are not JPEG's.
    let compression = match choices.compression {
        Compression::Jpeg if !is_8_bit => Compression::default(),
        other => other,
    };
    Some(SamplesPlan {
        region,
        origin: image.origin(),
        is_whole: region == image.whole(),
        channels,
        bytes_per_px: bytes.saturating_mul(planes),
        is_8_bit,
        compression,
        quality: choices.quality,
        um_per_px: image.um_per_px,
        original_metadata: choices.original_metadata && choices.preset.is_ome(),
        even_illumination: choices.even_illumination && image.mosaic.is_some(),
    })
}

fn picture(
    choices: &ExportChoices,
    image: &OpenImage,
    screen: &Screen,
    (camera, size): (Camera, Size),
    region: Option<PixelRect>,
    dpi: Option<f64>,
    pixels_per_point: f32,
) -> PicturePlan {
    let (least, most) = (*PIXELS_PER_POINT.start(), *PIXELS_PER_POINT.end());
    PicturePlan {
        image: image.id,
        z: image.z,
        t: image.t,
        um_per_px: image.um_per_px,
        display: image.display_settings(screen.background, screen.filter),
        camera,
        origin: image.origin(),
        size,
        region,
        format: choices.picture,
        quality: choices.quality,
        dpi,
        scale_bar: choices.scale_bar,
        // As many digits as the command line shows.
        pixels_per_point: (pixels_per_point.clamp(least, most) * 100.0).round() / 100.0,
        outlines: if choices.outlines { image.field_outlines() } else { Vec::new() },
    }
}

impl OpenImage {
    /// All that a whole export covers: of a mosaic the part of its frame that holds fields.
    pub fn whole(&self) -> PixelRect {
        let all = self.info().size.rect();
        self.mosaic.as_ref().map_or(all, |view| view.state.geometry.extent.intersect(all))
    }

    /// The top-left corner of [`Self::whole`]: places that people read and type count from it, as those of a whole export
    /// do.
    pub fn corner(&self) -> Point {
        let whole = self.whole();
        Point::new(f64::from(whole.x), f64::from(whole.y))
    }

    /// Where the frame of a mosaic is, layout coordinates; nothing moves other images.
    pub fn origin(&self) -> Point {
        self.mosaic.as_ref().map_or(Point::default(), |view| view.state.geometry.origin)
    }

    /// The fields of a mosaic as they are drawn now, level-0 pixels; none of an image that is whole.
    pub fn field_outlines(&self) -> Vec<Rect> {
        let Some(view) = &self.mosaic else { return Vec::new() };
        (0..view.positions().len() as u32).filter_map(|field| view.field_rect(field)).collect()
    }
}

/// The file that is proposed: beside the last export, else where `folders` say, named after the image.
pub(super) fn proposed_path(choices: &ExportChoices, folders: &Folders, source: &Path, name: &str) -> PathBuf {
    let folder = choices.folder.clone().unwrap_or_else(|| folders.beside(source));
    let stem = stem_of(Path::new(name));
    let more = match choices.preset {
        ExportPreset::WholeOmeTiff => "",
        ExportPreset::RegionOmeTiff | ExportPreset::RegionPicture => " region",
        ExportPreset::ViewPicture => " view",
        ExportPreset::RegionRaw => " raw",
    };
    let path = folder.join(format!("{stem}{more}.{}", choices.ending()));
    // An image is never proposed to be written over.
    if path == source { folder.join(format!("{stem} export.{}", choices.ending())) } else { path }
}

/// A path with another ending, all of the old one taken off.
pub(super) fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let same_kind = |other: &str| {
        let name = path.file_name().map(|n| n.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
        name.ends_with(other)
    };
    let fits = match ending {
        "ome.tif" => same_kind(".ome.tif") || same_kind(".ome.tiff"),
        "tif" => (same_kind(".tif") || same_kind(".tiff")) && !same_kind(".ome.tif") && !same_kind(".ome.tiff"),
        "jpg" => same_kind(".jpg") || same_kind(".jpeg"),
        other => same_kind(&format!(".{other}")),
    };
    if fits { path.to_owned() } else { path.with_file_name(format!("{}.{ending}", stem_of(path))) }
}

/// A file's name without the endings that images have.
fn stem_of(path: &Path) -> String {
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    const ENDINGS: [&str; 10] =
        [".ome.tiff", ".ome.tif", ".tiff", ".tif", ".jpeg", ".jpg", ".png", ".svs", ".qptiff", ".jp2"];
    let lower = name.to_ascii_lowercase();
    let cut = ENDINGS.iter().find(|e| lower.ends_with(*e)).map_or(name.len(), |e| name.len() - e.len());
    let stem = name.get(..cut).filter(|s| !s.is_empty()).unwrap_or("image");
    stem.to_owned()
}
