//! Small pictures of what was opened, for the image list and the recent files.
//!
//! They are made from an image's own coarsest level, never from a label or macro picture, and kept where the user alone
//! can read them.

use super::{OpenSet, SampledFields, statistics};
use crate::error::{Error, Result};
use crate::geom::Size;
use crate::pixels::TileFormat;
use crate::pyramid::{ChannelRole, Loaded, PlaneId, TileKey};
use crate::store::Persist;
use crate::view::{ChannelDisplay, DisplaySettings};
use std::path::{Path, PathBuf};
use xxhash_rust::xxh3::xxh3_128;

/// A thumbnail fits a square of this many pixels.
const THUMBNAIL_SIDE: u32 = 192;

/// The folder in the cache folder.
const FOLDER: &str = "thumbnails";

/// Paints a set's thumbnail from its coarsest level and keeps it. `None` where that level cannot be had now.
pub(super) fn make(set: &OpenSet, cache_dir: &Path) -> Result<Option<(Size, Vec<u8>)>> {
    let field = set.opened.first();
    let Some(image) = set.image(field) else { return Ok(None) };
    let image = &image;
    if image.size.is_empty() {
        return Ok(None);
    }
    let level = image.levels.len() as u8 - 1;
    let from = image.levels[level as usize].size;
    if from.width > image.tile_side || from.height > image.tile_side {
        return Ok(None);
    }
    // Of a mosaic the part of its frame that holds fields.
    let whole = image.size.rect();
    let whole = set.mosaic.as_ref().map_or(whole, |mosaic| mosaic.geometry().extent.intersect(whole));
    if whole.is_empty() {
        return Ok(None);
    }
    let aspect = image.um_per_px.map_or(1.0, |[x, y]| y / x);
    let (width, height) = (f64::from(whole.width), f64::from(whole.height) * aspect);
    let scale = f64::from(THUMBNAIL_SIDE) / width.max(height);
    let size = Size::new(((width * scale) as u32).max(1), ((height * scale) as u32).max(1));
    let mut sums = vec![0f32; size.area() as usize * 3];
    let display = DisplaySettings::of(image);
    for (index, channel) in image.channels.iter().enumerate() {
        if channel.role != ChannelRole::Intensity {
            continue;
        }
        let plane = PlaneId { field, channel: index as u16, z: image.z_count / 2, t: 0 };
        let key = TileKey { plane, level, x: 0, y: 0 };
        let loaded = match set.fuser() {
            Some(fuser) => fuser.load(key)?,
            None => set.pyramid.load(key, &set.cancel)?,
        };
        let Loaded::Tile(tile) = loaded else { return Ok(None) };
        let mut shown = display.channels[index];
        if channel.format == TileFormat::Gray16
            && let Some(found) = match &set.mosaic {
                Some(_) => statistics::of_fields(&set.pyramid, plane, SampledFields::Ready, &set.cancel)?,
                None => statistics::of_channel(&set.pyramid, plane, &set.cancel)?,
            }
        {
            (shown.min, shown.max) = (found.window.min, found.window.max);
        }
        let bpp = tile.format.bytes_per_px();
        // The middle of the source pixels: a thumbnail is not looked at closely.
        let [column_of, row_of] = [
            (whole.x, whole.width, size.width, image.size.width, from.width),
            (whole.y, whole.height, size.height, image.size.height, from.height),
        ]
        .map(|(start, length, count, all, of_level)| {
            move |n: u32| {
                let at = f64::from(start) + (f64::from(n) + 0.5) * f64::from(length) / f64::from(count);
                ((at * f64::from(of_level) / f64::from(all)) as usize).min(of_level as usize - 1)
            }
        });
        for y in 0..size.height {
            let row = row_of(y);
            for x in 0..size.width {
                let column = column_of(x);
                let px = &tile.bytes[(row * tile.side as usize + column) * bpp..][..bpp];
                let at = (y * size.width + x) as usize * 3;
                add(&mut sums[at..at + 3], tile.format, px, &shown);
            }
        }
    }
    let rgba: Vec<u8> = sums
        .chunks_exact(3)
        .flat_map(|c| [c[0], c[1], c[2], 1.0].map(|v| (v.clamp(0.0, 1.0) * 255.0).round() as u8))
        .collect();
    if !set.cancel.is_cancelled() && set.persist == Persist::Keep {
        keep(cache_dir, &set.opened.path, size, &rgba)?;
    }
    Ok(Some((size, rgba)))
}

/// A kept thumbnail; `None` where there is none, or none that can be read.
pub(super) fn load(cache_dir: &Path, path: &Path) -> Option<(Size, Vec<u8>)> {
    let bytes = std::fs::read(file(cache_dir, path)).ok()?;
    let (header, rgba) = bytes.split_at_checked(8)?;
    let number = |at: usize| Some(u32::from_le_bytes(header.get(at..at + 4)?.try_into().ok()?));
    let size = Size::new(number(0)?, number(4)?);
    (rgba.len() as u64 == size.area().checked_mul(4)?).then(|| (size, rgba.to_vec()))
}

/// Removes the thumbnail of a path.
pub(super) fn forget(cache_dir: &Path, path: &Path) -> Result<()> {
    let file = file(cache_dir, path);
    match std::fs::remove_file(&file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::io("cannot remove the thumbnail", error, &file))
        }
        _ => Ok(()),
    }
}

fn keep(cache_dir: &Path, path: &Path, size: Size, rgba: &[u8]) -> Result<()> {
    let file = file(cache_dir, path);
    let mut bytes = Vec::with_capacity(8 + rgba.len());
    bytes.extend_from_slice(&size.width.to_le_bytes());
    bytes.extend_from_slice(&size.height.to_le_bytes());
    bytes.extend_from_slice(rgba);
    let name = file.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    super::texts::write_private(&cache_dir.join(FOLDER), &name, &bytes)
}

fn file(cache_dir: &Path, path: &Path) -> PathBuf {
    cache_dir.join(FOLDER).join(format!("{:032x}.rgba", xxh3_128(path.as_os_str().as_encoded_bytes())))
}

/// Adds one pixel of one channel as the display formula has it.
fn add(sum: &mut [f32], format: TileFormat, px: &[u8], shown: &ChannelDisplay) {
    let light = |v: f32| {
        let range = if shown.max == shown.min { 1.0 } else { shown.max - shown.min };
        ((v - shown.min) / range).clamp(0.0, 1.0).powf(1.0 / shown.gamma) * shown.weight
    };
    match format {
        TileFormat::Rgb8 => (0..3).for_each(|c| sum[c] += light(f32::from(px[c]))),
        TileFormat::Gray8 => (0..3).for_each(|c| sum[c] += light(f32::from(px[0])) * f32::from(shown.color[c]) / 255.0),
        TileFormat::Gray16 => {
            let v = light(f32::from(u16::from_ne_bytes([px[0], px[1]])));
            (0..3).for_each(|c| sum[c] += v * f32::from(shown.color[c]) / 255.0);
        }
    }
}
