//! TIFF in all its dialects, through one engine.
//!
//! `ifd` reads structure, `page` what a directory says of its pixels, `document` all pages of one or more files;
//! a dialect (`generic`, `imagej`, `ome`, `aperio`, `qptiff`) sorts pages into images, `plan` makes those, and `read`
//! serves their tiles with `decode`, `entropy` and `jpeg`.

mod aperio;
mod channels;
mod decode;
mod document;
mod entropy;
mod generic;
mod ifd;
mod imagej;
pub(super) mod jpeg;
mod ome;
mod ome_planes;
mod ome_stage;
mod page;
mod plan;
mod qptiff;
mod read;
mod survey;

pub(super) use decode::{ChunkError, contained};
pub(super) use survey::{survey, survey_set};

use super::Opened;
use crate::error::{Error, Result};
use crate::pixels::PixelType;
use crate::pyramid::{AssociatedInfo, ImageInfo};
use document::{Chain, Document};
use ifd::TagReader;
use page::{Photometric, tag};
use plan::ImagePlan;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// Bytes of a text that goes into the metadata.
const MAX_TEXT_BYTES: u64 = 64 << 10;

/// Bytes of a description that are enough to tell the dialect.
const DETECT_BYTES: u64 = 4096;

/// Images of one file.
const MAX_IMAGES: usize = 4096;

/// Whether a file that begins like this is a TIFF file.
pub fn detect(head: &[u8], _path: &Path) -> bool {
    matches!(head, [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..])
}

/// Whether a file is the description of an OME-TIFF set.
pub fn detect_companion(head: &[u8], path: &Path) -> bool {
    let named = path.file_name().and_then(|n| n.to_str()).is_some_and(|n| n.to_lowercase().ends_with(".companion.ome"));
    named && ome::is_ome(&String::from_utf8_lossy(head))
}

/// Everything a dialect found.
#[derive(Default)]
struct Found {
    format: String,
    plans: Vec<ImagePlan>,
    associated: Vec<(AssociatedInfo, u32)>,
    metadata: BTreeMap<String, String>,
    warnings: Vec<String>,
}

/// What the first page of a file says, for those who look for more than images.
#[derive(Default)]
struct First {
    description: String,
    /// Micro-Manager notes where each page was taken.
    has_plane_notes: bool,
    /// The pages of the file's own chain, as numbers in the document.
    pages: Vec<u32>,
}

/// Opens a TIFF file.
pub fn open(path: &Path) -> Result<Opened> {
    let (document, found, _) = open_parts(path)?;
    finish(document, found, path)
}

/// Reads all directories of a file, or of the set that a companion file describes, and sorts their pages into images.
fn open_parts(path: &Path) -> Result<(Document, Found, First)> {
    if path.extension().is_some_and(|e| e.eq_ignore_ascii_case("ome")) {
        let (document, found) = companion_parts(path)?;
        return Ok((document, found, First::default()));
    }
    let mut document = Document::default();
    let (file, mut chain) = document.add(path)?;
    let mut found = Found { warnings: std::mem::take(&mut chain.warnings), ..Found::default() };
    let dialect = ifd::read_header(&document.files, file).map_err(|e| Error::format(e, path))?.0;
    let reader = document.reader(file, dialect);
    let first = reader.ifd(chain.first_ifd).map_err(|e| Error::format(e, path))?;
    if first.get(tag::NDPI_FORMAT).is_some() {
        return Err(Error::unsupported("Hamamatsu NDPI slides are not read yet", path));
    }
    let description = |max: u64| first.get(tag::DESCRIPTION).and_then(|t| reader.text(t, max).ok()).unwrap_or_default();
    let start = description(DETECT_BYTES);
    texts(reader, &first, &start, &mut found.metadata);
    let full = description(if ome::is_ome(&start) { ome::MAX_XML_BYTES } else { MAX_TEXT_BYTES });
    let bad = chain.bad.clone();
    if let Some(first_bad) = bad.first()
        && (bad.len() == chain.pages.len() || (aperio::is_aperio(&start) && first_bad.number == 0))
    {
        return Err(Error::unsupported(first_bad.reason.clone(), path));
    }
    let has_plane_notes = first.get(tag::MICRO_MANAGER).is_some();
    let own = chain.pages.iter().flatten().copied();
    let pages = if has_plane_notes { own.collect() } else { Vec::new() };
    sort_pages(&mut document, path, chain, &start, &full, &mut found);
    for page in bad.iter().take(8) {
        found.warnings.push(format!("page {} is left out: {}", page.number + 1, page.reason));
    }
    if bad.len() > 8 {
        found.warnings.push(format!("{} more pages are left out", bad.len() - 8));
    }
    let description = if ome::is_ome(&start) { String::new() } else { full };
    Ok((document, found, First { description, has_plane_notes, pages }))
}

/// Opens the set that a companion file describes.
pub fn open_companion(path: &Path) -> Result<Opened> {
    let (document, found) = companion_parts(path)?;
    finish(document, found, path)
}

fn companion_parts(path: &Path) -> Result<(Document, Found)> {
    let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    let described = ome_planes::read_companion(path, name).map_err(|e| Error::format(e, path))?;
    let mut document = Document::default();
    let mut found = Found { format: "OME-TIFF".into(), ..Found::default() };
    let images = ome_planes::images(&mut document, path, None, &described, &mut found.warnings)
        .map_err(|e| Error::format(e, path))?;
    ome_texts(&described, &mut found.metadata);
    (found.plans, found.associated) = (images.plans, images.associated);
    Ok((document, found))
}

/// Finds the dialect and lets it sort the pages.
fn sort_pages(document: &mut Document, path: &Path, chain: Chain, start: &str, full: &str, found: &mut Found) {
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    if ome::is_ome(start) {
        match sort_ome(document, path, &chain, full, found) {
            Ok(()) => return,
            Err(reason) => found.warnings.push(format!("{reason}; the pages are shown as they are")),
        }
    } else if imagej::is_imagej(start) {
        let fields = imagej::parse(full);
        if let Some(plan) = imagej::image(document, &chain, &fields, &name, &mut found.warnings) {
            found.format = "ImageJ TIFF".into();
            found.metadata.extend(fields.into_iter().map(|(k, v)| (format!("ImageJ {k}"), v)));
            found.plans.push(plan);
            return;
        }
    } else if aperio::is_aperio(start) {
        let fields = aperio::parse(full);
        if let Some((plan, associated)) = aperio::image(document, &chain, &fields, &name) {
            found.format = "Aperio SVS".into();
            found.metadata.extend(fields.into_iter().map(|(k, v)| (format!("Aperio {k}"), v)));
            found.plans.push(plan);
            found.associated = associated;
            return;
        }
    } else if qptiff::is_qptiff(start)
        && let Some((plan, associated)) = qptiff::image(document, &chain, &name)
    {
        found.format = "Akoya QPTIFF".into();
        found.plans.push(plan);
        found.associated = associated;
        return;
    }
    for (word, vendor) in [("<scn", "Leica SCN"), ("DPUfsImport", "Philips TIFF"), ("<iScan", "Ventana BIF")] {
        if start.contains(word) {
            found.warnings.push(format!("{vendor} is read as plain TIFF pages for now"));
        }
    }
    found.format = "TIFF".into();
    found.plans = generic::images(document, &chain, &name);
}

fn sort_ome(
    document: &mut Document,
    path: &Path,
    chain: &Chain,
    full: &str,
    found: &mut Found,
) -> std::result::Result<(), String> {
    let own = ome::parse(full)?;
    let described = match &own.metadata_file {
        Some(companion) if own.images.is_empty() => {
            let mut described = ome_planes::read_companion(path, companion)?;
            described.uuid = own.uuid.clone();
            described
        }
        _ => own,
    };
    let own_chain = Chain { pages: chain.pages.clone(), ..Chain::default() };
    let images = ome_planes::images(document, path, Some(own_chain), &described, &mut found.warnings)?;
    found.format = "OME-TIFF".into();
    ome_texts(&described, &mut found.metadata);
    found.plans = images.plans;
    found.associated = images.associated;
    Ok(())
}

/// Builds the images; those that cannot be are left out with a warning, unless none is left.
fn finish(document: Document, mut found: Found, path: &Path) -> Result<Opened> {
    let mut images = Vec::new();
    let mut refused = None;
    if found.plans.len() > MAX_IMAGES {
        found.warnings.push(format!("only the first {MAX_IMAGES} of {} images are shown", found.plans.len()));
        found.plans.truncate(MAX_IMAGES);
    }
    for plan in found.plans {
        let name = plan.name.clone();
        match plan.build(&document, &mut found.warnings) {
            Ok(image) => images.push(image),
            Err(reason) => {
                found.warnings.push(format!("{name} is left out: {reason}"));
                refused.get_or_insert(reason);
            }
        }
    }
    if images.is_empty() {
        return Err(Error::unsupported(refused.unwrap_or_else(|| "there is no image in this file".into()), path));
    }
    let infos: Vec<&ImageInfo> = images.iter().map(|(info, _)| info).collect();
    for (info, (_, image)) in infos.iter().zip(&images) {
        let Some(&page) = image.pages[0].iter().find(|&&p| p != read::NO_PAGE) else { continue };
        note_layout(info, &document.pages[page as usize].layout, infos.len() > 1, &mut found.warnings);
    }
    if infos.iter().all(|i| i.um_per_px.is_none())
        && let Some(resolution) = found.metadata.remove("Resolution")
    {
        let note = "ignored: it is not from a known microscope program";
        found.metadata.insert("Resolution".into(), format!("{resolution} ({note})"));
    }
    let source = Arc::new(read::TiffSource::new(document, images, found.associated));
    Ok(Opened { format: found.format, source, metadata: found.metadata, warnings: found.warnings })
}

/// What the user should know about how pixels are shown.
fn note_layout(info: &ImageInfo, layout: &page::PageLayout, several: bool, warnings: &mut Vec<String>) {
    let mut note = |text: String| {
        let text = if several { format!("{}: {text}", info.name) } else { text };
        if !warnings.contains(&text) {
            warnings.push(text);
        }
    };
    if matches!(info.pixel_type, PixelType::U32 | PixelType::I32 | PixelType::F16 | PixelType::F32 | PixelType::F64) {
        note(format!(
            "16-bit preview: {} samples are shown through 16 bits; values under the pointer are the file's own",
            info.pixel_type.name()
        ));
    }
    if layout.photometric == Photometric::WhiteIsZero {
        note(
            "the file says that zero is white; values are shown as they are stored, so light and dark are swapped"
                .into(),
        );
    }
    if !matches!(layout.orientation, 0 | 1) {
        note(format!(
            "the file asks to be turned or mirrored (orientation {}); it is shown as it is stored",
            layout.orientation
        ));
    }
}

/// The texts and numbers of the first page.
fn texts(reader: TagReader<'_>, ifd: &ifd::Ifd, description: &str, metadata: &mut BTreeMap<String, String>) {
    let named = [
        (tag::SOFTWARE, "Software"),
        (tag::DATE_TIME, "Date"),
        (tag::ARTIST, "Artist"),
        (tag::MAKE, "Make"),
        (tag::MODEL, "Model"),
        (tag::COPYRIGHT, "Copyright"),
    ];
    for (tag, name) in named {
        let text = ifd.get(tag).and_then(|t| reader.text(t, MAX_TEXT_BYTES).ok()).unwrap_or_default();
        if !text.trim().is_empty() {
            metadata.insert(name.into(), text.trim().to_owned());
        }
    }
    if !description.trim().is_empty() && !ome::is_ome(description) {
        let full = ifd.get(tag::DESCRIPTION).and_then(|t| reader.text(t, MAX_TEXT_BYTES).ok());
        metadata.insert("Description".into(), full.unwrap_or_default().trim().to_owned());
    }
    let real = |tag: u16| ifd.get(tag).and_then(|t| reader.real(t).ok()).filter(|v| v.is_finite() && *v > 0.0);
    if let (Some(x), Some(y)) = (real(tag::X_RESOLUTION), real(tag::Y_RESOLUTION)) {
        let unit = match real(tag::RESOLUTION_UNIT).unwrap_or(2.0) as u64 {
            2 => "px per inch",
            3 => "px per cm",
            _ => "without a unit",
        };
        metadata.insert("Resolution".into(), format!("{x} x {y} {unit}"));
    }
    for (tag, name) in [(tag::COMPRESSION, "TIFF compression"), (tag::PHOTOMETRIC, "TIFF photometric interpretation")] {
        if let Some(number) = ifd.get(tag).and_then(|t| reader.integer(t, 0).ok()) {
            metadata.insert(name.into(), number.to_string());
        }
    }
}

fn ome_texts(ome: &ome::Ome, metadata: &mut BTreeMap<String, String>) {
    if let Some(creator) = &ome.creator {
        metadata.insert("OME creator".into(), creator.clone());
    }
    for (index, image) in ome.images.iter().enumerate().take(64) {
        let mut put = |what: &str, text: &Option<String>| {
            if let Some(text) = text {
                metadata.insert(format!("OME image {} {what}", index + 1), text.clone());
            }
        };
        put("name", &image.name);
        put("acquired", &image.acquired);
    }
}
