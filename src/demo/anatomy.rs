//! What lies where in the imagined tissue: its outline, glands, lymph follicles, fat, fibres and nuclei.
//!
//! Everything is a function of the place in pixels of 0.5 um, so any region can be drawn on its own.
//! Distances are in pixels, negative inside.

use super::noise::{MOST_NOISE, cells, cloud, hash, length, lerp, noise, smoothstep, unit, unit_at};
use super::{HEIGHT, WIDTH};

/// What the smooth part of the tissue is at one place.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ground {
    /// Distance to the tissue's edge.
    pub edge: f32,
    /// Distance to the outer boundary of the nearest gland.
    pub gland: f32,
    /// How thick the epithelium of the glands is here.
    pub epithelium: f32,
    /// Distance to the boundary of the nearest lymph follicle.
    pub follicle: f32,
    /// Distance to the boundary of fat.
    pub fat: f32,
    /// Fibres run where this stays the same.
    pub fibre: f32,
    /// How inflamed the stroma is, about -1 to 1.
    pub inflamed: f32,
}

/// Spacing of the lattice on which [`Ground`] is computed, in pixels; between its points it is interpolated.
const LATTICE: i32 = 8;

/// The ground of a region, quick to look up.
pub struct GroundMap {
    follicles: Follicles,
    glands: Glands,
    x0: i32,
    y0: i32,
    columns: usize,
    points: Vec<Ground>,
}

/// How far outside a region its ground is known, in pixels: nuclei there may reach in, and ask for their surroundings.
const MARGIN: i32 = NUCLEUS_REACH + 22;

impl GroundMap {
    /// The ground from (x, y) over `side` pixels each way.
    pub fn new(x: i32, y: i32, side: i32) -> Self {
        let follicles = Follicles::around(x, y, side);
        let glands = Glands::around(x, y, side, &follicles);
        let x0 = (x - MARGIN).div_euclid(LATTICE);
        let y0 = (y - MARGIN).div_euclid(LATTICE);
        let columns = (side + 2 * MARGIN) / LATTICE + 3;
        let points = (y0..y0 + columns)
            .flat_map(|row| (x0..x0 + columns).map(move |column| (column, row)))
            .map(|(column, row)| ground_at((column * LATTICE) as f32, (row * LATTICE) as f32, &follicles, &glands))
            .collect();
        Self { follicles, glands, x0: x0 * LATTICE, y0: y0 * LATTICE, columns: columns as usize, points }
    }

    /// The ground at a place of the region.
    pub fn at(&self, x: f32, y: f32) -> Ground {
        let (fx, fy) = ((x - self.x0 as f32) / LATTICE as f32, (y - self.y0 as f32) / LATTICE as f32);
        let (cx, cy) = (fx as usize, fy as usize);
        let (u, v) = (fx - cx as f32, fy - cy as f32);
        let i = cy * self.columns + cx;
        let (a, b) = (&self.points[i], &self.points[i + 1]);
        let (c, d) = (&self.points[i + self.columns], &self.points[i + self.columns + 1]);
        let mix = |f: fn(&Ground) -> f32| lerp(lerp(f(a), f(b), u), lerp(f(c), f(d), u), v);
        Ground {
            edge: mix(|g| g.edge),
            gland: mix(|g| g.gland),
            epithelium: mix(|g| g.epithelium),
            follicle: mix(|g| g.follicle),
            fat: mix(|g| g.fat),
            fibre: mix(|g| g.fibre),
            inflamed: mix(|g| g.inflamed),
        }
    }

    /// The direction along the fibres, as an angle.
    fn fibre_angle(&self, x: f32, y: f32) -> f32 {
        let dx = self.at(x + 6.0, y).fibre - self.at(x - 6.0, y).fibre;
        let dy = self.at(x, y + 6.0).fibre - self.at(x, y - 6.0).fibre;
        dx.atan2(-dy)
    }
}

/// The ground at one place, computed in full.
fn ground_at(x: f32, y: f32, follicles: &Follicles, glands: &Glands) -> Ground {
    let edge = edge_at(x, y);
    let fat = fat_at(x, y);
    let follicle = follicles.distance(x, y);
    let gland = glands.distance(x, y);
    let fibre = 0.78 * x
        + 0.62 * y
        + 330.0 * cloud(x / 1500.0, y / 1500.0, 50, 3)
        + 26.0 * noise(x / 170.0, y / 170.0, 54)
        + 110.0 * (-gland.max(0.0) / 80.0).exp()
        + 240.0 * (-follicle.max(0.0) / 170.0).exp();
    Ground {
        edge,
        gland,
        epithelium: 43.0 + 15.0 * noise(x / 120.0, y / 120.0, 60) + 8.0 * noise(x / 36.0, y / 36.0, 61),
        follicle,
        fat,
        fibre,
        inflamed: cloud(x / 520.0, y / 520.0, 70, 2),
    }
}

/// Distance to the edge of the tissue: a rounded block with a ragged outline.
fn edge_at(x: f32, y: f32) -> f32 {
    let (half_width, half_height) = (WIDTH as f32 * 0.5, HEIGHT as f32 * 0.5);
    let u = ((x - half_width) / (half_width * 0.9)).abs();
    let v = ((y - half_height) / (half_height * 0.87)).abs();
    let r = (u * u * u + v * v * v).cbrt();
    (r - 1.0) * half_height * 0.87
        + 520.0 * cloud(x / 2300.0, y / 2300.0, 1, 2)
        + 90.0 * cloud(x / 330.0, y / 330.0, 5, 3)
}

/// Distance to fat, which fills one corner of the block.
fn fat_at(x: f32, y: f32) -> f32 {
    let corner = length(x - WIDTH as f32 * 0.16, (y - HEIGHT as f32 * 0.80) * 1.25) - 1450.0;
    corner + 420.0 * cloud(x / 900.0, y / 900.0, 10, 3)
}

/// How far a place in fat is from the wall of its fat cell, as a part of the cells' spacing, and the cell's hash.
pub fn fat_wall_at(x: f32, y: f32) -> (f32, u32) {
    let wx = x + 16.0 * noise(x / 70.0, y / 70.0, 140) + 60.0 * noise(x / 300.0, y / 300.0, 143);
    let wy = y + 16.0 * noise(x / 70.0, y / 70.0, 141) + 60.0 * noise(x / 300.0, y / 300.0, 144);
    let (_, border, which) = cells((0.8 * wx + 0.6 * wy) / 108.0, (0.8 * wy - 0.6 * wx) / 92.0, 142);
    (border, which)
}

const FOLLICLE_SPACING: f32 = 2500.0;

/// How far the outline of a follicle is moved at most, in pixels.
const FOLLICLE_WARP: f32 = 90.0;

/// A lymph follicle: an ellipse before its outline is warped.
#[derive(Debug, Clone, Copy)]
struct Follicle {
    x: f32,
    y: f32,
    radius: f32,
    squash: f32,
}

/// The follicle of a cell of the follicle lattice, where there is one.
fn follicle_of(column: i32, row: i32) -> Option<Follicle> {
    if unit_at(column, row, 22) >= 0.62 {
        return None;
    }
    let x = (column as f32 + 0.25 + 0.5 * unit_at(column, row, 23)) * FOLLICLE_SPACING;
    let y = (row as f32 + 0.25 + 0.5 * unit_at(column, row, 24)) * FOLLICLE_SPACING;
    let radius = 430.0 + 330.0 * unit_at(column, row, 25);
    let squash = 0.8 + 0.4 * unit_at(column, row, 26);
    (fat_at(x, y) >= 900.0).then_some(Follicle { x, y, radius, squash })
}

/// The follicles that can matter to a region: each is worked out once, not for every place that asks.
struct Follicles {
    column0: i32,
    row0: i32,
    columns: i32,
    follicles: Vec<Option<Follicle>>,
}

impl Follicles {
    fn around(x: i32, y: i32, side: i32) -> Self {
        // Every gland that can matter asks for the follicles around it.
        let reach = glands_reach() + (2.0 * GLAND_SPACING + FOLLICLE_WARP * MOST_NOISE) as i32;
        let cell = |v: i32| (v as f32 / FOLLICLE_SPACING).floor() as i32;
        let (column0, row0) = (cell(x - reach) - 1, cell(y - reach) - 1);
        let columns = cell(side + 2 * reach) + 4;
        let follicles = (row0..row0 + columns)
            .flat_map(|row| (column0..column0 + columns).map(move |column| follicle_of(column, row)))
            .collect();
        Self { column0, row0, columns, follicles }
    }

    fn get(&self, column: i32, row: i32) -> Option<&Follicle> {
        let (c, r) = (column - self.column0, row - self.row0);
        if c < 0 || r < 0 || c >= self.columns || r >= self.columns {
            return None;
        }
        self.follicles[(r * self.columns + c) as usize].as_ref()
    }

    /// Distance to the boundary of the nearest follicle.
    fn distance(&self, x: f32, y: f32) -> f32 {
        let wx = x + FOLLICLE_WARP * noise(x / 420.0, y / 420.0, 20);
        let wy = y + FOLLICLE_WARP * noise(x / 420.0, y / 420.0, 21);
        let (cx, cy) = ((wx / FOLLICLE_SPACING).floor() as i32, (wy / FOLLICLE_SPACING).floor() as i32);
        let around = (cy - 1..=cy + 1).flat_map(|row| (cx - 1..=cx + 1).map(move |column| (column, row)));
        let follicles = around.filter_map(|(column, row)| self.get(column, row));
        follicles.fold(4000.0, |least, f| least.min(length(wx - f.x, (wy - f.y) * f.squash) - f.radius))
    }
}

/// A gland: an ellipse before its outline is warped.
#[derive(Debug, Clone, Copy)]
pub struct Gland {
    x: f32,
    y: f32,
    long: f32,
    short: f32,
    cos: f32,
    sin: f32,
    seed: u32,
}

const GLAND_SPACING: f32 = 345.0;

/// How far the outline of a gland can be from its centre, in pixels.
const GLAND_REACH: f32 = 330.0;

/// How far outside a region its glands are known: a nucleus that shows may belong to a gland whose middle is
/// [`GLAND_REACH`] away, and that gland's outline is warped and meets its neighbours'.
fn glands_reach() -> i32 {
    GLAND_REACH as i32 + MARGIN + 60
}

/// The gland of a cell of the gland lattice, where there is one.
fn gland_of(column: i32, row: i32, follicles: &Follicles) -> Option<Gland> {
    let h = hash(column, row, 30);
    // Every other row is moved by half, so that no streets run between them.
    let shift = 0.25 + 0.5 * (row & 1) as f32;
    let x = (column as f32 + shift + 0.62 * (unit(h) - 0.5)) * GLAND_SPACING;
    let y = (row as f32 + 0.5 + 0.62 * (unit_at(column, row, 31) - 0.5)) * GLAND_SPACING;
    let wanted = cloud(x / 2700.0, y / 2700.0, 32, 2) + 0.30 * unit_at(column, row, 33);
    let edge = edge_at(x, y);
    if wanted < -0.10 || edge > -230.0 || follicles.distance(x, y) < 190.0 || fat_at(x, y) < 200.0 {
        return None;
    }
    let long = 112.0 + 78.0 * unit_at(column, row, 34);
    let angle = std::f32::consts::TAU * unit_at(column, row, 36);
    Some(Gland {
        x,
        y,
        long,
        short: long * (0.52 + 0.4 * unit_at(column, row, 35)),
        cos: angle.cos(),
        sin: angle.sin(),
        seed: h,
    })
}

/// The glands that can matter to a region.
struct Glands {
    column0: i32,
    row0: i32,
    columns: i32,
    glands: Vec<Option<Gland>>,
}

impl Glands {
    fn around(x: i32, y: i32, side: i32, follicles: &Follicles) -> Self {
        let reach = glands_reach();
        let first = |v: i32| ((v - reach) as f32 / GLAND_SPACING).floor() as i32 - 1;
        let (column0, row0) = (first(x), first(y));
        let columns = (side + 2 * reach) / GLAND_SPACING as i32 + 4;
        let glands = (row0..row0 + columns)
            .flat_map(|row| (column0..column0 + columns).map(move |column| gland_of(column, row, follicles)))
            .collect();
        Self { column0, row0, columns, glands }
    }

    fn get(&self, column: i32, row: i32) -> Option<&Gland> {
        let (c, r) = (column - self.column0, row - self.row0);
        if c < 0 || r < 0 || c >= self.columns || r >= self.columns {
            return None;
        }
        self.glands[(r * self.columns + c) as usize].as_ref()
    }

    /// Distance to the outer boundary of the nearest gland.
    fn distance(&self, x: f32, y: f32) -> f32 {
        let wx = x + 44.0 * noise(x / 190.0, y / 190.0, 40) + 13.0 * noise(x / 62.0, y / 62.0, 42);
        let wy = y + 44.0 * noise(x / 190.0, y / 190.0, 41) + 13.0 * noise(x / 62.0, y / 62.0, 43);
        let (cx, cy) = ((wx / GLAND_SPACING).floor() as i32, (wy / GLAND_SPACING).floor() as i32);
        let mut least = 600.0_f32;
        for row in cy - 1..=cy + 1 {
            for column in cx - 1..=cx + 1 {
                if let Some(gland) = self.get(column, row) {
                    let (dx, dy) = (wx - gland.x, wy - gland.y);
                    let u = (dx * gland.cos + dy * gland.sin) / gland.long;
                    let v = (dy * gland.cos - dx * gland.sin) / gland.short;
                    least = least.min((length(u, v) - 1.0) * gland.short);
                }
            }
        }
        least
    }
}

/// What kind of cell a nucleus belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cell {
    /// The lining of a gland.
    Epithelial,
    /// Long and thin, between fibres.
    Fibroblast,
    /// Small, round and dark.
    Lymphocyte,
    /// Large and pale, in the middle of a follicle.
    Germinal,
}

/// One nucleus.
#[derive(Debug, Clone, Copy)]
pub struct Nucleus {
    /// Its middle.
    pub x: f32,
    /// Its middle.
    pub y: f32,
    /// Half its length.
    pub long: f32,
    /// Half its width.
    pub short: f32,
    /// The direction of its length.
    pub cos: f32,
    /// The direction of its length.
    pub sin: f32,
    /// Whose it is.
    pub cell: Cell,
    /// Makes it differ from its neighbours.
    pub seed: u32,
    /// What lies around it.
    pub ground: Ground,
}

/// No nucleus with its cell body reaches farther from its middle than this, in pixels.
pub const NUCLEUS_REACH: i32 = 26;

/// How far apart the sites are where a nucleus outside the glands may lie, in pixels.
const SITE: f32 = 12.5;

/// All nuclei that may show in the square of `side` pixels from (x, y), in an order that depends on their place alone.
pub fn nuclei_in(x: i32, y: i32, side: i32, map: &GroundMap) -> Vec<Nucleus> {
    let mut nuclei = Vec::new();
    let low = |v: i32| ((v - NUCLEUS_REACH) as f32 / SITE).floor() as i32;
    let high = |v: i32| ((v + side + NUCLEUS_REACH) as f32 / SITE).ceil() as i32;
    for row in low(y)..high(y) {
        for column in low(x)..high(x) {
            nuclei.extend(scattered_nucleus(column, row, map, x, y, side));
        }
    }
    let low = |v: i32| ((v as f32 - GLAND_REACH) / GLAND_SPACING).floor() as i32;
    let high = |v: i32| (((v + side) as f32 + GLAND_REACH) / GLAND_SPACING).ceil() as i32;
    for row in low(y)..high(y) {
        for column in low(x)..high(x) {
            if let Some(gland) = map.glands.get(column, row) {
                line_gland(gland, map, (x, y, side), &mut nuclei);
            }
        }
    }
    nuclei
}

fn may_show(px: f32, py: f32, x: i32, y: i32, side: i32) -> bool {
    let reach = NUCLEUS_REACH as f32;
    px > x as f32 - reach && py > y as f32 - reach && px < (x + side) as f32 + reach && py < (y + side) as f32 + reach
}

/// The nucleus of a site outside the glands, where there is one.
fn scattered_nucleus(column: i32, row: i32, map: &GroundMap, x: i32, y: i32, side: i32) -> Option<Nucleus> {
    let seed = hash(column, row, 80);
    let px = (column as f32 + 0.5 + 0.78 * (unit(seed) - 0.5)) * SITE;
    let py = (row as f32 + 0.5 + 0.78 * (unit_at(column, row, 81) - 0.5)) * SITE;
    if !may_show(px, py, x, y, side) {
        return None;
    }
    let ground = map.at(px, py);
    let chance = unit_at(column, row, 82);
    let size = unit_at(column, row, 83);
    if ground.gland < 9.0 {
        // Where glands meet their lining is thick, and has nuclei away from its outer row.
        if ground.gland > -33.0 || -ground.gland > ground.epithelium - 9.0 || chance > 0.42 {
            return None;
        }
        let r = 4.8 + 1.2 * size;
        let (cos, sin) = ((6.3 * size).cos(), (6.3 * size).sin());
        return Some(Nucleus { x: px, y: py, long: r * 1.2, short: r, cos, sin, cell: Cell::Epithelial, seed, ground });
    }
    if ground.edge > -5.0 {
        return None;
    }
    let germinal = smoothstep(-150.0, -190.0, ground.follicle);
    let mantle = smoothstep(4.0, -10.0, ground.follicle);
    let around_follicle = smoothstep(420.0, 0.0, ground.follicle);
    let around_gland = smoothstep(95.0, 15.0, ground.gland);
    let lymphoid = (0.93 * mantle)
        .max(0.66 * around_follicle * around_follicle)
        .max(0.40 * around_gland)
        .max(0.55 * smoothstep(0.28, 0.75, ground.inflamed));
    let solid = smoothstep(-12.0, 18.0, ground.fat);
    if solid < 0.5 && fat_wall_at(px, py).0 > 0.035 {
        return None;
    }
    let lymphoid = lymphoid * lerp(0.05, 1.0, solid);
    let fibroblast = 0.105 * (0.75 + 0.5 * ground.inflamed) * lerp(0.8, 1.0, solid) * (1.0 - mantle);
    let (cell, long, short, angle) = if germinal > 0.5 {
        if chance > 0.56 {
            return None;
        }
        let r = 6.2 + 2.4 * size;
        (Cell::Germinal, r * 1.08, r * 0.95, 6.3 * size)
    } else if chance < lymphoid {
        let r = 4.7 + 1.3 * size;
        (Cell::Lymphocyte, r * 1.05, r * 0.97, 6.3 * size)
    } else if chance > 1.0 - fibroblast {
        let angle = map.fibre_angle(px, py) + 0.3 * (size - 0.5);
        (Cell::Fibroblast, 8.0 + 7.0 * size, 2.5 + 1.2 * unit_at(column, row, 84), angle)
    } else {
        return None;
    };
    Some(Nucleus { x: px, y: py, long, short, cos: angle.cos(), sin: angle.sin(), cell, seed, ground })
}

/// Lines a gland with nuclei: in a row near its outer boundary, each pointing to the middle.
fn line_gland(gland: &Gland, map: &GroundMap, (x, y, side): (i32, i32, i32), nuclei: &mut Vec<Nucleus>) {
    let glands = &map.glands;
    let count = ((gland.long + gland.short) * std::f32::consts::PI / 8.3) as i32;
    for k in 0..count {
        let h = hash(k, gland.seed as i32, 90);
        let angle = std::f32::consts::TAU * (k as f32 + 0.5 * (unit(h) - 0.5)) / count as f32;
        let (cos, sin) = (angle.cos(), angle.sin());
        // Most rays of a gland at the edge of the square lead away from it.
        let (end_x, end_y) = (gland.x + cos * GLAND_REACH, gland.y + sin * GLAND_REACH);
        let nearest = |from: f32, to: f32, start: i32| {
            let middle = start as f32 + 0.5 * side as f32;
            middle.clamp(from.min(to), from.max(to))
        };
        if !may_show(nearest(gland.x, end_x, x), nearest(gland.y, end_y, y), x, y, side) {
            continue;
        }
        // The boundary along this ray, by halving.
        let (mut inner, mut outer) = (30.0_f32, GLAND_REACH);
        if glands.distance(gland.x + cos * inner, gland.y + sin * inner) > 0.0 {
            continue;
        }
        for _ in 0..8 {
            let middle = 0.5 * (inner + outer);
            if glands.distance(gland.x + cos * middle, gland.y + sin * middle) < 0.0 {
                inner = middle;
            } else {
                outer = middle;
            }
        }
        let size = unit(h.rotate_left(11));
        let depth = 11.5 + 13.0 * size * size;
        let (px, py) = (gland.x + cos * (inner - depth), gland.y + sin * (inner - depth));
        if !may_show(px, py, x, y, side) {
            continue;
        }
        let ground = ground_at(px, py, &map.follicles, glands);
        if !(-32.0..-4.0).contains(&ground.gland) {
            continue;
        }
        let tilt = angle + 0.35 * (unit(h.rotate_left(19)) - 0.5);
        nuclei.push(Nucleus {
            x: px,
            y: py,
            long: 7.4 + 2.0 * size,
            short: 4.3 + 0.9 * unit(h.rotate_left(5)),
            cos: tilt.cos(),
            sin: tilt.sin(),
            cell: Cell::Epithelial,
            seed: h,
            ground,
        });
    }
}
