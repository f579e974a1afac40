//! The tiles on the GPU: pages of layers, who sits where, and who goes first.
//!
//! A page is a 2-D array texture for tiles of one format and side; a layer holds one tile with a gutter of one pixel all
//! around, so that smooth sampling at a tile's edge sees its neighbour.
//! Pages are made as they are needed, the first small, later ones up to [`MAX_PAGE_BYTES`], within one budget.

use super::gutter::{Edges, Neighbourhood, Side, lay_out, texel_bytes};
use super::pipelines::Pipelines;
use crate::geom::Size;
use crate::mosaic::MOSAIC;
use crate::pixels::TileFormat;
use crate::pyramid::{Coverage, Gaps, PlaneId, SetId, TileKey, TilePixels};
use crate::view::{FORMER_MOSAIC, Presence, Residency, gpu_tile_bytes};
use std::collections::HashMap;

/// No page is larger: drivers find room for many small textures more easily than for one large one.
pub const MAX_PAGE_BYTES: u64 = 32 << 20;
/// The first page of a kind, so that a small picture costs little; every further page is twice the last.
const FIRST_PAGE_BYTES: u64 = 4 << 20;
/// Pinned tiles take at most this share of the budget; further ones are evicted like any other.
const PINNED_SHARE: f64 = 0.1;
/// Tiles that failed are remembered up to this many; a source with more is broken as a whole.
const MAX_FAILED_TILES: usize = 65_536;

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
        /// What was written, gutters of neighbours included.
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
    index: HashMap<Owner, Place>,
    /// Tiles that cannot be read, with the generation that was wanted when that was found.
    failed: HashMap<Owner, u64>,
    generations: HashMap<SetId, Generations>,
    /// The frame being drawn. What it uses is not evicted.
    frame: u64,
    pinned_bytes: u64,
    /// Counts uploads.
    uploads: u64,
    staging: Vec<u8>,
    strip: Vec<u8>,
}

impl TileCache {
    pub fn new(device: wgpu::Device, queue: wgpu::Queue, budget_bytes: u64) -> Self {
        Self {
            device,
            queue,
            budget_bytes,
            pages: Vec::new(),
            index: HashMap::new(),
            failed: HashMap::new(),
            generations: HashMap::new(),
            frame: 1,
            pinned_bytes: 0,
            uploads: 0,
            staging: Vec::new(),
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

    /// Puts a tile on the GPU, in place of what was there of it.
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
        self.failed.remove(&owner);
        self.uploads += 1;

        let texel_bytes = texel_bytes(pixels.format);
        let mut staging = std::mem::take(&mut self.staging);
        lay_out(pixels, &mut staging);
        let pitch = (pixels.side as usize + 2) * texel_bytes;
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
            edges: Edges::of(&staging, pitch, pixels.valid, texel_bytes),
        };
        if let Some(page) = self.pages.get_mut(place.page as usize).and_then(Option::as_mut) {
            page.layers[place.layer as usize] = Some(resident);
            self.index.insert(owner, place);
        }

        let mut strip = std::mem::take(&mut self.strip);
        if let Some(around) = self.neighbourhood(owner) {
            for side in Side::ALL {
                around.strip(side, &mut strip);
                side.write_into(&mut staging, pitch, pixels.valid, texel_bytes, &strip);
            }
        }
        let whole = Size::new(pixels.side + 2, pixels.side + 2);
        let mut bytes = self.write(place, (0, 0), whole, &staging, texel_bytes);
        if pixels.coverage == Coverage::FULL {
            bytes += self.update_neighbours(owner, kind, &mut strip);
        }
        self.staging = staging;
        self.strip = strip;
        Upload::Done { bytes }
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

    /// Rewrites the gutters that show an edge or corner of a tile that has just come.
    fn update_neighbours(&mut self, (set, key): Owner, kind: PageKind, strip: &mut Vec<u8>) -> u64 {
        let texel_bytes = texel_bytes(kind.format);
        let mut bytes = 0;
        for (dx, dy) in [(-1, 0), (1, 0), (0, -1), (0, 1), (-1, -1), (1, -1), (-1, 1), (1, 1)] {
            let Some(neighbour) = shifted(key, dx, dy).map(|key| (set, key)) else { continue };
            let Some(place) = self.place(&neighbour).filter(|place| self.kind_of(*place) == Some(kind)) else {
                continue;
            };
            let Some(valid) = self.resident(&neighbour).map(|tile| tile.valid) else { continue };
            let Some(around) = self.neighbourhood(neighbour) else { continue };
            // Seen from the neighbour, the new tile lies the other way.
            let (origin, size) = match Side::towards(-dx, -dy) {
                Some(side) => {
                    around.strip(side, strip);
                    side.region(valid)
                }
                None => {
                    strip.clear();
                    strip.extend_from_slice(around.corner(-dx, -dy));
                    let x = if dx > 0 { 0 } else { valid.width + 1 };
                    let y = if dy > 0 { 0 } else { valid.height + 1 };
                    ((x, y), Size::new(1, 1))
                }
            };
            bytes += self.write(place, origin, size, strip, texel_bytes);
            let uploads = self.uploads;
            if let Some(tile) = self.resident_mut(&neighbour) {
                tile.written = uploads;
            }
        }
        bytes
    }

    /// A tile among those around it. Provisional ones do not count: what they lack would show as a dark line.
    fn neighbourhood(&self, (set, key): Owner) -> Option<Neighbourhood<'_>> {
        let own = self.resident(&(set, key))?;
        Some(Neighbourhood::new(&own.edges, |dx, dy| {
            let tile = self.resident(&(set, shifted(key, dx, dy)?))?;
            (tile.coverage == Coverage::FULL).then_some(&tile.edges)
        }))
    }

    fn write(&self, place: Place, origin: (u32, u32), size: Size, bytes: &[u8], texel_bytes: usize) -> u64 {
        let Some(page) = self.pages.get(place.page as usize).and_then(Option::as_ref) else { return 0 };
        self.queue.write_texture(
            wgpu::TexelCopyTextureInfo {
                texture: &page.texture,
                mip_level: 0,
                origin: wgpu::Origin3d { x: origin.0, y: origin.1, z: place.layer },
                aspect: wgpu::TextureAspect::All,
            },
            bytes,
            wgpu::TexelCopyBufferLayout {
                offset: 0,
                bytes_per_row: Some(size.width * texel_bytes as u32),
                rows_per_image: Some(size.height),
            },
            wgpu::Extent3d { width: size.width, height: size.height, depth_or_array_layers: 1 },
        );
        size.area() * texel_bytes as u64
    }

    fn resident(&self, owner: &Owner) -> Option<&Resident> {
        let place = self.index.get(owner)?;
        self.pages.get(place.page as usize)?.as_ref()?.layers.get(place.layer as usize)?.as_ref()
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
