//! The description of the API, made from the code, and the page that shows it.

use serde_json::{Map, Value, json};
use utoipa::openapi::{InfoBuilder, OpenApi, OpenApiBuilder};

use crate::api::runs::RunStateWord;
use crate::api::sync::DirectionWord;
use crate::api::unified::OrderWord;
use crate::examples;
use crate::problem::{Kind, MEDIA_TYPE, ProblemOut};
use crate::shape::task::{PriorityWord, StatusWord};

const WORDS: &str = "\
Two-way sync of project-management tools with one hub. Instants are RFC 3339 in UTC, dates are `YYYY-MM-DD`, ids are \
UUIDs. Every error is `application/problem+json` with a stable `type`.";

/// Words of parameters, which are found by no other way.
#[derive(utoipa::OpenApi)]
#[openapi(components(schemas(DirectionWord, OrderWord, PriorityWord, ProblemOut, RunStateWord, StatusWord)))]
struct Words;

/// What the router begins with.
pub(crate) fn head() -> OpenApi {
    let info = InfoBuilder::new()
        .title("Magnus")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(WORDS))
        .build();
    let words = <Words as utoipa::OpenApi>::openapi().components;
    OpenApiBuilder::new().info(info).components(words).build()
}

/// Kinds of problems that any request may meet.
const ANYWHERE: [Kind; 9] = [
    Kind::Malformed,
    Kind::Unauthenticated,
    Kind::NotAllowed,
    Kind::ForeignHost,
    Kind::Invalid,
    Kind::TooMany,
    Kind::Internal,
    Kind::Unavailable,
    Kind::Timeout,
];

/// The description as JSON: with the problems that any request may meet, and the tokens.
pub(crate) fn describe(api: &OpenApi) -> Value {
    let mut document = serde_json::to_value(api).unwrap_or_default();
    if let Some(components) = document.get_mut("components").and_then(Value::as_object_mut) {
        if let Some(schemas) = components.get_mut("schemas").and_then(Value::as_object_mut) {
            examples::add_to(schemas);
        }
        components.insert(
            "securitySchemes".to_owned(),
            json!({ "token": { "type": "http", "scheme": "bearer", "description": "Made with `magnus tokens create`" } }),
        );
    }
    document["x-problem-types"] = Kind::ALL
        .iter()
        .map(|kind| {
            let (word, status, title) = kind.facts();
            json!({ "type": format!("urn:magnus:problem:{word}"), "status": status.as_u16(), "title": title })
        })
        .collect();
    document["security"] = json!([{}, { "token": [] }]);
    if let Some(paths) = document.get_mut("paths").and_then(Value::as_object_mut) {
        for (path, item) in paths {
            for operation in item.as_object_mut().into_iter().flat_map(Map::values_mut) {
                add_examples(operation);
                add_problems(path, operation);
            }
        }
    }
    document
}

/// Texts have no schema of their own that an example could stand with.
fn add_examples(operation: &mut Value) {
    let responses = operation.get_mut("responses").and_then(Value::as_object_mut);
    let contents = responses.into_iter().flat_map(Map::values_mut).filter_map(|response| {
        let content = response.get_mut("content")?;
        content.as_object_mut()
    });
    for (media_type, content) in contents.flatten() {
        if let Some(example) = examples::of_media_type(media_type) {
            content["example"] = example;
        }
    }
}

fn add_problems(path: &str, operation: &mut Value) {
    let mut kinds = ANYWHERE.to_vec();
    let has_body = operation.get("requestBody").is_some();
    // A body may name things that are not there, too.
    if path.contains('{') || has_body {
        kinds.push(Kind::NotFound);
    }
    if has_body {
        kinds.extend([Kind::TooLarge, Kind::WrongMediaType]);
    }
    let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut) else {
        return;
    };
    for kind in kinds {
        let (word, status, title) = kind.facts();
        responses.entry(status.as_str()).or_insert_with(|| {
            let example = json!({
                "type": format!("urn:magnus:problem:{word}"), "title": title, "status": status.as_u16(), "detail": title,
            });
            let content = json!({ MEDIA_TYPE: {
                "schema": { "$ref": "#/components/schemas/Problem" }, "example": example,
            } });
            json!({ "description": title, "content": content })
        });
    }
}

/// The page that shows the description; it loads nothing but that.
pub(crate) const PAGE: &str = include_str!("docs.html");
