//! The exchange through the database keeps every promise of an exchange.

use std::sync::Arc;

use magnus_postgres::{PostgresExchange, PostgresStore};
use magnus_testkit::conformance::exchange::Ends;
use magnus_testkit::postgres::Database;

async fn over_the_database() -> (Ends, Database) {
    let database = Database::new().await;
    // Two processes have a store each.
    let one = PostgresStore::open(database.url()).await.expect("a new database");
    let other = PostgresStore::open(database.url()).await.expect("a new database");
    let ends: Ends = [
        Arc::new(PostgresExchange::new(&one)),
        Arc::new(PostgresExchange::new(&other)),
    ];
    (ends, database)
}

magnus_testkit::exchange_tests!(over_the_database);
