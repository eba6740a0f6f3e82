//! `magnus map-status`: what a tool's statuses mean to the hub, and which of them nobody is sure of.

use clap::Args;
use magnus_core::connection::{Decoded, Encoded};
use magnus_core::model::{Field, Status, Value};
use serde_json::json;

use crate::answer::Answer;
use crate::choices::{Choices, Meant};
use crate::failure::Failure;
use crate::house::House;
use crate::names;
use crate::run_table::{table, text};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The connection, by name or id
    connection: String,
    /// Write the proposals into the connection's `status_map`
    #[arg(long)]
    write: bool,
}

pub(crate) async fn run(house: &House, arguments: Arguments) -> Result<Answer, Failure> {
    let settings = names::connection(house.store.as_ref(), &arguments.connection).await?;
    let choices = Choices::read(house, &settings).await?;
    let statuses = choices.of(Field::Status);
    let map = &settings.options.status_map;
    let mut shown = table(["status", "id", "closed", "hub status", "why"]);
    let (mut rows, mut proposals) = (Vec::new(), Vec::new());
    for status in &statuses {
        let meaning = meaning(&status.meaning);
        let why = match &status.meaning {
            _ if status.is_among(map.keys()) => "status_map",
            Decoded::Exact(_) => "known",
            _ => "a guess by whether it is closed",
        };
        let guessed = meaning.filter(|_| why.starts_with("a guess"));
        if let Some(guess) = guessed {
            proposals.push((status.key(), guess));
        }
        shown.add_row([
            status.choice.name.clone(),
            status.id(),
            if status.choice.closed { "yes" } else { "no" }.to_owned(),
            meaning.map_or_else(|| "(none)".to_owned(), |status| status.to_string()),
            why.to_owned(),
        ]);
        rows.push(json!({
            "value": status.choice.value,
            "name": status.choice.name,
            "closed": status.choice.closed,
            "project": status.project,
            "hub_status": meaning,
            "why": why,
            "proposal": guessed,
        }));
    }
    let (hub, missing) = hub_side(&choices, &statuses);
    if arguments.write && !proposals.is_empty() {
        let change = |settings: &mut magnus_core::model::ConnectionSettings| {
            settings.options.status_map.extend(proposals.iter().cloned());
            Ok(())
        };
        house.hub.edit_connection(settings.id, change).await?;
    }
    let mut lines = vec![text(&shown), String::new(), hub_table(&hub)];
    for status in &missing {
        lines.push(format!(
            "nothing in the tool means {status}; name one with `magnus set {:?} \"status_map.<status>={status}\"`",
            settings.name
        ));
    }
    lines.push(match (proposals.len(), arguments.write) {
        (0, _) => "nothing to propose".to_owned(),
        (count, true) => format!("{count} proposals are written to status_map; they hold from the next sync on"),
        (count, false) => format!("{count} proposals, which `--write` puts into status_map"),
    });
    let written = arguments.write && !proposals.is_empty();
    Answer::new(
        lines.join("\n"),
        &json!({
            "tool": rows,
            "hub": hub.iter().map(|(status, sent)| json!({ "status": status, "tool_status": sent })).collect::<Vec<_>>(),
            "missing": missing,
            "written": written,
        }),
    )
}

fn meaning(decoded: &Decoded) -> Option<Status> {
    match decoded {
        Decoded::Exact(Value::Status(status)) | Decoded::Approximate(Value::Status(status)) => Some(*status),
        _ => None,
    }
}

/// Each of the hub's statuses with the names of those that would be written for it, and those that nothing stands for.
fn hub_side(choices: &Choices, statuses: &[Meant]) -> (Vec<(Status, Vec<String>)>, Vec<Status>) {
    let (mut hub, mut missing) = (Vec::new(), Vec::new());
    for status in Status::ALL.iter().copied() {
        let mut names: Vec<String> = Vec::new();
        let mut lacking = false;
        let (translator, projects) = choices.translator();
        for project in projects {
            match translator.encode(project, Field::Status, &Value::Status(status)) {
                Encoded::Value(value) => {
                    let named = statuses
                        .iter()
                        .find(|it| it.choice.value == value && it.project == *project);
                    let named = named.or_else(|| statuses.iter().find(|it| it.choice.value == value));
                    let name = named.map_or_else(|| value.to_string(), Meant::key);
                    if !names.contains(&name) {
                        names.push(name);
                    }
                }
                Encoded::Unholdable(_) => lacking = true,
            }
        }
        if lacking {
            missing.push(status);
        }
        hub.push((status, names));
    }
    (hub, missing)
}

fn hub_table(hub: &[(Status, Vec<String>)]) -> String {
    let mut shown = table(["hub status", "is written as"]);
    for (status, names) in hub {
        let names = if names.is_empty() {
            "(nothing)".to_owned()
        } else {
            names.join(", ")
        };
        shown.add_row([status.to_string(), names]);
    }
    text(&shown)
}
