//! What the commands work with: the store, the hub, and the engine with its tools.

use std::path::PathBuf;
use std::sync::Arc;

use magnus_core::connection::Connection;
use magnus_core::engine::Engine;
use magnus_core::hub::Hub;
use magnus_core::layer::Layers;
use magnus_core::model::ConnectionSettings;
use magnus_core::secret::SecretStore;
use magnus_core::store::{BreakdownStore, ServiceStore, StoreError, TaskStore};
use magnus_leantime::LeantimeConnector;
use magnus_openproject::OpenProjectConnector;
use magnus_postgres::{PostgresOptions, PostgresPaceBook, PostgresStore};
use magnus_seal::{MasterKey, SealedSecretStore};
use magnus_sqlite::SqliteStore;
use magnus_transport::{HttpOptions, HttpTransport, Transport};

use crate::failure::Failure;

/// Connections to a server that a command may use at once.
const CONNECTIONS: u32 = 10;

/// The opened hub.
#[derive(Debug)]
pub(crate) struct House {
    database: Database,
    pub(crate) store: Arc<dyn TaskStore>,
    pub(crate) hub: Hub,
}

/// What keeps the hub.
#[derive(Debug)]
enum Database {
    /// A file.
    Sqlite(SqliteStore),
    /// A server.
    Postgres(PostgresStore),
}

impl House {
    /// Opens the hub's database, by default the one in the platform's data directory.
    pub(crate) async fn open(database: Option<&str>) -> Result<Self, Failure> {
        Self::open_with(database, CONNECTIONS).await
    }

    /// As [`open`](Self::open), with at most this many connections to a server.
    pub(crate) async fn open_with(database: Option<&str>, connections: u32) -> Result<Self, Failure> {
        let location = location(database)?;
        let opened = Database::open(&location, connections).await;
        let database = opened
            .map_err(|error| Failure::from(error).about_database(&without_password(&location), origin(database)))?;
        let store = database.store();
        let hub = Hub::new(Arc::clone(&store));
        Ok(Self { database, store, hub })
    }

    /// The store, if it is on a server.
    pub(crate) const fn postgres(&self) -> Option<&PostgresStore> {
        match &self.database {
            Database::Postgres(store) => Some(store),
            Database::Sqlite(_) => None,
        }
    }

    /// Closes the database, so that no side files are left.
    pub(crate) async fn close(self) {
        match self.database {
            Database::Sqlite(store) => store.close().await,
            Database::Postgres(store) => store.close().await,
        }
    }

    /// Where keys are sealed. Only commands that need a key come here: the master key is made at first use.
    pub(crate) fn secrets(&self) -> Result<Arc<dyn SecretStore>, Failure> {
        let key = self.master_key()?;
        Ok(Arc::new(SealedSecretStore::new(Arc::clone(&self.store), &key)))
    }

    /// The store with what a service asks of it.
    pub(crate) fn service(&self) -> Arc<dyn ServiceStore> {
        match &self.database {
            Database::Sqlite(store) => Arc::new(store.clone()),
            Database::Postgres(store) => Arc::new(store.clone()),
        }
    }

    /// Where breakdowns of tasks are kept.
    pub(crate) fn breakdowns(&self) -> Arc<dyn BreakdownStore> {
        match &self.database {
            Database::Sqlite(store) => Arc::new(store.clone()),
            Database::Postgres(store) => Arc::new(store.clone()),
        }
    }

    /// The key that seals all others.
    pub(crate) fn master_key(&self) -> Result<MasterKey, Failure> {
        Ok(MasterKey::from_environment_or_file(self.database.key_file()?)?)
    }

    /// Where that key lies if the environment does not hold it.
    pub(crate) fn key_file(&self) -> Result<PathBuf, Failure> {
        self.database.key_file()
    }

    /// The engine for runs: patient with servers.
    pub(crate) fn engine(&self) -> Result<Engine, Failure> {
        Ok(dressed(
            bare_engine(Arc::clone(&self.store), self.secrets()?)?,
            self.layers(),
        ))
    }

    /// What stands around each connection: processes on one server share what its tools bear.
    pub(crate) fn layers(&self) -> Layers {
        match &self.database {
            Database::Postgres(store) => Layers::new().pace_book(Arc::new(PostgresPaceBook::new(store))),
            Database::Sqlite(_) => Layers::new(),
        }
    }

    /// The engine for tests of a connection: answers at once how it is.
    pub(crate) fn probe(&self) -> Result<Engine, Failure> {
        bare_engine(Arc::clone(&self.store), self.secrets()?)
    }
}

/// An engine that knows all tools, each call wrapped in retries, pace, a time limit and traces.
pub(crate) fn engine(store: Arc<dyn TaskStore>, secrets: Arc<dyn SecretStore>) -> Result<Engine, Failure> {
    Ok(dressed(bare_engine(store, secrets)?, Layers::new()))
}

/// An engine each of whose calls is wrapped in retries, pace, a time limit and traces.
pub(crate) fn dressed(engine: Engine, layers: Layers) -> Engine {
    engine.with_layers(move |settings: &ConnectionSettings, connection: Arc<dyn Connection>| {
        layers.wrap(settings.name.clone(), connection)
    })
}

fn bare_engine(store: Arc<dyn TaskStore>, secrets: Arc<dyn SecretStore>) -> Result<Engine, Failure> {
    Ok(engine_over(transport()?, store, secrets))
}

/// How the tools are spoken to.
pub(crate) fn transport() -> Result<Arc<dyn Transport>, Failure> {
    // Named as leases are held: by its process.
    let agent = format!("magnus/{} (process {})", env!("CARGO_PKG_VERSION"), std::process::id());
    Ok(Arc::new(HttpTransport::new(HttpOptions::default().user_agent(agent))?))
}

/// An engine that knows all tools and speaks to them over this transport.
pub(crate) fn engine_over(
    transport: Arc<dyn Transport>,
    store: Arc<dyn TaskStore>,
    secrets: Arc<dyn SecretStore>,
) -> Engine {
    Engine::new(store, secrets)
        .with_connector(Arc::new(OpenProjectConnector::new(Arc::clone(&transport))))
        .with_connector(Arc::new(LeantimeConnector::new(transport)))
}

impl Database {
    async fn open(location: &str, connections: u32) -> Result<Self, StoreError> {
        if is_postgres(location) {
            let options = PostgresOptions::new().connections(connections);
            PostgresStore::open_with(location, options).await.map(Self::Postgres)
        } else {
            SqliteStore::open(location).await.map(Self::Sqlite)
        }
    }

    fn store(&self) -> Arc<dyn TaskStore> {
        match self {
            Self::Sqlite(store) => Arc::new(store.clone()),
            Self::Postgres(store) => Arc::new(store.clone()),
        }
    }

    /// Where the master key lies if the environment does not hold it: beside the file, or in the data directory.
    fn key_file(&self) -> Result<PathBuf, Failure> {
        match self {
            Self::Sqlite(store) => Ok(store.key_file()),
            Self::Postgres(_) => key_file_of_a_server(),
        }
    }
}

fn key_file_of_a_server() -> Result<PathBuf, Failure> {
    in_data_directory("magnus.key").ok_or_else(|| {
        Failure::usage("there is no data directory for this user; put the master key into MAGNUS_MASTER_KEY")
    })
}

/// The master key for a hub on a server.
pub(crate) fn master_key_of_a_server() -> Result<MasterKey, Failure> {
    Ok(MasterKey::from_environment_or_file(key_file_of_a_server()?)?)
}

/// The database that is named, or else the one in the platform's data directory.
pub(crate) fn location(database: Option<&str>) -> Result<String, Failure> {
    match database {
        Some(location) => Ok(location.to_owned()),
        None => default_database(),
    }
}

/// Where the name of the database came from.
pub(crate) const fn origin(database: Option<&str>) -> &'static str {
    if database.is_some() {
        "--database or MAGNUS_DATABASE"
    } else {
        "the default"
    }
}

pub(crate) fn is_postgres(location: &str) -> bool {
    ["postgres://", "postgresql://"]
        .iter()
        .any(|scheme| location.starts_with(scheme))
}

/// The address of a database as it may be shown.
pub(crate) fn without_password(location: &str) -> String {
    if !is_postgres(location) {
        return location.to_owned();
    }
    // A password may also stand among the parameters.
    let location = location.split('?').next().unwrap_or_default();
    let hidden = || {
        let (scheme, rest) = location.split_once("://")?;
        // The last such sign ends the login: a password may hold further ones.
        let (login, place) = rest.rsplit_once('@')?;
        let (user, _) = login.split_once(':')?;
        Some(format!("{scheme}://{user}@{place}"))
    };
    hidden().unwrap_or_else(|| location.to_owned())
}

fn in_data_directory(name: &str) -> Option<PathBuf> {
    let directories = directories::ProjectDirs::from("", "", "magnus")?;
    Some(directories.data_dir().join(name))
}

fn default_database() -> Result<String, Failure> {
    let path = in_data_directory("magnus.db");
    path.as_deref()
        .and_then(|path| path.to_str())
        .map(str::to_owned)
        .ok_or_else(|| Failure::usage("there is no data directory for this user; name a database with --database"))
}

#[cfg(test)]
mod tests {
    use super::without_password;

    #[test]
    fn password_of_a_database_is_not_shown() {
        for (location, shown) in [
            ("magnus.db", "magnus.db"),
            ("postgres://u:hush@h:1/d?sslmode=require", "postgres://u@h:1/d"),
            ("postgresql://h/d?password=hush", "postgresql://h/d"),
            ("postgres://u:hu@sh@h/d", "postgres://u@h/d"),
            ("postgres://u:hush@h/d?options=-c%20a@b", "postgres://u@h/d"),
        ] {
            assert_eq!(without_password(location), shown);
        }
    }
}
