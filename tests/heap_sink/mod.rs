//! A unit sink on the heap, and whole planes decoded through it.

use microtome::error::Result;
use microtome::formats::Opened;
use microtome::pyramid::{Cancel, ImageInfo, LevelOrigin, PlaneId, Source, TileKey, UnitSink, WithScratch};
use std::collections::HashMap;

/// Tiles on the heap, filled with a pattern first so that pixels nobody writes are noticed.
pub struct HeapSink {
    images: Vec<ImageInfo>,
    pub tiles: HashMap<TileKey, Vec<u8>>,
    pub failed: HashMap<TileKey, String>,
    /// The largest scratch that was asked for, in bytes.
    pub scratch_bytes: u64,
}

/// Scratch beyond this is refused, as a full disk would.
const MAX_SCRATCH_BYTES: u64 = 256 << 20;

impl HeapSink {
    pub fn new(source: &dyn Source) -> Self {
        Self { images: source.images().to_vec(), tiles: HashMap::new(), failed: HashMap::new(), scratch_bytes: 0 }
    }
}

impl UnitSink for HeapSink {
    fn tile_mut(&mut self, key: TileKey) -> Result<&mut [u8]> {
        let bytes = self.images[key.plane.field as usize].tile_bytes(key.plane);
        Ok(self.tiles.entry(key).or_insert_with(|| vec![0xa5; bytes]))
    }

    fn with_scratch(&mut self, bytes: u64, then: &mut WithScratch<'_>) -> Result<()> {
        self.scratch_bytes = self.scratch_bytes.max(bytes);
        if bytes > MAX_SCRATCH_BYTES {
            return Err(microtome::error::Error::StorageFull { needed_bytes: bytes, path: "scratch".into() });
        }
        then(&mut vec![0; bytes as usize], self)
    }

    fn fail(&mut self, key: TileKey, reason: String) {
        self.failed.insert(key, reason);
    }
}

/// One decoded plane.
pub struct DecodedPlane {
    pub plane: PlaneId,
    pub level: u8,
    /// Stored samples, rows without padding.
    pub bytes: Vec<u8>,
}

/// Decodes every native level of every plane of an image set, plane by plane; `Err` holds the first reason of a tile
/// that failed.
pub fn decode_all(opened: &Opened) -> std::result::Result<Vec<DecodedPlane>, String> {
    let source = &*opened.source;
    let mut planes = Vec::new();
    for (field, info) in source.images().iter().enumerate() {
        for (level, level_info) in info.levels.iter().enumerate() {
            if level_info.origin == LevelOrigin::Derived {
                continue;
            }
            for t in 0..info.t_count {
                for z in 0..info.z_count {
                    let mut sink = HeapSink::new(source);
                    for channel in 0..info.channels.len() as u16 {
                        let plane = PlaneId { field: field as u32, channel, z, t };
                        planes.push(decode_plane(source, info, plane, level as u8, &mut sink)?);
                    }
                }
            }
        }
    }
    Ok(planes)
}

fn decode_plane(
    source: &dyn Source,
    info: &ImageInfo,
    plane: PlaneId,
    level: u8,
    sink: &mut HeapSink,
) -> std::result::Result<DecodedPlane, String> {
    let size = info.levels[level as usize].size;
    let px_bytes = info.channels[plane.channel as usize].format.bytes_per_px();
    let side = info.tile_side as usize;
    let mut bytes = vec![0; size.area() as usize * px_bytes];
    let tiles = info.tiles(level);
    for y in 0..tiles.height {
        for x in 0..tiles.width {
            let key = TileKey { plane, level, x, y };
            if !sink.tiles.contains_key(&key) && !sink.failed.contains_key(&key) {
                let unit = source.unit_of(key);
                assert!(unit.keys().any(|k| k == key), "the unit of {key:?} does not hold it");
                source.read_unit(&unit, sink, &Cancel::default()).map_err(|e| e.to_string())?;
            }
            if let Some(reason) = sink.failed.get(&key) {
                return Err(reason.clone());
            }
            let tile = sink.tiles.remove(&key).ok_or_else(|| format!("{key:?} never came"))?;
            let rect = info.tile_rect(key);
            for row in 0..rect.height as usize {
                let to = ((rect.y as usize + row) * size.width as usize + rect.x as usize) * px_bytes;
                let len = rect.width as usize * px_bytes;
                bytes[to..to + len].copy_from_slice(&tile[row * side * px_bytes..][..len]);
            }
        }
    }
    Ok(DecodedPlane { plane, level, bytes })
}
