//! What the toy does with writes.

use std::collections::BTreeMap;
use std::sync::MutexGuard;

use magnus_core::connection::{
    ConnectionError, ConnectionErrorKind, Outcome, RejectedField, RemoteWrite, Written, WrittenTask,
};
use magnus_core::model::{ExternalId, Field, RemoteField, RemoteTask, RemoteValue, RemoteVersion};

use super::{Happening, Item, Mishap, State, Toy};

fn project_of(write: &RemoteWrite) -> u64 {
    let project = match write {
        RemoteWrite::Create(create) => &create.project,
        RemoteWrite::Update(update) => &update.project,
        RemoteWrite::Delete(delete) => &delete.project,
    };
    project.as_str().parse().unwrap()
}

impl Toy {
    pub(super) fn show(&self, id: u64, item: &Item) -> RemoteTask {
        RemoteTask {
            id: ExternalId::from(id),
            project: ExternalId::from(item.project),
            version: self.habits.versions.then(|| RemoteVersion(item.version.to_string())),
            updated_at: None,
            url: None,
            fields: item
                .fields
                .iter()
                .map(|(field, value)| (*field, RemoteField::from(RemoteValue(value.clone()))))
                .collect(),
            metadata: serde_json::Map::new(),
            marker: item.marker.clone().filter(|_| self.habits.marker),
            skip: None,
        }
    }

    pub(super) fn readable(&self, operation: &'static str) -> Result<MutexGuard<'_, State>, ConnectionError> {
        let mut state = self.state();
        state.reads += 1;
        if state.down {
            return Err(ConnectionError::new(
                ConnectionErrorKind::Unavailable,
                operation,
                "the toy is switched off",
            ));
        }
        Ok(state)
    }

    pub(super) fn write_one(&self, write: RemoteWrite) -> Result<Written, ConnectionError> {
        let error = |kind, words: &str| ConnectionError::new(kind, "write", words);
        let mishap = {
            let mut state = self.readable("write")?;
            if let Some((clock, seconds)) = &state.slow {
                clock.advance(*seconds);
            }
            state.mishaps.pop()
        };
        let happening = self.state().when_written.take();
        if let Some(Happening(happening)) = happening {
            happening();
        }
        if self.state().forbidden.contains(&project_of(&write)) {
            return Err(error(ConnectionErrorKind::Forbidden, "403"));
        }
        match mishap {
            Some(Mishap::NeverArrived) => {
                return Err(error(ConnectionErrorKind::Timeout, "lost").with_outcome(Outcome::Unknown));
            }
            Some(Mishap::Refused) => return Err(error(ConnectionErrorKind::Unavailable, "500")),
            Some(Mishap::AnswerLost) | None => {}
        }
        // Without versions, an edit between our reading and our writing is lost for good if our answer is lost too:
        // a limit of such tools that no rule removes.
        if matches!(write, RemoteWrite::Update(_)) && (self.habits.versions || mishap.is_none()) {
            self.meddle();
        }
        let written = self.apply(write)?;
        if let Written::Task(written) = &written {
            self.insist(written.task.id.as_str().parse().unwrap());
        }
        if mishap == Some(Mishap::AnswerLost) {
            return Err(error(ConnectionErrorKind::Timeout, "lost").with_outcome(Outcome::Unknown));
        }
        Ok(written)
    }

    /// The robot looks at what was written, after it was read back.
    fn insist(&self, id: u64) {
        let wanted = self.state().insists.clone();
        for (field, raw) in wanted {
            let now = self.state().items[&id].fields[&field].clone();
            if now != raw {
                self.edit_raw(id, field, raw);
            }
        }
    }

    fn refusals(&self, fields: &BTreeMap<Field, RemoteValue>) -> Result<(), ConnectionError> {
        let state = self.state();
        let title = fields.get(&Field::Title).and_then(RemoteValue::as_text);
        if title.is_some() && title == state.poison.as_deref() {
            let error = ConnectionError::new(ConnectionErrorKind::Rejected, "write", "not this one");
            return Err(error);
        }
        let rejected: Vec<RejectedField> = fields
            .keys()
            .filter_map(|field| {
                Some(RejectedField {
                    field: *field,
                    message: state.refuse.get(field)?.clone(),
                })
            })
            .collect();
        if rejected.is_empty() {
            return Ok(());
        }
        Err(ConnectionError::new(ConnectionErrorKind::Rejected, "write", "").with_rejected(rejected))
    }

    fn apply(&self, write: RemoteWrite) -> Result<Written, ConnectionError> {
        match write {
            RemoteWrite::Create(create) => {
                self.refusals(&create.fields)?;
                let fields = create
                    .fields
                    .into_iter()
                    .map(|(field, value)| (field, value.0))
                    .collect();
                let project = create.project.as_str().parse().unwrap();
                let id = self.insert(project, fields, true);
                let mut state = self.state();
                state.writes += 1;
                state.creates += 1;
                if let Some(item) = state.items.get_mut(&id) {
                    item.marker = create.marker.map(|operation| operation.to_string());
                }
                let task = self.show(id, &state.items[&id]);
                Ok(Written::Task(Box::new(WrittenTask {
                    task,
                    before: None,
                    sole_writer: true,
                })))
            }
            RemoteWrite::Update(update) => {
                self.refusals(&update.fields)?;
                let id: u64 = update.id.as_str().parse().unwrap();
                let mut state = self.state();
                let parent = update.fields.get(&Field::Parent).and_then(RemoteValue::as_text);
                if state.refuses_circles
                    && parent.is_some_and(|parent| state.below(id).any(|id| id.to_string() == parent))
                {
                    let rejected = vec![RejectedField {
                        field: Field::Parent,
                        message: "it is below".to_owned(),
                    }];
                    let error = ConnectionError::new(ConnectionErrorKind::Rejected, "write", "");
                    return Err(error.with_rejected(rejected));
                }
                state.stamp += 1;
                let stamp = state.stamp;
                let Some(item) = state.items.get(&id) else {
                    return Err(ConnectionError::new(
                        ConnectionErrorKind::NotFound,
                        "write",
                        "no such item",
                    ));
                };
                let before = self.show(id, item);
                if self.habits.versions && before.version != update.version {
                    return Err(ConnectionError::new(
                        ConnectionErrorKind::VersionConflict,
                        "write",
                        "stale",
                    ));
                }
                let item = state.items.get_mut(&id).unwrap();
                for (field, value) in update.fields {
                    item.fields.insert(field, value.0);
                }
                if let Some(project) = update.move_to {
                    item.project = project.as_str().parse().unwrap();
                }
                item.version += 1;
                item.stamp = stamp;
                state.writes += 1;
                let task = self.show(id, &state.items[&id]);
                let before = (!self.habits.versions).then_some(before);
                let after = state.meddle_after.take();
                let sole_writer = self.habits.versions && after.is_none();
                let task = match after {
                    Some((id, field, raw)) => {
                        drop(state);
                        self.edit_raw(id, field, raw);
                        let state = self.state();
                        self.show(id, &state.items[&id])
                    }
                    None => task,
                };
                Ok(Written::Task(Box::new(WrittenTask {
                    task,
                    before,
                    sole_writer,
                })))
            }
            RemoteWrite::Delete(delete) => {
                let id: u64 = delete.id.as_str().parse().unwrap();
                let mut state = self.state();
                let below: Vec<u64> = state.below(id).filter(|_| state.cascades).collect();
                state.items.remove(&id);
                state.items.retain(|id, _| !below.contains(id));
                state.writes += 1;
                Ok(Written::Deleted)
            }
        }
    }
}
