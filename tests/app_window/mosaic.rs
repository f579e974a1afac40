//! A synthetic mosaic of 4 x 3 fields, in every state of its alignment.

use crate::support::fluorescence;
use microtome::engine::{Evenness, MosaicEdits, MosaicPhase, MosaicSet, MosaicState, OpenedSet, Seam, Seams};
use microtome::geom::{Point, Rect, Size};
use microtome::image_set::{
    Corner, FieldChannel, FieldPlace, FieldSet, FirstAlong, GridLayout, GridOrder, Layout, LeftOut, ScanPath,
};
use microtome::mosaic::illumination::{ChannelLight, LightVerdict};
use microtome::mosaic::{Alignment, Blend, Geometry, Placement, Verdict};
use microtome::stitch::report::{EdgeReport, FieldReport, Report};
use microtome::stitch::solve::{EdgeStatus, Hand, PlacedBy};
use std::path::PathBuf;
use std::sync::Arc;

pub const COLUMNS: u32 = 4;
pub const ROWS: u32 = 3;
pub const FIELD: u32 = 400;
const STEP: f64 = 360.0;

/// How much of its story a mosaic has behind it.
#[derive(Debug, Clone)]
pub struct Story {
    pub phase: MosaicPhase,
    pub rounds: u16,
    pub saved_positions: bool,
    pub evenness: Evenness,
}

impl Default for Story {
    fn default() -> Self {
        Self { phase: MosaicPhase::Aligned, rounds: 1, saved_positions: false, evenness: light(LightVerdict::Kept) }
    }
}

/// What was found out about the light of the one channel that was looked at.
pub fn light(verdict: LightVerdict) -> Evenness {
    let light = ChannelLight {
        channel: 0,
        verdict,
        overlaps: 13,
        dark: Some(100.0),
        disagreement: Some([0.05, 0.01]),
        seam_step: Some([0.034, 0.006]),
    };
    Evenness::Known(Arc::new([light]))
}

/// Nominal corners.
fn nominal() -> Vec<Point> {
    (0..ROWS).flat_map(|r| (0..COLUMNS).map(move |c| Point::new(f64::from(c) * STEP, f64::from(r) * STEP))).collect()
}

/// Solved corners: a few pixels away.
fn solved() -> Vec<Point> {
    let wobble = |n: usize| Point::new(((n * 7) % 9) as f64 - 4.0, ((n * 5) % 7) as f64 - 3.0);
    nominal().into_iter().enumerate().map(|(n, p)| p + wobble(n)).collect()
}

/// The mosaic as a set that opens.
pub fn mosaic(id: u32, path: &str, story: &Story) -> Arc<OpenedSet> {
    let mut opened = (*fluorescence(id, path)).clone();
    let info = &mut opened.images[0];
    info.name = String::new();
    info.size = geometry(&nominal()).size;
    info.levels = microtome::pyramid::level_plan(&[info.size], crate::support::TILE);
    let channels = info
        .channels
        .iter()
        .enumerate()
        .map(|(n, c)| FieldChannel { name: c.name.clone(), color: c.color, round: n as u16 % story.rounds })
        .collect();
    let fields = nominal()
        .into_iter()
        .enumerate()
        .map(|(n, nominal)| FieldPlace {
            name: format!("tonsil_r{}_c{}.tif", n as u32 / COLUMNS, n as u32 % COLUMNS),
            row_col: Some(((n as u32 / COLUMNS) as i32, (n as u32 % COLUMNS) as i32)),
            nominal,
            size: Size::new(FIELD, FIELD),
            planes: vec![],
        })
        .collect();
    let set = FieldSet {
        path: path.into(),
        name: "Tonsil 04".into(),
        evidence: "names like tonsil_r{row}_c{col}.tif".into(),
        files: vec![],
        channels,
        fields,
        z_count: 1,
        t_count: 1,
        um_per_px: Some([0.5, 0.5]),
        layout: Layout::Grid(grid()),
        left_out: vec![
            LeftOut { path: PathBuf::from(path).join("tonsil_mask.tif"), reason: "a mask".into() },
            LeftOut { path: PathBuf::from(path).join("overview.png"), reason: "another size than the fields".into() },
        ],
        saved_positions: story.saved_positions.then(|| PathBuf::from(path).join("TileConfiguration.registered.txt")),
        warnings: vec![],
    };
    let infos: Arc<[_]> = vec![opened.images[0].clone(); (COLUMNS * ROWS) as usize].into();
    let mosaic = MosaicSet {
        fields: Arc::new(set),
        infos,
        chosen: false,
        fingerprint: format!("mosaic {id}"),
        saved: Arc::new(MosaicEdits::default()),
        state: Arc::new(state(&opened, story)),
    };
    opened.format = "Folder, 48 TIFF".into();
    opened.mosaic = Some(Arc::new(mosaic));
    Arc::new(opened)
}

fn grid() -> GridLayout {
    GridLayout {
        rows: ROWS,
        columns: COLUMNS,
        order: GridOrder::Sequence { start: Corner::TopLeft, first: FirstAlong::Row, path: ScanPath::Snake },
        overlap: Some([0.1, 0.1]),
    }
}

/// Fields at places of the layout, in their frame.
fn geometry(positions: &[Point]) -> Geometry {
    let sizes = vec![Size::new(FIELD, FIELD); positions.len()];
    let geometry = Geometry::new(1, &nominal(), positions, &sizes, Blend::Feather, Placement::Whole, 8.0);
    geometry.expect("a small grid")
}

/// How it stands.
pub fn state(set: &OpenedSet, story: &Story) -> MosaicState {
    let is_aligned = matches!(story.phase, MosaicPhase::Aligned);
    let positions = if is_aligned { solved() } else { nominal() };
    let geometry = geometry(&positions);
    // Image coordinates of the frame.
    let positions: Vec<Point> = geometry.fields.iter().map(|f| f.position).collect();
    let seams = seams(&positions, &story.phase);
    let report = report(&seams);
    MosaicState {
        geometry: Arc::new(geometry),
        info: Arc::new(set.images[0].clone()),
        phase: story.phase.clone(),
        layout: Some(grid()),
        nominal: nominal().into(),
        alignment: is_aligned.then(|| {
            Arc::new(Alignment {
                nominal: nominal(),
                grid: Some(grid()),
                positions: solved(),
                verdict: Verdict::Aligned,
                channel: 0,
                report: Arc::new(report),
                findings: vec!["rows run there and back again".into(), "overlap 10.2 % × 9.8 %".into()],
            })
        }),
        seams: Arc::new(Seams::new(seams)),
        max_shift_px: [20.0, 20.0],
        evenness: story.evenness.clone(),
        imported: Arc::new([]),
        illumination: None,
    }
}

fn seams(positions: &[Point], phase: &MosaicPhase) -> Vec<Seam> {
    let rect = |n: u32| {
        let p = positions[n as usize];
        Rect::new(p, p + Point::new(f64::from(FIELD), f64::from(FIELD)))
    };
    let mut pairs = Vec::new();
    for row in 0..ROWS {
        for column in 0..COLUMNS {
            let n = row * COLUMNS + column;
            pairs.extend((column + 1 < COLUMNS).then_some((n, n + 1)));
            pairs.extend((row + 1 < ROWS).then_some((n, n + COLUMNS)));
        }
    }
    let total = pairs.len();
    pairs
        .into_iter()
        .enumerate()
        .map(|(n, (a, b))| {
            let overlap = rect(a).intersect(rect(b)).expect("neighbours overlap");
            let measured = match phase {
                MosaicPhase::Aligned => true,
                MosaicPhase::Aligning { .. } => n < total / 2,
                _ => false,
            };
            let (status, residual_px) = match (measured, n % 9) {
                (false, _) => (None, None),
                (true, 4) => (Some(EdgeStatus::NoInformation), None),
                (true, 7) => (Some(EdgeStatus::Accepted), Some(0.8)),
                (true, 3) if n == 3 => (Some(EdgeStatus::Dropped), Some(11.3)),
                (true, 3) => (Some(EdgeStatus::Rejected), None),
                (true, _) => (Some(EdgeStatus::Accepted), Some(0.03 + 0.01 * n as f64)),
            };
            let number = match (n, status) {
                (3, Some(_)) => Some(1),
                (12, Some(_)) => Some(2),
                _ => None,
            };
            Seam {
                fields: (a, b),
                overlap,
                status,
                residual_px,
                alone: false,
                ncc: residual_px.map(|r| 1.0 / (1.05 + r)),
                hand: Hand::Off,
                holds: n == 12,
                number,
            }
        })
        .collect()
}

fn report(seams: &[Seam]) -> Report {
    let pair = |p: Point| [p.x, p.y];
    let fields = nominal().into_iter().zip(solved()).enumerate().map(|(n, (nominal, position))| FieldReport {
        name: format!("{n}"),
        nominal: pair(nominal),
        position: pair(position),
        placed_by: PlacedBy::Edges,
    });
    let edges = seams.iter().map(|s| EdgeReport {
        a: s.fields.0 as usize,
        b: s.fields.1 as usize,
        nominal: [0.0; 2],
        measured: None,
        deviation_px: None,
        residual_px: s.residual_px,
        alone: s.alone,
        ncc: s.ncc,
        score: None,
        status: s.status.unwrap_or(EdgeStatus::NoInformation),
        rejection: None,
    });
    Report {
        fields: fields.collect(),
        edges: edges.collect(),
        placed_by_stage: 1,
        accepted: seams.iter().filter(|s| s.status == Some(EdgeStatus::Accepted)).count(),
        accepted_alone: 0,
        shifted_by_hand: 0,
        residual_p50_px: Some(0.05),
        residual_p95_px: Some(0.21),
        min_score: 6.0,
        max_shift_px: [20.0, 20.0],
        stage_scatter_px: [2.0, 2.0],
    }
}
