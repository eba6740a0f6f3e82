//! Durations, and how work, remaining work and percentage derive each other.

use super::error::Cause;
use super::options::Progress;
use super::request::Attributes;
use super::types::{Status, WorkPackage};

/// Minutes of an ISO 8601 duration of weeks, days (of 24 hours), hours, minutes and seconds; parts may be fractions.
pub(super) fn parse_duration(text: &str) -> Option<i64> {
    let rest = text.strip_prefix('P')?;
    if rest.is_empty() || rest.ends_with('T') {
        return None;
    }
    let mut minutes = 0.0_f64;
    let mut number = String::new();
    let mut in_time = false;
    for character in rest.chars() {
        match character {
            'T' if !in_time && number.is_empty() => in_time = true,
            '0'..='9' | '.' => number.push(character),
            unit => {
                let value: f64 = number.parse().ok()?;
                number.clear();
                minutes += value
                    * match (unit, in_time) {
                        ('W', false) => 10_080.0,
                        ('D', false) => 1_440.0,
                        ('H', true) => 60.0,
                        ('M', true) => 1.0,
                        ('S', true) => 1.0 / 60.0,
                        _ => return None,
                    };
            }
        }
    }
    // Within the range of any duration in use; a cast of a finite f64 saturates.
    number.is_empty().then_some(minutes.round() as i64)
}

/// As the API shows it: days of 24 hours first, `P1DT12H`; nothing is `PT0S`.
pub(super) fn format_duration(minutes: i64) -> String {
    let (days, hours, rest) = (minutes / 1440, minutes % 1440 / 60, minutes % 60);
    let mut text = "P".to_owned();
    if days > 0 {
        text.push_str(&format!("{days}D"));
    }
    if hours > 0 || rest > 0 {
        text.push('T');
        if hours > 0 {
            text.push_str(&format!("{hours}H"));
        }
        if rest > 0 {
            text.push_str(&format!("{rest}M"));
        }
    }
    if text == "P" { "PT0S".to_owned() } else { text }
}

/// Applies what was sent about progress to `item`, and derives the rest.
pub(super) fn apply(item: &mut WorkPackage, sent: &Attributes, mode: Progress, status: Option<&Status>) -> Vec<Cause> {
    let before = item.clone();
    if let Some(estimated) = sent.estimated_minutes {
        item.estimated_minutes = estimated;
    }
    if let Some(remaining) = sent.remaining_minutes {
        item.remaining_minutes = remaining;
    }
    if let Some(percentage) = sent.percentage_done {
        item.percentage_done = percentage;
    }
    let mut causes = Vec::new();
    if item
        .percentage_done
        .is_some_and(|percentage| !(0..=100).contains(&percentage))
    {
        causes.push(Cause::constraint(
            "percentageDone",
            "% Complete must be between 0 and 100.",
        ));
    }
    match mode {
        Progress::Independent => {}
        Progress::WorkBased => derive_work_based(item, &before, sent, &mut causes),
        Progress::StatusBased => derive_status_based(item, &before, sent, status, &mut causes),
    }
    causes
}

/// What remains, to the nearest minute.
fn share(work: i64, percentage: i64) -> i64 {
    (work * (100 - percentage) + 50) / 100
}

/// To the nearest percent; but what is begun is not at 0, and what is not done not at 100.
fn percentage(work: i64, remaining: i64) -> Option<i64> {
    let done = work - remaining;
    let nearest = || match (done * 100 + work / 2) / work {
        0 if done > 0 => 1,
        100 if remaining > 0 => 99,
        nearest => nearest,
    };
    (work > 0).then(nearest)
}

fn derive_work_based(item: &mut WorkPackage, before: &WorkPackage, sent: &Attributes, causes: &mut Vec<Cause>) {
    let work_sent = sent.estimated_minutes.is_some();
    let remaining_sent = sent.remaining_minutes.is_some();
    let percentage_sent = sent.percentage_done.is_some();
    match (work_sent, remaining_sent, percentage_sent) {
        (true, false, false) => match (
            item.estimated_minutes,
            before.estimated_minutes,
            before.remaining_minutes,
        ) {
            (None, ..) => item.remaining_minutes = None,
            (Some(work), Some(old_work), Some(old_remaining)) => {
                item.remaining_minutes = Some((old_remaining + work - old_work).clamp(0, work.max(0)));
                item.percentage_done = percentage(work, item.remaining_minutes.unwrap_or(0));
            }
            (Some(work), ..) => {
                let done = before.percentage_done.unwrap_or(0);
                item.remaining_minutes = Some(share(work, done));
                item.percentage_done = Some(done);
            }
        },
        (false, true, false) => {
            if let (Some(work), Some(remaining)) = (item.estimated_minutes, item.remaining_minutes) {
                item.percentage_done = percentage(work, remaining);
            }
        }
        (_, false, true) => {
            if let (Some(work), Some(done)) = (item.estimated_minutes, item.percentage_done) {
                item.remaining_minutes = Some(share(work, done));
            }
        }
        (true, true, false) => {
            if let (Some(work), Some(remaining)) = (item.estimated_minutes, item.remaining_minutes) {
                item.percentage_done = percentage(work, remaining);
            }
        }
        (false, true, true) => {
            if let (Some(remaining), Some(done)) = (item.remaining_minutes, item.percentage_done)
                && done < 100
            {
                item.estimated_minutes = Some(remaining * 100 / (100 - done));
            }
        }
        (true, true, true) => {
            if let (Some(work), Some(remaining), Some(done)) =
                (item.estimated_minutes, item.remaining_minutes, item.percentage_done)
                && percentage(work, remaining).is_some_and(|expected| expected != done)
            {
                causes.push(Cause::constraint(
                    "percentageDone",
                    "% Complete does not match Work and Remaining work.",
                ));
            }
        }
        (false, false, false) => {}
    }
    if let (Some(work), Some(remaining)) = (item.estimated_minutes, item.remaining_minutes)
        && remaining > work
    {
        causes.push(Cause::constraint(
            "remainingTime",
            "Remaining work cannot be higher than Work.",
        ));
    }
    if item.percentage_done == Some(100) && item.remaining_minutes.is_some_and(|remaining| remaining > 0) {
        causes.push(Cause::constraint(
            "remainingTime",
            "Remaining work must be 0h when % Complete is 100%.",
        ));
    }
}

fn derive_status_based(
    item: &mut WorkPackage,
    before: &WorkPackage,
    sent: &Attributes,
    status: Option<&Status>,
    causes: &mut Vec<Cause>,
) {
    if sent
        .percentage_done
        .is_some_and(|percentage| percentage != before.percentage_done)
    {
        causes.push(Cause::read_only("percentageDone"));
    }
    item.percentage_done = status.map(|status| status.default_done_ratio);
    item.remaining_minutes = match (item.estimated_minutes, item.percentage_done) {
        (Some(work), Some(done)) => Some(share(work, done)),
        _ => None,
    };
}
