//! What a pixel of a written file is.

use crate::pixels::{PixelType, TileFormat};

/// What a sample means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SampleKind {
    /// A count from zero.
    Unsigned,
    /// Two's complement.
    Signed,
    /// IEEE floating point.
    Float,
}

/// The samples of one pixel, interleaved, in the machine's byte order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PixelLayout {
    /// What each sample means.
    pub kind: SampleKind,
    /// Bits a sample: 8, 16, 32 or 64.
    pub bits: u16,
    /// 1 for grey, 3 for RGB; one more where the last is opacity.
    pub samples: u16,
}

impl PixelLayout {
    /// The layout of stored tiles.
    pub fn of(format: TileFormat) -> Self {
        let (bits, samples) = match format {
            TileFormat::Gray8 => (8, 1),
            TileFormat::Gray16 => (16, 1),
            TileFormat::Rgb8 => (8, 3),
        };
        Self { kind: SampleKind::Unsigned, bits, samples }
    }

    /// The layout of a source's own samples; those of 16-bit RGB lie in three channels.
    pub fn of_source(pixel_type: PixelType) -> Self {
        let (kind, bits) = match pixel_type {
            PixelType::U8 | PixelType::Rgb8 => (SampleKind::Unsigned, 8),
            PixelType::U16 | PixelType::Rgb16 => (SampleKind::Unsigned, 16),
            PixelType::U32 => (SampleKind::Unsigned, 32),
            PixelType::I8 => (SampleKind::Signed, 8),
            PixelType::I16 => (SampleKind::Signed, 16),
            PixelType::I32 => (SampleKind::Signed, 32),
            PixelType::F16 => (SampleKind::Float, 16),
            PixelType::F32 => (SampleKind::Float, 32),
            PixelType::F64 => (SampleKind::Float, 64),
        };
        Self { kind, bits, samples: if pixel_type == PixelType::Rgb8 { 3 } else { 1 } }
    }

    /// Bytes of one pixel.
    pub fn bytes_per_px(self) -> usize {
        usize::from(self.bits / 8) * usize::from(self.samples)
    }

    /// Bytes of a square tile.
    pub fn tile_bytes(self, side: u32) -> usize {
        side as usize * side as usize * self.bytes_per_px()
    }
}
