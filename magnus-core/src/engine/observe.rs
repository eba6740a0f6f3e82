//! Reads what the tool has, and how far that can be believed.

use std::collections::{HashMap, HashSet};

use super::RunError;
use super::session::{Active, Session};
use crate::connection::{ConnectionError, ConnectionExt, ListTasks, ProjectReading, ReadTask, Reading, Translator};
use crate::model::{Conflict, ExternalId, Link, LinkState, Mapping, RemoteTask, Task, TaskEntry, TaskId, Trigger};
use crate::reconcile::{Absence, Lens, Observation, References, Sightings, needs_reading};

/// A scheduled run sweeps the ids of a mapping whose last complete reading is older than this.
const SWEEP_INTERVAL: chrono::TimeDelta = chrono::TimeDelta::hours(1);

/// How many links are looked at with their bases at once.
const LINKS_AT_A_TIME: usize = 256;

/// The hub's side of one mapping.
#[derive(Debug, Default)]
pub(super) struct HubView {
    /// The tasks of the hub project, and those of links that point out of it.
    pub(super) tasks: HashMap<TaskId, TaskEntry>,
    /// All links of the connection, without their bases: who is linked with whom.
    pub(super) links: Vec<Link>,
    /// The open conflicts of the connection.
    pub(super) conflicts: Vec<Conflict>,
}

/// What is known of one item of the tool.
#[derive(Debug)]
pub(super) enum Sight {
    /// It is there, in whatever project.
    There(Box<RemoteTask>),
    /// It is gone, with evidence.
    Gone,
    /// Nobody can tell, with the reason.
    Unsure(String),
}

impl Session {
    /// Reads the hub's side of a mapping: its project's tasks, and those elsewhere whose link was made here or whose
    /// external task shows up here.
    pub(super) async fn hub_view(&self, active: &Active) -> Result<HubView, RunError> {
        let mapping = &active.mapping;
        let tasks = self.store.task_index(mapping.project_id).await?;
        let mut tasks: HashMap<TaskId, TaskEntry> = tasks.into_iter().map(|task| (task.id, task)).collect();
        let links = self.store.link_index(self.settings.id).await?;
        let elsewhere: Vec<TaskId> = links
            .iter()
            .filter(|link| link.mapping_id == mapping.id || active.observation.tasks.contains(&link.external_id))
            .map(|link| link.task_id)
            .filter(|task| !tasks.contains_key(task))
            .collect();
        for task in self.store.tasks(elsewhere).await? {
            tasks.insert(task.id, TaskEntry::from(&task));
        }
        self.add_ancestors(&mut tasks, &links, active).await?;
        let query = crate::store::ConflictQuery::open(Some(self.settings.id));
        Ok(HubView {
            tasks,
            links,
            conflicts: self.store.conflicts(query).await?,
        })
    }

    /// Adds what is above the tasks, or is above their items in the tool, in other projects: a circle of parents may lead through
    /// those.
    async fn add_ancestors(
        &self,
        tasks: &mut HashMap<TaskId, TaskEntry>,
        links: &[Link],
        active: &Active,
    ) -> Result<(), RunError> {
        let shown = active.observation.tasks.briefs();
        let parents: HashSet<&ExternalId> = shown.filter_map(|(_, brief)| brief.parent.as_ref()).collect();
        let in_tool = links.iter().filter(|link| parents.contains(&link.external_id));
        let in_hub = tasks.values().filter_map(|task| task.parent_id);
        let mut above: HashSet<TaskId> = in_hub.chain(in_tool.map(|link| link.task_id)).collect();
        loop {
            above.retain(|task| !tasks.contains_key(task));
            let found = self.store.tasks(above.drain().collect()).await?;
            if found.is_empty() {
                return Ok(());
            }
            above.extend(found.iter().filter_map(|task| task.parent_id));
            tasks.extend(found.iter().map(|task| (task.id, TaskEntry::from(task))));
        }
    }

    /// Reads the tool's side of a mapping: what changed, what is there, and what became of what is not. The error inside is of
    /// this mapping alone.
    pub(super) async fn observe(
        &mut self,
        active: &mut Active,
        trigger: Trigger,
        translator: &dyn Translator,
    ) -> Result<Result<(), ConnectionError>, RunError> {
        if let Err(error) = self.list(active).await {
            return Ok(Err(error));
        }
        let view = self.hub_view(active).await?;
        if active.observation.ids.is_none()
            && self.capabilities.id_sweep
            && self.sweeps(&active.mapping, &view, trigger)
        {
            match self.connection.all_ids(active.mapping.external_id.clone()).await {
                Ok(ids) => active.observation.ids = Some(ids),
                Err(error) => return Ok(Err(error)),
            }
        }
        let wanted = self
            .to_read(&active.mapping, &view, &active.observation, translator)
            .await?;
        self.note_seen(view.links.iter().map(|link| &link.external_id));
        drop(view);
        let mapping = active.mapping.clone();
        let observation = &mut active.observation;
        if let Err(error) = self.read_into(observation, wanted.clone(), &mapping).await {
            return Ok(Err(error));
        }
        let listed = |id: &ExternalId| observation.ids.as_ref().is_none_or(|ids| ids.contains(id));
        let there = |id: &&ExternalId| observation.tasks.contains(id);
        observation.unlisted = wanted.iter().filter(|id| !listed(id)).filter(there).count();
        self.note_seen(
            active
                .observation
                .tasks
                .ids()
                .chain(active.observation.ids.iter().flatten()),
        );
        Ok(Ok(()))
    }

    /// Lists what the tool has, or what changed there since it was listed last.
    async fn list(&self, active: &mut Active) -> Result<(), ConnectionError> {
        let mapping = &active.mapping;
        let since = mapping
            .cursor
            .clone()
            .filter(|_| self.capabilities.incremental && mapping.first_contact_done);
        let whole = since.is_none();
        let request = ListTasks::new(mapping.external_id.clone()).changed_since(since);
        let mut tasks = Sightings::default();
        let cursor = self
            .connection
            .each_task(request, &mut |task| tasks.insert(task))
            .await?;
        active.observation = Observation {
            ids: whole.then(|| tasks.ids().cloned().collect()),
            tasks,
            ..Observation::default()
        };
        active.cursor = cursor;
        Ok(())
    }

    /// Whether to list all ids: always for a person, and whenever something may be created in the tool.
    fn sweeps(&self, mapping: &Mapping, view: &HubView, trigger: Trigger) -> bool {
        let linked: HashSet<TaskId> = view.links.iter().map(|link| link.task_id).collect();
        let unlinked_task = view
            .tasks
            .values()
            .any(|task| task.project_id == mapping.project_id && !task.deleted && !linked.contains(&task.id));
        let overdue = mapping
            .last_sync_at
            .is_none_or(|last| self.now() - last >= SWEEP_INTERVAL);
        matches!(trigger, Trigger::Manual | Trigger::Resume) || unlinked_task || overdue
    }

    /// The items that must be read by id: missing ones, unexplained ones, and those that wait for something.
    async fn to_read(
        &self,
        mapping: &Mapping,
        view: &HubView,
        observation: &Observation,
        translator: &dyn Translator,
    ) -> Result<Vec<ExternalId>, RunError> {
        let mut references = References::default();
        for link in view.links.iter().filter(|link| link.state == LinkState::Live) {
            references.join(link.task_id, link.external_id.clone());
        }
        let lens = Lens::new(translator, &mapping.external_id, &references);
        let in_conflict: HashSet<_> = view.conflicts.iter().map(|conflict| conflict.link_id).collect();
        let seen = |id: &ExternalId| observation.tasks.contains(id);
        let missing = |link: &Link| {
            let ids = observation.ids.as_ref();
            link.state == LinkState::Live && ids.is_some_and(|ids| !ids.contains(&link.external_id))
        };
        let of_mapping = |link: &&Link| link.mapping_id == mapping.id && !seen(&link.external_id);
        let (missing, there): (Vec<&Link>, Vec<&Link>) =
            view.links.iter().filter(of_mapping).partition(|link| missing(link));
        let mut wanted: Vec<ExternalId> = missing.iter().map(|link| link.external_id.clone()).collect();
        for links in there.chunks(LINKS_AT_A_TIME) {
            let tasks: Vec<TaskId> = links.iter().map(|link| link.task_id).collect();
            let links = self.store.links_of_tasks(tasks.clone()).await?;
            let tasks = self.store.tasks(tasks).await?;
            let tasks: HashMap<TaskId, &Task> = tasks.iter().map(|task| (task.id, task)).collect();
            let here = links.iter().filter(|link| link.mapping_id == mapping.id);
            let waiting = here.filter(|link| {
                tasks.get(&link.task_id).is_some_and(|task| {
                    let moved_in_hub = task.project_id != mapping.project_id && link.state == LinkState::Live;
                    let in_conflict = in_conflict.contains(&link.id);
                    moved_in_hub || needs_reading(task, link, in_conflict, &lens, &self.capabilities)
                })
            });
            wanted.extend(waiting.map(|link| link.external_id.clone()));
        }
        let settled: HashSet<&ExternalId> = view
            .links
            .iter()
            .filter(|link| matches!(link.state, LinkState::Live | LinkState::GoneLocal))
            .map(|link| &link.external_id)
            .collect();
        let unexplained = observation
            .ids
            .iter()
            .flatten()
            .filter(|id| !settled.contains(id) && !seen(id));
        wanted.extend(unexplained.cloned());
        wanted.sort();
        wanted.dedup();
        Ok(wanted)
    }

    /// Reads items by id. An absence is believed only while the project itself reads as open, to the user that saw it last.
    pub(super) async fn read_into(
        &self,
        observation: &mut Observation,
        wanted: Vec<ExternalId>,
        mapping: &Mapping,
    ) -> Result<(), ConnectionError> {
        let project = &mapping.external_id;
        let absent = self.read_some(observation, &wanted, project).await?;
        if absent.is_empty() {
            return Ok(());
        }
        let doubt = self.doubt(mapping).await?;
        // Rights may have come and gone while we looked: only what is absent before and after the project was seen is gone.
        let absent = match doubt {
            Some(_) => absent,
            None => self.read_some(observation, &absent, project).await?,
        };
        for id in absent {
            let absence = doubt.clone().map_or(Absence::Gone, Absence::Unsure);
            observation.absent.insert(id, absence);
        }
        Ok(())
    }

    /// Reads one item. That it is absent is believed as it is of many.
    pub(super) async fn read_one(&self, id: &ExternalId, mapping: &Mapping) -> Result<Sight, ConnectionError> {
        let request = ReadTask {
            id: id.clone(),
            project: mapping.external_id.clone(),
        };
        let mut reading = self.connection.read(vec![request.clone()]).await?.pop();
        if let Some(Reading::Absent) = reading {
            if let Some(doubt) = self.doubt(mapping).await? {
                return Ok(Sight::Unsure(format!("it is not seen, which proves nothing: {doubt}")));
            }
            reading = self.connection.read(vec![request]).await?.pop();
        }
        Ok(match reading {
            Some(Reading::Present(task) | Reading::Moved(task)) => Sight::There(task),
            Some(Reading::Absent) => Sight::Gone,
            Some(Reading::Denied) | None => Sight::Unsure("the tool does not let us look".to_owned()),
        })
    }

    /// Why it proves nothing that something of this mapping is not seen; `None` if it does.
    pub(super) async fn doubt(&self, mapping: &Mapping) -> Result<Option<String>, ConnectionError> {
        let another = mapping.seen_as.as_ref().is_some_and(|seen_as| *seen_as != self.seen_as);
        if another {
            let words = "the key is another user's than before, who may not see it; use a key of the same user, or delete \
                         the task in the hub, too";
            return Ok(Some(words.to_owned()));
        }
        self.project_doubt(&mapping.external_id).await
    }

    /// Reads items by id. Answers those that the tool says are not there.
    async fn read_some(
        &self,
        observation: &mut Observation,
        wanted: &[ExternalId],
        project: &ExternalId,
    ) -> Result<Vec<ExternalId>, ConnectionError> {
        let mut absent = Vec::new();
        for chunk in wanted.chunks(self.capabilities.batch_size.max(1)) {
            let requests = chunk
                .iter()
                .map(|id| ReadTask {
                    id: id.clone(),
                    project: project.clone(),
                })
                .collect();
            let readings = self.connection.read(requests).await?;
            for (id, reading) in chunk.iter().zip(readings) {
                let absence = match reading {
                    Reading::Present(task) => {
                        observation.tasks.insert(*task);
                        continue;
                    }
                    Reading::Absent => {
                        absent.push(id.clone());
                        continue;
                    }
                    Reading::Moved(task) => Absence::MovedTo(task.project),
                    Reading::Denied => Absence::Unsure("the tool says that we may not see it".to_owned()),
                };
                observation.absent.insert(id.clone(), absence);
            }
        }
        Ok(absent)
    }

    /// Why an absence in this project proves nothing; `None` if it does.
    pub(super) async fn project_doubt(&self, project: &ExternalId) -> Result<Option<String>, ConnectionError> {
        Ok(match self.connection.read_project(project.clone()).await? {
            ProjectReading::Open(_) => None,
            ProjectReading::Closed => Some("its project is closed or archived".to_owned()),
            ProjectReading::Denied => Some("we may not see its project any more".to_owned()),
            ProjectReading::Absent => Some("its project is gone or hidden from us".to_owned()),
        })
    }
}
