//! What survives a restart: preferences, recent files, and how each image was shown.

use super::export::ExportChoices;
use crate::engine::Window;
use crate::view::{BRIGHTFIELD_BACKGROUND, FLUORESCENCE_BACKGROUND, MagnifyFilter};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Recent files that are kept: two rows of the start screen.
pub const MAX_RECENT: usize = 12;
/// Images whose display settings are kept, a few hundred bytes each.
pub const MAX_REMEMBERED_IMAGES: usize = 300;
/// The interface can be made this small and this large.
pub const INTERFACE_SCALE: std::ops::RangeInclusive<f32> = 0.5..=3.0;

/// What scrolling over the image does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum ScrollMode {
    /// A touchpad pans, a mouse wheel zooms.
    #[default]
    Automatic,
    /// Scrolling always zooms.
    Zoom,
    /// Scrolling always pans.
    Pan,
}

/// The colour around the tissue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Background {
    /// Light for colour images, dark for channels.
    #[default]
    Automatic,
    /// Dark.
    Dark,
    /// Light.
    Light,
}

impl Background {
    /// The colour around an image, sRGB-encoded.
    pub fn color(self, rgb: bool) -> [u8; 3] {
        match self {
            Self::Light => BRIGHTFIELD_BACKGROUND,
            Self::Dark => FLUORESCENCE_BACKGROUND,
            Self::Automatic if rgb => BRIGHTFIELD_BACKGROUND,
            Self::Automatic => FLUORESCENCE_BACKGROUND,
        }
    }
}

/// The colours of the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum ThemeChoice {
    /// As the system says.
    #[default]
    System,
    /// Dark: made for a dim room.
    Dark,
    /// Light.
    Light,
}

/// How the user wants the program to behave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Preferences {
    /// What scrolling does.
    pub scroll: ScrollMode,
    /// Scrolling goes the other way.
    pub invert_scroll: bool,
    /// The colour around the tissue.
    pub background: Background,
    /// Animation and inertia.
    pub motion: bool,
    /// Smooth pixels above 1:1; squares otherwise.
    pub smooth_pixels: bool,
    /// The colours of the window.
    pub theme: ThemeChoice,
    /// The size of the interface; 1 is normal.
    pub interface_scale: f32,
    /// Whether the overview map is shown.
    pub overview: bool,
}

impl Default for Preferences {
    fn default() -> Self {
        Self {
            scroll: ScrollMode::default(),
            invert_scroll: false,
            background: Background::default(),
            motion: true,
            smooth_pixels: true,
            theme: ThemeChoice::default(),
            interface_scale: 1.0,
            overview: true,
        }
    }
}

impl Preferences {
    /// How pixels are drawn above 1:1.
    pub fn magnify_filter(&self) -> MagnifyFilter {
        if self.smooth_pixels { MagnifyFilter::Linear } else { MagnifyFilter::Nearest }
    }
}

/// The text that [`SETTINGS`] holds.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct SavedSettings {
    pub preferences: Preferences,
    pub window_size: Option<[f32; 2]>,
    pub recent: Vec<PathBuf>,
    pub export: ExportChoices,
}

/// How one channel was shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct SavedChannel {
    pub visible: bool,
    pub color: [u8; 3],
    /// Present once the user set it; an automatic range is found anew.
    pub window: Option<Window>,
}

/// How one image was shown.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct SavedImage {
    pub channels: Vec<SavedChannel>,
    pub um_per_px: Option<[f64; 2]>,
    pub rotation_deg: f64,
    pub flipped: bool,
    /// Counts up; the smallest is dropped first.
    pub last_used: u64,
}

/// The text that [`IMAGES`] holds.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct SavedImages {
    pub images: BTreeMap<String, SavedImage>,
    pub counter: u64,
}

/// The name of the text with preferences and recent files.
pub(super) const SETTINGS: &str = "settings";
/// The name of the text with every image's display settings.
pub(super) const IMAGES: &str = "images";

impl SavedSettings {
    /// Settings with every value inside its limits.
    pub fn checked(mut self) -> Self {
        let scale = self.preferences.interface_scale;
        self.preferences.interface_scale =
            if scale.is_finite() { scale.clamp(*INTERFACE_SCALE.start(), *INTERFACE_SCALE.end()) } else { 1.0 };
        self.window_size =
            self.window_size.filter(|s| s.iter().all(|v| v.is_finite() && (320.0..=16384.0).contains(v)));
        self.recent.truncate(MAX_RECENT);
        self.export = self.export.checked();
        self
    }

    /// Puts a path first in the recent list. Paths that are no text are left out: they could not be saved.
    pub fn remember(&mut self, path: &Path) {
        self.recent.retain(|p| p != path);
        if path.to_str().is_some() {
            self.recent.insert(0, path.to_owned());
        }
        self.recent.truncate(MAX_RECENT);
    }
}

impl SavedImages {
    /// The key of an image: its path and its number.
    fn key(path: &Path, field: u32) -> Option<String> {
        // However a path was given, it is the same image.
        let path = std::path::absolute(path).ok()?;
        path.to_str().map(|p| format!("{p}#{field}"))
    }

    /// How an image was shown last time.
    pub fn get(&self, path: &Path, field: u32) -> Option<&SavedImage> {
        self.images.get(&Self::key(path, field)?)
    }

    /// Remembers how an image is shown, and drops the one that was used longest ago where there are too many.
    pub fn put(&mut self, path: &Path, field: u32, mut image: SavedImage) {
        let Some(key) = Self::key(path, field) else { return };
        self.counter += 1;
        image.last_used = self.counter;
        self.images.insert(key, image);
        while self.images.len() > MAX_REMEMBERED_IMAGES {
            let oldest = self.images.iter().min_by_key(|(_, i)| i.last_used).map(|(k, _)| k.clone());
            match oldest {
                Some(key) => self.images.remove(&key),
                None => break,
            };
        }
    }

    /// Forgets every image of a path.
    pub fn forget(&mut self, path: &Path) {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let Some(path) = path.to_str() else { return };
        self.images.retain(|key, _| key.rsplit_once('#').is_none_or(|(p, _)| p != path));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_recent_file_comes_first_and_only_once() {
        let mut saved = SavedSettings::default();
        for name in ["a", "b", "a"] {
            saved.remember(Path::new(name));
        }
        assert_eq!(saved.recent, [PathBuf::from("a"), PathBuf::from("b")]);
    }

    #[test]
    fn settings_outside_their_limits_are_mended() {
        let text = r#"{"preferences":{"interface_scale":99.0},"window_size":[5.0,100000.0]}"#;
        let saved = serde_json::from_str::<SavedSettings>(text).expect("parses").checked();
        assert_eq!(saved.preferences.interface_scale, 3.0);
        assert_eq!(saved.window_size, None);
    }

    #[test]
    fn an_image_is_remembered_however_its_path_is_given() {
        let mut saved = SavedImages::default();
        saved.put(Path::new("slide"), 0, SavedImage::default());
        let absolute = std::path::absolute("slide").expect("a folder");
        assert!(saved.get(&absolute, 0).is_some());
        saved.forget(Path::new("slide"));
        assert!(saved.get(&absolute, 0).is_none());
    }

    #[test]
    fn the_image_used_longest_ago_is_dropped_first() {
        let mut saved = SavedImages::default();
        for n in 0..=MAX_REMEMBERED_IMAGES {
            saved.put(Path::new(&format!("slide{n}")), 0, SavedImage::default());
        }
        assert!(saved.get(Path::new("slide0"), 0).is_none());
        assert!(saved.get(Path::new("slide1"), 0).is_some());
        saved.forget(Path::new("slide1"));
        assert!(saved.get(Path::new("slide1"), 0).is_none());
        assert!(saved.get(Path::new("slide10"), 0).is_some());
    }
}
