//! `magnus plan`: what a sync would do.

use clap::Args;
use magnus_core::engine::{RunContext, SyncEngine};
use magnus_core::model::{Direction, RunRequest, Side};
use magnus_core::reconcile::{FieldChange, Plan, PlannedAction, PlannedItem, PlannedMapping};
use serde_json::json;

use crate::answer::Answer;
use crate::arguments;
use crate::failure::Failure;
use crate::house::House;
use crate::names;
use crate::run_table::shown;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The connection, by name or id; without it, every enabled one. `show` shows the plan of a halted run
    connection: Option<String>,
    /// After `show`: the halted run, by the id that `magnus status` shows
    run: Option<String>,
    /// Which way: pull, push or bidirectional; without it, the connection's own
    #[arg(long, value_parser = arguments::direction)]
    direction: Option<Direction>,
}

pub(crate) async fn run(house: &House, arguments: Arguments) -> Result<Answer, Failure> {
    match (arguments.connection.as_deref(), &arguments.run) {
        (Some("show"), Some(run)) => return super::halted::show(house, run).await,
        (_, Some(extra)) => return Err(Failure::usage(format!("{extra:?} is one word too many"))),
        (_, None) => {}
    }
    let wanted = match &arguments.connection {
        Some(name) => vec![names::connection(house.store.as_ref(), name).await?],
        None => {
            let all = house.store.connections().await?;
            all.into_iter().filter(|settings| settings.enabled).collect()
        }
    };
    if wanted.is_empty() {
        return Err(Failure::usage(
            "there is no enabled connection; add one with `magnus connect`",
        ));
    }
    let engine = house.engine()?;
    let (mut text, mut rows) = (Vec::new(), Vec::new());
    for settings in wanted {
        let request = RunRequest::new(settings.id).direction(arguments.direction);
        engine
            .validate(request.clone())
            .await
            .map_err(|error| Failure::from(error).about(&settings.name))?;
        let plan = engine
            .plan(request, RunContext::detached())
            .await
            .map_err(|error| Failure::from(error).about(&settings.name))?;
        text.push(render(&settings.name, &plan));
        rows.push(json!({ "connection": settings.name, "plan": plan }));
    }
    Answer::new(text.join("\n\n"), &rows)
}

pub(super) fn render(connection: &str, plan: &Plan) -> String {
    let mut lines = vec![format!(
        "{connection}: this is what a sync would do; nothing was written"
    )];
    for mapping in &plan.mappings {
        lines.extend(render_mapping(mapping));
    }
    let tasks = plan.counts.tasks;
    lines.push(format!(
        "{} to create, {} to update, {} to delete, {} unchanged, {} in conflict, {} skipped",
        tasks.created, tasks.updated, tasks.deleted, tasks.unchanged, tasks.conflicted, tasks.skipped
    ));
    if plan.notifying_writes > 0 {
        lines.push(format!("{} writes would notify people", plan.notifying_writes));
    }
    if let Some(seconds) = plan.foreseen_seconds.filter(|seconds| *seconds >= 60) {
        lines.push(format!(
            "the tool limits how fast it is written to: about {} minutes",
            seconds.div_ceil(60)
        ));
    }
    lines.extend(plan.halts.iter().map(|halt| format!("a guard would halt it: {halt}")));
    lines.join("\n")
}

fn render_mapping(mapping: &PlannedMapping) -> Vec<String> {
    let new = if mapping.mapping_id.is_none() {
        " (new in the hub)"
    } else {
        ""
    };
    let mut lines = vec![format!("  {}{new}: {} unchanged", mapping.name, mapping.unchanged)];
    lines.extend(mapping.problem.iter().map(|problem| format!("    not read: {problem}")));
    for item in &mapping.items {
        lines.push(render_item(item));
        lines.extend(item.changes.iter().map(render_change));
    }
    lines
}

fn render_item(item: &PlannedItem) -> String {
    let action = match item.action {
        PlannedAction::CreateInHub => "create in hub",
        PlannedAction::CreateInTool => "create in tool",
        PlannedAction::Link => "link",
        PlannedAction::Update => "update",
        PlannedAction::DeleteInHub => "delete in hub",
        PlannedAction::DeleteInTool => "delete in tool",
        PlannedAction::Unlink => "unlink",
        PlannedAction::Skip => "skip",
    };
    let reason = item
        .reason
        .as_ref()
        .map(|reason| format!(" ({reason})"))
        .unwrap_or_default();
    format!("    {action}: {}{reason}", shown(&item.title))
}

fn render_change(change: &FieldChange) -> String {
    let side = match change.side {
        Some(Side::Hub) => "hub",
        Some(Side::External) => "tool",
        None => "held",
    };
    let note = change
        .note
        .as_ref()
        .map(|note| format!(" [{note}]"))
        .unwrap_or_default();
    format!(
        "      {} {}: {} -> {}{note}",
        side,
        change.field,
        shown(&change.before),
        shown(&change.after)
    )
}
