//! Pyramidal OME-TIFF, written in one pass over the full resolution, in memory that does not grow with the image.
//!
//! The levels of each plane lie in the SubIFDs of its page, as the OME specification says.
//! `order` says which part comes when, `build` turns bands into packed tiles on all cores, and here they are written.
//! `space` knows beforehand how large the file will be; `verify` reads it back before it gets its name.

mod build;
mod order;
mod print;
mod space;
#[cfg(test)]
mod tests;
mod verify;

pub use space::{Estimate, check_room, estimate};

use super::band_source::{BandImage, BandSource};
use super::layout::{PixelLayout, SampleKind};
use super::ome_xml::{OmeImage, ome_xml_of};
use super::original::{Original, OriginalPicture};
use super::square::cut;
use super::tiff_plan::{PageId, TiffPage, TiffPlan};
use super::tiff_writer::TiledTiffWriter;
use super::tile_encoder::{TileCompression, TileEncoder};
use crate::error::{Error, Result};
use crate::geom::Size;
use crate::pixels::TileFormat;
use crate::pyramid::Cancel;
use crate::store::{Destination, WholeFile};
use build::{Build, TilePlace, level_sizes};
use std::collections::HashSet;
use std::path::Path;
use verify::{Printed, verify};

/// Tiles of one page that are remembered and read back; each takes some tens of bytes.
const MAX_PRINTS: u64 = 512;

/// The side of the tiles of a picture that goes along with an image.
const PICTURE_TILE_SIDE: u32 = 256;

/// How an OME-TIFF is written.
#[derive(Debug, Clone)]
pub struct OmeTiffOptions {
    /// How its tiles are packed.
    pub compression: TileCompression,
    /// Whether it is read back before it gets its name.
    pub verify: bool,
    /// What goes along of the original's own texts and pictures: nothing, unless the user asks for it.
    pub original: Original,
}

/// What came of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// Bytes of the file.
    pub bytes: u64,
    /// Tiles of all levels and planes.
    pub tiles: u64,
    /// Tiles that were read back and compared.
    pub verified: u64,
    /// Parts that could not be read and were left empty.
    pub unreadable_parts: u64,
}

/// Writes a source to a file, which appears once it is whole and, where that is asked for, was read back right.
///
/// The room on the disk is looked at first, by an estimate from a few packed places.
/// The same source and options give the same bytes for any number of threads. `progress` hears of tiles done and in all,
/// on this thread, which must not be one of the pool's.
/// Fails where a part cannot be read, because a hole would look like data.
pub fn write_ome_tiff<'a>(
    source: &dyn BandSource,
    options: &OmeTiffOptions,
    to: impl Into<Destination<'a>>,
    pool: &rayon::ThreadPool,
    progress: &mut dyn FnMut(u64, u64),
    cancel: &Cancel,
) -> Result<Written> {
    let to = to.into();
    let path = to.path;
    let image = source.image();
    let format = tile_format(image, path)?;
    let planned = Planned::of(image, options);
    // A folder that cannot be written to is said before anything about room on the disk.
    WholeFile::create(to).map(drop)?;
    check_room(path, estimate(source, options, path, cancel)?.bytes)?;
    // The estimate read some parts too.
    let unreadable_before = source.unreadable_parts();
    let mut writer = TiledTiffWriter::create(to, &planned.plan)?;
    let total = planned.tiles(image);
    let pages_tiles =
        image.size.width.div_ceil(image.tile_side) as u64 * u64::from(image.size.height.div_ceil(image.tile_side));
    let print_step = if options.verify { pages_tiles.div_ceil(MAX_PRINTS).max(1) } else { 0 };
    let build = Build::new(source, format, options.compression, print_step, path, cancel);
    let mut prints: Vec<Printed> = Vec::new();
    let mut printed: HashSet<(u32, u8)> = HashSet::new();
    let mut done = 0;
    build.run(pool, &mut |tile| {
        cancel.check()?;
        let TilePlace { plane, level, x, y } = tile.place;
        writer.write_tile(planned.pages[plane as usize][usize::from(level)], x, y, &tile.bytes)?;
        if let Some(print) = &tile.print {
            // Many planes share the room for prints: the first planes have theirs, later ones one tile a level.
            if printed.insert((plane, level)) || prints.len() < MAX_PRINTS as usize {
                prints.push(Printed { place: tile.place, print: print.clone() });
            }
        }
        done += 1;
        progress(done, total);
        Ok(())
    })?;
    drop(build);
    write_pictures(&mut writer, &planned, &options.original.pictures, path)?;
    cancel.check()?;
    let bytes = writer.bytes();
    let verified = if options.verify {
        writer.check_tables()?;
        verify(&writer.complete()?, image, format, &prints, path, cancel)?
    } else {
        0
    };
    cancel.check()?;
    writer.finish()?;
    let unreadable_parts = source.unreadable_parts() - unreadable_before;
    Ok(Written { bytes, tiles: total, verified, unreadable_parts })
}

/// The most bytes that the file can take: what a disk must have room for if nothing gets smaller by packing.
pub fn worst_bytes(image: &BandImage, options: &OmeTiffOptions) -> u64 {
    Planned::of(image, options).plan.worst_bytes()
}

/// How pixels of an image are held while they are worked on.
fn tile_format(image: &BandImage, path: &Path) -> Result<TileFormat> {
    if image.size.is_empty() || image.channels.is_empty() || image.z_count == 0 || image.t_count == 0 {
        return Err(Error::unsupported("there is nothing to export", path));
    }
    let rgb = PixelLayout::of(TileFormat::Rgb8);
    match image.layout {
        layout if layout == rgb => Ok(TileFormat::Rgb8),
        PixelLayout { kind: SampleKind::Unsigned | SampleKind::Signed, bits: 8, samples: 1 } => Ok(TileFormat::Gray8),
        PixelLayout { kind: SampleKind::Unsigned | SampleKind::Signed, bits: 16, samples: 1 } => Ok(TileFormat::Gray16),
        _ => Err(Error::unsupported("an OME-TIFF holds 8- and 16-bit grey or RGB samples here", path)),
    }
}

/// The pages of the file.
struct Planned {
    plan: TiffPlan,
    /// By plane, then by level.
    pages: Vec<Vec<PageId>>,
    pictures: Vec<PageId>,
}

impl Planned {
    fn of(image: &BandImage, options: &OmeTiffOptions) -> Self {
        let original = &options.original;
        let channels: Vec<_> = image.channels.iter().map(|c| (c.name.as_str(), c.color)).collect();
        let rgb = PixelLayout::of(TileFormat::Rgb8);
        let mut images = vec![OmeImage {
            name: &original.name,
            size: image.size,
            layout: image.layout,
            z_count: image.z_count,
            t_count: image.t_count,
            channels: &channels,
            um_per_px: image.um_per_px,
            objective: image.objective,
        }];
        images.extend(original.pictures.iter().map(|picture| OmeImage {
            name: &picture.name,
            size: picture.size,
            layout: rgb,
            z_count: 1,
            t_count: 1,
            channels: &[("", None)],
            um_per_px: None,
            objective: None,
        }));
        let mut description = Some(ome_xml_of(&images, &original.notes));
        let mut plan = TiffPlan::default();
        let levels = level_sizes(image.size, image.tile_side);
        let pages = (0..image.planes().len())
            .map(|_| {
                let page = plan.add_page(TiffPage {
                    size: image.size,
                    tile_side: image.tile_side,
                    layout: image.layout,
                    compression: options.compression,
                    um_per_px: image.um_per_px,
                    description: description.take(),
                });
                let below = levels[1..].iter().map(|&size| plan.add_level(page, size));
                std::iter::once(page).chain(below).collect()
            })
            .collect();
        let pictures = original
            .pictures
            .iter()
            .map(|picture| {
                plan.add_page(TiffPage {
                    size: picture.size,
                    tile_side: PICTURE_TILE_SIDE,
                    layout: rgb,
                    compression: TileCompression::Deflate,
                    um_per_px: None,
                    description: None,
                })
            })
            .collect();
        Self { plan, pages, pictures }
    }

    /// Tiles of all planes and levels.
    fn tiles(&self, image: &BandImage) -> u64 {
        let tiles = |size: Size| {
            u64::from(size.width.div_ceil(image.tile_side)) * u64::from(size.height.div_ceil(image.tile_side))
        };
        let plane: u64 = level_sizes(image.size, image.tile_side).into_iter().map(tiles).sum();
        plane * self.pages.len() as u64
    }
}

fn write_pictures(
    writer: &mut TiledTiffWriter,
    planned: &Planned,
    pictures: &[OriginalPicture],
    path: &Path,
) -> Result<()> {
    let (side, layout) = (PICTURE_TILE_SIDE, PixelLayout::of(TileFormat::Rgb8));
    let bpp = layout.bytes_per_px();
    for (&page, picture) in planned.pictures.iter().zip(pictures) {
        let mut encoder = TileEncoder::new(TileCompression::Deflate, layout, side, path)?;
        let mut square = vec![0; layout.tile_bytes(side)];
        let stride = picture.size.width as usize * bpp;
        let (across, down) = (picture.size.width.div_ceil(side), picture.size.height.div_ceil(side));
        for (y, x) in (0..down).flat_map(|y| (0..across).map(move |x| (y, x))) {
            let within = |size: u32, at: u32| (size - at * side).min(side);
            let valid = Size::new(within(picture.size.width, x), within(picture.size.height, y));
            let from = (y * side) as usize * stride + (x * side) as usize * bpp;
            cut(&picture.rgb[from..], stride, valid, &mut square, side, bpp);
            writer.write_tile(page, x, y, &encoder.encode(&square, path)?)?;
        }
    }
    Ok(())
}
