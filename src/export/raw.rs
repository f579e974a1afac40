//! Stored samples, unchanged, as a plain tiled TIFF: one page a channel (RGB interleaved), then z, then t.

use super::layout::PixelLayout;
use super::ome_xml::{OmeImage, ome_xml};
use super::tiff_plan::{PageId, TiffPage, TiffPlan};
use super::tiff_writer::TiledTiffWriter;
use super::tile_encoder::{TileCompression, TileEncoder};
use crate::error::{Error, Result};
use crate::geom::PixelRect;
use crate::pixels::{PixelType, TileFormat};
use crate::pyramid::{Cancel, ChannelRole, ImageInfo, Keep, PlaneId, Pyramid, TileKey};
use crate::store::Destination;

/// What to export.
#[derive(Debug, Clone)]
pub struct RawExport {
    /// The image within its set.
    pub field: u32,
    /// The level whose samples are written.
    pub level: u8,
    /// The region in that level's pixels.
    pub region: PixelRect,
    /// The channels, in the order they are written.
    pub channels: Vec<u16>,
    /// How tiles are packed.
    pub compression: TileCompression,
    /// Micrometres a pixel of the full resolution, x and y: the file's, or what the user set.
    pub um_per_px: Option<[f64; 2]>,
}

/// One page: the planes whose samples are interleaved in it.
struct Page {
    planes: Vec<PlaneId>,
    layout: PixelLayout,
}

/// Writes the stored samples of a region; the file appears once it is whole.
///
/// Fails where a part cannot be read, because a hole would look like data. `progress` is told tiles done and in all.
pub fn export_raw<'a>(
    pyramid: &Pyramid,
    what: &RawExport,
    to: impl Into<Destination<'a>>,
    progress: &mut dyn FnMut(u64, u64),
    cancel: &Cancel,
) -> Result<()> {
    let to = to.into();
    let path = to.path;
    let image = pyramid.image(what.field).ok_or_else(|| Error::unsupported("there is no such image", path))?;
    if matches!(image.pixel_type, PixelType::U32 | PixelType::I32 | PixelType::F16 | PixelType::F32 | PixelType::F64) {
        let what = format!(
            "{} samples are kept as a 16-bit preview, which is not exact; export the view rendered instead",
            image.pixel_type.name()
        );
        return Err(Error::unsupported(what, path));
    }
    let region = what.region.intersect(image.levels[what.level as usize].size.rect());
    if region.is_empty() {
        return Err(Error::unsupported("the region lies outside the image", path));
    }
    let pages = pages(image, what);
    let side = image.tile_side;
    let (across, down) = (region.width.div_ceil(side), region.height.div_ceil(side));
    let total = pages.len() as u64 * u64::from(across) * u64::from(down);
    let um_per_px = what.um_per_px.map(|[x, y]| {
        let [dx, dy] = image.levels[what.level as usize].downsample;
        [x * dx, y * dy]
    });
    let mut plan = TiffPlan::default();
    let mut description = description(image, what, &pages, region, um_per_px);
    let ids: Vec<PageId> = pages
        .iter()
        .map(|page| {
            plan.add_page(TiffPage {
                size: region.size(),
                tile_side: side,
                layout: page.layout,
                compression: what.compression,
                um_per_px,
                description: description.take(),
            })
        })
        .collect();
    let mut writer = TiledTiffWriter::create(to, &plan)?;
    let mut done = 0;
    for (page, &id) in pages.iter().zip(&ids) {
        let mut encoder = TileEncoder::new(what.compression, page.layout, side, path)?;
        for (y, x) in (0..down).flat_map(|y| (0..across).map(move |x| (y, x))) {
            cancel.check()?;
            let rect = PixelRect::new(region.x + x * side, region.y + y * side, side, side).intersect(region);
            let mut pixels = gather(pyramid, image, page, what.level, rect, cancel)?;
            to_file_samples(image.pixel_type, &mut pixels);
            writer.write_tile(id, x, y, &encoder.encode(&pixels, path)?)?;
            done += 1;
            progress(done, total);
        }
    }
    cancel.check()?;
    writer.finish()
}

/// The pages of an export, channels fastest.
fn pages(image: &ImageInfo, what: &RawExport) -> Vec<Page> {
    let mut pages: Vec<Page> = Vec::new();
    let format = |channel: u16| image.channels[channel as usize].format;
    let alpha = what.channels.iter().copied().find(|&c| image.channels[c as usize].role == ChannelRole::Coverage);
    // Opacity goes into the page of the one channel that it belongs to, as it lies in the file.
    let alpha = alpha.filter(|&a| what.channels.len() == 2 && (format(a) != TileFormat::Gray16 || !is_rgb(image)));
    for (t, z) in (0..image.t_count).flat_map(|t| (0..image.z_count).map(move |z| (t, z))) {
        for &channel in &what.channels {
            let plane = |channel| PlaneId { field: what.field, channel, z, t };
            let layout = match format(channel) {
                TileFormat::Rgb8 => PixelLayout::of(TileFormat::Rgb8),
                TileFormat::Gray8 | TileFormat::Gray16 => PixelLayout::of_source(image.pixel_type),
            };
            match alpha {
                Some(alpha) if alpha == channel => {}
                Some(alpha) => pages.push(Page {
                    planes: vec![plane(channel), plane(alpha)],
                    layout: PixelLayout { samples: layout.samples + 1, ..layout },
                }),
                None => pages.push(Page { planes: vec![plane(channel)], layout }),
            }
        }
    }
    pages
}

fn is_rgb(image: &ImageInfo) -> bool {
    image.channels.iter().any(|channel| channel.format == TileFormat::Rgb8)
}

fn description(
    image: &ImageInfo,
    what: &RawExport,
    pages: &[Page],
    region: PixelRect,
    um_per_px: Option<[f64; 2]>,
) -> Option<String> {
    let layout = pages.first()?.layout;
    // OME-XML describes one kind of pixel, and knows no opacity.
    if layout.samples.is_multiple_of(2) || pages.iter().any(|p| p.layout != layout) {
        return None;
    }
    let channels: Vec<(&str, Option<[u8; 3]>)> = what
        .channels
        .iter()
        .map(|&c| &image.channels[c as usize])
        .map(|channel| (channel.name.as_str(), channel.color))
        .collect();
    Some(ome_xml(&OmeImage {
        name: "",
        size: region.size(),
        layout,
        z_count: image.z_count,
        t_count: image.t_count,
        channels: &channels,
        um_per_px,
        objective: None,
    }))
}

/// A tile of the output: the pixels of `rect`, at the top left of a whole square, planes interleaved.
fn gather(
    pyramid: &Pyramid,
    image: &ImageInfo,
    page: &Page,
    level: u8,
    rect: PixelRect,
    cancel: &Cancel,
) -> Result<Vec<u8>> {
    let side = image.tile_side;
    // Tiles that lie in several of the output are kept, so that they are decoded once.
    let aligned = rect.x.is_multiple_of(side) && rect.y.is_multiple_of(side);
    let keep = if aligned { Keep::IfDecodedWithOthers } else { Keep::Always };
    let out_bpp = page.layout.bytes_per_px();
    let mut out = vec![0; page.layout.tile_bytes(side)];
    let mut offset = 0;
    for &plane in &page.planes {
        let bpp = image.channels[plane.channel as usize].format.bytes_per_px();
        for ty in rect.y / side..=(rect.bottom() - 1) / side {
            for tx in rect.x / side..=(rect.right() - 1) / side {
                let key = TileKey { plane, level, x: tx, y: ty };
                let tile = image.tile_rect(key);
                let part = tile.intersect(rect);
                pyramid.visit_tile(key, keep, cancel, &mut |bytes| {
                    for y in part.y..part.bottom() {
                        let from = ((y - tile.y) * side + part.x - tile.x) as usize * bpp;
                        let to = ((y - rect.y) * side + part.x - rect.x) as usize * out_bpp;
                        let from = &bytes[from..from + part.width as usize * bpp];
                        if bpp == out_bpp {
                            out[to..to + from.len()].copy_from_slice(from);
                        } else {
                            for (x, px) in from.chunks_exact(bpp).enumerate() {
                                let at = to + x * out_bpp + offset;
                                out[at..at + bpp].copy_from_slice(px);
                            }
                        }
                    }
                })?;
            }
        }
        offset += bpp;
    }
    Ok(out)
}

/// Stored samples of signed types are shifted to start at zero: shift them back.
fn to_file_samples(pixel_type: PixelType, pixels: &mut [u8]) {
    match pixel_type {
        PixelType::I8 => pixels.iter_mut().for_each(|v| *v ^= 0x80),
        PixelType::I16 => pixels.chunks_exact_mut(2).for_each(|v| {
            let shifted = u16::from_ne_bytes([v[0], v[1]]) ^ 0x8000;
            v.copy_from_slice(&shifted.to_ne_bytes());
        }),
        _ => {}
    }
}
