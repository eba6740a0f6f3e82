//! Before anything else: what became of the writes that an earlier run left open.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::push::{decoded, settled};
use super::session::{Session, Tables};
use super::{Phase, RunError};
use crate::connection::{FindCreated, ReadTask, Reading};
use crate::model::{
    Base, Conflict, ConflictId, ConflictState, ExternalId, Field, Intent, IntentField, IntentOperation, IntentState,
    Link, LinkState, Mapping, RemoteTask, RemoteValue, RowVersion, Side, text,
};
use crate::reconcile::{Lens, References};
use crate::store::{ConflictWrite, LinkWrite, Unit};

/// A create that is not found is sent again only when this much time has passed: the lease and a request's longest
/// time, so that it cannot land after we looked.
const SETTLE_AFTER: chrono::TimeDelta = chrono::TimeDelta::seconds(60);

impl Session {
    /// Settles open intents. What cannot be settled blocks its task, and an open create holds all imports.
    pub(super) async fn recover(&mut self, mappings: &[Mapping], tables: &Tables) -> Result<(), RunError> {
        let intents = self.store.unsettled_intents(self.settings.id).await?;
        if intents.is_empty() {
            return Ok(());
        }
        self.context.report(|progress| progress.phase = Phase::Settling);
        let mut references = References::default();
        for link in self.store.links(self.settings.id).await? {
            references.join(link.task_id, link.external_id);
        }
        let creates: Vec<Intent> = intents
            .iter()
            .filter(|intent| is_open_create(intent))
            .cloned()
            .collect();
        let mut adopted = HashSet::new();
        for intent in intents {
            self.checkpoint()?;
            let mapping = mappings.iter().find(|mapping| mapping.id == intent.mapping_id);
            let (IntentState::Open, Some(mapping)) = (&intent.state, mapping) else {
                self.leave(&intent, "its earlier write is not settled".to_owned());
                continue;
            };
            let lens = Lens::new(tables.as_ref(), &mapping.external_id, &references);
            match &intent.operation {
                IntentOperation::Create { project, greatest_seen } => {
                    let request = FindCreated {
                        project: project.clone(),
                        after: greatest_seen.clone(),
                    };
                    self.settle_create(&intent, mapping, request, &creates, &mut adopted)
                        .await?;
                }
                IntentOperation::Update { .. } => self.settle_update(&intent, mapping, &lens).await?,
                IntentOperation::Delete { .. } => self.settle_delete(&intent, mapping).await?,
            }
        }
        Ok(())
    }

    fn leave(&mut self, intent: &Intent, reason: String) {
        self.blocked.insert(intent.task_id, format!("unsettled: {reason}"));
        self.report.problems.push(format!(
            "the write for task {} is not settled: {reason}",
            intent.task_id
        ));
        if matches!(intent.operation, IntentOperation::Create { .. }) {
            let hold = "create_unsettled: an earlier create is not settled; nothing new is taken over meanwhile";
            self.no_import = Some(hold.to_owned());
        }
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
        let Some(link) = self.store.link(*link_id).await? else {
            self.commit_unit(closing(intent, false)).await?;
            return Ok(());
        };
        let request = ReadTask {
            id: external_id.clone(),
            project: mapping.external_id.clone(),
        };
        let reading = self.connection.read(vec![request]).await?.pop();
        let remote = match reading {
            Some(Reading::Denied) | None => {
                self.leave(intent, "the tool does not let us look".to_owned());
                return Ok(());
            }
            Some(reading) => reading.into_task(),
        };
        let mut after = link.clone();
        let mut unit = closing(intent, true);
        let mut maybe_applied = remote.is_none();
        if let Some(remote) = &remote {
            let moved = remote.version != *version;
            for (field, sent) in &intent.fields {
                let now = remote.value(*field);
                if now == Some(&sent.sent) {
                    after
                        .bases
                        .insert(*field, Base::agreed(sent.local.clone(), sent.sent.clone()));
                    maybe_applied = true;
                } else if let (Some(now), Some(seen)) = (now, &sent.seen)
                    && (now != seen || moved)
                {
                    maybe_applied = true;
                    if now == seen {
                        // Ours may have landed and been set back by somebody: before it is sent again, that value goes
                        // on record.
                        let value = decoded(lens, *field, now);
                        unit.conflicts
                            .push(self.settled_loser(&link, *field, sent, value, now.clone()));
                    }
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
        self.commit_unit(unit).await?;
        Ok(())
    }

    fn settled_loser(
        &self,
        link: &Link,
        field: Field,
        sent: &IntentField,
        value: crate::model::Value,
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
        let IntentOperation::Delete { link_id, external_id } = &intent.operation else {
            return Ok(());
        };
        let request = ReadTask {
            id: external_id.clone(),
            project: mapping.external_id.clone(),
        };
        match self.connection.read(vec![request]).await?.pop() {
            Some(Reading::Absent) => {
                let mut unit = closing(intent, true);
                self.mark_gone_local(*link_id, &mut unit).await?;
                self.commit_unit(unit).await?;
            }
            Some(Reading::Denied) | None => self.leave(intent, "the tool does not let us look".to_owned()),
            Some(_) => {
                self.commit_unit(closing(intent, false)).await?;
            }
        }
        Ok(())
    }

    /// A lost create: found once → linked; surely not there and enough time gone → sent again; else held.
    async fn settle_create(
        &mut self,
        intent: &Intent,
        mapping: &Mapping,
        request: FindCreated,
        creates: &[Intent],
        adopted: &mut HashSet<ExternalId>,
    ) -> Result<(), RunError> {
        let links: HashMap<_, _> = self
            .store
            .links(self.settings.id)
            .await?
            .into_iter()
            .map(|link| (link.external_id.clone(), link))
            .collect();
        if links.values().any(|link| link.task_id == intent.task_id) {
            self.commit_unit(closing(intent, true)).await?;
            return Ok(());
        }
        let found = self.connection.find_created(request).await?;
        let candidates: Vec<&RemoteTask> = found
            .iter()
            .filter(|task| !links.contains_key(&task.id) && !adopted.contains(&task.id))
            .collect();
        if candidates.is_empty() {
            if self.now() - intent.created_at >= SETTLE_AFTER {
                self.commit_unit(closing(intent, false)).await?;
            } else {
                self.leave(intent, "it may still be on its way; a later run looks again".to_owned());
            }
            return Ok(());
        }
        let title = sent_title(&intent.fields);
        let same = |task: &&&RemoteTask| text::canonical_title(task.title()) == title;
        let matching: Vec<&RemoteTask> = candidates.iter().filter(same).copied().collect();
        let rivals = creates
            .iter()
            .filter(|other| sent_title(&other.fields) == title)
            .count();
        let [only] = matching.as_slice() else {
            let reason = format!(
                "{} new items of ours in the tool may be it, {} with its title; look and decide",
                candidates.len(),
                matching.len()
            );
            return self.hold(intent, reason).await;
        };
        if rivals != 1 || only.project != mapping.external_id {
            return self
                .hold(intent, "several open creates have this title".to_owned())
                .await;
        }
        adopted.insert(only.id.clone());
        let mut link = Link::new(mapping, intent.task_id, only.id.clone(), self.now());
        link.external_url.clone_from(&only.url);
        for (field, sent) in &intent.fields {
            link.bases
                .insert(*field, Base::agreed(sent.local.clone(), sent.sent.clone()));
        }
        link.state = LinkState::Live;
        let mut unit = closing(intent, true);
        unit.links.push(LinkWrite {
            link: Box::new(link),
            expected: None,
        });
        self.commit_unit(unit).await?;
        Ok(())
    }

    async fn hold(&mut self, intent: &Intent, reason: String) -> Result<(), RunError> {
        let mut held = intent.clone();
        held.state = IntentState::Uncertain { reason: reason.clone() };
        self.commit_unit(Unit {
            intents: vec![held],
            ..Unit::default()
        })
        .await?;
        self.leave(intent, reason);
        Ok(())
    }
}

fn is_open_create(intent: &Intent) -> bool {
    matches!(intent.operation, IntentOperation::Create { .. }) && intent.state == IntentState::Open
}

fn closing(intent: &Intent, applied: bool) -> Unit {
    Unit {
        intents: vec![settled(intent.clone(), applied)],
        ..Unit::default()
    }
}

fn sent_title(fields: &BTreeMap<Field, IntentField>) -> String {
    let title = fields
        .get(&Field::Title)
        .and_then(|field| field.sent.as_text())
        .unwrap_or_default();
    text::canonical_title(title)
}
