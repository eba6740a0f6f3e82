//! JSON-RPC as Leantime speaks it: batches in order, notifications, and answers wrapped as the version has it.

use serde_json::{Map, Value, json};

use super::state::{State, User};
use super::values::{Params, cleaned};
use super::{Dialect, projects, tickets, users};

/// An error of a call.
#[derive(Debug)]
pub(super) struct Failure {
    code: i64,
    message: &'static str,
    data: Value,
}

impl Failure {
    pub(super) fn invalid(data: impl Into<String>) -> Self {
        Self {
            code: -32602,
            message: "Invalid params",
            data: json!(data.into()),
        }
    }

    pub(super) fn uncastable(name: &str) -> Self {
        Self::invalid(format!(
            "Could not cast parameter: {name}. See server logs for more details."
        ))
    }

    pub(super) fn forbidden() -> Self {
        Self {
            code: -32001,
            message: "You are not allowed to perform this action.",
            data: Value::Null,
        }
    }

    pub(super) fn no_ticket() -> Self {
        Self {
            code: -32002,
            message: "The task you tried to edit could not be found.",
            data: Value::Null,
        }
    }

    /// Any exception in the application; only the old dialect tells its text.
    pub(super) fn server(dialect: Dialect, text: &str) -> Self {
        let data = if dialect == Dialect::V373 {
            json!(text)
        } else {
            Value::Null
        };
        Self {
            code: -32000,
            message: "Server error",
            data,
        }
    }

    fn method(data: impl Into<String>) -> Self {
        Self {
            code: -32601,
            message: "Method not found",
            data: json!(data.into()),
        }
    }

    fn request(data: &str) -> Self {
        Self {
            code: -32600,
            message: "Invalid Request",
            data: json!(data),
        }
    }

    fn envelope(&self, id: &Value) -> Value {
        json!({"jsonrpc": "2.0", "error": {"code": self.code, "message": self.message, "data": self.data}, "id": id})
    }
}

/// What a whole request is answered with; nothing for a notification.
pub(super) fn answer(state: &mut State, user: &User, body: &[u8], wrote: &mut usize) -> Option<Value> {
    if body.is_empty() {
        return Some(Failure::method("Could not get any parameters from body").envelope(&json!(0)));
    }
    let parsed: Value = match serde_json::from_slice(body) {
        Ok(parsed) => parsed,
        Err(_) => {
            let failure = Failure {
                code: -32700,
                message: "Parse error",
                data: json!("Could not parse JSON. Error Syntax error"),
            };
            return Some(failure.envelope(&json!(0)));
        }
    };
    match cleaned(parsed) {
        Value::Array(batch) if !batch.is_empty() => {
            let answers = batch
                .into_iter()
                .map(|call| one(state, user, call, wrote).unwrap_or(Value::Null))
                .collect();
            Some(Value::Array(answers))
        }
        Value::Array(_) => Some(Failure::invalid("Must include method").envelope(&json!(0))),
        call => one(state, user, call, wrote),
    }
}

fn one(state: &mut State, user: &User, call: Value, wrote: &mut usize) -> Option<Value> {
    let id = match call.get("id") {
        Some(Value::Number(number)) => json!(number.as_i64().or_else(|| number.as_f64().map(|f| f as i64))),
        Some(other) => other.clone(),
        None => Value::Null,
    };
    let result = execute(state, user, &call, wrote);
    if id.is_null() && call.get("method").is_some() {
        return None;
    }
    Some(match result {
        Ok(result) => json!({"jsonrpc": "2.0", "result": wrapped(state.options.dialect, result), "id": id}),
        Err(failure) => failure.envelope(&id),
    })
}

/// Up to 3.7 a scalar comes as a list of one.
fn wrapped(dialect: Dialect, result: Value) -> Value {
    match result {
        Value::Bool(_) | Value::Number(_) | Value::String(_) if dialect == Dialect::V373 => json!([result]),
        other => other,
    }
}

fn execute(state: &mut State, user: &User, call: &Value, wrote: &mut usize) -> Result<Value, Failure> {
    let Some(method) = call.get("method").and_then(Value::as_str) else {
        return Err(Failure::invalid("Must include method"));
    };
    match call.get("jsonrpc").and_then(Value::as_str) {
        Some("2.0") => {}
        Some(_) => return Err(Failure::request("Leantime only supports JSON-RPC version 2.0")),
        None => {
            return Err(Failure::request(
                "You must include a \"jsonrpc\" parameter with a value of \"2.0\"",
            ));
        }
    }
    let Some(name) = method.strip_prefix("leantime.rpc.") else {
        return Err(Failure::invalid("Method string doesn't start with \"leantime.rpc.\""));
    };
    let parts: Vec<&str> = name.split('.').collect();
    let (module, service, method) = match parts.as_slice() {
        [module, method] => (studly(module), studly(module), camel(method)),
        [module, service, method] => (studly(module), studly(service), camel(method)),
        _ => return Err(Failure::invalid("Method string is invalid")),
    };
    let params = Params(params_of(call.get("params")));
    let outcome = match (module.as_str(), service.as_str()) {
        ("Tickets", "Tickets") => tickets::call(state, user, &method, &params),
        ("Projects", "Projects") => projects::call(state, user, &method, &params),
        ("Users", "Users") => users::call(state, user, &method, &params),
        ("Clients", "Clients") => users::clients(state, &method),
        ("Api", "Config") if state.options.dialect != Dialect::V373 => users::config(&method),
        _ => return Err(Failure::method(format!("Service doesn't exist: {service}"))),
    };
    let Some((changed, outcome)) = outcome.into_parts() else {
        return Err(Failure::method(format!("Method doesn't exist: {method}")));
    };
    if changed {
        *wrote += 1;
    }
    outcome
}

/// What a service makes of a call.
pub(super) enum Outcome {
    /// The service has no such method.
    Unknown,
    /// The method exists, but not over the API.
    NotExposed(String),
    /// A method that only reads.
    Read(Result<Value, Failure>),
    /// A method that writes.
    Write(Result<Value, Failure>),
}

impl Outcome {
    fn into_parts(self) -> Option<(bool, Result<Value, Failure>)> {
        match self {
            Self::Unknown => None,
            Self::NotExposed(method) => Some((
                false,
                Err(Failure::method(format!("Method is not available via API: {method}"))),
            )),
            Self::Read(result) => Some((false, result)),
            Self::Write(result) => Some((true, result)),
        }
    }
}

fn params_of(params: Option<&Value>) -> Map<String, Value> {
    match params {
        Some(Value::Object(entries)) => entries.clone(),
        Some(Value::String(text)) => match serde_json::from_str(text).map(cleaned) {
            Ok(Value::Object(entries)) => entries,
            _ => Map::new(),
        },
        _ => Map::new(),
    }
}

fn words(name: &str) -> Vec<String> {
    name.split(['_', '-'])
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

fn capitalized(word: &str) -> String {
    let mut chars = word.chars();
    chars
        .next()
        .map(|first| first.to_uppercase().chain(chars).collect())
        .unwrap_or_default()
}

fn studly(name: &str) -> String {
    words(name).iter().map(|word| capitalized(word)).collect()
}

fn camel(name: &str) -> String {
    let studly = studly(name);
    let mut chars = studly.chars();
    chars
        .next()
        .map(|first| first.to_lowercase().chain(chars).collect())
        .unwrap_or_default()
}
