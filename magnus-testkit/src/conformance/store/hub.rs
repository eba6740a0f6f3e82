//! Reading the hub.

use std::collections::BTreeSet;

use magnus_core::model::{Priority, Project, Status, Task, TaskId, ToolName};
use magnus_core::store::{Changeset, Fence, ProjectWrite, StoreError, TaskQuery};

use super::world::insert_task;
use super::{Checked, World};

impl World {
    async fn titles(&self, query: TaskQuery) -> Result<Vec<String>, StoreError> {
        let page = self.store.query_tasks(query).await?;
        assert_eq!((page.total, page.next), (page.tasks.len() as u64, None));
        Ok(page.tasks.into_iter().map(|task| task.title).rev().collect())
    }
}

/// Each filter is applied, and all of them together.
///
/// # Errors
/// Whatever the store answers.
pub async fn tasks_are_filtered(world: World) -> Checked {
    let mars = Project::new("Mars", world.now());
    let leantime = ToolName::new("leantime");
    let tasks = [
        world.task("plain"),
        Task {
            status: Status::Done,
            ..world.task("done")
        },
        Task {
            status: Status::Done,
            priority: Priority::High,
            ..world.task("done, high")
        },
        Task {
            source_tool: Some(leantime.clone()),
            archived_at: Some(world.now()),
            ..world.task("leantime")
        },
        Task::new(mars.id, "mars", world.now()),
    ];
    let changeset = Changeset {
        projects: vec![ProjectWrite {
            project: mars.clone(),
            expected: None,
        }],
        units: tasks.iter().map(insert_task).collect(),
        ..Changeset::new()
    };
    world.store.commit(Fence::Hub, changeset).await?;
    let query = TaskQuery::default;
    assert_eq!(
        world.titles(query()).await?,
        ["plain", "done", "done, high", "leantime", "mars"]
    );
    assert_eq!(
        world.titles(query().status(Some(Status::Done))).await?,
        ["done", "done, high"]
    );
    let both = query().status(Some(Status::Done)).priority(Some(Priority::High));
    assert_eq!(world.titles(both).await?, ["done, high"]);
    assert_eq!(
        world.titles(query().source(Some(leantime.clone()))).await?,
        ["leantime"]
    );
    assert_eq!(world.titles(query().project(Some(mars.id))).await?, ["mars"]);
    assert_eq!(
        world
            .titles(query().project(Some(mars.id)).source(Some(leantime)))
            .await?,
        [""; 0]
    );
    Ok(())
}

/// Page after page, every task is seen once, newest first; the total is that of all pages.
///
/// # Errors
/// Whatever the store answers.
pub async fn pages_cover_all_tasks_once_newest_first(world: World) -> Checked {
    let tasks: Vec<Task> = (0..25).map(|number| world.task(&format!("Task {number}"))).collect();
    world.commit_all(tasks.iter().map(insert_task).collect()).await?;
    let mut seen: Vec<TaskId> = Vec::new();
    let mut after = None;
    loop {
        let page = world.store.query_tasks(TaskQuery::default().page(10, after)).await?;
        assert_eq!(page.total, 25);
        seen.extend(page.tasks.iter().map(|task| task.id));
        assert!(page.next.is_none() || page.next == seen.last().copied());
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let newest_first: Vec<TaskId> = tasks
        .iter()
        .map(|task| task.id)
        .collect::<BTreeSet<_>>()
        .into_iter()
        .rev()
        .collect();
    assert_eq!(seen, newest_first);
    let exact = world.store.query_tasks(TaskQuery::default().page(25, None)).await?;
    assert_eq!((exact.tasks.len(), exact.next), (25, None));
    Ok(())
}

/// A deleted task stays as a tombstone: known by id and in its project, listed only when asked for.
///
/// # Errors
/// Whatever the store answers.
pub async fn tombstones_are_read_by_id_and_listed_only_when_asked_for(world: World) -> Checked {
    let gone = Task {
        deleted_at: Some(world.now()),
        ..world.task("gone")
    };
    let there = world.task("there");
    world.commit_all(vec![insert_task(&gone), insert_task(&there)]).await?;
    assert_eq!(world.titles(TaskQuery::default()).await?, ["there"]);
    assert_eq!(world.titles(TaskQuery::default().deleted(true)).await?, ["gone"]);
    let unknown = world.task("unknown").id;
    assert_eq!(
        world
            .store
            .tasks(vec![there.id, gone.id, unknown, gone.id])
            .await?
            .len(),
        2
    );
    assert_eq!(world.store.tasks_of_project(world.project.id).await?.len(), 2);
    Ok(())
}

/// Projects are listed by name, archived ones too.
///
/// # Errors
/// Whatever the store answers.
pub async fn projects_are_listed_by_name(world: World) -> Checked {
    let first = Project {
        archived_at: Some(world.now()),
        ..Project::new("Apollo", world.now())
    };
    let last = Project::new("Zenit", world.now());
    let insert = |project: &Project| ProjectWrite {
        project: project.clone(),
        expected: None,
    };
    let changeset = Changeset {
        projects: vec![insert(&last), insert(&first)],
        ..Changeset::new()
    };
    world.store.commit(Fence::Hub, changeset).await?;
    let names: Vec<_> = world
        .store
        .projects()
        .await?
        .into_iter()
        .map(|project| project.name)
        .collect();
    assert_eq!(names, ["Apollo", "Moon", "Zenit"]);
    assert_eq!(
        world.store.project(magnus_core::model::ProjectId::generate()).await?,
        None
    );
    Ok(())
}
