//! Units are applied whole or not at all, and a changeset once.

use magnus_core::model::{ConnectionId, ExternalId, HistoryEntry, Project, RowVersion, Rule, Side, Task, Value};
use magnus_core::store::{ChangedRows, Changeset, CommitOutcome, Fence, MappingWrite, ProjectWrite, StaleReason, Unit};

use super::world::{
    insert_conflict, insert_mapping, insert_task, stale, update_conflict, update_link, update_task, with_link,
};
use super::{Checked, World};

/// An insert has version 1, and every update one more.
///
/// # Errors
/// Whatever the store answers.
pub async fn versions_rise_with_every_write(world: World) -> Checked {
    let mut task = world.add_task("Counted").await?;
    for version in 2..5 {
        world.commit_all(vec![update_task(&task)]).await?;
        task = world.read_task(&task).await?;
        assert_eq!(task.version, RowVersion(version));
    }
    Ok(())
}

/// A unit whose row moved is left out and named; the units around it are committed.
///
/// # Errors
/// Whatever the store answers.
pub async fn a_moved_row_leaves_out_its_unit_and_nothing_else(world: World) -> Checked {
    let read = world.add_task("Read").await?;
    world
        .commit_all(vec![update_task(&Task {
            title: "Edited meanwhile".to_owned(),
            ..read.clone()
        })])
        .await?;

    let (before, after) = (world.task("Before"), world.task("After"));
    let overwrite = update_task(&Task {
        title: "Blind".to_owned(),
        ..read.clone()
    });
    let missing = update_task(&Task {
        version: RowVersion(1),
        ..world.task("Never written")
    });
    let outcome = world
        .commit(vec![insert_task(&before), overwrite, missing, insert_task(&after)])
        .await?;
    assert_eq!(
        stale(&outcome),
        [(1, StaleReason::RowMoved), (2, StaleReason::RowMoved)]
    );
    assert_eq!(world.read_task(&read).await?.title, "Edited meanwhile");
    assert_eq!(world.store.tasks(vec![before.id, after.id]).await?.len(), 2);
    Ok(())
}

/// Nothing of a stale unit stays: not its tasks, links, intents, conflicts or history, whichever of them was stale.
///
/// # Errors
/// Whatever the store answers.
pub async fn a_stale_unit_is_left_out_whole(world: World) -> Checked {
    let (task, link) = world.add_linked("Linked", 7).await?;
    let new = world.task("New");
    let told = |task: &Task| HistoryEntry {
        task_id: task.id,
        run_id: None,
        connection_id: None,
        field: None,
        before: Value::Empty,
        after: Value::Empty,
        side: Side::Hub,
        rule: Rule::Created,
        at: world.now(),
    };
    let renamed = Task {
        title: "Renamed".to_owned(),
        ..task.clone()
    };

    let mut taken_link = with_link(insert_task(&new), &world.link(&new, 7));
    taken_link.history.push(told(&new));
    let mut unknown_in_history = update_task(&renamed);
    unknown_in_history
        .history
        .extend([told(&task), told(&world.task("Nobody"))]);
    let open = world.conflict(&link, magnus_core::model::Field::Title, "a", "b");
    let mut second_open = insert_conflict(&open);
    second_open
        .conflicts
        .extend(insert_conflict(&world.conflict(&link, open.field, "c", "d")).conflicts);
    let mut old_link = update_task(&renamed);
    old_link.links = update_link(&magnus_core::model::Link {
        version: RowVersion(9),
        ..link.clone()
    })
    .links;

    let outcome = world
        .commit(vec![taken_link, unknown_in_history, second_open, old_link])
        .await?;
    let reasons = [
        StaleReason::RowMoved,
        StaleReason::MissingReference,
        StaleReason::RowMoved,
        StaleReason::RowMoved,
    ];
    assert_eq!(stale(&outcome), reasons.into_iter().enumerate().collect::<Vec<_>>());
    assert_eq!(world.store.tasks(vec![new.id]).await?, []);
    assert_eq!(world.store.history(new.id).await?, []);
    assert_eq!(world.store.history(task.id).await?, []);
    assert_eq!(world.read_task(&task).await?, task);
    assert_eq!(world.store.links(world.here).await?, [link]);
    assert_eq!(world.store.conflict(open.id).await?, None);
    // What was taken back is free again.
    world
        .commit_all(vec![with_link(insert_task(&new), &world.link(&new, 8))])
        .await
}

/// A child may follow its parent in one changeset, and a parent its project and mapping.
///
/// # Errors
/// Whatever the store answers.
pub async fn a_unit_may_refer_to_rows_of_an_earlier_one(world: World) -> Checked {
    let project = Project::new("Mars", world.now());
    let mapping = magnus_core::model::Mapping::new(world.here, ExternalId::from(2), project.name.clone(), project.id);
    let parent = Task::new(project.id, "Parent", world.now());
    let child = Task {
        parent_id: Some(parent.id),
        ..Task::new(project.id, "Child", world.now())
    };
    let link = magnus_core::model::Link::new(&mapping, child.id, ExternalId::from(3), world.now());
    let changeset = Changeset {
        projects: vec![ProjectWrite {
            project: project.clone(),
            expected: None,
        }],
        mappings: vec![insert_mapping(mapping)],
        units: vec![insert_task(&parent), with_link(insert_task(&child), &link)],
        ..Changeset::new()
    };
    assert_eq!(
        world.store.commit(world.fence(), changeset).await?,
        CommitOutcome::default()
    );
    assert_eq!(world.read_task(&child).await?.parent_id, Some(parent.id));
    Ok(())
}

/// What refers to a row that is not there is left out, also when that row was left out just before.
///
/// # Errors
/// Whatever the store answers.
pub async fn what_refers_to_a_row_left_out_is_left_out_too(world: World) -> Checked {
    let taken = world.add_task("Taken").await?;
    let parent = world.task("Parent");
    let mut parent_unit = insert_task(&parent);
    parent_unit.tasks.extend(insert_task(&taken).tasks);
    let child = Task {
        parent_id: Some(parent.id),
        ..world.task("Child")
    };
    let homeless = Task {
        project_id: magnus_core::model::ProjectId::generate(),
        ..world.task("Homeless")
    };
    let dangling = with_link(Unit::default(), &world.link(&parent, 1));
    let outcome = world
        .commit(vec![parent_unit, insert_task(&child), insert_task(&homeless), dangling])
        .await?;
    let missing = StaleReason::MissingReference;
    assert_eq!(
        stale(&outcome),
        [(0, StaleReason::RowMoved), (1, missing), (2, missing), (3, missing)]
    );
    assert_eq!(world.store.tasks_of_project(world.project.id).await?, [taken]);
    Ok(())
}

/// A changeset sent again, since its answer was lost, is answered as before and changes nothing.
///
/// # Errors
/// Whatever the store answers.
pub async fn the_same_changeset_twice_changes_nothing_and_answers_as_before(world: World) -> Checked {
    let task = world.add_task("Once").await?;
    let new = world.task("New");
    let stale_row = MappingWrite {
        mapping: world.mapping.clone(),
        expected: Some(RowVersion(9)),
    };
    let changeset = Changeset {
        mappings: vec![stale_row],
        units: vec![update_task(&task), update_task(&task), insert_task(&new)],
        ..Changeset::new()
    };
    let first = world.store.commit(world.fence(), changeset.clone()).await?;
    assert_eq!((stale(&first).len(), first.stale_rows), (1, 1));
    let (rows, changed) = (
        world.store.tasks_of_project(world.project.id).await?,
        world.store.changed_rows(),
    );
    assert_eq!(world.store.commit(world.fence(), changeset).await?, first);
    assert_eq!(world.store.tasks_of_project(world.project.id).await?, rows);
    assert_eq!(world.store.changed_rows(), changed);
    Ok(())
}

/// A changeset that arrives several times at once is committed once, and answered alike.
///
/// # Errors
/// Whatever the store answers.
pub async fn the_same_changeset_at_once_is_committed_once(world: World) -> Checked {
    let task = world.add_task("Once").await?;
    let changeset = Changeset::of(vec![update_task(&task), insert_task(&world.task("New"))]);
    let commit = || world.store.commit(world.fence(), changeset.clone());
    let answers = futures::future::join_all((0..8).map(|_| commit())).await;
    for answer in answers {
        assert_eq!(answer?, CommitOutcome::default());
    }
    assert_eq!(world.read_task(&task).await?.version, RowVersion(2));
    assert_eq!(world.store.tasks_of_project(world.project.id).await?.len(), 2);
    Ok(())
}

/// Of several updates decided on the same version one is applied.
///
/// # Errors
/// Whatever the store answers.
pub async fn concurrent_updates_of_one_row_have_one_winner(world: World) -> Checked {
    let task = world.add_task("Contested").await?;
    let commits = (0..8).map(|number| {
        let edited = Task {
            title: format!("Edit {number}"),
            ..task.clone()
        };
        world
            .store
            .commit(Fence::Hub, Changeset::of(vec![update_task(&edited)]))
    });
    let mut winners = Vec::new();
    for (number, answer) in futures::future::join_all(commits).await.into_iter().enumerate() {
        if answer?.stale.is_empty() {
            winners.push(format!("Edit {number}"));
        }
    }
    let task = world.read_task(&task).await?;
    assert_eq!((winners, task.version), (vec![task.title], RowVersion(2)));
    Ok(())
}

/// Inserts and updates of projects, tasks, links and conflicts are counted; what was left out, mappings, the journal
/// and the run log are not.
///
/// # Errors
/// Whatever the store answers.
pub async fn only_real_changes_are_counted(world: World) -> Checked {
    let start = world.store.changed_rows();
    let since = |now: ChangedRows| {
        let ChangedRows {
            projects,
            tasks,
            links,
            conflicts,
        } = now;
        [
            projects - start.projects,
            tasks - start.tasks,
            links - start.links,
            conflicts - start.conflicts,
        ]
    };
    let (task, link) = world.add_linked("Linked", 7).await?;
    let conflict = world.conflict(&link, magnus_core::model::Field::Title, "a", "b");
    world.commit_all(vec![insert_conflict(&conflict)]).await?;
    assert_eq!(since(world.store.changed_rows()), [0, 1, 1, 1]);

    let conflict = magnus_core::model::Conflict {
        version: RowVersion(1),
        ..conflict
    };
    world
        .commit_all(vec![update_task(&task), update_link(&link), update_conflict(&conflict)])
        .await?;
    assert_eq!(since(world.store.changed_rows()), [0, 2, 2, 2]);

    let mut left_out = insert_task(&world.task("Taken back"));
    left_out.links = update_link(&link).links;
    assert_eq!(world.commit(vec![left_out]).await?.stale.len(), 1);
    let changeset = Changeset {
        projects: vec![ProjectWrite {
            project: world.project.clone(),
            expected: Some(world.project.version),
        }],
        mappings: vec![MappingWrite {
            mapping: world.mapping.clone(),
            expected: Some(world.mapping.version),
        }],
        ..Changeset::new()
    };
    world.store.commit(world.fence(), changeset).await?;
    world
        .store
        .enqueue_run(magnus_core::model::RunRequest::new(world.here))
        .await?;
    world.store.claim_run(world.fence()).await?;
    world.commit_all(vec![Unit::default()]).await?;
    assert_eq!(since(world.store.changed_rows()), [1, 2, 2, 2]);
    assert_eq!(world.store.connection(ConnectionId::generate()).await?, None);
    Ok(())
}

/// A changeset may be large.
///
/// # Errors
/// Whatever the store answers.
pub async fn a_thousand_units_are_committed_in_one_go(world: World) -> Checked {
    let units = (0..1000).map(|number| {
        let task = world.task(&format!("Task {number}"));
        with_link(insert_task(&task), &world.link(&task, number))
    });
    world.commit_all(units.collect()).await?;
    let tasks = world.store.tasks_of_project(world.project.id).await?;
    let links = world
        .store
        .links_of_tasks(tasks.iter().map(|task| task.id).collect())
        .await?;
    assert_eq!((tasks.len(), links.len()), (1000, 1000));
    assert!(tasks.is_sorted_by_key(|task| task.id));
    Ok(())
}

/// A commit whose future is dropped at any point is there whole or not at all, and can be sent again.
///
/// # Errors
/// Whatever the store answers.
pub async fn a_dropped_commit_leaves_all_or_nothing_and_can_be_sent_again(world: World) -> Checked {
    const UNITS: usize = 5;
    let mut expected = 0;
    for polls in [0, 1, 4, 16, 64, 256, 1024, 4096] {
        let units = (0..UNITS).map(|_| insert_task(&world.task("Dropped")));
        let changeset = Changeset::of(units.collect());
        let mut commit = world.store.commit(world.fence(), changeset.clone());
        for _ in 0..polls {
            if futures::poll!(&mut commit).is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(commit);
        let there = world.store.tasks_of_project(world.project.id).await?.len();
        assert!(
            there == expected || there == expected + UNITS,
            "{there} after {polls} polls"
        );

        expected += UNITS;
        assert_eq!(
            world.store.commit(world.fence(), changeset).await?,
            CommitOutcome::default()
        );
        assert_eq!(world.store.tasks_of_project(world.project.id).await?.len(), expected);
    }
    Ok(())
}
