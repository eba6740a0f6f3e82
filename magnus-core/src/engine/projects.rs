//! Which projects take part in a run: mapped ones, and new ones that are taken over.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::session::{Active, Session};
use super::{RunError, RunErrorKind};
use crate::connection::{ConnectionExt, ProjectReading};
use crate::model::{
    ExternalId, ItemOutcome, Mapping, MappingId, MappingState, Project, ProjectPolicy, Reason, RemoteProject, Scope,
    SkipReason,
};
use crate::reconcile::Observation;
use crate::store::{Changeset, MappingWrite, ProjectWrite};

/// Who else has mapped a project of this instance.
struct Elsewhere {
    /// Ids are ordered by age: the older mapping goes on.
    mapping: MappingId,
    connection: String,
}

impl Elsewhere {
    fn reason(&self) -> Reason {
        SkipReason::SyncedElsewhere.because(format!("it is synced by connection {:?} already", self.connection))
    }
}

impl Session {
    /// Reads the list of projects, takes over new ones, suspends or wakes mappings, and answers those that take part.
    ///
    /// With `commit` false nothing is written: what would be new is answered all the same, for a plan.
    pub(super) async fn projects(&mut self, scope: Scope, commit: bool) -> Result<Vec<Active>, RunError> {
        let mut mappings = self.store.mappings(self.settings.id).await?;
        let mut new = HashSet::new();
        if scope != Scope::Tasks || mappings.is_empty() {
            let remotes = self.connection.all_projects().await?;
            let mut changeset = Changeset::new();
            for mapping in &mut mappings {
                self.refresh(mapping, &remotes, &mut changeset).await?;
            }
            // Two connections to one instance that are synced at the same time must not both find a project free.
            let taking_over = Arc::clone(&self.taking_over);
            let _turn = taking_over.lock().await;
            let elsewhere = self.mapped_elsewhere().await?;
            for mapping in self.take_over(&remotes, &mappings, &elsewhere, &mut changeset) {
                new.insert(mapping.id);
                mappings.push(mapping);
            }
            if commit {
                self.commit(changeset).await?;
                mappings = self.store.mappings(self.settings.id).await?;
            }
        }
        let elsewhere = self.mapped_elsewhere().await?;
        let mut active = Vec::new();
        for mapping in mappings {
            if !mapping.enabled {
                continue;
            }
            // A connection that was switched on again, or another process, may have come to a project that is taken.
            if let Some(first) = elsewhere
                .get(&mapping.external_id)
                .filter(|first| first.mapping < mapping.id)
            {
                self.skip_project(&mapping, first.reason());
                continue;
            }
            if let MappingState::Suspended { reason } = &mapping.state {
                self.report
                    .problems
                    .push(format!("project {:?} is suspended: {reason}", mapping.external_name));
                continue;
            }
            let allowed = mapping.direction.unwrap_or(self.direction).intersect(self.direction);
            let Some(direction) = allowed else {
                let reason = SkipReason::Direction.because("its mapping allows no direction that this run has");
                self.skip_project(&mapping, reason);
                continue;
            };
            let stored = commit || !new.contains(&mapping.id);
            active.push(Active {
                mapping,
                direction,
                observation: Observation::default(),
                cursor: None,
                stored,
            });
        }
        Ok(active)
    }

    fn skip_project(&mut self, mapping: &Mapping, reason: Reason) {
        self.report.counts.projects.skipped += 1;
        self.report.push_item(ItemOutcome {
            task_id: None,
            external_id: Some(mapping.external_id.clone()),
            title: mapping.external_name.clone(),
            outcome: "skipped".to_owned(),
            detail: reason.to_string(),
            reason: Some(reason.code),
        });
    }

    /// Follows a mapped project's name, and suspends a mapping whose project is closed or gone from view. A project that
    /// vanishes never deletes anything.
    async fn refresh(
        &mut self,
        mapping: &mut Mapping,
        remotes: &[RemoteProject],
        changeset: &mut Changeset,
    ) -> Result<(), RunError> {
        let listed = remotes
            .iter()
            .find(|remote| remote.id == mapping.external_id && remote.open);
        let state = match listed {
            Some(_) => MappingState::Active,
            None => match self.connection.read_project(mapping.external_id.clone()).await? {
                ProjectReading::Open(_) => MappingState::Active,
                ProjectReading::Closed => suspended("it is closed or archived in the tool; reopen it there to go on"),
                ProjectReading::Denied => suspended("the key may not see it; give its user access in the tool"),
                ProjectReading::Absent => {
                    suspended("it is gone from the tool or hidden from the key; restore access, or remove the mapping")
                }
            },
        };
        let name = listed.map_or_else(|| mapping.external_name.clone(), |remote| remote.name.clone());
        if state == mapping.state && name == mapping.external_name {
            self.report.counts.projects.unchanged += 1;
            return Ok(());
        }
        let expected = Some(mapping.version);
        if name != mapping.external_name && self.direction.pulls() {
            self.rename(mapping, &name, changeset).await?;
        }
        mapping.state = state;
        mapping.external_name = name;
        self.report.counts.projects.updated += 1;
        changeset.mappings.push(MappingWrite {
            mapping: mapping.clone(),
            expected,
        });
        Ok(())
    }

    /// The hub follows a rename in the tool as long as nobody renamed the project in the hub.
    async fn rename(&self, mapping: &Mapping, name: &str, changeset: &mut Changeset) -> Result<(), RunError> {
        if let Some(mut project) = self.store.project(mapping.project_id).await?
            && project.name == mapping.external_name
        {
            let expected = Some(project.version);
            name.clone_into(&mut project.name);
            project.updated_at = self.now();
            changeset.projects.push(ProjectWrite { project, expected });
        }
        Ok(())
    }

    fn take_over(
        &mut self,
        remotes: &[RemoteProject],
        mappings: &[Mapping],
        elsewhere: &HashMap<ExternalId, Elsewhere>,
        changeset: &mut Changeset,
    ) -> Vec<Mapping> {
        let mapped: HashSet<&ExternalId> = mappings.iter().map(|mapping| &mapping.external_id).collect();
        let mut new = Vec::new();
        for remote in remotes.iter().filter(|remote| !mapped.contains(&remote.id)) {
            let draft = Mapping::new(
                self.settings.id,
                remote.id.clone(),
                remote.name.clone(),
                crate::model::ProjectId::generate(),
            );
            if !remote.open {
                self.skip_project(
                    &draft,
                    SkipReason::ProjectClosed.because("it is closed or archived in the tool"),
                );
            } else if self.settings.options.projects == ProjectPolicy::Mapped {
                self.skip_project(&draft, SkipReason::NotMapped.because("map it to take part"));
            } else if !self.direction.pulls() {
                self.skip_project(&draft, SkipReason::Direction.because("this run may not change the hub"));
            } else if let Some(first) = elsewhere.get(&remote.id) {
                self.skip_project(&draft, first.reason());
            } else {
                let mut project = Project::new(remote.name.clone(), self.now());
                project.description.clone_from(&remote.description);
                project.source_tool = Some(self.settings.tool.clone());
                let mapping = Mapping {
                    project_id: project.id,
                    ..draft
                };
                changeset.projects.push(ProjectWrite {
                    project,
                    expected: None,
                });
                changeset.mappings.push(MappingWrite {
                    mapping: mapping.clone(),
                    expected: None,
                });
                self.report.counts.projects.created += 1;
                new.push(mapping);
            }
        }
        new
    }

    /// External projects that another enabled connection to the same instance has mapped; by the first, if several have.
    async fn mapped_elsewhere(&self) -> Result<HashMap<ExternalId, Elsewhere>, RunError> {
        let same: HashMap<_, _> = self
            .store
            .connections()
            .await?
            .into_iter()
            .filter(|other| other.id != self.settings.id && other.enabled && other.same_instance(&self.settings))
            .map(|other| (other.id, other.name))
            .collect();
        let mappings = if same.is_empty() {
            Vec::new()
        } else {
            self.store.all_mappings().await?
        };
        let mut elsewhere: HashMap<ExternalId, Elsewhere> = HashMap::new();
        for mapping in mappings.into_iter().filter(|mapping| mapping.enabled) {
            let Some(connection) = same.get(&mapping.connection_id) else {
                continue;
            };
            let known = elsewhere.get(&mapping.external_id);
            if known.is_none_or(|known| mapping.id < known.mapping) {
                let found = Elsewhere {
                    mapping: mapping.id,
                    connection: connection.clone(),
                };
                elsewhere.insert(mapping.external_id, found);
            }
        }
        Ok(elsewhere)
    }

    /// Whether a run makes sense at all with these projects.
    pub(super) fn require_some(&self, active: &[Active]) -> Result<(), RunError> {
        if active.is_empty() && !self.report.problems.is_empty() {
            return Err(self.error(RunErrorKind::Connection, self.report.problems.join("; ")));
        }
        Ok(())
    }
}

fn suspended(reason: &str) -> MappingState {
    MappingState::Suspended {
        reason: reason.to_owned(),
    }
}
