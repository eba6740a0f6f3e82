//! Connections: listed, added, tested, changed and removed.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use magnus_core::connection::{ConnectionError, ConnectionErrorKind, Identity};
use magnus_core::engine::{RunError, RunErrorKind};
use magnus_core::hub::{Hub, HubError, HubErrorKind};
use magnus_core::model::{ConnectionId, ConnectionOptions, ConnectionSettings, ToolName};
use magnus_core::store::OnceAnswer;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};

use super::cursor::PageParams;
use super::once::{self, Once};
use crate::access::address;
use crate::extract::{Body, Id, Params, Raw, from_json, word};
use crate::problem::{Kind, Problem, ProblemOut};
use crate::shape::connection::{Connected, ConnectionIn, ConnectionOut, ConnectionPatch, Connections, Tested};
use crate::shape::value::check_name;
use crate::state::{App, Shared};

async fn out(app: &Shared, settings: &ConnectionSettings) -> Result<ConnectionOut, Problem> {
    let digest = app.store().run_digest(settings.id).await?;
    Ok(ConnectionOut::new(settings, &digest))
}

/// Connections
#[utoipa::path(get, path = "/connections", tag = "connections", params(PageParams), responses(
    (status = 200, description = "A page of connections, by name, with their state and next run", body = Connections)))]
pub(crate) async fn list(
    State(app): State<App>,
    Params(params): Params<PageParams>,
) -> Result<Json<Connections>, Problem> {
    let all = app.store().connections().await?;
    let total = all.len() as u64;
    let (page, next_cursor) = params.page(all, |settings| settings.name.clone())?;
    let mut connections = Vec::new();
    for settings in &page {
        connections.push(out(&app, settings).await?);
    }
    let tools = app.options.opener.tools();
    Ok(Json(Connections {
        connections,
        total,
        next_cursor,
        tools: tools.iter().map(ToString::to_string).collect(),
    }))
}

/// One connection
#[utoipa::path(get, path = "/connections/{id}", tag = "connections", params(
    ("id" = uuid::Uuid, Path, description = "The connection")), responses(
    (status = 200, description = "The connection", body = ConnectionOut)))]
pub(crate) async fn read(State(app): State<App>, Id(id): Id<ConnectionId>) -> Result<Json<ConnectionOut>, Problem> {
    let settings = app.connection(id).await?;
    out(&app, &settings).await.map(Json)
}

/// Add a connection
///
/// It is tested first, and kept only if the test passes. The key is sealed and never shown again.
#[utoipa::path(post, path = "/connections", tag = "connections", request_body = ConnectionIn, params(
    ("Idempotency-Key" = Option<String>, Header, description = "Sent again with the same key, it takes effect once")),
    responses(
    (status = 201, description = "It is connected", body = Connected),
    (status = 409, description = "The name is taken", body = ProblemOut, content_type = "application/problem+json"),
    (status = 502, description = "The tool cannot be reached", body = ProblemOut, content_type = "application/problem+json"),
))]
pub(crate) async fn add(State(app): State<App>, headers: HeaderMap, body: BodyBytes) -> Result<Response, Problem> {
    let task = match once::begin(&app, &headers, "POST /connections", &body.0).await? {
        Once::Answered(answer) => return Ok(once::respond(answer)),
        Once::Do(task) => task,
    };
    to_the_end(async move {
        let answer = connect(&app, ConnectionId::from_uuid(task.id), &body.0).await;
        task.end(&app, answer).await
    })
    .await
    .map(once::respond)
}

/// Settings and secrets are written one after the other: whoever asked for that and went away must not leave half of it.
async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, Problem>> + Send + 'static,
) -> Result<T, Problem> {
    let ended = tokio::spawn(work).await;
    ended.unwrap_or_else(|error| Err(Problem::new(Kind::Internal, error.to_string())))
}

/// A JSON body that is needed as bytes too.
pub(crate) struct BodyBytes(pub(crate) bytes::Bytes);

impl<S: Send + Sync> axum::extract::FromRequest<S> for BodyBytes {
    type Rejection = Problem;

    async fn from_request(request: axum::extract::Request, state: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let head = axum::extract::Request::from_parts(parts.clone(), axum::body::Body::from("null"));
        // Only the type of the body is looked at here.
        Body::<Value>::from_request(head, state).await?;
        let Raw(bytes) = Raw::from_request(axum::extract::Request::from_parts(parts, body), state).await?;
        Ok(Self(bytes))
    }
}

async fn connect(app: &Shared, id: ConnectionId, body: &[u8]) -> Result<OnceAnswer, Problem> {
    let wanted: ConnectionIn = from_json(body)?;
    if let Some(there) = app.store().connection(id).await? {
        // It was added, but the answer was not kept, nor perhaps its secrets.
        keep_secrets(app, id, wanted).await?;
        return connected(app, &there).await;
    }
    let mut settings = settings_of(app, &wanted).await?;
    settings.id = id;
    if app
        .store()
        .connections()
        .await?
        .iter()
        .any(|other| other.name == settings.name)
    {
        let detail = format!("there is a connection {:?} already; choose another name", settings.name);
        return Err(Problem::new(Kind::Conflict, detail).with_field("display_name", "it is taken"));
    }
    test(app, &settings, wanted.api_key.clone()).await?;
    if let Some(secret) = wanted.webhook_secret {
        app.options.webhook_secrets.put(id, secret).await?;
    }
    let saved = app
        .hub
        .add_connection(settings, wanted.api_key, app.options.secrets.as_ref())
        .await?;
    tracing::info!(connection = %saved.id, tool = %saved.tool, "connection {} was added", saved.id);
    connected(app, &saved).await
}

async fn keep_secrets(app: &Shared, id: ConnectionId, wanted: ConnectionIn) -> Result<(), Problem> {
    app.options.secrets.put(id, wanted.api_key).await?;
    if let Some(secret) = wanted.webhook_secret {
        app.options.webhook_secrets.put(id, secret).await?;
    }
    Ok(())
}

/// The settings that are wanted, if they make sense.
async fn settings_of(app: &Shared, wanted: &ConnectionIn) -> Result<ConnectionSettings, Problem> {
    check_name("display_name", &wanted.display_name)?;
    check_secret("api_key", &wanted.api_key)?;
    if let Some(secret) = &wanted.webhook_secret {
        check_secret("webhook_secret", secret)?;
    }
    let tool = ToolName::new(&wanted.tool_name);
    let known = app.options.opener.tools();
    if !known.contains(&tool) {
        let names: Vec<&str> = known.iter().map(ToolName::as_str).collect();
        let message = format!("there is no such tool; known are: {}", names.join(", "));
        return Err(Problem::invalid("tool_name", message));
    }
    let now = app.options.clock.now();
    let mut settings = ConnectionSettings::new(tool, wanted.display_name.trim(), wanted.instance_url.trim(), now);
    if let Some(direction) = word("sync_direction", wanted.sync_direction.as_deref())? {
        settings.direction = direction;
    }
    if let Some(frequency) = word("sync_frequency", wanted.sync_frequency.as_deref())? {
        settings.frequency = frequency;
    }
    settings.options = options(
        &ConnectionOptions::default(),
        &wanted.config.clone().unwrap_or_default(),
    )?;
    address::check(&settings.url, app.options.allow_link_local).await?;
    Ok(settings)
}

async fn connected(app: &Shared, settings: &ConnectionSettings) -> Result<OnceAnswer, Problem> {
    once::created(&Connected {
        status: "connected".to_owned(),
        magnus_says: format!("The {} board is now under my control.", settings.tool),
        connection: out(app, settings).await?,
    })
}

/// Opens a connection and asks the tool who we are.
async fn test(app: &Shared, settings: &ConnectionSettings, key: SecretString) -> Result<Identity, Problem> {
    let connection = app.options.opener.connect(settings.clone(), key).await?;
    Ok(connection.check().await?)
}

fn check_secret(field: &str, secret: &SecretString) -> Result<(), Problem> {
    let text = secret.expose_secret();
    if text.trim().is_empty() || text.len() > 10_000 || text.chars().any(char::is_control) {
        return Err(Problem::invalid(field, "expected 1 to 10000 characters on one line"));
    }
    Ok(())
}

/// Options with some changed; a member of an object is changed by itself, and goes with null.
fn options(before: &ConnectionOptions, changes: &Map<String, Value>) -> Result<ConnectionOptions, Problem> {
    let unreadable = |error: &serde_json::Error| Problem::invalid("config", error.to_string());
    let mut document = serde_json::to_value(before).map_err(|error| unreadable(&error))?;
    if let Value::Object(members) = &mut document {
        for (name, value) in changes {
            match (members.get_mut(name), value) {
                (Some(Value::Object(there)), Value::Object(new)) => {
                    there.extend(new.clone());
                    there.retain(|_, value| !value.is_null());
                }
                _ => drop(members.insert(name.clone(), value.clone())),
            }
        }
    }
    let options: ConnectionOptions = serde_json::from_value(document).map_err(|error| unreadable(&error))?;
    if let Some(zone) = &options.time_zone
        && zone.parse::<chrono_tz::Tz>().is_err()
    {
        return Err(Problem::invalid(
            "config.time_zone",
            "expected a name such as Europe/Berlin",
        ));
    }
    Ok(options)
}

/// Change a connection
///
/// A new key or address is tested before it is kept. What changes holds from the next run on. A key is never sent to
/// another server than the one it was given for: an `instance_url` of another origin takes an `api_key` along with it.
#[utoipa::path(patch, path = "/connections/{id}", tag = "connections", request_body = ConnectionPatch, params(
    ("id" = uuid::Uuid, Path, description = "The connection")), responses(
    (status = 200, description = "The connection as it is now", body = ConnectionOut),
    (status = 409, description = "The name is taken", body = ProblemOut, content_type = "application/problem+json"),
    (status = 502, description = "The tool cannot be reached", body = ProblemOut, content_type = "application/problem+json"),
))]
pub(crate) async fn change(
    State(app): State<App>,
    Id(id): Id<ConnectionId>,
    Body(patch): Body<ConnectionPatch>,
) -> Result<Json<ConnectionOut>, Problem> {
    let before = app.connection(id).await?;
    let mut wanted = before.clone();
    apply(&mut wanted, &patch)?;
    if wanted.url != before.url {
        address::check(&wanted.url, app.options.allow_link_local).await?;
    }
    if let Some(key) = &patch.api_key {
        check_secret("api_key", key)?;
    }
    if let Some(Some(secret)) = &patch.webhook_secret {
        check_secret("webhook_secret", secret)?;
    }
    if patch.api_key.is_none() && !wanted.same_origin(&before) {
        // Before anything is opened: the key that is kept was given for the old server, and is not shown to the new one.
        return Err(Problem::invalid("api_key", Hub::KEY_FOR_ANOTHER_SERVER));
    }
    let stored = match &patch.api_key {
        Some(key) => Some(key.clone()),
        None => app.options.secrets.get(id).await?,
    };
    match stored {
        Some(key)
            if patch.api_key.is_some() || wanted.url != before.url || wanted.options.tool != before.options.tool =>
        {
            drop(test(&app, &wanted, key).await?);
        }
        // What the tool's adapter refuses is refused here; the tool itself is not asked.
        Some(key) => drop(app.options.opener.connect(wanted.clone(), key).await?),
        None => {}
    }
    to_the_end(keep(app, id, patch)).await.map(Json)
}

/// Keeps what was found good.
async fn keep(app: App, id: ConnectionId, patch: ConnectionPatch) -> Result<ConnectionOut, Problem> {
    if let Some(secret) = &patch.webhook_secret {
        match secret {
            Some(secret) => app.options.webhook_secrets.put(id, secret.clone()).await?,
            None => app.options.webhook_secrets.delete(id).await?,
        }
    }
    let change = |settings: &mut ConnectionSettings| {
        apply(settings, &patch).map_err(|problem| HubError::new(HubErrorKind::Invalid, problem.detail()))
    };
    let (key, secrets) = (patch.api_key.clone(), app.options.secrets.as_ref());
    let saved = app.hub.change_connection(id, change, key, secrets).await?;
    out(&app, &saved).await
}

fn apply(settings: &mut ConnectionSettings, patch: &ConnectionPatch) -> Result<(), Problem> {
    if let Some(name) = &patch.display_name {
        check_name("display_name", name)?;
        name.trim().clone_into(&mut settings.name);
    }
    if let Some(url) = &patch.instance_url {
        url.trim().clone_into(&mut settings.url);
    }
    if let Some(direction) = word("sync_direction", patch.sync_direction.as_deref())? {
        settings.direction = direction;
    }
    if let Some(frequency) = word("sync_frequency", patch.sync_frequency.as_deref())? {
        settings.frequency = frequency;
    }
    if let Some(enabled) = patch.sync_enabled {
        settings.enabled = enabled;
    }
    if let Some(config) = &patch.config {
        settings.options = options(&settings.options, config)?;
    }
    Ok(())
}

/// Remove a connection
///
/// With its links, conflicts, runs and secrets. Tasks of the hub stay, and the tool is not touched.
#[utoipa::path(delete, path = "/connections/{id}", tag = "connections", params(
    ("id" = uuid::Uuid, Path, description = "The connection")), responses(
    (status = 204, description = "It is removed"),
    (status = 409, description = "It is being synced", body = ProblemOut, content_type = "application/problem+json")))]
pub(crate) async fn remove(State(app): State<App>, Id(id): Id<ConnectionId>) -> Result<StatusCode, Problem> {
    let removed = app.hub.remove_connection(id, app.options.secrets.as_ref()).await?;
    app.options.webhook_secrets.delete(id).await?;
    if let Some(error) = removed.key_left {
        tracing::warn!(connection = %id, %error, "the key of a removed connection could not be forgotten");
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Test a connection
///
/// Asks the tool who we are. That it cannot be reached is an answer, too.
#[utoipa::path(get, path = "/connections/{id}/test", tag = "connections", params(
    ("id" = uuid::Uuid, Path, description = "The connection")), responses(
    (status = 200, description = "How it answered", body = Tested)))]
pub(crate) async fn test_stored(State(app): State<App>, Id(id): Id<ConnectionId>) -> Result<Json<Tested>, Problem> {
    app.connection(id).await?;
    let answer = match app.options.opener.open(id).await {
        Ok((_, connection)) => connection.check().await.map_err(RunError::from),
        Err(error) => Err(error),
    };
    tested(answer)
}

/// Test a connection that is not there yet
///
/// Asks the tool who we are, with what would make the connection. Nothing is kept.
#[utoipa::path(post, path = "/connections/test", tag = "connections", request_body = ConnectionIn, responses(
    (status = 200, description = "How it answered", body = Tested)))]
pub(crate) async fn test_new(
    State(app): State<App>,
    Body(wanted): Body<ConnectionIn>,
) -> Result<Json<Tested>, Problem> {
    let settings = settings_of(&app, &wanted).await?;
    let answer = match app.options.opener.connect(settings, wanted.api_key).await {
        Ok(connection) => connection.check().await.map_err(RunError::from),
        Err(error) => Err(error),
    };
    tested(answer)
}

/// What a test found; that the tool does not answer is a finding, that our own store does not is a failure.
fn tested(answer: Result<Identity, RunError>) -> Result<Json<Tested>, Problem> {
    Ok(Json(match answer {
        Ok(identity) => Tested {
            status: "ok".to_owned(),
            reason: None,
            user: Some(identity.name),
            version: identity.version,
            notes: identity.notes,
        },
        Err(error) if error.kind() == RunErrorKind::Store => return Err(error.into()),
        Err(error) => Tested {
            status: "failed".to_owned(),
            reason: Some(error.to_string()),
            user: None,
            version: None,
            notes: hint(&error).into_iter().map(str::to_owned).collect(),
        },
    }))
}

/// What a person can do about it.
fn hint(error: &RunError) -> Option<&'static str> {
    let cause = std::error::Error::source(error)?.downcast_ref::<ConnectionError>()?;
    match cause.kind() {
        ConnectionErrorKind::Unauthorized => Some("make a new API key in the tool and enter it here"),
        ConnectionErrorKind::Forbidden => Some("give the key's user the right in the tool"),
        ConnectionErrorKind::Unavailable | ConnectionErrorKind::Timeout => {
            Some("see that the server runs and that the address is right")
        }
        ConnectionErrorKind::Protocol => Some("see that the address is the tool's own, not that of a login page"),
        _ => None,
    }
}
