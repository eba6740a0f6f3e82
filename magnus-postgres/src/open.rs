//! Opening the hub's database.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use magnus_core::clock::Clock;
use magnus_core::connection::Outcome;
use magnus_core::model::Timestamp;
use magnus_core::store::{ChangedRows, StoreError, StoreErrorKind};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, PgConnection, PgPool, Postgres, Transaction};

use crate::error::{code, failed};
use crate::migrate;
use crate::options::PostgresOptions;
use crate::schema::Schema;

/// A [`TaskStore`](magnus_core::store::TaskStore) in a Postgres database. Clones share one pool.
#[derive(Clone)]
pub struct PostgresStore {
    shared: Arc<Shared>,
}

struct Shared {
    pool: PgPool,
    /// The pool is ours to close.
    own: bool,
    schema: Schema,
    clock: Option<Arc<dyn Clock>>,
    changed: Mutex<ChangedRows>,
}

impl PostgresStore {
    /// Opens the hub at an address such as `postgres://user:password@host/database?sslmode=verify-full`, with a pool of
    /// its own. Further parameters are those of `libpq`, and `schema`. The tables are made, or brought up to date.
    ///
    /// # Errors
    /// `Usage` if the address makes no sense or the database holds tables of the predecessor, `Unavailable` if the
    /// server cannot be reached, `Corrupt` if the tables are those of a newer version of Magnus.
    pub async fn open(url: impl AsRef<str> + Send) -> Result<Self, StoreError> {
        Self::open_with(url, PostgresOptions::new()).await
    }

    /// As [`open`](Self::open), with options.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn open_with(url: impl AsRef<str> + Send, options: PostgresOptions) -> Result<Self, StoreError> {
        let (url, schema) = split_schema(url.as_ref());
        let schema = Schema::new(schema.unwrap_or(&options.schema))?;
        let connect = connect_options(&url, &options)?;
        migrate::bring_up_to_date(&connect, &schema, options.migrate).await?;
        let pool = PgPoolOptions::new()
            .max_connections(options.connections.max(1))
            .acquire_timeout(options.acquire_timeout)
            .connect_lazy_with(connect);
        Ok(Self::new(pool, true, schema, options.clock))
    }

    /// Keeps the hub in a database of the host application, through the host's own pool. The tables lie in the schema
    /// that the options name, beside the host's; timeouts are those of the pool. One further connection is opened for
    /// a moment to bring the tables up to date.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn on_pool(pool: PgPool, options: PostgresOptions) -> Result<Self, StoreError> {
        let schema = Schema::new(&options.schema)?;
        migrate::bring_up_to_date(&pool.connect_options(), &schema, options.migrate).await?;
        Ok(Self::new(pool, false, schema, options.clock))
    }

    fn new(pool: PgPool, own: bool, schema: Schema, clock: Option<Arc<dyn Clock>>) -> Self {
        Self {
            shared: Arc::new(Shared {
                pool,
                own,
                schema,
                clock,
                changed: Mutex::default(),
            }),
        }
    }

    /// The pool through which the hub is read and written.
    #[must_use]
    pub fn pool(&self) -> &PgPool {
        &self.shared.pool
    }

    /// The name of the schema that the tables lie in.
    #[must_use]
    pub fn schema_name(&self) -> &str {
        self.shared.schema.name()
    }

    /// Closes the hub's own pool after the calls that are under way; whoever uses the store afterwards gets an error.
    /// A host's pool is left open.
    pub async fn close(&self) {
        if self.shared.own {
            self.shared.pool.close().await;
        }
    }

    pub(crate) fn schema(&self) -> &Schema {
        &self.shared.schema
    }

    /// A statement over the hub's tables, which are written `{hub}.name`.
    pub(crate) fn sql(&self, statement: &str) -> AssertSqlSafe<String> {
        self.shared.schema.sql(statement)
    }

    /// The time to bind where a statement says `coalesce($n, clock_timestamp())`: none, unless a test sets the clock.
    pub(crate) fn set_time(&self) -> Option<Timestamp> {
        self.shared.clock.as_ref().map(|clock| clock.now())
    }

    /// The time, by the database's clock unless a test sets it.
    pub(crate) async fn now(
        &self,
        connection: &mut PgConnection,
        operation: &'static str,
    ) -> Result<Timestamp, StoreError> {
        if let Some(time) = self.set_time() {
            return Ok(time);
        }
        sqlx::query_scalar("SELECT clock_timestamp()")
            .fetch_one(connection)
            .await
            .map_err(failed(operation))
    }

    /// Begins a transaction in which each statement sees what others have committed by then: who waits for a lock must see
    /// what was done under it. A host's pool, role or server may have another default.
    pub(crate) async fn begin(&self, operation: &'static str) -> Result<Transaction<'static, Postgres>, StoreError> {
        self.shared
            .pool
            .begin_with("BEGIN ISOLATION LEVEL READ COMMITTED")
            .await
            .map_err(failed(operation))
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

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The pool's options hold the password.
        f.debug_struct("PostgresStore")
            .field("schema", &self.shared.schema.name())
            .finish_non_exhaustive()
    }
}

/// Ends a transaction. If its answer is lost, nobody knows whether it stands.
pub(crate) async fn finish(
    transaction: Transaction<'static, Postgres>,
    operation: &'static str,
) -> Result<(), StoreError> {
    transaction.commit().await.map_err(|error| {
        // An answer that names a reason other than the server's going away says that nothing stands.
        let refused = code(&error).is_some_and(|code| !code.starts_with("57") && !code.starts_with("08"));
        let outcome = if refused { Outcome::NotApplied } else { Outcome::Unknown };
        failed(operation)(error).with_outcome(outcome)
    })
}

/// Takes the parameter `schema` out of an address; the driver does not know it.
pub(crate) fn split_schema(url: &str) -> (String, Option<&str>) {
    let Some((address, parameters)) = url.split_once('?') else {
        return (url.to_owned(), None);
    };
    let (ours, others): (Vec<&str>, Vec<&str>) = parameters
        .split('&')
        .partition(|parameter| parameter.starts_with("schema="));
    let schema = ours.last().and_then(|parameter| parameter.strip_prefix("schema="));
    let url = if others.is_empty() {
        address.to_owned()
    } else {
        format!("{address}?{}", others.join("&"))
    };
    (url, schema)
}

pub(crate) fn connect_options(url: &str, options: &PostgresOptions) -> Result<PgConnectOptions, StoreError> {
    let usage = |message: &str| StoreError::new(StoreErrorKind::Usage, "open", message);
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        // The address is not repeated: it may hold a password.
        return Err(usage(
            "this is not the address of a Postgres database; it looks like postgres://user:password@host/database",
        ));
    }
    let connect: PgConnectOptions = url
        .parse()
        .map_err(|error: sqlx::Error| usage("the address of the database cannot be read").with_source(error))?;
    let connect = if connect.get_application_name().is_none() {
        connect.application_name("magnus")
    } else {
        connect
    };
    let milliseconds = |timeout: Duration| timeout.as_millis().to_string();
    Ok(connect.options([
        ("statement_timeout", milliseconds(options.statement_timeout)),
        ("lock_timeout", milliseconds(options.lock_timeout)),
        // A connection that was cut between two statements must not keep its locks.
        (
            "idle_in_transaction_session_timeout",
            milliseconds(options.idle_timeout),
        ),
        ("timezone", "UTC".to_owned()),
        // Of statements outside of a transaction, too: see `PostgresStore::begin`.
        ("default_transaction_isolation", "read committed".to_owned()),
    ]))
}

#[cfg(test)]
mod tests {
    use sqlx::postgres::PgSslMode;

    use super::*;

    #[test]
    fn schema_is_taken_out_of_the_address() {
        for (url, address, schema) in [
            ("postgres://h/d", "postgres://h/d", None),
            ("postgres://h/d?schema=hub", "postgres://h/d", Some("hub")),
            (
                "postgres://h/d?sslmode=require&schema=hub&user=x",
                "postgres://h/d?sslmode=require&user=x",
                Some("hub"),
            ),
        ] {
            assert_eq!(split_schema(url), (address.to_owned(), schema));
        }
    }

    #[test]
    fn encryption_is_what_the_address_asks_for_and_else_whatever_the_server_offers() {
        let options = PostgresOptions::new();
        let mode = |url: &str| connect_options(url, &options).unwrap().get_ssl_mode();
        for (url, expected) in [
            ("postgres://u@h/d", PgSslMode::Prefer),
            ("postgresql://u@h/d?sslmode=disable", PgSslMode::Disable),
            ("postgres://u@h/d?sslmode=require", PgSslMode::Require),
            ("postgres://u@h/d?sslmode=verify-full", PgSslMode::VerifyFull),
        ] {
            assert!(
                std::mem::discriminant(&mode(url)) == std::mem::discriminant(&expected),
                "{url}"
            );
        }
    }

    #[test]
    fn address_that_makes_no_sense_is_refused_without_repeating_its_password() {
        for url in ["mysql://u:hushhush@h/d", "postgres://u:hushhush@h:port/d", "hushhush"] {
            let error = connect_options(url, &PostgresOptions::new()).unwrap_err();
            assert_eq!(error.kind(), StoreErrorKind::Usage);
            assert!(!format!("{error} {error:?}").contains("hushhush"), "{error:?}");
        }
    }
}
