//! What surrounds the canvas.
//!
//! A panel reads the session and pushes commands; it changes nothing itself.

pub mod channels;
pub mod combine;
pub mod details;
pub mod export;
pub mod histogram;
pub mod images;
pub mod keys;
pub mod metadata;
pub mod mosaic;
pub mod pixel_size;
pub mod problems;
pub mod top_bar;
