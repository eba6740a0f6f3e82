//! Dates: what was sent, what derives from it, and the working days.

use chrono::{Datelike, Days, NaiveDate, Weekday};

use super::error::Cause;
use super::request::Attributes;
use super::types::WorkPackage;

/// Whether a day counts, and where a date lands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Calendar {
    pub(super) weekends_off: bool,
}

impl Calendar {
    fn works(self, day: NaiveDate) -> bool {
        !self.weekends_off || !matches!(day.weekday(), Weekday::Sat | Weekday::Sun)
    }

    fn next_working_day(self, day: NaiveDate) -> NaiveDate {
        let mut at = day;
        while !self.works(at) {
            match at.checked_add_days(Days::new(1)) {
                Some(next) => at = next,
                None => return day,
            }
        }
        at
    }

    /// Days from `start` to `due`, both included.
    pub(super) fn duration(self, start: NaiveDate, due: NaiveDate) -> i64 {
        if !self.weekends_off {
            return (due - start).num_days() + 1;
        }
        let days = start
            .iter_days()
            .take_while(|day| *day <= due)
            .filter(|day| self.works(*day))
            .count();
        i64::try_from(days).unwrap_or(i64::MAX)
    }

    pub(super) fn day_after(self, day: NaiveDate) -> Option<NaiveDate> {
        day.checked_add_days(Days::new(1))
            .map(|next| self.next_working_day(next))
    }

    pub(super) fn due_after(self, start: NaiveDate, duration: i64) -> Option<NaiveDate> {
        let wanted = usize::try_from(duration)
            .ok()
            .filter(|days| (1..=36_500).contains(days))?;
        start.iter_days().filter(|day| self.works(*day)).nth(wanted - 1)
    }
}

/// Applies the dates that were sent to `item` and derives the missing one.
pub(super) fn apply(item: &mut WorkPackage, sent: &Attributes, weekends_off: bool, milestone: bool) -> Vec<Cause> {
    if let Some(ignore) = sent.ignore_non_working_days {
        item.ignore_non_working_days = ignore;
    }
    let before = (item.start_date, item.due_date);
    let (start, due) = match sent.date.filter(|_| milestone) {
        Some(only) => (Some(only), Some(only)),
        None => (sent.start_date, sent.due_date),
    };
    let start = start.unwrap_or(item.start_date);
    let due = due.unwrap_or(item.due_date);
    if !item.schedule_manually {
        let mut causes = Vec::new();
        if start != before.0 {
            causes.push(Cause::read_only("startDate"));
        }
        if due != before.1 {
            causes.push(Cause::read_only("dueDate"));
        }
        return causes;
    }
    let calendar = Calendar {
        weekends_off: weekends_off && !item.ignore_non_working_days,
    };
    let moved = |date: Option<NaiveDate>| date.map(|day| calendar.next_working_day(day));
    item.start_date = if start == before.0 { start } else { moved(start) };
    item.due_date = if due == before.1 { due } else { moved(due) };
    if milestone
        && item
            .start_date
            .zip(item.due_date)
            .is_some_and(|(start, due)| start != due)
    {
        return vec![Cause::constraint(
            "startDate",
            "Start date can not differ from the finish date on a milestone.",
        )];
    }
    derive(item, sent, calendar)
}

fn derive(item: &mut WorkPackage, sent: &Attributes, calendar: Calendar) -> Vec<Cause> {
    if let (Some(start), Some(Some(duration))) = (item.start_date, sent.duration_days)
        && sent.due_date.is_none()
    {
        item.due_date = calendar.due_after(start, duration);
    }
    match (item.start_date, item.due_date) {
        (Some(start), Some(due)) if due < start => {
            vec![Cause::constraint(
                "dueDate",
                "Finish date must be greater than or equal to the start date.",
            )]
        }
        (Some(start), Some(due)) => {
            let duration = calendar.duration(start, due);
            item.duration_days = Some(duration);
            match sent.duration_days {
                Some(Some(sent_duration)) if sent_duration != duration => {
                    vec![Cause::constraint(
                        "duration",
                        "Duration does not match start date and finish date.",
                    )]
                }
                _ => Vec::new(),
            }
        }
        _ => {
            item.duration_days = sent.duration_days.flatten();
            Vec::new()
        }
    }
}
