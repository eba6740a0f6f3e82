//! What is remembered of items whose writes fail.

use super::RunError;
use super::session::Session;
use crate::connection::ConnectionErrorKind;
use crate::model::{ItemFailure, TaskId};
use crate::reconcile::{FailedAttempt, failed_again};
use crate::store::{Changeset, FailureWrite, Unit};

impl Session {
    pub(super) fn note_failure(&mut self, task: TaskId, attempt: String, kind: ConnectionErrorKind, message: &str) {
        let failed = FailedAttempt {
            connection_id: self.settings.id,
            task_id: task,
            run_id: self.context.run_id,
            kind,
            message,
            attempt,
            at: self.now(),
        };
        self.failed.push(failed_again(self.failures.get(&task), failed));
    }

    pub(super) fn forget_last_failures(&mut self, failures: u32) {
        let kept = self.failed.len().saturating_sub(failures as usize);
        self.failed.truncate(kept);
    }

    /// Writes down what failed in this run, and forgets what has come through. How the run ended stays its answer, unless
    /// it went well and this does not.
    pub(super) async fn remember_failures<T>(&mut self, ended: Result<T, RunError>) -> Result<T, RunError> {
        let failed: Vec<ItemFailure> = std::mem::take(&mut self.failed);
        let still =
            |task: &TaskId| self.held_back.contains(task) || failed.iter().any(|failure| failure.task_id == *task);
        let over = self
            .failures
            .keys()
            .filter(|task| ended.is_ok() && self.tally.has_come_through(**task) && !still(task))
            .map(|task| FailureWrite::Clear {
                connection_id: self.settings.id,
                task_id: *task,
            });
        let mut units: Vec<Unit> = over.map(unit).collect();
        units.extend(
            failed
                .into_iter()
                .map(|failure| unit(FailureWrite::Record(Box::new(failure)))),
        );
        match self.commit(Changeset::of(units)).await {
            Ok(_) => ended,
            Err(error) => ended.and(Err(error)),
        }
    }
}

fn unit(write: FailureWrite) -> Unit {
    Unit {
        failures: vec![write],
        ..Unit::default()
    }
}
