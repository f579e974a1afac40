//! Which files of a folder are fields, on what evidence, and which stay images of their own.
//!
//! Evidence counts in this order: a layout file that names the files; places of the stage, in the files or in notes beside
//! them; names that say rows and columns, or count fields.

use super::apart::{Verdict, left_out_reason, masks_by_pixels, set_apart};
use super::assemble::{Draft, DraftPlaces, Shot, assemble, common_kind, misfit};
use super::candidate::{Candidate, Head};
use super::field_set::{FieldSet, Layout, LeftOut};
use super::names::{self, Family, FieldKey, Says};
use super::notes::Notes;
use super::plate::{Plates, plates_of};
use super::positions::{self, Positions, key_of};
use super::shots::{ShotMaker, is_image};
use super::stage::{self, StageScale};
use super::{Entry, Resolved};
use crate::formats::{StagePlace, StageUnit};
use crate::geom::Point;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Everything known of a folder.
pub(super) struct Folder<'a> {
    pub path: &'a Path,
    pub candidates: Vec<Candidate>,
    pub families: Vec<Family>,
    pub shots: Vec<Shot>,
    pub plates: Plates,
    /// Files whose names and pixels are those of masks.
    pub masks: HashSet<usize>,
}

/// What shots of one stage have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct StageGroup<'a> {
    family: usize,
    set: &'a str,
    region: &'a str,
    file: Option<usize>,
}

/// A layout file that was found.
struct LayoutFile {
    path: PathBuf,
    positions: Positions,
}

impl<'a> Folder<'a> {
    pub fn new(path: &'a Path, candidates: Vec<Candidate>) -> Self {
        let names: Vec<&str> = candidates.iter().map(|c| c.name.as_str()).collect();
        let masks = masks_by_pixels(&candidates);
        let set_apart = set_apart(&names, &masks);
        // Masks are named like the fields they belong to; they must not bring the words of names out of order.
        let plain: Vec<usize> =
            (0..names.len()).filter(|&i| is_image(&candidates[i]) && !set_apart.contains(&i)).collect();
        let (families, tags) = names::read(&plain.iter().map(|&i| names[i]).collect::<Vec<_>>());
        let notes = Notes::of(&candidates);
        let mut maker = ShotMaker::new(&notes);
        for (&file, tags) in plain.iter().zip(tags) {
            maker.add(&candidates[file], file, tags);
        }
        let shots = maker.shots;
        let plates = plates_of(&candidates);
        Self { path, candidates, families, shots, plates, masks }
    }

    /// Sorts all files into sets of fields, images and what is left out.
    pub fn resolve(self) -> Resolved {
        let (plain, solved) = self.layout_files();
        let mut taken: HashSet<usize> = HashSet::new();
        let mut drafts = Vec::new();
        let mut refused: Vec<LeftOut> = Vec::new();
        let mut lay_out = |file: &LayoutFile, taken: &mut HashSet<usize>, drafts: &mut Vec<Draft>| {
            if let Err(reason) = self.by_layout(file, taken, drafts) {
                refused.push(LeftOut { path: file.path.clone(), reason });
            }
        };
        for file in &plain {
            lay_out(file, &mut taken, &mut drafts);
        }
        let laid_out = drafts.len();
        self.by_stage(&mut taken, &mut drafts);
        self.by_name(&mut taken, &mut drafts);
        // A solved layout is no evidence of its own where anything else is there; alone it is better than nothing.
        if drafts.is_empty() {
            for file in &solved {
                lay_out(file, &mut taken, &mut drafts);
            }
        }
        // What is shown by other evidence says why the layout file was not followed.
        let words = |l: &LeftOut| format!("{} is not followed: {}", base_name(&l.path), l.reason);
        for draft in &mut drafts[laid_out..] {
            draft.warnings.extend(refused.iter().map(words));
        }
        let is_told = drafts.len() > laid_out;
        let mut resolved = self.finish(drafts, &solved);
        if !is_told {
            resolved.left_out.append(&mut refused);
        }
        resolved
    }

    fn layout_files(&self) -> (Vec<LayoutFile>, Vec<LayoutFile>) {
        let names: HashSet<String> = self.shots.iter().map(|s| key_of(&self.candidates[s.file].name)).collect();
        let mut found: Vec<LayoutFile> = Vec::new();
        for candidate in &self.candidates {
            let ending = candidate.path.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default();
            if !matches!(ending.as_str(), "txt" | "csv" | "tsv") || is_image(candidate) {
                continue;
            }
            // Text files may be anything; only one that names images here is a layout.
            let Ok(positions) = positions::read(&candidate.path) else { continue };
            if positions.places.iter().filter(|p| names.contains(&key_of(&p.file))).take(2).count() == 2 {
                found.push(LayoutFile { path: candidate.path.clone(), positions });
            }
        }
        found.sort_by_key(|f| !key_of(&f.path.to_string_lossy()).starts_with("tileconfiguration"));
        found.into_iter().partition(|f| !f.positions.is_solved)
    }

    /// Fields that a layout file names, with the other channels, focus positions and rounds of the same fields.
    ///
    /// Where fields cannot stand at the places that it says, the reason comes back in words, and nothing is taken.
    fn by_layout(
        &self,
        file: &LayoutFile,
        taken: &mut HashSet<usize>,
        drafts: &mut Vec<Draft>,
    ) -> std::result::Result<(), String> {
        let mut of_file: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, shot) in self.shots.iter().enumerate().filter(|(i, _)| !taken.contains(i)) {
            of_file.entry(key_of(&self.candidates[shot.file].name)).or_default().push(index);
        }
        // Folders below one another may hold files of the same names: a layout means those beside it first.
        let is_beside = |shot: &usize| self.candidates[self.shots[*shot].file].path.parent() == file.path.parent();
        for shots in of_file.values_mut().filter(|shots| shots.iter().any(is_beside)) {
            shots.retain(is_beside);
        }
        let mut named: Vec<(usize, Point)> = Vec::new();
        let mut missing = Vec::new();
        for line in &file.positions.places {
            let shots = of_file.get(&key_of(&line.file)).map(Vec::as_slice).unwrap_or_default();
            let wanted = |i: &&usize| line.series.is_none_or(|s| shots.len() == 1 || self.shots[**i].image == s);
            match shots.iter().find(wanted) {
                Some(&shot) => named.push((shot, line.place)),
                None => missing.push(line.file.as_str()),
            }
        }
        if named.len() < 2 {
            return Ok(());
        }
        let keys = self.keys_of(&named.iter().map(|(shot, _)| *shot).collect::<Vec<_>>());
        let Some(kind) = common_kind(named.iter().map(|(shot, _)| &self.shots[*shot])) else { return Ok(()) };
        let um = file.positions.um_per_unit;
        let raw: Vec<StagePlace> = named
            .iter()
            .map(|(_, p)| StagePlace { x: p.x, y: p.y, unit: um.map_or(StageUnit::Px, StageUnit::Um), um_per_px: None })
            .collect();
        let mut warnings = Vec::new();
        let points: Vec<Point> = if um.is_none() {
            named.iter().map(|(_, place)| *place).collect()
        } else {
            let scale = StageScale::of(&raw, kind.size, kind.um_per_px);
            warnings.extend(scale.note.clone());
            raw.iter().map(|place| scale.px(place)).collect()
        };
        if points.iter().any(|p| !stage::is_usable(p)) {
            return Err("some of its places are no numbers, or farther away than any field: check the unit".into());
        }
        let known: HashMap<FieldKey, Point> = keys.iter().copied().zip(points).collect();
        let same = stage::same_places(&known.values().copied().collect::<Vec<_>>()).len();
        if stage::are_crowded(same, known.len()) {
            return Err(format!("{same} of its {} fields stand where another one stands", known.len()));
        }
        let mut shots: Vec<(FieldKey, usize)> = keys.iter().copied().zip(named.iter().map(|(shot, _)| *shot)).collect();
        // The same fields in other channels, which a layout file need not name.
        let first_of: HashMap<(usize, &str), ()> = named
            .iter()
            .map(|(shot, _)| ((self.shots[*shot].tags.family, self.shots[*shot].tags.set.as_str()), ()))
            .collect();
        let listed: HashSet<usize> = named.iter().map(|(shot, _)| *shot).collect();
        for (index, shot) in self.shots.iter().enumerate() {
            let of_family = first_of.contains_key(&(shot.tags.family, shot.tags.set.as_str()));
            let key = shot.tags.field.filter(|key| known.contains_key(key));
            if let Some(key) = key
                && of_family
                && !listed.contains(&index)
                && !taken.contains(&index)
            {
                shots.push((key, index));
            }
        }
        if !missing.is_empty() {
            let total = file.positions.places.len();
            warnings.push(format!(
                "{} of the {total} files that the layout names are not there, {} first; their places stay empty",
                missing.len(),
                missing[0]
            ));
        }
        taken.extend(shots.iter().map(|(_, shot)| *shot));
        let name = base_name(&file.path);
        drafts.push(Draft {
            name: String::new(),
            evidence: format!("the layout file {name}"),
            shots,
            places: DraftPlaces::Known(known, Layout::File(file.path.clone())),
            warnings,
        });
        Ok(())
    }

    /// Names of fields where they tell the shots apart, else a key for each.
    fn keys_of(&self, shots: &[usize]) -> Vec<FieldKey> {
        let image = |&i: &usize| FieldKey::Image(self.shots[i].file as u32, self.shots[i].image, 0);
        let by_name: Option<Vec<FieldKey>> = shots.iter().map(|&i| self.shots[i].tags.field).collect();
        let tags = |i: usize| {
            let t = &self.shots[i].tags;
            (t.family, &t.set, t.field, &t.channel, (t.z, t.t, t.round))
        };
        let groups: HashSet<_> = shots.iter().map(|&i| (self.shots[i].tags.family, &self.shots[i].tags.set)).collect();
        let distinct: HashSet<_> = shots.iter().map(|&i| tags(i)).collect();
        match by_name {
            Some(keys) if groups.len() == 1 && distinct.len() == shots.len() => keys,
            _ => shots.iter().map(image).collect(),
        }
    }

    /// Fields by the places of the stage.
    fn by_stage(&self, taken: &mut HashSet<usize>, drafts: &mut Vec<Draft>) {
        let mut rounds: HashMap<usize, HashSet<i64>> = HashMap::new();
        for shot in &self.shots {
            rounds.entry(shot.tags.family).or_default().insert(shot.tags.round);
        }
        let mut groups: BTreeMap<StageGroup<'_>, Vec<usize>> = BTreeMap::new();
        for (index, shot) in self.shots.iter().enumerate().filter(|(i, _)| !taken.contains(i)) {
            // The file that the field is of: of a stack in several files, the first.
            let home = if let Some(FieldKey::Image(home, ..)) = shot.tags.field { Some(home as usize) } else { None };
            let is_one_of_many = home.is_some();
            // A file that cannot be read has no place; its name may say which field it is.
            if shot.stage.is_none() && (is_one_of_many || shot.tags.field.is_none()) {
                continue;
            }
            let says = self.families.get(shot.tags.family).map_or(Says::Nothing, |f| f.says);
            let has_rounds = rounds.get(&shot.tags.family).is_some_and(|r| r.len() > 1);
            let family = if says == Says::Nothing && !has_rounds { usize::MAX } else { shot.tags.family };
            // A file of many fields is a mosaic of its own, unless others are further rounds of it.
            let file = home.filter(|_| !has_rounds);
            let group = StageGroup { family, set: &shot.tags.set, region: &shot.region, file };
            groups.entry(group).or_default().push(index);
        }
        for (group, shots) in groups {
            if shots.iter().filter(|&&i| self.shots[i].stage.is_some()).count() >= 2 {
                let stem = group.file.map_or("", |file| names::stem(&self.candidates[file].name));
                let named = [group.region, group.set, stem].into_iter().find(|n| !n.is_empty());
                self.stage_group(named.unwrap_or(""), group.file.is_some(), shots, taken, drafts);
            }
        }
    }

    fn stage_group(
        &self,
        name: &str,
        is_one_file: bool,
        mut shots: Vec<usize>,
        taken: &mut HashSet<usize>,
        drafts: &mut Vec<Draft>,
    ) {
        let Some(kind) = common_kind(shots.iter().map(|i| &self.shots[*i])) else { return };
        if kind.has_levels {
            return;
        }
        shots.retain(|&i| misfit(&self.shots[i], &kind).is_none());
        // The first round says where fields stand.
        shots.sort_by_key(|&i| (self.shots[i].tags.round, i));
        let first_round = shots.first().map_or(0, |&i| self.shots[i].tags.round);
        let stages: Vec<StagePlace> = self.first_stages(&shots);
        let um_per_px = kind.um_per_px.or_else(|| stages.iter().find_map(|s| s.um_per_px));
        let scale = StageScale::of(&stages, kind.size, um_per_px);
        let mut keyed: Vec<(FieldKey, usize)> = Vec::new();
        let mut places: Vec<(FieldKey, Point)> = Vec::new();
        let mut known: HashSet<FieldKey> = HashSet::new();
        let mut of_place: HashMap<(u64, u64), FieldKey> = HashMap::new();
        let mut first_places: Vec<(FieldKey, Point)> = Vec::new();
        for &index in &shots {
            let shot = &self.shots[index];
            // A place beyond all sense is none.
            let place = shot.stage.map(|s| scale.px(&s)).filter(stage::is_usable);
            if shot.tags.round != first_round && first_places.is_empty() {
                first_places = places.clone();
            }
            let own = FieldKey::Image(shot.file as u32, shot.image, 0);
            let key = match (shot.tags.field, shot.stage, place) {
                (Some(key @ (FieldKey::RowCol(..) | FieldKey::Number(_))), ..) => key,
                (field, Some(stage), Some(place)) => {
                    let earlier = stage::same_field(&first_places, place, kind.size);
                    match (earlier, field) {
                        (Some(earlier), _) => earlier,
                        (None, Some(key)) => key,
                        // Without a number in the name, files at one place are planes of one field.
                        (None, None) => *of_place.entry((stage.x.to_bits(), stage.y.to_bits())).or_insert(own),
                    }
                }
                _ => continue,
            };
            if let Some(place) = place.filter(|_| known.insert(key)) {
                places.push((key, place));
            }
            keyed.push((key, index));
        }
        let plane = |&(key, i): &(FieldKey, usize)| {
            let tags = &self.shots[i].tags;
            (key, tags.channel.clone(), tags.z, tags.t, tags.round, self.shots[i].at)
        };
        let planes: HashSet<_> = keyed.iter().map(plane).collect();
        let points: Vec<Point> = places.iter().map(|(_, p)| *p).collect();
        let same = stage::same_places(&points);
        // Files that mostly stand on one another are times or focus positions of a few places.
        if stage::are_crowded(same.len(), places.len()) || (keyed.len() - planes.len()) * 4 > keyed.len() {
            return;
        }
        let of_regions = stage::regions(&points, kind.size);
        let is_mosaic = |region: &Vec<usize>| {
            stage::are_neighbours(&region.iter().map(|&i| points[i]).collect::<Vec<_>>(), kind.size)
        };
        if !of_regions.iter().any(is_mosaic) {
            return;
        }
        // Of a file with many fields, those that stand alone are shown too; a file of its own is an image of its own.
        let of_regions: Vec<Vec<usize>> = of_regions.into_iter().filter(|r| is_one_file || is_mosaic(r)).collect();
        let several = of_regions.len() > 1;
        for (number, region) in of_regions.into_iter().enumerate() {
            let from_zero = stage::from_zero(&region.iter().map(|&i| points[i]).collect::<Vec<_>>());
            let known: HashMap<FieldKey, Point> = region.iter().map(|&i| places[i].0).zip(from_zero).collect();
            let shots: Vec<_> = keyed.iter().filter(|(key, _)| known.contains_key(key)).copied().collect();
            taken.extend(shots.iter().map(|(_, shot)| *shot));
            let mut warnings: Vec<String> = scale.note.iter().cloned().collect();
            let doubles = same.iter().filter(|(later, _)| region.contains(later)).count();
            if doubles > 0 {
                warnings.push(format!("{doubles} fields stand at the place of another one"));
            }
            let part = if several { format!("region {}", number + 1) } else { String::new() };
            let parts = [name, part.as_str()];
            drafts.push(Draft {
                name: parts.into_iter().filter(|n| !n.is_empty()).collect::<Vec<_>>().join(" "),
                evidence: "stage positions that the microscope wrote".into(),
                shots,
                places: DraftPlaces::Known(known, Layout::Stage),
                warnings,
            });
        }
    }

    /// The stage at the first plane of each field: other channels may be a pixel off, which is no step.
    fn first_stages(&self, shots: &[usize]) -> Vec<StagePlace> {
        let of = |i: usize| (&self.shots[i].tags, self.shots[i].stage);
        let first = shots.iter().filter(|&&i| of(i).1.is_some()).map(|&i| of(i).0);
        let Some(first) = first.min_by_key(|t| (t.round, &t.channel, t.z, t.t)) else { return Vec::new() };
        let same =
            |t: &names::NameTags| (t.round, &t.channel, t.z, t.t) == (first.round, &first.channel, first.z, first.t);
        let alike: Vec<StagePlace> = shots.iter().filter(|&&i| same(of(i).0)).filter_map(|&i| of(i).1).collect();
        // Planes of one stack differ in channel or focus from position to position.
        if alike.len() > 1 { alike } else { shots.iter().filter_map(|&i| of(i).1).collect() }
    }

    /// Makes the sets, and lists everything else.
    fn finish(self, drafts: Vec<Draft>, solved: &[LayoutFile]) -> Resolved {
        let several = drafts.len() > 1;
        let mut sets: Vec<FieldSet> = Vec::new();
        let mut names: HashSet<String> = HashSet::new();
        for mut draft in drafts {
            if several {
                draft.name = unique_name(&mut names, &draft.name);
            }
            let path =
                if draft.name.is_empty() || !several { self.path.to_owned() } else { self.path.join(&draft.name) };
            let plate = self.plate_of(&draft.shots.iter().map(|(_, shot)| *shot).take(1).collect::<Vec<_>>());
            let set = assemble(self.path, path, draft, &self.shots, &self.candidates, plate);
            sets.extend(set.filter(|set| set.fields.len() > 1 || set.layout == Layout::Stage));
        }
        let mut used: HashSet<&Path> = HashSet::new();
        for set in &sets {
            used.extend(set.files.iter().map(PathBuf::as_path));
            used.extend(set.left_out.iter().map(|l| l.path.as_path()));
        }
        let has_fields = !sets.is_empty();
        let mut left_out: Vec<LeftOut> = Vec::new();
        let mut images: Vec<PathBuf> = Vec::new();
        for (index, candidate) in self.candidates.iter().enumerate() {
            if used.contains(candidate.path.as_path()) {
                continue;
            }
            match left_out_reason(candidate, self.masks.contains(&index), has_fields) {
                Verdict::Image => images.push(candidate.path.clone()),
                Verdict::LeftOut(reason) => left_out.push(LeftOut { path: candidate.path.clone(), reason }),
                Verdict::NoImage => {}
            }
        }
        let by_path: HashMap<&Path, usize> =
            self.candidates.iter().enumerate().map(|(i, c)| (c.path.as_path(), i)).collect();
        for set in &mut sets {
            set.warnings.extend(unused_images(set, &self.candidates, &by_path));
        }
        if let [set] = sets.as_mut_slice() {
            set.left_out.extend(left_out.iter().cloned());
        }
        for set in &mut sets {
            set.saved_positions = saved_for(set, solved);
        }
        let mut entries: Vec<Entry> = sets.into_iter().map(|set| Entry::Fields(Arc::new(set))).collect();
        entries.extend(images.into_iter().map(Entry::File));
        Resolved { entries, left_out }
    }
}

/// A name that no other set of the folder has.
fn unique_name(names: &mut HashSet<String>, wanted: &str) -> String {
    let base = if wanted.is_empty() { "fields" } else { wanted };
    let mut name = base.to_owned();
    let mut number = 2;
    while !names.insert(name.clone()) {
        name = format!("{base} ({number})");
        number += 1;
    }
    name
}

/// Images in the files of a set that are of another size than its fields: overviews, mostly.
fn unused_images(set: &FieldSet, candidates: &[Candidate], by_path: &HashMap<&Path, usize>) -> Vec<String> {
    let size = set.field_size();
    let odd = |path: &PathBuf| {
        let Head::Images(images) = &candidates[*by_path.get(path.as_path())?].head else { return None };
        let others = images.iter().filter(|i| images.len() > 1 && i.kind.size != size).count();
        (others > 0).then(|| format!("{others} images of another size in {} are not among the fields", base_name(path)))
    };
    set.files.iter().filter_map(odd).collect()
}

fn base_name(path: &Path) -> String {
    path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default()
}

/// The solved layout that names the most fields of a set.
fn saved_for(set: &FieldSet, solved: &[LayoutFile]) -> Option<PathBuf> {
    if let Layout::File(used) = &set.layout
        && solved.iter().any(|f| f.path == *used)
    {
        return None;
    }
    let named = |file: &&LayoutFile| file.positions.places_of(set).map_or(0, |p| p.iter().flatten().count());
    solved.iter().max_by_key(named).filter(|file| named(file) > 1).map(|file| file.path.clone())
}
