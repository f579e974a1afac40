//! What a store remembers of its source, so that what was decoded can be seen when the file is gone: unplugged,
//! unmounted, moved away.

use crate::error::{Error, Result};
use crate::formats::Opened;
use crate::pixels::ValueCoding;
use crate::pyramid::{AssociatedInfo, Cancel, FillUnit, ImageInfo, PlaneId, Source, TileKey, UnitSink};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Planes whose coding is remembered at most, where it has to be looked up in the pixels.
const MAX_INEXACT_CODINGS: usize = 16;

/// An opened source in words.
#[derive(Debug, Serialize, Deserialize)]
pub struct Record {
    fingerprint: Vec<u8>,
    format: String,
    images: Vec<ImageInfo>,
    codings: Vec<(PlaneId, ValueCoding)>,
    metadata: BTreeMap<String, String>,
    warnings: Vec<String>,
}

impl Record {
    /// What there is to remember of an opened file.
    pub fn of(opened: &Opened) -> Result<Self> {
        let images = opened.source.images().to_vec();
        let mut codings = Vec::new();
        let mut inexact = 0;
        for (field, image) in images.iter().enumerate() {
            for (t, z) in (0..image.t_count).flat_map(|t| (0..image.z_count).map(move |z| (t, z))) {
                for channel in 0..image.channels.len() as u16 {
                    if inexact < MAX_INEXACT_CODINGS {
                        let plane = PlaneId { field: field as u32, channel, z, t };
                        let coding = opened.source.coding(plane)?;
                        inexact += usize::from(!coding.exact);
                        codings.push((plane, coding));
                    }
                }
            }
        }
        Ok(Self {
            fingerprint: opened.source.fingerprint(),
            format: opened.format.clone(),
            images,
            codings,
            metadata: opened.metadata.clone(),
            warnings: opened.warnings.clone(),
        })
    }

    /// As bytes for the store's folder.
    pub fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// From such bytes; `None` where they are not whole.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// A source that shows what the store holds and fails for the rest.
    pub fn into_opened(self, path: &Path) -> Opened {
        let mut warnings = self.warnings;
        warnings.insert(0, "The file is gone: only what was decoded before can be shown".into());
        let source = Remembered {
            path: path.to_owned(),
            fingerprint: self.fingerprint,
            images: self.images,
            codings: self.codings.into_iter().collect(),
        };
        Opened { format: self.format, source: Arc::new(source), metadata: self.metadata, warnings }
    }
}

/// A source whose file is gone.
struct Remembered {
    path: PathBuf,
    fingerprint: Vec<u8>,
    images: Vec<ImageInfo>,
    codings: BTreeMap<PlaneId, ValueCoding>,
}

impl Remembered {
    fn gone(&self) -> Error {
        Error::format("this part was not decoded before the file went away, bring the file back", &self.path)
    }
}

impl Source for Remembered {
    fn images(&self) -> &[ImageInfo] {
        &self.images
    }

    fn coding(&self, plane: PlaneId) -> Result<ValueCoding> {
        self.codings.get(&plane).copied().ok_or_else(|| self.gone())
    }

    fn unit_of(&self, key: TileKey) -> FillUnit {
        FillUnit { planes: vec![key.plane], level: key.level, first: (key.x, key.y), count: (1, 1) }
    }

    fn read_unit(&self, _: &FillUnit, _: &mut dyn UnitSink, _: &Cancel) -> Result<()> {
        Err(self.gone())
    }

    fn sample(&self, _: PlaneId, _: u32, _: u32) -> Result<Vec<f64>> {
        Err(self.gone())
    }

    fn fingerprint(&self) -> Vec<u8> {
        self.fingerprint.clone()
    }

    fn check_unchanged(&self) -> Result<()> {
        Ok(())
    }

    fn associated(&self) -> &[AssociatedInfo] {
        &[]
    }

    fn read_associated(&self, _: usize) -> Result<Vec<u8>> {
        Err(self.gone())
    }
}
