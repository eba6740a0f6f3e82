//! How parameters arrive: trimmed, empty texts as null, and cast without a word of protest.

use serde_json::{Map, Value, json};

use super::rpc::Failure;

/// Every text in the body is trimmed (Unicode spaces too) and an empty one becomes null.
pub(super) fn cleaned(value: Value) -> Value {
    match value {
        Value::String(text) => {
            let blank = |c: char| c.is_whitespace() || matches!(c, '\u{200b}' | '\u{feff}' | '\0');
            let trimmed = text.trim_matches(blank);
            if trimmed.is_empty() {
                Value::Null
            } else {
                Value::String(trimmed.to_owned())
            }
        }
        Value::Array(items) => Value::Array(items.into_iter().map(cleaned).collect()),
        Value::Object(entries) => entries.into_iter().map(|(key, value)| (key, cleaned(value))).collect(),
        other => other,
    }
}

/// The parameters of a call, by name.
pub(super) struct Params(pub(super) Map<String, Value>);

impl Params {
    /// A required whole number.
    pub(super) fn int(&self, name: &str) -> Result<i64, Failure> {
        match self.0.get(name) {
            None => Err(Failure::invalid(format!("Required Parameter Missing: {name}"))),
            Some(Value::Null) => Err(Failure::invalid(format!("Parameter {name} can't be null"))),
            Some(value) => cast_int(value).ok_or_else(|| Failure::uncastable(name)),
        }
    }

    /// An optional whole number: an explicit null is refused.
    pub(super) fn optional_int(&self, name: &str) -> Result<Option<i64>, Failure> {
        match self.0.get(name) {
            None => Ok(None),
            Some(value) => cast_int(value).map(Some).ok_or_else(|| Failure::uncastable(name)),
        }
    }

    /// A required object.
    pub(super) fn object(&self, name: &str) -> Result<Map<String, Value>, Failure> {
        match self.0.get(name) {
            None => Err(Failure::invalid(format!("Required Parameter Missing: {name}"))),
            Some(Value::Null) => Err(Failure::invalid(format!("Parameter {name} can't be null"))),
            Some(Value::Object(entries)) => Ok(entries.clone()),
            Some(Value::Array(items)) if items.is_empty() => Ok(Map::new()),
            Some(_) => Err(Failure::uncastable(name)),
        }
    }

    /// An optional object: an explicit null is refused.
    pub(super) fn optional_object(&self, name: &str) -> Result<Map<String, Value>, Failure> {
        match self.0.get(name) {
            None => Ok(Map::new()),
            Some(Value::Object(entries)) => Ok(entries.clone()),
            Some(Value::Array(items)) if items.is_empty() => Ok(Map::new()),
            Some(_) => Err(Failure::uncastable(name)),
        }
    }

    /// A required text.
    pub(super) fn text(&self, name: &str) -> Result<String, Failure> {
        match self.0.get(name) {
            None => Err(Failure::invalid(format!("Required Parameter Missing: {name}"))),
            Some(Value::Null) => Err(Failure::invalid(format!("Parameter {name} can't be null"))),
            Some(value) => text_of(value).ok_or_else(|| Failure::uncastable(name)),
        }
    }
}

fn cast_int(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.parse().ok(),
        Value::Bool(flag) => Some(i64::from(*flag)),
        _ => None,
    }
}

/// A column's text; anything else is stored as its JSON.
pub(super) fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        Value::Bool(flag) => Some(i64::from(*flag).to_string()),
        other => Some(other.to_string()),
    }
}

/// A column's whole number: a text that is none is 0.
pub(super) fn int_of(value: &Value) -> Option<i64> {
    match value {
        Value::Null => None,
        other => Some(cast_int(other).unwrap_or(0)),
    }
}

/// A column's number: a text that is none is 0.
pub(super) fn float_of(value: &Value) -> Option<f64> {
    match value {
        Value::Null => None,
        Value::Number(number) => number.as_f64(),
        Value::String(text) => Some(text.parse().unwrap_or(0.0)),
        _ => Some(0.0),
    }
}

/// A number as it is answered: whole ones as integers.
pub(super) fn number(value: Option<f64>) -> Value {
    match value {
        None => Value::Null,
        Some(value) if value.fract() == 0.0 && value.abs() < 1e15 => json!(value as i64),
        Some(value) => json!(value),
    }
}

/// The beginning of a text of at most this many characters.
pub(super) fn cut_characters(text: String, characters: usize) -> String {
    match text.char_indices().nth(characters) {
        Some((end, _)) => text[..end].to_owned(),
        None => text,
    }
}

/// The beginning of a text of at most this many bytes, on a character boundary.
pub(super) fn cut_bytes(text: String, bytes: usize) -> String {
    if text.len() <= bytes {
        return text;
    }
    let end = (0..=bytes).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text[..end].to_owned()
}
