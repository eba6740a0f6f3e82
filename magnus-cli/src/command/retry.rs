//! `magnus retry`: a person lets a quarantined item be tried again.

use clap::Args;
use magnus_core::model::ItemFailure;

use crate::answer::Answer;
use crate::failure::Failure;
use crate::house::House;
use crate::names;
use crate::run_table::quoted;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The task, by id or by a title that only one task has
    task: String,
}

pub(crate) async fn run(house: &House, arguments: Arguments) -> Result<Answer, Failure> {
    let task = names::task(house.store.as_ref(), &arguments.task).await?;
    let forgotten: Vec<ItemFailure> = house.hub.retry(task.id).await?;
    let times: u32 = forgotten.iter().map(|failure| failure.failures).sum();
    let text = format!(
        "{} failed {times} times; the next sync tries it again",
        quoted(&task.title)
    );
    Answer::new(text, &forgotten)
}
