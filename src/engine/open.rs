//! Opening a path: its reader, its store, its pyramid.

use super::OpenedSet;
use super::record::Record;
use crate::error::Result;
use crate::pyramid::{Cancel, ImageInfo, Pyramid, SetId, TileSpace};
use crate::store::{Backing, EvictionOrder, Persist, Quota, Store, StoreOptions, record};
use crate::{formats, image_set};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// An opened image set: what the window sees of it, and what works on it.
pub struct OpenSet {
    /// What the window sees.
    pub opened: Arc<OpenedSet>,
    /// The source with its levels in a store.
    pub pyramid: Pyramid,
    /// Stops all work on it.
    pub cancel: Cancel,
    /// Whether anything of it outlives the run.
    pub persist: Persist,
}

/// The paths of the image sets that a path stands for. A path where nothing is stands for itself: its store may be there.
pub fn paths_of(path: &Path) -> Result<Vec<PathBuf>> {
    match image_set::resolve(path) {
        Ok(selection) => Ok(selection.paths().to_vec()),
        Err(error) if error.is_not_found() => Ok(vec![path.to_owned()]),
        Err(error) => Err(error),
    }
}

impl OpenSet {
    /// Reads the headers of `path` and opens its store. Where the file is gone and its store is not, what the store
    /// holds is opened.
    pub fn open(id: SetId, path: &Path, quota: &Arc<Quota>, persist: Persist) -> Result<Self> {
        let label = path.display().to_string();
        let remembered = || record::of_label(quota.root(), &label).as_deref().and_then(Record::from_bytes);
        let (opened, is_there) = match formats::open(path) {
            Ok(opened) => (opened, true),
            Err(error) if error.is_not_found() => match remembered() {
                Some(record) => (record.into_opened(path), false),
                None => return Err(error),
            },
            Err(error) => return Err(error),
        };
        let space = TileSpace::new(opened.source.images(), path)?;
        let store = Store::open(StoreOptions {
            quota: quota.clone(),
            fingerprint: opened.source.fingerprint(),
            tile_count: space.total(),
            label,
            persist,
            backing: Backing::Mapped,
            eviction: if opened.source.images().iter().all(ImageInfo::has_native_levels) {
                EvictionOrder::Recency
            } else {
                EvictionOrder::DerivedLast
            },
        })?;
        if is_there && store.record().is_none() {
            store.set_record(&Record::of(&opened)?.to_bytes())?;
        }
        let formats::Opened { format, source, metadata, mut warnings } = opened;
        warnings.extend(store.note().map(ToString::to_string));
        let opened = OpenedSet {
            id,
            path: path.to_owned(),
            format,
            images: source.images().to_vec(),
            associated: source.associated().to_vec(),
            metadata,
            warnings,
        };
        Ok(Self {
            opened: Arc::new(opened),
            pyramid: Pyramid::new(id, source, store, space),
            cancel: Cancel::default(),
            persist,
        })
    }
}
