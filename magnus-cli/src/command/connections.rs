//! `magnus connections`.

use crate::answer::Answer;
use crate::failure::Failure;
use crate::house::House;
use crate::run_table::{table, text};

pub(super) async fn run(house: &House) -> Result<Answer, Failure> {
    let connections = house.store.connections().await?;
    if connections.is_empty() {
        return Answer::new("no connections yet; add one with `magnus connect`", &connections);
    }
    let mut table = table(["name", "tool", "url", "direction", "frequency", "enabled", "id"]);
    for settings in &connections {
        table.add_row([
            settings.name.clone(),
            settings.tool.to_string(),
            settings.url.clone(),
            settings.direction.to_string(),
            settings.frequency.to_string(),
            settings.enabled.to_string(),
            settings.id.to_string(),
        ]);
    }
    Answer::new(text(&table), &connections)
}
