//! Where connections with something queued wait for somebody to carry it out.
//!
//! What is queued stands in the run log, and the lease of a connection sees to it that nobody runs it twice at once. A queue
//! only spreads the word: that there is something to do, to one of those who work on it, in this process or on another
//! machine. Word that is lost or told twice does no harm.

mod local;

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use crate::model::ConnectionId;
use crate::store::StoreError;

pub use local::LocalQueue;

/// What came of attending to a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attended {
    /// Nothing is left to do.
    Done,
    /// Something is left that cannot be done now; look again after this time.
    Later(Duration),
    /// It went wrong; try again, later each time, and give up at last.
    Failed(String),
}

/// Carries out what is queued.
#[async_trait]
pub trait Carrier: Debug + Send + Sync + 'static {
    /// Carries out whatever is queued on a connection. Called for one connection at a time by one queue, and possibly for the
    /// same one by another process.
    async fn attend(&self, connection: ConnectionId) -> Attended;
}

/// Word that was given up after too many failures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The connection.
    pub connection: ConnectionId,
    /// What went wrong the last time.
    pub reason: String,
}

/// Spreads the word that something is queued. See the [module](self) documentation.
#[async_trait]
pub trait RunQueue: Debug + Send + Sync + 'static {
    /// Tells that something is queued on a connection. It is attended to as soon as somebody is free. Word that waits already
    /// is the same word, and may keep its time.
    async fn announce(&self, connection: ConnectionId) -> Result<(), StoreError>;

    /// Lets `carrier` attend to connections, several at once, until `stop` is cancelled; then waits for those that were begun.
    /// Failures of the queue's own are got over, not answered.
    async fn work(&self, carrier: Arc<dyn Carrier>, stop: CancellationToken) -> Result<(), StoreError>;

    /// Word that was given up. Announcing the connection again forgets it.
    async fn dead_letters(&self) -> Result<Vec<DeadLetter>, StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_traits_are_object_safe() {
        fn takes(_: Option<&dyn RunQueue>, _: Option<&dyn Carrier>) {}
        takes(None, None);
    }
}
