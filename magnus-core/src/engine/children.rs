//! What a deletion would take along: looked at right before it is sent.

use std::collections::{HashMap, HashSet};

use super::RunError;
use super::observe::HubView;
use super::session::Session;
use super::tally::Ending;
use crate::connection::ReadTask;
use crate::model::{
    ExternalId, Field, HistoryEntry, Link, LinkState, LocalBase, Mapping, RemoteTask, Rule, Side, SkipReason, Task,
    TaskId, Value,
};
use crate::reconcile::{Entry, Push};
use crate::store::{TaskWrite, Unit};

impl Session {
    /// On a tool whose deletions take children along, a task with children stays. If they go by themselves, it waits for them;
    /// if somebody has put one beneath it that stays, it comes back in the hub.
    pub(super) async fn keep_foreign_children(
        &mut self,
        mapping: &Mapping,
        view: &HubView,
        entries: Vec<Entry>,
    ) -> Result<Vec<Entry>, RunError> {
        let mut kept = Vec::new();
        for entry in entries {
            let Some(Push::Delete {
                external_id, task_id, ..
            }) = &entry.push
            else {
                kept.push(entry);
                continue;
            };
            let request = ReadTask {
                id: external_id.clone(),
                project: mapping.external_id.clone(),
            };
            let detail = match self.connection.list_descendants(request).await {
                Ok(children) if children.is_empty() => {
                    kept.push(entry);
                    continue;
                }
                Ok(children) if self.all_go(*task_id, &children).await? => {
                    "it has children there that have not gone yet; it goes after them".to_owned()
                }
                Ok(_) if self.bring_back(*task_id).await? => {
                    "it has children there that would be deleted too, so it was brought back in the hub".to_owned()
                }
                Ok(_) => "it has children there that would be deleted too".to_owned(),
                Err(error) => format!("its children could not be listed: {error}"),
            };
            let reason = SkipReason::ChildrenInTool.because(detail);
            self.blocked.insert(*task_id, reason.clone());
            let title = view
                .tasks
                .get(task_id)
                .map_or(entry.title.as_str(), |task| task.title.as_str());
            let entry = Entry {
                title: title.to_owned(),
                push: None,
                reason: Some(reason.clone()),
                ..entry.clone()
            };
            self.tally.entry(&entry, Ending::Skipped, reason.to_string());
        }
        Ok(kept)
    }

    /// Whether all that is below in the tool goes from there by itself: it is deleted in the hub, too, or was put elsewhere there,
    /// and that has not come through yet.
    async fn all_go(&self, above: TaskId, below: &[RemoteTask]) -> Result<bool, RunError> {
        let mut moved_out: HashSet<ExternalId> = HashSet::new();
        // From the top: what is below something that is moved out goes along with it.
        let parents: HashMap<&ExternalId, ExternalId> = below
            .iter()
            .filter_map(|item| Some((&item.id, item.value(Field::Parent)?.as_external_id()?)))
            .collect();
        let ids: Vec<&ExternalId> = below.iter().map(|item| &item.id).collect();
        let depth = |item: &ExternalId| {
            let above = std::iter::successors(parents.get(item), |above| parents.get(above));
            above.take(ids.len()).count()
        };
        let mut from_top: Vec<&RemoteTask> = below.iter().collect();
        from_top.sort_by_cached_key(|item| depth(&item.id));
        for item in from_top {
            if parents.get(&item.id).is_some_and(|above| moved_out.contains(above)) {
                moved_out.insert(item.id.clone());
                continue;
            }
            let link = self.store.link_by_external(self.settings.id, item.id.clone()).await?;
            let in_step = |link: &Link| matches!(link.state, LinkState::Live | LinkState::Uncertain);
            let Some(link) = link.filter(in_step) else {
                return Ok(false);
            };
            let Some(task) = self.task(link.task_id).await? else {
                return Ok(false);
            };
            let parent = task.get(Field::Parent);
            let base = link.bases.get(&Field::Parent).map(|base| &base.local);
            let moved = base.is_some_and(|base| *base != LocalBase::Agreed(parent));
            if moved && !self.is_below(&task, above).await? {
                moved_out.insert(item.id.clone());
            } else if !task.is_deleted() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn is_below(&self, task: &Task, above: TaskId) -> Result<bool, RunError> {
        let mut next = task.parent_id;
        let mut seen = HashSet::new();
        while let Some(parent) = next.filter(|parent| seen.insert(*parent)) {
            if parent == above {
                return Ok(true);
            }
            next = self.task(parent).await?.and_then(|task| task.parent_id);
        }
        Ok(false)
    }

    async fn task(&self, id: TaskId) -> Result<Option<Task>, RunError> {
        Ok(self.store.tasks(vec![id]).await?.pop())
    }

    /// Takes back the deletion of a hub task. `false` if it is not deleted, or changed meanwhile.
    async fn bring_back(&mut self, task: TaskId) -> Result<bool, RunError> {
        let Some(before) = self.task(task).await?.filter(Task::is_deleted) else {
            return Ok(false);
        };
        let now = self.now();
        let mut task = before.clone();
        task.deleted_at = None;
        task.updated_at = now;
        let told = HistoryEntry {
            task_id: task.id,
            run_id: Some(self.context.run_id),
            connection_id: Some(self.settings.id),
            field: None,
            before: Value::Empty,
            after: Value::text(task.title.as_str()),
            side: Side::Hub,
            rule: Rule::CameBack,
            at: now,
        };
        self.commit_unit(Unit {
            tasks: vec![TaskWrite::Update {
                task: Box::new(task),
                expected: before.version,
            }],
            history: vec![told],
            ..Unit::default()
        })
        .await
    }
}
