//! The fields of a mosaic as images of one [`Source`]: decoded once into the store, each with its own levels.
//!
//! Files are opened when a field of theirs is decoded, through a small pool of open readers, and each unit looks after
//! its own file: one that has vanished, was changed or is not what the set says fails its field alone, in words.

mod readers;
mod retile;

use crate::error::{Error, Result};
use crate::geom::Size;
use crate::image_set::{FieldPlane, FieldSet};
use crate::pixels::ValueCoding;
use crate::pyramid::{
    AssociatedInfo, Calibration, Cancel, ChannelInfo, ChannelRole, FillUnit, ImageInfo, PlaneId, Source, TileKey,
    UnitSink, level_plan,
};
use readers::{FileStamp, Readers};
use std::path::Path;
use std::sync::Arc;
use xxhash_rust::xxh3::Xxh3;

/// Fields whose headers are tried until one of each channel can be read.
const MAX_HEADERS_TRIED: usize = 16;

/// A unit holds at most this many bytes of pixels, a quarter of the dirty pages that the store may have: larger fields
/// are decoded by rows of tiles.
const MAX_UNIT_BYTES: u64 = 64 << 20;

/// A field may have this many pixels a side.
const MAX_FIELD_SIDE_PX: u32 = 1 << 20;

/// The fields of a set.
pub struct FieldsSource {
    set: Arc<FieldSet>,
    images: Vec<ImageInfo>,
    /// The files as they were when the set was opened.
    stamps: Vec<Option<FileStamp>>,
    readers: Readers,
    /// How stored samples become values, for channels where the files' own types do not fit a tile.
    codings: Vec<ValueCoding>,
}

impl FieldsSource {
    /// Opens a set: looks at the size and time of every file, and reads the headers of the first few.
    ///
    /// Fails where no field of some channel can be read, and where sizes are beyond the limits.
    pub fn open(set: Arc<FieldSet>) -> Result<Self> {
        let readers = Readers::default();
        let stamps: Vec<Option<FileStamp>> = set.files.iter().map(|path| FileStamp::of(path).ok()).collect();
        let first = first_headers(&set, &readers, &stamps)?;
        let images = describe(&set, &first)?;
        let codings = first.iter().map(|header| header.coding).collect();
        Ok(Self { set, images, stamps, readers, codings })
    }

    /// What it was made from.
    pub fn field_set(&self) -> &Arc<FieldSet> {
        &self.set
    }

    /// Where a plane of a field lies; `None` where the field lacks it.
    fn place(&self, plane: PlaneId) -> Option<&FieldPlane> {
        let field = self.set.fields.get(plane.field as usize)?;
        field.planes.iter().find(|p| (p.channel, p.z, p.t) == (plane.channel, plane.z, plane.t))
    }

    /// The open reader of a file.
    fn reader(&self, file: u32) -> Result<Arc<dyn Source>> {
        let path = self.path(file);
        let Some(stamp) = self.stamps.get(file as usize).copied().flatten() else {
            return Err(Error::format("the file was not there when the fields were opened, open them again", path));
        };
        self.readers.open(file, path, stamp)
    }

    fn path(&self, file: u32) -> &Path {
        self.set.files.get(file as usize).map_or(Path::new(""), |path| path)
    }

    /// The planes that are decoded together with `plane`: of the same image of the same file, where that interleaves
    /// them.
    fn planes_of_unit(&self, plane: PlaneId) -> Vec<PlaneId> {
        let alone = vec![plane];
        let Some(place) = self.place(plane) else { return alone };
        let same_image: Vec<&FieldPlane> = self.set.fields[plane.field as usize]
            .planes
            .iter()
            .filter(|p| (p.file, p.image, p.file_z, p.file_t) == (place.file, place.image, place.file_z, place.file_t))
            .collect();
        if same_image.len() < 2 {
            return alone;
        }
        // Where the file cannot be opened its planes fail one by one.
        let Ok(reader) = self.reader(place.file) else { return alone };
        if check_plane(&*reader, place).is_err() {
            return alone;
        }
        let unit = reader.unit_of(TileKey { plane: file_plane(place), level: 0, x: 0, y: 0 });
        let together = same_image.iter().filter(|p| unit.planes.contains(&file_plane(p)));
        let mut planes: Vec<PlaneId> =
            together.map(|p| PlaneId { field: plane.field, channel: p.channel, z: p.z, t: p.t }).collect();
        planes.sort_unstable();
        if planes.contains(&plane) { planes } else { alone }
    }

    /// Fails where a reader is not what the set and the other fields say.
    fn check(&self, reader: &dyn Source, plane: PlaneId, place: &FieldPlane) -> Result<()> {
        let path = self.path(place.file);
        check_plane(reader, place).map_err(|words| Error::format(words, path))?;
        let (found, image) = (&reader.images()[place.image as usize], &self.images[plane.field as usize]);
        if found.size != image.size {
            return Err(Error::format(
                format!(
                    "the field is {} x {} pixels where {} x {} were expected",
                    found.size.width, found.size.height, image.size.width, image.size.height
                ),
                path,
            ));
        }
        let (has, wants) =
            (found.channels[place.file_channel as usize].format, image.channels[plane.channel as usize].format);
        if has != wants {
            let words = format!("the field's samples are {has:?} where the other fields have {wants:?}");
            return Err(Error::format(words, path));
        }
        Ok(())
    }

    /// Reads the planes of a unit that lie in one file.
    fn read_planes(
        &self,
        unit: &FillUnit,
        places: &[(PlaneId, FieldPlane)],
        sink: &mut dyn UnitSink,
        cancel: &Cancel,
    ) -> Result<()> {
        let Some(&(first, place)) = places.first() else { return Ok(()) };
        let reader = self.reader(place.file)?;
        for (plane, place) in places {
            self.check(&*reader, *plane, place)?;
        }
        let image = &self.images[first.field as usize];
        let mut codings = Vec::with_capacity(places.len());
        for (plane, place) in places {
            let (file, set) = (reader.coding(file_plane(place))?, self.codings[plane.channel as usize]);
            codings.push((file != set).then_some((file, set)));
        }
        let planes = places.iter().map(|(plane, place)| (file_plane(place), *plane)).collect();
        retile::read(&*reader, planes, &codings, image, unit, sink, cancel)?;
        reader.check_unchanged()
    }
}

impl Source for FieldsSource {
    fn images(&self) -> &[ImageInfo] {
        &self.images
    }

    /// One coding for all fields of a channel, so that they can be put together.
    fn coding(&self, plane: PlaneId) -> Result<ValueCoding> {
        Ok(self.codings.get(plane.channel as usize).copied().unwrap_or(ValueCoding::IDENTITY))
    }

    /// The whole plane of the field, with those that its file interleaves with it.
    fn unit_of(&self, key: TileKey) -> FillUnit {
        let planes = self.planes_of_unit(key.plane);
        let image = &self.images[key.plane.field as usize];
        let tiles = image.tiles(0);
        let row_bytes: u64 =
            planes.iter().map(|&plane| image.tile_bytes(plane) as u64).sum::<u64>() * u64::from(tiles.width);
        let rows = (MAX_UNIT_BYTES / row_bytes.max(1)).clamp(1, u64::from(tiles.height.max(1))) as u32;
        let first = key.y / rows * rows;
        let count = (tiles.width, rows.min(tiles.height.saturating_sub(first)));
        FillUnit { planes, level: 0, first: (0, first), count }
    }

    fn read_unit(&self, unit: &FillUnit, sink: &mut dyn UnitSink, cancel: &Cancel) -> Result<()> {
        let mut by_file: Vec<(u32, Vec<(PlaneId, FieldPlane)>)> = Vec::new();
        for &plane in &unit.planes {
            let Some(&place) = self.place(plane) else {
                let one = FillUnit { planes: vec![plane], ..unit.clone() };
                one.keys().for_each(|key| sink.fail(key, "this field has no such plane".into()));
                continue;
            };
            match by_file.iter_mut().find(|(file, _)| *file == place.file) {
                Some((_, places)) => places.push((plane, place)),
                None => by_file.push((place.file, vec![(plane, place)])),
            }
        }
        for (file, places) in &by_file {
            self.read_planes(unit, places, sink, cancel).map_err(|error| of_field(error, self.path(*file)))?;
        }
        Ok(())
    }

    fn sample(&self, plane: PlaneId, x: u32, y: u32) -> Result<Vec<f64>> {
        let Some(place) = self.place(plane) else {
            return Err(Error::format("this field has no such plane", &self.set.path));
        };
        let reader = self.reader(place.file)?;
        self.check(&*reader, plane, place)?;
        reader.sample(file_plane(place), x, y)
    }

    /// Every file's path, size and time, and which of their planes are which fields; where the fields stand plays no
    /// part, so that a corrected layout finds its pixels again.
    fn fingerprint(&self) -> Vec<u8> {
        let mut hash = Xxh3::new();
        for (path, stamp) in self.set.files.iter().zip(&self.stamps) {
            hash.update(path.as_os_str().as_encoded_bytes());
            hash.update(&[0]);
            hash.update(&stamp.map_or([0; 24], FileStamp::to_bytes));
        }
        for field in &self.set.fields {
            hash.update(&field.size.width.to_le_bytes());
            hash.update(&field.size.height.to_le_bytes());
            for p in &field.planes {
                for number in [p.channel, p.z, p.t, p.file_channel, p.file_z, p.file_t] {
                    hash.update(&number.to_le_bytes());
                }
                hash.update(&p.file.to_le_bytes());
                hash.update(&p.image.to_le_bytes());
            }
            hash.update(&[0xFF]);
        }
        let mut fingerprint = crate::formats::DECODER_EPOCH.to_le_bytes().to_vec();
        fingerprint.extend_from_slice(&hash.digest128().to_le_bytes());
        for (image, coding) in self.images.iter().take(1).flat_map(|i| i.channels.iter().zip(&self.codings)) {
            fingerprint.push(image.format as u8);
            fingerprint.extend_from_slice(&coding.scale.to_le_bytes());
            fingerprint.extend_from_slice(&coding.offset.to_le_bytes());
        }
        fingerprint
    }

    /// Nothing: every unit looks after its own file while it is read, and a changed file fails its field alone.
    fn check_unchanged(&self) -> Result<()> {
        Ok(())
    }

    fn associated(&self) -> &[AssociatedInfo] {
        &[]
    }

    fn read_associated(&self, _index: usize) -> Result<Vec<u8>> {
        Err(Error::format("fields have no associated pictures", &self.set.path))
    }
}

/// A file of a field that cannot be read is a hole in the mosaic, not the end of it; what the store refuses is.
///
/// An image may go on in files beside the `file` that is named, as OME-TIFF does.
fn of_field(error: Error, file: &Path) -> Error {
    match error {
        Error::Io { what, source, path } if path.parent() == file.parent() => {
            Error::format(format!("{what}: {source}"), &path)
        }
        error => error,
    }
}

/// What the first readable field of a channel says of it.
struct Header {
    image: ImageInfo,
    channel: ChannelInfo,
    coding: ValueCoding,
}

/// The name of a field's plane within its file.
fn file_plane(place: &FieldPlane) -> PlaneId {
    PlaneId { field: place.image, channel: place.file_channel, z: place.file_z, t: place.file_t }
}

/// Whether a file has such a plane; in words where it has not.
fn check_plane(reader: &dyn Source, place: &FieldPlane) -> std::result::Result<(), String> {
    let Some(image) = reader.images().get(place.image as usize) else {
        return Err(format!("the file has no image {}", place.image + 1));
    };
    if usize::from(place.file_channel) >= image.channels.len() {
        return Err(format!("the file has no channel {}", place.file_channel + 1));
    }
    if place.file_z >= image.z_count || place.file_t >= image.t_count {
        return Err("the file has no such focus position or time point".into());
    }
    Ok(())
}

/// The headers of the first fields that can be read, one a channel.
fn first_headers(set: &FieldSet, readers: &Readers, stamps: &[Option<FileStamp>]) -> Result<Vec<Header>> {
    let mut headers = Vec::with_capacity(set.channels.len());
    for channel in 0..set.channels.len() as u16 {
        let places = set.fields.iter().filter_map(|f| f.planes.iter().find(|p| p.channel == channel));
        let mut refused = None;
        let mut header = None;
        for place in places.take(MAX_HEADERS_TRIED) {
            match header_of(set, readers, stamps, place) {
                Ok(found) => {
                    header = Some(found);
                    break;
                }
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        let Some(mut header) = header else {
            let name = &set.channels[channel as usize].name;
            let nothing = || Error::format(format!("no field has the channel {name}"), &set.path);
            return Err(refused.unwrap_or_else(nothing));
        };
        if !header.coding.exact
            && let Some(coding) = coding_of_all(set, readers, stamps, channel)
        {
            header.coding = coding;
        }
        headers.push(header);
    }
    if headers.is_empty() {
        return Err(Error::format("the fields have no channel", &set.path));
    }
    Ok(headers)
}

fn header_of(set: &FieldSet, readers: &Readers, stamps: &[Option<FileStamp>], place: &FieldPlane) -> Result<Header> {
    let path = set.files.get(place.file as usize).map_or(set.path.as_path(), |path| path);
    let Some(stamp) = stamps.get(place.file as usize).copied().flatten() else {
        return Err(Error::format("the file cannot be read", path));
    };
    let reader = readers.open(place.file, path, stamp)?;
    check_plane(&*reader, place).map_err(|words| Error::format(words, path))?;
    let image = reader.images()[place.image as usize].clone();
    let channel = image.channels[place.file_channel as usize].clone();
    let coding = reader.coding(file_plane(place))?;
    Ok(Header { image, channel, coding })
}

/// The coding that holds the ranges of fields spread over the set, where the files' types do not fit a tile.
fn coding_of_all(set: &FieldSet, readers: &Readers, stamps: &[Option<FileStamp>], channel: u16) -> Option<ValueCoding> {
    let places: Vec<&FieldPlane> =
        set.fields.iter().filter_map(|f| f.planes.iter().find(|p| p.channel == channel)).collect();
    let step = places.len().div_ceil(MAX_HEADERS_TRIED).max(1);
    // A field that cannot be read says so when it is drawn; here it only says nothing about the range.
    let codings = places.iter().step_by(step).filter_map(|place| header_of(set, readers, stamps, place).ok());
    let codings: Vec<ValueCoding> = codings.map(|header| header.coding).collect();
    let low = codings.iter().map(|c| c.offset).reduce(f64::min)?;
    // Whole numbers keep steps of one, whatever their range is: that says nothing of how high they go.
    let spread = codings.iter().filter(|c| c.scale != 1.0).map(|c| c.value(65535.0)).reduce(f64::max);
    let scale = spread.map_or(1.0, |high| (high - low) / 65535.0);
    Some(ValueCoding { scale, offset: low, exact: false })
}

/// Every field as an image.
fn describe(set: &FieldSet, first: &[Header]) -> Result<Vec<ImageInfo>> {
    let base = &first[0].image;
    let tile_side = base.tile_side;
    let channels: Vec<ChannelInfo> = set
        .channels
        .iter()
        .zip(first)
        .map(|(channel, header)| ChannelInfo {
            name: channel.name.clone(),
            color: channel.color.or(header.channel.color),
            format: header.channel.format,
            role: ChannelRole::Intensity,
            significant_bits: header.channel.significant_bits,
        })
        .collect();
    let um_per_px = set.um_per_px.or(base.um_per_px);
    let calibration = if um_per_px.is_some() { Calibration::File } else { Calibration::Unknown };
    let mut images = Vec::with_capacity(set.fields.len());
    for field in &set.fields {
        let Size { width, height } = field.size;
        if field.size.is_empty() || width.max(height) > MAX_FIELD_SIDE_PX {
            return Err(Error::too_large(format!("the field {} has {width} x {height} pixels", field.name), &set.path));
        }
        images.push(ImageInfo {
            name: field.name.clone(),
            size: field.size,
            pixel_type: base.pixel_type,
            channels: channels.clone(),
            z_count: set.z_count.max(1),
            t_count: set.t_count.max(1),
            um_per_px,
            calibration,
            objective: base.objective,
            tile_side,
            levels: level_plan(&[field.size], tile_side),
        });
    }
    Ok(images)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_beside_a_field_is_part_of_it_and_the_store_is_not() {
        let field = Path::new("/data/scan/a.ome.tif");
        let refused = |path: &str| {
            let error = std::io::Error::from(std::io::ErrorKind::NotFound);
            of_field(Error::io("cannot read", error, Path::new(path)), field)
        };
        for path in ["/data/scan/a.ome.tif", "/data/scan/a_rest.ome.tif"] {
            assert!(matches!(refused(path), Error::Format { .. }), "{path}");
        }
        assert!(matches!(refused("/cache/store"), Error::Io { .. }));
    }
}
