//! A run in the log that cannot be read: its connection waits for somebody to look, the others go on.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use magnus_core::clock::Clock;
use magnus_core::engine::{RunContext, RunEnd, RunError, RunErrorKind, SyncEngine};
use magnus_core::model::{ConnectionId, ConnectionSettings, RunReport, RunRequest, RunState, SyncFrequency, ToolName};
use magnus_core::orchestrator::Orchestrator;
use magnus_core::reconcile::Plan;
use magnus_core::store::SettingsStore;
use magnus_sqlite::SqliteStore;
use magnus_testkit::clock::SetClock;
use sqlx::{ConnectOptions, SqliteConnection};

/// An engine that notes which connections it runs.
#[derive(Debug, Default)]
struct Noting(Mutex<Vec<ConnectionId>>);

#[async_trait]
impl SyncEngine for Noting {
    async fn validate(&self, _: RunRequest) -> Result<(), RunError> {
        Ok(())
    }

    async fn plan(&self, _: RunRequest, _: RunContext) -> Result<Plan, RunError> {
        Err(RunError::new(RunErrorKind::Cancelled, "nothing is planned here"))
    }

    async fn run(&self, request: RunRequest, _: RunContext) -> Result<RunEnd, RunError> {
        self.0.lock().unwrap().push(request.connection_id);
        Ok(RunEnd {
            state: RunState::Completed,
            report: RunReport::default(),
            message: None,
        })
    }
}

#[tokio::test]
async fn a_run_that_cannot_be_read_does_not_stop_the_schedules_of_other_connections() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("hub.db");
    let clock = SetClock::at("2026-03-02T08:00:00Z".parse().unwrap());
    let store = SqliteStore::open_with_clock(path.to_str().unwrap(), Arc::<SetClock>::clone(&clock))
        .await
        .unwrap();
    let engine = Arc::new(Noting::default());
    let orchestrator = Orchestrator::builder(Arc::new(store.clone()), Arc::<Noting>::clone(&engine)).build();
    let mut connections = Vec::new();
    // The broken one is looked at first.
    for name in ["A broken one", "Sound"] {
        let mut settings = ConnectionSettings::new(ToolName::new("toy"), name, "https://example.org", clock.now());
        settings.frequency = SyncFrequency::Hourly;
        let id = store.save_connection(settings).await.unwrap().id;
        let handle = orchestrator.start(RunRequest::new(id)).await.unwrap();
        handle.wait().await.unwrap();
        connections.push(id);
    }
    let mut raw: SqliteConnection = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(&path)
        .connect()
        .await
        .unwrap();
    sqlx::query("UPDATE magnus_sync_log SET status = 'nonsense' WHERE connection_id = ?")
        .bind(connections[0].to_string())
        .execute(&mut raw)
        .await
        .unwrap();
    clock.advance(2 * 3600);
    let started = orchestrator.start_scheduled(&store, clock.as_ref()).await.unwrap();
    for handle in started {
        handle.wait().await.unwrap();
    }
    assert_eq!(
        *engine.0.lock().unwrap(),
        [connections[0], connections[1], connections[1]]
    );
    orchestrator.shutdown(Duration::from_secs(5)).await;
}
