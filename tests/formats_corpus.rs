//! Every file of the corpus through the formats: sizes and pixels against what tifffile makes of them.
//!
//! `fixtures/corpus_pages.json` holds, for every page, tifffile's size, samples, type and the SHA-1 of its pixels
//! (interleaved, little-endian, palettes as colours except in ImageJ and OME files); for JPEG pages the means of blocks of
//! 32 x 32 pixels. It was made once, with tifffile 2026.3.3 and imagecodecs 2026.3.6.

mod heap_sink;

use heap_sink::{DecodedPlane, decode_all};
use microtome::formats::{self, Opened};
use microtome::pixels::{PixelType, TileFormat, ValueCoding};
use microtome::pyramid::{ImageInfo, LevelOrigin, PlaneId};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

#[derive(serde::Deserialize)]
struct Page {
    size: [u32; 2],
    samples: usize,
    r#type: String,
    sha1: Option<String>,
    means: Option<Vec<Vec<Vec<f64>>>>,
    /// Every so many blocks are kept.
    every: Option<usize>,
}

/// Files that this version refuses on purpose, with a word of the reason.
const NOT_YET: &[(&str, &str)] = &[("wsi/test3-DAPI-2-(387).ndpi", "NDPI")];

/// Pages that are not shown on purpose: masks of GeoTIFF files, and sub-pages that are no levels of their page.
const NOT_SHOWN: &[(&str, usize)] =
    &[("wsi/cog/cog_uint8_rgb_mask.tif", 3), ("tiff-zoo/libtiff/test_ifd_loop_subifd.tif", 3)];

fn corpus() -> Option<PathBuf> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    // A work tree lies one folder deeper than the repository it belongs to.
    let usual = ["../shared/corpus", "../../shared/corpus"].map(|p| repository.join(p));
    let set = std::env::var_os("MICROTOME_CORPUS").map(PathBuf::from);
    let found = set.or_else(|| usual.into_iter().find(|p| p.is_dir()));
    if found.is_none() {
        eprintln!("SKIPPED: no corpus; set MICROTOME_CORPUS or put it at ../shared/corpus");
    }
    found
}

fn files_under(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a corpus folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files_under(&path, into);
        } else {
            into.push(path);
        }
    }
    into.sort();
}

fn reference_pages() -> BTreeMap<String, Vec<Page>> {
    serde_json::from_str(include_str!("fixtures/corpus_pages.json")).expect("the fixture is JSON")
}

/// The pixels of one page as the file has them: interleaved, little-endian, in the file's type. Nothing for previews.
fn page_pixels(info: &ImageInfo, planes: &[&DecodedPlane], coding: ValueCoding) -> Option<Vec<u8>> {
    let area = planes[0].bytes.len() / info.channels[planes[0].plane.channel as usize].format.bytes_per_px();
    let mut out = Vec::new();
    for px in 0..area {
        for plane in planes {
            let bytes = &plane.bytes;
            match info.channels[plane.plane.channel as usize].format {
                TileFormat::Rgb8 => out.extend_from_slice(&bytes[px * 3..px * 3 + 3]),
                TileFormat::Gray8 => out.push((i16::from(bytes[px]) + coding.offset as i16) as u8),
                TileFormat::Gray16 => {
                    let stored = u16::from_ne_bytes([bytes[px * 2], bytes[px * 2 + 1]]);
                    out.extend_from_slice(&((i32::from(stored) + coding.offset as i32) as u16).to_le_bytes());
                }
            }
        }
    }
    coding.exact.then_some(out)
}

/// A page as it is shown: its image, its level, its pixels where they are exact, and its samples a pixel.
type ShownPage = (ImageInfo, u8, Option<Vec<u8>>, usize);

/// Every page that an opened file shows, channel groups put back together.
fn shown_pages(opened: &Opened) -> Result<Vec<ShownPage>, String> {
    let planes = decode_all(opened)?;
    let mut pages = Vec::new();
    for (field, info) in opened.source.images().iter().enumerate() {
        // A page holds the channels that are decoded together, or were in planes of their own.
        let mut by_plane: BTreeMap<(u8, u16, u16), Vec<&DecodedPlane>> = BTreeMap::new();
        for plane in planes.iter().filter(|p| p.plane.field == field as u32) {
            by_plane.entry((plane.level, plane.plane.t, plane.plane.z)).or_default().push(plane);
        }
        for ((level, ..), planes) in by_plane {
            for per_page in 1..=planes.len() {
                if planes.len() % per_page != 0 {
                    continue;
                }
                for group in planes.chunks(per_page) {
                    let coding = opened.source.coding(group[0].plane).map_err(|e| e.to_string())?;
                    let samples = group
                        .iter()
                        .map(|p| if info.channels[p.plane.channel as usize].format == TileFormat::Rgb8 { 3 } else { 1 })
                        .sum();
                    pages.push((info.clone(), level, page_pixels(info, group, coding), samples));
                }
            }
        }
    }
    Ok(pages)
}

fn block_means(pixels: &[u8], width: usize, samples: usize, every: usize) -> Vec<Vec<Vec<f64>>> {
    let height = pixels.len() / width / samples;
    let mean = |x: usize, y: usize, s: usize| {
        let (right, bottom) = ((x + 32).min(width), (y + 32).min(height));
        let sum: u64 = (y..bottom)
            .flat_map(|row| (x..right).map(move |column| (row, column)))
            .map(|(row, column)| u64::from(pixels[(row * width + column) * samples + s]))
            .sum();
        sum as f64 / ((right - x) * (bottom - y)) as f64
    };
    (0..height)
        .step_by(32 * every)
        .map(|y| (0..width).step_by(32 * every).map(|x| (0..samples).map(|s| mean(x, y, s)).collect()).collect())
        .collect()
}

/// The largest difference of two grids of means; nothing where they have different shapes.
fn largest_difference(a: &[Vec<Vec<f64>>], b: &[Vec<Vec<f64>>]) -> Option<f64> {
    let flat = |grid: &[Vec<Vec<f64>>]| grid.iter().flatten().flatten().copied().collect::<Vec<f64>>();
    let (a, b) = (flat(a), flat(b));
    (a.len() == b.len()).then(|| a.iter().zip(&b).map(|(x, y)| (x - y).abs()).fold(0.0, f64::max))
}

/// Whether a page of tifffile's is among those shown.
fn is_shown(page: &Page, shown: &[(ImageInfo, u8, Option<Vec<u8>>, usize)]) -> bool {
    shown.iter().any(|(info, level, pixels, samples)| {
        let size = info.levels[*level as usize].size;
        if [size.width, size.height] != page.size || *samples != page.samples {
            return false;
        }
        let Some(pixels) = pixels else {
            // A preview is compared by size and type alone here; its values are tested with synthetic files.
            return matches!(page.r#type.as_str(), "uint32" | "int32" | "float16" | "float32" | "float64");
        };
        match (&page.sha1, &page.means) {
            (Some(sha1), _) => sha1_smol::Sha1::from(pixels).digest().to_string() == *sha1,
            (_, Some(means)) => {
                let ours = block_means(pixels, size.width as usize, *samples, page.every.unwrap_or(1));
                largest_difference(&ours, means).is_some_and(|d| d < 1.0)
            }
            _ => false,
        }
    })
}

/// Checks every page of the files in some folders; how many pages were compared.
fn check_folders(folders: &[&str]) -> Option<usize> {
    let root = corpus()?;
    let mut checked = 0;
    let mut wrong = Vec::new();
    for (name, pages) in reference_pages() {
        if !folders.iter().any(|f| name.starts_with(f)) || NOT_YET.iter().any(|(n, _)| *n == name) {
            continue;
        }
        let opened = match formats::open(&root.join(&name)) {
            Ok(opened) => opened,
            Err(e) if name.starts_with("tiff-zoo") => {
                assert!(matches!(e, microtome::error::Error::Unsupported { .. }), "{e}");
                continue;
            }
            Err(e) => panic!("{e}"),
        };
        let shown = shown_pages(&opened).unwrap_or_else(|e| panic!("{name}: {e}"));
        let left_out =
            opened.warnings.iter().filter(|w| w.contains("left out")).count() + opened.source.associated().len();
        let missing = pages.iter().filter(|p| !is_shown(p, &shown)).count();
        checked += pages.len() - missing;
        let on_purpose = NOT_SHOWN.iter().find(|(n, _)| *n == name).map_or(0, |(_, pages)| *pages);
        if missing > left_out + on_purpose {
            wrong.push(format!("{name}: {missing} of {} pages differ", pages.len()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    Some(checked)
}

#[test]
fn every_page_of_slides_and_microscope_stacks_has_tifffiles_pixels() {
    if let Some(pages) = check_folders(&["wsi/", "ome-tiff/", "fluor/", "qptiff/"]) {
        assert!(pages > 90, "{pages} pages were compared");
    }
}

#[test]
fn every_readable_page_of_the_zoo_and_of_fields_has_tifffiles_pixels() {
    if let Some(pages) = check_folders(&["tiff-zoo/", "tiles/"]) {
        assert!(pages > 200, "{pages} pages were compared");
    }
}

#[test]
fn refused_formats_say_so_in_one_line() {
    let Some(root) = corpus() else { return };
    for (name, word) in NOT_YET {
        let error = formats::open(&root.join(name)).expect_err(name).to_string();
        assert!(error.contains(word) && !error.contains('\n'), "{error}");
    }
}

#[test]
fn pictures_have_the_pixels_of_the_image_crate() {
    let Some(root) = corpus() else { return };
    for (name, limit) in [("brightfield/ihc.png", 0.0), ("ome-tiff/qupath_cells/cells.jpg", 1.0)] {
        let opened = formats::open(&root.join(name)).expect(name);
        let planes = decode_all(&opened).expect(name);
        let reference = image::open(root.join(name)).expect(name).to_rgb8();
        let sum: u64 = planes[0].bytes.iter().zip(reference.as_raw()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
        assert_eq!(planes[0].bytes.len(), reference.as_raw().len());
        assert!(sum as f64 / reference.as_raw().len() as f64 <= limit, "{name} differs");
    }
}

#[test]
fn the_png_of_the_corpus_has_the_manifests_size_and_type() {
    let Some(root) = corpus() else { return };
    let opened = formats::open(&root.join("brightfield/ihc.png")).expect("a PNG");
    let info = &opened.source.images()[0];
    assert_eq!((info.size.width, info.size.height, info.pixel_type), (512, 512, PixelType::Rgb8));
}

#[test]
fn damaged_files_open_or_are_refused_in_one_line() {
    let Some(root) = corpus() else { return };
    let mut files = Vec::new();
    files_under(&root.join("corrupt"), &mut files);
    files_under(&root.join("tiff-zoo"), &mut files);
    assert!(files.len() > 300);
    let (mut opened_count, mut refused) = (0, 0);
    for path in files {
        match formats::open(&path) {
            Err(error) => {
                let line = error.to_string();
                assert!(!line.contains('\n') && line.len() < 400, "{line}");
                refused += 1;
            }
            Ok(opened) => {
                // Tiles may fail, each with its reason; the unit as a whole must not.
                if let Err(reason) = decode_all(&opened) {
                    assert!(!reason.contains("never came") && !reason.contains('\n'), "{}: {reason}", path.display());
                }
                opened_count += 1;
            }
        }
    }
    assert!(opened_count > 200 && refused > 50, "{opened_count} opened, {refused} refused");
}

#[test]
fn the_channels_levels_and_calibration_of_known_files_are_found() {
    let Some(root) = corpus() else { return };
    let open = |name: &str| formats::open(&root.join(name)).expect(name);
    let native = |opened: &Opened| {
        let levels = &opened.source.images()[0].levels;
        levels.iter().filter(|l| l.origin != LevelOrigin::Derived).count()
    };

    let svs = open("wsi/CMU-1-Small-Region.svs");
    let slide = &svs.source.images()[0];
    assert_eq!((slide.um_per_px, slide.objective, slide.tile_side), (Some([0.499, 0.499]), Some(20.0), 240));
    let names: Vec<&str> = svs.source.associated().iter().map(|a| a.name.as_str()).collect();
    assert_eq!(names, ["thumbnail", "label", "macro"]);
    let label = svs.source.read_associated(1).expect("a label");
    assert_eq!(label.len(), 387 * 463 * 3);

    let sub_ifds = open("ome-tiff/2048x2048_ome6_tiled.ome.tif");
    assert_eq!((native(&sub_ifds), sub_ifds.source.images()[0].channels.len()), (2, 3));
    assert_eq!(sub_ifds.source.images()[0].um_per_px, None);

    assert_eq!(native(&open("wsi/boxes.tiff")), 4);
    assert_eq!(native(&open("wsi/yb10kx5k.zstd.tiff")), 5);
    assert!(open("wsi/boxes.tiff").metadata["Resolution"].contains("ignored"));

    let spots = open("fluor/xyzc_16bit__spots.tif");
    let stack = &spots.source.images()[0];
    assert_eq!((stack.z_count, stack.channels.len()), (17, 2));
    assert_eq!(stack.channels[0].color, Some([0, 255, 0]));
    assert!((stack.um_per_px.expect("calibrated")[0] - 0.0941).abs() < 1e-4);

    let signed = open("ome-tiff/multi-channel-z-series.ome.tif");
    let image = &signed.source.images()[0];
    assert_eq!((image.pixel_type, image.z_count, image.channels.len()), (PixelType::I8, 5, 3));
    let value = signed.source.sample(PlaneId::default(), 200, 80).expect("a value");
    let coding = signed.source.coding(PlaneId::default()).expect("a coding");
    assert!(coding.exact && value.len() == 1);
}

#[test]
fn a_set_of_files_opens_from_any_of_them_and_from_its_description() {
    let Some(root) = corpus() else { return };
    let folder = root.join("ome-tiff/companion");
    let mut seen = Vec::new();
    for name in ["multifile-Z1.ome.tiff", "multifile-Z4.ome.tiff", "multifile.companion.ome"] {
        let opened = formats::open(&folder.join(name)).expect(name);
        assert_eq!(opened.source.images()[0].z_count, 5, "{name}");
        let planes = decode_all(&opened).expect(name);
        seen.push(planes.into_iter().map(|p| p.bytes).collect::<Vec<_>>());
    }
    assert_eq!(seen[0], seen[1]);
    assert_eq!(seen[0], seen[2]);

    let alone = tempfile::tempdir().expect("a temporary folder");
    let copy = alone.path().join("multifile-Z1.ome.tiff");
    std::fs::copy(folder.join("multifile-Z1.ome.tiff"), &copy).expect("copied");
    let opened = formats::open(&copy).expect("opens alone");
    assert!(opened.warnings.iter().any(|w| w.contains("companion")), "{:?}", opened.warnings);
    assert_eq!(decode_all(&opened).expect("decodes")[0].bytes, seen[0][0]);
}
