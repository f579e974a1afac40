//! Lists of sites and waves that microscopes write beside their images: ImageXpress `.HTD`, MetaMorph `.nd`.

use super::candidate::Candidate;
use super::names::stem;

/// Bytes of a list of sites and waves.
const MAX_PLATE_BYTES: u64 = 4 << 20;

/// Positions of a stage that have names.
const MAX_STAGES: usize = 1 << 16;

/// What a plate's file says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plate {
    /// Names of the waves, `w1` first.
    pub waves: Vec<String>,
    /// Rows and columns of sites in a well.
    pub sites: Option<(u32, u32)>,
    /// The sites that were taken, row by row; a site's number in file names counts them from 1.
    pub selected: Vec<bool>,
    /// The rows and columns that the names of the stage's positions say, `Row0_Col1`, in the order of their numbers, from 1;
    /// an overview among them has none.
    pub stages: Vec<Option<(i32, i32)>>,
}

/// The lists of a folder, each with the beginning of the names that it is about.
#[derive(Debug, Default)]
pub struct Plates {
    list: Vec<(String, Plate)>,
    /// For files that no list is about.
    none: Plate,
}

impl Plates {
    /// The list that a file is named after; where there is one list, it is about all files.
    pub fn of(&self, name: &str) -> &Plate {
        if let [(_, plate)] = self.list.as_slice() {
            return plate;
        }
        let lower = name.to_lowercase();
        let named = self.list.iter().filter(|(stem, _)| lower.starts_with(stem.as_str()));
        named.max_by_key(|(stem, _)| stem.len()).map_or(&self.none, |(_, plate)| plate)
    }
}

impl Plate {
    /// The name of a channel that file names call `w1`, `w2` and so on.
    pub fn wave(&self, name: &str) -> Option<&str> {
        let number: usize = name.strip_prefix(['w', 'W'])?.parse().ok()?;
        self.waves.get(number.checked_sub(1)?).map(String::as_str).filter(|w| !w.is_empty())
    }

    /// The row and column of the site that file names call `number`.
    pub fn cell_of_site(&self, number: i64) -> Option<(i32, i32)> {
        if !self.stages.is_empty() {
            return *self.stages.get(usize::try_from(number.checked_sub(1)?).ok()?)?;
        }
        let (rows, columns) = self.sites?;
        let taken = |index: &usize| self.selected.get(*index).copied().unwrap_or(self.selected.is_empty());
        let all = usize::try_from(u64::from(rows) * u64::from(columns)).ok()?.min(1 << 16);
        let index = (0..all).filter(taken).nth(usize::try_from(number.checked_sub(1)?).ok()?)?;
        let columns = columns as usize;
        Some(((index / columns) as i32, (index % columns) as i32))
    }
}

/// The lists among the files of a folder.
pub fn plates_of(candidates: &[Candidate]) -> Plates {
    let ending = |c: &Candidate| c.path.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default();
    let read = |c: &Candidate| {
        let small = std::fs::metadata(&c.path).is_ok_and(|m| m.len() <= MAX_PLATE_BYTES);
        // It is of help and no more: where it cannot be read the names stand alone.
        let bytes = if small { std::fs::read(&c.path).ok()? } else { return None };
        Some((stem(&c.name).to_lowercase(), parse_plate(&String::from_utf8_lossy(&bytes))))
    };
    let list = candidates.iter().filter(|c| matches!(ending(c).as_str(), "htd" | "nd")).filter_map(read).collect();
    Plates { list, none: Plate::default() }
}

/// Lines of `"key", value, value`.
fn parse_plate(text: &str) -> Plate {
    let mut plate = Plate::default();
    let mut sides = [None; 2];
    let mut rows: Vec<(u32, Vec<bool>)> = Vec::new();
    let mut stages: Vec<Option<(i32, i32)>> = Vec::new();
    for line in text.lines() {
        let Some((key, value)) = line.split_once(',') else { continue };
        let (key, value) = (key.trim().trim_matches('"'), value.trim());
        let text = value.trim_matches('"').trim();
        let number = |prefix: &str| key.strip_prefix(prefix)?.parse::<u32>().ok();
        match key {
            "XSites" => sides[1] = text.parse().ok().filter(|n| (1..=256).contains(n)),
            "YSites" => sides[0] = text.parse().ok().filter(|n| (1..=256).contains(n)),
            _ => {
                if let Some(wave) = number("WaveName").filter(|n| (1..=64).contains(n)) {
                    let index = wave as usize - 1;
                    plate.waves.resize(plate.waves.len().max(index + 1), String::new());
                    plate.waves[index] = text.to_owned();
                } else if let Some(stage) = number("Stage").filter(|n| (1..=MAX_STAGES as u32).contains(n)) {
                    let index = stage as usize - 1;
                    stages.resize(stages.len().max(index + 1), None);
                    stages[index] = cell_in_words(text);
                } else if let Some(row) = number("SiteSelection") {
                    rows.push((row, value.split(',').map(|v| v.trim().eq_ignore_ascii_case("true")).collect()));
                }
            }
        }
    }
    plate.sites = sides[0].zip(sides[1]);
    rows.sort();
    plate.selected = rows.into_iter().flat_map(|(_, row)| row).collect();
    let least = |of: fn(&(i32, i32)) -> i32| stages.iter().flatten().map(of).min();
    // Names that are anything else leave the numbers to speak for themselves.
    if let Some((row, col)) = least(|c| c.0).zip(least(|c| c.1)) {
        plate.stages = stages.into_iter().map(|cell| cell.map(|(r, c)| (r - row, c - col))).collect();
    }
    plate
}

/// The row and column in the name of a position: `Row0_Col1`, `Row 2, Column 3`.
fn cell_in_words(name: &str) -> Option<(i32, i32)> {
    let lower = name.to_lowercase();
    let number_behind = |word: &str| {
        let rest = lower[lower.find(word)? + word.len()..].trim_start_matches(|c: char| !c.is_alphanumeric());
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        rest[..digits].parse::<i32>().ok().filter(|n| *n < MAX_STAGES as i32)
    };
    number_behind("row").zip(number_behind("column").or_else(|| number_behind("col")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sites_waves_and_gaps_of_a_plate_are_read() {
        let text = "\"XSites\", 2\r\n\"YSites\", 2\r\n\"SiteSelection2\", TRUE, TRUE\r\n\"SiteSelection1\", FALSE, TRUE\r\n\
                    \"WaveName2\", \"Texas Red\"\r\n\"WaveName1\", \"DAPI\"\r\n";
        let plate = parse_plate(text);
        assert_eq!((plate.wave("w1"), plate.wave("w2"), plate.wave("w3")), (Some("DAPI"), Some("Texas Red"), None));
        assert_eq!([1, 2, 3, 4].map(|n| plate.cell_of_site(n)), [Some((0, 1)), Some((1, 0)), Some((1, 1)), None]);
    }

    #[test]
    fn names_of_stage_positions_are_rows_and_columns_and_an_overview_has_none() {
        let text = "\"NDInfoFile\", Version 2.0\r\n\"NStagePositions\", 4\r\n\"Stage1\", \"Row1_Col2\"\r\n\
                    \"Stage2\", \"Row1_Col3\"\r\n\"Stage3\", \"Row 2, Column 3\"\r\n\"Stage4\", \"Overview\"\r\n";
        let plate = parse_plate(text);
        assert_eq!(
            [1, 2, 3, 4, 5].map(|n| plate.cell_of_site(n)),
            [Some((0, 0)), Some((0, 1)), Some((1, 1)), None, None]
        );
        assert!(parse_plate("\"Stage1\", \"B2\"\n\"Stage2\", \"B3\"\n").stages.is_empty());
    }
}
