//! What to draw of a mosaic whose fields move: the fields' own tiles, clipped at the seams.
//!
//! Nothing is fused, so a field that glides costs no more than one that stands.
//! Every field is drawn by the rules of [`super::scene()`] on the parts of the image that it owns: those of all fields are
//! disjoint and cover what fields cover, so additive light stays exact.

use super::cells::{Cells, Sheet, grids_of};
use super::level_grid::{LevelGrid, gpu_tile_bytes, level_for_zoom};
use super::scene::{SCENE_CACHE_SHARE, Scene, SceneRequest};
use super::silhouette::Part;
use crate::geom::{Point, Rect};
use crate::mosaic::{FieldIndex, Placed, seam};
use crate::pyramid::{ChannelRole, ImageInfo, PlaneId};
use std::rc::Rc;

/// Quads of a scene of fields at most: beyond it a coarser look has to do, and far more than a screen of fields needs.
const MAX_QUADS: usize = 65_536;

/// Two fields laid over one another where they overlap, each in one colour, to see whether they agree.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FieldPair {
    /// The fields, by number.
    pub fields: [u32; 2],
    /// Their colours, sRGB-encoded; `None`: not drawn now, as in a flicker.
    pub tints: [Option<[u8; 3]>; 2],
    /// The channel to compare; `None`: all that are shown.
    pub channel: Option<u16>,
}

/// What [`field_scene`] goes by.
#[derive(Clone, Copy)]
pub struct FieldSceneRequest<'a> {
    /// The mosaic: where we look, how it is shown, what is resident of its set.
    pub mosaic: SceneRequest<'a>,
    /// The fields' own pyramids, by number.
    pub images: &'a [ImageInfo],
    /// Where they stand now, by number.
    pub fields: &'a [Placed],
    /// Two fields to compare.
    pub pair: Option<FieldPair>,
}

/// A field that shows, with what it owns.
struct Shown<'a> {
    sheet: Sheet<'a>,
    planes: Vec<(PlaneId, ChannelRole)>,
}

/// What to draw of fields where they stand now, and what is missing.
pub fn field_scene(request: &FieldSceneRequest<'_>) -> Scene {
    let Some(visible) = request.mosaic.shown_rect() else { return Scene::default() };
    let shown = shown_fields(request, visible);
    let Some(first) = shown.first() else { return Scene::default() };
    let ideal_level = level_for_zoom(first.sheet.image, request.mosaic.camera.zoom_xy());
    let coarsest = shown.iter().map(|field| field.sheet.coarsest()).max().unwrap_or(0);
    let room = request.mosaic.cache_budget_bytes as f64 * SCENE_CACHE_SHARE;

    let mut drawing = Cells::new(&request.mosaic, visible);
    let mut wanted_level = ideal_level;
    let mut cells: Vec<Vec<(u32, u32)>> = vec![Vec::new(); shown.len()];
    loop {
        let (mut bytes, mut quads) = (0.0, 0);
        for (field, cells) in shown.iter().zip(&mut cells) {
            drawing.lay(field.sheet.clone());
            drawing.find_visible_cells(wanted_level.min(field.sheet.coarsest()), cells);
            bytes += cells.len() as f64 * field.bytes_per_cell() as f64;
            quads += cells.len() * field.planes.len() * field.sheet.clip_count();
        }
        if bytes <= room && quads <= MAX_QUADS || wanted_level >= coarsest {
            break;
        }
        wanted_level += 1;
    }
    drawing.set_levels(wanted_level, ideal_level);
    for (field, cells) in shown.iter().zip(&cells) {
        drawing.lay(field.sheet.clone());
        drawing.set_wanted_level(wanted_level.min(field.sheet.coarsest()));
        for &(plane, role) in &field.planes {
            for &(x, y) in cells {
                drawing.draw_cell(plane, role, x, y);
            }
        }
    }
    drawing.finish()
}

/// The fields that show, with the parts of the image that each is drawn on.
fn shown_fields<'a>(request: &FieldSceneRequest<'a>, visible: Rect) -> Vec<Shown<'a>> {
    let meets = |field: &Placed| field.rect().intersect(visible).is_some();
    let numbers: Vec<u32> = (0..request.fields.len().min(request.images.len()) as u32)
        .filter(|&number| meets(&request.fields[number as usize]))
        .collect();
    // Who owns a point depends on the fields that cover it, and those of a visible point are among the visible ones.
    let places: Vec<(u32, Rect)> =
        numbers.iter().map(|&number| (number, request.fields[number as usize].rect())).collect();
    let index = FieldIndex::new(&places.iter().map(|&(_, rect)| rect).collect::<Vec<_>>());
    let mut near: Vec<(u32, Rect)> = Vec::new();
    let pair = request.pair.and_then(|pair| Some((pair, overlap_of(request, pair)?)));

    let mut grids: Vec<(&ImageInfo, Rc<[LevelGrid]>)> = Vec::new();
    let mut shown = Vec::new();
    for &(number, place) in &places {
        let image = &request.images[number as usize];
        if image.levels.is_empty() || image.size.is_empty() || image.tile_side == 0 {
            continue;
        }
        // Nearly all fields are alike.
        let alike = |known: &ImageInfo| known.tile_side == image.tile_side && known.levels == image.levels;
        let grids = match grids.iter().find(|(known, _)| alike(known)) {
            Some((_, grids)) => grids.clone(),
            None => {
                let new = grids_of(image);
                grids.push((image, new.clone()));
                new
            }
        };
        near.clear();
        let touching = index.candidates(place).into_iter().map(|other| places[other as usize]);
        near.extend(touching.filter(|(other, rect)| *other != number && rect.intersect(place).is_some()));
        let mut clips: Vec<Rect> = seam::owned_rects((number, place), &near);
        let sheet = |clips: Vec<Rect>, tint| Sheet {
            image,
            grids: grids.clone(),
            origin: place.min,
            clips: Some(clips.into_iter().map(Part::inner).collect()),
            tint,
        };
        if let Some((pair, overlap)) = pair {
            clips = clips.into_iter().flat_map(|clip| outside(clip, overlap)).collect();
            let of_pair = pair.fields.iter().zip(pair.tints).filter(|(field, _)| **field == number);
            for (_, tint) in of_pair {
                if tint.is_some() {
                    let planes = request.planes(number, pair.channel);
                    shown.push(Shown { sheet: sheet(vec![overlap], tint), planes });
                }
            }
        }
        shown.push(Shown { sheet: sheet(clips, None), planes: request.planes(number, None) });
    }
    shown
}

impl FieldSceneRequest<'_> {
    /// The planes of a field to draw: those that are shown, or one that is asked for.
    fn planes(&self, number: u32, only: Option<u16>) -> Vec<(PlaneId, ChannelRole)> {
        let image = &self.images[number as usize];
        match only {
            Some(channel) => {
                let plane = PlaneId { field: number, channel, z: self.mosaic.z, t: self.mosaic.t };
                image.channels.get(usize::from(channel)).map(|info| (plane, info.role)).into_iter().collect()
            }
            None => SceneRequest { image, field: number, ..self.mosaic }.planes().collect(),
        }
    }
}

impl Shown<'_> {
    /// The bytes on the GPU of one tile of every plane that is drawn.
    fn bytes_per_cell(&self) -> u64 {
        let image = self.sheet.image;
        let bytes =
            |plane: &PlaneId| gpu_tile_bytes(image.channels[usize::from(plane.channel)].format, image.tile_side);
        self.planes.iter().map(|(plane, _)| bytes(plane)).sum()
    }
}

fn overlap_of(request: &FieldSceneRequest<'_>, pair: FieldPair) -> Option<Rect> {
    let [a, b] = pair.fields.map(|field| request.fields.get(field as usize).map(Placed::rect));
    a?.intersect(b?)
}

/// The parts of a rectangle that lie outside another.
fn outside(rect: Rect, hole: Rect) -> impl Iterator<Item = Rect> {
    let Some(hole) = rect.intersect(hole) else { return vec![rect].into_iter() };
    let between = |min: (f64, f64), max: (f64, f64)| Rect::new(Point::new(min.0, min.1), Point::new(max.0, max.1));
    let around = [
        between((rect.min.x, rect.min.y), (rect.max.x, hole.min.y)),
        between((rect.min.x, hole.max.y), (rect.max.x, rect.max.y)),
        between((rect.min.x, hole.min.y), (hole.min.x, hole.max.y)),
        between((hole.max.x, hole.min.y), (rect.max.x, hole.max.y)),
    ];
    around.into_iter().filter(|r| r.min.x < r.max.x && r.min.y < r.max.y).collect::<Vec<_>>().into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geom::Size;
    use crate::pyramid::{Coverage, TileKey};
    use crate::view::fixtures::{Random, Tiles, image};
    use crate::view::scene::{MAX_WISHES, Presence, Quad, QuadKind};
    use crate::view::{Camera, DisplaySettings};

    const VIEWPORT: Size = Size::new(800, 600);

    /// A mosaic with jittered fields, and what a request borrows.
    struct Setup {
        mosaic: ImageInfo,
        images: Vec<ImageInfo>,
        fields: Vec<Placed>,
        camera: Camera,
        display: DisplaySettings,
        tiles: Tiles,
        budget: u64,
        pair: Option<FieldPair>,
    }

    impl Setup {
        fn grid(columns: u32, rows: u32, size: Size, step: Point, jitter: f64, random: &mut Random) -> Self {
            let mut fields = Vec::new();
            for (column, row) in (0..rows).flat_map(|row| (0..columns).map(move |column| (column, row))) {
                let around = |random: &mut Random| (random.unit() - 0.5) * 2.0 * jitter;
                let nominal = Point::new(f64::from(column) * step.x, f64::from(row) * step.y);
                let at = nominal + Point::new(around(random) + jitter, around(random) + jitter);
                fields.push(Placed { position: at, size });
            }
            let extent = Rect::around(fields.iter().flat_map(|f| f.rect().corners())).expect("fields");
            let mosaic = image(Size::new(extent.max.x as u32 + 50, extent.max.y as u32 + 50), 256, 2);
            Self {
                images: vec![image(size, 128, 2); fields.len()],
                fields,
                camera: Camera {
                    center: extent.center(),
                    zoom: 0.5,
                    rotation_rad: 0.0,
                    flipped: false,
                    pixel_aspect: 1.0,
                },
                display: DisplaySettings::of(&mosaic),
                mosaic,
                tiles: Tiles::default(),
                budget: 1 << 30,
                pair: None,
            }
        }

        fn scene(&self) -> Scene {
            field_scene(&FieldSceneRequest {
                mosaic: SceneRequest {
                    image: &self.mosaic,
                    field: crate::mosaic::MOSAIC,
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
                    fade_secs: crate::view::FADE_SECS,
                },
                images: &self.images,
                fields: &self.fields,
                pair: self.pair,
            })
        }

        fn keys(&self, level: u8) -> Vec<TileKey> {
            let mut keys = Vec::new();
            for (field, image) in self.images.iter().enumerate() {
                let tiles = image.tiles(level);
                for (x, y) in (0..tiles.height).flat_map(|y| (0..tiles.width).map(move |x| (x, y))) {
                    keys.extend((0..2).map(|channel| {
                        let plane = PlaneId { field: field as u32, channel, z: 0, t: 0 };
                        TileKey { plane, level, x, y }
                    }));
                }
            }
            keys
        }

        fn add_level(&mut self, level: u8) {
            self.keys(level).into_iter().for_each(|key| self.tiles.add(key));
        }

        fn owner(&self, p: Point) -> Option<u32> {
            seam::owner(p, self.fields.iter().enumerate().map(|(number, field)| (number as u32, field.rect())))
        }
    }

    fn holding(quads: &[Quad], p: Point) -> impl Iterator<Item = &Quad> {
        quads
            .iter()
            .filter(move |q| q.image.min.x <= p.x && p.x < q.image.max.x && q.image.min.y <= p.y && p.y < q.image.max.y)
    }

    #[test]
    fn every_point_is_drawn_once_from_the_field_that_owns_it_whatever_is_resident() {
        let mut random = Random(11);
        for round in 0..40 {
            let step = [Point::new(450.0, 430.0), Point::new(300.0, 480.0), Point::new(620.0, 250.0)][round % 3];
            let mut setup = Setup::grid(4, 3, Size::new(500, 471), step, 40.0, &mut random);
            setup.camera.rotation_rad = if round % 2 == 0 { 0.0 } else { random.unit() * 6.0 };
            setup.camera.zoom = [0.3, 0.5, 0.9, 2.1][round % 4];
            setup.camera.center = Point::new(random.unit() * 1800.0, random.unit() * 1200.0);
            for level in 0..setup.images[0].levels.len() as u8 {
                for key in setup.keys(level) {
                    let since_secs = if random.next().is_multiple_of(3) { 99.9 } else { 0.0 };
                    let presence = match random.next() % 6 {
                        0 => Presence::Resident { coverage: Coverage(random.next() << 32 | random.next()), since_secs },
                        1 | 2 => Presence::Resident { coverage: Coverage::FULL, since_secs },
                        3 => Presence::Failed,
                        _ => continue,
                    };
                    setup.tiles.0.insert(key, presence);
                }
            }
            let coarsest = setup.images[0].levels.len() as u8 - 1;
            setup.add_level(coarsest);
            let scene = setup.scene();
            let map = setup.camera.image_from_screen(VIEWPORT);
            for _ in 0..600 {
                let p = map.apply(Point::new(random.unit() * 800.0, random.unit() * 600.0));
                let owner = setup.owner(p);
                for channel in 0..2 {
                    let of_channel = |q: &&Quad| q.key.plane.channel == channel && q.kind == QuadKind::Intensity;
                    let share: f32 = holding(&scene.quads, p).filter(of_channel).map(|q| q.opacity).sum();
                    let expected = if owner.is_some() { 1.0 } else { 0.0 };
                    assert!((share - expected).abs() < 1e-6, "round {round}: {share} at {p:?}");
                }
                for quad in holding(&scene.quads, p) {
                    assert_eq!(Some(quad.key.plane.field), owner);
                    let field = &setup.fields[quad.key.plane.field as usize];
                    let in_tile = quad.uv.min.y + (p.y - quad.image.min.y) / quad.downsample[1];
                    let in_level = (p.y - field.position.y) / quad.downsample[1];
                    assert!((in_tile + f64::from(quad.key.y) * 128.0 - in_level).abs() < 1e-9);
                }
            }
        }
    }

    #[test]
    fn fields_that_are_not_there_are_wished_for_by_preview_first_and_nearest_first() {
        let mut random = Random(3);
        let setup = Setup::grid(6, 6, Size::new(1000, 1000), Point::new(900.0, 900.0), 10.0, &mut random);
        let scene = setup.scene();
        assert_eq!((scene.wanted_level, scene.covered), (1, 0.0));
        assert!(scene.wishes.windows(2).all(|w| w[0].level >= w[1].level));
        assert_eq!(scene.wishes[0].level, 3);
        // The view's middle lies in the fields 14, 15, 20 and 21.
        assert!(scene.wishes.iter().take(8).all(|key| [14, 15, 20, 21].contains(&key.plane.field)));
        assert!(scene.pinned.is_empty());
    }

    #[test]
    fn tiles_that_lie_beneath_a_neighbour_are_not_asked_for() {
        let mut random = Random(3);
        // The second field is covered by the others but for a strip.
        let mut setup = Setup::grid(3, 1, Size::new(512, 512), Point::new(300.0, 0.0), 0.0, &mut random);
        setup.camera.zoom = 1.0;
        let middle: Vec<u32> = setup
            .scene()
            .wishes
            .iter()
            .filter(|key| key.level == 0 && key.plane.field == 1 && key.plane.channel == 0 && key.y == 0)
            .map(|key| key.x)
            .collect();
        // It owns 406 to 706 of the image: its own columns 106 to 406.
        assert!(middle.contains(&0) && middle.contains(&3));
        setup.fields[0].position.x = 100.0;
        let left: Vec<u32> =
            setup.scene().wishes.iter().filter(|k| k.level == 0 && k.plane.field == 1).map(|k| k.x).collect();
        assert!(!left.contains(&0), "{left:?}");
    }

    #[test]
    fn a_scene_of_fields_is_bounded_by_the_cache_and_the_wish_list() {
        let mut random = Random(5);
        let mut setup = Setup::grid(40, 40, Size::new(2048, 2048), Point::new(1840.0, 1840.0), 15.0, &mut random);
        setup.camera.zoom = 128.0 / 2048.0;
        let tile = gpu_tile_bytes(crate::pixels::TileFormat::Gray16, 128);
        let scene = setup.scene();
        assert_eq!((scene.wanted_level, scene.ideal_level), (4, 4));
        assert!(scene.wishes.len() <= MAX_WISHES);
        setup.camera.zoom = 0.3;
        setup.budget = 100 * tile;
        let scene = setup.scene();
        assert!(scene.wanted_level > scene.ideal_level);
        let wanted = scene.wishes.iter().filter(|key| key.level == scene.wanted_level).count() as u64;
        assert!(wanted * tile <= setup.budget);
    }

    #[test]
    fn two_fields_that_are_compared_lie_over_one_another_in_their_colours() {
        let mut random = Random(3);
        let mut setup = Setup::grid(2, 2, Size::new(512, 512), Point::new(400.0, 400.0), 5.0, &mut random);
        setup.add_level(0);
        setup.add_level(1);
        setup.display.channels[1].visible = false;
        let tints = [Some([0, 255, 255]), Some([255, 0, 255])];
        setup.pair = Some(FieldPair { fields: [0, 1], tints, channel: Some(1) });
        let overlap = setup.fields[0].rect().intersect(setup.fields[1].rect()).expect("an overlap");
        let mut in_pair = 0;
        let scene = setup.scene();
        for _ in 0..2000 {
            let p = Point::new(random.unit() * 950.0, random.unit() * 950.0);
            let quads: Vec<&Quad> = holding(&scene.quads, p).collect();
            if seam::covers(overlap, p) {
                in_pair += 1;
                let of = |field| quads.iter().filter(move |q| q.key.plane.field == field);
                for field in 0..2 {
                    assert_eq!(of(field).count(), 1, "field {field} at {p:?}");
                    assert!(of(field).all(|q| q.tint == tints[field as usize] && q.key.plane.channel == 1));
                }
                assert_eq!(quads.len(), 2);
            } else {
                assert_eq!(quads.len(), usize::from(setup.owner(p).is_some()));
                assert!(quads.iter().all(|q| q.tint.is_none() && q.key.plane.channel == 0));
            }
        }
        assert!(in_pair > 50);
        // In a flicker one of them is seen at a time.
        setup.pair = Some(FieldPair { fields: [0, 1], tints: [None, tints[1]], channel: Some(1) });
        let one = setup.scene();
        let quads: Vec<&Quad> = holding(&one.quads, overlap.center()).collect();
        assert_eq!(quads.iter().map(|q| q.key.plane.field).collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn a_field_that_cannot_be_read_is_hatched_where_it_would_show_and_nowhere_else() {
        let mut random = Random(3);
        let mut setup = Setup::grid(3, 3, Size::new(256, 256), Point::new(230.0, 230.0), 4.0, &mut random);
        setup.camera.zoom = 1.0;
        setup.add_level(0);
        for key in setup.keys(0).into_iter().chain(setup.keys(1)) {
            if key.plane.field == 4 {
                setup.tiles.0.insert(key, Presence::Failed);
            }
        }
        let scene = setup.scene();
        assert!(scene.wishes.iter().all(|key| key.plane.field != 4));
        for _ in 0..2000 {
            let p = Point::new(random.unit() * 700.0, random.unit() * 550.0);
            let hatched = holding(&scene.quads, p).any(|q| q.kind == QuadKind::Hatch);
            assert_eq!(hatched, setup.owner(p) == Some(4), "at {p:?}");
        }
    }
}
