//! How high a match can be by chance: the threshold of one image set.
//!
//! Pairs of strips that are known not to overlap are searched exactly as real pairs are, and their best scores give the
//! distribution of chance.
//! A set with periodic structure matches itself everywhere, has high chance scores, and so gets a high threshold.

use serde::{Deserialize, Serialize};

use super::pair::MIN_SCORE;

/// As many chance pairs as are worth the time.
pub const CHANCE_PAIRS: usize = 64;
/// Fewer chance pairs than this say nothing about a tail; the default threshold stands.
const MIN_PAIRS: usize = 8;
/// How often a chance match may pass: one in a thousand.
const ALPHA: f64 = 0.001;
/// A threshold beyond this would refuse everything; clear matches score 15 to 60.
const MAX_THRESHOLD: f64 = 14.0;

/// The distribution of chance scores.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Null {
    /// Chance pairs with texture that were scored.
    pub pairs: usize,
    /// The least score that is believed.
    pub threshold: f64,
}

impl Null {
    /// What holds before anything was measured.
    pub const DEFAULT: Self = Self { pairs: 0, threshold: MIN_SCORE };

    /// The threshold from chance scores, in any order.
    ///
    /// The best of many lags follows an extreme-value (Gumbel) distribution, fitted here by median and quartiles, so that a
    /// chance pair that does overlap after all does not move it.
    pub fn from_scores(scores: &[f64]) -> Self {
        let mut sorted: Vec<f64> = scores.iter().copied().filter(|s| s.is_finite()).collect();
        sorted.sort_by(f64::total_cmp);
        if sorted.len() < MIN_PAIRS {
            return Self { pairs: sorted.len(), ..Self::DEFAULT };
        }
        let quantile = |share: f64| {
            let place = share * (sorted.len() - 1) as f64;
            let (low, high) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
            low + (high - low) * place.fract()
        };
        let gumbel = |share: f64| -(-share.ln()).ln();
        let scale = (quantile(0.75) - quantile(0.25)) / (gumbel(0.75) - gumbel(0.25));
        let mode = quantile(0.5) - scale * gumbel(0.5);
        let threshold = mode + scale * gumbel(1.0 - ALPHA);
        Self { pairs: sorted.len(), threshold: threshold.clamp(MIN_SCORE, MAX_THRESHOLD) }
    }
}

/// Pairs of fields that cannot overlap, spread evenly over the set: for each pair of real neighbours, the first one's
/// field and a field far from it, which takes the second one's part.
///
/// `neighbours` are the real pairs, sorted; `far` tells whether two fields cannot overlap.
/// Each item is the index of the real pair and the field that stands in for its second one.
pub fn chance_pairs(
    neighbours: &[(usize, usize)],
    fields: usize,
    mut far: impl FnMut(usize, usize) -> bool,
) -> Vec<(usize, usize)> {
    let mut pairs = Vec::new();
    if neighbours.is_empty() || fields < 3 {
        return pairs;
    }
    // A stride that shares no factor with the count visits every field before it repeats one.
    let stride = (fields / 2 + 1..).find(|&s| gcd(s, fields) == 1).unwrap_or(1);
    let step = neighbours.len().div_ceil(CHANCE_PAIRS).max(1);
    let mut next = 0;
    for (edge, &(a, b)) in neighbours.iter().enumerate().step_by(step) {
        for _ in 0..fields {
            next = (next + stride) % fields;
            if next != a && next != b && far(a, next) {
                pairs.push((edge, next));
                break;
            }
        }
    }
    pairs
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_threshold_lies_above_chance_and_ignores_a_pair_that_does_overlap() {
        // Quantiles of a Gumbel distribution with mode 4 and scale 0.5.
        let mut scores: Vec<f64> = (0..100).map(|k| 4.0 - 0.5 * (-((f64::from(k) + 0.5) / 100.0).ln()).ln()).collect();
        let clean = Null::from_scores(&scores);
        assert!((clean.threshold - 7.45).abs() < 0.3, "{clean:?}");
        scores[7] = 50.0;
        assert!((Null::from_scores(&scores).threshold - clean.threshold).abs() < 0.2);
    }

    #[test]
    fn too_few_chance_pairs_leave_the_default() {
        assert_eq!(Null::from_scores(&[30.0; 5]).threshold, MIN_SCORE);
    }

    #[test]
    fn chance_pairs_never_pair_neighbours() {
        let neighbours: Vec<_> = (0..9).map(|i| (i, i + 1)).collect();
        let pairs = chance_pairs(&neighbours, 10, |a, b| a.abs_diff(b) > 1);
        assert_eq!(pairs.len(), 9);
        assert!(pairs.iter().all(|&(e, f)| f.abs_diff(neighbours[e].0) > 1 && f != neighbours[e].1));
    }
}
