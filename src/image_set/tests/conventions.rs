//! The ways in which the world names its files, and what becomes of each.

use super::*;

/// What becomes of a folder.
enum Becomes {
    /// Sets of fields in a grid by rows and columns: rows, columns.
    Grid(u32, u32),
    /// Sets of so many fields that names count.
    Count(usize),
    /// Images of their own.
    Images,
}
use Becomes::{Count, Grid, Images};

/// A convention: who writes it, the names, what becomes of them, the sets, the channels, focus positions and times.
struct Convention {
    program: &'static str,
    names: Vec<String>,
    becomes: Becomes,
    sets: &'static [&'static str],
    channels: &'static [&'static str],
    z: u16,
    t: u16,
}

fn named(program: &'static str, becomes: Becomes, names: impl IntoIterator<Item = String>) -> Convention {
    Convention { program, names: names.into_iter().collect(), becomes, sets: &[], channels: &[], z: 1, t: 1 }
}

impl Convention {
    fn sets(self, sets: &'static [&'static str]) -> Self {
        Self { sets, ..self }
    }

    fn channels(self, channels: &'static [&'static str]) -> Self {
        Self { channels, ..self }
    }

    fn planes(self, z: u16, t: u16) -> Self {
        Self { z, t, ..self }
    }

    fn check(&self) -> std::result::Result<(), String> {
        let found = Folder::of(&self.names).resolve();
        let sets = sets(&found);
        let told: Vec<&str> = sets.iter().map(|s| s.name.as_str()).collect();
        let fail = |what: String| Err(format!("{}: {what}; {told:?}", self.program));
        let (rows, columns, count) = match self.becomes {
            Images if sets.is_empty() && found.entries.len() == self.names.len() => return Ok(()),
            Images => return fail(format!("became {:?}", sets.iter().map(|s| &s.evidence).collect::<Vec<_>>())),
            Grid(rows, columns) => (rows, columns, (rows * columns) as usize),
            Count(count) => (0, 0, count),
        };
        if sets.len() != self.sets.len().max(1) || (!self.sets.is_empty() && told != self.sets) {
            return fail(format!("{} sets", sets.len()));
        }
        if !images(&found).is_empty() {
            return fail(format!("images besides: {:?}", images(&found)));
        }
        for set in &sets {
            if set.fields.len() != count {
                return fail(format!("{} fields: {}", set.fields.len(), set.evidence));
            }
            let Layout::Grid(grid) = &set.layout else { return fail(format!("{:?}", set.layout)) };
            let is_named = matches!(grid.order, GridOrder::Named { .. });
            if is_named != (rows > 0) || (is_named && (grid.rows, grid.columns) != (rows, columns)) {
                return fail(format!("{grid:?} by {}", set.evidence));
            }
            if !self.channels.is_empty() && channels(set) != self.channels {
                return fail(format!("channels {:?}", channels(set)));
            }
            if (set.z_count, set.t_count) != (self.z, self.t) {
                return fail(format!("{} focus positions and {} times", set.z_count, set.t_count));
            }
            let planes = set.channels.len() * usize::from(set.z_count) * usize::from(set.t_count);
            if set.fields.iter().any(|f| f.planes.len() != planes) {
                return fail("planes are missing".into());
            }
        }
        Ok(())
    }
}

/// All combinations of two, and of three, lists.
fn pairs<A: Clone, B: Clone>(a: &[A], b: &[B]) -> Vec<(A, B)> {
    a.iter().flat_map(|a| b.iter().map(move |b| (a.clone(), b.clone()))).collect()
}

fn triples<A: Clone, B: Clone, C: Clone>(a: &[A], b: &[B], c: &[C]) -> Vec<(A, B, C)> {
    pairs(&pairs(a, b), c).into_iter().map(|((a, b), c)| (a, b, c)).collect()
}

fn all_of(conventions: Vec<Convention>) {
    let failed: Vec<String> = conventions.iter().filter_map(|c| c.check().err()).collect();
    assert!(failed.is_empty(), "{} of {}:\n{}", failed.len(), conventions.len(), failed.join("\n"));
}

/// Two rows of three.
const CELLS: [(u32, u32); 6] = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)];

#[test]
fn names_that_say_rows_and_columns_are_grids() {
    let cells = || CELLS.iter();
    let one = |f: &dyn Fn(u32, u32) -> String| cells().map(|&(r, c)| f(r, c)).collect::<Vec<_>>();
    all_of(vec![
        named("MIST", Grid(2, 3), one(&|r, c| format!("img_r{:03}_c{:03}.tif", r + 1, c + 1))),
        named("MIST with times", Grid(2, 3), one(&|r, c| format!("img_r{r:03}_c{c:03}_t001.tif"))),
        named(
            "ASHLAR",
            Grid(2, 3),
            pairs(&CELLS, &["DAPI", "CD45"]).iter().map(|((r, c), w)| format!("img_{w}_r{r:03}_c{c:03}.tif")),
        )
        .channels(&["DAPI", "CD45"]),
        named("one word", Grid(2, 3), one(&|r, c| format!("scanR{:02}C{:02}.tif", r + 1, c + 1))),
        named("whole words", Grid(2, 3), one(&|r, c| format!("Row{r}Col{c}.TIF"))),
        named("spaces", Grid(2, 3), one(&|r, c| format!("Lung left, row {r} column {c}.tif"))),
        named("umlauts", Grid(2, 3), one(&|r, c| format!("Größe µ_Ärzte_r{r}_c{c}.tif"))),
        named("Chinese", Grid(2, 3), one(&|r, c| format!("切片一_r{r}_c{c}.tif"))),
        named("several dots", Grid(2, 3), one(&|r, c| format!("scan.v2.1.r{r}.c{c}.ome.tif"))),
        named("x and y", Grid(2, 3), one(&|r, c| format!("tile_x{c:03}_y{r:03}.tif"))),
        named("CODEX, processed", Grid(2, 3), one(&|r, c| format!("reg001_X{:02}_Y{:02}_Z01.tif", c + 1, r + 1))),
        named(
            "Leica matrix",
            Grid(2, 3),
            pairs(&CELLS, &[0, 1]).iter().map(|((r, c), w)| {
                format!("image--L0000--S00--U00--V00--J08--E00--O00--X{c:02}--Y{r:02}--T0000--Z00--C{w:02}.ome.tif")
            }),
        )
        .channels(&["C00", "C01"]),
        named(
            "Leica matrix, two wells",
            Grid(2, 3),
            pairs(&CELLS, &[0, 1]).iter().map(|((r, c), u)| {
                format!("image--L0000--S00--U{u:02}--V00--J08--E00--O00--X{c:02}--Y{r:02}--T0000--Z00--C00.ome.tif")
            }),
        )
        .sets(&["U00", "U01"]),
        named("Fiji", Grid(2, 3), one(&|r, c| format!("tile_{:02}_{:02}.tif", c + 1, r + 1))),
        named("Thermo MAPS", Grid(2, 3), one(&|r, c| format!("Tile_{:03}-{:03}-000000_0-000.tif", r + 1, c + 1))),
        named("Micro-Manager 1.4", Grid(2, 3), one(&|r, c| format!("1-Pos_{c:03}_{r:03}.tif"))),
        named("Micro-Manager 2", Grid(2, 3), one(&|r, c| format!("scan_MMStack_1-Pos{c:03}_{r:03}.ome.tif"))),
        named("Pos", Grid(2, 3), one(&|r, c| format!("Pos_{c:03}_{r:03}.tif"))),
        named("brackets", Grid(2, 3), one(&|r, c| format!("a[Grid@{c} {r}].tif"))),
        named(
            "LaVision",
            Grid(2, 3),
            pairs(&CELLS, &[0, 1])
                .iter()
                .map(|((r, c), z)| format!("10-11-12_brain[{r:02} x {c:02}]_C00_UltraII Filter0000_Z{z:04}.ome.tif")),
        )
        .planes(2, 1),
        named("two numbers", Grid(2, 3), one(&|r, c| format!("slide_{r}_{c}.jpg").replace("slide", "lung"))),
        named("rows from 0 to 10", Grid(11, 2), (0..22).map(|i| format!("r{}_c{}.png", i / 2, i % 2))),
        named(
            "endings in all spellings",
            Grid(2, 3),
            CELLS.iter().zip(["tif", "TIF", "tiff", "TIFF", "Tif", "tif"]).map(|((r, c), e)| format!("r{r}_c{c}.{e}")),
        ),
        named(
            "markers with dashes and numbers",
            Grid(2, 3),
            pairs(&CELLS, &["DAPI", "Ki-67", "P53", "HLA-DR", "Alexa 488"])
                .iter()
                .map(|((r, c), m)| format!("core_r{r}_c{c}_{m}.tif")),
        )
        .channels(&["DAPI", "Alexa 488", "HLA DR", "Ki 67", "P53"]),
        named(
            "rounds in folders",
            Grid(2, 3),
            pairs(&CELLS, &["cyc001_reg001", "cyc002_reg001"])
                .iter()
                .map(|((r, c), f)| format!("{f}/X{c:02}_Y{r:02}.tif")),
        ),
    ]);
}

#[test]
fn names_that_count_fields_are_sequences() {
    let count = |n: u32, f: &dyn Fn(u32) -> String| (1..=n).map(f).collect::<Vec<_>>();
    all_of(vec![
        named(
            "ImageXpress",
            Count(4),
            triples(&["B02", "C03"], &[1, 2, 3, 4], &[1, 2]).iter().map(|(p, s, w)| format!("plate_{p}_s{s}_w{w}.TIF")),
        )
        .sets(&["B02", "C03"])
        .channels(&["w1", "w2"]),
        named(
            "ImageXpress with identities",
            Count(4),
            pairs(&[1, 2, 3, 4], &[1, 2]).iter().map(|(s, w)| {
                format!("plate_B02_s{s}_w{w}{:08X}-7DEC-4{s}D0-A765-00A0C91E6BF{w}.tif", s * 7919 + w * 104_729)
            }),
        )
        .channels(&["w1", "w2"]),
        named(
            "ImageXpress in steps",
            Count(4),
            pairs(&[1, 2, 3, 4], &[1, 2]).iter().map(|(s, z)| format!("ZStep_{z}/p_B02_s{s}_w1.tif")),
        )
        .planes(2, 1),
        named(
            "MetaMorph",
            Count(5),
            pairs(&[1, 2, 3, 4, 5], &["w1DAPI", "w2Cy5"]).iter().map(|(s, w)| format!("a_{w}_s{s}_t1.TIF")),
        )
        .channels(&["DAPI", "Cy5"]),
        named(
            "CellVoyager",
            Count(4),
            pairs(&[1, 2, 3, 4], &[1, 2]).iter().map(|(f, c)| format!("W0001F{f:04}T0001Z001C{c}.tif")),
        )
        .channels(&["c1", "c2"]),
        named(
            "CellVoyager, two wells",
            Count(4),
            pairs(&[1, 12], &[1, 2, 3, 4]).iter().map(|(w, f)| format!("W{w:04}F{f:04}T0001Z001C1.tif")),
        )
        .sets(&["w0001", "w0012"]),
        named(
            "Yokogawa",
            Count(4),
            triples(&[1, 2, 3, 4], &[1, 2, 3], &[1, 2])
                .iter()
                .map(|(f, z, c)| format!("Assay_Greiner_#655090_B03_T0001F{f:03}L01A01Z{z:02}C{c:02}.tif")),
        )
        .planes(3, 1),
        named(
            "Opera Phenix",
            Count(4),
            pairs(&[1, 2, 3, 4], &[1, 2]).iter().map(|(f, c)| format!("r02c03f{f:02}p01-ch{c}sk1fk1fl1.tiff")),
        )
        .channels(&["ch1", "ch2"]),
        named(
            "Opera Phenix, two wells",
            Count(4),
            pairs(&["r02c03", "r02c04"], &[1, 2, 3, 4]).iter().map(|(w, f)| format!("{w}f{f:02}p01-ch1sk1fk1fl1.tiff")),
        )
        .sets(&["r02_c03", "r02_c04"]),
        named(
            "CellInsight",
            Count(4),
            triples(&["A24", "B01"], &[0, 1, 2, 3], &[0, 1])
                .iter()
                .map(|(w, f, d)| format!("MFGTMP_210101120000_{w}f{f:02}d{d}.tif")),
        )
        .sets(&["A24", "B01"])
        .channels(&["d0", "d1"]),
        named(
            "EVOS",
            Count(4),
            pairs(&[0, 1, 2, 3], &[0, 4]).iter().map(|(f, d)| format!("scan_Plate_R_p00_0_A01f{f:02}d{d}.TIF")),
        )
        .channels(&["d0", "d4"]),
        named(
            "InCell",
            Count(4),
            pairs(&[1, 2, 3, 4], &["DAPI - DAPI", "Texas Red - Texas Red", "TL-Brightfield - FITC"])
                .iter()
                .map(|(f, w)| format!("A - 01(fld {f} wv {w}).tif")),
        ),
        named(
            "BioTek",
            Count(4),
            pairs(&[1, 2, 3, 4], &["DAPI", "Phase Contrast"]).iter().map(|(f, c)| format!("A1_02_1_{f}_{c}_001.tif")),
        )
        .channels(&["DAPI", "Phase Contrast"]),
        named(
            "Incucyte",
            Count(4),
            triples(&["A1", "B12"], &[1, 2, 3, 4], &["00h00m", "02h30m"])
                .iter()
                .map(|(w, f, t)| format!("VID123_{w}_{f}_2021y03m04d_{t}.tif")),
        )
        .sets(&["A1", "B12"])
        .planes(1, 2),
        named(
            "Keyence",
            Count(6),
            pairs(&[1, 2, 3, 4, 5, 6], &[1, 4]).iter().map(|(f, c)| format!("Image_{f:05}_CH{c}.tif")),
        )
        .channels(&["ch1", "ch4"]),
        named(
            "Keyence, two points",
            Count(4),
            triples(&[1, 2], &[1, 2, 3, 4], &[1, 2]).iter().map(|(p, f, z)| format!("XY{p:02}_{f:05}_Z{z:03}_CH1.tif")),
        )
        .sets(&["xy01", "xy02"])
        .planes(2, 1),
        named("Keyence, a word in front", Count(4), count(4, &|f| format!("scan_XY01_{f:05}_CH2.tif"))),
        named(
            "CODEX, raw",
            Count(4),
            triples(&[1, 2, 3, 4], &[1, 2, 3], &[1, 2]).iter().map(|(f, z, c)| format!("1_{f:05}_Z{z:03}_CH{c}.tif")),
        )
        .planes(3, 1),
        named(
            "Zeiss",
            Count(4),
            pairs(&[1, 2, 3, 4], &[1, 2]).iter().map(|(m, c)| format!("Experiment-07_c{c}m{m:02}_ORG.tif")),
        ),
        named("Zeiss, one channel", Count(4), count(4, &|m| format!("Experiment-07_m{m:02}_ORG.tif"))),
        named(
            "Zeiss, scenes",
            Count(4),
            pairs(&[1, 2], &[1, 2, 3, 4]).iter().map(|(s, m)| format!("a_s{s}m{m:02}_ORG.tif")),
        )
        .sets(&["s1", "s2"]),
        named(
            "Leica export",
            Count(4),
            pairs(&[0, 1, 2, 3], &[0, 1]).iter().map(|(s, c)| format!("Project_TileScan 1_s{s:02}_ch{c:02}.tif")),
        ),
        named("Leica stages", Count(4), count(4, &|s| format!("TileScan_001--Stage{s:03}--Z00--C01.tif"))),
        named(
            "NIS-Elements",
            Count(4),
            pairs(&[1, 2, 3, 4], &[1, 2]).iter().map(|(p, c)| format!("exp001xy{p:02}c{c}.tif")),
        ),
        named("Olympus", Count(4), count(4, &|n| format!("Stitch_A01_G001_{n:04}.tif"))),
        named(
            "scanR",
            Count(4),
            pairs(&[0, 1, 2, 3], &["DAPI", "GFP"])
                .iter()
                .map(|(p, c)| format!("--W00001--P{p:05}--Z00000--T00000--{c}.tif")),
        )
        .channels(&["DAPI", "GFP"]),
        named("SlideBook", Count(4), count(4, &|p| format!("Capture 1 - Position {p}_XY1600000000_Z00_T0_C0.tif"))),
        named("CosMx", Count(5), count(5, &|f| format!("20210101_101112_S1_C902_P99_N99_F{f:03}.TIF"))),
        named(
            "SBEMimage",
            Count(4),
            pairs(&[0, 1, 2, 3], &[7, 8]).iter().map(|(t, s)| format!("stack_g0000_t{t:04}_s{s:05}.tif")),
        )
        .planes(2, 1),
        named("Tile", Count(10), count(10, &|n| format!("Tile{n}.tif"))),
        named("Tile with zeros", Count(5), count(5, &|n| format!("Tile{n:03}.tif"))),
        named("tile and a space", Count(5), count(5, &|n| format!("Tile {n}.tif"))),
        named("tile in parentheses", Count(5), count(5, &|n| format!("tile ({n}).jpg"))),
        named("from 0", Count(5), (0..5).map(|n| format!("scan_s{n}.tif"))),
        named("to 100", Count(100), count(100, &|n| format!("20210101_S1_F{n}.tif"))),
        named("gaps", Count(8), (1..=12).filter(|n| n % 3 != 0).map(|n| format!("field_{n:02}.tif"))),
        named(
            "fields and channels",
            Count(5),
            pairs(&[1, 2, 3, 4, 5], &[1, 2]).iter().map(|(f, c)| format!("Kidney Field {f} Channel {c}.tif")),
        ),
    ]);
}

#[test]
fn names_that_say_nothing_of_fields_stay_images() {
    let count = |n: u32, f: &dyn Fn(u32) -> String| (1..=n).map(f).collect::<Vec<_>>();
    let words = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
    all_of(vec![
        named("a camera", Images, count(9, &|n| format!("IMG_{:04}.jpg", n + 1230))),
        named("a camera with dates", Images, count(9, &|n| format!("IMG_20210304_1011{n:02}.jpg"))),
        named("screenshots", Images, count(5, &|n| format!("Screenshot 2024-0{n}-12 at 1{n}.3{n}.0{n}.png"))),
        named("two slides", Images, words(&["scan1.tif", "scan2.tif"])),
        named("seven images", Images, count(7, &|n| format!("{n}.tif"))),
        named("copies", Images, count(6, &|n| format!("image ({n}).tif"))),
        named("a series of times", Images, count(12, &|n| format!("series_t{n:03}.tif"))),
        named("a film with a channel", Images, count(12, &|n| format!("film_{n:04}_ch1.tif"))),
        named("a film of one position", Images, count(12, &|n| format!("x_Pos001_{n:03}.tif"))),
        named("a film of one position in bare numbers", Images, count(12, &|n| format!("Pos_001_{n:03}.tif"))),
        named(
            "times of three positions",
            Images,
            pairs(&[1, 2, 3], &[1, 2, 3, 4]).iter().map(|(p, t)| format!("x_Pos{p:03}_{t:03}.tif")),
        ),
        named(
            "a film in Keyence's digits",
            Images,
            pairs(&[1, 2, 3, 4, 5, 6], &[1, 2]).iter().map(|(f, c)| format!("cell7_{f:05}_CH{c}.tif")),
        ),
        named(
            "a film of focus positions in Keyence's digits",
            Images,
            pairs(&[1, 2, 3, 4, 5, 6], &[1, 2]).iter().map(|(f, z)| format!("film_{f:05}_Z{z:03}_CH1.tif")),
        ),
        named("a stack of focus positions", Images, count(12, &|n| format!("stack_z{n:03}_ch00.tif"))),
        named("channels of one picture", Images, words(&["a_DAPI.tif", "a_FITC.tif", "a_TRITC.tif", "a_Cy5.tif"])),
        named(
            "a plate of single pictures",
            Images,
            pairs(&["A", "B"], &[1, 2, 3]).iter().map(|(r, c)| format!("{r}{c:02}.tif")),
        ),
        named("cases", Images, pairs(&[1, 2, 3], &[1, 2]).iter().map(|(a, b)| format!("Patient_{a}_{b}.tif"))),
        named("sections", Images, count(8, &|n| format!("brain_section_{n:02}.tif"))),
        named("days", Images, count(8, &|n| format!("embryo_day{n}.tif"))),
        named("a replicate of a well", Images, count(6, &|n| format!("A1_{n}.tif"))),
        named("a word and a number", Images, count(8, &|n| format!("HeLa{n}.tif"))),
    ]);
    let folder = Folder::new();
    for n in 0..6 {
        folder.put(&format!("tile_{n:02}.tif"), &Tiff::new(40 + 7 * n, 30 + 5 * (n % 3)));
    }
    folder.is_images();
}
