//! Files of known pixels, read back with our reader and compared with a reduction of the test's own.

use super::*;
use crate::export::band_source::{BandChannel, BandPlane, Covered};
use crate::formats;
use crate::geom::PixelRect;
use crate::pyramid::{PlaneId, Source, TileKey, UnitSink, WithScratch};
use std::collections::HashMap;
use std::path::PathBuf;

/// What a test image holds where.
type Pixel = fn(BandPlane, u32, u32) -> [u16; 3];

/// An image by rule.
struct Rule {
    image: BandImage,
    pixel: Pixel,
    /// Whether a pixel holds anything.
    covered: Option<fn(u32, u32) -> bool>,
}

fn noise(plane: BandPlane, x: u32, y: u32) -> [u16; 3] {
    let seed = u32::from(plane.channel) * 7 + u32::from(plane.z) * 13 + u32::from(plane.t) * 17;
    let mut v = (x ^ y << 13).wrapping_add(seed).wrapping_mul(0x9e37_79b9);
    v ^= v >> 15;
    v = v.wrapping_mul(0x85eb_ca6b);
    [(v >> 16) as u16, (v >> 8) as u16, v as u16]
}

fn rule(width: u32, height: u32, format: TileFormat) -> Rule {
    let channel = |n: u16| BandChannel { name: format!("marker {n}"), color: Some([n as u8, 2, 3]) };
    let count = if format == TileFormat::Rgb8 { 1 } else { 2 };
    Rule {
        image: BandImage {
            size: Size::new(width, height),
            layout: PixelLayout::of(format),
            channels: (0..count).map(channel).collect(),
            z_count: 1,
            t_count: 1,
            um_per_px: Some([0.5, 0.25]),
            objective: Some(20.0),
            tile_side: 256,
        },
        pixel: noise,
        covered: None,
    }
}

impl Rule {
    fn format(&self) -> TileFormat {
        tile_format(&self.image, Path::new("")).expect("a format")
    }

    fn put(&self, value: [u16; 3], out: &mut [u8]) {
        match self.format() {
            TileFormat::Gray8 => out[0] = value[0] as u8,
            TileFormat::Gray16 => out.copy_from_slice(&value[0].to_ne_bytes()),
            TileFormat::Rgb8 => out.copy_from_slice(&value.map(|v| v as u8)),
        }
    }

    /// Every level of a plane by the rule itself, one sample at a time: pixels in 16 bits, and which hold anything.
    fn levels(&self, plane: BandPlane) -> Vec<(Size, Vec<[u16; 3]>, Vec<bool>)> {
        let size = self.image.size;
        let mask = if self.format() == TileFormat::Gray16 { u16::MAX } else { 255 };
        let places = (0..size.height).flat_map(|y| (0..size.width).map(move |x| (x, y)));
        let covered: Vec<bool> =
            places.clone().map(|(x, y)| self.covered.is_none_or(|covered| covered(x, y))).collect();
        let pixels = places.zip(&covered).map(|((x, y), &covered)| match covered {
            true => (self.pixel)(plane, x, y).map(|v| v & mask),
            false => [0; 3],
        });
        let mut levels = vec![(size, pixels.collect::<Vec<_>>(), covered)];
        while let Some((size, pixels, covered)) = levels.last().filter(|(s, ..)| s.width.max(s.height) > 256) {
            let half = size.halved();
            let (mut next, mut next_covered) = (Vec::new(), Vec::new());
            for (y, x) in (0..half.height).flat_map(|y| (0..half.width).map(move |x| (y, x))) {
                let at = |dx: u32, dy: u32| {
                    let (x, y) = ((2 * x + dx).min(size.width - 1), (2 * y + dy).min(size.height - 1));
                    (y * size.width + x) as usize
                };
                let four = [at(0, 0), at(1, 0), at(0, 1), at(1, 1)];
                let there: Vec<usize> = four.into_iter().filter(|&i| covered[i]).collect();
                let mean = |c: usize| match there.len() {
                    0 => 0,
                    n => {
                        let sum: u32 = there.iter().map(|&i| u32::from(pixels[i][c])).sum();
                        (f64::from(sum) / n as f64 + 0.5).floor() as u16
                    }
                };
                next.push([mean(0), mean(1), mean(2)]);
                next_covered.push(!there.is_empty());
            }
            levels.push((half, next, next_covered));
        }
        levels
    }
}

impl BandSource for Rule {
    fn image(&self) -> &BandImage {
        &self.image
    }

    fn read_band(
        &self,
        plane: BandPlane,
        band: PixelRect,
        pixels: &mut [u8],
        mask: &mut [u8],
        _cancel: &Cancel,
    ) -> Result<Covered> {
        let bpp = self.format().bytes_per_px();
        let places = (band.y..band.bottom()).flat_map(|y| (band.x..band.right()).map(move |x| (x, y)));
        let mut some = false;
        for (((x, y), out), covers) in places.zip(pixels.chunks_exact_mut(bpp)).zip(mask) {
            let covered = self.covered.is_none_or(|covered| covered(x, y));
            self.put(if covered { (self.pixel)(plane, x, y) } else { [0; 3] }, out);
            *covers = u8::from(covered);
            some |= covered;
        }
        Ok(match self.covered {
            None => Covered::Whole,
            Some(_) if some => Covered::Partly,
            Some(_) => Covered::Nothing,
        })
    }
}

fn options(compression: TileCompression) -> OmeTiffOptions {
    OmeTiffOptions { compression, verify: true, original: Original::default() }
}

fn write(rule: &Rule, options: &OmeTiffOptions, path: &Path, threads: usize) -> Written {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
    write_ome_tiff(rule, options, Destination::replacing(path), &pool, &mut |_, _| {}, &Cancel::default())
        .expect("written")
}

/// Tiles on the heap.
struct Tiles<'a>(&'a dyn Source, HashMap<TileKey, Vec<u8>>);

impl UnitSink for Tiles<'_> {
    fn tile_mut(&mut self, key: TileKey) -> Result<&mut [u8]> {
        let bytes = self.0.images()[0].tile_bytes(key.plane);
        Ok(self.1.entry(key).or_insert_with(|| vec![0; bytes]))
    }

    fn with_scratch(&mut self, _: u64, _: &mut WithScratch<'_>) -> Result<()> {
        panic!("tiles are small")
    }

    fn fail(&mut self, key: TileKey, reason: String) {
        panic!("{key:?}: {reason}")
    }
}

/// The pixels of a level as our reader gives them, in the bytes of the rule.
fn read_level(source: &dyn Source, plane: PlaneId, level: u8) -> Vec<u8> {
    let info = &source.images()[0];
    let (size, side) = (info.levels[usize::from(level)].size, info.tile_side as usize);
    let bpp = info.channels[usize::from(plane.channel)].format.bytes_per_px();
    let mut out = vec![0; size.area() as usize * bpp];
    let tiles = info.tiles(level);
    for (x, y) in (0..tiles.height).flat_map(|y| (0..tiles.width).map(move |x| (x, y))) {
        let key = TileKey { plane, level, x, y };
        let mut sink = Tiles(source, HashMap::new());
        source.read_unit(&source.unit_of(key), &mut sink, &Cancel::default()).expect("read");
        let (tile, rect) = (&sink.1[&key], info.tile_rect(key));
        for row in 0..rect.height as usize {
            let to = ((rect.y as usize + row) * size.width as usize + rect.x as usize) * bpp;
            let bytes = rect.width as usize * bpp;
            out[to..to + bytes].copy_from_slice(&tile[row * side * bpp..][..bytes]);
        }
    }
    out
}

/// Fails where a written file does not hold what the rule says, at any level.
fn assert_holds(rule: &Rule, path: &Path, words: &str) {
    let opened = formats::open(path).expect("opened");
    assert_eq!(opened.warnings, Vec::<String>::new(), "{words}");
    let info = &opened.source.images()[0];
    for (index, plane) in rule.image.planes().into_iter().enumerate() {
        let levels = rule.levels(plane);
        assert_eq!(info.levels.len(), levels.len().max(info.levels.len()), "{words}: levels");
        for (level, (size, pixels, _)) in levels.iter().enumerate() {
            assert_eq!(info.levels[level].size, *size, "{words}");
            let id = PlaneId { field: 0, channel: plane.channel, z: plane.z, t: plane.t };
            let got = read_level(&*opened.source, id, level as u8);
            let mut expected = vec![0; got.len()];
            let bpp = rule.format().bytes_per_px();
            expected.chunks_exact_mut(bpp).zip(pixels).for_each(|(out, &px)| rule.put(px, out));
            assert!(got == expected, "{words}: plane {index}, level {level}");
        }
    }
}

#[test]
fn every_level_of_every_odd_size_is_the_rounded_mean_of_the_one_before() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.ome.tif");
    for (width, height) in [(1, 1), (257, 1), (1, 700), (256, 256), (1025, 300), (4097, 511)] {
        for format in [TileFormat::Gray8, TileFormat::Gray16, TileFormat::Rgb8] {
            let rule = rule(width, height, format);
            write(&rule, &options(TileCompression::None), &path, 2);
            assert_holds(&rule, &path, &format!("{width} x {height} {format:?}"));
        }
    }
}

#[test]
fn every_lossless_compression_keeps_every_sample() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.ome.tif");
    for compression in [TileCompression::Lzw, TileCompression::Deflate, TileCompression::Zstd] {
        for format in [TileFormat::Gray8, TileFormat::Gray16, TileFormat::Rgb8] {
            let rule = rule(600, 530, format);
            write(&rule, &options(compression), &path, 2);
            assert_holds(&rule, &path, &format!("{compression:?} {format:?}"));
        }
    }
}

#[test]
fn signed_samples_and_all_planes_are_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.ome.tif");
    for format in [TileFormat::Gray8, TileFormat::Gray16] {
        let mut rule = rule(520, 300, format);
        (rule.image.z_count, rule.image.t_count, rule.image.layout.kind) = (2, 3, SampleKind::Signed);
        write(&rule, &options(TileCompression::Zstd), &path, 2);
        assert_holds(&rule, &path, &format!("{format:?}"));
    }
}

#[test]
fn where_nothing_is_takes_no_part_in_coarser_levels() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.ome.tif");
    for format in [TileFormat::Gray8, TileFormat::Gray16, TileFormat::Rgb8] {
        let mut rule = rule(1100, 900, format);
        // A disc with a checked edge, so that means of one, two and three pixels come about, and quadrants that are whole
        // beside such that are empty.
        rule.covered = Some(|x, y| {
            let distance = (f64::from(x) - 500.0).hypot(f64::from(y) - 400.0);
            distance < 330.0 || distance < 370.0 && (x * 7 + y * 3) % 5 < 3
        });
        write(&rule, &options(TileCompression::Zstd), &path, 2);
        assert_holds(&rule, &path, &format!("{format:?}"));
    }
}

#[test]
fn any_number_of_threads_writes_the_same_bytes() {
    let folder = tempfile::tempdir().expect("a folder");
    for compression in [TileCompression::Zstd, TileCompression::Jpeg { quality: 80 }] {
        let format = if compression == TileCompression::Zstd { TileFormat::Gray16 } else { TileFormat::Rgb8 };
        let rule = rule(1700, 1100, format);
        let bytes = |threads| {
            let path: PathBuf = folder.path().join(format!("{threads}.ome.tif"));
            write(&rule, &options(compression), &path, threads);
            std::fs::read(path).expect("read")
        };
        let one = bytes(1);
        assert!(one == bytes(2) && one == bytes(4), "{compression:?}");
    }
}

#[test]
fn a_cancelled_export_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.ome.tif");
    let rule = rule(2100, 1100, TileFormat::Gray8);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().expect("a pool");
    let cancel = Cancel::default();
    let mut watch = |done, _| {
        if done == 20 {
            cancel.cancel();
        }
    };
    let outcome = write_ome_tiff(&rule, &options(TileCompression::Lzw), &path, &pool, &mut watch, &cancel);
    assert!(matches!(outcome, Err(Error::Cancelled)), "{outcome:?}");
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0);
}

/// A source one part of which cannot be read.
struct Broken(Rule, fn() -> Result<Covered>);

impl BandSource for Broken {
    fn image(&self) -> &BandImage {
        self.0.image()
    }

    fn read_band(
        &self,
        plane: BandPlane,
        band: PixelRect,
        pixels: &mut [u8],
        mask: &mut [u8],
        cancel: &Cancel,
    ) -> Result<Covered> {
        if band.x == 1024 { (self.1)() } else { self.0.read_band(plane, band, pixels, mask, cancel) }
    }
}

fn write_broken(failure: fn() -> Result<Covered>) -> Result<Written> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.ome.tif");
    let broken = Broken(rule(1300, 600, TileFormat::Gray8), failure);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().expect("a pool");
    let options = options(TileCompression::None);
    let outcome = write_ome_tiff(&broken, &options, &path, &pool, &mut |_, _| {}, &Cancel::default());
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0);
    outcome
}

#[test]
fn a_part_that_cannot_be_read_ends_the_export_with_its_reason() {
    let error = write_broken(|| Err(Error::format("a hole", Path::new("x")))).expect_err("it cannot be read");
    assert!(error.to_string().contains("a hole"), "{error}");
}

#[test]
#[should_panic(expected = "a fault in a worker")]
fn a_panic_in_a_worker_comes_out_and_does_not_hang() {
    drop(write_broken(|| panic!("a fault in a worker")));
}

#[test]
fn the_check_finds_a_tile_that_was_changed_on_the_disk() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.ome.tif");
    let rule = rule(700, 500, TileFormat::Gray8);
    write(&rule, &options(TileCompression::None), &path, 2);
    let print = |byte: u8| {
        let square = vec![byte; 256 * 256];
        print::Print::of(&square, 256, Size::new(256, 256), TileFormat::Gray8, true)
    };
    let place = TilePlace { plane: 1, level: 0, x: 1, y: 0 };
    let prints = [Printed { place, print: print(3) }];
    let check = || verify(&path, &rule.image, TileFormat::Gray8, &prints, Path::new("final.tif"), &Cancel::default());
    let error = check().expect_err("the tile holds something else");
    assert!(error.to_string().contains("did not pass its check"), "{error}");
    assert!(error.to_string().ends_with("final.tif"), "{error}");
}

#[test]
fn the_estimate_of_an_unpacked_file_is_its_size_and_packed_ones_are_near() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.ome.tif");
    let mut rule = rule(1800, 1100, TileFormat::Gray16);
    rule.pixel = |plane, x, y| [(noise(plane, x, y)[0] & 63) + (x / 40 + y / 30) as u16, 0, 0];
    for compression in [TileCompression::None, TileCompression::Deflate, TileCompression::Zstd] {
        let options = options(compression);
        let estimate = estimate(&rule, &options, &path, &Cancel::default()).expect("an estimate");
        let bytes = write(&rule, &options, &path, 2).bytes;
        let off = estimate.bytes as f64 / bytes as f64 - 1.0;
        println!("{compression:?}: {} for {bytes}", estimate.bytes);
        assert!(off.abs() < 0.1 && estimate.worst_bytes >= bytes, "{compression:?}: {off}");
    }
}
