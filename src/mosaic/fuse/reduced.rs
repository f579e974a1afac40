//! Fields smaller than their own coarsest level: for the coarse levels of a large mosaic, where a field is a few pixels.
//!
//! A coarsest tile is halved further when it is needed. The smallest of these pictures are kept, so that a tile over a
//! thousand fields is not a thousand reads each time.

use crate::error::Result;
use crate::geom::Size;
use crate::pixels::{TileFormat, halve_into};
use crate::pyramid::{Pyramid, TileKey};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Pictures of at most this many pixels a side are kept; larger ones are few in any one tile.
const MAX_KEPT_SIDE_PX: u32 = 16;

/// Bytes of pictures kept: those of 16 000 fields of 16 bits. When they are more, all are dropped.
const MAX_KEPT_BYTES: usize = 8 << 20;

/// A picture with its size.
type Small = (Size, Arc<[u8]>);

/// Small pictures of fields; they do not depend on where fields stand.
#[derive(Default)]
pub struct Reduced {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    bytes: usize,
    pictures: BTreeMap<(TileKey, u8), Small>,
}

impl Reduced {
    /// Lets `take` see the picture and its stride in pixels; false where the tile is not in the store.
    pub fn of(&self, pyramid: &Pyramid, key: TileKey, halvings: u8, take: impl FnOnce(&[u8], u32)) -> Result<bool> {
        let kept = self.kept.lock().pictures.get(&(key, halvings)).cloned();
        if let Some((size, bytes)) = kept {
            take(&bytes, size.width);
            return Ok(true);
        }
        let Some(image) = pyramid.image(key.plane.field) else { return Ok(false) };
        let format = image.channels[key.plane.channel as usize].format;
        let (side, valid) = (image.tile_side, image.tile_rect(key).size());
        let Some(bytes) = pyramid.with_tile(key, |bytes| halved(format, side, bytes, valid, halvings))? else {
            return Ok(false);
        };
        let size = (0..halvings).fold(valid, |size, _| size.halved());
        if size.width.max(size.height) <= MAX_KEPT_SIDE_PX {
            self.keep(key, halvings, size, cut(&bytes, format, side, size));
        }
        take(&bytes, side);
        Ok(true)
    }

    fn keep(&self, key: TileKey, halvings: u8, size: Size, bytes: Arc<[u8]>) {
        let mut kept = self.kept.lock();
        if kept.bytes + bytes.len() > MAX_KEPT_BYTES {
            *kept = Kept::default();
        }
        kept.bytes += bytes.len();
        if let Some((_, old)) = kept.pictures.insert((key, halvings), (size, bytes)) {
            kept.bytes -= old.len();
        }
    }
}

/// A tile halved several times; the rows keep the tile's stride.
pub fn halved(format: TileFormat, side: u32, bytes: &[u8], valid: Size, times: u8) -> Vec<u8> {
    let (mut from, mut to) = (bytes.to_vec(), vec![0; bytes.len()]);
    let mut valid = valid;
    for _ in 0..times {
        halve_into(format, side, &from, valid, &mut to, (0, 0));
        valid = valid.halved();
        std::mem::swap(&mut from, &mut to);
    }
    from
}

fn cut(bytes: &[u8], format: TileFormat, stride: u32, size: Size) -> Arc<[u8]> {
    let px_bytes = format.bytes_per_px();
    let rows = bytes.chunks(stride as usize * px_bytes).take(size.height as usize);
    rows.flat_map(|row| &row[..size.width as usize * px_bytes]).copied().collect()
}

#[cfg(test)]
impl Reduced {
    /// How many pictures are kept.
    pub fn count(&self) -> usize {
        self.kept.lock().pictures.len()
    }

    /// Their bytes.
    pub fn bytes(&self) -> usize {
        self.kept.lock().bytes
    }
}
