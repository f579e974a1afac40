//! Files that we write, as tifffile reads them.
//!
//! Needs the reference readers that scripts/test installs; says loudly when they are not there.

use microtome::export::{
    OmeImage, PixelLayout, TiffPage, TiffPlan, TileCompression, TileEncoder, TiledTiffWriter, ome_xml,
};
use microtome::geom::Size;
use microtome::pixels::TileFormat;
use std::path::{Path, PathBuf};
use std::process::Command;

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
    let mut writer = TiledTiffWriter::create(&path, &plan).expect("create");
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
