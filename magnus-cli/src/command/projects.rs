//! `magnus projects`: those of a tool, or the hub's own.

use std::collections::HashMap;

use clap::Args;
use magnus_core::connection::ConnectionExt;
use magnus_core::model::{ExternalId, Mapping, MappingState, Project, ProjectId, RemoteProject};
use serde_json::json;

use crate::answer::Answer;
use crate::failure::Failure;
use crate::house::House;
use crate::names;
use crate::run_table::{table, text};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The connection, by name or id; without it, the hub's own projects are listed
    connection: Option<String>,
}

pub(crate) async fn run(house: &House, arguments: Arguments) -> Result<Answer, Failure> {
    match arguments.connection {
        Some(connection) => of_tool(house, &connection).await,
        None => of_hub(house).await,
    }
}

/// The projects that a connection's key can see.
pub(crate) async fn remote(house: &House, connection: &str) -> Result<Vec<RemoteProject>, Failure> {
    let settings = names::connection(house.store.as_ref(), connection).await?;
    let engine = house.engine()?;
    let (_, open) = engine
        .open(settings.id)
        .await
        .map_err(|error| Failure::from(error).about(&settings.name))?;
    let projects = open.all_projects().await;
    projects.map_err(|error| Failure::from(error).about(&settings.name))
}

async fn of_tool(house: &House, connection: &str) -> Result<Answer, Failure> {
    let settings = names::connection(house.store.as_ref(), connection).await?;
    let remotes = remote(house, connection).await?;
    let mappings: HashMap<ExternalId, Mapping> = house
        .store
        .mappings(settings.id)
        .await?
        .into_iter()
        .map(|mapping| (mapping.external_id.clone(), mapping))
        .collect();
    let hub = house.store.projects().await?;
    let mut table = table(["id", "project", "open", "hub project", "note"]);
    let mut rows = Vec::new();
    for remote in remotes {
        let mapping = mappings.get(&remote.id);
        let hub_name = mapping.map(|mapping| name_of(&hub, mapping.project_id));
        let note = match mapping.map(|mapping| &mapping.state) {
            Some(MappingState::Suspended { reason }) => format!("suspended: {reason}"),
            _ => String::new(),
        };
        table.add_row([
            remote.id.to_string(),
            remote.name.clone(),
            if remote.open { "yes" } else { "no" }.to_owned(),
            hub_name.clone().unwrap_or_else(|| "(not mapped)".to_owned()),
            note,
        ]);
        rows.push(json!({ "project": remote, "mapping": mapping, "hub_project": hub_name }));
    }
    Answer::new(text(&table), &rows)
}

async fn of_hub(house: &House) -> Result<Answer, Failure> {
    let projects = house.store.projects().await?;
    if projects.is_empty() {
        return Answer::new("the hub has no projects yet; `magnus map --all` makes some", &projects);
    }
    let mut table = table(["hub project", "source", "archived", "id"]);
    for project in &projects {
        table.add_row([
            project.name.clone(),
            project
                .source_tool
                .as_ref()
                .map_or_else(|| "hub".to_owned(), ToString::to_string),
            if project.archived_at.is_some() { "yes" } else { "no" }.to_owned(),
            project.id.to_string(),
        ]);
    }
    Answer::new(text(&table), &projects)
}

pub(crate) fn name_of(projects: &[Project], id: ProjectId) -> String {
    projects
        .iter()
        .find(|project| project.id == id)
        .map_or_else(|| id.to_string(), |project| project.name.clone())
}
