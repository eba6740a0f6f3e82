//! A queue that many machines share, on the job engine `graphile_worker` in the same database.
//!
//! Word that a connection has something queued is a job with the connection's id as its key, so that word that waits already
//! is the same word. The engine wakes a free worker, tries again what failed and finds the jobs of workers that died. That no
//! connection is run twice at once is not asked of it: leases see to that.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use graphile_worker::{
    IntoTaskHandlerResult, JobKeyMode, JobSpec, TaskHandler, WorkerContext, WorkerOptions, WorkerUtils,
};
use magnus_core::model::ConnectionId;
use magnus_core::queue::{Attended, Carrier, DeadLetter, RunQueue};
use magnus_core::store::{StoreError, StoreErrorKind};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::PostgresStore;
use crate::error::{failed, patiently};
use crate::schema::Schema;

/// Word is given up after this many failures in a row: half an hour after the first.
const MOST_FAILURES: i16 = 8;

/// How long jobs that were begun may take to end when the work is stopped: longer than runs are given.
const GRACE: Duration = Duration::from_secs(120);

/// A queue in the hub's database, shared by every process that works on it. Its tables lie in a schema of their own, which is
/// called as the hub's with `_queue` added.
#[derive(Clone)]
pub struct GraphileQueue {
    store: PostgresStore,
    schema: Schema,
    at_once: usize,
}

impl GraphileQueue {
    /// Opens the queue of a hub, and makes its tables if they are not there. This process attends to at most `at_once`
    /// connections at a time, if it works on the queue.
    ///
    /// # Errors
    /// `Unavailable` if the tables cannot be made.
    pub async fn open(store: &PostgresStore, at_once: usize) -> Result<Self, StoreError> {
        const OPERATION: &str = "open queue";
        let schema = Schema::new(&format!("{}_queue", store.schema_name()))?;
        let queue = Self {
            store: store.clone(),
            schema,
            at_once: at_once.max(1),
        };
        // Instances that start at once would get into each other's way. The lock goes with the transaction.
        let mut lock = store.begin(OPERATION).await?;
        // It waits for others, and then for the tables, however long that takes.
        for unlimited in [
            "SET LOCAL lock_timeout = 0",
            "SET LOCAL statement_timeout = 0",
            "SET LOCAL idle_in_transaction_session_timeout = 0",
        ] {
            sqlx::query(unlimited)
                .execute(&mut *lock)
                .await
                .map_err(failed(OPERATION))?;
        }
        sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))")
            .bind(format!("magnus queue {}", queue.schema.name()))
            .execute(&mut *lock)
            .await
            .map_err(failed(OPERATION))?;
        queue
            .engine()
            .migrate()
            .await
            .map_err(|error| broken(OPERATION, "the tables of the queue cannot be made", error))?;
        queue.forget_superseded().await?;
        lock.rollback().await.map_err(failed(OPERATION))?;
        Ok(queue)
    }

    /// Removes what workers that died left of jobs in whose place there was newer word already.
    async fn forget_superseded(&self) -> Result<(), StoreError> {
        const SUPERSEDED: &str = "
             DELETE FROM {hub}._private_jobs
             WHERE key IS NULL AND attempts >= max_attempts AND locked_at IS NULL";
        patiently!(
            "open queue",
            sqlx::query(self.schema.sql(SUPERSEDED)).execute(self.store.pool())
        )?;
        Ok(())
    }

    fn engine(&self) -> WorkerUtils {
        WorkerUtils::new(self.store.pool(), self.schema.name())
    }

    async fn tell(&self, connection: ConnectionId, pause: Option<Duration>) -> Result<(), StoreError> {
        const OPERATION: &str = "announce";
        let mut job = JobSpec::builder()
            .job_key(connection.to_string())
            .max_attempts(MOST_FAILURES)
            // Word that waits keeps its place; what failed before is tried anew.
            .job_key_mode(JobKeyMode::PreserveRunAt);
        if let Some(pause) = pause {
            let pause = chrono::TimeDelta::from_std(pause).unwrap_or(chrono::TimeDelta::MAX);
            let at: chrono::DateTime<chrono::Utc> = patiently!(
                OPERATION,
                sqlx::query_scalar("SELECT clock_timestamp() + $1")
                    .bind(pause)
                    .fetch_one(self.store.pool())
            )?;
            job = job.run_at(at);
        }
        let word = Word {
            connection: connection.as_uuid(),
        };
        self.engine()
            .add_job(word, job.build())
            .await
            .map_err(|error| broken(OPERATION, "the queue takes no word", error))?;
        Ok(())
    }
}

impl fmt::Debug for GraphileQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GraphileQueue")
            .field("schema", &self.schema.name())
            .finish_non_exhaustive()
    }
}

fn broken(operation: &'static str, message: &str, error: impl std::error::Error + Send + Sync + 'static) -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, operation, message).with_source(error)
}

/// The job: a connection has something queued.
#[derive(Debug, Serialize, Deserialize)]
struct Word {
    connection: Uuid,
}

/// What a job works with.
#[derive(Debug, Clone)]
struct Desk {
    carrier: Arc<dyn Carrier>,
    queue: GraphileQueue,
}

impl TaskHandler for Word {
    const IDENTIFIER: &'static str = "magnus_attend";

    async fn run(self, context: WorkerContext) -> impl IntoTaskHandlerResult {
        let Some(desk) = context.get_ext::<Desk>().cloned() else {
            return Err("the worker was started without a carrier".to_owned());
        };
        let connection = ConnectionId::from_uuid(self.connection);
        match desk.carrier.attend(connection).await {
            Attended::Done => Ok(()),
            Attended::Later(pause) => {
                let told = desk.queue.tell(connection, Some(pause)).await;
                told.map_err(|error| error.to_string())
            }
            Attended::Failed(reason) => Err(reason),
        }
    }
}

#[async_trait]
impl RunQueue for GraphileQueue {
    async fn announce(&self, connection: ConnectionId) -> Result<(), StoreError> {
        self.tell(connection, None).await
    }

    async fn work(&self, carrier: Arc<dyn Carrier>, stop: CancellationToken) -> Result<(), StoreError> {
        let desk = Desk {
            carrier,
            queue: self.clone(),
        };
        let mut pause = Duration::from_millis(100);
        while !stop.is_cancelled() {
            // An error of the database ends the engine's worker: then another one is started.
            match self.work_once(desk.clone(), stop.clone()).await {
                Ok(()) => pause = Duration::from_millis(100),
                Err(error) => tracing::warn!(%error, "the worker ended and is started again"),
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => {}
            }
            pause = (pause * 2).min(Duration::from_secs(5));
        }
        Ok(())
    }

    async fn dead_letters(&self) -> Result<Vec<DeadLetter>, StoreError> {
        // A job without its key was superseded by newer word while it was carried out.
        const DEAD: &str = "
             SELECT job.key, coalesce(job.last_error, '')
             FROM {hub}._private_jobs AS job JOIN {hub}._private_tasks AS task ON task.id = job.task_id
             WHERE task.identifier = $1 AND job.key IS NOT NULL AND job.attempts >= job.max_attempts
               AND job.locked_at IS NULL
             ORDER BY job.id";
        const OPERATION: &str = "read dead letters";
        let rows: Vec<(String, String)> = patiently!(
            OPERATION,
            sqlx::query_as(self.schema.sql(DEAD))
                .bind(Word::IDENTIFIER)
                .fetch_all(self.store.pool())
        )?;
        let letter = |(key, reason): (String, String)| match key.parse() {
            Ok(connection) => Ok(DeadLetter { connection, reason }),
            Err(_) => {
                let message = format!("the queue holds a job with the key {key:?}, which is no connection");
                Err(StoreError::new(StoreErrorKind::Corrupt, OPERATION, message))
            }
        };
        rows.into_iter().map(letter).collect()
    }
}

impl GraphileQueue {
    async fn work_once(&self, desk: Desk, stop: CancellationToken) -> Result<(), StoreError> {
        const OPERATION: &str = "work on the queue";
        // No queue names and no local queue: both cost more than they give here.
        let worker = WorkerOptions::default()
            .pg_pool(self.store.pool().clone())
            .schema(self.schema.name())
            .concurrency(self.at_once)
            .poll_interval(Duration::from_secs(1))
            .heartbeat_interval(Duration::from_secs(2))
            .sweep_interval(Duration::from_secs(2))
            .sweep_threshold(Duration::from_secs(8))
            .recovery_delay(Duration::ZERO)
            .listen_os_shutdown_signals(false)
            .shutdown_signal(async move { stop.cancelled().await })
            .shutdown_grace_period(GRACE)
            .add_extension(desk)
            .define_job::<Word>()
            .init()
            .await
            .map_err(|error| broken(OPERATION, "the worker cannot be started", error))?;
        worker
            .run()
            .await
            .map_err(|error| broken(OPERATION, "the worker ended", error))
    }
}
