//! All seams of a mosaic, with what a window asks of them in every frame.

use super::{Seam, SeamQuality};
use crate::stitch::solve::EdgeStatus;
use std::ops::Deref;

/// The pairs of overlapping fields, in the order of their numbers. What grows with their number is found out once, when they
/// are made.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Seams {
    all: Vec<Seam>,
    /// The places of the problems, the worst first.
    ranked: Vec<u32>,
    qualities: Vec<SeamQuality>,
    is_measured: bool,
}

impl Seams {
    /// Numbers the problems, the worst first: contradictions by how far they are off, then what does not match.
    pub fn new(mut all: Vec<Seam>) -> Self {
        all.sort_unstable_by_key(|seam| seam.fields);
        let mut ranked: Vec<u32> =
            (0..all.len() as u32).filter(|&k| all[k as usize].quality() == SeamQuality::Problem).collect();
        let badness = |seam: &Seam| match seam.status {
            Some(EdgeStatus::Rejected) | None => -1.0,
            Some(_) => seam.residual_px.unwrap_or(0.0),
        };
        ranked.sort_by(|&a, &b| badness(&all[b as usize]).total_cmp(&badness(&all[a as usize])).then(a.cmp(&b)));
        all.iter_mut().for_each(|seam| seam.number = None);
        for (n, &k) in ranked.iter().enumerate() {
            all[k as usize].number = Some(n as u32 + 1);
        }
        let mut qualities: Vec<SeamQuality> = all.iter().map(Seam::quality).collect();
        qualities.sort_unstable();
        qualities.dedup();
        let is_measured = all.iter().any(|seam| seam.status.is_some());
        Self { all, ranked, qualities, is_measured }
    }

    /// The seams to look at, the worst first.
    pub fn worst(&self) -> impl ExactSizeIterator<Item = &Seam> {
        self.ranked.iter().map(|&k| &self.all[k as usize])
    }

    /// The qualities that there are, the best first.
    pub fn qualities(&self) -> &[SeamQuality] {
        &self.qualities
    }

    /// Whether any seam was measured.
    pub fn is_measured(&self) -> bool {
        self.is_measured
    }

    /// The seam of two fields, the smaller number first.
    pub fn of(&self, fields: (u32, u32)) -> Option<&Seam> {
        let at = self.all.binary_search_by_key(&fields, |seam| seam.fields).ok()?;
        self.all.get(at)
    }

    /// The seams of a field with those of greater numbers.
    pub fn after(&self, field: u32) -> impl Iterator<Item = &Seam> {
        let first = self.all.partition_point(|seam| seam.fields.0 < field);
        self.all[first..].iter().take_while(move |seam| seam.fields.0 == field)
    }
}

impl Deref for Seams {
    type Target = [Seam];

    fn deref(&self) -> &[Seam] {
        &self.all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geom::Rect;
    use crate::stitch::solve::Hand;

    fn seam(fields: (u32, u32), status: Option<EdgeStatus>, residual_px: Option<f64>) -> Seam {
        let overlap = Rect::default();
        Seam {
            fields,
            overlap,
            status,
            residual_px,
            ncc: None,
            hand: Hand::Off,
            holds: true,
            alone: false,
            number: None,
        }
    }

    #[test]
    fn problems_are_numbered_from_the_worst_and_each_seam_is_found_by_its_fields() {
        let accepted = Some(EdgeStatus::Accepted);
        let seams = Seams::new(vec![
            seam((3, 4), Some(EdgeStatus::Rejected), None),
            seam((0, 1), accepted, Some(0.1)),
            seam((1, 2), accepted, Some(3.0)),
            seam((1, 5), accepted, Some(7.0)),
            seam((2, 3), None, None),
        ]);
        let worst: Vec<_> = seams.worst().map(|s| (s.fields, s.number)).collect();
        assert_eq!(worst, [((1, 5), Some(1)), ((1, 2), Some(2)), ((3, 4), Some(3))]);
        assert_eq!(seams.qualities(), [SeamQuality::Good, SeamQuality::Unmeasured, SeamQuality::Problem]);
        assert!(seams.is_measured() && !Seams::new(vec![seam((0, 1), None, None)]).is_measured());
        assert_eq!(seams.of((2, 3)).and_then(|s| s.number), None);
        assert_eq!(seams.of((1, 5)).and_then(|s| s.number), Some(1));
        assert_eq!(seams.of((5, 1)), None);
        assert_eq!(seams.after(1).map(|s| s.fields.1).collect::<Vec<_>>(), [2, 5]);
    }
}
