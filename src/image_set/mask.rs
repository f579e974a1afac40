//! Whether an image is a mask by its pixels: looked at only where its name says that it may be one.
//!
//! Dim and blank fields have few values too, so pixels alone never say so.

use crate::error::{Error, Result};
use crate::formats;
use crate::pyramid::{Cancel, ImageInfo, PlaneId, TileKey, UnitSink, WithScratch};
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// Bytes of a piece of a file that is decoded to look at one tile; an image that is in larger ones is taken for no mask.
const MAX_SCRATCH_BYTES: u64 = 64 << 20;

/// Share of pixels that are as the one left of them, from which on an image is drawn and not taken: cells of a label image
/// are as wide as tens of pixels, and light is never without noise.
const EQUAL_NEIGHBOURS_SHARE: f64 = 0.8;

/// Values that a mask of classes has at most, where they lie scattered.
const MAX_CLASSES: usize = 2;

/// Whether the middle of an image has the flat areas or the two values of a mask. An image that cannot be read, or whose
/// decoder panics, has not: what it is must not end the opening of the files beside it.
pub fn looks_like_a_mask(path: &Path) -> bool {
    holds(|| middle_is_flat(path))
}

/// Whether a look at an image comes to an end and finds what it looks for.
fn holds(look: impl FnOnce() -> Result<bool>) -> bool {
    matches!(catch_unwind(AssertUnwindSafe(look)), Ok(Ok(true)))
}

fn middle_is_flat(path: &Path) -> Result<bool> {
    let opened = formats::open(path)?;
    let Some(info) = opened.source.images().first() else { return Ok(false) };
    let tiles = info.tiles(0);
    let key = TileKey { plane: PlaneId::default(), level: 0, x: tiles.width / 2, y: tiles.height / 2 };
    let mut sink = OneTile { info, key, tile: None, others: Vec::new(), is_failed: false };
    opened.source.read_unit(&opened.source.unit_of(key), &mut sink, &Cancel::default())?;
    let Some(tile) = sink.tile.filter(|_| !sink.is_failed) else { return Ok(false) };
    let rect = info.tile_rect(key);
    let bytes_per_px = tile.len() / (info.tile_side as usize).pow(2).max(1);
    let (mut equal, mut pairs) = (0_u64, 0_u64);
    let mut values: HashSet<&[u8]> = HashSet::new();
    for row in tile.chunks_exact(info.tile_side as usize * bytes_per_px).take(rect.height as usize) {
        let mut before: Option<&[u8]> = None;
        for pixel in row.chunks_exact(bytes_per_px).take(rect.width as usize) {
            if let Some(before) = before {
                pairs += 1;
                equal += u64::from(before == pixel);
            }
            if values.len() <= MAX_CLASSES {
                values.insert(pixel);
            }
            before = Some(pixel);
        }
    }
    Ok(values.len() <= MAX_CLASSES || equal as f64 >= pairs as f64 * EQUAL_NEIGHBOURS_SHARE)
}

/// Keeps one tile of a unit.
struct OneTile<'a> {
    info: &'a ImageInfo,
    key: TileKey,
    tile: Option<Vec<u8>>,
    /// Where all other tiles go.
    others: Vec<u8>,
    is_failed: bool,
}

impl UnitSink for OneTile<'_> {
    fn tile_mut(&mut self, key: TileKey) -> Result<&mut [u8]> {
        let bytes = self.info.tile_bytes(key.plane);
        if key == self.key {
            return Ok(self.tile.get_or_insert_with(|| vec![0; bytes]));
        }
        self.others.resize(bytes, 0);
        Ok(&mut self.others)
    }

    fn with_scratch(&mut self, bytes: u64, then: &mut WithScratch<'_>) -> Result<()> {
        if bytes > MAX_SCRATCH_BYTES {
            return Err(Error::too_large("the image is in pieces too large to look at", Path::new(&self.info.name)));
        }
        then(&mut vec![0; bytes as usize], self)
    }

    fn fail(&mut self, key: TileKey, _: String) {
        self.is_failed |= key == self.key;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_whose_decoder_panics_is_no_mask() {
        assert!(!holds(|| panic!("a decoder gave up")));
        assert!(!holds(|| Err(Error::unsupported("cannot be read", Path::new("a.tif")))));
        assert!(holds(|| Ok(true)) && !holds(|| Ok(false)));
    }
}
