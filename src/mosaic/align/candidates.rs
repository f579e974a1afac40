//! The ways in which a layout may have been meant: mirrored, transposed, there and back, another corner first.

use crate::geom::{Point, Size};
use crate::image_set::{Corner, FirstAlong, GridLayout, GridOrder, ScanPath};

/// Grids with other numbers of rows and columns are tried for at most so many fields.
const MAX_FIELDS_REFACTORED: u32 = 2000;

const CORNERS: [Corner; 4] = [Corner::TopLeft, Corner::TopRight, Corner::BottomLeft, Corner::BottomRight];

/// One way to read a grid: the row and column of each field.
#[derive(Debug, Clone, PartialEq)]
pub struct GridCandidate {
    /// How it is read.
    pub grid: GridLayout,
    /// Row and column of each field, from the top left.
    pub cells: Vec<(i32, i32)>,
}

/// One way to read stage positions.
#[derive(Debug, Clone, PartialEq)]
pub struct StageCandidate {
    /// Places in pixels.
    pub positions: Vec<Point>,
    /// What is different from the positions as they are, in words.
    pub words: Vec<String>,
}

/// All ways to read a grid of which `cells` is the given one, which comes first.
pub fn of_grid(given: &GridLayout, cells: &[(i32, i32)]) -> Vec<GridCandidate> {
    let mut grids = vec![*given];
    match given.order {
        GridOrder::Named { transposed, .. } => {
            for other in [transposed, !transposed] {
                let (rows, columns) =
                    if other == transposed { (given.rows, given.columns) } else { (given.columns, given.rows) };
                grids.extend(CORNERS.map(|start| GridLayout {
                    rows,
                    columns,
                    order: GridOrder::Named { start, transposed: other },
                    overlap: given.overlap,
                }));
            }
        }
        GridOrder::Sequence { .. } => {
            for (rows, columns) in shapes(given.rows, given.columns, cells.len()) {
                for start in CORNERS {
                    for first in [FirstAlong::Row, FirstAlong::Column] {
                        grids.extend([ScanPath::Raster, ScanPath::Snake].map(|path| GridLayout {
                            rows,
                            columns,
                            order: GridOrder::Sequence { start, first, path },
                            overlap: given.overlap,
                        }));
                    }
                }
            }
        }
    }
    let mut distinct: Vec<GridCandidate> = Vec::with_capacity(grids.len());
    for grid in grids {
        let Some(cells) = given.reread(&grid, cells) else { continue };
        if distinct.iter().all(|d| d.cells != cells) {
            distinct.push(GridCandidate { grid, cells });
        }
    }
    distinct
}

/// All ways to read stage positions: mirrored along either axis, axes swapped; as they are comes first.
pub fn of_stage(positions: &[Point], sizes: &[Size]) -> Vec<StageCandidate> {
    let mut candidates = Vec::new();
    for swapped in [false, true] {
        for (flip_x, flip_y) in [(false, false), (true, false), (false, true), (true, true)] {
            let read = |(&p, size): (&Point, &Size)| {
                let p = if swapped { Point::new(p.y, p.x) } else { p };
                // It is the fields' middles that are mirrored.
                let flip = |v: f64, side: u32, flipped: bool| if flipped { -(v + f64::from(side)) } else { v };
                Point::new(flip(p.x, size.width, flip_x), flip(p.y, size.height, flip_y))
            };
            let words = [(swapped, "the stage's x and y are swapped"), (flip_x, STAGE_X), (flip_y, STAGE_Y)];
            candidates.push(StageCandidate {
                positions: positions.iter().zip(sizes).map(read).collect(),
                words: words.iter().filter(|w| w.0).map(|w| w.1.to_owned()).collect(),
            });
        }
    }
    candidates
}

const STAGE_X: &str = "the stage's x runs from right to left";
const STAGE_Y: &str = "the stage's y runs from bottom to top";

/// How the order that was found differs from the one that was given, in words.
pub fn words_of(given: &GridLayout, found: &GridLayout) -> Vec<String> {
    let mut words = Vec::new();
    if (given.rows, given.columns) != (found.rows, found.columns) {
        words.push(format!("the grid has {} rows and {} columns", found.rows, found.columns));
    }
    if given.order == found.order {
        return words;
    }
    match found.order {
        GridOrder::Named { start, transposed } => {
            if transposed {
                words.push("what the names call a row is a column".to_owned());
            }
            if matches!(start, Corner::TopRight | Corner::BottomRight) {
                words.push("columns run from right to left".to_owned());
            }
            if matches!(start, Corner::BottomLeft | Corner::BottomRight) {
                words.push("rows run from bottom to top".to_owned());
            }
            if words.is_empty() {
                words.push("rows run from top to bottom, columns from left to right".to_owned());
            }
        }
        GridOrder::Sequence { start, first, path } => {
            let corner = match start {
                Corner::TopLeft => "top left",
                Corner::TopRight => "top right",
                Corner::BottomLeft => "bottom left",
                Corner::BottomRight => "bottom right",
            };
            let along = match first {
                FirstAlong::Row => "row by row",
                FirstAlong::Column => "column by column",
            };
            let path = match path {
                ScanPath::Raster => "every line from the same side",
                ScanPath::Snake => "there and back again",
            };
            words.push(format!("the scan starts at the {corner}, {along}, {path}"));
        }
    }
    words
}

/// Rows and columns that may be meant: as given, turned, then all that make as many cells, or hold just the fields there
/// are, from square to long.
fn shapes(rows: u32, columns: u32, fields: usize) -> Vec<(u32, u32)> {
    let mut shapes = vec![(rows, columns), (columns, rows)];
    for cells in [rows.saturating_mul(columns), u32::try_from(fields).unwrap_or(u32::MAX)] {
        if cells > MAX_FIELDS_REFACTORED {
            continue;
        }
        let mut others: Vec<(u32, u32)> =
            (1..=cells).filter(|r| cells.is_multiple_of(*r)).map(|r| (r, cells / r)).collect();
        others.retain(|shape| !shapes.contains(shape));
        others.sort_by_key(|&(r, c)| (r.max(c), r));
        shapes.extend(others);
    }
    shapes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sequence(rows: u32, columns: u32, start: Corner, first: FirstAlong, path: ScanPath) -> GridLayout {
        GridLayout { rows, columns, order: GridOrder::Sequence { start, first, path }, overlap: None }
    }

    #[test]
    fn every_order_is_among_the_candidates_whichever_was_given() {
        let given = sequence(2, 6, Corner::TopLeft, FirstAlong::Row, ScanPath::Raster);
        let in_order = |grid: &GridLayout| -> Vec<(i32, i32)> {
            (0..12).map(|k| grid.cell_of_number(k).expect("inside")).collect()
        };
        let cells = in_order(&given);
        let candidates = of_grid(&given, &cells);
        assert_eq!(candidates[0].cells, cells);
        let truth = sequence(4, 3, Corner::BottomLeft, FirstAlong::Column, ScanPath::Snake);
        let wanted = in_order(&truth);
        assert!(candidates.iter().any(|c| c.cells == wanted));
        for (k, c) in candidates.iter().enumerate() {
            assert!(candidates[..k].iter().all(|d| d.cells != c.cells), "{k} twice");
        }
    }

    #[test]
    fn names_are_read_in_eight_ways_and_each_way_back() {
        let order = GridOrder::Named { start: Corner::BottomLeft, transposed: true };
        let given = GridLayout { rows: 2, columns: 3, order, overlap: None };
        let cells: Vec<_> = (0..6).map(|k| (k / 3, k % 3)).collect();
        let candidates = of_grid(&given, &cells);
        assert_eq!(candidates.len(), 8);
        assert_eq!(candidates[0].cells, cells);
        for c in &candidates {
            let again = of_grid(&c.grid, &c.cells);
            assert!(again.iter().any(|a| a.cells == cells), "{:?}", c.grid);
            assert!(c.cells.iter().all(|&(r, k)| r < c.grid.rows as i32 && k < c.grid.columns as i32 && r.min(k) >= 0));
        }
    }

    #[test]
    fn mirrored_stage_positions_keep_fields_of_unequal_sizes_side_by_side() {
        let sizes = [Size::new(100, 80), Size::new(40, 80)];
        let candidates = of_stage(&[Point::new(0.0, 0.0), Point::new(90.0, 0.0)], &sizes);
        assert_eq!(candidates.len(), 8);
        let p = &candidates[1].positions;
        assert_eq!(p[1].x - p[0].x, -30.0, "10 px of overlap on the other side");
        assert_eq!(candidates[1].words, [STAGE_X]);
    }
}
