//! Texts, dates, hours, people, statuses and priorities between two tools: what arrives, and what nobody touches.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod dates;
mod hours;
mod meanings;
mod people;
#[path = "../support/mod.rs"]
mod support;
mod texts;

use magnus_core::model::{ConnectionId, ConnectionOptions, Run};
use support::World;

async fn options(world: &World, id: ConnectionId, change: impl FnOnce(&mut ConnectionOptions)) {
    let mut settings = world.store.connection(id).await.unwrap().unwrap();
    change(&mut settings.options);
    world.store.save_connection(settings).await.unwrap();
}

fn tells(run: &Run, title: &str, word: &str) -> bool {
    run.report
        .items
        .iter()
        .any(|item| item.title == title && item.detail.contains(word))
}
