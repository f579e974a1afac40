//! A mosaic: fields with their places, presented as one image.
//!
//! ```text
//! FieldSet --FieldsSource--> pyramid of fields in the store --align--> positions --Geometry--+
//!                                          |                                               |
//!                                          +----- fields' own tiles ------------- fuse ----+--> fused tiles, bands
//! ```
//!
//! Fields are decoded once into the store, each with its own reduced levels ([`FieldsSource`] behind a
//! [`crate::pyramid::Pyramid`], plane by plane).
//! Fused tiles are made when they are looked at and are never stored: a [`Geometry`] says where the fields stand, and a
//! change of it is a new generation.
//!
//! # Spaces
//!
//! `field` coordinates are pixels of one field's level 0.
//! `image` coordinates are pixels of the mosaic, in a frame that is fixed by the nominal layout (grown by a margin, so
//! that an alignment does not move it); a field's place in it is [`Placed::position`].

mod align;
mod alignment;
mod field_index;
mod fields;
#[cfg(test)]
mod fixtures;
mod fuse;
mod geometry;
pub mod illumination;
pub mod seam;

pub use align::Aligner;
pub use alignment::{
    AlignOptions, AlignWatch, Alignment, DEFAULT_SHIFT_SHARE, HandWork, LEAST_SHIFT_PX, MaxShift, Verdict,
};
pub use field_index::FieldIndex;
pub use fields::FieldsSource;
pub use fuse::{Band, Fuser, ReadOut, Reduced};
pub use geometry::{Blend, Geometry, MAX_FRAME_SIDE_PX, MOSAIC_TILE_SIDE, Placed, Placement};
pub use illumination::{Illumination, Profile};

/// The number that stands for the mosaic itself in [`crate::pyramid::PlaneId::field`], where the fields are 0, 1, 2...
pub const MOSAIC: u32 = u32::MAX;
