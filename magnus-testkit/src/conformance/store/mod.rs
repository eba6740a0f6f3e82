//! What every [`TaskStore`](magnus_core::store::TaskStore) must do.
//!
//! [`store_tests!`](crate::store_tests) makes the tests from a factory: an async function that takes an
//! `Arc<`[`ManualClock`]`>`, by which the store must tell the time, and answers a new empty store and whatever must
//! live as long as it (a temporary directory).

pub mod breakdowns;
mod clock;
pub mod commit;
pub mod conflicts;
pub mod due;
pub mod fences;
pub mod guard;
pub mod hub;
pub mod leases;
pub mod rows;
pub mod runs;
pub mod service;
pub mod settings;
pub mod uniqueness;
mod world;

use futures::future::BoxFuture;

pub use clock::ManualClock;
pub use world::World;

/// What a conformance test answers: an error is a failure.
pub type Checked = Result<(), magnus_core::store::StoreError>;

/// A rule of the suite. One that is broken panics.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// Its name, which says what holds.
    pub name: &'static str,
    /// Checks it on a store that was used for nothing else.
    pub check: fn(World) -> BoxFuture<'static, Checked>,
}

/// All rules.
#[must_use]
pub fn rules() -> Vec<Rule> {
    crate::__store_rules!(__store_rule_list[])
}

/// Makes a test of each rule for a store.
///
/// ```
/// use std::sync::Arc;
/// use magnus_core::{memory::MemoryStore, store::TaskStore};
/// use magnus_testkit::conformance::store::ManualClock;
///
/// async fn new_store(clock: Arc<ManualClock>) -> (Arc<dyn TaskStore>, ()) {
///     (Arc::new(MemoryStore::with_clock(clock)), ())
/// }
///
/// magnus_testkit::store_tests!(new_store);
/// ```
#[macro_export]
macro_rules! store_tests {
    ($factory:path) => {
        $crate::__store_rules!(__store_tests[$factory]);
    };
}

/// The list of rules, given to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! __store_rules {
    ($then:ident[$($arguments:tt)*]) => {
        $crate::$then! { [$($arguments)*]
            rows:
                every_field_of_a_task_survives,
                a_bare_task_survives,
                every_field_of_a_link_survives,
                projects_and_mappings_survive,
                intents_are_replaced_by_id_and_gone_once_settled,
                history_is_kept_in_order,
                what_failed_is_remembered_replaced_and_forgotten,
                what_a_run_did_is_found;
            commit:
                versions_rise_with_every_write,
                a_moved_row_leaves_out_its_unit_and_nothing_else,
                a_stale_unit_is_left_out_whole,
                a_unit_may_refer_to_rows_of_an_earlier_one,
                what_refers_to_a_row_left_out_is_left_out_too,
                the_same_changeset_twice_changes_nothing_and_answers_as_before,
                the_same_changeset_at_once_is_committed_once,
                concurrent_updates_of_one_row_have_one_winner,
                only_real_changes_are_counted,
                a_thousand_units_are_committed_in_one_go,
                a_dropped_commit_leaves_all_or_nothing_and_can_be_sent_again;
            uniqueness:
                an_external_task_has_one_link_per_connection,
                a_hub_task_has_one_link_per_connection,
                a_link_cannot_move_onto_another_ones_key,
                an_external_project_is_mapped_once_per_connection,
                an_id_is_inserted_once;
            guard:
                a_task_that_appeared_stops_the_insert,
                canonical_titles_match,
                known_deleted_and_foreign_tasks_do_not_stop_it,
                a_task_linked_here_does_not_stop_it_and_one_linked_elsewhere_does;
            conflicts:
                one_conflict_per_field_is_open,
                a_losing_value_is_recorded_once,
                a_conflict_of_an_old_version_is_stale,
                conflicts_are_found_by_connection_task_and_state;
            fences:
                a_commit_after_takeover_is_refused,
                a_commit_under_an_older_epoch_is_refused,
                a_commit_after_expiry_is_refused,
                a_commit_after_release_is_refused,
                an_edit_of_the_hub_needs_no_lease,
                what_was_committed_is_answered_even_when_the_lease_is_lost;
            leases:
                a_lease_has_one_holder_until_it_expires,
                each_taking_raises_the_epoch,
                a_lost_lease_is_neither_renewed_nor_released,
                a_renewed_lease_lives_longer,
                of_many_takers_one_wins,
                an_unknown_connection_has_no_lease;
            runs:
                a_second_request_joins_the_queued_run,
                one_run_is_started_and_one_waits,
                of_many_requests_at_once_one_run_is_queued,
                only_the_holder_of_the_lease_claims,
                a_claim_interrupts_the_run_of_a_dead_holder,
                what_an_interrupted_run_was_asked_is_not_lost,
                an_interrupted_run_is_queued_anew_unless_it_was_to_stop,
                of_many_who_decide_on_the_same_run_one_queues_the_next,
                a_run_ends_once,
                a_queued_run_is_cancelled_at_once_and_a_started_one_is_asked,
                a_started_run_without_a_lease_is_interrupted,
                runs_are_listed_by_age,
                whether_a_person_ever_asked_is_known;
            due:
                a_changed_task_makes_other_connections_due,
                a_claim_clears_the_due_mark,
                what_changes_no_task_makes_nobody_due,
                a_task_that_moved_makes_the_project_it_left_due;
            settings:
                settings_survive_and_their_revision_rises,
                settings_of_an_old_revision_are_refused,
                two_connections_cannot_share_a_name,
                a_deleted_connection_leaves_only_hub_tasks_behind,
                sealed_bytes_are_kept_replaced_and_forgotten;
            hub:
                tasks_are_filtered,
                pages_cover_all_tasks_once_newest_first,
                tombstones_are_read_by_id_and_listed_only_when_asked_for,
                projects_are_listed_by_name;
        }
    };
}

/// The rules as values.
#[doc(hidden)]
#[macro_export]
macro_rules! __store_rule_list {
    ([] $($group:ident: $($rule:ident),+;)+) => {
        vec![$($(
            $crate::conformance::store::Rule {
                name: stringify!($rule),
                check: |world| ::std::boxed::Box::pin($crate::conformance::store::$group::$rule(world)),
            },
        )+)+]
    };
}

/// The rules as tests.
#[doc(hidden)]
#[macro_export]
macro_rules! __store_tests {
    ([$factory:path] $($group:ident: $($rule:ident),+;)+) => {
        $($( $crate::__store_test!($factory, $group, $rule); )+)+
    };
}

/// One rule as a test.
#[doc(hidden)]
#[macro_export]
macro_rules! __store_test {
    ($factory:path, $group:ident, $rule:ident) => {
        #[::tokio::test]
        async fn $rule() {
            use $crate::conformance::store::{ManualClock, World, $group};
            let clock = ::std::sync::Arc::new(ManualClock::new());
            let (store, _keep) = $factory(::std::sync::Arc::clone(&clock)).await;
            let world = World::new(store, clock)
                .await
                .expect("a new store takes connections and projects");
            $group::$rule(world).await.expect("the store answers");
        }
    };
}
