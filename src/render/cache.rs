//! The tiles on the GPU: pages of layers, who sits where, and who goes first.
//!
//! A page is a 2-D array texture for tiles of one format and side; a layer holds one tile with a gutter of one pixel all
//! around, so that smooth sampling at a tile's edge sees its neighbour.
//! Pages are made as they are needed, the first small, later ones up to [`MAX_PAGE_BYTES`], within one budget.

use super::gutter::{Edges, Neighbourhood, Side, texel_bytes, write_pixels};
use super::pipelines::Pipelines;
use super::staging::{Rows, Staging, Target};
use crate::geom::Size;
use crate::mosaic::MOSAIC;
use crate::pixels::TileFormat;
use crate::pyramid::{Coverage, Gaps, PlaneId, SetId, TileKey, TilePixels};
use crate::view::{FORMER_MOSAIC, Presence, Residency, gpu_tile_bytes};
use rustc_hash::FxHashMap;
use std::collections::BTreeSet;

/// No page is larger: drivers find room for many small textures more easily than for one large one.
pub const MAX_PAGE_BYTES: u64 = 32 << 20;
/// The first page of a kind, so that a small picture costs little; every further page is twice the last.
const FIRST_PAGE_BYTES: u64 = 4 << 20;
/// Pinned tiles take at most this share of the budget; further ones are evicted like any other.
const PINNED_SHARE: f64 = 0.1;
/// Tiles that failed are remembered up to this many; a source with more is broken as a whole.
const MAX_FAILED_TILES: usize = 65_536;
/// Tiles that wait for the frame that copies them are at most this much, twice what a window uploads in a frame. A picture
/// that takes more at once waits for the GPU in between.
const MAX_WAITING_BYTES: u64 = 8 << 20;

/// Which states of a mosaic its fused tiles may show. Tiles of a store have generation 0, and all of this is 0 for a slide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Generations {
    /// Fused tiles of an older generation are drawn, and wished for again.
    pub wanted: u64,
    /// Fused tiles of an older generation lie elsewhere, because the image's frame was another: they are gone.
    pub frame: u64,
}

/// A tile of one of the open image sets.
pub(super) type Owner = (SetId, TileKey);

/// Where a tile is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub page: u32,
    pub layer: u32,
}

/// A tile as a canvas sees it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Drawable {
    pub place: Place,
    pub format: TileFormat,
    /// Grows whenever the tile's layer is written.
    pub written: u64,
}

/// What came of an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upload {
    /// The tile is on its way to the GPU.
    Done {
        /// What was written.
        bytes: u64,
    },
    /// Everything in the cache is in use by what is on the screen.
    NoRoom,
    /// The bytes are not what the tile says they are; it is treated as failed.
    Malformed,
}

struct Resident {
    owner: Owner,
    valid: Size,
    coverage: Coverage,
    gaps: Gaps,
    /// Of the mosaic's geometry; 0 for a tile of the store.
    generation: u64,
    since_secs: f64,
    /// The frame that last drew it.
    last_used: u64,
    /// When its layer was last written, gutter included, as a count of uploads.
    written: u64,
    pinned: bool,
    edges: Edges,
}

/// Tiles of one format and side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PageKind {
    pub format: TileFormat,
    pub side: u32,
}

struct Page {
    kind: PageKind,
    texture: wgpu::Texture,
    bind_group: wgpu::BindGroup,
    layers: Vec<Option<Resident>>,
    free: Vec<u32>,
    bytes: u64,
}

/// A page that nothing on the screen uses; the least one is the first to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct IdlePage {
    pinned: bool,
    last_used: u64,
    index: usize,
}

/// The tiles on the GPU.
pub(super) struct TileCache {
    device: wgpu::Device,
    queue: wgpu::Queue,
    budget_bytes: u64,
    pages: Vec<Option<Page>>,
    index: FxHashMap<Owner, Place>,
    /// Tiles that cannot be read, with the generation that was wanted when that was found.
    failed: FxHashMap<Owner, u64>,
    generations: FxHashMap<SetId, Generations>,
    /// The frame being drawn. What it uses is not evicted.
    frame: u64,
    pinned_bytes: u64,
    /// Counts uploads, and how many of them were sent.
    uploads: u64,
    sent: u64,
    staging: Staging,
    /// Tiles whose pixels are on their way and whose gutters are not: those depend on what else comes in the same frame.
    fresh: Vec<Fresh>,
    fresh_bytes: u64,
    strip: Vec<u8>,
}

/// A tile on its way to the GPU.
struct Fresh {
    place: Place,
    /// Of [`Resident::written`].
    written: u64,
    rows: Rows,
}

impl TileCache {
    pub fn new(device: wgpu::Device, queue: wgpu::Queue, budget_bytes: u64) -> Self {
        let staging = Staging::new(device.clone());
        Self {
            device,
            queue,
            budget_bytes,
            pages: Vec::new(),
            index: FxHashMap::default(),
            failed: FxHashMap::default(),
            generations: FxHashMap::default(),
            frame: 1,
            pinned_bytes: 0,
            uploads: 0,
            sent: 0,
            staging,
            fresh: Vec::new(),
            fresh_bytes: 0,
            strip: Vec::new(),
        }
    }

    pub fn budget_bytes(&self) -> u64 {
        self.budget_bytes
    }

    /// Bytes of all pages.
    pub fn page_bytes(&self) -> u64 {
        self.pages.iter().flatten().map(|page| page.bytes).sum()
    }

    pub fn presence(&self, owner: &Owner) -> Presence {
        match self.resident(owner) {
            Some(Resident { coverage, gaps: Gaps::Unreadable, .. }) if *coverage != Coverage::FULL => {
                Presence::Damaged { coverage: *coverage }
            }
            Some(tile) => Presence::Resident { coverage: tile.coverage, since_secs: tile.since_secs },
            None if !self.failed.is_empty() && self.has_failed(owner) => Presence::Failed,
            None => Presence::Absent,
        }
    }

    /// Whether a tile shows an older state of its mosaic than is wanted.
    pub fn is_stale(&self, owner: &Owner) -> bool {
        owner.1.plane.field == MOSAIC
            && self.resident(owner).is_some_and(|tile| tile.generation < self.generations(owner.0).wanted)
    }

    /// Which states of a mosaic are wanted from now on. Fused tiles of another frame go by another name from then on, until
    /// they are evicted like any other.
    pub fn set_generations(&mut self, set: SetId, generations: Generations) {
        let before = self.generations.insert(set, generations).unwrap_or_default();
        if before.frame == generations.frame {
            return;
        }
        let of = |field: u32| self.index.keys().filter(move |owner| owner.0 == set && owner.1.plane.field == field);
        let gone: Vec<Owner> = of(FORMER_MOSAIC).copied().collect();
        let old: Vec<Owner> = of(MOSAIC).copied().collect();
        gone.iter().for_each(|owner| self.evict(owner));
        for owner in old {
            self.unpin(&owner);
            let (Some(tile), (_, key)) = (self.resident_mut(&owner), owner) else { continue };
            if tile.generation >= generations.frame {
                continue;
            }
            let plane = PlaneId { field: FORMER_MOSAIC, ..key.plane };
            tile.owner.1 = TileKey { plane, ..key };
            let renamed = tile.owner;
            if let Some(place) = self.index.remove(&owner) {
                self.index.insert(renamed, place);
            }
        }
    }

    fn unpin(&mut self, owner: &Owner) {
        let Some(kind) = self.place(owner).and_then(|place| self.kind_of(place)) else { return };
        if let Some(tile) = self.resident_mut(owner)
            && std::mem::take(&mut tile.pinned)
        {
            self.pinned_bytes = self.pinned_bytes.saturating_sub(gpu_tile_bytes(kind.format, kind.side));
        }
    }

    fn generations(&self, set: SetId) -> Generations {
        self.generations.get(&set).copied().unwrap_or_default()
    }

    /// What failed for one state of a mosaic may be made for the next.
    fn has_failed(&self, owner: &Owner) -> bool {
        let is_fused = owner.1.plane.field == MOSAIC;
        self.failed.get(owner).is_some_and(|&then| !is_fused || then >= self.generations(owner.0).wanted)
    }

    /// Where a tile is, and what a canvas must know to draw it.
    pub fn drawable(&self, owner: &Owner) -> Option<Drawable> {
        let place = self.place(owner)?;
        let page = self.pages.get(place.page as usize)?.as_ref()?;
        let tile = page.layers.get(place.layer as usize)?.as_ref()?;
        Some(Drawable { place, format: page.kind.format, written: tile.written })
    }

    pub fn bind_group(&self, page: u32) -> Option<&wgpu::BindGroup> {
        self.pages.get(page as usize)?.as_ref().map(|page| &page.bind_group)
    }

    /// A new frame begins: what the last one used may go.
    pub fn next_frame(&mut self) {
        self.frame += 1;
    }

    /// This frame uses a tile.
    pub fn touch(&mut self, owner: &Owner) {
        let frame = self.frame;
        if let Some(tile) = self.resident_mut(owner) {
            tile.last_used = frame;
        }
    }

    /// Keeps a tile until its set is removed, while there is room for pinned tiles.
    pub fn pin(&mut self, owner: &Owner) {
        let Some(place) = self.place(owner) else { return };
        let Some(page) = self.pages.get(place.page as usize).and_then(Option::as_ref) else { return };
        let bytes = gpu_tile_bytes(page.kind.format, page.kind.side);
        if (self.pinned_bytes + bytes) as f64 > self.budget_bytes as f64 * PINNED_SHARE {
            return;
        }
        if let Some(tile) = self.resident_mut(owner)
            && !tile.pinned
        {
            tile.pinned = true;
            self.pinned_bytes += bytes;
        }
    }

    pub fn mark_failed(&mut self, owner: Owner) {
        if self.failed.len() < MAX_FAILED_TILES || self.failed.contains_key(&owner) {
            self.failed.insert(owner, self.generations(owner.0).wanted);
        }
    }

    /// Forgets an image set; pages that are empty then are given back.
    pub fn remove_set(&mut self, set: SetId) {
        let owners: Vec<Owner> = self.index.keys().filter(|owner| owner.0 == set).copied().collect();
        for owner in &owners {
            self.evict(owner);
        }
        self.failed.retain(|owner, _| owner.0 != set);
        self.generations.remove(&set);
        for page in &mut self.pages {
            if page.as_ref().is_some_and(|p| p.layers.iter().all(Option::is_none)) {
                *page = None;
            }
        }
    }

    /// Puts a tile on the GPU, in place of what was there of it: [`Self::send`] has it copied.
    pub fn upload(&mut self, pixels: &TilePixels, now_secs: f64, pipelines: &Pipelines) -> Upload {
        let owner = (pixels.set, pixels.key);
        let kind = PageKind { format: pixels.format, side: pixels.side };
        if !is_well_formed(pixels) || u64::from(pixels.side) + 2 > u64::from(self.max_side()) {
            self.mark_failed(owner);
            return Upload::Malformed;
        }
        if self.is_outdone(pixels) {
            return Upload::Done { bytes: 0 };
        }
        let old = self.place(&owner).filter(|place| self.kind_of(*place) == Some(kind));
        let (place, since_secs, pinned) = match old {
            Some(place) => {
                let kept = self.resident(&owner).map_or((now_secs, false), |tile| (tile.since_secs, tile.pinned));
                (place, kept.0, kept.1)
            }
            None => {
                self.evict(&owner);
                match self.free_place(kind, pipelines) {
                    Some(place) => (place, now_secs, false),
                    None => return Upload::NoRoom,
                }
            }
        };
        // Not before there is a place: room that is taken and not used comes back with the next frame that copies anything.
        let whole = Size::new(pixels.side + 2, pixels.side + 2);
        let Some(mut rows) = self.staging.rows(whole, texel_bytes(pixels.format)) else {
            self.evict(&owner);
            if let Some(page) = self.pages.get_mut(place.page as usize).and_then(Option::as_mut)
                && !page.free.contains(&place.layer)
            {
                page.free.push(place.layer);
            }
            return Upload::NoRoom;
        };
        write_pixels(pixels, &mut rows);
        self.failed.remove(&owner);
        self.uploads += 1;
        let resident = Resident {
            owner,
            valid: pixels.valid,
            coverage: pixels.coverage,
            gaps: pixels.gaps,
            generation: pixels.generation,
            since_secs,
            last_used: self.frame,
            written: self.uploads,
            pinned,
            edges: Edges::of(pixels),
        };
        if let Some(page) = self.pages.get_mut(place.page as usize).and_then(Option::as_mut) {
            page.layers[place.layer as usize] = Some(resident);
            self.index.insert(owner, place);
        }
        let bytes = rows.bytes();
        self.fresh.push(Fresh { place, written: self.uploads, rows });
        self.fresh_bytes += bytes;
        if self.fresh_bytes > MAX_WAITING_BYTES {
            self.send_at_once();
        }
        Upload::Done { bytes }
    }

    /// Records the copies of what was uploaded, with the gutters that follow from it; false where there is nothing to record.
    /// The encoder must be submitted.
    pub fn send(&mut self, encoder: &mut wgpu::CommandEncoder) -> bool {
        let mut strip = std::mem::take(&mut self.strip);
        let mut gutters = BTreeSet::new();
        self.fresh_bytes = 0;
        for mut fresh in std::mem::take(&mut self.fresh) {
            // What took its place is on its way as well. It may go by another name by now, as the frame before does.
            let tile = self.at(fresh.place).filter(|tile| tile.written == fresh.written);
            let Some((owner, valid, coverage)) = tile.map(|tile| (tile.owner, tile.valid, tile.coverage)) else {
                continue;
            };
            let Some(target) = self.target(fresh.place, (0, 0)) else { continue };
            if let Some(around) = self.neighbourhood(owner) {
                for side in Side::ALL {
                    around.strip(side, &mut strip);
                    side.write_into(&mut fresh.rows, valid, &strip);
                }
            }
            self.staging.copy(fresh.rows, target);
            if coverage == Coverage::FULL {
                self.find_gutters(owner, &mut gutters);
            }
        }
        for (place, dx, dy) in gutters {
            self.send_gutter(place, (dx, dy), &mut strip);
        }
        self.strip = strip;
        self.sent = self.uploads;
        self.staging.record(encoder)
    }

    /// [`Self::send`] without a frame, and waits until it is done.
    fn send_at_once(&mut self) {
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("tiles") });
        if self.send(&mut encoder) {
            self.queue.submit([encoder.finish()]);
            // A device that was lost has nothing to wait for.
            self.device.poll(wgpu::PollType::wait_indefinitely()).ok();
        }
    }

    /// Whether a fused tile shows less than what is there already: it came late, or it is provisional where an older state
    /// was whole. What is there stays until its replacement is.
    fn is_outdone(&self, pixels: &TilePixels) -> bool {
        if pixels.key.plane.field != MOSAIC {
            return false;
        }
        let outdone = |there: &Resident| {
            let is_provisional = pixels.coverage != Coverage::FULL && pixels.gaps == Gaps::Coming;
            there.generation > pixels.generation
                || is_provisional && there.coverage.0.count_ones() > pixels.coverage.0.count_ones()
        };
        pixels.generation < self.generations(pixels.set).frame
            || self.resident(&(pixels.set, pixels.key)).is_some_and(outdone)
    }

    /// Finds the gutters that show an edge or corner of a tile that has just come: whose they are, and where the tile lies
    /// from there. A tile that came in the same frame has its gutters already.
    fn find_gutters(&self, (set, key): Owner, gutters: &mut BTreeSet<(Place, i32, i32)>) {
        let Some(kind) = self.place(&(set, key)).and_then(|place| self.kind_of(place)) else { return };
        for (dx, dy) in AROUND {
            let Some(neighbour) = shifted(key, dx, dy).map(|key| (set, key)) else { continue };
            let place = self.place(&neighbour).filter(|place| self.kind_of(*place) == Some(kind));
            let is_fresh = self.resident(&neighbour).is_some_and(|tile| tile.written > self.sent);
            gutters.extend(place.filter(|_| !is_fresh).map(|place| (place, -dx, -dy)));
        }
    }

    /// Rewrites the gutter of a tile on the side, or at the corner, where another has come.
    fn send_gutter(&mut self, place: Place, (dx, dy): (i32, i32), strip: &mut Vec<u8>) {
        let Some(tile) = self.at(place) else { return };
        let (owner, valid) = (tile.owner, tile.valid);
        let (Some(around), Some(kind)) = (self.neighbourhood(owner), self.kind_of(place)) else { return };
        let (origin, size) = match Side::towards(dx, dy) {
            Some(side) => {
                around.strip(side, strip);
                side.region(valid)
            }
            None => {
                strip.clear();
                strip.extend_from_slice(around.corner(dx, dy));
                let x = if dx < 0 { 0 } else { valid.width + 1 };
                let y = if dy < 0 { 0 } else { valid.height + 1 };
                ((x, y), Size::new(1, 1))
            }
        };
        let Some(target) = self.target(place, origin) else { return };
        let Some(mut rows) = self.staging.rows(size, texel_bytes(kind.format)) else { return };
        if size.width == 1 {
            rows.write_column(0, 0, strip);
        } else {
            rows.write(0, 0, strip);
        }
        self.staging.copy(rows, target);
        self.uploads += 1;
        let uploads = self.uploads;
        if let Some(tile) = self.resident_mut(&owner) {
            tile.written = uploads;
        }
    }

    /// A tile among those around it. Provisional ones do not count: what they lack would show as a dark line.
    fn neighbourhood(&self, (set, key): Owner) -> Option<Neighbourhood<'_>> {
        let own = self.resident(&(set, key))?;
        Some(Neighbourhood::new(&own.edges, |dx, dy| {
            let tile = self.resident(&(set, shifted(key, dx, dy)?))?;
            (tile.coverage == Coverage::FULL).then_some(&tile.edges)
        }))
    }

    fn target(&self, place: Place, origin: (u32, u32)) -> Option<Target> {
        let page = self.pages.get(place.page as usize)?.as_ref()?;
        Some(Target { texture: page.texture.clone(), layer: place.layer, origin })
    }

    fn at(&self, place: Place) -> Option<&Resident> {
        self.pages.get(place.page as usize)?.as_ref()?.layers.get(place.layer as usize)?.as_ref()
    }

    fn resident(&self, owner: &Owner) -> Option<&Resident> {
        self.at(*self.index.get(owner)?)
    }

    fn resident_mut(&mut self, owner: &Owner) -> Option<&mut Resident> {
        let place = self.index.get(owner)?;
        self.pages.get_mut(place.page as usize)?.as_mut()?.layers.get_mut(place.layer as usize)?.as_mut()
    }

    fn place(&self, owner: &Owner) -> Option<Place> {
        self.index.get(owner).copied()
    }

    fn kind_of(&self, place: Place) -> Option<PageKind> {
        self.pages.get(place.page as usize)?.as_ref().map(|page| page.kind)
    }

    fn max_side(&self) -> u32 {
        self.device.limits().max_texture_dimension_2d
    }

    /// Takes a tile off the GPU.
    fn evict(&mut self, owner: &Owner) {
        let Some(place) = self.index.remove(owner) else { return };
        let Some(page) = self.pages.get_mut(place.page as usize).and_then(Option::as_mut) else { return };
        if let Some(tile) = page.layers[place.layer as usize].take()
            && tile.pinned
        {
            self.pinned_bytes = self.pinned_bytes.saturating_sub(gpu_tile_bytes(page.kind.format, page.kind.side));
        }
        page.free.push(place.layer);
    }

    /// Room for one more tile: a free layer, a new page, or the place of what was not used for longest.
    fn free_place(&mut self, kind: PageKind, pipelines: &Pipelines) -> Option<Place> {
        if let Some(place) = self.free_layer(kind) {
            return Some(place);
        }
        if self.add_page(kind, pipelines) {
            return self.free_layer(kind);
        }
        let oldest_tile = self.oldest_tile(kind);
        if let Some(page) = self.oldest_foreign_page(kind)
            && oldest_tile.is_none_or(|(tile_used, _)| !page.pinned && page.last_used < tile_used)
        {
            self.drop_page(page.index);
            if self.add_page(kind, pipelines) {
                return self.free_layer(kind);
            }
        }
        let (_, owner) = oldest_tile?;
        self.evict(&owner);
        self.free_layer(kind)
    }

    fn free_layer(&mut self, kind: PageKind) -> Option<Place> {
        self.pages.iter_mut().enumerate().find_map(|(index, page)| {
            let layer = page.as_mut().filter(|page| page.kind == kind)?.free.pop()?;
            Some(Place { page: index as u32, layer })
        })
    }

    /// The tile of a kind that was not used for longest and may go, with when it was used.
    fn oldest_tile(&self, kind: PageKind) -> Option<(u64, Owner)> {
        let pages = self.pages.iter().flatten().filter(|page| page.kind == kind);
        pages
            .flat_map(|page| page.layers.iter().flatten())
            .filter(|tile| !tile.pinned && tile.last_used < self.frame)
            .map(|tile| (tile.last_used, tile.owner))
            .min()
    }

    /// The page of another kind that may go as a whole: one without pinned tiles before one with, then the one that was not
    /// used for longest.
    fn oldest_foreign_page(&self, kind: PageKind) -> Option<IdlePage> {
        let pages = self.pages.iter().enumerate().filter_map(|(index, page)| Some((index, page.as_ref()?)));
        pages
            .filter(|(_, page)| page.kind != kind)
            .map(|(index, page)| IdlePage {
                pinned: page.layers.iter().flatten().any(|tile| tile.pinned),
                last_used: page.layers.iter().flatten().map(|tile| tile.last_used).max().unwrap_or(0),
                index,
            })
            .filter(|page| page.last_used < self.frame)
            .min()
    }

    fn drop_page(&mut self, index: usize) {
        let Some(Some(page)) = self.pages.get_mut(index).map(Option::take) else { return };
        let tile_bytes = gpu_tile_bytes(page.kind.format, page.kind.side);
        for tile in page.layers.iter().flatten() {
            self.index.remove(&tile.owner);
            if tile.pinned {
                self.pinned_bytes = self.pinned_bytes.saturating_sub(tile_bytes);
            }
        }
    }

    /// Adds a page of a kind, twice as large as the last one; false when the budget has no room for a tile more.
    fn add_page(&mut self, kind: PageKind, pipelines: &Pipelines) -> bool {
        let layer_bytes = gpu_tile_bytes(kind.format, kind.side);
        let of_kind = self.pages.iter().flatten().filter(|page| page.kind == kind).count().min(8);
        let room = self.budget_bytes.saturating_sub(self.page_bytes());
        let bytes = (FIRST_PAGE_BYTES << of_kind).min(MAX_PAGE_BYTES).min(room).max(layer_bytes.min(room));
        let layers = (bytes / layer_bytes).min(u64::from(self.device.limits().max_texture_array_layers)) as u32;
        if layers == 0 {
            return false;
        }
        let texture = self.device.create_texture(&wgpu::TextureDescriptor {
            label: Some("tiles"),
            size: wgpu::Extent3d { width: kind.side + 2, height: kind.side + 2, depth_or_array_layers: layers },
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format: pipelines.page_format(kind.format),
            usage: wgpu::TextureUsages::TEXTURE_BINDING | wgpu::TextureUsages::COPY_DST,
            view_formats: &[],
        });
        let page = Page {
            kind,
            bind_group: pipelines.page_bind_group(&self.device, kind.format, &texture),
            texture,
            layers: (0..layers).map(|_| None).collect(),
            // Taken from the end, so that layers fill from the first.
            free: (0..layers).rev().collect(),
            bytes: u64::from(layers) * layer_bytes,
        };
        match self.pages.iter_mut().find(|slot| slot.is_none()) {
            Some(slot) => *slot = Some(page),
            None => self.pages.push(Some(page)),
        }
        true
    }
}

/// What is resident of one image set.
pub struct SetResidency<'a> {
    pub(super) cache: &'a TileCache,
    pub(super) set: SetId,
}

impl Residency for SetResidency<'_> {
    fn presence(&self, key: TileKey) -> Presence {
        self.cache.presence(&(self.set, key))
    }

    fn is_stale(&self, key: TileKey) -> bool {
        self.cache.is_stale(&(self.set, key))
    }
}

/// The eight directions that tiles lie in around one.
const AROUND: [(i32, i32); 8] = [(-1, 0), (1, 0), (0, -1), (0, 1), (-1, -1), (1, -1), (-1, 1), (1, 1)];

/// A tile beside another; `None` left of or above the first.
fn shifted(key: TileKey, dx: i32, dy: i32) -> Option<TileKey> {
    Some(TileKey { x: key.x.checked_add_signed(dx)?, y: key.y.checked_add_signed(dy)?, ..key })
}

fn is_well_formed(pixels: &TilePixels) -> bool {
    pixels.side > 0
        && !pixels.valid.is_empty()
        && pixels.valid.width <= pixels.side
        && pixels.valid.height <= pixels.side
        && pixels.bytes.len() == pixels.format.tile_bytes(pixels.side)
}
