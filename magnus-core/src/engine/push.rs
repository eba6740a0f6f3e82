//! Sends a plan's writes to the tool: intent, write, settlement.

use std::collections::{BTreeMap, HashMap};

use super::job::Job;
use super::observe::HubView;
use super::session::{Active, Session, Tables};
use super::shown::describe;
use super::tally::Ending;
use super::{RunError, RunErrorKind};
use crate::connection::{ConnectionError, ConnectionErrorKind, Outcome, RemoteWrite, Written};
use crate::model::{
    ExternalId, Field, Intent, IntentOperation, IntentState, Link, LinkState, Mapping, RemoteTask, RemoteValue, Task,
    TaskId, Value,
};
use crate::reconcile::{Entry, Lens, Push, References, Sightings, still_wanted};
use crate::store::Unit;

impl Session {
    /// Sends what a round of one mapping has for the tool. Children are deleted before parents, parents created before
    /// children. What the tool made of it goes into the observation, for the next round to look at.
    pub(super) async fn push(
        &mut self,
        actives: &mut [Active],
        index: usize,
        tables: &Tables,
        view: &HubView,
        entries: Vec<Entry>,
    ) -> Result<(), RunError> {
        let mut references = References::default();
        for link in view.links.iter().filter(|link| link.state == LinkState::Live) {
            references.join(link.task_id, link.external_id.clone());
        }
        let mut stages: BTreeMap<(u8, i64, i64), Vec<Entry>> = BTreeMap::new();
        for entry in entries {
            let stage = stage(&entry, view, &actives[index].observation.tasks);
            stages.entry(stage).or_default().push(entry);
        }
        let mut left: u64 = stages.values().map(|entries| count(entries.len())).sum();
        let mut stages = stages.into_iter();
        while let Some(((kind, ..), entries)) = stages.next() {
            let looks_first = kind == DELETIONS && self.capabilities.delete_cascades;
            let mut rest = entries.into_iter().peekable();
            while rest.peek().is_some() {
                self.checkpoint()?;
                let foreseen = self.foreseen(left);
                self.context.report(|progress| progress.foreseen_seconds = foreseen);
                // Asked anew each time: a connection learns from its answers how much it may send at once.
                let size = self.connection.capabilities().batch_size.max(1);
                // What has got children meanwhile takes them along: that is looked at right before each.
                let size = if looks_first { 1 } else { size };
                let batch: Vec<Entry> = rest.by_ref().take(size).collect();
                let taken = count(batch.len());
                left -= taken;
                let mut batch = self.still_wanted(&actives[index].mapping, batch).await?;
                if looks_first {
                    batch = self.keep_foreign_children(&actives[index].mapping, view, batch).await?;
                }
                let dropped = taken - count(batch.len());
                self.context.report(|progress| progress.done += dropped);
                if batch.is_empty() {
                    continue;
                }
                self.push_batch(actives, index, tables, &mut references, batch).await?;
                if self.in_a_row.is_not_allowed() {
                    let left = rest.chain(stages.flat_map(|(_, entries)| entries));
                    self.give_up_on(&actives[index].mapping.external_name, left);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    async fn push_batch(
        &mut self,
        actives: &mut [Active],
        index: usize,
        tables: &Tables,
        references: &mut References,
        entries: Vec<Entry>,
    ) -> Result<(), RunError> {
        let greatest_seen = self.greatest_seen.clone();
        let jobs: Vec<Job> = entries
            .into_iter()
            .filter_map(|entry| self.job(&actives[index], entry, references, greatest_seen.as_ref()))
            .collect();
        let journal = jobs
            .iter()
            .map(|job| Unit {
                intents: vec![job.intent.clone()],
                ..Unit::default()
            })
            .collect();
        let refused = self.commit_units(journal).await?;
        if !refused.is_empty() {
            return Err(self.error(
                RunErrorKind::Store,
                "the hub did not take a journal entry; nothing was sent",
            ));
        }
        // Somebody who cancels now is heard after this batch: an entry of the journal that was never sent would make the
        // next run wait until it surely cannot land any more.
        self.still_holds()?;
        let writes: Vec<RemoteWrite> = jobs.iter().map(|job| job.write.clone()).collect();
        let asked = writes.len();
        let mut results = self.connection.write(writes).await;
        while results.len() < asked {
            // An adapter that answers too little leaves the rest unknown; the journal settles it.
            results.push(Err(ConnectionError::new(
                ConnectionErrorKind::Protocol,
                "write",
                "no answer for this write",
            )
            .with_outcome(Outcome::Unknown)));
        }
        for (job, result) in jobs.into_iter().zip(results) {
            let project = actives[index].mapping.external_id.clone();
            let lens = Lens::new(tables.as_ref(), &project, references);
            match result {
                Ok(Written::Task(written)) if matches!(job.intent.operation, IntentOperation::Delete { .. }) => {
                    self.in_a_row.clear();
                    self.report.remote_writes += 1;
                    self.settle_deleted(job).await?;
                    see(actives, index, written.task);
                }
                Ok(Written::Task(written)) => {
                    self.in_a_row.clear();
                    self.report.remote_writes += 1;
                    let external = written.task.id.clone();
                    let task = job.intent.task_id;
                    let after = written.task.clone();
                    self.note_seen([&external]);
                    if self
                        .settle_written(&actives[index].mapping, job, *written, &lens)
                        .await?
                    {
                        references.join(task, external.clone());
                        see(actives, index, after);
                    }
                }
                Ok(Written::Deleted) => {
                    self.in_a_row.clear();
                    self.report.remote_writes += 1;
                    if let IntentOperation::Delete { external_id, .. } = &job.intent.operation {
                        actives[index].observation.tasks.remove(external_id);
                    }
                    self.settle_deleted(job).await?;
                }
                Err(error) => self.settle_failed(actives, index, job, error).await?,
            }
        }
        let counts = self.tally.counts();
        self.context.report(|progress| {
            progress.done += count(asked);
            progress.counts.tasks = counts;
        });
        self.ends_with.take().map_or(Ok(()), Err)
    }

    /// A round may send for minutes, and people go on meanwhile. What the hub no longer wants is not sent; the next round
    /// decides on it anew.
    async fn still_wanted(&self, mapping: &Mapping, mut entries: Vec<Entry>) -> Result<Vec<Entry>, RunError> {
        let ids: Vec<TaskId> = entries.iter().filter_map(|entry| entry.task_id).collect();
        let tasks = self.store.tasks(ids.clone()).await?;
        let links = self.store.links_of_tasks(ids).await?;
        let tasks: HashMap<TaskId, &Task> = tasks.iter().map(|task| (task.id, task)).collect();
        let here = links.iter().filter(|link| link.connection_id == mapping.connection_id);
        let links: HashMap<TaskId, &Link> = here.map(|link| (link.task_id, link)).collect();
        entries.retain(|entry| {
            let Some(id) = entry.task_id else { return true };
            let (task, link) = (tasks.get(&id).copied(), links.get(&id).copied());
            entry
                .push
                .as_ref()
                .is_none_or(|push| still_wanted(push, mapping, task, link))
        });
        Ok(entries)
    }

    /// Notes that an entry came through.
    pub(super) fn pushed(&mut self, entry: &Entry, conflicted: bool) {
        let ending = match entry.action {
            _ if conflicted => Ending::Conflicted,
            Some(action) => Ending::of(action),
            None => Ending::Updated,
        };
        self.tally.entry(entry, ending, describe(entry));
    }
}

fn count(items: usize) -> u64 {
    u64::try_from(items).unwrap_or(u64::MAX)
}

const CHANGES: u8 = 0;
const CREATIONS: u8 = 1;
const DELETIONS: u8 = 2;

/// Changes first, so that children are detached from what is deleted; then creations, parents before children; then
/// deletions, children before parents: by what is below what in the tool, which may take children along, and then by the hub.
fn stage(entry: &Entry, view: &HubView, shown: &Sightings) -> (u8, i64, i64) {
    match &entry.push {
        Some(Push::Delete {
            task_id, external_id, ..
        }) => (
            DELETIONS,
            -ancestors_in_tool(external_id, shown),
            -ancestors(*task_id, view),
        ),
        Some(Push::Create { depth, .. }) => (CREATIONS, i64::try_from(*depth).unwrap_or(i64::MAX), 0),
        // By what is above in the hub: then everything above stands there as it does here, and no parent closes a circle that
        // the next one would open.
        Some(Push::Update { task_id, fields, .. }) if fields.contains_key(&Field::Parent) => {
            (CHANGES, ancestors(*task_id, view), 0)
        }
        _ => (CHANGES, 0, 0),
    }
}

fn ancestors_in_tool(item: &ExternalId, shown: &Sightings) -> i64 {
    let above = |item: &ExternalId| shown.brief(item)?.parent.as_ref();
    let mut count = 0;
    let mut next = above(item);
    while let Some(parent) = next.filter(|_| count < 1000) {
        count += 1;
        next = above(parent);
    }
    count
}

fn ancestors(task: TaskId, view: &HubView) -> i64 {
    let mut count = 0;
    let mut next = view.tasks.get(&task).and_then(|task| task.parent_id);
    while let Some(parent) = next.filter(|_| count < 1000) {
        count += 1;
        next = view.tasks.get(&parent).and_then(|task| task.parent_id);
    }
    count
}

/// Puts what a write left behind where the next round looks for it.
pub(super) fn see(actives: &mut [Active], index: usize, task: RemoteTask) {
    let (external, project) = (task.id.clone(), task.project.clone());
    let owner = actives
        .iter()
        .position(|active| active.mapping.external_id == project)
        .unwrap_or(index);
    if owner != index {
        actives[index].observation.tasks.remove(&external);
    }
    let observation = &mut actives[owner].observation;
    observation.absent.remove(&external);
    if let Some(ids) = &mut observation.ids {
        ids.insert(external);
    }
    observation.tasks.insert(task);
}

pub(super) fn settled(mut intent: Intent, applied: bool) -> Intent {
    intent.state = IntentState::Settled {
        applied,
        by_person: false,
    };
    intent
}

/// A tool's value in the hub's form, for records; what cannot be resolved is shown as nothing.
pub(super) fn decoded(lens: &Lens<'_>, field: Field, value: &RemoteValue) -> Value {
    match lens.decode(field, value) {
        crate::connection::Decoded::Exact(value) | crate::connection::Decoded::Approximate(value) => value,
        crate::connection::Decoded::Unresolved(_) => Value::Empty,
    }
}
