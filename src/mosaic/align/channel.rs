//! Which channel to go by: the one with the best texture, a stain of nuclei where there is one.

use super::strips::FieldReader;
use super::team::Team;
use crate::error::Result;
use crate::geom::PixelRect;
use crate::image_set::FieldSet;
use crate::pyramid::Pyramid;
use crate::stitch::filter::{LogKernel, Reduced};
use crate::stitch::strip::Strip;

/// How many fields are looked at.
const SAMPLE_FIELDS: usize = 9;
/// The side of the square in the middle of a field that is looked at, in pixels.
const SAMPLE_SIDE_PX: u32 = 1024;
/// The filter is that of the coarse search.
const REDUCTION: usize = 4;
const SIGMA_PX: f64 = 1.0;
/// Energy beyond this many times the noise does not make a channel better.
const ENOUGH_ENERGY: f32 = 50.0;
/// A stain of nuclei is taken if it has this share of the best channel's texture: it is everywhere, and never bleached
/// between rounds.
const NUCLEI_SHARE: f64 = 0.25;
/// What channels with nuclei are called.
const NUCLEI: [&str; 7] = ["dapi", "hoechst", "nuclei", "nuclear", "draq5", "dna", "sytox"];

/// The best of a round's channels; one that a name tells apart needs no look.
pub fn best(set: &FieldSet, round: u16, pyramid: &Pyramid, (z, t): (u16, u16), team: &Team<'_>) -> Result<u16> {
    let channels: Vec<u16> =
        (0..set.channels.len() as u16).filter(|&c| set.channels[usize::from(c)].round == round).collect();
    let Some(&first) = channels.first() else { return Ok(0) };
    if channels.len() == 1 {
        return Ok(first);
    }
    let fields = set.fields.len();
    let sample: Vec<usize> =
        (0..fields.min(SAMPLE_FIELDS)).map(|k| (2 * k + 1) * fields / (2 * fields.min(SAMPLE_FIELDS))).collect();
    let work: Vec<(u16, usize)> = channels.iter().flat_map(|&c| sample.iter().map(move |&f| (c, f))).collect();
    let textures = team.run(work.len(), |_, k| {
        let (channel, field) = work[k];
        texture(&FieldReader::new(pyramid, team.cancel(), channel, z, t), field)
    })?;
    let mean = |channel: u16| -> f64 {
        work.iter().zip(&textures).filter(|(w, _)| w.0 == channel).map(|(_, t)| t).sum::<f64>() / sample.len() as f64
    };
    let most = channels.iter().map(|&c| mean(c)).fold(0.0, f64::max);
    let is_nuclei = |c: u16| {
        let name = set.channels[usize::from(c)].name.to_lowercase();
        NUCLEI.iter().any(|n| name.contains(n))
    };
    let nuclei = channels.iter().copied().find(|&c| is_nuclei(c) && mean(c) >= NUCLEI_SHARE * most);
    Ok(nuclei.or_else(|| channels.iter().copied().find(|&c| mean(c) >= most)).unwrap_or(first))
}

/// How much there is to see in the middle of a field; zero where it cannot be read.
fn texture(reader: &FieldReader<'_>, field: usize) -> Result<f64> {
    let Some(image) = reader.image(field) else { return Ok(0.0) };
    let side = |length: u32| length.min(SAMPLE_SIDE_PX);
    let (width, height) = (side(image.size.width), side(image.size.height));
    if (width.min(height) as usize) < REDUCTION {
        return Ok(0.0);
    }
    let rect = PixelRect::new((image.size.width - width) / 2, (image.size.height - height) / 2, width, height);
    let mut samples = Vec::new();
    if !reader.read(field, 0, rect, &mut samples)? {
        return Ok(0.0);
    }
    let Some(strip) = Strip::new(rect, &samples) else { return Ok(0.0) };
    let mut reduced = Reduced::default();
    reduced.prepare(&strip, REDUCTION, &LogKernel::new(SIGMA_PX));
    let energies = reduced.energy.values();
    let sum: f32 = energies.iter().map(|e| (e - 1.0).clamp(0.0, ENOUGH_ENERGY)).sum();
    Ok(f64::from(sum) / energies.len().max(1) as f64)
}
