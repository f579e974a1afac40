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
        // The camera's own axes, where they were measured: the stage may run the other way, or across.
        let camera = note.get("PixelSizeAffine").and_then(Value::as_str).and_then(|t| CameraAxes::parse(t, um_per_px));
        let (place, um_per_px) = match (place, &camera) {
            (Some((x, y)), Some(camera)) => (Some(camera.along(x, y)), Some(camera.um_per_px)),
            (place, _) => (place, um_per_px.map(|s| [s, s])),
        };
        let row_col =
            axis("row").zip(axis("column")).or_else(|| number(&["GridRowIndex"]).zip(number(&["GridColumnIndex"])));
        let channel_axis = axes.and_then(|a| a.get("channel")).map(|c| c.as_str().map_or(c.to_string(), str::to_owned));
        Self {
            at: [0; 3],
            stage: place.map(|(x, y)| StagePlace { x, y, unit: StageUnit::Um(1.0), um_per_px }),
            row_col: row_col.map(|(r, c)| (r.round() as i32, c.round() as i32)),
            position: text("PositionName").map(str::to_owned),
            channel: text("Channel").map(str::to_owned).or(channel_axis),
            z: axis("z").or(number(&["SliceIndex", "Slice"])).map_or(0, whole),
            t: axis("time").or(number(&["FrameIndex", "Frame"])).map_or(0, whole),
        }
    }
}

/// How a camera's columns and rows lie on the stage.
#[derive(Debug, PartialEq)]
struct CameraAxes {
    /// The way of the stage, in micrometres, from a pixel to the one right of it and to the one below it.
    right: [f64; 2],
    down: [f64; 2],
    /// The lengths of both.
    um_per_px: [f64; 2],
}

impl CameraAxes {
    /// The largest cosine between columns and rows: a matrix of anything else is none.
    const MAX_COSINE: f64 = 0.1;

    /// How far the sides of a pixel may be from one another, and from the pixel size that is written beside them.
    const SIZE_SHARES: std::ops::RangeInclusive<f64> = 0.8..=1.25;

    /// Reads `a;b;tx;c;d;ty`, and what Java makes of it; nothing where it was not measured, or cannot be right.
    fn parse(text: &str, um_per_px: Option<f64>) -> Option<Self> {
        let numbers: Vec<f64> = text
            .split(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '-' | '+' | 'e' | 'E')))
            .filter_map(|n| n.parse().ok())
            .collect();
        let [a, b, _, c, d, _] = numbers[..] else { return None };
        let (right, down) = ([a, c], [b, d]);
        let [x, y] = [right, down].map(|v: [f64; 2]| v[0].hypot(v[1]));
        let cosine = (a * b + c * d) / (x * y);
        // One to one is what stands there before anything was measured.
        let is_measured = um_per_px.is_some() || numbers[..] != [1.0, 0.0, 0.0, 0.0, 1.0, 0.0];
        let is_right = cosine.abs() <= Self::MAX_COSINE
            && Self::SIZE_SHARES.contains(&(x / y))
            && um_per_px.is_none_or(|um| Self::SIZE_SHARES.contains(&(x / um)));
        (is_measured && is_right).then_some(Self { right, down, um_per_px: [x, y] })
    }

    /// A place of the stage in micrometres along the camera's columns and rows.
    fn along(&self, x: f64, y: f64) -> (f64, f64) {
        let ([a, c], [b, d]) = (self.right, self.down);
        let area = a * d - b * c;
        ((d * x - b * y) / area * self.um_per_px[0], (a * y - c * x) / area * self.um_per_px[1])
    }
}

/// Numbers are written as numbers by some versions and as texts by others.
fn number_of(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(affine: &str, size: &str) -> (f64, f64, Option<[f64; 2]>) {
        let text = format!(
            r#"{{"XPositionUm": 30, "YPositionUm": -8, "PixelSizeUm": {size}, "PixelSizeAffine": "{affine}"}}"#
        );
        let note = PlaneNote::of_micro_manager(&serde_json::from_str(&text).expect("JSON"));
        let stage = note.stage.expect("a place");
        (stage.x, stage.y, stage.um_per_px)
    }

    #[test]
    fn the_stage_is_read_along_the_axes_of_the_camera() {
        assert_eq!(place("0.5;0.0;0.0;0.0;0.5;0.0", "0.5"), (30.0, -8.0, Some([0.5; 2])));
        assert_eq!(place("-0.5;0.0;0.0;0.0;0.5;0.0", "0.5"), (-30.0, -8.0, Some([0.5; 2])));
        // Right on the camera is down on the stage.
        assert_eq!(place("0.0;0.5;0.0;-0.5;0.0;0.0", "0.5"), (8.0, 30.0, Some([0.5; 2])));
        assert_eq!(place("AffineTransform[[0.5, 0.0, 0.0], [0.0, -0.5, 0.0]]", "0"), (30.0, 8.0, Some([0.5; 2])));
    }

    #[test]
    fn axes_that_were_not_measured_or_cannot_be_right_are_passed_over() {
        for affine in [
            "1.0;0.0;0.0;0.0;1.0;0.0",
            "0;0;0;0;0;0",
            "0.5;0.5;0;0.5;0.5;0",
            "0.5;0;0;0.5;0;0",
            "NaN;1;2",
            "-2;0;0;0;2;0",
            "",
        ] {
            assert_eq!(place(affine, "0.5"), (30.0, -8.0, Some([0.5; 2])), "{affine}");
        }
        assert_eq!(place("1.0;0.0;0.0;0.0;1.0;0.0", "0"), (30.0, -8.0, None));
    }
}
