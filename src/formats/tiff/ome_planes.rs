//! OME-TIFF: from OME-XML to pages, in this file and in the files beside it.

use super::document::{Chain, Document};
use super::ome::{MAX_XML_BYTES, Ome, OmeData, OmeImage, parse};
use super::plan::ImagePlan;
use super::read::NO_PAGE;
use crate::pyramid::AssociatedInfo;
use std::collections::HashMap;
use std::path::{Component, Path};

/// Planes of one image: as many as pages.
const MAX_PLANES: usize = super::document::MAX_PAGES;

/// Files that belong to one set.
const MAX_SET_FILES: usize = 20_000;

/// The images of a set, and the pictures that belong to it as numbers of pages.
pub struct OmeImages {
    pub plans: Vec<ImagePlan>,
    pub associated: Vec<(AssociatedInfo, u32)>,
}

/// The files of a set that were asked for: their chains, or nothing for those that are not there.
struct SetFiles<'a> {
    folder: &'a Path,
    /// The file at hand, if it is a TIFF file.
    own: Option<&'a str>,
    own_uuid: Option<&'a str>,
    chains: HashMap<String, Option<Chain>>,
    missing: usize,
}

/// Reads the description that a file says is in another one, in the same folder.
pub fn read_companion(path: &Path, name: &str) -> Result<Ome, String> {
    let beside = beside(path.parent().unwrap_or(Path::new("")), name)?;
    let len = std::fs::metadata(&beside).map_err(|e| format!("{name}: {e}"))?.len();
    if len > MAX_XML_BYTES {
        return Err(format!("{name} is larger than {} MiB", MAX_XML_BYTES >> 20));
    }
    let bytes = std::fs::read(&beside).map_err(|e| format!("{name}: {e}"))?;
    parse(&String::from_utf8_lossy(&bytes))
}

/// Finds the pages of every image. `own` is the file that was opened, with its chain; nothing for a companion file.
///
/// An error means that the description does not fit the pages, which are then better shown as they are.
pub fn images(
    document: &mut Document,
    path: &Path,
    own: Option<Chain>,
    ome: &Ome,
    warnings: &mut Vec<String>,
) -> Result<OmeImages, String> {
    let own_name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    let folder = path.parent().unwrap_or(Path::new(""));
    let has_own = own.is_some();
    let mut files = SetFiles {
        folder,
        own: has_own.then_some(own_name),
        own_uuid: ome.uuid.as_deref(),
        chains: own.map(|chain| (own_name.to_owned(), Some(chain))).into_iter().collect(),
        missing: 0,
    };
    let mut found = OmeImages { plans: Vec::new(), associated: Vec::new() };
    let mut next_own = 0;
    for (index, image) in ome.images.iter().enumerate() {
        let name = image.name.clone().unwrap_or_else(|| match ome.images.len() {
            1 => own_name.to_owned(),
            _ => format!("{own_name} ({})", index + 1),
        });
        match plan(document, &mut files, image, &name, &mut next_own, warnings)? {
            Some(plan) => match associated_name(&name) {
                // Labels and macro pictures can show a patient's name: they are never images of their own.
                Some(word) => {
                    let page = plan.pages[0].iter().copied().find(|&p| p != NO_PAGE);
                    found.associated.extend(page.map(|page| {
                        let size = document.pages[page as usize].layout.size;
                        (AssociatedInfo { name: word.into(), size }, page)
                    }));
                }
                None => found.plans.push(plan),
            },
            None => warnings.push(format!("none of the planes of {name} are there")),
        }
    }
    if files.missing > 0 {
        warnings.push(format!("{} files of the set are not in the folder", files.missing));
    }
    if found.plans.is_empty() {
        return Err("the OME-XML names no image that is there".into());
    }
    Ok(found)
}

/// The word for images that Bio-Formats and others keep beside the slide itself.
fn associated_name(name: &str) -> Option<&'static str> {
    match name.to_lowercase().as_str() {
        "label" | "label image" => Some("label"),
        "macro" | "macro image" | "overview" | "overview image" => Some("macro"),
        "thumbnail" | "thumbnail image" => Some("thumbnail"),
        _ => None,
    }
}

fn plan(
    document: &mut Document,
    files: &mut SetFiles<'_>,
    image: &OmeImage,
    name: &str,
    next_own: &mut u64,
    warnings: &mut Vec<String>,
) -> Result<Option<ImagePlan>, String> {
    let places = places(image, next_own);
    // The samples of a page are known from the page alone: writers disagree on what SamplesPerPixel counts.
    let first = places.iter().find_map(|place| files.page(document, &place.file, place.ifd));
    let Some(first) = first else { return Ok(None) };
    let layout = document.pages[first as usize].layout.clone();
    if (u64::from(layout.size.width), u64::from(layout.size.height)) != (image.width, image.height) {
        return Err(format!(
            "the OME-XML is about an image of {} x {} pixels, but the file's pages have {} x {}",
            image.width, image.height, layout.size.width, layout.size.height
        ));
    }
    let [size_c, z_count, t_count] = image.sizes;
    let groups =
        if layout.samples > 1 && size_c.is_multiple_of(layout.samples) { size_c / layout.samples } else { size_c };
    let planes = groups.checked_mul(z_count).and_then(|n| n.checked_mul(t_count)).filter(|&n| n <= MAX_PLANES);
    let planes = planes.ok_or_else(|| format!("the OME-XML claims {size_c} x {z_count} x {t_count} planes"))?;
    let mut pages = vec![NO_PAGE; planes];
    let sizes = [groups, z_count, t_count];
    for place in &places {
        let step = if layout.samples > 1 && groups < size_c { layout.samples } else { 1 };
        let start = [place.first[0] / step, place.first[1], place.first[2]];
        let Some([c, z, t]) = advance(start, place.number, sizes, image.order) else { continue };
        if let Some(page) = files.page(document, &place.file, place.ifd) {
            pages[(t * z_count + z) * groups + c] = page;
        }
    }
    let missing = pages.iter().filter(|&&p| p == NO_PAGE).count();
    if missing > 0 {
        warnings.push(format!("{missing} of {planes} planes of {name} are missing"));
    }
    let channels = || image.channels.iter();
    let per_sample = channels().count() == groups;
    let mut plan = ImagePlan {
        name: name.to_owned(),
        pages: vec![pages],
        groups,
        z_count,
        t_count,
        indices: true,
        names: if per_sample && layout.samples == 1 {
            channels().map(|c| c.name.clone()).collect()
        } else {
            Vec::new()
        },
        colors: if per_sample && layout.samples == 1 { channels().map(|c| c.color).collect() } else { Vec::new() },
        um_per_px: image.um_per_px,
        objective: image.objective,
        stage: (image.stage, image.region.clone()),
    };
    plan.add_sub_levels(document);
    Ok(Some(plan))
}

/// One page that a description promises.
struct Place {
    file: Option<(String, Option<String>)>,
    ifd: u64,
    /// C, Z, T of the first plane of its run.
    first: [usize; 3],
    /// Its number within the run.
    number: usize,
}

fn places(image: &OmeImage, next_own: &mut u64) -> Vec<Place> {
    let total = image.sizes.iter().try_fold(1usize, |n, &s| n.checked_mul(s)).unwrap_or(MAX_PLANES).min(MAX_PLANES);
    let no_data = [OmeData::default()];
    let data = if image.data.is_empty() { &no_data } else { image.data.as_slice() };
    let mut places = Vec::new();
    for entry in data {
        let count = match (entry.count, entry.ifd) {
            (Some(count), _) => usize::try_from(count).unwrap_or(total),
            (None, Some(_)) => 1,
            (None, None) => total,
        };
        let start = entry.ifd.unwrap_or(if entry.file.is_none() { *next_own } else { 0 });
        let file = entry.file.clone().map(|f| (f, entry.uuid.clone()));
        let room = total.saturating_sub(places.len());
        for number in 0..count.min(room) {
            let ifd = start.saturating_add(number as u64);
            places.push(Place { file: file.clone(), ifd, first: entry.first, number });
            if entry.file.is_none() {
                *next_own = (*next_own).max(ifd.saturating_add(1));
            }
        }
    }
    places
}

/// C, Z and T of the plane that comes `number` planes after `first`; nothing past the last one.
fn advance(first: [usize; 3], number: usize, sizes: [usize; 3], order: [usize; 3]) -> Option<[usize; 3]> {
    let mut at = first;
    let mut carry = number;
    for dim in order {
        let sum = at[dim].checked_add(carry)?;
        at[dim] = sum % sizes[dim];
        carry = sum / sizes[dim];
    }
    (carry == 0).then_some(at)
}

impl SetFiles<'_> {
    /// The page of a file of the set, if both are there and can be read.
    fn page(&mut self, document: &mut Document, file: &Option<(String, Option<String>)>, ifd: u64) -> Option<u32> {
        let name = match file {
            None => self.own?,
            Some((name, uuid)) => match self.own {
                // A file that was renamed still knows itself by its identity.
                Some(own) if name == own || (uuid.is_some() && uuid.as_deref() == self.own_uuid) => own,
                _ => name.as_str(),
            },
        };
        if !self.chains.contains_key(name) {
            let chain = self.open(document, name);
            self.missing += usize::from(chain.is_none());
            self.chains.insert(name.to_owned(), chain);
        }
        let chain = self.chains.get(name)?.as_ref()?;
        chain.pages.get(usize::try_from(ifd).ok()?).copied().flatten()
    }

    /// Files that cannot be read are counted by the caller and reported once, together.
    fn open(&self, document: &mut Document, name: &str) -> Option<Chain> {
        if self.chains.len() >= MAX_SET_FILES {
            return None;
        }
        let path = beside(self.folder, name).ok()?;
        document.add(&path).ok().map(|(_, chain)| chain)
    }
}

/// The path of a file in the same folder; names that lead elsewhere are refused.
fn beside(folder: &Path, name: &str) -> Result<std::path::PathBuf, String> {
    let mut parts = Path::new(name).components();
    match (parts.next(), parts.next()) {
        (Some(Component::Normal(only)), None) if !name.contains(['/', '\\']) => Ok(folder.join(only)),
        _ => Err(format!("{name} is not in the same folder")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planes_advance_in_the_order_of_the_dimensions() {
        let sizes = [2, 3, 4];
        assert_eq!(advance([0, 0, 0], 3, sizes, [0, 1, 2]), Some([1, 1, 0]));
        assert_eq!(advance([0, 0, 0], 4, sizes, [1, 0, 2]), Some([1, 1, 0]));
        assert_eq!(advance([1, 2, 3], 1, sizes, [0, 1, 2]), None);
    }

    #[test]
    fn files_outside_the_folder_are_refused() {
        let folder = Path::new("/slides");
        for name in ["../other.tif", "/etc/passwd", "a/b.tif", "..", "", "c:\\x.tif"] {
            assert!(beside(folder, name).is_err(), "{name}");
        }
        assert_eq!(beside(folder, "b.tif"), Ok("/slides/b.tif".into()));
    }
}
