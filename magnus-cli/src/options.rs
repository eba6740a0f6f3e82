//! `key=value` settings of a connection.

use magnus_core::hub::{HubError, HubErrorKind};
use magnus_core::model::{ConnectionOptions, ConnectionSettings};
use serde_json::{Map, Value};

/// The settings that are not options.
const OWN: [&str; 5] = ["name", "url", "direction", "frequency", "enabled"];

/// Applies `key=value` to settings. The value is JSON, or else a text; a dot in the key goes into an object.
pub(crate) fn assign(settings: &mut ConnectionSettings, assignment: &str) -> Result<(), HubError> {
    let Some((key, value)) = assignment.split_once('=') else {
        return Err(invalid(format!("{assignment:?} is not of the form key=value")));
    };
    let (key, value) = (key.trim(), value.trim());
    match key {
        "name" if value.is_empty() => return Err(invalid("a connection needs a name".to_owned())),
        "name" => value.clone_into(&mut settings.name),
        "url" => value.clone_into(&mut settings.url),
        "direction" => settings.direction = value.parse().map_err(|error| invalid(format!("{error}")))?,
        "frequency" => settings.frequency = value.parse().map_err(|error| invalid(format!("{error}")))?,
        "enabled" => {
            settings.enabled = value
                .parse()
                .map_err(|_| invalid(format!("enabled takes true or false, not {value:?}")))?;
        }
        option => settings.options = with_option(&settings.options, option, value)?,
    }
    Ok(())
}

fn with_option(options: &ConnectionOptions, key: &str, value: &str) -> Result<ConnectionOptions, HubError> {
    let refused = |error: serde_json::Error| {
        let own = OWN.join(", ");
        invalid(format!(
            "{key}={value} is refused: {error}; besides the options there are: {own}"
        ))
    };
    let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
    let mut document = serde_json::to_value(options).map_err(refused)?;
    let path: Vec<&str> = key.split('.').collect();
    if path.iter().any(|step| step.is_empty()) {
        return Err(invalid(format!("{key:?} is not the name of an option")));
    }
    let mut place = &mut document;
    for step in path {
        if !place.is_object() {
            *place = Value::Object(Map::new());
        }
        place = match place {
            Value::Object(object) => object.entry(step).or_insert(Value::Null),
            other => other,
        };
    }
    *place = value;
    serde_json::from_value(document).map_err(refused)
}

fn invalid(message: String) -> HubError {
    HubError::new(HubErrorKind::Invalid, message)
}

#[cfg(test)]
mod tests {
    use magnus_core::model::{DeletionPolicy, Direction, Status, ToolName};

    use super::*;

    fn settings() -> ConnectionSettings {
        ConnectionSettings::new(
            ToolName::new("board"),
            "Board",
            "https://example.org",
            chrono::Utc::now(),
        )
    }

    #[test]
    fn options_take_words_json_and_paths() {
        let mut settings = settings();
        for assignment in [
            "direction=pull",
            "enabled=false",
            "deletions=delete",
            "guard.deletions.count=7",
            "status_map.Waiting=blocked",
            "time_zone=Europe/Berlin",
            "tool.type=\"Task\"",
        ] {
            assign(&mut settings, assignment).unwrap();
        }
        let options = &settings.options;
        assert_eq!((settings.direction, settings.enabled), (Direction::Pull, false));
        assert_eq!(
            (options.deletions, options.guard.deletions.count),
            (DeletionPolicy::Delete, 7)
        );
        assert_eq!(options.status_map.get("Waiting"), Some(&Status::Blocked));
        assert_eq!(options.time_zone.as_deref(), Some("Europe/Berlin"));
        assert_eq!(options.tool.get("type"), Some(&Value::from("Task")));
    }

    #[test]
    fn a_misspelt_option_or_value_is_refused_by_name() {
        for (assignment, named) in [
            ("deletion=delete", "deletion"),
            ("deletions=purge", "purge"),
            ("direction=sideways", "pull, push, bidirectional"),
            ("enabled=maybe", "maybe"),
            ("pull", "key=value"),
            ("guard..x=1", "guard..x"),
        ] {
            let error = assign(&mut settings(), assignment).unwrap_err().to_string();
            assert!(error.contains(named), "{assignment}: {error}");
        }
    }
}
