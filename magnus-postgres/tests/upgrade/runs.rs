//! What becomes of the predecessor's runs.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use magnus_core::clock::SystemClock;
use magnus_core::engine::{RunContext, RunEnd, RunError, RunErrorKind, SyncEngine};
use magnus_core::model::{RunReport, RunRequest, RunState};
use magnus_core::orchestrator::Orchestrator;
use magnus_core::reconcile::Plan;
use magnus_core::store::{RunStore, ServiceStore};
use magnus_postgres::{PostgresOptions, PostgresStore};

use crate::{NEW, OLD, predecessor, upgraded};

/// An engine that notes what it is asked to run.
#[derive(Debug, Default)]
struct Noting(Mutex<Vec<RunRequest>>);

#[async_trait]
impl SyncEngine for Noting {
    async fn validate(&self, _: RunRequest) -> Result<(), RunError> {
        Ok(())
    }

    async fn plan(&self, _: RunRequest, _: RunContext) -> Result<Plan, RunError> {
        Err(RunError::new(RunErrorKind::Cancelled, "nothing is planned here"))
    }

    async fn run(&self, request: RunRequest, _: RunContext) -> Result<RunEnd, RunError> {
        self.0.lock().unwrap().push(request);
        Ok(RunEnd {
            state: RunState::Completed,
            report: RunReport::default(),
            message: None,
        })
    }
}

#[tokio::test]
async fn upgraded_hub_starts_no_run_by_itself_and_keeps_the_old_log() {
    for layout in [OLD, NEW] {
        let database = predecessor(layout).await;
        upgraded(&database).await;
        let store = PostgresStore::open_with(database.url(), PostgresOptions::new().connections(4))
            .await
            .unwrap();
        let mut raw = database.connect().await;
        // The newest run of a connection is one that was never closed.
        let newest: String = sqlx::query_scalar(
            "UPDATE magnus_sync_log SET queued_at = now()
             WHERE id = (SELECT id FROM magnus_sync_log WHERE status = 'interrupted' AND connection_id IS NOT NULL LIMIT 1) RETURNING status",
        )
        .fetch_one(&mut raw)
        .await
        .unwrap();
        assert_eq!(newest, "interrupted");
        let engine = Arc::new(Noting::default());
        let orchestrator = Orchestrator::builder(Arc::new(store.clone()), Arc::<Noting>::clone(&engine)).build();
        assert!(orchestrator.recover().await.unwrap().is_empty());
        let clock = SystemClock;
        assert!(orchestrator.start_scheduled(&store, &clock).await.unwrap().is_empty());
        orchestrator.idle().await;
        assert_eq!(*engine.0.lock().unwrap(), []);
        assert!(store.unfinished_runs().await.unwrap().is_empty());

        let tomorrow = chrono::Utc::now() + chrono::TimeDelta::days(1);
        assert_eq!(store.prune_runs(tomorrow, 1000).await.unwrap(), 0);
        assert_eq!(store.recent_runs(1000).await.unwrap().len(), 100);
        orchestrator.shutdown(Duration::from_secs(5)).await;
        store.close().await;
        database.remove().await;
    }
}
