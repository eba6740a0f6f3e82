//! Before anything else: what became of the writes that an earlier run left open.

use std::collections::BTreeMap;

use super::lost_creates::STRANGERS_AFTER;
use super::observe::Sight;
use super::push::{decoded, settled};
use super::session::{Session, Tables};
use super::settle::put_in_place;
use super::{Phase, RunError};
use crate::model::{
    Base, Conflict, ConflictId, ConflictState, ExternalId, Field, Intent, IntentField, IntentOperation, IntentState,
    LastChange, Link, LocalBase, Mapping, MappingId, MappingState, RemoteTask, RemoteValue, RowVersion, Rule, Side,
    SkipReason, Value,
};
use crate::reconcile::{Fate, Lens, References, fates};
use crate::store::{ConflictWrite, LinkWrite, Unit};

impl Session {
    /// Settles open intents. What cannot be settled blocks its task, and an open create holds all imports.
    pub(super) async fn recover(&mut self, mappings: &[Mapping], tables: &Tables) -> Result<(), RunError> {
        let intents = self.store.unsettled_intents(self.settings.id).await?;
        if intents.is_empty() {
            return Ok(());
        }
        self.context.report(|progress| progress.phase = Phase::Settling);
        let mut references = References::default();
        for link in self.store.link_index(self.settings.id).await? {
            references.join(link.task_id, link.external_id);
        }
        let mut creates = Vec::new();
        let stored = self.store.mappings(self.settings.id).await?;
        let is_out = |mapping: &&Mapping| !mapping.enabled || matches!(mapping.state, MappingState::Suspended { .. });
        let out: Vec<MappingId> = stored.iter().filter(is_out).map(|mapping| mapping.id).collect();
        for intent in intents {
            self.checkpoint()?;
            let mapping = mappings.iter().find(|mapping| mapping.id == intent.mapping_id);
            let (IntentState::Open, Some(mapping)) = (&intent.state, mapping) else {
                let words = "its project is not in step now";
                match &intent.state {
                    IntentState::Uncertain { reason } => self.leave(&intent, SkipReason::Uncertain, reason.clone()),
                    // Nobody knows whether it ever will be, and nothing new is taken over meanwhile.
                    _ if is_create(&intent)
                        && out.contains(&intent.mapping_id)
                        && !self.was_sent_within(&intent, STRANGERS_AFTER).await? =>
                    {
                        self.hold(&intent, format!("{words}; look and decide")).await?;
                    }
                    _ => self.leave(&intent, SkipReason::Unsettled, words.to_owned()),
                }
                continue;
            };
            let lens = Lens::new(tables.as_ref(), &mapping.external_id, &references);
            match &intent.operation {
                IntentOperation::Create { .. } => creates.push((intent, mapping)),
                IntentOperation::Update { .. } => self.settle_update(&intent, mapping, &lens).await?,
                IntentOperation::Delete { .. } => self.settle_delete(&intent, mapping).await?,
            }
        }
        self.in_a_row.clear();
        self.settle_creates(creates).await
    }

    pub(super) fn leave(&mut self, intent: &Intent, code: SkipReason, reason: String) {
        self.blocked.insert(intent.task_id, code.because(reason.clone()));
        self.report.problems.push(format!(
            "the write for task {} is not settled: {reason}",
            intent.task_id
        ));
        if is_create(intent) {
            let hold = "an earlier create is not settled; nothing new is taken over meanwhile";
            self.no_import = Some(SkipReason::CreateUnsettled.because(hold));
        }
    }

    /// Looks at the item of a write. Where it cannot be told what is there, the write is left for a later run: one item that a
    /// tool cannot show must not stop all others.
    async fn look_or_leave(
        &mut self,
        intent: &Intent,
        item: &ExternalId,
        mapping: &Mapping,
    ) -> Result<Sight, RunError> {
        let sight = match self.read_one(item, mapping).await {
            Ok(sight) => {
                self.in_a_row.clear();
                sight
            }
            Err(error) if self.ends_looking(error.kind()) => return Err(error.into()),
            Err(error) => Sight::Unsure(format!("its item could not be read: {error}")),
        };
        if let Sight::Unsure(words) = &sight {
            self.leave(intent, SkipReason::Unsettled, words.clone());
        }
        Ok(sight)
    }

    /// Remote equals what was seen: not applied. Equals what was sent: applied. Else an ordinary merge with the old bases.
    async fn settle_update(&mut self, intent: &Intent, mapping: &Mapping, lens: &Lens<'_>) -> Result<(), RunError> {
        let IntentOperation::Update {
            link_id,
            external_id,
            version,
        } = &intent.operation
        else {
            return Ok(());
        };
        let Some(link) = self.link_to(*link_id, external_id).await? else {
            self.commit_settled(intent, closing(intent, false)).await?;
            return Ok(());
        };
        let remote = match self.look_or_leave(intent, external_id, mapping).await? {
            Sight::There(remote) => Some(remote),
            Sight::Gone => None,
            Sight::Unsure(_) => return Ok(()),
        };
        let fates = remote.as_ref().map_or_else(BTreeMap::new, |remote| {
            fates(&intent.fields, version.as_ref(), remote, &self.capabilities)
        });
        // A tool without versions takes what comes late as it takes anything else: over whatever was sent to it meanwhile.
        if !self.capabilities.versions
            && !fates.values().all(Fate::has_arrived)
            && self.leave_if_on_its_way(intent).await?
        {
            return Ok(());
        }
        let mut after = link.clone();
        let mut unit = closing(intent, true);
        let mut maybe_applied = remote.is_none();
        for (field, fate) in fates {
            let Some(sent) = intent.fields.get(&field) else {
                continue;
            };
            maybe_applied |= fate != Fate::NotApplied;
            if matches!(fate, Fate::Applied | Fate::InItsForm(_)) {
                let mut entry = self.history_of(intent, field, sent, Rule::OneMoved);
                entry.before = sent
                    .seen
                    .as_ref()
                    .map_or(Value::Empty, |seen| decoded(lens, field, seen));
                unit.history.push(entry);
            }
            match fate {
                Fate::NotApplied | Fate::Merge => {}
                Fate::Applied => {
                    let base = Base::agreed(sent.local.clone(), sent.sent.clone());
                    after.bases.insert(field, base);
                }
                Fate::InItsForm(now) => {
                    after.bases.insert(field, Base::agreed(sent.local.clone(), now));
                }
                Fate::Replaced(now) => put_in_place(&mut after, field, sent, &now),
                Fate::SetBack => {
                    // Before ours is sent again, what was set back to goes on record.
                    let now = sent.seen.clone().unwrap_or(RemoteValue::NULL);
                    let value = decoded(lens, field, &now);
                    unit.conflicts.push(self.settled_loser(&link, field, sent, value, now));
                }
                Fate::Yields(now) => {
                    if let Some(base) = after.bases.get_mut(&field) {
                        base.local = LocalBase::Agreed(sent.local.clone());
                    }
                    let value = decoded(lens, field, &now);
                    let mut write = self.settled_loser(&link, field, sent, value, now);
                    write.conflict.loser = Some(Side::Hub);
                    unit.conflicts.push(write);
                }
            }
        }
        if maybe_applied {
            for (field, sent) in &intent.fields {
                if let Some(loser) = &sent.loser {
                    let remote = sent.seen.clone().unwrap_or(RemoteValue::NULL);
                    unit.conflicts
                        .push(self.settled_loser(&link, *field, sent, loser.clone(), remote));
                }
            }
        } else {
            unit = closing(intent, false);
        }
        if after != link {
            unit.links.push(LinkWrite {
                link: Box::new(after),
                expected: Some(link.version),
            });
        }
        self.tell_who(&mapping.external_id, &mut unit).await?;
        self.commit_settled(intent, unit).await?;
        Ok(())
    }

    fn settled_loser(
        &self,
        link: &Link,
        field: Field,
        sent: &IntentField,
        value: Value,
        remote: RemoteValue,
    ) -> ConflictWrite {
        let now = self.now();
        let conflict = Conflict {
            id: ConflictId::generate(),
            connection_id: link.connection_id,
            link_id: link.id,
            task_id: link.task_id,
            external_id: link.external_id.clone(),
            field,
            base: None,
            local: sent.local.clone(),
            remote,
            remote_value: value,
            local_change: LastChange::default(),
            remote_change: LastChange::default(),
            state: ConflictState::Decided,
            policy: self.settings.options.conflicts,
            loser: Some(Side::External),
            reason: "recorded when a lost write was settled".to_owned(),
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

    async fn settle_delete(&mut self, intent: &Intent, mapping: &Mapping) -> Result<(), RunError> {
        let IntentOperation::Delete { external_id, .. } = &intent.operation else {
            return Ok(());
        };
        match self.look_or_leave(intent, external_id, mapping).await? {
            Sight::Unsure(_) => {}
            Sight::There(remote) if !is_archived(intent, &remote) => {
                if !self.leave_if_on_its_way(intent).await? {
                    self.commit_settled(intent, closing(intent, false)).await?;
                }
            }
            Sight::Gone | Sight::There(_) => {
                let mut unit = closing(intent, true);
                let tasks = self.store.tasks(vec![intent.task_id]).await?;
                let title = tasks.into_iter().next().map(|task| task.title);
                let title = title.unwrap_or_default();
                unit.history
                    .push(self.history_of_item(intent, Rule::Deleted, &title, ""));
                self.mark_gone(intent, &mut unit).await?;
                self.commit_settled(intent, unit).await?;
            }
        }
        Ok(())
    }

    pub(super) async fn hold(&mut self, intent: &Intent, reason: String) -> Result<(), RunError> {
        let mut held = intent.clone();
        held.state = IntentState::Uncertain { reason: reason.clone() };
        self.commit_unit(Unit {
            intents: vec![held],
            ..Unit::default()
        })
        .await?;
        self.leave(intent, SkipReason::Uncertain, reason);
        Ok(())
    }
}

const fn is_create(intent: &Intent) -> bool {
    matches!(intent.operation, IntentOperation::Create { .. })
}

/// Whether an item has been archived by this write.
fn is_archived(intent: &Intent, remote: &RemoteTask) -> bool {
    let sent = intent.fields.get(&Field::Status).map(|archived| &archived.sent);
    sent.is_some() && remote.value(Field::Status) == sent
}

pub(super) fn closing(intent: &Intent, applied: bool) -> Unit {
    Unit {
        intents: vec![settled(intent.clone(), applied)],
        ..Unit::default()
    }
}
