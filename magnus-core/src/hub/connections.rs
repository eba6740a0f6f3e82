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

    /// Changes a connection's settings, and its key if one is given. Test what comes of it first; nothing is asked of the
    /// tool here.
    ///
    /// The key was given for one server. An address on another one is refused without a key for it, and at no moment do
    /// the new address and the old key, or the old address and the new key, stand together.
    ///
    /// # Errors
    /// `Invalid` for an address on another server without a key, and those of [`edit_connection`](Self::edit_connection).
    pub async fn change_connection(
        &self,
        id: ConnectionId,
        change: impl Fn(&mut ConnectionSettings) -> Result<(), HubError> + Send + Sync,
        key: Option<secrecy::SecretString>,
        secrets: &dyn SecretStore,
    ) -> Result<ConnectionSettings, HubError> {
        let Some(before) = self.store.connection(id).await? else {
            return Err(HubError::not_found("connection", id));
        };
        let mut wanted = before.clone();
        change(&mut wanted)?;
        let now = self.now();
        let is_keyed = key.is_some();
        let change = |settings: &mut ConnectionSettings| {
            if !settings.same_origin(&before) {
                return Err(busy("the connection"));
            }
            change(settings)?;
            if is_keyed {
                // Whoever has the connection open with the old key opens it anew.
                settings.updated_at = now;
            }
            Ok(())
        };
        match key {
            None if !wanted.same_origin(&before) => Err(HubError::invalid(Self::KEY_FOR_ANOTHER_SERVER)),
            None => self.edit_connection(id, change).await,
            Some(key) if wanted.same_origin(&before) => {
                secrets.put(id, key).await?;
                self.edit_connection(id, change).await
            }
            Some(key) => {
                let old = secrets.get(id).await?;
                secrets.delete(id).await?;
                match self.edit_connection(id, change).await {
                    Ok(saved) => {
                        secrets.put(id, key).await?;
                        Ok(saved)
                    }
                    Err(error) => {
                        if let Some(old) = old {
                            secrets.put(id, old).await?;
                        }
                        Err(error)
                    }
                }
            }
        }
    }

    /// Why an address on another server is refused without a key.
    pub const KEY_FOR_ANOTHER_SERVER: &str = "the new address is on another server, and the key that is kept was given for the \
                                              old one: give the key for the new one along with the address";

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
    use std::sync::{Arc, Mutex};

    use async_trait::async_trait;
    use secrecy::{ExposeSecret, SecretString};

    use super::*;
    use crate::memory::MemoryStore;
    use crate::model::ToolName;
    use crate::secret::EnvSecretStore;
    use crate::store::SettingsStore;

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

    /// Keeps one key, and the settings that were stored whenever a key was read or written.
    #[derive(Debug)]
    struct Watched {
        store: Arc<MemoryStore>,
        key: Mutex<Option<String>>,
        seen: Mutex<Vec<(String, Option<String>)>>,
    }

    impl Watched {
        async fn note(&self, id: ConnectionId) {
            let url = self.store.connection(id).await.unwrap().map(|settings| settings.url);
            let key = self.key.lock().unwrap().clone();
            self.seen.lock().unwrap().push((url.unwrap_or_default(), key));
        }
    }

    #[async_trait]
    impl SecretStore for Watched {
        async fn get(&self, id: ConnectionId) -> Result<Option<SecretString>, SecretError> {
            self.note(id).await;
            Ok(self.key.lock().unwrap().clone().map(SecretString::from))
        }

        async fn put(&self, id: ConnectionId, key: SecretString) -> Result<(), SecretError> {
            self.note(id).await;
            *self.key.lock().unwrap() = Some(key.expose_secret().to_owned());
            self.note(id).await;
            Ok(())
        }

        async fn delete(&self, id: ConnectionId) -> Result<(), SecretError> {
            self.note(id).await;
            *self.key.lock().unwrap() = None;
            self.note(id).await;
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_key_never_stands_beside_the_address_of_another_server() {
        let store = Arc::new(MemoryStore::new());
        let hub = Hub::new(Arc::clone(&store) as _);
        let secrets = Watched {
            store,
            key: Mutex::default(),
            seen: Mutex::default(),
        };
        let board = hub
            .add_connection(settings(&hub, "Board"), "old".into(), &secrets)
            .await;
        let board = board.unwrap();
        let other = hub
            .add_connection(settings(&hub, "Taken"), "other".into(), &Forgetful)
            .await;
        other.unwrap();
        let to = |url: &'static str| {
            move |settings: &mut ConnectionSettings| {
                url.clone_into(&mut settings.url);
                Ok(())
            }
        };
        let key = || secrets.key.lock().unwrap().clone();
        let refused = hub
            .change_connection(board.id, to("https://evil.example"), None, &secrets)
            .await;
        assert_eq!(refused.unwrap_err().kind(), HubErrorKind::Invalid);
        // Another path is the same server: the key stays.
        let moved = hub
            .change_connection(board.id, to("https://example.org/board"), None, &secrets)
            .await;
        assert_eq!(
            (moved.unwrap().url.as_str(), key().as_deref()),
            ("https://example.org/board", Some("old"))
        );
        // What fails leaves the key where it was.
        let rename = |settings: &mut ConnectionSettings| {
            "Taken".clone_into(&mut settings.name);
            to("https://new.example")(settings)
        };
        let taken = hub
            .change_connection(board.id, rename, Some("new".into()), &secrets)
            .await;
        assert!(taken.is_err());
        assert_eq!(key().as_deref(), Some("old"));
        let moved = hub
            .change_connection(board.id, to("https://new.example"), Some("new".into()), &secrets)
            .await;
        assert_eq!(
            (moved.unwrap().url.as_str(), key().as_deref()),
            ("https://new.example", Some("new"))
        );
        let seen = secrets.seen.lock().unwrap().clone();
        let is_mixed = |(url, key): &&(String, Option<String>)| {
            key.as_deref() == Some(if url.contains("new.example") { "old" } else { "new" })
        };
        assert_eq!(seen.iter().find(is_mixed), None, "{seen:?}");
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
