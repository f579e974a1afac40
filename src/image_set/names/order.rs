//! The order of names, and of the numbers in them.

use std::collections::{BTreeSet, HashMap};

/// Rows or columns (or any indices) as steps of one: `140, 141`, `0, 10, 30` -> `0, 1, 3`.
pub fn steps_of_one(values: impl Iterator<Item = i64>) -> HashMap<i64, i64> {
    let values: BTreeSet<i64> = values.collect();
    let first = values.iter().next().copied().unwrap_or(0);
    let divisor = values.iter().fold(0, |gcd, v| greatest_divisor(gcd, v - first)).max(1);
    values.into_iter().map(|v| (v, (v - first) / divisor)).collect()
}

fn greatest_divisor(a: i64, b: i64) -> i64 {
    if b == 0 { a.abs() } else { greatest_divisor(b, a % b) }
}

/// Orders names as people do: numbers by their value.
pub fn natural_order(a: &str, b: &str) -> std::cmp::Ordering {
    use std::cmp::Ordering::Equal;
    let (mut left, mut right) = (a, b);
    while !left.is_empty() && !right.is_empty() {
        let digits = |s: &str| s.len() - s.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (dl, dr) = (digits(left), digits(right));
        let (len_left, len_right) = if dl > 0 && dr > 0 {
            let (nl, nr) = (left[..dl].trim_start_matches('0'), right[..dr].trim_start_matches('0'));
            let order = nl.len().cmp(&nr.len()).then_with(|| nl.cmp(nr));
            if order != Equal {
                return order;
            }
            (dl, dr)
        } else {
            let (cl, cr) = (left.chars().next(), right.chars().next());
            if cl != cr {
                return cl.cmp(&cr);
            }
            (cl.map_or(0, char::len_utf8), cr.map_or(0, char::len_utf8))
        };
        (left, right) = (&left[len_left..], &right[len_right..]);
    }
    left.len().cmp(&right.len()).then_with(|| a.cmp(b))
}
