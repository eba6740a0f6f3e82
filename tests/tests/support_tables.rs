//! The tables of fields in the adapters' READMEs are what the adapters do.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use magnus_core::connection::{
    Connection, Connector, CreateTask, Decoded, Encoded, FieldSupport, RemoteWrite, Translator, Written,
};
use magnus_core::model::{
    ConnectionSettings, ExternalId, Field, Person, Priority, RemoteValue, Status, ToolName, Value,
};
use magnus_leantime::LeantimeConnector;
use magnus_openproject::OpenProjectConnector;
use magnus_testkit::sim::leantime::{LeantimeOptions, LeantimeSimulator};
use magnus_testkit::sim::openproject::{OpenProjectOptions, OpenProjectSimulator};
use magnus_testkit::transport::RouterTransport;

/// An instance with a project and a person, Ada Byron, who can be assigned there.
struct Instance {
    connection: Arc<dyn Connection>,
    translator: Arc<dyn Translator>,
    project: ExternalId,
}

async fn open(connector: &dyn Connector, key: String, project: ExternalId) -> Instance {
    let now = chrono::Utc::now();
    let settings = ConnectionSettings::new(ToolName::new(connector.tool().as_str()), "it", "https://tool.test", now);
    let connection = connector.open(settings, key.into()).await.unwrap();
    let translator = connection.translator(vec![project.clone()]).await.unwrap();
    Instance {
        connection,
        translator,
        project,
    }
}

async fn openproject() -> Instance {
    let tool = OpenProjectSimulator::new(OpenProjectOptions::default());
    let project = ExternalId::from(tool.create_project("Garden", "garden"));
    let connector = OpenProjectConnector::new(Arc::new(RouterTransport::new(tool.router())));
    open(&connector, tool.api_key(), project).await
}

async fn leantime() -> Instance {
    let tool = LeantimeSimulator::new(LeantimeOptions::default());
    let number = tool.create_project("Garden");
    let ada = tool.create_person("Ada", "Byron", "ada@example.org", 20);
    tool.assign(ada, number);
    let project = ExternalId::new(number.to_string()).unwrap();
    let connector = LeantimeConnector::new(Arc::new(RouterTransport::new(tool.router())));
    open(&connector, tool.api_key().to_owned(), project).await
}

/// Values that people use, and values at the edge of what a tool can hold.
fn samples(field: Field) -> Vec<Value> {
    let text = |text: &str| Value::text(text);
    match field {
        Field::Title => vec![text("Réviser 🎉"), text(&"x".repeat(256))],
        Field::Description => vec![
            text("# Plan\n\n- [x] first\n- [ ] **second**\n\n| a | b |\n| --- | --: |\n| 1 | 2 |"),
            text("a <server>, *two*  \nlines"),
            text(&"word ".repeat(20_000)),
            Value::Empty,
        ],
        Field::Status => Status::ALL.iter().copied().map(Value::Status).collect(),
        Field::Priority => Priority::ALL.iter().copied().map(Value::Priority).collect(),
        Field::Assignee => ["Ada Byron <ada@example.org>", "Nobody Known"]
            .iter()
            .map(|person| Value::Person(Person::parse(person).unwrap()))
            .chain([Value::Empty])
            .collect(),
        Field::StartDate | Field::DueDate => ["2026-03-08", "2026-11-01", "2028-02-29"]
            .iter()
            .map(|day| Value::Date(day.parse().unwrap()))
            .chain([Value::Empty])
            .collect(),
        Field::EstimatedHours | Field::RemainingHours | Field::ActualHours => {
            [1, 100, 6001, 0].map(Value::Minutes).to_vec()
        }
        Field::PercentageDone => [0, 33, 100].map(Value::Percent).to_vec(),
        Field::Tags => vec![
            Value::tags(["a".to_owned(), "ü x".to_owned()].into()),
            Value::tags(["a, b".to_owned()].into()),
        ],
        Field::Parent => Vec::new(),
    }
}

fn shorten(text: &str) -> String {
    let short: String = text.lines().next().unwrap_or_default().chars().take(30).collect();
    if short.len() < text.len() {
        format!("{short}…")
    } else {
        short
    }
}

/// What comes back of a field that was sent with a new task.
async fn sent_and_read(instance: &Instance, field: Field, value: RemoteValue) -> RemoteValue {
    let title = (Field::Title, RemoteValue::text("A task"));
    let fields = BTreeMap::from([title, (field, value)]);
    let create = RemoteWrite::Create(CreateTask {
        project: instance.project.clone(),
        fields,
        marker: None,
    });
    match instance.connection.write(vec![create]).await.remove(0).unwrap() {
        Written::Task(written) => written.task.value(field).expect("the field").clone(),
        Written::Deleted => panic!("a new task was deleted"),
    }
}

async fn parent_comes_back(instance: &Instance) -> bool {
    let create = RemoteWrite::Create(CreateTask {
        project: instance.project.clone(),
        fields: BTreeMap::from([(Field::Title, RemoteValue::text("Parent"))]),
        marker: None,
    });
    let Written::Task(parent) = instance.connection.write(vec![create]).await.remove(0).unwrap() else {
        panic!("a new task was deleted")
    };
    let id = RemoteValue::text(parent.task.id.as_str());
    sent_and_read(instance, Field::Parent, id.clone()).await == id
}

/// The trip of all samples of a field in a word, and what does not survive it.
async fn trip(instance: &Instance, field: Field) -> (String, Vec<String>) {
    if field == Field::Parent {
        let word = if parent_comes_back(instance).await {
            "exact"
        } else {
            "lost"
        };
        return (word.to_owned(), Vec::new());
    }
    let (mut word, mut gaps) = ("exact", Vec::new());
    for value in samples(field) {
        let shown = shorten(&value.to_string());
        match instance.translator.encode(&instance.project, field, &value) {
            Encoded::Unholdable(reason) => gaps.push(format!("not sent: {reason}")),
            Encoded::Value(sent) => {
                let read = sent_and_read(instance, field, sent).await;
                match instance.translator.decode(&instance.project, field, &read) {
                    Decoded::Exact(back) if back == value => {}
                    Decoded::Exact(back) | Decoded::Approximate(back) => {
                        word = "same meaning";
                        let same_text = field == Field::Description;
                        gaps.push(if same_text {
                            "some spellings of Markdown come back in another form".to_owned()
                        } else {
                            let back = shorten(&back.to_string());
                            format!(
                                "`{shown}` comes back as {}",
                                if back.is_empty() {
                                    "nothing".to_owned()
                                } else {
                                    format!("`{back}`")
                                }
                            )
                        });
                    }
                    Decoded::Unresolved(reason) => gaps.push(format!("`{shown}`: {reason}")),
                }
            }
        }
    }
    gaps.dedup();
    (word.to_owned(), gaps)
}

async fn table(instance: &Instance) -> String {
    let capabilities = instance.connection.capabilities();
    let mut lines = vec![
        "| field | read | write | round trip | gaps |".to_owned(),
        "|---|---|---|---|---|".to_owned(),
    ];
    for field in Field::ALL.iter().copied() {
        let (read, write, trip, gaps) = match capabilities.field(field) {
            None => (
                "no",
                "no",
                "–".to_owned(),
                vec!["the tool has no such field; the hub keeps it".to_owned()],
            ),
            Some(FieldSupport::ReadOnly) => ("yes", "no", "–".to_owned(), vec!["the tool computes it".to_owned()]),
            Some(FieldSupport::ReadWrite) => {
                let (word, gaps) = trip(instance, field).await;
                ("yes", "yes", word, gaps)
            }
        };
        let gaps = gaps.join("; ").replace('|', "\\|");
        lines.push(format!("| `{field}` | {read} | {write} | {trip} | {gaps} |"));
    }
    lines.join("\n")
}

/// The text between the marks of a README.
fn written(tool: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let text = std::fs::read_to_string(path.join(format!("magnus-{tool}/README.md"))).unwrap();
    let (_, rest) = text.split_once("<!-- fields -->\n").unwrap();
    rest.split_once("<!-- end of fields -->").unwrap().0.trim().to_owned()
}

#[tokio::test(start_paused = true)]
async fn the_fields_of_openproject_stand_in_its_readme() {
    let now = table(&openproject().await).await;
    assert_eq!(
        written("openproject"),
        now,
        "replace the table in magnus-openproject/README.md with:\n{now}\n"
    );
}

#[tokio::test(start_paused = true)]
async fn the_fields_of_leantime_stand_in_its_readme() {
    let now = table(&leantime().await).await;
    assert_eq!(
        written("leantime"),
        now,
        "replace the table in magnus-leantime/README.md with:\n{now}\n"
    );
}
