//! Where we look and what must be drawn for it; pure.
//!
//! A [`Camera`] says which part of an image the viewport shows.
//! [`scene`] turns it into [`Quad`]s that partition the visible image, and into wishes: the tiles that would make it
//! sharper.
//! [`prefetch`] names the tiles that the next moment may need.
//! The scale bar and the magnification are computed here too, so that window, snapshot and export agree.
//!
//! Nothing here knows a GPU or a file: what is resident is asked through [`Residency`].

mod camera;
mod cells;
mod display;
#[cfg(test)]
mod fixtures;
mod level_grid;
mod prefetch;
mod scale;
mod scene;

pub use camera::{Camera, ZoomLimits};
pub use display::{BRIGHTFIELD_BACKGROUND, ChannelDisplay, DisplaySettings, FLUORESCENCE_BACKGROUND, MagnifyFilter};
pub use level_grid::gpu_tile_bytes;
pub use prefetch::{MAX_PREFETCH_TILES, prefetch};
pub use scale::{MAGNIFICATION_UM, ScaleBar, magnification, scale_bar, zoom_for_magnification};
pub use scene::{
    FADE_SECS, MAX_WISHES, Presence, Quad, QuadKind, Residency, SCENE_CACHE_SHARE, Scene, SceneRequest, scene,
};
