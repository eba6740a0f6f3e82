//! `magnus breakdown`: has a language model break a task down.

use std::sync::Arc;

use clap::Args;
use magnus_core::hub::Accepted;
use magnus_core::model::{Breakdown, BreakdownJob, BreakdownState, Task};
use magnus_core::orchestrator::Breakdowns;
use magnus_core::store::BreakdownQuery;
use serde_json::json;

use crate::ai::AiOptions;
use crate::answer::Answer;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::house::House;
use crate::names;
use crate::run_table::quoted;
use crate::signals::asked_to_stop;

#[derive(Debug, Args)]
#[command(after_help = "\
A model proposes, people decide: nothing becomes a subtask before it is accepted. Without --wait the task is queued, and
`magnus serve` breaks it down; with --wait this command does. The proposal is kept on the task.")]
pub(crate) struct Arguments {
    /// The task, by id or by a title that only one task has
    task: String,
    /// Ask the model here, and show the proposal
    #[arg(long)]
    wait: bool,
    /// Make subtasks of the proposal that stands on the task, or else of a new one; the next sync carries them to the tools
    #[arg(long)]
    accept: bool,
    /// Accept only the subtasks at these places, such as 0,2
    #[arg(long, value_name = "PLACES", value_delimiter = ',', requires = "accept")]
    only: Option<Vec<usize>>,
    #[command(flatten)]
    ai: AiOptions,
}

pub(crate) async fn run(house: &House, arguments: Arguments) -> Result<Answer, Failure> {
    let task = names::task(house.store.as_ref(), &arguments.task).await?;
    if task.is_deleted() {
        return Err(Failure::usage(format!("task {} was deleted", quoted(&task.title))));
    }
    let jobs = house.breakdowns();
    let standing = jobs.breakdowns(BreakdownQuery::of_task(task.id)).await?;
    let standing = standing
        .into_iter()
        .find(|job| job.breakdown.is_some() && job.discarded_at.is_none());
    match standing.filter(|_| arguments.accept && !arguments.wait) {
        Some(job) => accept_standing(house, &task, job, arguments.only).await,
        None if arguments.wait || arguments.accept => here(house, &task, &arguments).await,
        None => {
            let queued = jobs.enqueue_breakdown(task.id).await?;
            let how = if queued.joined {
                "is queued already"
            } else {
                "is queued"
            };
            let text = format!(
                "the breakdown of {} {how} ({}); `magnus serve` carries it out, or this command with --wait",
                quoted(&task.title),
                names::short(queued.job.id)
            );
            Answer::new(text, &data(&queued.job, None))
        }
    }
}

/// Makes subtasks of a proposal that is there; no model is needed for that.
async fn accept_standing(
    house: &House,
    task: &Task,
    job: BreakdownJob,
    only: Option<Vec<usize>>,
) -> Result<Answer, Failure> {
    let flat = crate::ai::with_known_tools(magnus_core::orchestrator::BreakdownOptions::new()).flat_tools;
    let accepted = house.hub.accept_breakdown(&job, only, &flat).await?;
    shown(task, &job, Some(&accepted))
}

/// Asks the model in this process.
async fn here(house: &House, task: &Task, arguments: &Arguments) -> Result<Answer, Failure> {
    let model = arguments.ai.needed_model()?;
    let breakdowns = Breakdowns::new(
        Arc::clone(&house.store),
        house.breakdowns(),
        model,
        arguments.ai.options()?,
    );
    let answer = asked(&breakdowns, task, arguments).await;
    breakdowns.shutdown().await;
    answer
}

async fn asked(breakdowns: &Breakdowns, task: &Task, arguments: &Arguments) -> Result<Answer, Failure> {
    let handle = breakdowns.start(task.id).await?;
    let job = tokio::select! {
        job = handle.wait() => job?,
        () = asked_to_stop() => {
            breakdowns.cancel(handle.id()).await?;
            return Err(Failure::stopped());
        }
    };
    if job.state != BreakdownState::Completed {
        let why = job
            .error_message
            .clone()
            .unwrap_or_else(|| format!("it is {}", job.state));
        let text = format!("{} was not broken down: {why}", quoted(&task.title));
        return Ok(Answer::new(text, &data(&job, None))?.exit(Exit::RunNotCompleted));
    }
    let accepted = if arguments.accept {
        Some(breakdowns.accept(job.id, arguments.only.clone()).await?)
    } else {
        None
    };
    shown(task, &job, accepted.as_ref())
}

fn shown(task: &Task, job: &BreakdownJob, accepted: Option<&Accepted>) -> Result<Answer, Failure> {
    let mut lines = Vec::new();
    if let Some(breakdown) = &job.breakdown {
        lines = proposal(task, breakdown);
    }
    match accepted {
        Some(accepted) => lines.push(format!(
            "{} subtasks made; the next sync carries them to the tools",
            accepted.created
        )),
        None => lines.push(format!("accept it with: magnus breakdown {} --accept", task.id)),
    }
    Answer::new(lines.join("\n"), &data(job, accepted))
}

/// The proposal in words.
pub(crate) fn proposal(task: &Task, breakdown: &Breakdown) -> Vec<String> {
    let from = &breakdown.provenance;
    let mut lines = vec![format!(
        "{} broken down by {} ({}): {} h, {} points",
        quoted(&task.title),
        from.model,
        from.provider,
        breakdown.total_estimate,
        breakdown.suggested_sprint_points
    )];
    for (place, subtask) in breakdown.subtasks.iter().enumerate() {
        let after: Vec<String> = subtask.depends_on.iter().map(usize::to_string).collect();
        let after = if after.is_empty() {
            String::new()
        } else {
            format!(", after {}", after.join(" and "))
        };
        lines.push(format!(
            "  {place}. {} ({} h, {}{after})",
            subtask.title, subtask.estimated_hours, subtask.priority
        ));
    }
    if !breakdown.notes.is_empty() {
        lines.push(format!("  {}", breakdown.notes));
    }
    lines
}

fn data(job: &BreakdownJob, accepted: Option<&Accepted>) -> serde_json::Value {
    let made = accepted.map(|accepted| accepted.subtasks.values().collect::<Vec<&Task>>());
    json!({
        "job_id": job.id,
        "task_id": job.task_id,
        "status": job.state,
        "breakdown": job.breakdown,
        "error_message": job.error_message,
        "created": accepted.map(|accepted| accepted.created),
        "subtasks": made,
    })
}
