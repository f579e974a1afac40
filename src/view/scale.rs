//! Lengths on the screen: the scale bar and the magnification.

/// The micrometres a physical screen pixel shows at magnification 1: a 10x objective shows about one.
pub const MAGNIFICATION_UM: f64 = 10.0;

/// A bar of a round length.
#[derive(Debug, Clone, PartialEq)]
pub struct ScaleBar {
    /// Its length in physical screen pixels.
    pub length_screen_px: f64,
    /// Its length in words, "50 µm".
    pub label: String,
}

/// The longest bar of 1, 2 or 5 times a power of ten that is at most `max_screen_px` long; `None` when there is no room
/// or no scale.
///
/// `um_per_px` is the width of a level-0 pixel, `None` when uncalibrated (the bar counts pixels then), `zoom` the physical
/// screen pixels it takes.
pub fn scale_bar(um_per_px: Option<f64>, zoom: f64, max_screen_px: f64) -> Option<ScaleBar> {
    let units_per_screen_px = um_per_px.unwrap_or(1.0) / zoom;
    let longest = units_per_screen_px * max_screen_px;
    if !longest.is_finite() || !units_per_screen_px.is_finite() || longest <= 0.0 || units_per_screen_px <= 0.0 {
        return None;
    }
    let mut exponent = longest.log10().floor() as i32;
    // The logarithm of a power of ten may come out a hair too large.
    if 10f64.powi(exponent) > longest {
        exponent -= 1;
    }
    let mantissa = [5.0, 2.0, 1.0].into_iter().find(|m| m * 10f64.powi(exponent) <= longest).unwrap_or(1.0);
    let length = if exponent < 0 { mantissa / 10f64.powi(-exponent) } else { mantissa * 10f64.powi(exponent) };
    let label = match um_per_px {
        None if length < 1.0 => return None,
        None => format!("{}\u{2009}px", grouped(length)),
        Some(_) if length < 1.0 => format!("{}\u{2009}nm", plain(length * 1e3)),
        Some(_) if length < 1e3 => format!("{}\u{2009}µm", plain(length)),
        Some(_) => format!("{}\u{2009}mm", grouped(length / 1e3)),
    };
    Some(ScaleBar { length_screen_px: length / units_per_screen_px, label })
}

/// The magnification at which a calibrated image is seen.
pub fn magnification(um_per_px: f64, zoom: f64) -> f64 {
    MAGNIFICATION_UM * zoom / um_per_px
}

/// The zoom of a magnification.
pub fn zoom_for_magnification(um_per_px: f64, magnification: f64) -> f64 {
    magnification * um_per_px / MAGNIFICATION_UM
}

/// A round length without the noise of binary fractions.
fn plain(length: f64) -> String {
    if length >= 1.0 {
        return format!("{length:.0}");
    }
    let digits = (-length.log10()).ceil().clamp(0.0, 12.0) as usize;
    format!("{length:.digits$}")
}

/// A whole number with thin spaces between thousands.
fn grouped(length: f64) -> String {
    let digits = plain(length);
    if digits.contains('.') || digits.len() < 5 {
        return digits;
    }
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push('\u{2009}');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The length that a label states, in micrometres or pixels.
    fn stated(label: &str) -> f64 {
        let (number, unit) = label.rsplit_once('\u{2009}').expect("a unit");
        let number: f64 = number.replace('\u{2009}', "").parse().expect("a number");
        number
            * if unit == "nm" {
                1e-3
            } else if unit == "mm" {
                1e3
            } else {
                1.0
            }
    }

    #[test]
    fn a_bar_is_as_long_as_its_label_says() {
        for um_per_px in [None, Some(0.2527), Some(0.5), Some(3.1)] {
            for zoom in [0.001, 0.013, 0.37, 1.0, 2.5, 40.0, 64.0] {
                let Some(bar) = scale_bar(um_per_px, zoom, 180.0) else {
                    assert!(um_per_px.is_none() && zoom > 180.0);
                    continue;
                };
                let length = bar.length_screen_px / zoom * um_per_px.unwrap_or(1.0);
                assert!((length / stated(&bar.label) - 1.0).abs() < 1e-9, "{} is {length}", bar.label);
                assert!(bar.length_screen_px <= 180.0 && bar.length_screen_px > 180.0 / 2.6);
            }
        }
    }

    #[test]
    fn labels_are_round_and_in_the_unit_people_use() {
        let label = |um_per_px, zoom, max| scale_bar(um_per_px, zoom, max).map(|bar| bar.label);
        assert_eq!(label(Some(0.5), 1.0, 100.0).as_deref(), Some("50\u{2009}µm"));
        assert_eq!(label(Some(0.25), 64.0, 100.0).as_deref(), Some("200\u{2009}nm"));
        assert_eq!(label(Some(10.0), 1.0, 100.0).as_deref(), Some("1\u{2009}mm"));
        assert_eq!(label(None, 0.01, 150.0).as_deref(), Some("10\u{2009}000\u{2009}px"));
        assert_eq!(label(None, 300.0, 150.0), None);
        assert_eq!(label(Some(0.5), 0.0, 100.0), None);
    }

    #[test]
    fn half_a_micrometre_a_screen_pixel_is_20x() {
        assert!((magnification(0.5, 1.0) - 20.0).abs() < 1e-12);
        assert!((magnification(0.25, zoom_for_magnification(0.25, 10.0)) - 10.0).abs() < 1e-12);
    }
}
