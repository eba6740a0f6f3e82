//! Single reads, and what they prove.

use magnus_core::connection::{ConnectionErrorKind, Outcome, ProjectReading, Reading, RemoteWrite, UpdateTask};
use magnus_core::connection::{ConnectionExt as _, ListTasks};
use magnus_core::model::ExternalId;

use super::bench::Bench;
use super::verdict::needs;
use super::{Checked, ConnectionFixture, Verdict};

/// One answer per request, in the order of the requests.
pub async fn readings_come_in_the_order_of_requests(fixture: &dyn ConnectionFixture) -> Checked {
    let bench = Bench::new(fixture).await?;
    assert_eq!(bench.connection.read(Vec::new()).await?, [], "no request, no answer");
    let mut tasks = Vec::new();
    for title in ["a", "b", "c", "d"] {
        tasks.push(bench.create(title).await?.id);
    }
    let missing = ExternalId::from(999_999);
    let order = [&tasks[3], &missing, &tasks[0], &tasks[2], &tasks[0], &tasks[1]];
    let per_call = bench.can().batch_size.clamp(1, order.len());
    let mut read = Vec::new();
    for some in order.chunks(per_call) {
        let requests = some.iter().map(|id| bench.reading(id)).collect();
        read.extend(bench.connection.read(requests).await?);
    }
    let ids: Vec<Option<ExternalId>> = read
        .into_iter()
        .map(|reading| reading.into_task().map(|task| task.id))
        .collect();
    let expected: Vec<Option<ExternalId>> = order
        .iter()
        .map(|id| (**id != missing).then(|| (*id).clone()))
        .collect();
    assert_eq!(ids, expected);
    Ok(Verdict::Holds)
}

/// An id that the tool never gave is absent, whatever it looks like.
pub async fn an_id_that_never_was_is_absent(fixture: &dyn ConnectionFixture) -> Checked {
    let bench = Bench::new(fixture).await?;
    for id in [
        "999999",
        "0",
        "-1",
        "no such id",
        "../1",
        "1?x=y",
        "🎉",
        "99999999999999999999999999",
    ] {
        let id = ExternalId::new(id).expect("an id");
        let reading = bench.read(&id).await?;
        assert_eq!(reading, Reading::Absent, "{id}");
    }
    Ok(Verdict::Holds)
}

/// A task that another user deleted reads as absent and is listed no more.
pub async fn a_deleted_task_is_absent(fixture: &dyn ConnectionFixture) -> Checked {
    let bench = Bench::new(fixture).await?;
    let task = bench.create("Soon gone").await?;
    needs!(fixture.other_deletes(&task.id).await, "nobody else can delete");
    assert_eq!(bench.read(&task.id).await?, Reading::Absent);
    assert_eq!(bench.list().await?, []);
    Ok(Verdict::Holds)
}

/// A task that answers from another project is a move and no absence.
pub async fn a_moved_task_reads_as_moved(fixture: &dyn ConnectionFixture) -> Checked {
    let other = needs!(fixture.another_project().await, "the tool has but one project");
    let bench = Bench::new(fixture).await?;
    let task = bench.create("Goes away").await?;
    needs!(fixture.other_moves(&task.id, &other).await, "nobody else can move");
    match bench.read(&task.id).await? {
        Reading::Moved(found) => assert_eq!((&found.id, &found.project), (&task.id, &other)),
        reading => panic!("it moved, but reads {reading:?}"),
    }
    Ok(Verdict::Holds)
}

/// What others changed is read at once.
pub async fn an_edit_by_others_is_read_at_once(fixture: &dyn ConnectionFixture) -> Checked {
    let bench = Bench::new(fixture).await?;
    let task = bench.create("Before").await?;
    bench.present(&task.id).await?;
    needs!(fixture.other_renames(&task.id, "After").await, "nobody else can edit");
    let read = bench.present(&task.id).await?;
    assert!(bench.is_titled(&read, "After"), "{read:?}");
    assert_eq!(bench.find("After").await?.len(), 1);
    let can = bench.can();
    if can.versions {
        assert_ne!(read.version, task.version, "another version");
    }
    if can.change_times {
        let (before, after) = (task.updated_at, read.updated_at);
        assert!(
            after.is_some() && after >= before,
            "a time of change: {before:?}, {after:?}"
        );
    }
    Ok(Verdict::Holds)
}

/// A project that we may no longer see is an error or denied, and never an empty list.
pub async fn a_hidden_project_is_never_an_empty_list(fixture: &dyn ConnectionFixture) -> Checked {
    let bench = Bench::new(fixture).await?;
    let task = bench.create("Hidden").await?;
    needs!(fixture.hide_project().await, "the project cannot be hidden");
    proves_nothing(&bench, &task.id).await?;
    // A connection that never saw it must not fall for it either.
    let fresh = fixture.connect().await;
    let answer = fresh.all_tasks(ListTasks::new(bench.project.clone())).await;
    assert!(answer.is_err(), "a hidden project lists {answer:?}");
    let update = RemoteWrite::Update(UpdateTask {
        id: task.id.clone(),
        project: bench.project.clone(),
        move_to: None,
        version: task.version.clone(),
        fields: bench.titled("Written blindly"),
    });
    let error = bench.write_one(update).await.expect_err("a hidden task is not written");
    assert_eq!(error.outcome(), Outcome::NotApplied, "{error}");
    Ok(Verdict::Holds)
}

/// A project that was deleted is an error or absent, and never an empty list.
pub async fn a_deleted_project_is_never_an_empty_list(fixture: &dyn ConnectionFixture) -> Checked {
    let bench = Bench::new(fixture).await?;
    let task = bench.create("Gone with its project").await?;
    needs!(fixture.delete_project().await, "the project cannot be deleted");
    proves_nothing(&bench, &task.id).await?;
    Ok(Verdict::Holds)
}

/// The project's lists fail, and nobody says that it is there.
async fn proves_nothing(bench: &Bench<'_>, task: &ExternalId) -> Result<(), magnus_core::connection::ConnectionError> {
    let mut errors = vec![bench.list().await.expect_err("a project out of sight has no list")];
    let can = bench.can();
    if can.id_sweep {
        let ids = bench.connection.all_ids(bench.project.clone()).await;
        errors.push(ids.expect_err("a project out of sight has no ids"));
    }
    for error in errors {
        let kind = error.kind();
        assert!(
            matches!(kind, ConnectionErrorKind::Forbidden | ConnectionErrorKind::NotFound),
            "{kind:?}: {error}"
        );
    }
    let reading = bench.connection.read_project(bench.project.clone()).await?;
    assert!(
        matches!(reading, ProjectReading::Denied | ProjectReading::Absent),
        "{reading:?}"
    );
    let reading = bench.read(task).await?;
    assert!(matches!(reading, Reading::Denied | Reading::Absent), "{reading:?}");
    let projects = bench.connection.all_projects().await?;
    assert!(projects.iter().all(|project| project.id != bench.project));
    Ok(())
}

/// Several calls at once do not disturb each other.
pub async fn calls_at_once_do_not_disturb_each_other(fixture: &dyn ConnectionFixture) -> Checked {
    let bench = Bench::new(fixture).await?;
    let mut tasks = Vec::new();
    for number in 0..6 {
        tasks.push(bench.create(&format!("Task {number}")).await?);
    }
    let reads = futures::future::try_join_all(tasks.iter().map(|task| bench.present(&task.id)));
    let writes = (0..4).map(|number| format!("At once {number}"));
    let writes: Vec<String> = writes.collect();
    let creates = futures::future::try_join_all(writes.iter().map(|title| bench.create(title)));
    let (read, made, listed) = futures::try_join!(reads, creates, bench.list())?;
    for (read, task) in read.iter().zip(&tasks) {
        assert_eq!(read.id, task.id);
    }
    for (made, title) in made.iter().zip(&writes) {
        assert!(bench.is_titled(made, title), "{made:?}");
    }
    assert!(listed.len() >= tasks.len());
    assert_eq!(bench.list().await?.len(), tasks.len() + made.len());
    Ok(Verdict::Holds)
}
