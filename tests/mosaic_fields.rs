//! Fields in files as images of one source: every kind of file, and files that are not what they should be.

use microtome::error::Error;
use microtome::export::{PixelLayout, TiffPage, TiffPlan, TileCompression, TileEncoder, TiledTiffWriter};
use microtome::geom::{Point, Size};
use microtome::image_set::{FieldChannel, FieldPlace, FieldPlane, FieldSet, Layout};
use microtome::mosaic::FieldsSource;
use microtome::pixels::TileFormat;
use microtome::pyramid::{Cancel, FillUnit, ImageInfo, PlaneId, Source, TileKey, UnitSink, WithScratch};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const SIZE: Size = Size::new(300, 210);

/// The sample of a field's channel: different everywhere.
fn sample(field: u32, channel: u32, x: u32, y: u32) -> u16 {
    let mixed = x.wrapping_mul(0x9e37_79b1) ^ y.wrapping_mul(0x85eb_ca77) ^ (field * 7919 + channel * 131 + 1);
    (mixed.wrapping_mul(0xc2b2_ae3d) >> 15) as u16
}

/// A baseline TIFF: one page a picture, in one strip or in strips of some rows, its samples interleaved.
fn strip_tiff(path: &Path, pages: &[Vec<u8>], size: Size, samples: u16, bits: u16, rows_per_strip: u32) {
    let mut file = b"II*\0\0\0\0\0".to_vec();
    let mut link = 4;
    for pixels in pages {
        let row_bytes = pixels.len() / size.height as usize;
        let strips: Vec<(u32, u32)> = pixels
            .chunks(row_bytes * rows_per_strip as usize)
            .map(|strip| {
                let at = file.len() as u32;
                file.extend_from_slice(strip);
                (at, strip.len() as u32)
            })
            .collect();
        let list = |file: &mut Vec<u8>, values: Vec<u32>| {
            if let [one] = values[..] {
                return one;
            }
            let at = file.len() as u32;
            values.iter().for_each(|v| file.extend_from_slice(&v.to_le_bytes()));
            at
        };
        let offsets = list(&mut file, strips.iter().map(|s| s.0).collect());
        let lengths = list(&mut file, strips.iter().map(|s| s.1).collect());
        let bits_at = match samples {
            1 => u32::from(bits),
            2 => u32::from(bits) | u32::from(bits) << 16,
            _ => {
                let at = file.len() as u32;
                (0..samples).for_each(|_| file.extend_from_slice(&bits.to_le_bytes()));
                at
            }
        };
        file.resize(file.len().next_multiple_of(2), 0);
        let at = file.len() as u32;
        file[link..link + 4].copy_from_slice(&at.to_le_bytes());
        let count = strips.len() as u32;
        let mut entries = vec![
            (256, 4, 1, size.width),
            (257, 4, 1, size.height),
            (258, 3, u32::from(samples), bits_at),
            (259, 3, 1, 1),
            (262, 3, 1, if samples == 3 { 2 } else { 1 }),
            (273, 4, count, offsets),
            (277, 3, 1, u32::from(samples)),
            (278, 4, 1, rows_per_strip),
            (279, 4, count, lengths),
        ];
        if samples == 2 {
            entries.push((338, 3, 1, 0));
        }
        file.extend_from_slice(&(entries.len() as u16).to_le_bytes());
        for (tag, kind, count, value) in entries {
            file.extend_from_slice(&(tag as u16).to_le_bytes());
            file.extend_from_slice(&(kind as u16).to_le_bytes());
            file.extend_from_slice(&u32::to_le_bytes(count));
            file.extend_from_slice(&u32::to_le_bytes(value));
        }
        link = file.len();
        file.extend_from_slice(&[0; 4]);
    }
    std::fs::write(path, file).expect("written");
}

/// The picture of a field with these channels interleaved.
fn picture(field: u32, channels: &[u32], size: Size, bytes: usize) -> Vec<u8> {
    let places = (0..size.height).flat_map(|y| (0..size.width).map(move |x| (x, y)));
    let samples = places.flat_map(|(x, y)| channels.iter().map(move |&c| sample(field, c, x, y)));
    samples.flat_map(|v| v.to_le_bytes()[..bytes].to_vec()).collect()
}

fn tiled_tiff(path: &Path, field: u32, size: Size, side: u32, compression: TileCompression) {
    let page = TiffPage {
        size,
        tile_side: side,
        layout: PixelLayout::of(TileFormat::Gray16),
        compression,
        um_per_px: None,
        description: None,
    };
    let mut plan = TiffPlan::default();
    let id = plan.add_page(page.clone());
    let mut writer = TiledTiffWriter::create(path, &plan).expect("created");
    let mut encoder = TileEncoder::new(compression, page.layout, side, path).expect("an encoder");
    for (tx, ty) in (0..size.height.div_ceil(side)).flat_map(|y| (0..size.width.div_ceil(side)).map(move |x| (x, y))) {
        let places = (ty * side..(ty + 1) * side).flat_map(|y| (tx * side..(tx + 1) * side).map(move |x| (x, y)));
        let tile: Vec<u8> = places.flat_map(|(x, y)| sample(field, 0, x, y).to_ne_bytes()).collect();
        let packed = encoder.encode(&tile, path).expect("packed");
        writer.write_tile(id, tx, ty, &packed).expect("written");
    }
    writer.finish().expect("finished");
}

fn plane(channel: u16, file: u32, image: u32, file_channel: u16) -> FieldPlane {
    FieldPlane { channel, z: 0, t: 0, file, image, file_channel, file_z: 0, file_t: 0 }
}

fn set(folder: &Path, files: Vec<PathBuf>, channels: u16, fields: Vec<Vec<FieldPlane>>) -> FieldSet {
    let place = |(n, planes): (usize, Vec<FieldPlane>)| FieldPlace {
        name: format!("field {n}"),
        row_col: None,
        nominal: Point::new(n as f64 * 250.0, 0.0),
        size: SIZE,
        planes,
    };
    FieldSet {
        path: folder.to_owned(),
        name: "fields".into(),
        evidence: "a test".into(),
        files,
        channels: (0..channels).map(|n| FieldChannel { name: format!("C{n}"), color: None, round: 0 }).collect(),
        fields: fields.into_iter().enumerate().map(place).collect(),
        z_count: 1,
        t_count: 1,
        um_per_px: Some([0.325, 0.325]),
        layout: Layout::Stage,
        left_out: Vec::new(),
        saved_positions: None,
        warnings: Vec::new(),
    }
}

fn open(set: FieldSet) -> FieldsSource {
    FieldsSource::open(Arc::new(set)).expect("opened")
}

/// Tiles on the heap, filled with a pattern first so that pixels nobody writes are noticed.
struct HeapSink {
    images: Vec<ImageInfo>,
    tiles: HashMap<TileKey, Vec<u8>>,
    failed: HashMap<TileKey, String>,
}

impl UnitSink for HeapSink {
    fn tile_mut(&mut self, key: TileKey) -> microtome::error::Result<&mut [u8]> {
        let bytes = self.images[key.plane.field as usize].tile_bytes(key.plane);
        Ok(self.tiles.entry(key).or_insert_with(|| vec![0xA5; bytes]))
    }

    fn with_scratch(&mut self, bytes: u64, then: &mut WithScratch<'_>) -> microtome::error::Result<()> {
        then(&mut vec![0; bytes as usize], self)
    }

    fn fail(&mut self, key: TileKey, reason: String) {
        self.failed.insert(key, reason);
    }
}

/// The unit of a field's channel, decoded.
fn decoded(source: &FieldsSource, field: u32, channel: u16) -> (FillUnit, HeapSink, Result<(), Error>) {
    let plane = PlaneId { field, channel, z: 0, t: 0 };
    let unit = source.unit_of(TileKey { plane, level: 0, x: 0, y: 0 });
    let mut sink = HeapSink { images: source.images().to_vec(), tiles: HashMap::new(), failed: HashMap::new() };
    let outcome = source.read_unit(&unit, &mut sink, &Cancel::default());
    (unit, sink, outcome)
}

fn assert_exact(source: &FieldsSource, field: u32, channel: u16, wanted: &dyn Fn(u32, u32, usize) -> u16) {
    let (unit, sink, outcome) = decoded(source, field, channel);
    outcome.expect("decoded");
    assert!(sink.failed.is_empty(), "{:?}", sink.failed);
    let image = &source.images()[field as usize];
    let tiles = image.tiles(0);
    assert_eq!((unit.first, unit.count), ((0, 0), (tiles.width, tiles.height)));
    assert_eq!(sink.tiles.len() as u64, tiles.area() * unit.planes.len() as u64);
    let format = image.channels[channel as usize].format;
    let px_bytes = format.bytes_per_px();
    for (key, tile) in sink.tiles.iter().filter(|(key, _)| key.plane.channel == channel) {
        assert_eq!(key.plane.field, field);
        let rect = image.tile_rect(*key);
        for (y, x) in (rect.y..rect.bottom()).flat_map(|y| (rect.x..rect.right()).map(move |x| (y, x))) {
            let at = ((y - rect.y) * image.tile_side + x - rect.x) as usize * px_bytes;
            for c in 0..if format == TileFormat::Rgb8 { 3 } else { 1 } {
                let got = match format {
                    TileFormat::Gray16 => u16::from_ne_bytes([tile[at], tile[at + 1]]),
                    _ => u16::from(tile[at + c]),
                };
                assert_eq!(got, wanted(x, y, c), "field {field} channel {channel} at {x},{y}");
            }
        }
    }
}

#[test]
fn fields_in_strips_and_in_tiles_of_any_side_give_the_same_pixels() {
    let dir = tempfile::tempdir().expect("a folder");
    let at = |name: &str| dir.path().join(name);
    // The first file says what a tile is; the others are cut to it.
    tiled_tiff(&at("0.tif"), 0, SIZE, 128, TileCompression::Deflate);
    tiled_tiff(&at("1.tif"), 1, SIZE, 256, TileCompression::None);
    tiled_tiff(&at("2.tif"), 2, SIZE, 160, TileCompression::Zstd);
    strip_tiff(&at("3.tif"), &[picture(3, &[0], SIZE, 2)], SIZE, 1, 16, 210);
    strip_tiff(&at("4.tif"), &[picture(4, &[0], SIZE, 2)], SIZE, 1, 16, 7);
    let files = (0..5).map(|n| at(&format!("{n}.tif"))).collect();
    let source = open(set(dir.path(), files, 1, (0..5).map(|n| vec![plane(0, n, 0, 0)]).collect()));
    for (n, image) in source.images().iter().enumerate() {
        assert_eq!((image.tile_side, image.size, image.um_per_px), (128, SIZE, Some([0.325, 0.325])));
        assert_exact(&source, n as u32, 0, &|x, y, _| sample(n as u32, 0, x, y));
    }
}

#[test]
fn channels_in_files_of_their_own_in_pages_and_interleaved_are_found() {
    let dir = tempfile::tempdir().expect("a folder");
    let at = |name: &str| dir.path().join(name);
    // Channel 0 and 1 interleaved in one file, channel 2 in another; the second field the other way round in its file.
    strip_tiff(&at("a.tif"), &[picture(0, &[0, 1], SIZE, 2)], SIZE, 2, 16, 30);
    strip_tiff(&at("a2.tif"), &[picture(0, &[2], SIZE, 2)], SIZE, 1, 16, 30);
    strip_tiff(&at("b.tif"), &[picture(1, &[1, 0], SIZE, 2)], SIZE, 2, 16, 30);
    let files = vec![at("a.tif"), at("a2.tif"), at("b.tif")];
    let fields =
        vec![vec![plane(0, 0, 0, 0), plane(1, 0, 0, 1), plane(2, 1, 0, 0)], vec![plane(0, 2, 0, 1), plane(1, 2, 0, 0)]];
    let source = open(set(dir.path(), files, 3, fields));
    let together = |field, channel| decoded(&source, field, channel).0.planes.len();
    assert_eq!([together(0, 0), together(0, 1), together(0, 2), together(1, 0)], [2, 2, 1, 2]);
    for (field, channel) in [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)] {
        assert_exact(&source, field, channel, &|x, y, _| sample(field, u32::from(channel), x, y));
    }
    // The second field lacks the third channel: a hole, in words.
    let (_, sink, outcome) = decoded(&source, 1, 2);
    outcome.expect("fails tile by tile");
    let tiles = source.images()[1].tiles(0).area() as usize;
    assert_eq!((sink.tiles.len(), sink.failed.len()), (0, tiles));
    assert!(sink.failed.values().all(|why| why.contains("no such plane")));
}

#[test]
fn fields_in_the_pages_of_one_file_and_colour_fields_are_read() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("all.tif");
    let pages: Vec<Vec<u8>> = (0..3).map(|n| picture(n, &[0, 1, 2], SIZE, 1)).collect();
    strip_tiff(&path, &pages, SIZE, 3, 8, 50);
    let opened = microtome::formats::open(&path).expect("opened");
    // Pages are images, or time points of one; the recogniser says which.
    let as_images = opened.source.images().len() == 3;
    let fields = (0..3_u16).map(|n| {
        let mut one = plane(0, 0, 0, 0);
        if as_images {
            one.image = u32::from(n)
        } else {
            one.file_z = n
        }
        vec![one]
    });
    let source = open(set(dir.path(), vec![path], 1, fields.collect()));
    assert_eq!(source.images()[0].channels[0].format, TileFormat::Rgb8);
    for field in 0..3 {
        assert_exact(&source, field, 0, &|x, y, c| sample(field, c as u32, x, y) & 0xFF);
        let read = source.sample(PlaneId { field, ..PlaneId::default() }, 17, 9).expect("read");
        assert_eq!(read, (0..3).map(|c| f64::from(sample(field, c, 17, 9) & 0xFF)).collect::<Vec<_>>());
    }
}

#[test]
fn a_field_that_is_not_what_the_set_says_fails_alone_and_in_words() {
    let dir = tempfile::tempdir().expect("a folder");
    let at = |name: &str| dir.path().join(name);
    let small = Size::new(200, 210);
    strip_tiff(&at("0.tif"), &[picture(0, &[0], SIZE, 2)], SIZE, 1, 16, 210);
    strip_tiff(&at("1.tif"), &[picture(1, &[0], small, 2)], small, 1, 16, 210);
    strip_tiff(&at("2.tif"), &[picture(2, &[0], SIZE, 1)], SIZE, 1, 8, 210);
    std::fs::write(at("3.tif"), "no picture").expect("written");
    strip_tiff(&at("5.tif"), &[picture(5, &[0], SIZE, 2)], SIZE, 1, 16, 210);
    strip_tiff(&at("6.tif"), &[picture(6, &[0], SIZE, 2)], SIZE, 1, 16, 210);
    let files = (0..7).map(|n| at(&format!("{n}.tif"))).collect();
    let mut fields: Vec<Vec<FieldPlane>> = (0..7).map(|n| vec![plane(0, n, 0, 0)]).collect();
    fields[5][0].file_channel = 4;
    let source = open(set(dir.path(), files, 1, fields));
    assert_exact(&source, 0, 0, &|x, y, _| sample(0, 0, x, y));
    std::fs::write(at("6.tif"), "another file now").expect("written");
    let words = [
        (1, "200 x 210"),
        (2, "Gray8"),
        (3, "not an image"),
        (4, "was not there"),
        (5, "no channel 5"),
        (6, "an image that"),
    ];
    for (field, word) in words {
        let (_, _, outcome) = decoded(&source, field, 0);
        let error = outcome.expect_err("cannot be read");
        // These kinds fail the field; others would stop the whole set.
        assert!(matches!(error, Error::Format { .. } | Error::Unsupported { .. }), "{error:?}");
        assert!(error.to_string().contains(word), "field {field}: {error}");
    }
    // A file that vanished since, too.
    std::fs::remove_file(at("0.tif")).expect("removed");
    let fresh = decoded(&open_without_first(&source), 0, 0).2.expect_err("gone");
    assert!(matches!(fresh, Error::Format { .. }), "{fresh:?}");
}

/// The same set opened again, after its first file went.
fn open_without_first(source: &FieldsSource) -> FieldsSource {
    let mut set = (**source.field_set()).clone();
    // The sixth file holds a readable header of the right kind.
    set.fields[5].planes[0].file_channel = 0;
    FieldsSource::open(Arc::new(set)).expect("some field is still readable")
}

#[test]
fn a_set_of_which_no_field_can_be_read_is_an_error() {
    let dir = tempfile::tempdir().expect("a folder");
    let files = vec![dir.path().join("gone.tif")];
    let error = FieldsSource::open(Arc::new(set(dir.path(), files, 1, vec![vec![plane(0, 0, 0, 0)]])));
    assert!(error.is_err());
    let nothing = FieldsSource::open(Arc::new(set(dir.path(), Vec::new(), 1, Vec::new())));
    assert!(nothing.is_err());
}

#[test]
fn the_fingerprint_follows_the_files_and_their_planes_and_not_the_layout() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("0.tif");
    strip_tiff(&path, &[picture(0, &[0], SIZE, 2)], SIZE, 1, 16, 210);
    let base = set(dir.path(), vec![path.clone()], 1, vec![vec![plane(0, 0, 0, 0)]]);
    let print = |set: &FieldSet| FieldsSource::open(Arc::new(set.clone())).expect("opened").fingerprint();
    let first = print(&base);
    let mut moved = base.clone();
    moved.fields[0].nominal = Point::new(77.0, 1.0);
    assert_eq!(print(&moved), first);
    let mut doubled = base.clone();
    doubled.fields.push(doubled.fields[0].clone());
    assert_ne!(print(&doubled), first);
    let mut longer = std::fs::read(&path).expect("read");
    longer.push(0);
    std::fs::write(&path, longer).expect("written");
    assert_ne!(print(&base), first);
}

#[test]
fn floating_point_fields_share_one_range_so_that_they_fit_together() {
    let dir = tempfile::tempdir().expect("a folder");
    // Field n holds values from 100 n + 0.25 to 100 n + 50.25.
    let float = |n: u32, x: u32, y: u32| 0.25 + 100.0 * n as f32 + 50.0 * ((x + y) % 101) as f32 / 100.0;
    for n in 0..3 {
        let places = (0..SIZE.height).flat_map(|y| (0..SIZE.width).map(move |x| (x, y)));
        let bytes: Vec<u8> = places.flat_map(|(x, y)| float(n, x, y).to_le_bytes()).collect();
        float_tiff(&dir.path().join(format!("{n}.tif")), &bytes);
    }
    let files = (0..3).map(|n| dir.path().join(format!("{n}.tif"))).collect();
    let source = open(set(dir.path(), files, 1, (0..3).map(|n| vec![plane(0, n, 0, 0)]).collect()));
    for field in 0..3 {
        let coding = source.coding(PlaneId { field, ..PlaneId::default() }).expect("a coding");
        let (_, sink, outcome) = decoded(&source, field, 0);
        outcome.expect("decoded");
        let image = &source.images()[field as usize];
        for (key, tile) in &sink.tiles {
            let rect = image.tile_rect(*key);
            for (y, x) in (rect.y..rect.bottom()).flat_map(|y| (rect.x..rect.right()).map(move |x| (y, x))) {
                let at = ((y - rect.y) * image.tile_side + x - rect.x) as usize * 2;
                let value = coding.value(f64::from(u16::from_ne_bytes([tile[at], tile[at + 1]])));
                assert!((value - f64::from(float(field, x, y))).abs() < 0.02, "field {field} at {x},{y}: {value}");
            }
        }
        let exact = source.sample(PlaneId { field, ..PlaneId::default() }, 3, 4).expect("read");
        assert_eq!(exact, [f64::from(float(field, 3, 4))]);
    }
}

fn float_tiff(path: &Path, pixels: &[u8]) {
    strip_tiff(path, &[pixels.to_vec()], SIZE, 1, 32, 210);
    // The sample format has a tag of its own: put in the place of the one for planes of colour.
    let mut file = std::fs::read(path).expect("read");
    let at = u32::from_le_bytes(file[4..8].try_into().expect("four bytes")) as usize;
    let count = u16::from_le_bytes([file[at], file[at + 1]]);
    let end = at + 2 + usize::from(count) * 12;
    file[at..at + 2].copy_from_slice(&(count + 1).to_le_bytes());
    let mut entry = Vec::new();
    entry.extend_from_slice(&339_u16.to_le_bytes());
    entry.extend_from_slice(&3_u16.to_le_bytes());
    entry.extend_from_slice(&1_u32.to_le_bytes());
    entry.extend_from_slice(&3_u32.to_le_bytes());
    file.splice(end..end, entry);
    std::fs::write(path, file).expect("written");
}
