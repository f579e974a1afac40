//! Which fields are near a place: a grid of buckets, so that nothing looks through all fields of a large mosaic.

use crate::geom::{Point, Rect};
use std::collections::HashMap;

/// Buckets a field, at most: a layout with wide gaps must not cost memory for them.
const MAX_BUCKETS_PER_FIELD: f64 = 4.0;

/// So many fields stand on one place at most: neighbours that overlap by 95 % still fit, and the pairs of fields that
/// overlap stay a bounded number for each of them.
const MAX_FIELDS_AT_ONE_PLACE: usize = 256;

/// Why fields cannot be a mosaic, in words: more than [`MAX_FIELDS_AT_ONE_PLACE`] of them have their middles within half a
/// field of one another, so that every pair of them overlaps. `None` where they can. Their coordinates are finite.
pub fn crowd_words(rects: &[Rect]) -> Option<String> {
    let mean = |side: fn(Rect) -> f64| (rects.iter().map(|&r| side(r)).sum::<f64>() / rects.len() as f64).max(2.0);
    if rects.len() <= MAX_FIELDS_AT_ONE_PLACE {
        return None;
    }
    let cell = Point::new(mean(Rect::width) / 2.0, mean(Rect::height) / 2.0);
    let mut counts: HashMap<(i64, i64), usize> = HashMap::new();
    for middle in rects.iter().map(|r| r.center()) {
        *counts.entry(((middle.x / cell.x).floor() as i64, (middle.y / cell.y).floor() as i64)).or_default() += 1;
    }
    let most = counts.into_values().max().filter(|most| *most > MAX_FIELDS_AT_ONE_PLACE)?;
    Some(format!("{most} fields stand on one place: check the positions"))
}

/// Rectangles by the places they cover.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FieldIndex {
    min: Point,
    bucket: Point,
    columns: usize,
    rows: usize,
    /// For each bucket, where its fields begin in `fields`; one more for the end.
    starts: Vec<u32>,
    fields: Vec<u32>,
}

impl FieldIndex {
    /// An index of rectangles, which are numbered as they come. Their coordinates are finite.
    pub fn new(rects: &[Rect]) -> Self {
        let Some(bounds) = Rect::around(rects.iter().flat_map(|r| [r.min, r.max])) else { return Self::default() };
        let count = rects.len() as f64;
        let mean = |side: fn(Rect) -> f64| (rects.iter().map(|&r| side(r)).sum::<f64>() / count).max(1.0);
        let (width, height) = (mean(Rect::width), mean(Rect::height));
        let buckets = (bounds.width() / width + 1.0) * (bounds.height() / height + 1.0);
        let grow = (buckets / (count * MAX_BUCKETS_PER_FIELD)).max(1.0).sqrt();
        let bucket = Point::new(width * grow, height * grow);
        let columns = (bounds.width() / bucket.x).floor() as usize + 1;
        let rows = (bounds.height() / bucket.y).floor() as usize + 1;
        let mut index = Self { min: bounds.min, bucket, columns, rows, starts: Vec::new(), fields: Vec::new() };
        let mut places: Vec<(u32, u32)> = Vec::new();
        for (field, &rect) in rects.iter().enumerate() {
            places.extend(index.buckets(rect).map(|b| (b as u32, field as u32)));
        }
        places.sort_unstable();
        index.starts = vec![0; columns * rows + 1];
        for &(bucket, _) in &places {
            index.starts[bucket as usize + 1] += 1;
        }
        for b in 0..columns * rows {
            index.starts[b + 1] += index.starts[b];
        }
        index.fields = places.into_iter().map(|(_, field)| field).collect();
        index
    }

    /// The fields that may touch a rectangle, in order, each once; some of them may lie beside it.
    pub fn candidates(&self, rect: Rect) -> Vec<u32> {
        let mut found = Vec::new();
        if self.fields.is_empty() {
            return found;
        }
        for bucket in self.buckets(rect) {
            let range = self.starts[bucket] as usize..self.starts[bucket + 1] as usize;
            found.extend_from_slice(&self.fields[range]);
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    fn buckets(&self, rect: Rect) -> impl Iterator<Item = usize> + use<> {
        let along = |at: f64, min: f64, bucket: f64, count: usize| {
            (((at - min) / bucket).floor().max(0.0) as usize).min(count.saturating_sub(1))
        };
        let x = |at: f64| along(at, self.min.x, self.bucket.x, self.columns);
        let y = |at: f64| along(at, self.min.y, self.bucket.y, self.rows);
        let (left, right, columns) = (x(rect.min.x), x(rect.max.x), self.columns);
        (y(rect.min.y)..=y(rect.max.y)).flat_map(move |row| (left..=right).map(move |column| row * columns + column))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rect(x: f64, y: f64, width: f64, height: f64) -> Rect {
        Rect::new(Point::new(x, y), Point::new(x + width, y + height))
    }

    #[test]
    fn every_field_that_touches_a_rectangle_is_among_the_candidates() {
        let mut state = 1_u64;
        let mut random = |below: f64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as f64 / (1_u64 << 31) as f64 * below
        };
        let mut rects: Vec<Rect> =
            (0..300).map(|_| rect(random(9000.0), random(500.0), 1.0 + random(200.0), 1.0 + random(90.0))).collect();
        rects.push(rect(1e6, 1e6, 2000.0, 10.0));
        let index = FieldIndex::new(&rects);
        assert!(index.columns * index.rows <= 5 * rects.len(), "{} x {} buckets", index.columns, index.rows);
        for _ in 0..300 {
            let wanted = rect(random(9500.0) - 200.0, random(700.0) - 100.0, random(600.0), random(50.0));
            let found = index.candidates(wanted);
            assert!(found.is_sorted());
            for (field, r) in rects.iter().enumerate() {
                if r.intersect(wanted).is_some() {
                    assert!(found.contains(&(field as u32)), "field {field} is missing");
                }
            }
        }
        assert_eq!(index.candidates(rect(1e6 + 5.0, 1e6 + 5.0, 1.0, 1.0)).last(), Some(&300));
    }

    #[test]
    fn fields_on_one_place_are_refused_and_a_dense_mosaic_is_not() {
        let dense: Vec<Rect> =
            (0..10_000).map(|n| rect(f64::from(n % 100) * 10.0, f64::from(n / 100) * 8.0, 100.0, 80.0)).collect();
        assert_eq!(crowd_words(&dense), None);
        let words = crowd_words(&vec![rect(0.0, 0.0, 100.0, 80.0); 20_000]).expect("refused");
        assert!(words.starts_with("20000 fields stand on one place"), "{words}");
        assert_eq!(crowd_words(&[rect(0.0, 0.0, 100.0, 80.0); 9]), None);
        assert_eq!(crowd_words(&[]), None);
    }

    #[test]
    fn an_index_of_nothing_finds_nothing() {
        assert!(FieldIndex::new(&[]).candidates(rect(0.0, 0.0, 9.0, 9.0)).is_empty());
    }
}
