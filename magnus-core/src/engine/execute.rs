//! Carries plans out, round by round, until nothing is left to send.

use std::sync::Arc;

use super::observe::HubView;
use super::session::{Active, Session, Tables};
use super::shown::{describe, ending};
use super::tally::Ending;
use super::{Phase, RunError};
use crate::model::{ExternalId, MappingState, Reason, SkipReason, Trigger};
use crate::reconcile::{Allowance, Coming, Entry};
use crate::store::{Changeset, MappingWrite, Unit};

/// Rounds of plan and execution for one mapping: what a tool derives from our write, a version conflict or a refused
/// field each want another one.
const MAX_ROUNDS: usize = 8;
/// So many rounds run after what is edited in the hub while they plan.
const ROUNDS_AFTER_DRIFT: usize = 3;

/// What is wrong with a list that lacks items of which a direct reading says that they are there.
fn list_problem(active: &Active) -> Option<String> {
    let (name, lacking) = (&active.mapping.external_name, active.observation.unlisted);
    (lacking > 0).then(|| {
        format!(
            "the list of project {name:?} lacks {lacking} items that are there: what it does not show proves nothing, and \
             nothing is created in the tool"
        )
    })
}

impl Session {
    /// Observes every mapping. One that cannot be read is a problem of the run and is left out; whether all could be read
    /// is answered.
    pub(super) async fn observe_all(
        &mut self,
        active: &mut Vec<Active>,
        trigger: Trigger,
        tables: &Tables,
    ) -> Result<bool, RunError> {
        self.context.report(|progress| progress.phase = Phase::Observing);
        let mut readable = Vec::new();
        let mut last_error = None;
        let asked = active.len();
        for mut mapping in active.drain(..) {
            self.checkpoint()?;
            match self.observe(&mut mapping, trigger, tables.as_ref()).await? {
                Ok(()) => {
                    self.report.problems.extend(list_problem(&mapping));
                    readable.push(mapping);
                }
                Err(error) => {
                    let name = &mapping.mapping.external_name;
                    self.report
                        .problems
                        .push(format!("project {name:?} was not read: {error}"));
                    self.report.counts.projects.failed += 1;
                    last_error = Some(error);
                }
            }
        }
        *active = readable;
        match last_error {
            Some(error) if active.is_empty() => Err(RunError::from(error).with_connection(self.settings.id)),
            _ => Ok(active.len() == asked),
        }
    }

    /// Carries out one mapping: hub part at once, then what goes to the tool, then what that moved, until quiet.
    pub(super) async fn execute(
        &mut self,
        actives: &mut [Active],
        index: usize,
        tables: &Tables,
        no_creation: Option<&Reason>,
        allowance: &mut Allowance,
    ) -> Result<(), RunError> {
        let around = self.around(actives).await?;
        let mut settled = false;
        let mut all_carried_out = true;
        let (mut missing, mut unsettled) = (false, false);
        for round in 0..MAX_ROUNDS {
            self.checkpoint()?;
            let view = self.hub_view(&actives[index]).await?;
            let ground = self.ground(&actives[index], no_creation);
            let input = ground.input(&actives[index], &around, &view, tables);
            let mut scope = 0;
            let mut coming = Coming::default();
            (missing, unsettled) = (false, false);
            let mut plan = ground.plan(&input);
            while let Some(entries) = plan.next(self.store.as_ref()).await? {
                scope += entries.len();
                for entry in &entries {
                    missing |= is_missing(entry, &view);
                    unsettled |= is_unsettled(entry);
                    allowance.look(entry, &mut coming);
                }
            }
            let plan = plan.rest();
            let withheld = allowance.admit(coming, &self.settings.options.guard);
            for held in withheld.reasons() {
                all_carried_out = false;
                let problem = format!("left alone, since it came up after the plan was looked at: {held}");
                if !self.report.problems.contains(&problem) {
                    self.report.problems.push(problem);
                }
            }
            if round == 0 {
                let in_scope = u64::try_from(scope + plan.unchanged.len()).unwrap_or(u64::MAX);
                self.context.report(|progress| {
                    progress.phase = Phase::Executing;
                    progress.total += in_scope;
                });
            }
            for task in &plan.unchanged {
                self.tally.unchanged(*task);
            }
            self.held_back.extend(&plan.held_back);
            let project = actives[index].mapping.external_id.clone();
            let (mut waits, mut drifted) = (plan.waits, plan.drifted);
            // Planned once more, to be carried out as it is planned: nobody holds the plan of a large project whole.
            let mut plan = ground.plan(&input);
            let store = Arc::clone(&self.store);
            let (mut pushes, mut stale) = (Vec::new(), false);
            while scope > 0
                && let Some(mut entries) = plan.next(store.as_ref()).await?
            {
                self.checkpoint()?;
                entries.iter_mut().for_each(|entry| withheld.take_out(entry));
                let (for_tool, any_stale) = self.execute_hub(&project, entries).await?;
                pushes.extend(for_tool);
                stale |= any_stale;
            }
            let plan = plan.rest();
            waits |= plan.waits;
            drifted |= plan.drifted;
            let rests = pushes.is_empty() && !stale && !waits;
            if rests && (!drifted || round + 1 >= ROUNDS_AFTER_DRIFT) {
                settled = true;
                // People go on editing: what they did just now is for the run that it has made due.
                unsettled |= drifted;
                break;
            }
            if !pushes.is_empty() {
                self.push(actives, index, tables, &view, pushes).await?;
            }
        }
        if !settled {
            let name = actives[index].mapping.external_name.clone();
            self.report
                .problems
                .push(format!("project {name:?} did not come to rest in {MAX_ROUNDS} rounds"));
        }
        let seen = Seen {
            settled: settled && all_carried_out,
            missing,
            unsettled,
        };
        self.finish_mapping(&mut actives[index], seen).await?;
        actives[index].observation.tasks.clear();
        Ok(())
    }

    /// Commits what changes in the hub. Answers the entries that go to the tool, and whether something went stale and
    /// must be planned anew.
    pub(super) async fn execute_hub(
        &mut self,
        project: &ExternalId,
        mut entries: Vec<Entry>,
    ) -> Result<(Vec<Entry>, bool), RunError> {
        let mut units = Vec::new();
        let mut owners = Vec::new();
        for (index, entry) in entries.iter_mut().enumerate() {
            let mut unit = std::mem::take(&mut entry.unit);
            self.tell_who(project, &mut unit).await?;
            if !unit.is_empty() {
                units.push(unit);
                owners.push(index);
            }
        }
        let stale: std::collections::HashSet<usize> = self
            .commit_units(units)
            .await?
            .into_iter()
            .filter_map(|unit| owners.get(unit).copied())
            .collect();
        let any_stale = !stale.is_empty();
        let mut pushes = Vec::new();
        let mut done = 0;
        for (index, entry) in entries.into_iter().enumerate() {
            if stale.contains(&index) {
                continue;
            }
            self.report_oscillation(&entry);
            if entry.push.is_some() {
                if entry.conflicted {
                    self.tally.entry(&entry, Ending::Conflicted, describe(&entry));
                }
                pushes.push(entry);
                continue;
            }
            done += 1;
            self.tally.entry(&entry, ending(&entry), describe(&entry));
        }
        let counts = self.tally.counts();
        self.context.report(|progress| {
            progress.done += done;
            progress.counts.tasks = counts;
        });
        Ok((pushes, any_stale))
    }

    /// A field that was found to move to and fro for ever is a problem of the run that found it.
    fn report_oscillation(&mut self, entry: &Entry) {
        let held = entry.changes.iter().filter_map(|change| {
            let note = change.note.as_deref().filter(|_| change.side.is_none())?;
            note.starts_with(SkipReason::Oscillating.as_str())
                .then(|| format!("{:?}: {}: {note}", entry.title, change.field))
        });
        if entry.conflicted {
            self.report.problems.extend(held);
        }
    }

    /// Remembers how far a mapping was read. The cursor stays behind if something seen was not taken over.
    async fn finish_mapping(&mut self, active: &mut Active, seen: Seen) -> Result<(), RunError> {
        let Seen {
            settled,
            missing,
            unsettled,
        } = seen;
        let whole = active.observation.is_complete();
        let mut mapping = active.mapping.clone();
        let taken_over = settled && !unsettled && self.no_import.is_none() && active.direction.pulls();
        if taken_over && active.cursor.is_some() {
            mapping.cursor.clone_from(&active.cursor);
        }
        mapping.first_contact_done |= whole && settled;
        if whole && settled {
            mapping.last_sync_at = Some(self.now());
            if !missing {
                mapping.seen_as = Some(self.seen_as.clone());
            }
        }
        if mapping == active.mapping {
            return Ok(());
        }
        mapping.state = MappingState::Active;
        let write = MappingWrite {
            mapping: mapping.clone(),
            expected: Some(active.mapping.version),
        };
        let outcome = self
            .commit(Changeset {
                mappings: vec![write],
                ..Changeset::new()
            })
            .await?;
        if outcome.stale_rows == 0 {
            mapping.version = mapping.version.next();
            active.mapping = mapping;
        }
        Ok(())
    }

    /// Commits one unit by itself; `false` if it went stale.
    pub(super) async fn commit_unit(&mut self, unit: Unit) -> Result<bool, RunError> {
        Ok(self.commit_units(vec![unit]).await?.is_empty())
    }
}

/// What was seen of a mapping, and how far it was taken over.
struct Seen {
    /// Whether it came to rest.
    settled: bool,
    /// Whether an item is not seen of which nobody can tell that it is gone.
    missing: bool,
    /// Whether something seen waits for the settling of a write.
    unsettled: bool,
}

/// Whether an item was seen that waits for the settling of a write.
fn is_unsettled(entry: &Entry) -> bool {
    let reason = entry.reason.as_ref();
    entry.external_id.is_some() && reason.is_some_and(|reason| reason.code == SkipReason::Unsettled)
}

/// Whether an item is not seen of which nobody can tell that it is gone.
fn is_missing(entry: &Entry, view: &HubView) -> bool {
    let is_wanted = |task| view.tasks.get(task).is_some_and(|task| !task.deleted);
    let unproven = |reason: &Reason| reason.code == SkipReason::AbsenceUnproven;
    entry.reason.as_ref().is_some_and(unproven) && entry.task_id.as_ref().is_some_and(is_wanted)
}
