//! All pages of one or several TIFF files: where they are and how their pixels lie, without dialects.

use super::decode::Chunk;
use super::ifd::{Dialect, Ifd, Reason, Table, TagReader, read_header};
use super::page::{self, Compression, PageLayout, tag};
use crate::formats::source_file::FileSet;
use crate::geom::PixelRect;
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

/// Pages of one source, reduced ones included. At about 100 bytes a page this keeps the heap below 32 MiB.
pub const MAX_PAGES: usize = 1 << 18;

/// Reduced pages that one page may name; 32 halvings leave one pixel of any image.
const MAX_SUB_IFDS: u64 = 64;

/// One page of a file.
#[derive(Debug, Clone)]
pub struct Page {
    /// Which file of the set.
    pub file: u32,
    /// Position of its directory, for texts that are read when they are needed.
    pub ifd_at: u64,
    /// How its pixels lie.
    pub layout: Arc<PageLayout>,
    /// Where its chunks are.
    pub offsets: Table,
    /// How long they are, where the file says.
    pub counts: Option<Table>,
    /// Its reduced versions, as numbers of pages, largest first.
    pub sub_pages: Box<[u32]>,
    /// Bytes to add to the first offset: planes of an ImageJ stack that has one directory for all.
    pub shift: u64,
}

/// A page that cannot be read, and why.
#[derive(Debug, Clone)]
pub struct BadPage {
    /// Its place in the chain.
    pub number: usize,
    /// Why, in words.
    pub reason: Reason,
}

/// The pages of a source.
#[derive(Debug, Default)]
pub struct Document {
    /// The files.
    pub files: FileSet,
    /// The pages, sub-pages among them.
    pub pages: Vec<Page>,
    layouts: HashMap<PageLayout, Arc<PageLayout>>,
}

/// The chain of pages of one file.
#[derive(Debug, Default)]
pub struct Chain {
    /// For each directory of the chain its page, where it can be read.
    pub pages: Vec<Option<u32>>,
    /// Those that cannot.
    pub bad: Vec<BadPage>,
    /// Position of the first directory.
    pub first_ifd: u64,
    /// What the user should know.
    pub warnings: Vec<String>,
}

impl Document {
    /// Reads the directories of a file.
    pub fn add(&mut self, path: &Path) -> crate::error::Result<(u32, Chain)> {
        let file = self.files.add(path)?;
        let bad = |reason: Reason| crate::error::Error::format(reason, path);
        let (dialect, first_ifd) = read_header(&self.files, file).map_err(bad)?;
        let mut chain = Chain { first_ifd, ..Chain::default() };
        let mut visited = HashSet::new();
        let mut at = first_ifd;
        while at != 0 {
            if !visited.insert(at) {
                chain.warnings.push("the file's list of pages runs in a circle; each page is shown once".into());
                break;
            }
            if self.pages.len() >= MAX_PAGES || chain.pages.len() >= MAX_PAGES {
                chain.warnings.push(format!("only the first {MAX_PAGES} pages are shown"));
                break;
            }
            let ifd = match (TagReader { files: &self.files, file, dialect }).ifd(at) {
                Ok(ifd) => ifd,
                Err(reason) if chain.pages.is_empty() => return Err(bad(reason)),
                Err(reason) => {
                    chain.warnings.push(format!("the pages from number {} on: {reason}", chain.pages.len() + 1));
                    break;
                }
            };
            let page = self.page(file, dialect, at, &ifd, &mut visited);
            chain.pages.push(match page {
                Ok(page) => Some(page),
                Err(reason) => {
                    chain.bad.push(BadPage { number: chain.pages.len(), reason });
                    None
                }
            });
            at = ifd.next;
        }
        Ok((file, chain))
    }

    /// What reading tags of a file takes.
    pub fn reader(&self, file: u32, dialect: Dialect) -> TagReader<'_> {
        TagReader { files: &self.files, file, dialect }
    }

    /// The directory of a page, read again.
    pub fn ifd(&self, page: u32) -> Result<(TagReader<'_>, Ifd), Reason> {
        let page = &self.pages[page as usize];
        let reader = self.reader(page.file, page.layout.dialect);
        Ok((reader, reader.ifd(page.ifd_at)?))
    }

    /// A text of a page; nothing where there is none, or it cannot be read.
    pub fn text(&self, page: u32, tag: u16, max_bytes: u64) -> Option<String> {
        let (reader, ifd) = self.ifd(page).ok()?;
        let text = reader.text(ifd.get(tag)?, max_bytes).ok()?;
        Some(text.trim().to_owned()).filter(|t| !t.is_empty())
    }

    /// A number of a page.
    pub fn real(&self, page: u32, tag: u16) -> Option<f64> {
        let (reader, ifd) = self.ifd(page).ok()?;
        reader.real(ifd.get(tag)?).ok()
    }

    /// Where a chunk of a page lies.
    pub fn chunk(&self, page: u32, column: u32, row: u32, sample: usize) -> Result<Chunk<'_>, Reason> {
        let page = &self.pages[page as usize];
        let layout = &*page.layout;
        let (across, down) = layout.chunks();
        let plane = if layout.planar { sample as u64 } else { 0 };
        let index = (plane * u64::from(down) + u64::from(row)) * u64::from(across) + u64::from(column);
        let reader = self.reader(page.file, layout.dialect);
        let offset = reader.integer(page.offsets, index)?.saturating_add(page.shift);
        let rect = PixelRect::new(
            column * layout.chunk.width,
            row * layout.chunk.height,
            layout.chunk.width,
            layout.chunk.height,
        );
        let rect = rect.intersect(layout.size.rect());
        let full = layout.packed_row_bytes() as u64 * u64::from(rect.height);
        let after = self.files.len(page.file).saturating_sub(offset);
        let len = match page.counts {
            _ if page.shift > 0 => full,
            Some(counts) => match reader.integer(counts, index)? {
                // A few writers leave the lengths of uncompressed strips at zero.
                0 if layout.compression == Compression::None && !layout.tiled && offset > 0 => full,
                len => len,
            },
            None if layout.compression == Compression::None => full,
            None => after,
        };
        if offset == 0 || len == 0 {
            return Ok(Chunk {
                files: &self.files,
                file: page.file,
                layout,
                rect,
                first_sample: sample,
                offset,
                len: 0,
            });
        }
        // Rows of uncompressed chunks are read one by one: those that are there are shown.
        if after == 0 || (len > after && layout.compression != Compression::None) {
            return Err("the file ends before these pixels".into());
        }
        Ok(Chunk { files: &self.files, file: page.file, layout, rect, first_sample: sample, offset, len })
    }

    fn page(
        &mut self,
        file: u32,
        dialect: Dialect,
        at: u64,
        ifd: &Ifd,
        visited: &mut HashSet<u64>,
    ) -> Result<u32, Reason> {
        let mut page = self.bare_page(file, dialect, at, ifd)?;
        if let Some(table) = ifd.get(tag::SUB_IFDS) {
            // Sub-directories that cannot be read are left out: the page itself is whole without them.
            let offsets = self.reader(file, dialect).integers(table, MAX_SUB_IFDS).unwrap_or_default();
            let mut subs = Vec::new();
            for offset in offsets {
                if offset == 0 || !visited.insert(offset) || self.pages.len() >= MAX_PAGES {
                    continue;
                }
                let sub = self.reader(file, dialect).ifd(offset);
                if let Ok(sub) = sub.and_then(|ifd| self.bare_page(file, dialect, offset, &ifd)) {
                    subs.push(self.push(sub));
                }
            }
            page.sub_pages = subs.into();
        }
        Ok(self.push(page))
    }

    fn push(&mut self, page: Page) -> u32 {
        self.pages.push(page);
        (self.pages.len() - 1) as u32
    }

    fn bare_page(&mut self, file: u32, dialect: Dialect, at: u64, ifd: &Ifd) -> Result<Page, Reason> {
        let (layout, offsets, counts) = page::parse(self.reader(file, dialect), ifd)?;
        let layout = match self.layouts.get(&layout) {
            Some(known) => known.clone(),
            None => {
                let shared = Arc::new(layout.clone());
                self.layouts.insert(layout, shared.clone());
                shared
            }
        };
        Ok(Page { file, ifd_at: at, layout, offsets, counts, sub_pages: Box::default(), shift: 0 })
    }
}
