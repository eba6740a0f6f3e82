//! `magnus map-users`: who a tool's people are to the hub, with proposals for those who are called otherwise there.

use std::collections::BTreeSet;

use clap::Args;
use magnus_core::connection::Decoded;
use magnus_core::model::{ConnectionSettings, Field, Person, Value};
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
    /// Write the proposals into the connection's `user_map`
    #[arg(long)]
    write: bool,
}

pub(crate) async fn run(house: &House, arguments: Arguments) -> Result<Answer, Failure> {
    let settings = names::connection(house.store.as_ref(), &arguments.connection).await?;
    let users = Choices::read(house, &settings).await?.of(Field::Assignee);
    let (people, problems) = people_of_hub(house, &settings).await?;
    let mut shown = table(["user", "id", "person in the hub", "why"]);
    let (mut rows, mut proposals) = (Vec::new(), Vec::new());
    for user in &users {
        let own = person(&user.meaning);
        let known = own.as_ref().and_then(|own| people.iter().find(|it| it.is_same(own)));
        let configured = user.is_among(settings.options.user_map.keys());
        let proposal = (!configured && known.is_none())
            .then(|| propose(user, &users, &people))
            .flatten();
        let why = match (configured, &own, known, proposal) {
            (true, ..) => "user_map".to_owned(),
            (_, _, _, Some(proposal)) => format!("proposed: is this {proposal}?"),
            (_, _, Some(_), _) => "the same address or name".to_owned(),
            (_, Some(_), None, None) => "only in this tool so far".to_owned(),
            (_, None, None, None) => "cannot be told apart; name the id in user_map".to_owned(),
        };
        shown.add_row([
            user.choice.name.clone(),
            user.id(),
            own.as_ref().map_or_else(|| "(nobody)".to_owned(), Person::to_string),
            why.clone(),
        ]);
        rows.push(json!({
            "value": user.choice.value,
            "name": user.choice.name,
            "person": own,
            "why": why,
            "proposal": proposal,
        }));
        if let Some(proposal) = proposal {
            proposals.push((user.key(), proposal.to_string()));
        }
    }
    if arguments.write && !proposals.is_empty() {
        let change = |settings: &mut ConnectionSettings| {
            settings.options.user_map.extend(proposals.iter().cloned());
            Ok(())
        };
        house.hub.edit_connection(settings.id, change).await?;
    }
    let names: Vec<String> = people.iter().map(Person::to_string).collect();
    let mut lines = vec![text(&shown), String::new()];
    lines.push(match names.as_slice() {
        [] => "nobody is known in the hub yet".to_owned(),
        names => format!("known in the hub and its other tools: {}", names.join(", ")),
    });
    lines.extend(problems.iter().cloned());
    lines.push(match (proposals.len(), arguments.write) {
        (0, _) => "nothing to propose".to_owned(),
        (count, true) => format!("{count} proposals are written to user_map; they hold from the next sync on"),
        (count, false) => format!("{count} proposals, which `--write` puts into user_map"),
    });
    let written = arguments.write && !proposals.is_empty();
    Answer::new(
        lines.join("\n"),
        &json!({ "tool": rows, "hub": people, "problems": problems, "written": written }),
    )
}

fn person(decoded: &Decoded) -> Option<Person> {
    match decoded {
        Decoded::Exact(Value::Person(person)) => Some(person.clone()),
        _ => None,
    }
}

/// Who is assigned in the hub, and the people of the other connections' tools; a tool that does not answer is told.
async fn people_of_hub(house: &House, of: &ConnectionSettings) -> Result<(Vec<Person>, Vec<String>), Failure> {
    let mut people = BTreeSet::new();
    let mut problems = Vec::new();
    for settings in house.store.connections().await? {
        if settings.id == of.id || !settings.enabled || house.store.mappings(settings.id).await?.is_empty() {
            continue;
        }
        match Choices::read(house, &settings).await {
            Ok(choices) => people.extend(
                choices
                    .of(Field::Assignee)
                    .iter()
                    .filter_map(|user| person(&user.meaning)),
            ),
            Err(failure) => problems.push(format!("left out: {}", failure.message())),
        }
    }
    let mut assigned = BTreeSet::new();
    for project in house.store.projects().await? {
        let tasks = house.store.tasks_of_project(project.id).await?;
        let tasks = tasks.into_iter().filter(|task| !task.is_deleted());
        assigned.extend(tasks.filter_map(|task| task.assignee));
    }
    for person in assigned {
        if !people.iter().any(|known: &Person| known.is_same(&person)) {
            people.insert(person);
        }
    }
    Ok((people.into_iter().collect(), problems))
}

/// The one person of the hub who is probably this user: no other user is him, and no other person is called alike.
fn propose<'a>(user: &Meant, users: &[Meant], people: &'a [Person]) -> Option<&'a Person> {
    let taken = |candidate: &&Person| {
        let same = |other: &Meant| person(&other.meaning).is_some_and(|own| own.is_same(candidate));
        !users.iter().any(same)
    };
    let mut alike = people
        .iter()
        .filter(taken)
        .filter(|candidate| is_alike(&user.choice.name, candidate));
    let only = alike.next()?;
    alike.next().is_none().then_some(only)
}

/// Whether a name may be this person's: the same words in any order, a first name that is only an initial, or what
/// stands before the @ of the address.
fn is_alike(name: &str, person: &Person) -> bool {
    let (ours, theirs) = (words(name), words(&person.name));
    let sorted = |words: &[String]| words.iter().cloned().collect::<BTreeSet<_>>();
    if !ours.is_empty() && sorted(&ours) == sorted(&theirs) {
        return true;
    }
    let initials = match (ours.as_slice(), theirs.as_slice()) {
        ([first, .., last], [other_first, .., other_last]) if last == other_last => {
            let short = first.chars().count() == 1 || other_first.chars().count() == 1;
            short && first.chars().next() == other_first.chars().next()
        }
        _ => false,
    };
    let address = person.email.as_deref().and_then(|email| email.split_once('@'));
    let local = address.map(|(local, _)| words(local)).unwrap_or_default();
    initials || (!ours.is_empty() && sorted(&local) == sorted(&ours))
}

fn words(name: &str) -> Vec<String> {
    let parts = name.split(|c: char| !c.is_alphanumeric());
    parts.filter(|part| !part.is_empty()).map(str::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_another_order_initials_and_addresses_are_alike() {
        let person = |text: &str| Person::parse(text).unwrap();
        for (name, other) in [
            ("Hopper, Grace", "Grace Hopper"),
            ("G. Hopper", "Grace Hopper"),
            ("Grace Hopper", "G Hopper"),
            ("grace.hopper", "Rear Admiral <grace.hopper@example.org>"),
        ] {
            assert!(is_alike(name, &person(other)), "{name} and {other}");
        }
        for (name, other) in [
            ("Grace Kelly", "Grace Hopper"),
            ("", "x@example.org"),
            ("Gina Hopper", "Grace Hopper"),
        ] {
            assert!(!is_alike(name, &person(other)), "{name} and {other}");
        }
    }
}
