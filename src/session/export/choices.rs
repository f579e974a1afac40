//! What is remembered from one export to the next.

use super::plan::{ExportPlan, ExportWhat};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The quality of JPEG that is proposed: no eye sees what it leaves out.
const DEFAULT_QUALITY: u8 = 85;
/// Pictures may be enlarged and reduced this much.
pub const SCALES: std::ops::RangeInclusive<f64> = 0.001..=16.0;
/// Dots an inch that printers and journals ask for.
pub const DPI: std::ops::RangeInclusive<f64> = 30.0..=2400.0;
/// Millimetres an inch.
const MM_PER_INCH: f64 = 25.4;
/// How wide a print may be, in millimetres.
pub const PRINT_WIDTH_MM: std::ops::RangeInclusive<f64> = 5.0..=5000.0;

/// What the panel begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum ExportPreset {
    /// All of the image, with reduced levels.
    #[default]
    WholeOmeTiff,
    /// A region, with reduced levels.
    RegionOmeTiff,
    /// The view, as it is on the canvas.
    ViewPicture,
    /// A region, as it would be on the canvas.
    RegionPicture,
    /// The stored samples of a region.
    RegionRaw,
}

impl ExportPreset {
    /// All of them, in the order of the panel.
    pub const ALL: [Self; 5] =
        [Self::WholeOmeTiff, Self::RegionOmeTiff, Self::ViewPicture, Self::RegionPicture, Self::RegionRaw];

    /// Whether it is about a region.
    pub fn has_region(self) -> bool {
        matches!(self, Self::RegionOmeTiff | Self::RegionPicture | Self::RegionRaw)
    }

    /// Whether it paints what is on the canvas, where the others write samples.
    pub fn is_picture(self) -> bool {
        matches!(self, Self::ViewPicture | Self::RegionPicture)
    }

    /// Whether it writes reduced levels and names.
    pub fn is_ome(self) -> bool {
        matches!(self, Self::WholeOmeTiff | Self::RegionOmeTiff)
    }
}

/// How samples are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Compression {
    /// As they are.
    None,
    /// Lossless, slow, read by everything.
    Lzw,
    /// Lossless, read by nearly everything.
    #[default]
    Deflate,
    /// Lossless and fast, read by newer programs.
    Zstd,
    /// Lossy, for 8-bit and colour images.
    Jpeg,
}

impl Compression {
    /// All of them, in the order of the panel.
    pub const ALL: [Self; 5] = [Self::Deflate, Self::Zstd, Self::Lzw, Self::Jpeg, Self::None];

    /// What the command line calls it.
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Lzw => "lzw",
            Self::Deflate => "deflate",
            Self::Zstd => "zstd",
            Self::Jpeg => "jpeg",
        }
    }
}

/// What kind of file a picture becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum PictureFormat {
    /// Lossless, for documents.
    #[default]
    Png,
    /// Lossy, small.
    Jpeg,
    /// Lossless, for printers.
    Tiff,
}

impl PictureFormat {
    /// All of them, in the order of the panel.
    pub const ALL: [Self; 3] = [Self::Png, Self::Jpeg, Self::Tiff];

    /// How its files' names end.
    pub fn ending(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpg",
            Self::Tiff => "tif",
        }
    }

    /// The format that a file's name says.
    pub fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "png" => Some(Self::Png),
            "jpg" | "jpeg" => Some(Self::Jpeg),
            "tif" | "tiff" => Some(Self::Tiff),
            _ => None,
        }
    }
}

/// How large a picture is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum PictureSize {
    /// So many pixels a pixel: of the screen for a view, of the full resolution for a region.
    Scale(f64),
    /// So wide on paper, and so fine.
    Print {
        /// Its width on paper, millimetres.
        width_mm: f64,
        /// Dots an inch.
        dpi: f64,
    },
}

impl PictureSize {
    /// Pixels a pixel for something of a width in pixels, and the dots an inch where they were asked for.
    pub(super) fn scale(self, width: u32) -> (f64, Option<f64>) {
        match self {
            Self::Scale(scale) => (scale, None),
            Self::Print { width_mm, dpi } => (width_mm / MM_PER_INCH * dpi / f64::from(width.max(1)), Some(dpi)),
        }
    }
}

impl Default for PictureSize {
    fn default() -> Self {
        Self::Scale(1.0)
    }
}

/// Choices that outlive the panel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ExportChoices {
    /// What is written.
    pub preset: ExportPreset,
    /// How samples are packed.
    pub compression: Compression,
    /// The quality of JPEG, 1 to 100.
    pub quality: u8,
    /// What kind of file a picture becomes.
    pub picture: PictureFormat,
    /// How large a picture of the view is.
    pub view_size: PictureSize,
    /// How large a picture of a region is.
    pub region_size: PictureSize,
    /// Paint a scale bar.
    pub scale_bar: bool,
    /// Paint the outlines of the fields of a mosaic.
    pub outlines: bool,
    /// Write names, identifiers, dates and comments of the original too.
    pub original_metadata: bool,
    /// Write values with the illumination evened out.
    pub even_illumination: bool,
    /// The folder that was written to last.
    pub folder: Option<PathBuf>,
    /// Bytes of samples a second that the last export of samples took in.
    pub samples_speed: Option<f64>,
    /// Pixels a second that the last picture was painted at.
    pub picture_speed: Option<f64>,
}

impl Default for ExportChoices {
    fn default() -> Self {
        Self {
            preset: ExportPreset::default(),
            compression: Compression::default(),
            quality: DEFAULT_QUALITY,
            picture: PictureFormat::default(),
            view_size: PictureSize::default(),
            region_size: PictureSize::default(),
            scale_bar: true,
            outlines: false,
            original_metadata: false,
            even_illumination: false,
            folder: None,
            samples_speed: None,
            picture_speed: None,
        }
    }
}

impl ExportChoices {
    /// Choices with every value inside its limits.
    pub fn checked(mut self) -> Self {
        self.quality = self.quality.clamp(1, 100);
        let within = |v: f64, range: &std::ops::RangeInclusive<f64>, otherwise: f64| {
            if v.is_finite() { v.clamp(*range.start(), *range.end()) } else { otherwise }
        };
        for size in [&mut self.view_size, &mut self.region_size] {
            *size = match *size {
                PictureSize::Scale(scale) => PictureSize::Scale(within(scale, &SCALES, 1.0)),
                PictureSize::Print { width_mm, dpi } => PictureSize::Print {
                    width_mm: within(width_mm, &PRINT_WIDTH_MM, 180.0),
                    dpi: within(dpi, &DPI, 300.0),
                },
            };
        }
        for speed in [&mut self.samples_speed, &mut self.picture_speed] {
            *speed = speed.filter(|s| s.is_finite() && *s > 0.0);
        }
        self
    }

    /// The size of the pictures that the preset makes.
    pub fn picture_size(&self) -> PictureSize {
        if self.preset == ExportPreset::ViewPicture { self.view_size } else { self.region_size }
    }

    /// The same choices with pictures of another size.
    pub fn with_picture_size(mut self, size: PictureSize) -> Self {
        match self.preset {
            ExportPreset::ViewPicture => self.view_size = size,
            _ => self.region_size = size,
        }
        self
    }

    /// How the file's name ends.
    pub fn ending(&self) -> &'static str {
        if self.preset.is_picture() {
            self.picture.ending()
        } else if self.preset.is_ome() {
            "ome.tif"
        } else {
            "tif"
        }
    }

    /// Takes over the picture format that a file's name says. True where that changed something.
    pub(super) fn adopt_ending(&mut self, path: &Path) -> bool {
        match PictureFormat::of(path).filter(|_| self.preset.is_picture()) {
            Some(format) if format != self.picture => {
                self.picture = format;
                true
            }
            _ => false,
        }
    }

    /// Remembers how fast an export was, for the next estimate.
    pub(super) fn remember_speed(&mut self, plan: &ExportPlan, secs: f64) {
        // What was over in a moment tells little of a long one.
        if secs < 0.5 {
            return;
        }
        let speed = Some(plan.work() as f64 / secs);
        match plan.what {
            ExportWhat::Picture(_) => self.picture_speed = speed,
            ExportWhat::OmeTiff(_) | ExportWhat::Raw(_) => self.samples_speed = speed,
        }
    }
}
