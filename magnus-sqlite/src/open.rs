//! Opening the hub's database.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use magnus_core::clock::{Clock, SystemClock};
use magnus_core::connection::Outcome;
use magnus_core::model::Timestamp;
use magnus_core::store::{ChangedRows, StoreError, StoreErrorKind};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Sqlite, SqlitePool, Transaction};

use crate::error::{failed, is_busy};
use crate::location::database_file;

/// How long a statement waits for another process's lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Our own table: the hub may live in a host application's database beside its migrations.
const MIGRATIONS_TABLE: &str = "magnus_migrations";

/// A [`TaskStore`](magnus_core::store::TaskStore) in an SQLite database. Clones share one set of connections.
#[derive(Clone)]
pub struct SqliteStore {
    shared: Arc<Shared>,
}

struct Shared {
    path: PathBuf,
    // SQLite has one writer at a time: within the process writers queue here in order, instead of polling for a lock.
    writer: SqlitePool,
    // Commits of runs write much and are many: they queue among themselves first, so that a short write, such as that of
    // a run that is asked for, waits for one of them and not for all.
    commits: tokio::sync::Mutex<()>,
    readers: SqlitePool,
    // Runs read thousands of rows at once. They have few connections of their own for that: a short question, such as that for
    // the status, does not wait behind them, and does not compete with them for all cores.
    bulk_readers: SqlitePool,
    clock: Arc<dyn Clock>,
    changed: Mutex<ChangedRows>,
}

impl SqliteStore {
    /// Opens the hub in a file, given as a path, `sqlite:path` or `sqlite://path`. A missing file is created, with its
    /// directory, and an older one is brought up to date.
    ///
    /// # Errors
    /// `Usage` if the location names no file, `Unavailable` if it cannot be opened or written, `Corrupt` if it is no
    /// database, or one of a newer version of Magnus.
    pub async fn open(location: impl AsRef<str> + Send) -> Result<Self, StoreError> {
        Self::open_with_clock(location, Arc::new(SystemClock)).await
    }

    /// As [`open`](Self::open), with the time of leases and runs from `clock`.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn open_with_clock(location: impl AsRef<str> + Send, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        let path = database_file(location.as_ref())?;
        make_directory(&path)?;
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(true)
            .foreign_keys(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT);
        let pool = |size| {
            SqlitePoolOptions::new()
                .max_connections(size)
                .test_before_acquire(false)
                .idle_timeout(None)
                .max_lifetime(None)
                .acquire_timeout(BUSY_TIMEOUT * 3)
        };
        let writer = pool(1).connect_lazy_with(options.clone());
        migrate(&writer).await?;
        let reading = options.pragma("query_only", "ON");
        let readers = pool(4).connect_lazy_with(reading.clone());
        let bulk_readers = pool(bulk_readers()).connect_lazy_with(reading);
        let changed = Mutex::default();
        Ok(Self {
            shared: Arc::new(Shared {
                path,
                writer,
                commits: tokio::sync::Mutex::default(),
                readers,
                bulk_readers,
                clock,
                changed,
            }),
        })
    }

    /// The file the hub lies in.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// Where the master key's file belongs if it is not given by the environment: beside the database, with `.key`
    /// added to its name.
    #[must_use]
    pub fn key_file(&self) -> PathBuf {
        let mut name = self.shared.path.clone().into_os_string();
        name.push(".key");
        name.into()
    }

    /// Closes the database after the calls that are under way. Whoever uses the store afterwards gets an error.
    pub async fn close(&self) {
        self.shared.readers.close().await;
        self.shared.bulk_readers.close().await;
        self.shared.writer.close().await;
    }

    pub(crate) fn readers(&self) -> &SqlitePool {
        &self.shared.readers
    }

    /// For what runs read of whole projects and connections.
    pub(crate) fn bulk_readers(&self) -> &SqlitePool {
        &self.shared.bulk_readers
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    /// Begins a transaction that holds the write lock from its start: what it reads cannot go stale.
    pub(crate) async fn begin(&self, operation: &'static str) -> Result<Transaction<'static, Sqlite>, StoreError> {
        self.shared
            .writer
            .begin_with("BEGIN IMMEDIATE")
            .await
            .map_err(failed(operation))
    }

    /// The turn of a commit among the commits of this process: taken before [`begin`](Self::begin), and kept to its end.
    pub(crate) async fn commit_turn(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.shared.commits.lock().await
    }

    pub(crate) fn count_changes(&self, more: ChangedRows) {
        let mut changed = self.shared.changed.lock().unwrap_or_else(PoisonError::into_inner);
        changed.projects += more.projects;
        changed.tasks += more.tasks;
        changed.links += more.links;
        changed.conflicts += more.conflicts;
    }

    pub(crate) fn changes(&self) -> ChangedRows {
        *self.shared.changed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore")
            .field("path", &self.shared.path)
            .finish_non_exhaustive()
    }
}

/// Half of the cores, and a few: more of them do not make a run faster, whose rows are worked on as they come.
fn bulk_readers() -> u32 {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    u32::try_from(cores / 2).unwrap_or(u32::MAX).clamp(1, 4)
}

/// Ends a transaction. If its answer is lost, nobody knows whether it stands.
pub(crate) async fn finish(
    transaction: Transaction<'static, Sqlite>,
    operation: &'static str,
) -> Result<(), StoreError> {
    transaction
        .commit()
        .await
        .map_err(|error| failed(operation)(error).with_outcome(Outcome::Unknown))
}

fn make_directory(path: &Path) -> Result<(), StoreError> {
    let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) else {
        return Ok(());
    };
    std::fs::create_dir_all(parent).map_err(|error| {
        let message = format!("the directory {} cannot be made", parent.display());
        StoreError::new(StoreErrorKind::Unavailable, "open", message).with_source(error)
    })
}

async fn migrate(writer: &SqlitePool) -> Result<(), StoreError> {
    let mut migrator = sqlx::migrate!();
    migrator.dangerous_set_table_name(MIGRATIONS_TABLE);
    if is_up_to_date(writer, &migrator).await? {
        return Ok(());
    }
    // One transaction around it all: of two processes that open a new file, the second finds the first one's work.
    let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed("open"))?;
    migrator
        .run_direct(None, &mut *transaction, false)
        .await
        .map_err(|error| {
            let message = "the database cannot be brought up to date; was it made by a newer version of Magnus?";
            StoreError::new(StoreErrorKind::Corrupt, "open", message).with_source(error)
        })?;
    finish(transaction, "open").await
}

async fn is_up_to_date(writer: &SqlitePool, migrator: &sqlx::migrate::Migrator) -> Result<bool, StoreError> {
    let began = Instant::now();
    let is_there = loop {
        // Two processes that turn one new file to WAL meet in a lock that SQLite does not wait for by itself.
        let tables = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM sqlite_schema WHERE name = ?")
            .bind(MIGRATIONS_TABLE)
            .fetch_one(writer)
            .await;
        match tables {
            Err(error) if is_busy(&error) && began.elapsed() < BUSY_TIMEOUT => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            other => break other.map_err(failed("open"))? == 1,
        }
    };
    if !is_there {
        return Ok(false);
    }
    let applied: Vec<i64> = sqlx::query_scalar("SELECT version FROM magnus_migrations WHERE success ORDER BY version")
        .fetch_all(writer)
        .await
        .map_err(failed("open"))?;
    Ok(applied
        .iter()
        .copied()
        .eq(migrator.iter().map(|migration| migration.version)))
}
