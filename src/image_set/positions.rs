//! Lists of places beside the images: Microtome's own CSV, Fiji's `TileConfiguration.txt`, MIST's global positions, and
//! plain CSV (`file,x,y[,unit]`).
//!
//! Places are top-left corners; without a unit they are pixels of level 0.

use super::field_set::FieldSet;
use crate::error::{Error, Result};
use crate::geom::Point;
use crate::store::write_whole;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::Path;

/// Bytes of a list; a million fields fit.
const MAX_LIST_BYTES: u64 = 64 << 20;

/// The first line of Microtome's own lists.
pub const CSV_HEADER: &str = "file,row,col,x,y";

/// What comes behind it in a list of several mosaics: which of them a line is about.
const CSV_WELL: &str = ",well";

/// How a list is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PositionsFormat {
    /// `file,row,col,x,y`.
    Csv,
    /// Fiji's `TileConfiguration.txt`.
    TileConfiguration,
    /// MIST's `img-global-positions-0.txt`.
    Mist,
}

/// One line of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedPlace {
    /// The file's name as the list writes it.
    pub file: String,
    /// The image within the file, for files that hold several.
    pub series: Option<u32>,
    /// Grid row and column.
    pub row_col: Option<(i32, i32)>,
    /// Top-left corner, in the list's unit.
    pub place: Point,
    /// The well, scene or region that it is of, in a list of several: each has coordinates of its own.
    pub well: Option<String>,
}

/// A list of places.
#[derive(Debug, Clone, PartialEq)]
pub struct Positions {
    /// How it is written.
    pub format: PositionsFormat,
    /// Its lines.
    pub places: Vec<NamedPlace>,
    /// Micrometres in its unit; `None` for pixels.
    pub um_per_unit: Option<f64>,
    /// It is what a stitching program solved, not what a microscope was told.
    pub is_solved: bool,
}

/// Reads a list, whatever its format.
///
/// Fails where the file cannot be read, is larger than 64 MiB, or holds no line with a name and a place.
pub fn read(path: &Path) -> Result<Positions> {
    let len = std::fs::metadata(path).map_err(|e| Error::io("cannot read", e, path))?.len();
    if len > MAX_LIST_BYTES {
        return Err(Error::too_large(format!("a list of more than {} MiB", MAX_LIST_BYTES >> 20), path));
    }
    let bytes = std::fs::read(path).map_err(|e| Error::io("cannot read", e, path))?;
    let text = String::from_utf8_lossy(&bytes);
    let name = path.file_name().map(|n| n.to_string_lossy().to_lowercase()).unwrap_or_default();
    parse(&text, &name).map_err(|reason| Error::format(reason, path))
}

/// Reads the text of a list; `name` is its file's name in small letters.
fn parse(text: &str, name: &str) -> std::result::Result<Positions, String> {
    let text = text.trim_start_matches('\u{feff}');
    let first = text.lines().map(str::trim).find(|l| !l.is_empty() && !l.starts_with('#')).unwrap_or("");
    let mut found = if first.starts_with("file:") {
        mist(text)?
    } else if text.lines().any(|l| l.matches(';').count() == 2 && l.contains('(')) {
        tile_configuration(text)?
    } else {
        csv(text)?
    };
    found.is_solved |= name.contains("registered");
    if found.places.is_empty() {
        return Err("there is no place of a file in this list".into());
    }
    Ok(found)
}

fn tile_configuration(text: &str) -> std::result::Result<Positions, String> {
    let mut places = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.len() <= 3 || line.starts_with('#') {
            continue;
        }
        if let Some((key, value)) = line.split_once('=')
            && matches!(key.trim(), "dim" | "multiseries")
        {
            if key.trim() == "dim" && value.trim() != "2" {
                return Err(format!("a layout in {} dimensions; Microtome lays out in 2", value.trim()));
            }
            continue;
        }
        let bad = || format!("line {} is not `name; series; (x, y)`", number + 1);
        let mut parts = line.rsplitn(3, ';').map(str::trim);
        let (Some(place), Some(series), Some(file)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(bad());
        };
        let place = pair(place).ok_or_else(bad)?;
        let series = if series.is_empty() { None } else { Some(series.parse().map_err(|_| bad())?) };
        places.push(NamedPlace { file: file.to_owned(), series, row_col: None, place, well: None });
    }
    Ok(Positions { format: PositionsFormat::TileConfiguration, places, um_per_unit: None, is_solved: false })
}

fn mist(text: &str) -> std::result::Result<Positions, String> {
    let mut places = Vec::new();
    for (number, line) in text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty()) {
        let bad = || format!("line {} is not `file: f; corr: c; position: (x, y); grid: (c, r);`", number + 1);
        let value = |key: &str| {
            let start = line.find(&format!("{key}:"))? + key.len() + 1;
            Some(line[start..].split(';').next().unwrap_or("").trim())
        };
        let file = value("file").filter(|f| !f.is_empty()).ok_or_else(bad)?;
        let place = value("position").and_then(pair).ok_or_else(bad)?;
        let row_col = value("grid").and_then(pair).map(|p| (p.y as i32, p.x as i32));
        places.push(NamedPlace { file: file.to_owned(), series: None, row_col, place, well: None });
    }
    Ok(Positions { format: PositionsFormat::Mist, places, um_per_unit: None, is_solved: true })
}

/// `(x, y)`; more numbers behind them are left alone only where they are zero.
fn pair(text: &str) -> Option<Point> {
    let inner = text.trim().strip_prefix('(')?.strip_suffix(')')?;
    let numbers: Vec<f64> = inner.split(',').map(|n| n.trim().parse().ok()).collect::<Option<_>>()?;
    match numbers[..] {
        [x, y] if x.is_finite() && y.is_finite() => Some(Point::new(x, y)),
        _ => None,
    }
}

fn csv(text: &str) -> std::result::Result<Positions, String> {
    let mut lines = text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty() && !l.trim().starts_with('#'));
    let Some((_, header)) = lines.clone().next() else { return Err("the list is empty".into()) };
    let separator = [',', ';', '\t'].into_iter().find(|s| header.contains(*s)).ok_or("this is no list of places")?;
    let names: Vec<String> = cells(header, separator).into_iter().map(|c| c.trim().to_lowercase()).collect();
    let column = |wanted: &[&str]| names.iter().position(|n| wanted.contains(&n.as_str()));
    let file = column(&["file", "filename", "file_name", "name", "image", "path"]);
    let mut unit = None;
    let of_axis = |axis: &str| {
        // The unit may stand in the column's own name: `x_um`, `x (um)`.
        names.iter().enumerate().find_map(|(index, name)| {
            let rest = name.strip_prefix(axis)?.trim_matches(|c: char| "_ ()[]".contains(c));
            match rest {
                "" | "px" | "pixel" | "pixels" | "pos" => Some((index, None)),
                unit => um_of(unit).map(|um| (index, Some(um))),
            }
        })
    };
    let (columns, has_header) = match (file, of_axis("x"), of_axis("y")) {
        (Some(file), Some((x, um)), Some((y, _))) => {
            unit = um;
            ([file, x, y], true)
        }
        _ if names.len() >= 3 && names[1].parse::<f64>().is_ok() && names[2].parse::<f64>().is_ok() => {
            ([0, 1, 2], false)
        }
        _ => return Err("a list of places has the columns file, x and y".into()),
    };
    let (row, col) = (column(&["row"]), column(&["col", "column"]));
    let unit_column = column(&["unit", "units"]).or(if has_header { None } else { Some(3) });
    let series = column(&["series"]);
    let of_several = names.join(",") == format!("{CSV_HEADER}{CSV_WELL}");
    // In the lists of others such a column may hold anything.
    let well = column(&["well"]).filter(|_| of_several);
    if has_header {
        lines.next();
    }
    let mut places = Vec::new();
    let mut units = Vec::new();
    for (number, line) in lines {
        let bad = |what: &str| format!("line {}: {what}", number + 1);
        let cells = cells(line, separator);
        let cell = |index: usize| cells.get(index).map(|c| c.trim()).unwrap_or("");
        let real = |index: usize| cell(index).parse::<f64>().ok().filter(|v| v.is_finite());
        let whole = |index: Option<usize>| cell(index?).parse::<i32>().ok();
        let place = real(columns[1]).zip(real(columns[2])).ok_or_else(|| bad("x or y is no number"))?;
        let file = cell(columns[0]);
        if file.is_empty() {
            return Err(bad("there is no name"));
        }
        if let Some(unit) = unit_column.map(cell).filter(|u| !u.is_empty()) {
            units.push(match unit {
                "px" | "pixel" | "pixels" => None,
                unit => Some(um_of(unit).ok_or_else(|| bad(&format!("{unit} is no unit of length that is known")))?),
            });
        }
        places.push(NamedPlace {
            file: file.to_owned(),
            series: whole(series).and_then(|s| u32::try_from(s).ok()),
            row_col: whole(row).zip(whole(col)),
            place: Point::new(place.0, place.1),
            well: well.map(cell).filter(|well| !well.is_empty()).map(str::to_owned),
        });
    }
    if let Some(&first) = units.first() {
        if units.iter().any(|u| *u != first) {
            return Err("the lines of the list have different units".into());
        }
        unit = first;
    }
    let is_own = of_several || names.join(",") == CSV_HEADER;
    Ok(Positions { format: PositionsFormat::Csv, places, um_per_unit: unit, is_solved: is_own })
}

/// Micrometres in a unit of length.
pub(super) fn um_of(unit: &str) -> Option<f64> {
    match unit.trim().to_lowercase().as_str() {
        "µm" | "\u{3bc}m" | "um" | "micron" | "microns" => Some(1.0),
        "nm" => Some(1e-3),
        "mm" => Some(1e3),
        "cm" => Some(1e4),
        "m" => Some(1e6),
        _ => None,
    }
}

/// The cells of a line; one in double quotes may hold the separator, and a quote twice.
fn cells(line: &str, separator: char) -> Vec<String> {
    let mut cells = vec![String::new()];
    let (mut quoted, mut chars) = (false, line.trim_end_matches(['\r', '\n']).chars().peekable());
    while let Some(c) = chars.next() {
        let last = cells.len() - 1;
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                cells[last].push('"');
            }
            '"' => quoted = !quoted,
            c if c == separator && !quoted => cells.push(String::new()),
            c => cells[last].push(c),
        }
    }
    cells
}

impl Positions {
    /// The places of a set's fields, in pixels, by the names of their files; `None` for fields that are not listed.
    ///
    /// Fails where the list is in micrometres and the set has no pixel size, and where it names none of the fields.
    pub fn places_of(&self, set: &FieldSet) -> Result<Vec<Option<Point>>> {
        let um_per_px = match (self.um_per_unit, set.um_per_px) {
            (None, _) => [1.0; 2],
            (Some(um), Some(px)) => [px[0] / um, px[1] / um],
            (Some(_), None) => {
                let what = "the list is in micrometres and the images have no pixel size, set it first";
                return Err(Error::unsupported(what, &set.path));
            }
        };
        let mut by_name: HashMap<(String, Option<u32>), Point> = HashMap::new();
        let is_of_set = |line: &&NamedPlace| line.well.as_ref().is_none_or(|well| *well == set.name);
        for line in self.places.iter().filter(is_of_set) {
            let place = Point::new(line.place.x / um_per_px[0], line.place.y / um_per_px[1]);
            by_name.insert((key_of(&line.file), line.series), place);
        }
        let places: Vec<Option<Point>> = set
            .fields
            .iter()
            .map(|field| {
                let named = by_name.get(&(key_of(&field.name), None)).copied();
                named.or_else(|| {
                    field.planes.iter().find_map(|plane| {
                        let file = set.files.get(plane.file as usize)?.file_name()?.to_string_lossy().into_owned();
                        let series = by_name.get(&(key_of(&file), Some(plane.image)));
                        series.or_else(|| by_name.get(&(key_of(&file), None))).copied()
                    })
                })
            })
            .collect();
        if places.iter().all(Option::is_none) {
            return Err(Error::unsupported("the list names none of these fields", &set.path));
        }
        Ok(places)
    }
}

/// Names are compared without their folders and without regard to capitals.
pub(super) fn key_of(file: &str) -> String {
    file.rsplit(['/', '\\']).next().unwrap_or(file).trim().to_lowercase()
}

/// The lines that a list of a set's fields at `positions` has.
pub fn lines_of(set: &FieldSet, positions: &[Point]) -> Vec<NamedPlace> {
    let line = |(field, place): (&super::FieldPlace, &Point)| NamedPlace {
        file: field.name.clone(),
        series: None,
        row_col: field.row_col,
        place: *place,
        well: None,
    };
    set.fields.iter().zip(positions).map(line).collect()
}

/// Writes a list, which appears whole or not at all.
pub fn write(path: &Path, format: PositionsFormat, places: &[NamedPlace]) -> Result<()> {
    write_whole(path, to_text(format, places).as_bytes(), "cannot write the positions")
}

/// The text of a list. Places have three decimals: thousandths of a pixel.
pub fn to_text(format: PositionsFormat, places: &[NamedPlace]) -> String {
    let mut out = String::new();
    let of_several = places.iter().any(|p| p.well.is_some());
    match format {
        PositionsFormat::Csv => out += &format!("{CSV_HEADER}{}\n", if of_several { CSV_WELL } else { "" }),
        PositionsFormat::TileConfiguration => {
            out += "# Define the number of dimensions we are working on\ndim = 2\n";
            if places.iter().any(|p| p.series.is_some()) {
                out += "multiseries = true\n";
            }
            out += "\n# Define the image coordinates\n";
        }
        PositionsFormat::Mist => {}
    }
    for line in places {
        let (x, y) = (tidy(line.place.x), tidy(line.place.y));
        let written = match format {
            PositionsFormat::Csv => {
                let cell = |v: Option<i32>| v.map(|v| v.to_string()).unwrap_or_default();
                let (row, col) = (cell(line.row_col.map(|c| c.0)), cell(line.row_col.map(|c| c.1)));
                let well = line.well.as_ref().map(|well| format!(",{}", quoted(well))).unwrap_or_default();
                writeln!(out, "{},{row},{col},{x:.3},{y:.3}{well}", quoted(&line.file))
            }
            PositionsFormat::TileConfiguration => {
                let series = line.series.map(|s| s.to_string()).unwrap_or_default();
                writeln!(out, "{}; {series}; ({x:.3}, {y:.3})", line.file)
            }
            PositionsFormat::Mist => {
                let (row, col) = line.row_col.unwrap_or((0, 0));
                // MIST reads whole pixels only.
                writeln!(out, "file: {}; corr: 1.0; position: ({x:.0}, {y:.0}); grid: ({col}, {row});", line.file)
            }
        };
        debug_assert!(written.is_ok(), "text in memory takes every line");
    }
    out
}

/// No zero has a sign.
fn tidy(value: f64) -> f64 {
    if value.abs() < 0.0005 { 0.0 } else { value }
}

fn quoted(name: &str) -> String {
    if name.contains(['"', ',', '\n', ';']) { format!("\"{}\"", name.replace('"', "\"\"")) } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(list: &Positions) -> Vec<(&str, Option<u32>, f64, f64)> {
        list.places.iter().map(|p| (p.file.as_str(), p.series, p.place.x, p.place.y)).collect()
    }

    #[test]
    fn tile_configurations_are_read_with_series_and_comments() {
        let text = "# c\ndim = 2\nmultiseries = true\n\na b.tif; 3; (1.5, -2)\n # x\nc.tif; ; (0, 1e2)\n";
        let list = parse(text, "tileconfiguration.txt").expect("read");
        assert_eq!(places(&list), [("a b.tif", Some(3), 1.5, -2.0), ("c.tif", None, 0.0, 100.0)]);
        assert!(!list.is_solved);
        assert!(parse(text, "tileconfiguration.registered.txt").expect("read").is_solved);
        assert!(parse("dim = 3\na.tif; ; (0, 0, 0)", "t").is_err());
    }

    #[test]
    fn csv_is_read_in_its_unit_and_order_with_or_without_a_header() {
        let list = parse("y,x,file,unit\n2,1,\"a,1.tif\",mm\n", "p.csv").expect("read");
        assert_eq!((places(&list), list.um_per_unit), (vec![("a,1.tif", None, 1.0, 2.0)], Some(1e3)));
        let list = parse("a.tif;1;2\nb.tif;3;4\n", "p.csv").expect("read");
        assert_eq!(places(&list), [("a.tif", None, 1.0, 2.0), ("b.tif", None, 3.0, 4.0)]);
        assert_eq!(parse("file,x_um,y_um\na.tif,1,2\n", "p.csv").expect("read").um_per_unit, Some(1.0));
        assert!(parse("file,x,y\na.tif,one,2\n", "p.csv").is_err());
        assert!(parse("well,count\nB03,7\n", "p.csv").is_err());
    }

    #[test]
    fn a_list_of_several_mosaics_says_of_which_each_line_is() {
        let line = |well: &str, x: f64| NamedPlace {
            file: "r0_c0.tif".into(),
            series: None,
            row_col: None,
            place: Point::new(x, 0.0),
            well: Some(well.into()),
        };
        let text = to_text(PositionsFormat::Csv, &[line("B02", 1.0), line("B,03", 2.0)]);
        assert_eq!(text, "file,row,col,x,y,well\nr0_c0.tif,,,1.000,0.000,B02\nr0_c0.tif,,,2.000,0.000,\"B,03\"\n");
        let back = parse(&text, "x").expect("read back");
        let wells: Vec<Option<&str>> = back.places.iter().map(|p| p.well.as_deref()).collect();
        assert_eq!((wells, back.is_solved), (vec![Some("B02"), Some("B,03")], true));
        let others = parse("file,x,y,well\na.tif,1,2,7\n", "x").expect("read");
        assert_eq!(others.places[0].well, None, "a list of another program");
    }

    #[test]
    fn every_format_gives_back_what_was_written() {
        let lines = vec![
            NamedPlace {
                file: "a, \"b\".tif".into(),
                series: None,
                row_col: Some((0, 1)),
                place: Point::new(1.25, -7.0),
                well: None,
            },
            NamedPlace {
                file: "c.tif".into(),
                series: None,
                row_col: Some((2, 3)),
                place: Point::new(-0.0001, 8.5),
                well: None,
            },
        ];
        for format in [PositionsFormat::Csv, PositionsFormat::TileConfiguration, PositionsFormat::Mist] {
            let text = to_text(format, &lines);
            let back = parse(&text, "x").expect("read back");
            assert_eq!(back.format, format, "{text}");
            for (line, read) in lines.iter().zip(&back.places) {
                let off = if format == PositionsFormat::Mist { 0.51 } else { 0.0006 };
                assert!(line.place.distance(read.place) < off, "{text}");
                assert_eq!(line.file, read.file);
                assert!(format == PositionsFormat::TileConfiguration || line.row_col == read.row_col);
            }
        }
    }
}
