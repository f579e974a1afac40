//! From the pixels of one tile to the bytes that stand for it in a TIFF.
//!
//! An encoder is for one thread; many threads encode while one writes.

use super::deflate::Deflater;
use super::jpeg::{JpegColor, JpegEncoder};
use super::layout::{PixelLayout, SampleKind};
use crate::error::{Error, Result};
use std::path::Path;

/// How tiles are packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TileCompression {
    /// As they are.
    None,
    /// Lossless; slow, and read by everything.
    Lzw,
    /// Lossless; read by nearly everything.
    Deflate,
    /// Lossless; fast, and read by newer programs.
    Zstd,
    /// Lossy, for 8-bit pictures.
    Jpeg {
        /// From 1 to 100.
        quality: u8,
    },
}

impl TileCompression {
    /// TIFF's number for it.
    pub(super) fn method(self) -> u16 {
        match self {
            Self::None => 1,
            Self::Lzw => 5,
            Self::Deflate => 8,
            Self::Zstd => 50_000,
            Self::Jpeg { .. } => 7,
        }
    }

    /// Whether each sample is written as its difference from the one to its left, which packs pictures tighter.
    pub(super) fn uses_differences(self, layout: PixelLayout) -> bool {
        matches!(self, Self::Lzw | Self::Deflate | Self::Zstd) && layout.kind != SampleKind::Float && layout.bits <= 16
    }

    /// Pixels a sample of colour stands for along each side: JPEG's colour is halved where the quality is not the best.
    pub(super) fn chroma_step(self) -> u16 {
        if matches!(self, Self::Jpeg { quality } if quality < FULL_COLOR_QUALITY) { 2 } else { 1 }
    }

    /// The most bytes that a tile of so many may become.
    pub(super) fn worst_tile_bytes(self, tile: u64) -> u64 {
        const BESIDE_BYTES: u64 = 1024;
        match self {
            Self::None => tile,
            // Codes of at most 12 bits stand for at least one byte each.
            Self::Lzw => tile + tile / 2 + tile / 64 + BESIDE_BYTES,
            Self::Deflate | Self::Zstd => tile + tile / 256 + BESIDE_BYTES,
            // Noise at the best quality.
            Self::Jpeg { .. } => 2 * tile + BESIDE_BYTES,
        }
    }
}

/// From this JPEG quality on colour keeps its full resolution, as in other programs.
const FULL_COLOR_QUALITY: u8 = 90;

/// The speed of zstd, of 1 to 22: above 1 the differences of noisy samples hardly get smaller.
const ZSTD_LEVEL: i32 = 1;

/// Packs tiles of one layout.
pub struct TileEncoder {
    layout: PixelLayout,
    side: u32,
    compression: TileCompression,
    packer: Packer,
    /// The tile as differences: one tile's bytes, kept between calls.
    differences: Vec<u8>,
}

enum Packer {
    None,
    Lzw,
    Deflate(Box<Deflater>),
    Zstd(zstd::bulk::Compressor<'static>),
    Jpeg(Box<JpegEncoder>),
}

impl TileEncoder {
    /// An encoder for whole tiles of `side` by `side` pixels; `path` is where they will go, for messages.
    pub fn new(compression: TileCompression, layout: PixelLayout, side: u32, path: &Path) -> Result<Self> {
        let packer = match compression {
            TileCompression::None => Packer::None,
            TileCompression::Lzw => Packer::Lzw,
            TileCompression::Deflate => Packer::Deflate(Box::new(Deflater::new())),
            TileCompression::Zstd => Packer::Zstd(
                zstd::bulk::Compressor::new(ZSTD_LEVEL).map_err(|e| Error::io("cannot set up zstd", e, path))?,
            ),
            TileCompression::Jpeg { .. } if layout.bits != 8 || layout.samples.is_multiple_of(2) => {
                return Err(Error::unsupported("JPEG holds 8-bit samples only, choose another compression", path));
            }
            TileCompression::Jpeg { quality } => {
                let color = match (layout.samples, compression.chroma_step()) {
                    (1, _) => JpegColor::Gray,
                    (_, 1) => JpegColor::Full,
                    _ => JpegColor::Halved,
                };
                Packer::Jpeg(Box::new(JpegEncoder::new(quality, color)))
            }
        };
        Ok(Self { layout, side, compression, packer, differences: Vec::new() })
    }

    /// The packed bytes of a tile. `pixels` are whole rows of the whole square, 16-bit samples in the machine's order.
    ///
    /// JPEG tiles lack their tables, which lie in the page: see `jpeg_tables`.
    pub fn encode(&mut self, pixels: &[u8], path: &Path) -> Result<Vec<u8>> {
        let mut packed = Vec::new();
        self.encode_into(pixels, &mut packed, path)?;
        Ok(packed)
    }

    /// The same into a buffer whose old content goes.
    pub(super) fn encode_into(&mut self, pixels: &[u8], packed: &mut Vec<u8>, path: &Path) -> Result<()> {
        debug_assert_eq!(pixels.len(), self.layout.tile_bytes(self.side));
        packed.clear();
        let samples = if self.compression.uses_differences(self.layout) {
            let row_bytes = self.side as usize * self.layout.bytes_per_px();
            self.differences.resize(pixels.len(), 0);
            let rows = self.differences.chunks_exact_mut(row_bytes).zip(pixels.chunks_exact(row_bytes));
            rows.for_each(|(to, from)| take_differences(from, to, self.layout));
            &self.differences
        } else {
            pixels
        };
        match &mut self.packer {
            Packer::None => packed.extend_from_slice(pixels),
            Packer::Lzw => {
                let mut encoder = weezl::encode::Encoder::with_tiff_size_switch(weezl::BitOrder::Msb, 8);
                encoder
                    .into_vec(packed)
                    .encode_all(samples)
                    .status
                    .map_err(|e| Error::format(format!("LZW failed: {e}"), path))?;
            }
            Packer::Deflate(deflater) => deflater.pack(samples, packed),
            Packer::Zstd(compressor) => {
                packed.resize(zstd::zstd_safe::compress_bound(samples.len()), 0);
                let len = compressor
                    .compress_to_buffer(samples, packed.as_mut_slice())
                    .map_err(|e| Error::io("zstd failed", e, path))?;
                packed.truncate(len);
            }
            Packer::Jpeg(encoder) => encoder.encode_tile(pixels, self.side, packed),
        }
        Ok(())
    }

    /// The tables that the JPEG tiles of a page share, as they stand in the page; `None` for other compressions.
    pub(super) fn jpeg_tables(
        compression: TileCompression,
        layout: PixelLayout,
        side: u32,
        path: &Path,
    ) -> Result<Option<Vec<u8>>> {
        Ok(match Self::new(compression, layout, side, path)?.packer {
            Packer::Jpeg(encoder) => Some(encoder.tables()),
            _ => None,
        })
    }
}

/// Writes every sample of a row but the first pixel's as its difference from the pixel to its left.
fn take_differences(from: &[u8], to: &mut [u8], layout: PixelLayout) {
    let samples = usize::from(layout.samples);
    if layout.bits == 8 {
        let first = samples.min(from.len());
        to[..first].copy_from_slice(&from[..first]);
        for ((out, &sample), &left) in to[first..].iter_mut().zip(&from[first..]).zip(from) {
            *out = sample.wrapping_sub(left);
        }
        return;
    }
    let first = (2 * samples).min(from.len());
    to[..first].copy_from_slice(&from[..first]);
    let value = |bytes: &[u8]| u16::from_ne_bytes([bytes[0], bytes[1]]);
    let pairs = from[first..].chunks_exact(2).zip(from.chunks_exact(2));
    for (out, (sample, left)) in to[first..].chunks_exact_mut(2).zip(pairs) {
        out.copy_from_slice(&value(sample).wrapping_sub(value(left)).to_ne_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pixels::TileFormat;

    /// The samples that packed differences stand for.
    fn unpacked(packed: &[u8], compression: TileCompression, format: TileFormat, side: u32) -> Vec<u8> {
        let bytes = format.tile_bytes(side);
        let mut pixels = match compression {
            TileCompression::Lzw => {
                weezl::decode::Decoder::with_tiff_size_switch(weezl::BitOrder::Msb, 8).decode(packed).expect("LZW")
            }
            TileCompression::Deflate => {
                let mut out = vec![0; bytes];
                libdeflater::Decompressor::new().zlib_decompress(packed, &mut out).expect("deflate");
                out
            }
            TileCompression::Zstd => zstd::bulk::decompress(packed, bytes).expect("zstd"),
            _ => return packed.to_vec(),
        };
        for row in pixels.chunks_exact_mut(side as usize * format.bytes_per_px()) {
            match format {
                TileFormat::Gray16 => {
                    let mut left = 0_u16;
                    for sample in row.chunks_exact_mut(2) {
                        left = left.wrapping_add(u16::from_ne_bytes([sample[0], sample[1]]));
                        sample.copy_from_slice(&left.to_ne_bytes());
                    }
                }
                _ => {
                    let step = format.bytes_per_px();
                    (step..row.len()).for_each(|at| row[at] = row[at].wrapping_add(row[at - step]));
                }
            }
        }
        pixels
    }

    #[test]
    fn every_lossless_compression_gives_the_same_samples_back() {
        for compression in
            [TileCompression::None, TileCompression::Lzw, TileCompression::Deflate, TileCompression::Zstd]
        {
            for format in [TileFormat::Gray8, TileFormat::Gray16, TileFormat::Rgb8] {
                let pixels: Vec<u8> = (0..format.tile_bytes(32)).map(|i| (i * i / 7 % 251) as u8).collect();
                let mut encoder =
                    TileEncoder::new(compression, PixelLayout::of(format), 32, Path::new("a.tif")).expect("encoder");
                // Twice, because an encoder keeps its buffers.
                for _ in 0..2 {
                    let packed = encoder.encode(&pixels, Path::new("a.tif")).expect("packed");
                    assert_eq!(unpacked(&packed, compression, format, 32), pixels, "{compression:?} {format:?}");
                }
            }
        }
    }

    #[test]
    fn a_smooth_tile_gets_smaller() {
        let pixels: Vec<u8> = (0..64_u16 * 64).flat_map(|i| (i * 3).to_ne_bytes()).collect();
        for compression in [TileCompression::Lzw, TileCompression::Deflate, TileCompression::Zstd] {
            let mut encoder =
                TileEncoder::new(compression, PixelLayout::of(TileFormat::Gray16), 64, Path::new("a.tif"))
                    .expect("encoder");
            let packed = encoder.encode(&pixels, Path::new("a.tif")).expect("packed");
            assert!(packed.len() < pixels.len() / 8, "{compression:?}: {}", packed.len());
        }
    }

    #[test]
    fn sixteen_bit_jpeg_is_refused() {
        let made = TileEncoder::new(
            TileCompression::Jpeg { quality: 80 },
            PixelLayout::of(TileFormat::Gray16),
            16,
            Path::new("a.tif"),
        );
        assert!(matches!(made, Err(Error::Unsupported { .. })));
    }
}
