//! How the items of a run ended: each counts once.

use std::collections::HashMap;

use crate::model::{Counts, ExternalId, ItemOutcome, RunReport, SkipReason, TaskId};
use crate::reconcile::{Entry, PlannedAction};

/// How an item ended, in rising precedence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Ending {
    Unchanged,
    Skipped,
    Updated,
    Deleted,
    Created,
    Conflicted,
    Failed,
}

impl Ending {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Unchanged => "unchanged",
            Self::Skipped => "skipped",
            Self::Updated => "updated",
            Self::Deleted => "deleted",
            Self::Created => "created",
            Self::Conflicted => "conflicted",
            Self::Failed => "failed",
        }
    }

    /// How a planned action ends when it succeeds.
    pub(super) const fn of(action: PlannedAction) -> Self {
        match action {
            PlannedAction::CreateInHub | PlannedAction::CreateInTool => Self::Created,
            PlannedAction::Link | PlannedAction::Update | PlannedAction::Unlink => Self::Updated,
            PlannedAction::DeleteInHub | PlannedAction::DeleteInTool => Self::Deleted,
            PlannedAction::Skip => Self::Skipped,
        }
    }
}

/// What identifies an item: its hub task, or the external one as long as it has none.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Key {
    Task(TaskId),
    External(ExternalId),
}

#[derive(Debug, Clone)]
struct Record {
    ending: Ending,
    title: String,
    external_id: Option<ExternalId>,
    detail: String,
    reason: Option<SkipReason>,
}

/// Gathers how the items of a run ended.
#[derive(Debug, Default)]
pub(super) struct Tally {
    records: HashMap<Key, Record>,
    order: Vec<Key>,
}

impl Tally {
    pub(super) fn unchanged(&mut self, task: TaskId) {
        let record = Record {
            ending: Ending::Unchanged,
            title: String::new(),
            external_id: None,
            detail: String::new(),
            reason: None,
        };
        self.add(Key::Task(task), record);
    }

    /// Notes how an entry of a plan ended; the detail says why, or what changed.
    pub(super) fn entry(&mut self, entry: &Entry, ending: Ending, detail: String) {
        let key = match (entry.task_id, &entry.external_id) {
            (Some(task), _) => Key::Task(task),
            (None, Some(external)) => Key::External(external.clone()),
            (None, None) => return,
        };
        let record = Record {
            ending,
            title: entry.title.clone(),
            external_id: entry.external_id.clone(),
            detail,
            reason: entry.reason.as_ref().map(|reason| reason.code),
        };
        self.add(key, record);
    }

    /// Notes that a task failed.
    pub(super) fn failed(&mut self, task: TaskId, title: &str, external_id: Option<ExternalId>, detail: String) {
        let record = Record {
            ending: Ending::Failed,
            title: title.to_owned(),
            external_id,
            detail,
            reason: None,
        };
        self.add(Key::Task(task), record);
    }

    fn add(&mut self, key: Key, record: Record) {
        match self.records.get_mut(&key) {
            Some(known) if known.ending >= record.ending => {}
            Some(known) => {
                let external_id = known.external_id.take().or(record.external_id.clone());
                *known = Record { external_id, ..record };
            }
            None => {
                self.order.push(key.clone());
                self.records.insert(key, record);
            }
        }
    }

    /// Whether it is said how a task ended.
    pub(super) fn knows(&self, task: TaskId) -> bool {
        self.records.contains_key(&Key::Task(task))
    }

    /// Whether a task was looked at and is as it should be.
    pub(super) fn has_come_through(&self, task: TaskId) -> bool {
        self.records
            .get(&Key::Task(task))
            .is_some_and(|record| !matches!(record.ending, Ending::Skipped | Ending::Failed))
    }

    pub(super) fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for record in self.records.values() {
            let slot = match record.ending {
                Ending::Unchanged => &mut counts.unchanged,
                Ending::Skipped => &mut counts.skipped,
                Ending::Updated => &mut counts.updated,
                Ending::Deleted => &mut counts.deleted,
                Ending::Created => &mut counts.created,
                Ending::Conflicted => &mut counts.conflicted,
                Ending::Failed => &mut counts.failed,
            };
            *slot += 1;
        }
        counts
    }

    /// Puts counts and the items worth telling into a report.
    pub(super) fn fill(&self, report: &mut RunReport) {
        report.counts.tasks = self.counts();
        let mut told: Vec<&Key> = self
            .order
            .iter()
            .filter(|key| self.records[*key].ending > Ending::Unchanged)
            .collect();
        // What went wrong comes first: a report is cut at its end.
        told.sort_by_key(|key| std::cmp::Reverse(self.records[*key].ending));
        for key in told {
            let record = &self.records[key];
            report.push_item(ItemOutcome {
                task_id: if let Key::Task(task) = key { Some(*task) } else { None },
                external_id: record.external_id.clone(),
                title: record.title.clone(),
                outcome: record.ending.as_str().to_owned(),
                detail: record.detail.clone(),
                reason: record.reason,
            });
        }
    }
}
