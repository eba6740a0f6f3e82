//! The toy as the engine calls it.

use std::sync::Arc;

use async_trait::async_trait;
use magnus_core::connection::{
    Capabilities, Connection, ConnectionError, ConnectionErrorKind, Connector, FieldSupport, FindCreated, Identity,
    ListIds, ListProjects, ListTasks, Page, ProjectReading, ReadTask, Reading, RemoteWrite, Translator, Written,
};
use magnus_core::model::{ConnectionSettings, Cursor, ExternalId, LastChange, RemoteProject, RemoteTask, ToolName};
use secrecy::SecretString;

use super::{FIELDS, Happening, Item, Tables, Toy};

#[async_trait]
impl Connection for Toy {
    fn capabilities(&self) -> Capabilities {
        let fields = FIELDS
            .into_iter()
            .map(|field| (field, FieldSupport::ReadWrite))
            .collect();
        let mut capabilities = Capabilities::new(ToolName::new(self.name), self.name, fields);
        capabilities.incremental = self.habits.incremental;
        capabilities.id_sweep = self.habits.incremental;
        capabilities.versions = self.habits.versions;
        capabilities.delete = true;
        capabilities.archive = self.archive;
        capabilities.delete_cascades = self.state().cascades;
        capabilities.batch_size = self.habits.batch;
        capabilities.create_marker = self.habits.marker;
        capabilities
    }

    async fn check(&self) -> Result<Identity, ConnectionError> {
        let user = self.readable("check")?.user;
        Ok(Identity {
            id: ExternalId::from(1 + user),
            name: "Magnus".to_owned(),
            version: None,
            notes: Vec::new(),
        })
    }

    async fn translator(&self, _: Vec<ExternalId>) -> Result<Arc<dyn Translator>, ConnectionError> {
        drop(self.readable("translator")?);
        Ok(Arc::new(Tables(self.habits)))
    }

    async fn list_projects(&self, _: ListProjects) -> Result<Page<RemoteProject>, ConnectionError> {
        let state = self.readable("list_projects")?;
        let visible = state.projects.iter().filter(|(id, _)| !state.hidden.contains(id));
        Ok(Page::whole(
            visible.map(|(id, (name, open))| project(*id, name, *open)).collect(),
        ))
    }

    async fn list_tasks(&self, request: ListTasks) -> Result<Page<RemoteTask>, ConnectionError> {
        let state = self.readable("list_tasks")?;
        if state.broken.iter().any(|id| request.project == ExternalId::from(*id)) {
            return Err(ConnectionError::new(
                ConnectionErrorKind::Unavailable,
                "list_tasks",
                "500",
            ));
        }
        let since: u64 = request.changed_since.map_or(0, |cursor| cursor.0.parse().unwrap());
        let items = state
            .items
            .iter()
            .filter(|(_, item)| request.project == ExternalId::from(item.project) && item.stamp >= since)
            .filter(|(id, _)| !state.unlisted.contains(id))
            .flat_map(|(id, item)| vec![self.show(*id, item); if state.stutters { 2 } else { 1 }])
            .collect();
        let cursor = Some(Cursor(state.stamp.to_string()));
        Ok(Page {
            cursor: cursor.filter(|_| self.habits.incremental),
            ..Page::whole(items)
        })
    }

    async fn list_ids(&self, request: ListIds) -> Result<Page<ExternalId>, ConnectionError> {
        let state = self.readable("list_ids")?;
        let items = state
            .items
            .iter()
            .filter(|(id, item)| request.project == ExternalId::from(item.project) && !state.unlisted.contains(id));
        Ok(Page::whole(items.map(|(id, _)| ExternalId::from(*id)).collect()))
    }

    async fn read(&self, requests: Vec<ReadTask>) -> Result<Vec<Reading>, ConnectionError> {
        let mut state = self.readable("read")?;
        let fails = |request: &ReadTask| state.unreadable.iter().any(|id| request.id == ExternalId::from(*id));
        if requests.iter().any(fails) {
            return Err(ConnectionError::new(ConnectionErrorKind::Unavailable, "read", "500"));
        }
        Ok(requests
            .into_iter()
            .map(|request| {
                let id: u64 = request.id.as_str().parse().unwrap();
                if let Some(left) = state.blinks.get_mut(&id).filter(|left| **left > 0) {
                    *left -= 1;
                    return Reading::Absent;
                }
                match state.items.get(&id) {
                    Some(item) if state.hidden.contains(&item.project) => Reading::Absent,
                    Some(item) if ExternalId::from(item.project) == request.project => {
                        Reading::Present(Box::new(self.show(id, item)))
                    }
                    Some(item) => Reading::Moved(Box::new(self.show(id, item))),
                    None => Reading::Absent,
                }
            })
            .collect())
    }

    async fn read_project(&self, id: ExternalId) -> Result<ProjectReading, ConnectionError> {
        let state = self.readable("read_project")?;
        let number: u64 = id.as_str().parse().unwrap();
        if state.unreadable_projects.contains(&number) {
            return Err(ConnectionError::new(
                ConnectionErrorKind::Unavailable,
                "read_project",
                "500",
            ));
        }
        Ok(
            match state.projects.get(&number).filter(|_| !state.hidden.contains(&number)) {
                Some((_, true)) if state.closing.contains(&number) => ProjectReading::Closed,
                Some((name, true)) => ProjectReading::Open(project(number, name, true)),
                Some((_, false)) => ProjectReading::Closed,
                None => ProjectReading::Absent,
            },
        )
    }

    async fn write(&self, writes: Vec<RemoteWrite>) -> Vec<Result<Written, ConnectionError>> {
        writes.into_iter().map(|write| self.write_one(write)).collect()
    }

    async fn find_created(&self, request: FindCreated) -> Result<Vec<RemoteTask>, ConnectionError> {
        let mut state = self.readable("find_created")?;
        if state.blind_searches > 0 {
            state.blind_searches -= 1;
            return Ok(Vec::new());
        }
        let after: u64 = request.after.map_or(0, |id| id.as_str().parse().unwrap());
        let marked = |item: &Item| {
            let marker = item.marker.as_deref();
            request
                .markers
                .iter()
                .any(|operation| marker == Some(&operation.to_string()))
        };
        let found = state
            .items
            .iter()
            .filter(|(id, item)| (**id > after && item.ours) || marked(item));
        Ok(found.map(|(id, item)| self.show(*id, item)).collect())
    }

    async fn last_change(&self, task: ReadTask) -> Result<Option<LastChange>, ConnectionError> {
        let happening = self.readable("last_change")?.when_asked_who.take();
        if let Some(Happening(happening)) = happening {
            happening();
        }
        let state = self.state();
        let id: u64 = task.id.as_str().parse().unwrap();
        Ok(state.changed_by.get(&id).cloned())
    }

    async fn list_descendants(&self, task: ReadTask) -> Result<Vec<RemoteTask>, ConnectionError> {
        let state = self.readable("list_descendants")?;
        let above = task.id.as_str().parse().unwrap();
        Ok(state.below(above).map(|id| self.show(id, &state.items[&id])).collect())
    }
}

fn project(id: u64, name: &str, open: bool) -> RemoteProject {
    RemoteProject {
        id: ExternalId::from(id),
        name: name.to_owned(),
        description: None,
        open,
        url: None,
    }
}

#[async_trait]
impl Connector for Toy {
    fn tool(&self) -> ToolName {
        ToolName::new(self.name)
    }

    async fn open(&self, _: ConnectionSettings, _: SecretString) -> Result<Arc<dyn Connection>, ConnectionError> {
        Ok(Arc::new(self.clone()))
    }
}
