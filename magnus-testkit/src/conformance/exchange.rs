//! What every [`EventExchange`] must do.
//!
//! [`exchange_tests!`](crate::exchange_tests) makes the tests from a factory: an async function that answers two ends of a new
//! exchange, and whatever must live as long as they.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::BoxStream;
use magnus_core::event::Event;
use magnus_core::exchange::EventExchange;
use magnus_core::model::{ConnectionId, RunCounts, RunId, RunState};
use tokio::time::timeout;

/// Longer than anything here takes on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// The two ends.
pub type Ends = [Arc<dyn EventExchange>; 2];

fn started(run_id: RunId) -> Event {
    Event::RunStarted {
        run_id,
        connection_id: ConnectionId::generate(),
    }
}

async fn next(heard: &mut BoxStream<'static, Event>) -> Event {
    let event = timeout(PATIENCE, heard.next()).await;
    event.expect("nothing is heard").expect("the stream goes on")
}

/// What one end tells, the other hears, all of it and in order.
pub async fn what_one_tells_the_other_hears_in_order(ends: Ends) {
    let [one, other] = ends;
    let mut heard = other.listen().await.expect("it listens");
    let told: Vec<Event> = (0..50).map(|_| started(RunId::generate())).collect();
    one.tell(told[..20].to_vec()).await.expect("it tells");
    one.tell(told[20..].to_vec()).await.expect("it tells");
    for event in told {
        assert_eq!(next(&mut heard).await, event);
    }
}

/// Nobody hears himself.
pub async fn nobody_hears_himself(ends: Ends) {
    let [one, other] = ends;
    let mut heard = one.listen().await.expect("it listens");
    let (mine, theirs) = (started(RunId::generate()), started(RunId::generate()));
    one.tell(vec![mine]).await.expect("it tells");
    other.tell(vec![theirs.clone()]).await.expect("it tells");
    assert_eq!(next(&mut heard).await, theirs);
}

/// Telling nothing, or to nobody, is no error, and somebody who comes later hears what is told then.
pub async fn nobody_needs_to_listen(ends: Ends) {
    let [one, other] = ends;
    one.tell(Vec::new()).await.expect("it tells");
    one.tell(vec![started(RunId::generate())]).await.expect("it tells");
    drop(other.listen().await.expect("it listens"));
    let mut heard = other.listen().await.expect("it listens again");
    let later = started(RunId::generate());
    one.tell(vec![later.clone()]).await.expect("it tells");
    assert_eq!(next(&mut heard).await, later);
}

/// However long a message is, the event arrives, with the beginning of the message at least.
pub async fn a_long_message_is_no_obstacle(ends: Ends) {
    let [one, other] = ends;
    let mut heard = other.listen().await.expect("it listens");
    let whole = "ü\"\\".repeat(30_000);
    let told = Event::RunFinished {
        run_id: RunId::generate(),
        connection_id: ConnectionId::generate(),
        state: RunState::Failed,
        counts: RunCounts::default(),
        message: Some(whole.clone()),
    };
    one.tell(vec![told]).await.expect("it tells");
    match next(&mut heard).await {
        Event::RunFinished {
            state: RunState::Failed,
            message: Some(message),
            ..
        } => assert!(whole.starts_with(&message) && message.len() > 100),
        other => panic!("{other:?}"),
    }
}

/// Makes a test of each rule for an exchange.
#[macro_export]
macro_rules! exchange_tests {
    ($factory:path) => {
        $crate::exchange_tests! { $factory:
            what_one_tells_the_other_hears_in_order,
            nobody_hears_himself,
            nobody_needs_to_listen,
            a_long_message_is_no_obstacle,
        }
    };
    ($factory:path: $($rule:ident,)+) => {$(
        #[::tokio::test]
        async fn $rule() {
            let (ends, _keep) = $factory().await;
            $crate::conformance::exchange::$rule(ends).await;
        }
    )+};
}
