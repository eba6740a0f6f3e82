//! The plan of a run: mapping by mapping, on both sides as they are now, and what a guard asks of it.

use std::collections::{HashMap, HashSet};

use super::RunError;
use super::observe::HubView;
use super::session::{Active, Session, Tables};
use super::shown::shown;
use crate::model::{Direction, Field, Mapping, MappingId, Reason, SkipReason};
use crate::reconcile::{
    Allowance, MappingInput, MappingPlan, Plan, PlannedItem, Push, Setting, hold_back, plan_mapping,
};

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

    /// Plans one mapping on the hub as it is now.
    pub(super) fn plan(
        &self,
        active: &Active,
        around: &Around,
        view: &HubView,
        tables: &Tables,
        no_creation: Option<&Reason>,
    ) -> MappingPlan {
        let not_whole = SkipReason::IncompleteListing.because("what the tool has is not known completely in this run");
        let no_creation = no_creation.or((!active.observation.is_complete()).then_some(&not_whole));
        let mut plan = plan_mapping(&MappingInput {
            mapping: &active.mapping,
            mappings: &around.mappings,
            taking_part: &around.taking_part,
            options: &self.settings.options,
            tasks: &view.tasks,
            links: &view.links,
            conflicts: &view.conflicts,
            observation: &active.observation,
            translator: tables.as_ref(),
            no_creation,
            no_import: self.no_import.as_ref(),
            blocked: &self.blocked,
            setting: self.setting(active.direction),
        });
        hold_back(&mut plan, &self.failures, self.asked_by_person, self.now());
        plan
    }

    /// Adds what the first plans would do. What a person has confirmed does not count; what has changed since then does.
    pub(super) fn allow(allowance: &mut Allowance, plans: &[(MappingPlan, usize)], confirmed: Option<&Plan>) {
        let confirmed: HashSet<&PlannedItem> = confirmed
            .iter()
            .flat_map(|plan| &plan.mappings)
            .flat_map(|mapping| &mapping.items)
            .collect();
        for (plan, in_tool) in plans {
            let in_tool = u64::try_from(*in_tool).unwrap_or(u64::MAX);
            allowance.add(plan, in_tool, |entry| {
                shown(entry).is_some_and(|item| confirmed.contains(&item))
            });
        }
    }

    /// Why the first plans want a person to look first.
    pub(super) fn halts(&self, plans: &[(MappingPlan, usize)], confirmed: Option<&Plan>) -> Vec<String> {
        let mut allowance = Allowance::default();
        Self::allow(&mut allowance, plans, confirmed);
        allowance.halts(&self.settings.options.guard)
    }

    /// How many writes of the first plans would notify people.
    pub(super) fn notifying(&self, plans: &[(MappingPlan, usize)]) -> u64 {
        let fields = &self.capabilities.notifying_fields;
        let notifies = |push: &Push| match push {
            _ if !self.capabilities.writes_notify => false,
            _ if fields.is_empty() => true,
            Push::Create { .. } => true,
            Push::Update { fields: changed, .. } => changed.keys().any(|field| fields.contains(field)),
            Push::Archive { .. } => fields.contains(&Field::Status),
            Push::Delete { .. } => false,
        };
        let entries = plans.iter().flat_map(|(plan, _)| &plan.entries);
        let count = entries
            .filter_map(|entry| entry.push.as_ref())
            .filter(|push| notifies(push))
            .count();
        u64::try_from(count).unwrap_or(u64::MAX)
    }

    /// How many seconds so many writes will take, as far as the tool limits them.
    pub(super) fn foreseen(&self, writes: u64) -> Option<u64> {
        let pace = self.connection.capabilities().pace?;
        Some(pace.foreseen(writes).as_secs())
    }
}
