//! The connection against recorded answers of real instances: 3.7.3, 3.9.8 and the development state.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::collections::BTreeMap;

use magnus_core::connection::{Connection, Decoded, ListProjects, ListTasks, ReadTask, Reading, Translator};
use magnus_core::model::{ConnectionOptions, ExternalId, Field, RemoteTask, Value};
use magnus_testkit::replay::{FLOW_3_7_3, FLOW_3_9_8, FLOW_MASTER, LISTING_1000, Replay};
use support::open;

/// Pulls everything: the tasks of each project by title, with their values in the hub's terms.
async fn pull(replay: &Replay) -> BTreeMap<String, Vec<(RemoteTask, BTreeMap<Field, Decoded>)>> {
    let connection = open(replay.router(), "lt_recorded_key", ConnectionOptions::default()).await;
    connection.check().await.unwrap();
    let projects = connection.list_projects(ListProjects::default()).await.unwrap().items;
    let ids: Vec<ExternalId> = projects.iter().map(|project| project.id.clone()).collect();
    let translator = connection.translator(ids).await.unwrap();
    let mut pulled = BTreeMap::new();
    for project in projects {
        let tasks = connection
            .list_tasks(ListTasks::new(project.id.clone()))
            .await
            .unwrap()
            .items;
        reads_as_listed(connection.as_ref(), &tasks).await;
        let decode = |task: &RemoteTask| decoded(translator.as_ref(), task);
        pulled.insert(
            project.name,
            tasks.iter().map(|task| (task.clone(), decode(task))).collect(),
        );
    }
    let unknown: Vec<String> = replay.misses().into_iter().map(|miss| miss.method).collect();
    assert_eq!(
        unknown,
        ["leantime.rpc.Users.getAll"],
        "nobody's key was an administrator's when it was recorded"
    );
    pulled
}

fn decoded(translator: &dyn Translator, task: &RemoteTask) -> BTreeMap<Field, Decoded> {
    task.fields
        .iter()
        .filter(|(field, _)| **field != Field::Parent)
        .map(|(field, value)| (*field, translator.decode(&task.project, *field, &value.value)))
        .collect()
}

/// A single read shows the same as the list, save the logged hours, which it lacks.
async fn reads_as_listed(connection: &dyn Connection, tasks: &[RemoteTask]) {
    let some = &tasks[..tasks.len().min(20)];
    let requests = some
        .iter()
        .map(|task| ReadTask {
            id: task.id.clone(),
            project: task.project.clone(),
        })
        .collect();
    for (task, reading) in some.iter().zip(connection.read(requests).await.unwrap()) {
        let mut listed = task.clone();
        listed.fields.remove(&Field::ActualHours);
        assert_eq!(reading, Reading::Present(Box::new(listed)));
    }
}

#[tokio::test(start_paused = true)]
async fn recorded_flows_are_pulled_with_the_values_that_were_written() {
    let flows = [
        ("Flow 3.7.3", FLOW_3_7_3),
        ("Flow 3.9.8", FLOW_3_9_8),
        ("Flow master 2026-08", FLOW_MASTER),
    ];
    for (name, flow) in flows {
        let replay = Replay::at_end(&[flow]).unwrap();
        let pulled = pull(&replay).await;
        assert_eq!(pulled.keys().collect::<Vec<_>>(), [name]);
        let tasks = &pulled[name];
        assert_eq!(tasks.len(), 16, "17 were made, one deleted");
        let rows: BTreeMap<&str, String> = tasks
            .iter()
            .map(|(task, values)| (task.title(), described(task, values)))
            .collect();
        for (title, expected) in EXPECTED {
            assert_eq!(
                rows.get(title).map(String::as_str),
                Some(*expected),
                "{title} of {name}"
            );
        }
        let parents: Vec<&str> = tasks
            .iter()
            .filter_map(|(task, _)| task.value(Field::Parent)?.as_external_id())
            .filter_map(|parent| {
                tasks
                    .iter()
                    .find(|(task, _)| task.id == parent)
                    .map(|(task, _)| task.title())
            })
            .collect();
        assert_eq!(parents, ["Flow task 0 – Zahlung prüfen"]);
        let stamped = tasks.iter().filter(|(task, _)| task.updated_at.is_some()).count();
        assert_eq!(stamped, if name.contains("master") { 16 } else { 0 });
    }
}

/// Status, priority, start, due, estimated and remaining minutes, tags.
fn described(task: &RemoteTask, values: &BTreeMap<Field, Decoded>) -> String {
    let fields = [
        Field::Status,
        Field::Priority,
        Field::StartDate,
        Field::DueDate,
        Field::EstimatedHours,
        Field::RemainingHours,
        Field::Tags,
    ];
    let words: Vec<String> = fields
        .iter()
        .map(|field| match &values[field] {
            Decoded::Exact(Value::Empty) => "-".to_owned(),
            Decoded::Exact(Value::Minutes(minutes)) => minutes.to_string(),
            Decoded::Exact(value) => value.to_string(),
            other => panic!("{field} of {}: {other:?}", task.title()),
        })
        .collect();
    words.join(" | ")
}

const EXPECTED: &[(&str, &str)] = &[
    (
        "Flow task 0 – Zahlung prüfen",
        "todo | critical | 2026-12-01 | - | - | - | alpha, beta",
    ),
    ("Renamed by the flow", "blocked | high | - | 2026-12-11 | 90 | 60 | -"),
    ("Flow task 2 – 修复登录", "done | medium | - | - | 480 | 120 | -"),
    (
        "Flow task 3 – עדכון",
        "review | low | - | 2027-01-04 | - | 180 | alpha, beta",
    ),
    (
        "Flow task 4 – Zahlung prüfen",
        "done | low | 2026-12-05 | - | 90 | 240 | -",
    ),
    (
        "Flow task 5 – Ship it 🚀",
        "cancelled | critical | - | - | 480 | 300 | -",
    ),
    ("Flow task 6 – 修复登录", "todo | high | - | - | - | - | x, y"),
    ("Flow task 7 – עדכון", "blocked | medium | - | 2026-12-17 | 90 | 60 | -"),
    (
        "Flow task 8 – Zahlung prüfen",
        "in_progress | low | 2026-12-09 | - | 480 | 240 | -",
    ),
    (
        "Flow task 11 – עדכון",
        "cancelled | high | - | 2026-12-21 | 480 | 240 | -",
    ),
    ("Child of the first", "todo | medium | - | - | - | - | -"),
];

#[tokio::test(start_paused = true)]
async fn recorded_descriptions_are_pleasant_markdown() {
    let replay = Replay::at_end(&[FLOW_3_9_8]).unwrap();
    let pulled = pull(&replay).await;
    let placeholder =
        "a \\<server> placeholder, 2 < 3 && 4 > 1\\\nsecond line\n\n[link](https://example.test/?a=1&b=2)";
    let expected = [
        ("Flow task 0 – Zahlung prüfen", "Plain paragraph."),
        (
            "Renamed by the flow",
            "## Steps\n\n1. Open the **menu**\n2. Click _Save_",
        ),
        ("Flow task 2 – 修复登录", "- one\n- two\n  - nested"),
        (
            "Flow task 3 – עדכון",
            "```rust\nfn main() { println!(\"<hi> & bye\"); }\n```",
        ),
        ("Flow task 4 – Zahlung prüfen", "| a | b |\n| --- | --- |\n| 1 | ü 🎉 |"),
        ("Flow task 5 – Ship it 🚀", "- [x] done\n- [ ] open"),
        (
            "Flow task 14 – 修复登录",
            "مرحبا بالعالم — שלום — 你好\n\n> quote\n\n---",
        ),
        ("Flow task 6 – 修复登录", placeholder),
    ];
    for (title, markdown) in expected {
        let (_, values) = pulled["Flow 3.9.8"]
            .iter()
            .find(|(task, _)| task.title() == title)
            .unwrap();
        assert_eq!(
            values[&Field::Description],
            Decoded::Exact(Value::text(markdown)),
            "{title}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_recorded_listing_of_a_thousand_tickets_is_read_whole() {
    let replay = Replay::at_end(&[FLOW_3_9_8, LISTING_1000]).unwrap();
    let pulled = pull(&replay).await;
    let tasks = &pulled["Perf 1000"];
    assert_eq!(tasks.len(), 1_010);
    let floating = tasks.iter().filter(|(_, values)| {
        values[&Field::DueDate] == Decoded::Exact(Value::Date("2026-12-24".parse().unwrap_or_default()))
    });
    assert_eq!(
        floating.count(),
        1_000,
        "written as a bare date, which Leantime keeps as midnight UTC"
    );
}
