//! What a file's headers say that tells whether it holds fields of a mosaic, and where those stand.
//!
//! A survey is an open without keeping anything open: sizes, channels, and the places of the stage.

use crate::pyramid::ImageInfo;
use serde_json::Value;
use std::path::PathBuf;

/// The headers of one file, or of the set of files that it describes.
#[derive(Debug, Clone)]
pub struct Survey {
    /// Its images, numbered as its [`crate::pyramid::Source`] numbers them.
    pub images: Vec<SurveyedImage>,
    /// The other files that its planes come from.
    pub members: Vec<PathBuf>,
}

/// What [`super::survey`] found.
#[derive(Debug, Clone)]
pub enum Surveyed {
    /// A file that stands for itself.
    Own(Survey),
    /// One of several files that share a description: [`super::survey_set`] reads them all at once, and doing that for
    /// each of them would take quadratic time.
    PartOfSet,
}

/// One image of a file.
#[derive(Debug, Clone)]
pub struct SurveyedImage {
    /// Sizes, channels, calibration.
    pub info: ImageInfo,
    /// Where the stage stood, of the whole image.
    pub stage: Option<StagePlace>,
    /// The well or region, where the file says.
    pub region: Option<String>,
    /// Planes that stand at places of their own, as Micro-Manager stores positions in one stack.
    pub planes: Vec<PlaneNote>,
}

/// A place of the stage.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StagePlace {
    /// To the right, or as the microscope counts; the sign is kept as it is written.
    pub x: f64,
    /// Down, or as the microscope counts.
    pub y: f64,
    /// What it is counted in.
    pub unit: StageUnit,
    /// Micrometres a pixel, where they are written beside it and nowhere else.
    pub um_per_px: Option<[f64; 2]>,
}

/// What a place of the stage is counted in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum StageUnit {
    /// So many micrometres.
    Um(f64),
    /// Pixels of level 0.
    Px,
    /// Not said: OME's "reference frame".
    Unknown,
}

/// What one plane of a stack is, and where it was taken.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PlaneNote {
    /// Channel, focus position and time point within the image of the file.
    pub at: [u16; 3],
    /// Where the stage stood.
    pub stage: Option<StagePlace>,
    /// Grid row and column.
    pub row_col: Option<(i32, i32)>,
    /// The name of the position.
    pub position: Option<String>,
    /// The channel's name.
    pub channel: Option<String>,
    /// Focus position, as the microscope counts.
    pub z: i64,
    /// Time point, as the microscope counts.
    pub t: i64,
}

impl PlaneNote {
    /// Reads what Micro-Manager notes beside a plane, in any of its versions.
    pub fn of_micro_manager(note: &Value) -> Self {
        let axes = note.get("Axes");
        let number = |names: &[&str]| names.iter().find_map(|name| number_of(note.get(name)?));
        let axis = |name: &str| number_of(axes?.get(name)?);
        let whole = |v: f64| v.round() as i64;
        let text = |name: &str| note.get(name).and_then(Value::as_str).map(str::trim).filter(|t| !t.is_empty());
        let um_per_px = number(&["PixelSizeUm", "PixelSize_um", "PixelSize_Um"]).filter(|v| v.is_finite() && *v > 0.0);
        let place = number(&["XPositionUm", "XPosition_um_Intended", "XPosition_um"])
            .zip(number(&["YPositionUm", "YPosition_um_Intended", "YPosition_um"]))
            .filter(|(x, y)| x.is_finite() && y.is_finite());
        let row_col =
            axis("row").zip(axis("column")).or_else(|| number(&["GridRowIndex"]).zip(number(&["GridColumnIndex"])));
        let channel_axis = axes.and_then(|a| a.get("channel")).map(|c| c.as_str().map_or(c.to_string(), str::to_owned));
        Self {
            at: [0; 3],
            stage: place.map(|(x, y)| StagePlace {
                x,
                y,
                unit: StageUnit::Um(1.0),
                um_per_px: um_per_px.map(|s| [s, s]),
            }),
            row_col: row_col.map(|(r, c)| (r.round() as i32, c.round() as i32)),
            position: text("PositionName").map(str::to_owned),
            channel: text("Channel").map(str::to_owned).or(channel_axis),
            z: axis("z").or(number(&["SliceIndex", "Slice"])).map_or(0, whole),
            t: axis("time").or(number(&["FrameIndex", "Frame"])).map_or(0, whole),
        }
    }
}

/// Numbers are written as numbers by some versions and as texts by others.
fn number_of(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())
}
