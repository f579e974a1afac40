//! Writing images, each to a file that appears once it is whole ([`crate::store::WholeFile`]).

mod band_source;
mod deflate;
mod image_part;
mod jpeg;
mod layout;
mod mosaic_bands;
mod ome_tiff;
mod ome_xml;
mod original;
mod png;
mod raw;
mod raw_bands;
mod rgb_tiff;
mod slide_bands;
mod square;
mod tiff_plan;
mod tiff_writer;
mod tile_encoder;

pub use band_source::{BandChannel, BandImage, BandPlane, BandSource, Covered};
pub use image_part::ImagePart;
pub use jpeg::{RowSink, write_jpeg};
pub use layout::{PixelLayout, SampleKind};
pub use mosaic_bands::MosaicBands;
pub use ome_tiff::{Estimate, OmeTiffOptions, Written, check_room, estimate, worst_bytes, write_ome_tiff};
pub use ome_xml::{OmeImage, ome_xml, ome_xml_at_stage};
pub use original::{Original, OriginalPicture};
pub use png::PngWriter;
pub use raw::{RawExport, export_raw};
pub use raw_bands::write_raw_bands;
pub use rgb_tiff::write_rgb_tiff;
pub use slide_bands::SlideBands;
pub use square::repeat_edges;
pub use tiff_plan::{PageId, TiffPage, TiffPlan};
pub use tiff_writer::TiledTiffWriter;
pub use tile_encoder::{TileCompression, TileEncoder};
