//! Names of lengths as files write them.

/// Micrometres in a unit, for the lengths that microscope software writes; nothing for pixels and unknown words.
pub fn um_of_unit(name: &str) -> Option<f64> {
    let name = name.trim().replace("\\u00B5", "µ").replace("\\u00b5", "µ").replace('\u{3bc}', "µ");
    Some(match name.as_str() {
        "µm" | "um" | "micron" | "microns" | "micrometer" | "micrometre" | "Âµm" => 1.0,
        "nm" | "nanometer" | "nanometre" => 1e-3,
        "pm" => 1e-6,
        "Å" | "\u{212b}" => 1e-4,
        "mm" | "millimeter" | "millimetre" => 1e3,
        "cm" => 1e4,
        "m" | "meter" | "metre" => 1e6,
        "in" | "inch" => 25_400.0,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn micrometres_are_known_by_all_their_spellings() {
        for name in ["µm", "\u{3bc}m", "um", "micron", "\\u00B5m", " µm "] {
            assert_eq!(um_of_unit(name), Some(1.0), "{name}");
        }
        assert_eq!(um_of_unit("nm"), Some(1e-3));
        assert_eq!(um_of_unit("pixel"), None);
    }
}
