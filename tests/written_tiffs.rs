//! Files that we write, as tifffile, libvips and OpenSlide read them.
//!
//! Needs the reference readers that scripts/test installs; says loudly when they are not there.

use microtome::engine::work_pool;
use microtome::error::Result;
use microtome::export::{
    BandChannel, BandImage, BandPlane, BandSource, Covered, OmeImage, OmeTiffOptions, Original, PixelLayout, TiffPage,
    TiffPlan, TileCompression, TileEncoder, TiledTiffWriter, ome_xml, write_ome_tiff,
};
use microtome::geom::{PixelRect, Size};
use microtome::pixels::TileFormat;
use microtome::pyramid::Cancel;
use microtome::store::Destination;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const SIZE: Size = Size::new(70, 45);
const TILE_SIDE: u32 = 32;

/// Prints what tifffile makes of a file, one fact a line, and whether its pixels are those of a raw file (for JPEG: the
/// mean difference).
const READ: &str = r#"
import sys, numpy, tifffile
path, raw = sys.argv[1:3]
with tifffile.TiffFile(path) as tiff:
    series = tiff.series[0]
    print("ome", tiff.is_ome, "big", tiff.is_bigtiff, "axes", series.axes, "type", series.dtype)
    print("levels", [level.shape for level in series.levels])
    for level, image in enumerate(series.levels):
        got = image.asarray()
        expected = numpy.fromfile(f"{raw}.{level}", got.dtype).reshape(got.shape)
        difference = numpy.abs(got.astype(int) - expected.astype(int)).mean()
        print("level", level, "same" if (got == expected).all() else f"off by {difference:.3f}")
    if tiff.is_ome:
        pixels = tifffile.xml2dict(tiff.ome_metadata)["OME"]["Image"]["Pixels"]
        channels = pixels["Channel"] if isinstance(pixels["Channel"], list) else [pixels["Channel"]]
        print("channels", [c["Name"] for c in channels], "um", pixels["PhysicalSizeX"], pixels["PhysicalSizeY"])
    page = tiff.pages[0]
    print("resolution", [round(float(r), 3) for r in page.get_resolution("MICROMETER")])
"#;

/// The Python that has the reference readers, or `None` after saying that the test is skipped.
fn oracles() -> Option<PathBuf> {
    let path = std::env::var_os("MICROTOME_ORACLES")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target/oracles/bin/python"), PathBuf::from);
    if path.exists() {
        return Some(path);
    }
    println!("SKIPPED: comparison with tifffile, which is not installed (scripts/test installs it)");
    None
}

/// A page's sample: different everywhere, smooth, and using both bytes.
fn sample(page: usize, x: u32, y: u32) -> u16 {
    (page as u32 * 9000 + x * 251 + y * 509) as u16
}

/// One tile, and beyond the image's edge whatever the formula gives.
fn tile(page: usize, tx: u32, ty: u32, format: TileFormat) -> Vec<u8> {
    let (x0, y0) = (tx * TILE_SIDE, ty * TILE_SIDE);
    let places = (y0..y0 + TILE_SIDE).flat_map(|y| (x0..x0 + TILE_SIDE).map(move |x| (x, y)));
    places.flat_map(|(x, y)| pixel(page, x, y, format)).collect()
}

fn pixel(page: usize, x: u32, y: u32, format: TileFormat) -> Vec<u8> {
    match format {
        TileFormat::Gray8 => vec![(sample(page, x, y) >> 8) as u8],
        TileFormat::Gray16 => sample(page, x, y).to_ne_bytes().to_vec(),
        TileFormat::Rgb8 => vec![(x * 3) as u8, (y * 5) as u8, ((x + y) * 2) as u8],
    }
}

/// Writes a file with a reduced level and, beside it, the raw samples of both levels; returns what tifffile says.
fn read_back(
    folder: &Path,
    python: &Path,
    format: TileFormat,
    compression: TileCompression,
    channels: usize,
) -> String {
    let (path, raw) = (folder.join("written.ome.tif"), folder.join("raw"));
    let names = [("DAPI", Some([0, 0, 255])), ("Ki-67 \u{b5}", None)];
    let um_per_px = Some([0.5, 0.25]);
    let xml = ome_xml(&OmeImage {
        name: "image",
        size: SIZE,
        layout: PixelLayout::of(format),
        z_count: 1,
        t_count: 1,
        channels: &names[..channels],
        um_per_px,
        objective: None,
    });
    let mut plan = TiffPlan::default();
    let pages: Vec<_> = (0..channels)
        .map(|channel| {
            let description = (channel == 0).then(|| xml.clone());
            plan.add_page(TiffPage {
                size: SIZE,
                tile_side: TILE_SIDE,
                layout: PixelLayout::of(format),
                compression,
                um_per_px,
                description,
            })
        })
        .collect();
    let levels: Vec<_> = pages.iter().map(|&page| plan.add_level(page, SIZE.halved())).collect();
    let mut writer = TiledTiffWriter::create(Destination::replacing(&path), &plan).expect("create");
    let mut encoder = TileEncoder::new(compression, PixelLayout::of(format), TILE_SIDE, &path).expect("encoder");
    for (level, (ids, size)) in [(pages, SIZE), (levels, SIZE.halved())].into_iter().enumerate() {
        let mut bytes = Vec::new();
        for (index, &id) in ids.iter().enumerate() {
            // The levels hold different samples, so that one cannot pass for the other.
            let seed = index + 2 * level;
            for (x, y) in (0..size.width).flat_map(|x| (0..size.height).map(move |y| (x, y))) {
                if x % TILE_SIDE == 0 && y % TILE_SIDE == 0 {
                    let (tx, ty) = (x / TILE_SIDE, y / TILE_SIDE);
                    let packed = encoder.encode(&tile(seed, tx, ty, format), &path).expect("packed");
                    writer.write_tile(id, tx, ty, &packed).expect("written");
                }
            }
            let places = (0..size.height).flat_map(|y| (0..size.width).map(move |x| (x, y)));
            bytes.extend(places.flat_map(|(x, y)| pixel(seed, x, y, format)));
        }
        std::fs::write(raw.with_extension(level.to_string()), bytes).expect("raw");
    }
    writer.finish().expect("finished");
    let output = Command::new(python).args(["-c", READ]).arg(&path).arg(&raw).output().expect("python runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn tifffile_reads_every_lossless_compression_of_every_layout_exactly() {
    let Some(python) = oracles() else { return };
    let folder = tempfile::tempdir().expect("folder");
    for compression in [TileCompression::None, TileCompression::Lzw, TileCompression::Deflate, TileCompression::Zstd] {
        for format in [TileFormat::Gray8, TileFormat::Gray16, TileFormat::Rgb8] {
            let said = read_back(folder.path(), &python, format, compression, 1);
            assert!(said.contains("ome True big False"), "{said}");
            assert!(
                said.contains("level 0 same") && said.contains("level 1 same"),
                "{compression:?} {format:?}\n{said}"
            );
        }
    }
}

#[test]
fn tifffile_finds_the_channels_levels_and_pixel_size_that_were_written() {
    let Some(python) = oracles() else { return };
    let folder = tempfile::tempdir().expect("folder");
    let said = read_back(folder.path(), &python, TileFormat::Gray16, TileCompression::Zstd, 2);
    for expected in [
        "axes CYX type uint16",
        "levels [(2, 45, 70), (2, 23, 35)]",
        "channels ['DAPI', 'Ki-67 \u{b5}'] um 0.5 0.25",
        "resolution [2.0, 4.0]",
        "level 0 same",
        "level 1 same",
    ] {
        assert!(said.contains(expected), "{expected} is not in\n{said}");
    }
}

#[test]
fn tifffile_reads_jpeg_tiles_in_the_right_colours() {
    let Some(python) = oracles() else { return };
    let folder = tempfile::tempdir().expect("folder");
    for format in [TileFormat::Rgb8, TileFormat::Gray8] {
        let said = read_back(folder.path(), &python, format, TileCompression::Jpeg { quality: 95 }, 1);
        for level in ["level 0 off by ", "level 1 off by "] {
            let after = said.split(level).nth(1).expect("both levels are told");
            let off: f64 = after.split_whitespace().next().and_then(|n| n.parse().ok()).expect("a number");
            assert!(off < 2.0, "{format:?}\n{said}");
        }
    }
}

/// Checks exported files against the samples that went in; says what is wrong, and how many files it looked at.
const CHECK: &str = r#"
import sys, numpy, tifffile, pyvips, openslide

def halved(a):
    a = numpy.pad(a, [(0, n % 2) for n in a.shape[:2]] + [(0, 0)] * (a.ndim - 2), mode="edge").astype(numpy.uint32)
    return (a[0::2, 0::2] + a[1::2, 0::2] + a[0::2, 1::2] + a[1::2, 1::2] + 2) >> 2

def same(got, expected, lossy):
    if got.shape != expected.shape:
        return False
    return numpy.abs(got.astype(int) - expected.astype(int)).mean() < 6 if lossy else (got == expected).all()

def check(path, compression, width, height, samples, names):
    rgb, lossy = samples == "rgb", compression == "jpeg"
    shape = (-1, height, width, 3) if rgb else (-1, height, width)
    planes = list(numpy.fromfile(path + ".raw", "u2" if samples == "u2" else "u1").reshape(shape))
    def expect(what, is_so):
        if not is_so:
            print("WRONG", path.rsplit("/")[-1], what)
    with tifffile.TiffFile(path) as tiff:
        levels = tiff.series[0].levels
        expect("ome", tiff.is_ome)
        expect("the last level fits a tile", max(levels[-1].shape[-2:] if not rgb else levels[-1].shape[:2]) <= 256)
        above = planes
        for number, level in enumerate(levels):
            wanted = planes if number == 0 else [halved(plane) for plane in above]
            got = list(level.asarray().reshape((-1,) + wanted[0].shape))
            expect(f"level {number}", len(got) == len(wanted) and all(same(g, w, lossy) for g, w in zip(got, wanted)))
            above = wanted
        pixels = tifffile.xml2dict(tiff.ome_metadata)["OME"]["Image"]["Pixels"]
        channels = pixels["Channel"] if isinstance(pixels["Channel"], list) else [pixels["Channel"]]
        expect("names", [str(channel.get("Name", "")) for channel in channels] == names)
        expect("colours", rgb or [channel["Color"] for channel in channels] == [-16776961 + 65536 * n for n in range(len(names))])
        expect("size of a pixel", (pixels["PhysicalSizeX"], pixels["PhysicalSizeY"]) == (0.325, 0.65))
        resolution = [float(r) for r in tiff.pages[0].get_resolution("MICROMETER")]
        expect("resolution", numpy.allclose(resolution, [1 / 0.325, 1 / 0.65], rtol=1e-4))
    # The libvips that tests install knows no zstd.
    if compression != "zstd":
        image = pyvips.Image.new_from_file(path)
        pages = image.get("n-pages") if image.get_typeof("n-pages") else 1
        expect("pages for libvips", pages == len(planes))
        for page, wanted in enumerate(planes):
            got = pyvips.Image.new_from_file(path, page=page).numpy().reshape(wanted.shape)
            expect(f"page {page} for libvips", same(got, wanted, lossy))
        expect("resolution for libvips", numpy.allclose([image.xres, image.yres], [1000 / 0.325, 1000 / 0.65], rtol=1e-4))
    slide = openslide.OpenSlide(path)
    expect("size for OpenSlide", slide.dimensions == (width, height))
    if samples != "u2":
        got = numpy.asarray(slide.read_region((0, 0), 0, slide.dimensions))[..., :3]
        wanted = planes[0] if rgb else numpy.repeat(planes[0][..., None], 3, axis=2)
        expect("pixels for OpenSlide", same(got, wanted, lossy))

files = [line.split("\t") for line in sys.stdin.read().splitlines()]
for path, compression, width, height, samples, *names in files:
    check(path, compression, int(width), int(height), samples, names)
print("checked", len(files))
"#;

/// An image of slopes and a little noise, different in every channel.
struct Slopes(BandImage);

impl Slopes {
    fn new(size: Size, format: TileFormat, names: &[&str]) -> Self {
        let channels = names
            .iter()
            .enumerate()
            .map(|(n, name)| BandChannel { name: (*name).into(), color: Some([255, n as u8, 0]) });
        Self(BandImage {
            size,
            layout: PixelLayout::of(format),
            channels: channels.collect(),
            z_count: 1,
            t_count: 1,
            um_per_px: Some([0.325, 0.65]),
            objective: Some(20.0),
            tile_side: 256,
        })
    }

    fn sample(component: u32, x: u32, y: u32) -> u32 {
        let wave = |at: u32| (at % 256).abs_diff(128);
        let noise =
            (x.wrapping_mul(0x9e37_79b9) ^ y.wrapping_mul(0x85eb_ca6b) ^ component.wrapping_mul(0xc2b2_ae35)) >> 30;
        wave(x + 2 * y + 12 * component) + wave(3 * x + y) / 2 + noise
    }

    /// The pixels of a rectangle as they lie in memory.
    fn rows(&self, channel: u16, rect: PixelRect) -> Vec<u8> {
        let samples = u32::from(self.0.layout.samples);
        let places = (rect.y..rect.bottom()).flat_map(|y| (rect.x..rect.right()).map(move |x| (x, y)));
        let values = places.flat_map(|(x, y)| (0..samples).map(move |c| Self::sample(c + u32::from(channel), x, y)));
        match self.0.layout.bits {
            8 => values.map(|v| v as u8).collect(),
            // Both bytes are used.
            _ => values.flat_map(|v| ((v * 301) as u16).to_ne_bytes()).collect(),
        }
    }
}

impl BandSource for Slopes {
    fn image(&self) -> &BandImage {
        &self.0
    }

    fn read_band(
        &self,
        plane: BandPlane,
        band: PixelRect,
        pixels: &mut [u8],
        _mask: &mut [u8],
        _cancel: &Cancel,
    ) -> Result<Covered> {
        pixels.copy_from_slice(&self.rows(plane.channel, band));
        Ok(Covered::Whole)
    }
}

#[test]
fn exports_of_every_kind_size_and_compression_are_read_by_tifffile_libvips_and_openslide() {
    let Some(python) = oracles() else { return };
    let folder = tempfile::tempdir().expect("folder");
    let markers = ["DAPI", "CD3 \u{b5}", "Ki-67", "PanCK"];
    let kinds: [(&str, Size, TileFormat, &[&str]); 6] = [
        ("rgb", Size::new(1201, 733), TileFormat::Rgb8, &[""]),
        ("markers", Size::new(811, 633), TileFormat::Gray16, &markers),
        ("gray", Size::new(811, 633), TileFormat::Gray8, &["DAPI"]),
        ("pixel", Size::new(1, 1), TileFormat::Gray8, &["DAPI"]),
        ("line", Size::new(257, 1), TileFormat::Gray8, &["DAPI"]),
        ("strip", Size::new(4097, 511), TileFormat::Gray8, &["DAPI"]),
    ];
    let compressions = [
        ("none", TileCompression::None),
        ("lzw", TileCompression::Lzw),
        ("deflate", TileCompression::Deflate),
        ("zstd", TileCompression::Zstd),
        ("jpeg", TileCompression::Jpeg { quality: 80 }),
    ];
    let pool = work_pool(2).expect("a pool");
    let mut list = String::new();
    for (kind, size, format, names) in kinds {
        let source = Slopes::new(size, format, names);
        let raw: Vec<u8> = (0..names.len() as u16).flat_map(|channel| source.rows(channel, size.rect())).collect();
        for (word, compression) in compressions {
            if word == "jpeg" && format == TileFormat::Gray16 {
                continue;
            }
            let path = folder.path().join(format!("{kind}-{word}.ome.tif"));
            let options = OmeTiffOptions { compression, verify: true, original: Original::default() };
            let written = write_ome_tiff(&source, &options, &path, &pool, &mut |_, _| {}, &Cancel::default());
            assert!(written.expect("written").verified > 0);
            std::fs::write(folder.path().join(format!("{kind}-{word}.ome.tif.raw")), &raw).expect("raw");
            let samples = match format {
                TileFormat::Rgb8 => "rgb",
                TileFormat::Gray16 => "u2",
                TileFormat::Gray8 => "u1",
            };
            let Size { width, height } = size;
            let fields = format!("{}\t{word}\t{width}\t{height}\t{samples}\t{}\n", path.display(), names.join("\t"));
            list.push_str(&fields);
        }
    }
    assert_eq!(answer(&python, CHECK, &[], &list), format!("checked {}\n", list.lines().count()));
}

/// What a script says of what it is given.
fn answer(python: &Path, script: &str, arguments: &[&Path], input: &str) -> String {
    let mut child = Command::new(python)
        .args(["-c", script])
        .args(arguments)
        .env("PYTHONUTF8", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(input.as_bytes()).expect("it listens");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "it ended with {}", output.status);
    String::from_utf8(output.stdout).expect("text")
}

/// Prints the first and the last tile of a file as each reader has them: size, and whether every pixel has one value.
const READ_ENDS: &str = r#"
import sys, numpy, tifffile, pyvips, openslide
path, side = sys.argv[1], 2048
with tifffile.TiffFile(path) as tiff:
    page = tiff.pages[0]
    print("big", tiff.is_bigtiff, "beyond", page.dataoffsets[-1] > 1 << 32, "size", page.imagewidth, page.imagelength)
    for index in (0, len(page.dataoffsets) - 1):
        tiff.filehandle.seek(page.dataoffsets[index])
        tile = page.decode(tiff.filehandle.read(page.databytecounts[index]), index)[0]
        print("tifffile", numpy.unique(tile))
image, slide = pyvips.Image.new_from_file(path), openslide.OpenSlide(path)
for x, y in ((0, 0), (image.width - 100, image.height - 100)):
    print("libvips", numpy.unique(image.crop(x, y, 100, 100).numpy()))
    print("OpenSlide", numpy.unique(numpy.asarray(slide.read_region((x, y), 0, (100, 100)))[..., :3]))
"#;

#[test]
fn a_file_beyond_four_gibibytes_is_read_at_both_ends() {
    let Some(python) = oracles() else { return };
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("big.ome.tif");
    let (size, side) = (Size::new(69_632, 67_584), 2048);
    let layout = PixelLayout::of(TileFormat::Gray8);
    let mut plan = TiffPlan::default();
    let page = TiffPage {
        size,
        tile_side: side,
        layout,
        compression: TileCompression::None,
        um_per_px: None,
        description: None,
    };
    let tiles = page.tiles();
    let id = plan.add_page(page);
    assert!(plan.is_big());
    let mut writer = TiledTiffWriter::create(&path, &plan).expect("create");
    // Empty tiles are holes, which take no room on the disk.
    let empty = vec![0; layout.tile_bytes(side)];
    for (y, x) in (0..tiles.height).flat_map(|y| (0..tiles.width).map(move |x| (y, x))) {
        match (x, y) {
            (0, 0) => writer.write_tile(id, x, y, &vec![7; empty.len()]),
            (x, y) if (x + 1, y + 1) == (tiles.width, tiles.height) => {
                writer.write_tile(id, x, y, &vec![9; empty.len()])
            }
            _ => writer.write_tile(id, x, y, &empty),
        }
        .expect("written");
    }
    writer.finish().expect("finished");
    let said = answer(&python, READ_ENDS, &[&path], "");
    let ends = "libvips [7]\nOpenSlide [7]\nlibvips [9]\nOpenSlide [9]\n";
    assert_eq!(said, format!("big True beyond True size 69632 67584\ntifffile [7]\ntifffile [9]\n{ends}"));
}
