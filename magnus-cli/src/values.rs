//! Values of task fields as people type them.

use chrono::NaiveDate;
use magnus_core::model::{Field, Person, Value};

use crate::failure::Failure;

/// Reads a value of a field; blank text clears. Parents are tasks and are looked up by who calls this.
pub(crate) fn parse(field: Field, text: &str) -> Result<Value, Failure> {
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return Ok(Value::Empty);
    }
    let refused = |expected: &str| Failure::usage(format!("{field}: {text:?} is not {expected}"));
    Ok(match field {
        Field::Title => Value::text(trimmed),
        Field::Description => Value::text(text),
        Field::Status => Value::Status(trimmed.parse().map_err(unknown)?),
        Field::Priority => Value::Priority(trimmed.parse().map_err(unknown)?),
        Field::Assignee => Person::parse(trimmed).map_or(Value::Empty, Value::Person),
        Field::StartDate | Field::DueDate => {
            let date = NaiveDate::parse_from_str(trimmed, "%Y-%m-%d");
            Value::Date(date.map_err(|_| refused("a date such as 2026-12-24"))?)
        }
        Field::EstimatedHours | Field::RemainingHours | Field::ActualHours => {
            Value::Minutes(minutes(trimmed).ok_or_else(|| refused("an amount of hours such as 1.5 or 1h30"))?)
        }
        Field::PercentageDone => {
            let percent = trimmed.trim_end_matches('%').trim_end().parse().ok();
            let percent = percent.filter(|percent| *percent <= 100);
            Value::Percent(percent.ok_or_else(|| refused("a whole number from 0 to 100"))?)
        }
        Field::Parent => Value::Task(trimmed.parse().map_err(|_| refused("the id of a task"))?),
        Field::Tags => Value::tags(
            trimmed
                .split(',')
                .map(|tag| tag.trim().to_owned())
                .filter(|tag| !tag.is_empty())
                .collect(),
        ),
    })
}

fn unknown(error: magnus_core::model::UnknownName) -> Failure {
    Failure::usage(error.to_string())
}

/// `2`, `1.5`, `1h30`, `1h30m`, `90m`.
fn minutes(text: &str) -> Option<u32> {
    let most = f64::from(u32::MAX);
    if let Some(minutes) = text.strip_suffix('m').filter(|rest| !rest.contains('h')) {
        return minutes.trim().parse().ok();
    }
    if let Some((hours, minutes)) = text.split_once('h') {
        let minutes = minutes.trim().trim_end_matches('m');
        let minutes: u32 = if minutes.is_empty() { 0 } else { minutes.parse().ok()? };
        return hours.trim().parse::<u32>().ok()?.checked_mul(60)?.checked_add(minutes);
    }
    let minutes = (text.parse::<f64>().ok()? * 60.0).round();
    // In range, so nothing is cut off.
    (0.0..=most).contains(&minutes).then_some(minutes as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_are_read_in_every_usual_form() {
        for (text, expected) in [
            ("2", 120),
            ("1.5", 90),
            ("1h30", 90),
            ("1h30m", 90),
            ("2h", 120),
            ("45m", 45),
        ] {
            assert_eq!(
                parse(Field::EstimatedHours, text).unwrap(),
                Value::Minutes(expected),
                "{text}"
            );
        }
        for text in ["-1", "NaN", "inf", "1e99", "two", "h", "9999999999h"] {
            assert!(parse(Field::EstimatedHours, text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_refused_and_blank_clears() {
        for (field, text) in [
            (Field::DueDate, "24.12.2026"),
            (Field::DueDate, "2026-02-30"),
            (Field::PercentageDone, "101"),
            (Field::PercentageDone, "-1"),
            (Field::Status, "finished"),
            (Field::Parent, "seven"),
        ] {
            assert!(parse(field, text).is_err(), "{field} {text}");
            assert_eq!(parse(field, "  ").unwrap(), Value::Empty);
        }
        assert_eq!(parse(Field::PercentageDone, "40 %").unwrap(), Value::Percent(40));
        assert_eq!(parse(Field::Tags, "a, b,,a").unwrap().to_string(), "a, b");
    }
}
