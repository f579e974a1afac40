//! From shots with names and places to a field set: channels, focus and time are put in order, fields get their planes.

use super::candidate::{Candidate, Kind};
use super::field_set::{
    Corner, FieldChannel, FieldPlace, FieldPlane, FieldSet, FirstAlong, GridLayout, GridOrder, Layout, LeftOut,
    ScanPath,
};
use super::grid::{cells_of_places, guess_sides};
use super::names::{ChannelTag, FieldKey, NameTags, natural_order, steps_of_one};
use super::plate::Plate;
use crate::formats::StagePlace;
use crate::geom::{Point, Size};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Sizes along a side that still go with the most common one, as a share of it: the last row and column are often cut.
const SIZE_SHARES: std::ops::RangeInclusive<f64> = 0.5..=1.5;

/// One image, or one plane of one, that belongs to one field.
#[derive(Debug, Clone)]
pub struct Shot {
    /// Index of the file among the candidates.
    pub file: usize,
    /// The image in it.
    pub image: u32,
    /// The one plane of the image that is meant: channel, z, t. `None`: all of them.
    pub at: Option<[u16; 3]>,
    /// What it is. `None` for a file that cannot be read: it takes the fields' kind.
    pub kind: Option<Arc<Kind>>,
    /// Where the stage stood.
    pub stage: Option<StagePlace>,
    /// The well that the file says.
    pub region: String,
    /// What the name says.
    pub tags: NameTags,
    /// Its name.
    pub name: String,
}

/// Fields that were found, before their planes are in order.
pub struct Draft {
    /// The set's name inside its folder; empty for the whole folder.
    pub name: String,
    /// How it was recognised.
    pub evidence: String,
    /// Its shots with their fields.
    pub shots: Vec<(FieldKey, usize)>,
    /// Where fields stand.
    pub places: DraftPlaces,
    /// What the user should know.
    pub warnings: Vec<String>,
}

/// Where the fields of a draft stand.
pub enum DraftPlaces {
    /// At places in pixels, from here.
    Known(HashMap<FieldKey, Point>, Layout),
    /// In the grid that their keys say.
    Grid,
}

/// The size that most shots have.
pub fn common_kind<'a>(shots: impl Iterator<Item = &'a Shot>) -> Option<Arc<Kind>> {
    let mut counts: Vec<(Arc<Kind>, usize)> = Vec::new();
    for kind in shots.filter_map(|s| s.kind.as_ref()) {
        let same = |k: &Arc<Kind>| Arc::ptr_eq(k, kind) || (k.size == kind.size && k.goes_with(kind));
        match counts.iter().position(|(k, _)| same(k)) {
            Some(known) => counts[known].1 += 1,
            // Files that are all different are no fields; a few kinds are enough to see that.
            None if counts.len() < 64 => counts.push((kind.clone(), 1)),
            None => {}
        }
    }
    counts.into_iter().max_by_key(|(_, count)| *count).map(|(kind, _)| kind)
}

/// Why a shot cannot be a field beside others of `kind`.
pub fn misfit(shot: &Shot, kind: &Kind) -> Option<&'static str> {
    let own = shot.kind.as_ref()?;
    let fits = |own: u32, common: u32| SIZE_SHARES.contains(&(f64::from(own) / f64::from(common.max(1))));
    if !own.goes_with(kind) && shot.at.is_none() {
        Some("other pixels than the fields")
    } else if !fits(own.size.width, kind.size.width) || !fits(own.size.height, kind.size.height) {
        Some("another size than the fields")
    } else {
        None
    }
}

/// Puts a draft's planes in order. Nothing where no readable shot is left, or the numbers of channels, focus positions or
/// time points are beyond what planes count.
pub fn assemble(
    folder: &Path,
    path: PathBuf,
    draft: Draft,
    shots: &[Shot],
    candidates: &[Candidate],
    plate: &Plate,
) -> Option<FieldSet> {
    let kind = common_kind(draft.shots.iter().map(|(_, i)| &shots[*i]))?;
    let mut left_out: Vec<LeftOut> = Vec::new();
    let mut warnings = draft.warnings;
    let path_of = |shot: &Shot| candidates[shot.file].path.clone();
    let used: Vec<(FieldKey, &Shot)> = draft
        .shots
        .iter()
        .map(|(key, index)| (*key, &shots[*index]))
        .filter(|(_, shot)| match misfit(shot, &kind) {
            Some(reason) => {
                left_out.push(LeftOut { path: path_of(shot), reason: reason.into() });
                false
            }
            None => true,
        })
        .collect();
    let order = PlaneOrder::of(&used, &kind, plate)?;
    let mut files: Vec<PathBuf> = used.iter().map(|(_, s)| path_of(s)).collect();
    files.sort();
    files.dedup();
    let file_of: HashMap<&Path, u32> = files.iter().enumerate().map(|(i, p)| (p.as_path(), i as u32)).collect();

    let mut fields: BTreeMap<FieldKey, FieldPlace> = BTreeMap::new();
    let mut taken: HashSet<(FieldKey, u16, u16, u16)> = HashSet::new();
    for (key, shot) in &used {
        let file = file_of[candidates[shot.file].path.as_path()];
        let planes = order.planes(shot, &kind, file);
        if planes.iter().any(|p| taken.contains(&(*key, p.channel, p.z, p.t))) {
            left_out.push(LeftOut {
                path: path_of(shot),
                reason: "the same plane of the same field as another file".into(),
            });
            continue;
        }
        taken.extend(planes.iter().map(|p| (*key, p.channel, p.z, p.t)));
        let field = fields.entry(*key).or_insert_with(|| FieldPlace {
            name: shot.name.clone(),
            row_col: None,
            nominal: Point::default(),
            size: shot.kind.as_ref().map_or(kind.size, |k| k.size),
            planes: Vec::new(),
        });
        field.planes.extend(planes);
    }
    if let Some(unread) = unreadable_words(&used, candidates) {
        warnings.push(unread);
    }
    let layout = lay_out(&mut fields, &draft.places, kind.size, plate)?;
    let mut fields: Vec<FieldPlace> = fields.into_values().collect();
    for field in &mut fields {
        field.planes.sort_by_key(|p| (p.t, p.z, p.channel));
        field.planes.shrink_to_fit();
    }
    fields.sort_by(|a, b| natural_order(&a.name, &b.name));
    if order.rounds.len() > 1 {
        warnings.push(format!(
            "{} staining rounds; rounds are not registered to each other yet, so each is shown alone",
            order.rounds.len()
        ));
    }
    let um_per_px = kind.um_per_px.or_else(|| used.iter().find_map(|(_, s)| s.stage?.um_per_px));
    let folder_name = folder.file_name().map_or_else(|| folder.display().to_string(), |n| n.to_string_lossy().into());
    Some(FieldSet {
        path,
        name: if draft.name.is_empty() { folder_name } else { draft.name },
        evidence: draft.evidence,
        files,
        channels: order.named_channels(&kind),
        fields,
        z_count: order.z_count(&kind)?,
        t_count: order.t_count(&kind)?,
        um_per_px,
        layout,
        left_out,
        saved_positions: None,
        warnings,
    })
}

/// Files that stay in the mosaic as holes.
fn unreadable_words(used: &[(FieldKey, &Shot)], candidates: &[Candidate]) -> Option<String> {
    let bad: Vec<&Shot> = used.iter().map(|(_, s)| *s).filter(|s| s.kind.is_none()).collect();
    let first = bad.first()?;
    let reason = match &candidates[first.file].head {
        super::candidate::Head::Unreadable(reason) => reason.as_str(),
        _ => "it is not whole",
    };
    let name = &candidates[first.file].name;
    Some(match bad.len() {
        1 => format!("{name} cannot be read: {reason}"),
        n => format!("{n} files cannot be read, {name} first: {reason}"),
    })
}

/// The channels, focus positions and time points of a set, from names and from files.
struct PlaneOrder {
    rounds: Vec<i64>,
    /// Round, name, channel of the file.
    channels: Vec<(i64, Option<ChannelTag>, u16)>,
    numbers: HashMap<(i64, Option<ChannelTag>, u16), u16>,
    names: HashMap<i64, String>,
    z: Vec<i64>,
    t: Vec<i64>,
    /// Shots are single planes of a file, so the file's own channels are told by their names.
    is_by_plane: bool,
}

impl PlaneOrder {
    fn of(used: &[(FieldKey, &Shot)], kind: &Kind, plate: &Plate) -> Option<Self> {
        let names = channel_names(used, plate);
        let tags = || used.iter().map(|(_, s)| &s.tags);
        let rounds: BTreeSet<i64> = tags().map(|t| t.round).collect();
        let z: BTreeSet<i64> = tags().map(|t| t.z).collect();
        let t: BTreeSet<i64> = tags().map(|t| t.t).collect();
        let mut channels = BTreeSet::new();
        for (_, shot) in used {
            for (slot, _) in shot.channel_slots(kind) {
                channels.insert((shot.tags.round, listed_tag(shot, &names), slot));
            }
        }
        let channels: Vec<_> = channels.into_iter().collect();
        u16::try_from(channels.len()).ok()?;
        let numbers = channels.iter().enumerate().map(|(i, c)| (c.clone(), i as u16)).collect();
        let order = Self {
            rounds: rounds.into_iter().collect(),
            channels,
            numbers,
            names,
            z: z.into_iter().collect(),
            t: t.into_iter().collect(),
            is_by_plane: used.iter().any(|(_, s)| s.at.is_some()),
        };
        order.z_count(kind)?;
        order.t_count(kind)?;
        Some(order)
    }

    fn z_count(&self, kind: &Kind) -> Option<u16> {
        u16::try_from(self.z.len()).ok()?.checked_mul(if self.is_by_plane { 1 } else { kind.z_count.max(1) })
    }

    fn t_count(&self, kind: &Kind) -> Option<u16> {
        u16::try_from(self.t.len()).ok()?.checked_mul(if self.is_by_plane { 1 } else { kind.t_count.max(1) })
    }

    /// Where the planes of a shot are.
    fn planes(&self, shot: &Shot, kind: &Kind, file: u32) -> Vec<FieldPlane> {
        let own = shot.kind.as_deref().unwrap_or(kind);
        let rank = |list: &[i64], value: i64| list.binary_search(&value).unwrap_or(0) as u16;
        let (z, t) = (rank(&self.z, shot.tags.z), rank(&self.t, shot.tags.t));
        let tag = listed_tag(shot, &self.names);
        let mut planes = Vec::new();
        let (zs, ts) = match shot.at {
            Some([_, z, t]) => (z..z + 1, t..t + 1),
            None => (0..own.z_count.min(kind.z_count).max(1), 0..own.t_count.min(kind.t_count).max(1)),
        };
        for file_t in ts {
            for file_z in zs.clone() {
                for (slot, file_channel) in shot.channel_slots(kind) {
                    let key = (shot.tags.round, tag.clone(), slot);
                    let Some(&channel) = self.numbers.get(&key) else { continue };
                    let (z, t) = match shot.at {
                        Some(_) => (z, t),
                        None => (z * kind.z_count.max(1) + file_z, t * kind.t_count.max(1) + file_t),
                    };
                    planes.push(FieldPlane { channel, z, t, file, image: shot.image, file_channel, file_z, file_t });
                }
            }
        }
        planes
    }

    fn named_channels(&self, kind: &Kind) -> Vec<FieldChannel> {
        let rank = |round: i64| self.rounds.binary_search(&round).unwrap_or(0) as u16;
        let is_one = kind.channels.len() == 1 || self.is_by_plane;
        let named = |(round, tag, slot): &(i64, Option<ChannelTag>, u16)| {
            let in_file = kind.channels.get(usize::from(*slot));
            let file_name = in_file.map_or_else(|| format!("Channel {}", slot + 1), |c| c.1.clone());
            let own = tag.as_ref().map(|t| t.name.clone());
            let name = match own {
                Some(own) if !is_one => format!("{own} {file_name}"),
                Some(own) => own,
                None => file_name,
            };
            // A lone gray channel of a file has the file's colour only where the name does not tell channels apart.
            let color = in_file.and_then(|c| c.2).filter(|_| tag.is_none() || !is_one);
            FieldChannel { name, color, round: rank(*round) }
        };
        let mut channels: Vec<FieldChannel> = self.channels.iter().map(named).collect();
        if self.rounds.len() > 1 {
            for channel in &mut channels {
                channel.name = format!("{} (round {})", channel.name, channel.round + 1);
            }
        }
        channels
    }
}

/// The names of numbered channels: what the plate's file says, else the longest that a file's name has (`w1DAPI` beside
/// `w1`).
fn channel_names(used: &[(FieldKey, &Shot)], plate: &Plate) -> HashMap<i64, String> {
    let mut names: HashMap<i64, String> = HashMap::new();
    for tag in used.iter().filter_map(|(_, s)| s.tags.channel.as_ref()).filter(|t| t.number != ChannelTag::WORD) {
        let known = names.entry(tag.number).or_default();
        if tag.name.len() > known.len() {
            known.clone_from(&tag.name);
        }
    }
    for (number, name) in &mut names {
        let is_wave = name.to_lowercase().starts_with('w');
        if let Some(wave) = plate.wave(&format!("w{number}")).filter(|_| is_wave) {
            *name = wave.to_owned();
        }
    }
    names
}

/// A shot's channel as the channels are listed.
fn listed_tag(shot: &Shot, names: &HashMap<i64, String>) -> Option<ChannelTag> {
    let tag = shot.tags.channel.clone()?;
    Some(match names.get(&tag.number) {
        Some(name) => ChannelTag::new(tag.number, name),
        None => tag,
    })
}

impl Shot {
    /// The channels that a shot has: their numbers among those that are light, and among all of the file.
    fn channel_slots(&self, kind: &Kind) -> Vec<(u16, u16)> {
        let own = self.kind.as_deref().unwrap_or(kind);
        match self.at {
            // The plane's channel is the name's, or there is one.
            Some([channel, ..]) => vec![(0, own.channels.get(usize::from(channel)).map_or(channel, |c| c.0))],
            None => own.channels.iter().enumerate().map(|(i, c)| (i as u16, c.0)).collect(),
        }
    }
}

/// Gives every field its nominal place, and its row and column where it has them.
fn lay_out(
    fields: &mut BTreeMap<FieldKey, FieldPlace>,
    places: &DraftPlaces,
    size: Size,
    plate: &Plate,
) -> Option<Layout> {
    match places {
        DraftPlaces::Known(known, layout) => {
            fields.retain(|key, _| known.contains_key(key));
            let points: Vec<Point> = fields.keys().map(|key| known[key]).collect();
            let cells = cells_of_places(&points, size);
            for ((field, place), cell) in fields.values_mut().zip(points).zip(cells) {
                field.nominal = place;
                field.row_col = cell;
            }
            (!fields.is_empty()).then(|| layout.clone())
        }
        DraftPlaces::Grid => {
            let (cells, mut grid) = grid_of(fields.keys().copied(), plate)?;
            for (key, field) in fields.iter_mut() {
                let cell = *cells.get(key)?;
                field.row_col = Some(cell);
                grid.rows = grid.rows.max(cell.0 as u32 + 1);
                grid.columns = grid.columns.max(cell.1 as u32 + 1);
                field.nominal = grid.place(cell, size);
            }
            Some(Layout::Grid(grid))
        }
    }
}

/// Rows and columns by the keys of fields.
pub type Cells = HashMap<FieldKey, (i32, i32)>;

/// The cells of fields by their keys, and the grid.
pub fn grid_of(keys: impl Iterator<Item = FieldKey> + Clone, plate: &Plate) -> Option<(Cells, GridLayout)> {
    let named = GridOrder::Named { start: Corner::TopLeft, transposed: false };
    let sequence = GridOrder::Sequence { start: Corner::TopLeft, first: FirstAlong::Row, path: ScanPath::Raster };
    let row_cols = keys.clone().filter_map(|k| if let FieldKey::RowCol(r, c) = k { Some((r, c)) } else { None });
    if row_cols.clone().next().is_some() {
        let rows = steps_of_one(row_cols.clone().map(|(r, _)| i64::from(r)));
        let columns = steps_of_one(row_cols.clone().map(|(_, c)| i64::from(c)));
        let step = |steps: &HashMap<i64, i64>, v: i32| i32::try_from(steps[&i64::from(v)]).ok();
        let mut cells = Cells::new();
        for (row, col) in row_cols {
            cells.insert(FieldKey::RowCol(row, col), (step(&rows, row)?, step(&columns, col)?));
        }
        return Some((cells, GridLayout { rows: 1, columns: 1, order: named, overlap: None }));
    }
    let numbers: Vec<i64> = keys.filter_map(|k| if let FieldKey::Number(n) = k { Some(n) } else { None }).collect();
    // A plate's file knows where each site is.
    let sites: Option<Cells> = numbers.iter().map(|&n| Some((FieldKey::Number(n), plate.cell_of_site(n)?))).collect();
    if let Some(cells) = sites.filter(|s| !s.is_empty()) {
        return Some((cells, GridLayout { rows: 1, columns: 1, order: named, overlap: None }));
    }
    let (first, last) = (*numbers.iter().min()?, *numbers.iter().max()?);
    let count = u32::try_from(last.checked_sub(first)?.checked_add(1)?).ok()?;
    let (rows, columns) = guess_sides(count);
    let grid = GridLayout { rows, columns, order: sequence, overlap: None };
    let cells: Option<Cells> =
        numbers.iter().map(|&n| Some((FieldKey::Number(n), grid.cell_of_number(n - first)?))).collect();
    Some((cells?, grid))
}
