//! Random edits on the hub and the tools through the real adapters, syncs in between, some of which break: then all agree
//! in every field that all can hold, nothing is doubled, nothing is lost, and further syncs write nothing.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod check;
mod edit;
mod play;
mod step;
#[path = "../support/mod.rs"]
mod support;

use magnus_core::model::ConflictPolicy;
use magnus_postgres::PostgresStore;
use magnus_testkit::postgres::Database;
use magnus_testkit::sim::openproject::{OpenProjectOptions, Workflow};
use play::{Play, Tool};
use proptest::prelude::*;
use step::{Step, broken_steps, steps};

/// The two tools that most have.
const BOTH: &[Tool] = &[Tool::OpenProject, Tool::Leantime];
const TWO_OPENPROJECTS: &[Tool] = &[Tool::OpenProject, Tool::OpenProject];
const TWO_LEANTIMES: &[Tool] = &[Tool::Leantime, Tool::Leantime];
/// Every kind of loss on its way to every other.
const FOUR: &[Tool] = &[Tool::OpenProject, Tool::Leantime, Tool::OpenProject, Tool::Leantime];

/// Everything that a real OpenProject does by itself, and a workflow that goes only one step forward or back.
fn wilful() -> OpenProjectOptions {
    let steps = (1..14).flat_map(|status| [(status, status + 1), (status + 1, status)]);
    OpenProjectOptions::strict().workflow(Workflow::new(steps))
}

/// 1,000 for each property of the two tools that most have, more if `PROPTEST_CASES` asks for more.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok())
        .unwrap_or(1_000)
}

fn play(policy: ConflictPolicy, openproject: OpenProjectOptions, tools: &[Tool], steps: Vec<Step>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut play = Play::new(policy, openproject, tools, None).await;
        for step in steps {
            play.play(step).await;
        }
        play.check().await;
    });
}

/// As [`play`] with both tools, with the hub in a database of its own on the server for tests.
fn play_on_a_server(policy: ConflictPolicy, openproject: OpenProjectOptions, steps: Vec<Step>) {
    static EMPTY: tokio::sync::OnceCell<Database> = tokio::sync::OnceCell::const_new();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let empty = EMPTY.get_or_init(|| async {
            let database = Database::new().await;
            PostgresStore::open(database.url()).await.unwrap().close().await;
            database
        });
        let database = empty.await.copy().await;
        let mut play = Play::new(policy, openproject, BOTH, Some(&database)).await;
        for step in steps {
            play.play(step).await;
        }
        play.check().await;
        drop(play);
        database.remove().await;
    });
}

/// Fewer on a server, where each case makes a database, unless `PROPTEST_CASES` asks for a number.
fn cases_on_a_server() -> u32 {
    if std::env::var_os("PROPTEST_CASES").is_some() {
        cases()
    } else {
        40
    }
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        max_shrink_iters: 600,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config(cases()))]

    #[test]
    fn the_hub_and_both_tools_converge_when_people_decide(steps in steps(BOTH.len())) {
        play(ConflictPolicy::Manual, OpenProjectOptions::default(), BOTH, steps);
    }

    #[test]
    fn the_hub_and_both_tools_converge_when_the_hub_wins(steps in steps(BOTH.len())) {
        play(ConflictPolicy::HubWins, OpenProjectOptions::default(), BOTH, steps);
    }

    #[test]
    fn the_hub_and_both_tools_converge_when_the_tools_win(steps in steps(BOTH.len())) {
        play(ConflictPolicy::ExternalWins, OpenProjectOptions::default(), BOTH, steps);
    }

    /// With everything turned on that a real OpenProject does by itself: progress fields that derive each other, days
    /// moved off weekends, parents whose dates become their children's, a workflow that refuses.
    #[test]
    fn all_converge_with_a_tool_that_has_a_mind_of_its_own_when_people_decide(steps in steps(BOTH.len())) {
        play(ConflictPolicy::Manual, wilful(), BOTH, steps);
    }

    #[test]
    fn all_converge_with_a_tool_that_has_a_mind_of_its_own_when_the_hub_wins(steps in steps(BOTH.len())) {
        play(ConflictPolicy::HubWins, wilful(), BOTH, steps);
    }
}

proptest! {
    #![proptest_config(config(cases().div_ceil(4)))]

    #[test]
    fn two_instances_of_openproject_converge(steps in steps(TWO_OPENPROJECTS.len())) {
        play(ConflictPolicy::HubWins, wilful(), TWO_OPENPROJECTS, steps);
    }

    #[test]
    fn two_instances_of_leantime_converge(steps in steps(TWO_LEANTIMES.len())) {
        play(ConflictPolicy::Manual, OpenProjectOptions::default(), TWO_LEANTIMES, steps);
    }

    #[test]
    fn two_instances_of_each_tool_converge(steps in steps(FOUR.len())) {
        play(ConflictPolicy::ExternalWins, wilful(), FOUR, steps);
    }

    /// Processes die, and answers are lost, at any effect of any run.
    #[test]
    fn all_converge_through_crashes_and_lost_answers_when_people_decide(steps in broken_steps(BOTH.len())) {
        play(ConflictPolicy::Manual, OpenProjectOptions::default(), BOTH, steps);
    }

    #[test]
    fn all_converge_through_crashes_and_lost_answers_when_the_hub_wins(steps in broken_steps(BOTH.len())) {
        play(ConflictPolicy::HubWins, wilful(), BOTH, steps);
    }
}

proptest! {
    #![proptest_config(config(cases_on_a_server()))]

    #[test]
    fn the_hub_and_both_tools_converge_when_people_decide_on_postgres(steps in broken_steps(BOTH.len())) {
        play_on_a_server(ConflictPolicy::Manual, OpenProjectOptions::default(), steps);
    }

    #[test]
    fn all_converge_with_a_tool_that_has_a_mind_of_its_own_when_the_hub_wins_on_postgres(steps in steps(BOTH.len())) {
        play_on_a_server(ConflictPolicy::HubWins, wilful(), steps);
    }
}
