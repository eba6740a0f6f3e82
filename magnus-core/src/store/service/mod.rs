//! What a service over the hub asks of a store besides what syncing needs: the run log page by page and as events, how it
//! stands with each connection, tasks searched and counted, access tokens, and requests that are to be carried out once.

mod conflicts;
mod once;
mod runs;
mod standing;
mod tasks;

use async_trait::async_trait;

use super::{ConflictQuery, StoreError, TaskStore};
use crate::model::{AccessToken, ConflictId, ConnectionId, Timestamp, TokenId};

pub use conflicts::ConflictPage;
pub use once::{OnceAnswer, OnceEntry, OnceRequest};
pub use runs::{RunDigest, RunEvent, RunPage, RunQuery};
pub use standing::{ConnectionCounts, RunStanding};
pub use tasks::{TaskCounts, TaskCursor, TaskOrder, TaskSearch, TaskSearchPage, TaskSource};

/// A hub that a service can be built on.
///
/// A run's state never changes without a [`RunEvent`] in the same transaction; the store sees to it.
#[async_trait]
pub trait ServiceStore: TaskStore {
    /// Whether the store answers, asked with as little work as possible.
    ///
    /// # Errors
    /// It does not.
    async fn ping(&self) -> Result<(), StoreError>;

    /// A page of the run log, newest first. Reports are in brief, or in full where they were written by an older version:
    /// see [`RunReport::brief`](crate::model::RunReport::brief).
    async fn run_page(&self, query: RunQuery) -> Result<RunPage, StoreError>;

    /// What a schedule and a status want to know of a connection's runs; all empty for an unknown connection. The newest
    /// run's report is as in [`run_page`](Self::run_page).
    async fn run_digest(&self, connection: ConnectionId) -> Result<RunDigest, StoreError>;

    /// How it stands with the runs of every connection, by the connections' names. Asked for all the time: what it costs
    /// depends on the number of connections, and not on the length of the run log.
    async fn run_standings(&self) -> Result<Vec<RunStanding>, StoreError>;

    /// How many links and open conflicts each connection has, by the connections' names. Counted and not read.
    async fn connection_counts(&self) -> Result<Vec<ConnectionCounts>, StoreError>;

    /// A page of conflicts, newest first: at most `limit`, after the place of the one with this id, whether that still matches
    /// or not; an unknown one: none.
    async fn conflict_page(
        &self,
        query: ConflictQuery,
        limit: usize,
        after: Option<ConflictId>,
    ) -> Result<ConflictPage, StoreError>;

    /// Deletes runs that ended before this, oldest end first and at most `limit` of them, with their events and the settled
    /// part of their journal; answers how many. Kept whatever their age are the newest run of each connection, the newest
    /// that ended `completed` or `partial`, and the newest that a person asked for: schedules and statuses go by them.
    /// What a run changed stays in the history of the tasks, but cannot be undone as a run any more.
    async fn prune_runs(&self, before: Timestamp, limit: usize) -> Result<u64, StoreError>;

    /// The changes of state after this sequence number, in order, at most `limit`.
    async fn run_events(&self, after: i64, limit: usize) -> Result<Vec<RunEvent>, StoreError>;

    /// The sequence number of the newest change of state; 0 if there was none.
    async fn last_run_event(&self) -> Result<i64, StoreError>;

    /// A page of tasks that match, in the order asked for.
    async fn search_tasks(&self, search: TaskSearch) -> Result<TaskSearchPage, StoreError>;

    /// How many tasks match in all, and how they divide. Order, limit and cursor are ignored.
    async fn count_tasks(&self, search: TaskSearch) -> Result<TaskCounts, StoreError>;

    /// Keeps a new access token.
    ///
    /// # Errors
    /// `Conflict` if its name, id or hash is taken.
    async fn add_token(&self, token: AccessToken) -> Result<(), StoreError>;

    /// All access tokens, by name.
    async fn tokens(&self) -> Result<Vec<AccessToken>, StoreError>;

    /// The access token with this hash.
    async fn token_by_hash(&self, hash: String) -> Result<Option<AccessToken>, StoreError>;

    /// Forgets an access token; `false` if there is none.
    async fn delete_token(&self, id: TokenId) -> Result<bool, StoreError>;

    /// Notes that a request with this key is to be carried out, or answers what is known of it already. A key is
    /// forgotten a day after it was first used.
    async fn begin_once(&self, request: OnceRequest) -> Result<OnceEntry, StoreError>;

    /// Notes how the request with this key was answered. Only the first answer is kept.
    async fn settle_once(&self, key: String, answer: OnceAnswer) -> Result<(), StoreError>;

    /// Forgets a key whose request was refused: it may be used again.
    async fn forget_once(&self, key: String) -> Result<(), StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trait_is_object_safe() {
        fn takes(_: Option<&dyn ServiceStore>) {}
        takes(None);
    }
}
