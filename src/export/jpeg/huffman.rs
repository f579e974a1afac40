//! Numbers as bits: the code tables that the JPEG standard proposes, and the bits in their order.

/// A table as it stands in a file: how many codes there are of each length, and what they stand for.
pub struct Listed {
    pub counts: [u8; 16],
    pub symbols: &'static [u8],
}

const LUMA_MEANS: Listed = Listed {
    counts: [0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0],
    symbols: &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11],
};
const CHROMA_MEANS: Listed = Listed {
    counts: [0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0],
    symbols: &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11],
};
const LUMA_OTHERS: Listed = Listed {
    counts: [0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 0x7d],
    symbols: &[
        0x01, 0x02, 0x03, 0x00, 0x04, 0x11, 0x05, 0x12, 0x21, 0x31, 0x41, 0x06, 0x13, 0x51, 0x61, 0x07, 0x22, 0x71,
        0x14, 0x32, 0x81, 0x91, 0xa1, 0x08, 0x23, 0x42, 0xb1, 0xc1, 0x15, 0x52, 0xd1, 0xf0, 0x24, 0x33, 0x62, 0x72,
        0x82, 0x09, 0x0a, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x25, 0x26, 0x27, 0x28, 0x29, 0x2a, 0x34, 0x35, 0x36, 0x37,
        0x38, 0x39, 0x3a, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4a, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59,
        0x5a, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a, 0x83,
        0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0xa2, 0xa3,
        0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba, 0xc2, 0xc3,
        0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda, 0xe1, 0xe2,
        0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa,
    ],
};
const CHROMA_OTHERS: Listed = Listed {
    counts: [0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 0x77],
    symbols: &[
        0x00, 0x01, 0x02, 0x03, 0x11, 0x04, 0x05, 0x21, 0x31, 0x06, 0x12, 0x41, 0x51, 0x07, 0x61, 0x71, 0x13, 0x22,
        0x32, 0x81, 0x08, 0x14, 0x42, 0x91, 0xa1, 0xb1, 0xc1, 0x09, 0x23, 0x33, 0x52, 0xf0, 0x15, 0x62, 0x72, 0xd1,
        0x0a, 0x16, 0x24, 0x34, 0xe1, 0x25, 0xf1, 0x17, 0x18, 0x19, 0x1a, 0x26, 0x27, 0x28, 0x29, 0x2a, 0x35, 0x36,
        0x37, 0x38, 0x39, 0x3a, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4a, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58,
        0x59, 0x5a, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a,
        0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a,
        0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba,
        0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda,
        0xe2, 0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa,
    ],
};

/// Sixteen empty places, where no number follows within fifteen.
const SIXTEEN_EMPTY: u8 = 0xf0;

/// Nothing more in this block.
const END: u8 = 0;

/// A code and its length.
#[derive(Clone, Copy, Default)]
struct Code {
    bits: u16,
    len: u8,
}

/// The codes of a component.
pub struct Codes {
    means: Listed,
    others: Listed,
    mean_codes: [Code; 256],
    other_codes: [Code; 256],
}

impl Codes {
    pub fn luma() -> Self {
        Self::of(LUMA_MEANS, LUMA_OTHERS)
    }

    pub fn chroma() -> Self {
        Self::of(CHROMA_MEANS, CHROMA_OTHERS)
    }

    fn of(means: Listed, others: Listed) -> Self {
        let (mean_codes, other_codes) = (by_symbol(&means), by_symbol(&others));
        Self { means, others, mean_codes, other_codes }
    }

    /// The table for means.
    pub fn means(&self) -> &Listed {
        &self.means
    }

    /// The table for all other numbers.
    pub fn others(&self) -> &Listed {
        &self.others
    }

    /// Codes how far a mean is from the one before.
    #[inline(always)]
    pub fn code_mean(&self, difference: i32, bits: &mut BitWriter, out: &mut Vec<u8>) {
        let size = size_of(difference);
        bits.put(self.mean_codes[size as usize & 255], difference, size, out);
    }

    /// Codes a number after `empty` places that hold nothing.
    #[inline(always)]
    pub fn code_number(&self, mut empty: u32, number: i32, bits: &mut BitWriter, out: &mut Vec<u8>) {
        while empty > 15 {
            bits.put(self.other_codes[usize::from(SIXTEEN_EMPTY)], 0, 0, out);
            empty -= 16;
        }
        let size = size_of(number);
        bits.put(self.other_codes[(empty << 4 | size) as usize & 255], number, size, out);
    }

    /// Codes that nothing more follows.
    #[inline(always)]
    pub fn code_end(&self, bits: &mut BitWriter, out: &mut Vec<u8>) {
        bits.put(self.other_codes[usize::from(END)], 0, 0, out);
    }
}

/// Bits that a number takes.
#[inline(always)]
fn size_of(number: i32) -> u32 {
    32 - number.unsigned_abs().leading_zeros()
}

/// Codes count upwards, and double where they get longer.
fn by_symbol(listed: &Listed) -> [Code; 256] {
    let mut codes = [Code::default(); 256];
    let mut symbols = listed.symbols.iter();
    let mut bits = 0_u16;
    for (len, &count) in (1..).zip(&listed.counts) {
        for &symbol in symbols.by_ref().take(count.into()) {
            codes[usize::from(symbol)] = Code { bits, len };
            bits += 1;
        }
        bits <<= 1;
    }
    codes
}

/// Bits on their way into bytes.
#[derive(Default)]
pub struct BitWriter {
    /// The last bits, in the lowest places.
    held: u64,
    /// How many.
    count: u32,
}

impl BitWriter {
    /// Adds a code and `size` bits of a number; negative ones are one less, as JPEG has them.
    #[inline(always)]
    fn put(&mut self, code: Code, number: i32, size: u32, out: &mut Vec<u8>) {
        let low = ((number + (number >> 31)) as u32) & ((1 << size) - 1);
        // At most 16 bits of code and 11 of a number.
        let (bits, len) = (u64::from(u32::from(code.bits) << size | low), u32::from(code.len) + size);
        let after = self.count + len;
        if after <= u64::BITS {
            self.held = self.held << len | bits;
            self.count = after;
            return;
        }
        let over = after - u64::BITS;
        push_bytes(self.held << (len - over) | bits >> over, out);
        self.held = bits & ((1 << over) - 1);
        self.count = over;
    }

    /// Writes what is left, filled up with ones.
    pub fn finish(self, out: &mut Vec<u8>) {
        let fill = self.count.wrapping_neg() % 8;
        let held = u128::from(self.held) << fill | ((1 << fill) - 1);
        let bytes = (self.count + fill) / 8;
        for byte in (0..bytes).rev() {
            push_byte((held >> (8 * byte)) as u8, out);
        }
    }
}

/// Eight bytes; one of ones is followed by zero, so that it is no marker.
#[inline(always)]
fn push_bytes(word: u64, out: &mut Vec<u8>) {
    const HIGH: u64 = 0x8080_8080_8080_8080;
    const LOW: u64 = 0x0101_0101_0101_0101;
    // A byte of ones has its highest bit, and loses it when one is added; carries only add false alarms.
    let may_hold_ones = word & HIGH & !word.wrapping_add(LOW) != 0;
    if may_hold_ones {
        word.to_be_bytes().into_iter().for_each(|byte| push_byte(byte, out));
    } else {
        out.extend_from_slice(&word.to_be_bytes());
    }
}

fn push_byte(byte: u8, out: &mut Vec<u8>) {
    out.push(byte);
    if byte == 0xff {
        out.push(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_the_standard() {
        let codes = Codes::luma();
        let code = |symbol: usize| (codes.other_codes[symbol].bits, codes.other_codes[symbol].len);
        // Tables K.3 and K.5: end of block 1010, ZRL 11111111001, run 0 size 1 00.
        assert_eq!((code(0), code(0xf0), code(1)), ((0b1010, 4), (0b111_1111_1001, 11), (0, 2)));
        assert_eq!((codes.mean_codes[0].bits, codes.mean_codes[0].len), (0, 2));
    }

    #[test]
    fn bits_stand_in_their_order_and_ones_are_marked_and_fill_up() {
        let mut out = Vec::new();
        let mut bits = BitWriter::default();
        for n in 0..40_u16 {
            bits.put(Code { bits: n % 8, len: 3 }, 0, 0, &mut out);
        }
        bits.finish(&mut out);
        // 000 001 010 011 100 101 110 111 five times.
        assert_eq!(out, [0x05, 0x39, 0x77].repeat(5));
        let mut out = Vec::new();
        let mut bits = BitWriter::default();
        (0..9).for_each(|_| bits.put(Code { bits: 0xff, len: 8 }, 0, 0, &mut out));
        bits.put(Code { bits: 0, len: 1 }, 0, 0, &mut out);
        bits.finish(&mut out);
        assert_eq!(out, [[0xff, 0].repeat(9), vec![0x7f]].concat());
    }

    #[test]
    fn negative_numbers_are_one_less_in_as_many_bits() {
        let mut out = Vec::new();
        let mut bits = BitWriter::default();
        bits.put(Code { bits: 1, len: 1 }, -5, 3, &mut out);
        bits.put(Code { bits: 0, len: 1 }, 5, 3, &mut out);
        bits.finish(&mut out);
        assert_eq!(out, [0b1010_0101]);
    }
}
