//! Two orchestrators on one database file, each with a store of its own, as two processes have: what the leases of
//! SQLite promise is what the orchestrator relies on.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use magnus_core::engine::{RunContext, RunEnd, RunError, RunErrorKind, SyncEngine};
use magnus_core::model::{ConnectionId, ConnectionSettings, RunReport, RunRequest, RunState, ToolName, Trigger};
use magnus_core::orchestrator::Orchestrator;
use magnus_core::reconcile::Plan;
use magnus_core::store::{Changeset, Fence, LeaseStore, RunStore, SettingsStore, TaskStore};
use magnus_sqlite::SqliteStore;

/// Works for a moment under its fence, and notices when two of it run at once.
#[derive(Debug, Default)]
struct Watchful {
    going: AtomicUsize,
    calls: AtomicUsize,
    overlaps: AtomicUsize,
}

/// The same engine, as one process sees it, with the process's own store.
#[derive(Debug)]
struct InProcess {
    watchful: Arc<Watchful>,
    store: Arc<SqliteStore>,
}

#[async_trait]
impl SyncEngine for InProcess {
    async fn validate(&self, _: RunRequest) -> Result<(), RunError> {
        Ok(())
    }

    async fn plan(&self, _: RunRequest, _: RunContext) -> Result<Plan, RunError> {
        Err(RunError::new(RunErrorKind::Cancelled, "nothing is planned here"))
    }

    async fn run(&self, _: RunRequest, context: RunContext) -> Result<RunEnd, RunError> {
        self.watchful.calls.fetch_add(1, Ordering::SeqCst);
        if self.watchful.going.fetch_add(1, Ordering::SeqCst) > 0 {
            self.watchful.overlaps.fetch_add(1, Ordering::SeqCst);
        }
        for _ in 0..3 {
            tokio::task::yield_now().await;
            self.store.commit(context.fence.clone(), Changeset::new()).await?;
        }
        self.watchful.going.fetch_sub(1, Ordering::SeqCst);
        Ok(RunEnd {
            state: RunState::Completed,
            report: RunReport::default(),
            message: None,
        })
    }
}

struct Database {
    folder: tempfile::TempDir,
    watchful: Arc<Watchful>,
}

impl Database {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            watchful: Arc::default(),
        }
    }

    async fn store(&self) -> Arc<SqliteStore> {
        let path = self.folder.path().join("magnus.db");
        Arc::new(SqliteStore::open(path.to_str().unwrap()).await.unwrap())
    }

    async fn process(&self) -> Orchestrator {
        let store = self.store().await;
        let engine = InProcess {
            watchful: Arc::clone(&self.watchful),
            store: Arc::clone(&store),
        };
        Orchestrator::builder(store, Arc::new(engine))
            .lease_poll(Duration::from_millis(20))
            .build()
    }

    async fn connection(&self) -> ConnectionId {
        let settings = ConnectionSettings::new(
            ToolName::new("leantime"),
            "Board",
            "https://board.example",
            chrono::DateTime::UNIX_EPOCH,
        );
        self.store().await.save_connection(settings).await.unwrap().id
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn twenty_starts_in_two_processes_never_run_a_connection_twice_at_once() {
    let database = Database::new();
    let connection = database.connection().await;
    let processes = [database.process().await, database.process().await];
    let starts = (0..20).map(|number| {
        let process = processes[number % 2].clone();
        tokio::spawn(async move {
            process
                .start(RunRequest::new(connection))
                .await
                .unwrap()
                .wait()
                .await
                .unwrap()
        })
    });
    for start in starts.collect::<Vec<_>>() {
        assert_eq!(start.await.unwrap().state, RunState::Completed);
    }
    let runs = database.store().await.recent_runs(100).await.unwrap();
    assert_eq!(database.watchful.overlaps.load(Ordering::SeqCst), 0);
    assert_eq!(
        database.watchful.calls.load(Ordering::SeqCst),
        runs.len(),
        "every run was carried out once"
    );
    assert!(runs.iter().all(|run| run.state == RunState::Completed));
    for process in processes {
        assert_eq!(process.status(20).await.unwrap().in_progress.len(), 0);
        process.shutdown(Duration::from_secs(5)).await;
    }
}

#[tokio::test]
async fn a_process_that_starts_after_another_died_marks_its_run_and_resumes_it() {
    let database = Database::new();
    let connection = database.connection().await;
    let dead = database.store().await;
    dead.enqueue_run(RunRequest::new(connection)).await.unwrap();
    let ttl = Duration::from_millis(50);
    let lease = match dead
        .acquire_lease(connection, "dead process".into(), ttl)
        .await
        .unwrap()
    {
        magnus_core::store::LeaseAnswer::Granted(lease) => lease,
        held => panic!("{held:?}"),
    };
    let lost = dead.claim_run(Fence::Lease(lease)).await.unwrap().unwrap();
    dead.close().await;

    let process = database.process().await;
    // The lease expires by the store's clock, which is the machine's; there is no event to wait for.
    let resumed = loop {
        let resumed = process.recover().await.unwrap();
        if !resumed.is_empty() {
            break resumed;
        }
        tokio::task::yield_now().await;
    };
    let run = resumed[0].wait().await.unwrap();
    assert_eq!((run.state, run.request.trigger), (RunState::Completed, Trigger::Resume));
    let status = process.status(20).await.unwrap();
    assert_eq!(status.in_progress.len(), 0);
    let log = status.recent.iter().find(|run| run.id == lost.id).unwrap();
    assert_eq!(log.state, RunState::Interrupted);
    process.shutdown(Duration::from_secs(5)).await;
}
