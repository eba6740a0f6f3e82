//! Values against schemas, as far as the description goes; a keyword that is not known here is a finding itself.
//!
//! Stricter than JSON Schema in one point: where an object's properties are described, others are findings, so that a
//! misspelt property does not pass as an unknown one.

use std::fmt;

use serde_json::{Map, Value};

/// What is wrong, and where: indexes are shown as `*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) place: String,
    pub(crate) problem: String,
}

impl Finding {
    pub(crate) fn new(place: &str, problem: impl Into<String>) -> Self {
        let place = if place.is_empty() { "/" } else { place };
        Self {
            place: place.to_owned(),
            problem: problem.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.place, self.problem)
    }
}

/// Keywords that say nothing about a value.
const SILENT: &[&str] = &[
    "description",
    "example",
    "examples",
    "default",
    "readOnly",
    "writeOnly",
    "deprecated",
    "title",
];

/// The named schemas of a description.
#[derive(Debug)]
pub(crate) struct Schemas(pub(crate) Value);

impl Schemas {
    /// What is wrong with a value.
    pub(crate) fn check(&self, schema: &Value, value: &Value) -> Vec<Finding> {
        let mut found = Vec::new();
        self.all(&[schema], value, "", &mut found);
        found
    }

    /// Resolves references and `allOf` into schemas that all hold.
    fn flatten<'all>(&'all self, schema: &'all Value, into: &mut Vec<&'all Map<String, Value>>) -> Result<(), String> {
        let schema = schema.as_object().ok_or("a schema is no object")?;
        into.push(schema);
        if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
            let named = reference
                .strip_prefix("#/components/schemas/")
                .and_then(|name| self.0.get(name));
            self.flatten(named.ok_or_else(|| format!("{reference} does not exist"))?, into)?;
        }
        for part in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            self.flatten(part, into)?;
        }
        Ok(())
    }

    fn all(&self, schemas: &[&Value], value: &Value, place: &str, found: &mut Vec<Finding>) {
        let mut flat = Vec::new();
        for schema in schemas {
            if let Err(problem) = self.flatten(schema, &mut flat) {
                found.push(Finding::new(place, problem));
            }
        }
        // Of alternatives, the first that fits; if none does, the first says what is wrong.
        let alternatives: Vec<&Value> = flat
            .iter()
            .flat_map(|schema| ["anyOf", "oneOf"].map(|keyword| schema.get(keyword)))
            .filter_map(|branches| {
                let branches = branches?.as_array()?;
                let fits = |branch: &&Value| {
                    let mut tried = Vec::new();
                    self.all(&[*branch], value, place, &mut tried);
                    tried.is_empty()
                };
                branches.iter().find(fits).or(branches.first())
            })
            .collect();
        for branch in alternatives {
            if let Err(problem) = self.flatten(branch, &mut flat) {
                found.push(Finding::new(place, problem));
            }
        }
        let before = found.len();
        for schema in &flat {
            let mut wrong = own(schema, value, place);
            wrong.retain(|finding| !found[before..].contains(finding));
            found.extend(wrong);
        }
        match value {
            Value::Object(object) => self.object(&flat, object, place, found),
            Value::Array(items) => {
                let described: Vec<&Value> = flat.iter().filter_map(|schema| schema.get("items")).collect();
                for item in items {
                    self.all(&described, item, &format!("{place}/*"), found);
                }
            }
            _ => {}
        }
    }

    fn object(&self, flat: &[&Map<String, Value>], object: &Map<String, Value>, place: &str, found: &mut Vec<Finding>) {
        let closed = flat.iter().any(|schema| schema.contains_key("properties"));
        for (name, value) in object {
            let mut described: Vec<&Value> = Vec::new();
            for schema in flat {
                described.extend(schema.get("properties").and_then(|properties| properties.get(name)));
                let patterns = schema.get("patternProperties").and_then(Value::as_object);
                let matching = patterns
                    .into_iter()
                    .flatten()
                    .filter(|(pattern, _)| matches(pattern, name));
                described.extend(matching.map(|(_, schema)| schema));
            }
            let place = format!("{place}/{name}");
            if !described.is_empty() {
                self.all(&described, value, &place, found);
            } else if closed {
                found.push(Finding::new(&place, "is not described"));
            }
        }
    }
}

/// The only kind of pattern in use: a prefix and a number, `^customField\d+$`.
fn matches(pattern: &str, name: &str) -> bool {
    let prefix = pattern.strip_prefix('^').and_then(|rest| rest.strip_suffix("\\d+$"));
    let digits = prefix.and_then(|prefix| name.strip_prefix(prefix));
    digits.is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

/// What a schema says about the value itself.
fn own(schema: &Map<String, Value>, value: &Value, place: &str) -> Vec<Finding> {
    let mut found = Vec::new();
    for (keyword, rule) in schema {
        let problem = match keyword.as_str() {
            "type" => wrong_type(rule, value),
            "enum" => {
                let allowed = rule.as_array().is_some_and(|allowed| allowed.contains(value));
                (!allowed).then(|| format!("is {value}, which is not one of the allowed values"))
            }
            "format" => wrong_format(rule.as_str().unwrap_or_default(), value),
            "minimum" => compared(value, rule, |value, limit| value >= limit, "is below"),
            "exclusiveMinimum" => compared(value, rule, |value, limit| value > limit, "is not above"),
            "maximum" => compared(value, rule, |value, limit| value <= limit, "is above"),
            "minLength" => compared(&length(value), rule, |value, limit| value >= limit, "is shorter than"),
            "maxLength" => compared(&length(value), rule, |value, limit| value <= limit, "is longer than"),
            "required" => {
                let names = rule.as_array().into_iter().flatten().filter_map(Value::as_str);
                let object = value.as_object();
                let missing = names.filter(|name| object.is_some_and(|object| !object.contains_key(*name)));
                found.extend(missing.map(|name| Finding::new(&format!("{place}/{name}"), "is missing")));
                None
            }
            "$ref" | "allOf" | "anyOf" | "oneOf" | "properties" | "patternProperties" | "items" => None,
            silent if SILENT.contains(&silent) => None,
            other => Some(format!(
                "has a schema with the keyword {other}, which is not known here"
            )),
        };
        found.extend(problem.map(|problem| Finding::new(place, problem)));
    }
    found
}

fn length(value: &Value) -> Value {
    value
        .as_str()
        .map_or(Value::Null, |text| Value::from(text.chars().count()))
}

fn compared(value: &Value, limit: &Value, holds: impl Fn(f64, f64) -> bool, words: &str) -> Option<String> {
    let (value, number) = (value.as_f64()?, limit.as_f64()?);
    (!holds(value, number)).then(|| format!("{words} {limit}"))
}

fn wrong_type(rule: &Value, value: &Value) -> Option<String> {
    let (shown, names): (&str, &[&str]) = match value {
        Value::Null => ("null", &["null"]),
        Value::Bool(_) => ("a boolean", &["boolean"]),
        Value::Number(number) if number.is_f64() => ("a fraction", &["number"]),
        Value::Number(_) => ("a number", &["number", "integer"]),
        Value::String(_) => ("a string", &["string"]),
        Value::Array(_) => ("an array", &["array"]),
        Value::Object(_) => ("an object", &["object"]),
    };
    let allowed: Vec<&str> = match rule {
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        one => one.as_str().into_iter().collect(),
    };
    let fits = allowed.iter().any(|name| names.contains(name));
    (!fits).then(|| format!("is {shown} and not of type {}", allowed.join(" or ")))
}

fn wrong_format(format: &str, value: &Value) -> Option<String> {
    let text = value.as_str()?;
    let shaped = |pattern: &str, text: &str| {
        text.len() == pattern.len()
            && text.bytes().zip(pattern.bytes()).all(|(byte, wanted)| match wanted {
                b'0' => byte.is_ascii_digit(),
                other => byte == other,
            })
    };
    let (fits, name) = match format {
        "date" => (shaped("0000-00-00", text), "a date"),
        "date-time" => {
            let (seconds, rest) = text.split_at_checked(19).unwrap_or_default();
            (
                shaped("0000-00-00T00:00:00", seconds) && rest.ends_with('Z'),
                "a time in UTC",
            )
        }
        "duration" => (text.starts_with('P') && text.len() > 2, "a duration"),
        "hex-code" => (
            text.strip_prefix('#')
                .is_some_and(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit())),
            "a colour",
        ),
        "uri" => (!text.is_empty() && !text.contains(char::is_whitespace), "an address"),
        other => return Some(format!("has a schema with the format {other}, which is not known here")),
    };
    (!fits).then(|| format!("is not {name}"))
}
