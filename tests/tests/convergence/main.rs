//! Random edits on the hub and the tools through the real adapters, syncs in between, some of which break or are overtaken
//! by further edits: then all agree in every field that all can hold, every task is everywhere, nothing is doubled, lost
//! or deleted, and further syncs write nothing.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod book;
mod check;
mod edit;
mod equal;
mod house;
mod instance;
mod play;
mod sides;
mod step;
#[path = "../support/mod.rs"]
mod support;

use house::{House, wilful};
use instance::Tool;
use magnus_core::model::{ConflictPolicy, Field};
use magnus_postgres::PostgresStore;
use magnus_testkit::crash::Mode;
use magnus_testkit::postgres::Database;
use play::Play;
use proptest::prelude::*;
use step::{Deed, FIELDS, Reach, Step, steps};

/// The two tools that most have.
const BOTH: &[Tool] = &[Tool::OpenProject, Tool::Leantime];
const TWO_OPENPROJECTS: &[Tool] = &[Tool::OpenProject, Tool::OpenProject];
const TWO_LEANTIMES: &[Tool] = &[Tool::Leantime, Tool::Leantime];
/// Every kind of loss on its way to every other.
const FOUR: &[Tool] = &[Tool::OpenProject, Tool::Leantime, Tool::OpenProject, Tool::Leantime];

const AT_HOME: Reach = Reach {
    breaks: false,
    moves: false,
};
const BREAKING: Reach = Reach {
    breaks: true,
    ..AT_HOME
};
const MOVING: Reach = Reach { moves: true, ..AT_HOME };
const EVERYTHING: Reach = Reach {
    breaks: true,
    moves: true,
};

/// 1,000 where everything is turned on, more if `PROPTEST_CASES` asks for more; a part of it elsewhere.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|cases| cases.parse().ok())
        .unwrap_or(1_000)
}

fn play(house: House, tools: &[Tool], steps: Vec<Step>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async {
        let play = Play::new(house, tools, None).await;
        for step in steps {
            play.play(step).await;
        }
        play.check().await;
    });
}

/// As [`play`] with both tools, with the hub in a database of its own on the server for tests.
fn play_on_a_server(house: House, steps: Vec<Step>) {
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
        let play = Play::new(house, BOTH, Some(&database)).await;
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

/// The answer to a create is lost, of which the tool has put a value of its own in the place of one that was sent: found by the
/// properties below.
#[test]
fn what_a_tool_put_in_place_of_a_lost_create_is_not_agreed_on() {
    let field = FIELDS.iter().position(|field| *field == Field::RemainingHours).unwrap();
    for effect in 0..12 {
        for mode in Mode::ALL {
            let edit = Deed::Edit {
                who: 0,
                item: 0,
                field,
                value: 1,
            };
            let breaks = Step::Break { who: 1, effect, mode };
            play(
                House::by_status(),
                BOTH,
                vec![Step::Do(Deed::Add { who: 0 }), Step::Do(edit), breaks],
            );
        }
    }
}

/// A parent is moved to another project and takes along a child that is changed in the same run: found by the properties below.
#[test]
fn a_child_that_is_moved_along_while_it_is_changed_goes_on() {
    let deed = |who, item, field, value| {
        Step::Do(Deed::Edit {
            who,
            item,
            field,
            value,
        })
    };
    let add = |who| Step::Do(Deed::Add { who });
    let amid = Step::Amid {
        who: 1,
        call: 0,
        writes: false,
        deeds: vec![Deed::Edit {
            who: 0,
            item: 2,
            field: 11,
            value: 1,
        }],
    };
    let lost = Step::Break {
        who: 2,
        effect: 6,
        mode: Mode::AnswerLost,
    };
    let carry = Step::Do(Deed::Move { who: 2, item: 2, to: 0 });
    let steps = vec![
        add(2),
        add(0),
        deed(0, 0, 0, 0),
        lost,
        deed(2, 5, 7, 1),
        amid,
        deed(2, 1, 0, 0),
        carry,
        add(0),
    ];
    play(House::with_a_mind_of_its_own(), BOTH, steps);
}

proptest! {
    #![proptest_config(config(cases()))]

    /// Under every policy, in every dialect, with everything turned on that tools do by themselves.
    #[test]
    fn all_converge_with_tools_that_have_a_mind_of_their_own(house in wilful(), steps in steps(BOTH.len(), AT_HOME)) {
        play(house, BOTH, steps);
    }

    /// The same while processes die, answers are lost and items move between projects.
    #[test]
    fn all_converge_through_crashes_moves_and_minds_of_their_own(house in wilful(), steps in steps(BOTH.len(), EVERYTHING)) {
        play(house, BOTH, steps);
    }
}

proptest! {
    #![proptest_config(config(cases().div_ceil(3)))]

    #[test]
    fn the_hub_and_both_tools_converge_when_people_decide(steps in steps(BOTH.len(), AT_HOME)) {
        play(House::plain(ConflictPolicy::Manual), BOTH, steps);
    }

    #[test]
    fn the_hub_and_both_tools_converge_when_the_hub_wins(steps in steps(BOTH.len(), AT_HOME)) {
        play(House::plain(ConflictPolicy::HubWins), BOTH, steps);
    }

    #[test]
    fn the_hub_and_both_tools_converge_when_the_tools_win(steps in steps(BOTH.len(), AT_HOME)) {
        play(House::plain(ConflictPolicy::ExternalWins), BOTH, steps);
    }

    #[test]
    fn the_hub_and_both_tools_converge_when_the_newest_edit_wins(steps in steps(BOTH.len(), AT_HOME)) {
        play(House::plain(ConflictPolicy::NewestWins), BOTH, steps);
    }
}

proptest! {
    #![proptest_config(config(cases().div_ceil(4)))]

    #[test]
    fn two_instances_of_openproject_converge(house in wilful(), steps in steps(TWO_OPENPROJECTS.len(), AT_HOME)) {
        play(house, TWO_OPENPROJECTS, steps);
    }

    #[test]
    fn two_instances_of_leantime_converge(house in wilful(), steps in steps(TWO_LEANTIMES.len(), AT_HOME)) {
        play(house, TWO_LEANTIMES, steps);
    }

    #[test]
    fn two_instances_of_each_tool_converge(house in wilful(), steps in steps(FOUR.len(), AT_HOME)) {
        play(house, FOUR, steps);
    }

    #[test]
    fn all_converge_when_items_move_between_projects(steps in steps(BOTH.len(), MOVING)) {
        play(House::plain(ConflictPolicy::HubWins), BOTH, steps);
    }

    /// Processes die, and answers are lost, at any effect of any run.
    #[test]
    fn all_converge_through_crashes_and_lost_answers_when_people_decide(steps in steps(BOTH.len(), BREAKING)) {
        play(House::plain(ConflictPolicy::Manual), BOTH, steps);
    }
}

proptest! {
    #![proptest_config(config(cases_on_a_server()))]

    #[test]
    fn the_hub_and_both_tools_converge_when_people_decide_on_postgres(steps in steps(BOTH.len(), BREAKING)) {
        play_on_a_server(House::plain(ConflictPolicy::Manual), steps);
    }

    #[test]
    fn all_converge_with_tools_that_have_a_mind_of_their_own_on_postgres(house in wilful(), steps in steps(BOTH.len(), AT_HOME)) {
        play_on_a_server(house, steps);
    }
}
