//! Reading rows that somebody may have edited by hand: what does not parse is an error that names row and column.

use std::error::Error as StdError;
use std::fmt::Display;
use std::str::FromStr;

use magnus_core::model::Timestamp;
use magnus_core::store::{StoreError, StoreErrorKind};
use serde::de::DeserializeOwned;
use sqlx::sqlite::SqliteRow;
use sqlx::{Decode, Row, Sqlite, Type};

/// One row of a table, read column by column.
pub(crate) struct Columns<'r> {
    table: &'static str,
    row: &'r SqliteRow,
}

impl<'r> Columns<'r> {
    pub(crate) fn new(table: &'static str, row: &'r SqliteRow) -> Self {
        Self { table, row }
    }

    pub(crate) fn get<T>(&self, column: &'static str) -> Result<T, StoreError>
    where
        T: Decode<'r, Sqlite> + Type<Sqlite>,
    {
        self.row.try_get(column).map_err(|error| self.corrupt(column, error))
    }

    pub(crate) fn text(&self, column: &'static str) -> Result<String, StoreError> {
        self.get(column)
    }

    pub(crate) fn flag(&self, column: &'static str) -> Result<bool, StoreError> {
        self.get::<i64>(column).map(|number| number != 0)
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

    pub(crate) fn number<T>(&self, column: &'static str) -> Result<Option<T>, StoreError>
    where
        T: TryFrom<i64, Error: Into<Box<dyn StdError + Send + Sync>>>,
    {
        let number = self.get::<Option<i64>>(column)?;
        number
            .map(T::try_from)
            .transpose()
            .map_err(|error| self.corrupt(column, error))
    }

    pub(crate) fn json<T: DeserializeOwned>(&self, column: &'static str) -> Result<T, StoreError> {
        serde_json::from_str(self.get(column)?).map_err(|error| self.corrupt(column, error))
    }

    pub(crate) fn optional_json<T: DeserializeOwned>(&self, column: &'static str) -> Result<Option<T>, StoreError> {
        let text = self.get::<Option<&str>>(column)?;
        text.map(serde_json::from_str)
            .transpose()
            .map_err(|error| self.corrupt(column, error))
    }

    pub(crate) fn time(&self, column: &'static str) -> Result<Timestamp, StoreError> {
        self.parse(column)
    }

    pub(crate) fn optional_time(&self, column: &'static str) -> Result<Option<Timestamp>, StoreError> {
        self.optional(column)
    }

    fn corrupt(&self, column: &'static str, error: impl Into<Box<dyn StdError + Send + Sync>>) -> StoreError {
        let id: Option<String> = self.row.try_get("id").ok();
        let id = id.as_deref().unwrap_or("(no id)");
        let message = format!(
            "row {id} of {} cannot be read: column {column} holds no valid value",
            self.table
        );
        StoreError::new(StoreErrorKind::Corrupt, "read", message).with_source(error)
    }
}

/// A value as JSON text, for a column.
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

/// Ids as a JSON array: one parameter for a list of any length.
pub(crate) fn id_list<T: Display>(ids: impl IntoIterator<Item = T>) -> String {
    let ids: Vec<serde_json::Value> = ids.into_iter().map(|id| id.to_string().into()).collect();
    serde_json::Value::Array(ids).to_string()
}
