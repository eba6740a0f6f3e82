//! A proposal of a model on its task: put there, accepted, turned down.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Value as Json, json};

use super::tasks::entry;
use super::{Hub, HubError, HubErrorKind, TRIES, busy};
use crate::breakdown::{METADATA_KEY, as_metadata, job_in, subtask_id};
use crate::model::{Breakdown, BreakdownId, BreakdownJob, ProposedSubtask, Task, TaskId, Timestamp, ToolName, Value};
use crate::store::{Changeset, TaskWrite, Unit};

/// How a task's metadata is changed; `None`: not at all.
type Change<'a> = &'a (dyn Fn(&Task) -> Option<Json> + Send + Sync);

/// What came of accepting a proposal.
#[derive(Debug, Clone, PartialEq)]
pub struct Accepted {
    /// The subtasks that were chosen, as they are now, with their places in the proposal.
    pub subtasks: BTreeMap<usize, Task>,
    /// How many of them were made by this.
    pub created: usize,
}

impl Hub {
    /// Puts a proposal on its task, under [`METADATA_KEY`]. Everything else of the metadata stays, also what others change
    /// at the same moment.
    ///
    /// # Errors
    /// `NotFound` for an unknown or deleted task, `Store`.
    pub async fn propose_breakdown(&self, job: &BreakdownJob, breakdown: &Breakdown) -> Result<Task, HubError> {
        let proposal = as_metadata(job.id, breakdown)?;
        // One that stands there already may have been accepted in part.
        let put = |task: &Task| (job_in(task) != Some(job.id)).then(|| proposal.clone());
        self.change_proposal(job.task_id, &put).await
    }

    /// Takes the proposal of a job off its task, if it still stands there. Subtasks that came of it stay.
    ///
    /// # Errors
    /// `NotFound` for an unknown or deleted task, `Store`.
    pub async fn discard_proposal(&self, job: &BreakdownJob) -> Result<Task, HubError> {
        let take = |task: &Task| (job_in(task) == Some(job.id)).then_some(Json::Null);
        self.change_proposal(job.task_id, &take).await
    }

    /// Makes subtasks of a proposal: those at these places, or all. Each is made once, however often it is accepted: one
    /// that was made before is left as people have changed it since, also one that they deleted.
    ///
    /// `flat` are the tools in which a subtask has no subtasks of its own. Where the task's project is in such a tool and the
    /// task is a subtask itself, its subtasks are made beside it, under the task at the top.
    ///
    /// # Errors
    /// `Conflict` if there is no proposal, it was discarded, or the project is archived; `Invalid` for a place that is not in
    /// it; `NotFound` if the task was deleted; `Store`.
    pub async fn accept_breakdown(
        &self,
        job: &BreakdownJob,
        chosen: Option<Vec<usize>>,
        flat: &BTreeSet<ToolName>,
    ) -> Result<Accepted, HubError> {
        let breakdown = proposal_of(job)?;
        let chosen: BTreeSet<usize> = chosen.map_or_else(
            || (0..breakdown.subtasks.len()).collect(),
            |places| places.into_iter().collect(),
        );
        if let Some(unknown) = chosen.iter().find(|place| **place >= breakdown.subtasks.len()) {
            let count = breakdown.subtasks.len();
            let message = format!("there is no subtask {unknown} in the proposal; it has {count}, counted from 0");
            return Err(HubError::invalid(message));
        }
        for _ in 0..TRIES {
            let task = self.task(job.task_id).await?;
            let ids: Vec<TaskId> = (0..breakdown.subtasks.len())
                .map(|place| subtask_id(job, place))
                .collect();
            let known: HashMap<TaskId, Task> = self
                .store
                .tasks(ids.clone())
                .await?
                .into_iter()
                .map(|task| (task.id, task))
                .collect();
            let new: BTreeSet<usize> = chosen
                .iter()
                .copied()
                .filter(|place| !known.contains_key(&ids[*place]))
                .collect();
            if new.is_empty() {
                let subtasks = chosen
                    .iter()
                    .filter_map(|place| Some((*place, known.get(&ids[*place])?.clone())));
                return Ok(Accepted {
                    subtasks: subtasks.collect(),
                    created: 0,
                });
            }
            self.refuse_archived(&task).await?;
            let plan = Acceptance {
                job: job.id,
                breakdown,
                ids: &ids,
                known: &known,
                new: &new,
                now: self.now(),
            };
            let parent = self.parent_for_subtasks(&task, flat).await?;
            let unit = plan.unit(&task, parent);
            if self.commit(Changeset::of(vec![unit])).await? {
                let made = self
                    .store
                    .tasks(chosen.iter().map(|place| ids[*place]).collect())
                    .await?;
                let place_of = |task: &Task| ids.iter().position(|id| *id == task.id);
                return Ok(Accepted {
                    subtasks: made
                        .into_iter()
                        .filter_map(|task| Some((place_of(&task)?, task)))
                        .collect(),
                    created: new.len(),
                });
            }
        }
        Err(busy("the task"))
    }

    /// The subtasks that were made of a proposal so far, deleted ones too, by their places in it.
    ///
    /// # Errors
    /// `Store`.
    pub async fn accepted_subtasks(&self, job: &BreakdownJob) -> Result<BTreeMap<usize, TaskId>, HubError> {
        let count = job.breakdown.as_ref().map_or(0, |breakdown| breakdown.subtasks.len());
        let ids: Vec<TaskId> = (0..count).map(|place| subtask_id(job, place)).collect();
        let made = self.store.tasks(ids.clone()).await?;
        let place_of = |task: &Task| ids.iter().position(|id| *id == task.id);
        Ok(made
            .iter()
            .filter_map(|task| Some((place_of(task)?, task.id)))
            .collect())
    }

    async fn change_proposal(&self, id: TaskId, change: Change<'_>) -> Result<Task, HubError> {
        for _ in 0..TRIES {
            let before = self.task(id).await?;
            let Some(proposal) = change(&before) else {
                return Ok(before);
            };
            let mut task = before.clone();
            if proposal.is_null() {
                task.metadata.remove(METADATA_KEY);
            } else {
                task.metadata.insert(METADATA_KEY.to_owned(), proposal);
            }
            task.updated_at = self.now();
            if self.update(task, &before, Vec::new()).await? {
                return self.task(id).await;
            }
        }
        Err(busy("the task"))
    }

    async fn refuse_archived(&self, task: &Task) -> Result<(), HubError> {
        let project = self.project(task.project_id).await?;
        if project.archived_at.is_some() {
            let message = format!("project {:?} is archived; its tasks are not synced", project.name);
            return Err(HubError::new(HubErrorKind::Conflict, message));
        }
        Ok(())
    }

    /// Where the subtasks of a task belong: under it, or under the task at the top where a tool knows one level only.
    async fn parent_for_subtasks(&self, task: &Task, flat: &BTreeSet<ToolName>) -> Result<TaskId, HubError> {
        let Some(above) = task.parent_id.filter(|_| !flat.is_empty()) else {
            return Ok(task.id);
        };
        let mappings = self.store.all_mappings().await?;
        let connections = self.store.connections().await?;
        let is_flat = mappings
            .iter()
            .filter(|mapping| mapping.project_id == task.project_id)
            .any(|mapping| {
                let settings = connections.iter().find(|settings| settings.id == mapping.connection_id);
                settings.is_some_and(|settings| flat.contains(&settings.tool))
            });
        if !is_flat {
            return Ok(task.id);
        }
        let tasks = self.store.tasks_of_project(task.project_id).await?;
        let parents: HashMap<TaskId, Option<TaskId>> = tasks.iter().map(|task| (task.id, task.parent_id)).collect();
        let mut top = above;
        // As many steps as there are tasks: a circle that is there already must not hold us.
        for _ in 0..tasks.len() {
            match parents.get(&top).copied().flatten() {
                Some(next) => top = next,
                None => break,
            }
        }
        Ok(top)
    }
}

fn proposal_of(job: &BreakdownJob) -> Result<&Breakdown, HubError> {
    let refused = |message: String| HubError::new(HubErrorKind::Conflict, message);
    if let Some(at) = job.discarded_at {
        return Err(refused(format!(
            "the proposal was discarded at {at}; ask for a new one"
        )));
    }
    let proposal = job.breakdown.as_ref();
    proposal.ok_or_else(|| {
        refused(format!(
            "the breakdown is {}; there is no proposal to accept",
            job.state
        ))
    })
}

/// What is written when subtasks are accepted.
struct Acceptance<'a> {
    job: BreakdownId,
    breakdown: &'a Breakdown,
    ids: &'a [TaskId],
    known: &'a HashMap<TaskId, Task>,
    new: &'a BTreeSet<usize>,
    now: Timestamp,
}

impl Acceptance<'_> {
    /// The new subtasks, the proposal that tells of them, and those made before that depend on new ones: all or nothing.
    fn unit(&self, task: &Task, parent: TaskId) -> Unit {
        let mut unit = Unit::default();
        for &place in self.new {
            let subtask = self.subtask(place, task, parent);
            let title = Value::text(subtask.title.clone());
            unit.history.push(entry(&subtask, None, Value::Empty, title, self.now));
            unit.tasks.push(TaskWrite::Insert {
                task: Box::new(subtask),
                guard: None,
            });
        }
        let mut changed: Vec<Task> = self.dependents();
        changed.extend(self.noted(task));
        unit.tasks.extend(changed.into_iter().map(|mut task| {
            task.updated_at = self.now;
            TaskWrite::Update {
                expected: task.version,
                task: Box::new(task),
            }
        }));
        unit
    }

    fn subtask(&self, place: usize, task: &Task, parent: TaskId) -> Task {
        let proposed = &self.breakdown.subtasks[place];
        let mut subtask = Task::new(task.project_id, proposed.title.clone(), self.now);
        subtask.id = self.ids[place];
        subtask.parent_id = Some(parent);
        subtask.priority = proposed.priority;
        subtask.estimated_minutes = Some(minutes(proposed.estimated_hours));
        let description = Some(proposed.description.clone());
        subtask.description = description.filter(|text| !text.is_empty());
        let from = json!({ "job_id": self.job, "task_id": task.id, "subtask": place });
        subtask.metadata.insert("from_breakdown".to_owned(), from);
        subtask
            .metadata
            .insert("depends_on".to_owned(), self.depends_on(proposed));
        subtask
    }

    /// The subtasks that one comes after, as far as they are made by now.
    fn depends_on(&self, proposed: &ProposedSubtask) -> Json {
        let made = proposed.depends_on.iter().filter(|place| self.is_made(**place));
        made.map(|place| Json::String(self.ids[*place].to_string())).collect()
    }

    fn is_made(&self, place: usize) -> bool {
        self.new.contains(&place) || self.known.contains_key(&self.ids[place])
    }

    /// Those made before whose dependencies are made only now.
    fn dependents(&self) -> Vec<Task> {
        let places = self.breakdown.subtasks.iter().enumerate();
        places
            .filter(|(_, proposed)| proposed.depends_on.iter().any(|place| self.new.contains(place)))
            .filter_map(|(place, proposed)| {
                let mut task = self
                    .known
                    .get(&self.ids[place])
                    .filter(|task| !task.is_deleted())?
                    .clone();
                task.metadata.insert("depends_on".to_owned(), self.depends_on(proposed));
                Some(task)
            })
            .collect()
    }

    /// The task, with the proposal on it telling what was accepted; none if another proposal stands there by now.
    fn noted(&self, task: &Task) -> Option<Task> {
        let mut task = Some(task).filter(|task| job_in(task) == Some(self.job))?.clone();
        let accepted = task
            .metadata
            .get_mut(METADATA_KEY)?
            .get_mut("accepted")?
            .as_object_mut()?;
        for &place in self.new {
            accepted.insert(place.to_string(), self.ids[place].to_string().into());
        }
        Some(task)
    }
}

/// Hours as whole minutes, at least one.
fn minutes(hours: f64) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a checked estimate; a cast from float saturates"
    )]
    let minutes = (hours * 60.0).round() as u32;
    minutes.max(1)
}

#[cfg(test)]
mod tests;
