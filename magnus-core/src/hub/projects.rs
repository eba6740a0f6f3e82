//! Projects of the hub.

use super::{Hub, HubError, busy};
use crate::model::{Project, ProjectId, text};
use crate::store::{Changeset, ProjectWrite};

impl Hub {
    /// Adds a project.
    ///
    /// # Errors
    /// `Invalid` for a blank name, `Store`.
    pub async fn add_project(&self, name: &str) -> Result<Project, HubError> {
        if text::canonical_title(name).is_empty() {
            return Err(HubError::invalid("a project needs a name"));
        }
        let project = Project::new(name.trim(), self.now());
        let mut changeset = Changeset::new();
        changeset.projects.push(ProjectWrite {
            project: project.clone(),
            expected: None,
        });
        if !self.commit(changeset).await? {
            return Err(busy("the project"));
        }
        self.project(project.id).await
    }

    pub(super) async fn project(&self, id: ProjectId) -> Result<Project, HubError> {
        let project = self.store.project(id).await?;
        project.ok_or_else(|| HubError::not_found("hub project", id))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::{Hub, HubErrorKind};
    use crate::memory::MemoryStore;

    #[tokio::test]
    async fn a_project_without_a_name_is_refused() {
        let hub = Hub::new(Arc::new(MemoryStore::new()));
        assert_eq!(hub.add_project(" \t").await.unwrap_err().kind(), HubErrorKind::Invalid);
        assert!(hub.store().projects().await.unwrap().is_empty());
    }
}
