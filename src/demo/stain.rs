//! Draws a region of the imagined tissue as a microscope would see it.

use super::anatomy::{Cell, Ground, GroundMap, Nucleus, fat_wall_at, nuclei_in};
use super::noise::{MOST_NOISE, cells, hash, hump, length, lerp, noise, smoothstep, unit};

/// Optical density of one part haematoxylin in red, green and blue light: a blue violet.
const HAEMATOXYLIN: [f32; 3] = [0.72, 0.84, 0.36];

/// Optical density of one part eosin: a pink.
const EOSIN: [f32; 3] = [0.13, 0.74, 0.42];

/// What the empty slide lets through: nearly all, a touch warm.
const GLASS: [f32; 3] = [244.0, 243.0, 242.0];

/// A square of pixels, which need not lie on whole pixels of the tissue.
#[derive(Debug, Clone, Copy)]
pub struct Square {
    /// Its first column and row, whole.
    pub x: i32,
    pub y: i32,
    /// How far it is moved from there, 0 up to 1 pixel.
    pub dx: f32,
    pub dy: f32,
    /// Pixels along a side.
    pub side: i32,
}

impl Square {
    /// On whole pixels.
    pub fn whole(x: i32, y: i32, side: i32) -> Self {
        Self { x, y, dx: 0.0, dy: 0.0, side }
    }
}

/// How much of something each pixel of a square holds.
struct Layer {
    side: i32,
    amounts: Vec<f32>,
}

impl Layer {
    fn new(side: i32) -> Self {
        Self { side, amounts: vec![0.0; (side * side) as usize] }
    }

    fn raise(&mut self, x: i32, y: i32, amount: f32) {
        let old = &mut self.amounts[(y * self.side + x) as usize];
        *old = old.max(amount);
    }
}

/// Calls `draw` for every pixel of the square that may lie in an ellipse around a nucleus, of so many pixels along it and
/// across: with the pixel, and the place in the nucleus's own axes.
fn over_nucleus(n: &Nucleus, square: Square, [long, short]: [f32; 2], mut draw: impl FnMut(i32, i32, f32, f32)) {
    let Square { x, y, dx: moved_x, dy: moved_y, side } = square;
    // Nuclei are many and some are thin: what lies in the box around one costs more than all else.
    let (half_width, half_height) = (length(long * n.cos, short * n.sin), length(long * n.sin, short * n.cos));
    let left = ((n.x - moved_x - half_width - 0.5).floor() as i32).max(x);
    let right = ((n.x - moved_x + half_width + 0.5).ceil() as i32).min(x + side);
    let top = ((n.y - moved_y - half_height - 0.5).floor() as i32).max(y);
    let bottom = ((n.y - moved_y + half_height + 0.5).ceil() as i32).min(y + side);
    for py in top..bottom {
        for px in left..right {
            let (dx, dy) = (px as f32 + moved_x + 0.5 - n.x, py as f32 + moved_y + 0.5 - n.y);
            draw(px - x, py - y, dx * n.cos + dy * n.sin, dy * n.cos - dx * n.sin);
        }
    }
}

/// How much the outline of a nucleus wobbles, as a share of its size.
const WOBBLE: f32 = 0.16;

/// The half axes of the ellipse that holds every place of a nucleus whose [`outwardness`] is less than `most`.
fn half_axes(n: &Nucleus, most: f32) -> [f32; 2] {
    [n.long, n.short].map(|half| half * (most + WOBBLE * MOST_NOISE))
}

/// How far out in a nucleus a place in its axes is: 1 on its outline, which is not quite an ellipse. `None` where that is
/// `most` or more.
fn outwardness(n: &Nucleus, along: f32, across: f32, most: f32) -> Option<f32> {
    let plain = length(along / n.long, across / n.short);
    // Most places around a nucleus are far out, whatever their wobble.
    if plain >= most + WOBBLE * MOST_NOISE {
        return None;
    }
    let wobble = WOBBLE * noise(along * 0.16 + (n.seed & 0xfff) as f32, across * 0.16, 100);
    Some(plain + wobble).filter(|r| *r < most)
}

/// The square of `side` pixels from (x, y), stained with haematoxylin and eosin: RGB rows into `out`.
pub fn brightfield(x: i32, y: i32, side: i32, out: &mut [u8]) {
    let map = GroundMap::new(x, y, side);
    let mut chromatin = Layer::new(side);
    for n in nuclei_in(x, y, side, &map) {
        stain_nucleus(&n, x, y, side, &mut chromatin);
    }
    for (row, pixels) in out.chunks_exact_mut(side as usize * 3).enumerate() {
        let py = y + row as i32;
        for (column, pixel) in pixels.chunks_exact_mut(3).enumerate() {
            let px = x + column as i32;
            let ground = map.at(px as f32 + 0.5, py as f32 + 0.5);
            let nuclear = chromatin.amounts[row * side as usize + column];
            let (h, e) = if ground.edge > 14.0 { (0.0, 0.0) } else { stroma(&ground, px as f32, py as f32) };
            // Chromatin hides most of what else is there.
            let (h, e) = (h * (1.0 - 0.5 * nuclear.min(1.0)) + nuclear, e * (1.0 - 0.35 * nuclear.min(1.0)));
            let grain = grain(px, py, 110) * 1.1;
            for ((sample, glass), (hd, ed)) in pixel.iter_mut().zip(GLASS).zip(HAEMATOXYLIN.into_iter().zip(EOSIN)) {
                *sample = (glass * exp10(-(h * hd + e * ed)) + grain + 0.5).clamp(0.0, 255.0) as u8;
            }
        }
    }
}

fn stain_nucleus(n: &Nucleus, x: i32, y: i32, side: i32, chromatin: &mut Layer) {
    let own = unit(n.seed.rotate_left(7));
    let (dark, coarse) = match n.cell {
        Cell::Epithelial => (0.44 + 0.24 * own, 0.40),
        Cell::Fibroblast => (0.48 + 0.26 * own, 0.25),
        Cell::Lymphocyte => (0.60 + 0.28 * own, 0.45),
        Cell::Germinal => (0.25 + 0.18 * own, 0.55),
    };
    let blur = 0.9 / n.short;
    over_nucleus(n, Square::whole(x, y, side), half_axes(n, 1.0 + blur), |px, py, along, across| {
        // At its end nothing is left of the chromatin.
        let Some(r) = outwardness(n, along, across, 1.0 + blur) else { return };
        let (fx, fy) = ((x + px) as f32, (y + py) as f32);
        let grains = noise(fx * 0.36, fy * 0.36, 101) + 0.6 * noise(fx * 0.8, fy * 0.8, 102);
        let rim = if n.cell == Cell::Germinal { 0.55 } else { 0.3 } * hump(r - 0.88, 0.3);
        let nucleolus = if n.cell == Cell::Germinal || n.cell == Cell::Epithelial {
            let (ox, oy) = (n.long * 0.3 * (own - 0.5), n.short * 0.5 * (own - 0.4));
            0.7 * hump(length(along - ox, across - oy), 2.2)
        } else {
            0.0
        };
        let amount = dark * (1.0 + coarse * grains + rim + nucleolus);
        chromatin.raise(px, py, amount.max(0.1) * smoothstep(1.0 + blur, 1.0 - blur, r));
    });
}

/// Haematoxylin and eosin of everything but nuclei.
fn stroma(ground: &Ground, x: f32, y: f32) -> (f32, f32) {
    let present = smoothstep(2.5, -2.5, ground.edge + 3.0 * noise(x * 0.1, y * 0.1, 120));
    if present == 0.0 {
        return (0.0, 0.0);
    }
    let (mut h, mut e);
    if ground.gland < 0.0 {
        (h, e) = epithelium(ground, x, y);
    } else {
        // Wavy bundles: noise that varies fast across the fibres and slowly along them.
        let along = (0.62 * x - 0.78 * y) * 0.011;
        let bundle = noise(ground.fibre * 0.052, along, 121);
        let strand = noise(ground.fibre * 0.21, along * 2.7, 122);
        let loose = smoothstep(110.0, 10.0, ground.gland).max(smoothstep(300.0, 0.0, ground.follicle));
        let density = 0.235 + 0.13 * bundle + 0.08 * strand + 0.075 * noise(x / 340.0, y / 340.0, 123);
        let gap = smoothstep(-0.70, -0.42, bundle + 0.45 * strand + 0.25 * noise(x / 500.0, y / 500.0, 126))
            * lerp(1.0, 0.9, loose);
        e = lerp(density, density * 0.72, loose) * lerp(0.12, 1.0, gap);
        h = lerp(0.012, 0.055, loose) * gap;
        let lymphoid = smoothstep(12.0, -14.0, ground.follicle);
        e = lerp(e, 0.15 + 0.04 * noise(x * 0.05, y * 0.05, 124), lymphoid);
        h = lerp(h, 0.13, lymphoid);
        let germinal = smoothstep(-150.0, -190.0, ground.follicle);
        (h, e) = (lerp(h, 0.075, germinal), lerp(e, 0.18, germinal));
        // The membrane that a gland stands on.
        e += 0.14 * hump(ground.gland - 2.5, 3.5);
        if ground.fat < 24.0 {
            (h, e) = fat(ground, x, y, h, e);
        }
    }
    let fine = 1.0 + 0.10 * noise(x * 0.32, y * 0.32, 125);
    (h * fine * present, e * fine * present)
}

fn epithelium(ground: &Ground, x: f32, y: f32) -> (f32, f32) {
    let depth = -ground.gland;
    let inside = depth - ground.epithelium;
    let lumen = smoothstep(-1.6, 1.6, inside);
    let (middle, border, which) = cells(x / 15.0, y / 15.0, 130);
    let mut e = 0.25 + 0.05 * noise(x * 0.07, y * 0.07, 131) + 0.07 * hump(border, 0.12);
    let mut h = 0.10;
    // Goblet cells hold pale mucus on the side of the lumen, in some glands more than in others.
    let mucous = smoothstep(-0.25, 0.35, noise(x / 900.0, y / 900.0, 132)) * 0.75;
    if unit(which) < mucous {
        let globule = smoothstep(0.56, 0.36, middle) * smoothstep(15.0, 21.0, depth);
        (h, e) = (lerp(h, 0.055, globule), lerp(e, 0.03, globule));
    }
    e += 0.12 * hump(inside + 2.0, 4.0);
    // Some glands hold a little secretion.
    let full = smoothstep(0.15, 0.6, noise(x / 420.0, y / 420.0, 133));
    let wisps = smoothstep(-0.1, 0.7, noise(x * 0.018, y * 0.03, 134) + 0.4 * noise(x * 0.07, y * 0.07, 135));
    let secretion = 0.11 * full * wisps * smoothstep(3.0, 30.0, inside);
    (lerp(h, 0.15 * secretion, lumen), lerp(e, secretion, lumen))
}

/// Replaces stroma by fat cells: large, empty, with thin walls.
fn fat(ground: &Ground, x: f32, y: f32, h: f32, e: f32) -> (f32, f32) {
    let (border, which) = fat_wall_at(x, y);
    let vacuole = smoothstep(0.018, 0.045, border) * smoothstep(22.0, -22.0, ground.fat + 34.0 * (unit(which) - 0.5));
    let wall = 0.22 * hump(border, 0.05) * smoothstep(10.0, -30.0, ground.fat);
    let thinned = lerp(1.0, 0.55, smoothstep(20.0, -40.0, ground.fat));
    (h * thinned * (1.0 - vacuole), (e * thinned + wall) * (1.0 - vacuole))
}

/// Ten to the power of a number from -3 to 0.
fn exp10(v: f32) -> f32 {
    (v * std::f32::consts::LN_10).exp()
}

/// Random grain of about unit deviation.
pub fn grain(x: i32, y: i32, seed: u32) -> f32 {
    let h = hash(x, y, seed);
    let sum = (h & 0xff) + (h >> 8 & 0xff) + (h >> 16 & 0xff) + (h >> 24);
    (sum as f32 - 510.0) * (1.0 / 147.8)
}

/// Fluorescence channels: DAPI, CD3, Ki-67, PanCK.
pub const CHANNELS: usize = 4;

/// The same square as fluorescence channels of 16 bits, one after another in `out`.
pub fn fluorescence(x: i32, y: i32, side: i32, out: &mut [u16]) {
    let area = (side * side) as usize;
    over_light(Square::whole(x, y, side), |column, row, levels| {
        for (channel, level) in levels.into_iter().enumerate() {
            let noisy = level + grain(x + column, y + row, 150 + channel as u32) * (0.2 + 0.12 * level.sqrt());
            out[channel * area + (row * side + column) as usize] = noisy.clamp(0.0, 65535.0) as u16;
        }
    });
}

/// Calls `put` for every pixel of the square with its column and row in it and the light of every channel.
pub fn over_light(square: Square, mut put: impl FnMut(i32, i32, [f32; CHANNELS])) {
    let Square { x, y, dx, dy, side } = square;
    // One more, for a square that is moved reaches into the next pixel.
    let map = GroundMap::new(x, y, side + 1);
    let [mut dapi, mut cd3, mut ki67] = [Layer::new(side), Layer::new(side), Layer::new(side)];
    for n in nuclei_in(x, y, side + 1, &map) {
        light_nucleus(&n, square, &mut dapi, &mut cd3, &mut ki67);
    }
    let glow = GlowMap::new(x, y, side, &map);
    for row in 0..side {
        for column in 0..side {
            let (fx, fy) = ((x + column) as f32 + dx + 0.5, (y + row) as f32 + dy + 0.5);
            let at = (row * side + column) as usize;
            let light = glow.at(fx, fy);
            let nuclear = dapi.amounts[at].min(1.0);
            put(
                column,
                row,
                [
                    14.0 + 2300.0 * dapi.amounts[at] + 95.0 * light.matrix + 60.0 * light.keratin,
                    12.0 + 1250.0 * cd3.amounts[at] + 260.0 * light.matrix * (1.0 - 0.5 * nuclear),
                    13.0 + 1700.0 * ki67.amounts[at] + 60.0 * light.matrix + 40.0 * light.keratin,
                    11.0 + 1500.0 * light.keratin * (1.0 - 0.72 * nuclear) + 40.0 * light.matrix,
                ],
            );
        }
    }
}

/// Spacing of the lattice on which [`Glow`] is computed, in pixels; between its points it is interpolated. The eye does not
/// tell: what it shows is out of focus under any objective.
const GLOW_LATTICE: i32 = 2;

/// The glow of a square, quick to look up.
struct GlowMap {
    x0: i32,
    y0: i32,
    columns: usize,
    points: Vec<Glow>,
}

impl GlowMap {
    /// The glow from (x, y) over `side` pixels each way, and a pixel more.
    fn new(x: i32, y: i32, side: i32, map: &GroundMap) -> Self {
        let (x0, y0) = (x.div_euclid(GLOW_LATTICE), y.div_euclid(GLOW_LATTICE));
        let columns = side / GLOW_LATTICE + 3;
        let points = (y0..y0 + columns)
            .flat_map(|row| (x0..x0 + columns).map(move |column| (column, row)))
            .map(|(column, row)| {
                let (x, y) = ((column * GLOW_LATTICE) as f32, (row * GLOW_LATTICE) as f32);
                glow(&map.at(x, y), x, y)
            })
            .collect();
        Self { x0: x0 * GLOW_LATTICE, y0: y0 * GLOW_LATTICE, columns: columns as usize, points }
    }

    fn at(&self, x: f32, y: f32) -> Glow {
        let spacing = GLOW_LATTICE as f32;
        let (fx, fy) = ((x - self.x0 as f32) / spacing, (y - self.y0 as f32) / spacing);
        let (cx, cy) = (fx as usize, fy as usize);
        let (u, v) = (fx - cx as f32, fy - cy as f32);
        let i = cy * self.columns + cx;
        let (a, b) = (&self.points[i], &self.points[i + 1]);
        let (c, d) = (&self.points[i + self.columns], &self.points[i + self.columns + 1]);
        let mix = |f: fn(&Glow) -> f32| lerp(lerp(f(a), f(b), u), lerp(f(c), f(d), u), v);
        Glow { matrix: mix(|g| g.matrix), keratin: mix(|g| g.keratin) }
    }
}

/// What shines outside nuclei and T cells, from 0 to 1.
struct Glow {
    /// Fibres, by themselves.
    matrix: f32,
    /// Keratin in the lining of glands.
    keratin: f32,
}

fn glow(ground: &Ground, x: f32, y: f32) -> Glow {
    let present = smoothstep(6.0, -8.0, ground.edge);
    if present == 0.0 {
        return Glow { matrix: 0.0, keratin: 0.0 };
    }
    let inside = -ground.gland - ground.epithelium;
    let lining = smoothstep(1.0, -3.0, ground.gland) * smoothstep(2.0, -3.0, inside);
    let mut keratin = 0.0;
    if lining > 0.0 {
        let (_, border, _) = cells(x / 13.0, y / 13.0, 160);
        let apical = smoothstep(-26.0, 0.0, inside);
        keratin = lining * (0.42 + 0.22 * noise(x * 0.09, y * 0.09, 161) + 0.30 * hump(border, 0.3) + 0.45 * apical);
        keratin *= 0.75 + 0.4 * noise(x / 420.0, y / 420.0, 162);
    }
    let mut matrix = 0.0;
    let stroma = smoothstep(-2.0, 4.0, ground.gland);
    if stroma > 0.0 {
        let along = (0.62 * x - 0.78 * y) * 0.011;
        let bundle = noise(ground.fibre * 0.052, along, 121);
        let strands = 0.50 + 0.55 * bundle + 0.25 * noise(ground.fibre * 0.21, along * 2.7, 122);
        matrix = strands.max(0.0) * stroma * lerp(0.35, 1.0, smoothstep(-40.0, 120.0, ground.follicle));
    }
    if ground.fat < 20.0 {
        let (border, _) = fat_wall_at(x, y);
        let inner = smoothstep(20.0, -20.0, ground.fat);
        matrix = lerp(matrix, 1.1 * hump(border, 0.07), inner);
    }
    Glow { matrix: matrix * present, keratin: keratin.max(0.0) * present }
}

/// The light of a nucleus ends at this [`outwardness`].
const BODY: f32 = 1.3;

/// The light of a T cell's membrane ends so far outside it, in pixels.
const RING: f32 = 7.0;

fn light_nucleus(n: &Nucleus, square: Square, dapi: &mut Layer, cd3: &mut Layer, ki67: &mut Layer) {
    let own = unit(n.seed.rotate_left(7));
    let chance = unit(n.seed.rotate_left(13));
    let bright = match n.cell {
        Cell::Epithelial => 0.62,
        Cell::Fibroblast => 0.55,
        Cell::Lymphocyte => 0.72,
        Cell::Germinal => 0.50,
    } * (0.7 + 0.5 * own);
    let dividing = match n.cell {
        Cell::Germinal => 0.62,
        Cell::Epithelial => 0.55 * smoothstep(0.05, 0.5, noise(n.x / 700.0, n.y / 700.0, 170)),
        Cell::Lymphocyte => 0.03 + 0.3 * smoothstep(0.3, 0.6, noise(n.x / 300.0, n.y / 300.0, 171)),
        Cell::Fibroblast => 0.01,
    };
    // T cells lie around the follicles' mantle and in inflamed stroma.
    let t_cell = n.cell == Cell::Lymphocyte
        && chance
            < 0.16 + 0.62 * smoothstep(-40.0, 60.0, n.ground.follicle) * smoothstep(0.0, 0.3, n.ground.inflamed + 0.35);
    let proliferates = unit(n.seed.rotate_left(23)) < dividing;
    let (strength, membrane) = (0.55 + 0.6 * unit(n.seed.rotate_left(17)), n.short + 2.1);
    let place = |px: i32, py: i32| ((square.x + px) as f32 + square.dx, (square.y + py) as f32 + square.dy);
    let mut reach = half_axes(n, BODY);
    if t_cell {
        reach = reach.map(|half| half.max(membrane + RING));
    }
    over_nucleus(n, square, reach, |px, py, along, across| {
        if let Some(r) = outwardness(n, along, across, BODY) {
            let (fx, fy) = place(px, py);
            let grains = 1.0 + 0.30 * noise(fx * 0.3, fy * 0.3, 101);
            let body = smoothstep(1.28, 0.55, r) * grains;
            dapi.raise(px, py, bright * body);
            if proliferates {
                ki67.raise(px, py, strength * smoothstep(1.2, 0.5, r) * (1.0 + 0.5 * noise(fx * 0.45, fy * 0.45, 172)));
            }
        }
        if t_cell {
            let out = length(along, across) - membrane;
            // So far out the ring ends.
            if out >= RING {
                return;
            }
            let (fx, fy) = place(px, py);
            let patches = 0.8 + 0.45 * noise(fx * 0.17, fy * 0.17, 173);
            let ring = 0.75 * hump(out, 3.2) + 0.30 * smoothstep(RING, -4.0, out);
            cd3.raise(px, py, strength * patches * ring);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_is_the_same_alone_and_as_part_of_a_larger_one() {
        // On a gland, a follicle, fat and the edge.
        for (x, y) in [(2900, 2300), (6000, 4100), (1700, 6300), (540, 3900)] {
            let (mut large, mut small) = (vec![0; 128 * 128 * 3], vec![0; 64 * 64 * 3]);
            brightfield(x, y, 128, &mut large);
            brightfield(x + 37, y + 50, 64, &mut small);
            for row in 0..64 {
                let start = ((row + 50) * 128 + 37) * 3;
                assert_eq!(small[row * 192..(row + 1) * 192], large[start..start + 192], "({x}, {y}), row {row}");
            }
            let (mut large, mut small) = (vec![0; 4 * 128 * 128], vec![0; 4 * 64 * 64]);
            fluorescence(x, y, 128, &mut large);
            fluorescence(x + 37, y + 50, 64, &mut small);
            for (channel, row) in (0..4).flat_map(|c| (0..64).map(move |r| (c, r))) {
                let start = channel * 128 * 128 + (row + 50) * 128 + 37;
                let from = (channel * 64 + row) * 64;
                assert_eq!(
                    small[from..from + 64],
                    large[start..start + 64],
                    "({x}, {y}), channel {channel}, row {row}"
                );
            }
        }
    }
}
