//! Calendar dates in a tool that stores instants.
//!
//! Leantime stores UTC; its web page writes a due date as the end of the local day and a start as its beginning, while
//! other clients write midnight UTC for "this day, anywhere". So exactly 00:00:00 UTC is read as the day itself, and
//! everything else as the local day it falls on.

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

const STORED: &str = "%Y-%m-%d %H:%M:%S";

/// A stored text as date and time. A year is written with a sign and any number of digits by nobody but a broken server, and
/// at the ends of what can be counted each step further would overflow.
fn parse(stored: &str) -> Option<NaiveDateTime> {
    let instant = NaiveDateTime::parse_from_str(stored, STORED).ok()?;
    (1..=9999).contains(&instant.year()).then_some(instant)
}

/// The calendar day of a stored instant.
pub(crate) fn day_of(stored: &str, zone: Tz) -> Option<NaiveDate> {
    let instant = parse(stored)?;
    if instant.time() == NaiveTime::MIN {
        return Some(instant.date());
    }
    let day = instant.and_utc().with_timezone(&zone).date_naive();
    (1..=9999).contains(&day.year()).then_some(day)
}

/// How the end of a day is stored; `None` if the tool cannot hold that day.
pub(crate) fn end_of_day(day: NaiveDate, zone: Tz) -> Option<String> {
    let last = day.and_hms_opt(23, 59, 59)?;
    let local = zone.from_local_datetime(&last);
    stored(day, local.latest().or_else(|| shifted(last, zone, -1))?, zone)
}

/// How the beginning of a day is stored; `None` if the tool cannot hold that day.
pub(crate) fn start_of_day(day: NaiveDate, zone: Tz) -> Option<String> {
    let first = day.and_time(NaiveTime::MIN);
    let local = zone.from_local_datetime(&first);
    stored(day, local.earliest().or_else(|| shifted(first, zone, 1))?, zone)
}

/// In some places the clock jumps over midnight: the next hour that exists.
fn shifted(local: NaiveDateTime, zone: Tz, hours: i64) -> Option<DateTime<Tz>> {
    zone.from_local_datetime(&(local + TimeDelta::hours(hours))).earliest()
}

fn stored(day: NaiveDate, instant: DateTime<Tz>, zone: Tz) -> Option<String> {
    let text = instant.with_timezone(&Utc).format(STORED).to_string();
    ((1000..=9998).contains(&day.year()) && day_of(&text, zone) == Some(day)).then_some(text)
}

/// How a stored instant is sent: with its zone, for without one it would be read as local time and move.
pub(crate) fn sent(stored: &str) -> Option<String> {
    Some(parse(stored)?.format("%Y-%m-%dT%H:%M:%SZ").to_string())
}

/// A stored UTC stamp as an instant.
pub(crate) fn instant(stored: &str) -> Option<DateTime<Utc>> {
    parse(stored).map(|instant| instant.and_utc())
}

#[cfg(test)]
mod tests {
    use chrono_tz::{Africa, America, Asia, Atlantic, Australia, Europe, Pacific};

    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn a_due_date_is_the_end_of_the_local_day_as_the_web_page_writes_it() {
        assert_eq!(
            end_of_day(day("2026-12-24"), America::Los_Angeles).as_deref(),
            Some("2026-12-25 07:59:59")
        );
        assert_eq!(
            start_of_day(day("2026-12-24"), America::Los_Angeles).as_deref(),
            Some("2026-12-24 08:00:00")
        );
        assert_eq!(sent("2026-12-25 07:59:59").as_deref(), Some("2026-12-25T07:59:59Z"));
    }

    #[test]
    fn midnight_utc_is_the_day_itself_in_every_zone() {
        for zone in [America::Los_Angeles, Asia::Tokyo, Pacific::Kiritimati] {
            assert_eq!(day_of("2026-12-24 00:00:00", zone), Some(day("2026-12-24")));
        }
        assert_eq!(
            day_of("2026-12-24 20:00:00", America::Los_Angeles),
            Some(day("2026-12-24")),
            "local noon"
        );
    }

    #[test]
    fn every_day_survives_where_the_clock_jumps() {
        let zones = [
            America::Los_Angeles,
            America::Havana,
            America::Santiago,
            America::Asuncion,
            America::St_Johns,
            Asia::Beirut,
            Asia::Gaza,
            Asia::Kathmandu,
            Africa::Cairo,
            Europe::Berlin,
            Europe::London,
            Atlantic::Azores,
            Australia::Lord_Howe,
            Pacific::Kiritimati,
            Pacific::Niue,
            chrono_tz::UTC,
        ];
        for zone in zones {
            let mut at = day("2026-01-01");
            while at < day("2027-01-01") {
                for stored in [end_of_day(at, zone), start_of_day(at, zone)] {
                    let stored = stored.unwrap_or_else(|| panic!("{at} in {zone}"));
                    assert_eq!(day_of(&stored, zone), Some(at), "{stored} in {zone}");
                }
                at = at.succ_opt().unwrap();
            }
        }
    }

    #[test]
    fn what_is_no_date_is_none() {
        assert_eq!(day_of("garbage", Europe::Berlin), None);
        for beyond in [
            "-262143-01-01 00:00:01",
            "+262142-12-31 23:59:59",
            "+10000-01-01 00:00:00",
            "0000-00-00 00:00:00",
        ] {
            assert_eq!(day_of(beyond, America::Los_Angeles), None, "{beyond}");
            assert_eq!(instant(beyond), None, "{beyond}");
            assert_eq!(sent(beyond), None, "{beyond}");
        }
        assert_eq!(day_of("9999-12-31 23:59:59", Pacific::Kiritimati), None);
        assert_eq!(day_of("9999-12-31 23:59:59", Pacific::Niue), Some(day("9999-12-31")));
        assert_eq!(end_of_day(NaiveDate::MAX, Europe::Berlin), None);
    }
}
