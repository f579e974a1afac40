//! What to draw for a camera, and what is missing.
//!
//! The visible cells of the wanted level are each drawn from the sharpest tiles there are: the wanted tile; finer tiles up
//! to two levels down where they are ready, so that zooming out never falls back from sharp to blurred; else the nearest
//! coarser one.
//! Everything is mapped through level-0 coordinates, so native levels need not be powers of two apart, and the quads of a
//! channel never overlap (but for the two of a cross-fade, whose opacities add up to one): that is what makes additive
//! blending exact.

use super::camera::Camera;
use super::cells::Cells;
use super::display::DisplaySettings;
use super::level_grid::{gpu_tile_bytes, level_for_zoom};
use super::silhouette::Outline;
use crate::geom::{PixelRect, Point, Rect, Size};
use crate::pyramid::{ChannelRole, Coverage, ImageInfo, PlaneId, TileKey};

/// How long a sharper tile takes to fade in, in seconds.
pub const FADE_SECS: f64 = 0.15;
/// The wish list holds no more tiles than this; the next frame asks again for the rest.
pub const MAX_WISHES: usize = 512;
/// A scene takes at most this share of the GPU cache, so that what it replaces can stay until it is replaced.
pub const SCENE_CACHE_SHARE: f64 = 0.8;

/// What is known of a tile on the GPU.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Presence {
    /// Not there.
    Absent,
    /// There, all of it or (a provisional tile) the covered eighths of it.
    Resident {
        /// What it covers.
        coverage: Coverage,
        /// When it came, on the clock of [`SceneRequest::now_secs`].
        since_secs: f64,
    },
    /// There as far as it can be read: the uncovered eighths are hatched.
    Damaged {
        /// What it covers.
        coverage: Coverage,
    },
    /// It cannot be read.
    Failed,
}

/// Answers which tiles are on the GPU.
pub trait Residency {
    /// What is known of a tile.
    fn presence(&self, key: TileKey) -> Presence;

    /// Whether a tile that is there shows an older state of a mosaic: it is drawn, and wished for again.
    fn is_stale(&self, _key: TileKey) -> bool {
        false
    }

    /// What a tile covers, where it is there.
    fn coverage(&self, key: TileKey) -> Option<Coverage> {
        match self.presence(key) {
            Presence::Resident { coverage, .. } | Presence::Damaged { coverage } => Some(coverage),
            Presence::Absent | Presence::Failed => None,
        }
    }
}

/// What a quad shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuadKind {
    /// A tile of light.
    Intensity,
    /// A tile of alpha, which thins out what all channels show.
    Coverage,
    /// The pattern that stands for a tile that cannot be read.
    Hatch,
}

/// A rectangle of one tile on its rectangle of level 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quad {
    /// What it shows.
    pub kind: QuadKind,
    /// The tile.
    pub key: TileKey,
    /// The part of the tile, in its pixels.
    pub uv: Rect,
    /// The centres of the outermost tile pixels that may be sampled, where those beyond are no image.
    pub samples: Option<Rect>,
    /// Level-0 pixels a tile pixel, x and y.
    pub downsample: [f64; 2],
    /// Where it goes, in level-0 pixels.
    pub image: Rect,
    /// Its share of the light; 1 but for cross-fades.
    pub opacity: f32,
    /// Whether its pixels are shown as squares.
    pub nearest: bool,
    /// Its false colour, sRGB-encoded; `None`: as its channel is coloured.
    pub tint: Option<[u8; 3]>,
}

/// Everything to draw, and what would make it better.
#[derive(Debug, Clone, PartialEq)]
pub struct Scene {
    /// What to draw, channel by channel.
    pub quads: Vec<Quad>,
    /// Missing tiles: coarse before fine, nearest to the viewport's middle first; at most [`MAX_WISHES`].
    pub wishes: Vec<TileKey>,
    /// Tiles of the coarsest level, which are not to be evicted.
    pub pinned: Vec<TileKey>,
    /// The level that the visible cells belong to.
    pub wanted_level: u8,
    /// The level that the zoom asks for; finer than the wanted one where the GPU cache has no room for it.
    pub ideal_level: u8,
    /// How much of the visible image is drawn at all, 0 to 1, over the visible channels.
    pub covered: f64,
    /// How much of it is drawn from whole tiles of the wanted level.
    pub sharp: f64,
    /// Whether a cross-fade is under way: draw again soon.
    pub fading: bool,
}

impl Default for Scene {
    /// Nothing to draw, and nothing missing.
    fn default() -> Self {
        Self {
            quads: Vec::new(),
            wishes: Vec::new(),
            pinned: Vec::new(),
            wanted_level: 0,
            ideal_level: 0,
            covered: 1.0,
            sharp: 1.0,
            fading: false,
        }
    }
}

/// What [`scene`] goes by.
#[derive(Clone, Copy)]
pub struct SceneRequest<'a> {
    /// The image.
    pub image: &'a ImageInfo,
    /// Its number in its set.
    pub field: u32,
    /// The focus position.
    pub z: u16,
    /// The time point.
    pub t: u16,
    /// Where we look.
    pub camera: &'a Camera,
    /// The viewport in physical pixels.
    pub viewport: Size,
    /// The part of the viewport that is asked for; `None` for all of it.
    pub region: Option<PixelRect>,
    /// Which channels are shown.
    pub display: &'a DisplaySettings,
    /// Where there is image at all; `None`: everywhere.
    pub outline: Option<&'a dyn Outline>,
    /// What is on the GPU.
    pub resident: &'a dyn Residency,
    /// How many bytes of tiles the GPU may hold.
    pub cache_budget_bytes: u64,
    /// A clock that only goes forward.
    pub now_secs: f64,
    /// How long a cross-fade takes ([`FADE_SECS`]); 0 for none.
    pub fade_secs: f64,
}

impl SceneRequest<'_> {
    /// The visible part of the image, in level-0 pixels; `None` when nothing is visible.
    pub(super) fn visible(&self) -> Option<Rect> {
        if self.image.levels.is_empty() || self.image.size.is_empty() || self.image.tile_side == 0 {
            return None;
        }
        self.camera.image_rect_of(self.screen_region(), self.image.size, self.viewport)
    }

    /// What the screen shows, whether or not there is image.
    pub(super) fn shown_rect(&self) -> Option<Rect> {
        self.camera.shown_rect(self.screen_region(), self.viewport)
    }

    /// The planes to draw, with what their samples mean: what is shown of light, then alpha.
    pub(super) fn planes(&self) -> impl Iterator<Item = (PlaneId, ChannelRole)> + '_ {
        let plane = |channel: usize| PlaneId { field: self.field, channel: channel as u16, z: self.z, t: self.t };
        let shown = |channel: usize| self.display.channels.get(channel).is_some_and(|c| c.visible && c.weight > 0.0);
        let channels = || self.image.channels.iter().enumerate();
        let light = channels()
            .filter(move |&(index, channel)| channel.role == ChannelRole::Intensity && shown(index))
            .map(move |(index, channel)| (plane(index), channel.role));
        let alpha = channels()
            .filter(|(_, channel)| channel.role == ChannelRole::Coverage)
            .map(move |(index, channel)| (plane(index), channel.role));
        light.chain(alpha)
    }

    /// The bytes on the GPU of one tile of every plane that is drawn.
    pub(super) fn bytes_per_cell(&self) -> u64 {
        self.planes()
            .map(|(plane, _)| gpu_tile_bytes(self.image.channels[plane.channel as usize].format, self.image.tile_side))
            .sum()
    }

    pub(super) fn screen_region(&self) -> Rect {
        let region = self.region.unwrap_or(self.viewport.rect());
        Rect::new(
            Point::new(f64::from(region.x), f64::from(region.y)),
            Point::new(f64::from(region.right()), f64::from(region.bottom())),
        )
    }
}

/// What to draw now, and what is missing.
pub fn scene(request: &SceneRequest<'_>) -> Scene {
    let Some(visible) = request.visible() else { return Scene::default() };
    let mut drawing = Cells::new(request, visible);
    let coarsest = (request.image.levels.len() - 1) as u8;
    let ideal_level = level_for_zoom(request.image, request.camera.zoom_xy());
    let bytes_per_cell = request.bytes_per_cell();
    let room = request.cache_budget_bytes as f64 * SCENE_CACHE_SHARE;
    let mut wanted_level = ideal_level;
    let mut cells = drawing.visible_cells(wanted_level);
    while cells.len() as f64 * bytes_per_cell as f64 > room && wanted_level < coarsest {
        wanted_level += 1;
        cells = drawing.visible_cells(wanted_level);
    }
    drawing.set_levels(wanted_level, ideal_level);
    let parts = drawing.parts_of(&cells);
    for (plane, role) in request.planes() {
        drawing.pin_coarsest(plane, coarsest);
        for (&(x, y), parts) in cells.iter().zip(&parts) {
            drawing.clip_to(parts.clone());
            drawing.draw_cell(plane, role, x, y);
        }
    }
    drawing.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::fixtures::{Random, Tiles, image, image_with_levels};
    use crate::view::{MAX_PREFETCH_TILES, prefetch};

    const VIEWPORT: Size = Size::new(800, 600);
    const PLENTY: u64 = 1 << 30;

    fn camera(center: Point, zoom: f64, rotation_rad: f64) -> Camera {
        Camera { center, zoom, rotation_rad, flipped: false, pixel_aspect: 1.0 }
    }

    /// Everything that a request borrows.
    struct Setup {
        image: ImageInfo,
        camera: Camera,
        display: DisplaySettings,
        tiles: Tiles,
        budget: u64,
    }

    impl Setup {
        fn new(image: ImageInfo, camera: Camera) -> Self {
            let display = DisplaySettings::of(&image);
            Self { image, camera, display, tiles: Tiles::default(), budget: PLENTY }
        }

        fn request(&self) -> SceneRequest<'_> {
            SceneRequest {
                image: &self.image,
                field: 0,
                z: 0,
                t: 0,
                camera: &self.camera,
                viewport: VIEWPORT,
                region: None,
                display: &self.display,
                outline: None,
                resident: &self.tiles,
                cache_budget_bytes: self.budget,
                now_secs: 100.0,
                fade_secs: FADE_SECS,
            }
        }

        fn scene(&self) -> Scene {
            scene(&self.request())
        }
    }

    fn key(level: u8, x: u32, y: u32) -> TileKey {
        TileKey { plane: PlaneId::default(), level, x, y }
    }

    #[test]
    fn quads_cover_every_visible_point_exactly_once_whatever_is_resident() {
        let mut random = Random(7);
        for round in 0..40 {
            // Native levels three and ten apart, of odd sizes; derived ones between.
            let native = [Size::new(4001, 3003), Size::new(1334, 1001), Size::new(131, 99)];
            let image = image_with_levels(&native, 128, 1);
            let rotation = if round % 2 == 0 { 0.0 } else { random.unit() * 6.0 };
            let zoom = [0.11, 0.25, 0.4, 0.9, 2.0][round % 5];
            let center = Point::new(random.unit() * 4001.0, random.unit() * 3003.0);
            let mut setup = Setup::new(image, camera(center, zoom, rotation));
            for level in 0..setup.image.levels.len() as u8 {
                let tiles = setup.image.tiles(level);
                for (x, y) in (0..tiles.height).flat_map(|y| (0..tiles.width).map(move |x| (x, y))) {
                    let since_secs = if random.next().is_multiple_of(3) { 99.9 } else { 0.0 };
                    let presence = match random.next() % 5 {
                        0 => Presence::Resident { coverage: Coverage(random.next() << 32 | random.next()), since_secs },
                        1 | 2 => Presence::Resident { coverage: Coverage::FULL, since_secs },
                        _ => continue,
                    };
                    setup.tiles.0.insert(key(level, x, y), presence);
                }
            }
            let coarsest = (setup.image.levels.len() - 1) as u8;
            setup.tiles.add_level(&setup.image, coarsest);
            let scene = setup.scene();
            assert_eq!(scene.covered, 1.0);
            let visible = setup.request().visible().expect("the image shows");
            let map = setup.camera.screen_from_image(VIEWPORT);
            for _ in 0..500 {
                let p = visible.min + Point::new(random.unit() * visible.width(), random.unit() * visible.height());
                let on_screen = map.apply(p);
                if on_screen.x < 0.0 || on_screen.y < 0.0 || on_screen.x > 800.0 || on_screen.y > 600.0 {
                    continue;
                }
                let holding = |q: &&Quad| {
                    q.image.min.x <= p.x && p.x < q.image.max.x && q.image.min.y <= p.y && p.y < q.image.max.y
                };
                let share: f32 = scene.quads.iter().filter(holding).map(|q| q.opacity).sum();
                assert!((share - 1.0).abs() < 1e-6, "round {round}: {share} at {p:?}");
                for quad in scene.quads.iter().filter(holding) {
                    // The place in the tile is the place in the level.
                    let level = setup.image.levels[quad.key.level as usize];
                    let in_tile = quad.uv.min.x + (p.x - quad.image.min.x) / quad.downsample[0];
                    let in_level = p.x / level.downsample[0];
                    assert!((in_tile + f64::from(quad.key.x) * 128.0 - in_level).abs() < 1e-9);
                    assert!(in_tile > -1e-9 && in_tile < 128.0 + 1e-9);
                }
            }
        }
    }

    #[test]
    fn a_missing_tile_is_drawn_from_the_matching_part_of_its_nearest_ancestor() {
        let mut setup = Setup::new(image(Size::new(2048, 2048), 256, 1), camera(Point::new(1024.0, 1024.0), 1.0, 0.0));
        setup.tiles.add_level(&setup.image, 3);
        setup.tiles.add(key(2, 1, 1));
        let scene = setup.scene();
        assert_eq!(scene.wanted_level, 0);
        assert_eq!((scene.covered, scene.sharp), (1.0, 0.0));
        let quad = scene.quads.iter().find(|q| q.image.min == Point::new(1024.0, 1024.0)).expect("a quad");
        assert_eq!(quad.key, key(2, 1, 1));
        assert_eq!(quad.uv, Rect::new(Point::new(0.0, 0.0), Point::new(64.0, 64.0)));
        let far = scene.quads.iter().find(|q| q.image.min == Point::new(768.0, 768.0)).expect("a quad");
        assert_eq!(far.key, key(3, 0, 0));
        assert_eq!(far.uv, Rect::new(Point::new(96.0, 96.0), Point::new(128.0, 128.0)));
    }

    #[test]
    fn zooming_out_shows_finer_tiles_until_the_wanted_one_comes() {
        let mut setup = Setup::new(image(Size::new(2048, 2048), 256, 1), camera(Point::new(1024.0, 1024.0), 0.5, 0.0));
        setup.tiles.add_level(&setup.image, 0);
        setup.tiles.add_level(&setup.image, 3);
        let scene = setup.scene();
        assert_eq!(scene.wanted_level, 1);
        assert!(scene.quads.iter().all(|q| q.key.level == 0));
        assert_eq!(scene.covered, 1.0);
        setup.tiles.add(key(1, 1, 1));
        let quads = setup.scene().quads;
        assert_eq!(quads.iter().filter(|q| q.key.level == 1).count(), 1);
        assert_eq!(quads.len(), scene.quads.len() - 3);
    }

    #[test]
    fn wishes_come_coarse_before_fine_then_nearest_to_the_middle() {
        let mut setup = Setup::new(image(Size::new(8192, 8192), 256, 2), camera(Point::new(4000.0, 3900.0), 1.0, 0.0));
        let wishes = setup.scene().wishes;
        assert_eq!(wishes[0].level, 5);
        assert!(wishes.windows(2).all(|w| w[0].level >= w[1].level));
        // Both channels of the tile under the middle come first among their level.
        let fine: Vec<TileKey> = wishes.iter().copied().filter(|k| k.level == 0).collect();
        assert_eq!((fine[0].x, fine[0].y, fine[1].x, fine[1].y), (15, 15, 15, 15));
        assert_ne!(fine[0].plane.channel, fine[1].plane.channel);
        assert!(wishes.len() <= MAX_WISHES);
        let distinct: std::collections::HashSet<_> = wishes.iter().collect();
        assert_eq!(distinct.len(), wishes.len());
        // With a preview two levels up there, only the wanted tiles are left to wish for.
        for channel in 0..2 {
            for level in [2, 5] {
                let tiles = setup.image.tiles(level);
                for (x, y) in (0..tiles.height).flat_map(|y| (0..tiles.width).map(move |x| (x, y))) {
                    setup.tiles.add(TileKey { plane: PlaneId { channel, ..PlaneId::default() }, level, x, y });
                }
            }
        }
        assert!(setup.scene().wishes.iter().all(|k| k.level == 0));
    }

    #[test]
    fn wishes_and_prefetch_are_bounded_however_large_the_screen() {
        let image = image(Size::new(200_000, 200_000), 128, 8);
        let mut setup = Setup::new(image, camera(Point::new(90_000.0, 90_000.0), 0.51, 0.7));
        setup.budget = u64::MAX;
        let mut request = setup.request();
        request.viewport = Size::new(8000, 4000);
        let scene = scene(&request);
        assert_eq!(scene.wishes.len(), MAX_WISHES);
        assert!(prefetch(&request, &scene, Point::new(1e4, 0.0)).len() <= MAX_PREFETCH_TILES);
    }

    #[test]
    fn a_failed_tile_is_hatched_and_not_asked_for_again() {
        let mut setup = Setup::new(image(Size::new(1024, 1024), 256, 1), camera(Point::new(512.0, 512.0), 1.0, 0.0));
        setup.tiles.add_level(&setup.image, 2);
        setup.tiles.0.insert(key(0, 1, 2), Presence::Failed);
        let scene = setup.scene();
        assert!(!scene.wishes.contains(&key(0, 1, 2)));
        let hatched: Vec<&Quad> = scene.quads.iter().filter(|q| q.kind == QuadKind::Hatch).collect();
        assert_eq!(hatched.len(), 1);
        assert_eq!(hatched[0].key, key(0, 1, 2));
        // What is known of the place from a coarser level stays visible under the pattern.
        assert!(scene.quads.iter().any(|q| q.key.level == 2 && q.image == hatched[0].image));
    }

    #[test]
    fn a_scene_that_would_fill_the_cache_takes_a_coarser_level() {
        let mut setup = Setup::new(image(Size::new(8192, 8192), 256, 4), camera(Point::new(4096.0, 4096.0), 1.0, 0.3));
        let tile = gpu_tile_bytes(crate::pixels::TileFormat::Gray16, 256);
        setup.budget = 40 * tile;
        let scene = setup.scene();
        assert_eq!((scene.ideal_level, scene.wanted_level), (0, 1));
        let wanted = scene.wishes.iter().filter(|k| k.level == 1).count() as u64;
        assert!(wanted * tile <= 32 * tile);
    }

    #[test]
    fn a_new_tile_fades_in_over_what_was_there() {
        let mut setup = Setup::new(image(Size::new(512, 512), 256, 1), camera(Point::new(256.0, 256.0), 1.0, 0.0));
        setup.tiles.add_level(&setup.image, 1);
        let half_way = Presence::Resident { coverage: Coverage::FULL, since_secs: 100.0 - FADE_SECS / 2.0 };
        setup.tiles.0.insert(key(0, 0, 0), half_way);
        let scene = setup.scene();
        assert!(scene.fading);
        let shares: Vec<(u8, f32)> =
            scene.quads.iter().filter(|q| q.image.min == Point::default()).map(|q| (q.key.level, q.opacity)).collect();
        // Eased out: seven eighths of it half way through.
        assert_eq!(shares, [(1, 0.125), (0, 0.875)]);
        // With nothing beneath there is nothing to fade from: the first picture is there at once.
        setup.tiles.0.remove(&key(1, 0, 0));
        let scene = setup.scene();
        assert!(!scene.fading);
        assert_eq!(scene.quads.iter().map(|q| q.opacity).collect::<Vec<_>>(), [1.0]);
    }

    #[test]
    fn a_provisional_tile_is_drawn_only_where_it_is_covered() {
        let mut setup = Setup::new(image(Size::new(256, 256), 256, 1), camera(Point::new(128.0, 128.0), 1.0, 0.0));
        // The upper half, but for its last eighth.
        let coverage = Coverage(0x7f7f_7f7f);
        setup.tiles.0.insert(key(0, 0, 0), Presence::Resident { coverage, since_secs: 0.0 });
        let scene = setup.scene();
        assert_eq!(scene.quads.len(), 1);
        assert_eq!(scene.quads[0].image, Rect::new(Point::default(), Point::new(224.0, 128.0)));
        assert!((scene.covered - 28.0 / 64.0).abs() < 1e-12);
        assert_eq!(scene.sharp, 0.0);
        assert_eq!(scene.wishes, [key(0, 0, 0)]);
    }

    #[test]
    fn channels_that_are_off_need_nothing() {
        let mut setup = Setup::new(image(Size::new(512, 512), 256, 3), camera(Point::new(256.0, 256.0), 1.0, 0.0));
        setup.display.channels[0].visible = false;
        setup.display.channels[2].weight = 0.0;
        assert!(setup.scene().wishes.iter().all(|k| k.plane.channel == 1));
        setup.display.channels[1].visible = false;
        assert_eq!(setup.scene(), Scene { wanted_level: 0, ..Scene::default() });
    }

    #[test]
    fn a_pan_fetches_ahead_of_itself() {
        let mut setup =
            Setup::new(image(Size::new(16_384, 16_384), 256, 1), camera(Point::new(8000.0, 8000.0), 1.0, 0.0));
        for wish in setup.scene().wishes {
            setup.tiles.add(wish);
        }
        let scene = setup.scene();
        assert_eq!(scene.sharp, 1.0);
        let list = prefetch(&setup.request(), &scene, Point::new(1600.0, 0.0));
        assert!(!list.is_empty());
        assert!(list.iter().all(|&k| setup.tiles.presence(k) == Presence::Absent));
        // The first ones lie to the right of what is shown.
        let right = setup.request().visible().expect("the image shows").max.x;
        let grid = crate::view::level_grid::LevelGrid::new(&setup.image, 0);
        assert!(list[..4].iter().all(|k| k.level == 0 && grid.tile_rect(k.x, k.y).max.x > right));
        assert!(list.iter().any(|k| k.level == 1));
    }

    #[test]
    fn a_part_of_the_viewport_needs_only_its_own_tiles() {
        let setup = Setup::new(image(Size::new(4096, 4096), 256, 1), camera(Point::new(2048.0, 2048.0), 1.0, 0.0));
        let mut request = setup.request();
        request.region = Some(PixelRect::new(0, 0, 10, 10));
        let wishes = scene(&request).wishes;
        assert_eq!(wishes.iter().filter(|k| k.level == 0).count(), 1);
    }
}
