//! Where we look and what must be drawn for it; pure.
//!
//! A [`Camera`] says which part of an image the viewport shows.
//! [`scene`] turns it into [`Quad`]s that partition the visible image, and into wishes: the tiles that would make it
//! sharper.
//! A mosaic is drawn by [`MosaicDrawing`]: from its fields' own tiles ([`field_scene`]) while they move, from fused tiles when
//! they rest.
//! [`prefetch`] names the tiles that the next moment may need.
//! The scale bar and the magnification are computed here too, so that window, snapshot and export agree.
//!
//! Nothing here knows a GPU or a file: what is resident is asked through [`Residency`].

mod camera;
mod cells;
mod display;
mod field_scene;
#[cfg(test)]
mod fixtures;
mod level_grid;
mod mosaic_scene;
mod prefetch;
mod scale;
mod scene;
mod silhouette;

pub use camera::{Camera, ZoomLimits};
pub use display::{BRIGHTFIELD_BACKGROUND, ChannelDisplay, DisplaySettings, FLUORESCENCE_BACKGROUND, MagnifyFilter};
pub use field_scene::{FieldPair, FieldSceneRequest, field_scene};
pub use level_grid::gpu_tile_bytes;
pub use mosaic_scene::{
    DrawnFrom, FORMER_MOSAIC, LEAST_FIELD_SCREEN_PX, MosaicDrawing, MosaicPlaces, MosaicSceneRequest, MosaicScenes,
    REFRESH_SECS, fields_in,
};
pub use prefetch::{MAX_PREFETCH_TILES, prefetch};
pub use scale::{MAGNIFICATION_UM, ScaleBar, magnification, scale_bar, zoom_for_magnification};
pub use scene::{
    FADE_SECS, MAX_WISHES, Presence, Quad, QuadKind, Residency, SCENE_CACHE_SHARE, Scene, SceneRequest, scene,
};
pub use silhouette::{GeometryOutline, Outline, Part, Silhouette};
