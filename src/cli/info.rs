//! `microtome info`: what is in a file, from its headers.

use crate::engine::{MosaicEdits, OpenMosaic, format_of, metadata_of};
use crate::error::{Error, Result};
use crate::formats;
use crate::image_set::{Entry, FieldSet};
use crate::mosaic::FieldsSource;
use crate::pyramid::{ChannelRole, ImageInfo, LevelOrigin, Source};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;

/// Prints what is in `path`, for people or as one JSON object.
pub fn run(path: &Path, as_json: bool) -> Result<()> {
    let resolved = crate::image_set::resolve(path)?;
    let entry = resolved.entries.first();
    let entry = entry.ok_or_else(|| Error::unsupported("there is no image in this folder", path))?;
    let (name, object) = match entry {
        Entry::File(file) => (file.as_path(), describe(&formats::open(file)?)),
        Entry::Fields(fields) => (fields.path.as_path(), describe_fields(fields)?),
    };
    if as_json {
        println!("{object:#}");
    } else {
        print!("{}", in_words(name, &object));
    }
    Ok(())
}

/// The JSON object of a mosaic at its nominal layout, from headers alone.
fn describe_fields(fields: &Arc<FieldSet>) -> Result<Value> {
    let source = FieldsSource::open(fields.clone())?;
    let mosaic = OpenMosaic::new(fields, source.images().into(), String::new(), MosaicEdits::default(), false)?;
    Ok(json!({
        "format": format_of(fields),
        "warnings": fields.warnings,
        "images": [image(&mosaic.state().info)],
        "associated": [],
        "fields": fields.fields.len(),
        "metadata": metadata_of(fields),
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
