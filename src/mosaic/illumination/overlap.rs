//! The same tissue seen at two places of the field: what overlaps say about the light.

use super::reduced::Reduced;
use crate::geom::{Point, Rect, Size};
use crate::mosaic::{Alignment, FieldIndex, HandWork};
use crate::stitch::report::EdgeReport;
use crate::stitch::solve::Hand;

/// A seam that is off by more than this contradicts the others, and the two fields do not show the same tissue where they
/// seem to, pixels.
const MAX_RESIDUAL_PX: f64 = 2.0;

/// Two fields that show the same tissue.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FieldOverlap {
    /// The first field.
    pub a: u32,
    /// The second one.
    pub b: u32,
    /// The second one's top-left corner less the first one's, in pixels.
    pub shift: Point,
}

/// The overlaps that say something of the light: those that were measured and that a cold solution went by.
///
/// A seam that contradicts the others takes no part, nor does one whose fields a person moved: how they stand is no
/// measurement.
/// The shifts are the measured ones, so that a decision about one seam changes what is said by no other.
pub fn accepted_overlaps(alignment: &Alignment, hand: &HandWork) -> Vec<FieldOverlap> {
    alignment.report.edges.iter().filter_map(|edge| measured_overlap(edge, hand)).collect()
}

fn measured_overlap(edge: &EdgeReport, hand: &HandWork) -> Option<FieldOverlap> {
    let (a, b) = (u32::try_from(edge.a).ok()?, u32::try_from(edge.b).ok()?);
    let is_moved = matches!(hand.edges.get(&(a.min(b), a.max(b))), Some(Hand::Shift(_)));
    let counts = edge.status.is_accepted();
    let agrees = edge.residual_px.is_some_and(|off_px| off_px <= MAX_RESIDUAL_PX);
    let [x, y] = edge.measured.filter(|_| counts && agrees && !is_moved)?;
    Some(FieldOverlap { a, b, shift: Point::new(x, y) })
}

/// The overlaps of fields at places that are believed as they are; `None` for a field whose place is not known.
pub fn overlaps_of_places(places: &[Option<Point>], sizes: &[Size]) -> Vec<FieldOverlap> {
    let rect = |min: Point, size: &Size| Rect::new(min, min + Point::new(size.width.into(), size.height.into()));
    let placed = |(field, (place, size)): (usize, (&Option<Point>, &Size))| {
        Some((u32::try_from(field).ok()?, rect((*place)?, size)))
    };
    let placed: Vec<(u32, Rect)> = places.iter().zip(sizes).enumerate().filter_map(placed).collect();
    let index = FieldIndex::new(&placed.iter().map(|(_, rect)| *rect).collect::<Vec<_>>());
    let mut overlaps = Vec::new();
    for &(a, rect_a) in &placed {
        let near = index.candidates(rect_a).into_iter().filter_map(|n| placed.get(n as usize));
        let meeting = near.filter(|(b, rect_b)| *b > a && rect_a.intersect(*rect_b).is_some());
        overlaps.extend(meeting.map(|&(b, rect_b)| FieldOverlap { a, b, shift: rect_b.min - rect_a.min }));
    }
    overlaps
}

/// Blocks of cells along the longer side of a field: one sample of tissue each.
const BLOCKS_A_SIDE: u32 = 64;

/// Samples that one overlap may give; wider overlaps are thinned evenly.
pub(super) const MAX_SAMPLES_AN_OVERLAP: usize = 384;

/// The seam is looked at in pieces of a field's longer side over so many: a step that the eye sees is at least as long.
const SEAM_PIECES_A_SIDE: u32 = 8;

/// Cells on either side of the seam's midline that belong to a piece of it, as a share of the longer side.
const SEAM_REACH_SHARE: f64 = 1.0 / 64.0;

/// One patch of tissue, seen by two fields.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Sample {
    /// Where it lies in either field: -1 to 1 from edge to edge.
    pub at: [[f32; 2]; 2],
    /// What either field stores.
    pub stored: [f32; 2],
    /// How much it changes from cell to cell: what a small error of place costs.
    pub texture: f32,
}

/// The cells of the overlap of two planes, both resampled to the same points.
///
/// Both are moved by half of the fraction of a cell that lies between them, towards each other: so both are blurred the
/// same, and a blur that only one of them had would look like light.
struct Common {
    /// Cells across and down.
    size: Size,
    /// Place of the first cell's centre in either plane, in its cells.
    first: [Point; 2],
    /// Samples of either plane.
    stored: [Vec<f32>; 2],
    /// Whether a cell stands on clipped ones.
    clipped: Vec<bool>,
}

impl Common {
    /// `None` where the planes do not overlap, or their cells are not of one size.
    fn of(a: &Reduced, b: &Reduced, shift: Point) -> Option<Self> {
        if a.cell_px != b.cell_px {
            return None;
        }
        let (x, width) = common_cells(shift.x / a.cell_px[0], a.cells.width, b.cells.width)?;
        let (y, height) = common_cells(shift.y / a.cell_px[1], a.cells.height, b.cells.height)?;
        let first = [Point::new(x[0], y[0]), Point::new(x[1], y[1])];
        let size = Size::new(width, height);
        let (va, ca) = resampled(a, first[0], size);
        let (vb, cb) = resampled(b, first[1], size);
        let clipped = ca.into_iter().zip(cb).map(|(a, b)| a || b).collect();
        Some(Self { size, first, stored: [va, vb], clipped })
    }
}

/// Where cells along one axis lie in both planes, `b` being moved by `shift` cells: the first one's place in either, and
/// how many there are.
fn common_cells(shift: f64, a: u32, b: u32) -> Option<([f64; 2], u32)> {
    let (whole, half) = (shift.floor(), (shift - shift.floor()) / 2.0);
    // Cell n lies at n + half in a and at n - whole - half in b; a cell and its right neighbour are looked at in both.
    let begin = 0.0_f64.max((whole + half).ceil());
    let end = (f64::from(a) - 1.0 - half).min(f64::from(b) - 1.0 + whole + half);
    let count = (end - begin).ceil();
    (count >= 1.0).then_some(([begin + half, begin - whole - half], count as u32))
}

/// Samples between cells, linear, and whether one of the four is clipped.
fn resampled(plane: &Reduced, first: Point, size: Size) -> (Vec<f32>, Vec<bool>) {
    let stride = plane.cells.width as usize;
    let (left, top) = (first.x.floor(), first.y.floor());
    let (s, t) = ((first.x - left) as f32, (first.y - top) as f32);
    let mut samples = Vec::with_capacity(size.area() as usize);
    let mut clipped = Vec::with_capacity(size.area() as usize);
    // Where the fraction is nought the neighbour does not count, and may not be there.
    let (right, below) = (usize::from(s > 0.0), usize::from(t > 0.0) * stride);
    for y in 0..size.height as usize {
        for x in 0..size.width as usize {
            let n = (top as usize + y) * stride + left as usize + x;
            let four = [n, n + right, n + below, n + below + right].map(|n| plane.samples[n]);
            let (above, beneath) = (four[0] + (four[1] - four[0]) * s, four[2] + (four[3] - four[2]) * s);
            samples.push(above + (beneath - above) * t);
            clipped.push(four.iter().any(|&v| v >= plane.clipped));
        }
    }
    (samples, clipped)
}

/// What the overlap of two planes says, patch by patch.
pub(super) fn samples_of(a: &Reduced, b: &Reduced, shift: Point) -> Vec<Sample> {
    let Some(common) = Common::of(a, b, shift) else { return Vec::new() };
    let block = (a.cells.width.max(a.cells.height) / BLOCKS_A_SIDE).max(1);
    let (across, down) = (common.size.width / block, common.size.height / block);
    let total = (across * down) as usize;
    let every = total.div_ceil(MAX_SAMPLES_AN_OVERLAP).max(1);
    (0..total)
        .step_by(every)
        .filter_map(|n| {
            let (x, y) = (n as u32 % across * block, n as u32 / across * block);
            common.sample(x, y, block, [a, b])
        })
        .collect()
}

impl Common {
    /// The block from cell (x, y) on; `None` where a cell is clipped.
    fn sample(&self, x: u32, y: u32, block: u32, planes: [&Reduced; 2]) -> Option<Sample> {
        let stride = self.size.width as usize;
        let (mut sums, mut texture) = ([0.0_f32; 2], 0.0_f32);
        for row in y..y + block {
            for column in x..x + block {
                let n = (row * self.size.width + column) as usize;
                if self.clipped[n] {
                    return None;
                }
                for (sum, stored) in sums.iter_mut().zip(&self.stored) {
                    *sum += stored[n];
                    // The neighbour within the overlap, on whichever side there is one.
                    let beside = if column + 1 < self.size.width { n + 1 } else { n.saturating_sub(1) };
                    let beneath = if row + 1 < self.size.height { n + stride } else { n.saturating_sub(stride) };
                    texture += (stored[n] - stored[beside]).abs() + (stored[n] - stored[beneath]).abs();
                }
            }
        }
        let cells = (block * block) as f32;
        let middle = f64::from(block - 1) / 2.0;
        let at = [0, 1].map(|which| {
            let plane = planes[which];
            let place = |first: f64, cell: u32, cell_px: f64, field: u32| {
                ((first + f64::from(cell) + middle + 0.5) * cell_px / f64::from(field) * 2.0 - 1.0) as f32
            };
            [
                place(self.first[which].x, x, plane.cell_px[0], plane.field.width),
                place(self.first[which].y, y, plane.cell_px[1], plane.field.height),
            ]
        });
        Some(Sample { at, stored: sums.map(|sum| sum / cells), texture: texture / cells })
    }
}

/// The steps across one seam, piece by piece: how far the two fields' means lie apart, as a share of the light there.
///
/// Light is what is stored less `dark`. Pieces without light say nothing and are left out, as are clipped cells.
pub fn seam_steps(a: &Reduced, b: &Reduced, shift: Point, dark: f32) -> Vec<f32> {
    let Some(common) = Common::of(a, b, shift) else { return Vec::new() };
    let (width, height) = (common.size.width as usize, common.size.height as usize);
    let longer = a.cells.width.max(a.cells.height);
    let piece = (longer / SEAM_PIECES_A_SIDE).max(1) as usize;
    let reach = ((f64::from(longer) * SEAM_REACH_SHARE) as usize).max(1);
    // The seam runs along the longer side of the overlap, through the middle of the shorter one.
    let (along, across) = if width < height { (height, width) } else { (width, height) };
    let band = (across / 2).saturating_sub(reach)..(across / 2 + reach).min(across);
    let mut steps = Vec::new();
    for start in (0..along).step_by(piece) {
        let (mut sums, mut cells) = ([0.0_f64; 2], 0_u32);
        for i in start..(start + piece).min(along) {
            for j in band.clone() {
                let n = if width < height { i * width + j } else { j * width + i };
                if !common.clipped[n] {
                    cells += 1;
                    sums[0] += f64::from(common.stored[0][n]);
                    sums[1] += f64::from(common.stored[1][n]);
                }
            }
        }
        let light = (sums[0] + sums[1]) / 2.0 - f64::from(dark) * f64::from(cells);
        if cells > 0 && light > 0.0 {
            steps.push(((sums[0] - sums[1]).abs() / light) as f32);
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mosaic::Verdict;
    use crate::stitch::report::Report;
    use crate::stitch::solve::EdgeStatus;
    use std::sync::Arc;

    /// A pair of neighbours that was measured 100 px apart.
    fn edge(a: usize, b: usize, status: EdgeStatus, residual_px: f64) -> EdgeReport {
        EdgeReport {
            a,
            b,
            nominal: [98.0, 0.0],
            measured: Some([100.0, 1.0]),
            deviation_px: None,
            residual_px: Some(residual_px),
            alone: false,
            ncc: None,
            score: None,
            status,
            rejection: None,
        }
    }

    #[test]
    fn only_measured_seams_that_agree_and_that_nobody_moved_say_something_of_the_light() {
        use EdgeStatus::{Accepted, AcceptedByHand, Dropped, NoInformation, RefusedByHand, Rejected};
        let edges = vec![
            edge(0, 1, Accepted, 0.1),
            edge(1, 2, Dropped, 9.0),
            edge(2, 3, AcceptedByHand, 0.1),
            edge(3, 4, AcceptedByHand, 0.1),
            edge(4, 5, AcceptedByHand, 7.0),
            edge(5, 6, RefusedByHand, 0.1),
            edge(6, 7, Accepted, 2.5),
            EdgeReport { measured: None, residual_px: None, ..edge(7, 8, NoInformation, 0.0) },
            EdgeReport { measured: None, ..edge(8, 9, Rejected, 0.1) },
        ];
        let report = Report {
            fields: Vec::new(),
            edges,
            placed_by_stage: 0,
            accepted: 0,
            accepted_alone: 0,
            shifted_by_hand: 0,
            residual_p50_px: None,
            residual_p95_px: None,
            min_score: 0.0,
            max_shift_px: [0.0; 2],
            stage_scatter_px: [0.0; 2],
        };
        let alignment = Alignment {
            nominal: Vec::new(),
            grid: None,
            positions: Vec::new(),
            verdict: Verdict::Aligned,
            channel: 0,
            report: Arc::new(report),
            findings: Vec::new(),
        };
        let moved = [((2, 3), Hand::Shift(Point::new(80.0, 0.0))), ((3, 4), Hand::Accept), ((4, 5), Hand::Accept)];
        let found = accepted_overlaps(&alignment, &HandWork { edges: moved.into() });
        let shift = Point::new(100.0, 1.0);
        assert_eq!(found, [FieldOverlap { a: 0, b: 1, shift }, FieldOverlap { a: 3, b: 4, shift }]);
    }

    #[test]
    fn places_that_are_believed_overlap_where_fields_meet() {
        let place = |x: f64, y: f64| Some(Point::new(x, y));
        let places = [place(0.0, 0.0), None, place(80.0, 2.0), place(500.0, 0.0), place(10.0, 90.5)];
        let found = overlaps_of_places(&places, &[Size::new(100, 100); 5]);
        let of = |a: u32, b: u32, x: f64, y: f64| FieldOverlap { a, b, shift: Point::new(x, y) };
        assert_eq!(found, [of(0, 2, 80.0, 2.0), of(0, 4, 10.0, 90.5), of(2, 4, -70.0, 88.5)]);
    }

    /// A plane of cells of 4 px whose sample at a place of the scene is `of(x, y)`, in pixels.
    fn plane(corner: Point, cells: Size, of: &dyn Fn(f64, f64) -> f64) -> Reduced {
        let samples = (0..cells.height).flat_map(|y| (0..cells.width).map(move |x| (x, y)));
        let place = |cell: u32| (f64::from(cell) + 0.5) * 4.0;
        Reduced {
            field: Size::new(cells.width * 4, cells.height * 4),
            cell_px: [4.0; 2],
            cells,
            samples: samples.map(|(x, y)| of(corner.x + place(x), corner.y + place(y)) as f32).collect(),
            clipped: 60_000.0,
        }
    }

    #[test]
    fn both_sides_of_a_sample_show_the_same_tissue_at_any_fraction_and_direction() {
        let slope = |x: f64, y: f64| 1000.0 + 3.0 * x - 2.0 * y;
        let cells = Size::new(128, 96);
        for shift in [(460.0, 3.3), (-455.7, -9.1), (2.5, 350.2), (430.9, 301.0), (448.0, 0.0)] {
            let shift = Point::new(shift.0, shift.1);
            let a = plane(Point::default(), cells, &slope);
            let b = plane(shift, cells, &slope);
            let samples = samples_of(&a, &b, shift);
            assert!(samples.len() > 50, "{shift:?}: {}", samples.len());
            for s in samples {
                assert!((s.stored[0] - s.stored[1]).abs() < 0.01, "{shift:?}: {s:?}");
                let x = |which: usize| (f64::from(s.at[which][0]) + 1.0) / 2.0 * 512.0;
                assert!((x(0) - x(1) - shift.x).abs() < 1e-3, "{shift:?}: {s:?}");
            }
        }
    }

    #[test]
    fn fields_apart_or_of_other_cells_have_nothing_in_common() {
        let cells = Size::new(64, 64);
        let a = plane(Point::default(), cells, &|_, _| 1.0);
        for shift in [(256.0, 0.0), (0.0, -256.0), (1e9, 0.0), (-1e9, 1e9)] {
            assert_eq!(samples_of(&a, &a, Point::new(shift.0, shift.1)), []);
        }
        let other = Reduced { cell_px: [2.0; 2], ..a.clone() };
        assert_eq!(samples_of(&a, &other, Point::new(10.0, 0.0)), []);
    }

    #[test]
    fn clipped_cells_are_left_out() {
        let cells = Size::new(64, 64);
        let bright = |x: f64, _: f64| if x > 230.0 { 65_000.0 } else { 500.0 };
        let shift = Point::new(200.0, 0.0);
        let (a, b) = (plane(Point::default(), cells, &bright), plane(shift, cells, &bright));
        let samples = samples_of(&a, &b, shift);
        assert!(!samples.is_empty());
        assert!(samples.iter().all(|s| s.stored == [500.0; 2]));
    }

    #[test]
    fn a_step_is_a_share_of_the_light_above_the_dark_level() {
        let cells = Size::new(64, 64);
        let (a, b) = (plane(Point::default(), cells, &|_, _| 1090.0), plane(Point::default(), cells, &|_, _| 1110.0));
        for shift in [(220.0, 1.0), (-1.0, 220.0)] {
            let steps = seam_steps(&a, &b, Point::new(shift.0, shift.1), 100.0);
            assert_eq!(steps.len(), 8);
            assert!(steps.iter().all(|step| (step - 0.02).abs() < 1e-5), "{steps:?}");
        }
    }
}
