//! Texts, dates, amounts, priorities and tags.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use chrono_tz::Tz;
use magnus_core::connection::{Decoded, Encoded};
use magnus_core::model::{Field, Priority, RemoteValue, Value};
use serde_json::{Value as Json, json};

use crate::{dates, text};

/// The columns cut what is longer, and say that all went well.
const TITLE_CHARACTERS: usize = 255;
const TAGS_CHARACTERS: usize = 255;
const DESCRIPTION_BYTES: usize = 65_535;

fn trimmed(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || matches!(c, '\u{200b}' | '\u{feff}' | '\0'))
}

pub(super) fn decode_title(value: &RemoteValue) -> Decoded {
    match value.as_text().map(trimmed).filter(|title| !title.is_empty()) {
        Some(title) => Decoded::Exact(Value::text(title)),
        None => Decoded::Approximate(Value::text("Untitled")),
    }
}

pub(super) fn encode_title(title: &str) -> Encoded {
    let title = trimmed(title);
    match title.chars().count() {
        0 => Encoded::Unholdable("Leantime does not keep an empty title".to_owned()),
        1..=TITLE_CHARACTERS => Encoded::Value(RemoteValue::text(title)),
        length => Encoded::Unholdable(format!(
            "the title has {length} characters; Leantime cuts it at {TITLE_CHARACTERS} without a word"
        )),
    }
}

pub(super) fn decode_description(value: &RemoteValue) -> Decoded {
    Decoded::Exact(
        value
            .as_text()
            .map_or(Value::Empty, |html| Value::text(text::html_to_markdown(html))),
    )
}

pub(super) fn encode_description(markdown: &str) -> Encoded {
    let html = text::markdown_to_html(markdown);
    let html = trimmed(&html);
    if html.is_empty() {
        return Encoded::Value(RemoteValue::NULL);
    }
    if html.len() > DESCRIPTION_BYTES {
        return Encoded::Unholdable(format!(
            "the description takes {} bytes as HTML; Leantime cuts it at {DESCRIPTION_BYTES} without a word",
            html.len()
        ));
    }
    Encoded::Value(RemoteValue::text(html))
}

const PRIORITIES: [(&str, &str, Priority); 5] = [
    ("1", "critical", Priority::Critical),
    ("2", "high", Priority::High),
    ("3", "medium", Priority::Medium),
    ("4", "low", Priority::Low),
    ("5", "lowest", Priority::Low),
];

/// The numbers of the priorities with what the tool calls them.
pub(super) fn priorities() -> impl Iterator<Item = (&'static str, &'static str)> {
    PRIORITIES.iter().map(|(id, name, _)| (*id, *name))
}

fn priority_of(number: &str, map: &BTreeMap<String, Priority>) -> Option<Priority> {
    let known = PRIORITIES
        .iter()
        .find(|(id, name, _)| *id == number || number.eq_ignore_ascii_case(name));
    let named = |key: &str| {
        key.trim() == number
            || known.is_some_and(|(id, name, _)| key.trim() == *id || key.trim().eq_ignore_ascii_case(name))
    };
    map.iter()
        .find(|(key, _)| named(key))
        .map(|(_, priority)| *priority)
        .or(known.map(|(_, _, priority)| *priority))
}

pub(super) fn decode_priority(value: &RemoteValue, map: &BTreeMap<String, Priority>) -> Decoded {
    let Some(number) = value.as_text() else {
        return Decoded::Exact(Value::Priority(Priority::Medium));
    };
    match priority_of(number, map) {
        Some(priority) => Decoded::Exact(Value::Priority(priority)),
        None => Decoded::Approximate(Value::Priority(Priority::Medium)),
    }
}

pub(super) fn encode_priority(priority: Priority, map: &BTreeMap<String, Priority>) -> Encoded {
    match PRIORITIES
        .iter()
        .find(|(id, _, _)| priority_of(id, map) == Some(priority))
    {
        Some((id, _, _)) => Encoded::Value(RemoteValue::text(*id)),
        None => Encoded::Unholdable(format!("priority_map leaves nothing that means {priority}")),
    }
}

pub(super) fn decode_date(value: &RemoteValue, zone: Tz) -> Decoded {
    match value.as_text() {
        None => Decoded::Exact(Value::Empty),
        Some(stored) => match dates::day_of(stored, zone) {
            Some(day) => Decoded::Exact(Value::Date(day)),
            None => Decoded::Unresolved(format!("{stored:?} is not a date")),
        },
    }
}

pub(super) fn encode_date(field: Field, day: NaiveDate, zone: Tz) -> Encoded {
    let stored = match field {
        Field::StartDate => dates::start_of_day(day, zone),
        _ => dates::end_of_day(day, zone),
    };
    match stored {
        Some(stored) => Encoded::Value(RemoteValue::text(stored)),
        None => Encoded::Unholdable(format!("Leantime cannot hold the day {day}")),
    }
}

pub(super) fn decode_minutes(value: &RemoteValue) -> Decoded {
    let minutes = value.0.as_u64().and_then(|minutes| u32::try_from(minutes).ok());
    Decoded::Exact(minutes.map_or(Value::Empty, Value::Minutes))
}

/// Nothing and zero are the same to Leantime.
pub(super) fn encode_minutes(minutes: u32) -> Encoded {
    Encoded::Value(if minutes == 0 {
        RemoteValue::NULL
    } else {
        RemoteValue(json!(minutes))
    })
}

pub(super) fn decode_tags(value: &RemoteValue) -> Decoded {
    let tags: BTreeSet<String> = match &value.0 {
        Json::Array(tags) => tags.iter().filter_map(Json::as_str).map(str::to_owned).collect(),
        _ => BTreeSet::new(),
    };
    Decoded::Exact(Value::tags(tags))
}

pub(super) fn encode_tags(tags: &BTreeSet<String>) -> Encoded {
    let tags: BTreeSet<&str> = tags
        .iter()
        .map(|tag| trimmed(tag))
        .filter(|tag| !tag.is_empty())
        .collect();
    if let Some(tag) = tags.iter().find(|tag| tag.contains(',')) {
        return Encoded::Unholdable(format!(
            "the tag {tag:?} holds a comma, with which Leantime separates tags"
        ));
    }
    let length = tags
        .iter()
        .map(|tag| tag.chars().count() + 1)
        .sum::<usize>()
        .saturating_sub(1);
    if length > TAGS_CHARACTERS {
        return Encoded::Unholdable(format!(
            "the tags take {length} characters; Leantime cuts them at {TAGS_CHARACTERS} without a word"
        ));
    }
    Encoded::Value(if tags.is_empty() {
        RemoteValue::NULL
    } else {
        RemoteValue(json!(tags))
    })
}
