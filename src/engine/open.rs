//! Opening a path: its reader, its store, its pyramid.

use super::record::Record;
use super::{MosaicEdits, OpenMosaic, OpenedSet};
use crate::error::Result;
use crate::formats;
use crate::image_set::{FieldSet, Layout};
use crate::mosaic::{FieldsSource, Fuser, MOSAIC};
use crate::pyramid::{Cancel, ImageInfo, Loaded, Made, Pyramid, SetId, Source, Step, TileKey, TileSpace};
use crate::store::{Backing, EvictionOrder, Persist, Quota, Store, StoreOptions, record};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How long to wait for a part that another thread decodes.
const BUSY_WAIT: Duration = Duration::from_millis(20);

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
    /// Where its fields stand, of a mosaic: `pyramid` holds the fields then.
    pub mosaic: Option<OpenMosaic>,
}

/// How a set is opened.
pub struct Opening<'a> {
    /// The set's number.
    pub id: SetId,
    /// The cache.
    pub quota: &'a Arc<Quota>,
    /// Whether anything outlives the run.
    pub persist: Persist,
}

impl OpenSet {
    /// Opens fields as one mosaic, from their headers alone. `saved` is what was decided about it in earlier runs;
    /// `chosen` says that it was the user who put these files together.
    pub fn open_fields(
        how: &Opening<'_>,
        fields: &Arc<FieldSet>,
        fingerprint: String,
        saved: MosaicEdits,
        chosen: bool,
    ) -> Result<Self> {
        let source: Arc<dyn Source> = Arc::new(FieldsSource::open(fields.clone())?);
        let path = &fields.path;
        let space = TileSpace::new(source.images(), path)?;
        let store = Store::open(StoreOptions {
            quota: how.quota.clone(),
            fingerprint: source.fingerprint(),
            tile_count: space.total(),
            label: path.display().to_string(),
            persist: how.persist,
            backing: Backing::Mapped,
            eviction: EvictionOrder::DerivedLast,
        })?;
        let mosaic = OpenMosaic::new(fields, source.images().into(), fingerprint, saved, chosen)?;
        let mut warnings = fields.warnings.clone();
        warnings.extend(mosaic.warnings.iter().cloned());
        warnings.extend(store.note().map(ToString::to_string));
        let opened = OpenedSet {
            id: how.id,
            path: path.clone(),
            format: format_of(fields),
            images: vec![mosaic.state().info.as_ref().clone()],
            mosaic: Some(mosaic.set.clone()),
            associated: Vec::new(),
            metadata: metadata_of(fields),
            warnings,
        };
        Ok(Self {
            opened: Arc::new(opened),
            pyramid: Pyramid::new(how.id, source, store, space),
            cancel: Cancel::default(),
            persist: how.persist,
            mosaic: Some(mosaic),
        })
    }

    /// The files that it is read from.
    pub fn files(&self) -> Vec<&Path> {
        match &self.mosaic {
            Some(mosaic) => mosaic.set.fields.files.iter().map(AsRef::as_ref).collect(),
            None => vec![&self.opened.path],
        }
    }

    /// What puts its fields together, of a mosaic.
    pub fn fuser(&self) -> Option<Fuser<'_>> {
        self.mosaic.as_ref().map(|mosaic| mosaic.fuser(&self.pyramid))
    }

    /// An image as it stands now: of a mosaic [`MOSAIC`] for the whole.
    pub fn image(&self, field: u32) -> Option<ImageInfo> {
        match &self.mosaic {
            Some(mosaic) if field == MOSAIC => Some(mosaic.state().info.as_ref().clone()),
            _ => self.pyramid.image(field).cloned(),
        }
    }

    /// Makes a tile and all that it needs, and brings it to the heap; waits where another thread is making it.
    pub fn bring(&self, key: TileKey, cancel: &Cancel) -> Result<Loaded> {
        self.bring_with(self.fuser().as_ref(), key, cancel)
    }

    /// The same, of a mosaic with its fields put together by `fuser`.
    pub fn bring_with(&self, fuser: Option<&Fuser<'_>>, key: TileKey, cancel: &Cancel) -> Result<Loaded> {
        let Some(fuser) = fuser.filter(|_| key.plane.field == MOSAIC) else {
            loop {
                match self.pyramid.fill(key, &|_| Ok(()), cancel)? {
                    Made::Ready | Made::Incomplete => match self.pyramid.load(key, cancel)? {
                        // It was given up in between.
                        Loaded::Later(Made::Busy | Made::NotYet) => {}
                        loaded => return Ok(loaded),
                    },
                    Made::Busy | Made::NotYet => self.pyramid.wait_for_release(BUSY_WAIT),
                }
                cancel.check()?;
            }
        };
        loop {
            match fuser.step_towards(key, cancel)? {
                Step::Ready | Step::Incomplete => match fuser.load(key)? {
                    Loaded::Later(_) => {}
                    loaded => return Ok(loaded),
                },
                Step::Progressed => {}
                Step::Busy => self.pyramid.wait_for_release(BUSY_WAIT),
            }
            cancel.check()?;
        }
    }

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
            mosaic: None,
            associated: source.associated().to_vec(),
            metadata,
            warnings,
        };
        Ok(Self {
            opened: Arc::new(opened),
            pyramid: Pyramid::new(id, source, store, space),
            cancel: Cancel::default(),
            persist,
            mosaic: None,
        })
    }
}

/// Whether one of these files is what a path leads to: an image is never written over itself, whatever was agreed.
pub fn is_one_of<'a>(path: &Path, files: impl IntoIterator<Item = &'a Path>) -> bool {
    // What is not there is no image.
    let Ok(path) = path.canonicalize() else { return false };
    files.into_iter().any(|file| file.canonicalize().is_ok_and(|file| file == path))
}

/// A set of fields as a format in words.
pub fn format_of(fields: &FieldSet) -> String {
    match fields.fields.len() {
        1 => "1 field".into(),
        count => format!("{count} fields"),
    }
}

/// What a set of fields says about itself, as flat text.
pub fn metadata_of(fields: &FieldSet) -> BTreeMap<String, String> {
    let mut metadata = BTreeMap::new();
    let mut put = |name: &str, value: String| drop(metadata.insert(name.to_owned(), value));
    put("Fields", fields.fields.len().to_string());
    put("Recognised by", fields.evidence.clone());
    let layout = match &fields.layout {
        Layout::Stage => "stage positions".to_owned(),
        Layout::File(path) => path.display().to_string(),
        Layout::Grid(grid) => format!("{} rows, {} columns", grid.rows, grid.columns),
    };
    put("Layout", layout);
    if !fields.left_out.is_empty() {
        put("Files left out", fields.left_out.len().to_string());
    }
    metadata
}
