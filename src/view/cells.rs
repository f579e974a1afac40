//! How the visible cells of the wanted level are drawn, each from the sharpest tiles there are.

use super::display::MagnifyFilter;
use super::level_grid::LevelGrid;
use super::scene::{MAX_WISHES, Presence, Quad, QuadKind, Scene, SceneRequest};
use super::silhouette::Part;
use crate::geom::{Affine, Point, Rect};
use crate::pyramid::{ChannelRole, Coverage, ImageInfo, LevelOrigin, PlaneId, TileKey};
use std::rc::Rc;

/// The tiles of the coarsest level are pinned up to this many a plane; a file without small levels may have more.
const MAX_PINNED_TILES: u32 = 16;
/// Finer tiles stand in for a missing one from up to this many levels down.
const FINER_LEVELS: u8 = 2;
/// A cell drawn from a level further from the wanted one than this wishes for a preview first.
const PREVIEW_DISTANCE: u8 = 2;
/// Rectangles narrower than this, in level-0 pixels, are rounding, not image.
const MIN_EXTENT: f64 = 1e-6;

/// A missing tile with what orders it.
struct Wish {
    key: TileKey,
    /// Squared distance of its middle from the viewport's, in screen pixels.
    distance: f64,
}

/// What tiles are laid on: the image itself, or one field where it stands in it.
#[derive(Clone)]
pub(super) struct Sheet<'a> {
    /// What the tiles belong to.
    pub image: &'a ImageInfo,
    /// The levels, finest first.
    pub grids: Rc<[LevelGrid]>,
    /// Where its pixel (0, 0) lies on the image that is looked at.
    pub origin: Point,
    /// The parts of the image that are drawn from it, without overlap; `None` for all of it.
    pub clips: Option<Rc<[Part]>>,
    /// How its light is coloured; `None`: as the channel is.
    pub tint: Option<[u8; 3]>,
}

impl<'a> Sheet<'a> {
    /// The image that is looked at.
    pub fn whole(image: &'a ImageInfo) -> Self {
        Self { image, grids: grids_of(image), origin: Point::default(), clips: None, tint: None }
    }

    /// Its coarsest level.
    pub fn coarsest(&self) -> u8 {
        self.grids.len().saturating_sub(1) as u8
    }

    /// How many parts a region of it may be drawn in.
    pub fn clip_count(&self) -> usize {
        self.clips.as_ref().map_or(1, |clips| clips.len())
    }

    /// Calls `draw` with every part of a region of the sheet that is drawn from it, as parts of the image.
    fn for_parts(&self, region: Rect, mut draw: impl FnMut(Rect)) {
        self.for_clipped(region, |_, part| draw(part));
    }

    /// [`Self::for_parts`] with what each part was clipped by.
    fn for_clipped(&self, region: Rect, mut draw: impl FnMut(Option<&Part>, Rect)) {
        let region = shifted(region, self.origin);
        let Some(clips) = &self.clips else { return draw(None, region) };
        for clip in clips.iter() {
            if let Some(part) = clip.rect.intersect(region) {
                draw(Some(clip), part);
            }
        }
    }

    /// The area of a region of the sheet that is drawn from it and lies within `bounds` of the image.
    fn area_within(&self, region: Rect, bounds: Rect) -> f64 {
        let mut area = 0.0;
        self.for_parts(region, |part| area += area_within(part, bounds));
        area
    }
}

/// The grids of all levels of an image.
pub(super) fn grids_of(image: &ImageInfo) -> Rc<[LevelGrid]> {
    let levels = image.levels.len().min(usize::from(u8::MAX)) as u8;
    (0..levels).map(|level| LevelGrid::new(image, level)).collect()
}

/// A scene in the making: what the cells of the wanted level are drawn from, and what they lack.
pub(super) struct Cells<'a> {
    request: &'a SceneRequest<'a>,
    sheet: Sheet<'a>,
    wanted_level: u8,
    visible: Rect,
    screen: Rect,
    screen_from_image: Affine,
    nearest: bool,
    scene: Scene,
    wishes: Vec<Wish>,
    /// Level-0 areas: of all cells, of what nothing covers, and of the cells whose own tile is not whole.
    total_area: f64,
    missing_area: f64,
    blurred_area: f64,
    /// What the cell being drawn shows.
    role: ChannelRole,
    /// The coarsest level that the cell being drawn came from.
    coarsest_used: u8,
}

impl<'a> Cells<'a> {
    pub fn new(request: &'a SceneRequest<'a>, visible: Rect) -> Self {
        let [zoom_x, zoom_y] = request.camera.zoom_xy();
        Self {
            request,
            sheet: Sheet::whole(request.image),
            wanted_level: 0,
            visible,
            screen: request.screen_region(),
            screen_from_image: request.camera.screen_from_image(request.viewport),
            nearest: request.display.filter == MagnifyFilter::Nearest && (zoom_x > 1.0 || zoom_y > 1.0),
            scene: Scene::default(),
            wishes: Vec::new(),
            total_area: 0.0,
            missing_area: 0.0,
            blurred_area: 0.0,
            role: ChannelRole::Intensity,
            coarsest_used: 0,
        }
    }

    /// The tiles of a level that show on the screen. A turned view leaves out those that only its bounding rectangle
    /// meets.
    pub fn visible_cells(&self, level: u8) -> Vec<(u32, u32)> {
        let mut cells = Vec::new();
        self.find_visible_cells(level, &mut cells);
        cells
    }

    /// The parts of cells of the wanted level that there are; `None`: all of it.
    pub fn parts_of(&self, cells: &[(u32, u32)]) -> Vec<Option<Rc<[Part]>>> {
        let grid = &self.sheet.grids[self.wanted_level as usize];
        let outline = self.request.outline;
        cells.iter().map(|&(x, y)| outline.and_then(|outline| outline.parts(grid.tile_rect(x, y)))).collect()
    }

    /// The cells that are drawn next are drawn on these parts of the image.
    pub fn clip_to(&mut self, parts: Option<Rc<[Part]>>) {
        self.sheet.clips = parts;
    }

    /// [`Self::visible_cells`] into a list that is used again. Cells that nothing is drawn from are left out.
    pub fn find_visible_cells(&self, level: u8, cells: &mut Vec<(u32, u32)>) {
        let (sheet, grid) = (&self.sheet, &self.sheet.grids[level as usize]);
        cells.clear();
        let visible = shifted(self.visible, Point::default() - sheet.origin);
        let columns = grid.range(0, visible.min.x, visible.max.x);
        for y in grid.range(1, visible.min.y, visible.max.y) {
            for x in columns.clone() {
                let mut shows = false;
                sheet.for_parts(grid.tile_rect(x, y), |part| shows |= self.on_screen(part));
                if shows {
                    cells.push((x, y));
                }
            }
        }
    }

    /// What the cells that are drawn next lie on.
    pub fn lay(&mut self, sheet: Sheet<'a>) {
        self.sheet = sheet;
    }

    /// The level that cells are drawn from on a sheet that may have fewer levels than others.
    pub fn set_wanted_level(&mut self, level: u8) {
        self.wanted_level = level;
    }

    /// The level that the cells belong to, and the one that the zoom asks for.
    pub fn set_levels(&mut self, wanted_level: u8, ideal_level: u8) {
        self.wanted_level = wanted_level;
        self.scene.wanted_level = wanted_level;
        self.scene.ideal_level = ideal_level;
    }

    fn on_screen(&self, rect: Rect) -> bool {
        let map = &self.screen_from_image;
        let middle = map.apply(rect.center());
        let half_x = (map.a.abs() * rect.width() + map.b.abs() * rect.height()) / 2.0;
        let half_y = (map.c.abs() * rect.width() + map.d.abs() * rect.height()) / 2.0;
        middle.x + half_x > self.screen.min.x
            && middle.x - half_x < self.screen.max.x
            && middle.y + half_y > self.screen.min.y
            && middle.y - half_y < self.screen.max.y
    }

    fn presence(&self, key: TileKey) -> Presence {
        self.request.resident.presence(key)
    }

    /// Pins the tiles of the coarsest level, and wishes for them.
    pub fn pin_coarsest(&mut self, plane: PlaneId, level: u8) {
        let tiles = self.sheet.grids[level as usize].tiles;
        if tiles[0].saturating_mul(tiles[1]) > MAX_PINNED_TILES {
            return;
        }
        for y in 0..tiles[1] {
            for x in 0..tiles[0] {
                let key = TileKey { plane, level, x, y };
                self.scene.pinned.push(key);
                self.wish_unless_whole(key);
            }
        }
    }

    /// Draws one tile of the wanted level, or what stands in for it.
    pub fn draw_cell(&mut self, plane: PlaneId, role: ChannelRole, x: u32, y: u32) {
        let key = TileKey { plane, level: self.wanted_level, x, y };
        let cell = self.sheet.grids[key.level as usize].tile_rect(x, y);
        self.role = role;
        self.coarsest_used = 0;
        if self.sheet.clips.as_ref().is_some_and(|clips| clips.is_empty()) {
            return;
        }
        let presence = self.presence(key);
        let missing = match presence {
            Presence::Resident { coverage: Coverage::FULL, since_secs } => {
                self.cross_fade(key, cell, 1.0, since_secs, |cells, opacity| {
                    cells.draw_substitutes(plane, cell, opacity)
                });
                0.0
            }
            Presence::Resident { coverage, .. } => {
                self.draw_partial(key, cell, coverage, 1.0, |cells, rest| cells.draw_substitutes(plane, rest, 1.0))
            }
            Presence::Damaged { coverage } => self.draw_damaged(key, cell, coverage, 1.0),
            Presence::Failed => {
                self.push(QuadKind::Hatch, key, cell, 1.0);
                self.draw_substitutes(plane, cell, 1.0);
                0.0
            }
            Presence::Absent => self.draw_substitutes(plane, cell, 1.0),
        };
        if role == ChannelRole::Intensity {
            let area = self.sheet.area_within(cell, self.visible);
            let settled = match presence {
                Presence::Resident { coverage: Coverage::FULL, .. } | Presence::Damaged { .. } => !self.is_stale(key),
                Presence::Failed => true,
                Presence::Resident { .. } | Presence::Absent => false,
            };
            self.total_area += area;
            self.missing_area += missing;
            self.blurred_area += if settled { 0.0 } else { area };
        }
        self.wish_unless_whole(key);
        if missing > 0.0 || self.coarsest_used > self.wanted_level + PREVIEW_DISTANCE {
            self.wish_preview(plane, cell);
        }
    }

    /// Draws a region whose wanted tile is not there: finer tiles where they are ready, coarser ones for the rest.
    /// Returns the area (within the visible rectangle) for which there is nothing.
    fn draw_substitutes(&mut self, plane: PlaneId, region: Rect, opacity: f32) -> f64 {
        let wanted = self.wanted_level;
        if wanted > 0 && self.any_finer(plane, region, wanted - 1, FINER_LEVELS) {
            self.draw_finer(plane, region, wanted - 1, FINER_LEVELS, opacity)
        } else {
            self.draw_coarser(plane, region, wanted + 1, opacity)
        }
    }

    /// Whether a finer tile is ready in a region, up to `depth` levels down from `level`.
    fn any_finer(&self, plane: PlaneId, region: Rect, level: u8, depth: u8) -> bool {
        let ready = self.tiles_in(plane, region, level).any(|(key, _)| self.is_whole(key));
        ready || (depth > 1 && level > 0 && self.any_finer(plane, region, level - 1, depth - 1))
    }

    fn draw_finer(&mut self, plane: PlaneId, region: Rect, level: u8, depth: u8, opacity: f32) -> f64 {
        let mut missing = 0.0;
        for (key, part) in self.tiles_in(plane, region, level) {
            missing += if self.is_whole(key) {
                self.push_tile(key, part, opacity);
                0.0
            } else if depth > 1 && level > 0 && self.any_finer(plane, part, level - 1, depth - 1) {
                self.draw_finer(plane, part, level - 1, depth - 1, opacity)
            } else {
                self.draw_coarser(plane, part, self.wanted_level + 1, opacity)
            };
        }
        missing
    }

    /// Draws a region from the nearest level from `level` up that has it. Returns the area for which there is nothing.
    fn draw_coarser(&mut self, plane: PlaneId, region: Rect, level: u8, opacity: f32) -> f64 {
        if usize::from(level) >= self.sheet.grids.len() {
            return self.sheet.area_within(region, self.visible);
        }
        let mut missing = 0.0;
        for (key, part) in self.tiles_in(plane, region, level) {
            missing += match self.presence(key) {
                Presence::Resident { coverage: Coverage::FULL, since_secs } => {
                    self.cross_fade(key, part, opacity, since_secs, |cells, rest| {
                        cells.draw_coarser(plane, part, level + 1, rest)
                    });
                    0.0
                }
                Presence::Resident { coverage, .. } => {
                    self.draw_partial(key, part, coverage, opacity, |cells, rest| {
                        cells.draw_coarser(plane, rest, level + 1, opacity)
                    })
                }
                Presence::Damaged { coverage } => self.draw_damaged(key, part, coverage, opacity),
                Presence::Absent | Presence::Failed => self.draw_coarser(plane, part, level + 1, opacity),
            };
        }
        missing
    }

    /// Draws a tile that is whole: on its own, or, while it is new, over a share of what was there before. Where less than
    /// all of it was there before, there is nothing to fade from.
    fn cross_fade(
        &mut self,
        key: TileKey,
        region: Rect,
        opacity: f32,
        since_secs: f64,
        beneath: impl FnOnce(&mut Self, f32) -> f64,
    ) {
        let share = self.fade_in(since_secs);
        if share >= 1.0 || self.role == ChannelRole::Coverage {
            self.push_tile(key, region, opacity);
            return;
        }
        let quads_before = self.scene.quads.len();
        let coarsest_before = self.coarsest_used;
        let missing = beneath(self, opacity * (1.0 - share));
        self.coarsest_used = coarsest_before;
        if missing > 0.0 || quads_before == self.scene.quads.len() {
            self.scene.quads.truncate(quads_before);
            self.push_tile(key, region, opacity);
            return;
        }
        self.scene.fading = true;
        self.push_tile(key, region, opacity * share);
    }

    /// The share that a tile has reached since it came: eased out, so that most of it is there at once.
    fn fade_in(&self, since_secs: f64) -> f32 {
        let age = self.request.now_secs - since_secs;
        if self.request.fade_secs <= 0.0 || age >= self.request.fade_secs || age.is_nan() {
            return 1.0;
        }
        let left = 1.0 - (age / self.request.fade_secs).max(0.0);
        (1.0 - left * left * left) as f32
    }

    /// Draws the covered eighths of a provisional tile and hands the others to `beneath`. Returns the area for which there
    /// is nothing.
    fn draw_partial(
        &mut self,
        key: TileKey,
        region: Rect,
        coverage: Coverage,
        opacity: f32,
        mut beneath: impl FnMut(&mut Self, Rect) -> f64,
    ) -> f64 {
        let grid = self.sheet.grids[key.level as usize];
        let mut missing = 0.0;
        for (covered, columns, rows) in eighths(coverage) {
            let rect = Rect::new(
                Point::new(grid.eighth(0, key.x, columns.start), grid.eighth(1, key.y, rows.start)),
                Point::new(grid.eighth(0, key.x, columns.end), grid.eighth(1, key.y, rows.end)),
            );
            let Some(part) = meet(rect, region) else { continue };
            if covered {
                self.push_tile(key, part, opacity);
            } else {
                missing += beneath(self, part);
            }
        }
        missing
    }

    /// Draws the eighths of a tile that could be read, and the pattern over those that could not. Nothing is missing then.
    fn draw_damaged(&mut self, key: TileKey, region: Rect, coverage: Coverage, opacity: f32) -> f64 {
        self.draw_partial(key, region, coverage, opacity, |cells, rest| {
            cells.push(QuadKind::Hatch, key, rest, opacity);
            0.0
        })
    }

    fn push_tile(&mut self, key: TileKey, region: Rect, opacity: f32) {
        self.coarsest_used = self.coarsest_used.max(key.level);
        let kind = match self.role {
            ChannelRole::Intensity => QuadKind::Intensity,
            ChannelRole::Coverage => QuadKind::Coverage,
        };
        self.push(kind, key, region, opacity);
    }

    fn push(&mut self, kind: QuadKind, key: TileKey, region: Rect, opacity: f32) {
        let (sheet, quads, nearest) = (&self.sheet, &mut self.scene.quads, self.nearest && key.level == 0);
        let grid = &sheet.grids[key.level as usize];
        let to_sheet = Point::default() - sheet.origin;
        sheet.for_clipped(region, |clip, part| {
            quads.push(Quad {
                kind,
                key,
                samples: clip.and_then(|clip| samples_within(clip, grid, key, sheet.image.tile_side)),
                uv: grid.tile_px(key.x, key.y, sheet.image.tile_side, shifted(part, to_sheet)),
                downsample: grid.downsample,
                image: part,
                opacity,
                nearest,
                tint: sheet.tint,
            });
        });
    }

    fn is_whole(&self, key: TileKey) -> bool {
        matches!(self.presence(key), Presence::Resident { coverage: Coverage::FULL, .. })
    }

    fn is_stale(&self, key: TileKey) -> bool {
        self.request.resident.is_stale(key)
    }

    /// The tiles of a level that a region meets, with the part of the region that each covers.
    fn tiles_in(&self, plane: PlaneId, region: Rect, level: u8) -> impl Iterator<Item = (TileKey, Rect)> + use<> {
        let grid = self.sheet.grids[level as usize];
        let columns = grid.range(0, region.min.x, region.max.x);
        grid.range(1, region.min.y, region.max.y).flat_map(move |y| {
            columns.clone().filter_map(move |x| {
                meet(grid.tile_rect(x, y), region).map(|part| (TileKey { plane, level, x, y }, part))
            })
        })
    }

    fn wish_unless_whole(&mut self, key: TileKey) {
        let wanted = match self.presence(key) {
            Presence::Absent => true,
            Presence::Resident { coverage, .. } => coverage != Coverage::FULL || self.is_stale(key),
            Presence::Damaged { .. } => self.is_stale(key),
            Presence::Failed => false,
        };
        if wanted {
            let middle = self.sheet.grids[key.level as usize].tile_rect(key.x, key.y).center() + self.sheet.origin;
            let away = self.screen_from_image.apply(middle) - self.screen.center();
            self.wishes.push(Wish { key, distance: away.x * away.x + away.y * away.y });
        }
    }

    /// A cell that shows nothing, or next to nothing, asks for a coarser tile before its own: one that the file brings
    /// where there is one near, since others must be made from many tiles.
    fn wish_preview(&mut self, plane: PlaneId, cell: Rect) {
        let levels = &self.sheet.image.levels;
        let coarsest = (self.sheet.grids.len() - 1) as u8;
        let nearest = self.wanted_level + 1;
        let furthest = (self.wanted_level + PREVIEW_DISTANCE).min(coarsest);
        let native = |level: &u8| matches!(levels[*level as usize].origin, LevelOrigin::Native(_));
        let Some(level) = (nearest..=furthest).rev().find(native).or((nearest <= furthest).then_some(furthest)) else {
            return;
        };
        for (key, _) in self.tiles_in(plane, cell, level) {
            self.wish_unless_whole(key);
        }
    }

    /// The scene, its wishes in order.
    pub fn finish(mut self) -> Scene {
        self.wishes.sort_unstable_by(|a, b| {
            b.key.level.cmp(&a.key.level).then(a.distance.total_cmp(&b.distance)).then(a.key.cmp(&b.key))
        });
        self.wishes.dedup_by_key(|wish| wish.key);
        self.scene.wishes = self.wishes.iter().take(MAX_WISHES).map(|wish| wish.key).collect();
        if self.total_area > 0.0 {
            self.scene.covered = 1.0 - (self.missing_area / self.total_area).clamp(0.0, 1.0);
            self.scene.sharp = 1.0 - (self.blurred_area / self.total_area).clamp(0.0, 1.0);
        }
        self.scene
    }
}

/// The centres of the outermost pixels of a tile that lie in a part which ends; `None` where it goes on.
fn samples_within(part: &Part, grid: &LevelGrid, key: TileKey, side: u32) -> Option<Rect> {
    if part.ends == [false; 4] {
        return None;
    }
    let [left, top, right, bottom] = part.ends;
    let in_tile = |at: f64, axis: usize, tile: u32| at / grid.downsample[axis] - f64::from(tile) * f64::from(side);
    let first = |ends: bool, at: f64| if ends { (at - 0.5).ceil() + 0.5 } else { f64::NEG_INFINITY };
    let last = |ends: bool, at: f64| if ends { (at - 0.5).ceil() - 0.5 } else { f64::INFINITY };
    let min =
        Point::new(first(left, in_tile(part.rect.min.x, 0, key.x)), first(top, in_tile(part.rect.min.y, 1, key.y)));
    let max =
        Point::new(last(right, in_tile(part.rect.max.x, 0, key.x)), last(bottom, in_tile(part.rect.max.y, 1, key.y)));
    // A part thinner than a pixel of the level may hold no centre: it is drawn from what is there.
    (min.x <= max.x && min.y <= max.y).then(|| Rect::new(min, max))
}

/// A rectangle moved by a vector.
fn shifted(rect: Rect, by: Point) -> Rect {
    Rect::new(rect.min + by, rect.max + by)
}

/// A coverage mask as rectangles of eighths, covered and not: runs of a row, joined with equal rows below.
fn eighths(coverage: Coverage) -> impl Iterator<Item = (bool, std::ops::Range<u32>, std::ops::Range<u32>)> {
    let row_bits = move |row: u32| (coverage.0 >> (row * Coverage::CELLS)) & 0xff;
    let starts = (0..Coverage::CELLS).filter(move |&row| row == 0 || row_bits(row) != row_bits(row - 1));
    starts.flat_map(move |row| {
        let end = (row + 1..Coverage::CELLS).find(|&r| row_bits(r) != row_bits(row)).unwrap_or(Coverage::CELLS);
        let has = move |column: u32| coverage.has(column, row);
        let begins = (0..Coverage::CELLS).filter(move |&column| column == 0 || has(column) != has(column - 1));
        begins.map(move |column| {
            let stop = (column + 1..Coverage::CELLS).find(|&c| has(c) != has(column)).unwrap_or(Coverage::CELLS);
            (has(column), column..stop, row..end)
        })
    })
}

/// What lies in both rectangles, unless it is only rounding.
fn meet(a: Rect, b: Rect) -> Option<Rect> {
    a.intersect(b).filter(|r| r.width() > MIN_EXTENT && r.height() > MIN_EXTENT)
}

fn area_within(rect: Rect, bounds: Rect) -> f64 {
    rect.intersect(bounds).map_or(0.0, |r| r.width() * r.height())
}
