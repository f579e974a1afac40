//! `--layout`: a grid in words, or a file of places.

use crate::error::{Error, Result};
use crate::image_set::{Corner, FieldSet, FirstAlong, GridLayout, GridOrder, Layout, ScanPath, positions};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// What `--layout` asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum LayoutArg {
    /// Places from a file.
    File(PathBuf),
    /// A grid; what is not said is as it was recognised.
    Grid(GridWords),
}

/// A grid in words.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct GridWords {
    sides: Option<(u32, u32)>,
    start: Option<Corner>,
    first: Option<FirstAlong>,
    path: Option<ScanPath>,
    overlap: Option<[f64; 2]>,
}

impl FromStr for LayoutArg {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let mut words = GridWords::default();
        for word in text.split(',').map(str::trim) {
            if !words.take(word) {
                let path = Path::new(text);
                return if path.is_file() {
                    Ok(Self::File(path.to_owned()))
                } else {
                    Err(format!(
                        "\"{word}\" is neither a part of a layout (as in 4x6,snake,rows,top-left,10%) nor is \"{text}\" a file"
                    ))
                };
            }
        }
        Ok(Self::Grid(words))
    }
}

impl GridWords {
    /// Understands one word; false where it is none.
    fn take(&mut self, word: &str) -> bool {
        match word.to_ascii_lowercase().as_str() {
            "snake" => self.path = Some(ScanPath::Snake),
            "raster" => self.path = Some(ScanPath::Raster),
            "rows" => self.first = Some(FirstAlong::Row),
            "columns" => self.first = Some(FirstAlong::Column),
            "top-left" => self.start = Some(Corner::TopLeft),
            "top-right" => self.start = Some(Corner::TopRight),
            "bottom-left" => self.start = Some(Corner::BottomLeft),
            "bottom-right" => self.start = Some(Corner::BottomRight),
            other => {
                let (x, y) = other.split_once('x').unwrap_or((other, other));
                let share = |t: &str| Some(t.strip_suffix('%')?.parse::<f64>().ok().filter(|p| p.is_finite())? / 100.0);
                let side = |t: &str| t.parse::<u32>().ok().filter(|&n| n > 0);
                if let (Some(x), Some(y)) = (share(x), share(y)) {
                    self.overlap = Some([x, y]);
                } else if let (Some(rows), Some(columns), true) = (side(x), side(y), other.contains('x')) {
                    self.sides = Some((rows, columns));
                } else {
                    return false;
                }
            }
        }
        true
    }

    /// The grid that is meant, for a set as it was recognised.
    fn grid_of(&self, set: &FieldSet) -> Result<GridLayout> {
        let known = match &set.layout {
            Layout::Grid(grid) => Some(*grid),
            Layout::Stage | Layout::File(_) => None,
        };
        let cells: Option<Vec<(i32, i32)>> = set.fields.iter().map(|f| f.row_col).collect();
        let of_cells = || {
            let cells = cells.as_ref()?;
            let side = |pick: fn(&(i32, i32)) -> i32| cells.iter().map(pick).max().unwrap_or(0).max(0) as u32 + 1;
            Some((side(|c| c.0), side(|c| c.1)))
        };
        let sides = self.sides.or(known.map(|g| (g.rows, g.columns))).or_else(of_cells);
        let (rows, columns) =
            sides.ok_or_else(|| Error::unsupported("say how many rows and columns, as in --layout 4x6", &set.path))?;
        let recognised = known.map(|g| g.order);
        let counts = self.first.is_some() || self.path.is_some() || (recognised.is_none() && cells.is_none());
        let order = match recognised {
            Some(GridOrder::Named { start, transposed }) if !counts => {
                GridOrder::Named { start: self.start.unwrap_or(start), transposed }
            }
            None if !counts => GridOrder::Named { start: self.start.unwrap_or(Corner::TopLeft), transposed: false },
            Some(GridOrder::Sequence { start, first, path }) => GridOrder::Sequence {
                start: self.start.unwrap_or(start),
                first: self.first.unwrap_or(first),
                path: self.path.unwrap_or(path),
            },
            Some(GridOrder::Named { .. }) | None => GridOrder::Sequence {
                start: self.start.unwrap_or(Corner::TopLeft),
                first: self.first.unwrap_or(FirstAlong::Row),
                path: self.path.unwrap_or(ScanPath::Raster),
            },
        };
        Ok(GridLayout { rows, columns, order, overlap: self.overlap.or(known.and_then(|g| g.overlap)) })
    }
}

/// A set laid out as it is asked for, and how many of its fields the layout does not name: those are left out.
pub fn laid_out(set: &FieldSet, layout: &LayoutArg) -> Result<(FieldSet, usize)> {
    match layout {
        LayoutArg::Grid(words) => Ok((set.with_layout(words.grid_of(set)?)?, 0)),
        LayoutArg::File(path) => {
            let places = positions::read(path)?.places_of(set)?;
            let mut laid_out = set.clone();
            laid_out.layout = Layout::File(path.clone());
            let all = laid_out.fields.len();
            laid_out.fields = std::mem::take(&mut laid_out.fields)
                .into_iter()
                .zip(places)
                .filter_map(|(mut field, place)| {
                    field.nominal = place?;
                    Some(field)
                })
                .collect();
            let left_out = all - laid_out.fields.len();
            Ok((laid_out, left_out))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grid_is_said_in_any_order_and_only_in_words_that_mean_something() {
        let LayoutArg::Grid(words) = "4x6,Snake, columns,bottom-right,10%x5%".parse().expect("a layout") else {
            panic!("not a grid")
        };
        assert_eq!(words.sides, Some((4, 6)));
        assert_eq!((words.path, words.first), (Some(ScanPath::Snake), Some(FirstAlong::Column)));
        assert_eq!((words.start, words.overlap), (Some(Corner::BottomRight), Some([0.1, 0.05])));
        for wrong in ["4x", "snail", "10", "0x3", "nowhere.csv", ""] {
            assert!(wrong.parse::<LayoutArg>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_existing_file_is_a_list_of_places() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let text = file.path().to_string_lossy().into_owned();
        assert_eq!(text.parse::<LayoutArg>(), Ok(LayoutArg::File(file.path().to_owned())));
    }
}
