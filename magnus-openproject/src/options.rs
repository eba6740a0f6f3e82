//! The options that only this adapter knows, under `tool` in a connection's options.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::marker::MarkerField;

/// How the key is presented.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Auth {
    /// As the password of the user `apikey`: what every version takes unless it is switched off.
    #[default]
    Basic,
    /// As a bearer token: newer versions, and OAuth access tokens.
    Bearer,
}

/// `{"auth": "basic" | "bearer", "type": "Task", "create_marker_field": "customField7"}`, all optional.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ToolOptions {
    pub(crate) auth: Auth,
    /// Type (name or id) of the work packages that are created; without it, the project's first one.
    #[serde(rename = "type")]
    pub(crate) kind: Option<String>,
    /// The custom field that new work packages carry their marker in.
    pub(crate) create_marker_field: Option<MarkerField>,
}

impl ToolOptions {
    pub(crate) fn parse(options: &Map<String, Value>) -> Result<Self, serde_json::Error> {
        serde_json::from_value(Value::Object(options.clone()))
    }
}
