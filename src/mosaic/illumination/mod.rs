//! Even illumination: what the optics and the camera add to every field, and how it is taken away.
//!
//! A microscope sees `stored = flat * light + dark`: the field is darker towards its corners (`flat`, a shape without a
//! unit, 1 on average), and the camera adds a level of its own (`dark`).
//! Evening out is `(stored - dark) / flat + dark`: light is multiplied, the camera's level stays where it is.
//! A part without light keeps its value, so a contrast window that suits the stored samples suits the corrected ones, and
//! the mean of an evenly lit field does not change.
//!
//! Corrected values are for showing, and for exports that ask for them; the fields in the store are never touched.

mod estimate;
mod fit;
mod import;
mod overlap;
mod reduced;
#[cfg(test)]
mod scene;
mod told;

pub use estimate::{ChannelLight, LightEstimate, LightProgress, LightVerdict, MAX_OVERLAPS, estimate};
pub use import::{MAX_PROFILE_PX, import_profiles};
pub use overlap::{FieldOverlap, accepted_overlaps, overlaps_of_places, seam_steps};
pub use reduced::{PyramidFields, REDUCED_CELLS, Reduced, ReducedFields};
pub use told::LightTold;

use crate::geom::Size;
use std::sync::Arc;

/// Cells along each side of a profile: light changes slowly over a field, and 64 KiB a profile stay in the cache.
pub const PROFILE_CELLS: usize = 128;

/// The least share of the mean light that is divided by: a corner darker than that holds more noise than tissue.
pub const LEAST_FLAT: f32 = 0.05;

/// What is known of the light of one channel: a value for each cell of a grid of [`PROFILE_CELLS`] a side that is spread
/// over the field, whatever the field's size.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    flat: Box<[f32]>,
    dark: Box<[f32]>,
    /// What a stored sample is multiplied by: 1 / flat.
    gain: Box<[f32]>,
    /// What is added then: dark - dark / flat.
    offset: Box<[f32]>,
}

impl Profile {
    /// A profile from its cells, row by row: `flat` in any unit, for it is divided by its mean; `dark` in stored samples.
    ///
    /// `None` where there are not [`PROFILE_CELLS`] squared of each, one is no number, or there is no light at all.
    pub fn new(mut flat: Vec<f32>, dark: Vec<f32>) -> Option<Self> {
        let cells = PROFILE_CELLS * PROFILE_CELLS;
        let finite = |values: &[f32]| values.len() == cells && values.iter().all(|v| v.is_finite());
        if !finite(&flat) || !finite(&dark) {
            return None;
        }
        let mean = flat.iter().map(|&v| f64::from(v)).sum::<f64>() / cells as f64;
        if mean <= 0.0 {
            return None;
        }
        flat.iter_mut().for_each(|v| *v = ((f64::from(*v) / mean) as f32).max(LEAST_FLAT));
        let gain: Box<[f32]> = flat.iter().map(|v| 1.0 / v).collect();
        let offset = dark.iter().zip(&gain).map(|(dark, gain)| dark - dark * gain).collect();
        Some(Self { flat: flat.into(), dark: dark.into(), gain, offset })
    }

    /// The light's shape, 1 on average, cell by cell, row by row.
    pub fn flat(&self) -> &[f32] {
        &self.flat
    }

    /// The camera's level in stored samples, cell by cell, row by row.
    pub fn dark(&self) -> &[f32] {
        &self.dark
    }
}

/// The profiles of a mosaic, channel by channel. Channels of different rounds are different channels.
///
/// Frozen; fusing shares it between threads.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Illumination {
    channels: Vec<Option<Arc<Profile>>>,
}

impl Illumination {
    /// Profiles by channel; a channel with none is left as it is.
    pub fn new(channels: Vec<Option<Arc<Profile>>>) -> Self {
        Self { channels }
    }

    /// The profile of a channel.
    pub fn profile(&self, channel: u16) -> Option<&Arc<Profile>> {
        self.channels.get(usize::from(channel))?.as_ref()
    }

    /// Evens out a row of stored samples of a field of `field` pixels.
    ///
    /// `x` and `y` are the place of the first sample's centre in pixels of the field's level 0, where pixel 0 has its
    /// centre at 0.5; `step` is the distance to the next sample's, in the same pixels (2^n on level n), positive.
    /// Between cells the profile is linear, and level beyond the outermost ones.
    pub fn correct(&self, channel: u16, field: Size, x: f64, y: f64, step: f64, samples: &mut [f32]) {
        let Some(profile) = self.profile(channel) else { return };
        if field.is_empty() {
            return;
        }
        let cells = PROFILE_CELLS as f64;
        let mut gain = [0.0; PROFILE_CELLS];
        let mut offset = [0.0; PROFILE_CELLS];
        let v = y * cells / f64::from(field.height) - 0.5;
        row_between(&profile.gain, v, &mut gain);
        row_between(&profile.offset, v, &mut offset);
        // Cell centres lie at 0, 1, 2... of u. Between two of them gain and offset are straight lines, so the row is
        // done in runs without a look-up in their inner loop.
        let du = step * cells / f64::from(field.width);
        let u = x * cells / f64::from(field.width) - 0.5;
        let mut start = 0;
        while start < samples.len() {
            let here = u + du * start as f64;
            let cell = here.floor().clamp(-1.0, cells - 1.0);
            let end = if cell >= cells - 1.0 || du <= 0.0 {
                samples.len()
            } else {
                // At least one: a sample that stands on the border by rounding belongs to this run.
                (((cell + 1.0 - u) / du).ceil() as usize).clamp(start + 1, samples.len())
            };
            let (left, right) = (cell.max(0.0) as usize, (cell + 1.0).min(cells - 1.0) as usize);
            let (from, along) = ((here - cell) as f32, du as f32);
            let (gain_here, gain_rise) = (gain[left], gain[right] - gain[left]);
            let (offset_here, offset_rise) = (offset[left], offset[right] - offset[left]);
            for (i, sample) in samples[start..end].iter_mut().enumerate() {
                let t = from + along * i as f32;
                *sample = *sample * (gain_here + gain_rise * t) + (offset_here + offset_rise * t);
            }
            start = end;
        }
    }
}

/// The row of a grid at `v`, where row n has its centre at n.
fn row_between(grid: &[f32], v: f64, row: &mut [f32; PROFILE_CELLS]) {
    let v = v.clamp(0.0, (PROFILE_CELLS - 1) as f64);
    let above = (v as usize).min(PROFILE_CELLS - 2);
    let t = (v - above as f64) as f32;
    let (top, bottom) = grid[above * PROFILE_CELLS..][..2 * PROFILE_CELLS].split_at(PROFILE_CELLS);
    for ((out, a), b) in row.iter_mut().zip(top).zip(bottom) {
        *out = a + (b - a) * t;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mosaic::fixtures::{KnownFields, geometry, noise};
    use crate::mosaic::{Blend, Fuser, MOSAIC, Placement};
    use crate::pixels::TileFormat;
    use crate::pyramid::{Cancel, PlaneId};

    /// A profile that slopes and bends, with a dark level that slopes too.
    fn sloping() -> (Illumination, Arc<Profile>) {
        let place = |i: usize| ((i % PROFILE_CELLS) as f32 / 128.0, (i / PROFILE_CELLS) as f32 / 128.0);
        let cells = PROFILE_CELLS * PROFILE_CELLS;
        let flat = (0..cells).map(place).map(|(x, y)| 2.0 - x * x + 0.3 * y).collect();
        let dark = (0..cells).map(place).map(|(x, y)| 90.0 + 10.0 * x - 5.0 * y).collect();
        let profile = Arc::new(Profile::new(flat, dark).expect("a profile"));
        (Illumination::new(vec![None, Some(profile.clone())]), profile)
    }

    /// The rule, one sample at a time.
    fn reference(profile: &Profile, field: Size, x: f64, y: f64, sample: f32) -> f32 {
        let side = PROFILE_CELLS as f64;
        let at = |place: f64, size: u32| (place * side / f64::from(size) - 0.5).clamp(0.0, side - 1.0);
        let (u, v) = (at(x, field.width), at(y, field.height));
        let (i, j) = ((u as usize).min(PROFILE_CELLS - 2), (v as usize).min(PROFILE_CELLS - 2));
        let (s, t) = (u - i as f64, v - j as f64);
        let mix = |grid: &dyn Fn(usize) -> f64| {
            let n = j * PROFILE_CELLS + i;
            (grid(n) * (1.0 - s) + grid(n + 1) * s) * (1.0 - t)
                + (grid(n + PROFILE_CELLS) * (1.0 - s) + grid(n + PROFILE_CELLS + 1) * s) * t
        };
        let gain = mix(&|n| 1.0 / f64::from(profile.flat[n]));
        let offset = mix(&|n| f64::from(profile.dark[n]) * (1.0 - 1.0 / f64::from(profile.flat[n])));
        (f64::from(sample) * gain + offset) as f32
    }

    #[test]
    fn a_row_is_corrected_as_sample_by_sample_on_every_level_and_place() {
        let (light, profile) = sloping();
        for field in [Size::new(2048, 2048), Size::new(1000, 600), Size::new(100, 90)] {
            for step in [1.0, 2.0, 16.0, 0.5, 37.5] {
                for (x, y) in [(0.5, 0.5), (3.25, 80.0), (-20.0, -3.0), (63.9, 5000.0)] {
                    let stored: Vec<f32> = (0..700).map(|i| (i * 37 % 4000) as f32).collect();
                    let mut samples = stored.clone();
                    light.correct(1, field, x, y, step, &mut samples);
                    for (i, (&got, &stored)) in samples.iter().zip(&stored).enumerate() {
                        let want = reference(&profile, field, x + step * i as f64, y, stored);
                        assert!((got - want).abs() < 0.02, "{field:?} step {step} at {x},{y}: {i}: {got} not {want}");
                    }
                }
            }
        }
    }

    #[test]
    fn light_is_multiplied_and_the_dark_level_stays() {
        let (light, profile) = sloping();
        let field = Size::new(128, 128);
        for y in [0_usize, 64, 127] {
            let row = y * PROFILE_CELLS..(y + 1) * PROFILE_CELLS;
            let mut dark = profile.dark[row.clone()].to_vec();
            light.correct(1, field, 0.5, y as f64 + 0.5, 1.0, &mut dark);
            assert!(dark.iter().zip(&profile.dark[row.clone()]).all(|(a, b)| (a - b).abs() < 1e-3));
            let mut lit: Vec<f32> =
                profile.dark[row.clone()].iter().zip(&profile.flat[row.clone()]).map(|(d, f)| d + f * 500.0).collect();
            light.correct(1, field, 0.5, y as f64 + 0.5, 1.0, &mut lit);
            assert!(lit.iter().zip(&profile.dark[row]).all(|(a, b)| (a - b - 500.0).abs() < 1e-2));
        }
    }

    #[test]
    fn a_channel_without_a_profile_is_left_as_it_is() {
        let (light, _) = sloping();
        for channel in [0, 2] {
            let mut samples = vec![1.0, 2.0, 3.0];
            light.correct(channel, Size::new(10, 10), 0.5, 0.5, 1.0, &mut samples);
            assert_eq!(samples, [1.0, 2.0, 3.0]);
        }
    }

    #[test]
    fn a_profile_without_light_or_with_a_hole_is_none() {
        let cells = PROFILE_CELLS * PROFILE_CELLS;
        assert_eq!(Profile::new(vec![0.0; cells], vec![0.0; cells]), None);
        assert_eq!(Profile::new(vec![f32::NAN; cells], vec![0.0; cells]), None);
        assert_eq!(Profile::new(vec![1.0; cells - 1], vec![0.0; cells]), None);
        let mut flat = vec![1.0; cells];
        flat[0] = 0.0;
        let profile = Profile::new(flat, vec![0.0; cells]).expect("a profile");
        assert_eq!(profile.flat()[0], LEAST_FLAT);
    }

    /// What a field stores of a scene, and the same evened out by [`switch_profile`].
    fn stored(field: u32, x: u32, y: u32, _: usize) -> u16 {
        1000 + noise(field, x, y, 0) / 4
    }

    fn evened(field: u32, x: u32, y: u32, c: usize) -> u16 {
        let mut samples = [f32::from(stored(field, x, y, c))];
        let at = |pixel: u32| f64::from(pixel) + 0.5;
        switch_profile().correct(0, Size::new(256, 256), at(x), at(y), 1.0, &mut samples);
        samples[0].round() as u16
    }

    fn switch_profile() -> Illumination {
        let cells = PROFILE_CELLS * PROFILE_CELLS;
        let flat = (0..cells).map(|n| 1.2 - (n % PROFILE_CELLS) as f32 / 320.0).collect();
        Illumination::new(vec![Some(Arc::new(Profile::new(flat, vec![100.0; cells]).expect("a profile")))])
    }

    #[test]
    fn the_switch_evens_the_fields_and_leaves_the_feather_alone() {
        let sizes = [Size::new(256, 256); 2];
        let geometry = geometry(&[(0.0, 0.0), (200.0, 3.0)], &sizes, Blend::Feather, Placement::Whole);
        let (area, geometry) = (geometry.size.rect(), Arc::new(geometry));
        let root = tempfile::tempdir().expect("a folder");
        let band = |sample, light: Option<Illumination>, folder: &str| {
            let pyramid = KnownFields::new(&sizes, TileFormat::Gray16, sample).into_pyramid(&root.path().join(folder));
            let fuser = Fuser::new(&pyramid, geometry.clone(), light.map(Arc::new));
            fuser.band(PlaneId { field: MOSAIC, ..PlaneId::default() }, area, &Cancel::default()).expect("a band")
        };
        let (switched, by_hand) = (band(stored, Some(switch_profile()), "a"), band(evened, None, "b"));
        assert_eq!(switched.covered, by_hand.covered);
        let samples =
            |bytes: &[u8]| -> Vec<u16> { bytes.as_chunks::<2>().0.iter().map(|&b| u16::from_ne_bytes(b)).collect() };
        // Rounded once after the blend, and twice by hand.
        let (switched, by_hand) = (samples(&switched.bytes), samples(&by_hand.bytes));
        assert!(switched.iter().zip(&by_hand).all(|(a, b)| a.abs_diff(*b) <= 1));
        assert!(switched.iter().zip(&samples(&band(stored, None, "c").bytes)).any(|(a, b)| a.abs_diff(*b) > 100));
    }
}
