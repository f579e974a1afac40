//! An open mosaic: what the user decided about it, and what the engine made of that.
//!
//! ```text
//! MosaicEdits (owned by the session) --edit_mosaic--> aligner --Event::Mosaic(MosaicState)--> session, window
//!                                                        |
//!                                                        +--> Geometry, Fuser --> loaders --> fused tiles
//! ```

mod aligner;
mod edits;
mod fill;
mod frozen;
mod open;
mod publish;
mod seams;
mod state;

pub(super) use aligner::{Alignments, aligner};
pub use edits::{LoadedPositions, MosaicEdits, ProfileFiles};
pub(super) use fill::fill_fields;
pub use frozen::FrozenMosaic;
pub(super) use open::edits_text;
pub use open::{MosaicWatch, OpenMosaic, Step};
pub use seams::Seams;
pub use state::{Evenness, MosaicPhase, MosaicSet, MosaicState, SampleSource, Seam, SeamQuality};
