//! The values that fields can take in a project, for people who map them.

use magnus_core::connection::Choice;
use magnus_core::model::{ExternalId, Field, RemoteValue};

use super::{LeantimeTranslator, StatusType, User, values};

/// The project's statuses with the archive, the priorities, and the people who can be assigned there.
pub(super) fn choices(translator: &LeantimeTranslator, project: &ExternalId, field: Field) -> Vec<Choice> {
    match field {
        Field::Status => {
            let labels = translator.statuses.get(project).into_iter().flatten();
            labels
                .map(|label| {
                    let closed = label.status_type == StatusType::Done;
                    Choice::new(RemoteValue(label.id.into()), &label.name).closed(closed)
                })
                .collect()
        }
        Field::Priority => values::priorities()
            .map(|(id, name)| Choice::new(RemoteValue::text(id), name))
            .collect(),
        Field::Assignee => people(translator, project)
            .map(|user| Choice::new(RemoteValue::text(user.id.to_string()), &user.name))
            .collect(),
        _ => Vec::new(),
    }
}

fn people<'a>(translator: &'a LeantimeTranslator, project: &ExternalId) -> impl Iterator<Item = &'a User> {
    let members = translator.members.get(project).map(Vec::as_slice).unwrap_or_default();
    let elsewhere = translator.users.iter().filter(|user| user.everywhere);
    let others = elsewhere.filter(|user| !members.iter().any(|member| member.id == user.id));
    members.iter().chain(others)
}
