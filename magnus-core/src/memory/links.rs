//! Reading mappings, links, intents and conflicts.

use async_trait::async_trait;

use super::MemoryStore;
use crate::model::{
    Conflict, ConflictId, ConflictState, ConnectionId, ExternalId, Intent, IntentId, IntentState, ItemFailure, Link,
    LinkId, Mapping, MappingId, RunId, TaskId,
};
use crate::store::{ConflictQuery, LinkStore, StoreError};

#[async_trait]
impl LinkStore for MemoryStore {
    async fn mappings(&self, connection: ConnectionId) -> Result<Vec<Mapping>, StoreError> {
        let mut mappings = self.all_mappings().await?;
        mappings.retain(|mapping| mapping.connection_id == connection);
        Ok(mappings)
    }

    async fn all_mappings(&self) -> Result<Vec<Mapping>, StoreError> {
        let mut mappings: Vec<Mapping> = self.tables().mappings.values().cloned().collect();
        mappings.sort_by(|a, b| (&a.external_name, a.id).cmp(&(&b.external_name, b.id)));
        Ok(mappings)
    }

    async fn links(&self, connection: ConnectionId) -> Result<Vec<Link>, StoreError> {
        Ok(self
            .tables()
            .all_links()
            .filter(|link| link.connection_id == connection)
            .cloned()
            .collect())
    }

    async fn links_of_mapping(&self, mapping: MappingId) -> Result<Vec<Link>, StoreError> {
        Ok(self
            .tables()
            .all_links()
            .filter(|link| link.mapping_id == mapping)
            .cloned()
            .collect())
    }

    async fn links_of_tasks(&self, mut tasks: Vec<TaskId>) -> Result<Vec<Link>, StoreError> {
        tasks.sort_unstable();
        tasks.dedup();
        let tables = self.tables();
        let mut links: Vec<Link> = tasks
            .into_iter()
            .flat_map(|task| tables.links_of_task(task))
            .cloned()
            .collect();
        links.sort_by_key(|link| link.id);
        Ok(links)
    }

    async fn link_by_external(&self, connection: ConnectionId, id: ExternalId) -> Result<Option<Link>, StoreError> {
        Ok(self.tables().link_by_external(connection, &id).cloned())
    }

    async fn link(&self, id: LinkId) -> Result<Option<Link>, StoreError> {
        Ok(self.tables().link(id).cloned())
    }

    async fn unsettled_intents(&self, connection: ConnectionId) -> Result<Vec<Intent>, StoreError> {
        let tables = self.tables();
        let unsettled = tables.intents.values().filter(|intent| {
            intent.connection_id == connection && !matches!(intent.state, IntentState::Settled { .. })
        });
        let mut unsettled: Vec<Intent> = unsettled.cloned().collect();
        unsettled.sort_by_key(|intent| (intent.created_at, intent.id));
        Ok(unsettled)
    }

    async fn intents_of_run(&self, run: RunId) -> Result<Vec<Intent>, StoreError> {
        let tables = self.tables();
        let found = tables.intents.values().filter(|intent| intent.run_id == run);
        let mut found: Vec<Intent> = found.cloned().collect();
        found.sort_by_key(|intent| (intent.created_at, intent.id));
        Ok(found)
    }

    async fn intent(&self, id: IntentId) -> Result<Option<Intent>, StoreError> {
        Ok(self.tables().intents.get(&id).cloned())
    }

    async fn item_failures(&self, connection: Option<ConnectionId>) -> Result<Vec<ItemFailure>, StoreError> {
        let tables = self.tables();
        let found = tables.failures.values();
        let mut found: Vec<ItemFailure> = found
            .filter(|failure| connection.is_none_or(|connection| failure.connection_id == connection))
            .cloned()
            .collect();
        found.sort_by_key(|failure| (failure.failed_at, failure.task_id, failure.connection_id));
        Ok(found)
    }

    async fn conflicts(&self, query: ConflictQuery) -> Result<Vec<Conflict>, StoreError> {
        let tables = self.tables();
        let found = tables.all_conflicts().filter(|conflict| {
            query
                .connection_id
                .is_none_or(|connection| conflict.connection_id == connection)
                && query.task_id.is_none_or(|task| conflict.task_id == task)
                && (!query.open_only || conflict.state == ConflictState::Open)
        });
        let mut found: Vec<Conflict> = found.cloned().collect();
        found.sort_by_key(|conflict| std::cmp::Reverse((conflict.created_at, conflict.id)));
        Ok(found)
    }

    async fn conflict(&self, id: ConflictId) -> Result<Option<Conflict>, StoreError> {
        Ok(self.tables().conflict(id).cloned())
    }
}
