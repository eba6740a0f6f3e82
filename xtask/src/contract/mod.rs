//! `cargo xtask contract`: the simulated OpenProject's answers against the tool's own description of its API.
//!
//! The description is not part of this repository. Where it is wrong the server wins: see [`exceptions`].

mod description;
mod exceptions;
mod schema;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::process;
use description::Description;

/// An answer of the simulator: a line of its example program.
#[derive(Debug)]
struct Answer {
    method: String,
    path: String,
    status: u64,
    body: Value,
}

impl Answer {
    fn parse(line: &str) -> Result<Self> {
        let line: Value = serde_json::from_str(line).with_context(|| format!("not an answer: {line}"))?;
        let text = |name: &str| line[name].as_str().map(str::to_owned);
        Ok(Self {
            method: text("method").context("no method")?,
            path: text("path").context("no path")?,
            status: line["status"].as_u64().context("no status")?,
            body: line["body"].clone(),
        })
    }
}

/// Checks every answer; fails with all that differ.
pub(crate) fn run(file: &Path) -> Result<()> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let description = serde_json::from_str(&text).context("the description is not JSON")?;
    let mut recorder = process::cargo();
    recorder.args([
        "run",
        "--quiet",
        "-p",
        "magnus-testkit",
        "--example",
        "openproject_answers",
    ]);
    let answers = process::read(&mut recorder)?;
    let answers = answers.lines().map(Answer::parse).collect::<Result<Vec<_>>>()?;
    ensure!(!answers.is_empty(), "the simulator gave no answer");
    let findings = check(&Description::new(description)?, &answers)?;
    for finding in &findings {
        println!("{finding}");
    }
    println!("{} answers checked, {} findings", answers.len(), findings.len());
    if !findings.is_empty() {
        bail!("the simulator's answers are not as the API is described");
    }
    Ok(())
}

/// What differs from the description and is no exception, and the exceptions that nothing needs any more.
fn check(description: &Description, answers: &[Answer]) -> Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    let mut used = BTreeSet::new();
    for answer in answers {
        let operation = description.operation(&answer.method, &answer.path)?;
        for finding in description.check(&operation, answer.status, &answer.body) {
            match exceptions::position(&operation.name, &finding) {
                Some(position) => {
                    used.insert(position);
                }
                None => {
                    found.insert(format!("{} {}: {finding}", operation.name, answer.status));
                }
            }
        }
    }
    found.extend(exceptions::unused(&used));
    Ok(found)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn description() -> Description {
        let thing = json!({
            "allOf": [
                { "type": "object", "required": ["id", "name"], "properties": {
                    "id": { "type": "integer", "minimum": 1 }, "name": { "type": "string", "maxLength": 5 },
                    "_type": { "type": "string", "enum": ["Thing"] },
                } },
                { "$ref": "#/components/schemas/Dated" },
            ],
        });
        let dated = json!({ "type": "object", "properties": {
            "date": { "type": ["string", "null"], "format": "date" }, "tags": { "type": "array", "items": { "type": "string" } },
        } });
        let ok = |schema: Value| json!({ "responses": { "200": { "content": { "application/hal+json": { "schema": schema } } } } });
        let document = json!({
            "paths": {
                "/things/{id}": { "get": ok(json!({ "$ref": "#/components/schemas/Thing" })) },
                "/things/mine": { "get": ok(json!({ "type": "array" })) },
            },
            "components": { "schemas": { "Thing": thing, "Dated": dated, "ErrorResponse": {
                "type": "object", "required": ["message"], "properties": { "message": { "type": "string" } },
            } } },
        });
        Description::new(document).expect("a description")
    }

    fn findings(status: u64, body: Value) -> Vec<String> {
        let description = description();
        let operation = description.operation("GET", "/things/7").expect("described");
        let found = description.check(&operation, status, &body);
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_right_answer_has_no_findings() {
        let right = json!({ "id": 1, "name": "Bücke", "_type": "Thing", "date": null, "tags": ["a"] });
        assert!(findings(200, right).is_empty());
        assert!(findings(404, json!({ "message": "Gone." })).is_empty());
    }

    #[test]
    fn a_broken_answer_is_reported_with_its_place() {
        for (body, expected) in [
            (json!({ "id": 1 }), "/name: is missing"),
            (
                json!({ "id": "1", "name": "a" }),
                "/id: is a string and not of type integer",
            ),
            (json!({ "id": 0, "name": "a" }), "/id: is below 1"),
            (json!({ "id": 1, "name": "abcdef" }), "/name: is longer than 5"),
            (
                json!({ "id": 1, "name": "a", "_type": "Other" }),
                "/_type: is \"Other\", which is not one of the allowed values",
            ),
            (
                json!({ "id": 1, "name": "a", "date": "2026-5-1" }),
                "/date: is not a date",
            ),
            (
                json!({ "id": 1, "name": "a", "tags": ["b", 3] }),
                "/tags/*: is a number and not of type string",
            ),
            (
                json!({ "id": 1, "name": "a", "titel": "b" }),
                "/titel: is not described",
            ),
            (json!([]), "/: is an array and not of type object"),
        ] {
            assert_eq!(findings(200, body), [expected]);
        }
        assert_eq!(findings(404, json!({})), ["/message: is missing"]);
        assert_eq!(
            findings(201, json!({ "id": 1, "name": "a" })),
            ["/: status 201 is not described"]
        );
    }

    #[test]
    fn a_literal_path_goes_before_a_parameter() {
        let description = description();
        let name = |path: &str| description.operation("GET", path).map(|operation| operation.name).ok();
        assert_eq!(name("/things/mine").as_deref(), Some("GET /things/mine"));
        assert_eq!(name("/things/12").as_deref(), Some("GET /things/{id}"));
        assert_eq!(name("/other"), None);
    }

    #[test]
    fn an_exception_that_nothing_needs_is_reported() {
        let found = check(&description(), &[]).expect("checked");
        assert!(!found.is_empty() && found.iter().all(|finding| finding.contains("no longer needed")));
    }
}
