//! `magnus set`: changes a connection's settings or key.

use clap::Args;
use magnus_core::hub::Hub;
use magnus_core::model::ConnectionSettings;
use serde_json::json;

use super::connect;
use crate::answer::Answer;
use crate::failure::Failure;
use crate::house::House;
use crate::key::KeySource;
use crate::{names, options};

#[derive(Debug, Args)]
#[command(after_help = "\
Settings: name, url (on another server: along with its key), direction, frequency, enabled.
Options: projects (all, mapped), deletions (keep, archive, delete), match (exact_title, none, ask),
  conflicts (manual, hub_wins, external_wins, newest_wins), guard.<deletions|overwrites|creations>.<count|percent>,
  status_map.<tool status>, priority_map.<tool priority>, user_map.<tool user>, time_zone, notify, tool.<option>")]
pub(crate) struct Arguments {
    /// The connection, by name or id
    connection: String,
    /// What to change, such as `enabled=false` or `deletions=delete`; the value may be JSON
    #[arg(value_name = "KEY=VALUE")]
    assignments: Vec<String>,
    #[command(flatten)]
    key: KeySource,
}

pub(crate) async fn run(house: &House, arguments: Arguments) -> Result<Answer, Failure> {
    let before = names::connection(house.store.as_ref(), &arguments.connection).await?;
    let new_key = arguments.key.read()?;
    if arguments.assignments.is_empty() && new_key.is_none() {
        return Err(Failure::usage(
            "nothing to change: give KEY=VALUE, --key-env VARIABLE or --key-stdin",
        ));
    }
    let mut wanted = before.clone();
    for assignment in &arguments.assignments {
        options::assign(&mut wanted, assignment).map_err(|error| Failure::from(error).about(&before.name))?;
    }
    if new_key.is_none() && !wanted.same_origin(&before) {
        // Before anything is opened: the key that is kept was given for the old server, and is not shown to the new one.
        let why = Hub::KEY_FOR_ANOTHER_SERVER;
        return Err(Failure::usage(format!("{why}, with --key-env VARIABLE or --key-stdin")).about(&before.name));
    }
    let secrets = house.secrets()?;
    let key = match &new_key {
        Some(key) => Some(key.clone()),
        None => secrets.get(before.id).await?,
    };
    // What the connector refuses is refused here; a new address or key, and what only the tool can tell of its own
    // options, is tried before it is kept.
    let tried = new_key.is_some() || wanted.url != before.url || wanted.options.tool != before.options.tool;
    match key {
        Some(key) if tried => {
            connect::test(&house.probe()?, &wanted, key).await?;
        }
        Some(key) => {
            let opened = house.probe()?.connect(wanted.clone(), key).await;
            opened.map_err(|error| Failure::from(error).about(&before.name))?;
        }
        None => {}
    }
    let assignments = arguments.assignments;
    let change = |settings: &mut ConnectionSettings| {
        assignments
            .iter()
            .try_for_each(|assignment| options::assign(settings, assignment))
    };
    let hub = &house.hub;
    let saved = hub
        .change_connection(before.id, change, new_key, secrets.as_ref())
        .await?;
    let text = format!("connection {:?} is changed; it holds from the next sync on", saved.name);
    Answer::new(text, &json!({ "connection": saved }))
}
