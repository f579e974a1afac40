//! How a mosaic is drawn from frame to frame: its fields' own tiles while they move, fused tiles when they rest.
//!
//! What is on the screen stays there until what replaces it covers as much and is as sharp, so that a switch is not seen.

use super::camera::Camera;
use super::field_scene::{FieldPair, FieldSceneRequest, field_scene};
use super::scene::{MAX_WISHES, Scene, SceneRequest, scene};
use super::silhouette::{KnownParts, Outline, Silhouette};
use crate::geom::{Point, Rect};
use crate::mosaic::{Geometry, MOSAIC, Placed};
use crate::pyramid::{ImageInfo, TileKey};
use rustc_hash::FxHashSet;
use std::sync::Arc;

/// Fields are drawn by themselves while they move and their longer side is at least this long, in physical screen pixels.
pub const LEAST_FIELD_SCREEN_PX: f64 = 128.0;
/// Fused tiles are asked for anew at most this often while places change.
pub const REFRESH_SECS: f64 = 0.5;
/// Below this size, fields that are drawn by themselves are so many that fused tiles are better, whatever they show yet.
const FORCED_FUSED_SCREEN_PX: f64 = 64.0;
/// The same holds where more fields than this are seen at once, as where they overlap by much: a frame must stay a frame.
const MAX_FIELDS_DRAWN: usize = 2048;
/// While one scene waits to replace another, each may take this share of the GPU cache.
const SHARE_OF_TWO: f64 = 0.5;
/// Fields this near to their places, in pixels, stand there.
const STILL_PX: f64 = 1e-6;
/// Areas add up in floating point: a share this near is the same.
const SHARE_TOLERANCE: f64 = 1e-6;

/// Fused tiles of the frame before the present one have keys with this field number, where [`MOSAIC`] stands for those of
/// the present one.
pub const FORMER_MOSAIC: u32 = MOSAIC - 1;
/// The frame before the present one is shown for this long at most.
const FORMER_SECS: f64 = 2.0;

/// What a mosaic is drawn from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DrawnFrom {
    /// The fields' own tiles.
    Fields,
    /// Fused tiles.
    Fused,
    /// Fused tiles of the frame before, moved to where they belong in the present one.
    FormerFrame,
}

/// The image as it was before its frame moved.
#[derive(Debug, Clone)]
struct FormerFrame {
    info: Arc<ImageInfo>,
    geometry: Arc<Geometry>,
    known_parts: KnownParts,
    /// What lay at `p` lies at `p +` this now.
    moved: Point,
    until_secs: f64,
}

/// Where the fields of a mosaic are in a frame of the window.
#[derive(Clone, Copy)]
pub struct MosaicPlaces<'a> {
    /// Where they belong.
    pub geometry: &'a Arc<Geometry>,
    /// The mosaic as an image, likewise.
    pub info: &'a Arc<ImageInfo>,
    /// Where they stand now, by number, in the geometry's image coordinates.
    pub positions: &'a [Point],
    /// Whether they move, or have only just come to rest.
    pub moves: bool,
}

/// The mosaic of this frame.
#[derive(Clone, Copy)]
pub struct MosaicSceneRequest<'a> {
    /// The mosaic: its image, where we look, how it is shown, what is resident of its set (with
    /// [`MosaicDrawing::wanted_generation`]).
    pub mosaic: SceneRequest<'a>,
    /// The fields' own pyramids, by number.
    pub images: &'a [ImageInfo],
    /// Two fields to compare in false colours.
    pub pair: Option<FieldPair>,
}

/// What to draw of a mosaic, and what is on its way to replace it.
#[derive(Debug, Clone, Default)]
pub struct MosaicScenes {
    /// What is drawn. Its wishes are those of both scenes.
    pub drawn: Scene,
    /// What will be drawn once it is there: not to be evicted meanwhile.
    pub awaited: Option<Scene>,
    /// Seconds until the next frame would differ, if nothing arrives; `None`: it would not.
    pub again_secs: Option<f64>,
}

/// How a mosaic is being drawn.
#[derive(Debug, Clone, Default)]
pub struct MosaicDrawing {
    drawn_from: Option<DrawnFrom>,
    /// The newest geometry, and the image under it; `None` before the first frame.
    newest: Option<(Arc<Geometry>, Arc<ImageInfo>)>,
    /// Where the image has fields under it.
    known_parts: KnownParts,
    former: Option<FormerFrame>,
    wanted_generation: u64,
    refreshed_secs: f64,
    /// The first generation in the present frame: tiles of older ones lie elsewhere.
    frame_generation: u64,
    /// Where the fields stand in this frame.
    fields: Vec<Placed>,
    moves: bool,
}

impl MosaicDrawing {
    /// Begins a frame.
    pub fn begin_frame(&mut self, places: &MosaicPlaces<'_>, now_secs: f64) {
        let MosaicPlaces { geometry, info, positions, moves } = *places;
        let before = self.newest.take();
        if before.is_none() {
            self.frame_generation = geometry.generation;
            self.want(geometry.generation, now_secs);
        }
        let is_same = |old: &Geometry| old.origin == geometry.origin && old.fields.len() == geometry.fields.len();
        if before.as_ref().is_none_or(|(old, _)| old.generation != geometry.generation) {
            let known_parts = self.known_parts.take();
            if let Some((old, info)) = before.filter(|(old, _)| !is_same(old)) {
                let is_seen = self.drawn_from == Some(DrawnFrom::Fused);
                self.former = is_seen.then(|| FormerFrame {
                    moved: old.origin - geometry.origin,
                    info,
                    geometry: old,
                    known_parts: KnownParts::new(known_parts),
                    until_secs: now_secs + FORMER_SECS,
                });
                if self.drawn_from != Some(DrawnFrom::Fields) {
                    self.drawn_from = self.former.as_ref().map(|_| DrawnFrom::FormerFrame);
                }
                self.frame_generation = geometry.generation;
                self.want(geometry.generation, now_secs);
            }
        }
        self.newest = Some((geometry.clone(), info.clone()));
        // A field that was let go of stays where it is until the engine has heard of it.
        let elsewhere = |(at, field): (&Point, &Placed)| at.distance(field.position) > STILL_PX;
        self.moves = moves || positions.iter().zip(&*geometry.fields).any(elsewhere);
        self.fields.clear();
        let placed = positions.iter().zip(&*geometry.fields);
        self.fields.extend(placed.map(|(&position, field)| Placed { position, ..*field }));
        // While the fields' own tiles are drawn, nobody sees fused ones; those that are to follow are wanted at once.
        let unseen = self.drawn_from == Some(DrawnFrom::Fields) && !self.moves;
        if unseen || now_secs - self.refreshed_secs >= REFRESH_SECS {
            self.want(geometry.generation, now_secs);
        }
    }

    fn want(&mut self, generation: u64, now_secs: f64) {
        if self.wanted_generation != generation {
            self.wanted_generation = generation;
            self.refreshed_secs = now_secs;
        }
    }

    /// Fused tiles of an older generation than this are drawn, and wished for again.
    pub fn wanted_generation(&self) -> u64 {
        self.wanted_generation
    }

    /// Fused tiles of an older generation than this lie elsewhere: the image's frame was another then.
    pub fn frame_generation(&self) -> u64 {
        self.frame_generation
    }

    /// Where the fields stand in this frame, by number, in image coordinates.
    pub fn fields(&self) -> &[Placed] {
        &self.fields
    }

    /// Where the image has fields; `None` before the first frame.
    pub fn outline(&self) -> Option<Silhouette<'_>> {
        self.newest.as_ref().map(|(geometry, _)| Silhouette::new(geometry, &self.known_parts))
    }

    /// What the last frame was drawn from.
    pub fn drawn_from(&self) -> Option<DrawnFrom> {
        self.drawn_from
    }

    /// Whether the fields' own tiles are drawn.
    pub fn draws_fields(&self) -> bool {
        self.drawn_from == Some(DrawnFrom::Fields)
    }

    /// What to draw in this frame.
    pub fn scenes(&mut self, request: &MosaicSceneRequest<'_>) -> MosaicScenes {
        let now = request.mosaic.now_secs;
        let are_too_many = self.are_too_many(request);
        let target = if are_too_many { DrawnFrom::Fused } else { self.target(request) };
        let drawn_from = self.drawn_from.unwrap_or(target);
        let again_secs = self.again_secs(now);
        if drawn_from == target || are_too_many && drawn_from == DrawnFrom::Fields {
            self.drawn_from = Some(target);
            return MosaicScenes { drawn: self.scene_from(target, request), awaited: None, again_secs };
        }
        let halved = (request.mosaic.cache_budget_bytes as f64 * SHARE_OF_TWO) as u64;
        let shared =
            MosaicSceneRequest { mosaic: SceneRequest { cache_budget_bytes: halved, ..request.mosaic }, ..*request };
        let mut old = self.scene_from(drawn_from, &shared);
        let mut new = self.scene_from(target, &shared);
        if self.may_replace(request, &old, &new) {
            self.drawn_from = Some(target);
            // With the cache to itself it may be sharper.
            let drawn = self.scene_from(target, request);
            return MosaicScenes { drawn, awaited: None, again_secs };
        }
        self.drawn_from = Some(drawn_from);
        // What is to come comes first: the other is there already, by and large.
        join_wishes(&mut old, &mut new);
        MosaicScenes { drawn: old, awaited: Some(new), again_secs }
    }

    /// What the mosaic is to be drawn from, as soon as it can.
    fn target(&self, request: &MosaicSceneRequest<'_>) -> DrawnFrom {
        let side = self.field_screen_px(request);
        let moves = self.moves && side >= LEAST_FIELD_SCREEN_PX;
        if request.pair.is_some() || moves { DrawnFrom::Fields } else { DrawnFrom::Fused }
    }

    /// Whether fields are so small, or so many are seen, that they cannot be drawn by themselves.
    fn are_too_many(&self, request: &MosaicSceneRequest<'_>) -> bool {
        let seen = || request.mosaic.shown_rect().map_or(0, |shown| fields_in(&self.fields, shown).count());
        let may_be_drawn = self.moves || request.pair.is_some() || self.drawn_from == Some(DrawnFrom::Fields);
        self.field_screen_px(request) < FORCED_FUSED_SCREEN_PX || may_be_drawn && seen() > MAX_FIELDS_DRAWN
    }

    /// The longer side of the largest field on the screen.
    fn field_screen_px(&self, request: &MosaicSceneRequest<'_>) -> f64 {
        let [zoom_x, zoom_y] = request.mosaic.camera.zoom_xy();
        let side = |field: &Placed| (f64::from(field.size.width) * zoom_x).max(f64::from(field.size.height) * zoom_y);
        self.fields.iter().map(side).fold(0.0, f64::max)
    }

    fn scene_from(&self, from: DrawnFrom, request: &MosaicSceneRequest<'_>) -> Scene {
        match from {
            DrawnFrom::Fused => {
                let outline = self.outline();
                let outline = outline.as_ref().map(|outline| outline as &dyn Outline);
                scene(&SceneRequest { outline, ..request.mosaic })
            }
            DrawnFrom::FormerFrame => {
                self.former.as_ref().map_or_else(Scene::default, |former| former_scene(former, &request.mosaic))
            }
            DrawnFrom::Fields => field_scene(&FieldSceneRequest {
                mosaic: request.mosaic,
                images: request.images,
                fields: &self.fields,
                pair: request.pair,
            }),
        }
    }

    /// Whether a scene can take the place of another without being seen to.
    fn may_replace(&self, request: &MosaicSceneRequest<'_>, old: &Scene, new: &Scene) -> bool {
        if self.drawn_from == Some(DrawnFrom::FormerFrame)
            && self.former.as_ref().is_none_or(|former| request.mosaic.now_secs >= former.until_secs)
        {
            return true;
        }
        let covers = new.covered + SHARE_TOLERANCE >= old.covered;
        let sharp = new.sharp + SHARE_TOLERANCE >= old.sharp;
        covers && sharp
    }

    /// When an older state that is on the screen is to be replaced.
    fn again_secs(&self, now_secs: f64) -> Option<f64> {
        let is_behind = self.newest.as_ref().is_some_and(|(newest, _)| newest.generation != self.wanted_generation);
        let refresh = is_behind.then_some(self.refreshed_secs + REFRESH_SECS);
        let is_former = self.drawn_from == Some(DrawnFrom::FormerFrame);
        let ends = self.former.as_ref().filter(|_| is_former).map(|former| former.until_secs);
        refresh.into_iter().chain(ends).reduce(f64::min).map(|at| (at - now_secs).max(0.0))
    }
}

/// What is left of the frame before, where it lies in the present one. It wishes for nothing: it goes as soon as it can.
fn former_scene(former: &FormerFrame, mosaic: &SceneRequest<'_>) -> Scene {
    let camera = Camera { center: mosaic.camera.center - former.moved, ..*mosaic.camera };
    let outline = Silhouette::new(&former.geometry, &former.known_parts);
    let mut drawn = scene(&SceneRequest {
        image: &former.info,
        field: FORMER_MOSAIC,
        camera: &camera,
        outline: Some(&outline),
        ..*mosaic
    });
    for quad in &mut drawn.quads {
        quad.image = Rect::new(quad.image.min + former.moved, quad.image.max + former.moved);
    }
    drawn.wishes.clear();
    drawn.pinned.clear();
    // Its tiles show an older state: how sharp they are is no measure for what replaces them.
    drawn.sharp = 0.0;
    drawn
}

/// Gives a scene the wishes of both, those of `first` before its own.
fn join_wishes(scene: &mut Scene, first: &mut Scene) {
    let own = std::mem::take(&mut scene.wishes);
    let mut seen: FxHashSet<TileKey> = first.wishes.iter().copied().collect();
    scene.wishes.clone_from(&first.wishes);
    scene.wishes.extend(own.into_iter().filter(|key| seen.insert(*key)));
    scene.wishes.truncate(MAX_WISHES);
    scene.fading |= first.fading;
}

/// The fields that a part of the image shows, as rectangles of it, by number: for outlines and for picking one.
pub fn fields_in(fields: &[Placed], shown: Rect) -> impl Iterator<Item = (u32, Rect)> + '_ {
    fields
        .iter()
        .enumerate()
        .map(|(number, field)| (number as u32, field.rect()))
        .filter(move |(_, rect)| rect.intersect(shown).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geom::Size;
    use crate::mosaic::{Blend, Placement};
    use crate::pyramid::PlaneId;
    use crate::view::fixtures::{Tiles, image};
    use crate::view::scene::{Presence, Residency};
    use crate::view::{DisplaySettings, FADE_SECS};
    use std::collections::{HashMap, HashSet};

    const VIEWPORT: Size = Size::new(800, 600);
    const FIELD: Size = Size::new(512, 512);

    /// What is on an imagined GPU: fields' tiles, and fused ones with their generation.
    #[derive(Default)]
    struct Gpu {
        tiles: Tiles,
        generations: HashMap<TileKey, u64>,
        wanted: u64,
    }

    impl Residency for Gpu {
        fn presence(&self, key: TileKey) -> Presence {
            self.tiles.presence(key)
        }

        fn is_stale(&self, key: TileKey) -> bool {
            self.generations.get(&key).is_some_and(|&generation| generation < self.wanted)
        }
    }

    impl Gpu {
        fn fuse(&mut self, keys: &[TileKey], generation: u64) {
            for &key in keys {
                self.tiles.add(key);
                if key.plane.field == MOSAIC {
                    self.generations.insert(key, generation);
                }
            }
        }
    }

    /// Four by three fields, on the screen from frame to frame.
    struct Show {
        images: Vec<ImageInfo>,
        geometry: Arc<Geometry>,
        info: Arc<ImageInfo>,
        positions: Vec<Point>,
        camera: Camera,
        gpu: Gpu,
        drawing: MosaicDrawing,
        moves: bool,
        pair: Option<FieldPair>,
        now_secs: f64,
    }

    fn nominal() -> Vec<Point> {
        (0..12).map(|n| Point::new(f64::from(n % 4) * 450.0, f64::from(n / 4) * 460.0)).collect()
    }

    fn geometry(generation: u64, nominal: &[Point], positions: &[Point]) -> Arc<Geometry> {
        let sizes = vec![FIELD; positions.len()];
        let made = Geometry::new(generation, nominal, positions, &sizes, Blend::None, Placement::Whole, 64.0);
        Arc::new(made.expect("a layout"))
    }

    impl Show {
        fn new(zoom: f64) -> Self {
            let images = vec![image(FIELD, 128, 1); 12];
            let geometry = geometry(1, &nominal(), &nominal());
            let info = Arc::new(geometry.image_info("mosaic", &images).expect("fields"));
            let center = Point::new(f64::from(geometry.size.width) / 2.0, f64::from(geometry.size.height) / 2.0);
            Self {
                positions: geometry.fields.iter().map(|f| f.position).collect(),
                camera: Camera { center, zoom, rotation_rad: 0.0, flipped: false, pixel_aspect: 1.0 },
                geometry,
                info,
                images,
                gpu: Gpu::default(),
                drawing: MosaicDrawing::default(),
                moves: false,
                pair: None,
                now_secs: 10.0,
            }
        }

        fn frame(&mut self) -> MosaicScenes {
            let places = MosaicPlaces {
                geometry: &self.geometry,
                info: &self.info,
                positions: &self.positions,
                moves: self.moves,
            };
            self.drawing.begin_frame(&places, self.now_secs);
            self.gpu.wanted = self.drawing.wanted_generation();
            let display = DisplaySettings::of(&self.info);
            self.drawing.scenes(&MosaicSceneRequest {
                mosaic: SceneRequest {
                    image: &self.info,
                    field: MOSAIC,
                    z: 0,
                    t: 0,
                    camera: &self.camera,
                    viewport: VIEWPORT,
                    region: None,
                    display: &display,
                    outline: None,
                    resident: &self.gpu,
                    cache_budget_bytes: 1 << 30,
                    now_secs: self.now_secs,
                    fade_secs: FADE_SECS,
                },
                images: &self.images,
                pair: self.pair,
            })
        }

        /// Frames until nothing is missing, everything that is wished for being there at once.
        fn settle(&mut self) -> MosaicScenes {
            for _ in 0..10 {
                let scenes = self.frame();
                if scenes.drawn.wishes.is_empty() && scenes.awaited.is_none() {
                    return scenes;
                }
                self.gpu.fuse(&scenes.drawn.wishes, self.geometry.generation);
            }
            panic!("it never settles");
        }

        fn move_fields(&mut self, by: f64) {
            let nominal = nominal();
            let moved: Vec<Point> =
                nominal.iter().enumerate().map(|(n, p)| *p + Point::new(n as f64 * by, 0.0)).collect();
            self.geometry = geometry(self.geometry.generation + 1, &nominal, &moved);
            self.positions = self.geometry.fields.iter().map(|f| f.position).collect();
        }
    }

    fn is_fused(scene: &Scene) -> bool {
        scene.quads.iter().all(|q| q.key.plane.field == MOSAIC)
    }

    #[test]
    fn a_settled_mosaic_is_drawn_from_fused_tiles_and_only_where_there_are_fields() {
        let mut show = Show::new(0.4);
        let scenes = show.settle();
        assert!(is_fused(&scenes.drawn));
        assert_eq!((scenes.drawn.covered, scenes.drawn.sharp), (1.0, 1.0));
        let corner = Point::new(30.0, 30.0);
        let inside = Point::new(80.0, 80.0);
        let drawn = |p: Point| {
            let holds = |q: &&super::super::scene::Quad| crate::mosaic::seam::covers(q.image, p);
            scenes.drawn.quads.iter().filter(holds).count()
        };
        assert_eq!((drawn(corner), drawn(inside)), (0, 1), "the frame has a margin of 64 px");
    }

    #[test]
    fn a_mosaic_that_moves_is_drawn_from_its_fields_once_they_are_there() {
        let mut show = Show::new(1.0);
        show.settle();
        show.moves = true;
        show.move_fields(1.0);
        let scenes = show.frame();
        // What was there stays: no field's tile is on the GPU yet.
        assert!(is_fused(&scenes.drawn) && scenes.drawn.covered == 1.0);
        assert!(scenes.drawn.wishes.iter().any(|key| key.plane.field < 12));
        let scenes = show.settle();
        assert!(scenes.drawn.quads.iter().all(|q| q.key.plane.field < 12));
        assert_eq!(scenes.drawn.covered, 1.0);
        assert_eq!(show.drawing.drawn_from(), Some(DrawnFrom::Fields));
    }

    #[test]
    fn after_the_last_move_fields_are_drawn_until_all_fused_tiles_are_there() {
        let mut show = Show::new(1.0);
        show.settle();
        show.moves = true;
        show.move_fields(1.0);
        show.settle();
        show.moves = false;
        let first = show.frame();
        let wishes = first.drawn.wishes.clone();
        assert!(!wishes.is_empty() && wishes.iter().all(|key| key.plane.field == MOSAIC));
        assert!(first.awaited.is_some());
        for key in &wishes {
            let scenes = show.frame();
            assert!(scenes.drawn.quads.iter().all(|q| q.key.plane.field < 12), "a tile of the old state would be seen");
            assert_eq!(scenes.drawn.covered, 1.0);
            show.gpu.fuse(&[*key], show.geometry.generation);
        }
        let scenes = show.settle();
        assert!(is_fused(&scenes.drawn) && scenes.drawn.sharp == 1.0);
    }

    #[test]
    fn small_fields_are_never_drawn_by_themselves() {
        let mut show = Show::new(0.2);
        show.settle();
        show.moves = true;
        show.move_fields(1.0);
        assert!(is_fused(&show.frame().drawn));
        // Fields of 102 screen pixels: below 128.
        assert!(show.frame().drawn.wishes.iter().all(|key| key.plane.field == MOSAIC));
        show.camera.zoom = 0.26;
        assert!(show.frame().drawn.wishes.iter().any(|key| key.plane.field < 12));
    }

    #[test]
    fn fields_that_become_tiny_are_dropped_at_once() {
        let mut show = Show::new(1.0);
        show.moves = true;
        show.move_fields(1.0);
        show.settle();
        assert_eq!(show.drawing.drawn_from(), Some(DrawnFrom::Fields));
        // Fields of 51 screen pixels, and no fused tile is there yet.
        show.camera.zoom = 0.1;
        let scenes = show.frame();
        assert!(scenes.awaited.is_none());
        assert_eq!(show.drawing.drawn_from(), Some(DrawnFrom::Fused));
        assert!(scenes.drawn.wishes.iter().all(|key| key.plane.field == MOSAIC));
    }

    #[test]
    fn fused_tiles_of_an_older_state_are_drawn_and_refreshed_at_most_twice_a_second() {
        let mut show = Show::new(0.2);
        show.settle();
        show.moves = true;
        let mut refreshes = 0;
        let start = show.now_secs;
        // Sixty frames a second, a new state every sixth of them.
        for frame in 0..=120 {
            show.now_secs = start + f64::from(frame) / 60.0;
            if frame % 6 == 0 {
                show.move_fields(f64::from(frame) * 0.01);
            }
            let scenes = show.frame();
            assert!(is_fused(&scenes.drawn));
            assert_eq!(scenes.drawn.covered, 1.0, "the old state stays");
            if !scenes.drawn.wishes.is_empty() {
                refreshes += 1;
                assert!(scenes.drawn.sharp < 1.0);
                show.gpu.fuse(&scenes.drawn.wishes, show.geometry.generation);
            }
        }
        assert!((3..=5).contains(&refreshes), "{refreshes} in two seconds");
        show.moves = false;
        // Behind the newest state: it says when it wants to be drawn again.
        show.move_fields(2.0);
        let scenes = show.frame();
        let after = scenes.again_secs.expect("a refresh is due");
        assert!(after <= REFRESH_SECS);
        show.now_secs += after;
        assert!(!show.frame().drawn.wishes.is_empty());
    }

    #[test]
    fn a_frame_that_moved_shows_what_was_there_where_it_was() {
        let mut show = Show::new(0.2);
        let before = show.settle().drawn;
        // The layout grows to the left: the frame's corner moves by 1000 px.
        let nominal: Vec<Point> =
            nominal().iter().map(|p| if p.x == 0.0 { *p - Point::new(1000.0, 0.0) } else { *p }).collect();
        show.geometry = geometry(2, &nominal, &nominal);
        show.info = Arc::new(show.geometry.image_info("mosaic", &show.images).expect("fields"));
        show.positions = show.geometry.fields.iter().map(|f| f.position).collect();
        show.camera.center.x += 1000.0;
        // The renderer calls the old tiles by another name from now on.
        let old: Vec<TileKey> = show.gpu.generations.drain().map(|(key, _)| key).collect();
        for key in old {
            let presence = show.gpu.tiles.0.remove(&key).expect("it was there");
            let plane = PlaneId { field: FORMER_MOSAIC, ..key.plane };
            show.gpu.tiles.0.insert(TileKey { plane, ..key }, presence);
        }
        let scenes = show.frame();
        assert_eq!(show.drawing.frame_generation(), 2);
        let rects = |scene: &Scene, by: f64| -> Vec<Rect> {
            scene
                .quads
                .iter()
                .map(|q| Rect::new(q.image.min + Point::new(by, 0.0), q.image.max + Point::new(by, 0.0)))
                .collect()
        };
        assert_eq!(rects(&scenes.drawn, 0.0), rects(&before, 1000.0));
        assert!(scenes.drawn.quads.iter().all(|q| q.key.plane.field == FORMER_MOSAIC));
        assert!(scenes.drawn.wishes.iter().all(|key| key.plane.field == MOSAIC));
        let scenes = show.settle();
        assert!(is_fused(&scenes.drawn));
        assert_eq!(scenes.drawn.covered, 1.0);
    }

    #[test]
    fn a_field_that_was_let_go_of_stays_until_the_engine_has_heard_of_it() {
        let mut show = Show::new(1.0);
        show.settle();
        show.positions[5] = show.positions[5] + Point::new(7.0, 0.0);
        show.settle();
        assert_eq!(show.drawing.drawn_from(), Some(DrawnFrom::Fields));
    }

    #[test]
    fn two_fields_are_compared_by_their_own_tiles() {
        let mut show = Show::new(1.0);
        show.settle();
        show.pair = Some(FieldPair { fields: [5, 6], tints: [Some([0, 255, 255]), None], channel: None });
        let scenes = show.settle();
        assert!(scenes.drawn.quads.iter().any(|q| q.tint == Some([0, 255, 255])));
        show.pair = None;
        assert!(is_fused(&show.settle().drawn));
    }

    #[test]
    fn both_scenes_of_a_switch_wish_within_the_list() {
        let mut show = Show::new(1.0);
        show.frame();
        show.moves = true;
        show.move_fields(1.0);
        let scenes = show.frame();
        let distinct: HashSet<&TileKey> = scenes.drawn.wishes.iter().collect();
        assert_eq!(distinct.len(), scenes.drawn.wishes.len());
        assert!(scenes.drawn.wishes.len() <= MAX_WISHES);
    }
}
