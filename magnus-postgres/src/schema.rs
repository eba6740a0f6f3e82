//! The schema that the hub's tables lie in.

use magnus_core::store::{StoreError, StoreErrorKind};
use sqlx::AssertSqlSafe;

/// The name of a schema, checked and quoted. Statements are written with `{hub}` in its place: the pool may be a host
/// application's own, so that no search path can be relied on.
#[derive(Debug, Clone)]
pub(crate) struct Schema {
    name: String,
    quoted: String,
}

impl Schema {
    /// Names longer than this are cut off by Postgres, and then two of them may be one.
    const MOST_BYTES: usize = 63;

    pub(crate) fn new(name: &str) -> Result<Self, StoreError> {
        let reserved = name.starts_with("pg_") || name == "information_schema";
        if name.is_empty() || name.len() > Self::MOST_BYTES || name.contains('\0') || reserved {
            let message = format!(
                "{name:?} cannot be the schema of the hub: it takes 1 to {} bytes and no name of Postgres' own",
                Self::MOST_BYTES
            );
            return Err(StoreError::new(StoreErrorKind::Usage, "open", message));
        }
        Ok(Self {
            name: name.to_owned(),
            quoted: format!("\"{}\"", name.replace('"', "\"\"")),
        })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// As it stands in a statement.
    pub(crate) fn quoted(&self) -> &str {
        &self.quoted
    }

    /// A statement over the tables of this schema.
    pub(crate) fn sql(&self, statement: &str) -> AssertSqlSafe<String> {
        // Safe: the statement is ours and the name is quoted.
        AssertSqlSafe(statement.replace("{hub}", &self.quoted))
    }
}

#[cfg(test)]
mod tests {
    use super::Schema;

    #[test]
    fn name_is_quoted_in_statements() {
        let schema = Schema::new("my \"hub\"").unwrap();
        let statement = schema.sql("SELECT * FROM {hub}.magnus_tasks").0;
        assert_eq!(statement, r#"SELECT * FROM "my ""hub""".magnus_tasks"#);
    }

    #[test]
    fn name_that_postgres_would_cut_or_keeps_for_itself_is_refused() {
        for name in ["", "pg_hub", "information_schema", &"x".repeat(64)] {
            assert!(Schema::new(name).is_err(), "{name:?}");
        }
    }
}
