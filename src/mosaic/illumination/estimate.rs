//! The light of every channel, estimated from the overlaps of an alignment, and kept only where it helps.

use super::fit::{self, Fit};
use super::overlap::{self, FieldOverlap, Sample};
use super::reduced::{Reduced, ReducedFields};
use super::{Illumination, PROFILE_CELLS, Profile};
use crate::error::Result;
use crate::geom::Point;
use rayon::prelude::*;
use serde::Serialize;
use std::sync::Arc;

/// Overlaps looked at in a channel, of however many there are: with their samples 10 MiB at most, and 1 500 reduced
/// fields read.
pub const MAX_OVERLAPS: usize = 768;

/// Fewer overlaps than this are no basis: with four, each fold of the test has two.
const LEAST_OVERLAPS: usize = 4;

/// Overlaps read between two looks at whether to go on.
const OVERLAPS_A_STEP: usize = 32;

/// Kept: overlaps that were not fitted must disagree less by this share.
const LEAST_GAIN: f64 = 0.03;

/// A flat that nowhere departs from 1 by more than this is no unevenness that can be seen.
const LEAST_UNEVENNESS: f32 = 0.005;

/// Called between steps with how many of how many are done; an error stops the estimate.
pub type LightProgress<'a> = &'a (dyn Fn(u64, u64) -> Result<()> + Sync);

/// What became of one channel.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LightVerdict {
    /// There is a profile.
    Kept,
    /// There is none, and why, in words.
    NotKept(String),
}

/// The light of one channel.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ChannelLight {
    /// The channel.
    pub channel: u16,
    /// Whether it is evened out.
    pub verdict: LightVerdict,
    /// Overlaps that were looked at.
    pub overlaps: usize,
    /// The camera's level in stored samples; `None` where no profile is kept, or where the overlaps do not tell
    /// and 0 is taken.
    pub dark: Option<f64>,
    /// How much two fields disagree about the same tissue, the median of |ln(a / b)|: as stored, and evened out by a
    /// profile that did not see those overlaps.
    pub disagreement: Option<[f64; 2]>,
    /// The mean step across accepted seams as a share of the light there: as stored, and evened out.
    pub seam_step: Option<[f64; 2]>,
}

/// The light of all channels.
#[derive(Debug, Clone, PartialEq)]
pub struct LightEstimate {
    /// The profiles that were kept.
    pub illumination: Illumination,
    /// What was found, by channel.
    pub channels: Vec<ChannelLight>,
}

impl LightEstimate {
    /// What is found where there is nothing to look at, and why, in words.
    pub fn nothing(channels: u16, why: &str) -> Self {
        let light =
            |channel| ChannelLight { verdict: LightVerdict::NotKept(why.to_owned()), ..ChannelLight::of(channel) };
        Self { illumination: Illumination::default(), channels: (0..channels).map(light).collect() }
    }
}

impl ChannelLight {
    /// A channel that was not looked at yet.
    fn of(channel: u16) -> Self {
        let verdict = LightVerdict::NotKept(String::new());
        Self { channel, verdict, overlaps: 0, dark: None, disagreement: None, seam_step: None }
    }
}

/// Estimates the light of channels 0 up to `channels` from accepted overlaps.
///
/// The result depends on the fields and the overlaps alone, not on the pool's number of threads.
/// Fields that cannot be read are left out.
pub fn estimate(
    fields: &dyn ReducedFields,
    overlaps: &[FieldOverlap],
    channels: u16,
    pool: &rayon::ThreadPool,
    progress: LightProgress<'_>,
) -> Result<LightEstimate> {
    let chosen = chosen(overlaps);
    // Every overlap is read once for the fit and once for the seams; a fit counts as one more step.
    let steps = Steps { progress, done: 0, total: u64::from(channels) * (2 * chosen.len() as u64 + 1) };
    pool.install(|| {
        let mut steps = steps;
        let mut profiles = Vec::new();
        let mut found = Vec::new();
        for channel in 0..channels {
            let (light, profile) = channel_light(fields, &chosen, channel, &mut steps)?;
            found.push(light);
            profiles.push(profile);
        }
        Ok(LightEstimate { illumination: Illumination::new(profiles), channels: found })
    })
}

/// At most [`MAX_OVERLAPS`] of all, scattered over the mosaic and the same every time.
fn chosen(overlaps: &[FieldOverlap]) -> Vec<FieldOverlap> {
    let mut order: Vec<(u64, FieldOverlap)> = overlaps
        .iter()
        .map(|&o| {
            let pair = u64::from(o.a) << 32 | u64::from(o.b);
            (xxhash_rust::xxh3::xxh3_64(&pair.to_le_bytes()), o)
        })
        .collect();
    order.sort_by_key(|&(hash, o)| (hash, o.a, o.b));
    order.into_iter().take(MAX_OVERLAPS).map(|(_, o)| o).collect()
}

struct Steps<'a> {
    progress: LightProgress<'a>,
    done: u64,
    total: u64,
}

impl Steps<'_> {
    fn advance(&mut self, steps: usize) -> Result<()> {
        self.done += steps as u64;
        (self.progress)(self.done.min(self.total), self.total)
    }

    fn check(&self) -> Result<()> {
        (self.progress)(self.done.min(self.total), self.total)
    }
}

fn channel_light(
    fields: &dyn ReducedFields,
    overlaps: &[FieldOverlap],
    channel: u16,
    steps: &mut Steps<'_>,
) -> Result<(ChannelLight, Option<Arc<Profile>>)> {
    let mut light = ChannelLight::of(channel);
    let read = over_pairs(fields, overlaps, channel, steps, &overlap::samples_of)?;
    let samples: Vec<Vec<Sample>> = read.into_iter().flatten().filter(|samples| !samples.is_empty()).collect();
    light.overlaps = samples.len();
    let kept = match fitted(&samples, &mut light.disagreement, steps)? {
        Ok((fit, profile)) => {
            light.seam_step = seam_step(fields, overlaps, channel, &profile, fit.dark as f32, steps)?;
            let refusal = refusal(&light, &profile);
            light.dark = (fit.dark_known && refusal.is_none()).then_some(fit.dark);
            refusal.map_or(Ok(profile), Err)
        }
        Err(words) => Err(words),
    };
    steps.advance(1)?;
    Ok(match kept {
        Ok(profile) => (ChannelLight { verdict: LightVerdict::Kept, ..light }, Some(profile)),
        Err(words) => (ChannelLight { verdict: LightVerdict::NotKept(words), ..light }, None),
    })
}

/// Why a profile is not kept; `None` where it is.
fn refusal(light: &ChannelLight, profile: &Profile) -> Option<String> {
    if profile.flat().iter().all(|flat| (flat - 1.0).abs() < LEAST_UNEVENNESS) {
        return Some("the light is even already".into());
    }
    let better = |[before, after]: [f64; 2]| after < before * (1.0 - LEAST_GAIN);
    match (light.disagreement, light.seam_step) {
        (Some(disagreement), Some(step)) if better(disagreement) && better(step) => None,
        _ => Some("evening out would not make the overlaps agree better".into()),
    }
}

/// Reads the overlaps' fields and says what `of` makes of each, in their order; `None` where a field is missing.
fn over_pairs<T: Send>(
    fields: &dyn ReducedFields,
    overlaps: &[FieldOverlap],
    channel: u16,
    steps: &mut Steps<'_>,
    of: &(dyn Fn(&Reduced, &Reduced, Point) -> T + Sync),
) -> Result<Vec<Option<T>>> {
    let mut all = Vec::with_capacity(overlaps.len());
    for some in overlaps.chunks(OVERLAPS_A_STEP) {
        let found: Vec<Option<T>> = some
            .par_iter()
            .map(|o| {
                let both = fields.reduced(o.a, channel)?.zip(fields.reduced(o.b, channel)?);
                Ok(both.map(|(a, b)| of(&a, &b, o.shift)))
            })
            .collect::<Result<_>>()?;
        all.extend(found);
        steps.advance(some.len())?;
    }
    Ok(all)
}

/// The fit to all overlaps, and into `disagreement` how it would do on ones that it has not seen: every half of the
/// overlaps is judged by a fit to the other half. Words where there is no fit.
fn fitted(
    samples: &[Vec<Sample>],
    disagreement: &mut Option<[f64; 2]>,
    steps: &Steps<'_>,
) -> Result<std::result::Result<(Fit, Arc<Profile>), String>> {
    if samples.len() < LEAST_OVERLAPS {
        let few = match samples.len() {
            1 => "1 overlap is".to_owned(),
            n => format!("{n} overlaps are"),
        };
        return Ok(Err(format!("{few} too few to tell the light from the tissue")));
    }
    let half = |which: usize| -> Vec<&Sample> { samples.iter().skip(which).step_by(2).flatten().collect() };
    let between = || steps.check();
    let mut judged = [Vec::new(), Vec::new()];
    for which in 0..2 {
        let Some(fit) = fit::fit(&half(1 - which), &between)? else { continue };
        for sample in half(which) {
            let [before, after] = fit.log_ratios(sample);
            if let (Some(before), Some(after)) = (before, after) {
                judged[0].push(before.abs());
                judged[1].push(after.abs());
            }
        }
    }
    if !judged[0].is_empty() {
        *disagreement = Some(judged.map(|mut ratios| fit::centile(&mut ratios, 0.5)));
    }
    let all: Vec<&Sample> = samples.iter().flatten().collect();
    let fit = fit::fit(&all, &between)?;
    let fit = fit.and_then(|fit| profile_of(&fit).map(|profile| (fit, Arc::new(profile))));
    Ok(fit.ok_or_else(|| "the overlaps are too small or too dark".to_owned()))
}

/// The profile of a fit, cell by cell.
fn profile_of(fit: &Fit) -> Option<Profile> {
    let place = |cell: usize| (cell as f64 + 0.5) / PROFILE_CELLS as f64 * 2.0 - 1.0;
    let cells = PROFILE_CELLS * PROFILE_CELLS;
    let flat = (0..cells).map(|n| fit.flat(place(n % PROFILE_CELLS), place(n / PROFILE_CELLS)) as f32).collect();
    Profile::new(flat, vec![fit.dark as f32; cells])
}

/// The mean step across seams, as stored and evened out; `None` where no seam has light.
fn seam_step(
    fields: &dyn ReducedFields,
    overlaps: &[FieldOverlap],
    channel: u16,
    profile: &Arc<Profile>,
    dark: f32,
    steps: &mut Steps<'_>,
) -> Result<Option<[f64; 2]>> {
    let light = Illumination::new((0..=channel).map(|c| (c == channel).then(|| profile.clone())).collect());
    let pieces = over_pairs(fields, overlaps, channel, steps, &|a, b, shift| {
        let evened = [a, b].map(|plane| plane.evened(&light, channel));
        [overlap::seam_steps(a, b, shift, dark), overlap::seam_steps(&evened[0], &evened[1], shift, dark)]
    })?;
    let mean = |which: usize| {
        let steps = pieces.iter().flatten().flat_map(|pieces| &pieces[which]);
        let (sum, count) = steps.fold((0.0, 0_u32), |(sum, count), &step| (sum + f64::from(step), count + 1));
        (count > 0).then(|| sum / f64::from(count))
    };
    Ok(mean(0).zip(mean(1)).map(|(before, after)| [before, after]))
}

#[cfg(test)]
mod tests {
    use super::super::scene::{Fields, Scene, vignette};
    use super::*;

    fn pool(threads: usize) -> rayon::ThreadPool {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool")
    }

    fn estimated(fields: &Fields, threads: usize) -> LightEstimate {
        estimate(fields, &fields.overlaps(), 1, &pool(threads), &|_, _| Ok(())).expect("not cancelled")
    }

    /// The errors of a kept flat: root mean square and the greatest.
    fn errors(found: &LightEstimate, truth: &dyn Fn(f64, f64) -> f64) -> (f64, f64) {
        let profile = found.illumination.profile(0).expect("a profile");
        let place = |cell: usize| (cell as f64 + 0.5) / PROFILE_CELLS as f64 * 2.0 - 1.0;
        let truth: Vec<f64> = (0..PROFILE_CELLS * PROFILE_CELLS)
            .map(|n| truth(place(n % PROFILE_CELLS), place(n / PROFILE_CELLS)))
            .collect();
        let mean = truth.iter().sum::<f64>() / truth.len() as f64;
        let errors = || truth.iter().zip(profile.flat()).map(|(t, &f)| f64::from(f) * mean / t - 1.0);
        let rms = (errors().map(|e| e * e).sum::<f64>() / truth.len() as f64).sqrt();
        (rms, errors().fold(0.0, |worst, e| worst.max(e.abs())))
    }

    #[test]
    fn the_light_of_36_fields_is_found_within_two_percent_and_four_at_worst() {
        for seed in 1..=3 {
            let found = estimated(&Scene { seed, ..Scene::default() }.fields(6, 6), 2);
            let light = &found.channels[0];
            assert_eq!(light.verdict, LightVerdict::Kept);
            let (rms, worst) = errors(&found, &vignette);
            assert!(rms < 0.02 && worst < 0.04, "seed {seed}: {rms} {worst}");
            assert!((light.dark.expect("known") - 100.0).abs() < 2.0, "seed {seed}: {:?}", light.dark);
            let [before, after] = light.seam_step.expect("seams");
            assert!(before > 0.03 && after < 0.01, "seed {seed}: step {before} {after}");
        }
    }

    #[test]
    fn an_even_light_is_left_as_it_is() {
        let found = estimated(&Scene { flat: |_, _| 1.0, ..Scene::default() }.fields(6, 6), 2);
        assert!(matches!(found.channels[0].verdict, LightVerdict::NotKept(_)), "{:?}", found.channels[0]);
        assert_eq!(found.illumination.profile(0), None);
    }

    #[test]
    fn the_same_light_is_found_by_any_number_of_threads() {
        let fields = Scene::default().fields(4, 4);
        let one = estimated(&fields, 1);
        assert_eq!(one.channels[0].verdict, LightVerdict::Kept);
        assert_eq!(one, estimated(&fields, 3));
    }

    #[test]
    fn a_field_that_cannot_be_read_is_left_out() {
        let mut fields = Scene::default().fields(5, 5);
        fields.planes[7] = None;
        let found = estimated(&fields, 2);
        assert_eq!(found.channels[0].verdict, LightVerdict::Kept);
        assert_eq!(found.channels[0].overlaps, fields.overlaps().len() - 4);
    }

    #[test]
    fn wrong_places_and_too_few_overlaps_give_no_light_and_say_so() {
        let fields = Scene::default().fields(4, 4);
        let apart: Vec<_> = fields.overlaps().iter().map(|o| FieldOverlap { shift: o.shift * 3.0, ..*o }).collect();
        for overlaps in [&apart[..], &fields.overlaps()[..3], &[]] {
            let found = estimate(&fields, overlaps, 1, &pool(1), &|_, _| Ok(())).expect("not cancelled");
            let LightVerdict::NotKept(words) = &found.channels[0].verdict else { panic!("kept") };
            assert!(words.contains("too few"), "{words}");
        }
    }

    #[test]
    fn a_channel_of_its_own_gets_a_light_of_its_own() {
        let fields = Scene { channels: 2, ..Scene::default() }.fields(4, 4);
        let found = estimate(&fields, &fields.overlaps(), 2, &pool(2), &|_, _| Ok(())).expect("not cancelled");
        assert!(found.channels.iter().all(|c| c.verdict == LightVerdict::Kept), "{:?}", found.channels);
        assert_ne!(found.illumination.profile(0), found.illumination.profile(1));
    }

    #[test]
    fn a_cancelled_estimate_stops() {
        let fields = Scene::default().fields(2, 3);
        let stop = |done, _| if done > 2 { Err(crate::error::Error::Cancelled) } else { Ok(()) };
        let result = estimate(&fields, &fields.overlaps(), 1, &pool(1), &stop);
        assert!(result.is_err_and(|e| e.is_cancelled()));
    }

    #[test]
    fn of_many_overlaps_a_bounded_number_is_looked_at_all_over_the_mosaic() {
        let shift = Point::new(1.0, 0.0);
        let many: Vec<_> = (0..20_000).map(|a| FieldOverlap { a, b: a + 1, shift }).collect();
        let chosen = chosen(&many);
        assert_eq!(chosen.len(), MAX_OVERLAPS);
        let first_half = chosen.iter().filter(|o| o.a < 10_000).count();
        assert!((300..470).contains(&first_half), "{first_half}");
        let even = chosen.iter().filter(|o| o.a % 2 == 0).count();
        assert!((300..470).contains(&even), "{even}");
    }
}
