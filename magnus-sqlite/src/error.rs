//! What SQLite says, as the store's error.

use magnus_core::store::{StoreError, StoreErrorKind};
use sqlx::error::ErrorKind;

/// Turns an error of the driver into one of the store, for `map_err`.
pub(crate) fn failed(operation: &'static str) -> impl FnOnce(sqlx::Error) -> StoreError {
    move |error| {
        let (kind, message) = explain(&error);
        StoreError::new(kind, operation, message).with_source(error)
    }
}

/// Whether a statement was refused because a row that it refers to is not there.
pub(crate) fn is_missing_reference(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .is_some_and(|error| error.kind() == ErrorKind::ForeignKeyViolation)
}

/// Whether another process holds a lock that this one waited for in vain.
pub(crate) fn is_busy(error: &sqlx::Error) -> bool {
    matches!(primary_code(error), Some(5 | 6))
}

/// The primary result code, see <https://www.sqlite.org/rescode.html>.
fn primary_code(error: &sqlx::Error) -> Option<i32> {
    let code = error.as_database_error()?.code()?;
    code.parse::<i32>().ok().map(|code| code & 0xff)
}

fn explain(error: &sqlx::Error) -> (StoreErrorKind, &'static str) {
    match error {
        sqlx::Error::Database(_) => match primary_code(error) {
            Some(5 | 6) => (
                StoreErrorKind::Unavailable,
                "the database is locked by another process; try again",
            ),
            Some(8) => (
                StoreErrorKind::Unavailable,
                "the database is read-only; check who owns the file",
            ),
            Some(11 | 26) => (StoreErrorKind::Corrupt, "the file is not a sound SQLite database"),
            Some(13) => (StoreErrorKind::Unavailable, "the disk is full"),
            Some(14) => (
                StoreErrorKind::Unavailable,
                "the database file cannot be opened; check path and rights",
            ),
            Some(19) => (StoreErrorKind::Conflict, "a rule of the database forbids it"),
            _ => (StoreErrorKind::Unavailable, "the database cannot carry it out"),
        },
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::ColumnNotFound(_) => {
            (StoreErrorKind::Corrupt, "a row of the database cannot be read")
        }
        sqlx::Error::PoolTimedOut => (
            StoreErrorKind::Unavailable,
            "the database was busy for too long; try again",
        ),
        sqlx::Error::PoolClosed => (StoreErrorKind::Unavailable, "the database was closed"),
        _ => (StoreErrorKind::Unavailable, "the database cannot be reached"),
    }
}
