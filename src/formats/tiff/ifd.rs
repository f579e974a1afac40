//! The structure of a TIFF file: header, directories, values. Nothing here knows what a tag means.
//!
//! Values stay in the file until they are asked for, and every count is checked against the file's length before
//! memory is taken for it.

use crate::formats::source_file::FileSet;

/// Entries of one directory; real ones have fewer than a hundred.
const MAX_ENTRIES: u64 = 4096;

/// Why a directory or value cannot be read, in words.
pub type Reason = String;

/// How the numbers of a file are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Dialect {
    /// Most significant byte first.
    pub big_endian: bool,
    /// BigTIFF: 64-bit offsets.
    pub big_tiff: bool,
}

/// A file together with how it is written: what reading a value takes.
#[derive(Clone, Copy)]
pub struct TagReader<'a> {
    /// All files of the source.
    pub files: &'a FileSet,
    /// The one to read.
    pub file: u32,
    /// How it is written.
    pub dialect: Dialect,
}

/// Where the values of one tag lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Table {
    /// File position of the first value.
    pub at: u64,
    /// How many values.
    pub count: u64,
    /// The TIFF data type.
    pub kind: u16,
}

/// One image file directory.
#[derive(Debug, Clone)]
pub struct Ifd {
    /// Tag numbers with their values, in the file's order.
    pub entries: Vec<(u16, Table)>,
    /// Position of the next directory, 0 after the last.
    pub next: u64,
}

impl Table {
    /// Bytes of one value; 0 for a type that does not exist.
    fn value_bytes(&self) -> u64 {
        match self.kind {
            1 | 2 | 6 | 7 => 1,
            3 | 8 => 2,
            4 | 9 | 11 | 13 => 4,
            5 | 10 | 12 | 16 | 17 | 18 => 8,
            _ => 0,
        }
    }
}

impl Ifd {
    /// The values of a tag; the first entry counts where a tag stands twice.
    pub fn get(&self, tag: u16) -> Option<Table> {
        self.entries.iter().find(|(t, _)| *t == tag).map(|(_, table)| *table)
    }
}

/// Reads the file header: the dialect, and the position of the first directory.
pub fn read_header(files: &FileSet, file: u32) -> Result<(Dialect, u64), Reason> {
    let mut head = [0; 16];
    let len = files.len(file).min(16) as usize;
    files.read_small(file, 0, &mut head[..len]).map_err(|e| e.to_string())?;
    let big_endian = match &head[..2] {
        b"II" => false,
        b"MM" => true,
        _ => return Err("this is not a TIFF file".into()),
    };
    let short = |at: usize| {
        let bytes = [head[at], head[at + 1]];
        if big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) }
    };
    let big_tiff = match short(2) {
        42 => false,
        43 if short(4) == 8 && short(6) == 0 => true,
        _ => return Err("this is not a TIFF file".into()),
    };
    if len < if big_tiff { 16 } else { 8 } {
        return Err("the file ends within its header".into());
    }
    let dialect = Dialect { big_endian, big_tiff };
    let reader = TagReader { files, file, dialect };
    let first = if big_tiff { reader.number(8, 8)? } else { reader.number(4, 4)? };
    Ok((dialect, first))
}

impl TagReader<'_> {
    /// Reads the directory at `at`.
    pub fn ifd(&self, at: u64) -> Result<Ifd, Reason> {
        let (count_bytes, entry_bytes, inline_bytes) = if self.dialect.big_tiff { (8, 20, 8) } else { (2, 12, 4) };
        let count = self.number(at, count_bytes)?;
        if count > MAX_ENTRIES {
            return Err(format!("a directory claims {count} entries"));
        }
        let mut raw = vec![0; (count * entry_bytes) as usize];
        self.read(at.saturating_add(count_bytes), &mut raw)?;
        let mut entries = Vec::with_capacity(count as usize);
        for (index, entry) in raw.chunks_exact(entry_bytes as usize).enumerate() {
            let entry_at = at + count_bytes + index as u64 * entry_bytes;
            let value_at = entry_at + entry_bytes - inline_bytes;
            let mut table = Table {
                at: value_at,
                count: self.parse(&entry[4..(entry_bytes - inline_bytes) as usize]),
                kind: self.parse(&entry[2..4]) as u16,
            };
            let Some(bytes) = table.count.checked_mul(table.value_bytes()) else { continue };
            if bytes > inline_bytes {
                table.at = self.parse(&entry[(entry_bytes - inline_bytes) as usize..]);
            }
            entries.push((self.parse(&entry[..2]) as u16, table));
        }
        // A file that was cut off right after its last directory still shows that directory.
        let next = self.number(at + count_bytes + count * entry_bytes, inline_bytes).unwrap_or(0);
        Ok(Ifd { entries, next })
    }

    /// The integer at `index` of a table.
    pub fn integer(&self, table: Table, index: u64) -> Result<u64, Reason> {
        self.check(table, index.saturating_add(1))?;
        let bytes = table.value_bytes();
        let raw = self.number(table.at + index * bytes, bytes)?;
        match table.kind {
            // Signed types hold only positive numbers in the tags that are read as integers.
            1..=4 | 6 | 8 | 9 | 13 | 16 | 17 | 18 => Ok(raw),
            _ => Err(format!("a value of type {} where a whole number belongs", table.kind)),
        }
    }

    /// All integers of a table, of which there may be at most `max`.
    pub fn integers(&self, table: Table, max: u64) -> Result<Vec<u64>, Reason> {
        if table.count > max {
            return Err(format!("{} values where at most {max} belong", table.count));
        }
        self.check(table, table.count)?;
        (0..table.count).map(|i| self.integer(table, i)).collect()
    }

    /// The first value as a real number: rationals, floats and integers.
    pub fn real(&self, table: Table) -> Result<f64, Reason> {
        self.check(table, 1)?;
        let at = table.at;
        Ok(match table.kind {
            5 => self.number(at, 4)? as f64 / self.number(at + 4, 4)? as f64,
            10 => f64::from(self.number(at, 4)? as u32 as i32) / f64::from(self.number(at + 4, 4)? as u32 as i32),
            11 => f64::from(f32::from_bits(self.number(at, 4)? as u32)),
            12 => f64::from_bits(self.number(at, 8)?),
            _ => self.integer(table, 0)? as f64,
        })
    }

    /// The raw bytes of a table, at most `max` of them.
    pub fn bytes(&self, table: Table, max: u64) -> Result<Vec<u8>, Reason> {
        let len = table.count.saturating_mul(table.value_bytes());
        if len > max {
            return Err(format!("{len} bytes where at most {max} belong"));
        }
        self.check(table, table.count)?;
        let mut out = vec![0; len as usize];
        self.read(table.at, &mut out)?;
        Ok(out)
    }

    /// A text, cut at the first zero byte and at `max` bytes; bytes that are not UTF-8 are taken as Latin-1.
    pub fn text(&self, table: Table, max: u64) -> Result<String, Reason> {
        let cut = Table { count: table.count.min(max / table.value_bytes().max(1)), ..table };
        let mut bytes = self.bytes(cut, max)?;
        if let Some(end) = bytes.iter().position(|&b| b == 0) {
            bytes.truncate(end);
        }
        Ok(String::from_utf8(bytes).unwrap_or_else(|e| e.into_bytes().into_iter().map(char::from).collect()))
    }

    /// Fails unless the first `count` values exist and lie within the file.
    fn check(&self, table: Table, count: u64) -> Result<(), Reason> {
        let bytes = table.value_bytes();
        if bytes == 0 {
            return Err(format!("a value of the unknown type {}", table.kind));
        }
        let end = count.checked_mul(bytes).and_then(|len| table.at.checked_add(len));
        if count > table.count || end.is_none_or(|end| end > self.files.len(self.file)) {
            return Err("the values of a tag lie past the end of the file".into());
        }
        Ok(())
    }

    fn number(&self, at: u64, bytes: u64) -> Result<u64, Reason> {
        let mut raw = [0; 8];
        self.read(at, &mut raw[..bytes as usize])?;
        Ok(self.parse(&raw[..bytes as usize]))
    }

    fn parse(&self, raw: &[u8]) -> u64 {
        let step = |value: u64, &byte: &u8| value << 8 | u64::from(byte);
        if self.dialect.big_endian { raw.iter().fold(0, step) } else { raw.iter().rev().fold(0, step) }
    }

    fn read(&self, at: u64, buf: &mut [u8]) -> Result<(), Reason> {
        self.files.read_small(self.file, at, buf).map_err(|e| match e.kind() {
            std::io::ErrorKind::UnexpectedEof => "the file ends before its directory does".into(),
            _ => e.to_string(),
        })
    }
}
