//! A mosaic as it stood at one moment: what an export reads, whatever moves meanwhile.

use super::{MosaicPhase, MosaicState};
use crate::error::{Error, Result};
use crate::geom::{PixelRect, Point};
use crate::mosaic::{Fuser, Illumination, Reduced};
use crate::pyramid::Pyramid;
use std::path::PathBuf;
use std::sync::Arc;

/// Fields on whole pixels stand at most so far from the layout if nothing moved them, in pixels.
const ROUNDING_PX: f64 = 1.0;

/// A mosaic that no longer changes.
pub struct FrozenMosaic {
    /// How it stood.
    pub state: Arc<MosaicState>,
    /// What identifies it, for words.
    pub(super) path: PathBuf,
    /// What was evened out on the screen.
    pub(super) shown: Option<Arc<Illumination>>,
    /// What was known of the light.
    pub(super) known: Option<Arc<Illumination>>,
    pub(super) reduced: Arc<Reduced>,
}

impl FrozenMosaic {
    /// What puts its fields together as they were shown.
    pub fn fuser<'p>(&self, pyramid: &'p Pyramid) -> Fuser<'p> {
        Fuser::new(pyramid, self.state.geometry.clone(), self.shown.clone()).with_reduced(self.reduced.clone())
    }

    /// The same for an export, with the illumination evened out or not, whatever was on the screen. Fails where nothing
    /// was known of the illumination.
    pub fn fuser_of_export<'p>(&self, pyramid: &'p Pyramid, even: bool) -> Result<Fuser<'p>> {
        if even && self.known.is_none() {
            let what = "nothing is known of the illumination, align the fields first, or export without evening it out";
            return Err(Error::unsupported(what, &self.path));
        }
        Ok(Fuser::new(pyramid, self.state.geometry.clone(), self.known.clone().filter(|_| even)))
    }

    /// How far what was planned in a frame at `origin` (layout coordinates) lies from there in this one, in pixels.
    pub fn moved_since(&self, origin: Point) -> Point {
        origin - self.state.geometry.origin
    }

    /// A region that was planned in a frame at `origin`, in this one and cut at its edge.
    pub fn region_since(&self, region: PixelRect, origin: Point) -> PixelRect {
        let moved = self.moved_since(origin);
        // Beyond the frame nothing is left of it.
        let side = |from: u32, length: u32, by: f64| {
            let low = (f64::from(from) + by).round().clamp(0.0, f64::from(u32::MAX));
            let high = (f64::from(from) + f64::from(length) + by).round().clamp(low, f64::from(u32::MAX));
            (low as u32, (high - low) as u32)
        };
        let (x, width) = side(region.x, region.width, moved.x);
        let (y, height) = side(region.y, region.height, moved.y);
        PixelRect::new(x, y, width, height).intersect(self.state.geometry.size.rect())
    }

    /// What a file says of how it was made: where its fields stand, and whether its values are stored ones.
    pub fn notes(&self, even_illumination: bool) -> Vec<(String, String)> {
        let positions = match self.state.phase {
            MosaicPhase::Aligned => "aligned",
            MosaicPhase::Loaded => "read from a file",
            MosaicPhase::Aligning { .. } if self.is_moved() => "provisional, written before the alignment had ended",
            MosaicPhase::LaidOut
            | MosaicPhase::Aligning { .. }
            | MosaicPhase::NotAligned(_)
            | MosaicPhase::Unaligned => "as the layout says",
        };
        let samples = if even_illumination { "illumination evened out" } else { "as stored" };
        vec![("Positions".to_owned(), positions.to_owned()), ("Samples".to_owned(), samples.to_owned())]
    }

    /// Whether fields stand elsewhere than the layout says.
    fn is_moved(&self) -> bool {
        let places = self.state.geometry.fields.iter().zip(self.state.nominal.iter());
        places.into_iter().any(|(field, nominal)| field.position.distance(*nominal) >= ROUNDING_PX)
    }
}
