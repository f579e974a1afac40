//! What a person decided about a mosaic: kept under the set's fingerprint, so that it survives renaming and moving.

use crate::geom::Point;
#[cfg(doc)]
use crate::image_set::FieldSet;
use crate::image_set::GridLayout;
use crate::mosaic::{AlignOptions, Blend, HandWork, Placement};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// Everything that a person decided about one mosaic. The default is what a set opens with.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct MosaicEdits {
    /// What the numbers of the fields meant when this was kept ([`FieldSet::order_mark`]); `None` in a running program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field_order: Option<String>,
    /// Decisions about seams.
    pub hand: HandWork,
    /// How to align.
    pub options: AlignOptions,
    /// The round that is shown and aligned by, from 0: rounds are not registered to one another.
    pub round: u16,
    /// A corrected grid; `None`: as it was recognised.
    pub layout: Option<GridLayout>,
    /// A corrected name pattern; `None`: as it was recognised.
    pub pattern: Option<String>,
    /// Places that were read from a file take the place of measured ones.
    #[serde(with = "shared_positions")]
    pub positions: Option<Arc<LoadedPositions>>,
    /// How overlaps are put together.
    pub blend: Blend,
    /// Whether fields stand on whole pixels.
    pub placement: Placement,
    /// Whether illumination is evened out on the screen.
    pub even_illumination: bool,
    /// Profile images that stand in for the estimate, by channel.
    pub profiles: BTreeMap<u16, ProfileFiles>,
    /// Show the nominal layout; the solved places are kept.
    pub show_unaligned: bool,
}

impl MosaicEdits {
    /// Lets go of what is said of fields by their numbers, where it was said of other numbers than these; true if that was
    /// anything.
    pub fn keep_only_of(&mut self, order: Option<&str>) -> bool {
        let is_same = self.field_order.take().is_none_or(|kept| order == Some(&kept));
        if is_same || (self.hand.edges.is_empty() && self.positions.is_none()) {
            return false;
        }
        (self.hand, self.positions) = (HandWork::default(), None);
        true
    }
}

/// Places from a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoadedPositions {
    /// The file they were read from, for words only.
    pub path: PathBuf,
    /// Top-left corners in pixels, by the number of the field; `None` where the file does not name it.
    pub places: Vec<Option<Point>>,
}

/// Places are written as they are, and shared between all decisions that an undo remembers.
mod shared_positions {
    use super::LoadedPositions;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use std::sync::Arc;

    pub fn serialize<S: Serializer>(positions: &Option<Arc<LoadedPositions>>, out: S) -> Result<S::Ok, S::Error> {
        positions.as_deref().serialize(out)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Arc<LoadedPositions>>, D::Error> {
        Ok(Option::<LoadedPositions>::deserialize(from)?.map(Arc::new))
    }
}

/// The profile images of one channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileFiles {
    /// The picture of even light.
    pub flat: PathBuf,
    /// The picture without light.
    pub dark: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stitch::solve::Hand;

    #[test]
    fn decisions_about_numbers_are_dropped_when_the_numbers_mean_other_fields() {
        let mut kept = MosaicEdits { field_order: Some("a".into()), blend: Blend::Linear, ..MosaicEdits::default() };
        kept.hand.edges.insert((0, 1), Hand::Refuse);
        let mut same = kept.clone();
        assert!(!same.keep_only_of(Some("a")) && same.hand == kept.hand && same.field_order.is_none());
        let mut other = kept.clone();
        assert!(other.keep_only_of(Some("b")) && other.hand.edges.is_empty() && other.blend == Blend::Linear);
        let mut nothing = MosaicEdits { hand: HandWork::default(), ..kept };
        assert!(!nothing.keep_only_of(Some("b")), "nothing is lost, nothing is told");
    }
}
