//! LZW, deflate, PackBits and zstd: compressed bytes to plain ones, at once or as a stream.

use super::page::Compression;
use crate::pixels::reverse_bits;
use std::io::{self, BufRead, Read};
use weezl::{BitOrder, LzwStatus, decode::Decoder as Lzw};

/// zstd windows larger than this need more memory than a chunk may take: 2^23 is [`crate::pyramid::MAX_HEAP_CHUNK_BYTES`].
const MAX_ZSTD_WINDOW_LOG: u32 = 23;

/// Decoders that are kept by a thread, for their tables.
#[derive(Default)]
pub struct Decoders {
    lzw: Option<Lzw>,
    deflate: Option<libdeflater::Decompressor>,
    zstd: Option<zstd::bulk::Decompressor<'static>>,
}

/// Decodes `raw` to the front of `out`; fails if that gives less than `needed` bytes. More data than `out` holds is
/// not looked at.
pub fn decode(
    compression: Compression,
    raw: &[u8],
    out: &mut [u8],
    needed: usize,
    decoders: &mut Decoders,
) -> Result<(), String> {
    let quick = match compression {
        Compression::Lzw if !is_old_lzw(raw) => {
            let lzw = decoders.lzw.get_or_insert_with(new_lzw);
            lzw.reset();
            return fill(&mut LzwRead { decoder: lzw, input: raw }, out, needed);
        }
        Compression::Deflate => {
            let deflate = decoders.deflate.get_or_insert_with(libdeflater::Decompressor::new);
            deflate.zlib_decompress(raw, out).ok()
        }
        Compression::Zstd => {
            if decoders.zstd.is_none() {
                let mut zstd = zstd::bulk::Decompressor::new().map_err(|e| e.to_string())?;
                zstd.set_parameter(zstd::zstd_safe::DParameter::WindowLogMax(MAX_ZSTD_WINDOW_LOG))
                    .map_err(|e| e.to_string())?;
                decoders.zstd = Some(zstd);
            }
            decoders.zstd.as_mut().and_then(|zstd| zstd.decompress_to_buffer(raw, out).ok())
        }
        _ => None,
    };
    if quick.is_some_and(|written| written >= needed) {
        return Ok(());
    }
    // The quick decoders refuse data that is longer than it should be, and say nothing of how far they came.
    fill(&mut open(compression, raw)?, out, needed)
}

/// The plain bytes of a compressed stream.
pub fn open<'a, R: BufRead + 'a>(compression: Compression, mut input: R) -> Result<Box<dyn Read + 'a>, String> {
    Ok(match compression {
        Compression::Lzw => {
            let head = input.fill_buf().map_err(|e| e.to_string())?;
            let decoder = if is_old_lzw(head) { Lzw::new(BitOrder::Lsb, 8) } else { new_lzw() };
            Box::new(OwnedLzwRead { decoder, input })
        }
        Compression::Deflate => Box::new(flate2::bufread::ZlibDecoder::new(input)),
        Compression::PackBits => Box::new(PackBitsRead { input, run: Run::None }),
        Compression::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(input).map_err(|e| e.to_string())?;
            decoder.window_log_max(MAX_ZSTD_WINDOW_LOG).map_err(|e| e.to_string())?;
            Box::new(decoder)
        }
        Compression::None | Compression::Jpeg | Compression::WebP => Box::new(input),
    })
}

fn new_lzw() -> Lzw {
    Lzw::with_tiff_size_switch(BitOrder::Msb, 8)
}

/// Before TIFF 6 the codes were written least significant bit first; such data begins with the clear code 256.
fn is_old_lzw(raw: &[u8]) -> bool {
    matches!(raw, [0, second, ..] if second & 1 == 1)
}

fn fill(from: &mut impl Read, out: &mut [u8], needed: usize) -> Result<(), String> {
    let mut done = 0;
    while done < out.len() {
        match from.read(&mut out[done..]) {
            Ok(0) => break,
            Ok(n) => done += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) if done < needed => return Err(format!("the compressed data is damaged: {e}")),
            // What follows the pixels may be anything.
            Err(_) => break,
        }
    }
    if done < needed {
        return Err(format!("the compressed data ends after {done} of {needed} bytes"));
    }
    out[done..].fill(0);
    Ok(())
}

struct LzwRead<'a, R> {
    decoder: &'a mut Lzw,
    input: R,
}

struct OwnedLzwRead<R> {
    decoder: Lzw,
    input: R,
}

impl<R: BufRead> Read for LzwRead<'_, R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        read_lzw(self.decoder, &mut self.input, out)
    }
}

impl<R: BufRead> Read for OwnedLzwRead<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        read_lzw(&mut self.decoder, &mut self.input, out)
    }
}

fn read_lzw(decoder: &mut Lzw, input: &mut impl BufRead, out: &mut [u8]) -> io::Result<usize> {
    loop {
        let ready = input.fill_buf()?;
        let at_end = ready.is_empty();
        let result = decoder.decode_bytes(ready, out);
        input.consume(result.consumed_in);
        if result.consumed_out > 0 || out.is_empty() {
            return Ok(result.consumed_out);
        }
        match result.status {
            Ok(LzwStatus::Done) => return Ok(0),
            Ok(LzwStatus::NoProgress) if at_end || result.consumed_in == 0 => return Ok(0),
            Ok(_) => {}
            Err(e) => return Err(io::Error::new(io::ErrorKind::InvalidData, e.to_string())),
        }
    }
}

/// What PackBits is in the middle of.
enum Run {
    None,
    Literal(usize),
    Repeat(u8, usize),
}

struct PackBitsRead<R> {
    input: R,
    run: Run,
}

impl<R: BufRead> PackBitsRead<R> {
    fn byte(&mut self) -> io::Result<Option<u8>> {
        let byte = self.input.fill_buf()?.first().copied();
        if byte.is_some() {
            self.input.consume(1);
        }
        Ok(byte)
    }
}

impl<R: BufRead> Read for PackBitsRead<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let mut done = 0;
        while done < out.len() {
            match self.run {
                Run::None | Run::Literal(0) | Run::Repeat(_, 0) => {
                    let Some(head) = self.byte()? else { break };
                    self.run = match head as i8 {
                        -128 => Run::None,
                        n @ 0.. => Run::Literal(n as usize + 1),
                        n => match self.byte()? {
                            Some(byte) => Run::Repeat(byte, 1 + usize::from(n.unsigned_abs())),
                            None => break,
                        },
                    };
                }
                Run::Literal(left) => {
                    let ready = self.input.fill_buf()?;
                    if ready.is_empty() {
                        break;
                    }
                    let n = left.min(ready.len()).min(out.len() - done);
                    out[done..done + n].copy_from_slice(&ready[..n]);
                    self.input.consume(n);
                    self.run = Run::Literal(left - n);
                    done += n;
                }
                Run::Repeat(byte, left) => {
                    let n = left.min(out.len() - done);
                    out[done..done + n].fill(byte);
                    self.run = Run::Repeat(byte, left - n);
                    done += n;
                }
            }
        }
        Ok(done)
    }
}

/// A stream whose bytes may have their bits reversed (FillOrder 2).
pub struct BitOrdered<R> {
    inner: R,
    reversed: Option<Vec<u8>>,
    at: usize,
}

impl<R: BufRead> BitOrdered<R> {
    /// `reverse`: whether the bits are reversed.
    pub fn new(inner: R, reverse: bool) -> Self {
        Self { inner, reversed: reverse.then(Vec::new), at: 0 }
    }
}

impl<R: BufRead> BufRead for BitOrdered<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let Some(reversed) = &mut self.reversed else { return self.inner.fill_buf() };
        if self.at == reversed.len() {
            let ready = self.inner.fill_buf()?;
            reversed.clear();
            reversed.extend_from_slice(ready);
            reverse_bits(reversed);
            let taken = reversed.len();
            self.inner.consume(taken);
            self.at = 0;
        }
        Ok(&reversed[self.at..])
    }

    fn consume(&mut self, amount: usize) {
        match &self.reversed {
            Some(_) => self.at += amount,
            None => self.inner.consume(amount),
        }
    }
}

impl<R: BufRead> Read for BitOrdered<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let ready = self.fill_buf()?;
        let n = ready.len().min(buf.len());
        buf[..n].copy_from_slice(&ready[..n]);
        self.consume(n);
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn pixels() -> Vec<u8> {
        (0..40_000u32).map(|i| (i * i / 97) as u8 & 0x3f).collect()
    }

    fn compressed(compression: Compression, plain: &[u8]) -> Vec<u8> {
        match compression {
            Compression::Lzw => {
                weezl::encode::Encoder::with_tiff_size_switch(BitOrder::Msb, 8).encode(plain).expect("encoded")
            }
            Compression::Zstd => zstd::bulk::compress(plain, 3).expect("encoded"),
            Compression::PackBits => {
                plain.chunks(100).flat_map(|c| std::iter::once(c.len() as u8 - 1).chain(c.iter().copied())).collect()
            }
            _ => {
                let mut out = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
                out.write_all(plain).expect("encoded");
                out.finish().expect("encoded")
            }
        }
    }

    const ALL: [Compression; 4] = [Compression::Lzw, Compression::Deflate, Compression::Zstd, Compression::PackBits];

    #[test]
    fn every_compression_gives_the_same_at_once_and_as_a_stream() {
        let plain = pixels();
        let mut decoders = Decoders::default();
        for compression in ALL {
            let raw = compressed(compression, &plain);
            let mut out = vec![0; plain.len()];
            decode(compression, &raw, &mut out, plain.len(), &mut decoders).expect("decoded");
            assert_eq!(out, plain, "{compression:?}");
            let small_reads = io::BufReader::with_capacity(7, raw.as_slice());
            let mut streamed = vec![0; plain.len()];
            open(compression, small_reads).expect("opened").read_exact(&mut streamed).expect("streamed");
            assert_eq!(streamed, plain, "{compression:?}");
        }
    }

    #[test]
    fn data_that_is_longer_than_the_chunk_is_cut_and_shorter_data_is_damage() {
        let plain = pixels();
        let mut decoders = Decoders::default();
        for compression in ALL {
            let raw = compressed(compression, &plain);
            let mut out = vec![0; 1000];
            decode(compression, &raw, &mut out, 1000, &mut decoders).expect("decoded");
            assert_eq!(out, plain[..1000], "{compression:?}");
            let mut all = vec![0; plain.len()];
            let cut = &raw[..raw.len() / 2];
            assert!(decode(compression, cut, &mut all, plain.len(), &mut decoders).is_err(), "{compression:?}");
        }
    }

    #[test]
    fn packbits_repeats_and_ignores_the_empty_code() {
        let mut out = vec![0; 6];
        decode(Compression::PackBits, &[0xfd, 7, 0x80, 1, 8, 9], &mut out, 6, &mut Decoders::default())
            .expect("decoded");
        assert_eq!(out, [7, 7, 7, 7, 8, 9]);
    }
}
