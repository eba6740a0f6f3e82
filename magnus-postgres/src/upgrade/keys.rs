//! Keys that the predecessor kept in plain text: sealed, and wiped wherever they stand.

use std::collections::BTreeSet;

use magnus_core::model::{ConnectionId, ConnectionOptions};
use magnus_core::store::{StoreError, StoreErrorKind};
use magnus_seal::{SealedSecretStore, Sealer};
use serde_json::{Map, Value};
use sqlx::types::Json;
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::secret_names::{is_secret, is_suspicious};
use super::{OPERATION, Upgrade, scrub};
use crate::columns::{Columns, to_jsonb};
use crate::error::failed;
use crate::schema::Schema;

const TABLE: &str = "magnus_pm_connections";

/// Under which names the settings held the API key, the most likely first.
const API_KEYS: [&str; 6] = ["api_key", "apikey", "api_token", "access_token", "token", "key"];

/// What a row's settings come to.
#[derive(Debug, Default, PartialEq)]
struct Sorted {
    api_key: Option<String>,
    /// Every secret that was found, to be wiped elsewhere too.
    secrets: BTreeSet<String>,
    /// What has a meaning here.
    options: Map<String, Value>,
    /// The rest, without secrets.
    rest: Value,
}

/// Seals what stands in plain text. Without a sealer (a dry run) it is only wiped.
pub(super) async fn seal(
    connection: &mut PgConnection,
    schema: &Schema,
    sealer: Option<&Sealer>,
    report: &mut Upgrade,
) -> Result<(), StoreError> {
    let rows = sqlx::query(schema.sql(
        "SELECT id, coalesce(display_name, to_jsonb(c) ->> 'connection_name', tool_name) AS name, config,
                to_jsonb(c) ->> 'webhook_secret' AS webhook_secret
         FROM {hub}.magnus_pm_connections AS c WHERE predecessor_config IS NULL ORDER BY id FOR UPDATE",
    ))
    .fetch_all(&mut *connection)
    .await
    .map_err(failed(OPERATION))?;
    let mut all = BTreeSet::new();
    let (mut sealed, mut hooks) = (0, 0);
    for row in &rows {
        let columns = Columns::new(TABLE, row);
        let id: Uuid = columns.get("id")?;
        let config = row
            .try_get::<Option<Json<Value>>, _>("config")
            .map_err(failed(OPERATION))?;
        let sorted = sort(config.map_or(Value::Null, |Json(config)| config));
        let id = ConnectionId::from_uuid(id);
        match &sorted.api_key {
            Some(key) => {
                put(connection, schema, sealer, id, SealedSecretStore::NAME, key).await?;
                sealed += 1;
            }
            None => report.notes.push(format!(
                "the connection {:?} has no API key in its settings; give it with `magnus set <connection> --key-env VAR`",
                columns.get::<Option<String>>("name")?.unwrap_or_default()
            )),
        }
        if let Some(hook) = columns
            .get::<Option<String>>("webhook_secret")?
            .filter(|hook| !hook.is_empty())
        {
            put(connection, schema, sealer, id, "webhook_secret", &hook).await?;
            sqlx::query(schema.sql("UPDATE {hub}.magnus_pm_connections SET webhook_secret = NULL WHERE id = $1"))
                .bind(id.as_uuid())
                .execute(&mut *connection)
                .await
                .map_err(failed(OPERATION))?;
            all.insert(hook);
            hooks += 1;
        }
        sqlx::query(schema.sql(
            "UPDATE {hub}.magnus_pm_connections SET config = $2::jsonb, predecessor_config = $3::jsonb WHERE id = $1",
        ))
        .bind(id.as_uuid())
        .bind(to_jsonb(&sorted.options, "the options of a connection")?)
        .bind(to_jsonb(&sorted.rest, "the old options of a connection")?)
        .execute(&mut *connection)
        .await
        .map_err(failed(OPERATION))?;
        all.extend(sorted.secrets);
    }
    if !all.is_empty() {
        scrub::to_rewrite(connection, schema, TABLE).await?;
    }
    report.changed(TABLE, "have their API key sealed and wiped from config", sealed);
    report.changed(TABLE, "have their webhook secret sealed and wiped", hooks);
    let wiped = scrub::wipe(connection, schema, &all).await?;
    report.changed("all tables of the hub", "wiped of keys that stood in texts", wiped);
    Ok(())
}

async fn put(
    connection: &mut PgConnection,
    schema: &Schema,
    sealer: Option<&Sealer>,
    id: ConnectionId,
    name: &str,
    secret: &str,
) -> Result<(), StoreError> {
    let Some(sealer) = sealer else {
        return Ok(());
    };
    let sealed = sealer.seal(id, &secret.to_owned().into()).map_err(|error| {
        StoreError::new(StoreErrorKind::Unavailable, OPERATION, "a key cannot be sealed").with_source(error)
    })?;
    // One that was given since counts more.
    sqlx::query(schema.sql(
        "INSERT INTO {hub}.magnus_sealed (connection_id, name, sealed) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
    ))
    .bind(id.as_uuid())
    .bind(name)
    .bind(sealed)
    .execute(connection)
    .await
    .map_err(failed(OPERATION))?;
    Ok(())
}

/// Sorts a predecessor's settings.
fn sort(config: Value) -> Sorted {
    let mut config = match unwrapped(config) {
        Value::Null => Map::new(),
        Value::Object(config) => config,
        mut other => {
            let mut secrets = BTreeSet::new();
            take_secrets_in(&mut other, &mut secrets);
            return Sorted {
                secrets,
                rest: other,
                ..Sorted::default()
            };
        }
    };
    let mut sorted = Sorted {
        api_key: api_key(&config),
        ..Sorted::default()
    };
    take_secrets(&mut config, &mut sorted.secrets);
    sorted.secrets.extend(sorted.api_key.clone());
    let mut rest = Map::new();
    for (name, value) in config {
        let mut with = sorted.options.clone();
        with.insert(name.clone(), value.clone());
        if serde_json::from_value::<ConnectionOptions>(Value::Object(with.clone())).is_ok() {
            sorted.options = with;
        } else {
            rest.insert(name, value);
        }
    }
    sorted.rest = Value::Object(rest);
    sorted
}

/// Settings that were written as a text within JSON.
fn unwrapped(config: Value) -> Value {
    match &config {
        Value::String(text) => match serde_json::from_str(text) {
            Ok(inner @ (Value::Object(_) | Value::Array(_))) => inner,
            _ => config,
        },
        _ => config,
    }
}

fn api_key(config: &Map<String, Value>) -> Option<String> {
    let credentials = config.get("credentials").and_then(Value::as_object);
    [Some(config), credentials].into_iter().flatten().find_map(|place| {
        API_KEYS.iter().find_map(|name| {
            let found = place.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?;
            let key = found.1.as_str()?.trim();
            (!key.is_empty()).then(|| key.to_owned())
        })
    })
}

/// Takes out whatever is called like a secret, at any depth.
fn take_secrets(object: &mut Map<String, Value>, secrets: &mut BTreeSet<String>) {
    object.retain(|name, value| {
        // Further settings may stand beside a key; each of them is called something.
        let is_group = value.is_object() && name.eq_ignore_ascii_case("credentials");
        let drops = is_suspicious(name) && !is_group;
        if drops {
            collect_secrets(name, value, secrets);
        }
        !drops
    });
    for value in object.values_mut() {
        take_secrets_in(value, secrets);
    }
}

fn take_secrets_in(value: &mut Value, secrets: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => take_secrets(object, secrets),
        Value::Array(values) => values.iter_mut().for_each(|value| take_secrets_in(value, secrets)),
        _ => {}
    }
}

/// Collects what is a secret, of what stands under a suspicious name.
fn collect_secrets(name: &str, value: &Value, secrets: &mut BTreeSet<String>) {
    match value {
        Value::String(text) if !text.trim().is_empty() && is_secret(name, text.trim()) => {
            secrets.insert(text.trim().to_owned());
        }
        Value::Array(values) => values.iter().for_each(|value| collect_secrets(name, value, secrets)),
        Value::Object(object) => {
            for (inner, value) in object {
                // What is within a secret is one, unless its own name says otherwise.
                let name = if is_suspicious(inner) { inner } else { name };
                collect_secrets(name, value, secrets);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn key_is_found_in_either_place_and_nothing_secret_is_left() {
        for config in [
            json!({"api_key": "canary-1", "conflicts": "hub_wins", "project_ids": [1, 2]}),
            json!({"credentials": {"api_key": " canary-1 ", "user": "ed"}, "nested": [{"authToken": "canary-2"}]}),
        ] {
            let sorted = sort(config);
            assert_eq!(sorted.api_key.as_deref(), Some("canary-1"));
            assert!(sorted.secrets.contains("canary-1"));
            let left = format!("{:?} {:?}", sorted.options, sorted.rest);
            assert!(!left.contains("canary"), "{left}");
        }
    }

    #[test]
    fn options_that_mean_something_are_kept_and_others_put_by() {
        let sorted = sort(json!({"conflicts": "hub_wins", "projects": ["a", "b"], "time_zone": "Europe/Berlin"}));
        assert_eq!(
            Value::Object(sorted.options),
            json!({"conflicts": "hub_wins", "time_zone": "Europe/Berlin"})
        );
        assert_eq!(sorted.rest, json!({"projects": ["a", "b"]}));
    }

    #[test]
    fn settings_that_are_no_object_are_no_failure() {
        assert_eq!(sort(Value::Null).rest, json!({}));
        assert_eq!(sort(json!([1])).rest, json!([1]));
        assert_eq!(sort(json!("no JSON")).rest, json!("no JSON"));
    }

    #[test]
    fn settings_within_a_text_or_a_list_lose_their_secrets_too() {
        let sorted = sort(json!(r#"{"api_key": "canary-1", "conflicts": "hub_wins"}"#));
        assert_eq!(sorted.api_key.as_deref(), Some("canary-1"));
        assert_eq!(Value::Object(sorted.options), json!({"conflicts": "hub_wins"}));
        let sorted = sort(json!([{"api_key": "canary-1", "user": "ed"}]));
        assert_eq!(sorted.rest, json!([{"user": "ed"}]));
        assert!(sorted.secrets.contains("canary-1"));
    }

    #[test]
    fn words_that_people_use_are_not_wiped_from_their_texts() {
        let sorted = sort(json!({
            "api_key": "canary-1", "project_key": "PLATFORM", "keywords": ["marketing"],
            "token_url": "https://op.example/oauth/token", "credentials": "canary-2",
        }));
        let secrets: Vec<&str> = sorted.secrets.iter().map(String::as_str).collect();
        assert_eq!(secrets, ["canary-1", "canary-2"]);
        assert_eq!(sorted.rest, json!({}));
    }
}
