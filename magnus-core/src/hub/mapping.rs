//! A person says which external project belongs to which hub project.

use super::{Hub, HubError, HubErrorKind, TRIES, busy};
use crate::model::{ConnectionId, ConnectionSettings, Mapping, Project, ProjectId, RemoteProject, RunState, text};
use crate::store::{Changeset, MappingWrite, ProjectWrite};

/// How far back the log is searched for a run that goes on: no two of one connection do.
const RUNS_LOOKED_AT: usize = 20;

/// What mapping a project came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MapAnswer {
    /// It was mapped so already; nothing was written.
    AlreadyThere,
    /// It is mapped to a hub project that was there.
    Joined,
    /// A hub project was made for it.
    Created,
    /// It was mapped to another hub project, from which nothing was synced yet.
    Moved,
}

/// A project that is mapped now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapped {
    /// The mapping.
    pub mapping: Mapping,
    /// The hub project.
    pub project: Project,
    /// What came of it.
    pub answer: MapAnswer,
}

/// What a decision on a mapping looks at.
struct View {
    settings: ConnectionSettings,
    mappings: Vec<Mapping>,
    projects: Vec<Project>,
}

impl Hub {
    /// Maps an external project to a hub project. Without `to`: to the one that it has, else to the one of the same
    /// name, else to a new one.
    ///
    /// # Errors
    /// `NotFound` for an unknown connection or hub project; `Conflict` if it is mapped elsewhere and was synced, if
    /// another enabled connection syncs the same project of the same instance, or if the hub project already belongs to
    /// another project of this connection or is archived; `Store`.
    pub async fn map(
        &self,
        connection: ConnectionId,
        external: &RemoteProject,
        to: Option<ProjectId>,
    ) -> Result<Mapped, HubError> {
        for _ in 0..TRIES {
            let view = self.view(connection).await?;
            self.refuse_if_synced_elsewhere(&view, external).await?;
            let here = view
                .mappings
                .iter()
                .find(|mapping| mapping.connection_id == connection && mapping.external_id == external.id);
            let done = match here {
                Some(mapping) => self.remap(&view, mapping, to).await?,
                None => self.map_new(&view, external, to).await?,
            };
            if let Some((mapping, answer)) = done {
                let project = self.project(mapping.project_id).await?;
                return Ok(Mapped {
                    mapping,
                    project,
                    answer,
                });
            }
        }
        Err(busy("the mapping"))
    }

    /// Maps every open external project by name; one that is refused does not keep the others from being mapped.
    /// Answers in the order given.
    pub async fn map_all(
        &self,
        connection: ConnectionId,
        externals: &[RemoteProject],
    ) -> Vec<(RemoteProject, Result<Mapped, HubError>)> {
        let mut answers = Vec::new();
        for external in externals.iter().filter(|external| external.open) {
            answers.push((external.clone(), self.map(connection, external, None).await));
        }
        answers
    }

    async fn view(&self, connection: ConnectionId) -> Result<View, HubError> {
        let settings = self.store.connection(connection).await?;
        Ok(View {
            settings: settings.ok_or_else(|| HubError::not_found("connection", connection))?,
            mappings: self.store.all_mappings().await?,
            projects: self.store.projects().await?,
        })
    }

    /// The same external project may be synced by one enabled connection only.
    async fn refuse_if_synced_elsewhere(&self, view: &View, external: &RemoteProject) -> Result<(), HubError> {
        let here = &view.settings;
        for other in self.store.connections().await? {
            let syncs_it = || {
                view.mappings.iter().any(|mapping| {
                    mapping.enabled && mapping.connection_id == other.id && mapping.external_id == external.id
                })
            };
            if other.id != here.id && other.enabled && other.same_instance(here) && syncs_it() {
                return Err(HubError::new(
                    HubErrorKind::Conflict,
                    format!(
                        "project {:?} is synced by connection {:?} to the same instance already; disable or remove that \
                         one first",
                        external.name, other.name
                    ),
                ));
            }
        }
        Ok(())
    }

    async fn remap(
        &self,
        view: &View,
        mapping: &Mapping,
        to: Option<ProjectId>,
    ) -> Result<Option<(Mapping, MapAnswer)>, HubError> {
        let Some(to) = to.filter(|to| *to != mapping.project_id) else {
            return Ok(Some((mapping.clone(), MapAnswer::AlreadyThere)));
        };
        view.usable(to)?;
        let connection = mapping.connection_id;
        let runs = self.store.recent_runs_of(connection, RUNS_LOOKED_AT).await?;
        if let Some(run) = runs.iter().find(|run| run.state == RunState::Started) {
            // It reads the project for the hub project of now, and would go on into that.
            let message = format!(
                "run {} of connection {:?} goes on; wait for its end, or cancel it",
                run.id, view.settings.name
            );
            return Err(HubError::new(HubErrorKind::Conflict, message));
        }
        let links = self.store.links_of_mapping(mapping.id).await?.len();
        if links > 0 {
            let now = view.name_of(mapping.project_id);
            return Err(HubError::new(
                HubErrorKind::Conflict,
                format!(
                    "project {:?} is synced with hub project {now:?} already, with {links} tasks linked; to join it with \
                     another one, remove the connection, connect it again with the option projects=mapped, and map it \
                     before the first sync",
                    mapping.external_name
                ),
            ));
        }
        let mut changed = mapping.clone();
        changed.project_id = to;
        changed.cursor = None;
        changed.first_contact_done = false;
        let mut changeset = Changeset::new();
        changeset.projects.extend(self.archived_if_empty(view, mapping).await?);
        changeset.mappings.push(MappingWrite {
            mapping: changed,
            expected: Some(mapping.version),
        });
        self.committed(changeset, mapping, MapAnswer::Moved).await
    }

    /// The hub project that a mapping leaves is archived if nobody else uses it.
    async fn archived_if_empty(&self, view: &View, left: &Mapping) -> Result<Option<ProjectWrite>, HubError> {
        let used = view
            .mappings
            .iter()
            .any(|other| other.id != left.id && other.project_id == left.project_id);
        let tasks = self.store.tasks_of_project(left.project_id).await?;
        let project = view.projects.iter().find(|project| project.id == left.project_id);
        let Some(project) = project.filter(|project| !used && tasks.is_empty() && project.archived_at.is_none()) else {
            return Ok(None);
        };
        let now = self.now();
        let mut archived = project.clone();
        archived.archived_at = Some(now);
        archived.updated_at = now;
        Ok(Some(ProjectWrite {
            project: archived,
            expected: Some(project.version),
        }))
    }

    async fn map_new(
        &self,
        view: &View,
        external: &RemoteProject,
        to: Option<ProjectId>,
    ) -> Result<Option<(Mapping, MapAnswer)>, HubError> {
        let mut changeset = Changeset::new();
        let known = match to {
            Some(to) => Some(view.usable(to)?),
            None => view.by_name(&external.name)?,
        };
        let (project_id, answer) = match known {
            Some(project) => (project, MapAnswer::Joined),
            None => {
                let mut project = Project::new(external.name.clone(), self.now());
                project.description.clone_from(&external.description);
                project.source_tool = Some(view.settings.tool.clone());
                let id = project.id;
                changeset.projects.push(ProjectWrite {
                    project,
                    expected: None,
                });
                (id, MapAnswer::Created)
            }
        };
        let mapping = Mapping::new(view.settings.id, external.id.clone(), external.name.clone(), project_id);
        changeset.mappings.push(MappingWrite {
            mapping: mapping.clone(),
            expected: None,
        });
        self.committed(changeset, &mapping, answer).await
    }

    async fn committed(
        &self,
        changeset: Changeset,
        mapping: &Mapping,
        answer: MapAnswer,
    ) -> Result<Option<(Mapping, MapAnswer)>, HubError> {
        if !self.commit(changeset).await? {
            return Ok(None);
        }
        let stored = self.store.mappings(mapping.connection_id).await?;
        let stored = stored.into_iter().find(|stored| stored.id == mapping.id);
        Ok(stored.map(|stored| (stored, answer)))
    }
}

impl View {
    fn name_of(&self, project: ProjectId) -> &str {
        let found = self.projects.iter().find(|found| found.id == project);
        found.map_or("?", |found| found.name.as_str())
    }

    /// The project, if this connection may map something to it.
    fn usable(&self, project: ProjectId) -> Result<ProjectId, HubError> {
        let Some(found) = self.projects.iter().find(|found| found.id == project) else {
            return Err(HubError::not_found("hub project", project));
        };
        let refused = |why: String| Err(HubError::new(HubErrorKind::Conflict, why));
        if found.archived_at.is_some() {
            return refused(format!("hub project {:?} is archived; choose another one", found.name));
        }
        match self.taken_by(project) {
            Some(other) => refused(format!(
                "hub project {:?} belongs to project {:?} of connection {:?} already; choose another one",
                found.name, other.external_name, self.settings.name
            )),
            None => Ok(project),
        }
    }

    fn taken_by(&self, project: ProjectId) -> Option<&Mapping> {
        self.mappings
            .iter()
            .find(|mapping| mapping.connection_id == self.settings.id && mapping.project_id == project)
    }

    /// The one living hub project with this name that this connection has not mapped yet.
    fn by_name(&self, name: &str) -> Result<Option<ProjectId>, HubError> {
        let key = text::canonical_title(name);
        let same: Vec<&Project> = self
            .projects
            .iter()
            .filter(|project| project.archived_at.is_none() && text::canonical_title(&project.name) == key)
            .filter(|project| self.taken_by(project.id).is_none())
            .collect();
        match same.as_slice() {
            [] => Ok(None),
            [one] => Ok(Some(one.id)),
            several => {
                let ids: Vec<String> = several.iter().map(|project| project.id.to_string()).collect();
                Err(HubError::new(
                    HubErrorKind::Conflict,
                    format!(
                        "several hub projects are called {name:?}; say which one: {}",
                        ids.join(", ")
                    ),
                ))
            }
        }
    }
}

#[cfg(test)]
mod tests;
