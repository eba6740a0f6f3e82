//! Connections, with their keys.

use super::{Hub, HubError, HubErrorKind, TRIES, busy};
use crate::model::{ConnectionId, ConnectionSettings, RunState};
use crate::secret::{SecretError, SecretStore};
use crate::store::StoreErrorKind;

/// What became of a connection that was to be removed.
#[derive(Debug)]
pub struct Removed {
    /// The connection as it was.
    pub settings: ConnectionSettings,
    /// Why its key could not be forgotten: it is kept where Magnus may not write (the environment).
    pub key_left: Option<SecretError>,
}

impl Hub {
    /// Adds a connection with its key. Test both first; nothing is asked of the tool here.
    ///
    /// # Errors
    /// `Invalid` for a blank name, `Conflict` for a name that is taken, `Secret` or `Store`: then nothing is kept.
    pub async fn add_connection(
        &self,
        mut settings: ConnectionSettings,
        key: secrecy::SecretString,
        secrets: &dyn SecretStore,
    ) -> Result<ConnectionSettings, HubError> {
        settings.name = settings.name.trim().to_owned();
        if settings.name.is_empty() {
            return Err(HubError::invalid("a connection needs a name"));
        }
        let name = settings.name.clone();
        let saved = self.store.save_connection(settings).await.map_err(|error| {
            if error.kind() == StoreErrorKind::Conflict {
                let message =
                    format!("there is a connection {name:?} already; choose another name, or remove it first");
                HubError::new(HubErrorKind::Conflict, message).with_source(error)
            } else {
                HubError::from(error)
            }
        })?;
        if let Err(error) = secrets.put(saved.id, key).await {
            // A connection without its key would fail at every run.
            self.store.delete_connection(saved.id).await?;
            return Err(error.into());
        }
        Ok(saved)
    }

    /// Changes a connection's settings. They hold from the next run on.
    ///
    /// # Errors
    /// `NotFound`, `Conflict` for a name that is taken, what `change` answers, `Store`.
    pub async fn edit_connection(
        &self,
        id: ConnectionId,
        change: impl Fn(&mut ConnectionSettings) -> Result<(), HubError> + Send + Sync,
    ) -> Result<ConnectionSettings, HubError> {
        for _ in 0..TRIES {
            let Some(before) = self.store.connection(id).await? else {
                return Err(HubError::not_found("connection", id));
            };
            let mut settings = before.clone();
            change(&mut settings)?;
            if settings == before {
                return Ok(before);
            }
            settings.updated_at = self.now();
            let name = settings.name.clone();
            match self.store.save_connection(settings).await {
                Ok(saved) => return Ok(saved),
                Err(error) if error.kind() == StoreErrorKind::Conflict && name == before.name => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(busy("the connection"))
    }

    /// Removes a connection with its mappings, links, conflicts, runs and key. Hub tasks stay, the tool is not touched.
    ///
    /// # Errors
    /// `NotFound`, `Conflict` while it is being synced, `Store`.
    pub async fn remove_connection(&self, id: ConnectionId, secrets: &dyn SecretStore) -> Result<Removed, HubError> {
        let Some(settings) = self.store.connection(id).await? else {
            return Err(HubError::not_found("connection", id));
        };
        // A run whose process died must not be in the way.
        self.store.interrupt_abandoned().await?;
        let unfinished = self.store.unfinished_runs().await?;
        if unfinished
            .iter()
            .any(|run| run.connection_id == id && run.state == RunState::Started)
        {
            let message = format!(
                "connection {:?} is being synced; wait for the run to end",
                settings.name
            );
            return Err(HubError::new(HubErrorKind::Conflict, message));
        }
        self.store.delete_connection(id).await?;
        Ok(Removed {
            settings,
            key_left: secrets.delete(id).await.err(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use async_trait::async_trait;
    use secrecy::SecretString;

    use super::*;
    use crate::memory::MemoryStore;
    use crate::model::ToolName;
    use crate::secret::EnvSecretStore;

    /// Takes every key and keeps none.
    #[derive(Debug)]
    struct Forgetful;

    #[async_trait]
    impl SecretStore for Forgetful {
        async fn get(&self, _: ConnectionId) -> Result<Option<SecretString>, SecretError> {
            Ok(None)
        }

        async fn put(&self, _: ConnectionId, _: SecretString) -> Result<(), SecretError> {
            Ok(())
        }

        async fn delete(&self, _: ConnectionId) -> Result<(), SecretError> {
            Ok(())
        }
    }

    fn settings(hub: &Hub, name: &str) -> ConnectionSettings {
        ConnectionSettings::new(ToolName::new("board"), name, "https://example.org", hub.now())
    }

    #[tokio::test]
    async fn a_connection_whose_key_cannot_be_kept_is_not_kept_either() {
        let hub = Hub::new(Arc::new(MemoryStore::new()));
        let board = settings(&hub, "Board");
        let read_only = EnvSecretStore::new().named(board.id, "MAGNUS_TEST_KEY_THAT_NOBODY_SET");
        let error = hub.add_connection(board, "key".into(), &read_only).await.unwrap_err();
        assert_eq!(error.kind(), HubErrorKind::Secret);
        assert!(hub.store().connections().await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn names_are_unique_and_a_removed_connection_is_gone() {
        let hub = Hub::new(Arc::new(MemoryStore::new()));
        let first = hub
            .add_connection(settings(&hub, " Board "), "key".into(), &Forgetful)
            .await
            .unwrap();
        assert_eq!(first.name, "Board");
        let error = hub
            .add_connection(settings(&hub, "Board"), "key".into(), &Forgetful)
            .await
            .unwrap_err();
        assert!(error.to_string().contains("choose another name"), "{error}");

        let disable = |settings: &mut ConnectionSettings| {
            settings.enabled = false;
            Ok(())
        };
        let edited = hub.edit_connection(first.id, disable).await.unwrap();
        assert!(!edited.enabled && edited.revision > first.revision);
        assert_eq!(
            hub.edit_connection(first.id, disable).await.unwrap().revision,
            edited.revision
        );

        let removed = hub.remove_connection(first.id, &Forgetful).await.unwrap();
        assert!(removed.key_left.is_none());
        let again = hub.remove_connection(first.id, &Forgetful).await.unwrap_err();
        assert_eq!(again.kind(), HubErrorKind::NotFound);
    }
}
