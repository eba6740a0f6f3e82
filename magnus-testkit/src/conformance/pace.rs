//! What every [`PaceBook`] must do.
//!
//! [`pace_book_tests!`](crate::pace_book_tests) makes the tests from a factory: an async function that answers a new empty book,
//! and whatever must live as long as it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use magnus_core::layer::{Heard, PaceBook, PacePolicy, Turns};

const HOST: &str = "tool.example";
const POLICY: PacePolicy = PacePolicy::new();
/// A pause that no test waits for, and that a policy bears.
const PAUSE: Duration = Duration::from_secs(50);

fn complaint(retry_after: Duration) -> Heard {
    Heard {
        complaints: 1,
        retry_after: Some(retry_after),
        ..Heard::default()
    }
}

async fn take(book: &Arc<dyn PaceBook>, host: &str, heard: Heard, most: u32) -> Turns {
    book.turns(host, heard, most, POLICY).await.expect("the book is there")
}

/// As long as nobody complains, turns are had at once and all of them.
pub async fn a_calm_host_gives_all_turns_at_once(book: Arc<dyn PaceBook>) {
    for _ in 0..3 {
        let turns = take(&book, HOST, Heard::default(), 16).await;
        assert_eq!(
            (turns.wait, turns.space, turns.count),
            (Duration::ZERO, Duration::ZERO, 16)
        );
    }
}

/// What one caller heard holds for all that call the host, and for no other host.
pub async fn a_complaint_holds_for_its_host(book: Arc<dyn PaceBook>) {
    take(&book, HOST, complaint(PAUSE), 1).await;
    let began = Instant::now();
    let turns = take(&book, HOST, Heard::default(), 1).await;
    assert!(turns.wait + began.elapsed() > PAUSE / 2, "{turns:?}");
    assert_eq!(turns.space, POLICY.first_space);
    let elsewhere = take(&book, "elsewhere.example", Heard::default(), 1).await;
    assert_eq!(elsewhere.wait, Duration::ZERO);
}

/// No turn is given twice, however many ask at once.
pub async fn each_turn_is_given_once(book: Arc<dyn PaceBook>) {
    let began = Instant::now();
    let first = take(&book, HOST, complaint(PAUSE), 1).await;
    let turns = join_all((0..20).map(|_| take(&book, HOST, Heard::default(), 1))).await;
    let next = take(&book, HOST, Heard::default(), 1).await;
    let elapsed = began.elapsed();
    let given: u32 = first.count + turns.iter().map(|turns| turns.count).sum::<u32>();
    assert_eq!(given, 21);
    // They follow each other from when the pause is over, whenever each was asked for.
    assert!(
        next.wait + elapsed >= PAUSE + POLICY.first_space * given,
        "{next:?} after {elapsed:?}"
    );
    assert!(next.wait <= PAUSE + POLICY.first_space * given, "{next:?}");
}

/// Several turns at once are told with their distance, and the next caller comes after them.
pub async fn turns_are_taken_some_at_a_time(book: Arc<dyn PaceBook>) {
    let began = Instant::now();
    let some = take(&book, HOST, complaint(PAUSE), 5).await;
    assert_eq!((some.count, some.space), (5, POLICY.first_space));
    let next = take(&book, HOST, Heard::default(), 5).await;
    assert!(
        next.wait + began.elapsed() >= PAUSE + some.space * some.count,
        "{next:?}"
    );
}

/// A pause longer than the policy bears gives no turn, and is not made longer by asking.
pub async fn a_pause_too_long_gives_no_turn(book: Arc<dyn PaceBook>) {
    for pause in [Duration::from_secs(3_600), Duration::from_secs(u64::MAX)] {
        let began = Instant::now();
        let refused = take(&book, HOST, complaint(pause), 1).await;
        assert_eq!(refused.count, 0, "{refused:?}");
        let again = take(&book, HOST, Heard::default(), 1).await;
        assert_eq!(again.count, 0, "{again:?}");
        assert!(again.wait <= refused.wait, "{again:?} after {refused:?}");
        assert!(again.wait + began.elapsed() >= Duration::from_secs(3_500), "{again:?}");
    }
}

/// Good answers narrow the space, and at last drop it.
pub async fn good_answers_drop_the_space(book: Arc<dyn PaceBook>) {
    take(&book, HOST, complaint(Duration::ZERO), 1).await;
    let twice = take(&book, HOST, complaint(Duration::ZERO), 1).await;
    assert_eq!(twice.space, POLICY.first_space * 2);
    let calm = |calm| Heard {
        calm,
        ..Heard::default()
    };
    let halved = take(&book, HOST, calm(POLICY.calm_after), 1).await;
    assert_eq!(halved.space, POLICY.first_space);
    let half_way = take(&book, HOST, calm(POLICY.calm_after / 2), 1).await;
    assert_eq!(half_way.space, POLICY.first_space);
    let dropped = take(&book, HOST, calm(POLICY.calm_after / 2), 1).await;
    assert_eq!(dropped.space, Duration::ZERO);
}

/// Makes a test of each rule for a book.
#[macro_export]
macro_rules! pace_book_tests {
    ($factory:path) => {
        $crate::pace_book_tests! { $factory:
            a_calm_host_gives_all_turns_at_once,
            a_complaint_holds_for_its_host,
            each_turn_is_given_once,
            turns_are_taken_some_at_a_time,
            a_pause_too_long_gives_no_turn,
            good_answers_drop_the_space,
        }
    };
    ($factory:path: $($rule:ident,)+) => {$(
        #[::tokio::test]
        async fn $rule() {
            let (book, _keep) = $factory().await;
            $crate::conformance::pace::$rule(book).await;
        }
    )+};
}
