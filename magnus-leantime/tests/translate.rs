//! Values both ways: statuses, priorities, people, dates, amounts, tags, and what the tool cannot hold.

mod support;

use magnus_core::connection::{Decoded, Encoded, Translator};
use magnus_core::model::{ConnectionOptions, ExternalId, Field, Person, Priority, RemoteValue, Status, Value};
use magnus_leantime::{LeantimeTranslator, StatusLabel, StatusType, User};
use serde_json::{Value as Json, json};
use support::id;

fn project() -> ExternalId {
    id(7)
}

fn default_statuses() -> Vec<StatusLabel> {
    use StatusType::{Done, InProgress, New};
    vec![
        StatusLabel::new(3, "Neu", New),
        StatusLabel::new(1, "Blockiert", InProgress),
        StatusLabel::new(4, "In Arbeit", InProgress),
        StatusLabel::new(2, "Wartet auf Freigabe", InProgress),
        StatusLabel::new(0, "Erledigt", Done),
        StatusLabel::new(-1, "Archiviert", Done),
    ]
}

fn own_statuses() -> Vec<StatusLabel> {
    use StatusType::{Done, InProgress, New, None};
    vec![
        StatusLabel::new(10, "To do", New),
        StatusLabel::new(11, "Doing", InProgress),
        StatusLabel::new(1, "Testing", New),
        StatusLabel::new(12, "Shipped", Done),
        StatusLabel::new(13, "Idea", None),
        StatusLabel::new(-1, "status.archived", Done),
    ]
}

fn translator(options: ConnectionOptions) -> LeantimeTranslator {
    LeantimeTranslator::new(chrono_tz::America::Los_Angeles, options)
        .with_statuses(project(), default_statuses())
        .with_members(
            project(),
            vec![
                User::new(7, "Ed Itor", Some("ed@example.test".to_owned())),
                User::new(8, "Sam Same", None),
                User::new(9, "Sam Same", None),
            ],
        )
        .with_members(
            id(8),
            vec![User::new(30, "Else Where", Some("else@example.test".to_owned()))],
        )
}

fn decoded(translator: &LeantimeTranslator, field: Field, value: Json) -> Decoded {
    translator.decode(&project(), field, &RemoteValue(value))
}

fn encoded(translator: &LeantimeTranslator, field: Field, value: Value) -> Option<Json> {
    match translator.encode(&project(), field, &value) {
        Encoded::Value(value) => Some(value.0),
        Encoded::Unholdable(_) => None,
    }
}

#[test]
fn statuses_go_by_number_whatever_the_language() {
    let translator = translator(ConnectionOptions::default());
    let pairs = [
        (3, Status::Todo),
        (1, Status::Blocked),
        (4, Status::InProgress),
        (2, Status::Review),
        (0, Status::Done),
        (-1, Status::Cancelled),
    ];
    for (number, status) in pairs {
        assert_eq!(
            decoded(&translator, Field::Status, json!(number)),
            Decoded::Exact(Value::Status(status))
        );
        assert_eq!(
            encoded(&translator, Field::Status, Value::Status(status)),
            Some(json!(number))
        );
    }
    let unknown = decoded(&translator, Field::Status, json!(55));
    assert_eq!(
        unknown,
        Decoded::Approximate(Value::Status(Status::Todo)),
        "any number can be written"
    );
}

#[test]
fn a_projects_own_statuses_go_by_their_type() {
    let translator = translator(ConnectionOptions::default()).with_statuses(project(), own_statuses());
    let cases = [
        (10, Decoded::Exact(Value::Status(Status::Todo))),
        (11, Decoded::Exact(Value::Status(Status::InProgress))),
        (1, Decoded::Exact(Value::Status(Status::Todo))),
        (12, Decoded::Exact(Value::Status(Status::Done))),
        (13, Decoded::Approximate(Value::Status(Status::Todo))),
        (3, Decoded::Approximate(Value::Status(Status::Todo))),
    ];
    for (number, expected) in cases {
        assert_eq!(decoded(&translator, Field::Status, json!(number)), expected, "{number}");
    }
    assert_eq!(
        encoded(&translator, Field::Status, Value::Status(Status::Todo)),
        Some(json!(10)),
        "the first of them"
    );
    assert_eq!(
        encoded(&translator, Field::Status, Value::Status(Status::Done)),
        Some(json!(12)),
        "not the archive"
    );
    assert_eq!(
        encoded(&translator, Field::Status, Value::Status(Status::Blocked)),
        None
    );
    assert_eq!(
        encoded(&translator, Field::Status, Value::Status(Status::Cancelled)),
        Some(json!(-1))
    );
}

#[test]
fn the_settings_come_before_the_tables() {
    let mut options = ConnectionOptions::default();
    options.status_map.insert("shipped".to_owned(), Status::Review);
    options.status_map.insert("13".to_owned(), Status::Blocked);
    options.priority_map.insert("Lowest".to_owned(), Priority::Medium);
    options
        .user_map
        .insert("7".to_owned(), "Edith <edith@example.org>".to_owned());
    let translator = translator(options).with_statuses(project(), own_statuses());
    assert_eq!(
        decoded(&translator, Field::Status, json!(12)),
        Decoded::Exact(Value::Status(Status::Review))
    );
    assert_eq!(
        encoded(&translator, Field::Status, Value::Status(Status::Blocked)),
        Some(json!(13))
    );
    assert_eq!(
        encoded(&translator, Field::Status, Value::Status(Status::Done)),
        None,
        "never archived instead"
    );
    assert_eq!(
        decoded(&translator, Field::Priority, json!("5")),
        Decoded::Exact(Value::Priority(Priority::Medium))
    );
    let edith = Person::parse("Edith <edith@example.org>").unwrap();
    assert_eq!(
        decoded(&translator, Field::Assignee, json!("7")),
        Decoded::Exact(Value::Person(edith.clone()))
    );
    assert_eq!(
        encoded(&translator, Field::Assignee, Value::Person(edith)),
        Some(json!("7"))
    );
}

#[test]
fn a_project_whose_statuses_are_unknown_takes_none() {
    let translator = translator(ConnectionOptions::default());
    let status = Value::Status(Status::Todo);
    assert!(matches!(
        translator.encode(&id(99), Field::Status, &status),
        Encoded::Unholdable(_)
    ));
}

#[test]
fn priorities_both_ways_and_none_is_medium() {
    let translator = translator(ConnectionOptions::default());
    let cases = [
        ("1", Priority::Critical),
        ("2", Priority::High),
        ("3", Priority::Medium),
        ("4", Priority::Low),
    ];
    for (number, priority) in cases {
        assert_eq!(
            decoded(&translator, Field::Priority, json!(number)),
            Decoded::Exact(Value::Priority(priority))
        );
        assert_eq!(
            encoded(&translator, Field::Priority, Value::Priority(priority)),
            Some(json!(number))
        );
    }
    assert_eq!(
        decoded(&translator, Field::Priority, json!("5")),
        Decoded::Exact(Value::Priority(Priority::Low))
    );
    assert_eq!(
        decoded(&translator, Field::Priority, json!(null)),
        Decoded::Exact(Value::Priority(Priority::Medium))
    );
    assert_eq!(
        decoded(&translator, Field::Priority, json!("9")),
        Decoded::Approximate(Value::Priority(Priority::Medium))
    );
}

#[test]
fn people_by_address_then_by_a_name_that_only_one_has() {
    let translator = translator(ConnectionOptions::default());
    let encode = |text: &str| {
        encoded(
            &translator,
            Field::Assignee,
            Value::Person(Person::parse(text).unwrap()),
        )
    };
    assert_eq!(encode("Somebody <ED@example.test>"), Some(json!("7")));
    assert_eq!(encode("ed itor"), Some(json!("7")));
    assert_eq!(
        encode("Ed Itor <other@example.test>"),
        None,
        "the same name with another address is another person"
    );
    assert_eq!(encode("Sam Same"), None, "two are called so");
    assert_eq!(encode("else@example.test"), None, "not assigned to this project");
    assert_eq!(encode("Nobody"), None);
    let ed = Person::parse("Ed Itor <ed@example.test>").unwrap();
    assert_eq!(
        decoded(&translator, Field::Assignee, json!("7")),
        Decoded::Exact(Value::Person(ed))
    );
    assert!(matches!(
        decoded(&translator, Field::Assignee, json!("nobody")),
        Decoded::Unresolved(_)
    ));
    assert_eq!(
        decoded(&translator, Field::Assignee, json!(null)),
        Decoded::Exact(Value::Empty)
    );
}

#[test]
fn dates_are_days_of_the_instances_zone() {
    let translator = translator(ConnectionOptions::default());
    let day = Value::Date("2026-12-24".parse().unwrap());
    for stored in ["2026-12-25 07:59:59", "2026-12-24 00:00:00", "2026-12-24 20:00:00"] {
        assert_eq!(
            decoded(&translator, Field::DueDate, json!(stored)),
            Decoded::Exact(day.clone()),
            "{stored}"
        );
    }
    assert_eq!(
        encoded(&translator, Field::DueDate, day.clone()),
        Some(json!("2026-12-25 07:59:59"))
    );
    assert_eq!(
        encoded(&translator, Field::StartDate, day),
        Some(json!("2026-12-24 08:00:00"))
    );
    assert_eq!(encoded(&translator, Field::DueDate, Value::Empty), Some(json!(null)));
    assert!(matches!(
        decoded(&translator, Field::DueDate, json!("soon")),
        Decoded::Unresolved(_)
    ));
}

#[test]
fn what_the_tool_would_cut_is_not_sent() {
    let translator = translator(ConnectionOptions::default());
    let title = |length: usize| encoded(&translator, Field::Title, Value::text("ü".repeat(length))).is_some();
    assert!(title(255) && !title(256));
    let description =
        |length: usize| encoded(&translator, Field::Description, Value::text("x".repeat(length))).is_some();
    assert!(description(65_528) && !description(65_529), "with <p> and </p>");
    let tags = |tags: &[&str]| {
        encoded(
            &translator,
            Field::Tags,
            Value::tags(tags.iter().map(|tag| (*tag).to_owned()).collect()),
        )
    };
    assert_eq!(tags(&["b", "a"]), Some(json!(["a", "b"])));
    assert_eq!(tags(&["a,b"]), None);
    assert_eq!(tags(&["x".repeat(200).as_str(), "y".repeat(60).as_str()]), None);
    assert_eq!(
        encoded(&translator, Field::Title, Value::text("  padded ")),
        Some(json!("padded"))
    );
    assert_eq!(encoded(&translator, Field::PercentageDone, Value::Percent(50)), None);
}

#[test]
fn a_value_is_read_back_as_it_was_expected() {
    let translator = translator(ConnectionOptions::default());
    let samples = [
        (Field::Title, Value::text("Title")),
        (Field::Description, Value::text("# Words\n\n- [x] done\n- [ ] open")),
        (Field::Status, Value::Status(Status::Review)),
        (Field::Priority, Value::Priority(Priority::Low)),
        (Field::DueDate, Value::Date("2026-03-29".parse().unwrap())),
        (Field::StartDate, Value::Date("2026-11-01".parse().unwrap())),
        (Field::EstimatedHours, Value::Minutes(80)),
        (Field::RemainingHours, Value::Minutes(1)),
        (Field::Tags, Value::tags(["a".to_owned(), "b c".to_owned()].into())),
        (Field::Assignee, Value::Empty),
    ];
    for (field, value) in samples {
        let sent = encoded(&translator, field, value.clone()).unwrap();
        assert_eq!(decoded(&translator, field, sent), Decoded::Exact(value), "{field}");
    }
}

#[test]
fn what_nobody_set_yields_at_first_contact() {
    let translator = translator(ConnectionOptions::default()).with_statuses(id(8), own_statuses());
    let is_default = |project: ExternalId, field, value| translator.is_default(&project, field, &RemoteValue(value));
    assert!(is_default(project(), Field::Status, json!(3)));
    assert!(is_default(id(8), Field::Status, json!(10)));
    assert!(!is_default(project(), Field::Status, json!(0)));
    assert!(is_default(project(), Field::Priority, json!(null)));
    assert!(is_default(project(), Field::Description, json!(null)));
    assert!(!is_default(project(), Field::Tags, json!(["a"])));
}
