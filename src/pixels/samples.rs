//! From the bytes of a file to the samples of a tile: byte order, bit packing, predictors, picking channels.
//!
//! Rows are handled one at a time, in place where that is possible, and samples end up in the machine's byte order.

use super::{PixelType, TileFormat, ValueCoding};

/// What one sample of a decoded row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SampleType {
    /// Unsigned, 1 to 8 bits.
    U8,
    /// Signed, 8 bits.
    I8,
    /// Unsigned, 9 to 16 bits.
    U16,
    /// Signed, 16 bits.
    I16,
    /// Unsigned, 17 to 32 bits.
    U32,
    /// Signed, 32 bits.
    I32,
    /// Half precision.
    F16,
    /// Single precision.
    F32,
    /// Double precision.
    F64,
}

impl SampleType {
    /// Bytes of one sample.
    pub const fn bytes(self) -> usize {
        match self {
            Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 | Self::F16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::F64 => 8,
        }
    }

    /// The type of a pixel that is one such sample.
    pub const fn pixel_type(self) -> PixelType {
        match self {
            Self::U8 => PixelType::U8,
            Self::I8 => PixelType::I8,
            Self::U16 => PixelType::U16,
            Self::I16 => PixelType::I16,
            Self::U32 => PixelType::U32,
            Self::I32 => PixelType::I32,
            Self::F16 => PixelType::F16,
            Self::F32 => PixelType::F32,
            Self::F64 => PixelType::F64,
        }
    }

    /// How its tiles are stored.
    pub const fn tile_format(self) -> TileFormat {
        match self {
            Self::U8 | Self::I8 => TileFormat::Gray8,
            _ => TileFormat::Gray16,
        }
    }

    /// How a stored sample becomes a value, where that does not depend on the pixels.
    pub const fn exact_coding(self) -> Option<ValueCoding> {
        match self {
            Self::U8 | Self::U16 => Some(ValueCoding::IDENTITY),
            Self::I8 => Some(ValueCoding { scale: 1.0, offset: -128.0, exact: true }),
            Self::I16 => Some(ValueCoding { scale: 1.0, offset: -32768.0, exact: true }),
            _ => None,
        }
    }

    /// The value of the sample at the beginning of `bytes`.
    pub fn value(self, bytes: &[u8]) -> f64 {
        match self {
            Self::U8 => f64::from(bytes[0]),
            Self::I8 => f64::from(bytes[0] as i8),
            Self::U16 => f64::from(u16::from_ne_bytes([bytes[0], bytes[1]])),
            Self::I16 => f64::from(i16::from_ne_bytes([bytes[0], bytes[1]])),
            Self::F16 => half::f16::from_ne_bytes([bytes[0], bytes[1]]).to_f64(),
            Self::U32 => f64::from(u32::from_ne_bytes(first(bytes))),
            Self::I32 => f64::from(i32::from_ne_bytes(first(bytes))),
            Self::F32 => f64::from(f32::from_ne_bytes(first(bytes))),
            Self::F64 => f64::from_ne_bytes(first(bytes)),
        }
    }
}

/// Reverses the bytes of every sample of `size` bytes.
pub fn swap_bytes(row: &mut [u8], size: usize) {
    match size {
        2 => row.chunks_exact_mut(2).for_each(|s| s.swap(0, 1)),
        3 => row.chunks_exact_mut(3).for_each(|s| s.swap(0, 2)),
        4 => row.chunks_exact_mut(4).for_each(|s| s.reverse()),
        8 => row.chunks_exact_mut(8).for_each(|s| s.reverse()),
        _ => {}
    }
}

/// Reverses the bits of every byte (FillOrder 2).
pub fn reverse_bits(bytes: &mut [u8]) {
    bytes.iter_mut().for_each(|b| *b = b.reverse_bits());
}

/// Undoes horizontal differencing of whole samples of `size` bytes, `samples` interleaved.
pub fn undo_differences(row: &mut [u8], samples: usize, size: usize) {
    macro_rules! accumulate {
        ($int:ty) => {{
            const SIZE: usize = size_of::<$int>();
            for at in (samples * SIZE..row.len().saturating_sub(SIZE - 1)).step_by(SIZE) {
                let before = <$int>::from_ne_bytes(first(&row[at - samples * SIZE..]));
                let sum = <$int>::from_ne_bytes(first(&row[at..])).wrapping_add(before);
                row[at..at + SIZE].copy_from_slice(&sum.to_ne_bytes());
            }
        }};
    }
    match (size, samples) {
        // Carrying the sums in registers halves the time of the two commonest layouts.
        (1, 1) => {
            let mut sum = 0u8;
            for byte in row {
                sum = sum.wrapping_add(*byte);
                *byte = sum;
            }
        }
        (1, 3) => {
            let mut sums = [0u8; 3];
            for px in row.chunks_exact_mut(3) {
                for (sum, byte) in sums.iter_mut().zip(px) {
                    *sum = sum.wrapping_add(*byte);
                    *byte = *sum;
                }
            }
        }
        (1, _) => accumulate!(u8),
        (2, _) => accumulate!(u16),
        (4, _) => accumulate!(u32),
        (8, _) => accumulate!(u64),
        _ => {}
    }
}

/// Undoes the floating point predictor: bytes are differenced over the row and sorted by significance, the most
/// significant first. `scratch` is as long as `row`.
pub fn undo_float_predictor(row: &mut [u8], samples: usize, size: usize, scratch: &mut [u8]) {
    for at in samples..row.len() {
        row[at] = row[at].wrapping_add(row[at - samples]);
    }
    let count = row.len() / size;
    for (index, sample) in scratch.chunks_exact_mut(size).enumerate().take(count) {
        for (significance, byte) in sample.iter_mut().enumerate() {
            *byte = row[significance * count + index];
        }
        if cfg!(target_endian = "little") {
            sample.reverse();
        }
    }
    row.copy_from_slice(&scratch[..row.len()]);
}

/// Unpacks `count` unsigned samples of `bits` bits, most significant bit first, into samples of 1, 2 or 4 bytes.
pub fn unpack_bits(packed: &[u8], bits: u32, count: usize, out: &mut [u8]) {
    let size = match bits {
        0..=8 => 1,
        9..=16 => 2,
        _ => 4,
    };
    let mask = if bits >= 32 { u64::from(u32::MAX) } else { (1u64 << bits) - 1 };
    let (mut held, mut held_bits) = (0u64, 0u32);
    let mut bytes = packed.iter();
    for sample in out.chunks_exact_mut(size).take(count) {
        while held_bits < bits {
            held = held << 8 | u64::from(bytes.next().copied().unwrap_or(0));
            held_bits += 8;
        }
        held_bits -= bits;
        let value = held >> held_bits & mask;
        match size {
            1 => sample[0] = value as u8,
            2 => sample.copy_from_slice(&(value as u16).to_ne_bytes()),
            _ => sample.copy_from_slice(&(value as u32).to_ne_bytes()),
        }
    }
}

/// Cuts unpacked samples (see [`unpack_bits`]) to `bits` bits, after sums that went beyond.
pub fn mask_bits(row: &mut [u8], bits: u32) {
    match bits {
        1..=7 => row.iter_mut().for_each(|b| *b &= (1 << bits) - 1),
        9..=15 => row.chunks_exact_mut(2).for_each(|s| {
            let cut = u16::from_ne_bytes([s[0], s[1]]) & ((1 << bits) - 1);
            s.copy_from_slice(&cut.to_ne_bytes());
        }),
        17..=31 => row.chunks_exact_mut(4).for_each(|s| {
            let cut = u32::from_ne_bytes(first(s)) & ((1 << bits) - 1);
            s.copy_from_slice(&cut.to_ne_bytes());
        }),
        _ => {}
    }
}

/// How stored samples are made from the interleaved samples of a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Tap<'a> {
    /// One sample a pixel, stored as it is, with an offset where it is signed, or through a coding.
    Gray {
        /// Which of the interleaved samples.
        sample: usize,
        /// For types wider than 16 bits.
        coding: ValueCoding,
    },
    /// Three neighbouring 8-bit samples a pixel.
    Rgb {
        /// The first of them.
        first: usize,
    },
    /// One 8-bit sample of the three that an RGB tile interleaves: planar files.
    RgbPart {
        /// Which of the interleaved samples.
        sample: usize,
        /// 0 red, 1 green, 2 blue.
        part: usize,
    },
    /// An 8- or 16-bit index into a table of colours.
    Palette {
        /// Which of the interleaved samples.
        sample: usize,
        /// The colours; an index past the end is black.
        colors: &'a [[u8; 3]],
    },
}

/// Writes the pixels of one row: `samples` interleaved samples of `kind` a pixel in `row`, stored samples in `out`.
/// The shorter of the two decides how many pixels there are.
pub fn pick(row: &[u8], samples: usize, kind: SampleType, tap: Tap<'_>, out: &mut [u8]) {
    let size = kind.bytes();
    let px_bytes = samples * size;
    match tap {
        Tap::Gray { sample, coding } => {
            let pixels = row.chunks_exact(px_bytes).map(|px| &px[sample * size..(sample + 1) * size]);
            match kind {
                SampleType::U8 if samples == 1 => copy_front(row, out),
                SampleType::U8 => out.iter_mut().zip(pixels).for_each(|(o, px)| *o = px[0]),
                SampleType::I8 => out.iter_mut().zip(pixels).for_each(|(o, px)| *o = px[0] ^ 0x80),
                SampleType::U16 if samples == 1 => copy_front(row, out),
                SampleType::U16 => out.chunks_exact_mut(2).zip(pixels).for_each(|(o, px)| o.copy_from_slice(px)),
                SampleType::I16 => out.chunks_exact_mut(2).zip(pixels).for_each(|(o, px)| {
                    o.copy_from_slice(&(u16::from_ne_bytes([px[0], px[1]]) ^ 0x8000).to_ne_bytes());
                }),
                _ => out.chunks_exact_mut(2).zip(pixels).for_each(|(o, px)| {
                    // A cast of NaN gives 0, and infinities end at the limits.
                    let stored = coding.stored(kind.value(px)).round().clamp(0.0, 65535.0) as u16;
                    o.copy_from_slice(&stored.to_ne_bytes());
                }),
            }
        }
        Tap::Rgb { .. } if samples == 3 => copy_front(row, out),
        Tap::Rgb { first } => {
            for (o, px) in out.chunks_exact_mut(3).zip(row.chunks_exact(px_bytes)) {
                o.copy_from_slice(&px[first..first + 3]);
            }
        }
        Tap::RgbPart { sample, part } => {
            for (o, px) in out.chunks_exact_mut(3).zip(row.chunks_exact(px_bytes)) {
                o[part] = px[sample];
            }
        }
        Tap::Palette { sample, colors } => {
            for (o, px) in out.chunks_exact_mut(3).zip(row.chunks_exact(px_bytes)) {
                let index = kind.value(&px[sample * size..]) as usize;
                o.copy_from_slice(colors.get(index).unwrap_or(&[0; 3]));
            }
        }
    }
}

fn copy_front(from: &[u8], to: &mut [u8]) {
    let n = from.len().min(to.len());
    to[..n].copy_from_slice(&from[..n]);
}

fn first<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[..N]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_bits_unpack_most_significant_first() {
        let mut out = [0; 3];
        unpack_bits(&[0b1010_0110, 0b1100_0000], 3, 3, &mut out);
        assert_eq!(out, [0b101, 0b001, 0b101]);
        let mut twelve = [0; 4];
        unpack_bits(&[0xab, 0xcd, 0xef], 12, 2, &mut twelve);
        assert_eq!([0xabcu16, 0xdef], [0, 2].map(|i| u16::from_ne_bytes([twelve[i], twelve[i + 1]])));
    }

    #[test]
    fn differences_are_undone_a_sample_at_a_time() {
        let values = [[1000u16, 2], [900, 65535], [7, 40_000]];
        let mut row = Vec::new();
        for (i, px) in values.iter().enumerate() {
            for (s, value) in px.iter().enumerate() {
                let before = if i == 0 { 0 } else { values[i - 1][s] };
                row.extend_from_slice(&value.wrapping_sub(before).to_ne_bytes());
            }
        }
        undo_differences(&mut row, 2, 2);
        let back: Vec<u16> = row.chunks_exact(2).map(|b| u16::from_ne_bytes([b[0], b[1]])).collect();
        assert_eq!(back, values.concat());
        let mut rgb = [10, 20, 30, 1, 255, 2];
        undo_differences(&mut rgb, 3, 1);
        assert_eq!(rgb, [10, 20, 30, 11, 19, 32]);
    }

    #[test]
    fn the_float_predictor_is_undone() {
        let values = [1.5f32, -2.25, 1e20];
        let be: Vec<[u8; 4]> = values.iter().map(|v| v.to_be_bytes()).collect();
        let mut row: Vec<u8> = (0..4).flat_map(|k| be.iter().map(move |b| b[k])).collect();
        for at in (1..row.len()).rev() {
            row[at] = row[at].wrapping_sub(row[at - 1]);
        }
        undo_float_predictor(&mut row, 1, 4, &mut [0; 12]);
        let back: Vec<f32> = row.chunks_exact(4).map(|b| f32::from_ne_bytes(first(b))).collect();
        assert_eq!(back, values);
    }

    #[test]
    fn signed_samples_are_stored_with_an_offset_and_read_back_exactly() {
        for value in [-32768i16, -1, 0, 32767] {
            let mut out = [0; 2];
            let tap = Tap::Gray { sample: 0, coding: ValueCoding::IDENTITY };
            pick(&value.to_ne_bytes(), 1, SampleType::I16, tap, &mut out);
            let coding = SampleType::I16.exact_coding().expect("exact");
            assert_eq!(coding.value(f64::from(u16::from_ne_bytes(out))), f64::from(value));
        }
    }

    #[test]
    fn wide_types_are_clamped_to_the_preview_range() {
        let row: Vec<u8> = [0.0f32, 0.5, 2.0, f32::NAN, -1.0].iter().flat_map(|v| v.to_ne_bytes()).collect();
        let mut out = [0; 10];
        let coding = ValueCoding { scale: 1.0 / 65535.0, offset: 0.0, exact: false };
        pick(&row, 1, SampleType::F32, Tap::Gray { sample: 0, coding }, &mut out);
        let stored: Vec<u16> = out.chunks_exact(2).map(|b| u16::from_ne_bytes([b[0], b[1]])).collect();
        assert_eq!(stored, [0, 32768, 65535, 0, 0]);
    }

    #[test]
    fn planar_parts_and_palettes_fill_rgb_pixels() {
        let mut out = [0; 6];
        for part in 0..3 {
            pick(
                &[10 * part as u8, 10 * part as u8 + 1],
                1,
                SampleType::U8,
                Tap::RgbPart { sample: 0, part },
                &mut out,
            );
        }
        assert_eq!(out, [0, 10, 20, 1, 11, 21]);
        let colors = [[1, 2, 3], [4, 5, 6]];
        pick(&[1, 9], 1, SampleType::U8, Tap::Palette { sample: 0, colors: &colors }, &mut out);
        assert_eq!(out, [4, 5, 6, 0, 0, 0]);
    }
}
