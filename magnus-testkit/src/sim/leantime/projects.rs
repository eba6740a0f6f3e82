//! `Projects`.

use serde_json::{Value, json};

use super::rpc::{Failure, Outcome};
use super::state::{Project, State, User};
use super::values::{Params, cut_characters, int_of, text_of};

pub(super) fn call(state: &mut State, caller: &User, method: &str, params: &Params) -> Outcome {
    match method {
        "getAll" | "getProjectsUserHasAccessTo" => Outcome::Read(Ok(all(state, caller))),
        "getProject" => Outcome::Read(get(state, caller, params)),
        "getProjectName" => Outcome::Read(name(state, params)),
        "getUsersAssignedToProject" => Outcome::Read(members(state, params)),
        "addProject" => Outcome::Write(add(state, caller, params)),
        "patchProject" => Outcome::Write(patch(state, caller, params)),
        "deleteProject" => Outcome::Write(delete(state, caller, params)),
        _ => Outcome::Unknown,
    }
}

fn all(state: &State, caller: &User) -> Value {
    let mut projects: Vec<&Project> = state
        .projects
        .values()
        .filter(|project| state.can_see(caller, Some(project.id)))
        .collect();
    projects.sort_by(|a, b| a.name.cmp(&b.name));
    projects
        .into_iter()
        .map(|project| {
            json!({"id": project.id, "name": project.name, "details": project.details, "clientId": 1,
                "state": project.state, "hourBudget": "0", "dollarBudget": 0, "menuType": "", "type": "project",
                "parent": null, "modified": project.modified, "start": null, "end": null, "clientName": "Acme",
                "parentId": null, "parentName": null, "isFavorite": 0})
        })
        .collect()
}

fn get(state: &State, caller: &User, params: &Params) -> Result<Value, Failure> {
    let id = params.int("id")?;
    if !state.can_see(caller, Some(id)) && state.projects.contains_key(&id) {
        return Err(Failure::forbidden());
    }
    if !state.can_see(caller, Some(id)) && caller.role < 40 {
        return Err(Failure::forbidden());
    }
    let Some(project) = state.projects.get(&id) else {
        return Ok(json!(false));
    };
    Ok(
        json!({"id": project.id, "name": project.name, "clientId": 1, "details": project.details,
        "state": project.state, "hourBudget": "0", "dollarBudget": 0, "psettings": "restricted", "menuType": "",
        "avatar": null, "cover": null, "type": "project", "parent": null, "modified": project.modified,
        "clientName": "Acme", "start": null, "end": null, "isFavorite": 0}),
    )
}

fn name(state: &State, params: &Params) -> Result<Value, Failure> {
    let id = params.int("projectId")?;
    Ok(state
        .projects
        .get(&id)
        .map_or(json!(false), |project| json!(project.name)))
}

fn members(state: &State, params: &Params) -> Result<Value, Failure> {
    let id = params.int("projectId")?;
    let ids = state
        .projects
        .get(&id)
        .map(|project| project.members.clone())
        .unwrap_or_default();
    Ok(ids
        .iter()
        .filter_map(|id| state.users.get(id))
        .filter(|user| !user.is_api_key)
        .map(|user| {
            json!({"id": user.id, "firstname": user.firstname, "lastname": user.lastname, "username": user.username,
                "notifications": 1, "profileId": "", "jobTitle": "", "source": "", "status": "A",
                "modified": state.local_stamp(), "role": user.role.to_string(), "projectRole": ""})
        })
        .collect())
}

fn add(state: &mut State, caller: &User, params: &Params) -> Result<Value, Failure> {
    if caller.role < 30 {
        return Err(Failure::forbidden());
    }
    let values = params.object("values")?;
    let dialect = state.options.dialect;
    if !values.contains_key("clientId") {
        return Err(Failure::server(dialect, "Undefined array key \"clientId\""));
    }
    let Some(name) = values.get("name").and_then(text_of) else {
        return Err(Failure::server(dialect, "Undefined array key \"name\""));
    };
    let id = state.next_project;
    state.next_project += 1;
    let modified = state.local_stamp();
    state.projects.insert(
        id,
        Project {
            id,
            name: cut_characters(name, 100),
            details: values.get("details").and_then(text_of).unwrap_or_default(),
            state: None,
            members: [caller.id].into(),
            statuses: None,
            modified,
        },
    );
    Ok(json!(id))
}

fn patch(state: &mut State, caller: &User, params: &Params) -> Result<Value, Failure> {
    if caller.role < 30 {
        return Err(Failure::forbidden());
    }
    let (id, values) = (params.int("id")?, params.object("values")?);
    if !state.can_see(caller, Some(id)) {
        return Err(Failure::forbidden());
    }
    let modified = state.local_stamp();
    if let Some(project) = state.projects.get_mut(&id) {
        if let Some(name) = values.get("name").and_then(text_of) {
            project.name = cut_characters(name, 100);
        }
        if let Some(details) = values.get("details") {
            project.details = text_of(details).unwrap_or_default();
        }
        if let Some(closed) = values.get("state") {
            project.state = int_of(closed);
        }
        project.modified = modified;
    }
    // True also for a project that does not exist.
    Ok(json!(true))
}

fn delete(state: &mut State, caller: &User, params: &Params) -> Result<Value, Failure> {
    if caller.role < 30 {
        return Err(Failure::forbidden());
    }
    let id = params.int("id")?;
    state.projects.remove(&id);
    state.tickets.retain(|_, ticket| ticket.project_id != Some(id));
    Ok(json!(true))
}
