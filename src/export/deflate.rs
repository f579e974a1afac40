//! Deflate for noisy samples.
//!
//! What a microscope's camera leaves after differences are taken is noise: hardly a sequence comes twice, so looking for
//! them takes five times as long as all the rest and often makes the file larger.
//! [`Deflater`] packs runs of one byte and gives every other byte a code by how often it comes.
//! Where that leaves little, which means that there is a pattern, it also tries the usual search for repetitions, and keeps
//! what is smaller. (Measured on tissue: 1.2 ns a byte against 6.)

mod codes;

use codes::{Code, codes_of, lengths_of};

/// Bytes that share their codes.
const BLOCK_BYTES: usize = 1 << 16;

/// Above this share of its size a tile is noise: a search finds nothing in it.
const SEARCH_BELOW: f64 = 0.6;

/// The speed of the search, of 0 to 12: above 1 the differences of noisy samples hardly get smaller.
const SEARCH_LEVEL: i32 = 1;

/// Bytes, the end of a block, and the lengths of runs.
const SYMBOLS: usize = 286;
const END: usize = 256;

/// Lengths of runs; a shorter one is cheaper as bytes.
const MIN_RUN: usize = 4;
const MAX_RUN: usize = 258;

/// Codes of deflate take at most so many bits, and those of the list of their lengths so many.
const MAX_CODE_BITS: u8 = 15;
const MAX_LIST_BITS: u8 = 7;

/// Symbols of the list of lengths: lengths themselves, and two for many zeros.
const LIST_SYMBOLS: usize = 19;
const FEW_ZEROS: usize = 17;
const MANY_ZEROS: usize = 18;

/// The order in which the lengths of the list's own codes are written.
const LIST_ORDER: [usize; LIST_SYMBOLS] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/// The zlib header: deflate with a window of 32 KiB.
const ZLIB_HEADER: [u8; 2] = [0x78, 0x01];

/// Packs bytes into zlib streams.
pub struct Deflater {
    search: libdeflater::Compressor,
    searched: Vec<u8>,
    block: BlockPacker,
}

impl Deflater {
    pub fn new() -> Self {
        let level = libdeflater::CompressionLvl::new(SEARCH_LEVEL).unwrap_or_default();
        Self { search: libdeflater::Compressor::new(level), searched: Vec::new(), block: BlockPacker::default() }
    }

    /// Packs `data`; what `packed` held before goes.
    pub fn pack(&mut self, data: &[u8], packed: &mut Vec<u8>) {
        self.pack_without_search(data, packed);
        if (packed.len() as f64) < SEARCH_BELOW * data.len() as f64 {
            self.searched.resize(self.search.zlib_compress_bound(data.len()), 0);
            // A search that fails for want of room has found nothing better.
            if let Ok(len) = self.search.zlib_compress(data, &mut self.searched)
                && len < packed.len()
            {
                packed.clear();
                packed.extend_from_slice(&self.searched[..len]);
            }
        }
    }

    fn pack_without_search(&mut self, data: &[u8], packed: &mut Vec<u8>) {
        let mut checksum = libdeflater::Adler32::new();
        checksum.update(data);
        let mut bits = BitWriter::new(packed, data.len());
        let mut blocks = data.chunks(BLOCK_BYTES).peekable();
        if blocks.peek().is_none() {
            self.block.pack(&[], true, &mut bits);
        }
        while let Some(block) = blocks.next() {
            self.block.pack(block, blocks.peek().is_none(), &mut bits);
        }
        bits.finish();
        packed.extend(checksum.sum().to_be_bytes());
    }
}

/// Packs one block, and keeps its lists for the next.
#[derive(Default)]
struct BlockPacker {
    pieces: Vec<Piece>,
}

/// Bytes that stand for themselves, and the run of the last of them that follows.
#[derive(Clone, Copy)]
struct Piece {
    bytes: usize,
    run: usize,
}

impl BlockPacker {
    fn pack(&mut self, block: &[u8], is_last: bool, bits: &mut BitWriter<'_>) {
        let counts = self.split(block);
        let lengths = lengths_of(&counts, MAX_CODE_BITS);
        let codes = codes_of(&lengths);
        // A dynamic block; runs repeat the byte before, so the first distance, of one bit, is all that comes.
        bits.put(u64::from(is_last), 1);
        bits.put(2, 2);
        push_lengths(&lengths, bits);
        let mut at = 0;
        for &Piece { bytes, run } in &self.pieces {
            let literals = block[at..at + bytes].chunks_exact(3);
            let rest = literals.remainder();
            for three in literals {
                three.iter().for_each(|&byte| bits.put_code(codes[usize::from(byte)]));
                bits.spill();
            }
            rest.iter().for_each(|&byte| bits.put_code(codes[usize::from(byte)]));
            bits.spill();
            if run > 0 {
                let (symbol, extra, extra_bits) = run_symbol(run);
                bits.put_code(codes[symbol]);
                bits.put(extra, extra_bits);
                bits.put(0, 1);
                bits.spill();
            }
            at += bytes + run;
        }
        bits.put_code(codes[END]);
        bits.spill();
    }

    /// Splits a block into pieces and counts its symbols.
    fn split(&mut self, block: &[u8]) -> [u32; SYMBOLS] {
        let mut counts = [0; SYMBOLS];
        // Four tables, so that a byte that comes twice in a row does not wait for itself.
        let mut bytes = [[0_u32; 256]; 4];
        self.pieces.clear();
        let (mut at, mut piece_at) = (0, 0);
        while at < block.len() {
            if let Some(eight) = eight_without_run(block, at) {
                for (n, byte) in eight.into_iter().enumerate() {
                    bytes[n % 4][usize::from(byte)] += 1;
                }
                at += 8;
                continue;
            }
            let run = if at == 0 {
                0
            } else {
                block[at..].iter().take(MAX_RUN).take_while(|&&byte| byte == block[at - 1]).count()
            };
            if run >= MIN_RUN {
                counts[run_symbol(run).0] += 1;
                self.pieces.push(Piece { bytes: at - piece_at, run });
                at += run;
                piece_at = at;
            } else {
                bytes[0][usize::from(block[at])] += 1;
                at += 1;
            }
        }
        self.pieces.push(Piece { bytes: at - piece_at, run: 0 });
        for table in &bytes {
            counts.iter_mut().zip(table).for_each(|(sum, count)| *sum += count);
        }
        counts[END] = 1;
        counts
    }
}

/// The next eight bytes, if no run begins among them.
fn eight_without_run(block: &[u8], at: usize) -> Option<[u8; 8]> {
    const LOW_BITS: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    let before = at.checked_sub(1)?;
    let eight: [u8; 8] = block.get(at..at + 8)?.try_into().ok()?;
    let shifted: [u8; 8] = block.get(before..before + 8)?.try_into().ok()?;
    let differs = u64::from_le_bytes(eight) ^ u64::from_le_bytes(shifted);
    // The highest bit of every byte that repeats the one before it.
    let repeats = !(((differs & LOW_BITS) + LOW_BITS) | differs | LOW_BITS);
    let three_in_a_row = repeats & (repeats >> 8) & (repeats >> 16);
    (three_in_a_row == 0 && repeats >> 56 == 0).then_some(eight)
}

/// The symbol of a run's length, and the bits that tell lengths of one symbol apart.
fn run_symbol(run: usize) -> (usize, u64, u32) {
    const FIRST: usize = 257;
    if run == MAX_RUN {
        return (SYMBOLS - 1, 0, 0);
    }
    let over = (run - 3) as u32;
    if over < 8 {
        return (FIRST + over as usize, 0, 0);
    }
    // Four symbols for every doubling.
    let extra_bits = 29 - over.leading_zeros();
    let symbol = FIRST + 4 * (extra_bits as usize + 1) + (over >> extra_bits & 3) as usize;
    (symbol, u64::from(over & ((1 << extra_bits) - 1)), extra_bits)
}

/// Writes the lengths of all codes, themselves packed.
fn push_lengths(lengths: &[u8; SYMBOLS], bits: &mut BitWriter<'_>) {
    let used = lengths.iter().rposition(|&len| len > 0).map_or(END + 1, |last| last + 1).max(END + 1);
    // Two distances of one bit each, though only one comes: a code that leaves room unused is allowed there, but not every
    // reader knows.
    let mut list: Vec<u8> = lengths[..used].to_vec();
    list.extend([1, 1]);
    let mut entries: Vec<(usize, u64, u32)> = Vec::new();
    let mut at = 0;
    while at < list.len() {
        let zeros = list[at..].iter().take(138).take_while(|&&len| len == 0).count();
        let (entry, taken) = match zeros {
            11.. => ((MANY_ZEROS, (zeros - 11) as u64, 7), zeros),
            3..=10 => ((FEW_ZEROS, (zeros - 3) as u64, 3), zeros),
            _ => ((usize::from(list[at]), 0, 0), 1),
        };
        entries.push(entry);
        at += taken;
    }
    let mut counts = [0; LIST_SYMBOLS];
    entries.iter().for_each(|&(symbol, ..)| counts[symbol] += 1);
    let list_lengths = lengths_of(&counts, MAX_LIST_BITS);
    let codes = codes_of(&list_lengths);
    let kept = LIST_ORDER.iter().rposition(|&symbol| list_lengths[symbol] > 0).map_or(4, |last| last + 1).max(4);
    bits.put((used - 257) as u64, 5);
    bits.put(1, 5);
    bits.put((kept - 4) as u64, 4);
    bits.spill();
    for &symbol in &LIST_ORDER[..kept] {
        bits.put(list_lengths[symbol].into(), 3);
        bits.spill();
    }
    for (symbol, extra, extra_bits) in entries {
        bits.put_code(codes[symbol]);
        bits.put(extra, extra_bits);
        bits.spill();
    }
}

/// Bits on their way into bytes, the first in the lowest place.
struct BitWriter<'a> {
    out: &'a mut Vec<u8>,
    at: usize,
    held: u64,
    count: u32,
}

impl<'a> BitWriter<'a> {
    /// Room for any packing of so many bytes.
    fn new(out: &'a mut Vec<u8>, bytes: usize) -> Self {
        const LISTS_BYTES: usize = 512;
        out.clear();
        out.extend(ZLIB_HEADER);
        let blocks = bytes.div_ceil(BLOCK_BYTES).max(1);
        // No code is longer than two bytes; eight are written at once.
        out.resize(ZLIB_HEADER.len() + 2 * bytes + LISTS_BYTES * blocks + 8, 0);
        Self { out, at: ZLIB_HEADER.len(), held: 0, count: 0 }
    }

    /// At most 56 bits between two calls of [`Self::spill`].
    #[inline]
    fn put(&mut self, bits: u64, count: u32) {
        self.held |= bits << self.count;
        self.count += count;
    }

    #[inline]
    fn put_code(&mut self, code: Code) {
        self.put(code.bits.into(), code.len.into());
    }

    /// Writes whole bytes.
    #[inline]
    fn spill(&mut self) {
        self.out[self.at..self.at + 8].copy_from_slice(&self.held.to_le_bytes());
        let bytes = self.count / 8;
        self.at += bytes as usize;
        // At most seven bytes: fewer than 64 bits are held.
        self.held >>= 8 * bytes;
        self.count %= 8;
    }

    /// Writes what is left and gives back the room that was not used.
    fn finish(mut self) {
        self.count = self.count.next_multiple_of(8);
        self.spill();
        self.out.truncate(self.at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::tile_encoder::TileCompression;

    fn noise(bytes: usize) -> Vec<u8> {
        let mut state = 9_u32;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state
        };
        (0..bytes).map(|_| (next() >> 9) as u8).collect()
    }

    fn unpacked(packed: &[u8], bytes: usize) -> Vec<u8> {
        let mut out = vec![0; bytes];
        let mut decoder = flate2::read::ZlibDecoder::new(packed);
        std::io::Read::read_exact(&mut decoder, &mut out).expect("a zlib stream");
        assert_eq!(std::io::Read::read(&mut decoder, &mut [0]).expect("its end"), 0);
        out
    }

    /// What another reader makes of it.
    fn unpacked_by_libdeflate(packed: &[u8], bytes: usize) -> Vec<u8> {
        let mut out = vec![0; bytes];
        let len = libdeflater::Decompressor::new().zlib_decompress(packed, &mut out).expect("a zlib stream");
        assert_eq!(len, bytes);
        out
    }

    /// Symbols that come as often as the numbers of Fibonacci, mixed so evenly that none runs: no tree of codes is deeper.
    fn fibonacci() -> Vec<u8> {
        // The first of them is the end of the block.
        let mut counts = vec![1, 2];
        while counts.iter().sum::<i64>() + counts[counts.len() - 1] + counts[counts.len() - 2] <= BLOCK_BYTES as i64 {
            counts.push(counts[counts.len() - 1] + counts[counts.len() - 2]);
        }
        let total: i64 = counts.iter().sum();
        let mut left_out = vec![0; counts.len()];
        let next = |_| {
            left_out.iter_mut().zip(&counts).for_each(|(late, count)| *late += count);
            let latest = (0..counts.len()).max_by_key(|&symbol| left_out[symbol]).unwrap_or(0);
            left_out[latest] -= total;
            latest as u8
        };
        (0..total).map(next).collect()
    }

    #[test]
    fn codes_are_cut_to_what_deflate_holds_and_whatever_they_pack_comes_back() {
        let noise = noise(3 * BLOCK_BYTES);
        let fibonacci = fibonacci();
        let mut block = BlockPacker::default();
        let counts = block.split(&fibonacci);
        assert!(counts.iter().filter(|&&count| count > 0).count() > usize::from(MAX_CODE_BITS) + 2, "a deep tree");
        assert_eq!(lengths_of(&counts, MAX_CODE_BITS).iter().max(), Some(&MAX_CODE_BITS));
        let every: Vec<u8> = (0..=255).collect();
        let two: Vec<u8> = noise.iter().map(|byte| byte & 1).collect();
        let equal = vec![9; 2 * BLOCK_BYTES + 1];
        let mut cases: Vec<&[u8]> = vec![&[], &noise[..1], &every, &two, &fibonacci, &noise];
        for bytes in [1, 2, 3, 4, 5, 7, 8, 9, 16, 17, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 2 * BLOCK_BYTES] {
            cases.extend([&equal[..bytes], &noise[..bytes], &two[..bytes]]);
        }
        cases.push(&equal);
        let mut deflater = Deflater::new();
        let mut packed = vec![1; 99];
        for (number, case) in cases.into_iter().enumerate() {
            deflater.pack_without_search(case, &mut packed);
            assert!(unpacked(&packed, case.len()) == case, "case {number} of {} bytes", case.len());
            assert!(unpacked_by_libdeflate(&packed, case.len()) == case, "case {number} of {} bytes", case.len());
            let worst_bytes = TileCompression::Deflate.worst_tile_bytes(case.len() as u64);
            assert!(packed.len() as u64 <= worst_bytes, "case {number}: {} of {}", packed.len(), case.len());
        }
    }

    /// The lengths of the codes of the one block that a stream begins with, read as the format's description has it.
    fn lengths_in(packed: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let mut at = 8 * ZLIB_HEADER.len();
        let mut take = |count: usize| {
            let bits = (at..at + count).map(|bit| usize::from(packed[bit / 8] >> (bit % 8) & 1));
            let value = bits.enumerate().map(|(n, bit)| bit << n).sum::<usize>();
            at += count;
            value
        };
        assert_eq!((take(1), take(2)), (1, 2), "one block, with codes of its own");
        let (literals, distances, kept) = (take(5) + 257, take(5) + 1, take(4) + 4);
        let mut list = [0; LIST_SYMBOLS];
        LIST_ORDER[..kept].iter().for_each(|&symbol| list[symbol] = take(3) as u8);
        let codes = codes_of(&list);
        let mut lengths = Vec::new();
        while lengths.len() < literals + distances {
            let (mut bits, mut len) = (0, 0);
            let symbol = loop {
                bits |= (take(1) as u16) << len;
                len += 1;
                if let Some(symbol) = codes.iter().position(|code| (code.bits, code.len) == (bits, len)) {
                    break symbol;
                }
            };
            match symbol {
                FEW_ZEROS => lengths.extend(vec![0; take(3) + 3]),
                MANY_ZEROS => lengths.extend(vec![0; take(7) + 11]),
                len => lengths.push(len as u8),
            }
        }
        let distances = lengths.split_off(literals);
        (lengths, distances)
    }

    #[test]
    fn codes_leave_no_room_unused_which_some_readers_refuse() {
        let mut packed = Vec::new();
        for case in [&noise(5000)[..], &[7; 5000], &fibonacci()] {
            Deflater::new().pack_without_search(case, &mut packed);
            let (literals, distances) = lengths_in(&packed);
            for lengths in [literals, distances] {
                let room: u32 = lengths.iter().filter(|&&len| len > 0).map(|len| 1 << (MAX_CODE_BITS - len)).sum();
                assert_eq!(room, 1 << MAX_CODE_BITS, "{lengths:?}");
            }
        }
    }

    #[test]
    fn whatever_is_packed_comes_back() {
        let noise = noise(200_000);
        let quiet: Vec<u8> = noise.iter().map(|&byte| byte % 7).collect();
        let runs: Vec<u8> =
            noise.iter().flat_map(|&byte| vec![byte; 1 + usize::from(byte) * 3 % 600]).take(150_000).collect();
        let lopsided: Vec<u8> = (0..28_u32).flat_map(|n| vec![n as u8; 1 << (n / 2)]).collect();
        let cases: [&[u8]; 10] = [
            &[],
            &[5],
            &[0; 3],
            &[0; 70_000],
            &noise,
            &quiet,
            &runs,
            &lopsided,
            &b"tissue tissue tissue".repeat(999),
            &[&noise[..BLOCK_BYTES], &[1; BLOCK_BYTES]].concat(),
        ];
        let mut deflater = Deflater::new();
        let mut packed = Vec::new();
        for (number, case) in cases.into_iter().enumerate() {
            deflater.pack(case, &mut packed);
            assert!(unpacked(&packed, case.len()) == case, "case {number}");
        }
    }

    #[test]
    fn every_length_of_run_comes_back() {
        let mut deflater = Deflater::new();
        let mut packed = Vec::new();
        // Noise between runs keeps the search away.
        let noise = noise(3000);
        for run in 1..=600 {
            let data = [&noise[..], &vec![noise[2999]; run], &noise[..]].concat();
            deflater.pack(&data, &mut packed);
            assert!(unpacked(&packed, data.len()) == data, "{run}");
        }
    }

    #[test]
    fn noise_hardly_grows_and_patterns_are_found() {
        let mut deflater = Deflater::new();
        let mut packed = Vec::new();
        let noise = noise(100_000);
        deflater.pack(&noise, &mut packed);
        assert!(packed.len() < noise.len() + noise.len() / 256 + 1024, "{}", packed.len());
        let pattern = noise[..4096].repeat(25).iter().map(|byte| byte % 8).collect::<Vec<_>>();
        deflater.pack(&pattern, &mut packed);
        assert!(packed.len() < pattern.len() / 20, "{}", packed.len());
    }
}
