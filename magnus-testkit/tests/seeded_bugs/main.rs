//! The suites are worth what they catch: each of many bugs, one at a time, breaks a rule; without a bug none is broken.

mod toy_fixture;
mod toy_store;
mod toy_tool;

use std::collections::BTreeSet;
use std::sync::Arc;

use magnus_testkit::conformance::connection::{self, Layered, Verdict};
use magnus_testkit::conformance::store::{self, ManualClock, World};

use crate::toy_fixture::ToyFixture;
use crate::toy_store::ToyStore;
use crate::toy_tool::Bug;

/// Rules that say nothing of the toy: it can do all that they are about lacking.
const NOT_FOR_THE_TOY: [&str; 3] = [
    "what_the_tool_lacks_is_refused_before_any_request",
    "a_create_is_known_by_its_marker",
    "what_was_overwritten_is_told_where_there_are_no_versions",
];

mod the_toy {
    use super::*;

    async fn new_toy() -> ToyFixture {
        ToyFixture::new(None)
    }

    magnus_testkit::connection_tests!(new_toy, paused, without: [
        a_create_is_known_by_its_marker,
        what_the_tool_lacks_is_refused_before_any_request,
        what_was_overwritten_is_told_where_there_are_no_versions,
    ]);
}

mod the_toy_through_layers {
    use super::*;

    async fn new_toy() -> Layered<ToyFixture> {
        Layered::new(ToyFixture::new(None), magnus_core::layer::Layers::new())
    }

    magnus_testkit::connection_tests!(new_toy, paused, without: [
        a_create_is_known_by_its_marker,
        what_the_tool_lacks_is_refused_before_any_request,
        what_was_overwritten_is_told_where_there_are_no_versions,
    ]);
}

/// The rules of connections that break with this bug.
async fn broken_by(bug: Option<Bug>) -> BTreeSet<&'static str> {
    let mut broken = BTreeSet::new();
    for rule in connection::rules() {
        let checked = tokio::spawn(async move { (rule.check)(&ToyFixture::new(bug)).await });
        match checked.await {
            Ok(Ok(Verdict::Holds)) => {}
            Ok(Ok(Verdict::DoesNotApply(reason))) => {
                assert!(
                    NOT_FOR_THE_TOY.contains(&rule.name),
                    "{} does not apply: {reason}",
                    rule.name
                );
            }
            Ok(Err(_)) | Err(_) => {
                broken.insert(rule.name);
            }
        }
    }
    broken
}

#[tokio::test(start_paused = true)]
async fn a_correct_adapter_breaks_no_rule() {
    assert_eq!(broken_by(None).await, BTreeSet::new());
}

#[tokio::test(start_paused = true)]
async fn every_bug_of_an_adapter_breaks_the_rule_that_is_there_for_it() {
    for (bug, rule) in Bug::ALL {
        let broken = broken_by(Some(bug)).await;
        println!("{bug:?} breaks {broken:?}");
        assert!(
            broken.contains(rule),
            "{bug:?} is not caught by {rule}, but by {broken:?}"
        );
    }
}

/// The rules of stores that break with this bug.
async fn store_broken_by(bug: Option<toy_store::Bug>) -> BTreeSet<&'static str> {
    let mut broken = BTreeSet::new();
    for rule in store::rules() {
        let checked = tokio::spawn(async move {
            let clock = Arc::new(ManualClock::new());
            let store = Arc::new(ToyStore::new(Arc::clone(&clock), bug));
            (rule.check)(World::new(store, clock).await?).await
        });
        if !matches!(checked.await, Ok(Ok(()))) {
            broken.insert(rule.name);
        }
    }
    broken
}

#[tokio::test]
async fn a_correct_store_breaks_no_rule() {
    assert_eq!(store_broken_by(None).await, BTreeSet::new());
}

#[tokio::test]
async fn every_bug_of_a_store_breaks_the_rule_that_is_there_for_it() {
    for (bug, rule) in toy_store::Bug::ALL {
        let broken = store_broken_by(Some(bug)).await;
        println!("{bug:?} breaks {broken:?}");
        assert!(
            broken.contains(rule),
            "{bug:?} is not caught by {rule}, but by {broken:?}"
        );
    }
}
