//! The description of an API: which schema an answer has to fit.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::schema::{Finding, Schemas};

/// An OpenAPI 3.1 document.
#[derive(Debug)]
pub(crate) struct Description {
    document: Value,
    schemas: Schemas,
}

/// A described operation.
#[derive(Debug)]
pub(crate) struct Operation<'document> {
    /// Method and path as described.
    pub(crate) name: String,
    responses: &'document Value,
}

impl Description {
    pub(crate) fn new(document: Value) -> Result<Self> {
        let schemas = document["components"]["schemas"].clone();
        ensure!(schemas.is_object(), "the description has no schemas");
        Ok(Self {
            document,
            schemas: Schemas(schemas),
        })
    }

    /// The operation of a method and a path; a literal segment goes before a parameter.
    pub(crate) fn operation(&self, method: &str, path: &str) -> Result<Operation<'_>> {
        let segments: Vec<&str> = path.split('/').collect();
        let parameters = |template: &str| template.matches('{').count();
        let fits = |template: &str| {
            let template: Vec<&str> = template.split('/').collect();
            template.len() == segments.len()
                && template
                    .iter()
                    .zip(&segments)
                    .all(|(described, given)| described.starts_with('{') || described == given)
        };
        let paths = self.document["paths"]
            .as_object()
            .context("the description has no paths")?;
        let (template, item) = paths
            .iter()
            .filter(|(template, _)| fits(template))
            .min_by_key(|(template, _)| parameters(template))
            .with_context(|| format!("{path} is not described"))?;
        let operation = item
            .get(method.to_lowercase())
            .with_context(|| format!("{method} {template} is not described"))?;
        Ok(Operation {
            name: format!("{method} {template}"),
            responses: &operation["responses"],
        })
    }

    /// What is wrong with an answer. Errors of whatever status are described once, in `ErrorResponse`.
    pub(crate) fn check(&self, operation: &Operation<'_>, status: u64, body: &Value) -> Vec<Finding> {
        let described = operation.responses.get(status.to_string());
        if status >= 400 {
            // Some refusals are plain text.
            return match body {
                Value::Null => Vec::new(),
                body => self.schemas.check(&self.schemas.0["ErrorResponse"], body),
            };
        }
        let mut found = Vec::new();
        if described.is_none() {
            found.push(Finding::new("/", format!("status {status} is not described")));
        }
        let response = described.or_else(|| operation.responses.get("200"));
        let content = response.and_then(|response| response["content"].as_object()?.values().next());
        if let Some(schema) = content.and_then(|content| content.get("schema")) {
            found.extend(self.schemas.check(schema, body));
        }
        found
    }
}
