//! `magnus map`: which project of a tool belongs to which project of the hub.

use clap::Args;
use magnus_core::hub::{HubError, MapAnswer, Mapped};
use magnus_core::model::RemoteProject;
use serde_json::{Value, json};

use super::projects;
use crate::answer::Answer;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::house::House;
use crate::names;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Map every open project of every enabled connection to the hub project of the same name, made if there is none
    #[arg(long, conflicts_with_all = ["connection", "project", "to"])]
    all: bool,
    /// The connection, by name or id
    #[arg(required_unless_present = "all")]
    connection: Option<String>,
    /// The tool's project, by id or name
    #[arg(required_unless_present = "all")]
    project: Option<String>,
    /// The hub project, by name or id; without it, the one of the same name, made if there is none
    #[arg(long, value_name = "HUB PROJECT")]
    to: Option<String>,
}

pub(crate) async fn run(house: &House, arguments: Arguments) -> Result<Answer, Failure> {
    match (arguments.connection, arguments.project) {
        (Some(connection), Some(project)) => one(house, &connection, &project, arguments.to.as_deref()).await,
        _ => all(house).await,
    }
}

async fn one(house: &House, connection: &str, project: &str, to: Option<&str>) -> Result<Answer, Failure> {
    let settings = names::connection(house.store.as_ref(), connection).await?;
    let to = match to {
        Some(to) => Some(names::hub_project(house.store.as_ref(), to).await?.id),
        None => None,
    };
    let remotes = projects::remote(house, connection).await?;
    let external = names::external_project(&remotes, &settings.name, project)?;
    let mapped = house.hub.map(settings.id, external, to).await?;
    Answer::new(
        line(&settings.name, external, &mapped),
        &data(&settings.name, external, &mapped),
    )
}

async fn all(house: &House) -> Result<Answer, Failure> {
    let connections = house.store.connections().await?;
    let enabled: Vec<_> = connections.into_iter().filter(|settings| settings.enabled).collect();
    if enabled.is_empty() {
        return Err(Failure::usage(
            "there is no enabled connection; add one with `magnus connect`",
        ));
    }
    let (mut lines, mut rows, mut refused) = (Vec::new(), Vec::new(), false);
    for settings in enabled {
        let remotes = projects::remote(house, &settings.name).await?;
        for (external, answer) in house.hub.map_all(settings.id, &remotes).await {
            match answer {
                Ok(mapped) => {
                    lines.push(line(&settings.name, &external, &mapped));
                    rows.push(data(&settings.name, &external, &mapped));
                }
                Err(error) => {
                    refused = true;
                    lines.push(format!("{}: {:?} is not mapped: {error}", settings.name, external.name));
                    rows.push(refusal(&settings.name, &external, &error));
                }
            }
        }
    }
    let answer = Answer::new(lines.join("\n"), &rows)?;
    Ok(if refused { answer.exit(Exit::Usage) } else { answer })
}

fn line(connection: &str, external: &RemoteProject, mapped: &Mapped) -> String {
    let (project, external) = (&mapped.project.name, &external.name);
    match mapped.answer {
        MapAnswer::AlreadyThere => format!("{connection}: {external:?} is mapped to hub project {project:?} already"),
        MapAnswer::Joined => format!("{connection}: {external:?} is mapped to hub project {project:?}"),
        MapAnswer::Created => format!("{connection}: {external:?} is mapped to the new hub project {project:?}"),
        MapAnswer::Moved => format!("{connection}: {external:?} is mapped to hub project {project:?} from now on"),
    }
}

fn data(connection: &str, external: &RemoteProject, mapped: &Mapped) -> Value {
    let answer = match mapped.answer {
        MapAnswer::AlreadyThere => "already_there",
        MapAnswer::Joined => "joined",
        MapAnswer::Created => "created",
        MapAnswer::Moved => "moved",
    };
    json!({
        "connection": connection,
        "external_project": external,
        "hub_project": mapped.project,
        "answer": answer,
    })
}

fn refusal(connection: &str, external: &RemoteProject, error: &HubError) -> Value {
    json!({
        "connection": connection,
        "external_project": external,
        "answer": "refused",
        "reason": error.to_string(),
    })
}
