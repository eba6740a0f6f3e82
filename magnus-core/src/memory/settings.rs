//! Connections, due marks and sealed bytes.

use async_trait::async_trait;

use super::MemoryStore;
use super::tables::Tables;
use crate::model::{ConnectionId, ConnectionSettings};
use crate::store::{SettingsStore, StoreError, StoreErrorKind};

#[async_trait]
impl SettingsStore for MemoryStore {
    async fn connections(&self) -> Result<Vec<ConnectionSettings>, StoreError> {
        let mut connections: Vec<ConnectionSettings> = self.tables().connections.values().cloned().collect();
        connections.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(connections)
    }

    async fn connection(&self, id: ConnectionId) -> Result<Option<ConnectionSettings>, StoreError> {
        Ok(self.tables().connections.get(&id).cloned())
    }

    async fn save_connection(&self, mut settings: ConnectionSettings) -> Result<ConnectionSettings, StoreError> {
        let refused = |why: &str| StoreError::new(StoreErrorKind::Conflict, "save connection", why);
        let mut tables = self.tables();
        let stored = tables.connections.get(&settings.id).map_or(0, |stored| stored.revision);
        if stored != settings.revision {
            return Err(refused(
                "the connection was changed or removed meanwhile; read it again",
            ));
        }
        if tables
            .connections
            .values()
            .any(|other| other.id != settings.id && other.name == settings.name)
        {
            return Err(refused("another connection has this name"));
        }
        settings.revision += 1;
        tables.connections.insert(settings.id, settings.clone());
        Ok(settings)
    }

    async fn delete_connection(&self, id: ConnectionId) -> Result<bool, StoreError> {
        let mut tables = self.tables();
        if tables.connections.remove(&id).is_none() {
            return Ok(false);
        }
        let conflicts: Vec<_> = tables
            .all_conflicts()
            .filter(|row| row.connection_id == id)
            .map(|row| row.id)
            .collect();
        for conflict in &conflicts {
            tables.set_conflict(*conflict, None);
        }
        let links: Vec<_> = tables
            .all_links()
            .filter(|row| row.connection_id == id)
            .map(|row| row.id)
            .collect();
        for link in &links {
            tables.set_link(*link, None);
        }
        tables.changed.conflicts += conflicts.len() as u64;
        tables.changed.links += links.len() as u64;
        tables.mappings.retain(|_, row| row.connection_id != id);
        tables.intents.retain(|_, row| row.connection_id != id);
        tables.failures.retain(|_, row| row.connection_id != id);
        tables.runs.retain(|_, row| row.connection_id != id);
        tables.leases.remove(&id);
        tables.due.remove(&id);
        tables.sealed.retain(|(connection, _), _| *connection != id);
        Ok(true)
    }

    async fn due_connections(&self) -> Result<Vec<ConnectionId>, StoreError> {
        Ok(self.tables().due.iter().copied().collect())
    }

    async fn put_sealed(
        &self,
        connection: ConnectionId,
        name: String,
        sealed: Option<Vec<u8>>,
    ) -> Result<(), StoreError> {
        let mut tables = self.tables();
        match sealed {
            Some(sealed) => drop(tables.sealed.insert((connection, name), sealed)),
            None => drop(tables.sealed.remove(&(connection, name))),
        }
        Ok(())
    }

    async fn get_sealed(&self, connection: ConnectionId, name: String) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.tables().sealed.get(&(connection, name)).cloned())
    }
}

impl Tables {
    pub(super) fn require_connection(&self, id: ConnectionId, operation: &'static str) -> Result<(), StoreError> {
        if self.connections.contains_key(&id) {
            return Ok(());
        }
        Err(StoreError::new(
            StoreErrorKind::NotFound,
            operation,
            format!("there is no connection {id}"),
        ))
    }
}
