//! Exports of the window as work for the engine: samples by its writers, pictures by the renderer.

use super::painted::{PaintedPicture, ShownImage, write_jpeg, write_png, write_tiff};
use crate::engine::{ExportJob, ExportTools, FrozenMosaic, OpenSet};
use crate::error::{Error, Result};
use crate::export::{
    BandSource, ImagePart, OmeTiffOptions, Original, RawExport, TileCompression, estimate, export_raw, write_ome_tiff,
    write_raw_bands,
};
use crate::mosaic::MOSAIC;
use crate::pyramid::Cancel;
use crate::session::{Compression, ExportPlan, ExportWhat, PictureFormat, PicturePlan, SamplesPlan};
use crate::store::Existing;
use std::path::Path;

/// What writes a plan.
pub fn job(plan: ExportPlan) -> ExportJob {
    let ExportPlan { image, path, replace, what } = plan;
    ExportJob {
        set: image.set,
        path,
        existing: Existing::replaced_if(replace),
        write: Box::new(move |tools| match &what {
            ExportWhat::Raw(samples) => write_raw(tools, image.field, samples),
            ExportWhat::OmeTiff(samples) => write_ome(tools, image.field, samples),
            // What cannot be read is hatched in a picture.
            ExportWhat::Picture(picture) => write_picture(tools, picture).map(|()| 0),
        }),
    }
}

/// How tiles are packed, in the words of the writers.
fn compression(samples: &SamplesPlan) -> TileCompression {
    match samples.compression {
        Compression::None => TileCompression::None,
        Compression::Lzw => TileCompression::Lzw,
        Compression::Deflate => TileCompression::Deflate,
        Compression::Zstd => TileCompression::Zstd,
        Compression::Jpeg => TileCompression::Jpeg { quality: samples.quality },
    }
}

fn write_raw(tools: &ExportTools<'_>, field: u32, samples: &SamplesPlan) -> Result<u64> {
    let mut progress = |done, total| (tools.progress)(done, total);
    if tools.set.mosaic.is_some() {
        let frozen = tools.set.frozen();
        let bands = bands(tools.set, frozen.as_ref(), field, samples, tools.to.path)?;
        tell_of_light(tools, frozen.as_ref(), samples);
        write_raw_bands(&*bands, compression(samples), tools.to, &mut progress, tools.cancel)?;
        return Ok(bands.unreadable_parts());
    }
    let what = RawExport {
        field,
        level: 0,
        region: samples.region,
        channels: samples.channels.clone(),
        compression: compression(samples),
        um_per_px: samples.um_per_px,
    };
    export_raw(&tools.set.pyramid, &what, tools.to, &mut progress, tools.cancel).map(|()| 0)
}

fn write_ome(tools: &ExportTools<'_>, field: u32, samples: &SamplesPlan) -> Result<u64> {
    let (pyramid, opened) = (&tools.set.pyramid, &tools.set.opened);
    let frozen = tools.set.frozen();
    let bands = bands(tools.set, frozen.as_ref(), field, samples, tools.to.path)?;
    tell_of_light(tools, frozen.as_ref(), samples);
    let mut original = if samples.original_metadata {
        let name = opened.info(field).map_or("", |info| info.name.as_str());
        Original::of(name, &opened.metadata, &**pyramid.source(), &opened.path)?
    } else {
        Original::default()
    };
    original.notes.extend(frozen.iter().flat_map(|mosaic| mosaic.notes(&samples.channels, samples.even_illumination)));
    let options = OmeTiffOptions { compression: compression(samples), verify: true, original };
    let mut progress = |done, total| (tools.progress)(done, total);
    let written = write_ome_tiff(&*bands, &options, tools.to, tools.pool, &mut progress, tools.cancel)?;
    Ok(written.unreadable_parts)
}

/// Says which channels of a mosaic could not be evened out, where that was asked for.
fn tell_of_light(tools: &ExportTools<'_>, frozen: Option<&FrozenMosaic>, samples: &SamplesPlan) {
    if let Some(mosaic) = frozen.filter(|_| samples.even_illumination) {
        mosaic.light_told(&samples.channels).lines().into_iter().for_each(tools.tell);
    }
}

/// What a plan reads; of a mosaic as it stood, which may be elsewhere in its frame than when it was planned.
fn bands<'a>(
    set: &'a OpenSet,
    frozen: Option<&FrozenMosaic>,
    field: u32,
    samples: &SamplesPlan,
    path: &Path,
) -> Result<Box<dyn BandSource + 'a>> {
    let no_image = || Error::unsupported("there is no such image", path);
    let (image, region) = match frozen.filter(|_| field == MOSAIC) {
        Some(mosaic) if samples.is_whole => (mosaic.state.info.as_ref().clone(), mosaic.state.geometry.extent),
        Some(mosaic) => (mosaic.state.info.as_ref().clone(), mosaic.region_since(samples.region, samples.origin)),
        None => (set.image(field).ok_or_else(no_image)?, samples.region),
    };
    let whole = ImagePart::whole(field, &image);
    let part = ImagePart { region, channels: samples.channels.clone(), ..whole };
    set.bands(frozen, part, samples.um_per_px, samples.even_illumination, path)
}

/// What packing leaves of the samples of a plan, from a few places; `None` for pictures.
pub fn packed_share(set: &OpenSet, plan: &ExportPlan) -> Result<Option<f64>> {
    let (ExportWhat::OmeTiff(samples) | ExportWhat::Raw(samples)) = &plan.what else { return Ok(None) };
    let bands = bands(set, set.frozen().as_ref(), plan.image.field, samples, &plan.path)?;
    let compression = compression(samples);
    let options = OmeTiffOptions { compression, verify: false, original: Original::default() };
    let packed = estimate(&*bands, &options, &plan.path, &set.cancel)?;
    Ok((samples.bytes() > 0).then(|| packed.bytes as f64 / samples.bytes_with_levels()))
}

fn write_picture(tools: &ExportTools<'_>, plan: &PicturePlan) -> Result<()> {
    let shown = shown(plan);
    let picture = painted(tools.set, &shown, plan, tools.cancel)?;
    match plan.format {
        PictureFormat::Png => write_png(&picture, tools.to, tools.progress),
        PictureFormat::Tiff => write_tiff(&picture, tools.to, TileCompression::Deflate, tools.progress),
        PictureFormat::Jpeg => write_jpeg(&picture, tools.to, plan.quality, tools.progress),
    }
}

/// The picture of a plan, ready to be painted.
pub fn painted<'a>(
    set: &'a OpenSet,
    shown: &'a ShownImage,
    plan: &PicturePlan,
    cancel: &Cancel,
) -> Result<PaintedPicture<'a>> {
    let mut picture =
        PaintedPicture::new(set, shown, plan.camera, plan.size)?.planned_at(plan.origin).cancelled_by(cancel);
    if plan.scale_bar {
        picture.add_scale_bar(plan.pixels_per_point)?;
    }
    if !plan.outlines.is_empty() {
        picture.add_outlines(&plan.outlines, plan.pixels_per_point);
    }
    if let Some(dpi) = plan.dpi {
        picture.set_dpi(dpi);
    }
    Ok(picture)
}

/// What a plan shows of its image.
pub fn shown(plan: &PicturePlan) -> ShownImage {
    ShownImage {
        field: plan.image.field,
        z: plan.z,
        t: plan.t,
        um_per_px: plan.um_per_px,
        display: plan.display.clone(),
    }
}
