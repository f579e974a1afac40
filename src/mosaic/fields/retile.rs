//! A file's tiles as a field's tiles: the keys are changed, and where the file has another tile side, or stores its samples
//! by another coding than the rest of the set, the pixels are cut anew.

use crate::error::{Error, Result};
use crate::geom::PixelRect;
use crate::pixels::{TileFormat, ValueCoding};
use crate::pyramid::{Cancel, FillUnit, ImageInfo, PlaneId, Source, TileKey, UnitSink, WithScratch};
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::path::Path;

/// A file's coding and the set's, where they differ.
pub type Recoding = Option<(ValueCoding, ValueCoding)>;

/// Reads the planes (the file's name for each, and the set's) of a unit of a field's level 0.
pub fn read(
    reader: &dyn Source,
    planes: Vec<(PlaneId, PlaneId)>,
    codings: &[Recoding],
    image: &ImageInfo,
    unit: &FillUnit,
    sink: &mut dyn UnitSink,
    cancel: &Cancel,
) -> Result<()> {
    let Some(file_image) = planes.first().and_then(|(file, _)| reader.images().get(file.field as usize)) else {
        return Ok(());
    };
    let wanted = FillUnit { planes: planes.iter().map(|p| p.0).collect(), ..unit.clone() };
    if file_image.tile_side == image.tile_side && codings.iter().all(Option::is_none) {
        return reader.read_unit(&wanted, &mut Renamed { planes: &planes, sink }, cancel);
    }
    // Row after row of the file's tiles, so that scratch memory stays small.
    let (side, file_side) = (image.tile_side, file_image.tile_side);
    let (top, bottom) = (unit.first.1 * side, ((unit.first.1 + unit.count.1) * side).min(image.size.height));
    let columns = file_image.tiles(0).width;
    let part = FillUnit {
        first: (0, top / file_side),
        count: (columns, bottom.div_ceil(file_side) - top / file_side),
        ..wanted
    };
    let tile_bytes = |plane: PlaneId| file_image.tile_bytes(plane);
    let tiles = u64::from(part.count.0) * u64::from(part.count.1);
    let bytes: u64 = planes.iter().map(|p| tile_bytes(p.0) as u64 * tiles).sum();
    sink.with_scratch(bytes, &mut |memory, sink| {
        let mut at = 0;
        let mut places = HashMap::new();
        for key in part.keys() {
            places.insert(key, at..at + tile_bytes(key.plane));
            at += tile_bytes(key.plane);
        }
        let mut failed = BTreeMap::new();
        reader.read_unit(&part, &mut Held { memory, places: &places, failed: &mut failed, sink }, cancel)?;
        for (key, place) in &places {
            cancel.check()?;
            let Some(at) = planes.iter().position(|p| p.0 == key.plane) else { continue };
            let cut = Cut { from: file_image, to: image, unit, plane: planes[at].1, recoding: codings[at] };
            match failed.get(key) {
                Some(reason) => cut.fail(*key, reason, sink),
                None => cut.copy(*key, &memory[place.clone()], sink)?,
            }
        }
        Ok(())
    })
}

/// Passes tiles through under other names.
struct Renamed<'a> {
    planes: &'a [(PlaneId, PlaneId)],
    sink: &'a mut dyn UnitSink,
}

impl Renamed<'_> {
    fn name(&self, key: TileKey) -> TileKey {
        let plane = self.planes.iter().find(|p| p.0 == key.plane).map_or(key.plane, |p| p.1);
        TileKey { plane, ..key }
    }
}

impl UnitSink for Renamed<'_> {
    fn tile_mut(&mut self, key: TileKey) -> Result<&mut [u8]> {
        let key = self.name(key);
        self.sink.tile_mut(key)
    }

    fn with_scratch(&mut self, bytes: u64, then: &mut WithScratch<'_>) -> Result<()> {
        let planes = self.planes;
        self.sink.with_scratch(bytes, &mut |memory, sink| then(memory, &mut Renamed { planes, sink }))
    }

    fn fail(&mut self, key: TileKey, reason: String) {
        let key = self.name(key);
        self.sink.fail(key, reason);
    }
}

/// Holds the file's tiles in scratch memory until they are cut.
struct Held<'a> {
    memory: &'a mut [u8],
    places: &'a HashMap<TileKey, Range<usize>>,
    failed: &'a mut BTreeMap<TileKey, String>,
    sink: &'a mut dyn UnitSink,
}

impl UnitSink for Held<'_> {
    fn tile_mut(&mut self, key: TileKey) -> Result<&mut [u8]> {
        match self.places.get(&key) {
            Some(place) => Ok(&mut self.memory[place.clone()]),
            None => Err(Error::format("a decoder wrote outside its part of the image", Path::new(""))),
        }
    }

    fn with_scratch(&mut self, bytes: u64, then: &mut WithScratch<'_>) -> Result<()> {
        let (held, places, failed) = (&mut *self.memory, self.places, &mut *self.failed);
        self.sink.with_scratch(bytes, &mut |memory, sink| {
            then(memory, &mut Held { memory: &mut *held, places, failed: &mut *failed, sink })
        })
    }

    fn fail(&mut self, key: TileKey, reason: String) {
        self.failed.entry(key).or_insert(reason);
    }
}

/// From tiles of one side to tiles of another.
struct Cut<'a> {
    from: &'a ImageInfo,
    to: &'a ImageInfo,
    unit: &'a FillUnit,
    plane: PlaneId,
    recoding: Recoding,
}

impl Cut<'_> {
    /// The field's tiles of the unit that a tile of the file touches, with the pixels in both.
    fn touched(&self, key: TileKey) -> impl Iterator<Item = (TileKey, PixelRect)> + use<'_> {
        let rect = self.from.tile_rect(key);
        let own = FillUnit { planes: vec![self.plane], ..self.unit.clone() };
        let keys: Vec<TileKey> = own.keys().collect();
        keys.into_iter()
            .map(move |own| (own, self.to.tile_rect(own).intersect(rect)))
            .filter(|(_, part)| !part.is_empty())
    }

    fn fail(&self, key: TileKey, reason: &str, sink: &mut dyn UnitSink) {
        self.touched(key).for_each(|(own, _)| sink.fail(own, reason.to_owned()));
    }

    fn copy(&self, key: TileKey, bytes: &[u8], sink: &mut dyn UnitSink) -> Result<()> {
        let format = self.to.channels[self.plane.channel as usize].format;
        let px_bytes = format.bytes_per_px();
        let (file_side, side) = (self.from.tile_side, self.to.tile_side);
        let at = |x: u32, y: u32, side: u32| ((y % side) as usize * side as usize + (x % side) as usize) * px_bytes;
        for (own, part) in self.touched(key) {
            let memory = sink.tile_mut(own)?;
            let row_bytes = part.width as usize * px_bytes;
            for y in part.y..part.bottom() {
                let row = &bytes[at(part.x, y, file_side)..][..row_bytes];
                let out = &mut memory[at(part.x, y, side)..][..row_bytes];
                out.copy_from_slice(row);
                if let Some((file, set)) = self.recoding {
                    recode(out, format, file, set);
                }
            }
        }
        Ok(())
    }
}

/// Stores samples by another coding; what lies beyond its range becomes its end.
fn recode(row: &mut [u8], format: TileFormat, from: ValueCoding, to: ValueCoding) {
    let map = |stored: f64, most: f64| to.stored(from.value(stored)).round().clamp(0.0, most);
    match format {
        TileFormat::Gray16 => row.chunks_exact_mut(2).for_each(|px| {
            let stored = map(f64::from(u16::from_ne_bytes([px[0], px[1]])), 65535.0) as u16;
            px.copy_from_slice(&stored.to_ne_bytes());
        }),
        TileFormat::Gray8 | TileFormat::Rgb8 => {
            row.iter_mut().for_each(|px| *px = map(f64::from(*px), 255.0) as u8);
        }
    }
}
