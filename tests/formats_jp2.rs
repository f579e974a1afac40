//! JPEG 2000 pictures: those of the corpus against values that OpenJPEG gave, and ones written on the spot by imagecodecs.
//!
//! Says loudly when the corpus or the reference readers are not there.

mod heap_sink;

use heap_sink::decode_all;
use microtome::formats;
use microtome::pixels::TileFormat;
use microtome::pyramid::{ChannelRole, ImageInfo};
use std::path::{Path, PathBuf};
use std::process::Command;
use xxhash_rust::xxh3::xxh3_64;

/// A decoded picture: samples interleaved as the file has them.
struct Decoded {
    image: ImageInfo,
    interleaved: Vec<u8>,
    sample_bytes: usize,
    samples: usize,
}

/// Opens a picture and decodes all of it; what went wrong, in words.
fn decode(path: &Path) -> std::result::Result<Decoded, String> {
    let opened = formats::open(path).map_err(|e| e.to_string())?;
    assert_eq!(opened.format, "JPEG 2000");
    let image = opened.source.images()[0].clone();
    let planes = decode_all(&opened)?;
    let order: Vec<_> = planes.iter().map(|p| (usize::from(p.plane.channel), p.level)).collect();
    assert!(order.iter().copied().eq((0..image.channels.len()).map(|channel| (channel, 0))), "{order:?}");
    let px_bytes: Vec<usize> = image.channels.iter().map(|c| c.format.bytes_per_px()).collect();
    let mut interleaved = Vec::new();
    for px in 0..image.size.area() as usize {
        for (plane, bytes) in planes.iter().zip(&px_bytes) {
            interleaved.extend_from_slice(&plane.bytes[px * bytes..(px + 1) * bytes]);
        }
    }
    let sample_bytes = if image.channels[0].format == TileFormat::Gray16 { 2 } else { 1 };
    let samples = px_bytes.iter().sum::<usize>() / sample_bytes;
    Ok(Decoded { image, interleaved, sample_bytes, samples })
}

fn corpus() -> Option<PathBuf> {
    let path = std::env::var_os("MICROTOME_CORPUS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus"), PathBuf::from);
    if path.join("jp2").exists() {
        return Some(path);
    }
    println!("SKIPPED: the JPEG 2000 files of the corpus, which is not at {}", path.display());
    None
}

/// Python with the reference readers.
fn oracles() -> Option<PathBuf> {
    let path = std::env::var_os("MICROTOME_ORACLES")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target/oracles/bin/python"), PathBuf::from);
    if path.exists() {
        return Some(path);
    }
    println!("SKIPPED: comparison with imagecodecs, which is not installed (scripts/test installs it)");
    None
}

#[test]
fn lossless_pictures_of_the_corpus_have_the_reference_readers_pixels() {
    let Some(corpus) = corpus() else { return };
    // Name, size, samples and their bytes, XXH3 of the pixels that imagecodecs decodes.
    let expected = [
        ("jp2/test-card-lossless.jp2", (640, 480), 3, 1, 0x0355_7b37_6a12_38a7),
        ("jp2/invalid_header_length.jp2", (640, 480), 3, 1, 0x0355_7b37_6a12_38a7),
        ("jp2/16bit.cropped.jp2", (64, 64), 1, 2, 0x89e8_4fbe_a2ca_fe91),
        ("jp2/comment.jp2", (1, 1), 1, 1, 0xc44b_dff4_074e_ecdb),
        ("ome-tiff/qupath_cells/cells-1.jp2", (185, 261), 3, 1, 0xd26a_ebee_fbe4_94ef),
    ];
    for (name, size, samples, sample_bytes, hash) in expected {
        let picture = decode(&corpus.join(name)).expect(name);
        assert_eq!((picture.image.size.width, picture.image.size.height), size, "{name}");
        assert_eq!((picture.samples, picture.sample_bytes), (samples, sample_bytes), "{name}");
        let found = xxh3_64(&picture.interleaved);
        assert_eq!(found, hash, "{name}: {found:#018x}");
    }
}

#[test]
fn a_lossy_picture_of_the_corpus_has_the_reference_readers_means() {
    let Some(corpus) = corpus() else { return };
    let picture = decode(&corpus.join("jp2/world.jp2")).expect("it opens");
    assert_eq!((picture.image.size.width, picture.image.size.height), (800, 400));
    let px = f64::from(800 * 400);
    for (sample, expected) in [90.0084, 99.3342, 96.7988].into_iter().enumerate() {
        let mean = picture.interleaved.iter().skip(sample).step_by(3).map(|&v| f64::from(v)).sum::<f64>() / px;
        assert!((mean - expected).abs() < 0.1, "sample {sample}: {mean} instead of {expected}");
    }
}

#[test]
fn broken_pictures_of_the_corpus_open_or_say_in_one_line_why_not() {
    let Some(corpus) = corpus() else { return };
    for name in ["00r1_graya_la", "balloon_eciRGBv2_aware", "expected_to_read", "unbound_variable"] {
        match decode(&corpus.join(format!("jp2/{name}.jp2"))) {
            Ok(picture) => println!("{name}: {:?} {}", picture.image.size, picture.image.pixel_type.name()),
            Err(words) => {
                println!("{name}: {words}");
                assert!(!words.is_empty() && !words.contains('\n') && !words.contains("panic"), "{name}: {words}");
            }
        }
    }
}

/// Writes pictures with known pixels (`NAME.jp2` or `.j2k`) and what must come out of each (`NAME.npy`).
const WRITE: &str = r#"
import sys, struct, numpy as np, imagecodecs as ic
out = sys.argv[1]
rng = np.random.default_rng(5)
h, w = 301, 517
y, x = np.mgrid[0:h, 0:w]
smooth = lambda k, full: ((np.sin(x / (23.0 + k)) + np.cos(y / (31.0 - k)) + 2) / 4 * full).astype(np.int64)
noisy = lambda k, full: np.clip(smooth(k, full) + rng.integers(0, max(2, full // 8), (h, w)), 0, full)
stack = lambda n, full, kind: np.stack([noisy(k, full) for k in range(n)], -1).astype(kind)

def box(kind, data):
    return struct.pack(">I4s", len(data) + 8, kind) + data

def jp2(stream, comps, bits, space, extra=b""):
    ihdr = box(b"ihdr", struct.pack(">IIHBBBB", h, w, comps, bits - 1, 7, 0, 0))
    colr = box(b"colr", struct.pack(">BBBI", 1, 0, 0, space))
    return (box(b"jP  ", b"\r\n\x87\n") + box(b"ftyp", b"jp2 \0\0\0\0jp2 ") + box(b"jp2h", ihdr + colr + extra)
            + box(b"jp2c", stream))

def save(name, data, expected):
    open(f"{out}/{name}", "wb").write(data)
    np.save(f"{out}/{name}.npy", expected)

def encode(a, **more):
    return ic.jpeg2k_encode(a, codecformat="j2k", reversible=more.pop("reversible", True), level=more.pop("level", 0), **more)

for name, a in {"gray8": noisy(1, 255).astype(np.uint8), "gray16": noisy(2, 65535).astype(np.uint16),
                "rgb8": stack(3, 255, np.uint8), "rgb16": stack(3, 65535, np.uint16),
                "gray12": noisy(3, 4095).astype(np.uint16)}.items():
    bits = {"gray12": 12}.get(name, a.itemsize * 8)
    comps = 1 if a.ndim == 2 else a.shape[2]
    stream = encode(a, bitspersample=bits)
    save(name + ".j2k", stream, a)
    save(name + ".jp2", jp2(stream, comps, bits, 16 if comps == 3 else 17), a)
a = stack(3, 255, np.uint8)
rgba = stack(4, 255, np.uint8)
cdef = box(b"cdef", struct.pack(">H" + "HHH" * 4, 4, 0, 0, 1, 1, 0, 2, 2, 0, 3, 3, 1, 0))
save("rgba.jp2", jp2(encode(rgba, mct=False), 4, 8, 16, cdef), rgba)
swapped = box(b"cdef", struct.pack(">H" + "HHH" * 3, 3, 0, 0, 3, 1, 0, 2, 2, 0, 1))
save("bgr.jp2", jp2(encode(a[..., ::-1].copy(), mct=False), 3, 8, 16, swapped), a)
graya = rgba[..., :2].copy()
cdef = box(b"cdef", struct.pack(">H" + "HHH" * 2, 2, 0, 0, 1, 1, 1, 0))
save("graya.jp2", jp2(encode(graya, mct=False), 2, 8, 17, cdef), graya)
colors = rng.integers(0, 256, (200, 3)).astype(np.uint8)
index = (noisy(4, 199)).astype(np.uint8)
pclr = box(b"pclr", struct.pack(">HB", 200, 3) + bytes([7, 7, 7]) + colors.tobytes())
cmap = box(b"cmap", b"".join(struct.pack(">HBB", 0, 1, c) for c in range(3)))
save("palette.jp2", jp2(encode(index), 1, 8, 16, pclr + cmap), colors[index])
ycc = stack(3, 255, np.uint8)
Y, cb, cr = [ycc[..., c].astype(float) - (128 if c else 0) for c in range(3)]
rgb = np.stack([Y + 1.402 * cr, Y - 0.344136 * cb - 0.714136 * cr, Y + 1.772 * cb], -1)
save("sycc.jp2", jp2(encode(ycc, mct=False), 3, 8, 18), np.clip(np.floor(rgb + 0.5), 0, 255).astype(np.uint8))
lossy = encode(a, reversible=False, level=38)
save("lossy.j2k", lossy, ic.jpeg2k_decode(lossy))
gray = encode(noisy(5, 65535).astype(np.uint16), reversible=False, level=80)
save("lossy16.j2k", gray, ic.jpeg2k_decode(gray))
"#;

/// Prints for every picture the greatest and the mean difference from the expected pixels.
const COMPARE: &str = r#"
import sys, numpy as np
for raw in sys.argv[1:]:
    expected = np.load(raw[:-4] + ".npy")
    found = np.fromfile(raw, expected.dtype)
    if found.size != expected.size:
        print(raw, "size", found.size, expected.size)
        continue
    off = np.abs(found.astype(int) - expected.ravel().astype(int))
    print(raw.rsplit("/", 1)[1], off.max(), round(float(off.mean()), 4))
"#;

#[test]
fn pictures_of_every_kind_decode_as_they_were_written() {
    let Some(python) = oracles() else { return };
    let dir = tempfile::tempdir().expect("a temporary folder");
    let run = |script: &str, arguments: &[PathBuf]| {
        let output = Command::new(&python).arg("-c").arg(script).args(arguments).output().expect("python runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    };
    run(WRITE, &[dir.path().to_owned()]);
    let mut raw = Vec::new();
    let mut alphas = 0;
    let mut names: Vec<_> = std::fs::read_dir(dir.path()).expect("listed").map(|e| e.expect("entry").path()).collect();
    names.sort();
    for path in names.iter().filter(|p| p.extension().is_none_or(|e| e != "npy")) {
        let picture = decode(path).unwrap_or_else(|words| panic!("{words}"));
        alphas += picture.image.channels.iter().filter(|c| c.role == ChannelRole::Coverage).count();
        let to = PathBuf::from(format!("{}.raw", path.display()));
        std::fs::write(&to, &picture.interleaved).expect("written");
        raw.push(to);
    }
    assert_eq!((raw.len(), alphas), (17, 2));
    for line in run(COMPARE, &raw).lines() {
        println!("{line}");
        let facts: Vec<&str> = line.split_whitespace().collect();
        let (greatest, mean): (u32, f64) = (facts[1].parse().expect("a number"), facts[2].parse().expect("a number"));
        if facts[0].starts_with("lossy") || facts[0].starts_with("sycc") {
            assert!(mean < 1.0, "{line}");
        } else {
            assert_eq!(greatest, 0, "{line}");
        }
    }
}
