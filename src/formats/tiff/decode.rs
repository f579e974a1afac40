//! Decoding one chunk of a TIFF file into blocks of rows.
//!
//! A chunk is decoded at once while it and its compressed bytes fit [`MAX_HEAP_CHUNK_BYTES`]; a larger one is streamed
//! in bands of rows.

use super::entropy;
use super::jpeg;
use super::page::{Compression, PageLayout, Predictor};
use crate::error::Error;
use crate::formats::blocks::{BAND_BYTES, Block, BlockTarget};
use crate::formats::source_file::{FileSet, RegionReader};
use crate::geom::PixelRect;
use crate::pixels::{mask_bits, reverse_bits, swap_bytes, undo_differences, undo_float_predictor, unpack_bits};
use crate::pyramid::MAX_HEAP_CHUNK_BYTES;
use std::cell::Cell;
use std::io::{self, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Compressed bytes of one chunk may exceed its pixels by this factor before it is taken for damage; entropy coders
/// add a few parts in a thousand, LZW up to a half.
const MAX_EXPANSION: u64 = 3;

/// Why the pixels of a chunk are not there.
#[derive(Debug)]
pub enum ChunkError {
    /// This chunk alone is unreadable.
    Damaged(String),
    /// The rows of a chunk from this one on, counted in the level, are unreadable; those before were handed over.
    Cut(u32, String),
    /// Nothing can go on: the sink failed, or the user cancelled.
    Stop(Error),
}

impl From<Error> for ChunkError {
    fn from(error: Error) -> Self {
        Self::Stop(error)
    }
}

/// One chunk of a page.
#[derive(Clone, Copy)]
pub struct Chunk<'a> {
    /// The source's files.
    pub files: &'a FileSet,
    /// The file that holds it.
    pub file: u32,
    /// The page.
    pub layout: &'a PageLayout,
    /// Its pixels within the page.
    pub rect: PixelRect,
    /// Which of the page's samples its first one is: 0 unless the page is planar.
    pub first_sample: usize,
    /// File position.
    pub offset: u64,
    /// Bytes in the file; 0 for a chunk that was never written and is all zero.
    pub len: u64,
}

/// Memory that a thread keeps for its next chunk: compressed bytes, packed rows, whole samples.
/// Each is bounded by [`MAX_HEAP_CHUNK_BYTES`].
#[derive(Default)]
pub struct Buffers {
    /// Bytes as they are in the file.
    pub raw: Vec<u8>,
    packed: Vec<u8>,
    whole: Vec<u8>,
    scratch: Vec<u8>,
    decoders: entropy::Decoders,
}

thread_local! {
    static BUFFERS: Cell<Option<Box<Buffers>>> = const { Cell::new(None) };
}

/// Lends this thread's buffers; a nested call gets fresh ones.
fn with_buffers<R>(then: impl FnOnce(&mut Buffers) -> R) -> R {
    let mut buffers = BUFFERS.take().unwrap_or_default();
    let result = then(&mut buffers);
    BUFFERS.set(Some(buffers));
    result
}

/// Runs a decoder that was written by others; its panic is damage, not the end of the program.
pub fn contained<T>(decode: impl FnOnce() -> Result<T, String>) -> Result<T, ChunkError> {
    match catch_unwind(AssertUnwindSafe(decode)) {
        Ok(result) => result.map_err(ChunkError::Damaged),
        Err(_) => Err(ChunkError::Damaged("the decoder gave up on damaged data".into())),
    }
}

/// Decodes the rows of a chunk that `wanted` touches, and possibly more of it.
pub fn decode_chunk(chunk: &Chunk<'_>, wanted: PixelRect, target: &mut dyn BlockTarget) -> Result<(), ChunkError> {
    let rows = chunk.rect.intersect(wanted);
    if rows.is_empty() {
        return Ok(());
    }
    with_buffers(|buffers| {
        if chunk.len == 0 {
            return put_zeros(chunk, rows, target, buffers);
        }
        match chunk.layout.compression {
            Compression::None => read_rows(chunk, rows, target, buffers),
            Compression::Jpeg => jpeg::decode(chunk, target, &mut buffers.raw, &mut buffers.packed),
            Compression::WebP => decode_webp(chunk, target, buffers),
            _ if pixel_bytes(chunk) + chunk.len > MAX_HEAP_CHUNK_BYTES => stream(chunk, rows, target, buffers),
            _ => decode_whole(chunk, target, buffers),
        }
    })
}

/// Reads the compressed bytes of a chunk after `before` bytes that are left free.
pub fn read_compressed(chunk: &Chunk<'_>, raw: &mut Vec<u8>, before: usize) -> Result<(), ChunkError> {
    raw.resize(before + chunk.len as usize, 0);
    read_exact(chunk, chunk.offset, &mut raw[before..])?;
    if chunk.layout.reversed_bits {
        reverse_bits(&mut raw[before..]);
    }
    Ok(())
}

/// Bytes of a whole chunk, as it is packed in the file.
fn pixel_bytes(chunk: &Chunk<'_>) -> u64 {
    chunk.layout.packed_row_bytes() as u64 * u64::from(chunk.layout.chunk.height)
}

fn read_exact(chunk: &Chunk<'_>, at: u64, buf: &mut [u8]) -> Result<(), ChunkError> {
    chunk.files.read_exact_at(chunk.file, at, buf).map_err(|e| {
        ChunkError::Damaged(match e.kind() {
            io::ErrorKind::UnexpectedEof => "the file ends before these pixels".into(),
            _ => format!("cannot read: {e}"),
        })
    })
}

fn put_zeros(
    chunk: &Chunk<'_>,
    rows: PixelRect,
    target: &mut dyn BlockTarget,
    buffers: &mut Buffers,
) -> Result<(), ChunkError> {
    let row_bytes = chunk.layout.row_bytes();
    let band_rows = (BAND_BYTES / row_bytes.max(1)).max(1) as u32;
    buffers.whole.clear();
    buffers.whole.resize(row_bytes * band_rows.min(rows.height) as usize, 0);
    for y in (rows.y..rows.bottom()).step_by(band_rows as usize) {
        let height = band_rows.min(rows.bottom() - y);
        put(chunk, y, height, &buffers.whole, row_bytes, target)?;
    }
    Ok(())
}

/// Uncompressed rows: straight into a tile where one lies exactly under the chunk, else in bands.
fn read_rows(
    chunk: &Chunk<'_>,
    rows: PixelRect,
    target: &mut dyn BlockTarget,
    buffers: &mut Buffers,
) -> Result<(), ChunkError> {
    let layout = chunk.layout;
    let row_bytes = layout.packed_row_bytes();
    let needed = u64::from(chunk.rect.height) * row_bytes as u64;
    // Files over 4 GiB of old writers have their byte counts cut to 32 bits; there the single count says nothing.
    if chunk.len < needed && layout.chunk_count() > 1 {
        return Err(ChunkError::Damaged(format!("{} of {needed} bytes of these pixels are there", chunk.len)));
    }
    if is_plain(layout)
        && rows == chunk.rect
        && let Some(memory) = target.direct(chunk.rect, layout.chunk_samples(), layout.sample)?
    {
        let memory = memory.get_mut(..needed as usize).ok_or_else(|| too_small(chunk))?;
        read_exact(chunk, chunk.offset, memory)?;
        if swaps(layout) {
            swap_bytes(memory, layout.sample.bytes());
        }
        return Ok(());
    }
    // Of a file that was cut off, the rows before the cut are as good as ever.
    let in_file = chunk.files.len(chunk.file).saturating_sub(chunk.offset) / row_bytes.max(1) as u64;
    let end = chunk.rect.y.saturating_add(in_file.min(u64::from(u32::MAX)) as u32).min(rows.bottom());
    let band_rows = (BAND_BYTES / row_bytes.max(1)).max(1) as u32;
    for y in (rows.y..end).step_by(band_rows as usize) {
        let height = band_rows.min(end - y);
        buffers.packed.resize(row_bytes * height as usize, 0);
        let at = u64::from(y - chunk.rect.y) * row_bytes as u64;
        read_exact(chunk, chunk.offset.saturating_add(at), &mut buffers.packed)?;
        if layout.reversed_bits {
            reverse_bits(&mut buffers.packed);
        }
        finish_and_put(chunk, y, height, target, buffers)?;
    }
    match end < rows.bottom() {
        true => Err(ChunkError::Cut(end.max(rows.y), "the file ends before these pixels".into())),
        false => Ok(()),
    }
}

/// Decodes a chunk in one go.
fn decode_whole(chunk: &Chunk<'_>, target: &mut dyn BlockTarget, buffers: &mut Buffers) -> Result<(), ChunkError> {
    let layout = chunk.layout;
    let all = pixel_bytes(chunk);
    if chunk.len > all.saturating_mul(MAX_EXPANSION).saturating_add(4096) {
        return Err(ChunkError::Damaged(format!("{} bytes are too many for these pixels", chunk.len)));
    }
    let needed = layout.packed_row_bytes() * chunk.rect.height as usize;
    read_compressed(chunk, &mut buffers.raw, 0)?;
    let whole_chunk = chunk.rect.size() == layout.chunk;
    if layout.is_whole_bytes()
        && layout.predictor != Predictor::Float
        && whole_chunk
        && let Some(memory) = target.direct(chunk.rect, layout.chunk_samples(), layout.sample)?
    {
        let memory = memory.get_mut(..needed).ok_or_else(|| too_small(chunk))?;
        let Buffers { raw, decoders, .. } = buffers;
        contained(|| entropy::decode(layout.compression, raw, memory, needed, decoders))?;
        memory.chunks_exact_mut(layout.packed_row_bytes()).for_each(|row| finish_row(layout, row, &mut []));
        return Ok(());
    }
    buffers.packed.resize(all as usize, 0);
    let Buffers { raw, packed, decoders, .. } = buffers;
    contained(|| entropy::decode(layout.compression, raw, packed, needed, decoders))?;
    finish_and_put(chunk, chunk.rect.y, chunk.rect.height, target, buffers)
}

/// Decodes a chunk that does not fit the heap, a band of rows at a time, and stops after the last row that is wanted.
fn stream(
    chunk: &Chunk<'_>,
    rows: PixelRect,
    target: &mut dyn BlockTarget,
    buffers: &mut Buffers,
) -> Result<(), ChunkError> {
    let layout = chunk.layout;
    let region = RegionReader::new(chunk.files, chunk.file, &[], chunk.offset, chunk.len);
    let region = entropy::BitOrdered::new(region, layout.reversed_bits);
    let mut pixels = entropy::open(layout.compression, region).map_err(ChunkError::Damaged)?;
    let row_bytes = layout.packed_row_bytes();
    let band_rows = (BAND_BYTES / row_bytes.max(1)).max(1) as u32;
    let mut y = chunk.rect.y;
    while y < rows.bottom() {
        let height = band_rows.min(rows.bottom() - y);
        buffers.packed.resize(row_bytes * height as usize, 0);
        let packed = &mut buffers.packed;
        let read = contained(|| {
            pixels.read_exact(packed).map_err(|e| match e.kind() {
                io::ErrorKind::UnexpectedEof => "the compressed data ends early".into(),
                _ => format!("the compressed data is damaged: {e}"),
            })
        });
        if let Err(ChunkError::Damaged(reason)) = read {
            return Err(ChunkError::Cut(y, reason));
        }
        finish_and_put(chunk, y, height, target, buffers)?;
        y += height;
    }
    Ok(())
}

fn decode_webp(chunk: &Chunk<'_>, target: &mut dyn BlockTarget, buffers: &mut Buffers) -> Result<(), ChunkError> {
    let layout = chunk.layout;
    let (width, samples) = (layout.chunk.width, layout.chunk_samples());
    if pixel_bytes(chunk) + chunk.len > MAX_HEAP_CHUNK_BYTES {
        return Err(ChunkError::Damaged("WebP pieces of this size are not read".into()));
    }
    read_compressed(chunk, &mut buffers.raw, 0)?;
    buffers.packed.resize(pixel_bytes(chunk) as usize, 0);
    let Buffers { raw, packed, .. } = buffers;
    contained(|| crate::formats::picture::decode_webp_into(raw, (width, chunk.rect.height), samples, packed))?;
    finish_and_put(chunk, chunk.rect.y, chunk.rect.height, target, buffers)
}

/// Makes whole samples in the machine's byte order of `height` packed rows, and hands them over.
fn finish_and_put(
    chunk: &Chunk<'_>,
    y: u32,
    height: u32,
    target: &mut dyn BlockTarget,
    buffers: &mut Buffers,
) -> Result<(), ChunkError> {
    let layout = chunk.layout;
    let (packed_bytes, row_bytes) = (layout.packed_row_bytes(), layout.row_bytes());
    let Buffers { packed, whole, scratch, .. } = buffers;
    let packed_rows = packed.chunks_exact_mut(packed_bytes).take(height as usize);
    if layout.is_whole_bytes() {
        scratch.resize(if layout.predictor == Predictor::Float { row_bytes } else { 0 }, 0);
        packed_rows.for_each(|row| finish_row(layout, row, scratch));
        return put(chunk, y, height, packed, row_bytes, target);
    }
    let band_rows = (BAND_BYTES / row_bytes.max(1)).max(1);
    let count = layout.chunk.width as usize * layout.chunk_samples();
    let mut band_y = y;
    for band in packed[..packed_bytes * height as usize].chunks(packed_bytes * band_rows) {
        let rows = band.len() / packed_bytes;
        whole.resize(row_bytes * rows, 0);
        for (row, out) in band.chunks_exact(packed_bytes).zip(whole.chunks_exact_mut(row_bytes)) {
            unpack_row(layout, row, count, out);
        }
        put(chunk, band_y, rows as u32, whole, row_bytes, target)?;
        band_y += rows as u32;
    }
    Ok(())
}

/// Undoes the predictor of one row of whole-byte samples and gives it the machine's byte order.
fn finish_row(layout: &PageLayout, row: &mut [u8], scratch: &mut [u8]) {
    let (samples, size) = (layout.chunk_samples(), layout.sample.bytes());
    if layout.predictor == Predictor::Float {
        undo_float_predictor(row, samples, size, scratch);
        return;
    }
    if swaps(layout) {
        swap_bytes(row, size);
    }
    if layout.predictor == Predictor::Horizontal {
        undo_differences(row, samples, size);
    }
}

/// Samples that are not whole bytes are a stream of bits, most significant first, whatever the file's byte order.
fn unpack_row(layout: &PageLayout, row: &[u8], count: usize, out: &mut [u8]) {
    unpack_bits(row, layout.bits, count, out);
    if layout.predictor == Predictor::Horizontal {
        undo_differences(out, layout.chunk_samples(), layout.sample.bytes());
        mask_bits(out, layout.bits);
    }
}

fn put(
    chunk: &Chunk<'_>,
    y: u32,
    height: u32,
    bytes: &[u8],
    row_bytes: usize,
    target: &mut dyn BlockTarget,
) -> Result<(), ChunkError> {
    let block = Block {
        rect: PixelRect::new(chunk.rect.x, y, chunk.rect.width, height),
        first_sample: chunk.first_sample,
        samples: chunk.layout.chunk_samples(),
        kind: chunk.layout.sample,
        row_bytes,
        bytes,
    };
    Ok(target.put(&block)?)
}

/// Whether rows in the file are, but for the byte order, what a tile holds.
fn is_plain(layout: &PageLayout) -> bool {
    layout.is_whole_bytes() && !layout.reversed_bits && layout.predictor == Predictor::None
}

fn swaps(layout: &PageLayout) -> bool {
    layout.dialect.big_endian != cfg!(target_endian = "big")
}

fn too_small(chunk: &Chunk<'_>) -> ChunkError {
    ChunkError::Stop(Error::format("a tile is smaller than its pixels", chunk.files.path(chunk.file)))
}
