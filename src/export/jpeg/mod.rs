//! Baseline JPEG: tiles that share their tables, and pictures that come row by row.
//!
//! An encoder of our own, because tiles of a TIFF need its tables apart, and because it is the only one without C that is
//! as fast as the one everybody uses (measured on stained tissue at quality 80: 1.9 ns a pixel).
//! It works on strips of rows with loops over whole rows, which the compiler turns into vector instructions; `pulp` picks
//! those that the processor has. Sums are taken in the same order whichever it has, so that all give the same bytes.

mod huffman;
mod picture;
mod transform;

pub use picture::{RowSink, write_jpeg};

use huffman::{BitWriter, Codes};
use transform::{Quantised, to_colors, to_gray};

/// JPEG's markers.
const SOI: u8 = 0xd8;
const EOI: u8 = 0xd9;
const SOF0: u8 = 0xc0;
const SOS: u8 = 0xda;
const DQT: u8 = 0xdb;
const DHT: u8 = 0xc4;

/// Both sampling factors of a component that has its full resolution, and of one that has twice that of the others.
const FULL: u8 = 0x11;
const TWICE: u8 = 0x22;

/// What the pixels are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JpegColor {
    /// One byte a pixel.
    Gray,
    /// RGB, its colour kept at full resolution.
    Full,
    /// RGB, its colour halved along both sides.
    Halved,
}

impl JpegColor {
    fn samples(self) -> usize {
        if self == Self::Gray { 1 } else { 3 }
    }

    /// Rows and columns of pixels that are coded together.
    pub fn block_side(self) -> usize {
        if self == Self::Halved { 16 } else { 8 }
    }
}

/// Packs pixels of one kind at one quality.
pub struct JpegEncoder {
    color: JpegColor,
    luma: Quantised,
    chroma: Quantised,
    luma_codes: Codes,
    chroma_codes: Codes,
    planes: Planes,
    arch: pulp::Arch,
}

/// A strip as brightness and colours, kept between calls.
#[derive(Default)]
struct Planes {
    luma: Vec<f32>,
    blue: Vec<f32>,
    red: Vec<f32>,
    halved_blue: Vec<f32>,
    halved_red: Vec<f32>,
}

/// What goes on from one strip to the next.
#[derive(Default)]
struct Scan {
    bits: BitWriter,
    /// The last mean of each component.
    means: [i32; 3],
}

impl JpegEncoder {
    /// An encoder of a quality from 1 to 100.
    pub fn new(quality: u8, color: JpegColor) -> Self {
        Self {
            color,
            luma: Quantised::luma(quality),
            chroma: Quantised::chroma(quality),
            luma_codes: Codes::luma(),
            chroma_codes: Codes::chroma(),
            planes: Planes::default(),
            arch: pulp::Arch::new(),
        }
    }

    /// The tables on their own, as a page of a TIFF holds them for its tiles.
    pub fn tables(&self) -> Vec<u8> {
        let mut out = vec![0xff, SOI];
        self.push_tables(&mut out);
        out.extend([0xff, EOI]);
        out
    }

    /// Packs a square whose side is a multiple of 16, without the tables. `out` is added to.
    pub fn encode_tile(&mut self, pixels: &[u8], side: u32, out: &mut Vec<u8>) {
        out.extend([0xff, SOI]);
        // Sides of tiles are at most 512.
        self.push_headers(side as u16, side as u16, out);
        let mut scan = Scan::default();
        let (width, strip_rows) = (side as usize, self.color.block_side());
        for strip in pixels.chunks_exact(width * self.color.samples() * strip_rows) {
            self.encode_strip(strip, width, &mut scan, out);
        }
        scan.bits.finish(out);
        out.extend([0xff, EOI]);
    }

    fn push_tables(&self, out: &mut Vec<u8>) {
        let sets = [(0, &self.luma, &self.luma_codes), (1, &self.chroma, &self.chroma_codes)];
        let used = if self.color == JpegColor::Gray { 1 } else { 2 };
        for (number, quantised, codes) in &sets[..used] {
            out.extend([0xff, DQT, 0, 67, *number]);
            out.extend(quantised.in_zigzag());
            for (class, listed) in [(0, codes.means()), (0x10, codes.others())] {
                let len = 2 + 1 + listed.counts.len() + listed.symbols.len();
                out.extend([0xff, DHT, 0, len as u8, class | number]);
                out.extend(listed.counts);
                out.extend(listed.symbols);
            }
        }
    }

    fn push_headers(&self, width: u16, height: u16, out: &mut Vec<u8>) {
        let samples = self.color.samples() as u8;
        let ([w1, w0], [h1, h0]) = (width.to_be_bytes(), height.to_be_bytes());
        out.extend([0xff, SOF0, 0, 8 + 3 * samples, 8, h1, h0, w1, w0, samples]);
        for n in 0..samples {
            let factors = if n == 0 && self.color == JpegColor::Halved { TWICE } else { FULL };
            out.extend([n + 1, factors, u8::from(n > 0)]);
        }
        out.extend([0xff, SOS, 0, 6 + 2 * samples, samples]);
        for n in 0..samples {
            out.extend([n + 1, if n == 0 { 0 } else { 0x11 }]);
        }
        out.extend([0, 63, 0]);
    }

    /// Packs as many rows as are coded together; the width is a multiple of as many columns.
    fn encode_strip(&mut self, strip: &[u8], width: usize, scan: &mut Scan, out: &mut Vec<u8>) {
        let arch = self.arch;
        arch.dispatch(Strip { encoder: self, pixels: strip, width, scan, out });
    }
}

/// A strip with all that is needed to pack it: what `pulp` compiles for every kind of processor.
struct Strip<'a> {
    encoder: &'a mut JpegEncoder,
    pixels: &'a [u8],
    width: usize,
    scan: &'a mut Scan,
    out: &'a mut Vec<u8>,
}

impl pulp::WithSimd for Strip<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        let Self { encoder, pixels, width, scan, out } = self;
        let JpegEncoder { color, luma, chroma, luma_codes, chroma_codes, planes, .. } = encoder;
        let area = pixels.len() / color.samples();
        let Planes { luma: y, blue, red, halved_blue, halved_red } = planes;
        y.resize(area, 0.0);
        if *color == JpegColor::Gray {
            to_gray(pixels, y);
            transform::columns(y, width);
            for column in 0..width / 8 {
                luma.block(&y[column * 8..], width).code(luma_codes, &mut scan.means[0], &mut scan.bits, out);
            }
            return;
        }
        blue.resize(area, 0.0);
        red.resize(area, 0.0);
        to_colors(pixels, y, blue, red);
        for rows in y.chunks_exact_mut(8 * width) {
            transform::columns(rows, width);
        }
        let (blue, red, step, places): (_, _, _, &[(usize, usize)]) = if *color == JpegColor::Halved {
            for (full, halved) in [(&*blue, &mut *halved_blue), (&*red, &mut *halved_red)] {
                halved.resize(area / 4, 0.0);
                transform::halve(full, width, halved);
                transform::columns(halved, width / 2);
            }
            (halved_blue, halved_red, 2, &[(0, 0), (0, 8), (8, 0), (8, 8)])
        } else {
            transform::columns(blue, width);
            transform::columns(red, width);
            (blue, red, 1, &[(0, 0)])
        };
        for column in 0..width / (8 * step) {
            for (row, beside) in places {
                let from = row * width + column * 8 * step + beside;
                luma.block(&y[from..], width).code(luma_codes, &mut scan.means[0], &mut scan.bits, out);
            }
            for (plane, mean) in [&*blue, &*red].into_iter().zip(&mut scan.means[1..]) {
                chroma.block(&plane[column * 8..], width / step).code(chroma_codes, mean, &mut scan.bits, out);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tissue-like pixels: smooth with some noise.
    fn pixels(side: u32, samples: u32) -> Vec<u8> {
        let mut state = 1_u32;
        let places = (0..side).flat_map(|y| (0..side).flat_map(move |x| (0..samples).map(move |c| (x, y, c))));
        places
            .map(|(x, y, c)| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let wave = (f64::from(x * (c + 1)) / 19.0).sin() * 50.0 + (f64::from(y) / 13.0).cos() * 40.0;
                (130.0 + wave + f64::from(state >> 24) / 32.0) as u8
            })
            .collect()
    }

    fn decoded(encoder: &JpegEncoder, tile: &[u8]) -> Vec<u8> {
        let mut whole = encoder.tables();
        whole.truncate(whole.len() - 2);
        whole.extend_from_slice(&tile[2..]);
        image::load_from_memory_with_format(&whole, image::ImageFormat::Jpeg).expect("a JPEG").into_bytes()
    }

    /// Decibels of the peak over the noise.
    fn quality_db(a: &[u8], b: &[u8]) -> f64 {
        assert_eq!(a.len(), b.len());
        let squares: f64 = a.iter().zip(b).map(|(a, b)| f64::from(a.abs_diff(*b)).powi(2)).sum();
        10.0 * (255.0 * 255.0 / (squares / a.len() as f64)).log10()
    }

    #[test]
    fn decoders_see_what_was_packed_in_every_colour_and_quality() {
        for (quality, least_db) in [(30, 26.0), (80, 33.0), (95, 38.0), (100, 38.0)] {
            for (color, samples) in [(JpegColor::Gray, 1), (JpegColor::Full, 3), (JpegColor::Halved, 3)] {
                let pixels = pixels(64, samples);
                let mut encoder = JpegEncoder::new(quality, color);
                let mut tile = Vec::new();
                encoder.encode_tile(&pixels, 64, &mut tile);
                let db = quality_db(&decoded(&encoder, &tile), &pixels);
                println!("{color:?} {quality}: {} bytes, {db:.1} dB", tile.len());
                // Noise in colours does not survive their halving.
                let least_db = if color == JpegColor::Halved { f64::min(least_db, 30.0) - 3.0 } else { least_db };
                assert!(db > least_db, "{color:?} {quality}: {db}");
            }
        }
    }

    #[test]
    fn noise_and_hard_edges_that_need_the_longest_codes_survive() {
        let mut state = 7_u32;
        let noise: Vec<u8> = (0..128 * 128)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                if state >> 31 == 0 { 0 } else { 255 }
            })
            .collect();
        let mut encoder = JpegEncoder::new(100, JpegColor::Gray);
        let mut tile = Vec::new();
        encoder.encode_tile(&noise, 128, &mut tile);
        assert!(tile.windows(2).any(|w| w == [0xff, 0]), "a byte of ones is marked as data");
        let back = decoded(&encoder, &tile);
        assert!(back.iter().zip(&noise).all(|(a, b)| a.abs_diff(*b) < 6));
    }

    #[test]
    fn every_kind_of_processor_gives_the_same_bytes() {
        let pixels = pixels(64, 3);
        let mut encoder = JpegEncoder::new(80, JpegColor::Halved);
        let mut best = Vec::new();
        encoder.encode_tile(&pixels, 64, &mut best);
        encoder.arch = pulp::Arch::Scalar;
        let mut plain = Vec::new();
        encoder.encode_tile(&pixels, 64, &mut plain);
        assert!(best == plain);
    }
}
