//! A mosaic as it stood at one moment: what an export reads, whatever moves meanwhile.

use super::{Evenness, MosaicPhase, MosaicState};
use crate::error::{Error, Result};
use crate::geom::{PixelRect, Point};
use crate::mosaic::illumination::LightTold;
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

    /// The same for an export, with the illumination evened out or not, whatever was on the screen. A channel whose light
    /// is not known is left as it is: see [`Self::light_told`]. Fails where that is being found out.
    pub fn fuser_of_export<'p>(&self, pyramid: &'p Pyramid, even: bool) -> Result<Fuser<'p>> {
        if even && (self.state.is_aligning() || self.state.evenness == Evenness::Estimating) {
            let what = "the light of the fields is still being measured, export again when that is done";
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

    /// What becomes of the light of these channels where it is to be evened out.
    pub fn light_told(&self, channels: &[u16]) -> LightTold {
        let name = |channel: u16| {
            let channel_info = self.state.info.channels.get(usize::from(channel));
            (channel, channel_info.map_or("", |c| c.name.as_str()))
        };
        let named: Vec<(u16, &str)> = channels.iter().map(|&channel| name(channel)).collect();
        LightTold::of(&named, self.known.as_deref(), &|channel| match (&self.state.evenness, &self.state.phase) {
            (Evenness::Known(found), _) => LightTold::why_not(found, channel),
            (Evenness::Failed(why), _) => why.clone(),
            (Evenness::Unknown | Evenness::Estimating, MosaicPhase::Aligned | MosaicPhase::Loaded) => {
                LightTold::NOT_MEASURED.to_owned()
            }
            (Evenness::Unknown | Evenness::Estimating, _) => LightTold::NOT_ALIGNED.to_owned(),
        })
    }

    /// What a file says of how it was made: where its fields stand, and what became of the light of these channels, where
    /// it was to be evened out.
    pub fn notes(&self, channels: &[u16], even_illumination: bool) -> Vec<(String, String)> {
        let positions = match self.state.phase {
            MosaicPhase::Aligned => "aligned",
            MosaicPhase::Loaded => "read from a file",
            MosaicPhase::Aligning { .. } if self.is_moved() => "provisional, written before the alignment had ended",
            MosaicPhase::LaidOut
            | MosaicPhase::Aligning { .. }
            | MosaicPhase::NotAligned(_)
            | MosaicPhase::Unaligned => "as the layout says",
        };
        let light = if even_illumination { self.light_told(channels) } else { LightTold::default() };
        let mut notes = vec![("Positions".to_owned(), positions.to_owned())];
        notes.extend(light.notes());
        notes
    }

    /// Whether fields stand elsewhere than the layout says.
    fn is_moved(&self) -> bool {
        let places = self.state.geometry.fields.iter().zip(self.state.nominal.iter());
        places.into_iter().any(|(field, nominal)| field.position.distance(*nominal) >= ROUNDING_PX)
    }
}
