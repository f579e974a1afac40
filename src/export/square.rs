//! Whole squares, as tiles are written: what lies beyond the image's edge repeats the edge.

use crate::geom::Size;

/// Repeats the last valid column and row to the end of a square. JPEG works on blocks: black beyond the edge would show
/// as ripples inside it.
pub fn repeat_edges(square: &mut [u8], side: u32, valid: Size, bytes_per_px: usize) {
    let row_bytes = side as usize * bytes_per_px;
    if valid.is_empty() {
        return;
    }
    if valid.width < side {
        let last = (valid.width as usize - 1) * bytes_per_px;
        for row in square.chunks_exact_mut(row_bytes).take(valid.height as usize) {
            for at in (last + bytes_per_px..row_bytes).step_by(bytes_per_px) {
                row.copy_within(last..last + bytes_per_px, at);
            }
        }
    }
    let last = (valid.height as usize - 1) * row_bytes;
    for row in valid.height as usize..side as usize {
        square.copy_within(last..last + row_bytes, row * row_bytes);
    }
}

/// Fills a square with `valid` pixels from an area, whose rows are `stride` bytes apart, and repeats their edges.
pub(super) fn cut(area: &[u8], stride: usize, valid: Size, square: &mut [u8], side: u32, bytes_per_px: usize) {
    let row_bytes = side as usize * bytes_per_px;
    let valid_bytes = valid.width as usize * bytes_per_px;
    for (to, from) in square.chunks_exact_mut(row_bytes).zip(area.chunks(stride)).take(valid.height as usize) {
        to[..valid_bytes].copy_from_slice(&from[..valid_bytes]);
    }
    repeat_edges(square, side, valid, bytes_per_px);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_are_repeated_to_the_end_of_the_square() {
        let mut square = vec![1, 2, 9, 9, 3, 4, 9, 9, 5, 6, 9, 9, 9, 9, 9, 9];
        repeat_edges(&mut square, 4, Size::new(2, 3), 1);
        assert_eq!(square, [1, 2, 2, 2, 3, 4, 4, 4, 5, 6, 6, 6, 5, 6, 6, 6]);
    }

    #[test]
    fn a_part_of_a_larger_area_is_cut_out() {
        let area = [1, 2, 3, 4, 5, 6, 7, 8, 9];
        let mut square = [0; 9];
        cut(&area[1..], 3, Size::new(2, 2), &mut square, 3, 1);
        assert_eq!(square, [2, 3, 3, 5, 6, 6, 5, 6, 6]);
    }
}
