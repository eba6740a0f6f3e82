//! `magnus migrate` on a server: an empty database, and one of the predecessor.

mod support;

use sqlx::{AssertSqlSafe, Executor};
use support::Magnus;

const PREDECESSOR: &str = include_str!("../../magnus-postgres/tests/fixtures/new_layout.sql");

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_database_is_made_ready_once() {
    let magnus = Magnus::on_postgres().await;
    let said = magnus.run(&["migrate", "--check"]).ends(0);
    assert!(said.out.contains("would be made"), "{}", said.out);
    magnus.run(&["migrate"]).ends(0);
    let said = magnus.run(&["migrate", "--check"]).ends(0);
    assert!(said.out.contains("nothing to change"), "{}", said.out);
    magnus.run(&["connections"]).ends(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_the_predecessor_is_refused_then_checked_then_upgraded() {
    let magnus = Magnus::on_postgres().await;
    let mut raw = magnus.postgres().connect().await;
    raw.execute(AssertSqlSafe(PREDECESSOR.to_owned()))
        .await
        .expect("the fixture");
    magnus.run(&["tasks"]).complains(2, &["magnus migrate --check"]);
    let check = magnus.run(&["migrate", "--check"]).ends(0);
    assert!(
        check.out.contains("would be changed") && check.out.contains("API key sealed"),
        "{}",
        check.out
    );
    magnus.run(&["tasks"]).complains(2, &["magnus migrate"]);

    let report = magnus.run(&["migrate", "--json"]).ends(0).json();
    assert_eq!(report["predecessor"], true);
    let said = magnus.run(&["migrate"]).ends(0);
    assert!(said.out.contains("nothing to change"), "{}", said.out);
    assert_eq!(magnus.run(&["tasks", "--json"]).ends(0).json()["total"], 1200);
    let connections = magnus.run(&["connections"]).ends(0);
    assert!(
        connections.out.contains("Board") && !connections.out.contains("canary"),
        "{}",
        connections.out
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_sqlite_hub_needs_no_migration() {
    let magnus = Magnus::new();
    magnus.run(&["migrate", "--check"]).complains(2, &["SQLite"]);
    magnus.run(&["migrate"]).ends(0);
}
