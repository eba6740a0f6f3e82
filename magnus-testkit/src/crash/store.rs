//! Commits that are counted and may break.

use async_trait::async_trait;
use magnus_core::connection::Outcome;
use magnus_core::store::{Changeset, CommitOutcome, Fence, StoreError, StoreErrorKind, TaskStore};

use super::{CrashPoint, Mode};
use crate::watched::Watch;

#[derive(Debug)]
pub(super) struct Commits(pub(super) CrashPoint);

fn lost() -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, "commit", "no answer came").with_outcome(Outcome::Unknown)
}

#[async_trait]
impl Watch for Commits {
    async fn commit(
        &self,
        store: &dyn TaskStore,
        fence: Fence,
        changeset: Changeset,
    ) -> Result<CommitOutcome, StoreError> {
        match self.0.step("commit").await {
            Some(Mode::NeverArrived) => Err(lost()),
            Some(Mode::AnswerLost) => {
                store.commit(fence, changeset).await?;
                Err(lost())
            }
            Some(Mode::StopAfter) => {
                let _ = store.commit(fence, changeset).await;
                self.0.die().await
            }
            _ => store.commit(fence, changeset).await,
        }
    }
}
