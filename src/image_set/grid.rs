//! Grids: from the numbers in names to rows and columns, and from those to places.

use super::field_set::{Corner, FieldSet, FirstAlong, GridLayout, GridOrder, Layout, ScanPath};
use crate::error::{Error, Result};
use crate::geom::{Point, Size};
use std::collections::BTreeMap;

/// How far fields stand apart while their overlap is not known, as a share of their side.
pub const GAP_SHARE: f64 = 0.05;

/// The range of overlaps that can be asked for; negative ones are gaps.
const OVERLAP_RANGE: std::ops::RangeInclusive<f64> = -1.0..=0.9;

/// What a name says of a field's place in its grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CellName {
    RowCol(i32, i32),
    Number(i64),
}

impl GridLayout {
    /// The row and column, counted from the top left, of the field that names call `number`, from 0.
    /// Nothing for a layout by named rows and columns.
    pub fn cell_of_number(&self, number: i64) -> Option<(i32, i32)> {
        match self.order {
            GridOrder::Named { .. } => None,
            GridOrder::Sequence { .. } => self.cell(CellName::Number(number)),
        }
    }

    /// Pixels between neighbours, for fields of one size.
    pub fn step_px(&self, field: Size) -> Point {
        let [x, y] = self.overlap.unwrap_or([-GAP_SHARE; 2]);
        Point::new(f64::from(field.width) * (1.0 - x), f64::from(field.height) * (1.0 - y))
    }

    /// The place of a cell, for fields of one size: whole pixels.
    pub fn place(&self, (row, col): (i32, i32), field: Size) -> Point {
        let step = self.step_px(field);
        Point::new((f64::from(col) * step.x).round(), (f64::from(row) * step.y).round())
    }

    /// Where the fields that stand in `cells` of this grid stand in one that is counted otherwise, their names being the
    /// same; `None` where that one is too small, or names are rows and columns in one and numbers in the other.
    pub fn reread(&self, other: &Self, cells: &[(i32, i32)]) -> Option<Vec<(i32, i32)>> {
        cells.iter().map(|&cell| other.cell(self.name_of(cell)?)).collect()
    }

    fn cell(&self, name: CellName) -> Option<(i32, i32)> {
        let (rows, columns) = self.sides()?;
        let (start, (row, col)) = match (self.order, name) {
            (GridOrder::Named { start, transposed: false }, CellName::RowCol(row, col)) => (start, (row, col)),
            (GridOrder::Named { start, transposed: true }, CellName::RowCol(row, col)) => (start, (col, row)),
            (GridOrder::Sequence { start, first, path }, CellName::Number(number)) => {
                let len = i64::from(if first == FirstAlong::Row { columns } else { rows }).max(1);
                let (line, along) = (number.div_euclid(len), number.rem_euclid(len));
                let along = if path == ScanPath::Snake && line % 2 != 0 { len - 1 - along } else { along };
                let (line, along) = (i32::try_from(line).ok()?, i32::try_from(along).ok()?);
                (start, if first == FirstAlong::Row { (line, along) } else { (along, line) })
            }
            _ => return None,
        };
        let cell = flipped(start, (row, col), (rows, columns));
        ((0..rows).contains(&cell.0) && (0..columns).contains(&cell.1)).then_some(cell)
    }

    fn name_of(&self, cell: (i32, i32)) -> Option<CellName> {
        let (rows, columns) = self.sides()?;
        Some(match self.order {
            GridOrder::Named { start, transposed } => {
                let (row, col) = flipped(start, cell, (rows, columns));
                if transposed { CellName::RowCol(col, row) } else { CellName::RowCol(row, col) }
            }
            GridOrder::Sequence { start, first, path } => {
                let (row, col) = flipped(start, cell, (rows, columns));
                let (line, along, len) = if first == FirstAlong::Row { (row, col, columns) } else { (col, row, rows) };
                let along = if path == ScanPath::Snake && line % 2 != 0 { len - 1 - along } else { along };
                CellName::Number(i64::from(line) * i64::from(len) + i64::from(along))
            }
        })
    }

    fn sides(&self) -> Option<(i32, i32)> {
        Some((i32::try_from(self.rows).ok()?, i32::try_from(self.columns).ok()?))
    }
}

/// Counts rows or columns from the other side; doing it twice changes nothing.
fn flipped(start: Corner, (row, col): (i32, i32), (rows, columns): (i32, i32)) -> (i32, i32) {
    let row = if matches!(start, Corner::BottomLeft | Corner::BottomRight) { rows - 1 - row } else { row };
    let col = if matches!(start, Corner::TopRight | Corner::BottomRight) { columns - 1 - col } else { col };
    (row, col)
}

/// Rows and columns for so many fields in a sequence: the most square grid that they fill, else the most square one
/// that holds them.
pub fn guess_sides(count: u32) -> (u32, u32) {
    let count = count.max(1);
    let root = f64::from(count).sqrt().floor() as u32;
    for rows in (1..=root.max(1)).rev() {
        if count.is_multiple_of(rows) && count / rows <= rows * 2 {
            return (rows, count / rows);
        }
    }
    let columns = f64::from(count).sqrt().ceil() as u32;
    (count.div_ceil(columns), columns)
}

impl FieldSet {
    /// The size that most fields have.
    pub fn field_size(&self) -> Size {
        let mut counts: BTreeMap<(u32, u32), u32> = BTreeMap::new();
        for field in &self.fields {
            *counts.entry((field.size.width, field.size.height)).or_default() += 1;
        }
        counts.into_iter().max_by_key(|(_, n)| *n).map_or(Size::default(), |((w, h), _)| Size::new(w, h))
    }

    /// The same fields in another grid: other rows and columns, another order, corner or overlap.
    ///
    /// Names that count fields keep their numbers, so a gap in the numbers stays a gap. Fails where the grid is too
    /// small for the fields, and for overlaps of more than 90 % or gaps wider than a field.
    pub fn with_layout(&self, layout: GridLayout) -> Result<Self> {
        if layout.overlap.is_some_and(|o| !o.iter().all(|v| OVERLAP_RANGE.contains(v))) {
            return Err(Error::unsupported("an overlap lies between -100 % (a gap) and 90 %", &self.path));
        }
        let names: Vec<CellName> = (0..self.fields.len()).map(|i| self.cell_name(i, layout.order)).collect();
        let size = self.field_size();
        let mut set = self.clone();
        for (field, name) in set.fields.iter_mut().zip(names) {
            let cell = layout.cell(name).ok_or_else(|| {
                let (rows, columns) = (layout.rows, layout.columns);
                Error::unsupported(format!("{rows} x {columns} is too small a grid for these fields"), &self.path)
            })?;
            field.row_col = Some(cell);
            field.nominal = layout.place(cell, size);
        }
        set.layout = Layout::Grid(layout);
        Ok(set)
    }

    /// What a field is called where the grid is in `order`.
    fn cell_name(&self, index: usize, order: GridOrder) -> CellName {
        let in_order = CellName::Number(index as i64);
        let cell = self.fields[index].row_col;
        let named = match (self.layout.clone(), cell) {
            (Layout::Grid(current), Some(cell)) => current.name_of(cell),
            (_, Some((row, col))) => Some(CellName::RowCol(row, col)),
            (_, None) => None,
        };
        match (order, named) {
            (GridOrder::Sequence { .. }, Some(name @ CellName::Number(_))) => name,
            (GridOrder::Sequence { .. }, _) => in_order,
            (GridOrder::Named { .. }, Some(name @ CellName::RowCol(..))) => name,
            // Names that only count: what they were laid out as is all that there is.
            (GridOrder::Named { .. }, _) => cell.map_or(in_order, |(row, col)| CellName::RowCol(row, col)),
        }
    }
}

/// Rows and columns of places that lie in a grid, however jittered: nothing where two fields would share a cell.
pub fn cells_of_places(places: &[Point], size: Size) -> Vec<Option<(i32, i32)>> {
    let rows = lines(places.iter().map(|p| p.y), f64::from(size.height));
    let columns = lines(places.iter().map(|p| p.x), f64::from(size.width));
    let cells: Vec<(i32, i32)> = rows.into_iter().zip(columns).collect();
    let distinct: std::collections::BTreeSet<_> = cells.iter().collect();
    if distinct.len() < cells.len() { vec![None; cells.len()] } else { cells.into_iter().map(Some).collect() }
}

/// Numbers values that lie within half a side of the start of their line alike.
fn lines(values: impl Iterator<Item = f64>, side: f64) -> Vec<i32> {
    let values: Vec<f64> = values.collect();
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut numbers = vec![0; values.len()];
    let (mut line, mut start) = (0, None);
    for index in order {
        match start {
            Some(at) if values[index] - at > side * 0.5 => {
                line += 1;
                start = Some(values[index]);
            }
            None => start = Some(values[index]),
            Some(_) => {}
        }
        numbers[index] = line;
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORDERS: [(Corner, FirstAlong, ScanPath); 4] = [
        (Corner::TopLeft, FirstAlong::Row, ScanPath::Raster),
        (Corner::BottomRight, FirstAlong::Row, ScanPath::Snake),
        (Corner::TopRight, FirstAlong::Column, ScanPath::Snake),
        (Corner::BottomLeft, FirstAlong::Column, ScanPath::Raster),
    ];

    #[test]
    fn every_number_has_a_cell_of_its_own_and_finds_back() {
        for (start, first, path) in ORDERS {
            let grid =
                GridLayout { rows: 3, columns: 4, order: GridOrder::Sequence { start, first, path }, overlap: None };
            let mut seen = std::collections::BTreeSet::new();
            for number in 0..12 {
                let cell = grid.cell_of_number(number).expect("inside");
                assert!(seen.insert(cell), "{grid:?} {number}");
                assert_eq!(grid.name_of(cell), Some(CellName::Number(number)), "{grid:?}");
            }
            assert_eq!(grid.cell_of_number(12), None);
        }
    }

    #[test]
    fn a_snake_turns_at_the_end_of_each_line() {
        let order = GridOrder::Sequence { start: Corner::TopLeft, first: FirstAlong::Row, path: ScanPath::Snake };
        let grid = GridLayout { rows: 2, columns: 3, order, overlap: None };
        let cells: Vec<_> = (0..6).filter_map(|n| grid.cell_of_number(n)).collect();
        assert_eq!(cells, [(0, 0), (0, 1), (0, 2), (1, 2), (1, 1), (1, 0)]);
    }

    #[test]
    fn grids_are_guessed_as_square_as_the_count_allows() {
        assert_eq!([4, 6, 12, 16, 30, 7, 1].map(guess_sides), [(2, 2), (2, 3), (3, 4), (4, 4), (5, 6), (3, 3), (1, 1)]);
    }

    #[test]
    fn jittered_places_fall_into_rows_and_columns() {
        let place = |x: f64, y: f64| Point::new(x, y);
        let size = Size::new(100, 80);
        let cells = cells_of_places(&[place(3.0, 70.0), place(-2.0, 4.0), place(95.0, 0.0), place(91.0, 75.0)], size);
        assert_eq!(cells, [Some((1, 0)), Some((0, 0)), Some((0, 1)), Some((1, 1))]);
    }
}
