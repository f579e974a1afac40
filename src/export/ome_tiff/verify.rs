//! Reading a file back before it gets its name.

use super::build::TilePlace;
use super::print::Print;
use crate::error::{Error, Result};
use crate::export::band_source::BandImage;
use crate::formats;
use crate::geom::PixelRect;
use crate::pixels::TileFormat;
use crate::pyramid::{Cancel, ImageInfo, PlaneId, Source, TileKey, UnitSink, WithScratch};
use std::collections::HashMap;
use std::path::Path;

/// A tile that was written and what was in it.
pub struct Printed {
    /// Which.
    pub place: TilePlace,
    /// What was in it.
    pub print: Print,
}

/// Opens a finished file with our reader and compares tiles with what was written; returns how many.
///
/// `path` is what the file will be called, for messages.
pub fn verify(
    file: &Path,
    image: &BandImage,
    format: TileFormat,
    prints: &[Printed],
    path: &Path,
    cancel: &Cancel,
) -> Result<u64> {
    let wrong =
        |what: &str| Error::format(format!("the written file did not pass its check ({what}), try again"), path);
    let opened = formats::open(file).map_err(|e| wrong(&e.to_string()))?;
    let source = &*opened.source;
    let info = source.images().first().ok_or_else(|| wrong("no image in it"))?;
    let planes = image.planes();
    let same = info.size == image.size
        && info.channels.len() == image.channels.len()
        && (info.z_count, info.t_count) == (image.z_count, image.t_count)
        && info.channels.iter().all(|channel| channel.format == format);
    if !same {
        return Err(wrong("another size or other channels"));
    }
    for Printed { place, print } in prints {
        cancel.check()?;
        let Some(level) = info.levels.get(usize::from(place.level)) else { return Err(wrong("a level is missing")) };
        let side = image.tile_side;
        let rect = PixelRect::new(place.x * side, place.y * side, side, side).intersect(level.size.rect());
        let plane = planes[place.plane as usize];
        let plane = PlaneId { field: 0, channel: plane.channel, z: plane.z, t: plane.t };
        let mut square = vec![0; format.tile_bytes(side)];
        read_rect(source, info, (plane, place.level), rect, &mut square, side, cancel)
            .map_err(|e| if e.is_cancelled() { e } else { wrong(&e.to_string()) })?;
        let lossless = matches!(print, Print::Exact(_));
        if !print.agrees(&Print::of(&square, side, rect.size(), format, lossless)) {
            return Err(wrong("a tile is not what was written"));
        }
    }
    Ok(prints.len() as u64)
}

/// Reads a part of a level into the beginning of a square.
fn read_rect(
    source: &dyn Source,
    info: &ImageInfo,
    (plane, level): (PlaneId, u8),
    rect: PixelRect,
    square: &mut [u8],
    side: u32,
    cancel: &Cancel,
) -> Result<()> {
    let from_side = info.tile_side;
    let bpp = info.channels[plane.channel as usize].format.bytes_per_px();
    let mut sink = HeapSink { info, tiles: HashMap::new(), failed: None };
    for ty in rect.y / from_side..=(rect.bottom() - 1) / from_side {
        for tx in rect.x / from_side..=(rect.right() - 1) / from_side {
            let key = TileKey { plane, level, x: tx, y: ty };
            if !sink.tiles.contains_key(&key) {
                source.read_unit(&source.unit_of(key), &mut sink, cancel)?;
            }
            if let Some(reason) = sink.failed.take() {
                return Err(Error::format(reason, Path::new("")));
            }
            let Some(tile) = sink.tiles.get(&key) else {
                return Err(Error::format("a tile is missing", Path::new("")));
            };
            let at = info.tile_rect(key);
            let part = at.intersect(rect);
            for y in part.y..part.bottom() {
                let from = ((y - at.y) * from_side + part.x - at.x) as usize * bpp;
                let to = ((y - rect.y) * side + part.x - rect.x) as usize * bpp;
                let bytes = part.width as usize * bpp;
                square[to..to + bytes].copy_from_slice(&tile[from..from + bytes]);
            }
        }
    }
    Ok(())
}

/// Tiles on the heap: what was written here is tiled, so units are small.
struct HeapSink<'a> {
    info: &'a ImageInfo,
    tiles: HashMap<TileKey, Vec<u8>>,
    failed: Option<String>,
}

impl UnitSink for HeapSink<'_> {
    fn tile_mut(&mut self, key: TileKey) -> Result<&mut [u8]> {
        let bytes = self.info.tile_bytes(key.plane);
        Ok(self.tiles.entry(key).or_insert_with(|| vec![0; bytes]))
    }

    fn with_scratch(&mut self, bytes: u64, _then: &mut WithScratch<'_>) -> Result<()> {
        Err(Error::too_large(format!("a part of it takes {bytes} bytes"), Path::new("")))
    }

    fn fail(&mut self, _key: TileKey, reason: String) {
        self.failed.get_or_insert(reason);
    }
}
