//! Reads the body of a create or update: what was sent, told apart from what was left out. Unknown attributes are
//! dropped.

use std::collections::BTreeMap;

use axum::http::{HeaderMap, header};
use chrono::NaiveDate;
use serde_json::{Map, Value};

use super::error::{Cause, Refusal};
use super::options::OpenProjectOptions;
use super::progress::parse_duration;

/// A value that was sent (`null` as `None`), or left out.
pub(super) type Sent<T> = Option<Option<T>>;

/// The attributes of a work package in a request.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Attributes {
    pub(super) lock_version: Option<u64>,
    pub(super) subject: Sent<String>,
    pub(super) description: Sent<String>,
    pub(super) start_date: Sent<NaiveDate>,
    pub(super) due_date: Sent<NaiveDate>,
    pub(super) date: Sent<NaiveDate>,
    pub(super) duration_days: Sent<i64>,
    pub(super) estimated_minutes: Sent<i64>,
    pub(super) remaining_minutes: Sent<i64>,
    pub(super) percentage_done: Sent<i64>,
    pub(super) schedule_manually: Option<bool>,
    pub(super) ignore_non_working_days: Option<bool>,
    pub(super) created_at: Option<String>,
    pub(super) updated_at: Option<String>,
    pub(super) status: Sent<u64>,
    pub(super) kind: Sent<u64>,
    pub(super) priority: Sent<u64>,
    pub(super) project: Sent<u64>,
    pub(super) parent: Sent<u64>,
    pub(super) assignee: Sent<u64>,
    pub(super) responsible: Sent<u64>,
    pub(super) author: Sent<u64>,
    pub(super) custom_fields: BTreeMap<String, Value>,
}

/// Checks the content type and reads the body as a JSON object.
pub(super) fn read_object(headers: &HeaderMap, body: &[u8]) -> Result<Map<String, Value>, Refusal> {
    let content_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    if content_type.is_empty() {
        return Err(Refusal::NoContentType);
    }
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if media_type != "application/json" && media_type != "application/hal+json" {
        let message = format!("Expected CONTENT-TYPE to be 'application/json' but got '{content_type}'.");
        return Err(Cause::new(415, "TypeNotSupported", message).into());
    }
    let invalid = || {
        Cause::new(
            400,
            "InvalidRequestBody",
            "The request body was neither empty, nor did it contain a single JSON object.",
        )
    };
    match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) | Err(_) => Err(invalid().into()),
    }
}

impl Attributes {
    /// Reads what is known; `custom fields that do not exist, and what the options name, are dropped.
    pub(super) fn read(object: &Map<String, Value>, options: &OpenProjectOptions) -> Result<Self, Refusal> {
        let custom_fields = &options.custom_fields;
        let mut object = object.clone();
        object.retain(|name, _| !options.dropped_attributes.contains(name));
        let object = &object;
        let mut reader = Reader {
            object,
            causes: Vec::new(),
        };
        let links = match object.get("_links") {
            None | Some(Value::Null) => None,
            Some(Value::Object(links)) => Some(links),
            Some(_) => return Err(Cause::new(400, "BadRequest", "_links has to be a JSON object.").into()),
        };
        let attributes = Self {
            lock_version: object.get("lockVersion").and_then(Value::as_u64),
            subject: reader.text("subject"),
            description: reader.formattable("description"),
            start_date: reader.date("startDate"),
            due_date: reader.date("dueDate"),
            date: reader.date("date"),
            duration_days: reader
                .duration("duration")
                .map(|sent| sent.map(|minutes| minutes / 1440)),
            estimated_minutes: reader.duration("estimatedTime"),
            remaining_minutes: reader.duration("remainingTime"),
            percentage_done: reader.integer("percentageDone"),
            schedule_manually: object.get("scheduleManually").and_then(Value::as_bool),
            ignore_non_working_days: object.get("ignoreNonWorkingDays").and_then(Value::as_bool),
            created_at: object.get("createdAt").and_then(Value::as_str).map(str::to_owned),
            updated_at: object.get("updatedAt").and_then(Value::as_str).map(str::to_owned),
            status: reader.link(links, "status", &["statuses"]),
            kind: reader.link(links, "type", &["types"]),
            priority: reader.link(links, "priority", &["priorities"]),
            project: reader.link(links, "project", &["projects", "workspaces"]),
            parent: reader.link(links, "parent", &["work_packages"]),
            assignee: reader.link(links, "assignee", PRINCIPALS),
            responsible: reader.link(links, "responsible", PRINCIPALS),
            author: reader.link(links, "author", PRINCIPALS),
            custom_fields: custom_fields
                .iter()
                .filter_map(|name| Some((name.clone(), object.get(name)?.clone())))
                .collect(),
        };
        if reader.causes.is_empty() {
            Ok(attributes)
        } else {
            Err(Refusal::Causes(reader.causes))
        }
    }
}

const PRINCIPALS: &[&str] = &["users", "groups", "placeholder_users", "principals"];

struct Reader<'body> {
    object: &'body Map<String, Value>,
    causes: Vec<Cause>,
}

impl Reader<'_> {
    fn text(&mut self, name: &str) -> Sent<String> {
        match self.object.get(name)? {
            Value::Null => Some(None),
            Value::String(text) => Some(Some(text.clone())),
            other => Some(Some(other.to_string())),
        }
    }

    fn formattable(&mut self, name: &str) -> Sent<String> {
        match self.object.get(name)? {
            Value::Null => Some(None),
            Value::Object(object) => match object.get("raw")? {
                Value::String(raw) => Some(Some(raw.clone())),
                _ => Some(None),
            },
            _ => {
                self.causes.push(Cause::format(name, "{ \"raw\": \"text\" }"));
                None
            }
        }
    }

    fn date(&mut self, name: &str) -> Sent<NaiveDate> {
        match self.object.get(name)? {
            Value::Null => Some(None),
            Value::String(text) if text.len() == 10 && NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok() => {
                Some(NaiveDate::parse_from_str(text, "%Y-%m-%d").ok())
            }
            _ => {
                self.causes.push(Cause::format(name, "YYYY-MM-DD (ISO 8601 date only)"));
                None
            }
        }
    }

    /// A duration in minutes.
    fn duration(&mut self, name: &str) -> Sent<i64> {
        match self.object.get(name)? {
            Value::Null => Some(None),
            other => match other.as_str().and_then(parse_duration) {
                Some(minutes) => Some(Some(minutes)),
                None => {
                    self.causes
                        .push(Cause::format(name, "PnYnMnDTnHnMnS (ISO 8601 duration)"));
                    None
                }
            },
        }
    }

    fn integer(&mut self, name: &str) -> Sent<i64> {
        match self.object.get(name)? {
            Value::Null => Some(None),
            other => match other.as_i64() {
                Some(number) => Some(Some(number)),
                None => {
                    self.causes.push(Cause::format(name, "Integer"));
                    None
                }
            },
        }
    }

    fn link(&mut self, links: Option<&Map<String, Value>>, name: &str, kinds: &[&str]) -> Sent<u64> {
        let href = match links?.get(name)?.get("href")? {
            Value::Null => return Some(None),
            Value::String(href) => href,
            _ => return None,
        };
        // A reference the caller may not see keeps its value when sent back.
        if href == "urn:openproject-org:api:v3:undisclosed" {
            return None;
        }
        let path = href.split_once("/api/v3/").map(|(_, path)| path);
        let parsed = path
            .and_then(|path| path.split_once('/'))
            .and_then(|(kind, id)| Some((kind, id.parse::<u64>().ok()?)));
        match parsed {
            Some((kind, id)) if kinds.contains(&kind) => Some(Some(id)),
            _ => {
                let expected = format!("/api/v3/{}/:id", kinds.first().copied().unwrap_or_default());
                self.causes.push(Cause::link_mismatch(name, &expected, href));
                None
            }
        }
    }
}
