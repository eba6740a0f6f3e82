//! What people typed, so that it can be looked for in the end.
//!
//! Whatever is typed carries a mark that nothing else has: a text and a tag the word `no17`, a day and an amount are unique
//! by themselves.

use std::collections::{BTreeSet, HashSet};

use chrono::{Days, NaiveDate, NaiveDateTime, TimeZone, Utc};
use chrono_tz::America::Los_Angeles;
use magnus_core::model::{ConnectionId, ExternalId, Field, Task, TaskId, Value};
use magnus_testkit::sim::leantime::Ticket;
use magnus_testkit::sim::openproject::WorkPackage;

pub(crate) type Marks = BTreeSet<String>;

/// What people did in a case.
#[derive(Debug, Default)]
pub(crate) struct Book {
    serial: u32,
    typed: Marks,
    replaced: Marks,
    /// A deletion on its way may take along what is typed now: no tool tells it in time.
    pub(crate) in_danger: bool,
    pub(crate) deleted_tasks: HashSet<TaskId>,
    pub(crate) deleted_items: HashSet<(ConnectionId, ExternalId)>,
}

impl Book {
    /// A number that nothing had before.
    pub(crate) fn number(&mut self) -> u32 {
        self.serial += 1;
        self.serial
    }

    /// A text with a mark of its own in the place of `{}`.
    pub(crate) fn text(&mut self, pattern: &str) -> String {
        pattern.replace("{}", &format!("no{}", self.number()))
    }

    /// A day that nothing had before, so many days or more after the first of December.
    pub(crate) fn day(&mut self, after: u64) -> NaiveDate {
        let first: NaiveDate = "2026-12-01".parse().unwrap();
        first + Days::new(after + u64::from(self.number()))
    }

    /// Minutes that nothing had before: whole quarters of an hour, in which all tools can say it.
    pub(crate) fn minutes(&mut self) -> u32 {
        15 * self.number()
    }

    /// Somebody had `before` in front of him and left `after` behind.
    pub(crate) fn edited(&mut self, before: &Marks, after: &Marks) {
        if !self.in_danger {
            self.typed.extend(after.difference(before).cloned());
        }
        self.replaced.extend(before.difference(after).cloned());
    }

    /// Somebody did away with these by hand, or with what holds them.
    pub(crate) fn gave_up(&mut self, marks: Marks) {
        self.replaced.extend(marks);
    }

    /// What must be somewhere in the end: typed, and replaced by nobody.
    pub(crate) fn kept(&self) -> impl Iterator<Item = &String> {
        self.typed.difference(&self.replaced)
    }
}

/// Whether a mark is one of a text or a tag, which no tool computes.
pub(crate) fn is_word(mark: &str) -> bool {
    mark.strip_prefix("no")
        .is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

pub(crate) fn of_text(text: &str) -> impl Iterator<Item = String> {
    text.split(|letter: char| !letter.is_ascii_alphanumeric())
        .filter(|word| is_word(word))
        .map(str::to_owned)
}

fn of_day(day: NaiveDate) -> String {
    day.to_string()
}

fn of_minutes(minutes: i64) -> String {
    format!("{minutes} min")
}

pub(crate) fn of_value(value: &Value) -> Marks {
    match value {
        Value::Text(text) => of_text(text).collect(),
        Value::Tags(tags) => tags.iter().flat_map(|tag| of_text(tag)).collect(),
        Value::Date(day) => Marks::from([of_day(*day)]),
        Value::Minutes(minutes) => Marks::from([of_minutes(i64::from(*minutes))]),
        _ => Marks::new(),
    }
}

pub(crate) fn of_task(task: &Task) -> Marks {
    Field::ALL
        .iter()
        .flat_map(|field| of_value(&task.get(*field)))
        .collect()
}

pub(crate) fn of_work_package(item: &WorkPackage) -> Marks {
    let texts = [&item.subject, &item.description]
        .into_iter()
        .flat_map(|text| of_text(text));
    let days = [item.start_date, item.due_date].into_iter().flatten().map(of_day);
    let minutes = [item.estimated_minutes, item.remaining_minutes]
        .into_iter()
        .flatten()
        .map(of_minutes);
    texts.chain(days).chain(minutes).collect()
}

pub(crate) fn of_ticket(ticket: &Ticket) -> Marks {
    let texts = [&ticket.headline, &ticket.description, &ticket.tags];
    let texts = texts.into_iter().flatten().flat_map(|text| of_text(text));
    let days = [&ticket.edit_from, &ticket.date_to_finish].into_iter().flatten();
    let days = days.filter_map(|stamp| day_of(stamp)).map(of_day);
    let minutes = [ticket.plan_hours, ticket.hour_remaining].into_iter().flatten();
    // A cast of a finite float saturates.
    let minutes = minutes.map(|hours| of_minutes((hours * 60.0).round() as i64));
    texts.chain(days).chain(minutes).collect()
}

const STAMP: &str = "%Y-%m-%d %H:%M:%S";

/// The day that a stamp of Leantime's falls on where its server is.
fn day_of(stamp: &str) -> Option<NaiveDate> {
    let stamp = NaiveDateTime::parse_from_str(stamp, STAMP).ok()?;
    Some(Utc.from_utc_datetime(&stamp).with_timezone(&Los_Angeles).date_naive())
}

/// The stamp with which Leantime's page says a day: its beginning, or its end.
pub(crate) fn stamp(day: NaiveDate, end: bool) -> String {
    let time = if end {
        day.and_hms_opt(23, 59, 59)
    } else {
        day.and_hms_opt(0, 0, 0)
    };
    let local = Los_Angeles.from_local_datetime(&time.unwrap()).unwrap();
    local.with_timezone(&Utc).format(STAMP).to_string()
}
