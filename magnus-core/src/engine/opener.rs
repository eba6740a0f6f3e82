//! Opening a connection outside of a run: to test it, to list its projects.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use secrecy::SecretString;

use super::{Engine, RunError};
use crate::connection::Connection;
use crate::model::{ConnectionId, ConnectionSettings, ToolName};

/// Opens connections to the tools that are known.
#[async_trait]
pub trait ConnectionOpener: Debug + Send + Sync + 'static {
    /// The tools that are known, by name.
    fn tools(&self) -> Vec<ToolName>;

    /// Opens a connection with settings and a key that need not be stored yet. Asks nothing of the tool.
    ///
    /// # Errors
    /// `UnknownTool`, or `Connection` with whatever is wrong with the settings.
    async fn connect(
        &self,
        settings: ConnectionSettings,
        secret: SecretString,
    ) -> Result<Arc<dyn Connection>, RunError>;

    /// The stored connection, opened. Asks nothing of the tool.
    ///
    /// # Errors
    /// `UnknownConnection`, `NoSecret`, `Store`, and those of [`connect`](Self::connect).
    async fn open(&self, id: ConnectionId) -> Result<(ConnectionSettings, Arc<dyn Connection>), RunError>;
}

#[async_trait]
impl ConnectionOpener for Engine {
    fn tools(&self) -> Vec<ToolName> {
        let mut tools: Vec<ToolName> = Self::tools(self).cloned().collect();
        tools.sort();
        tools
    }

    async fn connect(
        &self,
        settings: ConnectionSettings,
        secret: SecretString,
    ) -> Result<Arc<dyn Connection>, RunError> {
        Self::connect(self, settings, secret).await
    }

    async fn open(&self, id: ConnectionId) -> Result<(ConnectionSettings, Arc<dyn Connection>), RunError> {
        Self::open(self, id).await
    }
}
