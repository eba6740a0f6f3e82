//! What a run would do, looked at mapping by mapping, before it does any of it.

use std::slice;

use super::session::{Active, Session, Tables};
use super::shown::{count, pushes, render};
use super::{Phase, RunError};
use crate::model::{Counts, Reason};
use crate::reconcile::{Allowance, Plan, PlannedMapping};

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

impl Session {
    /// Plans every mapping. What is shown of the plans is kept if it is asked for.
    pub(super) async fn outlook(
        &self,
        active: &mut [Active],
        tables: &Tables,
        no_creation: Option<&Reason>,
        confirmed: Option<&Plan>,
        show: bool,
    ) -> Result<Outlook, RunError> {
        self.context.report(|progress| progress.phase = Phase::Planning);
        let around = self.around(active).await?;
        let mut outlook = Outlook::default();
        for active in active {
            self.checkpoint()?;
            active.unshelve()?;
            let view = self.hub_view(active).await?;
            let plan = self.plan(active, &around, &view, tables, no_creation);
            let in_tool = match &active.observation.ids {
                Some(ids) => ids.len(),
                None => active.observation.tasks.len(),
            };
            let plan = (plan, in_tool);
            Self::allow(&mut outlook.allowance, slice::from_ref(&plan), confirmed);
            outlook.counts += count(&plan.0);
            outlook.notifying += self.notifying(slice::from_ref(&plan));
            outlook.pushes += pushes(slice::from_ref(&plan));
            if show {
                outlook.shown.push(render(active, &plan.0));
            }
            active.shelve();
        }
        Ok(outlook)
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
