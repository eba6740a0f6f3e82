//! Lists and reads against a simulated instance.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::{Bench, bench, id, open, settings, simple};
use magnus_core::connection::{
    ConnectionErrorKind, ConnectionExt as _, Decoded, Encoded, FindCreated, ListTasks, ProjectReading, ReadTask,
    Reading,
};
use magnus_core::model::{ExternalId, Field, Person, RemoteTask, RemoteValue, Status, Value};
use magnus_testkit::sim::openproject::{OpenProjectOptions, Role};
use magnus_testkit::sim::{CallMatcher, Fault, FaultRule};

async fn listed(bench: &Bench) -> BTreeSet<ExternalId> {
    let (tasks, _) = bench
        .connection
        .all_tasks(ListTasks::new(id(bench.project)))
        .await
        .expect("a complete list");
    tasks.into_iter().map(|task| task.id).collect()
}

fn ids(of: impl IntoIterator<Item = u64>) -> BTreeSet<ExternalId> {
    of.into_iter().map(ExternalId::from).collect()
}

#[tokio::test]
async fn closed_items_are_listed_too() {
    let bench = simple().await;
    let closed = bench.tool.status_id("Closed").expect("a closed status");
    let done = bench
        .tool
        .create_work_package_with(bench.project, "Done", |item| item.status_id = closed);
    let open = bench.tool.create_work_package(bench.project, "Open");
    assert_eq!(listed(&bench).await, ids([done, open]));
    assert_eq!(bench.connection.all_ids(id(bench.project)).await.expect("ids").len(), 2);
}

#[tokio::test]
async fn sub_projects_are_mappings_of_their_own() {
    let bench = simple().await;
    let inner = bench.tool.create_subproject(bench.project, "Beds", "beds");
    let outer = bench.tool.create_work_package(bench.project, "Outer");
    bench.tool.create_work_package(inner, "Inner");
    assert_eq!(listed(&bench).await, ids([outer]));
    let swept = bench.connection.all_ids(id(bench.project)).await.expect("ids");
    assert_eq!(swept.into_iter().collect::<BTreeSet<_>>(), ids([outer]));
    let lists = bench.tool.recorder().calls();
    let lists: Vec<_> = lists
        .iter()
        .filter(|list| list.call.path.ends_with("/work_packages"))
        .collect();
    assert!(lists.len() >= 2, "{lists:?}");
    for list in lists {
        assert!(
            list.call.query.contains("includeSubprojects=false"),
            "{}",
            list.call.query
        );
    }

    // Whatever a server makes of that, a row of another project is not one of this one.
    let foreign = Fault::transform(move |mut page| {
        for row in page["_embedded"]["elements"].as_array_mut().into_iter().flatten() {
            row["_links"]["project"]["href"] = format!("/api/v3/projects/{inner}").into();
        }
        page
    });
    let only = CallMatcher::any().path_ends_with("/work_packages");
    bench.tool.faults().inject(FaultRule::new(only, foreign).always());
    assert_eq!(listed(&bench).await, ids([]));
}

#[tokio::test]
async fn a_page_size_cut_by_the_instance_loses_nothing() {
    let bench = bench(OpenProjectOptions::default().page_size_max(7)).await;
    let made = bench.tool.seed_project(bench.project, 60, 3);
    assert_eq!(listed(&bench).await, ids(made.clone()));
    let swept = bench.connection.all_ids(id(bench.project)).await.expect("ids");
    assert_eq!(swept.into_iter().collect::<BTreeSet<_>>(), ids(made));
}

#[tokio::test]
async fn rule_11_rows_touched_while_pages_are_read_are_all_seen() {
    let bench = bench(OpenProjectOptions::default().page_size_max(5)).await;
    let made = bench.tool.seed_project(bench.project, 30, 4);
    let (tool, rows, calls) = (bench.tool.clone(), made.clone(), Arc::new(AtomicUsize::new(0)));
    // After each page, somebody edits a row of it.
    let touch = Fault::transform(move |page| {
        let call = calls.fetch_add(1, Ordering::SeqCst);
        if let Some(row) = rows.get(call * 4) {
            tool.comment(*row, "touched");
        }
        page
    });
    bench
        .tool
        .faults()
        .inject(FaultRule::new(CallMatcher::any().path_ends_with("/work_packages"), touch).always());
    assert_eq!(listed(&bench).await, ids(made));
}

#[tokio::test]
async fn many_items_of_one_stamp_are_all_read() {
    let bench = bench(OpenProjectOptions::default().page_size_max(4)).await;
    let made = bench.tool.seed_project(bench.project, 23, 5);
    let stamp = "2026-03-01T12:00:00.123456Z".parse().expect("a time");
    made.iter().for_each(|row| bench.tool.set_updated_at(*row, stamp));
    assert_eq!(listed(&bench).await, ids(made));
}

#[tokio::test]
async fn the_cursor_is_the_tools_own_stamp_and_what_changes_later_is_listed() {
    let bench = simple().await;
    let old = bench.tool.create_work_package(bench.project, "Old");
    bench
        .tool
        .set_updated_at(old, "2026-01-01T00:00:00Z".parse().expect("a time"));
    let new = bench.tool.create_work_package(bench.project, "New");
    bench
        .tool
        .set_updated_at(new, "2026-02-01T00:00:00.987654Z".parse().expect("a time"));
    let (_, cursor) = bench
        .connection
        .all_tasks(ListTasks::new(id(bench.project)))
        .await
        .expect("a list");
    assert_eq!(
        cursor.as_ref().map(|cursor| cursor.0.as_str()),
        Some("2026-02-01T00:00:00.987Z")
    );
    let since = ListTasks::new(id(bench.project)).changed_since(cursor.clone());
    let (changed, same) = bench.connection.all_tasks(since.clone()).await.expect("a list");
    assert_eq!((changed.len(), &same), (1, &cursor), "inclusive, and never back");
    bench.tool.comment(old, "moves the time but no version");
    let (changed, later) = bench.connection.all_tasks(since).await.expect("a list");
    assert_eq!(changed.len(), 2);
    assert!(later.map(|cursor| cursor.0) > cursor.map(|cursor| cursor.0));
}

#[tokio::test]
async fn a_list_that_repeats_its_page_is_an_error_and_never_a_short_list() {
    let bench = bench(OpenProjectOptions::default().page_size_max(5)).await;
    bench.tool.seed_project(bench.project, 30, 6);
    for index in 0..30 {
        let at = chrono::DateTime::from_timestamp(1_760_000_000 + index * 60, 0).expect("a time");
        bench
            .tool
            .set_updated_at(bench.tool.work_packages()[index as usize].id, at);
    }
    let repeat = || FaultRule::new(CallMatcher::any().path_ends_with("/work_packages"), Fault::RepeatAnswer).always();
    bench.tool.faults().inject(repeat());
    let error = bench
        .connection
        .all_tasks(ListTasks::new(id(bench.project)))
        .await
        .expect_err("no list");
    assert_eq!(error.kind(), ConnectionErrorKind::Protocol);
    bench.tool.faults().clear();
    bench.tool.faults().inject(repeat());
    let error = bench.connection.all_ids(id(bench.project)).await.expect_err("no list");
    assert_eq!(error.kind(), ConnectionErrorKind::Protocol);
}

#[tokio::test]
async fn present_moved_and_absent_are_told_apart() {
    let bench = simple().await;
    let other = bench.tool.create_project("Other", "other");
    let here = bench.tool.create_work_package(bench.project, "Here");
    let moved = bench.tool.create_work_package(bench.project, "Moved");
    bench.tool.move_work_package(moved, other);
    let requests = [here, moved, 9999].map(|task| ReadTask {
        id: id(task),
        project: id(bench.project),
    });
    let readings = bench.connection.read(requests.to_vec()).await.expect("readable");
    assert!(matches!(&readings[0], Reading::Present(task) if task.id == id(here)));
    assert!(matches!(&readings[1], Reading::Moved(task) if task.project == id(other)));
    assert_eq!(readings[2], Reading::Absent);
}

#[tokio::test]
async fn a_denied_read_is_not_an_absence() {
    let bench = simple().await;
    let task = bench.tool.create_work_package(bench.project, "Hidden");
    let body =
        r#"{"_type":"Error","errorIdentifier":"urn:openproject-org:api:v3:errors:MissingPermission","message":"No."}"#;
    bench.tool.faults().fail_next(1, CallMatcher::any(), 403, body);
    let request = ReadTask {
        id: id(task),
        project: id(bench.project),
    };
    assert_eq!(
        bench.connection.read(vec![request]).await.expect("readable"),
        [Reading::Denied]
    );
}

#[tokio::test]
async fn an_archived_project_a_lost_membership_and_a_missing_project_are_no_open_project() {
    let bench = simple().await;
    let project = id(bench.project);
    assert!(matches!(
        bench.connection.read_project(project.clone()).await,
        Ok(ProjectReading::Open(_))
    ));
    bench.tool.archive_project(bench.project);
    assert_eq!(
        bench.connection.read_project(project.clone()).await.expect("an answer"),
        ProjectReading::Absent
    );
    bench.tool.unarchive_project(bench.project);
    bench.tool.remove_membership(bench.project, bench.tool.sync_user());
    assert_eq!(
        bench.connection.read_project(project.clone()).await.expect("an answer"),
        ProjectReading::Absent
    );
    let error = bench
        .connection
        .all_tasks(ListTasks::new(project))
        .await
        .expect_err("not readable");
    assert_eq!(
        error.kind(),
        ConnectionErrorKind::NotFound,
        "an error, never an empty list"
    );
}

#[tokio::test]
async fn an_administrators_archived_projects_are_listed_as_closed() {
    let bench = bench(OpenProjectOptions::default().admin()).await;
    let archived = bench.tool.create_project("Old", "old");
    bench.tool.archive_project(archived);
    let projects = bench.connection.all_projects().await.expect("projects");
    let open: Vec<(ExternalId, bool)> = projects.into_iter().map(|project| (project.id, project.open)).collect();
    assert_eq!(open, [(id(bench.project), true), (id(archived), false)]);
    assert_eq!(
        bench.connection.read_project(id(archived)).await.expect("an answer"),
        ProjectReading::Closed
    );
}

#[tokio::test]
async fn projects_come_in_pages_too() {
    let bench = bench(OpenProjectOptions::default().page_size_max(2)).await;
    (0..4).for_each(|number| {
        bench.tool.create_project(&format!("P{number}"), &format!("p{number}"));
    });
    assert_eq!(bench.connection.all_projects().await.expect("projects").len(), 5);
    bench
        .tool
        .faults()
        .inject(FaultRule::new(CallMatcher::any().path_ends_with("/projects"), Fault::RepeatAnswer).always());
    assert_eq!(
        bench.connection.all_projects().await.expect_err("repeats").kind(),
        ConnectionErrorKind::Protocol
    );
}

#[tokio::test]
async fn an_anonymous_answer_is_no_authentication() {
    let tool = bench(OpenProjectOptions::default().anonymous_access()).await.tool;
    let connection = open(&tool, settings("https://openproject.test")).await.expect("valid");
    assert_eq!(connection.check().await.expect("a user").id, id(tool.sync_user()));
    // A proxy that drops the header, or a token that expired: 200, with nobody behind it.
    let drop_user = Fault::transform(|mut root| {
        root["_links"].as_object_mut().map(|links| links.remove("user"));
        root
    });
    tool.faults()
        .inject(FaultRule::new(CallMatcher::any().path_ends_with("/api/v3"), drop_user));
    assert_eq!(
        connection.check().await.expect_err("nobody").kind(),
        ConnectionErrorKind::Unauthorized
    );
}

#[tokio::test]
async fn a_wrong_key_is_unauthorized() {
    let bench = simple().await;
    bench
        .tool
        .edit_user(bench.tool.sync_user(), |user| user.api_key = Some("another".to_owned()));
    assert_eq!(
        bench.connection.check().await.expect_err("refused").kind(),
        ConnectionErrorKind::Unauthorized
    );
}

#[tokio::test]
async fn a_lost_create_is_found_by_author_and_id_over_all_projects() {
    let bench = simple().await;
    let other = bench.tool.create_project("Other", "other");
    let before = bench
        .written(crate::support::create(bench.project, &[(Field::Title, "Before")]))
        .await
        .task
        .id;
    bench.tool.create_work_package(bench.project, "Of somebody else");
    let mine = bench
        .written(crate::support::create(other, &[(Field::Title, "Mine")]))
        .await
        .task
        .id;
    let request = FindCreated {
        project: id(bench.project),
        after: Some(before),
        markers: Vec::new(),
    };
    let found = bench.connection.find_created(request).await.expect("complete");
    assert_eq!(found.into_iter().map(|task| task.id).collect::<Vec<_>>(), [mine]);
}

#[tokio::test]
async fn descendants_of_every_level_and_project_are_listed() {
    let bench = simple().await;
    let other = bench.tool.create_project("Other", "other");
    let top = bench.tool.create_work_package(bench.project, "Top");
    let child = bench
        .tool
        .create_work_package_with(other, "Child", |item| item.parent_id = Some(top));
    let closed = bench.tool.status_id("Closed").expect("a closed status");
    let grandchild = bench
        .tool
        .create_work_package_with(bench.project, "Grandchild", |item| {
            item.parent_id = Some(child);
            item.status_id = closed;
        });
    let below = |task: u64| {
        bench.connection.list_descendants(ReadTask {
            id: id(task),
            project: id(bench.project),
        })
    };
    let found: Vec<RemoteTask> = below(top).await.expect("complete");
    assert_eq!(
        found.into_iter().map(|task| task.id).collect::<BTreeSet<_>>(),
        ids([child, grandchild])
    );
    assert!(below(grandchild).await.expect("complete").is_empty());
    assert!(
        below(9999).await.expect("complete").is_empty(),
        "what is gone takes nothing along"
    );
}

#[tokio::test]
async fn values_are_translated_with_the_tables_of_the_instance() {
    let bench = simple().await;
    let reader = bench.tool.create_user("eve", "Eve Watcher");
    bench.tool.set_role(bench.project, reader, Role::Reader);
    let project = id(bench.project);
    let translator = bench
        .connection
        .translator(vec![project.clone()])
        .await
        .expect("tables");
    let progress = RemoteValue::text(bench.tool.status_id("In progress").expect("a status").to_string());
    assert_eq!(
        translator.decode(&project, Field::Status, &progress),
        Decoded::Exact(Value::Status(Status::InProgress))
    );
    assert_eq!(
        translator.encode(&project, Field::Status, &Value::Status(Status::InProgress)),
        Encoded::Value(progress)
    );
    let person = |text: &str| Value::Person(Person::parse(text).expect("a person"));
    let ada = RemoteValue::text(bench.tool.other_user().to_string());
    assert_eq!(
        translator.decode(&project, Field::Assignee, &ada),
        Decoded::Exact(person("Ada Byron"))
    );
    assert_eq!(
        translator.encode(&project, Field::Assignee, &person("Ada Byron")),
        Encoded::Value(ada)
    );
    let eve = translator.encode(&project, Field::Assignee, &person("Eve Watcher"));
    assert!(matches!(eve, Encoded::Unholdable(reason) if reason.contains("cannot be assigned")));
}

#[tokio::test]
async fn an_unchanged_sync_of_a_thousand_tasks_in_three_projects_takes_fifteen_requests_at_most() {
    let bench = simple().await;
    let projects = [
        bench.project,
        bench.tool.create_project("B", "b"),
        bench.tool.create_project("C", "c"),
    ];
    for (project, count) in projects.iter().zip([998, 1, 1]) {
        bench.tool.seed_project(*project, count, 9);
    }
    let mut cursors = Vec::new();
    for project in projects {
        cursors.push(
            bench
                .connection
                .all_tasks(ListTasks::new(id(project)))
                .await
                .expect("a list")
                .1,
        );
    }
    bench.tool.reset_counts();
    bench.connection.check().await.expect("a user");
    bench.connection.all_projects().await.expect("projects");
    bench
        .connection
        .translator(projects.map(id).to_vec())
        .await
        .expect("tables");
    for (project, cursor) in projects.iter().zip(cursors) {
        bench
            .connection
            .all_tasks(ListTasks::new(id(*project)).changed_since(cursor))
            .await
            .expect("a list");
        bench.connection.all_ids(id(*project)).await.expect("ids");
    }
    assert!(
        bench.tool.recorder().total() <= 6 + 3 * 3,
        "{:?}",
        bench.tool.requests()
    );
    assert_eq!(bench.tool.writes(), 0);
}

#[tokio::test]
async fn who_changed_an_item_last_is_told_and_neither_we_nor_comments_count() {
    let bench = simple().await;
    let task = bench.tool.create_work_package(bench.project, "Shared");
    let who = async |task: u64| {
        let request = ReadTask {
            id: id(task),
            project: id(bench.project),
        };
        bench.connection.last_change(request).await.expect("an answer")
    };
    bench
        .tool
        .edit_work_package(task, |item| item.subject = "Renamed".to_owned());
    let edited = bench.tool.work_package(task).expect("there").updated_at;
    let request = ReadTask {
        id: id(task),
        project: id(bench.project),
    };
    let seen = bench.connection.read(vec![request]).await.expect("readable").remove(0);
    let seen = seen.into_task().expect("there");
    let ours = crate::support::change(&seen, crate::support::fields(&[(Field::Title, "Ours")]));
    bench.written(ours).await;
    bench.tool.comment(task, "What a name");
    let told = who(task).await.expect("somebody");
    assert_eq!(told.by.as_deref(), Some("Ada Byron"));
    let distance = told.at.expect("a time") - edited;
    assert!(distance.abs() < chrono::TimeDelta::seconds(1), "{distance}");

    let mine = bench
        .written(crate::support::create(bench.project, &[(Field::Title, "Mine")]))
        .await
        .task;
    assert_eq!(
        who(mine.id.as_str().parse().expect("a number")).await,
        None,
        "nobody but us"
    );
    assert_eq!(who(9_999).await, None, "nothing there");
}
