//! `Tickets`: the calls and what they write.

use serde_json::{Map, Value, json};

use super::Dialect;
use super::dates::{self, Column};
use super::listing;
use super::rpc::{Failure, Outcome};
use super::state::{State, Ticket, User};
use super::values::{Params, cut_bytes, cut_characters, float_of, int_of, text_of};

pub(super) fn call(state: &mut State, caller: &User, method: &str, params: &Params) -> Outcome {
    let old = state.options.dialect == Dialect::V373;
    match method {
        "getAll" => Outcome::Read(listing::get_all(state, caller, params)),
        "getTicket" | "getMilestone" if method == "getTicket" || !old => Outcome::Read(get(state, caller, params)),
        "getAllSubtasks" => Outcome::Read(listing::subtasks(state, caller, params)),
        "getStatusLabels" => Outcome::Read(status_labels(state, caller, params)),
        "getPriorityLabels" => Outcome::Read(Ok(
            json!({"1": "Critical", "2": "High", "3": "Medium", "4": "Low", "5": "Lowest"}),
        )),
        "getTicketTypes" => Outcome::Read(Ok(json!(["task", "subtask", "story", "bug"]))),
        "addTicket" => Outcome::Write(add(state, caller, params)),
        "quickAddTicket" => Outcome::Write(quick_add(state, caller, params)),
        "patchTicket" if !old => Outcome::Write(patch(state, caller, params, "values")),
        "patch" if old => Outcome::Write(patch(state, caller, params, "params")),
        "patch" => Outcome::NotExposed("patch".to_owned()),
        "updateTicket" => Outcome::Write(update(state, caller, params)),
        "moveTicket" => Outcome::Write(move_to(state, caller, params)),
        "delete" | "deleteMilestone" => Outcome::Write(delete(state, caller, params, method == "deleteMilestone")),
        _ => Outcome::Unknown,
    }
}

fn refused(message: &str) -> Value {
    json!({"msg": message, "type": "error"})
}

fn get(state: &State, caller: &User, params: &Params) -> Result<Value, Failure> {
    let id = params.int("id")?;
    Ok(state
        .visible_ticket(caller, id)
        .map_or(json!(false), |ticket| listing::detail(state, ticket)))
}

fn status_labels(state: &State, caller: &User, params: &Params) -> Result<Value, Failure> {
    let project = params.optional_int("projectId")?;
    if !state.can_see(caller, project) {
        return Err(Failure::forbidden());
    }
    let own = project
        .and_then(|id| state.projects.get(&id))
        .is_some_and(|project| project.statuses.is_some());
    let labels = state.statuses_of(project);
    let value = |at: usize, label: &super::StatusLabel| {
        let position = at + 1;
        let sort_key = if own && label.id != -1 {
            json!(position.to_string())
        } else {
            json!(position)
        };
        json!({"name": label.name, "class": class_of(label), "statusType": label.status_type,
            "kanbanCol": label.id != -1, "sortKey": sort_key})
    };
    // A map whose keys are 0, 1, 2 … in order becomes a list.
    let listed = labels
        .iter()
        .enumerate()
        .all(|(at, label)| i64::try_from(at) == Ok(label.id));
    if listed {
        return Ok(labels.iter().enumerate().map(|(at, label)| value(at, label)).collect());
    }
    let map: Map<String, Value> = labels
        .iter()
        .enumerate()
        .map(|(at, label)| (label.id.to_string(), value(at, label)))
        .collect();
    Ok(Value::Object(map))
}

/// The colour of the default set; that of own statuses is not kept here.
fn class_of(label: &super::StatusLabel) -> &'static str {
    match label.id {
        1 => "label-important",
        2 | 4 => "label-warning",
        0 => "label-success",
        -1 => "label-default",
        _ => "label-info",
    }
}

fn add(state: &mut State, caller: &User, params: &Params) -> Result<Value, Failure> {
    if caller.role < 20 {
        return Err(Failure::forbidden());
    }
    let values = params.object("values")?;
    let Some(headline) = values.get("headline").and_then(text_of) else {
        return Ok(refused("notifications.ticket_save_error_no_headline"));
    };
    let project = values.get("projectId").and_then(int_of);
    if !state.can_see(caller, project) {
        return Err(Failure::forbidden());
    }
    let id = state.add_ticket(project, &headline, caller.id);
    // What is null is filled with the empty value of its column; only a patch stores the null.
    let given = values.into_iter().filter(|(_, value)| !value.is_null()).collect();
    apply(state, id, &given);
    notify(state, project);
    Ok(json!(id))
}

fn quick_add(state: &mut State, caller: &User, params: &Params) -> Result<Value, Failure> {
    if caller.role < 20 {
        return Err(Failure::forbidden());
    }
    let values = params.object("params")?;
    if !values.contains_key("headline") {
        return Err(Failure::server(
            state.options.dialect,
            "Undefined array key \"headline\"",
        ));
    }
    let Some(headline) = values.get("headline").and_then(text_of) else {
        return Ok(json!({"status": "error", "message": "Headline Missing"}));
    };
    let project = values.get("projectId").and_then(int_of);
    if !state.can_see(caller, project) {
        return Err(Failure::forbidden());
    }
    let id = state.add_ticket(project, &headline, caller.id);
    let taken: Map<String, Value> = values
        .into_iter()
        .filter(|(key, _)| !matches!(key.as_str(), "tags" | "hourRemaining" | "acceptanceCriteria"))
        .collect();
    apply(state, id, &taken);
    let (local, editor) = (state.local_stamp(), caller.id.to_string());
    let first_new = state
        .statuses_of(project)
        .into_iter()
        .find(|label| label.status_type == "NEW");
    if let Some(ticket) = state.tickets.get_mut(&id) {
        ticket.date = local;
        ticket.editor_id = Some(editor);
        if !taken.contains_key("status") {
            ticket.status = first_new.map_or(3, |label| label.id);
        }
    }
    notify(state, project);
    Ok(if state.options.dialect == Dialect::V373 {
        json!(true)
    } else {
        json!(id)
    })
}

fn patch(state: &mut State, caller: &User, params: &Params, name: &str) -> Result<Value, Failure> {
    let (id, values) = (params.int("id")?, params.object(name)?);
    let old = state.options.dialect == Dialect::V373;
    let Some(project) = state.visible_ticket(caller, id).map(|ticket| ticket.project_id) else {
        return if old {
            Ok(json!(false))
        } else {
            Err(Failure::no_ticket())
        };
    };
    if caller.role < 20 {
        return Err(Failure::forbidden());
    }
    if values
        .get("projectId")
        .and_then(int_of)
        .is_some_and(|target| !state.can_see(caller, Some(target)))
    {
        return Err(Failure::forbidden());
    }
    if !apply(state, id, &values) {
        return Ok(json!(false));
    }
    if values.contains_key("status") {
        notify(state, project);
    }
    Ok(json!(true))
}

/// Replaces everything: what is not given is emptied, and an empty status is 0, which is Done.
fn update(state: &mut State, caller: &User, params: &Params) -> Result<Value, Failure> {
    let values = params.object("values")?;
    let Some(project) = values.get("projectId").and_then(int_of) else {
        return Ok(refused("project id is not set"));
    };
    let Some(id) = values.get("id").and_then(int_of) else {
        return Err(Failure::server(state.options.dialect, "Undefined array key \"id\""));
    };
    let Some(ticket) = state.visible_ticket(caller, id).filter(|_| caller.role >= 20).cloned() else {
        return Ok(refused("notifications.ticket_save_error_no_access"));
    };
    let mut emptied = Ticket::new(id, Some(project), "", ticket.user_id, &state.stamp());
    emptied.status = 0;
    emptied.booked_hours = ticket.booked_hours;
    state.tickets.insert(id, emptied);
    apply(state, id, &values);
    notify(state, Some(project));
    Ok(json!(true))
}

fn move_to(state: &mut State, caller: &User, params: &Params) -> Result<Value, Failure> {
    let (id, project) = (params.int("id")?, params.int("projectId")?);
    if caller.role < 20 || !state.can_see(caller, Some(project)) || state.visible_ticket(caller, id).is_none() {
        return Err(Failure::forbidden());
    }
    let stamp = state.stamp();
    if let Some(ticket) = state.tickets.get_mut(&id) {
        ticket.project_id = Some(project);
        ticket.milestone_id = Some(0);
        ticket.sprint = Some(0);
        ticket.modified = stamp;
    }
    Ok(json!(true))
}

fn delete(state: &mut State, caller: &User, params: &Params, milestone: bool) -> Result<Value, Failure> {
    let id = params.int("id")?;
    if caller.role < 20 {
        return Err(Failure::forbidden());
    }
    if state.visible_ticket(caller, id).is_none() {
        return Ok(refused("notifications.ticket_delete_error"));
    }
    state.tickets.remove(&id);
    if milestone || state.options.dialect == Dialect::Master {
        for ticket in state
            .tickets
            .values_mut()
            .filter(|ticket| ticket.milestone_id == Some(id))
        {
            ticket.milestone_id = Some(0);
        }
    }
    Ok(json!(true))
}

fn notify(state: &mut State, project: Option<i64>) {
    let members = project
        .and_then(|id| state.projects.get(&id))
        .map_or(0, |project| project.members.len());
    state.notices += members;
}

/// Writes the columns that are given and known; whether there was any.
fn apply(state: &mut State, id: i64, values: &Map<String, Value>) -> bool {
    let (dialect, zone, stamp) = (state.options.dialect, state.options.time_zone, state.stamp());
    let Some(ticket) = state.tickets.get_mut(&id) else {
        return false;
    };
    let date = |value: &Value, column| text_of(value).map(|text| dates::parse(&text, column, dialect, zone));
    let mut known = false;
    for (key, value) in values {
        match key.as_str() {
            "headline" => ticket.headline = text_of(value).map(|text| cut_characters(text, 255)),
            "description" => ticket.description = text_of(value).map(|text| cut_bytes(text, 65_535)),
            "acceptanceCriteria" => ticket.acceptance_criteria = text_of(value).map(|text| cut_bytes(text, 65_535)),
            "type" => ticket.kind = text_of(value).unwrap_or_else(|| "task".to_owned()),
            "projectId" => ticket.project_id = int_of(value),
            "status" => ticket.status = int_of(value).unwrap_or(0),
            "date" => ticket.date = date(value, Column::Start).unwrap_or_default(),
            "dateToFinish" => ticket.date_to_finish = date(value, Column::Due),
            "editFrom" => ticket.edit_from = date(value, Column::Start),
            "editTo" => ticket.edit_to = date(value, Column::End),
            "sprint" => ticket.sprint = int_of(value),
            "storypoints" => ticket.storypoints = float_of(value),
            "planHours" => ticket.plan_hours = float_of(value),
            "hourRemaining" => ticket.hour_remaining = float_of(value),
            "priority" => ticket.priority = text_of(value),
            "tags" => ticket.tags = text_of(value).map(|text| cut_characters(text, 255)),
            "editorId" => ticket.editor_id = text_of(value),
            "userId" => ticket.user_id = int_of(value).unwrap_or(0),
            "dependingTicketId" => ticket.depending_ticket_id = int_of(value),
            "milestoneid" => ticket.milestone_id = int_of(value),
            "milestoneId" if dialect == Dialect::Master => ticket.milestone_id = int_of(value),
            "sortIndex" | "kanbanSortIndex" => {}
            "collaborators" => {
                ticket.collaborators = value
                    .as_array()
                    .map(|ids| ids.iter().filter_map(int_of).collect())
                    .unwrap_or_default();
            }
            _ => continue,
        }
        known = true;
    }
    if known {
        ticket.modified = stamp;
    }
    known
}
