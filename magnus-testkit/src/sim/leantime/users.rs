//! `Users`, `Clients` and `Api.Config`.

use serde_json::{Value, json};

use super::Dialect;
use super::rpc::{Failure, Outcome};
use super::state::{State, User};
use super::values::Params;

pub(super) fn call(state: &State, caller: &User, method: &str, params: &Params) -> Outcome {
    Outcome::Read(match method {
        "getUser" => get_user(state, caller, params),
        "getUserByEmail" => by_email(state, caller, params),
        "getAll" => all(state, caller),
        _ => return Outcome::Unknown,
    })
}

pub(super) fn clients(state: &State, method: &str) -> Outcome {
    match method {
        "getAll" => Outcome::Read(Ok(
            json!([{"id": 1, "name": "Acme", "internet": "", "numberOfProjects": state.projects.len()}]),
        )),
        _ => Outcome::Unknown,
    }
}

pub(super) fn config(method: &str) -> Outcome {
    match method {
        // The newest development state reports the same version.
        "getSystemInfo" => Outcome::Read(Ok(json!({"version": "3.9.8", "enabledPlugins": []}))),
        _ => Outcome::Unknown,
    }
}

fn get_user(state: &State, caller: &User, params: &Params) -> Result<Value, Failure> {
    // Asking for oneself by leaving the id out came after 3.7.
    let id = match params.optional_int("id")? {
        Some(id) => id,
        None if state.options.dialect == Dialect::V373 => params.int("id")?,
        None => caller.id,
    };
    Ok(state
        .users
        .get(&id)
        .map_or(Value::Bool(false), |user| full(state, user)))
}

fn by_email(state: &State, caller: &User, params: &Params) -> Result<Value, Failure> {
    if caller.role < 40 {
        return Err(Failure::forbidden());
    }
    let email = params.text("email")?;
    let found = state
        .users
        .values()
        .find(|user| !user.is_api_key && user.username.eq_ignore_ascii_case(&email));
    Ok(found.map_or(Value::Bool(false), |user| full(state, user)))
}

fn all(state: &State, caller: &User) -> Result<Value, Failure> {
    if caller.role < 40 {
        return Err(Failure::forbidden());
    }
    Ok(state
        .users
        .values()
        .filter(|user| !user.is_api_key)
        .map(|user| {
            json!({"id": user.id, "lastname": user.lastname, "role": user.role.to_string(), "profileId": "",
                "status": "a", "username": user.username, "twoFAEnabled": 0, "clientId": 0, "clientName": null,
                "jobTitle": null, "jobLevel": null, "department": null, "modified": state.local_stamp(),
                "firstname": user.firstname})
        })
        .collect())
}

fn full(state: &State, user: &User) -> Value {
    // The row of a key is filled with other empty values than that of a person.
    let (source, amount, word) = if user.is_api_key {
        (json!("api"), Value::Null, json!(""))
    } else {
        (Value::Null, json!(0), Value::Null)
    };
    let mut full = json!({"id": user.id, "username": user.username, "firstname": user.firstname, "lastname": user.lastname,
        "phone": "", "profileId": "", "lastlogin": null, "status": "a", "expires": null,
        "role": user.role.to_string(), "wage": amount, "hours": amount, "description": null, "clientId": 0,
        "notifications": 1, "forcePwReset": null, "lastpwd_change": null, "settings": null, "twoFAEnabled": 0,
        "createdOn": "2026-11-22 04:41:36", "source": source, "jobTitle": word, "jobLevel": word, "department": word,
        "modified": "2026-11-22 04:41:36"});
    if let Some(columns) = full
        .as_object_mut()
        .filter(|_| state.options.dialect == Dialect::Master)
    {
        columns.insert("weekly_hours".to_owned(), Value::Null);
        columns.insert("employment_type".to_owned(), Value::Null);
    }
    full
}
