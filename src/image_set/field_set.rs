//! What a recogniser found in a folder: the fields of one mosaic, with their places and their planes.

use crate::geom::{Point, Size};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Fields that belong together: one well, scene or region. Headers only; frozen once made.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldSet {
    /// What identifies it in this program: the folder, or a name inside it where the folder holds several
    /// (`folder/B03`). [`super::resolve`] finds it again by this path.
    pub path: PathBuf,
    /// What to call it.
    pub name: String,
    /// How it was recognised, in words for the user: `names like img_r{row}_c{col}.tif`.
    pub evidence: String,
    /// The files that hold it, sorted.
    pub files: Vec<PathBuf>,
    /// The channels, in order; the same in every field.
    pub channels: Vec<FieldChannel>,
    /// The fields, in the order of their names.
    pub fields: Vec<FieldPlace>,
    /// Focus positions, at least 1.
    pub z_count: u16,
    /// Time points, at least 1.
    pub t_count: u16,
    /// Micrometres a pixel, x and y.
    pub um_per_px: Option<[f64; 2]>,
    /// Where the nominal places come from.
    pub layout: Layout,
    /// Files of the folder that are not part of it, with the reason.
    pub left_out: Vec<LeftOut>,
    /// A solved layout that lies in the folder. It is offered, never taken silently.
    pub saved_positions: Option<PathBuf>,
    /// What the user should know, one line each.
    pub warnings: Vec<String>,
}

/// One channel of all fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldChannel {
    /// Its name.
    pub name: String,
    /// The file's colour for it.
    pub color: Option<[u8; 3]>,
    /// The round (staining cycle) it was taken in, from 0.
    pub round: u16,
}

/// One camera exposure and where it is thought to be.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldPlace {
    /// Its file's name, or what else names it, unique in its set.
    pub name: String,
    /// Grid row and column, where known.
    pub row_col: Option<(i32, i32)>,
    /// Its top-left corner in pixels of level 0, as the layout says.
    pub nominal: Point,
    /// Its size.
    pub size: Size,
    /// Where each of its planes is. A plane that is missing is a hole.
    pub planes: Vec<FieldPlane>,
}

/// Where one plane of a field lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldPlane {
    /// Index into [`FieldSet::channels`].
    pub channel: u16,
    /// Focus position.
    pub z: u16,
    /// Time point.
    pub t: u16,
    /// Index into [`FieldSet::files`].
    pub file: u32,
    /// The image in that file, as the file's [`crate::pyramid::Source`] numbers it.
    pub image: u32,
    /// The channel in that image.
    pub file_channel: u16,
    /// The focus position in that image.
    pub file_z: u16,
    /// The time point in that image.
    pub file_t: u16,
}

/// Where nominal places come from.
#[derive(Debug, Clone, PartialEq)]
pub enum Layout {
    /// Stage positions in the files, or in a file of the microscope's beside them.
    Stage,
    /// A layout file (`TileConfiguration.txt`, CSV), named.
    File(PathBuf),
    /// A grid by names or numbers.
    Grid(GridLayout),
}

/// A grid that was guessed from names and can be corrected.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct GridLayout {
    /// Rows, gaps counted.
    pub rows: u32,
    /// Columns, gaps counted.
    pub columns: u32,
    /// How the numbers of fields run over the grid.
    pub order: GridOrder,
    /// Overlap along x and y as a share of the field's side. `None`: not known; it is to be estimated, and until then
    /// the fields stand apart, with gaps.
    pub overlap: Option<[f64; 2]>,
}

/// How fields are told their rows and columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum GridOrder {
    /// The names say row and column. Mirrored where rows count upwards or columns leftwards; `transposed` where what
    /// the name calls a row is a column.
    Named { start: Corner, transposed: bool },
    /// The names count fields from a corner.
    Sequence { start: Corner, first: FirstAlong, path: ScanPath },
}

/// The corner of the grid where counting begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Corner {
    /// Top left.
    TopLeft,
    /// Top right.
    TopRight,
    /// Bottom left.
    BottomLeft,
    /// Bottom right.
    BottomRight,
}

/// Which way a scan goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FirstAlong {
    /// Along a row.
    Row,
    /// Along a column.
    Column,
}

/// How a scan comes back for its next line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ScanPath {
    /// Every line from the same side.
    Raster,
    /// There and back again.
    Snake,
}

/// A file of the folder that is no part of a mosaic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// The file.
    pub path: PathBuf,
    /// Why, in words: `a mask`, `still being written`, `another size than the fields`.
    pub reason: String,
}
