//! Where the database lies.

use std::path::PathBuf;

use magnus_core::store::{StoreError, StoreErrorKind};

/// The file that a path, `sqlite:path` or `sqlite://path` names.
pub(crate) fn database_file(location: &str) -> Result<PathBuf, StoreError> {
    let refused = |why: &str| StoreError::new(StoreErrorKind::Usage, "open", why);
    let path = location
        .strip_prefix("sqlite:")
        .map_or(location, |rest| rest.strip_prefix("//").unwrap_or(rest));
    if path.contains("://") {
        return Err(refused(
            "this is not an SQLite database; it should look like sqlite://path/to/hub.db",
        ));
    }
    if path.len() < location.len() && path.contains('?') {
        return Err(refused(
            "parameters after ? are not supported in the address of the database",
        ));
    }
    if path.trim().is_empty() {
        return Err(refused("the path of the database is empty"));
    }
    if path == ":memory:" {
        return Err(refused("a hub in memory is kept by MemoryStore, not by SQLite"));
    }
    Ok(PathBuf::from(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_and_url_name_the_same_file() {
        for location in ["data/hub.db", "sqlite:data/hub.db", "sqlite://data/hub.db"] {
            assert_eq!(database_file(location).unwrap(), PathBuf::from("data/hub.db"));
        }
        assert_eq!(
            database_file("sqlite:///var/hub.db").unwrap(),
            PathBuf::from("/var/hub.db")
        );
    }

    #[test]
    fn what_is_no_database_file_is_refused_with_its_reason() {
        for location in [
            "",
            "sqlite://",
            "sqlite::memory:",
            "postgres://host/hub",
            "sqlite://hub.db?mode=rwc",
        ] {
            assert_eq!(
                database_file(location).unwrap_err().kind(),
                StoreErrorKind::Usage,
                "{location}"
            );
        }
    }
}
