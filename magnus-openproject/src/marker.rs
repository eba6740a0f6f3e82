//! The place for the marker of a create: a custom field that people have set apart for it.

use std::fmt;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use magnus_core::connection::{ConnectionError, ConnectionErrorKind, ConnectionExt as _};
use magnus_core::model::{ExternalId, IntentId};
use serde::Deserialize;
use serde_json::Value;

use crate::connection::{CONCURRENCY, OpenProjectConnection};
use crate::listing::{every_status, filters};
use crate::lookup::{Whole, whole};
use crate::walk::condition;
use crate::wire::{Collection, WorkPackage, WorkPackageType};

/// The name of a custom field as the API has it: `customField7`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct MarkerField(String);

impl TryFrom<String> for MarkerField {
    type Error = String;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        let number = name.strip_prefix("customField").unwrap_or_default();
        if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) {
            Ok(Self(name))
        } else {
            Err(format!(
                "{name:?} names no custom field; write it as the API does, with the field's id: customField7"
            ))
        }
    }
}

impl fmt::Display for MarkerField {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl MarkerField {
    pub(crate) fn name(&self) -> &str {
        &self.0
    }

    /// What stands in it, if anything does.
    pub(crate) fn of(&self, item: &WorkPackage) -> Option<String> {
        let text = item.rest.get(&self.0)?.as_str()?.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }
}

/// The type that fields of one line have in a schema.
const TEXT: &str = "String";

/// Sees to it that the field is there and holds a text, in one of the projects at least: elsewhere the tool drops what
/// it is sent, and a lost create is looked for as without a marker.
pub(crate) async fn confirm(connection: &OpenProjectConnection, field: &MarkerField) -> Result<(), ConnectionError> {
    let projects = connection.all_projects().await?;
    let open: Vec<ExternalId> = projects
        .into_iter()
        .filter(|project| project.open)
        .map(|project| project.id)
        .collect();
    if open.is_empty() {
        return Ok(());
    }
    let kinds = stream::iter(open.into_iter().map(|project| kind_in(connection, field, project)));
    let mut kinds = kinds.buffered(CONCURRENCY);
    while let Some(kind) = kinds.try_next().await? {
        match kind.as_deref() {
            None => {}
            Some(TEXT) => return Ok(()),
            Some(other) => {
                let message = format!(
                    "{field} is no text but {other:?}; name a custom field of the format Text in \
                     `create_marker_field`, or leave it out"
                );
                return Err(invalid(message));
            }
        }
    }
    Err(invalid(format!(
        "no project that the key's user sees has a custom field {field} for the type of new work packages; correct \
         `create_marker_field`, or activate the field in the projects and for the type"
    )))
}

fn invalid(message: String) -> ConnectionError {
    ConnectionError::new(ConnectionErrorKind::InvalidSettings, "check", message)
}

/// What kind of field it is where new work packages of a project have it.
async fn kind_in(
    connection: &OpenProjectConnection,
    field: &MarkerField,
    project: ExternalId,
) -> Result<Option<String>, ConnectionError> {
    let operation = "check";
    let kind = match connection.created_kind().await? {
        Some(kind) => Some(kind.id),
        None => {
            let path = format!("/projects/{project}/types");
            let types: Collection<WorkPackageType> = connection.client.get(operation, &path, &[]).await?.body;
            types.into_elements().first().map(|kind| kind.id)
        }
    };
    let Some(kind) = kind else { return Ok(None) };
    let path = format!("/work_packages/schemas/{project}-{kind}");
    match connection.client.get::<Value>(operation, &path, &[]).await {
        Ok(schema) => {
            let kind = schema.body.get(field.name()).and_then(|field| field.get("type"));
            Ok(kind.and_then(Value::as_str).map(str::to_owned))
        }
        // The project does not have the type.
        Err(error) if error.kind() == ConnectionErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.with_context("project", project)),
    }
}

/// The work packages that carry one of these markers, whoever made them. Nothing where the field cannot be filtered by:
/// then those among what our user made are all that is known.
pub(crate) async fn marked(
    connection: &OpenProjectConnection,
    operation: &'static str,
    field: &MarkerField,
    markers: &[IntentId],
) -> Result<Option<Whole<WorkPackage>>, ConnectionError> {
    if markers.is_empty() {
        return Ok(None);
    }
    let values: Vec<String> = markers.iter().map(ToString::to_string).collect();
    let query = [
        filters(vec![every_status(), condition(field.name(), "=", &values)]),
        ("sortBy", r#"[["id","asc"]]"#.to_owned()),
    ];
    let found = whole(
        &connection.client,
        operation,
        "/work_packages",
        &query,
        |_: &WorkPackage| false,
    );
    match found.await {
        Ok(found) => Ok(Some(found)),
        Err(error) if crate::lookup::is_invalid_query(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_named_as_the_api_names_it() {
        assert_eq!(
            MarkerField::try_from("customField7".to_owned()).expect("valid").name(),
            "customField7"
        );
        for bad in [
            "",
            "customField",
            "customField7x",
            "custom_field_7",
            "7",
            "Marker",
            "subject",
        ] {
            let error = MarkerField::try_from(bad.to_owned()).expect_err(bad);
            assert!(error.contains("customField7"), "{error}");
        }
    }
}
