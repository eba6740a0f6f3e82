//! A project of the hub.

use serde::{Deserialize, Serialize};

use super::{ProjectId, RowVersion, Timestamp, ToolName};

/// A project of the hub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Project {
    /// Its id.
    pub id: ProjectId,
    /// Its name.
    pub name: String,
    /// Its description in Markdown.
    pub description: Option<String>,
    /// The tool it came from; `None` if it was made in the hub.
    pub source_tool: Option<ToolName>,
    /// When it was archived: its tasks are then synced no more.
    pub archived_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// The version of the row; the store raises it.
    pub version: RowVersion,
}

impl Project {
    /// A new project.
    #[must_use]
    pub fn new(name: impl Into<String>, now: Timestamp) -> Self {
        Self {
            id: ProjectId::generate(),
            name: name.into(),
            description: None,
            source_tool: None,
            archived_at: None,
            created_at: now,
            updated_at: now,
            version: RowVersion::default(),
        }
    }
}
