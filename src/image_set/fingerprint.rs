//! What identifies the content of a field set, whatever its files and folders are called.

use super::field_set::FieldSet;
use crate::error::{Error, Result};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use xxhash_rust::xxh3::Xxh3;

/// Files whose content is looked at; of more, those that are spread evenly over the layout.
const MAX_SAMPLED_FILES: usize = 256;

/// Bytes that are read at each place of a file.
const SAMPLE_BYTES: u64 = 2048;

/// Places of a file that are read, as shares of its length: headers at either end may be rewritten.
const SAMPLE_SHARES: [u64; 2] = [25, 60];

impl FieldSet {
    /// A hash of the sizes of all files and of samples of their content, in an order that does not depend on names.
    ///
    /// It stays the same when files or folders are renamed, moved or copied.
    /// Of more than 256 files those that are sampled are chosen by where the layout puts them, so renaming files so that they
    /// change places makes a new fingerprint there.
    /// Fails where a file is not there any more.
    pub fn fingerprint(&self) -> Result<u128> {
        let mut order: Vec<usize> = (0..self.fields.len()).collect();
        order.sort_by(|&a, &b| {
            let (a, b) = (self.fields[a].nominal, self.fields[b].nominal);
            a.y.total_cmp(&b.y).then(a.x.total_cmp(&b.x))
        });
        let mut by_place: Vec<u32> = Vec::with_capacity(self.files.len());
        let mut seen = vec![false; self.files.len()];
        for plane in order.iter().flat_map(|&field| &self.fields[field].planes) {
            let file = plane.file as usize;
            if !std::mem::replace(&mut seen[file], true) {
                by_place.push(plane.file);
            }
        }
        let every = by_place.len().div_ceil(MAX_SAMPLED_FILES).max(1);
        let mut marks = Vec::with_capacity(by_place.len());
        for (index, &file) in by_place.iter().enumerate() {
            let path = &self.files[file as usize];
            let len = std::fs::metadata(path).map_err(|e| Error::io("cannot read", e, path))?.len();
            marks.push((len, if index % every == 0 { sample(path, len)? } else { 0 }));
        }
        marks.sort_unstable();
        let mut hash = Xxh3::new();
        for (len, content) in marks {
            hash.update(&len.to_le_bytes());
            hash.update(&content.to_le_bytes());
        }
        Ok(hash.digest128())
    }

    /// A hash of what the numbers of the fields mean: sizes and samples of content, in the order of the numbers.
    ///
    /// It stays the same when files are renamed so that their order stays. Of more than 256 fields those that are sampled are
    /// spread evenly. Fails where a file is not there any more.
    pub fn order_mark(&self) -> Result<String> {
        let every = self.fields.len().div_ceil(MAX_SAMPLED_FILES).max(1);
        let mut hash = Xxh3::new();
        hash.update(&(self.fields.len() as u64).to_le_bytes());
        for field in self.fields.iter().step_by(every) {
            let Some(plane) = field.planes.first() else { continue };
            let path = &self.files[plane.file as usize];
            let len = std::fs::metadata(path).map_err(|e| Error::io("cannot read", e, path))?.len();
            hash.update(&len.to_le_bytes());
            hash.update(&sample(path, len)?.to_le_bytes());
            hash.update(&plane.image.to_le_bytes());
        }
        Ok(format!("{:032x}", hash.digest128()))
    }
}

fn sample(path: &Path, len: u64) -> Result<u128> {
    let cannot = |e| Error::io("cannot read", e, path);
    let mut file = File::open(path).map_err(cannot)?;
    let mut hash = Xxh3::new();
    let mut bytes = Vec::new();
    for share in SAMPLE_SHARES {
        bytes.clear();
        let at = u64::try_from(u128::from(len) * u128::from(share) / 100).unwrap_or(0);
        file.seek(SeekFrom::Start(at)).map_err(cannot)?;
        file.by_ref().take(SAMPLE_BYTES).read_to_end(&mut bytes).map_err(cannot)?;
        hash.update(&bytes);
    }
    Ok(hash.digest128())
}
