//! The order in which squares of an image are worked through.

/// Squares of a grid so that the four that make a square of the next level follow each other, at every level: at any
/// time at most one square of each coarser level is begun and not ended.
pub struct DepthFirst {
    across: u32,
    down: u32,
    /// Blocks still to be gone through, the next one last: the logarithm of their side, and their place in blocks of
    /// that side.
    blocks: Vec<(u8, u32, u32)>,
}

impl DepthFirst {
    /// All squares of a grid.
    pub fn new(across: u32, down: u32) -> Self {
        // Sides of grids stay below 2^31: pixels are counted in 32 bits, and a square has many.
        let top = across.max(down).max(1).next_power_of_two().trailing_zeros() as u8;
        Self { across, down, blocks: vec![(top, 0, 0)] }
    }
}

impl Iterator for DepthFirst {
    type Item = (u32, u32);

    fn next(&mut self) -> Option<(u32, u32)> {
        while let Some((side, x, y)) = self.blocks.pop() {
            if x << side >= self.across || y << side >= self.down {
                continue;
            }
            if side == 0 {
                return Some((x, y));
            }
            for (dx, dy) in [(1, 1), (0, 1), (1, 0), (0, 0)] {
                self.blocks.push((side - 1, 2 * x + dx, 2 * y + dy));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_square_comes_once_and_few_of_the_coarser_ones_are_open() {
        for (across, down) in [(1, 1), (5, 3), (1, 1000), (700, 2), (16, 16)] {
            let order: Vec<_> = DepthFirst::new(across, down).collect();
            assert_eq!(order.len() as u32, across * down);
            assert_eq!(order.iter().collect::<HashSet<_>>().len(), order.len());
            for level in 1..8 {
                // Squares of one coarser square stand together.
                let parents: Vec<_> = order.iter().map(|&(x, y)| (x >> level, y >> level)).collect();
                let runs = 1 + parents.windows(2).filter(|w| w[0] != w[1]).count();
                assert_eq!(runs, parents.iter().collect::<HashSet<_>>().len(), "{across} x {down}, level {level}");
            }
        }
    }
}
