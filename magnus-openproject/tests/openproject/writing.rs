//! Writes against a simulated instance.

use std::collections::BTreeMap;

use crate::support::{bench, change, create, fields, id, open, settings, simple};
use magnus_core::connection::{ConnectionErrorKind, DeleteTask, Outcome, RemoteWrite, UpdateTask, Written};
use magnus_core::model::{Field, RemoteValue, RemoteVersion};
use magnus_testkit::sim::openproject::{OpenProjectOptions, Progress, Workflow};
use serde_json::json;

#[tokio::test]
async fn what_is_created_reads_back_as_sent_and_nobody_is_notified() {
    let bench = simple().await;
    let text = "Zeile 1\r\n\r\n- [x] \u{1f389} & <b>\n";
    let mut values = fields(&[
        (Field::Title, "Gießen"),
        (Field::Description, text),
        (Field::Status, "7"),
        (Field::Priority, "9"),
        (Field::DueDate, "2026-05-02"),
    ]);
    values.insert(Field::EstimatedHours, RemoteValue(json!(2160)));
    values.insert(Field::PercentageDone, RemoteValue(json!(30)));
    let write = RemoteWrite::Create(magnus_core::connection::CreateTask {
        project: id(bench.project),
        fields: values.clone(),
        marker: None,
    });
    let written = bench.written(write).await;
    assert!(written.sole_writer);
    for (field, value) in values {
        assert_eq!(written.task.value(field), Some(&value), "{field}");
    }
    assert!(bench.tool.accepted_writes().iter().all(|write| !write.notify));
}

#[tokio::test]
async fn a_new_child_keeps_its_empty_dates() {
    let bench = simple().await;
    let parent = bench.tool.create_work_package_with(bench.project, "Parent", |item| {
        item.due_date = "2026-05-08".parse().ok();
    });
    let written = bench
        .written(create(
            bench.project,
            &[(Field::Title, "Child"), (Field::Parent, &parent.to_string())],
        ))
        .await;
    assert_eq!(written.task.value(Field::DueDate), Some(&RemoteValue::NULL));
    assert_eq!(
        written.task.value(Field::Parent),
        Some(&RemoteValue::text(parent.to_string()))
    );
}

#[tokio::test]
async fn a_change_names_the_version_it_was_decided_on_and_a_later_one_is_a_conflict() {
    let bench = simple().await;
    let task = bench.tool.create_work_package(bench.project, "Mine");
    let seen = bench.read(task).await;
    let written = bench
        .written(change(&seen, fields(&[(Field::Title, "Mine, edited")])))
        .await;
    assert!(written.sole_writer);
    assert_eq!(written.task.version, Some(RemoteVersion("1".to_owned())));
    bench
        .tool
        .edit_work_package(task, |item| item.description = "By somebody".to_owned());
    let error = bench
        .write(change(&written.task, fields(&[(Field::Title, "Late")])))
        .await
        .expect_err("stale");
    assert_eq!(
        (error.kind(), error.outcome()),
        (ConnectionErrorKind::VersionConflict, Outcome::NotApplied)
    );
    assert_eq!(
        bench.tool.work_package(task).map(|item| item.subject),
        Some("Mine, edited".to_owned())
    );
}

#[tokio::test]
async fn a_comment_in_between_is_no_conflict() {
    let bench = simple().await;
    let task = bench.tool.create_work_package(bench.project, "Discussed");
    let seen = bench.read(task).await;
    bench.tool.comment(task, "Hm");
    assert!(
        bench
            .written(change(&seen, fields(&[(Field::Title, "Decided")])))
            .await
            .sole_writer
    );
}

#[tokio::test]
async fn a_version_that_moved_by_more_than_one_proves_nothing() {
    let bench = simple().await;
    let task = bench.tool.create_work_package(bench.project, "Derived");
    let seen = bench.read(task).await;
    bench.tool.configure(|options| options.extra_version_step = true);
    assert!(
        !bench
            .written(change(&seen, fields(&[(Field::Title, "New")])))
            .await
            .sole_writer
    );
}

#[tokio::test]
async fn a_change_without_effect_leaves_the_version_and_is_still_ours() {
    let bench = simple().await;
    let task = bench.tool.create_work_package(bench.project, "Same");
    let seen = bench.read(task).await;
    let written = bench.written(change(&seen, fields(&[(Field::Title, "Same")]))).await;
    assert!(written.sole_writer);
    assert_eq!(written.task.version, seen.version);
}

#[tokio::test]
async fn a_change_without_a_version_reads_first_and_says_what_was_there() {
    let bench = simple().await;
    let task = bench.tool.create_work_package(bench.project, "Before");
    let update = UpdateTask {
        id: id(task),
        project: id(bench.project),
        move_to: None,
        version: None,
        fields: fields(&[(Field::Title, "After")]),
    };
    let written = bench.written(RemoteWrite::Update(update)).await;
    assert_eq!(
        written.before.map(|before| before.title().to_owned()),
        Some("Before".to_owned())
    );
    assert_eq!(written.task.title(), "After");
}

#[tokio::test]
async fn fields_are_cleared_by_null() {
    let bench = simple().await;
    let other = bench.tool.other_user();
    let parent = bench.tool.create_work_package(bench.project, "Parent");
    let task = bench.tool.create_work_package_with(bench.project, "Full", |item| {
        item.assignee_id = Some(other);
        item.parent_id = Some(parent);
        item.due_date = "2026-05-08".parse().ok();
        item.description = "text".to_owned();
        item.estimated_minutes = Some(60);
    });
    let seen = bench.read(task).await;
    let cleared = [
        Field::Assignee,
        Field::Parent,
        Field::DueDate,
        Field::Description,
        Field::EstimatedHours,
    ];
    let values: BTreeMap<Field, RemoteValue> = cleared.iter().map(|field| (*field, RemoteValue::NULL)).collect();
    let written = bench.written(change(&seen, values)).await;
    for field in cleared {
        assert_eq!(written.task.value(field), Some(&RemoteValue::NULL), "{field}");
    }
}

#[tokio::test]
async fn a_refusal_names_the_fields_and_nothing_is_applied() {
    let options = OpenProjectOptions::default().workflow(Workflow::new([(1, 7)]));
    let bench = bench(options).await;
    let stranger = bench.tool.create_user("eve", "Eve");
    let task = bench.tool.create_work_package(bench.project, "Strict");
    let seen = bench.read(task).await;
    let values = fields(&[
        (Field::Status, "12"),
        (Field::Assignee, &stranger.to_string()),
        (Field::Title, "Fine"),
    ]);
    let error = bench.write(change(&seen, values)).await.expect_err("refused");
    assert_eq!(
        (error.kind(), error.outcome()),
        (ConnectionErrorKind::Rejected, Outcome::NotApplied)
    );
    let mut named: Vec<Field> = error.rejected().iter().map(|rejected| rejected.field).collect();
    named.sort();
    assert_eq!(named, [Field::Status, Field::Assignee]);
    assert_eq!(bench.tool.writes(), 0);
}

#[tokio::test]
async fn dates_of_an_automatic_parent_are_derived_and_refused_by_name() {
    let bench = bench(OpenProjectOptions::strict()).await;
    let parent = bench.tool.create_work_package(bench.project, "Parent");
    bench.tool.create_work_package_with(bench.project, "Child", |item| {
        item.parent_id = Some(parent);
        item.due_date = "2026-05-08".parse().ok();
    });
    let seen = bench.read(parent).await;
    assert!(seen.fields.get(&Field::DueDate).expect("the field").derived);
    assert_eq!(seen.value(Field::DueDate), Some(&RemoteValue::text("2026-05-08")));
    let error = bench
        .write(change(&seen, fields(&[(Field::DueDate, "2026-07-01")])))
        .await
        .expect_err("computed");
    assert_eq!(
        error
            .rejected()
            .iter()
            .map(|rejected| rejected.field)
            .collect::<Vec<_>>(),
        [Field::DueDate]
    );
}

#[tokio::test]
async fn what_the_tool_made_of_a_value_is_read_back() {
    let bench = bench(OpenProjectOptions::strict()).await;
    let written = bench
        .written(create(
            bench.project,
            &[(Field::Title, "Weekend"), (Field::DueDate, "2026-05-02")],
        ))
        .await;
    assert_eq!(
        written.task.value(Field::DueDate),
        Some(&RemoteValue::text("2026-05-04")),
        "a Saturday becomes a Monday"
    );
    bench.tool.configure(|options| options.progress = Progress::WorkBased);
    let values = BTreeMap::from([(Field::EstimatedHours, RemoteValue(json!(120)))]);
    let written = bench.written(change(&written.task, values)).await;
    assert_eq!(
        written.task.value(Field::RemainingHours),
        Some(&RemoteValue(json!(120)))
    );
}

#[tokio::test]
async fn a_milestones_due_date_is_written_by_its_own_name() {
    let bench = simple().await;
    let milestone = bench.tool.create_work_package_with(bench.project, "Opening", |item| {
        item.type_id = 2;
        item.start_date = "2026-05-04".parse().ok();
        item.due_date = item.start_date;
    });
    let seen = bench.read(milestone).await;
    let written = bench
        .written(change(&seen, fields(&[(Field::DueDate, "2026-06-01")])))
        .await;
    assert_eq!(
        written.task.value(Field::DueDate),
        Some(&RemoteValue::text("2026-06-01"))
    );
    assert_eq!(
        bench.tool.work_package(milestone).and_then(|item| item.start_date),
        "2026-06-01".parse().ok()
    );
}

#[tokio::test]
async fn a_task_is_moved_with_its_project() {
    let bench = simple().await;
    let other = bench.tool.create_project("Other", "other");
    let task = bench.tool.create_work_package(bench.project, "Moves");
    let seen = bench.read(task).await;
    let update = UpdateTask {
        id: seen.id,
        project: seen.project,
        move_to: Some(id(other)),
        version: seen.version,
        fields: BTreeMap::new(),
    };
    assert_eq!(bench.written(RemoteWrite::Update(update)).await.task.project, id(other));
}

#[tokio::test]
async fn deleting_twice_is_deleted_once() {
    let bench = simple().await;
    let task = bench.tool.create_work_package(bench.project, "Gone");
    let delete = || {
        RemoteWrite::Delete(DeleteTask {
            id: id(task),
            project: id(bench.project),
        })
    };
    assert_eq!(bench.write(delete()).await.expect("deleted"), Written::Deleted);
    assert_eq!(bench.write(delete()).await.expect("deleted"), Written::Deleted);
    assert_eq!(bench.tool.writes(), 1);
}

#[tokio::test]
async fn one_result_per_write_in_order_whatever_fails() {
    let bench = simple().await;
    let writes = vec![
        create(bench.project, &[(Field::Title, "One")]),
        create(bench.project, &[(Field::Title, " ")]),
        create(bench.project, &[(Field::Title, "Three")]),
    ];
    let results = bench.connection.write(writes).await;
    assert!(results[0].is_ok() && results[1].is_err() && results[2].is_ok());
    assert_eq!(bench.tool.work_packages().len(), 2);
}

#[tokio::test]
async fn created_items_get_the_type_that_the_settings_name() {
    let tool = simple().await.tool;
    let project = tool.create_project("Typed", "typed");
    let mut typed = settings("https://openproject.test");
    typed.options.tool.insert("type".to_owned(), json!("bug"));
    let connection = open(&tool, typed.clone()).await.expect("valid");
    let results = connection
        .write(vec![create(project, &[(Field::Title, "Crash")])])
        .await;
    assert!(results[0].is_ok());
    assert_eq!(tool.work_packages().last().map(|item| item.type_id), Some(7));
    typed.options.tool.insert("type".to_owned(), json!("nonsense"));
    let connection = open(&tool, typed).await.expect("valid");
    let error = connection
        .write(vec![create(project, &[(Field::Title, "Crash")])])
        .await
        .remove(0)
        .expect_err("no such type");
    assert_eq!(
        (error.kind(), error.outcome()),
        (ConnectionErrorKind::InvalidSettings, Outcome::NotApplied)
    );
}
