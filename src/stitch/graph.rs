//! What the graph of fields and edges says by its shape: loops, parts, bridges.

use crate::geom::Point;

/// Of all loops, this share is taken to hold no false edge...
const SOUND_LOOPS: f64 = 0.25;
/// ...and this is its quantile of the length of a normal vector in the plane, in deviations: sqrt(-2 ln 0.75).
const SOUND_LOOPS_QUANTILE: f64 = 0.7585;

/// The noise of an edge that is not false, per axis in pixels, from the closing errors of loops of four edges; zero where
/// there is no loop.
///
/// Residuals of a robust solution would not do: it follows some of the edges exactly and calls the rest false.
pub fn loop_noise(fields: usize, edges: &[(usize, usize, Point)]) -> f64 {
    let mut neighbours: Vec<Vec<(usize, Point)>> = vec![Vec::new(); fields];
    for &(a, b, shift) in edges {
        neighbours[a].push((b, shift));
        neighbours[b].push((a, shift * -1.0));
    }
    let mut gaps = Vec::new();
    for start in 0..fields {
        for (k, &(left, to_left)) in neighbours[start].iter().enumerate() {
            for &(right, to_right) in &neighbours[start][k + 1..] {
                for &(far, onwards) in &neighbours[left] {
                    // Each loop is found once, from its lowest field.
                    if far <= start || left <= start || right <= start || left == right {
                        continue;
                    }
                    for &(_, back) in neighbours[far].iter().filter(|n| n.0 == right) {
                        let gap = to_left + onwards + back - to_right;
                        gaps.push(gap.x.hypot(gap.y));
                    }
                }
            }
        }
    }
    if gaps.is_empty() {
        return 0.0;
    }
    let sound = (gaps.len() as f64 * SOUND_LOOPS) as usize;
    let (_, length, _) = gaps.select_nth_unstable_by(sound, f64::total_cmp);
    *length / SOUND_LOOPS_QUANTILE / 2.0
}

/// For every field a number that it shares with all fields to which the edges connect it.
pub fn parts(fields: usize, edges: &[(usize, usize)]) -> Vec<usize> {
    let mut parent: Vec<usize> = (0..fields).collect();
    fn root(parent: &mut [usize], mut k: usize) -> usize {
        while parent[k] != k {
            parent[k] = parent[parent[k]];
            k = parent[k];
        }
        k
    }
    for &(a, b) in edges {
        let (a, b) = (root(&mut parent, a), root(&mut parent, b));
        parent[a.max(b)] = a.min(b);
    }
    (0..fields).map(|k| root(&mut parent, k)).collect()
}

/// For every edge, whether its removal would split the fields it connects.
pub fn bridges(fields: usize, edges: &[(usize, usize)]) -> Vec<bool> {
    let mut starts = vec![0usize; fields + 1];
    for &(a, b) in edges {
        starts[a + 1] += 1;
        starts[b + 1] += 1;
    }
    for k in 0..fields {
        starts[k + 1] += starts[k];
    }
    let mut fill = starts.clone();
    let mut neighbours = vec![(0usize, 0usize); starts[fields]];
    for (k, &(a, b)) in edges.iter().enumerate() {
        neighbours[fill[a]] = (b, k);
        fill[a] += 1;
        neighbours[fill[b]] = (a, k);
        fill[b] += 1;
    }
    // Depth first without recursion: a mosaic can be thousands of fields long.
    const UNSEEN: usize = usize::MAX;
    let mut seen = vec![UNSEEN; fields];
    let mut low = vec![0usize; fields];
    let mut is_bridge = vec![false; edges.len()];
    let mut clock = 0;
    let mut stack: Vec<(usize, usize, usize)> = Vec::new();
    for root in 0..fields {
        if seen[root] != UNSEEN {
            continue;
        }
        seen[root] = clock;
        low[root] = clock;
        clock += 1;
        stack.push((root, UNSEEN, starts[root]));
        while let Some(&mut (field, through, ref mut next)) = stack.last_mut() {
            if *next < starts[field + 1] {
                let (other, link) = neighbours[*next];
                *next += 1;
                if link == through {
                    continue;
                }
                if seen[other] == UNSEEN {
                    seen[other] = clock;
                    low[other] = clock;
                    clock += 1;
                    stack.push((other, link, starts[other]));
                } else {
                    low[field] = low[field].min(seen[other]);
                }
            } else {
                stack.pop();
                if let Some(&(parent, _, _)) = stack.last() {
                    low[parent] = low[parent].min(low[field]);
                    is_bridge[through] = low[field] > seen[parent];
                }
            }
        }
    }
    is_bridge
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edge_is_a_bridge_if_nothing_goes_around_it() {
        // A square, a tail of two edges, and a pair of parallel edges elsewhere.
        let edges = [(0, 1), (1, 2), (2, 3), (3, 0), (3, 4), (4, 5), (6, 7), (6, 7)];
        assert_eq!(bridges(8, &edges), [false, false, false, false, true, true, false, false]);
        let parts = parts(9, &edges);
        assert!(parts[0] == parts[5] && parts[6] == parts[7] && parts[0] != parts[6] && parts[8] != parts[6]);
    }

    #[test]
    fn a_long_chain_of_fields_does_not_overflow_the_stack() {
        let edges: Vec<_> = (0..50_000).map(|k| (k, k + 1)).collect();
        assert!(bridges(50_001, &edges).into_iter().all(|b| b));
    }

    #[test]
    fn noise_comes_from_the_loops_that_close_best() {
        // Each square of a ladder misses its closure by 2 px along x, but one by 60.
        let mut edges = Vec::new();
        for k in 0..10 {
            let miss = if k == 4 { 60.0 } else { 2.0 };
            edges.push((2 * k, 2 * k + 1, Point::new(0.0, 10.0)));
            edges.push((2 * k, 2 * k + 2, Point::new(10.0, 0.0)));
            edges.push((2 * k + 1, 2 * k + 3, Point::new(10.0 + miss, 0.0)));
        }
        edges.push((20, 21, Point::new(0.0, 10.0)));
        assert!((loop_noise(22, &edges) - 2.0 / SOUND_LOOPS_QUANTILE / 2.0).abs() < 1e-9);
        assert_eq!(loop_noise(22, &edges[..2]), 0.0);
    }
}
