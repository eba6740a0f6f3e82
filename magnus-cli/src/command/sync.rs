//! `magnus sync`: runs one connection, or all at once, and waits for the end.

use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use magnus_core::engine::SyncEngine;
use magnus_core::model::{ConnectionId, ConnectionSettings, Direction, Run, RunRequest, RunState, Trigger};
use magnus_core::orchestrator::Orchestrator;
use serde_json::json;

use crate::answer::Answer;
use crate::arguments;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::follow::Follower;
use crate::house::House;
use crate::signals::{asked_to_stop, lease_ttl};
use crate::{names, plain, run_table};

/// How long a started write may take to end after Ctrl-C.
const GRACE: Duration = Duration::from_secs(20);

#[derive(Debug, Args)]
#[command(after_help = "\
A sync runs in this process and ends with it, so the program stays until it is done, with or without --wait.
Ctrl-C stops between two operations; what is left waits in the hub, and goes on with the next sync or in a service.")]
pub(crate) struct Arguments {
    /// The connection, by name or id; without it, all enabled ones
    #[arg(conflicts_with = "all")]
    connection: Option<String>,
    /// Sync every enabled connection, all at the same time, until nothing moves any more
    #[arg(long)]
    all: bool,
    /// Which way: pull, push or bidirectional; without it, each connection's own
    #[arg(long, value_parser = arguments::direction)]
    direction: Option<Direction>,
    /// Wait for the end; this is always so
    #[arg(long)]
    wait: bool,
}

/// What came of it.
struct Done {
    runs: Vec<Run>,
    refused: Vec<String>,
    quiet: bool,
}

pub(crate) async fn run(house: &House, arguments: Arguments, json: bool) -> Result<Answer, Failure> {
    let connections = house.store.connections().await?;
    let target = match &arguments.connection {
        Some(name) => Some(names::connection(house.store.as_ref(), name).await?),
        None => None,
    };
    if target.is_none() && !connections.iter().any(|settings| settings.enabled) {
        return Err(Failure::usage(
            "there is no enabled connection; add one with `magnus connect`",
        ));
    }
    let target = target.as_ref().map(|settings| {
        let request = RunRequest::new(settings.id).direction(arguments.direction);
        (settings, request)
    });
    carry_out(house, &connections, target, arguments.direction, json).await
}

/// Runs one connection or all, follows until the end, and answers what came of it.
pub(super) async fn carry_out(
    house: &House,
    connections: &[ConnectionSettings],
    target: Option<(&ConnectionSettings, RunRequest)>,
    direction: Option<Direction>,
    json: bool,
) -> Result<Answer, Failure> {
    let engine: Arc<dyn SyncEngine> = Arc::new(house.engine()?);
    let orchestrator = Orchestrator::builder(Arc::clone(&house.store), engine)
        .lease_ttl(lease_ttl()?)
        .build();
    let follower = Follower::start(&orchestrator, connections, json);
    let work = async {
        match target {
            Some((settings, request)) => one(house, &orchestrator, settings, request).await,
            None => all(&orchestrator, connections, direction).await,
        }
    };
    let done = tokio::select! {
        done = work => done,
        () = asked_to_stop() => {
            plain::to_stderr("stopping between two operations...");
            orchestrator.shutdown(GRACE).await;
            return Err(Failure::stopped());
        }
    };
    orchestrator.shutdown(GRACE).await;
    follower.finish().await;
    answer(connections, done?)
}

/// Runs one connection, and what follows from it on others.
async fn one(
    house: &House,
    orchestrator: &Orchestrator,
    settings: &ConnectionSettings,
    request: RunRequest,
) -> Result<Done, Failure> {
    let began = chrono::Utc::now();
    let handle = orchestrator
        .start(request)
        .await
        .map_err(|error| Failure::from(error).about(&settings.name))?;
    if handle.joined() {
        plain::to_stderr(&format!("{}: joined the run that was queued already", settings.name));
    }
    let asked = handle
        .wait()
        .await
        .map_err(|error| Failure::from(error).about(&settings.name))?;
    orchestrator.idle().await;
    let mut runs = vec![asked];
    let recent = house.store.recent_runs(100).await?;
    let followed = recent
        .into_iter()
        .filter(|run| run.queued_at >= began && run.request.trigger == Trigger::Ripple && run.state.is_final());
    runs.extend(followed);
    Ok(Done {
        runs,
        refused: Vec::new(),
        quiet: true,
    })
}

async fn all(
    orchestrator: &Orchestrator,
    connections: &[ConnectionSettings],
    direction: Option<Direction>,
) -> Result<Done, Failure> {
    let all = orchestrator.sync_all(direction).await?;
    let name = |id: ConnectionId| {
        connections
            .iter()
            .find(|settings| settings.id == id)
            .map(|found| found.name.clone())
    };
    let refused = all
        .refused
        .iter()
        .map(|(id, error)| format!("{}: refused: {error}", name(*id).unwrap_or_else(|| id.to_string())))
        .collect();
    Ok(Done {
        runs: all.runs,
        refused,
        quiet: all.quiet,
    })
}

fn answer(connections: &[ConnectionSettings], done: Done) -> Result<Answer, Failure> {
    let mut lines = vec![run_table::runs(connections, &done.runs)];
    lines.extend(run_table::remarks(connections, &done.runs));
    lines.extend(done.refused.iter().cloned());
    let completed = done.runs.iter().all(|run| run.state == RunState::Completed) && done.refused.is_empty();
    if completed && !done.quiet {
        lines.push("something still moves after five rounds; sync again, and see `magnus conflicts`".to_owned());
    }
    let conflicted: u64 = done.runs.iter().map(|run| run.report.counts.tasks.conflicted).sum();
    if conflicted > 0 {
        lines.push("conflicts wait for a person: see `magnus conflicts`".to_owned());
    }
    let data = json!({ "runs": done.runs, "refused": done.refused, "quiet": done.quiet });
    let answer = Answer::new(lines.join("\n"), &data)?;
    Ok(if completed && done.quiet {
        answer
    } else {
        answer.exit(Exit::RunNotCompleted)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_still_moves_after_all_rounds_is_no_success_and_is_said() {
        let ends = |quiet, words: &str| {
            let done = Done {
                runs: Vec::new(),
                refused: Vec::new(),
                quiet,
            };
            let answer = answer(&[], done).unwrap();
            assert!(answer.text().contains(words), "{}", answer.text());
            answer.print(true)
        };
        assert_eq!(ends(true, ""), Exit::Done);
        assert_eq!(ends(false, "still moves after five rounds"), Exit::RunNotCompleted);
    }
}
