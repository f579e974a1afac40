//! A [`Pyramid`]: a source with its levels in a store, and the work of making tiles.
//!
//! Everything that makes a tile goes through one in-flight table, so that no chunk is decoded twice at once, whether a
//! loader asks for it or the background fill.
//! Nobody waits here: a unit that another thread holds is [`Made::Busy`], and the caller comes back.

use super::{
    Cancel, Coverage, FillUnit, Gaps, ImageInfo, LevelOrigin, PlaneId, SetId, Source, TileKey, TilePixels, TileSpace,
    UnitSink, WithScratch,
};
use crate::error::{Error, Result};
use crate::geom::Size;
use crate::pixels::{TileFormat, halve_into};
use crate::store::{SlabClass, SlotWriter, Store};
use parking_lot::{Condvar, Mutex};
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Unreadable tiles remembered with their reasons; those beyond are remembered without words.
const MAX_REASONS_REMEMBERED: usize = 10_000;

/// Unreadable tiles remembered at all: 24 bytes each.
const MAX_FAILURES_REMEMBERED: usize = 300_000;

/// Native tiles that one wish may decode to derive a coarser one; beyond that the background fill brings it.
const MAX_TILES_PER_WISH: u64 = 16;

/// Levels below a provisional tile that are looked through: three halvings fill the cells of [`Coverage`] exactly.
const PROVISIONAL_DEPTH: u8 = 3;

/// Units up to this size are decoded on the heap and written as they are: a tile that lies in the processor's cache is
/// cheaper to write to a file than to store through a fresh map. Larger units are decoded straight into their slots.
const MAX_HEAP_UNIT_BYTES: usize = 2 << 20;

/// How long a pass over the image waits for a unit that another thread holds.
const PASS_WAIT: Duration = Duration::from_millis(20);

/// Why a tile is not there that no error was told for.
const NO_DATA: &str = "the file holds no data for this part";

/// Tile buffers kept for the next unit; two a thread are enough.
const MAX_SPARE_BUFFERS: usize = 32;

/// What became of the wish to have a tile in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Made {
    /// It is there.
    Ready,
    /// It cannot be read, or something beneath it cannot.
    Incomplete,
    /// Another thread is making it, or something beneath it.
    Busy,
    /// Too much is missing beneath it for one wish.
    NotYet,
}

/// What one step towards a tile came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The tile is there.
    Ready,
    /// A part of what it needs was made.
    Progressed,
    /// All that is missing is in the hands of other threads.
    Busy,
    /// All was tried, and some of it cannot be read.
    Incomplete,
}

/// What a loader brings.
#[derive(Debug)]
pub enum Loaded {
    /// The tile, whole.
    Tile(TilePixels),
    /// The tile cannot be read, in words.
    Failed(String),
    /// Not now: ask again when something has become ready.
    Later(Made),
}

/// How much work one call may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effort {
    /// As much as a person waits for: [`MAX_TILES_PER_WISH`].
    Wish,
    /// All of it.
    Fill,
}

/// What becomes of a tile that was made to be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// It goes into the store: it will be wanted again.
    Always,
    /// It goes into the store only where others are decoded with it: what goes over an image once, such as an export, would
    /// fill the disk with tiles that nobody looks at again.
    IfDecodedWithOthers,
}

/// Called between units of a fill: yields, reports progress, stops on cancel.
pub type Between<'a> = &'a (dyn Fn(u64) -> Result<()> + Sync);

/// A source with its levels in a store.
pub struct Pyramid {
    set: SetId,
    source: Arc<dyn Source>,
    store: Store,
    space: TileSpace,
    in_flight: InFlight,
    failures: Mutex<BTreeMap<TileKey, String>>,
    spare: Mutex<Vec<Vec<u8>>>,
    units_decoded: AtomicU64,
    tiles_made: AtomicU64,
}

/// The units that some thread is working on, by their first tile.
#[derive(Default)]
struct InFlight {
    units: Mutex<HashSet<TileKey>>,
    released: Condvar,
}

/// A unit held by this thread; dropping it lets others have it.
struct Claim<'a> {
    table: &'a InFlight,
    unit: TileKey,
}

impl InFlight {
    fn claim(&self, unit: TileKey) -> Option<Claim<'_>> {
        // The claim is made only where it is granted: one that is dropped lets go of the unit.
        let granted = self.units.lock().insert(unit);
        granted.then(|| Claim { table: self, unit })
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.table.units.lock().remove(&self.unit);
        self.table.released.notify_all();
    }
}

impl Pyramid {
    /// A pyramid of `source` in `store`, which was opened with the tile count of `space`.
    pub fn new(set: SetId, source: Arc<dyn Source>, store: Store, space: TileSpace) -> Self {
        Self {
            set,
            source,
            store,
            space,
            in_flight: InFlight::default(),
            failures: Mutex::default(),
            spare: Mutex::default(),
            units_decoded: AtomicU64::new(0),
            tiles_made: AtomicU64::new(0),
        }
    }

    /// The image set it belongs to.
    pub fn set(&self) -> SetId {
        self.set
    }

    /// The source.
    pub fn source(&self) -> &Arc<dyn Source> {
        &self.source
    }

    /// The store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// One of its images.
    pub fn image(&self, field: u32) -> Option<&ImageInfo> {
        self.source.images().get(field as usize)
    }

    /// Units decoded since it was opened.
    pub fn units_decoded(&self) -> u64 {
        self.units_decoded.load(Ordering::Relaxed)
    }

    /// Tiles decoded or derived since it was opened.
    pub fn tiles_made(&self) -> u64 {
        self.tiles_made.load(Ordering::Relaxed)
    }

    /// The unreadable tiles and why, as far as they are known.
    pub fn failures(&self) -> Vec<(TileKey, String)> {
        self.failures.lock().iter().map(|(k, v)| (*k, v.clone())).collect()
    }

    /// Why a tile is unreadable; `None` where it is not known to be.
    pub fn failure(&self, key: TileKey) -> Option<String> {
        self.failures.lock().get(&key).cloned()
    }

    /// Whether a tile is in the store.
    pub fn is_ready(&self, key: TileKey) -> bool {
        self.space.ordinal(key).is_some_and(|n| self.store.is_ready(n))
    }

    /// Brings a tile to the heap: from the store, or by decoding its unit, or by deriving it where that is little work.
    pub fn load(&self, key: TileKey, cancel: &Cancel) -> Result<Loaded> {
        // Once more where a stored tile turns out to be damaged, which makes it absent.
        for _ in 0..2 {
            match self.make(key, Effort::Wish, &|_| cancel.check(), cancel)? {
                Made::Ready => {
                    if let Some(pixels) = self.read(key)? {
                        return Ok(Loaded::Tile(pixels));
                    }
                }
                Made::Incomplete => {
                    if let Some(reason) = self.failures.lock().get(&key) {
                        return Ok(Loaded::Failed(reason.clone()));
                    }
                    // Everything beneath it was tried: what there is of it is all there will be.
                    return Ok(match self.provisional(key)? {
                        Some(pixels) => Loaded::Tile(TilePixels { gaps: Gaps::Unreadable, ..pixels }),
                        None => Loaded::Failed("nothing beneath it can be read".into()),
                    });
                }
                made => return Ok(Loaded::Later(made)),
            }
        }
        Ok(Loaded::Later(Made::Busy))
    }

    /// Reads a tile from the store; `None` where it is not there.
    pub fn read(&self, key: TileKey) -> Result<Option<TilePixels>> {
        let (Some(image), Some(ordinal)) = (self.image(key.plane.field), self.space.ordinal(key)) else {
            return Ok(None);
        };
        let mut bytes = vec![0; image.tile_bytes(key.plane)];
        Ok(self.store.read_into(ordinal, &mut bytes)?.then(|| self.pixels(image, key, Coverage::FULL, bytes)))
    }

    /// Lets `look` see a tile of the store in place, without a copy; `None` where it is not there.
    pub fn with_tile<R>(&self, key: TileKey, look: impl FnOnce(&[u8]) -> R) -> Result<Option<R>> {
        match self.space.ordinal(key) {
            Some(ordinal) => self.store.with_pinned(ordinal, look),
            None => Ok(None),
        }
    }

    /// A coarse tile from what is there beneath it, three levels deep; `None` where nothing is.
    ///
    /// It is for the eye only: where children are missing its coverage says so.
    pub fn provisional(&self, key: TileKey) -> Result<Option<TilePixels>> {
        let Some(image) = self.image(key.plane.field) else { return Ok(None) };
        Ok(self
            .gather(image, key, PROVISIONAL_DEPTH)?
            .map(|(bytes, coverage)| self.pixels(image, key, coverage, bytes)))
    }

    /// How much of a provisional tile there would be, without reading a pixel: the bits of its [`Coverage`].
    pub fn provisional_coverage(&self, key: TileKey) -> u64 {
        self.image(key.plane.field).map_or(0, |image| self.coverage_beneath(image, key, PROVISIONAL_DEPTH))
    }

    /// The file's own values of one pixel of level 0: from the store where it holds them exactly, else from the source.
    pub fn sample(&self, plane: PlaneId, x: u32, y: u32) -> Result<Option<Vec<f64>>> {
        let Some(image) = self.image(plane.field) else { return Ok(None) };
        if x >= image.size.width || y >= image.size.height {
            return Ok(None);
        }
        let side = image.tile_side;
        let key = TileKey { plane, level: 0, x: x / side, y: y / side };
        let coding = self.source.coding(plane)?;
        if !coding.exact || !self.is_ready(key) {
            return self.source.sample(plane, x, y).map(Some);
        }
        let Some(tile) = self.read(key)? else { return self.source.sample(plane, x, y).map(Some) };
        let bpp = tile.format.bytes_per_px();
        let at = ((y % side) as usize * side as usize + (x % side) as usize) * bpp;
        let px = &tile.bytes[at..at + bpp];
        Ok(Some(match tile.format {
            TileFormat::Gray16 => vec![coding.value(f64::from(u16::from_ne_bytes([px[0], px[1]])))],
            TileFormat::Gray8 | TileFormat::Rgb8 => px.iter().map(|&v| coding.value(f64::from(v))).collect(),
        }))
    }

    /// Makes one part of what a tile needs: decodes one unit beneath it, or derives one tile. For loaders, which look at
    /// the wish list between steps.
    pub fn step_towards(&self, key: TileKey, cancel: &Cancel) -> Result<Step> {
        let Some(image) = self.image(key.plane.field) else { return Ok(Step::Incomplete) };
        if self.is_ready(key) {
            return Ok(Step::Ready);
        }
        if self.failures.lock().contains_key(&key) {
            return Ok(Step::Incomplete);
        }
        let (mut busy, mut incomplete) = (false, false);
        if image.levels[key.level as usize].origin == LevelOrigin::Derived {
            for child in children(image, key) {
                match self.step_towards(child, cancel)? {
                    Step::Ready => {}
                    Step::Progressed => return Ok(Step::Progressed),
                    Step::Busy => busy = true,
                    Step::Incomplete => incomplete = true,
                }
            }
        }
        if busy || incomplete {
            return Ok(if busy { Step::Busy } else { Step::Incomplete });
        }
        Ok(match self.make(key, Effort::Wish, &|_| cancel.check(), cancel)? {
            Made::Ready | Made::Incomplete => Step::Progressed,
            Made::Busy | Made::NotYet => Step::Busy,
        })
    }

    /// Makes the tile and everything beneath it, depth first, so that parents are derived while their children are hot.
    ///
    /// `between` is called with the number of tiles made since its last call.
    pub fn fill(&self, key: TileKey, between: Between<'_>, cancel: &Cancel) -> Result<Made> {
        self.make(key, Effort::Fill, between, cancel)
    }

    /// Lets `with` look at a tile: one of the store, or one that is made for this.
    ///
    /// Fails with the reason where the tile cannot be read.
    pub fn visit_tile(&self, key: TileKey, keep: Keep, cancel: &Cancel, with: &mut dyn FnMut(&[u8])) -> Result<()> {
        let unreadable = |reason: String| {
            Error::format(
                format!("a part of the image cannot be read ({reason}), export a region without it"),
                Path::new(""),
            )
        };
        let mut stored = self.buffer(self.image(key.plane.field).map_or(0, |image| image.tile_bytes(key.plane)));
        loop {
            cancel.check()?;
            if let Some(ordinal) = self.space.ordinal(key)
                && self.store.is_ready(ordinal)
                && self.store.read_into(ordinal, &mut stored)?
            {
                with(&stored);
                self.give_back(stored);
                return Ok(());
            }
            if let Some(reason) = self.failure(key) {
                return Err(unreadable(reason));
            }
            if keep == Keep::IfDecodedWithOthers && self.stands_alone(key) {
                match self.decode_aside(key, &mut stored, cancel)? {
                    None => with(&stored),
                    Some(reason) => {
                        self.remember_failure(key, reason.clone());
                        return Err(unreadable(reason));
                    }
                }
                self.give_back(stored);
                return Ok(());
            }
            match self.fill(key, &|_| cancel.check(), cancel)? {
                Made::Ready => {}
                Made::Busy | Made::NotYet => self.wait_for_release(PASS_WAIT),
                Made::Incomplete => {
                    let reason = self.failure(key).unwrap_or_else(|| "something beneath it is damaged".into());
                    return Err(unreadable(reason));
                }
            }
        }
    }

    /// Whether a tile can be decoded without others.
    fn stands_alone(&self, key: TileKey) -> bool {
        let native = |image: &ImageInfo| matches!(image.levels[key.level as usize].origin, LevelOrigin::Native(_));
        self.image(key.plane.field).is_some_and(native) && {
            let unit = self.source.unit_of(key);
            unit.count == (1, 1) && unit.planes == [key.plane]
        }
    }

    /// Decodes a tile that stands alone into a buffer of its size; returns why it cannot be read, if so.
    fn decode_aside(&self, key: TileKey, pixels: &mut [u8], cancel: &Cancel) -> Result<Option<String>> {
        // Pixels beyond the edge, and those that the file leaves out, are zero.
        pixels.fill(0);
        let unit = FillUnit { planes: vec![key.plane], level: key.level, first: (key.x, key.y), count: (1, 1) };
        let mut sink = AsideSink { pyramid: self, key, pixels, is_written: false, failed: None };
        let outcome = self.source.read_unit(&unit, &mut sink, cancel);
        let AsideSink { is_written, failed, .. } = sink;
        match outcome {
            Ok(()) => {
                self.source.check_unchanged()?;
                let nothing = || (!is_written).then(|| NO_DATA.to_owned());
                Ok(failed.or_else(nothing))
            }
            Err(Error::Format { what, .. } | Error::Unsupported { what, .. } | Error::TooLarge { what, .. }) => {
                Ok(Some(what))
            }
            Err(error) => Err(error),
        }
    }

    /// Waits until some thread lets go of a unit, at most `timeout`.
    pub fn wait_for_release(&self, timeout: Duration) {
        let mut units = self.in_flight.units.lock();
        if !units.is_empty() {
            self.in_flight.released.wait_for(&mut units, timeout);
        }
    }

    fn pixels(&self, image: &ImageInfo, key: TileKey, coverage: Coverage, bytes: Vec<u8>) -> TilePixels {
        TilePixels {
            set: self.set,
            key,
            format: image.channels[key.plane.channel as usize].format,
            side: image.tile_side,
            valid: image.tile_rect(key).size(),
            coverage,
            gaps: Gaps::Coming,
            generation: 0,
            bytes,
        }
    }

    fn make(&self, key: TileKey, effort: Effort, between: Between<'_>, cancel: &Cancel) -> Result<Made> {
        let (Some(image), Some(ordinal)) = (self.image(key.plane.field), self.space.ordinal(key)) else {
            return Ok(Made::Incomplete);
        };
        if self.store.is_ready(ordinal) {
            return Ok(Made::Ready);
        }
        if self.failures.lock().contains_key(&key) {
            return Ok(Made::Incomplete);
        }
        match image.levels[key.level as usize].origin {
            LevelOrigin::Native(_) => {
                let made = self.make_unit(image, key, cancel)?;
                between(0)?;
                Ok(made)
            }
            LevelOrigin::Derived => self.make_derived(image, key, ordinal, effort, between, cancel),
        }
    }

    fn make_derived(
        &self,
        image: &ImageInfo,
        key: TileKey,
        ordinal: u64,
        effort: Effort,
        between: Between<'_>,
        cancel: &Cancel,
    ) -> Result<Made> {
        let children: Vec<TileKey> = children(image, key).collect();
        if effort == Effort::Wish && native_tiles_missing(self, image, key) > MAX_TILES_PER_WISH {
            return Ok(Made::NotYet);
        }
        let mut worst = Made::Ready;
        for &child in &children {
            match self.make(child, effort, between, cancel)? {
                Made::Ready => {}
                // Go on with the siblings: they are wanted all the same.
                Made::Incomplete if worst == Made::Ready => worst = Made::Incomplete,
                Made::Incomplete => {}
                made => worst = made,
            }
        }
        if worst != Made::Ready {
            return Ok(worst);
        }
        let Some(_claim) = self.in_flight.claim(key) else { return Ok(Made::Busy) };
        if self.store.is_ready(ordinal) {
            return Ok(Made::Ready);
        }
        let format = image.channels[key.plane.channel as usize].format;
        let mut parent = self.buffer(image.tile_bytes(key.plane));
        if image.tile_rect(key).size() != Size::new(image.tile_side, image.tile_side) {
            parent.fill(0);
        }
        for child in children {
            let valid = image.tile_rect(child).size();
            let quadrant = (child.x - 2 * key.x, child.y - 2 * key.y);
            let halve = |bytes: &[u8]| halve_into(format, image.tile_side, bytes, valid, &mut parent, quadrant);
            let there = match self.space.ordinal(child) {
                Some(n) => self.store.with_pinned(n, halve)?,
                None => None,
            };
            if there.is_none() {
                // It was evicted, or found damaged, since it was made: the caller comes back and makes it again.
                return Ok(Made::Busy);
            }
        }
        self.store.put(ordinal, &parent, SlabClass::Derived)?;
        self.give_back(parent);
        self.tiles_made.fetch_add(1, Ordering::Relaxed);
        between(1)?;
        Ok(Made::Ready)
    }

    fn make_unit(&self, image: &ImageInfo, key: TileKey, cancel: &Cancel) -> Result<Made> {
        let unit = self.source.unit_of(key);
        let Some(first) = unit.keys().next() else { return Ok(Made::Incomplete) };
        let Some(_claim) = self.in_flight.claim(first) else { return Ok(Made::Busy) };
        if self.is_ready(key) {
            return Ok(Made::Ready);
        }
        let bytes: usize = unit.keys().map(|tile| image.tile_bytes(tile.plane)).sum();
        let on_heap = bytes <= MAX_HEAP_UNIT_BYTES;
        let mut sink = StoreSink { pyramid: self, unit: &unit, on_heap, tiles: HashMap::new(), failed: HashSet::new() };
        let outcome = self.source.read_unit(&unit, &mut sink, cancel);
        self.units_decoded.fetch_add(1, Ordering::Relaxed);
        let StoreSink { tiles, failed, .. } = sink;
        match outcome {
            Ok(()) => {
                self.source.check_unchanged()?;
                for (tile, made) in tiles {
                    if failed.contains(&tile) {
                        continue;
                    }
                    match made {
                        UnitTile::Slot(slot) => slot.commit()?,
                        UnitTile::Heap(ordinal, pixels) => {
                            self.store.put(ordinal, &pixels, SlabClass::Base)?;
                            self.give_back(pixels);
                        }
                    }
                    self.tiles_made.fetch_add(1, Ordering::Relaxed);
                }
            }
            Err(Error::Format { what, .. } | Error::Unsupported { what, .. } | Error::TooLarge { what, .. }) => {
                for tile in unit.keys() {
                    self.remember_failure(tile, what.clone());
                }
            }
            Err(error) => return Err(error),
        }
        Ok(if self.is_ready(key) {
            Made::Ready
        } else {
            self.remember_failure(key, NO_DATA.into());
            Made::Incomplete
        })
    }

    /// A buffer with anything in it.
    fn buffer(&self, bytes: usize) -> Vec<u8> {
        let mut buffer = self.spare.lock().pop().unwrap_or_default();
        buffer.resize(bytes, 0);
        buffer
    }

    fn give_back(&self, buffer: Vec<u8>) {
        let mut spare = self.spare.lock();
        if spare.len() < MAX_SPARE_BUFFERS {
            spare.push(buffer);
        }
    }

    fn remember_failure(&self, key: TileKey, reason: String) {
        let mut failures = self.failures.lock();
        let reason = if failures.len() < MAX_REASONS_REMEMBERED { reason } else { String::new() };
        if failures.len() < MAX_FAILURES_REMEMBERED {
            failures.entry(key).or_insert(reason);
        }
    }

    fn coverage_beneath(&self, image: &ImageInfo, key: TileKey, depth: u8) -> u64 {
        if self.is_ready(key) {
            return u64::MAX;
        }
        if depth == 0 || image.levels[key.level as usize].origin != LevelOrigin::Derived {
            return 0;
        }
        let mut some = false;
        let mut coverage = u64::MAX;
        for child in children(image, key) {
            let cells = self.coverage_beneath(image, child, depth - 1);
            some |= cells != 0;
            coverage = merge_coverage(coverage, Coverage(cells), (child.x - 2 * key.x, child.y - 2 * key.y));
        }
        if some { coverage } else { 0 }
    }

    fn gather(&self, image: &ImageInfo, key: TileKey, depth: u8) -> Result<Option<(Vec<u8>, Coverage)>> {
        if self.is_ready(key)
            && let Some(pixels) = self.read(key)?
        {
            return Ok(Some((pixels.bytes, Coverage::FULL)));
        }
        if depth == 0 || image.levels[key.level as usize].origin != LevelOrigin::Derived {
            return Ok(None);
        }
        let format = image.channels[key.plane.channel as usize].format;
        let mut parent: Option<Vec<u8>> = None;
        // Quadrants beyond the image's edge have no pixels to miss.
        let mut coverage = u64::MAX;
        for child in children(image, key) {
            let quadrant = (child.x - 2 * key.x, child.y - 2 * key.y);
            let cells = match self.gather(image, child, depth - 1)? {
                None => 0,
                Some((bytes, cells)) => {
                    let parent = parent.get_or_insert_with(|| vec![0; image.tile_bytes(key.plane)]);
                    halve_into(format, image.tile_side, &bytes, image.tile_rect(child).size(), parent, quadrant);
                    cells.0
                }
            };
            coverage = merge_coverage(coverage, Coverage(cells), quadrant);
        }
        Ok(parent.map(|bytes| (bytes, Coverage(coverage))))
    }
}

/// The tiles that a derived tile is halved from; fewer than four at the image's edge.
pub fn children(image: &ImageInfo, key: TileKey) -> impl Iterator<Item = TileKey> + use<> {
    let level = key.level.saturating_sub(1);
    let below = image.tiles(level);
    (0..2).flat_map(move |dy| (0..2).map(move |dx| (2 * key.x + dx, 2 * key.y + dy))).filter_map(move |(x, y)| {
        (x < below.width && y < below.height).then_some(TileKey { plane: key.plane, level, x, y })
    })
}

/// Puts a child's cells into its quadrant of the parent's: a parent cell is there when all four child cells are.
fn merge_coverage(parent: u64, child: Coverage, quadrant: (u32, u32)) -> u64 {
    let half = Coverage::CELLS / 2;
    let mut merged = parent;
    for (row, column) in (0..half).flat_map(|row| (0..half).map(move |column| (row, column))) {
        let whole = (0..2).all(|dy| (0..2).all(|dx| child.has(2 * column + dx, 2 * row + dy)));
        let bit = 1 << ((quadrant.1 * half + row) * Coverage::CELLS + quadrant.0 * half + column);
        merged = if whole { merged | bit } else { merged & !bit };
    }
    merged
}

/// How many native tiles would have to be decoded for a derived one, at most; stops counting past the limit.
fn native_tiles_missing(pyramid: &Pyramid, image: &ImageInfo, key: TileKey) -> u64 {
    if pyramid.is_ready(key) || pyramid.failures.lock().contains_key(&key) {
        return 0;
    }
    if image.levels[key.level as usize].origin != LevelOrigin::Derived {
        return 1;
    }
    let mut missing = 0;
    for child in children(image, key) {
        missing += native_tiles_missing(pyramid, image, child);
        if missing > MAX_TILES_PER_WISH {
            break;
        }
    }
    missing
}

/// A tile of a unit on its way to the store.
enum UnitTile<'a> {
    /// In its slot already.
    Slot(SlotWriter<'a>),
    /// On the heap, with its place in the store.
    Heap(u64, Vec<u8>),
}

/// Puts a unit's tiles into the store.
struct StoreSink<'a> {
    pyramid: &'a Pyramid,
    unit: &'a FillUnit,
    on_heap: bool,
    tiles: HashMap<TileKey, UnitTile<'a>>,
    failed: HashSet<TileKey>,
}

/// Takes one tile into a buffer.
struct AsideSink<'a> {
    pyramid: &'a Pyramid,
    key: TileKey,
    pixels: &'a mut [u8],
    is_written: bool,
    failed: Option<String>,
}

impl UnitSink for AsideSink<'_> {
    fn tile_mut(&mut self, key: TileKey) -> Result<&mut [u8]> {
        if key != self.key {
            return Err(Error::format(BEYOND_ITS_PART, Path::new("")));
        }
        self.is_written = true;
        Ok(self.pixels)
    }

    fn with_scratch(&mut self, bytes: u64, then: &mut WithScratch<'_>) -> Result<()> {
        let mut scratch = self.pyramid.store.scratch(bytes)?;
        then(&mut scratch, self)
    }

    fn fail(&mut self, _key: TileKey, reason: String) {
        self.failed.get_or_insert(reason);
    }
}

/// What is wrong with a decoder that asks for a tile of another unit.
const BEYOND_ITS_PART: &str = "a decoder wrote outside its part of the image";

impl StoreSink<'_> {
    fn holds(&self, key: TileKey) -> bool {
        let ((x0, y0), (nx, ny)) = (self.unit.first, self.unit.count);
        key.level == self.unit.level
            && (x0..x0 + nx).contains(&key.x)
            && (y0..y0 + ny).contains(&key.y)
            && self.unit.planes.contains(&key.plane)
    }
}

impl UnitSink for StoreSink<'_> {
    fn tile_mut(&mut self, key: TileKey) -> Result<&mut [u8]> {
        let pyramid = self.pyramid;
        let (Some(image), Some(ordinal), true) =
            (pyramid.image(key.plane.field), pyramid.space.ordinal(key), self.holds(key))
        else {
            return Err(Error::format(BEYOND_ITS_PART, Path::new("")));
        };
        let tile = match self.tiles.entry(key) {
            Entry::Occupied(tile) => tile.into_mut(),
            Entry::Vacant(place) => {
                let bytes = image.tile_bytes(key.plane);
                let is_cut = image.tile_rect(key).size() != Size::new(image.tile_side, image.tile_side);
                place.insert(if self.on_heap {
                    let mut pixels = pyramid.buffer(bytes);
                    if is_cut {
                        pixels.fill(0);
                    }
                    UnitTile::Heap(ordinal, pixels)
                } else {
                    let mut slot = pyramid.store.begin(ordinal, bytes, SlabClass::Base)?;
                    if is_cut {
                        slot.zero();
                    }
                    UnitTile::Slot(slot)
                })
            }
        };
        Ok(match tile {
            UnitTile::Slot(slot) => slot,
            UnitTile::Heap(_, pixels) => pixels,
        })
    }

    fn with_scratch(&mut self, bytes: u64, then: &mut WithScratch<'_>) -> Result<()> {
        let mut scratch = self.pyramid.store.scratch(bytes)?;
        then(&mut scratch, self)
    }

    fn fail(&mut self, key: TileKey, reason: String) {
        self.failed.insert(key);
        self.pyramid.remember_failure(key, reason);
    }
}
