//! Folders as microscopes and people leave them, made here with known truth, and the real sets of the corpus.

use super::*;
use crate::geom::{Point, Size};
use std::fs;

mod conventions;
mod corpus;
mod folders;
mod left_out;
mod relayout;
mod stages;

/// One plane of gray, as an uncompressed TIFF with what is wanted beside it.
#[derive(Clone)]
struct Tiff {
    size: Size,
    bits: u16,
    value: u8,
    /// Every byte is another than the one before it.
    is_noise: bool,
    description: Option<String>,
    note: Option<String>,
    /// Further pages of the same kind, with their notes.
    more: Vec<Option<String>>,
}

impl Tiff {
    fn new(width: u32, height: u32) -> Self {
        let size = Size::new(width, height);
        Self { size, bits: 16, value: 7, is_noise: false, description: None, note: None, more: Vec::new() }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut out = b"II*\0\0\0\0\0".to_vec();
        let mut link = 4;
        let notes = std::iter::once(&self.note).chain(&self.more);
        for note in notes {
            let mut pixels = vec![self.value; (self.size.area() * u64::from(self.bits) / 8) as usize];
            if self.is_noise {
                pixels.iter_mut().enumerate().for_each(|(i, byte)| *byte = (i * 37 % 251) as u8);
            }
            let mut put = |bytes: &[u8]| {
                let at = out.len() as u32;
                out.extend_from_slice(bytes);
                out.resize(out.len().next_multiple_of(2), 0);
                at
            };
            let pixels_at = put(&pixels);
            let texts: Vec<(u16, u32, u32)> = [(270, &self.description), (51123, note)]
                .into_iter()
                .filter_map(|(tag, text)| {
                    let bytes = [text.as_ref()?.as_bytes(), b"\0"].concat();
                    Some((tag, bytes.len() as u32, put(&bytes)))
                })
                .collect();
            let mut entries: Vec<(u16, u16, u32, u32)> = vec![
                (256, 4, 1, self.size.width),
                (257, 4, 1, self.size.height),
                (258, 3, 1, u32::from(self.bits)),
                (259, 3, 1, 1),
                (262, 3, 1, 1),
                (273, 4, 1, pixels_at),
                (277, 3, 1, 1),
                (278, 4, 1, self.size.height),
                (279, 4, 1, pixels.len() as u32),
            ];
            entries.extend(texts.into_iter().map(|(tag, len, at)| (tag, 2, len, at)));
            entries.sort_by_key(|e| e.0);
            let at = out.len() as u32;
            out[link..link + 4].copy_from_slice(&at.to_le_bytes());
            out.extend_from_slice(&(entries.len() as u16).to_le_bytes());
            for (tag, kind, count, value) in entries {
                out.extend_from_slice(&tag.to_le_bytes());
                out.extend_from_slice(&kind.to_le_bytes());
                out.extend_from_slice(&count.to_le_bytes());
                out.extend_from_slice(&value.to_le_bytes());
            }
            link = out.len();
            out.extend_from_slice(&[0; 4]);
        }
        out
    }
}

/// A folder under a name of its own.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    /// Fields of 32 x 24 pixels under these names.
    fn of<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> Self {
        let folder = Self::new();
        names.into_iter().for_each(|name| folder.put(name.as_ref(), &Tiff::new(32, 24)));
        folder
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn put(&self, name: &str, tiff: &Tiff) {
        self.write(name, &tiff.bytes());
    }

    /// Writes a file that was last changed long ago.
    fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().expect("in a folder")).expect("made");
        fs::write(&path, bytes).expect("written");
        let long_ago = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
        fs::File::options().write(true).open(&path).and_then(|f| f.set_modified(long_ago)).expect("dated");
    }

    fn resolve(&self) -> Resolved {
        resolve(self.path()).expect("resolved")
    }

    fn sets(&self) -> Vec<Arc<FieldSet>> {
        sets(&self.resolve())
    }

    /// The one mosaic that the folder is.
    fn set(&self) -> Arc<FieldSet> {
        let sets = self.sets();
        assert_eq!(sets.len(), 1, "{:?}", sets.iter().map(|s| &s.name).collect::<Vec<_>>());
        sets[0].clone()
    }

    /// That the folder is images of their own.
    fn is_images(&self) {
        let found = self.resolve();
        let sets = sets(&found);
        assert!(sets.is_empty(), "{:?}", sets.iter().map(|s| &s.evidence).collect::<Vec<_>>());
    }
}

fn sets(found: &Resolved) -> Vec<Arc<FieldSet>> {
    let set = |entry: &Entry| if let Entry::Fields(set) = entry { Some(set.clone()) } else { None };
    found.entries.iter().filter_map(set).collect()
}

fn images(found: &Resolved) -> Vec<String> {
    let image = |entry: &Entry| if let Entry::File(path) = entry { Some(base(path)) } else { None };
    found.entries.iter().filter_map(image).collect()
}

fn base(path: &Path) -> String {
    path.file_name().expect("a name").to_string_lossy().into_owned()
}

fn names(set: &FieldSet) -> Vec<&str> {
    set.fields.iter().map(|f| f.name.as_str()).collect()
}

fn cells(set: &FieldSet) -> Vec<(i32, i32)> {
    set.fields.iter().map(|f| f.row_col.expect("a cell")).collect()
}

fn channels(set: &FieldSet) -> Vec<&str> {
    set.channels.iter().map(|c| c.name.as_str()).collect()
}

fn nominal(set: &FieldSet, name: &str) -> Point {
    set.fields.iter().find(|f| f.name.starts_with(name)).expect(name).nominal
}

/// That every plane of every field is there, once, in a file that is there.
fn is_whole(set: &FieldSet) {
    let planes = set.channels.len() * usize::from(set.z_count) * usize::from(set.t_count);
    for field in &set.fields {
        assert_eq!(field.planes.len(), planes, "{}", field.name);
        assert!(field.planes.iter().all(|p| (p.file as usize) < set.files.len()));
    }
}
