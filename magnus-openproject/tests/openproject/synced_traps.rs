//! What the tool does without a word, met by a whole sync: pulled or reported, never swinging.

use magnus_core::model::{Field, RunState, Status, Value};
use magnus_testkit::sim::openproject::{OpenProjectOptions, OpenProjectSimulator, Progress, Workflow};
use magnus_testkit::sim::{CallMatcher, Fault, FaultRule};
use serde_json::json;

use crate::syncing::Hub;

fn date(text: &str) -> Value {
    Value::Date(text.parse().expect("a date"))
}

async fn hub_of(options: OpenProjectOptions, fill: impl FnOnce(&OpenProjectSimulator, u64)) -> Hub {
    let tool = OpenProjectSimulator::new(options);
    let project = tool.create_project("Garden", "garden");
    fill(&tool, project);
    let hub = Hub::new(tool).await;
    hub.sync().await;
    hub
}

async fn edit(hub: &Hub, title: &str, changes: Vec<(Field, Value)>) {
    let task = hub.by_title().await[title].clone();
    hub.edit(task, changes).await;
}

/// Bodies of the changes that were sent to the item of this title.
fn sent_to(hub: &Hub, title: &str) -> Vec<serde_json::Value> {
    let item = hub.tool.work_packages().into_iter().find(|item| item.subject == title);
    let id = item.map(|item| item.id).unwrap_or_default();
    let writes = hub.tool.accepted_writes();
    writes
        .into_iter()
        .filter(|write| write.work_package_id == id)
        .map(|write| write.body)
        .collect()
}

#[tokio::test]
async fn a_comment_changes_nothing_in_the_hub() {
    let mut item = 0;
    let hub = hub_of(OpenProjectOptions::default(), |tool, project| {
        item = tool.create_work_package(project, "Discussed");
    })
    .await;
    let before = hub.by_title().await["Discussed"].clone();
    hub.tool.comment(item, "Hm");
    hub.sync().await;
    assert_eq!(hub.by_title().await["Discussed"], before);
    hub.assert_quiet().await;
}

#[tokio::test]
async fn successors_that_our_write_moves_are_pulled_and_not_pushed_back() {
    let hub = hub_of(OpenProjectOptions::strict(), |tool, project| {
        let first = tool.create_work_package_with(project, "First", |item| {
            item.start_date = "2026-05-04".parse().ok();
            item.due_date = "2026-05-05".parse().ok();
            item.duration_days = Some(2);
        });
        let second = tool.create_work_package_with(project, "Second", |item| {
            item.start_date = "2026-05-06".parse().ok();
            item.due_date = "2026-05-07".parse().ok();
            item.duration_days = Some(2);
        });
        tool.follow(second, first);
    })
    .await;
    edit(&hub, "First", vec![(Field::DueDate, date("2026-05-08"))]).await;
    hub.sync().await;
    hub.sync().await;
    let second = hub.by_title().await["Second"].clone();
    assert_eq!(
        (second.start_date, second.due_date),
        ("2026-05-11".parse().ok(), "2026-05-12".parse().ok()),
        "the working day after the new end, as long as before"
    );
    assert!(sent_to(&hub, "Second").is_empty());
    hub.assert_quiet().await;
}

#[tokio::test]
async fn what_closing_completes_is_pulled_and_not_pushed_back() {
    let mut options = OpenProjectOptions::strict();
    options.closed_is_complete = true;
    let hub = hub_of(options, |tool, project| {
        tool.create_work_package_with(project, "Done soon", |item| {
            item.estimated_minutes = Some(600);
            item.remaining_minutes = Some(300);
            item.percentage_done = Some(50);
        });
    })
    .await;
    edit(&hub, "Done soon", vec![(Field::Status, Value::Status(Status::Done))]).await;
    hub.sync().await;
    let task = hub.by_title().await["Done soon"].clone();
    assert_eq!(
        (task.status, task.percentage_done, task.remaining_minutes),
        (Status::Done, Some(100), Some(0))
    );
    hub.sync().await;
    let sent = sent_to(&hub, "Done soon");
    assert_eq!(sent.len(), 1, "{sent:?}");
    hub.assert_quiet().await;
}

#[tokio::test]
async fn a_duplicate_that_our_write_closes_is_pulled_and_not_pushed_back() {
    let hub = hub_of(OpenProjectOptions::default(), |tool, project| {
        let original = tool.create_work_package(project, "Original");
        let duplicate = tool.create_work_package(project, "Duplicate");
        tool.duplicate(duplicate, original);
    })
    .await;
    edit(&hub, "Original", vec![(Field::Status, Value::Status(Status::Done))]).await;
    hub.sync().await;
    hub.sync().await;
    assert_eq!(hub.by_title().await["Duplicate"].status, Status::Done);
    assert!(sent_to(&hub, "Duplicate").is_empty());
    hub.assert_quiet().await;
}

#[tokio::test]
async fn roll_ups_of_a_parent_are_pulled_and_not_pushed_back() {
    let hub = hub_of(OpenProjectOptions::strict(), |tool, project| {
        let parent = tool.create_work_package(project, "Parent");
        tool.create_work_package_with(project, "Child", |item| {
            item.parent_id = Some(parent);
            item.due_date = "2026-05-08".parse().ok();
        });
    })
    .await;
    edit(
        &hub,
        "Child",
        vec![
            (Field::DueDate, date("2026-05-22")),
            (Field::EstimatedHours, Value::Minutes(120)),
        ],
    )
    .await;
    hub.sync().await;
    hub.sync().await;
    assert_eq!(hub.by_title().await["Parent"].due_date, "2026-05-22".parse().ok());
    assert!(sent_to(&hub, "Parent").is_empty(), "{:?}", sent_to(&hub, "Parent"));
    hub.assert_quiet().await;
}

#[tokio::test]
async fn a_parents_date_that_the_tool_empties_is_kept_in_the_hub() {
    let mut parent = 0;
    let hub = hub_of(OpenProjectOptions::strict(), |tool, project| {
        parent = tool.create_work_package_with(project, "Parent", |item| item.due_date = "2026-05-08".parse().ok());
    })
    .await;
    let project = hub.tool.work_package(parent).expect("there").project_id;
    hub.tool
        .create_work_package_with(project, "Undated child", |item| item.parent_id = Some(parent));
    assert_eq!(hub.tool.work_package(parent).and_then(|item| item.due_date), None);
    hub.sync().await;
    hub.sync().await;
    assert_eq!(hub.by_title().await["Parent"].due_date, "2026-05-08".parse().ok());
    assert!(sent_to(&hub, "Parent").is_empty());
    hub.assert_quiet().await;
}

#[tokio::test]
async fn a_hub_edit_of_what_the_tool_computes_is_reported_and_not_sent() {
    let hub = hub_of(OpenProjectOptions::strict(), |tool, project| {
        let parent = tool.create_work_package(project, "Parent");
        tool.create_work_package_with(project, "Child", |item| {
            item.parent_id = Some(parent);
            item.due_date = "2026-05-08".parse().ok();
        });
    })
    .await;
    edit(&hub, "Parent", vec![(Field::DueDate, date("2026-07-01"))]).await;
    let end = hub.sync().await;
    assert!(
        format!("{:?}", end.report).to_lowercase().contains("comput"),
        "{:#?}",
        end.report
    );
    hub.sync().await;
    assert_eq!(hub.by_title().await["Parent"].due_date, "2026-07-01".parse().ok());
    assert!(sent_to(&hub, "Parent").is_empty());
    hub.assert_quiet().await;
}

#[tokio::test]
async fn a_percentage_that_follows_the_status_is_pulled_and_not_pushed() {
    let options = OpenProjectOptions::default().progress(Progress::StatusBased);
    let hub = hub_of(options, |tool, project| {
        tool.create_work_package(project, "Finished");
        tool.create_work_package(project, "By hand");
    })
    .await;
    edit(&hub, "Finished", vec![(Field::Status, Value::Status(Status::Done))]).await;
    edit(
        &hub,
        "By hand",
        vec![
            (Field::PercentageDone, Value::Percent(30)),
            (Field::Description, Value::text("sent")),
        ],
    )
    .await;
    for _ in 0..3 {
        hub.sync().await;
    }
    let tasks = hub.by_title().await;
    assert_eq!(tasks["Finished"].percentage_done, Some(100));
    let by_hand = hub
        .tool
        .work_packages()
        .into_iter()
        .find(|item| item.subject == "By hand");
    assert_eq!(
        by_hand.map(|item| item.description),
        Some("sent".to_owned()),
        "the rest arrives"
    );
    hub.assert_quiet().await;
}

#[tokio::test]
async fn work_remaining_work_and_percentage_derive_each_other_and_settle() {
    let hub = hub_of(OpenProjectOptions::strict(), |tool, project| {
        tool.create_work_package(project, "Worked on");
    })
    .await;
    for changes in [
        vec![(Field::EstimatedHours, Value::Minutes(600))],
        vec![(Field::RemainingHours, Value::Minutes(150))],
        vec![(Field::PercentageDone, Value::Percent(50))],
        vec![(Field::EstimatedHours, Value::Empty)],
    ] {
        edit(&hub, "Worked on", changes).await;
        hub.sync().await;
        hub.sync().await;
        let task = hub.by_title().await["Worked on"].clone();
        let item = hub.tool.work_packages().pop().expect("there");
        assert_eq!(task.estimated_minutes.map(i64::from), item.estimated_minutes);
        assert_eq!(task.remaining_minutes.map(i64::from), item.remaining_minutes);
        assert_eq!(task.percentage_done.map(i64::from), item.percentage_done);
        hub.assert_quiet().await;
    }
}

#[tokio::test]
async fn an_attribute_that_the_tool_drops_without_a_word_does_not_swing() {
    let mut options = OpenProjectOptions::default();
    options.dropped_attributes.insert("estimatedTime".to_owned());
    let hub = hub_of(options, |tool, project| {
        tool.create_work_package(project, "Lossy");
    })
    .await;
    edit(
        &hub,
        "Lossy",
        vec![
            (Field::EstimatedHours, Value::Minutes(60)),
            (Field::Description, Value::text("kept")),
        ],
    )
    .await;
    hub.sync().await;
    let end = hub.sync().await;
    let item = hub.tool.work_packages().pop().expect("there");
    assert_eq!((item.estimated_minutes, item.description.as_str()), (None, "kept"));
    assert!(
        format!("{:?}", end.report).contains("another value in its place"),
        "{:#?}",
        end.report
    );
    assert_eq!(
        hub.by_title().await["Lossy"].estimated_minutes,
        Some(60),
        "the hub keeps its value"
    );
    hub.assert_quiet().await;
}

#[tokio::test]
async fn a_template_that_fills_an_empty_description_gives_way_to_the_hub() {
    let hub = hub_of(OpenProjectOptions::default(), |tool, project| {
        tool.create_work_package(project, "There");
        tool.configure(|options| options.description_template = "## Steps\n".to_owned());
    })
    .await;
    let project = hub.by_title().await["There"].project_id;
    hub.add(project, "Templated", |_| ()).await;
    hub.sync().await;
    hub.sync().await;
    let made = hub.tool.work_packages().pop().expect("created");
    assert_eq!((made.subject.as_str(), made.description.as_str()), ("Templated", ""));
    assert_eq!(hub.by_title().await["Templated"].description, None);
    hub.assert_quiet().await;
}

#[tokio::test]
async fn a_title_that_can_not_be_changed_holds_only_the_title() {
    let hub = hub_of(OpenProjectOptions::default(), |tool, project| {
        tool.create_work_package(project, "Generated");
    })
    .await;
    let refusal = json!({
        "_type": "Error", "errorIdentifier": "urn:openproject-org:api:v3:errors:PropertyIsReadOnly", "message": "Subject.",
        "_embedded": { "details": { "attribute": "subject" } },
    });
    hub.tool
        .faults()
        .fail_next(1, CallMatcher::any().method("PATCH"), 422, refusal.to_string());
    edit(
        &hub,
        "Generated",
        vec![
            (Field::Title, Value::text("Mine")),
            (Field::Description, Value::text("arrives")),
        ],
    )
    .await;
    hub.sync().await;
    hub.sync().await;
    let item = hub.tool.work_packages().pop().expect("there");
    assert_eq!(
        (item.subject.as_str(), item.description.as_str()),
        ("Generated", "arrives")
    );
    assert!(hub.by_title().await.contains_key("Mine"), "the hub keeps its value");
    hub.assert_quiet().await;
}

#[tokio::test]
async fn a_start_after_the_due_date_is_held_and_the_rest_arrives() {
    let hub = hub_of(OpenProjectOptions::default(), |tool, project| {
        tool.create_work_package_with(project, "Late", |item| item.due_date = "2026-05-08".parse().ok());
    })
    .await;
    edit(
        &hub,
        "Late",
        vec![
            (Field::StartDate, date("2026-06-01")),
            (Field::Description, Value::text("arrives")),
        ],
    )
    .await;
    for _ in 0..2 {
        hub.sync().await;
    }
    let item = hub.tool.work_packages().pop().expect("there");
    assert_eq!((item.start_date, item.description.as_str()), (None, "arrives"));
    hub.assert_quiet().await;
}

#[tokio::test]
async fn a_status_replaced_with_a_new_type_is_pulled_as_an_edit() {
    let mut item = 0;
    let options = OpenProjectOptions::default().workflow(Workflow::new([(1, 7), (7, 12)]));
    let hub = hub_of(options, |tool, project| {
        item = tool.create_work_package_with(project, "Retyped", |item| item.status_id = 13);
    })
    .await;
    // Somebody gives it another type; its status is none of that type's, and becomes the default one.
    hub.tool.edit_work_package(item, |item| {
        item.type_id = 7;
        item.status_id = 1;
    });
    hub.sync().await;
    assert_eq!(hub.by_title().await["Retyped"].status, Status::Todo);
    hub.assert_quiet().await;
}

#[tokio::test]
async fn a_project_deleted_in_the_background_deletes_nothing_in_the_hub() {
    let mut project = 0;
    let hub = hub_of(OpenProjectOptions::default(), |tool, made| {
        project = made;
        tool.seed_project(made, 8, 3);
    })
    .await;
    let survives = || async {
        let tasks = hub.tasks().await;
        tasks.len() == 8
            && tasks
                .iter()
                .all(|task| !task.is_deleted() && task.archived_at.is_none())
    };
    // Archived at once, removed by a job some minutes later.
    hub.tool.archive_project(project);
    for _ in 0..2 {
        let end = hub.try_sync().await;
        assert!(!end.is_ok_and(|end| end.state == RunState::Completed));
        assert!(survives().await);
    }
    hub.tool.delete_project(project);
    for _ in 0..2 {
        let end = hub.try_sync().await;
        assert!(!end.is_ok_and(|end| end.state == RunState::Completed));
        assert!(survives().await);
    }
}

#[tokio::test]
async fn a_proxys_web_page_instead_of_a_list_deletes_nothing() {
    let hub = hub_of(OpenProjectOptions::default(), |tool, project| {
        tool.seed_project(project, 8, 3);
    })
    .await;
    for status in [200, 404, 502] {
        let rule = FaultRule::new(CallMatcher::any().path_ends_with("/work_packages"), Fault::Html(status)).always();
        hub.tool.faults().inject(rule);
        let end = hub.try_sync().await;
        assert!(!end.is_ok_and(|end| end.state == RunState::Completed));
        hub.tool.faults().clear();
        assert_eq!(hub.tasks().await.iter().filter(|task| !task.is_deleted()).count(), 8);
    }
    hub.assert_quiet().await;
}
