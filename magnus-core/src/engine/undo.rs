//! Undoes a run: reads what it did and what stands there now, plans the inverse, and carries it out as any other plan.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::observe::HubView;
use super::outlook::Look;
use super::session::{Active, Session};
use super::{Phase, RunError, RunErrorKind};
use crate::model::{
    Direction, ExternalId, HistoryEntry, Intent, Link, LinkId, Mapping, MappingId, MappingState, RunId, RunRequest,
    Task, TaskId,
};
use crate::reconcile::{MappingPlan, Observation, Plan, UndoInput, plan_undo};

/// The inverse of a run, mapping by mapping.
#[derive(Debug)]
pub(super) struct Undo {
    pub(super) actives: Vec<Active>,
    /// Mappings in which the run has done something and this one may do nothing, with the reasons.
    pub(super) left_out: Vec<(Mapping, String)>,
    views: Vec<HubView>,
    pub(super) plans: Vec<(MappingPlan, usize)>,
}

impl Session {
    /// Plans the inverse of a run. Writes nothing.
    pub(super) async fn plan_undo(&self, undone: RunId) -> Result<Undo, RunError> {
        self.context.report(|progress| progress.phase = Phase::Planning);
        self.refuse_if_it_cannot_be_undone(undone).await?;
        let intents = self.store.intents_of_run(undone).await?;
        let touched: HashSet<TaskId> = self
            .store
            .history_of_run(undone)
            .await?
            .iter()
            .map(|entry| entry.task_id)
            .chain(intents.iter().map(|intent| intent.task_id))
            .collect();
        let links = self.store.link_index(self.settings.id).await?;
        let mut by_mapping: BTreeMap<MappingId, HashSet<TaskId>> = BTreeMap::new();
        for link in links.iter().filter(|link| touched.contains(&link.task_id)) {
            by_mapping.entry(link.mapping_id).or_default().insert(link.task_id);
        }
        let mut undo = Undo {
            actives: Vec::new(),
            left_out: Vec::new(),
            views: Vec::new(),
            plans: Vec::new(),
        };
        for mapping in self.store.mappings(self.settings.id).await? {
            let Some(touched) = by_mapping.remove(&mapping.id) else {
                continue;
            };
            self.checkpoint()?;
            let direction = mapping.direction.unwrap_or(self.direction).intersect(self.direction);
            let (words, direction) = match (&mapping.state, direction) {
                _ if !mapping.enabled => ("its mapping is switched off".to_owned(), None),
                (MappingState::Suspended { reason }, _) => (format!("it is suspended: {reason}"), None),
                (_, None) => ("its mapping allows no direction that this run has".to_owned(), None),
                (_, direction) => (String::new(), direction),
            };
            let Some(direction) = direction else {
                undo.left_out.push((mapping, words));
                continue;
            };
            let (active, view) = self.look_at(mapping, direction, &touched).await?;
            let plan = self.plan_one(undone, &active, &view, &touched, &intents).await?;
            undo.plans.push((plan, view.links.len()));
            undo.actives.push(active);
            undo.views.push(view);
        }
        Ok(undo)
    }

    /// Undoes a run. Answers the plan if a guard halted it.
    pub(super) async fn undo(
        &mut self,
        undone: RunId,
        request: &RunRequest,
        tables: &super::session::Tables,
    ) -> Result<Option<Plan>, RunError> {
        let mut undo = self.plan_undo(undone).await?;
        let confirmed = self.confirmed(request).await?;
        let look = Look {
            confirmed: confirmed.as_ref(),
            show: true,
        };
        let outlook = self.outlook_on(&undo, look);
        if !outlook.allowance.halts(&self.settings.options.guard).is_empty() {
            return Ok(Some(self.show(outlook)));
        }
        for (mapping, words) in &undo.left_out {
            let problem = format!("nothing was undone in project {:?}: {words}", mapping.external_name);
            self.report.problems.push(problem);
        }
        self.context.report(|progress| progress.phase = Phase::Executing);
        let plans = std::mem::take(&mut undo.plans);
        for (index, ((plan, _), view)) in plans.into_iter().zip(undo.views).enumerate() {
            self.checkpoint()?;
            let scope = plan.entries.len();
            self.context
                .report(|progress| progress.total += u64::try_from(scope).unwrap_or(u64::MAX));
            let project = undo.actives[index].mapping.external_id.clone();
            let (hub, tool) = self.execute_undo(&project, plan).await?;
            if hub {
                let problem =
                    "some tasks were changed while their undoing was planned; undo the run again for the rest";
                self.report.problems.push(problem.to_owned());
            }
            let planned: Vec<_> = tool.iter().map(|entry| (entry.task_id, entry.title.clone())).collect();
            self.push(&mut undo.actives, index, tables, &view, tool).await?;
            self.note_left_over(planned);
        }
        Ok(None)
    }

    async fn execute_undo(
        &mut self,
        project: &ExternalId,
        plan: MappingPlan,
    ) -> Result<(bool, Vec<crate::reconcile::Entry>), RunError> {
        let planned: Vec<_> = plan
            .entries
            .iter()
            .map(|entry| (entry.task_id, entry.title.clone()))
            .collect();
        let (pushes, stale) = self.execute_hub(project, plan.entries).await?;
        if stale {
            let left = |task: Option<TaskId>| pushes.iter().any(|entry| entry.task_id == task);
            self.note_left_over(planned.into_iter().filter(|(task, _)| !left(*task)));
        }
        Ok((stale, pushes))
    }

    /// What was planned and of which nothing became has failed: an undoing is not planned anew within its run.
    fn note_left_over(&mut self, planned: impl IntoIterator<Item = (Option<TaskId>, String)>) {
        for (task, title) in planned {
            if let Some(task) = task.filter(|task| !self.tally.knows(*task)) {
                let why = self.blocked.get(&task).map(|reason| reason.detail.clone());
                let unknown = "it was changed while its undoing was planned, or the tool did not take it";
                let detail = why.unwrap_or_else(|| unknown.to_owned());
                self.tally.failed(task, &title, None, detail);
            }
        }
    }

    async fn refuse_if_it_cannot_be_undone(&self, undone: RunId) -> Result<(), RunError> {
        let refuse = |words: String| Err(self.error(RunErrorKind::NothingToUndo, words));
        let Some(run) = self.store.run(undone).await? else {
            return refuse(format!("there is no run {undone}"));
        };
        if run.connection_id != self.settings.id {
            return refuse(format!(
                "run {undone} is not one of connection {:?}",
                self.settings.name
            ));
        }
        if !run.state.is_final() {
            return refuse(format!(
                "run {undone} is {}; wait for its end, or cancel it first",
                run.state
            ));
        }
        Ok(())
    }

    /// Reads the hub's side, and the external tasks concerned.
    async fn look_at(
        &self,
        mapping: Mapping,
        direction: Direction,
        touched: &HashSet<TaskId>,
    ) -> Result<(Active, HubView), RunError> {
        let mut active = Active {
            direction,
            observation: Observation::default(),
            cursor: None,
            stored: true,
            mapping,
        };
        let mut view = self.hub_view(&active).await?;
        let whole = self.store.links_of_tasks(touched.iter().copied().collect()).await?;
        let mut whole: HashMap<LinkId, Link> = whole.into_iter().map(|link| (link.id, link)).collect();
        for link in &mut view.links {
            if let Some(whole) = whole.remove(&link.id) {
                *link = whole;
            }
        }
        let wanted: Vec<_> = view
            .links
            .iter()
            .filter(|link| touched.contains(&link.task_id))
            .map(|link| link.external_id.clone())
            .collect();
        let mapping = active.mapping.clone();
        self.read_into(&mut active.observation, wanted, &mapping)
            .await
            .map_err(|error| RunError::from(error).with_connection(self.settings.id))?;
        Ok((active, view))
    }

    async fn plan_one(
        &self,
        undone: RunId,
        active: &Active,
        view: &HubView,
        touched: &HashSet<TaskId>,
        intents: &[Intent],
    ) -> Result<MappingPlan, RunError> {
        // What the run touched may have been moved elsewhere since.
        let of_project = self.store.tasks_of_project(active.mapping.project_id).await?;
        let ids: Vec<TaskId> = touched.iter().copied().collect();
        let moved_away = self.store.tasks(ids.clone()).await?;
        let tasks = of_project.into_iter().chain(moved_away);
        let tasks: HashMap<TaskId, Task> = tasks.map(|task| (task.id, task)).collect();
        // After the tasks: what is done to one meanwhile is either on record here, or its undoing is stale.
        let mut history: HashMap<TaskId, Vec<HistoryEntry>> = HashMap::new();
        for task in touched {
            history.insert(*task, self.store.history(*task).await?);
        }
        let mut elsewhere = self.store.links_of_tasks(ids).await?;
        elsewhere.retain(|link| link.connection_id != self.settings.id);
        Ok(plan_undo(&UndoInput {
            undone,
            mapping: &active.mapping,
            touched,
            tasks: &tasks,
            history: &history,
            intents,
            links: &view.links,
            elsewhere: &elsewhere,
            observation: &active.observation,
            setting: self.setting(active.direction),
        }))
    }
}
