//! Small pictures that panels show: thumbnails of files, and a slide's associated pictures.

use crate::geom::Size;
use crate::pyramid::SetId;
use egui::{Color32, ColorImage, Rect, TextureHandle, TextureOptions, Ui, vec2};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Thumbnails kept at once: recent files and what is open, some 64 KiB each.
const MAX_THUMBNAILS: usize = 200;
/// A picture with a side longer than this is not shown: textures have limits.
const MAX_SIDE: u32 = 4096;

/// The pictures as textures.
#[derive(Default)]
pub struct Pictures {
    thumbnails: HashMap<PathBuf, TextureHandle>,
    associated: Option<(SetId, usize, TextureHandle)>,
}

impl Pictures {
    /// A thumbnail came, RGBA rows.
    pub fn thumbnail_arrived(&mut self, ctx: &egui::Context, path: PathBuf, size: Size, rgba: &[u8]) {
        let Some(image) = image_of(size, rgba, 4) else { return };
        if self.thumbnails.len() >= MAX_THUMBNAILS && !self.thumbnails.contains_key(&path) {
            return;
        }
        let texture = ctx.load_texture(path.to_string_lossy(), image, TextureOptions::LINEAR);
        self.thumbnails.insert(path, texture);
    }

    /// An associated picture came, RGB rows.
    pub fn associated_arrived(&mut self, ctx: &egui::Context, set: SetId, index: usize, size: Size, rgb: &[u8]) {
        if let Some(image) = image_of(size, rgb, 3) {
            self.associated = Some((set, index, ctx.load_texture("associated", image, TextureOptions::LINEAR)));
        }
    }

    /// The thumbnail of a path.
    pub fn thumbnail(&self, path: &Path) -> Option<&TextureHandle> {
        self.thumbnails.get(path)
    }

    /// An associated picture, once it came.
    pub fn associated(&self, set: SetId, index: usize) -> Option<&TextureHandle> {
        self.associated.as_ref().filter(|(s, i, _)| (*s, *i) == (set, index)).map(|(.., texture)| texture)
    }

    /// A path is forgotten, and its picture with it.
    pub fn forget(&mut self, path: &Path) {
        self.thumbnails.remove(path);
    }

    /// Paints a picture in the middle of a rectangle, filling it; what sticks out is cut off.
    pub fn paint(&self, ui: &Ui, texture: &TextureHandle, rect: Rect) {
        let size = texture.size_vec2();
        let scale = (rect.width() / size.x).max(rect.height() / size.y);
        let shown = rect.size() / (size * scale);
        let uv = Rect::from_center_size(egui::pos2(0.5, 0.5), vec2(shown.x.min(1.0), shown.y.min(1.0)));
        ui.painter().add(egui::epaint::RectShape::filled(rect, 3.0, Color32::WHITE).with_texture(texture.id(), uv));
    }
}

fn image_of(size: Size, bytes: &[u8], bytes_per_px: u64) -> Option<ColorImage> {
    let fits = size.width.max(size.height) <= MAX_SIDE && !size.is_empty();
    if !fits || bytes.len() as u64 != size.area() * bytes_per_px {
        return None;
    }
    let extent = [size.width as usize, size.height as usize];
    Some(match bytes_per_px {
        4 => ColorImage::from_rgba_unmultiplied(extent, bytes),
        _ => ColorImage::from_rgb(extent, bytes),
    })
}
