//! Fields by their names alone: grids, counts, and places that names write.

use super::assemble::{Draft, DraftPlaces, common_kind, grid_of, misfit};
use super::candidate::Kind;
use super::field_set::Layout;
use super::names::{FieldKey, LEAST_SEQUENCE, Says};
use super::plate::Plate;
use super::recognise::Folder;
use super::stage::{self, StageScale};
use crate::formats::StagePlace;
use crate::geom::{Point, Size};
use std::collections::{BTreeMap, HashMap, HashSet};

/// A field that is told by its name alone has sides of at most this: cameras have less, slides have more.
const MAX_NAMED_SIDE_PX: u32 = 16_384;

/// A count of fields may have this many numbers for each file that is there.
const MAX_NUMBERS_PER_FILE: i64 = 4;

impl Folder<'_> {
    /// Fields by names alone.
    pub(super) fn by_name(&self, taken: &mut HashSet<usize>, drafts: &mut Vec<Draft>) {
        let mut groups: BTreeMap<(usize, &str), Vec<usize>> = BTreeMap::new();
        for (index, shot) in self.shots.iter().enumerate().filter(|(i, _)| !taken.contains(i)) {
            let says = self.families.get(shot.tags.family).map_or(Says::Nothing, |f| f.says);
            // Of the images in one file the name says nothing.
            let is_named = matches!(shot.tags.field, Some(FieldKey::RowCol(..) | FieldKey::Number(_)));
            if says != Says::Nothing && is_named {
                groups.entry((shot.tags.family, shot.tags.set.as_str())).or_default().push(index);
            }
        }
        for ((family, set), shots) in groups {
            let Some(kind) = common_kind(shots.iter().map(|i| &self.shots[*i])) else { continue };
            let of_kind = |i: &&usize| self.shots[**i].kind.as_ref().is_some_and(|k| k.size == kind.size);
            let equal = shots.iter().filter(of_kind).count();
            let fits = |i: &usize| misfit(&self.shots[*i], &kind).is_none();
            let is_slide = kind.has_levels || kind.size.width.max(kind.size.height) > MAX_NAMED_SIDE_PX;
            if is_slide || equal * 2 <= shots.len() {
                continue;
            }
            let keyed: Vec<(FieldKey, usize)> = shots
                .iter()
                .filter(|i| fits(i))
                .filter_map(|&i| self.shots[i].tags.field.map(|key| (key, i)))
                .collect();
            let keys: HashSet<FieldKey> = keyed.iter().map(|(key, _)| *key).collect();
            let family = &self.families[family];
            let all: Vec<(FieldKey, usize)> =
                shots.iter().filter_map(|&i| self.shots[i].tags.field.map(|key| (key, i))).collect();
            // Names do not say in what they count; the unit that gives the step of fields is right.
            let units = [Some([1.0; 2]), kind.um_per_px];
            let places = units.into_iter().flatten().filter_map(|unit| places_in_names(&keys, kind.size, unit));
            let known = places.filter(|_| family.is_xy).min_by(|a, b| a.1.total_cmp(&b.1));
            if let Some((known, _)) = known {
                taken.extend(shots.iter().copied());
                drafts.push(Draft {
                    name: set.to_owned(),
                    evidence: format!("places in names like {}", family.pattern),
                    shots: all,
                    places: DraftPlaces::Known(known, Layout::Stage),
                    warnings: Vec::new(),
                });
                continue;
            }
            let plate = self.plate_of(&shots);
            // Positions with names that are no rows and columns, beside those that are: an overview, mostly.
            let has_no_cell = |key: &FieldKey| !plate.stages.is_empty() && plate_cell(plate, key).is_none();
            let without = keys.iter().filter(|key| has_no_cell(key)).count();
            let keys: HashSet<FieldKey> = keys.into_iter().filter(|key| !has_no_cell(key)).collect();
            let all: Vec<(FieldKey, usize)> = all.into_iter().filter(|(key, _)| !has_no_cell(key)).collect();
            if !is_grid(&keys, family.says, plate) || self.is_denied_by_stage(&keyed, &kind) {
                continue;
            }
            taken.extend(all.iter().map(|(_, shot)| *shot));
            let mut warnings = Vec::new();
            if without > 0 {
                warnings
                    .push(format!("{without} positions whose names say no row and column are no part of the mosaic"));
            }
            if family.says == Says::Count && keys.iter().any(|k| plate_cell(plate, k).is_none()) {
                warnings.push(
                    "the names only count the fields; rows and columns are guessed, correct them if need be".into(),
                );
            }
            // Shots that do not fit are left out by name when the set is assembled.
            drafts.push(Draft {
                name: set.to_owned(),
                evidence: format!("names like {}", family.pattern),
                shots: all,
                places: DraftPlaces::Grid,
                warnings,
            });
        }
    }

    /// The list of sites that shots are named after.
    pub(super) fn plate_of(&self, shots: &[usize]) -> &Plate {
        self.plates.of(shots.first().map_or("", |&i| self.candidates[self.shots[i].file].name.as_str()))
    }

    /// Whether the stage says that what names tell apart is no mosaic: points that were visited, or times and focus
    /// positions of a few places.
    fn is_denied_by_stage(&self, keyed: &[(FieldKey, usize)], kind: &Kind) -> bool {
        let mut first: BTreeMap<FieldKey, StagePlace> = BTreeMap::new();
        // A file that cannot be read has no place.
        for (key, shot) in keyed.iter().map(|(key, shot)| (key, &self.shots[*shot])).filter(|(_, s)| s.kind.is_some()) {
            let Some(stage) = shot.stage else { return false };
            first.entry(*key).or_insert(stage);
        }
        let stages: Vec<StagePlace> = first.into_values().collect();
        let um_per_px = kind.um_per_px.or_else(|| stages.iter().find_map(|s| s.um_per_px));
        let scale = StageScale::of(&stages, kind.size, um_per_px);
        let points: Vec<Point> = stages.iter().map(|s| scale.px(s)).filter(stage::is_usable).collect();
        // A scale that had to be guessed says nothing, and neither do the zeros that are written where there is no stage.
        scale.note.is_none()
            && points.len() == stages.len()
            && points.iter().any(|p| *p != Point::default())
            && (stage::are_crowded(stage::same_places(&points).len(), points.len())
                || !stage::are_neighbours(&points, kind.size))
    }
}

/// Places in pixels that names write as x and y, in a unit of which a pixel has so many, and how far their step is from the
/// usual one; nothing where they are too small to be places, or do not step as fields do.
fn places_in_names(keys: &HashSet<FieldKey>, size: Size, per_px: [f64; 2]) -> Option<(HashMap<FieldKey, Point>, f64)> {
    let place = |key: &FieldKey| match *key {
        FieldKey::RowCol(y, x) => Some(Point::new(f64::from(x) / per_px[0], f64::from(y) / per_px[1])),
        _ => None,
    };
    let known: HashMap<FieldKey, Point> = keys.iter().map(|key| Some((*key, place(key)?))).collect::<Option<_>>()?;
    let points: Vec<Point> = known.values().copied().collect();
    let step = stage::step_is_off(&points, size)?;
    // Indices are neighbours in steps of one, which would be one place.
    (stage::same_places(&points).is_empty() && stage::are_neighbours(&points, size)).then_some((known, step))
}

fn plate_cell(plate: &Plate, key: &FieldKey) -> Option<(i32, i32)> {
    match key {
        FieldKey::Number(number) => plate.cell_of_site(*number),
        _ => None,
    }
}

/// Whether names make a grid: cells beside each other, or enough numbers without wide gaps.
fn is_grid(keys: &HashSet<FieldKey>, says: Says, plate: &Plate) -> bool {
    if keys.len() < 2 {
        return false;
    }
    let numbers = keys.iter().filter_map(|k| if let FieldKey::Number(n) = k { Some(*n) } else { None });
    let span = numbers.clone().max().zip(numbers.min()).map(|(max, min)| max.saturating_sub(min).saturating_add(1));
    let is_known = keys.iter().all(|k| plate_cell(plate, k).is_some());
    if says == Says::Count && !is_known {
        let most = (keys.len() as i64).saturating_mul(MAX_NUMBERS_PER_FILE);
        return keys.len() >= LEAST_SEQUENCE && span.is_some_and(|span| span <= most);
    }
    grid_of(keys.iter().copied(), plate).is_some_and(|(cells, _)| stage::are_beside(&cells))
}
