//! How a date that is sent becomes what is stored: UTC without a marker, read as the server's local time unless it
//! carries an offset, and a zero date whenever it is not understood.

use chrono::{DateTime, Days, NaiveDate, NaiveDateTime, NaiveTime, TimeZone, Utc};
use chrono_tz::Tz;

use super::Dialect;
use super::state::ZERO_DATE;

/// Which of the three date columns a value is for; they do not agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    Due,
    Start,
    End,
}

pub(super) fn parse(input: &str, column: Column, dialect: Dialect, zone: Tz) -> String {
    stored(input, column, dialect, zone).unwrap_or_else(|| ZERO_DATE.to_owned())
}

fn stored(input: &str, column: Column, dialect: Dialect, zone: Tz) -> Option<String> {
    if input.contains('T') {
        // Fractions of a second are not understood.
        let parsed = DateTime::parse_from_rfc3339(input)
            .ok()
            .filter(|_| !input.contains('.'))?;
        return Some(format(parsed.with_timezone(&Utc)));
    }
    if let Ok(local) = NaiveDateTime::parse_from_str(input, "%Y-%m-%d %H:%M:%S") {
        return to_utc(local, zone);
    }
    if is_plain_date(input) {
        if column == Column::Due && dialect != Dialect::V373 {
            let date = NaiveDate::parse_from_str(input, "%Y-%m-%d").ok()?;
            return Some(format!("{date} 00:00:00"));
        }
        return to_utc(overflowing(input)?.and_time(NaiveTime::from_hms_opt(12, 0, 0)?), zone);
    }
    if input.len() == 10 && input.as_bytes()[2] == b'/' {
        let date = NaiveDate::parse_from_str(input, "%m/%d/%Y").ok()?;
        let time = match column {
            Column::Start => NaiveTime::MIN,
            Column::Due | Column::End => NaiveTime::from_hms_opt(23, 59, 59)?,
        };
        return to_utc(date.and_time(time), zone);
    }
    None
}

fn is_plain_date(input: &str) -> bool {
    input.len() == 10
        && input.bytes().enumerate().all(|(at, byte)| {
            if at == 4 || at == 7 {
                byte == b'-'
            } else {
                byte.is_ascii_digit()
            }
        })
}

/// The 31st of February is the 3rd of March.
fn overflowing(input: &str) -> Option<NaiveDate> {
    let day: u64 = input[8..10].parse().ok()?;
    let first = NaiveDate::parse_from_str(&format!("{}-01", &input[..7]), "%Y-%m-%d").ok()?;
    first.checked_add_days(Days::new(day.checked_sub(1)?))
}

/// A local time as it is stored.
pub(super) fn local(time: Option<NaiveDateTime>, zone: Tz) -> Option<String> {
    time.and_then(|time| to_utc(time, zone))
}

fn to_utc(local: NaiveDateTime, zone: Tz) -> Option<String> {
    let found = zone.from_local_datetime(&local);
    found
        .earliest()
        .or_else(|| found.latest())
        .map(|instant| format(instant.with_timezone(&Utc)))
}

fn format(instant: DateTime<Utc>) -> String {
    instant.format("%Y-%m-%d %H:%M:%S").to_string()
}

#[cfg(test)]
mod tests {
    use chrono_tz::America::Los_Angeles;

    use super::*;

    #[test]
    fn dates_are_stored_as_observed() {
        let cases = [
            (
                "2026-12-24",
                "2026-12-24 00:00:00",
                "2026-12-24 20:00:00",
                "2026-12-24 20:00:00",
            ),
            (
                "2026-12-24 10:00:00",
                "2026-12-24 18:00:00",
                "2026-12-24 18:00:00",
                "2026-12-24 18:00:00",
            ),
            (
                "2026-12-24T10:00:00Z",
                "2026-12-24 10:00:00",
                "2026-12-24 10:00:00",
                "2026-12-24 10:00:00",
            ),
            (
                "2026-12-24T10:00:00+05:00",
                "2026-12-24 05:00:00",
                "2026-12-24 05:00:00",
                "2026-12-24 05:00:00",
            ),
            ("2026-12-24T10:00:00.000Z", ZERO_DATE, ZERO_DATE, ZERO_DATE),
            (
                "12/24/2026",
                "2026-12-25 07:59:59",
                "2026-12-24 08:00:00",
                "2026-12-25 07:59:59",
            ),
            ("24.12.2026", ZERO_DATE, ZERO_DATE, ZERO_DATE),
            ("garbage", ZERO_DATE, ZERO_DATE, ZERO_DATE),
            ("2026-02-31", ZERO_DATE, "2026-03-03 20:00:00", "2026-03-03 20:00:00"),
            (ZERO_DATE, ZERO_DATE, ZERO_DATE, ZERO_DATE),
        ];
        for (input, due, start, end) in cases {
            assert_eq!(parse(input, Column::Due, Dialect::V398, Los_Angeles), due, "{input}");
            assert_eq!(
                parse(input, Column::Start, Dialect::V398, Los_Angeles),
                start,
                "{input}"
            );
            assert_eq!(parse(input, Column::End, Dialect::V398, Los_Angeles), end, "{input}");
        }
        assert_eq!(
            parse("2026-12-24", Column::Due, Dialect::V373, Los_Angeles),
            "2026-12-24 20:00:00"
        );
    }
}
