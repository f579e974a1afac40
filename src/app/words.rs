//! Numbers and sizes as people read them: thin spaces, units, no jargon.

/// Between thousands and before units.
pub const THIN: char = '\u{2009}';
/// The minus sign.
const MINUS: char = '\u{2212}';

/// A whole number with thin spaces between thousands, from five digits on as in print.
pub fn grouped(n: i128) -> String {
    let digits = n.unsigned_abs().to_string();
    let mut out = String::with_capacity(digits.len() + 6);
    if n < 0 {
        out.push(MINUS);
    }
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) && digits.len() > 3 {
            out.push(THIN);
        }
        out.push(digit);
    }
    out
}

/// A number with a fixed count of decimals and grouped thousands.
pub fn decimal(value: f64, decimals: usize) -> String {
    if !value.is_finite() {
        return "–".to_owned();
    }
    let text = format!("{:.decimals$}", value.abs());
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let whole = whole.parse::<i128>().map_or_else(|_| whole.to_owned(), grouped);
    let sign =
        if value < 0.0 && text.bytes().any(|b| (b'1'..=b'9').contains(&b)) { MINUS.to_string() } else { String::new() };
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

/// A number with about `digits` significant figures, without trailing zeros.
pub fn significant(value: f64, digits: i32) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let magnitude = value.abs().log10().floor();
    if !magnitude.is_finite() {
        return "–".to_owned();
    }
    if !(-6.0..15.0).contains(&magnitude) {
        return format!("{value:.*e}", (digits - 1).max(0) as usize);
    }
    let decimals = (digits - 1 - magnitude as i32).max(0) as usize;
    let text = decimal(value, decimals);
    if decimals == 0 { text } else { text.trim_end_matches('0').trim_end_matches('.').to_owned() }
}

/// Bytes in the largest decimal unit that keeps the number above one.
pub fn bytes(n: u64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let mut value = n as f64;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    let decimals = usize::from(unit >= 3 && value < 99.95);
    format!("{value:.decimals$}{THIN}{}", UNITS[unit])
}

/// Micrometres a pixel.
pub fn pixel_size(um_per_px: [f64; 2]) -> String {
    let [x, y] = um_per_px;
    if (x - y).abs() <= x.abs() * 1e-3 {
        format!("{}{THIN}µm", significant(x, 4))
    } else {
        format!("{} × {}{THIN}µm", significant(x, 4), significant(y, 4))
    }
}

/// A size in pixels.
pub fn size(width: u32, height: u32) -> String {
    format!("{} × {}{THIN}px", grouped(width.into()), grouped(height.into()))
}

/// A place in micrometres, or in millimetres from a millimetre on: the same unit for both numbers.
pub fn place_um(x_um: f64, y_um: f64) -> String {
    if x_um.abs().max(y_um.abs()) >= 1000.0 {
        format!("{}, {}{THIN}mm", decimal(x_um / 1000.0, 3), decimal(y_um / 1000.0, 3))
    } else {
        format!("{}, {}{THIN}µm", decimal(x_um, 1), decimal(y_um, 1))
    }
}

/// A magnification, "20x".
pub fn magnification(times: f64) -> String {
    format!("{}x", if times >= 100.0 { decimal(times, 0) } else { significant(times, 2) })
}

/// A fraction as a percentage.
pub fn percent(fraction: f64) -> String {
    let value = fraction * 100.0;
    let decimals = if value < 1.0 { 2 } else { usize::from(value < 10.0) };
    let text = decimal(value, decimals);
    let text = if decimals > 0 { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text}{THIN}%")
}

/// How long something still takes, roughly.
pub fn time_left(secs: f64) -> String {
    match secs {
        s if s < 1.5 => "1\u{2009}s left".to_owned(),
        s if s < 90.0 => format!("{s:.0}{THIN}s left"),
        s if s < 5400.0 => format!("{:.0}{THIN}min left", s / 60.0),
        s => format!("{:.0}{THIN}h left", s / 3600.0),
    }
}

/// How far something is, a share from 0 to 1, and how long it still takes: what of both is known.
pub fn how_far(share: Option<f32>, secs_left: Option<f64>) -> String {
    let share = share.map(|s| format!("{:.0}{THIN}%", s * 100.0));
    let known: Vec<String> = share.into_iter().chain(secs_left.map(time_left)).collect();
    known.join(", ")
}

/// How far fields are from where a seam wants them, pixels: what is smaller than anyone can see is not told.
pub fn disagreement(px: f64) -> String {
    if px < 0.01 { format!("under 0.01{THIN}px") } else { format!("{}{THIN}px", significant(px, 2)) }
}

/// How long something takes, roughly.
pub fn duration(secs: f64) -> String {
    match secs {
        s if s < 1.0 => format!("under 1{THIN}s"),
        s if s < 90.0 => format!("{s:.0}{THIN}s"),
        s if s < 5400.0 => format!("{:.0}{THIN}min", s / 60.0),
        s => format!("{:.0}{THIN}h", s / 3600.0),
    }
}

/// A unit that was typed or written by a file in ASCII, as it should be.
pub fn with_micro(text: &str) -> String {
    text.split_inclusive(|c: char| !c.is_alphabetic())
        .map(|word| match word.strip_prefix("um") {
            Some(rest) if !rest.starts_with(char::is_alphabetic) => format!("µm{rest}"),
            _ => word.to_owned(),
        })
        .collect()
}

/// An error or a warning as a line of its own.
pub fn sentence(text: &str) -> String {
    let text = with_micro(text);
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// The number in a text that a person typed: a comma may be the decimal point, spaces may group, a unit may follow.
pub fn parse_number(text: &str) -> Option<f64> {
    let text = text.trim().trim_end_matches("µm").trim_end_matches("um").trim_end_matches(['°', 'x', '%']);
    let plain: String = text.chars().filter(|c| !c.is_whitespace()).map(|c| if c == ',' { '.' } else { c }).collect();
    plain.replace(MINUS, "-").parse().ok().filter(|v: &f64| v.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thin_spaces() {
        assert_eq!(grouped(1234567), "1\u{2009}234\u{2009}567");
        assert_eq!(grouped(-999), "\u{2212}999");
        assert_eq!(decimal(12430.25, 1), "12\u{2009}430.2");
        assert_eq!(decimal(-0.01, 1), "0.0");
        assert_eq!(size(19912, 840), "19\u{2009}912 × 840\u{2009}px");
    }

    #[test]
    fn sizes_have_units_people_know() {
        assert_eq!(bytes(31_400_000), "31\u{2009}MB");
        assert_eq!(bytes(999_600_000), "1.0\u{2009}GB");
        assert_eq!(pixel_size([0.2527, 0.2527]), "0.2527\u{2009}µm");
        assert_eq!(pixel_size([0.5, 0.25]), "0.5 × 0.25\u{2009}µm");
        assert_eq!(place_um(6220.0, 4.0), "6.220, 0.004\u{2009}mm");
        assert_eq!(percent(0.5), "50\u{2009}%");
        assert_eq!(magnification(20.0), "20x");
        assert_eq!(magnification(3.78), "3.8x");
        assert_eq!(with_micro("12 um per px, umbra um, um"), "12 µm per px, umbra µm, µm");
        assert_eq!(sentence("no such file"), "No such file");
    }

    #[test]
    fn how_far_something_is_has_no_comma_where_one_part_is_not_known() {
        assert_eq!(how_far(Some(0.5), Some(36.0)), "50\u{2009}%, 36\u{2009}s left");
        assert_eq!(how_far(None, Some(36.0)), "36\u{2009}s left");
        assert_eq!(how_far(Some(0.5), None), "50\u{2009}%");
    }

    #[test]
    fn typed_numbers_are_understood_however_people_write_them() {
        assert_eq!(parse_number(" 0,25 µm "), Some(0.25));
        assert_eq!(parse_number("12\u{2009}430"), Some(12430.0));
        assert_eq!(parse_number("90°"), Some(90.0));
        assert_eq!(parse_number("nan"), None);
        assert_eq!(parse_number("ten"), None);
    }
}
