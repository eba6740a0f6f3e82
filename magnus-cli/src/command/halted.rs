//! `magnus confirm`, `magnus discard` and `magnus plan show`: what becomes of a run that a guard halted.

use clap::Args;
use magnus_core::model::Run;
use magnus_core::reconcile::Plan;
use serde_json::json;

use super::{plan, sync};
use crate::answer::Answer;
use crate::failure::Failure;
use crate::house::House;
use crate::names;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The halted run, by the id that `magnus status` shows
    run: String,
}

/// Carries out the plan that was looked at; what changed since then is planned and guarded anew.
pub(crate) async fn confirm(house: &House, arguments: Arguments, json: bool) -> Result<Answer, Failure> {
    let run = names::halted_run(house.store.as_ref(), &arguments.run).await?;
    let connections = house.store.connections().await?;
    let settings = connections.iter().find(|settings| settings.id == run.connection_id);
    let settings = settings.ok_or_else(|| Failure::usage("the connection of this run is gone"))?;
    sync::carry_out(house, &connections, Some((settings, run.confirmation())), None, json).await
}

/// Drops the plan; nothing of it was carried out.
pub(crate) async fn discard(house: &House, arguments: Arguments) -> Result<Answer, Failure> {
    let run = names::halted_run(house.store.as_ref(), &arguments.run).await?;
    house.store.request_cancel(run.id).await?;
    let text = format!(
        "the plan of run {} is dropped; nothing of it was carried out",
        names::short(run.id)
    );
    Answer::new(text, &json!({ "discarded": run.id }))
}

/// Shows the plan.
pub(crate) async fn show(house: &House, wanted: &str) -> Result<Answer, Failure> {
    let run = names::halted_run(house.store.as_ref(), wanted).await?;
    let plan = plan_of(&run)?;
    let connections = house.store.connections().await?;
    let name = crate::run_table::connection_name(&connections, &run);
    let text = format!(
        "{}\nrun {} waits: `magnus confirm {}` carries this out, `magnus discard {}` drops it",
        plan::render(&name, &plan),
        names::short(run.id),
        names::short(run.id),
        names::short(run.id)
    );
    Answer::new(text, &json!({ "connection": name, "run_id": run.id, "plan": plan }))
}

fn plan_of(run: &Run) -> Result<Plan, Failure> {
    let plan = run
        .report
        .plan
        .clone()
        .and_then(|plan| serde_json::from_value(plan).ok());
    plan.ok_or_else(|| Failure::usage("the plan of this run cannot be read any more; sync again to make a new one"))
}
