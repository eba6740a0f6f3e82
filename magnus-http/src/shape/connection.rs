//! A connection as JSON. A secret goes in and never comes out.

use std::fmt;

use magnus_core::model::{ConnectionSettings, RunState};
use magnus_core::orchestrator::{NextRun, next_run};
use magnus_core::store::RunDigest;
use secrecy::SecretString;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::instant;

/// A connection to be added. It is tested first, and kept only if the test passes.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "tool_name": "openproject", "display_name": "Work", "instance_url": "https://projects.example.org",
    "api_key": "the key of a user of the tool", "sync_direction": "bidirectional", "sync_frequency": "realtime",
    "config": {"projects": "all", "deletions": "keep"}
}))]
pub(crate) struct ConnectionIn {
    /// `openproject`, `leantime`, or another tool that this service knows.
    pub(crate) tool_name: String,
    /// What people call it; unique.
    pub(crate) display_name: String,
    /// Where the instance lives: http or https.
    pub(crate) instance_url: String,
    #[schema(value_type = String, write_only)]
    pub(crate) api_key: SecretString,
    /// With which the tool signs its webhooks.
    #[serde(default)]
    #[schema(value_type = Option<String>, write_only)]
    pub(crate) webhook_secret: Option<SecretString>,
    /// `pull`, `push` or `bidirectional`.
    #[serde(default)]
    #[schema(default = "bidirectional")]
    pub(crate) sync_direction: Option<String>,
    /// `realtime`, `hourly`, `daily` or `manual`.
    #[serde(default)]
    #[schema(default = "realtime")]
    pub(crate) sync_frequency: Option<String>,
    /// The tool's options and those of every connection.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub(crate) config: Option<Map<String, Value>>,
}

impl fmt::Debug for ConnectionIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionIn")
            .field("display_name", &self.display_name)
            .finish_non_exhaustive()
    }
}

/// A change to a connection; what is absent stays. A new key or address is tested first, and an address on another server
/// comes with the key for it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"sync_enabled": false}))]
pub(crate) struct ConnectionPatch {
    pub(crate) display_name: Option<String>,
    pub(crate) instance_url: Option<String>,
    #[schema(value_type = Option<String>, write_only)]
    pub(crate) api_key: Option<SecretString>,
    /// `null` forgets it.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, write_only)]
    pub(crate) webhook_secret: Option<Option<SecretString>>,
    /// `pull`, `push` or `bidirectional`.
    pub(crate) sync_direction: Option<String>,
    /// `realtime`, `hourly`, `daily` or `manual`.
    pub(crate) sync_frequency: Option<String>,
    pub(crate) sync_enabled: Option<bool>,
    /// Options to change; others stay.
    #[schema(value_type = Option<Object>)]
    pub(crate) config: Option<Map<String, Value>>,
}

/// Tells `null` from absent.
fn given<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    T::deserialize(deserializer).map(Some)
}

/// A connection. Its secrets are never shown.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct ConnectionOut {
    #[schema(format = Uuid)]
    id: String,
    tool_name: String,
    display_name: String,
    instance_url: String,
    /// `pull`, `push` or `bidirectional`.
    sync_direction: String,
    /// `realtime`, `hourly`, `daily` or `manual`.
    sync_frequency: String,
    sync_enabled: bool,
    #[schema(value_type = Object)]
    config: Value,
    /// `syncing`, `queued`, `ok`, `partial`, `failing`, `halted`, `paused` or `new`.
    state: String,
    /// How the newest run that is over ended.
    last_sync_status: Option<String>,
    last_sync_error: Option<String>,
    #[schema(format = Uuid)]
    last_run_id: Option<String>,
    #[schema(format = DateTime)]
    last_sync_at: Option<String>,
    #[schema(format = DateTime)]
    last_success_at: Option<String>,
    /// When it is next run by itself.
    #[schema(format = DateTime)]
    next_run_at: Option<String>,
    /// Why it is not run by itself.
    no_schedule: Option<String>,
    /// Where its webhook belongs.
    webhook_path: String,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    updated_at: String,
}

impl ConnectionOut {
    pub(crate) fn new(settings: &ConnectionSettings, digest: &RunDigest) -> Self {
        let (next_run_at, no_schedule) = match next_run(settings, digest) {
            NextRun::At(at) => (Some(instant(at)), None),
            NextRun::Never(why) => (None, Some(why.words().to_owned())),
        };
        let newest = digest.newest.as_ref();
        let over = newest.filter(|run| run.state.is_final());
        Self {
            id: settings.id.to_string(),
            tool_name: settings.tool.to_string(),
            display_name: settings.name.clone(),
            instance_url: settings.url.clone(),
            sync_direction: settings.direction.to_string(),
            sync_frequency: settings.frequency.to_string(),
            sync_enabled: settings.enabled,
            // Settings have nothing that could fail to be written.
            config: serde_json::to_value(&settings.options).unwrap_or_default(),
            state: state(settings, newest.map(|run| run.state)).to_owned(),
            last_sync_status: over.map(|run| run.state.to_string()),
            last_sync_error: over.and_then(|run| run.error_message.clone()),
            last_run_id: newest.map(|run| run.id.to_string()),
            last_sync_at: over.and_then(|run| run.completed_at).map(instant),
            last_success_at: digest.last_success_at.map(instant),
            next_run_at,
            no_schedule,
            webhook_path: format!("/webhooks/{}", settings.id),
            created_at: instant(settings.created_at),
            updated_at: instant(settings.updated_at),
        }
    }
}

const fn state(settings: &ConnectionSettings, newest: Option<RunState>) -> &'static str {
    match newest {
        Some(RunState::Started) => "syncing",
        Some(RunState::Queued) => "queued",
        _ if !settings.enabled => "paused",
        None => "new",
        Some(RunState::Halted) => "halted",
        Some(RunState::Failed | RunState::Interrupted) => "failing",
        Some(RunState::Partial) => "partial",
        Some(RunState::Completed | RunState::Cancelled) => "ok",
    }
}

/// A connection that was added.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Connected {
    /// `connected`.
    pub(crate) status: String,
    pub(crate) connection: ConnectionOut,
    pub(crate) magnus_says: String,
}

/// A page of the connections.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Connections {
    pub(crate) connections: Vec<ConnectionOut>,
    /// How many there are in all.
    pub(crate) total: u64,
    /// For the next page; null on the last one.
    pub(crate) next_cursor: Option<String>,
    /// The tools that can be connected.
    pub(crate) tools: Vec<String>,
}

/// How a connection answered its test.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Tested {
    /// `ok` or `failed`.
    pub(crate) status: String,
    /// Why it failed.
    pub(crate) reason: Option<String>,
    /// The user that the key belongs to.
    pub(crate) user: Option<String>,
    /// The tool's version, if it says.
    pub(crate) version: Option<String>,
    /// What is to be known of it.
    pub(crate) notes: Vec<String>,
}

/// A project of a tool.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ExternalProject {
    pub(crate) external_project_id: String,
    pub(crate) name: String,
    /// Whether it is open in the tool.
    pub(crate) open: bool,
    /// The hub project it is mapped to.
    #[schema(format = Uuid)]
    pub(crate) magnus_project_id: Option<String>,
    pub(crate) magnus_project_name: Option<String>,
    /// Why it is not synced at present.
    pub(crate) suspended: Option<String>,
}

/// The projects that a connection can see.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ExternalProjects {
    pub(crate) projects: Vec<ExternalProject>,
}

/// Which project of a tool belongs to which project of the hub.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(example = json!({"external_project_id": "12"}))]
pub(crate) struct MapProject {
    pub(crate) external_project_id: Option<String>,
    /// Without it: the hub project it has, else one of the same name, else a new one.
    #[schema(format = Uuid)]
    pub(crate) magnus_project_id: Option<String>,
}

/// A project that is mapped now.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProjectMapped {
    /// `created`, `joined`, `moved` or `already_mapped`.
    pub(crate) status: String,
    #[schema(format = Uuid)]
    pub(crate) mapping_id: String,
    pub(crate) external_project_id: String,
    #[schema(format = Uuid)]
    pub(crate) magnus_project_id: String,
    pub(crate) project_name: String,
    pub(crate) magnus_says: String,
}
