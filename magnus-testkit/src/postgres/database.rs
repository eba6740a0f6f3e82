//! A database for one test.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection};

use super::{Server, VARIABLE};

/// The address of a server for tests: the one that [`VARIABLE`] names, or else one that lives as long as this process.
///
/// # Panics
/// There is none and none can be started; the message says what to do.
#[must_use]
pub fn server_url() -> String {
    static OWN: OnceLock<Server> = OnceLock::new();
    match std::env::var(VARIABLE) {
        Ok(url) if !url.is_empty() => url,
        _ => OWN
            .get_or_init(|| Server::start().unwrap_or_else(|error| panic!("{error}")))
            .url(),
    }
}

/// An empty database that nobody else uses. [`remove`](Self::remove) it at the end; what is left goes with the server.
#[derive(Debug)]
pub struct Database {
    server: String,
    name: String,
}

impl Database {
    /// A new database on the server for tests.
    ///
    /// # Panics
    /// There is no server, or it makes no database.
    pub async fn new() -> Self {
        Self::on(&server_url(), None).await
    }

    /// A new database on this server; a copy of another one, if one is named. Nobody may be connected to that.
    ///
    /// # Panics
    /// The server makes no database.
    pub async fn on(server: &str, copy_of: Option<&Self>) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "magnus_test_{}_{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        let template = copy_of.map_or("template0", |other| &other.name);
        let statement = format!("CREATE DATABASE {name} TEMPLATE {template}");
        let new = Self {
            server: server.to_owned(),
            name,
        };
        new.on_server(statement).await;
        new
    }

    /// A copy of this database on the same server. Nobody may be connected to this one.
    ///
    /// # Panics
    /// The server makes no copy.
    pub async fn copy(&self) -> Self {
        Self::on(&self.server, Some(self)).await
    }

    /// Its address, as a superuser.
    #[must_use]
    pub fn url(&self) -> String {
        match self.server.rsplit_once('/') {
            Some((server, _)) => format!("{server}/{}", self.name),
            None => self.server.clone(),
        }
    }

    /// A connection to it, past the store.
    ///
    /// # Panics
    /// The server refuses it.
    pub async fn connect(&self) -> PgConnection {
        connect(&self.url()).await
    }

    /// Drops the database, whoever is still connected to it.
    ///
    /// # Panics
    /// The server refuses it.
    pub async fn remove(self) {
        let statement = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        self.on_server(statement).await;
    }

    async fn on_server(&self, statement: String) {
        let mut connection = connect(&self.server).await;
        let done = sqlx::query(AssertSqlSafe(statement.clone()))
            .execute(&mut connection)
            .await;
        done.unwrap_or_else(|error| panic!("{statement}: {error}"));
        connection
            .close()
            .await
            .unwrap_or_else(|error| panic!("closing the connection: {error}"));
    }
}

pub(super) async fn connect(url: &str) -> PgConnection {
    let options: sqlx::postgres::PgConnectOptions = url.parse().unwrap_or_else(|error| panic!("{url}: {error}"));
    options
        .connect()
        .await
        .unwrap_or_else(|error| panic!("the test server at {url} refuses a connection: {error}"))
}
