//! Syncs everything until nothing moves any more.

use std::collections::{HashMap, HashSet};

use super::Orchestrator;
use crate::engine::RunError;
use crate::model::{ConnectionId, Direction, Run, RunRequest, RunState, Trigger};

/// What came of syncing everything.
#[derive(Debug)]
#[non_exhaustive]
pub struct SyncAll {
    /// All runs, round by round.
    pub runs: Vec<Run>,
    /// Connections whose run was refused or whose end cannot be told, and why.
    pub refused: Vec<(ConnectionId, RunError)>,
    /// How many rounds it took.
    pub rounds: u32,
    /// Whether nothing was due any more at the end. `false`: something still moves, or a connection that has work to do
    /// failed.
    pub quiet: bool,
}

impl Orchestrator {
    /// Syncs every enabled connection, all at once, then again those that became due by it, until nothing is due or
    /// five rounds were run. Waits for the end; [`subscribe`](Self::subscribe) tells what happens meanwhile.
    ///
    /// # Errors
    /// `Store` if the connections cannot be read, `ShuttingDown`.
    pub async fn sync_all(&self, direction: Option<Direction>) -> Result<SyncAll, RunError> {
        self.shared.refuse_if_closed()?;
        // What becomes due is seen to here, and follows by itself from none of these runs, whoever carries them out.
        let request = |id| {
            let request = RunRequest::new(id).direction(direction);
            request.round(RunRequest::LAST_ROUND)
        };
        let connections = self.shared.store.connections().await?;
        let enabled: HashSet<ConnectionId> = connections
            .iter()
            .filter(|settings| settings.enabled)
            .map(|settings| settings.id)
            .collect();
        let mut next: Vec<RunRequest> = connections
            .iter()
            .filter(|settings| settings.enabled)
            .map(|settings| request(settings.id))
            .collect();
        let mut all = SyncAll {
            runs: Vec::new(),
            refused: Vec::new(),
            rounds: 0,
            quiet: false,
        };
        while all.rounds < RunRequest::LAST_ROUND {
            all.rounds += 1;
            self.round(next, &mut all).await;
            let due = self.shared.store.due_connections().await?;
            let due: Vec<ConnectionId> = due.into_iter().filter(|id| enabled.contains(id)).collect();
            all.quiet = due.is_empty();
            let stuck = stuck(&all);
            next = due
                .into_iter()
                .filter(|id| !stuck.contains(id))
                .map(|id| request(id).trigger(Trigger::Ripple))
                .collect();
            if next.is_empty() {
                break;
            }
        }
        Ok(all)
    }

    async fn round(&self, requests: Vec<RunRequest>, all: &mut SyncAll) {
        let mut handles = Vec::new();
        for request in requests {
            let connection = request.connection_id;
            match self.start(request).await {
                Ok(handle) => handles.push(handle),
                Err(error) => all.refused.push((connection, error)),
            }
        }
        for handle in handles {
            match handle.wait().await {
                Ok(run) => all.runs.push(run),
                Err(error) => all.refused.push((handle.connection(), error)),
            }
        }
    }
}

/// Connections that another round would not help.
fn stuck(all: &SyncAll) -> HashSet<ConnectionId> {
    let last: HashMap<ConnectionId, RunState> = all.runs.iter().map(|run| (run.connection_id, run.state)).collect();
    let unwell = last
        .into_iter()
        .filter(|(_, state)| !matches!(state, RunState::Completed | RunState::Partial));
    let refused = all.refused.iter().map(|(connection, _)| *connection);
    unwell.map(|(connection, _)| connection).chain(refused).collect()
}
