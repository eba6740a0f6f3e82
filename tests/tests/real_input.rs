//! What real Leantime servers answered, pulled through the real adapter and engine into a hub on SQLite.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::collections::BTreeMap;
use std::sync::Arc;

use magnus_core::engine::Engine;
use magnus_core::model::{
    ConnectionId, ConnectionSettings, ExternalId, Field, Priority, Run, RunRequest, RunState, Status, Task, ToolName,
};
use magnus_core::orchestrator::Orchestrator;
use magnus_core::secret::SecretStore;
use magnus_core::store::{TaskQuery, TaskStore};
use magnus_leantime::LeantimeConnector;
use magnus_sqlite::SqliteStore;
use magnus_testkit::replay::{FLOW_3_7_3, FLOW_3_9_8, FLOW_MASTER, LISTING_1000, Replay};
use magnus_testkit::transport::RouterTransport;
use secrecy::SecretString;
use support::Keys;

#[path = "support/mod.rs"]
mod support;

struct Hub {
    store: Arc<dyn TaskStore>,
    orchestrator: Orchestrator,
    connection: ConnectionId,
    replay: Replay,
    _directory: tempfile::TempDir,
}

impl Hub {
    /// A hub on disk with one two-way connection: whatever it wanted to write would be a call that no recording has.
    async fn on(recordings: &[&str]) -> Self {
        let replay = Replay::at_end(recordings).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("hub.db");
        let store: Arc<dyn TaskStore> = Arc::new(SqliteStore::open(path.to_str().unwrap()).await.unwrap());
        let transport = Arc::new(RouterTransport::new(replay.router()));
        let keys = Arc::new(Keys::default());
        let engine = Engine::new(Arc::clone(&store), Arc::clone(&keys) as Arc<dyn SecretStore>)
            .with_connector(Arc::new(LeantimeConnector::new(transport)));
        let orchestrator = Orchestrator::builder(Arc::clone(&store), Arc::new(engine)).build();
        let now = chrono::Utc::now();
        let mut settings = ConnectionSettings::new(ToolName::new("leantime"), "recorded", "https://recorded.test", now);
        settings.options.time_zone = Some("America/Los_Angeles".to_owned());
        settings
            .options
            .tool
            .insert("requests_per_minute".to_owned(), 1_000_000.into());
        let settings = store.save_connection(settings).await.unwrap();
        keys.put(settings.id, SecretString::from("lt_recorded_key"))
            .await
            .unwrap();
        Self {
            store,
            orchestrator,
            connection: settings.id,
            replay,
            _directory: directory,
        }
    }

    async fn sync(&self) -> Run {
        let run = self
            .orchestrator
            .start(RunRequest::new(self.connection))
            .await
            .unwrap()
            .wait()
            .await
            .unwrap();
        assert_eq!(run.state, RunState::Completed, "{run:#?}");
        run
    }

    /// Syncs again and wants nothing written anywhere.
    async fn is_quiet(&self) {
        let before = self.store.changed_rows();
        let run = self.sync().await;
        assert_eq!(run.report.remote_writes, 0);
        assert_eq!(self.store.changed_rows(), before, "a second sync writes nothing");
        let misses = self.replay.misses();
        assert!(
            misses.iter().all(|miss| miss.method == "leantime.rpc.Users.getAll"),
            "only what an administrator's key may ask was never recorded: {misses:?}"
        );
    }

    async fn tasks(&self) -> Vec<Task> {
        let mut tasks = Vec::new();
        for project in self.store.projects().await.unwrap() {
            tasks.extend(self.store.tasks_of_project(project.id).await.unwrap());
        }
        tasks
    }
}

/// Title; status, priority, start, due, estimated and remaining minutes, tags. By the contract: ids and types of status,
/// priorities 1 to 5 to four, local end and start of day, hours as minutes.
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

const MARKDOWN: &[(&str, &str)] = &[
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
];

fn described(task: &Task) -> String {
    let fields = [
        Field::Status,
        Field::Priority,
        Field::StartDate,
        Field::DueDate,
        Field::EstimatedHours,
        Field::RemainingHours,
        Field::Tags,
    ];
    let words = fields.map(|field| match task.get(field) {
        magnus_core::model::Value::Empty => "-".to_owned(),
        magnus_core::model::Value::Minutes(minutes) => minutes.to_string(),
        value => value.to_string(),
    });
    words.join(" | ")
}

#[tokio::test]
async fn recorded_flows_of_three_versions_reach_the_hub_as_they_were_written() {
    for (name, flow) in [
        ("Flow 3.7.3", FLOW_3_7_3),
        ("Flow 3.9.8", FLOW_3_9_8),
        ("Flow master 2026-08", FLOW_MASTER),
    ] {
        let hub = Hub::on(&[flow]).await;
        let run = hub.sync().await;
        let counts = run.report.counts;
        assert_eq!(
            (counts.tasks.created, counts.tasks.failed),
            (16, 0),
            "{name}: 17 were made, one deleted: {run:#?}"
        );
        let tasks: BTreeMap<String, Task> = hub
            .tasks()
            .await
            .into_iter()
            .map(|task| (task.title.clone(), task))
            .collect();
        assert_eq!(tasks.len(), 16);
        for (title, expected) in EXPECTED {
            assert_eq!(described(&tasks[*title]), *expected, "{title} of {name}");
        }
        for (title, markdown) in MARKDOWN {
            assert_eq!(
                tasks[*title].description.as_deref(),
                Some(*markdown),
                "{title} of {name}"
            );
        }
        let child = &tasks["Child of the first"];
        assert_eq!(
            child.parent_id,
            Some(tasks["Flow task 0 – Zahlung prüfen"].id),
            "{name}"
        );
        assert_eq!(tasks.values().filter(|task| task.parent_id.is_some()).count(), 1);
        hub.is_quiet().await;
    }
}

#[tokio::test]
async fn a_real_listing_of_1010_tickets_reaches_the_hub_whole() {
    let hub = Hub::on(&[FLOW_3_9_8, LISTING_1000]).await;
    let run = hub.sync().await;
    assert_eq!(run.report.counts.tasks.created, 1_010 + 16, "{:?}", run.report.counts);
    let page = hub.store.query_tasks(TaskQuery::default()).await.unwrap();
    assert_eq!(page.total, 1_026);
    let large = hub.store.mappings(hub.connection).await.unwrap();
    let large = large
        .iter()
        .find(|mapping| mapping.external_id == ExternalId::from(5))
        .unwrap();
    let tasks = hub.store.tasks_of_project(large.project_id).await.unwrap();
    assert_eq!(tasks.len(), 1_010);
    let due = Some("2026-12-24".parse().unwrap());
    assert_eq!(
        tasks.iter().filter(|task| task.due_date == due).count(),
        1_000,
        "bare dates are floating dates"
    );
    let with = |wanted: &dyn Fn(&Task) -> bool| tasks.iter().filter(|task| wanted(task)).count();
    assert_eq!(with(&|task| task.status == Status::Todo), 1_009);
    assert_eq!(
        with(&|task| task.status == Status::InProgress),
        1,
        "status 4 of the one that was patched"
    );
    assert_eq!(
        with(&|task| task.priority == Priority::Medium),
        1_010,
        "3 is medium, and none is the default"
    );
    assert_eq!(with(&|task| task.tags.contains("perf")), 900);
    assert_eq!(
        with(&|task| task.title == "one"),
        10,
        "equal titles in one tool are different tasks"
    );
    let links = hub.store.links_of_mapping(large.id).await.unwrap();
    assert_eq!(links.len(), 1_010);
    hub.is_quiet().await;
}
