//! The custom field that new work packages carry a marker in.

use magnus_core::connection::{
    Connection, ConnectionError, ConnectionErrorKind, CreateTask, FindCreated, RemoteWrite, Written, WrittenTask,
};
use magnus_core::model::{Field, IntentId, RemoteTask};
use magnus_testkit::sim::openproject::{OpenProjectOptions, OpenProjectSimulator};
use magnus_testkit::sim::{CallMatcher, FaultRule};
use serde_json::json;

use crate::support::{Bench, fields, id, open, settings};

const FIELD: &str = "customField7";

async fn opened(tool: &OpenProjectSimulator, field: &str) -> Result<std::sync::Arc<dyn Connection>, ConnectionError> {
    let mut settings = settings("https://openproject.test");
    let options = &mut settings.options.tool;
    options.insert("create_marker_field".to_owned(), field.into());
    open(tool, settings).await
}

async fn marking(options: OpenProjectOptions) -> Bench {
    let tool = OpenProjectSimulator::new(options);
    let project = tool.create_project("Garden", "garden");
    let connection = opened(&tool, FIELD).await.expect("valid settings");
    Bench {
        tool,
        connection,
        project,
    }
}

fn create(project: u64, title: &str, operation: IntentId) -> RemoteWrite {
    RemoteWrite::Create(CreateTask {
        project: id(project),
        fields: fields(&[(Field::Title, title)]),
        marker: Some(operation),
    })
}

async fn made(bench: &Bench, write: RemoteWrite) -> WrittenTask {
    match bench.write(write).await.expect("made") {
        Written::Task(written) => *written,
        Written::Deleted => panic!("a new task was deleted"),
    }
}

async fn find(bench: &Bench, after: Option<u64>, operation: IntentId) -> Vec<RemoteTask> {
    let request = FindCreated {
        project: id(bench.project),
        after: after.map(id),
        markers: vec![operation],
    };
    bench.connection.find_created(request).await.expect("complete")
}

#[tokio::test]
async fn a_marker_stands_in_its_field_and_nowhere_else() {
    let bench = marking(
        OpenProjectOptions::default()
            .custom_field(FIELD)
            .custom_field("customField8"),
    )
    .await;
    bench.connection.check().await.expect("the field is there");
    assert!(bench.connection.capabilities().create_marker);
    let operation = IntentId::generate();
    let task = made(&bench, create(bench.project, "New", operation)).await.task;
    assert!(task.is_marked(operation));
    assert!(!task.metadata.contains_key(FIELD), "{:?}", task.metadata);
    let item = bench
        .tool
        .work_package(task.id.as_str().parse().expect("a number"))
        .expect("made");
    assert_eq!(item.custom_fields.get(FIELD), Some(&json!(operation.to_string())));
    assert_eq!((item.subject.as_str(), item.description.as_str()), ("New", ""));
    // Other custom fields are metadata as ever.
    bench.tool.edit_work_package(item.id, |item| {
        item.custom_fields.insert("customField8".to_owned(), json!("blue"));
    });
    let seen = &find(&bench, None, operation).await[0];
    assert_eq!(seen.metadata.get("customField8"), Some(&json!("blue")));
    assert!(!seen.metadata.contains_key(FIELD));
}

#[tokio::test]
async fn without_the_option_there_is_no_marker() {
    let bench = crate::support::bench(OpenProjectOptions::default().custom_field(FIELD)).await;
    assert!(!bench.connection.capabilities().create_marker);
    let task = made(&bench, create(bench.project, "New", IntentId::generate()))
        .await
        .task;
    let item = bench
        .tool
        .work_package(task.id.as_str().parse().expect("a number"))
        .expect("made");
    assert!(item.custom_fields.is_empty(), "{:?}", item.custom_fields);
}

#[tokio::test]
async fn a_field_that_is_not_there_or_is_no_text_is_refused_with_its_name() {
    let tool = OpenProjectSimulator::new(OpenProjectOptions::default().custom_field_of("customField9", "Integer"));
    tool.create_project("Garden", "garden");
    tool.create_project("Workshop", "workshop");
    for (field, words) in [(FIELD, "no project"), ("customField9", "Integer")] {
        let connection = opened(&tool, field).await.expect("well written");
        let error = connection.check().await.expect_err("refused");
        assert_eq!(error.kind(), ConnectionErrorKind::InvalidSettings, "{error}");
        let said = error.to_string();
        assert!(said.contains(field) && said.contains(words), "{said}");
        assert!(said.contains("create_marker_field"), "it says what to correct: {said}");
    }
    for badly_written in ["Marker", "7", "customField", "custom_field_7"] {
        let error = opened(&tool, badly_written).await.expect_err("refused");
        assert_eq!(error.kind(), ConnectionErrorKind::InvalidSettings, "{error}");
        assert!(error.to_string().contains(badly_written), "{error}");
    }
    assert!(tool.work_packages().is_empty());
}

#[tokio::test]
async fn what_others_are_named_as_creators_of_is_found_where_lists_can_be_filtered_by_the_field() {
    for filterable in [true, false] {
        let options = OpenProjectOptions::default();
        let bench = marking(if filterable {
            options.filterable_custom_field(FIELD)
        } else {
            options.custom_field(FIELD)
        })
        .await;
        let operation = IntentId::generate();
        let task = made(&bench, create(bench.project, "New", operation)).await.task;
        let number: u64 = task.id.as_str().parse().expect("a number");
        let other = bench.tool.other_user();
        bench.tool.edit_work_package(number, |item| item.author_id = other);
        let closed = bench.tool.status_id("Closed").expect("a status");
        bench.tool.edit_work_package(number, |item| item.status_id = closed);
        let found = find(&bench, Some(number), operation).await;
        assert_eq!(
            found.iter().filter(|task| task.is_marked(operation)).count(),
            usize::from(filterable)
        );
    }
}

#[tokio::test]
async fn a_project_that_refuses_the_marker_gets_its_work_packages_all_the_same() {
    let bench = marking(OpenProjectOptions::default().custom_field(FIELD)).await;
    let marked = CallMatcher::any().method("POST").when(|call| {
        let names = |body: &serde_json::Value| body.get(FIELD).is_some();
        call.body.as_ref().is_some_and(names)
    });
    let refusal = json!({
        "_type": "Error",
        "errorIdentifier": "urn:openproject-org:api:v3:errors:PropertyConstraintViolation",
        "message": "Marker has a wrong format.",
        "_embedded": { "details": { "attribute": FIELD } },
    });
    let fault = magnus_testkit::sim::Fault::status(422, refusal.to_string());
    bench.tool.faults().inject(FaultRule::new(marked, fault).always());
    let task = made(&bench, create(bench.project, "New", IntentId::generate()))
        .await
        .task;
    assert_eq!((task.title(), &task.marker), ("New", &None));
    assert_eq!(bench.tool.work_packages().len(), 1);
}
