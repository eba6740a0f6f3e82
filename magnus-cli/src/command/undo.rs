//! `magnus undo`: takes back what a run did.

use std::sync::Arc;

use clap::Args;
use magnus_core::engine::{RunContext, SyncEngine};
use magnus_core::model::RunRequest;
use serde_json::json;

use super::{plan, sync};
use crate::answer::Answer;
use crate::failure::Failure;
use crate::house::House;
use crate::names;

#[derive(Debug, Args)]
#[command(after_help = "\
Fields that still hold what the run wrote get back what stood there before, on both sides; what the run made is removed.
What people changed since is left alone and listed. What a run deleted in a tool cannot be brought back.")]
pub(crate) struct Arguments {
    /// The run, by the id that `magnus status` shows
    run: String,
    /// Only show what would be done; writes nothing anywhere
    #[arg(long)]
    dry_run: bool,
}

pub(crate) async fn run(house: &House, arguments: Arguments, json: bool) -> Result<Answer, Failure> {
    let run = names::run(house.store.as_ref(), &arguments.run).await?;
    let connections = house.store.connections().await?;
    let settings = connections.iter().find(|settings| settings.id == run.connection_id);
    let settings = settings.ok_or_else(|| Failure::usage("the connection of this run is gone"))?;
    let request = RunRequest::undoing(settings.id, run.id);
    if !arguments.dry_run {
        return sync::carry_out(house, &connections, Some((settings, request)), None, json).await;
    }
    let engine: Arc<dyn SyncEngine> = Arc::new(house.engine()?);
    let planned = engine
        .plan(request, RunContext::detached())
        .await
        .map_err(|error| Failure::from(error).about(&settings.name))?;
    let text = plan::render(&settings.name, &planned);
    Answer::new(
        text,
        &json!({ "connection": settings.name, "run_id": run.id, "plan": planned }),
    )
}
