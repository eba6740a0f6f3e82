//! The `select` parameter of work package lists: a cheap projection that knows few properties.

use serde_json::{Map, Value, json};

use super::error::{Cause, Refusal};
use super::page::Window;

const ELEMENT_PROPERTIES: &[&str] = &[
    "id",
    "subject",
    "_type",
    "startDate",
    "dueDate",
    "date",
    "self",
    "project",
    "status",
    "type",
    "author",
    "assignee",
    "responsible",
    "*",
];
const COLLECTION_PROPERTIES: &[&str] = &["total", "count", "pageSize", "offset", "_type", "self", "*"];

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Select {
    collection: Vec<String>,
    element: Vec<String>,
}

impl Select {
    pub(super) fn parse(text: &str) -> Result<Self, Refusal> {
        let mut select = Self {
            collection: Vec::new(),
            element: Vec::new(),
        };
        let unsupported = |name: &str| {
            Refusal::from(Cause::new(
                400,
                "InvalidSignal",
                format!("The requested select of {name} is not supported."),
            ))
        };
        for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            match name.strip_prefix("elements/") {
                Some(property) if ELEMENT_PROPERTIES.contains(&property) => select.element.push(property.to_owned()),
                None if COLLECTION_PROPERTIES.contains(&name) => select.collection.push(name.to_owned()),
                _ => return Err(unsupported(name)),
            }
        }
        Ok(select)
    }

    /// Projects the rendered elements of a window.
    pub(super) fn apply(&self, window: Window, total: usize, elements: Vec<Value>) -> Value {
        let mut answer = Map::new();
        let wants = |list: &[String], name: &str| list.iter().any(|wanted| wanted == name || wanted == "*");
        for (name, value) in [
            ("total", json!(total)),
            ("count", json!(elements.len())),
            ("pageSize", json!(window.size)),
            ("offset", json!(window.offset)),
            ("_type", json!("WorkPackageCollection")),
        ] {
            if wants(&self.collection, name) {
                answer.insert(name.to_owned(), value);
            }
        }
        if !self.element.is_empty() {
            let elements: Vec<Value> = elements.iter().map(|element| self.element(element)).collect();
            answer.insert("_embedded".to_owned(), json!({ "elements": elements }));
        }
        Value::Object(answer)
    }

    fn element(&self, rendered: &Value) -> Value {
        let mut element = Map::new();
        let mut links = Map::new();
        for name in ELEMENT_PROPERTIES
            .iter()
            .filter(|name| self.element.iter().any(|wanted| wanted == *name || wanted == "*"))
        {
            if let Some(value) = rendered.get(*name) {
                element.insert((*name).to_owned(), value.clone());
            } else if let Some(link) = rendered.get("_links").and_then(|links| links.get(*name)) {
                links.insert((*name).to_owned(), link.clone());
            }
        }
        if !links.is_empty() {
            element.insert("_links".to_owned(), Value::Object(links));
        }
        Value::Object(element)
    }
}
