//! Repeatable randomness over the plane: the same place and seed always give the same value.

/// A well-mixed number for a lattice point.
pub fn hash(x: i32, y: i32, seed: u32) -> u32 {
    let mut h =
        (x as u32).wrapping_mul(0x8da6_b343) ^ (y as u32).wrapping_mul(0xd816_3841) ^ seed.wrapping_mul(0xcb1a_b31f);
    h = (h ^ (h >> 16)).wrapping_mul(0x7feb_352d);
    h = (h ^ (h >> 15)).wrapping_mul(0x846c_a68b);
    h ^ (h >> 16)
}

/// From 0 up to 1, from a hash.
pub fn unit(h: u32) -> f32 {
    (h >> 8) as f32 * (1.0 / (1 << 24) as f32)
}

/// A random number from 0 up to 1 for a lattice point.
pub fn unit_at(x: i32, y: i32, seed: u32) -> f32 {
    unit(hash(x, y, seed))
}

/// No noise is farther from 0 than this: in the middle of a square all four corners can pull with 7.5.
pub const MOST_NOISE: f32 = 1.43;

/// Slopes that a corner of [`noise`] can have, as the low eight bits of its hash say: looked up, because noise is nearly
/// all that painting is.
static SLOPES: [[f32; 2]; 256] = {
    let mut slopes = [[0.0; 2]; 256];
    let mut n = 0;
    while n < 256 {
        slopes[n] = [(n & 15) as f32 - 7.5, (n >> 4) as f32 - 7.5];
        n += 1;
    }
    slopes
};

/// The whole number below, without the call that rounding is on processors of long ago.
fn below(v: f32) -> i32 {
    let whole = v as i32;
    whole - i32::from(v < whole as f32)
}

/// Smooth noise between about -1 and 1 with one feature a unit of length.
pub fn noise(x: f32, y: f32, seed: u32) -> f32 {
    let (ix, iy) = (below(x), below(y));
    let (dx, dy) = (x - ix as f32, y - iy as f32);
    let corner = |cx: i32, cy: i32| {
        let [gx, gy] = SLOPES[(hash(ix + cx, iy + cy, seed) & 255) as usize];
        gx * (dx - cx as f32) + gy * (dy - cy as f32)
    };
    let fade = |t: f32| t * t * t * (t * (t * 6.0 - 15.0) + 10.0);
    let (u, v) = (fade(dx), fade(dy));
    let above = lerp(corner(0, 0), corner(1, 0), u);
    let below = lerp(corner(0, 1), corner(1, 1), u);
    lerp(above, below, v) * 0.19
}

/// Noise with finer octaves on top, each half as strong.
pub fn cloud(x: f32, y: f32, seed: u32, octaves: u32) -> f32 {
    let (mut sum, mut scale, mut weight) = (0.0, 1.0, 1.0);
    for octave in 0..octaves {
        sum += weight * noise(x * scale, y * scale, seed + octave);
        scale *= 2.03;
        weight *= 0.5;
    }
    sum
}

/// How far a place is from the nearest of points scattered one to a unit square, how much farther the second nearest is,
/// and the nearest one's hash.
pub fn cells(x: f32, y: f32, seed: u32) -> (f32, f32, u32) {
    let (ix, iy) = (below(x), below(y));
    let (mut nearest, mut second, mut which) = (f32::MAX, f32::MAX, 0);
    for cy in iy - 1..=iy + 1 {
        for cx in ix - 1..=ix + 1 {
            let h = hash(cx, cy, seed);
            let px = cx as f32 + 0.06 + 0.88 * ((h & 0xffff) as f32 / 65536.0);
            let py = cy as f32 + 0.06 + 0.88 * ((h >> 16) as f32 / 65536.0);
            let d = (px - x) * (px - x) + (py - y) * (py - y);
            if d < nearest {
                (second, nearest, which) = (nearest, d, h);
            } else if d < second {
                second = d;
            }
        }
    }
    let first = nearest.sqrt();
    (first, second.sqrt() - first, which)
}

/// How long a vector is; for the lengths here the sum of squares is in range without the care that `hypot` takes.
pub fn length(x: f32, y: f32) -> f32 {
    (x * x + y * y).sqrt()
}

/// From `a` to `b` as `t` goes from 0 to 1.
pub fn lerp(a: f32, b: f32, t: f32) -> f32 {
    a + (b - a) * t
}

/// 0 up to `a`, 1 from `b`, smooth between; `b` may be less than `a`.
pub fn smoothstep(a: f32, b: f32, v: f32) -> f32 {
    let t = ((v - a) / (b - a)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// A hump of height 1 at 0 that falls to 0 at a distance of `width`.
pub fn hump(v: f32, width: f32) -> f32 {
    let t = 1.0 - (v / width) * (v / width);
    if t > 0.0 { t * t } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_stays_within_the_bound_that_is_told_of_it() {
        let at = |n: i32| unit_at(n, 1, 2) * 4000.0 - 2000.0;
        let most = (0..200_000).map(|n| noise(at(2 * n), at(2 * n + 1), 3).abs()).fold(0.0, f32::max);
        assert!((0.9..=MOST_NOISE).contains(&most), "{most}");
        // In the middle of a square all corners could pull as one.
        const { assert!(0.19 * 7.5 <= MOST_NOISE) };
    }

    #[test]
    fn the_whole_number_below_is_that_of_the_processor() {
        for v in [-3.5_f32, -3.0, -0.1, -0.0, 0.0, 0.9, 1.0, 17.2, 8388607.5] {
            assert_eq!(below(v), v.floor() as i32, "{v}");
        }
    }
}
