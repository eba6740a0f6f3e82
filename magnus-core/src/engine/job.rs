//! One planned write, made ready to be sent.

use std::collections::BTreeMap;

use super::session::{Active, Session};
use crate::connection::{CreateTask, DeleteTask, RemoteWrite, UpdateTask};
use crate::model::{
    ExternalId, Field, Intent, IntentField, IntentId, IntentOperation, IntentState, RemoteValue, Status, Timestamp,
    Value,
};
use crate::reconcile::{Entry, Outgoing, Push, References, Sendable, attempt};

/// One write, ready to be sent.
pub(super) struct Job {
    pub(super) entry: Entry,
    pub(super) intent: Intent,
    pub(super) write: RemoteWrite,
    /// What the entry's outgoing values have become: field → (hub value, what is sent, ...).
    pub(super) fields: BTreeMap<Field, IntentField>,
    /// A digest of the write as it was planned.
    pub(super) attempt: String,
    /// When the item that is changed was last touched, as it was decided on.
    pub(super) seen_at: Option<Timestamp>,
}

impl Session {
    /// Makes the journal entry and the write of one entry. `None` if nothing is left to send.
    pub(super) fn job(
        &self,
        active: &Active,
        mut entry: Entry,
        references: &References,
        greatest_seen: Option<&ExternalId>,
    ) -> Option<Job> {
        let push = entry.push.take()?;
        let attempt = attempt(&push);
        let seen_at = match &push {
            Push::Update { remote, .. } => remote.updated_at,
            _ => None,
        };
        let mapping = &active.mapping;
        let id = IntentId::generate();
        let (task_id, operation, fields, write) = match push {
            Push::Create { task, fields, .. } => {
                let mut fields = resolve(fields, references);
                if let Some(refused) = self.create_refusals.get(&task.id) {
                    fields.retain(|field, _| !refused.contains_key(field));
                }
                let operation = IntentOperation::Create {
                    project: mapping.external_id.clone(),
                    greatest_seen: greatest_seen.cloned(),
                    marked: self.capabilities.create_marker,
                    sent_as: Some(self.seen_as.clone()),
                };
                let sent = fields
                    .iter()
                    .map(|(field, value)| (*field, value.sent.clone()))
                    .collect();
                let write = RemoteWrite::Create(CreateTask {
                    project: mapping.external_id.clone(),
                    fields: sent,
                    marker: self.capabilities.create_marker.then_some(id),
                });
                (task.id, operation, fields, write)
            }
            Push::Update {
                link_id,
                task_id,
                remote,
                fields,
                move_to,
            } => {
                let fields = resolve(fields, references);
                if fields.is_empty() && move_to.is_none() {
                    return None;
                }
                let operation = IntentOperation::Update {
                    link_id,
                    external_id: remote.id.clone(),
                    version: remote.version.clone(),
                };
                let write = RemoteWrite::Update(UpdateTask {
                    id: remote.id.clone(),
                    project: remote.project.clone(),
                    move_to: move_to.map(|mapping| mapping.external_id),
                    version: remote.version.clone(),
                    fields: fields
                        .iter()
                        .map(|(field, value)| (*field, value.sent.clone()))
                        .collect(),
                });
                (task_id, operation, fields, write)
            }
            Push::Delete {
                link_id,
                task_id,
                external_id,
                undoes,
            } => {
                let write = RemoteWrite::Delete(DeleteTask {
                    id: external_id.clone(),
                    project: mapping.external_id.clone(),
                });
                (
                    task_id,
                    IntentOperation::Delete {
                        link_id,
                        external_id,
                        undoes,
                    },
                    BTreeMap::new(),
                    write,
                )
            }
            Push::Archive {
                link_id,
                task_id,
                remote,
                status,
            } => {
                let write = RemoteWrite::Update(UpdateTask {
                    id: remote.id.clone(),
                    project: remote.project.clone(),
                    move_to: None,
                    version: remote.version.clone(),
                    fields: BTreeMap::from([(Field::Status, status.clone())]),
                });
                let archived = IntentField {
                    local: Value::Status(Status::Cancelled),
                    sent: status,
                    seen: remote.value(Field::Status).cloned(),
                    loser: None,
                };
                let operation = IntentOperation::Delete {
                    link_id,
                    external_id: remote.id,
                    undoes: false,
                };
                (task_id, operation, BTreeMap::from([(Field::Status, archived)]), write)
            }
        };
        let intent = Intent {
            id,
            connection_id: self.settings.id,
            mapping_id: mapping.id,
            run_id: self.context.run_id,
            task_id,
            operation,
            fields: fields.clone(),
            state: IntentState::Open,
            created_at: self.now(),
        };
        Some(Job {
            entry,
            intent,
            write,
            fields,
            attempt,
            seen_at,
        })
    }
}

/// Fills in references to what was created meanwhile; one that was not created is left for a later run.
fn resolve(fields: BTreeMap<Field, Outgoing>, references: &References) -> BTreeMap<Field, IntentField> {
    fields
        .into_iter()
        .filter_map(|(field, outgoing)| {
            let sent = match outgoing.sent {
                Sendable::Now(value) => value,
                Sendable::OnceCreated(task) => RemoteValue::from(references.external(task)?),
                Sendable::Unholdable(_) => return None,
            };
            let Outgoing { local, seen, loser, .. } = outgoing;
            Some((
                field,
                IntentField {
                    local,
                    sent,
                    seen,
                    loser,
                },
            ))
        })
        .collect()
}
