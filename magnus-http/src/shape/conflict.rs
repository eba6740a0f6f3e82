//! A conflict as JSON.

use magnus_core::model::{Base, Conflict, LocalBase, Task, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::run::Names;
use super::{instant, value};

/// One field that both sides changed.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct ConflictOut {
    #[schema(format = Uuid)]
    id: String,
    #[schema(format = Uuid)]
    connection_id: String,
    tool_name: Option<String>,
    display_name: Option<String>,
    #[schema(format = Uuid)]
    task_id: String,
    task_title: Option<String>,
    external_task_id: String,
    field: String,
    /// What both sides last agreed on; null if they never did.
    #[schema(value_type = Value)]
    base_value: Value,
    #[schema(value_type = Value)]
    hub_value: Value,
    #[schema(value_type = Value)]
    external_value: Value,
    /// When the hub's value was changed, as far as that is known.
    #[schema(format = DateTime)]
    hub_changed_at: Option<String>,
    /// The connection that brought the hub's value; null for an edit of the hub itself.
    hub_changed_by: Option<String>,
    /// When the tool's item was changed, as far as the tool tells.
    #[schema(format = DateTime)]
    external_changed_at: Option<String>,
    /// Who changed the tool's item, as far as the tool tells.
    external_changed_by: Option<String>,
    /// `open`, `resolved_hub`, `resolved_external`, `merged` or `closed`.
    status: String,
    /// The policy under which it was found.
    policy: String,
    reason: String,
    #[schema(format = Uuid)]
    run_id: Option<String>,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    updated_at: String,
    #[schema(format = DateTime)]
    resolved_at: Option<String>,
    resolved_by: Option<String>,
}

impl ConflictOut {
    pub(crate) fn new(conflict: &Conflict, names: &Names, task: Option<&Task>) -> Self {
        let settings = names.get(&conflict.connection_id);
        let base = match &conflict.base {
            Some(Base {
                local: LocalBase::Agreed(value),
                ..
            }) => value::to_json(value),
            _ => Value::Null,
        };
        Self {
            id: conflict.id.to_string(),
            connection_id: conflict.connection_id.to_string(),
            tool_name: settings.map(|settings| settings.tool.to_string()),
            display_name: settings.map(|settings| settings.name.clone()),
            task_id: conflict.task_id.to_string(),
            task_title: task.map(|task| task.title.clone()),
            external_task_id: conflict.external_id.to_string(),
            field: value::name_of(conflict.field).to_owned(),
            base_value: base,
            hub_value: value::to_json(&conflict.local),
            external_value: value::to_json(&conflict.remote_value),
            hub_changed_at: conflict.local_change.at.map(instant),
            hub_changed_by: conflict.local_change.by.clone(),
            external_changed_at: conflict.remote_change.at.map(instant),
            external_changed_by: conflict.remote_change.by.clone(),
            status: conflict.state.to_string(),
            policy: conflict.policy.to_string(),
            reason: conflict.reason.clone(),
            run_id: conflict.run_id.map(|id| id.to_string()),
            created_at: instant(conflict.created_at),
            updated_at: instant(conflict.updated_at),
            resolved_at: conflict.resolved_at.map(instant),
            resolved_by: conflict.resolved_by.clone(),
        }
    }
}

/// Conflicts, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Conflicts {
    pub(crate) conflicts: Vec<ConflictOut>,
    pub(crate) total: u64,
    /// For the next page; null on the last one.
    pub(crate) next_cursor: Option<String>,
}

/// How a person settles a conflict.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"resolution": "hub"}))]
pub(crate) struct ResolveIn {
    /// `hub`: the hub's value is right; `external`: the tool's; `merged`: the one in `fields`.
    pub(crate) resolution: String,
    /// For `merged`: the value by the name of the conflict's field.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub(crate) fields: Option<Map<String, Value>>,
    /// The conflict's `updated_at` as it was decided on: if its values have changed since, the answer is 409 and nothing is
    /// settled.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(crate) updated_at: Option<Timestamp>,
}

/// A conflict that was settled.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Resolved {
    /// `resolved`.
    pub(crate) status: String,
    pub(crate) conflict: ConflictOut,
    pub(crate) magnus_says: String,
}
