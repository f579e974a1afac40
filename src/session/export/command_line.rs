//! The command line that does the same as an export of the window.

use super::choices::PictureFormat;
use super::plan::{ExportPlan, ExportWhat, PicturePlan, SamplesPlan};
use crate::geom::PixelRect;
use crate::session::OpenImage;
use std::path::Path;

/// The command line for a plan about an image, as a person would type it. What was decided about the image is found in the
/// user's settings, or in those of a cache folder, which is named then.
pub fn command_line(plan: &ExportPlan, image: &OpenImage, cache_folder: Option<&Path>) -> String {
    let (command, options) = match &plan.what {
        ExportWhat::OmeTiff(samples) => ("export", samples_options(samples, image, "--ome")),
        ExportWhat::Raw(samples) => ("export", samples_options(samples, image, "--raw")),
        ExportWhat::Picture(picture) => match picture.region {
            Some(_) => ("export", region_options(picture, image)),
            None => ("snapshot", view_options(picture, image)),
        },
    };
    let mut words = vec!["microtome".to_owned(), command.to_owned(), quoted(&image.set.path)];
    words.extend(["-o".to_owned(), quoted(&plan.path)]);
    let number = image.set.listed().iter().position(|&field| field == image.id.field).unwrap_or(0);
    if number != 0 {
        words.push(format!("--image {number}"));
    }
    words.extend(options);
    if plan.replace {
        words.push("--force".to_owned());
    }
    words.extend(cache_folder.map(|folder| format!("--cache-dir {}", quoted(folder))));
    words.join(" ")
}

fn samples_options(samples: &SamplesPlan, image: &OpenImage, kind: &str) -> Vec<String> {
    let mut options = vec![kind.to_owned()];
    if !samples.is_whole {
        options.push(region_option(samples.region, image));
    }
    if samples.channels.len() < image.channels.len() {
        options.push(channels_option(&samples.channels));
    }
    options.push(format!("--compression {}", samples.compression.word()));
    if samples.compression == super::Compression::Jpeg {
        options.push(format!("--quality {}", samples.quality));
    }
    if samples.original_metadata {
        options.push("--include-metadata".to_owned());
    }
    if samples.even_illumination {
        options.push("--even-illumination".to_owned());
    }
    options
}

fn region_options(picture: &PicturePlan, image: &OpenImage) -> Vec<String> {
    let mut options = vec!["--rendered".to_owned()];
    if let Some(r) = picture.region.filter(|r| *r != image.whole()) {
        options.push(region_option(r, image));
    }
    options.push(format!("--scale {}", number(picture.camera.zoom)));
    options.extend(painted_options(picture, image));
    options
}

fn view_options(picture: &PicturePlan, image: &OpenImage) -> Vec<String> {
    let (camera, center) = (picture.camera, picture.camera.center - image.corner());
    let mut options = vec![
        format!("--size {}x{}", picture.size.width, picture.size.height),
        format!("--center {},{}", number(center.x), number(center.y)),
        format!("--zoom {}", number(camera.zoom)),
    ];
    if camera.rotation_rad != 0.0 {
        options.push(format!("--rotate {}", number(camera.rotation_rad.to_degrees())));
    }
    options.extend(painted_options(picture, image));
    options
}

fn painted_options(picture: &PicturePlan, image: &OpenImage) -> Vec<String> {
    let mut options = Vec::new();
    let visible: Vec<u16> = image.channels.iter().filter(|c| c.visible).map(|c| c.index).collect();
    if visible.len() < image.channels.len() {
        options.push(channels_option(&visible));
    }
    let info = image.info();
    options.extend((info.z_count > 1).then(|| format!("--z {}", u32::from(picture.z) + 1)));
    options.extend((info.t_count > 1).then(|| format!("--t {}", u32::from(picture.t) + 1)));
    if picture.format == PictureFormat::Jpeg {
        options.push(format!("--quality {}", picture.quality));
    }
    if let Some(dpi) = picture.dpi {
        options.push(format!("--dpi {}", number(dpi)));
    }
    if picture.scale_bar {
        options.push("--scale-bar".to_owned());
        if picture.pixels_per_point != 1.0 {
            options.push(format!("--pixels-per-point {}", picture.pixels_per_point));
        }
    }
    if !picture.outlines.is_empty() {
        options.push("--outlines".to_owned());
    }
    options
}

/// A region, counted from the corner of what is there.
fn region_option(region: PixelRect, image: &OpenImage) -> String {
    let whole = image.whole();
    let (x, y) = (region.x.saturating_sub(whole.x), region.y.saturating_sub(whole.y));
    format!("--region {x},{y},{},{}", region.width, region.height)
}

/// Channels by their numbers from 1: names may hold anything.
fn channels_option(channels: &[u16]) -> String {
    let numbers: Vec<String> = channels.iter().map(|c| (u32::from(*c) + 1).to_string()).collect();
    format!("--channels {}", numbers.join(","))
}

/// A number with all the digits that make it the same number again, and no more.
fn number(value: f64) -> String {
    value.to_string()
}

/// A path as a shell takes it, from wherever it is run: in quotes where it needs them.
fn quoted(path: &Path) -> String {
    // A line that is copied is run in another folder. Where there is no current one, the path is left as it is.
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let text = path.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%,=".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.into_owned()
    } else {
        // Inside single quotes a shell changes nothing; a quote itself stands outside them.
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}
