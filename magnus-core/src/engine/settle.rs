//! After a create or an update: bases, journal and history in one commit.

use super::RunError;
use super::job::Job;
use super::push::{decoded, settled};
use super::session::Session;
use crate::connection::WrittenTask;
use crate::model::{
    Base, Conflict, ConflictId, ConflictState, ExternalId, Field, HistoryEntry, Intent, IntentField, IntentOperation,
    LastChange, Link, LinkId, LinkState, LocalBase, Mapping, Refusal, RefusalCause, RemoteBase, RemoteTask,
    RemoteValue, RowVersion, Rule, Side, SkipReason, Task, TaskId, Timestamp, Value,
};
use crate::reconcile::{Lens, is_replaced, refers};
use crate::store::{ConflictWrite, LinkWrite, Unit};

impl Session {
    /// Records a create or an update. Bases advance only for the fields that were written; every other field of the answer
    /// is compared with its old base in the next round, so that an edit by others is seen and not swallowed. `false` if the
    /// task's link is gone or its record changed meanwhile: what was written is for the next run to look at.
    pub(super) async fn settle_written(
        &mut self,
        mapping: &Mapping,
        job: Job,
        written: WrittenTask,
        lens: &Lens<'_>,
    ) -> Result<bool, RunError> {
        let mut unit = Unit {
            intents: vec![settled(job.intent.clone(), true)],
            ..Unit::default()
        };
        let (mut link, expected) = match &job.intent.operation {
            IntentOperation::Update {
                link_id, external_id, ..
            } => {
                let Some(link) = self.link_to(*link_id, external_id).await? else {
                    self.lost_link(job, unit).await?;
                    return Ok(false);
                };
                let expected = Some(link.version);
                (link, expected)
            }
            _ => {
                let new = Link::new(mapping, job.intent.task_id, written.task.id.clone(), self.now());
                let (mut link, expected) = self.in_place_of_a_gone_one(mapping, new).await?;
                link.external_url.clone_from(&written.task.url);
                self.adopt_unsent(&mut link, &job, &written, lens).await?;
                (link, expected)
            }
        };
        for (field, sent) in &job.fields {
            match replaced(*field, sent, &written) {
                Some(remote) => put_in_place(&mut link, *field, sent, remote),
                None => {
                    let base = base_after(*field, sent, &written);
                    link.refusals.remove(field);
                    if rule_of(&job, *field) == Rule::Undone {
                        link.refusals.extend(taken_back(*field, sent, &base));
                    }
                    link.bases.insert(*field, base);
                }
            }
        }
        if written.task.project != mapping.external_id
            && let Some(target) = self.mapping_of(&written.task).await?
        {
            if !matches!(job.intent.operation, IntentOperation::Create { .. }) {
                let (before, after) = (&mapping.external_name, &target.external_name);
                let told = self.history_of_item(&job.intent, Rule::Moved, before, after);
                unit.history.push(told);
            }
            link.mapping_id = target.id;
        }
        link.last_sync_at = Some(self.now());
        let conflicted = self.record_losers(&link, &job, &written, lens, &mut unit);
        self.record_history(&job, lens, &mut unit);
        self.tell_who(&mapping.external_id, &mut unit).await?;
        unit.links.push(LinkWrite {
            link: Box::new(link),
            expected,
        });
        if !self.commit_unit(unit).await? {
            let detail = "the hub's record of it changed meanwhile; the next run settles it".to_owned();
            self.leave(&job.intent, SkipReason::Unsettled, detail.clone());
            self.tally.failed(
                job.intent.task_id,
                &job.entry.title,
                job.entry.external_id.clone(),
                detail,
            );
            return Ok(false);
        }
        let mut entry = job.entry;
        entry.external_id = Some(written.task.id);
        let conflicted = conflicted || entry.conflicted;
        self.pushed(&entry, conflicted);
        Ok(true)
    }

    /// A new link, or the one that the task has here, turned: its item was gone before a person brought the task back. With
    /// the version that the row is expected to have.
    pub(super) async fn in_place_of_a_gone_one(
        &self,
        mapping: &Mapping,
        new: Link,
    ) -> Result<(Link, Option<RowVersion>), RunError> {
        let links = self.store.links_of_tasks(vec![new.task_id]).await?;
        let gone = links.into_iter().find(|link| {
            link.connection_id == new.connection_id && matches!(link.state, LinkState::Restored | LinkState::GoneLocal)
        });
        Ok(match gone {
            Some(gone) => {
                let turned = gone.turned_to(mapping, new.external_id, self.now());
                (
                    Link {
                        bases: new.bases,
                        ..turned
                    },
                    Some(gone.version),
                )
            }
            None => (new, None),
        })
    }

    /// The link that a write was made for, if it still leads to the item that was written. A person may have removed it, or have
    /// turned it to another item, of which the write says nothing.
    pub(super) async fn link_to(&self, link: LinkId, item: &ExternalId) -> Result<Option<Link>, RunError> {
        let link = self.store.link(link).await?;
        Ok(link.filter(|link| link.external_id == *item))
    }

    async fn lost_link(&mut self, job: Job, unit: Unit) -> Result<(), RunError> {
        self.commit_unit(unit).await?;
        let detail = "its link was removed or turned to another item meanwhile".to_owned();
        self.tally
            .failed(job.intent.task_id, &job.entry.title, job.entry.external_id, detail);
        Ok(())
    }

    async fn mapping_of(&self, task: &RemoteTask) -> Result<Option<Mapping>, RunError> {
        let mappings = self.store.mappings(self.settings.id).await?;
        Ok(mappings.into_iter().find(|mapping| mapping.external_id == task.project))
    }

    /// After a create: what was not sent is not agreed, unless the tool's own value means the same. A value that the tool
    /// does not give by itself, and that somebody else may have typed since, is first contact.
    async fn adopt_unsent(
        &self,
        link: &mut Link,
        job: &Job,
        written: &WrittenTask,
        lens: &Lens<'_>,
    ) -> Result<(), RunError> {
        let tasks = self.store.tasks(vec![job.intent.task_id]).await?;
        let Some(task) = tasks.first() else { return Ok(()) };
        let refused = self.create_refusals.get(&task.id);
        for field in self.capabilities.fields.keys() {
            let Some(observed) = written.task.fields.get(field) else {
                continue;
            };
            if job.fields.contains_key(field) {
                continue;
            }
            let base = unsent_base(*field, task, observed.derived, &observed.value, lens);
            let typed = !written.sole_writer && !lens.is_default(*field, &observed.value);
            if typed && base.local == LocalBase::Unsent {
                continue;
            }
            link.bases.insert(*field, base);
            if let Some(reason) = refused.and_then(|refused| refused.get(field)) {
                let refusal = Refusal {
                    local: task.get(*field),
                    remote: observed.value.clone(),
                    reason: reason.clone(),
                    cause: RefusalCause::Refused,
                };
                link.refusals.insert(*field, refusal);
            }
        }
        Ok(())
    }

    /// Puts on record what this write has overwritten: what the plan decided against, and, on a tool without versions,
    /// what somebody wrote between our reading and our writing.
    fn record_losers(&self, link: &Link, job: &Job, written: &WrittenTask, lens: &Lens<'_>, unit: &mut Unit) -> bool {
        let mut conflicted = false;
        for (field, sent) in &job.fields {
            let rule = job.entry.changes.iter().find(|change| change.field == *field);
            let rule = rule.and_then(|change| change.note.clone()).unwrap_or_default();
            if let Some(loser) = &sent.loser {
                let remote = sent.seen.clone().unwrap_or(RemoteValue::NULL);
                let loser = Loser {
                    value: loser.clone(),
                    remote,
                    reason: rule.clone(),
                    changed_at: job.seen_at,
                };
                unit.conflicts
                    .push(self.loser(link, job.intent.task_id, *field, sent, loser));
                conflicted = true;
            }
            let before = written.before.as_ref().and_then(|before| before.value(*field));
            if let (Some(before), Some(seen)) = (before, &sent.seen)
                && before != seen
                && *before != sent.sent
            {
                let reason = "edited in the tool between our reading and our writing".to_owned();
                let loser = Loser {
                    value: decoded(lens, *field, before),
                    remote: before.clone(),
                    reason,
                    changed_at: written.before.as_ref().and_then(|before| before.updated_at),
                };
                unit.conflicts
                    .push(self.loser(link, job.intent.task_id, *field, sent, loser));
                conflicted = true;
            }
        }
        conflicted
    }

    fn loser(&self, link: &Link, task: TaskId, field: Field, sent: &IntentField, loser: Loser) -> ConflictWrite {
        let now = self.now();
        let conflict = Conflict {
            id: ConflictId::generate(),
            connection_id: link.connection_id,
            link_id: link.id,
            task_id: task,
            external_id: link.external_id.clone(),
            field,
            base: None,
            local: sent.local.clone(),
            remote: loser.remote,
            remote_value: loser.value,
            local_change: LastChange::default(),
            remote_change: LastChange::at(loser.changed_at),
            state: ConflictState::Decided,
            policy: self.settings.options.conflicts,
            loser: Some(Side::External),
            reason: loser.reason,
            run_id: Some(self.context.run_id),
            created_at: now,
            updated_at: now,
            resolved_at: Some(now),
            resolved_by: None,
            version: RowVersion::default(),
        };
        ConflictWrite {
            conflict: Box::new(conflict),
            expected: None,
        }
    }

    fn record_history(&self, job: &Job, lens: &Lens<'_>, unit: &mut Unit) {
        for (field, sent) in &job.fields {
            let rule = rule_of(job, *field);
            let mut entry = self.history_of(&job.intent, *field, sent, rule);
            if let Some(seen) = &sent.seen {
                entry.before = decoded(lens, *field, seen);
            }
            // What is undone is the tool's own value of then, and the hub may hold another one.
            if rule == Rule::Undone {
                entry.after = decoded(lens, *field, &sent.sent);
            }
            unit.history.push(entry);
        }
    }

    /// That a field was written in the tool where nothing was, on record for the run that sent it.
    pub(super) fn history_of(&self, intent: &Intent, field: Field, sent: &IntentField, rule: Rule) -> HistoryEntry {
        HistoryEntry {
            task_id: intent.task_id,
            run_id: Some(intent.run_id),
            connection_id: Some(intent.connection_id),
            field: Some(field),
            before: Value::Empty,
            after: sent.local.clone(),
            side: Side::External,
            rule,
            at: self.now(),
        }
    }

    /// What befell an item of the tool as a whole, on record for the run that sent it.
    pub(super) fn history_of_item(&self, intent: &Intent, rule: Rule, before: &str, after: &str) -> HistoryEntry {
        let value = |text: &str| {
            if text.is_empty() {
                Value::Empty
            } else {
                Value::text(text)
            }
        };
        HistoryEntry {
            task_id: intent.task_id,
            run_id: Some(intent.run_id),
            connection_id: Some(intent.connection_id),
            field: None,
            before: value(before),
            after: value(after),
            side: Side::External,
            rule,
            at: self.now(),
        }
    }
}

/// Why a field was sent.
fn rule_of(job: &Job, field: Field) -> Rule {
    let note = job.entry.changes.iter().find(|change| change.field == field);
    note.and_then(|change| change.note.as_deref()?.parse().ok())
        .unwrap_or(Rule::Created)
}

/// What goes by what it stands for would be sent again although neither side moved: a parent that is another one in the hub,
/// a status that the tables do not know.
fn taken_back(field: Field, sent: &IntentField, base: &Base) -> Option<(Field, Refusal)> {
    let RemoteBase::Agreed(remote) = &base.remote else {
        return None;
    };
    let refusal = Refusal {
        local: sent.local.clone(),
        remote: remote.clone(),
        reason: "a person has undone it".to_owned(),
        cause: RefusalCause::Undone,
    };
    matches!(field, Field::Parent | Field::Status).then_some((field, refusal))
}

struct Loser {
    value: Value,
    remote: RemoteValue,
    reason: String,
    changed_at: Option<Timestamp>,
}

/// The bases of a field that was written.
///
/// If the tool's version proves that nobody else wrote, what stands there is our value in the tool's form. Otherwise what
/// differs from the form we expected counts as somebody's edit, and is seen as such next.
fn base_after(field: Field, sent: &IntentField, written: &WrittenTask) -> Base {
    let remote = match written.task.value(field) {
        Some(value) if written.sole_writer || *value == sent.sent => value.clone(),
        _ => sent.sent.clone(),
    };
    Base::agreed(sent.local.clone(), remote)
}

/// The value that stands where the tool did not take ours. Of a new item another reference is the tool's own, also if it was
/// saved again meanwhile: nobody knew of it yet.
fn replaced<'a>(field: Field, sent: &IntentField, written: &'a WrittenTask) -> Option<&'a RemoteValue> {
    let value = written.task.value(field)?;
    let by_tool = written.sole_writer || (refers(field) && sent.seen.is_none());
    (by_tool && is_replaced(field, sent, value)).then_some(value)
}

/// Nothing was agreed on: ours is held as refused until either side moves.
pub(super) fn put_in_place(link: &mut Link, field: Field, sent: &IntentField, remote: &RemoteValue) {
    let base = Base {
        local: LocalBase::Unsent,
        remote: RemoteBase::Agreed(remote.clone()),
    };
    link.bases.insert(field, base);
    let refusal = Refusal {
        local: sent.local.clone(),
        remote: remote.clone(),
        reason: "the tool put another value in its place".to_owned(),
        cause: RefusalCause::Refused,
    };
    link.refusals.insert(field, refusal);
}

fn unsent_base(field: Field, task: &Task, derived: bool, raw: &RemoteValue, lens: &Lens<'_>) -> Base {
    let local = task.get(field);
    let both_default = local.is_hub_default() && lens.is_default(field, raw);
    let agreed = derived || both_default || decoded(lens, field, raw).is_same(&local, field);
    let local = if agreed {
        LocalBase::Agreed(local)
    } else {
        LocalBase::Unsent
    };
    Base {
        local,
        remote: RemoteBase::Agreed(raw.clone()),
    }
}
