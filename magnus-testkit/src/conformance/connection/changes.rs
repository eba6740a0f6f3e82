//! Lists of what changed since a cursor.

use std::collections::BTreeSet;

use magnus_core::connection::{ConnectionError, ConnectionExt as _};
use magnus_core::model::{Cursor, ExternalId};

use super::bench::Bench;
use super::verdict::needs;
use super::{Checked, ConnectionFixture, Verdict};

async fn since(
    bench: &Bench<'_>,
    cursor: Option<Cursor>,
) -> Result<(BTreeSet<ExternalId>, Option<Cursor>), ConnectionError> {
    let request = bench.list_request().changed_since(cursor.clone());
    let (tasks, next) = bench.connection.all_tasks(request).await?;
    // A walk that found nothing has no stamp of its own: the caller goes on from where it was.
    Ok((tasks.into_iter().map(|task| task.id).collect(), next.or(cursor)))
}

/// The cursor's own stamp is included: what changed in the same moment is not passed by.
pub async fn a_cursor_includes_its_own_stamp(fixture: &dyn ConnectionFixture) -> Checked {
    let bench = Bench::new(fixture).await?;
    needs!(
        bench.can().incremental.then_some(()),
        "the tool cannot list what changed"
    );
    let mut last = bench.create("First").await?.id;
    for number in 0..3 {
        last = bench.create(&format!("Later {number}")).await?.id;
    }
    let (_, cursor) = since(&bench, None).await?;
    assert!(cursor.is_some(), "a list of tasks has a stamp to go on from");
    let (again, _) = since(&bench, cursor).await?;
    assert!(again.contains(&last), "the newest row has the cursor's stamp");
    Ok(Verdict::Holds)
}

/// Edits and new tasks of others, and our own, are found from cursor to cursor.
pub async fn no_change_is_missed_from_cursor_to_cursor(fixture: &dyn ConnectionFixture) -> Checked {
    let _ = fixture.page_size(4).await;
    let bench = Bench::new(fixture).await?;
    needs!(
        bench.can().incremental.then_some(()),
        "the tool cannot list what changed"
    );
    let mut tasks = Vec::new();
    for number in 0..6 {
        tasks.push(bench.create(&format!("Task {number}")).await?.id);
    }
    let (_, mut cursor) = since(&bench, None).await?;
    for round in 0..6 {
        let edited = &tasks[(round * 5) % tasks.len()];
        needs!(
            fixture.other_renames(edited, &format!("Edited {round}")).await,
            "nobody else can edit"
        );
        let made = needs!(
            fixture.other_creates(&format!("New {round}")).await,
            "nobody else can create"
        );
        let own = bench.create(&format!("Own {round}")).await?.id;
        let (found, next) = since(&bench, cursor).await?;
        for expected in [edited, &made, &own] {
            assert!(found.contains(expected), "round {round}: {expected} is among {found:?}");
        }
        cursor = next;
    }
    Ok(Verdict::Holds)
}

/// A change that goes on while pages are read is found by this list or by the next.
pub async fn an_edit_during_an_incremental_list_is_found_by_the_next(fixture: &dyn ConnectionFixture) -> Checked {
    needs!(fixture.page_size(3).await, "the tool's pages cannot be made small");
    let bench = Bench::new(fixture).await?;
    needs!(
        bench.can().incremental.then_some(()),
        "the tool cannot list what changed"
    );
    let mut tasks = Vec::new();
    for number in 0..8 {
        tasks.push(bench.create(&format!("Task {number}")).await?.id);
    }
    let mut request = bench.list_request();
    let mut cursor = None;
    for round in 0..50 {
        let page = bench.connection.list_tasks(request.clone()).await?;
        cursor = page.cursor.or(cursor);
        let Some(next) = page.next else { break };
        request = request.page(Some(next));
        if round == 0 {
            needs!(
                fixture.other_renames(&tasks[0], "Edited under way").await,
                "nobody else can edit"
            );
        }
    }
    let request = bench.list_request().changed_since(cursor);
    let (found, _) = bench.connection.all_tasks(request).await?;
    let edited = found.iter().find(|task| task.id == tasks[0]);
    assert!(
        edited.is_some_and(|task| bench.is_titled(task, "Edited under way")),
        "the edit is not behind the cursor"
    );
    Ok(Verdict::Holds)
}

/// A cursor that this tool never gave is an error, and not an empty list.
pub async fn a_cursor_of_another_tool_is_an_error(fixture: &dyn ConnectionFixture) -> Checked {
    let bench = Bench::new(fixture).await?;
    needs!(
        bench.can().incremental.then_some(()),
        "the tool cannot list what changed"
    );
    bench.create("There").await?;
    let answer = since(&bench, Some(Cursor("nobody's cursor".to_owned()))).await;
    assert!(answer.is_err(), "{answer:?}");
    Ok(Verdict::Holds)
}
