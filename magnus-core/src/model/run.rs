//! One sync of one connection, as it is asked for, recorded and reported.

use std::fmt;
use std::ops::AddAssign;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::status::named_enum;
use super::{ConnectionId, Direction, ExternalId, RunId, SkipReason, TaskId, Timestamp};

named_enum! {
    /// The state of a run. `queued` and `started` may change; the others are final.
    RunState, "run state", {
        /// Waits for its turn.
        Queued = "queued",
        /// Runs: "in progress".
        Started = "started",
        /// Every listing complete, no item failed or uncertain.
        Completed = "completed",
        /// Some items failed or some mapping was not read.
        Partial = "partial",
        /// Nothing useful was done.
        Failed = "failed",
        /// Stopped by request.
        Cancelled = "cancelled",
        /// Its process died or was shut down.
        Interrupted = "interrupted",
        /// A guard stopped it before anything was written to the tool.
        Halted = "halted",
    }
}

impl RunState {
    /// Whether the state will not change any more.
    #[must_use]
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Queued | Self::Started)
    }
}

named_enum! {
    /// Who or what asked for a run.
    Trigger, "trigger", {
        /// A person, or a program for a person.
        Manual = "manual",
        /// The schedule.
        Schedule = "schedule",
        /// A webhook of the tool.
        Webhook = "webhook",
        /// A run that died is taken up again.
        Resume = "resume",
        /// Another run changed hub tasks that are linked here too.
        Ripple = "ripple",
    }
}

named_enum! {
    /// What a run covers.
    Scope, "scope", {
        /// Projects and tasks.
        All = "all",
        /// The list of projects only.
        Projects = "projects",
        /// Tasks of the projects mapped already.
        Tasks = "tasks",
    }
}

/// A request to sync one connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RunRequest {
    /// The connection.
    pub connection_id: ConnectionId,
    /// Which way; `None`: as the connection says. A wider one than the connection's is refused.
    pub direction: Option<Direction>,
    /// What is covered.
    pub scope: Scope,
    /// Who or what asked.
    pub trigger: Trigger,
    /// The halted run whose plan a person has looked at and confirmed: what it would have done is not guarded again.
    #[serde(default)]
    pub confirm: Option<RunId>,
    /// Runs of this connection that are to be undone before anything else.
    #[serde(default)]
    pub undo: Vec<RunId>,
    /// Whether items are synced, after what is undone.
    #[serde(default = "yes")]
    pub sync: bool,
    /// How many runs in a row led to this one, each by what it changed in the hub. It stands here and not in a process, since
    /// the next one may be carried out by another.
    #[serde(default)]
    pub round: u32,
}

const fn yes() -> bool {
    true
}

impl RunRequest {
    /// Nothing follows by itself from a run of this [round](Self::round). Two tools that never agree would else go on for ever.
    pub const LAST_ROUND: u32 = 5;

    /// A request by a person for everything, in the connection's own direction.
    #[must_use]
    pub const fn new(connection_id: ConnectionId) -> Self {
        Self {
            connection_id,
            direction: None,
            scope: Scope::All,
            trigger: Trigger::Manual,
            confirm: None,
            undo: Vec::new(),
            sync: true,
            round: 0,
        }
    }

    /// Which way to sync.
    #[must_use]
    pub const fn direction(mut self, direction: Option<Direction>) -> Self {
        self.direction = direction;
        self
    }

    /// What to cover.
    #[must_use]
    pub const fn scope(mut self, scope: Scope) -> Self {
        self.scope = scope;
        self
    }

    /// Who or what asks.
    #[must_use]
    pub const fn trigger(mut self, trigger: Trigger) -> Self {
        self.trigger = trigger;
        self
    }

    /// How many runs in a row led to this one.
    #[must_use]
    pub const fn round(mut self, round: u32) -> Self {
        self.round = round;
        self
    }

    /// Confirms the plan of a halted run.
    #[must_use]
    pub const fn confirm(mut self, halted: RunId) -> Self {
        self.confirm = Some(halted);
        self
    }

    /// Undoes a run, and does nothing else.
    #[must_use]
    pub fn undoing(connection_id: ConnectionId, run: RunId) -> Self {
        Self {
            undo: vec![run],
            sync: false,
            ..Self::new(connection_id)
        }
    }

    /// What a queued request becomes when another joins it: it covers what both cover. An omitted direction is the
    /// connection's own and thus the widest; a person's trigger is kept before all others, and the earlier round.
    #[must_use]
    pub fn merged(&self, other: &Self) -> Self {
        Self {
            connection_id: self.connection_id,
            direction: self.direction.zip(other.direction).map(|(a, b)| a.union(b)),
            scope: if self.scope == other.scope {
                self.scope
            } else {
                Scope::All
            },
            trigger: self.trigger.min(other.trigger),
            confirm: self.confirm.or(other.confirm),
            undo: {
                let others = other.undo.iter().filter(|run| !self.undo.contains(run));
                self.undo.iter().chain(others).copied().collect()
            },
            sync: self.sync || other.sync,
            // What was asked for anew may go as far as if it were alone.
            round: self.round.min(other.round),
        }
    }
}

/// How many items ended how. Each counts once, under the first that applies of: failed, conflicted,
/// created/updated/deleted, skipped, unchanged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Made on either side.
    pub created: u64,
    /// Changed on either side.
    pub updated: u64,
    /// Deleted or archived on either side.
    pub deleted: u64,
    /// Looked at; nothing to do.
    pub unchanged: u64,
    /// With a field that is held or whose losing value was recorded in this run.
    pub conflicted: u64,
    /// Left alone for a stated reason.
    pub skipped: u64,
    /// Went wrong.
    pub failed: u64,
}

impl Counts {
    /// All items looked at.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.changed() + self.unchanged + self.conflicted + self.skipped + self.failed
    }

    /// Items created, updated or deleted.
    #[must_use]
    pub const fn changed(&self) -> u64 {
        self.created + self.updated + self.deleted
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.created += other.created;
        self.updated += other.updated;
        self.deleted += other.deleted;
        self.unchanged += other.unchanged;
        self.conflicted += other.conflicted;
        self.skipped += other.skipped;
        self.failed += other.failed;
    }
}

/// The counts of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunCounts {
    /// Of projects.
    pub projects: Counts,
    /// Of tasks.
    pub tasks: Counts,
}

/// How one item ended, when that is worth telling: not for unchanged ones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemOutcome {
    /// The hub task, if there is one.
    pub task_id: Option<TaskId>,
    /// The external task, if there is one.
    pub external_id: Option<ExternalId>,
    /// Its title.
    pub title: String,
    /// `created`, `updated`, `deleted`, `conflicted`, `skipped` or `failed`.
    pub outcome: String,
    /// What happened, or why not.
    pub detail: String,
    /// Why it was left alone, wholly or in part.
    #[serde(default)]
    pub reason: Option<SkipReason>,
}

/// What a run did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunReport {
    /// How many items ended how.
    pub counts: RunCounts,
    /// Items worth telling, at most [`RunReport::MAX_ITEMS`].
    pub items: Vec<ItemOutcome>,
    /// How many further items were left out of `items`.
    pub items_omitted: u64,
    /// What went wrong with the run or with a whole mapping, in words for people.
    pub problems: Vec<String>,
    /// Hub rows changed, for the run log.
    pub hub_changes: u64,
    /// Remote writes accepted.
    pub remote_writes: u64,
    /// What a halted run would have done, rendered as data.
    pub plan: Option<serde_json::Value>,
}

impl RunReport {
    /// The most items that a report lists.
    pub const MAX_ITEMS: usize = 1000;

    /// The most items that a report in brief lists.
    pub const MAX_BRIEF_ITEMS: usize = 10;

    /// The report as lists of runs show it: with its first items, the rest counted as omitted, and without its plan.
    /// A long log is looked at all the time, and in full a report may be as large as everything else on the page.
    #[must_use]
    pub fn brief(&self) -> Self {
        let shown = self.items.len().min(Self::MAX_BRIEF_ITEMS);
        Self {
            counts: self.counts,
            items: self.items[..shown].to_vec(),
            items_omitted: self.items_omitted + (self.items.len() - shown) as u64,
            problems: self.problems.clone(),
            hub_changes: self.hub_changes,
            remote_writes: self.remote_writes,
            plan: None,
        }
    }

    /// Adds an item, or counts it as omitted beyond the limit.
    pub fn push_item(&mut self, item: ItemOutcome) {
        if self.items.len() < Self::MAX_ITEMS {
            self.items.push(item);
        } else {
            self.items_omitted += 1;
        }
    }
}

/// One sync of one connection as the run log holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// The connection.
    pub connection_id: ConnectionId,
    /// What was asked.
    pub request: RunRequest,
    /// Where it stands.
    pub state: RunState,
    /// Whether somebody asked to cancel it.
    pub cancel_requested: bool,
    /// What it did, once it ended.
    pub report: RunReport,
    /// Why it failed, was interrupted or halted, in words for people.
    pub error_message: Option<String>,
    /// When it was asked for.
    pub queued_at: Timestamp,
    /// When it began.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub completed_at: Option<Timestamp>,
}

impl Run {
    /// The request that goes on with this run, if it was interrupted: for all that it was asked, and not only for a sync.
    /// It is of the first round again: whoever looked after what becomes due by it may be gone as well. None if a person asked
    /// it to stop.
    #[must_use]
    pub fn resumption(&self) -> Option<RunRequest> {
        let goes_on = self.state == RunState::Interrupted && !self.cancel_requested;
        goes_on.then(|| self.request.clone().trigger(Trigger::Resume).round(0))
    }

    /// The request that carries out the plan with which a guard halted this run.
    #[must_use]
    pub fn confirmation(&self) -> RunRequest {
        RunRequest {
            trigger: Trigger::Manual,
            confirm: Some(self.id),
            ..self.request.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_joins_widens_and_never_narrows() {
        let id = ConnectionId::generate();
        let pull = RunRequest::new(id)
            .direction(Some(Direction::Pull))
            .trigger(Trigger::Ripple);
        let push = RunRequest::new(id).direction(Some(Direction::Push)).scope(Scope::Tasks);
        let merged = pull.merged(&push);
        assert_eq!(merged.direction, Some(Direction::Bidirectional));
        assert_eq!((merged.scope, merged.trigger), (Scope::All, Trigger::Manual));
        assert_eq!(pull.merged(&RunRequest::new(id)).direction, None);
        let (first, second) = (RunId::generate(), RunId::generate());
        let undo = RunRequest::undoing(id, first);
        assert!(!undo.merged(&RunRequest::undoing(id, first)).sync);
        assert_eq!(pull.clone().round(3).merged(&pull.clone().round(2)).round, 2);
        let both = undo.merged(&RunRequest::undoing(id, second)).merged(&pull);
        assert_eq!((both.undo, both.sync), (vec![first, second], true));
    }

    #[test]
    fn a_report_in_brief_counts_what_it_leaves_out() {
        let mut report = RunReport {
            plan: Some(serde_json::json!({})),
            items_omitted: 5,
            ..RunReport::default()
        };
        assert_eq!(report.brief().items_omitted, 5);
        for number in 0..12 {
            report.push_item(ItemOutcome {
                task_id: None,
                external_id: None,
                title: number.to_string(),
                outcome: "created".to_owned(),
                detail: String::new(),
                reason: None,
            });
        }
        let brief = report.brief();
        assert_eq!((brief.items.len(), brief.items_omitted, &brief.plan), (10, 7, &None));
        assert_eq!(brief.items[..], report.items[..10]);
        assert_eq!(brief.brief(), brief);
    }

    #[test]
    fn a_request_that_was_stored_before_rounds_were_counted_is_of_the_first() {
        let request = RunRequest::new(ConnectionId::generate()).round(2);
        let mut stored = serde_json::to_value(&request).unwrap();
        assert_eq!(serde_json::from_value::<RunRequest>(stored.clone()).unwrap(), request);
        stored.as_object_mut().unwrap().remove("round");
        assert_eq!(serde_json::from_value::<RunRequest>(stored).unwrap(), request.round(0));
    }
}
