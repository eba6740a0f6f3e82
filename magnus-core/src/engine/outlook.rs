//! What a run would do, looked at mapping by mapping, before it does any of it.

use std::collections::HashSet;

use super::session::{Active, Session, Tables};
use super::shown::{ending, shown};
use super::tally::Tally;
use super::undo::Undo;
use super::{Phase, RunError};
use crate::connection::Capabilities;
use crate::model::{Counts, Field, Reason, TaskId};
use crate::reconcile::{Allowance, Entry, Plan, PlannedItem, PlannedMapping, Push};

/// The plans of all mappings in sum. A plan is many times as large as what is shown of it: none is kept.
#[derive(Debug, Default)]
pub(super) struct Outlook {
    /// What the guard counts, and what later rounds are measured by.
    pub(super) allowance: Allowance,
    counts: Counts,
    notifying: u64,
    pushes: u64,
    shown: Vec<PlannedMapping>,
}

/// How the plans are looked at.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Look<'a> {
    /// The plan that a person has confirmed: what is in it does not count, what has changed since then does.
    pub(super) confirmed: Option<&'a Plan>,
    /// Whether what is shown of the plans is kept.
    pub(super) show: bool,
}

/// An outlook on one mapping, entry by entry.
struct Sketch<'a> {
    confirmed: HashSet<&'a PlannedItem>,
    items: Option<Vec<PlannedItem>>,
    /// Entries of which nothing is shown.
    quiet: usize,
    tally: Tally,
}

impl<'a> Sketch<'a> {
    fn new(look: Look<'a>) -> Self {
        let mappings = look.confirmed.iter().flat_map(|plan| &plan.mappings);
        Self {
            confirmed: mappings.flat_map(|mapping| &mapping.items).collect(),
            items: look.show.then(Vec::new),
            quiet: 0,
            tally: Tally::default(),
        }
    }
}

impl Outlook {
    fn see(&mut self, entry: &Entry, capabilities: &Capabilities, sketch: &mut Sketch<'_>) {
        sketch.tally.entry(entry, ending(entry), String::new());
        if let Some(push) = &entry.push {
            self.pushes += 1;
            self.notifying += u64::from(notifies(push, capabilities));
        }
        let item = if sketch.items.is_some() || !sketch.confirmed.is_empty() {
            shown(entry)
        } else {
            None
        };
        let confirmed = item.as_ref().is_some_and(|item| sketch.confirmed.contains(item));
        self.allowance.add(entry, confirmed);
        sketch.quiet += usize::from(entry.action.is_none());
        if let Some(items) = &mut sketch.items {
            items.extend(item);
        }
    }

    fn finish(&mut self, active: &Active, mut sketch: Sketch<'_>, unchanged: &[TaskId]) {
        for task in unchanged {
            sketch.tally.unchanged(*task);
        }
        self.counts += sketch.tally.counts();
        if let Some(items) = sketch.items {
            self.shown.push(PlannedMapping {
                mapping_id: active.stored.then_some(active.mapping.id),
                project_id: active.mapping.project_id,
                name: active.mapping.external_name.clone(),
                items,
                unchanged: count(unchanged.len() + sketch.quiet),
                problem: None,
            });
        }
    }
}

impl Session {
    /// Plans every mapping.
    pub(super) async fn outlook(
        &self,
        active: &[Active],
        tables: &Tables,
        no_creation: Option<&Reason>,
        look: Look<'_>,
    ) -> Result<Outlook, RunError> {
        self.context.report(|progress| progress.phase = Phase::Planning);
        let around = self.around(active).await?;
        let mut outlook = Outlook::default();
        for active in active {
            self.checkpoint()?;
            let view = self.hub_view(active).await?;
            let ground = self.ground(active, no_creation);
            let input = ground.input(active, &around, &view, tables);
            let mut plan = ground.plan(&input);
            let mut sketch = Sketch::new(look);
            while let Some(entries) = plan.next(self.store.as_ref()).await? {
                for entry in &entries {
                    outlook.see(entry, &self.capabilities, &mut sketch);
                }
            }
            let rest = plan.rest();
            let in_tool = match &active.observation.ids {
                Some(ids) => ids.len(),
                None => active.observation.tasks.len(),
            };
            outlook.allowance.add_sides(rest.linked, count(in_tool));
            outlook.finish(active, sketch, &rest.unchanged);
        }
        Ok(outlook)
    }

    /// The outlook on an undoing.
    pub(super) fn outlook_on(&self, undo: &Undo, look: Look<'_>) -> Outlook {
        let mut outlook = Outlook::default();
        for (active, (plan, in_tool)) in undo.actives.iter().zip(&undo.plans) {
            let mut sketch = Sketch::new(look);
            for entry in &plan.entries {
                outlook.see(entry, &self.capabilities, &mut sketch);
            }
            outlook.allowance.add_sides(plan.linked, count(*in_tool));
            outlook.finish(active, sketch, &plan.unchanged);
        }
        for (mapping, words) in undo.left_out.iter().filter(|_| look.show) {
            outlook.shown.push(PlannedMapping {
                mapping_id: Some(mapping.id),
                project_id: mapping.project_id,
                name: mapping.external_name.clone(),
                items: Vec::new(),
                unchanged: 0,
                problem: Some(words.clone()),
            });
        }
        outlook
    }

    /// The plan that is shown of an outlook.
    pub(super) fn show(&self, outlook: Outlook) -> Plan {
        let mut counts = self.report.counts;
        counts.tasks += outlook.counts;
        Plan {
            connection_id: self.settings.id,
            counts,
            halts: outlook.allowance.halts(&self.settings.options.guard),
            mappings: outlook.shown,
            notifying_writes: outlook.notifying,
            foreseen_seconds: self.foreseen(outlook.pushes),
        }
    }
}

/// Whether a write would mail people.
fn notifies(push: &Push, capabilities: &Capabilities) -> bool {
    let fields = &capabilities.notifying_fields;
    match push {
        _ if !capabilities.writes_notify => false,
        _ if fields.is_empty() => true,
        Push::Create { .. } => true,
        Push::Update { fields: changed, .. } => changed.keys().any(|field| fields.contains(field)),
        Push::Archive { .. } => fields.contains(&Field::Status),
        Push::Delete { .. } => false,
    }
}

fn count(items: usize) -> u64 {
    u64::try_from(items).unwrap_or(u64::MAX)
}
