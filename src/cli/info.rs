//! `microtome info`: what is in a file, from its headers.

use super::{Context, entries};
use crate::engine::{Decided, OpenMosaic, format_of, metadata_of};
use crate::error::Result;
use crate::formats;
use crate::image_set::{Entry, FieldSet};
use crate::mosaic::FieldsSource;
use crate::pyramid::{ChannelRole, ImageInfo, LevelOrigin, Source};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;

/// Prints what is in `path`, for people or as one JSON object. Of several images each is listed; one that cannot be read
/// says why.
pub fn run(context: &Context, path: &Path, as_json: bool) -> Result<()> {
    let mut entries = crate::image_set::resolve(path)?.entries;
    if entries.len() <= 1 {
        let entry = entries::only(std::mem::take(&mut entries), path)?;
        let object = describe_entry(context, &entry)?;
        if as_json {
            println!("{object:#}");
        } else {
            print!("{}", in_words(entry.path(), &object));
        }
        return Ok(());
    }
    let described = entries.iter().map(|entry| {
        let mut object = describe_entry(context, entry).unwrap_or_else(|error| json!({ "error": error.to_string() }));
        object["path"] = entry.path().display().to_string().into();
        object["name"] = entries::name(entry, path).into();
        object
    });
    if as_json {
        println!("{:#}", json!({ "format": "folder", "entries": described.collect::<Vec<_>>() }));
    } else {
        println!(
            "{}\n{} images, each to be named as in {}\n",
            path.display(),
            entries.len(),
            entries[0].path().display()
        );
        described.for_each(|object| println!("{}", in_one_line(&object)));
    }
    Ok(())
}

/// One image of several, in a line for a person.
fn in_one_line(object: &Value) -> String {
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    if let Some(why) = object["error"].as_str() {
        return format!("{}  cannot be read: {why}", text(&object["name"]));
    }
    let sizes: Vec<String> = object["images"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|image| format!("{} x {} px", image["width"], image["height"]))
        .collect();
    format!("{}  {}  {}", text(&object["name"]), sizes.join(", "), text(&object["format"]))
}

fn describe_entry(context: &Context, entry: &Entry) -> Result<Value> {
    match entry {
        Entry::File(file) => Ok(describe(&formats::open(file)?)),
        Entry::Fields(fields) => describe_fields(context, fields),
    }
}

/// The JSON object of a mosaic as its user laid it out, from headers alone.
fn describe_fields(context: &Context, fields: &Arc<FieldSet>) -> Result<Value> {
    let Decided { fields, fingerprint, edits } = entries::decided(context, fields);
    let source = FieldsSource::open(fields.clone())?;
    let mosaic = OpenMosaic::new(&fields, source.images().into(), fingerprint, edits, false)?;
    let state = mosaic.state();
    let mut warnings: Vec<String> = fields.warnings.iter().chain(&mosaic.warnings).cloned().collect();
    warnings.push("the size is that of the layout; aligned fields may stand a few pixels off".to_owned());
    Ok(json!({
        "format": format_of(&fields),
        "warnings": warnings,
        "images": [image(&state.geometry.extent_info(&state.info))],
        "associated": [],
        "fields": fields.fields.len(),
        "metadata": metadata_of(&fields),
    }))
}

/// The JSON object of an opened file.
fn describe(opened: &formats::Opened) -> Value {
    let source: &dyn Source = &*opened.source;
    json!({
        "format": opened.format,
        "warnings": opened.warnings,
        "images": source.images().iter().map(image).collect::<Vec<_>>(),
        "associated": source.associated().iter().map(|a| json!({
            "name": a.name, "width": a.size.width, "height": a.size.height,
        })).collect::<Vec<_>>(),
        "fields": 0,
        "metadata": opened.metadata,
    })
}

fn image(image: &ImageInfo) -> Value {
    json!({
        "name": image.name,
        "width": image.size.width,
        "height": image.size.height,
        "pixel_type": image.pixel_type.name(),
        "channels": image.channels.iter().filter(|c| c.role == ChannelRole::Intensity).map(|c| json!({
            "name": c.name,
            "color": c.color.map(|[r, g, b]| format!("#{r:02x}{g:02x}{b:02x}")),
        })).collect::<Vec<_>>(),
        "alpha": image.channels.iter().any(|c| c.role == ChannelRole::Coverage),
        "z": image.z_count,
        "t": image.t_count,
        "um_per_px": image.um_per_px,
        "magnification": image.objective,
        "levels": image.levels.iter().map(|l| json!({
            "width": l.size.width,
            "height": l.size.height,
            "native": matches!(l.origin, LevelOrigin::Native(_)),
        })).collect::<Vec<_>>(),
    })
}

/// The same object in lines for a person.
fn in_words(path: &Path, object: &Value) -> String {
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let list = |v: &Value| v.as_array().cloned().unwrap_or_default();
    let mut out = format!("{}\n{}\n", path.display(), text(&object["format"]));
    for image in list(&object["images"]) {
        out += &format!("\n{}\n", text(&image["name"]));
        out += &format!("  size        {} x {} px, {}\n", image["width"], image["height"], text(&image["pixel_type"]));
        let names: Vec<_> = list(&image["channels"]).iter().map(|c| text(&c["name"])).collect();
        out += &format!("  channels    {}\n", names.join(", "));
        if image["z"] != 1 || image["t"] != 1 {
            out += &format!("  planes      {} z, {} t\n", image["z"], image["t"]);
        }
        match list(&image["um_per_px"])[..] {
            [ref x, ref y] if x == y => out += &format!("  pixel size  {x} um\n"),
            [ref x, ref y] => out += &format!("  pixel size  {x} x {y} um\n"),
            _ => out += "  pixel size  not known\n",
        }
        let levels: Vec<_> = list(&image["levels"])
            .iter()
            .filter(|l| l["native"] == true)
            .map(|l| format!("{} x {}", l["width"], l["height"]))
            .collect();
        out += &format!("  levels      {}\n", levels.join(", "));
    }
    for other in list(&object["associated"]) {
        out += &format!("\n{}: {} x {} px\n", text(&other["name"]), other["width"], other["height"]);
    }
    for warning in list(&object["warnings"]) {
        out += &format!("\nnote: {}\n", text(&warning));
    }
    out
}
