//! `magnus resolve`: a person settles a conflict.

use clap::Args;
use magnus_core::hub::Finding;
use magnus_core::model::{ExternalId, Field, Resolution, Value};

use crate::answer::Answer;
use crate::failure::Failure;
use crate::house::House;
use crate::run_table::quoted;
use crate::{names, values};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The conflict or the uncertain write, by its id as `magnus conflicts` shows it; one that was settled with `--is`, by
    /// its whole id, can be settled with another item
    conflict: String,
    #[command(flatten)]
    choice: Choice,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Choice {
    /// The hub's value is right
    #[arg(long)]
    hub: bool,
    /// The tool's value is right
    #[arg(long)]
    external: bool,
    /// This value is right; an empty one clears the field
    #[arg(long, allow_hyphen_values = true)]
    value: Option<String>,
    /// The create whose answer was lost has taken place: this item of the tool is the one
    #[arg(long, value_name = "EXTERNAL ID")]
    is: Option<String>,
    /// The create whose answer was lost has not taken place: send it again
    #[arg(long)]
    send_again: bool,
}

pub(crate) async fn run(house: &House, arguments: Arguments) -> Result<Answer, Failure> {
    if let Some(finding) = finding(&arguments.choice)? {
        return settle(house, &arguments.conflict, finding).await;
    }
    let conflict = names::conflict(house.store.as_ref(), &arguments.conflict).await?;
    let choice = arguments.choice;
    let resolution = match &choice.value {
        Some(text) => Resolution::Merged(value(house, conflict.field, text).await?),
        None if choice.external => Resolution::External,
        None => Resolution::Hub,
    };
    let by = std::env::var("USER").unwrap_or_else(|_| "command line".to_owned());
    let resolved = house.hub.resolve(conflict.id, resolution, &by).await?;
    let value = match resolved.state {
        magnus_core::model::ConflictState::ResolvedExternal => resolved.remote_value.to_string(),
        magnus_core::model::ConflictState::ResolvedHub => resolved.local.to_string(),
        _ => choice.value.unwrap_or_default(),
    };
    let text = format!(
        "settled: {} becomes {}; the next sync carries it out",
        resolved.field,
        quoted(&value)
    );
    Answer::new(text, &resolved)
}

/// What is said of a lost create; `None` if it is a conflict that is settled.
fn finding(choice: &Choice) -> Result<Option<Finding>, Failure> {
    if choice.send_again {
        return Ok(Some(Finding::SendAgain));
    }
    let Some(id) = &choice.is else { return Ok(None) };
    let external = ExternalId::new(id.trim()).map_err(|error| Failure::usage(format!("--is {id:?}: {error}")))?;
    Ok(Some(Finding::Is(external)))
}

async fn settle(house: &House, wanted: &str, finding: Finding) -> Result<Answer, Failure> {
    let intent = names::uncertain(&house.hub, wanted).await?;
    let settled = house.hub.settle(intent.id, finding.clone()).await?;
    let text = match finding {
        Finding::Is(external) => {
            format!(
                "settled: it is item {external} of the tool; the next sync keeps both in step\n  if that was the wrong one: \
                 `magnus resolve {} --is <the right one>`",
                settled.id
            )
        }
        Finding::SendAgain => "settled: the next sync sends it again".to_owned(),
    };
    Answer::new(text, &settled)
}

async fn value(house: &House, field: Field, text: &str) -> Result<Value, Failure> {
    if field == Field::Parent && !text.trim().is_empty() {
        let parent = names::task(house.store.as_ref(), text).await?;
        return Ok(Value::Task(parent.id));
    }
    values::parse(field, text)
}
