//! From the pixels of one tile to the bytes that stand for it in a TIFF.
//!
//! An encoder is for one thread; many threads encode while one writes.

use super::layout::{PixelLayout, SampleKind};
use crate::error::{Error, Result};
use image::ExtendedColorType;
use image::codecs::jpeg::JpegEncoder;
use std::path::Path;
use tiff::tags::CompressionMethod;

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
    /// Lossy, for 8-bit light-microscope pictures.
    Jpeg {
        /// From 1 to 100.
        quality: u8,
    },
}

impl TileCompression {
    /// TIFF's number for it.
    pub(super) fn method(self) -> CompressionMethod {
        match self {
            Self::None => CompressionMethod::None,
            Self::Lzw => CompressionMethod::LZW,
            Self::Deflate => CompressionMethod::Deflate,
            Self::Zstd => CompressionMethod::ZSTD,
            Self::Jpeg { .. } => CompressionMethod::ModernJPEG,
        }
    }

    /// Whether each sample is written as its difference from the one to its left, which packs pictures tighter.
    pub(super) fn uses_differences(self, layout: PixelLayout) -> bool {
        matches!(self, Self::Lzw | Self::Deflate | Self::Zstd) && layout.kind != SampleKind::Float && layout.bits <= 16
    }
}

/// The speed of deflate, of 0 to 12: above 6 the files hardly get smaller.
const DEFLATE_LEVEL: i32 = 6;

/// The speed of zstd, of 1 to 22: differences of noisy samples gain nothing from more.
const ZSTD_LEVEL: i32 = 3;

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
    Deflate(libdeflater::Compressor),
    Zstd(zstd::bulk::Compressor<'static>),
    Jpeg(u8),
}

impl TileEncoder {
    /// An encoder for whole tiles of `side` by `side` pixels; `path` is where they will go, for messages.
    pub fn new(compression: TileCompression, layout: PixelLayout, side: u32, path: &Path) -> Result<Self> {
        let packer = match compression {
            TileCompression::None => Packer::None,
            TileCompression::Lzw => Packer::Lzw,
            TileCompression::Deflate => {
                let level = libdeflater::CompressionLvl::new(DEFLATE_LEVEL).unwrap_or_default();
                Packer::Deflate(libdeflater::Compressor::new(level))
            }
            TileCompression::Zstd => Packer::Zstd(
                zstd::bulk::Compressor::new(ZSTD_LEVEL).map_err(|e| Error::io("cannot set up zstd", e, path))?,
            ),
            TileCompression::Jpeg { .. } if layout.bits != 8 || layout.samples.is_multiple_of(2) => {
                return Err(Error::unsupported("JPEG holds 8-bit samples only, choose another compression", path));
            }
            TileCompression::Jpeg { quality } => Packer::Jpeg(quality.clamp(1, 100)),
        };
        Ok(Self { layout, side, compression, packer, differences: Vec::new() })
    }

    /// The packed bytes of a tile. `pixels` are whole rows of the whole square, 16-bit samples in the machine's order.
    pub fn encode(&mut self, pixels: &[u8], path: &Path) -> Result<Vec<u8>> {
        debug_assert_eq!(pixels.len(), self.layout.tile_bytes(self.side));
        if matches!(self.packer, Packer::Lzw | Packer::Deflate(_) | Packer::Zstd(_)) {
            self.differences.clear();
            self.differences.extend_from_slice(pixels);
            let row_bytes = self.side as usize * self.layout.bytes_per_px();
            if self.compression.uses_differences(self.layout) {
                self.differences.chunks_exact_mut(row_bytes).for_each(|row| take_differences(row, self.layout));
            }
        }
        match &mut self.packer {
            Packer::None => Ok(pixels.to_vec()),
            Packer::Lzw => weezl::encode::Encoder::with_tiff_size_switch(weezl::BitOrder::Msb, 8)
                .encode(&self.differences)
                .map_err(|e| Error::format(format!("LZW failed: {e}"), path)),
            Packer::Deflate(compressor) => {
                let mut packed = vec![0; compressor.zlib_compress_bound(self.differences.len())];
                let len = compressor
                    .zlib_compress(&self.differences, &mut packed)
                    .map_err(|e| Error::format(format!("deflate failed: {e}"), path))?;
                packed.truncate(len);
                Ok(packed)
            }
            Packer::Zstd(compressor) => {
                compressor.compress(&self.differences).map_err(|e| Error::io("zstd failed", e, path))
            }
            Packer::Jpeg(quality) => {
                let color = if self.layout.samples == 3 { ExtendedColorType::Rgb8 } else { ExtendedColorType::L8 };
                let mut packed = Vec::new();
                JpegEncoder::new_with_quality(&mut packed, *quality)
                    .encode(pixels, self.side, self.side, color)
                    .map_err(|e| Error::format(format!("JPEG failed: {e}"), path))?;
                Ok(packed)
            }
        }
    }
}

/// Replaces every sample of a row but the first pixel's by its difference from the pixel to its left.
fn take_differences(row: &mut [u8], layout: PixelLayout) {
    let samples = usize::from(layout.samples);
    if layout.bits == 8 {
        for at in (samples..row.len()).rev() {
            row[at] = row[at].wrapping_sub(row[at - samples]);
        }
        return;
    }
    let at = |row: &[u8], n: usize| u16::from_ne_bytes([row[2 * n], row[2 * n + 1]]);
    for n in (samples..row.len() / 2).rev() {
        let difference = at(row, n).wrapping_sub(at(row, n - samples));
        row[2 * n..2 * n + 2].copy_from_slice(&difference.to_ne_bytes());
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
