//! What a sample of overlaps says for one way to read a layout, and which way to believe.

/// Overlaps of one axis that are looked at in one go, and how often more are taken where most show nothing.
pub const SAMPLE_PAIRS: usize = 12;
/// See [`SAMPLE_PAIRS`].
pub const SAMPLE_ROUNDS: usize = 4;
/// Overlaps of one axis with something to see that are enough.
pub const ENOUGH_INFORMATIVE: usize = 6;

/// A layout is believed without a look at others where this share of the overlaps along each axis match...
const CLEAR_SHARE: f64 = 0.6;
/// ...and so many of them.
const CLEAR_MATCHES: usize = 2;
/// It cannot be right where less than this share of an axis' overlaps match: a false reading matches hardly anywhere, or on
/// one axis only.
const LEAST_SHARE: f64 = 0.25;
/// A lone match must have this many times the score that it needs.
const LONE_SCORE: f64 = 1.5;
/// The best reading must explain so many times the matches of any other.
const MARGIN: f64 = 1.5;

/// What the sampled overlaps along one axis say.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct AxisEvidence {
    /// All overlaps along it.
    pub pairs: usize,
    /// Sampled ones with something to see.
    pub informative: usize,
    /// Sampled ones that match.
    pub matched: usize,
}

/// What the sample says for one reading.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Evidence {
    /// Along x and y.
    pub axes: [AxisEvidence; 2],
    /// The best score over the least one that counts.
    pub best_score: f64,
    /// Whether an axis along which nothing is to be seen speaks against it: so where the overlap itself is unknown.
    pub needs_both: bool,
}

impl AxisEvidence {
    fn share(&self) -> f64 {
        if self.informative == 0 { 0.0 } else { self.matched as f64 / self.informative as f64 }
    }
}

impl Evidence {
    /// Whether it is right beyond doubt.
    pub fn is_clear(&self) -> bool {
        let axes = || self.axes.iter().filter(|a| a.pairs > 0);
        axes().count() > 0 && axes().all(|a| a.matched >= CLEAR_MATCHES && a.share() >= CLEAR_SHARE)
    }

    /// Whether it may be right.
    pub fn is_sound(&self) -> bool {
        let axis_is_sound = |a: &AxisEvidence| match (a.pairs, a.informative) {
            (0, _) => true,
            (_, 0) => !self.needs_both,
            _ => a.matched > 0 && a.share() >= LEAST_SHARE,
        };
        let matched: usize = self.axes.iter().map(|a| a.matched).sum();
        self.axes.iter().all(axis_is_sound) && (matched > 1 || (matched == 1 && self.best_score >= LONE_SCORE))
    }

    /// How many of all overlaps it would explain.
    fn weight(&self) -> f64 {
        self.axes.iter().map(|a| a.share() * a.pairs as f64).sum()
    }
}

/// What to believe of several readings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// This one.
    Best(usize),
    /// Several explain the overlaps about equally well.
    Ambiguous,
    /// None explains them.
    Nothing,
}

/// Chooses among readings; the first is the one that was given, and wins where it is as good as any.
pub fn choose(evidence: &[Evidence]) -> Choice {
    let mut sound: Vec<usize> = (0..evidence.len()).filter(|&k| evidence[k].is_sound()).collect();
    sound.sort_by(|&p, &q| evidence[q].weight().total_cmp(&evidence[p].weight()).then(p.cmp(&q)));
    let Some(&best) = sound.first() else { return Choice::Nothing };
    let most = evidence[best].weight();
    if sound.contains(&0) && evidence[0].weight() >= most {
        return Choice::Best(0);
    }
    let rival = sound.iter().skip(1).map(|&k| evidence[k].weight()).next().unwrap_or(0.0);
    if most >= MARGIN * rival { Choice::Best(best) } else { Choice::Ambiguous }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evidence(x: (usize, usize, usize), y: (usize, usize, usize)) -> Evidence {
        let axis = |(pairs, informative, matched)| AxisEvidence { pairs, informative, matched };
        Evidence { axes: [axis(x), axis(y)], best_score: 1.2, needs_both: false }
    }

    #[test]
    fn a_raster_beats_the_snake_that_explains_every_other_row() {
        let raster = evidence((30, 12, 12), (25, 12, 11));
        let snake = evidence((30, 12, 6), (25, 12, 4));
        assert!(raster.is_clear() && !snake.is_clear());
        assert_eq!(choose(&[snake, evidence((30, 12, 0), (25, 12, 12)), raster]), Choice::Best(2));
    }

    #[test]
    fn a_mirrored_layout_is_not_sound_although_one_axis_matches() {
        assert!(!evidence((30, 12, 0), (25, 12, 12)).is_sound());
    }

    #[test]
    fn two_readings_that_explain_the_same_are_no_answer_unless_one_was_given() {
        let (a, b) = (evidence((30, 12, 9), (25, 0, 0)), evidence((30, 12, 9), (25, 0, 0)));
        assert_eq!(choose(&[a, b]), Choice::Best(0));
        assert_eq!(choose(&[evidence((30, 12, 0), (25, 12, 0)), a, b]), Choice::Ambiguous);
    }

    #[test]
    fn one_doubtful_match_is_nothing_and_one_clear_match_is_something() {
        let lone = evidence((1, 1, 1), (0, 0, 0));
        assert_eq!(choose(&[lone]), Choice::Nothing);
        assert_eq!(choose(&[Evidence { best_score: 2.5, ..lone }]), Choice::Best(0));
    }

    #[test]
    fn an_axis_without_texture_leaves_an_unknown_overlap_unknown() {
        let row = evidence((30, 12, 12), (25, 0, 0));
        assert!(row.is_sound());
        assert!(!Evidence { needs_both: true, ..row }.is_sound());
    }
}
