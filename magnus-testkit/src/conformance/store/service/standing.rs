//! How it stands with each connection, and what lists show.

use magnus_core::model::{
    Conflict, ConflictState, Field, ItemOutcome, LinkState, RowVersion, RunReport, RunState, Trigger,
};
use magnus_core::store::{ConflictQuery, ConnectionCounts, RunQuery, RunStanding};

use super::super::Checked;
use super::super::world::{connection, insert_conflict, update_conflict, update_link};
use super::ServiceWorld;

/// Every connection's newest run and whether one goes on or waits, by the connections' names; those without runs, too.
///
/// # Errors
/// Whatever the store answers.
pub async fn how_runs_stand_is_told_of_every_connection(world: ServiceWorld) -> Checked {
    let store = &world.service;
    let (here, there) = (world.world.here, world.world.there);
    let idle = |connection_id| RunStanding {
        connection_id,
        newest: None,
        in_progress: false,
        queued: false,
    };
    assert_eq!(store.run_standings().await?, [idle(here), idle(there)]);
    world.run(Trigger::Manual, RunState::Completed).await?;
    let failed = world.run(Trigger::Manual, RunState::Failed).await?;
    let standing = RunStanding {
        newest: Some((failed, RunState::Failed)),
        ..idle(here)
    };
    assert_eq!(store.run_standings().await?, [standing, idle(there)]);

    let started = world.enqueue(here, Trigger::Manual).await?.id;
    store.claim_run(world.world.fence()).await?;
    let waiting = world.enqueue(there, Trigger::Schedule).await?.id;
    let going_on = RunStanding {
        newest: Some((started, RunState::Started)),
        in_progress: true,
        ..idle(here)
    };
    let waits = RunStanding {
        newest: Some((waiting, RunState::Queued)),
        queued: true,
        ..idle(there)
    };
    assert_eq!(store.run_standings().await?, [going_on, waits]);
    world.world.clock.advance(std::time::Duration::from_millis(10));
    let behind = world.enqueue(here, Trigger::Manual).await?.id;
    let both = RunStanding {
        newest: Some((behind, RunState::Queued)),
        queued: true,
        ..going_on
    };
    assert_eq!(store.run_standings().await?, [both, waits]);
    let first = store.save_connection(connection("Anywhere", world.world.now())).await?;
    let connections: Vec<_> = store.run_standings().await?;
    assert_eq!(connections[0], idle(first.id), "by name");
    Ok(())
}

/// Links by whether they are live, and conflicts that are open, of each connection.
///
/// # Errors
/// Whatever the store answers.
pub async fn links_and_open_conflicts_are_counted(world: ServiceWorld) -> Checked {
    let counts = |connection_id, linked, unlinked, open_conflicts| ConnectionCounts {
        connection_id,
        linked,
        unlinked,
        open_conflicts,
    };
    let (here, there) = (world.world.here, world.world.there);
    let none = [counts(here, 0, 0, 0), counts(there, 0, 0, 0)];
    assert_eq!(world.service.connection_counts().await?, none);
    let mut links = Vec::new();
    for number in 1..=3 {
        links.push(world.world.add_linked(&format!("Task {number}"), number).await?.1);
    }
    let mut gone = links[2].clone();
    gone.state = LinkState::GoneRemote;
    let open = world.world.conflict(&links[0], Field::Title, "hub", "tool");
    let settled = Conflict {
        state: ConflictState::ResolvedHub,
        ..world.world.conflict(&links[1], Field::Title, "hub", "tool")
    };
    let units = vec![update_link(&gone), insert_conflict(&open), insert_conflict(&settled)];
    world.world.commit_all(units).await?;
    let some = [counts(here, 2, 1, 1), counts(there, 0, 0, 0)];
    assert_eq!(world.service.connection_counts().await?, some);
    Ok(())
}

/// Page after page, every conflict that matches is seen once, newest first; each page tells how many there are.
///
/// # Errors
/// Whatever the store answers.
pub async fn conflicts_are_listed_page_by_page(world: ServiceWorld) -> Checked {
    let (task, link) = world.world.add_linked("Task", 1).await?;
    let (_, other) = world.world.add_linked("Other", 2).await?;
    let mut all = Vec::new();
    for (link, field) in [
        (&link, Field::Title),
        (&other, Field::Title),
        (&link, Field::Description),
        (&link, Field::DueDate),
        (&other, Field::Description),
    ] {
        let conflict = world.world.conflict(link, field, "hub", "tool");
        world.world.commit_all(vec![insert_conflict(&conflict)]).await?;
        world.world.clock.advance(std::time::Duration::from_millis(10));
        all.insert(0, conflict.id);
    }
    let closed = Conflict {
        state: ConflictState::Closed,
        version: RowVersion(1),
        ..world.world.conflict(&other, Field::Description, "hub", "tool")
    };
    let closed = Conflict { id: all[0], ..closed };
    world.world.commit_all(vec![update_conflict(&closed)]).await?;
    let open: Vec<_> = all[1..].to_vec();
    let of_task = [all[1], all[2], all[4]];
    for (query, expected) in [
        (ConflictQuery::default(), all.as_slice()),
        (ConflictQuery::open(None), open.as_slice()),
        (ConflictQuery::open(Some(world.world.here)), open.as_slice()),
        (ConflictQuery::open(Some(world.world.there)), &[]),
        (ConflictQuery::of_task(task.id), of_task.as_slice()),
    ] {
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = world.service.conflict_page(query.clone(), 2, after).await?;
            assert_eq!(page.total, expected.len() as u64, "{query:?}");
            seen.extend(page.conflicts.iter().map(|conflict| conflict.id));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(seen, expected, "{query:?}");
    }
    // One that was settled since it was listed keeps its place.
    let page = world
        .service
        .conflict_page(ConflictQuery::open(None), 1, Some(all[0]))
        .await?;
    assert_eq!(page.conflicts[0].id, all[1]);
    let unknown = magnus_core::model::ConflictId::generate();
    let page = world
        .service
        .conflict_page(ConflictQuery::default(), 2, Some(unknown))
        .await?;
    assert_eq!((page.conflicts.len(), page.total), (0, 5));
    Ok(())
}

/// Lists and digests show reports in brief; a run by itself has all of it.
///
/// # Errors
/// Whatever the store answers.
pub async fn lists_show_reports_in_brief(world: ServiceWorld) -> Checked {
    let store = &world.service;
    let mut report = RunReport {
        plan: Some(serde_json::json!({ "halts": ["many"] })),
        problems: vec!["words".to_owned()],
        ..RunReport::default()
    };
    for number in 0..25 {
        report.push_item(ItemOutcome {
            task_id: None,
            external_id: None,
            title: format!("Task {number}"),
            outcome: "created".to_owned(),
            detail: String::new(),
            reason: None,
        });
    }
    let here = world.world.here;
    let run = world.enqueue(here, Trigger::Manual).await?;
    store.claim_run(world.world.fence()).await?;
    store.finish_run(run.id, RunState::Halted, report.clone(), None).await?;
    let whole = store.run(run.id).await?.expect("the run is there");
    assert_eq!(whole.report, report);
    let listed = store.run_page(RunQuery::default()).await?.runs;
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].report, report.brief());
    let newest = store.run_digest(here).await?.newest.expect("there is one");
    assert_eq!((newest.report, newest.state), (report.brief(), RunState::Halted));
    Ok(())
}
