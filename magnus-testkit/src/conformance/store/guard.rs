//! The match of a new hub task is repeated inside the commit.

use std::collections::BTreeSet;

use magnus_core::model::{Project, Task, TaskId};
use magnus_core::store::{Changeset, MatchGuard, ProjectWrite, StaleReason, TaskWrite, Unit};

use super::world::{insert_task, stale, update_task, with_link};
use super::{Checked, World};

fn guarded(task: &Task, known: impl IntoIterator<Item = TaskId>) -> Unit {
    let guard = MatchGuard {
        project_id: task.project_id,
        title_key: task.title_key(),
        known: known.into_iter().collect::<BTreeSet<_>>(),
    };
    let write = TaskWrite::Insert {
        task: Box::new(task.clone()),
        guard: Some(guard),
    };
    Unit {
        tasks: vec![write],
        ..Unit::default()
    }
}

/// Two connections pull the same title at once: the second finds the first one's task.
///
/// # Errors
/// Whatever the store answers.
pub async fn a_task_that_appeared_stops_the_insert(world: World) -> Checked {
    world.add_task("Same title").await?;
    let new = world.task("Same title");
    let unit = with_link(guarded(&new, []), &world.link(&new, 1));
    assert_eq!(
        stale(&world.commit(vec![unit]).await?),
        [(0, StaleReason::MatchAppeared)]
    );
    assert_eq!(world.store.links(world.here).await?, []);
    world.commit_all(vec![guarded(&world.task("Other title"), [])]).await
}

/// Titles are compared in canonical form, after an edit too.
///
/// # Errors
/// Whatever the store answers.
pub async fn canonical_titles_match(world: World) -> Checked {
    let old = world.add_task("Old").await?;
    let edited = Task {
        title: " Cafe\u{301}  au lait".to_owned(),
        ..old
    };
    world.commit_all(vec![update_task(&edited)]).await?;
    let new = world.task("Caf\u{e9} au lait ");
    assert_eq!(
        stale(&world.commit(vec![guarded(&new, [])]).await?),
        [(0, StaleReason::MatchAppeared)]
    );
    world.commit_all(vec![guarded(&world.task("Old"), [])]).await
}

/// Tasks that the plan knew, tombstones, and tasks of other projects are no candidates.
///
/// # Errors
/// Whatever the store answers.
pub async fn known_deleted_and_foreign_tasks_do_not_stop_it(world: World) -> Checked {
    let known = world.add_task("Title").await?;
    let gone = world.add_task("Title").await?;
    world
        .commit_all(vec![update_task(&Task {
            deleted_at: Some(world.now()),
            ..gone
        })])
        .await?;
    let mars = Project::new("Mars", world.now());
    let changeset = Changeset {
        projects: vec![ProjectWrite {
            project: mars.clone(),
            expected: None,
        }],
        units: vec![insert_task(&Task::new(mars.id, "Title", world.now()))],
        ..Changeset::new()
    };
    world.store.commit(world.fence(), changeset).await?;
    world
        .commit_all(vec![guarded(&world.task("Title"), [known.id])])
        .await?;
    let outcome = world.commit(vec![guarded(&world.task("Title"), [known.id])]).await?;
    assert_eq!(
        stale(&outcome),
        [(0, StaleReason::MatchAppeared)],
        "the one just made is not known"
    );
    Ok(())
}

/// A task that has its external task on this connection already is no candidate; one that has it elsewhere is.
///
/// # Errors
/// Whatever the store answers.
pub async fn a_task_linked_here_does_not_stop_it_and_one_linked_elsewhere_does(world: World) -> Checked {
    let (first, second) = (world.task("Twin"), world.task("Twin"));
    let pulled = |task, external| with_link(guarded(task, []), &world.link(task, external));
    world.commit_all(vec![pulled(&first, 1), pulled(&second, 2)]).await?;

    let elsewhere = world.task("Elsewhere");
    world
        .commit_all(vec![with_link(
            insert_task(&elsewhere),
            &world.link_there(&elsewhere, 3),
        )])
        .await?;
    let new = world.task("Elsewhere");
    assert_eq!(
        stale(&world.commit(vec![pulled(&new, 4)]).await?),
        [(0, StaleReason::MatchAppeared)]
    );
    Ok(())
}
