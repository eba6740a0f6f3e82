//! `magnus worker`: carries out runs that anybody queued on a shared hub, on any number of machines.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use magnus_core::engine::SyncEngine;
use magnus_core::orchestrator::Orchestrator;
use magnus_core::queue::RunQueue;
use magnus_postgres::{GraphileQueue, PostgresExchange};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::answer::Answer;
use crate::failure::Failure;
use crate::house::House;
use crate::plain;
use crate::signals::{asked_to_stop, lease_ttl, log_kept};

/// How long runs may take to stop when the worker is asked to.
const GRACE: Duration = Duration::from_secs(20);

/// Connections to the database besides those that runs use: for leases, the queue, and looking after both.
const SPARE_CONNECTIONS: u32 = 8;

#[derive(Debug, Args)]
#[command(after_help = "\
The hub must be on Postgres. Start as many workers as you like, on as many machines: each connection is run by one at a
time. Asked to stop (SIGTERM or Ctrl-C), a worker ends what it has begun between two operations and hands the rest over.
All workers need the same master key.")]
pub(crate) struct Arguments {
    /// How many connections to sync at once
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=500))]
    concurrency: u32,
    /// How many of them on one host at once
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=500))]
    per_host: u32,
}

pub(crate) async fn run(database: Option<&str>, arguments: Arguments) -> Result<Answer, Failure> {
    let house = House::open_with(database, arguments.concurrency.saturating_add(SPARE_CONNECTIONS)).await?;
    let Some(store) = house.postgres() else {
        return Err(Failure::usage(
            "a hub in a file is synced by the process that opened it; workers need a hub on Postgres",
        ));
    };
    let log_kept = log_kept()?;
    let at_once = usize::try_from(arguments.concurrency).unwrap_or(usize::MAX);
    let per_host = usize::try_from(arguments.per_host).unwrap_or(usize::MAX);
    let queue: Arc<dyn RunQueue> = Arc::new(GraphileQueue::open(store, at_once).await?);
    let engine: Arc<dyn SyncEngine> = Arc::new(house.engine()?);
    let orchestrator = Orchestrator::builder(Arc::clone(&house.store), engine)
        .lease_ttl(lease_ttl()?)
        .concurrency(at_once)
        .concurrency_per_host(per_host)
        .queue(queue)
        .exchange(Arc::new(PostgresExchange::new(store)))
        .build();
    super::keep_house(&orchestrator, &house.service(), log_kept);
    let stop = CancellationToken::new();
    let asked = stop.clone();
    tokio::spawn(async move {
        asked_to_stop().await;
        plain::to_stderr("handing over...");
        asked.cancel();
    });
    plain::to_stderr("working; Ctrl-C or SIGTERM hands over");
    orchestrator.work(stop, GRACE).await?;
    house.close().await;
    Answer::new("handed over".to_owned(), &json!({ "stopped": true }))
}
