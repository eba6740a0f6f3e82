//! Writes whose answer is lost: what is said of their outcome is the truth, and what they made can be found.

use std::time::Duration;

use magnus_core::connection::{Outcome, Reading};
use magnus_core::model::IntentId;

use super::bench::Bench;
use super::verdict::needs;
use super::{Calls, Checked, ConnectionFixture, Trouble, Verdict};

/// A create whose answer is lost may have taken place, is found exactly once, and is not taken for an older one.
pub async fn a_create_whose_answer_was_lost_is_found(fixture: &dyn ConnectionFixture) -> Checked {
    let bench = Bench::new(fixture).await?;
    let older = bench.create("Lost").await?;
    needs!(
        fixture.trouble(Calls::Writes, Trouble::LoseAnswer).await,
        "answers cannot be lost"
    );
    let error = bench.create("Lost").await.expect_err("no answer came");
    assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
    fixture.heal().await;
    let found = bench.found_created(Some(&older.id)).await?;
    assert_eq!(found.len(), 1, "one task is newer: {found:?}");
    assert!(bench.is_titled(&found[0], "Lost") && found[0].project == bench.project);
    assert_eq!(
        bench.found_created(Some(&found[0].id)).await?,
        [],
        "none is newer still"
    );
    assert_eq!(bench.find("Lost").await?.len(), 2, "it was sent once");
    Ok(Verdict::Holds)
}

/// A create that never arrived is not found: a proof, from a complete answer.
pub async fn a_create_that_never_arrived_is_not_found(fixture: &dyn ConnectionFixture) -> Checked {
    let bench = Bench::new(fixture).await?;
    let older = bench.create("Older").await?;
    needs!(
        fixture.trouble(Calls::Writes, Trouble::LoseRequest).await,
        "requests cannot be lost"
    );
    let error = bench.create("Never arrives").await.expect_err("no answer came");
    assert_ne!(error.outcome(), Outcome::Applied, "{error}");
    fixture.heal().await;
    assert_eq!(bench.found_created(Some(&older.id)).await?, []);
    Ok(Verdict::Holds)
}

/// A create carries its marker where the tool has a place for one: it is shown there, and nowhere among what is synced.
pub async fn a_create_is_known_by_its_marker(fixture: &dyn ConnectionFixture) -> Checked {
    let bench = Bench::new(fixture).await?;
    needs!(
        bench.can().create_marker.then_some(()),
        "the tool has no place for a marker"
    );
    let plain = bench.create("Without").await?;
    assert_eq!(plain.marker, None);
    let operation = IntentId::generate();
    let made = bench.create_marked("With", operation).await?;
    assert!(made.is_marked(operation), "{made:?}");
    let text = operation.to_string();
    let synced = format!("{:?} {:?}", made.fields, made.metadata);
    assert!(!synced.contains(&text), "a marker is no litter: {synced}");
    let found = bench.found_by_marker(Some(&plain.id), operation).await?;
    let marked: Vec<_> = found.iter().filter(|task| task.is_marked(operation)).collect();
    assert_eq!(marked.len(), 1, "{found:?}");
    assert_eq!(marked[0].id, made.id);
    let another = bench.found_by_marker(Some(&made.id), IntentId::generate()).await?;
    assert_eq!(another, [], "of an operation that made nothing");
    // A change leaves it alone.
    let changed = bench.update(&made, bench.titled("Renamed")).await?.task;
    assert!(changed.is_marked(operation), "{changed:?}");
    Ok(Verdict::Holds)
}

/// What we made is found over all projects, closed or moved as it may be, and over small pages.
pub async fn what_we_made_is_found_wherever_it_is(fixture: &dyn ConnectionFixture) -> Checked {
    let _ = fixture.page_size(3).await;
    let other = needs!(fixture.another_project().await, "the tool has but one project");
    let bench = Bench::new(fixture).await?;
    let first = bench.create("First").await?;
    let mut made = Vec::new();
    for number in 0..7 {
        made.push(bench.create(&format!("Newer {number}")).await?.id);
    }
    needs!(fixture.other_moves(&made[2], &other).await, "nobody else can move");
    let found = bench.found_created(Some(&first.id)).await?;
    let mut found: Vec<_> = found.into_iter().map(|task| task.id).collect();
    found.sort_by(|a, b| a.compare_by_age(b));
    assert_eq!(found, made);
    Ok(Verdict::Holds)
}

/// A change whose answer is lost may have taken place, and reads as it is.
pub async fn a_change_whose_answer_was_lost_may_have_taken_place(fixture: &dyn ConnectionFixture) -> Checked {
    let bench = Bench::new(fixture).await?;
    let task = bench.create("Before").await?;
    // A first change may teach the adapter how this version is written to.
    let task = bench.update(&task, bench.titled("Just before")).await?.task;
    needs!(
        fixture.trouble(Calls::Writes, Trouble::LoseAnswer).await,
        "answers cannot be lost"
    );
    let error = bench
        .write_one(bench.change(&task, bench.titled("After")))
        .await
        .expect_err("no answer came");
    assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
    fixture.heal().await;
    let read = bench.present(&task.id).await?;
    assert!(bench.is_titled(&read, "After"));
    bench.update(&read, bench.titled("And on")).await?;
    Ok(Verdict::Holds)
}

/// A delete whose answer is lost may have taken place; sent again, it is deleted.
pub async fn a_delete_whose_answer_was_lost_can_be_sent_again(fixture: &dyn ConnectionFixture) -> Checked {
    let bench = Bench::new(fixture).await?;
    needs!(bench.can().delete.then_some(()), "the tool cannot delete");
    let task = bench.create("Gone").await?;
    needs!(
        fixture.trouble(Calls::Writes, Trouble::LoseAnswer).await,
        "answers cannot be lost"
    );
    let error = bench
        .write_one(bench.deletion(&task.id))
        .await
        .expect_err("no answer came");
    assert_eq!(error.outcome(), Outcome::Unknown, "{error}");
    fixture.heal().await;
    assert_eq!(bench.read(&task.id).await?, Reading::Absent);
    bench.write_one(bench.deletion(&task.id)).await?;
    Ok(Verdict::Holds)
}

/// Whatever goes wrong with a write, what its error says of the outcome is the truth.
pub async fn the_outcome_of_a_failed_write_is_the_truth(fixture: &dyn ConnectionFixture) -> Checked {
    let bench = Bench::new(fixture).await?;
    let mut number = 0;
    for trouble in [
        Trouble::Status(400),
        Trouble::Status(401),
        Trouble::Status(403),
        Trouble::Status(404),
        Trouble::Status(413),
        Trouble::Status(500),
        Trouble::Status(502),
        Trouble::Status(503),
        Trouble::TooManyRequests(Duration::from_secs(1)),
        Trouble::Html(200),
        Trouble::Html(502),
        Trouble::Body("null"),
        Trouble::Body("{}"),
        Trouble::Body("[]"),
        Trouble::Truncate,
        Trouble::WrongTypes,
        Trouble::LoseAnswer,
        Trouble::LoseRequest,
    ] {
        number += 1;
        let title = format!("Write {number}");
        needs!(
            fixture.trouble(Calls::Writes, trouble).await,
            "this trouble cannot be made"
        );
        let result = bench.create(&title).await;
        fixture.heal().await;
        let made = bench.find(&title).await?.len();
        assert!(made <= 1, "{trouble:?}: it was sent more than once");
        match result {
            Ok(_) => assert_eq!(made, 1, "{trouble:?}: the write is said to be done"),
            Err(error) => match error.outcome() {
                Outcome::NotApplied => assert_eq!(made, 0, "{trouble:?}: {error}"),
                Outcome::Applied => assert_eq!(made, 1, "{trouble:?}: {error}"),
                Outcome::Unknown => {}
            },
        }
    }
    Ok(Verdict::Holds)
}

/// A write that is never answered and given up leaves a connection that works, and nothing half done.
pub async fn a_write_that_hangs_leaves_the_connection_usable(fixture: &dyn ConnectionFixture) -> Checked {
    let bench = Bench::new(fixture).await?;
    needs!(
        fixture.trouble(Calls::Writes, Trouble::Hang).await,
        "the tool cannot be made to hang"
    );
    let patience = Duration::from_millis(20);
    let result = tokio::time::timeout(patience, bench.create("Hangs")).await;
    assert!(!matches!(result, Ok(Ok(_))), "no answer came");
    fixture.heal().await;
    assert_eq!(bench.find("Hangs").await?, []);
    bench.create("Works").await?;
    Ok(Verdict::Holds)
}
