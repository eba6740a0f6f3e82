//! What Postgres says, as the store's error.

use std::error::Error as StdError;

use magnus_core::store::{StoreError, StoreErrorKind};

/// Turns an error of the driver into one of the store, for `map_err`.
pub(crate) fn failed(operation: &'static str) -> impl FnOnce(sqlx::Error) -> StoreError {
    move |error| {
        let (kind, message) = explain(&error);
        StoreError::new(kind, operation, message).with_source(error)
    }
}

/// The code of the server's answer, see <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
pub(crate) fn code(error: &sqlx::Error) -> Option<String> {
    error.as_database_error()?.code().map(std::borrow::Cow::into_owned)
}

/// Whether a statement was refused because a row that it refers to is not there.
pub(crate) fn is_missing_reference(error: &sqlx::Error) -> bool {
    code(error).as_deref() == Some("23503")
}

/// Whether a statement was refused because a key is taken.
pub(crate) fn is_taken(error: &sqlx::Error) -> bool {
    code(error).as_deref() == Some("23505")
}

/// Whether the transaction lost against another one, or its connection, and may be tried again if it can be told whether it
/// took place.
pub(crate) fn may_be_tried_again(error: &StoreError) -> bool {
    let source = StdError::source(error).and_then(|source| source.downcast_ref::<sqlx::Error>());
    source.is_some_and(|source| is_lost(source) || gave_way(source))
}

/// Whether the server took it back in favour of another transaction.
pub(crate) fn gave_way(error: &sqlx::Error) -> bool {
    matches!(code(error).as_deref(), Some("40001" | "40P01"))
}

/// Whether the connection went away: the server was stopped, failed over, or cannot be reached.
pub(crate) fn is_lost(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::WorkerCrashed | sqlx::Error::Protocol(_) => true,
        _ => code(error).is_some_and(|code| {
            // Not 57014: a statement that took too long would do so again.
            code.starts_with("08") || matches!(code.as_str(), "25P03" | "57P01" | "57P02" | "57P03")
        }),
    }
}

/// How often what may be repeated is tried again after its connection was lost. Getting a new connection waits for a server
/// that is starting.
pub(crate) const MOST_LOSSES: u32 = 4;

/// Tries what changes nothing, or nothing more when it is repeated, again after its connection was lost or it gave way to
/// another transaction.
macro_rules! patiently {
    ($operation:expr, $attempt:expr) => {{
        let mut losses = 0;
        loop {
            match $attempt.await {
                Err(error)
                    if losses < $crate::error::MOST_LOSSES
                        && ($crate::error::is_lost(&error) || $crate::error::gave_way(&error)) =>
                {
                    losses += 1;
                    $crate::error::pause(losses).await;
                }
                answer => break answer.map_err($crate::error::failed($operation)),
            }
        }
    }};
}
pub(crate) use patiently;

/// The pause before something is tried again, the longer the more often it was.
pub(crate) async fn pause(tries: u32) {
    tokio::time::sleep(std::time::Duration::from_millis(10) * 2_u32.pow(tries.min(8))).await;
}

fn explain(error: &sqlx::Error) -> (StoreErrorKind, &'static str) {
    use StoreErrorKind::{Conflict, Corrupt, Unavailable, Usage};
    match error {
        sqlx::Error::Database(_) => explain_code(code(error).as_deref().unwrap_or_default()),
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::ColumnNotFound(_) => {
            (Corrupt, "a row of the database cannot be read")
        }
        sqlx::Error::Encode(_) => (Usage, "a value cannot be written to the database"),
        sqlx::Error::Configuration(_) => (Usage, "the address of the database or its parameters make no sense"),
        sqlx::Error::PoolTimedOut => (
            Unavailable,
            "no connection to the database came free in time; it does not answer, or the pool is too small",
        ),
        sqlx::Error::PoolClosed => (Unavailable, "the database was closed"),
        sqlx::Error::Tls(_) => (
            Unavailable,
            "the connection to the database could not be encrypted as asked for; check sslmode and sslrootcert",
        ),
        sqlx::Error::RowNotFound => (Conflict, "a row is not there any more"),
        _ => (Unavailable, "the database cannot be reached"),
    }
}

fn explain_code(code: &str) -> (StoreErrorKind, &'static str) {
    use StoreErrorKind::{Conflict, Corrupt, Unavailable, Usage};
    match code {
        "40001" | "40P01" => (Unavailable, "the database gave way to another transaction; try again"),
        "55P03" => (
            Unavailable,
            "another transaction holds a lock for too long; look for one that was left open",
        ),
        "57014" => (Unavailable, "a statement took too long and was stopped"),
        "25006" => (
            Unavailable,
            "the server is read-only; is it a standby, or was it made read-only?",
        ),
        "53100" => (Unavailable, "the disk of the database server is full"),
        "53300" => (Unavailable, "the database server takes no more connections"),
        "42501" => (
            Unavailable,
            "the database user lacks a right; the documentation lists the few that are needed",
        ),
        "3D000" => (Usage, "there is no such database on the server; make it first"),
        "42P01" | "3F000" | "42703" => (
            Usage,
            "the tables of the hub are not there or not up to date; run `magnus migrate`",
        ),
        "22021" | "22P05" | "22001" | "22003" => (Usage, "a value is too long or too large for its column"),
        _ => match code.get(..2) {
            Some("28") => (Unavailable, "the database refused user or password"),
            Some("57" | "08") => (Unavailable, "the database server is stopping, starting or out of reach"),
            Some("53") => (Unavailable, "the database server is out of memory or disk"),
            Some("23") => (Conflict, "a rule of the database forbids it"),
            Some("XX") => (Corrupt, "the database server found its own data damaged"),
            _ => (Unavailable, "the database cannot carry it out"),
        },
    }
}
