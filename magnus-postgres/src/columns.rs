//! Reading rows that somebody may have edited by hand: what does not parse is an error that names row and column. And
//! values on their way into the database.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt::Display;
use std::str::FromStr;

use magnus_core::model::Timestamp;
use magnus_core::store::{StoreError, StoreErrorKind};
use serde::de::DeserializeOwned;
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::{Decode, Postgres, Row, Type};
use uuid::Uuid;

/// One row of a table, read column by column.
pub(crate) struct Columns<'r> {
    table: &'static str,
    row: &'r PgRow,
}

impl<'r> Columns<'r> {
    pub(crate) fn new(table: &'static str, row: &'r PgRow) -> Self {
        Self { table, row }
    }

    pub(crate) fn get<T>(&self, column: &'static str) -> Result<T, StoreError>
    where
        T: Decode<'r, Postgres> + Type<Postgres>,
    {
        self.row.try_get(column).map_err(|error| self.corrupt(column, error))
    }

    pub(crate) fn text(&self, column: &'static str) -> Result<String, StoreError> {
        self.get(column)
    }

    pub(crate) fn id<T>(&self, column: &'static str, wrap: impl FnOnce(Uuid) -> T) -> Result<T, StoreError> {
        self.get(column).map(wrap)
    }

    pub(crate) fn optional_id<T>(
        &self,
        column: &'static str,
        wrap: impl FnOnce(Uuid) -> T,
    ) -> Result<Option<T>, StoreError> {
        self.get::<Option<Uuid>>(column).map(|id| id.map(wrap))
    }

    pub(crate) fn parse<T>(&self, column: &'static str) -> Result<T, StoreError>
    where
        T: FromStr<Err: Into<Box<dyn StdError + Send + Sync>>>,
    {
        self.get::<&str>(column)?
            .parse()
            .map_err(|error| self.corrupt(column, error))
    }

    pub(crate) fn optional<T>(&self, column: &'static str) -> Result<Option<T>, StoreError>
    where
        T: FromStr<Err: Into<Box<dyn StdError + Send + Sync>>>,
    {
        let text = self.get::<Option<&str>>(column)?;
        text.map(str::parse)
            .transpose()
            .map_err(|error| self.corrupt(column, error))
    }

    pub(crate) fn convert<T>(&self, column: &'static str) -> Result<T, StoreError>
    where
        T: TryFrom<String, Error: Into<Box<dyn StdError + Send + Sync>>>,
    {
        self.text(column)?
            .try_into()
            .map_err(|error| self.corrupt(column, error))
    }

    /// A number of the database's type `S` as one of another type.
    pub(crate) fn number<S, T>(&self, column: &'static str) -> Result<Option<T>, StoreError>
    where
        S: Decode<'r, Postgres> + Type<Postgres>,
        T: TryFrom<S, Error: Into<Box<dyn StdError + Send + Sync>>>,
    {
        let number = self.get::<Option<S>>(column)?;
        number
            .map(T::try_from)
            .transpose()
            .map_err(|error| self.corrupt(column, error))
    }

    pub(crate) fn json<T: DeserializeOwned>(&self, column: &'static str) -> Result<T, StoreError> {
        let Json(value) = self.get::<Json<serde_json::Value>>(column)?;
        serde_json::from_value(value).map_err(|error| self.corrupt(column, error))
    }

    pub(crate) fn optional_json<T: DeserializeOwned>(&self, column: &'static str) -> Result<Option<T>, StoreError> {
        let value = self.get::<Option<Json<serde_json::Value>>>(column)?;
        value
            .map(|Json(value)| serde_json::from_value(value))
            .transpose()
            .map_err(|error| self.corrupt(column, error))
    }

    pub(crate) fn time(&self, column: &'static str) -> Result<Timestamp, StoreError> {
        self.get(column)
    }

    pub(crate) fn optional_time(&self, column: &'static str) -> Result<Option<Timestamp>, StoreError> {
        self.get(column)
    }

    fn corrupt(&self, column: &'static str, error: impl Into<Box<dyn StdError + Send + Sync>>) -> StoreError {
        let id: Option<Uuid> = self.row.try_get("id").ok();
        let id = id.map_or_else(|| "(no id)".to_owned(), |id| id.to_string());
        let message = format!(
            "row {id} of {} cannot be read: column {column} holds no valid value",
            self.table
        );
        StoreError::new(StoreErrorKind::Corrupt, "read", message).with_source(error)
    }
}

/// Text for a column. Postgres keeps no NUL characters; the sign for a character that cannot be shown stands for them.
pub(crate) fn text(text: &str) -> Cow<'_, str> {
    if text.contains('\0') {
        Cow::Owned(text.replace('\0', "\u{FFFD}"))
    } else {
        Cow::Borrowed(text)
    }
}

/// A value as JSON text for a column of type JSON, which keeps it to the letter.
pub(crate) fn to_json(value: &impl serde::Serialize, what: impl Display) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| {
        StoreError::new(
            StoreErrorKind::Usage,
            "write",
            format!("{what} cannot be written as JSON"),
        )
        .with_source(error)
    })
}

/// A value as JSON text for a column of type JSONB, which keeps no NUL characters either.
pub(crate) fn to_jsonb(value: &impl serde::Serialize, what: impl Display) -> Result<String, StoreError> {
    to_json(value, what).map(without_nul)
}

fn without_nul(json: String) -> String {
    const NUL: &str = "\\u0000";
    if !json.contains(NUL) {
        return json;
    }
    let mut clean = String::with_capacity(json.len());
    let mut rest = json.as_str();
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        clean.push_str(before);
        // An escape is a backslash and at least one more character, both of one byte.
        let length = if escape.starts_with(NUL) {
            clean.push_str("\\ufffd");
            NUL.len()
        } else {
            clean.push_str(&escape[..2]);
            2
        };
        rest = &escape[length..];
    }
    clean.push_str(rest);
    clean
}

/// One column of many rows, to be bound as an array.
pub(crate) fn each<T, V>(rows: &[T], value: impl FnMut(&T) -> V) -> Vec<V> {
    rows.iter().map(value).collect()
}

/// One column of many rows that may not be writable.
pub(crate) fn try_each<T, V>(rows: &[T], value: impl FnMut(&T) -> Result<V, StoreError>) -> Result<Vec<V>, StoreError> {
    rows.iter().map(value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nul_characters_are_replaced_and_nothing_else_is() {
        assert_eq!(text("a\0b"), "a\u{FFFD}b");
        for (value, kept) in [
            ("a\0b", "a\u{FFFD}b"),
            ("\\u0000 \\\0", "\\u0000 \\\u{FFFD}"),
            ("\"\u{1}\\", "\"\u{1}\\"),
        ] {
            let json = to_jsonb(&value, "a text").unwrap();
            assert_eq!(serde_json::from_str::<String>(&json).unwrap(), kept);
        }
    }
}
