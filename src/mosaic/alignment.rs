//! What an alignment is asked for and what comes of it: the words that workers and the window share.

use crate::error::{Error, Result};
use crate::geom::{Point, Size};
use crate::image_set::{FieldSet, GridLayout};
use crate::stitch::report::Report;
use crate::stitch::solve::Hand;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The largest shift that is searched around the nominal place of a neighbour, per axis.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MaxShift {
    /// In pixels of level 0.
    Px(f64),
    /// In micrometres; needs a pixel size.
    Um(f64),
}

/// The default largest shift: this share of a field's side,
pub const DEFAULT_SHIFT_SHARE: f64 = 0.05;
/// but at least so many pixels.
pub const LEAST_SHIFT_PX: f64 = 16.0;
/// Shifts are searched over at least so many pixels, whatever is asked for.
const LEAST_SEARCH_PX: f64 = 2.0;

impl MaxShift {
    /// What is searched where nothing else is asked for, in pixels a side.
    pub fn default_px(field: Size) -> Point {
        let px = |side: u32| (f64::from(side) * DEFAULT_SHIFT_SHARE).max(LEAST_SHIFT_PX);
        Point::new(px(field.width), px(field.height))
    }

    /// What is searched in a set, in pixels per axis: no less than makes sense, and no more than a field.
    ///
    /// Fails where it is asked for in micrometres and the set has no pixel size, and where it is no number.
    pub fn in_px(asked: Option<Self>, set: &FieldSet) -> Result<Point> {
        let side = |pick: fn(&Size) -> u32| set.fields.iter().map(|f| pick(&f.size)).max().unwrap_or(1);
        let field = Size::new(side(|s| s.width), side(|s| s.height));
        let px = match asked {
            None => Self::default_px(field),
            Some(Self::Px(px)) => Point::new(px, px),
            Some(Self::Um(um)) => match set.um_per_px {
                Some([x, y]) if x > 0.0 && y > 0.0 => Point::new(um / x, um / y),
                _ => {
                    let what = "the size of a pixel is not known, give the largest shift in pixels";
                    return Err(Error::unsupported(what, &set.path));
                }
            },
        };
        let within = |v: f64, side: u32| v.max(LEAST_SEARCH_PX).min(f64::from(side));
        if px.x.is_finite() && px.y.is_finite() {
            Ok(Point::new(within(px.x, field.width), within(px.y, field.height)))
        } else {
            Err(Error::unsupported("the largest shift must be a number", &set.path))
        }
    }
}

/// How to align.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct AlignOptions {
    /// The channel to go by; `None`: the one with the best texture, DAPI preferred.
    pub channel: Option<u16>,
    /// The largest shift; `None`: [`MaxShift::default_px`].
    pub max_shift: Option<MaxShift>,
    /// The layout is a person's: fields are measured in its order, and where the overlaps say another one, that is only
    /// told.
    #[serde(default)]
    pub keep_layout: bool,
}

/// What a person decided about edges, by the numbers of their two fields, the smaller first.
/// A dragged field is a [`Hand::Shift`] to each of its overlapping neighbours.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct HandWork {
    /// Decisions; edges that are not listed are left to the measurement.
    #[serde(with = "pairs")]
    pub edges: BTreeMap<(u32, u32), Hand>,
}

/// Whether the places are to be believed.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// Aligned: positions are solved from accepted edges (single fields may stand where the stage says).
    Aligned,
    /// Nothing was measured: the layout is what the set brings.
    Nominal,
    /// The overlaps say nothing or contradict each other: fields stay at their nominal places, and why, in words.
    NotAligned(String),
}

/// Where all fields stand, and why.
#[derive(Debug, Clone)]
pub struct Alignment {
    /// The layout that the alignment started from, in pixels: the set's own, or corrected for orientation, scan order and
    /// overlap where those were found out.
    pub nominal: Vec<Point>,
    /// The grid behind it, where there is one.
    pub grid: Option<GridLayout>,
    /// Solved places, top-left corners, pixels.
    pub positions: Vec<Point>,
    /// Whether to believe them.
    pub verdict: Verdict,
    /// The channel that was gone by.
    pub channel: u16,
    /// The numbers.
    pub report: Arc<Report>,
    /// What was found out on the way, one line each: `columns run from right to left`, `overlap 10.2 % x 9.8 %`.
    pub findings: Vec<String>,
}

/// What an alignment tells while it runs. Called from worker threads.
pub trait AlignWatch: Sync {
    /// Between two pieces of work: `done` of `total` steps. An error stops the alignment.
    fn progress(&self, done: u64, total: u64) -> Result<()>;

    /// Provisional places, at most ten times a second.
    fn provisional(&self, alignment: Alignment);
}

/// JSON keys are texts: a map by pairs is written as a list.
mod pairs {
    use super::{BTreeMap, Hand};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use std::result::Result;

    pub fn serialize<S: Serializer>(map: &BTreeMap<(u32, u32), Hand>, to: S) -> Result<S::Ok, S::Error> {
        map.iter().collect::<Vec<_>>().serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<(u32, u32), Hand>, D::Error> {
        Ok(Vec::<((u32, u32), Hand)>::deserialize(from)?.into_iter().collect())
    }
}
