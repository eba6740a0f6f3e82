//! What every [`Connection`](magnus_core::connection::Connection) must do.
//!
//! [`connection_tests!`](crate::connection_tests) makes a test of each rule from a factory: an async function that
//! answers a new [`ConnectionFixture`], a tool with one empty project. Rules ask the connection's capabilities, and the
//! fixture's hooks, whether they apply. A rule that does not apply must stand in the list `without`, so that nothing is
//! left out in silence: a test fails if its rule does not apply and is not listed, and as well if it is listed and does.
//!
//! Rules are plain functions; [`rules`] lists them for whoever runs them in another way.

mod bench;
pub mod changes;
pub mod faults;
mod fixture;
pub mod identity;
mod layered;
pub mod listing;
pub mod lost;
pub mod reading;
mod samples;
pub mod values;
mod verdict;
pub mod versions;
pub mod writing;

use futures::future::BoxFuture;

pub use fixture::{Calls, ConnectionFixture, Trouble};
pub use layered::Layered;
pub use verdict::{Checked, Verdict, judge};

/// A rule of the suite.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// Its name, which says what holds.
    pub name: &'static str,
    /// Checks it on a fixture that was used for nothing else.
    pub check: for<'f> fn(&'f dyn ConnectionFixture) -> BoxFuture<'f, Checked>,
}

/// All rules.
#[must_use]
pub fn rules() -> Vec<Rule> {
    crate::__connection_rules!(__connection_rule_list[])
}

/// Fails if `without` names what is no rule.
///
/// # Panics
/// Then.
pub fn judge_names(without: &[&str]) {
    let rules = rules();
    for name in without {
        assert!(rules.iter().any(|rule| rule.name == *name), "there is no rule {name}");
    }
}

/// Makes a test of each rule for a connection.
///
/// ```
/// use std::sync::Arc;
///
/// use async_trait::async_trait;
/// use magnus_core::connection::Connection;
/// use magnus_core::model::ExternalId;
/// use magnus_testkit::conformance::connection::ConnectionFixture;
///
/// # async fn open_wall() -> Arc<dyn Connection> { std::future::pending().await }
/// struct Wall;
///
/// #[async_trait]
/// impl ConnectionFixture for Wall {
///     async fn connect(&self) -> Arc<dyn Connection> {
///         open_wall().await
///     }
///
///     fn project(&self) -> ExternalId {
///         ExternalId::from(1)
///     }
/// }
///
/// async fn new_wall() -> Wall {
///     Wall
/// }
///
/// magnus_testkit::connection_tests!(new_wall, without: [a_stale_write_is_refused]);
/// ```
///
/// `connection_tests!(new_wall, paused)` runs on paused time (tokio's `test-util`): for tools in the process alone, since
/// paused time does not wait for sockets.
#[macro_export]
macro_rules! connection_tests {
    ($factory:path $(, without: [$($without:ident),* $(,)?])?) => {
        $crate::__connection_rules!(__connection_tests[(), $factory, [$($($without)*)?]]);
    };
    ($factory:path, paused $(, without: [$($without:ident),* $(,)?])?) => {
        $crate::__connection_rules!(__connection_tests[(start_paused = true), $factory, [$($($without)*)?]]);
    };
}

/// The list of rules, given to another macro.
#[doc(hidden)]
#[macro_export]
macro_rules! __connection_rules {
    ($then:ident[$($arguments:tt)*]) => {
        $crate::$then! { [$($arguments)*]
            identity:
                capabilities_are_sane,
                check_tells_who_we_are,
                the_project_is_listed_and_reads_the_same_directly,
                an_unknown_project_is_never_an_empty_list,
                what_the_tool_lacks_is_refused_before_any_request,
                a_connection_shows_no_secret;
            listing:
                an_empty_project_lists_nothing,
                every_task_is_listed_over_all_pages,
                tasks_in_every_status_are_listed,
                no_row_is_lost_while_others_edit_during_paging,
                no_row_is_lost_while_others_delete_during_paging,
                a_list_reads_the_same_twice,
                a_task_reads_alone_as_it_is_listed,
                the_sweep_of_ids_equals_the_list,
                tasks_of_others_are_listed,
                tasks_of_other_projects_are_not_listed,
                a_page_that_repeats_is_no_list,
                descendants_are_all_below_a_task;
            changes:
                a_cursor_includes_its_own_stamp,
                no_change_is_missed_from_cursor_to_cursor,
                an_edit_during_an_incremental_list_is_found_by_the_next,
                a_cursor_of_another_tool_is_an_error;
            reading:
                readings_come_in_the_order_of_requests,
                an_id_that_never_was_is_absent,
                a_deleted_task_is_absent,
                a_moved_task_reads_as_moved,
                an_edit_by_others_is_read_at_once,
                a_hidden_project_is_never_an_empty_list,
                a_deleted_project_is_never_an_empty_list,
                calls_at_once_do_not_disturb_each_other;
            writing:
                a_new_task_reads_as_the_create_answered,
                every_field_given_to_a_create_reads_back,
                a_change_of_one_field_leaves_the_others_alone,
                a_change_does_not_undo_what_others_did_elsewhere,
                every_field_that_can_be_empty_can_be_cleared,
                the_same_change_twice_is_the_same,
                a_parent_is_set_changed_and_cleared,
                results_come_in_the_order_of_writes,
                a_write_that_fails_leaves_those_beside_it_alone,
                a_change_of_a_deleted_task_makes_nothing,
                deleting_twice_is_deleted_both_times,
                deleting_a_parent_does_what_the_capabilities_say,
                a_task_is_moved_with_all_its_values,
                a_refusal_names_the_field_and_leaves_the_rest;
            versions:
                a_stale_write_is_refused,
                the_version_of_an_answer_is_the_next_to_decide_on,
                a_sole_writer_is_claimed_only_with_proof,
                what_was_overwritten_is_told_where_there_are_no_versions;
            values:
                what_is_encoded_means_the_same_when_it_comes_back,
                what_the_tool_holds_survives_the_way_to_the_hub_and_back,
                the_translator_takes_whatever_comes,
                awkward_titles_come_back_as_they_were,
                awkward_descriptions_come_back_as_they_were,
                a_long_title_is_held_whole_or_refused,
                a_long_description_is_held_whole_or_refused,
                odd_values_are_held_exactly_or_refused;
            faults:
                a_server_error_is_never_an_answer,
                too_many_requests_tell_how_long_to_wait,
                a_refused_key_is_unauthorized,
                a_proxys_404_proves_no_absence,
                an_answer_that_is_not_the_tools_is_an_error,
                wrong_types_prove_no_absence,
                a_broken_connection_is_never_an_answer,
                a_dropped_read_leaves_the_connection_usable,
                no_error_holds_the_secret;
            lost:
                a_create_whose_answer_was_lost_is_found,
                a_create_that_never_arrived_is_not_found,
                a_create_is_known_by_its_marker,
                what_we_made_is_found_wherever_it_is,
                a_change_whose_answer_was_lost_may_have_taken_place,
                a_delete_whose_answer_was_lost_can_be_sent_again,
                the_outcome_of_a_failed_write_is_the_truth,
                a_write_that_hangs_leaves_the_connection_usable;
        }
    };
}

/// The rules as values.
#[doc(hidden)]
#[macro_export]
macro_rules! __connection_rule_list {
    ([] $($group:ident: $($rule:ident),+;)+) => {
        vec![$($(
            $crate::conformance::connection::Rule {
                name: stringify!($rule),
                check: |fixture| ::std::boxed::Box::pin($crate::conformance::connection::$group::$rule(fixture)),
            },
        )+)+]
    };
}

/// The rules as tests.
#[doc(hidden)]
#[macro_export]
macro_rules! __connection_tests {
    ([$time:tt, $factory:path, $without:tt] $($group:ident: $($rule:ident),+;)+) => {
        $($( $crate::__connection_test!($time, $factory, $without, $group, $rule); )+)+
        $crate::__connection_names!($without);
    };
}

/// One rule as a test.
#[doc(hidden)]
#[macro_export]
macro_rules! __connection_test {
    (($($time:tt)*), $factory:path, [$($without:ident)*], $group:ident, $rule:ident) => {
        #[::tokio::test($($time)*)]
        async fn $rule() {
            let fixture = $factory().await;
            let checked = $crate::conformance::connection::$group::$rule(&fixture).await;
            $crate::conformance::connection::judge(stringify!($rule), &[$(stringify!($without)),*], checked);
        }
    };
}

/// The names in `without` as a test.
#[doc(hidden)]
#[macro_export]
macro_rules! __connection_names {
    ([$($without:ident)*]) => {
        #[test]
        fn the_rules_left_out_are_rules() {
            $crate::conformance::connection::judge_names(&[$(stringify!($without)),*]);
        }
    };
}
