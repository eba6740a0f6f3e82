//! ISO 8601 durations and whole minutes.

/// Minutes of a duration of weeks, days (of 24 hours), hours, minutes and seconds; parts may be fractions. Seconds
/// are rounded to minutes. `None` for anything else, and for more than fits.
pub(crate) fn parse(text: &str) -> Option<u32> {
    let rest = text
        .strip_prefix('P')
        .filter(|rest| !rest.is_empty() && !rest.ends_with('T'))?;
    let mut seconds = 0.0_f64;
    let mut number = String::new();
    let mut in_time = false;
    for character in rest.chars() {
        match character {
            'T' if !in_time && number.is_empty() => in_time = true,
            '0'..='9' | '.' => number.push(character),
            unit => {
                let unit_seconds = match (unit, in_time) {
                    ('W', false) => 604_800.0,
                    ('D', false) => 86_400.0,
                    ('H', true) => 3_600.0,
                    ('M', true) => 60.0,
                    ('S', true) => 1.0,
                    _ => return None,
                };
                seconds += number.parse::<f64>().ok()? * unit_seconds;
                number.clear();
            }
        }
    }
    let minutes = (seconds / 60.0).round();
    // The range is checked, so the cast is exact.
    (number.is_empty() && minutes <= f64::from(u32::MAX)).then_some(minutes as u32)
}

/// Hours and minutes, as the API takes them.
pub(crate) fn format(minutes: u32) -> String {
    match (minutes / 60, minutes % 60) {
        (hours, 0) => format!("PT{hours}H"),
        (0, minutes) => format!("PT{minutes}M"),
        (hours, minutes) => format!("PT{hours}H{minutes}M"),
    }
}

#[cfg(test)]
mod tests {
    use super::{format, parse};

    #[test]
    fn hours_go_in_and_days_come_out_for_the_same_minutes() {
        assert_eq!(parse("P1DT12H"), Some(2160));
        assert_eq!(format(2160), "PT36H");
        for minutes in [0, 1, 59, 60, 61, 1440, 100_000] {
            assert_eq!(parse(&format(minutes)), Some(minutes));
        }
        assert_eq!(parse("PT1.5H"), Some(90));
        assert_eq!(parse("P2W"), Some(20_160));
        assert_eq!(parse("PT0S"), Some(0));
        assert_eq!(parse("PT89S"), Some(1));
    }

    #[test]
    fn what_is_no_duration_is_none() {
        for text in ["", "P", "PT", "8h", "PT5", "P5H", "PT1D", "-PT1H", "PT9999999999999H"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
