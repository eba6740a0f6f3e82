//! What the commands work with: the store, the hub, and the engine with its tools.

use std::path::PathBuf;
use std::sync::Arc;

use magnus_core::connection::Connection;
use magnus_core::engine::Engine;
use magnus_core::hub::Hub;
use magnus_core::layer::Layers;
use magnus_core::model::ConnectionSettings;
use magnus_core::secret::SecretStore;
use magnus_core::store::TaskStore;
use magnus_leantime::LeantimeConnector;
use magnus_openproject::OpenProjectConnector;
use magnus_sqlite::{MasterKey, SealedSecretStore, SqliteStore};
use magnus_transport::{HttpOptions, HttpTransport, Transport};

use crate::failure::Failure;

/// The opened hub.
#[derive(Debug)]
pub(crate) struct House {
    sqlite: SqliteStore,
    pub(crate) store: Arc<dyn TaskStore>,
    pub(crate) hub: Hub,
}

impl House {
    /// Opens the hub's database, by default the one in the platform's data directory.
    pub(crate) async fn open(database: Option<&str>) -> Result<Self, Failure> {
        let location = match database {
            Some(location) => location.to_owned(),
            None => default_database()?,
        };
        let sqlite = SqliteStore::open(&location).await.map_err(|error| {
            let place = if database.is_some() {
                "--database or MAGNUS_DATABASE"
            } else {
                "the default"
            };
            Failure::from(error).about_database(&location, place)
        })?;
        let store: Arc<dyn TaskStore> = Arc::new(sqlite.clone());
        let hub = Hub::new(Arc::clone(&store));
        Ok(Self { sqlite, store, hub })
    }

    /// Closes the database, so that no side files are left.
    pub(crate) async fn close(self) {
        self.sqlite.close().await;
    }

    /// Where keys are sealed. Only commands that need a key come here: the master key is made at first use.
    pub(crate) fn secrets(&self) -> Result<Arc<dyn SecretStore>, Failure> {
        let key = MasterKey::from_environment_or_file(self.sqlite.key_file())?;
        Ok(Arc::new(SealedSecretStore::new(Arc::clone(&self.store), &key)))
    }

    /// The engine for runs: patient with servers.
    pub(crate) fn engine(&self) -> Result<Engine, Failure> {
        engine(Arc::clone(&self.store), self.secrets()?)
    }

    /// The engine for tests of a connection: answers at once how it is.
    pub(crate) fn probe(&self) -> Result<Engine, Failure> {
        bare_engine(Arc::clone(&self.store), self.secrets()?)
    }
}

/// An engine that knows all tools, each call wrapped in retries, pace, a time limit and traces.
pub(crate) fn engine(store: Arc<dyn TaskStore>, secrets: Arc<dyn SecretStore>) -> Result<Engine, Failure> {
    let dress = |settings: &ConnectionSettings, connection: Arc<dyn Connection>| {
        Layers::new().wrap(settings.name.clone(), connection)
    };
    Ok(bare_engine(store, secrets)?.with_layers(dress))
}

fn bare_engine(store: Arc<dyn TaskStore>, secrets: Arc<dyn SecretStore>) -> Result<Engine, Failure> {
    let transport: Arc<dyn Transport> = Arc::new(HttpTransport::new(HttpOptions::default())?);
    Ok(Engine::new(store, secrets)
        .with_connector(Arc::new(OpenProjectConnector::new(Arc::clone(&transport))))
        .with_connector(Arc::new(LeantimeConnector::new(transport))))
}

fn default_database() -> Result<String, Failure> {
    let directories = directories::ProjectDirs::from("", "", "magnus");
    let path: Option<PathBuf> = directories.map(|directories| directories.data_dir().join("magnus.db"));
    path.as_deref()
        .and_then(|path| path.to_str())
        .map(str::to_owned)
        .ok_or_else(|| Failure::usage("there is no data directory for this user; name a database with --database"))
}
