//! TIFF files written byte by byte, for what the corpus has no file for: damage, big chunks, stacks, odd layouts.

mod heap_sink;

use heap_sink::{HeapSink, decode_all};
use microtome::formats::{self, Opened};
use microtome::pixels::PixelType;
use microtome::pyramid::{Cancel, ChannelRole, LevelOrigin, MAX_HEAP_CHUNK_BYTES, PlaneId, TileKey};
use std::io::Write;
use std::path::PathBuf;

/// A TIFF file in the making: little-endian, 32-bit offsets.
#[derive(Default)]
struct TiffFile {
    bytes: Vec<u8>,
    /// Where the position of the next directory goes.
    link: usize,
}

/// One tag: number, values, and whether they are 16 bits wide.
type Tag = (u16, Vec<u32>, u16);

fn short(tag: u16, value: u32) -> Tag {
    (tag, vec![value], 3)
}

fn long(tag: u16, values: impl Into<Vec<u32>>) -> Tag {
    (tag, values.into(), 4)
}

fn text(tag: u16, value: &str) -> Tag {
    (tag, value.bytes().chain([0]).map(u32::from).collect(), 2)
}

impl TiffFile {
    fn new() -> Self {
        Self { bytes: b"II*\0\0\0\0\0".to_vec(), link: 4 }
    }

    /// Appends data; its position.
    fn data(&mut self, data: &[u8]) -> u32 {
        let at = self.bytes.len() as u32;
        self.bytes.extend_from_slice(data);
        at
    }

    fn page(&mut self, mut tags: Vec<Tag>) {
        tags.sort_by_key(|t| t.0);
        let encoded: Vec<(u16, u16, u32, Vec<u8>)> = tags
            .iter()
            .map(|(tag, values, kind)| {
                let bytes: Vec<u8> = match kind {
                    2 => values.iter().map(|&v| v as u8).collect(),
                    3 => values.iter().flat_map(|&v| (v as u16).to_le_bytes()).collect(),
                    _ => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
                };
                (*tag, *kind, values.len() as u32, bytes)
            })
            .collect();
        let mut entries = Vec::new();
        for (tag, kind, count, mut bytes) in encoded {
            entries.extend_from_slice(&tag.to_le_bytes());
            entries.extend_from_slice(&kind.to_le_bytes());
            entries.extend_from_slice(&count.to_le_bytes());
            if bytes.len() > 4 {
                bytes = self.data(&bytes).to_le_bytes().to_vec();
            }
            bytes.resize(4, 0);
            entries.extend_from_slice(&bytes);
        }
        let at = self.data(&(tags.len() as u16).to_le_bytes());
        self.bytes.extend_from_slice(&entries);
        self.bytes[self.link..self.link + 4].copy_from_slice(&at.to_le_bytes());
        self.link = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 4]);
    }

    fn open(&self) -> (tempfile::TempDir, PathBuf, Opened) {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("synthetic.tif");
        std::fs::write(&path, &self.bytes).expect("written");
        let opened = formats::open(&path).expect("opens");
        (dir, path, opened)
    }
}

fn layout(width: u32, height: u32, samples: u32, bits: u32, compression: u32) -> Vec<Tag> {
    vec![
        long(256, [width]),
        long(257, [height]),
        (258, vec![bits; samples as usize], 3),
        short(259, compression),
        short(262, if samples >= 3 { 2 } else { 1 }),
        short(277, samples),
    ]
}

/// Pixels that repeat nowhere near.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1du64;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        })
        .collect()
}

fn deflated(plain: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    out.write_all(plain).expect("compressed");
    out.finish().expect("compressed")
}

/// The tiles of an image, row by row, each padded to a whole square.
fn tiled(pixels: &[u8], width: usize, height: usize, px_bytes: usize, side: usize) -> Vec<Vec<u8>> {
    let mut tiles = Vec::new();
    for y in (0..height).step_by(side) {
        for x in (0..width).step_by(side) {
            let mut tile = vec![0; side * side * px_bytes];
            for row in 0..side.min(height - y) {
                let len = side.min(width - x) * px_bytes;
                let from = ((y + row) * width + x) * px_bytes;
                tile[row * side * px_bytes..][..len].copy_from_slice(&pixels[from..from + len]);
            }
            tiles.push(tile);
        }
    }
    tiles
}

fn read_all_units(opened: &Opened) -> HeapSink {
    let source = &*opened.source;
    let mut sink = HeapSink::new(source);
    let info = &source.images()[0];
    for y in 0..info.tiles(0).height {
        for x in 0..info.tiles(0).width {
            let key = TileKey { plane: PlaneId::default(), level: 0, x, y };
            if !sink.tiles.contains_key(&key) && !sink.failed.contains_key(&key) {
                source.read_unit(&source.unit_of(key), &mut sink, &Cancel::default()).expect("read");
            }
        }
    }
    sink
}

#[test]
fn a_damaged_tile_fails_alone() {
    let (width, height) = (600, 300);
    let pixels = noise(width * height * 3);
    let mut file = TiffFile::new();
    let mut offsets = Vec::new();
    let mut counts = Vec::new();
    for (index, tile) in tiled(&pixels, width, height, 3, 256).iter().enumerate() {
        let mut data = deflated(tile);
        if index == 1 {
            data[40..400].fill(0xff);
        }
        counts.push(data.len() as u32);
        offsets.push(file.data(&data));
    }
    let mut tags = layout(width as u32, height as u32, 3, 8, 8);
    tags.extend([short(322, 256), short(323, 256), long(324, offsets), long(325, counts)]);
    file.page(tags);
    let (_dir, _path, opened) = file.open();
    let sink = read_all_units(&opened);
    let failed: Vec<(u32, u32)> = sink.failed.keys().map(|k| (k.x, k.y)).collect();
    assert_eq!(failed, [(1, 0)]);
    assert!(!sink.failed.values().any(|r| r.contains('\n') || r.is_empty()));
    let good = &sink.tiles[&TileKey { plane: PlaneId::default(), level: 0, x: 0, y: 0 }];
    assert_eq!(good[..768], pixels[..768]);
}

#[test]
fn a_chunk_beyond_the_heap_limit_is_streamed_to_the_same_pixels() {
    let (width, height) = (3000usize, 1100usize);
    assert!((width * height * 3) as u64 > MAX_HEAP_CHUNK_BYTES);
    let pixels: Vec<u8> = noise(width * height * 3).iter().map(|b| b & 0x0f).collect();
    for (compression, data) in [
        (8, deflated(&pixels)),
        (5, weezl::encode::Encoder::with_tiff_size_switch(weezl::BitOrder::Msb, 8).encode(&pixels).expect("encoded")),
        (50000, zstd::bulk::compress(&pixels, 1).expect("encoded")),
    ] {
        let mut file = TiffFile::new();
        let count = data.len() as u32;
        let offset = file.data(&data);
        let mut tags = layout(width as u32, height as u32, 3, 8, compression);
        tags.extend([long(278, [height as u32]), long(273, [offset]), long(279, [count])]);
        file.page(tags);
        let (_dir, _path, opened) = file.open();
        assert!(decode_all(&opened).expect("decodes")[0].bytes == pixels, "compression {compression}");
    }
}

#[test]
fn of_a_file_that_is_cut_off_the_first_rows_are_shown() {
    let (width, height) = (256usize, 1024usize);
    let pixels = noise(width * height);
    let mut file = TiffFile::new();
    let mut tags = layout(width as u32, height as u32, 1, 8, 1);
    // The pixels come last, so that cutting the file leaves its directory whole.
    tags.extend([long(278, [height as u32]), long(273, [1000]), long(279, [(width * height) as u32])]);
    file.page(tags);
    file.bytes.resize(1000, 0);
    file.bytes.extend_from_slice(&pixels[..width * 600]);
    let (_dir, _path, opened) = file.open();
    let sink = read_all_units(&opened);
    let mut failed: Vec<u32> = sink.failed.keys().map(|k| k.y).collect();
    failed.sort_unstable();
    assert_eq!(failed, [2, 3]);
    let second = &sink.tiles[&TileKey { plane: PlaneId::default(), level: 0, x: 0, y: 1 }];
    assert_eq!(*second, pixels[256 * 256..512 * 256]);
}

#[test]
fn a_file_that_changes_while_it_is_open_is_noticed() {
    let mut file = TiffFile::new();
    let offset = file.data(&[5; 64]);
    let mut tags = layout(8, 8, 1, 8, 1);
    tags.extend([long(273, [offset]), long(279, [64])]);
    file.page(tags);
    let (_dir, path, opened) = file.open();
    opened.source.check_unchanged().expect("nothing happened yet");
    std::fs::write(&path, b"II*\0").expect("truncated");
    assert!(opened.source.check_unchanged().is_err());
    let sink = read_all_units(&opened);
    assert_eq!(sink.failed.len(), 1);
}

#[test]
fn tiles_that_were_never_written_are_zero() {
    let mut file = TiffFile::new();
    let tile = noise(256 * 256);
    let offset = file.data(&tile);
    let mut tags = layout(512, 256, 1, 8, 1);
    tags.extend([short(322, 256), short(323, 256), long(324, [0, offset]), long(325, [0, 65536])]);
    file.page(tags);
    let (_dir, _path, opened) = file.open();
    let planes = decode_all(&opened).expect("decodes");
    assert!(planes[0].bytes.chunks(512).all(|row| row[..256].iter().all(|&b| b == 0)));
    assert_eq!(planes[0].bytes[256..512], tile[..256]);
}

#[test]
fn an_imagej_stack_with_one_directory_shows_all_its_planes() {
    let (width, height, channels, slices) = (20u32, 10u32, 2, 3);
    let plane_bytes = (width * height * 2) as usize;
    let pixels = noise(plane_bytes * channels * slices);
    let mut file = TiffFile::new();
    let offset = file.data(&pixels);
    let mut tags = layout(width, height, 1, 16, 1);
    let description = "ImageJ=1.54f\nimages=6\nchannels=2\nslices=3\nhyperstack=true\nunit=micron\n";
    tags.extend([text(270, description), long(273, [offset]), long(279, [plane_bytes as u32]), long(278, [height])]);
    file.page(tags);
    let (_dir, _path, opened) = file.open();
    let info = &opened.source.images()[0];
    assert_eq!((info.z_count, info.channels.len(), info.pixel_type), (3, 2, PixelType::U16));
    for plane in decode_all(&opened).expect("decodes") {
        let index = plane.plane.z as usize * channels + plane.plane.channel as usize;
        assert_eq!(plane.bytes, pixels[index * plane_bytes..][..plane_bytes], "plane {index}");
    }
}

#[test]
fn pages_that_shrink_are_levels_whether_or_not_they_say_so() {
    for flag in [0, 1] {
        let mut file = TiffFile::new();
        for (index, (width, height)) in [(1000u32, 700u32), (500, 350), (250, 175)].into_iter().enumerate() {
            let offset = file.data(&vec![index as u8; (width * height) as usize]);
            let mut tags = layout(width, height, 1, 8, 1);
            tags.extend([long(273, [offset]), long(279, [width * height]), long(278, [height])]);
            if index > 0 {
                tags.push(long(254, [flag]));
            }
            file.page(tags);
        }
        let (_dir, _path, opened) = file.open();
        assert_eq!(opened.source.images().len(), 1);
        let levels = &opened.source.images()[0].levels;
        let native: Vec<u32> =
            levels.iter().filter(|l| l.origin != LevelOrigin::Derived).map(|l| l.size.width).collect();
        assert_eq!(native, [1000, 500, 250]);
        let planes = decode_all(&opened).expect("decodes");
        assert!(planes.iter().all(|p| p.bytes.iter().all(|&b| b == p.level)));
    }
}

#[test]
fn pages_with_different_palettes_are_different_images() {
    let mut file = TiffFile::new();
    for red in [0x1000u32, 0xff00] {
        let offset = file.data(&[1; 64]);
        let mut tags = layout(8, 8, 1, 8, 1);
        tags[4] = short(262, 3);
        let mut map = vec![0; 768];
        map[1] = red;
        tags.extend([long(273, [offset]), long(279, [64]), (320, map, 3)]);
        file.page(tags);
    }
    let (_dir, _path, opened) = file.open();
    assert_eq!(opened.source.images().len(), 2);
    let planes = decode_all(&opened).expect("decodes");
    assert_eq!([planes[0].bytes[0], planes[1].bytes[0]], [0x10, 0xff]);
}

#[test]
fn float_samples_are_a_preview_whose_values_come_from_the_file() {
    let (width, height) = (64u32, 48u32);
    let values: Vec<f32> = (0..width * height).map(|i| (i as f32 * 0.37).sin() * 12.5).collect();
    let data: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
    let mut file = TiffFile::new();
    let offset = file.data(&data);
    let mut tags = layout(width, height, 1, 32, 1);
    tags.extend([short(339, 3), long(273, [offset]), long(279, [data.len() as u32]), long(278, [height])]);
    file.page(tags);
    let (_dir, _path, opened) = file.open();
    assert!(opened.warnings.iter().any(|w| w.starts_with("16-bit preview")), "{:?}", opened.warnings);
    let coding = opened.source.coding(PlaneId::default()).expect("a coding");
    assert!(!coding.exact);
    let planes = decode_all(&opened).expect("decodes");
    for (stored, value) in planes[0].bytes.chunks_exact(2).zip(&values) {
        let shown = coding.value(f64::from(u16::from_ne_bytes([stored[0], stored[1]])));
        assert!((shown - f64::from(*value)).abs() <= coding.scale, "{shown} for {value}");
    }
    let sample = opened.source.sample(PlaneId::default(), 5, 7).expect("a value");
    assert_eq!(sample, [f64::from(values[7 * 64 + 5])]);
}

#[test]
fn alpha_is_coverage_and_unspecified_samples_are_channels() {
    for (extra, role) in [(1, ChannelRole::Coverage), (2, ChannelRole::Coverage), (0, ChannelRole::Intensity)] {
        let pixels = noise(10 * 10 * 4);
        let mut file = TiffFile::new();
        let offset = file.data(&pixels);
        let mut tags = layout(10, 10, 4, 8, 1);
        tags.extend([short(338, extra), long(273, [offset]), long(279, [400])]);
        file.page(tags);
        let (_dir, _path, opened) = file.open();
        assert_eq!(opened.source.images()[0].channels[1].role, role);
        let planes = decode_all(&opened).expect("decodes");
        assert_eq!(planes[0].bytes[3..6], pixels[4..7]);
        assert!(planes[1].bytes.iter().eq(pixels.iter().skip(3).step_by(4)));
    }
}

#[test]
fn a_resolution_of_unknown_origin_is_no_calibration() {
    let mut file = TiffFile::new();
    let offset = file.data(&[1; 64]);
    let resolution = [72u32, 1];
    let mut tags = layout(8, 8, 1, 8, 1);
    tags.extend([long(273, [offset]), long(279, [64]), short(296, 2)]);
    // Type 5, a rational, is written as two long values of one count.
    let at = file.data(&resolution.map(u32::to_le_bytes).concat());
    tags.extend([(282, vec![at], 4), (283, vec![at], 4)]);
    file.page(tags);
    for tag in [282u16, 283] {
        let entry =
            file.bytes.windows(4).position(|w| w == [&tag.to_le_bytes()[..], &[4, 0]].concat()).expect("written");
        file.bytes[entry + 2] = 5;
    }
    let (_dir, _path, opened) = file.open();
    assert_eq!(opened.source.images()[0].um_per_px, None);
    assert!(opened.metadata["Resolution"].contains("72 x 72 px per inch (ignored"), "{:?}", opened.metadata);
}

#[test]
fn a_count_beyond_the_file_is_refused_before_memory_is_taken() {
    let mut file = TiffFile::new();
    let mut tags = layout(4_000_000, 4_000_000, 1, 8, 1);
    tags.extend([short(322, 16), short(323, 16), long(324, [8]), long(325, [8])]);
    file.page(tags);
    // The two tables claim 2^32 - 1 values each.
    for tag in [324u16, 325] {
        let entry =
            file.bytes.windows(4).position(|w| w == [&tag.to_le_bytes()[..], &[4, 0]].concat()).expect("written");
        file.bytes[entry + 4..entry + 8].copy_from_slice(&[0xff; 4]);
    }
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("bomb.tif");
    std::fs::write(&path, &file.bytes).expect("written");
    let error = formats::open(&path).expect_err("refused").to_string();
    assert!(!error.contains('\n'), "{error}");
}

#[test]
fn a_large_jpeg_goes_through_scratch_and_a_small_one_does_not() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    for (side, scratch) in [(300u32, false), (2000, true)] {
        let path = dir.path().join(format!("{side}.jpg"));
        let pixels = image::RgbImage::from_fn(side, side, |x, y| image::Rgb([x as u8, y as u8, (x + y) as u8]));
        pixels.save(&path).expect("written");
        let opened = formats::open(&path).expect("opens");
        let sink = read_all_units(&opened);
        assert!(sink.failed.is_empty());
        assert_eq!(sink.scratch_bytes > 0, scratch);
        let reference = image::open(&path).expect("a picture").to_rgb8();
        let tile = &sink.tiles[&TileKey { plane: PlaneId::default(), level: 0, x: 1, y: 0 }];
        for x in 256..300 {
            let ours = &tile[(x - 256) * 3..][..3];
            let theirs = reference.get_pixel(x as u32, 0).0;
            assert!(ours.iter().zip(theirs).all(|(a, b)| a.abs_diff(b) <= 1));
        }
    }
}

#[test]
fn sixteen_bit_png_is_three_channels_with_exact_values() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("deep.png");
    let pixels = image::ImageBuffer::<image::Rgb<u16>, _>::from_fn(300, 20, |x, y| {
        image::Rgb([x as u16 * 200, y as u16 * 3000 + 1, 65535 - x as u16])
    });
    pixels.save(&path).expect("written");
    let opened = formats::open(&path).expect("opens");
    assert_eq!(opened.source.images()[0].pixel_type, PixelType::Rgb16);
    let planes = decode_all(&opened).expect("decodes");
    for (channel, plane) in planes.iter().enumerate() {
        let values = plane.bytes.chunks_exact(2).map(|b| u16::from_ne_bytes([b[0], b[1]]));
        assert!(values.eq(pixels.pixels().map(|p| p.0[channel])));
    }
    assert_eq!(opened.source.sample(PlaneId::default(), 7, 3).expect("a value"), [1400.0]);
}

#[test]
fn cancelled_work_stops_with_the_error_for_it() {
    let mut file = TiffFile::new();
    let offset = file.data(&[1; 64]);
    let mut tags = layout(8, 8, 1, 8, 1);
    tags.extend([long(273, [offset]), long(279, [64])]);
    file.page(tags);
    let (_dir, _path, opened) = file.open();
    let cancel = Cancel::default();
    cancel.cancel();
    let unit = opened.source.unit_of(TileKey { plane: PlaneId::default(), level: 0, x: 0, y: 0 });
    let error = opened.source.read_unit(&unit, &mut HeapSink::new(&*opened.source), &cancel).expect_err("stopped");
    assert!(error.is_cancelled());
}

#[test]
fn a_slide_in_jpeg_2000_is_refused_in_words() {
    let mut file = TiffFile::new();
    let offset = file.data(&[1; 64]);
    let mut tags = layout(8, 8, 3, 8, 33003);
    tags.extend([text(270, "Aperio Image Library v11\n8x8 J2K|MPP = 0.25"), long(273, [offset]), long(279, [64])]);
    file.page(tags);
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("slide.svs");
    std::fs::write(&path, &file.bytes).expect("written");
    let error = formats::open(&path).expect_err("refused").to_string();
    assert!(error.contains("JPEG 2000") && error.ends_with("slide.svs"), "{error}");
}

#[test]
fn a_qptiff_has_a_channel_a_page_and_keeps_its_label_apart() {
    let xml = |kind: &str, name: &str| {
        format!(
            "<?xml version=\"1.0\"?><PerkinElmer-QPI-ImageDescription><ImageType>{kind}</ImageType>\
             <Name>{name}</Name><Color>255,128,0</Color></PerkinElmer-QPI-ImageDescription>"
        )
    };
    let mut file = TiffFile::new();
    for (value, size, kind, name) in [
        (1u8, 300u32, "FullResolution", "DAPI"),
        (2, 300, "FullResolution", "CD3"),
        (3, 150, "ReducedResolution", "DAPI"),
        (4, 150, "ReducedResolution", "CD3"),
        (5, 40, "Label", ""),
    ] {
        let offset = file.data(&vec![value; (size * size) as usize]);
        let mut tags = layout(size, size, 1, 8, 1);
        tags.extend([text(270, &xml(kind, name)), long(273, [offset]), long(279, [size * size]), long(278, [size])]);
        file.page(tags);
    }
    let (_dir, _path, opened) = file.open();
    let info = &opened.source.images()[0];
    let channels: Vec<_> = info.channels.iter().map(|c| (c.name.as_str(), c.color)).collect();
    assert_eq!(channels, [("DAPI", Some([255, 128, 0])), ("CD3", Some([255, 128, 0]))]);
    assert_eq!(opened.source.associated()[0].name, "label");
    assert_eq!(opened.source.read_associated(0).expect("a label")[..3], [5, 5, 5]);
    let values: Vec<u8> = decode_all(&opened).expect("decodes").iter().map(|p| p.bytes[0]).collect();
    assert_eq!(values, [1, 2, 3, 4]);
}
