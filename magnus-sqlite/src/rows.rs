//! Reading many rows.

use futures::TryStreamExt;
use futures::stream::BoxStream;
use magnus_core::store::StoreError;
use sqlx::sqlite::SqliteRow;

use crate::error::failed;

/// Converts rows as they come. A row of the driver is several times as large as what is made of it: were all fetched
/// first, reading the links of a large hub would take most of the memory that the process ever needs.
pub(crate) async fn each<T>(
    mut rows: BoxStream<'_, Result<SqliteRow, sqlx::Error>>,
    operation: &'static str,
    convert: impl Fn(&SqliteRow) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let mut all = Vec::new();
    while let Some(row) = rows.try_next().await.map_err(failed(operation))? {
        all.push(convert(&row)?);
    }
    Ok(all)
}
