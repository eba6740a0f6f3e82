//! `magnus demo --ai`: a task of the hub is broken down, accepted, and carried to both tools.

use std::sync::Arc;

use magnus_core::hub::NewTask;
use magnus_core::model::{BreakdownState, ConnectionId};
use magnus_core::orchestrator::{BreakdownOptions, Breakdowns};
use magnus_core::secret::EnvSecretStore;
use magnus_llm::{LanguageModel, ModelSettings, Provider};
use magnus_testkit::model::FakeModel;
use serde::Serialize;

use super::world::{World, Writes, served};
use super::{Story, summary};
use crate::ai::with_known_tools;
use crate::command::breakdown::proposal;
use crate::failure::Failure;

const TITLE: &str = "Move the office";

/// How it went.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct BrokenDown {
    fake_model: bool,
    proposed: usize,
    children_in_openproject: usize,
    children_in_leantime: usize,
    writes_after_accepting_twice: usize,
}

impl BrokenDown {
    pub(super) const fn is_kept(self) -> bool {
        self.proposed > 0
            && self.children_in_openproject == self.proposed
            && self.children_in_leantime == self.proposed
            && self.writes_after_accepting_twice == 0
    }
}

pub(super) async fn tell(world: &World, story: &Story) -> Result<BrokenDown, Failure> {
    let fake = FakeModel::new();
    let server = served(fake.serve().await)?;
    story.tell(&format!(
        "\na task is broken down; a fake model at {} stands in for the language model: what it says is made up",
        server.url
    ));
    let settings = ModelSettings::new(Provider::Compatible, "fake").base_url(format!("{}/v1", server.url));
    let model = LanguageModel::new(settings, Arc::new(EnvSecretStore::new()), ConnectionId::generate())?;
    let options = with_known_tools(BreakdownOptions::new());
    let store = Arc::clone(world.hub.store());
    let breakdowns = Breakdowns::new(store, Arc::clone(&world.jobs), Arc::new(model), options);

    let project = world.shared_project().await?;
    let task = world.hub.add_task(NewTask::new(project, TITLE)).await?;
    let job = breakdowns.start(task.id).await?.wait().await?;
    let Some(breakdown) = job
        .breakdown
        .as_ref()
        .filter(|_| job.state == BreakdownState::Completed)
    else {
        let why = job.error_message.unwrap_or_default();
        return Err(Failure::unreachable(format!("the fake model gave no breakdown: {why}")));
    };
    for line in proposal(&task, breakdown) {
        story.tell(&format!("  {line}"));
    }
    let accepted = breakdowns.accept(job.id, None).await?;
    story.tell(&format!(
        "accepted: {} subtasks in the hub; and a sync",
        accepted.created
    ));
    let synced = world.sync().await?;
    story.tell(&summary(world, &synced));
    let (openproject, leantime) = world.children_of(TITLE);
    story.tell(&format!(
        "children of {TITLE:?}: {openproject} in OpenProject, {leantime} in Leantime"
    ));

    breakdowns.accept(job.id, None).await?;
    let before = world.start_counting();
    world.sync().await?;
    let Writes {
        openproject: to_openproject,
        leantime: to_leantime,
        hub,
    } = world.writes_since(before);
    let writes = to_openproject + to_leantime + usize::try_from(hub).unwrap_or(usize::MAX);
    story.tell(&format!("accepted again, synced again: {writes} writes anywhere"));
    breakdowns.shutdown().await;
    Ok(BrokenDown {
        fake_model: true,
        proposed: breakdown.subtasks.len(),
        children_in_openproject: openproject,
        children_in_leantime: leantime,
        writes_after_accepting_twice: writes,
    })
}
