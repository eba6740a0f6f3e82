//! The plan of one mapping, on both sides as they are now.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::RunError;
use super::observe::HubView;
use super::session::{Active, Session, Tables};
use crate::connection::Capabilities;
use crate::model::{
    ConnectionId, ConnectionOptions, Direction, ItemFailure, Mapping, MappingId, Reason, RunId, SkipReason, TaskId,
    Timestamp,
};
use crate::reconcile::{Entry, MappingInput, MappingPlan, Planning, Setting, hold_back};
use crate::store::TaskStore;

/// The mappings of the connection, as the plan of one of them must know them.
#[derive(Debug)]
pub(super) struct Around {
    mappings: Vec<Mapping>,
    taking_part: HashMap<MappingId, Direction>,
}

impl Session {
    /// All mappings of the connection: those of the run, and those that take no part in it. What moves from or to one of the
    /// latter is neither new nor out of scope.
    pub(super) async fn around(&self, actives: &[Active]) -> Result<Around, RunError> {
        let of_run = actives.iter().map(|active| active.mapping.clone());
        let mut mappings: Vec<Mapping> = of_run.collect();
        let stored = self.store.mappings(self.settings.id).await?;
        let known: HashSet<MappingId> = mappings.iter().map(|mapping| mapping.id).collect();
        mappings.extend(stored.into_iter().filter(|mapping| !known.contains(&mapping.id)));
        let taking_part = actives.iter().map(|active| (active.mapping.id, active.direction));
        Ok(Around {
            taking_part: taking_part.collect(),
            mappings,
        })
    }

    /// What is the same for all items of a plan.
    pub(super) fn setting(&self, direction: Direction) -> Setting<'_> {
        Setting {
            run_id: self.context.run_id,
            capabilities: &self.capabilities,
            direction,
            policy: self.settings.options.conflicts,
            now: self.now(),
        }
    }

    /// What one mapping is planned on, as it is now.
    pub(super) fn ground(&self, active: &Active, no_creation: Option<&Reason>) -> Ground {
        let not_whole =
            || SkipReason::IncompleteListing.because("what the tool has is not known completely in this run");
        let no_creation = no_creation.cloned();
        Ground {
            connection_id: self.settings.id,
            run_id: self.context.run_id,
            capabilities: self.capabilities.clone(),
            options: self.settings.options.clone(),
            direction: active.direction,
            now: self.now(),
            no_creation: no_creation.or_else(|| (!active.observation.is_complete()).then(not_whole)),
            no_import: self.no_import.clone(),
            blocked: self.blocked.clone(),
            failures: Arc::clone(&self.failures),
            asked_by_person: self.asked_by_person,
        }
    }

    /// How many seconds so many writes will take, as far as the tool limits them.
    pub(super) fn foreseen(&self, writes: u64) -> Option<u64> {
        let pace = self.connection.capabilities().pace?;
        Some(pace.foreseen(writes).as_secs())
    }
}

/// What a plan is made on, apart from the run: that goes on with what was planned first while the rest is planned.
#[derive(Debug)]
pub(super) struct Ground {
    connection_id: ConnectionId,
    run_id: RunId,
    capabilities: Capabilities,
    options: ConnectionOptions,
    direction: Direction,
    now: Timestamp,
    no_creation: Option<Reason>,
    no_import: Option<Reason>,
    blocked: HashMap<TaskId, Reason>,
    failures: Arc<HashMap<TaskId, ItemFailure>>,
    asked_by_person: bool,
}

impl Ground {
    pub(super) fn input<'a>(
        &'a self,
        active: &'a Active,
        around: &'a Around,
        view: &'a HubView,
        tables: &'a Tables,
    ) -> MappingInput<'a> {
        MappingInput {
            mapping: &active.mapping,
            mappings: &around.mappings,
            taking_part: &around.taking_part,
            options: &self.options,
            tasks: &view.tasks,
            links: &view.links,
            conflicts: &view.conflicts,
            observation: &active.observation,
            translator: tables.as_ref(),
            no_creation: self.no_creation.as_ref(),
            no_import: self.no_import.as_ref(),
            blocked: &self.blocked,
            setting: Setting {
                run_id: self.run_id,
                capabilities: &self.capabilities,
                direction: self.direction,
                policy: self.options.conflicts,
                now: self.now,
            },
        }
    }

    /// Plans a mapping, without what is not tried now since it failed before.
    pub(super) fn plan<'a>(&'a self, input: &'a MappingInput<'a>) -> Tried<'a> {
        Tried {
            planning: Planning::new(input),
            ground: self,
            held_back: Vec::new(),
        }
    }
}

/// A plan in the making, of what is tried now.
#[derive(Debug)]
pub(super) struct Tried<'a> {
    planning: Planning<'a>,
    ground: &'a Ground,
    held_back: Vec<TaskId>,
}

impl Tried<'_> {
    /// What happens next; `None` once all is planned.
    pub(super) async fn next(&mut self, store: &dyn TaskStore) -> Result<Option<Vec<Entry>>, RunError> {
        let Some(wanted) = self.planning.upcoming() else {
            return Ok(None);
        };
        let (mut tasks, mut links) = (Vec::new(), Vec::new());
        if !wanted.is_empty() {
            links = store.links_of_tasks(wanted.clone()).await?;
            links.retain(|link| link.connection_id == self.ground.connection_id);
            tasks = store.tasks(wanted).await?;
        }
        let mut entries = self.planning.slice(tasks, links);
        let ground = self.ground;
        for entry in &mut entries {
            if hold_back(entry, &ground.failures, ground.asked_by_person, ground.now) {
                self.held_back.extend(entry.task_id);
            }
        }
        Ok(Some(entries))
    }

    /// What the plan says besides its entries, once all of them were taken.
    pub(super) fn rest(self) -> MappingPlan {
        MappingPlan {
            held_back: self.held_back,
            ..self.planning.rest()
        }
    }
}
