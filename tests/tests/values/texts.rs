//! Texts that nobody edited.

use magnus_core::model::{Field, Value};

use crate::support::{Setup, World};

/// The texts of a corpus, without their expected results.
fn corpus(file: &str) -> Vec<String> {
    let hidden = [
        ("⟦CR⟧", "\r"),
        ("⟦NBSP⟧", "\u{a0}"),
        ("⟦TAB⟧", "\t"),
        ("⟦SP⟧", " "),
        ("⟦NUL⟧", ""),
    ];
    let sections = file.split("\n=== ").skip(1);
    sections
        .map(|section| {
            let (_, body) = section.split_once('\n').unwrap();
            let text = body.split("\n--> ").next().unwrap().trim_end_matches('\n');
            hidden
                .iter()
                .fold(text.to_owned(), |text, (mark, hidden)| text.replace(mark, hidden))
        })
        .collect()
}

#[tokio::test]
async fn a_text_that_nobody_edited_is_never_written_in_any_tool() {
    let world = World::with(Setup {
        settings: |settings| settings.options.guard.overwrites.count = 10_000,
        ..Setup::default()
    })
    .await;
    let common = world.common_project("Common").await;
    let markdown = corpus(include_str!("../../../magnus-leantime/tests/corpus/from_markdown.txt"));
    let html = corpus(include_str!("../../../magnus-leantime/tests/corpus/from_html.txt"));
    assert!(markdown.len() + html.len() >= 120);
    let items: Vec<u64> = (0..)
        .zip(&markdown)
        .map(|(number, text): (usize, _)| {
            let title = format!("from OpenProject {number}");
            world
                .openproject
                .create_work_package_with(common.op, &title, |item| item.description.clone_from(text))
        })
        .collect();
    let tickets: Vec<i64> = (0..)
        .zip(&html)
        .map(|(number, text): (usize, _)| {
            let title = format!("from Leantime {number}");
            world
                .leantime
                .create_ticket_with(common.lt, &title, |ticket| ticket.description = Some(text.clone()))
        })
        .collect();
    world.settle().await;
    let copies = |world: &World| -> (Vec<String>, Vec<Option<String>>) {
        let items = world.openproject.work_packages();
        let tickets = world.leantime.tickets();
        (
            items.into_iter().map(|item| item.description).collect(),
            tickets.into_iter().map(|ticket| ticket.description).collect(),
        )
    };
    let settled = copies(&world);
    // Everything else is edited, everywhere.
    for item in world.openproject.work_packages() {
        world
            .openproject
            .edit_work_package(item.id, |item| item.due_date = "2026-12-24".parse().ok());
    }
    for ticket in world.leantime.tickets() {
        world
            .leantime
            .edit_ticket(ticket.id, |ticket| ticket.tags = Some("seen".to_owned()));
    }
    for task in world.tasks(common.hub).await.into_values() {
        world
            .edit(task.id, Field::Title, Value::text(format!("{}, renamed", task.title)))
            .await;
    }
    world.settle().await;
    assert_eq!(copies(&world), settled, "only what was edited is written");
    for (id, text) in items.iter().zip(&markdown) {
        assert_eq!(&world.openproject.work_package(*id).unwrap().description, text);
    }
    for (id, text) in tickets.iter().zip(&html) {
        assert_eq!(world.leantime.ticket(*id).unwrap().description.as_ref(), Some(text));
    }
    assert!(world.conflicts().await.is_empty());
}
