//! What a tool can do, as data.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::{Field, ToolName};

/// What a tool can do with a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldSupport {
    /// It can be read and written.
    ReadWrite,
    /// The tool computes it; it can be read.
    ReadOnly,
}

/// What a tool can do. Anything else is refused before any I/O.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Capabilities {
    /// The tool.
    pub tool: ToolName,
    /// The host that is talked to; runs against one host share a limit.
    pub host: String,
    /// The fields that the tool has; one that is absent, it lacks.
    pub fields: BTreeMap<Field, FieldSupport>,
    /// Whether it can list what changed since a cursor.
    pub incremental: bool,
    /// Whether it can list ids alone, cheaper than whole tasks.
    pub id_sweep: bool,
    /// Whether a write names the version it was decided on and is refused if that moved.
    pub versions: bool,
    /// Whether the time of an item's last change is reliable, for `newest_wins`.
    pub change_times: bool,
    /// Whether tasks can be deleted.
    pub delete: bool,
    /// Whether tasks can be archived.
    pub archive: bool,
    /// Whether deleting a task deletes its children too.
    pub delete_cascades: bool,
    /// Whether writes mail people in a way that cannot be switched off.
    pub writes_notify: bool,
    /// The most writes, or reads, given to it in one call.
    pub batch_size: usize,
}

impl Capabilities {
    /// A tool that can list, read, create and change tasks with these fields, one at a time, and nothing more.
    #[must_use]
    pub fn new(tool: ToolName, host: impl Into<String>, fields: BTreeMap<Field, FieldSupport>) -> Self {
        Self {
            tool,
            host: host.into(),
            fields,
            incremental: false,
            id_sweep: false,
            versions: false,
            change_times: false,
            delete: false,
            archive: false,
            delete_cascades: false,
            writes_notify: false,
            batch_size: 1,
        }
    }

    /// What the tool can do with a field; `None` if it lacks the field.
    #[must_use]
    pub fn field(&self, field: Field) -> Option<FieldSupport> {
        self.fields.get(&field).copied()
    }
}
