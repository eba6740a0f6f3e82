//! Conditional writes, and what is claimed of those who write at the same time.

use magnus_core::connection::{ConnectionErrorKind, Outcome, RemoteWrite};

use super::bench::{Bench, task_of};
use super::verdict::needs;
use super::{Checked, ConnectionFixture, Verdict};

/// A write decided on an older version is refused and changes nothing.
pub async fn a_stale_write_is_refused(fixture: &dyn ConnectionFixture) -> Checked {
    let bench = Bench::new(fixture).await?;
    needs!(bench.can().versions.then_some(()), "the tool has no versions");
    let task = bench.create("Read by us").await?;
    assert!(task.version.is_some(), "a task has a version");
    needs!(fixture.other_renames(&task.id, "Newer").await, "nobody else can edit");
    let error = bench
        .write_one(bench.change(&task, bench.titled("Stale")))
        .await
        .expect_err("it changed since");
    assert_eq!(
        (error.kind(), error.outcome()),
        (ConnectionErrorKind::VersionConflict, Outcome::NotApplied),
        "{error}"
    );
    let read = bench.present(&task.id).await?;
    assert!(bench.is_titled(&read, "Newer"), "the other's edit stands");
    bench.update(&read, bench.titled("Decided anew")).await?;
    Ok(Verdict::Holds)
}

/// The version that a write answers is the one to decide the next on.
pub async fn the_version_of_an_answer_is_the_next_to_decide_on(fixture: &dyn ConnectionFixture) -> Checked {
    let bench = Bench::new(fixture).await?;
    needs!(bench.can().versions.then_some(()), "the tool has no versions");
    let mut task = bench.create("Step").await?;
    for step in 0..4 {
        let written = bench.update(&task, bench.titled(&format!("Step {step}"))).await?;
        assert_ne!(written.task.version, task.version, "a change has a new version");
        task = written.task;
        assert_eq!(bench.present(&task.id).await?.version, task.version);
    }
    Ok(Verdict::Holds)
}

/// That nobody else wrote is claimed only where a version proves it.
pub async fn a_sole_writer_is_claimed_only_with_proof(fixture: &dyn ConnectionFixture) -> Checked {
    let bench = Bench::new(fixture).await?;
    let task = bench.create("Read by us").await?;
    let undisturbed = bench.update(&task, bench.titled("Ours")).await?;
    assert!(
        bench.can().versions || !undisturbed.sole_writer,
        "without versions nothing proves it"
    );
    needs!(fixture.other_renames(&task.id, "Theirs").await, "nobody else can edit");
    // Decided without a version, so that it goes through.
    let mut change = bench.change(&undisturbed.task, bench.titled("Over theirs"));
    if let RemoteWrite::Update(update) = &mut change {
        update.version = None;
    }
    let written = task_of(bench.write_one(change).await?);
    let shown = written
        .before
        .as_ref()
        .is_some_and(|before| bench.is_titled(before, "Theirs"));
    assert!(
        shown || !written.sole_writer,
        "the other's edit was overwritten, and the answer hides it"
    );
    Ok(Verdict::Holds)
}

/// Where there are no versions, the task as it was right before the write is told.
pub async fn what_was_overwritten_is_told_where_there_are_no_versions(fixture: &dyn ConnectionFixture) -> Checked {
    let bench = Bench::new(fixture).await?;
    needs!((!bench.can().versions).then_some(()), "the tool has versions");
    let task = bench.create("Read by us").await?;
    needs!(
        fixture.other_renames(&task.id, "Overwritten").await,
        "nobody else can edit"
    );
    let written = bench.update(&task, bench.titled("Ours")).await?;
    let before = written.before.expect("the task before the write");
    assert!(bench.is_titled(&before, "Overwritten"), "{before:?}");
    assert!(bench.is_titled(&written.task, "Ours"));
    Ok(Verdict::Holds)
}
