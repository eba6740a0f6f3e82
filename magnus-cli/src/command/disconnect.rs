//! `magnus disconnect`.

use clap::Args;
use serde_json::json;

use crate::answer::Answer;
use crate::failure::Failure;
use crate::house::House;
use crate::names;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The connection, by name or id
    connection: String,
}

pub(crate) async fn run(house: &House, arguments: Arguments) -> Result<Answer, Failure> {
    let settings = names::connection(house.store.as_ref(), &arguments.connection).await?;
    let removed = house
        .hub
        .remove_connection(settings.id, house.secrets()?.as_ref())
        .await?;
    if let Some(error) = removed.key_left {
        return Err(error.into());
    }
    let text = format!(
        "connection {:?} is removed with its links and its key; hub tasks and {} stay as they are",
        settings.name, settings.tool
    );
    Answer::new(text, &json!({ "removed": settings }))
}
