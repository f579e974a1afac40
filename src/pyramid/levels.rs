//! Which levels an image has: the file's own, and the halved ones between and after them.

use super::{LevelInfo, LevelOrigin};
use crate::geom::Size;

/// Native levels further apart than this get halved ones between them.
pub const MAX_DERIVED_STEP: f64 = 2.5;

/// The levels of an image from the sizes of its native ones (finest first, the first being level 0).
///
/// Halved levels are put between native ones that lie more than [`MAX_DERIVED_STEP`] apart, and after the coarsest one
/// until the picture fits one tile of `tile_side`.
pub fn level_plan(native: &[Size], tile_side: u32) -> Vec<LevelInfo> {
    let Some(&base) = native.first() else { return Vec::new() };
    let mut levels: Vec<LevelInfo> = Vec::new();
    for (index, &size) in native.iter().enumerate() {
        levels.push(LevelInfo {
            size,
            downsample: [
                f64::from(base.width) / f64::from(size.width.max(1)),
                f64::from(base.height) / f64::from(size.height.max(1)),
            ],
            origin: LevelOrigin::Native(index as u32),
        });
        let next = native.get(index + 1).copied();
        loop {
            let last = levels[levels.len() - 1];
            let more = match next {
                Some(next) => {
                    let step = (f64::from(last.size.width) / f64::from(next.width.max(1)))
                        .min(f64::from(last.size.height) / f64::from(next.height.max(1)));
                    step > MAX_DERIVED_STEP
                }
                None => last.size.width > tile_side || last.size.height > tile_side,
            };
            if !more {
                break;
            }
            levels.push(LevelInfo {
                size: last.size.halved(),
                downsample: last.downsample.map(|d| d * 2.0),
                origin: LevelOrigin::Derived,
            });
        }
    }
    levels
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(native: &[(u32, u32)], side: u32) -> Vec<(u32, u32, bool)> {
        let native: Vec<Size> = native.iter().map(|&(w, h)| Size::new(w, h)).collect();
        level_plan(&native, side)
            .iter()
            .map(|l| (l.size.width, l.size.height, matches!(l.origin, LevelOrigin::Native(_))))
            .collect()
    }

    #[test]
    fn a_flat_image_is_halved_until_it_fits_one_tile() {
        assert_eq!(
            sizes(&[(1025, 300)], 256),
            [(1025, 300, true), (513, 150, false), (257, 75, false), (129, 38, false)]
        );
        assert_eq!(sizes(&[(1, 1)], 256), [(1, 1, true)]);
    }

    #[test]
    fn native_levels_four_apart_get_one_halved_level_between() {
        assert_eq!(
            sizes(&[(4000, 4000), (1000, 1000), (250, 250)], 256),
            [(4000, 4000, true), (2000, 2000, false), (1000, 1000, true), (500, 500, false), (250, 250, true)]
        );
    }
}
