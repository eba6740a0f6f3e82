//! The values that fields can take in an instance, for people who map them.

use magnus_core::connection::Choice;
use magnus_core::model::{ExternalId, Field, RemoteValue};

use crate::translator::OpenProjectTranslator;

fn choice(id: u64, name: &str) -> Choice {
    Choice::new(RemoteValue::text(id.to_string()), name)
}

/// Statuses, active priorities and the people who can be assigned in a project.
pub(crate) fn choices(translator: &OpenProjectTranslator, project: &ExternalId, field: Field) -> Vec<Choice> {
    match field {
        Field::Status => translator
            .statuses
            .statuses()
            .map(|status| choice(status.id, &status.name).closed(status.is_closed))
            .collect(),
        Field::Priority => translator
            .priorities
            .priorities()
            .filter(|priority| priority.is_active != Some(false))
            .map(|priority| choice(priority.id, &priority.name))
            .collect(),
        Field::Assignee => translator
            .people
            .assignable(project)
            .map(|person| choice(person.id, &person.name))
            .collect(),
        _ => Vec::new(),
    }
}
