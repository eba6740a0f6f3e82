//! What a deletion would take along: looked at right before it is sent.

use std::collections::HashSet;

use super::RunError;
use super::observe::HubView;
use super::session::Session;
use super::tally::Ending;
use crate::connection::ReadTask;
use crate::model::{ExternalId, HistoryEntry, Mapping, Rule, Side, SkipReason, TaskId, Value};
use crate::reconcile::{Entry, Push};
use crate::store::{TaskWrite, Unit};

impl Session {
    /// On a tool whose deletions take children along, a task with children stays. It comes back in the hub if this plan does not
    /// delete all of them: somebody has put them beneath it.
    pub(super) async fn keep_foreign_children(
        &mut self,
        mapping: &Mapping,
        view: &HubView,
        deleted: &HashSet<ExternalId>,
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
                // Their turn was before: it failed, or somebody has brought one back since.
                Ok(children) if children.iter().all(|child| deleted.contains(&child.id)) => {
                    "it has children there that should have been deleted before it and were not".to_owned()
                }
                Ok(_) if self.bring_back(*task_id, view).await? => {
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

    /// Takes back the deletion of a hub task. `false` if it is not deleted, or changed meanwhile.
    async fn bring_back(&mut self, task: TaskId, view: &HubView) -> Result<bool, RunError> {
        let Some(before) = view.tasks.get(&task).filter(|task| task.is_deleted()) else {
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
