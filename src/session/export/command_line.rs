//! The command line that does the same as an export of the window.

use super::choices::PictureFormat;
use super::plan::{ExportPlan, ExportWhat, PicturePlan, SamplesPlan};
use crate::session::OpenImage;
use std::path::Path;

/// The command line for a plan about an image, as a person would type it.
pub fn command_line(plan: &ExportPlan, image: &OpenImage) -> String {
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
    words.join(" ")
}

fn samples_options(samples: &SamplesPlan, image: &OpenImage, kind: &str) -> Vec<String> {
    let mut options = vec![kind.to_owned()];
    if !samples.is_whole {
        let r = samples.region;
        options.push(format!("--region {},{},{},{}", r.x, r.y, r.width, r.height));
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
        options.push(format!("--region {},{},{},{}", r.x, r.y, r.width, r.height));
    }
    options.push(format!("--scale {}", number(picture.camera.zoom)));
    options.extend(painted_options(picture, image));
    options
}

fn view_options(picture: &PicturePlan, image: &OpenImage) -> Vec<String> {
    let camera = picture.camera;
    let mut options = vec![
        format!("--size {}x{}", picture.size.width, picture.size.height),
        format!("--center {},{}", number(camera.center.x), number(camera.center.y)),
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
    if picture.format == PictureFormat::Jpeg {
        options.push(format!("--quality {}", picture.quality));
    }
    if let Some(dpi) = picture.dpi {
        options.push(format!("--dpi {}", number(dpi)));
    }
    if picture.scale_bar {
        options.push("--scale-bar".to_owned());
        if picture.pixels_per_point != 1.0 {
            options.push(format!("--pixels-per-point {}", number(picture.pixels_per_point.into())));
        }
    }
    if !picture.outlines.is_empty() {
        options.push("--outlines".to_owned());
    }
    options
}

/// Channels by their numbers from 1: names may hold anything.
fn channels_option(channels: &[u16]) -> String {
    let numbers: Vec<String> = channels.iter().map(|c| (u32::from(*c) + 1).to_string()).collect();
    format!("--channels {}", numbers.join(","))
}

/// A number with as many digits as a picture needs, and no more.
fn number(value: f64) -> String {
    let text = format!("{value:.6}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A path as a shell takes it: in quotes where it needs them.
fn quoted(path: &Path) -> String {
    let text = path.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%,=".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.into_owned()
    } else {
        // Inside single quotes a shell changes nothing; a quote itself stands outside them.
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}
