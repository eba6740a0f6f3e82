//! The pace book that processes share keeps every promise of one.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::Arc;
use std::time::Duration;

use magnus_core::layer::{Heard, PaceBook, PacePolicy};
use magnus_postgres::{PostgresOptions, PostgresPaceBook, PostgresStore};
use magnus_testkit::postgres::Database;

async fn store(database: &Database) -> PostgresStore {
    let options = PostgresOptions::new().connections(4);
    PostgresStore::open_with(database.url(), options).await.unwrap()
}

async fn postgres() -> (Arc<dyn PaceBook>, Database) {
    let database = Database::new().await;
    let book = PostgresPaceBook::new(&store(&database).await);
    (Arc::new(book), database)
}

magnus_testkit::pace_book_tests!(postgres);

#[tokio::test]
async fn what_one_process_hears_holds_for_all_on_the_hub() {
    let database = Database::new().await;
    let one = PostgresPaceBook::new(&store(&database).await);
    let other = PostgresPaceBook::new(&store(&database).await);
    let policy = PacePolicy::new();
    let complaint = Heard {
        complaints: 1,
        retry_after: Some(Duration::from_secs(50)),
        ..Heard::default()
    };
    let first = one.turns("tool.example", complaint, 1, policy).await.unwrap();
    let second = other.turns("tool.example", Heard::default(), 1, policy).await.unwrap();
    assert_eq!((first.count, second.count), (1, 1));
    assert!(second.wait > Duration::from_secs(25), "{second:?}");
    let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM magnus_host_pace")
        .fetch_one(&mut database.connect().await)
        .await
        .unwrap();
    assert_eq!(rows, 1);
}
