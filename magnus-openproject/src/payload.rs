//! The body of a create or change. `api` is the path of the API with the instance's prefix, as references start.

use std::collections::BTreeMap;

use magnus_core::model::{ExternalId, Field, IntentId, RemoteValue, RemoteVersion};
use serde_json::{Map, Value, json};

use crate::duration;
use crate::marker::MarkerField;
use crate::wire::WorkPackageType;

/// A create: what is not set is sent as null where the tool would else fill in something (a parent's dates).
pub(crate) fn create(
    api: &str,
    fields: &BTreeMap<Field, RemoteValue>,
    kind: Option<&WorkPackageType>,
    marker: Option<(&MarkerField, IntentId)>,
) -> Value {
    let mut body = Body::new(api);
    let milestone = kind.is_some_and(|kind| kind.is_milestone);
    let dates: &[&str] = if milestone {
        &["date"]
    } else {
        &["startDate", "dueDate"]
    };
    for date in dates {
        body.property(date, Value::Null);
    }
    body.fields(fields, milestone);
    if let Some((field, operation)) = marker {
        body.property(field.name(), json!(operation.to_string()));
    }
    if let Some(kind) = kind {
        body.links
            .insert("type".to_owned(), json!({ "href": format!("{api}/types/{}", kind.id) }));
    }
    body.finish()
}

/// A change, decided on a version; a milestone's date goes by another name.
pub(crate) fn update(
    api: &str,
    fields: &BTreeMap<Field, RemoteValue>,
    move_to: Option<&ExternalId>,
    version: &RemoteVersion,
    milestone: bool,
) -> Value {
    let mut body = Body::new(api);
    let version = version
        .0
        .parse::<u64>()
        .map_or_else(|_| json!(version.0), |number| json!(number));
    body.properties.insert("lockVersion".to_owned(), version);
    body.fields(fields, milestone);
    if let Some(project) = move_to {
        body.links.insert(
            "project".to_owned(),
            json!({ "href": format!("{api}/projects/{project}") }),
        );
    }
    body.finish()
}

#[derive(Debug)]
struct Body<'api> {
    /// Path of the API, with the instance's prefix.
    api: &'api str,
    properties: Map<String, Value>,
    links: Map<String, Value>,
}

impl<'api> Body<'api> {
    fn new(api: &'api str) -> Self {
        Self {
            api,
            properties: Map::new(),
            links: Map::new(),
        }
    }

    fn fields(&mut self, fields: &BTreeMap<Field, RemoteValue>, milestone: bool) {
        for (field, value) in fields {
            self.field(*field, value, milestone);
        }
    }

    fn field(&mut self, field: Field, value: &RemoteValue, milestone: bool) {
        match field {
            Field::Title => self.property("subject", value.0.clone()),
            Field::Description => self.property("description", json!({ "raw": value.as_text().unwrap_or_default() })),
            Field::StartDate if milestone => {}
            Field::StartDate => self.property("startDate", value.0.clone()),
            Field::DueDate if milestone => self.property("date", value.0.clone()),
            Field::DueDate => self.property("dueDate", value.0.clone()),
            Field::EstimatedHours => self.property("estimatedTime", duration_of(value)),
            Field::RemainingHours => self.property("remainingTime", duration_of(value)),
            Field::PercentageDone => self.property("percentageDone", value.0.clone()),
            Field::Status => self.link("status", "statuses", value),
            Field::Priority => self.link("priority", "priorities", value),
            Field::Assignee => self.link("assignee", "users", value),
            Field::Parent => self.link("parent", "work_packages", value),
            // Not among the writable fields of the capabilities.
            Field::ActualHours | Field::Tags => {}
        }
    }

    fn property(&mut self, name: &str, value: Value) {
        self.properties.insert(name.to_owned(), value);
    }

    fn link(&mut self, name: &str, kind: &str, value: &RemoteValue) {
        let href = value.as_text().map(|id| format!("{}/{kind}/{id}", self.api));
        self.links.insert(name.to_owned(), json!({ "href": href }));
    }

    fn finish(mut self) -> Value {
        if !self.links.is_empty() {
            self.properties.insert("_links".to_owned(), Value::Object(self.links));
        }
        Value::Object(self.properties)
    }
}

fn duration_of(value: &RemoteValue) -> Value {
    value
        .0
        .as_u64()
        .and_then(|minutes| u32::try_from(minutes).ok())
        .map_or(Value::Null, |minutes| json!(duration::format(minutes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_create_says_null_for_dates_that_are_not_set() {
        let fields = BTreeMap::from([
            (Field::Title, RemoteValue::text("New")),
            (Field::Parent, RemoteValue::text("5")),
            (Field::EstimatedHours, RemoteValue(json!(90))),
        ]);
        let expected = json!({
            "subject": "New", "startDate": null, "dueDate": null, "estimatedTime": "PT1H30M",
            "_links": { "parent": { "href": "/op/api/v3/work_packages/5" } },
        });
        assert_eq!(create("/op/api/v3", &fields, None, None), expected);
    }

    #[test]
    fn an_update_names_its_version_and_only_what_changes() {
        let fields = BTreeMap::from([
            (Field::Assignee, RemoteValue::NULL),
            (Field::Description, RemoteValue::NULL),
        ]);
        let body = update("/api/v3", &fields, None, &RemoteVersion("3".to_owned()), false);
        assert_eq!(
            body,
            json!({ "lockVersion": 3, "description": { "raw": "" }, "_links": { "assignee": { "href": null } } })
        );
    }

    #[test]
    fn a_milestones_due_date_is_its_date() {
        let fields = BTreeMap::from([(Field::DueDate, RemoteValue::text("2026-06-01"))]);
        let body = update("/api/v3", &fields, None, &RemoteVersion("0".to_owned()), true);
        assert_eq!(body, json!({ "lockVersion": 0, "date": "2026-06-01" }));
    }
}
