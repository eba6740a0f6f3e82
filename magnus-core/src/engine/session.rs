//! One run as it goes: what it works with, and the small steps that all its parts share.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use tokio::sync::Mutex;

use super::failed::InARow;
use super::tally::Tally;
use super::{RunContext, RunError, RunErrorKind};
use crate::clock::Clock;
use crate::connection::{Capabilities, Connection, Translator};
use crate::model::{
    ConnectionSettings, Direction, ExternalId, Field, Intent, ItemFailure, Mapping, Reason, RunReport, SkipReason,
    TaskId, Timestamp,
};
use crate::reconcile::Observation;
use crate::store::{Changeset, CommitOutcome, StoreErrorKind, TaskStore, Unit};

/// How many units go into one commit: large enough that a first pull is fast, small enough that nobody waits long. Where there
/// is one writer at a time, whoever asks for a run waits for the commit of another one to end.
const UNITS_PER_COMMIT: usize = 16;

/// One run as it goes.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) store: Arc<dyn TaskStore>,
    pub(super) connection: Arc<dyn Connection>,
    pub(super) capabilities: Capabilities,
    pub(super) settings: ConnectionSettings,
    /// The tool's id of our user.
    pub(super) seen_as: ExternalId,
    pub(super) direction: Direction,
    pub(super) context: RunContext,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) tally: Tally,
    pub(super) report: RunReport,
    /// Tasks for which nothing is sent in this run any more, with the reason.
    pub(super) blocked: HashMap<TaskId, Reason>,
    /// Why no new item of the tool may be taken over.
    pub(super) no_import: Option<Reason>,
    /// The youngest item of the tool that was seen so far, in whatever project: what a lost create has made is younger.
    pub(super) greatest_seen: Option<ExternalId>,
    /// Fields that the tool refused in a create of this run: the create is tried again without them.
    pub(super) create_refusals: HashMap<TaskId, BTreeMap<Field, String>>,
    /// How often an item was decided on anew since somebody was faster.
    pub(super) attempts: HashMap<ExternalId, u32>,
    /// What is known of items whose writes failed in earlier runs.
    pub(super) failures: Arc<HashMap<TaskId, ItemFailure>>,
    /// What failed in this run, in order.
    pub(super) failed: Vec<ItemFailure>,
    /// Tasks whose write failed before and was not tried in this run.
    pub(super) held_back: HashSet<TaskId>,
    /// Whether a person, or a program for a person, asked for this run.
    pub(super) asked_by_person: bool,
    /// Held while projects are taken over, by one run at a time.
    pub(super) taking_over: Arc<Mutex<()>>,
    /// How often the tool was asked in this run who changed something.
    pub(super) asked_who: u32,
    /// Failures in a row that say something of more than their items.
    pub(super) in_a_row: InARow,
    /// What ends the run once the answers at hand are settled.
    pub(super) ends_with: Option<RunError>,
}

/// A mapping that takes part in the run, with what was seen of it.
#[derive(Debug)]
pub(super) struct Active {
    pub(super) mapping: Mapping,
    pub(super) direction: Direction,
    pub(super) observation: Observation,
    /// Where the next incremental listing may start.
    pub(super) cursor: Option<crate::model::Cursor>,
    /// Whether the mapping is stored already.
    pub(super) stored: bool,
}

/// The tool's tables for all active mappings.
pub(super) type Tables = Arc<dyn Translator>;

impl Session {
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Stops between operations if somebody asked for it, or if the right to write is gone.
    pub(super) fn checkpoint(&self) -> Result<(), RunError> {
        if self.context.cancellation.is_cancelled() {
            return Err(self.error(RunErrorKind::Cancelled, "cancelled by request"));
        }
        self.still_holds()
    }

    /// Stops if the right to write is gone.
    pub(super) fn still_holds(&self) -> Result<(), RunError> {
        if !self.context.lease.stands() {
            return Err(self.error(
                RunErrorKind::LeaseLost,
                "the lease ran out; another process may run this connection",
            ));
        }
        Ok(())
    }

    /// Notes that these items of the tool were seen.
    pub(super) fn note_seen<'a>(&mut self, ids: impl IntoIterator<Item = &'a ExternalId>) {
        let youngest = ids.into_iter().max_by(|a, b| a.compare_by_age(b));
        if let Some(youngest) = youngest
            && self
                .greatest_seen
                .as_ref()
                .is_none_or(|seen| youngest.compare_by_age(seen).is_gt())
        {
            self.greatest_seen = Some(youngest.clone());
        }
    }

    pub(super) fn error(&self, kind: RunErrorKind, message: impl Into<String>) -> RunError {
        RunError::new(kind, message).with_connection(self.settings.id)
    }

    /// Commits what became of a write. If the hub's record of it changed meanwhile, the journal entry stays open: nothing more
    /// is sent for its task until the next run has settled it.
    pub(super) async fn commit_settled(&mut self, intent: &Intent, unit: Unit) -> Result<bool, RunError> {
        let taken = self.commit_unit(unit).await?;
        if !taken {
            let words = "the hub's record of it changed meanwhile; the next run settles it";
            self.leave(intent, SkipReason::Unsettled, words.to_owned());
        }
        Ok(taken)
    }

    /// Commits units in order, in chunks. Answers the indices of those that went stale.
    pub(super) async fn commit_units(&mut self, units: Vec<Unit>) -> Result<Vec<usize>, RunError> {
        let mut stale = Vec::new();
        let mut offset = 0;
        let mut rest = units.into_iter().peekable();
        while rest.peek().is_some() {
            let chunk: Vec<Unit> = rest.by_ref().take(UNITS_PER_COMMIT).collect();
            let length = chunk.len();
            let outcome = self.commit(Changeset::of(chunk)).await?;
            self.report.hub_changes += u64::try_from(length - outcome.stale.len()).unwrap_or(u64::MAX);
            stale.extend(outcome.stale.iter().map(|unit| offset + unit.index));
            offset += length;
        }
        Ok(stale)
    }

    /// Commits a changeset; if the answer is lost, asks once more with the same id, which changes nothing twice.
    pub(super) async fn commit(&self, changeset: Changeset) -> Result<CommitOutcome, RunError> {
        if changeset.is_empty() {
            return Ok(CommitOutcome::default());
        }
        let fence = self.context.fence.clone();
        match self.store.commit(fence.clone(), changeset.clone()).await {
            Err(error) if error.kind() == StoreErrorKind::Unavailable => {
                Ok(self.store.commit(fence, changeset).await?)
            }
            answer => Ok(answer?),
        }
    }
}
