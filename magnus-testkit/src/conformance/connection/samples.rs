//! Values that the rules write.

use std::collections::BTreeSet;

use chrono::NaiveDate;
use magnus_core::model::{Field, Person, Priority, Status, Value};

fn day(day: u32) -> Value {
    NaiveDate::from_ymd_opt(2026, 3, day).map_or(Value::Empty, Value::Date)
}

fn tags(tags: &[&str]) -> Value {
    Value::Tags(tags.iter().map(|tag| (*tag).to_owned()).collect::<BTreeSet<_>>())
}

/// Ordinary values of a field, at least two where there are two. Working days; no start after the due date.
pub(super) fn of(field: Field, assignee: Option<Person>) -> Vec<Value> {
    match field {
        Field::Title => vec![Value::text("Water the tomatoes"), Value::text("Paint the fence")],
        Field::Description => vec![
            Value::text("Twice a week.\n\n- in the morning\n- **never** at noon"),
            Value::text("Green."),
        ],
        Field::Status => Status::ALL.iter().copied().map(Value::Status).collect(),
        Field::Priority => Priority::ALL.iter().copied().map(Value::Priority).collect(),
        Field::Assignee => assignee.map(Value::Person).into_iter().collect(),
        Field::StartDate => vec![day(2), day(3)],
        Field::DueDate => vec![day(12), day(13)],
        Field::EstimatedHours => vec![Value::Minutes(480), Value::Minutes(90)],
        Field::RemainingHours => vec![Value::Minutes(45), Value::Minutes(60)],
        Field::PercentageDone => vec![Value::Percent(30), Value::Percent(70)],
        Field::Tags => vec![tags(&["garden", "summer"]), tags(&["garden"])],
        Field::ActualHours | Field::Parent => Vec::new(),
    }
}

/// Values of each kind, for a translator that is asked for what a field does not take.
pub(super) fn of_every_kind() -> Vec<Value> {
    vec![
        Value::Empty,
        Value::text("words"),
        Value::Text("  ".to_owned()),
        Value::Text("\0".to_owned()),
        Value::Status(Status::Blocked),
        Value::Priority(Priority::Low),
        Value::Person(Person {
            name: "Nobody Known".to_owned(),
            email: Some("nobody@nowhere.test".to_owned()),
        }),
        Value::Person(Person {
            name: String::new(),
            email: None,
        }),
        Value::Date(NaiveDate::MIN),
        Value::Date(NaiveDate::MAX),
        Value::Minutes(0),
        Value::Minutes(u32::MAX),
        Value::Percent(100),
        Value::Percent(u8::MAX),
        tags(&[]),
        tags(&["", ",", "a,b", "\n", "🎉"]),
    ]
}

/// Texts that tools are known to spoil.
pub(super) const AWKWARD_TITLES: [&str; 10] = [
    "Ünïcödé – naïve café",
    "日本語のタスク",
    "🎉 party 👩‍👩‍👧‍👦 family 🇩🇪",
    "مهمة جديدة",
    "עברית mixed with English",
    "e\u{301}te\u{301} decomposed",
    "<script>alert('x')</script>",
    "Tom & Jerry &amp; \"friends\" 'n' co",
    "100 % \\ back / slash; DROP TABLE tasks; --",
    "{{ braces }} $variables %s %n",
];

/// Descriptions that tools are known to spoil.
pub(super) const AWKWARD_TEXTS: [&str; 10] = [
    "first\r\nsecond\r\n\r\nthird",
    "- [ ] open\n- [x] done",
    "```rust\nfn main() {}\n```",
    "🎉 emoji, עברית, العربية, 日本語",
    "a \\* literal star, an under_score, 2 \\< 3 & 3 > 2",
    "1. one\n2. two\n   - nested",
    "# Head\n\nwith a [link](https://example.org/?a=1&b=2)",
    "a `code span` and **bold** and *italic*",
    "> quoted\n> twice",
    "e\u{301} and \u{e9}",
];
